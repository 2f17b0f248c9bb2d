"""What ``exosp demo`` does: a sandbox in this process, the quickstart playbook, and the same code as the real commands."""

import shutil
import tempfile
import time
from pathlib import Path

from .. import __version__, resources
from ..converge import Event, Finished, Result, Started, look
from ..converge import apply as converge
from ..errors import UsageError
from ..report import document, text
from ..sandbox.faults import UnknownFault
from ..sandbox.server import Running
from ..sandbox.tenant import Options
from ..snapshot import Address
from ..verify import Verdict
from ..verify import verify as prove
from .screen import Screen
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
    clock = SandboxClock(running)
    want = read(path, allow_outside=False)

    def tell(event: Event) -> None:
        match event:
            case Started(change):
                screen.working(f"{change.step}: {change.verb} {change.target}")
            case Finished(change, outcome):
                screen.tell(text.outcome(change, outcome))

    with Session(want, screen, environment=running.environment(), clock=clock, deadline=WAIT) as session:
        screen.tell(f"An emulated tenant, {want.tenant}, runs on this machine. Nothing here touches a real one.\n")
        screen.tell("PLAN  what apply would change\n")
        with screen.progress("reading the tenant"):
            first = look(want, session.tenant, session.patience)
        screen.tell(text.plan(first[1]) + "\n")
        screen.tell("APPLY  each change as it is made\n")
        with screen.progress("applying"):
            result = converge(want, session.tenant, session.patience, first, tell)
        screen.tell("\n" + text.applied(result) + "\n")
        screen.tell("VERIFY  real logins, with the server's own words\n")
        with screen.progress("logging in"):
            verdict = prove(
                want, session.tenant, session, session.patience,
                audience=session.cloud.exchange_resource, wait=WAIT, negative=[REFUSED],
                tell=lambda proof: screen.tell(text.proof(proof)),
            )  # fmt: skip
        screen.tell("\n" + text.verdict(verdict))
        if screen.json:
            head = document.head("demo", session.cloud, want.tenant, __version__)
            screen.document(head | _document(first, result, verdict, session.tokens, clock.slept))
        screen.tell(_closing(clock.slept))
    return verdict.proven


def _document(first: object, result: Result, verdict: Verdict, tokens: int, moved: float) -> dict[str, object]:
    return {
        "plan": document.plan(result.plan, result.seen),
        "apply": document.apply(result, new_run(), tokens, ""),
        "verify": document.verify(verdict),
        "clock_moved_seconds": round(moved, 1),
    }


def _closing(moved: float) -> str:
    return (
        f"\nThe sandbox's clock was moved {moved:.0f} seconds to get past replication and caching. "
        "Exchange Online itself can take up to two hours to honour a new grant.\n\n"
        "What next:\n"
        "  exosp sandbox run -- bash       a shell with a tenant to try things on\n"
        "  exosp plan playbook.yaml        what would change in yours; it writes nothing\n"
        "  exosp apply playbook.yaml       change it\n"
        "  exosp verify playbook.yaml      prove it with real logins"
    )
