"""Microsoft Graph v1.0 as a provisioning client of any make uses it: applications, enterprise applications, app role
assignments, secrets, owners, deleted items, the organization, audit logs, ``$batch``.

It shares no code with the client and knows nothing of it. A route, option or property that it does not emulate is
answered 501 (or Graph's own 400) and named. Permissions are the token's ``roles`` alone: Entra roles in ``wids`` give none.
Of the beta endpoint one route alone is here, which has no other. Not imitated: the rest of beta, groups, delta, change
notifications, writes to app management policies.
"""

import asyncio
import inspect
import json
import random
import uuid
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from .. import hangup, odata
from ..directory import MICROSOFT_GRAPH
from ..tenant import Tenant
from ..tokens import TokenFault
from . import (
    applications,
    assignments,
    audits,
    batch,
    company,
    deleted,
    federated,
    owners,
    policies,
    principals,
    security,
    users,
)  # fmt: skip
from .wire import Call, GraphError, Reply, Route, Service, bad_request, not_emulated

ROUTES: tuple[Route, ...] = (
    *applications.routes(), *principals.routes(), *assignments.routes(), *owners.routes(), *company.routes(),
    *policies.routes(), *deleted.routes(), *federated.routes(), *security.routes(), *audits.routes(), *users.routes(),
)  # fmt: skip
_COMPILED = [(route, route.pattern()) for route in ROUTES]

_TOKEN_TEXTS = {
    "malformed": "IDX14100: JWT is not well formed, there are no dots (.).\nThe token needs to be in JWS or JWE Compact Serialization Format. (JWS): 'EncodedHeader.EndcodedPayload.EncodedSignature'. (JWE): 'EncodedProtectedHeader.EncodedEncryptedKey.EncodedInitializationVector.EncodedCiphertext.EncodedAuthenticationTag'.",
    "signature": "Signing key is invalid.",
    "issuer": "Access token validation failure. Invalid issuer.",
    "expired": "Lifetime validation failed, the token is expired.",
    "notyet": "Lifetime validation failed, the token is not yet valid.",
}

# What stands in front of Graph tells of itself (learn.microsoft.com/graph/best-practices-concept: log it beside request-id).
_DIAGNOSTIC = json.dumps({"ServerInfo": {"DataCenter": "emulated", "Slice": "E", "Ring": "1", "ScaleUnit": "000", "RoleInstance": "sandbox"}})  # fmt: skip
_COMPRESSED = 1000  # bytes from which a body is compressed


def build(tenant: Tenant) -> web.Application:
    """Graph as an aiohttp application; it reads the tenant anew on every request."""
    app = web.Application(client_max_size=4 * 2**20)
    app.router.add_route("*", "/{path:.*}", _Graph(tenant).frame)
    return app


