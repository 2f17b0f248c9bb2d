"""The journal of the run that is going on: an intent on the disk before its writes are sent, a result after."""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from ..errors import CloudError, Error, NotYetVisible, Unreachable
from ..snapshot import KeyId, Owed, Snapshot
from ..writes import (
    Write,
    as_json,
)
from .history import TAKEN_UP, History, Outcome, Run, folder, history, unusable
from .standing import before, stands

CHUNK = 100  # writes under one intent line: what one pipeline takes


class Chunk(Protocol):
    """Writes that are sent together, between their two lines."""

    def answer(self, write: Write, outcome: Outcome, detail: str = "") -> None: ...

    def made(self, key_id: KeyId) -> None:
        """A secret was made, and its text is about to be saved."""
        ...


class Recorder(Protocol):
    """What converge tells a journal. ``run`` is empty where nothing is recorded. ``history``: the runs before it."""

    run: str
    history: "History"

    def owes(self, grants: Sequence[Owed]) -> None:
        """A repair is about to take these, and gives them again later. On the disk when this returns."""
        ...

    def paid(self) -> None:
        """It was read that every grant stands which earlier repairs took."""
        ...

    def chunk(self, step: str, writes: Sequence[Write], seen: Snapshot) -> Any:
        """A context that yields a Chunk. The intent line is on the disk when it is entered."""
        ...

    def found(self, write: Write) -> None:
        """A write whose answer was unclear was read again, and stands."""
        ...


class _Nothing:
    """Records nothing: for those who ask without writing, and for the demo."""

    run = ""

    def __init__(self) -> None:
        self.history = History()

    def owes(self, grants: Sequence[Owed]) -> None:
        pass

    def paid(self) -> None:
        pass

    @contextmanager
    def chunk(self, step: str, writes: Sequence[Write], seen: Snapshot) -> Iterator["_Nothing"]:
        yield self

    def answer(self, write: Write, outcome: Outcome, detail: str = "") -> None:
        pass

    def made(self, key_id: KeyId) -> None:
        pass

    def found(self, write: Write) -> None:
        pass


NOTHING = _Nothing()


@dataclass
class Journal:
    """The journal of the run that is going on. Its file is made with its first intent. Used under ``opened``."""

    place: Path
    run: str
    command: str
    tenant: str
    application: str
    digest: str = ""
    history: History = field(default_factory=History)
    _file: int | None = None
    _number: int = 0
    _unclear: dict[Write, tuple[int, int]] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.place / f"{self.run}.jsonl"

    def owes(self, grants: Sequence[Owed]) -> None:
        held = [{"mailbox": g.mailbox, "address": g.address, "rights": list(g.rights)} for g in grants]
        self._write({"owes": held, "at": _now()})

    def paid(self) -> None:
        """Nothing is owed any more: it was read that every grant stands."""
        self._write({"paid": True, "at": _now()})

    @contextmanager
    def chunk(self, step: str, writes: Sequence[Write], seen: Snapshot) -> Iterator["_Open"]:
        number = self._intent(step, writes, seen)
        chunk = _Open(self, number, list(writes))
        try:
            yield chunk
        except Error as fault:
            unclear = not isinstance(fault, CloudError) or isinstance(fault, NotYetVisible)
            unclear = unclear or (isinstance(fault, Unreachable) and fault.may_have_happened)
            chunk.rest("unknown" if unclear else "failed", fault.what)
            raise
        finally:  # whatever else ended it says nothing of what became of the rest
            self._result(number, chunk.answers)
            self._unclear |= {w: (number, i) for i, w in enumerate(writes) if chunk.outcome(i) in (None, "unknown")}

    def found(self, write: Write) -> None:
        place = self._unclear.pop(write, None)
        if place is not None:
            self._result(place[0], {place[1]: ("found", "")})

    def settle(self, seen: Snapshot) -> list[tuple[Run, int, int, int]]:
        """Say in the journals of runs that did not end what became of their writes: (run, found, lost, not known)."""
        said = []
        for run in self.history.unfinished:
            came: dict[tuple[int, int], Outcome] = {}
            for item in run.items:
                there = stands(item, seen) if item.unclear else None
                if there is not None:
                    came[item.number, item.index] = "found" if there else "lost"
            with suppress(OSError), run.path.open("ab", buffering=0) as file:
                file.write(b"\n")  # the last line may have been cut short
                for (number, index), outcome in came.items():
                    _line(file.fileno(), {"result": number, "answers": [[index, outcome, ""]], "by": self.run})
                _line(file.fileno(), {"end": TAKEN_UP, "by": self.run, "at": _now()})
            counted = list(came.values())
            unknown = sum(item.unclear for item in run._judged) - len(counted)
            said.append((run, counted.count("found"), counted.count("lost"), unknown))
        return said

    def end(self, outcome: str) -> None:
        if self._file is not None:
            self._write({"end": outcome, "at": _now()})
            os.close(self._file)
            self._file = None

    def _intent(self, step: str, writes: Sequence[Write], seen: Snapshot) -> int:
        self._number += 1
        items = [{"step": step, "write": as_json(w, seen), "before": before(w, seen)} for w in writes]
        self._write({"intent": self._number, "at": _now(), "items": items})
        return self._number

    def _result(self, number: int, answers: dict[int, tuple[Outcome, str]]) -> None:
        if answers:
            held = [[index, outcome, detail] for index, (outcome, detail) in answers.items()]
            self._write({"result": number, "at": _now(), "answers": held})

    def _write(self, line: dict[str, Any]) -> None:
        try:
            if self._file is None:
                self._file = os.open(
                    self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
                )
                head = {"journal": 1, "run": self.run, "command": self.command, "tenant": self.tenant}
                _line(self._file, head | {"application": self.application, "digest": self.digest, "at": _now()})
                _sync_folder(self.place)
            _line(self._file, line)
        except OSError as fault:
            raise Error(
                f"the journal cannot be written: {fault.strerror}; nothing is sent that is not in it",
                where=str(self.path),
                hint="make room, or name another folder with --journal",
            ) from None


