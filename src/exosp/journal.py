"""What was done, and what stood there before: one file of JSON lines a run, in a folder for one tenant and application.

An intent line is on the disk before its writes are sent, a result line after they were answered; both list every item.
So a run that was killed leaves behind what it may have done, undo finds what it did, and a secret whose text nobody has
is known for what it is. It never decides what to send, and no secret comes here.

Lines: ``{"journal": 1, run, command, tenant, application, digest, at}``, ``{"owes": [{mailbox, address, rights}]}`` before a
repair takes what it gives again later, ``{"paid": true}`` where nothing is owed any more, ``{"intent": n, items: [{step, write, before}]}``, ``{"result": n, answers: [[item,
outcome, detail]]}``, ``{"end": outcome}``. Outcomes: ``done``, ``found`` (it stood when it
was read again), ``lost`` (it did not), ``failed``, ``unknown``, and ``made`` for a secret that is not saved yet.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from .errors import CloudError, Error, NotYetVisible, Unreachable, UsageError
from .snapshot import Address, KeyId, MailboxId, Owed, Snapshot
from .steps.grants import trustee_forms
from .writes import (
    AddMailboxPermission,
    AddRecipientPermission,
    AddSecret,
    NewServicePrincipal,
    Ref,
    RemoveMailboxPermission,
    RemoveRecipientPermission,
    RemoveServicePrincipal,
    SetClientAccess,
    TagPrincipal,
    UpsertApplication,
    Write,
    as_json,
)

_GRANTING = ("AddMailboxPermission", "AddRecipientPermission", "RemoveMailboxPermission", "RemoveRecipientPermission")

TAKEN_UP = "taken up"  # how a run ends that another one has looked after
CHUNK = 100  # writes under one intent line: what one pipeline takes

Outcome = Literal["done", "found", "lost", "failed", "unknown", "made"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


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

    @contextmanager
    def chunk(self, step: str, writes: Sequence[Write], seen: Snapshot) -> Iterator["_Nothing"]:
        yield self

    def answer(self, write: Write, outcome: Outcome, detail: str = "") -> None:
        pass

    def made(self, key_id: KeyId) -> None:
        pass

    def found(self, write: Write) -> None:
        pass


# Reading


@dataclass(frozen=True)
class Item:
    """One write that a run set out to make. ``write`` and ``before`` are plain data."""

    number: int
    index: int
    step: str
    write: dict[str, Any]
    before: Any
    outcome: Outcome | None
    detail: str = ""

    @property
    def took_place(self) -> bool:
        return self.outcome in ("done", "found")

    @property
    def unclear(self) -> bool:
        return self.outcome in (None, "unknown", "made")


@dataclass(frozen=True)
class Run:
    """An earlier run. ``ended`` is empty where it was killed."""

    id: str
    command: str
    path: Path
    items: tuple[Item, ...]
    ended: str
    owes: tuple[Owed, ...] = ()
    paid: bool = False  # at its end nothing was owed

    @property
    def unfinished(self) -> bool:
        """Whether it is not known what became of its writes, and nobody has looked yet. Its secrets are judged apart."""
        return self.ended != TAKEN_UP and (not self.ended or any(item.unclear for item in self._judged))

    @property
    def _judged(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.write.get("write") != "AddSecret")


@dataclass(frozen=True)
class History:
    """The runs of one tenant and application on this machine, the oldest first."""

    runs: tuple[Run, ...] = ()

    def run(self, name: str) -> Run | None:
        return next((run for run in self.runs if run.id == name), None)

    @property
    def unfinished(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.unfinished)

    def owed(self, seen: Snapshot) -> tuple[Owed, ...]:
        """Grants that a repair among these runs took, and that no run since has given back, or taken for good."""
        ours = seen.principal.object_id.lower() if seen.principal else ""
        found: tuple[Owed, ...] = ()
        for run in self.runs:
            found = (*found, *run.owes)
            for item in run.items:
                kind = str(item.write.get("write", ""))
                if item.took_place and kind in _GRANTING and str(item.write["trustee"]).lower() == ours:
                    rights = ("SendAs",) if "Recipient" in kind else tuple(item.write["rights"])
                    found = without(found, item.write["mailbox"], rights)
            if run.paid:
                found = ()
        return found

    def lost_secrets(self, seen: Snapshot) -> frozenset[KeyId]:
        """Secrets that one of these runs made and never saved: nobody has their text. A secret bears its run's id in its
        label, so no other's is ever among them."""
        if seen.application is None:
            return frozenset()
        found = set()
        for run in self.runs:
            items = [item for item in run.items if item.write.get("write") == "AddSecret"]
            kept = {item.detail for item in items if item.took_place}
            if seen.credential.state == "works":  # killed between saving and saying so
                kept |= {item.detail for item in items if item.outcome == "made"}
            labels = {item.write.get("label") for item in items}
            found |= {s.key_id for s in seen.application.secrets if s.label in labels and s.key_id not in kept}
        return frozenset(found)


