"""A saved plan: apply sends what it planned itself, and only if that is what was saved."""

import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from console import Console, state
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options

pytestmark = pytest.mark.slow  # whole lives of a tenant


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running(Options(faults="none")) as found:
        yield found


@pytest.fixture
def console(running: Running, tmp_path: Path) -> Console:
    """The quickstart on a fresh tenant, its plan saved."""
    running.reset(seed=1, faults="none")
    console = Console(tmp_path, running.environment())
    console.write()
    assert console.here("plan", "playbook.yaml", "--out", "saved.json").code == 3
    return console


def test_what_was_saved_is_applied(console: Console, running: Running) -> None:
    """The digests match, so apply goes on; the file is for its owner alone and holds what plan shows."""
    path = console.folder / "saved.json"
    held = json.loads(path.read_text())
    shown = console.here("plan", "playbook.yaml", "--format", "json").document
    assert (held["schema"], held["digest"]) == ("exosp/saved-plan/1", shown["digest"])
    assert len(held["changes"]) == len(shown["changes"]) > 5
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = console.here("apply", "playbook.yaml", "--yes", "--plan", "saved.json")
    assert found.code == 0, found.err
    assert console.here("plan", "playbook.yaml").code == 0


def test_a_tenant_that_has_changed_stops_it(console: Console, running: Running) -> None:
    """After an apply the same plan is not what is called for; nothing is sent, and the difference is said."""
    assert console.here("apply", "playbook.yaml", "--yes").code == 0
    before = state(running)
    found = console.here("apply", "playbook.yaml", "--yes", "--plan", "saved.json")
    assert found.code == 1
    assert "changes would not be made now" in " ".join(found.err.split())
    assert state(running) == before


def test_a_playbook_that_has_changed_stops_it(console: Console, running: Running) -> None:
    """One mailbox more is one change that was not saved."""
    before = state(running)
    text = (console.folder / "playbook.yaml").read_text()
    console.write(text.replace("  - support@contoso.com", "  - support@contoso.com\n  - private@contoso.com"))
    found = console.here("apply", "playbook.yaml", "--yes", "--plan", "saved.json")
    assert found.code == 1
    assert "are not in it (grant private@contoso.com" in " ".join(found.err.split())
    assert state(running) == before


def other_mailbox(held: dict[str, Any]) -> None:
    for change in held["changes"]:
        for write in change["writes"]:
            if write.get("address") == "sales@contoso.com":
                write["address"] = write["mailbox"] = "private@contoso.com"
                change["target"] = "private@contoso.com"


def one_less(held: dict[str, Any]) -> None:
    held["changes"].pop()


def another_scope(held: dict[str, Any]) -> None:
    held["scope"] = ["fabrikam.onmicrosoft.com", held["scope"][1]]


@pytest.mark.parametrize("edit", [other_mailbox, one_less, another_scope])
@pytest.mark.parametrize("forged", [False, True], ids=["digest kept", "digest made again"])
def test_an_edited_file_is_refused(
    console: Console, running: Running, edit: Callable[[dict[str, Any]], None], forged: bool
) -> None:
    """Whoever edits the file, and makes a digest that fits it, gets nothing sent."""
    from exosp import plan

    path = console.folder / "saved.json"
    held = json.loads(path.read_text())
    edit(held)
    if forged:
        changes = [[c["step"], c["verb"], c["target"], c["writes"]] for c in held["changes"]]
        held["digest"] = plan._digest(
            held["scope"], changes, [[r["step"], r["target"], r["what"]] for r in held["refused"]]
        )
    path.write_text(json.dumps(held))
    before = state(running)
    found = console.here("apply", "playbook.yaml", "--yes", "--plan", "saved.json")
    assert found.code == 1
    said = " ".join(found.err.split())
    assert ("the saved plan is not what the playbook and the tenant call for now" in said) is forged
    assert ("its digest does not fit its content" in said) is not forged
    assert state(running) == before


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": "exosp/plan/1"}', '{"schema": "exosp/saved-plan/1"}', "\x00"]
)
def test_what_is_no_saved_plan_is_said_so(console: Console, text: str) -> None:
    """Exit 2, no traceback, nothing sent."""
    (console.folder / "other.json").write_text(text)
    found = console.here("apply", "playbook.yaml", "--yes", "--plan", "other.json")
    assert found.code == 2
    assert "it is no saved plan" in found.err


def test_a_missing_file_is_said_before_anything_is_sent(console: Console) -> None:
    """It is named."""
    found = console.here("apply", "playbook.yaml", "--yes", "--plan", "nowhere.json")
    assert found.code == 2
    assert "nowhere.json" in found.err


def test_out_writes_over_nothing_else(console: Console) -> None:
    """Another file is refused and kept; an earlier saved plan is replaced."""
    assert console.here("plan", "playbook.yaml", "--out", "saved.json").code == 3
    text = (console.folder / "playbook.yaml").read_text()
    found = console.here("plan", "playbook.yaml", "--out", "playbook.yaml")
    assert found.code == 2
    assert "it is no saved plan" in found.err
    assert (console.folder / "playbook.yaml").read_text() == text
