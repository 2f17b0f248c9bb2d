"""One big tenant in which every check finds something: taking one plant away takes exactly its findings away.

And what holds of all findings at once: they do not depend on the order in which a tenant was read, and they cost in
proportion to the tenant.
"""

import gc
import random
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from builders import (
    AT,
    OFF,
    application,
    certificate,
    entry,
    mailbox,
    owner,
    role,
    secret,
    some_id,
    tenant,
)
from found import Row, findings, of, rows

from exosp.apps import apps
from exosp.checks import CHECKS
from exosp.checks.words import listed
from exosp.finding import Measures
from exosp.inventory import Inventory, MailboxRecord, Wanted
from exosp.routes import routes

T = TypeVar("T")
WRONG = "99999999-0000-0000-0000-000000000001"
SID = "S-1-5-21-1004-2005-3006-4007"
OTHER = "11111111-0000-0000-0000-00000000beef"  # another tenant
MEASURES = Measures(privileged=("ceo@*",), widest=3)

# plant -> the findings that are there because of it, and because of nothing else
PLANTS: dict[str, list[Row]] = {
    "an entry with a wrong object ID": [
        Row("wrong-object-id", "high", "high", "entry", WRONG, detail=some_id("app", "Crooked"))
    ],
    "an entry of nobody": [
        Row(
            "exchange-entry-orphaned",
            "medium",
            "high",
            "entry",
            some_id("principal", "Gone"),
            detail=some_id("app", "Gone"),
        )
    ],
    "a registration without its enterprise application": [of("Half", "enterprise-application-missing", "high", "high")],
    "a second entry": [of("Twice", "entry-duplicated", "low", "high")],
    "consent alone": [of("Idle", "consent-without-grant", "low", "medium")],
    "FullAccess alone": [of("Quiet", "grant-without-consent", "medium", "high")],
    "a bare SID": [Row("unresolved-trustee", "low", "medium", "trustee", SID)],
    "Mail.Read": [of("Reader", "tenant-wide-mail-access", "critical", "high")],
    "mail of everybody who signs in": [of("Client", "delegated-for-everyone", "medium", "high")],
    "the manager's mailbox": [of("Desk", "grant-to-privileged-mailbox", "high", "high", "ceo@contoso.com")],
    "FullAccess from above": [of("Heir", "full-access-by-inheritance", "medium", "medium")],
    "SendAs": [of("Mute", "send-as-without-need", "medium", "high")],
    "a certificate that is over": [of("Keys", "credential-expired", "low", "high", detail=some_id("key", "over"))],
    "a certificate that ends soon": [
        of("Late", "credential-expiring", "medium", "high", detail=some_id("key", "soon"))
    ],
    "a certificate for years": [
        of("Keys", "credential-too-long-lived", "medium", "high", detail=some_id("key", "years"))
    ],
    "a secret": [of("Password", "secret-where-certificate-possible", "low", "high")],
    "a second secret": [of("Passwords", "several-live-secrets", "low", "high")],
    "a certificate on the enterprise application": [
        of("Hidden", "credential-on-enterprise-application", "medium", "high")
    ],
    "no owner": [of("Nobody's", "owner-missing", "low", "medium")],
    "an owner who left": [of("Bob's", "owner-disabled", "medium", "high", detail=some_id("user", "bob"))],
    "open to other tenants": [of("Public", "multi-tenant-without-need", "medium", "medium")],
    "somebody else's": [of("Vendor", "third-party-access", "medium", "high")],
    "IMAP off": [of("Desk", "protocol-off-but-granted", "low", "medium", "off@contoso.com")],
    "SMTP for everybody": [
        Row("smtp-auth-tenant-wide", "medium", "high", "tenant", "tenant"),
        Row("smtp-auth-admits-passwords", "high", "medium", "tenant", "tenant"),
    ],
    "SMTP of one mailbox": [
        Row("smtp-auth-admits-passwords", "high", "medium", "mailbox", some_id("mailbox", "printer@contoso.com"))
    ],
    "SMTP by a role beside consent": [of("Both", "smtp-mode-mixed", "high", "high")],
    "a role on everything": [of("Wide", "rbac-scope-too-wide", "high", "high", detail="wide")],
    "a role within nothing": [of("Lost", "rbac-scope-missing", "medium", "high", detail="lost")],
    "a policy on IMAP": [of("Desk", "access-policy-without-effect", "low", "medium")],
    "nobody's use": [of("Dusty", "unused-access", "low", "medium")],
    "sign-in switched off": [of("Off", "disabled-but-granted", "low", "high")],
    "Exchange.ManageAsApp": [of("Admin", "manages-exchange", "high", "medium")],
    "Application.ReadWrite.All": [of("Root", "can-grant-itself-mail", "high", "high")],
    "a deleted mailbox": [of("Desk", "grant-on-soft-deleted-mailbox", "low", "medium", "gone@contoso.com")],
    "one mailbox more": [of("Archive", "too-many-mailboxes", "medium", "medium")],
    "made by hand": [of("By hand", "granted-outside-exosp", "info", "medium")],
    "in no playbook": [of("Unwritten", "not-in-any-playbook", "low", "high")],
    "a mailbox that is not in its playbook": [Row("playbook-drift", "medium", "high", "playbook", "written.yaml")],
}

