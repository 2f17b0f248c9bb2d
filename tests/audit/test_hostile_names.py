"""Whoever can name an application can write into a report. One corpus of such names stands in every place of a result, goes
through every form, and is read back by a reader that shares no code with ours: the structure is as it is for a name without
malice, the text is there, and nothing of it commands anything.

The page of HTML is held to the same here by html.parser; a browser reads it in ``test_html``.
"""

import csv
import io
import json
import re
import unicodedata
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tree_sitter_powershell
import xmlschema
from builders import ALL_READ, AT, application, mailbox, tenant
from markdown_it import MarkdownIt
from results import CHECKS, OVER, SET_ASIDE, WIDE, check, finding
from tree_sitter import Language, Node, Parser

from exosp.audit.judge import Ignored, Result, judge
from exosp.finding import Fix, Measures, Subject, quoted
from exosp.inventory import Coverage, Event, Grant
from exosp.report import audit_csv, audit_json, audit_view
from exosp.report.audit import FORMATS
from exosp.report.plain import plain
from exosp.snapshot import Address

DATA = Path(__file__).resolve().parents[1] / "data"
CORPUS: dict[str, str] = json.loads((DATA / "hostile_names.json").read_text(encoding="utf-8"))
MILD = "Support Desk Mail"
ID = "b8ebd514-2bc9-56e4-84f5-a8f065160df7"


def every(test: Callable[[str], None]) -> Callable[[], None]:
    """A test of all names, one after another: a test for each of them would take longer to begin than to run."""

    def run() -> None:
        faults = []
        for kind, name in CORPUS.items():
            try:
                test(name)
            except AssertionError as fault:
                faults.append(f"{kind}: {fault}"[:2000])
        assert not faults, f"{len(faults)} names: " + "\n\n".join(faults[:3])

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@cache
def planted(name: str) -> Result:
    """A result that has the name in every place into which a tenant, a settings file or a service's answer can bring it."""
    app = application("App", graph=["Mail.Read"], registration={"name": name}, principal={"name": name})
    box = replace(mailbox("a@contoso.com", full=[app], unresolved=[name], grants=[Grant("Folder", name, folder=name, role=name)]), address=Address(name))  # fmt: skip
    inventory = tenant(
        app, box, mailbox("b@contoso.com", unread=name),
        tenant=name, operator=name, cloud=name,
        coverage=Coverage(read=ALL_READ - {"transport", "last-use"}, missing={"transport": name, "last-use": name}, mailboxes={name: 3}, unread=1),
        events=(Event(AT - timedelta(days=1), name, name, app.app_id, "entra", name),),
    )  # fmt: skip
    about = [
        Subject("application", ID, name), Subject("trustee", name, name), Subject("mailbox", ID, name),
        Subject("application", ID, name, name), Subject("playbook", name, name),
    ]  # fmt: skip
    fixes = (Fix(f"Remove-MailboxPermission -Identity {quoted(name)} -User {quoted(name)}", "powershell"), Fix(name, "exosp"), Fix(f"Ask the owner of {name}."))  # fmt: skip
    found = [
        finding(subject=one, statement=f"The application {name} reads mail.", evidence=(("name", name), (name, name)), fix=fixes, detail=name)
        for one in about
    ]  # fmt: skip
    aside = replace(SET_ASIDE, subject=name, reason=name, where=name)
    judged = judge(inventory, Measures(privileged=(name,)), checks=(check(WIDE, found=tuple(found)),), version="1.2.3")
    return replace(
        judged,
        ignored=(Ignored(replace(found[0], check="owner-missing"), aside),),
        known=(replace(found[1], check="owner-missing"),),
        not_judged={"not-in-any-playbook": name},
        lapsed=(replace(OVER, subject=name, reason=name, where=name),),
        checks=CHECKS,
    )


@cache
def rendered(form: str, name: str) -> str:
    """``view`` and ``view-box`` are an application's and a mailbox's."""
    seen = planted(name)
    if form == "view":
        return audit_view.text(audit_view.view(seen, app=name), seen)
    if form == "view-box":
        return audit_view.text(audit_view.view(seen, mailbox=name), seen)
    return FORMATS[form][1](seen)


def shown(name: str, most: int = 0) -> str:
    """How a name is to be seen in a form that has no way to write every character."""
    said = re.sub(r"#(?=#\w*\[)", r"\\x23", plain(name))
    return said if not most or len(said) <= most else said[: most - 1] + "…"


