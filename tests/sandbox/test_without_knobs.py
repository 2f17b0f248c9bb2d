"""Each knob disabled in turn: the test that holds it must turn red."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from test_knobs import HELD

pytestmark = [pytest.mark.mutants, pytest.mark.timeout(600)]

HERE = Path(__file__).resolve().parent


def test_a_knob_that_does_nothing_turns_its_test_red(record_property: Callable[[str, object], None]) -> None:
    """For each knob the named test fails, by its own assertion, in a process where the knob has no effect."""
    wanted = []
    for name, place in HELD.items():
        module, _, function = place.partition(".")
        wanted.append(f"{name}={HERE / module}.py::{function}")
    ran = subprocess.run(
        [sys.executable, str(HERE / "without_knobs.py"), *wanted], cwd=HERE.parents[1], capture_output=True, text=True,
        check=False, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [row["knob"] for row in rows] == list(HELD)
    for row in rows:
        colour = "red" if row.get("failed") else "GREEN"
        record_property("figure", f"{colour}: without {row['knob']} -> {HELD[row['knob']]}")
    assert [row for row in rows if not row.get("failed") or row.get("error")] == []
