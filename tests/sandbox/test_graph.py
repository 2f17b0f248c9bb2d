"""Microsoft Graph, judged by requests typed from the vendor's pages and by msgraph-sdk as a foreign client."""

import asyncio
import base64
import json
import ssl
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from azure.identity.aio import ClientSecretCredential
from entra_fixture import EXCHANGE, Api, Certificate, World, caller, error, running, schema

from exosp.sandbox import catalog, odata
from exosp.sandbox.directory import EXCHANGE_ONLINE, Entity
from exosp.sandbox.graph import ROUTES
from exosp.sandbox.odata_filter import FILTERS

ALL = ("Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All")
NOBODY = "99999999-9999-4999-8999-999999999999"


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    with running() as world:
        yield world


@pytest.fixture(scope="module")
def api(shared: World) -> Api:
    return caller(shared, *ALL, "Directory.Read.All")


@pytest.fixture
def fresh() -> Iterator[World]:
    with running() as world:
        yield world


def full(world: World) -> Api:
    return caller(world, *ALL)


def exchange(world: World) -> Entity:
    found = world.tenant.directory.principal(EXCHANGE_ONLINE)
    assert found is not None
    return found


def role(world: World, value: str) -> str:
    return next(str(row["id"]) for row in exchange(world).properties["appRoles"] if row["value"] == value)


def pair(api: Api, name: str = "Mail") -> tuple[dict[str, Any], dict[str, Any]]:
    """An application and its enterprise application, made through Graph."""
    app = api.made("/applications", {"displayName": name})
    return app, api.made("/servicePrincipals", {"appId": app["appId"]})


# ---- who may ----


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("", "Access token is empty."),
        ("Bearer rubbish", "IDX14100"),
        ("Bearer a.b.c", "IDX14100"),
        ("Basic dTpw", "Access token is empty."),
    ],
)
def test_without_a_token_nothing_is_served(shared: World, header: str, text: str) -> None:
    """No token, a broken one or another scheme: 401 in Graph's own shape, with a challenge; unknown routes too."""
    with shared.client() as client:
        for path in ("/v1.0/applications", "/v1.0/nowhere"):
            reply = client.get(shared.graph + path, headers={"Authorization": header} if header else {})
            assert error(reply)[:2] == (401, "InvalidAuthenticationToken")
            assert text in error(reply)[2]
            assert set(reply.json()["error"]["innerError"]) == {"date", "request-id", "client-request-id"}
            assert reply.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_for_exchange_is_no_token_for_graph(shared: World) -> None:
    """The wrong audience is 401, not 403."""
    token = shared.sign_in(scope=f"{EXCHANGE}/.default").json()["access_token"]
    assert error(Api(shared, token)("GET", "/applications")) == (
        401, "InvalidAuthenticationToken", "Access token validation failure. Invalid audience.",
    )  # fmt: skip


def test_a_token_expires_in_sandbox_time(fresh: World) -> None:
    """After its lifetime in sandbox time a token is 401."""
    api = full(fresh)
    assert api("GET", "/applications").status_code == 200
    fresh.tenant.clock.advance(3700)
    assert error(api("GET", "/applications"))[2].startswith("Lifetime validation failed")


def test_each_route_needs_its_permission(shared: World) -> None:
    """Without the right app role a route is 403 Authorization_RequestDenied, whatever it names."""
    nobody = caller(shared)
    reader = caller(shared, "Application.Read.All")
    for method, path, body in (
        ("GET", "/applications", None), ("POST", "/applications", {"displayName": "x"}), ("GET", "/servicePrincipals", None),
        ("GET", "/organization", None), ("GET", "/domains", None), ("GET", "/directory/deletedItems/microsoft.graph.application", None),
        ("GET", f"/servicePrincipals/{exchange(shared).id}/appRoleAssignedTo", None), ("GET", "/oauth2PermissionGrants", None),
    ):  # fmt: skip
        assert error(nobody(method, path, body)) == (
            403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.",
        )  # fmt: skip
    assert reader("GET", "/applications").status_code == 200
    for method, path, body in (
        ("POST", "/applications", {"displayName": "x"}), ("POST", "/servicePrincipals", {"appId": NOBODY}),
        ("PATCH", f"/applications/{NOBODY}", {}), ("DELETE", f"/servicePrincipals/{NOBODY}", None),
        ("POST", f"/applications/{NOBODY}/addPassword", {}),
    ):  # fmt: skip
        assert error(reader(method, path, body))[0] == 403


def test_owned_by_reaches_only_its_own(shared: World, api: Api) -> None:
    """Application.ReadWrite.OwnedBy: the creator owns what it makes and changes nothing else; it may list everything."""
    owner = caller(shared, "Application.ReadWrite.OwnedBy")
    mine = owner.made("/applications", {"displayName": "Mine"})
    theirs = api.made("/applications", {"displayName": "Theirs"})
    path = f"/applications/{theirs['id']}"
    assert owner("PATCH", f"/applications/{mine['id']}", {"notes": "ok"}).status_code == 204
    assert owner("GET", path).status_code == 200
    for method, tail, body in (("PATCH", "", {"notes": "no"}), ("DELETE", "", None), ("POST", "/addPassword", {})):
        assert error(owner(method, path + tail, body))[:2] == (403, "Authorization_RequestDenied")
    assert error(owner("POST", "/servicePrincipals", {"appId": theirs["appId"]}))[0] == 403
    principal = owner.made("/servicePrincipals", {"appId": mine["appId"]})
    assert owner("PATCH", f"/servicePrincipals/{principal['id']}", {"tags": ["a"]}).status_code == 204


def test_assignments_need_both_permissions(shared: World, api: Api) -> None:
    """AppRoleAssignment.ReadWrite.All alone may not write an assignment; with Application.Read.All it may."""
    _, principal = pair(api)
    body = {
        "principalId": principal["id"],
        "resourceId": exchange(shared).id,
        "appRoleId": role(shared, "POP.AccessAsApp"),
    }
    path = f"/servicePrincipals/{exchange(shared).id}/appRoleAssignedTo"
    for roles in (("AppRoleAssignment.ReadWrite.All",), ("Application.Read.All",), ("AppRoleAssignment.ReadWrite.All", "Application.ReadWrite.OwnedBy")):  # fmt: skip
        assert error(caller(shared, *roles)("POST", path, body))[0] == 403
    assert (
        caller(shared, "AppRoleAssignment.ReadWrite.All", "Application.Read.All")("POST", path, body).status_code == 201
    )


# ---- applications ----


