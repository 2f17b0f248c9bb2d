"""What administrators' hands leave behind, drawn from one seed: applications that are as they should be, applications with one
thing or several that an audit must find, near misses of these, stale entries, switches in any position. Nothing of it is a
playbook's own, and nobody who provisions may lose any of it.

Each plant states which findings it causes: the check's name, then whom it is about. ``Tenant.planted`` is the whole list,
consequences of the tenant's own switches and of its provisioning application included; GET /planted serves it. It is what an
audit finds that is given no playbook, goes by PRIVILEGED, calls a credential of 30 days expiring and one of more than 366
long-lived, an access of 90 days unused, and more than 100 mailboxes too many.

Sources of the kinds: office-developer-exchange-docs PR 304 and PR 332 (the application's object id in Exchange), Get-MailboxPermission's help
(-IncludeUnresolvedPermissions: entries of trustees that are gone), and registrations that share a display name.
"""

import random
from collections.abc import Callable
from typing import Any

from . import rbac
from .exchange import Mailbox
from .situations import Application
from .tenant import Tenant

Spec = dict[str, Any]
Cause = tuple[
    str, str, str
]  # the check, whom it is about (a word below, or an id), the mailbox ("BOX": the application's own)
PRIVILEGED = ("ceo@*", "board*@*")

# Words that a plant names its subject by, before there are ids: the appId, the object ID of the first and of the second
# entry in Exchange, the SID that the first one leaves behind.
APP, ENTRY, SECOND, SID, BOX = "APP", "ENTRY", "SECOND", "SID", "BOX"

_NAMES = ("Support Desk Mail", "Ticket Import", "Backup", "Scanner", "CRM Sync", "Archive Reader", "Old Mailer", "Invoices",
          "Door Bell", "Payroll", "O'Hara Import", "Signatures & Co", "Fax Gateway", "Newsletter")  # fmt: skip
_DEPARTMENTS = (
    "accounts",
    "billing",
    "claims",
    "dispatch",
    "events",
    "facilities",
    "grants",
    "hiring",
    "intake",
    "jobs",
)
_STAFF = ("alex@contoso.com", "kim@contoso.com", "robin@contoso.com")
_CERTIFICATE = {"kind": "certificate", "start": -40, "end": 325}
_FOREIGN = "5d1b1c5e-7e0f-4a39-9a55-0d6f1f2f9b11"  # somebody's tenant
_MICROSOFT = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"


class Mess:
    """One tenant and the draws for it."""

    def __init__(self, tenant: Tenant, seed: int) -> None:
        self.tenant, self.exchange = tenant, tenant.exchange
        self.draw = random.Random(f"mess-{seed}")  # noqa: S311 - a seeded emulator, not a secret
        self.made = 0
        self.after: Callable[[Application], None] = lambda app: None

    def mailbox(self, local: str = "", **settings: Any) -> str:
        """The address of a new mailbox; of the one that stands where ``local`` names one."""
        self.made += 1
        address = f"{local or f'{self.draw.choice(_DEPARTMENTS)}{self.made}'}@contoso.com"
        if self.exchange.by_address(address) is None:
            self.exchange.add_mailbox(address, kind="SharedMailbox", **settings)
        return address

    def group(self) -> str:
        self.made += 1
        address = f"readers{self.made}@contoso.com"
        self.exchange.add_group(address, f"Readers {self.made}", [])
        return address

    def scope(self) -> Spec:
        """A management scope of its own, as a role's keys name one."""
        self.made += 1
        return {"scope": f"Scope {self.made}", "filter": f"Department -eq 'D{self.made}'"}

    def one(self, *words: Any) -> Any:
        return self.draw.choice(words)


def clean(mess: Mess, name: str) -> Spec:
    """An application that no check speaks of: made by exosp, one owner, a certificate of a year, used lately, with consent and
    a grant on one mailbox of its own. Of the younger ones the audit logs still know."""
    mess.made += 1
    slug = "".join(c for c in name.lower() if c.isalnum())
    return {
        "name": name, "unique_name": f"exosp-{slug}-{mess.made}", "created": mess.one(3, 10, 25, 200), "roles": ["IMAP.AccessAsApp"], "graph_roles": [],
        "credentials": [_CERTIFICATE], "owners": [mess.draw.choice(_STAFF)], "exchange": "right", "last_used": 2,
        "grants": [{"mailbox": mess.mailbox()}],
    }  # fmt: skip


