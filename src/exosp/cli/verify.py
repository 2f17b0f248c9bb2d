"""exosp verify: is the tenant as the playbook says, and do the logins work? Writes nothing. Exit 0 proven, 3 not."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import (
    ClientId,
    CloudFile,
    Deadline,
    Format,
    FormatOption,
    JournalFolder,
    NoCache,
    NoColor,
    NoInput,
    OutsideFolder,
    PlaybookPath,
    Quiet,
    SignInOption,
    Verbose,
    journals,
    seconds,
    signing_in,
)
from .screen import Screen

if TYPE_CHECKING:
    from ..verify import Verdict


class Way(StrEnum):
    """How a person signs in."""

    browser = "browser"
    device_code = "device-code"


Wait = Annotated[
    str,
    typer.Option(
        "--wait", metavar="DURATION",
        help="Go on trying this long where all is right and Exchange only lags, as 2h. Pauses of 5 minutes and more lie "
        "between tries, since failing ones prolong the lag.",
    ),
]  # fmt: skip
Negative = Annotated[
    list[str] | None,
    typer.Option(
        "--negative", metavar="ADDRESS", help="Also prove that this mailbox is refused. Repeatable.", show_default=False
    ),
]
SendTo = Annotated[
    str | None,
    typer.Option(
        "--send-to", metavar="ADDRESS", show_default=False,
        help="Each mailbox with SMTP sends one message there, to the end; it is looked for again by IMAP where ADDRESS is "
        "in the playbook. Without it nothing is ever sent.",
    ),
]  # fmt: skip
Listing = Annotated[
    int,
    typer.Option("--list", metavar="N", min=0, max=100, help="Show the newest N subjects of each mailbox by IMAP.",
                 show_default=False),
]  # fmt: skip
Some = Annotated[
    int | None,
    typer.Option("--sample", metavar="N", min=1, show_default=False,
                 help="Log in to N mailboxes, chosen by chance so that every protocol is among them, in place of all."),
]  # fmt: skip
Seed = Annotated[
    int | None,
    typer.Option("--seed", metavar="N", min=0, help="Repeat the choice of a --sample that said this seed.",
                 show_default=False),
]  # fmt: skip
InFlight = Annotated[
    int, typer.Option("--in-flight", metavar="N", min=1, max=256, help="Logins at once; three at most to one mailbox.")
]
Asking = Annotated[
    Way | None,
    typer.Option("--person", show_default=False,
                 help="How the person signs in where the playbook says access: delegated. Nobody is asked without it."),
]  # fmt: skip
Output = Annotated[
    list[Path] | None,
    typer.Option("--output", "-o", metavar="FILE", show_default=False,
                 help="Also write the result there: JUnit where FILE ends in .xml, the document where in .json. Repeatable."),
]  # fmt: skip


def verify(
    playbook: PlaybookPath,
    wait: Wait = "0s",
    negative: Negative = None,
    send_to: SendTo = None,
    listing: Listing = 0,
    sample: Some = None,
    seed: Seed = None,
    in_flight: InFlight = 8,
    person: Asking = None,
    output: Output = None,
    form: FormatOption = Format.text,
    timeout: Deadline = "15m",
    journal: JournalFolder = None,
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
            from ..journal import folder, history
            from ..letters import Wishes
            from ..probes import Sample
            from ..report import text
            from ..verify import case, prove
            from . import outputs
            from .signing import signing_in as person_signing_in
            from .telling import proofs
            from .wiring import Session, closed, read, recipient

            outputs.check(output or ())
            want = read(playbook, allow_outside=allow_outside)
            screen.tenant = want.tenant
            refused = closed(negative or (), want)
            wishes = Wishes(recipient(send_to) if send_to is not None else None, listing)
            some = Sample(sample, outputs.any_seed() if seed is None else seed) if sample is not None else None
            longest = max(len(address) for address in (*(box.address for box in want.boxes), *refused))
            screen.working("signing in")
            way = person_signing_in(person.value, want) if person else None
            how = signing_in(sign_in, client_id, no_cache, no_input, screen.note)
            session = Session(want, screen, cloud_file=cloud_file, deadline=deadline, person=way, sign_in=how)
            with session:
                screen.working("reading the tenant")
                left = history(folder(journals(journal), session.tenant.tenant_id, want.app.unique_name))
                found = case(
                    want, session.tenant, session.patience, audience=session.cloud.exchange_resource, wait=patient,
                    negative=refused, history=left, sample=some, in_flight=in_flight, apart=session.cloud.apart,
                    wishes=wishes,
                )  # fmt: skip
                if found.sample is not None and not screen.quiet:
                    screen.note(text.sampled(found.sample, screen.width))
                if 0 < patient < found.apart:
                    screen.note(text.wrapped(
                        f"--wait {wait} is shorter than the {found.apart / 60:.0f} minutes that lie between two tries, so "
                        "there is one try.", screen.width,
                    ))  # fmt: skip
                with screen.counting("logging in", len(found.todo)):
                    verdict = prove(
                        found, session, session.patience, letters=session, tell=proofs(screen, longest),
                        tried=lambda probe: screen.working(f"logging in: {probe.mailbox} {probe.protocol}", done=1),
                    )  # fmt: skip
        outputs.write(output or (), verdict, screen)
        _show(verdict, screen)
        raise typer.Exit(0 if verdict.proven else 3)


def _show(verdict: "Verdict", screen: Screen) -> None:
    from ..report import document, text

    if screen.json:
        screen.document(document.verify(verdict))
        return
    if any(proof.stage != "token" for proof in verdict.proofs):  # else no login was tried
        screen.tell("")
    screen.say(text.verdict(verdict, screen.width))
