"""A playbook's values, frozen. Each knows where it stands in the file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..snapshot import Address, AppId, Protocol

PROTOCOLS: tuple[Protocol, ...] = ("imap", "pop", "smtp")

ScopeKind = Literal["group", "filter", "admin_unit"]

Access = Literal["application", "delegated"]
"""Who opens mailboxes: the application by itself, or people who sign in to it."""

Audience = Literal["single-tenant", "multi-tenant"]
"""Whose administrators may let the application in: this tenant's, or those of any tenant of its cloud."""


@dataclass(frozen=True)
class Place:
    """Where in a playbook something stands; line and column from 1."""

    path: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True)
class SecretCredential:
    """A client secret. ``valid_for`` is in seconds, ``save_to`` absolute, ``shown`` the path as the playbook has it."""

    valid_for: int
    save_to: Path
    shown: str
    place: Place


@dataclass(frozen=True)
class App:
    """The application. ``key`` is its identity, or ``id`` where that names one which exists already and is adopted:
    then ``key`` only names secrets and journals, and is the id where the playbook has none. ``name`` is for people and
    identifies nothing; empty: as it is. ``credential`` None: exosp makes none, as the application's own is a federated one
    (``federated``), or as people sign in to it."""

    key: str
    name: str
    credential: SecretCredential | None
    place: Place
    id: AppId | None = None
    federated: bool = False
    managed_identity: str | None = None  # an Azure workload's, by its client ID or object ID, lower case
    audience: Audience = "single-tenant"
    registered_in: str = (
        ""  # another tenant, where its registration and credential are; here is its enterprise application
    )

    @property
    def made_elsewhere(self) -> bool:
        """Nothing of it is exosp's from the beginning: it was adopted, or is a managed identity."""
        return self.id is not None or self.managed_identity is not None

    @property
    def unique_name(self) -> str:
        """Graph's uniqueName, of what was not adopted."""
        return f"exosp-{self.key}"

    @property
    def secret_label(self) -> str:
        """The displayName of the secrets that are ours."""
        return f"exosp-{self.key}"


@dataclass(frozen=True)
class SendAs:
    """Mail carries ``sender``'s address. ``by``: whose SendAs right counts, since Microsoft's page and field reports
    disagree: the application's, or that of the mailbox that signs in."""

    sender: Address
    by: Literal["app", "mailbox"]
    place: Place


@dataclass(frozen=True)
class SmtpScope:
    """SMTP goes by RBAC for Applications, within this scope: of a group by its address, of recipients by an OPATH filter, or
    of an administrative unit by its object ID."""

    kind: ScopeKind
    value: str
    place: Place

    def __str__(self) -> str:
        return {"group": "group ", "filter": "", "admin_unit": "administrative unit "}[self.kind] + self.value


@dataclass(frozen=True)
class Box:
    """One mailbox and how it is to be reached: by its own list of protocols, else by the playbook's."""

    address: Address
    protocols: frozenset[Protocol]
    send_as: SendAs | None
    place: Place


@dataclass(frozen=True)
class Reach:
    """How Exchange's cmdlets are reached. None: the playbook does not say. An IPv6 ``host`` stands in brackets. ``app`` and
    ``thumbprint``: the application, and its certificate in the host's own store, by which the host connects to Exchange."""

    remoting: str | None = None
    host: str | None = None
    port: int | None = None
    path: str | None = None
    auth: str | None = None
    configuration: str | None = None
    place: Place | None = None
    app: str | None = None
    thumbprint: str | None = None


@dataclass(frozen=True)
class Playbook:
    """A whole playbook, valid as far as it can be judged without the tenant."""

    path: Path
    tenant: str
    cloud: str
    app: App
    protocols: tuple[Protocol, ...]
    boxes: tuple[Box, ...]
    exchange: Reach
    prune: bool = False  # take away what the application may do and the playbook does not list
    access: Access = "application"
    smtp: SmtpScope | None = None  # None: SMTP goes by the claim SMTP.SendAsApp, as IMAP and POP by theirs

    @property
    def delegated(self) -> bool:
        """People sign in, and open what they hold rights on; the application by itself opens nothing."""
        return self.access == "delegated"

    def needed(self) -> tuple[Protocol, ...]:
        """The protocols that any mailbox uses, in the order imap, pop, smtp."""
        return tuple(protocol for protocol in PROTOCOLS if any(protocol in box.protocols for box in self.boxes))

    def claimed(self) -> tuple[Protocol, ...]:
        """Those of them for which a token must carry a permission."""
        return tuple(protocol for protocol in self.needed() if not (protocol == "smtp" and self.smtp))

    def opens(self, box: Box) -> bool:
        """Whether the application needs FullAccess on the mailbox: not where all it does there is SMTP by RBAC."""
        return bool(box.protocols - {"smtp"}) if self.smtp else True
