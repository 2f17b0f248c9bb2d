"""SMTP by RBAC for Applications, end to end on the sandbox: no claim, no mailbox permission, one scope and one role."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from desk import QUICKSTART, Desk
from exosp import opath, steps
from exosp.sandbox import catalog, rbac
from exosp.sandbox.directory import EXCHANGE_ONLINE
from exosp.snapshot import Address, Mailbox
from exosp.steps.rbac import ROLE, name_of
from exosp.tenant import Tenant
from exosp.writes import AssignManagementRole, NewManagementScope, RemoveManagementRole, RemoveManagementScope
from runs import Port, Runs, granted, state

pytestmark = pytest.mark.slow  # whole lives of a tenant


OURS = "exosp-support-desk-smtp"
TENANT: dict[str, Any] = {
    "mailboxes": [
        {"address": "support@contoso.com", "attributes": {"Department": "O'Brien's $desk"}},
        {"address": "sales@contoso.com", "attributes": {"Department": "Sales"}},
        "private@contoso.com",
    ],
    "groups": [
        {
            "address": "senders@contoso.com",
            "name": "O'Brien, Senders",
            "members": ["support@contoso.com", "in@contoso.com"],
        },
        {"address": "in@contoso.com", "name": "Nested", "members": ["private@contoso.com"]},
        {
            "address": "team@contoso.com",
            "name": "Team",
            "kind": "Microsoft365Group",
            "members": ["support@contoso.com"],
        },
    ],
    "admin_units": [
        {"name": "Branch", "id": "4d819ce9-9257-44d7-af20-68a49e6697f4", "members": ["support@contoso.com"]}
    ],
}


@pytest.fixture
def desk(unkind: Callable[..., Desk]) -> Desk:
    found = unkind("none", content=TENANT)
    found.write(playbook())
    return found


def playbook(
    smtp: str = "{access: rbac, scope: senders@contoso.com}", boxes: str = "support@contoso.com", more: str = "",
    protocols: str = "[imap, pop, smtp]",
) -> str:  # fmt: skip
    """The quickstart with this under smtp, and these mailboxes."""
    lines = QUICKSTART.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(("  - ", "protocols:", "mailboxes:"))]
    listed = "".join(f"  - {box}\n" for box in boxes.split(" | "))
    return "\n".join([*kept, f"protocols: {protocols}", f"smtp: {smtp}", more, "mailboxes:", listed])


def roles(desk: Desk) -> list[str]:
    """The app roles that tokens of ours carry."""
    directory = desk.running.sandbox.tenant.directory
    resource = directory.principal(EXCHANGE_ONLINE)
    assert resource is not None
    names = {role["id"]: role["value"] for role in resource.properties["appRoles"]}
    mine = [row for row in desk.state()["appRoleAssignments"] if row["principalDisplayName"] == "Support Desk Mail"]
    return sorted(names.get(row["appRoleId"], "?") for row in mine)


def scoped(desk: Desk) -> tuple[list[str], list[str]]:
    """Filters of the scopes, and where each assignment reaches."""
    exchange = desk.state()["exchange"]
    rows = exchange["managementRoleAssignments"]
    return (
        [row["RecipientFilter"] for row in exchange["managementScopes"]],
        [f"{row['Name']}: {row['Role']} in {row['CustomResourceScope'] or 'all'}" for row in rows],
    )


def plan_of(desk: Desk) -> list[tuple[str, str]]:
    return [(change.step, change.verb) for change in desk.look()[1].changes]


def test_a_group_s_members_send_without_claim_and_permission(desk: Desk) -> None:
    """IMAP and POP keep claim and FullAccess; SMTP gets a scope of the group's DN, whatever is in its name, and one role; all
    logins work, the second plan is empty, and strangers and nested members are refused."""
    desk.write(playbook(boxes="support@contoso.com | {address: sales@contoso.com, protocols: [imap]}"))
    desk.apply()
    assert roles(desk) == ["IMAP.AccessAsApp", "POP.AccessAsApp"]
    filters, assigned = scoped(desk)
    assert assigned == [f"{OURS}: {ROLE} in {OURS}"]
    assert "CN=O''Brien\\, Senders," in filters[0]
    assert desk.look()[1].empty
    verdict = desk.verify(negative=("private@contoso.com",))
    assert verdict.proven, [(p.probe, p.cause) for p in verdict.proofs]
    assert "SMTP.SendAsApp" not in verdict.claims["roles"]
    assert {(p.probe.protocol, p.proof) for p in verdict.proofs if p.probe.mailbox == "support@contoso.com"} == {
        ("imap", "opened"), ("pop", "opened"), ("smtp", "accepted"),
    }  # fmt: skip


def test_a_mailbox_that_only_sends_gets_no_permission(desk: Desk) -> None:
    """With smtp alone nobody is granted anything, no role is consented to, and it sends; another's attempt is refused."""
    desk.write(playbook(protocols="[smtp]"))
    desk.apply()
    assert roles(desk) == []
    assert granted(desk) == {}
    assert desk.applications()[0]["requiredResourceAccess"] == []
    assert desk.look()[1].empty
    assert desk.verify(negative=("private@contoso.com",)).proven


