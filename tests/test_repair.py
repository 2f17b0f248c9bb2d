"""What others' hands did wrong to our application: found, named, and mended or refused; no grant is lost on the way."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from desk import Desk
from exosp import steps, tenant
from exosp.converge import look
from exosp.errors import Forbidden, Missing, UsageError
from exosp.exchange.remotings import choose
from exosp.sandbox import catalog
from exosp.sandbox.exchange import Row
from exosp.sending import Applied
from exosp.snapshot import (
    EXCHANGE_ONLINE,
    Address,
    AppId,
    Application,
    ApplicationObjectId,
    ClaimedObjectId,
    DeletedApplication,
    Holdings,
    Owed,
    Snapshot,
)
from exosp.writes import (
    APPLICATION,
    ENTRY,
    PRINCIPAL,
    AddMailboxPermission,
    AddRecipientPermission,
    DeleteApplication,
    ExchangeWrite,
    NewServicePrincipal,
    RemoveAssignment,
    RemoveMailboxPermission,
    RemoveRecipientPermission,
    RemoveSecret,
    RemoveServicePrincipal,
    RestoreApplication,
)

pytestmark = pytest.mark.slow  # whole lives of a tenant


def send(session: Any, seen: Snapshot, *writes: ExchangeWrite) -> list[type]:
    return [type(answer) for _, answer in session.exchange.send(writes, seen)]


def granted(desk: Desk) -> list[dict[str, Any]]:
    """Mailbox permissions that somebody but the mailbox itself holds."""
    return [row for row in desk.state()["exchange"]["mailboxPermissions"] if row["User"] != "NT AUTHORITY\\SELF"]


# The writes that take away


def test_what_was_granted_can_be_taken_back(desk: Desk) -> None:
    """Each removal in Exchange is Done, is Done again where nothing is left, and leaves the tenant without the thing."""
    desk.apply()
    seen, _ = desk.look()
    boxes = seen.found(seen.mailboxes)
    rights = [RemoveMailboxPermission(box.id, box.address, ENTRY) for box in boxes]
    entry = RemoveServicePrincipal(seen.entries[0].identity, seen.entries[0].object_id)
    with desk.session() as session:
        send_as = AddRecipientPermission(boxes[0].id, boxes[0].address, ENTRY)
        assert send(session, seen, send_as) == [tenant.Done]
        away = RemoveRecipientPermission(boxes[0].id, boxes[0].address, ENTRY)
        for _ in range(2):
            assert send(session, seen, *rights, away) == [tenant.Done] * 3
            assert granted(desk) == []
            assert all("SELF" in row["Trustee"] for row in desk.state()["exchange"]["recipientPermissions"])
        for _ in range(2):
            assert send(session, seen, entry) == [tenant.Done]
            assert desk.state()["exchange"]["servicePrincipals"] == []


def test_a_right_of_somebody_who_is_gone_is_refused_and_not_waited_for(desk: Desk) -> None:
    """A trustee that no longer resolves does not come back: Missing, never NotYetVisible."""
    desk.apply()
    seen, _ = desk.look()
    box = seen.found(seen.mailboxes)[0]
    with desk.session() as session:
        send(session, seen, RemoveServicePrincipal(seen.entries[0].identity, seen.entries[0].object_id))
        [(_, answer)] = session.exchange.send([RemoveMailboxPermission(box.id, box.address, ENTRY)], seen)
    assert isinstance(answer, tenant.Failed)
    assert type(answer.error).__name__ == "Missing"


def test_an_application_goes_into_the_recycle_bin_and_comes_back(desk: Desk) -> None:
    """One assignment taken back, the application deleted and restored: the same ids, and what it asked for."""
    desk.apply()
    seen, _ = desk.look()
    assert seen.application is not None
    with desk.session() as session:
        row = seen.assignments[0]
        session.graph.send(RemoveAssignment(PRINCIPAL, row.id, "IMAP.AccessAsApp"), seen)
        assert len(session.graph.assignments(row.principal)) == 2
        session.graph.send(DeleteApplication(APPLICATION), seen)
        assert session.graph.application(seen.application.unique_name) is None
        back = session.graph.send(RestoreApplication(seen.application.object_id), seen)
    assert isinstance(back, Application)
    assert back == seen.application


# The wrong object ID in Exchange


OURS = {"name": "Support Desk Mail", "unique_name": "exosp-support-desk"}
HELD = ["support@contoso.com", "private@contoso.com"]


def owned(desk: Desk) -> Any:
    """Our application as the sandbox keeps it, owned by the one who provisions, as what exosp made is."""
    tenant = desk.running.sandbox.tenant
    admin = tenant.directory.principal(tenant.admin_app_id)
    [app] = [a for a in tenant.directory.applications.values() if a.properties["uniqueName"] == OURS["unique_name"]]
    app.owners.add(admin.id)
    return app


def addresses(desk: Desk, rows: list[dict[str, Any]]) -> set[str]:
    named = {b["ExternalDirectoryObjectId"]: b["PrimarySmtpAddress"] for b in desk.state()["exchange"]["casMailboxes"]}
    return {named[row["Identity"]] for row in rows}


def wrongly(unkind: Callable[..., Desk], faults: str = "", exchange: str = "application") -> Desk:
    """A tenant whose Exchange holds our application under the application's own object ID, with grants on two mailboxes,
    one of which the playbook does not list, and SendAs on the other."""
    content = {"applications": [{**OURS, "exchange": exchange, "full_access": HELD}]}
    desk = unkind(f"none,object-id-check=0{faults and ','}{faults}", content=content)
    owned(desk)
    exchange_ = desk.running.sandbox.tenant.exchange
    box, row = exchange_.by_address("support@contoso.com"), exchange_.service_principals[0]
    assert box is not None
    properties = {
        "Identity": box.properties["Identity"], "Trustee": row["ObjectId"], "AccessControlType": "Allow",
        "AccessRights": ["SendAs"], "IsInherited": False, "InheritanceType": "None", "IsValid": True,
        "ObjectState": "Unchanged", "_trustee": row["ObjectId"],
    }  # fmt: skip
    box.recipient_permissions.append(Row(properties, 0.0, 0.0))
    return desk


def let_in(desk: Desk) -> bool:
    """Whether every login works, and the tenant is as the playbook says but for what it does not list."""
    verdict = desk.verify()
    beyond = [drift for drift in verdict.plan.drift if drift.access]
    assert "private@contoso.com" in [drift.target for drift in beyond]
    assert not verdict.proven
    return verdict.converged and not verdict.token_faults and all(proof.ok for proof in verdict.proofs)


FORMS = [f"permission-user={f},permission-trustee={f},unknown-identity={u}" for f in (0, 1, 2) for u in (0, 1)]


@pytest.mark.parametrize("faults", [FORMS[0], FORMS[5], *(pytest.param(f, marks=pytest.mark.slow) for f in FORMS[1:5])])
def test_a_wrong_object_id_is_repaired_as_one_change(unkind: Callable[..., Desk], faults: str) -> None:
    """Named for what it is; taken, removed, made anew and granted again in that order, whatever form rows name their
    trustee in; afterwards every grant stands, the unlisted one too, and logins work."""
    desk = wrongly(unkind, faults)
    seen, plan = desk.look()
    [change] = [c for c in plan.changes if c.step == "exchange"]
    assert change.verb == "repair"
    assert "the application's own object ID" in change.why
    kinds = list(dict.fromkeys(type(write) for write in change.writes))
    assert kinds == [
        RemoveMailboxPermission, RemoveRecipientPermission, RemoveServicePrincipal, NewServicePrincipal,
        AddMailboxPermission, AddRecipientPermission,
    ]  # fmt: skip
    assert {w.address for w in change.writes if isinstance(w, AddMailboxPermission)} == set(HELD)
    assert [c.target for c in plan.changes if c.step == "grants"] == ["sales@contoso.com"]  # what no entry had
    assert seen.entry is None
    result = desk.apply()
    assert all(isinstance(outcome, Applied) for _, outcome in result.outcomes), result.outcomes
    state = desk.state()["exchange"]
    [entry] = state["servicePrincipals"]
    assert seen.principal is not None
    assert entry["ObjectId"] == seen.principal.object_id
    assert addresses(desk, granted(desk)) == {*HELD, "sales@contoso.com"}
    assert len([row for row in state["recipientPermissions"] if "SELF" not in row["Trustee"]]) == 1
    assert desk.look()[1].empty
    assert let_in(desk)


def test_any_other_wrong_object_id_is_named_as_such(unkind: Callable[..., Desk]) -> None:
    """An entry with an object ID of nobody's is repaired likewise and not called what it is not."""
    desk = wrongly(unkind)
    exchange = desk.running.sandbox.tenant.exchange
    exchange.service_principals[0].properties["ObjectId"] = "99999999-8888-7777-6666-555555555555"
    [change] = [c for c in desk.look()[1].changes if c.step == "exchange"]
    assert change.verb == "repair"
    assert "own object ID" not in change.why
    assert "99999999-8888-7777-6666-555555555555" in change.why


