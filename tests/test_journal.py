"""The journal: what was done and what stood before it, on the disk before anything is sent; resumed, trusted, locked."""

import contextlib
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
from exosp.errors import Error, Forbidden, Unreachable, UsageError
from exosp.journal import Journal, folder, history, opened
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options
from exosp.snapshot import Address, MailboxId, Owed, Snapshot
from exosp.tenant import Failed, Unknown
from exosp.writes import (
    AddMailboxPermission,
    ExchangeWrite,
    NewServicePrincipal,
    RemoveMailboxPermission,
    RemoveServicePrincipal,
)

pytestmark = pytest.mark.slow  # whole lives of a tenant, or a host that keeps one waiting


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
    "kind",
    [
        RemoveMailboxPermission,
        # These two again by a real kill in tests/storms.
        pytest.param(RemoveServicePrincipal, marks=pytest.mark.slow),
        pytest.param(NewServicePrincipal, marks=pytest.mark.slow),
        AddMailboxPermission,
    ],
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


# What becomes of each line


ONE, TWO = "20260101T000000Z-00000001", "20260101T000001Z-00000002"


def outcomes(base: Path, kind: str) -> list[str]:
    """What the only journal says became of the writes of one kind, the last word on each."""
    told, found = lines(base), {}
    for line in told:
        for index, item in enumerate(line.get("items", ())):
            if item["write"]["write"] == kind:
                found[line["intent"], index] = "nothing"
    for line in told:
        for index, outcome, _ in line.get("answers", ()):
            if (line["result"], index) in found:
                found[line["result"], index] = outcome
    return list(found.values())


@dataclass
class Answering:
    """Exchange, that does what it is told; ``heard``: what is heard of grants, an answer or an error."""

    port: Any
    heard: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.port, name)

    def send(self, writes: Sequence[ExchangeWrite], seen: Snapshot) -> Iterator[Any]:
        for write, answer in self.port.send(writes, seen):
            if isinstance(write, AddMailboxPermission) and isinstance(self.heard, Error):
                raise self.heard
            yield write, self.heard if isinstance(write, AddMailboxPermission) else answer


@pytest.mark.parametrize("heard", [Unknown("nothing came back"),
                                   Failed(Unreachable("dropped", may_have_happened=True, service="remoting"))],
                         ids=["unknown", "dropped"])  # fmt: skip
def test_an_unclear_cmdlet_that_stands_is_found(desk: Desk, tmp_path: Path, heard: Any) -> None:
    """First unknown, then found when it was read again: both are written down."""
    journalled(desk, tmp_path / "j", cut=lambda port: Answering(port, heard))
    said = [outcome for line in lines(tmp_path / "j") for _, outcome, _ in line.get("answers", ())]
    assert said.count("unknown") == 2
    assert outcomes(tmp_path / "j", "AddMailboxPermission") == ["found", "found"]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Unreachable("dropped", may_have_happened=True, service="remoting"), "unknown"),
        (Forbidden("you may not", service="remoting"), "failed"),
    ],
    ids=["lost", "refused"],
)
def test_what_nobody_heard_of_is_written_down_as_unknown(
    desk: Desk, tmp_path: Path, fault: Error, outcome: str
) -> None:
    """A pipeline that ends in an error leaves every item of it with a result: unknown, unless it was refused."""
    journalled(desk, tmp_path / "j", cut=lambda port: Answering(port, fault))
    assert outcomes(tmp_path / "j", "AddMailboxPermission") == [outcome, outcome]


@dataclass
class Saving:
    """The vault, until a secret is to be saved, or just was; then the run ends."""

    port: Any
    saves: bool

    def __getattr__(self, name: str) -> Any:
        return getattr(self.port, name)

    def save(self, *given: Any) -> None:
        if self.saves:
            self.port.save(*given)
        raise Interrupted


