"""/servicePrincipals: enterprise applications.

Sources: learn.microsoft.com/graph/api/serviceprincipal-post-serviceprincipals, -update, -delete;
vault-plugin-secrets-azure#8 (NoBackingApplicationObject), terraform-provider-azuread#611 (the 403 that the OwnedBy permission
gets instead), CIPP#1142 (a second one is a conflict). Not imitated: creating one for another tenant's application.
"""

from typing import Any

from .. import odata
from ..audit_log import Target
from ..catalog import principal_properties
from ..directory import Entity, new_id
from . import applications, credentials
from .wire import APP_READ, APP_WRITE, Call, Expand, GraphError, Reply, Route, Service, bad_request, forbidden, required

KIND = "servicePrincipal"
READ_ONLY = frozenset({
    "appDisplayName", "appId", "appOwnerOrganizationId", "applicationTemplateId", "createdByAppId", "deletedDateTime",
    "disabledByMicrosoftStatus", "signInAudience", "verifiedPublisher", "resourceSpecificApplicationPermissions",
})  # fmt: skip


def _target(entity: Entity) -> Target:
    return applications.target(entity, "ServicePrincipal")


def find(service: Service, key: dict[str, str]) -> Entity:
    """The enterprise application that a path names: by its own object id, or by appId."""
    table = service.directory.service_principals
    if "id" in key:
        if not odata.GUID.fullmatch(key["id"]):
            raise bad_request(f"Invalid object identifier '{key['id']}'.")
        return service.by_id(table, key["id"])
    return service.by_key(table, "appId", key["appId"].lower())


def listing(service: Service, call: Call) -> Reply:
    call.need(*APP_READ)
    rows = service.directory.service_principals.values()
    return service.page(call, KIND, "servicePrincipals", rows, expand=_owners(service))


def _owners(service: Service) -> Expand:
    from . import owners  # which looks up enterprise applications itself

    expand: Expand = owners.expanded(service)
    return expand


def counting(service: Service, call: Call) -> Reply:
    call.need(*APP_READ)
    return service.count_only(call, KIND, service.directory.service_principals.values())


def read(service: Service, call: Call, **key: str) -> Reply:
    call.need(*APP_READ)
    return service.one(call, KIND, "servicePrincipals", find(service, key), expand=_owners(service))


def create(service: Service, call: Call) -> Reply:
    call.need(*APP_WRITE)
    values = odata.check(KIND, call.json())
    app_id = str(values.pop("appId", None) or "").lower()
    if not app_id:
        raise required("appId", "ServicePrincipal")
    directory, faults, now = service.directory, service.tenant.faults, service.now()
    application = directory.application(app_id)
    lagging = application is not None and application.usable_at > now
    if lagging:
        faults.note("backing-application-lag")
        application = None
    if application is None and directory.principal(app_id) is None:
        denied = not call.may("Application.ReadWrite.All")
        if lagging and faults.chance("backing-application-form"):
            faults.note("backing-application-form")
            denied = not denied
        if denied:
            raise forbidden("When using this permission, the backing application of the service principal being created must in the local tenant")  # fmt: skip
        text = f"The appId '{app_id}' of the service principal does not reference a valid application object."
        raise GraphError(400, "Request_BadRequest", text, details=[{"code": "NoBackingApplicationObject", "message": text, "target": "appId"}])  # fmt: skip
    if directory.principal(app_id):
        raise GraphError(409, "Request_MultipleObjectsWithSameKeyValue", f"The service principal cannot be created, updated, or restored because the service principal name {app_id} is already in use.")  # fmt: skip
    assert application is not None
    applications.owned(call, application)
    entity = Entity(
        principal_properties(app_id, str(application.properties["displayName"]), directory.tenant_id),
        now,
        owners={call.caller},
    )
    entity.properties |= applications.mirrored(application) | {"createdByAppId": call.claims["appid"]}
    change(service, entity, values)
    if faults["principal-disabled"]:
        faults.note("principal-disabled")
        entity.properties["accountEnabled"] = False
    entity.readable_at = now + faults.draw("read-lag")
    entity.listed_at = now + faults.draw("list-lag")
    entity.flap = faults.draw("read-flap")
    entity.usable_at = now + faults.draw("assignment-lag")
    entity.synced_at = now + faults.draw("exchange-sync-lag")
    directory.service_principals[entity.id] = entity
    service.audit(call, "Add service principal", "Add", _target(entity))
    reply = service.one(call, KIND, "servicePrincipals", entity, 201)
    reply.headers["Location"] = (
        f"{call.base}/v2/{directory.tenant_id}/directoryObjects/{entity.id}/Microsoft.DirectoryServices.ServicePrincipal"
    )
    return reply


def change(service: Service, entity: Entity, values: dict[str, Any]) -> None:
    """Apply checked values to an enterprise application, all or none."""
    for name in values:
        if name in READ_ONLY or (name == "id" and values[name] != entity.id):
            raise bad_request(f"Property '{name}' is read-only and cannot be set.")
    made, certificates = dict(values), entity.certificates
    if "keyCredentials" in values:
        made["keyCredentials"], certificates = credentials.replaced_certificates(
            service, entity, values["keyCredentials"]
        )
    if "passwordCredentials" in values:
        made["passwordCredentials"] = credentials.replaced_passwords(entity, values["passwordCredentials"])
    entity.certificates = certificates
    entity.properties.update(made)


