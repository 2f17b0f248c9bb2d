<#
.SYNOPSIS
Prepares a Windows machine as exosp's management host: exosp reaches it over WinRM, and it reaches Exchange Online.

.DESCRIPTION
What it sets up, each part once; running it again changes only what differs:

  1. the module ExchangeOnlineManagement, for all users
  2. WinRM's HTTPS listener with a certificate, open to -AllowFrom alone
  3. a local account and a group for exosp, administrators of nothing
  4. the session configuration Exosp.JEA, which is all that the group may use: no scripts, no language, and only the
     commands that exosp needs, each with the parameters and values that it needs

exosp then connects with  EXOSP_REMOTING=winrm://HOST:5986/wsman?auth=negotiate&configuration=Exosp.JEA

With -ReadOnly it makes Exosp.Audit instead, for  exosp audit : the functions that write are not there at all, and Exchange is
asked for Get- and Search- cmdlets alone. It has an account and a group of its own. That limits what is done through this
host; whoever signs in to Exchange there should also have roles that only read (View-Only Organization Management, and
View-Only Audit Logs for --evidence). A host may have both: run the script once with the switch and once without, each time
with the same -AllowFrom and -ListenerThumbprint, since the listener is one.

How such a session reaches Exchange Online is your choice:
  - without -AppId: exosp signs in and hands its token to Connect-Exosp as a SecureString, encrypted on its way within TLS.
  - with -AppId, -CertificateThumbprint and -Organization: the host signs in itself, with a certificate whose key only the
    host has. No token ever comes here, and Connect-Exosp is not offered.

What it does not do: register an application in Entra ID, grant it rights in Exchange Online, or harden Windows.

Read it before you run it, and try it on a machine that you can lose: exosp's authors have had its syntax checked by a
parser and have not run it. Its last lines show how to see that the endpoint offers what it should, and nothing else.

.EXAMPLE
.\host.ps1 -AllowFrom 192.0.2.10 -WhatIf
Shows what it would do.

.EXAMPLE
.\host.ps1 -AllowFrom 192.0.2.10 -ListenerThumbprint 0123456789ABCDEF0123456789ABCDEF01234567
Uses a certificate of your own CA for the listener, which exosp's machine must trust (SSL_CERT_FILE names your CA's file).

.EXAMPLE
.\host.ps1 -AllowFrom 192.0.2.10 -ReadOnly
For an auditor: Exosp.Audit, an account exosp-audit, and nothing that writes.

.EXAMPLE
.\host.ps1 -AllowFrom 192.0.2.10 -AppId 00000000-0000-0000-0000-000000000000 -CertificateThumbprint 0123456789ABCDEF0123456789ABCDEF01234567 -Organization contoso.onmicrosoft.com
The host signs in with its own certificate.
#>
#Requires -Version 5.1
#Requires -RunAsAdministrator
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    # Addresses from which exosp comes. The listener answers nobody else.
    [Parameter(Mandatory = $true)]
    [string[]] $AllowFrom,

    # The name that exosp calls the host by; it must stand in the listener's certificate.
    [string] $HostName = ([System.Net.Dns]::GetHostEntry('').HostName),

    # The listener's certificate in Cert:\LocalMachine\My. Without it a self-signed one is made, which is good for a trial:
    # export it to exosp's machine and name it there in SSL_CERT_FILE.
    [ValidatePattern('^[0-9A-Fa-f]{40}$')]
    [string] $ListenerThumbprint,

    # For an auditor's host: Exosp.Audit, which can read and nothing else.
    [switch] $ReadOnly,

    # The local account that exosp signs in to the host with, and the group that may use the endpoint.
    [ValidatePattern('^[A-Za-z0-9._-]{1,20}$')]
    [string] $Account = $(if ($ReadOnly) { 'exosp-audit' } else { 'exosp' }),

    [ValidatePattern('^[A-Za-z0-9 ._-]{1,64}$')]
    [string] $Group = $(if ($ReadOnly) { 'Exosp Auditors' } else { 'Exosp Operators' }),

    # A group managed service account (DOMAIN\name$) for sessions to run as. Without it they run as a virtual account, which is
    # an administrator of this machine while it lasts. With -AppId the account must be able to read the certificate's key.
    [string] $ServiceAccount,

    # For a host that signs in itself: the application, its certificate in Cert:\LocalMachine\My, and the tenant's initial
    # domain. The key must be a CSP one: the module takes no CNG keys.
    [ValidatePattern('^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$')]
    [string] $AppId,

    [ValidatePattern('^[0-9A-Fa-f]{40}$')]
    [string] $CertificateThumbprint,

    [ValidatePattern('^[A-Za-z0-9-]+\.(onmicrosoft\.com|onmicrosoft\.us|partner\.onmschina\.cn)$')]
    [string] $Organization,

    # For the certificate's way. By token, exosp says which cloud it is.
    [ValidateSet('O365Default', 'O365USGovGCCHigh', 'O365USGovDoD', 'O365China')]
    [string] $ExchangeEnvironmentName = 'O365Default',

    # Where transcripts of sessions go. They hold every command with its parameters; a SecureString shows as its type's name.
    [string] $TranscriptFolder
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

