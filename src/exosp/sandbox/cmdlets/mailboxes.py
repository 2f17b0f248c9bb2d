"""The cmdlets that read recipients and organization settings, and Set-CASMailbox. Sources: their help; FACTS §2, §13.

Properties are those the vendor shows, in Exchange's names; Guid and ExchangeGuid are GUIDs, the other ids strings.
"""

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from ..exchange import Mailbox
from . import lookup
from .connection import unauthorized
from .outcome import Failure, Item, Output, Warn, not_emulated
from .session import Call, Cmdlet, exchange_error

_DATA = "Deserialized.Microsoft.Exchange.Data.Directory"
MAILBOX = (f"{_DATA}.Management.Mailbox", "System.Object")
_MAILBOX_ROW = (
    "Name", "Alias", "DisplayName", "Identity", "Id", "Guid", "ExchangeGuid", "ExternalDirectoryObjectId",
    "DistinguishedName", "UserPrincipalName", "PrimarySmtpAddress", "WindowsEmailAddress", "EmailAddresses",
    "RecipientType", "RecipientTypeDetails", "IsMailboxEnabled", "OrganizationalUnit", "GrantSendOnBehalfTo",
    "HiddenFromAddressListsEnabled", "ObjectState", "IsValid",
)  # fmt: skip
_RECIPIENT_ROW = (
    "Name", "Alias", "DisplayName", "Identity", "Id", "Guid", "ExchangeGuid", "ExternalDirectoryObjectId",
    "DistinguishedName", "PrimarySmtpAddress", "EmailAddresses", "RecipientType", "RecipientTypeDetails",
    "OrganizationalUnit", "HiddenFromAddressListsEnabled", "ObjectState", "IsValid",
)  # fmt: skip
_USER_ROW = (
    "Name", "DisplayName", "Identity", "Id", "Guid", "ExternalDirectoryObjectId", "DistinguishedName",
    "UserPrincipalName", "WindowsEmailAddress", "RecipientType", "RecipientTypeDetails", "OrganizationalUnit",
    "ObjectState", "IsValid",
)  # fmt: skip
# "Minimum" of Get-EXOMailbox (office-docs-powershell, cmdlet-property-sets.md).
_EXO_ROW = (
    "Alias", "DistinguishedName", "DisplayName", "EmailAddresses", "ExternalDirectoryObjectId", "Guid", "Id", "Name",
    "PrimarySmtpAddress", "RecipientType", "RecipientTypeDetails", "UserPrincipalName",
)  # fmt: skip
_CAS_ROW = (
    "Identity", "Id", "Name", "DisplayName", "Guid", "PrimarySmtpAddress", "ExternalDirectoryObjectId", "ImapEnabled",
    "PopEnabled", "SmtpClientAuthenticationDisabled", "OWAEnabled", "MAPIEnabled", "EwsEnabled", "ActiveSyncEnabled",
)  # fmt: skip
CAS_SETTINGS = frozenset({
    "ImapEnabled", "PopEnabled", "SmtpClientAuthenticationDisabled", "OWAEnabled", "MAPIEnabled", "EwsEnabled",
    "ActiveSyncEnabled",
})  # fmt: skip


def _row(properties: dict[str, Any], names: tuple[str, ...], types: tuple[str, ...]) -> Item:
    values = {name: properties["Identity" if name == "Id" else name] for name in names}
    for name in lookup.GUIDS:
        if name in values:
            values[name] = uuid.UUID(values[name])
    return Item(types, values, properties["Identity"])


def _wanted(call: Call, fits: Callable[[Mailbox], bool]) -> Callable[[Mailbox], bool]:
    """``fits``, narrowed by -RecipientTypeDetails and -Filter. Raises Failure."""
    details = {d.lower() for d in call.values.get("RecipientTypeDetails") or ()}
    clause = parse_filter(call) if call.text("Filter") else None

    def accept(mailbox: Mailbox) -> bool:
        properties = mailbox.properties
        if details and properties["RecipientTypeDetails"].lower() not in details:
            return False
        return fits(mailbox) and (clause is None or clause(properties))

    return accept


_CLAUSE = re.compile(
    r"^\(?\s*(\w+)\s+-(eq|ne|like)\s+(?:'((?:[^']|'')*)'|\"([^\"]*)\"|(\$true|\$false))\s*\)?$", re.IGNORECASE
)


