"""What a tenant's own rules say before anybody writes: security defaults, Conditional Access, roles that lie ready in PIM.
Read only: the knob conditional-access-block, the directory's eligible roles and the tenant file set them.

Sources: learn.microsoft.com/graph/api/identitysecuritydefaultsenforcementpolicy-get, conditionalaccessroot-list-policies,
rbacapplication-list-roleeligibilityscheduleinstances and their permission tables.
Not imitated: every other property of a policy, filters but principalId, PIM's requests.
"""

import re
from typing import Any

from ..entra.app_only import ROLE_TEMPLATES
from .wire import Call, Reply, Route, Service, not_emulated

_ELIGIBLE = (
    "RoleEligibilitySchedule.Read.Directory", "RoleEligibilitySchedule.ReadWrite.Directory",
    "RoleManagement.Read.All", "RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory",
)  # fmt: skip


def defaults(service: Service, call: Call) -> Reply:
    call.need("Policy.Read.All")
    _plain(call)
    return Reply(
        200,
        {
            "@odata.context": f"{call.base}/v1.0/$metadata#policies/identitySecurityDefaultsEnforcementPolicy/$entity",
            "id": "00000000-0000-0000-0000-000000000005",
            "displayName": "Security Defaults",
            "description": "Security defaults is a set of basic identity security mechanisms recommended by Microsoft.",
            "isEnabled": service.directory.security_defaults,
        },
    )


def policies(service: Service, call: Call) -> Reply:
    call.need("Policy.Read.ConditionalAccess", "Policy.ReadWrite.ConditionalAccess", "Policy.Read.All")
    _plain(call)
    rows: list[dict[str, Any]] = []
    if service.tenant.faults["conditional-access-block"]:
        clients = {
            "includeServicePrincipals": ["ServicePrincipalsInMyTenant"],
            "excludeServicePrincipals": [
                p.id for p in service.directory.service_principals.values()
                if p.properties["appId"] == service.tenant.admin_app_id
            ],
        }  # fmt: skip
        rows.append(
            {
                "id": "3c6a9f0e-5c1f-4b0e-9b1c-0d8f6f1f2a31", "displayName": "Block workload identities", "state": "enabled",
                "conditions": {"clientApplications": clients}, "grantControls": {"operator": "OR", "builtInControls": ["block"]},
            }
        )  # fmt: skip
    return Reply(
        200, {"@odata.context": f"{call.base}/v1.0/$metadata#identity/conditionalAccess/policies", "value": rows}
    )


def eligibilities(service: Service, call: Call) -> Reply:
    call.need(*_ELIGIBLE)
    found = re.fullmatch(r"principalId eq '([0-9a-fA-F-]{36})'", call.query.get("$filter", ""))
    if set(call.query) != {"$filter"} or not found:
        raise not_emulated(f"{', '.join(call.query) or 'no filter'} on {call.path}")
    principal = found[1].lower()
    rows = [
        {
            "id": f"{ROLE_TEMPLATES[name]}-{principal}", "principalId": principal, "roleDefinitionId": ROLE_TEMPLATES[name],
            "directoryScopeId": "/", "memberType": "Direct",
        }
        for name in sorted(service.directory.eligible_roles.get(principal, ()))
    ]  # fmt: skip
    context = f"{call.base}/v1.0/$metadata#roleManagement/directory/roleEligibilityScheduleInstances"
    return Reply(200, {"@odata.context": context, "value": rows})


def _plain(call: Call) -> None:
    if call.query:
        raise not_emulated(f"{', '.join(call.query)} on GET {call.path}")


def routes() -> list[Route]:
    return [
        Route("GET", "/policies/identitySecurityDefaultsEnforcementPolicy", defaults),
        Route("GET", "/identity/conditionalAccess/policies", policies),
        Route("GET", "/roleManagement/directory/roleEligibilityScheduleInstances", eligibilities),
    ]
