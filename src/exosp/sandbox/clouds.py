"""The four clouds as shapes of a tenant: what differs for its clients in names, audiences, ids and refusals. Hosts do not:
every emulated service is on loopback.

Sources: CSS-Exchange Get-CloudServiceEndpoint.ps1 (resources, environment names), learn.microsoft.com/graph/deployments
(Graph's), Connect-ExchangeOnline's help (environments, initial domains), ScubaGear f16241f5 (role ids of GCC High).
Not known, so made anew for every tenant: the role ids of DoD and of 21Vianet. Assumed: that the resource principals of a
national cloud bear that cloud's names and no other's (the worldwide one bears names of all), beside the ps.outlook.com
that the vendor's page names for consent without saying for which cloud.
"""

from dataclasses import dataclass
from typing import Literal

RoleIds = Literal["worldwide", "gcc-high", "random"]
Upsert = Literal["served", "refused"]


@dataclass(frozen=True)
class Shape:
    """``audiences``: whom Exchange takes a token's audience for. ``instance``: what the login host calls its cloud.
    ``suffix``: of initial domains. ``upsert``: PATCH /applications(uniqueName='…') with Prefer: create-if-missing."""

    name: str
    instance: str
    suffix: str
    exchange_resource: str
    audiences: frozenset[str]
    exchange_names: tuple[str, ...]
    graph_names: tuple[str, ...]
    environment: str
    role_ids: RoleIds
    upsert: Upsert
    issuer: str

    @property
    def graph(self) -> str:
        """The audience of Graph where a scope names none."""
        return self.graph_names[0]


_APP = "00000002-0000-0ff1-ce00-000000000000"
_STS = "https://sts.windows.net"
_WORLDWIDE_NAMES = (
    "https://outlook.office365.com", "https://outlook.office365.com:443/", "https://outlook.office.com",
    "https://outlook.office.com/", "https://outlook-sdf.office.com", "https://ps.outlook.com", "https://ps.protection.outlook.com/",
    "https://outlook.com/", "https://mail.office365.com/", "https://webmail.apps.mil/", "https://outlook.office365.us",
    "https://outlook-dod.office365.us", "https://partner.outlook.cn", "Office365Exchange", f"{_APP}/outlook.office365.com",
)  # fmt: skip
_WORLDWIDE_GRAPH = (
    "https://graph.microsoft.com", "https://graph.microsoft.com/", "https://graph.microsoft.us", "https://dod-graph.microsoft.us",
    "https://microsoftgraph.chinacloudapi.cn", "https://canary.graph.microsoft.com/", "00000003-0000-0000-c000-000000000000/graph.microsoft.com",
)  # fmt: skip


def _national(
    name: str,
    instance: str,
    suffix: str,
    host: str,
    graph: str,
    environment: str,
    role_ids: RoleIds,
    issuer: str = _STS,
) -> Shape:
    resource = f"https://{host}"
    names = (resource, f"{resource}/", "https://ps.outlook.com", "Office365Exchange", f"{_APP}/{host}")
    audiences = frozenset({resource})
    graph_names = (f"https://{graph}", f"https://{graph}/")
    return Shape(
        name, instance, suffix, resource, audiences, names, graph_names, environment, role_ids, "refused", issuer
    )


SHAPES: dict[str, Shape] = {
    shape.name: shape
    for shape in (
        Shape(
            "global", "microsoftonline.com", "onmicrosoft.com", "https://outlook.office365.com",
            frozenset({"https://outlook.office365.com", "https://outlook.office.com"}),
            _WORLDWIDE_NAMES, _WORLDWIDE_GRAPH, "O365Default", "worldwide", "served", _STS,
        ),
        _national("gcc-high", "microsoftonline.us", "onmicrosoft.us", "outlook.office365.us", "graph.microsoft.us",
                  "O365USGovGCCHigh", "gcc-high"),
        _national("dod", "microsoftonline.us", "onmicrosoft.us", "outlook-dod.office365.us", "dod-graph.microsoft.us",
                  "O365USGovDoD", "random"),
        _national("china", "partner.microsoftonline.cn", "partner.onmschina.cn", "partner.outlook.cn",
                  "microsoftgraph.chinacloudapi.cn", "O365China", "random", "https://sts.chinacloudapi.cn"),
    )
}  # fmt: skip
GLOBAL = SHAPES["global"]


def elsewhere(shape: Shape, tenant: str) -> str:
    """The instance that a tenant's name belongs to, where its initial domain is another instance's; else empty. A name
    under a domain of its own, or an id, tells nothing."""
    for other in SHAPES.values():
        if tenant.lower().endswith(f".{other.suffix}") and other.instance != shape.instance:
            return other.instance
    return ""
