"""Microsoft Graph read for a whole tenant: the port ``census.DirectoryCensus``, on the same client as everything else.

Lists are streamed in pages as large as Graph gives, of the few properties that an audit keeps; raw JSON becomes records a
row at a time. Nothing here waits: ``repeat`` is handed in (``patience``'s transport), is given each page, and may send it
again.

Sources: learn.microsoft.com/graph/api/application-list, serviceprincipal-list, serviceprincipal-list-approleassignedto,
oauth2permissiongrant-list, application-list-owners, application-list-federatedidentitycredentials, directoryaudit-list,
/graph/json-batching; beta's reportroot-list-serviceprincipalsigninactivities.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar
from urllib.parse import quote, unquote, urlsplit

from ..errors import CloudError, Forbidden, Missing, NotYetVisible, Throttled, Unreachable
from ..inventory import (
    MICROSOFT_GRAPH,
    Credential,
    Event,
    LastUse,
    Owner,
    Principal,
    Registration,
    RoleGrant,
    ScopeGrant,
)
from ..permissions import DELEGATED, reaches_mail
from ..snapshot import EXCHANGE_ONLINE, AppId, ApplicationObjectId, PrincipalObjectId
from . import records, refusals, standing
from .client import VERSION, Graph, _Answer, _quoted, _read, _request, _rows
from .records import _when, text

T = TypeVar("T")

PAGE = 999  # the most that Graph gives of directory objects
MOST = 20  # requests in a batch
RESOURCES: tuple[AppId, ...] = (EXCHANGE_ONLINE, MICROSOFT_GRAPH)

_REGISTRATION = (
    "id", "appId", "displayName", "signInAudience", "uniqueName", "passwordCredentials", "keyCredentials",
    "requiredResourceAccess", "createdDateTime",
)  # fmt: skip
_PRINCIPAL = (
    "id", "appId", "displayName", "accountEnabled", "servicePrincipalType", "appOwnerOrganizationId", "passwordCredentials",
    "keyCredentials",
)  # fmt: skip
_ASSIGNMENT = ("principalId", "principalType", "appRoleId", "createdDateTime")
_OWNER = ("id", "displayName", "userPrincipalName", "accountEnabled")
_NO_ROLE = "00000000-0000-0000-0000-000000000000"  # assigned to the application as such: default access, no permission
_KINDS: dict[str, Literal["user", "application"]] = {
    "#microsoft.graph.user": "user", "#microsoft.graph.servicePrincipal": "application",
}  # fmt: skip
# What a log line says was given, by the names of its modified properties.
_GIVEN = ("AppRole.Value", "DelegatedPermissionGrant.Scope", "DelegatedPermissionGrant.ConsentType")


class Repeat(Protocol):
    """Calls, and calls again where that can help. Raises what the last call raised."""

    def __call__(self, call: Callable[[], T], /) -> T: ...


def once(call: Callable[[], T], /) -> T:
    return call()


class DirectoryCensus:
    """The port. ``graph`` is the caller's to close."""

    def __init__(self, graph: Graph, repeat: Repeat = once) -> None:
        self._graph = graph
        self._repeat = repeat
        self._answered: dict[str, dict[str, Any]] = {}  # of a batch that must be asked again in part

    @property
    def requests(self) -> int:
        """HTTP requests of the client, whatever they were for."""
        return self._graph.requests

    # Applications

    def registrations(self) -> Iterator[Registration]:
        for page in self._pages(self._graph._client.applications, _REGISTRATION):
            for row in _rows(page):
                yield _read(_Answer(page.asked, row), _registration)

    def principals(self) -> Iterator[Principal]:
        """Of every kind: whoever holds a permission matters, whatever Graph calls it."""
        for page in self._pages(self._graph._client.service_principals, _PRINCIPAL):
            for row in _rows(page):
                yield _read(_Answer(page.asked, row), _principal)

    def federated(self, ids: Sequence[str]) -> dict[str, tuple[Credential, ...]]:
        rows = self._each(ids, lambda id_: f"/applications/{quote(id_, safe='')}/federatedIdentityCredentials")
        return {id_: tuple(_record(row, _federated) for row in held) for id_, held in rows.items()}

    def owners(
        self, kind: Literal["applications", "servicePrincipals"], ids: Sequence[str]
    ) -> dict[str, tuple[Owner, ...]]:
        rows = self._each(ids, lambda id_: f"/{kind}/{quote(id_, safe='')}/owners?$select={','.join(_OWNER)}")
        return {id_: tuple(_record(row, _owner) for row in held) for id_, held in rows.items()}

    # Consent

    def role_grants(self) -> Iterator[RoleGrant]:
        for app_id in RESOURCES:
            found = self._repeat(lambda app_id=app_id: self._resource(app_id))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            if found is None:
                continue  # a tenant without Exchange has no such principal, and nobody a role of it
            resource, values = found
            builder = self._graph._client.service_principals.by_service_principal_id(resource).app_role_assigned_to
            for page in self._pages(builder, _ASSIGNMENT):
                for row in _rows(page):
                    grant = _read(_Answer(page.asked, row), lambda row: _role_grant(row, app_id, values))  # noqa: B023 - called at once
                    if grant is not None:
                        yield grant

    def _resource(self, app_id: AppId) -> tuple[str, dict[str, str]] | None:
        """The object ID of the tenant's own principal of a service, and its roles' values by their ids, those that are
        switched off too: an assignment outlives its role."""
        builder = self._graph._client.service_principals_with_app_id(_quoted(app_id))
        found = self._graph._one(builder, ("id", "appId", "appRoles"))
        if found is None:
            return None
        return _read(found, lambda body: (
            text(body, "id"),
            {text(role, "id").lower(): role.get("value") or text(role, "id") for role in body["appRoles"]},
        ))  # fmt: skip

    def scope_grants(self) -> Iterator[ScopeGrant]:
        """Folded while they come: a tenant may have a row for each person and application."""
        resources = {}
        for app_id in RESOURCES:
            found = self._repeat(lambda app_id=app_id: self._resource(app_id))  # type: ignore[misc]  # ditto
            if found is not None:
                resources[found[0].lower()] = app_id
        folded: dict[tuple[str, AppId], ScopeGrant] = {}
        for page in self._pages(self._graph._client.oauth2_permission_grants):
            for row in _rows(page):
                _read(_Answer(page.asked, row), lambda row: _fold(row, resources, folded))
        yield from folded.values()

    # The tenant, and its logs

    def security_defaults(self) -> bool:
        return self._repeat(lambda: standing.security_defaults(self._graph)).get("isEnabled") is True

    def last_use(self) -> Iterator[LastUse]:
        """Raises a CloudError that says so where the cloud, or the tenant's licence, does not offer it."""
        address = f"{self._graph._base.removesuffix(VERSION)}beta/reports/servicePrincipalSignInActivities?$top={PAGE}"
        try:
            for page in self._linked(address):
                for row in _rows(page):
                    yield _read(_Answer(page.asked, row), _last_use)
        except (Throttled, Unreachable):
            raise
        except CloudError as fault:
            raise _not_offered(fault) from None

    def events(self, subjects: Sequence[str]) -> Iterator[Event]:
        """Asked for one object at a time: no page says that $filter takes more than one. What failed is left out."""
        for subject in subjects:
            # Its quotes are doubled and the rest percent-encoded: an id that is none finds nothing.
            asked = f"targetResources/any(t:t/id eq '{_quoted(subject)}')"
            builder = self._graph._client.audit_logs.directory_audits
            for page in self._pages(builder, (), asked):
                for row in _rows(page):
                    if row.get("result") != "failure":
                        yield _read(_Answer(page.asked, row), lambda row: _event(row, subject))  # noqa: B023 - called at once

    # Asking

    def _pages(self, builder: Any, select: Sequence[str] = (), asked: str = "") -> Iterator[_Answer]:
        query: dict[str, Any] = {"%24top": PAGE}
        if select:
            query["%24select"] = list(select)
        if asked:
            query["%24filter"] = asked
        page = self._repeat(lambda: self._graph._ask(_request("GET", builder, query), listing=True))
        yield page
        yield from self._following(page)

    def _linked(self, address: str) -> Iterator[_Answer]:
        """Pages from an address on, which is Graph's."""

        def ask() -> _Answer:
            info = _request("GET", None, {})
            info.url = address
            return self._graph._ask(info, listing=True)

        page = self._repeat(ask)
        yield page
        yield from self._following(page)

    def _following(self, page: _Answer) -> Iterator[_Answer]:
        visited: set[str] = set()
        while (link := (page.body or {}).get("@odata.nextLink")) is not None:
            self._graph._check_link(link, visited, page.asked)

            def ask(link: str = link) -> _Answer:
                info = _request("GET", None, {})
                info.url = link
                return self._graph._ask(info, listing=True)

            page = self._repeat(ask)
            yield page

    def _each(self, ids: Sequence[str], path: Callable[[str], str]) -> dict[str, list[dict[str, Any]]]:
        """The rows of each object's list, twenty objects a request. What is throttled alone is asked again alone. One that
        may not be seen, or is gone, is left out; Forbidden where none may be seen."""
        found: dict[str, list[dict[str, Any]]] = {}
        refused: list[CloudError] = []
        for start in range(0, len(ids), MOST):
            some = {id_: path(id_) for id_ in ids[start : start + MOST]}
            self._answered = {}
            self._repeat(lambda some=some: self._batch(some, refused))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            for id_, body in self._answered.items():
                page = _Answer(self._asked(some[id_]), body)
                found[id_] = _rows(page)
                for more in self._following(page):
                    found[id_] += _rows(more)
        if refused and not found and all(isinstance(fault, Forbidden) for fault in refused):
            raise refused[0]
        return found

    def _batch(self, some: dict[str, str], refused: list[CloudError]) -> None:
        """Ask for those that are not answered yet. Raises the error that asks for the longest wait."""
        left = [id_ for id_ in some if id_ not in self._answered]
        requests = [{"id": str(number), "method": "GET", "url": some[id_]} for number, id_ in enumerate(left)]
        info = _request("POST", None, {})
        info.url = f"{self._graph._base}/$batch"
        info.headers.try_add("Content-Type", "application/json")
        info.content = json.dumps({"requests": requests}).encode()
        answer = self._graph._ask(info, listing=True)
        came = _by_id(answer, len(left))
        waits: list[Throttled | Unreachable] = []
        for number, id_ in enumerate(left):
            try:
                self._answered[id_] = self._accept(came.get(str(number)), some[id_])
            except (Throttled, Unreachable) as fault:
                waits.append(fault)
            except CloudError as fault:
                refused.append(fault)
        if waits:
            raise max(waits, key=lambda fault: fault.after or 0.0)

    def _accept(self, response: dict[str, Any] | None, path: str) -> dict[str, Any]:
        asked = self._asked(path)
        if response is None:
            raise refusals.illegible(asked, "has no answer for this request")
        body, headers = response.get("body"), response.get("headers")
        content = b"" if body is None else json.dumps(body).encode()
        held = headers if isinstance(headers, dict) else {}
        status = response.get("status")
        if not isinstance(status, int):
            raise refusals.illegible(asked, "has no status for this request")
        return refusals.accept(status, {str(k).title(): str(v) for k, v in held.items()}, content, asked) or {}

    def _asked(self, path: str) -> refusals.Asked:
        return refusals.Asked(f"GET {unquote(urlsplit(path).path)}", self._graph._host, None, True, "")


