"""What the operator wants: a YAML file into frozen values, or everything that is wrong with it at once, each with its
line and column. It asks no service and looks at no file but the playbook and the places its paths lead to.

``${EXOSP_VAR_NAME}`` in a value is replaced from the environment, once: what comes out is text and is not read again.
``$${`` stands for ``${``; every other ``$`` is itself. No other variable can be read, keys are never replaced, and
no variable's value stands in a message.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from ..errors import Fault, PlaybookError, UsageError
from .values import PROTOCOLS, Access, App, Box, Place, Playbook, Reach, SecretCredential, SendAs, SmtpScope

__all__ = [
    "PROTOCOLS", "Access", "App", "Box", "Place", "Playbook", "Reach", "SecretCredential", "SendAs", "SmtpScope", "parse", "read",
]  # fmt: skip

LARGEST = 1024 * 1024  # bytes; some twenty thousand mailboxes


def read(path: Path, environment: Mapping[str, str], *, allow_outside: bool = False) -> Playbook:
    """The playbook in a file. Raises UsageError where it cannot be read, PlaybookError with all of its faults.

    ``allow_outside`` lets ``save_to`` lead out of the playbook's folder.
    """
    return parse(_text(path), path, environment, allow_outside=allow_outside)


def parse(text: str, path: Path, environment: Mapping[str, str], *, allow_outside: bool = False) -> Playbook:
    """The playbook in a text. ``path`` names it in messages, and its folder is what ``save_to`` starts from.
    Raises PlaybookError. Of the file system only symbolic links and folders on the way to ``save_to`` are looked at."""
    from . import reader, yaml_nodes  # PyYAML: only when there is something to read

    faults: list[Fault] = []
    source = yaml_nodes.Source(text)
    root = yaml_nodes.read(source, faults)
    empty = root is None or (isinstance(root, yaml_nodes.Scalar) and root.kind == "empty")
    if empty and not faults:
        faults.append(Fault(1, 1, "the playbook is empty", "it begins with `exosp: 1`; README.md has a whole one"))
    found = None
    if root is not None and not empty:
        found = reader.Reader(source, path, environment, faults, allow_outside=allow_outside).playbook(root)
    if faults:
        raise PlaybookError(str(path), list(dict.fromkeys(faults)))
    assert found is not None, "a value was dropped without a fault"
    return found


def _text(path: Path) -> str:
    where = str(path)
    try:
        if not path.is_file():
            kind = "it is a folder" if path.is_dir() else "it is no regular file" if path.exists() else ""
            raise UsageError(
                f"cannot read the playbook: {kind or 'there is no such file'}", where=where, hint=_others(path)
            )
        with path.open("rb") as file:
            held = file.read(LARGEST + 1)
    except OSError as fault:
        raise UsageError(f"cannot read the playbook: {fault.strerror}", where=where) from None
    except ValueError:  # a NUL in the path
        raise UsageError("cannot read the playbook: no file can have that name", where=where) from None
    if len(held) > LARGEST:
        raise PlaybookError(where, [Fault(0, 0, f"the playbook is larger than {LARGEST} bytes", "split it")])
    try:
        return held.decode("utf-8")
    except UnicodeDecodeError as fault:
        before = re.split(r"\r\n|\r|\n", held[: fault.start].decode("utf-8-sig"))
        place = (len(before), len(before[-1]) + 1)
        raise PlaybookError(where, [Fault(*place, "the playbook is not UTF-8 text", "save it as UTF-8")]) from None


def _others(path: Path) -> str:
    """Playbooks that could have been meant."""
    folder = path if path.is_dir() else path.parent
    try:
        found = sorted(other.name for other in folder.iterdir() if other.suffix in (".yaml", ".yml"))
    except OSError:
        return ""
    return f"there is: {', '.join(found[:5])}" if found else ""
