"""Collecting a tenant on fake ports: what is kept and what is counted, in what order it is asked for, and what an audit says
of all that it could not read."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import chain, islice

import pytest
from builders import (
    AT,
    application,
    federated,
    mailbox,
    role,
    scope,
    tenant,
)
from fakes import Desk, Trouble, canonical, empty, throttled, unheard

from exosp.audit.collect import NEEDS
from exosp.audit.gathered import Wishes
from exosp.audit.mailboxes import TRIES
from exosp.errors import CloudError, Forbidden, Missing, Unreachable
from exosp.inventory import (
    NEEDED,
    Event,
    Grant,
    Inventory,
    Organization,
    Section,
)
from exosp.snapshot import AppId

DESK = application("Desk", "IMAP.AccessAsApp", roles=[role("Application Mail.Read")])
READER = application("Reader", graph=["Mail.Read"], entered=False)
PEOPLE = application("People", everyone=["IMAP.AccessAsUser.All"], entered=False)
POLICY = application("Policy", policies=[("restrict", "helpdesk@contoso.com")], entered=False)
CALENDAR = application("Calendar", "Calendars.Read", entered=False)
NOISE = application("Noise", graph=["User.Read.All"], entered=False)
MEANT = application("Meant", entered=False)
SID = "S-1-5-21-1-2-3-1105"

BOXES = (
    mailbox("support@contoso.com", full=[DESK], send_as=[DESK], people=4),
    mailbox("sales@contoso.com", send_as=[DESK], kind="shared", people=1),
    mailbox("left@contoso.com", unresolved=[SID], kind="soft-deleted"),
    mailbox("team@contoso.com", full=[DESK], kind="group"),
    mailbox("boss@contoso.com", on_behalf=[DESK]),
    *(empty(number) for number in range(9)),
)
EVENTS = (
    Event(AT, "ann@contoso.com", "Add app role assignment", DESK.object_id, "entra"),
    Event(AT, "ann@contoso.com", "Add owner", NOISE.object_id, "entra"),
    Event(AT, "ann@contoso.com", "Add-MailboxPermission", DESK.object_id, "exchange", "support@contoso.com"),
    Event(AT, "ann@contoso.com", "Add-MailboxPermission", "bob@contoso.com", "exchange", "support@contoso.com"),
    Event(AT, "ann@contoso.com", "Add-RecipientPermission", SID.lower(), "exchange", "support@contoso.com"),
    Event(AT, "ann@contoso.com", "Set-CASMailbox", "support@contoso.com", "exchange", "support@contoso.com"),
    Event(AT, "ann@contoso.com", "Set-CASMailbox", "box0001@contoso.com", "exchange", "box0001@contoso.com"),
    Event(AT, "ann@contoso.com", "Set-TransportConfig", "", "exchange"),
    Event(AT - timedelta(days=91), "ann@contoso.com", "Set-TransportConfig", "", "exchange"),
)
TENANT = tenant(DESK, READER, PEOPLE, POLICY, CALENDAR, NOISE, MEANT, *BOXES, events=EVENTS)


@pytest.fixture
def desk() -> Desk:
    return Desk(TENANT)


def names(inventory: Inventory) -> dict[str, list[str]]:
    return {
        "registrations": sorted(one.name for one in inventory.registrations),
        "principals": sorted(one.name for one in inventory.principals),
    }


def test_applications_that_matter_to_mail_are_kept(desk: Desk):
    """By consent to mail, everybody's or an application's own; by an entry; by a policy. Not by Calendars.Read, not by what
    reaches no mail."""
    found = desk.collect()
    assert names(found)["registrations"] == names(found)["principals"] == ["Desk", "People", "Policy", "Reader"]
    assert {(row.principal, row.value) for row in found.role_grants} == {
        (DESK.object_id, "IMAP.AccessAsApp"),
        (READER.object_id, "Mail.Read"),
    }
    assert [row.principal for row in found.scope_grants] == [PEOPLE.object_id]
    assert found.coverage.whole
    assert found.coverage.missing == {}


@pytest.mark.parametrize(
    "wishes",
    [Wishes(app_ids=frozenset({AppId(MEANT.app_id.upper())})), Wishes(unique_names=frozenset({"exosp-meant"}))],
    ids=["by appId", "by unique name"],
)
def test_an_application_that_a_playbook_names_is_kept_whatever_it_holds(wishes: Wishes):
    """With its enterprise application, which its unique name alone does not give."""
    found = Desk(TENANT, wishes).collect()
    assert "Meant" in names(found)["registrations"]
    assert "Meant" in names(found)["principals"]


def test_whose_object_id_an_entry_bears_is_kept():
    """The entry's own application, and the one whose object ID it bears."""
    strange = application("Strange", entered=False)
    wrong = application("Wrong", object_id=strange.object_id)
    found = Desk(tenant(wrong, strange)).collect()
    assert names(found)["principals"] == ["Strange", "Wrong"]


