"""A partner's person administers a customer's tenant by delegated (GDAP) rights: tokens of the customer's tenant, its name with
every connection; and what comes where there is no relationship, no role, or an application that nobody authorized there."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from admins import EXCHANGE, GRAPH, Admin, at_browser
from console import Console
from desk import Desk
from exosp import clouds
from exosp.cli import allowed
from exosp.converge import look
from exosp.diagnosis.naming import named
from exosp.errors import CloudError, PlanRefused
from exosp.exchange import Cmdlet, admin_api, winrm
from exosp.sending import Applied
from test_sign_ins import stand_in

HOME = "33333333-4444-5555-6666-777777777777"
CLIENT = "22223333-4444-5555-6666-777788889999"
JOE = "joe@partner.example"
ROLES = ["Cloud Application Administrator", "Exchange Administrator"]
CUSTOMER = "contoso.onmicrosoft.com"


def content(roles: list[str] | None = None, **client: Any) -> dict[str, Any]:
    application = {"app_id": CLIENT, "name": "Partner's exosp", "home": HOME, "public": True, "scopes": list(EXCHANGE)}
    return {
        "foreign_applications": [application | {"graph_scopes": list(GRAPH), "consented": True} | client],
        "users": [{"upn": JOE, "home": HOME, "directory_roles": ROLES if roles is None else roles}],
    }


@pytest.fixture
def partner(unkind: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Admin]:
    def make(roles: list[str] | None = None, **client: Any) -> Admin:
        desk = unkind("none", content=content(roles, **client))
        return at_browser(desk, monkeypatch, CLIENT, JOE)

    return make


@pytest.mark.parametrize("way", ["admin-api", "winrm"])
def test_with_the_relationship_the_chain_is_done(
    partner: Callable[..., Admin], way: str, monkeypatch: pytest.MonkeyPatch
):
    """plan, apply, verify, plan again by a partner's person: every token is of the customer's tenant, and each connection names
    the customer, on a management host by -DelegatedOrganization."""
    admin = partner()
    admin.remoting = way if way == "admin-api" else admin.running.environment()["EXOSP_REMOTING"]
    anchors: set[str] = set()
    connects: list[dict[str, object]] = []
    send = admin_api.AdminApi._send

    def sent(api: Any, method: str, url: str, signed: Any, headers: dict[str, str], *rest: Any) -> Any:
        anchors.add(signed.anchor)
        return send(api, method, url, signed, headers, *rest)

    monkeypatch.setattr(admin_api.AdminApi, "_send", sent)
    watch_connects(connects, monkeypatch)
    result = admin.apply()
    assert [type(outcome) for _, outcome in result.outcomes] == [Applied] * len(result.plan.changes)
    assert result.plan.changes
    assert admin.verify(negative=("private@contoso.com",)).proven
    assert admin.look()[1].empty
    with admin.session() as session:
        for token in (session.admin.exchange_token(), session.admin.graph_token()):
            assert token.of_partner
            assert token.claims["tid"] == admin.running.sandbox.tenant.tenant_id
    if way == "admin-api":
        assert anchors == {
            "APP:SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}@" + admin.running.sandbox.tenant.tenant_id
        }
        assert not connects
    else:
        assert connects
        assert {(each["DelegatedOrganization"], each["UserPrincipalName"], each.get("Organization")) for each in connects} == {
            (CUSTOMER, JOE, None)
        }  # fmt: skip


def watch_connects(seen: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch) -> None:
    """What Connect-ExchangeOnline is given."""
    pipeline = winrm._Channel.pipeline

    def watched(channel: Any, cmdlet: Cmdlet, sends: Any) -> Any:
        if cmdlet.name == "Connect-ExchangeOnline":
            seen.append(dict(cmdlet.parameters))
        return pipeline(channel, cmdlet, sends)

    monkeypatch.setattr(winrm._Channel, "pipeline", watched)


def refused(admin: Admin, *, key: str, code: str = "") -> CloudError:
    with pytest.raises(CloudError) as caught:
        admin.look()
    found = named(caught.value)
    assert found is not None
    assert (found.key, caught.value.code if code else "") == (key, code), caught.value
    return caught.value


def test_without_one_azure_cli_s_refusal_is_named(
    partner: Callable[..., Admin], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """az passes on what the token endpoint said of a partner's account that has no relationship: plan names the cause and what
    the customer must accept. (It asks the endpoint really, and prints the answer as az does.)"""
    admin = partner([])
    running = admin.running
    address = f"{clouds.find(running.environment()['EXOSP_CLOUD']).login}/{CUSTOMER}/oauth2/v2.0/token"
    stand_in(tmp_path / "bin", f"""
        import ssl, urllib.parse, urllib.request, urllib.error
        form = {{"grant_type": "password", "client_id": "04b07795-8ddb-461a-bbee-02f9e1bf7b46", "username": {JOE!r},
                 "password": {running.sandbox.tenant.person_password!r}, "scope": "https://outlook.office365.com/.default"}}
        context = ssl.create_default_context(cafile={str(running.sandbox.ca_path)!r})
        try:
            urllib.request.urlopen({address!r}, data=urllib.parse.urlencode(form).encode(), context=context)
        except urllib.error.HTTPError as fault:
            sys.exit("ERROR: " + json.load(fault)["error_description"] + "\\nInteractive authentication is needed. Please run: az login")
    """)  # fmt: skip
    given = {name: value for name, value in running.environment().items() if not name.startswith("AZURE_")}
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    ran = Console(admin.folder, given).here("plan", "playbook.yaml", "--sign-in", "azure-cli")
    said = " ".join(ran.err.split())
    assert ran.code == 1
    assert "AADSTS50020: User account 'joe@partner.example'" in said
    assert "= cause: partner-relation: " in said
    assert "GDAP" in said.partition("= help: ")[2]


@pytest.mark.parametrize(
    ("roles", "client", "says"),
    [([], {}, "AADSTS50020"), (ROLES, {"consented": False}, "AADSTS90099")],
    ids=["no-relationship", "not-authorized"],
)
def test_without_one_the_sign_in_page_says_so(
    partner: Callable[..., Admin], roles: list[str], client: dict[str, Any], says: str
):
    """No relationship; or one, and an application that nobody authorized in the customer's tenant, which a partner's person
    cannot do by signing in. The page says it, and who goes back from it is told that the sign-in was declined."""
    admin = partner(roles, **client)
    admin.person.consents = False  # presses the only button that is left
    with pytest.raises(CloudError) as caught:
        admin.look()
    assert "declined" in caught.value.what
    assert any(says in page.text for page in admin.person.pages)


@pytest.mark.parametrize("way", ["admin-api", "winrm"])
def test_a_relationship_without_exchange_has_a_named_cause(partner: Callable[..., Admin], way: str):
    """It lets the person in, and Exchange knows no role of theirs: the cause, and that the relationship must hold it."""
    admin = partner(["Cloud Application Administrator"])
    admin.remoting = way if way == "admin-api" else admin.running.environment()["EXOSP_REMOTING"]
    fault = refused(admin, key="admin-role-missing")
    found = named(fault)
    assert found is not None
    assert "GDAP" in found.fix


def test_a_relationship_without_applications_writes_nothing(partner: Callable[..., Admin]):
    """Exchange Administrator alone reads the directory and may make no application there: said before the first write; and who
    asks Graph all the same is refused."""
    admin = partner(["Exchange Administrator"])
    with admin.session() as session:
        seen, plan = look(session.want, session.tenant, session.patience)
        found = allowed.looked_up(session, session.want, seen, plan)
        assert found.rights.who.home == HOME
        with pytest.raises(PlanRefused, match="Cloud Application Administrator"):
            allowed.must_be_allowed(found, "playbook.yaml", "apply")
    result = admin.apply()
    first = next(outcome.error for _, outcome in result.outcomes if not isinstance(outcome, Applied))
    assert isinstance(first, CloudError)
    why = named(first)
    assert why is not None
    assert why.key == "caller-lacks-permission"
    assert admin.applications() == []


def test_a_partner_s_application_comes_as_any_application_does(unkind: Callable[..., Desk]):
    """GDAP is for people. A partner's application is consented to in the customer's tenant, has its roles there, and connects by
    -Organization: plan, apply, verify with its own secret and the customer's tenant."""
    secret = "not.in.the.customers.tenant"
    application = {
        "app_id": CLIENT, "name": "Partner's exosp", "home": HOME, "roles": ["Exchange.ManageAsApp"], "consented": True,
        "graph_roles": ["Application.ReadWrite.OwnedBy", "AppRoleAssignment.ReadWrite.All", "Application.Read.All"],
        "directory_roles": ["Exchange Administrator"], "secret_sha256": hashlib.sha256(secret.encode()).hexdigest(),
    }  # fmt: skip
    desk = unkind("none", content={"foreign_applications": [application]})
    me = {"AZURE_CLIENT_ID": CLIENT, "AZURE_CLIENT_SECRET": secret}
    result = desk.apply(**me)
    assert [type(outcome) for _, outcome in result.outcomes] == [Applied] * len(result.plan.changes)
    assert desk.verify(negative=("private@contoso.com",)).proven
    with desk.session(**me) as session:
        assert session.admin.exchange_token().claims["appid"] == CLIENT
        assert session._connect()[1].parameters() == {"Organization": CUSTOMER}
