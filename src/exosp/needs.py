"""What the one who runs exosp must be allowed: a row a write, and what reading takes. Data beside ``writes``; pure.

Sources: the permission tables of each method's page (learn.microsoft.com/graph/api/application-upsert, -post-serviceprincipals,
-application-addpassword, serviceprincipal-post-approleassignedto, -list-approleassignments, directory-deleteditems-list);
the vendor's cmdlet help, and "Permissions in Exchange Online" for the management role that holds a cmdlet.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from .plan import Plan
from .playbook import Playbook
from .writes import (
    AddMailboxPermission,
    AddRecipientPermission,
    AddSecret,
    AssignManagementRole,
    AssignRole,
    CreatePrincipal,
    DeleteApplication,
    ExchangeWrite,
    GraphWrite,
    NewManagementScope,
    NewServicePrincipal,
    RemoveAssignment,
    RemoveMailboxPermission,
    RemoveManagementRole,
    RemoveManagementScope,
    RemoveRecipientPermission,
    RemoveSaved,
    RemoveSecret,
    RemoveServicePrincipal,
    RestoreApplication,
    SetClientAccess,
    SetManagementScope,
    TagPrincipal,
    UpdateApplication,
    UpsertApplication,
)

Command = Literal["plan", "apply", "verify", "destroy", "audit"]
COMMANDS: tuple[Command, ...] = ("plan", "apply", "verify", "destroy", "audit")
Ways = tuple[frozenset[str], ...]  # each enough by itself, the least first


@dataclass(frozen=True)
class GraphRow:
    """``application``: for an application's own token; ``person``: delegated, and then a directory role as well."""

    application: Ways
    person: Ways


def _ways(*each: str) -> Ways:
    return tuple(frozenset(one.split(" and ")) for one in each)


OWNED = frozenset({"Application.ReadWrite.OwnedBy"})
_OWN = GraphRow(_ways("Application.ReadWrite.OwnedBy", "Application.ReadWrite.All"), _ways("Application.ReadWrite.All"))
_ANOTHER_S = GraphRow(  # an application that the playbook adopts; OwnedBy is enough for one that the caller owns
    _ways("Application.ReadWrite.OwnedBy", "Application.ReadWrite.All"), _ways("Application.ReadWrite.All")
)
_CONSENT = GraphRow(
    *(_ways(
        "AppRoleAssignment.ReadWrite.All and Application.Read.All",
        "AppRoleAssignment.ReadWrite.All and Directory.Read.All",
        "AppRoleAssignment.ReadWrite.All and Application.ReadWrite.All",
    ),) * 2
)  # fmt: skip
READS = GraphRow(*(_ways("Application.Read.All", "Directory.Read.All", "Application.ReadWrite.All"),) * 2)
# What an audit reads of the directory. All of it is view-only. Without the last two it goes on, and says what it did not see.
AUDITS: tuple[tuple[str, Ways, bool], ...] = (
    ("reading applications, their roles and owners", READS.application, False),
    ("reading delegated grants", _ways("Directory.Read.All"), False),  # oauth2permissiongrant-list: nothing smaller
    ("reading when applications were last used, and who changed them", _ways("AuditLog.Read.All"), True),
    ("reading the tenant's security defaults", _ways("Policy.Read.All"), True),
)

GRAPH: Mapping[type[GraphWrite], GraphRow] = {
    UpsertApplication: _OWN,
    UpdateApplication: _ANOTHER_S,
    CreatePrincipal: _OWN,
    TagPrincipal: _OWN,
    AssignRole: _CONSENT,
    AddSecret: _OWN,
    RemoveSecret: _OWN,
    RemoveAssignment: _CONSENT,
    DeleteApplication: _OWN,
    RestoreApplication: _OWN,
}
TIER_0 = "AppRoleAssignment.ReadWrite.All"  # whoever holds it can give itself anything

