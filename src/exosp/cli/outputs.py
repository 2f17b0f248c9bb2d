"""Files that verify's result goes to: by their names' ends, JUnit for .xml, the document for .json. Written whole or not
at all, so that a pipeline never reads half of one."""

import json
import os
import secrets
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from .. import __version__
from ..errors import UsageError
from ..report import document, junit
from ..verify import Verdict
from .screen import Screen

FORMS = (".xml", ".json")


def any_seed() -> int:
    return secrets.randbelow(1_000_000)


def check(paths: Sequence[Path]) -> None:
    """Raise UsageError for a file that could not be written, before anything is asked of anybody."""
    for path in paths:
        if path.suffix.lower() not in FORMS:
            raise UsageError(
                f"{path.name!r} says no format", where="--output",
                hint="end it in .xml for JUnit, or in .json for the document",
            )  # fmt: skip
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
        _write(path, content)


def _write(path: Path, content: str) -> None:
    name = ""
    try:
        file, name = tempfile.mkstemp(prefix=f".{path.name}-", suffix=".tmp", dir=path.parent)
        with open(file, "w", encoding="utf-8") as held:  # noqa: PTH123 - the descriptor that mkstemp opened
            held.write(content)
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)  # as any other file: a report is no secret
        Path(name).replace(path)
    except OSError as fault:
        with suppress(OSError):
            Path(name).unlink(missing_ok=True)
        raise UsageError(
            f"the result cannot be written: {fault.strerror}", where=str(path), hint="name another file"
        ) from None
