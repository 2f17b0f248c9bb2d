"""What an audit reads of a whole tenant, frozen: the directory's side, Exchange's side, and the mailboxes on which an
application holds something.

Grants to people are counted and not kept. A service principal that a row names is resolved when the row is read; a trustee
that nobody resolves is kept as it was shown. Only applications that matter to mail are kept: those with a consent to a
mail permission, an entry in Exchange, a management role, an access policy, or a playbook.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from .snapshot import (
    Address,
    AppId,
    ApplicationObjectId,
    ClaimedObjectId,
    ClientAccess,
    MailboxId,
    MailboxKind,
    ManagementRole,
    ManagementScope,
    PrincipalObjectId,
    RequiredResource,
)

MICROSOFT_GRAPH = AppId("00000003-0000-0000-c000-000000000000")

_NEVER = datetime.min.replace(tzinfo=UTC)


# The directory


@dataclass(frozen=True)
class Credential:
    """A credential's outside. ``ends`` None: it has no end, as a federated one."""

    kind: Literal["secret", "certificate", "federated"]
    key_id: str
    name: str
    starts: datetime | None = None
    ends: datetime | None = None

    def live(self, at: datetime) -> bool:
        return (self.starts is None or self.starts <= at) and (self.ends is None or at < self.ends)


@dataclass(frozen=True)
class Owner:
    """``enabled`` None: it cannot be seen."""

    id: str
    name: str  # a person's UPN, else a display name
    kind: Literal["user", "application", "other"] = "user"
    enabled: bool | None = None


@dataclass(frozen=True)
class Registration:
    """An application that is registered in this tenant. ``owners`` None: they were not read."""

    object_id: ApplicationObjectId
    app_id: AppId
    name: str
    audience: str  # signInAudience
    unique_name: str = ""
    credentials: tuple[Credential, ...] = ()
    owners: tuple[Owner, ...] | None = None
    required: tuple[RequiredResource, ...] = ()
    created: datetime | None = None


@dataclass(frozen=True)
class Principal:
    """An enterprise application, or a managed identity (``kind``: servicePrincipalType). ``home``: the tenant in which its
    application is registered. ``credentials`` are its own, beside its application's."""

    object_id: PrincipalObjectId
    app_id: AppId
    name: str
    enabled: bool = True  # accountEnabled: may it sign in
    kind: str = "Application"
    home: str = ""
    credentials: tuple[Credential, ...] = ()
    owners: tuple[Owner, ...] | None = None
    created: datetime | None = None


@dataclass(frozen=True)
class RoleGrant:
    """Consent to an application permission. ``value`` is the role's id where its resource has no such role."""

    principal: PrincipalObjectId
    resource: AppId
    value: str  # IMAP.AccessAsApp, Mail.Read, ...
    created: datetime | None = None


@dataclass(frozen=True)
class ScopeGrant:
    """Consent to delegated permissions, one row for each application and resource. ``everyone``: those granted for all
    people of the tenant; ``people``: how many persons consented for themselves, and ``some`` to what."""

    principal: PrincipalObjectId
    resource: AppId
    everyone: frozenset[str] = frozenset()
    some: frozenset[str] = frozenset()
    people: int = 0


@dataclass(frozen=True)
class LastUse:
    """When an application last got a token, by Entra's sign-in activity; None: it never did within what Entra keeps."""

    app_id: AppId
    as_application: datetime | None = None
    as_person: datetime | None = None  # for a person who was signed in


@dataclass(frozen=True)
class Event:
    """Who changed what, from an audit log. ``subject``: the object ID, appId or address that it is about, lower case;
    ``change``: as the log names it."""

    at: datetime
    who: str
    change: str
    subject: str
    log: Literal["entra", "exchange"]
    detail: str = ""


# Exchange


@dataclass(frozen=True)
class Entry:
    """A service principal as Exchange holds it. ``forms``: every text by which a row may name it, lower case."""

    app_id: AppId
    object_id: ClaimedObjectId
    name: str
    identity: str
    forms: frozenset[str] = frozenset()


@dataclass(frozen=True)
class AccessPolicy:
    """An application access policy. It narrows what Entra grants on Graph's and EWS's mail permissions, and nothing else.
    ``scope``: the group or mailbox that it names."""

    app_id: AppId
    right: Literal["restrict", "deny"]
    scope: str
    description: str = ""


@dataclass(frozen=True)
class Organization:
    """The tenant's own settings; None: not read. ``password_smtp``: whether the default authentication policy lets SMTP AUTH
    take passwords (AllowBasicAuthSmtp; without a policy it does). ``security_defaults`` block them too."""

    smtp_auth_disabled: bool | None = None
    password_smtp: bool | None = None
    security_defaults: bool | None = None
    enforce_app_rbac: bool | None = None
    dehydrated: bool | None = None


