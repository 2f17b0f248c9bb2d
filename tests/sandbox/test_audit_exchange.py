"""Exchange read for a whole tenant by plain requests at the admin endpoint, on view-only rights: each rule from the cmdlet's help
or the source that its test names."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from audit_fixture import READER, Auditor, auditing, named
from host_fixture import host, run

from exosp.sandbox.cmdlets import TABLE
from exosp.sandbox.cmdlets.binding import spec

TENANT: dict[str, Any] = {
    "admin": READER | {"role_groups": ["View-Only Audit Logs"]},
    "authentication_policies": [{"name": "No passwords", "default": True}, {"name": "Old clients", "smtp": True}],
    "mailboxes": [
        "desk@contoso.com", "sales@contoso.com",
        {"address": "shared@contoso.com", "kind": "SharedMailbox", "unresolved": ["full_access", {"right": "full_access", "sid": "S-1-5-21-7-8-9-1001", "deny": True}]},
        {"address": "team@contoso.com", "kind": "GroupMailbox"},
        {"address": "left@contoso.com", "soft_deleted": True},
        {"address": "remote@contoso.com", "kind": "MailUser"},
    ],
    "groups": [{"address": "readers@contoso.com", "name": "Readers", "members": ["desk@contoso.com"]}],
    "management_scopes": [{"name": "Sales only", "filter": "Department -eq 'Sales'"}],
    "users": [{"upn": "alex@contoso.com", "full_access": ["desk@contoso.com"]}],
    "applications": [
        {"name": "CRM", "exchange": "right", "roles": ["IMAP.AccessAsApp"],
         "grants": [
             {"mailbox": "desk@contoso.com", "right": ["full_access", "send_as", "send_on_behalf"]},
             {"mailbox": "sales@contoso.com", "inherited": True}, {"mailbox": "shared@contoso.com", "deny": True},
             {"mailbox": "team@contoso.com"}, {"mailbox": "left@contoso.com"}, {"mailbox": "shared@contoso.com", "right": "send_as"},
             {"mailbox": "desk@contoso.com", "right": "folder", "folder": "Calendar", "role": "Editor"},
         ],
         "policy": {"scope": "readers@contoso.com", "description": "narrow"},
         "rbac": [{"role": "Application Mail.Read"}, {"role": "Application Mail.Send", "scope": "Sales only"},
                  {"role": "Application Calendars.Read", "scope": "Gone"}, {"role": "Application Contacts.Read", "group": "readers"}]},
        {"name": "Classic", "exchange": "application", "grants": [{"mailbox": "desk@contoso.com"}]},
        {"name": "Twice", "exchange": ["right", "stranger"]},
        {"name": "Left over", "exchange": "orphaned", "grants": [{"mailbox": "sales@contoso.com"}]},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def auditor() -> Iterator[Auditor]:
    with auditing(TENANT, mailboxes=1100) as found:
        yield found


def told(reply: httpx.Response) -> str:
    return str(reply.json()["error"]["details"][0]["message"])


# Rights


def test_a_global_reader_sees_every_get_and_nothing_that_writes(auditor: Auditor) -> None:
    """app-only-auth-powershell-v2: Global Reader may connect; it stands for View-Only Organization Management. A cmdlet the
    caller may not run does not exist (FACTS §2)."""
    there, absent = set(), set()
    for name, cmdlet in TABLE.items():
        if not cmdlet.module:
            needed = {key for names in spec(name).mandatory.values() for key in names} | {"Identity"}
            given = dict.fromkeys(needed & cmdlet.parameters, "nobody@contoso.com")
            (there if auditor.may(name, **given) else absent).add(name)
    writes = {
        name for name, cmdlet in TABLE.items() if name.partition("-")[0] in ("New", "Add", "Set", "Remove", "Enable")
    }
    assert writes <= absent
    assert not [name for name in there if not name.startswith(("Get-", "Search-"))]
    assert there >= {
        "Get-ServicePrincipal", "Get-Mailbox", "Get-MailboxPermission", "Get-RecipientPermission", "Get-CASMailbox",
        "Get-MailboxFolderPermission", "Get-TransportConfig", "Get-OrganizationConfig", "Get-ApplicationAccessPolicy",
        "Get-AuthenticationPolicy", "Get-ManagementRoleAssignment", "Get-ManagementScope", "Get-Recipient", "Get-User",
        "Search-UnifiedAuditLog",
    }  # fmt: skip


@pytest.mark.parametrize(("rights", "gone"), [
    ({"role_groups": []}, "Search-UnifiedAuditLog"),
    ({"directory_roles": [], "role_groups": ["View-Only Recipients"]}, "Get-ServicePrincipal"),
    ({"directory_roles": [], "role_groups": ["View-Only Configuration"]}, "Get-Mailbox"),
])  # fmt: skip
def test_a_role_group_holds_its_roles_alone(rights: dict[str, Any], gone: str) -> None:
    """Search-UnifiedAuditLog's help: Audit Logs or View-Only Audit Logs; the other two roles' entries."""
    with auditing(TENANT | {"admin": READER | rights}) as auditor:
        assert not auditor.may(gone)
        other = "Get-Mailbox" if gone == "Get-ServicePrincipal" else "Get-ServicePrincipal"
        assert auditor.rows(other)


def test_the_old_admin_log_is_not_there(auditor: Auditor) -> None:
    """Search-AdminAuditLog's help leaves Exchange Online out; it is retired there in favour of Search-UnifiedAuditLog."""
    assert not auditor.may("Search-AdminAuditLog")


