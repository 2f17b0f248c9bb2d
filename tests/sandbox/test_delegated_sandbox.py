"""Sign-in of people: /authorize, /devicecode and their pages, judged by msal, azure-identity and by requests typed from the
vendor's pages; then what a person's token opens."""

import base64
import hashlib
import imaplib
import re
import secrets
import ssl
import webbrowser
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import jwt
import msal
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import DeviceCodeCredential, InteractiveBrowserCredential
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exosp.sandbox import catalog
from exosp.sandbox.directory import EXCHANGE_ONLINE
from exosp.sandbox.doors import access
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options
from person import Page, Person

EXCHANGE = "https://outlook.office365.com"
OFFICE = "https://outlook.office.com"
IMAP, POP, SMTP = (f"{EXCHANGE}/{name}" for name in ("IMAP.AccessAsUser.All", "POP.AccessAsUser.All", "SMTP.Send"))
ALL = f"{IMAP} {POP} {SMTP} offline_access openid profile"
REDIRECT = "http://localhost:51234"
PASSWORD = "alex-has-a-word"
CONTENT = {
    "smtp_auth_disabled": False,
    "mailboxes": [
        "alex@contoso.com", "private@contoso.com",
        {"address": "desk@contoso.com", "kind": "SharedMailbox"}, {"address": "shop@contoso.com", "kind": "SharedMailbox"},
    ],
    "users": [
        {"upn": "alex@contoso.com", "password": PASSWORD, "full_access": ["desk@contoso.com"], "send_as": ["desk@contoso.com"]},
        {"upn": "kim@contoso.com", "full_access": ["desk@contoso.com", "shop@contoso.com"]},
    ],
}  # fmt: skip


class Place:
    """A tenant with people, one public client, and what a client knows of them."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.tenant = running.sandbox.tenant
        self.ca = str(running.sandbox.ca_path)
        self.login = running.sandbox.cloud()["login"]
        self.context = ssl.create_default_context(cafile=self.ca)
        self.app = self.application()

    def application(self, **properties: Any) -> str:
        """The appId of a new public client with the mail permissions, unless told otherwise."""
        app, _ = catalog.add_application(self.tenant.directory, "Mail Reader")
        app.properties |= {"publicClient": {"redirectUris": ["http://localhost"]}, "isFallbackPublicClient": True}
        app.properties |= properties
        return str(app.properties["appId"])

    def person(self, **changes: Any) -> Person:
        return Person(self.ca, **({"upn": "alex@contoso.com", "password": PASSWORD} | changes))

    def url(self, **changes: str | None) -> tuple[str, str]:
        """An /authorize address typed from the vendor's page, and the verifier of its challenge."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        fields: dict[str, str | None] = {
            "client_id": self.app, "response_type": "code", "redirect_uri": REDIRECT, "response_mode": "query",
            "scope": ALL, "state": "12345", "code_challenge": challenge, "code_challenge_method": "S256",
        } | changes  # fmt: skip
        given = {name: value for name, value in fields.items() if value is not None}
        return f"{self.login}/{self.tenant.tenant_id}/oauth2/v2.0/authorize?{httpx.QueryParams(given)}", verifier

    def post(self, path: str, **fields: str) -> httpx.Response:
        context = ssl.create_default_context(cafile=self.ca)
        with httpx.Client(verify=context, trust_env=False, timeout=20) as client:
            return client.post(f"{self.login}/{self.tenant.tenant_id}/oauth2/v2.0/{path}", data=fields)

    def redeem(self, code: str, verifier: str, **changes: str) -> httpx.Response:
        fields = {
            "client_id": self.app, "grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT,
            "code_verifier": verifier,
        } | changes  # fmt: skip
        return self.post("token", **{name: value for name, value in fields.items() if value})

    def signed_in(self, person: Person | None = None, **changes: str) -> dict[str, Any]:
        """The token endpoint's answer to a whole sign-in."""
        url, verifier = self.url(**changes)
        code = (person or self.person()).visit(url).sent["code"]
        reply = self.redeem(code, verifier, **({"client_id": changes["client_id"]} if "client_id" in changes else {}))
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found

    def graph(self, *roles: str) -> Callable[..., httpx.Response]:
        """Graph as seen by an application that has these roles."""
        app, _ = catalog.add_application(self.tenant.directory, "Caller", graph_roles=roles)
        secret = catalog.add_secret(self.tenant.directory, app, "test")
        token = self.post(
            "token", client_id=app.properties["appId"], client_secret=secret, grant_type="client_credentials",
            scope="https://graph.microsoft.com/.default",
        ).json()["access_token"]  # fmt: skip
        context = ssl.create_default_context(cafile=self.ca)
        base = f"https://localhost:{self.tenant.ports.graph}/v1.0"

        def call(method: str, path: str, **body: Any) -> httpx.Response:
            with httpx.Client(verify=context, trust_env=False) as client:
                return client.request(method, base + path, headers={"Authorization": f"Bearer {token}"}, **body)

        return call

    def session(self) -> requests.Session:
        made = requests.Session()
        made.trust_env, made.verify = False, self.ca
        return made

    def msal(self) -> msal.PublicClientApplication:
        return msal.PublicClientApplication(
            self.app, authority=f"{self.login}/{self.tenant.tenant_id}", instance_discovery=False,
            http_client=self.session(),
        )  # fmt: skip

    def set(self, **knobs: float) -> None:
        for name, value in knobs.items():
            self.tenant.faults.set(name.replace("_", "-"), value)


