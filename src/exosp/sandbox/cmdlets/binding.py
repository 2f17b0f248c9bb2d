"""Bind what a client sends to a cmdlet's parameters, held against the vendor's help (schema/cmdlets.json).

As PowerShell's ParameterBinderController does: names without case, by alias or unambiguous prefix; positions; types;
parameter sets; mandatory ones. A parameter that is not in the table, or not in Exchange Online, does not exist.
Conversions are those of the types that emulated cmdlets use. It looks at no state and runs nothing.
"""

import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

from .outcome import BINDING, Failure, binding, not_emulated, transformation

# Where the help is wrong about itself: the examples never give -ServiceId, and the text says it is deprecated.
NOT_MANDATORY = {("New-ServicePrincipal", "ServiceId")}
# $null means "as the organization has it" (Set-CASMailbox, -SmtpClientAuthenticationDisabled).
NULLABLE = {("Set-CASMailbox", "SmtpClientAuthenticationDisabled")}

# about_CommonParameters: name -> (alias, kind).
COMMON: dict[str, tuple[str, str]] = {
    "Verbose": ("vb", "SwitchParameter"), "Debug": ("db", "SwitchParameter"),
    "ErrorAction": ("ea", "ActionPreference"), "WarningAction": ("wa", "ActionPreference"),
    "InformationAction": ("infa", "ActionPreference"), "ProgressAction": ("proga", "ActionPreference"),
    "ErrorVariable": ("ev", "String"), "WarningVariable": ("wv", "String"), "InformationVariable": ("iv", "String"),
    "OutVariable": ("ov", "String"), "OutBuffer": ("ob", "Int32"), "PipelineVariable": ("pv", "String"),
}  # fmt: skip

_RECIPIENT_KINDS = (
    "DiscoveryMailbox", "EquipmentMailbox", "GroupMailbox", "LegacyMailbox", "LinkedMailbox", "LinkedRoomMailbox",
    "MailContact", "MailNonUniversalGroup", "MailUniversalDistributionGroup", "MailUniversalSecurityGroup", "MailUser",
    "DynamicDistributionGroup", "GuestMailUser", "PublicFolder", "PublicFolderMailbox", "RoomList", "RoomMailbox",
    "SchedulingMailbox", "SharedMailbox", "TeamMailbox", "User", "UserMailbox",
)  # fmt: skip

# Enumerations by type, with their .NET names; members from the cmdlets' help.
ENUMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "ActionPreference": ("System.Management.Automation.ActionPreference",
        ("SilentlyContinue", "Stop", "Continue", "Inquire", "Ignore", "Suspend", "Break")),
    "MailboxRights": ("Microsoft.Exchange.Management.RecipientTasks.MailboxRights",
        ("FullAccess", "ExternalAccount", "DeleteItem", "ReadPermission", "ChangePermission", "ChangeOwner")),
    "ActiveDirectorySecurityInheritance": ("System.DirectoryServices.ActiveDirectorySecurityInheritance",
        ("None", "All", "Descendents", "SelfAndChildren", "Children")),
    "ExchangeEnvironment": ("Microsoft.Exchange.Management.RestApiClient.ExchangeEnvironment",
        ("O365China", "O365Default", "O365GermanyCloud", "O365USGovDoD", "O365USGovGCCHigh")),
    "RecipientTypeDetails": ("Microsoft.Exchange.Data.Directory.Recipient.RecipientTypeDetails", _RECIPIENT_KINDS),
    "PropertySet": ("Microsoft.Exchange.Management.RestApiClient.PropertySet",
        ("All", "Minimum", "AddressList", "Archive", "Audit", "Custom", "Delivery", "Hold", "Moderation", "Move",
         "Policy", "PublicFolder", "Quota", "Resource", "Retention", "SCL", "SoftDelete", "StatisticsSeed")),
}  # fmt: skip


class SecureString:
    """A SecureString that arrived: it converts to nothing but its type's name. Only a parameter of its own type sees what
    it holds."""

    def __init__(self, held: str = "") -> None:
        self._held = held

    def reveal(self) -> str:
        return self._held


@dataclass(frozen=True)
class Thing:
    """A complex object that arrived: what it prints as, and its properties."""

    text: str
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Parameter:
    name: str
    type: str
    aliases: tuple[str, ...] = ()
    position: int | None = None
    pipeline: bool = False
    sets: frozenset[str] = frozenset()  # empty: all