def test_grants_that_cannot_be_read_stop_the_repair(unkind: Callable[..., Desk]) -> None:
    """What an entry holds must be known before it goes: else a refusal that says how it is done by hand, and no write
    to Exchange's entry."""
    desk = wrongly(unkind)
    seen, _ = desk.look()
    unread = {identity: Holdings(unread="no such role") for identity in seen.holdings}
    with desk.session() as session:
        plan = steps.plan(session.want, replace(seen, holdings=unread))
    [refused] = [r for r in plan.refused if r.step == "exchange"]
    assert "no such role" in refused.what
    assert "Get-MailboxPermission" in refused.hint
    assert "Remove-ServicePrincipal" in refused.hint
    assert not [c for c in plan.changes if c.step == "exchange"]


def test_a_mailbox_that_may_not_be_read_leaves_the_grants_unknown(unkind: Callable[..., Desk]) -> None:
    """One mailbox out of the caller's scope and nothing is said of what the entry holds."""
    desk = wrongly(unkind)
    seen, _ = desk.look()
    with desk.session() as session:
        real = session.exchange._each

        def each(cmdlet: Any, boxes: Any) -> Any:
            if "User" in cmdlet.parameters:
                raise Forbidden("isn't within your write scope", service="remoting", asked=cmdlet.name)
            return real(cmdlet, boxes)

        session.exchange._each = each
        assert session.exchange.holdings(seen.entries[0]) == Holdings(unread="isn't within your write scope")


