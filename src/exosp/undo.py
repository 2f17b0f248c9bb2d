"""Plan to put back what one earlier run changed: grants, protocol switches and roles, of the playbook's application and
mailboxes, whatever its journal says. Pure.

A journal is a file, and not believed: only what the playbook could have asked for is put back, only where the tenant
still shows what the run left, and only to what stood before it. Applications, enterprise applications, Exchange's
entries and secrets are neither made nor deleted here: that is ``destroy``'s.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from . import effects
from .effects import RIGHTS, SEND_AS, Effects, Grant, Role, Scoped, Switch, Value
from .journal import Run
from .plan import Change, Drift, Plan, Refusal
from .playbook import Playbook
from .snapshot import ClientAccess, Mailbox, Snapshot
from .steps import rbac
from .steps.application import ROLE_OF, called
from .steps.grants import trustee_forms
from .writes import (
    ENTRY,
    PRINCIPAL,
    RESOURCE,
    AddMailboxPermission,
    AddRecipientPermission,
    AssignRole,
    ExchangeWrite,
    RemoveAssignment,
    RemoveMailboxPermission,
    RemoveManagementRole,
    RemoveManagementScope,
    RemoveRecipientPermission,
    SetClientAccess,
)

Item = Change | Refusal | Drift

SHOWN_AS = {"imap": "ImapEnabled", "pop": "PopEnabled", "smtp_auth_disabled": "SmtpClientAuthenticationDisabled"}


def planner(run: Run) -> Callable[[Playbook, Snapshot], Plan]:
    """How to plan the undoing of a run."""
    moved = {(owed.mailbox.lower(), right.lower()) for owed in run.owes for right in owed.rights}

    def plan(want: Playbook, seen: Snapshot) -> Plan:
        found = effects.of(run.items, seen, unseen_removals=True)
        return made_of(want, _Undo(run, found, moved, want, seen).items())

    return plan


def made_of(want: Playbook, items: Iterable[Item]) -> Plan:
    held = list(items)
    return Plan(
        scope=(want.tenant, want.app.unique_name),
        changes=tuple(item for item in held if isinstance(item, Change)),
        refused=tuple(item for item in held if isinstance(item, Refusal)),
        drift=tuple(item for item in held if isinstance(item, Drift)),
    )


def switched(access: ClientAccess, box: Mailbox, to: dict[str, Value], why: str) -> Change:
    """The change that gives a mailbox's switches these values."""
    inherited = "smtp_auth_disabled" in to and to["smtp_auth_disabled"] is None
    write = SetClientAccess(
        box.id, box.address, to.get("imap"), to.get("pop"), to.get("smtp_auth_disabled"), True if inherited else None
    )
    before = {SHOWN_AS[name]: getattr(access, name) for name in to}
    return Change(
        "protocols", "switch", box.address, before, {SHOWN_AS[name]: value for name, value in to.items()}, (write,), why
    )


