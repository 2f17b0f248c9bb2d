"""What a management host and Exchange behind it do to their clients on bad days, judged by pypsrp used raw."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
from host_fixture import Host, Ran, host, run
from pypsrp.exceptions import WinRMTransportError, WSManFaultError
from pypsrp.powershell import RunspacePool

pytestmark = pytest.mark.slow  # whole lives of a tenant, or a host that keeps one waiting


MANY = 200  # more than any strike is away
GONE, QUOTA = 2150858843, 2150859174


@pytest.fixture
def here() -> Iterator[Host]:
    with host() as running:
        yield running


def grants(here: Host, trustee: str) -> int:
    return sum(row["_trustee"] == trustee for box in here.tenant.exchange.mailboxes for row in box.permissions)


def add(pool: RunspacePool, identity: str, user: str) -> Ran:
    return run(pool, "Add-MailboxPermission", Identity=identity, User=user, AccessRights="FullAccess")


def strike(here: Host, knob: str) -> tuple[Exception, int, int]:
    """Grant one mailbox after the other until the knob strikes: what pypsrp raised, the grants asked for until then, the
    grants that are there. Then the knob is off, and a new pool on the same connection must work."""
    with here.pool() as pool:
        _, user = here.registered(pool)
    boxes = [f"box{n}@contoso.com" for n in range(MANY)]
    for box in boxes:
        here.tenant.exchange.add_mailbox(box)
    here.tenant.faults.set(knob, 1)
    asked, caught = 0, None
    wsman = here.wsman(reconnection_retries=0)
    while caught is None and asked < MANY:
        pool = RunspacePool(wsman)
        try:
            pool.open()
            here.connect(pool)
            for _ in range(6):
                asked += 1
                add(pool, boxes[asked - 1], user)
        except Exception as fault:
            caught = fault
        finally:
            here.tenant.faults.set(knob, 0)
            with suppress(WSManFaultError):  # a shell that vanished
                pool.close()
            if caught is None:
                here.tenant.faults.set(knob, 1)
    assert caught is not None, "it never struck"
    assert here.tenant.faults.fired[knob] >= 1
    there = grants(here, user)
    with RunspacePool(wsman) as pool:
        here.connect(pool)
        assert add(pool, "support@contoso.com", user).errors == []
    return caught, asked, there


@pytest.mark.parametrize("knob", ["remoting-throttle", "remoting-throttle-bare"])
def test_what_stands_before_the_host_throttles(here: Host, knob: str) -> None:
    """HTTP 429 that is no SOAP, with or without Retry-After: the request did nothing."""
    caught, asked, there = strike(here, knob)
    assert isinstance(caught, WinRMTransportError)
    assert caught.code == 429
    assert asked - 1 <= there <= asked


@pytest.mark.parametrize(("knob", "waits"), [("remoting-throttle", "8"), ("remoting-throttle-bare", None)])
def test_the_hosts_throttling_names_its_wait_or_not(here: Host, knob: str, waits: str | None) -> None:
    """Retry-After stands in the one answer and not in the other."""
    here.tenant.faults.set("retry-after", 8)
    here.tenant.faults.set(knob, 1)
    body = "<x>http://schemas.xmlsoap.org/ws/2004/09/transfer/Create</x>"
    (struck,) = (reply for reply in [here.post(body) for _ in range(60)] if reply.status_code == 429)
    assert struck.headers.get("Retry-After") == waits


def test_the_host_is_busy(here: Host) -> None:
    """remoting-busy: a pipeline is refused by the quota's fault and did not run."""
    caught, asked, there = strike(here, "remoting-busy")
    assert isinstance(caught, WSManFaultError)
    assert caught.code == QUOTA
    assert there == asked - 1


def test_the_connection_drops_before_the_request(here: Host) -> None:
    """remoting-drop-before: requests' ConnectionError; what was not read by the host did not run."""
    caught, asked, there = strike(here, "remoting-drop-before")
    assert isinstance(caught, requests.ConnectionError)
    assert asked - 1 <= there <= asked  # it may have been the request for the output


def test_the_connection_drops_instead_of_the_output(here: Host) -> None:
    """remoting-drop-after: the same exception, and the cmdlet has run."""
    caught, asked, there = strike(here, "remoting-drop-after")
    assert isinstance(caught, requests.ConnectionError)
    assert there == asked


