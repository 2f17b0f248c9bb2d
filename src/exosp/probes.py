"""The logins that prove or disprove access: which are tried, and what is kept of each. Pure; nothing is judged here."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from . import snapshot
from .playbook import Box, Playbook
from .snapshot import Address, Mailbox, Snapshot
from .steps.application import ROLE_OF

Expect = Literal["accept", "refuse"]


class Token(Protocol):
    """The application's own token."""

    @property
    def claims(self) -> Mapping[str, Any]: ...

    @property
    def expires(self) -> datetime: ...

    @property
    def obtained(self) -> datetime: ...

    def reveal(self) -> str: ...


class Reading(Protocol):
    """How far a login came, and what the server said."""

    @property
    def stage(self) -> str: ...

    @property
    def ok(self) -> bool: ...

    @property
    def proof(self) -> str | None: ...

    @property
    def server(self) -> str: ...

    @property
    def unreachable(self) -> bool: ...


class Sent(Reading, Protocol):
    """How far a message came. ``ok``: the server took it at the end of DATA; ``server`` is what it said there."""

    @property
    def message_id(self) -> str:
        """Unique, with its angle brackets. Empty where no message was sent."""
        ...


class Listing(Reading, Protocol):
    """What an IMAP login saw in the mailbox."""

    @property
    def subjects(self) -> tuple[str, ...]:
        """Of the newest messages, the newest first, decoded and harmless to show."""
        ...


class Logins(Protocol):
    """What the proof needs besides the tenant."""

    def token(self) -> Token:
        """A token from a fresh credential, never a cache. Raises CloudError; Missing where nothing is saved; NotHere
        where the application's credential works elsewhere only."""
        ...

    def reach(self, protocol: snapshot.Protocol) -> Reading:
        """The way to a server as far as it needs no token: name, connection, TLS, what it offers. ``ok`` where a token
        could be sent."""
        ...

    def login(self, protocol: snapshot.Protocol, user: str, sender: str, token: Token) -> Reading: ...


class Letters(Protocol):
    """Mail that is really sent and really read. Asked for only where the user says so."""

    def deliver(self, user: str, sender: str, to: str, token: Token) -> Sent:
        """Log in over SMTP as ``user`` and send one short message from ``sender``, to the end of DATA."""
        ...

    def find_message(self, user: str, message_id: str, token: Token) -> Reading:
        """Look for a message over IMAP once, without marking it read. Where the mailbox opened and it is not there:
        ``ok`` False, stage "search"."""
        ...

    def subjects(self, user: str, count: int, token: Token) -> Listing:
        """The newest ``count`` messages' subjects, without marking them read."""
        ...


@dataclass(frozen=True)
class Probe:
    """A login that must succeed, or be refused. ``user`` is the name given to the server, ``sender`` SMTP's sender."""

    mailbox: Address
    protocol: snapshot.Protocol
    expect: Expect
    user: str
    sender: str = ""


ProofKind = Literal["opened", "accepted", "delivered", "refused", "too-early", "not-provable-here"]


@dataclass(frozen=True)
class Proof:
    """What came of a probe.

    ``key`` is the cause's stable name, empty where nothing is wrong; ``evidence`` what was found on the way to it, from
    the outside in; ``row`` the diagnosis row of the server's words; ``age`` the seconds since what the login needs was
    set, as far as that is known."""

    probe: Probe
    stage: str
    ok: bool
    proof: ProofKind | None
    server: str
    cause: str = ""
    fix: str = ""
    key: str = ""
    depth: int = 0  # how far in the cause lies: the smaller, the further out
    evidence: tuple[str, ...] = ()
    row: str = ""
    age: float | None = None
    message_id: str = ""
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sample:
    """Some of the mailboxes in place of all. The same ``seed`` makes the same choice of the same playbook."""

    count: int
    seed: int


def chosen(want: Playbook, sample: Sample | None) -> tuple[Box, ...]:
    """The mailboxes that are probed, in the playbook's order. A sample covers every protocol that any mailbox uses,
    even where it takes more mailboxes than asked for."""
    if sample is None or sample.count >= len(want.boxes):
        return want.boxes
    drawn = list(want.boxes)
    random.Random(sample.seed).shuffle(drawn)  # noqa: S311 - a choice that can be repeated, no secret
    taken: set[Box] = set()
    for protocol in want.needed():
        if not any(protocol in box.protocols for box in taken):
            taken.add(next(box for box in drawn if protocol in box.protocols))
    taken |= set([box for box in drawn if box not in taken][: max(0, sample.count - len(taken))])
    return tuple(box for box in want.boxes if box in taken)


def probes(
    want: Playbook, seen: Snapshot, negative: Sequence[Address] = (), sample: Sample | None = None
) -> tuple[Probe, ...]:
    """One login a mailbox and protocol, and one a mailbox that must be refused."""
    wanted = []
    for box in chosen(want, sample):
        mailbox = seen.mailboxes.get(box.address)
        user = mailbox.login if isinstance(mailbox, Mailbox) else box.address
        sender = mailbox.address if isinstance(mailbox, Mailbox) else box.address
        own = [p for p in want.protocols if p in box.protocols]
        own += [p for p in ROLE_OF if p in box.protocols - set(want.protocols)]
        wanted += [Probe(box.address, p, "accept", user, sender) for p in own]
    first = want.needed()[0]
    return (*wanted, *(Probe(address, first, "refuse", address, address) for address in negative))
