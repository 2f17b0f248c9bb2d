"""The chain on the embedded tenant: the laws, the proof, and what each mistake comes to."""

import stat
from collections.abc import Callable

import pytest

from desk import Desk, owned
from exosp.errors import CloudError, PlaybookError
from exosp.sending import Applied, Refused, Skipped

ROLES = {"IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"}


def test_the_quickstart_ends_in_working_logins(desk: Desk) -> None:
    """From an empty tenant, apply and verify end in four logins that work and one that is refused."""
    result = desk.apply()
    assert [type(outcome) for _, outcome in result.outcomes] == [Applied] * len(result.plan.changes)
    assert result.rest.empty
    verdict = desk.verify(negative=("private@contoso.com",))
    assert verdict.proven
    assert [(p.probe.mailbox, p.probe.protocol, p.proof) for p in verdict.proofs] == [
        ("support@contoso.com", "imap", "opened"),
        ("support@contoso.com", "pop", "opened"),
        ("support@contoso.com", "smtp", "accepted"),
        ("sales@contoso.com", "imap", "opened"),
        ("private@contoso.com", "imap", "refused"),
    ]
    assert set(verdict.claims["roles"]) == ROLES


def test_the_tenant_holds_what_was_asked_for_and_no_more(desk: Desk) -> None:
    """One single-tenant application; Exchange has the enterprise application's object ID; rights on two mailboxes only."""
    desk.apply()
    state = desk.state()
    [app] = desk.applications()
    [principal] = [p for p in state["servicePrincipals"] if p["appId"] == app["appId"]]
    [entry] = state["exchange"]["servicePrincipals"]
    assert app["signInAudience"] == "AzureADMyOrg"
    assert app["uniqueName"] == "exosp-support-desk"
    assert "WindowsAzureActiveDirectoryIntegratedApp" in principal["tags"]
    assert (entry["AppId"], entry["ObjectId"]) == (app["appId"], principal["id"])
    assert entry["ObjectId"] != app["id"]
    granted = [row for row in state["exchange"]["mailboxPermissions"] if row["User"] != "NT AUTHORITY\\SELF"]
    named = {box["ExternalDirectoryObjectId"]: box["PrimarySmtpAddress"] for box in state["exchange"]["casMailboxes"]}
    assert {named[row["Identity"]] for row in granted} == {"support@contoso.com", "sales@contoso.com"}
    smtp = {b["PrimarySmtpAddress"]: b["SmtpClientAuthenticationDisabled"] for b in state["exchange"]["casMailboxes"]}
    assert smtp == {"support@contoso.com": False, "sales@contoso.com": None, "private@contoso.com": None}
    assert state["exchange"]["transportConfig"]["SmtpClientAuthenticationDisabled"] is True


def test_plan_after_apply_is_empty_and_a_second_apply_writes_nothing(desk: Desk) -> None:
    """The law, and its price: at most six Graph requests."""
    desk.remoting = ""  # by the management host's pipelines
    desk.apply()
    before, state = desk.requests(), desk.state()
    result = desk.apply()
    assert result.plan.empty
    assert not result.plan.refused
    after = desk.requests()
    asked = {name: n - before["graph"].get(name, 0) for name, n in after["graph"].items()}
    assert sum(asked.values()) <= 6
    assert not [name for name, n in asked.items() if n and not name.startswith("GET ")]
    cmdlets = {name: n - before["remoting"].get(name, 0) for name, n in after["remoting"].items()}
    assert not [name for name, n in cmdlets.items() if n and name.split("-")[0] not in ("Get", "Connect", "Disconnect")]
    assert {k: v for k, v in desk.state().items() if k != "now"} == {k: v for k, v in state.items() if k != "now"}


def test_planning_twice_gives_the_same_digest(desk: Desk) -> None:
    """A plan is a value: nothing of time or chance is in it."""
    assert desk.look()[1].digest == desk.look()[1].digest


def test_another_tenant_state_gives_another_digest(desk: Desk) -> None:
    """A digest that never changed would prove nothing."""
    first = desk.look()[1].digest
    desk.apply()
    desk.write(
        desk.playbook.read_text().replace("  - support@contoso.com", "  - support@contoso.com\n  - private@contoso.com")
    )
    assert desk.look()[1].digest != first