# What is there whichever plant is taken.
STANDING = [
    of("Passwords", "secret-where-certificate-possible", "low", "high"),
    of("By hand", "not-in-any-playbook", "low", "high"),
]


def whole(without: str = "") -> Inventory:
    """The big tenant, with one plant left out. Most applications stand in playbooks, so that no other check has a say."""
    assert not without or without in PLANTS

    def p(plant: str, there: T, else_: T) -> T:
        assert plant in PLANTS
        return else_ if plant == without else there

    def consents(plant: str, *values: str) -> tuple[str, ...]:
        return p(plant, values, ())

    desk = application("Desk", "IMAP.AccessAsApp", policies=p("a policy on IMAP", [("restrict", "helpdesk")], []))
    crooked = application("Crooked", "IMAP.AccessAsApp", object_id=p("an entry with a wrong object ID", WRONG, ""))
    gone = application("Gone", registered=False, enterprise=False, entered=p("an entry of nobody", True, False))
    half = application("Half", enterprise=p("a registration without its enterprise application", False, True))
    twice = application("Twice", "POP.AccessAsApp")
    idle = application("Idle", *consents("consent alone", "IMAP.AccessAsApp"))
    quiet = application("Quiet")
    reader = application("Reader", graph=consents("Mail.Read", "Mail.Read"), entered=False)
    client = application(
        "Client", graph_everyone=consents("mail of everybody who signs in", "Mail.Read"), entered=False
    )
    heir = application("Heir", "IMAP.AccessAsApp")
    mute = application("Mute", "IMAP.AccessAsApp")
    keys = application("Keys", "IMAP.AccessAsApp", registration={"credentials": (
        certificate("fresh", days=100),
        *p("a certificate that is over", (certificate("over", days=-3),), ()),
        *p("a certificate for years", (certificate("years", lasts=3000),), ()),
    )})  # fmt: skip
    late = application("Late", "IMAP.AccessAsApp", registration={"credentials": (
        certificate("soon", days=p("a certificate that ends soon", 12, 90)),
    )})  # fmt: skip
    password = application("Password", "IMAP.AccessAsApp", registration={"credentials": (
        p("a secret", secret("password"), certificate("no password")),
    )})  # fmt: skip
    passwords = application("Passwords", "IMAP.AccessAsApp", registration={"credentials": (
        secret("one"), *p("a second secret", (secret("two"),), ()),
    )})  # fmt: skip
    on_principal = p("a certificate on the enterprise application", (certificate("hidden"),), ())
    hidden = application("Hidden", "IMAP.AccessAsApp", principal={"credentials": on_principal})
    nobodys = application("Nobody's", "IMAP.AccessAsApp", registration={"owners": p("no owner", (), (owner(),))})
    bobs = application("Bob's", "IMAP.AccessAsApp", registration={
        "owners": (owner(), *p("an owner who left", (owner("bob", False),), ())),
    })  # fmt: skip
    audience = p("open to other tenants", "AzureADMultipleOrgs", "AzureADMyOrg")
    public = application("Public", "IMAP.AccessAsApp", registration={"audience": audience})
    home: dict[str, Any] = {"home": OTHER} if without != "somebody else's" else {}
    vendor = application("Vendor", "IMAP.AccessAsApp", registered=False, principal=home)
    smtp_role = p("SMTP by a role beside consent", [role("Application SMTP.SendAsApp")], [])
    both = application("Both", "SMTP.SendAsApp", roles=smtp_role)
    by = p("a role on everything", "organization", "group")
    wide = application("Wide", roles=[role("Application Mail.Read", by, "helpdesk", name="wide")])  # type: ignore[arg-type]
    lost = application("Lost", roles=[
        role("Application Mail.Read", scope=p("a role within nothing", "Nowhere", "Helpdesk"), name="lost"),
    ])  # fmt: skip
    dusty = application("Dusty", "IMAP.AccessAsApp", used=AT - timedelta(days=p("nobody's use", 200, 2)))
    off = application("Off", "IMAP.AccessAsApp", principal={"enabled": p("sign-in switched off", False, True)})
    admin = application("Admin", *consents("Exchange.ManageAsApp", "Exchange.ManageAsApp"), entered=False)
    root = application("Root", graph=consents("Application.ReadWrite.All", "Application.ReadWrite.All"), entered=False)
    archive = application("Archive", "IMAP.AccessAsApp")
    by_hand = application("By hand", "IMAP.AccessAsApp", unique_name=p("made by hand", "", "exosp-by-hand"))
    unwritten = application("Unwritten", "IMAP.AccessAsApp")
    written = application("Written", "IMAP.AccessAsApp")
    everyone = [
        desk, crooked, gone, half, twice, idle, quiet, reader, client, heir, mute, keys, late, password, passwords, hidden,
        nobodys, bobs, public, vendor, both, wide, lost, dusty, off, admin, root, archive, by_hand, unwritten, written,
    ]  # fmt: skip
    elsewhere = (gone, half, idle, quiet, reader, client, both, wide, lost, admin, root, archive, written)
    boxes = [
        box("shared@contoso.com", kind="shared", full=[app for app in everyone if app not in elsewhere]),
        box("quiet@contoso.com", full=p("FullAccess alone", [quiet], [])),
        box("sid@contoso.com", unresolved=p("a bare SID", [SID], [])),
        box("ceo@contoso.com", full=p("the manager's mailbox", [desk], []), on_behalf=[late]),
        box("heir@contoso.com", inherited=p("FullAccess from above", [heir], [])),
        box("mute@contoso.com", send_as=p("SendAs", [mute], [])),
        box("printer@contoso.com", full=[keys], smtp_auth_disabled=p("SMTP of one mailbox", False, True)),
        box("off@contoso.com", full=[desk], imap=p("IMAP off", False, True)),
        box("gone@contoso.com", kind="soft-deleted", on_behalf=p("a deleted mailbox", [desk], [])),
        replace(box("both@contoso.com", full=[both]), access=None),
        *(box(f"archive{number}@contoso.com", full=[archive]) for number in range(p("one mailbox more", 4, 3))),
        box("written@contoso.com", full=[written]),
        box("more@contoso.com", full=p("a mailbox that is not in its playbook", [written], [])),
    ]
    # Playbooks that name an application's mailboxes and need none of them, so that nothing but what is planted differs.
    named = {app.app_id for app in everyone if app not in (by_hand, written, unwritten)}
    named |= p("in no playbook", set(), {unwritten.app_id})
    wanted = (
        Wanted("all.yaml", "all", frozenset(named), mailboxes={row.address: frozenset() for row in boxes}),
        Wanted(
            "written.yaml",
            "written",
            unique_name="exosp-written",
            mailboxes={"written@contoso.com": frozenset({"imap"})},
        ),
    )
    return tenant(
        *everyone, *boxes,
        entries=p("a second entry", (entry("Twice", twice.app_id, twice.object_id, "twice again"),), ()),
        organization=replace(
            OFF, smtp_auth_disabled=p("SMTP for everybody", False, True), password_smtp=True, security_defaults=False
        ),
        wanted=wanted,
    )  # fmt: skip