def _own(mess: Mess, spec: Spec) -> Mailbox:
    found = mess.exchange.by_address(spec["grants"][0]["mailbox"])
    assert found is not None
    return found


# Plants: each changes one clean application, and states what is found of it then.


def wrong_object_id(mess: Mess, spec: Spec) -> list[Cause]:
    spec["exchange"] = mess.one("application", "stranger")
    return [("wrong-object-id", ENTRY, "")]


def orphaned(mess: Mess, spec: Spec) -> list[Cause]:
    spec |= {"exchange": "orphaned", "roles": [], "grants": []}
    return [("exchange-entry-orphaned", ENTRY, "")]


def orphaned_with_grants(mess: Mess, spec: Spec) -> list[Cause]:
    spec |= {"exchange": "orphaned", "roles": []}
    return [("exchange-entry-orphaned", ENTRY, ""), ("grant-without-consent", APP, "")]


def enterprise_missing(mess: Mess, spec: Spec) -> list[Cause]:
    spec |= {"enterprise": mess.one("none", "deleted"), "grants": []}
    return [("enterprise-application-missing", APP, "")]


def enterprise_missing_with_grants(mess: Mess, spec: Spec) -> list[Cause]:
    spec["enterprise"] = mess.one("none", "deleted")
    return [("enterprise-application-missing", APP, ""), ("grant-without-consent", APP, "")]


def entry_duplicated(mess: Mess, spec: Spec) -> list[Cause]:
    spec["exchange"] = ["right", mess.one("application", "stranger")]
    return [("entry-duplicated", APP, ""), ("wrong-object-id", SECOND, "")]


def entry_removed(mess: Mess, spec: Spec) -> list[Cause]:
    """Its grants stay, as a SID that nobody resolves."""
    mess.after = lambda app: app.exchange.remove_service_principal(app.entries[0])
    return [("unresolved-trustee", SID, ""), ("consent-without-grant", APP, "")]


def consent_without_grant(mess: Mess, spec: Spec) -> list[Cause]:
    spec |= {
        "exchange": mess.one("right", "none"),
        "grants": [],
        "roles": [mess.one("IMAP.AccessAsApp", "POP.AccessAsApp")],
    }
    return [("consent-without-grant", APP, "")]


def grant_without_consent(mess: Mess, spec: Spec) -> list[Cause]:
    spec["roles"] = []
    return [("grant-without-consent", APP, "")]


def tenant_wide(mess: Mess, spec: Spec) -> list[Cause]:
    spec[mess.one("roles", "graph_roles")].append(mess.one("Mail.Read", "Mail.ReadWrite", "Mail.Send"))
    return [("tenant-wide-mail-access", APP, "")]


def tenant_wide_for_ews(mess: Mess, spec: Spec) -> list[Cause]:
    """A policy that denies some mailboxes leaves all the others."""
    spec["roles"].append("full_access_as_app")
    spec["policy"] = {"right": "DenyAccess", "scope": mess.group()}
    return [("tenant-wide-mail-access", APP, "")]


def managed_identity(mess: Mess, spec: Spec) -> list[Cause]:
    spec |= {"kind": "ManagedIdentity", "roles": [], "graph_roles": ["Mail.Read"], "exchange": "none", "grants": [], "owners": [],
             "credentials": [], "unique_name": None}  # fmt: skip
    return [("tenant-wide-mail-access", APP, "")]


def restricted(mess: Mess, spec: Spec) -> list[Cause]:
    spec["graph_roles"] = ["Mail.Read"]
    spec["policy"] = {"right": "RestrictAccess", "scope": mess.group()}
    return []


def delegated_for_everyone(mess: Mess, spec: Spec) -> list[Cause]:
    resource, scope = mess.one(("graph", "Mail.Read"), ("graph", "Mail.Send"), ("exchange", "IMAP.AccessAsUser.All"))
    spec["delegated"] = [{"resource": resource, "scopes": [scope], "for": "everyone"}]
    return [("delegated-for-everyone", APP, "")]


