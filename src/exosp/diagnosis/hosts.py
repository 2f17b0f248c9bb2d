"""Symptoms of the way to Exchange's cmdlets: the PowerShell module, its certificate and sign-in, WinRM and restricted endpoints."""

from .row import EXCHANGE, REMOTING, Row, Topic, because

APP_ONLY = "learn.microsoft.com, App-only authentication for unattended scripts in Exchange Online PowerShell"
MODULE = "learn.microsoft.com, About the Exchange Online PowerShell module"
WINRM = "learn.microsoft.com, about_Remote_Troubleshooting"
SHELL: frozenset[Topic] = frozenset(("exchange", "winrm", "graph"))
WIN: frozenset[Topic] = frozenset(("winrm",))

_MODULE: tuple[Row, ...] = (
    Row("host-key-unreadable", EXCHANGE, None, "Keyset does not exist",
        because(("key-unreadable", "the account that connects may not read the certificate's private key"), ("key-unreadable", "the certificate was imported without its key")), "github.com/MicrosoftDocs/office-docs-powershell/issues/10728", "B",
        says=("Keyset does not exist", "Schlüsselsatz nicht vorhanden", "Le jeu de clés n'existe pas", "does not have a private key", "The certificate does not have a private key", "The certificate certificate does not have a private key", "0x80090016", "Access denied … private key")),
    Row("host-key-cng", EXCHANGE, None, "Invalid provider type specified.",
        because("key-cng"), APP_ONLY, "K", says=("Invalid provider type specified", "Could not use the certificate for signing", "certificate type (non-CNG)", "Ungültiger Providertyp angegeben")),
    Row("host-certificate-missing", EXCHANGE, None, "Could not find certificate with thumbprint 'THUMBPRINT' in the certificate store.",
        because(("key-unreadable", "the certificate is not in the store of the account that connects (CurrentUser\\My), or the thumbprint is wrong")), "github.com/MicrosoftDocs/office-docs-powershell/issues/8115", "B",
        says=("certificate with the thumbprint … found", "Could not find certificate with thumbprint", "was not found in certificate store", "No certificate with thumbprint", "Certificate with thumbprint … was not found", "Cannot find certificate with thumbprint", "certificate was not found in the certificate store", "certificate … not found or has expired"), near=SHELL),
    Row("host-module-clash", EXCHANGE, None, "Could not load file or assembly 'System.IdentityModel.Tokens.Jwt, Version=6.21.0.0'",
        because(("module-clash", "the Exchange and the Graph (or Az, PnP, Teams) modules of PowerShell were loaded into one process; they clash over a library")), MODULE, "A",
        says=("Could not load file or assembly 'System.IdentityModel", "Could not load file or assembly 'Microsoft.Identity", "Could not load file or assembly 'Microsoft.OData", "Could not load file or assembly 'Microsoft.Graph", "Could not load file or assembly 'Azure", "Could not load file or assembly 'Newtonsoft", "Could not load type 'Microsoft.Identity", "Method not found: … Microsoft.Identity.Client", "Method not found … Msal", "Assembly with same name is already loaded", "Could not load file or assembly 'System.Text.Json", "Method 'get_SerializationSettings'", "WithLogging(Microsoft.IdentityModel", "The given key 'Microsoft.Identity"), regex=r"Could not load (file or assembly|type) '(Microsoft\.(Identity|Graph|OData|Exchange)|System\.IdentityModel|Azure)", hints=("couldnotload",)),
    Row("host-app-only-delegated", EXCHANGE, None, "Connect-ExchangeOnline -AppId APPLICATION-ID -DelegatedOrganization contoso.onmicrosoft.com: Access is denied",
        because(("application-for-delegated", "application-only sign-in knows no -DelegatedOrganization"), "remote-powershell-gone"), "github.com/MicrosoftDocs/office-docs-powershell/issues/8035", "B", regex=r"-AppId\b.{0,400}-DelegatedOrganization\b|-DelegatedOrganization\b.{0,400}-AppId\b", hints=("delegatedorganization",), near=frozenset(("exchange",)), weight="code"),
    Row("host-module-missing", EXCHANGE, None, "The specified module 'ExchangeOnlineManagement' was not loaded because no valid module file was found in any module directory.",
        because("module-missing"), "public reports", "A", says=("ExchangeOnlineManagement' was not loaded because no valid module file", "Modules_ModuleNotFound", "no valid module file was found in any module directory"), near=SHELL),
    Row("host-module-install", EXCHANGE, None, "Unable to resolve package source 'https://www.powershellgallery.com/api/v2'. WARNING: Unable to download from URI",
        because(("tls-version-old", "Windows PowerShell 5.1 offers TLS 1.0 alone to the gallery"), ("proxy-in-between", "a proxy keeps the gallery away")), "public reports", "B",
        says=("Unable to resolve package source", "No match was found for the specified search criteria and module name", "NuGet provider is required", "Unable to download from URI … NuGet", "Unable to find module repositories"), given_fix="use TLS 1.2 for the session, then install the module",
        given_cmdlet="[Net.ServicePointManager]::SecurityProtocol = 'Tls12'; Install-Module ExchangeOnlineManagement -Scope CurrentUser"),
    Row("host-execution-policy", EXCHANGE, None, "File ExchangeOnlineManagement.psm1 cannot be loaded because running scripts is disabled on this system.",
        because("execution-policy"), "learn.microsoft.com, about_Execution_Policies", "A", says=("running scripts is disabled on this system", "is not digitally signed. You cannot run this script", "PSSecurityException", "Ausführung von Skripts auf diesem System deaktiviert", "l'exécution de scripts est désactivée", "la ejecución de scripts está deshabilitada"), near=SHELL),
    Row("host-powershell-version", EXCHANGE, None, "The current PowerShell version is: 7.2. The module requires a minimum PowerShell version of '7.4.0' to execute: ExchangeOnlineManagement",
        because("powershell-version"), MODULE, "A", says=("requires a minimum PowerShell version", "requires a minimum Windows PowerShell version", "is not compatible with the version of PowerShell", "does not support current PowerShell edition", "Could not load type 'System.Runtime"), near=SHELL),
    Row("host-wam", EXCHANGE, None, "Error Acquiring Token: A window handle must be configured. See https://aka.ms/msal-net-wam#parent-window-handles",
        because("signin-window-broken", "module-clash"), "github.com/MicrosoftDocs/office-docs-powershell; public reports", "B",
        says=("A window handle must be configured", "msal-net-wam", "Unknown Status: Unexpected", "WAM Error", "RuntimeBroker", "IncorrectConfiguration … broker", "Error Acquiring Token: Unknown Status", "No application/tab is listening on", "Unable to open a web page using xdg-open", "platform_not_supported", "is not running in UserInteractive mode", "Showing a modal dialog box or form when the application is not running", "UserInteractive mode", "ActiveX control … cannot be instantiated because the current thread is not in a single-threaded apartment")),
    Row("host-organization", EXCHANGE, None, "The specified organization 'TENANT-ID' doesn't exist.",
        because("organization-wrong", "tenant-wrong"), "learn.microsoft.com, Connect-ExchangeOnline", "C", says=("Organization … cannot be found", "Can't find the tenant … Organization", "The specified organization … doesn't exist", "organization couldn't be found", "couldn't find organization"), near=frozenset(("exchange",))),
    Row("host-not-connected", EXCHANGE, None, "You must call the Connect-ExchangeOnline cmdlet before calling any other cmdlets.",
        because("not-connected-to-exchange", "session-expired"), "public reports", "A", says=("must call the Connect-ExchangeOnline cmdlet", "No active connection … Exchange", "There is no active session", "You must call the Connect-MgGraph", "Authentication needed. Please call Connect-MgGraph", "Connect-ExchangeOnline before"), weight="code"),
    Row("host-remote-powershell", EXCHANGE, None, "Connecting to remote server outlook.office365.com failed with the following error message : Access is denied. https://outlook.office365.com/powershell-liveid/",
        because(("remote-powershell-gone", "the connection is of the old kind (New-PSSession, -UseRPSSession, PowerShell-LiveID), which Exchange Online shut off in October 2023"), ("basic-auth-blocked", "the script signs in with a user name and password"), "module-old", "admin-role-missing", ("application-for-delegated", "application-only sign-in was asked together with -DelegatedOrganization")),
        "learn.microsoft.com, Deprecation of Remote PowerShell in Exchange Online", "A", says=("PowerShell-LiveID", "remote server outlook.office365.com failed", "remote server ps.outlook.com failed", "UseRPSSession", "RemotePowerShell … disabled", "Remote PowerShell is disabled for user")),
    Row("host-old-module", EXCHANGE, None, "New-ExoPSSession : an error of a module of the old kind",
        because("module-old", "remote-powershell-gone"), MODULE, "A", says=("New-ExoPSSession", "Connect-EXOPSSession"), weight="echo"),
    Row("host-session-broken", EXCHANGE, None, "The WinRM Shell client cannot process the request. The shell handle passed to the WSMan Shell function is not valid. OperationStopped: Starting a command on the remote server failed",
        because("session-expired", "winrm-quota"), WINRM, "B", says=("shell handle passed to the WSMan", "session state is Broken", "because the session availability is None", "session is not in the Opened state", "The session … is not available to run commands", "The pipeline was not run because a pipeline is already"), near=SHELL),
)  # fmt: skip

