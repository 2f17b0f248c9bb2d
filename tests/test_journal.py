"""The journal: what was done and what stood before it, on the disk before anything is sent; resumed, trusted, locked."""

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from console import Console, at
from desk import Desk, owned
from exosp.converge import Memory, apply, look
from exosp.errors import Error, UsageError
from exosp.journal import Journal, folder, history, opened
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options
from exosp.snapshot import Address, MailboxId, Owed, Snapshot
from exosp.writes import (
    AddMailboxPermission,
    ExchangeWrite,
    NewServicePrincipal,
    RemoveMailboxPermission,
    RemoveServicePrincipal,
)

TENANT = "33374030-8932-4d74-9a78-35095a742572"


def journalled(
    desk: Desk, base: Path, run: str = "20260101T000000Z-00000001", cut: Callable[[Any], Any] = lambda port: port
) -> Any:
    """One apply that keeps a journal below ``base``. ``cut``: what stands between it and Exchange."""
    with desk.session() as session:
        want, patience = session.want, session.patience
        tenant = replace(session.tenant, exchange=cut(session.tenant.exchange))
        with opened(
            base, tenant_id=tenant.tenant_id, application="exosp-support-desk", command="apply", run=run
        ) as kept:
            first = look(want, tenant, patience, Memory(kept.history))
            return apply(want, tenant, patience, first, desk.events.append, journal=kept)


def lines(base: Path) -> list[dict[str, Any]]:
    [path] = base.rglob("*.jsonl")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_write_stands_between_its_intent_and_its_result(desk: Desk, tmp_path: Path) -> None:
    """Every write of the run is in exactly one intent with what stood before, and has one result: done."""
    result = journalled(desk, tmp_path / "j")
    told = lines(tmp_path / "j")
    items = {(line["intent"], i): item for line in told if "intent" in line for i, item in enumerate(line["items"])}
    answers = {(line["result"], i): outcome for line in told if "result" in line for i, outcome, _ in line["answers"]}
    assert sorted(items) == sorted(answers)
    assert set(answers.values()) == {"done"}
    assert len(items) == sum(len(change.writes) for change in result.plan.changes)
    [switched] = [item for item in items.values() if item["write"]["write"] == "SetClientAccess"]
    assert switched["before"] == {"smtp_auth_disabled": None}
    assert told[0]["journal"] == 1
    assert told[-1]["end"] == "done"


def test_the_intent_is_on_the_disk_before_the_write_is_sent(desk: Desk, tmp_path: Path) -> None:
    """When a write reaches the tenant, the last line of the journal is the intent that lists it."""
    seen: list[tuple[str, bool]] = []

    def watch(when: str, what: str) -> None:
        if when == "before":
            [path] = (tmp_path / "j").rglob("*.jsonl")
            last = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
            seen.append((what, "intent" in last))

    tenant = desk.running.sandbox.tenant
    tenant.watch = watch
    try:
        journalled(desk, tmp_path / "j")
    finally:
        tenant.watch = None
    assert len(seen) >= 10
    assert [what for what, ready in seen if not ready] == []


def test_it_is_its_owners_alone_and_holds_no_secret(desk: Desk, tmp_path: Path) -> None:
    """Folders 0700, files 0600; the saved secret's text is in none of them."""
    journalled(desk, tmp_path / "j")
    secret = desk.credential.read_text(encoding="utf-8").split("EXOSP_APP_CLIENT_SECRET=")[1].strip().strip("'\"")
    for path in (tmp_path / "j").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
        assert not path.is_file() or secret not in path.read_text(encoding="utf-8")


def test_a_run_that_changes_nothing_leaves_no_journal(desk: Desk, tmp_path: Path) -> None:
    """There is nothing to undo or to resume."""
    desk.apply()
    journalled(desk, tmp_path / "j")
    assert list((tmp_path / "j").rglob("*.jsonl")) == []