def delegated_for_some(mess: Mess, spec: Spec) -> list[Cause]:
    spec["delegated"] = [
        {"resource": "graph", "scopes": ["Mail.Read"], "for": [_STAFF[0]]},
        {"resource": "graph", "scopes": ["User.Read", "openid"], "for": "everyone"},
    ]
    return []


def privileged(mess: Mess, spec: Spec) -> list[Cause]:
    box = mess.mailbox(mess.one("ceo", "board.secretary"))
    spec["grants"].append({"mailbox": box})
    return [("grant-to-privileged-mailbox", APP, box)]


def inheritance(mess: Mess, spec: Spec) -> list[Cause]:
    spec["grants"].append({"mailbox": mess.mailbox(), "inherited": True})
    return [("full-access-by-inheritance", APP, "")]


def send_as(mess: Mess, spec: Spec) -> list[Cause]:
    spec["grants"].append({**spec["grants"][0], "right": "send_as"})
    return [("send-as-without-need", APP, "")]


def send_as_with_need(mess: Mess, spec: Spec) -> list[Cause]:
    spec["roles"].append("SMTP.SendAsApp")
    spec["grants"].append({**spec["grants"][0], "right": "send_as"})
    _own(mess, spec).cas["SmtpClientAuthenticationDisabled"] = False
    return []


def protocol_off(mess: Mess, spec: Spec) -> list[Cause]:
    role, switch = mess.one(("IMAP.AccessAsApp", "ImapEnabled"), ("POP.AccessAsApp", "PopEnabled"))
    spec["roles"] = [role]
    _own(mess, spec).cas[switch] = False
    return [("protocol-off-but-granted", APP, BOX)]


def smtp_off(mess: Mess, spec: Spec) -> list[Cause]:
    spec["roles"] = ["SMTP.SendAsApp"]
    _own(mess, spec).cas["SmtpClientAuthenticationDisabled"] = True
    return [("protocol-off-but-granted", APP, BOX)]


def other_protocol_off(mess: Mess, spec: Spec) -> list[Cause]:
    _own(mess, spec).cas |= {"PopEnabled": False, "SmtpClientAuthenticationDisabled": True}
    return []


def smtp_mode_mixed(mess: Mess, spec: Spec) -> list[Cause]:
    spec |= {"roles": ["SMTP.SendAsApp"], "rbac": [{"role": rbac.SMTP, **mess.scope()}]}
    _own(mess, spec).cas["SmtpClientAuthenticationDisabled"] = False
    return [("smtp-mode-mixed", APP, "")]


def smtp_by_role(mess: Mess, spec: Spec) -> list[Cause]:
    spec |= {"roles": [], "grants": [], "rbac": [{"role": rbac.SMTP, **mess.scope()}]}
    return []


def rbac_too_wide(mess: Mess, spec: Spec) -> list[Cause]:
    spec["rbac"] = [{"role": mess.one("Application Mail.Read", "Application Mail.Send", "Application EWS.AccessAsApp")}]
    return [("rbac-scope-too-wide", APP, "")]


def rbac_scope_missing(mess: Mess, spec: Spec) -> list[Cause]:
    spec["rbac"] = [{"role": "Application Mail.Read", "scope": f"Long gone {mess.made}"}]
    return [("rbac-scope-missing", APP, "")]


def rbac_scoped(mess: Mess, spec: Spec) -> list[Cause]:
    spec["rbac"] = [
        {"role": "Application Mail.Read", **mess.scope()},
        {"role": "Application Mail.Send", "group": mess.group()},
    ]
    return []


def policy_without_effect(mess: Mess, spec: Spec) -> list[Cause]:
    spec["policy"] = {"right": mess.one("RestrictAccess", "DenyAccess"), "scope": mess.group()}
    return [("access-policy-without-effect", APP, "")]


def manages_exchange(mess: Mess, spec: Spec) -> list[Cause]:
    spec["roles"].append(mess.one("Exchange.ManageAsApp", "Exchange.ManageAsAppV2"))
    return [("manages-exchange", APP, "")]


def grants_itself(mess: Mess, spec: Spec) -> list[Cause]:
    spec["graph_roles"].append(mess.one(*sorted(_GRANTS_ITSELF)))
    return [("can-grant-itself-mail", APP, "")]


