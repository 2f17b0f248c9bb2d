"""Whole doors under bytes that nobody sane sends, without a network.

A door, fed any bytes in any pieces, ends by itself when its client has gone, says only whole lines, says the same however
the bytes are cut, and holds little of what it is sent.
"""

import asyncio
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exosp.sandbox.doors.lines import Connection, Limits
from exosp.sandbox.tenant import Tenant
from hostile.fed import DOORS, LINE, MOST, VARIES, Ear, answered, at_length, cut, examples, the_tenant
from sandbox import doors_fixture as fixture


def _commands(door: str) -> st.SearchStrategy[bytes]:
    token = fixture.token(the_tenant())
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
    login = fixture.xoauth2(fixture.USER, fixture.token(the_tenant()))
    said = answered(
        "imap", f"A AUTHENTICATE XOAUTH2 {login}\r\nB SELECT INBOX\r\nC {command % inside}\r\nD LOGOUT\r\n".encode()
    )
    assert all(LINE.fullmatch(one) for one in said.split(b"\r\n")), said
    assert b"\r\nC " in said
    assert b"forged" not in said


def _door(door: str, sent: bytes, cuts: list[int]) -> None:
    ways = [(sent,), cut(sent, cuts)]
    if len(sent) < 400:
        ways.append([sent[i : i + 1] for i in range(len(sent))])
    said = [answered(door, *pieces) for pieces in ways]
    for whole in said:
        assert not whole or whole.endswith(b"\r\n"), whole[-80:]
        for one in whole.split(b"\r\n"):
            assert LINE.fullmatch(one), one
    assert len({VARIES.sub(b"", whole) for whole in said}) == 1, said


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
    login = fixture.xoauth2(fixture.USER, fixture.token(the_tenant())).encode()
    sent = b"".join(line.replace(b"%t", login) + b"\r\n" for line in SPOKEN[door])
    whole = VARIES.sub(b"", answered(door, sent))
    for place in range(len(sent)):
        said = VARIES.sub(b"", answered(door, sent[:place]))
        assert whole.startswith(said), (place, said)
    record_property("figure", f"{door} door: a session of {len(sent)} bytes broken off at each of them")


async def _pour(tenant: Tenant, door: str, opening: bytes, filler: bytes) -> int:
    """Feed a door as fast as it takes; the peak of Python's memory meanwhile."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    ear = Ear(protocol)
    writer = asyncio.StreamWriter(ear, protocol, reader, loop)
    serving = asyncio.ensure_future(DOORS[door](tenant, reader, writer))
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    reader.feed_data(opening)
    sent = 0
    while sent < POURED:
        for _ in range(4):
            await asyncio.sleep(0)
        if ear.is_closing():
            break
        reader.feed_data(filler)
        sent += len(filler)
    if not ear.is_closing():
        reader.feed_eof()
    async with asyncio.timeout(20):
        await serving
    return tracemalloc.get_traced_memory()[1] - held


POURED = 48 * 1024 * 1024  # bytes
_A, _LINES = b"A" * 65536, (b"A" * 998 + b"\r\n") * 65
_MAIL = b"EHLO x\r\nAUTH XOAUTH2 %t\r\nMAIL FROM:<support@contoso.com>\r\nRCPT TO:<a@b>\r\nDATA\r\n"
# Door, what is said first (%t is the login), and what is said then without end.
ENDLESS = {
    "imap: a line": ("imap", b"", _A),
    "imap: a line after AUTHENTICATE": ("imap", b"A AUTHENTICATE XOAUTH2\r\n", _A),
    "imap: a literal of a refused command": ("imap", b"A APPEND INBOX {%d+}\r\n" % (45 * 1024 * 1024), _A),
    "imap: a literal of a login": ("imap", b"A LOGIN {65000+}\r\n", _A),
    "imap: literals": ("imap", b"A LOGIN ", b"{0+}\r\n" * 8192),
    "pop: a line": ("pop", b"", _A),
    "pop: a line after AUTH": ("pop", b"AUTH XOAUTH2\r\n", _A),
    "smtp: a line": ("smtp", b"", _A),
    "smtp: a line after AUTH": ("smtp", b"EHLO x\r\nAUTH XOAUTH2\r\n", _A),
    "smtp: a message of one line": ("smtp", _MAIL, _A),
    "smtp: a message of lines": ("smtp", _MAIL, _LINES),
    "smtp: a message of dots": ("smtp", _MAIL, b"." * 65536),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("what", ENDLESS)
def test_no_client_costs_a_door_16_mib(what: str, record_property) -> None:
    """Three times that much is sent, in one line, literal or message that does not end; it is never held."""
    door, opening, filler = ENDLESS[what]
    login = fixture.xoauth2(fixture.USER, fixture.token(the_tenant())).encode()
    tracemalloc.start()
    try:
        peak = asyncio.run(_pour(the_tenant(), door, opening.replace(b"%t", login), filler))
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
        connection = Connection(reader, asyncio.StreamWriter(Ear(protocol), protocol, reader, loop), Limits())

        async def feed() -> None:
            for piece in cut(wire, cuts):
                reader.feed_data(piece)
                for _ in range(4):
                    await asyncio.sleep(0)
            reader.feed_eof()

        feeding = asyncio.ensure_future(feed())
        got = b"".join([piece async for piece in connection.dotted()])
        await feeding
        return got, await connection.exactly(len(rest))

    assert asyncio.run(read()) == (b"".join(wanted), rest)
