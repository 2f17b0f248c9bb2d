"""What a tenant holds when it starts: the default one, or a YAML file of this form (every key optional)::

    cloud: global                     # whose shape the tenant has: global, gcc-high, dod, china
    smtp_auth_disabled: true          # the tenant's own switch; true as in tenants made since January 2020
    admin:                            # the application that AZURE_* names
      graph_roles: [Application.ReadWrite.OwnedBy, AppRoleAssignment.ReadWrite.All, Application.Read.All]
      exchange_roles: [Exchange.ManageAsApp]
      directory_roles: [Exchange Administrator]
    mailboxes:
      - support@contoso.com
      - {address: desk@contoso.com, kind: SharedMailbox, upn: d1@contoso.onmicrosoft.com, aliases: [help@contoso.com],
         name: Help Desk, soft_deleted: false, imap: true, pop: true, smtp_auth_disabled: null,
         attributes: {Department: Support, CustomAttribute1: mail-app}}   # what a scope may filter by
    groups:                           # of mailboxes and other groups; kind: DistributionGroup, SecurityGroup, Microsoft365Group
      - {address: senders@contoso.com, name: Senders, kind: DistributionGroup, members: [desk@contoso.com]}
    admin_units:                      # Entra's
      - {name: Branch, id: null, members: [desk@contoso.com]}
    managed_identities: [mail-worker] # of Azure workloads: service principals without an application
    applications:
      - {name: CRM, unique_name: null, roles: [IMAP.AccessAsApp], graph_roles: [], exchange: right, full_access: [desk@contoso.com]}
    foreign_applications:             # of other tenants, for several: an administrator may consent to them here
      - {app_id: 1111…, name: ISV Mail, roles: [IMAP.AccessAsApp], secret_sha256: 9f86…, redirects: ["http://localhost"]}
      # what people sign in to: delegated permissions; ``consented``: here, for everybody, and to the roles (graph_roles too),
      # with directory_roles for the application itself
      - {app_id: 2222…, name: Partner, public: true, scopes: [Exchange.Manage], graph_scopes: [Application.ReadWrite.All], consented: true}
    users:                            # people; whoever owns a user mailbox is one without being named here
      - {upn: alex@contoso.com, name: Alex, password: null, full_access: [desk@contoso.com], send_as: [desk@contoso.com],
         directory_roles: [Global Administrator]}
      # a partner's person: the roles are those that a delegated (GDAP) relationship gives here; none: there is no relationship
      - {upn: joe@partner.example, home: 3333…, directory_roles: [Exchange Administrator]}

``secret_sha256``: as the other tenant's GET /state shows it. There is always an administrator, admin@ and the initial domain.
A person of ``users`` who owns no mailbox has an account all the same. ``password`` null, and that of everybody who is not
named: the one that the sandbox gives in EXOSP_SANDBOX_USER_PASSWORD; EXOSP_SANDBOX_USER names the first of ``users``, else
the first who owns a mailbox. Accounts of shared and group mailboxes are blocked, as the service makes them.
``kind``: UserMailbox, SharedMailbox, GroupMailbox, MailUser. ``exchange``: right (registered with the enterprise
application's object id), application (with the application's own, the classic mistake), none.
"""

from dataclasses import replace
from typing import Any

import yaml

from . import catalog, mess, recipient_filter
from .clouds import SHAPES
from .directory import Entity, digest, new_id
from .exchange import Mailbox
from .people import User
from .rbac import GROUP_KINDS, Unit
from .tenant import Options, Tenant

# Least privilege of a whole apply (FACTS §6: POST applications and servicePrincipals; appRoleAssignedTo; EXO app-only).
ADMIN = {
    "graph_roles": ["Application.ReadWrite.OwnedBy", "AppRoleAssignment.ReadWrite.All", "Application.Read.All"],
    "exchange_roles": ["Exchange.ManageAsApp"],
    "directory_roles": ["Exchange Administrator"],
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
}
_GROUP = {"address", "name", "kind", "members"}
_UNIT = {"name", "id", "members"}
_APPLICATION = {"name", "unique_name", "roles", "graph_roles", "exchange", "full_access"}
_USER = {"upn", "name", "password", "full_access", "send_as", "directory_roles", "home"}
_FOREIGN = {
    "app_id", "name", "roles", "secret_sha256", "redirects", "home", "public", "scopes", "graph_scopes", "consented",
    "graph_roles", "directory_roles",
}  # fmt: skip
_KINDS = ("UserMailbox", "SharedMailbox", "GroupMailbox", "MailUser")


class TenantFileFault(ValueError):
    """What is wrong with a tenant file, in one sentence."""


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
        "cloud", "smtp_auth_disabled", "admin", "mailboxes", "applications", "users", "groups", "admin_units", "managed_identities",
        "foreign_applications",
    })  # fmt: skip
    if data.get("cloud") is not None and data["cloud"] not in SHAPES:
        raise TenantFileFault(f"no cloud {data['cloud']!r}; there are: {', '.join(SHAPES)}")
    _known("admin", data.get("admin") or {}, set(ADMIN))
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
    for item in data.get("groups") or []:
        _known("a group", item, _GROUP)
        if "@" not in str(item.get("address")) or item.get("kind", "DistributionGroup") not in GROUP_KINDS:
            raise TenantFileFault(f"a group has an address, and a kind of {', '.join(GROUP_KINDS)}")
    for item in data.get("admin_units") or []:
        _known("an administrative unit", item, _UNIT)
        if not isinstance(item.get("name"), str):
            raise TenantFileFault("an administrative unit has a name")
    for item in data.get("applications") or []:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            raise TenantFileFault("an application is a mapping with a name")
        _known(f"application {item['name']}", item, _APPLICATION)
        if item.get("exchange", "none") not in ("right", "application", "none"):
            raise TenantFileFault("exchange is right, application or none")
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