def test_an_application_is_made_read_changed_and_deleted(api: Api) -> None:
    """POST 201 with the whole object, GET by id and by appId, PATCH 204, DELETE 204, then 404."""
    made = api.made("/applications", {"displayName": "One", "signInAudience": "AzureADMyOrg"})
    assert made["@odata.context"].endswith("/v1.0/$metadata#applications/$entity")
    for path in (f"/applications/{made['id']}", f"/applications(appId='{made['appId']}')"):
        assert api("GET", path).json() == made
    assert api("PATCH", f"/applications(appId='{made['appId']}')", {"displayName": "Two"}).status_code == 204
    chosen = api("GET", f"/applications/{made['id']}?$select=id,displayName").json()
    assert chosen.pop("@odata.context").endswith("#applications(id,displayName)/$entity")
    assert chosen == {"id": made["id"], "displayName": "Two"}
    assert api("DELETE", f"/applications/{made['id']}").status_code == 204
    assert error(api("GET", f"/applications/{made['id']}")) == (
        404, "Request_ResourceNotFound",
        f"Resource '{made['id']}' does not exist or one of its queried reference-property objects are not present.",
    )  # fmt: skip


def test_upsert_by_unique_name(api: Api) -> None:
    """PATCH by uniqueName: 404 without Prefer, then 201 with the object, then 204; one application in the end."""
    name = f"exosp-{uuid.uuid4()}"
    path, prefer = f"/applications(uniqueName='{name}')", {"Prefer": "create-if-missing"}
    assert error(api("PATCH", path, {"displayName": "A"}))[0] == 404
    first = api("PATCH", path, {"displayName": "A"}, **prefer)
    assert first.status_code == 201
    assert first.json()["uniqueName"] == name
    second = api("PATCH", path, {"displayName": "B"}, **prefer)
    assert (second.status_code, second.content) == (204, b"")
    shown = api("GET", path).json()
    assert (shown["id"], shown["displayName"]) == (first.json()["id"], "B")
    assert error(api("PATCH", f"/applications(uniqueName='{name}-2')", {"notes": "x"}, **prefer))[2] == (
        "A value is required for property 'displayName' of resource 'Application'."
    )


def test_a_deleted_application_keeps_its_unique_name(api: Api) -> None:
    """Until it is deleted for good nobody else gets its uniqueName; restore brings it back as it stood."""
    name = f"exosp-{uuid.uuid4()}"
    path, prefer = f"/applications(uniqueName='{name}')", {"Prefer": "create-if-missing"}
    made = api("PATCH", path, {"displayName": "A"}, **prefer).json()
    api("DELETE", f"/applications/{made['id']}")
    taken = (400, "Request_BadRequest", "Another object with the same value for property uniqueName already exists.")
    assert error(api("PATCH", path, {"displayName": "A"}, **prefer)) == taken
    assert error(api("POST", "/applications", {"displayName": "A", "uniqueName": name})) == taken
    deleted = api("GET", f"/directory/deletedItems/{made['id']}").json()
    assert deleted["@odata.type"] == "#microsoft.graph.application"
    assert deleted["deletedDateTime"]
    listed = api("GET", "/directory/deletedItems/microsoft.graph.application?$select=id").json()
    assert made["id"] in [row["id"] for row in listed["value"]]
    assert api("POST", f"/directory/deletedItems/{made['id']}/restore").json()["id"] == made["id"]
    assert api("GET", path).json()["deletedDateTime"] is None
    api("DELETE", f"/applications/{made['id']}")
    assert api("DELETE", f"/directory/deletedItems/{made['id']}").status_code == 204
    assert api("PATCH", path, {"displayName": "A"}, **prefer).status_code == 201


def test_deleting_an_application_takes_its_principal_and_assignments(shared: World, api: Api) -> None:
    """The enterprise application and what it holds go with the application."""
    app, principal = pair(api)
    body = {
        "principalId": principal["id"],
        "resourceId": exchange(shared).id,
        "appRoleId": role(shared, "IMAP.AccessAsApp"),
    }
    row = api.made(f"/servicePrincipals/{principal['id']}/appRoleAssignments", body)
    api("DELETE", f"/applications/{app['id']}")
    assert error(api("GET", f"/servicePrincipals/{principal['id']}"))[0] == 404
    assert row["id"] not in shared.tenant.directory.app_role_assignments


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"displayName": "x", "colour": "red"}, "Property 'colour' does not exist as a declared property or extension property."),
        ({"displayName": 7}, "Property displayName in payload has a value that does not match schema."),
        ({"displayName": "x", "tags": "one"}, "Property tags in payload has a value that does not match schema."),
        ({"displayName": "x", "tags": None}, "Property tags in payload has a value that does not match schema."),
        ({"displayName": "x", "web": {"redirectUrls": []}}, "Property 'redirectUrls' does not exist as a declared property or extension property."),
        ({"displayName": "x", "requiredResourceAccess": [{"resourceAppId": "a", "resourceAccess": [{"id": "no-guid", "type": "Role"}]}]}, "Property id in payload has a value that does not match schema."),
        ({"displayName": "x", "isFallbackPublicClient": "false"}, "Property isFallbackPublicClient in payload has a value that does not match schema."),
        ({"displayName": "x", "appId": NOBODY}, "Property 'appId' is read-only and cannot be set."),
        ({"displayName": "x", "signInAudience": "Everyone"}, "Invalid value specified for property 'signInAudience' of resource 'Application'."),
        ({}, "A value is required for property 'displayName' of resource 'Application'."),
    ],
)  # fmt: skip
def test_a_body_is_held_against_the_metadata(api: Api, body: dict[str, Any], text: str) -> None:
    """An unknown property, a wrong type, a read-only property: 400 in Graph's words, and nothing is made."""
    before = len(api.world.tenant.directory.applications)
    assert error(api("POST", "/applications", body)) == (400, "Request_BadRequest", text)
    assert len(api.world.tenant.directory.applications) == before


def test_a_body_that_is_no_json_object_is_refused(api: Api) -> None:
    """No body, a list, broken JSON and another media type each get a 4xx in Graph's shape."""
    assert error(api("POST", "/applications"))[0] == 400
    assert error(api("POST", "/applications", []))[0] == 400
    with api.world.client() as client:
        head = {"Authorization": f"Bearer {api.token}"}
        broken = client.post(
            f"{api.world.graph}/v1.0/applications", content=b"{", headers=head | {"Content-Type": "application/json"}
        )
        text = client.post(
            f"{api.world.graph}/v1.0/applications", content=b"{}", headers=head | {"Content-Type": "text/plain"}
        )
    assert error(broken)[0] == 400
    assert error(text)[0] == 415


