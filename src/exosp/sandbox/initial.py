"""What a tenant holds when it starts: the default one, or a YAML file of this form (every key optional)::

    cloud: global                     # whose shape the tenant has: global, gcc-high, dod, china
    licence: p1                       # Entra ID's; free: no sign-in activity, audits of seven days only
    security_defaults: false
    smtp_auth_disabled: true          # the tenant's own switch; true as in tenants made since January 2020
    authentication_policies:          # of Exchange; smtp: does it let SMTP AUTH take passwords
      - {name: No passwords, smtp: false, default: true}
    admin:                            # the application that AZURE_* names
      graph_roles: [Application.ReadWrite.OwnedBy, AppRoleAssignment.ReadWrite.All, Application.Read.All, Directory.Read.All]
      exchange_roles: [Exchange.ManageAsApp]
      directory_roles: [Exchange Administrator]   # or Global Reader, which only reads
      role_groups: [View-Only Organization Management]   # of Exchange; a management role's name stands for a group of it alone
    mailboxes:
      - support@contoso.com
      - {address: desk@contoso.com, kind: SharedMailbox, upn: d1@contoso.onmicrosoft.com, aliases: [help@contoso.com],
         name: Help Desk, soft_deleted: false, imap: true, pop: true, smtp_auth_disabled: null,
         attributes: {Department: Support, CustomAttribute1: mail-app},   # what a scope may filter by
         unresolved: [full_access, {right: send_as, sid: S-1-5-21-1-2-3-1234, deny: false, inherited: false}]}   # trustees that are gone
    groups:                           # of mailboxes and other groups; kind: DistributionGroup, SecurityGroup, Microsoft365Group
      - {address: senders@contoso.com, name: Senders, kind: DistributionGroup, members: [desk@contoso.com]}
    admin_units:                      # Entra's
      - {name: Branch, id: null, members: [desk@contoso.com]}
    management_scopes: [{name: Support only, filter: "Department -eq 'Support'"}]
    applications:
      - name: CRM
        app_id: null                  # drawn where it is not named
        unique_name: null
        created: 20                   # days ago; ``consented`` likewise, and the same where it is not named
        audience: AzureADMyOrg        # or AzureADMultipleOrgs, AzureADandPersonalMicrosoftAccount
        registration: present         # deleted (in the recycle bin), none (registered elsewhere: name its tenant in ``home``)
        enterprise: enabled           # disabled, deleted, none
        home: null
        roles: [IMAP.AccessAsApp]     # consented to, of Exchange Online; ``graph_roles`` of Microsoft Graph
        graph_roles: []
        delegated:                    # resource: graph, exchange; for: everyone, or persons' UPNs
          - {resource: graph, scopes: [Mail.Read], for: everyone}
        credentials:                  # start and end in days from now; kind: secret, certificate, federated; holder: application, enterprise
          - {kind: secret, name: by hand, start: -15, end: 150, holder: application}
        owners: [alex@contoso.com, {upn: gone@contoso.com, enabled: false}, {application: Provisioning}]
        exchange: right               # one entry, or a list of several: right, application, stranger, orphaned, none
        full_access: [desk@contoso.com]
        grants:                       # right: full_access, send_as, send_on_behalf, folder, read, or several of them
          - {mailbox: desk@contoso.com, right: [full_access, send_as], deny: false, inherited: false, entry: 0}
          - {mailbox: desk@contoso.com, right: folder, folder: Inbox, role: Reviewer}
        policy: {right: RestrictAccess, scope: senders@contoso.com, description: ""}   # or DenyAccess; or a list
        rbac:                         # of scope (a name; with ``filter`` it is made), group, unit: one, or none for everybody
          - {role: Application Mail.Read, scope: Support only, name: null}
        last_used: 3                  # days ago, for itself; null: never
        last_used_by_person: null
    managed_identities: [mail-worker] # of Azure workloads: service principals without an application; or mappings as above
    foreign_applications:             # of other tenants, for several: an administrator may consent to them here
      - {app_id: 1111…, name: ISV Mail, roles: [IMAP.AccessAsApp], secret_sha256: 9f86…, redirects: ["http://localhost"]}
      # what people sign in to: delegated permissions; ``consented``: here, for everybody, and to the roles (graph_roles too),
      # with directory_roles for the application itself
      - {app_id: 2222…, name: Partner, public: true, scopes: [Exchange.Manage], graph_scopes: [Application.ReadWrite.All], consented: true}
    users:                            # people; whoever owns a user mailbox is one without being named here
      - {upn: alex@contoso.com, name: Alex, password: null, enabled: true, full_access: [desk@contoso.com],
         send_as: [desk@contoso.com], directory_roles: [Global Administrator]}
      # a partner's person: the roles are those that a delegated (GDAP) relationship gives here; none: there is no relationship
      - {upn: joe@partner.example, home: 3333…, directory_roles: [Exchange Administrator]}

``secret_sha256``: as the other tenant's GET /state shows it. There is always an administrator, admin@ and the initial domain.
A person of ``users`` who owns no mailbox has an account all the same. ``password`` null, and that of everybody who is not
named: the one that the sandbox gives in EXOSP_SANDBOX_USER_PASSWORD; EXOSP_SANDBOX_USER names the first of ``users``, else
the first who owns a mailbox. Accounts of shared and group mailboxes are blocked, as the service makes them.
``kind``: UserMailbox, SharedMailbox, GroupMailbox, MailUser. ``exchange``: right (registered with the enterprise
application's object id), application (with the application's own, the classic mistake), stranger (with nobody's), orphaned
(the same, and the directory has neither application nor enterprise application), none. A deleted or absent enterprise
application leaves its entry behind, as tenants hold from the time when Exchange did not check. A person who consents, or owns
something, gets an account. A mailbox of ``soft_deleted`` may have a live one's address; a grant then means the live one.
"""

