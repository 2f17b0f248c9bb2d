"""May I do this: the judgement by itself, and the command over the sandbox, whose own refusals are the judge of it."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from console import Console, Ran, at
from desk import Desk
from exosp import needs, preflight, writes
from exosp.needs import Need
from exosp.preflight import Rights, Who
from exosp.report import bootstrap

ME = Who("secret", False, "Provisioning", "a1", "o1", "t1")
ANN = Who("browser", True, "ann@contoso.com", "c1", "o2", "t1")
OWNED = frozenset({"Application.ReadWrite.OwnedBy", "Application.Read.All"})
LEAST = {"Application.ReadWrite.OwnedBy", "AppRoleAssignment.ReadWrite.All", "Application.Read.All"}
# Parameters by the vendor's help (MicrosoftDocs/office-docs-powershell, August 2026), as far as they are used.
VENDOR = {
    "New-ManagementRole": {"Name", "Parent", "EnabledCmdlets", "Description"},
    "New-ManagementScope": {"Name", "RecipientRestrictionFilter", "RecipientRoot", "Exclusive"},
    "New-RoleGroup": {"Name", "Roles", "Members", "CustomRecipientWriteScope", "CustomConfigWriteScope"},
    "New-ServicePrincipal": {"AppId", "ObjectId", "DisplayName"},
    "Add-RoleGroupMember": {"Identity", "Member", "BypassSecurityGroupManagerCheck"},
}


def rights(who: Who = ME, **more: Any) -> Rights:
    return Rights(who, **{"graph": frozenset(LEAST), "exchange": frozenset({needs.MANAGE}), **more})


def lacking(found: preflight.Preflight) -> set[str]:
    return {right for finding in found.missing for right in finding.need.least}


# The table


def test_every_write_has_its_row():
    """One row for each class, and no other; what is of this machine alone needs nothing of anybody."""
    graph, exchange = set(get_args(writes.GraphWrite)), set(get_args(writes.ExchangeWrite))
    assert set(needs.GRAPH) == graph
    assert set(needs.EXCHANGE) == exchange
    assert set(get_args(writes.Write)) == graph | exchange | {writes.RemoveSaved}
    assert set(needs.EXCHANGE.values()) <= set(needs.CMDLET_ROLE)


def test_the_least_stands_first():
    """OwnedBy before All, and Application.Read.All before Directory.Read.All beside the permission to consent."""
    assert needs.GRAPH[writes.UpsertApplication].application[0] == {"Application.ReadWrite.OwnedBy"}
    assert needs.GRAPH[writes.AssignRole].application[0] == {needs.TIER_0, "Application.Read.All"}
    assert "Application.ReadWrite.OwnedBy" not in set().union(*needs.GRAPH[writes.UpsertApplication].person)


@pytest.mark.parametrize("command", needs.COMMANDS)
def test_only_what_writes_needs_more_than_reading(command: needs.Command):
    """plan, verify and audit need no right that writes, apply and destroy do; a person connects without an app role."""
    wanted = needs.of(command, None, None, person=False)
    writing = [need for need in wanted if any("Write" in right or right.startswith(("New", "Add", "Set", "Remove"))
                                              for right in need.least)]  # fmt: skip
    assert bool(writing) == (command in ("apply", "destroy"))
    assert all(need.least != {needs.MANAGE} for need in needs.of(command, None, None, person=True))


# The judgement


def test_what_could_not_be_read_is_neither_there_nor_missing():
    """It does not stop a run, and its reason is kept."""
    need = Need("exchange", (frozenset({"Get-Mailbox"}),), "reading")
    found = preflight.judge([need], rights(cmdlets=None, unread={"cmdlets": "no host"}))
    assert [(f.state, f.why, f.blocks) for f in found.findings] == [("unknown", "no host", False)]
    assert found.clear
    found = preflight.judge([need], rights(cmdlets=frozenset({"Get-User"}), covered=frozenset({"Get-User"})))
    assert [f.state for f in found.findings] == ["unknown"]
    found = preflight.judge([need], rights(cmdlets=frozenset()))
    assert [f.state for f in found.findings] == ["missing"]
    assert not found.clear


def test_what_is_eligible_in_pim_is_told_apart_from_what_is_missing():
    """It blocks all the same, and says what to activate; a role that is active already would not help."""
    need = Need("exchange", (frozenset({"Add-MailboxPermission"}),), "add mailbox permission")
    held = rights(ANN, cmdlets=frozenset(), eligible=frozenset({"Exchange Administrator"}))
    [finding] = preflight.judge([need], held).findings
    assert (finding.state, finding.blocks) == ("eligible", True)
    assert "activate it in PIM" in finding.why
    active = rights(
        ANN, cmdlets=frozenset(), eligible=frozenset({"Exchange Administrator"}),
        active=frozenset({"Exchange Administrator"}),
    )  # fmt: skip
    assert [f.state for f in preflight.judge([need], active).findings] == ["missing"]


def test_consent_is_somebody_else_s_first_and_tier_0_last():
    """Missing, it stops nothing; leaving it to another person stands first, and the permission is said to be tier 0."""
    [need] = [n for n in needs.of("apply", None, None, person=False) if n.others_can]
    found = preflight.judge([need], rights(graph=OWNED))
    assert not any(finding.blocks for finding in found.findings)
    assert "somebody else" in found.grants[0].what
    assert "app consent policy" in found.grants[1].what
    assert needs.TIER_0 in found.grants[-1].what
    assert "tier 0" in found.grants[-1].caution


def test_more_than_the_least_is_enough():
    """Any of the alternatives: Application.ReadWrite.All in place of OwnedBy."""
    wanted = [n for n in needs.of("apply", None, None, person=False) if n.service == "graph"]
    all_ = frozenset({"Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All"})
    assert preflight.judge(wanted, rights(graph=all_)).clear
    assert lacking(preflight.judge(wanted, rights(graph=frozenset({"Application.Read.All"})))) == LEAST


def test_the_role_group_is_of_the_missing_cmdlets_alone_and_every_parameter_is_the_vendor_s(desk: Desk):
    """Before any directory role; a write scope with the playbook's mailboxes; quotes in an address cannot leave it."""
    from exosp.cli.wiring import read

    text = desk.playbook.read_text().replace("- support@contoso.com", "- o'neil$x@contoso.com")
    desk.write(text)
    want = read(desk.playbook, allow_outside=False)
    wanted = [n for n in needs.of("apply", want, None, person=False) if n.service == "exchange"]
    found = preflight.judge(wanted, rights(cmdlets=frozenset({"Get-Mailbox"})), want)
    assert found.grants[0].what.startswith("a role group of Exchange")
    assert [grant.what.partition("directory role ")[2] for grant in found.grants[1:]] == ["Exchange Administrator"]
    lines = found.grants[0].commands
    enabled = {
        name for line in lines for name in re.sub(r".*-EnabledCmdlets ([\w,-]+).*|.*", r"\1", line).split(",") if name
    }
    assert enabled == lacking(found) - {needs.MANAGE}
    [scope] = [line for line in lines if line.startswith("New-ManagementScope")]
    assert "'o''neil`$x@contoso.com'" in scope
    assert any("-CustomRecipientWriteScope" in line for line in lines)
    for line in lines:
        name, *rest = re.sub(r'"[^"]*"', "x", line).split()
        for word in rest:
            if re.fullmatch(r"-[A-Z]\w+", word):
                assert word[1:] in VENDOR[name], line


