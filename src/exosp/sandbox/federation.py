"""Workload identity federation at the login host: an assertion that another issuer signed, in place of a secret.

The issuer's metadata and keys are fetched as Entra fetches them; issuer, subject and audience must be those of one
federatedIdentityCredential of the application, to the letter. The check stands before the token endpoint; what it has
found good is noted for the request at hand.
Sources: learn.microsoft.com/entra/workload-id/workload-identity-federation and -considerations (case-sensitive since 2024);
texts of 700211 and 700213 azure-workload-identity#1200, of 7002138 Azure/login#515, of 50166 and 90061 the project's
troubleshooting page; 700212's is inferred from its neighbours.
Not imitated: user-assigned managed identities as holders, claims matching expressions, flexible credentials, issuers that
are not on loopback (refused as unreachable), how long Entra keeps an issuer's keys (they are fetched each time).
"""

import ssl
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import jwt
from aiohttp import web

from .aadsts import EntraFault
from .directory import Entity
from .tenant import Tenant

AUDIENCE = "api://AzureADTokenExchange"  # the recommended one; a credential may name another
SKEW = 300  # seconds that clocks may differ
_vouched: ContextVar[str] = ContextVar("vouched", default="")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def middleware(tenant: Tenant) -> Any:
    """What stands before the token endpoint: looks at assertions that are not the application's own."""

    @web.middleware
    async def before(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method == "POST" and request.path.endswith("/oauth2/v2.0/token"):
            assertion, client = await _given(request)
            application = tenant.directory.application(client)
            known = application is not None and application.usable_at <= tenant.clock.now()
            good = assertion and known and await _is_foreign_and_good(assertion, client, application)
            kept = _vouched.set(client if good else "")
            try:
                return await handler(request)
            finally:
                _vouched.reset(kept)
        return await handler(request)

    return before


def has_vouched(client: str) -> bool:
    """Whether the request at hand carries another issuer's assertion for this application that was found good."""
    return client != "" and _vouched.get() == client.lower()


async def _given(request: web.Request) -> tuple[str, str]:
    try:
        form = await request.post()
    except (ValueError, LookupError):  # no form: the token endpoint says so
        return "", ""
    return str(form.get("client_assertion", "")), str(form.get("client_id", "")).lower()


async def _is_foreign_and_good(assertion: str, client: str, application: Entity | None) -> bool:
    """False for an assertion of the application's own; raises EntraFault for one that must not be taken."""
    assert application is not None
    try:
        header = jwt.get_unverified_header(assertion)
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        raise EntraFault(50027) from None
    issuer, subject = str(claims.get("iss", "")), str(claims.get("sub", ""))
    if issuer.lower() == client or not issuer.startswith("http"):
        return False
    rows = list(application.federated.values())
    rows = [row for row in rows if row["issuer"] == issuer]
    if not rows:
        raise EntraFault(700211, issuer=issuer)
    named = [row for row in rows if row["subject"] == subject]
    if not named:
        nearly = any(str(row["subject"]).lower() == subject.lower() for row in rows)
        raise EntraFault(7002138 if nearly else 700213, subject=subject)
    meant = claims.get("aud")
    audiences = set(meant) if isinstance(meant, list) else {meant}
    if not any(audiences & set(row["audiences"]) for row in named):
        raise EntraFault(700212, audience=", ".join(str(word) for word in sorted(map(str, audiences))))
    _verify(assertion, header, await _keys(issuer))
    now, start, end = time.time(), claims.get("nbf", claims.get("iat", 0)), claims.get("exp")
    if not isinstance(end, int | float) or not isinstance(start, int | float):
        raise EntraFault(50027)
    if not start - SKEW <= now < end + SKEW:
        raise EntraFault(700024, now=_stamp(now), start=_stamp(start), end=_stamp(end))
    return True


def _verify(assertion: str, header: dict[str, Any], keys: list[dict[str, Any]]) -> None:
    off: Any = dict.fromkeys(
        ("verify_aud", "verify_exp", "verify_nbf", "verify_iat", "verify_sub", "verify_jti"), False
    )
    for key in keys:
        if key.get("kid") != header.get("kid") or header.get("alg") != "RS256":
            continue
        try:
            jwt.decode(assertion, jwt.PyJWK(key).key, algorithms=["RS256"], options=off)
        except (jwt.PyJWTError, TypeError, ValueError):
            break
        return
    raise EntraFault(50013)


async def _keys(issuer: str) -> list[dict[str, Any]]:
    """By the issuer's metadata; trusted is what this machine trusts (SSL_CERT_FILE), as Entra trusts public authorities."""
    try:
        timeout = aiohttp.ClientTimeout(total=10)
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context())
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            metadata = await _get(session, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if metadata.get("issuer") != issuer:
                raise EntraFault(50166)
            found = (await _get(session, str(metadata.get("jwks_uri", "")))).get("keys")
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
        raise EntraFault(50166) from None
    return [key for key in found if isinstance(key, dict)] if isinstance(found, list) else []


async def _get(session: aiohttp.ClientSession, address: str) -> dict[str, Any]:
    parts = urlsplit(address)
    if parts.scheme != "https" or parts.hostname not in _LOOPBACK:
        raise EntraFault(50166)
    async with session.get(address, allow_redirects=False) as reply:
        if reply.status != 200:
            raise EntraFault(50166)
        found = await reply.json(content_type=None)
    return found if isinstance(found, dict) else {}


def _stamp(at: float) -> str:
    at = min(max(at, 0.0), 4e9) if at == at else 0.0
    return time.strftime("%Y-%m-%dT%H:%M:%S.0000000Z", time.gmtime(at))