from dataclasses import replace
from typing import Any

import yaml

from . import catalog, mess, recipient_filter, situations
from .clouds import SHAPES
from .directory import digest, new_id
from .exchange import Mailbox
from .mailbox import welcome
from .people import User
from .rbac import GROUP_KINDS, Unit
from .tenant import Options, Tenant

# Least privilege of a whole apply (FACTS §6: POST applications and servicePrincipals; appRoleAssignedTo; EXO app-only), and
# what a whole audit reads besides (learn.microsoft.com/graph/api/oauth2permissiongrant-list).
ADMIN = {
    "graph_roles": [
        "Application.ReadWrite.OwnedBy",
        "AppRoleAssignment.ReadWrite.All",
        "Application.Read.All",
        "Directory.Read.All",
    ],
    "exchange_roles": ["Exchange.ManageAsApp"],
    "directory_roles": ["Exchange Administrator"],
    "role_groups": [],
}
DEFAULT: dict[str, Any] = {
    "mailboxes": ["support@contoso.com", "sales@contoso.com", "private@contoso.com"],
}
_MAILBOX = {
    "address",
    "kind",
    "upn",
    "aliases",
    "name",
    "soft_deleted",
    "imap",
    "pop",
    "smtp_auth_disabled",
    "attributes",
    "unresolved",
}
_GROUP = {"address", "name", "kind", "members"}
_UNIT = {"name", "id", "members"}
_USER = {"upn", "name", "password", "enabled", "full_access", "send_as", "directory_roles", "home"}
_UNRESOLVED = {"right", "sid", "deny", "inherited"}
_FOREIGN = {
    "app_id", "name", "roles", "secret_sha256", "redirects", "home", "public", "scopes", "graph_scopes", "consented",
    "graph_roles", "directory_roles",
}  # fmt: skip
_KINDS = ("UserMailbox", "SharedMailbox", "GroupMailbox", "MailUser")


# What is wrong with a tenant file, in one sentence.
TenantFileFault = situations.Fault