def soft_deleted(mess: Mess, spec: Spec) -> list[Cause]:
    mess.made += 1
    box = f"left{mess.made}@contoso.com"
    mess.exchange.add_mailbox(box, soft_deleted=True)
    spec["grants"].append({"mailbox": box})
    return [("grant-on-soft-deleted-mailbox", APP, box)]


def too_many(mess: Mess, spec: Spec) -> list[Cause]:
    boxes = mess.exchange.add_crowd(100)
    spec["grants"] += [{"mailbox": mess.exchange.crowd.address(box.number)} for box in boxes]
    return [("too-many-mailboxes", APP, "")]


def third_party(mess: Mess, spec: Spec) -> list[Cause]:
    spec |= {"registration": "none", "home": _FOREIGN, "owners": [], "credentials": [], "unique_name": None}
    return [("third-party-access", APP, "")]


def microsofts_own(mess: Mess, spec: Spec) -> list[Cause]:
    spec |= {"registration": "none", "home": _MICROSOFT, "owners": [], "credentials": [], "unique_name": None}
    return []


def other_rights(mess: Mess, spec: Spec) -> list[Cause]:
    """A Deny of it elsewhere, a right to read permissions, a reviewer of a folder: none of them opens a mailbox."""
    spec["grants"] += [{"mailbox": mess.mailbox(), "deny": True}, {"mailbox": mess.mailbox(), "right": "read"}]
    spec["grants"].append({**spec["grants"][0], "right": "folder", "folder": "Inbox"})
    return []


def several_mailboxes(mess: Mess, spec: Spec) -> list[Cause]:
    spec["grants"] += (
        [{"mailbox": mess.mailbox()}, {"mailbox": mess.mailbox("support")}]
        if _imap(mess)
        else [{"mailbox": mess.mailbox()}]
    )
    return []


def _imap(mess: Mess) -> bool:
    box = mess.exchange.by_address("support@contoso.com")
    return box is not None and bool(box.cas["ImapEnabled"])


# Plants that go with another one: what they change, no other looks at.


def expired(mess: Mess, spec: Spec) -> list[Cause]:
    spec["credentials"] = [*spec["credentials"], {"kind": mess.one("secret", "certificate"), "start": -300, "end": -10}]
    return [("credential-expired", APP, "")]


def expiring(mess: Mess, spec: Spec) -> list[Cause]:
    spec["credentials"] = [{**_CERTIFICATE, "start": -300, "end": 12}]
    return [("credential-expiring", APP, "")]


def followed(mess: Mess, spec: Spec) -> list[Cause]:
    spec["credentials"] = [{**_CERTIFICATE, "start": -300, "end": 12}, _CERTIFICATE]
    return []


def too_long(mess: Mess, spec: Spec) -> list[Cause]:
    spec["credentials"] = [{**_CERTIFICATE, "start": -10, "end": 720}]
    return [("credential-too-long-lived", APP, "")]


def secret(mess: Mess, spec: Spec) -> list[Cause]:
    spec["credentials"] = [{"kind": "secret", "start": -40, "end": 150}]
    return [("secret-where-certificate-possible", APP, "")]


def long_secret(mess: Mess, spec: Spec) -> list[Cause]:
    spec["credentials"] = [{"kind": "secret", "start": -40, "end": 700}]
    return [("secret-where-certificate-possible", APP, ""), ("credential-too-long-lived", APP, "")]


def secrets(mess: Mess, spec: Spec) -> list[Cause]:
    spec["credentials"] = [{"kind": "secret", "start": -40, "end": 150}, {"kind": "secret", "start": -20, "end": 160}]
    return [("several-live-secrets", APP, ""), ("secret-where-certificate-possible", APP, "")]


def on_enterprise(mess: Mess, spec: Spec) -> list[Cause]:
    spec["credentials"] = [_CERTIFICATE, {**_CERTIFICATE, "holder": "enterprise"}]
    return [("credential-on-enterprise-application", APP, "")]


def federated(mess: Mess, spec: Spec) -> list[Cause]:
    spec["credentials"] = [{"kind": "federated"}]
    return []


def owner_missing(mess: Mess, spec: Spec) -> list[Cause]:
    spec["owners"] = []
    return [("owner-missing", APP, "")]


