"""What Graph and the token endpoint do to their clients on bad days, judged by httpx: a claim for each knob."""

import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from entra_fixture import EXCHANGE, GRAPH, Api, World, caller, error, running, unsigned

from exosp.sandbox.directory import EXCHANGE_ONLINE

ROLES = ("Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All")


def made(world: World) -> int:
    """The applications that came by Graph."""
    return sum(bool(row.properties["createdByAppId"]) for row in world.tenant.directory.applications.values())


def posts(world: World, count: int) -> list[Any]:
    """So many POSTs of applications, each its answer or the exception that httpx raised."""
    api, found = caller(world, *ROLES), list[Any]()
    for number in range(count):
        try:
            found.append(api("POST", "/applications", {"displayName": f"n{number}"}))
        except httpx.TransportError as fault:
            found.append(fault)
    return found


@pytest.mark.parametrize(
    ("knob", "status", "code", "waits"),
    [
        ("graph-throttle", 429, "TooManyRequests", "9"),
        ("graph-throttle-bare", 429, "TooManyRequests", None),
        ("graph-unavailable", 503, "ServiceUnavailable", "9"),
    ],
)
def test_refused_for_the_moment(knob: str, status: int, code: str, waits: str | None) -> None:
    """One of 24 requests is refused, with or without Retry-After, and nothing was done for it."""
    with running(f"none,{knob}=1,retry-after=9") as world:
        answers = posts(world, 24)
        (struck,) = (reply for reply in answers if reply.status_code != 201)
        assert error(struck)[:2] == (status, code)
        assert struck.headers.get("Retry-After") == waits
        assert made(world) == 23
        assert world.tenant.faults.fired.get("retry-after", 0) == (1 if waits else 0)


@pytest.mark.parametrize(("knob", "status"), [("graph-lost-reply", 504), ("graph-lost-503", 503)])
def test_done_and_answered_as_if_not(knob: str, status: int) -> None:
    """The write is answered 504 or 503, without Retry-After, and took place."""
    with running(f"none,{knob}=1") as world:
        answers = posts(world, 8)
        (struck,) = (reply for reply in answers if reply.status_code != 201)
        assert (struck.status_code, "Retry-After" in struck.headers) == (status, False)
        assert made(world) == 8


def test_graph_hangs_up() -> None:
    """graph-drop: the connection is closed instead of an answer; the write took place."""
    with running("none,graph-drop=1") as world:
        faults = [reply for reply in posts(world, 16) if isinstance(reply, Exception)]
        assert [type(fault) for fault in faults] in ([httpx.RemoteProtocolError], [httpx.ReadError])
        assert made(world) == 16


def test_graph_breaks_off_in_the_middle() -> None:
    """graph-truncated: status and headers come, and less body than they announce; the write took place."""
    with running("none,graph-truncated=1") as world:
        (fault,) = (reply for reply in posts(world, 16) if isinstance(reply, Exception))
        assert isinstance(fault, httpx.RemoteProtocolError)
        assert "without sending complete message body" in str(fault)
        assert made(world) == 16


def test_batch_throttle_refuses_one_item() -> None:
    """One item of a $batch is 429 with Retry-After, the others are served; single requests never meet it."""
    with running("none,batch-throttle=1,retry-after=4") as world:
        api = caller(world, *ROLES)
        items = [
            {"id": str(n), "method": "POST", "url": "/applications", "body": {"displayName": f"n{n}"}, "headers": {"Content-Type": "application/json"}}
            for n in range(12)
        ]  # fmt: skip
        assert {api("GET", "/applications").status_code for _ in range(12)} == {200}
        answers = api("POST", "/$batch", {"requests": items}).json()["responses"]
        (struck,) = (row for row in answers if row["status"] != 201)
        assert (struck["status"], struck["headers"]["Retry-After"]) == (429, "4")
        assert made(world) == 11


def test_reads_flap_once_a_new_object_was_seen() -> None:
    """read-flap: after the first good read some reads, by id and in lists, miss the object for a while; then none does."""
    with running("none,read-flap=600") as world:
        api = caller(world, *ROLES)
        app = api.made("/applications", {"displayName": "Flicker"})
        path = f"/applications/{app['id']}"
        assert api("GET", path).status_code == 200
        reads = [api("GET", path).status_code for _ in range(40)]
        assert set(reads) == {200, 404}
        assert 5 < reads.count(404) < 28
        lists = [len(api("GET", f"/applications?$filter=appId eq '{app['appId']}'").json()["value"]) for _ in range(20)]
        assert set(lists) == {0, 1}
        world.tenant.clock.advance(601)
        assert {api("GET", path).status_code for _ in range(20)} == {200}


