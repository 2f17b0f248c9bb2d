"""Plan to remove all that exosp made for a playbook, and nothing else. Pure.

An application that exosp registered goes whole, into the recycle bin, where it lies for 30 days
(learn.microsoft.com/entra/fundamentals/recover-from-deletions); before it go what it was granted anywhere, Exchange's
entries of it, and its secrets, so that none is alive when it is restored. Of one that was adopted only what a journal
shows to be ours goes. Without the grants known for sure, nothing of it is done.

The order: what is found by something goes before that. So a run that was killed is finished by the next.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from . import effects
from .effects import SEND_AS, Grant, Role, Switch, Value
from .journal import History
from .plan import Change, Drift, Plan, Refusal
from .playbook import Playbook
from .snapshot import ExchangeEntry, Holdings, KeyId, Secret, Snapshot
from .steps import rbac
from .steps.application import called
from .steps.exchange import NOTHING, of_ours, removals
from .undo import made_of, switched
from .writes import (
    APPLICATION,
    PRINCIPAL,
    DeleteApplication,
    ExchangeWrite,
    RemoveAssignment,
    RemoveMailboxPermission,
    RemoveManagementRole,
    RemoveManagementScope,
    RemoveRecipientPermission,
    RemoveSaved,
    RemoveSecret,
    RemoveServicePrincipal,
)

Item = Change | Refusal | Drift


def planner(history: History) -> Callable[[Playbook, Snapshot], Plan]:
    """How to plan the end of a playbook's application. ``history``: what journals show that exosp did."""
    items = [item for run in history.runs for item in run.items]

    def plan(want: Playbook, seen: Snapshot) -> Plan:
        found = effects.of(items, seen, unseen_removals=False)
        return made_of(want, _Destroy(found, bool(history.runs), want, seen).items())

    return plan


def adopted(want: Playbook) -> bool:
    """A managed identity is adopted too: Azure made it, and it stays."""
    return want.app.made_elsewhere


