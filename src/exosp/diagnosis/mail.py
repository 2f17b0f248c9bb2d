"""Symptoms of mail logins over IMAP and POP, and the order in which all of mail's rows are asked: what is more particular
stands first.
"""

from . import clients, network, smtp
from .remedies import APPLY, ENTRY, GRANT, XOAUTH2
from .row import IMAP, MAIL, POP, Row, because
from .smtp import OAUTH_PAGE

_REFUSED = because(
    ("wrong-object-id", "Exchange has no entry for the application, or one with the application's own object ID"),
    "no-exchange-entry",
    (
        "wrong-audience",
        "the token is for another audience than Exchange (a Graph token, or one for https://ps.outlook.com)",
    ),
    ("role-missing", "the token's roles lack the application role of the protocol"),
    ("no-mailbox-permission", "the application has no FullAccess on this mailbox, or it has no effect yet"),
    ("wrong-user-name", "the user name is no mailbox of this tenant"),
    "token-expired",
    ("xoauth2-malformed", "the XOAUTH2 string is malformed: encoded twice, cut, or without its separators"),
    ("not-in-effect-yet", "a change has not reached the server yet"),
)
_CLOSED = because(
    ("no-mailbox-permission", "the application has no FullAccess on this mailbox, or it has no effect yet"),
    ("protocol-off", "the protocol is off for this mailbox"),
    ("wrong-user-name", "the user name is not the mailbox's own (UPN and primary address differ)"),
    ("wrong-object-id", "Exchange's entry carries a wrong object ID, so that the grant is another's"),
    "no-mailbox",
    "shared-mailbox-login",
)

_WHAT_IS_OFFERED: tuple[Row, ...] = (
    Row("imap-not-offered", IMAP, "capability", "* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN / OK CAPABILITY completed.",
        because(("wrong-host", "this is not Exchange Online"), ("proxy-in-between", "a proxy in between takes XOAUTH2 away")),
        "github.com/simonrob/email-oauth2-proxy/issues/74", "B", regex=r"^\* CAPABILITY(?!.*AUTH=XOAUTH2)", hints=("capability",), given_fix="check the cloud's IMAP address", given_cmdlet=""),
    Row("pop-not-offered", POP, "capability", "+OK / TOP / UIDL / SASL PLAIN / USER",
        because(("wrong-host", "this is not Exchange Online"), ("proxy-in-between", "a proxy in between takes XOAUTH2 away")),
        "github.com/kisli/vmime/issues/267", "B", regex=r"^\+OK(?!.*XOAUTH2)", hints=("ok",), given_fix="check the cloud's POP address", given_cmdlet=""),
)  # fmt: skip