def _by_id(answer: _Answer, count: int) -> dict[str, dict[str, Any]]:
    responses = (answer.body or {}).get("responses")
    if not isinstance(responses, list) or not all(isinstance(one, dict) for one in responses):
        raise refusals.illegible(answer.asked, "has no list of responses")
    return {str(one.get("id")): one for one in responses[: 2 * count]}


# Rows into records. As in ``records``: what Graph always sends raises where it is missing.


def _record(row: dict[str, Any], record: Callable[[dict[str, Any]], T]) -> T:
    return _read(_Answer(refusals.Asked("POST /$batch", "Microsoft Graph", None, True, ""), row), record)


def _credentials(body: dict[str, Any]) -> tuple[Credential, ...]:
    """Secrets, and certificates to sign in with. A principal's signing certificates of SAML are not among them."""
    secrets = [
        _credential("secret", row) for row in body.get("passwordCredentials") or ()
    ]  # fmt: skip
    return (*secrets, *(
        _credential("certificate", row)
        for row in body.get("keyCredentials") or ()
        if row.get("type") == "AsymmetricX509Cert" and (row.get("usage") or "Verify") == "Verify"
    ))  # fmt: skip


def _credential(kind: Literal["secret", "certificate"], row: dict[str, Any]) -> Credential:
    return Credential(
        kind, row.get("keyId") or "", row.get("displayName") or "", _when(row.get("startDateTime")),
        _when(row.get("endDateTime")),
    )  # fmt: skip


