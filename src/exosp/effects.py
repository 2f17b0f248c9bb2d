"""What runs brought about, as their journals say it: each grant, switch and role with what stood before and what they
left. Pure.

A journal is a file, so it is read as anybody's word: what has not the form that exosp writes counts for nothing and is
named, and nothing here says that a thing may be put back. What became of a write that nobody heard of, the tenant
shows.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from .journal import Item, stands
from .snapshot import Snapshot

# learn.microsoft.com, Add-MailboxPermission -AccessRights; SendAs is Add-RecipientPermission's only one
RIGHTS = {
    right.lower(): right
    for right in ("FullAccess", "ExternalAccount", "DeleteItem", "ReadPermission", "ChangePermission", "ChangeOwner")
}
SEND_AS = "SendAs"
SWITCHES = ("imap", "pop", "smtp_auth_disabled")
LONGEST = 200  # characters of a journal's text that are shown


@dataclass(frozen=True)
class Grant:
    """``trustee`` is an object ID or a mailbox's id, lower case, and so is ``mailbox``."""

    kind: Literal["mailbox", "send-as"]
    mailbox: str
    trustee: str
    right: str


@dataclass(frozen=True)
class Switch:
    mailbox: str
    name: str


@dataclass(frozen=True)
class Role:
    """Consent. ``principal`` is lower case."""

    principal: str
    value: str


@dataclass(frozen=True)
class Scoped:
    """A management role assignment ("role") or a management scope ("scope"), by its name, lower case."""

    kind: Literal["role", "scope"]
    name: str


Thing = Grant | Switch | Role | Scoped
Value = bool | None


