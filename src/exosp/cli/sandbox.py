"""exosp sandbox: the emulated tenant for other programs, tests and pipelines. Loopback only; nothing is kept."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import Format, FormatOption

app = typer.Typer(
    help="An emulated tenant on this machine: real wire protocols, nothing kept.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Seed = Annotated[int, typer.Option("--seed", help="The same seed, the same delays, losses and names.")]
FaultsOption = Annotated[
    str, typer.Option("--faults", metavar="PRESET|NAME=VALUE,…", help="How unkind it is: none, default, slow.")
]
Speed = Annotated[float, typer.Option("--speed", min=0.0, help="Sandbox seconds in a wall second.")]
Latency = Annotated[str, typer.Option("--latency", metavar="DURATION", help="Charged for each request, as 60ms.")]
CmdletTime = Annotated[
    str, typer.Option("--cmdlet-time", metavar="DURATION", help="Charged for each item of a pipeline, as 20ms.")
]
Mailboxes = Annotated[int, typer.Option("--mailboxes", min=0, help="More mailboxes, box00000@contoso.com and so on.")]
Principals = Annotated[int, typer.Option("--service-principals", min=0, help="More enterprise applications.")]
TenantFile = Annotated[
    Path | None,
    typer.Option("--tenant", metavar="FILE", help="What the tenant holds at first, YAML.", show_default=False),
]
Listen = Annotated[int, typer.Option("--listen", min=0, max=65000, help="First of seven fixed ports; 0: free ones.")]


def need_extra() -> None:
    """Say what to install where the sandbox's libraries are missing."""
    from importlib.util import find_spec

    from ..errors import UsageError

    missing = [name for name in ("aiohttp", "psrpcore", "jwt", "cryptography") if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"the sandbox needs {', '.join(missing)}, which this installation lacks",
            hint="pip install 'exosp[sandbox]', or pip install '.[sandbox]' in a clone",
        )


@app.command("up")
def up(
    seed: Seed = 0,
    faults: FaultsOption = "default",
    speed: Speed = 1.0,
    latency: Latency = "0ms",
    cmdlet_time: CmdletTime = "0ms",
    mailboxes: Mailboxes = 0,
    service_principals: Principals = 0,
    tenant: TenantFile = None,
    listen: Listen = 0,
    form: FormatOption = Format.text,
) -> None:
    """Serve a tenant until stopped, and print how to reach it. The output holds the tenant's own, worthless secrets."""
    need_extra()
    from . import serving

    serving.up(
        _options(seed, faults, speed, latency, cmdlet_time, mailboxes, service_principals),
        tenant,
        listen,
        as_json=form is Format.json,
    )


@app.command("run", context_settings={"allow_interspersed_args": False})
def run(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND…", help="What to run, with its arguments.")],
    seed: Seed = 0,
    faults: FaultsOption = "default",
    speed: Speed = 1.0,
    latency: Latency = "0ms",
    cmdlet_time: CmdletTime = "0ms",
    mailboxes: Mailboxes = 0,
    service_principals: Principals = 0,
    tenant: TenantFile = None,
    listen: Listen = 0,
) -> None:
    """Run one command against a fresh tenant, with all variables set, and return its exit code."""
    need_extra()
    from . import serving

    options = _options(seed, faults, speed, latency, cmdlet_time, mailboxes, service_principals)
    raise typer.Exit(serving.run(options, tenant, listen, command))


def _options(
    seed: int, faults: str, speed: float, latency: str, cmdlet_time: str, mailboxes: int, service_principals: int
) -> dict[str, Any]:
    return {
        "seed": seed,
        "faults": faults,
        "speed": speed,
        "latency": _duration(latency, "--latency"),
        "cmdlet_time": _duration(cmdlet_time, "--cmdlet-time"),
        "mailboxes": mailboxes,
        "service_principals": service_principals,
    }


def _duration(text: str, option: str) -> float:
    """60ms, 0.5s or a plain number of seconds."""
    unit, number = (0.001, text[:-2]) if text.endswith("ms") else (1.0, text.removesuffix("s"))
    try:
        found = float(number) * unit
    except ValueError:
        found = -1.0
    if not 0 <= found <= 60:
        raise typer.BadParameter(f"{text!r} is no duration up to 60 s; write 60ms or 0.5s", param_hint=option)
    return found
