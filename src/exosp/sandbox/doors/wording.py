"""Exchange Online's own texts, word for word, each with its source; nothing here decides when they are said.

Marks: [V] vendor page or its samples, [T] transcripts in public threads, [K] known of Exchange, no transcript at hand,
[E] the emulator's own. Server names carry ``emulated``, so that no transcript of the sandbox passes for a real one.
"""

import base64
import email.utils
from datetime import UTC, datetime

from ..tenant import Tenant

# -- IMAP ------------------------------------------------------------------------------------------------------------
# [T] MailKit#1494, #1496 (2022-12): before and after authentication
IMAP_CAPABILITY = "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+"
IMAP_CAPABILITY_AUTHENTICATED = (
    "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CLIENTACCESSRULES "
    "CLIENTNETWORKPRESENCELOCATION BACKENDAUTHENTICATE CHILDREN IDLE NAMESPACE LITERAL+"
)
IMAP_AUTH_REFUSED = "NO AUTHENTICATE failed."  # [V]
IMAP_AUTH_DONE = "OK AUTHENTICATE completed."  # [V]
IMAP_LOGIN_REFUSED = "NO LOGIN failed."  # [T] imapsync#317
IMAP_NOT_CONNECTED = "BAD User is authenticated but not connected."  # [T] email-oauth2-proxy#74, MailKit#1496
IMAP_CLOSED = "* BYE Connection closed. 14"  # [T] email-oauth2-proxy#74: after the second refused command
IMAP_TOKEN_EXPIRED = "* BYE Session invalidated - AccessTokenExpired"  # noqa: S105 - [T] aioimaplib#83
IMAP_COMMAND_ERROR = "BAD Command Error. 10"  # [T] node-imap#44
IMAP_ARGUMENT_ERROR = "BAD Command Argument Error. 11"  # [T] imapsync#239, ImapEngine#109 (FETCH with an empty list)
IMAP_STATE_BAD = "BAD Command received in Invalid state."  # [T] email-oauth2-proxy#192
IMAP_STATE_NO = "NO Command received in Invalid state."  # [T] go-imap#11: STORE after EXAMINE
IMAP_SIGNING_OFF = "* BYE Microsoft Exchange Server IMAP4 server signing off."  # [T] uxc#445, go-imap#11
IMAP_IDLE = "+ IDLE accepted, awaiting DONE command."  # [K]
IMAP_MORE = "+ Ready for additional command text."  # [K]
IMAP_BAD_CHARSET = "NO [BADCHARSET (US-ASCII)] The specified charset is not supported."  # [K]

# -- POP3 ------------------------------------------------------------------------------------------------------------
POP_CAPABILITIES = ("TOP", "UIDL", "SASL PLAIN XOAUTH2", "USER")  # [T] vmime#267
POP_AUTH_DONE = "+OK User successfully authenticated."  # [V]
POP_AUTH_REFUSED = "-ERR Authentication failure: unknown user name or bad password."  # [V]
POP_LOGON_REFUSED = "-ERR Logon failure: unknown user name or bad password."  # [T] FACTS §13; answers passwords
POP_NOT_CONNECTED = "-ERR User is authenticated but not connected"  # [T] FACTS §13
POP_PROTOCOL_ERROR = "-ERR Protocol error. Connection is closed. 10"  # [T] getmail6#256, vmime#267; MailKit#1948
POP_UNKNOWN = "-ERR Protocol error. 14"  # [K]
POP_STATE = "-ERR Command is not valid in this state."  # [T] MailKit#391
POP_RANGE = "-ERR The specified message is out of range."  # [K]
POP_CLOSED = "-ERR Connection is closed. 14"  # [E] after IMAP's
POP_SIGNING_OFF = "+OK Microsoft Exchange Server POP3 server signing off."  # [K]

