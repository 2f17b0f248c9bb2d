"""Microsoft Graph through msgraph-sdk: the reads that steps need, and the interpreter of Graph writes.

The SDK builds addresses, signs and sends; bodies are raw JSON into our own records, since one typed entity makes the SDK
import some 1,200 modules. One event loop in one thread; blocking outside. Every call asks once: neither kiota's retries
nor its redirects are in the pipeline. Errors are ``refusals``' affair, waiting is ``patience``'s.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from ..clouds import Cloud
from ..errors import CloudError, Conflict, Forbidden, Missing, NotYetVisible, Unreachable
from ..snapshot import (
    AppId,
    Application,
    ApplicationObjectId,
    DeletedApplication,
    EnterpriseApplication,
    Observed,
    PrincipalObjectId,
    RequiredResource,
    Resource,
    RoleAssignment,
    Snapshot,
)
from ..tenant import NewSecret
from ..transport import http_date
from ..writes import (
    AddSecret,
    AssignRole,
    CreatePrincipal,
    DeleteApplication,
    GraphWrite,
    RemoveAssignment,
    RemoveSecret,
    RestoreApplication,
    TagPrincipal,
    UpdateApplication,
    UpsertApplication,
)
from . import loop, records, refusals

if TYPE_CHECKING:
    import httpx
    from azure.core.credentials import TokenCredential
    from kiota_abstractions.request_information import RequestInformation

T = TypeVar("T")

VERSION = "v1.0"
CONNECT_TIMEOUT = 15.0  # seconds
READ_TIMEOUT = 60.0  # seconds

_APPLICATION = (
    "id", "appId", "displayName", "uniqueName", "signInAudience", "requiredResourceAccess", "passwordCredentials",
    "createdDateTime", "publicClient", "isFallbackPublicClient", "web",
)  # fmt: skip
_DELETED = (*_APPLICATION, "deletedDateTime")
_LARGEST_PAGE = 999  # learn.microsoft.com/graph/api/directory-deleteditems-list
_PRINCIPAL = ("id", "appId", "displayName", "tags", "accountEnabled", "servicePrincipalType")
_RESOURCE = ("id", "appId", "appRoles", "oauth2PermissionScopes")
_ASSIGNMENT = ("id", "principalId", "resourceId", "appRoleId", "createdDateTime")


@dataclass(frozen=True)
class _Answer:
    """A good answer: ``body`` is its JSON, None where it has none (a 204)."""

    asked: refusals.Asked
    body: dict[str, Any] | None


class SignedIn(Protocol):
    """Who runs exosp, as far as Graph is concerned. Its credential's failures are CloudErrors already."""

    def graph_credential(self) -> "TokenCredential": ...

    def renew(self) -> None:
        """Forget the tokens that are held."""
        ...


