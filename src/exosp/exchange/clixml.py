"""Rows as CLIXML carries them (MS-PSRP §2.2.5), read straight into plain values: an audit reads them by the hundred thousand,
and pypsrp's own reader spends half a millisecond on each.

Only the plain form is read: an object whose properties are simple values, or lists of them. Anything else (references to
other objects, dictionaries, values that are objects themselves, a declaration) is None, and pypsrp reads it.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping

_ESCAPE = re.compile("(?:_x[0-9a-fA-F]{4}_)+")  # pairs of surrogates stand side by side
_GUID = re.compile("[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class ReadRow(dict[str, object]):
    """A row whose values are plain already."""


class _Strange(Exception):
    """Not the plain form."""


def _unescaped(match: "re.Match[str]") -> str:
    units = bytes.fromhex(match.group().replace("_", "").replace("x", ""))
    try:
        return units.decode("utf-16-be")
    except UnicodeDecodeError:
        raise _Strange from None


def _text(value: str | None) -> str:
    if value is None:
        return ""
    return _ESCAPE.sub(_unescaped, value) if "_x" in value else value


def _plain(value: str | None) -> str:
    if not value:
        raise _Strange
    return value


def _guid(value: str | None) -> str:
    if value is None or not _GUID.fullmatch(value):
        raise _Strange
    return value.lower()


def _truth(value: str | None) -> bool:
    if value == "true":
        return True
    if value == "false":
        return False
    raise _Strange


def _number(value: str | None) -> int:
    if value is None or not value.removeprefix("-").isdecimal():
        raise _Strange
    return int(value)


_SIMPLE: Mapping[str, Callable[[str | None], object]] = {
    "S": _text, "B": _truth, "Nil": lambda value: None, "G": _guid, "I32": _number, "I64": _number, "DT": _plain,
    "Version": _plain,
}  # fmt: skip


def row(message: bytes) -> ReadRow | None:
    """The properties of one output object; None where it is not of the plain form."""
    if b"<!" in message:
        return None
    try:
        return _object(ET.fromstring(message))  # noqa: S314  no declarations, refused above
    except (ET.ParseError, _Strange, ValueError):
        return None


def _object(element: ET.Element) -> ReadRow:
    if element.tag != "Obj":
        raise _Strange
    found = ReadRow()
    later = ReadRow()  # what was added to an object stands before what it is made of
    for part in element:
        match part.tag:
            case "Props":
                _properties(part, found)
            case "MS":
                _properties(part, later)
            case "TN" | "TNRef" | "ToString":
                pass
            case _:
                raise _Strange
    found.update(later)
    return found


def _properties(part: ET.Element, into: ReadRow) -> None:
    for held in part:
        name = held.attrib.get("N", "")
        read = _SIMPLE.get(held.tag)
        if not name or "_x" in name:
            raise _Strange
        if read is not None:
            if len(held):
                raise _Strange
            into[name] = read(held.text)
        elif held.tag == "Obj":
            into[name] = _list(held)
        else:
            raise _Strange


def _list(element: ET.Element) -> tuple[object, ...]:
    members: tuple[object, ...] | None = None
    for part in element:
        if part.tag == "LST" and members is None:
            members = tuple(_member(held) for held in part)
        elif part.tag not in ("TN", "TNRef"):
            raise _Strange
    if members is None:
        raise _Strange
    return members


def _member(held: ET.Element) -> object:
    read = _SIMPLE.get(held.tag)
    if read is None or len(held):
        raise _Strange
    return read(held.text)
