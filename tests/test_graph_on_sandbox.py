"""The Graph client and signing in against the sandbox tenant, which is written from the vendor's facts and shares no code
with them."""

import json
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exosp import clouds, signin
from exosp.errors import CloudError, Conflict, Forbidden, Missing, NotYetVisible, Throttled, Unreachable
from exosp.graph import Graph
from exosp.sandbox import catalog
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options
from exosp.snapshot import (
    EXCHANGE_ONLINE,
    AppId,
    Application,
    EnterpriseApplication,
    RequiredResource,
    RoleAssignment,
    Snapshot,
)
from exosp.tenant import NewSecret
from exosp.writes import (
    APP_ID,
    APPLICATION,
    PRINCIPAL,
    RESOURCE,
    AddSecret,
    AssignRole,
    CreatePrincipal,
    GraphWrite,
    RemoveSecret,
    RestoreApplication,
    TagPrincipal,
    UpdateApplication,
    UpsertApplication,
)

ROLES = ("IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp")
TAGS = ("WindowsAzureActiveDirectoryIntegratedApp",)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running(Options(faults="none")) as running:
        yield running


class Desk:
    """A client of the tenant, and what the tenant says of itself."""

    def __init__(self, running: Running, faults: str, seed: int) -> None:
        running.reset(faults=faults, seed=seed)
        self.running = running
        self.environment = running.environment()
        self.cloud = clouds.find(self.environment["EXOSP_CLOUD"])
        self.admin = signin.admin(self.cloud, self.environment)
        self.graph = Graph(self.cloud, self.admin)
        self.seen = Snapshot()
        self.secret: NewSecret | None = None

    def management(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.environment['EXOSP_SANDBOX']}/{path}") as answer:
            return json.load(answer)

    def send(self, write: GraphWrite) -> Any:
        came = self.graph.send(write, self.seen)
        if isinstance(came, Application | EnterpriseApplication | RoleAssignment):
            self.seen = self.seen.observing(came)
        elif isinstance(came, NewSecret):
            self.secret = came
        return came

    def app_token(self) -> signin.Token:
        assert self.seen.application is not None
        assert self.secret is not None
        return signin.app_token(self.cloud, self.admin.tenant, self.seen.application.app_id, self.secret.reveal())


@pytest.fixture
def open_desk(running: Running) -> Iterator[Callable[..., Desk]]:
    opened: list[Desk] = []

    def make(faults: str = "none", seed: int = 1) -> Desk:
        opened.append(Desk(running, faults, seed))
        return opened[-1]

    yield make
    for desk in opened:
        desk.graph.close()
        desk.admin.close()


def upsert(desk: Desk) -> UpsertApplication:
    assert desk.seen.resource is not None
    access = tuple((str(desk.seen.resource.roles[role]), "Role") for role in ROLES)
    return UpsertApplication("exosp-desk", "Desk", "AzureADMyOrg", (RequiredResource(EXCHANGE_ONLINE, access),))


def test_the_whole_directory_half_in_order(open_desk: Callable[..., Desk]):
    """Each call costs one request; the token of the application that comes of it carries the roles and the enterprise
    application's object ID; both sides count the same."""
    desk = open_desk()
    graph = desk.graph
    assert graph.application("exosp-desk") is None
    desk.seen = replace(desk.seen, resource=graph.resource(EXCHANGE_ONLINE))
    made = desk.send(upsert(desk))
    assert graph.application("exosp-desk") == made == graph.application_by_object_id(made.object_id)
    assert graph.principal(made.app_id) is None
    principal = desk.send(CreatePrincipal(APP_ID, ()))
    assert desk.send(TagPrincipal(PRINCIPAL, TAGS)) is None
    assert graph.principal(made.app_id) == replace(principal, tags=TAGS)
    assert graph.assignments(principal.object_id) == ()
    assert desk.seen.resource is not None
    given = [desk.send(AssignRole(PRINCIPAL, RESOURCE, desk.seen.resource.roles[role], role)) for role in ROLES]
    assert set(graph.assignments(principal.object_id)) == set(given)
    secret = desk.send(AddSecret(APPLICATION, "exosp", 180 * 86400, "desk.env"))
    assert abs((secret.secret.ends - secret.secret.starts).total_seconds() - 180 * 86400) < 60
    assert desk.send(upsert(desk)) is None
    found = graph.application("exosp-desk")
    assert found is not None
    assert found.secrets == (secret.secret,)
    assert graph.requests == 17 == sum(desk.management("requests")["graph"].values())

    token = desk.app_token()
    assert set(token.claims["roles"]) == set(ROLES)
    assert token.claims["oid"] == principal.object_id
    assert token.claims["appid"] == made.app_id
    assert token.obtained < token.expires

    assert desk.send(RemoveSecret(APPLICATION, secret.secret.key_id)) is None
    with pytest.raises(Forbidden) as caught:
        desk.app_token()
    assert caught.value.code == "AADSTS7000215"


