"""Observe, apply, verify: the three things done with a tenant. What is to be done is ``steps``' affair, how long to wait
``patience``'s; here writes are sent, answers merged, and what is unclear is read again before anything is repeated.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from .errors import (
    CloudError,
    Conflict,
    DidNotSettle,
    Error,
    Forbidden,
    Missing,
    NotConverged,
    NotYetVisible,
    Throttled,
    Unreachable,
)
from .journal import CHUNK, NOTHING, Chunk, History, Recorder
from .patience import Patience
from .plan import Change, Plan
from .playbook import Playbook
from .snapshot import Address, KeyId, MailboxId, Observed, Snapshot
from .steps import STEPS, Step, name, observe, plan
from .steps.credential import live
from .tenant import Answer, Done, Failed, NewSecret, Tenant, Unknown
from .writes import (
    APPLICATION,
    AddSecret,
    AssignRole,
    CreatePrincipal,
    ExchangeWrite,
    GraphWrite,
    NewServicePrincipal,
    RemoveSecret,
    RemoveServicePrincipal,
    TagPrincipal,
    UpsertApplication,
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
    """Sent, or about to be, and an error came of it."""

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


@dataclass(frozen=True)
class Result:
    """What an apply did. ``plan`` holds every change it set out to make, ``rest`` what is still not so."""

    plan: Plan
    outcomes: tuple[tuple[Change, Outcome], ...]
    seen: Snapshot
    rest: Plan
    requests: dict[str, int]

    @property
    def others_turn(self) -> bool:
        return any(isinstance(o, Skipped) and o.others_turn for _, o in self.outcomes)

    @property
    def failed(self) -> bool:
        return any(isinstance(o, Refused) for _, o in self.outcomes) or bool(self.plan.refused)


NO_HISTORY = History()
ROUNDS = 3  # of planning, where what is found on the way differs from what was planned on


def look(want: Playbook, tenant: Tenant, patience: Patience, history: History = NO_HISTORY) -> tuple[Snapshot, Plan]:
    """Observe and plan. Reads go through patience; nothing is written. ``history``: what earlier runs left behind."""
    reading = Tenant(
        tenant.tenant_id,
        patience.reading(tenant.directory),
        patience.reading(tenant.exchange),
        patience.reading(tenant.vault),
    )
    seen = observe(want, reading)
    seen = replace(seen, lost_secrets=history.lost_secrets(seen))
    return seen, plan(want, seen)


def apply(
    want: Playbook,
    tenant: Tenant,
    patience: Patience,
    first: tuple[Snapshot, Plan],
    tell: Tell,
    *,
    only: bool = False,
    journal: Recorder = NOTHING,
    history: History = NO_HISTORY,
) -> Result:
    """Send a plan's writes in order, then observe until the tenant shows them. ``first`` is what ``look`` returned.
    ``only``: send nothing but the changes of ``first``, whatever is found on the way. Each write is in ``journal``
    before it is sent.

    Each change is compared with what its step would still do, so that nothing is sent on a premise that has gone.
    Raises NotConverged where everything was accepted and the plan is still not empty.
    """
    seen, planned = first
    if planned.empty:
        return Result(planned, (), seen, planned, _requests(tenant))
    if any(isinstance(write, AddSecret) for change in planned.changes for write in change.writes):
        tenant.vault.check()  # before a secret is made that could not be kept
    outcomes: list[tuple[Change, Outcome]] = []
    now = planned
    for _ in range(ROUNDS):
        run = _Run(want, tenant, patience, seen, tell, journal, history)
        outcomes = [(c, o) for c, o in outcomes if not any(c.same_as(n) for n in now.changes)]
        outcomes += run.apply(now)
        seen, now = _close(run, outcomes)
        again = [c for c in now.changes if not _settled(c, outcomes)]
        if not again or (only and not all(any(c.same_as(p) for p in planned.changes) for c in again)):
            break
    result = Result(planned, tuple(outcomes), seen, now, _requests(tenant))
    if not now.empty and not result.failed and all(isinstance(o, Applied) for _, o in outcomes):
        raise NotConverged(
            f"every write was accepted, and {len(now.changes)} changes are still to be made: "
            + ", ".join(f"{c.verb} {c.target}" for c in now.changes[:5]),
            hint="run plan to see them; if they stay, somebody or something else is changing them back",
        )
    return result


def _settled(change: Change, outcomes: Sequence[tuple[Change, Outcome]]) -> bool:
    """Whether a change that is still planned was answered for good in this run."""
    return any(c.same_as(change) and isinstance(o, Skipped | Refused) for c, o in outcomes)


def _close(run: "_Run", outcomes: Sequence[tuple[Change, Outcome]]) -> tuple[Snapshot, Plan]:
    """Observe until the plan shows no change that was applied: a write is believed when it is read back."""

    def unseen(found: tuple[Snapshot, Plan]) -> bool:
        return any(
            c.same_as(change) for change in found[1].changes for c, o in outcomes if isinstance(o, Applied)
        )  # fmt: skip

    found = run.patience.settle(
        lambda: look(run.want, run.tenant, run.patience, run.history),
        until=lambda found: not unseen(found),
        why="what was written does not show everywhere yet",
    )
    run.seen = found[0]
    if run.remove_stray_secrets():
        found = look(run.want, run.tenant, run.patience, run.history)
    return found


def _requests(tenant: Tenant) -> dict[str, int]:
    return {"graph": tenant.directory.requests, "remoting": tenant.exchange.requests}


class _Run:
    """One pass over a plan, with the snapshot as it grows."""

    def __init__(
        self,
        want: Playbook,
        tenant: Tenant,
        patience: Patience,
        seen: Snapshot,
        tell: Tell,
        journal: Recorder = NOTHING,
        history: History = NO_HISTORY,
    ) -> None:
        self.journal = journal
        self.history = history
        self.want = want
        self.tenant = tenant
        self.patience = patience
        self.seen = seen
        self._tell = tell
        self._kept: KeyId | None = None
        self._known = {secret.key_id for secret in seen.application.secrets} if seen.application else set()

    def apply(self, now: Plan) -> list[tuple[Change, Outcome]]:
        done: list[tuple[Change, Outcome]] = []
        for step in STEPS:
            mine = [change for change in now.changes if change.step == name(step)]
            if not mine:
                continue
            ready = []
            for change in mine:
                reason = self._premise_gone(step, change)
                if reason is None:
                    ready.append(change)
                else:
                    done.append((change, Skipped(reason)))
                    self._tell(Finished(*done[-1]))
            for change, outcome in self._send(step, ready):
                done.append((change, outcome))
                self._tell(Finished(change, outcome))
        return done

    def _premise_gone(self, step: Step, change: Change) -> str | None:
        unknown = [ref.field for write in change.writes for ref in refs(write) if ref.known(self.seen) is None]
        if unknown:
            return f"needs {_PLAIN.get(unknown[0], unknown[0])}, which is not there"
        still = (item for item in step.plan(self.want, self.seen) if isinstance(item, Change))
        if not any(change.same_as(other) for other in still):
            return "what was found on the way no longer calls for it"
        return None

    def _send(self, step: Step, changes: Sequence[Change]) -> Iterator[tuple[Change, Outcome]]:
        if name(step) in ("exchange", "grants", "protocols"):
            yield from self._send_cmdlets(step, changes)
            return
        for change in changes:
            self._tell(Started(change))
            try:
                found = [
                    self._send_request(write, step=name(step))
                    for write in change.writes
                    if not isinstance(write, ExchangeWrite)
                ]
                yield change, Applied(found=any(found))
            except Forbidden as fault:
                if name(step) == "consent":
                    yield change, Skipped(f"somebody else must consent: {fault.what}", others_turn=True)
                else:
                    yield change, Refused(fault)
            except Error as fault:
                yield change, Refused(fault)

    # Microsoft Graph: one request a write

    def _send_request(self, write: GraphWrite, step: str = "credential") -> bool:
        """Send, between two lines of the journal; whether the write was found to stand already."""
        if isinstance(write, AddSecret) and self.journal.run:  # by which a secret is known as this run's
            write = replace(write, label=f"{write.label} {self.journal.run}")
        with self.journal.chunk(step, (write,), self.seen) as chunk:
            found = self._ask(write, chunk)
            kept = self._kept if isinstance(write, AddSecret) else None
            chunk.answer(write, "found" if found else "done", kept or "")
        return found

    def _ask(self, write: GraphWrite, chunk: Chunk) -> bool:
        """Send until there is an answer; whether the write was found to stand already."""
        directory, transport = self.tenant.directory, self.patience.transport

        def once() -> tuple[Observed | NewSecret | None, bool]:
            try:
                return transport(directory.send, write, self.seen, idempotent=isinstance(write, _HARMLESS)), False
            except Missing:
                if isinstance(write, RemoveSecret):
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
            case UpsertApplication():
                return transport(directory.application, write.unique_name)
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
        if isinstance(write, UpsertApplication):
            app = self.patience.settle(
                lambda: self._find(write), until=lambda seen: seen is not None, why="the application does not show yet"
            )
            if app is None:
                raise DidNotSettle("the application was written and cannot be read back", hint="run apply again later")
            self.seen = self.seen.observing(app)
        elif isinstance(write, TagPrincipal) and self.seen.principal is not None:
            self.seen = self.seen.observing(replace(self.seen.principal, tags=write.tags))

    def _keep(self, new: NewSecret, write: AddSecret) -> None:
        """Save the one appearance of a secret, then wait until the token endpoint takes it."""
        app = self.seen.application
        assert app is not None
        try:
            self.tenant.vault.save(app.app_id, self.tenant.tenant_id, new, write)
        except Error:
            # Nobody has its text: a secret that cannot be kept must not stay alive.
            self._send_request(RemoveSecret(write.application, new.secret.key_id))
            raise
        self._kept = new.secret.key_id
        self.seen = self.seen.observing(new.secret)
        state = self.patience.settle(
            lambda: self.patience.transport(self.tenant.vault.state, app.app_id),
            until=lambda state: state.state == "works",
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
                self._send_request(RemoveSecret(APPLICATION, stray.key_id))
        return bool(strays)

    # Exchange: writes of one kind together

    def _send_cmdlets(self, step: Step, changes: Sequence[Change]) -> Iterator[tuple[Change, Outcome]]:
        """Send in as few pipelines as can be; what is refused for now is sent again, what stays unclear read first."""
        pending = {write: change for change in changes for write in change.writes if isinstance(write, ExchangeWrite)}
        answered: list[tuple[Change, Outcome]] = []
        unclear = False
        for change in changes:
            self._tell(Started(change))

        def once() -> None:
            nonlocal unclear
            if unclear:
                answered.extend(self._already(step, pending))
                unclear = False
            later: CloudError | None = None
            for write, answer in self._pipelines(name(step), tuple(pending)):
                match answer:
                    case Done(seen):
                        if seen is not None:
                            self.seen = self.seen.observing(seen)
                        answered.append((pending.pop(write), Applied()))
                    case Unknown(why):
                        unclear, later = True, NotYetVisible(why, service="remoting", asked=type(write).__name__)
                    case Failed(Unreachable(may_have_happened=True) as error):
                        unclear, later = True, error
                    case Failed(Conflict() as error) if isinstance(write, NewServicePrincipal):
                        unclear, later = True, error  # an entry is there: it shows in a moment, or is another's
                    case Failed((NotYetVisible() | Throttled()) as error):
                        later = error
                    case Failed(error):
                        answered.append((pending.pop(write), Refused(error)))
            if later is not None:
                raise NotYetVisible(later.what, service=later.service, asked=later.asked) from later

        try:
            self.patience.settle(once)
        except Error as fault:
            answered.extend((change, Refused(fault)) for change in pending.values())
        yield from answered

    def _pipelines(
        self, step: str, writes: tuple[ExchangeWrite, ...]
    ) -> Iterator[tuple[ExchangeWrite, Done | Failed | Unknown]]:
        """One pipeline after the other, each between two lines of the journal."""
        exchange = self.tenant.exchange
        for part in _parts(writes):
            seen = self.seen

            def send(
                part: tuple[ExchangeWrite, ...] = part, seen: Snapshot = seen
            ) -> list[tuple[ExchangeWrite, Answer]]:
                return list(exchange.send(part, seen))

            with self.journal.chunk(step, part, seen) as chunk:
                answers = self.patience.transport(send, idempotent=False)
                for write, answer in answers:
                    _note(chunk, write, answer)
            yield from answers

    def _already(self, step: Step, pending: dict[ExchangeWrite, Change]) -> list[tuple[Change, Outcome]]:
        """After an unclear answer: read the step's part again and take out what stands by now."""
        reading = replace(self.tenant, exchange=self.patience.reading(self.tenant.exchange))
        self.seen = step.observe(self.want, reading, self.seen)
        wanted = [c for c in step.plan(self.want, self.seen) if isinstance(c, Change)]
        there = [write for write, change in pending.items() if not any(change.same_as(c) for c in wanted)]
        for write in there:
            self.journal.found(write)
        return [(pending.pop(write), Applied(found=True)) for write in there]