def test_required_resource_access_is_replaced_whole(api: Api) -> None:
    """requiredResourceAccess is one value: what a PATCH leaves out is gone. A complex property is merged."""
    one = {"resourceAppId": EXCHANGE_ONLINE, "resourceAccess": [{"id": NOBODY, "type": "Role"}]}
    made = api.made(
        "/applications",
        {"displayName": "x", "requiredResourceAccess": [one], "web": {"homePageUrl": "https://a.example"}},
    )
    path = f"/applications/{made['id']}"
    api("PATCH", path, {"requiredResourceAccess": [], "web": {"redirectUris": ["https://b.example"]}})
    shown = api("GET", path).json()
    assert shown["requiredResourceAccess"] == []
    assert (shown["web"]["homePageUrl"], shown["web"]["redirectUris"]) == ("https://a.example", ["https://b.example"])


# ---- secrets and certificates ----


def test_a_secret_leaves_once(api: Api) -> None:
    """secretText stands in the addPassword reply and nowhere else; the sandbox keeps a digest; removePassword ends it."""
    app, _ = pair(api)
    path = f"/applications/{app['id']}"
    reply = api(
        "POST",
        f"{path}/addPassword",
        {"passwordCredential": {"displayName": "exosp", "endDateTime": "2099-01-01T00:00:00Z"}},
    )
    assert reply.status_code == 200
    made = reply.json()
    assert made["hint"] == made["secretText"][:3]
    assert api.world.sign_in(client_id=app["appId"], client_secret=made["secretText"]).status_code == 200
    shown = api("GET", path).json()["passwordCredentials"]
    assert [(row["keyId"], row["secretText"], row["displayName"]) for row in shown] == [(made["keyId"], None, "exosp")]
    entity = api.world.tenant.directory.applications[app["id"]]
    assert made["secretText"] not in repr(vars(entity))
    assert api("POST", f"{path}/removePassword", {"keyId": made["keyId"]}).status_code == 204
    assert error(api("POST", f"{path}/removePassword", {"keyId": made["keyId"]}))[2] == f"No password credential found with keyId {made['keyId']}."  # fmt: skip
    assert api.world.sign_in(client_id=app["appId"], client_secret=made["secretText"]).json()["error_codes"] == [
        7000215
    ]


def test_secrets_are_made_by_add_password_only(api: Api) -> None:
    """PATCH may drop a secret but not make one; addPassword takes no property it does not know."""
    app = api.made("/applications", {"displayName": "x"})
    path = f"/applications/{app['id']}"
    assert error(api("PATCH", path, {"passwordCredentials": [{"displayName": "mine"}]}))[2] == "New password credentials must be generated with service actions."  # fmt: skip
    api("POST", f"{path}/addPassword", {})
    assert error(api("POST", f"{path}/addPassword", {"displayName": "x"}))[0] == 400
    assert error(api("POST", f"{path}/addPassword", {"passwordCredential": {"name": "x"}}))[0] == 400
    assert (
        error(api("POST", f"{path}/addPassword", {"passwordCredential": {"endDateTime": "2001-01-01T00:00:00Z"}}))[0]
        == 400
    )
    assert api("PATCH", path, {"passwordCredentials": []}).status_code == 204
    assert api("GET", path).json()["passwordCredentials"] == []


def test_a_failed_patch_changes_nothing(api: Api) -> None:
    """A PATCH with one bad property leaves the certificates and every other property as they were."""
    certificate = Certificate()
    app = api.made("/applications", {"displayName": "x", "keyCredentials": [certificate.credential()]})
    path = f"/applications/{app['id']}"
    bad = {"displayName": "y", "keyCredentials": [], "passwordCredentials": [{"displayName": "mine"}]}
    assert error(api("PATCH", path, bad))[0] == 400
    shown = api("GET", path).json()
    assert shown["displayName"] == "x"
    assert len(shown["keyCredentials"]) == len(api.world.tenant.directory.applications[app["id"]].certificates) == 1


def test_a_certificates_key_is_shown_on_request_only(api: Api) -> None:
    """``key`` of keyCredentials is null unless one object is read with $select."""
    certificate = Certificate()
    app = api.made("/applications", {"displayName": "x", "keyCredentials": [certificate.credential()]})
    path = f"/applications/{app['id']}"
    assert api("GET", path).json()["keyCredentials"][0]["key"] is None
    chosen = api("GET", f"{path}?$select=keyCredentials").json()["keyCredentials"][0]
    assert chosen["key"] == certificate.credential()["key"]
    assert (
        error(
            api("PATCH", path, {"keyCredentials": [{"type": "AsymmetricX509Cert", "usage": "Verify", "key": "AAAA"}]})
        )[0]
        == 400
    )
    assert error(api("POST", f"{path}/addKey", {}))[:2] == (501, "NotEmulated")


# ---- enterprise applications and assignments ----


def test_a_principal_needs_an_application_and_is_one(api: Api) -> None:
    """An unknown appId is NoBackingApplicationObject, a second principal a 409, no appId a 400."""
    status, code, text = error(reply := api("POST", "/servicePrincipals", {"appId": NOBODY}))
    assert (status, code) == (400, "Request_BadRequest")
    assert text == f"The appId '{NOBODY}' of the service principal does not reference a valid application object."
    assert reply.json()["error"]["details"][0]["code"] == "NoBackingApplicationObject"
    app, principal = pair(api)
    assert principal["id"] not in (app["id"], app["appId"])
    assert principal["servicePrincipalNames"] == [app["appId"]]
    assert error(api("POST", "/servicePrincipals", {"appId": app["appId"]}))[:2] == (
        409,
        "Request_MultipleObjectsWithSameKeyValue",
    )
    assert error(api("POST", "/servicePrincipals", {"tags": []}))[0] == 400


def test_the_applications_own_object_id_is_no_principal(api: Api) -> None:
    """The classic mistake, the application's own object id, is a 404 among enterprise applications."""
    app, principal = pair(api)
    assert error(api("GET", f"/servicePrincipals/{app['id']}"))[0] == 404
    assert error(api("GET", f"/applications/{principal['id']}"))[0] == 404