# A role capability is found by its name alone, wherever it lies: each endpoint's has its own.
$Endpoint = if ($ReadOnly) { 'Exosp.Audit' } else { 'Exosp.JEA' }
$Role = if ($ReadOnly) { 'ExospAudit' } else { 'Exosp' }
$ModuleFolder = Join-Path $env:ProgramFiles "WindowsPowerShell\Modules\$Endpoint"
$ByCertificate = [bool] $AppId

if ($ByCertificate -and -not ($CertificateThumbprint -and $Organization)) {
    throw '-AppId needs -CertificateThumbprint and -Organization.'
}

# 1. The module. -AccessToken exists from 3.1.0 on.
$oldest = [version] '3.1.0'
$found = Get-Module -ListAvailable -Name ExchangeOnlineManagement | Sort-Object Version -Descending | Select-Object -First 1
if (-not $found -or $found.Version -lt $oldest) {
    if ($PSCmdlet.ShouldProcess('ExchangeOnlineManagement', 'Install for all users')) {
        [Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12
        Install-Module -Name ExchangeOnlineManagement -MinimumVersion $oldest -Scope AllUsers -Force -AllowClobber
    }
}

# 2. The listener. Basic authentication and unencrypted traffic stay off: exosp uses neither without TLS.
if ($PSCmdlet.ShouldProcess($HostName, 'HTTPS listener on port 5986')) {
    Set-Service -Name WinRM -StartupType Automatic
    Start-Service -Name WinRM
    Set-Item -Path WSMan:\localhost\Service\AllowUnencrypted -Value $false

    if (-not $ListenerThumbprint) {
        $made = New-SelfSignedCertificate -DnsName $HostName -CertStoreLocation Cert:\LocalMachine\My -NotAfter (Get-Date).AddYears(1)
        $ListenerThumbprint = $made.Thumbprint
        Export-Certificate -Cert $made -FilePath (Join-Path $PWD "$HostName.cer") | Out-Null
        Write-Warning "Self-signed certificate $ListenerThumbprint; its public half is in $HostName.cer. Use one of your CA's for more than a trial."
    }
    Get-ChildItem WSMan:\localhost\Listener |
        Where-Object { $_.Keys -contains 'Transport=HTTPS' } |
        Remove-Item -Recurse -Force
    New-Item -Path WSMan:\localhost\Listener -Transport HTTPS -Address * -HostName $HostName -CertificateThumbPrint $ListenerThumbprint -Force | Out-Null

    $rule = 'exosp: WinRM over HTTPS'
    Remove-NetFirewallRule -DisplayName $rule -ErrorAction SilentlyContinue
    New-NetFirewallRule -DisplayName $rule -Direction Inbound -Action Allow -Protocol TCP -LocalPort 5986 -RemoteAddress $AllowFrom | Out-Null
}

# 3. The account and the group. Neither is in Administrators nor in Remote Management Users, so that Windows' own endpoints
# (full language, any command) are closed to it. In a domain, put a domain account or its group into $Group instead.
if ($PSCmdlet.ShouldProcess("$Group, $Account", 'Local group and account')) {
    if (-not (Get-LocalGroup -Name $Group -ErrorAction SilentlyContinue)) {
        New-LocalGroup -Name $Group -Description "May use the endpoint $Endpoint" | Out-Null
    }
    if (-not (Get-LocalUser -Name $Account -ErrorAction SilentlyContinue)) {
        $password = Read-Host -AsSecureString -Prompt "A password for $Account (EXOSP_REMOTING_PASSWORD)"
        New-LocalUser -Name $Account -Password $password -AccountNeverExpires -UserMayNotChangePassword -Description 'exosp signs in here' | Out-Null
    }
    if (-not (Get-LocalGroupMember -Group $Group -Member $Account -ErrorAction SilentlyContinue)) {
        Add-LocalGroupMember -Group $Group -Member $Account
    }
}

# 4. The wrappers. Connect-ExchangeOnline makes its cmdlets as functions while it connects, so they cannot be named in a role
# beforehand, and raw they would take any parameter. Each function below has the name that exosp calls, takes what exosp
# sends, and calls the module's own, which -Prefix names differently and Hide-Inner keeps from the caller.
$Reading = @'
Set-StrictMode -Version 2.0

$script:Inner = 'ExospInner'
$script:Connected = $false
$script:Settings = Import-PowerShellDataFile -Path (Join-Path $PSScriptRoot 'settings.psd1')
$script:Reads = 'Get-ServicePrincipal', 'Get-Mailbox', 'Get-Recipient', 'Get-MailboxPermission',
    'Get-RecipientPermission', 'Get-CASMailbox', 'Get-TransportConfig', 'Get-OrganizationConfig',
    'Get-DistributionGroup', 'Get-UnifiedGroup', 'Get-ManagementScope', 'Get-ManagementRoleAssignment',
    'Get-User', 'Get-MailboxFolderPermission', 'Get-AuthenticationPolicy',
    'Get-ApplicationAccessPolicy', 'Search-UnifiedAuditLog'
$script:Writes = @()

function Hide-Inner {
    # What the module has just imported is there for the functions of this file, and not for the caller.
    Get-Command -Name "*-$($script:Inner)*" -CommandType Function -ErrorAction SilentlyContinue |
        ForEach-Object { $_.Visibility = 'Private' }
}

function Connect-Inner {
    param([System.Collections.IDictionary] $With)
    Connect-ExchangeOnline @With -CommandName ($script:Reads + $script:Writes) -Prefix $script:Inner -ShowBanner:$false -SkipLoadingFormatData
    Hide-Inner
    $script:Connected = $true
}

function Connect-First {
    if (-not $script:Connected -and $script:Settings.AppId) {
        Connect-Inner -With @{
            AppId = $script:Settings.AppId
            CertificateThumbprint = $script:Settings.CertificateThumbprint
            Organization = $script:Settings.Organization
            ExchangeEnvironmentName = $script:Settings.ExchangeEnvironmentName
        }
    }
}

function Invoke-Inner {
    param([string] $Verb, [string] $Noun, [System.Collections.IDictionary] $With)
    Connect-First
    & "$Verb-$($script:Inner)$Noun" @With
}

function Connect-Exosp {
    [CmdletBinding()]
    param(
        # exosp's access token for Exchange. As a SecureString it stands in no log of commands on this host.
        [Parameter(Mandatory = $true)]
        [securestring] $Token,
        [ValidatePattern('^[A-Za-z0-9-]+\.(onmicrosoft\.com|onmicrosoft\.us|partner\.onmschina\.cn)$')]
        [string] $Organization,
        [ValidatePattern('^[A-Za-z0-9-]+\.(onmicrosoft\.com|onmicrosoft\.us|partner\.onmschina\.cn)$')]
        [string] $DelegatedOrganization,
        [ValidatePattern('^[^\s*;|&<>"`$()]{1,320}$')]
        [string] $UserPrincipalName,
        [ValidateSet('O365Default', 'O365USGovGCCHigh', 'O365USGovDoD', 'O365China')]
        [string] $ExchangeEnvironmentName
    )
    $with = @{}
    foreach ($name in $PSBoundParameters.Keys) {
        if ($name -in 'Organization', 'DelegatedOrganization', 'UserPrincipalName', 'ExchangeEnvironmentName') {
            $with[$name] = $PSBoundParameters[$name]
        }
    }
    # -AccessToken is a String: from here on, logging of module calls on this host would see it (see the end of host.ps1).
    $with['AccessToken'] = (New-Object System.Management.Automation.PSCredential 'token', $Token).GetNetworkCredential().Password
    Connect-Inner -With $with
}

function Disconnect-Exosp {
    [CmdletBinding()]
    param()
    Disconnect-ExchangeOnline -Confirm:$false
    $script:Connected = $false
}

function Get-ExospCommand {
    # Which of these functions have something to call. Get-Command shows all of them, whatever the roles of who signed in to
    # Exchange: a cmdlet that they do not hold is not loaded.
    [CmdletBinding()]
    param()
    Connect-First
    foreach ($name in ($script:Reads + $script:Writes)) {
        $inner = $name -replace '-', "-$($script:Inner)"
        if ($ExecutionContext.InvokeCommand.GetCommand($inner, 'Function')) {
            New-Object -TypeName PSObject -Property @{ Name = $name }
        }
    }
}

function Get-ServicePrincipal {
    [CmdletBinding()]
    param([ValidatePattern('^[0-9A-Fa-f-]{36}$')] [string] $Identity)
    Invoke-Inner 'Get' 'ServicePrincipal' $PSBoundParameters
}

function Get-Mailbox {
    [CmdletBinding()]
    param(
        [Parameter(ValueFromPipeline = $true)] [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $Identity,
        [ValidatePattern('^(\d{1,7}|Unlimited)$')] [string] $ResultSize,
        [switch] $SoftDeletedMailbox,
        [switch] $GroupMailbox
    )
    process { Invoke-Inner 'Get' 'Mailbox' $PSBoundParameters }
}

function Get-Recipient {
    [CmdletBinding()]
    param(
        # An audit looks up names that people chose, which may hold anything.
        [Parameter(ValueFromPipeline = $true)] [ValidateLength(1, 320)] [string] $Identity,
        [ValidatePattern('^(\d{1,7}|Unlimited)$')] [string] $ResultSize
    )
    process { Invoke-Inner 'Get' 'Recipient' $PSBoundParameters }
}

function Get-MailboxPermission {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, ValueFromPipeline = $true)] [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $Identity,
        [ValidatePattern('^(\d{1,7}|Unlimited)$')] [string] $ResultSize,
        [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $User,
        [switch] $IncludeUnresolvedPermissions,
        [switch] $SoftDeletedMailbox,
        [switch] $GroupMailbox
    )
    process { Invoke-Inner 'Get' 'MailboxPermission' $PSBoundParameters }
}

function Get-RecipientPermission {
    [CmdletBinding()]
    param(
        [Parameter(ValueFromPipeline = $true)] [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $Identity,
        [ValidatePattern('^(\d{1,7}|Unlimited)$')] [string] $ResultSize,
        [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $Trustee
    )
    process { Invoke-Inner 'Get' 'RecipientPermission' $PSBoundParameters }
}

function Get-CASMailbox {
    [CmdletBinding()]
    param(
        [Parameter(ValueFromPipeline = $true)] [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $Identity,
        [ValidatePattern('^(\d{1,7}|Unlimited)$')] [string] $ResultSize
    )
    process { Invoke-Inner 'Get' 'CASMailbox' $PSBoundParameters }
}

function Get-TransportConfig {
    [CmdletBinding()]
    param()
    Invoke-Inner 'Get' 'TransportConfig' @{}
}

function Get-OrganizationConfig {
    [CmdletBinding()]
    param()
    Invoke-Inner 'Get' 'OrganizationConfig' @{}
}

function Get-DistributionGroup {
    [CmdletBinding()]
    param(
        [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $Identity,
        [ValidatePattern('^(\d{1,7}|Unlimited)$')] [string] $ResultSize
    )
    Invoke-Inner 'Get' 'DistributionGroup' $PSBoundParameters
}

function Get-UnifiedGroup {
    [CmdletBinding()]
    param(
        [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $Identity,
        [ValidatePattern('^(\d{1,7}|Unlimited)$')] [string] $ResultSize
    )
    Invoke-Inner 'Get' 'UnifiedGroup' $PSBoundParameters
}

function Get-ManagementScope {
    [CmdletBinding()]
    param([ValidatePattern('^[^*;|<>"`]{1,64}$')] [string] $Identity)
    Invoke-Inner 'Get' 'ManagementScope' $PSBoundParameters
}

function Get-ManagementRoleAssignment {
    [CmdletBinding()]
    param(
        [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $Identity,
        [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $RoleAssignee,
        [ValidateSet('Application SMTP.SendAsApp')] [string] $Role,
        [ValidatePattern('^[A-Za-z]{1,40}$')] [string] $RoleAssigneeType
    )
    Invoke-Inner 'Get' 'ManagementRoleAssignment' $PSBoundParameters
}

function Get-User {
    [CmdletBinding()]
    param(
        # A name that people chose, which may hold anything.
        [ValidateLength(1, 320)] [string] $Identity,
        [ValidatePattern('^(\d{1,7}|Unlimited)$')] [string] $ResultSize
    )
    Invoke-Inner 'Get' 'User' $PSBoundParameters
}

function Get-MailboxFolderPermission {
    [CmdletBinding()]
    param(
        # MAILBOX:\FOLDER, one of those that a mailbox starts with; without a name, the root.
        [Parameter(Mandatory = $true)] [ValidatePattern('^[^;<>"\\]{1,320}:\\[\w ]{0,64}$')] [string] $Identity,
        [ValidatePattern('^(\d{1,7}|Unlimited)$')] [string] $ResultSize,
        [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $User
    )
    Invoke-Inner 'Get' 'MailboxFolderPermission' $PSBoundParameters
}

function Get-AuthenticationPolicy {
    [CmdletBinding()]
    param()
    Invoke-Inner 'Get' 'AuthenticationPolicy' @{}
}

function Get-ApplicationAccessPolicy {
    [CmdletBinding()]
    param()
    Invoke-Inner 'Get' 'ApplicationAccessPolicy' @{}
}

function Search-UnifiedAuditLog {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)] [ValidatePattern('^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$')] [string] $StartDate,
        [Parameter(Mandatory = $true)] [ValidatePattern('^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$')] [string] $EndDate,
        # Only who changed access: the log also holds what everybody opens and sends, and without -Operations shows all of it.
        [Parameter(Mandatory = $true)] [ValidateSet('Add-MailboxPermission', 'Remove-MailboxPermission',
            'Add-RecipientPermission', 'Remove-RecipientPermission', 'Add-MailboxFolderPermission',
            'Set-MailboxFolderPermission', 'Remove-MailboxFolderPermission', 'New-ServicePrincipal',
            'Remove-ServicePrincipal', 'Set-ServicePrincipal', 'New-ApplicationAccessPolicy',
            'Remove-ApplicationAccessPolicy', 'New-ManagementRoleAssignment', 'Remove-ManagementRoleAssignment',
            'New-ManagementScope', 'Set-ManagementScope', 'Remove-ManagementScope', 'Set-CASMailbox',
            'Set-TransportConfig')]
        [string[]] $Operations,
        [ValidatePattern('^exosp-[0-9a-f-]{36}$')] [string] $SessionId,
        [ValidateSet('ReturnLargeSet')] [string] $SessionCommand,
        [ValidatePattern('^\d{1,4}$')] [string] $ResultSize
    )
    Invoke-Inner 'Search' 'UnifiedAuditLog' $PSBoundParameters
}
'@

# What an endpoint that only audits goes without: apply, undo and destroy need these, and verify the last.
$Changing = @'

$script:Writes = 'New-ServicePrincipal', 'Remove-ServicePrincipal', 'Add-MailboxPermission',
    'Remove-MailboxPermission', 'Add-RecipientPermission', 'Remove-RecipientPermission',
    'Set-CASMailbox', 'New-ManagementScope', 'Set-ManagementScope', 'Remove-ManagementScope',
    'New-ManagementRoleAssignment', 'Remove-ManagementRoleAssignment',
    'Test-ServicePrincipalAuthorization'

function New-ServicePrincipal {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)] [ValidatePattern('^[0-9A-Fa-f-]{36}$')] [string] $AppId,
        [Parameter(Mandatory = $true)] [ValidatePattern('^[0-9A-Fa-f-]{36}$')] [string] $ObjectId,
        [ValidateLength(1, 256)] [string] $DisplayName
    )
    Invoke-Inner 'New' 'ServicePrincipal' $PSBoundParameters
}

function Remove-ServicePrincipal {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)] [ValidatePattern('^[0-9A-Fa-f-]{36}$')] [string] $Identity, [switch] $Confirm)
    Invoke-Inner 'Remove' 'ServicePrincipal' $PSBoundParameters
}

