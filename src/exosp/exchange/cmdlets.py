"""Cmdlets as data: the ones exosp can send with the parameters it may give them, what comes back, and the one method
through which they are run. Nothing is sent here, and no cmdlet or parameter outside ``CMDLETS`` can be named.

Source of names, types and pipeline input: the vendor's cmdlet help (MicrosoftDocs/office-docs-powershell, August 2026).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from ..tenant import Failed, Unknown

Kind = Literal["string", "bool", "bool-or-null", "switch", "list", "secret", "secure"]
Row = Mapping[str, object]

CHUNK = 100  # items a pipeline: large enough to save round trips, small enough to lose little when one breaks

# A row is joined on the first of these groups of properties of which it shows any. What only one object can have
# stands before what two can share: a mailbox may be named like another one's address.
_BY_ADDRESS = (("EmailAddresses", "PrimarySmtpAddress", "UserPrincipalName", "WindowsLiveID"),)
_BY_IDENTITY = (("Identity",),)
_BY_ID = (
    ("ExternalDirectoryObjectId",),
    ("Guid", "DistinguishedName"),
    ("PrimarySmtpAddress", "EmailAddresses"),
    ("Identity", "Id", "Name"),
)

_RECIPIENTS = "Mail Recipients"
_ROLES = "Role Management"
_VIEW_ROLES = "View-Only Configuration or Role Management"
_VIEW_RECIPIENTS = "View-Only Recipients or Mail Recipients"


@dataclass(frozen=True)
class Spec:
    """What the help says of a cmdlet, as far as exosp uses it.

    ``over``: the parameter that takes pipeline input. ``join``: see above. ``shared``: rows are joined by address and
    show all of their addresses, so one row may answer several items, and a row that matches no item answers none.
    ``alone``: rows name no item, so no two share a pipeline or a request of a batch: ``over`` is a parameter of each.
    ``role``: the management role that holds the cmdlet (FACTS: a cmdlet the caller may not run does not exist).
    ``audit``: parameters that an audit alone gives; ``audits``: so is the whole cmdlet, and nothing else demands it."""

    parameters: Mapping[str, Kind]
    over: str | None = None
    join: tuple[tuple[str, ...], ...] = ()
    shared: bool = False
    alone: bool = False
    role: str = ""
    audit: Mapping[str, Kind] = field(default_factory=dict)
    audits: bool = False

    def kind(self, parameter: str) -> Kind | None:
        """What a parameter takes; None where there is none of that name."""
        return self.parameters.get(parameter) or self.audit.get(parameter)


CMDLETS: Mapping[str, Spec] = {
    "Connect-ExchangeOnline": Spec(
        {"AccessToken": "secret", "Organization": "string", "DelegatedOrganization": "string", "UserPrincipalName": "string",
         "AppId": "string", "CertificateThumbprint": "string", "ExchangeEnvironmentName": "string", "CommandName": "list",
         "ShowBanner": "switch", "SkipLoadingFormatData": "switch"},
    ),
    "Disconnect-ExchangeOnline": Spec({"Confirm": "switch"}),
    # A constrained endpoint's own (templates/host.ps1); the token goes as a SecureString.
    "Connect-Exosp": Spec(
        {"Token": "secure", "Organization": "string", "DelegatedOrganization": "string", "UserPrincipalName": "string",
         "ExchangeEnvironmentName": "string"},
    ),
    "Disconnect-Exosp": Spec({}),
    "Get-ExospCommand": Spec({}),
    "Get-Command": Spec({"Name": "list"}),  # what an endpoint of somebody's making offers
    "Get-ServicePrincipal": Spec({"Identity": "string"}, role="Role Management"),
    "New-ServicePrincipal": Spec(
        {"AppId": "string", "ObjectId": "string", "DisplayName": "string"}, role="Role Management"
    ),
    "Remove-ServicePrincipal": Spec({"Identity": "string", "Confirm": "switch"}, role="Role Management"),
    "Get-Mailbox": Spec(
        {"Identity": "string", "ResultSize": "string", "SoftDeletedMailbox": "switch", "GroupMailbox": "switch"},
        over="Identity", join=_BY_ADDRESS, shared=True, role=_VIEW_RECIPIENTS,
    ),
    "Get-Recipient": Spec(
        {"Identity": "string", "ResultSize": "string"},
        over="Identity", join=_BY_ADDRESS, shared=True, role=_VIEW_RECIPIENTS,
    ),
    "Get-MailboxPermission": Spec(
        {"Identity": "string", "ResultSize": "string", "User": "string"}, over="Identity", join=_BY_IDENTITY, role=_VIEW_RECIPIENTS,
        audit={"IncludeUnresolvedPermissions": "switch", "SoftDeletedMailbox": "switch", "GroupMailbox": "switch"},
    ),
    "Add-MailboxPermission": Spec(
        {"Identity": "string", "User": "string", "AccessRights": "list", "AutoMapping": "bool"},
        over="Identity", join=_BY_IDENTITY, role=_RECIPIENTS,
    ),
    "Remove-MailboxPermission": Spec(
        {"Identity": "string", "User": "string", "AccessRights": "list", "Confirm": "switch"},
        over="Identity", join=_BY_IDENTITY, role=_RECIPIENTS,
    ),
    "Get-RecipientPermission": Spec(
        {"Identity": "string", "ResultSize": "string", "Trustee": "string"}, over="Identity", join=_BY_IDENTITY, role=_VIEW_RECIPIENTS
    ),
    "Add-RecipientPermission": Spec(
        {"Identity": "string", "Trustee": "string", "AccessRights": "list", "Confirm": "switch"},
        over="Identity", join=_BY_IDENTITY, role=_RECIPIENTS,
    ),
    "Remove-RecipientPermission": Spec(
        {"Identity": "string", "Trustee": "string", "AccessRights": "list", "Confirm": "switch"},
        over="Identity", join=_BY_IDENTITY, role=_RECIPIENTS,
    ),
    "Get-CASMailbox": Spec(
        {"Identity": "string", "ResultSize": "string"}, over="Identity", join=_BY_ID, role=_VIEW_RECIPIENTS
    ),
    "Set-CASMailbox": Spec(
        {"Identity": "string", "ImapEnabled": "bool", "PopEnabled": "bool",
         "SmtpClientAuthenticationDisabled": "bool-or-null"},
        over="Identity", join=_BY_ID, role=_RECIPIENTS,
    ),
    "Get-TransportConfig": Spec({}, role="View-Only Configuration"),
    # RBAC for Applications
    "Get-OrganizationConfig": Spec({}, role="View-Only Configuration"),
    "Get-DistributionGroup": Spec({"Identity": "string", "ResultSize": "string"}, role=_VIEW_RECIPIENTS),
    "Get-UnifiedGroup": Spec({"Identity": "string", "ResultSize": "string"}, role=_VIEW_RECIPIENTS),
    "Get-ManagementScope": Spec({}, role=_VIEW_ROLES),
    "New-ManagementScope": Spec({"Name": "string", "RecipientRestrictionFilter": "string"}, role=_ROLES),
    "Set-ManagementScope": Spec({"Identity": "string", "RecipientRestrictionFilter": "string"}, role=_ROLES),
    "Remove-ManagementScope": Spec({"Identity": "string", "Confirm": "switch"}, role=_ROLES),
    "Get-ManagementRoleAssignment": Spec(
        {"Identity": "string", "RoleAssignee": "string"}, role=_VIEW_ROLES
    ),
    "New-ManagementRoleAssignment": Spec(
        {"Name": "string", "Role": "string", "App": "string", "CustomResourceScope": "string",
         "RecipientAdministrativeUnitScope": "string"}, role=_ROLES,
    ),
    "Remove-ManagementRoleAssignment": Spec({"Identity": "string", "Confirm": "switch"}, role=_ROLES),
    "Test-ServicePrincipalAuthorization": Spec(
        {"Identity": "string", "Resource": "string"}, over="Resource", alone=True, role=_ROLES
    ),
    # An audit's own
    "Get-User": Spec({"Identity": "string", "ResultSize": "string"}, role=_VIEW_RECIPIENTS, audits=True),
    "Get-MailboxFolderPermission": Spec(
        {"Identity": "string", "ResultSize": "string", "User": "string"}, role=_VIEW_RECIPIENTS, audits=True
    ),
    "Get-AuthenticationPolicy": Spec({}, role="View-Only Configuration", audits=True),
    "Get-ApplicationAccessPolicy": Spec({}, role="View-Only Configuration", audits=True),
    "Search-UnifiedAuditLog": Spec(
        {"StartDate": "string", "EndDate": "string", "Operations": "list", "SessionId": "string",
         "SessionCommand": "string", "ResultSize": "string"}, role="View-Only Audit Logs or Audit Logs", audits=True,
    ),
}  # fmt: skip

OURS = tuple(name for name, spec in CMDLETS.items() if spec.role and not spec.audits)  # what a session must offer
READS = tuple(
    name for name, spec in CMDLETS.items() if spec.role and name.startswith(("Get-", "Search-"))
)  # an audit's

_PYTHON: Mapping[Kind, tuple[type, ...]] = {
    "string": (str,), "secret": (str,), "secure": (str,), "bool": (bool,), "bool-or-null": (bool, type(None)), "switch": (bool,),
    "list": (tuple, list),
}  # fmt: skip


@dataclass(frozen=True, repr=False)
class Cmdlet:
    """One cmdlet with its parameters. ``over`` names the parameter that items are piped into, None for no input.

    Raises LookupError or TypeError for what the table does not know: that is a bug, never a user's doing."""

    name: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    over: str | None = None

    def __post_init__(self) -> None:
        spec = CMDLETS.get(self.name)
        if spec is None:
            raise LookupError(f"{self.name} is no cmdlet exosp uses")
        if self.over is not None and self.over != spec.over:
            raise LookupError(f"{self.name} takes no pipeline input by {self.over}")
        for name, value in self.parameters.items():
            kind = spec.kind(name)
            if kind is None:
                raise LookupError(f"{self.name} has no parameter {name} that exosp uses")
            if not isinstance(value, _PYTHON[kind]):
                raise TypeError(f"{self.name} -{name} is a {kind}, not a {type(value).__name__}")
            if name == self.over:
                raise LookupError(f"{self.name} is given {name} by pipeline and as a parameter")

    @property
    def spec(self) -> Spec:
        return CMDLETS[self.name]

    def about(self, item: "Item") -> "Cmdlet":
        """The same without input, asked about one item."""
        assert self.over is not None, "only what takes input has items"
        return Cmdlet(self.name, {**self.parameters, self.over: item.send})

    def values(self) -> frozenset[str]:
        """The texts among the parameters' values, lower case: an error that names one of these names no item."""
        return frozenset(str(value).lower() for value in self.parameters.values() if isinstance(value, str))

    def __str__(self) -> str:
        """As a person would type it, secrets left out; of the cmdlets to load, their number."""
        return " ".join([self.name, *(self._shown(name, value) for name, value in self.parameters.items())])

    def __repr__(self) -> str:
        return f"Cmdlet({self})"

    def _shown(self, name: str, value: object) -> str:
        match self.spec.kind(name):
            case "secret" | "secure":
                return f"-{name} …"
            case "switch":
                return f"-{name}" if value else f"-{name}:$false"
            case "bool" | "bool-or-null":
                return f"-{name} ${'null' if value is None else str(value).lower()}"
            case "list" if isinstance(value, tuple | list):
                if name == "CommandName" and len(value) > 3:  # ours, always the same
                    return f"-{name} {value[0]},… ({len(value)} in all)"
                return f"-{name} {','.join(map(str, value))}"
            case _:
                return f"-{name} {value}"