def test_assignments_from_both_sides(shared: World, api: Api) -> None:
    """One assignment shows under the principal's appRoleAssignments and the resource's appRoleAssignedTo, and goes by either."""
    _, principal = pair(api, "Both sides")
    resource = exchange(shared)
    body = {"principalId": principal["id"], "resourceId": resource.id, "appRoleId": role(shared, "IMAP.AccessAsApp")}
    made = api.made(f"/servicePrincipals/{resource.id}/appRoleAssignedTo", body)
    assert (made["principalDisplayName"], made["resourceDisplayName"]) == ("Both sides", "Office 365 Exchange Online")
    held = api("GET", f"/servicePrincipals/{principal['id']}/appRoleAssignments").json()["value"]
    assert [row["id"] for row in held] == [made["id"]]
    given = api(
        "GET",
        f"/servicePrincipals(appId='{EXCHANGE_ONLINE}')/appRoleAssignedTo?$filter=principalId eq {principal['id']}",
    )
    assert [row["id"] for row in given.json()["value"]] == [made["id"]]
    assert error(api("POST", f"/servicePrincipals/{principal['id']}/appRoleAssignments", body)) == (
        400, "Request_BadRequest", "Permission being assigned already exists on the object",
    )  # fmt: skip
    assert error(api("DELETE", f"/servicePrincipals/{principal['id']}/appRoleAssignedTo/{made['id']}"))[0] == 404
    assert api("DELETE", f"/servicePrincipals/{principal['id']}/appRoleAssignments/{made['id']}").status_code == 204


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"appRoleId": NOBODY}, f"Permission being assigned was not found on application '{EXCHANGE_ONLINE}'"),
        ({"appRoleId": None}, None),
        ({"principalId": NOBODY}, "Not a valid reference update."),
        ({"principalId": "me"}, "Property principalId in payload has a value that does not match schema."),
        ({"resourceId": NOBODY}, "Invalid value specified for property 'resourceId' of resource 'AppRoleAssignment'."),
        ({"principalType": "User"}, "Property 'principalType' is read-only and cannot be set."),
        ({"principal": "x"}, "Property 'principal' does not exist as a declared property or extension property."),
    ],
)
def test_a_wrong_assignment_is_refused(shared: World, api: Api, change: dict[str, Any], text: str | None) -> None:
    """A role that the resource lacks, an unknown principal, another resource than the path's: each in Graph's words."""
    _, principal = pair(api)
    body = {
        "principalId": principal["id"],
        "resourceId": exchange(shared).id,
        "appRoleId": role(shared, "IMAP.AccessAsApp"),
    }
    reply = api("POST", f"/servicePrincipals/{exchange(shared).id}/appRoleAssignedTo", body | change)
    assert error(reply)[:2] == (400, "Request_BadRequest")
    assert text is None or error(reply)[2] == text


def test_a_delegated_scopes_id_is_no_app_role(shared: World, api: Api) -> None:
    """The id of IMAP.AccessAsUser.All is not found among Exchange's app roles."""
    _, principal = pair(api)
    scope = exchange(shared).properties["oauth2PermissionScopes"][0]["id"]
    body = {"principalId": principal["id"], "resourceId": exchange(shared).id, "appRoleId": scope}
    assert "was not found" in error(api("POST", f"/servicePrincipals/{exchange(shared).id}/appRoleAssignedTo", body))[2]


@pytest.mark.parametrize(("kind", "worldwide"), [("worldwide", True), ("gcc-high", False), ("random", False)])
def test_role_ids_differ_between_clouds(kind: catalog.RoleIds, worldwide: bool) -> None:
    """Only the worldwide tenant has the published id of IMAP.AccessAsApp; two random tenants share none."""
    number = catalog.ROLE_IDS.index(kind)
    with running(f"none,role-ids={number}") as one, running(f"none,role-ids={number}") as two:
        first, second = (role(world, "IMAP.AccessAsApp") for world in (one, two))
        assert (first == "5e5addcd-3e8d-4e90-baf5-964efab2b20a") is worldwide
        assert (first == second) is (kind != "random")
        assert exchange(one).id != exchange(two).id


def test_owners_are_listed_added_and_removed(shared: World, api: Api) -> None:
    """Owners: the creator stands there, another is added by reference once, and removed."""
    app, other = pair(api)
    path = f"/applications/{app['id']}/owners"
    reference = {"@odata.id": f"{shared.graph}/v1.0/directoryObjects/{other['id']}"}
    assert api("POST", f"{path}/$ref", reference).status_code == 204
    assert error(api("POST", f"{path}/$ref", reference))[2] == "One or more added object references already exist for the following modified properties: 'owners'."  # fmt: skip
    listed = api("GET", path).json()["value"]
    assert {row["@odata.type"] for row in listed} == {"#microsoft.graph.servicePrincipal"}
    assert other["id"] in [row["id"] for row in listed]
    assert api("DELETE", f"{path}/{other['id']}/$ref").status_code == 204
    assert len(api("GET", path).json()["value"]) == 1


# ---- lists ----