function Add-MailboxPermission {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, ValueFromPipeline = $true)] [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $Identity,
        [Parameter(Mandatory = $true)] [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $User,
        [Parameter(Mandatory = $true)] [ValidateSet('FullAccess', 'ReadPermission')] [string[]] $AccessRights,
        [bool] $AutoMapping
    )
    process { Invoke-Inner 'Add' 'MailboxPermission' $PSBoundParameters }
}

function Remove-MailboxPermission {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, ValueFromPipeline = $true)] [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $Identity,
        [Parameter(Mandatory = $true)] [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $User,
        [Parameter(Mandatory = $true)] [ValidatePattern('^\w+$')] [string[]] $AccessRights,
        [switch] $Confirm
    )
    process { Invoke-Inner 'Remove' 'MailboxPermission' $PSBoundParameters }
}

function Add-RecipientPermission {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, ValueFromPipeline = $true)] [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $Identity,
        [Parameter(Mandatory = $true)] [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $Trustee,
        [Parameter(Mandatory = $true)] [ValidateSet('SendAs')] [string[]] $AccessRights,
        [switch] $Confirm
    )
    process { Invoke-Inner 'Add' 'RecipientPermission' $PSBoundParameters }
}

function Remove-RecipientPermission {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, ValueFromPipeline = $true)] [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $Identity,
        [Parameter(Mandatory = $true)] [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $Trustee,
        [Parameter(Mandatory = $true)] [ValidateSet('SendAs')] [string[]] $AccessRights,
        [switch] $Confirm
    )
    process { Invoke-Inner 'Remove' 'RecipientPermission' $PSBoundParameters }
}

