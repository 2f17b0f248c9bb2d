"""exosp plan: what apply would do. Reads only. Exit 0 nothing to do, 3 changes or somebody else's turn, 1 something is refused."""

from pathlib import Path
from typing import Annotated

import typer

from .options import (
    CloudFile,
    Deadline,
    Format,
    FormatOption,
    JournalFolder,
    NoColor,
    OutsideFolder,
    PlaybookPath,
    Quiet,
    Verbose,
    journals,
    seconds,
)
from .screen import Screen

Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Save the plan there, for apply --plan.", show_default=False),
]


def plan(
    playbook: PlaybookPath,
    out: Out = None,
    form: FormatOption = Format.text,
    timeout: Deadline = "15m",
    journal: JournalFolder = None,
    cloud_file: CloudFile = None,
    allow_outside: OutsideFolder = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_color: NoColor = False,
) -> None:
    """Show what apply would change, each change with its reason. Reads only. Exit code 3 where there are changes."""
    with Screen(form, command="plan", quiet=quiet, verbose=verbose, no_color=no_color) as screen:
        deadline = seconds(timeout, "--timeout")
        with screen.progress("reading the playbook"):
            from ..converge import Memory, look
            from ..journal import folder, history
            from ..report import document, text
            from .wiring import Session, read

            want = read(playbook, allow_outside=allow_outside)
            screen.tenant = want.tenant
            screen.working("signing in")
            with Session(want, screen, cloud_file=cloud_file, deadline=deadline) as session:
                screen.working("reading the tenant")
                left = history(folder(journals(journal), session.tenant.tenant_id, want.app.unique_name))
                seen, found = look(want, session.tenant, session.patience, Memory(left))
        if out is not None:
            from ..plan import saved
            from . import plans

            plans.write(out, saved(found))
        if screen.json:
            screen.document(document.plan(found, seen))
        else:
            screen.say(text.plan(found, screen.width))
        wrong = any(not refusal.others_turn for refusal in found.refused)
        raise typer.Exit(1 if wrong else 0 if found.empty and not found.refused else 3)
