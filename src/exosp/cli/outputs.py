"""Files that a result goes to, by their names' ends; verify's: JUnit for .xml, the document for .json. Written whole or not
at all, so that a pipeline never reads half of one."""

import json
import os
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from .. import __version__
from ..errors import UsageError
from ..report import document, junit
from ..verify import Verdict
from .screen import Screen

FORMS = {".xml": "JUnit", ".json": "the document"}


def any_seed() -> int:
    return secrets.randbelow(1_000_000)


def check(paths: Sequence[Path], forms: Mapping[str, str] = FORMS) -> None:
    """Raise UsageError for a file that could not be written, before anything is asked of anybody. ``forms``: what a name's
    end stands for."""
    for path in paths:
        if path.suffix.lower() not in forms:
            ends = [f"{suffix} for {form}" for suffix, form in forms.items()]
            raise UsageError(
                f"{path.name!r} says no format",
                where="--output",
                hint=f"end it in {', '.join(ends[:-1])} or {ends[-1]}",
            )
        if not path.parent.is_dir() or path.is_dir():
            raise UsageError(
                "no file can be written there", where=f"--output {path}", hint="name a file in a folder that exists"
            )


def write(paths: Sequence[Path], verdict: Verdict, screen: Screen) -> None:
    for path in paths:
        if path.suffix.lower() == ".xml":
            content = junit.verify(
                verdict, cloud=screen.cloud, tenant=screen.tenant or "", version=__version__, at=datetime.now(UTC)
            )
        else:
            head = document.head("verify", screen.cloud, screen.tenant, __version__)
            content = json.dumps(head | document.verify(verdict), indent=2, ensure_ascii=False) + "\n"
        save(path, content)


def save(path: Path, content: str, *, mode: int = 0o666) -> None:
    """Write a file whole. ``mode``: what the umask leaves of it. Raises UsageError."""
    name = ""
    try:
        file, name = tempfile.mkstemp(prefix=f".{path.name}-", suffix=".tmp", dir=path.parent)
        with open(file, "w", encoding="utf-8") as held:  # noqa: PTH123 - the descriptor that mkstemp opened
            held.write(content)
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(mode & ~mask)  # as any other file, unless it is to be read by its owner alone
        Path(name).replace(path)
    except OSError as fault:
        with suppress(OSError):
            Path(name).unlink(missing_ok=True)
        raise UsageError(
            f"the result cannot be written: {fault.strerror}", where=str(path), hint="name another file"
        ) from None
