"""/organization, /domains and /me. Read only.

Sources: learn.microsoft.com/graph/api/organization-list, domain-list; /me refuses app-only tokens.
"""

from typing import Any

from ..directory import Entity
from .wire import Call, Reply, Route, Service, bad_request, not_found

_ORGANIZATION = ("Organization.Read.All", "Organization.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")
_DOMAIN = ("Domain.Read.All", "Domain.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")


def _organization(service: Service) -> Entity:
    tenant = service.tenant
    domain = {"capabilities": "Email, OfficeCommunicationsOnline", "isDefault": True, "isInitial": True, "name": tenant.domain, "type": "Managed"}  # fmt: skip
    properties: dict[str, Any] = {
        "id": tenant.tenant_id, "deletedDateTime": None, "businessPhones": [], "city": None, "country": None,
        "countryLetterCode": "DE", "createdDateTime": "2021-03-01T08:00:00Z", "defaultUsageLocation": None,
        "displayName": tenant.domain.partition(".")[0].title() + " (emulated)", "marketingNotificationEmails": [],
        "onPremisesLastSyncDateTime": None, "onPremisesSyncEnabled": None, "partnerTenantType": None, "postalCode": None,
        "preferredLanguage": "en", "securityComplianceNotificationMails": [], "securityComplianceNotificationPhones": [],
        "state": None, "street": None, "technicalNotificationMails": [], "tenantType": "AAD", "privacyProfile": None,
        "assignedPlans": [], "provisionedPlans": [], "verifiedDomains": [domain],
    }  # fmt: skip
    return Entity(properties, 0.0)


def organization(service: Service, call: Call) -> Reply:
    call.need(*_ORGANIZATION)
    return service.page(call, "organization", "organization", [_organization(service)])


def organization_read(service: Service, call: Call, id: str) -> Reply:  # noqa: A002 - the key's own name
    call.need(*_ORGANIZATION)
    if id.lower() != service.tenant.tenant_id:
        raise not_found(id)
    return service.one(call, "organization", "organization", _organization(service))


def _domain(service: Service) -> Entity:
    return Entity(
        {
            "id": service.tenant.domain, "authenticationType": "Managed", "isAdminManaged": True, "isDefault": True,
            "isInitial": True, "isRoot": True, "isVerified": True, "supportedServices": ["Email"],
        },
        0.0,
    )  # fmt: skip


def domains(service: Service, call: Call) -> Reply:
    call.need(*_DOMAIN)
    return service.page(call, "domain", "domains", [_domain(service)])


def domain_read(service: Service, call: Call, id: str) -> Reply:  # noqa: A002
    call.need(*_DOMAIN)
    if id.lower() != service.tenant.domain.lower():
        raise not_found(id)
    return service.one(call, "domain", "domains", _domain(service))


def me(service: Service, call: Call) -> Reply:
    raise bad_request("/me request is only valid with delegated authentication flow.", "BadRequest")


def routes() -> list[Route]:
    return [
        Route("GET", "/organization", organization),
        Route("GET", "/organization/{id}", organization_read),
        Route("GET", "/domains", domains),
        Route("GET", "/domains/{id}", domain_read),
        Route("GET", "/me", me),
    ]
