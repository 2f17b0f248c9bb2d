"""Carry out a plan on a tenant: look, show, ask, write, read back, say what became of it. What ``apply``, ``undo`` and
``destroy`` have in common; what is theirs alone is a Job's."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from .options import Format, journals, seconds, signing_in
from .screen import Screen

if TYPE_CHECKING:
    from ..converge import Result
    from ..journal import History
    from ..plan import Plan
    from ..playbook import Playbook
    from ..sending import Planner
    from ..snapshot import Snapshot


@dataclass(frozen=True)
class Options:
    """What the command line says, as every one of these commands takes it."""

    playbook: Path
    yes: bool
    form: Format
    timeout: str
    journal: Path | None
    cloud_file: Path | None
    allow_outside: bool
    allow_removals: int
    allow_foreign: bool
    no_input: bool
    quiet: bool
    verbose: bool
    no_color: bool
    sign_in: str = "auto"
    client_id: tuple[str, ...] = ()
    no_cache: bool = False


class Job:
    """What one command sets out to do. Its methods are called in this order."""

    command = ""
    doing = ""  # in the moving line
    earlier = "What it did was read again."  # of a run that did not end
    writes = True  # or it ends before it could
    only = False  # nothing but what was shown, whatever is found on the way
    unremembered = ""  # said where the application is there and no earlier run left a journal

    def begin(self, want: "Playbook") -> None:
        """Before anything is sent. Raises UsageError."""

    def planner(self, history: "History") -> "Planner":
        """How it plans. Raises UsageError."""
        from .. import steps

        return steps.plan

    def approve(self, found: "Plan") -> None:
        """What is planned, before it is shown. Raises an Error where that must not be."""

    def nothing(self, seen: "Snapshot") -> str:
        """What is said where there is nothing to do."""
        return "The tenant is as the playbook says. Nothing to do."

    def question(self, found: "Plan", tenant: str) -> str:
        raise NotImplementedError

    def document(self, result: "Result") -> dict[str, Any]:
        """What stands in its document besides what apply's has."""
        return {}

    def told(self, result: "Result", run: str) -> str:
        """What is said at the end, below the counts."""
        return ""


def carry_out(job: Job, given: Options) -> NoReturn:
    """The whole command. Ends it with its exit code."""
    with ExitStack() as stack:
        screen = stack.enter_context(
            Screen(given.form, command=job.command, quiet=given.quiet, verbose=given.verbose, no_color=given.no_color)
        )
        deadline = seconds(given.timeout, "--timeout")
        with screen.progress("reading the playbook"):
            from ..converge import Memory, look
            from ..converge import apply as converge
            from ..journal import opened
            from ..plan import Limits, guard
            from ..report import document, text
            from ..report.preflight import line
            from ..steps.application import foreign
            from .allowed import looked_up, must_be_allowed
            from .asking import confirm, must_be_able_to_ask, must_keep_a_journal
            from .telling import changes
            from .wiring import Session, new_run, read

            want = read(given.playbook, allow_outside=given.allow_outside)
            screen.tenant = want.tenant
            if job.writes:
                must_be_able_to_ask(job.command, yes=given.yes, no_input=given.no_input)
            job.begin(want)
            run = new_run()
            screen.working("signing in")
            how = signing_in(given.sign_in, given.client_id, given.no_cache, given.no_input, screen.note)
            session = stack.enter_context(
                Session(want, screen, cloud_file=given.cloud_file, deadline=deadline, sign_in=how)
            )
            kept = stack.enter_context(
                opened(
                    journals(given.journal),
                    tenant_id=session.tenant.tenant_id,
                    application=want.app.unique_name,
                    command=job.command,
                    run=run,
                )
            )
            screen.working("reading the tenant")
            planner = job.planner(kept.history)
            first = look(want, session.tenant, session.patience, Memory(kept.history), planner)
            seen, found = first
            kept.digest = found.digest
            job.approve(found)
            must_keep_a_journal(found, given.journal, no_input=given.no_input)
            limits = Limits(given.allow_removals, given.allow_foreign)
            screen.working("reading what you may do")
            allowed = None if found.empty else looked_up(session, want, seen, found)
        for earlier in kept.history.unfinished:
            screen.tell(f"Run {earlier.id} did not end. {job.earlier}\n")
        if job.unremembered and seen.application is not None and not kept.history.runs:
            screen.tell(text.wrapped(job.unremembered, screen.width) + "\n")
        if allowed is not None:
            screen.tell(line(allowed, session.cloud.name, emulated=session.cloud.emulated) + "\n")
        shown = text.plan(found, screen.width, text.wrapped(job.nothing(seen), screen.width))
        screen.tell(shown)
        guard(found, seen, limits, foreign=foreign(want, seen))
        if allowed is not None:
            must_be_allowed(allowed, str(given.playbook), job.command)
            confirm(f"\n{job.question(found, want.tenant)}", yes=given.yes)
            screen.tell("")
        for before, stands, lost, unknown in kept.settle(seen):
            screen.tell(f"Of what run {before.id} left open, {stands} stand, {lost} do not, {unknown} cannot be told.")
        with screen.progress(job.doing, len(found.changes)):
            result = converge(
                want, session.tenant, session.patience, first, changes(screen),
                only=job.only, journal=kept, planner=planner, limits=limits,
            )  # fmt: skip
        kept.end("failed" if result.failed else "done")
        link = session.consent_link(result.seen) if result.others_turn else ""
        if screen.json:
            screen.document({**document.apply(result, run, session.tokens, link), **job.document(result)})
        elif not result.plan.empty:
            if since := text.refused_since(result, screen.width):
                screen.say("\n" + since)
            screen.tell("")
            screen.say(text.applied(result))
            if more := job.told(result, run):
                screen.say(text.wrapped(more, screen.width))
        elif screen.quiet:
            screen.say(shown)
        if link:
            screen.say("\n" + text.consent(link))
        raise typer.Exit(1 if result.failed else 3 if result.others_turn or not result.rest.empty else 0)
