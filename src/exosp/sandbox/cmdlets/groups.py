"""The cmdlets that read groups, as far as a scope needs one: its distinguished name. Sources: their help; FACTS §3.

Get-DistributionGroup knows distribution and mail-enabled security groups, Get-UnifiedGroup Microsoft 365 groups. A group's own
mailbox is not here.
"""

import uuid
from collections.abc import Callable, Iterator

from ..rbac import GROUP_KINDS, Group
from . import lookup
from .outcome import Item, Output
from .session import Call, Cmdlet

_DATA = "Deserialized.Microsoft.Exchange.Data.Directory.Management"
_SHOWN = (
    "Name", "Alias", "DisplayName", "Identity", "Id", "Guid", "ExternalDirectoryObjectId", "DistinguishedName",
    "PrimarySmtpAddress", "EmailAddresses", "GroupType", "RecipientType", "RecipientTypeDetails", "OrganizationalUnit",
    "HiddenFromAddressListsEnabled", "ObjectState", "IsValid",
)  # fmt: skip


def item(group: Group, kind: str) -> Item:
    values = {name: group.properties[name] for name in _SHOWN} | {"Guid": uuid.UUID(str(group.properties["Guid"]))}
    return Item((f"{_DATA}.{kind}", "System.Object"), values, str(group.properties["Identity"]))


def _get(fits: Callable[[Group], bool], kind: str) -> Callable[[Call], Iterator[Output]]:
    def get(call: Call) -> Iterator[Output]:
        groups = [group for group in call.exchange.groups if fits(group)]
        identity = call.text("Identity")
        if identity is not None:
            found = [group for group in groups if identity.lower() in group.names()]
            if len(found) > 1:
                raise lookup.ambiguous(call, identity)
            if found:
                groups = found
            elif not lookup.unknown_returns_all(call):
                raise lookup.not_found(call, identity)
        return lookup.limited((item(group, kind) for group in groups), call)

    return get


def _unified(group: Group) -> bool:
    return str(group.properties["RecipientTypeDetails"]) == GROUP_KINDS["Microsoft365Group"]


_READ = frozenset({"Identity", "ResultSize"})
CMDLETS = {
    "Get-DistributionGroup": Cmdlet(_get(lambda group: not _unified(group), "DistributionGroup"), _READ),
    "Get-UnifiedGroup": Cmdlet(_get(_unified, "UnifiedGroup"), _READ),
}
