"""What a mess says that an audit finds of it, held against the checks themselves: an inventory is made from the sandbox's own state,
past every wire, and judged. The list and the findings are the same set; without a plant its findings are gone."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, get_args

import httpx
import pytest

from exosp.checks import CHECKS
from exosp.exchange import records
from exosp.finding import Measures
from exosp.inventory import (
    AccessPolicy,
    Coverage,
    Credential,
    Entry,
    Grant,
    Inventory,
    LastUse,
    MailboxRecord,
    Organization,
    Owner,
    Principal,
    Registration,
    Right,
    RoleGrant,
    ScopeGrant,
    Section,
)
from exosp.sandbox import initial, mess
from exosp.sandbox.directory import Directory, Entity
from exosp.sandbox.exchange import Exchange, Mailbox
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options, Tenant
from exosp.snapshot import (
    Address,
    AppId,
    ApplicationObjectId,
    ClaimedObjectId,
    ClientAccess,
    MailboxId,
    PrincipalObjectId,
)

Found = set[tuple[str, str, str]]
_RIGHTS: dict[str, Right] = {"FullAccess": "FullAccess", "ReadPermission": "ReadPermission"}


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


def _credentials(held: Entity) -> tuple[Credential, ...]:
    p = held.properties
    rows = [("secret", row) for row in p["passwordCredentials"]] + [("certificate", row) for row in p["keyCredentials"]]
    made = [
        Credential("secret" if kind == "secret" else "certificate", row["keyId"], row["displayName"],
                   moment(row["startDateTime"]), moment(row["endDateTime"]))
        for kind, row in rows
    ]  # fmt: skip
    return (*made, *(Credential("federated", key, row["name"]) for key, row in held.federated.items()))


def _owners(directory: Directory, held: Entity) -> tuple[Owner, ...]:
    people = [(owner, directory.people.users.find(owner)) for owner in sorted(held.owners)]
    return tuple(Owner(i, u.upn, "user", u.enabled) if u else Owner(i, i, "application") for i, u in people)


def _box(exchange: Exchange, box: Mailbox, entries: dict[str, str]) -> MailboxRecord:
    grants = []
    for row in box.permissions:
        trustee = row["_trustee"]
        if trustee.lower() in entries or trustee.startswith("S-1-5-21-"):
            grants += [
                Grant(
                    _RIGHTS[right],
                    trustee,
                    entries.get(trustee.lower(), ""),
                    deny=row["Deny"],
                    inherited=row["IsInherited"],
                )
                for right in row["AccessRights"]
            ]
    for row in box.recipient_permissions:
        grants.append(Grant("SendAs", row["_trustee"], entries[row["_trustee"].lower()]))
    p, cas = box.properties, box.cas
    number = MailboxId(p["ExternalDirectoryObjectId"])
    access = ClientAccess(number, cas["ImapEnabled"], cas["PopEnabled"], cas["SmtpClientAuthenticationDisabled"])
    return MailboxRecord(
        number, Address(p["PrimarySmtpAddress"]), p["DisplayName"], "soft-deleted" if box.soft_deleted else "user",
        p["UserPrincipalName"], tuple(grants), access=None if box.soft_deleted else access,
    )  # fmt: skip


def inventory(tenant: Tenant) -> Inventory:
    """A whole tenant as an audit that missed nothing would have read it."""
    directory, exchange = tenant.directory, tenant.exchange
    principals = directory.service_principals
    values = {(p.id, role["id"]): role["value"] for p in principals.values() for role in p.properties["appRoles"]}
    scopes = []
    for row in directory.permission_grants.values():
        p, names = row.properties, frozenset(str(row.properties["scope"]).split())
        resource = AppId(principals[p["resourceId"]].properties["appId"])
        everyone = p["consentType"] == "AllPrincipals"
        scopes.append(
            ScopeGrant(
                PrincipalObjectId(p["clientId"]),
                resource,
                *((names, frozenset(), 0) if everyone else (frozenset(), names, 1)),
            )
        )
    entries = {str(row["ObjectId"]).lower(): str(row["Identity"]) for row in exchange.service_principals}
    default = exchange.organization_config["DefaultAuthenticationPolicy"]
    passwords = all(row["AllowBasicAuthSmtp"] for row in exchange.authentication_policies if row["Name"] == default)
    at = datetime.fromtimestamp(tenant.clock.now(), UTC)
    boxes = [_box(exchange, box, entries) for box in exchange.mailboxes if box.granted]
    return Inventory(
        tenant=tenant.domain, tenant_id=tenant.tenant_id, at=at, coverage=Coverage(frozenset(get_args(Section))),
        registrations=tuple(
            Registration(
                ApplicationObjectId(a.id), AppId(a.properties["appId"]), a.properties["displayName"], a.properties["signInAudience"],
                a.properties["uniqueName"] or "", _credentials(a), _owners(directory, a), (), moment(a.properties["createdDateTime"]),
            )
            for a in directory.applications.values()
        ),
        principals=tuple(
            Principal(
                PrincipalObjectId(p.id), AppId(p.properties["appId"]), p.properties["displayName"], p.properties["accountEnabled"],
                p.properties["servicePrincipalType"], p.properties["appOwnerOrganizationId"] or "", _credentials(p), _owners(directory, p),
            )
            for p in principals.values()
        ),
        role_grants=tuple(
            RoleGrant(
                PrincipalObjectId(row.properties["principalId"]), AppId(principals[row.properties["resourceId"]].properties["appId"]),
                values[row.properties["resourceId"], row.properties["appRoleId"]], moment(row.properties["createdDateTime"]),
            )
            for row in directory.app_role_assignments.values()
        ),
        scope_grants=tuple(scopes),
        last_use=tuple(
            LastUse(AppId(app), *(None if t is None else datetime.fromtimestamp(t, UTC) for t in times))
            for app, times in directory.last_used.items()
        ),
        entries=tuple(
            Entry(AppId(row["AppId"]), ClaimedObjectId(row["ObjectId"]), row["DisplayName"], row["Identity"])
            for row in exchange.service_principals
        ),
        access_policies=tuple(
            AccessPolicy(AppId(row["AppId"]), "restrict" if row["AccessRight"] == "RestrictAccess" else "deny", row["ScopeName"])
            for row in exchange.access_policies
        ),
        roles=tuple(records.management_role(row.properties) for row in exchange.management_role_assignments),
        scopes=tuple(records.management_scope(row.properties) for row in exchange.management_scopes),
        organization=Organization(exchange.transport_config["SmtpClientAuthenticationDisabled"], passwords, directory.security_defaults),
        mailboxes=tuple(box for box in boxes if box.grants),
    )  # fmt: skip


def judged(tenant: Tenant) -> Found:
    whole, measures = inventory(tenant), Measures(privileged=mess.PRIVILEGED)
    found = (finding for check in CHECKS for finding in check.find(whole, measures))
    return {(f.check, f.subject.id.lower(), f.subject.mailbox.lower()) for f in found}


def furnished(seed: int, **options: Any) -> Tenant:
    tenant = Tenant(Options(faults="none", seed=seed, mess=seed, **options))
    initial.furnish(tenant)
    return tenant


def stated(tenant: Tenant) -> Found:
    return {(check, subject.lower(), box.lower()) for check, subject, box in tenant.planted}


def test_messes_say_all_that_is_found_of_them() -> None:
    """Findings and statements are the same set."""
    for seed in range(100, 112):
        tenant = furnished(seed)
        assert judged(tenant) == stated(tenant), seed


@pytest.mark.slow
def test_a_hundred_messes_say_all_that_is_found_of_them() -> None:
    """Every check that needs no playbook is planted in some of them, and findings and statements are the same set in each."""
    counted: Counter[str] = Counter()
    for seed in range(100):
        tenant = furnished(seed)
        assert judged(tenant) == stated(tenant), seed
        counted.update({check for check, _, _ in tenant.planted})
    assert set(counted) == {check.name for check in CHECKS} - {"not-in-any-playbook", "playbook-drift"}
    assert min(counted.values()) >= 3, counted


ALL: tuple[mess.Plant, ...] = (*mess.CORE, *mess.ALONE, *(plant for group in mess.BESIDES for plant in group))


@pytest.mark.parametrize("plant", ALL, ids=lambda plant: plant.__name__)
def test_each_plant_alone_is_found_and_without_it_nothing(plant: mess.Plant) -> None:
    """A clean application has no finding. A plant brings those that it states; a near miss states none, and has none."""
    tenant = Tenant(Options(faults="none"))
    initial.furnish(tenant)
    tenant.exchange.add_authentication_policy("No passwords", smtp=False, default=True)
    before = judged(tenant)
    assert before == stated(tenant)
    made = mess.Mess(tenant, 1)
    made.draw = random.Random(7)
    mess._application(made, "Clean", [])
    assert judged(tenant) == before
    causes = mess._application(made, "Planted", [plant])
    assert judged(tenant) - before == {(check, subject.lower(), box.lower()) for check, subject, box in causes}


def test_what_the_provisioning_application_may_is_stated() -> None:
    """Its rights decide; one that only reads the directory and no Exchange is nobody's finding."""
    for rights in ({"graph_roles": ["Directory.Read.All"], "exchange_roles": ["Exchange.ManageAsApp"]},
                   {"graph_roles": ["RoleManagement.ReadWrite.Directory"], "exchange_roles": []}):  # fmt: skip
        tenant = Tenant(Options(faults="none"))
        initial.furnish(tenant, {"admin": rights})
        assert judged(tenant) == stated(tenant)
        assert len(tenant.planted) == 3
    tenant = Tenant(Options(faults="none"))
    initial.furnish(tenant, {"admin": {"graph_roles": ["Directory.Read.All"], "exchange_roles": []}})
    assert tenant.planted == []
    tenant = Tenant(Options(faults="none"))
    initial.furnish(tenant, {"admin": {"graph_roles": ["Mail.Read"], "exchange_roles": ["IMAP.AccessAsApp"]}})
    assert judged(tenant) == stated(tenant)
    assert {"tenant-wide-mail-access", "consent-without-grant"} <= {check for check, _, _ in tenant.planted}