@pytest.mark.parametrize(
    ("smtp", "reach"),
    [
        ("{access: rbac, filter: {Department: \"O'Brien's $desk\"}}", "(Department -eq 'O''Brien''s $desk')"),
        ("{access: rbac, filter: \"Alias -like 'sup*' -and RecipientTypeDetails -eq 'UserMailbox'\"}",
         "((Alias -like 'sup*') -and (RecipientTypeDetails -eq 'UserMailbox'))"),
        ("{access: rbac, scope: team@contoso.com}", "(MemberOfGroup -eq 'CN=Team,"),
    ],
)  # fmt: skip
def test_the_scope_may_be_a_filter_or_any_group(desk: Desk, smtp: str, reach: str) -> None:
    """Filters by property, as text or by value, and Microsoft 365 groups: Exchange holds exactly that, and it lets in."""
    desk.write(playbook(smtp))
    desk.apply()
    assert scoped(desk)[0][0].startswith(reach)
    assert desk.look()[1].empty
    assert desk.verify().proven


def test_the_scope_may_be_an_administrative_unit(desk: Desk) -> None:
    """No management scope is made; going over to a group makes one, and going back takes it away."""
    unit = "{access: rbac, admin_unit: 4d819ce9-9257-44d7-af20-68a49e6697f4}"
    desk.write(playbook(unit))
    desk.apply()
    assert scoped(desk)[0] == []
    assert desk.verify().proven
    desk.write(playbook())
    desk.apply()
    assert len(scoped(desk)[0]) == 1
    desk.write(playbook(unit))
    assert ("rbac", "repair") in plan_of(desk)
    desk.apply()
    assert scoped(desk) == ([], [f"{OURS}: {ROLE} in 4d819ce9-9257-44d7-af20-68a49e6697f4"])
    assert desk.look()[1].empty


def test_the_plan_says_how_each_protocol_lets_in(desk: Desk) -> None:
    """Text and document name the mode of each protocol, where they differ."""
    from exosp.report import text

    seen, plan = desk.look()
    shown = " ".join(text.plan(plan).split())
    assert "IMAP by the claim IMAP.AccessAsApp, and FullAccess on each mailbox" in shown
    assert "SMTP by RBAC for Applications, Application SMTP.SendAsApp within group senders@contoso.com" in shown
    assert set(plan.as_json(seen)["modes"]) == {"imap", "pop", "smtp"}
    desk.write(QUICKSTART.read_text(encoding="utf-8"))
    assert "modes" not in desk.look()[1].as_json()


def give_claim(desk: Desk) -> None:
    directory = desk.running.sandbox.tenant.directory
    [entity] = [p for p in directory.service_principals.values() if p.properties["displayName"] == "Support Desk Mail"]
    catalog.assign(directory, entity, EXCHANGE_ONLINE, "SMTP.SendAsApp")


