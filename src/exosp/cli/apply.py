"""exosp apply: make the tenant as the playbook says. Exit 0 done, 1 something failed, 3 somebody else must act."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    PlaybookPath,
    Quiet,
    Removals,
    SignInOption,
    Verbose,
    Yes,
)

if TYPE_CHECKING:
    from ..converge import Result
    from ..plan import Plan
    from ..playbook import Playbook

SavedPlan = Annotated[
    Path | None,
    typer.Option(
        "--plan", metavar="FILE", help="Go on only if what is planned now is what this file holds.", show_default=False
    ),
]


class Apply(Job):
    command = "apply"
    doing = "applying"
    earlier = "What it did was read again; this run goes on from there."
    unremembered = (
        "No journal of an earlier run lies here. If one was interrupted in a repair, grants that it had taken and that the "
        "playbook does not list are lost, unless its journal is found: --journal DIR."
    )

    def __init__(self, saved: Path | None) -> None:
        self._saved = saved
        self._approved = ""
        self.only = saved is not None

    def begin(self, want: "Playbook") -> None:
        from . import plans

        if self._saved is not None:
            self._approved = plans.read(self._saved)

    def approve(self, found: "Plan") -> None:
        from ..plan import must_be_as_saved

        if self._saved is not None:
            must_be_as_saved(self._approved, found, str(self._saved))

    def question(self, found: "Plan", tenant: str) -> str:
        return f"Apply to {tenant}?"

    def told(self, result: "Result", run: str) -> str:
        return f"This was run {run}; exosp undo takes that."


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
    sign_in: SignInOption = "auto",
    client_id: ClientId = None,
    no_cache: NoCache = False,
) -> None:
    """Plan, ask, write, and read back until the tenant shows it. Running it again changes nothing."""
    given = Options(
        playbook, yes, form, timeout, journal, cloud_file, allow_outside, allow_removals, allow_foreign, no_input,
        quiet, verbose, no_color, sign_in, tuple(client_id or ()), no_cache,
    )  # fmt: skip
    carry_out(Apply(saved_plan), given)
