"""An Error as a person reads it: what, where, its cause where the diagnosis table knows one, what to do. All faults of a
playbook stand in one text.

::

    error: unknown key `tenat`
      --> playbook.yaml:2:1
      = help: did you mean `tenant`?
"""

import textwrap

from ..diagnosis.naming import Named, named
from ..errors import CloudError, Error, Fault, PlaybookError, Throttled
from .plain import plain

WIDTH = 100


def error(fault: Error, *, width: int = WIDTH) -> str:
    """The whole text, without a last line break. Lines are at most ``width`` long unless one word is longer."""
    if isinstance(fault, PlaybookError):
        return _playbook(fault, width)
    lines = _labelled("error: ", fault.what, width)
    if fault.where:
        lines += [f"  --> {plain(fault.where)}"]
    found = None
    if isinstance(fault, CloudError):
        found = named(fault)
        lines += _answer(fault, width)
    if found is not None:
        lines += _labelled("  = cause: ", cause(found), width)
    if found is not None or fault.hint:
        lines += _labelled("  = help: ", fault.hint if found is None else found.fix, width)
    elif isinstance(fault, Throttled) and fault.after is not None:
        lines += _labelled("  = help: ", f"try again in {fault.after:g} seconds", width)
    return "\n".join(lines)


def cause(found: Named) -> str:
    """A cause by its name and in words."""
    return f"{found.key}: {found.cause}"


def _playbook(fault: PlaybookError, width: int) -> str:
    blocks = ["\n".join(_fault(fault.path, one, width)) for one in fault.faults]
    if len(blocks) != 1:
        blocks.append(f"{fault.what} {plain(fault.path)}")
    return "\n\n".join(blocks)


def _fault(path: str, fault: Fault, width: int) -> list[str]:
    place = f"{path}:{fault.line}:{fault.column}" if fault.line else path
    lines = [*_labelled("error: ", fault.what, width), f"  --> {plain(place)}"]
    return lines + (_labelled("  = help: ", fault.hint, width) if fault.hint else [])


def _answer(fault: CloudError, width: int) -> list[str]:
    parts = [f"status {fault.status}" if fault.status is not None else "", fault.code]
    said = ", ".join(part for part in parts if part)
    return _labelled("  = answer: ", said, width) if said else []


def _labelled(label: str, text: str, width: int) -> list[str]:
    """Wrapped lines after a label, what follows the first set in below it. Line breaks of the text stay breaks."""
    lines: list[str] = []
    for part in text.splitlines() or [""]:
        lines += textwrap.wrap(
            plain(part), max(width - len(label), 20), break_long_words=False, break_on_hyphens=False
        ) or [""]
    return [label + lines[0], *(" " * len(label) + line for line in lines[1:])]