def test_a_role_of_an_application_without_an_entry_makes_it_matter():
    manager = application("Manager", entered=False, roles=[role("Application Mail.Send")])
    assert names(Desk(tenant(manager)).collect())["principals"] == ["Manager"]


def test_consents_beside_one_to_mail_are_kept_with_it():
    """All that one holds on Exchange, once it matters; and an entry's, whatever it is."""
    both = application("Both", "IMAP.AccessAsApp", "Calendars.Read", entered=False)
    entered = application("Entered", "Contacts.Read")
    found = Desk(tenant(both, entered, CALENDAR)).collect()
    assert sorted(row.value for row in found.role_grants) == ["Calendars.Read", "Contacts.Read", "IMAP.AccessAsApp"]


def test_mailboxes_are_kept_where_an_application_or_somebody_unknown_holds_something(desk: Desk):
    found = {box.address: box for box in desk.collect().mailboxes}
    assert {address: [grant.right for grant in box.grants] for address, box in found.items()} == {
        "support@contoso.com": ["FullAccess", "SendAs"],
        "sales@contoso.com": ["SendAs"],
        "left@contoso.com": ["FullAccess"],
        "team@contoso.com": ["FullAccess"],
        "boss@contoso.com": ["SendOnBehalf"],
    }
    assert found["left@contoso.com"].grants == (Grant("FullAccess", SID),)
    assert found["boss@contoso.com"].grants == (Grant("SendOnBehalf", DESK.object_id, DESK.entry),)
    assert found["support@contoso.com"].people == 4


def test_people_are_counted(desk: Desk):
    """Every mailbox by kind, every grant to a person, every row from above."""
    coverage = desk.collect().coverage
    assert dict(coverage.mailboxes) == {"group": 1, "shared": 1, "soft-deleted": 1, "user": 11}
    assert coverage.people == 4 + 1 + 9 * 2
    assert coverage.inherited == len(BOXES)
    assert coverage.unread == 0


def test_who_is_named_on_behalf_is_an_application_a_sid_or_a_person():
    """A name that two applications bear names neither."""
    twin, other = application("Twin"), application("twin", registered=False)
    trustees = ("Bob", SID, DESK.object_id.upper(), "Twin")
    box = mailbox("boss@contoso.com", grants=[Grant("SendOnBehalf", name) for name in trustees], people=1)
    found = Desk(tenant(DESK, twin, other, box)).collect()
    [kept] = found.mailboxes
    assert [(grant.trustee, grant.entry) for grant in kept.grants] == [(DESK.object_id.upper(), DESK.entry), (SID, "")]
    assert kept.people == found.coverage.people == 3


def test_a_recipient_that_is_no_mailbox_is_kept_by_its_name():
    """A distribution group that an application may send as: none of the lists shows it."""
    desk = Desk(tenant(DESK))
    grant = Grant("SendAs", DESK.object_id, DESK.entry)
    desk.exchange.send_as = lambda entry: iter([("All Staff", grant)])  # type: ignore[method-assign]
    [box] = desk.collect().mailboxes
    assert (box.id, box.address, box.kind, box.grants) == ("all staff", "all staff", "other", (grant,))


def test_client_access_is_asked_of_kept_mailboxes_alone(desk: Desk):
    """Not of groups, not of deleted ones; and once more of those that an answer leaves out."""
    asked: list[list[str]] = []
    answer = desk.exchange.client_access

    def some(boxes):
        asked.append(sorted(box.address for box in boxes))
        return {} if len(asked) == 1 else answer(boxes)

    desk.exchange.client_access = some  # type: ignore[method-assign]
    found = desk.collect()
    assert asked == [["boss@contoso.com", "sales@contoso.com", "support@contoso.com"]] * 2
    assert {box.address for box in found.mailboxes if box.access} == set(asked[0])
    assert found.has("client-access")


