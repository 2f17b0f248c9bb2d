"""An audit of an embedded tenant is the same, byte for byte, however the services behave meanwhile; it goes on where it was cut
off, writes nothing, and a reader's rights are enough. Over the admin API and over winrm."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from audited import CONTENT, READER, Audited
from fakes import canonical

from exosp.audit.collect import Progress
from exosp.audit.file import read
from exosp.audit.gathered import Wishes
from exosp.inventory import Inventory, Section
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options
from hunter import all_that_is_issued, hunt

WISHES = Wishes(evidence=True, unique_names=frozenset({"exosp-meant"}))
SEEDS = range(1, 7)
SLOW = pytest.mark.slow
WAYS = ("admin-api", pytest.param("winrm", marks=SLOW))


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running(Options(faults="none"), CONTENT) as running:
        yield running


@pytest.fixture(scope="module")
def calm(running: Running) -> str:
    """What comes of it where nothing is throttled."""
    return plain(Audited(running, "admin-api", WISHES).audit())


@pytest.fixture
def audited(running: Running) -> Iterator[Any]:
    made = []

    def make(way: str = "admin-api", wishes: Wishes = WISHES) -> Audited:
        made.append(Audited(running, way, wishes))
        return made[-1]

    yield make
    for one in made:
        one.calm()


def plain(found: Inventory) -> str:
    """Without the reader's own last use, which is just now."""
    mine = {one.app_id for one in found.registrations if one.name == "Provisioning"}
    return canonical(replace(found, last_use=tuple(one for one in found.last_use if one.app_id not in mine)))


def strikes(audited: Audited) -> int:
    return sum(audited.running.sandbox.tenant.faults.fired.values())


def records(place: Path) -> list[str]:
    """The file's records, without the lines that say how far it was."""
    lines = [json.loads(line) for line in place.read_text(encoding="utf-8").splitlines()[1:]]
    return sorted(
        json.dumps(one, sort_keys=True) for one in lines if not {"read", "end", "resumed", "last-use"} & set(one)
    )


def test_a_readers_rights_are_enough(calm: str):
    """And what comes of it is what the tenant file says."""
    found = json.loads(calm)
    assert "missing" not in found["coverage"]
    assert set(found["coverage"]["read"]) == set(get_args(Section)) - {"folder-permissions"}
    assert found["coverage"]["mailboxes"] == {"group": 1, "shared": 1, "soft-deleted": 1, "user": 13}
    assert {one["name"] for one in found["registrations"]} == {
        "Provisioning", "CRM", "Graph Reader", "Climber", "People's", "Wrong", "Meant",
    }  # fmt: skip
    held = {box["address"].partition("@")[0]: [one["right"] for one in box["grants"]] for box in found["mailboxes"]}
    assert held == {
        "box0": ["FullAccess"], "box3": ["SendAs"], "box7": ["FullAccess"], "box9": ["SendOnBehalf"],
        "desk": ["FullAccess", "SendAs"], "gone": ["FullAccess"], "old": ["FullAccess"], "team": ["FullAccess"],
    }  # fmt: skip
    assert [box["address"] for box in found["mailboxes"] if not box["grants"][0].get("entry")] == ["old@contoso.com"]
    assert {one["log"] for one in found["events"]} == {"entra", "exchange"}


@SLOW
def test_over_winrm_it_reads_the_same(audited: Any, calm: str):
    assert plain(audited("winrm").audit()) == calm


@pytest.mark.parametrize(
    ("way", "seed"),
    [
        *(("admin-api", seed) for seed in SEEDS[:2]),
        *(pytest.param("admin-api", seed, marks=SLOW) for seed in SEEDS[2:]),
        *(pytest.param("winrm", seed, marks=SLOW) for seed in SEEDS[:3]),
    ],
)
def test_throttled_at_random_it_reads_the_same(audited: Any, calm: str, way: str, seed: int, tmp_path: Path):
    """Throttled, cut off, refused for a moment, answered late or not at all: inventory and file alike."""
    one = audited(way)
    one.audit(tmp_path / "calm")
    one.storm(seed)
    found = one.audit(tmp_path / "storm")
    assert strikes(one) >= 10
    assert plain(found) == calm
    assert plain(read(tmp_path / "storm")) == calm
    assert records(tmp_path / "storm") == records(tmp_path / "calm")


