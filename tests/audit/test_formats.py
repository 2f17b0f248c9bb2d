"""An audit in every form: whole documents to the letter, held to the schemas that their readers hold them to."""

import csv
import io
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import xmlschema
from builders import AT, application, mailbox, role, tenant
from markdown_it import MarkdownIt
from results import DESK, ON_SALES, ROBOT, WIDE, check, finding, result, unread

from exosp.audit.judge import judge
from exosp.checks import CHECKS
from exosp.finding import Measures, Subject
from exosp.inventory import Coverage, Event, Inventory
from exosp.report import audit_csv, audit_json, audit_junit, audit_markdown, audit_sarif, audit_text, audit_view
from exosp.report.audit import FORMATS, form_of
from exosp.routes import routes

DATA = Path(__file__).resolve().parents[1] / "data"
MINE = [name for name in FORMATS if name != "html"]


def some(number: int, name: str = WIDE) -> list[Any]:
    return [finding(name, subject=Subject("application", f"id-{n:04}", f"App {n:04}")) for n in range(number)]


# The list of forms


def test_a_name_s_end_says_the_form():
    """The longest end counts, in any case of letters."""
    assert {name: form_of(f"Report{suffixes[0].upper()}") for name, (suffixes, _) in FORMATS.items()} == {
        name: name for name in FORMATS
    }
    assert [form_of(name) for name in ("a.sarif.json", "a.json", "a.grants.csv", "grants.csv", "a.markdown", "a", "a.pdf", "json")] == [
        "sarif", "json", "csv-grants", "csv", "markdown", None, None, None,
    ]  # fmt: skip


def test_the_list_imports_no_form():
    """Which one is needed, is known when it is asked for."""
    code = "import sys, exosp.report.audit; print(*(m for m in sys.modules if m.startswith('exosp.report.audit_')))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == []


@pytest.mark.parametrize("form", MINE)
def test_the_same_result_gives_the_same_report(form):
    """To the byte, and with a last line break."""
    _, render = FORMATS[form]
    assert render(result()) == render(result())
    assert render(result()).endswith("\n")


@pytest.mark.parametrize("form", MINE)
def test_the_order_of_reading_changes_nothing(form):
    """What a throttled tenant gives comes in another order."""
    seen = unread()
    coverage = replace(seen.inventory.coverage, mailboxes=dict(reversed(seen.inventory.coverage.mailboxes.items())))
    changes: Any = {
        name: getattr(seen.inventory, name)[::-1] for name in ("mailboxes", "events", "last_use", "principals")
    }
    mixed = replace(seen, inventory=replace(seen.inventory, coverage=coverage, **changes))
    assert FORMATS[form][1](mixed) == FORMATS[form][1](seen)


@pytest.mark.parametrize("form", FORMATS)
def test_a_tenant_without_anything_has_a_report(form):
    """Nothing was read, at no time that is known."""
    assert FORMATS[form][1](result(inventory=Inventory(), routes=(), findings=(), ignored=(), known=(), not_judged={}, lapsed=(), checks=()))  # fmt: skip


# Text


def test_the_whole_text():
    assert (
        audit_text.render(result())
        == """\
AUDIT of contoso.onmicrosoft.com (global)
As of 2026-11-01T12:00:00Z, read by auditor@contoso.com, exosp 1.2.3. 1,234 mailboxes (1,200 user,
34 shared) and 2 applications that matter to mail. Of permissions, 567 to people and 8,901 inherited
ones were counted and are not kept.

  ! critical  tenant-wide-mail-access: Tenant-wide access to mail
      Backup Robot (b8ebd514-2bc9-56e4-84f5-a8f065160df7)
        It can read every mailbox.
        - permission: Mail.Read
        - logged: 2026-10-30 12:00 Consent to application, by ann@contoso.com: Mail.Read
        = exosp: exosp audit --app 'b8ebd514-2bc9-56e4-84f5-a8f065160df7'
        = help: Ask its owner.

  ? low       unresolved-trustee: A title
      S-1-5-21-1-2-3-4
        Nobody resolves it.
        - mailboxes: old@contoso.com

Who reaches what: 2 applications by routes that are open, 1 by none.
    Backup Robot (b8ebd514-2bc9-56e4-84f5-a8f065160df7): every mailbox, by graph
    Support Desk Mail (f2966ad7-a09c-57df-bdca-d403e807cf2e): 1 mailbox, by imap; on 1 mailbox
      something is lacking
    S-1-5-21-1-2-3-4 (nobody resolves it): nothing; on 1 mailbox something is lacking

1 finding is set aside, 1 known from the baseline.
    owner-missing: Support Desk Mail (f2966ad7-a09c-57df-bdca-d403e807cf2e): INC-4711: handed over
      in spring (until 2026-12-31)
1 exception does nothing:
    audit.yaml:8: unused-access, Old *: its last day is over
1 check could not judge:
  ? not-in-any-playbook: no playbooks were given
Not had, and not needed for the rest:
  ? last-use: no licence for it

1 critical, 1 low.
SHA-256 of the JSON report: """
        + audit_json.document(result())["sha256"]
        + "\n"
    )


