"""exosp explain: the table's laws, and what it makes of texts that are wrapped, quoted, cut, escaped or buried."""

import html
import json
import random
import re
import textwrap
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from exosp.diagnosis import ROWS, find
from exosp.diagnosis.causes import CAUSES, WORDS
from exosp.diagnosis.remedies import REMEDIES
from exosp.diagnosis.row import Row
from exosp.explaining import Explanation, explain

NOW = datetime(2026, 2, 2, 10, 0, tzinfo=UTC)


def explained(text: str) -> Explanation:
    return explain([text], NOW)


def first(text: str) -> str:
    """The id of the first answer's row, or unknown."""
    answers = explained(text).answers
    return answers[0].row.id if answers and answers[0].row else "unknown"


def cause(text: str) -> str:
    answers = explained(text).answers
    return answers[0].causes[0].key if answers else "unknown"


# The table


def test_every_cause_has_words_and_a_remedy() -> None:
    """No key is without words, a way to tell it from others, and a fix; none stands in the tables that is no key."""
    assert set(WORDS) == set(CAUSES) == set(REMEDIES)
    for key in CAUSES:
        assert WORDS[key]
        assert REMEDIES[key].tell
        assert REMEDIES[key].fix


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_phrase_is_long_enough_to_mean_something(row: Row) -> None:
    """Blanks do not count, so a short phrase would stand in the middle of other words: "EAUTH" in "the authority"."""
    for pieces in row.phrases:
        assert len("".join(pieces)) >= 8 or not pieces[0].isascii()
        assert all(pieces), "no gap at an end"


@pytest.mark.parametrize("row", [row for row in ROWS if row.stage != "capability"], ids=lambda row: row.id)
def test_each_row_answers_for_its_own_text(row: Row) -> None:
    """A row's example, pasted alone with a word of where it comes from, is answered by that row."""
    where = {"remoting": "winrm exchange", "graph": "graph.microsoft.com", "token": "login.microsoftonline.com"}
    about = " ".join(where.get(service, f"{service} outlook.office365.com") for service in sorted(row.where))
    assert row.id in [answer.row.id for answer in explained(f"{row.example}\n{about}").answers if answer.row]


def test_commands_in_fixes_exist() -> None:
    """A fix never names a command of exosp that there is not."""
    from test_readme import commands

    known = {name.split()[0] for name, _ in commands()}
    said = [text for remedy in REMEDIES.values() for text in (remedy.fix, remedy.tell)] + [row.fix for row in ROWS]
    for text in said:
        for name in re.findall(r"\bexosp ([a-z-]+) PLAYBOOK", text):
            assert name in known, text


