"""Asking before writing: on a terminal only; off one the answer must have been given with --yes."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ..plan import Plan


def must_be_able_to_ask(command: str, *, yes: bool, no_input: bool) -> None:
    """Raise UsageError where nobody can be asked and nobody has agreed. Called before anything is sent."""
    from ..errors import UsageError

    if not yes and not somebody_is_there(no_input=no_input):
        raise UsageError(
            f"{command} writes, and there is no terminal to ask on; nothing was sent",
            hint="agree beforehand with --yes",
        )


def somebody_is_there(*, no_input: bool) -> bool:
    """Whether a person sits at a terminal. The question goes to stderr."""
    return not no_input and sys.stdin.isatty() and sys.stderr.isatty()


def must_keep_a_journal(plan: "Plan", journal: Path | None, *, no_input: bool) -> None:
    """Raise UsageError where a repair would leave its journal on a machine that may be gone tomorrow: what it takes
    before it gives it again is written there and nowhere else."""
    from ..errors import UsageError

    if journal is None and any(c.verb == "repair" for c in plan.changes) and not somebody_is_there(no_input=no_input):
        raise UsageError(
            "this plan repairs Exchange's entry, and off a terminal its journal needs a place that stays; nothing was sent",
            hint="name a folder that the next run finds again with --journal DIR",
        )


def confirm(question: str, *, yes: bool) -> None:
    """Go on, or raise Error: nothing is written unless somebody says yes."""
    from ..errors import Error

    try:
        if yes or typer.confirm(question, err=True):
            return
    except typer.Abort:  # the end of the input is no yes
        print(file=sys.stderr)
    raise Error("nothing was written: the answer was no")
