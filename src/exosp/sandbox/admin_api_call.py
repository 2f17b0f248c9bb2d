"""One cmdlet of the admin API: a JSON body in, an HTTP status and a JSON body out. It knows no listener and no token.

The endpoint behind the ExchangeOnlineManagement module is documented nowhere; what is known of it comes from its clients
and from answers people recorded: KelvinTegelaar/CIPP-API (New-ExoRequest, New-ExoBulkRequest), cisagov/ScubaGear
(EXORestHelper), a whole answer of Get-Mailbox of May 2024 and a whole error of August 2023 in public repositories.

Assumptions, where no source was found: the exception class of parameters that fit no set is written with the namespace
of the class beside it; an error that names no class known here is a 500. Not imitated: clixml rows, encrypted values.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from .cmdlets.engine import Command, Engine
from .cmdlets.outcome import Failure, Item
from .cmdlets.session import Connection, Runspace
from .tenant import Tenant

HASHTABLE = "#Exchange.GenericHashTable"
_TOLD = re.compile(r"(Ex[0-9A-F]{6})?\|[\w.]+\|")  # a text that bears its class
_DIRECT = "Microsoft.Exchange.Management.PSDirectInvoke."
_NO_SET = frozenset(
    {"NamedParameterNotFound", "AmbiguousParameterSet", "AmbiguousParameter", "PositionalParameterNotFound"}
)
# Cmdlets that run on the mailbox's own server: another anchor ends in an error of the proxy (CIPP, New-ExoRequest).
AT_HOME = frozenset({"Set-CASMailbox", "Set-Mailbox"})


class Refused(Exception):
    """A request that is not taken: an HTTP status, OData's code and text."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Unallowed(Exception):
    """A cmdlet that is not there, or not the caller's: nobody tells the two apart."""


@dataclass(frozen=True)
class Input:
    """What a request asks for: CmdletInput, read."""

    name: str
    parameters: tuple[tuple[str, Any], ...]


def read(body: Any) -> Input:
    """The CmdletInput of a body. Raises Refused, naming what is wrong."""
    given = _object(body, {"CmdletInput"}, "the body")
    cmdlet = _object(given.get("CmdletInput"), {"CmdletName", "Parameters"}, "CmdletInput")
    name = cmdlet.get("CmdletName")
    if not isinstance(name, str) or not name.strip():
        raise _bad("CmdletInput has no CmdletName")
    parameters = cmdlet.get("Parameters")
    if parameters is not None and not isinstance(parameters, Mapping):
        raise _bad("Parameters is no object")
    return Input(name, tuple((key, _value(key, value)) for key, value in (parameters or {}).items()))