def test_text_of_an_audit_that_is_not_whole():
    """It says so where the findings are counted, and no finding is no all-clear."""
    shown = audit_text.render(unread(findings=()))
    assert (
        """\

This audit is not whole:
  ! 3 mailboxes could not be read: hr@contoso.com (Exchange answered 503); it@contoso.com (Exchange
    answered 504); 1 more
  ! transport: not allowed
No findings in what was read.
"""
        in shown
    )
    inventory = replace(result().inventory, coverage=Coverage(interrupted=True))
    assert "  ! it was interrupted before all was read\n" in audit_text.render(result(inventory=inventory))


@pytest.mark.parametrize("width", [50, 72, 100, 140])
def test_text_keeps_to_its_width(width):
    """Commands alone are never broken: they are there to be copied."""
    lines = audit_text.render(unread(), width).splitlines()
    assert [line for line in lines if len(line) > width and " exosp: " not in line and "SHA-256" not in line] == []
    assert any(len(line) > width - 12 for line in lines)
    assert "        = exosp: exosp audit --app 'b8ebd514-2bc9-56e4-84f5-a8f065160df7'" in lines


def test_long_lists_are_counted():
    """The first ten of a check, the first twenty applications, and where the rest is."""
    many = result(findings=tuple(some(12) + some(10, "owner-missing")), routes=_many_routes(25))
    shown = audit_text.render(many)
    assert (shown.count("\n      App "), shown.count("    Robot ")) == (20, 20)
    assert "tenant-wide-mail-access (12): " in shown
    assert "      … and 2 more of tenant-wide-mail-access; all of them are in the JSON report\n" in shown
    assert "    … and 5 more; all of them are in the JSON report\n" in shown
    written = audit_markdown.render(many)
    assert (written.count("\n- **`App "), written.count("\n- `Robot ")) == (20, 20)
    assert "\n… and 2 more; all of them are in the JSON report.\n" in written
    assert "\n- … and 5 more; all of them are in the JSON report\n" in written
    document = audit_json.document(many)
    assert (len(document["findings"]), len(document["grants"])) == (22, 25)


def test_markdown_fits_into_a_comment():
    """GitHub takes 65,536 characters; what has no room is counted, check by check."""
    found = [replace(one, evidence=(("mailboxes", "x" * 900),)) for n in range(38) for one in some(12, f"check-{n:02}")]
    written = audit_markdown.render(result(findings=tuple(found)))
    assert 45_000 < len(written) < 65_536
    assert (written.count("\n### "), written.count("\n12 findings.\n")) == (38, 38)
    left = [
        int(number)
        for number in re.findall(r"^… and (\d+) more; all of them are in the JSON report\.$", written, re.MULTILINE)
    ]
    assert sum(left) + written.count("\n- **`App ") == 38 * 12
    assert len(left) == 38


def test_the_last_of_what_was_logged_stands_with_a_finding():
    """Of the application by any of its ids, of the mailbox by its address; the newest three."""
    times = [AT - timedelta(days=n) for n in range(5)]
    names = [ROBOT.app_id, ROBOT.object_id, ROBOT.registrations[0].object_id, "backup robot", "other"]
    events = [
        Event(at, "ann", f"change {n}", name, "entra") for n, (at, name) in enumerate(zip(times, names, strict=True))
    ]
    events.append(Event(times[0], "bob", "Add-MailboxPermission", "sales@contoso.com", "exchange"))
    inventory = replace(result().inventory, events=tuple(events))
    shown = audit_text.render(result(inventory=inventory, findings=(finding(), finding("x", "low", ON_SALES))))
    assert re.findall(r"- logged: \S+ \S+ (.*)", shown) == ["change 0, by ann", "change 1, by ann", "change 2, by ann", "Add-MailboxPermission, by bob"]  # fmt: skip
    seen = audit_view.view(result(inventory=inventory), app="Backup Robot")
    assert [event.change for event in seen.events] == ["change 0", "change 1", "change 2", "change 3"]


