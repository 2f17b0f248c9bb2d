"""One application or one mailbox out of an audit: what can it open, or who can open it, by which route, and what is lacking.

What reaches every mailbox, or those of a scope, is part of the answer for any mailbox: whether it lies in a scope is the
scope's to say, and stands beside it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ..audit.judge import Result
from ..finding import Finding
from ..inventory import Event, MailboxRecord
from ..routes import Route
from .audit_harmless import count, harmless, unspoken, wrapped
from .audit_json import coverage, digest, event, finding, grant, head
from .audit_summary import Logs, told, unread, where
from .audit_text import LONGEST, MARK, WIDTH, remedy, subject

SHOWN = 50  # routes of one application; the JSON document has all


@dataclass(frozen=True)
class View:
    """``app`` and ``mailbox``: as they were asked for, "" for any. ``apps``: id -> name of the applications that are meant;
    ``boxes``: the mailboxes that are."""

    app: str
    mailbox: str
    apps: dict[str, str]
    boxes: tuple[MailboxRecord, ...]
    routes: tuple[Route, ...]
    findings: tuple[Finding, ...]
    events: tuple[Event, ...]


def view(result: Result, *, app: str = "", mailbox: str = "") -> View:
    """What an audit says of an application (its name, appId, or an object ID), of a mailbox (an address, login name or id), or
    of the one on the other. A name may mean several applications: all of them are meant."""
    apps = _apps(result, app) if app else {}
    boxes = tuple(_boxes(result, mailbox)) if mailbox else ()
    addresses = {box.address.lower() for box in boxes} | {mailbox.lower()}
    routes = tuple(
        route
        for route in result.routes
        if (not app or _held(route, app, apps)) and (not mailbox or _leads(route, addresses))
    )
    holders = {route.app_id.lower() for route in routes} | set(apps)
    findings = tuple(one for one in result.findings if _about(one, app, apps, mailbox, addresses, boxes, holders))
    events = tuple(Logs(result.inventory).of({*apps, *addresses, *(box.id for box in boxes)}))
    return View(app, mailbox, apps, boxes, routes, findings, events)


def _apps(result: Result, asked: str) -> dict[str, str]:
    """Lower-case appId -> name, of those that bear this name or id."""
    found: dict[str, str] = {}
    for app_id, object_id, name in _names(result):
        if asked.casefold() in (app_id, object_id, name.casefold()):
            found.setdefault(app_id, name)
    for route in result.routes:
        if route.app_id and asked.casefold() in (route.app_id.casefold(), route.holder.casefold()):
            found.setdefault(route.app_id.lower(), route.holder)
    return found


def _boxes(result: Result, asked: str) -> Iterator[MailboxRecord]:
    for box in result.inventory.mailboxes:
        if asked.casefold() in (box.address.casefold(), box.login.casefold(), box.id.casefold()):
            yield box


def _held(route: Route, asked: str, apps: dict[str, str]) -> bool:
    if route.app_id:
        return route.app_id.lower() in apps
    return route.holder.casefold() == asked.casefold()  # a trustee that nobody resolves, by what the row shows


def _leads(route: Route, addresses: set[str]) -> bool:
    """A route that lacks a grant on any mailbox leads to none."""
    return route.mailbox.lower() in addresses if route.mailbox else route.by != "mailbox permission"


def _about(
    one: Finding,
    app: str,
    apps: dict[str, str],
    mailbox: str,
    addresses: set[str],
    boxes: tuple[MailboxRecord, ...],
    holders: set[str],
) -> bool:
    about = one.subject
    if app and not (about.id.lower() in apps or about.name.casefold() == app.casefold()):
        return False
    if not mailbox:
        return True
    if about.mailbox:
        return about.mailbox.lower() in addresses
    if about.kind == "mailbox":
        return about.id in {box.id for box in boxes} or about.name.lower() in addresses
    return about.id.lower() in holders


def _names(result: Result) -> Iterator[tuple[str, str, str]]:
    """appId and object ID, lower case, and name: an application has one of each at every place that knows it."""
    inventory = result.inventory
    yield from ((row.app_id.lower(), row.object_id.lower(), row.name) for row in inventory.registrations)
    yield from ((row.app_id.lower(), row.object_id.lower(), row.name) for row in inventory.principals)
    yield from ((row.app_id.lower(), row.object_id.lower(), row.name) for row in inventory.entries)


# The document


def document(seen: View, result: Result) -> dict[str, Any]:
    """A part of the audit's document, and ``asked``: of what. ``applications``: those that were meant, by id; ``mailboxes``:
    those that were, each with why it could not be read."""
    found = head(result) | {
        "asked": {"application": seen.app or None, "mailbox": seen.mailbox or None},
        "coverage": coverage(result),
        "applications": dict(seen.apps),
        "mailboxes": {box.address: box.unread or None for box in seen.boxes},
        "grants": [grant(route) for route in seen.routes],
        "findings": [finding(one) for one in seen.findings],
        "events": [event(one) for one in seen.events],
    }
    return found | {"sha256": digest(found)}


# For people


def text(seen: View, result: Result, width: int = WIDTH) -> str:
    """The answer, with a last line break. ``+``: the way is open; ``~``: something is lacking, which is said."""
    blocks = [
        [*wrapped(_asked(seen), width)],
        *_routes(seen, result, width),
        *_findings(seen, width),
        *_events(seen, width),
    ]
    for box in seen.boxes:
        if box.unread:
            blocks.append(wrapped(f"{harmless(box.address)} could not be read: {harmless(box.unread)}", width, "  ! "))
    if reasons := list(unread(result)):
        blocks.append(
            ["The audit is not whole:", *(line for why in reasons for line in wrapped(harmless(why), width, "  ! "))]
        )
    return unspoken("\n\n".join("\n".join(block) for block in blocks) + "\n")


def _asked(seen: View) -> str:
    able = [route for route in seen.routes if route.is_open]
    app, box = harmless(seen.app, LONGEST), harmless(seen.mailbox, LONGEST)
    ways = f"{count(len(able), 'route')} {'is' if len(able) == 1 else 'are'} open, {len(seen.routes) - len(able):,} not"
    if seen.app and seen.mailbox:
        return f"What {app} can do with {box}: {ways}."
    if seen.mailbox:
        holders = {route.app_id or route.holder for route in able}
        return f"Who can open {box}: {count(len(holders), 'application')}; {ways}."
    boxes = {route.mailbox for route in able if route.mailbox}
    return f"What {app} can open: {count(len(boxes), 'mailbox', 'mailboxes')} by name; {ways}."


def _routes(seen: View, result: Result, width: int) -> Iterator[list[str]]:
    if not seen.routes:
        yield wrapped(_nothing(seen, result), width)
    for (app_id, holder), held in groupby(seen.routes, key=lambda route: (route.app_id, route.holder)):
        routes = sorted(held, key=lambda route: (not route.is_open, bool(route.mailbox)))  # stable: else as they were
        known = f"{harmless(holder, LONGEST)} ({harmless(app_id, LONGEST)})" if app_id else f"{harmless(holder, LONGEST)} (nobody resolves it)"  # fmt: skip
        lines = wrapped(known, width, rest="  ")
        for route in routes[:SHOWN]:
            lines += _route(route, width)
        if len(routes) > SHOWN:
            lines.append(f"    … and {len(routes) - SHOWN:,} more; all of them are in the JSON document")
        yield lines


def _route(route: Route, width: int) -> Iterator[str]:
    mark = "+" if route.is_open else "~"
    said = f"{route.door} {route.can}: {harmless(where(route), LONGEST)}, by {route.by} {harmless(route.of, LONGEST)}"
    yield from wrapped(said, width, f"  {mark} ", "      ")
    for lack in route.lacks:
        yield from wrapped(f"lacks {harmless(lack, LONGEST)}", width, "      - ")


def _nothing(seen: View, result: Result) -> str:
    """Why there is no route, as far as that is known."""
    box = harmless(seen.mailbox, LONGEST)
    if seen.app and not seen.apps:
        return (
            f"No application that matters to mail is called {harmless(seen.app, LONGEST)} or has that id: none with a consent "
            "to a mail permission, an entry in Exchange, a management role or an access policy."
        )
    if seen.mailbox and not seen.boxes:
        return (
            f"No application holds anything on {box}, or no mailbox has that as its primary address, login name or id: those on "
            "which none holds anything are counted, not kept."
        )
    return "Nothing: no grant, no consent and no role leads there."


def _findings(seen: View, width: int) -> Iterator[list[str]]:
    if not seen.findings:
        return
    lines = ["What is wrong with it:"]
    for one in seen.findings:
        lines += wrapped(harmless(one.check), width, f"  {MARK[one.severity]} {one.severity:8}  ")
        lines += wrapped(subject(one), width, "      ")
        lines += wrapped(harmless(one.statement), width, "        ")
        for fix in one.fix:
            lines += remedy(fix, width, "        ")
    yield lines


def _events(seen: View, width: int) -> Iterator[list[str]]:
    if not seen.events:
        return
    lines = ["What the logs say of it:"]
    for one in seen.events[:SHOWN]:
        lines += wrapped(harmless(told(one), 2 * LONGEST), width, "    ", "      ")
    yield lines