def _parts(writes: tuple[ExchangeWrite, ...]) -> Iterator[tuple[ExchangeWrite, ...]]:
    """Writes that differ in nothing but their mailbox go through one pipeline; others alone."""
    groups: dict[object, list[ExchangeWrite]] = {}
    for write in writes:
        if isinstance(write, NewServicePrincipal | RemoveServicePrincipal):
            groups[write] = [write]
        else:
            groups.setdefault(replace(write, mailbox=MailboxId(""), address=Address("")), []).append(write)
    for group in groups.values():
        for start in range(0, len(group), CHUNK):
            yield tuple(group[start : start + CHUNK])


def _note(chunk: Chunk, write: ExchangeWrite, answer: Answer) -> None:
    match answer:
        case Done():
            chunk.answer(write, "done")
        case Unknown(why):
            chunk.answer(write, "unknown", why)
        case Failed(error):
            unclear = isinstance(error, Unreachable) and error.may_have_happened
            chunk.answer(write, "unknown" if unclear else "failed", error.what)


_HARMLESS = (UpsertApplication, TagPrincipal, RemoveSecret)  # to send twice

_PLAIN = {
    "application.app_id": "the application",
    "application.object_id": "the application",
    "principal.object_id": "the enterprise application",
    "resource.object_id": "Exchange Online's enterprise application",
    "entry.object_id": "Exchange's own entry of the application",
}
