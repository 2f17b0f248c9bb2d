"""The commands, one module each. Nothing heavy is imported until a command runs."""

import signal
import sys
from itertools import pairwise
from types import FrameType
from typing import Any, NoReturn, cast

import typer

from . import apply, audit, consent_url, demo, destroy, explain, plan, preflight, sandbox, template, undo, verify
from .options import Format
from .screen import Screen, Stopped

app = typer.Typer(
    name="exosp",
    help="Give one application access to chosen Exchange Online mailboxes over IMAP, POP3 and SMTP, and prove it.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        print(f"exosp {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", help="Print the version.", callback=_version, is_eager=True),
) -> None:
    pass


# The second line is what the list of commands says: one line each in 80 columns.
app.command("demo", short_help="The main job, from nothing to proof, on an emulated tenant.")(demo.demo)
app.command("preflight", short_help="Say what you may do, and what is missing.")(preflight.preflight)
app.command("plan", short_help="Show what apply would change. Writes nothing.")(plan.plan)
app.command("apply", short_help="Make the tenant as the playbook says.")(apply.apply)
app.command("verify", short_help="Prove it with real logins. Writes nothing.")(verify.verify)
app.command("audit", short_help="Say who can open which mailbox, in the whole tenant.")(audit.audit)
app.command("explain", cls=explain.Pasted, short_help="What a pasted failure means, and what to do.")(explain.explain)
app.command("consent-url", short_help="Where another tenant's administrator consents.")(consent_url.consent_url)
app.command("undo", short_help="Put back what a run changed.")(undo.undo)
app.command("destroy", short_help="Remove all that exosp made, nothing else.")(destroy.destroy)
app.command("template", short_help="Print a file to start from.")(template.template)
app.add_typer(sandbox.app, name="sandbox", short_help="An emulated tenant for other programs.")


def main() -> None:
    """Run the command line and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        cast(Any, stream).reconfigure(errors="backslashreplace")  # a terminal that lacks a letter is no reason to fail
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, _stop)
    try:
        sys.exit(app(standalone_mode=False))
    except Exception as fault:
        sys.exit(_outside().ended(_usage(fault)))


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise Stopped(number)


def _usage(fault: Exception) -> Exception:
    """What Typer says of a command line, as an Error."""
    from ..errors import Error, UsageError
    from ..redaction import redact

    said = getattr(fault, "format_message", None)
    if said is None:
        return Error("nothing was done: no answer was given") if isinstance(fault, typer.Abort) else fault
    context = getattr(fault, "ctx", None)
    path = context.command_path if context is not None else "exosp"
    if type(fault).__name__ == "NoArgsIsHelpError":
        print(said(), file=sys.stderr)
        sys.exit(2)
    return UsageError(redact(said()).rstrip("."), hint=f"{path} --help shows how it is used")


def _outside() -> Screen:
    """The screen for what goes wrong before a command has its own."""
    words = sys.argv[1:]
    as_json = "--format=json" in words or any(pair == ("--format", Format.json) for pair in pairwise(words))
    command = next((word for word in words if word in _COMMANDS), "exosp")
    verbose = "--verbose" in words or "-v" in words
    return Screen(Format.json if as_json else Format.text, command=command, verbose=verbose)


_COMMANDS = ("demo", "preflight", "plan", "apply", "verify", "consent-url", "undo", "destroy", "sandbox")
