"""Routes: what opens a mailbox, by which door, and what is missing where a door is shut."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from builders import (
    ALL_READ,
    OFF,
    application,
    entry,
    mailbox,
    role,
    scope,
    tenant,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from exosp.inventory import Coverage, Grant, Inventory
from exosp.routes import Route, routes

WRONG = "99999999-0000-0000-0000-000000000001"
SID = "S-1-5-21-1004-2005-3006-4007"
BOX = "support@contoso.com"

ENTRY = "an entry in Exchange with the enterprise application's object ID"
PRINCIPAL = "an enterprise application"
SIGN_IN = "leave to sign in: its enterprise application is disabled"
SUBMIT = "a mailbox through which it can submit by SMTP"


class Way(NamedTuple):
    """A route without whose it is."""

    mailbox: str
    door: str
    can: str
    by: str
    of: str
    scope: str = ""
    lacks: tuple[str, ...] = ()
    off: bool = False


def ways(inventory: Inventory) -> list[Way]:
    return [
        Way(r.mailbox, r.door, r.can, r.by, r.of, r.scope, r.lacks, r.protocols_off) for r in routes(inventory)
    ]  # fmt: skip


def full(door: str, *lacks: str, box: str = BOX, off: bool = False) -> Way:
    return Way(box, door, "send" if door == "smtp" else "open", "mailbox permission", "FullAccess", "", lacks, off)


def one(*consents: str, box: dict[str, Any] | None = None, **app: Any) -> Inventory:
    made = application("Desk", *consents, **app)
    return tenant(made, mailbox(BOX, **({"full": [made]} | (box or {}))))


def no_box(*consents: str, **app: Any) -> Inventory:
    return tenant(application("Desk", *consents, **app))


def by_permission(door: str, can: str, of: str, scope: str = "", *lacks: str) -> Way:
    return Way("", door, can, "application permission", of, scope, lacks)


def by_role(door: str, can: str, of: str, scope: str = "", *lacks: str) -> Way:
    return Way("", door, can, "management role", of, scope, lacks)


def delegated(door: str, can: str, of: str) -> Way:
    return Way("", door, can, "delegated permission", of, "what the person who is signed in can open")


SMTP = "Application SMTP.SendAsApp"
HELPDESK = "management scope Helpdesk"
ALL_THREE = ("IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp")

TABLE: dict[str, tuple[Inventory, list[Way]]] = {
    "IMAP": (one("IMAP.AccessAsApp"), [full("imap")]),
    "all three": (one(*ALL_THREE), [full("imap"), full("pop"), full("smtp")]),
    "no consent": (
        one(),
        [full("imap", "consent to IMAP.AccessAsApp"), full("pop", "consent to POP.AccessAsApp"), full("smtp", "consent to SMTP.SendAsApp")],
    ),
    "no mailbox": (no_box("IMAP.AccessAsApp"), [full("imap", "FullAccess on a mailbox", box="")]),
    "no entry and no mailbox": (
        no_box("POP.AccessAsApp", entered=False),
        [full("pop", ENTRY, "FullAccess on a mailbox", box="")],
    ),
    "a wrong object ID": (one("IMAP.AccessAsApp", object_id=WRONG), [full("imap", ENTRY)]),
    "no enterprise application": (one(enterprise=False), [
        full("imap", PRINCIPAL, "consent to IMAP.AccessAsApp"),
        full("pop", PRINCIPAL, "consent to POP.AccessAsApp"),
        full("smtp", PRINCIPAL, "consent to SMTP.SendAsApp"),
    ]),
    "sign-in switched off": (one("IMAP.AccessAsApp", principal={"enabled": False}), [full("imap", SIGN_IN)]),
    "IMAP off": (one("IMAP.AccessAsApp", box={"imap": False}), [full("imap", "IMAP on", off=True)]),
    "POP off, IMAP on": (
        one("IMAP.AccessAsApp", "POP.AccessAsApp", box={"pop": False}), [full("imap"), full("pop", "POP on", off=True)],
    ),
    "SMTP off by the mailbox": (
        one("SMTP.SendAsApp", box={"smtp_auth_disabled": True}), [full("smtp", "SMTP AUTH on", off=True)],
    ),
    "SMTP off by the tenant": (
        one("SMTP.SendAsApp", box={"smtp_auth_disabled": None}), [full("smtp", "SMTP AUTH on", off=True)],
    ),
    "SMTP on by the mailbox, off by the tenant": (
        one("SMTP.SendAsApp", box={"smtp_auth_disabled": False}), [full("smtp")],
    ),
    "a Deny beside": (
        tenant(app := application("Desk", "IMAP.AccessAsApp"), mailbox(BOX, full=[app], denied=[app])),
        [full("imap", "no Deny in its way")],
    ),
    "from above": (
        tenant(app := application("Desk", "IMAP.AccessAsApp"), mailbox(BOX, inherited=[app])), [full("imap")],
    ),
    "from above, and a Deny from above": (
        tenant(
            app := application("Desk", "IMAP.AccessAsApp"),
            mailbox(BOX, inherited=[app], grants=[Grant("FullAccess", "x", app.entry, deny=True, inherited=True)]),
        ),
        [full("imap", "no Deny in its way")],
    ),
    "its own, and a Deny from above": (
        tenant(
            app := application("Desk", "IMAP.AccessAsApp"),
            mailbox(BOX, full=[app], grants=[Grant("FullAccess", "x", app.entry, deny=True, inherited=True)]),
        ),
        [full("imap")],
    ),
    "a deleted mailbox": (one("IMAP.AccessAsApp", box={"kind": "soft-deleted"}), [full("imap", "a mailbox that is not deleted")]),
    "a group's mailbox": (
        one("IMAP.AccessAsApp", box={"kind": "group"}), [full("imap", "a mailbox that a login can open: this is a group's")],
    ),
    "of two entries the right one counts": (
        tenant(
            app := application("Desk", "IMAP.AccessAsApp"),
            mailbox(BOX, full=[app], grants=[Grant("FullAccess", WRONG, "wrong one")]),
            entries=(entry("Desk", app.app_id, WRONG, "wrong one"),),
        ),
        [full("imap")],
    ),
    "switches that were not read": (
        tenant(app := application("Desk", "POP.AccessAsApp"), replace(mailbox(BOX, full=[app], pop=False), access=None)),
        [full("pop")],
    ),
    "consents that were not read": (
        replace(one(), coverage=Coverage(read=ALL_READ - {"role-grants"})),
        [full(door, f"consent to {value}, which was not read") for door, value in zip(("imap", "pop", "smtp"), ALL_THREE, strict=True)],
    ),
    "SMTP by a role within a scope": (
        replace(no_box(roles=[role(SMTP)]), organization=replace(OFF, smtp_auth_disabled=False)),
        [by_role("smtp", "send", SMTP, HELPDESK)],
    ),
    "SMTP by a role on everything, off in the tenant": (
        no_box(roles=[role(SMTP, "organization")]),
        [by_role("smtp", "send", SMTP, "every mailbox, where SMTP AUTH is on for the mailbox itself")],
    ),
    "SMTP by a role beside consent": (
        replace(no_box("SMTP.SendAsApp", roles=[role(SMTP)]), organization=replace(OFF, smtp_auth_disabled=False)),
        [by_role("smtp", "send", SMTP, HELPDESK, "a token without SMTP.SendAsApp: its consent asks for a mailbox permission again")],
    ),
    "a role within a scope that is gone": (
        no_box(roles=[role("Application Mail.Read", scope="Gone")]),
        [by_role("graph", "read", "Application Mail.Read", "management scope Gone", "the management scope Gone, which is not there")],
    ),
    "a role for a wrong object ID": (
        no_box(roles=[role("Application Mail.Send", "group", "desk")], object_id=WRONG),
        [by_role("graph", "send", "Application Mail.Send", "group desk", ENTRY)],
    ),
    "roles of several kinds": (
        no_box(roles=[
            role("Application EWS.AccessAsApp", "unit", "north"), role("Application Calendars.Read"),
            role("Application Mail.ReadWrite", "organization"), role("View-Only Recipients"),
        ]),
        [
            by_role("graph", "manage", "Application Mail.ReadWrite"),
            by_role("graph", "read", "Application Mail.ReadWrite"),
            by_role("ews", "manage", "Application EWS.AccessAsApp", "administrative unit north"),
            by_role("ews", "read", "Application EWS.AccessAsApp", "administrative unit north"),
            by_role("ews", "send", "Application EWS.AccessAsApp", "administrative unit north"),
        ],
    ),
    "Graph on everything": (
        no_box(graph=["Mail.ReadWrite"], entered=False),
        [by_permission("graph", "manage", "Mail.ReadWrite"), by_permission("graph", "read", "Mail.ReadWrite")],
    ),
    "EWS, narrowed and denied": (
        no_box("full_access_as_app", policies=[("restrict", "a"), ("restrict", "b"), ("deny", "c")]),
        [by_permission("ews", can, "full_access_as_app", "a or b, but not c") for can in ("manage", "read", "send")],
    ),
    "Graph, only denied": (
        no_box(graph=["Mail.Send"], policies=[("deny", "board")]),
        [by_permission("graph", "send", "Mail.Send", "every mailbox, but not board")],
    ),
    "a policy does not narrow a role": (
        no_box(graph=["Mail.Read"], policies=[("restrict", "a")], roles=[role("Application Mail.Read", "organization")]),
        [by_permission("graph", "read", "Mail.Read", "a"), by_role("graph", "read", "Application Mail.Read")],
    ),
    "a policy does not narrow IMAP": (one("IMAP.AccessAsApp", policies=[("restrict", "a")]), [full("imap")]),
    "Graph, switched off": (
        no_box(graph=["Mail.Read"], principal={"enabled": False}), [by_permission("graph", "read", "Mail.Read", "", SIGN_IN)],
    ),
    "delegated for everybody": (
        no_box(everyone=["POP.AccessAsUser.All", "SMTP.Send", "EWS.AccessAsUser.All", "Exchange.Manage", "openid"],
               graph_everyone=["IMAP.AccessAsUser.All", "Mail.Read", "Mail.Send.Shared", "Mail.ReadWrite", "User.Read"]),
        [
            delegated("imap", "open", "IMAP.AccessAsUser.All"),
            delegated("pop", "open", "POP.AccessAsUser.All"),
            delegated("smtp", "send", "SMTP.Send"),
            delegated("graph", "manage", "Mail.ReadWrite"),
            delegated("graph", "read", "Mail.Read"),
            delegated("graph", "send", "Mail.Send.Shared"),
            delegated("ews", "open", "EWS.AccessAsUser.All"),
            delegated("exchange-admin", "manage", "Exchange.Manage"),
        ],
    ),
    "SendAs beside FullAccess elsewhere": (
        tenant(app := application("Desk", "SMTP.SendAsApp"), mailbox(BOX, full=[app]), mailbox("a@contoso.com", send_as=[app])),
        [Way("a@contoso.com", "smtp", "send", "recipient permission", "SendAs"), full("smtp")],
    ),
    "SendAs alone": (
        one("SMTP.SendAsApp", box={"full": (), "send_as": [application("Desk")]}),
        [
            full("smtp", "FullAccess on a mailbox", box=""),
            Way(BOX, "smtp", "send", "recipient permission", "SendAs", "", (SUBMIT,)),
        ],
    ),
    "SendAs without consent": (
        one(box={"full": (), "send_as": [application("Desk")]}),
        [Way(BOX, "smtp", "send", "recipient permission", "SendAs", "", ("consent to SMTP.SendAsApp", SUBMIT))],
    ),
    "SendAs by a role": (
        replace(one(roles=[role(SMTP)], box={"full": (), "send_as": [application("Desk")]}), organization=replace(OFF, smtp_auth_disabled=False)),
        [by_role("smtp", "send", SMTP, HELPDESK), Way(BOX, "smtp", "send", "recipient permission", "SendAs")],
    ),
    "on behalf": (
        tenant(app := application("Desk", "SMTP.SendAsApp"), mailbox(BOX, full=[app], on_behalf=[app])),
        [full("smtp"), Way(BOX, "smtp", "send", "send on behalf", "SendOnBehalf")],
    ),
    "a folder": (
        tenant(app := application("Desk"), mailbox(BOX, grants=[Grant("Folder", "x", app.entry, folder="Inbox", role="Reviewer")])),
        [Way(BOX, "ews", "read", "folder permission", "Reviewer on Inbox", "", ("FullAccess, or a permission that reaches the mailbox",))],
    ),
    "who administers Exchange": (
        no_box("Exchange.ManageAsApp"), [by_permission("exchange-admin", "manage", "Exchange.ManageAsApp", "where its role in Exchange reaches")],
    ),
    "who administers recipients by a role of its own": (
        no_box("Exchange.ManageAsAppV2", roles=[role("Mail Recipients", scope="Gone"), role("View-Only Recipients")]),
        [
            by_permission("exchange-admin", "manage", "Exchange.ManageAsAppV2", "where its role in Exchange reaches"),
            by_role("exchange-admin", "manage", "Mail Recipients", "management scope Gone", "the management scope Gone, which is not there"),
        ],
    ),
    "an administrator's role without consent": (
        no_box(roles=[role("Mail Recipients", "organization")]),
        [by_role("exchange-admin", "manage", "Mail Recipients", "", "consent to Exchange.ManageAsApp")],
    ),
    "who can give itself more": (
        no_box(graph=["RoleManagement.ReadWrite.Directory"]),
        [by_permission("graph", "manage", "RoleManagement.ReadWrite.Directory", "", "one more step, which it can take itself")],
    ),
    "a right that opens nothing": (
        tenant(app := application("Desk"), mailbox(BOX, grants=[Grant("ReadPermission", "x", app.entry), Grant("other", SID, role="ChangeOwner")])),
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_every_way(name: str):
    inventory, expected = TABLE[name]
    assert ways(inventory) == expected


def test_whom_nobody_resolves():
    """Each grant is a route of its own, named as the row shows it, and never open."""
    found = list(
        routes(
            tenant(
                mailbox(BOX, unresolved=[SID], grants=[Grant("SendAs", "Gone"), Grant("SendOnBehalf", "Gone")]),
                mailbox(
                    "a@contoso.com", unresolved=[SID], grants=[Grant("Folder", "Gone", folder="Inbox", role="Editor")]
                ),
                mailbox("b@contoso.com", grants=[Grant("FullAccess", "Denied", deny=True)]),
            )
        )
    )
    assert [(route.app_id, route.holder, route.mailbox, route.door, route.can, route.of) for route in found] == [
        ("", "Gone", "a@contoso.com", "ews", "read", "Editor on Inbox"),
        ("", "Gone", BOX, "smtp", "send", "SendAs"),
        ("", "Gone", BOX, "smtp", "send", "SendOnBehalf"),
        ("", SID, "a@contoso.com", "imap", "open", "FullAccess"),
        ("", SID, BOX, "imap", "open", "FullAccess"),
    ]
    assert {route.lacks for route in found} == {("a trustee that somebody resolves",)}


def test_whose_and_in_which_order():
    """By application and mailbox, unresolved trustees last; the name is the registration's."""
    apps = [application(name, "IMAP.AccessAsApp", graph=["Mail.Read"]) for name in ("One", "Two", "Three")]
    inventory = tenant(*apps, *(mailbox(f"{letter}@contoso.com", full=apps, unresolved=[SID]) for letter in "cab"))
    found = list(routes(inventory))
    by_id = sorted(apps, key=lambda app: app.app_id)
    assert [(route.app_id, route.holder) for route in found] == [
        *((app.app_id, app.name) for app in by_id for _ in range(4)),
        *((("", SID),) * 3),
    ]
    assert [route.mailbox for route in found] == [*(["", *(f"{letter}@contoso.com" for letter in "abc")] * 3), *(f"{letter}@contoso.com" for letter in "abc")]  # fmt: skip


