"""What is done where an answer is lost, late or a refusal for now: looked for, asked again, or left, on a real sandbox
with one thing between it and the run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from desk import Desk
from exosp.converge import Result, apply, look
from exosp.errors import (
    CloudError,
    Conflict,
    Forbidden,
    Missing,
    NotConverged,
    NotYetVisible,
    PlanRefused,
    Throttled,
    Unreachable,
    UsageError,
)
from exosp.patience import TRANSPORT_TRIES
from exosp.plan import Change, Plan
from exosp.sending import Applied, Finished, Refused, Skipped
from exosp.snapshot import Address, MailboxId, Snapshot
from exosp.tenant import Done, Failed, Unknown
from exosp.verify import Verdict, verify
from exosp.writes import (
    PRINCIPAL,
    AddMailboxPermission,
    AddSecret,
    AssignRole,
    CreatePrincipal,
    ExchangeWrite,
    NewServicePrincipal,
    RemoveAssignment,
    RemoveMailboxPermission,
    RemoveServicePrincipal,
    UpsertApplication,
)


def lost(happened: bool = True) -> Unreachable:
    return Unreachable("no answer", may_have_happened=happened, service="graph")


@dataclass
class Between:
    """A port with some of its methods replaced. ``sent``: every write that reached it, in order."""

    port: Any
    instead: dict[str, Callable[..., Any]] = field(default_factory=dict)
    sent: list[Any] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return self.instead.get(name) or getattr(self.port, name)

    def count(self, kind: type) -> int:
        return sum(isinstance(write, kind) for write in self.sent)


@dataclass
class Directory(Between):
    """``answer(write, how often its kind was sent, do it)`` is what comes of a write."""

    answer: Callable[[Any, int, Callable[[], Any]], Any] = lambda write, times, act: act()

    def send(self, write: Any, seen: Snapshot) -> Any:
        self.sent.append(write)
        return self.answer(write, self.count(type(write)), lambda: self.port.send(write, seen))


@dataclass
class Exchange(Between):
    """``answer(write, its answer, how often this very write was sent)`` is what is heard; ``act``: whether it is done."""

    answer: Callable[[Any, Any, int], Any] = lambda write, answer, times: answer
    act: Callable[[Any, int], bool] = lambda write, times: True

    def send(self, writes: Sequence[ExchangeWrite], seen: Snapshot) -> Iterator[tuple[ExchangeWrite, Any]]:
        self.sent += writes
        done = [write for write in writes if self.act(write, self.sent.count(write))]
        came = dict(self.port.send(done, seen))
        for write in writes:
            yield write, self.answer(write, came.get(write), self.sent.count(write))


def run(desk: Desk, between: Callable[[Any], Any] = lambda tenant: tenant, **named: Any) -> Result:
    """One apply with something between it and the tenant, and little time for what does not come."""
    desk.deadline = 300.0
    with desk.session() as session:
        tenant = between(session.tenant)
        first = look(session.want, tenant, session.patience, None, **named)
        return apply(session.want, tenant, session.patience, first, desk.events.append, **named)


def through(directory: Directory | None = None, exchange: Exchange | None = None, **vault: Any) -> Callable[[Any], Any]:
    def put(tenant: Any) -> Any:
        for name, port in (("directory", directory), ("exchange", exchange)):
            if port is not None:
                port.port = getattr(tenant, name)
                tenant = replace(tenant, **{name: port})
        return replace(tenant, vault=Between(tenant.vault, vault)) if vault else tenant

    return put


def outcomes(result: Result, step: str) -> list[Any]:
    return [came for change, came in result.outcomes if change.step == step]


# Graph: looked for before it is repeated


@pytest.mark.parametrize(("kind", "step", "times"), [(CreatePrincipal, "principal", 1), (AssignRole, "consent", 3)])
def test_what_a_lost_reply_made_is_found_and_not_made_again(desk: Desk, kind: type, step: str, times: int) -> None:
    """The write took place and its reply was lost: it is looked for, found, and not sent a second time."""

    def answer(write: Any, count: int, act: Callable[[], Any]) -> Any:
        came = act()
        if isinstance(write, kind) and count == 1:
            raise lost()
        return came

    directory = Directory(None, answer=answer)
    result = run(desk, through(directory))
    assert outcomes(result, step)[0] == Applied(found=True)
    assert all(isinstance(came, Applied) for _, came in result.outcomes)
    assert directory.count(kind) == times


def test_what_a_lost_request_did_not_make_is_made_by_the_next(desk: Desk) -> None:
    """The write never arrived: nothing is found, and it is sent again."""

    def answer(write: Any, count: int, act: Callable[[], Any]) -> Any:
        if isinstance(write, CreatePrincipal) and count == 1:
            raise lost()
        return act()

    directory = Directory(None, answer=answer)
    assert outcomes(run(desk, through(directory)), "principal") == [Applied()]
    assert directory.count(CreatePrincipal) == 2


def test_a_service_that_is_not_reached_is_an_error_and_not_waited_for(desk: Desk) -> None:
    """So many tries, then the service's own error; nothing settles where nobody listens."""

    def answer(write: Any, count: int, act: Callable[[], Any]) -> Any:
        if isinstance(write, CreatePrincipal):
            raise lost(happened=False)
        return act()

    directory = Directory(None, answer=answer)
    [came] = outcomes(run(desk, through(directory)), "principal")
    assert isinstance(came, Refused)
    assert isinstance(came.error, Unreachable)
    assert directory.count(CreatePrincipal) == TRANSPORT_TRIES