def _known(where: str, data: Any, keys: set[str]) -> None:
    if not isinstance(data, dict):
        raise TenantFileFault(f"{where} is a mapping")
    strange = sorted(str(key) for key in set(data) - keys)
    if strange:
        raise TenantFileFault(f"{where} knows no {', '.join(strange)}; there are: {', '.join(sorted(keys))}")


def furnish(tenant: Tenant, data: dict[str, Any] | None = None) -> None:
    """Fill a tenant that was just reset. Everything is long since replicated and in force."""
    content = DEFAULT if data is None else data
    catalog.install(tenant.directory)
    _admin(tenant, ADMIN | (content.get("admin") or {}))
    if "smtp_auth_disabled" in content:
        tenant.exchange.transport_config["SmtpClientAuthenticationDisabled"] = bool(content["smtp_auth_disabled"])
    for item in content.get("mailboxes", DEFAULT["mailboxes"]):
        _mailbox(tenant, {"address": item} if isinstance(item, str) else item)
    for number in range(tenant.options.mailboxes):
        _mailbox(tenant, {"address": f"box{number:05d}@contoso.com"})
    catalog.add_service_principals(tenant.directory, tenant.options.service_principals, tenant.options.seed)
    for item in content.get("applications") or []:
        _application(tenant, item)
    for item in content.get("groups") or []:
        name = item.get("name") or item["address"].partition("@")[0]
        kind = item.get("kind", "DistributionGroup")
        tenant.exchange.add_group(item["address"], name, item.get("members") or [], kind)
    for item in content.get("admin_units") or []:
        members = frozenset(str(member).lower() for member in item.get("members") or [])
        tenant.exchange.units.append(Unit(item.get("id") or new_id(), item["name"], members))
    for name in content.get("managed_identities") or []:
        catalog.add_managed_identity(tenant.directory, str(name))
    for item in content.get("foreign_applications") or []:
        try:
            catalog.add_foreign(tenant.directory, item)
        except KeyError as fault:
            raise TenantFileFault(f"a foreign application: there is no permission {fault}") from None
    _people(tenant, content.get("users") or [])
    if tenant.options.mess is not None:
        mess.make(tenant, tenant.options.mess)


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
    text = (
        f"From: Contoso IT <it@contoso.com>\r\nTo: {item['address']}\r\nSubject: Welcome to your mailbox\r\n"
        f"Message-ID: <welcome-{mailbox.properties['Guid']}@contoso.com>\r\nDate: Mon, 05 Jan 2026 09:00:00 +0000\r\n\r\n"
        "This mailbox lives in an emulated tenant.\r\n"
    )
    mailbox.messages.append({"uid": 1, "raw": text.encode()})


def _application(tenant: Tenant, item: dict[str, Any]) -> None:
    application, principal = catalog.add_application(
        tenant.directory,
        item["name"],
        unique_name=item.get("unique_name"),
        exchange_roles=tuple(item.get("roles") or ()),
        graph_roles=tuple(item.get("graph_roles") or ()),
    )
    assert principal is not None
    if item.get("exchange", "none") == "none":
        return
    holder: Entity = principal if item["exchange"] == "right" else application
    entry = tenant.exchange.add_service_principal(str(application.properties["appId"]), holder.id, item["name"])
    for address in item.get("full_access") or []:
        mailbox = tenant.exchange.by_address(address)
        if mailbox is None:
            raise TenantFileFault(f"application {item['name']}: no mailbox {address}")
        tenant.exchange.add_permission(mailbox, entry)


def _people(tenant: Tenant, named: list[dict[str, Any]]) -> None:
    people, common = tenant.directory.people, digest(tenant.person_password)
    for mailbox in tenant.exchange.mailboxes:
        p = mailbox.properties
        if not mailbox.soft_deleted:
            enabled = mailbox.kind in ("UserMailbox", "MailUser")
            user = User(p["ExternalDirectoryObjectId"], p["UserPrincipalName"], p["DisplayName"], common, enabled)
            people.users[user.id] = user
    for item in named:
        person = people.by_name(item["upn"])
        if person is None:
            person = User(new_id(), item["upn"], item.get("name") or item["upn"].partition("@")[0].title(), common)
            people.users[person.id] = person
        person.enabled, person.home = True, str(item.get("home") or "").lower()
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
    people.users[admin.id] = admin  # whoever made the tenant
    tenant.directory.directory_roles.setdefault(admin.id, {"Global Administrator"})
    first = named[0]["upn"] if named else next((u.upn for u in people.users.values() if u.enabled), "")
    tenant.person = first


def _grant(tenant: Tenant, mailbox: Mailbox, person: User, right: str) -> None:
    if right == "FullAccess":
        tenant.exchange.add_ace(mailbox, person.upn, ["FullAccess"])
    else:
        tenant.exchange.add_send_as(mailbox, person.upn)
