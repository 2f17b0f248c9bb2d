"""Carry out a plan: its writes in order, each between two lines of the journal, and what came of them.

Answers are merged into the snapshot as if they had been read; what is unclear is read again before anything is repeated.
It decides nothing of what is to be done (``steps``), nor how long to wait (``patience``).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import groupby

from .errors import CloudError, Conflict, DidNotSettle, Error, Forbidden, Missing, NotYetVisible, Throttled, Unreachable
from .journal import CHUNK, Chunk, Recorder, without
from .patience import Patience
from .plan import Change, Plan
from .playbook import Playbook
from .snapshot import Address, DeletedApplication, KeyId, MailboxId, Observed, Owed, SavedCredential, Snapshot
from .steps import BY_NAME, rbac
from .steps.credential import live
from .tenant import Answer, Done, Failed, NewSecret, Tenant, Unknown
from .writes import (
    APPLICATION,
    ENTRY,
    AddMailboxPermission,
    AddRecipientPermission,
    AddSecret,
    AssignManagementRole,
    AssignRole,
    CreatePrincipal,
    DeleteApplication,
    ExchangeWrite,
    GraphWrite,
    NewManagementScope,
    NewServicePrincipal,
    Organizational,
    Ref,
    RemoveAssignment,
    RemoveSaved,
    RemoveSecret,
    RemoveServicePrincipal,
    RestoreApplication,
    TagPrincipal,
    UpdateApplication,
    UpsertApplication,
    Write,
    refs,
)


@dataclass(frozen=True)
class Applied:
    """Sent and accepted. ``found``: it stood already when the answer to an earlier try had been lost."""

    found: bool = False


@dataclass(frozen=True)
class Skipped:
    """Not sent, and why. ``others_turn``: somebody else must act first (consent)."""

    reason: str
    others_turn: bool = False


@dataclass(frozen=True)
class Refused:
    """Sent, or about to be, and an error came of it. Of a change with several writes, those before it took place."""

    error: Error


Outcome = Applied | Skipped | Refused


@dataclass(frozen=True)
class Started:
    change: Change


@dataclass(frozen=True)
class Finished:
    change: Change
    outcome: Outcome


Event = Started | Finished
Tell = Callable[[Event], None]
Planner = Callable[[Playbook, Snapshot], Plan]


def owing(change: Change) -> tuple[Owed, ...]:
    """What a repair gives again after it has taken it: until then it is owed."""
    found = []
    for write in change.writes if change.verb == "repair" else ():
        if isinstance(write, AddMailboxPermission):
            found.append(Owed(write.mailbox, write.address, write.rights))
        elif isinstance(write, AddRecipientPermission) and write.trustee == ENTRY:
            found.append(Owed(write.mailbox, write.address, ("SendAs",)))
    return tuple(found)


@dataclass
class _Work:
    """A change whose writes are on their way: the classes of writes that are left, in order."""

    change: Change
    stages: list[tuple[ExchangeWrite, ...]]
    found: list[bool] = field(default_factory=list)
    error: Error | None = None
    waiting: int = 0  # writes of this stage without an answer


class Sending:
    """One pass over a plan, with the snapshot as it grows."""

    def __init__(
        self, want: Playbook, tenant: Tenant, patience: Patience, seen: Snapshot, tell: Tell, planner: Planner,
        journal: Recorder,
    ) -> None:  # fmt: skip
        self.want = want
        self.tenant = tenant
        self.patience = patience
        self.seen = seen
        self.outcomes: list[tuple[Change, Outcome]] = []
        self._tell = tell
        self._planner = planner
        self._journal = journal
        self._kept: KeyId | None = None
        self._known = {secret.key_id for secret in seen.application.secrets} if seen.application else set()

    def carry_out(self, now: Plan) -> None:
        """Send every change of a plan whose premise still holds."""
        for step, group in groupby(now.changes, key=lambda change: change.step):
            self._carry_out(step, list(group))

    def _carry_out(self, step: str, changes: list[Change]) -> None:
        still = {change.key for change in self._planner(self.want, self.seen).changes if change.step == step}
        ready = []
        for change in changes:
            unknown = [ref.field for ref in _needs(change) if ref.known(self.seen) is None]
            if unknown:
                reason = f"needs {_PLAIN.get(unknown[0], unknown[0])}, which is not there"
                self._done(change, Skipped(reason))
            elif change.key not in still:
                self._done(change, Skipped("what was found on the way no longer calls for it"))
            elif change.last and any(isinstance(came, Refused) for _, came in self.outcomes):
                self._done(change, Skipped("something before it failed, and this takes away what that is found by"))
            else:
                ready.append(change)
        cmdlets = [change for change in ready if all(isinstance(write, ExchangeWrite) for write in change.writes)]
        self._send_cmdlets(step, cmdlets)
        for change in ready:
            if change not in cmdlets:
                self._tell(Started(change))
                self._done(change, self._send_requests(step, change))

    def _done(self, change: Change, outcome: Outcome) -> None:
        self.outcomes.append((change, outcome))
        self._tell(Finished(change, outcome))

    # Microsoft Graph: one request a write

    def _send_requests(self, step: str, change: Change) -> Outcome:
        try:
            found = [self._send_request(step, write) for write in change.writes if not isinstance(write, ExchangeWrite)]
        except Forbidden as fault:
            if change.verb == "consent":
                return Skipped(f"somebody else must consent: {fault.what}", others_turn=True)
            return Refused(fault)
        except Error as fault:
            return Refused(fault)
        return Applied(found=any(found))

    def _send_request(self, step: str, write: GraphWrite | RemoveSaved) -> bool:
        """Send, between two lines of the journal; whether the write was found to stand already."""
        if isinstance(write, AddSecret) and self._journal.run:  # by which a secret is known as this run's
            write = replace(write, label=f"{write.label} {self._journal.run}")
        with self._journal.chunk(step, (write,), self.seen) as chunk:
            found = self._remove_saved(write) if isinstance(write, RemoveSaved) else self._ask(write, chunk)
            kept = self._kept if isinstance(write, AddSecret) else None
            chunk.answer(write, "found" if found else "done", kept or "")
        return found

    def _remove_saved(self, write: RemoveSaved) -> bool:
        there = self.tenant.vault.remove(write.app_id)
        self.seen = self.seen.observing(SavedCredential("absent"))
        return not there

    def _ask(self, write: GraphWrite, chunk: Chunk) -> bool:
        """Send until there is an answer; whether the write was found to stand already."""
        directory, transport = self.tenant.directory, self.patience.transport

        def once() -> tuple[Observed | NewSecret | None, bool]:
            try:
                return transport(directory.send, write, self.seen, idempotent=isinstance(write, _HARMLESS)), False
            except Missing:
                if isinstance(write, _TAKING):
                    return None, True  # gone already
                raise
            except Unreachable as fault:
                if not fault.may_have_happened:
                    raise
                seen = None if isinstance(write, _HARMLESS) else self._find(write)
                if seen is None:  # it did not happen, or does not show yet: a repeat is answered with Conflict then
                    raise NotYetVisible(fault.what, service=fault.service, asked=fault.asked) from fault
                return seen, True
            except Conflict as fault:
                if isinstance(write, UpsertApplication):
                    raise  # an upsert updates what is there: something else holds the name, such as the recycle bin
                found = self.patience.settle(
                    lambda: self._find(write),
                    until=lambda seen: seen is not None,
                    why="it exists, but does not show yet",
                )
                if found is None:
                    raise fault
                return found, True

        answer, found = self.patience.settle(once)
        if isinstance(answer, NewSecret):
            assert isinstance(write, AddSecret)
            chunk.made(answer.secret.key_id)
            self._keep(answer, write)
        elif answer is not None:
            self.seen = self.seen.observing(answer)
        else:
            self._read_back(write)
        return found

    def _find(self, write: GraphWrite) -> Observed | None:
        """Whether what a write makes is there, by asking."""
        directory, transport = self.tenant.directory, self.patience.transport
        match write:
            case UpsertApplication() | RestoreApplication():
                return transport(BY_NAME["application"].observe, self.want, self.tenant, self.seen).application
            case CreatePrincipal():
                return transport(directory.principal, write.app_id.value(self.seen))
            case AssignRole():
                rows = transport(directory.assignments, write.principal.value(self.seen))
                resource = write.resource.value(self.seen)
                return next((row for row in rows if row.role == write.role and row.resource == resource), None)
            case _:
                return None

    def _read_back(self, write: GraphWrite) -> None:
        """What a 204 did not show."""
        match write:
            case UpsertApplication() | RestoreApplication():
                app = self.patience.settle(
                    lambda: self._find(write),
                    until=lambda seen: seen is not None,
                    why="the application does not show yet",
                )
                if app is None:
                    raise DidNotSettle(
                        "the application was written and cannot be read back", hint="run apply again later"
                    )
                self.seen = self.seen.observing(app)
            case UpdateApplication() if self.seen.application is not None:
                app = replace(self.seen.application, required=write.required)
                if write.redirects is not None:
                    app = replace(app, redirects=write.redirects, public=True)
                self.seen = self.seen.observing(replace(app, name=write.name or app.name))
            case TagPrincipal() if self.seen.principal is not None:
                self.seen = self.seen.observing(replace(self.seen.principal, tags=write.tags))
            case RemoveAssignment():
                rows = tuple(row for row in self.seen.assignments if row.id != write.assignment)
                self.seen = replace(self.seen, assignments=rows)
            case DeleteApplication() if self.seen.application is not None:
                deleted = (DeletedApplication(self.seen.application),)
                self.seen = replace(self.seen, application=None, deleted=deleted, principal=None, assignments=())

    def _keep(self, new: NewSecret, write: AddSecret) -> None:
        """Save the one appearance of a secret, then wait until the token endpoint takes it."""
        app = self.seen.application
        assert app is not None
        try:
            self.tenant.vault.save(app.app_id, self.tenant.tenant_id, new, write)
        except Error:
            # Nobody has its text: a secret that cannot be kept must not stay alive.
            self._send_request("credential", RemoveSecret(write.application, new.secret.key_id))
            raise
        self._kept = new.secret.key_id
        self.seen = self.seen.observing(new.secret)
        if self.seen.principal is None:
            return  # without an enterprise application no secret works, however long one waits
        state = self.patience.settle(
            lambda: self.patience.transport(self.tenant.vault.state, app.app_id),
            until=lambda state: state.state == "works" or bool(state.blocked),
            why="the token endpoint does not take the new secret yet",
        )
        self.seen = self.seen.observing(state)

    def remove_stray_secrets(self) -> bool:
        """Where the answer to addPassword was lost, a live secret may exist whose text nobody has: remove those that
        bear our label and came during this run, but for the one that was kept. Whether there were any."""
        if self._kept is None or self.seen.application is None:
            return False
        strays = [s for s in live(self.want, self.seen) if s.key_id not in self._known and s.key_id != self._kept]
        for stray in strays:
            with suppress(Missing):  # gone already, or not there yet for this server: the next look tells
                self._send_request("credential", RemoveSecret(APPLICATION, stray.key_id))
        return bool(strays)

    # Exchange: writes of one kind together

    def _send_cmdlets(self, step: str, changes: Sequence[Change]) -> None:
        """Stage by stage: the next class of a change's writes goes out when every one before it is done."""
        works = [_Work(change, list(_stages(change))) for change in changes]
        for work in works:
            self._tell(Started(work.change))
            owed = owing(work.change)
            if owed:
                self._journal.owes(owed)
                self.seen = replace(self.seen, owed=tuple(dict.fromkeys((*self.seen.owed, *owed))))
        while works:
            concerned: dict[ExchangeWrite, list[_Work]] = {}
            for work in works:
                for write in work.stages[0]:
                    concerned.setdefault(write, []).append(work)
                work.waiting = len(work.stages.pop(0))
            self._send_stage(step, concerned)
            works = [work for work in works if work.stages and work.error is None]

    def _answered(self, works: Iterable[_Work], came: Applied | Refused) -> None:
        for work in works:
            work.waiting -= 1
            if isinstance(came, Refused):
                work.error = work.error or came.error
            else:
                work.found.append(came.found)
            if work.waiting == 0 and (work.error is not None or not work.stages):
                self._done(work.change, Refused(work.error) if work.error else Applied(found=any(work.found)))

    def _send_stage(self, step: str, pending: dict[ExchangeWrite, list[_Work]]) -> None:
        """Send in as few pipelines as can be; what is refused for now is sent again, what stays unclear read first."""
        unclear = False

        def once() -> None:
            nonlocal unclear
            if unclear:
                for write in self._already(step, pending):
                    self._took_place(write)
                    self._answered(pending.pop(write), Applied(found=True))
                unclear = False
            later: CloudError | None = None
            for write, answer in self._pipelines(step, tuple(pending)):
                match answer:
                    case Done(seen):
                        if seen is not None:
                            self.seen = self.seen.observing(seen)
                        self._took_place(write)
                        self._answered(pending.pop(write), Applied())
                    case Unknown(why):
                        unclear, later = True, NotYetVisible(why, service="remoting", asked=type(write).__name__)
                    case Failed(Unreachable(may_have_happened=True) as error):
                        unclear, later = True, error
                    case Failed(Conflict() as error) if isinstance(write, _NAMED_ONCE):
                        unclear, later = True, error  # an entry is there: it shows in a moment, or is another's
                    case Failed((NotYetVisible() | Throttled()) as error):
                        later = error
                    case Failed(error):
                        self._answered(pending.pop(write), Refused(error))
            if later is not None:
                raise NotYetVisible(later.what, service=later.service, asked=later.asked) from later

        try:
            self.patience.settle(once)
        except Error as fault:
            for works in pending.values():
                self._answered(works, Refused(fault))

    def _took_place(self, write: ExchangeWrite) -> None:
        """What the snapshot must forget, though no answer shows it."""
        match write:
            case RemoveServicePrincipal(identity):
                rest = tuple(entry for entry in self.seen.entries if entry.identity != identity)
                self.seen = replace(self.seen, entries=rest)
            case AddMailboxPermission(mailbox=mailbox, rights=rights):
                self.seen = replace(self.seen, owed=without(self.seen.owed, mailbox, rights))
            case AddRecipientPermission(mailbox=mailbox, trustee=trustee) if trustee == ENTRY:
                self.seen = replace(self.seen, owed=without(self.seen.owed, mailbox, ("SendAs",)))
            case _:
                self.seen = rbac.after(write, self.seen)

    def _pipelines(
        self, step: str, writes: tuple[ExchangeWrite, ...]
    ) -> Iterator[tuple[ExchangeWrite, Done | Failed | Unknown]]:
        """One pipeline after the other, each between two lines of the journal."""
        exchange = self.tenant.exchange
        for part in _parts(writes):
            with self._journal.chunk(step, part, self.seen) as chunk:
                answers = self.patience.transport(_all, exchange.send, part, self.seen, idempotent=False)
                for write, answer in answers:
                    _note(chunk, write, answer)
            yield from answers

    def _already(self, step: str, pending: Iterable[ExchangeWrite]) -> list[ExchangeWrite]:
        """After an unclear answer: read the step's part again; what is no longer called for stands by now."""
        reading = replace(self.tenant, exchange=self.patience.reading(self.tenant.exchange))
        # Only that step reads holdings; without them a plan knows nothing of grants.
        before = replace(self.seen, holdings={}) if step == "exchange" else self.seen
        self.seen = BY_NAME[step].observe(self.want, reading, before)
        changes = self._planner(self.want, self.seen).changes
        wanted = {write for change in changes if change.step == step for write in change.writes}
        there = [write for write in pending if write not in wanted]
        for write in there:
            self._journal.found(write)
        return there


