"""exosp plan: what apply would do. Reads only. Exit 0 nothing to do, 3 changes or somebody else's turn, 1 something is refused."""

from pathlib import Path
from typing import Annotated

import typer

from .options import (
    ClientId,
    CloudFile,
    Deadline,
    Format,
    FormatOption,
    JournalFolder,
    NoCache,
    NoColor,
    NoInput,
    OutsideFolder,
    PlaybookPath,
    Quiet,
    SignInOption,
    Verbose,
    journals,
    seconds,
    signing_in,
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
    no_input: NoInput = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_color: NoColor = False,
    sign_in: SignInOption = "auto",
    client_id: ClientId = None,
    no_cache: NoCache = False,
) -> None:
    """Show what apply would change, each change with its reason. Reads only. Exit code 3 where there are changes."""
    with Screen(form, command="plan", quiet=quiet, verbose=verbose, no_color=no_color) as screen:
        deadline = seconds(timeout, "--timeout")
        with screen.progress("reading the playbook"):
            from ..converge import Memory, look
            from ..journal import folder, history
            from ..report import document, text
            from ..report.preflight import line
            from .allowed import looked_up
            from .wiring import Session, read

            want = read(playbook, allow_outside=allow_outside)
            screen.tenant = want.tenant
            screen.working("signing in")
            how = signing_in(sign_in, client_id, no_cache, no_input, screen.note)
            with Session(want, screen, cloud_file=cloud_file, deadline=deadline, sign_in=how) as session:
                screen.working("reading the tenant")
                left = history(folder(journals(journal), session.tenant.tenant_id, want.app.unique_name))
                seen, found = look(want, session.tenant, session.patience, Memory(left))
                screen.working("reading what you may do")
                allowed = looked_up(session, want, seen, found)
        if out is not None:
            from ..plan import saved
            from . import plans

            plans.write(out, saved(found))
        if screen.json:
            screen.document(document.plan(found, seen))
        else:
            screen.tell(line(allowed, session.cloud.name, emulated=session.cloud.emulated) + "\n")
            screen.say(text.plan(found, screen.width))
        wrong = any(not refusal.others_turn for refusal in found.refused)
        raise typer.Exit(1 if wrong else 0 if found.empty and not found.refused else 3)
