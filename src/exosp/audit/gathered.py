"""What an audit has read so far, record by record, and the inventory that comes of it. Pure: the same records, in whatever
order and however often they were asked for, make the same inventory.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Literal, assert_never, get_args

from ..census import Listed, ListedKind
from ..inventory import (
    AccessPolicy,
    Coverage,
    Entry,
    Event,
    Grant,
    Inventory,
    LastUse,
    MailboxRecord,
    Organization,
    Owner,
    Principal,
    Registration,
    RoleGrant,
    ScopeGrant,
    Section,
)
from ..snapshot import Address, AppId, ClientAccess, MailboxId, ManagementRole, ManagementScope

KINDS: tuple[ListedKind, ...] = get_args(ListedKind)
Part = Literal["user", "soft-deleted", "group", "folders", "client-access"]  # what is read mailbox by mailbox

_PARTS: dict[Section, tuple[str, ...]] = {"mailboxes": KINDS, "mailbox-permissions": KINDS}
# What is kept of a section goes by others: once one of these is read later than it, it is to be read again.
_GOES_BY: dict[Section, tuple[Section, ...]] = {
    "enterprise-applications": ("entries", "management-roles", "access-policies", "role-grants", "scope-grants"),
    "applications": ("entries", "management-roles", "access-policies", "enterprise-applications"),
    "owners": ("enterprise-applications", "applications"),
    "last-use": ("enterprise-applications", "applications"),
    "directory-log": ("enterprise-applications", "applications"),
    "exchange-log": ("entries",),
    "mailboxes": ("recipient-permissions",),
    "mailbox-permissions": ("recipient-permissions",),
}
_FOLDERS: tuple[Section, ...] = ("folder-permissions",)
_EVIDENCE: tuple[Section, ...] = ("last-use", "directory-log", "exchange-log")
_OF: dict[str, str] = {"user": "", "soft-deleted": "soft-deleted mailboxes: ", "group": "group mailboxes: "}


@dataclass(frozen=True)
class Wishes:
    """What an audit is asked for beyond the rest. ``app_ids`` and ``unique_names``: applications that are kept whatever they
    hold, since a playbook names them."""

    folders: bool = False
    evidence: bool = False
    app_ids: frozenset[AppId] = frozenset()
    unique_names: frozenset[str] = frozenset()

    @property
    def sections(self) -> frozenset[Section]:
        """What is to be read."""
        left_out = frozenset(() if self.folders else _FOLDERS) | frozenset(() if self.evidence else _EVIDENCE)
        return frozenset(get_args(Section)) - left_out


@dataclass(frozen=True)
class Head:
    """Whose tenant it is, who read it, when and with which exosp."""

    tenant: str
    tenant_id: str
    cloud: str
    operator: str
    at: datetime
    version: str
    emulated: bool = False
    asked: Wishes = Wishes()


@dataclass(frozen=True)
class Owners:
    """Of one registration or enterprise application, by its object ID."""

    of: str
    owners: tuple[Owner, ...] = ()


@dataclass(frozen=True)
class SendAs:
    """What one entry may send as. ``recipient``: as the row names it, lower case."""

    recipient: str
    grant: Grant


@dataclass(frozen=True)
class Kept:
    """A mailbox that is kept, with what this part of the reading found on it; or ``unread``: why it could not be read."""

    mailbox: Listed
    part: Part = "user"
    grants: tuple[Grant, ...] = ()
    people: int = 0
    unread: str = ""


@dataclass(frozen=True)
class Read:
    """Mailboxes whose reading is done: their ids (a soft-deleted one's GUID), how many of which kind, and what was seen on
    them and is not kept."""

    part: Part
    ids: tuple[str, ...]
    kinds: Mapping[str, int] = field(default_factory=dict)
    people: int = 0
    inherited: int = 0


@dataclass(frozen=True)
class Done:
    """A section, or a part of one, was read to its end. ``kinds``: how many mailboxes of which kind a list held."""

    section: Section
    part: str = ""
    kinds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Lacking:
    """A section, or a part of one, could not be read."""

    section: Section
    why: str
    part: str = ""


@dataclass(frozen=True)
class Resumed:
    """Somebody went on with it."""

    operator: str
    at: datetime
    version: str


Record = (
    Entry | AccessPolicy | ManagementRole | ManagementScope | Organization | SendAs | RoleGrant | ScopeGrant | Principal
    | Registration | Owners | LastUse | Kept | ClientAccess | Event | Read | Done | Lacking | Resumed
)  # fmt: skip


def named(mailbox: Listed, part: Part) -> str:
    """What tells a mailbox from all others in its list."""
    if part == "soft-deleted":
        return mailbox.guid or mailbox.id or mailbox.identity
    return mailbox.id or mailbox.guid or mailbox.identity


def forms(mailbox: Listed) -> Iterator[str]:
    """What a row of another cmdlet may name it by, lower case. Not its display name, which others may bear."""
    for text in (mailbox.identity, mailbox.id, mailbox.address, mailbox.guid, mailbox.login):
        if text:
            yield text.lower()


def small(text: str) -> int | str:
    """A GUID as a number: less than half the memory, where there are many."""
    try:
        return int(text.replace("-", ""), 16) if len(text) == 36 else text
    except ValueError:
        return text


class Gathered:
    """``remember``: keep which mailboxes are done, for whoever goes on."""

    def __init__(self, head: Head, *, remember: bool = True) -> None:
        self.head = head
        self._remember = remember
        self._operators = [head.operator]
        self._ids: dict[str, set[int | str]] = {}
        self._done: set[tuple[str, str]] = set()
        self._missing: dict[tuple[Section, str], str] = {}
        self._kinds: dict[str, Mapping[str, int]] = {}  # of lists that came to their end
        self._seen_kinds: dict[tuple[str, str], int] = {}
        self._people = self._inherited = 0
        self._owners: dict[str, tuple[Owner, ...]] = {}
        self._kept: dict[tuple[str, str], Kept] = {}
        self._unread: dict[tuple[str, str], str] = {}
        self._send_as: dict[SendAs, None] = {}
        self._access: dict[MailboxId, ClientAccess] = {}
        self._events: dict[Event, None] = {}
        self.entries: dict[Entry, None] = {}
        self.policies: dict[AccessPolicy, None] = {}
        self.roles: dict[ManagementRole, None] = {}
        self.role_grants: dict[RoleGrant, None] = {}
        self.scope_grants: dict[ScopeGrant, None] = {}
        self.principals: dict[str, Principal] = {}
        self.registrations: dict[str, Registration] = {}
        self._scopes: dict[ManagementScope, None] = {}
        self._last_use: dict[AppId, LastUse] = {}
        self.organization = Organization()

    def add(self, record: Record) -> None:
        match record:
            case Entry():
                self.entries[record] = None
            case AccessPolicy():
                self.policies[record] = None
            case ManagementRole():
                self.roles[record] = None
            case ManagementScope():
                self._scopes[record] = None
            case Organization():
                shown = {f.name: held for f in fields(record) if (held := getattr(record, f.name)) is not None}
                self.organization = replace(self.organization, **shown)
            case SendAs():
                self._send_as[record] = None
            case RoleGrant():
                self.role_grants[record] = None
            case ScopeGrant():
                self.scope_grants[record] = None
            case Principal():
                self.principals[record.object_id] = record
            case Registration():
                self.registrations[record.object_id] = record
            case Owners():
                self._owners[record.of] = record.owners
            case LastUse():
                self._last_use[record.app_id] = record
            case ClientAccess():
                self._access[record.mailbox] = record
            case Event():
                self._events[record] = None
            case Kept():
                self._keep(record)
            case Read():
                self._read(record)
            case Done():
                later = {section for section, others in _GOES_BY.items() if record.section in others}
                self._done = {done for done in self._done if done[0] not in later}
                self._done.add((record.section, record.part))
                self._missing.pop((record.section, record.part), None)
                if record.section == "mailboxes":
                    self._kinds[record.part] = record.kinds
            case Lacking():
                self._missing[record.section, record.part] = record.why
            case Resumed():
                if record.operator not in self._operators:
                    self._operators.append(record.operator)
            case _:
                assert_never(record)

    def _keep(self, record: Kept) -> None:
        name = named(record.mailbox, record.part)
        if record.unread:
            self._unread[record.part, name] = record.unread
        of = record.part if record.part in KINDS else "user"
        before = self._kept.get((of, name))
        if before is not None:
            grants = tuple(dict.fromkeys((*before.grants, *record.grants)))
            record = replace(before, grants=grants, people=before.people + record.people)
        self._kept[of, name] = replace(record, unread="")

    def _read(self, record: Read) -> None:
        if self._unread:
            for name in record.ids:
                self._unread.pop((record.part, name), None)
        if self._remember:
            self._ids.setdefault(record.part, set()).update(map(small, record.ids))
        self._people += record.people
        self._inherited += record.inherited
        for kind, count in record.kinds.items():
            self._seen_kinds[record.part, kind] = self._seen_kinds.get((record.part, kind), 0) + count

    # For whoever goes on

    def has(self, section: Section, part: str = "") -> bool:
        """Whether it was read to its end."""
        return (section, part) in self._done

    def has_read(self, mailbox: Listed, part: Part) -> bool:
        return small(named(mailbox, part)) in self._ids.get(part, ())

    def has_kept(self, mailbox: Listed, part: Part) -> bool:
        return (part, named(mailbox, part)) in self._kept

    def has_unread(self, part: Part) -> bool:
        return any(of == part for of, _ in self._unread)

    def count(self, part: Part) -> int:
        """How many mailboxes are done."""
        return len(self._ids.get(part, ()))

    @property
    def recipients(self) -> frozenset[str]:
        """Those that an entry may send as, as their rows name them."""
        return frozenset(record.recipient for record in self._send_as)

    def mailboxes(self, kind: ListedKind) -> Iterator[Listed]:
        """Those that are kept."""
        for (of, name), kept in self._kept.items():
            if of == kind and (of, name) not in self._unread:
                yield kept.mailbox

    # What comes of it

    def inventory(self, *, interrupted: bool = False) -> Inventory:
        return Inventory(
            tenant=self.head.tenant,
            tenant_id=self.head.tenant_id,
            cloud=self.head.cloud,
            operator=", ".join(filter(None, self._operators)),
            at=self.head.at,
            emulated=self.head.emulated,
            coverage=self._coverage(interrupted),
            registrations=tuple(
                replace(one, owners=self._owners.get(one.object_id)) for _, one in sorted(self.registrations.items())
            ),
            principals=tuple(
                replace(one, owners=self._owners.get(one.object_id)) for _, one in sorted(self.principals.items())
            ),
            role_grants=tuple(sorted(self.role_grants, key=lambda row: (row.principal, row.resource, row.value))),
            scope_grants=tuple(sorted(self.scope_grants, key=lambda row: (row.principal, row.resource))),
            last_use=tuple(one for _, one in sorted(self._last_use.items())),
            entries=tuple(sorted(self.entries, key=lambda entry: (entry.app_id, entry.object_id, entry.identity))),
            access_policies=tuple(sorted(self.policies, key=lambda row: (row.app_id, row.right, row.scope))),
            roles=tuple(sorted(self.roles, key=lambda row: (row.name, row.role, sorted(row.app)))),
            scopes=tuple(sorted(self._scopes, key=lambda scope: (scope.name, scope.filter))),
            organization=self.organization,
            mailboxes=self._mailboxes(),
            events=tuple(sorted(self._events, key=lambda e: (e.at, e.log, e.subject, e.change, e.who, e.detail))),
        )

    def _mailboxes(self) -> tuple[MailboxRecord, ...]:
        """Who may send as whom is told by names alone: a name that is no kept mailbox's is a recipient of another kind."""
        sending: dict[str, list[Grant]] = {}
        for record in self._send_as:
            sending.setdefault(record.recipient, []).append(record.grant)
        found = []
        for (of, name), kept in self._kept.items():
            box = kept.mailbox
            mine = [grant for form in dict.fromkeys(forms(box)) for grant in sending.get(form, ())]
            found.append((box, (*kept.grants, *mine), kept.people, self._why_unread(of, name)))
        taken = {form for box, *_ in found for form in forms(box)}
        for recipient, grants in sending.items():
            if recipient not in taken:
                alone = Listed(MailboxId(recipient), Address(recipient), recipient, "other", recipient)
                found.append((alone, tuple(grants), 0, ""))
        rows = [
            MailboxRecord(
                id=MailboxId(box.id or box.guid or box.identity),
                address=box.address,
                name=box.name,
                kind=box.kind,
                login=box.login,
                grants=tuple(sorted(dict.fromkeys(grants), key=_order)),
                people=people,
                access=self._access.get(box.id),
                unread=unread,
            )
            for box, grants, people, unread in found
            if grants or unread
        ]
        return tuple(sorted(rows, key=lambda row: (row.address.lower(), row.kind, row.id)))

    def _why_unread(self, of: str, name: str) -> str:
        parts: tuple[str, ...] = (of, "folders") if of == "user" else (of,)
        return "; ".join(dict.fromkeys(self._unread[part, name] for part in parts if (part, name) in self._unread))

    def _coverage(self, interrupted: bool) -> Coverage:
        sections: tuple[Section, ...] = get_args(Section)
        read = {name for name in sections if all((name, part) in self._done for part in _PARTS.get(name, ("",)))}
        missing: dict[Section, str] = {}
        for (section, part), why in sorted(self._missing.items()):
            said = _OF.get(part, "") + why
            missing[section] = f"{missing[section]}; {said}" if section in missing else said
        if interrupted:
            missing = (
                dict.fromkeys(self.head.asked.sections - read, "the audit was cut off before it was read") | missing
            )
        kinds: dict[str, int] = {}
        for part in KINDS:
            for kind, count in (self._kinds.get(part) or self._so_far(part)).items():
                kinds[kind] = kinds.get(kind, 0) + count
        return Coverage(
            read=frozenset(read - set(missing)),
            missing=dict(sorted(missing.items())),
            mailboxes=dict(sorted(kinds.items())),
            unread=len({(of if of in KINDS else "user", name) for of, name in self._unread}),
            people=self._people,
            inherited=self._inherited,
            interrupted=interrupted,
        )

    def _so_far(self, part: str) -> dict[str, int]:
        found = {kind: count for (of, kind), count in self._seen_kinds.items() if of == part}
        for of, name in self._unread:
            if of == part:
                kind = self._kept[of, name].mailbox.kind
                found[kind] = found.get(kind, 0) + 1
        return found


def _order(grant: Grant) -> tuple[str, ...]:
    return (grant.right, grant.trustee, grant.folder, grant.role, grant.entry, str(grant.deny), str(grant.inherited))
