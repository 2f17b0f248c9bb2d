"""Many items on their way at once, taken in as they come and handed out as they are done: memory holds what is under way and
no more. The caller's own thread takes in and hands out; helpers carry, each with a session of its own.

So many carry as the service bears: their number is halved where one is throttled, and grows slowly again. Nothing here waits
for time to pass, and nothing is repeated.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from .spreading import Pieces

I = TypeVar("I")  # noqa: E741  what is taken in
R = TypeVar("R")
_AHEAD = 2  # pieces for each helper that wait for it


class Flow:
    """The helpers live until ``close``; several flows may be under way, the newest goes first."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._bears = float(pieces.flights)
        self._halved = 0  # how often that was halved: what was under way then says nothing new
        self._waits: set[object] = set()  # requests that the service told to come back later
        self._ready = threading.Condition()
        self._loads: list[_Load] = []
        self._helpers: list[threading.Thread] = []
        self._closed = False

    def each(self, pages: Iterator[Sequence[I]], carry: Callable[[list[I]], Sequence[R]]) -> Iterator[R]:
        """What ``carry`` makes of the items, some at a time, in no order. Raises what it raises, or what ``pages`` raises."""
        load = _Load(carry)
        most = self._pieces.flights * self._pieces.most * _AHEAD
        with self._ready:
            self._loads.append(load)
        try:
            while True:
                with self._ready:
                    if load.fault is not None:
                        raise load.fault
                    done, load.done = load.done, []
                    hungry = not load.taken and len(load.waiting) < most
                    if not done and not hungry:
                        if load.taken and not load.waiting and not load.under_way:
                            return
                        self._ready.wait()
                        continue
                for results in done:
                    yield from results
                if hungry:
                    self._take_in(load, next(pages, None))
        finally:
            with self._ready:
                self._loads.remove(load)

    def _take_in(self, load: "_Load", page: Sequence[Any] | None) -> None:
        with self._ready:
            if page is None:
                load.taken = True
            else:
                load.waiting.extend(page)
                wanted = min(self._pieces.flights, -(-len(load.waiting) // max(1, self._pieces.least)))
                while len(self._helpers) < wanted:
                    helper = threading.Thread(target=self._help, args=(len(self._helpers),), name="census", daemon=True)
                    self._helpers.append(helper)
                    helper.start()
            self._ready.notify_all()

    def began(self) -> int:
        """To be told with ``throttled``: what the service had shown when a request went out."""
        return self._halved

    def throttled(self, began: int) -> None:
        """Half as many from now on."""
        with self._ready:
            if began == self._halved:
                self._bears = max(1.0, self._bears / 2)
                self._halved += 1

    def went_well(self) -> None:
        with self._ready:
            self._bears = min(float(self._pieces.flights), self._bears + 1 / self._bears)

    def hold(self, who: object) -> None:
        """Nothing more goes out until ``who`` is released: it waits as long as the service said."""
        with self._ready:
            self._waits.add(who)

    def release(self, who: object) -> None:
        with self._ready:
            self._waits.discard(who)
            self._ready.notify_all()

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

    def _help(self, number: int) -> None:
        while True:
            with self._ready:
                self._ready.wait_for(lambda: self._closed or self._next(number) is not None)
                load = self._next(number)
                if self._closed or load is None:
                    return
                piece = self._piece(load)
                load.under_way += 1
            try:
                results: Sequence[Any] = load.carry(piece)
            except BaseException as fault:
                with self._ready:
                    load.fault = load.fault or fault
                    load.waiting.clear()
                results = ()
            with self._ready:
                load.under_way -= 1
                load.done.append(results)
                self._ready.notify_all()

    def _next(self, number: int) -> "_Load | None":
        if self._waits or number >= max(1.0, self._bears):
            return None
        return next((load for load in reversed(self._loads) if load.waiting), None)

    def _piece(self, load: "_Load") -> list[Any]:
        """A fair share of what waits: whole pieces in the middle, smaller ones where all are to end together."""
        share = -(-len(load.waiting) // self._pieces.flights)
        size = min(self._pieces.most, max(share, self._pieces.least), len(load.waiting))
        return [load.waiting.popleft() for _ in range(size)]


class _Load:
    """One ``each``. Every field is touched under the condition's lock alone."""

    def __init__(self, carry: Callable[[list[Any]], Sequence[Any]]) -> None:
        self.carry = carry
        self.waiting: deque[Any] = deque()
        self.done: list[Sequence[Any]] = []
        self.under_way = 0
        self.taken = False  # there is no more to take in
        self.fault: BaseException | None = None
