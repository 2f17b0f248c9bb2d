"""Sandbox time: wall time multiplied by a speed, plus every advance. Nothing in the sandbox asks another clock,
except TLS certificates, Retry-After and expires_in, which clients judge by their own wall clocks."""

import time
from datetime import UTC, datetime


class Clock:
    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        self.advanced = 0.0
        self._origin = time.time()
        self._started = time.monotonic()

    def now(self) -> float:
        """Seconds since 1970 in sandbox time."""
        return self._origin + (time.monotonic() - self._started) * self.speed + self.advanced

    def advance(self, seconds: float) -> None:
        """Move sandbox time forward by so many seconds. Time never goes back: a negative number is a ValueError."""
        if seconds < 0:
            raise ValueError("time goes forward only")
        self.advanced += seconds

    def iso(self, at: float | None = None) -> str:
        """An instant (now, or seconds since 1970) as Graph writes it: 2026-01-31T09:30:00Z."""
        return datetime.fromtimestamp(self.now() if at is None else at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
