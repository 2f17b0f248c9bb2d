"""Both census ports on an inventory in memory: every read answers what it says, a page at a time, and may be made to fail."""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from builders import AT, TENANT_ID

from exosp.audit.collect import Progress, collect
from exosp.audit.file import Keeping, in_memory, kept
from exosp.audit.gathered import Head, Wishes
from exosp.audit.packing import packed
from exosp.census import Held, Listed, ListedKind
from exosp.errors import CloudError, Throttled, Unreachable
from exosp.inventory import Credential, Entry, Event, Grant, Inventory, LastUse, MailboxRecord, Owner
from exosp.patience import Patience
from exosp.snapshot import Address, ClientAccess, MailboxId

PAGE = 3
OF = {"user": ("user", "shared", "other"), "soft-deleted": ("soft-deleted",), "group": ("group",)}


def throttled(after: float | None = 1.0) -> Throttled:
    return Throttled("too many requests", after=after, service="fake")


def unheard() -> Unreachable:
    return Unreachable("the connection was broken off", may_have_happened=False, service="fake")


def listed(box: MailboxRecord) -> Listed:
    behalf = tuple(grant.trustee for grant in box.grants if grant.right == "SendOnBehalf")
    return Listed(
        box.id, box.address, box.name, box.kind, f"identity-{box.id}", box.login, behalf, guid=f"guid-{box.id}"
    )


@dataclass
class Trouble:
    """What breaks: ``strike(what)`` is called before each answer, and may raise. ``asked`` counts."""

    strike: Callable[[str], None] = lambda what: None
    asked: Counter[str] = field(default_factory=Counter)

    def __call__(self, what: str) -> None:
        self.asked[what] += 1
        self.strike(what)


def unkind(seed: int, share: float = 0.2) -> Callable[[str], None]:
    """Every fifth answer is a refusal for now, or none."""
    chance = random.Random(seed)

    def strike(what: str) -> None:
        if chance.random() < share:
            raise chance.choice((throttled(0.5), throttled(None), unheard()))

    return strike


@dataclass
class Directory:
    has: Inventory
    federated_: dict[str, tuple[Credential, ...]] = field(default_factory=dict)
    trouble: Trouble = field(default_factory=Trouble)
    requests: int = 0

    def _rows(self, what: str, rows: Sequence[Any]) -> Iterator[Any]:
        for number, row in enumerate(rows):
            if number % PAGE == 0:
                self.trouble(what)
            yield row
        if not rows:
            self.trouble(what)

    def registrations(self) -> Iterator[Any]:
        return self._rows("applications", [replace(one, owners=None) for one in self.has.registrations])

    def principals(self) -> Iterator[Any]:
        return self._rows("enterprise-applications", [replace(one, owners=None) for one in self.has.principals])

    def role_grants(self) -> Iterator[Any]:
        return self._rows("role-grants", self.has.role_grants)

    def scope_grants(self) -> Iterator[Any]:
        return self._rows("scope-grants", self.has.scope_grants)

    def owners(self, kind: str, ids: Sequence[str]) -> dict[str, tuple[Owner, ...]]:
        self.trouble("owners")
        rows: Any = self.has.registrations if kind == "applications" else self.has.principals
        return {one.object_id: one.owners for one in rows if one.object_id in ids and one.owners is not None}

    def federated(self, ids: Sequence[str]) -> dict[str, tuple[Credential, ...]]:
        self.trouble("federated")
        return {one: self.federated_.get(one, ()) for one in ids}

    def security_defaults(self) -> bool:
        self.trouble("security-defaults")
        return bool(self.has.organization.security_defaults)

    def last_use(self) -> Iterator[LastUse]:
        return self._rows("last-use", self.has.last_use)

    def events(self, subjects: Sequence[str]) -> Iterator[Event]:
        return self._rows("directory-log", [e for e in self.has.events if e.log == "entra" and e.subject in subjects])


