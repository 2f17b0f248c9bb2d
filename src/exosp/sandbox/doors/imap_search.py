"""SEARCH keys as predicates over messages (RFC 3501 §6.4.4). A key that is not listed is Malformed, never ignored."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime

from .imap_message import View
from .imap_syntax import Argument, Malformed, numbers, word

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@dataclass(frozen=True)
class Candidate:
    """One message in the selected folder."""

    number: int
    uid: int
    flags: frozenset[str]  # lower case
    received: float
    view: View


Test = Callable[[Candidate], bool]


def _flag(name: str, present: bool) -> Test:
    return lambda c: (name in c.flags) is present


_PLAIN: dict[str, Test] = {
    "ALL": lambda c: True, "RECENT": lambda c: False, "NEW": lambda c: False, "OLD": lambda c: True,
    "SEEN": _flag("\\seen", True), "UNSEEN": _flag("\\seen", False),
    "DELETED": _flag("\\deleted", True), "UNDELETED": _flag("\\deleted", False),
    "FLAGGED": _flag("\\flagged", True), "UNFLAGGED": _flag("\\flagged", False),
    "ANSWERED": _flag("\\answered", True), "UNANSWERED": _flag("\\answered", False),
    "DRAFT": _flag("\\draft", True), "UNDRAFT": _flag("\\draft", False),
}  # fmt: skip
_DEEPEST = 100  # keys within keys: Python's own stack ends at a thousand
_HEADERS = {"SUBJECT", "FROM", "TO", "CC", "BCC"}
_DATES = {"SINCE", "BEFORE", "ON", "SENTSINCE", "SENTBEFORE", "SENTON"}


def compile_keys(arguments: list[Argument], largest_number: int, largest_uid: int, depth: int = 0) -> Test:
    """All keys together. Raises Malformed."""
    rest = list(arguments)
    tests = []
    while rest:
        tests.append(_key(rest, largest_number, largest_uid, depth))
    if not tests:
        raise Malformed
    return lambda c: all(test(c) for test in tests)


def _next(rest: list[Argument]) -> str:
    if not rest:
        raise Malformed
    return word(rest.pop(0))


def _key(rest: list[Argument], number: int, uid: int, depth: int) -> Test:
    if not rest or depth > _DEEPEST:
        raise Malformed
    first = rest.pop(0)
    if isinstance(first, list):
        return compile_keys(first, number, uid, depth + 1)
    name = word(first).upper()
    if name in _PLAIN:
        return _PLAIN[name]
    if name in _HEADERS:
        return _header(name, _next(rest))
    if name == "HEADER":
        return _header(_next(rest), _next(rest))
    if name in {"BODY", "TEXT"}:
        return _content(name, _next(rest))
    if name in _DATES:
        return _dated(name, _next(rest))
    if name in {"LARGER", "SMALLER"}:
        size = _next(rest)
        if not re.fullmatch(r"\d{1,10}", size, re.ASCII):
            raise Malformed
        return lambda c: len(c.view.raw) > int(size) if name == "LARGER" else len(c.view.raw) < int(size)
    if name == "NOT":
        test = _key(rest, number, uid, depth + 1)
        return lambda c: not test(c)
    if name == "OR":
        one, other = _key(rest, number, uid, depth + 1), _key(rest, number, uid, depth + 1)
        return lambda c: one(c) or other(c)
    if name == "UID":
        uids = numbers(_next(rest), uid)
        return lambda c: any(c.uid in r for r in uids)
    ranges = numbers(name, number)
    return lambda c: any(c.number in r for r in ranges)


def _header(name: str, wanted: str) -> Test:
    return lambda c: any(wanted.lower() in value.lower() for value in c.view.header(name))


def _content(name: str, wanted: str) -> Test:
    sought = wanted.lower().encode()

    def test(c: Candidate) -> bool:
        return sought in ((c.view.section("TEXT") or b"") if name == "BODY" else c.view.raw).lower()

    return test


def _dated(name: str, text: str) -> Test:
    form = re.fullmatch(r"(\d{1,2})-([A-Za-z]{3})-(\d{4})", text, re.ASCII)
    if form is None or form[2].lower() not in _MONTHS:
        raise Malformed
    try:
        day = date(int(form[3]), _MONTHS.index(form[2].lower()) + 1, int(form[1]))
    except ValueError:
        raise Malformed from None

    def test(c: Candidate) -> bool:
        found = _sent(c.view) if name.startswith("SENT") else datetime.fromtimestamp(c.received, UTC).date()
        if found is None:
            return False
        kind = name.removeprefix("SENT")
        return found >= day if kind == "SINCE" else found < day if kind == "BEFORE" else found == day

    return test


def _sent(view: View) -> date | None:
    for value in view.header("Date"):
        try:
            return parsedate_to_datetime(value).date()
        except (ValueError, OverflowError):
            return None
    return None