def _writable(service: Service, call: Call, key: dict[str, str]) -> Entity:
    call.need(*APP_WRITE)
    entity = find(service, key)
    applications.owned(call, entity)
    return entity


def update(service: Service, call: Call, **key: str) -> Reply:
    entity, values = _writable(service, call, key), odata.check(KIND, call.json())
    change(service, entity, values)
    service.audit(call, "Update service principal", "Update", _target(entity))
    return Reply()


def delete(service: Service, call: Call, **key: str) -> Reply:
    entity = _writable(service, call, key)
    applications.forget_principal(service, entity)
    service.audit(call, "Remove service principal", "Delete", _target(entity))
    return Reply()


def add_password(service: Service, call: Call, **key: str) -> Reply:
    entity = _writable(service, call, key)
    reply = credentials.add_password(service, call, entity)
    service.audit(call, "Add service principal credentials", "Update", _target(entity))
    return reply


def remove_password(service: Service, call: Call, **key: str) -> Reply:
    entity = _writable(service, call, key)
    reply = credentials.remove_password(service, call, entity)
    service.audit(call, "Remove service principal credentials", "Update", _target(entity))
    return reply


def delegated(service: Service, call: Call, **key: str) -> Reply:
    """Delegated grants: what people and administrators consented to, all of them (oauth2permissiongrant-list), or one
    enterprise application's (serviceprincipal-list-oauth2permissiongrants). Application.Read.All does for the latter alone."""
    one = ("Application.Read.All", "Application.ReadWrite.All") if key else ()
    call.need("DelegatedPermissionGrant.Read.All", "DelegatedPermissionGrant.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All", *one)  # fmt: skip
    rows = list(service.directory.permission_grants.values())
    if key:
        client = find(service, key).id
        rows = [row for row in rows if row.properties["clientId"] == client]
    return service.page(call, "oAuth2PermissionGrant", "oauth2PermissionGrants", rows)


def consent(service: Service, call: Call) -> Reply:
    """An administrator consents, for everybody or for one person (learn.microsoft.com/graph/api/oauth2permissiongrant-post)."""
    call.need("DelegatedPermissionGrant.ReadWrite.All")
    values = odata.check("oAuth2PermissionGrant", call.json())
    directory = service.directory
    client, resource = (directory.service_principals.get(str(values.get(name))) for name in ("clientId", "resourceId"))
    if client is None or resource is None:
        raise bad_request("One or more of the reference properties 'clientId' and 'resourceId' do not exist.")
    kind, person = values.get("consentType"), values.get("principalId")
    if kind not in ("AllPrincipals", "Principal") or (kind == "Principal") != (person is not None):
        raise bad_request("Invalid value specified for property 'consentType' of resource 'OAuth2PermissionGrant'.")
    if person is not None and person not in directory.people.users:
        raise bad_request(
            f"Resource '{person}' does not exist or one of its queried reference-property objects are not present."
        )
    standing = (client.id, resource.id, person)
    if any(tuple(row.properties[n] for n in ("clientId", "resourceId", "principalId")) == standing for row in directory.permission_grants.values()):  # fmt: skip
        raise GraphError(409, "Request_MultipleObjectsWithSameKeyValue", "Permission entry already exists.")
    row = Entity(
        {
            "id": new_id(), "clientId": client.id, "consentType": kind, "principalId": person,
            "resourceId": resource.id, "scope": values.get("scope") or "",
        },
        service.now(),
    )  # fmt: skip
    directory.permission_grants[row.id] = row
    service.audit(call, "Add delegated permission grant", "Assign", _target(resource), _target(client))
    return service.one(call, "oAuth2PermissionGrant", "oauth2PermissionGrants", row, 201)


def withdraw(service: Service, call: Call, **key: str) -> Reply:
    call.need("DelegatedPermissionGrant.ReadWrite.All")
    row = service.directory.permission_grants.pop(key["id"], None)
    if row is None:
        raise GraphError(404, "Request_ResourceNotFound", f"Resource '{key['id']}' does not exist or one of its queried reference-property objects are not present.")  # fmt: skip
    held = [service.directory.service_principals.get(str(row.properties[name])) for name in ("resourceId", "clientId")]
    service.audit(
        call, "Remove delegated permission grant", "Unassign", *(_target(entity) for entity in held if entity)
    )
    return Reply()


def routes() -> list[Route]:
    rows = [
        Route("GET", "/servicePrincipals", listing),
        Route("POST", "/servicePrincipals", create),
        Route("GET", "/servicePrincipals/$count", counting),
        Route("GET", "/oauth2PermissionGrants", delegated),
        Route("POST", "/oauth2PermissionGrants", consent),
        Route("DELETE", "/oauth2PermissionGrants/{id}", withdraw),
    ]
    for one in ("/servicePrincipals/{id}", "/servicePrincipals(appId='{appId}')"):
        rows += [
            Route("GET", one, read),
            Route("PATCH", one, update),
            Route("DELETE", one, delete),
            Route("POST", f"{one}/addPassword", add_password),
            Route("POST", f"{one}/removePassword", remove_password),
            Route("GET", f"{one}/oauth2PermissionGrants", delegated),
        ]
    return rows
