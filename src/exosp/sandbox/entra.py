"""The login host: Microsoft Entra's token endpoint for client credentials, its discovery documents and signing keys, and
a token introspection endpoint for mail servers.

Sources: learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow, /certificate-credentials,
/access-token-claims-reference, /reference-error-codes.

Not imitated: device codes, on-behalf-of, people's passwords (a grant for a person is refused as with a wrong password or a
spoilt code), the v1 token endpoint (its metadata is served), browser pages, Conditional Access but for one block of everybody (a knob), refused replays of an assertion (``jti`` is only required; Entra lets an assertion be used again).
Introspection is no part of Entra: it stands in for the validation inside Exchange's own doors, and is open on loopback.
"""

import asyncio
import base64
import hashlib
import json
import time
import uuid
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, NoReturn
from urllib.parse import unquote_plus, urlsplit

import jwt
from aiohttp import web
from cryptography import x509

from . import federation
from .aadsts import ERRORS, BareFault, EntraFault
from .directory import EXCHANGE_ONLINE, MICROSOFT_GRAPH, Entity, digest, verified_domains
from .tenant import Tenant
from .tokens import TokenFault

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

_JWT_BEARER_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

# Grants for a person, with what their requests must carry (v2-oauth2-auth-code-flow, v2-oauth-ropc).
_PERSONAL = {
    "authorization_code": ("code",),
    "refresh_token": ("refresh_token",),
    "password": ("username", "password"),
}
_NOT_EMULATED = frozenset({"urn:ietf:params:oauth:grant-type:device_code", "device_code", _JWT_BEARER_GRANT, "urn:ietf:params:oauth:grant-type:saml2-bearer"})  # fmt: skip

# What Dovecot calls its services, and the app role each needs at Exchange.
SERVICE_ROLES = {
    "imap": "IMAP.AccessAsApp",
    "pop": "POP.AccessAsApp",
    "pop3": "POP.AccessAsApp",
    "smtp": "SMTP.SendAsApp",
    "submission": "SMTP.SendAsApp",
}


def build(tenant: Tenant) -> web.Application:
    """The login host as an aiohttp application; it reads the tenant anew on every request."""
    host = _Login(tenant)
    app = web.Application(middlewares=[host.frame, federation.middleware(tenant)])
    app.router.add_get("/common/discovery/instance", host.instance)
    app.router.add_get("/{tenant}/v2.0/.well-known/openid-configuration", host.configuration)
    app.router.add_get("/{tenant}/.well-known/openid-configuration", host.configuration_v1)
    app.router.add_get("/{tenant}/discovery/v2.0/keys", host.keys)
    app.router.add_get("/{tenant}/discovery/keys", host.keys)
    app.router.add_post("/{tenant}/oauth2/v2.0/token", host.token)
    app.router.add_post("/introspect", host.introspect)
    app.router.add_route("*", "/{path:.*}", _unknown)
    return app


async def _unknown(request: web.Request) -> web.Response:
    return _not_emulated(f"{request.method} {request.path}")


def _not_emulated(what: str) -> web.Response:
    text = f"The sandbox's login host does not emulate {what}"
    return web.json_response({"error": "not_emulated", "error_description": text}, status=501)


