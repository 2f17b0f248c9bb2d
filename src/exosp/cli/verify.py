"""exosp verify: is the tenant as the playbook says, and do the logins work? Writes nothing. Exit 0 proven, 3 not."""

from typing import Annotated

import typer

from .options import (
    ClientId,
    CloudFile,
    Deadline,
    Format,
    FormatOption,
    NoCache,
    NoColor,
    NoInput,
    OutsideFolder,
    PlaybookPath,
    Quiet,
    SignInOption,
    Verbose,
    seconds,
    signing_in,
)
from .screen import Screen

Wait = Annotated[
    str,
    typer.Option(
        "--wait", metavar="DURATION", help="Go on trying this long where all is right and Exchange only lags, as 2h."
    ),
]
Negative = Annotated[
    list[str] | None,
    typer.Option(
        "--negative", metavar="ADDRESS", help="Also prove that this mailbox is refused. Repeatable.", show_default=False
    ),
]


def verify(
    playbook: PlaybookPath,
    wait: Wait = "0s",
    negative: Negative = None,
    form: FormatOption = Format.text,
    timeout: Deadline = "15m",
    cloud_file: CloudFile = None,
    allow_outside: OutsideFolder = False,
    no_input: NoInput = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_color: NoColor = False,
    sign_in: SignInOption = "auto",
    client_id: ClientId = None,
    no_cache: NoCache = False,
) -> None:
    """Plan again, which must be empty, then log in as the application to every mailbox over every protocol. Exit code 3
    where something is not as it must be."""
    with Screen(form, command="verify", quiet=quiet, verbose=verbose, no_color=no_color) as screen:
        deadline, patient = seconds(timeout, "--timeout"), seconds(wait, "--wait")
        with screen.progress("reading the playbook"):
            from ..report import document, text
            from ..verify import verify as prove
            from .telling import proofs
            from .wiring import Session, closed, read

            want = read(playbook, allow_outside=allow_outside)
            screen.tenant = want.tenant
            refused = closed(negative or (), want)
            longest = max(len(address) for address in (*(box.address for box in want.boxes), *refused))
            screen.working("signing in")
            how = signing_in(sign_in, client_id, no_cache, no_input, screen.note)
            with Session(want, screen, cloud_file=cloud_file, deadline=deadline, sign_in=how) as session:
                screen.working("reading the tenant, then logging in")
                verdict = prove(
                    want,
                    session.tenant,
                    session,
                    session.patience,
                    audience=session.cloud.exchange_resource,
                    wait=patient,
                    negative=refused,
                    tell=proofs(screen, longest),
                )
        if screen.json:
            screen.document(document.verify(verdict))
        else:
            if any(proof.stage != "token" for proof in verdict.proofs):  # else no login was tried
                screen.tell("")
            screen.say(text.verdict(verdict, screen.width))
        raise typer.Exit(0 if verdict.proven else 3)
