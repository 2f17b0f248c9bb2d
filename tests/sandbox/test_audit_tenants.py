"""Tenant files for an audit, and tenants of many mailboxes: what they make, what they refuse, what they cost."""

import asyncio
import copy
import resource
import time
import tracemalloc
from typing import Any

import pytest

from exosp.sandbox import initial
from exosp.sandbox.cmdlets.engine import Command, Engine
from exosp.sandbox.cmdlets.outcome import Failure, Item
from exosp.sandbox.cmdlets.rights import cmdlets
from exosp.sandbox.cmdlets.session import Connection, Runspace
from exosp.sandbox.initial import TenantFileFault
from exosp.sandbox.tenant import Options, Tenant


def made(content: dict[str, Any] | None = None, **options: Any) -> Tenant:
    tenant = Tenant(Options(faults="none", **options))
    initial.furnish(tenant, None if content is None else initial.check(content))
    return tenant


# The form


def test_the_docstrings_example_is_a_tenant_file() -> None:
    """What ``initial`` shows can be used as it stands, but for the places that it leaves open."""
    text = (initial.__doc__ or "").partition("::\n")[2].partition("\n``secret_sha256``")[0]
    for digit in "123":
        text = text.replace(f"{digit * 4}…", f"{digit * 8}-{digit * 4}-4{digit * 3}-8{digit * 3}-{digit * 12}")
    content = initial.parse(text.replace("9f86…", "9f86"))
    tenant = made(content)
    [crm] = [app for app in tenant.directory.applications.values() if app.properties["displayName"] == "CRM"]
    assert len(crm.owners) == 3
    desk = tenant.exchange.by_address("desk@contoso.com")
    assert desk is not None
    assert len(desk.permissions) == 5  # its own, two from CRM, one of Alex's, one of somebody gone
    assert tenant.exchange.access_policies[0]["ScopeName"] == "Senders"
    assert [row["Role"] for row in tenant.exchange.management_role_assignments] == ["Application Mail.Read"]
    assert tenant.exchange.role_groups[next(iter(tenant.directory.directory_roles))] == {
        "View-Only Organization Management"
    }


@pytest.mark.parametrize(("content", "why"), [
    ({"applications": [{"name": "A", "exchange": "wrong"}]}, "exchange is right, application, stranger, orphaned or none"),
    ({"applications": [{"name": "A", "enterprise": "off"}]}, "enterprise is enabled, disabled, deleted or none"),
    ({"applications": [{"name": "A", "credentials": [{"kind": "password"}]}]}, "a credential's kind is secret, certificate or federated"),
    ({"applications": [{"name": "A", "grants": [{"mailbox": "support@contoso.com", "right": "FullAccess"}]}]}, "a right is full_access"),
    ({"applications": [{"name": "A", "rbac": [{"role": "Mail.Read"}]}]}, "a role is Application"),
    ({"applications": [{"name": "A", "granted": []}]}, "application A knows no granted"),
    ({"applications": [{"name": "A", "audience": "all"}]}, "audience is AzureADMyOrg"),
    ({"applications": [{"name": "A", "policy": {"right": "Restrict"}}]}, "a policy's right is RestrictAccess or DenyAccess"),
    ({"mailboxes": [{"address": "a@contoso.com", "unresolved": ["owner"]}]}, "an unresolved trustee holds"),
    ({"licence": "p2"}, "licence is p1 or free"),
    ({"authentication_policies": [{"named": "x"}]}, "an authentication policy knows no named"),
    ({"managed_identities": [{"roles": []}]}, "an application is a mapping with a name"),
    ({"applications": ["A"]}, "an application is a mapping with a name"),
])  # fmt: skip
def test_a_wrong_word_is_named(content: dict[str, Any], why: str) -> None:
    """A tenant file's fault is one sentence that says what there is."""
    with pytest.raises(TenantFileFault, match=why):
        initial.check(content)


@pytest.mark.parametrize(("application", "why"), [
    ({"exchange": "right", "full_access": ["nobody@contoso.com"]}, "no mailbox nobody@contoso.com"),
    ({"grants": [{"mailbox": "support@contoso.com"}]}, "what Exchange does not know can be granted nothing"),
    ({"rbac": [{"role": "Application Mail.Read"}]}, "what Exchange does not know has no roles"),
    ({"roles": ["IMAP.AccessAsUser"]}, "has no app role 'IMAP.AccessAsUser'"),
    ({"owners": [{"application": "Nobody's"}]}, "no application Nobody's that could own it"),
    ({"exchange": "right", "rbac": [{"role": "Application Mail.Read", "group": "none"}]}, "no group none"),
    ({"exchange": "right", "rbac": [{"role": "Application Mail.Read", "unit": "none"}]}, "no administrative unit none"),
])  # fmt: skip
def test_what_is_not_there_is_named(application: dict[str, Any], why: str) -> None:
    """What a tenant file speaks of must be in it."""
    with pytest.raises(TenantFileFault, match=why):
        made({"applications": [{"name": "A", **application}]})


# Many mailboxes