def test_a_mailbox_that_has_no_switches_has_none(desk: Desk):
    desk.exchange.client_access = lambda boxes: {}  # type: ignore[method-assign]
    found = desk.collect()
    assert found.coverage.whole
    assert {box.access for box in found.mailboxes} == {None}


def test_federated_credentials_are_asked_of_kept_registrations_alone():
    desk = Desk(TENANT, federated={one.object_id: (federated(),) for one in TENANT.registrations})
    found = desk.collect()
    assert all(one.credentials[-1] == federated() for one in found.registrations)
    assert desk.directory.trouble.asked["federated"] == 1


def test_logs_and_folders_are_read_on_request_alone(desk: Desk):
    """And what they hold of others is not kept."""
    quiet = desk.collect()
    assert quiet.events == ()
    assert not quiet.coverage.read & {"last-use", "folder-permissions", "directory-log", "exchange-log"}
    folder = Grant("Folder", DESK.object_id, DESK.entry, folder="Inbox", role="Reviewer")
    boxes = (mailbox("inbox@contoso.com", grants=[folder], people=2), *BOXES[:1])
    asked = Desk(tenant(DESK, NOISE, *boxes, events=EVENTS), Wishes(folders=True, evidence=True)).collect()
    assert set(asked.events) == {EVENTS[0], EVENTS[2], EVENTS[4], EVENTS[5], EVENTS[7]}
    assert asked.last_use == DESK.last_use
    assert {box.address: box.grants[0].right for box in asked.mailboxes} == {
        "inbox@contoso.com": "Folder",
        "support@contoso.com": "FullAccess",
    }
    assert asked.coverage.people == 6
    assert asked.has("last-use", "directory-log", "exchange-log", "folder-permissions")


def test_what_a_tenant_holds_comes_out_as_it_is():
    """Nothing is lost or changed on the way: a tenant of which everything matters is its own inventory."""
    whole = tenant(DESK, READER, PEOPLE, POLICY, *BOXES[:4], scope("Other"), cloud="global")
    plain = replace(
        whole,
        coverage=Desk(whole).collect().coverage,
        last_use=(),
        mailboxes=tuple(
            sorted(
                (
                    replace(box, access=box.access if box.kind in ("user", "shared") else None)
                    for box in whole.mailboxes
                ),
                key=lambda box: box.address,
            )
        ),
    )
    found = Desk(whole).collect()
    for name in ("registrations", "principals", "role_grants", "entries", "scopes"):
        assert set(getattr(found, name)) == set(getattr(plain, name)), name
        plain = replace(plain, **{name: getattr(found, name)})
    assert canonical(found) == canonical(plain)


def test_entries_come_first_and_mailboxes_after_the_directory(desk: Desk):
    """What is kept of the directory goes by Exchange, and what is kept of mailboxes by who may send as whom."""
    order: list[str] = []
    desk.exchange.trouble = desk.directory.trouble = Trouble(order.append)
    desk.collect()
    first = list(dict.fromkeys(order))
    assert first[:6] == [
        "entries", "management-roles", "management-scopes", "access-policies", "organization", "role-grants",
    ]  # fmt: skip
    assert first.index("enterprise-applications") < first.index("applications") < first.index("owners")
    assert first.index("owners") < first.index("recipient-permissions") < first.index("mailboxes")
    assert first[-1] == "client-access"


# What fails


def fails(desk: Desk, name: str, fault: Callable[[], CloudError]) -> None:
    def strike(what: str) -> None:
        if what == name:
            raise fault()

    desk.exchange.trouble.strike = desk.directory.trouble.strike = strike


def forbidden() -> Forbidden:
    return Forbidden("Insufficient privileges", service="fake", status=403, hint="whatever")


WHOLE_SECTIONS: tuple[Section, ...] = (
    "management-roles", "management-scopes", "access-policies", "role-grants", "scope-grants", "enterprise-applications", "applications", "owners", "security-defaults", "recipient-permissions", "client-access",
    "mailbox-permissions", "last-use", "directory-log", "exchange-log", "folder-permissions",
)  # fmt: skip


