"""exosp apply: make the tenant as the playbook says. Exit 0 done, 1 something failed, 3 somebody else must act."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from .options import (
    CloudFile,
    Deadline,
    Foreign,
    Format,
    FormatOption,
    JournalFolder,
    NoColor,
    NoInput,
    OutsideFolder,
    PlaybookPath,
    Quiet,
    Removals,
    Verbose,
    Yes,
    journals,
    seconds,
)
from .screen import Screen

SavedPlan = Annotated[
    Path | None,
    typer.Option(
        "--plan", metavar="FILE", help="Go on only if what is planned now is what this file holds.", show_default=False
    ),
]


def apply(
    playbook: PlaybookPath,
    saved_plan: SavedPlan = None,
    yes: Yes = False,
    form: FormatOption = Format.text,
    timeout: Deadline = "15m",
    journal: JournalFolder = None,
    cloud_file: CloudFile = None,
    allow_outside: OutsideFolder = False,
    allow_removals: Removals = 0,
    allow_foreign: Foreign = False,
    no_input: NoInput = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_color: NoColor = False,
) -> None:
    """Plan, ask, write, and read back until the tenant shows it. Running it again changes nothing."""
    with ExitStack() as stack:
        screen = stack.enter_context(Screen(form, command="apply", quiet=quiet, verbose=verbose, no_color=no_color))
        deadline = seconds(timeout, "--timeout")
        with screen.progress("reading the playbook"):
            from ..converge import Memory, look
            from ..converge import apply as converge
            from ..journal import opened
            from ..plan import Limits, guard, must_be_as_saved
            from ..report import document, text
            from ..steps.application import foreign
            from . import plans
            from .asking import confirm, must_be_able_to_ask, must_keep_a_journal
            from .telling import changes
            from .wiring import Session, new_run, read

            want = read(playbook, allow_outside=allow_outside)
            screen.tenant = want.tenant
            must_be_able_to_ask("apply", yes=yes, no_input=no_input)
            approved = None if saved_plan is None else plans.read(saved_plan)
            run = new_run()
            screen.working("signing in")
            session = stack.enter_context(Session(want, screen, cloud_file=cloud_file, deadline=deadline))
            kept = stack.enter_context(
                opened(
                    journals(journal),
                    tenant_id=session.tenant.tenant_id,
                    application=want.app.unique_name,
                    command="apply",
                    run=run,
                )
            )
            screen.working("reading the tenant")
            first = look(want, session.tenant, session.patience, Memory(kept.history))
            kept.digest = first[1].digest
            if approved is not None:
                must_be_as_saved(approved, first[1], str(saved_plan))
            must_keep_a_journal(first[1], journal, no_input=no_input)
            limits = Limits(allow_removals, allow_foreign)
        for earlier in kept.history.unfinished:
            screen.tell(f"Run {earlier.id} did not end. What it did was read again; this run goes on from there.\n")
        screen.tell(text.plan(first[1], screen.width))
        guard(first[1], first[0], limits, foreign=foreign(want, first[0]))
        if not first[1].empty:
            confirm(f"\nApply to {want.tenant}?", yes=yes)
            screen.tell("")
        for earlier, stands, lost, unknown in kept.settle(first[0]):
            screen.tell(f"Of what run {earlier.id} left open, {stands} stand, {lost} do not, {unknown} cannot be told.")
        with screen.progress("applying", len(first[1].changes)):
            result = converge(
                want,
                session.tenant,
                session.patience,
                first,
                changes(screen),
                only=approved is not None,
                journal=kept,
                limits=limits,
            )
        if result.rest.empty and first[0].owed:
            kept.paid()
        kept.end("failed" if result.failed else "done")
        link = session.consent_link(result.seen) if result.others_turn else ""
        if screen.json:
            screen.document(document.apply(result, run, session.tokens, link))
        elif not result.plan.empty:
            screen.tell("")
            screen.say(text.applied(result))
        elif screen.quiet:
            screen.say(text.plan(result.plan, screen.width))
        if link:
            screen.say("\n" + text.consent(link))
        raise typer.Exit(1 if result.failed else 3 if result.others_turn or not result.rest.empty else 0)