EXCHANGE: Mapping[type[ExchangeWrite], str] = {
    NewServicePrincipal: "New-ServicePrincipal",
    RemoveServicePrincipal: "Remove-ServicePrincipal",
    AddMailboxPermission: "Add-MailboxPermission",
    RemoveMailboxPermission: "Remove-MailboxPermission",
    AddRecipientPermission: "Add-RecipientPermission",
    RemoveRecipientPermission: "Remove-RecipientPermission",
    SetClientAccess: "Set-CASMailbox",
    NewManagementScope: "New-ManagementScope",
    SetManagementScope: "Set-ManagementScope",
    RemoveManagementScope: "Remove-ManagementScope",
    AssignManagementRole: "New-ManagementRoleAssignment",
    RemoveManagementRole: "Remove-ManagementRoleAssignment",
}
# Read for a playbook, by the management role that each is copied from, the narrowest that holds it.
CMDLET_ROLE: Mapping[str, str] = {
    "Get-ServicePrincipal": "Role Management",
    "New-ServicePrincipal": "Role Management",
    "Remove-ServicePrincipal": "Role Management",
    "Get-Mailbox": "Mail Recipients",
    "Get-Recipient": "Mail Recipients",
    "Get-MailboxPermission": "Mail Recipients",
    "Get-RecipientPermission": "Mail Recipients",
    "Get-CASMailbox": "Mail Recipients",
    "Add-MailboxPermission": "Mail Recipients",
    "Remove-MailboxPermission": "Mail Recipients",
    "Add-RecipientPermission": "Mail Recipients",
    "Remove-RecipientPermission": "Mail Recipients",
    "Set-CASMailbox": "Mail Recipients",
    "Get-TransportConfig": "View-Only Configuration",
    "Get-OrganizationConfig": "View-Only Configuration",
    "Get-DistributionGroup": "View-Only Recipients",
    "Get-UnifiedGroup": "View-Only Recipients",
    "Get-ManagementScope": "Role Management",
    "New-ManagementScope": "Role Management",
    "Set-ManagementScope": "Role Management",
    "Remove-ManagementScope": "Role Management",
    "Get-ManagementRoleAssignment": "Role Management",
    "New-ManagementRoleAssignment": "Role Management",
    "Remove-ManagementRoleAssignment": "Role Management",
    "Test-ServicePrincipalAuthorization": "Role Management",
}
READ_CMDLETS = (
    "Get-ServicePrincipal",
    "Get-Mailbox",
    "Get-MailboxPermission",
    "Get-RecipientPermission",
    "Get-CASMailbox",
)
# What an audit runs, by the view-only role that holds each (Permissions in Exchange Online; Search-UnifiedAuditLog's help). The
# audit log and folders it can do without.
VIEW_ROLE: Mapping[str, str] = {
    "Get-Mailbox": "View-Only Recipients",
    "Get-MailboxPermission": "View-Only Recipients",
    "Get-RecipientPermission": "View-Only Recipients",
    "Get-CASMailbox": "View-Only Recipients",
    "Get-ServicePrincipal": "View-Only Configuration",
    "Get-TransportConfig": "View-Only Configuration",
    "Get-OrganizationConfig": "View-Only Configuration",
    "Get-AuthenticationPolicy": "View-Only Configuration",
    "Get-ApplicationAccessPolicy": "View-Only Configuration",
    "Get-ManagementRoleAssignment": "View-Only Configuration",
    "Get-ManagementScope": "View-Only Configuration",
    "Get-User": "View-Only Recipients",
    "Get-MailboxFolderPermission": "View-Only Recipients",
    "Search-UnifiedAuditLog": "View-Only Audit Logs",
}
AUDIT_CMDLETS = tuple(VIEW_ROLE)
# Only where an audit is asked for that, which it goes on without.
DISPENSABLE: Mapping[str, str] = {
    "Search-UnifiedAuditLog": "reading the audit log",
    "Get-MailboxFolderPermission": "reading folders' permissions",
}
# Read besides where SMTP goes by RBAC for Applications. Where it does not, roles are read too, but nothing hangs on it.
SCOPE_CMDLETS = (
    "Get-ManagementRoleAssignment",
    "Get-ManagementScope",
    "Get-OrganizationConfig",
    "Test-ServicePrincipalAuthorization",
)
GROUP_CMDLETS = ("Get-DistributionGroup", "Get-UnifiedGroup")
MANAGE = "Exchange.ManageAsApp"  # what lets an application's token connect at all


