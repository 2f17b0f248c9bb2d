"""SMTP: STARTTLS, AUTH XOAUTH2, then MAIL FROM and RSET. ``probe`` names no recipient and sends no message; ``send``
sends the one letter that it is given, once, and never again.

AUTH always goes in two steps, as on learn.microsoft.com ("Authenticate an IMAP, POP or SMTP connection using OAuth",
section SMTP protocol exchange): with a token the one-step form outgrows SMTP's 512 octets (RFC 4954, section 4), and
so no token reaches a server that has not asked for it. An accepted sender is not a delivered message: Exchange may
refuse at the end of DATA (email-oauth2-proxy#271).
"""

import re
import smtplib
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from ..clouds import Endpoint
from ..errors import UsageError
from . import Proof, Reading, Sent, TokenSource, xoauth2
from .letter import Letter
from .line import SENSELESS, Faults, Line, hold

_REPLY = re.compile(r"\d{3}(?:[ -].*)?")
_CHALLENGES = 3  # an error comes as one more challenge; whoever asks on forever is left
_ADDRESS = re.compile(r"[^\s<>]+@[^\s<>]+")
_DOTS = re.compile(rb"(?m)^\.")  # RFC 5321, section 4.5.2
_WE = "[127.0.0.1]"  # as the standard library for a host without a name, and without asking the resolver for ours


def probe(
    endpoint: Endpoint,
    user: str,
    token: TokenSource,
    *,
    ca: Path | None,
    timeout: float = 60,
    sender: str | None = None,
) -> Reading:
    """See ``exosp.mail.Probe``. Proof: ``accepted``. ``sender`` is the envelope's, ``user`` if None."""
    xoauth2.check_user(user)
    envelope = user if sender is None else sender
    if not _ADDRESS.fullmatch(envelope) or not envelope.isprintable():
        raise UsageError(f"{envelope!r} is no address that can send")
    line = Line(endpoint, ca, timeout)
    return hold(line, _Dialogue(line, envelope), user, token)


def send(
    endpoint: Endpoint, user: str, token: TokenSource, letter: Letter, *, ca: Path | None, timeout: float = 180
) -> Sent:
    """Log in and send the letter, once. Proof: ``accepted``, at the stage ``data``. The time is longer than a probe's,
    since a server may think about a message, and an answer that comes too late is a lost one."""
    xoauth2.check_user(user)
    line = Line(endpoint, ca, timeout)
    dialogue = _Sending(line, letter)
    reading = hold(line, dialogue, user, token)
    gone = reading.ok or (dialogue.handed and not dialogue.answered)
    return Sent(**vars(reading), message_id=letter.message_id if gone else "")


class _Dialogue:
    faults: Faults = SENSELESS  # smtplib.SMTPException is an OSError

    def __init__(self, line: Line, sender: str, *, international: bool | None = None) -> None:
        self.line = line
        self.sender = sender
        self.international = not sender.isascii() if international is None else international
        self.client = smtplib.SMTP(local_hostname=_WE)

    def reach(self) -> None:
        client = self.client
        self.line.connect()
        client.sock = cast(socket.socket, self.line)  # it asks a socket for makefile, sendall and close only
        self.line.at("greeting")
        _require(client.getreply()[0], 220)
        self._offers("starttls")
        self.line.at("tls")
        _require(client.docmd("STARTTLS")[0], 220)
        self.line.at("tls")  # from here on TLS itself decides, not the 220
        self.line.secure()
        client.file = None  # RFC 3207: forget all that was said before TLS; the next EHLO replaces what was offered
        self._offers("auth", "XOAUTH2")

    def _offers(self, extension: str, word: str = "") -> None:
        self.line.at("capability")
        _require(self.client.ehlo()[0], 250)
        words = self.client.esmtp_features.get(extension)
        if words is None or (word and word not in words.upper().split()):
            raise smtplib.SMTPNotSupportedError(f"{extension} {word} is not offered")

    def prove(self, message: bytes, answer: bytes) -> Proof:
        client = self.client
        self.line.at("auth")
        _require(client.docmd("AUTH", "XOAUTH2")[0], 334)
        code = self._answer(answer)
        for _ in range(_CHALLENGES):
            if code != 334:
                break
            code = self._answer(b"")
        _require(code, 235)
        self.line.at("sender")
        options = ""
        if self.international:
            if not client.has_extn("smtputf8"):
                raise smtplib.SMTPNotSupportedError("SMTPUTF8 is not offered")
            client.command_encoding = "utf-8"
            options = " SMTPUTF8"
        _require(client.docmd("MAIL", f"FROM:<{self.sender}>{options}")[0], 250)
        return "accepted"

    def _answer(self, data: bytes) -> int:
        """Answer a challenge past the client's own command path, which shows its lines to audit hooks."""
        self.line.sendall(data + b"\r\n")
        return self.client.getreply()[0]

    def leave(self) -> None:
        if self.line.stage in ("sender", "recipient"):
            self.client.rset()
        self.client.quit()

    def decisive(self, said: Sequence[str]) -> list[str]:
        """The last reply, all its lines, after any challenge that says something."""
        replies: list[list[str]] = [[]]
        for text in said:
            if not _REPLY.fullmatch(text):
                continue
            replies[-1].append(text)
            if text[3:4] != "-":
                replies.append([])
        whole = [reply for reply in replies if reply and not re.fullmatch(r"334\s*", reply[0])]
        challenges = [text for reply in whole[:-1] for text in reply if text.startswith("334")]
        return challenges + (whole[-1] if whole else [])


class _Sending(_Dialogue):
    """``handed``: the message has been given away, or part of it. ``answered``: and the server has said what it makes of
    it."""

    def __init__(self, line: Line, letter: Letter) -> None:
        super().__init__(line, letter.sender, international=letter.international)
        self.letter = letter
        self.handed = self.answered = False

    def prove(self, message: bytes, answer: bytes) -> Proof:
        super().prove(message, answer)
        self.line.at("recipient")
        _require(self.client.docmd("RCPT", f"TO:<{self.letter.recipient}>")[0], 250, 251)  # 251: it forwards
        self.line.at("data")
        _require(self.client.docmd("DATA")[0], 354)
        self.line.at("data")  # the 354 decides nothing
        self.handed = True
        self.line.sendall(_DOTS.sub(b"..", self.letter.data) + b".\r\n")
        code = self.client.getreply()[0]
        self.answered = code == 250 or 400 <= code <= 599
        _require(code, 250)
        return "accepted"


def _require(code: int, *wanted: int) -> None:
    if code not in wanted:
        raise smtplib.SMTPException(f"{wanted[0]} was expected")
