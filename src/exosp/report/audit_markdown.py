"""An audit as Markdown (GitHub's), for a pull request or a wiki. Names stand in code spans, where nothing is markup, a mention
or a link; of a sentence, every word that is more than letters and digits does too. No HTML is written.

The top of long lists is shown, with counts; the rest is in the JSON report.
"""

import re
from collections.abc import Iterator

from ..audit.judge import Result
from ..finding import Finding
from .audit_harmless import count, harmless, unspoken
from .audit_json import counts, digest, document, idle, moment
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
    told,
    unread,
)

ROOM = 50_000  # characters for findings in full: GitHub takes 65,536 in one comment
LONGEST = 200  # characters of a name or a value
MARK: dict[str, str] = {"critical": "🟥", "high": "🟧", "medium": "🟨", "low": "🟦", "info": "⬜"}

# A word of a sentence: letters, digits, hyphens and apostrophes within, marks of a sentence around it.
_WORD = re.compile(r"[(\"]*[^\W_]+(?:[-'\u2019][^\W_]+|[.,]\d+)*[.,;:)?\"%]*")
_MARKED = re.compile(r"([(]?)(.*[^.,;:)?])([.,;:)?]*)")  # what is within, and the marks
_REFERENCE = re.compile(r"gh-\d", re.IGNORECASE)  # GitHub makes GH-1 a link


def render(result: Result) -> str:
    """The whole report, with a last line break."""
    blocks = [*_head(result), *_findings(result), *_reach(result), *_rest(result)]
    blocks += [f"SHA-256 of the JSON report: {code(digest(document(result)))}"]
    return unspoken("\n\n".join(blocks) + "\n")


def code(text: str, most: int = LONGEST) -> str:
    """A text as a code span, whatever it holds: within enough backticks, which it cannot end."""
    shown = harmless(text, most)
    if not shown.strip():
        return "(empty)" if not shown else f"({count(len(shown), 'blank')})"
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def sentence(text: str) -> str:
    """A sentence that may hold names: words stay words, and whatever else is in it stands as code, but for the marks of the
    sentence around it."""
    return " ".join(map(_word, harmless(text).split()))


def _word(word: str) -> str:
    if _WORD.fullmatch(word) and not _REFERENCE.search(word):
        return word
    found = _MARKED.fullmatch(word)
    return f"{found[1]}{code(found[2])}{found[3]}" if found else code(word)


def _head(result: Result) -> Iterator[str]:
    inventory = result.inventory
    yield f"# Audit of {code(inventory.tenant or inventory.tenant_id or 'a tenant')}"
    facts = {
        "Cloud": code(inventory.cloud) + (" (emulated)" if inventory.emulated else ""),
        "As of": code(moment(inventory.at) or "not known"),
        "Read by": code(inventory.operator) if inventory.operator else "not known",
        "Version": f"exosp {code(result.version)}",
        "Read": sentence(read(result)),
    }
    yield "\n".join(f"- {name}: {value}" for name, value in facts.items())
    if reasons := list(unread(result)):
        yield "\n".join(["**This audit is not whole:**", "", *(f"- {sentence(why)}" for why in reasons)])
    found = counts(result)
    yield f"| {' | '.join(f'{MARK[severity]} {severity}' for severity in found)} |\n|{' --: |' * len(found)}\n| {' | '.join(f'{number:,}' for number in found.values())} |"  # fmt: skip


def _findings(result: Result) -> Iterator[str]:
    yield "## Findings"
    if not result.findings:
        yield "None." if result.inventory.coverage.whole else "None in what was read."
    logs, room = Logs(result.inventory), ROOM
    for group in groups(result):
        title = f": {sentence(group.title)}" if group.title else ""
        yield f"### {MARK[group.severity]} {group.severity}: {code(group.check)}{title}"
        if len(group.findings) > 1:
            yield f"{count(len(group.findings), 'finding')}."
        shown = 0
        for text in (_finding(one, logs) for one in group.findings[:SHOWN]):
            room -= len(text)
            if room < 0:
                break
            shown += 1
            yield text
        if len(group.findings) > shown:
            yield f"… and {len(group.findings) - shown:,} more; {REST}."


def _finding(one: Finding, logs: Logs) -> str:
    about = one.subject
    known = f" ({code(about.id)})" if about.id and about.id != about.name else ""
    on = f" on {code(about.mailbox)}" if about.mailbox else ""
    lines = [f"- **{code(about.name)}**{known}{on}: {sentence(one.statement)}"]
    lines += [f"  - {sentence(name)}: {code(value)}" for name, value in one.evidence]
    lines += [f"  - logged: {code(told(event))}" for event in logs.about(one)]
    for fix in one.fix:
        shown = harmless(fix.command)
        if not fix.shell:
            lines.append(f"  - Fix: {sentence(fix.command)}")
            continue
        fence = "`" * max(3, max(map(len, re.findall("`+", shown)), default=0) + 1)
        language = "powershell" if fix.shell == "powershell" else "sh"
        lines += [f"  - Fix ({fix.shell}):", "", f"    {fence}{language}", f"    {shown}", f"    {fence}", ""]
    return "\n".join(lines).rstrip()


def _reach(result: Result) -> Iterator[str]:
    found = reach(result)
    yield "## Who reaches what"
    if not found:
        yield "No application reaches any mailbox."
        return
    lines = []
    for one in found[:APPLICATIONS]:
        known = f" ({code(one.app_id)})" if one.app_id else " (nobody resolves it)"
        doors = f", by {', '.join(one.doors)}" if one.doors else ""
        nearly = f"; on {count(one.nearly, 'mailbox', 'mailboxes')} something is lacking" if one.nearly else ""
        lines.append(f"- {code(one.holder)}{known}: {sentence(one.reaches)}{doors}{nearly}")
    if len(found) > APPLICATIONS:
        lines.append(f"- … and {len(found) - APPLICATIONS:,} more; {REST}")
    yield "\n".join(lines)


def _rest(result: Result) -> Iterator[str]:
    if said := aside(result):
        lines = [
            f"- {code(one.finding.check)}: {code(str(one.finding.subject))}: {sentence(one.by.reason)} (until {one.by.until})"
            for one in result.ignored
        ]
        yield f"## Not among the findings\n\n{said[0].upper()}{said[1:]}."
        yield from _few(lines)
    if result.lapsed:
        yield "## Exceptions that do nothing"
        yield from _few(
            [f"- {code(one.check)}, {code(one.subject)}: {sentence(idle(one, result))}" + (f" ({code(one.where)})" if one.where else "") for one in result.lapsed]
        )  # fmt: skip
    if result.not_judged:
        yield "## Checks that could not judge"
        yield "\n".join(f"- {code(check)}: {sentence(why)}" for check, why in result.not_judged.items())
    if missing := list(also_missing(result)):
        yield "## Not had, and not needed for the rest"
        yield "\n".join(f"- {sentence(why)}" for why in missing)


def _few(lines: list[str]) -> Iterator[str]:
    if lines:
        yield "\n".join(
            lines[:NAMES] + ([f"- … and {len(lines) - NAMES:,} more; {REST}"] if len(lines) > NAMES else [])
        )