def parse_filter(call: Call) -> Callable[[dict[str, Any]], bool]:
    """An OPATH filter of clauses ``Property -eq|-ne|-like 'value'`` joined by -or alone or by -and alone.

    Anything else of OPATH is refused by name. Raises Failure.
    """
    text = call.text("Filter") or ""
    either = re.search(r"\s-or\s", text, re.IGNORECASE) is not None
    both = re.search(r"\s-and\s", text, re.IGNORECASE) is not None
    if either and both:
        raise not_emulated("a filter that joins by both -and and -or")
    tests = [_clause(call, part) for part in re.split(r"\s-(?:or|and)\s", text, flags=re.IGNORECASE)]
    join = any if either else all
    return lambda properties: join(test(properties) for test in tests)


def _clause(call: Call, part: str) -> Callable[[dict[str, Any]], bool]:
    match = _CLAUSE.match(part.strip())
    if match is None:
        raise not_emulated(f"the filter {part.strip()[:80]!r}")
    name, operator, single, double, boolean = match.groups()
    known = {key.lower(): key for key in _MAILBOX_ROW if key != "Id"}
    if name.lower() not in known:
        raise exchange_error(
            call,
            "Microsoft.Exchange.Management.RecipientTasks.InvalidFilterException",
            f"'{name}' isn't a recognized filterable property.",
            "Ex1D60A8",
        )
    key, kind = known[name.lower()], operator.lower()
    wanted = (
        single.replace("''", "'") if single is not None else double if double is not None else boolean[1:]
    ).lower()

    def test(properties: dict[str, Any]) -> bool:
        value = properties[key]
        held = [str(v).lower() for v in (value if isinstance(value, list) else [value])]
        if key == "EmailAddresses":  # the prefix may be left out
            held += [v.partition(":")[2] for v in held]
        if kind == "like":
            pattern = re.sub(r"[\[\]?]", lambda m: f"[{m.group()}]", wanted)
            return any(fnmatchcase(v, pattern) for v in held)
        return (wanted in held) == (kind == "eq")

    return test


def get_mailbox(call: Call) -> Iterator[Output]:
    group = bool(call.values.get("GroupMailbox"))
    fits = _wanted(call, lambda m: lookup.is_mailbox(m, group=group))
    found = lookup.some(
        call, fits, identity=call.text("Identity"), soft_deleted=bool(call.values.get("SoftDeletedMailbox"))
    )
    return lookup.limited((_row(m.properties, _MAILBOX_ROW, MAILBOX) for m in found), call)


def get_exo_mailbox(call: Call) -> Iterator[Output]:
    """The module's own: the minimum set of properties, and those that -Properties adds."""
    if not call.runspace.connections:
        raise Failure(
            "You must call the Connect-ExchangeOnline cmdlet before calling any other cmdlets.",
            "InvalidOperation",
            types=("System.InvalidOperationException", "System.SystemException", "System.Exception"),
            category="InvalidOperation",
        )
    if "Get-Mailbox" not in call.runspace.connections[-1].allowed:
        raise unauthorized()
    extra = [str(name) for name in call.values.get("Properties") or ()]
    known = {name.lower(): name for name in _MAILBOX_ROW}
    strange = [name for name in extra if name.lower() not in known]
    if strange:
        raise not_emulated(f"the property {strange[0]} of Get-EXOMailbox")
    columns = tuple(dict.fromkeys([*_EXO_ROW, *(known[name.lower()] for name in extra)]))
    identity = next((v for n in ("Identity", "UserPrincipalName", "PrimarySmtpAddress", "ExternalDirectoryObjectId")
                     if (v := call.text(n))), None)  # fmt: skip
    group = bool(call.values.get("GroupMailbox"))
    fits = _wanted(call, lambda m: lookup.is_mailbox(m, group=group))
    found = lookup.some(call, fits, identity=identity, soft_deleted=bool(call.values.get("SoftDeletedMailbox")))
    types = ("System.Management.Automation.PSCustomObject", "System.Object")
    rows = (_row(m.properties, columns, types) for m in found)
    return lookup.limited((replace(row, text=None, adapted=False) for row in rows), call)


def get_recipient(call: Call) -> Iterator[Output]:
    """Every kind of recipient, groups among them; service principals are none (michev.info 4027)."""
    identity, types = call.text("Identity"), (f"{_DATA}.Management.ReducedRecipient", "System.Object")
    groups: list[dict[str, Any]] = []
    if identity is None:
        accept = _wanted(call, lambda _: True)
        groups = [g.properties for g in call.exchange.groups if accept(Mailbox(g.properties, {}))]
    else:
        groups = [g.properties for g in call.exchange.groups if identity.lower() in g.names()]
        if groups and call.exchange.recipients(identity):
            raise lookup.ambiguous(call, identity)
    found = [] if identity and groups else lookup.some(call, _wanted(call, lambda _: True), identity=identity)
    rows = [m.properties for m in found] + groups
    return lookup.limited((_row(properties, _RECIPIENT_ROW, types) for properties in rows), call)


