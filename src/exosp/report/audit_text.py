"""An audit for a terminal: what is wrong, gravest first; who reaches what; what was set aside, not judged or not read.

No colour: marks stand two columns in, where ``cli`` may paint them. A command to copy is never broken over lines.
"""

from collections.abc import Iterator, Sequence

from ..audit.judge import Result
from ..finding import Finding, Fix, Severity
from .audit_harmless import count, harmless, unspoken, wrapped
from .audit_json import digest, document, idle, moment
from .audit_summary import (
    APPLICATIONS,
    NAMES,
    REST,
    SHOWN,
    Logs,
    also_missing,
    aside,
    groups,
    reach,
    read,
    tally,
    told,
    unread,
)

WIDTH = 100
LONGEST = 200  # characters of a name or a value; the JSON report has all of them

MARK: dict[Severity, str] = {"critical": "!", "high": "!", "medium": "~", "low": "?", "info": "·"}


def render(result: Result, width: int = WIDTH) -> str:
    """The whole report, with a last line break."""
    blocks = [
        _head(result, width),
        *_findings(result, width),
        _reach(result, width),
        _rest(result, width),
        _end(result, width),
    ]
    return unspoken("\n\n".join("\n".join(block) for block in blocks if block) + "\n")


def _head(result: Result, width: int) -> list[str]:
    inventory = result.inventory
    tenant = inventory.tenant or inventory.tenant_id or "a tenant"
    emulated = ", emulated" if inventory.emulated else ""
    title = f"AUDIT of {harmless(tenant, LONGEST)} ({harmless(inventory.cloud, LONGEST)}{emulated})"
    who = f", read by {harmless(inventory.operator, LONGEST)}" if inventory.operator else ""
    said = f"As of {moment(inventory.at) or 'a time that is not known'}{who}, exosp {result.version}. {harmless(read(result))}"
    return [*wrapped(title, width, rest="  "), *wrapped(said, width)]


def _findings(result: Result, width: int) -> Iterator[list[str]]:
    logs = Logs(result.inventory)
    for group in groups(result):
        mark = f"  {MARK[group.severity]} {group.severity:8}  "
        number = f" ({len(group.findings):,})" if len(group.findings) > 1 else ""
        lines = wrapped(harmless(f"{group.check}{number}: {group.title}".rstrip(": ")), width, mark)
        for one in group.findings[:SHOWN]:
            lines += _finding(one, logs, width)
        if len(group.findings) > SHOWN:
            more = f"… and {len(group.findings) - SHOWN:,} more of {group.check}; {REST}"
            lines += wrapped(harmless(more), width, "      ")
        yield lines


def _finding(one: Finding, logs: Logs, width: int) -> Iterator[str]:
    yield from wrapped(subject(one), width, "      ")
    yield from wrapped(harmless(one.statement), width, "        ")
    for name, value in one.evidence:
        yield from wrapped(f"{harmless(name)}: {harmless(value, LONGEST)}", width, "        - ")
    for event in logs.about(one):
        yield from wrapped(f"logged: {harmless(told(event), 2 * LONGEST)}", width, "        - ")
    for fix in one.fix:
        yield from remedy(fix, width, "        ")


def subject(one: Finding) -> str:
    """Whom it is about: a long name is cut, what identifies it is not."""
    about = one.subject
    name = harmless(about.name, LONGEST)
    known = f"{name} ({harmless(about.id, LONGEST)})" if about.id and about.id != about.name else name
    return known + (f" on {harmless(about.mailbox, LONGEST)}" if about.mailbox else "")


def remedy(fix: Fix, width: int, indent: str) -> list[str]:
    if not fix.shell:
        return wrapped(harmless(fix.command), width, f"{indent}= help: ")
    return [f"{indent}= {fix.shell}: {harmless(fix.command)}"]


def _reach(result: Result, width: int) -> list[str]:
    found = reach(result)
    if not found:
        return ["No application reaches any mailbox."] if result.inventory.coverage.whole else []
    able = sum(bool(one.mailboxes or one.everywhere) for one in found)
    said = f"Who reaches what: {count(able, 'application')} by routes that are open, {len(found) - able:,} by none."
    lines = wrapped(said, width)
    for one in found[:APPLICATIONS]:
        known = harmless(one.holder, LONGEST) + (f" ({one.app_id})" if one.app_id else " (nobody resolves it)")
        doors = f", by {', '.join(one.doors)}" if one.doors else ""
        nearly = f"; on {count(one.nearly, 'mailbox', 'mailboxes')} something is lacking" if one.nearly else ""
        said = f"{known}: {harmless(one.reaches, LONGEST)}{doors}{nearly}"
        lines += wrapped(said, width, "    ", "      ")
    if len(found) > APPLICATIONS:
        lines += [f"    … and {len(found) - APPLICATIONS:,} more; {REST}"]
    return lines


def _rest(result: Result, width: int) -> list[str]:
    lines: list[str] = []
    if said := aside(result):
        lines += [f"{said[0].upper()}{said[1:]}."]
        lines += _few(
            [f"{one.finding.check}: {one.finding.subject}: {one.by.reason} (until {one.by.until})" for one in result.ignored], width
        )  # fmt: skip
    if result.lapsed:
        lines += [f"{count(len(result.lapsed), 'exception does', 'exceptions do')} nothing:"]
        lines += _few([f"{one.where or one.check}: {one.check}, {one.subject}: {idle(one, result)}" for one in result.lapsed], width)  # fmt: skip
    if result.not_judged:
        lines += [f"{count(len(result.not_judged), 'check')} could not judge:"]
        for check, why in result.not_judged.items():
            lines += wrapped(harmless(f"{check}: {why}"), width, "  ? ")
    if missing := list(also_missing(result)):
        lines += ["Not had, and not needed for the rest:"]
        for why in missing:
            lines += wrapped(harmless(why), width, "  ? ")
    return lines


def _few(said: Sequence[str], width: int) -> list[str]:
    lines = [line for one in said[:NAMES] for line in wrapped(harmless(one, 3 * LONGEST), width, "    ", "      ")]
    return lines + ([f"    … and {len(said) - NAMES:,} more; {REST}"] if len(said) > NAMES else [])


def _end(result: Result, width: int) -> list[str]:
    lines: list[str] = []
    if reasons := list(unread(result)):
        lines += ["This audit is not whole:"]
        for why in reasons:
            lines += wrapped(harmless(why), width, "  ! ")
    said = tally(result)
    lines += [f"{said[0].upper()}{said[1:]}." if result.findings or result.inventory.coverage.whole else "No findings in what was read."]  # fmt: skip
    return [*lines, f"SHA-256 of the JSON report: {digest(document(result))}"]
