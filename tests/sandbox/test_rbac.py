"""RBAC for Applications in the sandbox, judged by pypsrp used raw and by the SMTP door: the vendor's examples and near misses."""

import json
import smtplib
from typing import Any

import pytest
from doors_fixture import AUDIENCE, PRINCIPAL_ID, USER, Doors, mailbox, message, token, xoauth2
from host_fixture import Host, Ran, host, run
from hypothesis import given
from hypothesis import strategies as st

from exosp.sandbox import recipient_filter
from exosp.sandbox.doors import access
from exosp.sandbox.doors.access import AuthRefused, Opened, Reason
from exosp.sandbox.exchange import Row
from exosp.sandbox.initial import TenantFileFault, check
from exosp.sandbox.management import state

ROLE = "Application SMTP.SendAsApp"


class Desk:
    """A host with an application in Exchange and a group of support@ and, by a group within it, of sales@."""

    def __init__(self, served: Host, pool: Any) -> None:
        self.host, self.tenant, self.pool = served, served.tenant, pool
        self.exchange = served.tenant.exchange
        self.exchange.transport_config["SmtpClientAuthenticationDisabled"] = False
        self.exchange.add_group("inner@contoso.com", "Inner", ["sales@contoso.com"])
        members = ["support@contoso.com", "inner@contoso.com"]
        self.group = self.exchange.add_group("rbac@contoso.com", "The desk's O'Brien group", members)
        self.app_id, self.object_id = served.registered(pool, "DemoB")

    def run(self, cmdlet: str, **parameters: Any) -> Ran:
        return run(self.pool, cmdlet, **parameters)

    def done(self, cmdlet: str, **parameters: Any) -> list[dict[str, Any]]:
        found = self.run(cmdlet, **parameters)
        assert not found.errors, found.error
        return found.rows

    @property
    def of_group(self) -> str:
        return "MemberOfGroup -eq '" + str(self.group.properties["DistinguishedName"]).replace("'", "''") + "'"

    def scoped(self, text: str | None = None) -> None:
        self.done("New-ManagementScope", Name="RBAC Scope", RecipientRestrictionFilter=text or self.of_group)
        self.done(
            "New-ManagementRoleAssignment", Name="RBAC", Role=ROLE, App=self.app_id, CustomResourceScope="RBAC Scope"
        )

    def log_in(self, user: str = "support@contoso.com", roles: list[str] | None = None, protocol: Any = "smtp") -> Any:
        claims = {"aud": AUDIENCE, "appid": self.app_id, "oid": self.object_id}
        token = self.tenant.signer.mint(claims | ({"roles": roles} if roles else {}), 3599)
        return access.admit(self.tenant, protocol, user, token)


@pytest.fixture
def desk() -> Any:
    with host() as served, served.pool() as pool:
        yield Desk(served, pool)


def test_the_onboarding_page_from_top_to_bottom(desk: Desk) -> None:
    """Scope by a group's DN and one assignment: a token without any role sends as a direct member, with no permission on it."""
    assert desk.log_in() == AuthRefused(Reason.ROLE)
    desk.scoped()
    assert isinstance(desk.log_in(), Opened)
    assert state(desk.tenant)["exchange"]["mailboxPermissions"] == [
        row for row in state(desk.tenant)["exchange"]["mailboxPermissions"] if row["User"] == "NT AUTHORITY\\SELF"
    ]
    [row] = state(desk.tenant)["exchange"]["managementRoleAssignments"]
    assert (row["Role"], row["App"], row["CustomResourceScope"]) == (ROLE, desk.object_id, "RBAC Scope")
    assert json.loads(json.dumps(state(desk.tenant)))["exchange"]["managementScopes"][0]["Name"] == "RBAC Scope"


def test_members_of_member_groups_are_not_in_scope(desk: Desk) -> None:
    """Only direct members count; strangers and nested members are refused alike."""
    desk.scoped()
    assert desk.log_in("sales@contoso.com") == AuthRefused(Reason.SCOPE)
    assert desk.log_in("private@contoso.com") == AuthRefused(Reason.SCOPE)


