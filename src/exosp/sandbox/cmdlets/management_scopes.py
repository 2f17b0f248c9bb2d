"""Management scopes and Enable-OrganizationCustomization. Sources: the cmdlets' help; FACTS §3, §13; for the refusal of a second
scope with the same filter a field script's comment (the words are known from its French form only).

Not imitated: -RecipientRoot, -Exclusive, scopes of servers and databases, and the minutes that customizing takes.
"""

import uuid
from collections.abc import Iterator

from .. import rbac, recipient_filter
from ..exchange import Row
from . import lookup
from .outcome import Failure, Item, Output
from .session import Call, Cmdlet, exchange_error

TYPES = ("Deserialized.Microsoft.Exchange.Data.Directory.SystemConfiguration.ManagementScope", "System.Object")
LONGEST_NAME = 64  # New-ManagementScope's and New-ManagementRoleAssignment's help
_TASKS = "Microsoft.Exchange.Configuration.Tasks"


def refuse_long(call: Call, parameter: str) -> None:
    """Raise Failure for a name longer than the help allows."""
    text = call.text(parameter)
    if text is not None and len(text) > LONGEST_NAME:
        raise Failure(
            f"Cannot validate argument on parameter '{parameter}'. The character length of the {len(text)} argument is too "
            f'long. Shorten the character length of the argument so it is fewer than or equal to "{LONGEST_NAME}" '
            "characters, and then try the command again.",
            "ParameterArgumentValidationError",
            types=("System.Management.Automation.ParameterBindingValidationException", "System.Exception"),
            category="InvalidData",
        )


def refuse_taken(call: Call, kind: str, name: str) -> Failure:
    return exchange_error(
        call,
        "Microsoft.Exchange.Data.Directory.ADObjectAlreadyExistsException",
        f"The {kind} '{name}' already exists.",
        "Ex3C0E6B",
    )


def _item(row: Row) -> Item:
    properties = {name: value for name, value in row.properties.items() if not name.startswith("_")}
    return Item(TYPES, properties | {"Guid": uuid.UUID(str(row["Guid"]))}, row["Identity"])


def _filter(call: Call) -> str:
    """The filter as Exchange keeps it. Raises Failure."""
    try:
        return recipient_filter.stored(recipient_filter.parse(str(call.values["RecipientRestrictionFilter"])))
    except recipient_filter.FilterFault as fault:
        raise exchange_error(call, "Microsoft.Exchange.Data.ParsingException", str(fault), "ExA0C41F") from None


def one(call: Call, identity: str) -> Row:
    """The scope of that name, DN or GUID. Raises Failure."""
    wanted = identity.lower()
    for row in call.exchange.management_scopes:
        if wanted in {str(row[name]).lower() for name in ("Name", "DistinguishedName", "Guid")}:
            return row
    raise lookup.not_found(call, identity)


def _refuse_same(call: Call, held: str, besides: Row | None = None) -> None:
    for row in call.exchange.management_scopes:
        if row is not besides and str(row["RecipientFilter"]).lower() == held.lower():
            raise exchange_error(
                call,
                f"{_TASKS}.TaskInvalidOperationException",
                f"The management scope '{row['Name']}' has the same values for the recipient root, recipient filter, scope "
                "restriction type and exclusivity. Use that scope, or enter other values.",
                "Ex8D17C3",
            )


def new(call: Call) -> Iterator[Output]:
    refuse_long(call, "Name")
    name, held = str(call.values["Name"]), _filter(call)
    if call.exchange.scope(name) is not None:
        raise refuse_taken(call, "management scope", name)
    _refuse_same(call, held)
    if not call.confirm(f"Creating the management scope '{name}'.", high=False):
        return
    row = call.exchange.add_scope(name, held)
    yield _item(row)


def get(call: Call) -> Iterator[Output]:
    """All of them without -Identity; with an unknown one either all or an error, as every Get-* here."""
    identity, rows = call.text("Identity"), list(call.exchange.management_scopes)
    if identity is not None:
        try:
            rows = [one(call, identity)]
        except Failure:
            if not lookup.unknown_returns_all(call):
                raise
    for row in rows:
        yield _item(row)


def change(call: Call) -> Iterator[Output]:
    """A changed filter applies to every assignment with the scope (Set-ManagementScope's help)."""
    refuse_long(call, "Name")
    row = one(call, call.values["Identity"])
    held = _filter(call) if "RecipientRestrictionFilter" in call.values else str(row["RecipientFilter"])
    _refuse_same(call, held, row)
    name = call.text("Name") or str(row["Name"])
    taken = call.exchange.scope(name)
    if taken is not None and taken is not row:
        raise refuse_taken(call, "management scope", name)
    if call.confirm(f"Setting the management scope '{row['Name']}'.", high=False):
        for assignment in _users(call, row):
            rbac.changing(call.tenant, str(assignment["App"]))
            for column in ("_scope", "CustomRecipientWriteScope", "CustomResourceScope"):
                assignment.properties[column] = name
        row.properties.update({"RecipientFilter": held, "Name": name, "Identity": name, "Id": name})
    yield from ()


def _users(call: Call, scope: Row) -> list[Row]:
    """The assignments that the scope narrows."""
    return [
        row
        for row in call.exchange.management_role_assignments
        if row["RecipientWriteScope"] == "CustomRecipientScope"
        and str(row["_scope"]).lower() == str(scope["Name"]).lower()
    ]


def remove(call: Call) -> Iterator[Output]:
    """Not one that an assignment uses ("You can't remove a scope if it's associated with a management role assignment")."""
    row = one(call, call.values["Identity"])
    used = _users(call, row)
    if used:
        raise exchange_error(
            call,
            f"{_TASKS}.TaskInvalidOperationException",
            f"The management scope '{row['Name']}' can't be removed because it's associated with the management role "
            f"assignment '{used[0]['Name']}'.",
            "Ex6E42B8",
        )
    if call.confirm(f"Removing the management scope '{row['Name']}'.", high=True):
        call.exchange.management_scopes.remove(row)
    yield from ()


def enable_customization(call: Call) -> Iterator[Output]:
    exchange = call.exchange
    if not exchange.dehydrated():
        raise exchange_error(
            call,
            f"{_TASKS}.TaskInvalidOperationException",
            "This operation isn't needed: the organization is already enabled for customization.",
            "Ex1F70AD",
        )
    if call.confirm("Enabling customization of the organization.", high=False):
        exchange.customized = True
    yield from ()


_ASK = frozenset({"Confirm", "WhatIf"})
_FILTERED = frozenset({"RecipientFilter"})
CMDLETS = {
    "New-ManagementScope": Cmdlet(new, _ASK | {"Name", "RecipientRestrictionFilter"}, _FILTERED),
    "Get-ManagementScope": Cmdlet(get, frozenset({"Identity"})),
    "Set-ManagementScope": Cmdlet(change, _ASK | {"Identity", "Name", "RecipientRestrictionFilter"}, _FILTERED),
    "Remove-ManagementScope": Cmdlet(remove, _ASK | {"Identity"}),
    "Enable-OrganizationCustomization": Cmdlet(enable_customization, _ASK),
}