def test_a_person_s_permissions_reach_no_further_than_their_roles():
    """The client may write and the person may not: said, with what to activate; unknown where the token does not say."""
    wanted = needs.of("apply", None, None, person=True)
    held = {"graph": frozenset({"Application.ReadWrite.All", needs.TIER_0}), "cmdlets": frozenset(needs.CMDLET_ROLE)}
    assert preflight.judge(wanted, rights(ANN, **held)).clear
    assert preflight.judge(wanted, rights(ANN, **held, active=frozenset({"Cloud Application Administrator"}))).clear
    none = preflight.judge(wanted, rights(ANN, **held, active=frozenset({"Global Reader"})))
    assert none.clear  # a tenant may let its members register applications of their own
    assert "unless the tenant lets its members" in none.conditions[0].what
    partner = preflight.judge(wanted, rights(replace(ANN, home="p1"), **held, active=frozenset({"Global Reader"})))
    assert not partner.clear
    assert "GDAP" in partner.conditions[0].what
    ready = rights(ANN, **held, active=frozenset(), eligible=frozenset({"Application Administrator"}))
    assert "activate it in PIM" in preflight.judge(wanted, ready).conditions[0].what


@pytest.mark.parametrize("name", ["O'Brien", "x\u2019; Remove-Mailbox a; \u2018", '"$(whoami)"', "a\nb"])
def test_a_name_cannot_leave_its_place_in_a_command(name: str):
    """Names come from the tenant and the commands are pasted: PowerShell's quotes, typographic ones too, are doubled."""
    text = preflight.literal(name)
    assert text[0] == text[-1] == "'"
    assert not re.search("(?<!['\u2018-\u201b])['\u2018-\u201b](?!['\u2018-\u201b])", text[1:-1])
    assert "\n" not in text


