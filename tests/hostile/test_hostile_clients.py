"""Clients that mean harm, at the sandbox's doors as they are: real sockets, real TLS.

Whatever a client does, the door answers it or closes, lives on for the next, and logs no traceback.
"""

import json
import logging
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from exosp.sandbox.doors import imap, pop, smtp
from sandbox import doors_fixture as fixture
from sandbox.doors_fixture import Doors, Wire

MOST = 16 * 1024 * 1024


@pytest.fixture(scope="module")
def _open() -> Iterator[Doors]:
    with Doors() as opened:
        yield opened


@pytest.fixture
def doors(_open: Doors, caplog: pytest.LogCaptureFixture) -> Iterator[Doors]:
    """Doors that are as good afterwards as before: each lets the next client in, and nobody has complained."""
    caplog.set_level(logging.WARNING)
    yield _open
    alive(_open)
    assert not _open.failures
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.WARNING]


def alive(doors: Doors) -> None:
    """A login on each door."""
    login = fixture.xoauth2(fixture.USER, fixture.token(doors.tenant))
    with doors.wire(doors.imap, tls=True) as wire:
        wire.line()
        assert wire.tagged(f"AUTHENTICATE XOAUTH2 {login}")[-1].startswith("A OK")
    with doors.wire(doors.pop, tls=True) as wire:
        wire.line()
        assert wire.ask("AUTH XOAUTH2") == "+ "
        assert wire.ask(login).startswith("+OK")
    with greeted(doors) as wire:
        secure(doors, wire)
        wire.reply("EHLO judge.example")
        assert wire.ask(f"AUTH XOAUTH2 {login}").startswith("235 ")


def greeted(doors: Doors) -> Wire:
    wire = doors.wire(doors.smtp, tls=False)
    wire.line()
    wire.reply("EHLO judge.example")
    return wire


def secure(doors: Doors, wire: Wire) -> None:
    assert wire.ask("STARTTLS").startswith("220 ")
    wire.secure(doors.trust())


# -- plain text behind STARTTLS (CVE-2011-0411) -----------------------------------------------------------------------

# What is sent in the clear behind STARTTLS, in pieces; none of it may be carried out or answered under TLS.
AHEAD: dict[str, list[bytes]] = {
    "in one packet": [b"STARTTLS\r\nRSET\r\nNOOP\r\n"],
    "in the next packet": [b"STARTTLS\r\n", b"RSET\r\nNOOP\r\n"],
    "half a command": [b"STARTTLS\r\n", b"RS"],
    "a line's end later": [b"STARTTLS\r\nRSET", b"\r\nNOOP\r\n"],
    "more than is read at once": [b"STARTTLS\r\n" + b"A" * 70000 + b"\r\nRSET\r\nNOOP\r\n"],
    "a long packet and another": [b"STARTTLS\r\n" + b"RSET\r\n" * 12000, b"NOOP\r\n" * 12000],
}


@pytest.mark.parametrize("how", AHEAD)
@pytest.mark.parametrize("latency", [0.0, 0.05])
def test_nothing_sent_ahead_of_tls_is_carried_out(how: str, latency: float) -> None:
    """A command slipped in behind STARTTLS is dropped, wherever it waits while the door is busy: in its own buffer, in
    the stream's, or in the socket, where it spoils the handshake."""
    with Doors(fixture.build_tenant(latency=latency)) as doors:
        wire = greeted(doors)
        said = []
        with suppress(OSError):  # where the clear text has come into the handshake; ssl.SSLError is one
            for piece in AHEAD[how]:
                wire.send(piece)
            assert wire.line() == "220 2.0.0 SMTP server ready"
            wire.secure(doors.trust())
            said = [wire.ask("HELP")]
        counted = doors.tenant.requests["smtp"]
        assert (counted["RSET"], counted["NOOP"], counted["OTHER"]) == (0, 0, 0)
        assert said in ([], ["214-This server supports the following commands:"])


# -- clients that behave badly ----------------------------------------------------------------------------------------


def _cut_off(opened: socket.socket) -> None:
    """Leave as a client does whose machine has died."""
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    opened.close()


CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + b"\x11" * 32


