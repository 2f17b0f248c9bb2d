"""The application's saved credential: one small file, for its owner alone, written whole or not at all.

It writes over nothing but a credential of the same application, follows no symbolic link, and puts no secret into any
message. It never judges whether a secret ought to be made.

Format: three assignments that bash's ``source`` and dotenv readers take alike, and comments. Names that begin with
AZURE_ are not used: they would sign exosp itself in as the mail application.
"""

import fcntl
import os
import re
import secrets
import shlex
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC
from hashlib import sha256
from pathlib import Path

from .errors import CloudError, Throttled, Unreachable, UsageError
from .signin.refusals import BLOCKED
from .snapshot import AppId, KeyId, SavedCredential
from .tenant import NewSecret
from .writes import AddSecret

TENANT, CLIENT, SECRET = "EXOSP_APP_TENANT_ID", "EXOSP_APP_CLIENT_ID", "EXOSP_APP_CLIENT_SECRET"
NAMES = (TENANT, CLIENT, SECRET)

LARGEST = 64 * 1024  # bytes
MODE = 0o600

_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_TENANT = re.compile(r"[A-Za-z0-9.-]{1,253}")
_CLIENT = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_KEY_ID = re.compile(rf"^# Saved by exosp\. .*Its key id is ({_CLIENT.pattern})\.")
_BARE = re.compile(r"[A-Za-z0-9_.+/=@%,-][A-Za-z0-9_.+/=@%,~-]*")  # a ~ in front is replaced by shells

Issue = Callable[[str, str, str], object]
"""Asks for a fresh token for (tenant id, client id, client secret). Raises CloudError where it is refused."""


@dataclass(frozen=True)
class Credential:
    """What the file holds. The secret is in no repr."""

    tenant_id: str
    client_id: str
    _secret: str = field(repr=False)
    key_id: str = field(default="", compare=False)  # as its comment has it

    def reveal(self) -> str:
        """The secret, for the one request that carries it."""
        return self._secret