function Set-CASMailbox {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, ValueFromPipeline = $true)] [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $Identity,
        [bool] $ImapEnabled,
        [bool] $PopEnabled,
        # $null means: as the organization says.
        [System.Nullable[bool]] $SmtpClientAuthenticationDisabled
    )
    process { Invoke-Inner 'Set' 'CASMailbox' $PSBoundParameters }
}

function New-ManagementScope {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)] [ValidatePattern('^[^*;|<>"`]{1,64}$')] [string] $Name,
        # OPATH, which Exchange reads and PowerShell does not.
        [Parameter(Mandatory = $true)] [ValidateLength(1, 4096)] [string] $RecipientRestrictionFilter
    )
    Invoke-Inner 'New' 'ManagementScope' $PSBoundParameters
}

function Set-ManagementScope {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)] [ValidatePattern('^[^*;|<>"`]{1,64}$')] [string] $Identity,
        [Parameter(Mandatory = $true)] [ValidateLength(1, 4096)] [string] $RecipientRestrictionFilter
    )
    Invoke-Inner 'Set' 'ManagementScope' $PSBoundParameters
}

function Remove-ManagementScope {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)] [ValidatePattern('^[^*;|<>"`]{1,64}$')] [string] $Identity, [switch] $Confirm)
    Invoke-Inner 'Remove' 'ManagementScope' $PSBoundParameters
}

