"""The chain, in order. Each step is one file that knows one kind of thing: how to read it, how to compare it, and what
to write. A new step is one file and one line here.

A step is a module with two functions::

    observe(want, tenant, seen) -> Snapshot    reads its part; asks once, never waits
    plan(want, seen) -> Iterator[Change | Refusal | Drift]     pure
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import ModuleType
from typing import Protocol, cast

from ..plan import Change, Drift, Plan, Refusal
from ..playbook import Playbook
from ..snapshot import Holdings, Snapshot
from ..tenant import Tenant
from . import application, consent, credential, exchange, grants, principal, protocols, rbac


class Step(Protocol):
    __name__: str

    def observe(self, want: Playbook, tenant: Tenant, seen: Snapshot) -> Snapshot: ...

    def plan(self, want: Playbook, seen: Snapshot) -> Iterator[Change | Refusal | Drift]: ...


_CHAIN: tuple[ModuleType, ...] = (application, principal, consent, credential, exchange, rbac, grants, protocols)
STEPS: tuple[Step, ...] = cast("tuple[Step, ...]", _CHAIN)


def name(step: Step) -> str:
    """The step's id is its file name."""
    return step.__name__.rpartition(".")[2]


BY_NAME = {name(step): step for step in STEPS}


def observe(want: Playbook, tenant: Tenant, holdings: Mapping[str, Holdings] | None = None) -> Snapshot:
    """Read all that the playbook speaks of. ``holdings`` are those that need not be read again."""
    seen = Snapshot(tenant_id=tenant.tenant_id, at=datetime.now(UTC), holdings=holdings or {})
    for step in STEPS:
        seen = step.observe(want, tenant, seen)
    return seen


def plan(want: Playbook, seen: Snapshot) -> Plan:
    """The one diff: what must change for the tenant to be as the playbook says. Raises PlaybookError where what was
    observed shows the playbook itself to be wrong."""
    steps = STEPS
    if application.unavailable(want, seen):
        steps = STEPS[:2] if want.app.managed_identity or want.app.registered_in else STEPS[:1]
    found = [item for step in steps for item in step.plan(want, seen)]
    return Plan(
        scope=(want.tenant, want.app.unique_name),
        changes=tuple(item for item in found if isinstance(item, Change)),
        refused=tuple(item for item in found if isinstance(item, Refusal)),
        drift=tuple(item for item in found if isinstance(item, Drift)),
        modes=rbac.modes(want),
    )
