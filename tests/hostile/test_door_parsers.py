"""The sandbox's own parsers and doors under bytes that nobody sane sends, without a network.

Parsers may raise what they say they raise and nothing else. A door, fed any bytes in any pieces, ends by itself when its
client has gone, says only whole lines, and says the same however the bytes are cut.
"""

import asyncio
import base64
import re
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exosp.sandbox.doors import imap, pop, smtp, store, submission, xoauth2
from exosp.sandbox.doors.imap_folder import Folder
from exosp.sandbox.doors.imap_message import View
from exosp.sandbox.doors.imap_search import compile_keys
from exosp.sandbox.doors.imap_syntax import LITERAL, Malformed, Text, names_inbox, numbers, parse
from exosp.sandbox.doors.lines import Connection, HungUp, Limits
from exosp.sandbox.tenant import Tenant
from exosp.sandbox.tokens import TokenFault
from sandbox import doors_fixture as fixture

MOST = 16 * 1024 * 1024


def examples(core: int) -> settings:
    """The same examples every time, so that the core suite does not flicker; slow tests look further."""
    return settings(max_examples=core, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))  # fmt: skip


def at_length(count: int) -> settings:
    return settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))


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
    _look_at(_tenant_for_messages(), raw)


@pytest.mark.slow
@given(raw=MESSAGES | st.binary(max_size=200))
@at_length(2500)
def test_any_message_can_be_looked_at_at_length(raw: bytes) -> None:
    """The same, further."""
    _look_at(_tenant_for_messages(), raw)


_kept: list[Tenant] = []


def _tenant_for_messages() -> Tenant:
    """One tenant for all examples."""
    if not _kept:
        _kept.append(fixture.build_tenant())
    return _kept[0]


def _nested(depth: int, kind: bytes) -> bytes:
    if kind == b"message/rfc822":
        return b"Content-Type: message/rfc822\r\n\r\n" * depth + b"Subject: x\r\n\r\nend\r\n"
    head = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth))
    return head + b"\r\nend\r\n"


@pytest.mark.parametrize("kind", [b"multipart/mixed", b"message/rfc822"])
@pytest.mark.parametrize("depth", [10, 60, 400, 1500])
def test_parts_within_parts_have_a_bottom(kind: bytes, depth: int) -> None:
    """A message nested deeper than Python's stack is told as if its parts were text."""
    _look_at(_tenant_for_messages(), _nested(depth, kind))


@pytest.mark.parametrize("date", ["Mon, 02 Feb 2026 10:00:00 +99999999999999999999", "Mon, 02 Feb 99999999999999999999 10:00:00 +0000", "Mon, 02 Feb 2026 99999999999999999999:00:00 +0000", "Mon, 31 Feb 2026 10:00:00 +0000", "", "x"])  # fmt: skip
def test_a_date_beyond_all_dates_is_none(date: str) -> None:
    """Searches by date pass over a message whose Date header is no date."""
    _look_at(_tenant_for_messages(), f"Date: {date}\r\nSubject: x\r\n\r\nbody\r\n".encode())


@given(raw=MESSAGES)
@examples(60)
def test_a_message_of_any_bytes_is_answered_in_one_line(raw: bytes) -> None:
    """What a submitted message claims stands in the answer to it, and ends no line there."""
    token = fixture.token(_tenant_for_messages())
    login = fixture.xoauth2(fixture.USER, token).encode()
    stuffed = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in raw.split(b"\r\n"))
    said = _said("smtp", b"EHLO x\r\nAUTH XOAUTH2 " + login + b"\r\nMAIL FROM:<support@contoso.com>\r\nRCPT TO:<sales@contoso.com>\r\nDATA\r\n" + stuffed + b"\r\n.\r\nQUIT\r\n")  # fmt: skip
    answer = said.partition(b"354 Start mail input; end with <CRLF>.<CRLF>\r\n")[2].split(b"\r\n")
    assert re.match(rb"[245]\d\d ", answer[0])
    assert [line[:4] for line in answer[1:]] == [b"221 ", b""], answer
    assert _LINE.fullmatch(answer[0]), answer


# -- whole doors ------------------------------------------------------------------------------------------------------


class _Ear(asyncio.Transport):
    """Hears what a door says; what the client has sent comes by another way."""

    def __init__(self, protocol: asyncio.StreamReaderProtocol) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.said = bytearray()
        self._protocol = protocol
        self._closing = False
        protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said += data

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    abort = close

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


