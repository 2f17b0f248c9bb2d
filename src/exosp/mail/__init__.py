"""Proof by a real login: XOAUTH2 and one probe a protocol, each on the standard library's own client.

A probe goes one command past AUTH, since success there proves nothing: EXAMINE INBOX, STAT, MAIL FROM. It changes
nothing in the mailbox and sends no message. It answers with a Reading and judges nothing: ``exosp.diagnosis`` does.
Three more go further where somebody asked for it: ``send`` sends one letter, ``find`` looks for it in a mailbox, and
``newest`` reads the newest subjects.
It must not retry, wait, or send a token over a channel whose certificate and host name are not verified.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from typing import Protocol as Shape

from ..clouds import Endpoint
from ..snapshot import Protocol

if TYPE_CHECKING:
    from .letter import Letter

Stage = Literal[
    "connect", "tls", "greeting", "capability", "auth", "open", "sender", "recipient", "data", "search", "list"
]
Proof = Literal["opened", "accepted", "delivered"]
TokenSource = Callable[[], str] | str


@dataclass(frozen=True)
class Reading:
    """What one login showed.

    ``stage`` is the one that failed, or the last one reached. ``proof`` stands only where ``ok``: ``opened`` (the
    mailbox answered), ``accepted`` (the sender was taken, or at the stage ``data`` the message; delivery is not proven)
    or ``delivered`` (the letter lies in the mailbox). ``server`` is the server's own
    decisive text, several lines joined by " / ", its base64 challenges decoded; where no usable answer came it is
    our description of that, and ``unreachable`` is true. ``transcript`` holds what the server said, line by line.
    Control characters are replaced, and whatever repeats the token reads ``<token>``.
    """

    stage: Stage
    ok: bool
    proof: Proof | None
    server: str
    transcript: tuple[str, ...]
    unreachable: bool


@dataclass(frozen=True)
class Sent(Reading):
    """What came of a letter. ``message_id`` is empty where it surely was not sent. Where it is not ``ok`` and has one all
    the same, the letter was handed over and no answer came: it may have arrived, and must not be sent again."""

    message_id: str = ""


@dataclass(frozen=True)
class Heading:
    """One message of a list, made fit to be seen. ``date`` is what its header says, None where that is no date."""

    subject: str
    sender: str
    date: datetime | None


@dataclass(frozen=True)
class Listing(Reading):
    """The newest messages, the newest first; ``total`` is how many there are in the mailbox."""

    total: int = 0
    headings: tuple[Heading, ...] = ()

    @property
    def subjects(self) -> tuple[str, ...]:
        return tuple(heading.subject for heading in self.headings)


class Probe(Shape):
    """One login. ``token`` is called only once TLS is verified; what it raises passes through. ``ca`` is a file of
    trusted certificates, None for the system's. ``timeout`` is wall seconds for the whole probe. ``sender`` is SMTP's
    envelope sender, ``user`` if None; the other protocols have none.

    Raises UsageError for a user, token, sender or ``ca`` that cannot be used; never for what a network or server does.
    """

    def __call__(
        self,
        endpoint: Endpoint,
        user: str,
        token: TokenSource,
        *,
        ca: Path | None,
        timeout: float = 60,
        sender: str | None = None,
    ) -> Reading: ...


def _imap(
    endpoint: Endpoint,
    user: str,
    token: TokenSource,
    *,
    ca: Path | None,
    timeout: float = 60,
    sender: str | None = None,
) -> Reading:
    from .imap import probe

    return probe(endpoint, user, token, ca=ca, timeout=timeout)


def _pop(
    endpoint: Endpoint,
    user: str,
    token: TokenSource,
    *,
    ca: Path | None,
    timeout: float = 60,
    sender: str | None = None,
) -> Reading:
    from .pop import probe

    return probe(endpoint, user, token, ca=ca, timeout=timeout)


def _smtp(
    endpoint: Endpoint,
    user: str,
    token: TokenSource,
    *,
    ca: Path | None,
    timeout: float = 60,
    sender: str | None = None,
) -> Reading:
    from .smtp import probe

    return probe(endpoint, user, token, ca=ca, timeout=timeout, sender=sender)


# One line a protocol. The bodies import on call: the standard library's mail clients are not free.
PROBES: Mapping[Protocol, Probe] = {"imap": _imap, "pop": _pop, "smtp": _smtp}


def send(
    endpoint: Endpoint, user: str, token: TokenSource, letter: "Letter", *, ca: Path | None, timeout: float = 180
) -> Sent:
    """Send the letter once, over SMTP. See ``smtp.send``."""
    from .smtp import send

    return send(endpoint, user, token, letter, ca=ca, timeout=timeout)


def find(
    endpoint: Endpoint, user: str, token: TokenSource, message_id: str, *, ca: Path | None, timeout: float = 60
) -> Reading:
    """Look once, over IMAP, whether the letter with this id lies in the mailbox. See ``imap_reading.find``."""
    from .imap_reading import find

    return find(endpoint, user, token, message_id, ca=ca, timeout=timeout)


def newest(
    endpoint: Endpoint, user: str, token: TokenSource, count: int, *, ca: Path | None, timeout: float = 60
) -> Listing:
    """The newest messages' subjects, over IMAP. See ``imap_reading.newest``."""
    from .imap_reading import newest

    return newest(endpoint, user, token, count, ca=ca, timeout=timeout)
