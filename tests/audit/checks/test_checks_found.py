"""Each check on tenants written by hand from its manual: what it finds there, and that it finds nothing right beside it.

The whole of what all checks find is compared, so a tenant that is wrong in one way is found to be wrong in that one way.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from builders import (
    ALL_READ,
    AT,
    MICROSOFT,
    OFF,
    TENANT_ID,
    application,
    certificate,
    entry,
    federated,
    mailbox,
    owner,
    role,
    scope,
    secret,
    some_id,
    tenant,
)
from found import Row, of, rows

from exosp.checks import CHECKS
from exosp.finding import Measures
from exosp.inventory import Coverage, Grant, Inventory, Wanted
from exosp.snapshot import AppId

WRONG = "99999999-0000-0000-0000-000000000001"
SID = "S-1-5-21-1004-2005-3006-4007"
BOX = "support@contoso.com"
OTHER = "11111111-0000-0000-0000-00000000beef"  # another tenant


def about_entry(check: str, severity: str, object_id: str, name: str) -> Row:
    """Of the entry with this object ID, which is that application's."""
    return Row(check, severity, "high", "entry", object_id, detail=some_id("app", name))


def desk(
    *consents: str, name: str = "Desk", full: Sequence[str] = (BOX,), box: dict[str, Any] | None = None, **app: Any
) -> Any:
    """An application with FullAccess on mailboxes: the application, and they."""
    made = application(name, *(consents or ("IMAP.AccessAsApp",)), **app)
    return made, *(mailbox(address, **({"full": [made]} | (box or {}))) for address in full)


def alone(name: str, *consents: str, **app: Any) -> Inventory:
    return tenant(application(name, *consents, **app))


def granted(name: str, *consents: str, box: dict[str, Any] | None = None, **app: Any) -> Inventory:
    return tenant(*desk(*consents, name=name, box=box, **app))


def want(file: str, name: str, boxes: dict[str, set[str]] | None = None, **more: Any) -> Wanted:
    held = {address: frozenset(protocols) for address, protocols in (boxes or {}).items()}
    return Wanted(file, name.lower(), frozenset({AppId(some_id("app", name))}), mailboxes=held, **more)


def keys(*credentials: Any) -> dict[str, Any]:
    return {"registration": {"credentials": credentials}}


def two_entries() -> Inventory:
    made, box = desk()
    twin = entry("Desk", made.app_id, made.object_id, "the other")
    return tenant(made, box, entries=(twin,))


def twins_by_name() -> Inventory:
    one, box = desk()
    other = application("Other", "IMAP.AccessAsApp")
    other = replace(other, name="Desk", registrations=(replace(other.registrations[0], name="Desk"),))
    return tenant(one, other, box, mailbox("sales@contoso.com", full=[other]))


def stray_app_id() -> Inventory:
    """An entry whose appId is nobody's, and its object ID is a known enterprise application's."""
    made, box = desk()
    return tenant(made, box, entries=(entry("Stray", WRONG, made.object_id, "stray"),))


def one_id_twice() -> Inventory:
    """Two applications under one object ID, which is neither one's."""
    one, box = desk(object_id=WRONG)
    other = application("Other", "IMAP.AccessAsApp", entered=False)
    return tenant(one, other, box, mailbox("sales@contoso.com", grants=[Grant("FullAccess", "x", "twice")]),
                  entries=(entry("Other", other.app_id, WRONG, "twice"),))  # fmt: skip


def only_people_consented() -> Inventory:
    made = application("Client", graph_everyone=["Mail.Read"], entered=False)
    row = replace(made.scope_grants[0], everyone=frozenset({"User.Read"}), some=frozenset({"Mail.Read"}), people=3)
    return tenant(replace(made, scope_grants=(row,)))


def read_mail() -> dict[str, Any]:
    return {"graph": ["Mail.Read"], "entered": False}