def test_the_tenant_s_rules_are_read_as_the_vendor_writes_them():
    """ISO durations, switched-off rules, exclusions; a rule that will stop the run is said to."""

    def policy(kind: str, lifetime: str | None, state: str = "enabled") -> dict[str, Any]:
        rule = {"restrictionType": kind, "state": state, "maxLifetime": lifetime}
        return {"isEnabled": True, "applicationRestrictions": {"passwordCredentials": [rule]}}

    assert preflight.app_management(policy("passwordAddition", None), None).stops
    assert not preflight.app_management(policy("passwordAddition", None, "disabled"), None).stops
    assert "30 days" in preflight.app_management(policy("passwordLifetime", "P30D"), None).what
    assert "36 hours" not in preflight.app_management(policy("passwordLifetime", "P1DT12H"), None).what
    assert not preflight.app_management({"isEnabled": False}, None).stops
    clients = {"includeServicePrincipals": ["ServicePrincipalsInMyTenant"], "excludeServicePrincipals": ["o1"]}
    row = {"displayName": "Block", "state": "enabled", "conditions": {"clientApplications": clients}}
    assert "no policy" in preflight.conditional_access([row], ME).what
    clients["excludeServicePrincipals"] = []
    assert "Block" in preflight.conditional_access([row], ME).what
    assert "Block" not in preflight.conditional_access([row], ANN).what


# Over the sandbox


def console(desk: Desk) -> Console:
    return Console(desk.folder, desk.environment)


def run(desk: Desk, *words: str, **changes: str) -> Ran:
    return console(desk).here("preflight", "playbook.yaml", "--format", "json", *words, **changes)


def admin(**more: list[str]) -> dict[str, Any]:
    return {"admin": more}


def test_all_is_there_for_the_provisioning_application(desk: Desk):
    """Exit 0; who, tenant and cloud; each need by name; nothing is written."""
    before = at(desk.running, "/state")["applications"]
    found = run(desk)
    assert (found.code, found.err) == (0, "")
    document = found.document
    assert document["schema"] == "exosp/preflight/1"
    assert document["emulated"] is True
    assert document["complete"] is True
    assert document["grants"] == []
    tenant = desk.running.sandbox.tenant
    assert document["who"] == {
        "kind": "application", "sign_in": "secret", "name": "Provisioning", "appid": tenant.admin_app_id,
        "oid": tenant.directory.principal(tenant.admin_app_id).id, "tid": tenant.tenant_id,  # type: ignore[union-attr]
    }  # fmt: skip
    assert {need["state"] for need in document["needs"]} == {"there"}
    assert at(desk.running, "/state")["applications"] == before