@pytest.mark.parametrize("section", WHOLE_SECTIONS)
def test_a_section_that_is_forbidden_is_missing_and_the_rest_goes_on(section: Section):
    """It says what to grant. The tenant's other sections are all read."""
    desk = Desk(TENANT, Wishes(folders=True, evidence=True))
    fails(desk, section, forbidden)
    coverage = desk.collect().coverage
    assert coverage.read | set(coverage.missing) == desk.wishes.sections
    of = "" if section != "mailbox-permissions" else "group mailboxes: "
    first, _, rest = coverage.missing[section].partition("; it needs ")
    assert first == of + "Insufficient privileges"
    assert rest.startswith(NEEDS[section])
    assert set(coverage.missing) == {section}
    assert section not in coverage.read
    assert coverage.whole == (section not in NEEDED)
    assert not coverage.interrupted


def test_permissions_that_are_forbidden_leave_what_others_say_of_mailboxes(desk: Desk):
    """Every list is read to its end: mailboxes are counted, and kept by who may send as them and on whose behalf."""
    fails(desk, "mailbox-permissions", forbidden)
    found = desk.collect()
    assert {box.address: [g.right for g in box.grants] for box in found.mailboxes} == {
        "support@contoso.com": ["SendAs"],
        "sales@contoso.com": ["SendAs"],
        "boss@contoso.com": ["SendOnBehalf"],
    }
    assert sum(found.coverage.mailboxes.values()) == len(BOXES)
    assert found.has("mailboxes")
    assert found.coverage.missing["mailbox-permissions"].count("; it needs ") == 3


def test_a_list_that_cannot_be_had_is_missing_with_its_permissions(desk: Desk):
    whole = desk.exchange.mailboxes

    def some(kind):
        if kind == "group":
            raise forbidden()
        return whole(kind)

    desk.exchange.mailboxes = some  # type: ignore[method-assign]
    coverage = desk.collect().coverage
    assert set(coverage.missing) == {"mailboxes", "mailbox-permissions"}
    assert coverage.missing["mailboxes"].startswith("group mailboxes: Insufficient privileges; it needs ")
    assert dict(coverage.mailboxes) == {"shared": 1, "soft-deleted": 1, "user": 11}


def test_the_organization_is_three_sections(desk: Desk):
    """Of which each is read where it shows."""
    desk.exchange.has = replace(TENANT, organization=Organization(smtp_auth_disabled=True))
    coverage = desk.collect().coverage
    assert "transport" in coverage.read
    assert set(coverage.missing) == {"authentication-policies", "organization"}
    fails(desk, "organization", forbidden)
    assert set(desk.collect().coverage.missing) == {"transport", "authentication-policies", "organization"}


def test_where_nothing_can_be_read_the_first_refusal_is_raised(desk: Desk):
    def strike(what: str) -> None:
        raise Forbidden(f"no {what}", service="fake", status=403)

    desk.exchange.trouble.strike = desk.directory.trouble.strike = strike
    with pytest.raises(Forbidden, match="no entries"):
        desk.collect()


def test_a_service_that_answers_nothing_twice_is_not_asked_a_third_time(desk: Desk):
    """Otherwise each of twenty sections would wait for its eight tries. The other service is read."""

    def strike(what: str) -> None:
        raise Unreachable("the name does not exist", may_have_happened=False, transient=False, service="fake")

    desk.exchange.trouble.strike = strike
    coverage = desk.collect().coverage
    assert sum(desk.exchange.trouble.asked.values()) == 2
    assert coverage.missing["client-access"] == coverage.missing["mailboxes"].split("; ")[-1].split(": ")[-1]
    assert {"applications", "role-grants", "owners"} <= coverage.read
    assert not coverage.whole


def test_one_section_that_is_cut_off_does_not_silence_the_next(desk: Desk):
    fails(desk, "management-roles", unheard)
    coverage = desk.collect().coverage
    assert set(coverage.missing) == {"management-roles"}
    assert desk.exchange.trouble.asked["management-roles"] == 2 * 8


@pytest.mark.parametrize(
    "section", ["role-grants", "recipient-permissions", "mailbox-permissions", "mailboxes", "entries", "applications"]
)
def test_what_failed_for_now_is_read_at_the_end(desk: Desk, section: Section):
    """With all that goes by it: what comes of it is the same. What was read is not read again."""
    plain = desk.collect()
    again = Desk(TENANT)
    left = [unheard() for _ in range(8)]

    def strike(what: str) -> None:
        if what == section and left:
            raise left.pop()

    again.exchange.trouble.strike = again.directory.trouble.strike = strike
    assert canonical(again.collect()) == canonical(plain)
    assert left == []
    assert len(again.exchange.read) <= len(BOXES) + (1 if section == "recipient-permissions" else 0)


