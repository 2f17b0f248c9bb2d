"""``app: {id}`` adopts an application that exists; without it nobody else's is touched, whatever it is called."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from desk import Desk
from exosp import steps
from exosp.sandbox import catalog
from exosp.sending import Applied
from exosp.snapshot import EXCHANGE_ONLINE
from exosp.steps.application import foreign
from exosp.writes import UpdateApplication

pytestmark = pytest.mark.slow  # whole lives of a tenant


GRAPH = "00000003-0000-0000-c000-000000000000"
CRM = {"name": "CRM", "roles": ["IMAP.AccessAsApp"], "exchange": "right", "full_access": ["support@contoso.com"]}


@pytest.fixture
def crm(unkind: Callable[..., Desk]) -> Callable[..., tuple[Desk, Any]]:
    """A desk on a tenant with somebody's application, which the one who provisions owns too, and that application."""

    def make(app: str = "id: {id}", **changes: Any) -> tuple[Desk, Any]:
        desk = unkind("none", content={"applications": [CRM | changes]})
        tenant = desk.running.sandbox.tenant
        admin = tenant.directory.principal(tenant.admin_app_id)
        assert admin is not None
        [entity] = [a for a in tenant.directory.applications.values() if a.properties["displayName"] == "CRM"]
        entity.owners.add(admin.id)
        adopt(desk, app.replace("{id}", entity.properties["appId"]))
        return desk, entity

    return make


def adopt(desk: Desk, app: str) -> None:
    """The quickstart with this instead of key and name."""
    lines = desk.playbook.read_text().splitlines()
    kept = [line for line in lines if not line.strip().startswith(("key:", "name:"))]
    at = kept.index(next(line for line in kept if line.startswith("app:")))
    desk.write("\n".join([*kept[: at + 1], *(f"  {part}" for part in app.split(", ")), *kept[at + 1 :]]) + "\n")


def test_an_adopted_application_ends_in_working_logins(crm: Callable[..., tuple[Desk, Any]]) -> None:
    """No second application is made; it gains what is missing and keeps its name, its audience and every permission."""
    desk, app = crm()
    other = {
        "resourceAppId": GRAPH,
        "resourceAccess": [{"id": "e1fe6dd8-ba31-4d61-89e7-88639da4683d", "type": "Scope"}],
    }
    app.properties["requiredResourceAccess"] = [other]
    app.properties["signInAudience"] = "AzureADMultipleOrgs"
    secret = catalog.add_secret(desk.running.sandbox.tenant.directory, app, "theirs")
    seen, plan = desk.look()
    assert seen.application is not None
    assert seen.application.object_id == app.id
    assert [(c.step, c.verb) for c in plan.changes if c.step in ("application", "principal", "exchange")] == [
        ("application", "update")
    ]
    assert ["AzureADMultipleOrgs" in d.what for d in plan.drift if d.step == "application"] == [True]
    result = desk.apply()
    assert all(isinstance(outcome, Applied) for _, outcome in result.outcomes), result.outcomes
    [held] = desk.applications()
    assert held["displayName"] == "CRM"
    assert held["uniqueName"] is None
    assert held["signInAudience"] == "AzureADMultipleOrgs"
    assert other in held["requiredResourceAccess"]
    assert len(held["requiredResourceAccess"]) == 2
    assert [row["displayName"].split()[0] for row in held["passwordCredentials"]] == [
        "theirs", f"exosp-{held['appId']}",
    ]  # fmt: skip
    assert secret not in desk.credential.read_text()
    assert desk.look()[1].empty
    assert desk.verify().proven