def test_the_module_s_own_file_says_the_same_as_a_session(desk: Desk):
    """admin-api's discovery and Get-Command on the management host: the same needs, the same answers."""
    by_session = run(desk, EXOSP_REMOTING=desk.running.environment()["EXOSP_REMOTING"]).document
    by_file = run(desk, EXOSP_REMOTING="admin-api").document
    assert by_file["needs"] == by_session["needs"]
    assert set(by_session["rights"]["cmdlets"]) < set(by_file["rights"]["cmdlets"])


@pytest.mark.parametrize(
    ("held", "missing"),
    [
        ({"graph_roles": ["AppRoleAssignment.ReadWrite.All", "Application.Read.All"]}, {"Application.ReadWrite.OwnedBy"}),
        ({"directory_roles": ["Exchange Recipient Administrator"]},
         {"New-ServicePrincipal", "Get-ServicePrincipal", "Get-TransportConfig"}),
        ({"directory_roles": ["Global Reader"]}, {"New-ServicePrincipal", "Add-MailboxPermission", "Set-CASMailbox"}),
    ],
    ids=["graph", "recipients", "reader"],
)  # fmt: skip
def test_what_is_missing_is_named_and_stops_apply_before_its_first_write(
    unkind: Callable[..., Desk], held: dict[str, list[str]], missing: set[str]
):
    """Exit 3 with the rights and the grants; apply refuses with exit 1 and the tenant is as it was."""
    desk = unkind("none", content=admin(**held))
    found = run(desk)
    assert found.code == 3
    lacks = {right for need in found.document["needs"] if need["state"] == "missing" for right in need["right"]}
    assert lacks == missing
    assert found.document["grants"]
    before = desk.state()
    stopped = console(desk).here("apply", "playbook.yaml", "--yes")
    assert stopped.code == 1
    if "Get-ServicePrincipal" not in missing:  # else it cannot even be read
        assert "nothing was written" in stopped.err
        assert all(right in stopped.err for right in missing)
        assert "exosp preflight playbook.yaml" in stopped.err
    after = desk.state()
    assert {k: v for k, v in after.items() if k not in ("now", "advanced")} == {
        k: v for k, v in before.items() if k not in ("now", "advanced")
    }


@pytest.mark.parametrize(
    ("held", "missing"),
    [({"exchange_roles": []}, needs.MANAGE), ({"directory_roles": []}, "Add-MailboxPermission")],
    ids=["no-app-role", "no-directory-role"],
)
def test_who_may_not_connect_to_exchange_has_none_of_its_cmdlets(
    unkind: Callable[..., Desk], held: dict[str, list[str]], missing: str
):
    """The app role, or a role that Exchange takes: named, with what Exchange said."""
    found = run(unkind("none", content=admin(**held)))
    assert found.code == 3
    rows = [need for need in found.document["needs"] if missing in need["right"]]
    assert [row["state"] for row in rows] == ["missing"]
    if missing != needs.MANAGE:
        assert "isn't supported in this scenario" in rows[0]["why"]


def test_without_the_right_to_consent_apply_does_the_rest(unkind: Callable[..., Desk]):
    """Missing, but somebody else's turn: preflight exits 3 and apply goes on to say so, exit 3."""
    desk = unkind("none", content=admin(graph_roles=["Application.ReadWrite.OwnedBy", "Application.Read.All"]))
    document = run(desk).document
    [row] = [need for need in document["needs"] if needs.TIER_0 in need["right"]]
    assert (row["state"], row["blocks"]) == ("missing", False)
    done = console(desk).here("apply", "playbook.yaml", "--yes")
    assert done.code == 3
    assert "Somebody else must consent" in done.out


def test_an_empty_plan_needs_only_reading(unkind: Callable[..., Desk]):
    """After apply, one who may only read is told that nothing is missing for apply; for destroy much is."""
    desk = unkind("none")
    assert desk.apply().rest.empty
    tenant = desk.running.sandbox.tenant
    principal = tenant.directory.principal(tenant.admin_app_id)
    assert principal is not None
    tenant.directory.directory_roles[principal.id] = {"Global Reader"}
    graph = {row["value"]: row["id"] for p in tenant.directory.service_principals.values()
             for row in p.properties["appRoles"]}  # fmt: skip
    for key, row in list(tenant.directory.app_role_assignments.items()):
        kept = (graph["Application.Read.All"], graph[needs.MANAGE])
        if row.properties["principalId"] == principal.id and row.properties["appRoleId"] not in kept:
            del tenant.directory.app_role_assignments[key]
    found = run(desk)
    assert (found.code, found.document["complete"]) == (0, True)
    assert all("Write" not in right for need in found.document["needs"] for right in need["right"])
    assert run(desk, "--for", "verify").code == 0
    assert run(desk, "--for", "destroy").code == 3