# check -> tenants in which it finds what it should: the tenant, the measures, all findings of all checks there
FOUND: dict[str, list[tuple[Inventory, Measures, list[Row]]]] = {
    "wrong-object-id": [
        (granted("Desk", object_id=WRONG), Measures(), [about_entry("wrong-object-id", "high", WRONG, "Desk")]),
        (
            granted("Desk", object_id=some_id("registration", "Desk")),
            Measures(),
            [about_entry("wrong-object-id", "high", some_id("registration", "Desk"), "Desk")],
        ),
        (
            one_id_twice(),
            Measures(),
            [about_entry("wrong-object-id", "high", WRONG, name) for name in ("Desk", "Other")],
        ),
    ],
    "exchange-entry-orphaned": [
        (
            alone("Gone", registered=False, enterprise=False),
            Measures(),
            [about_entry("exchange-entry-orphaned", "medium", some_id("principal", "Gone"), "Gone")],
        ),
    ],
    "enterprise-application-missing": [
        (alone("Half", enterprise=False), Measures(), [of("Half", "enterprise-application-missing", "high", "high")]),
        (
            tenant(application("Half", enterprise=False, entered=False), wanted=(want("half.yaml", "Half"),)),
            Measures(),
            [of("Half", "enterprise-application-missing", "high", "high")],
        ),
    ],
    "entry-duplicated": [(two_entries(), Measures(), [of("Desk", "entry-duplicated", "low", "high")])],
    "consent-without-grant": [
        (alone("Idle", "IMAP.AccessAsApp"), Measures(), [of("Idle", "consent-without-grant", "low", "medium")]),
        (alone("Idle", "SMTP.SendAsApp"), Measures(), [of("Idle", "consent-without-grant", "low", "medium")]),
        (
            tenant(application("Idle", "POP.AccessAsApp"), coverage=Coverage(read=ALL_READ, unread=2)),
            Measures(),
            [of("Idle", "consent-without-grant", "low", "low")],
        ),
        (
            tenant(*desk("IMAP.AccessAsApp", name="Idle", box={"full": (), "inherited": [application("Idle")]})),
            Measures(),
            [
                of("Idle", "consent-without-grant", "low", "medium"),
                of("Idle", "full-access-by-inheritance", "medium", "medium"),
            ],
        ),
    ],
    "grant-without-consent": [
        (
            tenant(desk0 := application("Quiet"), mailbox(BOX, full=[desk0]), mailbox("a@contoso.com", full=[desk0])),
            Measures(),
            [of("Quiet", "grant-without-consent", "medium", "high")],
        ),
    ],
    "unresolved-trustee": [
        (
            tenant(mailbox(BOX, unresolved=[SID]), mailbox("a@contoso.com", unresolved=[SID])),
            Measures(),
            [Row("unresolved-trustee", "low", "medium", "trustee", SID)],
        ),
        (
            tenant(mailbox(BOX, grants=[Grant("SendAs", "Somebody Gone")])),
            Measures(),
            [Row("unresolved-trustee", "low", "medium", "trustee", "Somebody Gone")],
        ),
    ],
    "tenant-wide-mail-access": [
        (alone("Reader", **read_mail()), Measures(), [of("Reader", "tenant-wide-mail-access", "critical", "high")]),
        (
            alone("Reader", "full_access_as_app", graph=["Mail.Send"], entered=False, policies=[("deny", "the board")]),
            Measures(),
            [of("Reader", "tenant-wide-mail-access", "critical", "high")],
        ),
        (
            alone("Reader", **read_mail(), roles=[role("Application Mail.Read")]),
            Measures(),
            [of("Reader", "tenant-wide-mail-access", "critical", "high")],
        ),
    ],
    "delegated-for-everyone": [
        (
            alone("Client", graph_everyone=["Mail.Read", "User.Read"], everyone=["SMTP.Send"], entered=False),
            Measures(),
            [of("Client", "delegated-for-everyone", "medium", "high")],
        ),
    ],
    "grant-to-privileged-mailbox": [
        (
            tenant(*desk(full=["CEO@contoso.com", "b.miller@contoso.com", "sales@contoso.com"])),
            Measures(privileged=("ceo@*", "?.miller@contoso.com")),
            [
                of("Desk", "grant-to-privileged-mailbox", "high", "high", "CEO@contoso.com"),
                of("Desk", "grant-to-privileged-mailbox", "high", "high", "b.miller@contoso.com"),
            ],
        ),
        (
            tenant(sender := application("Sender", "SMTP.SendAsApp"), mailbox(BOX, full=[sender]), mailbox("ceo@contoso.com", send_as=[sender])),
            Measures(privileged=("ceo@contoso.com",)),
            [of("Sender", "grant-to-privileged-mailbox", "high", "high", "ceo@contoso.com")],
        ),
    ],
    "full-access-by-inheritance": [
        (
            tenant(*(made := desk()), mailbox("a@contoso.com", inherited=[made[0]]), mailbox("b@contoso.com", inherited=[made[0]])),
            Measures(),
            [of("Desk", "full-access-by-inheritance", "medium", "medium")],
        ),
    ],
    "send-as-without-need": [
        (
            tenant(reader := application("Desk", "IMAP.AccessAsApp"), mailbox(BOX, full=[reader], send_as=[reader])),
            Measures(),
            [of("Desk", "send-as-without-need", "medium", "high")],
        ),
        (
            tenant(reader := application("Desk", roles=[role("Application Mail.Read")]), mailbox(BOX, send_as=[reader])),
            Measures(),
            [of("Desk", "send-as-without-need", "medium", "high")],
        ),
    ],
    "credential-expired": [
        (
            granted("Desk", **keys(certificate("fresh"), certificate("old", days=0), certificate("older", days=-50))),
            Measures(),
            [
                of("Desk", "credential-expired", "low", "high", detail=some_id("key", "old")),
                of("Desk", "credential-expired", "low", "high", detail=some_id("key", "older")),
            ],
        ),
    ],
    "credential-expiring": [
        (
            granted("Desk", **keys(certificate("soon", days=30), certificate("sooner", days=2))),
            Measures(),
            [
                of("Desk", "credential-expiring", "medium", "high", detail=some_id("key", "soon")),
                of("Desk", "credential-expiring", "medium", "high", detail=some_id("key", "sooner")),
            ],
        ),
        (
            granted("Desk", **keys(certificate("middling", days=90))),
            Measures(expiring=timedelta(days=100)),
            [of("Desk", "credential-expiring", "medium", "high", detail=some_id("key", "middling"))],
        ),
    ],
    "credential-too-long-lived": [
        (
            granted("Desk", **keys(certificate("long", lasts=367))),
            Measures(),
            [of("Desk", "credential-too-long-lived", "medium", "high", detail=some_id("key", "long"))],
        ),
    ],
    "secret-where-certificate-possible": [
        (granted("Desk", **keys(secret())), Measures(), [of("Desk", "secret-where-certificate-possible", "low", "high")]),
    ],
    "several-live-secrets": [
        (
            granted("Desk", **keys(secret("one"), secret("two"))),
            Measures(),
            [of("Desk", "secret-where-certificate-possible", "low", "high"), of("Desk", "several-live-secrets", "low", "high")],
        ),
    ],
    "credential-on-enterprise-application": [
        (
            granted("Desk", principal={"credentials": (certificate("own"),)}),
            Measures(),
            [of("Desk", "credential-on-enterprise-application", "medium", "high")],
        ),
    ],
    "owner-missing": [
        (granted("Desk", registration={"owners": ()}), Measures(), [of("Desk", "owner-missing", "low", "medium")]),
    ],
    "owner-disabled": [
        (
            granted("Desk", registration={"owners": (owner(), owner("bob", False))}, principal={"owners": (owner("bob", False), owner("eve", False))}),
            Measures(),
            [
                of("Desk", "owner-disabled", "medium", "high", detail=some_id("user", "bob")),
                of("Desk", "owner-disabled", "medium", "high", detail=some_id("user", "eve")),
            ],
        ),
    ],
    "multi-tenant-without-need": [
        (granted("Desk", registration={"audience": audience}), Measures(), [of("Desk", "multi-tenant-without-need", "medium", "medium")])
        for audience in ("AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount")
    ],
    "third-party-access": [
        (granted("Vendor", registered=False, principal={"home": OTHER}), Measures(), [of("Vendor", "third-party-access", "medium", "high")]),
    ],
    "protocol-off-but-granted": [
        (
            granted("Desk", "IMAP.AccessAsApp", "POP.AccessAsApp", box={"imap": False}),
            Measures(),
            [of("Desk", "protocol-off-but-granted", "low", "medium", BOX)],
        ),
        (
            granted("Desk", "SMTP.SendAsApp", box={"smtp_auth_disabled": None}),  # as the tenant has it: off
            Measures(),
            [of("Desk", "protocol-off-but-granted", "low", "medium", BOX)],
        ),
        (
            granted("Desk", "SMTP.SendAsApp", box={"smtp_auth_disabled": True}),
            Measures(),
            [of("Desk", "protocol-off-but-granted", "low", "medium", BOX)],
        ),
    ],
    "smtp-auth-tenant-wide": [
        (
            tenant(organization=replace(OFF, smtp_auth_disabled=False)),
            Measures(),
            [Row("smtp-auth-tenant-wide", "medium", "high", "tenant", "tenant")],
        ),
    ],
    "smtp-auth-admits-passwords": [
        (
            tenant(organization=replace(OFF, smtp_auth_disabled=False, password_smtp=True, security_defaults=None)),
            Measures(),
            [
                Row("smtp-auth-admits-passwords", "high", "medium", "tenant", "tenant"),
                Row("smtp-auth-tenant-wide", "medium", "high", "tenant", "tenant"),
            ],
        ),
        (
            tenant(*desk(), organization=replace(OFF, password_smtp=True, security_defaults=False)),
            Measures(),
            [Row("smtp-auth-admits-passwords", "high", "medium", "mailbox", some_id("mailbox", BOX))],
        ),
    ],
    "smtp-mode-mixed": [
        (
            alone("Both", "SMTP.SendAsApp", roles=[role("Application SMTP.SendAsApp")]),
            Measures(),
            [of("Both", "smtp-mode-mixed", "high", "high")],
        ),
    ],
    "rbac-scope-too-wide": [
        (
            alone("Wide", roles=[role("Application Mail.Read", "organization", name="w1"), role("Application Calendars.Read", "organization", name="w2")]),
            Measures(),
            [of("Wide", "rbac-scope-too-wide", "high", "high", detail="w1"), of("Wide", "rbac-scope-too-wide", "high", "high", detail="w2")],
        ),
    ],
    "rbac-scope-missing": [
        (
            alone("Lost", roles=[role("Application Mail.Read", scope="Gone", name="lost one")]),
            Measures(),
            [of("Lost", "rbac-scope-missing", "medium", "high", detail="lost one")],
        ),
    ],
    "access-policy-without-effect": [
        (
            granted("Desk", policies=[("restrict", "helpdesk"), ("deny", "board")]),
            Measures(),
            [of("Desk", "access-policy-without-effect", "low", "medium")],
        ),
    ],
    "unused-access": [
        (granted("Desk", used=AT - timedelta(days=91)), Measures(), [of("Desk", "unused-access", "low", "medium")]),
        (granted("Desk", used=None), Measures(), [of("Desk", "unused-access", "low", "medium")]),
        (
            granted("Desk", used=None, consented=None, registration={"created": None}, principal={"created": None}),
            Measures(),
            [of("Desk", "unused-access", "low", "medium")],
        ),
    ],
    "disabled-but-granted": [
        (granted("Desk", principal={"enabled": False}), Measures(), [of("Desk", "disabled-but-granted", "low", "high")]),
    ],
    "manages-exchange": [
        (alone("Admin", value, entered=False), Measures(), [of("Admin", "manages-exchange", "high", "medium")])
        for value in ("Exchange.ManageAsApp", "Exchange.ManageAsAppV2", "Exchange.AdminAPI.ManageAsApp")
    ],
    "can-grant-itself-mail": [
        (alone("Root", graph=[value], entered=False), Measures(), [of("Root", "can-grant-itself-mail", "high", "high")])
        for value in (
            "AppRoleAssignment.ReadWrite.All", "Application.ReadWrite.All", "Directory.ReadWrite.All",
            "RoleManagement.ReadWrite.Directory",
        )
    ],
    "grant-on-soft-deleted-mailbox": [
        (
            granted("Desk", box={"kind": "soft-deleted"}),
            Measures(),
            [of("Desk", "grant-on-soft-deleted-mailbox", "low", "medium", BOX)],
        ),
    ],
    "too-many-mailboxes": [
        (
            tenant(*desk(full=["a@contoso.com", "b@contoso.com", "c@contoso.com"])),
            Measures(widest=2),
            [of("Desk", "too-many-mailboxes", "medium", "medium")],
        ),
        (
            tenant(*desk(full=[f"box{number}@contoso.com" for number in range(101)])),
            Measures(),
            [of("Desk", "too-many-mailboxes", "medium", "medium")],
        ),
    ],
    "granted-outside-exosp": [
        (granted("Desk", unique_name=""), Measures(), [of("Desk", "granted-outside-exosp", "info", "medium")]),
        (granted("Desk", unique_name="desk-exosp-"), Measures(), [of("Desk", "granted-outside-exosp", "info", "medium")]),
    ],
    "not-in-any-playbook": [
        (tenant(*desk(), wanted=()), Measures(), [of("Desk", "not-in-any-playbook", "low", "high")]),
        (
            tenant(*desk(), wanted=(want("other.yaml", "Other"),)),
            Measures(),
            [of("Desk", "not-in-any-playbook", "low", "high")],
        ),
    ],
    "playbook-drift": [
        (
            tenant(*desk(), wanted=(want("desk.yaml", "Desk", {BOX: {"imap"}}, drift=("a secret ends",)),)),
            Measures(),
            [Row("playbook-drift", "medium", "high", "playbook", "desk.yaml")],
        ),
        (
            tenant(*desk(), wanted=(want("desk.yaml", "Desk", {BOX: {"imap"}, "more@contoso.com": {"pop"}}),)),
            Measures(),
            [Row("playbook-drift", "medium", "high", "playbook", "desk.yaml")],
        ),
        (
            tenant(*desk(full=[BOX, "extra@contoso.com"]), wanted=(want("desk.yaml", "Desk", {BOX: {"imap"}}),)),
            Measures(),
            [Row("playbook-drift", "medium", "high", "playbook", "desk.yaml")],
        ),
        (
            tenant(*desk("SMTP.SendAsApp"), wanted=(want("desk.yaml", "Desk", {BOX: {"smtp"}, "more@contoso.com": {"smtp"}}),)),
            Measures(),
            [Row("playbook-drift", "medium", "high", "playbook", "desk.yaml")],
        ),
        (
            tenant(wanted=(want("new.yaml", "New", {BOX: {"imap"}}, drift=("everything",)),)),  # nothing of it is there
            Measures(),
            [Row("playbook-drift", "medium", "high", "playbook", "new.yaml")],
        ),
    ],
}  # fmt: skip