class _Destroy:
    def __init__(self, found: effects.Effects, journals: bool, want: Playbook, seen: Snapshot) -> None:
        self.found, self.journals, self.want, self.seen = found, journals, want, seen
        self.boxes = {box.id.lower(): box for box in seen.found(box.address for box in want.boxes)}
        self.name = called(want, seen)

    def items(self) -> Iterator[Item]:
        refusals = list(self._unread())
        if refusals:
            yield from refusals
            return
        yield from self._send_as_of_mailboxes()
        yield from rbac.removals(self.want, self.seen)
        for entry in of_ours(self.seen):
            yield from self._adopted_entry(entry) if adopted(self.want) else self._entry(entry)
        yield from self._switches()
        if adopted(self.want):
            yield from self._roles()
        yield from self._secrets()
        yield from self._application()
        yield from self._saved()

    # Exchange

    def _unread(self) -> Iterator[Refusal]:
        for entry in of_ours(self.seen):
            held = self._held(entry)
            if held.unread:
                yield Refusal(
                    "exchange", entry.name, f"what it was granted could not be read: {held.unread}",
                    "nothing is removed: without its entry nobody finds those grants again. Run destroy again when "
                    f"Get-MailboxPermission -User {entry.object_id} answers for every mailbox",
                )  # fmt: skip

    def _held(self, entry: ExchangeEntry) -> Holdings:
        return self.seen.holdings.get(entry.identity, NOTHING)

    def _entry(self, entry: ExchangeEntry) -> Iterator[Item]:
        yield self._away(entry, removals(entry, self.seen), "it was made for the application, which goes")
        yield from self._denied(entry)

    def _away(self, entry: ExchangeEntry, writes: tuple[ExchangeWrite, ...], why: str) -> Change:
        """One change, so that the entry goes only when all that it was granted has gone."""
        grants = sorted(text for write in writes if (text := _shown(write)))
        gone = any(isinstance(write, RemoveServicePrincipal) for write in writes)
        before = {"ObjectId": entry.object_id, "grants": grants} if gone else {"grants": grants}
        after: dict[str, object] = {"ObjectId": None, "grants": []} if gone else {"grants": []}
        return Change("exchange", "remove", entry.name, before, after, writes, why)

    def _denied(self, entry: ExchangeEntry) -> Iterator[Drift]:
        held = self._held(entry)
        denied = [held.address(row.mailbox) for row in held.permissions if row.deny]
        denied += [held.address(row.mailbox) for row in held.recipient_permissions if row.deny]
        for address in dict.fromkeys(denied):
            yield Drift("grants", address, "a deny entry names the application: somebody else's decision, so it stays")

    def _adopted_entry(self, entry: ExchangeEntry) -> Iterator[Item]:
        """What journals show to be ours. The entry itself only where nobody else's grant hangs on it."""
        mine = {
            (thing.kind, thing.mailbox, thing.right.lower())
            for thing, (_, after) in self.found.changed.items()
            if isinstance(thing, Grant) and after is True and thing.trustee == entry.object_id.lower()
        }
        ours: list[ExchangeWrite] = []
        others: list[str] = []
        for write in removals(entry, self.seen)[:-1]:
            if isinstance(write, RemoveMailboxPermission):
                given = tuple(r for r in write.rights if ("mailbox", write.mailbox.lower(), r.lower()) in mine)
                ours += [replace(write, rights=given)] if given else []
                others += [write.address] if set(given) != set(write.rights) else []
            elif isinstance(write, RemoveRecipientPermission):
                given_too = ("send-as", write.mailbox.lower(), SEND_AS.lower()) in mine
                ours += [write] if given_too else []
                others += [] if given_too else [write.address]
        made = entry.object_id.lower() in self.found.entries
        if made and not others:
            ours.append(RemoveServicePrincipal(entry.identity, entry.object_id))
        if ours:
            yield self._away(entry, tuple(ours), "a journal shows that exosp made it")
        if others:
            yield Drift(
                "grants", entry.name,
                f"no journal shows that exosp granted what it has on {', '.join(sorted(set(others))[:5])}"
                f"{_more(len(set(others)) - 5)}: that stays, and Exchange's entry with it",
            )  # fmt: skip
        elif not made:
            yield Drift("exchange", entry.name, "no journal shows that exosp made Exchange's entry: it stays")
        yield from self._denied(entry)

    def _send_as_of_mailboxes(self) -> Iterator[Item]:
        """SendAs that one mailbox of the playbook has on another, where a journal shows that it is ours."""
        wishes = [box.send_as for box in self.want.boxes if box.send_as is not None]
        senders = {box.id.lower(): box for box in self.seen.found(wish.sender for wish in wishes)}
        entries = {entry.object_id.lower() for entry in of_ours(self.seen)} | self.found.entries
        if self.seen.principal is not None:
            entries |= {self.seen.principal.object_id.lower()}
        for thing, (_, after) in self.found.changed.items():
            if not isinstance(thing, Grant) or thing.kind != "send-as" or after is not True or thing.trustee in entries:
                continue
            sender, by = senders.get(thing.mailbox), self.boxes.get(thing.trustee)
            if sender is None or by is None:
                yield Drift(
                    "grants", self.found.name(thing.mailbox),
                    f"a journal shows that exosp gave SendAs on it to {self.found.name(thing.trustee)}, and the "
                    "playbook does not list that: it stays; add it to the playbook, and run destroy again",
                )  # fmt: skip
            elif any(
                row.mailbox == sender.id and row.trustee in by.forms | by.addresses and not row.deny
                for row in self.seen.recipient_permissions
            ):
                yield Change(
                    "grants", "remove", f"{sender.address} (SendAs by {by.address})", {"rights": [SEND_AS]},
                    {"rights": []}, (RemoveRecipientPermission(sender.id, sender.address, by.id, by.address),),
                    "a journal shows that exosp gave it",
                )  # fmt: skip

    # Switches

    def _switches(self) -> Iterator[Item]:
        if not self.journals:
            yield Drift(
                "protocols", self.name,
                "no journal lies here, so protocol switches stay as they are: what stood before is not known "
                "(--journal DIR names another place)",
            )  # fmt: skip
        held: dict[str, dict[str, tuple[Value, Value]]] = {}
        for thing, values in self.found.changed.items():
            if isinstance(thing, Switch):
                held.setdefault(thing.mailbox, {})[thing.name] = values
        for mailbox, named in held.items():
            box = self.boxes.get(mailbox)
            access = None if box is None else self.seen.client_access.get(box.id)
            if box is None or access is None:
                yield Drift(
                    "protocols", self.found.name(mailbox),
                    "exosp switched it, and the playbook does not list it: it stays so; add it to the playbook, and "
                    "run destroy again",
                )  # fmt: skip
                continue
            back = {name: before for name, (before, after) in named.items() if getattr(access, name) == after}
            if back:
                yield switched(access, box, back, "a journal shows that exosp switched it, and what stood before")

    # The application

    def _roles(self) -> Iterator[Item]:
        seen = self.seen
        if seen.principal is None or seen.resource is None:
            return
        given = {
            thing.value
            for thing, (_, after) in self.found.changed.items()
            if isinstance(thing, Role) and after is True and thing.principal == seen.principal.object_id.lower()
        }
        names = {role: value for value, role in seen.resource.roles.items()}
        for row in seen.assignments:
            value = names.get(row.role, row.role)
            if row.resource == seen.resource.object_id and value in given:
                yield Change(
                    "consent", "remove", value, {"role": value}, None, (RemoveAssignment(PRINCIPAL, row.id, value),),
                    "a journal shows that exosp consented to it",
                )  # fmt: skip
            else:
                yield Drift("consent", value, "no journal shows that exosp consented to it: it stays")

    def _ours(self) -> tuple[Secret, ...]:
        """Secrets with our label, alive or not."""
        app, label = self.seen.application, self.want.app.secret_label
        held = app.secrets if app is not None else ()
        return tuple(s for s in held if s.label == label or s.label.startswith(f"{label} "))

    def _secrets(self) -> Iterator[Item]:
        ours = self._ours()
        if ours:
            yield Change(
                "credential", "remove", f"{len(ours)} secret{'' if len(ours) == 1 else 's'}",
                {"labels": [s.label for s in ours]}, {"labels": []},
                tuple(RemoveSecret(APPLICATION, s.key_id) for s in ours), f"they bear the label {self.want.app.secret_label}",
            )  # fmt: skip

    def _application(self) -> Iterator[Item]:
        app = self.seen.application
        if app is None:
            return
        others = [s for s in app.secrets if s not in self._ours()]
        if adopted(self.want):
            more = f", and {_added(len(others))}" if others else ""
            yield Drift(
                "application", self.name,
                f"it was adopted, so it stays, with what it asks for, its enterprise application{more}",
            )  # fmt: skip
            return
        with_it = [_added(len(others))] if others else []
        with_it += ["its enterprise application"] if self.seen.principal else []
        count = len(self.seen.assignments)
        with_it += [f"{count} consented role{'' if count == 1 else 's'}"] if count else []
        why = "exosp made it; it lies in the recycle bin for 30 days"
        yield Change(
            "application", "remove", self.name, {"appId": app.app_id}, None, (DeleteApplication(APPLICATION),),
            f"{why}; with it go {', '.join(with_it)}" if with_it else why, last=True,
        )  # fmt: skip

    def _saved(self) -> Iterator[Item]:
        """The file last of all: as long as its secret lives, nobody else has the text."""
        if self.want.app.credential is None:
            return
        app, saved, shown = self.seen.registration, self.seen.credential, self.want.app.credential.shown
        if saved.state == "foreign":
            yield Drift("credential", shown, f"the file stays: {saved.why}")
        if app is None or saved.state not in ("works", "refused"):
            return
        keys = {s.key_id for s in self._ours()} | {KeyId(key) for key in self.found.secrets}
        if adopted(self.want) and saved.state == "works" and saved.key_id not in keys:
            yield Drift("credential", shown, "the file stays: the secret that it holds works, and is not ours")
            return
        yield Change(
            "credential", "remove", shown, {"file": shown}, None, (RemoveSaved(app.app_id, shown),),
            "the secret that it holds is removed", last=True,
        )  # fmt: skip


