"""Saved plans as files: read and written whole, for their owner alone."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from ..errors import UsageError

LARGEST = 64 * 1024 * 1024  # bytes; some fifty thousand mailboxes


def write(path: Path, text: str) -> None:
    """Write over nothing but an earlier saved plan. Raises UsageError."""
    from ..plan import SAVED

    if path.exists() and (not path.is_file() or SAVED not in _head(path)):
        raise UsageError(
            "something else stands there, and it is no saved plan", where=str(path), hint="name another file"
        )
    name = path.with_name(f".exosp-{secrets.token_hex(8)}.tmp")
    try:
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(file, "w", encoding="utf-8") as held:
                held.write(text)
            name.replace(path)
        finally:
            with suppress(OSError):
                name.unlink(missing_ok=True)
    except OSError as fault:
        raise UsageError(f"the plan cannot be saved: {fault.strerror}", where=str(path)) from None


def read(path: Path) -> str:
    """Raises UsageError."""
    try:
        with path.open("rb") as file:
            held = file.read(LARGEST + 1)
        if len(held) > LARGEST:
            raise UsageError("it is too large to be a saved plan", where=str(path))
        return held.decode("utf-8")
    except OSError as fault:
        raise UsageError(f"the saved plan cannot be read: {fault.strerror}", where=str(path)) from None
    except UnicodeDecodeError:
        raise UsageError("it is no saved plan: it is not UTF-8 text", where=str(path)) from None


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(200).decode("utf-8", "replace")
    except OSError:
        return ""