# check -> tenants right beside those, in which it finds nothing
NEAR: dict[str, list[tuple[Inventory, Measures]]] = {
    "wrong-object-id": [
        (granted("Desk", object_id=some_id("principal", "Desk").upper()), Measures()),
        (alone("Gone", registered=False, enterprise=False, object_id=WRONG), Measures()),
    ],
    "exchange-entry-orphaned": [
        (granted("Vendor", registered=False), Measures()),
        (alone("Half", enterprise=False), Measures()),
        (stray_app_id(), Measures()),
    ],
    "enterprise-application-missing": [
        (alone("Half", enterprise=False, entered=False), Measures()),
        (tenant(application("Half", enterprise=False, entered=False), wanted=(want("o.yaml", "Other"),)), Measures()),
    ],
    "entry-duplicated": [(twins_by_name(), Measures())],
    "consent-without-grant": [
        (granted("Desk"), Measures()),
        (alone("Sender", "SMTP.SendAsApp", roles=[role("Application SMTP.SendAsApp")]), Measures()),
        (alone("Reader", **read_mail()), Measures()),
    ],
    "grant-without-consent": [
        (granted("Desk"), Measures()),
        (tenant(*(box := desk("SMTP.SendAsApp", roles=[role("Application SMTP.SendAsApp")]))), Measures()),
        (tenant(rbac := application("Rbac", roles=[role("Application SMTP.SendAsApp")]), mailbox(BOX, full=[rbac])), Measures()),
        (tenant(app := application("Named"), mailbox(BOX, on_behalf=[app], inherited=[app], denied=[app])), Measures()),
    ],
    "unresolved-trustee": [
        (tenant(mailbox(BOX, grants=[Grant("FullAccess", SID, deny=True), Grant("FullAccess", SID, inherited=True)])), Measures()),
    ],
    "tenant-wide-mail-access": [
        (alone("Reader", **read_mail(), policies=[("restrict", "helpdesk")]), Measures()),
        (alone("Calendar", graph=["Calendars.Read"], entered=False), Measures()),
        (alone("Person", graph_everyone=["Mail.Read"], entered=False), Measures()),
        (alone("Scoped", roles=[role("Application Mail.Read")]), Measures()),
    ],
    "delegated-for-everyone": [
        (only_people_consented(), Measures()),
        (alone("Client", everyone=["User.Read"], entered=False), Measures()),
    ],
    "grant-to-privileged-mailbox": [
        (tenant(*desk(full=["ceo@contoso.com"])), Measures()),
        (tenant(*desk(full=["ceo@contoso.com.example"])), Measures(privileged=("ceo@contoso.com", "vip*"))),
        (
            tenant(app := application("Desk"), mailbox("ceo@contoso.com", on_behalf=[app], inherited=[app], denied=[app])),
            Measures(privileged=("ceo@*",)),
        ),
    ],
    "full-access-by-inheritance": [
        (granted("Desk"), Measures()),
        (tenant(mailbox(BOX, grants=[Grant("FullAccess", SID, inherited=True)])), Measures()),
    ],
    "send-as-without-need": [
        (
            tenant(app := application("Desk", *consents, graph=graph, roles=roles), mailbox(BOX, full=[app], send_as=[app])),
            Measures(),
        )
        for consents, graph, roles in (
            (["SMTP.SendAsApp"], [], []),
            (["full_access_as_app"], [], []),
            ([], ["Mail.Send"], []),
            ([], [], [role("Application Mail.Send")]),
            ([], [], [role("Application SMTP.SendAsApp")]),
            ([], [], [role("application ews.accessasapp")]),
        )
    ],
    "credential-expired": [(granted("Desk", **keys(certificate(days=1), federated())), Measures())],
    "credential-expiring": [
        (granted("Desk", **keys(certificate("soon", days=20), certificate("later", days=31))), Measures()),
        (granted("Desk", **keys(certificate("soon", days=20), federated())), Measures()),
        (granted("Desk", **keys(certificate("soon", days=20)), principal={"credentials": (certificate("own"),)}), Measures()),
        (granted("Desk", **keys(certificate("over", days=-1))), Measures()),
        (
            granted("Identity", registered=False, principal={"kind": "ManagedIdentity", "credentials": (certificate("azure", days=9),)}),
            Measures(),
        ),
    ],
    "credential-too-long-lived": [
        (granted("Desk", **keys(certificate("year", lasts=366))), Measures()),
        (granted("Desk", **keys(certificate("long", lasts=900, days=-1))), Measures()),
        (granted("Desk", **keys(replace(certificate("unknown", lasts=900), starts=None), federated())), Measures()),
    ],
    "secret-where-certificate-possible": [
        (granted("Desk", **keys(certificate(), federated(), secret("over", days=-1))), Measures()),
        (granted("Desk", **keys(certificate(), secret("later", days=300, lasts=100))), Measures()),  # it has not begun
    ],
    "several-live-secrets": [
        (granted("Desk", **keys(secret("one"), secret("two", days=-1), certificate())), Measures()),
    ],
    "credential-on-enterprise-application": [
        (granted("Desk", registered=False, principal={"kind": "ManagedIdentity", "credentials": (certificate(),)}), Measures()),
        (granted("Desk", principal={"credentials": (federated(), certificate(days=-1))}), Measures()),
    ],
    "owner-missing": [
        (granted("Desk", registration={"owners": None}), Measures()),
        (granted("Vendor", registered=False, principal={"owners": ()}), Measures()),
    ],
    "owner-disabled": [(granted("Desk", registration={"owners": (owner(), owner("bob", None))}), Measures())],
    "multi-tenant-without-need": [
        (alone("Public", registration={"audience": "AzureADMultipleOrgs"}), Measures()),
        (granted("Desk", registration={"audience": "AzureADMyOrg"}), Measures()),
        (
            tenant(
                *desk(registration={"audience": "AzureADMultipleOrgs"}),
                wanted=(want("desk.yaml", "Desk", {BOX: {"imap"}}, multi_tenant=True),),
            ),
            Measures(),
        ),
    ],
    "third-party-access": [
        (granted("Own", principal={"home": TENANT_ID.upper()}), Measures()),
        (granted("Microsoft", registered=False, principal={"home": MICROSOFT}), Measures()),
        (granted("Unknown", registered=False, principal={"home": ""}), Measures()),
        (alone("Vendor", registered=False, entered=False, principal={"home": OTHER}), Measures()),
        (replace(granted("Vendor", principal={"home": OTHER}), tenant_id=""), Measures()),
    ],
    "protocol-off-but-granted": [
        (granted("Desk", "IMAP.AccessAsApp", box={"pop": False, "smtp_auth_disabled": True}), Measures()),
        (granted("Desk", "SMTP.SendAsApp", box={"imap": False, "pop": False}), Measures()),
        (
            replace(granted("Desk", "SMTP.SendAsApp", box={"smtp_auth_disabled": None}), organization=replace(OFF, smtp_auth_disabled=None)),
            Measures(),
        ),
    ],
    "smtp-auth-tenant-wide": [
        (tenant(organization=replace(OFF, smtp_auth_disabled=None)), Measures()),
        (tenant(organization=OFF), Measures()),
    ],
    "smtp-auth-admits-passwords": [
        (tenant(*desk(), organization=replace(OFF, smtp_auth_disabled=False, password_smtp=True)), Measures()),
        (tenant(*desk(), organization=replace(OFF, smtp_auth_disabled=False, password_smtp=None, security_defaults=False)), Measures()),
        (
            tenant(*desk(box={"smtp_auth_disabled": None}), organization=replace(OFF, password_smtp=True, security_defaults=False)),
            Measures(),
        ),
    ],
    "smtp-mode-mixed": [
        (alone("Rbac", "IMAP.AccessAsApp", roles=[role("Application SMTP.SendAsApp")]), Measures()),
        (alone("Claim", "SMTP.SendAsApp", roles=[role("Application Mail.Send")]), Measures()),
    ],
    "rbac-scope-too-wide": [
        (
            alone("Narrow", roles=[
                role("Application Mail.Read", "group", "g"), role("Application Mail.Read", "unit", "u"),
                role("Application Mail.Read", "scope", "Helpdesk"), role("View-Only Recipients", "organization"),
            ]),
            Measures(),
        ),
    ],
    "rbac-scope-missing": [
        (alone("Found", roles=[role("Application Mail.Read", scope="HELPDESK")]), Measures()),
        (alone("Group", roles=[role("Application Mail.Read", "group", "Gone")]), Measures()),
        (tenant(application("New", roles=[role("Application Mail.Read", scope="New")]), scope("New")), Measures()),
    ],
    "access-policy-without-effect": [
        (alone("Reader", **read_mail(), policies=[("restrict", "helpdesk")]), Measures()),
        (alone("Old", "full_access_as_app", policies=[("deny", "board")]), Measures()),
    ],
    "unused-access": [
        (granted("Desk", used=AT - timedelta(days=90)), Measures()),
        (granted("Desk", used=None, consented=AT - timedelta(days=3)), Measures()),
        (granted("Desk", used=None, principal={"created": AT - timedelta(days=3)}), Measures()),
        (alone("Nothing", used=None), Measures()),
    ],
    "disabled-but-granted": [
        (alone("Nothing", principal={"enabled": False}), Measures()),
        (
            tenant(
                app := application("Looks", principal={"enabled": False}),
                mailbox(BOX, grants=[Grant("ReadPermission", "x", app.entry)]),
            ),
            Measures(),
        ),
        (tenant(app := application("Denied", principal={"enabled": False}), mailbox(BOX, denied=[app], full=[app])), Measures()),
    ],
    "manages-exchange": [(alone("Graph", graph=["Exchange.ManageAsApp"]), Measures())],
    "can-grant-itself-mail": [
        (alone("Owned", graph=["Application.ReadWrite.OwnedBy"]), Measures()),
        (alone("Exchange", "Application.ReadWrite.All"), Measures()),
    ],
    "grant-on-soft-deleted-mailbox": [
        (tenant(app := application("Desk"), mailbox(BOX, inherited=[app], denied=[app], kind="soft-deleted")), Measures()),
        (granted("Desk", box={"kind": "shared"}), Measures()),
    ],
    "too-many-mailboxes": [
        (tenant(*desk(full=["a@contoso.com", "b@contoso.com"])), Measures(widest=2)),
        (tenant(*(made := desk()), mailbox("a@contoso.com", inherited=[made[0]])), Measures(widest=1)),
    ],
    "granted-outside-exosp": [
        (granted("Desk", registered=False), Measures()),
        (alone("Desk", "IMAP.AccessAsApp", unique_name=""), Measures()),
        (tenant(*desk(unique_name=""), wanted=(want("desk.yaml", "Desk", {BOX: {"imap"}}),)), Measures()),
    ],
    "not-in-any-playbook": [
        (granted("Desk"), Measures()),
        (tenant(*desk(), wanted=(Wanted("d.yaml", "desk", unique_name="exosp-desk", mailboxes={BOX: frozenset({"imap"})}),)), Measures()),
        (tenant(application("Nothing"), wanted=()), Measures()),
    ],
    "playbook-drift": [
        (tenant(*desk(), wanted=(want("desk.yaml", "Desk", {BOX: {"imap"}}, drift=()),)), Measures()),
        (
            tenant(
                sender := application("Desk", "SMTP.SendAsApp"),
                mailbox(BOX, full=[sender]),
                mailbox("news@contoso.com", send_as=[sender]),
                wanted=(want("desk.yaml", "Desk", {BOX: {"smtp"}}, send_as=frozenset({"news@contoso.com"})),),
            ),
            Measures(),
        ),
        (
            tenant(
                application("Rbac", roles=[role("Application SMTP.SendAsApp")]),
                wanted=(want("rbac.yaml", "Rbac", {BOX: {"smtp"}}, smtp_by_rbac=True),),
            ),
            Measures(),
        ),
        (tenant(wanted=(want("new.yaml", "New", {BOX: {"imap"}}),)), Measures()),  # its application is not there
        (
            tenant(application("Desk"), mailbox(BOX, unread="timed out"), wanted=(want("desk.yaml", "Desk", {BOX: {"imap"}}),)),
            Measures(),
        ),
    ],
}  # fmt: skip


def test_a_tenant_in_order_gives_no_finding():
    """Otherwise the tenants below would show more than they are written for."""
    assert rows(granted("Desk")) == []
    assert (
        rows(tenant(*desk("IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp", full=[BOX, "a@contoso.com"]))) == []
    )
    assert rows(Inventory()) == []


def test_every_check_has_its_tenants():
    assert {check.name for check in CHECKS} == FOUND.keys() == NEAR.keys()


@pytest.mark.parametrize(
    ("check", "number"), [(check, number) for check, cases in FOUND.items() for number in range(len(cases))]
)
def test_it_finds_what_its_manual_says(check: str, number: int):
    """And no other check finds more there than is written down."""
    inventory, measures, expected = FOUND[check][number]
    assert rows(inventory, measures) == sorted(expected)
    assert check in {row.check for row in expected}


@pytest.mark.parametrize(
    ("check", "number"), [(check, number) for check, cases in NEAR.items() for number in range(len(cases))]
)
def test_it_finds_nothing_right_beside(check: str, number: int):
    inventory, measures = NEAR[check][number]
    assert check not in {row.check for row in rows(inventory, measures)}