def _many_routes(number: int) -> Any:
    robots = [application(f"Robot {n:02}", graph=["Mail.Read"]) for n in range(number)]
    return tuple(routes(tenant(*robots)))


def test_who_reaches_most_comes_first():
    """Every mailbox before many, many before few, few before a scope alone, and nothing last."""
    wide, many, few, scoped, none = (
        application("a-wide", graph=["Mail.Send"]), application("b-many", "IMAP.AccessAsApp", "POP.AccessAsApp"),
        application("a-few", "IMAP.AccessAsApp"), application("z-scoped", roles=[role("Application Mail.Read")]),
        application("a-none", "IMAP.AccessAsApp"),
    )  # fmt: skip
    inventory = tenant(
        none, scoped, few, many, wide, mailbox("x@contoso.com", full=[many, few]), mailbox("y@contoso.com", full=[many])
    )
    shown = audit_text.render(result(inventory=inventory, routes=tuple(routes(inventory)), findings=()), 200)
    assert re.findall(r"^    (\S+) \(.{36}\): (.*)$", shown, re.MULTILINE) == [
        ("a-wide", "every mailbox, by graph"),
        ("b-many", "2 mailboxes, by imap, pop"),
        ("a-few", "1 mailbox, by imap"),
        ("z-scoped", "management scope Helpdesk, by graph"),
        ("a-none", "nothing"),
    ]


# JSON


def test_the_json_document():
    """What INTERFACES promises, and beside it what a reader needs to judge it."""
    found = json.loads(audit_json.render(result()))
    assert list(found) == [
        "schema", "cloud", "tenant", "version", "tenantId", "operator", "time", "coverage", "counts", "measures", "findings",
        "ignored", "known", "notJudged", "lapsed", "grants", "events", "lastUse", "sha256",
    ]  # fmt: skip
    assert [found[name] for name in ("schema", "cloud", "tenant", "version", "operator", "time")] == [
        "exosp/audit/1", "global", "contoso.onmicrosoft.com", "1.2.3", "auditor@contoso.com", "2026-11-01T12:00:00Z",
    ]  # fmt: skip
    assert found["findings"][0] == {
        "check": "tenant-wide-mail-access",
        "severity": "critical",
        "confidence": "high",
        "subject": "Backup Robot (b8ebd514-2bc9-56e4-84f5-a8f065160df7)",
        "statement": "It can read every mailbox.",
        "evidence": [{"name": "permission", "value": "Mail.Read"}],
        "fix": [
            {"command": "exosp audit --app 'b8ebd514-2bc9-56e4-84f5-a8f065160df7'", "shell": "exosp"},
            {"command": "Ask its owner.", "shell": ""},
        ],
        "about": {"kind": "application", "id": ROBOT.app_id, "name": "Backup Robot", "mailbox": ""},
        "detail": "",
        "fingerprint": "392fb177355d28568fffcb71553b64c4",
    }
    assert found["counts"] == {"critical": 1, "high": 0, "medium": 0, "low": 1, "info": 0}
    assert found["measures"] == {"privileged": ["ceo@contoso.com"], "expiring": "30d", "longest": "366d", "unused": "90d", "widest": 100}  # fmt: skip
    assert [one["ignored"] for one in found["ignored"]] == [
        {"check": "owner-missing", "subject": "Support *", "reason": "INC-4711: handed over in spring", "until": "2026-12-31", "where": "audit.yaml:4"}
    ]  # fmt: skip
    assert [one["check"] for one in found["known"]] == ["owner-missing"]
    assert found["notJudged"] == {"not-in-any-playbook": "no playbooks were given"}
    assert [one["why"] for one in found["lapsed"]] == ["its last day is over"]
    assert found["events"] == [
        {"time": "2026-10-30T12:00:00Z", "who": "ann@contoso.com", "change": "Consent to application", "subject": ROBOT.object_id, "log": "entra", "detail": "Mail.Read"}
    ]  # fmt: skip
    assert {use["application"]: use["asApplication"] for use in found["lastUse"]}[DESK.app_id] == "2026-10-31T12:00:00Z"
    coverage = found["coverage"]
    assert (coverage["whole"], coverage["people"], coverage["inherited"]) == (True, 567, 8901)
    assert (coverage["missing"], coverage["mailboxes"]) == (
        {"last-use": "no licence for it"},
        {"user": 1200, "shared": 34},
    )