def test_nothing_is_sent_that_the_journal_cannot_hold(desk: Desk, tmp_path: Path) -> None:
    """Something stands where its file should be made: an error that says so, and no write in the tenant."""
    place = folder(tmp_path / "j", desk.look()[0].tenant_id, "exosp-support-desk")
    run = "20260101T000000Z-00000001"
    place.mkdir(parents=True)
    (place / f"{run}.jsonl").touch(0o600)
    result = journalled(desk, tmp_path / "j", run)
    assert "journal" in str(result.outcomes[0][1].error)
    assert desk.applications() == []


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_line_cut_short_is_passed_over(desk: Desk, tmp_path: Path, cut: int) -> None:
    """A kill in the middle of a line loses that line and no other."""
    journalled(desk, tmp_path / "j")
    [path] = (tmp_path / "j").rglob("*.jsonl")
    whole = history(path.parent).runs[0]
    data = path.read_bytes().rstrip(b"\n")
    last = len(data) - data.rfind(b"\n") - 1
    path.write_bytes(data[: -min(cut, last)])
    [run] = history(path.parent).runs
    assert run.ended == ""
    assert [item.write for item in run.items] == [item.write for item in whole.items]


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_journal_that_others_may_write_is_not_read(tmp_path: Path, mode: int) -> None:
    """It could make a run grant what they like."""
    path = tmp_path / "r.jsonl"
    path.write_text('{"journal": 1}\n', encoding="utf-8")
    path.chmod(mode)
    with pytest.raises(UsageError, match="written by others"):
        history(tmp_path)


