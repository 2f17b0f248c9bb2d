"""pypsrp's deserialised objects as plain rows and records. Nothing else knows how pypsrp holds them."""

from typing import Any

from .errors import Record


def row_of(value: Any) -> dict[str, object] | None:
    """An output object's properties; None for what is no object (a cmdlet of ours answers in objects alone)."""
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