@pytest.fixture(scope="module")
def _running() -> Iterator[Running]:
    with Running(Options(faults="none"), CONTENT) as running:
        yield running


@pytest.fixture
def place(_running: Running) -> Place:
    _running.reset()
    return Place(_running)


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def refusal(reply: httpx.Response) -> tuple[str, int]:
    body = reply.json()
    return body["error"], body["error_codes"][0]


# ---- foreign clients ----


def test_msal_signs_a_person_in_with_a_browser(place: Place) -> None:
    """initiate_auth_code_flow, the pages, acquire_token_by_auth_code_flow; then a silent answer from memory, and one by
    the refresh token."""
    app = place.msal()
    flow = app.initiate_auth_code_flow([IMAP, SMTP], redirect_uri=REDIRECT, response_mode="form_post")
    page = place.person().visit(flow["auth_uri"])
    answer = app.acquire_token_by_auth_code_flow(flow, page.sent)
    assert "access_token" in answer, answer
    assert answer["id_token_claims"]["preferred_username"] == "alex@contoso.com"
    (account,) = app.get_accounts()
    assert account["username"] == "alex@contoso.com"
    assert app.acquire_token_silent([IMAP, SMTP], account)["access_token"] == answer["access_token"]
    again = app.acquire_token_silent([IMAP, SMTP], account, force_refresh=True)
    assert again["access_token"] != answer["access_token"]
    assert claims(again["access_token"])["scp"] == "IMAP.AccessAsUser.All SMTP.Send"