function New-ManagementRoleAssignment {
    [CmdletBinding()]
    param(
        [ValidatePattern('^[^*;|<>"`]{1,64}$')] [string] $Name,
        # Only the one role that exosp assigns: with another, a caller could give itself anything.
        [Parameter(Mandatory = $true)] [ValidateSet('Application SMTP.SendAsApp')] [string] $Role,
        [Parameter(Mandatory = $true)] [ValidatePattern('^[0-9A-Fa-f-]{36}$')] [string] $App,
        [ValidatePattern('^[^*;|<>"`]{1,64}$')] [string] $CustomResourceScope,
        [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $RecipientAdministrativeUnitScope,
        [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $RecipientGroupScope
    )
    Invoke-Inner 'New' 'ManagementRoleAssignment' $PSBoundParameters
}

function Remove-ManagementRoleAssignment {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)] [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $Identity, [switch] $Confirm)
    Invoke-Inner 'Remove' 'ManagementRoleAssignment' $PSBoundParameters
}

function Test-ServicePrincipalAuthorization {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true)] [ValidatePattern('^[0-9A-Fa-f-]{36}$')] [string] $Identity,
        [ValidatePattern('^[^*;|<>"`]{1,320}$')] [string] $Resource
    )
    Invoke-Inner 'Test' 'ServicePrincipalAuthorization' $PSBoundParameters
}
'@