class Graph:
    """tenant.Directory on Microsoft Graph. ``requests`` counts HTTP requests, token requests not among them.

    Raises UsageError where the cloud's certificates cannot be read; otherwise every failure is a CloudError.
    """

    def __init__(self, cloud: Cloud, admin: SignedIn, *, read_timeout: float = READ_TIMEOUT) -> None:
        self.requests = 0
        self._admin = admin
        self._base = f"{cloud.graph}/{VERSION}"
        self._host = urlsplit(cloud.graph).netloc
        self._date: datetime | None = None  # the service's clock at its last answer
        self._has_unique_name_key = True  # until the service says otherwise
        self._upserts = True  # ditto
        self._transport = loop.transport(cloud)
        self._adapter = self._build_adapter(cloud, admin, read_timeout)
        # mypy would read the SDK's ten thousand generated files, so the SDK is imported where it does not see it.
        self._client: Any = import_module("msgraph").GraphServiceClient(request_adapter=self._adapter)
        self._loop = loop.Loop()

    def _build_adapter(self, cloud: Cloud, admin: SignedIn, read_timeout: float) -> Any:
        import httpx
        from kiota_authentication_azure.azure_identity_authentication_provider import (
            AzureIdentityAuthenticationProvider,
        )
        from kiota_http.middleware import ParametersNameDecodingHandler

        client = httpx.AsyncClient(
            transport=self._transport,
            timeout=httpx.Timeout(read_timeout, connect=CONNECT_TIMEOUT),
            event_hooks={"request": [self._count]},
        )
        # Only what turns %24select into $select: the default pipeline repeats POSTs and follows redirects.
        import_module("msgraph_core").GraphClientFactory.create_with_custom_middleware(
            [ParametersNameDecodingHandler()], client=client
        )
        provider = AzureIdentityAuthenticationProvider(
            admin.graph_credential(),
            scopes=[cloud.graph_scope],
            allowed_hosts=[urlsplit(cloud.graph).hostname or ""],  # without the port
        )
        adapter = import_module("msgraph.graph_request_adapter").GraphRequestAdapter(provider, client=client)
        adapter.base_url = self._base
        return adapter

    async def _count(self, _: "httpx.Request") -> None:
        self.requests += 1

    def __enter__(self) -> "Graph":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, end the thread. A second call does nothing."""
        if self._loop.running:
            self._loop.run(self._transport.aclose())
            self._loop.stop()

    # Reads

    def application(self, unique_name: str) -> Application | None:
        """GET /applications(uniqueName='…'); where the cloud knows no such key, $filter, which lags behind more; where it
        does not take that either, every application is looked at."""
        if self._has_unique_name_key:
            try:
                found = self._one(self._by_unique_name(unique_name), _APPLICATION)
                return None if found is None else _read(found, records.application)
            except refusals.KeyRefused:
                self._has_unique_name_key = False
        try:
            return self._named(unique_name, f"uniqueName eq '{_quoted(unique_name)}'")
        except CloudError as fault:
            if "UnsupportedQuery" not in fault.code:
                raise
            return self._named(unique_name, "")

    def _named(self, unique_name: str, asked: str) -> Application | None:
        for page in self._pages(self._client.applications, _APPLICATION, asked):
            for row in _rows(page):
                if row.get("uniqueName") == unique_name:
                    return _read(_Answer(page.asked, row), records.application)
        return None

    def application_by_object_id(self, object_id: ApplicationObjectId) -> Application | None:
        found = self._one(self._client.applications.by_application_id(object_id), _APPLICATION)
        return None if found is None else _read(found, records.application)

    def application_by_app_id(self, app_id: AppId) -> Application | None:
        found = self._one(self._client.applications_with_app_id(_quoted(app_id)), _APPLICATION)
        return None if found is None else _read(found, records.application)

    def deleted(self, *, unique_name: str = "", app_id: AppId | None = None) -> tuple[DeletedApplication, ...]:
        """Those in the recycle bin that bear the unique name or the appId, newest first. Filtered here: no page says
        that $filter takes these two on deleted items."""
        builder = self._client.directory.deleted_items.graph_application
        # The SDK shortens the type's name; the page and Graph's own links have it whole.
        builder.url_template = builder.url_template.replace("/graph.application", "/microsoft.graph.application")
        pages = self._pages(builder, _DELETED, top=_LARGEST_PAGE)
        found = (_read(_Answer(page.asked, row), records.deleted) for page in pages for row in _rows(page))
        mine = (
            row
            for row in found
            if (unique_name and row.application.unique_name == unique_name)
            or (app_id and row.application.app_id.lower() == app_id.lower())
        )
        return tuple(sorted(mine, key=lambda row: row.deleted.timestamp() if row.deleted else 0.0, reverse=True))

    def principal_by_object_id(self, object_id: str) -> EnterpriseApplication | None:
        """Whoever's it is: an ID that stands where another one should, and is to be named."""
        found = self._one(self._client.service_principals.by_service_principal_id(object_id), _PRINCIPAL)
        return None if found is None else _read(found, records.principal)

    def principal(self, app_id: AppId) -> EnterpriseApplication | None:
        found = self._one(self._client.service_principals_with_app_id(_quoted(app_id)), _PRINCIPAL)
        return None if found is None else _read(found, records.principal)

    def resource(self, app_id: AppId) -> Resource | None:
        """The tenant's own service principal of a service. Its roles: those that are enabled and for applications."""
        found = self._one(self._client.service_principals_with_app_id(_quoted(app_id)), _RESOURCE)
        return None if found is None else _read(found, records.resource)

    def assignments(self, principal: PrincipalObjectId) -> tuple[RoleAssignment, ...]:
        """All pages. A principal that is not there is NotYetVisible, not an empty answer: its id came from a read."""
        builder = self._client.service_principals.by_service_principal_id(principal).app_role_assignments
        pages = self._pages(builder, _ASSIGNMENT)
        return tuple(_read(_Answer(page.asked, row), records.assignment) for page in pages for row in _rows(page))

    # Writes

    def send(self, write: GraphWrite, seen: Snapshot) -> Observed | NewSecret | None:
        body: dict[str, Any]
        match write:
            case UpsertApplication():
                return self._upsert(write)
            case UpdateApplication():
                builder = self._client.applications.by_application_id(write.application)
                named = {"displayName": write.name} if write.name else {}
                body = {**named, "requiredResourceAccess": _required(write.required), **_public(write.redirects),
                        **_web(write.web)}  # fmt: skip
                return _shown(self._write("PATCH", builder, body, write), records.application)
            case CreatePrincipal():
                body = {"appId": write.app_id.value(seen), "tags": list(write.tags)}
                return _shown(self._write("POST", self._client.service_principals, body, write), records.principal)
            case TagPrincipal():
                builder = self._client.service_principals.by_service_principal_id(write.principal.value(seen))
                return _shown(self._write("PATCH", builder, {"tags": list(write.tags)}, write), records.principal)
            case AssignRole():
                resource = write.resource.value(seen)
                builder = self._client.service_principals.by_service_principal_id(resource).app_role_assigned_to
                body = {"principalId": write.principal.value(seen), "resourceId": resource, "appRoleId": write.role}
                return _shown(self._write("POST", builder, body, write), records.assignment)
            case AddSecret():
                return self._add_secret(write, write.application.value(seen))
            case RemoveSecret():
                builder = self._client.applications.by_application_id(write.application.value(seen)).remove_password
                self._write("POST", builder, {"keyId": write.key_id}, write)
                return None
            case RemoveAssignment():
                principal = self._client.service_principals.by_service_principal_id(write.principal.value(seen))
                builder = principal.app_role_assignments.by_app_role_assignment_id(write.assignment)
                self._write("DELETE", builder, None, write)
                return None
            case DeleteApplication():
                builder = self._client.applications.by_application_id(write.application.value(seen))
                self._write("DELETE", builder, None, write)
                return None
            case RestoreApplication():
                builder = self._client.directory.deleted_items.by_directory_object_id(write.deleted).restore
                try:
                    self._write("POST", builder, None, write)
                except Missing:  # somebody restored it, or an earlier request did whose answer was lost
                    found = self.application_by_object_id(write.deleted)
                    if found is None:
                        raise
                    return found
                return self.application_by_object_id(write.deleted)  # the reply has no uniqueName for sure

    def _upsert(self, write: UpsertApplication) -> Application | None:
        """One PATCH makes or updates (201 with the application, or 204), so a lost reply cannot make two.

        The upsert page's editions disagree on national clouds. Where it is refused: look up, then PATCH by id or POST.
        Two applications cannot come of that either, as long as that cloud takes uniqueName at creation: a name that is
        taken, and not by what was deleted, is one that the look-up does not show yet.
        """
        body = {
            "displayName": write.name,
            "signInAudience": write.audience,
            "requiredResourceAccess": _required(write.required),
            **_public(write.redirects),
            **_web(write.web),
        }
        if self._upserts:
            try:
                builder = self._by_unique_name(write.unique_name)
                return _shown(
                    self._write("PATCH", builder, body, write, prefer="create-if-missing"), records.application
                )
            except refusals.KeyRefused:
                self._upserts = self._has_unique_name_key = False
            except NotYetVisible:  # an upsert makes what is missing: 404 says that this cloud has none
                self._upserts = False
        found = self.application(write.unique_name)
        if found is not None:
            builder = self._client.applications.by_application_id(found.object_id)
            return _shown(self._write("PATCH", builder, body, write), records.application)
        body["uniqueName"] = write.unique_name
        try:
            return _shown(self._write("POST", self._client.applications, body, write), records.application)
        except Conflict as fault:
            try:
                lies_there = bool(self.deleted(unique_name=write.unique_name))
            except Forbidden:  # it needs Application.Read.All; the look-ups before it tell the same, later
                lies_there = False
            if lies_there:
                raise
            raise NotYetVisible(
                fault.what, service="graph", asked=fault.asked, code=fault.code, request_id=fault.request_id,
                hint="the application is there, and not shown everywhere yet",
            ) from None  # fmt: skip

    def _add_secret(self, write: AddSecret, application: ApplicationObjectId) -> NewSecret:
        """The end is counted from the service's clock at its last answer: never later than asked for, so that a policy
        which caps lifetimes at exactly ``valid_for`` holds."""
        item = self._client.applications.by_application_id(application)
        if self._date is None:
            self._one(item, ("id",))
        ends = (self._date or datetime.now(UTC)) + timedelta(seconds=write.valid_for)
        credential = {"displayName": write.label, "endDateTime": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}
        answer = self._write("POST", item.add_password, {"passwordCredential": credential}, write)
        return _read(answer, lambda body: NewSecret(records.secret(body), records.text(body, "secretText")))

    # Requests

    def _by_unique_name(self, unique_name: str) -> Any:
        return self._client.applications_with_unique_name(_quoted(unique_name))

    def _one(self, builder: Any, select: tuple[str, ...]) -> _Answer | None:
        """GET one object; None where the service says that it is not there."""
        try:
            return self._ask(_request("GET", builder, {"%24select": list(select)} if select else {}))
        except refusals.NotThere:
            return None

    def _pages(self, builder: Any, select: tuple[str, ...] = (), asked: str = "", *, top: int = 0) -> Iterator[_Answer]:
        query: dict[str, Any] = {"%24select": list(select)} if select else {}
        if top:
            query["%24top"] = top
        if asked:
            query["%24filter"] = asked
        info = _request("GET", builder, query)
        visited: set[str] = set()
        while True:
            page = self._ask(info, listing=True)
            yield page
            link = (page.body or {}).get("@odata.nextLink")
            if link is None:
                return
            self._check_link(link, visited, page.asked)
            info = _request("GET", None, {})
            info.url = link

    def _check_link(self, link: object, visited: set[str], asked: refusals.Asked) -> None:
        """The token goes to Graph's own host and port only, wherever an answer points."""
        address = urlsplit(link) if isinstance(link, str) else None
        if address is None or f"{address.scheme}://{address.netloc}/{VERSION}" != self._base or link in visited:
            where = address.netloc if address else "no address"
            raise Unreachable(
                f"the next page is said to be at {where}, which was not followed", may_have_happened=False,
                transient=False, service="graph", asked=asked.words, request_id=asked.request_id,
            )  # fmt: skip
        visited.add(str(link))

    def _write(
        self, method: str, builder: Any, body: dict[str, Any] | None, write: GraphWrite, *, prefer: str = ""
    ) -> _Answer:
        info = _request(method, builder, {})
        if body is None:
            return self._ask(info, write=type(write))
        info.headers.try_add("Content-Type", "application/json")
        if prefer:
            info.headers.try_add("Prefer", prefer)
        info.content = json.dumps(body).encode()
        return self._ask(info, write=type(write))

    def _ask(
        self, info: "RequestInformation", *, write: type[GraphWrite] | None = None, listing: bool = False
    ) -> _Answer:
        info.path_parameters["baseurl"] = self._base
        path = unquote(urlsplit(info.url).path).removeprefix(f"/{VERSION}")
        method = info.http_method.value if info.http_method else ""
        asked = refusals.Asked(f"{method} {path}", self._host, write, listing, str(uuid.uuid4()))
        info.headers.try_add("client-request-id", asked.request_id)
        try:
            response = self._loop.run(self._send(info))
        except CloudError:
            raise  # from signing in
        except Exception as fault:
            raise refusals.lost(fault, asked) from None
        self._date = http_date(response.headers.get("Date")) or self._date
        if response.status_code == 401:
            self._admin.renew()  # the service's clock counts, not ours: the next request brings a new token
        return _Answer(asked, refusals.accept(response.status_code, response.headers, response.content, asked))

    async def _send(self, info: "RequestInformation") -> "httpx.Response":
        """The response as it came: the adapter's own reading of errors would load the SDK's models."""
        from kiota_abstractions.native_response_handler import NativeResponseHandler
        from kiota_http.middleware.options import ResponseHandlerOption

        info.add_request_options([ResponseHandlerOption(NativeResponseHandler())])
        return await self._adapter.send_primitive_async(info, "bytes", {})  # type: ignore[no-any-return]  # ditto mypy


