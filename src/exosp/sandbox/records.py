"""Between plain data and PowerShell's objects: what arrives becomes plain values, outcomes become PSRP's records.

An error record carries empty BoundParameters and no place in a pipeline, as real servers send it;
PipelineIterationInfo[0] is the 1-based number of the input object (PowerShell's source, InvocationInfo).
"""

import enum
from dataclasses import dataclass
from typing import Any

from psrpcore.types import (
    CommandOrigin,
    CommandTypes,
    ErrorCategory,
    ErrorCategoryInfo,
    ErrorRecord,
    InvocationInfo,
    NETException,
    PSList,
    PSObject,
    PSSecureString,
    SessionStateEntryVisibility,
    WarningRecord,
)

from .clixml import escaped
from .cmdlets.binding import SecureString, Thing
from .cmdlets.outcome import Failure

_MOST_DEEP = 20  # nesting of a value that a cmdlet could still use


def plain(value: Any, depth: int = 0) -> Any:
    """A deserialized value as plain data. ValueError: nested too deep."""
    if depth > _MOST_DEEP:
        raise ValueError("nested too deep")
    match value:
        case None | bool():
            return value
        case PSSecureString():
            return SecureString(value.decrypt())
        case enum.Enum():
            return value.name
        case int():
            return int(value)
        case float():
            return float(value)
        case str():
            return str(value)
        case list():
            return [plain(member, depth + 1) for member in value]
        case dict():
            return {str(key): plain(member, depth + 1) for key, member in value.items()}
    if type(value).__module__ == "psrpcore.types._primitive" or not isinstance(value, PSObject):
        return str(value)  # GUIDs, dates, versions: .NET prints them too
    meta = value.PSObject
    properties = {
        prop.name: plain(prop.get_value(value), depth + 1)
        for prop in (*meta.adapted_properties, *meta.extended_properties)
    }
    type_name = str(meta.type_names[0]) if meta.type_names else "System.Object"
    return Thing(str(meta.to_string or type_name.removeprefix("Deserialized.")), properties)


@dataclass(frozen=True)
class _Command:
    """What an error record says of the command: the module's proxies are functions."""

    Name: str
    CommandType: Any = CommandTypes.Function
    Definition: str = ""
    Visibility: Any = SessionStateEntryVisibility.Public


def _list(kind: str, members: list[Any]) -> Any:
    """A list of that .NET type. Real records' lists are of different types each, and clients rely on it: one that reads
    properties in its own order does not find a type that an earlier list introduced."""
    made = PSList(members)
    made.PSObject.type_names = [f"System.Collections.{kind}", "System.Object"]
    return made


def _iteration(item: int) -> Any:
    return _list("ObjectModel.ReadOnlyCollection`1[[System.Int32, mscorlib]]", [item, 0])


def _invocation(command: str) -> Any:
    return InvocationInfo(
        BoundParameters={}, CommandOrigin=CommandOrigin.Internal, DisplayScriptPosition=None, ExpectingInput=False,
        HistoryId=1, InvocationName=command, Line="", MyCommand=_Command(command), OffsetInLine=0, PipelineLength=0,
        PipelinePosition=0, PSCommandPath="", PSScriptRoot="", PositionMessage="", ScriptLineNumber=0, ScriptName="",
        UnboundArguments=_list("Generic.List`1[[System.Object, mscorlib]]", []),
    )  # fmt: skip


def error(failure: Failure, item: int = 0, *, extended: bool = False) -> Any:
    """The ErrorRecord of a failure. ``extended``: the client asked for invocation info with errors."""
    exception = NETException(Message=failure.message, HResult=-2146233087)
    exception.PSObject.type_names = [*failure.types, "System.Object"]
    exception.PSObject.to_string = escaped(f"{failure.types[0]}: {failure.message}")
    engine = any("ParameterBinding" in name or "HostException" in name for name in failure.types)
    record = ErrorRecord(
        Exception=exception,
        CategoryInfo=ErrorCategoryInfo(
            Category=ErrorCategory[failure.category],
            Activity=failure.activity,
            Reason=failure.types[0].rpartition(".")[2],
            TargetName=failure.target or "",
            TargetType="String" if failure.target else "",
        ),
        TargetObject=failure.target,
        FullyQualifiedErrorId=f"{failure.error_id},{failure.activity}" if engine else failure.error_id,
        InvocationInfo=_invocation(failure.activity) if extended else None,
        PipelineIterationInfo=_iteration(item) if extended else None,
    )
    record.serialize_extended_info = extended
    record.PSObject.to_string = escaped(failure.message)
    return record


def warning(text: str, command: str, item: int, *, extended: bool) -> Any:
    """The WarningRecord of a line; psrpcore's own leaves out how it prints."""
    record = WarningRecord(
        Message=text,
        InvocationInfo=_invocation(command) if extended else None,
        PipelineIterationInfo=_iteration(item) if extended else None,
    )
    record.serialize_extended_info = extended
    record.PSObject.to_string = escaped(text)
    return record