def test_imap_and_pop_know_no_management_role(desk: Desk) -> None:
    """The role is SMTP's alone."""
    desk.scoped()
    for protocol in ("imap", "pop"):
        assert desk.log_in(protocol=protocol) == AuthRefused(Reason.ROLE)


def test_the_claim_brings_back_the_check_of_mailbox_permissions(desk: Desk) -> None:
    """With SMTP.SendAsApp in the token a scope alone lets nobody in, unless grants are a union: sources disagree."""
    desk.scoped()
    assert desk.log_in(roles=["SMTP.SendAsApp"]) == AuthRefused(Reason.GRANT)
    desk.tenant.faults.set("smtp-claim-and-rbac", 1)
    assert isinstance(desk.log_in(roles=["SMTP.SendAsApp"]), Opened)
    assert desk.log_in("private@contoso.com", roles=["SMTP.SendAsApp"]) == AuthRefused(Reason.GRANT)
    assert desk.tenant.faults.fired["smtp-claim-and-rbac"]


def test_another_role_lets_nobody_send(desk: Desk) -> None:
    """Application Mail.Send is Graph's; a role's name that is none is not found."""
    desk.done("New-ManagementRoleAssignment", Role="Application Mail.Send", App=desk.app_id)
    assert desk.log_in() == AuthRefused(Reason.ROLE)
    refused = desk.run("New-ManagementRoleAssignment", Role="SMTP.SendAsApp", App=desk.app_id)
    assert "ManagementObjectNotFoundException" in refused.error


def test_the_mailboxs_switch_counts_in_this_mode_too(desk: Desk) -> None:
    """SMTP AUTH that is off refuses before any scope is looked at."""
    desk.scoped()
    desk.exchange.transport_config["SmtpClientAuthenticationDisabled"] = True
    assert desk.log_in() == AuthRefused(Reason.SMTP_OFF_TENANT)


def test_a_test_of_authorization_shows_the_help_pages_columns(desk: Desk) -> None:
    """RoleName, GrantedPermissions, AllowedResourceScope, ScopeType and InScope; Not Run without a resource; a display name
    names the application."""
    desk.scoped()
    desk.done("New-ManagementRoleAssignment", Role="Application Contacts.Read", App=desk.object_id)
    rows = desk.done("Test-ServicePrincipalAuthorization", Identity="DemoB", Resource="sales@contoso.com")
    assert rows == [
        {"RoleName": ROLE, "GrantedPermissions": "SMTP.SendAsApp", "AllowedResourceScope": "RBAC Scope",
         "ScopeType": "CustomRecipientScope", "InScope": "False"},
        {"RoleName": "Application Contacts.Read", "GrantedPermissions": "Contacts.Read",
         "AllowedResourceScope": "Organization", "ScopeType": "Organization", "InScope": "True"},
    ]  # fmt: skip
    assert {row["InScope"] for row in desk.done("Test-ServicePrincipalAuthorization", Identity=desk.app_id)} == {
        "Not Run"
    }
    [first, _] = desk.done("Test-ServicePrincipalAuthorization", Identity="DemoB", Resource="support@contoso.com")
    assert first["InScope"] == "True"