def owner_disabled(mess: Mess, spec: Spec) -> list[Cause]:
    spec["owners"] = [
        *spec["owners"][: mess.one(0, 1)],
        {"upn": f"left{mess.made}@contoso.onmicrosoft.com", "enabled": False},
    ]
    return [("owner-disabled", APP, "")]


def owner_is_application(mess: Mess, spec: Spec) -> list[Cause]:
    spec["owners"] = [{"application": "Provisioning"}]
    return []


def multi_tenant(mess: Mess, spec: Spec) -> list[Cause]:
    spec["audience"] = mess.one("AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount")
    return [("multi-tenant-without-need", APP, "")]


def unused(mess: Mess, spec: Spec) -> list[Cause]:
    spec |= {"created": 400, "last_used": mess.one(None, 200), "last_used_by_person": mess.one(None, 3)}
    return [("unused-access", APP, "")]


def disabled(mess: Mess, spec: Spec) -> list[Cause]:
    spec["enterprise"] = "disabled"
    return [("disabled-but-granted", APP, "")]


def by_hand(mess: Mess, spec: Spec) -> list[Cause]:
    spec["unique_name"] = mess.one(None, "contoso-mail-{0}".replace("{0}", str(mess.made)))
    return [("granted-outside-exosp", APP, "")]


Plant = Callable[[Mess, Spec], list[Cause]]
# Those beside which an application is still one of this tenant's, holds something, and has a grant.
CORE: tuple[Plant, ...] = (
    wrong_object_id, entry_duplicated, grant_without_consent, tenant_wide, tenant_wide_for_ews, restricted, delegated_for_everyone,
    delegated_for_some, privileged, inheritance, send_as, send_as_with_need, protocol_off, smtp_off, other_protocol_off,
    smtp_mode_mixed, rbac_too_wide, rbac_scope_missing, rbac_scoped, policy_without_effect, manages_exchange, grants_itself,
    soft_deleted, too_many, other_rights, several_mailboxes,
)  # fmt: skip
ALONE: tuple[Plant, ...] = (
    orphaned, orphaned_with_grants, enterprise_missing, enterprise_missing_with_grants, entry_removed, consent_without_grant,
    managed_identity, third_party, microsofts_own, smtp_by_role,
)  # fmt: skip
BESIDES: tuple[tuple[Plant, ...], ...] = (
    (expired, expiring, followed, too_long, secret, long_secret, secrets, on_enterprise, federated),
    (owner_missing, owner_disabled, owner_is_application), (multi_tenant,), (unused,), (disabled,), (by_hand,),
)  # fmt: skip

# With one of these an application can consent to mail for itself, or manage Exchange.
_GRANTS_ITSELF = {
    "AppRoleAssignment.ReadWrite.All", "Application.ReadWrite.All", "Directory.ReadWrite.All", "RoleManagement.ReadWrite.Directory",
}  # fmt: skip
_EVERY_MAILBOX = {"full_access_as_app", "Mail.Read", "Mail.ReadWrite", "Mail.Send", "Mail.ReadBasic.All"}
_MANAGES = {"Exchange.ManageAsApp", "Exchange.ManageAsAppV2", "Exchange.AdminAPI.ManageAsApp"}


def provisioning(tenant: Tenant, rights: dict[str, Any]) -> list[Cause]:
    """What an audit says of the application that AZURE_* names: a secret, no owner, and its powers. Of one without any that
    touch mail it says nothing."""
    app, exchange, graph = tenant.admin_app_id.lower(), set(rights["exchange_roles"]), set(rights["graph_roles"])
    powers = (
        ("manages-exchange", exchange & _MANAGES),
        ("can-grant-itself-mail", graph & _GRANTS_ITSELF),
        ("tenant-wide-mail-access", (exchange & _EVERY_MAILBOX) | (graph & (_EVERY_MAILBOX - {"full_access_as_app"}))),
        ("consent-without-grant", exchange & {"IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"}),
    )
    found = [(check, app, "") for check, held in powers if held]
    return [*found, ("owner-missing", app, ""), ("secret-where-certificate-possible", app, "")] if found else []