def test_a_mailbox_that_fails_is_asked_again(desk: Desk):
    """And is then as if nothing had been."""
    plain = desk.collect()
    again = Desk(TENANT)
    left = [throttled(), unheard(), CloudError("odd", service="fake")]

    def strike(what: str) -> None:
        if what == "one-permission" and left:
            raise left.pop()

    again.exchange.trouble.strike = strike
    assert canonical(again.collect()) == canonical(plain)
    assert left == []
    assert again.clock.slept >= 1.0


@pytest.mark.parametrize(
    ("fault", "asked"),
    [
        (Missing("it is gone", service="fake"), TRIES),
        (forbidden(), 1),
        (unheard(), 2 * 8),
        (Unreachable("it is gone", may_have_happened=False, transient=False, service="fake"), TRIES),
    ],
    ids=["gone", "forbidden", "unheard", "unheard for good"],
)
def test_a_mailbox_that_fails_again_and_again_is_not_read(desk: Desk, fault: CloudError, asked: int):
    """It says why, it counts as a mailbox, the rest is read, and the audit is not whole."""
    desk.exchange.broken = {BOXES[0].id: fault}
    found = desk.collect()
    [box] = [box for box in found.mailboxes if box.unread]
    assert (box.address, box.unread) == ("support@contoso.com", fault.what)
    assert [grant.right for grant in box.grants] == ["SendAs"]
    assert desk.exchange.read.count(BOXES[0].id) == asked
    assert found.coverage.unread == 1
    assert sum(found.coverage.mailboxes.values()) == len(BOXES)
    assert found.has("mailboxes", "mailbox-permissions", "client-access")
    assert not found.coverage.whole


def test_folders_that_fail_are_said_to_be_folders():
    desk = Desk(TENANT, Wishes(folders=True))
    fails(desk, "one-folder", lambda: CloudError("no such folder", service="fake"))
    found = desk.collect()
    assert {box.unread for box in found.mailboxes if box.kind == "user"} == {"its folders: no such folder"}
    assert found.coverage.unread == 12


def test_where_nobody_answers_for_mailbox_after_mailbox_the_list_is_given_up(desk: Desk):
    """Otherwise an audit of a hundred thousand would wait for hours. What was read stays, and can be gone on with."""
    desk.exchange.has = tenant(DESK, *(empty(number) for number in range(300)))

    def strike(what: str) -> None:
        if what == "one-permission" and len(desk.exchange.read) > 10:
            raise unheard()

    desk.exchange.trouble.strike = strike
    coverage = desk.collect().coverage
    assert coverage.missing["mailbox-permissions"] == "the connection was broken off"
    assert len(desk.exchange.read) < 150
    assert dict(coverage.mailboxes) == {"user": 10}


def test_what_was_asked_often_enough_below_is_not_asked_again_here(desk: Desk):
    """A census that repeats its own pages is asked once, and once more at the end; not eight times."""

    def strike(what: str) -> None:
        if what == "management-roles":
            fault = unheard()
            fault.given_up = True
            raise fault

    desk.exchange.trouble.strike = strike
    assert set(desk.collect().coverage.missing) == {"management-roles"}
    assert desk.exchange.trouble.asked["management-roles"] == 2


def test_two_layers_of_patience_do_not_multiply(desk: Desk):
    """Eight tries, and eight more at the end; not sixty-four."""
    plain = desk.exchange.management_roles
    desk.exchange.management_roles = lambda: desk.patience.transport(plain)  # type: ignore[method-assign]
    fails(desk, "management-roles", unheard)
    assert set(desk.collect().coverage.missing) == {"management-roles"}
    assert desk.exchange.trouble.asked["management-roles"] == 2 * 8


def test_a_mailbox_without_an_answer_is_asked_again(desk: Desk):
    """A remoting that loses an item may not lose a mailbox."""
    plain = desk.collect()
    again = Desk(TENANT)
    held = again.exchange._held
    lost = [2]

    def some(page, what, rights):
        for number, one in enumerate(held(page, what, rights)):
            if number == 1 and lost[0]:
                lost[0] -= 1
                continue
            yield one

    again.exchange._held = some  # type: ignore[method-assign]
    assert canonical(again.collect()) == canonical(plain)


