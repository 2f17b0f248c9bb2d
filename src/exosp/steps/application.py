"""The registration: found by its uniqueName, single tenant, asking for the roles that the protocols need.

What makes it ours is the uniqueName ``exosp-<key>``; a display name identifies nothing. requiredResourceAccess gains our
entries and keeps every other one.
Source: learn.microsoft.com/graph/api/application-upsert.
"""

from collections.abc import Iterator
from dataclasses import replace

from ..plan import Change, Drift, Refusal
from ..playbook import Playbook
from ..snapshot import EXCHANGE_ONLINE, RequiredResource, RoleId, Snapshot
from ..tenant import Tenant
from ..writes import UpsertApplication

AUDIENCE = "AzureADMyOrg"  # single tenant

ROLE_OF = {"imap": "IMAP.AccessAsApp", "pop": "POP.AccessAsApp", "smtp": "SMTP.SendAsApp"}


def observe(want: Playbook, tenant: Tenant, seen: Snapshot) -> Snapshot:
    return replace(
        seen,
        resource=tenant.directory.resource(EXCHANGE_ONLINE),
        application=tenant.directory.application(want.app.unique_name),
    )


def plan(want: Playbook, seen: Snapshot) -> Iterator[Change | Refusal | Drift]:
    if seen.resource is None:
        yield Refusal(
            "application",
            "Office 365 Exchange Online",
            "this tenant has no enterprise application of Exchange Online, so there is no permission to ask for",
            "the tenant needs a subscription with Exchange Online",
        )
        return
    missing = [ROLE_OF[p] for p in want.needed() if ROLE_OF[p] not in seen.resource.roles]
    if missing:
        yield Refusal(
            "application",
            "Office 365 Exchange Online",
            f"Exchange Online offers no application role {', '.join(missing)} in this tenant",
            "check that `cloud` and `tenant` in the playbook belong together",
        )
        return
    roles = tuple(seen.resource.roles[ROLE_OF[p]] for p in want.needed())
    values = sorted(ROLE_OF[p] for p in want.needed())
    app = seen.application
    required = _with(app.required if app else (), roles)
    write = UpsertApplication(want.app.unique_name, want.app.name, AUDIENCE, required)
    after = {"name": want.app.name, "signInAudience": AUDIENCE, "permissions": values}
    if app is None:
        yield Change(
            "application", "create", want.app.name, None, after, (write,),
            f"no application has the unique name {want.app.unique_name}",
        )  # fmt: skip
        return
    differs = []
    if app.name != want.app.name:
        differs.append(f"it is named {app.name!r}")
    if app.audience != AUDIENCE:
        differs.append(f"its audience is {app.audience}, not this tenant alone")
    if app.required != required:
        differs.append("it does not ask for every role that the protocols need")
    if differs:
        held = {id_ for entry in app.required if entry.resource == EXCHANGE_ONLINE for id_, _ in entry.access}
        names = sorted(value for value, id_ in seen.resource.roles.items() if id_ in held)
        before = {"name": app.name, "signInAudience": app.audience, "permissions": names}
        yield Change("application", "update", want.app.name, before, after, (write,), "; ".join(differs))


def _with(required: tuple[RequiredResource, ...], roles: tuple[RoleId, ...]) -> tuple[RequiredResource, ...]:
    """``required`` with these roles on Exchange Online added; order and every other entry stay."""
    ours = next((entry for entry in required if entry.resource == EXCHANGE_ONLINE), None)
    if ours is None:
        return (*required, RequiredResource(EXCHANGE_ONLINE, tuple((role, "Role") for role in roles)))
    have = {(id_.lower(), type_) for id_, type_ in ours.access}
    gained = tuple((role, "Role") for role in roles if (role.lower(), "Role") not in have)
    grown = RequiredResource(ours.resource, (*ours.access, *gained))
    return tuple(grown if entry is ours else entry for entry in required)