# What the field shows, by hand: each text with the row that is meant for it and the cause named first.
SEEN = [
    ("A01 NO AUTHENTICATE failed.", "imap-auth-failed", "wrong-object-id"),
    ("A3 BAD User is authenticated but not connected.\r\n* BYE Connection closed. 14", "not-connected", "no-mailbox-permission"),
    ("-ERR Authentication failure: unknown user name or bad password.", "pop-auth-failed", "wrong-object-id"),
    ("-ERR Logon failure: unknown user name or bad password.", "pop-logon-failure", "basic-auth-blocked"),
    ("-ERR User is authenticated but not connected", "not-connected", "no-mailbox-permission"),
    ("-ERR Protocol error. Connection is closed. 10", "pop-protocol-error", "one-line-pop-auth"),
    ("535 5.7.3 Authentication unsuccessful [AM0PR06CA0126.eurprd06.prod.outlook.com 2024-02-14T14:50:26.590Z 08DC2D372B4C3DED]", "smtp-auth-failed", "wrong-object-id"),
    ("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled", "smtp-off-tenant", "smtp-auth-off-tenant"),
    ("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. Visit https://aka.ms/smtp_auth_disabled", "smtp-off-mailbox", "smtp-auth-off-mailbox"),
    ("535 5.7.139 Authentication unsuccessful, basic authentication is disabled. [x]", "smtp-basic-off", "basic-auth-blocked"),
    ("535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy. Contact your administrator.", "smtp-security-defaults", "security-defaults"),
    ("535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated successfully. Contact your administrator.", "smtp-criteria", "conditional-access"),
    ("550 5.7.30 Basic authentication is not supported for Client Submission.", "smtp-basic-gone", "basic-auth-blocked"),
    ("530 5.7.57 Client not authenticated to send mail.", "smtp-not-authenticated", "not-authenticated"),
    ("530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM", "smtp-not-authenticated", "not-authenticated"),
    ("430 4.2.0 STOREDRV; mailbox logon failure; STOREDRV.Submission.Exception:ConnectionFailedTransientException.MapiExceptionLogonFailed; Failed to process message", "smtp-mailbox-logon", "no-mailbox-permission"),
    ("430 4.2.0 STOREDRV; AuthenticationContext has no rights on this session", "smtp-mailbox-logon", "no-mailbox-permission"),
    ("550 5.7.60 SMTP; Client does not have permissions to send as this sender", "smtp-not-the-sender", "send-as-missing"),
    ("554 5.2.252 SendAsDenied; a@contoso.com not allowed to send as b@contoso.com; STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied", "smtp-send-as-denied", "send-as-missing"),
    ("554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed", "smtp-send-as-denied", "send-as-missing"),
    ("432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", "smtp-concurrency", "too-many-connections"),
    ("432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending", "smtp-concurrency", "too-many-connections"),
    ("451 4.7.0 Temporary server error. Please try again later. PRX4", "smtp-temporary", "service-trouble"),
    ("554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException", "smtp-quota", "sending-quota"),
    ("4.4.2 Message submission rate for this client has exceeded the configured limit", "smtp-rate", "submission-rate"),
    ("504 5.7.4 Unrecognized authentication type", "smtp-not-here", "auth-not-offered"),
    ("* BYE Session invalidated - AccessTokenExpired", "imap-session-expired", "token-expired"),
    ('A1 NO AUTHENTICATE failed. Error="AuthFailed:LogonDenied-BasicAuthBlocked"', "imap-basic-blocked", "basic-auth-blocked"),
    ("AuthResultFromPopImapEnd=8 NoADRecipient", "imap-no-recipient", "protocol-off"),
    ("[RAOP] : Blocked by tenant configured AppOnly AccessPolicy settings.", "app-access-policy", "app-access-policy"),
    ("The appId '1' of the service principal does not reference a valid application object. NoBackingApplicationObject", "graph-no-backing-application", "not-replicated"),
    ("Resource '1' does not exist or one of its queried reference-property objects are not present.", "graph-not-visible", "not-replicated"),
    ("Not a valid reference update.", "graph-invalid-reference", "not-replicated"),
    ("Permission being assigned was not found on application '1'", "graph-role-not-found", "wrong-role-id"),
    ("Permission being assigned already exists on the object", "graph-role-there", "already-there"),
    ("EntitlementGrant entry already exists.", "graph-role-there", "already-there"),
    ("Insufficient privileges to complete the operation. Authorization_RequestDenied", "graph-forbidden", "caller-lacks-permission"),
    ("because the service principal name <x> is already in use. Request_MultipleObjectsWithSameKeyValue", "graph-principal-there", "already-there"),
    ("Another object with the same value for property uniqueName already exists.", "graph-unique-name-taken", "deleted-keeps-name"),
    ("CredentialInvalidLifetimeAsPerAppPolicy: Credential lifetime exceeds the max value allowed as per assigned policy", "graph-lifetime-policy", "credential-policy"),
    ("AADServicePrincipalNotFound: No ServicePrincipal with Object Id 'x' is registered", "exchange-principal-not-found", "wrong-object-id"),
    ("Ex6F9304|Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException|The operation couldn't be performed because object 'x' couldn't be found on 'y'.", "exchange-not-found", "object-not-found"),
    ("Microsoft.Exchange.Configuration.Tasks.ManagementObjectAmbiguousException", "exchange-ambiguous", "name-ambiguous"),
    ('WARNING: The appropriate access control entry is already present on the object "CN=x"', "exchange-permission-there", "already-there"),
    ("The command you tried to run isn't currently allowed in your organization.", "exchange-dehydrated", "dehydrated"),
    ("The role assigned to application x isn't supported in this scenario. Please check online documentation for assigning correct Directory Roles", "exchange-role-unsupported", "admin-role-missing"),
    ("The term 'New-ServicePrincipal' is not recognized as the name of a cmdlet, function, script file, or operable program.", "exchange-cmdlet-missing", "admin-role-missing"),
    ("The term 'Update-ModuleManifest' is not recognized as the name of a cmdlet", "exchange-module-manifest", "module-missing"),
    ("Keyset does not exist", "host-key-unreadable", "key-unreadable"),
    ("Could not load file or assembly 'System.IdentityModel.Tokens.Jwt, Version=6.22.1.0' ExchangeOnlineManagement", "host-module-clash", "module-clash"),
    ("The syntax is not supported by this runspace. This can occur if the runspace is in no-language mode.", "host-no-language", "no-language"),
    ("WinRM: The following error with errorcode 0x80090322 occurred while using Kerberos authentication", "winrm-name", "winrm-kerberos"),
    ("pypsrp winrm http://host:5985/PowerShell/ Bad HTTP response returned from the server. Code 404", "winrm-not-found", "winrm-path"),
    ("winrm: Access is denied. LocalAccountTokenFilterPolicy", "winrm-denied", "winrm-denied"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "row", "key"), SEEN)