def test_the_corpus():
    """It has every kind that there is to fear, each name once."""
    assert len(set(CORPUS.values())) == len(CORPUS) > 100
    kinds = Counter(kind.partition(":")[0] for kind in CORPUS)
    assert {
        "formula", "markdown", "html", "xml", "sarif", "terminal", "runner", "bidi", "unseen", "json", "odata", "opath", "powershell",
    } <= set(kinds)  # fmt: skip


# Every form

FORMS = [*(form for form in FORMATS if form != "html"), "view", "view-box"]  # the page of HTML takes longer, see below


@every
def test_nothing_unseen_is_written(name):
    """No control character, no bidi control, no zero width, no line separator: a terminal, an editor and a reviewer see what
    is there. Line breaks are the form's own, and all of it can be written as UTF-8."""
    nothing_unseen(name, FORMS)


def nothing_unseen(name: str, forms: list[str]) -> None:
    for form in forms:
        text = rendered(form, name)
        text.encode()
        unseen = {char for char in set(text) - set("\n\u200c\u200d") if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")}  # fmt: skip
        assert unseen <= ({"\r"} if form.startswith("csv") else set()), form
        assert text.count("\r") == (text.count("\r\n") if form.startswith("csv") else 0), form


COMMANDS = "add-mask|add-matcher|add-path|debug|echo|endgroup|error|group|notice|remove-matcher|save-state|set-env|set-output|stop-commands|warning"


@every
def test_no_line_commands_a_runner(name):
    """Of GitHub (both of its syntaxes), Azure Pipelines, TeamCity: each reads every line that a job prints."""
    no_commands(name, FORMS)


def no_commands(name: str, forms: list[str]) -> None:
    for form in forms:
        for line in rendered(form, name).splitlines():
            begin = line.lstrip()
            assert not re.match(rf"::({COMMANDS})[ :]", begin), (form, line)
            assert not begin.startswith(("::", "##teamcity[")), (form, line)
            assert "##[" not in line, (form, line)
            assert "##vso[" not in line, (form, line)


def test_a_runner_s_commands_would_be_seen():
    """The corpus does try."""
    assert any(re.match(rf"\s*::({COMMANDS})[ :]", line) for name in CORPUS.values() for line in name.splitlines())
    assert all(any(mark in name for name in CORPUS.values()) for mark in ("##[", "##vso[", "##teamcity["))


# JSON and SARIF


@every
def test_json_has_every_name_as_it_is(name):
    """Read by the standard library's reader, in each place; the digest holds."""
    found = json.loads(rendered("json", name))
    assert found == json.loads(json.dumps(audit_json.document(planted(name))))
    assert (found["tenant"], found["operator"], found["cloud"]) == (name, name, name)
    first = found["findings"][0]
    assert name in first["about"].values()
    assert (first["evidence"][0]["value"], first["detail"]) == (name, name)
    assert found["coverage"]["missing"]["transport"] == name
    assert found["ignored"][0]["ignored"]["reason"] == name
    assert found["notJudged"]["not-in-any-playbook"] == name
    assert found["events"][0]["who"] == name
    assert name in {row["holder"] for row in found["grants"]}
    assert found["sha256"] == audit_json.digest(found)


@every
def test_sarif_has_every_name_and_no_other_shape(name):
    """It stays valid; a name makes no link, no placeholder and no way out of its folder."""
    log = json.loads(rendered("sarif", name))
    assert [fault.message for fault in _sarif().iter_errors(log)] == []
    [run] = log["runs"]
    mild = json.loads(rendered("sarif", MILD))["runs"][0]
    assert len(run["results"]) == len(mild["results"]) == 6
    for result in run["results"]:
        about = result["properties"]["about"]
        assert name in about.values()
        message = re.sub(r"\{\{|\}\}", "", result["message"]["text"])
        assert not re.search(r"[{}]|\]\(", message)
        [place] = result["locations"]
        uri = place["physicalLocation"]["artifactLocation"]["uri"]
        assert re.fullmatch(r"([A-Za-z0-9_.~@-]|%[0-9A-F]{2}|/)*", uri)
        assert not uri.startswith("/")
        assert ".." not in uri.split("/")


@cache
def _sarif() -> Any:
    return jsonschema.Draft4Validator(json.loads((DATA / "sarif-schema-2.1.0.json").read_text(encoding="utf-8")))


# CSV

TRIGGERS = tuple("=+-@\t\r\n\x00\uff1d\uff0b\uff0d\uff20")


@every
def test_no_cell_is_a_formula(name):
    """However a spreadsheet parts the cells: by commas, as written, or by the semicolons or tabs of another language."""
    for form, delimiter in product(("csv", "csv-grants"), ",;\t"):
        for row in csv.reader(io.StringIO(rendered(form, name), newline=""), delimiter=delimiter):
            assert not [cell for cell in row if cell.strip(' "\u00a0').startswith(TRIGGERS)], delimiter


@every
def test_csv_keeps_rows_cells_and_text(name):
    """As many rows as findings, as many cells as columns, and the name in its own, but for the quote before a formula."""
    head, *rows = csv.reader(io.StringIO(rendered("csv", name), newline=""), strict=True)
    assert (len(rows), {len(row) for row in rows}) == (5, {len(head)})
    for row in rows:
        cell = row[head.index("name")]
        assert cell.replace("'", "") == shown(name).replace("'", "")
        assert cell == audit_csv.cell(name)
    assert len(list(csv.reader(io.StringIO(rendered("csv-grants", name), newline="")))) == len(planted(name).routes) + 1


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+1", "'=1+1"), ("@x", "'@x"), ("  -1", "  '-1"), ("\uff1d1", "'\uff1d1"), ("\t=1", "\\t=1"), ("a=b", "a=b"), ("a-b", "a-b"),
        ("a;=1", "a;'=1"), ('a,"=1', "a,\"'=1"), ("a, b", "a, b"), ("O'Brien", "O'Brien"), ("", ""),
    ],
)  # fmt: skip
def test_what_a_cell_is(name, cell):
    assert audit_csv.cell(name) == cell


