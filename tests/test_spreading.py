"""How many requests are under way at once, without a network: remotings of ten lines that note what they were given."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exosp.errors import Throttled, Unreachable, UsageError
from exosp.exchange import Answer, Cmdlet, Item, Online, Rows
from exosp.exchange.spreading import FLIGHTS, Pieces, Spread
from exosp.tenant import Failed, Unknown

CAS = Cmdlet("Get-CASMailbox", {}, over="Identity")
WIDE = Pieces(most=10, least=1)


def items(count: int) -> list[Item]:
    return [Item(str(number), frozenset()) for number in range(count)]


class Noting:
    """Answers each item with its own name; ``answer`` decides otherwise. ``most``: the most calls at once."""

    def __init__(self, answer: Callable[[int, Item], Answer] = lambda call, item: Rows(({"Id": item.send},))) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.threads: set[int] = set()
        self.most = 0
        self._now = 0
        self._answer = answer
        self._lock = threading.Lock()
        self.gate: threading.Barrier | None = None
        self.gated = 10_000  # calls that wait at the gate

    def run(self, cmdlet: Cmdlet, some: Sequence[Item] = ()) -> Iterator[Answer]:
        with self._lock:
            call = len(self.calls)
            self.calls.append(tuple(item.send for item in some))
            self.threads.add(threading.get_ident())
            self._now += 1
            self.most = max(self.most, self._now)
        if self.gate is not None and call < self.gated:
            self.gate.wait(10)
        try:
            answers = [self._answer(call, item) for item in some] or [Rows(())]
        finally:
            with self._lock:
                self._now -= 1
        return iter(answers)


@pytest.fixture
def spread() -> Iterator[Callable[..., Spread]]:
    made: list[Spread] = []

    def build(remoting: Any, pieces: Pieces = WIDE) -> Spread:
        made.append(Spread(remoting, pieces))
        return made[-1]

    yield build
    for held in made:
        held.close()


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 2500), st.integers(1, 120), st.integers(1, 40), st.integers(1, 12))
def test_every_item_is_in_one_piece(count: int, most: int, least: int, flights: int) -> None:
    """In order, none left out, none larger than may be; all of about one size; no more than one where they are few."""
    cuts = Pieces(most, least, flights).cut(count)
    assert [index for piece in cuts for index in piece] == list(range(count))
    sizes = [len(piece) for piece in cuts]
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
    if count < 2 * least and count <= most:
        assert len(cuts) == 1


def test_answers_come_in_the_items_order(spread: Callable[..., Spread]) -> None:
    """A thousand items in many pieces, by several threads: each has its own answer."""
    remoting = Noting()
    held = spread(remoting)
    answers = held.run(CAS, items(1000))
    assert [answer.rows[0]["Id"] for answer in answers if isinstance(answer, Rows)] == [str(n) for n in range(1000)]
    assert held.requests == len(remoting.calls) == 104


def test_eight_are_under_way_at_once_and_no_more(spread: Callable[..., Spread]) -> None:
    """Eight requests wait for each other, so all eight are there; there are never nine."""
    remoting = Noting()
    remoting.gate = threading.Barrier(FLIGHTS)
    assert len(spread(remoting).run(CAS, items(80))) == 80
    assert remoting.most == FLIGHTS == len(remoting.threads)


def test_few_items_start_no_thread(spread: Callable[..., Spread]) -> None:
    """What one session carries well is carried by the caller's own thread."""
    remoting = Noting()
    held = spread(remoting, Pieces(most=100, least=12))
    before = threading.active_count()
    held.run(CAS, items(23))
    held.run(Cmdlet("Get-TransportConfig"))
    assert remoting.threads == {threading.get_ident()}
    assert [len(call) for call in remoting.calls] == [23, 0]
    assert threading.active_count() == before


def test_threads_live_on_and_end_with_it(spread: Callable[..., Spread]) -> None:
    """A session belongs to a thread: the same ones carry the next load. After close there are none of them, and it can be
    used again."""
    before = threading.active_count()
    remoting = Noting()
    remoting.gate = threading.Barrier(FLIGHTS)
    held = spread(remoting)
    for _ in range(3):
        held.run(CAS, items(80))
    assert len(remoting.threads) == FLIGHTS
    held.close()
    assert threading.active_count() == before
    assert len(held.run(CAS, items(80))) == 80