def test_what_the_field_shows_is_answered(text: str, row: str, key: str) -> None:
    """Each text is answered by its row, with the likeliest cause first, and verify's look-up finds the same row."""
    assert (first(text), cause(text)) == (row, key)
    assert row in {found.id for found in find(text)}


CODES = {
    700016: "client-id-wrong", 7000215: "secret-id-for-value", 7000222: "secret-expired", 7000218: "secret-missing", 7000216: "secret-missing",
    7000112: "app-disabled", 7000229: "app-not-in-tenant", 90002: "tenant-wrong", 900023: "tenant-wrong", 900382: "cloud-wrong", 900432: "cloud-wrong",
    90038: "cloud-wrong", 500011: "resource-missing", 50001: "scope-wrong", 70011: "scope-wrong", 1002012: "scope-not-default", 700022: "scope-two-resources",
    28000: "scope-two-resources", 65001: "consent-missing", 65004: "consent-missing", 90094: "consent-admin-only", 50105: "assignment-required",
    53003: "conditional-access", 53005: "device-not-compliant", 530032: "conditional-access", 50076: "mfa-required", 50079: "mfa-required",
    700027: "certificate-not-registered", 50012: "assertion-wrong", 700030: "certificate-not-registered", 700211: "federated-issuer",
    700212: "federated-audience", 700213: "federated-subject", 7002138: "federated-subject", 70021: "federated-subject", 50194: "app-single-tenant",
    500113: "redirect-wrong", 50011: "redirect-wrong", 90055: "throttled", 50196: "throttled", 90033: "service-trouble", 700082: "refresh-token-expired",
    70008: "refresh-token-expired", 700084: "refresh-token-expired", 50173: "refresh-token-revoked", 50126: "user-password-wrong", 50034: "user-unknown",
    50053: "user-locked", 50057: "user-disabled", 65002: "preauthorization-missing", 650053: "scope-wrong", 9002313: "request-malformed",
}  # fmt: skip


@pytest.mark.parametrize("code", CODES)
def test_entra_codes_are_answered_by_their_cause(code: int) -> None:
    """By the code alone: the words may change, be translated or missing."""
    for text in (
        f"AADSTS{code}: whatever it says today.",
        f"MsalServiceException: AADSTS{code}: Die Anforderung ist fehlgeschlagen.",
        json.dumps({"error": "invalid_client", "error_codes": [code], "error_description": "…"}),
        f"https://localhost/?error=access_denied&error_description=AADSTS{code}%3a+The+text",
    ):
        assert cause(text) == CODES[code], text


