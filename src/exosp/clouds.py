"""Where Microsoft's services are, a row a cloud, and the reader of a cloud file.

Sources: CSS-Exchange Get-CloudServiceEndpoint.ps1, Connect-ExchangeOnline's help, learn.microsoft.com on national
clouds. App role ids are never here: they differ between clouds and are looked up in the tenant.
"""

import ipaddress
import json
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit

from .errors import UsageError

SCHEMA = "exosp/cloud/1"


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

    def endpoint(self, protocol: str) -> Endpoint:
        """Where imap, pop or smtp is spoken."""
        return {"imap": self.imap, "pop": self.pop, "smtp": self.smtp}[protocol]


def _row(name: str, login: str, graph: str, exchange: str, smtp: str, environment: str, portal: str) -> Cloud:
    return Cloud(
        name, f"https://{login}", f"https://{graph}", f"https://{exchange}", f"https://{exchange}",
        Endpoint(exchange, 993), Endpoint(exchange, 995), Endpoint(smtp, 587), environment, f"https://{portal}",
    )  # fmt: skip


CLOUDS: dict[str, Cloud] = {
    cloud.name: cloud
    for cloud in (
        _row("global", "login.microsoftonline.com", "graph.microsoft.com", "outlook.office365.com",
             "smtp.office365.com", "O365Default", "entra.microsoft.com"),
        _row("gcc-high", "login.microsoftonline.us", "graph.microsoft.us", "outlook.office365.us",
             "smtp.office365.us", "O365USGovGCCHigh", "entra.microsoft.us"),
        _row("dod", "login.microsoftonline.us", "dod-graph.microsoft.us", "outlook-dod.office365.us",
             "outlook-dod.office365.us", "O365USGovDoD", "entra.microsoft.us"),
        _row("china", "login.partner.microsoftonline.cn", "microsoftgraph.chinacloudapi.cn", "partner.outlook.cn",
             "smtp.partner.outlook.cn", "O365China", "entra.microsoftonline.cn"),
    )
}  # fmt: skip


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
    wanted = [field.name for field in fields(Cloud) if field.name not in ("portal", "ca")]
    missing = [name for name in wanted if not isinstance(data.get(name), str)]
    unknown = sorted(set(data) - set(wanted) - {"schema", "portal", "ca"})
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
