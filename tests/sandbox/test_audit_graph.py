"""Microsoft Graph read for a whole tenant by plain requests: each rule from the vendor's page that its test names."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from audit_fixture import READER, Auditor, auditing, named

from exosp.sandbox.directory import EXCHANGE_ONLINE

TENANT: dict[str, Any] = {
    "mailboxes": ["desk@contoso.com"],
    "users": [{"upn": "alex@contoso.com"}],
    "applications": [
        {"name": "Plain", "owners": ["alex@contoso.com"], "roles": ["IMAP.AccessAsApp", "POP.AccessAsApp"], "graph_roles": ["Mail.Read"],
         "credentials": [{"kind": "certificate", "start": -30, "end": 335}, {"kind": "federated", "name": "ci"}], "last_used": 3},
        {"name": "Secretive", "audience": "AzureADMultipleOrgs", "owners": [{"upn": "left@contoso.com", "enabled": False}, {"application": "Plain"}],
         "credentials": [{"kind": "secret", "start": -400, "end": -35}, {"kind": "certificate", "holder": "enterprise"}],
         "delegated": [{"resource": "graph", "scopes": ["Mail.Read", "User.Read"], "for": "everyone"},
                       {"resource": "exchange", "scopes": ["IMAP.AccessAsUser.All"], "for": ["alex@contoso.com"]}]},
        {"name": "Stranger", "registration": "none", "home": "5d1b1c5e-7e0f-4a39-9a55-0d6f1f2f9b11", "enterprise": "disabled"},
        {"name": "Gone", "registration": "deleted", "enterprise": "deleted"},
    ],
    "managed_identities": [{"name": "worker", "graph_roles": ["Mail.Send"], "last_used_by_person": 5}],
}  # fmt: skip


@pytest.fixture(scope="module")
def auditor() -> Iterator[Auditor]:
    with auditing(TENANT, service_principals=130) as found:
        yield found


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def refused(auditor: Auditor, path: str) -> tuple[int, str]:
    reply = auditor.graph(path)
    return reply.status_code, reply.json()["error"]["code"]


# Applications and enterprise applications


def test_a_page_holds_a_hundred_and_up_to_999(auditor: Auditor) -> None:
    """application-list: "The default and maximum page sizes are 100 and 999"; all pages lose nothing."""
    first = auditor.graph("/servicePrincipals?$select=id").json()
    assert len(first["value"]) == 100
    assert first["@odata.nextLink"]
    whole = auditor.graph("/servicePrincipals?$select=id&$top=999").json()
    assert "@odata.nextLink" not in whole
    assert len(whole["value"]) > 130
    assert {row["id"] for row in auditor.every("/servicePrincipals?$select=id")} == {
        row["id"] for row in whole["value"]
    }
    assert refused(auditor, "/servicePrincipals?$top=1000") == (400, "Request_UnsupportedQuery")


def test_a_small_page_is_the_knobs(auditor: Auditor) -> None:
    """The knob page-size: a server may return fewer than $top (graph/paging)."""
    auditor.tenant.faults.set("page-size", 2)
    try:
        assert len(auditor.graph("/applications?$top=999").json()["value"]) == 2
        assert len(auditor.every("/applications?$top=999&$expand=owners")) == 3
    finally:
        auditor.tenant.faults.set("page-size", 100)


def test_credentials_show_their_outside(auditor: Auditor) -> None:
    """passwordCredential and keyCredential: times and ids, the hint, never the secret; each object has its own."""
    chosen = "id,appId,displayName,signInAudience,uniqueName,createdDateTime,keyCredentials,passwordCredentials"
    rows = auditor.every(f"/applications?$select={chosen}&$top=999")
    assert {row["displayName"] for row in rows} == {"Provisioning", "Plain", "Secretive"}
    plain, secretive = named(rows, "Plain"), named(rows, "Secretive")
    [certificate] = plain["keyCredentials"]
    assert moment(certificate["endDateTime"]) - moment(certificate["startDateTime"]) == timedelta(days=365)
    assert (certificate["type"], certificate["key"]) == ("AsymmetricX509Cert", None)
    [secret] = secretive["passwordCredentials"]
    assert secret["secretText"] is None
    assert moment(secret["endDateTime"]) < datetime.fromtimestamp(auditor.tenant.clock.now()).astimezone()
    assert (plain["signInAudience"], secretive["signInAudience"]) == ("AzureADMyOrg", "AzureADMultipleOrgs")
    principals = auditor.every(
        "/servicePrincipals?$select=displayName,accountEnabled,servicePrincipalType,appOwnerOrganizationId,keyCredentials&$top=999"
    )
    assert len(named(principals, "Secretive")["keyCredentials"]) == 1
    assert named(principals, "Plain")["keyCredentials"] == []
    stranger, worker = named(principals, "Stranger"), named(principals, "worker")
    assert (stranger["accountEnabled"], stranger["appOwnerOrganizationId"]) == (
        False,
        "5d1b1c5e-7e0f-4a39-9a55-0d6f1f2f9b11",
    )
    assert (worker["servicePrincipalType"], worker["appOwnerOrganizationId"]) == ("ManagedIdentity", None)
    assert not [row for row in principals if row["displayName"] == "Gone"]


def test_federated_credentials_are_a_list_of_their_own(auditor: Auditor) -> None:
    """application-list-federatedidentitycredentials: by the object id or the appId."""
    plain = named(auditor.every("/applications"), "Plain")
    for path in (f"/applications/{plain['id']}", f"/applications(appId='{plain['appId']}')"):
        [row] = auditor.every(f"{path}/federatedIdentityCredentials?$select=id,name,issuer,subject")
        assert (row["name"], set(row)) == ("ci", {"id", "name", "issuer", "subject"})


# Owners


def test_owners_are_people_and_applications(auditor: Auditor) -> None:
    """application-list-owners, and $expand=owners of the list; accountEnabled comes only with $select (user resource page)."""
    rows = auditor.every(
        "/applications?$select=displayName&$expand=owners($select=id,displayName,userPrincipalName,accountEnabled)&$top=999"
    )
    [alex] = named(rows, "Plain")["owners"]
    assert (alex["@odata.type"], alex["userPrincipalName"], alex["accountEnabled"]) == (
        "#microsoft.graph.user",
        "alex@contoso.com",
        True,
    )
    kinds = {owner["@odata.type"]: owner for owner in named(rows, "Secretive")["owners"]}
    assert kinds["#microsoft.graph.user"]["accountEnabled"] is False
    assert kinds["#microsoft.graph.servicePrincipal"]["displayName"] == "Plain"
    assert named(rows, "Provisioning")["owners"] == []
    plain = named(auditor.every("/applications"), "Plain")
    [owner] = auditor.every(f"/applications/{plain['id']}/owners")
    assert "accountEnabled" not in owner
    [owner] = auditor.every(f"/applications/{plain['id']}/owners/microsoft.graph.user?$select=id,accountEnabled")
    assert owner["accountEnabled"] is True
    shown = auditor.graph(f"/users/{owner['id']}?$select=accountEnabled,userPrincipalName").json()
    assert (shown["accountEnabled"], shown["userPrincipalName"]) == (True, "alex@contoso.com")
    assert refused(auditor, f"/users/{plain['id']}") == (404, "Request_ResourceNotFound")
    assert refused(auditor, "/applications?$expand=tokenIssuancePolicies") == (501, "NotEmulated")


def test_who_may_not_read_people_sees_ids_alone() -> None:
    """permissions-overview, limited information for inaccessible member objects: type and id, the rest null."""
    with auditing(TENANT | {"admin": READER | {"graph_roles": ["Application.Read.All"]}}) as auditor:
        [owner] = named(auditor.every("/applications?$expand=owners"), "Plain")["owners"]
        assert owner["@odata.type"] == "#microsoft.graph.user"
        assert owner["id"]
        assert {value for name, value in owner.items() if name not in ("@odata.type", "id")} == {None}
        assert refused(auditor, f"/users/{owner['id']}") == (403, "Authorization_RequestDenied")
        # Each route's own permission, by its page.
        for path in (
            "/oauth2PermissionGrants",
            "/auditLogs/directoryAudits",
            "/beta/reports/servicePrincipalSignInActivities",
        ):
            assert refused(auditor, path) == (403, "Authorization_RequestDenied"), path


# Consent


def test_a_resource_lists_who_was_given_its_roles(auditor: Auditor) -> None:
    """serviceprincipal-list-approleassignedto, in pages too; what the resource calls a role is read from itself."""
    resource = auditor.graph(f"/servicePrincipals(appId='{EXCHANGE_ONLINE}')?$select=id,appRoles").json()
    values = {role["id"]: role["value"] for role in resource["appRoles"]}
    rows = auditor.every(f"/servicePrincipals/{resource['id']}/appRoleAssignedTo?$top=999")
    assert {(row["principalDisplayName"], values[row["appRoleId"]]) for row in rows} == {
        ("Plain", "IMAP.AccessAsApp"), ("Plain", "POP.AccessAsApp"), ("Provisioning", "Exchange.ManageAsApp"),
    }  # fmt: skip
    paged = auditor.every(f"/servicePrincipals/{resource['id']}/appRoleAssignedTo?$top=1")
    assert [row["id"] for row in paged] == [row["id"] for row in rows]
    made = {moment(row["createdDateTime"]).date() for row in rows if row["principalDisplayName"] == "Plain"}
    assert made == {(datetime.fromtimestamp(auditor.tenant.clock.now()).astimezone() - timedelta(days=20)).date()}


def test_delegated_consent_for_everybody_and_for_one(auditor: Auditor) -> None:
    """oauth2permissiongrant-list with $filter on consentType and clientId."""
    rows = auditor.every("/oauth2PermissionGrants?$top=999")
    assert len(rows) == 2
    [all_] = auditor.every("/oauth2PermissionGrants?$filter=consentType eq 'AllPrincipals'")
    assert (set(all_["scope"].split()), all_["principalId"]) == ({"Mail.Read", "User.Read"}, None)
    one = auditor.every(
        f"/oauth2PermissionGrants?$filter=clientId eq '{all_['clientId']}' and consentType eq 'Principal'"
    )
    assert [row["scope"] for row in one] == ["IMAP.AccessAsUser.All"]
    assert auditor.every(f"/oauth2PermissionGrants?$filter=clientId eq '{all_['resourceId']}'") == []


# The logs


def writer(faults: str = "none", more: dict[str, Any] | None = None) -> Any:
    rights = {
        "graph_roles": [
            "Application.ReadWrite.All",
            "AppRoleAssignment.ReadWrite.All",
            "Directory.Read.All",
            "AuditLog.Read.All",
        ]
    }
    return auditing({"admin": READER | rights | (more or {})}, faults)


def test_the_directory_log_knows_what_was_written() -> None:
    """directoryaudit-list: the sandbox's own writes, newest first, found by target, time, name and initiator."""
    with writer() as auditor:
        auditor.tenant.clock.advance(3600)
        before = auditor.tenant.clock.iso()
        made = auditor.graph("/applications", "POST", {"displayName": "Fresh"}).json()
        auditor.tenant.clock.advance(60)
        principal = auditor.graph("/servicePrincipals", "POST", {"appId": made["appId"]}).json()
        exchange = auditor.graph(f"/servicePrincipals(appId='{EXCHANGE_ONLINE}')").json()
        role = next(row["id"] for row in exchange["appRoles"] if row["value"] == "IMAP.AccessAsApp")
        body = {"principalId": principal["id"], "resourceId": exchange["id"], "appRoleId": role}
        auditor.graph(f"/servicePrincipals/{exchange['id']}/appRoleAssignedTo", "POST", body)
        auditor.graph(f"/applications/{made['id']}/addPassword", "POST", {})
        auditor.graph(f"/applications/{made['id']}/owners/$ref", "POST",
                      {"@odata.id": f"{auditor.cloud['graph']}/v1.0/users/{next(iter(auditor.tenant.directory.people.users))}"})  # fmt: skip
        rows = auditor.every(f"/auditLogs/directoryAudits?$filter=activityDateTime ge {before}")
        assert [row["activityDisplayName"].strip() for row in reversed(rows)] == [
            "Add application", "Add service principal", "Add app role assignment to service principal",
            "Update application \u2013 Certificates and secrets management", "Add owner to application",
        ]  # fmt: skip
        assert {row["initiatedBy"]["app"]["servicePrincipalId"] for row in rows} == {
            auditor.tenant.directory.principal(auditor.tenant.admin_app_id).id
        }
        of_it = auditor.every(f"/auditLogs/directoryAudits?$filter=targetResources/any(t:t/id eq '{made['id']}')")
        assert len(of_it) == 3
        both = f"targetResources/any(t:t/id eq '{made['id']}') or targetResources/any(t:t/id eq '{principal['id']}')"
        assert len(auditor.every(f"/auditLogs/directoryAudits?$filter={both}")) == 5
        assert [
            row["activityDisplayName"]
            for row in auditor.every("/auditLogs/directoryAudits?$filter=activityDisplayName eq 'Add application'")
        ] == ["Add application"]
        late = f"activityDateTime ge {before} and startswith(activityDisplayName,'add app')"
        assert len(auditor.every(f"/auditLogs/directoryAudits?$filter={late}&$orderby=activityDateTime")) == 2
        assert len(auditor.every("/auditLogs/directoryAudits?$top=2")) == len(
            auditor.every("/auditLogs/directoryAudits")
        )
        assert auditor.every(f"/auditLogs/directoryAudits?$filter=activityDateTime le {before}") == []
        for bad in (
            "operationType eq 'Add'",
            "activityDateTime gt 2026-01-01",
            "targetResources/any(t:t/type eq 'User')",
            "id ne 'x'",
        ):
            assert refused(auditor, f"/auditLogs/directoryAudits?$filter={bad}")[0] == 400, bad


