"""What mail clients and libraries of many languages say themselves: mistakes found before or beside the server's answer, and
wrappers that only say that a login failed.
"""

from .row import MAIL, SMTP, TOKEN, Row, Service, Topic, because

BOTH: frozenset[Service] = MAIL | TOKEN
NEAR: frozenset[Topic] = frozenset(("mail",))
MSAL: frozenset[Topic] = frozenset(("mail", "entra", "microsoft", "graph"))

_MISTAKES: tuple[Row, ...] = (
    Row("client-no-mechanism", MAIL, None, "smtplib.SMTPNotSupportedError: SMTP AUTH extension not supported by server.",
        because(("auth-not-offered", "the client asked for AUTH before STARTTLS, or at port 25 or a relay, where none is offered"), ("proxy-in-between", "a gateway or virus scanner takes AUTH or STARTTLS away")),
        "public reports", "B", near=NEAR,
        says=("SMTP AUTH extension not supported by server", "The SMTP server does not support authentication", "No authentication mechanisms supported by both server and client", "server doesn't support AUTH", "server does not support AUTH",
              "SMTP server does not advertise AUTH", "AUTH not supported", "AUTH command is not enabled on the server", "Server does not support secure connections")),
    Row("client-no-starttls", MAIL, None, "The SMTP server does not support the STARTTLS extension.",
        because(("auth-not-offered", "the server, or what stands in between, offers no STARTTLS: a wrong port, or a firewall that takes it away"), "proxy-in-between"), "public reports", "B", near=NEAR,
        says=("does not support the STARTTLS extension", "STARTTLS extension not supported by server", "STARTTLS is required but host did not advertise STARTTLS", "STARTTLS not supported", "server did not offer STARTTLS", "TLS is required, but was not offered")),
    Row("client-mechanism-unknown", MAIL, None, "SASL authentication failed; no mechanism available: No worthy mechs found (XOAUTH2)",
        because(("client-sasl-plugin", "the client's SASL plugin for XOAUTH2 (sasl-xoauth2, cyrus-sasl-xoauth2) is missing or wrongly set up"), ("client-too-old", "the client has no XOAUTH2"), ("wrong-mechanism", "the client is set to a mechanism that the server does not offer")),
        "github.com/tarickb/sasl-xoauth2; public reports", "B", near=NEAR,
        says=("sasl-xoauth2", "TokenStore::", "Client::DoStep", "No worthy mechs found", "no mechanism available", "No supported authentication mechanisms", "No authenticators available", "XOAUTH2 not supported", "XOAUTH2 is not supported", "no known SASL mechanism", "Unknown SASL mechanism", "Unsupported authentication mechanism", "mech_list",
              "No login methods supported", "unknown authentication type", "Server does not support XOAUTH2", "authentication method not supported", "no suitable authentication method", "Unable to find a callback", "SASL XOAUTH2 plugin", "SASL mechanism not available", "requested authentication method is not supported by the server"), regex=r"SASL\(-[14]\)", hints=("sasl1", "sasl4")),
    Row("client-xoauth2-string", MAIL, None, "binascii.Error: Incorrect padding while reading the XOAUTH2 challenge",
        because(("xoauth2-malformed", "the XOAUTH2 string is encoded wrongly: twice, with line breaks, or not at all"), "token-malformed"), "public reports", "K", near=NEAR,
        says=("Incorrect padding", "Invalid SASL argument", "XOAUTH2 … malformed", "Invalid base64 … XOAUTH2", "535 … Invalid base64", "TypeError: can't concat str to bytes", "a bytes-like object is required, not 'str'"), regex=r"base64encode.{0,80}(must be|TypeError)", hints=("base64encode",)),
    Row("client-token-empty", BOTH, None, "KeyError: 'access_token'",
        because(("token-malformed", "the token request failed and its answer was not looked at: print error and error_description of the answer"), ("secret-wrong", "the credential was refused"), "scope-not-default"),
        "public reports", "B", near=MSAL, says=("KeyError: 'access_token'", "Undefined index: access_token", "Undefined array key \"access_token\"", "Cannot read properties of undefined (reading 'accessToken')", "access_token is missing", "No access token"), weight="vague"),
    Row("client-credentials-missing", MAIL, None, 'Error: Missing credentials for "PLAIN"',
        because(("token-malformed", "the client holds neither a password nor a token: the settings or the token request gave none"), ("wrong-mechanism", "the client's settings are for a password, not for OAuth")), "public reports", "B",
        says=("Missing credentials for", "no password specified?", "failed to connect, no password specified", "No login credentials", "Command returned empty string", "Unable to run refresh command"), near=NEAR),
    Row("client-google-token-address", MAIL, None, "Error: Can't create new access token for user",
        because(("request-malformed", "nodemailer asks Google for a new token unless accessUrl names Microsoft's token address"), "refresh-token-expired"), "nodemailer's documentation of OAuth2", "B", says=("Can't create new access token for user",), near=NEAR),
    Row("client-proxy-signin", MAIL, None, "Email OAuth 2.0 Proxy: Login failed - the authentication request expired or was cancelled for account support@contoso.com",
        because(("interaction-required", "nobody finished the sign-in that the proxy asked for"), "redirect-wrong", "consent-missing"), "github.com/simonrob/email-oauth2-proxy/issues/95", "B", says=("the authentication request expired or was cancelled", "Authentication request failed or expired for account")),
    Row("client-davmail", MAIL, None, "davmail.exception.DavMailAuthenticationException: Authentication failed: invalid user or password",
        because(("mfa-required", "DavMail signs in with a name and password (O365Modern), and the account needs a second factor or another step at a window"), ("basic-auth-blocked", "DavMail's mode EWS sends a password, which Exchange Online does not take"), "user-password-wrong", "conditional-access", "consent-missing"),
        "github.com/mguessan/davmail/issues/189, /285 and /306", "B", says=("DavMailAuthenticationException",), weight="vague", given_fix="use the mode O365Interactive, O365Manual or O365DeviceCode", given_cmdlet=""),
    Row("client-davmail-step", MAIL, None, 'org.codehaus.jettison.json.JSONException: JSONObject["sCtx"] not found.',
        because(("interaction-required", "the sign-in page asks for a step that DavMail's automatic sign-in does not know"), "mfa-required", "federated-user"), "github.com/mguessan/davmail/issues/172", "C", says=('JSONObject["sCtx"] not found', "O365Authenticator.authenticate"), weight="vague"),
    Row("client-token-request-failed", MAIL, None, "Caught exception while requesting OAuth 2.0 credentials for support@contoso.com: <HTTPError 400: 'Bad Request'>",
        because(("scope-not-default", "with client_credentials the scope must be the resource's .default alone"), ("tenant-wrong", "with client_credentials the address must name the tenant, not /common"), "secret-wrong", "client-id-wrong", "consent-missing"), "github.com/simonrob/email-oauth2-proxy/issues/72", "C",
        says=("exception while requesting OAuth 2.0 credentials", "resulted in a `400 Bad Request` response … oauth2"), weight="vague"),
    Row("client-unencrypted", MAIL, None, "gomail: could not send email: unencrypted connection",
        because(("wrong-tls-mode", "the client sends no login over plain text: STARTTLS was not offered or not used"), "auth-not-offered", "proxy-in-between"), "Go's net/smtp", "A", near=NEAR, says=("unencrypted connection",)),
    Row("client-method-unsupported", MAIL, None, "The Outgoing server (SMTP) smtp.office365.com does not support the selected authentication method.",
        because(("wrong-mechanism", "the client is set to a method the server does not offer: choose OAuth2"), "auth-not-offered", "smtp-auth-off-mailbox"), "Thunderbird", "B", near=NEAR,
        says=("does not support the selected authentication method", "does not support authentication method", "does not seem to support encrypted passwords")),
    Row("client-domain-literal", SMTP, None, "501 5.5.4 Invalid domain name", because(("request-malformed", "the name the client says at EHLO is no valid host name")), "public reports", "B", says=("501 5.5.4 Invalid domain name", "Invalid domain name [")),
    Row("client-from-missing", SMTP, None, "501 5.1.7 Invalid address", because(("recipient-wrong", "an address in MAIL FROM or RCPT TO is empty or malformed")), "public reports", "B", near=NEAR, regex=r"\b5\.1\.[37]\b.{0,30}Invalid address|501[ -]5\.1\.[37]", hints=("513invalid", "517invalid", "501513", "501517")),
    Row("client-null-sender-mapi", SMTP, None, "554 5.2.0 STOREDRV.Submission.Exception:InvalidSenderException", because(("send-as-missing", "From is no valid sender: empty, or not the mailbox that logged in")), "public reports", "C", says=("InvalidSenderException",)),
    Row("client-imap-extension", MAIL, None, "imap_open(): Can not authenticate to IMAP server: [CLOSED] IMAP connection broken (authenticate)",
        because(("basic-auth-blocked", "PHP's imap extension knows passwords alone; Exchange Online takes none"), "client-too-old"), "public reports", "B",
        says=("Retrying PLAIN authentication after", "imap_open(): Couldn't open stream", "Can not authenticate to IMAP server: [CLOSED] IMAP connection broken", "Can't connect to outlook.office365.com … Too many login failures", "Too many login failures", "IMAP connection broken (authenticate)"), near=NEAR),
)  # fmt: skip