@pytest.mark.parametrize(("form", "full", "least"), [(0, 400, 403), (1, 403, 400)])
def test_both_forms_of_a_missing_backing_application(form: int, full: int, least: int) -> None:
    """backing-application-form: who has Application.ReadWrite.All gets the 400 or the 403, OwnedBy alone the other one."""
    with running(f"none,backing-application-lag=600,backing-application-form={form}") as world:
        for permission, status in (("Application.ReadWrite.All", full), ("Application.ReadWrite.OwnedBy", least)):
            api = caller(world, permission)
            app = api.made("/applications", {"displayName": "Late"})
            reply = api("POST", "/servicePrincipals", {"appId": app["appId"]})
            code = {400: "Request_BadRequest", 403: "Authorization_RequestDenied"}[status]
            assert error(reply)[:2] == (status, code)


def application(world: World) -> tuple[Api, dict[str, Any], dict[str, Any]]:
    api = caller(world, *ROLES)
    app = api.made("/applications", {"displayName": "Mail"})
    return api, app, api.made("/servicePrincipals", {"appId": app["appId"]})


def assign(world: World, api: Api, principal: dict[str, Any], value: str = "IMAP.AccessAsApp") -> None:
    resource = world.tenant.directory.principal(EXCHANGE_ONLINE)
    assert resource is not None
    role = next(row["id"] for row in resource.properties["appRoles"] if row["value"] == value)
    body = {"principalId": principal["id"], "resourceId": resource.id, "appRoleId": role}
    assert api("POST", f"/servicePrincipals/{resource.id}/appRoleAssignedTo", body).status_code == 201


def test_a_token_minted_before_consent_keeps_its_old_roles() -> None:
    """consent-lag: a token asked for just after the assignment lacks the role and never gains it; a later one has it."""
    with running("none,consent-lag=600") as world:
        api, app, principal = application(world)
        secret = api("POST", f"/applications/{app['id']}/addPassword", {}).json()["secretText"]
        assign(world, api, principal)
        form = {"client_id": app["appId"], "client_secret": secret, "scope": f"{EXCHANGE}/.default"}
        early = world.sign_in(**form).json()["access_token"]
        assert "roles" not in unsigned(early)
        assert world.tenant.faults.fired["consent-lag"] == 1
        world.tenant.clock.advance(601)
        assert "roles" not in world.tenant.signer.verify(early)
        assert world.claims(**form)["roles"] == ["IMAP.AccessAsApp"]


@pytest.mark.parametrize(
    ("knob", "status", "number", "waits"),
    [
        ("token-throttle", 429, 90055, "5"),
        ("token-throttle-bare", 429, 90055, None),
        ("token-unavailable", 503, 90033, None),
    ],
)
def test_the_token_endpoint_refuses_for_the_moment(knob: str, status: int, number: int, waits: str | None) -> None:
    """One of twelve token requests is refused by number, with or without Retry-After; the next one is served."""
    with running(f"none,{knob}=1,retry-after=5") as world:
        (struck,) = (reply for reply in [world.sign_in() for _ in range(12)] if reply.status_code != 200)
        assert (struck.status_code, struck.json()["error_codes"]) == (status, [number])
        assert struck.headers.get("Retry-After") == waits
        assert world.sign_in().status_code == 200


# ---- policies ----


def test_a_policy_forbids_secrets() -> None:
    """policy-no-secrets: addPassword is refused by name, nothing is added, and the policy can be read."""
    with running("none,policy-no-secrets=1") as world:
        api, app, _ = application(world)
        refused = error(api("POST", f"/applications/{app['id']}/addPassword", {}))
        assert refused[:2] == (400, "CredentialTypeNotAllowedAsPerAppPolicy")
        assert api("GET", f"/applications/{app['id']}").json()["passwordCredentials"] == []
        policy = caller(world, "Policy.Read.All")("GET", "/policies/defaultAppManagementPolicy").json()
        rows = policy["applicationRestrictions"]["passwordCredentials"]
        assert [row["restrictionType"] for row in rows] == ["passwordAddition"]


def test_a_policy_caps_the_life_of_secrets() -> None:
    """policy-secret-days: the default of two years is refused by name, a life under the cap is taken."""
    with running("none,policy-secret-days=90") as world:
        api, app, _ = application(world)
        path = f"/applications/{app['id']}/addPassword"
        assert error(api("POST", path, {}))[1] == "CredentialInvalidLifetimeAsPerAppPolicy"
        end = world.tenant.clock.iso(world.tenant.clock.now() + 89 * 86400)
        assert api("POST", path, {"passwordCredential": {"endDateTime": end}}).status_code == 200


Prepare = Callable[[World, Api, dict[str, Any]], None]


