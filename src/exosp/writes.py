"""Every write exosp can make, on one page. A write is one request or one cmdlet, as data; it holds no secret.

What only the cloud can choose stands as a Ref: the name of a Snapshot field, looked up when the write is sent.
``graph`` interprets the first group, ``exchange`` the second, ``vault`` the one of this machine. There are no others.
"""

from dataclasses import dataclass, fields
from typing import Any, Generic, Literal, TypeVar

from .snapshot import (
    Address,
    AppId,
    ApplicationObjectId,
    ClaimedObjectId,
    KeyId,
    MailboxId,
    PrincipalObjectId,
    RequiredResource,
    RoleId,
    Snapshot,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Ref(Generic[T]):
    """A value the cloud chooses, by its place in the Snapshot: ``principal.object_id``."""

    field: str

    def known(self, seen: Snapshot) -> T | None:
        """The value, or None while the thing does not exist."""
        record, _, name = self.field.partition(".")
        held = getattr(seen, record)
        return None if held is None else getattr(held, name)

    def value(self, seen: Snapshot) -> T:
        """The value. A Ref that is asked for too early is a bug in the order of steps."""
        value = self.known(seen)
        if value is None:
            raise LookupError(f"{self.field} is not known yet")
        return value


APP_ID: Ref[AppId] = Ref("application.app_id")
APPLICATION: Ref[ApplicationObjectId] = Ref("application.object_id")
IDENTITY: Ref[AppId] = Ref("principal.app_id")  # of a managed identity, which has no application
PRINCIPAL: Ref[PrincipalObjectId] = Ref("principal.object_id")
ENTRY: Ref[PrincipalObjectId] = Ref("entry.object_id")  # known once Exchange holds it
RESOURCE: Ref[PrincipalObjectId] = Ref("resource.object_id")


# Microsoft Graph


@dataclass(frozen=True)
class UpsertApplication:
    """PATCH /applications(uniqueName='…') with Prefer: create-if-missing. ``required`` is the whole list to stand, and so is
    ``redirects``, of publicClient, with which the application becomes a public client; None leaves both as they are."""

    unique_name: str
    name: str
    audience: str
    required: tuple[RequiredResource, ...]
    redirects: tuple[str, ...] | None = None
    web: tuple[str, ...] | None = None  # the redirect addresses of ``web``, all of them; None: as they are


@dataclass(frozen=True)
class UpdateApplication:
    """PATCH /applications/{id}, of one that was adopted. ``name`` empty: as it is; ``required`` is the whole list, and
    ``redirects`` as above."""

    application: ApplicationObjectId
    name: str
    required: tuple[RequiredResource, ...]
    redirects: tuple[str, ...] | None = None
    web: tuple[str, ...] | None = None  # the redirect addresses of ``web``, all of them; None: as they are


@dataclass(frozen=True)
class CreatePrincipal:
    """POST /servicePrincipals"""

    app_id: Ref[AppId]
    tags: tuple[str, ...]


@dataclass(frozen=True)
class TagPrincipal:
    """PATCH /servicePrincipals/{id}; ``tags`` is the whole list to stand."""

    principal: Ref[PrincipalObjectId]
    tags: tuple[str, ...]


@dataclass(frozen=True)
class AssignRole:
    """POST /servicePrincipals/{resource}/appRoleAssignedTo"""

    principal: Ref[PrincipalObjectId]
    resource: Ref[PrincipalObjectId]
    role: RoleId
    role_value: str


@dataclass(frozen=True)
class AddSecret:
    """POST /applications/{id}/addPassword, and its text into the credential file. ``valid_for`` is in seconds."""

    application: Ref[ApplicationObjectId]
    label: str
    valid_for: int
    save_to: str  # for people: the path as the playbook has it


@dataclass(frozen=True)
class RemoveSecret:
    """POST /applications/{id}/removePassword"""

    application: Ref[ApplicationObjectId]
    key_id: KeyId


@dataclass(frozen=True)
class RemoveAssignment:
    """DELETE /servicePrincipals/{id}/appRoleAssignments/{assignment}: consent taken back"""

    principal: Ref[PrincipalObjectId]
    assignment: str
    role_value: str


@dataclass(frozen=True)
class DeleteApplication:
    """DELETE /applications/{id}: into the recycle bin, its enterprise application and assignments with it."""

    application: Ref[ApplicationObjectId]


@dataclass(frozen=True)
class RestoreApplication:
    """POST /directory/deletedItems/{id}/restore. Whether its enterprise application comes back with it is read after."""

    deleted: ApplicationObjectId


# Exchange

# Whom a permission names: our entry, a mailbox, or the object ID that an entry of ours holds, right or wrong.
Trustee = Ref[PrincipalObjectId] | MailboxId | ClaimedObjectId


@dataclass(frozen=True)
class NewServicePrincipal:
    """New-ServicePrincipal. ``object_id`` is the enterprise application's: its type admits no other."""

    app_id: Ref[AppId]
    object_id: Ref[PrincipalObjectId]
    name: str


@dataclass(frozen=True)
class RemoveServicePrincipal:
    """Remove-ServicePrincipal. ``object_id`` is for people: what the entry holds."""

    identity: str
    object_id: ClaimedObjectId


@dataclass(frozen=True)
class AddMailboxPermission:
    """Add-MailboxPermission -AutoMapping $false"""

    mailbox: MailboxId
    address: Address  # for people; the cmdlet gets ``mailbox``
    trustee: Ref[PrincipalObjectId] | ClaimedObjectId
    rights: tuple[str, ...] = ("FullAccess",)


@dataclass(frozen=True)
class RemoveMailboxPermission:
    """Remove-MailboxPermission, of rights that are allowed"""

    mailbox: MailboxId
    address: Address
    trustee: Ref[PrincipalObjectId] | ClaimedObjectId
    rights: tuple[str, ...] = ("FullAccess",)


@dataclass(frozen=True)
class AddRecipientPermission:
    """Add-RecipientPermission -AccessRights SendAs. The trustee is the app, or the mailbox that signs in."""

    mailbox: MailboxId
    address: Address
    trustee: Trustee
    trustee_name: str = ""


@dataclass(frozen=True)
class RemoveRecipientPermission:
    """Remove-RecipientPermission -AccessRights SendAs"""

    mailbox: MailboxId
    address: Address
    trustee: Trustee
    trustee_name: str = ""


@dataclass(frozen=True)
class SetClientAccess:
    """Set-CASMailbox for one mailbox; None leaves a switch as it is. ``smtp_auth_inherited``: SMTP AUTH as the tenant
    has it, which is the cmdlet's $null."""

    mailbox: MailboxId
    address: Address
    imap: bool | None = None
    pop: bool | None = None
    smtp_auth_disabled: bool | None = None
    smtp_auth_inherited: Literal[True] | None = None


@dataclass(frozen=True)
class NewManagementScope:
    """New-ManagementScope -RecipientRestrictionFilter. Values in ``filter`` are quoted by ``opath``."""

    name: str
    filter: str


@dataclass(frozen=True)
class SetManagementScope:
    """Set-ManagementScope -RecipientRestrictionFilter, of the one that bears our name"""

    name: str
    filter: str


@dataclass(frozen=True)
class RemoveManagementScope:
    """Remove-ManagementScope, of the one that bears our name"""

    name: str


@dataclass(frozen=True)
class AssignManagementRole:
    """New-ManagementRoleAssignment -App, within one scope: there is no way here to give a role without. ``scope`` is a
    management scope's name (-CustomResourceScope), ``unit`` an administrative unit (-RecipientAdministrativeUnitScope)."""

    name: str
    role: str
    app: Ref[PrincipalObjectId]
    scope: str | None = None
    unit: str | None = None

    def __post_init__(self) -> None:
        if bool(self.scope) == bool(self.unit):
            raise ValueError("a management role is given within exactly one scope")


@dataclass(frozen=True)
class RemoveManagementRole:
    """Remove-ManagementRoleAssignment"""

    name: str
    role: str  # for people


# This machine


@dataclass(frozen=True)
class RemoveSaved:
    """Delete the file that holds the application's credential, and nothing else. No service is asked."""

    app_id: AppId
    saved_to: str  # for people: the path as the playbook has it


GraphWrite = (
    UpsertApplication
    | UpdateApplication
    | CreatePrincipal
    | TagPrincipal
    | AssignRole
    | AddSecret
    | RemoveSecret
    | RemoveAssignment
    | DeleteApplication
    | RestoreApplication
)
ExchangeWrite = (
    NewServicePrincipal
    | RemoveServicePrincipal
    | AddMailboxPermission
    | RemoveMailboxPermission
    | AddRecipientPermission
    | RemoveRecipientPermission
    | SetClientAccess
    | NewManagementScope
    | SetManagementScope
    | RemoveManagementScope
    | AssignManagementRole
    | RemoveManagementRole
)
# Of the whole organization: they name no mailbox, and each goes through a pipeline of its own.
Organizational = (
    NewServicePrincipal
    | RemoveServicePrincipal
    | NewManagementScope
    | SetManagementScope
    | RemoveManagementScope
    | AssignManagementRole
    | RemoveManagementRole
)
Write = GraphWrite | ExchangeWrite | RemoveSaved


def refs(write: Write) -> tuple[Ref[Any], ...]:
    """The Refs a write stands on, in the order of its fields."""
    values = (getattr(write, field.name) for field in fields(write))
    return tuple(value for value in values if isinstance(value, Ref))


def as_json(write: Write, seen: Snapshot | None = None) -> dict[str, Any]:
    """A write as plain data. A Ref shows its value where ``seen`` knows it, else its name in angle brackets."""

    def plain(value: Any) -> Any:
        if isinstance(value, Ref):
            known = value.known(seen) if seen is not None else None
            return f"<{value.field}>" if known is None else known
        if isinstance(value, RequiredResource):
            return {"resourceAppId": value.resource, "resourceAccess": [{"id": i, "type": t} for i, t in value.access]}
        if isinstance(value, tuple):
            return [plain(item) for item in value]
        return value

    named = {field.name: plain(getattr(write, field.name)) for field in fields(write)}
    return {"write": type(write).__name__, **{name: value for name, value in named.items() if value is not None}}