@dataclass(frozen=True)
class Item:
    """One piece of pipeline input: the text that is sent, and every text by which a row may name the same thing,
    lower case, read beforehand. ``anchor``: an address of the mailbox it is, where it is known to be one: a remoting that
    chooses the server itself finds that mailbox's own by it."""

    send: str
    known_as: frozenset[str]
    anchor: str = ""


@dataclass(frozen=True)
class Rows:
    """The rows of one item (of the whole pipeline, where there were no items) and the warnings that are surely its."""

    rows: tuple[Row, ...]
    warnings: tuple[str, ...] = ()


Answer = Rows | Failed | Unknown


class Remoting(Protocol):
    """How cmdlets reach Exchange."""

    def run(self, cmdlet: Cmdlet, items: Sequence[Item] = ()) -> Iterator[Answer]:
        """Run one cmdlet in one pipeline with all ``items`` as its input; callers send at most ``CHUNK`` at a time.

        Exactly one answer an item, in the items' order; without items, one in all. It blocks, never sleeps and never
        retries, and raises no CloudError: that a connection failed is each item's answer too.

        - ``Rows``: it took place; an empty one where the cmdlet shows nothing.
        - ``Failed``: this item was refused. ``Failed(Unreachable(may_have_happened=True))`` where the channel broke
          after the pipeline was sent, ``may_have_happened=False`` where nothing was sent.
        - ``Unknown``: something came back that is surely nobody's (``joining`` has the rules). Read before repeating.
        """
        ...


class Pages(Protocol):
    """The rows of one cmdlet, a page at a time. After a CloudError the next page may be asked for again: it goes on where it
    was, as far as the remoting can, else it begins anew and rows that were seen come once more."""

    def __iter__(self) -> "Pages": ...

    def __next__(self) -> Sequence[Row]: ...

    def close(self) -> None: ...


class Paging(Remoting, Protocol):
    """A remoting that hands out the rows of a list while the rest is under way."""

    def pages(self, cmdlet: Cmdlet, columns: Sequence[str] = ()) -> Pages:
        """Run a cmdlet without input. ``columns``: the properties that are needed, where the service can cut rows to
        them; more may come. A page raises CloudError, also where the list was cut short and where it ended in an error:
        who saw the end saw all. It waits for nothing but answers."""
        ...


_CUT_SHORT = re.compile(r"more results available|only the first [\d,.]+", re.IGNORECASE)
_ROUND = 1000  # ResultSize's default


def cut_short(warnings: Sequence[str], rows: int) -> str:
    """The warning that there are more rows than came; "" where none says so. A host may speak another language: any warning
    after so round a number of rows counts."""
    for text in warnings:
        if _CUT_SHORT.search(text) or (rows == _ROUND and text):
            return text
    return ""
