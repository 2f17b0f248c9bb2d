"""An embedded tenant to be audited by one who may only read, and audits of it through both real census ports."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builders import AT

from desk import SandboxClock
from exosp.audit.collect import Progress, collect
from exosp.audit.file import Keeping, in_memory, kept
from exosp.audit.gathered import Head, Wishes
from exosp.cli.options import Format
from exosp.cli.screen import Screen
from exosp.cli.wiring import Session
from exosp.exchange.census import Census
from exosp.exchange.cmdlets import READS
from exosp.exchange.remotings import Setting, choose
from exosp.exchange.spreading import Pieces
from exosp.graph.census import DirectoryCensus
from exosp.inventory import Inventory
from exosp.patience import Patience
from exosp.playbook import App, Place, Playbook, Reach
from exosp.sandbox.faults import Faults
from exosp.sandbox.server import Running

READER = {
    "graph_roles": ["Application.Read.All", "Directory.Read.All", "AuditLog.Read.All", "Policy.Read.All"],
    "exchange_roles": ["Exchange.ManageAsApp"],
    "directory_roles": ["Global Reader"],
    "role_groups": ["View-Only Organization Management", "View-Only Audit Logs"],  # the second: the role of that name
}
CONTENT: dict[str, Any] = {
    "admin": READER,
    "authentication_policies": [{"name": "No passwords", "smtp": False, "default": True}],
    "mailboxes": [
        *(f"box{number}@contoso.com" for number in range(12)),
        {"address": "desk@contoso.com", "kind": "SharedMailbox", "imap": False},
        {"address": "old@contoso.com", "unresolved": [{"right": "full_access", "sid": "S-1-5-21-1-2-3-1234"}]},
        {"address": "gone@contoso.com", "soft_deleted": True},
        {"address": "team@contoso.com", "kind": "GroupMailbox"},
    ],
    "applications": [
        {"name": "CRM", "roles": ["IMAP.AccessAsApp"], "exchange": "right", "last_used": 3,
         "full_access": ["box0@contoso.com", "box7@contoso.com", "desk@contoso.com"],
         "owners": ["alex@contoso.com", {"upn": "gone-away@contoso.com", "enabled": False}, {"application": "Provisioning"}],
         "credentials": [{"kind": "secret", "name": "by hand", "start": -15, "end": 150, "holder": "application"},
                         {"kind": "certificate", "name": "cert", "start": -10, "end": 90, "holder": "application"},
                         {"kind": "federated", "name": "build", "holder": "application"},
                         {"kind": "secret", "name": "hidden", "start": -5, "end": 20, "holder": "enterprise"}],
         "grants": [{"mailbox": "desk@contoso.com", "right": ["send_as"]}, {"mailbox": "box3@contoso.com", "right": ["send_as"]},
                    {"mailbox": "box5@contoso.com", "right": "folder", "folder": "Inbox", "role": "Reviewer"},
                    {"mailbox": "box9@contoso.com", "right": "send_on_behalf"},
                    {"mailbox": "gone@contoso.com", "right": ["full_access"]},
                    {"mailbox": "team@contoso.com", "right": ["full_access"]}],
         "policy": {"right": "RestrictAccess", "scope": "senders@contoso.com"},
         "rbac": [{"role": "Application SMTP.SendAsApp", "scope": "Support only", "filter": "Department -eq 'Support'"}]},
        {"name": "Graph Reader", "graph_roles": ["Mail.Read", "User.Read.All"], "exchange": "none",
         "audience": "AzureADMultipleOrgs", "enterprise": "disabled"},
        {"name": "Climber", "graph_roles": ["AppRoleAssignment.ReadWrite.All"], "exchange": "none"},
        {"name": "People's", "exchange": "none", "delegated": [
            {"resource": "graph", "scopes": ["Mail.Read", "User.Read"], "for": "everyone"},
            {"resource": "graph", "scopes": ["Mail.Send", "offline_access"], "for": ["alex@contoso.com", "box1@contoso.com"]},
            {"resource": "exchange", "scopes": ["IMAP.AccessAsUser.All"], "for": ["alex@contoso.com"]}]},
        {"name": "Profile", "exchange": "none", "graph_roles": ["User.Read.All"],
         "delegated": [{"resource": "graph", "scopes": ["User.Read"], "for": "everyone"}]},
        {"name": "Wrong", "roles": ["POP.AccessAsApp"], "exchange": "application"},
        {"name": "Meant", "exchange": "none", "unique_name": "exosp-meant"},
        {"name": "Left", "exchange": "orphaned"},
    ],
    "managed_identities": [{"name": "mail-worker", "roles": ["SMTP.SendAsApp"], "exchange": "right"}],
    "groups": [{"address": "senders@contoso.com", "name": "Senders", "members": ["desk@contoso.com"]}],
    "users": [{"upn": "alex@contoso.com", "name": "Alex", "full_access": ["desk@contoso.com", "box1@contoso.com"]}],
}  # fmt: skip

# Counts a life: far more than a tenant would, within one audit.
STORM = ",".join((
    "none", "page-size=3", "retry-after=1", "graph-throttle=3", "graph-throttle-bare=2", "graph-unavailable=2",
    "graph-drop=2", "graph-truncated=2", "batch-throttle=6", "token-throttle=1", "admin-api-throttle=3",
    "admin-api-throttle-bare=2", "admin-api-item-throttle=8", "admin-api-unavailable=2", "admin-api-lost-503=2",
    "admin-api-lost-500=2", "admin-api-drop=2", "admin-api-truncated=2", "admin-api-lost-item=8", "admin-api-page=3",
    "item-transient=8", "late-errors=10", "remoting-throttle=2", "remoting-throttle-bare=2", "remoting-busy=3",
    "remoting-drop-before=2", "remoting-drop-after=2", "remoting-truncated=2", "shell-vanished=2",
))  # fmt: skip


@dataclass
class Audited:
    """``way``: the remoting. ``pieces``: how many items it takes, few here, so that there is more than one of them."""

    running: Running
    way: str = "admin-api"
    wishes: Wishes = field(default_factory=Wishes)
    pieces: Pieces = field(default_factory=lambda: Pieces(most=4, least=1, flights=3))
    told: list[Progress] = field(default_factory=list)
    tenant_id: str = ""

    def storm(self, seed: int, faults: str = STORM) -> None:
        """From now on, in the same tenant: its ids and times stay."""
        self.running.sandbox.tenant.faults = Faults.parse(faults, seed)

    def calm(self) -> None:
        self.storm(0, "none")

    @contextmanager
    def ports(self) -> Iterator[tuple[DirectoryCensus, Census, Patience]]:
        """As the command wires them."""
        environment = dict(self.running.environment())
        if self.way != "winrm":
            environment["EXOSP_REMOTING"] = self.way
        nowhere = Place("(no playbook)", 0, 0)
        domain = self.running.sandbox.tenant.domain
        nothing = Playbook(Path("(no playbook)"), domain, "global", App("", "", None, nowhere), (), (), Reach())
        screen = Screen(Format.text, quiet=True)
        session = Session(nothing, screen, environment=environment, clock=SandboxClock(self.running), deadline=1e6)
        patience, where = session.patience, environment["EXOSP_REMOTING"]
        setting = Setting(session.cloud, environment, session._connect, session._sign_in, nothing.tenant, READS)
        remoting = choose(where).opens(where, setting)
        exchange = Census(remoting, self.pieces, patience.transport)
        try:
            token = patience.transport(session.admin.exchange_token)
            self.tenant_id = str(token.claims["tid"])
            yield DirectoryCensus(session.graph, patience.transport), exchange, patience
        finally:
            exchange.close()
            remoting.close()
            session._close()

    def head(self) -> Head:
        return Head(
            "contoso.onmicrosoft.com", self.tenant_id, "sandbox", "auditor", AT, "0", emulated=True, asked=self.wishes
        )

    def audit(self, place: Path | None = None) -> Inventory:
        with self.ports() as (directory, exchange, patience):
            if place is None:
                return self._collect(directory, exchange, patience, in_memory(self.head()))
            with kept(place, self.head()) as keeping:
                return self._collect(directory, exchange, patience, keeping)

    def _collect(self, directory: DirectoryCensus, exchange: Census, patience: Patience, keeping: Keeping) -> Inventory:
        return collect(directory, exchange, patience, keeping, self.told.append)

    def requests(self) -> dict[str, dict[str, int]]:
        with urllib.request.urlopen(f"{self.running.environment()['EXOSP_SANDBOX']}/requests", timeout=10) as reply:
            found: dict[str, dict[str, int]] = json.load(reply)
            return found

    def state(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.running.environment()['EXOSP_SANDBOX']}/state", timeout=10) as reply:
            found: dict[str, Any] = json.load(reply)
            return found
