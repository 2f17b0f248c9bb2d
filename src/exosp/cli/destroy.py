"""exosp destroy: remove all that exosp made for a playbook. Exit 0 done or nothing there, 1 something failed."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

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
    from ..journal import History
    from ..plan import Plan
    from ..sending import Planner
    from ..snapshot import Snapshot


class Destroy(Job):
    command = "destroy"
    doing = "removing"

    def planner(self, history: "History") -> "Planner":
        from ..destroy import planner

        return planner(history)

    def nothing(self, seen: "Snapshot") -> str:
        return " ".join(filter(None, ("Nothing that exosp made is there. Nothing to do.", _bin(seen))))

    def question(self, found: "Plan", tenant: str) -> str:
        from ..destroy import counted

        return f"Destroy in {tenant}: {counted(found)}?"

    def document(self, result: "Result") -> dict[str, Any]:
        until = _until(result.seen)
        return {"recycle_bin_until": until.isoformat() if until else None}

    def told(self, result: "Result", run: str) -> str:
        return _bin(result.seen)


def _until(seen: "Snapshot") -> datetime | None:
    """Until when the application lies in the recycle bin; None where it does not lie there."""
    if seen.application is not None or not seen.deleted:
        return None
    return seen.deleted[0].until or datetime.now(UTC) + timedelta(days=30)


def _bin(seen: "Snapshot") -> str:
    until = _until(seen)
    if until is None:
        return ""
    return (
        f"The application lies in the recycle bin until {until:%Y-%m-%d %H:%M} UTC, then it is gone for good; until then "
        "apply restores it."
    )


def destroy(
    playbook: PlaybookPath,
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
    """Remove all that exosp made: grants, Exchange's entry, secrets, the application; and put protocol switches back."""
    given = Options(
        playbook, yes, form, timeout, journal, cloud_file, allow_outside, allow_removals, allow_foreign, no_input, quiet,
        verbose, no_color, sign_in, tuple(client_id or ()), no_cache,
    )  # fmt: skip
    carry_out(Destroy(), given)
