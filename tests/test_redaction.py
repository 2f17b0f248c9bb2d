"""No secret of a pasted text is in anything that explain prints, whatever way it came: whole, wrapped, escaped, in base64."""

import base64
import json
import random
import string
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console import Console
from exosp.explaining import explain
from exosp.redaction import BLOT, redact
from exosp.report import explain as report

NOW = datetime(2026, 2, 2, 10, 0, tzinfo=UTC)
RUN = 12  # characters of a secret that nobody may see in a row
URL_SAFE = string.ascii_letters + string.digits + "-_"
ERRORS = (
    "A1 NO AUTHENTICATE failed.", "535 5.7.3 Authentication unsuccessful", "AADSTS7000215: Invalid client secret provided.",
    "A3 BAD User is authenticated but not connected.", "-ERR Protocol error. Connection is closed. 10", "nothing that anybody knows",
)  # fmt: skip


def part(claims: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


def jwt(seed: int, **claims: object) -> str:
    made = random.Random(seed)  # a stand-in for a token
    body = {
        "aud": "https://outlook.office365.com",
        "exp": NOW.timestamp() + 3000,
        "uti": "".join(made.choices(URL_SAFE, k=90)),
        **claims,
    }
    return f"{part({'typ': 'JWT', 'alg': 'RS256', 'kid': ''.join(made.choices(URL_SAFE, k=27))})}.{part(body)}.{''.join(made.choices(URL_SAFE, k=342))}"


def opaque(seed: int) -> str:
    made = random.Random(seed)  # a stand-in for a token
    return f"{made.choice('01')}.A{''.join(made.choices(URL_SAFE, k=90))}.{''.join(made.choices(URL_SAFE, k=200))}"


def entra_secret(seed: int) -> str:
    made = random.Random(seed)  # a stand-in for a secret
    letters = string.ascii_letters + string.digits + "._~-"
    return f"{''.join(made.choices(string.ascii_letters, k=3))}8Q~{''.join(made.choices(letters, k=34))}"


def xoauth2(token: str) -> str:
    return base64.b64encode(f"user=support@contoso.com\x01auth=Bearer {token}\x01\x01".encode()).decode()


SECRETS = {
    "jwt": jwt,
    "refresh token": opaque,
    "client secret": entra_secret,
    "xoauth2 string": lambda seed: xoauth2(jwt(seed)),
    "plain string": lambda seed: base64.b64encode(f"\0support@contoso.com\0{entra_secret(seed)}".encode()).decode(),
}
CARRIERS = {
    "bare": "{}",
    "header": "Authorization: Bearer {}",
    "imap": "C: A1 AUTHENTICATE XOAUTH2 {}",
    "smtp": "AUTH XOAUTH2 {}",
    "auth plain": "AUTH PLAIN {}",
    "form": "grant_type=client_credentials&client_id=x&client_secret={}&scope=y",
    "json": '{{"access_token": "{}", "expires_in": 3599}}',
    "json twice": '"{{\\"refresh_token\\": \\"{}\\"}}"',
    "yaml": "client_secret: {}",
    "powershell": "Connect-ExchangeOnline -AccessToken {} -Organization x",
    "secure string": "ConvertTo-SecureString '{}' -AsPlainText -Force",
    "url": "https://user:{}@proxy.example:8080/",
    "login": 'a1 LOGIN "support@contoso.com" "{}"',
    "python": "{{'secretText': '{}'}}",
    "dict": "password => {}",
    "pop": "PASS {}",
    "cookie": "Set-Cookie: ESTSAUTH={}; path=/",
}
WAYS = {
    "as it is": lambda text: text,
    "in the error's line": lambda text: text,
    "wrapped at 76": lambda text: "\n".join(text[at : at + 76] for at in range(0, len(text), 76)),
    "wrapped at 40 and quoted": lambda text: "\n".join("> " + text[at : at + 40] for at in range(0, len(text), 40)),
    "url": quote,
    "wrapped, then url": lambda text: quote("\n".join(text[at : at + 70] for at in range(0, len(text), 70))),
    "wrapped, then json": lambda text: json.dumps("\n> ".join(text[at : at + 61] for at in range(0, len(text), 61))),
    "quoted-printable": lambda text: "=\n".join(
        text.replace("=", "=3D")[at : at + 70] for at in range(0, len(text), 70)
    ),
}


def shown(text: str) -> str:
    """All that explain prints of a text, for people and as JSON."""
    found = explain([text], NOW)
    return (
        report.text(found, 100)
        + "\n"
        + json.dumps(report.document(found))
        + json.dumps(report.document(found), ensure_ascii=False)
    )


def runs(secret: str) -> set[str]:
    """Each run of a secret that would give it away, in the encodings it may be shown in."""
    forms = {
        secret,
        quote(secret, safe=""),
        base64.b64encode(secret.encode()).decode(),
        json.dumps(secret)[1:-1],
        secret.replace("=", "=3D"),
    }
    return {form[at : at + RUN] for form in forms for at in range(len(form) - RUN + 1)}


def printed(secret: str, out: str) -> set[str]:
    """The runs of a secret that stand in what was printed: every one is as long."""
    return runs(secret) & {out[at : at + RUN] for at in range(len(out) - RUN + 1)}


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("carrier", CARRIERS)
def test_no_run_of_a_secret_is_printed(kind: str, carrier: str) -> None:
    """Each kind of secret in each carrier, however wrapped or escaped, beside each error: no 12 of its characters appear."""
    for number, (way, change) in enumerate(WAYS.items()):
        secret = SECRETS[kind](number)
        carried = change(CARRIERS[carrier].format(secret))
        error = ERRORS[number % len(ERRORS)]
        text = (f"{carried}\n{error}", f"{error} {carried}", f"{carried} {error}")[(number + len(carrier)) % 3]
        out = "".join(shown(text).split())
        assert not printed(secret, out), (way, text[:200])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(
    seed=st.integers(0, 10**6), kind=st.sampled_from(sorted(SECRETS)), carrier=st.sampled_from(sorted(CARRIERS)), width=st.integers(20, 200),
    before=st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=40), error=st.sampled_from(ERRORS), after=st.booleans(),
)  # fmt: skip
def test_no_secret_survives_any_wrapping(
    seed: int, kind: str, carrier: str, width: int, before: str, error: str, after: bool
) -> None:
    """Any width, any words before it, the error on either side."""
    secret = SECRETS[kind](seed)
    carried = CARRIERS[carrier].format(secret)
    carried = "\n".join(carried[at : at + width] for at in range(0, len(carried), width))
    text = f"{before} {carried}\n{error}" if after else f"{error}\n{before} {carried}"
    out = "".join(shown(text).split())
    assert not printed(secret, out)


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\nMzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu\n-----END PRIVATE KEY-----",
        "sig=aGVsbG8gd29ybGQgdGhpcyBpcyBhIHNpZ25hdHVyZQ%3D%3D&se=2026",
        "password=hunter2hunter2",
        '"Password": "correct horse battery staple"',
        "https://user:p4ssw0rd!@mail.example/",
        "Authorization: Basic dXNlcjpwYXNzd29yZDEyMw==",
        "AUTH LOGIN dXNlckBjb250b3NvLmNvbQ==",
        "a1 LOGIN jim@contoso.com hunter2hunter2",
        "EwBAA8l6BAAU6k7+XVQzkGyMv7VHB/h4cHbJYRAAAZWZOPd9bNhZ",
        "M.C507_BAY.2.U.-CiQ7xX9dgkhq*Xh1dgkhqXh1dgkhqXh1$",
    ],
)  # fmt: skip
def test_known_forms_are_blotted(text: str) -> None:
    """What carries a secret by its form: keys, signatures, passwords, logins, personal accounts' tokens."""
    assert BLOT in redact(text)
    for secret in (
        "hunter2",
        "horse battery",
        "p4ssw0rd",
        "MIIEvQ",
        "aGVsbG8",
        "dXNlc",
        "EwBAA8l6",
        "CiQ7xX9",
        "uictGeurT8",
    ):
        assert secret not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled",
        "Ex6F9304|Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException|The operation couldn't be performed",
        "AADSTS700016: Application with identifier '11111111-2222-4333-8444-555555555555' was not found in the directory 'Contoso'.",
        "at com.sun.mail.imap.IMAPStore.protocolConnect(IMAPStore.java:727)",
        "STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message",
        "https://login.microsoftonline.com/11111111-2222-4333-8444-555555555555/oauth2/v2.0/token",
        "Add-MailboxPermission -Identity support@contoso.com -User 11111111-2222-4333-8444-555555555555 -AccessRights FullAccess",
        "A1 NO LOGIN failed.", "C:\\Program Files\\WindowsPowerShell\\Modules\\ExchangeOnlineManagement\\3.4.0",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    """Names, classes, ids and paths are what a reader needs."""
    assert redact(text) == text