$Wrappers = if ($ReadOnly) { $Reading } else { $Reading + "`n" + $Changing }

if ($PSCmdlet.ShouldProcess($ModuleFolder, 'Wrappers and role capability')) {
    $roles = Join-Path $ModuleFolder 'RoleCapabilities'
    New-Item -ItemType Directory -Path $roles -Force | Out-Null
    Set-Content -Path (Join-Path $ModuleFolder "$Endpoint.psm1") -Value $Wrappers -Encoding UTF8

    # What the parameters above have checked; nothing here is a secret.
    $settings = @"
@{
    AppId = '$AppId'
    CertificateThumbprint = '$CertificateThumbprint'
    Organization = '$Organization'
    ExchangeEnvironmentName = '$ExchangeEnvironmentName'
}
"@
    Set-Content -Path (Join-Path $ModuleFolder 'settings.psd1') -Value $settings -Encoding UTF8

    $offered = [regex]::Matches($Wrappers, '(?m)^function ([A-Z][A-Za-z]+-[A-Za-z]+)') |
        ForEach-Object { $_.Groups[1].Value } |
        Where-Object { $_ -notin 'Hide-Inner', 'Connect-Inner', 'Connect-First', 'Invoke-Inner' }
    if ($ByCertificate) {
        $offered = $offered | Where-Object { $_ -notin 'Connect-Exosp', 'Disconnect-Exosp' }
    }
    New-ModuleManifest -Path (Join-Path $ModuleFolder "$Endpoint.psd1") -RootModule "$Endpoint.psm1" -ModuleVersion '1.0.0' -FunctionsToExport $offered
    New-PSRoleCapabilityFile -Path (Join-Path $roles "$Role.psrc") -ModulesToImport 'ExchangeOnlineManagement', $Endpoint -VisibleFunctions $offered
}