def test_the_list_is_served_and_a_reset_draws_another() -> None:
    """GET /planted: the addresses taken for privileged, and each statement; the same seed plants the same things."""

    def kinds(rows: list[dict[str, str]]) -> list[str]:
        return sorted(row["check"] for row in rows)

    with Running(Options(faults="none", mess=3)) as running:
        address = running.environment()["EXOSP_SANDBOX"]
        first = httpx.get(f"{address}/planted", trust_env=False).json()
        assert first["privileged"] == ["ceo@*", "board*@*"]
        assert all(set(row) == {"check", "subject", "mailbox"} for row in first["planted"])
        assert {(row["check"], row["subject"], row["mailbox"]) for row in first["planted"]} == set(
            running.sandbox.tenant.planted
        )
        httpx.post(f"{address}/reset", json={"seed": 0}, trust_env=False)
        again = httpx.get(f"{address}/planted", trust_env=False).json()
        assert kinds(again["planted"]) == kinds(first["planted"])
        running.reset(mess=4)
        assert kinds(httpx.get(f"{address}/planted", trust_env=False).json()["planted"]) != kinds(first["planted"])


def test_a_statement_that_is_not_so_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison fails where a plant states too much or too little."""
    broken: Callable[..., Any] = lambda m, spec: [*mess.send_as(m, spec), ("owner-missing", mess.APP, "")]  # noqa: E731
    silent: Callable[..., Any] = lambda m, spec: mess.send_as(m, spec)[:0]  # noqa: E731
    for plant in (broken, silent):
        monkeypatch.setattr(mess, "_plants", lambda draw, number, plant=plant: [plant])
        tenant = furnished(1)
        assert judged(tenant) != stated(tenant)


def test_a_mess_leaves_every_kind_of_thing_that_hands_leave() -> None:
    """Wrong object ids, orphans, shared names, switches in any position, SIDs that nobody resolves, people's grants."""
    seen: Counter[str] = Counter()
    for seed in range(20):
        tenant = furnished(seed)
        exchange, directory = tenant.exchange, tenant.directory
        names = Counter(app.properties["displayName"] for app in directory.applications.values())
        known = directory.service_principals
        seen["shared name"] += max(names.values()) > 1
        seen["wrong id"] += any(row["ObjectId"] in directory.applications for row in exchange.service_principals)
        seen["no such id"] += any(row["ObjectId"] not in known for row in exchange.service_principals)
        own = [
            box
            for box in exchange.mailboxes
            if box.properties["PrimarySmtpAddress"] in ("support@contoso.com", "sales@contoso.com")
        ]
        trustees = {row["_trustee"] for box in own for row in box.permissions}
        seen["unresolved"] += any(trustee.startswith("S-1-5-21-") for trustee in trustees)
        seen["people"] += any("@" in trustee for trustee in trustees)
        seen["switch"] += any(not box.cas["ImapEnabled"] for box in own)
        seen["the playbook's name"] += names["Support Desk Mail"] > 0
    assert len(seen) == 7
    assert all(count >= 1 for count in seen.values()), seen