# Laws: what is done to a text on its way into a paste leaves the answer as it is.

SAMPLES = [text for text, _, _ in SEEN if len(text) > 30] + [
    "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '11111111-1111-1111-1111-111111111111'. Trace ID: 22222222-2222-2222-2222-222222222222",
    "AADSTS700016: Application with identifier '11111111-1111-1111-1111-111111111111' was not found in the directory 'Contoso'. This can happen if the application has not been installed by the administrator of the tenant.",
]  # fmt: skip


def wrapped_at(width: int) -> Callable[[str], str]:
    return lambda text: "\n".join(text[at : at + width] for at in range(0, len(text), width))


def powershell(text: str) -> str:
    body = "\n".join(textwrap.wrap(text, 79))
    return f"{body}\nAt line:1 char:1\n+ Connect-ExchangeOnline\n+ ~~~~~~~~~~~~~~~~~~~~~~\n    + CategoryInfo          : NotSpecified: (:) [], Exception\n    + FullyQualifiedErrorId : System.Exception"


def bars(text: str) -> str:
    return "Line |\n   3 |  Connect-ExchangeOnline\n     |  ~~~~~~~~~~~~~~~~~~~~~~\n" + "\n".join(
        f"     | {line}" for line in textwrap.wrap(text, 70)
    )


def noise(text: str) -> str:
    made = random.Random(7)  # noise, not a secret
    words = [
        "request",
        "handled",
        "worker",
        "queue",
        "tick",
        "cache",
        "warm",
        "page",
        "served",
        "session",
        "idle",
        "flush",
        "index",
        "mail",
        "exchange",
        "ok",
    ]
    lines = [f"2026-02-02 10:{n // 60:02}:{n % 60:02} INFO {' '.join(made.choices(words, k=8))}" for n in range(200)]
    return "\n".join([*lines[:120], f"2026-02-02 10:02:00 ERROR {text}", *lines[120:]])


