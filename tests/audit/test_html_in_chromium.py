"""The page of an audit in a real browser: nothing leaves it, nothing hostile runs in it, it works by keyboard, on a phone,
on paper, in the dark, and without its script. Chromium and pdftotext are Debian's."""

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pages
import pytest
from browser import Browser, Page
from test_html import HOSTILE, MANUAL

from exosp.audit.judge import Result
from exosp.finding import Check
from exosp.report import audit_html
from interop.installed import program

pytestmark = pytest.mark.slow

CHECKS = tuple(
    Check(name, MANUAL, (), lambda inventory, measures: iter(())) for name in ("owner-missing", "wrong-object-id")
)
GAPS = replace(pages.COVERAGE, unread=1, missing={**pages.COVERAGE.missing, "transport": "Forbidden: no role"})
SHAPES: dict[str, Callable[[], Result]] = {
    "middling": lambda: replace(pages.middling(), checks=CHECKS),
    "gaps": lambda: replace(pages.middling(GAPS, emulated=True), checks=CHECKS),
    "hostile": lambda: pages.hostile(HOSTILE),
    "huge": pages.huge,
    "long": lambda: pages.huge(grants=20, applications=5),
}
OPEN_ALL = "document.querySelectorAll('details').forEach(d => d.open = true)"
SHOWN = "[...document.querySelectorAll('#list > li:not([hidden])')].map(li => li.id.slice(2)).join(' ')"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(program("chromium"), tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A page as a file, made when it is first asked for."""
    folder = tmp_path_factory.mktemp("pages")

    def file(shape: str) -> Path:
        path = folder / f"{shape}.html"
        if not path.exists():
            path.write_text(audit_html.render(SHAPES[shape]()), encoding="utf-8")
        return path

    return file


@pytest.fixture
def show(browser: Browser, shapes: Callable[[str], Path]) -> Iterator[Callable[..., Page]]:
    opened: list[Page] = []

    def open_(shape: str = "middling", **how: Any) -> Page:
        opened.append(browser.open(shapes(shape), **how))
        return opened[-1]

    yield open_
    for page in opened:
        page.close()


def settle(page: Page) -> None:
    """Longer than the script waits after a key."""
    page.run("new Promise(done => setTimeout(done, 250))")


def write(page: Page, id_: str, said: str) -> None:
    """As a person does: into the field, key by key."""
    page.run(f"(field => {{ field.focus(); field.select() }})(document.getElementById({json.dumps(id_)}))")
    for key in said:
        page.press(key)
    settle(page)


def choose(page: Page, id_: str, value: str) -> None:
    page.run(
        f"(field => {{ field.value = {json.dumps(value)}; field.dispatchEvent(new Event('input', {{bubbles: true}})) }})"
        f"(document.getElementById({json.dumps(id_)}))"
    )
    settle(page)


@pytest.mark.parametrize("shape", ["middling", "gaps", "hostile", "huge"])
def test_nothing_leaves_it_and_nothing_goes_wrong(show: Callable[..., Page], shape: str) -> None:
    """One request, for the file itself; no word on the console; nothing that its policy had to stop; and it is there soon."""
    page = show(
        shape,
        before="window.stopped = []; addEventListener('securitypolicyviolation', e => stopped.push(e.violatedDirective))",
    )
    page.run(OPEN_ALL)
    settle(page)
    assert [event["request"]["url"].rpartition("/")[2] for event in page.events("Network.requestWillBeSent")] == [
        f"{shape}.html"
    ]
    assert (
        page.events("Runtime.exceptionThrown")
        == page.events("Runtime.consoleAPICalled")
        == page.events("Log.entryAdded")
        == []
    )
    assert page.run("stopped") == []
    took = page.run("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    assert took < 5000  # milliseconds, on a busy machine


def test_hostile_names_run_nothing(show: Callable[..., Page]) -> None:
    """Not while it loads, nor while it is filtered, sorted, pointed at, copied from."""
    page = show("hostile", before="window.alert = () => { window.hit = 'alert' }")
    page.run(OPEN_ALL)
    write(page, "text", "<script>")
    for order in ("check", "subject", "severity"):
        choose(page, "sort", order)
    page.run("document.querySelectorAll('td[data-r]').forEach(cell => cell.click())")
    page.run("document.querySelectorAll('[data-copy]').forEach(button => button.click())")
    page.run("document.getElementById('controls').reset()")
    settle(page)
    assert page.run("window.hit ?? 'nothing'") == "nothing"
    assert page.events("Page.javascriptDialogOpening") == page.events("Runtime.exceptionThrown") == []
    assert (
        page.run("document.querySelectorAll('iframe, base, img, object, embed, [onclick], [onerror], [onload]').length")
        == 0
    )
    assert page.run("document.querySelectorAll('script').length") == 2


def test_markup_that_came_in_would_be_stopped(browser: Browser, shapes: Callable[[str], Path]) -> None:
    """By the page's policy: a script, a handler, a style, a picture, a form, another base; each says so."""
    intruders = (
        "<script>window.hit = 1</script><p onclick='window.hit = 2' id='p'>x</p><p style='color: red'>y</p><style>body { display: none }</style>"
        "<img src='https://evil.example/x.png'><form action='https://evil.example/' id='f'></form><base href='https://evil.example/'>"
    )
    file = shapes("middling").with_name("intruded.html")
    whole = shapes("middling").read_text(encoding="utf-8")
    file.write_text(whole.replace("<footer>", f"{intruders}<footer>"), encoding="utf-8")
    page = browser.open(
        file,
        before="window.stopped = []; addEventListener('securitypolicyviolation', e => stopped.push(e.effectiveDirective))",
    )
    try:
        page.run("document.getElementById('p').click(); document.getElementById('f').submit()")
        settle(page)
        assert page.run("window.hit ?? 'nothing'") == "nothing"
        assert (
            page.run("document.baseURI.startsWith('file:') && getComputedStyle(document.body).display !== 'none'")
            is True
        )
        assert set(page.run("stopped")) == {
            "script-src-elem", "script-src-attr", "style-src-attr", "style-src-elem", "img-src", "form-action", "base-uri",
        }  # fmt: skip
    finally:
        page.close()


def test_findings_are_filtered_by_severity_check_and_text(show: Callable[..., Page]) -> None:
    page = show()
    every = " ".join(str(n) for n in range(1, 15))
    assert page.run(SHOWN) == every
    assert page.run("document.getElementById('found').textContent") == "Showing 14 findings"
    write(page, "text", "crm ENDED")
    assert page.run(SHOWN) == "11"
    assert page.run("document.getElementById('found').textContent") == "Showing 1 of 14 findings"
    page.run("document.querySelector('#controls [type=reset]').click()")
    settle(page)
    assert page.run(SHOWN) == every
    page.run("document.querySelectorAll('[name=severity]').forEach(box => { if (box.value !== 'high') box.click() })")
    settle(page)
    assert page.run(SHOWN) == "2 3 4"
    page.run("document.getElementById('check').focus()")
    for key in "smtp":
        page.press(key)
    settle(page)
    assert page.run("document.getElementById('check').value") == "smtp-mode-mixed"
    assert page.run(SHOWN) == "4"
    write(page, "text", "no such thing")
    assert page.run(SHOWN) == ""
    assert page.run("document.getElementById('nothing').hidden") is False


def test_findings_are_sorted(show: Callable[..., Page]) -> None:
    page = show()

    def sorted_by(order: str, what: str) -> list[str]:
        choose(page, "sort", order)
        found: list[str] = page.run(f"[...document.querySelectorAll('#list > li {what}')].map(e => e.textContent)")
        return found

    checks = sorted_by("check", ".check")
    assert checks[:3] == ["consent-without-grant", "credential-expired", "credential-expiring"]
    assert checks == sorted(checks)
    assert sorted_by("subject", "h3")[:3] == ["Backup365 (Fabrikam)", "Backup365 (Fabrikam)", "Contract Intake"]
    assert sorted_by("severity", ".badge")[:5] == ["critical", "high", "high", "high", "medium"]


def test_an_application_is_found_by_a_mailbox(show: Callable[..., Page]) -> None:
    """Which applications can open it?"""
    page = show()
    write(page, "which", "invoices@contoso.com")
    names = page.run("[...document.querySelectorAll('#views > details:not([hidden]) h3')].map(h => h.textContent)")
    assert names == ["Legacy CRM Connector", "Invoice Reader", "Support Desk Mail"]
    assert page.run("document.getElementById('matching').textContent") == "Showing 3 of 11 applications"


@pytest.mark.parametrize("clipboard", ["the browser's", "none"])
def test_a_command_is_copied_by_keyboard_and_that_is_said(
    show: Callable[..., Page], browser: Browser, clipboard: str
) -> None:
    """Politely, in a live region. Without the browser's clipboard an older way does it."""
    before = "" if clipboard == "the browser's" else "Object.defineProperty(navigator, 'clipboard', {value: undefined})"
    page = show(before=before)
    browser.send("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    page.send("Page.bringToFront")
    if before:
        page.run("window.copied = []; document.addEventListener('copy', () => copied.push(getSelection().toString()))")
    page.run(
        "document.querySelector('#f-2 details').open = true; document.querySelector('#f-2 [data-copy=fix-2-2]').focus()"
    )
    page.press("Enter")
    settle(page)
    command = f"New-ServicePrincipal -AppId '{pages.some_id(3)}' -ObjectId '{pages.some_id(2003)}' -DisplayName 'Legacy CRM Connector'"
    assert page.run("copied[0]" if before else "navigator.clipboard.readText()") == command
    assert page.run("document.getElementById('said').textContent") == "Copied"
    assert page.run("document.getElementById('said').getAttribute('role')") == "status"
    assert page.run("document.activeElement.textContent") == "Copied"


FOCUS = """(() => { const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
return {tag: e.tagName, id: e.id, said: e.textContent.slice(0, 40), place: [...document.querySelectorAll('*')].indexOf(e),
seen: [...document.elementsFromPoint(r.x + Math.min(9, r.width / 2), r.y + Math.min(9, r.height / 2))].slice(0, 9).some((n, i) => n === e || (i === 0 && e.contains(n)))
  && r.width > 1 && r.height > 1 && r.bottom > 0 && r.top < innerHeight && s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2} })()"""


def test_the_keyboard_reaches_everything_and_is_held_nowhere(show: Callable[..., Page]) -> None:
    """In the order of the page, each stop visible with its focus; past the last one it leaves the page."""
    page = show(prefers_reduced_motion="reduce")
    stops: list[dict[str, Any]] = []
    for _ in range(300):
        page.press("Tab")
        found = page.run(FOCUS)
        if found["tag"] == "BODY" or (stops and found["place"] <= stops[0]["place"]):
            break
        stops.append(found)
    assert (stops[0]["tag"], stops[0]["said"]) == ("A", "Skip to the findings")
    assert [stop for stop in stops if not stop["seen"]] == []
    places = [stop["place"] for stop in stops]
    assert places == sorted(set(places))
    reached = {stop["id"] for stop in stops}
    assert {"text", "check", "sort", "open", "which"} <= reached
    summaries = page.run("[...document.querySelectorAll('summary')].filter(s => s.checkVisibility()).length")
    assert sum(stop["tag"] == "SUMMARY" for stop in stops) == summaries > 20
    page.press("Tab", shift=True)
    assert page.run(FOCUS)["place"] <= max(places)


def test_the_keyboard_skips_opens_and_follows(show: Callable[..., Page]) -> None:
    page = show()
    page.press("Tab")
    page.press("Enter")
    settle(page)
    assert page.run("document.activeElement.id") == "main"
    page.run("document.querySelector('#f-1 summary').focus()")
    page.press(" ")
    assert page.run("document.querySelector('#f-1 details').open") is True
    page.run("document.querySelector('#f-1 .way a').focus()")
    page.press("Enter")
    settle(page)
    assert page.run("[document.getElementById('app-1').open, document.activeElement.parentElement.id]") == [
        True,
        "app-1",
    ]


def test_a_link_shows_what_a_filter_hides(show: Callable[..., Page]) -> None:
    page = show(prefers_reduced_motion="reduce")
    write(page, "text", "zzz")
    page.run("document.querySelector('#app-2').open = true; document.querySelector('#app-2 .links a').click()")
    settle(page)
    assert (
        page.run("document.querySelector('#f-2').checkVisibility() && document.querySelector('#f-2 details').open")
        is True
    )
    top = page.run("document.querySelector('#f-2').getBoundingClientRect().top")
    assert 0 < top < 100
    assert page.run("document.getElementById('text').value") == ""
    assert page.run("document.getElementById('found').textContent") == "Showing 14 findings"


def test_pointing_at_a_cell_reads_its_routes(show: Callable[..., Page]) -> None:
    page = show()
    spot = page.run("(r => ({x: r.x + r.width / 2, y: r.y + r.height / 2}))((c => { c.scrollIntoView({behavior: 'instant'}); return c.getBoundingClientRect() })"
                    "([...document.querySelectorAll('.grid td')].find(c => c.textContent === 'FS')))")  # fmt: skip
    page.send("Input.dispatchMouseEvent", type="mouseMoved", **spot)
    said = page.run("document.querySelector('.reading').textContent")
    assert said.endswith("Sends by SMTP: SendAs (recipient permission).")
    assert said.startswith("Support Desk Mail on s")
    assert "@contoso.com: Opens by IMAP; sends by SMTP: FullAccess (mailbox permission)." in said


def test_what_assistive_technology_is_told(show: Callable[..., Page]) -> None:
    """Each control has a name of its own kind; headings step down by one; landmarks; tables and their headers."""
    page = show("gaps")
    page.run(OPEN_ALL)
    page.send("Accessibility.enable")
    nodes = [node for node in page.send("Accessibility.getFullAXTree")["nodes"] if not node.get("ignored")]

    def role(node: dict[str, Any]) -> str:
        return str(node["role"]["value"])

    def said(node: dict[str, Any]) -> str:
        return str(node.get("name", {}).get("value", "")).strip()

    controls = {"link", "button", "checkbox", "combobox", "searchbox", "textbox", "DisclosureTriangle", "MenuListPopup"}
    found = [node for node in nodes if role(node) in controls - {"MenuListPopup"}]
    assert len(found) > 60
    assert [node for node in found if not said(node)] == []
    levels = [
        next(p["value"]["value"] for p in node["properties"] if p["name"] == "level")
        for node in nodes
        if role(node) == "heading"
    ]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    copies = [said(node) for node in found if role(node) == "button" and "command" in said(node)]
    assert set(copies) == {
        "Copy PowerShell command 1", "Copy PowerShell command 2", "Copy exosp command 1", "Copy exosp command 3",
        "Copy Microsoft Graph command 1",
    }  # fmt: skip
    roles = [role(node) for node in nodes]
    for landmark in ("banner", "navigation", "main", "contentinfo"):
        assert roles.count(landmark) == 1, landmark
    assert roles.count("search") == 2
    assert [
        node for node in nodes if role(node) in ("region", "navigation", "search", "table") and not said(node)
    ] == []
    assert page.run(
        "[...document.querySelectorAll('table')].every(t => t.caption && t.querySelector('thead th[scope=col]') && [...t.tBodies].every(b => [...b.rows].every(r => r.cells[0].scope === 'row')))"
    )
    assert page.run("document.documentElement.lang") == "en"
    assert page.run("[...document.querySelectorAll('[role=status]')].length") >= 3


CONTRAST = """(() => {
const parse = c => { const n = c.match(/[\\d.]+/g).map(Number); return n.length === 3 ? [...n, 1] : n };
const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3]));
const light = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 }); return .2126 * r + .7152 * g + .0722 * b };
const ground = e => { const layers = []; for (; e; e = e.parentElement) { const b = parse(getComputedStyle(e).backgroundColor); if (b[3]) layers.push(b); if (b[3] === 1) break }
  return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]) };
const bad = new Set(); let seen = 0;
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const e = walk.currentNode.parentElement;
  if (!walk.currentNode.data.trim() || !e.checkVisibility({visibilityProperty: true}) || e.closest('.unseen, script, style')) continue;
  const s = getComputedStyle(e), under = ground(e), ink = parse(e.closest('svg') ? s.fill : s.color);
  const [a, b] = [light(over(ink, under)), light(under)].sort((x, y) => y - x);
  seen += 1;
  if ((a + .05) / (b + .05) < 4.5) bad.add(`${e.tagName}.${e.className.baseVal ?? e.className}: ${((a + .05) / (b + .05)).toFixed(2)} ${walk.currentNode.data.trim().slice(0, 20)}`);
}
return [seen, [...bad]] })()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(show: Callable[..., Page], scheme: str) -> None:
    """4.5 to 1, in both schemes (WCAG 2, 1.4.3); and the schemes differ."""
    page = show("gaps", prefers_color_scheme=scheme)
    page.run(OPEN_ALL)
    seen, bad = page.run(CONTRAST)
    assert seen > 500
    assert bad == []
    dark = page.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every(part => part < 64)")
    assert dark is (scheme == "dark")


@pytest.mark.parametrize("shape", ["gaps", "hostile", "huge"])
def test_a_phone_needs_no_scrolling_aside(show: Callable[..., Page], shape: str) -> None:
    """At 360 px, everything open. The matrix and the sections' list scroll within themselves."""
    page = show(shape, width=360, height=740)
    page.run(OPEN_ALL)
    assert page.run("[document.documentElement.scrollWidth, innerWidth]") == [360, 360]
    beyond = page.run(
        "[...document.querySelectorAll('main *')].filter(e => !e.closest('.grid, svg, .unseen, thead') && e.getBoundingClientRect().right > 361)"
        ".map(e => e.tagName + '.' + e.className)"
    )
    assert beyond == []
    small = page.run(
        "[...document.querySelectorAll('button, select, input:not([type=checkbox]), summary')].filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 24).length"
    )
    assert small == 0


def paper(page: Page, folder: Path) -> str:
    """What a print-out says, in one line."""
    came = page.send("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
    file = folder / "page.pdf"
    file.write_bytes(base64.b64decode(came["data"]))
    done = subprocess.run(
        [program("pdftotext"), "-raw", str(file), "-"], capture_output=True, text=True, check=True, timeout=60
    )
    return " ".join(done.stdout.split())


def test_paper_has_all_of_it_and_no_controls(show: Callable[..., Page], tmp_path: Path) -> None:
    """Whatever is closed or filtered away on the screen; and the screen is as it was, afterwards."""
    page = show(prefers_color_scheme="dark")
    write(page, "text", "smtp")
    write(page, "which", "crm")
    said = paper(page, tmp_path)
    bare = said.replace(" ", "")
    for finding in pages.middling().findings:
        for part in (
            finding.statement,
            *(fix.command for fix in finding.fix),
            *(value for _, value in finding.evidence),
        ):
            assert part.replace(" ", "") in bare, part
    for part in (
        "How it is told: by its owners.",
        "secret crm 2 2027-04-10",
        "Moves to a certificate with release 9",
        "every mailbox: full_access_as_app",
    ):
        assert part.replace(" ", "") in bare, part
    for control in ("Copy", "Show all", "Open all", "Sort by", "Skip to"):
        assert control not in said, control
    assert page.run("document.querySelectorAll('details[open]').length") == 0
    assert page.run("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"


def test_paper_has_the_200_of_a_long_list(show: Callable[..., Page], tmp_path: Path) -> None:
    said = paper(show("long"), tmp_path)
    assert "The 200 gravest of 10,000" in said
    assert said.count("of many, about what is wrong here and why that matters.") >= 199
    assert "The last of all." in said


def test_who_wants_no_motion_sees_none(show: Callable[..., Page]) -> None:
    page = show(prefers_reduced_motion="reduce")
    assert page.run("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    page.run(OPEN_ALL)
    assert page.run("document.getAnimations().length") == 0


def test_it_is_whole_without_its_script(browser: Browser, shapes: Callable[[str], Path]) -> None:
    """And shows no control that would do nothing."""
    page = browser.open(shapes("middling"), script=False)
    try:
        assert page.run("[...document.querySelectorAll('#list > li')].filter(li => li.checkVisibility()).length") == 14
        assert (
            page.run("[...document.querySelectorAll('button, input, select')].filter(c => c.checkVisibility()).length")
            == 0
        )
        assert page.run("document.querySelector('.reading').checkVisibility()") is False
    finally:
        page.close()
