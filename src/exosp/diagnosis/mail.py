"""Symptoms of mail logins. Order matters: what is more particular stands first."""

from .row import IMAP, MAIL, POP, SMTP, Row, said

OAUTH_PAGE = "learn.microsoft.com, Authenticate an IMAP, POP or SMTP connection using OAuth"

GRANT = "Add-MailboxPermission -Identity MAILBOX -User ENTERPRISE-APPLICATION-OBJECT-ID -AccessRights FullAccess -AutoMapping $false"
ENTRY = (
    "New-ServicePrincipal -AppId APPLICATION-ID -ObjectId ENTERPRISE-APPLICATION-OBJECT-ID -DisplayName NAME "
    "(first Remove-ServicePrincipal if Exchange holds another ObjectId)"
)
SMTP_ON = "Set-CASMailbox -Identity MAILBOX -SmtpClientAuthenticationDisabled $false"
APPLY = "exosp apply PLAYBOOK, then exosp verify PLAYBOOK"
LATER = "run exosp verify PLAYBOOK again later"

_REFUSED = (
    "the token is for another audience than Exchange (a Graph token, or one for https://ps.outlook.com)",
    "the token's roles lack the application role of the protocol",
    "Exchange has no entry for the application, or one with the application's own object ID",
    "the user name is no mailbox of this tenant",
    "the token has expired",
    "a change has not reached the server yet",
)
_CLOSED = (
    "the application has no FullAccess on this mailbox, or it has no effect yet",
    "the protocol is off for this mailbox",
    "the user name is not the mailbox's own (UPN and primary address differ)",
)