# -- SMTP ------------------------------------------------------------------------------------------------------------
# [T] MailKit#1770 (2024-07). CHUNKING and BINARYMIME stand there too; the emulator offers neither, as it has no BDAT.
SMTP_BEFORE_TLS = ("SIZE 157286400", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES", "STARTTLS", "8BITMIME", "SMTPUTF8")
SMTP_AFTER_TLS = ("SIZE 157286400", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES", "AUTH LOGIN XOAUTH2", "8BITMIME", "SMTPUTF8")  # fmt: skip
SMTP_READY_TLS = "220 2.0.0 SMTP server ready"  # [T] MailKit#1770
SMTP_AUTH_DONE = "235 2.7.0 Authentication successful"  # [V]
SMTP_AUTH_REFUSED = "535 5.7.3 Authentication unsuccessful {stamp}"  # [V], with time and id: [T] MailKit#1770
SMTP_OFF = (  # [T] email-oauth2-proxy#193
    "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the {where}. "
    "Visit https://aka.ms/smtp_auth_disabled for more information. {stamp}"
)
SMTP_BASIC = "535 5.7.139 Authentication unsuccessful, basic authentication is disabled. {stamp}"  # [T] FACTS §4a
SMTP_MECHANISM = "504 5.7.4 Unrecognized authentication type {stamp}"  # [T] mattermost#954, PHPMailer#1254, mgob#52
SMTP_AUTH_CANCELLED = "501 5.7.0 Authentication cancelled"  # [E]; the code is RFC 4954 section 4's
SMTP_NOT_AUTHENTICATED = "530 5.7.57 Client not authenticated to send mail. {stamp}"  # [T] sasl-xoauth2#96
SMTP_UNKNOWN = "500 5.3.3 Unrecognized command 'unknown' {stamp}"  # [T] email-oauth2-proxy#232
SMTP_QUEUED = "250 2.6.0 {message_id} [InternalId={internal}, Hostname={backend}] {size} bytes in 0.100, {rate:.3f} KB/sec Queued mail for delivery"  # [T]
# [T] git's send-email, which takes the id from here (its commits of 2025-04 quote the answer of smtp.office365.com)
SMTP_QUEUED_RENAMED = "250 2.0.0 OK {message_id} [Hostname={backend}]"
SMTP_NOT_THIS_SENDER = (
    "550 5.7.60 SMTP; Client does not have permissions to send as this sender [{backend}]"  # [T] PHPMailer#1231
)
SMTP_SEND_AS_DENIED_OLDER = (  # [T] fusionauth-issues#220, MailKit#1176
    "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message "
    "due to a permanent exception with message Cannot submit message. 0.35250:0A007C85, 1.36674:0A000000 [Hostname={backend}]"
)
SMTP_MAILBOX_FULL = (  # [V] smtp-submission-improvements; what follows the exception's name is as in the others
    "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded; "
    "Failed to process message due to a permanent exception with message Cannot submit message. [Hostname={backend}]"
)
SMTP_DAILY_QUOTA = (  # [V] smtp-submission-improvements
    "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process message due to a "
    "permanent exception with message The message can't be submitted because the sender's submission quota was exceeded. "
    "[Hostname={backend}]"
)
SMTP_RATE = "421 4.4.2 Message submission rate for this client has exceeded the configured limit"  # [T] git send-email users on lore.kernel.org
SMTP_SEND_AS_DENIED = (  # [T] gophish#2900
    "554 5.2.252 SendAsDenied; {user} not allowed to send as {sender}; "
    "STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message due to a "
    "permanent exception with message [BeginDiagnosticData]Cannot submit message. [EndDiagnosticData] [Hostname={backend}]"
)
SMTP_LOGON_FAILURE = (  # [T] email-oauth2-proxy#271
    "430 4.2.0 STOREDRV; mailbox logon failure; "
    "STOREDRV.Submission.Exception:ConnectionFailedTransientException.MapiExceptionLogonFailed; Failed to process "
    "message due to a transient exception with message [BeginDiagnosticData]Cannot open mailbox. Server = {backend} "
    "[EndDiagnosticData] [Hostname={backend}]"
)
SMTP_CONCURRENCY = (  # [T] fastapi-mail#75
    "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information. "
    "[Hostname={backend}]"
)
SMTP_TOO_LARGE = "552 5.3.4 Message size exceeds fixed maximum message size"  # [K]
SMTP_TOO_MANY = "421 4.3.2 The maximum number of concurrent connections has exceeded a limit, closing transmission channel"  # [T] Ombi#4429
SMTP_TOO_MANY_ERRORS = "421 4.7.0 Too many errors on this connection, closing transmission channel"  # [K]
SMTP_TIMED_OUT = "421 4.4.1 Connection timed out"  # [K]
SMTP_BYE = "221 2.0.0 Service closing transmission channel"  # [T] Exchange telnet articles
SMTP_GO_AHEAD = "354 Start mail input; end with <CRLF>.<CRLF>"  # [T]


def front_end(tenant: Tenant) -> str:
    """The client access server that answers, as it names itself in texts."""
    return f"{tenant.exchange.server_name.replace('MB', 'CA')}.emulated.prod.outlook.com"


def back_end(tenant: Tenant) -> str:
    """The mailbox server behind it."""
    return f"{tenant.exchange.server_name}.emulated.prod.outlook.com"


def smtp_host(tenant: Tenant) -> str:
    return f"{tenant.exchange.server_name.replace('MB', 'CA')}.emulated.outlook.office365.com"


def stamp(tenant: Tenant) -> str:
    """``[server time id]`` as SMTP refusals end; the id is the time in 100 ns since the year 1, as seen in the field."""
    now = tenant.clock.now()
    moment = datetime.fromtimestamp(now, UTC)
    ticks = int((now + 62135596800) * 10_000_000)
    return f"[{front_end(tenant)} {moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z {ticks:016X}]"


def greeting(tenant: Tenant, service: str) -> str:
    """IMAP4's and POP3's first line: in brackets the server's name in UTF-16, base64 ([T] MailKit#1494, vmime#267)."""
    name = base64.b64encode(front_end(tenant).encode("utf-16-le")).decode()
    return f"The Microsoft Exchange {service} service is ready. [{name}] (emulated)"


def date(tenant: Tenant) -> str:
    """Now, in sandbox time, as mail headers write it."""
    return email.utils.format_datetime(datetime.fromtimestamp(int(tenant.clock.now()), UTC))
