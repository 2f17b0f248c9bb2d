"""The ways to reach Exchange's cmdlets, a row each, and the choice among them. Nothing is opened before a row is chosen,
and what a row needs is imported then.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..clouds import Cloud
from ..errors import UsageError
from .cmdlets import OURS, Paging
from .sessions import Connect
from .spreading import Pieces
from .target import target

VARIABLE = "EXOSP_REMOTING"
MODULE = "ExchangeOnlineManagement"


class Opened(Paging, Protocol):
    """A remoting as it is used: cmdlets, then an end."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class Setting:
    """What a remoting is made from. ``connect`` is called where a session must be connected, ``sign_in`` where a token is
    all that is needed; ``organization`` is the tenant as the playbook names it. ``commands``: the cmdlets that
    a session loads (``cmdlets.READS`` for an audit)."""

    cloud: Cloud
    environment: Mapping[str, str]
    connect: Connect
    sign_in: Connect
    organization: str
    commands: tuple[str, ...] = OURS


@dataclass(frozen=True)
class Row:
    """One way. ``form``: what to write for it. ``what``: what it is, for people. ``seen``: what can be seen of it from
    here, given the environment. ``pieces``: how it takes many items."""

    name: str
    form: str
    what: str
    seen: Callable[[Mapping[str, str]], str]
    opens: Callable[[str, Setting], Opened]
    pieces: Pieces


def _winrm(address: str, setting: Setting) -> Opened:
    from .winrm import Winrm

    return Winrm(
        target(address, setting.environment, ca=setting.cloud.ca),
        setting.connect,
        organization=setting.organization,
        exchange_environment=setting.cloud.exchange_environment,
        commands=setting.commands,
    )


def _admin_api(address: str, setting: Setting) -> Opened:
    from .admin_api import AdminApi

    return AdminApi(setting.cloud, setting.sign_in)


def _pwsh(address: str, setting: Setting) -> Opened:
    from .pwsh import Pwsh

    return Pwsh(
        setting.connect,
        exchange_environment=setting.cloud.exchange_environment,
        environment=setting.environment,
        commands=setting.commands,
    )


def _hosts_seen(environment: Mapping[str, str]) -> str:
    return "no host is named here"


def _always_seen(environment: Mapping[str, str]) -> str:
    return "always reachable, but undocumented by Microsoft"


def _pwsh_seen(environment: Mapping[str, str]) -> str:
    """Whether a pwsh stands in PATH, and the module where PowerShell looks for modules. Neither is started."""
    program = shutil.which("pwsh", path=environment.get("PATH"))
    if program is None:
        return "no pwsh in PATH"
    home = environment.get("HOME") or environment.get("USERPROFILE") or "~"
    places = [Path(part) for part in environment.get("PSModulePath", "").split(":") if part]
    places += [Path(home).expanduser() / ".local/share/powershell/Modules", Path("/usr/local/share/powershell/Modules")]
    places.append(Path(program).resolve().parent / "Modules")
    there = any((place / MODULE).is_dir() for place in places)
    return f"{program}, {'with' if there else 'and no'} {MODULE}"


# Connecting a session takes seconds and each thread needs one of its own: a few mailboxes are not worth it.
_SESSIONS = Pieces(most=100, least=12)
_PROCESSES = Pieces(most=100, least=25, flights=4)  # each of them a PowerShell with the module loaded

REMOTINGS: tuple[Row, ...] = (
    Row("winrm", "winrm://HOST:5986/wsman?auth=negotiate", "a Windows management host", _hosts_seen, _winrm, _SESSIONS),
    Row("pwsh", "pwsh", "PowerShell 7 on this machine", _pwsh_seen, _pwsh, _PROCESSES),
    Row(
        "admin-api",
        "admin-api",
        "the REST endpoint behind the module",
        _always_seen,
        _admin_api,
        Pieces(most=10, least=10),
    ),
)


def choose(address: str) -> Row:
    """The row that an address is for. Raises UsageError."""
    wanted = "winrm" if "://" in address else address.strip().lower()
    row = next((row for row in REMOTINGS if row.name == wanted), None)
    if row is None:
        raise UsageError(f"no remoting {address!r}", where=VARIABLE, hint=f"there are {_forms()}")
    if row.name == "winrm" and "://" not in address:
        raise UsageError("winrm needs a host", where=VARIABLE, hint=f"its form is {row.form}")
    return row


def nothing_set(environment: Mapping[str, str], where: str) -> UsageError:
    """What to say where neither the environment nor the playbook names a way: all of them, and what is seen of each."""
    ways = "; ".join(f"{row.form} ({row.what}: {row.seen(environment)})" for row in REMOTINGS)
    return UsageError(
        "nothing says where Exchange's cmdlets run",
        where=where,
        hint=f"set {VARIABLE}, or exchange: {{remoting: …}} in the playbook, to one of: {ways}",
    )


def _forms() -> str:
    return ", ".join(row.form for row in REMOTINGS)
