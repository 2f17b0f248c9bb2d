"""What was observed of a tenant, frozen. One type serves a playbook's scope and a whole tenant.

The two object IDs that people confuse have types of their own. ``ApplicationObjectId`` is the one on *App
registrations*: Graph takes it, Exchange must never see it. ``PrincipalObjectId`` is the one on *Enterprise
applications*: it is a token's ``oid``, and the one Exchange needs. ``ClaimedObjectId`` is whatever an entry in
Exchange carries: it may be either of them, or neither.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, NewType

AppId = NewType("AppId", str)
ApplicationObjectId = NewType("ApplicationObjectId", str)
PrincipalObjectId = NewType("PrincipalObjectId", str)
ClaimedObjectId = NewType("ClaimedObjectId", str)
RoleId = NewType("RoleId", str)
ScopeId = NewType("ScopeId", str)
KeyId = NewType("KeyId", str)
MailboxId = NewType("MailboxId", str)  # ExternalDirectoryObjectId: the one identity all addresses resolve to
Address = NewType("Address", str)

EXCHANGE_ONLINE = AppId("00000002-0000-0ff1-ce00-000000000000")

Protocol = Literal["imap", "pop", "smtp"]

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class RequiredResource:
    """One entry of requiredResourceAccess: the permissions a registration asks of one resource.

    ``access`` holds (id, "Role" | "Scope") in the order the registration has them."""

    resource: AppId
    access: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Secret:
    """A password credential as Graph shows it: never its text. ``hint`` is its first three characters."""

    key_id: KeyId
    label: str
    hint: str
    starts: datetime
    ends: datetime


@dataclass(frozen=True)
class Application:
    """The registration. ``redirects``: where a browser's sign-in may end, of those that make a public client; ``public``:
    it may come without a secret where no redirect is, as with a device code."""

    object_id: ApplicationObjectId
    app_id: AppId
    name: str
    unique_name: str
    audience: str  # signInAudience
    required: tuple[RequiredResource, ...] = ()
    secrets: tuple[Secret, ...] = ()
    redirects: tuple[str, ...] = ()
    public: bool = False
    web: tuple[str, ...] = ()  # where the browser of an administrator who consented may end
    created: datetime | None = field(default=None, compare=False)  # for how old a grant can be at most


@dataclass(frozen=True)
class DeletedApplication:
    """A registration in the recycle bin. ``deleted``: since when, None where Graph does not say."""

    application: Application
    deleted: datetime | None = None

    @property
    def until(self) -> datetime | None:
        """When it is gone for good (learn.microsoft.com/entra/fundamentals/recover-from-deletions: 30 days)."""
        return None if self.deleted is None else self.deleted + timedelta(days=30)


@dataclass(frozen=True)
class EnterpriseApplication:
    """The service principal: the registration's presence in this tenant."""

    object_id: PrincipalObjectId
    app_id: AppId
    name: str
    tags: tuple[str, ...] = ()
    enabled: bool = True
    kind: str = "Application"  # servicePrincipalType


@dataclass(frozen=True)
class Resource:
    """The tenant's own enterprise application of Office 365 Exchange Online, with its application roles and its delegated
    permissions by value."""

    object_id: PrincipalObjectId
    roles: Mapping[str, RoleId]
    scopes: Mapping[str, ScopeId] = field(default_factory=dict)


@dataclass(frozen=True)
class RoleAssignment:
    """An app role assignment: consent, as Graph stores it."""

    id: str
    principal: PrincipalObjectId
    resource: PrincipalObjectId
    role: RoleId
    created: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True)
class SavedCredential:
    """What the playbook's ``save_to`` holds. ``works``: a token was issued for it just now;
    ``foreign``: it holds another application's credential and must not be written over. ``key_id``: whose secret it
    says that it holds. ``blocked``: it is refused whatever the secret, and what to do about that. ``is_id``: its secret has
    the form of an ID, which no secret's value has."""

    state: Literal["absent", "works", "refused", "foreign"]
    why: str = ""
    key_id: KeyId | None = None
    blocked: str = ""
    is_id: bool = False


@dataclass(frozen=True)
class ExchangeEntry:
    """A service principal as Exchange holds it. ``forms``: every text by which a permission row may name it, lower
    case (ObjectId, AppId, display name, identity, name, GUID, SID)."""

    app_id: AppId
    object_id: ClaimedObjectId
    name: str
    identity: str
    forms: frozenset[str]