_WINRM: tuple[Row, ...] = (
    Row("host-no-language", REMOTING, None, "The syntax is not supported by this runspace. This can occur if the runspace is in no-language mode.",
        because(("no-language", "a script was sent to an endpoint that takes single cmdlets only")), "github.com/jborean93/pypsrp/issues/103", "B",
        says=("syntax is not supported by this runspace", "runspace is in no-language mode", "ScriptsNotAllowed", "A variable that cannot be referenced in restricted language mode", "in RestrictedLanguage mode or a Data section", "no-language mode"), given_fix="exosp sends none; let other tools add cmdlets and parameters one by one", weight="code"),
    Row("winrm-basic-off", REMOTING, None, "The WinRM client cannot process the request. Basic authentication is currently disabled in the client configuration.",
        because(("winrm-basic-off", "Basic is off in the WinRM client, and an old module or script needs it"), "remote-powershell-gone", "module-old"), "public reports", "A", says=("Basic authentication is currently disabled in the client configuration", "Unencrypted traffic is currently disabled in the client configuration", "Basisauthentifizierung ist derzeit in der Clientkonfiguration deaktiviert"), weight="code"),
    Row("winrm-trusted-hosts", REMOTING, None, "The WinRM client cannot process the request. If the authentication scheme is different from Kerberos, or if the client computer is not joined to a domain, then HTTPS transport must be used or the destination machine must be added to the TrustedHosts configuration setting.",
        because("winrm-trusted-hosts"), WINRM, "A", says=("TrustedHosts configuration setting", "added to the TrustedHosts", "Default authentication may be used with an IP address under the following conditions", "ServerNotTrusted", "TrustedHosts-"), weight="code"),
    Row("winrm-name", REMOTING, None, "WinRM cannot process the request. The following error with errorcode 0x80090322 occurred while using Kerberos authentication.",
        because(("winrm-kerberos", "the host's service principal name does not fit the name it is reached by"), ("winrm-kerberos", "its HTTP name belongs to another account")), "public reports", "B",
        says=("0x80090322", "SEC_E_WRONG_PRINCIPAL", "The target principal name is incorrect"), weight="code", given_fix="reach the host by its own full name", given_cmdlet="setspn -Q HTTP/HOST"),
    Row("winrm-kerberos", REMOTING, None, "WinRM cannot process the request. The following error occurred while using Kerberos authentication: Cannot find the computer HOST. 0x80090311",
        because(("winrm-kerberos", "no domain controller can be reached, the host is not in the domain, or the name is an alias"), "clock-wrong", "winrm-trusted-hosts"), WINRM, "B",
        says=("occurred while using Kerberos authentication", "0x80090311", "0x8009030e", "KRB5KDC_ERR", "Cannot contact any KDC", "Server not found in Kerberos database", "No Kerberos credentials available", "Clock skew too great", "GSSException", "SpnegoError", "KRB_AP_ERR_SKEW", "Cannot find KDC for realm", "KerberosExchangeError", "authGSSClientInit", "authGSSClientStep", "kerberos: the specified credentials were rejected"), near=WIN | {"exchange"}),
    Row("winrm-double-hop", REMOTING, None, "A specified logon session does not exist. It may already have been terminated. 0x80070520", because("double-hop"), "learn.microsoft.com, Making the second hop in PowerShell Remoting", "A", says=("A specified logon session does not exist", "0x80070520", "CredSSP authentication"), near=WIN),
    Row("winrm-endpoint", REMOTING, None, "The WS-Management service cannot process the request. Cannot find the Exosp session configuration in the WSMan: drive on the HOST computer.",
        because("endpoint-missing"), WINRM, "A", says=("session configuration in the WSMan", "The resource URI … was not found in the WS-Management catalog", "Cannot find the … session configuration", "is not a valid session configuration", "InvalidResourceURI"), near=WIN),
    Row("winrm-quota", REMOTING, None, "The WS-Management service cannot process the request. This user is allowed a maximum number of 5 concurrent shells, which has been exceeded.",
        because("winrm-quota"), WINRM, "A", says=("maximum number of … concurrent shells", "The maximum number of concurrent shells", "exceeded the quota", "The maximum number of concurrent operations for this user has been exceeded", "Fail to create a runspace because you have exceeded the maximum number of connections allowed"), weight="code", near=WIN | {"exchange"}),
    Row("winrm-credentials", REMOTING, None, "winrm.exceptions.InvalidCredentialsError: the specified credentials were rejected by the server",
        because(("winrm-credentials", "user name, password or mechanism are refused: check the name's form, the auth chosen (ntlm, kerberos, basic) and, over HTTPS, channel binding"), "winrm-denied", "winrm-kerberos", "winrm-basic-off"), "github.com/diyan/pywinrm, issues", "B",
        says=("specified credentials were rejected by the server", "Failed to authenticate the user … with", "InvalidCredentialsError", "WinRMAuthorizationError", "user name or password is incorrect", "Logon failure: unknown user name or bad password … WinRM"), near=WIN, weight="text"),
    Row("winrm-denied", REMOTING, None, "Access is denied. (0x80070005)",
        because(("winrm-denied", "the account may not use the host's endpoint"), ("winrm-denied", "it is a local account, whose rights are filtered over the network (LocalAccountTokenFilterPolicy)"), ("user-password-wrong", "user name or password is wrong")),
        "learn.microsoft.com, User Account Control and remote restrictions", "B", says=("Access is denied", "0x80070005", "LocalAccountTokenFilterPolicy", "Zugriff verweigert", "Accès refusé", "Acceso denegado", "0x8007052e"), near=WIN,
        given_fix="add the account to Remote Management Users on the host, or use a domain account"),
    Row("winrm-not-listening", REMOTING, None, "WinRM cannot complete the operation. Verify that the specified computer name is valid, that the computer is accessible over the network, and that a firewall exception for the WinRM service is enabled",
        because("winrm-not-listening", "name-not-resolved"), WINRM, "A", says=("WinRM cannot complete the operation", "The client cannot connect to the destination specified in the request", "firewall exception for the WinRM service", "0x803380E4", "Verify that the service on the destination is running", "winrm quickconfig", "cannot connect to the destination specified", "0x80338012"), weight="code"),
    Row("winrm-not-found", REMOTING, None, "Bad HTTP response returned from the server. Code 404",
        because(("winrm-path", "port 5985 or 5986 was asked for Exchange's own path: WinRM's is /wsman, Exchange's is port 80 or 443, /PowerShell/")), "public reports", "B",
        says=("response returned from the server. Code 404",), regex=r"\bcode:? 404\b|HTTP 404|\b404\b.{0,40}wsman", hints=("404",), near=WIN | {"exchange"}, given_fix="check EXOSP_REMOTING: winrm://HOST:5986/wsman for a management host"),
    Row("winrm-http", REMOTING, None, "WinRMTransportError: Bad HTTP response returned from server. Code 500",
        because(("winrm-denied", "the endpoint refuses the login or its encryption"), "winrm-path", "service-trouble"), "public reports", "C", says=("WinRMTransportError", "Bad HTTP response returned from"), weight="vague", near=WIN),
)  # fmt: skip

ROWS: tuple[Row, ...] = (*_MODULE, *_WINRM)
