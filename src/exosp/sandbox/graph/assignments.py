"""App role assignments, from the side of the one who holds them and from the side of the resource.

Sources: learn.microsoft.com/graph/api/serviceprincipal-post-approleassignments, -post-approleassignedto and their permission
pages (AppRoleAssignment.ReadWrite.All and Application.Read.All, both); terraform-provider-azuread's
app_role_assignment_resource.go for the refusals of a fresh enterprise application. Only enterprise applications are assigned.
"""

from .. import odata
from ..audit_log import assigned
from ..catalog import assignment_properties
from ..directory import Entity
from . import principals
from .wire import ASSIGNMENT_READ, Call, Reply, Route, Service, bad_request, forbidden, not_found, required

KIND = "appRoleAssignment"
_NO_ROLE = "00000000-0000-0000-0000-000000000000"


def _side(call: Call) -> str:
    return "resourceId" if "/approleassignedto" in call.path.lower() else "principalId"


def _collection(call: Call) -> str:
    return "appRoleAssignments"


def _rows(service: Service, call: Call, holder: Entity) -> list[Entity]:
    side = _side(call)
    return [row for row in service.directory.app_role_assignments.values() if row.properties[side] == holder.id]


def listing(service: Service, call: Call, **key: str) -> Reply:
    call.need(*ASSIGNMENT_READ)
    return service.page(call, KIND, _collection(call), _rows(service, call, principals.find(service, key)))


def _one(service: Service, call: Call, assignment: str, key: dict[str, str]) -> Entity:
    holder = principals.find(service, key)
    entity = service.by_id(service.directory.app_role_assignments, assignment)
    if entity.properties[_side(call)] != holder.id:
        raise not_found(assignment)
    return entity


def read(service: Service, call: Call, assignment: str, **key: str) -> Reply:
    call.need(*ASSIGNMENT_READ)
    return service.one(call, KIND, _collection(call), _one(service, call, assignment, key))


def _may_write(call: Call) -> None:
    if not (call.may("AppRoleAssignment.ReadWrite.All") and call.may(*ASSIGNMENT_READ)):
        raise forbidden()


def create(service: Service, call: Call, **key: str) -> Reply:
    _may_write(call)
    values = odata.check(KIND, call.json())
    for name in values:
        if name not in ("principalId", "resourceId", "appRoleId"):
            raise bad_request(f"Property '{name}' is read-only and cannot be set.")
    for name in ("principalId", "resourceId"):
        if not values.get(name):
            raise required(name, "AppRoleAssignment")
    holder, side = principals.find(service, key), _side(call)
    if values[side].lower() != holder.id:
        raise bad_request(f"Invalid value specified for property '{side}' of resource 'AppRoleAssignment'.")
    directory, faults, now = service.directory, service.tenant.faults, service.now()
    principal = directory.service_principals.get(values["principalId"].lower())
    resource = directory.service_principals.get(values["resourceId"].lower())
    for entity in (principal, resource):
        if entity is None or entity.usable_at > now:
            if entity:
                faults.note("assignment-lag")
            raise bad_request("Not a valid reference update.")
    assert principal is not None
    assert resource is not None
    role = str(values.get("appRoleId") or _NO_ROLE).lower()
    offered = {
        row["id"]
        for row in resource.properties["appRoles"]
        if row["isEnabled"] and "Application" in row["allowedMemberTypes"]
    }
    if role not in offered and (role != _NO_ROLE or offered):
        raise bad_request(f"Permission being assigned was not found on application '{resource.properties['appId']}'")
    wanted = {"principalId": principal.id, "resourceId": resource.id, "appRoleId": role}
    if any(wanted.items() <= row.properties.items() for row in _rows(service, call, holder)):
        raise bad_request("Permission being assigned already exists on the object")
    entity = Entity(assignment_properties(principal, resource, role, service.tenant.clock.iso()), now)
    entity.readable_at = now + faults.draw("read-lag")
    entity.listed_at = now + faults.draw("list-lag")
    entity.flap = faults.draw("read-flap")
    entity.usable_at = now + faults.draw("consent-lag")
    directory.app_role_assignments[entity.id] = entity
    value = next((str(row["value"]) for row in resource.properties["appRoles"] if row["id"] == role), role)
    service.audit(call, "Add app role assignment to service principal", "Assign",
                  *assigned(entity, value, str(principal.properties["appId"])))  # fmt: skip
    return service.one(call, KIND, _collection(call), entity, 201)


def delete(service: Service, call: Call, assignment: str, **key: str) -> Reply:
    _may_write(call)
    entity = _one(service, call, assignment, key)
    del service.directory.app_role_assignments[entity.id]
    service.audit(call, "Remove app role assignment from service principal", "Unassign", *assigned(entity, "", ""))
    return Reply()


def routes() -> list[Route]:
    return [
        row
        for one in ("/servicePrincipals/{id}", "/servicePrincipals(appId='{appId}')")
        for side in ("appRoleAssignments", "appRoleAssignedTo")
        for row in (
            Route("GET", f"{one}/{side}", listing),
            Route("POST", f"{one}/{side}", create),
            Route("GET", f"{one}/{side}/{{assignment}}", read),
            Route("DELETE", f"{one}/{side}/{{assignment}}", delete),
        )
    ]
