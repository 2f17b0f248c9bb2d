"""/applications.

Sources: learn.microsoft.com/graph/api/application-post-applications, -upsert, -update, -delete;
msgraph-bicep-types#137 (a deleted application keeps its uniqueName). Deleting takes the enterprise application and its
assignments along.
"""

from typing import Any

from .. import odata
from ..audit_log import CREDENTIALS_CHANGED, Target
from ..catalog import application_properties
from ..directory import Entity, new_id
from . import credentials
from .wire import APP_READ, APP_WRITE, Call, Expand, GraphError, Reply, Route, Service, bad_request, forbidden, required

KIND = "application"
READ_ONLY = frozenset({
    "appId", "applicationTemplateId", "certification", "createdByAppId", "createdDateTime", "deletedDateTime",
    "disabledByMicrosoftStatus", "publisherDomain",
})  # fmt: skip
AUDIENCES = frozenset({"AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount"})  # fmt: skip


def target(entity: Entity, kind: str = "Application") -> Target:
    """What the audit log says that a write was about."""
    return Target(entity.id, str(entity.properties["displayName"]), kind)


def find(service: Service, key: dict[str, str]) -> Entity:
    """The application that a path names: by object id, appId or uniqueName."""
    table = service.directory.applications
    if "id" in key:
        if not odata.GUID.fullmatch(key["id"]):
            raise bad_request(f"Invalid object identifier '{key['id']}'.")
        return service.by_id(table, key["id"])
    name, value = next(iter(key.items()))
    prop = "appId" if name == "appId" else "uniqueName"
    return service.by_key(table, prop, value.lower() if prop == "appId" else value)


def owned(call: Call, entity: Entity) -> None:
    """Application.ReadWrite.OwnedBy reaches only what the caller owns (permissions reference)."""
    call.need(*APP_WRITE)
    if not call.may("Application.ReadWrite.All") and call.caller not in entity.owners:
        raise forbidden()


def listing(service: Service, call: Call) -> Reply:
    call.need(*APP_READ)
    rows = service.directory.applications.values()
    return service.page(call, KIND, "applications", rows, expand=_owners(service))


def _owners(service: Service) -> Expand:
    from . import owners  # which looks up applications itself

    expand: Expand = owners.expanded(service)
    return expand


def counting(service: Service, call: Call) -> Reply:
    call.need(*APP_READ)
    return service.count_only(call, KIND, service.directory.applications.values())


def read(service: Service, call: Call, **key: str) -> Reply:
    call.need(*APP_READ)
    return service.one(call, KIND, "applications", find(service, key), expand=_owners(service))


def create(service: Service, call: Call) -> Reply:
    call.need(*APP_WRITE)
    values = odata.check(KIND, call.json())
    return _created(service, call, values)


def _created(service: Service, call: Call, values: dict[str, Any]) -> Reply:
    if not values.get("displayName"):
        raise required("displayName", "Application")
    directory, faults, now = service.directory, service.tenant.faults, service.now()
    _unique(service, values.get("uniqueName"))
    fresh = application_properties(directory, values["displayName"], new_id(), service.tenant.clock.iso())
    entity = Entity(fresh, now, owners={call.caller})
    entity.properties["createdByAppId"] = call.claims["appid"]
    passwords = values.pop("passwordCredentials", [])
    unique = values.pop("uniqueName", None)
    change(service, entity, values)
    entity.properties["uniqueName"] = unique
    shown = [credentials.create_password(service, entity, row) for row in passwords]
    entity.readable_at = now + faults.draw("read-lag")
    entity.listed_at = now + faults.draw("list-lag")
    entity.flap = faults.draw("read-flap")
    entity.usable_at = now + faults.draw("backing-application-lag")
    directory.applications[entity.id] = entity
    service.audit(call, "Add application", "Add", target(entity))
    reply = service.one(call, KIND, "applications", entity, 201)
    if shown and "passwordCredentials" in reply.body:
        reply.body["passwordCredentials"] = shown
    reply.headers["Location"] = (
        f"{call.base}/v2/{service.tenant.tenant_id}/directoryObjects/{entity.id}/Microsoft.DirectoryServices.Application"
    )
    return reply