def test_a_role_of_an_unknown_application_is_not_dropped():
    stray = replace(role("Application Mail.Read"), app=frozenset({"some one", "nobody known"}))
    (found,) = routes(tenant(roles=(stray,)))
    assert (found.app_id, found.door, found.lacks) == ("nobody known", "graph", (PRINCIPAL,))


def test_a_role_is_that_applications_whose_id_its_row_names():
    """Two applications of one name; the row names one of them by its id, and both by their name."""
    one_, two = application("Desk"), application("Other")
    two = replace(two, entries=(replace(two.entries[0], forms=two.entries[0].forms | {"desk"}),))
    row = replace(role("Application Mail.Read"), app=frozenset({"desk", one_.object_id}))
    by_name = replace(row, app=frozenset({"desk"}))
    assert {route.app_id for route in routes(tenant(one_, two, roles=(row,)))} == {one_.app_id}
    assert {route.app_id for route in routes(tenant(one_, two, roles=(by_name,)))} == {one_.app_id, two.app_id}


# Laws

LINKS: dict[str, Callable[[dict[str, Any]], None]] = {
    "consent": lambda t: t.update(consents=()),
    "enterprise application": lambda t: t.update(enterprise=False),
    "sign-in": lambda t: t.update(enabled=False),
    "the entry's object ID": lambda t: t.update(object_id=WRONG),
    "FullAccess": lambda t: t.update(full=False),
    "no Deny": lambda t: t.update(denied=True),
    "the switch": lambda t: t.update(imap=False, pop=False, smtp_auth_disabled=True),
    "a live mailbox": lambda t: t.update(kind="soft-deleted"),
}  # fmt: skip


