"""Tokens for an application itself: client credentials.

Sources: learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow, /access-token-claims-reference.
"""

import uuid
from typing import Any

from aiohttp import web

from ..aadsts import EntraFault
from ..tenant import Tenant
from .credentials import check_assertion, check_secret
from .resources import app_resource

LIFETIME = 3599  # sandbox seconds; Entra's own range is 60 to 90 minutes

# Entra role template ids, as ``wids`` carries them (learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference).
ROLE_TEMPLATES = {
    "Global Administrator": "62e90394-69f5-4237-9190-012177145e10",
    "Global Reader": "f2ef992c-3afb-46b9-b7cf-a126ee74c451",
    "Exchange Administrator": "29232cdf-9323-42fd-ade2-1d097af3e4de",
    "Exchange Recipient Administrator": "31392ffb-586c-42d1-9346-e59415a2cc4e",
    "Application Administrator": "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3",
    "Cloud Application Administrator": "158c047a-c907-4556-b7ef-446551a6b5f7",
    "Privileged Role Administrator": "e8611ab8-c189-46e8-94e1-60213ab1f814",
    "Compliance Administrator": "17315797-102d-40b4-93e0-432062caca18",
    "Helpdesk Administrator": "729827e3-9c14-49f7-bb1b-9608f156bbb8",
    "Security Administrator": "194ae4cb-b126-40b2-bd5b-6091b380977d",
    "Security Reader": "5d6b6bb7-de71-4623-b4af-96380a352509",
}
_EVERYONE = "0997a1d0-0d1d-4acb-b408-d5ca73121e90"  # stands in every app-only token's wids

_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def client_credentials(
    tenant: Tenant, request: web.Request, form: dict[str, str], client: str, basic: str
) -> web.Response:
    """The answer to a request for a token of the application's own."""
    directory, now = tenant.directory, tenant.clock.now()
    application, principal = directory.application(client.lower()), directory.principal(client.lower())
    if application and application.usable_at > now:
        tenant.faults.note("backing-application-lag")
        application = None
    if client == str(uuid.UUID(int=0)):
        raise EntraFault(700038, client=client)
    if application is None and principal is None and client.lower() not in directory.foreign:
        raise EntraFault(700016, client=client)
    foreign = directory.foreign.get(client.lower())
    holders = [holder for holder in (application, foreign, principal) if holder]
    assertion, secret = form.get("client_assertion"), form.get("client_secret") or basic
    if assertion:
        if form.get("client_assertion_type") != _JWT_BEARER:
            raise EntraFault(900144, parameter="client_assertion_type")
        check_assertion(tenant, request, assertion, client, holders)
    elif secret:
        check_secret(tenant, secret, client, holders)
    else:
        raise EntraFault(7000216 if "client_secret" not in form else 7000218, client=client)
    if principal is None:
        raise EntraFault(7000229, client=client)
    shown = str(principal.properties["displayName"])
    if not principal.properties["accountEnabled"] or (application and application.properties.get("isDisabled")):
        raise EntraFault(7000112, client=client, name=shown)
    blocks = tenant.faults["conditional-access-block"]
    if blocks == 2 or (blocks and client.lower() != tenant.admin_app_id):
        tenant.faults.note("conditional-access-block")
        raise EntraFault(53003)
    audience, resource = app_resource(tenant, form["scope"])
    roles = directory.roles(principal.id, str(resource.properties["appId"]), now)
    if resource.properties["appRoleAssignmentRequired"] and not roles:
        tenant.faults.note("assignment-required")
        code = 50105 if tenant.faults["assignment-required"] == 2 else 501051
        raise EntraFault(code, client=client, name=shown, resource=str(resource.properties["appId"]))
    if any(
        row.properties["principalId"] == principal.id and row.usable_at > now
        for row in directory.app_role_assignments.values()
    ):
        tenant.faults.note("consent-lag")
    claims: dict[str, Any] = {
        "aud": audience, "appid": client.lower(), "appidacr": "2" if assertion else "1", "app_displayname": shown,
        "idp": tenant.signer.issuer, "idtyp": "app", "oid": principal.id, "sub": principal.id, "tenant_region_scope": "EU",
        "wids": [*(ROLE_TEMPLATES[role] for role in sorted(directory.directory_roles.get(principal.id, ())) if role in ROLE_TEMPLATES), _EVERYONE],
    }  # fmt: skip
    if roles:
        claims["roles"] = roles
    directory.signed_in(client.lower())
    expires = max(1, int(LIFETIME / max(tenant.clock.speed, 1e-9)))
    return web.json_response(
        {
            "token_type": "Bearer",
            "expires_in": expires,
            "ext_expires_in": expires,
            "access_token": tenant.signer.mint(claims, LIFETIME),
        }
    )
