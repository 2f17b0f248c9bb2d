"""Management role assignments of applications, and Test-ServicePrincipalAuthorization. Sources: the cmdlets' help; FACTS §3;
the application-rbac article. Columns are those that public scripts read (Name, Role, RoleAssignee, RoleAssigneeName,
RoleAssigneeType, App, RecipientWriteScope, CustomRecipientWriteScope, CustomResourceScope, RecipientAdministrativeUnitScope).

Not imitated: assignments to people, groups and policies (some built-in ones are shown, so that nobody takes every row for an
application's), delegating assignments, management roles for applications, Set-ManagementRoleAssignment.
"""

import uuid
from collections.abc import Iterator
from typing import Any

from .. import rbac
from ..exchange import Row
from . import lookup
from .management_scopes import one as scope_of
from .management_scopes import refuse_long, refuse_taken
from .outcome import Failure, Item, Output
from .session import Call, Cmdlet, exchange_error

TYPES = ("Deserialized.Microsoft.Exchange.Management.RbacTasks.RoleAssignmentPresentation", "System.Object")
TESTED = ("Deserialized.Microsoft.Exchange.Management.RbacTasks.ServicePrincipalAuthorization", "System.Object")
_SCOPES = ("CustomResourceScope", "RecipientGroupScope", "RecipientAdministrativeUnitScope")
_BUILT_IN = (
    ("Mail Recipients", "Organization Management"), ("Role Management", "Organization Management"),
    ("Mail Recipients", "Recipient Management"), ("View-Only Recipients", "Help Desk"),
)  # fmt: skip


def _item(row: dict[str, Any]) -> Item:
    shown = {name: value for name, value in row.items() if not name.startswith("_")}
    return Item(TYPES, shown | {"Guid": uuid.UUID(row["Guid"])}, row["Identity"])


def _app(call: Call, identity: str) -> Row:
    """An application by any name of its entry; the vendor's examples use display names too."""
    rows = lookup.principals(call.tenant)
    found = lookup.matching_principals(rows, identity) or lookup.matching_principals(rows, identity, display_name=True)
    if len(found) == 1:
        return found[0]
    raise lookup.ambiguous(call, identity) if found else lookup.not_found(call, identity)


def _role(call: Call, identity: str) -> str:
    found = next((name for name in rbac.ROLES if name.lower() == identity.lower()), None)
    if found is None:
        raise lookup.not_found(call, identity)
    return found


def _narrowed(call: Call) -> dict[str, Any]:
    """The columns of what narrows the assignment. Raises Failure."""
    given = [name for name in _SCOPES if call.text(name)]
    if len(given) > 1:
        raise exchange_error(
            call,
            "Microsoft.Exchange.Configuration.Tasks.TaskArgumentException",
            f"You can't use the {given[0]} and {given[1]} parameters together. Only one scope can be specified.",
            "ExD29A04",
        )
    if not given:
        return {"_scope": ""}
    text = str(call.text(given[0]))
    if given[0] == "CustomResourceScope":
        name = str(scope_of(call, text)["Name"])
        return {"RecipientWriteScope": "CustomRecipientScope", "CustomRecipientWriteScope": name,
                "CustomResourceScope": name, "_scope": name}  # fmt: skip
    if given[0] == "RecipientAdministrativeUnitScope":
        unit = next((u for u in call.exchange.units if text.lower() in (u.id.lower(), u.name.lower())), None)
        if unit is None:
            raise lookup.not_found(call, text)
        return {"RecipientWriteScope": "AdministrativeUnit", "CustomRecipientWriteScope": unit.id,
                "CustomResourceScope": unit.id, "RecipientAdministrativeUnitScope": unit.id, "_scope": unit.id}  # fmt: skip
    groups = [group for group in call.exchange.groups if text.lower() in group.names()]
    if len(groups) != 1:
        raise lookup.ambiguous(call, text) if groups else lookup.not_found(call, text)
    held = groups[0].properties
    shown = f"{held['Name']}_{held['ExternalDirectoryObjectId']}"
    return {"RecipientWriteScope": "Group", "CustomRecipientWriteScope": shown, "CustomResourceScope": shown,
            "_scope": held["DistinguishedName"]}  # fmt: skip


def new(call: Call) -> Iterator[Output]:
    refuse_long(call, "Name")
    role, app = _role(call, call.values["Role"]), _app(call, call.values["App"])
    narrowed = _narrowed(call)
    exchange = call.exchange
    name = call.text("Name") or _free(call, f"{role}-{app['DisplayName'] or app['ObjectId']}")
    if any(str(row["Name"]).lower() == name.lower() for row in exchange.management_role_assignments):
        raise refuse_taken(call, "management role assignment", name)
    if not call.confirm(f"Creating the management role assignment '{name}'.", high=False):
        return
    rbac.changing(call.tenant, str(app["ObjectId"]))
    row = Row(exchange.assignment(name, role, exchange.assignee(app)) | narrowed, call.tenant.clock.now())
    exchange.management_role_assignments.append(row)
    yield _item(row.properties)


