"""The REST endpoint behind the ExchangeOnlineManagement module: InvokeCommand, $batch and EXOModuleFile, over HTTPS.

It runs the same cmdlets as the management host, by the same engine, and is as undocumented as the real one: sources are
named in ``admin_api_call`` and beside each rule. A route that is not here answers 501 and names itself.

It does not imitate: a partner's token of another tenant (that of the customer's is served), routing by anchor except where a knob
says so, EXOBanner, $metadata, clixml, the headers that tell of budgets. Items of a $batch run one after another.
"""

import asyncio
import hashlib
import json
import re
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from . import hangup
from .admin_api_call import Refused, Unallowed, error, page, read, refusal, run
from .cmdlets import rights
from .cmdlets.connection import ROLE
from .cmdlets.engine import Engine
from .cmdlets.outcome import Item
from .cmdlets.session import Connection
from .tenant import Tenant
from .tokens import TokenFault

# What a person's token is good for here: the module's own permission, or the one for everybody (FACTS §8, §13).
SCOPES = frozenset({"AdminApi.AccessAsUser.All", "Exchange.Manage"})
MOST = 10  # requests of a $batch (CIPP-API, New-ExoBulkRequest)
REGION = "eur01b"  # where "admin-api-region" leads
_PATH = re.compile(
    rf"(?:/{REGION})?/adminapi/(?P<version>beta|v1\.0)/(?P<tenant>[^/]+)/(?P<what>[^/]+)/?", re.IGNORECASE
)
_PREFERENCE = re.compile(r"odata\.maxpagesize\s*=\s*(\d{1,6})", re.IGNORECASE)
_KEPT_PAGES = 4096  # half-read results


@dataclass(frozen=True)
class Answer:
    """What one InvokeCommand, alone or in a $batch, came to."""

    status: int
    body: Any
    headers: dict[str, str]


@dataclass(frozen=True)
class _Asked:
    """One InvokeCommand: its address, headers (names in lower case) and body, wherever they stood."""

    address: str
    headers: dict[str, str]
    body: Any


class _Turned(Exception):
    """A request turned away before anything is read: the whole HTTP answer."""

    def __init__(self, response: web.Response) -> None:
        super().__init__(response.status)
        self.response = response


