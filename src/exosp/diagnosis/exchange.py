"""Symptoms of Exchange's cmdlets and of the connection that carries them."""

from .mail import ENTRY
from .row import EXCHANGE, REMOTING, Row, said

AGAIN = "exosp waits and repeats it; if it gave up, run exosp apply PLAYBOOK again"
APP_ONLY = "learn.microsoft.com, App-only authentication for unattended scripts in Exchange Online PowerShell"

ROWS: tuple[Row, ...] = (
    # Cmdlets
    Row(
        "exchange-principal-not-found", EXCHANGE, None, said(r"AADServicePrincipalNotFound|No ServicePrincipal with Object Id"),
        "AADServicePrincipalNotFound: No ServicePrincipal with Object Id '33333333-3333-3333-3333-333333333333' is registered.",
        (
            "the enterprise application was made a moment ago and Exchange does not know it yet",
            "the object ID is the application's own; Exchange needs the enterprise application's",
        ),
        f"{AGAIN}; exosp never sends the other ID", ENTRY, "public reports up to August 2026", "B", propagation=True,
    ),
    Row(
        "exchange-not-found", EXCHANGE, None, said("ManagementObjectNotFoundException|couldn't be found on '|The specified mailbox doesn't exist"),
        "Ex6F9304|Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException|The operation couldn't be performed because object 'nobody@contoso.com' couldn't be found on 'DC1.PROD.OUTLOOK.COM'.",
        ("no mailbox has this address", "the object was made a moment ago and is not everywhere yet"),
        "check the address in the playbook; for a new mailbox run exosp apply PLAYBOOK again later",
        "Get-EXORecipient -Identity ADDRESS", "Microsoft's test texts; public reports", "B", propagation=True,
    ),
    Row(
        "exchange-ambiguous", EXCHANGE, None, said("ManagementObjectAmbiguousException|matches multiple entries"),
        "Microsoft.Exchange.Configuration.Tasks.ManagementObjectAmbiguousException|The operation couldn't be performed because 'Support' matches multiple entries.",
        ("the name stands for several objects",),
        "name mailboxes by address and applications by object ID, never by display name", "", "public reports", "B",
    ),
    Row(
        "exchange-permission-there", EXCHANGE, None, said("appropriate access control entry is already present"),
        'WARNING: The appropriate access control entry is already present on the object "CN=support" for account "S-1-5-21-1".',
        ("the permission was there already: nothing is wrong",),
        "none: exosp counts it as done", "", "public reports", "B",
    ),
    Row(
        "exchange-entry-there", EXCHANGE, None, said(r"already exist"),
        "The service principal already exists.",
        ("Exchange holds an entry for this application: right, or from long ago with the wrong object ID",),
        "exosp plan PLAYBOOK shows which, exosp apply PLAYBOOK repairs it",
        f"Get-ServicePrincipal | Where-Object AppId -eq APPLICATION-ID; {ENTRY}",
        "KelvinTegelaar/CIPP-API Set-CIPPSAMAdminRoles.ps1", "C",
    ),
    Row(
        "exchange-dehydrated", EXCHANGE, None, said("isn't currently allowed in your organization"),
        "The command you tried to run isn't currently allowed in your organization. To run this command, you first need to run the command: Enable-OrganizationCustomization.",
        ("the organization still has its standard settings; scopes and role assignments need its own",),
        "run the cmdlet once, wait an hour, then exosp apply PLAYBOOK", "Enable-OrganizationCustomization",
        "learn.microsoft.com, Enable-OrganizationCustomization", "A",
    ),
    # Who connects
    Row(
        "exchange-role-unsupported", EXCHANGE, None, said("isn't supported in this scenario"),
        "The role assigned to application 44444444-4444-4444-4444-444444444444 isn't supported in this scenario. Please check online documentation for assigning correct Directory Roles to Azure AD Application for EXO App-Only Authentication.",
        (
            "the one who runs exosp has Exchange.ManageAsApp and no Entra role with it",
            "the role was assigned within the last hour and has no effect yet",
        ),
        "assign it Exchange Administrator in Entra, wait, run exosp again", "",
        f"{APP_ONLY}; github.com/microsoft/Microsoft365DSC/issues/4530", "B", propagation=True,
    ),
    Row(
        "exchange-not-allowed", EXCHANGE, None, said(r"is not allowed to call|\b(401|403)\b.*InvokeCommand"),
        "User is not allowed to call Get-Mailbox",
        (
            "the token's roles lack Exchange.ManageAsApp (401)",
            "there is no Entra role or role group with it (403)",
            "either was given within the last hour and has no effect yet",
        ),
        "grant Exchange.ManageAsApp and assign Exchange Administrator to the one who runs exosp", "", APP_ONLY, "B", propagation=True,
    ),
    Row(
        "exchange-module-manifest", EXCHANGE, None, said("'?Update-ModuleManifest'? is not recognized"),
        "The term 'Update-ModuleManifest' is not recognized as the name of a cmdlet, function, script file, or operable program.",
        ("the host's PowerShellGet is missing or broken",),
        "install PowerShellGet on the host, or connect with -SkipLoadingFormatData",
        "Connect-ExchangeOnline -SkipLoadingFormatData", "learn.microsoft.com, About the Exchange Online PowerShell module", "A",
    ),
    Row(
        "exchange-cmdlet-missing", EXCHANGE, None, said("is not recognized as (the|a) name of a cmdlet|-ServicePrincipal is not present"),
        "The term 'New-ServicePrincipal' is not recognized as the name of a cmdlet, function, script file, or operable program.",
        (
            "the one who connects lacks the Exchange role that holds the cmdlet: it is then simply absent",
            "the session is not connected to Exchange Online",
            "this is an Exchange server on premises, which has no such cmdlet",
        ),
        "assign Exchange Administrator (New-ServicePrincipal is in the role Role Management) to the one who runs exosp",
        "Get-ManagementRoleAssignment -Role 'Role Management'; Connect-ExchangeOnline",
        "github.com/MicrosoftDocs/office-developer-exchange-docs/pull/301", "B", propagation=True,
    ),
    # Hosts that carry PowerShell
    Row(
        "host-key-unreadable", EXCHANGE, None, said("Keyset does not exist"), "Keyset does not exist",
        ("the account that connects may not read the certificate's private key",),
        "give that account read access to the key on the host", "",
        "github.com/MicrosoftDocs/office-docs-powershell/issues/10728", "B",
    ),
    Row(
        "host-key-cng", EXCHANGE, None, said("Invalid provider type specified"), "Invalid provider type specified.",
        ("the certificate's key is a CNG key; Exchange Online PowerShell takes a CSP key only",),
        "make the certificate again with a CSP provider",
        'New-SelfSignedCertificate -KeySpec KeyExchange -Provider "Microsoft Enhanced RSA and AES Cryptographic Provider"', APP_ONLY, "K",
    ),
    Row(
        "host-module-clash", EXCHANGE, None, said(r"Could not load file or assembly '(System\.IdentityModel|Microsoft\.Identity)"),
        "Could not load file or assembly 'System.IdentityModel.Tokens.Jwt, Version=6.21.0.0'",
        ("the Exchange and the Graph modules of PowerShell were loaded into one process; they clash",),
        "load only ExchangeOnlineManagement in the host's session", "",
        "learn.microsoft.com, About the Exchange Online PowerShell module", "A",
    ),
    Row(
        "host-no-language", REMOTING, None, said("syntax is not supported by this runspace"),
        "The syntax is not supported by this runspace. This can occur if the runspace is in no-language mode.",
        ("a script was sent to an endpoint that takes single cmdlets only",),
        "exosp sends none; let other tools add cmdlets and parameters one by one", "", "github.com/jborean93/pypsrp/issues/103", "B",
    ),
    Row(
        "winrm-name", REMOTING, None, said("0x80090322|SEC_E_WRONG_PRINCIPAL"),
        "WinRM cannot process the request. The following error with errorcode 0x80090322 occurred while using Kerberos authentication.",
        ("the host's service principal name does not fit the name it is reached by", "its HTTP name belongs to another account"),
        "reach the host by its own full name", "setspn -Q HTTP/HOST", "public reports", "B",
    ),
    Row(
        "winrm-denied", REMOTING, None, said(r"Access is denied|0x80070005|LocalAccountTokenFilterPolicy"),
        "Access is denied. (0x80070005)",
        (
            "the account may not use the host's endpoint",
            "it is a local account, whose rights are filtered over the network (LocalAccountTokenFilterPolicy)",
        ),
        "add the account to Remote Management Users on the host, or use a domain account", "",
        "learn.microsoft.com, User Account Control and remote restrictions", "B",
    ),
    Row(
        "winrm-not-found", REMOTING, None, said(r"\bcode:? 404\b|HTTP 404"), "Bad HTTP response returned from the server. Code 404",
        ("port 5985 or 5986 was asked for Exchange's own path: WinRM's is /wsman, Exchange's is port 80 or 443, /PowerShell/",),
        "check EXOSP_REMOTING: winrm://HOST:5986/wsman for a management host", "", "public reports", "B",
    ),
)  # fmt: skip