@dataclass(frozen=True)
class Spec:
    """A cmdlet as the help describes it for Exchange Online. ``mandatory``: by parameter set, in the syntax's order."""

    name: str
    parameters: dict[str, Parameter]
    mandatory: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"": ()})

    @cached_property
    def known(self) -> "dict[str, tuple[Parameter, bool]]":
        """Every name of a parameter, lower case, aliases after names, and whether it is a common one."""
        own = {p.name.lower(): (p, False) for p in self.parameters.values()}
        aliases = {alias.lower(): (p, False) for p in self.parameters.values() for alias in p.aliases}
        for key, (alias, kind) in COMMON.items():
            own.setdefault(key.lower(), (Parameter(key, kind), True))
            aliases.setdefault(alias, own[key.lower()])
        return aliases | own


@dataclass(frozen=True)
class Bound:
    """The outcome: values by parameter name, common parameters apart, and what pipeline input must still supply."""

    spec: Spec
    values: dict[str, Any]
    common: dict[str, Any]
    awaited: tuple[str, ...] = ()


@cache
def schema() -> dict[str, Any]:
    """The vendor's table: cmdlet name -> entry."""
    text = files("exosp.sandbox").joinpath("schema", "cmdlets.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)["cmdlets"]
    return table


@cache
def spec(name: str) -> Spec:
    """The cmdlet of that exact name. KeyError where the table has none."""
    entry = schema()[name]
    parameters = {
        key: Parameter(
            key,
            row["type"],
            tuple(row["aliases"]),
            int(row["position"]) if str(row["position"]).isdigit() else None,
            bool(row["pipeline"]),
            frozenset() if row["sets"] == ["(All)"] else frozenset(row["sets"]),
        )
        for key, row in entry["parameters"].items()
        if row["online"]
    }
    mandatory = {
        set_name.removesuffix(" (Default)"): tuple(
            key
            for key in _mandatory(name, syntax)
            if (name, key) not in NOT_MANDATORY and entry["parameters"].get(key, {}).get("online", True)
        )
        for set_name, syntax in entry["syntax"].items()
        if not _offline_only(entry, syntax, name)
    }
    return Spec(name, parameters, mandatory)


def _mandatory(name: str, syntax: str) -> list[str]:
    """The parameters that a line of syntax does not wrap in brackets as a whole: ``-A <T>`` and ``[-A] <T>``."""
    rest = syntax.removeprefix(name)
    rest = re.sub(r"\[\[-\w+\] <[^>]*>\]|\[-\w+ <[^>]*>\]|\[<CommonParameters>\]", "", rest)
    return [bracketed or bare for bracketed, bare in re.findall(r"(?:\[-(\w+)\]|-(\w+)) <", rest)]


def _offline_only(entry: dict[str, Any], syntax: str, name: str) -> bool:
    """A set that needs a parameter which Exchange Online does not have."""
    return any(not entry["parameters"].get(key, {}).get("online", True) for key in _mandatory(name, syntax))


def bind(
    cmdlet: Spec,
    supplied: Sequence[tuple[str | None, Any]],
    emulated: frozenset[str],
    sets: frozenset[str] = frozenset(),
    *,
    piped: bool = False,
) -> Bound:
    """Bind a command's parameters. ``emulated`` and ``sets``: the parameters and parameter sets (empty: all) that this
    sandbox honours. ``piped``: objects will come by the pipeline. Raises Failure."""
    values: dict[str, Any] = {}
    common: dict[str, Any] = {}
    positional: list[Any] = []
    for name, value in supplied:
        if name is None:
            positional.append(value)
            continue
        parameter, is_common = find(cmdlet, name)
        into = common if is_common else values
        if parameter.name in into:
            raise binding(
                f"Cannot bind parameter because parameter '{parameter.name}' is specified more than once. To provide "
                "multiple values to parameters that can accept multiple values, use the array syntax. For example, "
                '"-parameter value1,value2,value3".',
                "ParameterAlreadyBound",
            )
        into[parameter.name] = (parameter, value)
    places = sorted((p for p in cmdlet.parameters.values() if p.position is not None), key=lambda p: p.position or 0)
    for value in positional:
        place = next((p for p in places if p.name not in values), None)
        if place is None:
            raise binding(
                f"A positional parameter cannot be found that accepts argument '{to_string(value)}'.",
                "PositionalParameterNotFound",
            )
        values[place.name] = (place, value)
    for name in values:
        if name not in emulated:
            raise not_emulated(f"the parameter -{name} of {cmdlet.name}")
    converted = {name: convert(cmdlet, parameter, value) for name, (parameter, value) in values.items()}
    required = _required(cmdlet, converted, sets)
    missing = [name for name in required if name not in converted]
    awaited = tuple(name for name in missing if piped and cmdlet.parameters[name].pipeline)
    missing = [name for name in missing if name not in awaited]
    if missing:
        raise binding(
            f"Cannot process command because of one or more missing mandatory parameters: {' '.join(missing)}.",
            "MissingMandatoryParameter",
        )
    for name in required:
        if name in converted and converted[name] in (None, "", []):
            _refuse_empty(name, converted[name])
    return Bound(cmdlet, converted, {n: convert(cmdlet, p, v) for n, (p, v) in common.items()}, awaited)


def bind_input(bound: Bound, item: Any) -> dict[str, Any]:
    """The values for one object of the pipeline's input: by value, or by its property of the parameter's name.

    Raises a Failure that is not terminating where nothing takes the object.
    """
    free = [p for p in bound.spec.parameters.values() if p.pipeline and p.name not in bound.values]
    taken: dict[str, Any] = {}
    if isinstance(item, Thing) and item.properties:
        named = {key.lower(): value for key, value in item.properties.items()}
        for parameter in free:
            if parameter.name.lower() in named:
                taken[parameter.name] = convert(bound.spec, parameter, named[parameter.name.lower()])
    elif item is not None:
        by_value = next((p for p in free if p.name == "Identity"), None)
        if by_value is not None:
            taken[by_value.name] = convert(bound.spec, by_value, item)
    if not taken or any(name not in taken for name in bound.awaited):
        raise binding(
            "The input object cannot be bound to any parameters for the command either because the command does not "
            "take pipeline input or the input and its properties do not match any of the parameters that take "
            "pipeline input.",
            "InputObjectNotBound",
            terminating=False,
        )
    for name, value in taken.items():
        if value in (None, ""):
            _refuse_empty(name, value)
    return bound.values | taken


def _refuse_empty(name: str, value: Any) -> None:
    what, error_id = {
        None: ("null", "ParameterArgumentValidationErrorNullNotAllowed"),
        "": ("an empty string", "ParameterArgumentValidationErrorEmptyStringNotAllowed"),
    }.get(
        None if value is None else str(value),
        ("an empty array", "ParameterArgumentValidationErrorEmptyArrayNotAllowed"),
    )
    raise Failure(
        f"Cannot bind argument to parameter '{name}' because it is {what}.",
        error_id,
        types=("System.Management.Automation.ParameterBindingValidationException", *BINDING),
        category="InvalidData",
    )


def find(cmdlet: Spec, name: str) -> tuple[Parameter, bool]:
    """The parameter that a name means, and whether it is a common one. Raises Failure."""
    wanted = name.lstrip("-").rstrip(":").lower()
    exact = cmdlet.known.get(wanted)
    if exact is not None:
        return exact
    starts = [found for key, found in sorted(cmdlet.known.items()) if wanted and key.startswith(wanted)]
    names = sorted({found[0].name for found in starts})
    if len(names) == 1:
        return starts[0]
    if names:
        raise binding(
            f"Parameter cannot be processed because the parameter name '{name}' is ambiguous. Possible matches include: "
            f"{' '.join(f'-{n}' for n in names)}.",
            "AmbiguousParameter",
        )
    raise binding(f"A parameter cannot be found that matches parameter name '{name}'.", "NamedParameterNotFound")


def _required(cmdlet: Spec, values: dict[str, Any], sets: frozenset[str]) -> tuple[str, ...]:
    """The mandatory parameters of the set that the given ones select. Raises Failure where no set takes them all."""
    fitting = [
        (set_name, needed)
        for set_name, needed in cmdlet.mandatory.items()
        if (not sets or set_name in sets)
        and all(not p.sets or set_name in p.sets for p in (cmdlet.parameters[name] for name in values))
    ]
    if not fitting:
        raise binding("Parameter set cannot be resolved using the specified named parameters.", "AmbiguousParameterSet")
    # PowerShell takes the set that is satisfied; else it asks for what the nearest one lacks.
    return min((needed for _, needed in fitting), key=lambda needed: sum(name not in values for name in needed))


def to_string(value: Any) -> str:
    """A value as .NET prints it: everything converts to a string, a SecureString to its type's name."""
    match value:
        case None:
            return ""
        case SecureString():
            return "System.Security.SecureString"
        case Thing():
            return value.text
        case list():
            return " ".join(to_string(member) for member in value)
        case dict():
            return "System.Collections.Hashtable"
    return str(value)


def convert(cmdlet: Spec, parameter: Parameter, value: Any) -> Any:
    """The value as the parameter's type. Raises Failure."""
    kind = parameter.type.removeprefix("System.")
    if kind == "SwitchParameter":
        return True if value is None else _boolean(parameter, value, "System.Management.Automation.SwitchParameter")
    if kind == "Boolean":
        if value is None and (cmdlet.name, parameter.name) in NULLABLE:
            return None
        if value is None:
            _refuse_empty(parameter.name, None)
        return _boolean(parameter, value, "System.Boolean")
    if value is None:
        return None
    if kind.endswith("[]") or kind in ("MultiValuedProperty",):
        members = value if isinstance(value, list) else [value]
        member = Parameter(parameter.name, kind.removesuffix("[]") if kind.endswith("[]") else "String")
        return [convert(cmdlet, member, one) for one in members]
    if isinstance(value, list):
        raise binding(
            f"Cannot convert 'System.Object[]' to the type 'System.String' required by parameter '{parameter.name}'. "
            "Specified method is not supported.",
            "CannotConvertArgument",
        )
    if kind in ENUMS:
        return _enum(parameter, kind, value)
    if kind in ("Int32", "UInt32", "Unlimited"):
        return _number(parameter, kind, value)
    if kind == "Guid":
        return _guid(parameter, value)
    if kind == "SecureString":
        return value
    if isinstance(value, Thing) and kind.endswith("IdParameter"):
        return to_string(value.properties.get("Identity", value.text))
    return to_string(value)


def _boolean(parameter: Parameter, value: Any, kind: str) -> bool:
    if isinstance(value, bool | int | float):
        return bool(value)
    name = "System.Security.SecureString" if isinstance(value, SecureString) else "System.String"
    raise transformation(
        parameter.name,
        f'Cannot convert value "{name}" to type "{kind}". Boolean parameters accept only Boolean values and numbers, '
        "such as $True, $False, 1 or 0.",
    )


def _enum(parameter: Parameter, kind: str, value: Any) -> str:
    """A member by name or unambiguous beginning (EnumMinimumDisambiguation)."""
    type_name, members = ENUMS[kind]
    wanted = to_string(value).strip()
    exact = [m for m in members if m.lower() == wanted.lower()]
    matches = exact or [m for m in members if wanted and m.lower().startswith(wanted.lower())]
    if len(matches) == 1:
        return matches[0]
    raise transformation(
        parameter.name,
        f'Cannot convert value "{wanted}" to type "{type_name}". Error: "Unable to match the identifier name {wanted} to '
        "a valid enumerator name. Specify one of the following enumerator names and try again:\r\n"
        f'{", ".join(members)}"',
    )


def _number(parameter: Parameter, kind: str, value: Any) -> int | None:
    """A whole number; None for Unlimited."""
    text = to_string(value).strip()
    if kind == "Unlimited" and text.lower() == "unlimited":
        return None
    least = -(2**31) if kind == "Int32" else 0
    if re.fullmatch(r"[+-]?\d{1,10}", text) and least <= int(text) < 2**32 and not isinstance(value, bool):
        return int(text)
    type_name = "Microsoft.Exchange.Data.Unlimited`1[System.UInt32]" if kind == "Unlimited" else f"System.{kind}"
    raise transformation(
        parameter.name,
        f'Cannot convert value "{text}" to type "{type_name}". Error: "Input string was not in a correct format."',
    )


def _guid(parameter: Parameter, value: Any) -> str:
    text = to_string(value).strip()
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise transformation(
            parameter.name,
            f'Cannot convert value "{text}" to type "System.Guid". Error: "Guid should contain 32 digits with 4 dashes '
            '(xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx)."',
        ) from None
