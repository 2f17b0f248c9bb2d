"""``app: {managed_identity: id}``: an Azure workload's identity gets mail access, and there is no secret anywhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from desk import Desk
from exosp.sandbox import catalog
from exosp.sandbox.directory import EXCHANGE_ONLINE
from exosp.sandbox.doors import access
from runs import Runs, granted

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