def test_a_name_changes_only_where_the_playbook_states_one(crm: Callable[..., tuple[Desk, Any]]) -> None:
    """And a key beside the id names nothing in Graph but the secret."""
    desk, app = crm("id: {id}, key: crm-mail, name: CRM Mail")
    plan = desk.look()[1]
    [change] = [c for c in plan.changes if c.step == "application"]
    [write] = change.writes
    assert isinstance(write, UpdateApplication)
    assert (write.application, write.name) == (app.id, "CRM Mail")
    result = desk.apply()
    assert all(isinstance(outcome, Applied) for _, outcome in result.outcomes), result.outcomes
    [held] = desk.applications()
    assert (held["displayName"], held["uniqueName"]) == ("CRM Mail", None)
    assert held["passwordCredentials"][0]["displayName"].startswith("exosp-crm-mail")
    assert desk.look()[1].empty


def test_without_an_id_a_same_named_application_is_not_touched(unkind: Callable[..., Desk]) -> None:
    """A display name identifies nothing: ours is made beside it."""
    desk = unkind("none", content={"applications": [CRM | {"name": "Support Desk Mail"}]})
    before = desk.state()
    result = desk.apply()
    assert all(isinstance(outcome, Applied) for _, outcome in result.outcomes)
    after = desk.state()
    for part in ("applications", "servicePrincipals", "appRoleAssignments"):
        assert not [item for item in before[part] if item not in after[part]], part
    for part in ("servicePrincipals", "mailboxPermissions"):
        assert not [row for row in before["exchange"][part] if row not in after["exchange"][part]], part
    assert [app["displayName"] for app in desk.applications()] == ["Support Desk Mail"] * 2
    assert desk.verify().proven


def test_an_id_that_nobody_registered_is_refused(desk: Desk) -> None:
    """One refusal that says what kind of id is meant, and not one change built on nothing."""
    adopt(desk, "id: 11111111-2222-3333-4444-555555555555")
    plan = desk.look()[1]
    assert plan.empty
    [refused] = plan.refused
    assert "no application with this id" in refused.what
    assert "Application (client) ID" in refused.hint
    assert refused.where.endswith("playbook.yaml:4:1")


def test_an_application_of_another_tenant_is_refused(crm: Callable[..., tuple[Desk, Any]]) -> None:
    """Only its enterprise application is here: the refusal says whose the registration is."""
    desk, app = crm()
    del desk.running.sandbox.tenant.directory.applications[app.id]
    plan = desk.look()[1]
    assert plan.empty
    [refused] = plan.refused
    assert "another tenant" in refused.what
    assert "'CRM'" in refused.what


def test_an_object_id_instead_of_the_appid_finds_nothing(crm: Callable[..., tuple[Desk, Any]]) -> None:
    """The application's own object ID is no appId, and is not taken for one."""
    desk, app = crm()
    adopt(desk, f"id: {app.id}")
    text = desk.playbook.read_text().splitlines()
    ids = [line for line in text if line.strip().startswith("id:")]
    desk.write("\n".join(line for line in text if line not in ids[1:]) + "\n")
    assert desk.look()[0].application is None
    assert desk.look()[1].empty


def test_an_adopted_application_is_restored_from_the_recycle_bin(crm: Callable[..., tuple[Desk, Any]]) -> None:
    """Found there by its appId, since it has no unique name."""
    desk, app = crm()
    directory = desk.running.sandbox.tenant.directory
    directory.deleted_applications[app.id] = directory.applications.pop(app.id)
    app.properties["deletedDateTime"] = "2026-11-20T10:00:00Z"
    change = desk.look()[1].changes[0]
    assert (change.step, change.verb, change.target) == ("application", "restore", "CRM")
    assert "2026-12-20" in change.why
    result = desk.apply()
    assert all(isinstance(outcome, Applied) for _, outcome in result.outcomes), result.outcomes
    assert desk.look()[1].empty
    assert desk.verify().proven


