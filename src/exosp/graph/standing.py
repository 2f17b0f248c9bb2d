"""What Microsoft Graph says of a tenant's rules, names and of roles that lie ready: reads for preflight and audit alone, each
by itself.

Sources: learn.microsoft.com/graph/api/organization-list, tenantappmanagementpolicy-get, identitysecuritydefaultsenforcementpolicy-get,
conditionalaccessroot-list-policies, rbacapplication-list-roleeligibilityscheduleinstances.
"""

from collections.abc import Iterator
from typing import Any

from .client import Graph, _rows


def app_management(graph: Graph) -> dict[str, Any]:
    """Needs Policy.Read.ApplicationConfiguration, or Policy.Read.All. Raises CloudError."""
    return _one(graph, graph._client.policies.default_app_management_policy)


def security_defaults(graph: Graph) -> dict[str, Any]:
    """Needs Policy.Read.All. Raises CloudError."""
    return _one(graph, graph._client.policies.identity_security_defaults_enforcement_policy)


def conditional_access(graph: Graph) -> list[dict[str, Any]]:
    """Needs Policy.Read.ConditionalAccess, or Policy.Read.All. Raises CloudError."""
    return [row for page in graph._pages(graph._client.identity.conditional_access.policies) for row in _rows(page)]


def eligible(graph: Graph, principal: str) -> list[str]:
    """Ids of the directory roles that a principal could activate. Needs RoleEligibilitySchedule.Read.Directory, or
    RoleManagement.Read.Directory. Raises CloudError."""
    builder = graph._client.role_management.directory.role_eligibility_schedule_instances
    pages = graph._pages(builder, (), f"principalId eq '{principal}'")
    return [str(row.get("roleDefinitionId", "")) for page in pages for row in _rows(page)]


def owners(graph: Graph, application: str) -> list[str]:
    """Object ids of an application's owners. Needs Application.Read.All. Raises CloudError."""
    builder = graph._client.applications.by_application_id(application).owners
    return [str(row.get("id", "")) for page in graph._pages(builder, ("id",)) for row in _rows(page)]


def domains(graph: Graph) -> tuple[str, ...]:
    """The tenant's verified domains, the initial one (.onmicrosoft.com) first. Needs Organization.Read.All, or
    Directory.Read.All. Raises CloudError."""
    rows = [row for page in graph._pages(graph._client.organization, ("id", "verifiedDomains")) for row in _rows(page)]
    held = [domain for row in rows for domain in row.get("verifiedDomains") or () if isinstance(domain, dict)]
    held.sort(key=lambda domain: not domain.get("isInitial"))
    return tuple(str(domain.get("name", "")).lower() for domain in held)


def publishers(graph: Graph) -> Iterator[str]:
    """The publisher domains of the tenant's applications, lower case, as they come: domains that this tenant has verified.
    Needs Application.Read.All. Raises CloudError.

    Source: learn.microsoft.com/entra/identity-platform/howto-configure-publisher-domain."""
    for page in graph._pages(graph._client.applications, ("id", "publisherDomain")):
        yield from (str(row["publisherDomain"]).lower() for row in _rows(page) if row.get("publisherDomain"))


def _one(graph: Graph, builder: Any) -> dict[str, Any]:
    answer = graph._one(builder, ())
    return dict(answer.body or {}) if answer is not None else {}
