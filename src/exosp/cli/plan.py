"""exosp plan: what apply would do. Reads only. Exit 0 nothing to do, 3 changes, 1 something is refused."""

import typer

from .options import (
    CloudFile,
    Deadline,
    Format,
    FormatOption,
    NoColor,
    OutsideFolder,
    PlaybookPath,
    Quiet,
    Verbose,
    seconds,
)


def plan(
    playbook: PlaybookPath,
    form: FormatOption = Format.text,
    timeout: Deadline = "15m",
    cloud_file: CloudFile = None,
    allow_outside: OutsideFolder = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_color: NoColor = False,
) -> None:
    """Show what apply would change, and send nothing. Exit 3 when there are changes."""
    from .. import __version__
    from ..converge import look
    from ..report import document, text
    from .screen import Screen
    from .wiring import Session, read

    screen = Screen(form, quiet=quiet, verbose=verbose, no_color=no_color)
    want = read(playbook, allow_outside=allow_outside)
    with Session(want, screen, cloud_file=cloud_file, deadline=seconds(timeout)) as session:
        with screen.progress("reading the tenant"):
            seen, found = look(want, session.tenant, session.patience)
        if screen.json:
            head = document.head("plan", session.cloud, want.tenant, __version__)
            screen.document(head | document.plan(found, seen))
        else:
            screen.say(text.plan(found))
    raise typer.Exit(1 if found.refused else 0 if found.empty else 3)