_IMAP: tuple[Row, ...] = (
    Row("imap-session-expired", IMAP, None, "* BYE Session invalidated - AccessTokenExpired",
        because(("token-expired", "the token's time ran out during the session")), "github.com/iroco-co/aioimaplib/issues/83; github.com/imapsync/imapsync/issues/250", "B",
        says=("AccessTokenExpired", "Session invalidated"), weight="code", given_fix="exosp verify PLAYBOOK takes a fresh token; a mail program must do the same and connect again"),
    Row("imap-basic-blocked", IMAP, None, 'NO AUTHENTICATE failed. Error="AuthFailed:LogonDenied-BasicAuthBlocked"',
        because("basic-auth-blocked", ("wrong-mechanism", "the client has a token and sends it as a password (LOGIN or PLAIN)")), "one public report", "C", says=("BasicAuthBlocked",), weight="code", given_fix=XOAUTH2),
    Row("imap-no-recipient", IMAP, None, 'NO AUTHENTICATE failed. Error="AuthFailed:NoADRecipient" AuthResultFromPopImapEnd=8',
        because(("protocol-off", "IMAP is off for this mailbox"), ("wrong-user-name", "the user name is no mailbox of this tenant"), "no-mailbox"), "one public report", "C",
        says=("NoADRecipient", "AuthResultFromPopImapEnd=8"), weight="code", given_fix=APPLY, given_cmdlet="Set-CASMailbox -Identity MAILBOX -ImapEnabled $true", propagation=True),
    Row("imap-oauth-refused", IMAP, "auth", 'NO AUTHENTICATE failed. Error="AuthFailed:LogonDenied-None-OAuthLog:AuthExc"',
        _REFUSED, "one public report", "C", says=("LogonDenied-None-OAuthLog",), given_fix=APPLY, given_cmdlet=ENTRY, propagation=True),
    Row("imap-logon-denied", IMAP, None, 'NO AUTHENTICATE failed. Error="AuthFailed:LogonDenied"', _REFUSED, "one public report", "C", says=("AuthFailed:LogonDenied",), weight="vague", propagation=True),
    Row("app-access-policy", IMAP | {"graph"}, None, "[RAOP] : Blocked by tenant configured AppOnly AccessPolicy settings.",
        because("app-access-policy", ("not-in-effect-yet", "a policy made or changed within the last hour has no effect yet"), "rbac-scope"),
        "learn.microsoft.com, Limiting application permissions to specific mailboxes; public reports", "B", says=("Blocked by tenant configured AppOnly AccessPolicy",), weight="code", propagation=True),
    Row("not-connected", IMAP | POP, None, "BAD User is authenticated but not connected.",
        _CLOSED, "DanijelkMSFT/ThisandThat Get-IMAPAccessToken.ps1; github.com/simonrob/email-oauth2-proxy/issues/74 and /275", "A",
        says=("User is authenticated but not connected", "authenticated but not connected"), propagation=True, given_fix=APPLY, given_cmdlet=GRANT),
    Row("imap-closed-14", IMAP, None, "* BYE Connection closed. 14", _CLOSED, "github.com/jstedfast/MailKit/issues/1496; github.com/simonrob/email-oauth2-proxy/issues/74", "B",
        regex=r"BYE Connection (is )?closed\. 14", hints=("closed14",), weight="vague", propagation=True, given_fix=APPLY, given_cmdlet=GRANT),
    Row("imap-shared-login", IMAP, None, "NO [ALERT] Invalid user or mailbox: support@contoso.com/shared", because("wrong-user-name"), "public reports", "K", says=("Invalid user or mailbox",), near=frozenset(("mail",))),
    Row("imap-login-failed", IMAP, "auth", "A1 NO LOGIN failed.",
        because(("basic-auth-blocked", "LOGIN with a password: Exchange Online takes none since 2022"), ("wrong-mechanism", "the client has a token and sends it by LOGIN in place of AUTHENTICATE XOAUTH2"), "protocol-off"),
        "learn.microsoft.com, Deprecation of Basic authentication in Exchange Online; public reports", "A",
        says=("NO LOGIN failed", "[AUTHENTICATIONFAILED] LOGIN failed", "LOGIN failed"), weight="vague", near=frozenset(("mail", "microsoft"))),
    Row("imap-bad-command", IMAP, "auth", "BAD Command Argument Error. 12",
        because(("xoauth2-malformed", "the argument is no valid base64, is cut, or came in pieces: the XOAUTH2 string is malformed"), ("client-too-old", "the client sends a command in a form Exchange does not take")), "public reports", "B",
        says=("BAD Command Error.", "Command Error. 1", "BAD Command Argument Error", "Command Argument Error"), weight="text"),
    Row("imap-bad-state", IMAP, None, "BAD Command received in Invalid state.",
        because(("not-authenticated", "the client went on after a login that had failed"), ("wrong-mechanism", "the login was left out or cut short")), "public reports", "B", says=("Command received in Invalid state",), weight="vague"),
    Row("imap-closed", IMAP | POP, None, "* BYE Connection is closed. 13",
        because(("connection-cut", "the server hangs up after a login that failed or came in a form it does not take: look at what stands before"), "basic-auth-blocked", "not-authenticated"), "public reports", "B",
        regex=r"Connection is closed\. \d\d", hints=("connectionisclosed",), weight="echo"),
    Row("imap-nothing-selected", IMAP, None, "imaplib.IMAP4.error: command SEARCH illegal in state AUTH, only allowed in states SELECTED",
        because(("no-mailbox-permission", "SELECT failed before, and nobody looked: as a rule the mailbox is not open to this login"), "protocol-off", "wrong-user-name"), "public reports", "B", says=("illegal in state AUTH, only",), weight="vague"),
    Row("imap-not-logged-in", IMAP, None, "imaplib.IMAP4.error: command SELECT illegal in state NONAUTH, only allowed in states AUTH, SELECTED",
        because(("not-authenticated", "the login failed or was left out, and nobody looked"),), "public reports", "B", says=("illegal in state NONAUTH", "illegal in state LOGOUT"), weight="vague"),
    Row("client-no-folders", IMAP, None, "Connected, but no IMAP folders found",
        because(("no-mailbox-permission", "the login is taken and the mailbox not open: no FullAccess for this user or application"), "wrong-user-name", "no-mailbox", "role-missing"), "github.com/freescout-help-desk/freescout/issues/2605", "C", says=("Connected, but no IMAP folders found", "no IMAP folders found")),
    Row("imap-auth-failed", IMAP, "auth", "NO AUTHENTICATE failed.", _REFUSED, f"{OAUTH_PAGE}; github.com/jstedfast/MailKit/issues/1337 and /1811", "A",
        says=("AUTHENTICATE failed",), weight="vague", propagation=True, given_fix=APPLY, given_cmdlet=ENTRY),
    Row("imap-too-many", IMAP, None, "* BYE Too many simultaneous connections", because("too-many-connections"), "public reports", "B",
        says=("Too many simultaneous connections", "Maximum number of connections from user", "exceeded the maximum number of concurrent connections", "BackoffDueToThrottling"), near=frozenset(("mail", "microsoft", "exchange"))),
    Row("imap-throttled", IMAP, None, "BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds", because(("throttled", "the client asked too much of this mailbox; the server says how long to wait"), "too-many-connections"), "public reports", "B",
        says=("Request is throttled. Suggested Backoff Time", "Suggested Backoff Time"), weight="code"),
    Row("imap-temporary", IMAP, None, "NO [UNAVAILABLE] Server Unavailable. 15", because(("service-trouble", "the mailbox's server is busy or being moved"), ("connection-cut", "the mailbox is being moved")), "RFC 5530, UNAVAILABLE", "K",
        says=("Server Unavailable. 15", "NO [UNAVAILABLE]", "NO Server Unavailable"), near=frozenset(("mail",)), given_fix="run exosp verify PLAYBOOK again later"),
    Row("imap-folder", IMAP, None, "NO [NONEXISTENT] Folder does not exist. support doesn't exist.", because(("object-not-found", "the folder's name is wrong: names are the mailbox's own language, with / between them")), "public reports", "B",
        says=("doesn't exist in the mailbox", "NO [NONEXISTENT]", "Folder does not exist"), near=frozenset(("mail",)), given_fix="list the folders first and use their exact names", given_cmdlet=""),
)  # fmt: skip