def test_claim_and_rbac_are_not_mixed(desk: Desk) -> None:
    """Where the application holds SMTP.SendAsApp nothing of RBAC is made and the reason is given; verify names the token, and
    prune takes the claim and makes the rest."""
    desk.write(playbook(smtp="{access: claim}"))
    desk.apply()
    desk.write(playbook())
    plan = desk.look()[1]
    [refusal] = plan.refused
    assert "check mailbox permissions" in refusal.what
    assert not [change for change in plan.changes if change.step == "rbac"]
    verdict = desk.verify(wait=0.0)
    assert not verdict.proven
    assert any("it carries SMTP.SendAsApp" in fault for fault in verdict.token_faults)
    desk.write(playbook(more="prune: true"))
    desk.apply()
    assert roles(desk) == ["IMAP.AccessAsApp", "POP.AccessAsApp"]
    assert desk.look()[1].empty
    assert desk.verify().proven


def test_a_claim_given_later_is_named_as_the_cause(desk: Desk) -> None:
    """A claim beside the role, and a mailbox without permission: the diagnosis says that the claim brings back the check."""
    desk.write(playbook(protocols="[smtp]"))
    desk.apply()
    give_claim(desk)
    [proof] = desk.verify(wait=0.0).proofs
    assert (proof.ok, proof.key) == (False, "rbac-with-claim")


def test_a_nested_member_is_named_as_outside_the_scope(desk: Desk) -> None:
    """verify tells a mailbox that is in the group only by another group from one that is merely too early."""
    desk.write(playbook(boxes="support@contoso.com | private@contoso.com", protocols="[smtp]"))
    desk.apply()
    proofs = {proof.probe.mailbox: proof for proof in desk.verify(wait=0.0).proofs}
    assert proofs["support@contoso.com"].ok
    assert proofs["private@contoso.com"].key == "rbac-scope"
    assert proofs["private@contoso.com"].proof != "too-early"


def test_in_scope_and_refused_is_too_early(unkind: Callable[..., Desk]) -> None:
    """With the cache of two hours a login is refused though the scope holds the mailbox: too early, and proven with patience."""
    desk = unkind("rbac-cache=7200", content=TENANT)
    desk.running.sandbox.tenant.faults.set("rbac-cache", 7200)
    desk.write(playbook(protocols="[smtp]"))
    desk.apply()
    [proof] = desk.verify(wait=0.0).proofs
    assert proof.proof == "too-early", proof
    assert any("in the scope" in text for text in proof.evidence)
    assert desk.verify(wait=3 * 3600.0).proven


def test_what_was_widened_by_hand_is_put_right_or_shown(desk: Desk) -> None:
    """Our scope's filter is mended; a second role without any scope is shown as access, and goes only with prune; roles for
    other protocols stay."""
    desk.apply()
    tenant = desk.running.sandbox.tenant
    [scope] = tenant.exchange.management_scopes
    scope.properties["RecipientFilter"] = "(Alias -like '*')"
    template = tenant.exchange.management_role_assignments[0]
    for name, role in (("wide", ROLE), ("graph", "Application Mail.Read")):
        more = {"Name": name, "Identity": name, "Role": role, "RecipientWriteScope": "Organization",
                "CustomResourceScope": "", "CustomRecipientWriteScope": "", "_scope": ""}  # fmt: skip
        tenant.exchange.management_role_assignments.append(type(template)(template.properties | more, 0.0))
    plan = desk.look()[1]
    [change] = plan.changes
    assert (change.step, change.verb) == ("rbac", "repair")
    assert {(drift.target, drift.access) for drift in plan.drift} == {("wide", True), ("graph", False)}
    desk.apply()
    assert "MemberOfGroup" in scoped(desk)[0][0]
    assert not desk.verify().proven
    desk.write(playbook(more="prune: true"))
    desk.apply()
    assert scoped(desk)[1] == [f"{OURS}: {ROLE} in {OURS}", "graph: Application Mail.Read in all"]


def test_a_role_beside_the_claim_is_shown(desk: Desk) -> None:
    """Back to the claim: the role that stays lets in too, so it is access that the playbook does not list; prune takes it with
    its scope."""
    desk.apply()
    desk.write(playbook(smtp="{access: claim}"))
    desk.apply()
    [drift] = desk.look()[1].drift
    assert (drift.step, drift.access) == ("rbac", True)
    desk.write(playbook(smtp="{access: claim}", more="prune: true"))
    desk.apply()
    assert scoped(desk) == ([], [])
    assert desk.look()[1].empty