Door = Callable[[Tenant, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _submission(tenant: Tenant, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The submission door as it is once TLS stands."""
    connection = Connection(reader, writer, smtp.LIMITS)
    session = smtp._Session(tenant, fixture.authority().context, connection)
    session.secure = True
    try:
        await session.run()
    except (HungUp, smtp._Close):
        pass
    finally:
        session.end_transaction()
        await connection.close()


DOORS: dict[str, Door] = {"imap": imap.serve, "pop": pop.serve, "smtp": _submission}


def talk(tenant: Tenant, door: str, *pieces: bytes) -> bytes:
    """All that a door says to a client that sends these bytes in these pieces and goes."""

    async def run() -> bytes:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        ear = _Ear(protocol)
        writer = asyncio.StreamWriter(ear, protocol, reader, loop)
        serving = asyncio.ensure_future(DOORS[door](tenant, reader, writer))
        for piece in pieces:
            if ear.is_closing():
                break
            reader.feed_data(piece)
            for _ in range(6):
                await asyncio.sleep(0)
        if not ear.is_closing():
            reader.feed_eof()
        async with asyncio.timeout(20):
            await serving
        return bytes(ear.said)

    return asyncio.run(run())


def _commands(door: str) -> st.SearchStrategy[bytes]:
    token = fixture.token(_tenant_for_messages())
    good = fixture.xoauth2(fixture.USER, token).encode()
    bad = fixture.xoauth2("private@contoso.com", token).encode()
    verbs = {
        "imap": [b"A CAPABILITY", b"B AUTHENTICATE XOAUTH2 " + good, b"B AUTHENTICATE XOAUTH2 " + bad, b"C AUTHENTICATE XOAUTH2\r\n" + good, b"D SELECT INBOX",
                 b"E FETCH 1:* (UID FLAGS BODY[])", b"F UID SEARCH ALL", b"G STATUS INBOX (MESSAGES)", b'H LIST "" "*"', b"I LOGIN {3+}\r\nabc {2+}\r\nxy",
                 b"J SELECT {5}\r\nINBOX", b"K IDLE\r\nDONE", b"L NOOP", b"M STORE 1 +FLAGS (\\Deleted)", b"N EXPUNGE", b"O APPEND INBOX {9999999999+}",
                 b"P APPEND INBOX {6+}\r\nabcdef", b"Q ID NIL", b"R LOGOUT", b"S UID COPY 1 INBOX", b"T CLOSE", b"* OK", b"+ x", b"U"],
        "pop": [b"CAPA", b"AUTH", b"AUTH XOAUTH2\r\n" + good, b"AUTH XOAUTH2\r\n" + bad, b"AUTH XOAUTH2 x", b"AUTH PLAIN\r\nx", b"USER x", b"PASS y", b"STAT",
                b"LIST", b"LIST 1", b"UIDL 2", b"RETR 1", b"TOP 1 0", b"TOP 1 " + b"9" * 30, b"RETR " + b"9" * 30, b"DELE 1", b"RSET", b"NOOP", b"QUIT", b"STLS"],
        "smtp": [b"EHLO x", b"HELO x", b"AUTH XOAUTH2 " + good, b"AUTH XOAUTH2\r\n" + good, b"AUTH XOAUTH2 " + bad, b"AUTH LOGIN\r\neA==\r\neA==", b"AUTH LOGIN =",
                 b"MAIL FROM:<support@contoso.com>", b"RCPT TO:<x@example.org>", b"DATA\r\nFrom: support@contoso.com\r\n\r\n..x\r\n.", b"DATA\r\n.", b"DATA", b".", b"RSET", b"NOOP",
                 b"VRFY x", b"HELP", b"STARTTLS", b"EXPN x", b"BDAT 5 LAST\r\nhello", b"QUIT", b"MAIL FROM:<>", b"MAIL FROM:<support@contoso.com> SIZE=999999999999"],
    }[door]  # fmt: skip
    line = (
        st.sampled_from(verbs)
        | st.binary(max_size=12)
        | st.sampled_from([b"", b" ", b"\0", b"\r", b"\n", b"\xff" * 9, b"A" * 300])
    )
    end = st.sampled_from([b"\r\n"] * 6 + [b"\n", b"\r", b""])
    return st.lists(st.tuples(line, end).map(b"".join), max_size=10).map(b"".join)


@pytest.mark.parametrize("inside", ["\a", "\x1b[2J", "\n* OK forged", "\rx", "\0", "\x7f"])
@pytest.mark.parametrize(
    "command",
    [
        "FETCH 1 BODY[HEADER.FIELDS (a%sb)]",
        "FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (%s)]<0.5>",
        "SELECT a%sb",
        'SELECT "a%sb"',
        "STATUS a%sb (MESSAGES)",
    ],
)
def test_no_answer_repeats_a_control_character(command: str, inside: str) -> None:
    """What a client names is repeated to it, but no byte that would end a line or command a terminal."""
    login = fixture.xoauth2(fixture.USER, fixture.token(_tenant_for_messages()))
    said = _said(
        "imap", f"A AUTHENTICATE XOAUTH2 {login}\r\nB SELECT INBOX\r\nC {command % inside}\r\nD LOGOUT\r\n".encode()
    )
    assert all(_LINE.fullmatch(one) for one in said.split(b"\r\n")), said
    assert b"\r\nC " in said
    assert b"forged" not in said


_LINE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")
_VARIES = re.compile(
    rb"\[\S+ \d{4}-\d\d-\d\dT\S+ [0-9A-F]{16}\]|\[InternalId=.*|<[0-9A-Fa-f-]{32,36}@\S+>|220 .*|id [0-9A-F]{16}; .*"
)


def _door(door: str, sent: bytes, cuts: list[int]) -> None:
    said = [_said(door, sent), _said(door, *_cut(sent, cuts)), _said(door, *(sent[i : i + 1] for i in range(len(sent))))] if len(sent) < 400 else [_said(door, sent), _said(door, *_cut(sent, cuts))]  # fmt: skip
    for whole in said:
        assert not whole or whole.endswith(b"\r\n"), whole[-80:]
        for one in whole.split(b"\r\n"):
            assert _LINE.fullmatch(one), one
    assert len({_VARIES.sub(b"", whole) for whole in said}) == 1, said


def _said(door: str, *pieces: bytes) -> bytes:
    tenant = _tenant_for_messages()
    box = fixture.mailbox(tenant)
    box.messages[:] = [
        {"uid": 7, "raw": fixture.message("first letter")},
        {"uid": 9, "raw": fixture.message("second letter")},
    ]
    box.last_uid = 9
    return talk(tenant, door, *pieces)


def _cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({place % (len(data) + 1) for place in cuts} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(places)]


def _drive(door: str, how: settings) -> None:
    @given(sent=_commands(door), cuts=st.lists(st.integers(0, 4000), max_size=5))
    @how
    def run(sent: bytes, cuts: list[int]) -> None:
        _door(door, sent, cuts)

    run()


@pytest.mark.parametrize("door", DOORS)
def test_a_door_answers_anything_in_whole_lines_however_it_comes(door: str) -> None:
    """Right and wrong commands in one, some, or single bytes: the same whole lines, no control characters, no exception."""
    _drive(door, examples(60))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("door", DOORS)
def test_a_door_answers_anything_in_whole_lines_however_it_comes_at_length(door: str, record_property) -> None:
    """The same, further."""
    _drive(door, at_length(800))
    record_property("figure", f"{door} door: 800 conversations, each in up to three cuts")


SPOKEN = {
    "imap": [b"a CAPABILITY", b"b AUTHENTICATE XOAUTH2", b"%t", b"c SELECT INBOX", b"d LOGIN {3}", b"abc {3+}", b"xyz", b"e FETCH 1:* (UID FLAGS BODY.PEEK[])", b"f IDLE", b"DONE", b"g LOGOUT"],
    "pop": [b"CAPA", b"AUTH XOAUTH2", b"%t", b"STAT", b"TOP 1 0", b"RETR 2", b"DELE 1", b"RSET", b"QUIT"],
    "smtp": [b"EHLO me", b"AUTH XOAUTH2", b"%t", b"MAIL FROM:<support@contoso.com>", b"RCPT TO:<sales@contoso.com>", b"DATA", b"From: support@contoso.com", b"", b"..x", b".", b"QUIT"],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("door", DOORS)
def test_a_client_may_vanish_after_any_byte(door: str, record_property) -> None:
    """A good session broken off after each byte that the client sends: the door ends, and what it said is the beginning
    of what it says to the whole."""
    login = fixture.xoauth2(fixture.USER, fixture.token(_tenant_for_messages())).encode()
    sent = b"".join(line.replace(b"%t", login) + b"\r\n" for line in SPOKEN[door])
    whole = _VARIES.sub(b"", _said(door, sent))
    for place in range(len(sent)):
        said = _VARIES.sub(b"", _said(door, sent[:place]))
        assert whole.startswith(said), (place, said)
    record_property("figure", f"{door} door: a session of {len(sent)} bytes broken off at each of them")


class _Endless:
    """So many bytes of one kind, never held at once."""

    def __init__(self, opening: bytes, filler: bytes, total: int) -> None:
        self.opening, self.filler, self.total = opening, filler, total


async def _pour(tenant: Tenant, door: str, poured: _Endless) -> int:
    """Feed a door as fast as it takes; the peak of Python's memory meanwhile."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    ear = _Ear(protocol)
    writer = asyncio.StreamWriter(ear, protocol, reader, loop)
    serving = asyncio.ensure_future(DOORS[door](tenant, reader, writer))
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    reader.feed_data(poured.opening)
    sent = 0
    while sent < poured.total:
        for _ in range(4):
            await asyncio.sleep(0)
        if ear.is_closing():
            break
        reader.feed_data(poured.filler)
        sent += len(poured.filler)
    if not ear.is_closing():
        reader.feed_eof()
    async with asyncio.timeout(20):
        await serving
    return tracemalloc.get_traced_memory()[1] - held


def _poured() -> dict[str, tuple[str, _Endless]]:
    token = fixture.token(_tenant_for_messages())
    login = fixture.xoauth2(fixture.USER, token).encode()
    mail = b"EHLO x\r\nAUTH XOAUTH2 " + login + b"\r\nMAIL FROM:<support@contoso.com>\r\nRCPT TO:<a@b>\r\nDATA\r\n"
    a, lines, total = b"A" * 65536, b"A" * 998 + b"\r\n", 48 * 1024 * 1024
    return {
        "imap: a line": ("imap", _Endless(b"", a, total)),
        "imap: a line after AUTHENTICATE": ("imap", _Endless(b"A AUTHENTICATE XOAUTH2\r\n", a, total)),
        "imap: a literal of a refused command": ("imap", _Endless(b"A APPEND INBOX {%d+}\r\n" % (45 * 1024 * 1024), a, total)),
        "imap: a literal of a login": ("imap", _Endless(b"A LOGIN {65000+}\r\n", a, total)),
        "imap: literals": ("imap", _Endless(b"A LOGIN ", b"{0+}\r\n" * 8192, total)),
        "pop: a line": ("pop", _Endless(b"", a, total)),
        "pop: a line after AUTH": ("pop", _Endless(b"AUTH XOAUTH2\r\n", a, total)),
        "smtp: a line": ("smtp", _Endless(b"", a, total)),
        "smtp: a line after AUTH": ("smtp", _Endless(b"EHLO x\r\nAUTH XOAUTH2\r\n", a, total)),
        "smtp: a message of one line": ("smtp", _Endless(mail, a, total)),
        "smtp: a message of lines": ("smtp", _Endless(mail, lines * 65, total)),
        "smtp: a message of dots": ("smtp", _Endless(mail, b"." * 65536, total)),
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("what", list(_poured()))
def test_no_client_costs_a_door_16_mib(what: str, record_property) -> None:
    """Three times that much is sent, in one line, literal or message that does not end; it is never held."""
    door, poured = _poured()[what]
    tracemalloc.start()
    try:
        peak = asyncio.run(_pour(_tenant_for_messages(), door, poured))
    finally:
        tracemalloc.stop()
    record_property("figure", f"{what}: at most {peak / 1024:.0f} KiB held")
    assert 0 < peak < MOST


@given(body=st.lists(st.sampled_from([b".", b"..", b"\r\n", b"\r", b"\n", b"x", b".\r", b"\r\n.", b".\n", b"\r\n..\r\n"]), max_size=14).map(b"".join), cuts=st.lists(st.integers(0, 60), max_size=6))  # fmt: skip
@examples(150)
def test_dots_are_taken_out_as_rfc_5321_says(body: bytes, cuts: list[int]) -> None:
    """However dots and line ends fall and are cut: the same message as by reading whole lines, and nothing of what follows."""
    wire = body + b"\r\n.\r\n" + b"QUIT\r\n"
    wanted, rest = [], wire
    while True:
        one, _, rest = rest.partition(b"\r\n")
        if one == b".":
            break
        wanted.append(one.removeprefix(b".") + b"\r\n")

    async def read() -> tuple[bytes, bytes]:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        connection = Connection(reader, asyncio.StreamWriter(_Ear(protocol), protocol, reader, loop), Limits())

        async def feed() -> None:
            for piece in _cut(wire, cuts):
                reader.feed_data(piece)
                for _ in range(4):
                    await asyncio.sleep(0)
            reader.feed_eof()

        feeding = asyncio.ensure_future(feed())
        got = b"".join([piece async for piece in connection.dotted()])
        await feeding
        return got, await connection.exactly(len(rest))

    assert asyncio.run(read()) == (b"".join(wanted), rest)