_POP: tuple[Row, ...] = (
    Row("pop-protocol-error", POP, None, "-ERR Protocol error. Connection is closed. 10",
        because("one-line-pop-auth", "token-too-long", ("xoauth2-malformed", "the second line is cut or no valid base64")),
        f"{OAUTH_PAGE}; github.com/getmail6/getmail6/issues/256; github.com/jstedfast/MailKit/issues/1948", "B", says=("ERR Protocol error", "Protocol error. Connection is closed"),
        given_fix="let the mail program send AUTH in two lines (exosp does); for a long token, drop the groups claim from the application"),
    Row("pop-bad-state", POP, None, "-ERR Command is not valid in this state.",
        because(("not-authenticated", "the client went on after a login that had failed, or logged in twice"), ("wrong-mechanism", "USER and PASS came where AUTH XOAUTH2 is meant")), "public reports", "B", says=("Command is not valid in this state",), weight="vague"),
    Row("pop-logon-failure", POP, "auth", "-ERR Logon failure: unknown user name or bad password.",
        because(("basic-auth-blocked", "a password came where Exchange takes only OAuth: this text answers passwords"), "wrong-mechanism", "protocol-off"), "public reports", "B",
        says=("ERR Logon failure", "Logon failure: unknown user name or bad password"), given_fix=XOAUTH2),
    Row("pop-auth-failed", POP, "auth", "-ERR Authentication failure: unknown user name or bad password.",
        (*_REFUSED[:4], *because(("protocol-off", "POP is off for this mailbox")), *_REFUSED[4:]), f"{OAUTH_PAGE}; github.com/simonrob/email-oauth2-proxy/issues/160", "A",
        says=("ERR Authentication failure", "Authentication failure: unknown user name or bad password"), weight="vague", propagation=True, given_fix=APPLY, given_cmdlet="Set-CASMailbox -Identity MAILBOX -PopEnabled $true"),
)  # fmt: skip

_ANY: tuple[Row, ...] = (
    Row("mailbox-inactive", MAIL | {"graph"}, None, "The mailbox is either inactive, soft-deleted, or is hosted on-premise. MailboxNotEnabledForRESTAPI",
        because(("no-mailbox", "the mailbox is inactive, soft-deleted, on premises, or has no licence")), "public reports", "B",
        says=("MailboxNotEnabledForRESTAPI", "mailbox is either inactive", "MailboxNotHostedInExchangeOnline", "UserHasNoMailboxAndNoLicenseAssigned", "UserHasNoMailbox", "does not have a mailbox", "REST API is not yet supported for this mailbox"), weight="code"),
)  # fmt: skip

ROWS: tuple[Row, ...] = (*network.ROWS, *_WHAT_IS_OFFERED, *_IMAP, *_POP, *smtp.ROWS, *_ANY, *clients.ROWS)
