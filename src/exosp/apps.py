"""An inventory by application: whatever the directory and Exchange hold under one appId, joined once. Pure.

Routes and checks both look things up here, so that neither walks the tenant again. An application is known by its appId
alone, in any case of letters. What names none (a consent of a principal that was not read, a management role of nobody
known) stays, as an application of that id.
"""

import weakref
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from .inventory import (
    AccessPolicy,
    Credential,
    Entry,
    Grant,
    Inventory,
    LastUse,
    MailboxRecord,
    Principal,
    Registration,
    Right,
    RoleGrant,
    ScopeGrant,
    Wanted,
)
from .permissions import APPLICATION_ROLES, PROTOCOLS, SMTP_ROLE, TENANT_WIDE
from .snapshot import EXCHANGE_ONLINE, AppId, ManagementRole, Protocol


@dataclass(frozen=True)
class Holding:
    """What an application is allowed on one mailbox. ``denied``: a Deny for the same entry overrules it."""

    mailbox: MailboxRecord
    grant: Grant
    entry: Entry
    denied: bool = False


@dataclass(frozen=True)
class App:
    """One application. ``holdings`` are in the order of addresses; a Deny is none."""

    id: AppId
    registration: Registration | None = None
    principal: Principal | None = None
    entries: tuple[Entry, ...] = ()
    consents: tuple[RoleGrant, ...] = ()
    delegated: tuple[ScopeGrant, ...] = ()
    roles: tuple[ManagementRole, ...] = ()
    policies: tuple[AccessPolicy, ...] = ()
    holdings: tuple[Holding, ...] = ()
    uses: tuple[LastUse, ...] = ()
    wanted: tuple[Wanted, ...] = ()

    @property
    def name(self) -> str:
        """The registration's, else the principal's, else that of its entry in Exchange."""
        named = (self.registration, self.principal, *self.entries)
        return next((thing.name for thing in named if thing is not None and thing.name), self.id)

    @cached_property
    def credentials(self) -> tuple[Credential, ...]:
        """The registration's and the principal's, each once. A managed identity's are Azure's to keep and renew."""
        kept = self.principal is not None and self.principal.kind != "ManagedIdentity"
        own = self.principal.credentials if self.principal is not None and kept else ()
        rows = (*(self.registration.credentials if self.registration else ()), *own)
        found = {row.key_id: row for row in rows}
        return tuple(sorted(found.values(), key=lambda row: (row.kind, row.key_id)))

    def own(self, *rights: Right) -> list[Holding]:
        """Those of these rights that were granted on the mailbox itself."""
        return [held for held in self.holdings if held.grant.right in rights and not held.grant.inherited]

    @cached_property
    def values(self) -> Mapping[AppId, frozenset[str]]:
        """The application permissions that were consented to, by resource."""
        found: dict[AppId, set[str]] = defaultdict(set)
        for row in self.consents:
            found[AppId(row.resource.lower())].add(row.value)
        return {resource: frozenset(values) for resource, values in found.items()}

    def of(self, resource: AppId) -> frozenset[str]:
        return self.values.get(resource, frozenset())

    @cached_property
    def protocols(self) -> frozenset[Protocol]:
        """Those that a token of it may ask for."""
        return frozenset(PROTOCOLS[value] for value in self.of(EXCHANGE_ONLINE) if value in PROTOCOLS)

    @cached_property
    def tenant_wide(self) -> tuple[str, ...]:
        """The values that reach every mailbox."""
        return tuple(
            sorted({value for resource, table in TENANT_WIDE.items() for value in self.of(resource) & set(table)})
        )

    @property
    def restricted(self) -> bool:
        return any(policy.right == "restrict" for policy in self.policies)

    @property
    def smtp_roles(self) -> list[ManagementRole]:
        return [row for row in self.roles if row.role.lower() == SMTP_ROLE.lower()]

    @property
    def application_roles(self) -> list[ManagementRole]:
        """Of RBAC for Applications."""
        return [row for row in self.roles if row.role.lower().startswith(APPLICATION_ROLES.lower())]

    @property
    def holds(self) -> bool:
        """Whether it has anything by which mail could be reached. The right to read a mailbox's permissions is none."""
        effective = any(not held.denied and held.grant.right != "ReadPermission" for held in self.holdings)
        return bool(self.protocols or self.tenant_wide or self.application_roles) or effective


@dataclass(frozen=True)
class Apps:
    """All of them, in the order of their ids. ``unresolved``: what trustees hold whom nobody resolves, by trustee."""

    all: tuple[App, ...]
    by_id: Mapping[str, App]
    principals: Mapping[str, Principal]  # by appId, lower case
    object_ids: Mapping[str, Principal]  # by its own object ID, lower case
    unresolved: Mapping[str, tuple[tuple[MailboxRecord, Grant], ...]]

    def __iter__(self) -> Iterator[App]:
        return iter(self.all)

    def get(self, app_id: str) -> App:
        return self.by_id.get(app_id.lower()) or App(AppId(app_id))


_KNOWN: dict[int, Apps] = {}


def apps(inventory: Inventory) -> Apps:
    """Joined on the first call and kept for as long as the inventory is."""
    found = _KNOWN.get(id(inventory))
    if found is None:
        found = _KNOWN[id(inventory)] = _joined(inventory)
        weakref.finalize(inventory, _KNOWN.pop, id(inventory), None)
    return found