def test_line_breaks_stay_countable() -> None:
    """A wrapped secret keeps its lines, so that a place in a text can still be named."""
    token = jwt(1)
    wrapped = "\n".join(token[at : at + 60] for at in range(0, len(token), 60))
    assert redact(f"a\n{wrapped}\nend").count("\n") == f"a\n{wrapped}\nend".count("\n")


# What a token says of itself


def faults(token: str) -> list[str]:
    return [
        fault.key
        for found in explain([f"A1 AUTHENTICATE XOAUTH2 {token}\nA1 NO AUTHENTICATE failed."], NOW).tokens
        for fault in found.faults
    ]


@pytest.mark.parametrize(
    ("claims", "key"),
    [
        ({"aud": "https://graph.microsoft.com"}, "wrong-audience"),
        ({"aud": "00000003-0000-0000-c000-000000000000"}, "wrong-audience"),
        ({"aud": "https://ps.outlook.com", "roles": ["IMAP.AccessAsApp"]}, "wrong-audience"),
        ({"aud": "11111111-2222-4333-8444-555555555555", "nonce": "x"}, "wrong-audience"),
        ({}, "role-missing"),
        ({"roles": ["Mail.Read"]}, "role-missing"),
        ({"roles": ["full_access_as_app"]}, "wrong-permission"),
        ({"scp": "User.Read", "upn": "jim@contoso.com"}, "scope-wrong"),
        ({"roles": ["IMAP.AccessAsApp"], "exp": NOW.timestamp() - 9000}, "token-expired"),
    ],
)  # fmt: skip
def test_a_pasted_token_says_what_is_wrong_with_it(claims: dict[str, object], key: str) -> None:
    """Read here, in a bare token and in an XOAUTH2 string, and put before the causes of a refusal that names none."""
    for text in (jwt(5, **claims), xoauth2(jwt(5, **claims))):
        assert faults(text) == [key]
        found = explain([f"A1 AUTHENTICATE XOAUTH2 {text}\nA1 NO AUTHENTICATE failed."], NOW)
        assert found.answers[0].causes[0].key == key