def test_what_is_harmless_twice_is_sent_again_at_once(desk: Desk) -> None:
    """An upsert whose reply was lost is the same upsert again: no look-up tells more than that."""

    def answer(write: Any, count: int, act: Callable[[], Any]) -> Any:
        came = act()
        if isinstance(write, UpsertApplication) and count == 1:
            raise lost()
        return came

    directory = Directory(None, answer=answer)
    assert outcomes(run(desk, through(directory)), "application") == [Applied()]
    assert directory.count(UpsertApplication) == 2
    assert len(desk.applications()) == 1


def test_what_stands_already_is_found(desk: Desk) -> None:
    """A Conflict on what does not show yet: it is looked for until it shows, and counts as found."""
    hidden = [None, None]

    def answer(write: Any, count: int, act: Callable[[], Any]) -> Any:
        came = act()
        if isinstance(write, CreatePrincipal):
            raise Conflict("it exists", service="graph")
        return came

    def principal(app_id: Any) -> Any:
        if directory.count(CreatePrincipal) and hidden:
            return hidden.pop()
        return directory.port.principal(app_id)

    directory = Directory(None, {"principal": principal}, answer=answer)
    assert outcomes(run(desk, through(directory)), "principal") == [Applied(found=True)]
    assert directory.count(CreatePrincipal) == 1


def test_a_name_that_is_taken_is_an_error_at_once(desk: Desk) -> None:
    """An upsert updates what is there, so a Conflict is somebody else's hold on the name: nothing is waited for."""

    def answer(write: Any, count: int, act: Callable[[], Any]) -> Any:
        raise Conflict("the name is taken", service="graph")

    directory = Directory(None, answer=answer)
    [came] = outcomes(run(desk, through(directory)), "application")
    assert isinstance(came, Refused)
    assert isinstance(came.error, Conflict)
    assert desk.clock.slept < 60.0
    assert directory.count(UpsertApplication) == 1


def test_what_is_gone_already_is_removed(desk: Desk) -> None:
    """Whoever took it first: a removal that finds nothing has done what it was to do."""
    desk.apply()
    row = desk.look()[0].assignments[0]

    def planner(want: Any, seen: Snapshot) -> Plan:
        write = RemoveAssignment(PRINCIPAL, row.id, "IMAP.AccessAsApp")
        there = any(held.id == row.id for held in seen.assignments)
        change = Change("consent", "remove", "IMAP.AccessAsApp", None, None, (write,), "a test's")
        return Plan((want.tenant, want.app.unique_name), (change,) if there else ())

    def answer(write: Any, count: int, act: Callable[[], Any]) -> Any:
        act()
        raise Missing("it is gone", service="graph")

    result = run(desk, through(Directory(None, answer=answer)), planner=planner)
    assert outcomes(result, "consent") == [Applied(found=True)]


# Secrets


def test_a_new_secret_is_waited_for(unkind: Callable[..., Desk]) -> None:
    """Until the token endpoint takes it: the run ends with one that works."""
    result = unkind("none,secret-lag=60").apply()
    assert result.seen.credential.state == "works"
    assert result.rest.refused == ()


def test_a_secret_that_cannot_be_kept_does_not_stay_alive(desk: Desk) -> None:
    """Nobody has its text: it is removed, and the error is the one that kept it from being saved."""

    def save(*_: Any) -> None:
        raise UsageError("the disk is full")

    [came] = outcomes(run(desk, through(save=save)), "credential")
    assert isinstance(came, Refused)
    assert came.error.what == "the disk is full"
    [app] = desk.applications()
    assert app["passwordCredentials"] == []


def test_no_secret_is_made_that_could_not_be_kept(desk: Desk) -> None:
    """Whether it can be saved is seen before the first write."""

    def check() -> None:
        raise UsageError("no such folder")

    directory = Directory(None)
    with pytest.raises(UsageError, match="no such folder"):
        run(desk, through(directory, check=check))
    assert directory.count(AddSecret) == 0
    assert desk.applications() == []


