"""Asking before writing: on a terminal only; off one the answer must have been given with --yes."""

import sys

import typer


def must_be_able_to_ask(command: str, *, yes: bool, no_input: bool) -> None:
    """Raise UsageError where nobody can be asked and nobody has agreed. Called before anything is sent."""
    from ..errors import UsageError

    if not yes and (no_input or not sys.stdin.isatty()):
        raise UsageError(f"{command} writes, and there is no terminal to ask on", hint="agree beforehand with --yes")


def confirm(question: str, *, yes: bool) -> None:
    """Go on, or end with exit code 1 and nothing written."""
    if not yes and not typer.confirm(question, err=True):
        typer.echo("nothing was written", err=True)
        raise typer.Exit(1)