def test_a_hundred_thousand_mailboxes_start_at_once_and_cost_little() -> None:
    """Seconds and some tens of megabytes; each is found by every name that it has, and by nothing else."""
    tracemalloc.start()
    began = time.process_time()
    tenant = made(mailboxes=100_000)
    took, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < 3
    assert peak < 60 * 2**20, resource.getrusage(resource.RUSAGE_SELF)
    exchange = tenant.exchange
    assert len(exchange.mailboxes) == 100_003
    for number in (0, 42, 99_999):
        box = exchange.by_address(f"box{number:05d}@contoso.com")
        assert box is not None
        assert all(exchange.recipients(name.upper()) == [box] for name in box.names())
        assert tenant.directory.people.by_name(box.properties["UserPrincipalName"]).id == box.identity  # type: ignore[union-attr]
    for wrong in (
        "box100000",
        "box042@contoso.com",
        "box00042@fabrikam.com",
        "00000000-0000-4000-a000-000000000000",
        "cn=box00042,ou=x",
        "zzzzzzzz-0000-4000-a000-00000000000g",
    ):
        assert exchange.recipients(wrong) == [], wrong
    began = time.process_time()
    for number in range(0, 100_000, 100):
        assert exchange.mailbox(f"box{number:05d}@contoso.com") is not None
    assert (time.process_time() - began) / 1000 < 50e-6


def test_what_is_written_on_a_numbered_mailbox_stays() -> None:
    """Whatever part is written first, by whatever method; the others stay as they were, and a copy holds all of it."""
    tenant = made({"mailboxes": ["a@contoso.com"]}, mailboxes=20)
    exchange = tenant.exchange
    box = exchange.by_address("box00007@contoso.com")
    assert box is not None
    before = dict(box.properties)
    box.cas["ImapEnabled"] = False
    box.cas |= {"PopEnabled": False}
    box.former.update(x=(1, 2.0))
    box.messages.append({"uid": 2, "raw": b""})
    box.messages[:] = box.messages[1:]
    exchange.add_ace(box, "S-1-5-21-1-2-3-4", ["FullAccess"])
    exchange.add_send_as(box, "S-1-5-21-1-2-3-4")
    box.folders["Inbox"] = []
    again = copy.deepcopy(exchange).by_address("box00007@contoso.com")
    for held in (exchange.by_address("box00007@contoso.com"), again):
        assert held is not None
        assert (held.cas["ImapEnabled"], held.cas["PopEnabled"], held.cas["OWAEnabled"]) == (False, False, True)
        assert held.former == {"x": (1, 2.0)}
        assert [message["uid"] for message in held.messages] == [2]
        assert len(held.permissions) == 2
        assert held.sent_as
        assert held.properties == before
    other = exchange.by_address("box00008@contoso.com")
    assert other is not None
    assert (other.granted, other.cas["ImapEnabled"], len(other.messages)) == (False, True, 1)
    other.messages[0]["flags"] = {"\\Seen"}  # as a mail door marks what it has read
    assert other.messages[0]["flags"] == {"\\Seen"}
    box.permissions.remove(box.permissions[-1])
    box.properties["GrantSendOnBehalfTo"] = ["x"]
    assert (len(box.permissions), box.properties["GrantSendOnBehalfTo"]) == (1, ["x"])
    assert copy.deepcopy(again.properties) == before  # type: ignore[union-attr]


def test_ids_of_numbered_mailboxes_look_drawn_and_differ() -> None:
    """No two ids of a tenant are one; another seed has others."""
    one, other = (made({"mailboxes": []}, mailboxes=500, seed=seed).exchange for seed in (1, 2))
    ids = [
        box.properties[name] for box in one.mailboxes for name in ("Guid", "ExchangeGuid", "ExternalDirectoryObjectId")
    ]
    assert len(set(ids)) == 1500
    assert not set(ids) & {box.identity for box in other.mailboxes}


class _Sink:
    def __init__(self) -> None:
        self.rows = 0

    def output(self, row: Item) -> None:
        self.rows += 1

    def warning(self, text: str, item: int) -> None:
        raise AssertionError(text)

    def error(self, failure: Failure, item: int) -> None:
        raise AssertionError(failure)


async def _asked(tenant: Tenant, count: int) -> float:
    """CPU seconds an item of Get-MailboxPermission over so many mailboxes, without a wire."""
    principal = tenant.directory.principal(tenant.admin_app_id)
    assert principal is not None
    held = cmdlets({"Global Reader"}, set())
    runspace = Runspace([Connection("1", 1, principal.id, tenant.admin_app_id, tenant.domain, 1e12, held, held)])

    async def items() -> Any:
        for number in range(count):
            yield tenant.exchange.crowd.address(number)

    sink, command = _Sink(), Command("Get-MailboxPermission", (("IncludeUnresolvedPermissions", True),))
    began = time.process_time()
    await Engine(tenant).run(runspace, [[command]], items(), sink, full_language=False)
    took = (time.process_time() - began) / count
    assert sink.rows >= 4 * count
    return took


@pytest.mark.slow
def test_permissions_of_one_mailbox_cost_little(record_property: Any) -> None:
    """Below 150 microseconds of CPU an item, among few mailboxes and many, with applications about."""
    for count in (1000, 100_000):
        took = min(asyncio.run(_asked(made(mailboxes=count, mess=7), 1000)) for _ in range(3))
        record_property(
            "figure",
            f"Get-MailboxPermission without a wire: {took * 1e6:.0f} microseconds of CPU among {count} mailboxes",
        )
        assert took < 150e-6