def test_a_list_that_breaks_off_begins_anew_and_shows_nothing_twice(desk: Desk):
    """A generator ends with what it raised: asked on, it would end as if the list had."""
    plain = desk.collect()
    again = Desk(TENANT)
    broken = {3: 1, 5: 2}

    def strike(what: str) -> None:
        at = again.exchange.trouble.asked["mailboxes"]
        if what == "mailboxes" and broken.pop(at, None):
            raise unheard()

    again.exchange.trouble.strike = strike
    assert canonical(again.collect()) == canonical(plain)
    assert broken == {}
    assert sorted(again.exchange.read) == sorted(box.id for box in BOXES)


def test_a_list_that_breaks_at_the_same_place_for_ever_is_given_up(desk: Desk):
    """After as many tries as anything else, although its first pages come every time."""
    whole = desk.exchange.mailboxes
    passes: list[str] = []

    def some(kind):
        passes.append(kind)
        yield from islice(whole(kind), 2)
        if kind == "user":
            raise unheard()

    desk.exchange.mailboxes = some  # type: ignore[method-assign]
    coverage = desk.collect().coverage
    assert passes.count("user") == 2 * (1 + 8)
    assert coverage.missing["mailboxes"] == "the connection was broken off"
    assert coverage.missing["mailbox-permissions"] == "the connection was broken off"
    assert dict(coverage.mailboxes) == {"group": 1, "shared": 1, "soft-deleted": 1, "user": 5}
    assert len(desk.exchange.read) == 8


def test_while_a_service_asks_to_wait_no_mailbox_is_asked_for(desk: Desk):
    """Retry-After of one mailbox's answer holds the rest of the list back."""
    desk.exchange.has = tenant(DESK, *(empty(number) for number in range(30)))
    times: list[tuple[str, float]] = []
    first = [throttled(after=20.0)]

    def strike(what: str) -> None:
        times.append((what, desk.clock.now()))
        if what == "one-permission" and first:
            raise first.pop()

    desk.exchange.trouble.strike = strike
    found = desk.collect()
    asked = [at for what, at in times if what == "one-permission"]
    assert asked[:3] == [0.0] * 3  # the page that was under way
    assert min(asked[3:]) >= 20.0
    assert found.coverage.unread == 0


def test_progress_says_how_much_is_done_and_of_how_much_once_that_is_known(desk: Desk):
    """Of all lists together, which are read ahead: so it is known long before the end."""
    desk.collect()
    told = [one for one in desk.told if one.section == "mailbox-permissions" and one.done]
    assert [one.done for one in told] == list(range(1, len(BOXES) + 1))
    assert {one.total for one in told} <= {None, len(BOXES)}
    assert told[-1].total == len(BOXES)
    assert [one.section for one in desk.told][:2] == ["entries", "management-roles"]


def test_lists_are_read_ahead_of_permissions(desk: Desk):
    """However slow these are: the first mailbox is not done before all are listed."""
    desk.exchange.has = tenant(DESK, *(empty(number) for number in range(200)))
    whole = desk.exchange.permissions

    def slow(mailboxes, kind, entries):
        until = time.monotonic() + 10
        while desk.exchange.trouble.asked["mailboxes"] < 67 and time.monotonic() < until:
            time.sleep(0.001)
            if desk.exchange.trouble.asked["mailboxes"] == 0:
                mailboxes = chain([next(mailboxes)], mailboxes)
        return whole(mailboxes, kind, entries)

    desk.exchange.permissions = slow  # type: ignore[method-assign]
    found = desk.collect()
    assert desk.exchange.trouble.asked["mailboxes"] == 67
    assert dict(found.coverage.mailboxes) == {"user": 200}


def test_without_the_entries_nothing_that_goes_by_them_is_read(desk: Desk):
    """Every application's grant would be a stranger's."""
    fails(desk, "entries", forbidden)
    found = desk.collect()
    assert set(found.coverage.missing) == {
        "entries", "recipient-permissions", "mailboxes", "mailbox-permissions", "client-access",
    }  # fmt: skip
    assert found.mailboxes == ()
    assert desk.exchange.read == []


def test_a_bug_is_no_missing_section(desk: Desk):
    def strike(what: str) -> None:
        raise KeyError(what)

    desk.directory.trouble.strike = strike
    with pytest.raises(KeyError):
        desk.collect()
