"""Workload identity federation in the sandbox, judged by msal and by requests typed from the vendor's pages."""

from collections.abc import Iterator

import msal
import pytest
import requests
from entra_fixture import Api, World, caller, error, running

from issuer import AUDIENCE, Issuer
from loopback import Authority

SUBJECT = "system:serviceaccount:mail:exosp"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running() as found:
        yield found


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "issuer")


@pytest.fixture(scope="module")
def issuer(authority: Authority) -> Iterator[Issuer]:
    found = Issuer(authority.issue())
    yield found
    found.host.close()


@pytest.fixture(autouse=True)
def _trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))


def api(world: World) -> Api:
    return caller(world, "Application.ReadWrite.All", "Application.Read.All")


def application(world: World) -> tuple[str, str]:
    """Object ID and appId of a new one, with its enterprise application."""
    graph = api(world)
    made = graph.made("/applications", {"displayName": "CI"})
    graph.made("/servicePrincipals", {"appId": made["appId"]})
    return made["id"], made["appId"]


def place(object_id: str) -> str:
    return f"/applications/{object_id}/federatedIdentityCredentials"


def credential(issuer: Issuer, **more: object) -> dict[str, object]:
    return {"name": "ci", "issuer": issuer.name, "subject": SUBJECT, "audiences": [AUDIENCE], **more}


def token(world: World, app_id: str, assertion: str) -> dict[str, object]:
    """msal, which shares no code with the sandbox."""
    session = requests.Session()
    session.trust_env = False
    session.verify = world.ca
    client = msal.ConfidentialClientApplication(
        app_id, authority=f"{world.login}/{world.tenant.tenant_id}", instance_discovery=False,
        client_credential={"client_assertion": lambda: assertion}, http_client=session,
    )  # fmt: skip
    found: dict[str, object] = client.acquire_token_for_client(["https://graph.microsoft.com/.default"])
    session.close()
    return found


def test_a_credential_made_through_graph_lets_its_issuer_speak(world: World, issuer: Issuer):
    """Refused as 700211 before, a token after, refused again once it is deleted."""
    object_id, app_id = application(world)
    before = token(world, app_id, issuer.sign(SUBJECT))
    assert before["error_codes"] == [700211]
    made = api(world).made(place(object_id), credential(issuer))
    assert api(world)("GET", place(object_id)).json()["value"] == [made]
    assert "access_token" in token(world, app_id, issuer.sign(SUBJECT))
    assert api(world)("DELETE", f"{place(object_id)}/{made['id']}").status_code == 204
    assert token(world, app_id, issuer.sign(SUBJECT))["error_codes"] == [700211]


def test_an_assertion_speaks_for_its_own_application_alone(world: World, issuer: Issuer):
    """Another application of the tenant without the credential gets nothing by it."""
    object_id, _ = application(world)
    _, other = application(world)
    api(world).made(place(object_id), credential(issuer))
    assert token(world, other, issuer.sign(SUBJECT))["error_codes"] == [700211]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"secret": "x"}, 400, "BadRequest"),
        ({"subject": ""}, 400, "Request_BadRequest"),
        ({"audiences": [AUDIENCE, "other"]}, 400, "Request_BadRequest"),
        ({"name": "other"}, 409, "Request_MultipleObjectsWithSameKeyValue"),  # the same issuer and subject
    ],
    ids=["unknown", "no-subject", "audiences", "twice"],
)
def test_a_credential_that_does_not_fit_is_refused(
    world: World, issuer: Issuer, body: dict[str, object], status: int, code: str
):
    """Unknown properties, missing ones, more than one audience, a second of the same issuer and subject."""
    object_id, _ = application(world)
    api(world).made(place(object_id), credential(issuer))
    answer = api(world)("POST", place(object_id), credential(issuer) | {"name": "next"} | body)
    assert error(answer)[:2] == (status, code)


def test_who_may_not_write_applications_makes_no_credential(world: World, issuer: Issuer):
    """403, as for every other write."""
    object_id, _ = application(world)
    answer = caller(world, "Application.Read.All")("POST", place(object_id), credential(issuer))
    assert answer.status_code == 403