@pytest.mark.parametrize("door", ["imap", "pop", "smtp"])
@pytest.mark.parametrize("leave", [socket.socket.close, _cut_off], ids=["closes", "resets"])
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"A CAPABILITY\r\n",
        b"\0" * 5000,
        b"GET / HTTP/1.1\r\n\r\n",
        CLIENT_HELLO,
        b"\x16\x03\x01\x40\x00" + b"A" * 17000,
        b"\x15\x03\x01\x00\x02\x02\x28",
    ],
)
def test_a_client_that_speaks_no_tls_and_leaves(doors: Doors, door: str, leave: Callable[[socket.socket], None], sent: bytes) -> None:  # fmt: skip
    """Garbage, another protocol, half a handshake where TLS or a command is due."""
    opened = socket.create_connection(("127.0.0.1", getattr(doors, door)), 10)
    with suppress(OSError):
        opened.sendall(sent)
    leave(opened)


@pytest.mark.parametrize("leave", [socket.socket.close, _cut_off], ids=["closes", "resets"])
@pytest.mark.parametrize(
    "sent", [b"", b"EHLO again\r\n", b"\0" * 5000, CLIENT_HELLO, b"\x16\x03\x01\x40\x00" + b"A" * 17000]
)
def test_a_client_that_starts_no_tls_after_starttls(doors: Doors, leave: Callable[[socket.socket], None], sent: bytes) -> None:  # fmt: skip
    """The door has said that it is ready, and something else comes, or nothing."""
    wire = greeted(doors)
    assert wire.ask("STARTTLS").startswith("220 ")
    with suppress(OSError):
        wire.send(sent)
    wire.file.close()
    leave(wire.raw)


@pytest.mark.parametrize("door", ["imap", "pop"])
def test_a_client_that_drops_tls_and_goes_on_in_the_clear(doors: Doors, door: str) -> None:
    """Commands in the clear on a connection that is under TLS end it."""
    with socket.create_connection(("127.0.0.1", getattr(doors, door)), 10) as raw:
        under = doors.trust().wrap_socket(raw.dup(), server_hostname="localhost")
        under.recv(1000)
        raw.sendall(b"A NOOP\r\nQUIT\r\n")
        with suppress(OSError):
            while raw.recv(4096):
                pass
        under.detach()


@pytest.mark.parametrize("door", ["imap", "pop", "smtp"])
def test_a_client_that_sends_ahead_and_leaves(caplog: pytest.LogCaptureFixture, door: str) -> None:
    """Thousands of commands at once from one who reads no answer and is cut off: the door stops, and says nothing of it."""
    with Doors() as doors:
        opened = socket.create_connection(("127.0.0.1", getattr(doors, door)), 10)
        if door != "smtp":
            opened = doors.trust().wrap_socket(opened, server_hostname="localhost")
        opened.settimeout(2)
        with suppress(OSError):
            opened.sendall(b"CAPA\r\n" * 10000 if door == "pop" else b"A NOOP\r\n" * 10000 if door == "imap" else b"NOOP\r\n" * 10000)  # fmt: skip
        _cut_off(opened)
        while doors.open_sessions():
            time.sleep(0.01)
    assert caplog.messages == []


# Under TLS, before any login -> what is sent, and how the door's last line begins.
ABSURD: dict[str, tuple[str, bytes, str]] = {
    "imap: a line without end": ("imap", b"A" * 70000, "* BYE "),
    "imap: a literal of absurd size, unasked": ("imap", b"A LOGIN {99999999999999999999+}\r\nx A NOOP\r\n", "* BYE "),
    "imap: a literal of absurd size": ("imap", b"A LOGIN {99999999999999999999}\r\n", "A BAD Command Argument Error. 11"),
    "imap: a refused literal of absurd size": ("imap", b"A APPEND INBOX {99999999999+}\r\nx\r\n", "* BYE "),
    "imap: control characters": ("imap", b"A LOGIN a\0b c\r\n", "A BAD Command Argument Error. 11"),
    "imap: eight bits for a tag": ("imap", b"\xff\xfe NOOP\r\n", "* BAD "),
    "pop: a line without end": ("pop", b"A" * 70000, "-ERR Protocol error."),
    "pop: control characters": ("pop", b"USER\0x\r\n", "-ERR Protocol error. 14"),
    "smtp: a line without end": ("smtp", b"A" * 70000, "500 5.5.2 Line too long"),
    "smtp: control characters": ("smtp", b"EHLO\0x\r\n", "500 5.3.3 Unrecognized command"),
}  # fmt: skip


