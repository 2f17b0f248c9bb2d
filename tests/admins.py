"""A person who runs exosp, for tests: signs in at the sandbox's own pages by a browser, and has the same desk."""

import uuid
import webbrowser
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from desk import Desk, SandboxClock
from exosp import signin
from exosp.cli.options import Format
from exosp.cli.screen import Screen
from exosp.sandbox import catalog
from exosp.sandbox.directory import EXCHANGE_ONLINE, MICROSOFT_GRAPH, Entity, new_id
from exosp.sandbox.server import Running
from person import Person

GRAPH = ("Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All")
EXCHANGE = ("Exchange.Manage",)


ADMIN = "admin@contoso.onmicrosoft.com"


def own_client(running: Running, *who: str) -> str:
    """A tenant's own public client, as ``exosp preflight --bootstrap`` shows how to make it: consented to for everybody, and
    assignment required, which ``who`` has (without any, the administrator). Its client ID."""
    directory = running.sandbox.tenant.directory
    application, principal = catalog.add_application(directory, "exosp sign-in")
    assert principal is not None
    application.properties["isFallbackPublicClient"] = True
    application.properties["publicClient"] = {"redirectUris": ["http://localhost"]}
    application.properties["requiredResourceAccess"] = [
        catalog._access(directory, MICROSOFT_GRAPH, [], list(GRAPH)),
        catalog._access(directory, EXCHANGE_ONLINE, [], list(EXCHANGE)),
    ]
    client = str(application.properties["appId"])
    del directory.service_principals[principal.id]
    principal = catalog._consented(directory, client, application.properties | {"_home": directory.tenant_id})
    principal.properties["appRoleAssignmentRequired"] = True
    for upn in who or (ADMIN,):
        user = directory.people.by_name(upn)
        assert user is not None, upn
        row = {"id": new_id(), "principalId": user.id, "resourceId": principal.id, "appRoleId": str(uuid.UUID(int=0))}
        directory.app_role_assignments[row["id"]] = Entity(row, directory.clock.now())
    return client


@dataclass
class Admin(Desk):
    """``clients`` as --client-id has them; ``person`` is at the browser."""

    clients: Mapping[str, str] = field(default_factory=dict)
    person: Person = None  # type: ignore[assignment]  # given at once
    said: list[str] = field(default_factory=list)

    def session(self, **changes: str) -> Any:
        from exosp.cli.wiring import Session, read

        self.clock = SandboxClock(self.running)
        given = {name: value for name, value in self.running.environment().items() if not name.startswith("AZURE_")}
        if self.remoting:
            given["EXOSP_REMOTING"] = self.remoting
        asked = signin.Asked("browser", self.clients, cache=False, terminal=True, tell=self.said.append)
        return Session(
            read(self.playbook, allow_outside=False),
            Screen(Format.text, quiet=True),
            environment=given | changes,
            clock=self.clock,
            deadline=self.deadline,
            sign_in=asked,
        )


def at_browser(
    desk: Desk, patch: pytest.MonkeyPatch, client: str | Mapping[str, str], upn: str, **person: Any
) -> Admin:
    """The same desk, with a person at its browser."""
    tenant = desk.running.sandbox.tenant
    somebody = Person(str(desk.running.sandbox.ca_path), upn, tenant.person_password, **person)
    patch.setattr(webbrowser, "open", lambda url, *_: somebody.later(url))
    clients = {"graph": client, "exchange": client} if isinstance(client, str) else client
    return Admin(desk.folder, desk.running, remoting=desk.remoting, clients=clients, person=somebody)
