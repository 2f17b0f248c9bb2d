"""The enterprise application: the registration's presence in this tenant, whose object ID Exchange needs.

The tag makes the portal's list of enterprise applications show it (azure-powershell#7646).
"""

from collections.abc import Iterator
from dataclasses import replace

from ..plan import Change, Drift, Refusal
from ..playbook import Playbook
from ..snapshot import Snapshot
from ..tenant import Tenant
from ..writes import APP_ID, PRINCIPAL, CreatePrincipal, TagPrincipal
from .application import called

PORTAL_TAG = "WindowsAzureActiveDirectoryIntegratedApp"


def observe(want: Playbook, tenant: Tenant, seen: Snapshot) -> Snapshot:
    app_id = seen.application.app_id if seen.application else want.app.id
    return seen if app_id is None else replace(seen, principal=tenant.directory.principal(app_id))


def plan(want: Playbook, seen: Snapshot) -> Iterator[Change | Refusal | Drift]:
    mine, name = seen.principal, called(want, seen)
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
    if PORTAL_TAG not in mine.tags:
        tags = (*mine.tags, PORTAL_TAG)
        yield Change(
            "principal", "update", name, {"tags": list(mine.tags)}, {"tags": list(tags)},
            (TagPrincipal(PRINCIPAL, tags),), "without the tag the portal's list of enterprise applications hides it",
        )  # fmt: skip
