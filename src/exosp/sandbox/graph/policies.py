"""/policies/defaultAppManagementPolicy, and what it says of new secrets. Read only: the knobs policy-no-secrets and
policy-secret-days set it.

Sources: learn.microsoft.com/graph/api/tenantappmanagementpolicy-get and /resources/tenantappmanagementpolicy; CIPP-API#1970
for the refusals. Not imitated: policies of one application's own, rules for certificates and custom security attributes.
"""

from typing import Any

from ..faults import Faults
from .wire import Call, GraphError, Reply, Route, Service, not_emulated

_READ = ("Policy.Read.All", "Policy.Read.ApplicationConfiguration", "Policy.ReadWrite.ApplicationConfiguration")
_SINCE = "2024-01-01T00:00:00Z"  # what was made earlier is let be


def check_secret(faults: Faults, seconds: float) -> None:
    """Whether a new secret may last so long. Raises GraphError."""
    if faults["policy-no-secrets"]:
        faults.note("policy-no-secrets")
        raise _refused("CredentialTypeNotAllowedAsPerAppPolicy", "Credential type not allowed as per assigned policy")
    days = faults["policy-secret-days"]
    if days and seconds > days * 86400:
        faults.note("policy-secret-days")
        raise _refused(
            "CredentialInvalidLifetimeAsPerAppPolicy",
            "Credential lifetime exceeds the max value allowed as per assigned policy",
        )


def _refused(code: str, message: str) -> GraphError:
    return GraphError(400, code, message)


def _restrictions(faults: Faults) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    if faults["policy-no-secrets"]:
        rows.append(_row("passwordAddition", None))
    if faults["policy-secret-days"]:
        rows.append(_row("passwordLifetime", f"P{int(faults['policy-secret-days'])}D"))
    return {"passwordCredentials": rows, "keyCredentials": []}


def _row(kind: str, lifetime: str | None) -> dict[str, Any]:
    return {
        "restrictionType": kind,
        "state": "enabled",
        "maxLifetime": lifetime,
        "restrictForAppsCreatedAfterDateTime": _SINCE,
    }


def read(service: Service, call: Call) -> Reply:
    call.need(*_READ)
    if call.query:
        raise not_emulated(f"{', '.join(call.query)} on GET {call.path}")
    restrictions = _restrictions(service.tenant.faults)
    body = {
        "@odata.context": f"{call.base}/v1.0/$metadata#policies/defaultAppManagementPolicy/$entity",
        "id": "00000000-0000-0000-0000-000000000000",
        "displayName": "Default app management tenant policy",
        "description": "Default tenant policy that enforces app management restrictions on applications and service principals.",
        "isEnabled": bool(restrictions["passwordCredentials"]),
        "applicationRestrictions": restrictions,
        "servicePrincipalRestrictions": restrictions,
    }
    return Reply(200, body)


def routes() -> list[Route]:
    return [Route("GET", "/policies/defaultAppManagementPolicy", read)]
