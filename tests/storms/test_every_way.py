"""One life of a tenant over each way to Exchange's cmdlets: every command that writes, each to the same end; and ended at any
write. Over winrm test_crashes kills the process itself."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hands
import pytest
from shape import State, differences, normal

from console import EXOSP, Console
from desk import QUICKSTART, Desk
from exosp.tenant import Tenant
from runs import Port, Runs, granted, settings, state

pytestmark = pytest.mark.slow  # whole lives of a tenant

WAYS = ("winrm", "jea", "admin-api", "pwsh")
WHOLE = QUICKSTART.read_text(encoding="utf-8")
CONTENT: dict[str, Any] = {
    "applications": [{"name": "Desk of old", "exchange": "application", "full_access": ["private@contoso.com"]}]
}


def by(desk: Desk, way: str, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk, its commands by this way."""
    if way == "pwsh":
        plain, path = type(desk).session, str(desk.running.sandbox.pwsh.parent)
        monkeypatch.setattr(type(desk), "session", lambda self, **changes: plain(self, **({"PATH": path} | changes)))
    address = desk.running.environment()["EXOSP_REMOTING"]
    desk.remoting = {"winrm": address, "jea": f"{address}&configuration=Exosp.JEA"}.get(way, way)
    return desk


def life(desk: Desk, base: Path) -> Iterator[tuple[str, State]]:
    """plan, apply, verify, undo, apply, a repair of the wrong object ID, destroy, apply: what stands after each."""
    runs = Runs(desk, base)
    before = settings(desk)
    assert desk.look()[1].changes
    assert not runs.apply().failed
    assert desk.verify(negative=("private@contoso.com",)).proven
    assert desk.look()[1].empty
    yield "apply", state(desk)
    assert not runs.undo(runs.last).failed
    assert settings(desk) == before
    yield "undo", state(desk)
    assert not runs.apply().failed
    assert desk.look()[1].empty
    hands.wrong_entry(desk.running.sandbox.tenant, "private@contoso.com", send_as="sales@contoso.com")
    steps = [(change.step, change.verb) for change in desk.look()[1].changes]
    assert ("exchange", "repair") in steps
    assert not runs.apply().failed
    assert desk.look()[1].empty
    assert granted(desk)["private@contoso.com"] == {"FullAccess"}  # what the wrong entry held, the right one holds
    yield "repair", state(desk)
    assert not runs.destroy().failed
    assert desk.applications() == []
    assert granted(desk) == {}
    assert not desk.credential.exists()
    yield "destroy", state(desk)
    assert not runs.apply().failed
    assert desk.verify(negative=("private@contoso.com",)).proven
    yield "apply again", state(desk)


ENDS: dict[str, State] = {}  # of the way that came first: the others are held against it