# Only that a login failed; the server's own words, if they stand in the text, say more.
_WRAPPERS: tuple[Row, ...] = (
    Row("client-login-failed", MAIL, None, "MailKit.Security.AuthenticationException: Authentication failed.",
        because(("wrong-object-id", "Exchange has no entry for the application, or one with the application's own object ID"), "wrong-audience", "role-missing", "no-mailbox-permission", "wrong-user-name", "token-expired", "basic-auth-blocked"),
        "github.com/jstedfast/MailKit/issues/1126; public reports", "B", weight="echo", propagation=True, near=frozenset(("outlook",)),
        says=("Mail server denied authentication", "cannot login, user or password wrong", "user or password wrong", "Authorization failure on", "status=3 (AUTHFAIL)", "XOAUTH2 authentication failed", "All authentication types failed", "Login to server", "Authentication failure while connecting to server", "OAUTHBEARER authentication failed", "Access denied: 535", "ImapServerErrorException", "AuthFailedException", "MailKit.Security.AuthenticationException", "AuthenticationFailedException", "SMTPAuthenticationError", "imaplib.IMAP4.error", "Invalid login", "SMTP Error: Could not authenticate", "Could not authenticate", "Authentication failed", "Failed to authenticate on SMTP server",
              "Net::SMTPAuthenticationError", "Net::IMAP::NoResponseError", "Login failed", "AuthFailedException", "SASL authentication failed", "Authentication unsuccessful", "Host outlook.office365.com says … authenticate", "Authorization failed on", "Error in AUTHENTICATE", "Password rejected", "Login Denied", "Login denied", "Expected response code \"235\" but got code \"535\"", "Expected response code 235 but got code"), regex=r"\bEAUTH\b", hints=("eauth",)),
)  # fmt: skip