def _request(method: str, builder: Any, query: dict[str, Any]) -> "RequestInformation":
    from kiota_abstractions.method import Method
    from kiota_abstractions.request_information import RequestInformation

    template, parameters = (builder.url_template, builder.path_parameters) if builder is not None else (None, None)
    info = RequestInformation(Method(method), template, parameters)
    info.query_parameters.update(query)
    info.headers.try_add("Accept", "application/json")
    return info


def _required(entries: tuple[RequiredResource, ...]) -> list[dict[str, Any]]:
    return [
        {"resourceAppId": entry.resource, "resourceAccess": [{"id": i, "type": t} for i, t in entry.access]}
        for entry in entries
    ]


def _public(redirects: tuple[str, ...] | None) -> dict[str, Any]:
    """What makes a public client: its redirect URIs, and the switch that device codes need (Allow public client flows)."""
    if redirects is None:
        return {}
    return {"publicClient": {"redirectUris": list(redirects)}, "isFallbackPublicClient": True}


def _web(redirects: tuple[str, ...] | None) -> dict[str, Any]:
    """Where an administrator's consent in another tenant may end; the rest of ``web`` stays (application-update)."""
    return {} if redirects is None else {"web": {"redirectUris": list(redirects)}}


def _quoted(text: str) -> str:
    """``text`` inside an OData string: its quotes doubled. The SDK's templates do the percent-encoding."""
    return text.replace("'", "''")


def _read(answer: _Answer, record: Callable[[dict[str, Any]], T]) -> T:
    try:
        if answer.body is None:
            raise ValueError("no body")
        return record(answer.body)
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise refusals.illegible(answer.asked, f"lacks or misspells {fault}") from None


def _shown(answer: _Answer, record: Callable[[dict[str, Any]], T]) -> T | None:
    """What a write's answer shows, None where it shows nothing."""
    return None if answer.body is None else _read(answer, record)


def _rows(page: _Answer) -> list[dict[str, Any]]:
    rows = (page.body or {}).get("value")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise refusals.illegible(page.asked, "has no list of values")
    return rows