def _object(value: Any, keys: set[str], what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _bad(f"{what} is no object")
    strange = sorted(set(value) - keys)
    if strange:
        raise _bad(f"The property '{strange[0]}' does not exist on {what}")
    return value


def _value(name: str, value: Any) -> Any:
    """A parameter's value. A hashtable says that it is one (CIPP, GreyCorbel's ExoHelper)."""
    if isinstance(value, Mapping):
        if value.get("@odata.type") != HASHTABLE:
            raise _bad(f"The value of '{name}' is an object without '@odata.type': '{HASHTABLE}'")
        return {key: part for key, part in value.items() if key != "@odata.type"}
    if isinstance(value, list):
        return [_value(name, part) for part in value]
    return value


def _bad(message: str) -> Refused:
    return Refused(400, "BadRequest", message)


@dataclass
class Came:
    """What a cmdlet gave: a sink of the engine's."""

    rows: list[Item] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failure: Failure | None = None

    def output(self, row: Item) -> None:
        self.rows.append(row)

    def warning(self, text: str, item: int) -> None:
        self.warnings.append(text)

    def error(self, failure: Failure, item: int) -> None:
        self.failure = self.failure or failure


async def run(engine: Engine, connection: Connection, given: Input, anchor: str) -> Came:
    """Run it. Raises Unallowed for a cmdlet that this caller does not have."""
    name = _by_lower(connection.cmdlets).get(given.name.lower())
    if name is None:
        raise Unallowed
    came = Came()
    runspace = Runspace([connection])
    try:
        if name in AT_HOME and engine.tenant.faults["admin-api-anchor"] and not _at_home(engine.tenant, given, anchor):
            engine.tenant.faults.note("admin-api-anchor")
            raise _away(engine.tenant)
        await engine.run(runspace, [[Command(name, given.parameters)]], None, came, full_language=False)
    except Failure as failure:
        came.failure = failure
    return came


@lru_cache(maxsize=64)
def _by_lower(cmdlets: frozenset[str]) -> dict[str, str]:
    return {name.lower(): name for name in cmdlets}


def _at_home(tenant: Tenant, given: Input, anchor: str) -> bool:
    """Whether the anchor leads to the mailbox that the cmdlet is about; where that is none, the cmdlet says so itself."""
    identity = next((value for key, value in given.parameters if key.lower() == "identity"), None)
    boxes = tenant.exchange.recipients(str(identity)) if identity else []
    name = anchor.partition(":")[2] if anchor.upper().startswith(("UPN:", "SMTP:")) else anchor
    return not boxes or any(name.lower() in box.names() for box in boxes)


def _away(tenant: Tenant) -> Failure:
    kind = "Microsoft.Exchange.Configuration.CmdletProxyNotAvailableException"
    return Failure(
        f"|{kind}|Cmdlet needs proxy. Required Server FQDN: {tenant.exchange.server_name}",
        kind,
        types=(kind, "System.Exception"),
        terminating=False,
    )


# What is answered


def error(failure: Failure, warnings: list[str]) -> tuple[int, dict[str, Any]]:
    """An error in its two levels: what the endpoint says, and in it what the cmdlet said (``Ex6F9304|Class|text``)."""
    status, code, kind = _class(failure)
    message = failure.message if _TOLD.match(failure.message) else f"|{kind}|{failure.message}"
    thrown = f"{_DIRECT}DirectInvokeCmdletExecutionException"
    return status, {
        "error": {
            "code": code,
            "message": "Error executing cmdlet",
            "details": [{"code": "Client" if status < 500 else "Context", "target": "", "message": message}],
            "innererror": {
                "message": "Error executing cmdlet",
                "type": "Microsoft.Exchange.Admin.OData.Core.ODataServiceException",
                "stacktrace": "",
                "internalexception": {
                    "message": f"Exception of type '{thrown}' was thrown.", "type": thrown, "stacktrace": "",
                },
            },
            "adminapi.warnings@odata.type": "#Collection(String)",
            "@adminapi.warnings": warnings,
        }
    }  # fmt: skip


def _class(failure: Failure) -> tuple[int, str, str]:
    kind = failure.types[0]
    if failure.error_id == "NotEmulated":
        return 501, "NotImplemented", kind
    if failure.error_id in _NO_SET:
        return 400, "BadRequest", f"{_DIRECT}AmbiguousParameterSetException"
    if any("ParameterBinding" in name for name in failure.types):
        return 400, "BadRequest", kind
    if "NotFound" in kind:
        return 404, "NotFound", kind
    return 500, "InternalServerError", kind


def refusal(fault: Refused) -> tuple[int, dict[str, Any]]:
    """A request that never became a cmdlet."""
    return fault.status, {"error": {"code": fault.code, "message": fault.message}}


def page(rows: list[Item], select: list[str], warnings: list[str], context: str, link: str) -> dict[str, Any]:
    """One page. ``value`` is null where there are only warnings (CIPP reads the warnings then)."""
    shown = [_row(row, select) for row in rows]
    body: dict[str, Any] = {
        "@odata.context": context,
        "adminapi.warnings@odata.type": "#Collection(String)",
        "@adminapi.warnings": warnings,
        "value": None if warnings and not shown else shown,
    }
    return body | ({"@odata.nextLink": link} if link else {})


def _row(row: Item, select: list[str]) -> dict[str, Any]:
    """A row with the annotations of its types, as the recorded answer has them."""
    shown: dict[str, Any] = {}
    names = {name.lower(): name for name in row.properties}
    for wanted in select:
        if wanted.lower() not in names:
            raise _bad(f"Could not find a property named '{wanted}' on type 'Exchange.GenericHashTable'")
    kept = [names[name.lower()] for name in select] if select else list(row.properties)
    for name in kept:
        match row.properties[name]:
            case list() as members:
                shown[f"{name}@odata.type"] = "#Collection(String)"
                shown[name] = [None if member is None else str(member) for member in members]
            case uuid.UUID() as number:
                shown |= {f"{name}@data.type": "System.Guid", f"{name}@odata.type": "#Guid", name: str(number)}
            case bool() | None | str() as value:
                shown[name] = value
            case int() as number:
                shown |= {f"{name}@data.type": "System.Int32", f"{name}@odata.type": "#Int32", name: number}
            case value:
                shown[name] = str(value)
    return shown
