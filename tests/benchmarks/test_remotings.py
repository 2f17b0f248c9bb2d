"""What a thousand mailboxes cost by each remoting: time against the least that the service's own prices leave. Emulator
figures."""

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

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(240)]

LATENCY, CMDLET = 0.060, 0.020  # seconds
MAILBOXES = 1000
# Requests that one pipeline, or one $batch, needs: WSMan's Command, Send, Receive and Signal; one POST.
TRIPS = {"winrm": 4, "admin-api": 1}
ENOUGH = 0.6

PLAYBOOK = """\
exosp: 1
tenant: contoso.onmicrosoft.com
app:
  key: support-desk
  name: Support Desk Mail
  credential: {type: secret, valid_for: 180d, save_to: support-desk.env}
protocols: [imap]
mailboxes:
"""


@contextmanager
def tenant() -> Iterator[dict[str, str]]:
    """A tenant in a process of its own; how to reach it."""
    prices = ["--latency", f"{LATENCY * 1000:.0f}ms", "--cmdlet-time", f"{CMDLET * 1000:.0f}ms"]
    command = [sys.executable, "-m", "exosp", "sandbox", "up", "--format", "json", "--faults", "none", *prices]
    with subprocess.Popen([*command, "--mailboxes", str(MAILBOXES)], stdout=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stdout is not None
            said = json.loads(serving.stdout.readline())
            yield said["environment"]
        finally:
            serving.terminate()


def bound(way: str, cost: dict[str, Any]) -> float:
    """Seconds that remain where eight are under way all the time: each item's cmdlet, each request's way there and back;
    Graph's and the token endpoint's come one after another."""
    carried = cost["items"] * CMDLET + cost["remoting"] * TRIPS[way] * LATENCY
    return float(carried / FLIGHTS + (cost["graph"] + cost["token"]) * LATENCY)


def applied(folder: Path) -> dict[str, dict[str, Any]]:
    """An apply over each remoting, at the same time, on a tenant each: what they cost."""
    script = Path(__file__).with_name("carried.py")
    running = {}
    with tenant() as one, tenant() as other:
        for way, environment in (("winrm", one), ("admin-api", other)):
            place = folder / way
            place.mkdir(parents=True)
            boxes = "".join(f"  - box{number:05}@contoso.com\n" for number in range(MAILBOXES))
            (place / "playbook.yaml").write_text(PLAYBOOK + boxes, encoding="utf-8")
            chosen = environment if way == "winrm" else environment | {"EXOSP_REMOTING": way}
            running[way] = subprocess.Popen(
                [sys.executable, str(script), str(place / "playbook.yaml")], stdout=subprocess.PIPE, text=True,
                env=clean_environment(chosen) | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )  # fmt: skip
        return {way: json.loads(process.communicate()[0]) for way, process in running.items()}


def test_a_thousand_mailboxes_take_little_more_than_they_must(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """60 ms a request, 20 ms a cmdlet, 8 in flight: an apply over winrm and one over admin-api reach at least 0.6 of their
    bounds. Where a busy machine kept one from it, a second turn decides."""
    reached = dict.fromkeys(TRIPS, 0.0)
    for turn in range(2):
        costs = applied(tmp_path / str(turn))
        assert all(cost["done"] for cost in costs.values())
        for way, cost in costs.items():
            share = bound(way, cost) / cost["took"]
            reached[way] = max(reached[way], share)
            record_property(
                "figure",
                f"apply of {MAILBOXES} mailboxes over {way}: {cost['took']:.1f} s for {cost['items']} items in "
                f"{cost['remoting']} requests, {share:.2f} of its bound of {bound(way, cost):.1f} s (emulator figures)",
            )
        if min(reached.values()) >= ENOUGH:
            break
    assert {way: share for way, share in reached.items() if share < ENOUGH} == {}
