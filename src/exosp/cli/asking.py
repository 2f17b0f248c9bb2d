"""Asking before writing: on a terminal only; off one the answer must have been given with --yes."""

import sys

import typer


def must_be_able_to_ask(command: str, *, yes: bool, no_input: bool) -> None:
    """Raise UsageError where nobody can be asked and nobody has agreed. Called before anything is sent."""
    from ..errors import UsageError

    if not yes and (no_input or not (sys.stdin.isatty() and sys.stderr.isatty())):  # the question goes to stderr
        raise UsageError(
            f"{command} writes, and there is no terminal to ask on; nothing was sent",
            hint="agree beforehand with --yes",
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