def _federated(row: dict[str, Any]) -> Credential:
    return Credential("federated", text(row, "id"), row.get("name") or "")


def _registration(body: dict[str, Any]) -> Registration:
    plain = records.application({**body, "passwordCredentials": []})
    return Registration(
        object_id=ApplicationObjectId(plain.object_id),
        app_id=plain.app_id,
        name=plain.name,
        audience=plain.audience,
        unique_name=plain.unique_name,
        credentials=_credentials(body),
        required=plain.required,
        created=plain.created,
    )


def _principal(body: dict[str, Any]) -> Principal:
    plain = records.principal(body)
    return Principal(
        object_id=plain.object_id,
        app_id=plain.app_id,
        name=plain.name,
        enabled=plain.enabled,
        kind=plain.kind,
        home=body.get("appOwnerOrganizationId") or "",
        credentials=_credentials(body),
        created=_when(body.get("createdDateTime")),
    )


def _owner(row: dict[str, Any]) -> Owner:
    """Who may not read people sees their ids and nothing else."""
    id_ = text(row, "id")
    enabled = row.get("accountEnabled")
    return Owner(
        id=id_,
        name=row.get("userPrincipalName") or row.get("displayName") or id_,
        kind=_KINDS.get(row.get("@odata.type") or "", "other"),
        enabled=enabled if isinstance(enabled, bool) else None,
    )