# Exchange: read before it is repeated


UNCLEAR = {
    "nothing came back": Unknown("neither a row nor a warning came back"),
    "the connection broke": Failed(Unreachable("dropped", may_have_happened=True, service="remoting")),
}


@pytest.mark.parametrize("heard", UNCLEAR.values(), ids=UNCLEAR)
def test_a_cmdlet_that_may_have_run_is_read_before_it_is_sent_again(desk: Desk, heard: Any) -> None:
    """It ran: it is found, and each grant was sent once."""

    def answer(write: Any, came: Any, times: int) -> Any:
        return heard if isinstance(write, AddMailboxPermission) else came

    exchange = Exchange(None, answer=answer)
    result = run(desk, through(exchange=exchange))
    assert outcomes(result, "grants") == [Applied(found=True)] * 2
    assert exchange.count(AddMailboxPermission) == 2


@pytest.mark.parametrize("heard", UNCLEAR.values(), ids=UNCLEAR)
def test_a_cmdlet_that_did_not_run_is_sent_again(desk: Desk, heard: Any) -> None:
    """Nothing is found, so it is sent once more, and that is heard."""

    def first(write: Any, times: int) -> bool:
        return isinstance(write, AddMailboxPermission) and times == 1

    exchange = Exchange(
        None,
        answer=lambda write, came, times: heard if first(write, times) else came,
        act=lambda write, times: not first(write, times),
    )
    result = run(desk, through(exchange=exchange))
    assert outcomes(result, "grants") == [Applied()] * 2
    assert exchange.count(AddMailboxPermission) == 4
    assert sum(isinstance(event, Finished) and event.change.step == "grants" for event in desk.events) == 2


def test_a_pipeline_that_may_have_run_is_not_repeated_blindly(desk: Desk) -> None:
    """A port that raises in the middle has sent something: that is its change's error, not another pipeline."""

    def send(writes: Sequence[ExchangeWrite], seen: Snapshot) -> Iterator[Any]:
        exchange.sent += writes
        if any(isinstance(write, AddMailboxPermission) for write in writes):
            raise Unreachable("dropped", may_have_happened=True, service="remoting")
        return exchange.port.send(writes, seen)

    exchange = Between(None)
    exchange.instead = {"send": send}
    run(desk, through(exchange=exchange))  # type: ignore[arg-type]  # it sends by its own hand
    assert exchange.count(AddMailboxPermission) == 2


def test_an_entry_that_is_there_is_found(desk: Desk) -> None:
    """New-ServicePrincipal says that it exists already: it is read, and is the right one."""
    conflict = Failed(Conflict("it exists", service="remoting"))
    exchange = Exchange(None, answer=lambda w, came, _: conflict if isinstance(w, NewServicePrincipal) else came)
    result = run(desk, through(exchange=exchange))
    assert outcomes(result, "exchange") == [Applied(found=True)]
    assert exchange.count(NewServicePrincipal) == 1


@pytest.mark.parametrize("error", [NotYetVisible, Throttled])
def test_a_cmdlet_that_is_refused_for_now_is_sent_again(desk: Desk, error: type[CloudError]) -> None:
    """A trustee that has not reached Exchange, and a server that is busy: the same cmdlet a moment later."""

    def early(write: Any, times: int) -> bool:
        return isinstance(write, AddMailboxPermission) and times < 3

    exchange = Exchange(
        None,
        answer=lambda w, came, times: Failed(error("not now", service="remoting")) if early(w, times) else came,
        act=lambda write, times: not early(write, times),
    )
    assert outcomes(run(desk, through(exchange=exchange)), "grants") == [Applied()] * 2
    assert exchange.count(AddMailboxPermission) == 6


# What is believed


def test_what_was_written_is_read_back_until_it_shows(desk: Desk) -> None:
    """Reads that flap after the write: five in a row must show it, and nothing is written twice."""
    shows = [False, True, False, True, True, True, True, True]

    def permissions(boxes: Any) -> Any:
        found = exchange.port.permissions(boxes)
        return found if not exchange.count(AddMailboxPermission) or not shows or shows.pop(0) else ()

    exchange = Exchange(None, {"permissions": permissions})
    result = run(desk, through(exchange=exchange))
    assert shows == []
    assert result.rest.empty
    assert exchange.count(AddMailboxPermission) == 2


def judged(desk: Desk, assignments: Callable[[Any, Any], Any]) -> Verdict:
    """What verify makes of a tenant whose assignments are read through this."""
    with desk.session() as session:
        port = session.tenant.directory
        through = {"assignments": lambda principal: assignments(desk, port.assignments(principal))}
        tenant = replace(session.tenant, directory=Between(port, through))
        return verify(
            session.want, tenant, session, session.patience, audience=session.cloud.exchange_resource, wait=0.0
        )