def test_the_secret_is_in_its_file_and_nowhere_else(desk: Desk) -> None:
    """0600, the documented variables; no repr of what apply or verify return shows it."""
    result = desk.apply()
    verdict = desk.verify()
    assert stat.S_IMODE(desk.credential.stat().st_mode) == 0o600
    values = dict(line.split("=", 1) for line in desk.credential.read_text().splitlines() if "=" in line)
    assert set(values) == {"EXOSP_APP_TENANT_ID", "EXOSP_APP_CLIENT_ID", "EXOSP_APP_CLIENT_SECRET"}
    secret = values["EXOSP_APP_CLIENT_SECRET"].strip("'\"")
    assert len(secret) > 30
    assert secret not in repr(result)
    assert secret not in repr(verdict)
    assert secret not in repr(desk.events)
    assert secret not in str(desk.state())


@pytest.mark.parametrize("seed", [1])  # tests/storms has two hundred
def test_default_faults_are_waited_out(unkind: Callable[..., Desk], seed: int) -> None:
    """With lag, small pages, a 429 and a lost reply, the same end state: one application, one secret."""
    desk = unkind("default", seed)
    desk.remoting = ""
    result = desk.apply()
    assert all(isinstance(outcome, Applied) for _, outcome in result.outcomes)
    assert desk.verify(negative=("private@contoso.com",)).proven
    [app] = desk.applications()
    assert len(app["passwordCredentials"]) == 1
    assert len([p for p in desk.state()["servicePrincipals"] if p["appId"] == app["appId"]]) == 1
    assert desk.look()[1].empty


def test_a_fresh_grant_is_too_early_and_not_wrong(unkind: Callable[..., Desk]) -> None:
    """Where everything is set right and Exchange lags, verify without --wait says so, and with it is patient."""
    desk = unkind("none,grant-lag=3600")
    desk.apply()
    verdict = desk.verify(wait=0.0)
    assert {p.proof for p in verdict.proofs} == {"too-early"}
    assert not verdict.proven
    assert desk.verify(wait=4 * 3600.0).proven


def test_role_ids_are_looked_up(unkind: Callable[..., Desk]) -> None:
    """In a cloud with other role ids the same playbook works."""
    desk = unkind("none,role-ids=2")
    desk.apply()
    assert desk.verify().proven


@pytest.mark.parametrize("form", [0, *(pytest.param(form, marks=pytest.mark.slow) for form in (1, 2))])
def test_a_grant_is_recognised_in_every_form_a_row_may_name_it(unkind: Callable[..., Desk], form: int) -> None:
    """ObjectId, display name or SID: the second plan is empty either way."""
    desk = unkind(f"none,permission-user={form}")
    desk.apply()
    assert desk.look()[1].empty


def test_an_unknown_identity_that_returns_every_row_misleads_nobody(unkind: Callable[..., Desk]) -> None:
    """Get-* answering an unknown identity with everything: same result."""
    desk = unkind("none,unknown-identity=0")
    text = desk.playbook.read_text().replace(
        "  - support@contoso.com", "  - support@contoso.com\n  - nobody@contoso.com"
    )
    desk.write(text)
    result = desk.apply()
    assert [r.target for r in result.plan.refused] == ["nobody@contoso.com"]
    assert desk.verify().plan.refused[0].target == "nobody@contoso.com"
    granted = [row for row in desk.state()["exchange"]["mailboxPermissions"] if row["User"] != "NT AUTHORITY\\SELF"]
    assert len(granted) == 2


def test_a_missing_mailbox_is_named_and_the_others_are_done(desk: Desk) -> None:
    """One bad address does not stop the rest."""
    text = desk.playbook.read_text().replace(
        "  - support@contoso.com", "  - nobody@contoso.com\n  - support@contoso.com"
    )
    desk.write(text)
    result = desk.apply()
    assert [r.target for r in result.plan.refused] == ["nobody@contoso.com"]
    assert result.failed
    assert all(isinstance(outcome, Applied) for _, outcome in result.outcomes)


