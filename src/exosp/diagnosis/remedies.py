"""What to do about each cause: how to tell it from its neighbours, the fix with exosp, and the fix by hand.

Capitals stand for the reader's own values. ``cmdlet`` is empty where nothing on a command line helps.
"""

from dataclasses import dataclass

from .causes import Cause

APPLY = "exosp apply PLAYBOOK, then exosp verify PLAYBOOK"
AGAIN = "run the command again in a minute"
SCOPE = "https://outlook.office365.com/.default"
GRANT = "Add-MailboxPermission -Identity MAILBOX -User ENTERPRISE-APPLICATION-OBJECT-ID -AccessRights FullAccess -AutoMapping $false"
ENTRY = (
    "New-ServicePrincipal -AppId APPLICATION-ID -ObjectId ENTERPRISE-APPLICATION-OBJECT-ID -DisplayName NAME "
    "(first Remove-ServicePrincipal if Exchange holds another ObjectId)"
)
SMTP_ON = "Set-CASMailbox -Identity MAILBOX -SmtpClientAuthenticationDisabled $false"
SEND_AS = "Add-RecipientPermission -Identity FROM-MAILBOX -Trustee LOGIN-MAILBOX -AccessRights SendAs -Confirm:$false"
XOAUTH2 = "let the mail program use XOAUTH2 (OAuth 2.0) with the application's token"
LOGS = "look up the sign-in in Entra's sign-in logs (people; service principals): it names the policy"
CONSENT = (
    "New-MgServicePrincipalAppRoleAssignedTo -ServicePrincipalId RESOURCE-OBJECT-ID -PrincipalId "
    "ENTERPRISE-APPLICATION-OBJECT-ID -ResourceId RESOURCE-OBJECT-ID -AppRoleId ROLE-ID"
)
EXO = "Connect-ExchangeOnline -AppId APPLICATION-ID -CertificateThumbprint THUMBPRINT -Organization contoso.onmicrosoft.com"


@dataclass(frozen=True)
class Remedy:
    """``tell``: what shows that it is this cause and no other."""

    tell: str
    fix: str
    cmdlet: str = ""


R = Remedy

