"""What every Graph route works with: a call, a reply, errors in Graph's shape, permissions, look-ups, pages.

A call is plain data, so that an item of ``$batch`` is served exactly as a request is.
Sources: learn.microsoft.com/graph/errors, /graph/paging, /graph/aad-advanced-queries, /graph/throttling.
"""

import itertools
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import odata
from ..audit_log import Target
from ..directory import Directory, Entity
from ..entra.app_only import ROLE_TEMPLATES
from ..odata_filter import parse_filter
from ..tenant import Tenant

APP_READ = ("Application.Read.All", "Application.ReadWrite.OwnedBy", "Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")  # fmt: skip
APP_WRITE = ("Application.ReadWrite.OwnedBy", "Application.ReadWrite.All")
ASSIGNMENT_READ = ("Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")


# Directory roles, by template id, that let a person do what a delegated permission names (permission tables of
# application-upsert, serviceprincipal-post-approleassignedto: "in delegated scenarios"). That any member may register
# applications of their own is not imitated.
_GLOBAL = frozenset({ROLE_TEMPLATES["Global Administrator"]})
_MAKERS = _GLOBAL | {ROLE_TEMPLATES["Application Administrator"], ROLE_TEMPLATES["Cloud Application Administrator"]}
_ROLES_FOR = {
    "Application.ReadWrite.All": _MAKERS,
    "AppRoleAssignment.ReadWrite.All": _MAKERS | {ROLE_TEMPLATES["Privileged Role Administrator"]},
    "DelegatedPermissionGrant.ReadWrite.All": _MAKERS | {ROLE_TEMPLATES["Privileged Role Administrator"]},
}


class GraphError(Exception):
    """An error reply; ``headers`` go with it, ``details`` stand in the error as Graph has them."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: dict[str, str] | None = None,
        details: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}
        self.details = details


def bad_request(message: str, code: str = "Request_BadRequest") -> GraphError:
    return GraphError(400, code, message)


def forbidden(message: str = "Insufficient privileges to complete the operation.") -> GraphError:
    return GraphError(403, "Authorization_RequestDenied", message)


def not_found(identifier: str) -> GraphError:
    return GraphError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{identifier}' does not exist or one of its queried reference-property objects are not present.",
    )


def not_emulated(what: str) -> GraphError:
    """Something that Graph may well do and the sandbox does not: always named, always 501."""
    return GraphError(501, "NotEmulated", f"The sandbox's Microsoft Graph does not emulate {what}")


def required(prop: str, resource: str) -> GraphError:
    return bad_request(f"A value is required for property '{prop}' of resource '{resource}'.")


@dataclass
class Call:
    """One request: ``path`` is what follows the version, ``headers`` have lower-case names, ``base`` ends before it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    base: str
    claims: dict[str, Any]
    version: str = "v1.0"

    @property
    def caller(self) -> str:
        """The object id of the enterprise application, or of the person, that calls."""
        return str(self.claims["oid"])

    def may(self, *permissions: str) -> bool:
        if "scp" in self.claims:
            scopes = set(str(self.claims["scp"]).split())
            reads = any("ReadWrite" not in name for name in permissions)  # what reading takes is among them
            return any(name in scopes and self._lets(name, reads) for name in permissions)
        return not set(permissions).isdisjoint(self.claims.get("roles", ()))

    def _lets(self, permission: str, reads: bool) -> bool:
        """Whether a delegated permission is of use to this person: it lets the client do what the person's own directory roles
        let them do (/graph/permissions-overview). Members read the directory; a partner's person has roles alone."""
        roles = set(map(str, self.claims.get("wids", ())))
        if reads:
            return "idp" not in self.claims or bool(roles)
        return not roles.isdisjoint(_ROLES_FOR.get(permission, _GLOBAL))

    def need(self, *permissions: str) -> None:
        """Refuse the call unless its token carries one of these."""
        if not self.may(*permissions):
            raise forbidden()

    def preference(self, word: str) -> bool:
        return word in (part.strip() for part in self.headers.get("prefer", "").split(","))

    @property
    def eventual(self) -> bool:
        return self.headers.get("consistencylevel", "").lower() == "eventual"

    def json(self) -> dict[str, Any]:
        if not isinstance(self.body, dict):
            raise bad_request("Empty Payload. JSON content expected." if self.body is None else "Unable to read JSON request payload.", "BadRequest")  # fmt: skip
        return self.body


@dataclass
class Reply:
    status: int = 204
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[..., "Reply | Awaitable[Reply]"]


@dataclass(frozen=True)
class Route:
    """``template`` as Graph's documentation writes it; ``{name}`` takes one path segment or one key value."""

    method: str
    template: str
    handler: Handler
    version: str = "v1.0"

    def pattern(self) -> re.Pattern[str]:
        text = re.sub(r"'\\\{(\w+)\\\}'", r"'(?P<\1>(?:[^']|'')*)'", re.escape(self.template))
        return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/()]+)", text) + "/?", re.IGNORECASE)