def get_user(call: Call) -> Iterator[Output]:
    found = lookup.some(call, _wanted(call, lambda m: m.kind != "GroupMailbox"), identity=call.text("Identity"))
    types = (f"{_DATA}.Management.User", "System.Object")
    return lookup.limited((_row(m.properties, _USER_ROW, types) for m in found), call)


def get_cas_mailbox(call: Call) -> Iterator[Output]:
    found = lookup.some(call, _wanted(call, lookup.is_mailbox), identity=call.text("Identity"))
    types = (f"{_DATA}.Management.CASMailbox", "System.Object")
    return lookup.limited((_row(m.cas, _CAS_ROW, types) for m in found), call)


def set_cas_mailbox(call: Call) -> Iterator[Output]:
    """Writes no output. A setting shows at once; logins are judged by it when its protocol-switch-lag is over."""
    mailbox = lookup.one(call, call.values["Identity"], lookup.is_mailbox)
    changes = {
        name: value for name, value in call.values.items() if name in CAS_SETTINGS and mailbox.cas[name] is not value
    }
    if not changes:
        yield Warn(
            f"The command completed successfully but no settings of '{mailbox.properties['Identity']}' have been modified."
        )
    elif call.confirm(f"Setting the client access settings of mailbox '{mailbox.properties['Identity']}'.", high=False):
        call.exchange.switch(mailbox, changes)


def get_transport_config(call: Call) -> Iterator[Output]:
    properties = dict(call.exchange.transport_config)
    yield Item(
        (f"{_DATA}.SystemConfiguration.TransportConfigContainer", "System.Object"), properties, properties["Identity"]
    )


def get_organization_config(call: Call) -> Iterator[Output]:
    properties = dict(call.exchange.organization_config)
    properties["IsDehydrated"] = call.exchange.dehydrated()
    yield Item((f"{_DATA}.Management.OrganizationConfig", "System.Object"), properties, properties["Identity"])


def get_accepted_domain(call: Call) -> Iterator[Output]:
    """The tenant's first domain and every one that a recipient has an address in."""
    initial = call.tenant.domain.lower()
    names = list(dict.fromkeys([initial, *call.exchange.domains()]))
    identity = call.text("Identity")
    if identity is not None and identity.lower() in names:
        names = [identity.lower()]
    elif identity is not None and not lookup.unknown_returns_all(call):
        raise lookup.not_found(call, identity)
    rows = (
        Item(
            (f"{_DATA}.SystemConfiguration.AcceptedDomain", "System.Object"),
            {"Name": name, "Identity": name, "Id": name, "DomainName": name, "DomainType": "Authoritative",
             "Default": name == names[-1], "InitialDomain": name == initial, "IsValid": True},
            name,
        )
        for name in names
    )  # fmt: skip
    return lookup.limited(rows, call)


_READ = frozenset({"Identity", "ResultSize", "Filter"})
_KINDS = _READ | {"RecipientTypeDetails"}

CMDLETS = {
    "Get-Mailbox": Cmdlet(get_mailbox, _KINDS | {"GroupMailbox", "SoftDeletedMailbox"}),
    "Get-EXOMailbox": Cmdlet(
        get_exo_mailbox,
        _KINDS | {"GroupMailbox", "SoftDeletedMailbox", "Properties", "UserPrincipalName", "PrimarySmtpAddress",
                  "ExternalDirectoryObjectId"},
        module=True,
    ),
    "Get-Recipient": Cmdlet(get_recipient, _KINDS),
    "Get-User": Cmdlet(get_user, _KINDS),
    "Get-CASMailbox": Cmdlet(get_cas_mailbox, _KINDS),
    "Set-CASMailbox": Cmdlet(set_cas_mailbox, CAS_SETTINGS | {"Identity", "Confirm", "WhatIf"}),
    "Get-TransportConfig": Cmdlet(get_transport_config, frozenset()),
    "Get-OrganizationConfig": Cmdlet(get_organization_config, frozenset()),
    "Get-AcceptedDomain": Cmdlet(get_accepted_domain, frozenset({"Identity", "ResultSize"})),
}  # fmt: skip
