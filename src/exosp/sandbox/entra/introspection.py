"""A token introspection endpoint for mail servers. It is no part of Entra: it stands in for the validation inside
Exchange's own doors, and is open on loopback. Source: RFC 7662."""

from typing import Any

from aiohttp import web

from ..tenant import Tenant
from ..tokens import TokenFault
from .wire import read_form

# What Dovecot calls its services, and the app role each needs at Exchange, or of a person's token the delegated permission.
SERVICE_ROLES = {
    "imap": "IMAP.AccessAsApp",
    "pop": "POP.AccessAsApp",
    "pop3": "POP.AccessAsApp",
    "smtp": "SMTP.SendAsApp",
    "submission": "SMTP.SendAsApp",
}
SCOPE_OF = {
    "IMAP.AccessAsApp": "IMAP.AccessAsUser.All",
    "POP.AccessAsApp": "POP.AccessAsUser.All",
    "SMTP.SendAsApp": "SMTP.Send",
}


async def introspect(tenant: Tenant, request: web.Request) -> web.Response:
    """RFC 7662 for a mail server: is this a token for Exchange, and does it carry the protocol's app role?"""
    token = (await read_form(request)).get("token", "")
    service = request.headers.get("X-Dovecot-Auth-Service", "").lower()
    tenant.count("token", "introspect")
    try:
        claims = tenant.signer.verify(token)
    except TokenFault:
        return web.json_response({"active": False})
    roles, audience = claims.get("roles", []), str(claims.get("aud", "")).removesuffix("/")
    if audience not in tenant.shape.audiences or (  # as Exchange's own doors
        service and not _admits(SERVICE_ROLES.get(service, ""), roles, claims)
    ):
        return web.json_response({"active": False})
    shown = {key: claims[key] for key in ("appid", "oid", "aud", "exp", "iat", "nbf", "iss", "sub", "tid")}
    return web.json_response(
        {
            "active": True,
            "roles": roles,
            "client_id": claims["appid"],
            "token_type": "Bearer",
            "emulated": True,
            **shown,
        }
    )


def _admits(role: str, roles: list[str], claims: dict[str, Any]) -> bool:
    return role in roles or SCOPE_OF.get(role) in str(claims.get("scp", "")).split()