def test_the_output_ends_in_its_middle(here: Host) -> None:
    """remoting-truncated: less body than announced; the cmdlet has run."""
    caught, asked, there = strike(here, "remoting-truncated")
    assert isinstance(caught, requests.exceptions.ChunkedEncodingError | requests.ConnectionError | ET.ParseError)
    assert there == asked


def test_html_instead_of_soap(here: Host) -> None:
    """remoting-html: 200 with a page that is no XML; pypsrp does not even know it for an error of WinRM."""
    caught, asked, there = strike(here, "remoting-html")
    assert isinstance(caught, ET.ParseError)
    assert asked - 1 <= there <= asked


def test_a_shell_vanishes(here: Host) -> None:
    """shell-vanished: fault 2150858843, before the cmdlet or after it; a new pool on the same connection works."""
    caught, asked, there = strike(here, "shell-vanished")
    assert isinstance(caught, WSManFaultError)
    assert caught.code == GONE
    assert asked - 1 <= there <= asked


def test_items_fail_for_a_moment(here: Host) -> None:
    """item-transient: one of many items is refused and nothing is done for it; the others are; again, it works."""
    boxes = [f"box{n}@contoso.com" for n in range(80)]
    with here.pool() as pool:
        _, user = here.registered(pool)
        for box in boxes:
            here.tenant.exchange.add_mailbox(box)
        here.tenant.faults.set("item-transient", 1)
        ran = run(pool, "Add-MailboxPermission", boxes, User=user, AccessRights="FullAccess")
        assert "ADServerSettingsChangedException" in ran.error
        assert (len(ran.errors), len(ran.rows), grants(here, user)) == (1, 79, 79)
        run(pool, "Add-MailboxPermission", boxes, User=user, AccessRights="FullAccess")
        assert grants(here, user) == 80


def place(record: Any) -> int:
    return int(record.pipeline_iteration_info[0])


def test_errors_come_up_to_ten_items_late(here: Host) -> None:
    """late-errors: the error of an item carries the number of a later one, ten later at most; without the knob its own.
    Each item still has exactly one error."""
    here.tenant.faults.set("late-errors", 10)
    with here.pool() as pool:
        _, user = here.registered(pool)
        boxes = ["support@contoso.com"] * 60
        wrong = [5, 20, 21, 40, 59]
        for number in wrong:
            boxes[number] = f"nobody{number}@contoso.com"
        distances = []
        for _ in range(3):
            ran = run(pool, "Add-MailboxPermission", boxes, User=user, AccessRights="FullAccess")
            own = {
                number: next(record for record in ran.errors if f"nobody{number}@" in str(record)) for number in wrong
            }
            assert len(ran.errors) == len(wrong)
            distances += [place(record) - (number + 1) for number, record in own.items()]
        assert min(distances) >= 0
        assert 5 < max(distances) <= 10
        here.tenant.faults.set("late-errors", 0)
        ran = run(pool, "Add-MailboxPermission", boxes, User=user, AccessRights="FullAccess")
        assert [place(record) for record in ran.errors] == [number + 1 for number in wrong]


@pytest.mark.parametrize("form", [0, 1, 2])
def test_what_trustee_shows(here: Host, form: int) -> None:
    """permission-trustee: object id, display name or SID, in reads and in the reply, whatever User shows."""
    here.tenant.faults.set("permission-trustee", form)
    here.tenant.faults.set("permission-user", 2 - form)
    with here.pool() as pool:
        _, user = here.registered(pool, "Mail app")
        made = run(pool, "Add-RecipientPermission", Identity="support@contoso.com", Trustee=user, AccessRights="SendAs", Confirm=False)  # fmt: skip
        rows = run(pool, "Get-RecipientPermission", Identity="support@contoso.com", Trustee=user).rows
        add(pool, "support@contoso.com", user)
        ace = run(pool, "Get-MailboxPermission", Identity="support@contoso.com", User=user).rows[0]
        forms = (user, "Mail app", ace["UserSid"])
        assert [row["Trustee"] for row in (*rows, *made.rows)] == [forms[form]] * 2
        assert ace["User"] == forms[2 - form]