def forget_group(tenant: Any, every_row: int) -> None:
    """The playbook's group goes, others stay; and a Get-* with an unknown identity answers with every row there is, or not."""
    tenant.exchange.groups[:] = [g for g in tenant.exchange.groups if g.properties["Alias"] != "senders"]
    tenant.faults.set("unknown-identity", every_row)


def test_a_stranger_in_the_scope_is_found_whatever_its_login_says(desk: Desk) -> None:
    """SMTP AUTH is off for the stranger, so its login is refused; the scope holds it all the same, and verify says so."""
    desk.write(playbook("{access: rbac, filter: \"Alias -like '*'\"}", protocols="[smtp]"))
    desk.apply()
    verdict = desk.verify(negative=("private@contoso.com",))
    assert not verdict.proven
    [proof] = [proof for proof in verdict.proofs if proof.probe.expect == "refuse"]
    assert (proof.ok, proof.key) == (False, "open-to-it")
    assert "in the scope" in proof.cause


def everybody(unkind: Callable[..., Desk], count: int, faults: str = "none") -> Desk:
    """So many mailboxes more, of which the application reaches the ones that are named box0…"""
    desk = unkind(faults, content=TENANT, mailboxes=count)
    desk.credential.unlink(missing_ok=True)
    desk.write(
        playbook("{access: rbac, filter: \"Alias -like 'box000*'\"}", "box00000@contoso.com", protocols="[smtp]")
    )
    desk.apply()
    return desk


def in_scope(desk: Desk) -> tuple[dict[str, bool], Counter[str]]:
    """Of every mailbox, by its address, as the Exchange port says it; and what the service was asked for that."""
    with desk.session() as session:
        rows = desk.state()["exchange"]["casMailboxes"]
        exchange = session.patience.reading(session.tenant.exchange)
        known = exchange.mailboxes([Address(row["PrimarySmtpAddress"]) for row in rows])
        boxes = [box for box in known.values() if isinstance(box, Mailbox)]
        [entry] = exchange.entries()
        before, asked = desk.requests(), session.tenant.exchange.requests
        said = exchange.in_scope(entry, ROLE, boxes)
        after = desk.requests()
        spent = Counter[str]()
        for service in ("admin-api", "remoting"):
            spent += Counter(after[service]) - Counter(before[service])
        spent["requests"] = session.tenant.exchange.requests - asked
        return {box.address: said[box.id] for box in boxes}, spent


def test_the_scope_of_many_mailboxes_is_asked_several_at_once(
    unkind: Callable[..., Desk], record_property: Callable[[str, object], None]
) -> None:
    """Two hundred mailboxes: over the admin API in three rounds of eight $batch, as full as keeps all eight busy; over a management host a pipeline each, in eight sessions
    at once. Each mailbox has its own answer, the same by both ways."""
    desk, test = everybody(unkind, 197), "Test-ServicePrincipalAuthorization"
    found, spent = in_scope(desk)
    assert {address for address, inside in found.items() if inside} == {f"box000{n:02}@contoso.com" for n in range(100)}
    assert spent == {test: 200, "requests": 24, "$batch": 24}
    record_property("figure", f"scope of 200 mailboxes: {spent['requests']} requests of the admin API")
    desk.remoting = ""
    again, spent = in_scope(desk)
    assert again == found
    assert spent[test] == 200
    assert desk.requests()["remoting"]["Connect-ExchangeOnline"] == 8


def test_the_scope_is_asked_again_where_an_answer_is_lost(unkind: Callable[..., Desk]) -> None:
    """Items of a $batch throttled or lost, whole requests dropped, sessions that end: each mailbox has its answer all the same."""
    desk = everybody(unkind, 40)
    wanted, _ = in_scope(desk)
    for way in ("admin-api", ""):
        desk.remoting = way
        for name in (
            "admin-api-item-throttle",
            "admin-api-lost-item",
            "admin-api-drop",
            "remoting-drop-after",
            "remoting-busy",
        ):
            desk.running.sandbox.tenant.faults.set(name, 2)
        assert in_scope(desk)[0] == wanted
        fired = desk.running.sandbox.tenant.faults.fired
        assert sum(count for name, count in fired.items() if name.startswith(way or "remoting")) >= 2


