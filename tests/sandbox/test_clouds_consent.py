"""/adminconsent of the sandbox, judged by a browser's requests typed from the vendor's pages: who may consent, to what, and
what it leaves behind."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from entra_fixture import World, running, unsigned

from exosp.sandbox import catalog
from exosp.sandbox.directory import digest, new_id
from exosp.sandbox.people import User

APP = "0b6f5a5c-3c0f-4a52-9d2a-3f1f6d1c7a11"
SECRET = "abc8Q~" + "x" * 34
REDIRECT = "http://localhost:9"
SCOPE = "https://ps.outlook.com/.default"


@pytest.fixture
def world() -> Iterator[World]:
    """A tenant with an administrator, a person, and an application of another tenant."""
    with running() as found:
        directory = found.tenant.directory
        for name, roles in (("admin", {"Global Administrator"}), ("ann", set())):
            user = User(new_id(), f"{name}@contoso.com", name, digest("pw"))
            directory.people.users[user.id] = user
            directory.directory_roles[user.id] = roles
        catalog.add_foreign(
            directory, {"app_id": APP, "name": "ISV <Mail>", "secret_sha256": digest(SECRET),
                        "roles": ["IMAP.AccessAsApp", "SMTP.SendAsApp"]},
        )  # fmt: skip
        yield found


def _url(world: World, **changes: str) -> str:
    query = {"client_id": APP, "redirect_uri": REDIRECT, "scope": SCOPE, "state": "s 1"} | changes
    return f"{world.login}/{world.tenant.tenant_id}/v2.0/adminconsent?" + urlencode(
        {k: v for k, v in query.items() if v}
    )


def _ends(world: World, url: str, name: str = "admin", *buttons: str) -> dict[str, str]:
    """Where the browser is sent in the end: sign in, then press; the redirect's parameters."""
    with world.client() as browser:
        reply = browser.get(url)
        for fields in (
            {"action": "signin", "login": f"{name}@contoso.com", "passwd": "pw"},
            *({"action": b} for b in buttons),
        ):
            ctx = reply.text.partition('name="ctx" value="')[2].partition('"')[0]
            reply = browser.post(f"{world.login}/{world.tenant.tenant_id}/adminconsent", data={"ctx": ctx, **fields})
        assert reply.status_code == 302, reply.text
        where = reply.headers["Location"]
    assert where.startswith(f"{REDIRECT}/?")
    return {key: values[0] for key, values in parse_qs(urlsplit(where).query).items()}


def _token(world: World) -> dict[str, object]:
    body: dict[str, object] = world.sign_in(
        client_id=APP, client_secret=SECRET, scope="https://outlook.office365.com/.default"
    ).json()
    return body


def test_consent_makes_the_enterprise_application_and_gives_the_roles(world: World) -> None:
    """Before it there is no service principal, so no token (AADSTS7000229); after it a token carries what is registered."""
    assert _token(world)["error_codes"] == [7000229]
    told = _ends(world, _url(world), "admin", "accept")
    assert told == {"admin_consent": "True", "tenant": world.tenant.tenant_id, "state": "s 1", "scope": SCOPE}
    claims = unsigned(str(_token(world)["access_token"]))
    assert claims["roles"] == ["IMAP.AccessAsApp", "SMTP.SendAsApp"]
    principal = world.tenant.directory.principal(APP)
    assert principal is not None
    assert claims["oid"] == principal.id
    assert principal.properties["appOwnerOrganizationId"] != world.tenant.tenant_id
    assert world.tenant.directory.application(APP) is None
    logged = world.tenant.directory.audits[-1]
    assert (logged["activityDisplayName"], logged["targetResources"][0]["id"]) == (
        "Consent to application",
        principal.id,
    )


def test_consent_twice_gives_nothing_twice(world: World) -> None:
    """The second consent leaves one service principal, and one assignment a role."""
    for _ in range(2):
        _ends(world, _url(world, scope="https://outlook.office365.com/.default"), "admin", "accept")
    directory = world.tenant.directory
    [principal] = [p for p in directory.service_principals.values() if p.properties["appId"] == APP]
    held = [r for r in directory.app_role_assignments.values() if r.properties["principalId"] == principal.id]
    assert len(held) == 2


@pytest.mark.parametrize(
    ("name", "buttons", "code"), [("admin", ("cancel",), "AADSTS65004"), ("ann", (), "AADSTS90094")]
)
def test_who_does_not_consent(world: World, name: str, buttons: tuple[str, ...], code: str) -> None:
    """Cancel, and a person without a role: access_denied with the code and the state; nothing is given."""
    told = _ends(world, _url(world), name, *buttons)
    assert (told["error"], told["state"]) == ("access_denied", "s 1")
    assert told["error_description"].startswith(code)
    assert world.tenant.directory.principal(APP) is None


@pytest.mark.parametrize(("changes", "code"), [
    ({"client_id": "11111111-2222-3333-4444-555555555555"}, 700016), ({"redirect_uri": "https://evil.example"}, 50011),
    ({"redirect_uri": ""}, 900144), ({"scope": ""}, 900144), ({"scope": "https://nowhere.example/.default"}, 500011),
])  # fmt: skip
def test_what_is_wrong_is_shown_and_goes_nowhere(world: World, changes: dict[str, str], code: int) -> None:
    """A page with the code, no redirect: the address may be anybody's."""
    with world.client() as browser:
        reply = browser.get(_url(world, **changes))
    assert reply.status_code == 400
    assert f'id="AADSTS{code}"' in reply.text


def test_pages_escape_and_say_that_they_are_emulated(world: World) -> None:
    """The application's name is text, and nobody takes the page for Microsoft's."""
    with world.client() as browser:
        text = browser.get(_url(world)).text
    assert "ISV &lt;Mail&gt;" in text
    assert "<Mail>" not in text
    assert "emulated" in text


def test_a_wrong_secret_of_a_foreign_application(world: World) -> None:
    """Its secret is looked at as any other's."""
    _ends(world, _url(world), "admin", "accept")
    body = world.sign_in(client_id=APP, client_secret="wrong", scope="https://outlook.office365.com/.default").json()
    assert body["error_codes"] == [7000215]