def test_a_dehydrated_organization_refuses_settings_of_its_own(here: Host) -> None:
    """dehydrated: New-ManagementScope is refused by the exception's name, IsDehydrated says so, permissions work."""
    here.tenant.faults.set("dehydrated", 1)
    with here.pool() as pool:
        ran = run(pool, "New-ManagementScope", Name="x", RecipientRestrictionFilter="Alias -eq 'support'")
        assert "InvalidOperationInDehydratedContextException" in ran.error
        assert "isn't currently allowed in your organization" in ran.error
        assert run(pool, "Get-OrganizationConfig").rows[0]["IsDehydrated"] is True
        _, user = here.registered(pool)
        assert add(pool, "support@contoso.com", user).errors == []


# Removing an entry


def shown(pool: RunspacePool, **parameters: Any) -> list[str]:
    rows = run(pool, "Get-MailboxPermission", Identity="support@contoso.com", **parameters).rows
    return [row["User"] for row in rows if not row["IsInherited"] and row["User"] != "NT AUTHORITY\\SELF"]


def test_a_removed_entry_leaves_its_grants_as_orphans(here: Host) -> None:
    """They show as a bare SID, and only if asked for; the old names no longer take them away, the SID does."""
    with here.pool() as pool:
        app_id, user = here.registered(pool)
        add(pool, "support@contoso.com", user)
        run(pool, "Add-RecipientPermission", Identity="support@contoso.com", Trustee=user, AccessRights="SendAs", Confirm=False)  # fmt: skip
        assert not run(pool, "Remove-ServicePrincipal", Identity=user, Confirm=False).errors
        assert shown(pool) == []
        assert [row["Trustee"] for row in run(pool, "Get-RecipientPermission", Identity="support@contoso.com").rows] == ["NT AUTHORITY\\SELF"]  # fmt: skip
        (sid,) = shown(pool, IncludeUnresolvedPermissions=True)
        assert sid.startswith("S-1-5-21-")
        take: dict[str, Any] = {"Identity": "support@contoso.com", "AccessRights": "FullAccess", "Confirm": False}
        for name in (user, app_id):
            assert "wasn't found" in run(pool, "Remove-MailboxPermission", User=name, **take).error
        assert not run(pool, "Remove-MailboxPermission", User=sid, **take).errors
        assert shown(pool, IncludeUnresolvedPermissions=True) == []


def test_an_entry_made_anew_does_not_hold_what_the_old_one_held(here: Host) -> None:
    """The same AppId and ObjectId entered again: a new SID; the old grants stay orphans and open nothing."""
    with here.pool() as pool:
        app_id, user = here.registered(pool)
        add(pool, "support@contoso.com", user)
        run(pool, "Remove-ServicePrincipal", Identity=user, Confirm=False)
        assert run(pool, "New-ServicePrincipal", AppId=app_id, ObjectId=user).rows
        assert shown(pool) == []
        assert shown(pool, User=user) == []
        (orphan,) = shown(pool, IncludeUnresolvedPermissions=True)
        add(pool, "support@contoso.com", user)
        (row,) = run(pool, "Get-MailboxPermission", Identity="support@contoso.com", User=user).rows
        assert row["UserSid"] != orphan


@pytest.mark.parametrize("answer", [1, 0])
def test_reads_by_a_trustee_that_is_not_known(here: Host, answer: int) -> None:
    """Get-MailboxPermission -User and Get-RecipientPermission -Trustee: unknown-identity decides between an error and
    every row; of a trustee that is known only his own rows come."""
    here.tenant.faults.set("unknown-identity", answer)
    with here.pool() as pool:
        _, user = here.registered(pool)
        add(pool, "support@contoso.com", user)
        run(pool, "Add-RecipientPermission", Identity="sales@contoso.com", Trustee=user, AccessRights="SendAs", Confirm=False)  # fmt: skip
        assert [row["User"] for row in run(pool, "Get-MailboxPermission", Identity="support@contoso.com", User=user).rows] == [user]  # fmt: skip
        assert [row["Trustee"] for row in run(pool, "Get-RecipientPermission", Trustee=user).rows] == [user]
        for name, parameter in (("Get-MailboxPermission", "User"), ("Get-RecipientPermission", "Trustee")):
            ran = run(pool, name, Identity="sales@contoso.com", **{parameter: "nobody"})
            assert bool(ran.errors) is bool(answer)
            assert bool(ran.rows) is not bool(answer)
