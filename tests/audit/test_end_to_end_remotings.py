"""exosp audit, whatever Exchange's cmdlets travel by: the same findings and the same grants, and not one write."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from audited import READER

from console import Console, Ran
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options

# A name that no pattern of addresses fits: who bears it is asked by that name.
HOSTILE = "Desk; <b>|*`$(x)`"
NAMES = "none,permission-user=1,permission-trustee=1"  # permissions show display names
CONTENT: dict[str, Any] = {
    "admin": {**READER, "graph_roles": [*READER["graph_roles"], "Organization.Read.All"]},
    "authentication_policies": [{"name": "No passwords", "smtp": False, "default": True}],
    "mailboxes": [
        "support@contoso.com", "sales@contoso.com",
        {"address": "old@contoso.com", "unresolved": [{"right": "full_access", "sid": "S-1-5-21-1-2-3-1234"}]},
        {"address": "gone@contoso.com", "soft_deleted": True},
        {"address": "team@contoso.com", "kind": "GroupMailbox"},
    ],
    "applications": [
        {"name": "CRM", "roles": ["IMAP.AccessAsApp"], "exchange": "application", "full_access": ["support@contoso.com"]},
        {"name": HOSTILE, "roles": ["IMAP.AccessAsApp"], "exchange": "right", "full_access": ["sales@contoso.com"],
         "grants": [{"mailbox": "sales@contoso.com", "right": ["send_as"]},
                    {"mailbox": "sales@contoso.com", "right": "folder", "folder": "Inbox", "role": "Reviewer"},
                    {"mailbox": "gone@contoso.com", "right": ["full_access"]},
                    {"mailbox": "team@contoso.com", "right": ["full_access"]}],
         "policy": {"right": "RestrictAccess", "scope": "senders@contoso.com"},
         "rbac": [{"role": "Application SMTP.SendAsApp", "scope": "Sales", "filter": "Department -eq 'Sales'"}]},
    ],
    "groups": [{"address": "senders@contoso.com", "name": "Senders", "members": ["sales@contoso.com"]}],
}  # fmt: skip
REFERENCE = "admin-api"
# The way, and how a session is connected on it.
WAYS = {
    "Exosp.JEA": "Connect-Exosp", "Exosp.Audit": "Connect-Exosp", "Exosp.Ready": "", "Microsoft.PowerShell": "Connect-ExchangeOnline",
    "pwsh": "Connect-ExchangeOnline",
}  # fmt: skip
_WRITING = ("New", "Add", "Set", "Remove", "Enable", "Test")


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running(Options(faults="none")) as found:
        found.sandbox._content = CONTENT
        found.reset(seed=1, faults=NAMES, mailboxes=0, service_principals=0, mess=None)
        yield found


def audited(running: Running, way: str, folder: Path, *words: str) -> Ran:
    """``way``: a configuration of the management host, or another remoting."""
    environment = dict(running.environment())
    if way.startswith(("Exosp", "Microsoft")):
        environment["EXOSP_REMOTING"] += f"&configuration={way}"
    else:
        environment["EXOSP_REMOTING"] = way
    if way == "pwsh":
        environment["PATH"] = str(running.sandbox.pwsh.parent)
    return Console(folder, environment).here("audit", "--format", "json", *words)


def counted(running: Running) -> dict[str, dict[str, int]]:
    with urllib.request.urlopen(f"{running.environment()['EXOSP_SANDBOX']}/requests", timeout=10) as reply:
        found: dict[str, dict[str, int]] = json.load(reply)
        return found


def cmdlets(running: Running) -> dict[str, int]:
    """What ran over PowerShell so far, and how often."""
    return counted(running)["remoting"]


def writes(running: Running) -> list[str]:
    asked = counted(running)
    ran = [name for way in ("remoting", "admin-api") for name in asked.get(way, ())]
    return [name for name in ran if name.partition("-")[0] in _WRITING]


@pytest.fixture(scope="module")
def reference(running: Running, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is found over the admin API, with all that an audit can be asked for."""
    ran = audited(running, REFERENCE, tmp_path_factory.mktemp("reference"), "--folders", "--evidence")
    assert (ran.code, ran.err) == (0, "")
    return ran.document


def test_what_there_is_to_find(reference: dict[str, Any]) -> None:
    """The comparison below is one of something: each kind of grant that a remoting must bring is there."""
    grants = json.dumps(reference["grants"])
    for text in ("support@contoso.com", "sales@contoso.com", "gone@contoso.com", "team@contoso.com", "Inbox"):
        assert text in grants, text
    assert {"wrong-object-id", "unresolved-trustee"} <= {finding["check"] for finding in reference["findings"]}
    assert any(finding["about"]["name"] == HOSTILE for finding in reference["findings"])


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=() if way in ("Exosp.JEA", "Exosp.Audit") else pytest.mark.slow) for way in WAYS]
)
def test_the_same_whatever_the_cmdlets_travel_by(
    running: Running, reference: dict[str, Any], tmp_path: Path, way: str
) -> None:
    """Folders and logs too; whole, connected as that way is, and without a cmdlet that writes."""
    before = cmdlets(running)
    ran = audited(running, way, tmp_path, "--folders", "--evidence")
    assert (ran.code, ran.err) == (0, "")
    for part in ("findings", "grants", "coverage"):
        assert ran.document[part] == reference[part], part
    after = cmdlets(running)
    more = {name for name in after if after[name] > before.get(name, 0)}
    assert {name for name in more if name.startswith("Connect-")} == ({WAYS[way]} if WAYS[way] else set())
    assert {"Get-MailboxPermission", "Get-MailboxFolderPermission", "Search-UnifiedAuditLog", "Get-User"} <= more
    assert writes(running) == []