def ended_at_the_secret(desk: Desk, base: Path, *, saves: bool) -> None:
    with desk.session() as session:
        tenant = replace(session.tenant, vault=Saving(session.tenant.vault, saves))
        with (
            contextlib.suppress(Interrupted),
            opened(
                base, tenant_id=tenant.tenant_id, application="exosp-support-desk", command="apply", run=ONE
            ) as kept,
        ):
            first = look(session.want, tenant, session.patience, Memory(kept.history))
            apply(session.want, tenant, session.patience, first, desk.events.append, journal=kept)
    [run] = history(folder(base, tenant.tenant_id, "exosp-support-desk")).runs
    assert run.ended == "stopped"


def secrets_of(desk: Desk) -> list[str]:
    [app] = desk.applications()
    return [secret["keyId"] for secret in app["passwordCredentials"]]


def test_a_kill_between_saving_a_secret_and_saying_so_keeps_it(desk: Desk, tmp_path: Path) -> None:
    """The journal says that it was made, and the file holds one that works: it is that one, and it stays."""
    ended_at_the_secret(desk, tmp_path / "j", saves=True)
    [before] = secrets_of(desk)
    journalled(desk, tmp_path / "j", TWO)
    assert secrets_of(desk) == [before]
    assert desk.verify().proven


def test_a_secret_that_was_never_saved_is_known_for_what_it_is(desk: Desk, tmp_path: Path) -> None:
    """It bears its run's id, so the next run may remove it and make one that is saved."""
    ended_at_the_secret(desk, tmp_path / "j", saves=False)
    [before] = secrets_of(desk)
    result = journalled(desk, tmp_path / "j", TWO)
    assert not result.failed
    [after] = secrets_of(desk)
    assert after != before
    assert desk.verify().proven


def test_a_saved_secret_is_not_taken_for_a_lost_one(desk: Desk, tmp_path: Path) -> None:
    """Which one was saved is written down: where its file is lost later, it is not removed unasked."""
    journalled(desk, tmp_path / "j", ONE)
    before = secrets_of(desk)
    desk.credential.unlink()
    result = journalled(desk, tmp_path / "j", TWO)
    assert [refusal.step for refusal in result.plan.refused] == ["credential"]
    assert secrets_of(desk) == before


def owing(desk: Desk, base: Path) -> Path:
    """A desk whose tenant is as the playbook says, and a journal that says of one of its grants that it is owed."""
    desk.apply()
    seen, _ = desk.look()
    [box] = seen.found([Address("support@contoso.com")])
    place = folder(base, seen.tenant_id, "exosp-support-desk")
    place.mkdir(parents=True)
    kept = Journal(place, ONE, "apply", seen.tenant_id, "exosp-support-desk")
    kept.owes([Owed(box.id, box.address, ("FullAccess",))])
    kept.end("stopped")
    assert len(history(place).owed(seen)) == 1
    return place


@pytest.mark.parametrize("more", [False, True], ids=["nothing to do", "something else to do"])
def test_what_others_gave_back_is_not_owed_for_ever(desk: Desk, tmp_path: Path, more: bool) -> None:
    """Once it was read that nothing is missing, a grant that somebody takes later stays taken."""
    place = owing(desk, tmp_path / "j")
    if more:
        box = desk.running.sandbox.tenant.exchange.by_address("support@contoso.com")
        assert box is not None
        box.cas["ImapEnabled"] = False
    result = journalled(desk, tmp_path / "j", TWO)
    assert bool(result.plan.changes) is more
    assert history(place).owed(result.seen) == ()


@pytest.mark.parametrize(("fault", "ended"), [(None, "done"), (UsageError("no"), "failed"), (Interrupted(), "stopped")])
def test_an_end_says_how_it_came(tmp_path: Path, fault: Exception | None, ended: str) -> None:
    """done, failed where an error ended it, stopped by whatever else."""
    with (
        contextlib.suppress(UsageError, Interrupted),
        opened(tmp_path, tenant_id=TENANT, application="exosp-x", command="apply", run="one") as kept,
    ):
        kept.owes([])
        if fault is not None:
            raise fault
    [run] = history(folder(tmp_path, TENANT, "exosp-x")).runs
    assert run.ended == ended


