"""The enterprise application: the registration's presence in this tenant, whose object ID Exchange needs.

The tag makes the portal's list of enterprise applications show it (azure-powershell#7646).
"""

from collections.abc import Iterator
from dataclasses import replace

from ..plan import Change, Drift, Refusal
from ..playbook import Playbook
from ..snapshot import AppId, Snapshot
from ..tenant import Tenant
from ..writes import APP_ID, PRINCIPAL, CreatePrincipal, TagPrincipal
from .application import called

MANAGED = "ManagedIdentity"  # servicePrincipalType
PORTAL_TAG = "WindowsAzureActiveDirectoryIntegratedApp"


def observe(want: Playbook, tenant: Tenant, seen: Snapshot) -> Snapshot:
    if want.app.managed_identity is not None:
        return _identity(want.app.managed_identity, tenant, seen)
    if want.app.registered_in and want.app.id is not None:
        found = tenant.directory.principal(want.app.id)
        return replace(seen, principal=found, managed=found is not None, consent_address=tenant.consent)
    app_id = seen.application.app_id if seen.application else want.app.id
    return seen if app_id is None else replace(seen, principal=tenant.directory.principal(app_id))


def _identity(id_: str, tenant: Tenant, seen: Snapshot) -> Snapshot:
    """A managed identity by its client ID, else by its object ID. Never made here: Azure makes it with its workload."""
    found = tenant.directory.principal(AppId(id_)) or tenant.directory.principal_by_object_id(id_)
    if found is None or found.kind != MANAGED:
        return replace(seen, principal=None, managed=False, stranger=found)
    return replace(seen, principal=found, managed=True, stranger=None)


def no_identity(want: Playbook, seen: Snapshot) -> Refusal:
    """Why there is no managed identity to give access to."""
    what = "no service principal of this tenant has this client ID or object ID"
    hint = "copy it from the workload's Identity page in Azure; the workload must be in a subscription of this tenant"
    if seen.stranger is not None:
        what = f"it is {seen.stranger.name!r}, of the type {seen.stranger.kind}, and no managed identity"
        hint = "an application is named under `id`, and a new one gets `key` and `name`"
    return Refusal("principal", str(want.app.managed_identity), what, hint, str(want.app.place))


def plan(want: Playbook, seen: Snapshot) -> Iterator[Change | Refusal | Drift]:
    mine, name = seen.principal, called(want, seen)
    if want.app.managed_identity is not None and mine is None:
        yield no_identity(want, seen)
        return
    if want.app.registered_in and mine is None:
        yield Refusal(
            "principal", str(want.app.id),
            f"the application of {want.app.registered_in} has no enterprise application in this tenant: consent comes first",
            f"run this again once an administrator of {want.tenant} has accepted at {seen.consent_address}",
            str(want.app.place), others_turn=True,
        )  # fmt: skip
        return
    if mine is None:
        yield Change(
            "principal", "create", name, None, {"tags": [PORTAL_TAG]},
            (CreatePrincipal(APP_ID, (PORTAL_TAG,)),), "the application has no enterprise application in this tenant",
        )  # fmt: skip
        return
    if not mine.enabled:
        yield Refusal(
            "principal", name, "sign-in is disabled on the enterprise application (accountEnabled is false)",
            "somebody switched it off; exosp does not switch it on. Ask them, then enable it under Enterprise applications",
        )  # fmt: skip
    if PORTAL_TAG not in mine.tags and not seen.managed:
        tags = (*mine.tags, PORTAL_TAG)
        yield Change(
            "principal", "update", name, {"tags": list(mine.tags)}, {"tags": list(tags)},
            (TagPrincipal(PRINCIPAL, tags),), "without the tag the portal's list of enterprise applications hides it",
        )  # fmt: skip
