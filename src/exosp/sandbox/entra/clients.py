"""Which application a person signs in to, where its answers may go, and whether it may come without a secret.

Sources: learn.microsoft.com/entra/identity-platform/reply-url (exact, case-sensitive; the port of a loopback address is
ignored; [::1] is not supported), /reference-error-codes (50011, 500113, 700025, 7000218, 9002327), /msal-client-applications;
azure-sdk-for-js#21395: a public redirect or isFallbackPublicClient lets a client come without a secret.

Not imitated: single-page applications (an answer to their kind of redirect is refused as without an Origin).
"""

from typing import Literal
from urllib.parse import urlsplit

from aiohttp import web

from ..aadsts import EntraFault
from ..directory import Entity
from ..tenant import Tenant
from . import scopes
from .credentials import check_assertion, check_secret

Kind = Literal["publicClient", "web", "spa"]
KINDS: tuple[Kind, ...] = ("publicClient", "web", "spa")
LOOPBACK = frozenset({"localhost", "127.0.0.1"})
SHARED = frozenset({"common", "organizations", "consumers"})
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def find(tenant: Tenant, client: str, authority: str = "") -> Entity:
    """The registration by its appId: of this tenant, or of another that has it for several. ``authority``: the path's first
    segment; one that several tenants share is no place for an application of a single one."""
    if not client:
        raise EntraFault(900144, parameter="client_id")
    application = scopes.registration(tenant.directory, client.lower())
    if application is not None and application.usable_at > tenant.clock.now():
        tenant.faults.note("backing-application-lag")
        application = None
    if application is None:
        raise EntraFault(700016, client=client)
    if authority.lower() in SHARED and application.properties["signInAudience"] == "AzureADMyOrg":
        raise EntraFault(50194, client=client, name=str(application.properties["displayName"]))
    return application


def open_to_sign_in(tenant: Tenant, application: Entity) -> None:
    """Refuse an application that is switched off."""
    client = str(application.properties["appId"])
    principal = tenant.directory.principal(client)
    off = principal is not None and not principal.properties["accountEnabled"]
    if off or application.properties.get("isDisabled"):
        raise EntraFault(7000112, client=client, name=str(application.properties["displayName"]))


def redirect(application: Entity, uri: str) -> Kind:
    """The kind of registered redirect URI that this one is. Refusals are shown, never sent to that address."""
    held = {kind: list((application.properties[kind] or {}).get("redirectUris") or ()) for kind in KINDS}
    if not any(held.values()):
        raise EntraFault(500113)
    for kind in KINDS:
        if any(_matches(registered, uri) for registered in held[kind]):
            return kind
    raise EntraFault(50011, uri=uri, client=str(application.properties["appId"]))


def _matches(registered: str, uri: str) -> bool:
    if registered == uri:
        return True
    try:
        there, here = urlsplit(registered), urlsplit(uri)
        _ = here.port  # ValueError: no number
    except ValueError:
        return False
    loopback = there.hostname in LOOPBACK and there.hostname == here.hostname
    rest = (there.scheme, there.path, there.query, there.fragment) == (
        here.scheme,
        here.path,
        here.query,
        here.fragment,
    )
    return loopback and rest and there.scheme in ("http", "https") and here.username is None


def returned(uri: str, mode: str) -> str:
    """The redirect URI as answers go to it: one without a path gets a slash, except with form_post."""
    return f"{uri}/" if not urlsplit(uri).path and mode != "form_post" else uri


def prove(
    tenant: Tenant, request: web.Request, form: dict[str, str], application: Entity, *, public: bool, basic: str = ""
) -> bool:
    """Check how the client proves that it is itself; whether it came as a public one, which proves nothing.

    ``public``: its redirect, or the registration's fallback, makes it one.
    """
    client = str(application.properties["appId"])
    assertion, secret = form.get("client_assertion"), form.get("client_secret") or basic
    if public:
        if assertion or secret:
            raise EntraFault(700025)
        return True
    principal = tenant.directory.principal(client)
    holders = [holder for holder in (application, principal) if holder]
    if assertion:
        if form.get("client_assertion_type") != JWT_BEARER:
            raise EntraFault(900144, parameter="client_assertion_type")
        check_assertion(tenant, request, assertion, client, holders)
    elif secret:
        check_secret(tenant, secret, client, holders)
    else:
        raise EntraFault(7000218)
    return False


def falls_back(application: Entity) -> bool:
    """Allow public client flows, as the portal calls it: what decides where no redirect URI tells the kind."""
    return application.properties.get("isFallbackPublicClient") is True
