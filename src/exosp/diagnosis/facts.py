"""What is known when a login, or the token for it, was refused. Plain values: never a token, never a secret."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from ..snapshot import AppId, ApplicationObjectId, ClaimedObjectId, PrincipalObjectId, Protocol, SavedCredential, Secret
from .causes import Cause

# What verify can find beside the causes that services speak of.
Key = Cause | Literal["credential-elsewhere", "not-delivered", "unexplained", "unknown", ""]


@dataclass(frozen=True)
class Since:
    """When what a login needs was last set. ``at`` None: not known; then ``not_before``, where it is known, is the
    earliest that it can have been. ``who`` says where the time is from."""

    at: datetime | None = None
    not_before: datetime | None = None
    who: str = ""


@dataclass(frozen=True)
class ProbeFacts:
    """One login, and what was read of the tenant. None means: not read.

    ``now`` is the service's time. ``audience`` is what an Exchange token must be for. ``entry_object_id`` is what
    Exchange's entry for the application carries, None where there is no entry. ``ids``: what other ids that were read
    belong to, by the id in lower case. ``consented``: the protocol's role is assigned in Entra. ``granted``: the
    application has FullAccess on the mailbox, and no deny entry; ``denied``: there is one; ``rights``: what else it has;
    ``holders``: who else has FullAccess. ``switched_on`` is for IMAP and POP. ``no_mailbox``: why the address is none, with what
    to do about it.
    ``login`` is the user name given to the server, empty if it is ``address``. ``send_as``: a right to send as ``sender``
    stands, None where ``sender`` is the mailbox itself. ``rbac``: SMTP goes by an RBAC role and not by the claim;
    ``in_scope``: that role reaches the mailbox by what is set now, ``scope`` is what the playbook says of it.
    """

    protocol: Protocol
    stage: str
    ok: bool
    server: str
    claims: Mapping[str, Any] | None
    now: datetime | None
    audience: str
    entry_object_id: ClaimedObjectId | None
    principal_object_id: PrincipalObjectId | None
    application_object_id: ApplicationObjectId | None
    granted: bool | None
    switched_on: bool | None
    smtp_auth_disabled_mailbox: bool | None  # None also means: as the tenant has it
    smtp_auth_disabled_tenant: bool | None
    upn: str | None
    address: str
    plan_empty: bool
    app_id: AppId | None = None
    login: str = ""
    tenant_id: str = ""
    token_length: int = 0
    ids: Mapping[str, str] = field(default_factory=dict)
    consented: bool | None = None
    denied: bool = False
    rights: frozenset[str] = frozenset()
    holders: tuple[str, ...] = ()
    no_mailbox: str = ""
    no_mailbox_fix: str = ""
    sender: str = ""
    send_as: bool | None = None
    since: Since = Since()
    consent_since: Since = Since()
    access: Literal["application", "delegated"] = "application"
    rbac: bool = False
    in_scope: bool | None = None
    scope: str = ""

    @property
    def open(self) -> bool | None:
        """Whether the protocol is on for the mailbox; for SMTP the mailbox's own setting wins over the tenant's."""
        if self.protocol != "smtp":
            return self.switched_on
        own = self.smtp_auth_disabled_mailbox
        off = self.smtp_auth_disabled_tenant if own is None else own
        return None if off is None else not off


@dataclass(frozen=True)
class TokenFacts:
    """A token that was not issued. ``code`` is Entra's, as AADSTS7000215, empty where it said none; ``missing``: nothing
    is saved; ``elsewhere``: the credential works on another machine only; ``unreachable``: no usable answer came.
    ``secrets`` are the application's own, as Graph shows them."""

    code: str
    what: str
    hint: str
    now: datetime
    credential: SavedCredential
    secrets: tuple[Secret, ...] = ()
    missing: bool = False
    elsewhere: bool = False
    unreachable: bool = False
    enabled: bool | None = None  # the enterprise application's accountEnabled
    roles: bool | None = None  # whether any of Exchange's roles is assigned
    made: bool = True  # there is an application
    made_at: datetime | None = None


@dataclass(frozen=True)
class Diagnosis:
    """``row`` is the id of the symptom's row, empty if the table has none. ``key`` names the cause, empty where nothing is
    wrong. ``evidence``: what was found, from the outside in. ``depth``: how far in the cause lies. ``age``: seconds since
    what the login needs was set, None where that is not known."""

    cause: str
    fix: str
    too_early: bool = False
    row: str = ""
    key: Key = ""
    depth: int = 0
    evidence: tuple[str, ...] = ()
    age: float | None = None