def test_what_is_paid_is_owed_no_more_and_the_journal_says_how_it_ended(tmp_path: Path) -> None:
    """The line that ends all debts, by itself."""
    with opened(tmp_path, tenant_id=TENANT, application="exosp-x", command="apply", run="one") as kept:
        kept.owes([Owed(MailboxId("m1"), Address("a@contoso.com"), ("FullAccess",))])
        kept.paid()
    found = history(folder(tmp_path, TENANT, "exosp-x"))
    assert found.owed(Snapshot()) == ()
    assert [(run.paid, run.ended) for run in found.runs] == [(True, "done")]


def test_what_an_earlier_run_left_open_is_settled_once(desk: Desk, tmp_path: Path) -> None:
    """A run that was killed before its results: the next says in its journal what stands, and nobody asks again."""
    journalled(desk, tmp_path / "j", ONE)
    [path] = (tmp_path / "j").rglob("*.jsonl")
    kept = [line for line in path.read_text().splitlines() if "result" not in json.loads(line)]
    path.write_text("\n".join(line for line in kept if "end" not in json.loads(line)) + "\n")
    [run] = history(path.parent).unfinished
    seen, _ = desk.look()
    Journal(path.parent, TWO, "apply", seen.tenant_id, "exosp-support-desk", history=history(path.parent)).settle(seen)
    assert history(path.parent).unfinished == ()
    [after] = history(path.parent).runs
    assert len(after.items) == len(run.items)
    assert {i.outcome for i in after.items if i.write["write"] == "AddMailboxPermission"} == {"found"}


# On the disk, and whose it is


def test_every_line_is_on_the_disk_before_anything_else_happens(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fsync after each line, with all of the file; and of the folder before the first write is sent."""
    synced: dict[str, int] = {}
    real = os.fsync

    def fsync(file: int) -> None:
        real(file)
        synced[str(Path(f"/proc/self/fd/{file}").readlink())] = os.fstat(file).st_size

    unsynced: list[str] = []

    def watch(when: str, what: str) -> None:
        if when == "before":
            [path] = (tmp_path / "j").rglob("*.jsonl")
            if synced.get(str(path)) != path.stat().st_size or str(path.parent) not in synced:
                unsynced.append(what)

    monkeypatch.setattr(os, "fsync", fsync)
    tenant = desk.running.sandbox.tenant
    tenant.watch = watch
    try:
        journalled(desk, tmp_path / "j")
    finally:
        tenant.watch = None
    [path] = (tmp_path / "j").rglob("*.jsonl")
    assert unsynced == []
    assert synced[str(path)] == path.stat().st_size


def test_folders_that_others_may_look_into_are_closed(tmp_path: Path) -> None:
    """Those of the tenant and of the application, though they stood before with another mode."""
    place = folder(tmp_path, TENANT, "exosp-x")
    place.mkdir(parents=True)
    for path in (place, place.parent):
        path.chmod(0o755)
    with opened(tmp_path, tenant_id=TENANT, application="exosp-x", command="apply", run="one"):
        assert [path.stat().st_mode & 0o777 for path in (place, place.parent)] == [0o700, 0o700]


def test_another_users_journal_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever it belongs to could make this run grant what they like."""
    path = tmp_path / "r.jsonl"
    path.write_text('{"journal": 1}\n', encoding="utf-8")
    path.chmod(0o600)
    assert len(history(tmp_path).runs) == 1
    somebody = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody)
    with pytest.raises(UsageError, match="another user's"):
        history(tmp_path)


def test_what_is_no_regular_file_is_no_journal(tmp_path: Path) -> None:
    """A pipe without a writer is refused, and not waited for."""
    os.mkfifo(tmp_path / "r.jsonl", 0o600)
    with pytest.raises(UsageError, match="no regular file"):
        history(tmp_path)


def test_the_folder_that_is_made_is_its_owners_alone(tmp_path: Path) -> None:
    """Also the one that --journal names, where it was not there."""
    with opened(tmp_path / "j", tenant_id=TENANT, application="exosp-x", command="apply", run="one"):
        assert (tmp_path / "j").stat().st_mode & 0o777 == 0o700
