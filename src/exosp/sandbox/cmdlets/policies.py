"""Application access policies and authentication policies, read only: a tenant file and a mess make them. Sources: the cmdlets' help;
FACTS §3 (a policy narrows what Entra grants on Graph and EWS, and nothing else), §11; columns as public scripts read them.
"""

import uuid
from collections.abc import Callable, Iterator

from ..exchange import Row
from . import lookup
from .outcome import Item, Output
from .session import Call, Cmdlet

_DATA = "Deserialized.Microsoft.Exchange.Data.Directory"
ACCESS = (f"{_DATA}.Management.ApplicationAccessPolicy", "System.Object")
AUTHENTICATION = (f"{_DATA}.SystemConfiguration.AuthenticationPolicy", "System.Object")


def _get(
    held: Callable[[Call], list[Row]], types: tuple[str, ...], names: tuple[str, ...]
) -> Callable[[Call], Iterator[Output]]:
    def get(call: Call) -> Iterator[Output]:
        rows, identity = list(held(call)), call.text("Identity")
        if identity is not None:
            found = [row for row in rows if identity.lower() in {str(row[name]).lower() for name in names}]
            if not found and not lookup.unknown_returns_all(call):
                raise lookup.not_found(call, identity)
            rows = found or rows
        for row in rows:
            guid = {"Guid": uuid.UUID(row["Guid"])} if "Guid" in row.properties else {}
            yield Item(types, row.properties | guid, str(row["Identity"]))

    return get


CMDLETS = {
    "Get-ApplicationAccessPolicy": Cmdlet(
        _get(lambda call: call.exchange.access_policies, ACCESS, ("Identity",)), frozenset({"Identity"})
    ),
    "Get-AuthenticationPolicy": Cmdlet(
        _get(lambda call: call.exchange.authentication_policies, AUTHENTICATION, ("Name", "Guid", "DistinguishedName")),
        frozenset({"Identity"}),
    ),
}