def box(address: str, **held: Any) -> MailboxRecord:
    """A mailbox that has SMTP as the tenant has it."""
    return mailbox(address, **({"smtp_auth_disabled": None} | held))


def test_every_check_finds_something():
    planted = [row for found in PLANTS.values() for row in found]
    assert len(planted) == len(set(planted))
    assert rows(whole(), MEASURES) == sorted([*planted, *STANDING])
    assert {row.check for row in planted} == {check.name for check in CHECKS}


@pytest.mark.parametrize("plant", PLANTS)
def test_removing_one_plant_removes_exactly_its_finding(plant: str):
    before, after = set(rows(whole(), MEASURES)), set(rows(whole(without=plant), MEASURES))
    assert before - after == set(PLANTS[plant])
    assert after - before == set()


def test_findings_do_not_depend_on_the_order_of_reading():
    """To the letter: evidence and fixes too, of which only the first are shown."""
    for inventory in (whole(), replace(large(2), role_grants=(), roles=())):
        before = findings(inventory, MEASURES)
        for seed in range(5):
            mixed = shuffled(inventory, random.Random(seed))
            assert findings(mixed, MEASURES) == before
            assert list(routes(mixed)) == list(routes(inventory))


def test_what_is_listed_has_an_order_of_its_own():
    """Sets of texts have none, and another one in each process."""
    assert listed(["b", "C", "a", "b"]) == "3: a, b, C"
    assert listed(frozenset(f"box{number:02}" for number in range(12))) == (
        "12: box00, box01, box02, box03, box04, box05, box06, box07, box08, box09 and 2 more"
    )


