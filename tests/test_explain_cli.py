"""exosp explain as its users call it: words that begin with a dash, standard input in any encoding, exit codes, documents."""

import io
import subprocess
from pathlib import Path

import pytest

from console import EXOSP, Console
from exosp.cli.explain import decoded
from exosp.diagnosis import ROWS
from exosp.explaining import explain
from exosp.report import explain as report

OFF = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant."


def piped(folder: Path, data: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
    console = Console(folder)
    return subprocess.run(
        [EXOSP, "explain", *words], input=data, capture_output=True, env=console.variables({}), timeout=60, check=False
    )


def test_a_failure_is_named_with_its_cause_and_its_fix(tmp_path: Path) -> None:
    """The whole screen, as a person reads it; exit 0."""
    found = Console(tmp_path).here("explain", OFF)
    assert (found.code, found.err) == (0, "")
    assert found.out == (
        "1. smtp-off-tenant, line 1\n"
        "  said     535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the\n"
        "           Tenant.\n"
        "  cause    SMTP AUTH is off for the tenant, and the mailbox does not override that; this holds for\n"
        "           OAuth too\n"
        "  check    Get-TransportConfig shows SmtpClientAuthenticationDisabled True, and the mailbox's own is\n"
        "           empty\n"
        "  fix      exosp apply PLAYBOOK, then exosp verify PLAYBOOK: it is switched on for the mailbox alone\n"
        "  by hand  Set-CASMailbox -Identity MAILBOX -SmtpClientAuthenticationDisabled $false\n"
        "  note     a right change that is still on its way gives this text too\n"
        "  source   learn.microsoft.com, Set-CASMailbox; github.com/simonrob/email-oauth2-proxy/issues/193\n"
        "           (several independent sources)\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("-ERR Logon failure: unknown user name or bad password.",),
        ("-ERR", "Logon", "failure:", "unknown", "user", "name", "or", "bad", "password."),
        ("--no-color", "-ERR Logon failure: unknown user name or bad password."),
        ("--", "-ERR Logon failure: unknown user name or bad password."),
        ("-hvq -ERR Logon failure",),
    ],
)
def test_a_servers_line_may_begin_with_a_dash(words: tuple[str, ...], tmp_path: Path) -> None:
    """POP's refusals do; they are text, not options, quoted or not."""
    found = Console(tmp_path).here("explain", *words)
    assert found.code == 0
    assert found.out.startswith("1. pop-logon-failure")


def test_unknown_text_is_said_to_be_unknown(tmp_path: Path) -> None:
    """Exit 3, with the nearest rows where there are any, and no cause."""
    found = Console(tmp_path).here("explain", "the submission rate of this client has exceeded something")
    assert found.code == 3
    assert found.out.startswith("Unknown: nothing in this text is in exosp's table.")
    assert "smtp-rate" in found.out
    assert "cause" not in found.out


def test_the_document_has_the_head_of_every_document(tmp_path: Path) -> None:
    """One JSON document, cloud and tenant null, the answers with their causes by key."""
    found = Console(tmp_path).here("explain", "--format", "json", OFF)
    document = found.document
    assert (document["schema"], document["cloud"], document["tenant"]) == ("exosp/explain/1", None, None)
    assert document["recognised"] is True
    answer = document["answers"][0]
    assert (answer["row"], answer["cause"], answer["line"]) == ("smtp-off-tenant", "smtp-auth-off-tenant", 1)
    assert answer["causes"][0]["tell"]
    assert answer["causes"][0]["cmdlet"] == "Set-CASMailbox -Identity MAILBOX -SmtpClientAuthenticationDisabled $false"
    unknown = Console(tmp_path).here("explain", "--format=json", "hello")
    assert unknown.code == 3
    assert unknown.document["recognised"] is False


def test_the_list_shows_every_row(tmp_path: Path) -> None:
    """Each id once, for people and as a document."""
    found = Console(tmp_path).here("explain", "--list")
    assert found.code == 0
    for row in ROWS:
        assert f"\n{row.id}  (" in f"\n{found.out}"
    document = Console(tmp_path).here("explain", "--list", "--format", "json").document
    assert [row["row"] for row in document["rows"]] == [row.id for row in ROWS]


LOG = f"Zeile 1 über alles\r\nmore words of a log that goes on and on\r\n{OFF}\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
def test_standard_input_may_be_of_any_encoding(encoding: str) -> None:
    """PowerShell redirects in UTF-16; a log may have bytes of no encoding."""
    data = LOG.encode(encoding) + (b"" if "16" in encoding else b"\xff\xfe\n")
    [answer] = explain(decoded(io.BytesIO(data))).answers
    assert answer.row is not None
    assert (answer.row.id, answer.line) == ("smtp-off-tenant", 3)


def test_standard_input_as_powershell_redirects_it(tmp_path: Path) -> None:
    """The command itself, which reads bytes and no text."""
    found = piped(tmp_path, LOG.encode("utf-16"), "-")
    assert found.returncode == 0
    assert found.stdout.startswith(b"1. smtp-off-tenant, line 3")


def test_nothing_to_explain_is_a_usage_error(tmp_path: Path) -> None:
    """Empty input, and a file's name in place of its text: exit 2 with a hint."""
    assert Console(tmp_path).here("explain").code == 2
    (tmp_path / "error.log").write_text(OFF, encoding="utf-8")
    found = Console(tmp_path).here("explain", "error.log")
    assert found.code == 2
    assert "exosp explain < FILE" in found.err


@pytest.mark.parametrize("width", [50, 60, 80, 100])
def test_narrow_screens_are_kept(width: int) -> None:
    """No line is longer than the screen, but for a word that is."""
    text = report.text(explain([f"{OFF} AADSTS7000215: Invalid client secret provided."]), width)
    for line in text.splitlines():
        assert len(line) <= width or len(line.split()[-1]) > width - 20, line
