"""The management address: look into the tenant, move its time, turn its knobs, start it anew. Plain HTTP on 127.0.0.1.

It shows no secret value, only digests. A request that names a host other than loopback is refused, so that a web page
cannot reach it by DNS rebinding.
"""

from typing import Any

from aiohttp import web

from . import initial, mess
from .directory import Entity
from .exchange import Row
from .faults import Faults, UnknownFault
from .tenant import Options, Tenant


def state(tenant: Tenant) -> dict[str, Any]:
    """Everything the tenant holds, in the services' own property names."""
    directory, exchange = tenant.directory, tenant.exchange
    return {
        "emulated": True,
        "tenantId": tenant.tenant_id,
        "cloud": tenant.shape.name,
        "now": tenant.clock.iso(),
        "advanced": tenant.clock.advanced,
        "applications": [_entity(item) for item in directory.applications.values()],
        "deletedApplications": [_entity(item) for item in directory.deleted_applications.values()],
        "servicePrincipals": [_entity(item) for item in directory.service_principals.values()],
        "appRoleAssignments": [_entity(item) for item in directory.app_role_assignments.values()],
        "oauth2PermissionGrants": [_entity(item) for item in directory.permission_grants.values()],
        "users": directory.people.shown(),
        "exchange": {
            "servicePrincipals": [_row(row) for row in exchange.service_principals],
            "mailboxPermissions": [_row(row) for box in exchange.mailboxes for row in box.permissions],
            "recipientPermissions": [_row(row) for box in exchange.mailboxes for row in box.recipient_permissions],
            "casMailboxes": [dict(box.cas) for box in exchange.mailboxes],
            "transportConfig": dict(exchange.transport_config),
            "organizationConfig": {**exchange.organization_config, "IsDehydrated": exchange.dehydrated()},
            "managementScopes": [_row(row) for row in exchange.management_scopes],
            "managementRoleAssignments": [_row(row) for row in exchange.management_role_assignments],
            "applicationAccessPolicies": [_row(row) for row in exchange.access_policies],
            "authenticationPolicies": [_row(row) for row in exchange.authentication_policies],
        },
    }


def _entity(item: Entity) -> dict[str, Any]:
    shown = dict(item.properties)
    if item.secrets:
        shown["passwordCredentials"] = [
            {**row, "secretText": None, "sha256": item.secrets.get(row["keyId"])}
            for row in item.properties.get("passwordCredentials", [])
        ]
    return shown


def _row(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.properties.items() if not name.startswith("_")}


def build(tenant: Tenant, start: "dict[str, Any] | None") -> web.Application:
    """``start`` is the tenant file's content that a reset without one returns to."""

    async def get_state(request: web.Request) -> web.Response:
        return web.json_response(state(tenant))

    async def get_requests(request: web.Request) -> web.Response:
        services = ("token", "graph", "remoting", "admin-api", "imap", "pop", "smtp")
        return web.json_response({service: dict(tenant.requests[service]) for service in services})

    async def get_planted(request: web.Request) -> web.Response:
        """What an audit must find of --mess and of the provisioning application, and the addresses that it takes for
        privileged. Of what a tenant file wrote by hand nothing is said."""
        rows = [{"check": check, "subject": subject, "mailbox": box} for check, subject, box in tenant.planted]
        return web.json_response({"privileged": list(mess.PRIVILEGED), "planted": rows})

    async def advance(request: web.Request) -> web.Response:
        data = await _json(request, {"seconds"})
        seconds = data.get("seconds")
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds < 1e9:
            return _bad("seconds is a number from 0")
        tenant.clock.advance(float(seconds))
        return web.json_response({"now": tenant.clock.iso(), "advanced": tenant.clock.advanced})

    async def get_faults(request: web.Request) -> web.Response:
        return web.json_response(tenant.faults.describe())

    async def set_faults(request: web.Request) -> web.Response:
        data = await _json(request, None)
        trial = Faults()
        try:
            for name, value in data.items():
                trial.set(name, value)
        except UnknownFault as fault:
            return _bad(str(fault))
        for name, value in data.items():
            tenant.faults.set(name, value)
        return web.json_response(tenant.faults.describe())

    async def reset(request: web.Request) -> web.Response:
        data = await _json(request, {"seed", "tenant"})
        seed = data.get("seed", tenant.options.seed)
        if not isinstance(seed, int) or isinstance(seed, bool):
            return _bad("seed is a whole number")
        try:
            content = data.get("tenant", start)
            content = initial.parse(content) if isinstance(content, str) else content
            content = None if content is None else initial.check(content)
            initial.fits(tenant, content)
            old = tenant.options
            tenant.reset(Options(**{**old.__dict__, "seed": seed}))
            initial.furnish(tenant, content)
        except initial.TenantFileFault as fault:
            return _bad(str(fault))
        return web.json_response({"seed": seed, "tenantId": tenant.tenant_id})

    app = web.Application(middlewares=[_only_loopback])
    app.add_routes([
        web.get("/state", get_state),
        web.get("/requests", get_requests),
        web.get("/planted", get_planted),
        web.post("/advance", advance),
        web.get("/faults", get_faults),
        web.post("/faults", set_faults),
        web.post("/reset", reset),
    ])  # fmt: skip
    return app


class _BadBody(Exception):
    pass


async def _json(request: web.Request, keys: set[str] | None) -> dict[str, Any]:
    text = await request.text()
    try:
        data = await request.json() if text.strip() else {}
    except ValueError:
        raise _BadBody("the body is not JSON") from None
    if not isinstance(data, dict):
        raise _BadBody("the body is a JSON object")
    if keys is not None and set(data) - keys:
        raise _BadBody(f"unknown: {', '.join(sorted(set(data) - keys))}; there are: {', '.join(sorted(keys))}")
    return data


def _bad(why: str) -> web.Response:
    return web.json_response({"error": why}, status=400)


@web.middleware
async def _only_loopback(request: web.Request, handler: Any) -> web.StreamResponse:
    if request.url.host not in ("127.0.0.1", "localhost", "::1"):
        return web.json_response({"error": "this address serves 127.0.0.1 only"}, status=421)
    try:
        found: web.StreamResponse = await handler(request)
    except _BadBody as fault:
        return _bad(str(fault))
    except web.HTTPNotFound:
        return web.json_response({"error": f"no {request.method} {request.path} here"}, status=501)
    return found