# XML


@every
def test_junit_keeps_its_cases(name):
    """The same elements as for a name without malice, valid by the schema, and the name in a property as it is seen."""
    written = rendered("junit", name)
    assert [str(fault) for fault in _junit().iter_errors(written)] == []
    root = ET.fromstring(written.encode())
    assert [element.tag for element in root.iter()] == [
        element.tag for element in ET.fromstring(rendered("junit", MILD)).iter()
    ]
    values = {element.get("name"): element.get("value") for element in root.iter("property")}
    assert (values["tenant"], values["operator"]) == (shown(name), shown(name))
    assert any(f"{shown(name)} reads mail." in str(failure.text) for failure in root.iter("failure"))


@cache
def _junit() -> Any:
    return xmlschema.XMLSchema(str(DATA / "junit-10.xsd"))


# Markdown

INLINE = {"text", "code_inline", "softbreak", "strong_open", "strong_close"}


@every
def test_markdown_keeps_its_blocks(name):
    """By a reader of its own: the same headings, lists, tables and blocks of code as for a name without malice; no link, no
    picture, no HTML, no emphasis beyond ours. A mention or an address outside of code would call somebody."""
    tokens = _markdown(rendered("markdown", name))
    mild = _markdown(rendered("markdown", MILD))
    assert [(token.type, token.level, token.tag) for token in tokens] == [
        (token.type, token.level, token.tag) for token in mild
    ]
    inline = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in inline} <= INLINE
    strong = Counter(child.type for child in inline)["strong_open"]
    assert strong == Counter(child.type for token in mild for child in token.children or ())["strong_open"]
    for child in inline:
        if child.type == "text":
            assert not re.search(r"[@<>\[\]$#&\\`*_~]|://|www\.|:\w+:|\bgh-\d", child.content, re.IGNORECASE), (
                child.content
            )


@every
def test_markdown_keeps_the_text(name):
    """In code spans, which show every character but the blanks around it; a command is a block of one line,
    were it a name and nothing else."""
    tokens = _markdown(rendered("markdown", name))
    spans = [child.content for token in tokens for child in token.children or () if child.type == "code_inline"]
    said = shown(name, 200)
    if said.strip():
        assert said in spans
    fences = [token.content for token in tokens if token.type == "fence"]
    command = f"Remove-MailboxPermission -Identity {shown(quoted(name))} -User {shown(quoted(name))}"
    alone = re.sub(r"^(\s*):(?=:)", r"\1\\x3a", shown(name))  # it begins a line
    assert fences == [f"{command}\n", f"{alone}\n"] * 5


def _markdown(text: str) -> list[Any]:
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)


# The terminal


