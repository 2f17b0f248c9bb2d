"""The one place that waits. Three policies, one clock, one deadline a run; tenacity counts and spaces the tries.

transport    a request that got no answer, or was told to come back: seconds
settle       a thing made a moment ago that has not replicated, a new secret, Exchange not knowing it yet: minutes
propagation  a grant that logins do not honour yet: up to hours, only as long as the user asked for

Nothing else in exosp sleeps or repeats a request: the SDKs' own retries are off, so that no two layers multiply.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from tenacity import RetryCallState, Retrying, retry_if_exception, retry_if_result
from tenacity.wait import wait_base, wait_exponential, wait_random

from .errors import DidNotSettle, Error, NotYetVisible, Throttled, Unreachable

T = TypeVar("T")
P = TypeVar("P")

TRANSPORT_TRIES = 8
RETRY_AFTER_CAP = 300.0  # seconds; a service that asks for more is answered with an error that says so


class Clock(Protocol):
    """Seconds, and a way to let them pass."""

    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class WallClock:
    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class _ServiceSays(wait_base):
    """Retry-After where the service named one, else growing pauses: longer for one that is throttling than for one that
    could not be heard."""

    def __init__(self) -> None:
        self._throttled = wait_exponential(multiplier=0.5, max=30) + wait_random(0, 0.5)
        self._unheard = wait_exponential(multiplier=0.5, max=4) + wait_random(0, 0.5)

    def __call__(self, retry_state: RetryCallState) -> float:
        fault = retry_state.outcome.exception() if retry_state.outcome else None
        if isinstance(fault, Throttled | Unreachable) and fault.after is not None:
            return fault.after
        return float((self._throttled if isinstance(fault, Throttled) else self._unheard)(retry_state))


class _Steadily(wait_base):
    """Counts good answers in a row, from the first bad one on, and paces the tries: longer and longer while they are bad,
    evenly while they are good."""

    def __init__(self, needed: int, evenly: bool) -> None:
        self._needed = needed
        self._evenly = evenly
        self._missing = 0  # good answers to come
        self._growing = wait_exponential(multiplier=0.5, max=20)

    def bad(self) -> bool:
        """Note a bad answer: ask again."""
        self._missing = self._needed
        return True

    def good(self) -> bool:
        """Note a good answer; whether to ask again."""
        self._missing = max(0, self._missing - 1)
        return self._missing > 0

    def __call__(self, retry_state: RetryCallState) -> float:
        own = 1.0 if self._evenly or 0 < self._missing < self._needed else float(self._growing(retry_state))
        fault = retry_state.outcome.exception() if retry_state.outcome else None
        told = fault.__cause__ if fault else None  # some of many were refused for now: as long as the service says
        return max(own, min(told.after or 0.0, RETRY_AFTER_CAP)) if isinstance(told, Throttled) else own


def _repeatable(fault: BaseException) -> bool:
    if not isinstance(fault, Throttled | Unreachable) or (fault.after or 0.0) > RETRY_AFTER_CAP or fault.given_up:
        return False
    return isinstance(fault, Throttled) or fault.transient


class Patience:
    """``deadline``: seconds that all waiting for things to settle may take in one run. ``tell(why, seconds)`` is called
    before each pause."""

    def __init__(
        self, clock: Clock, deadline: float = 900.0, tell: Callable[[str, float], None] = lambda why, seconds: None
    ) -> None:
        self.clock = clock
        self._ends = clock.now() + deadline
        self._deadline = deadline
        self._tell = tell

    def _before_sleep(self, why: str) -> Callable[[RetryCallState], None]:
        def tell(state: RetryCallState) -> None:
            fault = state.outcome.exception() if state.outcome else None
            seconds = state.next_action.sleep if state.next_action else 0.0
            self._tell(why or (fault.what if isinstance(fault, Error) else "waiting"), float(seconds))

        return tell

    def _late(self, state: RetryCallState) -> bool:
        """Whether the next pause would end past the run's deadline."""
        return self.clock.now() + state.upcoming_sleep > self._ends

    def transport(self, call: Callable[..., T], *args: Any, idempotent: bool = True) -> T:
        """Call until it gets an answer. Throttling is always repeated; a lost answer only where a repeat does no harm.
        What one call of this gives up on, another around it does not take up again."""

        def again(fault: BaseException) -> bool:
            if isinstance(fault, Unreachable) and fault.may_have_happened and not idempotent:
                return False
            return _repeatable(fault)

        retrying = Retrying(
            retry=retry_if_exception(again),
            wait=_ServiceSays(),
            stop=lambda state: state.attempt_number >= TRANSPORT_TRIES or self._late(state),
            sleep=self.clock.sleep,
            before_sleep=self._before_sleep(""),
            reraise=True,
        )
        try:
            return retrying(call, *args)
        except (Throttled, Unreachable) as fault:
            fault.given_up = True
            raise

    def reading(self, port: P) -> P:
        """The same port, each of its reads under the transport and settle policies: what is listed may not be readable
        yet. ``send`` and ``save`` pass through untouched: who writes must look before repeating."""
        return cast(P, _Patient(port, self))

    def settle(
        self, call: Callable[[], T], *, why: str = "", until: Callable[[T], bool] = lambda _: True, steady: int = 1,
        evenly: bool = False,
    ) -> T:  # fmt: skip
        """Call until the answer satisfies ``until`` and is no NotYetVisible; ``steady`` times in a row where it once was
        not so; with pauses that grow, or ``evenly``. Raises DidNotSettle at the deadline, with the last refusal; returns the last answer if that was never
        good enough."""
        pace = _Steadily(steady, evenly)
        retrying = Retrying(
            retry=retry_if_exception(lambda fault: isinstance(fault, NotYetVisible) and pace.bad())
            | retry_if_result(lambda answer: pace.good() if until(answer) else pace.bad()),
            wait=pace,
            stop=self._late,
            sleep=self.clock.sleep,
            before_sleep=self._before_sleep(why),
            retry_error_callback=_last,
        )
        try:
            return retrying(call)
        except NotYetVisible as fault:
            raise DidNotSettle(
                f"{fault.what}; still so after {self._deadline:.0f} s of waiting",
                where=fault.where,
                hint="replication has no promised time: run the same command again later, it goes on from here",
            ) from fault

    def propagation(
        self, call: Callable[[], T], *, wait: float, until: Callable[[T], bool], why: str, first: float = 2.0
    ) -> T:
        """Call with growing pauses for at most ``wait`` seconds; the last answer either way. No pause is shorter than
        ``first``, and they grow fast, since failing logins may keep Exchange's cache alive (RBAC for Applications
        article). What is left of the wait is one last pause, if it is long enough."""
        ends = self.clock.now() + wait
        growing = wait_exponential(multiplier=first, max=max(600.0, 6 * first))

        def pause(state: RetryCallState) -> float:
            left = ends - self.clock.now()
            return min(float(growing(state)), left) if left >= first else float(growing(state))

        retrying = Retrying(
            retry=retry_if_result(lambda answer: not until(answer)),
            wait=pause,
            stop=lambda state: ends - self.clock.now() < first,
            sleep=self.clock.sleep,
            before_sleep=self._before_sleep(why),
            retry_error_callback=_last,
        )
        return retrying(call)

    def pause(self, seconds: float, why: str) -> None:
        """Let so much time pass, and say why."""
        self._tell(why, seconds)
        self.clock.sleep(seconds)

    def arrival(self, call: Callable[[], T], *, until: Callable[[T], bool], within: float, why: str) -> T:
        """Call with pauses that grow to ten seconds, for at most ``within`` seconds; the last answer either way. For what
        costs the service nothing to be asked."""
        ends = self.clock.now() + within
        retrying = Retrying(
            retry=retry_if_result(lambda answer: not until(answer)),
            wait=wait_exponential(multiplier=0.5, max=10),
            stop=lambda state: self.clock.now() + state.upcoming_sleep > ends,
            sleep=self.clock.sleep,
            before_sleep=self._before_sleep(why),
            retry_error_callback=_last,
        )
        return retrying(call)


def _last(state: RetryCallState) -> Any:
    """What tenacity gives up with: the last answer, or its exception."""
    assert state.outcome is not None
    return state.outcome.result()


class _Patient:
    def __init__(self, port: object, patience: Patience) -> None:
        self._port = port
        self._patience = patience

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found) or name in ("send", "save", "check"):
            return found
        patience = self._patience
        return lambda *args, **named: patience.settle(lambda: patience.transport(partial(found, *args, **named)))