KINDS = {
    "mailboxes": [
        "support@contoso.com",
        {"address": "sales@contoso.com", "aliases": ["shop@contoso.com"]},
        {"address": "onprem@contoso.com", "kind": "MailUser"},
        {"address": "team@contoso.com", "kind": "GroupMailbox"},
        {"address": "gone@contoso.com", "soft_deleted": True},
        {"address": "desk@contoso.com", "kind": "SharedMailbox"},
        {"address": "ann@contoso.com", "upn": "a.smith@contoso.onmicrosoft.com"},
    ]
}


def test_each_kind_of_mailbox_has_its_named_outcome(unkind: Callable[..., Desk]) -> None:
    """On-premises, group and soft-deleted are refused by name; shared and differing UPN work."""
    desk = unkind("none", content=KINDS)
    names = ["onprem", "team", "gone", "desk", "ann"]
    desk.write(desk.playbook.read_text().replace(
        "  - support@contoso.com", "\n".join(["  - support@contoso.com", *(f"  - {n}@contoso.com" for n in names)])
    ))  # fmt: skip
    result = desk.apply()
    said = {r.target: r.what for r in result.plan.refused}
    assert set(said) == {"onprem@contoso.com", "team@contoso.com", "gone@contoso.com"}
    assert "on premises" in said["onprem@contoso.com"]
    assert "group" in said["team@contoso.com"]
    assert "soft-deleted" in said["gone@contoso.com"]
    proofs = {(p.probe.mailbox, p.probe.protocol): p for p in desk.verify().proofs}
    assert proofs["desk@contoso.com", "imap"].ok
    assert proofs["ann@contoso.com", "imap"].ok
    assert proofs["ann@contoso.com", "imap"].probe.user == "a.smith@contoso.onmicrosoft.com"


def test_two_addresses_of_one_mailbox_are_a_fault_of_the_playbook(unkind: Callable[..., Desk]) -> None:
    """Only the tenant can show it; nothing is written."""
    desk = unkind("none", content=KINDS)
    desk.write(
        desk.playbook.read_text().replace("  - support@contoso.com", "  - support@contoso.com\n  - shop@contoso.com")
    )
    with pytest.raises(PlaybookError) as caught:
        desk.apply()
    assert "same mailbox" in caught.value.faults[0].what
    assert desk.applications() == []


def test_the_wrong_object_id_is_named_and_replaced(unkind: Callable[..., Desk]) -> None:
    """An entry with the application's own object ID is named for what it is; afterwards there is one, and logins work."""
    desk = unkind("none,object-id-check=0", content={"applications": [
        {"name": "Support Desk Mail", "unique_name": "exosp-support-desk", "exchange": "application"}]})  # fmt: skip
    owned(desk)
    [named] = [change.why for change in desk.look()[1].changes if change.step == "exchange"]
    assert "own object ID" in named
    desk.apply()
    [entry] = desk.state()["exchange"]["servicePrincipals"]
    assert entry["ObjectId"] == desk.look()[0].principal.object_id  # type: ignore[union-attr]  # it is there
    assert desk.verify().proven


def test_other_permissions_of_the_application_stay(unkind: Callable[..., Desk]) -> None:
    """requiredResourceAccess gains ours and keeps every other entry."""
    desk = unkind(
        "none", content={"applications": [{"name": "Support Desk Mail", "unique_name": "exosp-support-desk"}]}
    )
    app = owned(desk)
    other = {"resourceAppId": "00000003-0000-0000-c000-000000000000",
             "resourceAccess": [{"id": "e1fe6dd8-ba31-4d61-89e7-88639da4683d", "type": "Scope"}]}  # fmt: skip
    app.properties["requiredResourceAccess"] = [other]
    desk.apply()
    [held] = [a["requiredResourceAccess"] for a in desk.applications()]
    assert other in held
    assert len(held) == 2


def test_who_may_not_consent_gets_the_link_and_the_next_run_goes_on(unkind: Callable[..., Desk]) -> None:
    """Without AppRoleAssignment.ReadWrite.All: everything else is done, consent waits for somebody else."""
    desk = unkind("none", content={"admin": {"graph_roles": ["Application.ReadWrite.OwnedBy", "Application.Read.All"]}})
    result = desk.apply()
    waiting = [(c, o) for c, o in result.outcomes if isinstance(o, Skipped)]
    assert [c.step for c, _ in waiting] == ["consent"] * 3
    assert result.others_turn
    assert not any(isinstance(o, Refused) for _, o in result.outcomes)
    directory = desk.running.sandbox.tenant.directory
    [app] = desk.applications()
    from exosp.sandbox import catalog

    for role in sorted(ROLES):
        principal = directory.principal(app["appId"])
        assert principal is not None
        catalog.assign(directory, principal, "00000002-0000-0ff1-ce00-000000000000", role)
    assert desk.look()[1].empty
    assert desk.verify().proven


