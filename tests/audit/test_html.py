"""The page of an audit, as text: what it says, what it lets nobody say, and that nothing in it asks for anything."""

import hashlib
import json
import re
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pages
import pytest

from exosp.audit.judge import Result
from exosp.finding import Check, Finding, Fix, Subject
from exosp.inventory import Coverage, Event
from exosp.report import audit_html
from exosp.report.html import matrix, ways
from exosp.report.html.markup import data, el, text
from exosp.report.html.subjects import TOP, shown_findings, subjects

HOSTILE = [
    *json.loads((Path(__file__).parents[1] / "data" / "hostile_names.json").read_text(encoding="utf-8")).values(),
    "<script>window.hit='script'</script>",
    "<img src=x onerror=\"window.hit='image'\">",
    "\" autofocus onfocus=\"window.hit='attribute'",
    "'><svg onload=window.hit='svg'>",
    "</script><script>window.hit='left the data'</script>",
    "</style><style>body{display:none}</style>",
    "<!--<script>",
    "javascript:window.hit='address'",
    "<iframe srcdoc='<script>parent.hit=1</script>'>",
    "<base href=https://evil.example/><meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "&lt;b&gt; &#60;i&#62;",
    "name\u202egnp.exe\u2066",
    "'; Remove-Mailbox -Identity * #",
    "\u2019; calc; \u2018",
    "::error::owned",
    "##[error]owned ##vso[task.setvariable]x",
    "x" * 5000,
    "\ud800 lone",
    "شركة كونتوسو",
]

TAGS = frozenset(
    re.findall(
        r"\w+",
        "a b bdi body br button caption circle code dd defs details div dl dt em fieldset footer form h1 h2 h3 head header html i "
        "input label legend li line link main meta nav ol option p path pattern pre rect script section select small span strong "
        "style summary svg table tbody td text th thead time title tr ul",
    )
)
MANUAL = """An application has no owner

What it means: nobody answers for it, says ``Get-MgApplicationOwner``.
It is told by the list.

How it is told: by its owners.

Why it matters: nobody misses it.

    Get-It -All

Sources:
- learn.microsoft.com/a
- learn.microsoft.com/b
"""


class Reader(HTMLParser):
    """What a page is made of: its elements, and the texts of those that were asked for."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []  # the element that it stands in, and the text
        self._open = [""]
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in ("meta", "link", "input", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1], data))

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        return [held for name, held in self.elements if name == tag and attributes.items() <= held.items()]

    def inside(self, tag: str) -> list[str]:
        return [said for name, said in self.texts if name == tag]

    @property
    def shown(self) -> str:
        return "".join(said for name, said in self.texts if name not in ("script", "style"))

    @property
    def content(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.inside("script")[0])
        return found


@pytest.fixture(scope="module")
def middling() -> Reader:
    return Reader(audit_html.render(pages.middling()))


@pytest.fixture(scope="module")
def hostile() -> tuple[str, Reader]:
    page = audit_html.render(pages.hostile(HOSTILE))
    return page, Reader(page)


def prefixed(reader: Reader, prefix: str) -> list[str]:
    """The ids of a kind, in the page's order."""
    ids = (held.get("id", "") for _, held in reader.elements)
    return [found for found in ids if re.fullmatch(rf"{prefix}\d+", found)]


