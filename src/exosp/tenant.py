"""What exosp may ask of a tenant: the ports that ``graph``, ``exchange`` and ``vault`` answer and that steps and
converge are handed. Only Protocols and the shapes of their answers live here; nothing is sent.

Every method blocks, asks once, and neither waits nor retries: that is ``patience``'s. Failures are CloudErrors.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from .errors import CloudError
from .snapshot import (
    Address,
    AppId,
    Application,
    ApplicationObjectId,
    ClientAccess,
    DeletedApplication,
    EnterpriseApplication,
    ExchangeEntry,
    Group,
    Holdings,
    Mailbox,
    MailboxId,
    MailboxPermission,
    ManagementRole,
    ManagementScope,
    NoGroup,
    NoMailbox,
    Observed,
    PrincipalObjectId,
    RecipientPermission,
    Resource,
    RoleAssignment,
    SavedCredential,
    Secret,
    Snapshot,
    Transport,
)
from .writes import AddSecret, ExchangeWrite, GraphWrite


@dataclass(frozen=True)
class NewSecret:
    """A secret's one appearance. Its text is in no repr, and goes to the vault and nowhere else."""

    secret: Secret
    _text: str

    def __repr__(self) -> str:
        return f"NewSecret({self.secret.key_id})"

    def reveal(self) -> str:
        return self._text


class Directory(Protocol):
    """Microsoft Graph."""

    requests: int

    def application(self, unique_name: str) -> Application | None: ...

    def application_by_object_id(self, object_id: ApplicationObjectId) -> Application | None: ...

    def application_by_app_id(self, app_id: AppId) -> Application | None: ...

    def deleted(self, *, unique_name: str = "", app_id: AppId | None = None) -> tuple[DeletedApplication, ...]:
        """Those in the recycle bin that bear the unique name or the appId, newest first."""
        ...

    def principal(self, app_id: AppId) -> EnterpriseApplication | None: ...

    def principal_by_object_id(self, object_id: str) -> EnterpriseApplication | None: ...

    def resource(self, app_id: AppId) -> Resource | None: ...

    def assignments(self, principal: PrincipalObjectId) -> tuple[RoleAssignment, ...]: ...

    def send(self, write: GraphWrite, seen: Snapshot) -> Observed | NewSecret | None:
        """Send one write, its Refs looked up in ``seen``. What the reply showed, or None where it shows nothing
        (a 204): then it must be read. AddSecret answers NewSecret and saves nothing."""
        ...


@dataclass(frozen=True)
class Done:
    """A write took place; ``seen`` is what the reply showed of it."""

    seen: Observed | None = None


@dataclass(frozen=True)
class Failed:
    """A write was refused."""

    error: CloudError


@dataclass(frozen=True)
class Unknown:
    """Nothing attributable came back: read before repeating. ``why`` is for people."""

    why: str


Answer = Done | Failed | Unknown


class Exchange(Protocol):
    """Exchange Online's cmdlets, whatever the remoting."""

    requests: int  # pipelines, connecting not counted

    def entries(self, app_id: AppId | None = None) -> tuple[ExchangeEntry, ...]:
        """Service principals known to Exchange: those of one application, or all. Filtered on our side."""
        ...

    def mailboxes(self, addresses: Sequence[Address]) -> dict[Address, Mailbox | NoMailbox]: ...

    def permissions(self, mailboxes: Sequence[Mailbox]) -> tuple[MailboxPermission, ...]: ...

    def recipient_permissions(self, mailboxes: Sequence[Mailbox]) -> tuple[RecipientPermission, ...]: ...

    def holdings(self, entry: ExchangeEntry) -> Holdings:
        """What one entry may do in the whole tenant. It takes a pipeline for a hundred mailboxes at most."""
        ...

    def client_access(self, mailboxes: Sequence[Mailbox]) -> dict[MailboxId, ClientAccess]: ...

    def transport(self) -> Transport: ...

    def management_roles(self, entries: Sequence[ExchangeEntry], name: str = "") -> tuple[ManagementRole, ...]:
        """The management role assignments of these entries, and whatever assignment bears the name, if one is given."""
        ...

    def management_scopes(self) -> tuple[ManagementScope, ...]: ...

    def group(self, address: Address) -> Group | NoGroup: ...

    def dehydrated(self) -> bool: ...

    def in_scope(self, entry: ExchangeEntry, role: str, mailboxes: Sequence[Mailbox]) -> dict[MailboxId, bool]:
        """Whether the role reaches each of these mailboxes by what is set now, whatever logins go by. A mailbox for which
        Exchange does not say is left out. One pipeline each."""
        ...

    def send(self, writes: Sequence[ExchangeWrite], seen: Snapshot) -> Iterator[tuple[ExchangeWrite, Answer]]:
        """Send writes of one kind, as few pipelines as their parameters allow. Exactly one answer each, as they come."""
        ...


class Vault(Protocol):
    """Where the application's credential is saved."""

    def check(self) -> None:
        """Raise UsageError unless a credential could be saved. Called before a secret is made."""
        ...

    def state(self, app_id: AppId | None) -> SavedCredential:
        """Whether what is saved is absent, works (a fresh token was issued) or is refused."""
        ...

    def save(self, app_id: AppId, tenant_id: str, new: NewSecret, write: AddSecret) -> None:
        """Write the credential, 0600, whole or not at all."""
        ...

    def remove(self, app_id: AppId) -> bool:
        """Delete what is saved, if it is exactly a credential of this application; whether there was one."""
        ...


@dataclass(frozen=True)
class Tenant:
    """The thing out there, through the three ports."""

    tenant_id: str
    directory: Directory
    exchange: Exchange
    vault: Vault
    consent: str = ""  # where its administrator consents, to an application that is registered in another tenant