def test_both_logs_know_of_a_write_later() -> None:
    """The knob audit-log-lag: a write shows in neither log at once, and in both when it is over."""
    rights = {"directory_roles": ["Exchange Administrator"]}
    with writer(faults="none,audit-log-lag=600", more=rights) as auditor:
        auditor.graph("/applications", "POST", {"displayName": "Fresh"})
        me = auditor.tenant.directory.principal(auditor.tenant.admin_app_id)
        assert auditor.ask("New-ServicePrincipal", AppId=auditor.tenant.admin_app_id, ObjectId=me.id).status_code == 200
        dates = {"StartDate": "2020-01-01", "EndDate": "2099-01-01"}

        def known() -> tuple[bool, bool]:
            rows = auditor.every("/auditLogs/directoryAudits?$filter=activityDisplayName eq 'Add application'")
            return bool(rows), bool(
                auditor.rows("Search-UnifiedAuditLog", **dates, Operations=["New-ServicePrincipal"])
            )

        assert known() == (False, False)
        assert auditor.tenant.faults.fired["audit-log-lag"] >= 2
        auditor.tenant.clock.advance(600)
        assert known() == (True, True)


def test_the_directory_log_is_kept_for_a_month_and_a_week_without_a_licence(auditor: Auditor) -> None:
    """reference-reports-data-retention: 30 days, 7 without Entra ID P1; and who set up the tenant stands in it."""
    rows = auditor.every("/auditLogs/directoryAudits")
    assert {"Plain", "Secretive"} <= {target["displayName"] for row in rows for target in row["targetResources"]}
    assert {row["initiatedBy"]["user"]["userPrincipalName"] for row in rows} == {"admin@contoso.onmicrosoft.com"}
    with auditing(TENANT | {"licence": "free"}) as free:
        assert not [
            row for row in free.every("/auditLogs/directoryAudits") if row["activityDisplayName"] == "Add application"
        ]


