"""OPATH filters of recipients: values into filters by the quoting rule, and whether two filters say the same. Pure.

A value stands in single quotation marks with every one of its own written twice; within them nothing is expanded, neither
$variables nor anything else (learn.microsoft.com/powershell/exchange/recipient-filters; about_Quoting_Rules). Exchange shows a
filter back with a parenthesis around every statement, so filters are compared by what they say. Which of -and and -or binds
first no page says: what mixes them without parentheses is not read.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

OPERATORS = frozenset(("eq", "ne", "lt", "gt", "le", "ge", "like", "notlike"))
DEEPEST = 50  # parentheses within parentheses
_PIECE = re.compile(r"\s*([()]|'(?:[^']|'')*'|-[A-Za-z]+|\$(?:true|false|null)\b|[A-Za-z][A-Za-z0-9]*)", re.IGNORECASE)


class NoFilter(ValueError):
    """Why a text is no filter; it goes on a sentence that begins with the text."""


def quoted(value: str) -> str:
    """A value as it stands in a filter."""
    return "'" + value.replace("'", "''") + "'"


def equals(name: str, value: str) -> str:
    """The statement that a property has exactly this value."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", name):
        raise NoFilter("is no property's name")
    return f"{name} -eq {quoted(value)}"


def all_of(values: Mapping[str, str]) -> str:
    """The filter of recipients that have all of these values."""
    return " -and ".join(f"({equals(name, value)})" if len(values) > 1 else equals(name, value) for name, value in values.items())  # fmt: skip


def reading(text: str) -> Any:
    """What a filter says, as nested tuples that can be compared. Raises NoFilter."""
    pieces, at = [], 0
    while text[at:].strip():
        found = _PIECE.match(text, at)
        if found is None:
            raise NoFilter(f"is no filter: nothing that can stand there is at character {at + 1}")
        pieces.append(found[1])
        at = found.end()
    said, rest = _many(tuple(pieces), 0)
    if rest:
        raise NoFilter(f"is no filter: {rest[0]} cannot stand where it is")
    return said


def same(one: str, other: str) -> bool:
    """Whether two filters say the same, as far as both can be read; else whether they are the same text."""
    try:
        return bool(reading(one) == reading(other))
    except NoFilter:
        return one.strip().lower() == other.strip().lower()


Pieces = tuple[str, ...]


def _many(pieces: Pieces, depth: int) -> tuple[Any, Pieces]:
    """Statements that are joined by one operator."""
    first, pieces = _one(pieces, depth)
    parts, joint = [first], ""
    while pieces and pieces[0].lower() in ("-and", "-or"):
        if joint and pieces[0].lower() != joint:
            raise NoFilter("mixes -and and -or: put parentheses around what belongs together")
        joint = pieces[0].lower()
        part, pieces = _one(pieces[1:], depth)
        parts.append(part)
    if len(parts) == 1:
        return first, pieces
    return (joint, *_flat(joint, parts)), pieces


def _flat(joint: str, parts: Iterable[Any]) -> Iterable[Any]:
    for part in parts:
        if part[0] == joint:
            yield from part[1:]
        else:
            yield part


def _one(pieces: Pieces, depth: int) -> tuple[Any, Pieces]:
    if not pieces:
        raise NoFilter("is no filter: it ends too early")
    if depth > DEEPEST:
        raise NoFilter("is no filter: it is nested too deep")
    if pieces[0].lower() == "-not":
        said, rest = _one(pieces[1:], depth + 1)
        return ("-not", said), rest
    if pieces[0] == "(":
        said, rest = _many(pieces[1:], depth + 1)
        if not rest or rest[0] != ")":
            raise NoFilter("is no filter: a parenthesis is not closed")
        return said, rest[1:]
    name, operator, value = (*pieces[:3], "", "")[:3]
    if not name[0].isalpha() or operator[1:].lower() not in OPERATORS or value[:1] not in ("'", "$"):
        raise NoFilter("is no filter: it is written Property -eq 'value'")
    plain = value[1:-1].replace("''", "'") if value[0] == "'" else value
    return ("statement", name.lower(), operator.lower(), value[0], plain.lower()), pieces[3:]
