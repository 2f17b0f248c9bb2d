"""The login host: Microsoft Entra's token endpoint for applications and for people, its sign-in pages, its discovery
documents and signing keys, and a token introspection endpoint for mail servers.

Sources: learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow, /v2-oauth2-auth-code-flow,
/v2-oauth2-device-code, /certificate-credentials, /access-token-claims-reference, /reference-error-codes. Each module names
its own.

Not imitated: on-behalf-of, the v1 token endpoint (its metadata is served),
guests, Conditional Access but for blocks of everybody (knobs), refused replays of an assertion (``jti`` is only required;
Entra lets an assertion be used again).
"""

from functools import partial

from aiohttp import web

from .. import federation
from ..tenant import Tenant
from . import admin_consent, authorize, device, introspection, token
from .host import Host
from .wire import not_emulated

__all__ = ["build"]


def build(tenant: Tenant) -> web.Application:
    """The login host as an aiohttp application; it reads the tenant anew on every request."""
    host = Host(tenant)
    app = web.Application(middlewares=[host.frame, federation.middleware(tenant)])
    app.router.add_get("/common/discovery/instance", host.instance)
    app.router.add_get("/{tenant}/v2.0/.well-known/openid-configuration", host.configuration)
    app.router.add_get("/{tenant}/.well-known/openid-configuration", host.configuration_v1)
    app.router.add_get("/{tenant}/discovery/v2.0/keys", host.keys)
    app.router.add_get("/{tenant}/discovery/keys", host.keys)
    app.router.add_post("/{tenant}/oauth2/v2.0/token", partial(token.serve, host))
    app.router.add_get("/{tenant}/oauth2/v2.0/authorize", partial(authorize.authorize, host))
    app.router.add_post("/{tenant}/oauth2/v2.0/authorize", partial(authorize.authorize, host))
    app.router.add_post("/{tenant}/login", partial(authorize.answer, host))
    app.router.add_post("/{tenant}/oauth2/v2.0/devicecode", partial(device.devicecode, host))
    app.router.add_get("/devicelogin", partial(device.devicelogin, host))
    app.router.add_post("/devicelogin", partial(device.devicelogin, host))
    for place in ("/{tenant}/v2.0/adminconsent", "/{tenant}/adminconsent"):
        app.router.add_get(place, partial(admin_consent.begin, host))
    app.router.add_post("/{tenant}/adminconsent", partial(admin_consent.answer, host))
    app.router.add_post("/introspect", partial(introspection.introspect, tenant))
    app.router.add_route("*", "/{path:.*}", _unknown)
    return app


async def _unknown(request: web.Request) -> web.Response:
    return not_emulated(f"{request.method} {request.path}")