@pytest.mark.parametrize("way", WAYS)
def test_every_command_ends_the_same_by_every_way(
    unkind: Callable[..., Desk], way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """plan, apply, verify, undo, apply, repair, destroy, apply over a host, a constrained host, REST and a local PowerShell:
    after each command the tenant holds the same, and nothing went by another way."""
    desk = by(unkind("none"), way, monkeypatch)
    for name, found in life(desk, tmp_path / "journals"):
        assert differences(normal(found), ENDS.setdefault(name, normal(found))) == [], name
    asked = desk.requests()
    assert bool(asked["admin-api"]) is (way == "admin-api")
    assert bool(asked["remoting"]) is (way != "admin-api")
    assert ("Connect-Exosp" in asked["remoting"]) is (way == "jea")


@pytest.mark.parametrize("way", WAYS)
def test_an_application_made_by_hand_is_adopted_by_every_way(
    unkind: Callable[..., Desk], way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its entry bears the wrong object ID and holds a grant: named by its appId it is put right, keeps the grant, and is
    proven; destroy takes what we made and leaves the application."""
    desk = by(unkind("none,object-id-check=0", content=CONTENT), way, monkeypatch)
    [app] = desk.applications()
    hands.owned(desk.running.sandbox.tenant, app["id"])
    desk.write(re.sub(r"  key: [^\n]*\n  name: [^\n]*\n", f"  id: {app['appId']}\n", WHOLE))
    runs = Runs(desk, tmp_path / "journals")
    assert ("exchange", "repair") in [(change.step, change.verb) for change in desk.look()[1].changes]
    assert not runs.apply().failed
    verdict = desk.verify()
    assert verdict.converged
    assert [proof.probe for proof in verdict.proofs if not proof.ok] == []
    assert granted(desk)["private@contoso.com"] == {"FullAccess"}
    assert not runs.destroy().failed
    assert [app["displayName"] for app in desk.applications()] == ["Desk of old"]


class Killed(BaseException):
    """As the end of the process at this point."""


@dataclass
class Ending:
    """Ends a run at its ``at``th write: before it is sent, or after it, its answer unheard."""

    side: str = ""
    at: int = 0
    count: int = 0

    def through(self, tenant: Tenant) -> Tenant:
        def graph(*given: Any) -> Any:
            return self._one(lambda: tenant.directory.send(*given))

        def exchange(writes: Any, seen: Any) -> Any:
            answers = tenant.exchange.send(writes, seen)
            for _ in writes:
                yield self._one(lambda: next(answers))

        return Tenant(
            tenant.tenant_id, Port(tenant.directory, {"send": graph}), Port(tenant.exchange, {"send": exchange}), tenant.vault,  # type: ignore[arg-type]  # by duck
        )  # fmt: skip

    def _one(self, do: Callable[[], Any]) -> Any:
        self.count += 1
        if self.count == self.at and self.side == "before":
            raise Killed
        found = do()
        if self.count == self.at:
            raise Killed
        return found


@pytest.mark.timeout(400)
@pytest.mark.parametrize("way", ["admin-api", "pwsh"])
@pytest.mark.parametrize("journal", ["kept", "lost"])
def test_ended_at_any_write_the_next_run_ends_it(
    desk: Desk, way: str, journal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:  # fmt: skip
    """Ended before and after write k, for every k, and run again, with its journal or without: the same end, nothing twice and
    nothing lost. A secret that was made and never saved is not answered with another where no journal tells of it."""
    by(desk, way, monkeypatch)
    desk.apply()
    wanted, ended = normal(state(desk)), 0
    for side in ("before", "after"):
        for at in range(1, 100):
            desk.running.reset(seed=1)
            desk.credential.unlink(missing_ok=True)
            ending = Ending(side, at)
            runs = Runs(desk, tmp_path / f"journals-{side}-{at}", through=ending.through)
            with suppress(Killed):
                runs.apply()
                break
            ended += 1
            made = sum(len(app["passwordCredentials"]) for app in desk.applications())
            lost = made > 0 and not desk.credential.exists()
            if journal == "lost":
                shutil.rmtree(runs.base)
            runs.through = lambda tenant: tenant
            result = runs.apply()
            if lost and journal == "lost":
                assert [refusal.step for refusal in result.rest.refused] == ["credential"], (side, at)
            else:
                assert not result.failed, (side, at)
                assert result.rest.empty, (side, at)
            assert differences(normal(state(desk)), wanted) == [], (side, at)
    assert ended > 16
    assert not any(str(desk.running.sandbox.pwsh.parent.parent) in text for text in processes())
    record_property("figure", f"{way}: ended at each of {ended} points, its journal {journal}")


def processes() -> Iterator[str]:
    """The command line of every process there is."""
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            yield (place / "cmdline").read_bytes().decode(errors="replace")


# The module where PowerShell runs


@pytest.mark.parametrize(
    ("module", "says"), [("none", "Install-Module"), ("3.0.0", "-AccessToken needs 3.1.0"), ("3.1.0", "")]
)
def test_sandbox_run_with_another_module(tmp_path: Path, module: str, says: str) -> None:
    """--module: not there, too old, just new enough, on the management host and in the emulated pwsh alike."""
    console = Console(tmp_path)
    console.write()
    for way in ("", "EXOSP_REMOTING=pwsh "):
        plan = ("--", "sh", "-c", f'{way}"{EXOSP}" plan playbook.yaml > out.txt 2> err.txt')
        assert console.here("sandbox", "run", "--faults", "none", "--module", module, *plan).code == (1 if says else 3)
        assert says in " ".join((tmp_path / "err.txt").read_text().split())
