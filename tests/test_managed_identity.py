"""``app: {managed_identity: id}``: an Azure workload's identity gets mail access, and there is no secret anywhere."""

import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from desk import Desk
from exosp.sandbox import catalog
from exosp.sandbox.directory import EXCHANGE_ONLINE
from exosp.sandbox.doors import access
from runs import Runs, granted

pytestmark = pytest.mark.slow  # whole lives of a tenant


PLAYBOOK = """exosp: 1
tenant: contoso.onmicrosoft.com
app: {{managed_identity: {id}}}
protocols: [imap, smtp]
mailboxes: [support@contoso.com]
{more}
"""


@pytest.fixture
def worker(unkind: Callable[..., Desk]) -> tuple[Desk, Any]:
    """A desk on a tenant with a managed identity, and that one's service principal."""
    groups = [{"address": "senders@contoso.com", "members": ["support@contoso.com"]}]
    desk = unkind("none", content={"managed_identities": ["mail-worker"], "groups": groups})
    directory = desk.running.sandbox.tenant.directory
    [entity] = [
        p for p in directory.service_principals.values() if p.properties["servicePrincipalType"] == "ManagedIdentity"
    ]
    desk.write(PLAYBOOK.format(id=entity.properties["appId"], more=""))
    return desk, entity


def opens(desk: Desk, entity: Any, protocol: Any, user: str = "support@contoso.com") -> bool:
    """A login as the workload would make it: with a token that Azure mints for it, carrying its app roles."""
    tenant = desk.running.sandbox.tenant
    roles = tenant.directory.roles(entity.id, EXCHANGE_ONLINE, tenant.clock.now())
    claims = {"aud": "https://outlook.office365.com", "appid": entity.properties["appId"], "oid": entity.id}
    token = tenant.signer.mint(claims | ({"roles": roles} if roles else {}), 3599)
    return isinstance(access.admit(tenant, protocol, user, token), access.Opened)


@pytest.mark.parametrize("by", ["appId", "id"])
def test_the_workload_s_logins_work_and_nothing_secret_is_made(worker: tuple[Desk, Any], by: str) -> None:
    """By client ID or object ID: roles, Exchange's entry and FullAccess; no application, no secret, no file; the second plan is
    empty, and what cannot be proven here is said so."""
    desk, entity = worker
    before = len(desk.state()["applications"])
    desk.write(PLAYBOOK.format(id=entity.properties[by], more=""))
    files = set(desk.folder.iterdir())
    desk.apply()
    state = desk.state()
    assert len(state["applications"]) == before
    assert set(desk.folder.iterdir()) == files
    assert not entity.properties["passwordCredentials"]
    [entry] = state["exchange"]["servicePrincipals"]
    assert (entry["AppId"], entry["ObjectId"]) == (entity.properties["appId"], entity.id)
    assert opens(desk, entity, "imap")
    assert opens(desk, entity, "smtp")
    assert not opens(desk, entity, "imap", "private@contoso.com")
    assert desk.look()[1].empty
    verdict = desk.verify(wait=0.0)
    assert verdict.converged
    assert {proof.proof for proof in verdict.proofs} == {"not-provable-here"}
    assert all("managed identity" in proof.cause for proof in verdict.proofs)


def test_it_may_send_by_rbac(worker: tuple[Desk, Any]) -> None:
    """Without a secret and without a claim."""
    desk, entity = worker
    more = "smtp: {access: rbac, scope: senders@contoso.com}"
    text = PLAYBOOK.format(id=entity.id, more=more).replace("[imap, smtp]", "[smtp]")
    desk.write(text)
    desk.apply()
    assert granted(desk) == {}
    assert opens(desk, entity, "smtp")
    assert desk.look()[1].empty


def test_it_is_looked_up_and_never_made(worker: tuple[Desk, Any]) -> None:
    """An id that is nobody's, and an application's, are refused with what they are; nothing is planned."""
    desk, _ = worker
    desk.write(PLAYBOOK.format(id="4d819ce9-9257-44d7-af20-68a49e6697f4", more=""))
    plan = desk.look()[1]
    assert plan.empty
    assert "no service principal" in plan.refused[0].what
    _, principal = catalog.add_application(desk.running.sandbox.tenant.directory, "CRM")
    assert principal is not None
    desk.write(PLAYBOOK.format(id=principal.id, more=""))
    plan = desk.look()[1]
    assert plan.empty
    assert "'CRM', of the type Application" in plan.refused[0].what


def test_destroy_leaves_the_identity(worker: tuple[Desk, Any], tmp_path: Path) -> None:
    """Grants, entry and consent that exosp gave go; Azure's own stays, and so does a role that somebody else gave."""
    desk, entity = worker
    directory = desk.running.sandbox.tenant.directory
    catalog.assign(directory, entity, EXCHANGE_ONLINE, "POP.AccessAsApp")
    runs = Runs(desk, tmp_path / "journals")
    runs.apply()
    runs.destroy()
    assert entity.id in directory.service_principals
    assert directory.roles(entity.id, EXCHANGE_ONLINE, desk.running.sandbox.tenant.clock.now()) == ["POP.AccessAsApp"]
    assert granted(desk) == {}
    assert desk.state()["exchange"]["servicePrincipals"] == []


class Azure(BaseHTTPRequestHandler):
    """App Service's local endpoint: a token for the identity that is asked for, to whoever has the header."""

    entity: Any
    tenant: Any
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        self.asked.append(query["resource"][0])
        right = (
            query.get("client_id") == [self.entity.properties["appId"]]
            and self.headers["X-IDENTITY-HEADER"] == "only-here"
        )
        roles = self.tenant.directory.roles(self.entity.id, EXCHANGE_ONLINE, self.tenant.clock.now())
        claims = {
            "aud": query["resource"][0],
            "appid": self.entity.properties["appId"],
            "oid": self.entity.id,
            "roles": roles,
        }
        body = {"access_token": self.tenant.signer.mint(claims, 3599), "expires_on": str(int(time.time()) + 3599),
                "resource": query["resource"][0], "token_type": "Bearer"}  # fmt: skip
        text = json.dumps(
            body if right else {"statusCode": 400, "message": "No User Assigned or Delegated Managed Identity"}
        ).encode()
        self.send_response(200 if right else 400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's word
        """Nothing on the terminal."""


@pytest.mark.parametrize("header", ["only-here", "another"])
def test_verify_on_the_workload_itself_proves_the_logins(
    worker: tuple[Desk, Any], monkeypatch: pytest.MonkeyPatch, header: str
) -> None:
    """Where Azure's local endpoint gives the token, logins are really made; where it refuses, they are not provable here."""
    desk, entity = worker
    desk.write(PLAYBOOK.format(id=entity.id, more=""))
    desk.apply()
    Azure.entity, Azure.tenant = entity, desk.running.sandbox.tenant
    with ThreadingHTTPServer(("127.0.0.1", 0), Azure) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{server.server_port}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", header)
        verdict = desk.verify(wait=0.0, negative=("private@contoso.com",) if header == "only-here" else ())
        server.shutdown()
    if header == "only-here":
        assert verdict.proven, [(proof.probe, proof.cause) for proof in verdict.proofs]
        assert verdict.claims["oid"] == entity.id
    else:
        assert {proof.proof for proof in verdict.proofs} == {"not-provable-here"}
