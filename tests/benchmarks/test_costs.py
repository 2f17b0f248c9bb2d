"""What exosp costs, as ratios of CPU or counts within one run. Figures are printed at the end; seconds are never judged.

CPU is user plus system time of a whole process and its children, summed over turns taken alternately, so that a machine
whose speed drifts slows both sides alike. A sum near its limit is taken over four times as many turns.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from desk import Desk

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]

Figure = Callable[[str], None]
EXOSP = [sys.executable, "-m", "exosp"]
TYPER = [sys.executable, "-c", "import typer"]
COMMANDS = (
    ["demo"],
    ["plan"],
    ["apply"],
    ["verify"],
    ["audit"],
    ["undo"],
    ["destroy"],
    ["sandbox"],
    ["sandbox", "up"],
    ["sandbox", "run"],
)


def cpu(command: Sequence[str]) -> float:
    """CPU seconds of one process, its children included. Its output is thrown away; a failure is an error."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, command
    return usage.ru_utime + usage.ru_stime


def ratio(command: Sequence[str], other: Sequence[str], limit: float, *, turns: int = 9) -> float:
    """This command's CPU by the other's, measured one right after the other."""
    for warm in (command, other):
        cpu(warm)
    ours = theirs = 0.0
    for turn in range(4 * turns):
        if turn == turns and ours / theirs < 0.97 * limit:
            break
        ours += cpu(command)
        theirs += cpu(other)
    return ours / theirs


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Says a figure in the run's summary."""
    return lambda text: record_property("figure", text)


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_starting_costs_little_more_than_typer(option: str, figure: Figure) -> None:
    """At most 1.6 times ``import typer``."""
    found = ratio([*EXOSP, option], TYPER, 1.6)
    figure(f"exosp {option}: {found:.2f} x import typer")
    assert found <= 1.6


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_commands_help_is_cheap(command: list[str], figure: Figure) -> None:
    """At most 3.2 times ``import typer``."""
    found = ratio([*EXOSP, *command, "--help"], TYPER, 3.2)
    figure(f"exosp {' '.join(command)} --help: {found:.2f} x import typer")
    assert found <= 3.2


def test_the_sandbox_starts_as_fast_as_its_libraries(figure: Figure) -> None:
    """Start to listening and stop: at most 1.8 times importing what it stands on."""
    libraries = (
        "import aiohttp.web, cryptography.x509, cryptography.hazmat.primitives.asymmetric.rsa, jwt, psrpcore, yaml"
    )
    start = (
        "from exosp.sandbox.server import Running\nfrom exosp.sandbox.tenant import Options\n"
        "with Running(Options()): pass"
    )
    found = ratio([sys.executable, "-c", start], [sys.executable, "-c", libraries], 1.8)
    figure(f"sandbox start: {found:.2f} x importing its libraries")
    assert found <= 1.8


def test_the_demo_costs_a_few_imports(tmp_path: Path, figure: Figure) -> None:
    """``exosp demo --faults none``: at most 5 times importing everything that it has loaded when it ends."""
    listing = tmp_path / "modules.json"
    demo = "import sys; sys.argv = ['exosp', 'demo', '--faults', 'none']; from exosp.cli import main\n"
    watched = (
        "import json, sys, contextlib\n"
        f"with contextlib.suppress(SystemExit):\n    exec({demo!r})\n    main()\n"
        f"json.dump(sorted(n for n in sys.modules if n != '__main__'), open({str(listing)!r}, 'w'))"
    )
    subprocess.run([sys.executable, "-c", watched], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert len(json.loads(listing.read_text())) > 500
    imports = (
        "import contextlib, importlib, json, warnings\nwarnings.simplefilter('ignore')\n"
        f"for name in json.load(open({str(listing)!r})):\n"
        "    with contextlib.suppress(ImportError, AttributeError):\n        importlib.import_module(name)"
    )
    found = ratio([*EXOSP, "demo", "--faults", "none"], [sys.executable, "-c", imports], 5, turns=5)
    figure(f"exosp demo --faults none: {found:.2f} x importing everything it uses")
    assert found <= 5


@pytest.mark.parametrize("size", [0, 450, 5000])
def test_first_apply_asks_the_same_whatever_the_tenants_size(
    unkind: Callable[..., Desk], size: int, figure: Figure
) -> None:
    """At most 16 Graph requests and 16 pipelines, the closing observation included."""
    desk = unkind("none", service_principals=size)
    desk.remoting = ""  # the management host
    desk.apply()
    asked = desk.requests()
    cmdlets = {
        n: c for n, c in asked["remoting"].items() if n not in ("Connect-ExchangeOnline", "Disconnect-ExchangeOnline")
    }
    graph, pipelines = sum(asked["graph"].values()), sum(cmdlets.values())
    figure(f"first apply among {size} service principals: {graph} Graph requests, {pipelines} pipelines")
    assert 0 < graph <= 16
    assert 0 < pipelines <= 16