def test_a_lost_saved_secret_is_not_answered_with_another(desk: Desk) -> None:
    """A live secret of ours without its copy: the plan says so, and adds none."""
    desk.apply()
    desk.credential.unlink()
    result = desk.apply()
    [refused] = result.plan.refused
    assert refused.step == "credential"
    assert "live secret of ours" in refused.what
    [app] = desk.applications()
    assert len(app["passwordCredentials"]) == 1


def test_a_foreign_credential_file_is_not_written_over(desk: Desk) -> None:
    """save_to holding another application's credential is refused before a secret is made."""
    text = (
        "EXOSP_APP_TENANT_ID=t\nEXOSP_APP_CLIENT_ID=11111111-2222-3333-4444-555555555555\nEXOSP_APP_CLIENT_SECRET=x\n"
    )
    desk.credential.write_text(text)
    desk.credential.chmod(0o600)
    result = desk.apply()
    assert any(r.step == "credential" for r in result.plan.refused)
    assert desk.credential.read_text() == text
    [app] = desk.applications()
    assert app["passwordCredentials"] == []


def test_wrong_admin_secret_ends_the_run_with_what_to_do(desk: Desk) -> None:
    """The error names the code and writes nothing."""
    with pytest.raises(CloudError) as caught:
        desk.apply(AZURE_CLIENT_SECRET="not-the-secret")
    assert "7000215" in caught.value.code + caught.value.what
    assert caught.value.hint
    assert desk.applications() == []


def test_send_as_is_granted_to_whom_the_playbook_says(unkind: Callable[..., Desk]) -> None:
    """by: app gives the application SendAs on the sender; by: mailbox gives it to the mailbox that signs in."""
    for by in ("app", "mailbox"):
        desk = unkind("none")
        desk.credential.unlink(missing_ok=True)
        desk.write(desk.playbook.read_text().replace(
            "  - support@contoso.com",
            f"  - {{address: support@contoso.com, send_as: {{from: private@contoso.com, by: {by}}}}}",
        ))  # fmt: skip
        desk.apply()
        rows = [r for r in desk.state()["exchange"]["recipientPermissions"] if "SELF" not in r["Trustee"]]
        assert len(rows) == 1
        assert desk.look()[1].empty


def test_first_apply_stays_within_its_budget(unkind: Callable[..., Desk]) -> None:
    """At most 16 Graph requests and 16 pipelines, whatever the tenant's size."""
    counts = []
    for size in (0, 450):
        desk = unkind("none", service_principals=size)
        desk.remoting = ""
        desk.credential.unlink(missing_ok=True)
        desk.apply()
        asked = desk.requests()
        cmdlets = {n: c for n, c in asked["remoting"].items() if n.split("-")[0] not in ("Connect", "Disconnect")}
        counts.append((sum(asked["graph"].values()), sum(cmdlets.values())))
    assert counts[0] == counts[1]
    assert counts[0][0] <= 16
    assert counts[0][1] <= 16


def test_a_mailbox_that_must_be_refused_and_opens_is_a_failure(desk: Desk) -> None:
    """--negative with a mailbox that the application may open: not proven, and the cause says so."""
    desk.apply()
    verdict = desk.verify(negative=("sales@contoso.com",))
    [negative] = [p for p in verdict.proofs if p.probe.expect == "refuse"]
    assert not negative.ok
    assert "open to it" in negative.cause
    assert not verdict.proven


def test_verify_mints_a_new_token_after_consent(unkind: Callable[..., Desk]) -> None:
    """A token keeps the roles of the moment it was made: waiting with an old one would wait for ever."""
    desk = unkind("none,consent-lag=900")
    desk.apply()
    assert desk.verify(wait=4 * 3600.0).proven


