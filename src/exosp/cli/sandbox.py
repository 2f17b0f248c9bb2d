"""exosp sandbox: the emulated tenant for other programs, tests and pipelines. Loopback only; nothing is kept."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import Format, FormatOption
from .screen import Screen

app = typer.Typer(
    help="An emulated tenant on this machine: real wire protocols, nothing kept.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Seed = Annotated[int, typer.Option("--seed", metavar="N", help="The same seed, the same delays, losses and names.")]
FaultsOption = Annotated[
    str,
    typer.Option("--faults", metavar="PRESET|NAME=VALUE,…", help="How unkind it is: none, default, slow."),
]
Speed = Annotated[float, typer.Option("--speed", metavar="X", help="Sandbox seconds in a second of yours.")]
Latency = Annotated[str, typer.Option("--latency", metavar="DURATION", help="Charged for each request, as 60ms.")]
CmdletTime = Annotated[
    str, typer.Option("--cmdlet-time", metavar="DURATION", help="Charged for each item of a pipeline, as 20ms.")
]
Mailboxes = Annotated[
    int, typer.Option("--mailboxes", metavar="N", min=0, help="So many mailboxes more, box00000@contoso.com and on.")
]
Principals = Annotated[
    int, typer.Option("--service-principals", metavar="N", min=0, help="So many enterprise applications more.")
]
Mess = Annotated[
    int | None,
    typer.Option(
        "--mess", metavar="SEED", help="Also what the hands of others left behind, by this seed.", show_default=False
    ),
]
TenantFile = Annotated[
    Path | None,
    typer.Option("--tenant", metavar="FILE", help="What the tenant holds at first, YAML.", show_default=False),
]
Shape = Annotated[
    str | None,
    typer.Option(
        "--cloud-shape", metavar="CLOUD", show_default=False,
        help="Names, role ids and refusals as in this cloud: global, gcc-high, dod, china. Hosts are loopback all the same.",
    ),
]  # fmt: skip
Module = Annotated[
    str,
    typer.Option(
        "--module", metavar="VERSION|none",
        help="ExchangeOnlineManagement where PowerShell runs: another version, as 3.0.0, which has no -AccessToken; none: not "
        "installed.",
    ),
]  # fmt: skip
Listen = Annotated[int, typer.Option("--listen", metavar="PORT", help="The first of eight fixed ports; 0: free ones.")]


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


@app.command("up", short_help="Serve a tenant until stopped.")
def up(
    seed: Seed = 0,
    faults: FaultsOption = "default",
    speed: Speed = 1.0,
    latency: Latency = "0ms",
    cmdlet_time: CmdletTime = "0ms",
    mailboxes: Mailboxes = 0,
    service_principals: Principals = 0,
    mess: Mess = None,
    tenant: TenantFile = None,
    cloud: Shape = None,
    module: Module = "",
    listen: Listen = 0,
    form: FormatOption = Format.text,
) -> None:
    """Serve a tenant until stopped, and print how to reach it: the variables to set, for bash and PowerShell or as JSON.
    They hold the tenant's own secrets, which are worthless outside it."""
    with Screen(form, command="sandbox") as screen:
        need_extra()
        options = _options(
            seed, faults, speed, latency, cmdlet_time, mailboxes, service_principals, mess, cloud, module
        )
        with screen.progress("starting the emulated tenant"):
            from . import serving
        serving.up(options, tenant, _port(listen), screen)


@app.command(
    "run",
    short_help="Run one command against a fresh tenant.",
    options_metavar="[OPTIONS] --",
    context_settings={"allow_interspersed_args": False},
)
def run(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND", help="What to run, with its arguments.")],
    seed: Seed = 0,
    faults: FaultsOption = "default",
    speed: Speed = 1.0,
    latency: Latency = "0ms",
    cmdlet_time: CmdletTime = "0ms",
    mailboxes: Mailboxes = 0,
    service_principals: Principals = 0,
    mess: Mess = None,
    tenant: TenantFile = None,
    cloud: Shape = None,
    module: Module = "",
    listen: Listen = 0,
) -> None:
    """Run one command against a fresh tenant, with all variables set, and return its exit code. Its input and output are
    its own."""
    with Screen(Format.text, command="sandbox"):
        need_extra()
        from . import serving

        options = _options(
            seed, faults, speed, latency, cmdlet_time, mailboxes, service_principals, mess, cloud, module
        )
        raise typer.Exit(serving.run(options, tenant, _port(listen), command))


def _options(
    seed: int,
    faults: str,
    speed: float,
    latency: str,
    cmdlet_time: str,
    mailboxes: int,
    service_principals: int,
    mess: int | None,
    cloud: str | None,
    module: str,
) -> dict[str, Any]:
    given = {"module": _module(module)} if module else {}
    return given | {
        "seed": seed,
        "faults": faults,
        "speed": _not_negative(speed, "--speed"),
        "latency": _duration(latency, "--latency"),
        "cmdlet_time": _duration(cmdlet_time, "--cmdlet-time"),
        "mailboxes": mailboxes,
        "service_principals": service_principals,
        "mess": mess,
        "cloud": _shape(cloud),
    }


def _duration(text: str, option: str) -> float:
    """60ms, 0.5s or a plain number of seconds."""
    unit, number = (0.001, text[:-2]) if text.endswith("ms") else (1.0, text.removesuffix("s"))
    try:
        found = float(number) * unit
    except ValueError:
        found = -1.0
    if not 0 <= found <= 60:
        raise _wrong(f"{text!r} is no duration up to 60 s", option, "write 60ms or 0.5s")
    return found


def _not_negative(number: float, option: str) -> float:
    if not 0 <= number < 1e6:
        raise _wrong(
            f"{number:g} is no speed", option, "1 is the time of this machine, 60 an hour a minute, 0 stands still"
        )
    return number


def _shape(name: str | None) -> str:
    """A cloud's name; empty where the tenant file, or nobody, says."""
    from ..sandbox.clouds import SHAPES

    if name is not None and name not in SHAPES:
        raise _wrong(f"{name!r} is no cloud", "--cloud-shape", f"there are: {', '.join(SHAPES)}")
    return name or ""


def _module(version: str) -> str:
    """A version; empty for none."""
    parts = version.split(".")
    if version != "none" and not (
        2 <= len(parts) <= 4 and all(p.isascii() and p.isdigit() and len(p) < 10 for p in parts)
    ):
        raise _wrong(f"{version!r} is no version", "--module", "write 3.0.0, or none where it is not installed")
    return "" if version == "none" else version


def _port(number: int) -> int:
    if number and not 1024 <= number <= 65000:
        raise _wrong(f"{number} is no first port", "--listen", "choose 1024 to 65000, or 0 for free ones")
    return number


def _wrong(what: str, where: str, hint: str) -> Exception:
    from ..errors import UsageError

    return UsageError(what, where=where, hint=hint)