def make(tenant: Tenant, seed: int) -> list[Cause]:
    """Fill a furnished tenant with what others did, long ago and in force; what an audit finds of it."""
    mess = Mess(tenant, seed)
    draw, exchange = mess.draw, tenant.exchange
    named = [box for box in exchange.mailboxes if box.kind in ("UserMailbox", "SharedMailbox") and not box.soft_deleted]
    found = _boxes(mess, [box for box in named if box.crowd is None or box.number < 10])
    # Exchange's own switches: passwords at SMTP AUTH are let in where no default policy says otherwise.
    off = draw.random() < 0.7
    exchange.transport_config["SmtpClientAuthenticationDisabled"] = off
    passwords = draw.random() < 0.4
    if not passwords:
        exchange.add_authentication_policy("No passwords", smtp=False, default=True)
    elif draw.random() < 0.5:
        exchange.add_authentication_policy("Old clients", smtp=True, default=True)
    names = [*_NAMES]
    draw.shuffle(names)
    for number in range(draw.randint(6, 10)):
        name = names[number]
        found += _application(mess, name, _plants(draw, number))
    if draw.random() < 0.3:  # two of one name, as portals allow
        found += _application(mess, names[0], [])
    if not off:
        found.append(("smtp-auth-tenant-wide", "tenant", ""))
    if passwords and not off:
        found.append(("smtp-auth-admits-passwords", "tenant", ""))
    if passwords:
        found += [
            ("smtp-auth-admits-passwords", str(box.properties["ExternalDirectoryObjectId"]), "")
            for box in exchange.mailboxes
            if box.granted
            and not box.soft_deleted
            and box.cas["SmtpClientAuthenticationDisabled"] is False
            and _held(tenant, box)
        ]
    return found


def _plants(draw: random.Random, number: int) -> list[Plant]:
    """Now and then an application is clean; every fourth has a plant that stands alone."""
    if number == 0:
        return []
    if number % 4 == 1:
        return [draw.choice(ALONE)]
    core = draw.choice(CORE)
    if core is too_many and draw.random() < 0.5:
        core = other_rights
    groups = [group for group in BESIDES if draw.random() < 0.2]
    return [*([core] if draw.random() < 0.8 else []), *(draw.choice(group) for group in groups)]


def _application(mess: Mess, name: str, plants: list[Plant]) -> list[Cause]:
    spec = clean(mess, name)
    box = str(spec["grants"][0]["mailbox"])
    mess.after = lambda app: None
    causes = [cause for plant in plants for cause in plant(mess, spec)]
    app = Application(mess.tenant, spec, kind=spec.pop("kind", "Application"))
    words = {APP: app.app_id, BOX: box}
    for word, entry in zip((ENTRY, SECOND), app.entries, strict=False):
        words[word] = str(entry["ObjectId"])
    if app.entries:
        words[SID] = str(app.entries[0]["_sid"])
    mess.after(app)
    return [(check, words.get(subject, subject), words.get(mailbox, mailbox)) for check, subject, mailbox in causes]


def _boxes(mess: Mess, boxes: list[Mailbox]) -> list[Cause]:
    """Switches in any position, people's grants, and trustees that are gone: their entries stay, named by their SIDs alone."""
    found: list[Cause] = []
    draw = mess.draw
    for box in boxes:
        if draw.random() < 0.4:
            box.cas["ImapEnabled"] = draw.random() < 0.5
            box.cas["PopEnabled"] = draw.random() < 0.5
        box.cas["SmtpClientAuthenticationDisabled"] = draw.choice([None, None, True, False])
        if draw.random() < 0.3:
            gone = (
                f"S-1-5-21-{draw.getrandbits(31)}-{draw.getrandbits(31)}-{draw.getrandbits(31)}-{draw.getrandbits(20)}"
            )
            denied = draw.random() < 0.2
            mess.exchange.add_ace(box, gone, ["FullAccess"], deny=denied)
            if denied:
                box.cas["SmtpClientAuthenticationDisabled"] = None
            else:
                found.append(("unresolved-trustee", gone, ""))
        if draw.random() < 0.3:
            mess.exchange.add_ace(box, draw.choice(boxes).properties["UserPrincipalName"], ["FullAccess"])
    return found


def _held(tenant: Tenant, box: Mailbox) -> bool:
    """Whether an application, or a trustee that nobody resolves, holds something there."""
    people = tenant.directory.people
    trustees = {str(row["_trustee"]) for row in (*box.permissions, *box.recipient_permissions)} - {""}
    return any(people.by_name(trustee) is None for trustee in trustees)