class _Graph:
    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self._made_for: Any = None
        self._service = Service(tenant)
        self._shuffle = random.Random()  # noqa: S311 - replaced by the seed's own

    @property
    def service(self) -> Service:
        """Pages and the order of batch answers belong to one life of the tenant: a reset ends them."""
        if self._made_for is not self.tenant.directory:
            self._made_for = self.tenant.directory
            self._service = Service(self.tenant)
            self._shuffle = random.Random(f"batch-{self.tenant.options.seed}")  # noqa: S311 - a seeded emulator
        return self._service

    async def serve(self, request: web.Request) -> web.Response:
        """One HTTP request: identified, authenticated, routed; its answer with what every answer of Graph carries."""
        if self.tenant.options.latency > 0:
            await asyncio.sleep(self.tenant.options.latency)
        identity = str(uuid.uuid4())
        client = request.headers.get("client-request-id", identity)
        try:
            call = await self._call(request)
            if _metadata(request.headers.get("Accept", "")) not in ("none", "minimal"):
                raise not_emulated(f"the representation {request.headers['Accept']}")
            # Decoded by segment only when matched: a key's value may hold an escaped slash.
            if call.method == "POST" and call.path.lower() == "/$batch":
                self.tenant.count("graph", "POST /$batch")
                reply = await batch.serve(
                    call, lambda item: self._answer(item, "batch ", identity, client), _query, self._shuffle
                )
            else:
                reply = await self._answer(call, "", identity, client)
        except GraphError as error:
            reply = self._error(error, identity, client)
        except web.HTTPException as problem:
            reply = self._error(GraphError(problem.status, "BadRequest", problem.reason), identity, client)
        headers = {
            "Date": formatdate(self.tenant.clock.now(), usegmt=True), "request-id": identity, "client-request-id": client,
            "OData-Version": "4.0", "x-ms-emulated": "true", "Cache-Control": "no-cache", "Vary": "Accept-Encoding",
            "x-ms-ags-diagnostic": _DIAGNOSTIC, **reply.headers,
        }  # fmt: skip
        if reply.body is None:
            return web.Response(status=reply.status, headers=headers)
        level = _metadata(request.headers.get("Accept", ""))
        if level == "none" and isinstance(reply.body, dict):
            reply.body.pop("@odata.context", None)
        text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
        kind = headers.pop("Content-Type", f"application/json;odata.metadata={level};odata.streaming=true;IEEE754Compatible=false;charset=utf-8")  # fmt: skip
        response = web.Response(status=reply.status, body=text.encode(), headers={**headers, "Content-Type": kind})
        if len(text) > _COMPRESSED:
            response.enable_compression()  # where the client takes it
        return response

    async def frame(self, request: web.Request) -> web.StreamResponse:
        """The answer as it reaches the client: whole, cut off in its middle, or not at all."""
        response = await self.serve(request)
        faults = self.tenant.faults
        if faults.strikes("graph-drop"):
            return hangup.silent(request)
        if response.body and faults.strikes("graph-truncated"):
            return await hangup.halfway(request, response)
        return response

    async def _call(self, request: web.Request) -> Call:
        """The request as a call. The token comes first: nothing is learned without one."""
        claims = self._authenticate(request.headers.get("Authorization", ""))
        path, _, query = request.raw_path.partition("?")
        version = path.strip("/").partition("/")[0].lower()
        if version == "beta" and not any(r.version == version and p.fullmatch(unquote(path[5:])) for r, p in _COMPILED):
            raise not_emulated(f"the beta endpoint ({request.method} {unquote(path)})")
        if version not in ("v1.0", "beta"):
            raise bad_request(f"Invalid version: {unquote(path).strip('/').partition('/')[0]}", "BadRequest")
        body = None
        raw = await request.read()
        if raw:
            kind = request.content_type
            if kind != "application/json":
                raise GraphError(
                    415, "Request_BadRequest", f"Unsupported media type '{kind}': the sandbox takes application/json."
                )
            try:
                body = json.loads(raw)
            except (ValueError, RecursionError):
                raise bad_request("Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.", "BadRequest") from None  # fmt: skip
        headers = {name.lower(): value for name, value in request.headers.items()}
        base, rest = f"https://{request.host}", path[1 + len(version) :] or "/"
        return Call(request.method, rest, _query(query), headers, body, base, claims, version)

    def _authenticate(self, header: str) -> dict[str, Any]:
        kind, _, token = header.partition(" ")
        try:
            if kind.lower() != "bearer" or not token.strip():
                raise self._refused("Access token is empty.")
            claims = self.tenant.signer.verify(token.strip())
        except TokenFault as fault:
            raise self._refused(_TOKEN_TEXTS[fault.reason]) from None
        graph = self.tenant.directory.principal(MICROSOFT_GRAPH)
        names = {str(name).lower().rstrip("/") for name in (graph.properties["servicePrincipalNames"] if graph else ())}
        if str(claims.get("aud")).lower().rstrip("/") not in names | {f"https://localhost:{self.tenant.ports.graph}"}:
            raise self._refused("Access token validation failure. Invalid audience.")
        return claims

    def _refused(self, message: str) -> GraphError:
        place = f"https://localhost:{self.tenant.ports.login}/common/oauth2/authorize"
        challenge = f'Bearer realm="", authorization_uri="{place}", client_id="{MICROSOFT_GRAPH}"'
        return GraphError(401, "InvalidAuthenticationToken", message, headers={"WWW-Authenticate": challenge})

    async def _answer(self, call: Call, prefix: str, identity: str, client: str) -> Reply:
        """One call, or one item of a batch: counted, perhaps throttled, routed, perhaps answered with a lost reply."""
        faults = self.tenant.faults
        try:
            route, key = self._route(call, prefix)
            if faults.strikes("graph-throttle"):
                raise GraphError(
                    429, "TooManyRequests", "Please retry again later.", headers={"Retry-After": faults.retry_after()}
                )
            if prefix and faults.strikes("batch-throttle"):
                raise GraphError(
                    429, "TooManyRequests", "Please retry again later.", headers={"Retry-After": faults.retry_after()}
                )
            if faults.strikes("graph-throttle-bare"):
                raise GraphError(429, "TooManyRequests", "Please retry again later.")
            if faults.strikes("graph-unavailable"):
                raise GraphError(
                    503, "ServiceUnavailable", "Service unavailable.", headers={"Retry-After": faults.retry_after()}
                )
            if call.headers.get("if-match"):
                raise not_emulated("If-Match")
            if call.method != "GET" and call.query:
                raise not_emulated(f"{', '.join(call.query)} on {call.method} {route.template}")
            write = f"graph {prefix}{call.method} {route.template}" if call.method != "GET" else ""
            if write:
                self.tenant.tell("before", write)
            result = route.handler(self.service, call, **key)
            reply = await result if inspect.isawaitable(result) else result
            if write and reply.status < 400:
                self.tenant.tell("after", write)
            if call.method != "GET" and reply.status < 400 and faults.strikes("graph-lost-reply"):
                raise GraphError(504, "UnknownError", "Gateway Timeout")
            if call.method != "GET" and reply.status < 400 and faults.strikes("graph-lost-503"):
                raise GraphError(503, "ServiceUnavailable", "Service unavailable.")
        except odata.Refused as refused:
            return self._error(GraphError(refused.status, refused.code, refused.message), identity, client)
        except odata.NotEmulated as missing:
            return self._error(not_emulated(str(missing)), identity, client)
        except GraphError as error:
            return self._error(error, identity, client)
        return reply

    def _route(self, call: Call, prefix: str) -> tuple[Route, dict[str, str]]:
        # An escaped slash stays escaped until the segments are known.
        path = unquote(call.path.replace("%2F", "\0").replace("%2f", "\0"))
        known = False
        for route, pattern in _COMPILED:
            found = pattern.fullmatch(path) if route.version == call.version else None
            if not found:
                continue
            known = True
            if route.method == call.method:
                self.tenant.count("graph", f"{prefix}{call.method} {route.template}")
                return route, {
                    name: value.replace("\0", "/").replace("''", "'") for name, value in found.groupdict().items()
                }
        self.tenant.count("graph", f"{prefix}{call.method} (not emulated)")
        what = f"{call.method} on this route: {path}" if known else f"the route {call.method} {path}"
        raise not_emulated(what.replace("\0", "%2F"))

    def _error(self, error: GraphError, identity: str, client: str) -> Reply:
        date = datetime.fromtimestamp(self.tenant.clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S")
        inner = {"date": date, "request-id": identity, "client-request-id": client}
        document: dict[str, Any] = {"code": error.code, "message": error.message}
        if error.details:
            document["details"] = error.details
        return Reply(error.status, {"error": document | {"innerError": inner}}, dict(error.headers))


def _metadata(accept: str) -> str:
    """How much control information an Accept header asks for: none, minimal, or something that is not emulated."""
    asked = "".join(accept.lower().split())
    level = asked.partition("odata.metadata=")[2] or asked.partition("odata=")[2].removesuffix("metadata")
    if level:
        return level.partition(";")[0].partition(",")[0]
    kinds = {part.partition(";")[0] for part in asked.split(",")}
    return "minimal" if kinds & {"", "*/*", "application/*", "application/json", "text/plain"} else asked


def _query(text: str) -> dict[str, str]:
    """Query options by name, once each; Graph takes the names with and without the dollar sign."""
    options: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        option = name.lower() if name.startswith("$") else f"${name.lower()}"
        if option in options:
            raise bad_request(f"Query option '{option}' was specified more than once, but it must be specified at most once.", "BadRequest")  # fmt: skip
        options[option] = value
    return options
