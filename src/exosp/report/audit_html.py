"""An audit as one page of HTML that needs nothing beside it: no request leaves it, and its Content-Security-Policy admits its
own style and script by their hashes and nothing else. Whole without its script, which filters, sorts and copies.

Long lists show their first 200 with counts; the rest is the JSON report's.
"""

import hashlib
from base64 import b64encode
from datetime import UTC
from functools import cache
from importlib.resources import files
from urllib.parse import quote

from ..audit.judge import Result
from .html import applications, coverage, findings, manual, matrix, timeline
from .html.markup import NOTHING, Html, data, el, joined, many, name, terms
from .html.subjects import Subjects, shown_findings, subjects

SCHEMA = "exosp/audit-html/1"
_UNSIGNED = "0" * 64


def render(result: Result, *, beside: str = "") -> str:
    """The whole page. ``beside``: the name of the JSON report that is written with it, into the same folder. The page ends
    with its own SHA-256, taken with zeros in that place."""
    style, script = _asset("audit.css"), _asset("audit.js")
    body, content = _body(result, beside)
    before = joined(
        Html("<!DOCTYPE html>\n"),
        Html('<html lang="en">'),
        el(
            "head",
            el("meta", charset="utf-8"),
            el("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
            el("meta", name="viewport", content="width=device-width, initial-scale=1"),
            el("meta", name="color-scheme", content="light dark"),
            el("meta", name="referrer", content="no-referrer"),
            el("meta", name="robots", content="noindex"),
            el("meta", name="generator", content=f"exosp {result.version}"),
            el("link", rel="icon", href="data:,"),
            el("title", f"Audit of {result.inventory.tenant or result.inventory.tenant_id}"),
            el("style", Html(style)),
        ),
        Html('\n<body><a class="skip" href="#main">Skip to the findings</a>\n'),
        body,
        Html('\n<footer><p>SHA-256 of this file, with zeros for these 64 digits: <code id="sha256">'),
    )
    after = joined(
        Html("</code></p></footer>\n"), data(content, id="data"), Html("\n"), el("script", Html(script)),
        Html("</body></html>\n"),
    )  # fmt: skip
    digest = hashlib.sha256(f"{before}{_UNSIGNED}{after}".encode()).hexdigest()
    return f"{before}{digest}{after}"


@cache
def _asset(file: str) -> str:
    return files("exosp.report.html").joinpath(file).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Nothing from anywhere; scripts cannot make markup either (Trusted Types)."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            "img-src data:",  # the empty icon, so that none is asked for
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _hash(said: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(said.encode()).digest()).decode()}"


def _body(result: Result, beside: str) -> tuple[Html, dict[str, object]]:
    found = subjects(result)
    checks = {check.name: check for check in result.checks}
    rest = joined("The rest is in the JSON beside it", joined(": ", el("a", beside, href=f"./{quote(beside)}")) if beside else
                  joined(" (", el("code", "--format json"), ")"), ".")  # fmt: skip
    places = {finding.fingerprint: f"f-{n}" for n, (_, finding) in enumerate(shown_findings(result.findings), 1)}
    picture, cells = matrix.section(found, rest)
    spoken = [*(finding.check for finding in result.findings), *(i.finding.check for i in result.ignored)]
    aside = coverage.aside(result)
    parts = (
        findings.section(result, checks, found, rest),
        picture,
        timeline.section(result, found, rest),
        applications.section(result.inventory, found, places, rest),
        coverage.section(result),
        aside,
        manual.section(spoken, checks),
    )
    where = [
        ("findings", "Findings"), ("matrix", "Matrix"), ("credentials", "Credentials"), ("applications", "Applications"),
        ("coverage", "Coverage"), *([("aside", "Set aside")] if aside else []), *([("checks", "Checks")] if parts[-1] else []),
    ]  # fmt: skip
    page = joined(
        _head(result, found),
        el("nav", el("ul", *(el("li", el("a", said, href=f"#{id_}")) for id_, said in where)), aria_label="Sections"),
        el("main", *parts, id="main", tabindex="-1"),
        el("p", id="said", role="status", class_="unseen"),
    )
    content = {
        "schema": SCHEMA,
        "tenant": result.inventory.tenant,
        "total": len(result.findings),
        "findings": findings.index(result.findings),
        **cells,
    }
    return page, content


def _head(result: Result, found: Subjects) -> Html:
    audited = result.inventory
    reached = len({route.mailbox.lower() for route in result.routes if route.mailbox and route.is_open})
    wide = sum(application.everywhere for application in found.all)
    boxes = sum(audited.coverage.mailboxes.values())
    can = f"{many(sum(any(r.is_open for r in a.routes) for a in found.all), 'application')} can reach mail"
    can += f": {wide:,} every mailbox" if wide else ""
    can += f"{', ' if wide else ': '}{f'{reached:,} of ' if boxes else ''}{many(boxes or reached, 'mailbox', 'mailboxes')} by name."
    return el(
        "header",
        el("p", "Audit of mailbox access by applications", class_="eyebrow"),
        el("h1", name(audited.tenant or audited.tenant_id or "Unnamed tenant")),
        coverage.banners(result),
        terms(
            (
                ("Tenant ID", el("code", audited.tenant_id) if audited.tenant_id else NOTHING),
                ("Cloud", joined(audited.cloud)),
                ("Read by", name(audited.operator) if audited.operator else NOTHING),
                ("Read at", el("time", f"{audited.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC", datetime=audited.at.isoformat())),
                ("exosp", joined(result.version)),
                ("Coverage", joined("whole" if audited.coverage.whole else "not whole")),
            ),
            class_="meta",
        ),
        findings.tiles(result.findings),
        el("p", can, class_="lead"),
    )  # fmt: skip
