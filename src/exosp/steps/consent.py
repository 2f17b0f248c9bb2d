"""Admin consent: the app role assignments that a token's ``roles`` come from.

Where people sign in there is none to give: each consents for oneself, and to speak for everybody is not exosp's.
Role ids are looked up by value on the tenant's own resource principal: clouds differ (ScubaGear, GCC High).
Source: learn.microsoft.com/graph/api/serviceprincipal-post-approleassignedto.
"""

from collections.abc import Iterator
from dataclasses import replace

from ..plan import Change, Drift, Refusal
from ..playbook import Playbook
from ..snapshot import Snapshot
from ..tenant import Tenant
from ..writes import PRINCIPAL, RESOURCE, AssignRole, RemoveAssignment
from .application import ROLE_OF


def observe(want: Playbook, tenant: Tenant, seen: Snapshot) -> Snapshot:
    if seen.principal is None:
        return seen
    return replace(seen, assignments=tenant.directory.assignments(seen.principal.object_id))


def plan(want: Playbook, seen: Snapshot) -> Iterator[Change | Refusal | Drift]:
    if seen.resource is None:
        return
    held = {row.role for row in seen.assignments if row.resource == seen.resource.object_id}
    for protocol in () if want.delegated else want.claimed():
        value = ROLE_OF[protocol]
        role = seen.resource.roles.get(value)
        if role is not None and role not in held and want.app.registered_in:
            yield Refusal(
                "consent", value, f"{want.tenant} has not consented to it, and {protocol.upper()} tokens need it",
                f"the application asks for it once apply in {want.app.registered_in} has run; then an administrator accepts at "
                f"{seen.consent_address}", str(want.app.place), others_turn=True,
            )  # fmt: skip
        elif role is not None and role not in held:
            yield Change(
                "consent", "consent", value, None, {"role": value, "resource": "Office 365 Exchange Online"},
                (AssignRole(PRINCIPAL, RESOURCE, role, value),), f"{protocol.upper()} tokens need the role {value}",
            )  # fmt: skip
    yield from _beyond(want, seen)


def _beyond(want: Playbook, seen: Snapshot) -> Iterator[Change | Drift]:
    """Roles that tokens carry and no protocol of the playbook needs. Those on other resources than Exchange Online are
    shown and never taken away: what they are for is not the playbook's affair."""
    assert seen.resource is not None
    asked = () if want.delegated else want.claimed()
    needed = {seen.resource.roles.get(ROLE_OF[protocol]) for protocol in asked}
    names = {role: value for value, role in seen.resource.roles.items()}
    for row in seen.assignments:
        if row.resource != seen.resource.object_id:
            yield Drift("consent", row.role, f"the application holds this role on another resource, {row.resource}")
        elif row.role not in needed:
            value = names.get(row.role, row.role)
            what = "consented to, and no protocol of the playbook needs it"
            if want.prune:
                yield Change(
                    "consent", "remove", value, {"role": value}, None,
                    (RemoveAssignment(PRINCIPAL, row.id, value),), f"{what}; and prune is on",
                )  # fmt: skip
            else:
                yield Drift("consent", value, what, access=True)