def counted(plan: Plan) -> str:
    """What goes, for the question."""
    writes = [write for change in plan.changes for write in change.writes]
    grants = sum(isinstance(write, RemoveMailboxPermission | RemoveRecipientPermission) for write in writes)
    kinds = (
        (grants, "grant"),
        (sum(isinstance(write, RemoveManagementRole) for write in writes), "management role"),
        (sum(isinstance(write, RemoveManagementScope) for write in writes), "management scope"),
        (sum(isinstance(write, RemoveServicePrincipal) for write in writes), "Exchange entry"),
        (sum(change.step == "protocols" for change in plan.changes), "mailbox's switches"),
        (sum(isinstance(write, RemoveAssignment) for write in writes), "role"),
        (sum(isinstance(write, RemoveSecret) for write in writes), "secret"),
        (sum(isinstance(write, DeleteApplication) for write in writes), "application"),
        (sum(isinstance(write, RemoveSaved) for write in writes), "file"),
    )
    return ", ".join(f"{number} {_plural(what, number)}" for number, what in kinds if number)


def _plural(what: str, number: int) -> str:
    if number == 1:
        return what
    return {"Exchange entry": "Exchange entries", "mailbox's switches": "mailboxes' switches"}.get(what, f"{what}s")


def _added(number: int) -> str:
    return f"{number} {_plural('secret', number)} that others added"


def _more(number: int) -> str:
    return f" and {number} more" if number > 0 else ""


def _shown(write: ExchangeWrite) -> str:
    match write:
        case RemoveMailboxPermission():
            return f"{', '.join(write.rights)} on {write.address}"
        case RemoveRecipientPermission():
            return f"{SEND_AS} on {write.address}"
        case _:
            return ""
