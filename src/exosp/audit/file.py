"""The snapshot file: what an audit read of a tenant, so that it can be judged again, and gone on with where it was cut off.

The format is ``exosp/snapshot/1``: JSON lines in UTF-8, written from top to bottom. It lists who can read what, and is its
owner's alone (0600). It holds no secret. Of people it names the one who ran exosp, owners of applications, those whose
mailboxes an application reaches, and those whom the logs name where ``--evidence`` was asked for; grants to people are
counted.

The first line is ``{"schema": "exosp/snapshot/1", "head": {...}}``: ``tenant``, ``tenant_id``, ``cloud``, ``operator``, ``at``,
``version``, ``emulated``, and ``asked``, what the audit was asked for. Every other line is an object with one key, its kind:

=================================  ==================================================================================
entry, access-policy,              what Exchange holds for the whole tenant
management-role, management-scope,
organization
send-as                            a recipient that an application may send as, and the grant
registration,                      the applications that matter to mail, and what they were granted. Credentials are
enterprise-application, owners,    there without their keys
role-grant, scope-grant, last-use
mailbox                            a mailbox on which an application, or somebody unknown, holds something; or with
                                   ``unread``, why it could not be read. Several lines of one mailbox add up
client-access                      a mailbox's protocol switches
event                              a line of an audit log
read                               mailboxes that are done: ``ids``, how many of which kind, how many grants to
                                   people and how many inherited rows were seen and are not kept
done                               a section, or a part of one, is read to its end. It takes back the ``done`` of those that
                                   go by it: of the applications, where consent was read later than they
missing                            a section, or a part of one, could not be read, and why. A later ``done`` takes it back
resumed                            somebody went on with it
end                                the last line: ``sha256`` of all bytes before it
=================================  ==================================================================================

The fields are those of ``exosp.inventory``, ``exosp.census`` and ``exosp.audit.gathered`` under the same names; one that is
missing has its default, one that is unknown is an error, times are ISO 8601 with their zone. Lines count once a ``read``,
``done``, ``missing`` or ``resumed`` line follows them: what stands after the last of these was cut off, and is dropped. A
file without ``end`` is an audit that did not end; one that ended and is not whole can be gone on with too.
"""

import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import Error, UsageError
from ..inventory import (
    AccessPolicy,
    Entry,
    Event,
    Inventory,
    LastUse,
    Organization,
    Principal,
    Registration,
    RoleGrant,
    ScopeGrant,
)
from ..snapshot import ClientAccess, ManagementRole, ManagementScope
from .gathered import Done, Gathered, Head, Kept, Lacking, Owners, Read, Record, Resumed, SendAs
from .packing import Misfit, packed, unpacked

SCHEMA = "exosp/snapshot/1"
_FAMILY = "exosp/snapshot/"

# A line's kind and the record that it holds.
LINES: dict[str, type[Record]] = {
    "entry": Entry, "access-policy": AccessPolicy, "management-role": ManagementRole, "management-scope": ManagementScope,
    "organization": Organization, "send-as": SendAs, "registration": Registration, "enterprise-application": Principal,
    "owners": Owners, "role-grant": RoleGrant, "scope-grant": ScopeGrant, "last-use": LastUse, "mailbox": Kept,
    "client-access": ClientAccess, "event": Event, "read": Read, "done": Done, "missing": Lacking, "resumed": Resumed,
}  # fmt: skip
_KIND = {record: kind for kind, record in LINES.items()}
_SETTLE = frozenset({"read", "done", "missing", "resumed"})


@dataclass(frozen=True)
class _End:
    sha256: str


class Keeping:
    """What an audit has read so far, and where it is kept: in a file, or in memory alone."""

    def __init__(self, gathered: Gathered, file: int | None = None, path: str = "", sum_: Any = None) -> None:
        self.gathered = gathered
        self._file = file
        self._path = path
        self._sum = sum_ if sum_ is not None else hashlib.sha256()

    def write(self, *records: Record) -> None:
        """All of these or, cut off, none: the last must be one that settles them. Raises Error where the disk is full."""
        assert _KIND[type(records[-1])] in _SETTLE
        self._append(b"".join(_line({_KIND[type(record)]: packed(record)}) for record in records))
        for record in records:
            self.gathered.add(record)

    def end(self) -> None:
        if self._file is not None:
            self._append(_line({"end": {"sha256": self._sum.hexdigest()}}))
            os.fsync(self._file)

    def _append(self, text: bytes) -> None:
        if self._file is None:
            return
        self._sum.update(text)
        rest = memoryview(text)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as fault:
            raise Error(
                f"the snapshot cannot be written: {fault.strerror}", where=self._path,
                hint="make room and run the same command again: it goes on from there",
            ) from None  # fmt: skip


def in_memory(head: Head) -> Keeping:
    return Keeping(Gathered(head))