def chain(consents: tuple[str, ...], missing: frozenset[str]) -> Inventory:
    """One application and one mailbox with every link of the chain but these."""
    whole: dict[str, Any] = {
        "consents": consents, "enterprise": True, "enabled": True, "object_id": "", "full": True, "denied": False,
        "imap": True, "pop": True, "smtp_auth_disabled": False, "kind": "user",
    }  # fmt: skip
    for link in missing:
        LINKS[link](whole)
    app = application(
        "Desk", *whole["consents"], enterprise=whole["enterprise"], object_id=whole["object_id"],
        principal={"enabled": whole["enabled"]},
    )  # fmt: skip
    box = mailbox(
        BOX, full=[app] * whole["full"], denied=[app] * whole["denied"], kind=whole["kind"], imap=whole["imap"],
        pop=whole["pop"], smtp_auth_disabled=whole["smtp_auth_disabled"],
    )  # fmt: skip
    return tenant(app, box)


@pytest.mark.parametrize("link", LINKS)
def test_dropping_any_link_closes_every_door(link: str):
    assert {route.door for route in routes(chain(ALL_THREE, frozenset())) if route.is_open} == {"imap", "pop", "smtp"}
    assert [route for route in routes(chain(ALL_THREE, frozenset({link}))) if route.is_open] == []


