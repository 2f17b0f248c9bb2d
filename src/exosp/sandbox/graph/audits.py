"""/auditLogs/directoryAudits, and beta's /reports/servicePrincipalSignInActivities. Read only: the sandbox's own writes, and what a
tenant file says, fill them.

Sources: learn.microsoft.com/graph/api/directoryaudit-list (AuditLog.Read.All and Directory.Read.All, both; not at 21Vianet),
/resources/directoryaudit for what $filter takes; /graph/api/reportroot-list-serviceprincipalsigninactivities (beta, global
service alone); microsoft-graph-docs#14118 and #14120 for the refusal of a tenant without a premium licence; entra
/identity/monitoring-health/reference-reports-data-retention (30 days; 7 without a licence).
Not imitated: provisioning and sign-in logs, the day until a sign-in shows.
"""

import base64
import uuid
from collections.abc import Callable
from typing import Any

from ..directory import Entity
from ..odata_filter import Parser, Predicate
from .wire import Call, GraphError, Reply, Route, Service, bad_request, forbidden

_KEPT = {"p1": 30 * 86400.0, "free": 7 * 86400.0}
# What $filter takes of a directoryAudit: path -> forms.
_PATHS: dict[str, frozenset[str]] = {
    "activityDateTime": frozenset({"eq", "ge", "le"}),
    "activityDisplayName": frozenset({"eq", "startswith"}),
    "category": frozenset({"eq"}),
    "correlationId": frozenset({"eq"}),
    "id": frozenset({"eq"}),
    "loggedByService": frozenset({"eq"}),
    "result": frozenset({"eq"}),
    "initiatedBy/user/id": frozenset({"eq"}),
    "initiatedBy/user/displayName": frozenset({"eq"}),
    "initiatedBy/user/userPrincipalName": frozenset({"eq", "startswith"}),
    "initiatedBy/app/appId": frozenset({"eq"}),
    "initiatedBy/app/displayName": frozenset({"eq"}),
}
_TARGET = {"id": frozenset({"eq"}), "displayName": frozenset({"eq", "startswith"})}


def _reach(row: Any, path: str) -> Any:
    for name in path.split("/"):
        row = row.get(name) if isinstance(row, dict) else None
    return row


