"""The login host's frame and its discovery documents: what every answer has, and which names lead to this tenant."""

import asyncio
import json
import uuid
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from .. import clouds
from ..aadsts import ERRORS, EntraFault
from ..directory import verified_domains
from ..tenant import Tenant
from .wire import origin

_ids: ContextVar[tuple[str, str]] = ContextVar("ids")  # of the request that is being answered: trace, correlation


class Host:
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
        _ids.set((trace, correlation))
        response: web.StreamResponse
        try:
            response = await handler(request)
        except EntraFault as fault:
            response = self._refusal(request, fault)
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

    def explain(self, request: web.Request, fault: EntraFault) -> dict[str, Any]:
        """A refusal as Entra's error document has it."""
        error, _, text = ERRORS[fault.code]
        moment = datetime.fromtimestamp(self.tenant.clock.now(), UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        message = text.format_map({"directory": self.tenant.domain, "tenant": self.tenant.tenant_id, **fault.details})
        trace, correlation = _ids.get()
        return {
            "error": fault.error or error,
            "error_description": f"AADSTS{fault.code}: {message} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {moment}",
            "error_codes": [fault.code], "timestamp": moment, "trace_id": trace, "correlation_id": correlation,
            "error_uri": f"{origin(request)}/error?code={fault.code}",
        }  # fmt: skip

    def _refusal(self, request: web.Request, fault: EntraFault) -> web.Response:
        body, status = self.explain(request, fault), ERRORS[fault.code][1]
        headers = (
            {"WWW-Authenticate": 'Basic realm="sandbox"'}
            if status == 401 and "Authorization" in request.headers
            else {}
        )
        if status == 429 and fault.says_when:
            headers["Retry-After"] = self.tenant.faults.retry_after()
        return web.json_response(body, status=status, headers=headers)

    # ---- discovery ----

    def authority(self, name: str, *, document: bool = False) -> str:
        """The tenant's id for a path's first segment; refuses what Entra would for this kind of name. ``document``: it is
        asked for metadata alone, which says nothing of other clouds."""
        tenant = self.tenant
        if name.lower() in (tenant.tenant_id, tenant.domain.lower()):
            return tenant.tenant_id
        if name.lower() in verified_domains(tenant.domain, tenant.exchange.domains()):
            return tenant.tenant_id
        form, instance = int(tenant.faults["other-cloud"]), clouds.elsewhere(tenant.shape, name)
        if form and instance:
            tenant.faults.note("other-cloud")
            if document:
                return name
            raise EntraFault(90038, tenant=name, instance=instance) if form == 1 else EntraFault(900382)
        try:
            uuid.UUID(name)
        except ValueError:
            if "." not in name:
                raise EntraFault(900023, tenant=name) from None
        raise EntraFault(90002, tenant=name)

    async def instance(self, request: web.Request) -> web.Response:
        """Instance discovery: which hosts are one cloud (learn.microsoft.com/entra/msal: instance discovery)."""
        authority = request.query.get("authorization_endpoint", f"{origin(request)}/common/oauth2/v2.0/authorize")
        if urlsplit(authority).netloc.lower() != request.host.lower():
            raise EntraFault(50049)
        name = authority.removeprefix("https://").split("/")[1] if authority.count("/") > 3 else "common"
        return web.json_response(
            {
                "tenant_discovery_endpoint": f"{origin(request)}/{name}/v2.0/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [{"preferred_network": request.host, "preferred_cache": request.host, "aliases": [request.host]}],
                "emulated": True,
            }
        )  # fmt: skip

    async def configuration(self, request: web.Request) -> web.Response:
        name = request.match_info["tenant"]
        shared = name.lower() in ("common", "organizations")
        tenant_id = "{tenantid}" if shared else self.authority(name, document=True)
        place = f"{origin(request)}/{name if shared else tenant_id}"
        return web.json_response(
            {
                "token_endpoint": f"{place}/oauth2/v2.0/token",
                "device_authorization_endpoint": f"{place}/oauth2/v2.0/devicecode",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
                "jwks_uri": f"{place}/discovery/v2.0/keys", "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"], "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "issuer": f"{origin(request)}/{tenant_id}/v2.0", "request_uri_parameter_supported": False,
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
