"""Owners of applications and enterprise applications. The sandbox has no people, so an owner is an enterprise application.

Source: learn.microsoft.com/graph/api/application-post-owners, -list-owners, -delete-owners.
"""

import re

from .. import odata
from ..directory import Entity
from . import applications, principals
from .wire import APP_READ, APP_WRITE, Call, Reply, Route, Service, bad_request, not_emulated, not_found

_REFERENCE = re.compile(rf"https://[^/]+/v1\.0/(?:directoryObjects|servicePrincipals)/({odata.GUID.pattern})")


def _holder(service: Service, call: Call, key: dict[str, str]) -> Entity:
    finder = applications.find if call.path.lower().startswith("/applications") else principals.find
    return finder(service, key)


def listing(service: Service, call: Call, **key: str) -> Reply:
    call.need(*APP_READ)
    rows = service.directory.service_principals
    owners = [rows[owner] for owner in sorted(_holder(service, call, key).owners) if owner in rows]
    return service.page(call, "servicePrincipal", "directoryObjects", owners, annotate=True)


def add(service: Service, call: Call, **key: str) -> Reply:
    call.need(*APP_WRITE)
    holder = _holder(service, call, key)
    applications.owned(call, holder)
    body = call.json()
    found = _REFERENCE.fullmatch(str(body.get("@odata.id", "")))
    if set(body) != {"@odata.id"} or not found:
        raise bad_request(
            "The request body must hold '@odata.id' with the address of a directory object.", "BadRequest"
        )
    owner = service.by_id(service.directory.service_principals, found[1])
    if owner.id in holder.owners:
        raise bad_request(
            "One or more added object references already exist for the following modified properties: 'owners'."
        )
    holder.owners.add(owner.id)
    return Reply()


def remove(service: Service, call: Call, owner: str, **key: str) -> Reply:
    call.need(*APP_WRITE)
    holder = _holder(service, call, key)
    applications.owned(call, holder)
    if owner.lower() not in holder.owners:
        raise not_found(owner)
    holder.owners.discard(owner.lower())
    return Reply()


def people(service: Service, call: Call, **key: str) -> Reply:
    raise not_emulated("people as owners")


def routes() -> list[Route]:
    return [
        row
        for one in (
            "/applications/{id}",
            "/applications(appId='{appId}')",
            "/servicePrincipals/{id}",
            "/servicePrincipals(appId='{appId}')",
        )
        for row in (
            Route("GET", f"{one}/owners", listing),
            Route("POST", f"{one}/owners/$ref", add),
            Route("DELETE", f"{one}/owners/{{owner}}/$ref", remove),
            Route("GET", f"{one}/owners/microsoft.graph.user", people),
        )
    ]