# Mailboxes


def test_a_list_of_all_stops_at_a_thousand_and_says_so(auditor: Auditor) -> None:
    """Get-Mailbox's help, -ResultSize: 1,000 rows by default, with a warning; Unlimited gives all."""
    first = auditor.ask("Get-Mailbox").json()
    assert len(first["value"]) == 1000
    assert any("only the first 1000" in text for text in first["@adminapi.warnings"])
    whole = auditor.ask("Get-Mailbox", ResultSize="Unlimited").json()
    assert len(whole["value"]) == 1103
    assert whole["@adminapi.warnings"] == []
    assert len({row["ExternalDirectoryObjectId"] for row in whole["value"]}) == 1103
    assert len(auditor.rows("Get-CASMailbox", ResultSize="Unlimited")) == 1103


def test_other_kinds_are_listed_when_asked_for(auditor: Auditor) -> None:
    """-SoftDeletedMailbox, -GroupMailbox; a MailUser is no mailbox; a shared one is among the others."""
    address = "PrimarySmtpAddress"
    assert [row[address] for row in auditor.rows("Get-Mailbox", SoftDeletedMailbox=True)] == ["left@contoso.com"]
    assert [row[address] for row in auditor.rows("Get-Mailbox", GroupMailbox=True)] == ["team@contoso.com"]
    listed = {row[address] for row in auditor.rows("Get-Mailbox", ResultSize="Unlimited")}
    assert "shared@contoso.com" in listed
    assert not listed & {"team@contoso.com", "left@contoso.com", "remote@contoso.com"}


def test_who_may_send_on_behalf_stands_in_the_mailbox(auditor: Auditor) -> None:
    """GrantSendOnBehalfTo names the entry that Exchange holds."""
    entry = named(auditor.rows("Get-ServicePrincipal"), "CRM")
    held = {
        row["PrimarySmtpAddress"]: row["GrantSendOnBehalfTo"]
        for row in auditor.rows("Get-Mailbox", ResultSize="Unlimited")
    }
    assert held["desk@contoso.com"] == [entry["Name"]]
    assert held["sales@contoso.com"] == []


# Permissions


def grants(auditor: Auditor, address: str, **switches: Any) -> list[tuple[Any, ...]]:
    rows = auditor.rows("Get-MailboxPermission", Identity=address, **switches)
    return [(row["User"], *row["AccessRights"], row["Deny"], row["IsInherited"]) for row in rows]