def test_verify_makes_sure_of_what_it_read(desk: Desk) -> None:
    """Readings that miss something may be readings that flap: four in a row are read again before it is said."""
    desk.apply()
    shows = [False] * 4
    verdict = judged(desk, lambda desk, found: found if not shows or shows.pop() else ())
    assert verdict.proven
    assert verdict.plan.empty


def test_what_flaps_is_given_its_time_before_it_is_called_missing(desk: Desk) -> None:
    """Once two readings differ, one that misses the same again and again is not believed for a minute; what is missing then
    is, whatever else came and went."""
    desk.apply()
    looks: list[float] = []

    def late(desk: Desk, found: Any) -> Any:
        looks.append(desk.clock.slept)
        return found if desk.clock.slept > 40 else found[:1] if len(looks) == 2 else ()

    assert judged(desk, late).plan.empty
    assert len(looks) < 15
    looks.clear()
    verdict = judged(desk, lambda desk, found: late(desk, found)[:2])
    assert [change.step for change in verdict.plan.changes] == ["consent"]
    assert desk.clock.slept > 60


@pytest.mark.parametrize("seed", [3, *(pytest.param(n, marks=pytest.mark.slow) for n in (7, 31, *range(101, 109)))])
def test_no_drift_is_shown_that_only_a_flapping_read_shows(unkind: Callable[..., Desk], seed: int) -> None:
    """verify straight after apply, where four reads in ten miss what is new for a minute."""
    desk = unkind("none,read-flap=60", seed)
    desk.apply()
    assert desk.verify(wait=0.0).plan.empty


# What is not sent


def test_no_repair_on_a_look_that_missed_the_enterprise_application(desk: Desk) -> None:
    """Without it every entry looks wrong; once it is found again, nothing calls for a repair and nothing is taken."""
    desk.apply()

    def principal(app_id: Any) -> Any:
        return directory.port.principal(app_id) if directory.count(CreatePrincipal) else None

    directory, exchange = Directory(None, {"principal": principal}), Exchange(None)
    result = run(desk, through(directory, exchange))
    assert [change.verb for change in result.plan.changes if change.step == "exchange"] == ["repair"]
    assert [type(came) for came in outcomes(result, "exchange")] == [Skipped]
    assert exchange.sent == []


def test_no_entry_is_made_without_an_enterprise_application(desk: Desk) -> None:
    """What it would be made of is not there: skipped with the reason, and Exchange is sent nothing for it."""

    def answer(write: Any, count: int, act: Callable[[], Any]) -> Any:
        if isinstance(write, CreatePrincipal):
            raise Forbidden("you may not", service="graph")
        return act()

    exchange = Exchange(None)
    [came] = outcomes(run(desk, through(Directory(None, answer=answer), exchange)), "exchange")
    assert isinstance(came, Skipped)
    assert "needs the enterprise application" in came.reason
    assert exchange.count(NewServicePrincipal) == 0
    assert exchange.count(AddMailboxPermission) == 0


def test_nothing_is_sent_beyond_what_was_approved(desk: Desk) -> None:
    """``only``: what the first round uncovers is left, and said."""
    directory = Directory(None)
    with desk.session() as session:
        tenant = through(directory)(session.tenant)
        seen, whole = look(session.want, tenant, session.patience)
        first = seen, replace(whole, changes=whole.changes[:1])
        with pytest.raises(NotConverged):
            apply(session.want, tenant, session.patience, first, desk.events.append, only=True)
    assert [type(write) for write in directory.sent] == [UpsertApplication]


def test_two_rounds_of_one_run_stay_within_the_rails_together(desk: Desk) -> None:
    """Six grants in the first round and six that show only then are twelve: the second round is refused."""
    exchange = Exchange(None, answer=lambda write, came, times: Done(), act=lambda write, times: False)

    def planner(want: Any, seen: Snapshot) -> Plan:
        start = len(exchange.sent) // 6 * 6
        writes = [
            RemoveMailboxPermission(MailboxId(f"m{n}"), Address(f"box{n}@contoso.com"), MailboxId("somebody"))
            for n in range(start, min(start + 6, 12))
        ]
        changes = (Change("grants", "remove", write.address, None, None, (write,), "a test's") for write in writes)
        return Plan((want.tenant, want.app.unique_name), tuple(changes))

    with pytest.raises(PlanRefused, match=r"^12 grants would be taken away"):
        run(desk, through(exchange=exchange), planner=planner)
    assert len(exchange.sent) == 6
    assert exchange.count(RemoveServicePrincipal) == 0
