"""A whole tenant's Exchange by the census port, over each remoting that reaches the embedded tenant: winrm, the admin API and a
local PowerShell's stand-in. The caller is a reader."""

import json
import ssl
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exosp.census import Held, Listed
from exosp.clouds import read_file
from exosp.errors import CloudError, Throttled, Unreachable
from exosp.exchange.admin_api import AdminApi
from exosp.exchange.census import Census
from exosp.exchange.cmdlets import READS, Cmdlet
from exosp.exchange.pwsh import Pwsh
from exosp.exchange.remotings import Opened
from exosp.exchange.spreading import Pieces
from exosp.exchange.winrm import Timeouts, Winrm, target
from exosp.inventory import AccessPolicy, Entry
from exosp.patience import Patience
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options
from exosp.snapshot import Address, MailboxId

PIECES = Pieces(most=4, least=1, flights=3)
ORPHAN = "S-1-5-21-1-2-3-1234"
CONTENT: dict[str, Any] = {
    "admin": {
        "graph_roles": [],
        "directory_roles": ["Global Reader"],
        "exchange_roles": ["Exchange.ManageAsApp"],
        "role_groups": ["View-Only Organization Management", "View-Only Audit Logs"],
    },
    "authentication_policies": [{"name": "No passwords", "smtp": False, "default": True}],
    "mailboxes": [
        "alex@contoso.com",
        {"address": "robin@contoso.com", "name": "Robin"},
        {"address": "desk@contoso.com", "kind": "SharedMailbox", "imap": False},
        {"address": "old@contoso.com", "unresolved": [{"right": "full_access", "sid": ORPHAN}]},
        {"address": "gone@contoso.com", "soft_deleted": True},
        {"address": "team@contoso.com", "kind": "GroupMailbox"},
    ],
    "applications": [
        {"name": "CRM", "roles": ["IMAP.AccessAsApp"], "exchange": "right", "full_access": ["alex@contoso.com", "desk@contoso.com"],
         "grants": [{"mailbox": "desk@contoso.com", "right": ["send_as"]},
                    {"mailbox": "desk@contoso.com", "right": "folder", "folder": "Inbox", "role": "Reviewer"},
                    {"mailbox": "gone@contoso.com", "right": ["full_access"]},
                    {"mailbox": "team@contoso.com", "right": ["full_access"]},
                    {"mailbox": "old@contoso.com", "right": ["full_access"], "inherited": True}],
         "policy": {"right": "RestrictAccess", "scope": "senders@contoso.com"},
         "rbac": [{"role": "Application SMTP.SendAsApp", "scope": "Support only", "filter": "Department -eq 'Support'"}]},
        # A person bears the same name: rows that show it may be either's.
        {"name": "Robin", "roles": ["IMAP.AccessAsApp"], "exchange": "right", "full_access": ["alex@contoso.com"],
         "grants": [{"mailbox": "alex@contoso.com", "right": "folder", "folder": "Calendar", "role": "Editor"}]},
        {"name": "Idle", "exchange": "right"},
    ],
    "groups": [{"address": "senders@contoso.com", "name": "Senders", "members": ["desk@contoso.com"]}],
    "users": [{"upn": "pat@contoso.com", "name": "Pat", "full_access": ["desk@contoso.com", "old@contoso.com"]}],
}  # fmt: skip
# By hand: who holds what, as (mailbox, right, application or "?", inherited).
EXPECTED = {
    "user": {
        ("alex@contoso.com", "FullAccess", "CRM", False), ("alex@contoso.com", "FullAccess", "Robin", False),
        ("desk@contoso.com", "FullAccess", "CRM", False), ("old@contoso.com", "FullAccess", "CRM", True),
        ("old@contoso.com", "FullAccess", "?", False),
    },
    "soft-deleted": {("gone@contoso.com", "FullAccess", "CRM", False)},
    "group": {("team@contoso.com", "FullAccess", "CRM", False)},
}  # fmt: skip
PEOPLE = {"alex@contoso.com": 0, "robin@contoso.com": 0, "desk@contoso.com": 1, "old@contoso.com": 1}


@dataclass(frozen=True)
class Token:
    token: str
    expires_on: float


