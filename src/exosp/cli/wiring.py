"""Put the parts together for one run: playbook, cloud, sign-in, the three ports, patience. The one place that knows them
all; it decides nothing."""

import os
import re
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from .. import clouds, consent, mail, playbook, signin
from ..clouds import Cloud
from ..errors import CloudError, Missing, UsageError
from ..exchange import OURS, remotings
from ..exchange.online import Online
from ..exchange.sessions import Tenancy
from ..graph import Graph
from ..graph.standing import domains, publishers
from ..mail import PROBES, Listing, Reading, Sent
from ..mail.letter import compose
from ..patience import Clock, Patience, WallClock
from ..playbook import rules
from ..probes import Token
from ..snapshot import Address, AppId, Application, Protocol, Snapshot
from ..tenant import Tenant
from ..vault import EnvFile
from . import signing
from .screen import Screen
from .signing import Nowhere, nobody

if TYPE_CHECKING:
    from ..signin.person import Person, Way

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def read(path: Path, *, allow_outside: bool) -> playbook.Playbook:
    return playbook.read(path, os.environ, allow_outside=allow_outside)


def closed(given: Sequence[str], want: playbook.Playbook) -> list[Address]:
    """Mailboxes that the command line says must be refused. Raises UsageError."""
    found = []
    for text in given:
        try:
            found.append(Address(rules.address(text)))
        except rules.Refused as fault:
            raise UsageError(f"{text!r} {fault.what}", where="--negative", hint=fault.hint) from None
        if any(box.address.lower() == found[-1].lower() for box in want.boxes):
            raise UsageError(
                f"{text} is in the playbook, so its logins must not be refused",
                where="--negative",
                hint="name a mailbox that the application must not reach",
            )
    return found


def recipient(given: str) -> Address:
    """Where the command line says that messages go. Raises UsageError."""
    try:
        return Address(rules.address(given))
    except rules.Refused as fault:
        raise UsageError(f"{given!r} {fault.what}", where="--send-to", hint=fault.hint) from None


