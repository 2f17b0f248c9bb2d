"""What the two audit logs keep of a write: Entra's directory audits in Graph's own names, and Exchange's cmdlets as the unified
audit log's AuditData has them. State only; ``graph`` and ``cmdlets`` write and serve it.

Sources: learn.microsoft.com/graph/api/resources/directoryaudit, /targetresource, /auditactivityinitiator;
learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-schema (Common, Exchange Admin).
Names of activities: learn.microsoft.com/entra/identity/monitoring-health/reference-audit-activities (Core Directory).
"""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

CREDENTIALS_CHANGED = (
    "Update application \u2013 Certificates and secrets management "  # as Entra writes it, with a blank at its end
)


@dataclass(frozen=True)
class Actor:
    """Who wrote: a person, or an application by its enterprise application."""

    id: str
    name: str
    upn: str = ""
    app_id: str = ""

    @property
    def shown(self) -> str:
        """How Exchange names it: an application by its enterprise application's object id and its appId."""
        return self.upn or f"NT AUTHORITY\\SYSTEM ({self.app_id})"


@dataclass(frozen=True)
class Target:
    """``kind`` is targetResource's type: Application, ServicePrincipal, User. ``changed``: property -> new value."""

    id: str
    name: str | None
    kind: str
    changed: tuple[tuple[str, str], ...] = ()


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def directory_record(
    activity: str, operation: str, actor: Actor, targets: tuple[Target, ...], at: float
) -> dict[str, Any]:
    """A directoryAudit of Core Directory's."""
    number = str(uuid.uuid4())
    user = {"id": actor.id, "displayName": None, "userPrincipalName": actor.upn, "ipAddress": "127.0.0.1", "userType": None,
            "homeTenantId": None, "homeTenantName": None}  # fmt: skip
    app = {
        "appId": actor.app_id or None,
        "displayName": actor.name,
        "servicePrincipalId": actor.id,
        "servicePrincipalName": None,
    }
    return {
        "id": f"Directory_{number}_{uuid.uuid4().hex[:5].upper()}_{int(at)}", "category": "ApplicationManagement",
        "correlationId": number, "result": "success", "resultReason": "", "activityDisplayName": activity,
        "activityDateTime": moment(at), "loggedByService": "Core Directory", "operationType": operation,
        "initiatedBy": {"user": user, "app": None} if actor.upn else {"user": None, "app": app},
        "targetResources": [_target(target) for target in targets], "additionalDetails": [],
    }  # fmt: skip


def _target(target: Target) -> dict[str, Any]:
    return {
        "id": target.id, "displayName": target.name, "type": target.kind, "userPrincipalName": None, "groupType": None,
        "modifiedProperties": [
            {"displayName": name, "oldValue": None, "newValue": f'"{value}"'} for name, value in target.changed
        ],
    }  # fmt: skip


def cmdlet_record(
    operation: str,
    target: str,
    parameters: dict[str, Any],
    who: str,
    tenant_id: str,
    domain: str,
    server: str,
    at: float,
) -> dict[str, Any]:
    """The AuditData of one cmdlet: RecordType 1 is ExchangeAdmin, UserType 2 an administrator."""
    return {
        "CreationTime": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S"), "Id": str(uuid.uuid4()),
        "Operation": operation, "OrganizationId": tenant_id, "RecordType": 1, "ResultStatus": "True", "UserKey": who,
        "UserType": 2, "Version": 1, "Workload": "Exchange", "ClientIP": "127.0.0.1:49152", "ObjectId": target, "UserId": who,
        "AppId": "", "ClientAppId": "", "ExternalAccess": False, "OrganizationName": domain, "OriginatingServer": server,
        "Parameters": [{"Name": name, "Value": value} for name, value in parameters.items()], "SessionId": "",
    }  # fmt: skip


def assigned(row: Any, value: str, app_id: str) -> tuple[Target, Target]:
    """Whom "Add app role assignment to service principal" is about: the resource, then who was given the role."""
    p = row.properties
    changed = (("AppRole.Id", str(p["appRoleId"])), ("AppRole.Value", value), ("ServicePrincipal.ObjectID", str(p["principalId"])),
               ("ServicePrincipal.DisplayName", str(p["principalDisplayName"])), ("ServicePrincipal.AppId", app_id))  # fmt: skip
    return (
        Target(str(p["resourceId"]), str(p["resourceDisplayName"]), "ServicePrincipal", changed),
        Target(str(p["principalId"]), str(p["principalDisplayName"]), "ServicePrincipal"),
    )
