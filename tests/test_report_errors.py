"""Errors as a person reads them, compared as screens."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from exosp.errors import CloudError, Error, Fault, PlaybookError, Throttled, Unreachable, UsageError
from exosp.report.errors import error
from exosp.report.plain import plain


def test_what_where_and_what_to_do():
    """One error is three lines."""
    fault = UsageError("the cloud file is not JSON", where="cloud.json", hint="make it anew")
    assert error(fault) == (
        "error: the cloud file is not JSON\n"
        "  --> cloud.json\n"
        "  = help: make it anew"
    )  # fmt: skip


def test_only_what_there_is():
    """Nothing stands for what an error does not know."""
    assert error(Error("no")) == "error: no"


def test_a_services_refusal():
    """Service, request, request id, status, code and hint all stand there."""
    fault = CloudError(
        "Insufficient privileges to complete the operation.", service="graph", asked="POST /servicePrincipals", status=403,
        code="Authorization_RequestDenied", request_id="ba3d", hint="grant Application.ReadWrite.All",
    )  # fmt: skip
    assert error(fault) == (
        "error: Insufficient privileges to complete the operation.\n"
        "  --> graph: POST /servicePrincipals (request id ba3d)\n"
        "  = answer: status 403, Authorization_RequestDenied\n"
        "  = cause: caller-lacks-permission: the one who calls lacks a permission:\n"
        "           Application.ReadWrite.OwnedBy to register; AppRoleAssignment.ReadWrite.All and\n"
        "           Application.Read.All to consent\n"
        "  = help: grant Application.ReadWrite.All"
    )


def test_no_answer_has_no_status():
    """A service that did not answer has none to show."""
    fault = Unreachable("connection refused", may_have_happened=False, service="token", hint="is it up?")
    assert error(fault) == "error: connection refused\n  --> token\n  = help: is it up?"


def test_throttled_says_when():
    """The service's own wait is the advice where there is no other."""
    fault = Throttled("too many requests", after=30.0, service="graph")
    assert error(fault) == (
        "error: too many requests\n"
        "  --> graph\n"
        "  = answer: status 429\n"
        "  = help: try again in 30 seconds"
    )  # fmt: skip
    assert "help" not in error(Throttled("too many requests", service="graph"))


def test_all_faults_of_a_playbook():
    """Each fault has its place, in the order of lines; the last line counts them; line 0 is the file."""
    faults = [
        Fault(12, 5, "`bob` is no mail address: it has no @", "such as support@contoso.com"),
        Fault(2, 1, "unknown key `tenat`", "did you mean `tenant`?"),
        Fault(0, 0, "the playbook is odd"),
    ]
    assert error(PlaybookError("playbook.yaml", faults)) == (
        "error: the playbook is odd\n"
        "  --> playbook.yaml\n"
        "\n"
        "error: unknown key `tenat`\n"
        "  --> playbook.yaml:2:1\n"
        "  = help: did you mean `tenant`?\n"
        "\n"
        "error: `bob` is no mail address: it has no @\n"
        "  --> playbook.yaml:12:5\n"
        "  = help: such as support@contoso.com\n"
        "\n"
        "3 faults in the playbook playbook.yaml"
    )


def test_one_fault_is_not_counted():
    """A single fault needs no sum."""
    assert error(PlaybookError("p.yaml", [Fault(1, 2, "no")])) == "error: no\n  --> p.yaml:1:2"


def test_long_texts_are_wrapped():
    """Lines break between words, below the text and not below the label; an address stays whole."""
    url = "https://login.microsoftonline.com/" + "x" * 40
    fault = Error("one two three four five six seven", hint=f"open {url} in-a-browser now")
    assert error(fault, width=30) == (
        f"error: one two three four five\n       six seven\n  = help: open\n          {url}\n          in-a-browser now"
    )


def test_line_breaks_cannot_forge_an_error():
    """A service's text over several lines stays below its own label."""
    fault = Error("refused\nerror: all is well\r\n  --> nowhere", where="a\nb", hint="x\x1b[2J")
    assert error(fault) == (
        "error: refused\n"
        "       error: all is well\n"
        "         --> nowhere\n"
        "  --> a\\nb\n"
        "  = help: x\\x1b[2J"
    )  # fmt: skip


def test_plain_shows_what_cannot_be_seen():
    """Escapes, bidi controls, zero widths, tags, halves of pairs: each stands as its escape."""
    held = "a\x1b[31mred\x07\u202egpj.exe\u2066\u200b\u2028\x85\ud800\U000e0041\ue000\ufeffz"
    assert plain(held) == (
        r"a\x1b[31mred\x07\u202egpj.exe\u2066\u200b\u2028\x85\ud800\U000e0041\ue000\ufeffz"
    )  # fmt: skip


def test_plain_leaves_what_people_write():
    """Letters of any script, joiners in their names, emoji and white space of one line stay."""
    for held in ("Grüße, Привет, 日本語, مرحبا", "می\u200cخواهم", "é 🙂", "C:\\temp", "a  b"):  # noqa: RUF001 letters meant as they are
        assert plain(held) == held


@given(st.text(st.characters()))
def test_plain_is_one_harmless_line(text):
    """Whatever comes in, one line of visible characters that can be encoded comes out, and stays as it is after that."""
    seen = plain(text)
    seen.encode()
    assert len(seen.splitlines()) <= 1
    assert all(unicodedata.category(char)[0] != "C" or char in "\u200c\u200d" for char in seen)
    assert plain(seen) == seen


@given(st.text(st.characters()), st.text(st.characters()), st.text(st.characters()))
def test_any_error_is_harmless(what, where, hint):
    """No text can put a line of its own at the margin or a control on the screen."""
    first, *rest = error(Error(what, where=where, hint=hint)).split("\n")
    assert first.startswith("error: ")
    assert all(line.startswith(("  --> ", "  = help: ", "       ")) for line in rest)
    assert all(
        unicodedata.category(char)[0] != "C" or char in "\u200c\u200d" for line in (first, *rest) for char in line
    )