def test_rows_of_others_are_not_believed(unkind: Callable[..., Desk]) -> None:
    """Where Exchange answers a trustee it does not know with every row there is, that is nobody's holding."""
    desk = wrongly(unkind, "unknown-identity=0")
    seen, _ = desk.look()
    stranger = replace(seen.entries[0], object_id=ClaimedObjectId("99999999-8888-7777-6666-555555555555"))
    with desk.session() as session:
        assert session.exchange.holdings(stranger).unread


def test_prune_does_not_carry_over_what_the_playbook_does_not_list(unkind: Callable[..., Desk]) -> None:
    """With prune the repair grants again only what is listed; without it everything."""
    desk = wrongly(unkind)
    desk.write(desk.playbook.read_text() + "\nprune: true\n")
    [change] = [c for c in desk.look()[1].changes if c.step == "exchange"]
    again = [w.address for w in change.writes if isinstance(w, AddMailboxPermission | AddRecipientPermission)]
    assert again == ["support@contoso.com"]
    assert {w.address for w in change.writes if isinstance(w, RemoveMailboxPermission)} == set(HELD)


def test_a_deny_entry_stops_the_repair(unkind: Callable[..., Desk]) -> None:
    """Deny is somebody's decision; it is neither lost nor carried over."""
    desk = wrongly(unkind)
    exchange = desk.running.sandbox.tenant.exchange
    box = exchange.by_address("sales@contoso.com")
    assert box is not None
    exchange.add_ace(box, str(exchange.service_principals[0]["ObjectId"]), ["FullAccess"], deny=True)
    plan = desk.look()[1]
    [refused] = [r for r in plan.refused if r.step == "exchange"]
    assert "sales@contoso.com" in refused.what
    assert not [c for c in plan.changes if c.step == "exchange"]


