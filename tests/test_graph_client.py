"""The Graph client against a hand-written server that plays the replies of Microsoft's pages, word for word."""

import base64
import http.client
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

from exosp import signin
from exosp.clouds import CLOUDS, Cloud
from exosp.errors import CloudError, Conflict, Forbidden, Missing, NotYetVisible, Throttled, Unreachable, UsageError
from exosp.graph import Graph
from exosp.snapshot import (
    EXCHANGE_ONLINE,
    AppId,
    Application,
    ApplicationObjectId,
    EnterpriseApplication,
    KeyId,
    PrincipalObjectId,
    RequiredResource,
    Resource,
    RoleAssignment,
    RoleId,
    Secret,
    Snapshot,
)
from exosp.tenant import Directory, NewSecret
from exosp.transport import no_answer
from exosp.writes import (
    APP_ID,
    APPLICATION,
    PRINCIPAL,
    RESOURCE,
    AddSecret,
    AssignRole,
    CreatePrincipal,
    DeleteApplication,
    GraphWrite,
    RemoveAssignment,
    RemoveSecret,
    RestoreApplication,
    TagPrincipal,
    UpsertApplication,
)
from loopback import CLIENT, SECRET, TENANT, Authority, Reply, Server

ENVIRONMENT = {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": CLIENT, "AZURE_CLIENT_SECRET": SECRET}
PORTAL_TAG = "WindowsAzureActiveDirectoryIntegratedApp"

# Bodies and ids as on the pages application-upsert, application-addpassword, serviceprincipal-post-serviceprincipals,
# serviceprincipal-post-approleassignedto and serviceprincipal-list-approleassignments (v1.0), shortened.
APP = {
    "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#applications/$entity",
    "id": "03ef14b0-ca33-4840-8f4f-d6e91916010e",
    "deletedDateTime": None,
    "appId": "631a96bc-a705-4eda-9f99-fdaf9f54f6a2",
    "createdDateTime": "2019-09-17T19:10:35.2742618Z",
    "displayName": "Display name",
    "signInAudience": "AzureADMyOrg",
    "tags": [],
    "passwordCredentials": [],
    "requiredResourceAccess": [],
    "uniqueName": "app-65278",
}
PASSWORD = {
    "customKeyIdentifier": None,
    "endDateTime": "2021-09-09T19:50:29.3086381Z",
    "keyId": "f0b0b335-1d71-4883-8f98-567911bfdca6",
    "startDateTime": "2019-09-09T19:50:29.3086381Z",
    "secretText": "[6gyXA5S20@MN+WRXAJ]I-TO7g1:h2P8",
    "hint": "[6g",
    "displayName": "Password friendly name",
}
SERVICE = {
    "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#servicePrincipals/$entity",
    "id": "59e617e5-e447-4adc-8b88-00af644d7c92",
    "accountEnabled": True,
    "appId": "65415bb1-9267-4313-bbf5-ae259732ee12",
    "displayName": "foo",
    "tags": [PORTAL_TAG],
}
GRANT = {
    "id": "-WmtM5na7Uus0D8kI1yylpU9Mdo0Pb9OoBJvd3T5eKc",
    "deletedDateTime": None,
    "appRoleId": "ef7437e6-4f94-4a0a-a110-a439eb2aa8f7",
    "createdDateTime": "2021-02-15T16:14:59.8643039Z",
    "principalDisplayName": "Fabrikam App",
    "principalId": "33ad69f9-da99-4bed-acd0-3f24235cb296",
    "principalType": "ServicePrincipal",
    "resourceDisplayName": "Office 365 Exchange Online",
    "resourceId": "9028d19c-26a9-4809-8e3f-20ff73e2d75e",
}
SEEN = Snapshot(
    application=Application(
        ApplicationObjectId(APP["id"]), AppId(APP["appId"]), "Display name", "app-65278", "AzureADMyOrg"
    ),
    principal=EnterpriseApplication(PrincipalObjectId(GRANT["principalId"]), AppId(APP["appId"]), "foo"),
    resource=Resource(PrincipalObjectId(GRANT["resourceId"]), {}),
)
REQUIRED = RequiredResource(EXCHANGE_ONLINE, (("5e5addcd-3e8d-4e90-baf5-964efab2b20a", "Role"),))
UPSERT = UpsertApplication("app-65278", "Display name", "AzureADMyOrg", (REQUIRED,))
CREATE = CreatePrincipal(APP_ID, (PORTAL_TAG,))
TAG = TagPrincipal(PRINCIPAL, (PORTAL_TAG, "mine"))
ASSIGN = AssignRole(PRINCIPAL, RESOURCE, RoleId(GRANT["appRoleId"]), "IMAP.AccessAsApp")
ADD = AddSecret(APPLICATION, "exosp", 180 * 86400, "app.env")
REMOVE = RemoveSecret(APPLICATION, KeyId(PASSWORD["keyId"]))
WRITES: dict[str, GraphWrite] = {
    "upsert": UPSERT, "create": CREATE, "tag": TAG, "assign": ASSIGN, "add": ADD, "remove": REMOVE,
}  # fmt: skip
READS: dict[str, Callable[[Graph], Any]] = {
    "application": lambda graph: graph.application("app-65278"),
    "by id": lambda graph: graph.application_by_object_id(ApplicationObjectId(APP["id"])),
    "principal": lambda graph: graph.principal(AppId(APP["appId"])),
    "resource": lambda graph: graph.resource(EXCHANGE_ONLINE),
    "assignments": lambda graph: graph.assignments(PrincipalObjectId(GRANT["principalId"])),
}


def refusal(status: int, code: str, message: str, details: str = "", **headers: str) -> Reply:
    """Graph's error reply as its error page shows it."""
    error: dict[str, Any] = {
        "code": code,
        "message": message,
        "innerError": {
            "date": "2035-01-02T03:04:05",
            "request-id": "4b4b4b4b-0000-0000-0000-000000000000",
            "client-request-id": "5c5c5c5c-0000-0000-0000-000000000000",
        },
    }
    if details:
        error["details"] = [{"code": details, "message": message}]
    return Reply(status, {"error": error}, {name.replace("_", "-"): value for name, value in headers.items()})


NOT_FOUND = refusal(
    404,
    "Request_ResourceNotFound",
    "Resource '03ef14b0-ca33-4840-8f4f-d6e91916010e' does not exist or one of its queried reference-property objects "
    "are not present.",
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "right")


@pytest.fixture
def server(authority: Authority) -> Iterator[Server]:
    server = Server(authority.issue())
    yield server
    server.close()


@pytest.fixture
def cloud(server: Server, authority: Authority) -> Cloud:
    return replace(
        CLOUDS["global"], name="loopback", login=server.address, graph=server.address, ca=authority.path
    )  # fmt: skip


@pytest.fixture
def graph(cloud: Cloud) -> Iterator[Graph]:
    with Graph(cloud, signin.admin(cloud, ENVIRONMENT), read_timeout=5) as graph:
        yield graph


# Reads


def test_it_is_a_directory(graph: Graph):
    """The type checker sees that Graph answers the port; here it is only held to it."""
    directory: Directory = graph
    assert directory.requests == 0


def test_an_application_by_its_unique_name(graph: Graph, server: Server):
    """One GET by the alternate key, asking for what the record holds; a secret shows its hint only."""
    access = [{"resourceAppId": EXCHANGE_ONLINE, "resourceAccess": [{"id": "5e5a", "type": "Role"}]}]
    secret = {**PASSWORD, "secretText": None, "displayName": None}
    server.replies = [Reply(body={**APP, "requiredResourceAccess": access, "passwordCredentials": [secret]})]
    found = graph.application("app-65278")
    assert found == Application(
        ApplicationObjectId("03ef14b0-ca33-4840-8f4f-d6e91916010e"),
        AppId("631a96bc-a705-4eda-9f99-fdaf9f54f6a2"),
        "Display name",
        "app-65278",
        "AzureADMyOrg",
        (RequiredResource(EXCHANGE_ONLINE, (("5e5a", "Role"),)),),
        (
            Secret(
                KeyId("f0b0b335-1d71-4883-8f98-567911bfdca6"),
                "",
                "[6g",
                datetime(2019, 9, 9, 19, 50, 29, 308638, UTC),
                datetime(2021, 9, 9, 19, 50, 29, 308638, UTC),
            ),
        ),
    )
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("GET", "/v1.0/applications(uniqueName='app-65278')")
    assert seen.query == (
        "$select=id,appId,displayName,uniqueName,signInAudience,requiredResourceAccess,passwordCredentials,"
        "createdDateTime,publicClient,isFallbackPublicClient,web"
    )
    assert seen.headers["authorization"].startswith("Bearer ")
    assert len(seen.headers["client-request-id"]) == 36
    assert graph.requests == 1


def test_a_resources_roles_are_those_that_an_application_can_be_given(graph: Graph, server: Server):
    """By value; disabled ones and those for users are left out. Ids differ between clouds, so none is known here. Delegated
    permissions likewise."""
    role = {"allowedMemberTypes": ["Application"], "isEnabled": True, "origin": "Application"}
    server.replies = [
        Reply(
            body={
                "id": GRANT["resourceId"],
                "appId": EXCHANGE_ONLINE,
                "appRoles": [
                    {**role, "id": "r1", "value": "IMAP.AccessAsApp"},
                    {**role, "id": "r2", "value": "POP.AccessAsApp", "isEnabled": False},
                    {**role, "id": "r3", "value": "SMTP.SendAsApp", "allowedMemberTypes": ["User"]},
                    {**role, "id": "r4", "value": "Both", "allowedMemberTypes": ["User", "Application"]},
                    {**role, "id": "r5", "value": None},
                ],
                "oauth2PermissionScopes": [
                    {"id": "s1", "value": "IMAP.AccessAsUser.All", "isEnabled": True},
                    {"id": "s2", "value": "POP.AccessAsUser.All", "isEnabled": False},
                ],
            }
        )
    ]
    found = graph.resource(EXCHANGE_ONLINE)
    assert found is not None
    assert dict(found.roles) == {"IMAP.AccessAsApp": "r1", "Both": "r4"}
    assert dict(found.scopes) == {"IMAP.AccessAsUser.All": "s1"}
    assert found.object_id == GRANT["resourceId"]
    assert server.seen[0].path == f"/v1.0/servicePrincipals(appId='{EXCHANGE_ONLINE}')"
    assert server.seen[0].query == "$select=id,appId,appRoles,oauth2PermissionScopes"


def test_the_other_reads(graph: Graph, server: Server):
    """By the application's own object ID, and an enterprise application by its appId."""
    server.replies = [Reply(body=APP), Reply(body={**SERVICE, "accountEnabled": False})]
    by_id = graph.application_by_object_id(ApplicationObjectId(APP["id"]))
    assert by_id is not None
    assert by_id.app_id == APP["appId"]
    principal = graph.principal(AppId(SERVICE["appId"]))
    assert principal == EnterpriseApplication(
        PrincipalObjectId(SERVICE["id"]), AppId(SERVICE["appId"]), "foo", (PORTAL_TAG,), enabled=False
    )
    assert [seen.path for seen in server.seen] == [
        f"/v1.0/applications/{APP['id']}",
        f"/v1.0/servicePrincipals(appId='{SERVICE['appId']}')",
    ]


@pytest.mark.parametrize("name", ["application", "by id", "principal", "resource"])
def test_what_is_not_there_is_none(graph: Graph, server: Server, name: str):
    """Graph's own 404 is an answer; a 404 that is not Graph's is none."""
    server.replies = [NOT_FOUND, Reply(404, "<html>Not Found</html>", {"Content-Type": "text/html"})]
    assert READS[name](graph) is None
    with pytest.raises(Unreachable, match="not Microsoft Graph's way"):
        READS[name](graph)


def test_assignments_come_in_pages(graph: Graph, server: Server):
    """Every page is read by its link as it was given; one request a page."""
    link = f"{server.address}/v1.0/servicePrincipals/x/appRoleAssignments?$skiptoken=RFNwdAIAAQ%3d%3d"
    server.replies = [
        Reply(body={"value": [GRANT, {**GRANT, "id": "b"}], "@odata.nextLink": link}),
        Reply(body={"value": [{**GRANT, "id": "c"}]}),
    ]
    found = graph.assignments(PrincipalObjectId(GRANT["principalId"]))
    assert [row.id for row in found] == [GRANT["id"], "b", "c"]
    assert found[0] == RoleAssignment(
        GRANT["id"], PrincipalObjectId(GRANT["principalId"]), PrincipalObjectId(GRANT["resourceId"]),
        RoleId(GRANT["appRoleId"]),
    )  # fmt: skip
    assert server.seen[0].path == f"/v1.0/servicePrincipals/{GRANT['principalId']}/appRoleAssignments"
    assert server.seen[1].raw.endswith("?$skiptoken=RFNwdAIAAQ%3d%3d")
    assert graph.requests == 2


def test_the_token_goes_to_no_other_host(graph: Graph, server: Server, authority: Authority):
    """A link to another port, host, scheme or path is not followed, whatever page it stands on."""
    other = Server(authority.issue())
    try:
        for link in (
            f"{other.address}/v1.0/servicePrincipals?x",
            f"https://evil.example:{server.port}/v1.0/x",
            f"http://localhost:{server.port}/v1.0/x",
            f"https://me@localhost:{server.port}/v1.0/x",
            7,
        ):
            server.replies = [Reply(body={"value": [], "@odata.nextLink": link})]
            with pytest.raises(Unreachable, match="not followed") as caught:
                READS["assignments"](graph)
            assert not caught.value.transient
        assert other.seen == []
    finally:
        other.close()


def test_pages_that_go_round_in_a_circle_end(graph: Graph, server: Server):
    """A link that was followed already is an error, not an endless loop."""
    link = f"{server.address}/v1.0/x?$skiptoken=1"
    server.replies = [Reply(body={"value": [], "@odata.nextLink": link}) for _ in range(5)]
    with pytest.raises(Unreachable, match="not followed"):
        READS["assignments"](graph)
    assert graph.requests == 2


def test_assignments_of_a_principal_that_does_not_show_are_not_none(graph: Graph, server: Server):
    """Its id came from a read, so a 404 is lag and no statement about its assignments."""
    server.replies = [NOT_FOUND]
    with pytest.raises(NotYetVisible):
        READS["assignments"](graph)


@pytest.mark.parametrize(
    "name", ["o'brien", "x') or true or ('", "a/b?c#d&e=f", "100%27", "Zoë 東 京", "a b+c", "{baseurl}", "..", "'"]
)
def test_hostile_names_stay_names(graph: Graph, server: Server, name: str):
    """Whatever stands in a name, the server reads that name between the quotes, with its own quotes doubled."""
    server.replies = [NOT_FOUND, Reply(204), refusal(405, "Request_BadRequest", "Not here."), Reply(body={"value": []})]
    assert graph.application(name) is None
    graph.send(replace(UPSERT, unique_name=name), SEEN)
    doubled = name.replace("'", "''")
    for seen in server.seen:
        assert seen.path == f"/v1.0/applications(uniqueName='{doubled}')"
        assert seen.raw.count("?") == (1 if seen.method == "GET" else 0)
    assert graph.application(name) is None
    assert server.seen[-1].path == "/v1.0/applications"
    assert server.seen[-1].parameters["$filter"] == f"uniqueName eq '{doubled}'"


# Writes


def test_upsert_makes_an_application(graph: Graph, server: Server):
    """One PATCH with Prefer: create-if-missing; its 201 shows the application."""
    server.replies = [Reply(201, APP)]
    made = graph.send(UPSERT, Snapshot())
    assert isinstance(made, Application)
    assert made.object_id == APP["id"]
    (seen,) = server.seen
    assert (seen.method, seen.raw) == ("PATCH", "/v1.0/applications(uniqueName='app-65278')")
    assert seen.headers["prefer"] == "create-if-missing"
    assert seen.headers["content-type"] == "application/json"
    assert seen.json == {
        "displayName": "Display name",
        "signInAudience": "AzureADMyOrg",
        "requiredResourceAccess": [
            {
                "resourceAppId": EXCHANGE_ONLINE,
                "resourceAccess": [{"id": "5e5addcd-3e8d-4e90-baf5-964efab2b20a", "type": "Role"}],
            }
        ],
    }


def test_upsert_of_one_that_exists_shows_nothing(graph: Graph, server: Server):
    """204: what stands must be read."""
    server.replies = [Reply(204)]
    assert graph.send(UPSERT, SEEN) is None


def test_the_enterprise_application_is_made_and_tagged(graph: Graph, server: Server):
    """POST with the appId of the snapshot and the tags; PATCH of the tags as they shall stand."""
    server.replies = [Reply(201, SERVICE), Reply(204)]
    made = graph.send(CREATE, SEEN)
    assert isinstance(made, EnterpriseApplication)
    assert made.object_id == SERVICE["id"]
    assert graph.send(TAG, SEEN) is None
    assert [(seen.method, seen.raw, seen.json) for seen in server.seen] == [
        ("POST", "/v1.0/servicePrincipals", {"appId": APP["appId"], "tags": [PORTAL_TAG]}),
        ("PATCH", f"/v1.0/servicePrincipals/{GRANT['principalId']}", {"tags": [PORTAL_TAG, "mine"]}),
    ]


def test_a_role_is_assigned_through_its_resource(graph: Graph, server: Server):
    """POST appRoleAssignedTo of the resource, as the page recommends, with the three ids."""
    server.replies = [Reply(201, GRANT)]
    made = graph.send(ASSIGN, SEEN)
    assert isinstance(made, RoleAssignment)
    assert made.id == GRANT["id"]
    (seen,) = server.seen
    assert (seen.method, seen.raw) == ("POST", f"/v1.0/servicePrincipals/{GRANT['resourceId']}/appRoleAssignedTo")
    assert seen.json == {name: GRANT[name] for name in ("principalId", "resourceId", "appRoleId")}


def test_a_secret_is_made_by_the_services_clock(graph: Graph, server: Server):
    """endDateTime counts from the service's Date; one more request, only where none has answered yet."""
    server.replies = [Reply(body=APP), Reply(body=PASSWORD), Reply(body=PASSWORD)]
    for _ in range(2):
        made = graph.send(ADD, SEEN)
        assert isinstance(made, NewSecret)
    assert [seen.method for seen in server.seen] == ["GET", "POST", "POST"]
    sent = server.seen[1]
    assert sent.raw == f"/v1.0/applications/{APP['id']}/addPassword"
    ends = datetime(2035, 1, 2, 3, 4, 5, tzinfo=UTC) + timedelta(days=180)
    assert sent.json == {"passwordCredential": {"displayName": "exosp", "endDateTime": f"{ends:%Y-%m-%dT%H:%M:%SZ}"}}
    assert made.reveal() == PASSWORD["secretText"]
    assert made.secret.label == "Password friendly name"
    assert PASSWORD["secretText"] not in repr(made) + str(made)


def test_a_secret_without_its_text_may_have_been_made(graph: Graph, server: Server):
    """Its one appearance is lost, so somebody must look."""
    server.replies = [Reply(body=APP), Reply(body={**PASSWORD, "secretText": None})]
    with pytest.raises(Unreachable, match="secretText") as caught:
        graph.send(ADD, SEEN)
    assert caught.value.may_have_happened


def test_a_secret_is_removed(graph: Graph, server: Server):
    """POST removePassword with the key's id."""
    server.replies = [Reply(204)]
    assert graph.send(REMOVE, SEEN) is None
    assert server.seen[0].raw == f"/v1.0/applications/{APP['id']}/removePassword"
    assert server.seen[0].json == {"keyId": PASSWORD["keyId"]}


# Clouds without the alternate key

NO_KEY = (
    refusal(400, "BadRequest", "Resource not found for the segment 'applications'."),
    refusal(501, "NotImplemented", "Not implemented."),
    refusal(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."),
)


@pytest.mark.parametrize("refused", NO_KEY, ids=lambda reply: str(reply.status))
def test_reading_where_the_key_is_refused(graph: Graph, server: Server, refused: Reply):
    """$filter instead, and from then on at once; what the list shows beside the name is left out."""
    other = {**APP, "uniqueName": "APP-65278"}
    server.replies = [refused, Reply(body={"value": [other, APP]}), Reply(body={"value": []})]
    found = graph.application("app-65278")
    assert found is not None
    assert found.unique_name == "app-65278"
    assert graph.application("app-65278") is None
    assert [seen.path for seen in server.seen] == [
        "/v1.0/applications(uniqueName='app-65278')",
        "/v1.0/applications",
        "/v1.0/applications",
    ]
    assert "$filter=uniqueName eq 'app-65278'" in server.seen[1].query


@pytest.mark.parametrize("refused", NO_KEY, ids=lambda reply: str(reply.status))
def test_writing_where_the_key_is_refused(graph: Graph, server: Server, refused: Reply):
    """Look up, then POST with the uniqueName where there is none, PATCH by id where there is one."""
    server.replies = [refused, Reply(body={"value": []}), Reply(201, APP), Reply(body={"value": [APP]}), Reply(204)]
    made = graph.send(UPSERT, Snapshot())
    assert isinstance(made, Application)
    assert graph.send(UPSERT, SEEN) is None
    assert [(seen.method, seen.path) for seen in server.seen] == [
        ("PATCH", "/v1.0/applications(uniqueName='app-65278')"),
        ("GET", "/v1.0/applications"),
        ("POST", "/v1.0/applications"),
        ("GET", "/v1.0/applications"),
        ("PATCH", f"/v1.0/applications/{APP['id']}"),
    ]
    assert server.seen[2].json["uniqueName"] == "app-65278"
    assert "uniqueName" not in server.seen[4].json


def test_a_refused_method_elsewhere_is_an_error(graph: Graph, server: Server):
    """Only the alternate key has another way round."""
    server.replies = [refusal(501, "NotImplemented", "This route is not imitated.")]
    with pytest.raises(CloudError, match="not imitated") as caught:
        graph.send(CREATE, SEEN)
    assert type(caught.value) is CloudError
    assert caught.value.status == 501
    assert graph.requests == 1


# Refusals

BAD = "Request_BadRequest"
NO_BACKING = "The appId '631a96bc' of the service principal does not reference a valid application object."
LOCAL = "When using this permission, the backing application of the service principal being created must in the local tenant"
IN_USE = "The service principal cannot be created, updated, or restored because the service principal name 631a is already in use."
DENIED = ("Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


@pytest.mark.parametrize(
    ("write", "reply", "kind", "hint"),
    [
        ("create", refusal(400, BAD, NO_BACKING, "NoBackingApplicationObject"), NotYetVisible, ""),
        ("create", refusal(403, DENIED[0], LOCAL), NotYetVisible, "own"),
        ("create", refusal(409, "Request_MultipleObjectsWithSameKeyValue", IN_USE), Conflict, ""),
        ("create", refusal(403, *DENIED), Forbidden, "Application.ReadWrite.OwnedBy"),
        ("assign", NOT_FOUND, NotYetVisible, ""),
        ("assign", refusal(400, BAD, "Not a valid reference update."), NotYetVisible, ""),
        ("assign", refusal(400, BAD, "Permission being assigned was not found on application '0000'"), NotYetVisible, ""),
        ("assign", refusal(400, BAD, "Permission being assigned already exists on the object"), Conflict, ""),
        ("assign", refusal(409, "Conflict", "EntitlementGrant entry already exists."), Conflict, ""),
        ("assign", refusal(403, *DENIED), Forbidden, "AppRoleAssignment.ReadWrite.All and Application.Read.All"),
        ("assign", refusal(403, DENIED[0], LOCAL), Forbidden, "AppRoleAssignment"),
        ("tag", NOT_FOUND, NotYetVisible, ""),
        ("tag", refusal(409, "Directory_ConcurrencyViolation", "Conflicting changes."), Throttled, ""),
        ("remove", NOT_FOUND, NotYetVisible, ""),
        ("remove", refusal(400, BAD, "No password credential found with keyId f0b0."), Missing, "removed"),
        ("upsert", refusal(400, BAD, "Another object with the same value for property uniqueName already exists."),
         Conflict, "30 days"),
        ("upsert", refusal(409, "ObjectConflict", "Another object with the same value for property uniqueName already "
         "exists."), Conflict, "30 days"),
        ("upsert", refusal(403, *DENIED), Forbidden, "Application.ReadWrite.OwnedBy"),
        ("upsert", refusal(401, "InvalidAuthenticationToken", "Access token has expired or is not yet valid."),
         Throttled, ""),
        ("upsert", refusal(401, "InvalidAuthenticationToken", "Access token validation failure."), Forbidden, "token"),
        ("upsert", refusal(400, BAD, "Invalid value specified for property 'displayName'."), CloudError, ""),
        ("upsert", refusal(429, "TooManyRequests", "Too many requests"), Throttled, ""),
    ],
)  # fmt: skip
def test_each_refusal_of_graph_has_its_error(
    graph: Graph, server: Server, write: str, reply: Reply, kind: type[CloudError], hint: str
):
    """The kind of error, Graph's own words, its code and request id, the request, and what to do; asked only once."""
    server.replies = [reply]
    with pytest.raises(CloudError) as caught:
        graph.send(WRITES[write], SEEN)
    fault = caught.value
    assert type(fault) is kind
    assert fault.what == reply.body["error"]["message"]
    assert fault.code == reply.body["error"]["code"]
    assert fault.status == (429 if kind is Throttled else reply.status)
    assert fault.request_id == "4b4b4b4b-0000-0000-0000-000000000000"
    assert fault.request_id in fault.where
    assert hint in fault.hint
    assert "graph: P" in fault.where
    assert graph.requests == len(server.seen) == 1


@pytest.mark.parametrize(
    "reply",
    [
        refusal(400, "CredentialInvalidLifetimeAsPerAppPolicy", "Credential lifetime exceeds the max value allowed as per "
                "assigned policy 'x'.", "InvalidKeyEndDate"),
        refusal(400, "CredentialTypeNotAllowedAsPerAppPolicy", "Credential type not allowed as per assigned policy 'x'."),
    ],
    ids=lambda reply: reply.body["error"]["code"],
)  # fmt: skip
def test_policies_on_secrets_are_named(graph: Graph, server: Server, reply: Reply):
    """A cap on lifetimes says shorten, a ban says so; neither is taken for a missing permission."""
    server.replies = [Reply(body=APP), reply]
    with pytest.raises(Forbidden) as caught:
        graph.send(ADD, SEEN)
    assert "policy" in caught.value.hint
    assert ("valid_for" in caught.value.hint) == ("Lifetime" in caught.value.code)


def test_who_may_not_read_is_told_what_it_takes(graph: Graph, server: Server):
    """A read's least permission, not a write's."""
    server.replies = [refusal(403, *DENIED)]
    with pytest.raises(Forbidden, match="Insufficient privileges") as caught:
        graph.principal(AppId("x"))
    assert "Application.Read.All" in caught.value.hint
    assert "ReadWrite" not in caught.value.hint


@pytest.mark.parametrize(("after", "seconds"), [("11", 11.0), ("Tue, 02 Jan 2035 03:05:05 GMT", 60.0), ("soon", None)])
def test_throttling_is_told_and_never_repeated_here(graph: Graph, server: Server, after: str, seconds: float | None):
    """kiota's own retries would repeat a POST on 429, 503 and 504; they are not in the pipeline."""
    server.replies = [refusal(429, "TooManyRequests", "Too many requests", Retry_After=after)]
    with pytest.raises(Throttled) as caught:
        graph.send(CREATE, SEEN)
    assert caught.value.after == seconds
    assert len(server.seen) == graph.requests == 1


# Answers that are none


HTML = Reply(503, "<html>Service Unavailable</html>", {"Content-Type": "text/html", "Retry-After": "1"})
BROKEN = {
    "503": refusal(503, "serviceNotAvailable", "Service unavailable.", Retry_After="1"),
    "504": refusal(504, "UnknownError", ""),
    "500": refusal(500, "generalException", "Unspecified error."),
    "html": HTML,
    "drop": Reply(drop=True),
    "cut": Reply(201, {**APP, **SERVICE, **GRANT}, cut=True),
    "half": Reply(201, '{"id": "03ef14b0-'),
    "portal": Reply(200, "<html>Sign in</html>", {"Content-Type": "text/html"}),
    "other": Reply(200, {"hello": "world"}),
}


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("write", ["upsert", "create", "assign"])
def test_a_write_without_a_usable_answer_may_have_happened(graph: Graph, server: Server, write: str, reply: Reply):
    """One request, an id to look for, and the word that it may have happened."""
    server.replies = [reply]
    with pytest.raises(Unreachable) as caught:
        graph.send(WRITES[write], SEEN)
    assert caught.value.may_have_happened
    assert caught.value.transient
    assert caught.value.request_id
    assert graph.requests == len(server.seen) == 1
    if reply.drop or reply.cut:
        assert caught.value.request_id == server.seen[0].headers["client-request-id"]


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("read", READS)
def test_a_read_without_a_usable_answer_did_nothing(graph: Graph, server: Server, read: str, reply: Reply):
    """The same answers to a read: ask again; and none of them is taken for an empty answer."""
    server.replies = [reply]
    with pytest.raises(Unreachable) as caught:
        READS[read](graph)
    assert not caught.value.may_have_happened
    assert caught.value.transient


def test_a_slow_answer_may_have_happened(cloud: Cloud, server: Server):
    """A read timeout of a write leaves it open; the connection is not used again for the next."""
    release = threading.Event()
    server.replies = [Reply(201, SERVICE, wait=release), Reply(body=SERVICE)]
    with Graph(cloud, signin.admin(cloud, ENVIRONMENT), read_timeout=0.3) as graph:
        with pytest.raises(Unreachable, match="too long") as caught:
            graph.send(CREATE, SEEN)
        assert caught.value.may_have_happened
        release.set()
        assert graph.principal(AppId(SERVICE["appId"])) is not None


def test_redirects_are_not_followed(graph: Graph, server: Server, authority: Authority):
    """The token would go along."""
    other = Server(authority.issue())
    try:
        server.replies = [Reply(307, None, {"Location": f"{other.address}/v1.0/x"})]
        with pytest.raises(Unreachable, match=f"points to {other.address}") as caught:
            graph.send(CREATE, SEEN)
        assert not caught.value.may_have_happened
        assert other.seen == []
    finally:
        other.close()


def test_an_untrusted_certificate(cloud: Cloud, server: Server, tmp_path: Path):
    """Signing in is trusted, Graph's certificate is not: nothing is sent, waiting does not help, the hint says what does."""
    theirs = Authority(tmp_path, "stranger")
    strange = Server(theirs.issue())
    try:
        with Graph(replace(cloud, graph=strange.address), signin.admin(cloud, ENVIRONMENT)) as graph:
            with pytest.raises(Unreachable, match="not trusted") as caught:
                graph.send(CREATE, SEEN)
        assert (caught.value.may_have_happened, caught.value.transient) == (False, False)
        assert f"localhost:{strange.port}" in caught.value.hint
        assert strange.seen == []
    finally:
        strange.close()


def test_another_hosts_certificate(cloud: Cloud, authority: Authority):
    """Trusted, but for another name."""
    other = Server(authority.issue("elsewhere.example"))
    try:
        with Graph(replace(cloud, graph=other.address), signin.admin(cloud, ENVIRONMENT)) as graph:
            with pytest.raises(Unreachable, match="another host's"):
                graph.principal(AppId("x"))
    finally:
        other.close()


def test_an_address_where_nobody_listens(cloud: Cloud):
    """Connection refused: it cannot have happened."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Graph(replace(cloud, graph=f"https://localhost:{port}"), signin.admin(cloud, ENVIRONMENT)) as graph:
        with pytest.raises(Unreachable, match=f"localhost:{port} refuses connections") as caught:
            graph.send(CREATE, SEEN)
    assert (caught.value.may_have_happened, caught.value.transient) == (False, True)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_no_proxy_stands_before_this_machine(
    cloud: Cloud, server: Server, monkeypatch: pytest.MonkeyPatch, variable: str
):
    """A proxy in the environment gets no loopback traffic."""
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    server.replies = [Reply(body=SERVICE)]
    with Graph(cloud, signin.admin(cloud, ENVIRONMENT)) as graph:
        assert graph.principal(AppId("x")) is not None


def test_a_refused_sign_in_is_the_sign_ins_error(graph: Graph, server: Server):
    """Not Graph's: nothing was asked of Graph."""
    body = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid.", "error_codes": [7000215]}
    server.token_replies = [Reply(401, body)]
    with pytest.raises(Forbidden) as caught:
        graph.send(CREATE, SEEN)
    assert (caught.value.service, caught.value.code) == ("token", "AADSTS7000215")
    assert graph.requests == len(server.seen) == 0


# Manners


def test_one_token_serves_all_requests(graph: Graph, server: Server):
    """For Graph's audience, asked for once."""
    server.claims = {"exp": 4102444800}
    server.replies = [Reply(body=SERVICE)] * 3
    for _ in range(3):
        graph.principal(AppId("x"))
    assert len(server.token_requests) == 1
    assert b"claims" not in server.token_requests[0].body


def test_a_claims_challenge_is_answered_once(graph: Graph, server: Server):
    """Graph may ask for a token with more claims (continuous access evaluation): one more token, one more request."""
    challenge = base64.b64encode(b'{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}').decode()
    refused = refusal(401, "InvalidAuthenticationToken", "Continuous access evaluation resulted in challenge.")
    challenged = replace(
        refused, headers={"WWW-Authenticate": f'Bearer error="insufficient_claims", claims="{challenge}"'}
    )
    server.replies = [challenged, Reply(201, SERVICE), challenged, challenged]
    assert graph.send(CREATE, SEEN) is not None
    assert b"1604106651" in server.token_requests[-1].body
    with pytest.raises(Forbidden):
        graph.send(CREATE, SEEN)
    assert graph.requests == len(server.seen) == 4


def test_a_cause_is_found_wherever_a_library_keeps_it():
    """httpx keeps the refusals of a name's several addresses in a group; requests keeps causes in arguments."""
    group = ExceptionGroup("multiple", [ConnectionRefusedError(111, "no"), ConnectionRefusedError(111, "no")])
    error = OSError("All connection attempts failed")
    error.__cause__ = group
    for fault in (error, Exception(Exception(ConnectionRefusedError(111, "no")))):
        found = no_answer(fault, "h")
        assert found is not None
        assert found.what == "{host} refuses connections"
    assert no_answer(KeyError("x"), "h") is None


def test_closing_ends_the_thread_and_may_be_done_twice(cloud: Cloud, server: Server):
    """No thread and no connection is left behind."""
    server.replies = [Reply(body=SERVICE)]
    graph = Graph(cloud, signin.admin(cloud, ENVIRONMENT))
    graph.principal(AppId("x"))
    graph.close()
    graph.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "graph"]
    assert server.left.wait(5)


def test_a_missing_certificate_file_is_a_usage_error(cloud: Cloud, tmp_path: Path):
    """Found before anything is sent."""
    admin = signin.admin(cloud, ENVIRONMENT)
    with pytest.raises(UsageError) as caught:
        Graph(replace(cloud, ca=tmp_path / "gone.pem"), admin)
    assert str(tmp_path / "gone.pem") in caught.value.where


def test_the_sdks_typed_models_are_not_loaded(server: Server, authority: Authority):
    """Reading, writing and being refused load none of the SDK's entity models: they cost most of a second."""
    server.replies = [Reply(body=APP), Reply(201, APP), Reply(body=PASSWORD), NOT_FOUND, refusal(403, *DENIED)]
    script = Path(__file__).with_name("graph_session.py")
    environment = {**os.environ, **ENVIRONMENT, "ADDRESS": server.address, "CA": str(authority.path)}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["Application", "Application", "NewSecret", "None", "Forbidden", "0"], done.stderr
    assert len(server.seen) == 5


# What is asked again, and what is not


def test_what_is_gone_is_not_waited_for(graph: Graph, server: Server):
    """Who removes or restores has read the thing: a 404 then says that it is gone, not that it is late."""
    gone: tuple[GraphWrite, ...] = (
        DeleteApplication(APPLICATION),
        RemoveAssignment(PRINCIPAL, "a", "IMAP.AccessAsApp"),
        RestoreApplication(ApplicationObjectId(APP["id"])),
    )
    for write in gone:
        server.replies = [NOT_FOUND, NOT_FOUND]
        with pytest.raises(Missing):
            graph.send(write, SEEN)


def test_a_conflict_without_words_is_one(graph: Graph, server: Server):
    """A 409 whose text nobody knows still says that something stands there: it is looked for."""
    server.replies = [refusal(409, "Conflict", "Something of a new kind.")]
    with pytest.raises(Conflict):
        graph.send(CREATE, SEEN)


def test_a_server_that_waits_no_longer_is_asked_again(graph: Graph, server: Server):
    """408 and 503: it may have happened, asking again may help, and as late as the service says."""
    for status in (408, 503):
        server.replies = [refusal(status, "Timeout", "Later.", Retry_After="7")]
        with pytest.raises(Unreachable) as caught:
            graph.send(CREATE, SEEN)
        assert (caught.value.may_have_happened, caught.value.transient, caught.value.after) == (True, True, 7.0)


def test_an_expired_token_is_forgotten(cloud: Cloud, server: Server):
    """The service's clock counts: after its 401 the next request brings a token that is asked for anew."""
    expired = refusal(401, "InvalidAuthenticationToken", "Access token has expired or is not yet valid.")
    server.replies = [expired, Reply(body=SERVICE)]
    with Graph(cloud, signin.admin(cloud, ENVIRONMENT)) as graph:
        with pytest.raises(Throttled):
            graph.principal(AppId(SERVICE["appId"]))
        assert len(server.token_requests) == 1
        assert graph.principal(AppId(SERVICE["appId"])) is not None
    assert len(server.token_requests) == 2


@pytest.mark.parametrize(
    ("fault", "transient", "sent"),
    [
        (httpx.ReadError("broken"), True, True),
        (httpx.RemoteProtocolError("broken"), True, True),
        (requests.exceptions.ChunkedEncodingError("IncompleteRead", http.client.IncompleteRead(b"")), True, True),
        (httpx.ReadTimeout("slow"), True, True),
        (TimeoutError("slow"), True, True),
        (httpx.ConnectError("all attempts failed"), True, False),
        (ConnectionRefusedError("refused"), True, False),
        (httpx.ConnectTimeout("slow"), True, False),
        (httpx.DecodingError("no gzip"), True, True),
        (ssl.SSLCertVerificationError("self-signed certificate"), False, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_why_no_answer_came(fault: Exception, transient: bool, sent: bool):
    """Each way of getting no answer: whether asking again can help, and whether the request may have been received."""
    found = no_answer(fault, "graph.microsoft.com")
    assert found is not None
    assert (found.transient, found.sent) == (transient, sent)
