"""How a tenant gets a public client of its own, by which one sign-in of a person serves Microsoft Graph and Exchange.

Delegated permissions by name, looked up in the tenant: ids differ between clouds. Source: learn.microsoft.com/graph/api/
application-post-applications, oauth2permissiongrant-post; Graph PowerShell's help.
"""

NAME = "exosp sign-in"
GRAPH_SCOPES = ("Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All")
EXCHANGE_SCOPES = ("Exchange.Manage",)
_ENVIRONMENT = {"gcc-high": "USGov", "dod": "USGovDoD", "china": "China"}


def commands(cloud: str) -> tuple[str, ...]:
    """Graph PowerShell, for somebody who may register applications and consent."""
    environment = f" -Environment {_ENVIRONMENT[cloud]}" if cloud in _ENVIRONMENT else ""
    graph, exchange = ", ".join(f"'{s}'" for s in GRAPH_SCOPES), ", ".join(f"'{s}'" for s in EXCHANGE_SCOPES)
    return (
        f"Connect-MgGraph{environment} -Scopes Application.ReadWrite.All, DelegatedPermissionGrant.ReadWrite.All, "
        "AppRoleAssignment.ReadWrite.All, User.ReadBasic.All",
        "$graph = Get-MgServicePrincipal -Filter \"appId eq '00000003-0000-0000-c000-000000000000'\"",
        "$exchange = Get-MgServicePrincipal -Filter \"appId eq '00000002-0000-0ff1-ce00-000000000000'\"",
        "function Scopes($of, $names) { @{ ResourceAppId = $of.AppId; ResourceAccess = @($of.Oauth2PermissionScopes | "
        "Where-Object Value -In $names | ForEach-Object { @{ Id = $_.Id; Type = 'Scope' } }) } }",
        f"$app = New-MgApplication -DisplayName '{NAME}' -SignInAudience AzureADMyOrg -IsFallbackPublicClient "
        "-PublicClient @{ RedirectUris = @('http://localhost') } "
        f"-RequiredResourceAccess (Scopes $graph @({graph})), (Scopes $exchange @({exchange}))",
        "$principal = New-MgServicePrincipal -AppId $app.AppId -AppRoleAssignmentRequired",
        f"New-MgOauth2PermissionGrant -ClientId $principal.Id -ConsentType AllPrincipals -ResourceId $graph.Id "
        f"-Scope '{' '.join(GRAPH_SCOPES)}'",
        f"New-MgOauth2PermissionGrant -ClientId $principal.Id -ConsentType AllPrincipals -ResourceId $exchange.Id "
        f"-Scope '{' '.join(EXCHANGE_SCOPES)}'",
        "# who may sign in by it: nobody else can",
        "New-MgServicePrincipalAppRoleAssignedTo -ServicePrincipalId $principal.Id -ResourceId $principal.Id "
        "-PrincipalId (Get-MgUser -UserId ADMIN@TENANT).Id -AppRoleId 00000000-0000-0000-0000-000000000000",
        "$app.AppId",
    )


def text(cloud: str) -> str:
    lines = "\n".join(f"  {line}" for line in commands(cloud))
    return f"""\
A public client of the tenant's own, so that one sign-in of a person serves Microsoft Graph and Exchange. It holds no
secret, and nobody can do more by it than their own directory roles allow. In PowerShell with Microsoft.Graph, by a
Privileged Role Administrator or Global Administrator:

{lines}

Then, as one whom the last lines let in, with the directory roles Cloud Application Administrator and Exchange Recipient
Administrator or a role group of exosp's own (exosp preflight PLAYBOOK prints it):

  exosp preflight PLAYBOOK --sign-in browser --client-id APP-ID

IsFallbackPublicClient is for --sign-in device-code alone; leave it out where browsers do. AppRoleAssignment.ReadWrite.All
is for consent: leave it out where somebody else consents."""
