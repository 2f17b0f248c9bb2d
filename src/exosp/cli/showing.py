"""What ``exosp demo`` does: a sandbox in this process, the quickstart playbook, and the same code as the real commands."""

import shlex
import shutil
import tempfile
import time
from pathlib import Path

from .. import resources
from ..converge import apply as converge
from ..converge import look
from ..errors import UsageError
from ..report import document, text
from ..sandbox.faults import UnknownFault
from ..sandbox.server import Running
from ..sandbox.tenant import Options
from ..snapshot import Address
from ..verify import verify as prove
from .screen import Screen
from .telling import changes, proofs
from .wiring import Session, new_run, read

REFUSED = Address("private@contoso.com")  # nobody granted it
WAIT = 4 * 3600.0  # sandbox seconds


class SandboxClock:
    """A clock whose pauses move the sandbox's time instead of taking ours."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self.slept = 0.0

    def now(self) -> float:
        return time.monotonic() + self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self._running.advance(seconds)


def run(screen: Screen, *, faults: str, seed: int) -> bool:
    """Whether the main job was proven."""
    with tempfile.TemporaryDirectory(prefix="exosp-demo-") as folder:
        path = Path(folder, "quickstart.yaml")
        shutil.copyfile(resources.path("playbooks", "quickstart.yaml"), path)
        try:
            running = Running(Options(seed=seed, faults=faults))
        except UnknownFault as fault:
            raise UsageError(str(fault), where="--faults") from None
        with running:
            return _show(screen, path, running)


def _show(screen: Screen, path: Path, running: Running) -> bool:
    clock, run_id = SandboxClock(running), new_run()
    want = read(path, allow_outside=False)
    screen.tenant = want.tenant
    longest = max(len(address) for address in (*(box.address for box in want.boxes), REFUSED))
    with Session(want, screen, environment=running.environment(), clock=clock, deadline=WAIT) as session:
        tenant, patience, wide = session.tenant, session.patience, screen.width
        screen.tell(text.wrapped(
            f"An emulated tenant, {want.tenant}, runs on this machine. Nothing here touches a real one.", wide
        ))  # fmt: skip
        screen.tell("\nPLAN    what apply would change, and why\n")
        with screen.progress("reading the tenant"):
            first = look(want, tenant, patience)
        screen.tell(text.plan(first[1], wide))
        screen.tell("\nAPPLY   each change as it is made\n")
        with screen.progress("applying", len(first[1].changes)):
            result = converge(want, tenant, patience, first, changes(screen))
        screen.tell("\n" + text.applied(result))
        screen.tell("\nVERIFY  real logins, each with the server's own answer\n")
        with screen.progress("logging in"):
            verdict = prove(
                want, tenant, session, patience, audience=session.cloud.exchange_resource,
                wait=WAIT, negative=[REFUSED], apart=session.cloud.apart, tell=proofs(screen, longest),
            )  # fmt: skip
        screen.tell("")
        if screen.json:
            screen.tell(text.verdict(verdict, wide))
            screen.document({
                "plan": document.plan(first[1], first[0]),
                "apply": document.apply(result, run_id, session.tokens, ""),
                "verify": document.verify(verdict),
                "clock_moved_seconds": round(clock.slept, 1),
            })  # fmt: skip
        else:
            screen.say(text.verdict(verdict, wide))
        screen.tell(_closing(clock.slept, wide))
    return verdict.proven


def _closing(moved: float, width: int) -> str:
    why = "to get past replication and caching" if moved >= 0.5 else "since nothing lags with these --faults"
    lines = text.wrapped(
        f"The tenant's clock was moved {moved:.0f} seconds, {why}. "
        "Exchange Online itself can take up to two hours to honour a new grant.",
        width,
    )
    template = shlex.quote(str(resources.path("templates", "playbook.yaml")))
    return f"""
{lines}

WHAT NEXT

  A playbook to fill in, and a shell with an emulated tenant to try it on:
    cp {template} .
    exosp sandbox run -- bash

  What would change, the change, the proof; there, or on your own tenant:
    exosp plan playbook.yaml
    exosp apply playbook.yaml
    exosp verify playbook.yaml"""
