"""Lists to their end, whatever breaks on the way, and ahead of those who work through them."""

import json
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import islice
from operator import attrgetter
from typing import Any, Generic, TypeVar

from ..census import Listed, ListedKind
from ..errors import CloudError, Throttled, Unreachable
from ..patience import TRANSPORT_TRIES, Patience

T = TypeVar("T")

_NAMES = [part.name for part in fields(Listed)]
_WHOLE, _BEHALF = attrgetter(*_NAMES), _NAMES.index("on_behalf")


class Steady(Generic[T]):
    """Pages to their end, whatever breaks on the way. An iterator that can go on after an error goes on; one that ends with
    what it raised, as a generator does, begins anew: ``passes`` counts that, and pages come again."""

    def __init__(self, ask: Callable[[], Iterator[Sequence[T]]], patience: Patience) -> None:
        self._ask = ask
        self._patience = patience
        self._rows: Iterator[Sequence[T]] | None = None
        self._broke = False
        self._at = self._furthest = 0
        self._vain = 0  # errors since it came further than ever before
        self._fault: CloudError | None = None
        self.passes = 0

    def __iter__(self) -> Iterator[Sequence[T]]:
        return self

    def __next__(self) -> Sequence[T]:
        page = self._patience.transport(self._step)
        if page is None:
            if self._fault is not None:
                raise self._fault
            raise StopIteration
        return page

    def _step(self) -> Sequence[T] | None:
        try:
            if self._rows is None:
                self._rows = iter(self._ask())
            page = next(self._rows, None)
            if page is None and self._broke:
                self._broke, self._at = False, 0
                self.passes += 1
                self._rows = iter(self._ask())
                page = next(self._rows, None)
        except (Throttled, Unreachable) as fault:
            self._broke = True
            self._vain = 0 if self._at > self._furthest else self._vain + 1
            self._furthest = max(self._furthest, self._at)
            if self._vain < TRANSPORT_TRIES:
                raise
            self._fault = fault
            return None
        if page is not None:
            self._broke = False
            self._at += len(page)
        return page


def alone(one: T) -> Sequence[T]:
    return (one,)


def pieces(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


@dataclass
class _List:
    """One list, as far as it has come. ``waiting``: pages that nobody took yet, packed: they are many."""

    waiting: deque[bytes] = field(default_factory=deque)
    kinds: dict[str, int] = field(default_factory=dict)
    fault: CloudError | None = None  # that ended it
    ended: bool = False

    @property
    def listed(self) -> int:
        return sum(self.kinds.values())


class Ahead:
    """Lists of mailboxes, one after the other, read in a thread of their own: so it is soon known how many there are, and
    nobody who works through them waits for a page. A packed mailbox takes some fifty bytes."""

    def __init__(self, kinds: Sequence[ListedKind], ask: Callable[[ListedKind], Steady[Listed]]) -> None:
        self._ask = ask
        self._lists = {kind: _List() for kind in kinds}
        self._ready = threading.Condition()
        self._thread: threading.Thread | None = None
        self._bug: BaseException | None = None
        self._closed = False

    def pages(self, kind: ListedKind) -> Iterator[Sequence[Listed]]:
        """Pages of a list, which may come again. Ends where the list ends or fails: ``of`` says which."""
        held = self._lists[kind]
        while True:
            with self._ready:
                self._start()
                self._ready.wait_for(lambda: held.waiting or held.ended or self._bug)
                if self._bug is not None:
                    raise self._bug
                if not held.waiting:
                    return
                page = held.waiting.popleft()
            yield _unpacked(page)

    def has(self, kind: str) -> bool:
        return kind in self._lists

    def of(self, kind: ListedKind) -> _List:
        return self._lists[kind]

    @property
    def listed(self) -> int | None:
        """How many mailboxes all these lists hold; None as long as that is not known."""
        with self._ready:
            whole = all(held.ended and held.fault is None for held in self._lists.values())
            return sum(held.listed for held in self._lists.values()) if whole else None

    def close(self) -> None:
        """Nobody takes any more. A request that is under way is not waited for."""
        with self._ready:
            self._closed = True

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="lists", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            for kind, held in self._lists.items():
                self._read(self._ask(kind), held)
                if self._closed:
                    return
        except BaseException as fault:  # raised where the pages are taken
            with self._ready:
                self._bug = fault
                self._ready.notify_all()

    def _read(self, pages: Steady[Listed], held: _List) -> None:
        fault, passes = None, 0
        try:
            for page in pages:
                kinds = [box.kind for box in page]
                packed = _packed(page)
                with self._ready:
                    if self._closed:
                        return
                    if passes != pages.passes:  # it began anew
                        passes, held.kinds = pages.passes, {}
                    for kind in kinds:
                        held.kinds[kind] = held.kinds.get(kind, 0) + 1
                    held.waiting.append(packed)
                    self._ready.notify_all()
        except CloudError as found:
            fault = found
        with self._ready:
            held.fault, held.ended = fault, True
            self._ready.notify_all()


def _packed(page: Sequence[Listed]) -> bytes:
    return zlib.compress(json.dumps([_WHOLE(box) for box in page]).encode(), 1)


def _unpacked(page: bytes) -> list[Listed]:
    rows: list[list[Any]] = json.loads(zlib.decompress(page))
    for row in rows:
        row[_BEHALF] = tuple(row[_BEHALF])
    return [Listed(*row) for row in rows]