def test_permissions_of_every_kind_of_mailbox(auditor: Auditor) -> None:
    """Own, inherited and Deny rows; of people and of entries, right or wrong; SELF always; groups and soft-deleted ones."""
    entries = auditor.rows("Get-ServicePrincipal")
    crm, classic, left = (named(entries, name)["ObjectId"] for name in ("CRM", "Classic", "Left over"))
    desk = grants(auditor, "desk@contoso.com")
    assert (crm, "FullAccess", False, False) in desk
    assert (classic, "FullAccess", False, False) in desk
    assert ("alex@contoso.com", "FullAccess", False, False) in desk
    assert ("NT AUTHORITY\\SELF", "FullAccess", "ReadPermission", False, False) in desk
    sales = grants(auditor, "sales@contoso.com")
    assert (crm, "FullAccess", False, True) in sales
    assert (left, "FullAccess", False, False) in sales
    assert (crm, "FullAccess", True, False) in grants(auditor, "shared@contoso.com")
    assert (crm, "FullAccess", False, False) in grants(auditor, "team@contoso.com", GroupMailbox=True)
    assert (crm, "FullAccess", False, False) in grants(auditor, "left@contoso.com", SoftDeletedMailbox=True)
    for address in ("team@contoso.com", "left@contoso.com", "remote@contoso.com"):
        assert "ManagementObjectNotFoundException" in told(auditor.ask("Get-MailboxPermission", Identity=address))


def test_who_is_gone_shows_when_asked_for(auditor: Auditor) -> None:
    """-IncludeUnresolvedPermissions: a bare SID, else nothing."""
    plain, whole = (
        grants(auditor, "shared@contoso.com", **more) for more in ({}, {"IncludeUnresolvedPermissions": True})
    )
    hidden = [row for row in whole if row not in plain]
    assert [row[1:] for row in hidden] == [("FullAccess", False, False), ("FullAccess", True, False)]
    assert hidden[1][0] == "S-1-5-21-7-8-9-1001"
    assert hidden[0][0].startswith("S-1-5-21-")


def test_send_as_is_found_by_trustee_over_the_whole_tenant(auditor: Auditor) -> None:
    """Get-RecipientPermission -Trustee without -Identity: of every recipient."""
    crm = named(auditor.rows("Get-ServicePrincipal"), "CRM")["ObjectId"]
    rows = auditor.rows("Get-RecipientPermission", Trustee=crm, ResultSize="Unlimited")
    boxes = {row["Identity"]: row["PrimarySmtpAddress"] for row in auditor.rows("Get-Mailbox", ResultSize="Unlimited")}
    assert {(boxes[row["Identity"]], row["Trustee"], *row["AccessRights"], row["AccessControlType"]) for row in rows} == {
        ("desk@contoso.com", crm, "SendAs", "Allow"), ("shared@contoso.com", crm, "SendAs", "Allow"),
    }  # fmt: skip


def test_send_as_on_one_recipient_may_be_nothing(auditor: Auditor) -> None:
    """A recipient on which the trustee holds nothing is there all the same."""
    crm = named(auditor.rows("Get-ServicePrincipal"), "CRM")["ObjectId"]
    assert auditor.rows("Get-RecipientPermission", Identity="sales@contoso.com", Trustee=crm) == []
    assert auditor.rows("Get-RecipientPermission", Identity="box00003@contoso.com", Trustee=crm) == []
    assert len(auditor.rows("Get-RecipientPermission", Identity="desk@contoso.com", Trustee=crm)) == 1


def test_folders_have_permissions_of_their_own(auditor: Auditor) -> None:
    """Get-MailboxFolderPermission: Default and Anonymous in each; AvailabilityOnly on the calendar; no such folder."""
    crm = named(auditor.rows("Get-ServicePrincipal"), "CRM")["ObjectId"]

    def held(place: str, **more: Any) -> list[tuple[Any, ...]]:
        rows = auditor.rows("Get-MailboxFolderPermission", Identity=place, **more)
        return [(row["FolderName"], row["User"], *row["AccessRights"]) for row in rows]

    assert held("desk@contoso.com:\\Calendar") == [
        ("Calendar", "Default", "AvailabilityOnly"), ("Calendar", "Anonymous", "None"), ("Calendar", crm, "Editor"),
    ]  # fmt: skip
    assert held("desk@contoso.com:\\calendar", User=crm) == [("Calendar", crm, "Editor")]
    assert held("sales@contoso.com:\\Inbox") == [("Inbox", "Default", "None"), ("Inbox", "Anonymous", "None")]
    assert held("desk@contoso.com")[0][0] == held("desk@contoso.com:\\")[0][0] == "Top of Information Store"
    assert len(held("team@contoso.com:\\Inbox", GroupMailbox=True)) == 2
    for wrong in ("desk@contoso.com:\\Nowhere", "nobody@contoso.com:\\Inbox"):
        assert "ManagementObjectNotFoundException" in told(auditor.ask("Get-MailboxFolderPermission", Identity=wrong))


