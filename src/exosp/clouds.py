"""Where Microsoft's services are, a row a cloud, and the reader of a cloud file.

TABLE has each value's source and how sure it is. App role ids are never here: they differ between clouds and are looked
up in the tenant.
"""

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from .errors import UsageError

SCHEMA = "exosp/cloud/1"
_OPTIONAL = ("portal", "ca", "consent_resource")  # in a cloud file
_SOURCES = "sources"  # in a cloud file: for who reads it, and for nothing else


@dataclass(frozen=True)
class Endpoint:
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Cloud:
    """``login`` and ``graph`` are base addresses without a path; ``exchange_resource`` is the audience of Exchange
    tokens; ``ca`` a file of trusted certificates, None for the system's."""

    name: str
    login: str
    graph: str
    exchange_resource: str
    admin_api: str
    imap: Endpoint
    pop: Endpoint
    smtp: Endpoint
    exchange_environment: str
    portal: str = "https://entra.microsoft.com"
    ca: Path | None = None
    consent_resource: str = "https://ps.outlook.com"  # whose consent address is for IMAP and POP

    @property
    def exchange_scope(self) -> str:
        """What a token request for Exchange asks for; mail protocols too."""
        return f"{self.exchange_resource}/.default"

    @property
    def graph_scope(self) -> str:
        return f"{self.graph}/.default"

    @property
    def emulated(self) -> bool:
        """No real cloud lives on loopback."""
        return all(_is_loopback(host) for host in self.hosts())

    @property
    def apart(self) -> float:
        """Seconds to leave between two tries of a login that may only be too early: a failing one prolongs what Exchange
        caches (application-rbac article). No such cache stands before a service on this machine's own loopback."""
        return 2.0 if self.emulated else 300.0

    def hosts(self) -> tuple[str, ...]:
        web = tuple(urlsplit(address).hostname or "" for address in (self.login, self.graph, self.admin_api))
        return (*web, self.imap.host, self.pop.host, self.smtp.host)

    def consent_page(self, app_id: str) -> str:
        """The portal's page with the button "Grant admin consent". A single-tenant application has no redirect address,
        so the adminconsent address of Entra would end in an error page (AADSTS500113)."""
        return f"{self.portal}/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/CallAnAPI/appId/{app_id}"

    def consent_scope(self, protocols: Iterable[str]) -> str:
        """What an administrator's consent in another tenant asks for: one name for IMAP and POP, another for SMTP alone
        (the vendor's page). Both are names of one resource, so either address asks for all that is registered."""
        mail = {"imap", "pop"} & set(protocols)
        return f"{self.consent_resource if mail else self.exchange_resource}/.default"

    def endpoint(self, protocol: str) -> Endpoint:
        """Where imap, pop or smtp is spoken."""
        return {"imap": self.imap, "pop": self.pop, "smtp": self.smtp}[protocol]


Certainty = Literal["A", "B", "C", "K", "?"]
CERTAIN: Mapping[Certainty, str] = {
    "A": "Microsoft's own page or code",
    "B": "other people's working code, or several reports",
    "C": "one report",
    "K": "known to practitioners, without a page",
    "?": "sources disagree, or none speaks of this cloud",
}


@dataclass(frozen=True)
class Cell:
    """One value of the table. ``also``: what else sources name in its place."""

    value: str
    certainty: Certainty
    source: str
    also: tuple[str, ...] = ()


_CSS = "CSS-Exchange, Get-CloudServiceEndpoint.ps1"
_GRAPH = "learn.microsoft.com/graph/deployments"
_HELP = "Connect-ExchangeOnline's help, -ExchangeEnvironmentName"
_POP_IMAP = "support.microsoft.com, POP, IMAP and SMTP settings for Outlook.com and Microsoft 365"
_READERS = "EmailEngine's and email-oauth2-proxy's settings"
_VENDOR = "the vendor's page on OAuth for IMAP, POP and SMTP"
_PORTALS = "learn.microsoft.com/entra/identity-platform/authentication-national-cloud"
_SILENT = f"{_VENDOR}, which is silent on national clouds"