MailboxKind = Literal["user", "shared", "group", "mail-user", "soft-deleted", "other"]


@dataclass(frozen=True)
class Mailbox:
    """``forms``: every text by which a cmdlet's row may name it, lower case."""

    id: MailboxId
    address: Address  # primary
    upn: str
    kind: MailboxKind
    addresses: frozenset[str]  # primary, aliases and UPN, lower case
    forms: frozenset[str]

    @property
    def login(self) -> str:
        """The user name a mail client gives, decided here and nowhere else.

        The primary address, as Microsoft's page on OAuth for IMAP, POP and SMTP has it. Where the UPN differs, the UPN:
        a field report saw only that accepted, and none saw it refused.
        """
        return self.upn if self.upn and self.upn.lower() != self.address.lower() else self.address


@dataclass(frozen=True)
class NoMailbox:
    """Why an address is no mailbox that can be granted."""

    address: Address
    reason: Literal["absent", "ambiguous", "mail-user", "soft-deleted", "group", "unreadable"]
    detail: str = ""


@dataclass(frozen=True)
class MailboxPermission:
    """An allow row of Get-MailboxPermission. ``user`` is as the row shows it, lower case."""

    mailbox: MailboxId
    user: str
    rights: frozenset[str]
    deny: bool = False
    inherited: bool = False


@dataclass(frozen=True)
class RecipientPermission:
    """A row of Get-RecipientPermission (SendAs). ``trustee`` is as the row shows it, lower case."""

    mailbox: MailboxId
    trustee: str
    deny: bool = False


@dataclass(frozen=True)
class Holdings:
    """All that one entry of Exchange may do in the whole tenant, whatever form its rows name it in. ``mailboxes`` are
    those that the rows are about. ``unread``: why it could not be read; then nothing is known, not even that there is
    nothing. Group mailboxes are not looked into: no IMAP, POP or SMTP login opens one."""

    mailboxes: tuple[Mailbox, ...] = ()
    permissions: tuple[MailboxPermission, ...] = ()
    recipient_permissions: tuple[RecipientPermission, ...] = ()
    unread: str = ""

    def address(self, mailbox: MailboxId) -> Address:
        """For people. A recipient that is no mailbox is named by its identity."""
        return next((box.address for box in self.mailboxes if box.id == mailbox), Address(mailbox))


@dataclass(frozen=True)
class Owed:
    """A grant that an unfinished repair took from an entry and that is not known to have been given back, as a journal
    shows. ``rights`` ("SendAs",) means a recipient permission, any other mailbox rights."""

    mailbox: MailboxId
    address: Address
    rights: tuple[str, ...]


@dataclass(frozen=True)
class ClientAccess:
    """A mailbox's protocol switches. ``smtp_auth_disabled`` None means: as the tenant has it."""

    mailbox: MailboxId
    imap: bool
    pop: bool
    smtp_auth_disabled: bool | None


@dataclass(frozen=True)
class Transport:
    """The tenant's own setting of SMTP AUTH."""

    smtp_auth_disabled: bool


@dataclass(frozen=True)
class Group:
    """A group that a scope may be made of, by its distinguished name."""

    address: Address
    dn: str


@dataclass(frozen=True)
class NoGroup:
    """Why an address is no group that a scope can be made of."""

    address: Address
    reason: Literal["absent", "ambiguous", "unreadable"]
    detail: str = ""


@dataclass(frozen=True)
class ManagementScope:
    """``filter`` is as Exchange shows it."""

    name: str
    filter: str


ScopedBy = Literal["organization", "scope", "unit", "group", "other"]


@dataclass(frozen=True)
class ManagementRole:
    """A management role assignment of an application. ``app`` is every text by which its row names that one, lower case;
    ``by`` what narrows it, ``scope`` that one's name or id."""

    name: str
    role: str
    app: frozenset[str]
    by: ScopedBy
    scope: str = ""

    def of(self, entry: ExchangeEntry) -> bool:
        return bool(self.app & entry.forms)


