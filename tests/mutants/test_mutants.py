"""Break the code on purpose: each named break must turn a named test red. The list is printed at the end.

A break is one replacement in one file of exosp, seen by one process alone. A test that stays green under its break proves
nothing, and a replacement whose text is no longer there is an error, so the list cannot rot.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from audited_tenant import AUDITED_TENANT
from broken import ROOT
from chain import CLIENT, KINDER
from checks import CHECKS
from clouds import CLOUDS
from collecting import COLLECTING
from exchange_census import EXCHANGE_CENSUS
from explaining import EXPLAINING
from harm import HARM
from html_page import HTML
from ladder import LADDER
from letters import LETTERS
from mutant import Mutant
from people import PEOPLE
from powershell import POWERSHELL
from rails import RAILS
from rbac import RBAC
from records import RECORDS
from remotings import REMOTINGS
from reports import REPORTS
from retries import RETRIES
from signing import SIGNING

pytestmark = pytest.mark.timeout(300)

# Every retry rule, guard rail, journal write and sandbox fault; and what the other rooms hold, which takes as long again.
ALWAYS = (*CLIENT, *RETRIES, *RAILS, *RECORDS, *KINDER)
AT_LENGTH = (
    *SIGNING,
    *REMOTINGS,
    *POWERSHELL,
    *LETTERS,
    *HARM,
    *PEOPLE,
    *RBAC,
    *CLOUDS,
    *LADDER,
    *EXPLAINING,
    *AUDITED_TENANT,
    *REPORTS,
    *HTML,
    *CHECKS,
    *COLLECTING,
    *EXCHANGE_CENSUS,
)
MUTANTS = (*ALWAYS, *AT_LENGTH)
FILES = sorted({mutant.test.partition("::")[0] for mutant in ALWAYS})


class Runner:
    """The process that runs tests on broken code."""

    def __init__(self, compiled: Path) -> None:
        place = os.pathsep.join([str(ROOT / "src"), *(path for path in sys.path if path)])
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("broken.py"))], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": place, "PYTHONPYCACHEPREFIX": str(compiled), "PYTHONDONTWRITEBYTECODE": ""},
        )  # fmt: skip

    def run(self, tests: Sequence[str], file: str = "", old: str = "", new: str = "") -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"file": file, "old": old, "new": new, "tests": list(tests)}
        print(json.dumps(order), file=self._process.stdin, flush=True)
        came: dict[str, Any] = json.loads(self._process.stdout.readline())
        return came

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    found = Runner(tmp_path_factory.mktemp("compiled"))
    yield found
    found.close()


@pytest.mark.mutants
@pytest.mark.parametrize("file", FILES)
def test_named_tests_pass_on_the_code_as_it_is(runner: Runner, file: str) -> None:
    """Otherwise a red test under a break would say nothing. A few of each file: this is about the process that runs broken
    code, for all of them pass in the suite itself."""
    named = sorted({mutant.test for mutant in ALWAYS if mutant.test.startswith(f"{file}::")})
    came = runner.run(named[:: max(1, len(named) // 3)])
    assert came.get("passed"), came["said"]
    assert not came.get("failed"), came["said"]
    assert not came.get("error"), came["said"]
    assert came["place"] == str(ROOT / "src" / "exosp" / "__init__.py")


@pytest.mark.mutants
def test_each_break_has_a_name_of_its_own() -> None:
    """And each is another one than the rest."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert len({(mutant.file, mutant.old, mutant.new, mutant.test) for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize(
    "mutant",
    [
        *(pytest.param(mutant, marks=pytest.mark.mutants, id=mutant.name) for mutant in ALWAYS),
        *(pytest.param(mutant, marks=pytest.mark.thorough, id=mutant.name) for mutant in AT_LENGTH),
    ],
)
def test_a_break_turns_its_test_red(
    runner: Runner, mutant: Mutant, record_property: Callable[[str, object], None]
) -> None:
    """The named test fails, by its own assertion or by an exception that it meets, not because it could not be run."""
    whole = (ROOT / "src" / "exosp" / mutant.file).read_text(encoding="utf-8")
    assert whole.count(mutant.old) == 1, f"{mutant.file} does not hold the text once"
    compile(whole.replace(mutant.old, mutant.new), mutant.file, "exec")
    came = runner.run([mutant.test], mutant.file, mutant.old, mutant.new)
    colour = "red" if came.get("failed") and not came.get("error") else "GREEN"
    record_property("figure", f"{colour}: {mutant.name} -> {mutant.test.partition('::')[2]}")
    assert colour == "red", came["said"]