def test_pages_hold_page_size_and_lose_nothing() -> None:
    """With page-size 3 a list comes in pages of three; $top cannot enlarge them; a page can be read again."""
    with running("none,page-size=3") as world:
        catalog.add_service_principals(world.tenant.directory, 10)
        api = full(world)
        url, seen, pages = "/servicePrincipals?$select=id&$top=100", [], 0
        while url:
            body = api("GET", url).json()
            assert api("GET", url).json()["value"] == body["value"]
            assert len(body["value"]) <= 3
            seen += [row["id"] for row in body["value"]]
            pages += 1
            url = body.get("@odata.nextLink", "")
        assert pages > 3
        assert len(seen) == len(set(seen)) == len(world.tenant.directory.service_principals)
        stale = api("GET", "/servicePrincipals?$skiptoken=nobody-3")
        assert error(stale)[1] == "Directory_ExpiredPageToken"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("appId eq '{app}'", 1), ("APPID eq '{upper}'", 1), ("appId in ('{app}','x')", 1), ("displayName eq 'o''neill mail'", 1),
        ("startswith(displayName,'O''Neill')", 1), ("id eq '{id}'", 1), ("appId eq '{app}' and displayName eq 'nobody'", 0),
        ("appId eq 'x' or (appId eq '{app}')", 1), ("tags/any(t:t eq 'blue')", 1), ("tags/any(t:startswith(t,'bl'))", 1),
        ("createdDateTime ge 2020-01-01T00:00:00Z and appId eq '{app}'", 1), ("createdDateTime le 2020-01-01", 0),
    ],
)  # fmt: skip
def test_filters_that_graph_takes(api: Api, text: str, expected: int) -> None:
    """The forms of $filter that provisioning clients send find what they describe."""
    found = api.world.tenant.directory
    app = next((row for row in found.applications.values() if row.properties["displayName"] == "O'Neill Mail"), None)
    if app is None:
        api.made("/applications", {"displayName": "O'Neill Mail", "tags": ["blue"]})
        app = next(row for row in found.applications.values() if row.properties["displayName"] == "O'Neill Mail")
    text = text.format(app=app.properties["appId"], upper=app.properties["appId"].upper(), id=app.id)
    with api.world.client() as client:
        reply = client.get(
            f"{api.world.graph}/v1.0/applications",
            params={"$filter": text, "$select": "id"},
            headers={"Authorization": f"Bearer {api.token}"},
        )
    assert reply.status_code == 200, reply.text
    assert [row["id"] for row in reply.json()["value"]] == [app.id] * expected


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("$filter=colour eq 'red'", "BadRequest"), ("$select=colour", "BadRequest"), ("$filter=displayName eq", "BadRequest"),
        ("$filter=displayName eq 'a' banana", "BadRequest"), ("$filter=uniqueName eq 'a'", "Request_UnsupportedQuery"),
        ("$filter=passwordCredentials eq 'a'", "Request_UnsupportedQuery"), ("$filter=displayName ne 'a'", "Request_UnsupportedQuery"),
        ("$filter=not(displayName eq 'a')", "Request_UnsupportedQuery"), ("$filter=endswith(displayName,'a')", "Request_UnsupportedQuery"),
        ("$filter=displayName gt 'a'", "Request_UnsupportedQuery"), ("$filter=tags eq 'a'", "Request_UnsupportedQuery"),
        ("$filter=displayName eq 7", "Request_BadRequest"), ("$top=0", "Request_UnsupportedQuery"), ("$top=1000", "Request_UnsupportedQuery"),
        ("$skip=3", "Request_UnsupportedQuery"), ("$search=\"displayName:a\"", "NotEmulated"), ("$expand=tokenIssuancePolicies", "NotEmulated"),
        ("$orderby=appId", "Request_UnsupportedQuery"), ("$count=perhaps", "BadRequest"), ("$select=id&$select=appId", "BadRequest"),
        ("$format=xml", "NotEmulated"),
    ],
)  # fmt: skip
def test_a_query_that_is_not_known_is_refused(api: Api, query: str, code: str) -> None:
    """An unknown property, option or form of $filter is refused by name, never ignored."""
    reply = api("GET", f"/applications?{query}")
    assert (error(reply)[0], error(reply)[1]) == (501 if code == "NotEmulated" else 400, code)


def test_advanced_queries_need_their_header(api: Api) -> None:
    """ne, not and endsWith work with ConsistencyLevel: eventual and $count=true, which also gives the count."""
    api.made("/applications", {"displayName": "Advanced"})
    path = "/applications?$count=true&$select=displayName&$top=1&$filter="
    reply = api("GET", path + "endswith(displayName,'vanced')", ConsistencyLevel="eventual").json()
    assert reply["@odata.count"] == 1
    assert api("GET", path + "displayName ne 'Advanced'", ConsistencyLevel="eventual").json()["@odata.count"] > 1
    assert "@odata.count" not in api("GET", "/applications?$count=true").json()
    count = api("GET", "/applications/$count", ConsistencyLevel="eventual")
    assert int(count.text) == len(api.world.tenant.directory.applications)
    assert error(api("GET", "/applications/$count"))[0] == 400


def test_properties_are_found_whatever_their_case(api: Api) -> None:
    """$select=AppId, as PowerShell users write it, serves appId."""
    row = api("GET", "/applications?$select=AppId&$top=1").json()["value"][0]
    assert list(row) == ["appId"]


# ---- the rest ----


def test_the_organization_and_its_domain(shared: World, api: Api) -> None:
    """organization names the tenant and its verified domain; /me refuses an app; delegated grants are none."""
    row = api("GET", "/organization").json()["value"][0]
    assert row["id"] == shared.tenant.tenant_id
    assert row["verifiedDomains"][0]["name"] == shared.tenant.domain
    assert api("GET", f"/organization/{row['id']}?$select=id").json()["id"] == row["id"]
    assert api("GET", "/domains").json()["value"][0]["id"] == shared.tenant.domain
    assert error(api("GET", "/me")) == (
        400,
        "BadRequest",
        "/me request is only valid with delegated authentication flow.",
    )
    assert api("GET", "/oauth2PermissionGrants").json()["value"] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/users"), ("PUT", "/applications"), ("GET", "/applications/delta"), ("GET", "/directoryObjects/getByIds"), ("GET", "/applications/a/b/c")],
)  # fmt: skip
def test_an_unknown_route_is_named(api: Api, method: str, path: str) -> None:
    """What the sandbox does not emulate is 501 with the route's name, or Graph's own refusal; never a guess."""
    reply = api(method, path)
    if path == "/applications/delta":
        assert error(reply)[0] == 400
        return
    assert error(reply)[:2] == (501, "NotEmulated")
    assert path in error(reply)[2]


def test_beta_is_named(api: Api) -> None:
    """The beta endpoint is 501."""
    assert error(api("GET", f"{api.world.graph}/beta/applications"))[:2] == (501, "NotEmulated")


def test_every_answer_says_emulated_and_carries_its_ids(api: Api) -> None:
    """x-ms-emulated, request-id, the client's own request id and a Date stand on every answer."""
    reply = api("GET", "/applications", **{"client-request-id": NOBODY})
    assert reply.headers["x-ms-emulated"] == "true"
    assert reply.headers["client-request-id"] == NOBODY
    assert uuid.UUID(reply.headers["request-id"])


def test_requests_are_counted_by_their_template(fresh: World) -> None:
    """Counts name the method and the documentation's template; items of a batch are marked."""
    api = full(fresh)
    app = api.made("/applications", {"displayName": "x"})
    api("POST", f"/applications/{app['id']}/addPassword", {})
    api("GET", f"/applications(appId='{app['appId']}')")
    api("POST", "/$batch", {"requests": [{"id": "1", "method": "GET", "url": "/organization"}]})
    api("GET", "/nowhere")
    assert fresh.tenant.requests["graph"] == {
        "POST /applications": 1, "POST /applications/{id}/addPassword": 1, "GET /applications(appId='{appId}')": 1,
        "POST /$batch": 1, "batch GET /organization": 1, "GET (not emulated)": 1,
    }  # fmt: skip


# ---- batches ----


