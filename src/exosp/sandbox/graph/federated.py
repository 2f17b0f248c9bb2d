"""/applications/{id}/federatedIdentityCredentials: whose assertions an application may sign in with.

Source: learn.microsoft.com/graph/api/application-post-federatedidentitycredentials, -list-, federatedidentitycredential-delete.
Not imitated: upsert by name, claims matching expressions, the limit's exemptions.
"""

from typing import Any

from ..audit_log import CREDENTIALS_CHANGED
from ..directory import Entity, new_id
from . import applications
from .wire import APP_READ, APP_WRITE, Call, GraphError, Reply, Route, Service, bad_request, not_found, required

_GIVEN = ("name", "issuer", "subject", "audiences", "description")
_MOST = 20  # of one application


def listing(service: Service, call: Call, **key: str) -> Reply:
    call.need(*APP_READ)
    rows = [Entity(row, 0.0) for row in applications.find(service, key).federated.values()]
    return service.page(call, "federatedIdentityCredential", "federatedIdentityCredentials", rows)


def create(service: Service, call: Call, **key: str) -> Reply:
    call.need(*APP_WRITE)
    holder = applications.find(service, key)
    applications.owned(call, holder)
    body = call.json()
    for name in body:
        if name not in _GIVEN:
            raise bad_request(
                f"Invalid property '{name}' for type 'microsoft.graph.federatedIdentityCredential'.", "BadRequest"
            )
    for name in ("name", "issuer", "subject"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise required(name, "FederatedIdentityCredential")
    audiences = body.get("audiences")
    if not isinstance(audiences, list) or len(audiences) != 1 or not isinstance(audiences[0], str):
        raise bad_request("FederatedIdentityCredential must have exactly one audience.")
    others = holder.federated.values()
    if any(row["name"] == body["name"] for row in others) or any(
        (row["issuer"], row["subject"]) == (body["issuer"], body["subject"]) for row in others
    ):
        raise GraphError(409, "Request_MultipleObjectsWithSameKeyValue",
                         f"FederatedIdentityCredential with name {body['name']} already exists.")  # fmt: skip
    if len(holder.federated) >= _MOST:
        raise bad_request(
            f"The maximum number of federated identity credentials is {_MOST}.", "Directory_QuotaExceeded"
        )
    made: dict[str, Any] = {"id": new_id(), "description": None, **body}
    holder.federated[made["id"]] = made
    service.audit(call, CREDENTIALS_CHANGED, "Update", applications.target(holder))
    return Reply(201, made)


def remove(service: Service, call: Call, credential: str, **key: str) -> Reply:
    call.need(*APP_WRITE)
    holder = applications.find(service, key)
    applications.owned(call, holder)
    if holder.federated.pop(credential.lower(), None) is None:
        raise not_found(credential)
    service.audit(call, CREDENTIALS_CHANGED, "Update", applications.target(holder))
    return Reply()


def routes() -> list[Route]:
    return [
        route
        for one in ("/applications/{id}", "/applications(appId='{appId}')")
        for route in (
            Route("GET", f"{one}/federatedIdentityCredentials", listing),
            Route("POST", f"{one}/federatedIdentityCredentials", create),
            Route("DELETE", f"{one}/federatedIdentityCredentials/{{credential}}", remove),
        )
    ]
