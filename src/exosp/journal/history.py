"""What earlier runs left behind, as their journals show it. A journal is read as untrusted text: a line that is none is
passed over, and one that others may write is refused.
"""

import json
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from ..errors import UsageError
from ..snapshot import Address, KeyId, MailboxId, Owed, Snapshot

_GRANTING = ("AddMailboxPermission", "AddRecipientPermission", "RemoveMailboxPermission", "RemoveRecipientPermission")

TAKEN_UP = "taken up"  # how a run ends that another one has looked after
Outcome = Literal["done", "found", "lost", "failed", "unknown", "made"]

_OUTCOMES = get_args(Outcome)

LARGEST = 256 * 1024 * 1024  # bytes of one journal; half a million writes

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


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
    at: datetime | None = None  # when it was answered, else when it was set out on

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
                elif item.took_place and kind == "DeleteApplication":
                    found = ()  # what was destroyed is owed nothing
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
        raise unusable(place, "read", fault) from None


def _run(path: Path) -> Run | None:
    """One journal; None where its first line never reached the disk. A line cut short by a kill is passed over."""
    items: dict[tuple[int, int], Item] = {}
    head: dict[str, Any] = {}
    owes: list[Owed] = []
    ended, paid = "", False
    for text in _trusted(path).split(b"\n"):
        try:
            line = json.loads(text)
            if not isinstance(line, dict):
                continue
            if "journal" in line:
                head = line
            elif "owes" in line:
                owes += [
                    Owed(MailboxId(str(row["mailbox"])), Address(str(row["address"])), tuple(map(str, row["rights"])))
                    for row in line["owes"]
                ]
            elif "intent" in line:
                for index, held in enumerate(line["items"]):
                    key = (int(line["intent"]), index)
                    items[key] = Item(
                        *key, str(held["step"]), _sound(held["write"]), held["before"], None, at=_when(line)
                    )
            elif "result" in line:
                for index, outcome, detail in line["answers"]:
                    old = items[int(line["result"]), index]
                    if outcome in _OUTCOMES:
                        items[old.number, index] = replace(
                            old, outcome=outcome, detail=str(detail), at=_when(line) or old.at
                        )
            elif "paid" in line:
                paid = True
            elif "end" in line:
                ended = str(line["end"])
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            continue
    if not head:
        return None
    return Run(path.stem, str(head.get("command", "")), path, tuple(items.values()), ended, tuple(owes), paid)


def _when(line: dict[str, Any]) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(line.get("at", "")))
    except ValueError:
        return None
    return found if found.tzinfo else None


_TEXTS = {
    "NewServicePrincipal": ("object_id",),
    "AssignRole": ("role",),
    "AddSecret": ("label",),
    "SetClientAccess": ("mailbox",),
    **dict.fromkeys(_GRANTING, ("mailbox", "trustee")),
}


def _sound(write: Any) -> dict[str, Any]:
    """A write as it was read, if it has the texts that are looked at here; else one of no kind at all."""
    kind = write.get("write") if isinstance(write, dict) else None
    rights = write.get("rights", []) if isinstance(kind, str) else None
    if not isinstance(rights, list) or not all(isinstance(right, str) for right in rights):
        return {"write": ""}
    if any(not isinstance(write.get(name), str) for name in _TEXTS.get(str(kind), ())):
        return {"write": ""}
    return {"rights": rights, **write} if kind in _GRANTING else dict(write)


def _trusted(path: Path) -> bytes:
    """What a journal holds. One that others may write could make this run grant what they like: it is not read."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(file, "rb") as held:  # noqa: PTH123 - opened by descriptor, so that what was checked is what is read
        found = os.fstat(file)
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise UsageError(
                "this journal can be written by others, or is another user's",
                where=str(path),
                hint="see who wrote it; chmod 600 it if it is yours, or name another folder with --journal DIR",
            )
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
            raise UsageError("this is no journal: no regular file, or too large", where=str(path), hint="move it away")
        return held.read()


def unusable(place: Path, verb: str, fault: OSError) -> UsageError:
    return UsageError(
        f"the journal cannot be {verb}: {fault.strerror}",
        where=str(place),
        hint="name a folder that can be written with --journal DIR",
    )