def batch(api: Api, *requests: dict[str, Any]) -> dict[str, dict[str, Any]]:
    reply = api("POST", "/$batch", {"requests": list(requests)})
    assert reply.status_code == 200, reply.text
    return {row["id"]: row for row in reply.json()["responses"]}


def test_a_batch_serves_each_item_as_a_request(api: Api) -> None:
    """Relative and absolute urls, bodies, dependencies and failures; each answer has its id, status and body."""
    answers = batch(
        api,
        {"id": "a", "method": "POST", "url": "/applications", "headers": {"Content-Type": "application/json"}, "body": {"displayName": "Batch"}},
        {"id": "b", "method": "GET", "url": f"{api.world.graph}/v1.0/applications?$filter=displayName eq 'Batch'&$select=id", "dependsOn": ["a"]},
        {"id": "c", "method": "GET", "url": f"applications/{NOBODY}"},
        {"id": "d", "method": "GET", "url": "/organization", "dependsOn": ["c"]},
    )  # fmt: skip
    assert {name: row["status"] for name, row in answers.items()} == {"a": 201, "b": 200, "c": 404, "d": 424}
    assert answers["b"]["body"]["value"] == [{"id": answers["a"]["body"]["id"]}]
    assert answers["c"]["body"]["error"]["code"] == "Request_ResourceNotFound"


def test_batch_answers_come_in_any_order(fresh: World) -> None:
    """Twenty answers do not come in the order of their requests."""
    api = full(fresh)
    reply = api(
        "POST",
        "/$batch",
        {"requests": [{"id": str(n), "method": "GET", "url": "/applications?$top=1"} for n in range(20)]},
    )
    order = [row["id"] for row in reply.json()["responses"]]
    assert sorted(order, key=int) == [str(n) for n in range(20)]
    assert order != sorted(order, key=int)


@pytest.mark.parametrize(
    "requests",
    [
        [{"id": str(n), "method": "GET", "url": "/me"} for n in range(21)],
        [{"id": "1", "method": "GET", "url": "/me"}, {"id": "1", "method": "GET", "url": "/me"}],
        [{"id": 1, "method": "GET", "url": "/me"}],
        [{"id": "1", "method": "GET", "url": "/me", "dependsOn": ["2"]}],
        [{"id": "1", "method": "POST", "url": "/applications", "body": {"displayName": "x"}}],
        [{"id": "1", "method": "GET", "url": "https://elsewhere.example/v1.0/me"}],
        [{"method": "GET", "url": "/me"}],
        [],
    ],
)
def test_a_wrong_batch_is_refused_whole(api: Api, requests: list[dict[str, Any]]) -> None:
    """More than twenty, ids that repeat or are no strings, a dependency that is not there, a body without Content-Type."""
    assert error(api("POST", "/$batch", {"requests": requests}))[0] == 400


# ---- faults ----


def test_read_lag_hides_a_new_object_from_reads_by_id() -> None:
    """Under read-lag GET, PATCH and addPassword by id are 404 at first; the list is not concerned."""
    with running("none,read-lag=600") as world:
        api = full(world)
        app = api.made("/applications", {"displayName": "Late"})
        path = f"/applications/{app['id']}"
        for method, tail, body in (("GET", "", None), ("PATCH", "", {"notes": "x"}), ("POST", "/addPassword", {})):
            assert error(api(method, path + tail, body))[:2] == (404, "Request_ResourceNotFound")
        assert api("GET", f"/applications(appId='{app['appId']}')").status_code == 200
        assert world.tenant.faults.fired["read-lag"] == 3
        world.tenant.clock.advance(601)
        assert api("GET", path).status_code == 200


def test_list_lag_hides_a_new_object_from_lists_and_keys() -> None:
    """Under list-lag a filter finds nothing and appId is 404, while the id works; upsert still makes no second one."""
    with running("none,list-lag=600") as world:
        api = full(world)
        prefer = {"Prefer": "create-if-missing"}
        app = api("PATCH", "/applications(uniqueName='late')", {"displayName": "Late"}, **prefer).json()
        assert api("GET", f"/applications?$filter=appId eq '{app['appId']}'").json()["value"] == []
        assert error(api("GET", f"/applications(appId='{app['appId']}')"))[0] == 404
        assert error(api("GET", "/applications(uniqueName='late')"))[0] == 404
        assert api("GET", f"/applications/{app['id']}").status_code == 200
        assert api("PATCH", "/applications(uniqueName='late')", {"displayName": "Late"}, **prefer).status_code == 204
        world.tenant.clock.advance(601)
        assert len(api("GET", f"/applications?$filter=appId eq '{app['appId']}'").json()["value"]) == 1


def test_backing_application_lag_refuses_the_principal() -> None:
    """Under backing-application-lag a new application has no principal yet; OwnedBy gets the 403 variant."""
    with running("none,backing-application-lag=600") as world:
        api, owner = full(world), caller(world, "Application.ReadWrite.OwnedBy")
        app, mine = (who.made("/applications", {"displayName": "Late"}) for who in (api, owner))
        assert api("POST", "/servicePrincipals", {"appId": app["appId"]}).json()["error"]["details"][0]["code"] == "NoBackingApplicationObject"  # fmt: skip
        assert error(owner("POST", "/servicePrincipals", {"appId": mine["appId"]})) == (
            403, "Authorization_RequestDenied",
            "When using this permission, the backing application of the service principal being created must in the local tenant",
        )  # fmt: skip
        world.tenant.clock.advance(601)
        assert owner("POST", "/servicePrincipals", {"appId": mine["appId"]}).status_code == 201


def test_assignment_lag_refuses_a_new_principal() -> None:
    """Under assignment-lag a new enterprise application is no valid reference, from either side."""
    with running("none,assignment-lag=600") as world:
        api = full(world)
        _, principal = pair(api)
        body = {
            "principalId": principal["id"],
            "resourceId": exchange(world).id,
            "appRoleId": role(world, "IMAP.AccessAsApp"),
        }
        for path in (
            f"/servicePrincipals/{exchange(world).id}/appRoleAssignedTo",
            f"/servicePrincipals/{principal['id']}/appRoleAssignments",
        ):
            assert error(api("POST", path, body)) == (400, "Request_BadRequest", "Not a valid reference update.")
        world.tenant.clock.advance(601)
        assert api("POST", path, body).status_code == 201


