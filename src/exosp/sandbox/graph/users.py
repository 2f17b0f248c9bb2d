"""People as Graph shows them: /users/{id}, and as owners of something.

Sources: learn.microsoft.com/graph/api/user-get (what comes unasked), /graph/permissions-overview, "limited information returned
for inaccessible member objects": who may not read people sees their ids and types, and null else.
Not imitated: lists of people, other properties than these.
"""

from typing import Any

from .. import odata
from ..directory import Entity
from ..people import User
from .wire import Call, Reply, Route, Service, not_found

READ = ("User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")
# What a read without $select shows (user resource page).
DEFAULT = (
    "businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation", "preferredLanguage",
    "surname", "userPrincipalName", "id",
)  # fmt: skip


def properties(user: User) -> dict[str, Any]:
    return {
        "id": user.id, "businessPhones": [], "displayName": user.name, "givenName": None, "jobTitle": None, "mail": None,
        "mobilePhone": None, "officeLocation": None, "preferredLanguage": None, "surname": None,
        "userPrincipalName": user.upn, "accountEnabled": user.enabled, "userType": "Member", "deletedDateTime": None,
    }  # fmt: skip


def member(service: Service, call: Call, identifier: str, fields: list[str] | None) -> dict[str, Any] | None:
    """A person or an enterprise application as one of several directory objects; None: there is none of that id."""
    user = service.directory.people.users.find(identifier)
    if user is not None:
        held, kind, whole = properties(user), "user", call.may(*READ)
        names = list(DEFAULT) if fields is None else [name for name in fields if odata.canonical("user", name)]
        shown = {name: held.get(name) if whole or name == "id" else None for name in names}
        return {"@odata.type": f"#microsoft.graph.{kind}", **shown}
    entity = service.directory.service_principals.get(identifier)
    if entity is None:
        return None
    held = entity.properties
    names = list(held) if fields is None else [name for name in fields if odata.canonical("servicePrincipal", name)]
    return {"@odata.type": "#microsoft.graph.servicePrincipal", **{name: held.get(name) for name in names}}


def read(service: Service, call: Call, id: str) -> Reply:  # noqa: A002 - the key's own name
    call.need(*READ)
    people = service.directory.people
    user = people.users.find(id.lower()) or people.by_name(id)
    if user is None:
        raise not_found(id)
    held = properties(user)
    if "$select" not in call.query:
        held = {name: held[name] for name in DEFAULT}
    return service.one(call, "user", "users", Entity(held, 0.0))


def routes() -> list[Route]:
    return [Route("GET", "/users/{id}", read)]