CHANGES: dict[str, Callable[[str], str]] = {
    "wrapped at 80": wrapped_at(80),
    "wrapped at 23": wrapped_at(23),
    "wrapped at 7": wrapped_at(7),
    "wrapped with CRLF": lambda text: wrapped_at(40)(text).replace("\n", "\r\n"),
    "quoted": lambda text: "\n".join(f"> > {line}" for line in textwrap.wrap(text, 60)),
    "json": lambda text: json.dumps({"message": wrapped_at(30)(text)}),
    "json twice": lambda text: json.dumps({"body": json.dumps({"message": text})}),
    "html": lambda text: f"<p class='x'>{html.escape(text)}</p>",
    "url": lambda text: f"https://example.org/?error_description={quote(text)}",
    "quoted-printable": lambda text: "".join(f"={ord(char):02X}" if char == "=" else char for char in wrapped_at(70)(text)).replace("\n", "=\n") + " =3D",
    "curly quotes": lambda text: text.replace("'", "\u2019").replace('"', "\u201d"),
    "powershell": powershell,
    "powershell 7": bars,
    "in a log": noise,
    "python": lambda text: f'Traceback (most recent call last):\n  File "x.py", line 3, in <module>\n    run()\nRuntimeError: b{text!r}',
    "java": lambda text: f"java.lang.IllegalStateException: mail job failed\n\tat com.example.Job.run(Job.java:7)\nCaused by: jakarta.mail.MessagingException: {text}\n\tat com.example.Mail.open(Mail.java:9)\n\t... 7 more",
    "dotnet": lambda text: f"System.AggregateException: One or more errors occurred. ---> System.Exception: {text}\n   at X.Y() in C:\\new\\reports\\today.cs:line 3\n   --- End of inner exception stack trace ---",
    "upper": str.upper,
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_the_answer_survives_the_way_into_a_paste(change: str) -> None:
    """Wrapping, quoting, escaping, log noise and stack traces leave the first answer as it is."""
    for text in SAMPLES if change != "in a log" else SAMPLES[::6]:  # a log takes its time
        assert first(CHANGES[change](text)) == first(text), text


@pytest.mark.parametrize(
    "text", [text for text, row, _ in SEEN if row.startswith("smtp-") and re.match(r"\d{3} \d", text)]
)
def test_replies_over_several_lines_are_one_reply(text: str) -> None:
    """SMTP says its code again on each line of a long reply, with and without the enhanced one."""
    code, status, rest = text.split(" ", 2)
    if len(rest) < 24:
        return
    cut = rest.find(" ", len(rest) // 3)
    cut = cut if cut > 0 else len(rest) // 2
    assert first(f"{code}-{status} {rest[:cut]}\r\n{code} {status} {rest[cut:]}") == first(text)
    assert first(f"S: {code}-{status} {rest[:cut]}\r\nS: {code} {rest[cut:]}") == first(text)


def test_a_cut_text_keeps_its_answer_or_is_unknown() -> None:
    """Cut after any character, a text never turns into another symptom than those its own words name."""
    allowed = {"unknown", "smtp-auth-failed", "smtp-off", "smtp-off-tenant"}
    whole = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms"
    assert {first(whole[:end]) for end in range(len(whole))} <= allowed
    assert first(whole[: whole.index("Tenant") + 6]) == "smtp-off-tenant"


# Ranking


def test_an_exact_code_wins_over_words() -> None:
    """The refused login that follows a refused token is named after it, not before."""
    text = (
        "12:00:01 A1 NO AUTHENTICATE failed.\n12:00:01 MailKit.Security.AuthenticationException: Authentication failed.\n"
        "12:00:02 AADSTS7000222: The provided client secret keys are expired."
    )
    assert first(text) == "aadsts7000222"


def test_the_innermost_cause_wins() -> None:
    """What stands behind Caused by is nearer to the cause than what stands before it."""
    text = (
        "jakarta.mail.MessagingException: Connection timed out to outlook.office365.com\n\tat a.b.C(D.java:1)\n"
        "Caused by: javax.net.ssl.SSLHandshakeException: PKIX path building failed: unable to find valid certification path to requested target\n\t... 3 more"
    )
    assert cause(text) == "certificate-untrusted"
    text = "System.Exception: The operation has timed out (outlook.office365.com:993) ---> System.Net.Sockets.SocketException: No such host is known"
    assert cause(text) == "name-not-resolved"


def test_independent_problems_are_all_shown_first_one_first() -> None:
    """A log with an expired secret and, much later, a mailbox without SMTP AUTH has two answers, in their order."""
    quiet = "\n".join(f"2026-02-02 10:00:{n % 60:02} INFO tick" for n in range(150))
    one, other = (
        "ERROR AADSTS7000222: The provided client secret keys for app 'x' are expired.",
        "ERROR 535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.",
    )
    for text, order in ((f"{one}\n{quiet}\n{other}", [1, 152]), (f"{other}\n{quiet}\n{one}", [1, 152])):
        found = explained(text)
        assert [answer.line for answer in found.answers] == order
        assert {answer.row.id for answer in found.answers if answer.row} == {"aadsts7000222", "smtp-off-mailbox"}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('scope = "https://graph.microsoft.com/.default"\nA1 NO AUTHENTICATE failed.', "wrong-audience"),
        (
            "grant_type=client_credentials, permissions: IMAP.AccessAsUser.All (Delegated)\nA1 NO AUTHENTICATE failed.",
            "delegated-for-application",
        ),
        ("roles: full_access_as_app\nA1 NO AUTHENTICATE failed.", "wrong-permission"),
        ("user = jim@outlook.com\n535 5.7.3 Authentication unsuccessful", "personal-account"),
    ],
)
def test_what_stands_beside_an_error_tells_causes_apart(text: str, key: str) -> None:
    """A clue brings its cause to the front and says what it saw."""
    shown = explained(text).answers[0].causes[0]
    assert shown.key == key
    assert shown.evidence


# Unknown texts