def test_a_deny_entry_is_named_and_not_granted_over(desk: Desk) -> None:
    """Deny wins in Exchange, so a grant beside it would change nothing."""
    desk.apply()
    exchange = desk.running.sandbox.tenant.exchange
    [entry] = exchange.service_principals
    mailbox = exchange.by_address("sales@contoso.com")
    assert mailbox is not None
    exchange.add_ace(mailbox, str(entry["ObjectId"]), ["FullAccess"], deny=True)
    plan = desk.look()[1]
    assert [(r.step, r.target) for r in plan.refused] == [("grants", "sales@contoso.com")]
    assert "deny" in plan.refused[0].what


@pytest.mark.slow
def test_hours_of_propagation_are_waited_out(unkind: Callable[..., Desk]) -> None:
    """--faults slow: tokens expire on the way, and the end state is the same."""
    desk = unkind("slow")
    desk.deadline = 4 * 3600.0
    result = desk.apply()
    assert all(isinstance(outcome, Applied) for _, outcome in result.outcomes)
    assert desk.verify(negative=("private@contoso.com",)).proven


def test_a_lost_secret_leaves_no_second_one(desk: Desk) -> None:
    """The reply to addPassword is lost, so nobody has that secret's text: it does not stay alive beside the next one."""
    tenant = desk.running.sandbox.tenant
    real, lost = tenant.faults.strikes, []

    def strikes(name: str) -> bool:
        made = tenant.requests["graph"]["POST /applications/{id}/addPassword"]
        if name == "graph-lost-reply" and made and not lost:
            lost.append(name)
            return True
        return real(name)

    tenant.faults.strikes = strikes  # type: ignore[method-assign]  # this one request, and no other
    desk.apply()
    assert lost
    assert desk.requests()["graph"]["POST /applications/{id}/addPassword"] == 2
    [app] = desk.applications()
    assert len(app["passwordCredentials"]) == 1
    assert desk.verify().proven


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 7))])
def test_what_others_did_by_hand_stays(unkind: Callable[..., Desk], seed: int) -> None:
    """Among foreign applications (one of the same name), wrong entries, gone trustees and switches in any position:
    the playbook's state is reached, and no foreign grant, entry, secret or application is lost or changed."""
    desk = unkind("none", mess=seed)
    before = desk.state()
    result = desk.apply()
    assert all(isinstance(outcome, Applied) for _, outcome in result.outcomes)
    assert desk.verify().proven
    after = desk.state()
    for part in ("applications", "servicePrincipals", "appRoleAssignments"):
        assert not [item for item in before[part] if item not in after[part]], part
    for part in ("servicePrincipals", "mailboxPermissions", "recipientPermissions"):
        assert not [row for row in before["exchange"][part] if row not in after["exchange"][part]], part
    assert before["exchange"]["transportConfig"] == after["exchange"]["transportConfig"]
    [private] = [b for b in before["exchange"]["casMailboxes"] if b["PrimarySmtpAddress"] == "private@contoso.com"]
    assert private in after["exchange"]["casMailboxes"]


def test_a_refusal_proves_nothing_while_the_application_is_let_in_nowhere(unkind: Callable[..., Desk]) -> None:
    """Before Exchange honours anything, every mailbox is refused: that is no proof that this one is closed."""
    desk = unkind("none,grant-lag=7200")
    desk.apply()
    [negative] = [
        p for p in desk.verify(wait=0.0, negative=("private@contoso.com",)).proofs if p.probe.expect == "refuse"
    ]
    assert not negative.ok
    assert negative.proof is None
    assert "let in nowhere" in negative.cause


@pytest.mark.parametrize(
    ("knob", "said"), [("conditional-access-block", "AADSTS53003"), ("principal-disabled", "AADSTS7000112")]
)
def test_an_application_that_is_shut_out_is_said_to_be_and_not_waited_for(
    unkind: Callable[..., Desk], knob: str, said: str
) -> None:
    """No other secret helps, and no waiting: refused with Entra's own code and a way out, and the run has failed."""
    desk = unkind(f"none,{knob}=1")
    result = desk.apply()
    assert result.failed
    [refused] = [refusal for refusal in result.rest.refused if refusal.step == "credential"]
    assert said in refused.what
    assert refused.hint
    assert desk.clock.slept == 0
    again = desk.apply()
    assert again.plan.empty
    assert again.failed
    [app] = desk.applications()
    assert len(app["passwordCredentials"]) == 1
