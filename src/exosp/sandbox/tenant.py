"""One emulated tenant: its clock, faults, directory, Exchange and signing key, and a count of what was asked of it."""

import secrets
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from .clock import Clock
from .clouds import SHAPES
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
    cmdlets_at_once: int = 10  # for one identity; Exchange publishes no number
    mailboxes: int = 0  # more than the tenant file names
    mess: int | None = None  # the seed of what others' hands left behind
    service_principals: int = 0  # more enterprise applications than the tenant file names
    domain: str = "contoso.onmicrosoft.com"
    module: str = (
        "3.9.2"  # ExchangeOnlineManagement where PowerShell runs; empty: not installed. January 2026, FACTS §7
    )
    cloud: str = ""  # whose shape the tenant has; empty: as the tenant file says, else global


@dataclass(frozen=True)
class Ports:
    """Where each service listens on localhost, once it does."""

    login: int = 0
    graph: int = 0
    remoting: int = 0
    admin_api: int = 0
    imap: int = 0
    pop: int = 0
    smtp: int = 0
    management: int = 0


class Tenant:
    """State lives here and services hold a reference, so that a reset replaces everything at once.

    What a client was told at the start outlives a reset: the tenant's cloud, its id and signing key, the provisioning
    application's id and secret, the management host's account, people's password. ``person`` is the UPN of the one whom
    the sandbox names to those who want to sign in.

    ``watch`` is for tests in this process, and no part of the sandbox's public face: it is called, in the sandbox's own
    thread, with "before" just before a write is carried out and with "after" once it was and nothing of its answer is
    sent, and with the write: ``graph POST /applications``, ``graph batch PATCH /applications/{id}``,
    ``remoting Add-MailboxPermission``, ``admin-api Add-MailboxPermission`` (once an input item). A write that is refused has no "after".
    """

    def __init__(self, options: Options) -> None:
        self.watch: Callable[[str, str], None] | None = None
        self.ports = Ports()
        self.tenant_id = new_id()
        self.admin_app_id = new_id()
        self.admin_secret = f"{secrets.token_hex(2)[:3]}8Q~{secrets.token_urlsafe(26)}"
        self.host_user = "exosp"
        self.host_password = secrets.token_urlsafe(18)
        self.person = ""
        self.person_password = secrets.token_urlsafe(18)
        # The provisioning application's certificate in the management host's store.
        self.host_thumbprint = secrets.token_hex(20).upper()
        self.shape = SHAPES[options.cloud or "global"]
        self.signer = Signer(Clock(options.speed), self.tenant_id, self.shape.issuer)
        self.reset(options)

    def reset(self, options: Options) -> None:
        self.options = options
        self.clock = Clock(options.speed)
        self.faults = Faults.parse(options.faults, options.seed)
        self.domain = f"contoso.{self.shape.suffix}"
        self.signer = self.signer.at(self.clock)
        self.directory = Directory(self.clock, self.faults, self.tenant_id, self.domain, self.shape)
        self.exchange = Exchange(self.clock, self.faults, self.domain, options.seed)
        self.requests: dict[str, Counter[str]] = defaultdict(Counter)
        # What an audit finds of the provisioning application and of --mess: check, whom it is about, mailbox.
        self.planted: list[tuple[str, str, str]] = []

    def count(self, service: str, operation: str) -> None:
        """One more request, as ``GET /requests`` reports it."""
        self.requests[service][operation] += 1

    def tell(self, moment: str, write: str) -> None:
        """Tell whoever watches of a write."""
        if self.watch is not None:
            self.watch(moment, write)
