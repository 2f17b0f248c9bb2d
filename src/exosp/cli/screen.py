"""Where output goes: results to stdout, everything else to stderr, progress only on a terminal."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .options import Format

if TYPE_CHECKING:
    from rich.status import Status


class Screen:
    """One command's output. With ``--format json`` stdout gets the one document and prose goes to stderr."""

    def __init__(self, form: Format, *, quiet: bool = False, verbose: bool = False, no_color: bool = False) -> None:
        self.json = form is Format.json
        self.quiet = quiet
        self.verbose = verbose
        self._color = not no_color and not os.environ.get("NO_COLOR")
        self._status: Status | None = None

    def say(self, text: str) -> None:
        """A result, for people."""
        print(text, file=sys.stderr if self.json else sys.stdout, flush=True)

    def tell(self, text: str) -> None:
        """Something on the way to a result; not said with --quiet."""
        if not self.quiet:
            self.say(text)

    def note(self, text: str) -> None:
        """To stderr, for people."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def document(self, content: dict[str, Any]) -> None:
        """The one JSON document."""
        json.dump(content, sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
        sys.stdout.flush()

    def waiting(self, why: str, seconds: float) -> None:
        """A pause and its reason: in the progress line, or a line of its own with --verbose."""
        if self._status is not None:
            self.working(f"waiting {seconds:.0f} s: {why}")
        if self.verbose:
            self.note(f"  waiting {seconds:.1f} s: {why}")

    def working(self, text: str) -> None:
        if self._status is not None:
            from rich.text import Text

            self._status.update(Text(text))  # Text: what a service says is never markup

    @contextmanager
    def progress(self, text: str) -> Iterator[None]:
        """A line that moves while something takes long; nothing where stderr is no terminal."""
        if self.quiet or not sys.stderr.isatty():
            yield
            return
        from rich.console import Console
        from rich.text import Text

        console = Console(stderr=True, no_color=not self._color, highlight=False, markup=False)
        with console.status(Text(text)) as status:
            self._status = status
            try:
                yield
            finally:
                self._status = None
