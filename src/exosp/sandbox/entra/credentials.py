"""How an application proves that it is itself: a secret, or an assertion signed with a registered certificate.

Source: learn.microsoft.com/entra/identity-platform/certificate-credentials.
"""

import base64
import hashlib
import time
from typing import Any

import jwt
from aiohttp import web
from cryptography import x509

from .. import federation
from ..aadsts import EntraFault
from ..directory import Entity, digest
from ..tenant import Tenant
from .wire import instant, origin, stamp


def check_secret(tenant: Tenant, secret: str, client: str, holders: list[Entity]) -> None:
    now, wanted = tenant.clock.now(), digest(secret)
    for holder in holders:
        rows = {row["keyId"]: row for row in holder.properties["passwordCredentials"]}
        for key, value in holder.secrets.items():
            if value != wanted or key not in rows:
                continue
            if holder.secret_usable_at.get(key, 0.0) > now:
                tenant.faults.note("secret-lag")
                raise EntraFault(7000215, client=client)
            if instant(rows[key]["endDateTime"]) <= now:
                raise EntraFault(7000222, client=client)
            return
    raise EntraFault(7000215, client=client)


def check_assertion(tenant: Tenant, request: web.Request, assertion: str, client: str, holders: list[Entity]) -> None:
    """A signed assertion: certificate registered and in force, signature, then the claims.

    Its times are judged by the wall clock: it is the client's clock that wrote them.
    """
    try:
        header = jwt.get_unverified_header(assertion)
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        raise EntraFault(50027) from None
    if federation.has_vouched(client):
        return
    if claims.get("iss") != client:
        raise EntraFault(700211, issuer=str(claims.get("iss")))
    key_id, certificate, thumbprint = _certificate(header, holders)
    if certificate is None:
        reason = {"problem": "not registered", "reason": "The key was not found."}
        raise EntraFault(700027, client=client, thumbprint=thumbprint, **reason)
    rows = {row["keyId"]: row for holder in holders for row in holder.properties["keyCredentials"]}
    if not instant(rows[key_id]["startDateTime"]) <= tenant.clock.now() < instant(rows[key_id]["endDateTime"]):
        reason = {"problem": "expired", "reason": "The key used is expired."}
        raise EntraFault(700027, client=client, thumbprint=thumbprint, **reason)
    if header.get("alg") not in ("RS256", "PS256"):
        raise EntraFault(50027)
    try:
        jwt.decode(
            assertion, certificate.public_key(), algorithms=[header["alg"]],  # type: ignore[arg-type]  # a certificate may hold a key of another kind: InvalidKeyError
            options={"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_sub": False, "verify_jti": False},
        )  # fmt: skip
    except (jwt.PyJWTError, TypeError):
        raise EntraFault(50012, thumbprint=thumbprint) from None
    _check_claims(tenant, request, claims, client)


def _check_claims(tenant: Tenant, request: web.Request, claims: dict[str, Any], client: str) -> None:
    if claims.get("sub") != client:
        raise EntraFault(700021, client=client)
    if not isinstance(claims.get("jti"), str):
        raise EntraFault(50027)
    here = origin(request)
    names = (tenant.tenant_id, tenant.domain, request.match_info["tenant"])
    audiences = {
        f"{here}/{name}{tail}" for name in names for tail in ("/oauth2/v2.0/token", "/v2.0", "/oauth2/token", "/")
    }
    if claims.get("aud") not in audiences:
        raise EntraFault(700023)
    now, start, end = time.time(), claims.get("nbf", 0), claims.get("exp")
    if not isinstance(end, int | float) or not isinstance(start, int | float):
        raise EntraFault(50027)
    if not start - 300 <= now < end + 300:
        raise EntraFault(700024, now=stamp(now), start=stamp(start), end=stamp(end))


def _certificate(header: dict[str, Any], holders: list[Entity]) -> tuple[str, x509.Certificate | None, str]:
    """The registered certificate whose thumbprint the assertion names: its key id, itself, the thumbprint in hex."""
    named = str(header.get("x5t#S256") or header.get("x5t") or "")
    try:
        wanted = base64.urlsafe_b64decode(named + "=" * (-len(named) % 4))
    except ValueError:
        wanted = b""
    hashing = hashlib.sha256 if header.get("x5t#S256") else hashlib.sha1
    for holder in holders:
        for key_id, der in holder.certificates.items():
            if hashing(der).digest() == wanted:
                return key_id, x509.load_der_x509_certificate(der), wanted.hex().upper()
    return "", None, wanted.hex().upper()