@dataclass
class Exchange:
    has: Inventory
    trouble: Trouble = field(default_factory=Trouble)
    requests: int = 0
    read: list[str] = field(default_factory=list)  # mailboxes whose permissions were asked for, in order
    broken: dict[str, CloudError] = field(default_factory=dict)  # by the mailbox's id

    def entries(self) -> tuple[Entry, ...]:
        self.trouble("entries")
        return self.has.entries

    def mailboxes(self, kind: ListedKind) -> Iterator[Sequence[Listed]]:
        boxes = [listed(box) for box in self.has.mailboxes if box.kind in OF[kind]]
        for at in range(0, len(boxes), PAGE):
            self.trouble("mailboxes")
            yield boxes[at : at + PAGE]

    def permissions(
        self, mailboxes: Iterator[Sequence[Listed]], kind: ListedKind, entries: Sequence[Entry]
    ) -> Iterator[Held]:
        for page in mailboxes:
            self.trouble("mailbox-permissions")
            yield from self._held(page, "permission", ("FullAccess", "ReadPermission", "other"))

    def folder_permissions(self, mailboxes: Sequence[Listed], entries: Sequence[Entry]) -> Iterator[Held]:
        self.trouble("folder-permissions")
        yield from self._held(mailboxes, "folder", ("Folder",))

    def _held(self, page: Sequence[Listed], what: str, rights: tuple[str, ...]) -> Iterator[Held]:
        rows = {box.id: box for box in self.has.mailboxes}
        for box in reversed(page):
            if what == "permission":
                self.read.append(box.id)
            try:
                self.trouble(f"one-{what}")
                if box.id in self.broken:
                    raise self.broken[box.id]
            except CloudError as fault:
                yield Held(box, error=fault)
                continue
            grants = tuple(grant for grant in rows[box.id].grants if grant.right in rights)
            people = rows[box.id].people if what == "permission" else 0
            yield Held(box, grants, people, inherited=1 if what == "permission" else 0)

    def send_as(self, entry: Entry) -> Iterator[tuple[str, Grant]]:
        self.trouble("recipient-permissions")
        for box in self.has.mailboxes:
            for grant in box.grants:
                if grant.right == "SendAs" and grant.entry == entry.identity:
                    yield listed(box).identity, grant

    def client_access(self, mailboxes: Sequence[Listed]) -> dict[MailboxId, ClientAccess]:
        self.trouble("client-access")
        rows = {box.id: box.access for box in self.has.mailboxes}
        return {box.id: access for box in mailboxes if (access := rows[box.id]) is not None}

    def organization(self) -> Any:
        self.trouble("organization")
        return replace(self.has.organization, security_defaults=None)

    def access_policies(self) -> Any:
        self.trouble("access-policies")
        return self.has.access_policies

    def management_roles(self) -> Any:
        self.trouble("management-roles")
        return self.has.roles

    def management_scopes(self) -> Any:
        self.trouble("management-scopes")
        return self.has.scopes

    def events(self, since: float) -> Iterator[Event]:
        self.trouble("exchange-log")
        yield from (e for e in self.has.events if e.log == "exchange" and e.at.timestamp() >= since)


def empty(number: int) -> MailboxRecord:
    """A mailbox on which nobody but two people holds anything."""
    name = f"box{number:04d}"
    return MailboxRecord(MailboxId(f"id-{name}"), Address(f"{name}@contoso.com"), name, "user", people=2)


@dataclass
class Quick:
    """A clock whose time passes by sleeping alone."""

    at: float = 0.0
    slept: float = 0.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds
        self.slept += seconds


def canonical(inventory: Inventory) -> str:
    """Every byte that could differ."""
    return json.dumps(packed(inventory), indent=1, sort_keys=True)


def head(**others: Any) -> Head:
    plain = {
        "tenant": "contoso.onmicrosoft.com", "tenant_id": TENANT_ID, "cloud": "global", "operator": "auditor@contoso.com",
        "at": AT, "version": "0",
    }  # fmt: skip
    return Head(**{**plain, **others})


@dataclass
class Desk:
    """One tenant, and audits of it."""

    has: Inventory
    wishes: Wishes = field(default_factory=Wishes)
    federated: dict[str, tuple[Credential, ...]] = field(default_factory=dict)
    clock: Quick = field(default_factory=Quick)
    told: list[Progress] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.directory = Directory(self.has, self.federated)
        self.exchange = Exchange(self.has)
        self.patience = Patience(self.clock, deadline=1e9)

    def collect(self, keeping: Keeping | None = None) -> Inventory:
        keeping = keeping or in_memory(self.head())
        return collect(self.directory, self.exchange, self.patience, keeping, self.told.append)  # type: ignore[arg-type]  # by duck

    def head(self, **others: Any) -> Head:
        return head(asked=self.wishes, **others)

    def kept(self, path: Path, **others: Any) -> Inventory:
        with kept(path, self.head(**others)) as keeping:
            return self.collect(keeping)