def test_a_group_or_an_administrative_unit_may_be_the_scope(desk: Desk) -> None:
    """-RecipientGroupScope and -RecipientAdministrativeUnitScope narrow without a management scope; both at once cannot be."""
    check({"admin_units": [{"name": "Branch", "members": ["private@contoso.com"]}]})
    from exosp.sandbox.rbac import Unit

    unit = Unit("4d819ce9-9257-44d7-af20-68a49e6697f4", "Branch", frozenset({"private@contoso.com"}))
    desk.exchange.units.append(unit)
    both = {"RecipientGroupScope": "rbac@contoso.com", "RecipientAdministrativeUnitScope": unit.id}
    assert desk.run("New-ManagementRoleAssignment", Role=ROLE, App=desk.app_id, **both).errors
    [row] = desk.done(
        "New-ManagementRoleAssignment", Role=ROLE, App=desk.app_id, RecipientAdministrativeUnitScope=unit.id
    )
    assert (row["RecipientWriteScope"], row["RecipientAdministrativeUnitScope"]) == ("AdministrativeUnit", unit.id)
    assert isinstance(desk.log_in("private@contoso.com"), Opened)
    assert desk.log_in() == AuthRefused(Reason.SCOPE)
    [row] = desk.done(
        "New-ManagementRoleAssignment", Role=ROLE, App=desk.app_id, RecipientGroupScope="rbac@contoso.com"
    )
    assert row["RecipientWriteScope"] == "Group"
    assert isinstance(desk.log_in(), Opened)
    assert desk.log_in("sales@contoso.com") == AuthRefused(Reason.SCOPE)


@pytest.mark.parametrize(
    ("text", "user", "opens"),
    [
        ("PrimarySmtpAddress -eq 'support@contoso.com'", "support@contoso.com", True),
        ("PrimarySmtpAddress -eq 'support@contoso.com'", "sales@contoso.com", False),
        ("CustomAttribute1 -eq 'mail-app'", "private@contoso.com", True),
        ("CustomAttribute1 -eq 'mail-app' -and RecipientType -eq 'MailUser'", "private@contoso.com", False),
        ("(Alias -like 'sup*' -or Alias -like 'sal*') -and -not(Alias -eq 'sales')", "sales@contoso.com", False),
        ("Alias -notlike 'sup*'", "sales@contoso.com", True),
        ("Department -ne $null", "support@contoso.com", False),
    ],
)
def test_filters_by_properties(desk: Desk, text: str, user: str, opens: bool) -> None:
    """The vendor's kinds of filters narrow by recipients' properties, and are shown back with a parenthesis a statement."""
    desk.exchange.by_address("private@contoso.com").properties["CustomAttribute1"] = "mail-app"  # type: ignore[union-attr] # made by the fixture
    desk.scoped(text)
    assert isinstance(desk.log_in(user), Opened) == opens
    [row] = desk.done("Get-ManagementScope", Identity="RBAC Scope")
    assert row["RecipientFilter"].startswith("(")
    assert row["ScopeRestrictionType"] == "RecipientScope"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Alias -eq support", "Invalid filter syntax"),
        ("Alias = 'support'", "Invalid filter syntax"),
        ("Alias -eq 'O'Brien'", "Invalid filter syntax"),
        ("Alias -eq 'a' -and", "Invalid filter syntax"),
        ("(Alias -eq 'a'", "Invalid filter syntax"),
        ("Alias -eq $name", "Invalid filter syntax"),
        ("MemberOfGroup -like 'CN=*'", "Invalid filter syntax"),
        ("Colour -eq 'blue'", "isn't a recognized filterable property"),
    ],
)
def test_filters_that_are_refused(desk: Desk, text: str, says: str) -> None:
    """A filter that is none, or by a property that is none, makes no scope."""
    assert says in desk.run("New-ManagementScope", Name="S", RecipientRestrictionFilter=text).error
    assert not desk.exchange.management_scopes


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20))
def test_a_doubled_quotation_mark_is_one(value: str) -> None:
    """Whatever a value holds, written with every single quotation mark doubled it is itself again, and stays one value."""
    text = "Department -eq '" + value.replace("'", "''") + "'"
    found = recipient_filter.parse(text)
    assert isinstance(found, recipient_filter.Statement)
    assert found.value == value
    assert recipient_filter.parse(recipient_filter.stored(found)) == found