@dataclass(frozen=True)
class Effects:
    """``changed``: what stood before and what was left, of each thing that is another than before; ``names``: what the
    journal calls a mailbox; ``entries``: object IDs of Exchange's entries that were made; ``secrets``: key ids that were
    made; ``other``: kinds of writes that are none of these, and how many; ``strange``: what has no form exosp writes."""

    changed: dict[Thing, tuple[Value, Value]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    entries: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    other: dict[str, int] = field(default_factory=dict)
    strange: int = 0

    def name(self, mailbox: str) -> str:
        return self.names.get(mailbox, mailbox)


def of(items: Iterable[Item], seen: Snapshot, *, unseen_removals: bool) -> Effects:
    """All that these items brought about together, in their order. What failed or was lost is not among it.
    ``unseen_removals``: whether a removal that nobody heard of counts where the snapshot does not show what it is about.
    """
    found = _Fold()
    for item in items:
        if item.took_place or (item.unclear and _happened(item, seen, unseen_removals)):
            found.take(item)
    changed = {thing: (before, after) for thing, (before, after) in found.things.items() if before != after}
    return Effects(changed, found.names, frozenset(found.entries), frozenset(found.secrets), found.other, found.strange)


def _happened(item: Item, seen: Snapshot, unseen_removals: bool) -> bool:
    kind = item.write.get("write")
    if kind == "RemoveAssignment" and seen.resource is not None:
        role = seen.resource.roles.get(str(item.write.get("role_value")))
        return all(row.role != role for row in seen.assignments)
    there = stands(item, seen)
    if there is None:
        return unseen_removals or not str(kind).startswith("Remove")
    return there


class _Strange(Exception):
    """An item that exosp did not write."""


class _Fold:
    def __init__(self) -> None:
        self.things: dict[Thing, tuple[Value, Value]] = {}
        self.names: dict[str, str] = {}
        self.entries: set[str] = set()
        self.secrets: set[str] = set()
        self.other: dict[str, int] = {}
        self.strange = 0

    def take(self, item: Item) -> None:
        try:
            self._take(item.write, item.before, item.detail)
        except _Strange:
            self.strange += 1

    def _take(self, write: Any, before: Any, detail: Any) -> None:
        if not isinstance(write, dict):
            raise _Strange
        match kind := write.get("write"):
            case "AddMailboxPermission" | "AddRecipientPermission":
                for grant in self._grants(write):
                    self._set(grant, _held(before, grant.right), True)
            case "RemoveMailboxPermission" | "RemoveRecipientPermission":
                for grant in self._grants(write):
                    self._set(grant, True, False)  # nothing is taken away that was not seen
            case "SetClientAccess":
                self._switches(write, before)
            case "AssignRole":
                self._set(Role(_text(write, "principal").lower(), _text(write, "role_value")), False, True)
            case "RemoveAssignment":
                self._set(Role(_text(write, "principal").lower(), _text(write, "role_value")), True, False)
            case "NewManagementScope" | "RemoveManagementScope" | "AssignManagementRole" | "RemoveManagementRole":
                made = kind in ("NewManagementScope", "AssignManagementRole")
                what: Literal["role", "scope"] = "role" if "Role" in kind else "scope"
                self._set(Scoped(what, _text(write, "name").lower()), not made, made)
            case "NewServicePrincipal":
                self.entries.add(_text(write, "object_id").lower())
                self._count(kind)
            case "AddSecret":
                if detail and isinstance(detail, str):
                    self.secrets.add(detail)
                self._count(kind)
            case str() if kind in _OTHERS:
                self._count(kind)
            case _:
                raise _Strange

    def _count(self, kind: str) -> None:
        self.other[kind] = self.other.get(kind, 0) + 1

    def _set(self, thing: Thing, before: Value, after: Value) -> None:
        """One after the other: what stood first counts, as long as each found what the last one had left. A grant or role
        that is given twice was not seen the first time."""
        first, last = self.things.get(thing, (before, before))
        again = not isinstance(thing, Switch) and last == after
        self.things[thing] = (first if last == before or again else before, after)

    def _grants(self, write: dict[str, Any]) -> list[Grant]:
        mailbox, trustee = _text(write, "mailbox").lower(), _text(write, "trustee").lower()
        self._named(mailbox, write)
        if "Recipient" in write["write"]:
            return [Grant("send-as", mailbox, trustee, SEND_AS)]
        rights = write.get("rights")
        if not isinstance(rights, list) or not rights or any(str(right).lower() not in RIGHTS for right in rights):
            raise _Strange
        return [Grant("mailbox", mailbox, trustee, RIGHTS[str(right).lower()]) for right in rights]

    def _switches(self, write: dict[str, Any], before: Any) -> None:
        mailbox = _text(write, "mailbox").lower()
        wanted = {name: write[name] for name in SWITCHES if name in write}
        if write.get("smtp_auth_inherited") is True:
            wanted["smtp_auth_disabled"] = None
        if not wanted or not isinstance(before, dict):
            raise _Strange
        for name, after in wanted.items():
            if name not in before or not _is_value(name, before[name]) or not _is_value(name, after):
                raise _Strange
        self._named(mailbox, write)
        for name, after in wanted.items():
            self._set(Switch(mailbox, name), before[name], after)

    def _named(self, mailbox: str, write: dict[str, Any]) -> None:
        self.names.setdefault(mailbox, str(write.get("address") or mailbox)[:LONGEST])


_OTHERS = (
    "UpsertApplication", "UpdateApplication", "CreatePrincipal", "TagPrincipal", "RemoveSecret", "DeleteApplication",
    "RestoreApplication", "RemoveServicePrincipal", "RemoveSaved", "SetManagementScope",
)  # fmt: skip


def _text(write: dict[str, Any], name: str) -> str:
    held = write.get(name)
    if not isinstance(held, str) or not 0 < len(held) <= LONGEST:
        raise _Strange
    return held


def _held(before: Any, right: str) -> bool:
    rights = before.get("rights") if isinstance(before, dict) else None
    return isinstance(rights, list) and right.lower() in {str(held).lower() for held in rights}


def _is_value(name: str, value: object) -> bool:
    return isinstance(value, bool) or (value is None and name == "smtp_auth_disabled")