def test_throttling_names_its_wait() -> None:
    """graph-throttle answers so many requests 429 with Retry-After, changes nothing, and then stops; in a batch, one item."""
    with running("none,graph-throttle=2,retry-after=7") as world:
        api = full(world)
        replies = [api("POST", "/applications", {"displayName": str(n)}) for n in range(14)]
        struck = [reply for reply in replies if reply.status_code == 429]
        assert [reply.headers["Retry-After"] for reply in struck] == ["7", "7"]
        assert error(struck[0])[1] == "TooManyRequests"
        made = [row for row in world.tenant.directory.applications.values() if row.properties["createdByAppId"]]
        assert len(made) == 12
        world.tenant.faults.set("graph-throttle", 1)
        answers = batch(api, *({"id": str(n), "method": "GET", "url": "/applications"} for n in range(10)))
        assert sorted(row["status"] for row in answers.values()) == [200] * 9 + [429]
        assert next(row for row in answers.values() if row["status"] == 429)["headers"]["Retry-After"] == "7"


def test_a_lost_reply_hides_a_write_that_happened() -> None:
    """graph-lost-reply answers 504 after the write took place, and never to a read."""
    with running("none,graph-lost-reply=1") as world:
        api = full(world)
        assert {api("GET", "/applications").status_code for _ in range(10)} == {200}
        statuses = [api("POST", "/applications", {"displayName": f"n{number}"}).status_code for number in range(8)]
        assert sorted(statuses) == [201] * 7 + [504]
        made = [row for row in world.tenant.directory.applications.values() if row.properties["createdByAppId"]]
        assert len(made) == 8
        assert world.tenant.faults.fired["graph-lost-reply"] == 1


# ---- what is served is what the vendor's metadata knows ----


def test_the_sandboxs_table_is_the_vendors() -> None:
    """Every type the sandbox holds bodies against has the vendor's properties, types and nullability."""
    for name, kind in schema()["types"].items():
        assert odata.types()[name]["properties"] == kind["properties"], name
        assert odata.types()[name]["base"] == kind["base"], name


def test_replies_carry_only_known_properties(shared: World, api: Api) -> None:
    """Every property in every kind of reply, nested ones too, stands in the vendor's metadata with its type."""
    app, principal = pair(api)
    api("POST", f"/applications/{app['id']}/addPassword", {})
    api("PATCH", f"/applications/{app['id']}", {"keyCredentials": [Certificate().credential()]})
    body = {
        "principalId": principal["id"],
        "resourceId": exchange(shared).id,
        "appRoleId": role(shared, "IMAP.AccessAsApp"),
    }
    api.made(f"/servicePrincipals/{principal['id']}/appRoleAssignments", body)
    types = schema()["types"]

    def known(name: str) -> dict[str, Any]:
        kind = types[name]
        return {**(known(kind["base"]) if kind["base"] else {}), **kind["properties"]}

    def check(name: str, value: dict[str, Any]) -> None:
        for key, item in value.items():
            if key.startswith("@odata."):
                continue
            assert key in known(name), f"{name}.{key}"
            kind = known(name)[key]["type"]
            for one in item if kind.startswith("Collection(") else [item]:
                inner = kind.removeprefix("Collection(").removesuffix(")").removeprefix("graph.")
                if isinstance(one, dict):
                    assert inner in types, f"{name}.{key}"
                    check(inner, one)

    for name, path in (
        ("application", f"/applications/{app['id']}"), ("servicePrincipal", f"/servicePrincipals/{principal['id']}"),
        ("servicePrincipal", f"/servicePrincipals(appId='{EXCHANGE_ONLINE}')"),
    ):  # fmt: skip
        document = api("GET", path).json()
        check(name, document)
        assert set(document) - {"@odata.context"} == set(known(name)) - ABSENT.get(name, set()), name
    for name, path in (
        ("appRoleAssignment", f"/servicePrincipals/{principal['id']}/appRoleAssignments"), ("organization", "/organization"),
        ("application", "/applications"), ("servicePrincipal", "/servicePrincipals"),
    ):  # fmt: skip
        for row in api("GET", path).json()["value"]:
            check(name, row)


# Known to the metadata and not in a plain read: streams, what comes with $select only, what needs a licence.
ABSENT = {
    "application": {
        "logo",
        "authenticationBehaviors",
        "isDisabled",
        "managerApplications",
        "oauth2RequirePostResponse",
    },
    "servicePrincipal": {"customSecurityAttributes", "isDisabled"},
}


def test_every_filter_is_on_a_property_that_exists() -> None:
    """The table of filterable properties names only properties of the vendor's metadata."""
    for name, rows in FILTERS.items():
        assert set(rows) <= set(odata.properties(name))


def test_routes_are_unique() -> None:
    """No two routes share method and template, but for the upsert that stands before the plain update."""
    names = [(route.method, route.template) for route in ROUTES]
    assert {name for name in names if names.count(name) > 1} == {("PATCH", "/applications(uniqueName='{uniqueName}')")}


# ---- a foreign client ----


# The SDK warns about its own generated classes.
@pytest.mark.slow  # its typed models take a second to load; the client drives the same chain by its request builders
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_msgraph_sdk_drives_the_chain(fresh: World) -> None:
    """msgraph-sdk, typed and unaltered: application, principal, role look-up, assignment, secret, batch, error."""
    from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
    from msgraph import GraphRequestAdapter, GraphServiceClient
    from msgraph.generated.applications.item.add_password.add_password_post_request_body import (
        AddPasswordPostRequestBody,
    )
    from msgraph.generated.models.app_role_assignment import AppRoleAssignment
    from msgraph.generated.models.application import Application
    from msgraph.generated.models.o_data_errors.o_data_error import ODataError
    from msgraph.generated.models.password_credential import PasswordCredential
    from msgraph.generated.models.service_principal import ServicePrincipal
    from msgraph_core import GraphClientFactory

    async def run() -> None:
        credential = ClientSecretCredential(
            fresh.tenant.tenant_id,
            fresh.admin.app_id,
            fresh.admin.secret,
            authority=fresh.login,
            connection_verify=fresh.ca,
        )
        http = httpx.AsyncClient(verify=ssl.create_default_context(cafile=fresh.ca), trust_env=False)
        GraphClientFactory.create_with_default_middleware(client=http)
        provider = AzureIdentityAuthenticationProvider(
            credential, scopes=["https://graph.microsoft.com/.default"], allowed_hosts=["localhost"]
        )
        adapter = GraphRequestAdapter(provider, client=http)
        adapter.base_url = f"{fresh.graph}/v1.0"
        graph = GraphServiceClient(request_adapter=adapter)
        async with credential, http:
            app = await graph.applications.post(Application(display_name="By SDK", tags=["a"]))
            principal = await graph.service_principals.post(ServicePrincipal(app_id=app.app_id, tags=["HideApp"]))
            resource = await graph.service_principals_with_app_id(EXCHANGE_ONLINE).get()
            wanted = next(row for row in resource.app_roles if row.value == "IMAP.AccessAsApp")
            made = await graph.service_principals.by_service_principal_id(resource.id).app_role_assigned_to.post(
                AppRoleAssignment(
                    principal_id=uuid.UUID(principal.id), resource_id=uuid.UUID(resource.id), app_role_id=wanted.id
                )
            )
            assert str(made.principal_id) == principal.id
            secret = await graph.applications.by_application_id(app.id).add_password.post(
                AddPasswordPostRequestBody(password_credential=PasswordCredential(display_name="sdk"))
            )
            assert fresh.claims(client_id=app.app_id, client_secret=secret.secret_text, scope=f"{EXCHANGE}/.default")["roles"] == ["IMAP.AccessAsApp"]  # fmt: skip
            by_app_id = await graph.applications_with_app_id(app.app_id).get()
            assert by_app_id.id == app.id
            with pytest.raises(ODataError) as refused:
                await graph.applications.by_application_id(NOBODY).get()
            assert refused.value.error.code == "Request_ResourceNotFound"
            assert refused.value.error.inner_error.request_id

    asyncio.run(run())


