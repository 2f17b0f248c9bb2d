"""exosp undo: put back what a run changed. Exit 0 done, 1 something failed or is not put back, 2 there is no such run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .carrying import Job, Options, carry_out
from .options import (
    ClientId,
    CloudFile,
    Deadline,
    Foreign,
    Format,
    FormatOption,
    JournalFolder,
    NoCache,
    NoColor,
    NoInput,
    OutsideFolder,
    Quiet,
    Removals,
    SignInOption,
    Verbose,
    Yes,
)

if TYPE_CHECKING:
    from ..converge import Result
    from ..journal import History
    from ..plan import Plan
    from ..sending import Planner
    from ..snapshot import Snapshot

DEFAULT = Path("playbook.yaml")
LISTED = 20  # runs, the newest

RunId = Annotated[
    str, typer.Argument(metavar="RUN", help="The run's id, as apply says it and its journal is named.", show_default=False)
]  # fmt: skip
ThePlaybook = Annotated[
    Path | None,
    typer.Argument(
        metavar="PLAYBOOK", help="The playbook it was run with. Without it, playbook.yaml here.", show_default=False
    ),
]


class Undo(Job):
    command = "undo"
    doing = "putting back"

    def __init__(self, run: str) -> None:
        self.run = run
        self.writes = bool(run)

    def planner(self, history: "History") -> "Planner":
        from ..undo import planner

        found = history.run(self.run)
        if found is None:
            raise _unknown(self.run, history)
        return planner(found)

    def nothing(self, seen: "Snapshot") -> str:
        return f"Nothing stands any more as run {self.run} left it. Nothing to put back."

    def question(self, found: "Plan", tenant: str) -> str:
        return f"Put back in {tenant} what run {self.run} changed?"

    def told(self, result: "Result", run: str) -> str:
        return f"This was run {run}."

    def document(self, result: "Result") -> dict[str, Any]:
        return {"undone": self.run}


def _unknown(run: str, history: "History") -> Exception:
    """No such run: those that there are."""
    from ..errors import UsageError

    lines = []
    for held in reversed(history.runs[-LISTED:]):
        when = f"{held.id[:4]}-{held.id[4:6]}-{held.id[6:8]} {held.id[9:11]}:{held.id[11:13]} UTC"
        ended = held.ended or "it did not end"
        lines.append(f"{held.id} ({held.command[:20]}, {when if held.id[:8].isdigit() else 'no time'}, {ended[:20]})")
    more = len(history.runs) - len(lines)
    there = "; ".join(lines) + (f"; and {more} older" if more > 0 else "")
    what = f"there is no run {run[:80]!r} of this playbook's application here" if run else "no run is named"
    return UsageError(
        what, hint=f"there is: {there}" if there else "no run left a journal here; --journal DIR names another place"
    )


def told_apart(first: str, second: Path | None) -> tuple[str, Path]:
    """The run and the playbook, in whichever order they stand: one of them is a file. Raises UsageError."""
    from ..errors import UsageError

    if second is None:
        if _is_file(first):
            return "", Path(first)  # the runs are listed then
        if not _is_file(DEFAULT):
            raise UsageError(
                "the playbook is needed: it names the tenant, the application and the mailboxes",
                hint=f"exosp undo RUN PLAYBOOK; without PLAYBOOK it is {DEFAULT} in this folder, and there is none",
            )
        return first, DEFAULT
    if _is_file(first) and not _is_file(second):
        return str(second), Path(first)
    return first, second


def _is_file(name: str | Path) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # a name that is too long
        return False


def undo(
    run: RunId,
    playbook: ThePlaybook = None,
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
    sign_in: SignInOption = "auto",
    client_id: ClientId = None,
    no_cache: NoCache = False,
) -> None:
    """Put back the grants, protocol switches and roles that a run changed, where they stand as it left them."""
    name, path = told_apart(run, playbook)
    given = Options(
        path, yes, form, timeout, journal, cloud_file, allow_outside, allow_removals, allow_foreign, no_input, quiet,
        verbose, no_color, sign_in, tuple(client_id or ()), no_cache,
    )  # fmt: skip
    carry_out(Undo(name), given)
