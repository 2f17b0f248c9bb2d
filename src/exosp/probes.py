"""The logins that prove or disprove access: which are tried, and what is kept of each. Pure; nothing is judged here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from . import snapshot
from .playbook import Playbook
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


class Logins(Protocol):
    """What the proof needs besides the tenant."""

    def token(self) -> Token:
        """A token from a fresh credential, never a cache. Raises CloudError; Missing where nothing is saved."""
        ...

    def login(self, protocol: snapshot.Protocol, user: str, sender: str, token: Token) -> Reading: ...


@dataclass(frozen=True)
class Probe:
    """A login that must succeed, or be refused. ``user`` is the name given to the server."""

    mailbox: Address
    protocol: snapshot.Protocol
    expect: Expect
    user: str


@dataclass(frozen=True)
class Proof:
    """What came of a probe."""

    probe: Probe
    stage: str
    ok: bool
    proof: Literal["opened", "accepted", "refused", "too-early"] | None
    server: str
    cause: str = ""
    fix: str = ""


def probes(want: Playbook, seen: Snapshot, negative: Sequence[Address] = ()) -> tuple[Probe, ...]:
    """One login a mailbox and protocol, and one a mailbox that must be refused."""
    wanted = []
    for box in want.boxes:
        mailbox = seen.mailboxes.get(box.address)
        user = mailbox.login if isinstance(mailbox, Mailbox) else box.address
        wanted += [Probe(box.address, p, "accept", user) for p in want.protocols if p in box.protocols]
        wanted += [Probe(box.address, p, "accept", user) for p in ROLE_OF if p in box.protocols - set(want.protocols)]
    first = want.needed()[0]
    return (*wanted, *(Probe(address, first, "refuse", address) for address in negative))