def test_hostile_names_arrive_as_they_are() -> None:
    """Formulas, scripts, escapes, bidi controls and quotes are names like others: over Graph, the admin endpoint and PSRP. (What
    is no Unicode is no name: pypsrp cannot read a lone surrogate.)"""
    corpus = json.loads(Path(__file__).parents[1].joinpath("data", "hostile_names.json").read_text(encoding="utf-8"))
    names = [
        name
        for name in dict.fromkeys(corpus.values())
        if name and name == name.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    ]
    assert len(names) > 50
    content = {
        "applications": [{"name": name, "exchange": "right"} for name in names],
        "mailboxes": [{"address": f"m{number}@contoso.com", "name": name} for number, name in enumerate(names)],
    }
    with auditing(content) as auditor:
        assert set(names) <= {row["displayName"] for row in auditor.every("/applications?$top=999")}
        assert {row["DisplayName"] for row in auditor.rows("Get-ServicePrincipal")} == set(names)
        assert {row["DisplayName"] for row in auditor.rows("Get-Mailbox")} == set(names)
    with host() as there, there.pool() as pool:
        for number, name in enumerate(names):
            there.tenant.exchange.add_service_principal(
                str(uuid.UUID(int=number)), str(uuid.UUID(int=1000 + number)), name
            )
        assert {row["DisplayName"] for row in run(pool, "Get-ServicePrincipal").rows} == set(names)


# Settings, policies, roles


def test_entries_are_listed_right_and_wrong(auditor: Auditor) -> None:
    """An entry keeps whatever object ID it was given (office-developer-exchange-docs PR 304, PR 332)."""
    rows = auditor.rows("Get-ServicePrincipal")
    directory = auditor.tenant.directory
    classic, crm = named(rows, "Classic"), named(rows, "CRM")
    assert classic["ObjectId"] in directory.applications
    assert crm["ObjectId"] in directory.service_principals
    twice = [row for row in rows if row["DisplayName"] == "Twice"]
    assert len({row["ObjectId"] for row in twice}) == 2
    assert len({row["AppId"] for row in twice}) == 1
    left = named(rows, "Left over")
    assert directory.principal(left["AppId"]) is None
    assert directory.application(left["AppId"]) is None


def test_policies_and_the_organizations_default(auditor: Auditor) -> None:
    """Get-ApplicationAccessPolicy's columns in field reports; the default authentication policy stands in the organization."""
    crm = named(auditor.rows("Get-ServicePrincipal"), "CRM")
    [policy] = auditor.rows("Get-ApplicationAccessPolicy")
    assert (policy["AppId"], policy["AccessRight"], policy["ScopeName"], policy["Description"]) == (
        crm["AppId"], "RestrictAccess", "Readers", "narrow",
    )  # fmt: skip
    assert [row["Identity"] for row in auditor.rows("Get-ApplicationAccessPolicy", Identity=policy["Identity"])] == [
        policy["Identity"]
    ]
    [settings] = auditor.rows("Get-OrganizationConfig")
    policies = {row["Name"]: row["AllowBasicAuthSmtp"] for row in auditor.rows("Get-AuthenticationPolicy")}
    assert policies == {"No passwords": False, "Old clients": True}
    assert settings["DefaultAuthenticationPolicy"] == "No passwords"
    assert "ManagementObjectNotFoundException" in told(auditor.ask("Get-AuthenticationPolicy", Identity="Nobody's"))


def test_roles_and_scopes_of_applications(auditor: Auditor) -> None:
    """Get-ManagementRoleAssignment lists everybody's: an application's names it in App. A scope may be gone."""
    crm = named(auditor.rows("Get-ServicePrincipal"), "CRM")
    rows = auditor.rows("Get-ManagementRoleAssignment")
    own = {row["Role"]: row for row in rows if row["App"] == crm["ObjectId"]}
    assert len(rows) > len(own) == 4
    assert {row["RoleAssigneeType"] for row in own.values()} == {"ServicePrincipal"}
    assert own["Application Mail.Read"]["RecipientWriteScope"] == "Organization"
    assert own["Application Mail.Send"]["CustomResourceScope"] == "Sales only"
    assert own["Application Contacts.Read"]["RecipientWriteScope"] == "Group"
    scopes = {row["Name"]: row["RecipientFilter"] for row in auditor.rows("Get-ManagementScope")}
    assert scopes == {"Sales only": "Department -eq 'Sales'"}
    assert own["Application Calendars.Read"]["CustomResourceScope"] not in scopes


