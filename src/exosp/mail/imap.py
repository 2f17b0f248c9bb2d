"""IMAP: AUTHENTICATE XOAUTH2, then EXAMINE INBOX. It reads no message and changes no flag.

Source: learn.microsoft.com, "Authenticate an IMAP, POP or SMTP connection using OAuth", section IMAP protocol
exchange. "User is authenticated but not connected" comes only at the command after AUTHENTICATE
(email-oauth2-proxy#74), so that command is what proves.
"""

import imaplib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..clouds import Endpoint
from . import Proof, Reading, TokenSource, xoauth2
from .line import SENSELESS, Faults, Line, hold

_TAGGED = re.compile(r"[^*+\s]\S* ((?:OK|NO|BAD)\b.*)")
_DECIDES = re.compile(r"\* (?:BYE|NO|BAD|PREAUTH)\b|\+ \S")


def probe(endpoint: Endpoint, user: str, token: TokenSource, *, ca: Path | None, timeout: float = 60) -> Reading:
    """See ``exosp.mail.Probe``. Proof: ``opened``."""
    xoauth2.check_user(user)
    line = Line(endpoint, ca, timeout)
    return hold(line, Dialogue(line), user, token)


class Client(imaplib.IMAP4):
    """The standard library's client on a Line. It overrides the five methods that its manual offers for that."""

    def __init__(self, line: Line) -> None:
        self.line = line
        super().__init__()

    def open(self, host: str = "", port: int = 993, timeout: float | None = None) -> None:
        self.reader = self.line.makefile()

    def read(self, size: int) -> bytes:
        if size > self.line.most:
            raise self.error("the server announces more than any answer holds")
        return self.reader.read(size)

    def readline(self) -> bytes:
        return self.reader.readline(self.line.most)

    # The manual's name and type are bytes; typeshed has a wider one.
    def send(self, data: Any) -> None:
        self.line.sendall(data)

    def shutdown(self) -> None:
        self.line.close()

    def capability(self) -> Any:
        if self.state != "NONAUTH":
            raise self.error("the server takes us for logged in before we are")
        self.line.at("capability")
        return super().capability()


class Dialogue:
    faults: Faults = (*SENSELESS, imaplib.IMAP4.error)

    def __init__(self, line: Line) -> None:
        self.line = line
        self.client: Client | None = None

    def reach(self) -> None:
        self.line.connect()
        self.line.at("tls")
        self.line.secure()
        self.line.at("greeting")
        self.client = Client(self.line)  # reads the greeting, asks for CAPABILITY
        if "AUTH=XOAUTH2" not in self.client.capabilities:
            raise imaplib.IMAP4.error("XOAUTH2 is not offered")

    def prove(self, message: bytes, answer: bytes) -> Proof:
        assert self.client is not None
        # An error comes as a second challenge, which takes an empty answer.
        answers = iter((message, b""))

        def respond(_challenge: bytes) -> bytes:
            for text in answers:
                return text
            raise imaplib.IMAP4.error("the server asks on and on")

        self.line.at("auth")
        self.client.authenticate("XOAUTH2", respond)
        self.line.at("open")
        status, _ = self.client.select("INBOX", readonly=True)
        if status != "OK":
            raise imaplib.IMAP4.error("EXAMINE was refused")
        return "opened"

    def leave(self) -> None:
        if self.client is not None:
            self.client.logout()

    def decisive(self, said: Sequence[str]) -> list[str]:
        kept = []
        for text in said:
            if tagged := _TAGGED.fullmatch(text):
                kept.append(tagged[1])  # the tag is ours
            elif _DECIDES.match(text) or (self.line.stage == "capability" and text.startswith("* CAPABILITY")):
                kept.append(text)
        return kept