def test_throttling_halves_how_many_are_under_way(spread: Callable[..., Spread]) -> None:
    """After eight that were refused together four at most, then two, then one; and after good answers more again."""
    slow = Throttled("slow", service="remoting")
    remoting = Noting(lambda call, item: Failed(slow))
    held = spread(remoting)
    remoting.gate = threading.Barrier(FLIGHTS)
    held.run(CAS, items(8))
    assert (remoting.most, held._bears) == (8, 4.0)
    remoting.gate = None
    for bears in (2.0, 1.0, 1.0):
        held.run(CAS, items(1))
        assert held._bears == bears
    remoting.most = 0
    held.run(CAS, items(80))
    assert remoting.most == 1
    remoting._answer = lambda call, item: Rows(())
    for _ in range(40):
        held.run(CAS, items(80))
    assert held._bears == FLIGHTS


def test_nothing_more_is_sent_before_the_time_that_was_asked_for(spread: Callable[..., Spread]) -> None:
    """Retry-After on the first request: what is left of the load is not sent, and has that answer; none is without one."""
    later = Throttled("later", after=30.0, service="remoting")
    remoting = Noting(lambda call, item: Failed(later) if call == 0 else Rows(()))
    answers = spread(remoting, Pieces(most=10, flights=1)).run(CAS, items(95))
    assert len(answers) == 95
    assert len(remoting.calls) == 1
    assert {answer.error for answer in answers if isinstance(answer, Failed)} == {later}


def test_what_a_remoting_raises_is_raised_and_stops_the_rest(spread: Callable[..., Spread]) -> None:
    """Wrong usage in a helper's thread reaches the caller; pieces that were not begun are not sent."""
    mine = threading.get_ident()

    def answer(call: int, item: Item) -> Answer:
        if threading.get_ident() != mine:
            raise UsageError("no such tenant")
        return Rows(())

    remoting = Noting(answer)
    remoting.gate, remoting.gated = threading.Barrier(2), 2
    held = spread(remoting, Pieces(most=10, least=1, flights=2))
    with pytest.raises(UsageError):
        held.run(CAS, items(20_000))
    assert len(remoting.calls) < 2_000
    remoting._answer = lambda call, item: Rows(())
    assert len(held.run(CAS, items(50))) == 50


def test_an_interrupt_stops_what_was_not_begun(spread: Callable[..., Spread]) -> None:
    """Ctrl-C in the caller's own thread ends its wait at once, and helpers take nothing more."""
    mine, raised = threading.get_ident(), threading.Event()

    def answer(call: int, item: Item) -> Answer:
        if threading.get_ident() == mine:
            raise KeyboardInterrupt
        raised.wait(10)
        return Rows(())

    remoting = Noting(answer)
    remoting.gate, remoting.gated = threading.Barrier(FLIGHTS), FLIGHTS
    held = spread(remoting)
    with pytest.raises(KeyboardInterrupt):
        held.run(CAS, items(1000))
    raised.set()
    while remoting._now:
        time.sleep(0.01)
    held.close()
    assert len(remoting.calls) == FLIGHTS


def test_what_is_unclear_is_asked_again_alone(spread: Callable[..., Spread]) -> None:
    """Of a read in pieces each item without an answer of its own is asked for once more, by itself, by several threads."""
    remoting = Noting()
    remoting._answer = lambda call, item: (
        Unknown("?") if len(remoting.calls[call]) > 1 and item.send == "7" else Rows(())
    )
    online = Online(remoting, WIDE)
    answers = online._ask(CAS, items(40))
    online.close()
    assert [type(answer) for answer in answers] == [Rows] * 40
    assert remoting.calls[-1] == ("7",)
    assert online.requests == len(remoting.calls)


def test_nothing_sent_in_any_piece_is_one_error(spread: Callable[..., Spread]) -> None:
    """Where every piece was turned away, writes raise one error, with the longest wait that was asked for; where one may
    have been carried out, nothing is raised."""
    from exosp.exchange.online import _raise_if_nothing_was_sent

    gone = Unreachable("gone", may_have_happened=False, service="remoting")
    soon, late = (Throttled("x", after=after, service="remoting") for after in (1.0, 9.0))
    with pytest.raises(Throttled) as raised:
        _raise_if_nothing_was_sent([Failed(soon), Failed(late), Failed(gone)])
    assert raised.value is late
    _raise_if_nothing_was_sent([Failed(soon), Rows(())])
    _raise_if_nothing_was_sent([Failed(soon), Failed(Unreachable("?", may_have_happened=True, service="remoting"))])