def test_a_second_entry_goes_and_its_grants_move_to_the_right_one(unkind: Callable[..., Desk]) -> None:
    """Two entries of our appId: the wrong one is removed, the right one stays and gains what it lacked."""
    desk = wrongly(unkind, exchange="right")
    exchange = desk.running.sandbox.tenant.exchange
    app = owned(desk)
    second = exchange.add_service_principal(str(app.properties["appId"]), app.id, "by hand")
    box = exchange.by_address("sales@contoso.com")
    assert box is not None
    exchange.add_permission(box, second)
    [change] = [c for c in desk.look()[1].changes if c.step == "exchange"]
    assert [type(w) for w in change.writes] == [RemoveMailboxPermission, RemoveServicePrincipal, AddMailboxPermission]
    assert "a second time" in change.why
    result = desk.apply()
    assert all(isinstance(outcome, Applied) for _, outcome in result.outcomes), result.outcomes
    assert len(desk.state()["exchange"]["servicePrincipals"]) == 1
    assert addresses(desk, granted(desk)) == {*HELD, "sales@contoso.com"}
    assert let_in(desk)


def test_a_wrong_entry_whose_enterprise_application_is_gone(unkind: Callable[..., Desk]) -> None:
    """Both mended in one run: the enterprise application is made, then the entry is replaced with its object ID."""
    desk = wrongly(unkind)
    tenant = desk.running.sandbox.tenant
    principal = tenant.directory.principal(owned(desk).properties["appId"])
    assert principal is not None
    del tenant.directory.service_principals[principal.id]
    plan = desk.look()[1]
    assert [(c.step, c.verb) for c in plan.changes if c.step in ("principal", "exchange")] == [
        ("principal", "create"), ("exchange", "repair"),
    ]  # fmt: skip
    assert "no enterprise application here" in next(c.why for c in plan.changes if c.step == "exchange")
    result = desk.apply()
    assert all(isinstance(outcome, Applied) for _, outcome in result.outcomes), result.outcomes
    assert addresses(desk, granted(desk)) == {*HELD, "sales@contoso.com"}
    assert let_in(desk)


def test_more_grants_than_a_pipeline_takes_are_all_carried_over(unkind: Callable[..., Desk]) -> None:
    """130 mailboxes, none of them listed."""
    boxes = [f"box{number:05d}@contoso.com" for number in range(130)]
    desk = unkind(
        "none,object-id-check=0", content={"applications": [{**OURS, "exchange": "application"}]}, mailboxes=130
    )
    owned(desk)
    exchange = desk.running.sandbox.tenant.exchange
    for address in boxes:
        box = exchange.by_address(address)
        assert box is not None
        exchange.add_permission(box, exchange.service_principals[0])
    result = desk.apply()
    assert all(isinstance(outcome, Applied) for _, outcome in result.outcomes), result.outcomes
    assert addresses(desk, granted(desk)) == {*boxes, "support@contoso.com", "sales@contoso.com"}
    assert desk.look()[1].empty


def test_entries_of_other_applications_are_not_touched(unkind: Callable[..., Desk]) -> None:
    """An orphaned entry that bears our display name, and rows of a SID that is gone, are somebody else's."""
    desk = unkind("none")
    exchange = desk.running.sandbox.tenant.exchange
    exchange.add_service_principal(
        "11111111-2222-3333-4444-555555555555", "99999999-8888-7777-6666-555555555555", "Support Desk Mail"
    )
    box = exchange.by_address("support@contoso.com")
    assert box is not None
    exchange.add_ace(box, "S-1-5-21-1-2-3-4", ["FullAccess"])
    before = desk.state()["exchange"]
    result = desk.apply()
    assert all(isinstance(outcome, Applied) for _, outcome in result.outcomes)
    after = desk.state()["exchange"]
    for part in ("servicePrincipals", "mailboxPermissions"):
        assert not [row for row in before[part] if row not in after[part]], part
    assert desk.verify().proven


