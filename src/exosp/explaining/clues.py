"""What stands beside an error and tells its causes apart: a scope, a mechanism, a flow. A clue moves a cause to the front of
the rows it fits; it never makes an answer by itself.
"""

from dataclasses import dataclass

from ..diagnosis.causes import Cause
from ..diagnosis.reading import Reading
from ..diagnosis.row import Row, _compiled

_LOGINS = frozenset((
    "imap-auth-failed", "smtp-auth-failed", "pop-auth-failed", "client-login-failed", "imap-logon-denied", "imap-oauth-refused", "imap-login-failed",
))  # fmt: skip


@dataclass(frozen=True)
class Clue:
    """``pattern`` reads the text in one line, in lower case. ``rows`` the clue speaks to even if they do not list the
    cause; ``only``: to no others. ``unlikely`` are causes that it puts last."""

    key: Cause
    pattern: str
    words: str
    rows: frozenset[str] = frozenset()
    unless: str = ""
    only: bool = False
    unlikely: frozenset[Cause] = frozenset()


_ALONE: frozenset[Cause] = frozenset(("wrong-object-id", "no-exchange-entry", "role-missing", "no-mailbox-permission"))

CLUES: tuple[Clue, ...] = (
    Clue("wrong-audience", r"accessasuser|smtp\.send\b|offline_access|authorization_code|grant_type=password|acquire_?token_?(silent|interactive|by_username)|device_?flow", "the paste shows a person's sign-in, not an application's",
         frozenset(("imap-auth-failed", "smtp-auth-failed", "pop-auth-failed", "client-login-failed")), unless=r"client_credentials|acquiretokenforclient|acquire_token_for_client|accessasapp|sendasapp", only=True, unlikely=_ALONE),
    Clue("scope-not-default", r"client_credentials.{0,300}scope\W{1,6}(imap|smtp|pop)\.|scope\W{1,6}(imap|smtp|pop)\..{0,300}client_credentials", "the paste asks for a single permission with client_credentials"),
    Clue("wrong-audience", r"graph\.microsoft\.(com|us)/(\.default|imap|smtp|pop|mail)|scope\W{0,8}https?://graph\.|resource\W{0,8}https?://graph\.|user\.read\w*(\.all)?\b.{0,120}(smtp|imap|pop)\.|\bps\.outlook\.com",
         "the paste asks for a token of another resource: Microsoft Graph or ps.outlook.com", _LOGINS),
    Clue("wrong-permission", r"full_access_as_app|ews\.accessasuser", "the paste names a permission of EWS", _LOGINS),
    Clue("delegated-for-application", r"(client_credentials|acquiretokenforclient|acquire_token_for_client|clientcredential).{0,2000}(accessasuser|smtp\.send\b)|(accessasuser|smtp\.send\b).{0,2000}(client_credentials|acquiretokenforclient|acquire_token_for_client|clientcredential)",
         "the paste shows a delegated permission together with client_credentials", _LOGINS),
    Clue("basic-auth-blocked", r"\bauth(mech)?[ =:\[]{1,3}(plain|login)\b|authenticate plain|\ba?\d* ?login \S+@\S+ |authmech \[?login|auth login|using (plain|login)|login failed|user \S+@\S+.{0,40}pass |imap_open\(|smtp_(user|pass)|mechanism:? ?(plain|login)|authenticator (login|plain)|possible authenticators|user or password wrong|invalid login: 535|smtpauthenticationerror|could not authenticate|encryption.{0,40}password",
         "the paste shows a login with a password, and nothing of OAuth", frozenset(("smtp-auth-failed", "pop-auth-failed", "client-login-failed", "imap-login-failed")), unless=r"xoauth2|oauth|bearer|access.?token", only=True),
    Clue("wrong-mechanism", r"(access_?token|oauth|xoauth2).{0,400}(auth login|auth plain|authenticate plain|\blogin failed)", "the paste has a token and a login by LOGIN or PLAIN", frozenset(("imap-login-failed",))),
    Clue("personal-account", r"@(outlook|hotmail|live|msn)\.(com|[a-z]{2})\b|/consumers/", "the paste names a personal account", _LOGINS),
    Clue("xoauth2-malformed", r"xoauth2.{0,60}(\\\\?r\\\\?n|\^a\^a|invalid base64)", "the paste shows a broken XOAUTH2 string", _LOGINS),
    Clue("wrong-user-name", r"shared ?mailbox|/shared\b|\\\\shared|alias", "the paste speaks of a shared mailbox or an alias"),
    Clue("wrong-user-name", r"postfix/smtp\W.{0,200}sasl authentication failed", "a mail server logs in for people: the token may be another account's than the user name", frozenset(("smtp-auth-failed",))),
    Clue("not-in-effect-yet", r"(worked|works) (for|after) (a while|some|an hour)|intermittent", "the paste says that it comes and goes"),
    Clue("wrong-host", r"(office365|outlook)[^ ]* ?.{0,60}\b(465|443)\b|\bport\W{1,4}(465|443)\b", "Exchange Online's mail ports are 993, 995 and 587; the paste names another", frozenset(("no-answer", "connection-refused", "client-no-greeting", "cannot-connect", "tls-wrong-port"))),
    Clue("connection-timeout", r"port[ =:]{1,2}25\b|:25\b", "port 25 is blocked by many providers"),
    Clue("wrong-tls-mode", r"\b(587|143|110)\b.{0,120}(usessl|ssl\W{1,4}true|secure\W{1,4}true|sslonconnect|ssl/tls|smtps|ssl://)|(usessl|ssl\W{1,4}true|secure\W{1,4}true|sslonconnect|smtps|ssl://).{0,160}\b(587|143|110)\b",
         "the paste shows TLS from the start together with a port that begins in plain text"),
    Clue("certificate-untrusted", r"remotecertificatechainerrors|avast|eset|kaspersky|zscaler|netskope|fortinet|self.signed|bitdefender|sophos", "the paste names what inspects TLS"),
    Clue("key-cng", r"\bcng\b|key storage provider", "the paste names CNG"),
    Clue("not-connected-to-exchange", r"connect-azuread|connect-msolservice|connect-mggraph", "the paste connects to Entra and not to Exchange", frozenset(("exchange-cmdlet-missing",))),
    Clue("public-client-off", r"device_?code|username.{0,40}password|acquire_token_by_username|initiate_device_flow|\bropc\b|grant_type=password|installed_app", "the paste shows a person's flow", frozenset(("aadsts7000218",))),
    Clue("token-malformed", r"access_token\W{0,6}(none|null|undefined)|bearer (none|null|undefined|\W*$)", "the paste shows an empty token", _LOGINS),
)  # fmt: skip


def speak(reading: Reading, rows: frozenset[str]) -> dict[str, list[Clue]]:
    """The clues of a text for each of the rows found in it, in the table's order."""
    low = reading.flat.lower()[:200_000]
    found: dict[str, list[Clue]] = {}
    for clue in CLUES:
        if _compiled(clue.pattern).search(low) and not (clue.unless and _compiled(clue.unless).search(low)):
            for row in rows:
                found.setdefault(row, []).append(clue)
    return found


def fits(clue: Clue, row: Row) -> bool:
    return row.id in clue.rows or (not clue.only and any(one.key == clue.key for one in row.because))
