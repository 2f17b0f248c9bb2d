"""Signing in on another device: /devicecode, and the page where its code is typed.

Sources: learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code (fields, fifteen minutes, no
verification_uri_complete), RFC 8628; azure-cli#22251 (an answer in full); /reference-error-codes (70018, 70019, 90119, 90120).

Not imitated: the question whether one is trying to sign in to this application, messages in other languages.
"""

import secrets

from aiohttp import web

from ..aadsts import EntraFault
from ..directory import digest
from ..people import Device, Pending, Request
from . import authorize, clients, pages, scopes
from .host import Host
from .wire import origin, read_form

LIFETIME = 900.0  # sandbox seconds
INTERVAL = 5  # wall seconds
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


async def devicecode(host: Host, request: web.Request) -> web.Response:
    """A device asks for a code to show."""
    tenant, form = host.tenant, await read_form(request)
    tenant.count("token", "devicecode")
    name = request.match_info["tenant"]
    if name.lower() not in clients.SHARED:
        host.authority(name)
    application = clients.find(tenant, form.get("client_id", ""), name)
    clients.open_to_sign_in(tenant, application)
    if not form.get("scope", "").strip():
        raise EntraFault(900144, parameter="scope")
    client = str(application.properties["appId"])
    scopes.one(tenant, form["scope"], client)
    code = f"{secrets.choice('DEGH')}AQABI{secrets.token_urlsafe(96)}"
    user_code = "".join(secrets.choice(_LETTERS) for _ in range(9))
    tenant.directory.people.devices[digest(code)] = Device(
        client, form["scope"], user_code, tenant.clock.now() + LIFETIME
    )
    place = f"{origin(request)}/devicelogin"
    return web.json_response(
        {
            "user_code": user_code, "device_code": code, "verification_uri": place, "interval": INTERVAL,
            "expires_in": max(1, int(LIFETIME / max(tenant.clock.speed, 1e-9))),
            "message": f"To sign in, use a web browser to open the page {place} and enter the code {user_code} to authenticate.",
        }
    )  # fmt: skip


async def devicelogin(host: Host, request: web.Request) -> web.Response:
    """The page where a person types the code."""
    if request.method == "GET":
        return pages.device_code("/devicelogin")
    tenant = host.tenant
    tenant.count("token", "devicelogin")
    typed = (await read_form(request)).get("otc", "").strip().upper()
    try:
        key, device = _device(host, typed)
    except EntraFault as fault:
        return pages.device_code("/devicelogin", host.explain(request, fault)["error_description"])
    asked = Request(device.client, device.scope, prompt="select_account", device=key)
    return authorize.advance(host, request, Pending(asked, device.expires))


def _device(host: Host, typed: str) -> tuple[str, Device]:
    if not typed:
        raise EntraFault(90119)
    held = host.tenant.directory.people.devices
    found = next(((key, device) for key, device in held.items() if device.user_code == typed), None)
    if found is None:
        raise EntraFault(70018)
    if found[1].expires <= host.tenant.clock.now():
        raise EntraFault(70019)
    if found[1].came != "pending":
        raise EntraFault(90120)
    return found