class _Foreign(Exception):
    """Something stands there that is no credential of ours. ``why`` never quotes it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class EnvFile:
    """The tenant.Vault of a file. ``path`` is absolute; its folder exists or ``check`` says that it does not."""

    def __init__(self, path: Path, issue: Issue) -> None:
        self.path = path
        self._issue = issue

    def state(self, app_id: AppId | None) -> SavedCredential:
        """Whether a credential of ``app_id`` stands there and a token is issued for it now. ``app_id`` None: the
        application does not exist, so whatever stands there is another's.

        Raises UsageError where others may read the file, and what ``issue`` raises where that is no refusal.
        """
        try:
            held, more = self._read()
        except _Foreign as foreign:
            return SavedCredential("foreign", foreign.why)
        if held is None:
            return SavedCredential("absent")
        if app_id is None or held.client_id.lower() != app_id.lower():
            return SavedCredential("foreign", f"it holds the credential of another application, {held.client_id}")
        key = KeyId(held.key_id) if held.key_id else None
        try:
            self._issue(held.tenant_id, held.client_id, held.reveal())
        except (Throttled, Unreachable):
            raise
        except CloudError as refusal:
            if refusal.status is not None and refusal.status >= 500:
                raise
            if more:
                return SavedCredential("foreign", f"its secret is refused, and it holds more than that: {more}")
            blocked = refusal.hint if refusal.code in BLOCKED else ""
            is_id = _CLIENT.fullmatch(held.reveal()) is not None
            return SavedCredential("refused", refusal.what.replace(held.reveal(), "…"), key, blocked, is_id)
        return SavedCredential("works", key_id=key)

    def load(self) -> Credential | None:
        """What is saved, None where nothing is. Raises UsageError where it cannot be used."""
        try:
            return self._read()[0]
        except _Foreign as foreign:
            raise UsageError(
                f"the saved credential cannot be used: {foreign.why}",
                where=str(self.path),
                hint="put the right file there; or move this one away and run apply",
            ) from None

    def check(self) -> None:
        """Raise UsageError unless a credential could be saved. Leaves nothing behind and touches no file that is
        there."""
        self._refuse_foreign(None)
        with self._new_file() as (file, _):
            with self._explained("write"):
                os.write(file, b"#" * 4096)  # a full disk or quota shows here
                os.fsync(file)
            if stat.S_IMODE(os.fstat(file).st_mode) != MODE:
                raise self._refusal("its file system does not keep a file private", "name a place that keeps modes")

    def save(self, app_id: AppId, tenant_id: str, new: NewSecret, write: AddSecret) -> None:
        """Write the credential: the old file or the new one stands there, whole, at every moment. Raises UsageError."""
        content = _content(app_id, tenant_id, new, write)
        self._refuse_foreign(app_id)
        with self._new_file() as (file, name), self._explained("write"):
            rest = memoryview(content.encode())
            while rest:
                rest = rest[os.write(file, rest) :]
            os.fsync(file)
            name.replace(self.path)
        with suppress(OSError):  # the file stands; only a power cut could take its name back
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        self._sweep()

    def remove(self, app_id: AppId) -> bool:
        """Delete the file if it holds exactly a credential of ``app_id``, and comments; whether there was one. What is
        another's stays. Raises UsageError where it cannot be deleted."""
        try:
            held, more = self._read()
        except _Foreign:
            return False
        if held is None or held.client_id.lower() != app_id.lower():
            return False
        if more:
            raise UsageError(
                f"the saved credential cannot be deleted: its file holds more than that, {more}",
                where=str(self.path), hint="take the credential's three lines out of it by hand",
            )  # fmt: skip
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        except OSError as fault:
            raise UsageError(
                f"the saved credential cannot be deleted: {fault.strerror}",
                where=str(self.path),
                hint="delete it by hand",
            ) from None
        return True

    # Reading

    def _read(self) -> tuple[Credential | None, str]:
        """The credential, and the names of what else the file holds. Raises _Foreign and UsageError."""
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None, ""
        except OSError as fault:
            why = "it is a symbolic link" if self.path.is_symlink() else f"it cannot be read: {fault.strerror}"
            raise _Foreign(why) from None
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise _Foreign("it is a folder" if stat.S_ISDIR(status.st_mode) else "it is no regular file")
            if status.st_size == 0:
                return None, ""  # nothing that could be lost
            if status.st_mode & 0o077:
                raise UsageError(
                    f"others may read the saved credential: its mode is {stat.S_IMODE(status.st_mode):04o}",
                    where=str(self.path),
                    hint=f"chmod 600 {shlex.quote(str(self.path))}; if others may have read it, replace the secret",
                )
            held = b""
            while len(held) <= LARGEST and (part := os.read(file, LARGEST + 1 - len(held))):
                held += part
        except OSError as fault:
            raise _Foreign(f"it cannot be read: {fault.strerror}") from None
        finally:
            os.close(file)
        return _parsed(held)

    # Writing

    def _refuse_foreign(self, app_id: AppId | None) -> None:
        """Raise UsageError where something stands that must not be written over."""
        try:
            held, more = self._read()
        except _Foreign as foreign:
            raise self._refusal(foreign.why, "move it away, or name another file under save_to") from None
        if more:
            raise self._refusal(f"it holds more than the credential: {more}", "move the rest to a file of its own")
        if held is not None and app_id is not None and held.client_id.lower() != app_id.lower():
            raise self._refusal(
                f"it holds the credential of another application, {held.client_id}",
                "move it away, or name another file under save_to",
            )

    @contextmanager
    def _new_file(self) -> Iterator[tuple[int, Path]]:
        """A private file beside ours, locked as long as it is ours, and gone at the end unless it got our name."""
        name = self.path.parent / f"{self._prefix()}{secrets.token_hex(8)}.tmp"
        with self._explained("create"):
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
        try:
            with self._explained("create"):
                os.fchmod(file, MODE)  # whatever the umask took away
            with suppress(OSError):  # not every file system locks
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield file, name
        finally:
            with suppress(OSError):
                name.unlink(missing_ok=True)
            os.close(file)

    def _prefix(self) -> str:
        """Of our temporary files: of one length, however long the file's own name is."""
        return f".exosp-{sha256(os.fsencode(self.path.name)).hexdigest()[:16]}-"

    def _sweep(self) -> None:
        """Remove what runs that were killed left behind: temporary files that nobody holds locked."""
        for name in self.path.parent.glob(f"{self._prefix()}*.tmp"):
            with suppress(OSError):
                file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    name.unlink()
                finally:
                    os.close(file)

    @contextmanager
    def _explained(self, verb: str) -> Iterator[None]:
        """OSErrors as UsageErrors that say what to do."""
        try:
            yield
        except FileNotFoundError:
            raise self._refusal("its folder does not exist", f"mkdir -p {shlex.quote(str(self.path.parent))}") from None
        except NotADirectoryError:
            raise self._refusal("its folder is no folder", "name another file under save_to") from None
        except OSError as fault:
            raise self._refusal(
                f"cannot {verb} a file in its folder: {fault.strerror}",
                "make the folder writable, or name another file under save_to",
            ) from None

    def _refusal(self, why: str, hint: str) -> UsageError:
        return UsageError(f"the credential cannot be saved: {why}", where=str(self.path), hint=hint)