# What an interrupted repair owes


def test_what_is_owed_is_granted_again(desk: Desk) -> None:
    """With no wrong entry left: the right entry if it is missing, and what its holdings lack; nothing twice."""
    desk.apply()
    seen, plan = desk.look()
    assert plan.empty
    [support] = seen.found([Address("support@contoso.com")])
    other = seen.found([Address("sales@contoso.com")])[0]
    owed = (
        Owed(support.id, support.address, ("FullAccess",)),  # stands already
        Owed(other.id, other.address, ("FullAccess", "ReadPermission")),
        Owed(other.id, other.address, ("SendAs",)),
    )
    with desk.session() as session:
        [change] = steps.plan(session.want, replace(seen, owed=owed)).changes
        assert (change.step, change.verb) == ("exchange", "repair")
        assert change.writes == (
            AddMailboxPermission(other.id, other.address, ENTRY, ("ReadPermission",)),
            AddRecipientPermission(other.id, other.address, ENTRY),
        )
        gone = replace(seen, owed=owed, entries=(), holdings={}, permissions=())
        changes = steps.plan(session.want, gone).changes
        [change] = [c for c in changes if c.step == "exchange"]
        assert isinstance(change.writes[0], NewServicePrincipal)
        assert [type(w) for w in change.writes[1:]] == [AddMailboxPermission] * 2 + [AddRecipientPermission]
        assert not [c for c in changes if c.step == "grants"]  # the repair has them
        pruning = replace(session.want, prune=True)
        assert steps.plan(pruning, replace(seen, owed=owed)).empty


# The rest of the chain


def test_a_missing_enterprise_application_is_made_again(desk: Desk) -> None:
    """Deleted by hand: made anew with another object ID, and Exchange learns of it; one run ends in working logins."""
    desk.apply()
    tenant = desk.running.sandbox.tenant
    app = owned(desk)
    old = tenant.directory.principal(app.properties["appId"])
    assert old is not None
    from exosp.sandbox.graph.applications import forget_principal

    class Service:
        directory = tenant.directory

    Service.tenant = tenant
    forget_principal(Service, old)
    plan = desk.look()[1]
    assert [(c.step, c.verb) for c in plan.changes][:1] == [("principal", "create")]
    result = desk.apply()
    assert all(isinstance(outcome, Applied) for _, outcome in result.outcomes), result.outcomes
    assert desk.look()[1].empty
    assert desk.verify().proven


def test_a_disabled_enterprise_application_is_refused_and_not_enabled(desk: Desk) -> None:
    """Somebody switched sign-in off: said, with what to do, and left so."""
    desk.apply()
    tenant = desk.running.sandbox.tenant
    principal = tenant.directory.principal(owned(desk).properties["appId"])
    assert principal is not None
    principal.properties["accountEnabled"] = False
    plan = desk.look()[1]
    [refused] = [r for r in plan.refused if r.step == "principal"]
    assert "accountEnabled" in refused.what
    desk.apply()
    assert principal.properties["accountEnabled"] is False


def test_required_assignment_hinders_nobody_who_has_roles(desk: Desk) -> None:
    """appRoleAssignmentRequired is fine where the roles are assigned."""
    desk.apply()
    tenant = desk.running.sandbox.tenant
    principal = tenant.directory.principal(owned(desk).properties["appId"])
    assert principal is not None
    principal.properties["appRoleAssignmentRequired"] = True
    plan = desk.look()[1]
    assert plan.empty
    assert not plan.refused
    assert desk.verify().proven