# What libraries say before or in place of Entra.
TOKENS: tuple[Row, ...] = (
    Row("client-scope-reserved", TOKEN, None, "ValueError: You cannot use any scope value that is reserved. Your input: ['offline_access']",
        because(("scope-wrong", "MSAL adds openid, profile and offline_access by itself and refuses them in the list"),), "MSAL for Python", "A", says=("You cannot use any scope value that is reserved", "Input scopes should be a list", "offline_access … reserved scope"), weight="code"),
    Row("client-authority", TOKEN, None, "ValueError: Unable to get authority configuration for https://login.microsoftonline.com/contoso. Authority would typically be in a format of https://login.microsoftonline.com/your_tenant",
        because(("tenant-wrong", "the tenant in the address does not exist or is misspelt"), ("name-not-resolved", "the sign-in host cannot be reached from here"), "proxy-in-between"), "MSAL for Python", "A",
        says=("Unable to get authority configuration for", "Invalid tenant id provided", "should consist of an https url with a minimum of one segment", "invalid_instance", "Authority validation failed", "invalid_authority")),
    Row("client-msal-config", TOKEN, None, "ClientAuthError: endpoints_resolution_error: Endpoints cannot be resolved",
        because(("name-not-resolved", "login.microsoftonline.com cannot be reached or its metadata not read: DNS, proxy or firewall"), "tenant-wrong", "proxy-in-between"), "public reports", "B",
        says=("endpoints_resolution_error", "Unable to get OIDC authority configuration", "openid_config_error")),
    Row("client-msal-no-account", TOKEN, None, "no_tokens_found: No refresh token found in the cache. Please sign-in.",
        because(("interaction-required", "the token cache is empty or another user's: nobody has signed in yet"), "refresh-token-expired"), "public reports", "B",
        says=("no_tokens_found", "No account or login hint was passed to the AcquireTokenSilent", "MsalUiRequiredException", "interaction_required", "no account found in cache", "No token found … authenticate first", "Authentication Flow needed")),
    Row("client-identity-chain", TOKEN, None, "DefaultAzureCredential failed to retrieve a token from the included credentials. EnvironmentCredential authentication unavailable. Environment variables are not fully configured.",
        because(("secret-missing", "no credential is set: AZURE_TENANT_ID, AZURE_CLIENT_ID and a secret, certificate or token file"), "interaction-required"), "learn.microsoft.com, Troubleshoot Azure Identity authentication issues", "A",
        says=("DefaultAzureCredential failed to retrieve a token", "EnvironmentCredential authentication unavailable", "CredentialUnavailableError", "CredentialUnavailableException", "ChainedTokenCredential authentication failed"), weight="vague"),
    Row("client-secret-empty", TOKEN, None, "ClientAuthError: Client credential must not be empty when acquiring a token",
        because("secret-missing"), "public reports", "K", near=MSAL, says=("Client credential must not be empty", "client_credential: Client credential (secret, certificate, or assertion) must not be empty", "secret should be a Microsoft Entra application's client secret", "client_secret should be the id of")),
    Row("client-certificate-file", TOKEN, None, "ValueError: Could not deserialize key data",
        because(("key-unreadable", "the certificate file is no PEM or PFX with its key, or its password is wrong"),), "public reports", "K", near=MSAL,
        says=("must be in PEM or PKCS12 format", "Could not deserialize key data", "error:0909006C:PEM routines", "PEM routines … no start line", "secretOrPrivateKey must be an asymmetric key", "The specified network password is not correct", "mac verify failure", "Failed to load the Certificate", "Invalid password or PKCS12 data")),
)  # fmt: skip

ROWS: tuple[Row, ...] = (*_MISTAKES, *_WRAPPERS)
