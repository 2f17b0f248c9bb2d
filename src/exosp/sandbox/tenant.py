"""One emulated tenant: its clock, faults, directory, Exchange and signing key, and a count of what was asked of it."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from .clock import Clock
from .directory import Directory, new_id
from .exchange import Exchange
from .faults import Faults
from .tokens import Signer


@dataclass(frozen=True)
class Options:
    """What ``exosp sandbox`` was started with. Latencies are wall seconds."""

    seed: int = 0
    faults: str = "default"
    speed: float = 1.0
    latency: float = 0.0
    cmdlet_time: float = 0.0
    domain: str = "contoso.onmicrosoft.com"


@dataclass(frozen=True)
class Ports:
    """Where each service listens on localhost, once it does."""

    login: int = 0
    graph: int = 0
    remoting: int = 0
    imap: int = 0
    pop: int = 0
    smtp: int = 0
    management: int = 0


class Tenant:
    """State lives here and services hold a reference, so that a reset replaces everything at once."""

    def __init__(self, options: Options) -> None:
        self.ports = Ports()
        self.reset(options)

    def reset(self, options: Options) -> None:
        self.options = options
        self.clock = Clock(options.speed)
        self.faults = Faults.parse(options.faults, options.seed)
        self.tenant_id = new_id()
        self.domain = options.domain
        self.signer = Signer(self.clock, self.tenant_id)
        self.directory = Directory(self.clock, self.faults, self.tenant_id, options.domain)
        self.exchange = Exchange(self.clock, self.faults, options.domain, options.seed)
        self.requests: dict[str, Counter[str]] = defaultdict(Counter)

    def count(self, service: str, operation: str) -> None:
        """One more request, as ``GET /requests`` reports it."""
        self.requests[service][operation] += 1