def test_what_hands_did_lately_stands_in_the_log() -> None:
    """A mess has its records too."""
    with auditing(mess=5) as auditor:
        names = {
            target["displayName"]
            for row in auditor.every("/auditLogs/directoryAudits")
            for target in row["targetResources"]
        }
        apps = {row["displayName"] for row in auditor.every("/applications")} - {"Provisioning"}
        assert names & apps
        assert apps - names  # those that are older than the log


def test_the_directory_log_takes_both_permissions() -> None:
    """directoryaudit-list: "AuditLog.Read.All and Directory.Read.All"."""
    for roles in (["AuditLog.Read.All", "Application.Read.All"], ["Directory.Read.All"]):
        with auditing({"admin": READER | {"graph_roles": roles}}) as auditor:
            assert refused(auditor, "/auditLogs/directoryAudits") == (403, "Authorization_RequestDenied")


def test_sign_in_activity_is_betas(auditor: Auditor) -> None:
    """reportroot-list-serviceprincipalsigninactivities: for itself, for a person; nothing of one that never signed in."""
    path = "/beta/reports/servicePrincipalSignInActivities"
    reply = auditor.graph(path)
    assert reply.json()["@odata.context"].endswith("/beta/$metadata#reports/servicePrincipalSignInActivities")
    rows = {row["appId"]: row for row in auditor.every(f"{path}?$top=1")}
    apps = {
        row["displayName"]: row["appId"]
        for row in auditor.every("/servicePrincipals?$select=displayName,appId&$top=999")
    }
    now = datetime.fromtimestamp(auditor.tenant.clock.now()).astimezone()
    plain, worker = rows[apps["Plain"]], rows[apps["worker"]]
    age = now - moment(plain["applicationAuthenticationClientSignInActivity"]["lastSignInDateTime"])
    assert abs(age - timedelta(days=3)) < timedelta(minutes=5)
    assert worker["applicationAuthenticationClientSignInActivity"]["lastSignInDateTime"] is None
    assert (
        worker["delegatedClientSignInActivity"]["lastSignInDateTime"]
        == worker["lastSignInActivity"]["lastSignInDateTime"]
    )
    assert apps["Secretive"] not in rows
    assert auditor.variables["AZURE_CLIENT_ID"] in rows  # it has just signed in
    assert [row["appId"] for row in auditor.every(f"{path}?$filter=appId eq '{apps['Plain']}'")] == [apps["Plain"]]
    for other in ("/reports/servicePrincipalSignInActivities", "/beta/applications", "/beta/auditLogs/directoryAudits"):
        assert refused(auditor, other) == (501, "NotEmulated")


@pytest.mark.parametrize(("content", "answer"), [
    ({"licence": "free"}, (403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant")),
    ({"cloud": "gcc-high"}, (400, "BadRequest")),
])  # fmt: skip
def test_sign_in_activity_is_not_offered_everywhere(content: dict[str, Any], answer: tuple[int, str]) -> None:
    """Without a premium licence Graph's own refusal (microsoft-graph-docs#14118); in national clouds no such segment."""
    options = {"cloud": content["cloud"]} if "cloud" in content else {}
    with auditing(content, **options) as auditor:
        assert refused(auditor, "/beta/reports/servicePrincipalSignInActivities") == answer


def test_security_defaults_are_the_tenants() -> None:
    """identitysecuritydefaultsenforcementpolicy-get."""
    with auditing({"security_defaults": True}) as auditor:
        assert auditor.graph("/policies/identitySecurityDefaultsEnforcementPolicy").json()["isEnabled"] is True
