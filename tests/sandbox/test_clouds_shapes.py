"""The shapes of the four clouds, judged by msal and by requests typed from the vendor's pages."""

from collections.abc import Iterator

import msal
import pytest
import requests
from entra_fixture import World, caller, error, running, unsigned

from exosp.sandbox.clouds import SHAPES

NAMES = sorted(SHAPES)
RESOURCES = {
    "global": "https://outlook.office365.com", "gcc-high": "https://outlook.office365.us",
    "dod": "https://outlook-dod.office365.us", "china": "https://partner.outlook.cn",
}  # fmt: skip
PUBLISHED = {  # IMAP.AccessAsApp
    "global": "5e5addcd-3e8d-4e90-baf5-964efab2b20a", "gcc-high": "28b54159-e98b-4a00-9d52-10c8c7cbd7f3",
}  # fmt: skip


@pytest.fixture(scope="module", params=NAMES)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A tenant of one cloud's shape."""
    with running(cloud=request.param) as found:
        yield found


def _msal(world: World, authority: str) -> msal.ConfidentialClientApplication:
    session = requests.Session()
    session.trust_env = False
    session.verify = world.ca
    return msal.ConfidentialClientApplication(
        world.admin.app_id, client_credential=world.admin.secret, authority=f"{world.login}/{authority}",
        instance_discovery=False, http_client=session,
    )  # fmt: skip


def test_msal_gets_the_clouds_own_audience_and_no_other(world: World) -> None:
    """In each shape msal signs in at the initial domain; national clouds know no other cloud's Exchange (AADSTS500011)."""
    shape = world.tenant.shape
    app = _msal(world, f"contoso.{shape.suffix}")
    for name, resource in RESOURCES.items():
        answer = app.acquire_token_for_client(scopes=[f"{resource}/.default"])
        if name == shape.name:
            assert unsigned(answer["access_token"])["aud"] == resource
            assert unsigned(answer["access_token"])["roles"] == ["Exchange.ManageAsApp"]
        elif shape.name != "global":
            assert answer["error_codes"] == [500011]


def test_role_ids_are_the_clouds_own(world: World) -> None:
    """The published ids in the two clouds that have some; in the others an id of no cloud."""
    api = caller(world, "Application.Read.All")
    found = api("GET", "/servicePrincipals(appId='00000002-0000-0ff1-ce00-000000000000')").json()
    roles = {role["value"]: role["id"] for role in found["appRoles"]}
    expected = PUBLISHED.get(world.tenant.shape.name)
    assert roles["IMAP.AccessAsApp"] == expected if expected else roles["IMAP.AccessAsApp"] not in PUBLISHED.values()


@pytest.mark.parametrize("knob", [0, 1, 2, 3])
def test_an_upsert_is_refused_by_cloud_or_knob(knob: int) -> None:
    """0: in national clouds alone; 1: nowhere; 2 and 3: everywhere, in two forms."""
    for name in ("global", "gcc-high", "china"):
        with running(f"none,upsert-refused={knob}", cloud=name) as world:
            api = caller(world, "Application.ReadWrite.All")
            reply = api("PATCH", "/applications(uniqueName='x')", {"displayName": "X"}, Prefer="create-if-missing")
            if knob == 1 or (knob == 0 and name == "global"):
                assert reply.status_code == 201
            else:
                assert error(reply)[:2] == ((404, "Request_ResourceNotFound") if knob == 3 else (400, "BadRequest"))
            assert bool([a for a in world.tenant.directory.applications.values() if a.properties["uniqueName"]]) is (
                reply.status_code == 201
            )


@pytest.mark.parametrize(("form", "code", "says"), [
    (0, 90002, "signing into the correct cloud"), (1, 90038, "National Cloud 'microsoftonline.us'"),
    (2, 900382, "not supported in Cross Cloud request"),
])  # fmt: skip
def test_a_tenant_of_another_cloud_is_refused_in_three_forms(form: int, code: int, says: str) -> None:
    """Only a name under another cloud's initial domain is; an unknown tenant of this cloud is not found in any form."""
    with running(f"none,other-cloud={form}") as world:
        body = world.sign_in(tenant="fabrikam.onmicrosoft.us").json()
        assert body["error_codes"] == [code]
        assert says in body["error_description"]
        assert world.sign_in(tenant="fabrikam.onmicrosoft.com").json()["error_codes"] == [90002]
        if form:  # the metadata says nothing of it, so that msal meets it at the token endpoint
            answer = _msal(world, "fabrikam.onmicrosoft.us").acquire_token_for_client(
                scopes=["https://graph.microsoft.com/.default"]
            )
            assert answer["error_codes"] == [code]


def test_government_clouds_share_one_login_host() -> None:
    """GCC High and DoD are one instance: neither sends the other's tenants elsewhere, and both send global ones."""
    with running("none,other-cloud=1", cloud="gcc-high") as world:
        assert world.sign_in(tenant="fabrikam.onmicrosoft.us").json()["error_codes"] == [90002]
        body = world.sign_in(tenant="fabrikam.onmicrosoft.com").json()
        assert "National Cloud 'microsoftonline.com'" in body["error_description"]