def _unique(service: Service, name: str | None) -> None:
    taken = (*service.directory.applications.values(), *service.directory.deleted_applications.values())
    if name is not None and any(row.properties["uniqueName"] == name for row in taken):
        raise bad_request("Another object with the same value for property uniqueName already exists.")


def change(service: Service, entity: Entity, values: dict[str, Any]) -> None:
    """Apply checked values to an application, all or none."""
    for name in values:
        unlike = name in ("id", "uniqueName") and values[name] != entity.properties[name]
        if name in READ_ONLY or unlike:
            raise bad_request(f"Property '{name}' is read-only and cannot be set.")
    if "displayName" in values and not values["displayName"]:
        raise bad_request("Invalid value specified for property 'displayName' of resource 'Application'.")
    if values.get("signInAudience", "AzureADMyOrg") not in AUDIENCES:
        raise bad_request("Invalid value specified for property 'signInAudience' of resource 'Application'.")
    for row in values.get("requiredResourceAccess", ()):
        kinds = {access.get("type") for access in row.get("resourceAccess", ())}
        if not row.get("resourceAppId") or not kinds <= {"Role", "Scope"}:
            raise bad_request(
                "Invalid value specified for property 'requiredResourceAccess' of resource 'Application'."
            )
    made, certificates = dict(values), entity.certificates
    if "keyCredentials" in values:
        made["keyCredentials"], certificates = credentials.replaced_certificates(
            service, entity, values["keyCredentials"]
        )
    if "passwordCredentials" in values:
        made["passwordCredentials"] = credentials.replaced_passwords(entity, values["passwordCredentials"])
    entity.certificates = certificates
    # A complex property is merged: what the body leaves out keeps its value (application-update).
    for name in ("api", "info", "publicClient", "spa", "web", "parentalControlSettings"):
        if isinstance(made.get(name), dict) and isinstance(entity.properties.get(name), dict):
            made[name] = {**entity.properties[name], **made[name]}
    entity.properties.update(made)


def update(service: Service, call: Call, **key: str) -> Reply:
    call.need(*APP_WRITE)
    entity = find(service, key)
    owned(call, entity)
    values = odata.check(KIND, call.json())
    _changed(service, call, entity, values)
    return Reply()


def mirrored(application: Entity) -> dict[str, Any]:
    """What an enterprise application takes from its application, when made and whenever that changes
    (learn.microsoft.com/entra/identity-platform/app-objects-and-service-principals: changes are reflected in the home tenant)."""
    backing = application.properties
    return {
        "displayName": backing["displayName"], "appDisplayName": backing["displayName"], "appRoles": backing["appRoles"],
        "info": backing["info"], "oauth2PermissionScopes": backing["api"]["oauth2PermissionScopes"],
        "replyUrls": backing["web"]["redirectUris"], "signInAudience": backing["signInAudience"],
        "servicePrincipalNames": [backing["appId"], *backing["identifierUris"]],
    }  # fmt: skip


def _changed(service: Service, call: Call, application: Entity, values: dict[str, Any]) -> None:
    """Change an application, and with it what its enterprise application takes from it."""
    before = mirrored(application)
    change(service, application, values)
    credential = {"keyCredentials", "passwordCredentials"} & set(values)
    service.audit(call, CREDENTIALS_CHANGED if credential else "Update application", "Update", target(application))
    principal = service.directory.principal(str(application.properties["appId"]))
    if principal:
        principal.properties |= {name: value for name, value in mirrored(application).items() if value != before[name]}