def test_a_journal_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    """What is read lies in the folder."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text('{"journal": 1}\n', encoding="utf-8")
    (tmp_path / "j").mkdir()
    (tmp_path / "j" / "r.jsonl").symlink_to(elsewhere)
    with pytest.raises(UsageError, match="cannot be read"):
        history(tmp_path / "j")


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "x" * 300, "exosp\n"])
def test_names_lead_nowhere_else(tmp_path: Path, name: str) -> None:
    """A tenant id or a unique name is a name below the folder, or an error."""
    with pytest.raises(UsageError):
        folder(tmp_path, TENANT, name)


def test_two_runs_on_one_machine_do_not_meet(tmp_path: Path) -> None:
    """The second is told who holds the lock and what a lock does not see; afterwards it is free."""
    with opened(tmp_path, tenant_id=TENANT, application="exosp-x", command="apply", run="one"):
        with (
            pytest.raises(Error, match="another run works on this application") as caught,
            opened(tmp_path, tenant_id=TENANT, application="exosp-x", command="apply", run="two"),
        ):
            pass
        assert str(os.getpid()) in caught.value.what
        assert "other machines do not see it" in caught.value.hint
        with opened(tmp_path, tenant_id=TENANT, application="exosp-y", command="apply", run="three"):
            pass
    with opened(tmp_path, tenant_id=TENANT, application="exosp-x", command="apply", run="four"):
        pass


def test_what_a_repair_takes_is_owed_until_it_is_given_back(desk: Desk, tmp_path: Path) -> None:
    """A grant is owed from its line on; giving it back, or finding that nothing is missing, ends that."""
    desk.apply()
    seen, _ = desk.look()
    assert seen.principal is not None
    owed = Owed(MailboxId("m1"), Address("a@contoso.com"), ("FullAccess", "ReadPermission"))
    kept = Journal(tmp_path, "one", "apply", TENANT, "exosp-x")
    kept.owes([owed])
    kept.end("stopped")
    assert history(tmp_path).owed(seen) == (owed,)
    path = tmp_path / "one.jsonl"
    item = {
        "step": "exchange",
        "before": None,
        "write": {
            "write": "AddMailboxPermission",
            "mailbox": "m1",
            "rights": ["FullAccess"],
            "trustee": seen.principal.object_id,
        },
    }
    given = {"intent": 1, "items": [item]}, {"result": 1, "answers": [[0, "done", ""]]}
    path.write_text(path.read_text() + "".join(json.dumps(line) + "\n" for line in given))
    assert history(tmp_path).owed(seen) == (Owed(owed.mailbox, owed.address, ("ReadPermission",)),)
    later = Journal(tmp_path, "two", "apply", TENANT, "exosp-x")
    later.paid()
    later.end("done")
    assert history(tmp_path).owed(seen) == ()


class Interrupted(Exception):
    """Stands for whatever ends a run."""


@dataclass
class CutOff:
    """Exchange, until a write of one class is about to be sent, or has been and the answer is not heard."""

    port: Any
    kind: type
    heard: bool = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.port, name)

    def send(self, writes: Sequence[ExchangeWrite], seen: Snapshot) -> Iterator[Any]:
        ends = any(isinstance(write, self.kind) for write in writes)
        if ends and not self.heard:
            raise Interrupted
        answers = list(self.port.send(writes, seen))
        if ends:
            raise Interrupted
        yield from answers


@pytest.mark.parametrize("heard", [False, True], ids=["before it", "after it, unheard"])
@pytest.mark.parametrize(
    "kind", [RemoveMailboxPermission, RemoveServicePrincipal, NewServicePrincipal, AddMailboxPermission]
)
def test_an_interrupted_repair_is_taken_up(
    unkind: Callable[..., Desk], tmp_path: Path, kind: type, heard: bool
) -> None:
    """Wherever it ends, the next run gives every grant again, whether the playbook lists it or not."""
    desk = unkind("none,object-id-check=0", content={"applications": [
        {"name": "Support Desk Mail", "unique_name": "exosp-support-desk", "exchange": "application",
         "full_access": ["support@contoso.com", "private@contoso.com"]}]})  # fmt: skip
    owned(desk)
    boxes = granted(desk)
    assert len(boxes) == 2
    with pytest.raises(Interrupted):
        journalled(desk, tmp_path / "j", cut=lambda port: CutOff(port, kind, heard))
    journalled(desk, tmp_path / "j", "20260101T000001Z-00000002")
    [entry] = desk.state()["exchange"]["servicePrincipals"]
    seen, plan = desk.look()
    assert seen.principal is not None
    assert entry["ObjectId"] == seen.principal.object_id
    assert granted(desk) > boxes  # sales@ is listed and was not granted before
    assert len(granted(desk)) == 3
    assert plan.empty
    assert history(folder(tmp_path / "j", seen.tenant_id, "exosp-support-desk")).owed(seen) == ()


def granted(desk: Desk) -> set[str]:
    """The mailboxes that somebody but their owner may open."""
    rows = desk.state()["exchange"]["mailboxPermissions"]
    return {row["Identity"] for row in rows if row["User"] != "NT AUTHORITY\\SELF"}


def test_repair_off_a_terminal_needs_a_journal_that_stays(running: Running, tmp_path: Path) -> None:
    """Exit 2 before anything is sent; with --journal it goes on, and says what no journal means."""
    path = tmp_path / "tenant.yaml"
    running.sandbox._content = {
        "applications": [{"name": "Support Desk Mail", "unique_name": "exosp-support-desk", "exchange": "application"}]
    }
    running.reset(seed=1, faults="none,object-id-check=0")
    running.sandbox._content = None
    console = Console(tmp_path, running.environment())
    console.write()
    before = at(running, "/state")["exchange"]
    refused = console.here("apply", "playbook.yaml", "--yes")
    assert refused.code == 2
    assert "--journal DIR" in refused.err
    assert at(running, "/state")["exchange"] == before
    done = console.here("apply", "playbook.yaml", "--yes", "--journal", str(path.with_name("j")))
    assert "No journal of an earlier run lies here" in re.sub(r"\s+", " ", done.out + done.err)
    [entry] = at(running, "/state")["exchange"]["servicePrincipals"]
    assert entry["ObjectId"] != before["servicePrincipals"][0]["ObjectId"]


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running(Options(faults="none")) as found:
        yield found
