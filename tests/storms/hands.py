"""What an administrator's hands do to the application of the quickstart, as the services' own state after they did it."""

from typing import Any

from shape import LABEL

from exosp.sandbox import catalog
from exosp.sandbox.directory import EXCHANGE_ONLINE, Entity
from exosp.sandbox.exchange import Row
from exosp.sandbox.tenant import Tenant


def application(tenant: Tenant) -> Entity | None:
    rows = tenant.directory.applications.values()
    return next((app for app in rows if app.properties["uniqueName"] == LABEL), None)


def principal(tenant: Tenant) -> Entity | None:
    app = application(tenant)
    return None if app is None else tenant.directory.principal(app.properties["appId"])


def entries(tenant: Tenant) -> list[Row]:
    app = application(tenant)
    held = tenant.exchange.service_principals
    return [] if app is None else [row for row in held if row["AppId"] == app.properties["appId"]]


def owned(tenant: Tenant, object_id: str) -> None:
    """The one who provisions becomes an owner of this application."""
    admin = tenant.directory.principal(tenant.admin_app_id)
    assert admin is not None
    tenant.directory.applications[object_id].owners.add(admin.id)


def delete_principal(tenant: Tenant) -> None:
    """The enterprise application goes into the recycle bin: its assignments end, and Exchange's entry is gone with it."""
    gone = principal(tenant)
    if gone is None:
        return
    directory = tenant.directory
    gone.properties["deletedDateTime"] = tenant.clock.iso()
    directory.deleted_service_principals[gone.id] = directory.service_principals.pop(gone.id)
    for row in list(directory.app_role_assignments.values()):
        if row.properties["principalId"] == gone.id:
            del directory.app_role_assignments[row.id]
    held = tenant.exchange.service_principals
    held[:] = [row for row in held if row["ObjectId"] != gone.id]


def delete_application(tenant: Tenant) -> None:
    """The registration goes into the recycle bin, and its enterprise application with it."""
    gone = application(tenant)
    if gone is None:
        return
    delete_principal(tenant)
    gone.properties["deletedDateTime"] = tenant.clock.iso()
    tenant.directory.deleted_applications[gone.id] = tenant.directory.applications.pop(gone.id)


def wrong_entry(tenant: Tenant, *unlisted: str, send_as: str = "", object_id: str = "") -> None:
    """The classic mistake: Exchange's entry bears the application's own object ID (or another), and what was granted is
    granted to it. ``unlisted``: mailboxes that it holds FullAccess on besides."""
    app, exchange = application(tenant), tenant.exchange
    assert app is not None
    rights = [(box, row) for box in exchange.mailboxes for row in box.permissions]
    senders = [(box, row) for box in exchange.mailboxes for row in box.recipient_permissions]
    old = [row["ObjectId"] for row in entries(tenant)]
    exchange.service_principals[:] = [row for row in exchange.service_principals if row["ObjectId"] not in old]
    name = app.properties["displayName"]
    wrong = exchange.add_service_principal(app.properties["appId"], object_id or app.id, name)
    for box, row in rights:
        if row["_trustee"] in old:
            box.permissions.remove(row)
            exchange.add_permission(box, wrong)
    for _, row in senders:
        if row["_trustee"] in old:
            row.properties |= {"Trustee": wrong["ObjectId"], "_trustee": wrong["ObjectId"]}
    for address in unlisted:
        grant(tenant, address, wrong["ObjectId"])
    if send_as:
        grant_send_as(tenant, send_as, wrong["ObjectId"])


def second_entry(tenant: Tenant, object_id: str) -> None:
    """Another entry of Exchange that bears our AppId."""
    app = application(tenant)
    assert app is not None
    tenant.exchange.add_service_principal(app.properties["appId"], object_id, app.properties["displayName"])


def grant(tenant: Tenant, address: str, trustee: str, *rights: str) -> None:
    box = tenant.exchange.by_address(address)
    assert box is not None
    tenant.exchange.add_ace(box, trustee, list(rights) or ["FullAccess"])


def grant_send_as(tenant: Tenant, address: str, trustee: str) -> None:
    box = tenant.exchange.by_address(address)
    assert box is not None
    properties: dict[str, Any] = {
        "Identity": box.properties["Identity"], "Trustee": trustee, "AccessControlType": "Allow",
        "AccessRights": ["SendAs"], "IsInherited": False, "InheritanceType": "None",
        "IsValid": True, "ObjectState": "Unchanged", "_trustee": trustee,
    }  # fmt: skip
    box.recipient_permissions.append(Row(properties, tenant.clock.now()))


def consents(tenant: Tenant, *values: str) -> None:
    """More roles than the playbook asks for."""
    held = principal(tenant)
    assert held is not None
    for value in values:
        catalog.assign(tenant.directory, held, EXCHANGE_ONLINE, value)
