"""What pypsrp and psrpcore deserialise, as plain rows and records. Nothing else knows how they hold it."""

import enum
from typing import Any

from .clixml import ReadRow
from .errors import Record


def row_of(value: Any) -> dict[str, object] | None:
    """An output object's properties; None for what is no object (a cmdlet of ours answers in objects alone)."""
    if isinstance(value, ReadRow):
        return value
    adapted, extended = getattr(value, "adapted_properties", None), getattr(value, "extended_properties", None)
    if isinstance(adapted, dict) and isinstance(extended, dict):
        return {name: plain(held) for name, held in {**adapted, **extended}.items()}
    if isinstance(value, dict):
        return {str(name): plain(held) for name, held in value.items()}
    return None


def plain(value: Any) -> object:
    """A property's value: a text, a number, a truth, None, or a tuple of these."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return tuple(plain(part) for part in value)
    if isinstance(value, dict):
        return tuple(plain(part) for part in value.values())
    sets = getattr(value, "property_sets", None)
    if sets and isinstance(sets[0], list):  # a collection of a type pypsrp does not know
        return plain(sets[0])
    if "System.Management.Automation.SwitchParameter" in " ".join(getattr(value, "types", ())):
        return plain({**value.adapted_properties, **value.extended_properties}.get("IsPresent"))
    if sets and getattr(value, "to_string", None) is None:
        return plain(sets[0])
    return str(value)


def record_of(error: Any, *, terminating: bool) -> Record:
    """An error record. Which fields are filled differs between hosts, so all that may bear the class or text count."""
    exception = getattr(error, "exception", None)
    properties = {**getattr(exception, "adapted_properties", {}), **getattr(exception, "extended_properties", {})}
    texts = (properties.get("Message"), getattr(error, "details_message", None), _said(error), error.message)
    kinds = (
        getattr(error, "reason", None), getattr(error, "fq_error", None), *getattr(exception, "types", ()),
        properties.get("SerializedRemoteException") and "RemoteException",
    )  # fmt: skip
    return Record(
        text=next((str(text).strip() for text in texts if text), ""),
        kinds=" ".join(str(kind) for kind in kinds if kind),
        about=_about(error),
        item=_iteration(error),
        terminating=terminating,
    )


def warning_of(warning: Any) -> Record:
    return Record(text=str(warning.message or _said(warning)), item=_iteration(warning))


def _said(error: Any) -> str:
    """A record's ToString; pypsrp shows one that was left out as the word None."""
    text = str(error)
    return "" if text == "None" else text


def _about(error: Any) -> str:
    for name in ("target_object", "target_name"):
        held = getattr(error, name, None)
        if held is not None and str(held):
            return str(held)
    return ""


def _iteration(record: Any) -> int | None:
    """The 1-based number of the input item that was being processed (PowerShell's own source)."""
    for name in ("pipeline_iteration_info", "invocation_pipeline_iteration_info"):
        info = getattr(record, name, None)
        if info:
            number = info[0]
            return number if isinstance(number, int) and number > 0 else None
    return None


# psrpcore's objects, which hold the same in another way


def core_row_of(value: Any) -> dict[str, object] | None:
    """As ``row_of``."""
    if isinstance(value, dict):
        return {str(name): core_plain(held) for name, held in value.items()}
    meta = getattr(value, "PSObject", None)
    if meta is None or isinstance(value, str | int | float | list):
        return None
    return {str(p.name): core_plain(p.get_value(value)) for p in _held(meta)}


def core_plain(value: Any) -> object:
    """As ``plain``: psrpcore's texts and numbers are subclasses of Python's, which must not leak out."""
    match value:
        case None | bool():
            return value
        case enum.Enum():
            return value.name
        case int():
            return int(value)
        case float():
            return float(value)
        case str():
            return str.__str__(value)
        case dict():
            return tuple(core_plain(part) for part in value.values())
        case list() | tuple() | set():
            return tuple(core_plain(part) for part in value)
    meta = getattr(value, "PSObject", None)
    if meta is not None:
        properties = {str(p.name): p.get_value(value) for p in _held(meta)}
        if any("System.Management.Automation.SwitchParameter" in str(name) for name in meta.type_names):
            return core_plain(properties.get("IsPresent"))
        if meta.to_string is not None:
            return str.__str__(meta.to_string)
    return str(value)


def core_record_of(error: Any, *, terminating: bool) -> Record:
    """As ``record_of``."""
    exception, category = error.Exception, error.CategoryInfo
    meta = getattr(exception, "PSObject", None)
    properties = {str(p.name): p.get_value(exception) for p in _held(meta)} if meta is not None else {}
    details = getattr(error.ErrorDetails, "Message", None)
    texts = (properties.get("Message"), details, error.PSObject.to_string, getattr(meta, "to_string", None))
    types = [str(name).removeprefix("Deserialized.") for name in getattr(meta, "type_names", ())]
    kinds = (
        getattr(category, "Reason", None), error.FullyQualifiedErrorId, *types,
        properties.get("SerializedRemoteException") and "RemoteException",
    )  # fmt: skip
    about = next((str(text) for text in (error.TargetObject, getattr(category, "TargetName", None)) if text), "")
    return Record(
        text=next((str(text).strip() for text in texts if text), ""),
        kinds=" ".join(str(kind) for kind in kinds if kind),
        about=about,
        item=_core_iteration(error),
        terminating=terminating,
    )


def core_warning_of(warning: Any) -> Record:
    return Record(text=str(warning.Message or warning.PSObject.to_string or ""), item=_core_iteration(warning))


def _held(meta: Any) -> list[Any]:
    return [*meta.adapted_properties, *meta.extended_properties]


def _core_iteration(record: Any) -> int | None:
    info = getattr(record, "PipelineIterationInfo", None)
    number = info[0] if info else None
    return int(number) if isinstance(number, int) and number > 0 else None