def test_another_filter_is_set_and_an_undo_leaves_what_it_cannot_put_back(desk: Desk, tmp_path: Path) -> None:
    """Where the filter changes the scope is set anew, the assignment stays, and logins go by the new filter."""
    runs = Runs(desk, tmp_path / "journals")
    first = "{access: rbac, filter: \"Alias -eq 'support'\"}"
    desk.write(playbook(first, protocols="[smtp]"))
    runs.apply()
    before, held = scoped(desk), desk.state()["exchange"]["managementRoleAssignments"]
    desk.write(playbook("{access: rbac, filter: \"Alias -eq 'sales'\"}", "sales@contoso.com", protocols="[smtp]"))
    [change] = desk.look()[1].changes[:1]
    assert [type(write).__name__ for write in change.writes] == ["SetManagementScope"]
    runs.apply()
    assert desk.requests()["admin-api"]["Set-ManagementScope"] == 1
    assert scoped(desk) == (["(Alias -eq 'sales')"], before[1])
    assert desk.state()["exchange"]["managementRoleAssignments"] == held
    assert desk.look()[1].empty
    assert desk.verify(negative=("support@contoso.com",)).proven
    result = runs.undo(runs.last)
    assert not result.failed
    assert scoped(desk) == (["(Alias -eq 'sales')"], before[1])
    [stays] = [drift for drift in result.plan.drift if drift.step == "rbac"]
    assert "taken from the playbook alone" in stays.what
    desk.write(playbook(first, protocols="[smtp]"))
    runs.apply()
    assert scoped(desk) == before


@pytest.mark.parametrize(
    ("break_", "says"),
    [
        (lambda tenant: tenant.exchange.groups.clear(), "no group has this address"),
        (lambda tenant: forget_group(tenant, every_row=1), "no group has this address"),
        (lambda tenant: forget_group(tenant, every_row=0), "no group has this address"),
        (lambda tenant: tenant.faults.set("dehydrated", 1), "IsDehydrated"),
    ],
)
def test_what_stands_in_the_way_is_said_before_a_write(desk: Desk, break_: Callable[[Any], None], says: str) -> None:
    """A missing group and an organization that takes no scopes are refused in the plan; IMAP and POP go on."""
    break_(desk.running.sandbox.tenant)
    plan = desk.look()[1]
    [refusal] = plan.refused
    assert says in refusal.what
    assert refusal.hint
    assert not [change for change in plan.changes if change.step == "rbac"]
    assert [change for change in plan.changes if change.step == "grants"]


def test_another_scope_with_the_same_filter_is_named(desk: Desk) -> None:
    """Exchange takes no second scope with one filter: the plan says so, and which one has it."""
    desk.apply()
    tenant = desk.running.sandbox.tenant
    tenant.exchange.management_role_assignments.clear()
    [scope] = tenant.exchange.management_scopes
    scope.properties |= {"Name": "theirs", "Identity": "theirs"}
    [refusal] = desk.look()[1].refused
    assert "'theirs'" in refusal.what


def test_destroy_takes_assignment_and_scope_and_no_others(desk: Desk, tmp_path: Path) -> None:
    """What bears our name goes; another's scope and assignment stay; apply, destroy, apply converges."""
    runs = Runs(desk, tmp_path / "journals")
    before = state(desk)["exchange"]
    tenant = desk.running.sandbox.tenant
    runs.apply()
    [scope] = tenant.exchange.management_scopes
    other = scope.properties | {"Name": "theirs", "Identity": "theirs", "RecipientFilter": "(Alias -eq 'x')"}
    tenant.exchange.management_scopes.append(type(scope)(other, 0.0))
    runs.destroy()
    assert scoped(desk) == (["(Alias -eq 'x')"], [])
    del tenant.exchange.management_scopes[:]
    assert {k: v for k, v in state(desk)["exchange"].items() if k != "casMailboxes"} == {
        k: v for k, v in before.items() if k != "casMailboxes"
    }
    runs.apply()
    assert desk.look()[1].empty
    assert desk.verify().proven