def test_grants_are_the_routes():
    """Those that lack something say what; a trustee that nobody resolves has no application; null is every mailbox."""
    grants = json.loads(audit_json.render(result()))["grants"]
    said = [(row["holder"], row["mailbox"], row["door"], row["open"], row["lacks"], row["resolved"]) for row in grants]
    assert sorted(said, key=str) == [
        ("Backup Robot", None, "graph", True, [], True),
        ("S-1-5-21-1-2-3-4", "old@contoso.com", "imap", False, ["a trustee that somebody resolves"], False),
        ("Support Desk Mail", "sales@contoso.com", "imap", False, ["IMAP on"], True),
        ("Support Desk Mail", "support@contoso.com", "imap", True, [], True),
    ]
    assert [row["application"] for row in grants if not row["resolved"]] == [None]


def test_an_emulated_tenant_s_report_says_so():
    """In every form that has a place for it."""
    emulated = result(inventory=replace(result().inventory, emulated=True))
    assert json.loads(audit_json.render(emulated))["emulated"] is True
    assert "emulated" not in json.loads(audit_json.render(result()))
    for form in ("text", "markdown", "sarif", "junit"):
        assert "emulated" in FORMATS[form][1](emulated)
        assert "emulated" not in FORMATS[form][1](result())


def test_the_digest_is_of_all_the_rest():
    """As the module says how to check it; one letter changed anywhere is seen, however the file is laid out."""
    written = audit_json.render(result())
    [command] = re.findall(r"python3 -c '(.*?)' < report", re.sub(r"\s*\n\s*", " ", str(audit_json.__doc__)))
    checks = [written, json.dumps(json.loads(written)), written.replace("Backup Robot", "Backup Robots", 1)]
    said = [
        subprocess.run([sys.executable, "-c", command], input=text, capture_output=True, text=True, check=True).stdout
        for text in checks
    ]
    assert said == ["True\n", "True\n", "False\n"]


def test_other_reports_name_the_json_report():
    """By its digest, so that what belongs together can be told."""
    digest = audit_json.document(result())["sha256"]
    for form in ("text", "markdown", "sarif", "junit"):
        assert digest in FORMATS[form][1](result())


# CSV


def test_the_whole_csv():
    """A row a finding, each cell in quotes, lines as RFC 4180 ends them."""
    assert audit_csv.render(result()).split("\r\n") == [
        '"severity","confidence","check","subject","kind","id","name","mailbox","detail","statement","evidence","fix","fingerprint"',
        f'"critical","high","tenant-wide-mail-access","Backup Robot ({ROBOT.app_id})","application","{ROBOT.app_id}","Backup Robot","","","It can read every mailbox.","permission: Mail.Read","exosp audit --app \'{ROBOT.app_id}\'; Ask its owner.","392fb177355d28568fffcb71553b64c4"',
        '"low","high","unresolved-trustee","S-1-5-21-1-2-3-4","trustee","S-1-5-21-1-2-3-4","S-1-5-21-1-2-3-4","","","Nobody resolves it.","mailboxes: old@contoso.com","","9a44a327a720eb2ef6471d11ee31137a"',
        "",
    ]


def test_grants_as_csv():
    rows = list(csv.DictReader(io.StringIO(audit_csv.grants(result()))))
    assert [(row["holder"], row["mailbox"], row["open"], row["lacks"], row["resolved"]) for row in rows] == [
        ("Backup Robot", "(every mailbox)", "yes", "", "yes"),
        ("Support Desk Mail", "sales@contoso.com", "no", "IMAP on", "yes"),
        ("Support Desk Mail", "support@contoso.com", "yes", "", "yes"),
        ("S-1-5-21-1-2-3-4", "old@contoso.com", "no", "a trustee that somebody resolves", "no"),
    ]


# Markdown


