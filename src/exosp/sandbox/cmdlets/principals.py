"""The cmdlets for Exchange's service principals. Sources: their help; FACTS §2, §13; the application-rbac article.

Exchange only points to Entra's enterprise application: AppId and its *own* object ID. A pair that does not belong
together is refused or not, by the knob object-id-check; an enterprise application that has not arrived yet is refused
until its exchange-sync-lag is over.
"""

import uuid
from collections.abc import Iterator

from ..exchange import Row
from . import lookup
from .outcome import Failure, Item, Output
from .session import Call, Cmdlet, exchange_error

TYPES = ("Deserialized.Microsoft.Exchange.Data.Directory.Management.ServicePrincipal", "System.Object")
_SHOWN = (
    "DisplayName", "AppId", "ObjectId", "Identity", "Id", "Name", "Guid", "DistinguishedName", "RecipientType",
    "RecipientTypeDetails", "IsValid", "ObjectState",
)  # fmt: skip


def _item(row: Row) -> Item:
    return Item(TYPES, {name: row[name] for name in _SHOWN} | {"Guid": uuid.UUID(row["Guid"])}, row["Identity"])


def new(call: Call) -> Iterator[Output]:
    app_id, object_id = str(call.values["AppId"]).strip(), str(call.values["ObjectId"]).strip()
    tenant, exchange = call.tenant, call.exchange
    rows = lookup.principals(tenant)
    if any(app_id.lower() == r["AppId"].lower() or object_id.lower() == r["ObjectId"].lower() for r in rows):
        raise exchange_error(
            call,
            "Microsoft.Exchange.Data.Directory.ADObjectAlreadyExistsException",
            f"The service principal with AppId '{app_id}' or ObjectId '{object_id}' already exists in organization "
            f"'{tenant.domain}'.",
            "Ex9F1C02",
        )
    entity = tenant.directory.service_principals.get(object_id.lower())
    known = entity is not None and str(entity.properties["appId"]).lower() == app_id.lower()
    if tenant.faults["object-id-check"] and not (known and entity and entity.synced_at <= tenant.clock.now()):
        tenant.faults.note("exchange-sync-lag" if known else "object-id-check")
        raise _unregistered(call, app_id, object_id)
    if not call.confirm(f"Creating the service principal with AppId '{app_id}'.", high=False):
        return
    row = exchange.add_service_principal(
        app_id,
        entity.id if known and entity else object_id,
        str(call.values.get("DisplayName") or ""),
        effective_at=tenant.clock.now() + tenant.faults.draw("grant-lag"),
        entra=known,
    )
    yield _item(row)


def _unregistered(call: Call, app_id: str, object_id: str) -> Failure:
    """Field reports to August 2026 give the name and the beginning of the sentence; its middle is not known."""
    return exchange_error(
        call,
        "Microsoft.Exchange.Configuration.Tasks.TaskInvalidOperationException",
        f"AADServicePrincipalNotFound. No ServicePrincipal with Object Id '{object_id}' and App Id '{app_id}' is registered.",
        "Ex47B1E9",
    )


def _one(call: Call, identity: str) -> Row:
    found = lookup.matching_principals(lookup.principals(call.tenant), identity)
    if len(found) == 1:
        return found[0]
    raise lookup.ambiguous(call, identity) if found else lookup.not_found(call, identity)


def get(call: Call) -> Iterator[Output]:
    """All of them without -Identity; with an unknown one either all or an error (FACTS §2, the quoted trap)."""
    identity, rows = call.text("Identity"), list(lookup.principals(call.tenant))
    if identity is not None:
        found = lookup.matching_principals(rows, identity)
        if found:
            rows = found
        elif not lookup.unknown_returns_all(call):
            raise lookup.not_found(call, identity)
    for row in rows:
        yield _item(row)


def change(call: Call) -> Iterator[Output]:
    """Only the display name can be changed; a wrong id means remove and make anew (Set-ServicePrincipal's help)."""
    row = _one(call, call.values["Identity"])
    if "DisplayName" in call.values and call.confirm(f"Setting the service principal '{row['Identity']}'.", high=False):
        row.properties["DisplayName"] = str(call.values["DisplayName"] or "")
    yield from ()


def remove(call: Call) -> Iterator[Output]:
    """Its grants stay behind as bare SIDs (FACTS §2, Get-MailboxPermission: orphans), whoever comes after it."""
    row = _one(call, call.values["Identity"])
    if call.confirm(f"Removing the service principal '{row['Identity']}'.", high=True):
        call.exchange.remove_service_principal(row)
    yield from ()


CMDLETS = {
    "New-ServicePrincipal": Cmdlet(new, frozenset({"AppId", "ObjectId", "DisplayName", "Confirm", "WhatIf"})),
    "Get-ServicePrincipal": Cmdlet(get, frozenset({"Identity"})),
    "Set-ServicePrincipal": Cmdlet(change, frozenset({"Identity", "DisplayName", "Confirm", "WhatIf"})),
    "Remove-ServicePrincipal": Cmdlet(remove, frozenset({"Identity", "Confirm", "WhatIf"})),
}
