"""The token endpoint: which grant a request is, and what is refused before any grant is looked at.

Source: learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow, /v2-oauth-ropc.
"""

from aiohttp import web

from ..aadsts import BareFault, EntraFault
from . import app_only, grants
from .host import Host
from .wire import basic_credentials, not_emulated, read_form

_JWT_BEARER_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"

_NOT_EMULATED = frozenset({_JWT_BEARER_GRANT, "urn:ietf:params:oauth:grant-type:saml2-bearer"})  # fmt: skip


async def serve(host: Host, request: web.Request) -> web.Response:
    """The answer to a token request."""
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
    if grant in _NOT_EMULATED:
        return not_emulated(f"the grant {grant}")
    if grant in grants.GRANTS:
        _, password = basic_credentials(request.headers.get("Authorization", ""))
        return grants.GRANTS[grant](host, request, form, password)
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