def test_the_whole_markdown():
    digest = audit_json.document(result())["sha256"]
    assert (
        audit_markdown.render(result())
        == f"""\
# Audit of `contoso.onmicrosoft.com`

- Cloud: `global`
- As of: `2026-11-01T12:00:00Z`
- Read by: `auditor@contoso.com`
- Version: exosp `1.2.3`
- Read: 1,234 mailboxes (1,200 user, 34 shared) and 2 applications that matter to mail. Of permissions, 567 to people and 8,901 inherited ones were counted and are not kept.

| 🟥 critical | 🟧 high | 🟨 medium | 🟦 low | ⬜ info |
| --: | --: | --: | --: | --: |
| 1 | 0 | 0 | 1 | 0 |

## Findings

### 🟥 critical: `tenant-wide-mail-access`: Tenant-wide access to mail

- **`Backup Robot`** (`{ROBOT.app_id}`): It can read every mailbox.
  - permission: `Mail.Read`
  - logged: `2026-10-30 12:00 Consent to application, by ann@contoso.com: Mail.Read`
  - Fix (exosp):

    ```sh
    exosp audit --app '{ROBOT.app_id}'
    ```

  - Fix: Ask its owner.

### 🟦 low: `unresolved-trustee`: A title

- **`S-1-5-21-1-2-3-4`**: Nobody resolves it.
  - mailboxes: `old@contoso.com`

## Who reaches what

- `Backup Robot` (`{ROBOT.app_id}`): every mailbox, by graph
- `Support Desk Mail` (`{DESK.app_id}`): 1 mailbox, by imap; on 1 mailbox something is lacking
- `S-1-5-21-1-2-3-4` (nobody resolves it): nothing; on 1 mailbox something is lacking

## Not among the findings

1 finding is set aside, 1 known from the baseline.

- `owner-missing`: `Support Desk Mail ({DESK.app_id})`: INC-4711: handed over in spring (until 2026-12-31)

## Exceptions that do nothing

- `unused-access`, `Old *`: its last day is over (`audit.yaml:8`)

## Checks that could not judge

- `not-in-any-playbook`: no playbooks were given

## Not had, and not needed for the rest

- last-use: no licence for it

SHA-256 of the JSON report: `{digest}`
"""
    )


def test_markdown_renders_as_meant():
    """By a reader of its own: a command is a block of code below its finding, the counts are a table."""
    tokens = MarkdownIt("commonmark").enable("table").parse(audit_markdown.render(unread()))
    kinds = [token.type for token in tokens]
    assert kinds.count("table_open") == 1
    [fence] = [token for token in tokens if token.type == "fence"]
    assert (fence.info, fence.content, fence.level) == ("sh", f"exosp audit --app '{ROBOT.app_id}'\n", 4)
    assert any(token.content.startswith("**This audit is not whole:**") for token in tokens)


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("It reads mail.", "It reads mail."),
        ("by Mail.Read.", "by `Mail.Read`."),
        ("on ceo@contoso.com, and (x@y.z)", "on `ceo@contoso.com`, and (`x@y.z`)"),
        ("1,234 mailboxes; 50% (of 3.5)", "1,234 mailboxes; 50% (of 3.5)"),
        ("[a](b) **c** `d` <e> @f #1", "`[a](b`) `**c**` `` `d` `` `<e>` `@f` `#1`"),
        ("... :) ::x::", "`...` `:)` `::x`::"),
        ("GH-1 https://x.y. www.x.y", "`GH-1` `https://x.y`. `www.x.y`"),
        ("Bob's, O\u2019Brien - x", "Bob's, O\u2019Brien `-` x"),
        ("", ""),
    ],
)
def test_what_a_sentence_is(said, written):
    """Words are words; what could be a link, a mention, a picture or a tag is code, without the marks around it."""
    assert audit_markdown.sentence(said) == written


# SARIF


@cache
def sarif_schema() -> Any:
    return jsonschema.Draft4Validator(json.loads((DATA / "sarif-schema-2.1.0.json").read_text(encoding="utf-8")))


def sarif(of: Any) -> Any:
    """The log, held to the schema that OASIS publishes; its one run."""
    log = json.loads(audit_sarif.render(of))
    faults = [
        f"{'/'.join(map(str, fault.absolute_path))}: {fault.message:.200}" for fault in sarif_schema().iter_errors(log)
    ]
    assert faults == []
    [run] = log["runs"]
    names = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(set(names)) == len(names)
    assert all(names[one["ruleIndex"]] == one["ruleId"] for one in run["results"])
    return run


def test_the_schema_can_refuse():
    """What is held to it could fail."""
    log = json.loads(audit_sarif.render(result()))
    del log["runs"][0]["results"][0]["message"]
    assert not sarif_schema().is_valid(log)
    assert sarif_schema().schema["id"] == audit_sarif.SCHEMA == log["$schema"]