def _joined(inventory: Inventory) -> Apps:
    registrations = {row.app_id.lower(): row for row in inventory.registrations}
    principals = {row.app_id.lower(): row for row in inventory.principals}
    object_ids = {row.object_id.lower(): row for row in inventory.principals}
    whose = {id_: row.app_id.lower() for id_, row in object_ids.items()}
    ids: dict[str, AppId] = {}  # as it is written, for each

    def key(text: str) -> str:
        ids.setdefault(text.lower(), AppId(text))
        return text.lower()

    for id_ in (
        row.app_id for rows in (inventory.registrations, inventory.principals, inventory.entries) for row in rows
    ):
        key(id_)
    entries: dict[str, list[Entry]] = defaultdict(list)
    for entry in inventory.entries:
        entries[key(entry.app_id)].append(entry)
    consents: dict[str, list[RoleGrant]] = defaultdict(list)
    for consent in inventory.role_grants:
        consents[key(whose.get(consent.principal.lower(), consent.principal))].append(consent)
    delegated: dict[str, list[ScopeGrant]] = defaultdict(list)
    for scopes in inventory.scope_grants:
        delegated[key(whose.get(scopes.principal.lower(), scopes.principal))].append(scopes)
    policies: dict[str, list[AccessPolicy]] = defaultdict(list)
    for policy in inventory.access_policies:
        policies[key(policy.app_id)].append(policy)
    roles: dict[str, list[ManagementRole]] = defaultdict(list)
    named = _Named(inventory.entries, whose, ids)
    for role in inventory.roles:
        for text in named.by(role):
            roles[key(text)].append(role)
    uses: dict[str, list[LastUse]] = defaultdict(list)
    for use in inventory.last_use:
        uses[use.app_id.lower()].append(use)
    holdings, unresolved = _held(inventory)
    wanted = _wanted(inventory, registrations)
    found = {
        id_: App(
            id=ids[id_],
            registration=registrations.get(id_),
            principal=principals.get(id_),
            entries=tuple(sorted(entries[id_], key=lambda entry: entry.identity)),
            consents=tuple(sorted(consents[id_], key=lambda row: (row.resource, row.value))),
            delegated=tuple(sorted(delegated[id_], key=lambda row: row.resource)),
            roles=tuple(sorted(roles[id_], key=lambda row: (row.role, row.name))),
            policies=tuple(sorted(policies[id_], key=lambda row: (row.right, row.scope))),
            holdings=tuple(holdings.get(id_, ())),
            uses=tuple(uses.get(id_, ())),
            wanted=tuple(wanted.get(id_, ())),
        )
        for id_ in sorted(ids)
    }
    return Apps(tuple(found.values()), found, principals, object_ids, unresolved)


class _Named:
    """Whom a management role's row names. An id is one application's alone; a name may be several ones', and then it is
    each of them that may hold the role."""

    def __init__(self, entries: Iterable[Entry], whose: Mapping[str, str], ids: Mapping[str, AppId]) -> None:
        self._sure = {id_: id_ for id_ in ids} | dict(whose)
        self._maybe: dict[str, set[str]] = defaultdict(set)
        for entry in entries:
            id_ = entry.app_id.lower()
            self._sure.setdefault(entry.identity.lower(), id_)
            self._sure.setdefault(entry.object_id.lower(), id_)
            for form in entry.forms:
                self._maybe[form].add(id_)

    def by(self, role: ManagementRole) -> list[str]:
        sure = {self._sure[text] for text in role.app if text in self._sure}
        maybe = sure or {id_ for text in role.app for id_ in self._maybe.get(text, ())}
        return sorted(maybe) or [min(role.app, default=role.name)]


def _held(
    inventory: Inventory,
) -> tuple[dict[str, list[Holding]], dict[str, tuple[tuple[MailboxRecord, Grant], ...]]]:
    by_identity = {entry.identity: entry for entry in inventory.entries}
    found: dict[str, list[Holding]] = defaultdict(list)
    strange: dict[str, list[tuple[MailboxRecord, Grant]]] = defaultdict(list)
    for mailbox in sorted(inventory.mailboxes, key=lambda box: (box.address.lower(), box.id)):
        denies = [row for row in mailbox.grants if row.deny]
        for row in mailbox.grants:
            if row.deny:
                continue
            entry = by_identity.get(row.entry) if row.entry else None
            if entry is None:
                strange[row.trustee].append((mailbox, row))
            else:
                found[entry.app_id.lower()].append(Holding(mailbox, row, entry, _overruled(row, denies)))
    return found, {trustee: tuple(strange[trustee]) for trustee in sorted(strange)}


def _overruled(row: Grant, denies: Iterable[Grant]) -> bool:
    """What stands on the mailbox itself goes before what comes from above, and there a Deny before what allows."""
    return any(
        deny.entry == row.entry and deny.right == row.right and deny.folder == row.folder
        and (row.inherited or not deny.inherited)
        for deny in denies
    )  # fmt: skip


def _wanted(inventory: Inventory, registrations: Mapping[str, Registration]) -> dict[str, list[Wanted]]:
    """By appId, which of the playbooks name it: by its id, or by the uniqueName that exosp gave it."""
    names: dict[str, str] = {row.unique_name: id_ for id_, row in registrations.items() if row.unique_name}
    found: dict[str, list[Wanted]] = defaultdict(list)
    for want in inventory.wanted or ():
        ids = {id_.lower() for id_ in want.app_ids}
        if want.unique_name in names:
            ids.add(names[want.unique_name])
        for id_ in sorted(ids):
            found[id_].append(want)
    return found
