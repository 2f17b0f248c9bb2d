"""Owners of applications and enterprise applications: people, and enterprise applications.

Sources: learn.microsoft.com/graph/api/application-post-owners, -list-owners, -delete-owners; /graph/query-parameters for
$expand=owners, which shows twenty at most.
"""

import re
from typing import Any

from .. import odata
from ..audit_log import Target
from ..directory import Entity
from . import applications, principals, users
from .wire import APP_READ, APP_WRITE, Call, Reply, Route, Service, bad_request, not_emulated, not_found

_EXPANDED = re.compile(r"owners(?:\(\s*\$select=([\w,\s]+)\))?", re.IGNORECASE)
_MOST = 20
_REFERENCE = re.compile(rf"https://[^/]+/v1\.0/(?:directoryObjects|servicePrincipals|users)/({odata.GUID.pattern})")


def _holder(service: Service, call: Call, key: dict[str, str]) -> Entity:
    finder = applications.find if call.path.lower().startswith("/applications") else principals.find
    return finder(service, key)


def _fields(text: str | None) -> list[str] | None:
    """The names of a $select on members of several types. Raises what Graph does for one that none of them has."""
    if text is None:
        return None
    chosen = []
    for word in (part.strip() for part in text.split(",")):
        found = odata.canonical("user", word) or odata.canonical("servicePrincipal", word)
        chosen.append(found or odata.select("directoryObject", word)[0])
    return chosen


def listing(service: Service, call: Call, **key: str) -> Reply:
    call.need(*APP_READ)
    return _listed(service, call, _holder(service, call, key))


def _listed(service: Service, call: Call, holder: Entity, kind: str = "") -> Reply:
    fields = _fields(call.query.get("$select"))
    for option in call.query:
        if option not in ("$select", "$top"):
            raise not_emulated(f"{option} on GET {call.path}")
    rows = [users.member(service, call, owner, fields) for owner in sorted(holder.owners)]
    shown = [row for row in rows if row is not None and row["@odata.type"].endswith(kind)]
    top = call.query.get("$top", "999")
    return Reply(
        200,
        {
            "@odata.context": f"{call.base}/v1.0/$metadata#directoryObjects",
            "value": shown[: int(top) if top.isdecimal() else 999],
        },
    )


def expanded(service: Service) -> Any:
    """What $expand=owners adds to an application, or to an enterprise application."""

    def expand(call: Call, holder: Entity) -> dict[str, Any]:
        found = _EXPANDED.fullmatch(call.query["$expand"].strip())
        if found is None:
            raise not_emulated(f"$expand={call.query['$expand']}")
        fields = _fields(found[1])
        rows = [users.member(service, call, owner, fields) for owner in sorted(holder.owners)]
        return {"owners": [row for row in rows if row is not None][:_MOST]}

    return expand


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
    person = service.directory.people.users.find(found[1].lower())
    identifier = person.id if person else service.by_id(service.directory.service_principals, found[1]).id
    if identifier in holder.owners:
        raise bad_request(
            "One or more added object references already exist for the following modified properties: 'owners'."
        )
    holder.owners.add(identifier)
    _noted(service, call, "Add owner to", "Add", holder, identifier)
    return Reply()


def _noted(service: Service, call: Call, activity: str, operation: str, holder: Entity, owner: str) -> None:
    kind = "Application" if holder.id in service.directory.applications else "ServicePrincipal"
    name = str(holder.properties["displayName"])
    what = "application" if kind == "Application" else "service principal"
    targets = Target(holder.id, name, kind), Target(owner, None, "User")
    service.audit(call, f"{activity} {what}", operation, *targets)


def remove(service: Service, call: Call, owner: str, **key: str) -> Reply:
    call.need(*APP_WRITE)
    holder = _holder(service, call, key)
    applications.owned(call, holder)
    if owner.lower() not in holder.owners:
        raise not_found(owner)
    holder.owners.discard(owner.lower())
    _noted(service, call, "Remove owner from", "Delete", holder, owner.lower())
    return Reply()


def people(service: Service, call: Call, **key: str) -> Reply:
    """The owners who are people."""
    call.need(*APP_READ)
    return _listed(service, call, _holder(service, call, key), ".user")


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