def test_undo_takes_what_the_run_made(desk: Desk, tmp_path: Path) -> None:
    """Undoing the run that made scope and role takes both; a journal that names others' changes nothing of theirs."""
    runs = Runs(desk, tmp_path / "journals")
    runs.apply()
    first = runs.last
    runs.undo(first)
    assert scoped(desk) == ([], [])
    runs.apply()

    def forge(lines: list[dict[str, Any]]) -> None:
        text = json.dumps(lines)
        assert f'"name": "{OURS}"' in text
        lines[:] = json.loads(text.replace(f'"name": "{OURS}"', '"name": "theirs"'))

    runs.rewrite(forge)
    runs.undo(runs.last)
    assert len(scoped(desk)[0]) == 1


def test_a_lost_answer_duplicates_nothing(unkind: Callable[..., Desk]) -> None:
    """Under the sandbox's default faults, seeds apart, it converges to one scope and one assignment."""
    for seed in (3, 4):
        desk = unkind("default", seed=seed, content=TENANT)
        desk.credential.unlink(missing_ok=True)
        desk.write(playbook())
        desk.apply()
        filters, assigned = scoped(desk)
        assert (len(filters), assigned) == (1, [f"{OURS}: {ROLE} in {OURS}"])
        assert desk.verify(wait=4 * 3600.0).proven


def test_a_long_key_makes_a_short_name_of_its_own(desk: Desk) -> None:
    """Names are at most 64 characters, and two long keys that begin alike make two names."""
    names = set()
    for end in ("x", "y"):
        desk.write(playbook().replace("key: support-desk ", f"key: {'a' * 90}{end} "))
        with desk.session() as session:
            names.add(name_of(session.want))
    assert len(names) == 2
    assert {len(name) for name in names} == {64}


def test_the_step_is_one_of_the_chain_before_grants() -> None:
    """A scope is made once Exchange knows the application, and the sandbox's list of roles has ours."""
    order = [steps.name(step) for step in steps.STEPS]
    assert order.index("exchange") < order.index("rbac") < order.index("grants")
    assert ROLE in rbac.ROLES
    assert opath.same("(Alias -eq 'a')", "alias -EQ 'a'")


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("command", ["apply", "destroy"])
@pytest.mark.parametrize("before", [True, False])
def test_killed_at_any_write_the_next_run_ends_it(desk: Desk, tmp_path: Path, command: str, before: bool) -> None:
    """Killed before or after each write of scope or role, and run again: one scope and one assignment, or none; also with the
    journals deleted in between."""
    desk.write(playbook(protocols="[smtp]"))
    kinds = {
        "apply": (NewManagementScope, AssignManagementRole),
        "destroy": (RemoveManagementRole, RemoveManagementScope),
    }[command]
    for number, kind in enumerate(kinds):
        runs = Runs(desk, tmp_path / f"journals-{number}")
        if command == "destroy":
            runs.apply()

        def through(tenant: Tenant, kind: type = kind) -> Tenant:
            def send(writes: Any, seen: Any) -> Any:
                mine = isinstance(writes[0], kind)
                if mine and before:
                    raise Killed
                yield from tenant.exchange.send(writes, seen)
                if mine:
                    raise Killed

            return replace(tenant, exchange=Port(tenant.exchange, {"send": send}))  # type: ignore[arg-type]  # by duck

        runs.through = through
        with pytest.raises(Killed):
            getattr(runs, command)()
        runs.through = lambda tenant: tenant
        if number == 0 and command == "apply":
            shutil.rmtree(runs.base)
        getattr(runs, command)()
        filters, assigned = scoped(desk)
        assert (len(filters), len(assigned)) == ((1, 1) if command == "apply" else (0, 0))
        runs.destroy()
        assert scoped(desk) == ([], [])