def parse(text: str) -> dict[str, Any]:
    """A tenant file's content. Raises TenantFileFault."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as fault:
        raise TenantFileFault(f"not YAML: {' '.join(str(fault).split())}") from None
    return check(data)


def check(data: Any) -> dict[str, Any]:
    """The same data, its keys known. Raises TenantFileFault."""
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise TenantFileFault("a tenant file is a mapping")
    _known("the tenant file", data, {
        "cloud", "licence", "security_defaults", "smtp_auth_disabled", "authentication_policies", "admin", "mailboxes",
        "applications", "users", "groups", "admin_units", "management_scopes", "managed_identities", "foreign_applications",
    })  # fmt: skip
    if data.get("cloud") is not None and data["cloud"] not in SHAPES:
        raise TenantFileFault(f"no cloud {data['cloud']!r}; there are: {', '.join(SHAPES)}")
    if data.get("licence", "p1") not in ("p1", "free"):
        raise TenantFileFault("licence is p1 or free")
    _known("admin", data.get("admin") or {}, set(ADMIN))
    for item in data.get("authentication_policies") or []:
        _known("an authentication policy", item, {"name", "smtp", "default"})
    for item in data.get("management_scopes") or []:
        _known("a management scope", item, {"name", "filter"})
    for item in data.get("mailboxes") or []:
        if isinstance(item, dict):
            _known("a mailbox", item, _MAILBOX)
        address = item.get("address") if isinstance(item, dict) else item
        if not isinstance(address, str) or "@" not in address:
            raise TenantFileFault(f"{address!r} is no mailbox address")
        if isinstance(item, dict) and item.get("kind", "UserMailbox") not in _KINDS:
            raise TenantFileFault(f"no mailbox kind {item['kind']!r}; there are: {', '.join(_KINDS)}")
        for name in (item.get("attributes") or {}) if isinstance(item, dict) else ():
            if name not in recipient_filter.PROPERTIES.values() or name == "MemberOfGroup":
                raise TenantFileFault(f"mailbox {address}: no attribute {name!r} that a scope could filter by")
        for trustee in (item.get("unresolved") or []) if isinstance(item, dict) else ():
            told = {"right": trustee} if isinstance(trustee, str) else trustee
            _known(f"mailbox {address}: an unresolved trustee", told, _UNRESOLVED)
            if told.get("right") not in ("full_access", "send_as", "read"):
                raise TenantFileFault(f"mailbox {address}: an unresolved trustee holds full_access, send_as or read")
    for item in data.get("groups") or []:
        _known("a group", item, _GROUP)
        if "@" not in str(item.get("address")) or item.get("kind", "DistributionGroup") not in GROUP_KINDS:
            raise TenantFileFault(f"a group has an address, and a kind of {', '.join(GROUP_KINDS)}")
    for item in data.get("admin_units") or []:
        _known("an administrative unit", item, _UNIT)
        if not isinstance(item.get("name"), str):
            raise TenantFileFault("an administrative unit has a name")
    for item in data.get("applications") or []:
        situations.check(item)
    for item in data.get("managed_identities") or []:
        situations.check({"name": item} if isinstance(item, str) else item)
    for item in data.get("foreign_applications") or []:
        _known("a foreign application", item, _FOREIGN)
        if not isinstance(item.get("app_id"), str) or len(item["app_id"]) != 36:
            raise TenantFileFault("a foreign application has an app_id")
    for item in data.get("users") or []:
        _known("a user", item, _USER)
        if not isinstance(item.get("upn"), str) or "@" not in item["upn"]:
            raise TenantFileFault("a user is a mapping with a upn")
        if not isinstance(item.get("password") or "", str):
            raise TenantFileFault(f"user {item['upn']}: a password is text, in quotes where it is a number")
    return data


def settled(options: Options, data: dict[str, Any] | None) -> Options:
    """The options with the cloud named: theirs, else the tenant file's, else global."""
    return replace(options, cloud=options.cloud or (data or {}).get("cloud") or "global")