def _role_grant(row: dict[str, Any], resource: AppId, values: dict[str, str]) -> RoleGrant | None:
    """None for people and groups, for default access, and on Graph for what reaches no mail."""
    role = text(row, "appRoleId").lower()
    if role == _NO_ROLE or row.get("principalType", "ServicePrincipal") != "ServicePrincipal":
        return None
    value = values.get(role, role)
    if resource != EXCHANGE_ONLINE and not reaches_mail(resource, value):
        return None
    return RoleGrant(PrincipalObjectId(text(row, "principalId")), resource, value, _when(row.get("createdDateTime")))


def _fold(row: dict[str, Any], resources: dict[str, AppId], folded: dict[tuple[str, AppId], ScopeGrant]) -> None:
    resource = resources.get(text(row, "resourceId").lower())
    if resource is None:
        return
    scopes = frozenset((row.get("scope") or "").split()) & DELEGATED[resource]
    if not scopes:
        return
    client = text(row, "clientId")
    before = folded.get((client, resource), ScopeGrant(PrincipalObjectId(client), resource))
    if row.get("consentType") == "AllPrincipals":
        after = ScopeGrant(before.principal, resource, before.everyone | scopes, before.some, before.people)
    else:
        after = ScopeGrant(before.principal, resource, before.everyone, before.some | scopes, before.people + 1)
    folded[client, resource] = after


def _last_use(row: dict[str, Any]) -> LastUse:
    def last(name: str) -> datetime | None:
        return _when((row.get(name) or {}).get("lastSignInDateTime"))

    return LastUse(
        AppId(text(row, "appId")),
        as_application=last("applicationAuthenticationClientSignInActivity"),
        as_person=last("delegatedClientSignInActivity"),
    )


def _not_offered(fault: CloudError) -> CloudError:
    """Why there is no sign-in activity, where it is not the caller's rights."""
    if "NonPremiumTenant" in fault.code:
        why = "sign-in activity comes with Microsoft Entra ID P1 or P2, which this tenant does not have"
    elif isinstance(fault, Missing | NotYetVisible | refusals.KeyRefused) or "not found for the segment" in fault.what:
        why = "this cloud does not offer sign-in activity: Microsoft has it in the global service alone"
    else:
        return fault
    return CloudError(
        why, service="graph", asked=fault.asked, status=fault.status, code=fault.code, request_id=fault.request_id
    )


def _event(row: dict[str, Any], subject: str) -> Event:
    by = row.get("initiatedBy") or {}
    user, app = by.get("user") or {}, by.get("app") or {}
    who = user.get("userPrincipalName") or user.get("displayName") or app.get("displayName") or user.get("id") or ""
    at = datetime.fromisoformat(text(row, "activityDateTime"))
    return Event(at, who, text(row, "activityDisplayName"), subject.lower(), "entra", _given(row))


def _given(row: dict[str, Any]) -> str:
    """Which permissions it was about: a log quotes its values as JSON."""
    found = []
    for target in row.get("targetResources") or ():
        for changed in target.get("modifiedProperties") or ():
            value = changed.get("newValue") or changed.get("oldValue") or ""
            if changed.get("displayName") in _GIVEN and isinstance(value, str):
                found.append(value.strip('" '))
    return ", ".join(dict.fromkeys(filter(None, found)))
