"""One user's desk in a test: a folder with a playbook, a tenant, and the same code paths as the commands."""

import json
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exosp.cli.options import Format
from exosp.cli.screen import Screen
from exosp.converge import Result, apply, look
from exosp.plan import Plan
from exosp.sandbox.server import Running
from exosp.sending import Event
from exosp.snapshot import Address, Snapshot
from exosp.verify import Verdict, verify

QUICKSTART = Path(__file__).resolve().parents[1] / "playbooks" / "quickstart.yaml"


class SandboxClock:
    """Pauses move the sandbox's time instead of taking ours, so that hours pass in milliseconds."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self.slept = 0.0

    def now(self) -> float:
        return time.monotonic() + self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self._running.advance(seconds)


@dataclass
class Desk:
    """A folder with ``playbook.yaml`` and a tenant to try it on."""

    folder: Path
    running: Running
    events: list[Event] = field(default_factory=list)
    deadline: float = 900.0  # as the commands have it; sandbox time
    remoting: str = ""  # the tenant's management host, unless told otherwise

    @property
    def playbook(self) -> Path:
        return self.folder / "playbook.yaml"

    @property
    def credential(self) -> Path:
        return self.folder / "support-desk.env"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead to the tenant, by this desk's remoting."""
        return self.running.environment() | ({"EXOSP_REMOTING": self.remoting} if self.remoting else {})

    def write(self, text: str) -> None:
        self.playbook.write_text(text, encoding="utf-8")

    def session(self, **changes: str) -> Any:
        from exosp.cli.wiring import Session, read

        self.clock = SandboxClock(self.running)
        environment = self.environment | changes
        return Session(
            read(self.playbook, allow_outside=False),
            Screen(Format.text, quiet=True),
            environment=environment,
            clock=self.clock,
            deadline=self.deadline,
        )

    def look(self) -> tuple[Snapshot, Plan]:
        with self.session() as session:
            return look(session.want, session.tenant, session.patience)

    def apply(self, **changes: str) -> Result:
        with self.session(**changes) as session:
            first = look(session.want, session.tenant, session.patience)
            return apply(session.want, session.tenant, session.patience, first, self.events.append)

    def verify(self, *, wait: float = 4 * 3600.0, negative: tuple[str, ...] = ()) -> Verdict:
        with self.session() as session:
            return verify(
                session.want,
                session.tenant,
                session,
                session.patience,
                audience=session.cloud.exchange_resource,
                wait=wait,
                negative=[Address(address) for address in negative],
                apart=session.cloud.apart,
            )

    def state(self) -> dict[str, Any]:
        return self._get("/state")

    def requests(self) -> dict[str, dict[str, int]]:
        return self._get("/requests")

    def _get(self, path: str) -> dict[str, Any]:
        address = self.running.environment()["EXOSP_SANDBOX"] + path
        with urllib.request.urlopen(address, timeout=10) as reply:
            found: dict[str, Any] = json.load(reply)
            return found

    def applications(self) -> list[dict[str, Any]]:
        """The tenant's applications but for the provisioning one."""
        return [app for app in self.state()["applications"] if app["displayName"] != "Provisioning"]


def owned(desk: Desk) -> Any:
    """The tenant's application of ours, made by hand, with the provisioning one as its owner."""
    directory = desk.running.sandbox.tenant.directory
    [app] = [a for a in directory.applications.values() if a.properties["uniqueName"] == "exosp-support-desk"]
    admin = directory.principal(desk.running.sandbox.tenant.admin_app_id)
    assert admin is not None
    app.owners.add(admin.id)
    return app
