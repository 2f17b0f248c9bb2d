"""exosp apply: make the tenant as the playbook says. Exit 0 done, 1 something failed, 3 somebody else must act."""

import typer

from .options import (
    CloudFile,
    Deadline,
    Format,
    FormatOption,
    NoColor,
    NoInput,
    OutsideFolder,
    PlaybookPath,
    Quiet,
    Verbose,
    Yes,
    seconds,
)


def apply(
    playbook: PlaybookPath,
    yes: Yes = False,
    form: FormatOption = Format.text,
    timeout: Deadline = "15m",
    cloud_file: CloudFile = None,
    allow_outside: OutsideFolder = False,
    no_input: NoInput = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_color: NoColor = False,
) -> None:
    """Plan, ask, write, and read back until the tenant shows it. Running it again changes nothing."""
    from .. import __version__
    from ..converge import Event, Finished, Started, look
    from ..converge import apply as converge
    from ..report import document, text
    from .asking import confirm, must_be_able_to_ask
    from .screen import Screen
    from .wiring import Session, new_run, read

    screen = Screen(form, quiet=quiet, verbose=verbose, no_color=no_color)
    want = read(playbook, allow_outside=allow_outside)
    must_be_able_to_ask("apply", yes=yes, no_input=no_input)

    def tell(event: Event) -> None:
        match event:
            case Started(change):
                screen.working(f"{change.step}: {change.verb} {change.target}")
            case Finished(change, outcome):
                screen.tell(text.outcome(change, outcome))

    run = new_run()
    with Session(want, screen, cloud_file=cloud_file, deadline=seconds(timeout)) as session:
        with screen.progress("reading the tenant"):
            first = look(want, session.tenant, session.patience)
        screen.tell(text.plan(first[1]))
        if not first[1].empty:
            confirm(f"Apply to {want.tenant}?", yes=yes)
        with screen.progress("applying"):
            result = converge(want, session.tenant, session.patience, first, tell)
        link = session.consent_link(result.seen) if result.others_turn else ""
        if screen.json:
            head = document.head("apply", session.cloud, want.tenant, __version__)
            screen.document(head | document.apply(result, run, session.tokens, link))
        elif not result.plan.empty:
            screen.say(text.applied(result))
        if link:
            screen.tell(text.consent(link))
    raise typer.Exit(1 if result.failed else 3 if result.others_turn or not result.rest.empty else 0)
