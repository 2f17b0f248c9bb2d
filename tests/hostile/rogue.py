"""Mail servers that mean harm, and what a probe may show of having met one.

A rogue plays one dialogue a connection, step by step, with whatever a test puts in the place of a good server's answers.
It keeps what the client sent, before TLS and under it, for that is what a test asserts on.
"""

import contextlib
import queue
import random
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from exosp.clouds import Endpoint
from exosp.mail import PROBES, Reading, xoauth2
from scripted import Authority, Peer

USER = "support@contoso.com"
# As long as a real one, and unlike anything a server says of itself.
TOKEN = ".".join("".join(random.Random(part).choices("ABCDEFGHabcdefgh0123456789-_", k=500)) for part in "xyz")
ANSWER = xoauth2.encode(USER, TOKEN)
PROTOCOLS = tuple(PROBES)
MOST = 16 * 1024 * 1024  # bytes that a server may cost us

# Step -> a good server's answer; %t is the client's tag. EHLO+ is the one under TLS, ANSWER the line with the token.
GOOD: Mapping[str, Mapping[str, bytes]] = {
    "imap": {
        "greeting": b"* OK IMAP4 ready\r\n",
        "CAPABILITY": b"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2\r\n%t OK done\r\n",
        "AUTHENTICATE": b"+ \r\n",
        "ANSWER": b"%t OK in\r\n",
        "EXAMINE": b"* 2 EXISTS\r\n* 0 RECENT\r\n%t OK [READ-ONLY] open\r\n",
        "LOGOUT": b"* BYE bye\r\n%t OK out\r\n",
    },
    "pop": {
        "greeting": b"+OK POP3 ready\r\n",
        "CAPA": b"+OK\r\nSASL PLAIN XOAUTH2\r\n.\r\n",
        "AUTH": b"+ \r\n",
        "ANSWER": b"+OK in\r\n",
        "STAT": b"+OK 2 1234\r\n",
        "QUIT": b"+OK out\r\n",
    },
    "smtp": {
        "greeting": b"220 ready\r\n",
        "EHLO": b"250-hello\r\n250 STARTTLS\r\n",
        "STARTTLS": b"220 go on\r\n",
        "EHLO+": b"250-hello\r\n250 AUTH XOAUTH2\r\n",
        "AUTH": b"334 \r\n",
        "ANSWER": b"235 in\r\n",
        "MAIL": b"250 taken\r\n",
        "RSET": b"250 reset\r\n",
        "QUIT": b"221 out\r\n",
    },
}
GOODBYE = frozenset({"LOGOUT", "QUIT", "RSET"})  # steps after the proof
_ASKS = re.compile(rb"(?:^|\n)(?:\+|334)(?: [^\r\n]*)?\r?\n\Z")


class Visit:
    """One connection: ``plain`` and ``secret`` are what the client sent before and under TLS, ``steps`` what it asked."""

    def __init__(self) -> None:
        self.plain: list[bytes] = []
        self.secret: list[bytes] = []
        self.secured = False
        self.steps: list[str] = []
        self.fault: BaseException | None = None

    @property
    def in_the_clear(self) -> bytes:
        return b"".join(self.plain)

    @property
    def under_tls(self) -> bytes:
        return b"".join(self.secret)


Play = Callable[[Peer, Visit], None]
Came = TypeVar("Came")


class Rogue:
    """One listener, one connection at a time. ``ca`` is the file to trust. A context manager."""

    def __init__(self, authority: Authority) -> None:
        self.ca = authority.ca
        self.context = authority.server()
        self._play: Play = lambda peer, visit: None
        self._visits: queue.Queue[Visit] = queue.Queue()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = Endpoint("localhost", self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "Rogue":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(20)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._receive(self._listener.accept()[0])

    def _receive(self, opened: socket.socket) -> None:
        visit = Visit()
        opened.settimeout(20)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = Peer(opened, visit)  # type: ignore[arg-type]  # of its server a Peer needs these three names only
        try:
            self._play(peer, visit)
        except (OSError, EOFError):
            pass  # the client leaves, or is left
        except BaseException as fault:
            visit.fault = fault
        finally:
            peer.socket.close()
            self._visits.put(visit)

    def meet(self, protocol: str, play: Play, *, timeout: float = 20) -> tuple[Reading, Visit]:
        """One probe of the rogue: what it read and what the rogue received."""
        probe = PROBES[protocol]  # type: ignore[index]  # one of PROTOCOLS
        return self.receive(play, lambda endpoint, ca: probe(endpoint, USER, TOKEN, ca=ca, timeout=timeout))

    def receive(self, play: Play, call: Callable[[Endpoint, Path], Came]) -> tuple[Came, Visit]:
        """One call on the rogue: what came of it and what the rogue received."""
        self._play = play
        reading = call(self.endpoint, self.ca)
        visit = self._visits.get(timeout=30)
        if visit.fault is not None:
            raise visit.fault
        return reading, visit

    def dialogue(
        self, protocol: str, answers: Mapping[str, bytes], *, context: ssl.SSLContext | None = None, patience: float = 20,
        send: Callable[[Peer, bytes], None] = Peer.send,
    ) -> Play:  # fmt: skip
        """Answer each step as told. ``patience`` is how long a client is waited for once an answer was not the good one."""
        tls = context or self.context

        def play(peer: Peer, visit: Visit) -> None:
            if protocol != "smtp":
                peer.secure(tls)
            send(peer, answers["greeting"])
            strayed = answers["greeting"] != GOOD[protocol]["greeting"]
            tag, asked, message = "", False, False
            while True:
                peer.socket.settimeout(patience if strayed else 20)
                line = peer.hear()
                if message and line != ".":
                    continue
                if message:
                    step = "MESSAGE"
                elif asked or line in ("", ANSWER):  # a client that was confused may answer what was not asked last
                    step = "ANSWER"
                else:
                    if protocol == "imap":
                        tag, _, line = line.partition(" ")
                    step = line.partition(" ")[0].upper() + ("+" if line.upper().startswith("EHLO") and visit.secured else "")  # fmt: skip
                message = False
                visit.steps.append(step)
                strayed = strayed or answers[step] != GOOD[protocol].get(step)
                said = answers[step].replace(b"%t", tag.encode())
                asked = bool(_ASKS.search(said)) and step != "STARTTLS"
                message = step == "DATA" and said.startswith(b"354")
                send(peer, said)
                if step == "STARTTLS" and said.startswith(b"220"):
                    peer.secure(tls)

        return play


def reset(peer: Peer) -> None:
    """Break the connection off, as a firewall does."""
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise EOFError


_PARTS = frozenset(secret[i : i + 16].lower() for secret in (TOKEN, ANSWER) for i in range(len(secret) - 15))


def repeats_token(text: str) -> bool:
    """Whether any 16 characters of the token or of its base64 form stand in a text, in either case."""
    text = text.lower()
    return any(text[i : i + 16] in _PARTS for i in range(len(text) - 15))


def has_token(wire: bytes) -> bool:
    """The same for what went over a wire."""
    return repeats_token(wire.decode("latin-1"))


def check(reading: Reading, visit: Visit) -> None:
    """What holds whatever a server does."""
    assert isinstance(reading, Reading)
    assert reading.ok == (reading.proof is not None)
    assert reading.ok or reading.server
    assert reading.server.isprintable()
    assert len(reading.server) < 21000
    assert all(line.isprintable() and len(line) <= 1000 for line in reading.transcript)
    assert not repeats_token(repr(reading))
    assert not has_token(visit.in_the_clear)
    assert b"AUTH" not in visit.in_the_clear.upper()