def test_sarif_of_a_whole_audit():
    """Rules with their manuals, results with level, fingerprint and place, exceptions as suppressions with their reason."""
    run = sarif(result())
    rule = run["tool"]["driver"]["rules"][0]
    assert (rule["id"], rule["shortDescription"]["text"]) == (WIDE, "Tenant-wide access to mail")
    assert (
        rule["fullDescription"]["text"]
        == "It reaches every mailbox: {{braces}} and [links] (https://example.com) are text here."
    )
    assert rule["help"]["markdown"].endswith("\n\nWhat to do: narrow it.")
    assert (rule["defaultConfiguration"], rule["properties"]["security-severity"], rule["properties"]["precision"]) == (
        {"level": "error"}, "9.5", "high",
    )  # fmt: skip
    first, second, aside = run["results"]
    assert (first["level"], first["message"]["text"]) == ("error", "It can read every mailbox.")
    assert first["partialFingerprints"]["exosp/v1"] == "392fb177355d28568fffcb71553b64c4"
    assert first["locations"] == [
        {
            "physicalLocation": {"artifactLocation": {"uri": f"tenant/application/{ROBOT.app_id}"}, "region": {"startLine": 1}},
            "logicalLocations": [{"name": "Backup Robot", "fullyQualifiedName": f"application/{ROBOT.app_id}", "kind": "application"}],
        }
    ]  # fmt: skip
    assert (second["level"], [one["suppressions"] for one in (first, second)]) == ("note", [[], []])
    assert [(one["kind"], one["status"], one["justification"]) for one in aside["suppressions"]] == [
        ("external", "accepted", "INC-4711: handed over in spring (until 2026-12-31)")
    ]
    assert run["properties"]["known"] == [result().known[0].fingerprint]
    [invocation] = run["invocations"]
    assert (invocation["executionSuccessful"], "exitCode" in invocation) == (True, False)
    assert [(one["descriptor"]["id"], one["level"]) for one in invocation["toolExecutionNotifications"]] == [
        ("not-had", "note"), ("not-judged", "note"),
    ]  # fmt: skip
    assert [one["message"]["text"] for one in invocation["toolConfigurationNotifications"]] == [
        "audit.yaml:8: unused-access, Old *: its last day is over"
    ]


