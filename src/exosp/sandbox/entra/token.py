"""The token endpoint: which grant a request is, and what is refused before any grant is looked at.

Source: learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow, /v2-oauth-ropc.
"""

from typing import NoReturn

from aiohttp import web

from ..aadsts import BareFault, EntraFault
from ..tenant import Tenant
from . import app_only
from .host import Host
from .wire import basic_credentials, not_emulated, read_form

_JWT_BEARER_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"

# Grants for a person, with what their requests must carry (v2-oauth2-auth-code-flow, v2-oauth-ropc).
_PERSONAL = {
    "authorization_code": ("code",),
    "refresh_token": ("refresh_token",),
    "password": ("username", "password"),
}
_NOT_EMULATED = frozenset({"urn:ietf:params:oauth:grant-type:device_code", "device_code", _JWT_BEARER_GRANT, "urn:ietf:params:oauth:grant-type:saml2-bearer"})  # fmt: skip


async def serve(host: Host, request: web.Request) -> web.Response:
    tenant, form = host.tenant, await read_form(request)
    grant = form.get("grant_type", "")
    tenant.count("token", grant or "(none)")
    if tenant.faults.strikes("token-throttle"):
        raise EntraFault(90055)
    if tenant.faults.strikes("token-throttle-bare"):
        raise BareFault(90055)
    if tenant.faults.strikes("token-unavailable"):
        raise EntraFault(90033)
    name = request.match_info["tenant"]
    if name.lower() not in ("common", "organizations", "consumers"):
        host.authority(name)
    if not grant:
        raise EntraFault(900144, parameter="grant_type")
    if grant in _PERSONAL:
        _refuse_person(tenant, grant, form)
    if grant in _NOT_EMULATED:
        return not_emulated(f"the grant {grant}")
    if grant != "client_credentials":
        raise EntraFault(70003, grant=grant)
    user, password = basic_credentials(request.headers.get("Authorization", ""))
    client = form.get("client_id") or user
    if not client:
        raise EntraFault(900144, parameter="client_id")
    if not form.get("scope", "").strip():
        raise EntraFault(900144, parameter="scope")
    if name.lower() in ("common", "organizations", "consumers"):
        raise EntraFault(50059)
    return app_only.client_credentials(tenant, request, form, client, password)


def _refuse_person(tenant: Tenant, grant: str, form: dict[str, str]) -> NoReturn:
    """No person signs in here, so no code or refresh token of ours exists and no password is right."""
    for parameter in ("client_id", *_PERSONAL[grant]):
        if not form.get(parameter):
            raise EntraFault(900144, parameter=parameter)
    if grant != "password":
        raise EntraFault(9002313)
    name = form["username"].lower()
    known = any(name == str(m.properties["UserPrincipalName"]).lower() for m in tenant.exchange.mailboxes)
    raise EntraFault(50126 if known else 50034)
