"""exosp verify: is the tenant as the playbook says, and do the logins work? Writes nothing. Exit 0 proven, 3 not."""

from typing import Annotated

import typer

from .options import (
    CloudFile,
    Deadline,
    Format,
    FormatOption,
    NoColor,
    OutsideFolder,
    PlaybookPath,
    Quiet,
    Verbose,
    seconds,
)

Wait = Annotated[
    str,
    typer.Option(
        "--wait", metavar="DURATION", help="Go on trying this long where all is right and Exchange only lags, as 2h."
    ),
]
Negative = Annotated[
    list[str] | None,
    typer.Option("--negative", metavar="ADDRESS", help="Also prove that this mailbox is refused.", show_default=False),
]


def verify(
    playbook: PlaybookPath,
    wait: Wait = "0s",
    negative: Negative = None,
    form: FormatOption = Format.text,
    timeout: Deadline = "15m",
    cloud_file: CloudFile = None,
    allow_outside: OutsideFolder = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_color: NoColor = False,
) -> None:
    """Plan again, which must be empty, then log in as the application to every mailbox over every protocol."""
    from .. import __version__
    from ..report import document, text
    from ..snapshot import Address
    from ..verify import verify as prove
    from .screen import Screen
    from .wiring import Session, read

    screen = Screen(form, quiet=quiet, verbose=verbose, no_color=no_color)
    want = read(playbook, allow_outside=allow_outside)
    with Session(want, screen, cloud_file=cloud_file, deadline=seconds(timeout)) as session:
        with screen.progress("reading the tenant, then logging in"):
            verdict = prove(
                want,
                session.tenant,
                session,
                session.patience,
                audience=session.cloud.exchange_resource,
                wait=seconds(wait),
                negative=[Address(address) for address in negative or ()],
                tell=lambda proof: screen.tell(text.proof(proof)),
            )
        if screen.json:
            head = document.head("verify", session.cloud, want.tenant, __version__)
            screen.document(head | document.verify(verdict))
        else:
            screen.say(text.verdict(verdict))
    raise typer.Exit(0 if verdict.proven else 3)