_PAGE = 100
ROUTING_OPTIONS = frozenset({"$select", "$filter", "$top", "$count", "$skiptoken", "$orderby"})
Expand = Callable[[Call, Entity], dict[str, Any]]  # what $expand adds to an object


class Service:
    """The tenant's directory as Graph's routes see it: look-ups under replication lag, pages, projections."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self._cursors: OrderedDict[str, tuple[list[Entity], int | None]] = OrderedDict()
        self._numbers = itertools.count(1)

    @property
    def directory(self) -> Directory:
        return self.tenant.directory

    def now(self) -> float:
        return self.tenant.clock.now()

    # ---- look-ups ----

    def by_id(self, table: dict[str, Entity], identifier: str) -> Entity:
        """An object by its id, once reads see it."""
        entity = table.get(identifier.lower()) or table.get(identifier)
        if entity is None:
            raise not_found(identifier)
        if entity.readable_at > self.now():
            self.tenant.faults.note("read-lag")
            raise not_found(identifier)
        if self._flaps(entity):
            raise not_found(identifier)
        return entity

    def by_key(self, table: dict[str, Entity], prop: str, value: str) -> Entity:
        """An object by an alternate key, once lists see it."""
        for entity in table.values():
            if entity.properties.get(prop) == value:
                if entity.listed_at > self.now():
                    self.tenant.faults.note("list-lag")
                    break
                if self._flaps(entity):
                    break
                return entity
        raise not_found(value)

    def _flaps(self, entity: Entity) -> bool:
        """Has this read come to a replica that has not heard of an object which an earlier read has seen?"""
        if not entity.flap:
            return False
        if entity.seen_at is None:
            entity.seen_at = self.now()
            return False
        if self.now() >= entity.seen_at + entity.flap or not self.tenant.faults.chance("read-flap", 0.4):
            return False
        self.tenant.faults.note("read-flap")
        return True

    def listed(self, entities: Iterable[Entity]) -> list[Entity]:
        now, shown, late = self.now(), [], False
        for entity in entities:
            if entity.listed_at > now:
                late = True
            elif not self._flaps(entity):
                shown.append(entity)
        if late:
            self.tenant.faults.note("list-lag")
        return shown

    # ---- replies ----

    def chosen(self, call: Call, kind: str) -> list[str] | None:
        return odata.select(kind, call.query["$select"]) if "$select" in call.query else None

    def audit(self, call: Call, activity: str, operation: str, *targets: Target) -> None:
        """Let the directory's audit log know what the caller did."""
        self.directory.note(activity, operation, self.directory.actor(call.caller), *targets)

    def one(
        self, call: Call, kind: str, collection: str, entity: Entity, status: int = 200, expand: Expand | None = None
    ) -> Reply:
        """One object; on a read only $select is taken, and $expand where there is something to expand."""
        for option in call.query:
            if option != "$select" and not (option == "$expand" and expand):
                raise not_emulated(f"{option} on {call.method} {call.path}")
        fields = self.chosen(call, kind)
        listed = f"({','.join(fields)})" if fields else ""
        context = {"@odata.context": f"{call.base}/v1.0/$metadata#{collection}{listed}/$entity"}
        more = expand(call, entity) if expand and "$expand" in call.query else {}
        return Reply(status, context | project(entity.properties, fields, single=True) | more)

    def page(
        self,
        call: Call,
        kind: str,
        collection: str,
        entities: Iterable[Entity],
        annotate: bool = False,
        *,
        expand: Expand | None = None,
        narrow: Callable[[str], Callable[[dict[str, Any]], bool]] | None = None,
    ) -> Reply:
        """A page of a collection under $filter, $select, $top, $count, $orderby, and $expand where there is something to
        expand. Its nextLink serves a frozen order. ``narrow``: how $filter is read, where it is not a directory object's."""
        for option in call.query:
            if option not in ROUTING_OPTIONS and not (option == "$expand" and expand):
                raise _option(option)
        fields = self.chosen(call, kind)
        if "$skiptoken" in call.query:
            token = call.query["$skiptoken"]
            name, _, offset = token.rpartition("-")
            if name not in self._cursors or not offset.isdecimal():
                raise bad_request("The specified page token value has expired and can no longer be included in your request.", "Directory_ExpiredPageToken")  # fmt: skip
            (rows, total), start = self._cursors[name], int(offset)
        else:
            (rows, total), name, start = self._query(call, kind, entities, narrow), "", 0
        size = self._size(call)
        end = start + size
        body: dict[str, Any] = {
            "@odata.context": f"{call.base}/{call.version}/$metadata#{collection}{'(' + ','.join(fields) + ')' if fields else ''}"
        }
        if total is not None and start == 0:
            body["@odata.count"] = total
        if end < len(rows):
            self.tenant.faults.note("page-size")
            name = name or self._remember(rows, total)
            kept = "".join(
                f"&{key}={_quote(call.query[key])}" for key in ("$select", "$top", "$expand") if key in call.query
            )
            body["@odata.nextLink"] = f"{call.base}/{call.version}{call.path}?$skiptoken={name}-{end}{kept}"
        tag = {"@odata.type": f"#microsoft.graph.{kind}"} if annotate else {}
        body["value"] = [tag | project(row.properties, fields, single=False) for row in rows[start:end]]
        if expand and "$expand" in call.query:
            for shown, row in zip(body["value"], rows[start:end], strict=True):
                shown |= expand(call, row)
        return Reply(200, body)

    def _query(
        self,
        call: Call,
        kind: str,
        entities: Iterable[Entity],
        narrow: Callable[[str], Callable[[dict[str, Any]], bool]] | None = None,
    ) -> tuple[list[Entity], int | None]:
        counting = call.query.get("$count", "false").lower()
        if counting not in ("true", "false"):
            raise bad_request(f"Invalid value '{call.query['$count']}' for $count query option.", "BadRequest")
        advanced = call.eventual and counting == "true"
        rows = self.listed(entities)
        if "$filter" in call.query and narrow is not None:
            keeps = narrow(call.query["$filter"])
            rows = [row for row in rows if keeps(row.properties)]
        elif "$filter" in call.query:
            wanted = parse_filter(kind, call.query["$filter"])
            if wanted.advanced and not advanced:
                raise bad_request("Operator is not supported because the required parameters might be missing. Try adding $count=true query parameter and ConsistencyLevel:eventual header. Refer to https://aka.ms/graph-docs/advanced-queries for more information.", "Request_UnsupportedQuery")  # fmt: skip
            rows = [row for row in rows if wanted.keeps(row.properties)]
        if "$orderby" in call.query:
            self._order(call, kind, rows, advanced)
        # Without ConsistencyLevel: eventual, $count is passed over (advanced queries article).
        return rows, len(rows) if advanced else None

    def _order(self, call: Call, kind: str, rows: list[Entity], advanced: bool) -> None:
        word, _, direction = call.query["$orderby"].strip().partition(" ")
        prop = odata.canonical(kind, word)
        if prop is None:
            raise bad_request(f"Invalid orderby clause: Could not find a property named '{word}' on type 'microsoft.graph.{kind}'.", "BadRequest")  # fmt: skip
        if prop != "displayName" or direction.strip().lower() not in ("", "asc", "desc"):
            raise bad_request(f"Unsupported sort property '{prop}' for '{kind}'.", "Request_UnsupportedQuery")
        if "$filter" in call.query and not advanced:
            raise bad_request("Sorting not supported for current query.", "Request_UnsupportedQuery")
        rows.sort(key=lambda row: str(row.properties[prop]).lower(), reverse=direction.strip().lower() == "desc")

    def _size(self, call: Call) -> int:
        size = max(1, int(self.tenant.faults["page-size"]))
        if "$top" not in call.query:
            return size
        top = call.query["$top"]
        if not top.isdecimal() or not 1 <= int(top) <= 999:
            raise bad_request("Invalid page size specified: '{0}'. Must be between 1 and 999 inclusive.".replace("{0}", top[:20]), "Request_UnsupportedQuery")  # fmt: skip
        # A service's own page is a hundred, and $top asks for more (application-list); a smaller one is the knob's.
        return int(top) if size >= _PAGE else min(size, int(top))

    def _remember(self, rows: list[Entity], total: int | None) -> str:
        name = f"RFNwdAIAAQ{next(self._numbers):08d}"
        self._cursors[name] = (rows, total)
        while len(self._cursors) > 256:
            self._cursors.popitem(last=False)
        return name

    def count_only(self, call: Call, kind: str, entities: Iterable[Entity]) -> Reply:
        """``/$count``: a bare number, and only with ConsistencyLevel: eventual."""
        if not call.eventual:
            raise bad_request("$count is not currently supported.")
        for option in call.query:
            if option != "$filter":
                raise _option(option)
        rows, _ = self._query(Call(**{**vars(call), "query": {**call.query, "$count": "true"}}), kind, entities)
        return Reply(200, str(len(rows)), {"Content-Type": "text/plain"})


def _option(option: str) -> GraphError:
    if option == "$skip":
        return bad_request("'$skip' is not supported by the service.", "Request_UnsupportedQuery")
    return not_emulated(f"the query option {option}")


def _quote(text: str) -> str:
    return text.replace("%", "%25").replace("&", "%26").replace(" ", "%20").replace("+", "%2B").replace("#", "%23")


def project(properties: dict[str, Any], fields: Sequence[str] | None, *, single: bool) -> dict[str, Any]:
    """What a read serves. A certificate's key comes only with $select on one object (keyCredential resource page)."""
    shown = dict(properties) if fields is None else {name: properties.get(name) for name in fields}
    if "keyCredentials" in shown and not (single and fields is not None):
        shown["keyCredentials"] = [{**row, "key": None} for row in shown["keyCredentials"] or ()]
    return shown