def test_it_admits_its_own_style_and_script_and_nothing_else(middling: Reader) -> None:
    """By their hashes; no address, no 'unsafe-…', no wildcard."""
    [policy] = [held["content"] for held in middling.all("meta") if held.get("http-equiv") == "Content-Security-Policy"]
    [style], [_, script] = middling.inside("style"), middling.inside("script")

    def hashed(said: str) -> str:
        return f"'sha256-{b64encode(hashlib.sha256(said.encode()).digest()).decode()}'"

    assert dict(rule.split(" ", 1) for rule in policy.split("; ")) == {
        "default-src": "'none'",
        "style-src": hashed(style),
        "script-src": hashed(script),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


def test_its_style_and_script_are_the_package_s_files(middling: Reader) -> None:
    assert middling.inside("style") == [files("exosp.report.html").joinpath("audit.css").read_text(encoding="utf-8")]
    assert middling.inside("script")[1] == files("exosp.report.html").joinpath("audit.js").read_text(encoding="utf-8")
    assert "url(" not in middling.inside("style")[0].replace("url(#p-", "")
    assert "innerHTML" not in middling.inside("script")[1]


@pytest.mark.parametrize("which", ["middling", "hostile"])
def test_nothing_in_it_asks_for_anything(which: str, middling: Reader, hostile: tuple[str, Reader]) -> None:
    """Links lead into the page; there is no source, no handler, no style of an element's own, and one of each script."""
    reader = middling if which == "middling" else hostile[1]
    for tag, held in reader.elements:
        assert tag in TAGS, tag
        for key, value in held.items():
            assert not key.startswith("on"), (tag, key)
            assert key not in {"src", "srcdoc", "style", "action", "formaction", "background", "ping"}, (tag, key)
            if key == "href":
                assert value.startswith("#") or (tag == "link" and value == "data:,")
    assert [held.get("type") for held in reader.all("script")] == ["application/json", None]
    assert len(reader.all("style")) == len(reader.all("title")) == len(reader.all("main")) == 1


def test_ids_are_one_each_and_every_link_has_its_end(middling: Reader) -> None:
    ids = [held["id"] for _, held in middling.elements if "id" in held]
    assert len(ids) == len(set(ids))
    ends = {held["href"][1:] for held in middling.all("a")}
    ends |= {
        held[key] for _, held in middling.elements for key in ("for", "data-copy", "aria-describedby") if key in held
    }
    assert ends <= set(ids)


def test_hostile_names_stay_texts(hostile: tuple[str, Reader]) -> None:
    """No element that tame names have not; the data are the names; what cannot be seen is written out."""
    page, reader = hostile
    tame = Reader(audit_html.render(pages.hostile(["tame", "name"])))
    assert {tag for tag, _ in reader.elements} <= {tag for tag, _ in tame.elements} | {"br"}
    assert len(prefixed(reader, "f-")) == len(HOSTILE)
    assert "<script>window.hit='script'</script>" in reader.shown
    assert "شركة كونتوسو" in reader.shown
    assert "name\\u202egnp.exe\\u2066" in reader.shown
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]", page)
    named = {finding["subject"] for finding in reader.content["findings"]}
    assert named == {name[:200] for name in HOSTILE}
    assert {len(said) for said in reader.inside("bdi") if said.startswith("x" * 100)} == {601}
    assert "x" * 5000 in reader.inside("p")  # what mends it is never cut


def test_no_line_of_it_commands_a_pipeline(hostile: tuple[str, Reader]) -> None:
    """Where a page goes through a runner's log, it reads ::error:: at a line's beginning and ##[error] anywhere."""
    page, reader = hostile
    assert not re.search(r"#(?=#\w*\[)", page)
    assert not [line for line in page.splitlines() if line.lstrip().startswith("::")]
    assert "::error::owned" in reader.shown


def test_data_in_a_script_element_cannot_leave_it() -> None:
    said = data({"a": "</script><!--<script>&\u2028"}, id="data")
    inner = said.removeprefix('<script type="application/json" id="data">').removesuffix("</script>")
    assert not set(inner) & set("<>&")
    assert inner.isascii()
    assert json.loads(inner) == {"a": "</script><!--<script>&\u2028"}


def test_markup_is_made_by_el_alone() -> None:
    assert el("td", "<b>&'\"", title='"><x') == '<td title="&quot;&gt;&lt;x">&lt;b&gt;&amp;&#x27;&quot;</td>'
    assert el("td", el("b", "x"), hidden=True, colspan=None, open=False) == "<td hidden><b>x</b></td>"
    assert text("y" * 601) == "y" * 600 + "…"
    assert text("a\u202eb\x1b[2J\ud800") == "a\\u202eb\\x1b[2J\\ud800"


