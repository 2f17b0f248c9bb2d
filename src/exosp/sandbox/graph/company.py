"""/organization, /domains and /me. Read only.

Sources: learn.microsoft.com/graph/api/organization-list, domain-list; /me refuses app-only tokens.
"""

from typing import Any

from ..directory import Entity, verified_domains
from .wire import Call, Reply, Route, Service, bad_request, not_found

_ORGANIZATION = ("Organization.Read.All", "Organization.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")
_DOMAIN = ("Domain.Read.All", "Domain.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")


def _names(service: Service) -> list[str]:
    tenant = service.tenant
    return verified_domains(tenant.domain, tenant.exchange.domains())


def _organization(service: Service) -> Entity:
    tenant = service.tenant
    domains = [
        {"capabilities": "Email, OfficeCommunicationsOnline", "isDefault": not n, "isInitial": not n, "name": name, "type": "Managed"}
        for n, name in enumerate(_names(service))
    ]  # fmt: skip
    properties: dict[str, Any] = {
        "id": tenant.tenant_id, "deletedDateTime": None, "businessPhones": [], "city": None, "country": None,
        "countryLetterCode": "DE", "createdDateTime": "2021-03-01T08:00:00Z", "defaultUsageLocation": None,
        "displayName": tenant.domain.partition(".")[0].title() + " (emulated)", "marketingNotificationEmails": [],
        "onPremisesLastSyncDateTime": None, "onPremisesSyncEnabled": None, "partnerTenantType": None, "postalCode": None,
        "preferredLanguage": "en", "securityComplianceNotificationMails": [], "securityComplianceNotificationPhones": [],
        "state": None, "street": None, "technicalNotificationMails": [], "tenantType": "AAD", "privacyProfile": None,
        "assignedPlans": [], "provisionedPlans": [], "verifiedDomains": domains,
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


def _domain(service: Service, name: str) -> Entity:
    initial = name == service.tenant.domain.lower()
    return Entity(
        {
            "id": name, "authenticationType": "Managed", "isAdminManaged": True, "isDefault": initial,
            "isInitial": initial, "isRoot": True, "isVerified": True, "supportedServices": ["Email"],
        },
        0.0,
    )  # fmt: skip


def domains(service: Service, call: Call) -> Reply:
    call.need(*_DOMAIN)
    return service.page(call, "domain", "domains", [_domain(service, name) for name in _names(service)])


def domain_read(service: Service, call: Call, id: str) -> Reply:  # noqa: A002
    call.need(*_DOMAIN)
    if id.lower() not in _names(service):
        raise not_found(id)
    return service.one(call, "domain", "domains", _domain(service, id.lower()))


def me(service: Service, call: Call, **key: str) -> Reply:
    raise bad_request("/me request is only valid with delegated authentication flow.", "BadRequest")


def routes() -> list[Route]:
    return [
        Route("GET", "/organization", organization),
        Route("GET", "/organization/{id}", organization_read),
        Route("GET", "/domains", domains),
        Route("GET", "/domains/{id}", domain_read),
        Route("GET", "/me", me),
        Route("GET", "/me/{what}", me),
    ]
