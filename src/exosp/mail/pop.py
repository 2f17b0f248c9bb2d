"""POP3: AUTH XOAUTH2 in two lines, then STAT. It deletes nothing: no DELE precedes QUIT.

Source: learn.microsoft.com, "Authenticate an IMAP, POP or SMTP connection using OAuth", section POP protocol
exchange: the command and the token go on lines of their own. On one line Exchange answers "-ERR Protocol error.
Connection is closed. 10" (getmail6#256). The standard library has no AUTH for POP3; its own building blocks do it.
"""

import poplib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..clouds import Endpoint
from . import Proof, Reading, TokenSource, xoauth2
from .line import SENSELESS, Faults, Line, hold

_DECIDES = re.compile(r"-ERR\b|\+OK\b|\+ \S")
_OK = re.compile(rb"\+OK\b")  # the client itself takes any "+" for a yes
_STAT = re.compile(rb"\+OK \d+ \d+")
_CHALLENGES = 3  # an error comes as one more challenge; whoever asks on forever is left


def probe(endpoint: Endpoint, user: str, token: TokenSource, *, ca: Path | None, timeout: float = 60) -> Reading:
    """See ``exosp.mail.Probe``. Proof: ``opened``."""
    xoauth2.check_user(user)
    line = Line(endpoint, ca, timeout)
    return hold(line, _Dialogue(line), user, token)


class _Client(poplib.POP3):
    """The standard library's client on a Line."""

    def __init__(self, line: Line) -> None:
        self.line = line
        super().__init__(line.endpoint.host, line.endpoint.port)

    def _create_socket(self, timeout: float) -> Any:  # the one place where POP3 and POP3_SSL differ
        return self.line

    def command(self, text: str) -> bytes:
        """One command, one line of answer; an answer of -ERR raises."""
        reply: bytes = self._shortcmd(text)  # type: ignore[attr-defined]  # absent from typeshed; there is no public way
        return reply

    def answer(self, data: bytes) -> bytes:
        """Answer a challenge past the client's own command path, which shows its lines to audit hooks."""
        self.line.sendall(data + b"\r\n")
        reply: bytes = self._getresp()  # type: ignore[attr-defined]  # as above
        return reply


class _Dialogue:
    faults: Faults = (*SENSELESS, poplib.error_proto)

    def __init__(self, line: Line) -> None:
        self.line = line
        self.client: _Client | None = None

    def reach(self) -> None:
        self.line.connect()
        self.line.at("tls")
        self.line.secure()
        self.line.at("greeting")
        self.client = _Client(self.line)
        _require(_OK, self.client.getwelcome())
        self.line.at("capability")
        try:
            offered = self.client.capa()
        except poplib.error_proto:
            if not self.line.said[-1:] or not self.line.said[-1].startswith("-ERR"):
                raise
            return  # CAPA is optional (RFC 2449); AUTH will tell
        names = {name.upper() for key, words in offered.items() if key.upper() == "SASL" for name in words}
        if "XOAUTH2" not in names:
            raise poplib.error_proto("XOAUTH2 is not offered")

    def prove(self, message: bytes, answer: bytes) -> Proof:
        assert self.client is not None
        self.line.at("auth")
        if not _is_challenge(self.client.command("AUTH XOAUTH2")):
            raise poplib.error_proto("AUTH was not followed by a challenge")
        reply = self.client.answer(answer)
        for _ in range(_CHALLENGES):
            if not _is_challenge(reply):
                break
            reply = self.client.answer(b"")
        _require(_OK, reply)
        self.line.at("open")
        _require(_STAT, self.client.command("STAT"))
        return "opened"

    def leave(self) -> None:
        if self.client is not None:
            self.client.quit()

    def decisive(self, said: Sequence[str]) -> list[str]:
        if self.line.stage == "capability" and any(_DECIDES.match(text) for text in said):
            return [text for text in said if text not in ("", ".")]
        return [text for text in said if _DECIDES.match(text)]


def _is_challenge(reply: bytes) -> bool:
    return reply == b"+" or reply.startswith(b"+ ")


def _require(pattern: re.Pattern[bytes], reply: bytes) -> None:
    if not pattern.match(reply):
        raise poplib.error_proto("another answer was expected")