def test_thousands_of_principals_cost_little(fresh: World) -> None:
    """5,000 enterprise applications are made, each once; a filter among them reads one page."""
    catalog.add_service_principals(fresh.tenant.directory, 5000, seed=3)
    api = full(fresh)
    rows = fresh.tenant.directory.service_principals
    assert len({row.properties["appId"] for row in rows.values()}) == len(rows) > 5000
    wanted = list(rows.values())[4000].properties["appId"]
    assert len(json.loads(api("GET", f"/servicePrincipals?$filter=appId eq '{wanted}'").text)["value"]) == 1


def test_the_enterprise_application_follows_its_application(fresh: World) -> None:
    """A change of the application shows on its enterprise application; what was not changed stays as it is there."""
    api = full(fresh)
    application = api("POST", "/applications", {"displayName": "before"}).json()
    principal = api("POST", "/servicePrincipals", {"appId": application["appId"]}).json()
    api("PATCH", f"/servicePrincipals/{principal['id']}", {"notes": "kept", "replyUrls": ["https://own.example"]})
    change = {"displayName": "after", "identifierUris": [f"api://{application['appId']}"]}
    assert api("PATCH", f"/applications/{application['id']}", change).status_code == 204
    found = api("GET", f"/servicePrincipals/{principal['id']}").json()
    assert (found["displayName"], found["appDisplayName"], found["notes"]) == ("after", "after", "kept")
    assert found["servicePrincipalNames"] == [application["appId"], f"api://{application['appId']}"]
    assert found["replyUrls"] == ["https://own.example"]


def test_a_certificate_as_azure_cli_sends_it(fresh: World) -> None:
    """Base64 with a PEM file's line breaks is taken, and base64url; what is neither is refused."""
    api = full(fresh)
    identifier = api("POST", "/applications", {"displayName": "k"}).json()["id"]
    der = base64.b64encode(Certificate().der).decode()
    broken = "\n".join(der[at : at + 64] for at in range(0, len(der), 64))
    for text in (broken, der.translate(str.maketrans("+/", "-_"))):
        row = {"type": "AsymmetricX509Cert", "usage": "Verify", "key": text}
        assert api("PATCH", f"/applications/{identifier}", {"keyCredentials": [row]}).status_code == 204
    refused = api("PATCH", f"/applications/{identifier}", {"keyCredentials": [{"type": "AsymmetricX509Cert", "usage": "Verify", "key": "!"}]})  # fmt: skip
    assert refused.status_code == 400


def test_control_information_in_a_body_is_passed_over(fresh: World) -> None:
    """A client may send @odata.context back; a property that does not exist is refused all the same."""
    api = full(fresh)
    identifier = api("POST", "/applications", {"displayName": "c"}).json()["id"]
    context = {"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#applications/$entity"}
    assert api("PATCH", f"/applications/{identifier}", context | {"notes": "x"}).status_code == 204
    assert api("PATCH", f"/applications/{identifier}", {"odata.context": "x"}).status_code == 400


def test_representations(api: Api) -> None:
    """Control information is left out where asked; a representation that is not emulated is refused by name, not ignored."""
    bare = api("GET", "/applications?$top=1", Accept="application/json;odata.metadata=none")
    assert "@odata.context" not in bare.json()
    assert "odata.metadata=none" in bare.headers["content-type"]
    assert "@odata.context" in api("GET", "/applications?$top=1", Accept="application/json; charset=utf-8, */*").json()
    for kind in ("application/json;odata.metadata=full", "application/xml"):
        reply = api("GET", "/applications", Accept=kind)
        assert reply.status_code == 501
        assert kind in reply.json()["error"]["message"]


def test_every_answer_can_be_traced_and_large_ones_are_compressed(api: Api) -> None:
    """x-ms-ags-diagnostic stands beside request-id; gzip is used where the client takes it."""
    reply = api("GET", "/servicePrincipals", **{"Accept-Encoding": "gzip"})
    assert json.loads(reply.headers["x-ms-ags-diagnostic"])["ServerInfo"]["DataCenter"] == "emulated"
    assert reply.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in api("GET", "/servicePrincipals", **{"Accept-Encoding": "identity"}).headers


def test_domains_are_those_of_the_mailboxes(fresh: World) -> None:
    """The initial domain and each domain of a mailbox, one of them initial."""
    fresh.tenant.exchange.add_mailbox("support@contoso.com")
    api = caller(fresh, "Directory.Read.All")
    rows = {row["id"]: row["isInitial"] for row in api("GET", "/domains").json()["value"]}
    assert rows == {"contoso.onmicrosoft.com": True, "contoso.com": False}
    names = [row["name"] for row in api("GET", "/organization").json()["value"][0]["verifiedDomains"]]
    assert names == list(rows)
    assert api("GET", "/domains/contoso.com").status_code == 200
    assert api("GET", "/domains/fabrikam.com").status_code == 404


def test_what_is_under_me_needs_a_person(api: Api) -> None:
    """/me and what lies under it refuse an app-only token in Graph's words."""
    for path in ("/me", "/me/ownedObjects"):
        assert "delegated authentication flow" in error(api("GET", path))[2]