def test_it_ends_with_its_own_digest() -> None:
    """Of the whole file, with zeros for the digest: as the page says. A name that is such zeros changes nothing."""
    result = pages.middling()
    page = audit_html.render(replace(result, version="0" * 64))
    found = re.search(r'zeros for these 64 digits: <code id="sha256">([0-9a-f]{64})<', page)
    assert found
    unsigned = page[: found.start(1)] + "0" * 64 + page[found.end(1) :]
    assert hashlib.sha256(unsigned.encode()).hexdigest() == found[1]


def test_the_same_audit_is_the_same_page() -> None:
    assert audit_html.render(pages.middling()) == audit_html.render(pages.middling())


def test_the_head_says_who_read_what_and_when(middling: Reader) -> None:
    shown = middling.shown
    assert middling.inside("title") == ["Audit of contoso.onmicrosoft.com"]
    for said in (pages.TENANT_ID, "global", "auditor@contoso.com", "2026-11-21 09:30 UTC", "0.1.0"):
        assert said in shown
    assert "8 applications can reach mail: 1 every mailbox, 15 of 956 mailboxes by name." in shown
    assert shown[shown.index("Coverage") :].startswith("Coveragewhole")
    tiles = [said for tag, said in middling.texts if tag == "strong"][:5]
    assert tiles == ["1", "3", "5", "4", "1"]


def test_what_nobody_may_overlook_stands_first() -> None:
    """Emulated; not whole, with every reason."""
    gaps = replace(
        pages.COVERAGE, unread=3, interrupted=True, missing={"transport": "Forbidden: no role", "owners": "slow"}
    )
    shown = Reader(audit_html.render(pages.middling(gaps, emulated=True))).shown
    before = shown[: shown.index("Findings")]
    assert "Emulated.This was read from an emulated tenant. It says nothing of a real one." in before
    assert "This audit is not whole." in before
    assert "It ended before all was read.3 mailboxes could not be read.transport: Forbidden: no role" in before
    assert "slow" not in before
    assert "not whole" not in (calm := Reader(audit_html.render(pages.middling())).shown)
    assert "Emulated" not in calm


def test_a_finding_says_what_whom_why_and_how_to_mend_it() -> None:
    """Evidence, the manual's excerpt, its commands each with a button, and the way to all that the application holds."""
    about = Subject("application", pages.some_id(7), "Ticket Archive")
    made = Finding(
        "owner-missing", "low", "medium", about, "Nobody owns it.", (("Owners", "none"),),
        (Fix("Ask for one."), Fix(f"Add-It -To 'x'\nGet-It {'y' * 700}", "powershell")), "d1",
    )  # fmt: skip
    check = Check("owner-missing", MANUAL, (), lambda inventory, measures: iter(()))
    page = audit_html.render(replace(pages.middling(), findings=(made,), checks=(check,)))
    shown = Reader(page).shown
    finding = shown[shown.index("lowTicket Archive") : shown.index("No finding is like that")]
    assert finding == (
        "lowTicket Archiveowner-missingNobody owns it.EvidenceOwnersnone"
        f"Aboutapplication {pages.some_id(7)}Detaild1Confidencemedium"
        "All that this application holds"
        "From the manualAn application has no owner."
        "What it means: nobody answers for it, says Get-MgApplicationOwner. It is told by the list."
        "Why it matters: nobody misses it.The whole manual of owner-missing"
        f"What mends itAsk for one.PowerShellCopyAdd-It -To 'x'\nGet-It {'y' * 700}"
    )
    [button] = Reader(page).all("button", **{"data-copy": "fix-1-2"})
    assert (button["aria-label"], button["aria-describedby"]) == ("Copy PowerShell command 2", "fix-1-2")
    assert 'href="#app-1"' in page
    manual = shown[shown.index("The checks") :]
    assert "How it is told: by its owners." in manual
    assert "Get-It -All" in manual
    assert "<li>learn.microsoft.com/a</li>" in page