def test_roles_that_are_assigned_and_not_asked_for_and_the_reverse(desk: Desk) -> None:
    """Consented to but not in requiredResourceAccess: it gains them, by name. Asked for but not consented to: consent.
    Asked for beyond the playbook's need: drift, and left."""
    desk.apply()
    tenant = desk.running.sandbox.tenant
    app = owned(desk)
    seen, _ = desk.look()
    assert seen.resource is not None
    roles = seen.resource.roles
    kept = [{"id": roles[v], "type": "Role"} for v in ("POP.AccessAsApp", "SMTP.SendAsApp", "full_access_as_app")]
    app.properties["requiredResourceAccess"] = [{"resourceAppId": EXCHANGE_ONLINE, "resourceAccess": kept}]
    row = next(r for r in seen.assignments if r.role == roles["POP.AccessAsApp"])
    del tenant.directory.app_role_assignments[row.id]
    plan = desk.look()[1]
    assert [(c.step, c.verb, c.target) for c in plan.changes] == [
        ("application", "update", "Support Desk Mail"),
        ("consent", "consent", "POP.AccessAsApp"),
    ]
    assert "IMAP.AccessAsApp (consented to already)" in plan.changes[0].why
    assert ["full_access_as_app" in d.what for d in plan.drift if d.step == "application"] == [True]
    result = desk.apply()
    assert all(isinstance(outcome, Applied) for _, outcome in result.outcomes)
    [held] = app.properties["requiredResourceAccess"]
    assert roles["full_access_as_app"] in {entry["id"] for entry in held["resourceAccess"]}
    assert len(held["resourceAccess"]) == 4


def test_several_live_secrets_are_named_and_none_is_removed(desk: Desk) -> None:
    """Drift where the saved one works, which it is being told by its key id; a refusal naming all where it is lost."""
    desk.apply()
    tenant = desk.running.sandbox.tenant
    app = owned(desk)
    catalog.add_secret(tenant.directory, app, "exosp-support-desk")
    catalog.add_secret(tenant.directory, app, "somebody else's")
    first, second, _ = app.properties["passwordCredentials"]
    plan = desk.look()[1]
    assert plan.empty
    [drift] = [d for d in plan.drift if d.step == "credential"]
    more, _, saved = drift.what.partition("the saved one is")
    assert f"begins {second['hint']}" in more
    assert f"begins {first['hint']}" in saved
    assert "somebody else" not in drift.what
    desk.credential.write_text("".join(desk.credential.read_text().splitlines(keepends=True)[1:]))
    [drift] = [d for d in desk.look()[1].drift if d.step == "credential"]
    assert "does not say" in drift.what
    desk.credential.unlink()
    [refused] = desk.apply().plan.refused
    assert first["hint"] in refused.what
    assert second["hint"] in refused.what
    assert len(app.properties["passwordCredentials"]) == 3


# The recycle bin


@pytest.mark.parametrize("form", [0, 1])
def test_apply_restores_what_lies_in_the_recycle_bin(unkind: Callable[..., Desk], form: int) -> None:
    """A deleted application keeps its unique name: it is restored, the plan says until when that can be done, and one
    run ends in working logins of the same application, whether its enterprise application comes back with it or not."""
    desk = unkind(f"none,restored-principal={form}")
    desk.apply()
    seen, _ = desk.look()
    assert seen.application is not None
    with desk.session() as session:
        for secret in seen.application.secrets:
            session.graph.send(RemoveSecret(APPLICATION, secret.key_id), seen)
        session.graph.send(DeleteApplication(APPLICATION), seen)
        assert session.vault.remove(seen.application.app_id)
    found, plan = desk.look()
    change = plan.changes[0]
    assert (change.step, change.verb, change.writes) == (
        "application", "restore", (RestoreApplication(seen.application.object_id),),
    )  # fmt: skip
    until = found.deleted[0].until
    assert until is not None
    assert f"{until:%Y-%m-%d}" in change.why
    result = desk.apply()
    assert all(isinstance(outcome, Applied) for _, outcome in result.outcomes), result.outcomes
    assert desk.look()[1].empty
    assert desk.verify().proven
    assert [app["appId"] for app in desk.applications()] == [seen.application.app_id]


