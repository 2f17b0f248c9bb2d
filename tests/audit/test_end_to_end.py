"""exosp audit as its users run it: the command, its exit codes, its documents, on an embedded tenant."""

import csv
import io
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from audited import READER

from console import Console
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options

CONTENT: dict[str, Any] = {
    "admin": {**READER, "graph_roles": [*READER["graph_roles"], "Organization.Read.All"]},
    "authentication_policies": [{"name": "No passwords", "smtp": False, "default": True}],
    "mailboxes": ["support@contoso.com", "sales@contoso.com", "ceo@contoso.com"],
    "applications": [
        {"name": "CRM", "app_id": "11111111-0000-4000-8000-000000000001", "roles": ["IMAP.AccessAsApp"],
         "exchange": "application", "full_access": ["support@contoso.com"], "owners": ["sales@contoso.com"],
         "credentials": [{"kind": "certificate", "name": "crm", "start": -10, "end": 90}], "last_used": 1},
        {"name": "Desk", "app_id": "22222222-0000-4000-8000-000000000002", "roles": ["IMAP.AccessAsApp"],
         "exchange": "right", "full_access": ["support@contoso.com", "ceo@contoso.com"], "owners": ["sales@contoso.com"],
         "unique_name": "exosp-desk", "credentials": [{"kind": "certificate", "name": "d", "start": -10, "end": 90}],
         "last_used": 1},
    ],
}  # fmt: skip
PLAYBOOK = """\
exosp: 1
tenant: contoso.onmicrosoft.com
app: {key: desk, name: Desk, credential: {type: secret, valid_for: 90d, save_to: desk.env}}
protocols: [imap]
mailboxes: [support@contoso.com]
"""
SETTINGS = """\
exosp-audit: 1
privileged: [ceo@contoso.com]
ignore:
  - {check: wrong-object-id, subject: CRM, reason: it is replaced in spring, until: 2999-12-31}
"""


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running(Options(faults="none")) as found:
        yield found


@pytest.fixture
def auditor(running: Running, tmp_path: Path) -> Console:
    """Somebody who may only read, over the admin API."""
    running.sandbox._content = CONTENT
    running.reset(seed=1, faults="none", mailboxes=0, service_principals=0, mess=None)
    return Console(tmp_path, {**running.environment(), "EXOSP_REMOTING": "admin-api"})


def asked(console: Console) -> dict[str, dict[str, int]]:
    with urllib.request.urlopen(f"{console.environment['EXOSP_SANDBOX']}/requests", timeout=10) as reply:
        found: dict[str, dict[str, int]] = json.load(reply)
        return found


def found(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(finding["check"], finding["about"]["name"]) for finding in document["findings"]}


