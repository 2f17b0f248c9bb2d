"""The sandbox and desks that tests share."""

import gc
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from _pytest.terminal import TerminalReporter
from hypothesis import settings

from desk import QUICKSTART, Desk
from exosp.sandbox import initial
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options

# A job started in the background ignores the interrupt, and so would every command that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# What the caller's machine sets must not reach a test, but for what is meant for tests.
for _name in [
    name for name in os.environ if name.startswith(("AZURE_", "EXOSP_")) and not name.startswith("EXOSP_TEST_")
]:
    del os.environ[_name]

CHEAPEST = "admin-api"  # half the work of a management host; tests of remotings and of whole commands choose their own


# How long an example takes says more of the machine than of the code.
settings.register_profile("exosp", deadline=None)
settings.load_profile("exosp")


# Not what the sandbox gives by itself, which is enough for an audit too: an apply needs no more than this.
LEAST = {"graph_roles": ["Application.ReadWrite.OwnedBy", "AppRoleAssignment.ReadWrite.All", "Application.Read.All"]}
PLAIN = {**initial.DEFAULT, "admin": LEAST}


@pytest.fixture(scope="session")
def _running() -> Iterator[Running]:
    with Running(Options(faults="none")) as running:
        running.sandbox._content = PLAIN
        yield running


@pytest.fixture
def desk(_running: Running, tmp_path: Path) -> Desk:
    """The quickstart on a tenant without faults."""
    _running.reset(seed=1, faults="none", mailboxes=0, service_principals=0, mess=None)
    (tmp_path / "playbook.yaml").write_text(QUICKSTART.read_text(encoding="utf-8"), encoding="utf-8")
    return Desk(tmp_path, _running, remoting=CHEAPEST)


@pytest.fixture
def unkind(_running: Running, tmp_path: Path) -> Callable[..., Desk]:
    """A desk on a tenant with these faults, or this content."""

    def make(faults: str = "default", seed: int = 1, content: dict[str, Any] | None = None, **options: Any) -> Desk:
        _running.sandbox._content = PLAIN if content is None else {"admin": LEAST, **content}
        _running.reset(seed=seed, faults=faults, **({"mailboxes": 0, "service_principals": 0, "mess": None} | options))
        _running.sandbox._content = PLAIN
        (tmp_path / "playbook.yaml").write_text(QUICKSTART.read_text(encoding="utf-8"), encoding="utf-8")
        return Desk(tmp_path, _running, remoting=CHEAPEST)

    return make


@pytest.fixture(scope="session")
def _planting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from planted import PLAYBOOK, Ground
    from scripted import Authority, stage

    folder = tmp_path_factory.mktemp("desk")
    with Running(Options(faults="none", seed=1)) as running, stage() as small:
        desk = Desk(folder, running, remoting=CHEAPEST)
        desk.write(PLAYBOOK)
        desk.apply()
        with desk.session() as session:
            other = folder / "strange"
            other.mkdir()
            yield Ground(desk, session, small, Authority(other))


@pytest.fixture
def ground(_planting: Any) -> Iterator[Any]:
    """One tenant, applied once; what a test plants in it is taken back."""
    try:
        yield _planting
    finally:
        _planting.restore()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that no core waits for it at the end."""
    items.sort(key=lambda item: "test_storm.py" not in item.nodeid)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector need not look at it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5000, 20, 20)


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """The figures that benchmarks measured and the breaks that mutants made, whatever process ran them."""
    reports = [report for held in terminalreporter.stats.values() for report in held]
    said = [text for r in reports for name, text in getattr(r, "user_properties", ()) if name == "figure"]
    if said:
        terminalreporter.section("figures")
        for text in dict.fromkeys(said):
            terminalreporter.write_line(text)