def _parsed(held: bytes) -> tuple[Credential | None, str]:
    """The credential in a file's bytes, and what else they assign. Raises _Foreign."""
    if len(held) > LARGEST:
        raise _Foreign("it is too large to be a saved credential")
    try:
        lines = held.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise _Foreign("it is no text, so no saved credential") from None
    found: dict[str, str] = {}
    others: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        assigned = _ASSIGNMENT.fullmatch(line.rstrip("\r"))
        if assigned is None:
            raise _Foreign(f"line {number} is no assignment, so it is no saved credential")
        if assigned[1] not in NAMES:
            others.append(assigned[1])
        elif assigned[1] in found:
            raise _Foreign(f"it assigns {assigned[1]} twice")
        else:
            found[assigned[1]] = _value(assigned[1], assigned[2])
    missing = [name for name in NAMES if not found.get(name)]
    if missing:
        raise _Foreign(
            f"it is no saved credential: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        )
    if not _TENANT.fullmatch(found[TENANT]) or not _CLIENT.fullmatch(found[CLIENT]):
        raise _Foreign(f"{TENANT} or {CLIENT} holds no id")
    key = _KEY_ID.search(lines[0])
    return Credential(found[TENANT], found[CLIENT], found[SECRET], key[1] if key else ""), ", ".join(others[:5])


def _value(name: str, text: str) -> str:
    try:
        words = shlex.split(text)
    except ValueError:
        raise _Foreign(f"the value of {name} has a quote that is not closed") from None
    if len(words) > 1:
        raise _Foreign(f"the value of {name} is more than one word")
    return words[0] if words else ""


def _content(app_id: AppId, tenant_id: str, new: NewSecret, write: AddSecret) -> str:
    """The whole file."""
    secret = new.reveal()
    if not secret or not secret.isprintable():
        raise UsageError("the secret that was made is empty or cannot be written as text", where=write.save_to)
    if not _TENANT.fullmatch(tenant_id) or not _CLIENT.fullmatch(app_id):
        raise UsageError("the tenant's or the application's id is no id, so it was not saved", where=write.save_to)
    ends = f"The secret ends {new.secret.ends.astimezone(UTC):%Y-%m-%d %H:%M} UTC."
    key = f" Its key id is {new.secret.key_id}." if _CLIENT.fullmatch(new.secret.key_id) else ""
    return "\n".join(
        (
            f"# Saved by exosp. Keep it private. {ends}{key}",
            f"{TENANT}={_quoted(tenant_id)}",
            f"{CLIENT}={_quoted(app_id)}",
            f"{SECRET}={_quoted(secret)}",
            "",
        )
    )


def _quoted(value: str) -> str:
    """For bash and for dotenv readers. Bare where all of them agree, which all of Entra's secrets are; then in single
    quotes; where it holds such quotes, as bash has it, since dotenv readers differ there."""
    if _BARE.fullmatch(value):
        return value
    return "'" + value.replace("'", "'\"'\"'") + "'"