def test_another_playbooks_application_is_known_as_such(crm: Callable[..., tuple[Desk, Any]]) -> None:
    """A unique name that a key of exosp makes is foreign unless the key beside the id is that one's; the plan itself
    refuses nothing, that being a guard's."""
    desk, _ = crm(unique_name="exosp-crm")
    seen, plan = desk.look()
    assert not plan.refused
    with desk.session() as session:
        want = session.want
    assert "exosp-crm" in foreign(want, seen)
    assert foreign(replace(want, app=replace(want.app, key="crm")), seen) == ""
    assert foreign(replace(want, app=replace(want.app, id=None)), seen) == ""
    assert seen.application is not None
    assert foreign(want, replace(seen, application=replace(seen.application, unique_name="crm"))) == ""
    assert foreign(want, replace(seen, application=None)) == ""


# What an application may do beyond the playbook


def test_roles_beyond_are_drift_and_removed_only_with_prune(crm: Callable[..., tuple[Desk, Any]]) -> None:
    """A role on Exchange that nothing needs is shown, and removed with prune; one on another resource never is."""
    desk, app = crm(roles=["IMAP.AccessAsApp", "full_access_as_app"], graph_roles=["Application.Read.All"])
    desk.apply()
    plan = desk.look()[1]
    assert plan.empty
    assert sorted(d.target for d in plan.drift if d.step == "consent")[-1] == "full_access_as_app"
    assert len([d for d in plan.drift if d.step == "consent"]) == 2
    desk.write(desk.playbook.read_text() + "prune: true\n")
    [change] = desk.look()[1].changes
    assert (change.step, change.verb, change.target) == ("consent", "remove", "full_access_as_app")
    desk.apply()
    directory = desk.running.sandbox.tenant.directory
    principal = directory.principal(app.properties["appId"])
    exchange = directory.principal(EXCHANGE_ONLINE)
    assert principal is not None
    assert exchange is not None
    held = [
        r.properties for r in directory.app_role_assignments.values() if r.properties["principalId"] == principal.id
    ]
    assert len([row for row in held if row["resourceId"] != exchange.id]) == 1
    assert len([row for row in held if row["resourceId"] == exchange.id]) == 3
    assert desk.look()[1].empty


@pytest.mark.parametrize("form", [0, *(pytest.param(form, marks=pytest.mark.slow) for form in (1, 2))])
def test_mailboxes_beyond_are_drift_and_removed_only_with_prune(unkind: Callable[..., Desk], form: int) -> None:
    """A mailbox and a right that the playbook does not list, whatever form the rows name the application in; the grants
    of others on the same mailbox stay."""
    desk = unkind(f"none,permission-user={form},permission-trustee={form}")
    desk.apply()
    exchange = desk.running.sandbox.tenant.exchange
    [entry] = exchange.service_principals
    private, sales = exchange.by_address("private@contoso.com"), exchange.by_address("sales@contoso.com")
    assert private is not None
    assert sales is not None
    exchange.add_ace(private, str(entry["ObjectId"]), ["FullAccess"])
    exchange.add_ace(private, "sales@contoso.com", ["FullAccess"])
    [row] = [row for row in sales.permissions if row["_trustee"] == entry["ObjectId"]]
    row.properties["AccessRights"] = ["FullAccess", "ReadPermission"]
    plan = desk.look()[1]
    assert plan.empty
    said = {d.target: d.what for d in plan.drift}
    assert set(said) == {"private@contoso.com", "sales@contoso.com"}
    assert said["sales@contoso.com"].startswith("ReadPermission for")
    desk.write(desk.playbook.read_text() + "\nprune: true\n")
    assert {(c.verb, c.target) for c in desk.look()[1].changes} == {
        ("remove", "private@contoso.com"), ("remove", "sales@contoso.com"),
    }  # fmt: skip
    with desk.session() as session:
        seen = steps.observe(session.want, session.tenant)
        writes = [write for change in steps.plan(session.want, seen).changes for write in change.writes]
        list(session.exchange.send(writes, seen))
    assert desk.look()[1].empty
    assert [row["_trustee"] for row in private.permissions if "SELF" not in str(row["User"])] == ["sales@contoso.com"]
    assert row["AccessRights"] == ["FullAccess"]
    assert desk.verify(negative=("private@contoso.com",)).proven