@every
def test_text_keeps_its_lines_and_the_text(name):
    """Marks stand where ours stand alone, lines keep to the width (but for an escape at their beginning) unless a word is
    longer, and the name can be read."""
    text = rendered("text", name)
    said = " ".join(shown(name, 200).split())
    assert said in " ".join(text.split())
    marked = [line for line in text.splitlines() if re.match(r"  [!~?·+] ", line)]
    mild = [line for line in rendered("text", MILD).splitlines() if re.match(r"  [!~?·+] ", line)]
    assert [line[:14] for line in marked if line[4:12] == "critical"] == [
        line[:14] for line in mild if line[4:12] == "critical"
    ]
    assert len(marked) == len(mild)
    long = [line for line in text.splitlines() if len(line) > 103 and not re.match(r" += (powershell|exosp): ", line)]
    assert all(max(map(len, line.split())) > 60 for line in long)


@every
def test_a_view_is_of_whom_it_was_asked(name):
    """A name is looked up as it is: nothing in it is a pattern, and the answer's document says it back unchanged."""
    seen = planted(name)
    if not name:
        return
    found = audit_view.view(seen, app=name)
    assert name in found.apps.values()
    assert {route.app_id for route in found.routes} == {"", *found.apps}  # the trustee of that name is meant too
    document = json.loads(audit_json.written(audit_view.document(found, seen)))
    assert (document["asked"]["application"], document["sha256"]) == (name, audit_json.digest(document))
    assert audit_view.view(seen, app=f"{name}*").apps == {}
    assert {box.address for box in audit_view.view(seen, mailbox=name).boxes} == {name}


# HTML


class Page(HTMLParser):
    """Every element with the names of its attributes, and every text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.texts: list[str] = []
        self.links: set[str] = set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(key for key, _ in attrs)))
        self.links |= {str(value) for key, value in attrs if key in ("href", "src", "action", "formaction", "srcdoc")}
        self.texts += [str(value) for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.slow
@every
def test_html_has_no_element_of_a_name(name):
    """As many of each dangerous element as for a name without malice, no handler of an event anywhere, no address that runs;
    nothing unseen, and no command of a runner."""
    nothing_unseen(name, ["html"])
    no_commands(name, ["html"])
    page, mild = Page(rendered("html", name)), Page(rendered("html", MILD))
    dangerous = {
        "script",
        "style",
        "iframe",
        "object",
        "embed",
        "svg",
        "img",
        "form",
        "link",
        "meta",
        "base",
        "textarea",
        "title",
    }
    count, usual = (Counter(tag for tag, _ in one.elements if tag in dangerous) for one in (page, mild))
    assert count == usual
    assert not [key for _, keys in page.elements for key in keys if key.startswith("on") or key == "srcdoc"]
    assert not [link for link in page.links if re.match(r"\s*(javascript|data:text|vbscript)", link, re.IGNORECASE)]


# PowerShell


def arguments(command: str) -> tuple[list[str], list[str]]:
    """The elements of a command as PowerShell's grammar has them, and where the parser lost its way."""
    root = Parser(Language(tree_sitter_powershell.language())).parse(command.encode()).root_node
    faults: list[str] = []
    found: list[str] = []

    def walk(node: Node) -> None:
        if node.type == "ERROR" or node.is_missing:
            faults.append(f"{node.start_point}")
        if node.type in ("command", "pipeline_chain_tail", "sub_expression", "verbatim_string_characters", "variable", "command_parameter"):  # fmt: skip
            found.append(f"{node.type}: {(node.text or b'').decode()}")
        for child in node.children:
            walk(child)

    walk(root)
    return found, faults


@every
def test_a_name_is_one_argument(name):
    """By a parser of its own: one command, one parameter, one string without expansion, that is the name less what cannot be
    seen."""
    written = quoted(name)
    found, faults = arguments(f"Get-Mailbox -Identity {written}")
    assert faults == []
    assert found == [
        f"command: Get-Mailbox -Identity {written}", "command_parameter: -Identity", f"verbatim_string_characters: {written}",
    ]  # fmt: skip
    assert unquoted(written) == "".join(char for char in name if char.isprintable())


def test_the_parser_can_tell():
    """What is not quoted is more than one argument."""
    found, _ = arguments("Get-Mailbox -Identity 'x'; Remove-Mailbox -Identity '*'; ''")
    assert sum(one.startswith("command: ") for one in found) == 2


def unquoted(written: str) -> str:
    """As PowerShell's tokenizer reads it, to whom the typographic quotes are quotes: two of them within are one."""
    quotes, inner = "'\u2018\u2019\u201a\u201b", ""
    assert written[0] == "'"
    rest = iter(written[1:])
    for char in rest:
        if char in quotes:
            char = next(rest, "")
            if not char:
                return inner
            assert char in quotes, "the string ends before its end"
        inner += char
    raise AssertionError("the string does not end")
