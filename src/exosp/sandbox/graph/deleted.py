"""/directory/deletedItems: the recycle bin of applications and of enterprise applications.

Sources: learn.microsoft.com/graph/api/directory-deleteditems-list, -get, -delete, -restore ("restoring an application doesn't
restore the associated service principal automatically"; another page says that the portal does: the knob
restored-principal); CIPP#1142 for the name that is taken. Not imitated: the 30 days
after which an object goes by itself; the bin's own lag; assignments that come back with an enterprise application (no
source says that they do).
"""

from dataclasses import dataclass
from typing import Any

from ..directory import Entity
from . import applications
from .wire import APP_READ, Call, GraphError, Reply, Route, Service, not_found


@dataclass(frozen=True)
class _Bin:
    kind: str
    collection: str

    def deleted(self, service: Service) -> dict[str, Entity]:
        directory = service.directory
        return directory.deleted_applications if self.kind == "application" else directory.deleted_service_principals

    def live(self, service: Service) -> dict[str, Entity]:
        directory = service.directory
        return directory.applications if self.kind == "application" else directory.service_principals


_BINS = (_Bin("application", "applications"), _Bin("servicePrincipal", "servicePrincipals"))


def _find(service: Service, identifier: str) -> tuple[_Bin, Entity]:
    for held in _BINS:
        entity = held.deleted(service).get(identifier.lower())
        if entity is not None:
            return held, entity
    raise not_found(identifier)


def _shown(service: Service, call: Call, held: _Bin, entity: Entity) -> Reply:
    reply = service.one(call, held.kind, "directoryObjects", entity)
    body: dict[str, Any] = {"@odata.type": f"#microsoft.graph.{held.kind}", **reply.body}
    return Reply(reply.status, body, reply.headers)


def listing(service: Service, call: Call, kind: str) -> Reply:
    call.need(*APP_READ)
    held = next((row for row in _BINS if row.kind.lower() == kind.lower()), None)
    if held is None:
        raise not_found(f"microsoft.graph.{kind}")
    return service.page(call, held.kind, held.collection, held.deleted(service).values(), annotate=True)


def read(service: Service, call: Call, id: str) -> Reply:  # noqa: A002 - the key's own name
    call.need(*APP_READ)
    return _shown(service, call, *_find(service, id))


def delete(service: Service, call: Call, id: str) -> Reply:  # noqa: A002
    held, entity = _find(service, id)
    applications.owned(call, entity)
    del held.deleted(service)[entity.id]
    service.audit(call, f"Hard delete {'application' if held.kind == 'application' else 'service principal'}", "Delete",
                  applications.target(entity, held.kind[0].upper() + held.kind[1:]))  # fmt: skip
    return Reply()


def restore(service: Service, call: Call, id: str) -> Reply:  # noqa: A002
    held, entity = _find(service, id)
    applications.owned(call, entity)
    app_id = str(entity.properties["appId"])
    if held.kind == "servicePrincipal" and service.directory.principal(app_id) is not None:
        raise GraphError(409, "Request_MultipleObjectsWithSameKeyValue", f"The service principal cannot be created, updated, or restored because the service principal name {app_id} is already in use.")  # fmt: skip
    _bring_back(service, held, entity)
    service.audit(call, "Restore application" if held.kind == "application" else "Restore service principal", "Update",
                  applications.target(entity, held.kind[0].upper() + held.kind[1:]))  # fmt: skip
    faults = service.tenant.faults
    if held.kind == "application" and faults["restored-principal"]:
        bin_ = _BINS[1]
        for principal in list(bin_.deleted(service).values()):
            if principal.properties["appId"] == app_id and service.directory.principal(app_id) is None:
                faults.note("restored-principal")
                _bring_back(service, bin_, principal)
    return _shown(service, call, held, entity)


def _bring_back(service: Service, held: _Bin, entity: Entity) -> None:
    held.deleted(service).pop(entity.id, None)
    entity.properties["deletedDateTime"] = None
    held.live(service)[entity.id] = entity


def routes() -> list[Route]:
    return [
        Route("GET", "/directory/deletedItems/microsoft.graph.{kind}", listing),
        Route("GET", "/directory/deletedItems/{id}", read),
        Route("DELETE", "/directory/deletedItems/{id}", delete),
        Route("POST", "/directory/deletedItems/{id}/restore", restore),
    ]