def test_an_audit_reads_the_whole_tenant_and_writes_nothing(auditor: Console) -> None:
    """On view-only rights; the document has the contract's members; every request was a read."""
    ran = auditor.here("audit", "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    document = ran.document
    assert (document["schema"], document["tenant"], document["emulated"]) == (
        "exosp/audit/1",
        "contoso.onmicrosoft.com",
        True,
    )
    assert {"coverage", "grants", "findings", "operator", "time", "version", "sha256"} <= document.keys()
    assert {"check", "severity", "confidence", "subject", "statement", "evidence", "fix"} <= document["findings"][
        0
    ].keys()
    assert ("wrong-object-id", "CRM") in found(document)
    counted = asked(auditor)
    writes = [name for name in counted["graph"] if not name.startswith(("GET", "batch GET", "POST /$batch"))]
    cmdlets = [
        name for name in counted["admin-api"] if name.partition("-")[0] in ("New", "Add", "Set", "Remove", "Enable")
    ]
    assert (writes, cmdlets) == ([], [])
    assert any("Get-MailboxPermission" in name for name in counted["admin-api"])


def test_the_same_over_winrm(auditor: Console, running: Running) -> None:
    """The same findings and grants, whatever the cmdlets travel by; the tenant's domain is looked up."""
    one = auditor.here("audit", "--format", "json").document
    auditor.environment = dict(running.environment())
    other = auditor.here("audit", "--format", "json").document
    assert [one[name] for name in ("findings", "grants")] == [other[name] for name in ("findings", "grants")]


def test_exit_codes_say_how_bad_it_is_and_whether_all_was_read(auditor: Console, running: Running) -> None:
    """4 at or above --fail-on; 1 comes before it where something could not be read, and says what to grant."""
    assert auditor.here("audit", "--fail-on", "critical").code == 0
    assert auditor.here("audit", "--fail-on", "high").code == 4
    running.sandbox._content = CONTENT | {"admin": READER | {"graph_roles": ["Application.Read.All"]}}
    running.reset(seed=1, faults="none", mailboxes=0, service_principals=0, mess=None)
    auditor.environment = {**running.environment(), "EXOSP_REMOTING": "admin-api"}
    ran = auditor.here("audit", "--fail-on", "low")
    assert ran.code == 1
    assert "This audit is not whole" in ran.out
    assert "Directory.Read.All" in ran.out


def test_a_snapshot_is_judged_again_without_the_tenant(auditor: Console) -> None:
    """The same document, with no variable that leads anywhere; the file is its owner's alone."""
    first = auditor.here("audit", "--snapshot", "s.jsonl", "--format", "json").document
    snapshot = auditor.folder / "s.jsonl"
    assert snapshot.stat().st_mode & 0o777 == 0o600
    before = asked(auditor)
    offline = Console(auditor.folder)
    assert offline.here("audit", "--from", "s.jsonl", "--format", "json").document == first
    assert asked(auditor) == before
    assert auditor.here("audit", "--snapshot", "s.jsonl").code == 2  # whole already: not written over


def test_only_what_is_new_since_a_baseline_is_reported(auditor: Console) -> None:
    """By the JSON report and by the SARIF file alike; --fail-on goes by what is new."""
    auditor.here("audit", "-o", "before.json", "-o", "before.sarif", "--snapshot", "s.jsonl")
    for baseline in ("before.json", "before.sarif"):
        ran = auditor.here(
            "audit", "--from", "s.jsonl", "--baseline", baseline, "--format", "json", "--fail-on", "info"
        )
        assert (ran.code, ran.document["findings"]) == (0, [])


def test_one_application_and_one_mailbox_are_answered_both_ways(auditor: Console) -> None:
    """What can it open, and by which route; which applications can open it; and what is lacking."""
    ran = auditor.here("audit", "--snapshot", "s.jsonl", "--app", "Desk")
    assert (ran.code, ran.err) == (0, "")
    desk = ran.out
    assert "support@contoso.com" in desk
    assert "ceo@contoso.com" in desk
    support = auditor.here(
        "audit", "--from", "s.jsonl", "--mailbox", "support@contoso.com", "--format", "json"
    ).document
    holders = {(route["holder"], route["open"]) for route in support["grants"] if route["door"] == "imap"}
    assert holders == {("Desk", True), ("CRM", False)}
    refused = auditor.here("audit", "--from", "s.jsonl", "--app", "Desk", "--format", "sarif")
    assert (refused.code, refused.out) == (2, "")


def test_settings_playbooks_and_what_they_change(auditor: Console) -> None:
    """A privileged mailbox, an exception with its reason, a playbook that a grant goes beyond."""
    (auditor.folder / "settings.yaml").write_text(SETTINGS)
    (auditor.folder / "playbooks").mkdir()
    (auditor.folder / "playbooks" / "desk.yaml").write_text(PLAYBOOK)
    (auditor.folder / "playbooks" / "other.yaml").write_text(PLAYBOOK.replace("contoso", "fabrikam"))
    ran = auditor.here("audit", "--settings", "settings.yaml", "--playbooks", "playbooks", "--format", "json")
    assert "Not compared: other.yaml (fabrikam.onmicrosoft.com)" in ran.err
    assert {("grant-to-privileged-mailbox", "Desk"), ("not-in-any-playbook", "CRM")} <= found(ran.document)
    [drift] = [finding for finding in ran.document["findings"] if finding["check"] == "playbook-drift"]
    assert "ceo@contoso.com" in json.dumps(drift)
    assert ("wrong-object-id", "CRM") not in found(ran.document)
    [ignored] = ran.document["ignored"]
    assert "it is replaced in spring" in json.dumps(ignored)


def test_every_form_on_stdout_is_one_document_of_that_form(auditor: Console) -> None:
    """Prose goes elsewhere, so that a pipe gets what it was promised."""
    auditor.here("audit", "--snapshot", "s.jsonl", "-q")
    forms = {form: auditor.here("audit", "--from", "s.jsonl", "--format", form).out
             for form in ("csv", "markdown", "sarif", "junit", "html")}  # fmt: skip
    assert len({len(row) for row in csv.reader(io.StringIO(forms["csv"]))}) == 1
    assert json.loads(forms["sarif"])["version"] == "2.1.0"
    assert forms["junit"].startswith("<?xml")
    assert forms["html"].lower().startswith("<!doctype html>")
    assert forms["markdown"].startswith("# ")


def test_what_cannot_be_together_is_refused_before_anything_is_asked(auditor: Console) -> None:
    """Wrong usage ends with 2, says where and what to do, and no file is made."""
    before = asked(auditor)
    for words, said in (
        (("--from", "nowhere.jsonl"), "nowhere.jsonl"),
        (("--from", "s.jsonl", "--evidence"), "--evidence asks the tenant"),
        (("-o", "report.docx"), "says no format"),
        (("--settings", "nowhere.yaml"), "nowhere.yaml"),
        (("--baseline", "nowhere.json"), "nowhere.json"),
    ):
        ran = auditor.here("audit", *words)
        assert (ran.code, ran.out) == (2, ""), words
        assert said in ran.err
    assert asked(auditor).get("admin-api", {}) == before.get("admin-api", {})
    assert sorted(path.name for path in auditor.folder.iterdir()) == []


def test_it_needs_no_playbook_and_no_name_of_the_tenant(running: Running, tmp_path: Path) -> None:
    """What the sandbox gives anybody is enough, over winrm too, which wants the tenant's initial domain: Graph says it, or
    where the organization may not be seen, the tenant's applications do."""
    running.sandbox._content = None
    running.reset(seed=1, faults="none", mailboxes=0, service_principals=0, mess=None)
    ran = Console(tmp_path, dict(running.environment())).here("audit", "--format", "json")
    assert (ran.code, ran.document["tenant"], ran.document["coverage"]["whole"]) == (0, "contoso.onmicrosoft.com", True)
    running.sandbox._content = {
        "admin": {"graph_roles": ["Application.Read.All"]},
        "mailboxes": ["support@contoso.com"],
    }
    running.reset(seed=1, faults="none", mailboxes=0, service_principals=0, mess=None)
    ran = Console(tmp_path, dict(running.environment())).here("audit", "--format", "json")
    assert (ran.code, ran.document["tenant"], ran.document["coverage"]["whole"]) == (
        1,
        "contoso.onmicrosoft.com",
        False,
    )
    running.sandbox._content = {"admin": {"graph_roles": []}, "mailboxes": ["support@contoso.com"]}
    running.reset(seed=1, faults="none", mailboxes=0, service_principals=0, mess=None)
    ran = Console(tmp_path, dict(running.environment())).here("audit", "--format", "json")
    assert ran.code == 2
    assert "give --tenant <name>.onmicrosoft.com" in " ".join(ran.err.split())