def test_what_is_there_already_is_a_conflict(open_desk: Callable[..., Desk]):
    """A second enterprise application, a second assignment of one role; and a secret removed twice is missing."""
    desk = open_desk()
    desk.seen = replace(desk.seen, resource=desk.graph.resource(EXCHANGE_ONLINE))
    assert desk.seen.resource is not None
    desk.send(upsert(desk))
    create = CreatePrincipal(APP_ID, TAGS)
    desk.send(create)
    assign = AssignRole(PRINCIPAL, RESOURCE, desk.seen.resource.roles[ROLES[0]], ROLES[0])
    desk.send(assign)
    for write in (create, assign):
        with pytest.raises(Conflict):
            desk.send(write)
    secret = desk.send(AddSecret(APPLICATION, "exosp", 3600, "desk.env"))
    remove = RemoveSecret(APPLICATION, secret.secret.key_id)
    desk.send(remove)
    with pytest.raises(Missing):
        desk.send(remove)


def test_the_recycle_bin_is_read_to_its_end(open_desk: Callable[..., Desk]):
    """Seven deleted applications in pages of two: those of one unique name or one appId, newest first, with what they
    would bring back; nothing for a name that is not there."""
    desk = open_desk("none,page-size=2")
    tenant = desk.running.sandbox.tenant
    directory, admin = tenant.directory, tenant.directory.principal(tenant.admin_app_id)
    assert admin is not None
    for number in range(7):
        app, _ = catalog.add_application(directory, f"App {number}", unique_name=f"exosp-{number % 2}", principal=False)
        app.owners.add(admin.id)
        directory.deleted_applications[app.id] = directory.applications.pop(app.id)
        app.properties["deletedDateTime"] = f"2026-06-{number + 1:02}T10:00:00Z"
    found = desk.graph.deleted(unique_name="exosp-1")
    assert [row.application.name for row in found] == ["App 5", "App 3", "App 1"]
    assert [f"{row.until:%m-%d}" for row in found if row.until] == ["07-06", "07-04", "07-02"]
    assert desk.graph.deleted(app_id=AppId(found[0].application.app_id.upper())) == found[:1]
    assert desk.graph.deleted(unique_name="exosp-2") == ()
    assert desk.graph.application_by_app_id(found[0].application.app_id) is None
    restored = desk.send(RestoreApplication(found[0].application.object_id))
    assert restored == found[0].application == desk.graph.application_by_app_id(restored.app_id)


def test_an_update_says_only_what_it_changes(open_desk: Callable[..., Desk]):
    """UpdateApplication without a name leaves it, and the audience, as they are."""
    desk = open_desk()
    tenant = desk.running.sandbox.tenant
    app, _ = catalog.add_application(tenant.directory, "CRM")
    admin = tenant.directory.principal(tenant.admin_app_id)
    assert admin is not None
    app.owners.add(admin.id)
    app.properties["signInAudience"] = "AzureADMultipleOrgs"
    before = desk.graph.application_by_app_id(app.properties["appId"])
    assert before is not None
    required = (RequiredResource(EXCHANGE_ONLINE, (("5e5addcd-3e8d-4e90-baf5-964efab2b20a", "Role"),)),)
    assert desk.send(UpdateApplication(before.object_id, "", required)) is None
    assert desk.graph.application_by_app_id(before.app_id) == replace(before, required=required)
    desk.send(UpdateApplication(before.object_id, "CRM Mail", required))
    assert desk.graph.application_by_app_id(before.app_id) == replace(before, required=required, name="CRM Mail")