@SLOW
@pytest.mark.parametrize("seed", SEEDS[:2])
def test_throttled_at_random_folders_are_the_same(audited: Any, seed: int):
    one = audited(wishes=Wishes(folders=True))
    whole = plain(one.audit())
    one.storm(seed)
    assert plain(one.audit()) == whole
    assert "Reviewer" in whole


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_written_in_the_tenant(audited: Any, way: str):
    """Every request is a read, and the tenant's state is what it was."""
    one = audited(way)
    before = one.state()
    one.audit()
    asked = {(service, name) for service, held in one.requests().items() for name in held}
    assert {name for service, name in asked if service == "graph" and not name.startswith(("GET ", "batch GET "))} == {
        "POST /$batch"
    }
    cmdlets = {name for service, name in asked if service in ("remoting", "admin-api")}
    assert {name for name in cmdlets if not name.startswith(("Get-", "Search-"))} <= {
        "$batch", "Connect-ExchangeOnline", "Disconnect-ExchangeOnline", "GET EXOModuleFile",
    }  # fmt: skip
    assert not [name for service in ("imap", "pop", "smtp") for name in one.requests()[service]]
    after = one.state()
    assert {key: after[key] for key in after if key not in ("now", "advanced")} == {
        key: before[key] for key in before if key not in ("now", "advanced")
    }


class Stop(BaseException):
    """As Ctrl-C: no error that anything catches."""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("at", [3, 15])
def test_it_goes_on_where_it_was_cut_off(audited: Any, calm: str, way: str, at: int, tmp_path: Path):
    """The same comes of it. Mailboxes that were read before are not asked for again, nor is anything else."""
    place, one = tmp_path / "audit", audited(way)
    done = 0

    def stop(progress: Progress) -> None:
        nonlocal done
        done += progress.section == "mailbox-permissions" and progress.done > 0
        if done == at:
            raise Stop

    one.told = _Calling(stop)
    with pytest.raises(Stop):
        one.audit(place)
    half = read(place)
    assert half.coverage.interrupted
    assert sum(half.coverage.mailboxes.values()) == at
    again = audited(way)
    before = again.requests()
    assert plain(again.audit(place)) == calm
    asked = _since(before, again.requests())
    assert asked["Get-MailboxPermission"] <= 16 - at + 1  # and one about a trustee that nobody resolves
    assert not asked.keys() & {
        "Get-ServicePrincipal",
        "Get-RecipientPermission",
        "GET /servicePrincipals",
        "GET /applications",
    }


class _Calling(list[Progress]):
    def __init__(self, call: Any) -> None:
        self._call = call

    def append(self, one: Progress) -> None:
        self._call(one)


def _since(before: dict[str, dict[str, int]], after: dict[str, dict[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for service, held in after.items():
        for name, count in held.items():
            more = count - before.get(service, {}).get(name, 0)
            if more:
                found[name] = found.get(name, 0) + more
    return found


def test_no_secret_stands_in_the_file(running: Running, tmp_path: Path):
    """None of the tenant's own, and no token."""
    with all_that_is_issued() as made:
        running.reset()
        one = Audited(running, wishes=WISHES)
        one.audit(tmp_path / "audit")
    assert len(made) >= 3
    text = (tmp_path / "audit").read_text(encoding="utf-8")
    assert hunt({"snapshot": text}, made) == []
    assert "by hand" in text


def test_less_than_a_readers_rights_say_what_to_grant(running: Running):
    """An application that may sign in, and no more than that on Graph: everything of the directory is missing, and why."""
    running.sandbox._content = CONTENT | {"admin": READER | {"graph_roles": ["Policy.Read.All"]}}
    try:
        running.reset()
        coverage = Audited(running).audit().coverage
    finally:
        running.sandbox._content = CONTENT
        running.reset()
    assert "Application.Read.All on Microsoft Graph" in coverage.missing["applications"]
    assert "Directory.Read.All on Microsoft Graph" in coverage.missing["scope-grants"]
    assert "security-defaults" in coverage.read
    assert "mailbox-permissions" in coverage.read
    assert not coverage.whole
