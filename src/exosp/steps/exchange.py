"""Exchange's own record of the application: New-ServicePrincipal with the enterprise application's object ID.

An entry with any other object ID makes every login fail and says so nowhere else
(office-developer-exchange-docs PR 304, PR 332; Set-ServicePrincipal cannot change it).
"""

from collections.abc import Iterator
from dataclasses import replace

from ..plan import Change, Drift, Refusal
from ..playbook import Playbook
from ..snapshot import Snapshot
from ..tenant import Tenant
from ..writes import APP_ID, PRINCIPAL, NewServicePrincipal


def observe(want: Playbook, tenant: Tenant, seen: Snapshot) -> Snapshot:
    if seen.application is None:
        return seen
    return replace(seen, entries=tenant.exchange.entries(seen.application.app_id))


def plan(want: Playbook, seen: Snapshot) -> Iterator[Change | Refusal | Drift]:
    app, mine = seen.application, seen.principal
    entries = [e for e in seen.entries if app is not None and e.app_id.lower() == app.app_id.lower()]
    right = [e for e in entries if mine is not None and e.object_id.lower() == mine.object_id.lower()]
    for entry in entries:
        if entry in right:
            continue
        own = app is not None and entry.object_id.lower() == app.object_id.lower()
        what = (
            "the application's own object ID (the one on App registrations)"
            if own
            else "an object ID that is not its enterprise application's"
        )
        yield Refusal(
            "exchange", entry.name,
            f"Exchange holds this application under {what}, {entry.object_id}: every login with it fails",
            f"note its grants, then Remove-ServicePrincipal -Identity {entry.identity}, and run apply again",
        )  # fmt: skip
    if not entries:
        yield Change(
            "exchange", "create", want.app.name, None, {"ObjectId": "the enterprise application's object ID"},
            (NewServicePrincipal(APP_ID, PRINCIPAL, want.app.name),), "Exchange does not know the application",
        )  # fmt: skip