class _Open:
    """A chunk between its two lines."""

    def __init__(self, journal: Journal, number: int, writes: list[Write]) -> None:
        self._journal = journal
        self._number = number
        self._writes = writes
        self.answers: dict[int, tuple[Outcome, str]] = {}

    def answer(self, write: Write, outcome: Outcome, detail: str = "") -> None:
        self.answers[self._writes.index(write)] = (outcome, detail)

    def made(self, key_id: KeyId) -> None:
        self._journal._result(self._number, {0: ("made", key_id)})

    def outcome(self, index: int) -> Outcome | None:
        return self.answers[index][0] if index in self.answers else None

    def rest(self, outcome: Outcome, detail: str) -> None:
        for index in range(len(self._writes)):
            self.answers.setdefault(index, (outcome, detail[:500]))


@contextmanager
def opened(base: Path, *, tenant_id: str, application: str, command: str, run: str) -> Iterator[Journal]:
    """The journal of a run, locked against others on this machine. Raises UsageError where it cannot be kept, Error
    where another run is at work."""
    place = folder(base, tenant_id, application)
    try:
        for part in (base, place.parent, place):
            part.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.parent.chmod(0o700)
        place.chmod(0o700)
        lock = os.open(place / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as fault:
        raise unusable(place, "kept", fault) from None
    try:
        _take(lock, place, run)
        journal = Journal(place, run, command, tenant_id, application, history=history(place))
        try:
            yield journal
        except BaseException as fault:
            with suppress(Error):
                journal.end("failed" if isinstance(fault, Error) else "stopped")
            raise
        journal.end("done")
    finally:
        os.close(lock)


def _take(lock: int, place: Path, run: str) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 200).decode("utf-8", "replace").strip() or "unknown"
        raise Error(
            f"another run works on this application in this tenant on this machine ({holder})",
            where=str(place / "lock"),
            hint="wait until it has ended. The lock ends with its process; other machines do not see it",
        ) from None
    except OSError as fault:
        raise unusable(place, "locked", fault) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"run {run}, process {os.getpid()}\n".encode(), 0)


def _line(file: int, line: dict[str, Any]) -> None:
    """On the disk when this returns."""
    rest = memoryview((json.dumps(line, separators=(",", ":")) + "\n").encode())
    while rest:
        rest = rest[os.write(file, rest) :]
    os.fsync(file)


def _sync_folder(place: Path) -> None:
    file = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
