"""Records as JSON and back, by their types: a field at its default is left out, one that is missing takes its default, one
that is unknown or of another type is an error that names it. Pure.
"""

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
Reader = Callable[[Any, str], Any]  # a value and its place, in words


class Misfit(ValueError):
    """A value that is no such record: what, and where in it."""


def packed(value: Any) -> Any:
    """A record, or a part of one, as what JSON knows."""
    if isinstance(value, str | int | None):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: packed(held)
            for field in fields(value)
            if (held := getattr(value, field.name)) != _default(field)
        }
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, frozenset):
        return sorted(map(packed, value))
    if isinstance(value, tuple):
        return [packed(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): packed(value[key]) for key in sorted(value)}
    return value


def unpacked(kind: type[T], value: Any, where: str = "") -> T:
    """The record that ``value`` is. Raises Misfit."""
    found: T = _record(kind)(value, where)
    return found


def _default(field: "Field[Any]") -> Any:
    if field.default is not MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not MISSING else MISSING


def _record(kind: Any) -> Reader:
    return _record_of(kind)


@cache
def _record_of(kind: Any) -> Reader:
    hints = get_type_hints(kind)
    readers = {field.name: _reader(hints[field.name]) for field in fields(kind)}
    needed = [field.name for field in fields(kind) if _default(field) is MISSING]

    def read(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise Misfit(f"{where or 'it'} is no object")
        for name in value:
            if name not in readers:
                raise Misfit(f"{where + ': ' if where else ''}the field {name!r} is unknown")
        for name in needed:
            if name not in value:
                raise Misfit(f"{where + ': ' if where else ''}the field {name!r} is missing")
        return kind(**{name: readers[name](held, f"{where}.{name}" if where else name) for name, held in value.items()})

    return read


def _reader(hint: Any) -> Reader:
    """What reads a field of this type. Every form that a record of ``inventory`` or ``census`` has."""
    if isinstance(hint, NewType):
        return _reader(hint.__supertype__)
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _one_of(inner)
    if origin in (Union, types.UnionType):
        [some] = [_reader(part) for part in inner if part is not type(None)]
        return lambda value, where: None if value is None else some(value, where)
    if origin is tuple and inner[-1] is Ellipsis:
        each = _reader(inner[0])
        return lambda value, where: tuple(each(item, where) for item in _list(value, where))
    if origin is tuple:
        return _exactly(tuple(map(_reader, inner)))
    if origin is frozenset:
        member = _reader(inner[0])
        return lambda value, where: frozenset(member(item, where) for item in _list(value, where))
    if origin is Mapping:
        held = _reader(inner[1])
        return lambda value, where: {key: held(item, f"{where}.{key}") for key, item in _object(value, where).items()}
    if hint is datetime:
        return _moment
    if is_dataclass(hint):
        return lambda value, where: _record(hint)(value, where)  # later: a type may hold itself
    return _plain(hint)


def _one_of(allowed: tuple[Any, ...]) -> Reader:
    def read(value: Any, where: str) -> Any:
        if value not in allowed:
            raise Misfit(f"{where} is {value!r}, and none of {', '.join(map(str, allowed))}")
        return value

    return read


def _exactly(parts: tuple[Reader, ...]) -> Reader:
    def read(value: Any, where: str) -> Any:
        if len(_list(value, where)) != len(parts):
            raise Misfit(f"{where} has {len(value)} items and not {len(parts)}")
        return tuple(part(item, where) for part, item in zip(parts, value, strict=True))

    return read


def _plain(kind: type) -> Reader:
    def read(value: Any, where: str) -> Any:
        if type(value) is not kind:  # True is no number here
            raise Misfit(f"{where} is no {_NAMES[kind]}")
        return value

    return read


_NAMES = {str: "text", int: "whole number", bool: "true or false"}


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise Misfit(f"{where} is no list")
    return value


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Misfit(f"{where} is no object")
    return value


def _moment(value: Any, where: str) -> datetime:
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise Misfit(f"{where} is no time") from None
    if found.tzinfo is None:
        raise Misfit(f"{where} is a time without its zone")
    return found
