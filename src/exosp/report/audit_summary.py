"""What text and Markdown say of an audit in short: findings by check, applications by what they reach, how much was read.

Nothing is made harmless here: who writes it down does that, in its own way.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from itertools import groupby
from typing import get_args

from ..audit.judge import Result
from ..finding import Finding, Severity
from ..inventory import NEEDED, Event, Inventory, Section
from ..routes import Route
from .audit_harmless import count
from .audit_json import counts

SHOWN = 10  # findings of one check
APPLICATIONS = 20
EVENTS = 3  # of what was logged of one subject
NAMES = 5  # of mailboxes, exceptions and the like
REST = "all of them are in the JSON report"


@dataclass(frozen=True)
class Group:
    """The findings of one check that are equally grave."""

    check: str
    title: str
    severity: Severity
    findings: tuple[Finding, ...]


def groups(result: Result) -> Iterator[Group]:
    titles = {check.name: check.title for check in result.checks}
    for (severity, check), found in groupby(result.findings, key=lambda one: (one.severity, one.check)):
        yield Group(check, titles.get(check, ""), severity, tuple(found))


@dataclass(frozen=True)
class Reach:
    """What one holder reaches by routes that are open. ``everywhere``: what it reaches beyond named mailboxes; ``nearly``: how
    many mailboxes it holds something on and does not reach."""

    app_id: str
    holder: str
    mailboxes: int
    nearly: int
    everywhere: tuple[str, ...]
    doors: tuple[str, ...]

    @property
    def reaches(self) -> str:
        parts = [count(self.mailboxes, "mailbox", "mailboxes")] if self.mailboxes else []
        parts += self.everywhere
        return " and ".join(parts) or "nothing"


def reach(result: Result) -> list[Reach]:
    """Those that reach most first; who reaches every mailbox before all."""
    held: dict[tuple[str, str], list[Route]] = {}
    for route in result.routes:
        held.setdefault((route.app_id, "" if route.app_id else route.holder), []).append(route)
    found = [_reach(routes) for routes in held.values()]
    return sorted(found, key=lambda r: (EVERY not in r.everywhere, -r.mailboxes, not r.everywhere, r.holder.casefold(), r.holder, r.app_id))  # fmt: skip


def _reach(routes: Sequence[Route]) -> Reach:
    first, able = routes[0], [route for route in routes if route.is_open]
    opened = {route.mailbox for route in able if route.mailbox}
    wanted = {route.mailbox for route in routes if route.mailbox} - opened
    everywhere = dict.fromkeys(where(route) for route in able if not route.mailbox)
    doors = dict.fromkeys(route.door for route in able)
    return Reach(first.app_id, first.holder, len(opened), len(wanted), tuple(everywhere), tuple(doors))


class Logs:
    """What was logged of whom. A log may name an application by any of its ids, and Exchange's by any text for its entry."""

    def __init__(self, inventory: Inventory) -> None:
        self._events: dict[str, list[Event]] = defaultdict(list)
        for event in sorted(inventory.events, key=lambda event: event.at, reverse=True):
            self._events[event.subject.lower()].append(event)
        self._forms: dict[str, set[str]] = defaultdict(set)
        if self._events:
            for app_id, forms in _forms(inventory):
                self._forms[app_id] |= forms

    def about(self, one: Finding) -> list[Event]:
        """The last of what was logged of a finding's subject."""
        about = one.subject
        return self.of((about.id, about.mailbox, about.name if about.kind == "mailbox" else ""))[:EVENTS]

    def of(self, ids: Iterable[str]) -> list[Event]:
        """Newest first; of an appId those of the whole application."""
        wanted = {one.lower() for one in ids if one}
        wanted |= {form for app_id in wanted & set(self._forms) for form in self._forms[app_id]}
        found = dict.fromkeys(event for one in sorted(wanted & set(self._events)) for event in self._events[one])
        return sorted(found, key=lambda event: event.at, reverse=True)


def _forms(inventory: Inventory) -> Iterator[tuple[str, set[str]]]:
    yield from ((row.app_id.lower(), {row.object_id.lower()}) for row in inventory.registrations)
    yield from ((row.app_id.lower(), {row.object_id.lower()}) for row in inventory.principals)
    yield from ((row.app_id.lower(), {row.object_id.lower(), *row.forms}) for row in inventory.entries)


def told(event: Event) -> str:
    """An event in a sentence."""
    detail = f": {event.detail}" if event.detail else ""
    return f"{event.at.astimezone(UTC):%Y-%m-%d %H:%M} {event.change}, by {event.who}{detail}"


EVERY = "every mailbox"


def where(route: Route) -> str:
    """What a route leads to, in words. One that lacks a grant on any mailbox leads nowhere yet."""
    return route.mailbox or route.scope or ("no mailbox yet" if route.by == "mailbox permission" else EVERY)


def tally(result: Result) -> str:
    """How many findings there are."""
    found = [f"{number:,} {severity}" for severity, number in counts(result).items() if number]
    return ", ".join(found) or "no findings"


def aside(result: Result) -> str:
    """What is not among the findings, nothing where all are."""
    parts = [count(len(result.ignored), "finding is", "findings are") + " set aside"] if result.ignored else []
    parts += [f"{len(result.known):,} known from the baseline"] if result.known else []
    return ", ".join(parts)


def unread(result: Result) -> Iterator[str]:
    """Why the audit is not whole; nothing where it is."""
    coverage = result.inventory.coverage
    if coverage.interrupted:
        yield "it was interrupted before all was read"
    if coverage.unread:
        boxes = sorted((box for box in result.inventory.mailboxes if box.unread), key=lambda box: box.address)
        named = [f"{box.address} ({box.unread})" for box in boxes[:NAMES]]
        rest = coverage.unread - len(named)
        said = "; ".join(named + ([f"{rest:,} more"] if named and rest else []))
        yield count(coverage.unread, "mailbox", "mailboxes") + " could not be read" + (f": {said}" if said else "")
    for section in NEEDED:
        if section in coverage.missing:
            yield f"{section}: {coverage.missing[section]}"


def also_missing(result: Result) -> Iterator[str]:
    """What was asked for and could not be had, and without which an audit is whole."""
    missing = result.inventory.coverage.missing
    return (f"{name}: {missing[name]}" for name in get_args(Section) if name in missing and name not in NEEDED)


def read(result: Result) -> str:
    """How much was read, in a sentence."""
    coverage, inventory = result.inventory.coverage, result.inventory
    most = sorted(coverage.mailboxes.items(), key=lambda held: (-held[1], held[0]))
    kinds = [f"{number:,} {kind}" for kind, number in most if number]
    boxes = count(sum(coverage.mailboxes.values()), "mailbox", "mailboxes") + (
        f" ({', '.join(kinds)})" if kinds else ""
    )
    apps = {row.app_id.lower() for row in inventory.registrations}
    apps |= {row.app_id.lower() for row in inventory.principals}
    apps |= {row.app_id.lower() for row in inventory.entries}
    held = count(len(apps), "application")
    people = f"{coverage.people:,} to people and {coverage.inherited:,} inherited ones were counted and are not kept"
    return f"{boxes} and {held} that matter to mail. Of permissions, {people}."