@dataclass(frozen=True)
class Rbac:
    """RBAC for Applications, as far as the playbook's application is concerned: its roles and whatever bears our names, every
    scope, and the group that the playbook names. ``dehydrated``: no scope can be made. ``unread``: why nothing is known."""

    roles: tuple[ManagementRole, ...] = ()
    scopes: tuple[ManagementScope, ...] = ()
    group: Group | NoGroup | None = None
    dehydrated: bool = False
    unread: str = ""


@dataclass(frozen=True)
class Snapshot:
    """Fields are None or empty until something was read. ``mailboxes`` is keyed by the playbook's own addresses."""

    tenant_id: str = ""
    at: datetime = _NEVER  # when it was taken
    application: Application | None = None
    deleted: tuple[DeletedApplication, ...] = ()  # while there is no application: what could be restored, newest first
    principal: EnterpriseApplication | None = None
    managed: bool = (
        False  # ``principal`` is the managed identity that the playbook names: no application stands behind it
    )
    consent_address: str = ""  # where this tenant's administrator consents to another tenant's application
    stranger: EnterpriseApplication | None = None  # what bears its id and is none
    resource: Resource | None = None
    assignments: tuple[RoleAssignment, ...] = ()
    credential: SavedCredential = SavedCredential("absent")
    lost_secrets: frozenset[KeyId] = frozenset()  # that a journal shows to have been made and never saved
    entries: tuple[ExchangeEntry, ...] = ()
    holdings: Mapping[str, Holdings] = field(default_factory=dict)  # by the identity of the entry
    owed: tuple[Owed, ...] = ()
    mailboxes: Mapping[Address, Mailbox | NoMailbox] = field(default_factory=dict)
    permissions: tuple[MailboxPermission, ...] = ()
    recipient_permissions: tuple[RecipientPermission, ...] = ()
    client_access: Mapping[MailboxId, ClientAccess] = field(default_factory=dict)
    transport: Transport | None = None
    rbac: Rbac | None = None

    @property
    def app_id(self) -> AppId | None:
        """What Exchange's entry and tokens bear: the application's, or the managed identity's own."""
        if self.managed and self.principal is not None:
            return self.principal.app_id
        return self.registration.app_id if self.registration is not None else None

    @property
    def registration(self) -> Application | None:
        """The application, or what restoring it from the recycle bin will bring back."""
        if self.application is None and self.deleted:
            return self.deleted[0].application
        return self.application

    @property
    def entry(self) -> EnterpriseApplication | None:
        """The enterprise application, once Exchange holds it under its own object ID. Until then nobody can grant it
        anything that a login would honour."""
        mine = self.principal
        if mine is None:
            return None
        held = {(entry.app_id.lower(), entry.object_id.lower()) for entry in self.entries}
        return mine if (mine.app_id.lower(), mine.object_id.lower()) in held else None

    def found(self, addresses: Iterable[Address]) -> list[Mailbox]:
        """The mailboxes behind these addresses, each once, in order."""
        held = (self.mailboxes.get(address) for address in addresses)
        return list({mailbox.id: mailbox for mailbox in held if isinstance(mailbox, Mailbox)}.values())

    def observing(self, seen: "Observed") -> "Snapshot":
        """This snapshot with one reply merged in, as if it had been read."""
        match seen:
            case Application():
                return replace(self, application=seen, deleted=())
            case EnterpriseApplication():
                return replace(self, principal=seen)
            case RoleAssignment():
                others = tuple(row for row in self.assignments if row.role != seen.role)
                return replace(self, assignments=(*others, seen))
            case Secret():
                if self.application is None:
                    return self
                secrets = (*(s for s in self.application.secrets if s.key_id != seen.key_id), seen)
                return replace(self, application=replace(self.application, secrets=secrets))
            case SavedCredential():
                return replace(self, credential=seen)
            case ExchangeEntry():
                others_ = tuple(e for e in self.entries if e.identity != seen.identity)
                return replace(self, entries=(*others_, seen))
            case MailboxPermission():
                return replace(self, permissions=(*self.permissions, seen))
            case RecipientPermission():
                return replace(self, recipient_permissions=(*self.recipient_permissions, seen))
            case ClientAccess():
                return replace(self, client_access={**self.client_access, seen.mailbox: seen})


Observed = (
    Application
    | EnterpriseApplication
    | RoleAssignment
    | Secret
    | SavedCredential
    | ExchangeEntry
    | MailboxPermission
    | RecipientPermission
    | ClientAccess
)
