"""Look and apply: what is done with a tenant. What is to be done is ``steps``' affair, how it is sent ``sending``'s, how
long to wait ``patience``'s; here it is decided when a run has done what it set out to do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from . import steps
from .errors import NotConverged
from .journal import NOTHING, History, Recorder
from .patience import Patience
from .plan import Change, Limits, Plan, guard, removals
from .playbook import Playbook
from .sending import Applied, Outcome, Planner, Refused, Sending, Skipped, Tell
from .snapshot import Holdings, Owed, Snapshot
from .steps.application import foreign
from .tenant import Tenant
from .writes import AddSecret, RemoveMailboxPermission, RemoveRecipientPermission, RemoveServicePrincipal

ROUNDS = 3  # of planning, where what is found on the way differs from what was planned on
STEADY = 5  # good looks in a row, where one was bad: reads that flap show what is there and then do not (DESIGN)
# Seconds for which reads of a new object may not agree. Nobody names a number; it happens (msgraph-sdk-dotnet#3108).
FLAPPING = 60.0
NO_HISTORY = History()

_TAKING = (RemoveMailboxPermission, RemoveRecipientPermission, RemoveServicePrincipal)


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
        waits = any(isinstance(o, Skipped) and o.others_turn for _, o in self.outcomes)
        return waits or any(refusal.others_turn for refusal in self.rest.refused)

    @property
    def failed(self) -> bool:
        return any(isinstance(o, Refused) for _, o in self.outcomes) or any(
            not refusal.others_turn for refusal in self.rest.refused
        )


@dataclass(frozen=True)
class Memory:
    """What a look is told besides the tenant: what earlier runs left behind, what is owed where this run knows better,
    and holdings that were read a moment ago and that nothing has touched since."""

    history: History = NO_HISTORY
    owed: tuple[Owed, ...] | None = None
    holdings: Mapping[str, Holdings] = field(default_factory=dict)


def look(
    want: Playbook, tenant: Tenant, patience: Patience, memory: Memory | None = None, planner: Planner = steps.plan
) -> tuple[Snapshot, Plan]:
    """Observe and plan. Reads go through patience; nothing is written."""
    memory = memory or Memory()
    reading = Tenant(
        tenant.tenant_id,
        patience.reading(tenant.directory),
        patience.reading(tenant.exchange),
        patience.reading(tenant.vault),
        tenant.consent,
    )
    seen = steps.observe(want, reading, memory.holdings)
    owed = memory.history.owed(seen) if memory.owed is None else memory.owed
    seen = replace(seen, lost_secrets=memory.history.lost_secrets(seen), owed=owed)
    return seen, planner(want, seen)


def look_surely(
    want: Playbook, tenant: Tenant, patience: Patience, memory: Memory | None = None
) -> tuple[Snapshot, Plan]:
    """Look until there is nothing to do, or the same is to be done in every one of some looks in a row. Where looks differ
    something flaps: then nothing that is missing is believed before that has had its time."""
    ends = patience.clock.now() + FLAPPING
    before: list[str] = []

    def nothing(found: tuple[Snapshot, Plan]) -> bool:
        before.append(found[1].digest)
        return found[1].empty and not found[1].refused

    def steady() -> bool:
        return before[-STEADY:] == [before[-1]] * STEADY

    def once() -> tuple[Snapshot, Plan]:
        return look(want, tenant, patience, memory)

    why = "making sure of what was read"
    found = patience.settle(
        once, until=lambda found: nothing(found) or steady() or len(set(before)) > 1, evenly=True, why=why
    )
    if len(set(before)) == 1 or (found[1].empty and not found[1].refused):
        return found
    return patience.settle(
        once, until=lambda found: nothing(found) or (patience.clock.now() > ends and steady()), why=why
    )


def apply(
    want: Playbook,
    tenant: Tenant,
    patience: Patience,
    first: tuple[Snapshot, Plan],
    tell: Tell,
    *,
    only: bool = False,
    journal: Recorder = NOTHING,
    planner: Planner = steps.plan,
    limits: Limits | None = None,
) -> Result:
    """Send a plan's writes in order, then observe until the tenant shows them. ``first`` is what ``look`` returned.
    ``only``: send nothing but the changes of ``first``, whatever is found on the way. Each write is in ``journal``
    before it is sent. ``limits``: what is allowed beyond the guard rails.

    Each change is compared with what its step would still do, so that nothing is sent on a premise that has gone.
    Raises NotConverged where everything was accepted and the plan is still not empty, PlanRefused where a guard rail
    stands in the way.
    """
    seen, planned = first
    owed = bool(seen.owed) and planner is steps.plan  # another planner's empty plan says nothing of grants
    if planned.empty:
        if owed:
            journal.paid()
        return Result(planned, (), seen, planned, _requests(tenant))
    if any(isinstance(write, AddSecret) for change in planned.changes for write in change.writes):
        tenant.vault.check()  # before a secret is made that could not be kept
    outcomes: list[tuple[Change, Outcome]] = []
    now, taken = planned, 0
    for _ in range(ROUNDS):
        guard(now, seen, limits or Limits(), foreign=foreign(want, seen), earlier=taken)
        taken += removals(now)
        sending = Sending(want, tenant, patience, seen, tell, planner, journal)
        sending.carry_out(now)
        repeated = {change.key for change in now.changes}
        outcomes = [(c, o) for c, o in outcomes if c.key not in repeated] + sending.outcomes
        seen, now = _close(sending, now, outcomes, planner, journal.history)
        settled = {change.key for change, came in outcomes if isinstance(came, Skipped | Refused)}
        again = [change for change in now.changes if change.key not in settled]
        approved = {change.key for change in planned.changes}
        if not again or (only and any(change.key not in approved for change in again)):
            break
    result = Result(planned, tuple(outcomes), seen, now, _requests(tenant))
    if now.empty and owed:
        journal.paid()
    if not now.empty and not result.failed and all(isinstance(o, Applied) for _, o in outcomes):
        raise NotConverged(
            f"every write was accepted, and {len(now.changes)} changes are still to be made: "
            + ", ".join(f"{c.verb} {c.target}" for c in now.changes[:5]),
            hint="run plan to see them; if they stay, somebody or something else is changing them back",
        )
    return result


def _close(
    sending: Sending, sent: Plan, outcomes: Sequence[tuple[Change, Outcome]], planner: Planner, history: History
) -> tuple[Snapshot, Plan]:
    """Observe until the plan shows no change that was applied: a write is believed when it is read back."""
    want, tenant, patience = sending.want, sending.tenant, sending.patience
    applied = {change.key for change, came in outcomes if isinstance(came, Applied)}
    moved = any(
        change.step == "exchange" or isinstance(write, _TAKING) for change in sent.changes for write in change.writes
    )
    memory = Memory(history, sending.seen.owed, {} if moved else sending.seen.holdings)

    found = patience.settle(
        lambda: look(want, tenant, patience, memory, planner),
        until=lambda found: not any(change.key in applied for change in found[1].changes),
        steady=STEADY,
        why="what was written does not show everywhere yet",
    )
    sending.seen = found[0]
    if sending.remove_stray_secrets():
        found = look(want, tenant, patience, memory, planner)
    return found


def _requests(tenant: Tenant) -> dict[str, int]:
    return {"graph": tenant.directory.requests, "remoting": tenant.exchange.requests}