REMEDIES: dict[Cause, Remedy] = {
    # The application and its credential
    "client-id-wrong": R(
        "compare with Application (client) ID under App registrations, Overview; an object ID or a secret's ID is no client ID",
        "use the Application (client) ID; exosp plan PLAYBOOK shows the application's", "Get-MgApplication -Filter \"appId eq 'APPLICATION-ID'\""),
    "tenant-wrong": R("https://login.microsoftonline.com/TENANT/.well-known/openid-configuration answers only for a real tenant",
                      "write the tenant as contoso.onmicrosoft.com or as its ID, in the playbook or in the token address"),
    "cloud-wrong": R("the openid-configuration's tenant_region_sub_scope or cloud_instance_name names the tenant's cloud",
                     "set cloud in the playbook; use that cloud's login address and Exchange host"),
    "app-not-in-tenant": R("the application is missing under Enterprise applications of this tenant",
                           "exosp apply PLAYBOOK makes it; for another's application an administrator opens its consent address",
                           "New-MgServicePrincipal -AppId APPLICATION-ID"),
    "app-disabled": R("Enterprise applications, Properties: Enabled for users to sign-in is No",
                      "enable it under Enterprise applications, Properties, Enabled for users to sign-in",
                      "Update-MgServicePrincipal -ServicePrincipalId OBJECT-ID -AccountEnabled:$true"),
    "app-single-tenant": R("the address of the request has /common, /organizations or another tenant in it",
                           "name the tenant: https://login.microsoftonline.com/TENANT-ID/oauth2/v2.0/token"),
    "secret-id-for-value": R("a secret's ID is a GUID; its value is 40 characters with a ~, and shown only once",
                             "use the value; if it is lost, remove the secret and run exosp apply PLAYBOOK for a new one",
                             "Add-MgApplicationPassword -ApplicationId APPLICATION-OBJECT-ID"),
    "secret-wrong": R("the hint (first three letters) under Certificates & secrets is not that of the value in use",
                      "remove the secret and run exosp apply PLAYBOOK for a new one; check quoting of $, % and + where it is stored",
                      "Add-MgApplicationPassword -ApplicationId APPLICATION-OBJECT-ID"),
    "secret-expired": R("Certificates & secrets shows the end date", "exosp apply PLAYBOOK makes a new one and saves it",
                        "Add-MgApplicationPassword -ApplicationId APPLICATION-OBJECT-ID"),
    "secret-missing": R("print the length of the variable that holds it, not the value", "set the credential's variables; send client_secret or client_assertion in the body"),
    "certificate-not-registered": R("compare the thumbprint with Certificates & secrets, Certificates of the application",
                                    f"register the certificate's public part with the application; for a new one {AGAIN}"),
    "certificate-expired": R("openssl x509 -enddate shows it", "make and register a new certificate"),
    "assertion-wrong": R("decode the assertion: aud is the token address, iss and sub the client ID, x5t the certificate's thumbprint",
                         "let a library (MSAL, azure-identity) make the assertion"),
    "assertion-expired": R("the message says the time and when the assertion expired", "have a new assertion made for each sign-in; exosp does, where AZURE_FEDERATED_TOKEN_FILE is written anew or GitHub is asked"),
    "clock-wrong": R("compare with the Date header of the answer", "set the clock (NTP)", "w32tm /resync"),
    "federated-subject": R("the message quotes the subject presented: compare it letter by letter",
                           "copy the subject from the message into the federated credential",
                           "Get-MgApplicationFederatedIdentityCredential -ApplicationId APPLICATION-OBJECT-ID"),
    "github-immutable-subject": R("the subject in the message has @ and numbers behind owner and repository",
                                  "copy the subject from the message into the federated credential: repo:OWNER@OWNER-ID/REPOSITORY@REPOSITORY-ID:…",
                                  "Update-MgApplicationFederatedIdentityCredential -ApplicationId APPLICATION-OBJECT-ID"),
    "federated-issuer": R("the message quotes the issuer presented: a slash at the end counts", "copy the issuer from the message into the federated credential",
                          "Get-MgApplicationFederatedIdentityCredential -ApplicationId APPLICATION-OBJECT-ID"),
    "federated-audience": R("the message quotes the audience presented", "set the audience to api://AzureADTokenExchange on both sides",
                            "Get-MgApplicationFederatedIdentityCredential -ApplicationId APPLICATION-OBJECT-ID"),
    "federated-missing": R("Certificates & secrets, Federated credentials is empty for this application", "add a federated credential, and check that the client ID is the right application's",
                           "New-MgApplicationFederatedIdentityCredential -ApplicationId APPLICATION-OBJECT-ID"),
    "credential-policy": R("the policy of the tenant or the application names the limit", "shorten app.credential.valid_for in the playbook, use a certificate, or have the policy changed",
                           "Get-MgPolicyDefaultAppManagementPolicy"),
    "not-replicated": R("it was made within the last minutes, and goes away by itself", "exosp waits and repeats it; if it gave up, run exosp apply PLAYBOOK again"),
    # What the token is asked for
    "scope-wrong": R("the message quotes the scope", f"ask for {SCOPE} (or your cloud's)"),
    "scope-not-default": R("grant_type is client_credentials, and the scope does not end in /.default", f"ask for {SCOPE} (or your cloud's)"),
    "scope-two-resources": R("the scope names two hosts", "ask for one service's .default at a time; one token serves one service"),
    "resource-missing": R("Enterprise applications, all: Office 365 Exchange Online (00000002-0000-0ff1-ce00-000000000000) is missing; or the name in the message is misspelt",
                          f"check cloud and scope ({SCOPE}), and that the tenant has an Exchange Online licence",
                          "New-MgServicePrincipal -AppId 00000002-0000-0ff1-ce00-000000000000"),
    "grant-type-wrong": R("the message names the grant type or the endpoint", "for an application alone: grant_type=client_credentials at /TENANT-ID/oauth2/v2.0/token"),
    "request-malformed": R("the message names the parameter", "POST the parameters as application/x-www-form-urlencoded, each once, values percent-encoded"),
    "redirect-wrong": R("the message quotes the address sent: compare it letter by letter with Authentication, Redirect URIs",
                        "register exactly that address under App registrations, Authentication; an application alone needs none"),
    "public-client-off": R("a device code, user name or desktop flow, with a client that has no secret",
                           "App registrations, Authentication, Allow public client flows: Yes; a web or daemon client sends its secret instead",
                           "Update-MgApplication -ApplicationId APPLICATION-OBJECT-ID -IsFallbackPublicClient:$true"),
    "pkce-wrong": R("the sign-in and the token request come from two tries or two programs", "start the sign-in again, and send the verifier of the same try"),
    "code-used-up": R("a code works once and for some minutes", "start the sign-in again; do not load the redirect address twice"),
    "token-cache-stale": R("the token's iat is older than the consent", "throw away the cached token and take a new one"),
    # Consent and kinds of permission
    "role-missing": R("decode the token: roles must hold IMAP.AccessAsApp, POP.AccessAsApp or SMTP.SendAsApp", f"{APPLY}; a token from before the consent keeps its old roles", CONSENT),
    "consent-missing": R("API permissions shows Not granted; the message names the application", "an administrator consents: App registrations, API permissions, Grant admin consent",
                         "https://login.microsoftonline.com/TENANT-ID/v2.0/adminconsent?client_id=APPLICATION-ID&scope=https://outlook.office365.com/.default"),
    "consent-admin-only": R("the sign-in page says Need admin approval", "an administrator consents: App registrations, API permissions, Grant admin consent",
                            "https://login.microsoftonline.com/TENANT-ID/v2.0/adminconsent?client_id=APPLICATION-ID&scope=https://outlook.office365.com/.default"),
    "partner-consent": R("the application is missing under Enterprise applications of the customer's tenant",
                         "an administrator there consents to it, or the partner does by the Partner Center's interface", "New-PartnerCustomerApplicationConsent"),
    "partner-relation": R("the message names the tenant of the account, and that is the partner's",
                          "have the customer accept a GDAP relationship that holds Exchange Administrator and Cloud Application Administrator, and be in the security group that has its roles"),
    "delegated-for-application": R("API permissions says Delegated (IMAP.AccessAsUser.All, SMTP.Send), and grant_type is client_credentials; the token has no roles",
                                   f"add the application permissions IMAP.AccessAsApp, POP.AccessAsApp, SMTP.SendAsApp of Office 365 Exchange Online and consent: {APPLY}", CONSENT),
    "application-for-delegated": R("the token has roles and no scp, or the permission ends in AsApp, and a person signs in",
                                   "a person needs IMAP.AccessAsUser.All, POP.AccessAsUser.All, SMTP.Send (access: delegated in the playbook)"),
    "wrong-permission": R("decode the token: roles holds full_access_as_app or Mail.*, not IMAP.AccessAsApp", f"{APPLY}: full_access_as_app is for EWS alone, Mail.* for Graph alone", CONSENT),
    "assignment-required": R("Enterprise applications, Properties: Assignment required is Yes", "assign the caller under Enterprise applications, Users and groups, or lift the requirement"),
    "preauthorization-missing": R("the client ID is one of Microsoft's own", "sign in with a client of your own tenant that has the delegated permission, or with an application"),
    "wrong-audience": R("decode the token: aud must be https://outlook.office365.com (or outlook.office.com)", f"ask for a token with the scope {SCOPE}; Graph's token does not open IMAP, POP or SMTP"),
    "token-expired": R("decode the token: exp is past; it lives about an hour", "take a fresh token before each connection; exosp verify PLAYBOOK does"),
    "token-malformed": R("an access token starts with eyJ, has two dots and no blanks (a personal account's: EwB…)", "send the whole access_token, not the id_token, once encoded"),
    "token-too-long": R("the token has more than 4,096 characters", "take the groups claim out of the application's token configuration"),
    "refresh-token-expired": R("the message names when it was issued", "sign in again; an application alone (client_credentials) needs no refresh token"),
    "refresh-token-revoked": R("the password was changed, or sessions were ended, after the token was issued", "sign in again"),
    # A person who signs in
    "mfa-required": R(LOGS, "sign in with a browser, a device code, or an application; a user name and password cannot give a second factor"),
    "interaction-required": R("it works after a sign-in at a window", "sign in again at a window; for unattended use take an application"),
    "conditional-access": R(LOGS, "exclude the application (for workload identities) or the user from the policy that refused it"),
    "security-defaults": R("Entra, Properties, Manage security defaults is on", "use OAuth; an application alone is not touched by security defaults",
                           "Get-MgPolicyIdentitySecurityDefaultEnforcementPolicy"),
    "device-not-compliant": R(LOGS, "sign in from a managed device, or with an application instead"),
    "user-password-wrong": R("the same name and password fail at https://portal.office.com", "correct the password; for unattended use take an application instead"),
    "user-unknown": R("the name is not under Users of this tenant; the suffix may be another domain", "use the user's UPN, and the tenant that holds it", "Get-MgUser -UserId UPN"),
    "user-locked": R("the sign-in log shows many failures, or a risky address", "wait, stop the program that keeps trying, reset the password"),
    "user-disabled": R("Users: Account enabled is No", "enable the account, or take an application instead", "Update-MgUser -UserId UPN -AccountEnabled:$true"),
    "password-expired": R("the portal asks for a new password", "set a new password, or take an application instead"),
    "federated-user": R("the account's domain is federated (AD FS, Okta)", "sign in at a browser or by device code, or take an application instead"),
    "personal-account": R("the address ends in outlook.com, hotmail.com or live.com, or the tenant is consumers",
                          "personal mailboxes take delegated sign-in at /consumers or /common alone; an application alone cannot open them"),
    "guest-user": R("the account's own tenant is another one", "sign in to the account's own tenant, or invite it as a guest"),
    "sign-in-pending": R("it comes while a program polls, and ends with the sign-in", "open https://microsoft.com/devicelogin, enter the code, and let the program wait"),
    "shared-mailbox-login": R("RecipientTypeDetails is SharedMailbox, and its account is disabled or has no password",
                              "sign in as a person who has FullAccess, or as the application, and name the shared mailbox as the user in XOAUTH2", GRANT),
    # Exchange: who may open what
    "no-exchange-entry": R("Get-ServicePrincipal lists no entry with this AppId", APPLY, ENTRY),
    "wrong-object-id": R("Get-ServicePrincipal's ObjectId must equal the token's oid and the Object ID under Enterprise applications, not the one under App registrations",
                         f"{APPLY}: it replaces the entry", ENTRY),
    "no-mailbox-permission": R("Get-MailboxPermission -Identity MAILBOX shows no FullAccess for the application", APPLY, GRANT),
    "not-in-effect-yet": R("everything is right when read, and the change is younger than two hours", "wait, then exosp verify PLAYBOOK --wait 2h; leave five minutes between tries"),
    "protocol-off": R("Get-CASMailbox MAILBOX shows ImapEnabled or PopEnabled False", APPLY, "Set-CASMailbox -Identity MAILBOX -ImapEnabled $true -PopEnabled $true"),
    "smtp-auth-off-tenant": R("Get-TransportConfig shows SmtpClientAuthenticationDisabled True, and the mailbox's own is empty", f"{APPLY}: it is switched on for the mailbox alone", SMTP_ON),
    "smtp-auth-off-mailbox": R("Get-CASMailbox MAILBOX shows SmtpClientAuthenticationDisabled True", APPLY, SMTP_ON),
    "send-as-missing": R("From, or the envelope's sender, is another address than the login's", "log in as the From mailbox, or name it under send_as in the playbook, then exosp apply PLAYBOOK", SEND_AS),
    "wrong-user-name": R("compare the name with the mailbox's UserPrincipalName and PrimarySmtpAddress", "log in as the mailbox's UPN or primary address, not an alias; for a shared mailbox name it, with the token of who may open it",
                         "Get-EXOMailbox -Identity NAME | Select-Object UserPrincipalName, PrimarySmtpAddress, RecipientTypeDetails"),
    "no-mailbox": R("Get-EXOMailbox finds none, or RecipientTypeDetails is MailUser", "give the user an Exchange Online licence, or name a mailbox that is in Exchange Online",
                    "Get-EXORecipient -Identity ADDRESS | Select-Object RecipientTypeDetails"),
    "app-access-policy": R("Test-ApplicationAccessPolicy answers Denied", "put the mailbox into the policy's group, or take the application out of the policy",
                           "Test-ApplicationAccessPolicy -AppId APPLICATION-ID -Identity MAILBOX"),
    "rbac-scope": R("Test-ServicePrincipalAuthorization answers InScope False", "widen the scope of the management role assignment", "Test-ServicePrincipalAuthorization -Identity APPLICATION-ID -Resource MAILBOX"),
    "rbac-with-claim": R("decode the token: roles holds SMTP.SendAsApp", "take SMTP.SendAsApp away from the application: with RBAC it needs no claim"),
    "ews-off": R("Get-OrganizationConfig and Get-CASMailbox show EwsEnabled", "move to Graph, or to IMAP with exosp; EWS ends in Exchange Online", "Get-OrganizationConfig | Select-Object EwsEnabled, EwsApplicationAccessPolicy"),
    "auth-policy": R("Get-User shows an AuthenticationPolicy that blocks this protocol", "change or lift the authentication policy, or use OAuth", "Get-AuthenticationPolicy; Get-User MAILBOX | Select-Object AuthenticationPolicy"),
    # What the mail client sends
    "basic-auth-blocked": R("the client is set up with a password: LOGIN, AUTH LOGIN or AUTH PLAIN, USER and PASS", XOAUTH2),
    "wrong-mechanism": R("the client's log shows LOGIN, AUTH LOGIN or PLAIN in place of AUTHENTICATE XOAUTH2", "set the mechanism to XOAUTH2 in the client; the token is no password"),
    "client-too-old": R("the client's list of mechanisms lacks XOAUTH2", "update the client, or put a proxy that speaks XOAUTH2 in front of it"),
    "client-sasl-plugin": R("pluginviewer -c (Debian: saslpluginviewer) does not list XOAUTH2, or the mail log names the plugin's own file", "install the plugin for this SASL library and check its configuration (sasl-xoauth2-tool test-config)"),
    "xoauth2-malformed": R("decode it: user=ADDRESS, byte 1, auth=Bearer TOKEN, byte 1, byte 1; base64 on one line, once",
                           "build it as base64(\"user=ADDRESS\\x01auth=Bearer TOKEN\\x01\\x01\") without line breaks"),
    "one-line-pop-auth": R("the client's log shows AUTH XOAUTH2 and the token on one line", "let the client send AUTH in two lines (JavaMail: mail.pop3.auth.xoauth2.two.line.authentication.format=true)"),
    "not-authenticated": R("the client's log shows MAIL FROM without AUTH, or after an AUTH that failed", "let the mail program log in with XOAUTH2 before MAIL FROM"),
    "wrong-tls-mode": R("993 and 995 speak TLS at once; 587 (and 143, 110) begin plain and switch by STARTTLS", "use TLS at once for 993 and 995, STARTTLS for 587",
                        "openssl s_client -connect smtp.office365.com:587 -starttls smtp"),
    "auth-not-offered": R("the answer to EHLO after STARTTLS has no AUTH line with XOAUTH2", "use the submission service, smtp.office365.com:587, with STARTTLS before AUTH"),
    "wrong-host": R("the greeting is not Microsoft Exchange's", "IMAP outlook.office365.com:993, POP outlook.office365.com:995, SMTP smtp.office365.com:587 (or your cloud's)"),
    # The way there
    "name-not-resolved": R("nslookup HOST fails on the same machine or in the same container", "correct the host name or the machine's DNS", "nslookup outlook.office365.com"),
    "connection-refused": R("another host and port work from here", "correct host and port; open outgoing 993, 995, 587 and 443", "Test-NetConnection outlook.office365.com -Port 993"),
    "connection-timeout": R("the same works from another network", "open outgoing 993, 995, 587 and 443; many providers block 25 for good", "Test-NetConnection smtp.office365.com -Port 587"),
    "connection-cut": R("it happens after the same time or at the same step each time: a firewall; at random: the service", "try again; let the firewall leave mail and TLS alone; close idle connections"),
    "certificate-untrusted": R("openssl s_client -showcerts shows the issuer: Microsoft's or DigiCert's, or your own proxy's", "trust the proxy's CA, or let mail past it; else update the CA bundle. Do not switch the check off",
                               "openssl s_client -connect outlook.office365.com:993 -showcerts"),
    "certificate-name": R("the certificate's names, in the message or by openssl s_client, lack the host", "use the host name of the cloud, not an alias, an address or a tunnel's name"),
    "certificate-out-of-date": R("compare the certificate's dates with this machine's clock", "set the clock, or renew the certificate that has ended"),
    "tls-version-old": R("openssl s_client -tls1_2 works and the client does not", "update the client or its runtime; Exchange Online takes TLS 1.2 and 1.3 alone"),
    "proxy-in-between": R("the answer is a page or a 407, not the service's", "give the proxy a login, or let these hosts past it (NO_PROXY)"),
    # Limits and trouble
    "too-many-connections": R("it goes away when other programs close their connections", "open fewer connections to one mailbox, close them, and wait before trying again"),
    "submission-rate": R("it comes in bursts", "send at most 30 messages a minute from a mailbox"),
    "sending-quota": R("it lasts until the next day", "wait a day, or send from more mailboxes; for bulk use another service"),
    "throttled": R("the answer has a Retry-After header", "wait as long as it says; make fewer requests; keep a token for its lifetime"),
    "service-trouble": R("it goes away by itself; the service health page may say so", "run exosp verify PLAYBOOK again later"),
    "mailbox-full": R("Get-EXOMailboxStatistics shows the size", "make room in the mailbox", "Get-EXOMailboxStatistics MAILBOX"),
    "message-too-large": R("smaller messages go through", "send less, or raise the limit up to 150 MB", "Set-Mailbox MAILBOX -MaxSendSize 100MB"),
    # Mail that is refused
    "sender-blocked": R("Restricted entities in the Defender portal lists the mailbox", "secure the account, then take it off the list", "Get-BlockedSenderAddress; Remove-BlockedSenderAddress -SenderAddress ADDRESS"),
    "relay-denied": R("the client speaks to port 25 or the MX without a login", "log in at smtp.office365.com:587 with XOAUTH2, or set up a connector"),
    "recipient-wrong": R("the message names the recipient", "correct the recipient's address"),
    "tenant-blocked": R("all mailboxes of the tenant are refused", "ask Microsoft's support; trial tenants have strict limits"),
    # Graph
    "caller-lacks-permission": R("decode the caller's token: roles or scp lacks Application.ReadWrite.OwnedBy, AppRoleAssignment.ReadWrite.All or Application.Read.All",
                                 "grant it, then run exosp again with a new sign-in; or let someone who may consent open the link that exosp apply prints", CONSENT),
    "already-there": R("a look at the object shows it", "none: exosp counts it as done"),
    "deleted-keeps-name": R("it is listed under App registrations, Deleted applications", "restore it, or delete it for good under App registrations, Deleted applications; then exosp apply PLAYBOOK",
                            "Restore-MgDirectoryDeletedItem -DirectoryObjectId APPLICATION-OBJECT-ID"),
    "wrong-role-id": R("the tenant's own Office 365 Exchange Online lists the role under another ID", "check cloud in the playbook; exosp looks role IDs up in the tenant",
                       "Get-MgServicePrincipal -Filter \"appId eq '00000002-0000-0ff1-ce00-000000000000'\" -Property AppRoles"),
    "graph-request-wrong": R("the message names the property or filter", "correct the request; exosp sends only what Graph v1.0 documents"),
    # Exchange's cmdlets
    "admin-role-missing": R("Get-ManagementRoleAssignment, or Entra's roles of the one who connects, lack it", "assign Exchange Administrator and, for an application, Exchange.ManageAsApp; wait, connect again",
                            "Get-ManagementRoleAssignment -Role 'Role Management'; Connect-ExchangeOnline"),
    "not-connected-to-exchange": R("Get-ConnectionInformation is empty", "connect first, in the same session", EXO),
    "on-premises-server": R("Get-ExchangeServer works in the session", "connect to Exchange Online; application access by OAuth is there alone", EXO),
    "module-missing": R("Get-Module -ListAvailable ExchangeOnlineManagement is empty", "install the module", "Install-Module ExchangeOnlineManagement -Scope CurrentUser"),
    "module-old": R("Get-Module ExchangeOnlineManagement shows a version below 3.9", "update the module, and start a new session", "Update-Module ExchangeOnlineManagement"),
    "module-clash": R("it works in a new session with this module alone", "load only ExchangeOnlineManagement in the session, or load it first"),
    "powershell-version": R("$PSVersionTable shows it", "use Windows PowerShell 5.1 or the PowerShell 7 the module asks for", "$PSVersionTable"),
    "execution-policy": R("Get-ExecutionPolicy -List shows Restricted", "allow signed scripts for this user", "Set-ExecutionPolicy RemoteSigned -Scope CurrentUser"),
    "organization-wrong": R("-Organization holds a GUID or a custom domain", "give the primary .onmicrosoft.com domain", EXO),
    "key-unreadable": R("the certificate's HasPrivateKey is False, or another account reads it", "give the account Read on the key (certlm.msc, All Tasks, Manage Private Keys), or import the .pfx with its key into its own store"),
    "key-cng": R("certutil -store My shows a Key Storage Provider", "make the certificate again with a CSP provider",
                 'New-SelfSignedCertificate -KeySpec KeyExchange -Provider "Microsoft Enhanced RSA and AES Cryptographic Provider"'),
    "signin-window-broken": R("the session is a service, a remote or an elevated one", "connect with an application and a certificate, with -Device, or with -DisableWAM", "Connect-ExchangeOnline -DisableWAM"),
    "object-not-found": R("Get-EXORecipient finds nothing for this name", "check the address in the playbook; for a new mailbox run exosp apply PLAYBOOK again later", "Get-EXORecipient -Identity ADDRESS"),
    "name-ambiguous": R("Get-EXORecipient answers several rows", "name mailboxes by address and applications by object ID, never by display name"),
    "parameter-wrong": R("Get-Help CMDLET -Full lists the parameters; the message names the one", "correct the cmdlet; update the module if the parameter is new", "Get-Help CMDLET -Full"),
    "dehydrated": R("Get-OrganizationConfig shows IsDehydrated True", "run the cmdlet once, wait an hour, then exosp apply PLAYBOOK", "Enable-OrganizationCustomization"),
    "session-expired": R("it worked earlier in the same session", "connect again", "Disconnect-ExchangeOnline -Confirm:$false; Connect-ExchangeOnline"),
    "remote-powershell-gone": R("the address ends in /powershell-liveid, or New-PSSession is used", "connect with the module ExchangeOnlineManagement 3 or newer (REST)", EXO),
    "winrm-basic-off": R("winrm get winrm/config/client/auth shows Basic = false", "use the module ExchangeOnlineManagement 3 or newer, which needs no WinRM", "winrm set winrm/config/client/auth '@{Basic=\"true\"}'"),
    "winrm-trusted-hosts": R("the host is reached by address, or is in no common domain", "use the host's full name with Kerberos, or HTTPS (5986)", "Set-Item WSMan:\\localhost\\Client\\TrustedHosts -Value HOST"),
    "winrm-kerberos": R("klist shows no ticket for HTTP/HOST; clocks differ by over five minutes", "reach the host by its own full name; check its service principal name and both clocks", "setspn -Q HTTP/HOST"),
    "winrm-credentials": R("the same name and password fail or work on the host itself", "check user name (DOMAIN\\\\user or user@domain), password and the auth named in EXOSP_REMOTING; over HTTPS a host may ask for channel binding"),
    "winrm-denied": R("the account is in neither Administrators nor Remote Management Users of the host", "add the account to Remote Management Users on the host, or use a domain account"),
    "winrm-not-listening": R("Test-NetConnection HOST -Port 5986 fails", "enable remoting on the host and open 5985 or 5986", "Enable-PSRemoting -Force; winrm quickconfig"),
    "winrm-path": R("WinRM's own path is /wsman on 5985 and 5986; Exchange's is /PowerShell/ on 80 and 443", "check EXOSP_REMOTING: winrm://HOST:5986/wsman for a management host"),
    "winrm-quota": R("Get-PSSession on the host shows sessions left open", "close sessions that are left open; wait; raise the quota", "Get-PSSession | Remove-PSSession"),
    "no-language": R("scripts fail and single cmdlets work", "give the endpoint wrapper functions (exosp template host); let other tools add cmdlets and parameters one by one"),
    "double-hop": R("it works when run on the host itself", "use an application's certificate on the host, CredSSP, or Kerberos delegation"),
    "endpoint-missing": R("Get-PSSessionConfiguration on the host does not list it", "correct configuration in EXOSP_REMOTING, or register it on the host", "Register-PSSessionConfiguration -Name NAME -Path FILE.pssc"),
}  # fmt: skip
