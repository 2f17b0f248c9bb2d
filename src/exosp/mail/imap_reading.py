"""IMAP beyond the login: is one letter in the mailbox, and what are its newest messages called?

The folder is opened with EXAMINE and headers are read with BODY.PEEK, so no flag changes. What other people wrote is cut
to size and cleaned before it leaves here.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from email.errors import HeaderParseError
from email.header import decode_header
from email.utils import parsedate_to_datetime
from imaplib import IMAP4
from pathlib import Path

from ..clouds import Endpoint
from ..errors import UsageError
from . import Heading, Listing, Proof, Reading, TokenSource, xoauth2
from .imap import Dialogue
from .letter import ORIGINAL, knows, mark
from .line import Line, hold

MOST_LISTED = 100
MOST_BYTES = 1024 * 1024  # of a hundred headings, some tens of thousands are usual
LONGEST_HEADER = 4000  # bytes of one header that are looked at
LONGEST_SHOWN = 200  # characters of a subject or a sender
NEWEST_LOOKED_AT = 50  # where SEARCH finds nothing
HITS_LOOKED_AT = 10

_FIELD = re.compile(rb"(?m)^([!-9;-~]{1,80}):[ \t]?([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)")


def find(
    endpoint: Endpoint, user: str, token: TokenSource, message_id: str, *, ca: Path | None, timeout: float = 60
) -> Reading:
    """Look once. Proof: ``delivered``; a mailbox without the letter is not ``ok`` at the stage ``search``.

    A hit of SEARCH counts only if the message's own header says so. Where SEARCH finds nothing the newest messages are
    looked through, since a server's index may lag or match ids in its own way (mscdex/node-imap#511, #735).
    """
    xoauth2.check_user(user)
    line = Line(endpoint, ca, timeout, MOST_BYTES)
    dialogue = _Finding(line, message_id)
    reading = hold(line, dialogue, user, token)
    if not reading.ok:
        return reading
    if dialogue.found:
        return replace(reading, proof="delivered", server=dialogue.found)
    return replace(reading, ok=False, proof=None, server=f"no message {message_id} in the mailbox")


def newest(
    endpoint: Endpoint, user: str, token: TokenSource, count: int, *, ca: Path | None, timeout: float = 60
) -> Listing:
    """The newest ``count`` messages, 1 to 100. Proof: ``opened``."""
    if not 1 <= count <= MOST_LISTED:
        raise UsageError(f"{count} messages cannot be listed", hint=f"1 to {MOST_LISTED} can")
    xoauth2.check_user(user)
    line = Line(endpoint, ca, timeout, MOST_BYTES)
    dialogue = _Listing(line, count)
    reading = hold(line, dialogue, user, token)
    return Listing(**vars(reading), total=dialogue.total, headings=tuple(dialogue.headings) if reading.ok else ())


class _Reading(Dialogue):
    """A login that reads headers."""

    total = 0

    def prove(self, message: bytes, answer: bytes) -> Proof:
        proof = super().prove(message, answer)
        assert self.client is not None
        _, (exists, *_) = self.client.response("EXISTS")
        self.total = _number(exists)
        return proof

    def headers(self, numbers: str, fields: Iterable[str], *, uids: bool = False) -> list[dict[str, bytes]]:
        """These fields of these messages, by lower-case name, in the server's order."""
        assert self.client is not None
        self.line.at(self.line.stage)  # what was said to an earlier command decides nothing
        items = f"(UID BODY.PEEK[HEADER.FIELDS ({' '.join(fields).upper()})])"
        status, data = self.client.uid("FETCH", numbers, items) if uids else self.client.fetch(numbers, items)
        if status != "OK":
            raise IMAP4.error("FETCH was refused")
        return [_fields(part[1]) for part in data if isinstance(part, tuple) and isinstance(part[1], bytes)]

    def newest(self, count: int, fields: Iterable[str]) -> list[dict[str, bytes]]:
        """The newest first."""
        if not self.total:
            return []
        return self.headers(f"{max(1, self.total - count + 1)}:{self.total}", fields)[::-1][:count]


class _Finding(_Reading):
    """``found`` says by what the letter was known; empty where it was not."""

    def __init__(self, line: Line, message_id: str) -> None:
        super().__init__(line)
        self.message_id = message_id
        self.keys = (f'HEADER Message-ID "{message_id}"', f"SUBJECT {mark(message_id)}")
        self.found = ""

    def prove(self, message: bytes, answer: bytes) -> Proof:
        proof = super().prove(message, answer)
        self.line.at("search")
        fields = ("Message-ID", ORIGINAL, "Subject")
        uids = self._search()
        found = self.headers(",".join(uids), fields, uids=True) if uids else []
        self._look(found, "SEARCH")
        if not self.found:
            self._look(self.newest(NEWEST_LOOKED_AT, fields), "the newest messages")
        return proof

    def _search(self) -> list[str]:
        assert self.client is not None
        found: list[str] = []
        for key in self.keys:
            status, data = self.client.uid("SEARCH", key)
            if status != "OK":
                raise IMAP4.error("SEARCH was refused")
            found += [
                uid.decode() for uid in b" ".join(d for d in data if d).split() if re.fullmatch(rb"\d{1,10}", uid)
            ]
            if found:
                break
        return found[-HITS_LOOKED_AT:]

    def _look(self, messages: Iterable[Mapping[str, bytes]], where: str) -> None:
        for raw in messages:
            headers = {name: _decoded(value) for name, value in raw.items()}
            if knows(self.message_id, headers):
                said = self.line.shown(headers.get("message-id", ""), LONGEST_SHOWN)
                self.found = f"found by {where}: Message-ID: {said}"
                return


class _Listing(_Reading):
    def __init__(self, line: Line, count: int) -> None:
        super().__init__(line)
        self.count = count
        self.headings: list[Heading] = []

    def prove(self, message: bytes, answer: bytes) -> Proof:
        proof = super().prove(message, answer)
        self.line.at("list")
        for raw in self.newest(self.count, ("Subject", "From", "Date")):
            subject, sender = (self.line.shown(_decoded(raw.get(n, b"")), LONGEST_SHOWN) for n in ("subject", "from"))
            self.headings.append(Heading(subject, sender, _date(raw.get("date", b""))))
        return proof


def _number(data: object) -> int:
    return int(data) if isinstance(data, bytes) and re.fullmatch(rb"\d{1,10}", data) else 0


def _fields(block: bytes) -> dict[str, bytes]:
    """Header fields as they stand, the first of each name, unfolded."""
    found: dict[str, bytes] = {}
    for name, value in _FIELD.findall(block):
        found.setdefault(name.decode("ascii").lower(), re.sub(rb"\r?\n", b"", value[:LONGEST_HEADER]))
    return found


def _decoded(value: bytes) -> str:
    """A header's text, encoded words decoded (RFC 2047). What cannot be decoded stands as it came."""
    raw = value.decode("utf-8", "replace")
    try:
        parts = decode_header(raw)
        return "".join(p if isinstance(p, str) else p.decode(charset or "utf-8", "replace") for p, charset in parts)
    except (ValueError, LookupError, HeaderParseError):  # binascii.Error is a ValueError
        return raw


def _date(value: bytes) -> datetime | None:
    try:
        return parsedate_to_datetime(value.decode("ascii", "replace").strip())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