def fits(tenant: Tenant, data: dict[str, Any] | None) -> None:
    """A tenant's cloud is chosen at the start, since clients hold its addresses. Raises TenantFileFault."""
    wanted = (data or {}).get("cloud") or tenant.shape.name
    if wanted != tenant.shape.name:
        raise TenantFileFault(f"this sandbox has the shape of {tenant.shape.name}: start another for {wanted}")


_known = situations.known


def furnish(tenant: Tenant, data: dict[str, Any] | None = None) -> None:
    """Fill a tenant that was just reset. Everything is long since replicated and in force."""
    content = DEFAULT if data is None else data
    catalog.install(tenant.directory)
    rights = ADMIN | (content.get("admin") or {})
    _admin(tenant, rights)
    tenant.directory.licence = content.get("licence", "p1")
    tenant.directory.security_defaults = bool(content.get("security_defaults", False))
    for item in content.get("authentication_policies") or []:
        tenant.exchange.add_authentication_policy(
            item["name"], smtp=bool(item.get("smtp", False)), default=bool(item.get("default", False))
        )
    if "smtp_auth_disabled" in content:
        tenant.exchange.transport_config["SmtpClientAuthenticationDisabled"] = bool(content["smtp_auth_disabled"])
    for item in content.get("mailboxes", DEFAULT["mailboxes"]):
        _mailbox(tenant, {"address": item} if isinstance(item, str) else item)
    tenant.exchange.add_crowd(tenant.options.mailboxes)
    catalog.add_service_principals(tenant.directory, tenant.options.service_principals, tenant.options.seed)
    for item in content.get("groups") or []:
        name = item.get("name") or item["address"].partition("@")[0]
        kind = item.get("kind", "DistributionGroup")
        tenant.exchange.add_group(item["address"], name, item.get("members") or [], kind)
    for item in content.get("admin_units") or []:
        members = frozenset(str(member).lower() for member in item.get("members") or [])
        tenant.exchange.units.append(Unit(item.get("id") or new_id(), item["name"], members))
    for item in content.get("management_scopes") or []:
        tenant.exchange.add_scope(item["name"], item["filter"])
    for item in content.get("foreign_applications") or []:
        try:
            catalog.add_foreign(tenant.directory, item)
        except KeyError as fault:
            raise TenantFileFault(f"a foreign application: there is no permission {fault}") from None
    _people(tenant, content.get("users") or [])
    for kind, items in (
        ("Application", content.get("applications")),
        ("ManagedIdentity", content.get("managed_identities")),
    ):
        for item in items or []:
            try:
                situations.Application(tenant, {"name": item} if isinstance(item, str) else item, kind=kind)
            except KeyError as fault:
                raise TenantFileFault(f"an application: {fault.args[0]}") from None
    planted = mess.provisioning(tenant, rights)
    if tenant.options.mess is not None:
        planted += mess.make(tenant, tenant.options.mess)
    tenant.planted = sorted(set(planted))


def _admin(tenant: Tenant, rights: dict[str, Any]) -> None:
    application, principal = catalog.add_application(
        tenant.directory,
        "Provisioning",
        app_id=tenant.admin_app_id,
        graph_roles=tuple(rights["graph_roles"]),
        exchange_roles=tuple(rights["exchange_roles"]),
    )
    assert principal is not None
    tenant.directory.directory_roles[principal.id] = set(rights["directory_roles"])
    tenant.exchange.role_groups[principal.id] = set(rights["role_groups"])
    catalog.add_secret(tenant.directory, application, "provisioning")
    row = application.properties["passwordCredentials"][0]
    row["hint"] = tenant.admin_secret[:3]
    application.secrets[row["keyId"]] = digest(tenant.admin_secret)


