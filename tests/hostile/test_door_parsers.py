"""The sandbox's own parsers under bytes that nobody sane sends: they raise what they say they raise, and nothing else."""

import base64
import re
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exosp.sandbox.doors import store, submission, xoauth2
from exosp.sandbox.doors.imap_folder import Folder
from exosp.sandbox.doors.imap_message import View
from exosp.sandbox.doors.imap_search import compile_keys
from exosp.sandbox.doors.imap_syntax import LITERAL, Malformed, Text, names_inbox, numbers, parse
from exosp.sandbox.tenant import Tenant
from exosp.sandbox.tokens import TokenFault
from hostile.fed import LINE, answered, at_length, examples, the_tenant
from sandbox import doors_fixture as fixture


@pytest.fixture(scope="module")
def tenant() -> Tenant:
    return fixture.build_tenant()


# -- parsers ----------------------------------------------------------------------------------------------------------

IMAP_WORDS = st.sampled_from(
    ["(", ")", " ", '"', "\\", "[", "]", "{5}", "{5+}", "*", "%", "1:*", "1", "0", "4294967296", "ALL", "NOT", "OR", "SUBJECT", "UID", "CHARSET",
     "HEADER", "SINCE", "1-Jan-2026", "31-Feb-2026", "LARGER", "BODY[]", "BODY.PEEK[HEADER.FIELDS (FROM)]", "BODY[1.2.3]<0.5>", "FLAGS", "ENVELOPE",
     "BODYSTRUCTURE", "RFC822", "+FLAGS", "\\Seen", "INBOX", "\0", "\n", "\r", "é", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")]
)  # fmt: skip
IMAP_LINE = st.lists(IMAP_WORDS | st.text(max_size=6), max_size=14).map("".join).map(lambda text: text.encode("utf-8", "replace"))  # fmt: skip


def _imap_arguments(tenant: Tenant, line: bytes, literal: bytes) -> None:
    folder = Folder(tenant, fixture.mailbox(tenant), read_only=True)
    try:
        arguments = parse([line, Text(literal), line])
    except Malformed:
        return
    uses: list[Callable[[], object]] = [
        lambda: folder.search(list(arguments), by_uid=True),
        lambda: list(folder.fetch(list(arguments), by_uid=False)),
        lambda: list(folder.fetch(["1:*", list(arguments)], by_uid=True)),
        lambda: folder.read_change(list(arguments), by_uid=True),
        lambda: compile_keys(list(arguments), 2, 9),
    ]
    for use in uses:
        with suppress(Malformed):
            use()


@given(line=IMAP_LINE, literal=st.binary(max_size=12))
@examples(150)
def test_imap_arguments_are_read_or_malformed(tenant: Tenant, line: bytes, literal: bytes) -> None:
    """Commands, searches, fetches and stores of any shape: an answer or Malformed."""
    _imap_arguments(tenant, line, literal)


@pytest.mark.slow
@given(line=IMAP_LINE | st.binary(max_size=60), literal=st.binary(max_size=12))
@at_length(5000)
def test_imap_arguments_are_read_or_malformed_at_length(tenant: Tenant, line: bytes, literal: bytes) -> None:
    """The same, further."""
    _imap_arguments(tenant, line, literal)


@pytest.mark.parametrize(
    "line",
    ["NOT " * 15000 + "ALL", "OR ALL " * 9000 + "ALL", "(" * 30000, "(" * 15000 + ")" * 15000, "(NOT " * 500 + "ALL" + ")" * 500, "HEADER " * 8000,
     "1," * 30000 + "1", "BODY[" * 12000, "BODY[" + "1." * 30000 + "1]", '"' * 60000, "\\" * 60000, "{" * 60000, "1:*" * 20000],
)  # fmt: skip
def test_long_and_deep_arguments_are_read_or_malformed(tenant: Tenant, line: str) -> None:
    """As long as a line may be, and nested as deep as that allows: Python's own stack is not exhausted."""
    _imap_arguments(tenant, line.encode(), b"")


@pytest.mark.parametrize(
    "pattern",
    ["*" * 60000, "%" * 60000, "*%" * 30000, "*I" * 30000, "I*N*B*O*X*" * 6000, "*" * 30 + "Z", "INBOX" * 12000],
)
def test_a_pattern_of_stars_costs_nothing(pattern: str) -> None:
    """LIST's wildcards are matched in time that grows with their number, not with its power."""
    assert names_inbox(pattern) == (not pattern.strip("*%"))


@pytest.mark.parametrize("pattern", ["INBOX", "inbox", "*", "%", "IN*", "*box", "i%x", "I*N*B*O*X", "**INBOX%%"])
def test_the_patterns_that_mean_inbox(pattern: str) -> None:
    """And those that do not: what has another letter, or one too many."""
    assert names_inbox(pattern)
    assert not names_inbox(pattern + "y")
    assert not names_inbox("")


@given(text=st.text(alphabet="0123456789:,*", max_size=12), largest=st.integers(0, 9))
@examples(150)
def test_sequence_sets_are_ranges_or_malformed(text: str, largest: int) -> None:
    """Whatever digits, colons, commas and stars: ranges in order, or Malformed."""
    try:
        found = numbers(text, largest)
    except Malformed:
        return
    assert found
    assert all(part.start < part.stop for part in found)


def test_a_literal_announces_its_size_whatever_its_digits() -> None:
    """Sizes beyond all measure are read as such, not overlooked: what follows them is no command."""
    for digits in ("0", "7", "65536", "99999999999", "9" * 5000):
        form = LITERAL.search(b"A APPEND INBOX {%s+}" % digits.encode())
        assert form is not None
        assert form[2] == b"+"


_JSON = ["[" * 2000, '{"alg":"RS256"}', "{}", "null", '{"alg":"none"}', '{"alg":"RS256","crit":["x"]}', '{"alg":["RS256"]}', '{"alg":"RS256","kid":7}', "1" * 5000, '"', '{"a":' * 1500]  # fmt: skip


def _b64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


TOKENS = st.lists(st.sampled_from(_JSON).map(_b64) | st.text(alphabet="abcXYZ019-_=+/~", max_size=20), min_size=1, max_size=4).map(".".join)  # fmt: skip
FIELDS = st.sampled_from(
    ["user=", "a@b", "\x01", "auth=Bearer ", "auth=bearer ", "x.y.z", "\x00", "\n", "é", " ", "host="]
)


@given(text=st.lists(FIELDS | st.text(max_size=4), max_size=8).map("".join), raw=st.binary(max_size=30))
@examples(200)
def test_xoauth2_is_read_to_the_letter_or_not_at_all(text: str, raw: bytes) -> None:
    """Any base64 and any bytes: credentials in the documented form, or none."""
    encoded = base64.b64encode(text.encode("utf-8", "replace"))
    for response in (encoded, encoded.rstrip(b"="), encoded[:-1], raw, b"=", b""):
        found = xoauth2.decode(response)
        if found is not None:
            assert base64.b64decode(response).decode() == f"user={found.user}\x01auth=Bearer {found.token}\x01\x01"


@given(token=TOKENS)
@examples(150)
def test_a_token_of_any_make_is_refused_by_name(tenant: Tenant, token: str) -> None:
    """What nobody signed has a reason to be refused, however its parts are nested."""
    with pytest.raises(TokenFault):
        tenant.signer.verify(token)


@given(argument=st.lists(st.sampled_from(["FROM:", "TO:", "<", ">", "a@b", " ", "SIZE=", "BODY=8BITMIME", "9" * 30, "SMTPUTF8", "=", "@", "\0", "\t"]) | st.text(max_size=4), max_size=9).map("".join))  # fmt: skip
@examples(200)
def test_paths_are_read_or_refused_in_one_line(argument: str) -> None:
    """MAIL's and RCPT's arguments: an address, or one reply of one line."""
    for read in (submission.mail_from, submission.rcpt_to):
        found = read(argument)
        if isinstance(found, str):
            assert re.fullmatch(r"[45]\d\d [ -~]+", found)


# -- messages ---------------------------------------------------------------------------------------------------------

HEADERS = st.sampled_from(
    [b"From: ", b"To: ", b"Subject: ", b"Date: ", b"Message-ID: ", b"Content-Type: ", b"Content-Disposition: ", b"Content-Transfer-Encoding: ",
     b"multipart/mixed; boundary=", b"message/rfc822", b"text/plain; charset=", b'"b"', b"b", b"; filename*=", b"utf-8''%ff", b"\0''x", b"; name*0*=",
     b"--b\r\n", b"--b--\r\n", b"\r\n", b"\r\n\r\n", b"\r\n ", b"\n", b"\r", b"\0", b"\xff\xfe", b"=?utf-8?q?=ff?=", b"=?x?b?AAAA?=", b"<a@b>", b"(", b")",
     b'"', b"\\", b"@", b",", b";", b":", b"Mon, 02 Feb 2026 10:00:00 +0000", b" +99999999999999999999", b"99 Xxx 0000 99:99:99", b"[", b"]", b"."]
)  # fmt: skip
MESSAGES = st.lists(HEADERS | st.binary(max_size=6), max_size=24).map(b"".join)
SECTIONS = (
    "",
    "HEADER",
    "TEXT",
    "1",
    "1.1",
    "2.MIME",
    "1.HEADER",
    "HEADER.FIELDS (FROM)",
    "HEADER.FIELDS.NOT (FROM X)",
    "9.9.9",
)


def _look_at(tenant: Tenant, raw: bytes) -> None:
    view = View(store.raw({"uid": 1, "raw": raw}))
    told = [view.envelope(), view.structure(extended=True), view.structure(extended=False)]
    for section in SECTIONS:
        view.section(section)
    for text in told:
        outside = re.sub(rb"\{(\d+)\}\r\n", b"", text) if b"{" not in raw else b""
        assert text.startswith(b"(")
        assert b"\0" not in outside or b"\0" in raw
    box = fixture.mailbox(tenant)
    box.messages[:] = [{"uid": 7, "raw": raw}]
    for keys in (
        "SENTSINCE 1-Jan-2020",
        "SINCE 1-Jan-2020",
        "SUBJECT x",
        "BODY x",
        "TEXT x",
        "HEADER Date x",
        "LARGER 3",
    ):
        Folder(tenant, box, read_only=True).search(parse([keys.encode()]), by_uid=False)


@given(raw=MESSAGES)
@examples(120)
def test_any_message_can_be_looked_at(raw: bytes) -> None:
    """Envelope, structure, sections and searches of bytes that are hardly mail."""
    _look_at(the_tenant(), raw)


@pytest.mark.slow
@given(raw=MESSAGES | st.binary(max_size=200))
@at_length(2500)
def test_any_message_can_be_looked_at_at_length(raw: bytes) -> None:
    """The same, further."""
    _look_at(the_tenant(), raw)


def _nested(depth: int, kind: bytes) -> bytes:
    if kind == b"message/rfc822":
        return b"Content-Type: message/rfc822\r\n\r\n" * depth + b"Subject: x\r\n\r\nend\r\n"
    head = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth))
    return head + b"\r\nend\r\n"