DOOR_OF = dict(zip(ALL_THREE, ("imap", "pop", "smtp"), strict=True))


@settings(deadline=None)
@given(st.sets(st.sampled_from(ALL_THREE), min_size=1), st.frozensets(st.sampled_from(sorted(LINKS))))
def test_a_login_is_open_only_with_all_its_links(consents: set[str], missing: frozenset[str]):
    """With all of them the consented doors are open and no others; without any one of them none is."""
    found = {route.door for route in routes(chain(tuple(sorted(consents)), missing)) if route.is_open}
    assert found == (set() if missing else {DOOR_OF[value] for value in consents})


ROLES = (role(SMTP, name="one"), role(SMTP, name="two"), role("Application Mail.Read", scope="Gone", name="three"))


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    """Tenants in which anything may be wrong."""
    apps = []
    for name in draw(st.lists(st.sampled_from(["One", "Two", "Three"]), unique=True, max_size=3)):
        apps.append(
            application(
                name,
                *draw(st.sets(st.sampled_from([*ALL_THREE, "full_access_as_app", "Exchange.ManageAsApp"]))),
                graph=sorted(draw(st.sets(st.sampled_from(["Mail.Read", "Mail.Send", "Directory.ReadWrite.All"])))),
                everyone=sorted(draw(st.sets(st.sampled_from(["SMTP.Send", "openid"])))),
                roles=draw(st.lists(st.sampled_from(ROLES), max_size=2, unique=True)),
                policies=draw(st.lists(st.sampled_from([("restrict", "a"), ("deny", "b")]), max_size=2)),
                enterprise=draw(st.booleans()),
                object_id=draw(st.sampled_from(["", f"wrong-{name}"])),
                principal={"enabled": draw(st.booleans())},
            )
        )
    some = st.lists(st.sampled_from(apps), unique_by=id) if apps else st.just([])
    boxes = [
        mailbox(
            address, full=draw(some), send_as=draw(some), on_behalf=draw(some), inherited=draw(some), denied=draw(some),
            unresolved=[SID] * draw(st.integers(0, 1)), kind=draw(st.sampled_from(["user", "soft-deleted", "group"])),
            imap=draw(st.booleans()), pop=draw(st.booleans()), smtp_auth_disabled=draw(st.sampled_from([True, False, None])),
        )
        for address in draw(st.lists(st.sampled_from(["a@x.com", "b@x.com", "c@x.com"]), unique=True))
    ]  # fmt: skip
    return tenant(*apps, *boxes, scope("Other"))