def grid(page: str) -> Iterator[str]:
    """The matrix as lines of text: a row's name, and its cells between bars."""
    for block in re.findall(r'<div class="grid".*?</table>', page, re.DOTALL):
        for row in re.findall("<tr>(.*?)</tr>", block, re.DOTALL):
            cells = re.split("<t[hd][^>]*>", row)[1:]
            yield "|".join(re.sub("<[^>]*>", "", cell).replace("@contoso.com", "") for cell in cells)


def test_the_matrix_is_a_picture_of_letters() -> None:
    """Every way in its letter; small where something is lacking; who reaches every mailbox as one whole row on top."""
    chosen = ("support", "newsletter", "warehouse", "helpdesk", "ceo.office")
    result = pages.middling()
    kept = tuple(route for route in result.routes if not route.mailbox or route.mailbox.partition("@")[0] in chosen)
    assert list(grid(audit_html.render(replace(result, routes=kept)))) == [
        "Application|support|warehouse|newsletter|helpdesk|ceo.office",
        "Backup365 (Fabrikam)|A every mailbox: full_access_as_app, Mail.ReadWrite",
        "HR Onboarding|U the mailbox of whoever signs in: IMAP.AccessAsUser.All",
        "Contract Intake|R within Contracts and legal: Application Mail.Read",
        "Mail Signature Service|a every mailbox: Mail.Send",
        "Legacy CRM Connector|f||||",
        "Warehouse Alerts||f|||",
        "Newsletter Sender|||FS||",
        "Support Desk Mail|FS||||",
        "Ticket Archive||||FD|",
        "S-1-5-21-2304-88123-1001 unresolved|||||f",
    ]


def test_a_route_s_colour_is_never_alone(middling: Reader) -> None:
    """Each way has a letter and a colour of its own; one that is shut has another form too."""
    assert len({way.letter for way in ways.WAYS.values()}) == len({way.style for way in ways.WAYS.values()}) == 7
    assert str(ways.chip("mailbox permission", True)) == '<b class="w-full">F</b>'
    assert str(ways.chip("mailbox permission", False)) == '<b class="w-full shut">f</b>'
    style = middling.inside("style")[0]
    colours = [re.search(rf"\.{way.style} {{ --way: var\((--[a-z]+)\)", style) for way in ways.WAYS.values()]
    assert len({found[1] for found in colours if found}) == 7


def test_a_cell_says_its_routes_in_words(middling: Reader) -> None:
    """The script finds them by number in the data."""
    readings = middling.content["readings"]
    cells = [[readings[int(n)] for n in held["data-r"].split()] for held in middling.all("td") if "data-r" in held]
    assert (
        cells.count(
            [
                "Opens by IMAP; sends by SMTP: FullAccess (mailbox permission).",
                "Sends by SMTP: SendAs (recipient permission).",
            ]
        )
        == 2
    )  # support and sales
    assert len({said for cell in cells for said in cell}) == len(readings)


def test_routes_in_words() -> None:
    shut = pages.route(1, "a@contoso.com", "pop", "mailbox permission", "FullAccess", "POP on", "consent")
    off = replace(pages.route(1, "a@contoso.com"), protocols_off=True)
    role = pages.route(1, "", "graph", "management role", "Application Mail.Read", scope="Desk")
    assert ways.sentences([shut, off, role]) == [
        "Would open by POP: FullAccess (mailbox permission). Lacks POP on; consent.",
        "Opens by IMAP: FullAccess (mailbox permission). The protocol is off there.",
        "Reads by Microsoft Graph: Application Mail.Read (management role), within Desk.",
    ]
    consent_alone = pages.route(1, "", "imap", "mailbox permission", "FullAccess", "FullAccess on a mailbox")
    assert str(ways.where([consent_alone])) == "<strong>no mailbox yet</strong>"


def test_many_mailboxes_come_in_blocks_of_those_whom_they_concern() -> None:
    """Mailboxes of the same applications side by side, and only rows in which something stands."""
    routes = [pages.route(1 + i % 2, f"box{i:03}@contoso.com") for i in range(3 * matrix.WIDTH)]
    page = audit_html.render(replace(pages.middling(), routes=tuple(routes)))
    assert page.count('<div class="grid"') == 3
    for row in grid(page):
        assert row.startswith("Application") or "F" in row.partition("|")[2], row
    assert len(list(grid(page))) == 3 + 2 + 2


