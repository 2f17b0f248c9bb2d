"""Waiting: what is repeated, what never is, and what a run gives up with. Time is a number here."""

import pytest

from exosp.errors import DidNotSettle, Forbidden, NotYetVisible, Throttled, Unreachable
from exosp.patience import Patience


class Clock:
    def __init__(self) -> None:
        self.time = 0.0
        self.pauses: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds


class Service:
    """Answers with these, one after the other: an exception is raised, anything else returned."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self) -> object:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def lost(happened: bool, **more: bool) -> Unreachable:
    return Unreachable("no answer", may_have_happened=happened, service="graph", **more)


LATE = NotYetVisible("it does not show", service="graph")


def test_throttling_waits_as_long_as_the_service_says() -> None:
    """Retry-After to the second; the call is then repeated."""
    clock, service = Clock(), Service(Throttled("slow down", after=17.0, service="graph"), "done")
    assert Patience(clock).transport(service) == "done"
    assert clock.pauses == [17.0]


def test_settling_waits_as_long_as_the_service_says() -> None:
    """Where some of many writes were throttled, the rest goes on no sooner than Retry-After says."""
    some = NotYetVisible("slow down", service="remoting")
    some.__cause__ = Throttled("slow down", after=41.0, service="remoting")
    clock, service = Clock(), Service(some, "done")
    assert Patience(clock).settle(service) == "done"
    assert clock.pauses == [41.0]


def test_a_wait_of_hours_is_not_obeyed_in_silence() -> None:
    """A service that asks for more than five minutes is an error that says so, at once."""
    clock, service = Clock(), Service(Throttled("come back tomorrow", after=86400.0, service="graph"))
    with pytest.raises(Throttled):
        Patience(clock).transport(service)
    assert (service.asked, clock.pauses) == (1, [])


def test_a_write_that_may_have_happened_is_not_repeated_blindly() -> None:
    """Only one that is harmless twice is; one that surely did not happen always is."""
    service = Service(lost(happened=True), "twice")
    with pytest.raises(Unreachable):
        Patience(Clock()).transport(service, idempotent=False)
    assert service.asked == 1
    assert Patience(Clock()).transport(Service(lost(happened=True), "again")) == "again"
    assert Patience(Clock()).transport(Service(lost(happened=False), "again"), idempotent=False) == "again"


def test_what_cannot_get_better_is_asked_once() -> None:
    """An untrusted certificate, a name that nobody has, a refusal."""
    for fault in (lost(happened=False, transient=False), Forbidden("no", service="graph")):
        service = Service(fault)
        with pytest.raises(type(fault)):
            Patience(Clock()).transport(service)
        assert service.asked == 1


def test_transport_gives_up_after_so_many_tries_with_the_services_own_error() -> None:
    """Eight tries, and the last error itself, not a wrapper's."""
    service = Service(lost(happened=False))
    with pytest.raises(Unreachable):
        Patience(Clock()).transport(service)
    assert service.asked == 8


def test_settling_waits_until_it_shows() -> None:
    """NotYetVisible and answers that are not good enough are both waited out; pauses grow."""
    clock, service = Clock(), Service(LATE, LATE, "half", "whole")
    assert Patience(clock).settle(service, until=lambda answer: answer == "whole") == "whole"
    assert clock.pauses == sorted(clock.pauses)
    assert len(clock.pauses) == 3


def test_settling_ends_at_the_runs_deadline_with_what_was_seen() -> None:
    """The error names what was waited for; a second wait of the same run has only what is left."""
    clock = Clock()
    patience = Patience(clock, deadline=60.0)
    with pytest.raises(DidNotSettle, match="it does not show"):
        patience.settle(Service(LATE))
    assert clock.time <= 60.0
    with pytest.raises(DidNotSettle):
        patience.settle(Service(LATE))
    assert clock.time <= 60.0


def test_an_answer_that_is_never_good_enough_is_returned_as_it_is() -> None:
    """The caller judges the last one."""
    assert Patience(Clock(), deadline=30.0).settle(Service("half"), until=lambda answer: False) == "half"


def test_propagation_takes_no_longer_than_it_was_given() -> None:
    """No pause that would end past the wait; none at all without one."""
    clock, service = Clock(), Service(False)
    assert Patience(clock).propagation(service, wait=0.0, until=bool, why="") is False
    assert service.asked == 1
    Patience(clock).propagation(service, wait=3600.0, until=bool, why="")
    assert clock.time <= 3600.0
    assert service.asked < 20


def test_reads_go_through_patience_and_writes_do_not() -> None:
    """The port that steps read from repeats reads, and hands send and save through untouched."""

    class Port:
        read = Service(Throttled("", after=0.0, service="graph"), LATE, "seen")
        send = Service(Throttled("", after=0.0, service="graph"))
        requests = 3

    port = Patience(Clock()).reading(Port())
    assert port.read() == "seen"
    assert port.requests == 3
    with pytest.raises(Throttled):
        port.send()
    assert Port.send.asked == 1


def test_who_throttles_without_a_number_is_left_alone_longer() -> None:
    """Without Retry-After the pauses grow, and further for a service that is busy than for one that was not heard."""
    busy, unheard = Clock(), Clock()
    with pytest.raises(Throttled):
        Patience(busy).transport(Service(Throttled("slow down", service="graph")))
    with pytest.raises(Unreachable):
        Patience(unheard).transport(Service(lost(happened=False)))
    assert len(busy.pauses) == len(unheard.pauses) == 7
    assert max(busy.pauses) > 20.0
    assert max(unheard.pauses) < 5.0


def test_no_pause_for_a_lost_answer_ends_past_the_deadline() -> None:
    """The run's deadline holds for these pauses too."""
    clock = Clock()
    with pytest.raises(Throttled):
        Patience(clock, deadline=30.0).transport(Service(Throttled("slow down", after=20.0, service="graph")))
    assert clock.time <= 30.0


def test_after_a_bad_answer_so_many_good_ones_are_wanted_in_a_row() -> None:
    """A first good one is believed; after a bad one it takes three in a row, counted anew after each bad one."""
    first = Service("good")
    assert Patience(Clock()).settle(first, until=lambda answer: answer == "good", steady=3) == "good"
    assert first.asked == 1
    flapping = Service("bad", "good", "good", "bad", "good", LATE, "good", "good", "good", "more")
    assert Patience(Clock()).settle(flapping, until=lambda answer: answer == "good", steady=3) == "good"
    assert flapping.asked == 9


def test_propagation_tries_until_it_is_honoured() -> None:
    """Within the wait, each answer that is not good enough is followed by another try."""
    service = Service(False, False, True)
    assert Patience(Clock()).propagation(service, wait=3600.0, until=bool, why="") is True
    assert service.asked == 3


def test_more_than_five_minutes_are_not_waited_whatever_the_deadline() -> None:
    """A service that asks for longer is answered with its error, though the run would have the time."""
    service = Service(Throttled("come back later", after=301.0, service="graph"))
    with pytest.raises(Throttled):
        Patience(Clock(), deadline=86400.0).transport(service)
    assert service.asked == 1