TABLE: dict[str, dict[str, Cell]] = {
    "global": {
        "login": Cell("https://login.microsoftonline.com", "A", _CSS),
        "graph": Cell("https://graph.microsoft.com", "A", _GRAPH),
        "exchange_resource": Cell("https://outlook.office365.com", "A", _VENDOR),
        "consent_resource": Cell("https://ps.outlook.com", "A", _VENDOR),
        "admin_api": Cell("https://outlook.office365.com", "A", _CSS),
        "imap": Cell("outlook.office365.com:993", "A", _POP_IMAP),
        "pop": Cell("outlook.office365.com:995", "A", _POP_IMAP),
        "smtp": Cell("smtp.office365.com:587", "A", _POP_IMAP, ("smtp-mail.outlook.com:587", "smtp-legacy.office365.com:587")),
        "exchange_environment": Cell("O365Default", "A", _HELP),
        "portal": Cell("https://entra.microsoft.com", "A", _PORTALS),
    },
    "gcc-high": {
        "login": Cell("https://login.microsoftonline.us", "A", _CSS),
        "graph": Cell("https://graph.microsoft.us", "A", _GRAPH),
        "exchange_resource": Cell("https://outlook.office365.us", "A", _CSS),
        "consent_resource": Cell("https://ps.outlook.com", "?", _SILENT, ("https://outlook.office365.us",)),
        "admin_api": Cell("https://outlook.office365.us", "A", _CSS),
        "imap": Cell("outlook.office365.us:993", "B", _READERS),
        "pop": Cell("outlook.office365.us:995", "B", _READERS),
        "smtp": Cell("smtp.office365.us:587", "B", _READERS),
        "exchange_environment": Cell("O365USGovGCCHigh", "A", _HELP),
        "portal": Cell("https://entra.microsoft.us", "A", _PORTALS),
    },
    "dod": {
        "login": Cell("https://login.microsoftonline.us", "A", _CSS),
        "graph": Cell("https://dod-graph.microsoft.us", "A", _GRAPH),
        "exchange_resource": Cell("https://outlook-dod.office365.us", "A", _CSS),
        "consent_resource": Cell("https://ps.outlook.com", "?", _SILENT, ("https://outlook-dod.office365.us",)),
        "admin_api": Cell("https://outlook-dod.office365.us", "A", _CSS),
        "imap": Cell("outlook-dod.office365.us:993", "B", _READERS, ("webmail.apps.mil:993",)),
        "pop": Cell("outlook-dod.office365.us:995", "B", _READERS, ("webmail.apps.mil:995",)),
        "smtp": Cell("outlook-dod.office365.us:587", "C", "one program's settings; no page names it", ("smtp-dod.office365.us:587",)),
        "exchange_environment": Cell("O365USGovDoD", "A", _HELP),
        "portal": Cell("https://entra.microsoft.us", "A", _PORTALS),
    },
    "china": {
        "login": Cell("https://login.partner.microsoftonline.cn", "A", _CSS, ("https://login.chinacloudapi.cn",)),
        "graph": Cell("https://microsoftgraph.chinacloudapi.cn", "A", _GRAPH),
        "exchange_resource": Cell("https://partner.outlook.cn", "A", _CSS),
        "consent_resource": Cell("https://ps.outlook.com", "?", _SILENT, ("https://partner.outlook.cn",)),
        "admin_api": Cell("https://partner.outlook.cn", "?", "PowerShell's ConnectionUri; the admin API's page has the other",
                          ("https://outlook.office365.cn",)),
        "imap": Cell("partner.outlook.cn:993", "B", _READERS),
        "pop": Cell("partner.outlook.cn:995", "B", _READERS),
        "smtp": Cell("smtp.partner.outlook.cn:587", "B", _READERS),
        "exchange_environment": Cell("O365China", "A", _HELP),
        "portal": Cell("https://entra.microsoftonline.cn", "K", "the portal of 21Vianet", ("https://portal.azure.cn",)),
    },
}  # fmt: skip
"""What is known of each cloud, a row each. GCC (not High) is global. App role ids have no column: they differ between
clouds, and are read from the tenant."""


def _row(name: str, cells: Mapping[str, Cell]) -> Cloud:
    def at(column: str) -> str:
        return cells[column].value

    return Cloud(
        name, at("login"), at("graph"), at("exchange_resource"), at("admin_api"), _reached(at("imap")),
        _reached(at("pop")), _reached(at("smtp")), at("exchange_environment"), at("portal"),
        consent_resource=at("consent_resource"),
    )  # fmt: skip


def _reached(text: str) -> Endpoint:
    host, _, port = text.rpartition(":")
    return Endpoint(host, int(port))


CLOUDS: dict[str, Cloud] = {name: _row(name, cells) for name, cells in TABLE.items()}

_INITIAL = (  # initial domains, and the clouds whose tenants have them (Connect-ExchangeOnline's help, -Organization)
    (".onmicrosoft.com", ("global",)),
    (".onmicrosoft.us", ("gcc-high", "dod")),
    (".partner.onmschina.cn", ("china",)),
)