@pytest.mark.parametrize("what", ABSURD)
def test_what_no_client_sends_is_answered_or_ends_the_session(doors: Doors, what: str) -> None:
    """One answer in the protocol's own words, or the end; what follows an unasked literal is not taken for commands."""
    door, sent, answer = ABSURD[what]
    if door == "smtp":
        wire = greeted(doors)
        secure(doors, wire)
    else:
        wire = doors.wire(getattr(doors, door), tls=True)
        wire.line()
    wire.send(sent)
    assert wire.line().startswith(answer)
    if answer.startswith("* BYE"):
        assert wire.closed()


def test_many_who_say_nothing_leave_room(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that stop in the middle are ended after the idle time, and their places are free again."""
    for door in (imap, pop, smtp):
        monkeypatch.setattr(door, "LIMITS", type(door.LIMITS)(connections=3, idle=0.3))
    for port, tls, half in ((doors.imap, True, b"A AUTHENTICATE XOAUTH2\r\nabc"), (doors.pop, True, b"AUTH XOAUTH2\r\nabc"), (doors.smtp, False, b"EHLO")):  # fmt: skip
        wires = [doors.wire(port, tls=tls) for _ in range(3)]
        for wire in wires:
            with suppress(OSError):  # it may have been ended already
                wire.send(half)
        for wire in wires:
            with suppress(ConnectionError):
                while not wire.closed():
                    pass
    monkeypatch.undo()


# -- the real thing ---------------------------------------------------------------------------------------------------


def _status(pid: int, name: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition(f"{name}:")[2].split()[0]) * 1024


def _barrage(imap_port: int, pop_port: int, smtp_port: int, trust: ssl.SSLContext) -> int:
    """Everything above and more, from strangers; how many connections that made."""
    rude = [b"A" * 200_000, b"\r\n" * 50_000, b"\0" * 100_000, b"A LOGIN {64000+}\r\n" + b"B" * 64_000 + b"\r\n", b"A APPEND INBOX {40000000+}\r\n" + b"C" * 20_000_000,
            b"A AUTHENTICATE XOAUTH2 " + b"QUFB" * 15_000 + b"\r\n", b"AUTH XOAUTH2\r\n" + b"QUFB" * 15_000 + b"\r\n", b"A SELECT {0+}\r\n" * 20_000, b"NOOP\r\n" * 30_000,
            b"EHLO x\r\n" * 20_000, b"\xff" * 100_000]  # fmt: skip
    count = 0
    for port, tls in ((imap_port, True), (pop_port, True), (smtp_port, False)):
        for data in rude:
            for secured in {tls, False}:
                opened = socket.create_connection(("127.0.0.1", port), 10)
                count += 1
                with suppress(OSError):
                    if secured:
                        opened = trust.wrap_socket(opened, server_hostname="localhost")
                    opened.settimeout(5)
                    opened.sendall(data)  # and never read: the door must not wait with the answers in its memory
                opened.close()
    return count


@pytest.mark.slow
def test_a_sandbox_of_its_own_outlives_a_barrage(record_property: Callable[[str, object], None]) -> None:
    """``exosp sandbox up`` under a barrage from strangers: it grows by less than 16 MiB, serves the next, prints nothing."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "exosp", "sandbox", "up", "--faults", "none", "--format", "json"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, "NO_COLOR": "1"},
        )  # fmt: skip
        try:
            assert process.stdout is not None
            cloud = json.loads(Path(json.loads(process.stdout.readline())["environment"]["EXOSP_CLOUD"]).read_text())
            ports = [int(cloud[name].rpartition(":")[2]) for name in ("imap", "pop", "smtp")]
            trust = ssl.create_default_context(cafile=cloud["ca"])
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")
            _barrage(*ports, trust)  # once, for what is only loaded then
            before = _status(process.pid, "VmRSS")
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")
            count = _barrage(*ports, trust)
            grown = _status(process.pid, "VmHWM") - before
            with trust.wrap_socket(socket.create_connection(("127.0.0.1", ports[0]), 10), server_hostname="localhost") as last:  # fmt: skip
                assert last.recv(1000).startswith(b"* OK The Microsoft Exchange IMAP4 service is ready.")
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait(20)
            if process.stdout is not None:
                process.stdout.close()
        errors.seek(0)
        said = errors.read().decode()
    record_property("figure", f"a sandbox under {count} rude connections grew by at most {grown / 1024:.0f} KiB")
    assert said == ""
    assert grown < MOST
