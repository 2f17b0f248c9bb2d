"""What a cmdlet runs in: the runspace with its connections to Exchange, and one call with its bound parameters."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..exchange import Exchange
from ..tenant import Tenant
from .outcome import Failure, Output, no_user_interaction


@dataclass
class Connection:
    """One Connect-ExchangeOnline. It keeps what the token said, never the token. ``expires``: sandbox seconds.

    ``allowed``: what the identity's roles hold; ``cmdlets``: what -CommandName left of it.
    """

    id: str
    number: int
    object_id: str
    app_id: str
    organization: str
    expires: float
    allowed: frozenset[str]
    cmdlets: frozenset[str]


@dataclass(frozen=True)
class Endpoint:
    """What a session configuration lets its sessions do (``endpoints`` has them all). ``scripts``: may they run, and
    pipelines of several commands? ``wrapped``: only wrapper functions are visible. ``reads``: of these, those that read.
    ``connected``: by the host itself."""

    name: str
    scripts: bool = True
    wrapped: bool = False
    reads: bool = False
    connected: bool = False


PLAIN = Endpoint("Microsoft.PowerShell")


@dataclass
class Runspace:
    """One runspace of a pool: what has been connected in it. Runspaces of one pool share nothing."""

    connections: list[Connection] = field(default_factory=list)
    opened: int = 0  # connections ever made here, for their names
    endpoint: Endpoint = PLAIN

    def connection(self, cmdlet: str) -> Connection | None:
        """The newest connection that brought this cmdlet."""
        return next((c for c in reversed(self.connections) if cmdlet in c.cmdlets), None)


@dataclass(frozen=True)
class Call:
    """One item through one cmdlet. ``values`` by parameter name; absent ones are missing."""

    name: str
    tenant: Tenant
    runspace: Runspace
    values: dict[str, Any]
    item: Any = None

    @property
    def exchange(self) -> Exchange:
        return self.tenant.exchange

    def text(self, name: str) -> str | None:
        """A parameter that is a string; None where it is absent, $null or empty."""
        return self.values.get(name) or None

    def confirm(self, question: str, *, high: bool) -> bool:
        """Should it do it? False with -WhatIf. ``high``: the cmdlet asks unless -Confirm:$false says not to; others ask
        only if -Confirm says so. Nobody can be asked here: raises Failure."""
        if self.values.get("WhatIf"):
            return False
        if self.values.get("Confirm", high):
            raise no_user_interaction(question)
        return True


@dataclass(frozen=True)
class Cmdlet:
    """One emulated cmdlet. ``parameters``: those it honours, common ones apart; ``sets``: the parameter sets (none: all).

    ``module``: it is the module's own and there before a connection.
    """

    run: Callable[[Call], Iterator[Output]]
    parameters: frozenset[str]
    sets: frozenset[str] = frozenset()
    module: bool = False


def exchange_error(call: Call, kind: str, message: str, prefix: str = "Ex6F9304") -> Failure:
    """An error of Exchange's, as the module's proxies write it: not terminating; the class stands in the text.

    The six digits before it are an error id that varies (FACTS §2): match on the class.
    """
    exchange = call.exchange
    return Failure(
        f"{prefix}|{kind}|{message}",
        f"[Server={exchange.server_name},RequestId={uuid.uuid4()},TimeStamp={call.tenant.clock.iso()}],Write-ErrorMessage",
        types=(kind, "System.Exception"),
        terminating=False,
    )