def test_msal_acquire_token_interactive(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """msal's own loopback page and form_post, with a script for a browser."""
    monkeypatch.setattr(webbrowser, "open", place.person().later)
    answer = place.msal().acquire_token_interactive([IMAP], timeout=20)
    assert "access_token" in answer, answer
    assert claims(answer["access_token"])["upn"] == "alex@contoso.com"


def test_msal_device_flow(place: Place) -> None:
    """initiate_device_flow, the page where the code is typed, acquire_token_by_device_flow."""
    app = place.msal()
    flow = app.initiate_device_flow([IMAP, POP, SMTP])
    assert (flow["interval"], flow["expires_in"]) == (5, 900)
    assert flow["user_code"] in flow["message"]
    page = place.person(code=flow["user_code"]).visit(flow["verification_uri"])
    assert "You have signed in to Mail Reader on your device" in page.text
    answer = app.acquire_token_by_device_flow(flow)
    assert claims(answer["access_token"])["scp"] == "IMAP.AccessAsUser.All POP.AccessAsUser.All SMTP.Send"


def test_msal_sees_a_declined_consent(place: Place) -> None:
    """Cancel on the consent page reaches the application as access_denied."""
    app = place.msal()
    flow = app.initiate_auth_code_flow([IMAP], redirect_uri=REDIRECT, response_mode="form_post")
    page = place.person(consents=False).visit(flow["auth_uri"])
    assert page.url == REDIRECT  # no slash is added where the answer is posted
    answer = app.acquire_token_by_auth_code_flow(flow, page.sent)
    assert answer["error"] == "access_denied"
    assert "AADSTS65004" in answer["error_description"]


def test_azure_identity_signs_people_in(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its device-code and browser credentials."""
    options = {
        "authority": place.login, "disable_instance_discovery": True, "connection_verify": place.ca, "use_env_settings": False,
    }  # fmt: skip
    tenant = place.tenant.tenant_id

    def prompt(uri: str, code: str, expires: object) -> None:
        place.person(code=code).visit(uri)

    device = DeviceCodeCredential(client_id=place.app, tenant_id=tenant, prompt_callback=prompt, **options)
    assert claims(device.get_token(IMAP).token)["upn"] == "alex@contoso.com"
    monkeypatch.setattr(webbrowser, "open", place.person().later)
    browser = InteractiveBrowserCredential(client_id=place.app, tenant_id=tenant, timeout=20, **options)
    assert claims(browser.get_token(IMAP).token)["upn"] == "alex@contoso.com"


@pytest.mark.timeout(10)  # seconds; who waits longer waits for what never comes
def test_azure_identity_reports_that_public_flows_are_off(place: Place) -> None:
    """AADSTS7000218, the field's usual mistake: "Allow public client flows" is No."""
    place.app = place.application(isFallbackPublicClient=None)
    device = DeviceCodeCredential(
        client_id=place.app, tenant_id=place.tenant.tenant_id, prompt_callback=lambda *_: None, authority=place.login,
        disable_instance_discovery=True, connection_verify=place.ca, use_env_settings=False,
    )  # fmt: skip
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000218"):
        device.get_token(IMAP)


# ---- the token ----


def test_a_persons_token_is_the_persons(place: Place) -> None:
    """Version 1.0, for Exchange, with ``scp`` and the person's ``oid``; neither roles nor the enterprise application's."""
    answer = place.signed_in()
    found = claims(answer["access_token"])
    person = place.tenant.directory.people.by_name("alex@contoso.com")
    assert person is not None
    assert (found["aud"], found["oid"], found["appid"]) == (EXCHANGE, person.id, place.app)
    assert (found["ver"], found["idtyp"], found["appidacr"]) == ("1.0", "user", "0")
    assert (found["upn"], found["unique_name"]) == ("alex@contoso.com", "alex@contoso.com")
    assert re.fullmatch(r"1003[0-9A-F]{12}", found["puid"])
    assert found["emulated"] is True
    assert "roles" not in found
    assert set(answer["scope"].split()) == {IMAP, POP, SMTP}


def test_offline_access_and_openid_bring_their_tokens_and_only_they(place: Place) -> None:
    """A refresh token with offline_access, an ID token with openid (v2-oauth2-auth-code-flow)."""
    both = place.signed_in()
    assert {"refresh_token", "id_token"} <= set(both)
    bare = place.signed_in(scope=IMAP)
    assert not {"refresh_token", "id_token"} & set(bare)


def test_the_audience_is_as_asked(place: Place) -> None:
    """outlook.office.com, as the vendor's page writes it, is Exchange as well."""
    found = claims(place.signed_in(scope=f"{OFFICE}/IMAP.AccessAsUser.All")["access_token"])
    assert found["aud"] == OFFICE
    bare = claims(place.signed_in(scope="User.Read")["access_token"])
    assert bare["aud"] == "https://graph.microsoft.com"


def test_refreshing_replaces_the_token_and_leaves_the_old_one_good(place: Place) -> None:
    """Refresh tokens are replaced on use and not revoked by it; they end after ninety days (refresh-tokens)."""
    held = place.signed_in()["refresh_token"]
    form = {"client_id": place.app, "grant_type": "refresh_token", "scope": IMAP}
    first = place.post("token", **form, refresh_token=held).json()
    assert first["refresh_token"] != held
    assert place.post("token", **form, refresh_token=held).status_code == 200
    place.tenant.clock.advance(89 * 86400)
    assert place.post("token", **form, refresh_token=first["refresh_token"]).status_code == 200
    place.tenant.clock.advance(2 * 86400)
    late = place.post("token", **form, refresh_token=held)
    assert refusal(late) == ("invalid_grant", 700082)
    other = place.application()
    assert refusal(place.post("token", **(form | {"client_id": other}), refresh_token=held))[0] == "invalid_grant"


# ---- the code ----


def test_a_code_is_good_once_and_for_ten_minutes(place: Place) -> None:
    """54005 the second time, 70008 after ten minutes."""
    url, verifier = place.url()
    code = place.person().visit(url).sent["code"]
    assert place.redeem(code, verifier).status_code == 200
    assert refusal(place.redeem(code, verifier)) == ("invalid_grant", 54005)
    url, verifier = place.url()
    code = place.person().visit(url).sent["code"]
    place.tenant.clock.advance(601)
    assert refusal(place.redeem(code, verifier)) == ("invalid_grant", 70008)


def test_the_verifier_must_be_the_challenges(place: Place) -> None:
    """Another verifier 501481, none 50148; the code stays good for the right one."""
    url, verifier = place.url()
    code = place.person().visit(url).sent["code"]
    assert refusal(place.redeem(code, "x" * 43)) == ("invalid_grant", 501481)
    assert refusal(place.redeem(code, "")) == ("invalid_grant", 50148)
    assert refusal(place.redeem(code, verifier, redirect_uri="http://localhost:51235"))[1] == 500112
    assert refusal(place.redeem(code, verifier, client_id=place.application()))[0] == "invalid_grant"
    assert refusal(place.redeem(code, verifier, client_secret="x")) == ("invalid_client", 700025)
    assert place.redeem(code, verifier).status_code == 200


def test_a_web_applications_code_needs_its_secret(place: Place) -> None:
    """A redirect URI of kind web makes a confidential client, whatever the fallback says: 7000218."""
    place.app = place.application(publicClient={"redirectUris": []}, web={"redirectUris": [REDIRECT]})
    url, verifier = place.url()
    code = place.person().visit(url).sent["code"]
    assert refusal(place.redeem(code, verifier)) == ("invalid_client", 7000218)


def test_one_token_is_for_one_resource(place: Place) -> None:
    """A sign-in may name several resources; a token request with both is refused, 28000."""
    both = f"{IMAP} https://graph.microsoft.com/User.Read offline_access"
    url, verifier = place.url(scope=both)
    code = place.person().visit(url).sent["code"]
    assert refusal(place.redeem(code, verifier, scope=both)) == ("invalid_request", 28000)
    assert claims(place.redeem(code, verifier, scope=IMAP).json()["access_token"])["aud"] == EXCHANGE
    assert refusal(place.post("devicecode", client_id=place.app, scope=both))[1] == 28000


# ---- the redirect URI ----

MATCHES = [
    ("http://localhost", "http://localhost:8080", True), ("http://localhost:5000", "http://localhost:8080", True),
    ("http://localhost/MyApp", "http://localhost:1234/MyApp", True),
    ("http://localhost/MyApp", "http://localhost:1234/myapp", False), ("http://localhost", "http://localhost:1234/", False),
    ("http://localhost", "http://127.0.0.1:8080", False), ("http://127.0.0.1", "http://127.0.0.1:8080", True),
    ("http://localhost", "https://localhost:8080", False), ("https://contoso.com/a", "https://contoso.com:444/a", False),
    ("https://contoso.com/a", "https://contoso.com/a", True), ("http://localhost", "http://localhost.evil.example", False),
    ("http://localhost", "http://localhost:80@evil.example", False), ("http://localhost", "http://x@localhost:1", False),
    ("http://[::1]", "http://[::1]:8080", False),
]  # fmt: skip


@pytest.mark.parametrize(("registered", "asked", "good"), MATCHES)
def test_redirect_uris(place: Place, registered: str, asked: str, good: bool) -> None:
    """Exact and case-sensitive, but for the port of a loopback address (reply-url)."""
    place.app = place.application(publicClient={"redirectUris": [registered]})
    page = place.person().visit(place.url(redirect_uri=asked, prompt="none")[0])
    if good:
        assert page.sent["error"] == "login_required"
    else:
        assert page.status == 400
        assert "AADSTS50011" in page.text
        assert not page.sent


def test_an_application_without_redirect_uri(place: Place) -> None:
    """500113, shown."""
    place.app = place.application(publicClient={"redirectUris": []})
    assert "AADSTS500113" in place.person().visit(place.url()[0]).text


@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
def test_how_the_answer_comes_back(place: Place, mode: str) -> None:
    """Each response mode brings code and state; a redirect URI without a path gets a slash but in form_post."""
    page = place.person().visit(place.url(response_mode=mode)[0])
    assert page.sent["state"] == "12345"
    assert page.sent["code"]
    assert page.url.split("?")[0].split("#")[0] == (REDIRECT if mode == "form_post" else f"{REDIRECT}/")


# ---- refusals ----


def shown(page: Page) -> list[int]:
    return [int(number) for number in re.findall(r"AADSTS(\d+)", page.text)]


def test_who_cannot_sign_in_is_told_on_the_page(place: Place) -> None:
    """Unknown 50034, wrong password 50126, a shared mailbox's account 50057: shown, and nothing goes to the application."""
    for upn, password, code in (
        ("nobody@contoso.com", "x", 50034), ("alex@contoso.com", "x", 50126), ("alex@contoso.com", "", 50126),
        ("desk@contoso.com", place.tenant.person_password, 50057),
    ):  # fmt: skip
        page = place.person(upn=upn, password=password).visit(place.url()[0])
        assert shown(page) == [code]
        assert "code" not in page.sent


REFUSED_BACK = [
    ({"response_type": None}, "invalid_request", 900144), ({"response_type": "device"}, "unsupported_response_type", 70005),
    ({"code_challenge_method": "S512"}, "invalid_request", 50149), ({"code_challenge": "short"}, "invalid_request", 501491),
    ({"scope": ""}, "invalid_request", 900144), ({"scope": f"{EXCHANGE}/No.Such"}, "invalid_client", 650053),
    ({"scope": "https://nowhere.example/Read"}, "invalid_resource", 500011), ({"prompt": "none"}, "login_required", 50058),
]  # fmt: skip


@pytest.mark.parametrize(("change", "error", "code"), REFUSED_BACK)
def test_what_the_application_can_mend_is_sent_to_it(
    place: Place, change: dict[str, str | None], error: str, code: int
) -> None:
    """By redirect, with the state, an error and its text (v2-oauth2-auth-code-flow, error response)."""
    page = place.person().visit(place.url(**change)[0])
    assert (page.sent["error"], page.sent["state"]) == (error, "12345")
    assert f"AADSTS{code}:" in page.sent["error_description"]


def test_what_names_no_application_is_shown(place: Place) -> None:
    """An unknown client 700016, another tenant 90002, the address that tenants share 50194."""
    stranger = "12121212-1212-1212-1212-121212121212"
    assert shown(place.person().visit(place.url(client_id=stranger)[0])) == [700016]
    url, own = place.url()[0], place.tenant.tenant_id
    assert shown(place.person().visit(url.replace(own, stranger, 1))) == [90002]
    assert shown(place.person().visit(url.replace(own, "common", 1))) == [50194]


def test_consent_is_asked_once_and_grows(place: Place) -> None:
    """The first sign-in asks; the second does not, even with prompt=none in the same browser; a new permission asks
    again; Graph shows the grant as the person's own."""
    person = place.person()
    place.signed_in(person, scope=IMAP)
    assert any("Permissions requested" in page.text for page in person.pages)
    silent = person.visit(place.url(scope=IMAP, prompt="none")[0])
    assert "code" in silent.sent
    more = person.visit(place.url(scope=SMTP, prompt="none")[0])
    assert more.sent["error"] == "interaction_required"
    assert "AADSTS65001" in more.sent["error_description"]
    place.signed_in(person, scope=SMTP)
    (grant,) = place.tenant.directory.permission_grants.values()
    assert (grant.properties["consentType"], grant.properties["scope"]) == (
        "Principal",
        "IMAP.AccessAsUser.All SMTP.Send",
    )


def test_an_administrators_consent_is_everybodys(place: Place) -> None:
    """POST /oauth2PermissionGrants for AllPrincipals: nobody is asked; taken back, everybody is. A second one is 409, and
    without DelegatedPermissionGrant.ReadWrite.All it is forbidden."""
    directory = place.tenant.directory
    client, resource = directory.principal(place.app), directory.principal(EXCHANGE_ONLINE)
    assert client is not None
    assert resource is not None
    grant = {
        "clientId": client.id, "consentType": "AllPrincipals", "resourceId": resource.id,
        "scope": "IMAP.AccessAsUser.All POP.AccessAsUser.All SMTP.Send",
    }  # fmt: skip
    api = place.graph("DelegatedPermissionGrant.ReadWrite.All")
    assert place.graph("Directory.Read.All")("POST", "/oauth2PermissionGrants", json=grant).status_code == 403
    made = api("POST", "/oauth2PermissionGrants", json=grant)
    assert made.status_code == 201
    assert api("POST", "/oauth2PermissionGrants", json=grant).status_code == 409
    assert api("POST", "/oauth2PermissionGrants", json=grant | {"consentType": "Principal"}).status_code == 400
    person = place.person()
    place.signed_in(person)
    assert not any("Permissions requested" in page.text for page in person.pages)
    assert api("DELETE", f"/oauth2PermissionGrants/{made.json()['id']}").status_code == 204
    again = place.person()
    place.signed_in(again)
    assert any("Permissions requested" in page.text for page in again.pages)
    assert len(place.graph("Directory.Read.All")("GET", "/oauth2PermissionGrants").json()["value"]) == 1


def test_user_consent_may_be_an_administrators(place: Place) -> None:
    """With the knob user-consent a person cannot consent to mail permissions: 90094, shown, with a way back."""
    place.set(user_consent=1)
    person = place.person(consents=False)
    page = person.visit(place.url()[0])
    assert any(90094 in shown(seen) for seen in person.pages)
    assert page.sent["error"] == "access_denied"


def test_policies_for_people(place: Place) -> None:
    """person-policy 1: a second factor, which a password alone cannot give (50076); 2: blocked, 53003. An application that
    asks for an assignment: 50105."""
    plain = place.signed_in()["refresh_token"]
    form = {"client_id": place.app, "grant_type": "refresh_token", "refresh_token": plain}
    place.set(person_policy=1)
    assert refusal(place.post("token", **form)) == ("invalid_grant", 50076)
    strong = claims(place.signed_in()["access_token"])
    assert strong["amr"] == ["pwd", "mfa"]
    place.set(person_policy=2)
    assert refusal(place.post("token", **form)) == ("invalid_grant", 53003)
    assert shown(place.person().visit(place.url()[0])) == [53003]
    place.set(person_policy=0)
    principal = place.tenant.directory.principal(place.app)
    assert principal is not None
    principal.properties["appRoleAssignmentRequired"] = True
    assert shown(place.person().visit(place.url()[0])) == [50105]
    principal.properties |= {"appRoleAssignmentRequired": False, "accountEnabled": False}
    assert place.person().visit(place.url()[0]).sent["error"] == "unauthorized_client"


def test_a_password_grant_is_for_public_clients_with_consent(place: Place) -> None:
    """Resource owner password credentials: wrong 50126; without consent 65001; then a token (v2-oauth-ropc)."""
    form = {"client_id": place.app, "grant_type": "password", "username": "alex@contoso.com", "scope": IMAP}
    assert refusal(place.post("token", **form, password="x")) == ("invalid_grant", 50126)
    assert refusal(place.post("token", **form, password=PASSWORD)) == ("invalid_grant", 65001)
    place.signed_in(scope=IMAP)
    assert place.post("token", **form, password=PASSWORD).status_code == 200


# ---- device codes ----


def device(place: Place, scope: str = ALL) -> dict[str, Any]:
    found: dict[str, Any] = place.post("devicecode", client_id=place.app, scope=scope).json()
    return found


def poll(place: Place, flow: dict[str, Any], **changes: str) -> httpx.Response:
    form = {
        "client_id": place.app, "grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": flow["device_code"],
    } | changes  # fmt: skip
    return place.post("token", **form)


def test_a_device_code_from_pending_to_redeemed(place: Place) -> None:
    """authorization_pending until somebody signs in; a token; then never again."""
    flow = device(place)
    assert "verification_uri_complete" not in flow
    assert refusal(poll(place, flow)) == ("authorization_pending", 70016)
    place.person(code=flow["user_code"].lower()).visit(flow["verification_uri"])
    answer = poll(place, flow)
    assert answer.status_code == 200
    assert "refresh_token" in answer.json()
    assert refusal(poll(place, flow))[0] == "bad_verification_code"
    assert shown(place.person(code=flow["user_code"]).visit(flow["verification_uri"])) == [90120]


def test_a_device_code_expires_and_can_be_declined(place: Place) -> None:
    """expired_token 70020 after fifteen minutes, on the page 70019; Cancel is authorization_declined; a code of nobody's
    70018."""
    flow = device(place)
    place.tenant.clock.advance(901)
    assert refusal(poll(place, flow)) == ("expired_token", 70020)
    assert shown(place.person(code=flow["user_code"]).visit(flow["verification_uri"])) == [70019]
    flow = device(place)
    place.person(code=flow["user_code"], consents=False).visit(flow["verification_uri"])
    assert refusal(poll(place, flow))[0] == "authorization_declined"
    assert shown(place.person(code="NOSUCHONE").visit(flow["verification_uri"])) == [70018]
    assert refusal(poll(place, flow, device_code="x"))[0] == "bad_verification_code"
    assert refusal(poll(place, flow, client_id=place.application()))[0] == "bad_verification_code"


def test_a_hasty_poll(place: Place) -> None:
    """The knob device-slow-down: RFC 8628's slow_down, which the vendor's page does not name."""
    flow = device(place)
    assert refusal(poll(place, flow))[0] == "authorization_pending"
    assert refusal(poll(place, flow))[0] == "authorization_pending"
    place.set(device_slow_down=1)
    assert refusal(poll(place, flow))[0] == "slow_down"
    place.tenant.clock.advance(6)
    assert refusal(poll(place, flow))[0] == "authorization_pending"


# ---- what it opens ----


def gate(place: Place, token: str, protocol: access.Protocol, user: str) -> str:
    match access.admit(place.tenant, protocol, user, token):
        case access.Opened():
            return "opened"
        case access.AuthRefused(reason=reason):
            return f"auth: {reason.name}"
        case access.NotConnected(reason=reason):
            return f"mailbox: {reason.name}"


def test_a_person_opens_the_own_mailbox_and_those_with_full_access(place: Place) -> None:
    """The user name is the mailbox's; without FullAccess Exchange authenticates and does not connect."""
    token = place.signed_in()["access_token"]
    for protocol in ("imap", "pop"):
        assert gate(place, token, protocol, "alex@contoso.com") == "opened"  # type: ignore[arg-type]  # parametrized by a loop
        assert gate(place, token, protocol, "desk@contoso.com") == "opened"  # type: ignore[arg-type]  # as above
        assert gate(place, token, protocol, "shop@contoso.com") == "mailbox: GRANT"  # type: ignore[arg-type]  # as above
    assert gate(place, token, "imap", "nobody@contoso.com") == "auth: USER"
    with imaplib.IMAP4_SSL(
        "localhost", place.tenant.ports.imap, ssl_context=ssl.create_default_context(cafile=place.ca)
    ) as imap:
        imap.authenticate("XOAUTH2", lambda _: f"user=desk@contoso.com\x01auth=Bearer {token}\x01\x01".encode())
        assert imap.select("INBOX", readonly=True)[0] == "OK"


def test_a_scope_opens_its_protocol_only(place: Place) -> None:
    """scp takes the place of roles; a Graph token with the same names opens nothing."""
    token = place.signed_in(scope=IMAP)["access_token"]
    assert gate(place, token, "imap", "alex@contoso.com") == "opened"
    assert gate(place, token, "pop", "alex@contoso.com") == "auth: ROLE"
    assert gate(place, token, "smtp", "alex@contoso.com") == "auth: ROLE"
    graph = place.signed_in(scope="https://graph.microsoft.com/IMAP.AccessAsUser.All")["access_token"]
    assert gate(place, graph, "imap", "alex@contoso.com") == "auth: AUDIENCE"


def test_switches_and_accounts_hold_for_people_too(place: Place) -> None:
    """A protocol that is off, an account that is blocked after the token was made, an expired token."""
    token = place.signed_in()["access_token"]
    own = place.tenant.exchange.by_address("alex@contoso.com")
    assert own is not None
    own.cas |= {"ImapEnabled": False, "SmtpClientAuthenticationDisabled": True}
    assert gate(place, token, "imap", "alex@contoso.com") == "mailbox: PROTOCOL_OFF"
    assert gate(place, token, "smtp", "alex@contoso.com") == "auth: SMTP_OFF_MAILBOX"
    person = place.tenant.directory.people.by_name("alex@contoso.com")
    assert person is not None
    person.enabled = False
    assert gate(place, token, "pop", "alex@contoso.com") == "auth: PERSON"
    person.enabled = True
    place.tenant.clock.advance(3600)
    assert gate(place, token, "pop", "alex@contoso.com") == "auth: EXPIRED"


def test_smtp_under_a_shared_mailboxs_name(place: Place) -> None:
    """The knob smtp-shared-name: as field reports have it AUTH is refused, as the vendor's page has it FullAccess admits.
    Either way SendAs alone lets a message carry the shared address."""
    token = place.signed_in()["access_token"]
    assert gate(place, token, "smtp", "desk@contoso.com") == "auth: SHARED_NAME"
    own = access.admit(place.tenant, "smtp", "alex@contoso.com", token)
    assert isinstance(own, access.Opened)
    assert access.may_send_as(place.tenant, own, "desk@contoso.com")
    assert not access.may_send_as(place.tenant, own, "shop@contoso.com")
    place.set(smtp_shared_name=1)
    shared = access.admit(place.tenant, "smtp", "desk@contoso.com", token)
    assert isinstance(shared, access.Opened)
    assert access.may_send_as(place.tenant, shared, "desk@contoso.com")
    kim = place.signed_in(place.person(upn="kim@contoso.com", password=place.tenant.person_password))["access_token"]
    without = access.admit(place.tenant, "smtp", "desk@contoso.com", kim)
    assert isinstance(without, access.Opened)
    assert not access.may_send_as(place.tenant, without, "desk@contoso.com")


# ---- nothing leaks, nothing is real ----


def test_state_shows_people_and_no_password(place: Place) -> None:
    """The management address: accounts and grants, never a password, code or refresh token; every page says emulated."""
    person = place.person()
    answer = place.signed_in(person)
    address = place.running.environment()["EXOSP_SANDBOX"]
    state = httpx.get(f"{address}/state", trust_env=False)
    assert {"alex@contoso.com", "kim@contoso.com"} <= {user["userPrincipalName"] for user in state.json()["users"]}
    assert len(state.json()["oauth2PermissionGrants"]) == 1
    for secret in (PASSWORD, place.tenant.person_password, answer["refresh_token"], answer["access_token"]):
        assert secret not in state.text
    pages = [page for page in person.pages if page.text]
    assert pages
    assert all("emulated" in page.text for page in pages)


def test_a_mail_server_can_ask_about_a_persons_token(place: Place) -> None:
    """Introspection: active for the protocols whose permission it has."""
    token = place.signed_in(scope=IMAP)["access_token"]
    client = httpx.Client(verify=ssl.create_default_context(cafile=place.ca), trust_env=False)
    active = {
        service: client.post(
            f"{place.login}/introspect", data={"token": token}, headers={"X-Dovecot-Auth-Service": service}
        ).json()["active"]
        for service in ("imap", "pop3", "submission")
    }
    assert active == {"imap": True, "pop3": False, "submission": False}


def test_a_tenant_may_be_started_anew_with_people(place: Place) -> None:
    """POST /reset with ``users``, and what a tenant file's users may be."""
    address = place.running.environment()["EXOSP_SANDBOX"]
    tenant = (
        "mailboxes: [a@contoso.com]\nusers:\n  - {upn: b@contoso.com, password: word, full_access: [a@contoso.com]}\n"
    )
    assert httpx.post(f"{address}/reset", json={"tenant": tenant}, trust_env=False).status_code == 200
    assert place.running.environment()["EXOSP_SANDBOX_USER"] == "b@contoso.com"
    person = place.tenant.directory.people.by_name("b@contoso.com")
    assert person is not None
    for wrong in (
        "users: [{upn: b}]", "users: [{upn: b@contoso.com, password: 1}]", "users: [{upn: b@contoso.com, admin: true}]",
        "users: [{upn: b@contoso.com, full_access: [nobody@contoso.com]}]",
    ):  # fmt: skip
        assert httpx.post(f"{address}/reset", json={"tenant": wrong}, trust_env=False).status_code == 400


def test_what_a_page_shows_is_escaped(place: Place) -> None:
    """Names and hints are text, never markup."""
    app = place.tenant.directory.application(place.app)
    assert app is not None
    app.properties["displayName"] = "<script>alert(1)</script>"
    client = httpx.Client(verify=ssl.create_default_context(cafile=place.ca), trust_env=False)
    text = client.get(place.url(login_hint='"><script>alert(2)</script>')[0]).text
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_a_page_is_good_once(place: Place) -> None:
    """A form that comes a second time, late, or made up: 50089."""
    client = httpx.Client(verify=ssl.create_default_context(cafile=place.ca), trust_env=False)
    text = client.get(place.url()[0]).text
    (ctx,) = re.findall(r'name="ctx" value="([^"]+)"', text)
    form = {"ctx": ctx, "login": "alex@contoso.com", "passwd": "x", "action": "signin"}
    action = f"{place.login}/{place.tenant.tenant_id}/login"
    assert "AADSTS50126" in client.post(action, data=form).text
    assert "AADSTS50089" in client.post(action, data=form).text
    assert "AADSTS50089" in client.post(action, data=form | {"ctx": "made up"}).text


ANYTHING = st.text(st.characters(codec="utf-8"), max_size=30)
ODD = st.one_of(
    ANYTHING,
    st.sampled_from(["http://[", "http://localhost:99999999", "http://localhost:x", "//", "S256", "plain", "none", "code id_token", f"{IMAP} /", "/.default", "://", "a/b c/d"]),
)  # fmt: skip
NAMES = ["client_id", "response_type", "redirect_uri", "response_mode", "scope", "state", "code_challenge", "code_challenge_method", "prompt", "login_hint", "nonce"]  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(NAMES), ODD, max_size=4), st.dictionaries(st.sampled_from(
    ["client_id", "grant_type", "code", "redirect_uri", "code_verifier", "scope", "refresh_token", "device_code", "username", "password", "ctx", "action", "otc", "login", "passwd"]
), ODD, max_size=6))  # fmt: skip
def test_no_request_is_too_odd(place: Place, changes: dict[str, str], form: dict[str, str]) -> None:
    """Whatever comes, a page or an error document; never a fault of the sandbox's own."""
    with httpx.Client(verify=place.context, trust_env=False) as client:
        replies = [client.get(place.url(**changes)[0])]
        for grant in ("authorization_code", "refresh_token", "device_code", "password"):
            body = {"client_id": place.app, "grant_type": grant} | form
            replies.append(client.post(f"{place.login}/{place.tenant.tenant_id}/oauth2/v2.0/token", data=body))
        replies.append(client.post(f"{place.login}/{place.tenant.tenant_id}/oauth2/v2.0/devicecode", data={"client_id": place.app} | form))  # fmt: skip
        replies += [client.post(f"{place.login}/{path}", data=form) for path in (f"{place.tenant.tenant_id}/login", "devicelogin")]  # fmt: skip
    assert not [reply.text for reply in replies if reply.status_code == 500]


def test_the_tenant_names_its_exchange(place: Place) -> None:
    """A grant is on the tenant's own resource principal, as an administrator sees it in Graph."""
    place.signed_in()
    resource = place.tenant.directory.principal(EXCHANGE_ONLINE)
    assert resource is not None
    (grant,) = place.tenant.directory.permission_grants.values()
    assert grant.properties["resourceId"] == resource.id
