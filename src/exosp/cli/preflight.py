"""exosp preflight: may I do this? Reads only. Exit 0 all there, 3 something is missing, 1 nobody could be signed in, or the
way to Exchange does not work."""

import os
from contextlib import ExitStack, suppress
from dataclasses import replace
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
    Quiet,
    SignInOption,
    Verbose,
    journals,
    seconds,
    signing_in,
)
from .screen import Screen

if TYPE_CHECKING:
    from ..plan import Plan
    from ..playbook import Playbook
    from ..snapshot import Snapshot
    from .wiring import Session


class For(StrEnum):
    plan = "plan"
    apply = "apply"
    verify = "verify"
    destroy = "destroy"
    audit = "audit"


PlaybookOption = Annotated[
    Path | None,
    typer.Argument(metavar="[PLAYBOOK]", help="The playbook; without one, what any could need.", show_default=False),
]
ForOption = Annotated[
    For,
    typer.Option("--for", metavar="COMMAND", help="The command to look for: plan, apply, verify, destroy or audit."),
]
Bootstrap = Annotated[
    bool,
    typer.Option("--bootstrap", help="Print how a tenant gets a client that a person signs in by, and nothing else."),
]


def preflight(
    playbook: PlaybookOption = None,
    command: ForOption = For.apply,
    bootstrap: Bootstrap = False,
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
    """Say who you are, what you may do, and what is missing for this playbook and command, with the exact thing to grant.
    Reads only. Exit code 3 where something is missing."""
    with ExitStack() as stack:
        screen = stack.enter_context(Screen(form, command="preflight", quiet=quiet, verbose=verbose, no_color=no_color))
        if bootstrap:
            _bootstrap(screen, cloud_file)
            return
        deadline = seconds(timeout, "--timeout")
        with screen.progress("signing in"):
            from .. import needs
            from .. import preflight as judging
            from ..errors import UsageError
            from ..exchange.cmdlets import OURS, READS
            from ..report import preflight as report
            from .allowed import touched
            from .rights import Reader
            from .wiring import Session, read

            want = read(playbook, allow_outside=allow_outside) if playbook is not None else None
            how = signing_in(sign_in, client_id, no_cache, no_input, screen.note)
            reaches = bool(os.environ.get("EXOSP_REMOTING")) or (want is not None and bool(want.exchange.place))
            session = Session(
                _any(want, reaches=reaches), screen, cloud_file=cloud_file, deadline=deadline, sign_in=how,
                commands=READS if command is For.audit else OURS,
            )  # fmt: skip
            stack.callback(session._close)
            if want is None and reaches:
                with suppress(UsageError):  # then the way to Exchange says itself what it lacks
                    session.want = replace(session.want, tenant=session.names("")[0])
            screen.tenant = session.want.tenant
            screen.working("reading what you may do")
            exchange = session.exchange if reaches else None
            reader = Reader(session.admin, session.graph, exchange, session.patience, by_host=session.by_host)
            rights = reader.rights()
            which = next(name for name in needs.COMMANDS if name == command.value)
            wanted = needs.of(which, want, None, person=rights.who.person, by_host=session.by_host)
            screen.working("reading the tenant's rules")
            conditions = reader.conditions(rights.who, want) if command in (For.apply, For.plan) else ()
            first = judging.judge([need for need in wanted if need.what_for.startswith("reading")], rights)
            if want is not None and command in (For.apply, For.destroy) and not first.missing and not first.unknown:
                screen.working("reading the tenant")
                looked = _planned(session, want, which, journals(journal))
                if looked is not None:
                    wanted = needs.of(which, want, looked[1], person=rights.who.person, by_host=session.by_host)
                    if app := touched(looked[0], wanted, rights.graph or ()):
                        rights = reader.with_owner(rights, app)
            seen = judging.judge(wanted, rights, want, conditions)
        if screen.json:
            screen.document(report.document(seen, which))
        else:
            emulated = session.cloud.emulated
            screen.say(report.text(seen, which, session.cloud.name, emulated=emulated, width=screen.width))
        raise typer.Exit(1 if rights.shut else 0 if seen.clear else 3)


def _planned(session: "Session", want: "Playbook", command: str, base: Path) -> "tuple[Snapshot, Plan] | None":
    """What is there and what the command would do, None where the tenant cannot be read well enough to say."""
    from .. import destroy, steps
    from ..converge import Memory, look
    from ..errors import CloudError
    from ..journal import folder, history

    try:
        session.__enter__()  # whoever called closes it
        left = history(folder(base, session.tenant.tenant_id, want.app.unique_name))
        planner = destroy.planner(left) if command == "destroy" else steps.plan
        return look(want, session.tenant, session.patience, Memory(left), planner)
    except CloudError:
        return None


def _any(want: "Playbook | None", *, reaches: bool) -> "Playbook":
    """The playbook; without one, one that names the tenant alone. Where nothing says how to reach Exchange a remoting that
    opens nothing by itself stands in, and is never used."""
    from ..playbook import Reach
    from .wiring import naming

    if want is None:
        want = naming(
            os.environ.get("AZURE_TENANT_ID", ""), where="environment", hint="name a playbook, or set AZURE_TENANT_ID"
        )
    return want if reaches else replace(want, exchange=Reach(remoting="admin-api"))


def _bootstrap(screen: Screen, cloud_file: Path | None) -> None:
    from .. import clouds
    from ..report import bootstrap

    cloud = clouds.read_file(cloud_file, any_host=True) if cloud_file else clouds.find(os.environ.get("EXOSP_CLOUD") or "global")  # fmt: skip
    screen.cloud = cloud
    if screen.json:
        screen.document({"bootstrap": list(bootstrap.commands(cloud.name))})
    else:
        screen.say(bootstrap.text(cloud.name))