def test_sarif_of_an_audit_that_is_not_whole():
    """No log of it says that it succeeded."""
    [invocation] = sarif(unread())["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 1)
    assert [one["message"]["text"] for one in invocation["toolExecutionNotifications"] if one["level"] == "error"] == [
        "3 mailboxes could not be read: hr@contoso.com (Exchange answered 503); it@contoso.com (Exchange answered 504); 1 more", "transport: not allowed",
    ]  # fmt: skip


def test_every_check_is_a_rule_with_its_manual():
    """Of those there are, whether it found something or not."""
    judged = judge(tenant(wanted=()), Measures(), version="1.2.3")
    rules = sarif(judged)["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [one.name for one in CHECKS]
    assert all(len(rule["shortDescription"]["text"]) <= 100 and rule["fullDescription"]["text"] for rule in rules)
    assert all(rule["help"]["text"].startswith(one.title) for rule, one in zip(rules, CHECKS, strict=True))
    assert [case.get("classname") for case in junit(judged).iter("testcase")] == [
        "exosp.audit.coverage", *(f"exosp.audit.{one.name}" for one in CHECKS),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("subject", "path"),
    [
        (ON_SALES, f"tenant/application/{DESK.app_id}/sales@contoso.com"),
        (Subject("tenant", "tenant", "contoso"), "tenant/tenant/tenant"),
        (Subject("playbook", "playbooks/support desk.yaml", "x"), "playbooks/support%20desk.yaml"),
        (Subject("playbook", "/srv//./a\\b.yaml", "x"), "srv/a/b.yaml"),
        (Subject("playbook", "../../etc/passwd", "x"), "%2E%2E/%2E%2E/etc/passwd"),
        (Subject("trustee", "CONTOSO\\old/x?#%", "x"), "tenant/trustee/CONTOSO%5Cold%2Fx%3F%23%25"),
        (Subject("trustee", "..", "x"), "tenant/trustee/%2E%2E"),
    ],
)
def test_each_result_has_a_path(subject, path):
    """GitHub takes no log in which one has none; it stays below its folder."""
    [found] = sarif(result(findings=(finding(subject=subject),), ignored=()))["results"]
    assert found["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == path


@pytest.mark.parametrize(
    ("severity", "level", "number"),
    [("critical", "error", "9.5"), ("high", "error", "8.0"), ("medium", "warning", "5.5"), ("low", "note", "2.0"), ("info", "note", None)],
)  # fmt: skip
def test_levels_of_sarif(severity, level, number):
    run = sarif(result(findings=(finding(severity=severity),)))
    assert run["results"][0]["level"] == level
    assert run["tool"]["driver"]["rules"][0]["properties"].get("security-severity") == number


def test_a_rule_without_a_check_is_a_rule():
    """Findings that were kept of a check that is no more."""
    run = sarif(result(findings=(finding("gone-check"),), checks=()))
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["gone-check", "owner-missing"]


# JUnit


@cache
def junit_schema() -> Any:
    return xmlschema.XMLSchema(str(DATA / "junit-10.xsd"))


def junit(of: Any) -> ET.Element:
    """The document, held to the schema that Jenkins reads by, and to what Surefire's asks beyond it."""
    written = audit_junit.render(of)
    assert [str(fault) for fault in junit_schema().iter_errors(written)] == []
    root = ET.fromstring(written.encode())
    [suite] = root
    cases = suite.findall("testcase")
    assert {key: int(suite.attrib[key]) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": len(cases), "failures": len(suite.findall("*/failure")), "errors": 0, "skipped": len(suite.findall("*/skipped")),
    }  # fmt: skip
    assert all(failure.get("type") for failure in suite.findall("*/failure"))
    assert len({(case.get("classname"), case.get("name")) for case in cases}) == len(cases)
    return suite


def test_that_schema_can_refuse():
    written = audit_junit.render(result())
    assert not junit_schema().is_valid(written.replace("<failure ", "<failed ").replace("</failure>", "</failed>"))


def test_the_whole_junit():
    """A case a check: failed where it found something, skipped where it could not judge, and one for whether all was read."""
    junit(result())
    digest = audit_json.document(result())["sha256"]
    assert (
        audit_junit.render(result())
        == f"""\
<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="exosp audit" tests="5" failures="2" errors="0" time="0">
  <testsuite name="exosp audit contoso.onmicrosoft.com" tests="5" failures="2" errors="0" skipped="1" time="0" timestamp="2026-11-01T12:00:00">
    <properties>
      <property name="tenant" value="contoso.onmicrosoft.com" />
      <property name="tenant id" value="11111111-2222-3333-4444-555555555555" />
      <property name="cloud" value="global" />
      <property name="operator" value="auditor@contoso.com" />
      <property name="time" value="2026-11-01T12:00:00Z" />
      <property name="version" value="1.2.3" />
      <property name="sha256 of the JSON report" value="{digest}" />
    </properties>
    <testcase classname="exosp.audit.coverage" name="everything was read" time="0" />
    <testcase classname="exosp.audit.tenant-wide-mail-access" name="Tenant-wide access to mail" time="0">
      <failure type="critical" message="1 finding: Backup Robot ({ROBOT.app_id})">critical: Backup Robot ({ROBOT.app_id}): It can read every mailbox.
  permission: Mail.Read
  fix: exosp audit --app '{ROBOT.app_id}'
  fix: Ask its owner.
  fingerprint: 392fb177355d28568fffcb71553b64c4</failure>
    </testcase>
    <testcase classname="exosp.audit.owner-missing" name="A title" time="0">
      <system-out>set aside: Support Desk Mail ({DESK.app_id}): INC-4711: handed over in spring (until 2026-12-31)
known: Backup Robot ({ROBOT.app_id}): It can read every mailbox.</system-out>
    </testcase>
    <testcase classname="exosp.audit.not-in-any-playbook" name="A title" time="0">
      <skipped message="no playbooks were given" />
    </testcase>
    <testcase classname="exosp.audit.unresolved-trustee" name="A title" time="0">
      <failure type="low" message="1 finding: S-1-5-21-1-2-3-4">low: S-1-5-21-1-2-3-4: Nobody resolves it.
  mailboxes: old@contoso.com
  fingerprint: 9a44a327a720eb2ef6471d11ee31137a</failure>
    </testcase>
  </testsuite>
</testsuites>
"""
    )


def test_junit_is_not_green_on_a_tenant_read_in_part():
    """Where no check found anything either."""
    suite = junit(unread(findings=()))
    [failure] = suite.iter("failure")
    assert failure.get("type") == "coverage"
    assert failure.text == "not read: 3 mailboxes could not be read: hr@contoso.com (Exchange answered 503); it@contoso.com (Exchange answered 504); 1 more\nnot read: transport: not allowed"  # fmt: skip
    assert list(junit(result(findings=())).iter("failure")) == []


def test_several_findings_are_one_failure():
    """Of the gravest severity, with all of them."""
    found = [finding("owner-missing", "low"), finding("owner-missing", "medium", ON_SALES)]
    [failure] = junit(result(findings=tuple(found), checks=(check("owner-missing"),))).iter("failure")
    assert failure.get("type") == "medium"
    assert failure.get("message") == f"2 findings: Backup Robot ({ROBOT.app_id}) and others"
    assert str(failure.text).count("fingerprint: ") == 2


# One application, one mailbox


def test_what_can_an_application_open():
    """By its name, appId or object ID, in any case."""
    whole = result()
    for asked in ("support desk mail", DESK.app_id.upper(), DESK.object_id, DESK.registrations[0].object_id):
        seen = audit_view.view(whole, app=asked)
        assert seen.apps == {DESK.app_id: "Support Desk Mail"}
        assert [(route.mailbox, route.is_open) for route in seen.routes] == [("sales@contoso.com", False), ("support@contoso.com", True)]  # fmt: skip
    assert (
        audit_view.text(audit_view.view(whole, app="Support Desk Mail"), whole)
        == f"""\
What Support Desk Mail can open: 1 mailbox by name; 1 route is open, 1 not.

Support Desk Mail ({DESK.app_id})
  + imap open: support@contoso.com, by mailbox permission FullAccess
  ~ imap open: sales@contoso.com, by mailbox permission FullAccess
      - lacks IMAP on
"""
    )


def test_which_applications_can_open_a_mailbox():
    """Those that hold something on it, and those that reach every mailbox; with what is wrong with them, and what logs say."""
    whole = result(findings=(finding(), finding("owner-missing", "low", ON_SALES), finding("x", "low", Subject("application", "other", "Other"))))  # fmt: skip
    seen = audit_view.view(whole, mailbox="SALES@contoso.com")
    assert (
        audit_view.text(seen, whole)
        == f"""\
Who can open SALES@contoso.com: 1 application; 1 route is open, 1 not.

Backup Robot ({ROBOT.app_id})
  + graph read: every mailbox, by application permission Mail.Read

Support Desk Mail ({DESK.app_id})
  ~ imap open: sales@contoso.com, by mailbox permission FullAccess
      - lacks IMAP on

What is wrong with it:
  ! critical  tenant-wide-mail-access
      Backup Robot ({ROBOT.app_id})
        It can read every mailbox.
        = exosp: exosp audit --app '{ROBOT.app_id}'
        = help: Ask its owner.
  ? low       owner-missing
      Support Desk Mail ({DESK.app_id}) on sales@contoso.com
        It can read every mailbox.
        = exosp: exosp audit --app '{DESK.app_id}'
        = help: Ask its owner.
"""
    )


def test_what_the_logs_say_of_an_application():
    whole = result()
    shown = audit_view.text(audit_view.view(whole, app="Backup Robot"), whole)
    assert (
        "What the logs say of it:\n    2026-10-30 12:00 Consent to application, by ann@contoso.com: Mail.Read\n"
        in shown
    )


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"app": "Nobody"}, "No application that matters to mail is called Nobody or has that id"),
        (
            {"mailbox": "nobody@contoso.com", "app": "Support Desk Mail"},
            "No application holds anything on nobody@contoso.com, or",
        ),
        (
            {"mailbox": "old@contoso.com", "app": "Support Desk Mail"},
            "Nothing: no grant, no consent and no role leads there.",
        ),
    ],
)
def test_nothing_has_a_reason(asked, words):
    whole = result()
    assert words in " ".join(audit_view.text(audit_view.view(whole, **asked), whole).split())


