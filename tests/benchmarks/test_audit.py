"""What reading who may open which mailbox costs: time against the least that the service's own prices leave and against one
Get-MailboxPermission after another, and memory that does not grow with the tenant. Emulator figures."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from exosp.exchange.spreading import FLIGHTS
from exosp.sandbox.server import clean_environment

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(400)]

LATENCY, CMDLET = 0.060, 0.010  # seconds
MAILBOXES, MANY, BASE = 10_000, 100_000, 100
ALWAYS = 3  # mailboxes that every tenant has
# Round trips that one pipeline, or one $batch, needs: WSMan's Command, Send, Receive and Signal; one POST.
TRIPS = {"winrm": 4, "admin-api": 1}
ENOUGH = 0.6
FASTER = {"winrm": 60, "admin-api": 25}
LARGER = 1.5

Report = Callable[[str, object], None]


class Tenant:
    """One in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]", environment: dict[str, str]) -> None:
        self._process = process
        self._environment = environment

    def cpu(self) -> float:
        """Seconds that it has worked."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def audits(self, way: str, *what: str) -> "subprocess.Popen[str]":
        chosen = self._environment if way == "winrm" else self._environment | {"EXOSP_REMOTING": way}
        script = str(Path(__file__).with_name("audited.py"))
        return subprocess.Popen(
            [sys.executable, script, *what], stdout=subprocess.PIPE, text=True,
            env=clean_environment(chosen) | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip


@contextmanager
def tenant(mailboxes: int, latency: float = LATENCY, cmdlet: float = CMDLET) -> Iterator[Tenant]:
    prices = ["--latency", f"{latency * 1000:.0f}ms", "--cmdlet-time", f"{cmdlet * 1000:.0f}ms"]
    command = [sys.executable, "-m", "exosp", "sandbox", "up", "--format", "json", "--faults", "none", *prices]
    with subprocess.Popen([*command, "--mailboxes", str(mailboxes)], stdout=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stdout is not None
            yield Tenant(serving, json.loads(serving.stdout.readline())["environment"])
        finally:
            serving.terminate()


def cost(process: "subprocess.Popen[str]") -> dict[str, Any]:
    said, _ = process.communicate()
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(said)
    return found


@pytest.fixture(scope="module")
def one_after_another() -> dict[str, float]:
    """Seconds a mailbox, by each remoting; both at the same time, since they wait nearly all the time."""
    with tenant(BASE) as one:
        running = {way: one.audits(way, "one-by-one", str(BASE)) for way in TRIPS}
        return {way: cost(process)["took"] / BASE for way, process in running.items()}


@pytest.mark.parametrize("way", TRIPS)
def test_ten_thousand_mailboxes(way: str, one_after_another: dict[str, float], record_property: Report) -> None:
    """60 ms a request, 10 ms a cmdlet, 8 in flight: at least 0.6 of the bound, with signing in, connecting and listing within
    the time, and 60 times (winrm) or 25 times (admin-api) as fast as one after another."""
    with tenant(MAILBOXES) as large:
        before = large.cpu()
        found = cost(large.audits(way, "census"))
        theirs = large.cpu() - before
    assert (found["mailboxes"], found["failed"]) == (MAILBOXES + ALWAYS, 0)
    bound = (found["items"] * CMDLET + found["pipelines"] * TRIPS[way] * LATENCY) / FLIGHTS
    share, faster = bound / found["took"], one_after_another[way] * found["items"] / found["took"]
    record_property(
        "figure",
        f"audit of {MAILBOXES:,} mailboxes over {way}: {found['took']:.1f} s, {share:.2f} of its bound of {bound:.1f} s, "
        f"{faster:.0f} x one after another ({one_after_another[way] * 1000:.0f} ms each, {BASE} of them); "
        f"CPU {found['cpu']:.1f} s here, {theirs:.1f} s in the sandbox; peak {found['peak'] / 2**20:.0f} MiB (emulator figures)",
    )
    assert share >= ENOUGH
    assert faster >= FASTER[way]


def test_a_hundred_thousand_take_no_more_memory(record_property: Report) -> None:
    """The whole command holds at most 1.5 times what it holds for ten thousand. Over the admin API, without prices: memory
    does not depend on these."""
    found = {}
    for count in (MAILBOXES, MANY):
        with tenant(count, 0, 0) as one:
            found[count] = cost(one.audits("admin-api", "whole"))
            theirs = one.cpu()
        assert found[count]["read"] == count + ALWAYS
        assert found[count]["unread"] == 0
        record_property(
            "figure",
            f"exosp audit of {count:,} mailboxes over admin-api, without prices: {found[count]['took']:.0f} s, CPU "
            f"{found[count]['cpu']:.1f} s here and {theirs:.1f} s in the sandbox; peak "
            f"{found[count]['peak'] / 2**20:.0f} MiB (emulator figures)",
        )
    assert found[MANY]["peak"] <= LARGER * found[MAILBOXES]["peak"]