class Place:
    """A running tenant, and how to reach it."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.environment = running.environment()
        self.cloud = read_file(Path(self.environment["EXOSP_CLOUD"]), any_host=False)
        self._tls = ssl.create_default_context(cafile=str(self.cloud.ca))

    def connect(self) -> tuple[Token, str]:
        form = {"grant_type": "client_credentials", "client_id": self.environment["AZURE_CLIENT_ID"],
                "client_secret": self.environment["AZURE_CLIENT_SECRET"], "scope": self.cloud.exchange_scope}  # fmt: skip
        address = f"{self.cloud.login}/{self.environment['AZURE_TENANT_ID']}/oauth2/v2.0/token"
        with urllib.request.urlopen(
            address, urllib.parse.urlencode(form).encode(), timeout=10, context=self._tls
        ) as reply:
            found = json.load(reply)
        return Token(found["access_token"], time.time() + found["expires_in"]), "contoso.onmicrosoft.com"

    def by(self, way: str) -> Opened:
        if way in ("winrm", "constrained"):
            address = self.environment["EXOSP_REMOTING"] + ("&configuration=Exosp.JEA" if way == "constrained" else "")
            where = target(address, self.environment, ca=self.cloud.ca)
            return Winrm(where, self.connect, timeouts=Timeouts(connect=5), commands=READS)
        if way == "pwsh":
            limits = Timeouts(operation=10, silence=20)
            return Pwsh(self.connect, program=str(self.running.sandbox.pwsh), timeouts=limits, commands=READS)
        return AdminApi(self.cloud, self.connect)

    def set(self, **faults: float) -> None:
        for name, value in faults.items():
            self.running.sandbox.tenant.faults.set(name.replace("_", "-"), value)

    def requests(self) -> dict[str, int]:
        counted = self.running.sandbox.tenant.requests
        return {name: n for service in ("remoting", "admin-api") for name, n in counted[service].items()}


class Advancing:
    """Nobody waits: sleeping lets the sandbox's time pass."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._at = 0.0

    def now(self) -> float:
        return self._at

    def sleep(self, seconds: float) -> None:
        self._at += seconds
        self._running.advance(seconds)
        time.sleep(min(seconds, 0.02))  # a Retry-After is in wall seconds: by then it is over, or it is asked for again


@pytest.fixture(scope="module")
def _running() -> Iterator[Running]:
    with Running(Options(faults="none"), CONTENT) as running:
        yield running


@pytest.fixture
def place(_running: Running) -> Place:
    _running.reset(faults="none", seed=7, mailboxes=0)
    return Place(_running)


@pytest.fixture
def census(place: Place) -> Iterator[Callable[..., Census]]:
    opened: list[tuple[Census, Opened]] = []

    def by(way: str, pieces: Pieces = PIECES, **changes: Any) -> Census:
        remoting = place.by(way)
        found = Census(remoting, pieces, **changes)
        opened.append((found, remoting))
        return found

    yield by
    for found, remoting in opened:
        found.close()
        remoting.close()


def held(census: Census, kind: Any, entries: Sequence[Entry]) -> dict[str, Held]:
    found: dict[str, Held] = {}
    for one in census.permissions(census.mailboxes(kind), kind, entries):
        assert one.mailbox.address not in found, "one answer a mailbox"
        found[one.mailbox.address] = one
    return found


def grants(found: dict[str, Held], entries: Sequence[Entry]) -> set[tuple[str, str, str, bool]]:
    names = {entry.identity: entry.name for entry in entries} | {"": "?"}
    return {
        (address, grant.right, names[grant.entry], grant.inherited)
        for address, one in found.items()
        for grant in one.grants
    }


WAYS = ("winrm", "admin-api", "pwsh")


def test_by_the_wrappers_of_a_prepared_host(place, census):
    """A constrained endpoint offers an audit all that it asks for, to its last cmdlet."""
    place.set(permission_user=2)
    one = census("constrained")
    entries = one.entries()
    for kind, expected in EXPECTED.items():
        assert grants(held(one, kind, entries), entries) == expected
    listed = [box for page in one.mailboxes("user") for box in page]
    assert [o.error for o in one.folder_permissions(listed[:1], entries)] == [None]
    assert len(one.client_access(listed)) == len(listed)
    assert one.organization().password_smtp is False
    assert (len(one.management_roles()), len(one.management_scopes()), len(one.access_policies())) == (1, 1, 1)
    assert list(one.events(0.0))
    assert [list(one.send_as(entry)) for entry in entries if entry.name == "Idle"] == [[]]