class _Undo:
    def __init__(
        self, run: Run, found: Effects, moved: set[tuple[str, str]], want: Playbook, seen: Snapshot
    ) -> None:  # fmt: skip
        self.run, self.found, self.moved, self.want, self.seen = run, found, moved, want, seen
        self.boxes = {box.id.lower(): box for box in seen.found(box.address for box in want.boxes)}
        wishes = [box.send_as for box in want.boxes if box.send_as is not None]
        self.senders = {box.id.lower(): box for box in seen.found(wish.sender for wish in wishes)}
        self.ours = seen.principal.object_id.lower() if seen.principal else ""

    def items(self) -> Iterator[Item]:
        """In the order of sending: switches, grants, management roles, roles; the reverse of the chain."""
        changed = self.found.changed
        switches: dict[str, dict[str, tuple[Value, Value]]] = {}
        for thing, values in changed.items():
            if isinstance(thing, Switch):
                switches.setdefault(thing.mailbox, {})[thing.name] = values
        for mailbox, held in switches.items():
            yield from self._switches(mailbox, held)
        grants: dict[tuple[str, str, str, bool], list[str]] = {}
        moved = 0
        for thing, (_, after) in changed.items():
            if isinstance(thing, Grant) and (thing.mailbox, thing.right.lower()) in self.moved:
                moved += thing.trustee == self.ours
            elif isinstance(thing, Grant):
                grants.setdefault((thing.kind, thing.mailbox, thing.trustee, after is True), []).append(thing.right)
        for (kind, mailbox, trustee, given), rights in grants.items():
            send = self._send_as if kind == "send-as" else self._rights
            yield from send(mailbox, trustee, given, rights)
        yield from self._scoped(
            {thing: after is True for thing, (_, after) in changed.items() if isinstance(thing, Scoped)}
        )
        for thing, (_, after) in changed.items():
            if isinstance(thing, Role):
                yield from self._role(thing, after is True)
        yield from self._stays(moved)

    # Switches

    def _switches(self, mailbox: str, held: dict[str, tuple[Value, Value]]) -> Iterator[Item]:
        box = self.boxes.get(mailbox)
        access = None if box is None else self.seen.client_access.get(box.id)
        if box is None or access is None:
            yield self._unlisted("protocols", mailbox, "its protocol switches")
            return
        back: dict[str, Value] = {}
        for name, (before, after) in held.items():
            now = getattr(access, name)
            if now == after:
                back[name] = before
            else:
                since = "it stands as it stood before that run" if now == before else "somebody changed it since"
                yield Drift("protocols", box.address, f"{SHOWN_AS[name]} is left as it is: {since}")
        if back:
            yield switched(access, box, back, f"run {self.run.id} switched it")

    # Grants

    def _rights(self, mailbox: str, trustee: str, given: bool, rights: list[str]) -> Iterator[Item]:
        shown, box = ", ".join(rights), self.boxes.get(mailbox)
        if trustee != self.ours:
            yield self._another_s(mailbox, trustee, shown)
            return
        if box is None:
            yield self._unlisted("grants", mailbox, shown)
            return
        forms = trustee_forms(self.seen)
        rows = [row for row in self.seen.permissions if row.mailbox == box.id and row.user in forms and not row.deny]
        stand = {right.lower() for row in rows for right in row.rights}
        left = tuple(sorted(right for right in rights if (right.lower() in stand) == given))
        rest = [right for right in rights if right not in left]
        if rest:
            yield self._changed_since(box, ", ".join(rest), given)
        if left:
            writes = (
                RemoveMailboxPermission(box.id, box.address, ENTRY, left)
                if given
                else AddMailboxPermission(box.id, box.address, ENTRY, left)
            )
            held = sorted(RIGHTS.get(right, right) for right in stand)
            after = sorted({*held} - {*left}) if given else sorted({*held, *left})
            yield from self._change(box.address, given, {"rights": held}, {"rights": after}, writes)

    def _send_as(self, mailbox: str, trustee: str, given: bool, _: list[str]) -> Iterator[Item]:
        sender, by = self.senders.get(mailbox), self.boxes.get(trustee)
        if trustee != self.ours and by is None:
            yield self._another_s(mailbox, trustee, SEND_AS)
            return
        if sender is None:
            yield self._unlisted("grants", mailbox, SEND_AS)
            return
        forms = trustee_forms(self.seen) if by is None else by.forms | by.addresses
        stands = any(
            row.mailbox == sender.id and row.trustee in forms and not row.deny
            for row in self.seen.recipient_permissions
        )
        if stands != given:
            yield self._changed_since(sender, SEND_AS, given)
            return
        who, name = (ENTRY, "") if by is None else (by.id, by.address)
        writes = (
            RemoveRecipientPermission(sender.id, sender.address, who, name)
            if given
            else AddRecipientPermission(sender.id, sender.address, who, name)
        )
        target = f"{sender.address} (SendAs by {name or 'the application'})"
        has: dict[str, list[str]] = {"rights": [SEND_AS]}
        has_not: dict[str, list[str]] = {"rights": []}
        yield from self._change(target, given, has if given else has_not, has_not if given else has, writes)

    def _change(
        self, target: str, given: bool, before: object, after: object, write: ExchangeWrite
    ) -> Iterator[Change | Refusal]:
        if self.seen.entry is None and getattr(write, "trustee", None) == ENTRY:
            yield Refusal(
                "grants", target, "Exchange does not hold the application, so nothing can be granted to it",
                "run apply first",
            )  # fmt: skip
            return
        why = f"run {self.run.id} {'granted' if given else 'took'} it"
        yield Change("grants", "remove" if given else "grant", target, before, after, (write,), why)

    def _changed_since(self, box: Mailbox, shown: str, given: bool) -> Drift:
        now = "is not there any more" if given else "stands again"
        return Drift("grants", box.address, f"{shown} is left as it is: it {now}")

    # Management roles

    def _scoped(self, things: dict[Scoped, bool]) -> Iterator[Item]:
        """Ours go where the run made them; what it took is apply's to give, from the playbook and not from a file."""
        made = {
            thing.kind for thing, given in things.items() if given and thing.name == rbac.name_of(self.want).lower()
        }
        for thing, given in things.items():
            if thing.name != rbac.name_of(self.want).lower():
                yield Drift(
                    "rbac", thing.name, "the run changed it, and it does not bear this playbook's name: it stays"
                )
            elif not given:
                yield Drift("rbac", thing.name, "the run took it; apply gives it again, as the playbook says")
        for item in rbac.removals(self.want, self.seen) if made else ():
            if not isinstance(item, Change):
                yield item
                continue
            kept = {"role": RemoveManagementRole, "scope": RemoveManagementScope}
            writes = tuple(w for w in item.writes if any(isinstance(w, kept[kind]) for kind in made))
            if writes:
                yield replace(item, writes=writes, why=f"run {self.run.id} made it")

    # Roles

    def _role(self, role: Role, given: bool) -> Iterator[Item]:
        seen, value = self.seen, role.value
        if role.principal != self.ours:
            yield Refusal(
                "consent", value, f"the run changed it for {role.principal}, which is not this application",
                "undo touches the playbook's application alone; change it by hand if that is wanted",
            )  # fmt: skip
            return
        known = None if seen.resource is None else seen.resource.roles.get(value)
        if known is None or seen.resource is None or (not given and value not in ROLE_OF.values()):
            yield Refusal(
                "consent", value, "no protocol of a playbook needs this role, so it is not given back",
                "consent to it by hand, if it is really wanted",
            )  # fmt: skip
            return
        row = next((r for r in seen.assignments if r.role == known and r.resource == seen.resource.object_id), None)
        if given and row is not None:
            yield Change(
                "consent", "remove", value, {"role": value}, None, (RemoveAssignment(PRINCIPAL, row.id, value),),
                f"run {self.run.id} consented to it",
            )  # fmt: skip
        elif not given and row is None:
            yield Change(
                "consent", "consent", value, None, {"role": value, "resource": "Office 365 Exchange Online"},
                (AssignRole(PRINCIPAL, RESOURCE, known, value),), f"run {self.run.id} took it",
            )  # fmt: skip
        else:
            now = "is not there any more" if given else "stands again"
            yield Drift("consent", value, f"it is left as it is: it {now}")

    # What is not put back

    def _unlisted(self, step: str, mailbox: str, what: str) -> Refusal:
        return Refusal(
            step, self.found.name(mailbox), f"{what}: the run changed it, and the playbook does not list this mailbox",
            "add it to the playbook as the run had it, and run undo again; or put it back by hand",
        )  # fmt: skip

    def _another_s(self, mailbox: str, trustee: str, what: str) -> Refusal:
        return Refusal(
            "grants", self.found.name(mailbox),
            f"{what} for {trustee}, which is not this application's enterprise application in this tenant now",
            "undo touches grants of the playbook's application alone; put it back by hand if that is wanted",
        )  # fmt: skip

    def _stays(self, moved: int) -> Iterator[Item]:
        if self.found.strange:
            yield Refusal(
                "journal", self.run.id, f"{self.found.strange} of its items have no form that exosp writes",
                "somebody may have changed the file: see what it holds before you go by it",
            )  # fmt: skip
        steps = dict.fromkeys(_STEP_OF[kind] for kind in self.found.other if kind in _STEP_OF)
        for step in steps:
            more = f", with the {moved} grants that it moved" if step == "exchange" and moved else ""
            yield Drift(
                step, called(self.want, self.seen), f"what the run did to {_NAMED[step]} stays{more}: {_NOT_OURS[step]}"
            )


_STEP_OF = {
    "UpsertApplication": "application", "UpdateApplication": "application", "RestoreApplication": "application",
    "DeleteApplication": "application", "CreatePrincipal": "principal", "TagPrincipal": "principal",
    "AddSecret": "credential", "RemoveSecret": "credential", "RemoveSaved": "credential",
    "NewServicePrincipal": "exchange", "RemoveServicePrincipal": "exchange", "SetManagementScope": "rbac",
}  # fmt: skip
_NAMED = {
    "application": "the application", "principal": "its enterprise application", "credential": "its secrets",
    "exchange": "Exchange's entry of it", "rbac": "the filter of its scope",
}  # fmt: skip
_BY_OTHERS = "undo neither makes nor deletes one; apply and destroy do"
_NOT_OURS = dict.fromkeys(("application", "principal", "exchange"), _BY_OTHERS) | {
    "rbac": "a filter is taken from the playbook alone, never from a journal",
    "credential": "undo neither makes nor removes any; apply and destroy do",
}
