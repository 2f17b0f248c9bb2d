"""/applications/{id}/federatedIdentityCredentials: whose assertions an application may sign in with.

Source: learn.microsoft.com/graph/api/application-post-federatedidentitycredentials, -list-, federatedidentitycredential-delete.
Not imitated: upsert by name, claims matching expressions, the limit's exemptions.
"""

from typing import Any

from ..directory import new_id
from . import applications
from .wire import APP_READ, APP_WRITE, Call, GraphError, Reply, Route, Service, bad_request, not_found, required

_GIVEN = ("name", "issuer", "subject", "audiences", "description")
_MOST = 20  # of one application


def listing(service: Service, call: Call, **key: str) -> Reply:
    call.need(*APP_READ)
    rows = list(applications.find(service, key).federated.values())
    return Reply(200, {"@odata.context": f"{call.base}/v1.0/$metadata#federatedIdentityCredentials", "value": rows})


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
    return Reply(201, made)


def remove(service: Service, call: Call, credential: str, **key: str) -> Reply:
    call.need(*APP_WRITE)
    holder = applications.find(service, key)
    applications.owned(call, holder)
    if holder.federated.pop(credential.lower(), None) is None:
        raise not_found(credential)
    return Reply()


def routes() -> list[Route]:
    place = "/applications/{id}/federatedIdentityCredentials"
    return [
        Route("GET", place, listing),
        Route("POST", place, create),
        Route("DELETE", f"{place}/{{credential}}", remove),
    ]
