"""What is to be done, as a value: ordered changes, what is refused and why, drift, and a digest. Pure."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from .snapshot import Snapshot
from .writes import Write, as_json

Verb = Literal["create", "update", "consent", "add", "grant", "switch"]


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

    def same_as(self, other: "Change") -> bool:
        """Whether both would send the same, whatever has become known in between."""
        mine = (self.step, self.verb, self.target, self.writes)
        return mine == (other.step, other.verb, other.target, other.writes)


@dataclass(frozen=True)
class Refusal:
    """Something the playbook asks for that cannot or must not be done; the rest goes on without it."""

    step: str
    target: str
    what: str
    hint: str
    where: str = ""


@dataclass(frozen=True)
class Drift:
    """Something true in the tenant that the playbook does not say. Shown, never mended unasked."""

    step: str
    target: str
    what: str


@dataclass(frozen=True)
class Plan:
    """``scope`` names what was planned for: tenant and application."""

    scope: tuple[str, str]
    changes: tuple[Change, ...]
    refused: tuple[Refusal, ...] = ()
    drift: tuple[Drift, ...] = ()

    @property
    def empty(self) -> bool:
        return not self.changes

    @property
    def digest(self) -> str:
        """SHA-256 over all that would be sent and all that is refused, as hex. The same plan has the same digest."""
        content = {
            "scope": self.scope,
            "changes": [[c.step, c.verb, c.target, [as_json(write) for write in c.writes]] for c in self.changes],
            "refused": [[r.step, r.target, r.what] for r in self.refused],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

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
