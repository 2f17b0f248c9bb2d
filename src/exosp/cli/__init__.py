"""The commands, one module each. Nothing heavy is imported until a command runs."""

import sys
from itertools import pairwise

import typer

from . import apply, demo, plan, sandbox, verify
from .options import Format

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


app.command("demo")(demo.demo)
app.command("plan")(plan.plan)
app.command("apply")(apply.apply)
app.command("verify")(verify.verify)
app.add_typer(sandbox.app, name="sandbox")


def main() -> None:
    """Run the command line; every Error is shown here, once, and nowhere else."""
    from ..errors import Error, PlaybookError, UsageError

    try:
        app()
    except Error as fault:
        _show(fault)
        sys.exit(2 if isinstance(fault, PlaybookError | UsageError) else 1)
    except KeyboardInterrupt:
        print("interrupted: what was written stands; the same command goes on from there", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception as bug:
        if "--verbose" in sys.argv or "-v" in sys.argv:
            raise
        print(
            f"error: this is a bug in exosp ({type(bug).__name__})\n"
            "  = help: please report it, with what --verbose adds to this message",
            file=sys.stderr,
        )
        sys.exit(1)


def _show(fault: Exception) -> None:
    from .. import __version__
    from ..errors import Error
    from ..report import document
    from ..report.errors import error

    assert isinstance(fault, Error)
    print(error(fault), file=sys.stderr)
    words = sys.argv[1:]
    command = next((word for word in words if not word.startswith("-")), "exosp")
    as_json = "--format=json" in words or any(pair == ("--format", Format.json) for pair in pairwise(words))
    if as_json:
        import json

        content = document.head(command, None, "", __version__) | {"error": document.fault(fault)}
        print(json.dumps(content, indent=2, ensure_ascii=False))