class _Login:
    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant

    @web.middleware
    async def frame(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """What every answer has: latency, sandbox time, request ids; a fault becomes Entra's error document."""
        tenant = self.tenant
        if tenant.options.latency > 0:
            await asyncio.sleep(tenant.options.latency)
        trace = str(uuid.uuid4())
        correlation = request.headers.get("client-request-id") or str(uuid.uuid4())
        response: web.StreamResponse
        try:
            response = await handler(request)
        except EntraFault as fault:
            response = self._refusal(request, fault, trace, correlation)
        except web.HTTPException as problem:  # a path that is not HTTP's, a body too large
            response = web.json_response(
                {"error": "invalid_request", "error_description": problem.reason}, status=problem.status
            )
        response.headers["Date"] = formatdate(tenant.clock.now(), usegmt=True)
        response.headers["x-ms-request-id"] = trace
        response.headers["client-request-id"] = correlation
        response.headers["x-ms-emulated"] = "true"
        response.headers["Cache-Control"] = "no-store, no-cache"
        response.headers["Pragma"] = "no-cache"
        return response

    def _refusal(self, request: web.Request, fault: EntraFault, trace: str, correlation: str) -> web.Response:
        error, status, text = ERRORS[fault.code]
        moment = datetime.fromtimestamp(self.tenant.clock.now(), UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        message = text.format_map({"directory": self.tenant.domain, "tenant": self.tenant.tenant_id, **fault.details})
        body = {
            "error": error,
            "error_description": f"AADSTS{fault.code}: {message} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {moment}",
            "error_codes": [fault.code], "timestamp": moment, "trace_id": trace, "correlation_id": correlation,
            "error_uri": f"{_origin(request)}/error?code={fault.code}",
        }  # fmt: skip
        headers = (
            {"WWW-Authenticate": 'Basic realm="sandbox"'}
            if status == 401 and "Authorization" in request.headers
            else {}
        )
        if status == 429 and fault.says_when:
            headers["Retry-After"] = self.tenant.faults.retry_after()
        return web.json_response(body, status=status, headers=headers)

    # ---- discovery ----

    def _authority(self, name: str) -> str:
        """The tenant's id for a path's first segment; refuses what Entra would for this kind of name."""
        tenant = self.tenant
        if name.lower() in (tenant.tenant_id, tenant.domain.lower()):
            return tenant.tenant_id
        if name.lower() in verified_domains(tenant.domain, (m.addresses() for m in tenant.exchange.mailboxes)):
            return tenant.tenant_id
        try:
            uuid.UUID(name)
        except ValueError:
            if "." not in name:
                raise EntraFault(900023, tenant=name) from None
        raise EntraFault(90002, tenant=name)

    async def instance(self, request: web.Request) -> web.Response:
        """Instance discovery: which hosts are one cloud (learn.microsoft.com/entra/msal: instance discovery)."""
        authority = request.query.get("authorization_endpoint", f"{_origin(request)}/common/oauth2/v2.0/authorize")
        if urlsplit(authority).netloc.lower() != request.host.lower():
            raise EntraFault(50049)
        name = authority.removeprefix("https://").split("/")[1] if authority.count("/") > 3 else "common"
        return web.json_response(
            {
                "tenant_discovery_endpoint": f"{_origin(request)}/{name}/v2.0/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [{"preferred_network": request.host, "preferred_cache": request.host, "aliases": [request.host]}],
                "emulated": True,
            }
        )  # fmt: skip

    async def configuration(self, request: web.Request) -> web.Response:
        name = request.match_info["tenant"]
        shared = name.lower() in ("common", "organizations")
        tenant_id = "{tenantid}" if shared else self._authority(name)
        place = f"{_origin(request)}/{name if shared else tenant_id}"
        return web.json_response(
            {
                "token_endpoint": f"{place}/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
                "jwks_uri": f"{place}/discovery/v2.0/keys", "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"], "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "issuer": f"{_origin(request)}/{tenant_id}/v2.0", "request_uri_parameter_supported": False,
                "authorization_endpoint": f"{place}/oauth2/v2.0/authorize", "http_logout_supported": True,
                "claims_supported": ["sub", "iss", "aud", "exp", "iat", "tid", "ver"], "tenant_region_scope": "EU",
                "cloud_instance_name": "localhost", "cloud_graph_host_name": "localhost", "emulated": True,
            }
        )  # fmt: skip

    async def configuration_v1(self, request: web.Request) -> web.Response:
        """What validates the tokens minted here, which are of version 1.0: the issuer is sts.windows.net, not this host
        (learn.microsoft.com/entra/identity-platform/access-tokens, "Validate the issuer")."""
        document = json.loads((await self.configuration(request)).text or "{}")
        place = document["token_endpoint"].removesuffix("/oauth2/v2.0/token")
        issuer = self.tenant.signer.issuer.replace(self.tenant.tenant_id, "{tenantid}") if "{tenantid}" in document["issuer"] else self.tenant.signer.issuer  # fmt: skip
        ends = {"token_endpoint": "/oauth2/token", "authorization_endpoint": "/oauth2/authorize", "jwks_uri": "/discovery/keys"}  # fmt: skip
        return web.json_response(document | {name: place + end for name, end in ends.items()} | {"issuer": issuer})

    async def keys(self, request: web.Request) -> web.Response:
        return web.json_response(self.tenant.signer.jwks() | {"emulated": True})

    # ---- the token endpoint ----

    async def token(self, request: web.Request) -> web.Response:
        form = await _form(request)
        grant = form.get("grant_type", "")
        self.tenant.count("token", grant or "(none)")
        if self.tenant.faults.strikes("token-throttle"):
            raise EntraFault(90055)
        if self.tenant.faults.strikes("token-throttle-bare"):
            raise BareFault(90055)
        if self.tenant.faults.strikes("token-unavailable"):
            raise EntraFault(90033)
        name = request.match_info["tenant"]
        if name.lower() not in ("common", "organizations", "consumers"):
            self._authority(name)
        if not grant:
            raise EntraFault(900144, parameter="grant_type")
        if grant in _PERSONAL:
            self._refuse_person(grant, form)
        if grant in _NOT_EMULATED:
            return _not_emulated(f"the grant {grant}")
        if grant != "client_credentials":
            raise EntraFault(70003, grant=grant)
        basic = _basic(request.headers.get("Authorization", ""))
        client = form.get("client_id") or basic[0]
        if not client:
            raise EntraFault(900144, parameter="client_id")
        if not form.get("scope", "").strip():
            raise EntraFault(900144, parameter="scope")
        if name.lower() in ("common", "organizations", "consumers"):
            raise EntraFault(50059)
        return self._client_credentials(request, form, client, basic[1])

    def _refuse_person(self, grant: str, form: dict[str, str]) -> NoReturn:
        """No person signs in here, so no code or refresh token of ours exists and no password is right."""
        for parameter in ("client_id", *_PERSONAL[grant]):
            if not form.get(parameter):
                raise EntraFault(900144, parameter=parameter)
        if grant != "password":
            raise EntraFault(9002313)
        user = form["username"].lower()
        known = any(user == str(m.properties["UserPrincipalName"]).lower() for m in self.tenant.exchange.mailboxes)
        raise EntraFault(50126 if known else 50034)

    def _client_credentials(self, request: web.Request, form: dict[str, str], client: str, basic: str) -> web.Response:
        tenant, directory, now = self.tenant, self.tenant.directory, self.tenant.clock.now()
        application, principal = directory.application(client.lower()), directory.principal(client.lower())
        if application and application.usable_at > now:
            tenant.faults.note("backing-application-lag")
            application = None
        if client == str(uuid.UUID(int=0)):
            raise EntraFault(700038, client=client)
        if application is None and principal is None:
            raise EntraFault(700016, client=client)
        holders = [holder for holder in (application, principal) if holder]
        assertion, secret = form.get("client_assertion"), form.get("client_secret") or basic
        if assertion:
            if form.get("client_assertion_type") != _JWT_BEARER:
                raise EntraFault(900144, parameter="client_assertion_type")
            self._check_assertion(request, assertion, client, holders)
        elif secret:
            self._check_secret(secret, client, holders)
        else:
            raise EntraFault(7000216 if "client_secret" not in form else 7000218, client=client)
        if principal is None:
            raise EntraFault(7000229, client=client)
        shown = str(principal.properties["displayName"])
        if not principal.properties["accountEnabled"] or (application and application.properties.get("isDisabled")):
            raise EntraFault(7000112, client=client, name=shown)
        if tenant.faults["conditional-access-block"] and client.lower() != tenant.admin_app_id:
            tenant.faults.note("conditional-access-block")
            raise EntraFault(53003)
        audience, resource = self._resource(form["scope"])
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
        expires = max(1, int(LIFETIME / max(tenant.clock.speed, 1e-9)))
        return web.json_response(
            {
                "token_type": "Bearer",
                "expires_in": expires,
                "ext_expires_in": expires,
                "access_token": tenant.signer.mint(claims, LIFETIME),
            }
        )

    def _check_secret(self, secret: str, client: str, holders: list[Entity]) -> None:
        now, wanted = self.tenant.clock.now(), digest(secret)
        for holder in holders:
            rows = {row["keyId"]: row for row in holder.properties["passwordCredentials"]}
            for key, value in holder.secrets.items():
                if value != wanted or key not in rows:
                    continue
                if holder.secret_usable_at.get(key, 0.0) > now:
                    self.tenant.faults.note("secret-lag")
                    raise EntraFault(7000215, client=client)
                if _instant(rows[key]["endDateTime"]) <= now:
                    raise EntraFault(7000222, client=client)
                return
        raise EntraFault(7000215, client=client)

    def _check_assertion(self, request: web.Request, assertion: str, client: str, holders: list[Entity]) -> None:
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
        if (
            not _instant(rows[key_id]["startDateTime"])
            <= self.tenant.clock.now()
            < _instant(rows[key_id]["endDateTime"])
        ):
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
        self._check_claims(request, claims, client)

    def _check_claims(self, request: web.Request, claims: dict[str, Any], client: str) -> None:
        if claims.get("sub") != client:
            raise EntraFault(700021, client=client)
        if not isinstance(claims.get("jti"), str):
            raise EntraFault(50027)
        tenant, origin = self.tenant, _origin(request)
        names = (tenant.tenant_id, tenant.domain, request.match_info["tenant"])
        audiences = {
            f"{origin}/{name}{tail}" for name in names for tail in ("/oauth2/v2.0/token", "/v2.0", "/oauth2/token", "/")
        }
        if claims.get("aud") not in audiences:
            raise EntraFault(700023)
        now, start, end = time.time(), claims.get("nbf", 0), claims.get("exp")
        if not isinstance(end, int | float) or not isinstance(start, int | float):
            raise EntraFault(50027)
        if not start - 300 <= now < end + 300:
            raise EntraFault(700024, now=_stamp(now), start=_stamp(start), end=_stamp(end))

    def _resource(self, scope: str) -> tuple[str, Entity]:
        """The audience as asked for and the resource principal that a scope names."""
        words = scope.split()
        if len(words) > 1 and len({word.rpartition("/")[0] for word in words}) > 1:
            raise EntraFault(700022, scope=scope)
        if not all(word.endswith("/.default") for word in words):
            raise EntraFault(1002012, scope=scope)
        audience = words[0].removesuffix("/.default")
        if not audience:
            raise EntraFault(70011, scope=scope)
        directory, plain = self.tenant.directory, audience.lower().rstrip("/")
        # The sandbox's Graph has an address of its own; a client may take that for the resource's name.
        if plain == f"https://localhost:{self.tenant.ports.graph}":
            graph = directory.principal(MICROSOFT_GRAPH)
            if graph:
                return audience, graph
        for entity in directory.service_principals.values():
            if any(plain == str(name).lower().rstrip("/") for name in entity.properties["servicePrincipalNames"]):
                return audience, entity
        raise EntraFault(500011, resource=audience)

    # ---- introspection ----

    async def introspect(self, request: web.Request) -> web.Response:
        """RFC 7662 for a mail server: is this a token for Exchange, and does it carry the protocol's app role?"""
        token = (await _form(request)).get("token", "")
        service = request.headers.get("X-Dovecot-Auth-Service", "").lower()
        self.tenant.count("token", "introspect")
        try:
            claims = self.tenant.signer.verify(token)
        except TokenFault:
            return web.json_response({"active": False})
        exchange = self.tenant.directory.principal(EXCHANGE_ONLINE)
        names = exchange.properties["servicePrincipalNames"] if exchange else []
        roles = claims.get("roles", [])
        if claims["aud"].rstrip("/") not in {name.rstrip("/") for name in names} or (
            service and SERVICE_ROLES.get(service) not in roles
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


def _origin(request: web.Request) -> str:
    return f"https://{request.host}"


async def _form(request: web.Request) -> dict[str, str]:
    """The form's fields; a body that is no form has none."""
    try:
        return {key: str(value) for key, value in (await request.post()).items()}
    except (ValueError, LookupError):
        return {}


def _basic(header: str) -> tuple[str, str]:
    """Client id and secret of HTTP Basic, each form-encoded (RFC 6749 section 2.3.1)."""
    kind, _, rest = header.partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return unquote_plus(user), unquote_plus(password)


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


def _instant(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _stamp(at: float) -> str:
    at = min(max(at, 0.0), 4e9) if at == at else 0.0  # a client may have written any number
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.0000000Z")
