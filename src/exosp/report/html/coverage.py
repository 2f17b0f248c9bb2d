"""What was read and what was not, which checks could not judge, and what was set aside by whom and why."""

from collections.abc import Iterable
from typing import get_args

from ...audit.judge import Result
from ...inventory import NEEDED, Coverage, Section
from ..audit_json import idle
from .markup import NOTHING, Html, el, joined, listed, many, name, table, terms, text
from .subjects import TOP


def banners(result: Result) -> Html:
    """What nobody may overlook."""
    found = result.inventory
    return joined(
        el("div", el("strong", "Emulated."), el("p", "This was read from an emulated tenant. It says nothing of a real one."), class_="banner emulated")
        if found.emulated else NOTHING,
        el("div", el("strong", "This audit is not whole."), el("p", "What was not read was not judged: nothing below says that it is in order."),
           listed(_gaps(found.coverage)), class_="banner gaps")
        if not found.coverage.whole else NOTHING,
    )  # fmt: skip


def _gaps(coverage: Coverage) -> Iterable[Html]:
    if coverage.interrupted:
        yield text("It ended before all was read.")
    if coverage.unread:
        yield text(f"{many(coverage.unread, 'mailbox', 'mailboxes')} could not be read.")
    for section in NEEDED:
        if section in coverage.missing:
            yield joined(el("b", section), ": ", name(coverage.missing[section]))


def section(result: Result) -> Html:
    coverage = result.inventory.coverage
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(coverage.mailboxes.items(), key=lambda kv: -kv[1]))
    lead = f"{many(sum(coverage.mailboxes.values()), 'mailbox', 'mailboxes')}{f' ({kinds})' if kinds else ''}. "
    lead += f"Counted and not kept: {many(coverage.people, 'grant')} to people, {many(coverage.inherited, 'inherited row')}."
    return el(
        "section",
        el("h2", "Coverage"),
        el("p", lead, class_="lead"),
        terms(_sections(coverage), class_="sections"),
        table("What was not read", ("Section", "For this audit", "Why"), _missing(coverage)) if coverage.missing else NOTHING,
        *_unread(result),
        *_not_judged(result),
        id="coverage",
    )  # fmt: skip


def _sections(coverage: Coverage) -> Iterable[tuple[str, str]]:
    rest = [section for section in get_args(Section) if section not in coverage.missing]
    yield "Read", ", ".join(section for section in rest if section in coverage.read)
    yield "Not asked for", ", ".join(section for section in rest if section not in coverage.read)


def _missing(coverage: Coverage) -> Iterable[tuple[Html, Html, Html]]:
    for section in get_args(Section):
        if section in coverage.missing:
            needed = section in NEEDED
            said = el("span", "needed" if needed else "not needed", class_=f"state {'gap' if needed else 'lack'}")
            yield text(section), said, name(coverage.missing[section])


def _unread(result: Result) -> Iterable[Html]:
    boxes = [box for box in result.inventory.mailboxes if box.unread]
    if not boxes:
        return
    rows = ((name(box.address or box.name), name(box.unread)) for box in boxes[:TOP])
    yield el("h3", "Mailboxes that were not read")
    yield _first(len(boxes))
    yield table("Mailboxes that were not read", ("Mailbox", "Why"), rows)


def _not_judged(result: Result) -> Iterable[Html]:
    lacking = result.not_judged
    yield el("h3", "What was not judged")
    if result.checks:
        yield el(
            "p",
            f"{many(len(result.checks) - len(lacking), 'check')} judged, {len(lacking):,} could not.",
            class_="lead",
        )
    if not lacking:
        yield el("p", "Every check had what it needs.", class_="none")
        return
    rows = ((el("code", check), name(sections)) for check, sections in sorted(lacking.items()))
    yield table("Checks that could not judge", ("Check", "Not read"), rows)


def aside(result: Result) -> Html:
    """Exceptions with their reasons, what a baseline has already, and exceptions that are over."""
    if not (result.ignored or result.known or result.lapsed):
        return NOTHING
    parts: list[Html] = []
    if result.ignored:
        rows = (
            (
                name(str(i.finding.subject)),
                joined(el("code", i.finding.check), f" {i.finding.severity}"),
                name(i.by.reason),
                text(i.by.until.isoformat()),
                name(i.by.where),
            )
            for i in result.ignored[:TOP]
        )
        head = ("Whom", "Check", "Reason", "Until", "Written in")
        parts += [
            el("h3", f"Ignored: {len(result.ignored):,}"),
            _first(len(result.ignored)),
            table("Ignored findings", head, rows),
        ]
    if result.lapsed:
        lapsed = (
            (
                name(i.subject),
                el("code", i.check),
                name(i.reason),
                joined(i.until.isoformat(), f": {idle(i, result)}"),
                name(i.where),
            )
            for i in result.lapsed[:TOP]
        )
        head = ("Whom", "Check", "Reason", "Until", "Written in")
        parts += [
            el("h3", f"Exceptions that set nothing aside: {len(result.lapsed):,}"),
            table("Exceptions that are over or set nothing aside", head, lapsed),
        ]
    if result.known:
        known = (
            (name(str(f.subject)), joined(el("code", f.check), f" {f.severity}"), name(f.statement))
            for f in result.known[:TOP]
        )
        table_ = table("Known from the baseline", ("Whom", "Check", "Statement"), known)
        parts += [el("h3", f"In the baseline already: {len(result.known):,}"), _first(len(result.known)), table_]
    return el("section", el("h2", "Set aside"), *parts, id="aside")  # fmt: skip


def _first(number: int) -> Html:
    return el("p", f"The first {TOP} of {number:,}.", class_="lead") if number > TOP else NOTHING
