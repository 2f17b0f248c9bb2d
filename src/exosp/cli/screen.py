"""Where output goes: results to stdout, everything else to stderr, progress and colour only on a terminal. And how a
command ends: every error is shown here, once, and nowhere else.
"""

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from .options import Format

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from ..clouds import Cloud
    from ..errors import Error

WIDTH = 100  # of lines, at most; on a terminal that is narrower, the terminal's
NARROWEST = 50

# What stands at the beginning of a line, and how a terminal shows it. Foreign text never stands there.
_PAINT = tuple(
    (re.compile(pattern, re.MULTILINE), f"\x1b[{code}m")
    for pattern, code in (
        (r"^(PLAN|APPLY|VERIFY|AUDIT|WHAT NEXT)\b", "1"),
        (r"(?<=^ {2})(ok|\+)(?= )", "32"),
        (r"(?<=^ {2})(~|\?|waiting|skipped)(?= )", "33"),
        (r"(?<=^ {2})(!|NO|failed)(?= )", "31"),
        (r"^error:", "1;31"),
    )
)


class Stopped(KeyboardInterrupt):
    """A signal asks the process to end; what was begun is cleaned up on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Screen:
    """One command's output. With ``--format json`` stdout gets exactly one document, also where an error ends the
    command, and prose goes to stderr. Used in a ``with``: an error inside is shown, and ends the process with its code.
    """

    def __init__(
        self, form: Format, *, command: str = "", quiet: bool = False, verbose: bool = False, no_color: bool = False,
        machine: bool = False,
    ) -> None:  # fmt: skip
        """``machine``: stdout is read by a program, in a form of ``result``'s; prose goes to stderr."""
        self.json = form is Format.json
        self._machine = machine or self.json
        self.command = command
        self.quiet = quiet
        self.verbose = verbose
        self.cloud: Cloud | None = None  # these two stand in every document, as soon as they are known
        self.tenant: str | None = None
        self._color = not no_color and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._documented = False

    @property
    def width(self) -> int:
        """The longest line that prose may have."""
        if not (sys.stderr if self._machine else sys.stdout).isatty():
            return WIDTH
        return max(NARROWEST, min(WIDTH, shutil.get_terminal_size().columns))

    # Results and prose

    def say(self, text: str) -> None:
        """A result, for people."""
        self._print(text, sys.stderr if self._machine else sys.stdout)

    def result(self, text: str) -> None:
        """A whole result in a form of its own, to stdout as it is: UTF-8, whatever the terminal has."""
        self._documented = True
        if (sys.stdout.encoding or "").lower().startswith("utf") or not hasattr(sys.stdout, "buffer"):
            self._print(text.removesuffix("\n"), sys.stdout, paint=False)
        else:
            sys.stdout.buffer.write(text.encode())
            sys.stdout.buffer.flush()

    def tell(self, text: str) -> None:
        """Something on the way to a result; not said with --quiet."""
        if not self.quiet:
            self.say(text)

    def note(self, text: str) -> None:
        """To stderr, for people; not said with --quiet."""
        if not self.quiet:
            self._print(text, sys.stderr)

    def call(self, text: str) -> None:
        """To stderr, whatever --quiet: what a person has to do now."""
        self._print(text, sys.stderr)

    def document(self, content: dict[str, Any], *, one_line: bool = False) -> None:
        """The one JSON document, below what every document begins with. ``one_line`` for a command that goes on: who
        reads it has no end of file to wait for."""
        from .. import __version__
        from ..report import document

        head = document.head(self.command, self.cloud, self.tenant, __version__)
        plain = not (sys.stdout.encoding or "").lower().startswith("utf")
        self._documented = True
        self._print(
            json.dumps(head | content, indent=None if one_line else 2, ensure_ascii=plain), sys.stdout, paint=False
        )

    def _print(self, text: str, stream: TextIO, *, paint: bool = True) -> None:
        if paint and self._color and stream.isatty():
            for pattern, code in _PAINT:
                text = pattern.sub(lambda found, code=code: f"{code}{found[0]}\x1b[0m", text)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        if self._progress is not None:  # it may share the terminal: take it away, and put it back below
            self._progress.stop()
        try:
            print(text, file=stream, flush=True)
        finally:
            if self._progress is not None:
                self._progress.start()

    # Progress

    @contextmanager
    def progress(self, text: str, total: int | None = None) -> Iterator[None]:
        """A line that moves while something takes long; nothing where stderr is no terminal."""
        if self.quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            yield
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.table import Column

        # What a service says is never markup, and never wraps.
        saying = TextColumn(
            "{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")
        )
        count = (
            ()
            if total is None
            else (TextColumn("{task.fields[count]}"), BarColumn(bar_width=20), TimeRemainingColumn())
        )
        console = Console(stderr=True, no_color=not self._color, highlight=False, markup=False)
        # Not redirected: what is printed meanwhile belongs to stdout, which may be a file.
        self._progress = Progress(
            SpinnerColumn("line"), *count, saying, TimeElapsedColumn(),
            console=console, transient=True, expand=True, redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._task = self._progress.add_task(text, total=total, count=f"0/{total}" if total else "")
        self._progress.start()
        try:
            yield
        finally:
            moving, self._progress = self._progress, None
            moving.stop()

    @contextmanager
    def counting(self, text: str, total: int) -> Iterator[None]:
        """Within ``progress``: a line of its own that counts and says how long the rest will take."""
        outer, task = self._progress, self._task
        if outer is None:
            yield
            return
        outer.stop()
        self._progress = None
        try:
            with self.progress(text, total):
                yield
        finally:
            self._progress, self._task = outer, task
            outer.start()

    def working(self, text: str, done: int = 0, total: int | None = None) -> None:
        """What the moving line says; ``done`` more of the total are done. ``total``: what that is from now on, 0 where nobody
        knows it; then they are only counted."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, description=text, advance=done, total=total)
            [task] = self._progress.tasks
            of = f"/{task.total:.0f}" if task.total else ""
            self._progress.update(self._task, count=f"{task.completed:.0f}{of}" if of or task.completed else "")

    def waiting(self, why: str, seconds: float) -> None:
        """A pause and its reason: in the moving line, and as a line of its own with --verbose."""
        said = f"waiting {seconds:.1f} s: {why}"
        self.working(said)
        if self.verbose:
            self.note(f"  {said}")

    # The end

    def __enter__(self) -> "Screen":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        from typer import Exit

        if value is not None and not isinstance(value, Exit | SystemExit | BrokenPipeError):
            raise SystemExit(self.ended(value)) from None

    def ended(self, fault: BaseException) -> int:
        """Say why a command ends early; its exit code."""
        from ..errors import Error, PlaybookError, UsageError

        if isinstance(fault, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # one is enough: what is left is tidying
            self._fault(Error("interrupted", hint=_AFTER.get(self.command, "")))
            return 128 + (fault.number if isinstance(fault, Stopped) else signal.SIGINT)
        if isinstance(fault, Error):
            self._fault(fault)
            return 2 if isinstance(fault, PlaybookError | UsageError) else 1
        if self.verbose:
            import traceback

            traceback.print_exception(fault, file=sys.stderr)
        name = type(fault).__name__
        self._fault(
            Error(f"this is a bug in exosp ({name})", hint="please report it, with what --verbose adds to this message")
        )
        return 1

    def _fault(self, fault: "Error") -> None:
        from ..report import document
        from ..report.errors import error

        with suppress(BrokenPipeError):
            self._print(error(fault, width=self.width), sys.stderr)
        if self.json and not self._documented:
            self.document({"error": document.fault(fault)})


_AFTER = {
    "apply": "what was written stands; the same command goes on from there",
    "undo": "what was written stands; the same command goes on from there",
    "destroy": "what was removed is gone; the same command goes on from there",
    "audit": "nothing was written in the tenant; with --snapshot FILE the same command goes on from there",
    "demo": "the emulated tenant is gone, and nothing is left behind",
}