def shuffled(inventory: Inventory, chance: random.Random) -> Inventory:
    """The same tenant, read in another order."""
    names = (
        "registrations", "principals", "role_grants", "scope_grants", "last_use", "entries", "access_policies", "roles",
        "scopes", "mailboxes", "wanted",
    )  # fmt: skip
    changes: dict[str, Any] = {}
    for name in names:
        held = list(getattr(inventory, name))
        chance.shuffle(held)
        changes[name] = tuple(held)
    changes["mailboxes"] = tuple(
        replace(row, grants=tuple(chance.sample(row.grants, len(row.grants)))) for row in changes["mailboxes"]
    )
    return replace(inventory, **changes)


def test_ids_are_compared_without_regard_to_capitals():
    """Entra, Exchange and whoever wrote a policy may each write them in their own way."""
    inventory = whole()
    loud = replace(
        inventory,
        principals=tuple(replace(row, app_id=row.app_id.upper(), object_id=row.object_id.upper()) for row in inventory.principals),
        role_grants=tuple(replace(row, resource=row.resource.upper()) for row in inventory.role_grants),
        access_policies=tuple(replace(row, app_id=row.app_id.upper()) for row in inventory.access_policies),
        last_use=tuple(replace(row, app_id=row.app_id.upper()) for row in inventory.last_use),
    )  # fmt: skip
    assert quiet(rows(loud, MEASURES)) == quiet(rows(inventory, MEASURES))


def quiet(found: list[Row]) -> list[Row]:
    return sorted(row._replace(id=row.id.lower()) for row in found)


def test_findings_differ_by_their_fingerprints():
    found = findings(whole(), MEASURES)
    assert len({finding.fingerprint for finding in found}) == len(found)


def test_an_inventory_is_joined_once_and_let_go():
    inventory = whole()
    assert apps(inventory) is apps(inventory)
    known = weakref.ref(apps(inventory))
    del inventory
    gc.collect()
    assert known() is None


def large(size: int) -> Inventory:
    """So many applications, each with ten mailboxes of its own, a consent and what else an application has."""
    many = [
        application(f"App {number}", "IMAP.AccessAsApp", "SMTP.SendAsApp", graph=["Mail.Read"], roles=[role("Application Mail.Read")])
        for number in range(size)
    ]  # fmt: skip
    boxes = [
        mailbox(f"box{number}@contoso.com", full=[many[number % size]], send_as=[many[(number + 1) % size]], unresolved=[SID])
        for number in range(10 * size)
    ]  # fmt: skip
    wanted = tuple(Wanted(f"{row.name}.yaml", row.name, frozenset({row.app_id})) for row in many[::2])
    return tenant(*many, *boxes, wanted=wanted)


def judged(inventory: Inventory) -> float:
    """CPU seconds for all checks and all routes, without what collecting garbage costs: that goes by what else is alive."""
    fresh = replace(inventory)  # nothing of it is joined
    gc.collect()
    gc.disable()
    try:
        began = time.process_time()
        number = len(findings(fresh, MEASURES)) + sum(1 for _ in routes(fresh))
        took = time.process_time() - began
    finally:
        gc.enable()
    assert number > len(fresh.mailboxes)
    return took


@pytest.mark.slow
def test_the_cost_grows_as_the_tenant_does(record_property: Callable[[str, object], None]):
    """Twice the tenant, about twice the time."""
    one, two = large(300), large(600)
    took = [(judged(one), judged(two)) for _ in range(5)]
    ratio = min(two for _, two in took) / min(one for one, _ in took)
    record_property("figure", f"twice the tenant costs {ratio:.2f} times as much")
    assert ratio <= 2.6


@pytest.mark.slow
def test_a_large_tenant_is_judged_in_seconds(record_property: Callable[[str, object], None]):
    """5,000 applications and 50,000 mailboxes that grant something."""
    took = judged(large(5000))
    record_property("figure", f"5,000 applications and 50,000 mailboxes: {took:.1f} s of CPU")
    assert took < 20
