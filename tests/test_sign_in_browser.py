"""A person signs in to run exosp, in a browser: azure-identity's own flow against the sandbox's sign-in pages, by a tenant's own
public client and by Microsoft's; what is refused says what to consent to."""

import re
import sys
import textwrap
from pathlib import Path

import pytest

from admins import ADMIN, Admin, at_browser, own_client
from console import Console
from desk import Desk
from exosp import clouds, signin
from exosp.diagnosis.naming import named
from exosp.errors import CloudError
from exosp.sandbox.directory import EXCHANGE_ONLINE, MICROSOFT_GRAPH
from exosp.sending import Applied
from exosp.signin.people import EXCHANGE_CLIENT, GRAPH_CLIENT


def test_one_sign_in_by_the_tenant_s_own_client_serves_both(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """plan, apply, verify: one browser window each, Graph's token by the refresh token of Exchange's; what the person may do is
    read from the tokens' roles."""
    admin = at_browser(desk, monkeypatch, own_client(desk.running), ADMIN)
    with admin.session() as session:
        exchange, graph = session.admin.exchange_token(), session.admin.graph_token()
        assert exchange.user_principal_name == graph.user_principal_name == ADMIN
        assert not exchange.of_partner
        assert (exchange.permissions, len(graph.permissions)) == ({"Exchange.Manage"}, 2)
    windows = [page for page in admin.person.pages if "passwd" in page.text or "/authorize" in page.url]
    assert len(windows) == 1
    result = admin.apply()
    assert [type(outcome) for _, outcome in result.outcomes] == [Applied] * len(result.plan.changes)
    assert admin.verify(negative=("private@contoso.com",)).proven
    assert admin.look()[1].empty


def test_microsoft_s_own_clients_serve_one_service_each(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """Without --client-id: two windows; Exchange's client is preauthorized, Graph's is consented to by who signs in."""
    admin = at_browser(desk, monkeypatch, {}, ADMIN)
    assert admin.look()[1].changes
    with admin.session() as session:
        assert session.admin.exchange_token().permissions == {"AdminApi.AccessAsUser.All"}
        assert session.admin.graph_token().permissions == {
            "Application.ReadWrite.All",
            "AppRoleAssignment.ReadWrite.All",
        }
        held = session.admin._source
        assert (held.key(session.cloud.exchange_scope), held.key(session.cloud.graph_scope)) == (
            EXCHANGE_CLIENT,
            GRAPH_CLIENT,
        )
    principal = desk.running.sandbox.tenant.directory.principal(GRAPH_CLIENT)
    assert principal is not None


def refusal(admin: Admin) -> CloudError:
    with pytest.raises(CloudError) as caught:
        admin.look()
    return caught.value


def test_a_client_of_microsoft_s_for_the_other_service_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """AADSTS65002: the terminal says so, and how a tenant gets a client that may."""
    fault = refusal(at_browser(desk, monkeypatch, GRAPH_CLIENT, ADMIN))
    found = named(fault)
    assert found is not None
    assert (fault.code, found.key) == ("AADSTS65002", "preauthorization-missing")
    assert "exosp preflight --bootstrap" in found.fix


def test_missing_consent_says_what_to_consent_to(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """AADSTS65001: Exchange is consented to and Graph is not; who signs in does not accept either."""
    client = own_client(desk.running)
    directory = desk.running.sandbox.tenant.directory
    graph = directory.principal(MICROSOFT_GRAPH)
    assert graph is not None
    for row in list(directory.permission_grants.values()):
        if row.properties["resourceId"] == graph.id:
            del directory.permission_grants[row.id]
    fault = refusal(at_browser(desk, monkeypatch, client, ADMIN, consents=False))
    found = named(fault)
    assert found is not None
    assert (fault.code, found.key) == ("AADSTS65001", "consent-missing")
    assert "Application.ReadWrite.All and AppRoleAssignment.ReadWrite.All for Microsoft Graph" in found.fix


def test_a_person_without_a_role_writes_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """The permissions are there, the directory role is not: what the client may do, the person may not."""
    admin = at_browser(desk, monkeypatch, own_client(desk.running, "sales@contoso.com"), "sales@contoso.com")
    fault = refusal(admin)
    found = named(fault)
    assert found is not None
    assert found.key == "admin-role-missing"
    assert admin.applications() != []  # but for the client itself
    assert [app["displayName"] for app in admin.applications()] == ["exosp sign-in"]
    assert desk.running.sandbox.tenant.directory.principal(EXCHANGE_ONLINE) is not None


def test_nobody_else_signs_in_by_the_tenant_s_own_client(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """The recipe's last lines let in whom they name: another person is told so on the page (AADSTS50105), and gets no token."""
    admin = at_browser(desk, monkeypatch, own_client(desk.running), "sales@contoso.com", consents=False)
    assert "declined" in refusal(admin).what
    assert any("AADSTS50105" in page.text for page in admin.person.pages)


def test_by_a_code_that_is_typed_elsewhere(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """--sign-in device-code: the person is told where to type which code, does so, and one code serves both services."""
    admin = at_browser(desk, monkeypatch, own_client(desk.running), ADMIN)
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        address, admin.person.code = re.findall(r"open (\S+) and enter the code (\S+)", text)[0]
        admin.person.visit(address)

    asked = signin.Asked("device-code", admin.clients, cache=False, terminal=True, tell=tell)
    cloud = clouds.find(desk.running.environment()["EXOSP_CLOUD"])
    found = signin.admin(cloud, {}, asked, tenant="contoso.onmicrosoft.com")
    try:
        assert found.exchange_token().permissions == {"Exchange.Manage"}
        assert found.graph_token().user_principal_name == ADMIN
    finally:
        found.close()
    assert len(told) == 1


BROWSER = """
import sys
sys.path.insert(0, {tests!r})
from person import Person
Person({ca!r}, {upn!r}, {password!r}).visit(sys.argv[1])
"""


@pytest.mark.slow
def test_the_command_itself_opens_a_browser(desk: Desk, tmp_path: Path):
    """The installed command on a terminal, with a program of the test's as its BROWSER: preflight and plan; who signed in stands
    at the head; off a terminal nobody is asked."""
    running = desk.running
    parts = {"tests": str(Path(__file__).parent), "ca": str(running.sandbox.ca_path), "upn": ADMIN}
    program = tmp_path / "browser.py"
    program.write_text(textwrap.dedent(BROWSER).format(password=running.sandbox.tenant.person_password, **parts))
    given = {name: value for name, value in running.environment().items() if not name.startswith("AZURE_")}
    console = Console(desk.folder, given | {"BROWSER": f"{sys.executable} {program} %s &"})
    words = ("playbook.yaml", "--sign-in", "browser", "--client-id", own_client(running), "--no-cache")
    seen = console.on_terminal("preflight", *words)
    assert seen.code == 0, seen.out
    assert f"{ADMIN}, person by browser" in seen.out
    assert "directory role: Global Administrator is active" in seen.out
    planned = console.on_terminal("plan", *words)
    assert planned.code == 3, planned.out
    assert f"Signed in by browser as {ADMIN}" in planned.out
    off = console.run("plan", *words)
    assert off.code == 2
    assert "no terminal to ask on" in off.err