def test_an_application_of_somebody_else_s_needs_more_than_owned_by(unkind: Callable[..., Desk]):
    """Owned by others: missing, with ownership as the least grant; by nobody that is known: unknown, and nothing stops."""
    ours = {"name": "Support Desk Mail", "unique_name": "exosp-support-desk"}
    desk = unkind("none", content={"applications": [{**ours, "exchange": "right"}]})
    directory = desk.running.sandbox.tenant.directory
    [app] = [a for a in directory.applications.values() if a.properties["uniqueName"] == ours["unique_name"]]

    def states() -> set[str]:
        document = run(desk).document
        return {n["state"] for n in document["needs"] if "Application.ReadWrite.OwnedBy" in n["right"]}

    assert states() == {"unknown"}
    other = next(p for p in directory.service_principals.values() if p.properties["displayName"] != "Provisioning")
    app.owners.add(other.id)
    assert states() == {"missing"}
    [grant, *_] = run(desk).document["grants"]
    assert app.id in "".join(grant["commands"])
    stopped = console(desk).here("apply", "playbook.yaml", "--yes")
    assert stopped.code == 1
    assert "nothing was written" in stopped.err
    admin_ = directory.principal(desk.running.sandbox.tenant.admin_app_id)
    assert admin_ is not None
    app.owners.add(admin_.id)
    assert states() == {"there"}


def test_the_printed_role_group_s_roles_are_enough(unkind: Callable[..., Desk]):
    """A member of a group with the parents that the commands name, and of nothing else, may do all of it."""
    desk = unkind("none", content=admin(directory_roles=[]))
    found = run(desk)
    assert found.code == 3
    lines = [line for grant in found.document["grants"] for line in grant["commands"]]
    parents = {
        re.sub(r'.*-Parent "([^"]+)".*', r"\1", line) for line in lines if line.startswith("New-ManagementRole ")
    }
    tenant = desk.running.sandbox.tenant
    principal = tenant.directory.principal(tenant.admin_app_id)
    assert principal is not None
    tenant.exchange.role_groups[principal.id] = parents
    assert run(desk).code == 0


def test_the_environment_and_the_flags_choose_the_sign_in(desk: Desk):
    """A flag before the environment; a person is not asked off a terminal; exit 2, nothing sent."""
    before = desk.requests()
    for words, given in (
        ((), {"EXOSP_SIGN_IN": "device-code"}),
        (("--sign-in", "browser"), {"EXOSP_SIGN_IN": "secret"}),
    ):
        found = console(desk).here("plan", "playbook.yaml", *words, **given)
        assert (found.code, "no terminal" in found.err) == (2, True)
    assert console(desk).here("verify", "playbook.yaml", "--client-id", "me").code == 2
    assert desk.requests() == before


def test_roles_that_lie_ready_in_pim_are_read_where_they_may_be(unkind: Callable[..., Desk]):
    """Readable with RoleManagement.Read.Directory: eligible, activate it; else it is said that it could not be read."""
    desk = unkind("none", content=admin(
        graph_roles=[*LEAST, "RoleManagement.Read.Directory"], directory_roles=["Global Reader"],
    ))  # fmt: skip
    tenant = desk.running.sandbox.tenant
    principal = tenant.directory.principal(tenant.admin_app_id)
    assert principal is not None
    tenant.directory.eligible_roles[principal.id] = {"Exchange Administrator"}
    document = run(desk).document
    assert document["rights"]["eligible"] == ["Exchange Administrator"]
    [row] = [need for need in document["needs"] if "Add-MailboxPermission" in need["right"]]
    assert (row["state"], row["blocks"]) == ("eligible", True)
    blind = run(unkind("none")).document["rights"]
    assert blind["eligible"] is None
    assert "Insufficient privileges" in blind["unread"]["eligible"]