def _needs(change: Change) -> list[Ref[object]]:
    """The Refs that no write of the change itself brings about before they are needed."""
    found: list[Ref[object]] = []
    for write in change.writes:
        found += [ref for ref in refs(write) if ref not in found]
        if isinstance(write, NewServicePrincipal):
            return found  # what comes after it stands on Exchange's entry, which it makes
    return found


def _stages(change: Change) -> Iterator[tuple[ExchangeWrite, ...]]:
    for _, group in groupby(change.writes, key=type):
        yield tuple(write for write in group if isinstance(write, ExchangeWrite))


def _all(
    send: Callable[[Sequence[ExchangeWrite], Snapshot], Iterator[tuple[ExchangeWrite, Answer]]],
    writes: Sequence[ExchangeWrite],
    seen: Snapshot,
) -> list[tuple[ExchangeWrite, Answer]]:
    return list(send(writes, seen))


def _parts(writes: tuple[ExchangeWrite, ...]) -> Iterator[tuple[ExchangeWrite, ...]]:
    """Writes that differ in nothing but their mailbox go through one pipeline; others alone."""
    groups: dict[object, list[ExchangeWrite]] = {}
    for write in writes:
        if isinstance(write, Organizational):
            groups[write] = [write]
        else:
            groups.setdefault(replace(write, mailbox=MailboxId(""), address=Address("")), []).append(write)
    for group in groups.values():
        for start in range(0, len(group), CHUNK):
            yield tuple(group[start : start + CHUNK])


def _note(chunk: Chunk, write: Write, answer: Answer) -> None:
    match answer:
        case Done():
            chunk.answer(write, "done")
        case Unknown(why):
            chunk.answer(write, "unknown", why)
        case Failed(error):
            unclear = isinstance(error, Unreachable) and error.may_have_happened
            chunk.answer(write, "unknown" if unclear else "failed", error.what)


_NAMED_ONCE = (NewServicePrincipal, NewManagementScope, AssignManagementRole)
_TAKING = (RemoveSecret, RemoveAssignment, DeleteApplication)
_HARMLESS = (UpsertApplication, UpdateApplication, TagPrincipal, *_TAKING)  # to send twice

_PLAIN = {
    "application.app_id": "the application",
    "application.object_id": "the application",
    "principal.app_id": "the managed identity",
    "principal.object_id": "the enterprise application",
    "resource.object_id": "Exchange Online's enterprise application",
    "entry.object_id": "Exchange's own entry of the application",
}
