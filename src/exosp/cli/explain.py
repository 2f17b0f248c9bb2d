"""exosp explain: what a pasted failure means, and what a check of the audit is. Reads text alone: no tenant, no network.
Exit 0 recognised, 3 unknown."""

import codecs
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from typer.core import TyperCommand

from .options import Format, FormatOption, NoColor, Quiet
from .screen import Screen

PIECE = 1 << 16  # bytes read at a time

Text = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TEXT",
        help="The pasted text, or a check's name; without it, or with -, standard input.",
        show_default=False,
    ),
]
Listed = Annotated[bool, typer.Option("--list", help="Show every failure that exosp knows.")]
Checks = Annotated[bool, typer.Option("--checks", help="Show every check of exosp audit.")]

_FLAGS = frozenset(("--list", "--checks", "--no-color", "--quiet", "-q", "-h", "--help"))


class Pasted(TyperCommand):
    """A command whose words are foreign text: what begins with a dash and is no option of ours (-ERR …) is text."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _parted(args))


def _parted(args: Sequence[str]) -> list[str]:
    """Our options, then ``--``, then the text."""
    options: list[str] = []
    words: list[str] = []
    rest = iter(args)
    for arg in rest:
        if arg == "--":
            words += rest
        elif arg in _FLAGS or arg.startswith("--format="):
            options.append(arg)
        elif arg == "--format":
            options += [arg, *([value] if (value := next(rest, None)) is not None else [])]
        else:
            words.append(arg)
    return [*options, "--", *words]


def explain(
    text: Text = None,
    listed: Listed = False,
    checks: Checks = False,
    form: FormatOption = Format.text,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Say what a failure means: a server's line, an AADSTS code, an error of Graph or a cmdlet, a stack trace, a whole log.
    Tokens and passwords in it are never shown. The name of an audit's check shows its manual. Exit code 0 where something is recognised, 3 where nothing is."""
    with Screen(form, command="explain", quiet=quiet, no_color=no_color) as screen:
        from ..report import explain as report

        if checks or (text is not None and len(text) == 1 and _is_name(text[0])):
            from ..checks import CHECKS
            from ..report import manual

            named = [check for check in CHECKS if text is not None and check.name == text[0]]
            if checks:
                screen.document(manual.listing_document(CHECKS)) if screen.json else screen.say(manual.listing(CHECKS))
                return
            if named:
                screen.document(manual.document(named[0])) if screen.json else screen.say(manual.text(named[0]))
                return
        if listed:
            from ..diagnosis import ROWS

            if screen.json:
                screen.document(report.listing_document(ROWS))
            else:
                screen.say(report.listing(ROWS, screen.width))
            return
        from ..explaining import explain as explained

        found = explained(_pieces(text or (), screen))
        if screen.json:
            screen.document(report.document(found))
        else:
            screen.say(report.text(found, screen.width))
        raise typer.Exit(0 if found.recognised else 3)


def _is_name(word: str) -> bool:
    """Whether a word could be a check's name."""
    return len(word) < 60 and word.isascii() and word.replace("-", "").isalpha() and word.islower()


def _pieces(words: Sequence[str], screen: Screen) -> Iterator[str]:
    """The text, from the command line or standard input. Raises UsageError where there is none."""
    from ..errors import UsageError

    if words and list(words) != ["-"]:
        if len(words) == 1 and "\n" not in words[0] and len(words[0]) < 250 and Path(words[0]).is_file():
            raise UsageError("this is a file's name, not a text", where="TEXT", hint="exosp explain < FILE reads it")
        yield " ".join(words)
        return
    if sys.stdin.isatty():
        screen.tell("Paste the text, then end it with Ctrl-D on a line of its own.")
    some = False
    for piece in decoded(sys.stdin.buffer):
        some = some or bool(piece.strip())
        yield piece
    if not some:
        raise UsageError(
            "there is no text to explain", where="standard input", hint="exosp explain 'TEXT', or exosp explain < FILE"
        )


def decoded(stream: BinaryIO) -> Iterator[str]:
    """Text in UTF-8, or in UTF-16 as PowerShell redirects it; what is neither stands as it can."""
    first = stream.read(PIECE)
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        name = "utf-16"
    elif first[1:200:2].count(0) > 40:
        name = "utf-16-le"
    else:
        name = "utf-8-sig"
    decoder = codecs.getincrementaldecoder(name)("replace")
    while first:
        yield decoder.decode(first)
        first = stream.read(PIECE)
    yield decoder.decode(b"", final=True)