NOTHING = _Nothing()


def without(owed: Sequence[Owed], mailbox: str, rights: Sequence[str]) -> tuple[Owed, ...]:
    """What is still owed when a mailbox's rights are not."""
    left = [
        replace(held, rights=tuple(right for right in held.rights if right not in rights))
        if held.mailbox == mailbox
        else held
        for held in owed
    ]
    return tuple(dict.fromkeys(held for held in left if held.rights))


def folder(base: Path, tenant_id: str, application: str) -> Path:
    """Where the journals of one application lie."""
    for name in (tenant_id, application):
        if not _NAME.fullmatch(name):
            raise UsageError(f"no journal can be kept under the name {name[:80]!r}", where=str(base))
    return base / tenant_id.lower() / application


def history(place: Path) -> History:
    """What earlier runs left; empty where there is nothing. Raises UsageError where it cannot be read."""
    try:
        paths = sorted(place.glob("*.jsonl"))
        return History(tuple(run for path in paths if (run := _run(path)) is not None))
    except OSError as fault:
        raise _unusable(place, "read", fault) from None


def _run(path: Path) -> Run | None:
    """One journal; None where its first line never reached the disk. A line cut short by a kill is passed over."""
    items: dict[tuple[int, int], Item] = {}
    head: dict[str, Any] = {}
    owes: list[Owed] = []
    ended, paid = "", False
    for text in _trusted(path).split(b"\n"):
        try:
            line = json.loads(text)
            if "journal" in line:
                head = line
            elif "owes" in line:
                owes += [
                    Owed(MailboxId(row["mailbox"]), Address(row["address"]), tuple(map(str, row["rights"])))
                    for row in line["owes"]
                ]
            elif "intent" in line:
                for index, held in enumerate(line["items"]):
                    key = (int(line["intent"]), index)
                    items[key] = Item(*key, held["step"], held["write"], held["before"], None)
            elif "result" in line:
                for index, outcome, detail in line["answers"]:
                    old = items[int(line["result"]), index]
                    items[old.number, index] = Item(old.number, index, old.step, old.write, old.before, outcome, detail)
            elif "paid" in line:
                paid = True
            elif "end" in line:
                ended = str(line["end"])
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    if not head:
        return None
    return Run(path.stem, str(head.get("command", "")), path, tuple(items.values()), ended, tuple(owes), paid)


