"""Proof by a real login: XOAUTH2 and one probe a protocol, each on the standard library's own client.

A probe goes one command past AUTH, since success there proves nothing: EXAMINE INBOX, STAT, MAIL FROM. It changes
nothing in the mailbox and sends no message. It answers with a Reading and judges nothing: ``exosp.diagnosis`` does.
It must not retry, wait, or send a token over a channel whose certificate and host name are not verified.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from typing import Protocol as Shape

from ..clouds import Endpoint
from ..snapshot import Protocol

Stage = Literal["connect", "tls", "greeting", "capability", "auth", "open", "sender"]
Proof = Literal["opened", "accepted"]
TokenSource = Callable[[], str] | str


@dataclass(frozen=True)
class Reading:
    """What one login showed.

    ``stage`` is the one that failed, or the last one reached. ``proof`` stands only where ``ok``: ``opened`` (the
    mailbox answered) or ``accepted`` (the sender was taken; delivery is not proven). ``server`` is the server's own
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