def test_the_tenant_s_rules_are_named_before_anything_is_written(unkind: Callable[..., Desk]):
    """A cap below the playbook's valid_for stops; a dehydrated organization is named; where unreadable, it is said."""
    roles = [*LEAST, "Policy.Read.All"]
    desk = unkind(
        "none,policy-secret-days=30,dehydrated=1,conditional-access-block=1", content=admin(graph_roles=roles)
    )
    found = run(desk)
    rules = {rule["name"]: rule for rule in found.document["conditions"]}
    assert found.code == 3
    assert rules["application management policy"]["stops"]
    assert "30 days" in rules["application management policy"]["what"]
    assert "off" in rules["security defaults"]["what"]
    assert "no policy includes" in rules["Conditional Access for workload identities"]["what"]
    assert "Enable-OrganizationCustomization" in rules["organization"]["what"]
    blind = run(unkind("none"))
    assert blind.code == 0
    assert "could not be read" in {r["name"]: r["what"] for r in blind.document["conditions"]}["security defaults"]


def test_as_a_screen_it_says_who_what_and_how(unkind: Callable[..., Desk]):
    """Each need in a line, what to grant below with its commands, lines of prose at most 100 wide."""
    desk = unkind("none", content=admin(directory_roles=["Global Reader"]))
    found = console(desk).here("preflight", "playbook.yaml")
    assert found.code == 3
    assert found.out.startswith("Provisioning, application by secret, app ID ")
    assert "  NO  Exchange         Add-MailboxPermission: add mailbox permission (2)\n" in found.out
    assert "New-RoleGroup" in found.out
    assert found.out.rstrip().endswith("rights are missing.")
    prose = [line for line in found.out.splitlines() if not line.startswith("      ")]
    assert max(map(len, prose)) <= 100


def test_without_a_playbook_it_says_what_any_could_need(desk: Desk):
    """The tenant from AZURE_TENANT_ID; without one, exit 2; where nothing says how to reach Exchange, that is said."""
    domain = desk.running.sandbox.tenant.domain
    found = console(desk).here("preflight", "--format", "json", AZURE_TENANT_ID=domain)
    assert found.code == 0
    assert "Add-RecipientPermission" in {right for need in found.document["needs"] for right in need["right"]}
    blind = console(desk).here("preflight", "--format", "json", AZURE_TENANT_ID=domain, EXOSP_REMOTING="")
    assert "EXOSP_REMOTING" in blind.document["rights"]["unread"]["cmdlets"]
    assert console(desk).here("preflight", AZURE_TENANT_ID="").code == 2


def test_bootstrap_prints_a_client_of_the_tenant_s_own_and_sends_nothing(desk: Desk):
    """The least that serves both: no secret, single tenant, assignment required, delegated permissions by name."""
    before = desk.requests()
    found = console(desk).here("preflight", "--bootstrap")
    assert found.code == 0
    for words in ("AzureADMyOrg", "http://localhost", "Exchange.Manage", "AppRoleAssignmentRequired", "--client-id"):
        assert words in found.out
    assert "PasswordCredential" not in found.out
    assert desk.requests() == before
    assert any("-Environment USGov " in line for line in bootstrap.commands("gcc-high"))
    assert console(desk).here("preflight", "--bootstrap", "--format", "json").document["bootstrap"]


def test_the_head_of_a_plan_says_who_and_whether_it_can_be_done(unkind: Callable[..., Desk]):
    """One line on the way; what is missing in it."""
    found = console(unkind("none")).here("plan", "playbook.yaml")
    assert found.out.startswith("Signed in by secret as Provisioning, cloud sandbox (emulated); may do all of this.\n")
    found = console(unkind("none", content=admin(directory_roles=["Global Reader"]))).here("plan", "playbook.yaml")
    assert "lacks Add-MailboxPermission, New-ServicePrincipal, Set-CASMailbox" in found.out.splitlines()[0]