@pytest.mark.parametrize(
    ("knob", "value", "number", "prepare"),
    [
        ("conditional-access-block", 1, 53003, assign),
        ("principal-disabled", 1, 7000112, assign),
        ("assignment-required", 1, 501051, lambda world, api, principal: None),
        ("assignment-required", 2, 50105, lambda world, api, principal: None),
    ],
)
def test_what_the_tenant_forbids_gets_no_token(knob: str, value: int, number: int, prepare: Prepare) -> None:
    """Conditional Access, a disabled enterprise application, an assignment that is required: no token, by number. The
    provisioning application is let be, and without the knob the same application gets its token."""
    for setting, expected in ((value, [number]), (0, None)):
        early = setting if knob != "conditional-access-block" else 0  # it would block whoever prepares this
        with running(f"none,{knob}={early}") as world:
            api, app, principal = application(world)
            world.tenant.faults.set(knob, setting)
            secret = api("POST", f"/applications/{app['id']}/addPassword", {}).json()["secretText"]
            prepare(world, api, principal)
            form = {"client_id": app["appId"], "client_secret": secret, "scope": f"{EXCHANGE}/.default"}
            assert world.sign_in(**form).json().get("error_codes") == expected
            assert world.sign_in(scope=f"{GRAPH}/.default").status_code == 200


# ---- the recycle bin ----


def test_an_enterprise_application_has_its_own_place_in_the_recycle_bin() -> None:
    """Deleting the application puts both into the bin; restoring it brings back the application alone, as Graph's page
    says; the enterprise application comes back by its own restore, without assignments."""
    with running() as world:
        api, app, principal = application(world)
        assign(world, api, principal)
        assert api("DELETE", f"/applications/{app['id']}").status_code == 204
        rows = api("GET", "/directory/deletedItems/microsoft.graph.servicePrincipal").json()["value"]
        assert [(row["id"], row["@odata.type"]) for row in rows] == [
            (principal["id"], "#microsoft.graph.servicePrincipal")
        ]
        assert api("POST", f"/directory/deletedItems/{app['id']}/restore", {}).status_code == 200
        assert error(api("GET", f"/servicePrincipals/{principal['id']}"))[0] == 404
        back = api("POST", f"/directory/deletedItems/{principal['id']}/restore", {}).json()
        assert (back["id"], back["deletedDateTime"]) == (principal["id"], None)
        assert api("GET", f"/servicePrincipals/{principal['id']}/appRoleAssignments").json()["value"] == []
        assert api("GET", "/directory/deletedItems/microsoft.graph.servicePrincipal").json()["value"] == []


@pytest.mark.parametrize("form", [0, 1])
def test_a_restored_application_may_bring_its_principal_along(form: int) -> None:
    """restored-principal: sources differ on whether the enterprise application comes back with its application; it has no
    assignments in either form."""
    with running(f"none,restored-principal={form}") as world:
        api, app, principal = application(world)
        assign(world, api, principal)
        api("DELETE", f"/applications/{app['id']}")
        api("POST", f"/directory/deletedItems/{app['id']}/restore", {})
        assert api("GET", f"/applications/{app['id']}").json()["deletedDateTime"] is None
        assert api("GET", f"/servicePrincipals/{principal['id']}").status_code == (404, 200)[form]
        left = api("GET", "/directory/deletedItems/microsoft.graph.servicePrincipal").json()["value"]
        assert len(left) == 1 - form
        if form:
            assert api("GET", f"/servicePrincipals/{principal['id']}/appRoleAssignments").json()["value"] == []


def test_a_name_that_is_in_use_keeps_the_deleted_principal_in_the_bin() -> None:
    """A new enterprise application of the same appId: the old one cannot be restored, but be deleted for good."""
    with running() as world:
        api, app, principal = application(world)
        assert api("DELETE", f"/servicePrincipals/{principal['id']}").status_code == 204
        assert api("POST", "/servicePrincipals", {"appId": app["appId"]}).status_code == 201
        path = f"/directory/deletedItems/{principal['id']}"
        assert error(api("POST", f"{path}/restore", {}))[:2] == (409, "Request_MultipleObjectsWithSameKeyValue")
        assert api("DELETE", path).status_code == 204
        assert error(api("GET", path))[0] == 404


def test_the_recycle_bin_holds_to_ownership() -> None:
    """Application.ReadWrite.OwnedBy neither restores nor purges what another caller made."""
    with running() as world:
        api, app, _ = application(world)
        api("DELETE", f"/applications/{app['id']}")
        stranger = caller(world, "Application.ReadWrite.OwnedBy")
        path = f"/directory/deletedItems/{app['id']}"
        assert error(stranger("POST", f"{path}/restore", {}))[0] == 403
        assert error(stranger("DELETE", path))[0] == 403
        assert error(api("GET", f"/directory/deletedItems/{uuid.uuid4()}"))[0] == 404