def test_a_mailbox_that_was_not_read_says_so():
    whole = unread()
    shown = audit_view.text(audit_view.view(whole, mailbox="hr@contoso.com"), whole)
    assert "  ! hr@contoso.com could not be read: Exchange answered 503\n" in shown
    assert "The audit is not whole:" in shown


def test_consent_alone_leads_to_no_mailbox():
    """It shows where the application is asked for, and not as if it could open any."""
    lone = application("Lone", "IMAP.AccessAsApp")
    inventory = tenant(lone, mailbox("support@contoso.com", full=[DESK]), DESK)
    whole = result(inventory=inventory, routes=tuple(routes(inventory)))
    assert "~ imap open: no mailbox yet" in audit_view.text(audit_view.view(whole, app="Lone"), whole)
    assert [route.holder for route in audit_view.view(whole, mailbox="support@contoso.com").routes] == [DESK.name]


def test_a_trustee_that_nobody_resolves_can_be_asked_for():
    whole = result()
    shown = audit_view.text(audit_view.view(whole, app="s-1-5-21-1-2-3-4"), whole)
    assert "S-1-5-21-1-2-3-4 (nobody resolves it)\n  ~ imap open: old@contoso.com" in shown


def test_the_document_of_a_view():
    whole = result()
    found = audit_view.document(audit_view.view(whole, mailbox="sales@contoso.com"), whole)
    assert (found["schema"], found["asked"]) == (
        "exosp/audit/1",
        {"application": None, "mailbox": "sales@contoso.com"},
    )
    assert (found["mailboxes"], found["coverage"]["whole"]) == ({"sales@contoso.com": None}, True)
    assert [row["holder"] for row in found["grants"]] == ["Backup Robot", "Support Desk Mail"]
    assert found["sha256"] == audit_json.digest(found)