def test_names_are_short_and_nobodys(desk: Desk) -> None:
    """64 characters at most; one name is one object's; a second scope with the same filter is refused."""
    long = desk.run("New-ManagementScope", Name="x" * 65, RecipientRestrictionFilter="Alias -eq 'a'")
    assert "64" in long.error
    desk.scoped()
    again = desk.run("New-ManagementScope", Name="rbac scope", RecipientRestrictionFilter="Alias -eq 'a'")
    assert "AlreadyExists" in again.error
    assert (
        "same values" in desk.run("New-ManagementScope", Name="Other", RecipientRestrictionFilter=desk.of_group).error
    )
    twice = desk.run("New-ManagementRoleAssignment", Name="RBAC", Role=ROLE, App=desk.app_id)
    assert "AlreadyExists" in twice.error
    assert "64" in desk.run("New-ManagementRoleAssignment", Name="x" * 65, Role=ROLE, App=desk.app_id).error


def test_a_scope_in_use_stays_and_outlives_the_entry(desk: Desk) -> None:
    """A scope that an assignment uses is not removed; with Exchange's entry the assignments go, and the scope stays."""
    desk.scoped()
    assert "associated" in desk.run("Remove-ManagementScope", Identity="RBAC Scope", Confirm=False).error
    desk.done("Remove-ServicePrincipal", Identity=desk.object_id, Confirm=False)
    assert not desk.exchange.management_role_assignments
    assert [row["Name"] for row in desk.exchange.management_scopes] == ["RBAC Scope"]
    desk.done("Remove-ManagementScope", Identity="RBAC Scope", Confirm=False)
    assert not desk.exchange.management_scopes


def test_removals_ask_unless_told_not_to(desk: Desk) -> None:
    """Without -Confirm:$false they stop to ask, and nobody is there."""
    desk.scoped()
    assert desk.run("Remove-ManagementRoleAssignment", Identity="RBAC").errors
    desk.done("Remove-ManagementRoleAssignment", Identity="RBAC", Confirm=False)
    assert desk.log_in() == AuthRefused(Reason.ROLE)


def test_assignments_are_listed_with_everybody_elses(desk: Desk) -> None:
    """Without parameters built-in assignments are among them; -RoleAssignee takes an ObjectId or AppId."""
    desk.scoped()
    assert {row["RoleAssigneeType"] for row in desk.done("Get-ManagementRoleAssignment")} == {
        "RoleGroup",
        "ServicePrincipal",
    }
    for name in (desk.app_id, desk.object_id):
        [row] = desk.done("Get-ManagementRoleAssignment", RoleAssignee=name)
        assert row["Name"] == "RBAC"
    assert len(desk.done("Get-ManagementRoleAssignment", RoleAssigneeType="ServicePrincipal")) == 1


def test_a_dehydrated_organization_refuses_until_it_is_customized(desk: Desk) -> None:
    """IsDehydrated: no new scope and no new assignment before Enable-OrganizationCustomization, which runs once."""
    desk.tenant.faults.set("dehydrated", 1)
    assert desk.done("Get-OrganizationConfig")[0]["IsDehydrated"] is True
    refused = desk.run("New-ManagementScope", Name="S", RecipientRestrictionFilter="Alias -eq 'a'")
    assert "isn't currently allowed in your organization" in refused.error
    refused = desk.run("New-ManagementRoleAssignment", Role=ROLE, App=desk.app_id)
    assert "Enable-OrganizationCustomization" in refused.error
    desk.done("Enable-OrganizationCustomization")
    assert desk.done("Get-OrganizationConfig")[0]["IsDehydrated"] is False
    desk.scoped()
    assert desk.run("Enable-OrganizationCustomization").errors


def test_a_change_is_honoured_late_and_tries_put_it_off(desk: Desk) -> None:
    """30 minutes where nobody tries; each failing try prolongs it, to two hours at most; Test-… does not go by the cache."""
    desk.tenant.faults.set("rbac-cache", 7200)
    desk.scoped()
    assert desk.log_in() == AuthRefused(Reason.ROLE, "rbac-cache")
    [row] = desk.done("Test-ServicePrincipalAuthorization", Identity=desk.app_id, Resource="support@contoso.com")
    assert row["InScope"] == "True"
    for _ in range(4):
        desk.tenant.clock.advance(1500)
        assert desk.log_in() == AuthRefused(Reason.ROLE, "rbac-cache")
    desk.tenant.clock.advance(1300)  # 7300 seconds after the change
    assert isinstance(desk.log_in(), Opened)
    desk.host.connect(desk.pool)  # the first connection's token has run out
    desk.done("Set-ManagementScope", Identity="RBAC Scope", RecipientRestrictionFilter="Alias -eq 'private'")
    assert isinstance(desk.log_in(), Opened)  # not yet forgotten
    assert desk.log_in("private@contoso.com") == AuthRefused(Reason.SCOPE, "rbac-cache")
    desk.tenant.clock.advance(1801)
    assert desk.log_in() == AuthRefused(Reason.SCOPE)
    assert isinstance(desk.log_in("private@contoso.com"), Opened)