def of_tenant(tenant: str) -> tuple[str, ...]:
    """The clouds that a tenant's initial domain can be of; nothing where its name does not tell."""
    return next((names for ending, names in _INITIAL if tenant.lower().endswith(ending)), ())


def meant(cloud: Cloud, tenant: str, said: str = "") -> tuple[str, ...]:
    """Where a token was refused in ``cloud``: the clouds that the tenant is rather of, by what Entra said (AADSTS90038 names
    the login host's domain), else by the tenant's initial domain. Nothing where neither tells of another."""
    found = re.search(r"National Cloud '(?:login\.)?([A-Za-z0-9.-]+)'", said)
    named = tuple(c.name for c in CLOUDS.values() if found and c.login == f"https://login.{found[1].lower()}")
    names = named or of_tenant(tenant)
    here = any(CLOUDS[name].exchange_environment == cloud.exchange_environment for name in names)
    return () if here else names


def shown(name: str) -> str:
    """A row as a cloud file, with what is known of each value: where it is from, how sure it is, what else is said. Raises
    UsageError."""
    if name not in TABLE:
        raise UsageError(f"no cloud {name!r}", hint=f"there are: {', '.join(TABLE)}")
    row = TABLE[name]
    sources = {
        column: {"certainty": f"{cell.certainty}: {CERTAIN[cell.certainty]}", "source": cell.source}
        | ({"also": list(cell.also)} if cell.also else {})
        for column, cell in row.items()
    }
    values = {column: cell.value for column, cell in row.items()}
    return json.dumps({"schema": SCHEMA, "name": name, **values, _SOURCES: sources}, indent=2)


def find(name: str) -> Cloud:
    """The cloud of that name, or the one described by the file of that path if all its hosts are loopback.

    Raises UsageError. A file that names any other host is taken only by ``read_file`` with ``any_host``.
    """
    if name in CLOUDS:
        return CLOUDS[name]
    path = Path(name)
    if path.suffix == ".json" or path.exists():
        return read_file(path, any_host=False)
    raise UsageError(f"no cloud {name!r}", hint=f"there are: {', '.join(CLOUDS)}, or the path of a cloud file")


def read_file(path: Path, *, any_host: bool) -> Cloud:
    """A cloud file (schema exosp/cloud/1). Raises UsageError naming what is wrong."""
    where = str(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise UsageError(f"cannot read the cloud file: {fault.strerror}", where=where) from None
    except ValueError as fault:
        raise UsageError(f"the cloud file is not JSON: {fault}", where=where) from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise UsageError("this is no cloud file", where=where, hint=f'its "schema" must be "{SCHEMA}"')
    wanted = [field.name for field in fields(Cloud) if field.name not in _OPTIONAL]
    missing = [name for name in wanted if not isinstance(data.get(name), str)]
    unknown = sorted(set(data) - set(wanted) - {"schema", _SOURCES, *_OPTIONAL})
    if missing or unknown:
        parts = [f"missing: {', '.join(missing)}"] if missing else []
        parts += [f"unknown: {', '.join(unknown)}"] if unknown else []
        raise UsageError(f"the cloud file's keys are wrong ({'; '.join(parts)})", where=where)
    for name in ("login", "graph", "admin_api"):
        address = urlsplit(data[name])
        if address.scheme != "https" or not address.hostname or address.path.strip("/"):
            raise UsageError(f"{name} must be https://host[:port]", where=where)
    cloud = Cloud(
        name=data["name"],
        login=data["login"].rstrip("/"),
        graph=data["graph"].rstrip("/"),
        exchange_resource=data["exchange_resource"].rstrip("/"),
        admin_api=data["admin_api"].rstrip("/"),
        imap=_endpoint("imap", data["imap"], where),
        pop=_endpoint("pop", data["pop"], where),
        smtp=_endpoint("smtp", data["smtp"], where),
        exchange_environment=data["exchange_environment"],
        ca=Path(data["ca"]) if data.get("ca") else None,
        **{name: data[name].rstrip("/") for name in ("portal", "consent_resource") if isinstance(data.get(name), str)},
    )
    if not any_host and not cloud.emulated:
        strange = sorted({host for host in cloud.hosts() if not _is_loopback(host)})
        raise UsageError(
            f"the cloud file names hosts that are not loopback: {', '.join(strange)}",
            where=where,
            hint="tokens would be sent there; if that is meant, pass the file with --cloud-file",
        )
    return cloud


def _endpoint(name: str, text: str, where: str) -> Endpoint:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"{name} must be host:port, not {text!r}", where=where)
    return Endpoint(host, int(port))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