def test_a_restored_application_is_made_right_in_the_same_change(desk: Desk) -> None:
    """Renamed and then deleted by hand: restored and named again; its live secret comes back with it."""
    desk.apply()
    seen, _ = desk.look()
    owned(desk).properties["displayName"] = "Old"
    with desk.session() as session:
        session.graph.send(DeleteApplication(APPLICATION), seen)
    plan = desk.look()[1]
    assert [type(w).__name__ for w in plan.changes[0].writes] == ["RestoreApplication", "UpsertApplication"]
    assert not [c for c in plan.changes if c.step == "credential"]
    result = desk.apply()
    assert all(isinstance(outcome, Applied) for _, outcome in result.outcomes), result.outcomes
    [app] = desk.applications()
    assert app["displayName"] == "Support Desk Mail"
    assert len(app["passwordCredentials"]) == 1
    assert desk.verify().proven


def test_of_two_in_the_recycle_bin_the_newest_is_restored(desk: Desk) -> None:
    """And the plan says that there are two."""
    desk.apply()
    seen, _ = desk.look()
    assert seen.application is not None
    now = datetime(2026, 6, 1, tzinfo=UTC)
    old = replace(seen.application, object_id=ApplicationObjectId("old"))
    deleted = (DeletedApplication(seen.application, now), DeletedApplication(old, now - timedelta(days=3)))
    with desk.session() as session:
        plan = steps.plan(session.want, replace(seen, application=None, principal=None, deleted=deleted))
    change = plan.changes[0]
    assert change.writes == (RestoreApplication(seen.application.object_id),)
    assert "2 of that name" in change.why
    assert seen.application.app_id in change.why
    assert "2026-07-01" in change.why


def test_restoring_what_is_restored_already_is_no_error(desk: Desk) -> None:
    """A lost answer's repeat finds the application; where it is gone for good, Missing says so."""
    desk.apply()
    seen, _ = desk.look()
    assert seen.application is not None
    with desk.session() as session:
        assert session.graph.send(RestoreApplication(seen.application.object_id), seen) == seen.application
        with pytest.raises(Missing):
            session.graph.send(RestoreApplication(ApplicationObjectId("99999999-8888-7777-6666-555555555555")), seen)


# What it costs


def test_what_an_entry_holds_is_read_by_three_cmdlets(unkind: Callable[..., Desk]) -> None:
    """A tenant of up to a hundred mailboxes costs three cmdlets to look through, the one that reads each mailbox in as many
    pieces as go at once, and none where it was just read."""
    desk, three = unkind("none", mailboxes=90), 2 + len(choose("winrm://host").pieces.cut(93))
    desk.remoting = ""  # by the management host's pipelines
    desk.apply()
    with desk.session() as session:
        seen = look(session.want, session.tenant, session.patience)[0]
        before = session.exchange.requests
        session.exchange.holdings(seen.entries[0])
        assert session.exchange.requests - before == three
        before = session.exchange.requests
        again = steps.observe(session.want, session.tenant, seen.holdings)
        without = session.exchange.requests - before
        before = session.exchange.requests
        steps.observe(session.want, session.tenant)
        assert session.exchange.requests - before == without + three
    assert again.holdings == seen.holdings


# The saved credential


def test_the_saved_credential_is_deleted_only_where_it_is_ours_alone(desk: Desk) -> None:
    """Another application's stays, one with more in its file is refused, ours goes, and a second time is no error."""
    desk.apply()
    seen, _ = desk.look()
    assert seen.application is not None
    ours = seen.application.app_id
    with desk.session() as session:
        assert not session.vault.remove(AppId("11111111-2222-3333-4444-555555555555"))
        text = desk.credential.read_text()
        desk.credential.write_text(text + "OTHER=1\n")
        with pytest.raises(UsageError):
            session.vault.remove(ours)
        assert "OTHER=1" in desk.credential.read_text()
        desk.credential.write_text(text)
        assert session.vault.remove(ours)
        assert not desk.credential.exists()
        assert not session.vault.remove(ours)