# The audit log


def test_the_unified_log_knows_cmdlets_that_write() -> None:
    """Search-UnifiedAuditLog: what was run, by whom, with which parameters; by operation, object and time; in turns."""
    with host() as there, there.pool() as pool:
        _, object_id = there.registered(pool)
        run(pool, "Add-MailboxPermission", Identity="support@contoso.com", User=object_id, AccessRights=["FullAccess"])
        run(
            pool,
            "Add-MailboxPermission",
            Identity="sales@contoso.com",
            User=object_id,
            AccessRights=["FullAccess"],
            WhatIf=True,
        )
        run(pool, "Get-MailboxPermission", Identity="support@contoso.com")
        now = datetime.now(UTC)
        dates = {"StartDate": f"{now - timedelta(days=1):%Y-%m-%d}", "EndDate": f"{now + timedelta(days=1):%m/%d/%Y}"}
        rows = run(pool, "Search-UnifiedAuditLog", **dates).rows
        assert {row["Operations"] for row in rows} == {"New-ServicePrincipal", "Add-MailboxPermission"}
        [row] = run(
            pool, "Search-UnifiedAuditLog", Operations=["Add-MailboxPermission"], RecordType="ExchangeAdmin", **dates
        ).rows
        data = json.loads(row["AuditData"])
        box = there.tenant.exchange.mailbox("support@contoso.com")
        assert box is not None
        assert (data["Operation"], data["ObjectId"], data["Workload"], data["RecordType"]) == (
            "Add-MailboxPermission",
            box.identity,
            "Exchange",
            1,
        )
        given = {parameter["Name"]: parameter["Value"] for parameter in data["Parameters"]}
        assert given == {"Identity": "support@contoso.com", "User": object_id, "AccessRights": "FullAccess"}
        assert data["UserId"].endswith(there.administrator)
        turns = {"SessionId": "one", "SessionCommand": "ReturnLargeSet", "ResultSize": 1}
        seen = [run(pool, "Search-UnifiedAuditLog", **dates, **turns).rows for _ in range(3)]
        assert [len(found) for found in seen] == [1, 1, 0]
        assert seen[0][0]["Identity"] != seen[1][0]["Identity"]
        assert run(pool, "Search-UnifiedAuditLog", StartDate="2026-01-01", EndDate="2026-01-02").rows == []
        assert (
            "later than the end date"
            in run(pool, "Search-UnifiedAuditLog", StartDate="2026-01-03", EndDate="2026-01-02").error
        )
        assert "ExDateTime" in run(pool, "Search-UnifiedAuditLog", StartDate="yesterday", EndDate="2026-01-02").error
        assert "5000" in run(pool, "Search-UnifiedAuditLog", ResultSize=5001, **dates).error


def test_the_unified_log_knows_what_stood_before(auditor: Auditor) -> None:
    """What a tenant file says has its records, for 180 days; a filter by object and by person."""
    ends = datetime.now(UTC) + timedelta(days=1)
    dates = {"StartDate": (ends - timedelta(days=90)).isoformat(), "EndDate": ends.isoformat()}
    rows = auditor.rows("Search-UnifiedAuditLog", **dates, ResultSize=5000)
    assert {row["Operations"] for row in rows} == {
        "New-ServicePrincipal",
        "Add-MailboxPermission",
        "Add-RecipientPermission",
    }
    assert {row["UserIds"] for row in rows} == {"admin@contoso.onmicrosoft.com"}
    desk = next(row["Identity"] for row in auditor.rows("Get-Mailbox", Identity="desk@contoso.com"))
    on_it = auditor.rows("Search-UnifiedAuditLog", **dates, ObjectIds=[desk])
    assert {row["Operations"] for row in on_it} == {"Add-MailboxPermission", "Add-RecipientPermission"}
    assert auditor.rows("Search-UnifiedAuditLog", **dates, UserIds=["nobody@contoso.com"]) == []
    assert len(auditor.rows("Search-UnifiedAuditLog", **dates, ResultSize=2)) == 2