def _mailbox(tenant: Tenant, item: dict[str, Any]) -> None:
    switches = {
        "ImapEnabled": item.get("imap", True),
        "PopEnabled": item.get("pop", True),
        "SmtpClientAuthenticationDisabled": item.get("smtp_auth_disabled"),
    }
    mailbox = tenant.exchange.add_mailbox(
        item["address"],
        kind=item.get("kind", "UserMailbox"),
        upn=item.get("upn"),
        aliases=tuple(item.get("aliases") or ()),
        display_name=item.get("name"),
        soft_deleted=bool(item.get("soft_deleted", False)),
        attributes={name: str(value) for name, value in (item.get("attributes") or {}).items()},
        **switches,
    )
    mailbox.messages.append(welcome(item["address"], mailbox.properties["Guid"]))
    for trustee in item.get("unresolved") or []:
        _unresolved(tenant, mailbox, {"right": trustee} if isinstance(trustee, str) else trustee)


def _unresolved(tenant: Tenant, mailbox: Mailbox, told: dict[str, Any]) -> None:
    """A trustee that is gone: its entry stays, named by its SID alone."""
    draw = tenant.exchange.random
    sid = told.get("sid") or "S-1-5-21-" + "-".join(str(draw.getrandbits(bits)) for bits in (31, 31, 31, 20))
    if told["right"] == "send_as":
        tenant.exchange.add_send_as(mailbox, sid)
        return
    right = "FullAccess" if told["right"] == "full_access" else "ReadPermission"
    tenant.exchange.add_ace(mailbox, sid, [right], deny=bool(told.get("deny")), inherited=bool(told.get("inherited")))


def _people(tenant: Tenant, named: list[dict[str, Any]]) -> None:
    people, common = tenant.directory.people, digest(tenant.person_password)

    def account(mailbox: Mailbox) -> User:
        p, enabled = mailbox.properties, mailbox.kind in ("UserMailbox", "MailUser")
        return User(p["ExternalDirectoryObjectId"], p["UserPrincipalName"], p["DisplayName"], common, enabled)

    def beyond(name: str) -> User | None:
        """Of a numbered mailbox, by the account's id or UPN."""
        mailbox = tenant.exchange.crowd.find(name)
        user = None if mailbox is None else account(mailbox)
        return user if user is not None and name.lower() in user.trustees else None

    for mailbox in tenant.exchange.mailboxes:
        if not mailbox.soft_deleted and mailbox.crowd is None:
            user = account(mailbox)
            people.users[user.id] = user
    people.users.beyond = beyond
    for item in named:
        person = people.by_name(item["upn"])
        if person is None:
            person = User(new_id(), item["upn"], item.get("name") or item["upn"].partition("@")[0].title(), common)
            people.users[person.id] = person
        person.enabled = bool(item.get("enabled", True))
        person.home = str(item.get("home") or "").lower()
        if item.get("directory_roles"):
            tenant.directory.directory_roles[person.id] = set(item["directory_roles"])
        if item.get("password"):
            person.password = digest(item["password"])
        for right, key in (("FullAccess", "full_access"), ("SendAs", "send_as")):
            for address in item.get(key) or []:
                target = tenant.exchange.by_address(address)
                if target is None:
                    raise TenantFileFault(f"user {item['upn']}: no mailbox {address}")
                _grant(tenant, target, person, right)
    admin = people.by_name(f"admin@{tenant.domain}") or User(new_id(), f"admin@{tenant.domain}", "Admin", common)
    first = named[0]["upn"] if named else next((u.upn for u in people.users.values() if u.enabled), "")
    people.users[admin.id] = admin  # whoever made the tenant
    tenant.directory.directory_roles.setdefault(admin.id, {"Global Administrator"})
    numbered = tenant.exchange.crowd.address(0) if tenant.exchange.crowd.boxes else ""
    tenant.person = first or numbered or admin.upn


def _grant(tenant: Tenant, mailbox: Mailbox, person: User, right: str) -> None:
    if right == "FullAccess":
        tenant.exchange.add_ace(mailbox, person.upn, ["FullAccess"])
    else:
        tenant.exchange.add_send_as(mailbox, person.upn)