def test_groups_are_found_by_their_address(desk: Desk) -> None:
    """Get-DistributionGroup and Get-Recipient show a group's DN; Get-UnifiedGroup those of Microsoft 365; Get-Mailbox none."""
    team = desk.exchange.add_group("team@contoso.com", "Team", [], "Microsoft365Group")
    [row] = desk.done("Get-DistributionGroup", Identity="rbac@contoso.com")
    assert row["DistinguishedName"] == desk.group.properties["DistinguishedName"]
    [row] = desk.done("Get-UnifiedGroup", Identity="team@contoso.com")
    assert row["DistinguishedName"] == team.properties["DistinguishedName"]
    [row] = desk.done("Get-Recipient", Identity="rbac@contoso.com")
    assert row["RecipientTypeDetails"] == "MailUniversalDistributionGroup"
    for cmdlet, address in (("Get-DistributionGroup", "team@contoso.com"), ("Get-Mailbox", "rbac@contoso.com")):
        assert "couldn't be found" in desk.run(cmdlet, Identity=address).error


@pytest.mark.parametrize(
    "content",
    [
        {"groups": [{"address": "nobody"}]},
        {"groups": [{"address": "a@b.com", "kind": "Team"}]},
        {"mailboxes": [{"address": "a@b.com", "attributes": {"Colour": "blue"}}]},
        {"admin_units": [{"members": []}]},
    ],
)
def test_what_a_tenant_file_may_not_hold(content: dict[str, Any]) -> None:
    """Groups, units and attributes of a tenant file are checked like the rest."""
    with pytest.raises(TenantFileFault):
        check(content)


def test_the_three_answers_on_the_wire() -> None:
    """By smtplib: neither claim nor role is 535 5.7.3; a role in scope without a claim is 235, and a whole message goes out; the
    claim without a permission on the mailbox is 535 5.7.3 again, role or not."""
    user = "sales@contoso.com"
    with Doors() as doors:
        exchange = doors.tenant.exchange

        def answer(**claims: Any) -> tuple[int, str]:
            with smtplib.SMTP("localhost", doors.smtp, timeout=20) as client:
                client.starttls(context=doors.trust())
                client.ehlo()
                code, text = client.docmd("AUTH", f"XOAUTH2 {xoauth2(user, token(doors.tenant, **claims))}")
                if code == 235:
                    assert client.sendmail(user, [USER], message("by role", user)) == {}
                return code, text.decode().partition(" [")[0]

        no = (535, "5.7.3 Authentication unsuccessful")
        assert answer(roles=["IMAP.AccessAsApp"]) == no
        scope = {"Name": "S", "RecipientFilter": f"(PrimarySmtpAddress -eq '{user}')"}
        exchange.management_scopes.append(Row(scope, 0.0))
        role = {
            "Name": "R",
            "Role": ROLE,
            "App": PRINCIPAL_ID,
            "Enabled": True,
            "RecipientWriteScope": "CustomRecipientScope",
        }
        exchange.management_role_assignments.append(Row(role | {"_scope": "S"}, 0.0))
        assert answer(roles=["IMAP.AccessAsApp"]) == (235, "2.7.0 Authentication successful")
        assert answer(roles=None) == (235, "2.7.0 Authentication successful")
        assert answer(roles=["SMTP.SendAsApp"]) == no
        assert len(mailbox(doors.tenant).messages) == 4  # two were there