@pytest.mark.parametrize("form", [0, 1, 2], ids=["object ID", "display name", "SID"])
@pytest.mark.parametrize("way", WAYS)
def test_who_holds_what_in_every_form(place, census, way, form):
    """Shared, soft-deleted and group mailboxes; an application is known by whatever a row shows of it, also by a name that a
    person bears; an orphan is kept; people and what comes from above are counted. A reader may read all of it."""
    place.set(permission_user=form)
    one = census(way)
    entries = one.entries()
    assert {entry.name for entry in entries} == {"CRM", "Robin", "Idle"}
    for kind, expected in EXPECTED.items():
        found = held(one, kind, entries)
        assert [str(a.error) for a in found.values() if a.error] == []
        assert grants(found, entries) == expected
        if kind == "user":
            assert {address: one.people for address, one in found.items()} == PEOPLE
            assert {one.inherited for one in found.values()} == {3}
            [orphan] = [g for g in found["old@contoso.com"].grants if not g.entry]
            assert orphan.trustee == ORPHAN
    assert found["team@contoso.com"].mailbox.kind == "group"
    assert all(name.startswith(("Get-", "$batch", "Connect-", "Disconnect-")) for name in place.requests())


UNKIND = {
    "winrm": {"remoting_throttle": 2, "remoting_throttle_bare": 1, "remoting_drop_before": 1, "remoting_drop_after": 1,
              "remoting_truncated": 1, "remoting_html": 1, "shell_vanished": 2, "remoting_busy": 1, "late_errors": 10, "item_transient": 3},
    "admin-api": {"admin_api_throttle": 2, "admin_api_throttle_bare": 1, "admin_api_item_throttle": 3, "admin_api_unavailable": 1,
                  "admin_api_lost_500": 1, "admin_api_drop": 1, "admin_api_truncated": 1, "admin_api_lost_item": 3,
                  "admin_api_page": 2, "item_transient": 3},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("way", UNKIND)
def test_the_same_where_the_service_is_unkind(place, census, way):
    """Throttled, cut off, lost, in pages of two: with patience handed in, what is found is the same."""
    place.running.reset(faults="none", seed=3, mailboxes=60)
    place.set(**UNKIND[way])
    patience = Patience(Advancing(place.running), deadline=1e9)
    one = census(way, repeat=patience.transport)
    entries = one.entries()
    found = held(one, "user", entries)
    assert len(found) == 64
    assert [str(a.error) for a in found.values() if a.error] == []
    assert grants(found, entries) == EXPECTED["user"]
    fired = place.running.sandbox.tenant.faults.fired
    assert [name for name in UNKIND[way] if not fired.get(name.replace("_", "-"))] in ([], ["late_errors"])


@pytest.mark.parametrize("way", UNKIND)
def test_without_patience_each_failure_is_its_mailboxes(place, census, way):
    """Nobody repeats: what was refused for now, or was lost since a host was throttled in the middle, is said of the mailboxes
    that it was asked for, and the rest is read."""
    place.running.reset(faults="none", seed=3, mailboxes=30)
    one = census(way)
    entries = one.entries()
    listed = [box for page in one.mailboxes("user") for box in page]
    place.set(item_transient=2, **{"remoting_throttle": 2} if way == "winrm" else {"admin_api_item_throttle": 2})
    found = {one.mailbox.address: one for one in one.permissions(iter([listed]), "user", entries)}
    assert set(found) == {box.address for box in listed}
    failed = {address for address, one in found.items() if one.error}
    assert failed
    assert all(isinstance(found[address].error, Throttled | Unreachable) for address in failed)
    assert grants(found, entries) == {row for row in EXPECTED["user"] if row[0] not in failed}


@pytest.mark.parametrize("way", WAYS)
def test_every_row_for_an_unknown_mailbox_fools_nobody(place, census, way):
    """A mailbox that went after it was listed: Exchange answers with every row there is, or that there is none."""
    one = census(way, Pieces(most=10, least=10, flights=1))  # all in one pipeline
    entries = one.entries()
    listed = [box for page in one.mailboxes("user") for box in page]
    ghost = Listed(
        MailboxId("0e0e0e0e-0000-4000-8000-000000000001"), Address("ghost@contoso.com"), "Ghost", "user", "0e0e0e0e"
    )
    for unknown in (0, 1):
        place.set(unknown_identity=unknown)
        found = {o.mailbox.address: o for o in one.permissions(iter([[*listed, ghost]]), "user", entries)}
        assert [address for address, one in found.items() if one.error] == ["ghost@contoso.com"]
        assert grants(found, entries) == EXPECTED["user"]
        assert {address: one.people for address, one in found.items()} == PEOPLE | {"ghost@contoso.com": 0}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_list_comes_by_pages_and_is_never_cut_short_unseen(place, census, way):
    """More than a thousand mailboxes: the first come before the last are there; without -ResultSize the end is an error."""
    place.running.reset(faults="none", seed=1, mailboxes=1100)
    remoting = place.by(way)
    one = Census(remoting, PIECES)
    pages = one.mailboxes("user")
    first = next(pages)
    assert 0 < len(first) < 1104
    if way == "admin-api":
        assert place.requests() == {"Get-Mailbox": 1}
    assert len(first) + sum(map(len, pages)) == 1104
    cut = remoting.pages(Cmdlet("Get-Mailbox"), ("Identity",))
    with pytest.raises(CloudError, match="1000") as caught:
        list(cut)
    assert caught.value.code == "CutShort"
    one.close()
    remoting.close()


@pytest.mark.parametrize("form", [0, 1, 2])
@pytest.mark.parametrize("way", ["winrm", "admin-api"])
def test_send_as_by_trustee(place, census, way, form):
    """Each entry's own; one that Exchange does not know as a trustee has none, though every row comes back for it."""
    place.set(permission_trustee=form, unknown_identity=0)
    one = census(way)
    entries = {entry.name: entry for entry in one.entries()}
    [(recipient, grant)] = one.send_as(entries["CRM"])
    assert grant.entry == entries["CRM"].identity
    boxes = {box.identity.lower(): box.address for page in one.mailboxes("user") for box in page}
    assert boxes[recipient] == "desk@contoso.com"
    assert list(one.send_as(entries["Idle"])) == []
    stranger = Entry(entries["CRM"].app_id, entries["CRM"].object_id[::-1], "Stranger", "stranger")  # type: ignore[arg-type]
    assert list(one.send_as(stranger)) == []


@pytest.mark.parametrize("way", ["winrm", "admin-api"])
def test_the_tenants_settings(place, census, way):
    """Switches of a mailbox and of the tenant, what policies and roles narrow."""
    one = census(way)
    entries = {entry.name: entry for entry in one.entries()}
    listed = [box for page in one.mailboxes("user") for box in page]
    access = one.client_access(listed)
    assert {box.address for box in listed if not access[box.id].imap} == {"desk@contoso.com"}
    said = one.organization()
    assert (said.smtp_auth_disabled, said.password_smtp) == (True, False)
    [role] = one.management_roles()
    assert (role.role, role.by, role.scope) == ("Application SMTP.SendAsApp", "scope", "Support only")
    assert role.app & entries["CRM"].forms
    assert [scope.name for scope in one.management_scopes()] == ["Support only"]
    [policy] = one.access_policies()
    assert isinstance(policy, AccessPolicy)
    assert (policy.app_id, policy.right) == (entries["CRM"].app_id, "restrict")
    assert "senders" in policy.scope.lower()


@pytest.mark.slow
@pytest.mark.parametrize("form", [0, 1], ids=["object ID", "display name"])
@pytest.mark.parametrize("way", ["winrm", "admin-api"])
def test_folders_on_request(place, census, way, form):
    """Those that a client opens by itself; a name that a person bears too is asked about."""
    place.set(permission_user=form)
    one = census(way)
    entries = one.entries()
    names = {entry.identity: entry.name for entry in entries}
    listed = [box for page in one.mailboxes("user") for box in page]
    found = list(one.folder_permissions(listed, entries))
    assert [str(o.error) for o in found if o.error] == []
    assert {(o.mailbox.address, names[g.entry], g.right, g.folder, g.role) for o in found for g in o.grants} == {
        ("desk@contoso.com", "CRM", "Folder", "\\Inbox", "Reviewer"),
        ("alex@contoso.com", "Robin", "Folder", "\\Calendar", "Editor"),
    }


@pytest.mark.parametrize("way", ["winrm", "admin-api"])
def test_what_the_log_says(place, census, way):
    """Who granted what, and when, of a session's rows in turns."""
    one = census(way)
    found = list(one.events(0.0))
    changes = {event.change for event in found}
    assert {"Add-MailboxPermission", "New-ServicePrincipal"} <= changes
    assert len({(event.at, event.change, event.subject, event.detail) for event in found}) == len(found)
    assert all(event.at.tzinfo and event.who and event.subject and event.log == "exchange" for event in found)
    entries = {entry.object_id.lower() for entry in one.entries()}
    assert entries & {event.subject for event in found}
