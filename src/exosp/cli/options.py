"""The options that several commands share. Light: Typer reads these when exosp starts."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..signin import Asked


class Format(StrEnum):
    text = "text"
    json = "json"


PlaybookPath = Annotated[
    Path, typer.Argument(metavar="PLAYBOOK", help="The playbook, a YAML file.", show_default=False)
]
FormatOption = Annotated[
    Format,
    typer.Option(
        "--format", metavar="text|json", help="text for people; json: one document on stdout, prose on stderr."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the result.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say every wait and its reason.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colour (as with NO_COLOR).")]
NoInput = Annotated[bool, typer.Option("--no-input", help="Never ask, as if there were no terminal.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before writing.")]
CloudFile = Annotated[
    Path | None,
    typer.Option(
        "--cloud-file", metavar="FILE", help="A cloud file; its hosts are trusted with tokens.", show_default=False
    ),
]
OutsideFolder = Annotated[bool, typer.Option("--allow-outside", help="Let save_to lie outside the playbook's folder.")]
Deadline = Annotated[
    str, typer.Option("--timeout", metavar="DURATION", help="How long to wait for things to settle, as 90s, 15m or 2h.")
]


SignInOption = Annotated[
    str,
    typer.Option(
        "--sign-in",
        metavar="HOW",
        envvar="EXOSP_SIGN_IN",
        show_envvar=False,
        help="How you sign in: auto, azure-cli, azure-pipelines, browser, certificate, device-code, managed-identity, "
        "secret or workload-identity.",
    ),
]
ClientId = Annotated[
    list[str] | None,
    typer.Option(
        "--client-id", metavar="ID",
        help="The public client that a person signs in by; graph=ID or exchange=ID for one of the two services.",
        show_default=False,
    ),
]  # fmt: skip
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Keep no token of a person's on disk, encrypted or not.", show_default=False)
]


def signing_in(
    sign_in: str, client_id: Sequence[str] | None, no_cache: bool, no_input: bool, tell: Callable[[str], None]
) -> "Asked":
    """What the command line says of signing in. ``tell`` says what a person must do. Raises UsageError."""
    from platformdirs import user_state_path

    from ..signin import Asked, clients
    from .asking import somebody_is_there

    return Asked(
        sign_in=sign_in,
        client_ids=clients(client_id or []),
        cache=not no_cache,
        terminal=somebody_is_there(no_input=no_input),
        folder=user_state_path("exosp") / "sign-ins",
        tell=tell,
    )


def seconds(text: str, option: str) -> float:
    """90s, 15m, 2h or a plain number of seconds. Raises UsageError naming the option."""
    unit = {"s": 1, "m": 60, "h": 3600}.get(text[-1:].lower())
    number = text[:-1] if unit else text
    try:
        found = float(number) * (unit or 1)
    except ValueError:
        found = -1.0
    if not 0 <= found < 1e7:
        from ..errors import UsageError

        raise UsageError(f"{text!r} is no duration", where=option, hint="write 90s, 15m or 2h")
    return found


JournalFolder = Annotated[
    Path | None,
    typer.Option(
        "--journal",
        metavar="DIR",
        help="Where journals lie, of what was done and what stood before. Without it, your state folder.",
        show_default=False,
    ),
]


Removals = Annotated[
    int,
    typer.Option(
        "--allow-removals", metavar="N", min=0, help="Let up to N grants be taken away. Without it, 10, or 30 percent.",
        show_default=False,
    ),
]  # fmt: skip
Foreign = Annotated[
    bool, typer.Option("--allow-foreign", help="Change an application that is another playbook's.", show_default=False)
]


def journals(given: Path | None) -> Path:
    """The folder of journals: what the option says, or the user's state folder."""
    if given is not None:
        return given
    from platformdirs import user_state_path

    return user_state_path("exosp")