if ($PSCmdlet.ShouldProcess($Endpoint, 'Session configuration (WinRM is restarted)')) {
    $configuration = @{
        Path = Join-Path $ModuleFolder "$Endpoint.pssc"
        SessionType = 'RestrictedRemoteServer'
        LanguageMode = 'NoLanguage'
        RoleDefinitions = @{ "$env:COMPUTERNAME\$Group" = @{ RoleCapabilities = $Role } }
    }
    if ($ServiceAccount) {
        $configuration['GroupManagedServiceAccount'] = $ServiceAccount
    }
    else {
        $configuration['RunAsVirtualAccount'] = $true
    }
    if ($TranscriptFolder) {
        $configuration['TranscriptDirectory'] = $TranscriptFolder
    }
    New-PSSessionConfigurationFile @configuration
    if (-not (Test-PSSessionConfigurationFile -Path $configuration.Path)) {
        throw "The session configuration file $($configuration.Path) is not valid."
    }
    if (Get-PSSessionConfiguration -Name $Endpoint -ErrorAction SilentlyContinue) {
        Unregister-PSSessionConfiguration -Name $Endpoint -Force
    }
    Register-PSSessionConfiguration -Name $Endpoint -Path $configuration.Path -Force | Out-Null
}

# What to look at afterwards.
#
#   What the group may do here, without signing in as it:
#     Get-PSSessionCapability -ConfigurationName Exosp.JEA -Username "$env:COMPUTERNAME\exosp"
#     Get-PSSessionCapability -ConfigurationName Exosp.Audit -Username "$env:COMPUTERNAME\exosp-audit"
#   It must list the functions above and PowerShell's own eight, and no Connect-ExchangeOnline. With -ReadOnly each of the
#   functions but Connect-Exosp and Disconnect-Exosp begins with Get- or Search-. Get-ExospCommand says, in a session that is
#   connected, which of them the roles of who signed in to Exchange let do anything.
#
#   After a session has connected, the same must hold from within it: a Get-Command there shows no *-ExospInner* command.
#
#   What this host writes down of sessions. Each is off unless a policy switches it on:
#     module logging (event 4103)        parameters of each command: of Connect-ExchangeOnline also -AccessToken, as text
#     script block logging (event 4104)  the text of functions, which holds no token
#     transcripts                        what was typed and shown; exosp types nothing
#   A SecureString stands in none of them. Connect-Exosp must hand the token on as text, so leave ExchangeOnlineManagement
#   and the endpoint's module out of module logging's list, or let the host sign in with its own certificate, where there is no token.