def _fold(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


class _Audits(Parser):
    """The filter of directory audits: paths into them, and targetResources/any."""

    paths = _PATHS
    within = ""  # the lambda's variable

    def term(self) -> Predicate:
        if self.peek("("):
            return super().term()
        if self.peek("startswith"):
            self.take()
            self.take("mark", "(")
            path = self._path(self.take("word")[1], "startswith")
            self.take("mark", ",")
            start = self.take("string")[1][1:-1].replace("''", "'").lower()
            self.take("mark", ")")
            return lambda row: str(_reach(row, path) or "").lower().startswith(start)
        _, word = self.take("word")
        if word.lower() == "targetresources/any" and not self.within:
            return self._any()
        operator = self.take("word")[1].lower()
        path = self._path(word, operator)
        kind, text = self.take()
        if kind not in ("string", "date", "guid") or (path == "activityDateTime") != (kind == "date"):
            raise self.unsupported(path)
        value = _instant(text) if kind == "date" else text.strip("'").replace("''", "'").lower()
        match operator:
            case "ge":
                return lambda row: _instant(str(_reach(row, path))) >= value
            case "le":
                return lambda row: _instant(str(_reach(row, path))) <= value
        if kind == "date":
            return lambda row: _instant(str(_reach(row, path))) == value
        return lambda row: bool(_fold(_reach(row, path)) == value)

    def _any(self) -> Predicate:
        self.take("mark", "(")
        self.within = self.take("word")[1]
        self.take("mark", ":")
        inner = self.either()
        self.take("mark", ")")
        self.within = ""
        return lambda row: any(inner(target) for target in row["targetResources"])

    def _path(self, word: str, form: str) -> str:
        table = self.paths
        if self.within:
            start, _, word = word.partition("/")
            table = _TARGET
            if start != self.within:
                raise self.unsupported(word)
        path = next((known for known in table if known.lower() == word.lower()), None)
        if path is None or form not in table[path]:
            raise self.unsupported(word)
        return path


def _instant(text: str) -> str:
    """A moment as text that sorts, to the hundred-thousandth of a second."""
    day, _, rest = text.strip().rstrip("Zz").partition("T")
    clock, _, part = (rest or "00:00:00").partition(".")
    return f"{day}T{clock if clock.count(':') == 2 else clock + ':00'}.{part:0<7}"[:27]


def _not_here(service: Service, segment: str, *clouds: str) -> None:
    """Refuse a route that this cloud does not have."""
    if service.tenant.shape.name not in clouds:
        raise bad_request(f"Resource not found for the segment '{segment}'.", "BadRequest")


def directory(service: Service, call: Call) -> Reply:
    if not (call.may("AuditLog.Read.All") and call.may("Directory.Read.All", "Directory.ReadWrite.All")):
        raise forbidden("Calling principal does not have required MSGraph permissions AuditLog.Read.All")
    _not_here(service, "directoryAudits", "global", "gcc-high", "dod")
    since = service.now() - _KEPT[service.directory.licence]
    oldest = _instant(service.tenant.clock.iso(since))
    rows = [row for row in service.directory.audits if _instant(row["activityDateTime"]) >= oldest]
    shown = [row for row in rows if service.directory.audits_show.get(row["id"], 0.0) <= service.now()]
    if len(shown) < len(rows):
        service.tenant.faults.note("audit-log-lag")
    rows = shown
    word, _, direction = call.query.pop("$orderby", "activityDateTime desc").strip().partition(" ")
    if word.lower() != "activitydatetime" or direction.strip().lower() not in ("", "asc", "desc"):
        raise bad_request(f"Unsupported sort property '{word}' for 'directoryAudit'.", "Request_UnsupportedQuery")
    rows.sort(key=lambda row: _instant(row["activityDateTime"]), reverse=direction.strip().lower() == "desc")
    entities = [Entity(row, 0.0) for row in rows]
    return service.page(call, "directoryAudit", "auditLogs/directoryAudits", entities, narrow=_narrow)


def _narrow(text: str) -> Callable[[dict[str, Any]], bool]:
    return _Audits("directoryAudit", text).parse()


def activities(service: Service, call: Call) -> Reply:
    call.need("AuditLog.Read.All", "Directory.Read.All", "Directory.ReadWrite.All")
    _not_here(service, "servicePrincipalSignInActivities", "global")
    if service.directory.licence != "p1":
        raise GraphError(
            403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
            "Neither tenant is B2C or tenant doesn't have premium license",
        )  # fmt: skip
    rows = [Entity(_activity(service, app_id, *times), 0.0) for app_id, times in service.directory.last_used.items()]
    return service.page(call, "servicePrincipalSignInActivity", "reports/servicePrincipalSignInActivities", rows)


def _activity(service: Service, app_id: str, own: float | None, person: float | None) -> dict[str, Any]:
    def shown(at: float | None) -> dict[str, Any]:
        return {
            "lastSignInDateTime": None if at is None else service.tenant.clock.iso(at),
            "lastSignInRequestId": None if at is None else str(uuid.uuid5(uuid.NAMESPACE_URL, f"{app_id}{at}")),
        }

    return {
        "id": base64.b64encode(app_id.encode()).decode(), "appId": app_id,
        "lastSignInActivity": shown(max((at for at in (own, person) if at is not None), default=None)),
        "delegatedClientSignInActivity": shown(person), "delegatedResourceSignInActivity": shown(None),
        "applicationAuthenticationClientSignInActivity": shown(own),
        "applicationAuthenticationResourceSignInActivity": shown(None),
    }  # fmt: skip


def routes() -> list[Route]:
    return [
        Route("GET", "/auditLogs/directoryAudits", directory),
        Route("GET", "/reports/servicePrincipalSignInActivities", activities, "beta"),
    ]
