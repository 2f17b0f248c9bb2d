"""Kill a command at one write, on either side of it; and put a tenant back to where it was."""

import asyncio
import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from console import ENOUGH, Console, Ran
from exosp.sandbox.tenant import Tenant

KILLED = -signal.SIGKILL


class Zygote:
    """Runs commands as forks of one process that has imported everything."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("zygote.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._pid = 0
        self._known = Event()

    def run(self, console: Console, *words: str, **changes: str | None) -> Ran:
        out, err = (console.folder.with_name(f"{console.folder.name}.{name}") for name in ("out", "err"))
        order = {
            "words": words,
            "cwd": str(console.folder),
            "env": console.variables(changes),
            "out": str(out),
            "err": str(err),
        }
        self._tell(json.dumps(order))
        self._pid = int(self._hear())
        self._known.set()
        try:
            code = int(self._hear())
        finally:
            self._known.clear()
        return Ran(code, out.read_text(errors="replace"), err.read_text(errors="replace"))

    def kill(self) -> None:
        """End the command at once. Called by the sandbox's thread; when it returns, the command does nothing more."""
        assert self._known.wait(ENOUGH)
        os.kill(self._pid, signal.SIGKILL)
        ends = time.monotonic() + ENOUGH
        while time.monotonic() < ends:
            try:
                state = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                return
            if state in "ZX":
                return
            time.sleep(0.001)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=ENOUGH)
        self._process.stdout.close()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)

    def _hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process that forks has ended"
        return line


@dataclass(frozen=True)
class Kill:
    """At which write, counted from 1, and on which side of it: "before" the service does it, with those before it done
    and heard of; or "after", when it is done, with the rest of its pipeline, and nobody heard of it."""

    side: str
    number: int

    def __str__(self) -> str:
        return f"{self.side} write {self.number}"


@dataclass
class Watch:
    """The writes that a tenant was sent, and the death of who sent them at one of them."""

    tenant: Tenant
    zygote: Zygote
    writes: list[str] = field(default_factory=list)
    _seen: dict[str, int] = field(default_factory=lambda: {"before": 0, "after": 0})
    _at: Kill | None = None

    @property
    def count(self) -> int:
        return sum(self._seen.values())

    @contextmanager
    def until(self, at: Kill | None = None) -> Iterator["Watch"]:
        self.writes, self._seen, self._at = [], {"before": 0, "after": 0}, at
        self.tenant.watch = self._heard
        try:
            yield self
        finally:
            self.tenant.watch = None

    def _heard(self, side: str, write: str) -> None:
        self._seen[side] += 1
        if side == "before":
            self.writes.append(write)
        if self._at is not None and self._at == Kill(side, self._seen[side]):
            self._at = None
            self.zygote.kill()
            if side == "before":  # the service stops here too: neither this write nor the rest of its pipeline is done
                raise asyncio.CancelledError


@dataclass(frozen=True)
class Kept:
    """A tenant and a desk's folders at one moment."""

    directory: Any
    exchange: Any
    folder: Path

    @classmethod
    def of(cls, tenant: Tenant, folder: Path, place: Path) -> "Kept":
        shutil.copytree(folder, place)
        return cls(*cls._copies(tenant, tenant.directory, tenant.exchange), place)

    def restore(self, tenant: Tenant, folder: Path) -> None:
        tenant.directory, tenant.exchange = self._copies(tenant, self.directory, self.exchange)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder)

    @staticmethod
    def _copies(tenant: Tenant, *what: Any) -> list[Any]:
        """Of the state alone: there is one clock and one chance."""
        shared = {id(thing): thing for thing in (tenant.clock, tenant.faults)}
        return copy.deepcopy(list(what), shared)