def upsert(service: Service, call: Call, uniqueName: str) -> Reply:  # noqa: N803 - the key's own name
    """Create or update by uniqueName. The look-up behind it does not lag: it would make two of one."""
    call.need(*APP_WRITE)
    if not call.preference("create-if-missing"):
        return update(service, call, uniqueName=uniqueName)
    _served(service)
    values = odata.check(KIND, call.json())
    entity = next((row for row in service.directory.applications.values() if row.properties["uniqueName"] == uniqueName), None)  # fmt: skip
    if entity is None:
        if values.get("passwordCredentials"):
            raise bad_request("New password credentials must be generated with service actions.")
        if values.setdefault("uniqueName", uniqueName) != uniqueName:
            raise bad_request("Invalid value specified for property 'uniqueName' of resource 'Application'.")
        return _created(service, call, values)
    owned(call, entity)
    _changed(service, call, entity, values)
    return Reply()


def _served(service: Service) -> None:
    """Refuse an upsert where the knob or the tenant's cloud says so."""
    knob = int(service.tenant.faults["upsert-refused"])
    if knob >= 2 or (knob == 0 and service.tenant.shape.upsert == "refused"):
        service.tenant.faults.note("upsert-refused")
        if knob >= 3:
            raise GraphError(404, "Request_ResourceNotFound", "Resource not found.")
        raise bad_request("Resource not found for the segment 'applications'.", "BadRequest")


def delete(service: Service, call: Call, **key: str) -> Reply:
    call.need(*APP_WRITE)
    entity = find(service, key)
    owned(call, entity)
    directory = service.directory
    directory.applications.pop(entity.id)
    entity.properties["deletedDateTime"] = service.tenant.clock.iso()
    directory.deleted_applications[entity.id] = entity
    service.audit(call, "Delete application", "Delete", target(entity))
    principal = directory.principal(str(entity.properties["appId"]))
    if principal:
        forget_principal(service, principal)
        service.audit(call, "Remove service principal", "Delete", target(principal, "ServicePrincipal"))
    return Reply()


def forget_principal(service: Service, principal: Entity) -> None:
    """Put an enterprise application into the recycle bin; every assignment that it holds or gives ends."""
    directory = service.directory
    directory.service_principals.pop(principal.id)
    principal.properties["deletedDateTime"] = service.tenant.clock.iso()
    directory.deleted_service_principals[principal.id] = principal
    directory.directory_roles.pop(principal.id, None)
    for row in list(directory.app_role_assignments.values()):
        if principal.id in (row.properties["principalId"], row.properties["resourceId"]):
            del directory.app_role_assignments[row.id]
    for grant in list(directory.permission_grants.values()):
        if principal.id in (grant.properties["clientId"], grant.properties["resourceId"]):
            del directory.permission_grants[grant.id]


def add_password(service: Service, call: Call, **key: str) -> Reply:
    call.need(*APP_WRITE)
    entity = find(service, key)
    owned(call, entity)
    reply = credentials.add_password(service, call, entity)
    service.audit(call, CREDENTIALS_CHANGED, "Update", target(entity))
    return reply


def remove_password(service: Service, call: Call, **key: str) -> Reply:
    call.need(*APP_WRITE)
    entity = find(service, key)
    owned(call, entity)
    reply = credentials.remove_password(service, call, entity)
    service.audit(call, CREDENTIALS_CHANGED, "Update", target(entity))
    return reply


def routes() -> list[Route]:
    """Every route; those on one application exist for each of its keys."""
    rows = [
        Route("GET", "/applications", listing),
        Route("POST", "/applications", create),
        Route("GET", "/applications/$count", counting),
        Route("PATCH", "/applications(uniqueName='{uniqueName}')", upsert),
    ]
    for one in ("/applications/{id}", "/applications(appId='{appId}')", "/applications(uniqueName='{uniqueName}')"):
        rows += [
            Route("GET", one, read),
            Route("PATCH", one, update),
            Route("DELETE", one, delete),
            Route("POST", f"{one}/addPassword", add_password),
            Route("POST", f"{one}/removePassword", remove_password),
        ]
    return rows