UNRELATED = [
    "", "psql: error: connection to server at mail-db, port 5432 failed: Connection refused",
    "hello world", "Segmentation fault (core dumped)", "npm ERR! code ECONNREFUSED registry.example.org", "psql: could not connect to server: Connection refused on port 5432",
    "java.lang.NullPointerException\n\tat com.example.Main.main(Main.java:3)", "fatal: repository not found", "ModuleNotFoundError: No module named 'yaml'",
    "ERROR 1045 (28000): Access denied for user 'root'@'localhost' (using password: YES)", "535-5.7.8 Username and Password not accepted. Learn more at https://support.google.com/mail smtp.gmail.com",
    "javax.mail.AuthenticationFailedException: [AUTHENTICATIONFAILED] Invalid credentials (Failure)\n\tat com.sun.mail.gimap.GmailStore", "kernel: Out of memory: Killed process 7",
    "HTTP 404 Not Found /index.html", "The quick brown fox jumps over the lazy dog", "TypeError: Cannot read property 'x' of undefined", "Permission denied (publickey).", "error: cannot find symbol",
    "redis.exceptions.TimeoutError: Timeout reading from socket", "ORA-12541: TNS:no listener", "mv: cannot stat 'a': No such file or directory", "AccessDenied: s3.amazonaws.com Access Denied",
    "2026-02-02 INFO Connected. 250 OK. 354 Start mail input; 221 Bye", "* OK The Microsoft Exchange IMAP4 service is ready.", "A1 OK AUTHENTICATE completed.", "235 2.7.0 Authentication successful",
    "dovecot: imap-login: Disconnected (auth failed, 1 attempts): user=<a>", "550 5.1.1 <j.doe@example.org>: Recipient address rejected: User unknown in local recipient table",
]  # fmt: skip


@pytest.mark.parametrize("text", UNRELATED)
def test_other_peoples_failures_are_unknown(text: str) -> None:
    """A text of no service of this chain is said to be unknown; so is what is no failure."""
    assert first(text) == "unknown"


def test_a_code_that_is_not_in_the_table_is_named() -> None:
    """A code of Entra's that is not known is unknown, and its number is said."""
    found = explained("AADSTS9999998: Something new.")
    assert not found.recognised
    assert found.unlisted == (9999998,)


def test_an_unknown_text_shows_the_nearest_rows() -> None:
    """Words near to a row's show that row, and claim nothing."""
    found = explained("the server said: submission rate of this client exceeded some configured limit")
    assert not found.recognised
    assert "smtp-rate" in [row.id for row in found.nearest]
    assert explained("qwertz uiop").nearest == ()


def test_no_english_text_at_random_is_explained() -> None:
    """Words of all rows, shuffled, are almost never a symptom: rows ask for phrases, not for words."""
    made = random.Random(3)  # a sample, not a secret
    words = [
        word
        for row in ROWS
        for word in row.example.split()
        if not re.search(r"\d{3}|AADSTS|Exception|\|", word) and len(word) < 14
    ]
    known = sum(explained(" ".join(made.choices(words, k=40))).recognised for _ in range(100))
    assert known <= 6


# Large logs


def _log(lines: int) -> Iterator[str]:
    for number in range(lines):
        yield f"2026-02-02T10:00:00.{number:06} INFO [worker-{number % 7}] handled request id=0f{number:06x} status=200 path=/api/v1/items/{number} took=12ms\n"
        if number == lines - 500:
            yield "2026-02-02T10:00:01 ERROR imap outlook.office365.com A1 BAD User is authenticated but not connected.\n"


def test_a_large_log_is_read_in_little_memory() -> None:
    """Some megabytes with one failure near the end: found at its line, in the memory of some blocks."""
    lines = 12_000
    explained("warm")
    tracemalloc.start()
    try:
        found = explain(_log(lines), NOW)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [(answer.row.id, answer.line) for answer in found.answers if answer.row] == [("not-connected", lines - 498)]
    assert peak < 4 << 20


def test_a_line_without_end_is_read_in_little_memory() -> None:
    """A log may be one line: what is held stays bounded."""
    tracemalloc.start()
    try:
        found = explain(("x y z 0123456789 " * 2000 for _ in range(30)), NOW)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert not found.recognised
    assert peak < 16 << 20
