"""Each knob disabled in turn: the test that holds it must turn red."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from test_knobs import HELD

pytestmark = [pytest.mark.mutants, pytest.mark.timeout(120)]

HERE = Path(__file__).resolve().parent


@pytest.mark.parametrize("name", HELD)
def test_a_knob_that_does_nothing_turns_its_test_red(name: str, record_property: Callable[[str, object], None]) -> None:
    """The named test fails by its own assertion in a process where the knob has no effect."""
    module, _, function = HELD[name].partition(".")
    path = os.pathsep.join((str(HERE), *sys.path))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "without_knob",
        "-n",
        "0",
        "-m",
        "",
    ]
    ran = subprocess.run(
        [*command, f"{HERE / module}.py::{function}"], cwd=HERE.parents[1], capture_output=True, text=True, check=False,
        env=os.environ | {"WITHOUT_KNOB": name, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    colour = "red" if ran.returncode == 1 else "GREEN"
    record_property("figure", f"{colour}: without {name} -> {function}")
    assert ran.returncode == 1, ran.stdout[-2000:] + ran.stderr[-500:]
    assert "failed" in ran.stdout