def _free(call: Call, name: str) -> str:
    """A name of Exchange's own choosing: role and assignee, numbered where it is taken."""
    taken = {str(row["Name"]).lower() for row in call.exchange.management_role_assignments}
    name, number = name[:64], 0
    while name.lower() in taken:
        number += 1
        name = f"{name[:60]}-{number}"
    return name


def _all(call: Call) -> list[dict[str, Any]]:
    lookup.principals(call.tenant)  # those whose enterprise application is gone go first, and theirs with them
    rows = [row.properties for row in call.exchange.management_role_assignments]
    for role, group in _BUILT_IN:
        name = f"{role}-{group}"
        assignee = {"RoleAssignee": group, "RoleAssigneeName": group, "RoleAssigneeType": "RoleGroup", "EffectiveUserName": "All Group Members",
                    "Guid": str(uuid.uuid5(uuid.NAMESPACE_URL, name))}  # fmt: skip
        rows.append(call.exchange.assignment(name, role, assignee))
    return rows


def get(call: Call) -> Iterator[Output]:
    rows = _all(call)
    identity, kind, role = call.text("Identity"), call.text("RoleAssigneeType"), call.text("Role")
    if identity is not None:
        found = [
            r for r in rows if identity.lower() in {str(r[n]).lower() for n in ("Name", "DistinguishedName", "Guid")}
        ]
        if not found and not lookup.unknown_returns_all(call):
            raise lookup.not_found(call, identity)
        rows = found or rows
    if kind is not None:
        rows = [row for row in rows if row["RoleAssigneeType"].lower() == kind.lower()]
    if role is not None:
        rows = [row for row in rows if row["Role"].lower() == role.lower()]
    assignee = call.text("RoleAssignee")
    if assignee is not None:
        try:
            app = _app(call, assignee)
        except Failure:
            rows = [row for row in rows if row["RoleAssignee"].lower() == assignee.lower()]
            if not rows:
                raise
        else:
            rows = [row for row in rows if row["App"] == app["ObjectId"]]
    for row in rows:
        yield _item(row)


def remove(call: Call) -> Iterator[Output]:
    identity = str(call.values["Identity"])
    exchange = call.exchange
    for row in exchange.management_role_assignments:
        if identity.lower() in {str(row[name]).lower() for name in ("Name", "DistinguishedName", "Guid")}:
            break
    else:
        raise lookup.not_found(call, identity)
    if call.confirm(f"Removing the management role assignment '{row['Name']}'.", high=True):
        rbac.changing(call.tenant, str(row["App"]))
        exchange.management_role_assignments.remove(row)
    yield from ()


_TYPES = {"Organization": "Organization", "CustomRecipientScope": "CustomRecipientScope",
          "AdministrativeUnit": "AdministrativeUnit", "Group": "Group"}  # fmt: skip


def test(call: Call) -> Iterator[Output]:
    """What the roles say now: it bypasses the cache, and knows nothing of Entra's grants and of mailbox permissions."""
    app, resource = _app(call, call.values["Identity"]), call.text("Resource")
    mailbox = lookup.one(call, resource) if resource is not None else None
    held = [
        row for row in call.exchange.management_role_assignments if row["App"] == app["ObjectId"] and row["Enabled"]
    ]
    for row, grant in zip(held, rbac.grants(call.exchange, str(app["ObjectId"])), strict=True):
        in_scope = "Not Run" if mailbox is None else str(rbac.covers(call.exchange, grant, mailbox))
        properties = {
            "RoleName": row["Role"], "GrantedPermissions": rbac.ROLES[row["Role"]],
            "AllowedResourceScope": row["CustomResourceScope"] or "Organization",
            "ScopeType": _TYPES[row["RecipientWriteScope"]], "InScope": in_scope,
        }  # fmt: skip
        yield Item(TESTED, properties, str(row["Role"]))


_ASK = frozenset({"Confirm", "WhatIf"})
CMDLETS = {
    "New-ManagementRoleAssignment": Cmdlet(new, _ASK | {"Name", "Role", "App", *_SCOPES}, frozenset({"App"})),
    "Get-ManagementRoleAssignment": Cmdlet(get, frozenset({"Identity", "Role", "RoleAssignee", "RoleAssigneeType"})),
    "Remove-ManagementRoleAssignment": Cmdlet(remove, _ASK | {"Identity"}),
    "Test-ServicePrincipalAuthorization": Cmdlet(test, _ASK | {"Identity", "Resource"}),
}