def test_credentials_stand_in_the_order_in_which_they_end(middling: Reader) -> None:
    """Each with its state in words, and a bar between its days."""
    page = audit_html.render(pages.middling())
    rows = re.findall(r"<tr>(?:(?!</tr>).)*?<svg.*?</tr>", page[page.index('<table class="timeline"') :], re.DOTALL)[1:]
    said = [re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", row)).strip() for row in rows]
    assert said == [
        "Legacy CRM Connector secret crm 2026-10-12 expired, 40 days ago",
        "Warehouse Alerts secret alerts 2026-11-24 ends soon, in 3 days",
        "Support Desk Mail secret desk 2026-12-03 ends soon, in 12 days",
        "HR Onboarding certificate hr 2027-01-25 live, in 65 days",
        "Contract Intake secret intake 2027-02-17 live, in 88 days",
        "Legacy CRM Connector secret crm 2 2027-04-10 live, in 140 days",
        "Newsletter Sender secret news 2027-04-30 live, in 160 days",
        "Invoice Reader certificate invoice cert 2027-09-22 live, in 305 days",
        "Ticket Archive secret archive 2028-08-22 lives too long, in 640 days",
    ]
    bars = re.findall(r'<rect x="([\d.]+)%" width="([\d.]+)%"[^>]*class="bar (\w+)"', page)
    assert bars[0] == ("0.0", "15.65", "expired")  # it began before the axis
    assert bars[-1] == ("10.18", "79.86", "long")
    assert "1 more has no end (federated)." in middling.shown


def test_an_application_s_view_says_all_of_it() -> None:
    """What it is, what it opens, its credentials, what the logs and the findings say."""
    result = pages.middling()
    about = pages.some_id(2003)
    event = Event(pages.AT - timedelta(days=1), "eve@contoso.com", "Add owner", about, "entra", "to mallory")
    page = audit_html.render(replace(result, inventory=replace(result.inventory, events=(event,))))
    [view] = re.findall(r'<details id="app-2".*?</details>', page, re.DOTALL)
    shown = Reader(view).shown
    assert shown.startswith("Legacy CRM Connectorf9 mailboxeshigh")
    for said in (
        f"Application (client) ID{pages.some_id(3)}", f"Registration's object ID{pages.some_id(1003)}",
        f"Enterprise application's object ID{about}", f"Entry in ExchangeLegacy CRM Connector, object ID {pages.some_id(1003)}",
        "billing@contoso.com hr@contoso.com invoices@contoso.com",
        "Would open by IMAP: FullAccess (mailbox permission). Lacks the entry's object ID is the registration's own.",
        "secret crm: 2025-10-12 to 2026-10-12", "2026-11-20 09:30 Add owner, by eve@contoso.com: to mallory", "Playbooknone",
        "high Exchange holds it under the registration's object ID",
    ):  # fmt: skip
        assert said in shown, said


def test_mailboxes_of_the_same_routes_are_one_row() -> None:
    """And what leads to every mailbox stands apart from what a scope narrows."""
    routes = (
        *(pages.route(3, box) for box in ("b@contoso.com", "A@contoso.com")),
        pages.route(3, "c@contoso.com", "pop"),
        pages.route(3, "", "graph", "management role", "Application Mail.Read", scope="Desk"),
        pages.route(3, "", "graph", "application permission", "Mail.Send"),
    )
    page = audit_html.render(replace(pages.middling(), routes=routes))
    [table] = re.findall(r'<table class="routes".*?</table>', page, re.DOTALL)
    rows = re.findall("<tr>(.*?)</tr>", table, re.DOTALL)[1:]
    assert [re.sub("<[^>]*>", "", re.sub("<td[^>]*>", "|", row)) for row in rows] == [
        "A@contoso.com b@contoso.com|F|Opens by IMAP: FullAccess (mailbox permission).",
        "c@contoso.com|F|Opens by POP: FullAccess (mailbox permission).",
        "within Desk|R|Reads by Microsoft Graph: Application Mail.Read (management role), within Desk.",
        "every mailbox|A|Reads by Microsoft Graph: Mail.Send (application permission).",
    ]


def test_coverage_says_what_was_not_read_and_not_judged() -> None:
    gaps = replace(pages.COVERAGE, unread=1)
    shown = Reader(audit_html.render(pages.middling(gaps))).shown
    coverage = shown[
        shown.index("CoverageCoverage") if "CoverageCoverage" in shown else shown.rindex("956 mailboxes (") :
    ]
    for said in (
        "956 mailboxes (812 user, 96 shared, 41 group, 7 soft-deleted)", "2,311 grants to people, 9,560 inherited rows",
        "Not asked forauthentication-policies, folder-permissions, exchange-log",
        "directory-lognot needednot offered by this licence (Entra ID P1)", "broken@contoso.comEx6F9304: the mailbox is being moved",
        "unused-accesslast-use",
    ):  # fmt: skip
        assert said in coverage, said


def test_what_is_set_aside_stands_with_its_reason() -> None:
    result = pages.middling()
    shown = Reader(audit_html.render(replace(result, known=result.findings[:1]))).shown
    for said in (
        "Ignored: 2", "The vendor's product; contract 47112027-03-31audit.yaml:12",
        "Exceptions that set nothing aside: 1", "No owner until the move is done2026-06-30: its last day is overaudit.yaml:20",
        "In the baseline already: 1", "gravest first. Beside these, 2 findings are set aside, 1 known from the baseline.",
    ):  # fmt: skip
        assert said in shown, said
    assert "Set aside" not in Reader(audit_html.render(replace(result, ignored=(), lapsed=()))).shown


def test_an_audit_that_found_nothing_says_so() -> None:
    shown = Reader(audit_html.render(Result(replace(pages.middling().inventory, registrations=()), (), ()))).shown
    assert "Nothing was found." in shown
    assert "No application reaches a mailbox." in shown


def test_of_a_long_list_stand_the_first_and_one_of_each_check() -> None:
    """10,000 findings and 5,000 grants: 200 of a list with counts, and where the rest is; small, and made quickly."""
    result = pages.huge()
    began = time.process_time()
    page = audit_html.render(result, beside="report & more.json")
    took = time.process_time() - began
    reader = Reader(page)
    assert len(page.encode()) < 3_000_000
    assert took < 5
    assert len(prefixed(reader, "f-")) == len(prefixed(reader, "app-")) == TOP
    shown = shown_findings(result.findings)
    assert shown[-1][1].check == "rare"
    assert [place for place, _ in shown[:-1]] == list(range(TOP - 1))
    assert "The 200 gravest of 10,000, and at least one of each check." in reader.shown
    assert "Shown are the first 200 applications and the 200 mailboxes that most applications reach." in reader.shown
    assert "The first 200 of 400." in reader.shown
    assert "Shown are the 200 that end nearest to the day of the audit." in reader.shown
    assert '<a href="./report%20%26%20more.json">report &amp; more.json</a>' in page
    assert reader.content["total"] == 10_000
    counts = reader.shown[reader.shown.index("All findings by check") :]
    assert counts.startswith(
        "All findings by checkAll findings by checkCheckSeverityFindingsowner-missingcritical2,000"
    )


def test_the_gravest_application_is_the_first_and_any_id_leads_to_it() -> None:
    found = subjects(pages.middling())
    assert [application.name for application in found.all[:3]] == [
        "Backup365 (Fabrikam)", "Legacy CRM Connector", "Invoice Reader",
    ]  # fmt: skip
    for known in (3, 1003, 2003):
        assert found.anchor(pages.some_id(known).upper()) == "app-2"
    assert found.anchor("nobody") == ""


def test_whatever_was_read_an_empty_audit_is_a_page() -> None:
    assert "Unnamed tenant" in audit_html.render(
        Result(
            replace(pages.middling().inventory, tenant="", tenant_id="", coverage=Coverage(interrupted=True)), (), ()
        )
    )