class Session:
    """Everything one command needs, opened and closed together. ``tokens`` counts the application's own token requests
    and ours."""

    def __init__(
        self,
        want: playbook.Playbook,
        screen: Screen,
        *,
        cloud_file: Path | None = None,
        deadline: float = 900.0,
        environment: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        person: "Way | None" = None,
        sign_in: signin.Asked | None = None,
        commands: tuple[str, ...] = OURS,
    ) -> None:
        self.want = want
        self.environment = os.environ if environment is None else environment
        self.cloud = screen.cloud = cloud_of(want, cloud_file, self.environment)
        self.tokens = 0
        self.run = new_run()  # as letters name it
        # Led to the tenant that the playbook names: a token from any other would write in the wrong tenant.
        self.admin = signin.admin(self.cloud, self.environment, sign_in, tenant=want.tenant, on_request=self._count)
        self._signing = threading.Lock()
        self._mine = threading.local()
        self._renewed = 0  # how often the token was renewed
        self._took: dict[object, int] = {}  # the renewal at which each taker took it
        address = _remoting(want, self.environment)
        self.by_host = "thumbprint" in parse_qs(
            urlsplit(address).query
        )  # the host connects; no token for Exchange goes there
        way = remotings.choose(address)
        setting = remotings.Setting(self.cloud, self.environment, self._connect, self._sign_in, want.tenant, commands)
        self.way, self.remoting, self.pieces = way.name, way.opens(address, setting), way.pieces
        self.graph = Graph(self.cloud, self.admin)
        self.exchange = Online(self.remoting, self.pieces, commands)
        self.patience = Patience(clock or WallClock(), deadline, screen.waiting)
        self._tokens_in = ""  # the tenant that tokens are asked for in, where that is not the credential's own
        self.vault: EnvFile | Nowhere = Nowhere()
        if want.app.credential is not None:
            self.vault = EnvFile(want.app.credential.save_to, self._issue)
        self._screen, self._way = screen, person
        self._person: Person | None = None

    def __enter__(self) -> "Session":
        try:
            tenant_id = self._tenant_id()
            self._tokens_in = tenant_id if registered_elsewhere(self.want) else ""
            self.tenant = Tenant(tenant_id, self.graph, self.exchange, self.vault, self._consent_address(tenant_id))
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._person is not None:
            self._person.close()
        self.exchange.close()
        self.remoting.close()
        self.graph.close()
        self.admin.close()

    def names(self, tenant_id: str) -> tuple[str, ...]:
        """The tenant's domains, the initial one first; as it was named where Graph does not say. Where no playbook names it.
        Raises UsageError."""
        given = self.want.tenant.lower()
        try:
            found = self.patience.transport(domains, self.graph)
        except CloudError:
            found = ()
        if not found and not is_initial(given):  # who may not see the organization may see whose applications these are
            try:
                found = self.patience.transport(lambda: tuple(islice(filter(is_initial, publishers(self.graph)), 1)))
            except CloudError:
                found = ()
            found = (*found, given) if found and not _GUID.fullmatch(given) else found
        if found and not _GUID.fullmatch(given) and given not in found:
            raise UsageError(
                f"{given} is no domain of the tenant that this sign-in is for, {found[0]} ({tenant_id})",
                where="--tenant",
                hint="sign in to the tenant that is meant",
            )
        if self.way != "admin-api" and not is_initial((found or (given,))[0]):
            raise UsageError(
                f"PowerShell connects to a tenant by its initial domain, and only {given} is known",
                where="--tenant",
                hint="give --tenant <name>.onmicrosoft.com, or set AZURE_TENANT_ID to that; or grant "
                "Organization.Read.All on Microsoft Graph, so that it can be looked up",
            )
        return found or (given,)

    def _count(self) -> None:
        self.tokens += 1

    def _tenant_id(self) -> str:
        """The id of the tenant that the playbook names, from a token issued there. Raises UsageError where that is not
        the one that the environment says."""
        token = self.patience.transport(self.admin.graph_token if self.by_host else self.admin.exchange_token)
        found = str(token.claims.get("tid", ""))
        said = self.environment.get("AZURE_TENANT_ID", "")
        if _GUID.fullmatch(said) and said.lower() != found.lower():
            raise UsageError(
                f"the playbook's tenant {self.want.tenant} is {found}, and AZURE_TENANT_ID is {said}",
                where=str(self.want.path),
                hint="sign in to the tenant that the playbook names, or take the playbook of this one",
            )
        if not self.admin.takes_tenant:
            there = self.patience.transport(lambda: signin.tenant_id(self.cloud, self.want.tenant))
            if there != found.lower():
                raise UsageError(
                    f"the playbook's tenant {self.want.tenant} is {there}, and this {self.admin.sign_in} is of {found}",
                    where=str(self.want.path),
                    hint="it signs in to its own tenant alone: run the playbook of that one, or sign in another way",
                )
        return found

    def _connect(self) -> tuple["_Passing", Tenancy]:
        """For a session of this thread's own. Raises CloudError, and UsageError for a tenant that no session takes."""
        if not is_initial(self.want.tenant):
            raise UsageError(
                f"Connect-ExchangeOnline needs the tenant's initial domain, and the playbook says {self.want.tenant}",
                where=str(self.want.path),
                hint="write tenant: <name>.onmicrosoft.com",
            )
        return self._take(vars(self._mine).setdefault("taker", object()))

    def _sign_in(self) -> tuple["_Passing", Tenancy]:
        """For all requests of one remoting. Raises CloudError."""
        return self._take(self)

    def _take(self, taker: object) -> tuple["_Passing", Tenancy]:
        """A token. Who comes again does so because Exchange's clock ended the last one, whatever ours says: it is renewed,
        unless another taker had that done meanwhile."""
        with self._signing:
            if self._took.get(taker) == self._renewed:
                self.admin.renew()
                self._renewed += 1
            self._took[taker] = self._renewed
            token = self.admin.exchange_token()
        lifetime = (token.expires - token.obtained).total_seconds()  # both by the endpoint's clock
        tenancy = Tenancy(self.want.tenant, user=token.user_principal_name, delegated=token.of_partner)
        return _Passing(token.reveal(), int(time.time() + lifetime)), tenancy

    def consent_link(self, seen: Snapshot) -> str:
        """Where somebody who may consent does so: the portal's page of the application's permissions."""
        app = seen.application
        return self.cloud.consent_page(app.app_id) if app else seen.consent_address

    def _issue(self, tenant_id: str, client_id: str, client_secret: str) -> None:
        signin.app_token(self.cloud, self._tokens_in or tenant_id, client_id, client_secret, on_request=self._count)

    def _consent_address(self, tenant_id: str) -> str:
        app = self.want.app
        if not registered_elsewhere(self.want) or app.id is None:
            return ""
        return consent.address(self.cloud, tenant_id, app.id, self.want.claimed(), consent.REDIRECT).url

    # verify's Logins

    def token(self) -> signin.Token:
        if self.want.delegated and self._way is not None:
            return self._someone(self._way).token()
        if self.want.app.managed_identity is not None:
            return self._identity_token(self.want.app.managed_identity)
        if self.want.app.credential is None or isinstance(self.vault, Nowhere):
            raise nobody(self.want, self.cloud)
        kept = self.vault.load()
        if kept is None:
            raise Missing(
                "there is no saved credential to log in with",
                service="token",
                asked=self.want.app.credential.shown,
                hint=f"copy the file that apply in {self.want.app.registered_in} saved, or put it back"
                if registered_elsewhere(self.want)
                else "apply makes one; or put the file back",
            )
        return signin.app_token(
            self.cloud, self._tokens_in or kept.tenant_id, kept.client_id, kept.reveal(), on_request=self._count
        )

    def _identity_token(self, id_: str) -> signin.Token:
        """A managed identity's, which only its own workload gets."""
        from ..signin import workload

        if not workload.here():
            raise nobody(self.want, self.cloud)
        directory = self.tenant.directory
        found = directory.principal(AppId(id_)) or directory.principal_by_object_id(id_)
        if found is None:
            raise Missing("there is no such managed identity", service="token", asked=id_, hint="plan says more")
        self._count()
        return workload.token(self.cloud, found.app_id)

    def reach(self, protocol: Protocol) -> Reading:
        """A probe that stops where it would ask for the token: TLS is verified then, and XOAUTH2 offered."""

        def stop() -> str:
            raise _Reached

        try:
            return PROBES[protocol](self.cloud.endpoint(protocol), "nobody", stop, ca=self.cloud.ca, sender="a@b")
        except _Reached:
            return Reading("capability", True, None, "", (), False)

    def _someone(self, way: "Way") -> "Person":
        """The person who signs in to the application, which must be there. Raises Missing."""
        if self._person is None:
            app = self._application()
            self._person = signing.person(
                self.want, way, self.cloud, self.tenant.tenant_id, app.app_id, self._screen, self.patience, self._count
            )
        return self._person

    def _application(self) -> Application:
        """The playbook's application. One look that finds none may be one that flaps."""
        directory, app = self.patience.reading(self.tenant.directory), self.want.app
        for pause in (1.0, 2.0, 4.0, 0.0):
            found = directory.application_by_app_id(app.id) if app.id else directory.application(app.unique_name)
            if found is not None:
                return found
            if pause:
                self.patience.pause(pause, "the application does not show")
        raise Missing(
            "there is no application to sign in to", service="token", asked=app.unique_name, hint="apply makes it"
        )

    def login(self, protocol: Protocol, user: str, sender: str, token: Token) -> Reading:
        return PROBES[protocol](self.cloud.endpoint(protocol), user, token.reveal, ca=self.cloud.ca, sender=sender)

    # verify's Letters

    def deliver(self, user: str, sender: str, to: str, token: Token) -> Sent:
        letter = compose(sender, to, run=self.run, now=datetime.now(UTC))
        return mail.send(self.cloud.endpoint("smtp"), user, token.reveal, letter, ca=self.cloud.ca)

    def find_message(self, user: str, message_id: str, token: Token) -> Reading:
        return mail.find(self.cloud.endpoint("imap"), user, token.reveal, message_id, ca=self.cloud.ca)

    def subjects(self, user: str, count: int, token: Token) -> Listing:
        return mail.newest(self.cloud.endpoint("imap"), user, token.reveal, count, ca=self.cloud.ca)