def test_a_right_token_has_no_faults() -> None:
    """Exchange's audience, the role, time left: nothing is said against it."""
    assert faults(jwt(6, roles=["IMAP.AccessAsApp"])) == []


@pytest.mark.parametrize(
    "plain",
    [
        "user=support@contoso.com^Aauth=Bearer TOKENTOKEN^A^A",
        "user=support@contoso.com\\x01auth=Bearer TOKENTOKEN\\x01\\x01",
        "user=\x01auth=Bearer TOKENTOKENTOKENTOKEN\x01\x01",
        "user=support@contoso.com\x01auth=TOKENTOKENTOKENTOKEN\x01\x01",
    ],
)
def test_a_malformed_string_is_the_cause(plain: str) -> None:
    """The string's own form is wrong: that explains the refusal before anything else."""
    text = f"A1 AUTHENTICATE XOAUTH2 {base64.b64encode(plain.encode()).decode()}\nA1 NO AUTHENTICATE failed."
    assert explain([text], NOW).answers[0].causes[0].key == "xoauth2-malformed"


def test_the_command_line_never_repeats_a_secret(tmp_path: Path) -> None:
    """Not in an answer, not in what it says of a wrong option."""
    secret = jwt(9)
    for words in (
        ["explain", secret], ["explain", f"--token={secret}"], ["explain", "--format", secret, "x"], ["explain", f"--format={secret}"],
        ["explain", "-x", secret, "AADSTS700016"], ["explain", "--format", "json", f"Bearer {secret}"],
    ):  # fmt: skip
        said = "".join(Console(tmp_path).here(*words).all.split())
        assert said
        assert not [run for run in runs(secret) if run in said], words