# Who looks and writes nothing


def test_an_audit_is_asked_for_view_only_rights_alone(unkind: Callable[..., Desk]):
    """Every right that it needs is of reading; with Directory.Read.All, AuditLog.Read.All and Policy.Read.All on Graph and the
    view-only roles in Exchange nothing is missing; nothing that it advises could write."""
    reads = ["Directory.Read.All", "AuditLog.Read.All", "Policy.Read.All"]
    desk = unkind("none", content={"admin": {"graph_roles": reads, "directory_roles": []}})
    tenant = desk.running.sandbox.tenant
    principal = tenant.directory.principal(tenant.admin_app_id)
    assert principal is not None
    console = Console(desk.folder, desk.running.environment() | {"EXOSP_REMOTING": "admin-api"})
    tenant.exchange.role_groups[principal.id] = {
        "View-Only Recipients",
        "View-Only Configuration",
        "View-Only Audit Logs",
    }
    whole = console.here("preflight", "--for", "audit", "--format", "json")
    assert (whole.code, whole.document["complete"]) == (0, True)
    assert {need["right"][0] for need in whole.document["needs"] if need["service"] == "exchange"} == {
        needs.MANAGE, *needs.VIEW_ROLE
    }  # fmt: skip
    tenant.exchange.role_groups[principal.id] = {"View-Only Recipients"}
    part = console.here("preflight", "--for", "audit")
    assert part.code == 3
    assert '-Roles "View-Only Audit Logs","View-Only Configuration"' in part.out
    assert "Global Reader" in part.out
    assert "Exchange Administrator" not in part.out
    assert "audit goes on without it, and says what it did not see" in " ".join(part.out.split())


def test_what_an_audit_can_do_without_blocks_nothing():
    """The logs and the tenant's security defaults: missing, the audit goes on and says so."""
    wanted = needs.of("audit", None, None, person=False)
    dispensable = [need.least for need in wanted if need.partial]
    assert dispensable == [
        {"AuditLog.Read.All"}, {"Policy.Read.All"}, {"Get-MailboxFolderPermission"}, {"Search-UnifiedAuditLog"},
    ]  # fmt: skip
    found = preflight.judge(wanted, rights(graph=frozenset({"Directory.Read.All"}), exchange=frozenset({needs.MANAGE}),
                                           cmdlets=frozenset(needs.VIEW_ROLE) - needs.DISPENSABLE.keys()))  # fmt: skip
    assert not any(finding.blocks for finding in found.findings)
    assert len(found.missing) == 4


def test_reading_alone_takes_view_only_roles():
    """plan and verify read: what they lack is granted by roles that could not write."""
    wanted = [need for need in needs.of("plan", None, None, person=False) if need.service == "exchange"]
    found = preflight.judge(wanted, rights(exchange=frozenset({needs.MANAGE}), cmdlets=frozenset()))
    commands = "\n".join(line for grant in found.grants for line in grant.commands)
    assert '-Roles "View-Only Configuration","View-Only Recipients"' in commands
    assert "New-ManagementRole " not in commands


def test_an_audit_over_winrm_is_told_of_each_of_its_cmdlets(unkind: Any, tmp_path: Path) -> None:
    """A session for an audit loads what an audit runs, and the tenant's domain is looked up where only its id is known."""
    admin = {
        "graph_roles": ["Application.Read.All", "Directory.Read.All", "AuditLog.Read.All", "Policy.Read.All"],
        "exchange_roles": ["Exchange.ManageAsApp"], "directory_roles": ["Global Reader"],
        "role_groups": ["View-Only Audit Logs"],
    }  # fmt: skip
    desk = unkind("none", content={"admin": admin, "mailboxes": ["support@contoso.com"]})
    ran = Console(tmp_path, desk.environment).here("preflight", "--for", "audit", "--format", "json")
    assert ran.code == 0, ran.all
    assert ran.document["tenant"] == "contoso.onmicrosoft.com"