def naming(tenant: str, *, where: str, hint: str) -> playbook.Playbook:
    """A playbook that names a tenant alone, for what needs no playbook. Raises UsageError where none is named."""
    if not tenant:
        raise UsageError("nothing says which tenant", where=where, hint=hint)
    nowhere = playbook.Place("(no playbook)", 0, 0)
    app = playbook.App("", "", None, nowhere)
    return playbook.Playbook(Path("(no playbook)"), tenant, "global", app, (), (), playbook.Reach())


def is_initial(domain: str) -> bool:
    """Whether a domain can be the one that a tenant was made with, which Connect-ExchangeOnline wants."""
    return domain.lower().endswith((".onmicrosoft.com", ".onmicrosoft.us", ".partner.onmschina.cn"))


def registered_elsewhere(want: playbook.Playbook) -> bool:
    """Whether the playbook's application is registered in another tenant."""
    return bool(want.app.registered_in)


def new_run() -> str:
    """An id for one run: when it began, and enough chance that two never meet."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


class _Reached(Exception):
    """A probe has come as far as it can without a token."""


@dataclass(frozen=True)
class _Passing:
    """The admin's Exchange token on its way to Connect-ExchangeOnline."""

    token: str = field(repr=False)
    expires_on: int


def cloud_of(want: playbook.Playbook, cloud_file: Path | None, environment: Mapping[str, str]) -> Cloud:
    """The flag's cloud file, else EXOSP_CLOUD, else the playbook's cloud. Raises UsageError."""
    if cloud_file is not None:
        return clouds.read_file(cloud_file, any_host=True)
    return clouds.find(environment.get("EXOSP_CLOUD") or want.cloud)


def _remoting(want: playbook.Playbook, environment: Mapping[str, str]) -> str:
    """Where cmdlets run: the environment, then the playbook."""
    if environment.get("EXOSP_REMOTING"):
        return environment["EXOSP_REMOTING"]
    reach = want.exchange
    asked = ("auth", "configuration", "app", "thumbprint")
    named = [name for name in ("host", "port", "path", *asked) if getattr(reach, name)]
    if reach.remoting in (None, "winrm") and reach.host:
        query = "&".join(f"{name}={value}" for name in asked if (value := getattr(reach, name)))
        return f"winrm://{reach.host}:{reach.port or 5986}{reach.path or '/wsman'}" + (f"?{query}" if query else "")
    where = str(reach.place or want.path)
    if reach.remoting is None or reach.remoting == "winrm":
        raise remotings.nothing_set(environment, where)
    if named:
        raise UsageError(
            f"{named[0]} goes with remoting: winrm, and the playbook says remoting: {reach.remoting}", where=where
        )
    return reach.remoting