@pytest.mark.parametrize("kind", [b"multipart/mixed", b"message/rfc822"])
@pytest.mark.parametrize("depth", [10, 60, 400, 1500])
def test_parts_within_parts_have_a_bottom(kind: bytes, depth: int) -> None:
    """A message nested deeper than Python's stack is told as if its parts were text."""
    _look_at(the_tenant(), _nested(depth, kind))


@pytest.mark.parametrize("date", ["Mon, 02 Feb 2026 10:00:00 +99999999999999999999", "Mon, 02 Feb 99999999999999999999 10:00:00 +0000", "Mon, 02 Feb 2026 99999999999999999999:00:00 +0000", "Mon, 31 Feb 2026 10:00:00 +0000", "", "x"])  # fmt: skip
def test_a_date_beyond_all_dates_is_none(date: str) -> None:
    """Searches by date pass over a message whose Date header is no date."""
    _look_at(the_tenant(), f"Date: {date}\r\nSubject: x\r\n\r\nbody\r\n".encode())


@given(raw=MESSAGES)
@examples(60)
def test_a_message_of_any_bytes_is_answered_in_one_line(raw: bytes) -> None:
    """What a submitted message claims stands in the answer to it, and ends no line there."""
    token = fixture.token(the_tenant())
    login = fixture.xoauth2(fixture.USER, token).encode()
    stuffed = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in raw.split(b"\r\n"))
    said = answered("smtp", b"EHLO x\r\nAUTH XOAUTH2 " + login + b"\r\nMAIL FROM:<support@contoso.com>\r\nRCPT TO:<sales@contoso.com>\r\nDATA\r\n" + stuffed + b"\r\n.\r\nQUIT\r\n")  # fmt: skip
    answer = said.partition(b"354 Start mail input; end with <CRLF>.<CRLF>\r\n")[2].split(b"\r\n")
    assert re.match(rb"[245]\d\d ", answer[0])
    assert [line[:4] for line in answer[1:]] == [b"221 ", b""], answer
    assert LINE.fullmatch(answer[0]), answer
