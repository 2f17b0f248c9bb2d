"""One view for each application: what it is, what it can open and by which route, who owns it, what is wrong with it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from ...finding import SEVERITIES, Finding
from ...inventory import Inventory, Owner
from ...routes import Route
from ..audit_summary import Logs, told
from . import ways
from .markup import NOTHING, Html, el, joined, listed, many, name, table, terms
from .subjects import TOP, Application, Subjects

MOST = 10_000  # addresses on the whole page


class _Room:
    """How many addresses the page still takes."""

    def __init__(self) -> None:
        self.left = MOST

    def take(self, addresses: Sequence[str]) -> Html:
        kept = addresses[: min(TOP, self.left)]
        self.left -= len(kept)
        rest = len(addresses) - len(kept)
        return joined(*(joined(" " if i else "", name(address)) for i, address in enumerate(kept)),
                      el("em", f" and {rest:,} more") if rest else NOTHING)  # fmt: skip


def section(inventory: Inventory, subjects: Subjects, places: Mapping[str, str], beside: Html) -> Html:
    """``places``: fingerprint of a finding -> its id on the page."""
    room, logs = _Room(), Logs(inventory)
    cut = len(subjects.all) > TOP
    lead = f"The first {TOP} of {len(subjects.all):,}. " if cut else f"{many(len(subjects.all), 'application')}. "
    return el(
        "section",
        el("h2", "Applications"),
        el("p", lead, "Each with what it can open, and by which route.", " " if cut else NOTHING, beside if cut else NOTHING, class_="lead"),
        el(
            "form",
            el("div", el("label", "Application, ID or mailbox", for_="which"), el("input", id="which", type="search", autocomplete="off"), class_="field wide"),
            id="finder", class_="controls", hidden=True, role="search", aria_label="Find an application by name, ID or mailbox",
        ),
        el("p", id="matching", role="status", class_="count"),
        el("div", *(_view(n, a, inventory, places, room, logs) for n, a in enumerate(subjects.shown, 1)), id="views"),
        id="applications",
    )  # fmt: skip


def _view(
    n: int, application: Application, inventory: Inventory, places: Mapping[str, str], room: _Room, logs: Logs
) -> Html:
    worst = SEVERITIES[application.worst] if application.worst >= 0 else ""
    return el(
        "details",
        el(
            "summary",
            el("h3", name(application.name), *(() if application.resolved else (" ", el("small", "unresolved")))),
            el("span", ways.chips(application.routes), class_="chips"),
            el("span", _reach(application), class_="reach"),
            el("span", worst, class_=f"badge {worst or 'no'}"),
        ),
        el("div", *_body(application, inventory, places, room, logs), class_="body"),
        id=f"app-{n}",
        class_="card",
    )


def _reach(application: Application) -> str:
    wide = [route for route in application.routes if not route.mailbox]
    if application.everywhere:
        return "every mailbox"
    if application.mailboxes:
        return many(application.mailboxes, "mailbox", "mailboxes") + (" and more" if wide else "")
    if able := {route.by for route in wide if route.is_open}:
        return "whoever signs in" if able == {"delegated permission"} else "those of a scope"
    return "nothing yet" if wide else "nothing"


def _body(
    application: Application, inventory: Inventory, places: Mapping[str, str], room: _Room, logs: Logs
) -> Iterable[Html]:
    yield terms(_facts(application, inventory), class_="facts")
    yield el("p", "What it can open", class_="label")
    yield _routes(application.routes, room) if application.routes else el("p", "Nothing.", class_="none")
    if application.credentials:
        yield el("p", "Credentials", class_="label")
        yield listed(
            joined(f"{c.kind} ", name(c.name or c.key_id), f": {_day(c.starts)} to {_day(c.ends) or 'no end'}")
            for c in application.credentials[:TOP]
        )
    if events := logs.of((application.key,)):
        yield el("p", "What the logs say", class_="label")
        yield listed(map(name, map(told, events[:20])))
    if application.findings:
        yield el("p", "Findings", class_="label")
        yield listed(
            (_link(finding, places) for finding in application.findings[:TOP]),
            class_="links",
        )


def _facts(application: Application, inventory: Inventory) -> Iterable[tuple[str, Html]]:
    if not application.resolved:
        yield "Trustee", joined(name(application.name), ": nobody resolves it")
        return
    yield "Application (client) ID", el("code", application.key)
    if registration := application.registration:
        yield "Registration's object ID", el("code", registration.object_id)
        yield "Sign-in audience", name(registration.audience)
        yield "Registered", Html(_day(registration.created))
        yield "Owners", _owners(registration.owners)
    else:
        yield "Registration", el("em", "not in this tenant" if inventory.has("applications") else "not read")
    for principal in application.principals:
        yield (
            "Enterprise application's object ID",
            joined(el("code", principal.object_id), "" if principal.enabled else " (sign-in disabled)"),
        )
        if principal.home and principal.home != inventory.tenant_id:
            yield "Registered in tenant", el("code", principal.home)
    if not application.principals:
        yield "Enterprise application", el("em", "none" if inventory.has("enterprise-applications") else "not read")
    for entry in application.entries:
        yield "Entry in Exchange", joined(name(entry.name), ", object ID ", el("code", entry.object_id))
    policies = [policy for policy in inventory.access_policies if policy.app_id.lower() == application.key]
    yield "Access policies", ways.commas(joined(f"{policy.right} ", name(policy.scope)) for policy in policies)
    used = next((use for use in inventory.last_use if use.app_id.lower() == application.key), None)
    if used is not None:
        yield "Last token as itself", Html(_day(used.as_application) or "none that Entra still shows")
    if inventory.wanted is not None:
        unique = application.registration.unique_name if application.registration else ""
        files = [
            wanted.file
            for wanted in inventory.wanted
            if application.key in {a.lower() for a in wanted.app_ids} or (unique and wanted.unique_name == unique)
        ]
        yield "Playbook", ways.commas(map(name, files)) if files else el("em", "none")


def _owners(owners: tuple[Owner, ...] | None) -> Html:
    if owners is None:
        return el("em", "not read")
    if not owners:
        return el("em", "none")
    shown = [
        joined(name(owner.name or owner.id), " (disabled)" if owner.enabled is False else "") for owner in owners[:20]
    ]
    return ways.commas(shown)


def _routes(routes: Iterable[Route], room: _Room) -> Html:
    """Mailboxes with the same routes are one row."""
    held: dict[tuple[str, Html], list[Route]] = defaultdict(list)
    for route in routes:
        held[route.mailbox, NOTHING if route.mailbox else ways.where([route])].append(route)
    alike: dict[tuple[Html, tuple[str, ...]], list[str]] = defaultdict(list)
    by_way: dict[tuple[Html, tuple[str, ...]], list[Route]] = {}
    for (mailbox, where), found in held.items():
        key = where, tuple(ways.sentences(found))
        alike[key].append(mailbox)
        by_way.setdefault(key, found)
    rows = [
        (
            key[0] or room.take(sorted(mailboxes, key=str.lower)),
            ways.chips(by_way[key]),
            listed(map(name, key[1])),
        )
        for key, mailboxes in list(alike.items())[:TOP]
    ]
    return table("Routes", ("Mailboxes", "Ways", "Routes"), rows, class_="routes", aria_label="Routes")


def _link(finding: Finding, places: Mapping[str, str]) -> Html:
    said = joined(el("span", finding.severity, class_=f"badge {finding.severity}"), " ", finding.statement)
    place = places.get(finding.fingerprint)
    return joined(said, " ", el("a", finding.check, href=f"#{place}") if place else el("code", finding.check))


def _day(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d}" if moment else ""
