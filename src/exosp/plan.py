"""What is to be done, as a value: ordered changes, what is refused and why, drift, and a digest. Pure.

A saved plan is a JSON document whose digest can be made again from its own content. It is compared with what is planned
when it is to be applied, and nothing in it is ever sent.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .errors import PlanRefused, UsageError
from .snapshot import Snapshot
from .writes import (
    AddMailboxPermission,
    AddRecipientPermission,
    GraphWrite,
    RemoveMailboxPermission,
    RemoveRecipientPermission,
    Write,
    as_json,
)

Verb = Literal["create", "update", "restore", "consent", "add", "renew", "grant", "switch", "repair", "remove"]


@dataclass(frozen=True)
class Change:
    """One verb on one target. ``before`` and ``after`` are plain data for people; ``writes`` is what will be sent."""

    step: str
    verb: Verb
    target: str
    before: Any
    after: Any
    writes: tuple[Write, ...]
    why: str
    last: bool = False  # sent only where nothing before it failed: it takes away what the rest is found by

    @property
    def key(self) -> Hashable:
        """What two changes have in common that would send the same, whatever has become known in between."""
        return (self.step, self.verb, self.target, self.writes)


@dataclass(frozen=True)
class Refusal:
    """Something the playbook asks for that cannot or must not be done; the rest goes on without it. ``others_turn``: nothing
    is wrong, somebody else must act first."""

    step: str
    target: str
    what: str
    hint: str
    where: str = ""
    others_turn: bool = False


@dataclass(frozen=True)
class Drift:
    """Something true in the tenant that the playbook does not say. Shown, never mended unasked. ``access``: it lets the
    application do more with mailboxes than the playbook lists, so the tenant is not proven to be as the playbook says."""

    step: str
    target: str
    what: str
    access: bool = False


@dataclass(frozen=True)
class Plan:
    """``scope`` names what was planned for: tenant and application. ``modes``: by what each protocol lets the application in,
    where that differs from one to the other."""

    scope: tuple[str, str]
    changes: tuple[Change, ...]
    refused: tuple[Refusal, ...] = ()
    drift: tuple[Drift, ...] = ()
    modes: tuple[tuple[str, str], ...] = ()

    @property
    def empty(self) -> bool:
        return not self.changes

    @property
    def digest(self) -> str:
        """SHA-256 over all that would be sent and all that is refused, as hex. The same plan has the same digest."""
        changes = [[c.step, c.verb, c.target, [as_json(write) for write in c.writes]] for c in self.changes]
        return _digest(self.scope, changes, [[r.step, r.target, r.what] for r in self.refused])

    def counts(self) -> Counter[str]:
        """How many changes a step has."""
        return Counter(change.step for change in self.changes)

    def as_json(self, seen: Snapshot | None = None) -> dict[str, Any]:
        """The plan as the document of that name; Refs show their values where ``seen`` knows them."""
        return {
            "changes": [change_json(change, seen) for change in self.changes],
            "refused": [
                {
                    "step": r.step,
                    "target": r.target,
                    "what": r.what,
                    "hint": r.hint,
                    **({"where": r.where} if r.where else {}),
                }
                for r in self.refused
            ],
            "drift": [{"step": d.step, "target": d.target, "what": d.what} for d in self.drift],
            "digest": self.digest,
            **({"modes": dict(self.modes)} if self.modes else {}),
        }


def change_json(change: Change, seen: Snapshot | None = None) -> dict[str, Any]:
    return {
        "step": change.step,
        "verb": change.verb,
        "target": change.target,
        "before": change.before,
        "after": change.after,
        "writes": [as_json(write, seen) for write in change.writes],
        "why": change.why,
    }


def _digest(scope: Any, changes: Any, refused: Any) -> str:
    content = {"scope": scope, "changes": changes, "refused": refused}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


# Guard rails

MOST_REMOVALS = 10  # grants that one run takes away unasked
MOST_SHARE = 0.3  # of the grants that stand, where at least so many do:
FROM = 10

_TAKING = (RemoveMailboxPermission, RemoveRecipientPermission)
_GIVING = (AddMailboxPermission, AddRecipientPermission)


@dataclass(frozen=True)
class Limits:
    """What the one who runs exosp allows beyond the guard rails."""

    removals: int = 0
    foreign: bool = False


def removals(plan: Plan) -> int:
    """How many grants a plan takes away. One that the same change gives again is not taken."""
    return sum(_taken(change) for change in plan.changes)


def _taken(change: Change) -> int:
    given = {(type(w) is AddMailboxPermission, w.mailbox) for w in change.writes if isinstance(w, _GIVING)}
    taken = [(type(w) is RemoveMailboxPermission, w.mailbox) for w in change.writes if isinstance(w, _TAKING)]
    return sum(grant not in given for grant in taken)


def guard(plan: Plan, seen: Snapshot, limits: Limits, *, foreign: str = "", earlier: int = 0) -> None:
    """Raise PlanRefused where a plan goes beyond the guard rails. ``foreign``: why the application is not ours, or empty;
    ``earlier``: grants that the same run has taken away already."""
    gone = removals(plan) + earlier
    held = seen.holdings.values()
    standing = earlier + sum(not row.deny for rights in held for row in rights.permissions)
    standing += sum(not row.deny for rights in held for row in rights.recipient_permissions)
    if gone > limits.removals and (gone > MOST_REMOVALS or (standing >= FROM and gone > MOST_SHARE * standing)):
        raise PlanRefused(
            f"{gone} grants would be taken away, of {standing} that the application has; unasked it is at most "
            f"{MOST_REMOVALS}, and {MOST_SHARE:.0%} where {FROM} or more stand",
            hint=f"nothing of it was sent. Look at the plan; if that is what you want, run again with --allow-removals {gone}",
        )
    ours_not = [change for change in plan.changes if any(isinstance(write, GraphWrite) for write in change.writes)]
    if foreign and ours_not and not limits.foreign:
        raise PlanRefused(
            f"{_count_changes(ours_not)} would change an application that is not this playbook's: {foreign}",
            hint="nothing of it was sent. If it is yours to change, run again with --allow-foreign",
        )


def _count_changes(changes: Sequence[Change]) -> str:
    return f"{len(changes)} change{'' if len(changes) == 1 else 's'}"


# Saved plans

SAVED = "exosp/saved-plan/1"


def saved(plan: Plan) -> str:
    """The plan as a file. What only the cloud can choose stays a name in angle brackets."""
    return json.dumps({"schema": SAVED, "scope": plan.scope, **plan.as_json()}, indent=2) + "\n"


def must_be_as_saved(text: str, now: Plan, where: str) -> None:
    """Raise PlanRefused unless ``now`` is the plan that ``text`` holds, UsageError where it holds none."""
    digest, kept = _read(text, where)
    if digest == now.digest:
        return
    planned = {_line(change_json(change)): f"{change.verb} {change.target}" for change in now.changes}
    gone = [shown for line, shown in kept.items() if line not in planned]
    new = [shown for line, shown in planned.items() if line not in kept]
    parts = [f"{len(gone)} of its changes would not be made now{_some(gone)}"] if gone else []
    parts += [f"{len(new)} changes are not in it{_some(new)}"] if new else []
    raise PlanRefused(
        "the saved plan is not what the playbook and the tenant call for now: "
        + ("; ".join(parts) or "it is for another tenant or application, or other things are refused"),
        where=where,
        hint="nothing was sent. Save the plan again, look at it, and apply that one",
    )


def _read(text: str, where: str) -> tuple[str, dict[str, str]]:
    """A saved plan's digest and its changes, each as a line to compare by and as a text for people."""
    try:
        held = json.loads(text)
        if held["schema"] != SAVED:
            raise UsageError(
                f"it is no saved plan of this version: its schema is {str(held['schema'])[:60]!r}, not {SAVED!r}",
                where=where,
                hint="make it with plan --out",
            )
        changes = [[c["step"], c["verb"], c["target"], c["writes"]] for c in held["changes"]]
        made_again = _digest(held["scope"], changes, [[r["step"], r["target"], r["what"]] for r in held["refused"]])
        digest = str(held["digest"])
        kept = {_line(change): f"{change['verb']} {change['target']}" for change in held["changes"]}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError("it is no saved plan", where=where, hint="make one with plan --out") from None
    if made_again != digest:
        raise PlanRefused(
            "the saved plan has been changed since it was saved: its digest does not fit its content",
            where=where,
            hint="nothing was sent. A saved plan is compared, never obeyed: change the playbook, and save the plan again",
        )
    return digest, kept


def _line(change: Any) -> str:
    return json.dumps([change["step"], change["verb"], change["target"], change["writes"]], sort_keys=True)


def _some(shown: list[str]) -> str:
    more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
    return f" ({', '.join(text[:80] for text in shown[:3])}{more})"
