"""Names of a tenant in a report. Whoever can name an application could otherwise command what reads the report: a terminal,
a spreadsheet, a Markdown page, the runner of a pipeline that reads every line of a log for commands.

Where a form has no way of its own to write a character, the character stands as its escape, as in ``plain``. The JSON
document alone has every name as it is.
"""

import re
import textwrap

from .plain import plain

# ##[error]… (GitHub) and ##vso[…] (Azure Pipelines) work anywhere in a line, ##teamcity[…] at its beginning. Sources:
# actions/runner, ActionCommand.cs; microsoft/azure-pipelines-agent, Command.cs.
ANYWHERE = re.compile(r"#(?=#\w*\[)")
# ::error::… (GitHub) works where nothing but white space stands before it.
_AT_THE_BEGINNING = re.compile(r"^([^\S\n]*):(?=:)", re.MULTILINE)


def harmless(text: str, most: int = 0) -> str:
    """One line that shows what cannot be seen, and commands no runner unless it begins a line. ``most``: of its characters."""
    shown = ANYWHERE.sub(r"\\x23", plain(text))
    return shown if not most or len(shown) <= most else shown[: most - 1] + "…"


def unspoken(written: str) -> str:
    """Lines that are ready to be written, none of which begins with a command to a runner."""
    return _AT_THE_BEGINNING.sub(r"\1\\x3a", written)


def wrapped(text: str, width: int, first: str = "", rest: str | None = None) -> list[str]:
    """A harmless text as lines of at most ``width``, unless one word is longer: ``first`` before the first of them, ``rest``
    before the others, as many blanks as ``first`` is long unless it is given."""
    rest = " " * len(first) if rest is None else rest
    return textwrap.wrap(
        text, max(width, len(rest) + 30), initial_indent=first, subsequent_indent=rest,
        break_long_words=False, break_on_hyphens=False,
    ) or [first.rstrip()]  # fmt: skip


def count(number: int, thing: str, things: str = "") -> str:
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"