def _trusted(path: Path) -> bytes:
    """What a journal holds. One that others may write could make this run grant what they like: it is not read."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with open(file, "rb") as held:  # noqa: PTH123 - opened by descriptor, so that what was checked is what is read
        found = os.fstat(file)
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise UsageError(
                "this journal can be written by others, or is another user's",
                where=str(path),
                hint="see who wrote it; chmod 600 it if it is yours, or name another folder with --journal DIR",
            )
        return held.read()


def stands(item: Item, seen: Snapshot) -> bool | None:
    """Whether what a write makes is there now; None where the snapshot does not say."""
    write = item.write
    match write.get("write"):
        case "UpsertApplication":
            return seen.application is not None
        case "CreatePrincipal":
            return seen.principal is not None
        case "AssignRole":
            return any(row.role == write["role"] for row in seen.assignments)
        case "NewServicePrincipal":
            return any(e.object_id.lower() == str(write["object_id"]).lower() for e in seen.entries)
        case "AddMailboxPermission" | "AddRecipientPermission" as kind:
            held = _held(kind, write["mailbox"], write["trustee"], seen)
            return None if held is None else bool(held)
        case "RemoveMailboxPermission" | "RemoveRecipientPermission" as kind:
            held = _held(kind, write["mailbox"], write["trustee"], seen)
            return None if held is None else not held
        case "SetClientAccess":
            access = seen.client_access.get(write["mailbox"])
            wanted = {name: write[name] for name in SWITCHES if name in write}
            wanted |= {"smtp_auth_disabled": None} if write.get("smtp_auth_inherited") else {}
            return None if access is None else all(getattr(access, n) == value for n, value in wanted.items())
        case _:
            return None


SWITCHES = ("imap", "pop", "smtp_auth_disabled")


def _held(kind: str, mailbox: str, trustee: str, seen: Snapshot) -> list[str] | None:
    """The rights that a trustee has on a mailbox, None where the mailbox was not read."""
    if not any(getattr(box, "id", None) == mailbox for box in seen.mailboxes.values()):
        return None
    forms = forms_of(trustee, seen)
    if "Mailbox" in kind:
        rows = [r for r in seen.permissions if r.mailbox == mailbox and r.user in forms and not r.deny]
        return sorted({right for row in rows for right in row.rights})
    return ["SendAs"] * any(
        r.mailbox == mailbox and r.trustee in forms and not r.deny for r in seen.recipient_permissions
    )


def forms_of(trustee: str, seen: Snapshot) -> frozenset[str]:
    """Every text by which a row may name a trustee, lower case."""
    low = trustee.lower()
    ours = trustee_forms(seen)
    if low in ours:
        return ours
    for box in seen.mailboxes.values():
        if getattr(box, "id", "").lower() == low:
            return frozenset({low}) | getattr(box, "forms", frozenset()) | getattr(box, "addresses", frozenset())
    return frozenset({low})


# Writing


def before(write: Write, seen: Snapshot) -> Any:
    """What stands where a write is about to change something, as plain data."""
    match write:
        case UpsertApplication():
            app = seen.application
            return app and {
                "name": app.name,
                "audience": app.audience,
                "required": [
                    {"resourceAppId": r.resource, "access": [list(a) for a in r.access]} for r in app.required
                ],
            }
        case TagPrincipal():
            return seen.principal and {"tags": list(seen.principal.tags)}
        case AddSecret():
            return {"secrets": [s.key_id for s in seen.application.secrets] if seen.application else []}
        case NewServicePrincipal() | RemoveServicePrincipal():
            return {"entries": [{"identity": e.identity, "object_id": e.object_id} for e in seen.entries]}
        case (
            AddMailboxPermission(mailbox=mailbox, trustee=trustee)
            | RemoveMailboxPermission(mailbox=mailbox, trustee=trustee)
            | AddRecipientPermission(mailbox=mailbox, trustee=trustee)
            | RemoveRecipientPermission(mailbox=mailbox, trustee=trustee)
        ):
            who = trustee.known(seen) if isinstance(trustee, Ref) else trustee
            return {"rights": _held(type(write).__name__, mailbox, str(who), seen) or []}
        case SetClientAccess(mailbox=mailbox):
            access = seen.client_access.get(mailbox)
            named = [name for name in SWITCHES if getattr(write, name) is not None]
            named += ["smtp_auth_disabled"] if write.smtp_auth_inherited else []
            return access and {name: getattr(access, name) for name in named}
        case _:
            return None


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
        raise _unusable(place, "kept", fault) from None
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
        raise _unusable(place, "locked", fault) from None
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


def _unusable(place: Path, verb: str, fault: OSError) -> UsageError:
    return UsageError(
        f"the journal cannot be {verb}: {fault.strerror}",
        where=str(place),
        hint="name a folder that can be written with --journal DIR",
    )