@settings(max_examples=50, deadline=None)
@given(inventories())
def test_no_route_is_open_without_its_links(inventory: Inventory):
    """Held against the inventory itself, link by link, in other words than the code's."""
    principals = {row.app_id: row for row in inventory.principals}
    right = {(row.app_id, row.object_id): row.identity for row in inventory.entries}
    boxes = {box.address: box for box in inventory.mailboxes}
    found = list(routes(inventory))
    for route in found:
        if not route.is_open:
            continue
        assert route.app_id in principals
        assert principals[route.app_id].enabled
        object_id = principals[route.app_id].object_id
        values = {row.value for row in inventory.role_grants if row.principal == object_id}
        identity = right.get((route.app_id, object_id))  # type: ignore[arg-type]
        if route.by == "application permission":
            assert route.of in values
        if route.by == "management role":
            assert identity
            assert not (route.door == "smtp" and "SMTP.SendAsApp" in values)
        if route.mailbox:
            box = boxes[route.mailbox]
            held = [row for row in box.grants if row.entry == identity and row.right == route.of and not row.deny]
            assert held
            assert box.kind != "soft-deleted"
            if route.of == "FullAccess":
                assert {"imap": "IMAP.AccessAsApp", "pop": "POP.AccessAsApp", "smtp": "SMTP.SendAsApp"}[
                    route.door
                ] in values
                assert not any(row.deny for row in box.grants if row.entry == identity)
                assert box.access is not None
                smtp = box.access.smtp_auth_disabled
                assert {"imap": box.access.imap, "pop": box.access.pop, "smtp": smtp is False}[route.door]
    assert len(set(found)) == len(found)
    assert [route for route in found if not route.app_id] == found[len(found) - sum(not r.app_id for r in found) :]


def test_a_route_is_open_where_nothing_is_lacking():
    route = Route(application("Desk").app_id, "Desk", BOX, "imap", "open", "mailbox permission", "FullAccess")
    assert route.is_open
    assert not replace(route, lacks=("consent",)).is_open