Right = Literal["FullAccess", "SendAs", "SendOnBehalf", "Folder", "ReadPermission", "other"]


@dataclass(frozen=True)
class Grant:
    """What one trustee holds on one mailbox. ``entry``: the identity of the Exchange entry that it is, "" where nobody
    resolves it. ``trustee``: as the row shows it. ``folder`` and ``role``: of a folder permission."""

    right: Right
    trustee: str
    entry: str = ""
    sid: str = ""
    deny: bool = False
    inherited: bool = False
    folder: str = ""
    role: str = ""  # of a folder; else the right's own name where ``right`` is "other"


@dataclass(frozen=True)
class MailboxRecord:
    """A mailbox on which an application, or a trustee that nobody resolves, holds something; or one that could not be read,
    and then ``unread`` says why. ``people``: how many grants to people it has. ``access`` None: not read."""

    id: MailboxId
    address: Address
    name: str
    kind: MailboxKind
    login: str = ""
    grants: tuple[Grant, ...] = ()
    people: int = 0
    access: ClientAccess | None = None
    unread: str = ""


# What was meant to be


@dataclass(frozen=True)
class Wanted:
    """What one playbook says. ``mailboxes``: address, lower case -> protocols. ``send_as``: addresses that need SendAs;
    ``drift``: what its plan would change, in words, None where it was not planned."""

    file: str
    key: str
    app_ids: frozenset[AppId] = frozenset()
    unique_name: str = ""
    mailboxes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    send_as: frozenset[str] = frozenset()
    smtp_by_rbac: bool = False
    multi_tenant: bool = False
    drift: tuple[str, ...] | None = None


# The whole


Section = Literal[
    "applications", "enterprise-applications", "role-grants", "scope-grants", "owners", "last-use", "directory-log",
    "security-defaults", "entries", "mailboxes", "mailbox-permissions", "recipient-permissions", "client-access",
    "transport", "organization", "authentication-policies", "access-policies", "management-roles", "management-scopes",
    "folder-permissions", "exchange-log",
]  # fmt: skip

# Those without which an audit is not whole. The others are asked for, or are not offered by every cloud and licence.
NEEDED: tuple[Section, ...] = (
    "applications", "enterprise-applications", "role-grants", "scope-grants", "entries", "mailboxes", "mailbox-permissions",
    "recipient-permissions", "client-access", "transport", "access-policies", "management-roles", "management-scopes",
)  # fmt: skip


@dataclass(frozen=True)
class Coverage:
    """What was read. ``missing``: section -> why it was not. A section that is in neither was not asked for. ``mailboxes``
    counts all of them by kind; ``people`` and ``grants`` count what was seen and is not kept."""

    read: frozenset[Section] = frozenset()
    missing: Mapping[Section, str] = field(default_factory=dict)
    mailboxes: Mapping[str, int] = field(default_factory=dict)
    unread: int = 0  # mailboxes that could not be read
    people: int = 0  # grants to people
    inherited: int = 0  # rows that come from above, as Exchange's own administrators have them
    interrupted: bool = False  # it ended before all was read

    @property
    def whole(self) -> bool:
        return not self.interrupted and not self.unread and not any(name in self.missing for name in NEEDED)


@dataclass(frozen=True)
class Inventory:
    """A whole tenant at a time. ``operator``: who read it; ``evidence``: the logs were asked for."""

    tenant: str = ""  # its domain, or its id
    tenant_id: str = ""
    cloud: str = "global"
    operator: str = ""
    at: datetime = _NEVER
    emulated: bool = False
    coverage: Coverage = Coverage()
    registrations: tuple[Registration, ...] = ()
    principals: tuple[Principal, ...] = ()
    role_grants: tuple[RoleGrant, ...] = ()
    scope_grants: tuple[ScopeGrant, ...] = ()
    last_use: tuple[LastUse, ...] = ()
    entries: tuple[Entry, ...] = ()
    access_policies: tuple[AccessPolicy, ...] = ()
    roles: tuple[ManagementRole, ...] = ()
    scopes: tuple[ManagementScope, ...] = ()
    organization: Organization = Organization()
    mailboxes: tuple[MailboxRecord, ...] = ()
    events: tuple[Event, ...] = ()
    wanted: tuple[Wanted, ...] | None = None  # None: no playbooks were given

    def has(self, *sections: Section) -> bool:
        """Whether all of these were read: what was not read says nothing."""
        return all(section in self.coverage.read for section in sections)
