"""The findings: each with what shows it, what its check says, and what mends it as commands to copy."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ...audit.judge import Result
from ...finding import SEVERITIES, Check, Finding, Fix
from .. import audit_summary as summary
from ..audit_summary import Logs, told
from . import manual
from .markup import NOTHING, Html, el, joined, listed, many, name, terms, text, value_of
from .subjects import Subjects, per_check, shown_findings

_SHELLS = {"powershell": "PowerShell", "exosp": "exosp", "graph": "Microsoft Graph"}


def tiles(findings: Sequence[Finding]) -> Html:
    """How many of each severity, gravest first."""
    counts = Counter(finding.severity for finding in findings)
    return el(
        "ul",
        *(
            el("li", el("strong", f"{counts[severity]:,}"), el("span", severity), class_=f"tile {severity}",
               data_none=not counts[severity])
            for severity in reversed(SEVERITIES)
        ),
        class_="tiles",
    )  # fmt: skip


def section(result: Result, checks: Mapping[str, Check], subjects: Subjects, beside: Html) -> Html:
    findings, shown, logs = result.findings, shown_findings(result.findings), Logs(result.inventory)
    if not findings:
        said = "Nothing was found." if result.inventory.coverage.whole else "Nothing was found in what was read."
        return el("section", el("h2", "Findings"), el("p", said, *_aside(result), class_="none"), id="findings")
    if len(shown) == len(findings):
        said = joined(f"{many(len(findings), 'finding')}, gravest first.", *_aside(result))
    else:
        many_ = f"The {len(shown)} gravest of {len(findings):,}, and at least one of each check. "
        said = joined(many_, beside, *_aside(result))
    return el(
        "section",
        el("h2", "Findings"),
        el("p", said, class_="lead"),
        _per_check(findings, checks) if len(findings) > len(shown) else NOTHING,
        _controls(findings),
        el("p", id="found", role="status", class_="count"),
        el("ol", *(_finding(n, finding, checks, subjects, logs) for n, (_, finding) in enumerate(shown, 1)), id="list", class_="findings"),
        el("p", "No finding is like that.", id="nothing", class_="none", hidden=True),
        id="findings",
    )  # fmt: skip


def index(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """What the script filters and sorts by."""
    return [
        {
            "id": f"f-{n}",
            "rank": SEVERITIES.index(finding.severity),
            "severity": finding.severity,
            "check": finding.check,
            "subject": finding.subject.name[:200],
            "mailbox": finding.subject.mailbox,
            "fingerprint": finding.fingerprint,
        }
        for n, (_, finding) in enumerate(shown_findings(findings), 1)
    ]


def _aside(result: Result) -> list[str]:
    """What is not among them."""
    said = summary.aside(result)
    return [" ", el("a", f"Beside these, {said}.", href="#aside")] if said else []


def _per_check(findings: Sequence[Finding], checks: Mapping[str, Check]) -> Html:
    rows = [
        el("tr", el("th", el("a", check, href=f"#check-{check}") if check in checks else check, scope="row"), el("td", _badge(first.severity)), el("td", f"{count:,}"))
        for check, first, count in per_check(findings)
    ]  # fmt: skip
    head = el("tr", *(el("th", word, scope="col") for word in ("Check", "Severity", "Findings")))
    whole = el(
        "table",
        el("caption", "All findings by check"),
        el("thead", head),
        el("tbody", *rows),
        class_="counts",
        aria_label="All findings by check",
    )
    return el("details", el("summary", "All findings by check"), whole)


def _controls(findings: Sequence[Finding]) -> Html:
    """Shown by the script alone: without it there is nothing that they could do."""
    present = {finding.severity for finding in findings}
    boxes = [
        el("label", el("input", type="checkbox", name="severity", value=severity, checked=True), el("span", severity))
        for severity in reversed(SEVERITIES)
        if severity in present
    ]
    options = [el("option", "every check", value="")] + [
        el("option", f"{check} ({count:,})", value=check) for check, _, count in sorted(per_check(findings))
    ]
    orders = ("severity", "check", "subject")
    return el(
        "form",
        el("div", el("label", "Text", for_="text"), el("input", id="text", type="search", autocomplete="off"), class_="field wide"),
        el("div", el("label", "Check", for_="check"), el("select", *options, id="check"), class_="field"),
        el("div", el("label", "Sort by", for_="sort"), el("select", *(el("option", o, value=o) for o in orders), id="sort"), class_="field"),
        el("fieldset", el("legend", "Severity"), *boxes),
        el(
            "div",
            el("button", "Show all", type="reset"),
            el("button", "Open all", type="button", id="open"),
            class_="field buttons",
        ),
        id="controls", class_="controls", hidden=True, aria_label="Filter and sort the findings", role="search",
    )  # fmt: skip


def _badge(severity: str) -> Html:
    return el("span", severity, class_=f"badge {severity}")


def _finding(n: int, finding: Finding, checks: Mapping[str, Check], subjects: Subjects, logs: Logs) -> Html:
    about = finding.subject
    anchor = subjects.anchor(about.id) if about.kind != "mailbox" else ""
    whom = [("About", joined(about.kind, " ", el("code", about.id) if about.id else NOTHING))]
    if finding.detail:
        whom.append(("Detail", name(finding.detail)))
    whom.append(("Confidence", text(finding.confidence)))
    check = checks.get(finding.check)
    events = logs.about(finding)
    return el(
        "li",
        el(
            "details",
            el(
                "summary",
                _badge(finding.severity),
                el("h3", name(about.name or about.id), *((" on ", name(about.mailbox)) if about.mailbox else ())),
                el("span", finding.check, class_="check"),
                el("span", finding.statement, class_="statement"),
            ),
            el(
                "div",
                el("p", "Evidence" if finding.evidence else "Subject", class_="label"),
                terms(((key, value_of(value)) for key, value in finding.evidence), class_="evidence")
                if finding.evidence
                else NOTHING,
                terms(whom, class_="whom"),
                el("p", el("a", "All that this application holds", href=f"#{anchor}"), class_="way")
                if anchor
                else NOTHING,
                *(
                    (el("p", "What the logs say", class_="label"), listed(map(name, map(told, events))))
                    if events
                    else ()
                ),
                *((el("p", "From the manual", class_="label excerpt"), manual.excerpt(check)) if check else ()),
                *((el("p", "What mends it", class_="label"), _fixes(n, finding.fix)) if finding.fix else ()),
                class_="body",
            ),
        ),
        id=f"f-{n}",
        class_=finding.severity,
    )


def _fixes(n: int, fixes: Sequence[Fix]) -> Html:
    return el("ol", *(el("li", _fix(f"fix-{n}-{i}", i, fix)) for i, fix in enumerate(fixes, 1)), class_="fixes")


def _fix(id_: str, place: int, fix: Fix) -> Html:
    if not fix.shell:
        return el("p", text(fix.command, 10_000))
    shell = _SHELLS[fix.shell]
    lines = Html("\n".join(text(line, 10_000) for line in fix.command.splitlines()))
    return el(
        "div",
        el("div", el("span", shell),
           el("button", "Copy", type="button", data_copy=id_, aria_label=f"Copy {shell} command {place}", aria_describedby=id_, hidden=True),
           class_="shell"),
        el("pre", el("code", lines, id=id_)),
        class_="command",
    )  # fmt: skip