def build(tenant: Tenant) -> web.Application:
    """The application of this listener."""
    api = _Api(tenant)

    async def serve(request: web.Request) -> web.StreamResponse:
        try:
            return await api.answer(request)
        except _Turned as turned:
            return turned.response
        except Refused as fault:
            status, body = refusal(fault)
            return web.json_response(body, status=status)

    app = web.Application(client_max_size=8 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", serve)
    return app


class _Api:
    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._begin()

    def _begin(self) -> None:
        self._exchange = self._tenant.exchange
        self._engine = Engine(self._tenant, "admin-api")
        # By skip token: who reads, the body's digest, all rows and how many of them were sent.
        self._pages: OrderedDict[str, tuple[str, str, list[Item], int]] = OrderedDict()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if self._tenant.exchange is not self._exchange:  # the tenant was reset
            self._begin()
        if self._tenant.options.latency > 0:
            await asyncio.sleep(self._tenant.options.latency)
        found = _PATH.fullmatch(request.path)
        what = found["what"].lower() if found else ""
        routes: dict[str, tuple[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]] = {
            "invokecommand": ("POST", self._invoke),
            "$batch": ("POST", self._batch),
            "exomodulefile": ("GET", self._module_file),
        }
        if found is None or what not in routes:
            return _not_here(request)
        method, handler = routes[what]
        v1 = found["version"].lower() != "beta"
        if request.method != method or (v1 and what == "$batch"):
            return web.Response(status=405, headers={"Allow": method})
        if v1 and what == "invokecommand" and self._tenant.faults["admin-api-v1"]:
            self._tenant.faults.note("admin-api-v1")
            return web.Response(status=405)
        if request.method == "POST":
            struck = self._struck(("admin-api-throttle", "admin-api-throttle-bare", "admin-api-unavailable"))
            if struck:
                return self._instead(struck)
        return await handler(request)

    # Routes

    async def _invoke(self, request: web.Request) -> web.StreamResponse:
        caller = self._caller(request)
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer = await self._one(caller, _Asked(str(request.url), headers, await _json(request)))
        return await self._send(request, _response(answer))

    async def _batch(self, request: web.Request) -> web.StreamResponse:
        caller = self._caller(request)
        self._tenant.count("admin-api", "$batch")
        goes_on = "odata.continue-on-error" in request.headers.get("Prefer", "").lower()
        responses: list[dict[str, Any]] = []
        for item in _requests(await _json(request)):
            answer = await self._item(caller, item, request.url.host or "")
            if answer is not None:
                responses.append(
                    {"id": item["id"], "status": answer.status, "headers": answer.headers, "body": answer.body}
                )
                if answer.status >= 400 and not goes_on:
                    break  # OData 4.01, 8.2.8.3: without the preference the rest is not processed
        # Responses come in any order (OData JSON 4.01, 19.5).
        self._tenant.faults.generator("admin-api-lost-item").shuffle(responses)
        return await self._send(request, web.json_response({"responses": responses}))

    async def _item(self, caller: Connection, item: dict[str, Any], host: str) -> Answer | None:
        """One request of a $batch; None where its response gets lost."""
        if self._struck(("admin-api-item-throttle",)):
            body = {"error": {"code": "TooManyRequests", "message": "Too many requests."}}
            return Answer(429, body, {"Retry-After": self._tenant.faults.retry_after()})
        given = item.get("headers") or {}
        try:
            asked = _Asked(
                item["url"], {str(name).lower(): str(value) for name, value in given.items()}, item.get("body")
            )
            place = urlsplit(asked.address)
            found = _PATH.fullmatch(place.path)
            if found is None or found["what"].lower() != "invokecommand" or (place.hostname or host) != host:
                raise Refused(
                    400, "BadRequest", f"A request of a $batch is an InvokeCommand of this host, not {place.path[:80]}"
                )
            self._same_tenant(found["tenant"])
            answer = await self._one(caller, asked)
        except Refused as fault:
            answer = Answer(*refusal(fault), {})
        return None if self._struck(("admin-api-lost-item",)) else answer

    async def _module_file(self, request: web.Request) -> web.StreamResponse:
        caller = self._caller(request)
        self._tenant.count("admin-api", "EXOModuleFile")
        if self._tenant.faults["admin-api-region"] and not request.path.startswith(f"/{REGION}/"):
            self._tenant.faults.note("admin-api-region")
            return web.Response(status=302, headers={"Location": f"{request.url.origin()}/{REGION}{request.path_qs}"})
        wanted = request.headers.get("CommandName", "*").split(",")
        held = sorted(caller.cmdlets)
        if "*" not in wanted:
            held = [name for name in held if name.lower() in {one.strip().lower() for one in wanted}]
        # A list joined by commas (CIPP-API splits it); the module's own text is not imitated.
        return web.json_response({"value": [{"exportedCmdlets": ",".join(held), "emulated": True}]})

    # One cmdlet

    async def _one(self, caller: Connection, asked: _Asked) -> Answer:
        if asked.headers.get("x-responseformat", "json").lower() != "json":
            raise Refused(
                501, "NotImplemented", "The exosp sandbox (emulated) does not emulate X-ResponseFormat: clixml"
            )
        query = {key: values[0] for key, values in parse_qs(urlsplit(asked.address).query).items()}
        strange = sorted(set(query) - {"$select", "$skiptoken"})
        if strange:
            raise Refused(501, "NotImplemented", f"The exosp sandbox (emulated) does not emulate {strange[0][:40]}")
        given = read(asked.body)
        digest = hashlib.sha256(json.dumps(asked.body, sort_keys=True).encode()).hexdigest()
        sent, warnings = 0, list[str]()
        if "$skiptoken" in query:
            rows, sent = self._further(query["$skiptoken"], caller, digest)
        else:
            try:
                came = await run(self._engine, caller, given, asked.headers.get("x-anchormailbox", ""))
            except Unallowed:
                self._tenant.count("admin-api", given.name[:64])
                return Answer(403, None, {})
            if came.failure is not None:
                return Answer(*error(came.failure, came.warnings), {})
            rows, warnings = came.rows, came.warnings
        return self._page(caller, asked, query, digest, rows, sent, warnings)

    def _page(
        self,
        caller: Connection,
        asked: _Asked,
        query: dict[str, str],
        digest: str,
        rows: list[Item],
        sent: int,
        warnings: list[str],
    ) -> Answer:
        preferred = _PREFERENCE.search(asked.headers.get("prefer", ""))
        size = min(max(1, int(preferred[1])) if preferred else 1, max(1, int(self._tenant.faults["admin-api-page"])))
        shown, ends = rows[sent : sent + size], sent + size
        select = [name for name in query.get("$select", "").split(",") if name]
        place = asked.address.partition("?")[0]
        link = ""
        if ends < len(rows):
            token = secrets.token_urlsafe(24)
            self._pages[token] = (caller.object_id, digest, rows, ends)
            while len(self._pages) > _KEPT_PAGES:
                self._pages.popitem(last=False)
            chosen = f"$select={','.join(select)}&" if select else ""
            link = f"{place}?{chosen}$skiptoken={token}"
            if int(self._tenant.faults["admin-api-page"]) < 1000:
                self._tenant.faults.note("admin-api-page")
        context = f"{place.rpartition('/')[0]}/$metadata#Collection(Exchange.GenericHashTable)"
        return Answer(200, page(shown, select, warnings, context, link), {})

    def _further(self, token: str, caller: Connection, digest: str) -> tuple[list[Item], int]:
        """All rows, and how many lie before the next page: to the same caller, and for the same body again (every client posts it again)."""
        held = self._pages.get(token)
        if held is None or held[:2] != (caller.object_id, digest):
            raise Refused(400, "BadRequest", "The skip token is not one of this request.")
        return held[2], held[3]

    # Who asks

    def _caller(self, request: web.Request) -> Connection:
        """Raises _Turned: 401 without Exchange.ManageAsApp, 403 without a role that holds cmdlets (FACTS §4d, measured)."""
        found = _PATH.fullmatch(request.path)
        assert found is not None, "only what the routes match"
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            claims = self._tenant.signer.verify(token.strip()) if scheme.lower() == "bearer" else {}
        except TokenFault:
            claims = {}
        audience, roles, scopes = claims.get("aud"), claims.get("roles"), str(claims.get("scp", "")).split()
        fits = isinstance(audience, str) and audience.removesuffix("/") in self._tenant.shape.audiences
        may = SCOPES.intersection(scopes) if "scp" in claims else isinstance(roles, list) and ROLE in roles
        if not fits or not may:
            raise _Turned(web.Response(status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'}))
        self._same_tenant(found["tenant"])
        object_id, app_id = str(claims.get("oid", "")), str(claims.get("appid", ""))
        held = rights.cmdlets(
            self._tenant.directory.directory_roles.get(object_id, set()),
            self._tenant.exchange.role_groups.get(object_id, set()),
        )
        if not held:
            # The texts are what Connect-ExchangeOnline reports; that it is this answer's body is an assumption.
            said = (
                f"The role assigned to application {app_id} isn't supported in this scenario. Please check online documentation "
                "for assigning correct Directory Roles to Azure AD Application for EXO App-Only Authentication."
            )
            if "scp" in claims:  # office-docs-powershell#6271
                name = str(claims.get("upn") or claims.get("unique_name") or "")
                said = f'The user "{name}" isn\'t assigned to any management roles.'
            raise _Turned(web.Response(status=403, text=said))
        return Connection("", 0, object_id, app_id, self._tenant.domain, float(claims["exp"]), held, held)

    def _same_tenant(self, named: str) -> None:
        if named.lower() not in (self._tenant.tenant_id.lower(), self._tenant.domain.lower()):
            raise _Turned(web.Response(status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'}))

    # Troubles

    def _struck(self, names: tuple[str, ...]) -> str:
        return next((name for name in names if self._tenant.faults.strikes(name)), "")

    def _instead(self, name: str) -> web.Response:
        if name == "admin-api-throttle-bare":
            return web.json_response(
                {"error": {"code": "TooManyRequests", "message": "Too many requests."}}, status=429
            )
        headers = {"Retry-After": self._tenant.faults.retry_after()}
        status = 429 if name == "admin-api-throttle" else 503
        return web.Response(status=status, headers=headers, text="Try again later.")

    async def _send(self, request: web.Request, response: web.Response) -> web.StreamResponse:
        """The answer, or what becomes of it on its way: all was carried out."""
        match self._struck(("admin-api-lost-503", "admin-api-lost-500", "admin-api-drop", "admin-api-truncated")):
            case "admin-api-lost-503":
                return web.Response(status=503, text="The service is unavailable.")
            case "admin-api-lost-500":
                return web.Response(
                    status=500, text="<html><body>Server Error<br>emulated</body></html>", content_type="text/html"
                )
            case "admin-api-drop":
                return hangup.silent(request)
            case "admin-api-truncated":
                return await hangup.halfway(request, response)
        return response


def _not_here(request: web.Request) -> web.Response:
    what = f"{request.method} {request.path}"
    body = {"error": {"code": "NotImplemented", "message": f"The exosp sandbox (emulated) does not serve {what[:200]}"}}
    return web.json_response(body, status=501)


def _response(answer: Answer) -> web.Response:
    """A cmdlet that is not the caller's is refused with zero bytes said to be gzip, and they are not (measured; other
    clients look at the first bytes)."""
    if answer.body is None:
        return web.Response(status=403, body=bytes(64), headers={"Content-Encoding": "gzip"})
    text = json.dumps(answer.body)
    headers = {"Content-Type": "application/json;odata.metadata=minimal;odata.streaming=true;charset=utf-8"}
    return web.Response(status=answer.status, body=text.encode(), headers=headers | answer.headers)


async def _json(request: web.Request) -> Any:
    if request.content_type != "application/json":
        raise Refused(415, "UnsupportedMediaType", "The body is application/json.")
    try:
        return json.loads(await request.read())
    except (ValueError, RecursionError):
        raise Refused(400, "BadRequest", "The body is not JSON.") from None


def _requests(body: Any) -> list[dict[str, Any]]:
    """The requests of a $batch. Raises Refused for the whole of it."""
    items = body.get("requests") if isinstance(body, dict) else None
    if not isinstance(items, list) or not items:
        raise Refused(400, "BadRequest", "A $batch has requests.")
    if len(items) > MOST:
        raise Refused(400, "BadRequest", f"A $batch has at most {MOST} requests.")
    ids = set()
    for item in items:
        whole = isinstance(item, dict) and isinstance(item.get("id"), str) and isinstance(item.get("url"), str)
        if (
            not whole
            or str(item.get("method", "")).upper() != "POST"
            or not isinstance(item.get("headers") or {}, dict)
        ):
            raise Refused(400, "BadRequest", "A request of a $batch has an id, the method POST, a url and a body.")
        if set(item) - {"id", "url", "method", "headers", "body"}:
            raise Refused(501, "NotImplemented", f"The exosp sandbox (emulated) does not emulate {sorted(set(item))}")
        ids.add(item["id"])
    if len(ids) != len(items):
        raise Refused(400, "BadRequest", "The ids of a $batch differ from each other.")
    return items