@pytest.mark.parametrize("seed", range(1, 6))
def test_what_an_unkind_tenant_says_is_understood(open_desk: Callable[..., Desk], seed: int):
    """With lag, throttling and lost replies on, everything that is said is one of the errors that waiting or looking
    answers; who heeds them ends with one application, one enterprise application, three assignments and a token. An
    answer that says that nothing was done says so of nothing that was."""
    desk = open_desk("default", seed)
    heard: list[type[CloudError]] = []
    done: list[str] = []
    desk.running.sandbox.tenant.watch = lambda moment, write: done.append(write) if moment == "after" else None

    def until_answered(call: Callable[[], Any], there: Callable[[], Any] = lambda: None) -> Any:
        for _ in range(60):
            done.clear()
            try:
                return call()
            except (NotYetVisible, Throttled, Unreachable, Conflict) as fault:
                heard.append(type(fault))
                if isinstance(fault, Unreachable) and not fault.may_have_happened:
                    assert done == []
                desk.running.advance(getattr(fault, "after", None) or 1)
                if isinstance(fault, Unreachable | Conflict):
                    found = patient(there)
                    if found:
                        desk.seen = desk.seen.observing(found)
                        return found
        raise AssertionError(f"never answered: {heard}")

    def patient(read: Callable[[], Any]) -> Any:
        """A read, past throttling and lost answers; given time to show what was written."""
        found = None
        for _ in range(20):
            try:
                found = read()
            except (Throttled, NotYetVisible, Unreachable) as fault:
                heard.append(type(fault))
                found = None
            if found:
                return found
            desk.running.advance(1)
        return found

    desk.seen = replace(desk.seen, resource=patient(lambda: desk.graph.resource(EXCHANGE_ONLINE)))
    assert desk.seen.resource is not None
    made = until_answered(lambda: desk.send(upsert(desk)), lambda: desk.graph.application("exosp-desk"))
    assert made is not None
    principal = until_answered(
        lambda: desk.send(CreatePrincipal(APP_ID, TAGS)), lambda: desk.graph.principal(made.app_id)
    )
    for role in ROLES:
        role_id = desk.seen.resource.roles[role]
        until_answered(
            lambda role=role, role_id=role_id: desk.send(AssignRole(PRINCIPAL, RESOURCE, role_id, role)),
            lambda role_id=role_id: next(
                (row for row in desk.graph.assignments(principal.object_id) if row.role == role_id), None
            ),
        )
    desk.running.advance(60)
    assert {row.role for row in patient(lambda: desk.graph.assignments(principal.object_id))} == {
        desk.seen.resource.roles[role] for role in ROLES
    }
    until_answered(lambda: desk.send(AddSecret(APPLICATION, "exosp", 3600, "desk.env")))
    desk.running.advance(60)
    assert set(patient(desk.app_token).claims["roles"]) == set(ROLES)
    state = desk.management("state")
    assert len([app for app in state["applications"] if app.get("uniqueName") == "exosp-desk"]) == 1
    assert len([row for row in state["servicePrincipals"] if row["appId"] == made.app_id]) == 1
    assert len([row for row in state["appRoleAssignments"] if row["principalId"] == principal.object_id]) == 3
    assert heard, "the tenant was kind"


def test_a_new_secret_is_refused_until_it_is_known(open_desk: Callable[..., Desk]):
    """The same refusal as for a wrong one, by the same code; then a token, from a credential that asks anew."""
    desk = open_desk("none,secret-lag=1000")
    desk.seen = replace(desk.seen, resource=desk.graph.resource(EXCHANGE_ONLINE))
    desk.send(upsert(desk))
    desk.send(CreatePrincipal(APP_ID, TAGS))
    desk.send(AddSecret(APPLICATION, "exosp", 86400, "desk.env"))
    with pytest.raises(Forbidden) as caught:
        desk.app_token()
    assert caught.value.code == "AADSTS7000215"
    assert desk.secret is not None
    assert desk.secret.reveal() not in str(caught.value) + caught.value.where + caught.value.hint
    desk.running.advance(1001)
    assert desk.app_token().claims["tid"]


def test_wrong_sign_ins(open_desk: Callable[..., Desk], tmp_path: Path):
    """A wrong secret, an unknown application, an unknown tenant: each by its code, none reaching Graph."""
    desk = open_desk()
    for change, kind, code in (
        ({"AZURE_CLIENT_SECRET": "wrong"}, Forbidden, "AADSTS7000215"),
        ({"AZURE_CLIENT_ID": "00001111-aaaa-2222-bbbb-3333cccc4444"}, Missing, "AADSTS700016"),
        ({"AZURE_TENANT_ID": "00001111-aaaa-2222-bbbb-3333cccc4444"}, Missing, "AADSTS90002"),
    ):
        admin = signin.admin(desk.cloud, {**desk.environment, **change})
        with Graph(desk.cloud, admin) as graph:
            with pytest.raises(kind) as caught:
                graph.principal(AppId("x"))
            assert caught.value.code == code
            assert graph.requests == 0
        admin.close()


def test_who_lacks_a_permission_is_told_which(open_desk: Callable[..., Desk]):
    """An application with a token, but without any Graph permission: each write names its own least."""
    desk = open_desk()
    desk.seen = replace(desk.seen, resource=desk.graph.resource(EXCHANGE_ONLINE))
    desk.send(upsert(desk))
    desk.send(CreatePrincipal(APP_ID, TAGS))
    desk.send(AddSecret(APPLICATION, "exosp", 3600, "desk.env"))
    assert desk.seen.application is not None
    assert desk.secret is not None
    assert desk.seen.resource is not None
    poor = {
        **desk.environment,
        "AZURE_CLIENT_ID": desk.seen.application.app_id,
        "AZURE_CLIENT_SECRET": desk.secret.reveal(),
    }
    role = desk.seen.resource.roles[ROLES[0]]
    with Graph(desk.cloud, signin.admin(desk.cloud, poor)) as graph:
        for write, permission in (
            (UpsertApplication("exosp-other", "x", "AzureADMyOrg", ()), "Application.ReadWrite.OwnedBy"),
            (AssignRole(PRINCIPAL, RESOURCE, role, ROLES[0]), "AppRoleAssignment.ReadWrite.All"),
        ):
            with pytest.raises(Forbidden) as caught:
                graph.send(write, desk.seen)
            assert permission in caught.value.hint
