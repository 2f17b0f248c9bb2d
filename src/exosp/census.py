"""What an audit may ask of a tenant: reads of everything, in pages, as they come. ``graph.census`` and ``exchange.census``
answer these ports. Nothing here is sent, and nothing that they do writes.

Failures are CloudErrors. Pages are asked once; waiting and repeating is ``patience``'s: by whoever calls, or handed in, so that
a page alone is asked again and not the whole list.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from .errors import CloudError
from .inventory import (
    AccessPolicy,
    Credential,
    Entry,
    Event,
    Grant,
    LastUse,
    Organization,
    Owner,
    Principal,
    Registration,
    RoleGrant,
    ScopeGrant,
)
from .snapshot import Address, ClientAccess, MailboxId, MailboxKind, ManagementRole, ManagementScope


class DirectoryCensus(Protocol):
    """Microsoft Graph, read for a whole tenant. Owners come apart from what they own: they cost a request for twenty."""

    @property
    def requests(self) -> int: ...

    def registrations(self) -> Iterator[Registration]: ...

    def principals(self) -> Iterator[Principal]: ...

    def role_grants(self) -> Iterator[RoleGrant]:
        """On Office 365 Exchange Online all, on Microsoft Graph those that reach mail or can grant themselves more."""
        ...

    def scope_grants(self) -> Iterator[ScopeGrant]:
        """Those that reach mail, by Exchange or by Graph; one row for each application and resource."""
        ...

    def owners(
        self, kind: Literal["applications", "servicePrincipals"], ids: Sequence[str]
    ) -> dict[str, tuple[Owner, ...]]:
        """By the object ID. One that could not be read is left out."""
        ...

    def federated(self, ids: Sequence[str]) -> dict[str, tuple[Credential, ...]]:
        """The federated credentials of registrations, by their object IDs: a request for twenty, so apart from these."""
        ...

    def security_defaults(self) -> bool: ...

    def last_use(self) -> Iterator[LastUse]: ...

    def events(self, subjects: Sequence[str]) -> Iterator[Event]:
        """What the directory's log says of these object IDs: consent, credentials, owners. Entra keeps 7 to 30 days."""
        ...


ListedKind = Literal["user", "soft-deleted", "group"]  # user: what Get-Mailbox lists unasked, shared mailboxes too


@dataclass(frozen=True)
class Listed:
    """A mailbox as a list of all shows it. ``identity``: what a cmdlet's rows name it by; ``on_behalf``: the trustees that may
    send on its behalf, as shown."""

    id: MailboxId
    address: Address
    name: str
    kind: MailboxKind
    identity: str
    login: str = ""
    on_behalf: tuple[str, ...] = ()
    guid: str = ""  # soft-deleted ones are named by it: their addresses may be another's


@dataclass(frozen=True)
class Held:
    """What was read of one mailbox. ``grants``: to applications and to whom nobody resolves, those of ``Listed.on_behalf`` not
    among them; ``people`` and ``inherited`` are counted. ``error``: why nothing was read, and then it is worth another try where it is transient."""

    mailbox: Listed
    grants: tuple[Grant, ...] = ()
    people: int = 0
    inherited: int = 0
    error: CloudError | None = None


class ExchangeCensus(Protocol):
    """Exchange Online, read for a whole tenant on view-only roles."""

    @property
    def requests(self) -> int: ...

    def entries(self) -> tuple[Entry, ...]: ...

    def mailboxes(self, kind: ListedKind) -> Iterator[Sequence[Listed]]:
        """Every mailbox of that kind, a page at a time, while the rest is still under way. Never cut short unseen."""
        ...

    def permissions(
        self, mailboxes: Iterator[Sequence[Listed]], kind: ListedKind, entries: Sequence[Entry]
    ) -> Iterator[Held]:
        """One answer a mailbox, as they come and in no order, several requests in flight. Unresolved trustees are among
        them. It takes pages as fast as it can send them, and no faster."""
        ...

    def folder_permissions(self, mailboxes: Sequence[Listed], entries: Sequence[Entry]) -> Iterator[Held]: ...

    def send_as(self, entry: Entry) -> Iterator[tuple[str, Grant]]:
        """Every recipient on which the entry may send as it: the identity that the row shows, lower case, and the grant."""
        ...

    def client_access(self, mailboxes: Sequence[Listed]) -> dict[MailboxId, ClientAccess]:
        """One that has no switches is left out."""
        ...

    def organization(self) -> Organization: ...

    def access_policies(self) -> tuple[AccessPolicy, ...]: ...

    def management_roles(self) -> tuple[ManagementRole, ...]:
        """The assignments to applications, all of them."""
        ...

    def management_scopes(self) -> tuple[ManagementScope, ...]: ...

    def events(self, since: float) -> Iterator[Event]:
        """What the administrators' log says of grants and entries. ``since``: seconds since 1970."""
        ...