ROWS: tuple[Row, ...] = (
    # Before the server has said anything; the words are exosp's own.
    Row(
        "host-unknown", MAIL, "connect", said(r"no host named \S+ was found"),
        "no host named outlook.office365.example was found",
        ("the cloud's address is misspelt", "this machine resolves no names of the Internet"),
        "check --cloud or the cloud file", "", "RFC 1035", "K",
    ),
    Row(
        "connection-refused", MAIL, "connect", said("the connection was refused"), "the connection was refused",
        ("the port or host is wrong", "a firewall rejects outgoing 993, 995 or 587"),
        "let this machine reach the host and port", "", "RFC 9293", "K",
    ),
    Row(
        "certificate-name", MAIL, "tls", said("not trusted: .*mismatch"),
        "the server's certificate is not trusted: Hostname mismatch, certificate is not valid for 'localhost'.",
        ("the host is reached by a name that it does not bear", "another machine answers in its place"),
        "use the host name of the cloud; exosp has no switch to skip the check", "", "RFC 9525", "K",
    ),
    Row(
        "certificate-untrusted", MAIL, "tls", said("certificate is not trusted"),
        "the server's certificate is not trusted: unable to get local issuer certificate",
        (
            "a proxy that inspects TLS stands between, and its CA is not trusted here",
            "the certificate has expired, or this machine's clock is wrong",
            "the cloud file names another CA",
        ),
        "let mail traffic past the proxy, or trust its CA; exosp has no switch to skip the check", "", "RFC 5280", "K",
    ),
    Row(
        "tls-failed", MAIL, "tls", said("TLS failed"), "TLS failed: wrong version number",
        ("the port does not speak TLS", "the server knows nothing newer than TLS 1.1", "a firewall cuts TLS off"),
        "check host and port: IMAP 993, POP 995, SMTP 587", "", "RFC 8314", "K",
    ),
    Row(
        "no-answer", MAIL, None, said(r"no answer within [\d.]+ s"), "no answer within 60 s",
        ("a firewall drops the packets", "the server is overloaded"),
        f"check that the host and port can be reached, then {LATER}", "", "RFC 9293", "K",
    ),
    Row(
        "connection-lost", MAIL, None, said("the server (closed the connection|broke the connection off)"),
        "the server closed the connection",
        ("the service is restarting or overloaded", "a firewall or proxy cuts the protocol off"),
        LATER, "", "RFC 9293", "K",
    ),
    # What is offered
    Row(
        "imap-not-offered", IMAP, "capability", said(r"\* CAPABILITY(?!.*AUTH=XOAUTH2)"),
        "* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN / OK CAPABILITY completed.",
        ("this is not Exchange Online", "a proxy in between takes XOAUTH2 away"),
        "check the cloud's IMAP address", "", "github.com/simonrob/email-oauth2-proxy/issues/74", "B",
    ),
    Row(
        "pop-not-offered", POP, "capability", said(r"^\+OK(?!.*XOAUTH2)"), "+OK / TOP / UIDL / SASL PLAIN / USER",
        ("this is not Exchange Online", "a proxy in between takes XOAUTH2 away"),
        "check the cloud's POP address", "", "github.com/kisli/vmime/issues/267", "B",
    ),
    Row(
        "smtp-not-offered", SMTP, "capability", said(r"^250[ -](?!.*AUTH[^/]*XOAUTH2)"),
        "250-BN9PR03CA0001.outlook.office365.com Hello [192.0.2.1] / 250-SIZE 157286400 / 250 SMTPUTF8",
        (
            "a mail gateway or firewall in between takes STARTTLS away",
            "this is not the submission service (smtp.office365.com:587): port 25 and other hosts offer no AUTH",
        ),
        "check the cloud's SMTP address and what inspects port 587; exosp never sends a token without TLS", "",
        "RFC 3207; github.com/simonrob/email-oauth2-proxy/issues/95", "B",
    ),
    # IMAP
    Row(
        "imap-session-expired", IMAP, None, said("Session invalidated - AccessTokenExpired"),
        "* BYE Session invalidated - AccessTokenExpired",
        ("the token's time ran out during the session",),
        "exosp verify PLAYBOOK takes a fresh token; a mail program must do the same and connect again", "",
        "github.com/iroco-co/aioimaplib/issues/83; github.com/imapsync/imapsync/issues/250", "B",
    ),
    Row(
        "imap-basic-blocked", IMAP, "auth", said("BasicAuthBlocked"),
        'NO AUTHENTICATE failed. Error="AuthFailed:LogonDenied-BasicAuthBlocked"',
        ("a password came where Exchange takes only OAuth",),
        "let the mail program use XOAUTH2 (OAuth 2.0) with the application's token", "", "one public report", "C",
    ),
    Row(
        "imap-no-recipient", IMAP, None, said("NoADRecipient|AuthResultFromPopImapEnd=8"),
        'NO AUTHENTICATE failed. Error="AuthFailed:NoADRecipient" AuthResultFromPopImapEnd=8',
        ("IMAP is off for this mailbox", "the user name is no mailbox of this tenant"),
        APPLY, "Set-CASMailbox -Identity MAILBOX -ImapEnabled $true", "one public report", "C", propagation=True,
    ),
    Row(
        "imap-oauth-refused", IMAP, "auth", said("LogonDenied-None-OAuthLog"),
        'NO AUTHENTICATE failed. Error="AuthFailed:LogonDenied-None-OAuthLog:AuthExc"',
        _REFUSED, APPLY, ENTRY, "one public report", "C", propagation=True,
    ),
    Row(
        "app-access-policy", IMAP | {"graph"}, None, said(r"\[RAOP\].*Blocked by tenant configured AppOnly AccessPolicy"),
        "[RAOP] : Blocked by tenant configured AppOnly AccessPolicy settings.",
        (
            "an application access policy shuts the application out of this mailbox",
            "a policy made or changed within the last hour has no effect yet",
        ),
        "put the mailbox into the policy's group, or take the application out of the policy",
        "Test-ApplicationAccessPolicy -AppId APPLICATION-ID -Identity MAILBOX",
        "learn.microsoft.com, Limiting application permissions to specific mailboxes; public reports", "B", propagation=True,
    ),
    Row(
        "not-connected", IMAP | POP, None, said("User is authenticated but not connected"),
        "BAD User is authenticated but not connected.",
        _CLOSED, APPLY, GRANT,
        "DanijelkMSFT/ThisandThat Get-IMAPAccessToken.ps1; github.com/simonrob/email-oauth2-proxy/issues/74 and /275", "A",
        propagation=True,
    ),
    Row(
        "imap-closed-14", IMAP, None, said(r"\* BYE Connection closed\. 14"), "* BYE Connection closed. 14",
        _CLOSED, APPLY, GRANT,
        "github.com/jstedfast/MailKit/issues/1496; github.com/simonrob/email-oauth2-proxy/issues/74", "B", propagation=True,
    ),
    Row(
        "imap-auth-failed", IMAP, "auth", said("NO AUTHENTICATE failed"), "NO AUTHENTICATE failed.",
        _REFUSED, APPLY, ENTRY,
        f"{OAUTH_PAGE}; github.com/jstedfast/MailKit/issues/1337 and /1811", "A", propagation=True,
    ),
    Row(
        "imap-temporary", IMAP, None, said("Server Unavailable"), "NO [UNAVAILABLE] Server Unavailable. 15",
        ("the mailbox's server is busy or being moved",), LATER, "", "RFC 5530, UNAVAILABLE", "K",
    ),
    # POP
    Row(
        "pop-protocol-error", POP, None, said(r"-ERR Protocol error"), "-ERR Protocol error. Connection is closed. 10",
        (
            "AUTH XOAUTH2 and the token came on one line; Exchange takes them on two",
            "the token is longer than 4,096 characters",
        ),
        "let the mail program send AUTH in two lines (exosp does); for a long token, drop the groups claim from the application",
        "", f"{OAUTH_PAGE}; github.com/getmail6/getmail6/issues/256; github.com/jstedfast/MailKit/issues/1948", "B",
    ),
    Row(
        "pop-logon-failure", POP, "auth", said("-ERR Logon failure"), "-ERR Logon failure: unknown user name or bad password.",
        ("a password came where Exchange takes only OAuth: this text answers passwords",),
        "let the mail program use XOAUTH2 (OAuth 2.0) with the application's token", "", "public reports", "B",
    ),
    Row(
        "pop-auth-failed", POP, "auth", said("-ERR Authentication failure"),
        "-ERR Authentication failure: unknown user name or bad password.",
        (*_REFUSED[:3], "POP is off for this mailbox", *_REFUSED[3:]),
        APPLY, "Set-CASMailbox -Identity MAILBOX -PopEnabled $true",
        f"{OAUTH_PAGE}; github.com/simonrob/email-oauth2-proxy/issues/160", "A", propagation=True,
    ),
    # SMTP
    Row(
        "smtp-off-tenant", SMTP, "auth", said("SmtpClientAuthentication is disabled for the Tenant"),
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information.",
        ("SMTP AUTH is off for the tenant, and the mailbox does not override that; this holds for OAuth too",),
        f"{APPLY}: it is switched on for the mailbox alone", SMTP_ON,
        "learn.microsoft.com, Set-CASMailbox; github.com/simonrob/email-oauth2-proxy/issues/193", "B", propagation=True,
    ),
    Row(
        "smtp-off-mailbox", SMTP, "auth", said("SmtpClientAuthentication is disabled for the Mailbox"),
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. Visit https://aka.ms/smtp_auth_disabled for more information.",
        ("SMTP AUTH is off for the mailbox",),
        APPLY, SMTP_ON, "learn.microsoft.com, Set-CASMailbox; github.com/simonrob/email-oauth2-proxy/issues/193", "B",
        propagation=True,
    ),
    Row(
        "smtp-basic-off", SMTP, "auth", said("basic authentication is disabled"),
        "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
        ("a password came where Exchange takes only OAuth",),
        "let the mail program use XOAUTH2 (OAuth 2.0) with the application's token", "", "public reports", "B",
    ),
    Row(
        "smtp-security-defaults", SMTP, "auth", said("security defaults policy"),
        "535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy. Contact your administrator.",
        ("security defaults forbid passwords for this user",),
        "let the mail program use XOAUTH2 (OAuth 2.0) with the application's token", "", "one public report", "C",
    ),
    Row(
        "smtp-criteria", SMTP, "auth", said("did not meet the criteria to be authenticated"),
        "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated successfully. Contact your administrator.",
        ("a Conditional Access policy or security defaults refuse the login", "a password came where OAuth is needed"),
        "look up the login in Entra's sign-in logs, then exclude the application from the policy that refused it", "",
        "one public report", "C",
    ),
    Row(
        "smtp-auth-failed", SMTP, "auth", said(r"535[ -]5\.7\.3 Authentication unsuccessful"),
        "535 5.7.3 Authentication unsuccessful [BN9PR03CA0001.namprd03.prod.outlook.com]",
        (
            "Exchange has no entry for the application, or one with the application's own object ID",
            "the application has no FullAccess on this mailbox",
            "the token's roles lack SMTP.SendAsApp",
            "a change has not reached the server yet: it can take two hours",
            "SMTP AUTH is off (older tenants answer so)",
            "the token is a user's, and the mailbox a shared one",
        ),
        APPLY, f"{ENTRY}; {GRANT}", f"{OAUTH_PAGE}; github.com/jstedfast/MailKit/issues/1126", "A", propagation=True,
    ),
    Row(
        "smtp-basic-gone", SMTP, None, said(r"550[ -]5\.7\.30"),
        "550 5.7.30 Basic authentication is not supported for Client Submission.",
        ("a password came, and this tenant no longer takes any",),
        "let the mail program use XOAUTH2 (OAuth 2.0) with the application's token", "",
        "techcommunity.microsoft.com 4489835, Exchange Online to retire basic auth for client submission", "B",
    ),
    Row(
        "smtp-not-authenticated", SMTP, None, said(r"530[ -]5\.7\.57"), "530 5.7.57 Client not authenticated to send mail.",
        ("the mail program sent without logging in, or overlooked that its login failed",),
        "let the mail program log in with XOAUTH2 before MAIL FROM", "",
        "github.com/simonrob/email-oauth2-proxy/issues/257 and /258", "K",
    ),
    Row(
        "smtp-mailbox-logon", SMTP, None, said("mailbox logon failure|ConnectionFailedTransientException|has no rights on this session"),
        "430 4.2.0 STOREDRV; mailbox logon failure; STOREDRV.Submission.Exception:ConnectionFailedTransientException.MapiExceptionLogonFailed; Failed to process message due to a transient exception with message [BeginDiagnosticData]Cannot open mailbox.",
        (
            "the application has no FullAccess on this mailbox; the text calls itself transient and is not",
            "a FullAccess of the last hour has no effect yet, or not on every server",
        ),
        APPLY, GRANT, "github.com/simonrob/email-oauth2-proxy/issues/271", "B", propagation=True,
    ),
    Row(
        "smtp-send-as-denied", SMTP, None, said(r"SendAsDenied|5\.2\.252"),
        "554 5.2.252 SendAsDenied; a@contoso.com not allowed to send as b@contoso.com; STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied",
        (
            "From is not the mailbox that logged in, and that mailbox has no SendAs on it",
            "the application itself has no SendAs on it: reports differ on whose right counts",
            "a SendAs of the last hour has no effect yet",
        ),
        "log in as the From mailbox, or name it under send_as in the playbook, then exosp apply PLAYBOOK",
        "Add-RecipientPermission -Identity FROM-MAILBOX -Trustee LOGIN-MAILBOX -AccessRights SendAs -Confirm:$false",
        "github.com/gophish/gophish/issues/2900; github.com/Notifuse/notifuse/issues/250", "B", propagation=True,
    ),
    Row(
        "smtp-not-the-sender", SMTP, None, said(r"5\.7\.60|permissions to send as this sender"),
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
        ("From or the envelope's sender is not the mailbox that logged in, and there is no SendAs",),
        "send as the mailbox that logs in, or name the other under send_as in the playbook",
        "Add-RecipientPermission -Identity FROM-MAILBOX -Trustee LOGIN-MAILBOX -AccessRights SendAs -Confirm:$false",
        "public reports", "B", propagation=True,
    ),
    Row(
        "smtp-concurrency", SMTP, None, said("sender thread limit exceeded|Concurrent connections limit exceeded"),
        "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information.",
        ("more than three connections send as this mailbox at once",),
        f"send over fewer connections; {LATER}", "", "aka.ms/concurrent_sending; public reports", "B",
    ),
    Row(
        "smtp-rate", SMTP, None, said("Message submission rate for this client has exceeded"),
        "421 4.4.2 Message submission rate for this client has exceeded the configured limit",
        ("more than 30 messages a minute from this mailbox",),
        "send more slowly", "", "learn.microsoft.com, Exchange Online limits; public reports", "B",
    ),
    Row(
        "smtp-quota", SMTP, None, said("SubmissionQuotaExceeded"),
        "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process message",
        ("the mailbox has reached its 10,000 recipients a day",),
        "wait a day, or send from more mailboxes", "", "learn.microsoft.com, Exchange Online limits", "C",
    ),
    Row(
        "smtp-not-here", SMTP, "auth", said(r"504[ -]5\.7\.4"), "504 5.7.4 Unrecognized authentication type",
        ("this is port 25 or a relay: there is no AUTH XOAUTH2 there", "AUTH came before STARTTLS"),
        "use the submission service, smtp.office365.com:587", "", "public reports", "B",
    ),
    Row(
        "smtp-temporary", SMTP, None, said(r"451 4\.7\.0 Temporary server error|421 4\.3\.2 Service not a|^4\d\d[ -]4\.[37]\.\d"),
        "451 4.7.0 Temporary server error. Please try again later. PRX4",
        ("the service is busy for a moment",), LATER, "", "github.com/jstedfast/MailKit/issues/566", "B",
    ),
)  # fmt: skip
