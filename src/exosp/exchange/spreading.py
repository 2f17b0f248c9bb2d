"""How many requests to Exchange are under way at once: the one place that starts threads for them.

One cmdlet's items are cut into pieces, and so many threads carry them as the service bears: it halves their number where a
request is throttled, and lets it grow slowly again. After a request to come back later nothing more is sent: what is left
has the same answer. It neither waits nor repeats, and gives each item exactly one answer, in the items' order.
"""

import itertools
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import Throttled
from ..tenant import Failed
from .cmdlets import Answer, Cmdlet, Item, Remoting

FLIGHTS = 8  # requests under way at once for one tenant


@dataclass(frozen=True)
class Pieces:
    """What one request of a remoting takes: at most so many items; and no fewer than ``least`` where they could go with
    others, since another thread may have to open and connect a session for them. ``flights``: threads at most."""

    most: int
    least: int = 1
    flights: int = FLIGHTS

    def cut(self, count: int) -> list[range]:
        """So many items as pieces of about one size: as many as keep every thread equally busy."""
        flights = max(1, min(self.flights, count // max(1, self.least)))
        rounds = -(-count // (flights * self.most))
        pieces = max(1, min(flights * rounds, count))
        bounds = [count * number // pieces for number in range(pieces + 1)]
        return [range(first, last) for first, last in itertools.pairwise(bounds)]


ALONE = Pieces(most=100, flights=1)


class Spread:
    """Runs cmdlets by ``remoting``. The caller's own thread carries pieces too, so that few items start no thread at all.
    The helpers live until ``close``: a session belongs to one thread. ``requests``: pieces sent."""

    def __init__(self, remoting: Remoting, pieces: Pieces = ALONE) -> None:
        self._remoting = remoting
        self._pieces = pieces
        self._bears = float(pieces.flights)  # threads that may send, as the service has shown
        self._halved = 0  # how often that was halved: what was under way then says nothing new
        self._ready = threading.Condition()
        self._load: _Load | None = None
        self._helpers: list[threading.Thread] = []
        self._closed = False
        self.requests = 0

    def run(self, cmdlet: Cmdlet, items: Sequence[Item] = (), *, alone: bool = False) -> list[Answer]:
        """One answer an item; without items, one in all. ``alone``: each item by itself. Raises what the remoting raises."""
        if not items:
            self.requests += 1
            [answer] = self._remoting.run(cmdlet)
            return [answer]
        cuts = [range(n, n + 1) for n in range(len(items))] if alone else self._pieces.cut(len(items))
        load = _Load(cmdlet, items, cuts)
        others = min(len(cuts), self._pieces.flights, max(1, len(items) // self._pieces.least)) - 1
        if others > 0:
            self._call(load, others)
        try:
            while self._carry(load, 0):
                pass
            with self._ready:
                self._ready.wait_for(lambda: load.under_way == 0)
        finally:  # also an interrupt: helpers take nothing more
            with self._ready:
                self._load = None
        self.requests += load.sent
        if load.fault is not None:
            raise load.fault
        return [answer for answer in load.answers if answer is not None]

    def close(self, wait: float = 5.0) -> None:
        """Let the helpers go, those in the middle of a request for so many seconds at most."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()
            helpers, self._helpers = self._helpers, []
        ends = time.monotonic() + wait
        for helper in helpers:
            helper.join(max(0.0, ends - time.monotonic()))
        with self._ready:
            self._closed = False

    def _call(self, load: "_Load", others: int) -> None:
        """Have helpers look at the load; start those that are missing."""
        with self._ready:
            self._load = load
            while len(self._helpers) < others:
                helper = threading.Thread(
                    target=self._help, args=(len(self._helpers) + 1,), name="exchange", daemon=True
                )
                self._helpers.append(helper)
                helper.start()
            self._ready.notify_all()

    def _help(self, number: int) -> None:
        while True:
            with self._ready:
                self._ready.wait_for(lambda: self._closed or (self._load is not None and self._may(self._load, number)))
                if self._closed:
                    return
                load = self._load
            if load is not None:
                self._carry(load, number)

    def _may(self, load: "_Load", number: int) -> bool:
        """Whether this thread may take a piece now: the caller's always, the others by their number."""
        return bool(load.pieces) and number < max(1.0, self._bears)

    def _carry(self, load: "_Load", number: int) -> bool:
        """Carry one piece; False where there is none for this thread."""
        with self._ready:
            if not self._may(load, number):
                return False
            piece = load.pieces.popleft()
            load.under_way += 1
            load.sent += 1
            began = self._halved
        part = [load.items[index] for index in piece]
        answers: list[Answer] = []
        fault: BaseException | None = None
        try:
            answers = list(self._remoting.run(load.cmdlet, part))
            assert len(answers) == len(part), f"{load.cmdlet}: {len(answers)} answers for {len(part)} items"
        except BaseException as raised:
            fault = raised
        with self._ready:
            load.under_way -= 1
            if fault is not None:
                load.fault = load.fault or fault
                load.pieces.clear()
            else:
                for index, answer in zip(piece, answers, strict=True):
                    load.answers[index] = answer
                self._learn(load, answers, began)
            self._ready.notify_all()
        if fault is not None and number == 0:
            raise fault
        return True

    def _learn(self, load: "_Load", answers: Sequence[Answer], began: int) -> None:
        """Throttled: half as many threads from now on; told to come back later: nothing more of this load is sent."""
        throttled = [a.error for a in answers if isinstance(a, Failed) and isinstance(a.error, Throttled)]
        if not throttled:
            self._bears = min(float(self._pieces.flights), self._bears + 1 / self._bears)
            return
        if began == self._halved:
            self._bears = max(1.0, self._bears / 2)
            self._halved += 1
        later = next((error for error in throttled if error.after is not None), None)
        while later is not None and load.pieces:
            for index in load.pieces.popleft():
                load.answers[index] = Failed(later)


class _Load:
    """The items of one ``run`` and what has come of them. Every field is touched under the condition's lock alone."""

    def __init__(self, cmdlet: Cmdlet, items: Sequence[Item], pieces: Sequence[range]) -> None:
        self.cmdlet = cmdlet
        self.items = items
        self.pieces = deque(pieces)
        self.answers: list[Answer | None] = [None] * len(items)
        self.under_way = 0
        self.sent = 0
        self.fault: BaseException | None = None