@contextmanager
def kept(path: Path, head: Head) -> Iterator[Keeping]:
    """A file for this audit: a new one, or one that was begun in the same tenant with the same wishes, and is then gone on
    with. Raises UsageError, with line numbers, where it is any other; Error where another audit writes it."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as fault:
        raise UsageError(
            f"the snapshot cannot be kept there: {fault.strerror}", where=str(path), hint="name another file"
        ) from None
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise UsageError("the snapshot cannot be kept there: it is no regular file", where=str(path))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Error("another audit writes this snapshot", where=str(path), hint="wait until it has ended") from None
        os.fchmod(file, 0o600)
        with os.fdopen(os.dup(file), "rb") as before:
            keeping = _begun(before, file, path, head)
        yield keeping
    finally:
        os.close(file)


def _begun(before: BinaryIO, file: int, path: Path, head: Head) -> Keeping:
    reading = _Reading(str(path), remember=True)
    if reading.starts(before):
        gathered = reading.all(before)
        _check_same(gathered.head, head, path)
        if reading.ended and gathered.inventory().coverage.whole:
            raise UsageError(
                "this snapshot is whole already", where=str(path),
                hint="judge it again with --from, or name another file to read the tenant anew",
            )  # fmt: skip
        os.ftruncate(file, reading.settled)
        os.lseek(file, 0, os.SEEK_END)
        keeping = Keeping(gathered, file, str(path), reading.sum)
        keeping.write(Resumed(head.operator, head.at, head.version))
        return keeping
    os.ftruncate(file, 0)
    os.lseek(file, 0, os.SEEK_SET)
    keeping = Keeping(Gathered(head), file, str(path))
    keeping._append(_line({"schema": SCHEMA, "head": packed(head)}))
    return keeping


def _check_same(begun: Head, head: Head, path: Path) -> None:
    where = f"{path}:1"
    if (begun.tenant_id.lower(), begun.cloud, begun.emulated) != (head.tenant_id.lower(), head.cloud, head.emulated):
        raise UsageError(
            f"this snapshot is of another tenant: {begun.tenant or begun.tenant_id} ({begun.cloud})", where=where,
            hint="name another file",
        )  # fmt: skip
    if begun.asked != head.asked:
        raise UsageError(
            "this snapshot was begun with other wishes", where=where,
            hint="give the same --evidence, --folders and --playbooks as then, or name another file",
        )  # fmt: skip


def read(path: Path) -> Inventory:
    """What a file holds. Raises UsageError, with line numbers, where it is none, is of another version or was changed."""
    try:
        with path.open("rb") as file:
            reading = _Reading(str(path), remember=False)
            if not reading.starts(file):
                raise UsageError("this snapshot is empty: its audit was cut off at once", where=str(path))
            gathered = reading.all(file)
    except OSError as fault:
        raise UsageError(f"the snapshot cannot be read: {fault.strerror}", where=str(path)) from None
    return gathered.inventory(interrupted=not reading.ended)


class _Reading:
    """One pass over a file. ``settled``: where its last line ends that counts, its end left out; ``sum`` is over that."""

    def __init__(self, path: str, *, remember: bool) -> None:
        self._path = path
        self._remember = remember
        self.ended = False
        self.settled = 0
        self.sum = hashlib.sha256()

    def starts(self, file: BinaryIO) -> bool:
        """Whether there is a first line. One that was cut off while it was written is none."""
        start = file.readline()
        file.seek(0)
        cut = _line({"schema": SCHEMA, "head": {}})[:-4]
        return bool(start) and not (not start.endswith(b"\n") and (start.startswith(cut) or cut.startswith(start)))

    def all(self, file: BinaryIO) -> Gathered:
        first = file.readline()
        gathered = Gathered(self._head(first), remember=self._remember)
        self._settle(first)
        waiting: list[tuple[bytes, Record]] = []
        for number, line in enumerate(file, 2):
            if self.ended:
                raise self._wrong(number, "a line stands after the end", "it was changed: read the tenant anew")
            if not line.endswith(b"\n"):
                break  # cut off
            kind, value = self._parsed(number, line)
            if kind == "end":
                self._check_sum(number, [text for text, _ in waiting], value)
                continue
            try:
                waiting.append((line, unpacked(LINES[kind], value, kind)))
            except Misfit as fault:
                raise self._wrong(
                    number, str(fault), "a newer exosp may have written it; else it was changed by hand"
                ) from None
            if kind in _SETTLE:
                for text, record in waiting:
                    self._settle(text)
                    gathered.add(record)
                waiting = []
        return gathered

    def _settle(self, line: bytes) -> None:
        self.settled += len(line)
        self.sum.update(line)

    def _head(self, line: bytes) -> Head:
        try:
            found = json.loads(line)
            schema = found["schema"]
        except (ValueError, TypeError, KeyError, RecursionError):
            schema = ""
        if not isinstance(schema, str) or not schema.startswith(_FAMILY):
            raise self._wrong(1, "this is no snapshot of exosp's", "name another file")
        if schema != SCHEMA:
            raise self._wrong(
                1, f"this snapshot's format is {schema[:100]}, and this exosp reads {SCHEMA}",
                "use the exosp that wrote it, or read the tenant anew",
            )  # fmt: skip
        try:
            for name in sorted(set(found) - {"schema", "head"}):
                raise Misfit(f"the field {name!r} is unknown")
            return unpacked(Head, found.get("head"), "head")
        except Misfit as fault:
            raise self._wrong(1, str(fault), "a newer exosp may have written it") from None

    def _parsed(self, number: int, line: bytes) -> tuple[str, Any]:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            raise self._wrong(number, "this line is no JSON", "it was changed: read the tenant anew") from None
        if not isinstance(found, dict) or len(found) != 1:
            raise self._wrong(number, "this line is no object with one key", "it was changed: read the tenant anew")
        [(kind, value)] = found.items()
        if kind != "end" and kind not in LINES:
            raise self._wrong(number, f"lines of the kind {kind!r} are unknown", "a newer exosp may have written it")
        return kind, value

    def _check_sum(self, number: int, unsettled: list[bytes], value: Any) -> None:
        try:
            said = unpacked(_End, value, "end").sha256
        except Misfit as fault:
            raise self._wrong(number, str(fault), "it was changed: read the tenant anew") from None
        if unsettled or said != self.sum.hexdigest():
            raise self._wrong(
                number, "the snapshot is not what was written: its SHA-256 is another", "read the tenant anew"
            )
        self.ended = True

    def _wrong(self, number: int, what: str, hint: str) -> UsageError:
        return UsageError(what, where=f"{self._path}:{number}", hint=hint)


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
