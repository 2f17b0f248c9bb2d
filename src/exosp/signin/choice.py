"""Which sign-in it is: the one asked for, or the first for which this machine has what it needs. Nothing is sent."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..clouds import Cloud
from ..errors import UsageError
from . import people
from .identity import Admin, Source, _check_tenant
from .ways import BY_NAME, WAYS, Machine, Way, has_browser, installed
from .wire import Wire

AUTO = "auto"
NAMES = (AUTO, *sorted(BY_NAME))
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True)
class Asked:
    """What the command line says of signing in. ``client_ids``: by audience, graph and exchange; an application's goes
    by AZURE_CLIENT_ID. ``terminal``: whether a person can be asked. ``folder``: where is kept who signed in."""

    sign_in: str = AUTO
    client_ids: Mapping[str, str] = field(default_factory=dict)
    cache: bool = True
    terminal: bool = False
    folder: Path | None = None
    tell: Callable[[str], None] = lambda text: None


def clients(given: Sequence[str]) -> dict[str, str]:
    """``--client-id``: an id for both audiences, or ``graph=ID`` and ``exchange=ID``. Raises UsageError."""
    found: dict[str, str] = {}
    for text in given:
        audience, _, client = text.rpartition("=")
        if audience not in ("", "graph", "exchange") or not _GUID.fullmatch(client):
            raise UsageError(
                f"{text!r} is no client id", where="--client-id",
                hint="the Application (client) ID of a registration, a GUID; graph=ID or exchange=ID for one of the two",
            )  # fmt: skip
        for name in (audience,) if audience else ("graph", "exchange"):
            found[name] = client
    return found


def admin(
    cloud: Cloud,
    environment: Mapping[str, str],
    asked: Asked | None = None,
    *,
    tenant: str = "",
    on_request: Callable[[], None] = lambda: None,
) -> Admin:
    """Who runs exosp. ``tenant`` is where it must be, AZURE_TENANT_ID's where it is empty. ``on_request`` is called
    before each token request.

    Raises UsageError naming what is missing and what to set.
    """
    asked = asked or Asked()
    given = {name: value for name, value in environment.items() if value}
    way = _way(given, asked)
    place = tenant or given.get("AZURE_TENANT_ID") or given.get("AZURESUBSCRIPTION_TENANT_ID", "")
    missing = way.missing({**given, **({"AZURE_TENANT_ID": place} if place else {})})
    if missing:
        raise _not_signed_in(
            missing, _HINT if asked.sign_in == AUTO else f"--sign-in {way.name} needs {_needs(way)}; {_HINT}"
        )
    if place or way.takes_tenant:
        _check_tenant(place, "AZURE_TENANT_ID")
    secrets = tuple(given[name] for row in WAYS for name in row.secrets if name in given)
    wire = Wire(cloud, on_request, secrets, tuple(given.get(name, name) for name in way.asks), tenant=place)
    source: Source = (
        _person(way, cloud, place, asked, wire) if way.who == "person" else _Unattended(way, given, place, wire)
    )
    if way.name == "azure-cli" and asked.sign_in == AUTO and asked.terminal:
        source = _Unattended(way, given, place, wire, lambda: _person(_by_terminal(given), cloud, place, asked, wire))
    return Admin(cloud, place, wire, source)


def _way(given: Mapping[str, str], asked: Asked) -> Way:
    if asked.sign_in != AUTO:
        way = BY_NAME.get(asked.sign_in)
        if way is None:
            raise UsageError(f"no sign-in {asked.sign_in!r}", where="--sign-in", hint=f"there are {', '.join(NAMES)}")
        if not way.unattended and not asked.terminal:
            raise UsageError(
                f"--sign-in {way.name} asks a person, and there is no terminal to ask on; nothing was sent",
                hint="off a terminal sign in as an application: secret, certificate, workload-identity, managed-identity",
            )
        return way
    for way in WAYS:
        if way.chosen(given):
            return way
    if given.get("AZURE_CLIENT_ID"):  # somebody else's sign-in must not be taken where an application was named
        missing = [name for name in ("AZURE_TENANT_ID",) if name not in given]
        raise _not_signed_in([*missing, _PROOFS], _HINT)
    if installed("az"):
        return BY_NAME["azure-cli"]
    if asked.terminal:
        return _by_terminal(given)
    missing = [name for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID") if name not in given]
    raise _not_signed_in([*missing, _PROOFS], _HINT)


def _by_terminal(given: Mapping[str, str]) -> Way:
    return BY_NAME["browser" if has_browser(given) else "device-code"]


def _person(way: Way, cloud: Cloud, tenant: str, asked: Asked, wire: Wire) -> people.Person:
    clients = {"graph": people.GRAPH_CLIENT, "exchange": people.EXCHANGE_CLIENT, **asked.client_ids}
    folder = asked.folder if asked.cache else None
    if folder is not None and (reason := people.cache()):
        asked.tell(f"Tokens are kept in memory alone, so the next run asks again: {reason}.")
        folder = None
    return people.Person(way.name, cloud, tenant, clients, wire, asked.tell, folder)


_PROOFS = "AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH or AZURE_FEDERATED_TOKEN_FILE"
_HINT = (
    "set AZURE_TENANT_ID and AZURE_CLIENT_ID, and AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH or "
    "AZURE_FEDERATED_TOKEN_FILE, of the application that runs exosp (not of the one it makes); or az login; or on a "
    "terminal --sign-in browser or device-code; on Azure's machines --sign-in managed-identity"
)


def _needs(way: Way) -> str:
    return ", ".join(" or ".join(names) for names in way.needs)


def _not_signed_in(missing: list[str], hint: str) -> UsageError:
    return UsageError(f"exosp is not signed in: {', '.join(missing)} not set", where="environment", hint=hint)


@dataclass
class _Unattended:
    """identity.Source for all that asks nobody."""

    way: Way
    environment: Mapping[str, str]
    tenant: str
    wire: Wire
    following: Callable[[], Source] | None = None
    keeps: bool = False

    @property
    def name(self) -> str:
        return self.way.name

    @property
    def takes_tenant(self) -> bool:
        return self.way.takes_tenant

    @property
    def shown(self) -> str:
        return self._client() or self.way.who if self.way.name != "azure-cli" else self.way.who

    def key(self, scope: str) -> str:
        return ""

    def scopes(self, scope: str) -> tuple[str, ...]:
        return (scope,)

    def build(self, key: str) -> Any:
        return self.way.build(Machine(self.environment, self.tenant, self._client(), self.wire.options()))

    def done(self, key: str, credential: Any) -> None:
        pass

    def instead(self) -> Source | None:
        return self.following() if self.following is not None else None

    def _client(self) -> str:
        names = ("AZURE_CLIENT_ID", "AZURESUBSCRIPTION_CLIENT_ID")
        return next((self.environment[name] for name in names if name in self.environment), "")