@dataclass(frozen=True)
class Need:
    """One right, any of ``ways``. ``what_for`` is for people. ``others_can``: without it the command goes on, and says
    whose turn it is. ``partial``: without it it goes on, and says what it did not see."""

    service: Literal["graph", "exchange"]
    ways: Ways
    what_for: str
    others_can: bool = False
    partial: bool = False
    of_owner: bool = False  # ``Application.ReadWrite.OwnedBy`` is enough for an application of the caller's own alone

    @property
    def least(self) -> frozenset[str]:
        return self.ways[0]


def of(
    command: Command, want: Playbook | None, found: Plan | None, *, person: bool, by_host: bool = False
) -> tuple[Need, ...]:
    """All that a command needs, reading first. Where ``found`` is known the writes are its own: an empty plan needs none.
    Else they are those that the playbook, or any playbook, could make. ``by_host``: a management host connects to Exchange with
    a certificate of its own."""
    kinds = _planned(found) if found is not None else _possible(command, want)
    return (
        *_reading(command, want, connects=not person and not by_host, person=person),
        *_writing(kinds, person=person),
    )


def _planned(found: Plan) -> "dict[type[object], int]":
    kinds: dict[type[object], int] = {}
    for change in found.changes:
        for write in change.writes:
            kinds[type(write)] = kinds.get(type(write), 0) + 1
    return kinds


def _possible(command: Command, want: Playbook | None) -> "dict[type[object], int]":
    sends = want is None or any(box.send_as for box in want.boxes)
    adopts = want is not None and want.app.id is not None
    kinds: list[type[object]] = []
    if command == "apply":
        kinds = [UpdateApplication if adopts else UpsertApplication, CreatePrincipal, AssignRole, AddSecret]
        kinds += [NewServicePrincipal, AddMailboxPermission, *([AddRecipientPermission] if sends else [])]
        kinds += [SetClientAccess]
        kinds += [NewManagementScope, AssignManagementRole] if want is not None and want.smtp is not None else []
    elif command == "destroy":
        kinds = [RemoveSecret, DeleteApplication, RemoveAssignment, RemoveServicePrincipal, RemoveMailboxPermission]
        kinds += [RemoveRecipientPermission, SetClientAccess]
        kinds += [RemoveManagementScope, RemoveManagementRole] if want is not None and want.smtp is not None else []
    return dict.fromkeys(kinds, 0)


def _reading(command: Command, want: Playbook | None, *, connects: bool, person: bool) -> "Iterable[Need]":
    if command == "audit":
        for what, ways, partial in AUDITS:
            yield Need("graph", ways, what, partial=partial)
    else:
        yield Need("graph", READS.person if person else READS.application, "reading the directory")
    if connects:
        yield Need("exchange", (frozenset((MANAGE,)),), "connecting to Exchange as an application")
    if command == "audit":
        for name in AUDIT_CMDLETS:
            what = DISPENSABLE.get(name, "reading Exchange")
            yield Need("exchange", (frozenset((name,)),), what, partial=name in DISPENSABLE)
        return
    smtp = want is None or "smtp" in want.needed()
    scope = want.smtp if want is not None else None
    names = [*READ_CMDLETS, *(("Get-TransportConfig",) if smtp else ()), *(SCOPE_CMDLETS if scope else ())]
    names += GROUP_CMDLETS if scope is not None and scope.kind == "group" else ()
    for name in names:
        yield Need("exchange", (frozenset((name,)),), "reading Exchange")


def _writing(kinds: "Mapping[type[object], int]", *, person: bool) -> "Iterable[Need]":
    by_row: dict[int, tuple[GraphRow, list[str]]] = {}
    for kind, count in kinds.items():
        if kind is RemoveSaved:
            continue
        times = f" ({count})" if count > 1 else ""
        if kind in EXCHANGE:
            yield Need("exchange", (frozenset((EXCHANGE[kind],)),), f"{said(kind)}{times}")  # type: ignore[index]  # it is in it
        else:
            row = GRAPH[kind]  # type: ignore[index]  # every other write is Graph's; a test holds it
            by_row.setdefault(id(row), (row, []))[1].append(f"{said(kind)}{times}")
    for row, words in by_row.values():
        ways = row.person if person else row.application
        yield Need("graph", ways, ", ".join(words), others_can=row is _CONSENT, of_owner=ways[0] == OWNED)


def said(kind: type[object]) -> str:
    """A write's class in words: CreatePrincipal, create principal."""
    name = kind.__name__
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()
