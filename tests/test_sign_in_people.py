"""A person signs in, against a hand-written sign-in host that plays Entra's documented replies: no person is needed."""

import base64
import json
import os
import stat
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from exosp import signin
from exosp.clouds import Cloud
from exosp.errors import Forbidden, UsageError
from exosp.signin import people
from loopback import TENANT, Authority, Reply, Server, jwt
from test_sign_ins import stand_in
from test_signin import cloud_at, entra_error

OWN = "99998888-7777-6666-5555-444433332222"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "right")


@pytest.fixture
def server(authority: Authority) -> Iterator[Server]:
    server = Server(authority.issue())
    server.metadata = lambda: Reply(body=metadata(server))
    yield server
    server.close()


@pytest.fixture
def cloud(server: Server, authority: Authority) -> Cloud:
    return cloud_at(server.address, authority.path)


def metadata(server: Server) -> dict[str, str]:
    base = f"{server.address}/{TENANT}"
    return {
        "issuer": f"{base}/v2.0",
        "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
        "token_endpoint": f"{base}/oauth2/v2.0/token",
        "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
    }


CODE = Reply(
    body={
        "device_code": "d" * 40, "user_code": "ABCD1234", "verification_uri": "https://microsoft.com/devicelogin",
        "expires_in": 900, "interval": 1, "message": "To sign in, use a web browser",
    }
)  # fmt: skip


def issued(scope: str, host: str = "", **claims: object) -> Reply:
    """A token response for a person (v2-oauth2-device-code): access, refresh and id token, client_info."""
    person = {
        "oid": "o1",
        "tid": TENANT,
        "preferred_username": "ann@contoso.com",
        "sub": "s",
        "iss": f"{host}/{TENANT}/v2.0",
        "aud": OWN,
    }
    info = base64.urlsafe_b64encode(json.dumps({"uid": "o1", "utid": TENANT}).encode()).decode().rstrip("=")
    access = {
        "aud": "https://outlook.office365.com",
        "upn": "ann@contoso.com",
        "exp": 4102444800,
        "scp": scope,
        **claims,
    }
    return Reply(
        body={
            "token_type": "Bearer", "scope": scope, "expires_in": 3599, "access_token": jwt(access),
            "refresh_token": "r", "id_token": jwt({**person, "exp": 4102444800, "iat": 1}), "client_info": info,
        }
    )  # fmt: skip


def test_by_device_code(cloud: Cloud, server: Server):
    """The code and the address are said; each audience has its own client; whose token it is stands with it."""
    said: list[str] = []
    asked = signin.Asked("device-code", cache=False, terminal=True, tell=said.append)
    admin = signin.admin(cloud, {}, asked, tenant=TENANT)
    server.replies = [CODE, CODE]
    server.token_replies = [issued("AdminApi.AccessAsUser.All"), issued("Application.ReadWrite.All")]
    token = admin.exchange_token()
    assert token.user_principal_name == "ann@contoso.com"
    assert token.of_person
    assert admin.graph_token().permissions == {"Application.ReadWrite.All"}
    assert "ABCD1234" in said[0]
    assert "https://microsoft.com/devicelogin" in said[0]
    forms = [parse_qs(seen.body.decode()) for seen in server.seen]
    assert [form["client_id"] for form in forms] == [[people.EXCHANGE_CLIENT], [people.GRAPH_CLIENT]]
    assert "AppRoleAssignment.ReadWrite.All" in forms[1]["scope"][0]
    assert "https://outlook.office365.com/.default" in forms[0]["scope"][0]
    admin.close()


def test_a_client_of_one_s_own_serves_both_and_asks_once(cloud: Cloud, server: Server):
    """--client-id: one code, the second audience by the refresh token; renewing asks nobody again."""
    asked = signin.Asked("device-code", {"graph": OWN, "exchange": OWN}, cache=False, terminal=True)
    admin = signin.admin(cloud, {}, asked, tenant=TENANT)
    server.replies = [CODE]
    server.token_replies = [issued("Exchange.Manage"), issued("Application.ReadWrite.All")]
    assert admin.exchange_token().permissions == {"Exchange.Manage"}
    assert admin.graph_token().permissions == {"Application.ReadWrite.All"}
    admin.renew()
    admin.exchange_token()
    assert len(server.seen) == 1
    forms = [parse_qs(seen.body.decode()) for seen in server.token_requests]
    assert forms[1]["grant_type"] == ["refresh_token"]
    assert {form["client_id"][0] for form in forms} == {OWN}
    admin.close()


@pytest.mark.parametrize(
    ("claims", "name", "partner"),
    [
        ({"roles": ["Exchange.ManageAsApp"], "upn": "x@y"}, "", False),
        ({"scp": "Exchange.Manage", "upn": "ann@contoso.com", "tid": TENANT}, "ann@contoso.com", False),
        ({"scp": "Exchange.Manage", "preferred_username": "ann@contoso.com", "tid": TENANT,
          "idp": f"https://sts.windows.net/{TENANT}/"}, "ann@contoso.com", False),
        ({"scp": "Exchange.Manage", "unique_name": "joe@partner.com", "tid": TENANT,
          "idp": f"https://sts.windows.net/{OWN}/"}, "joe@partner.com", True),
    ],
    ids=["application", "person", "version-2", "partner"],
)  # fmt: skip
def test_a_token_says_who_it_is_for_connecting(claims: dict[str, object], name: str, partner: bool):
    """Nobody for an application; a person by name; a partner's person apart, by the tenant that signed them in."""
    token = signin.Token("t", claims, datetime.now(UTC), datetime.now(UTC))
    assert (token.user_principal_name, token.of_partner) == (name, partner)


@pytest.mark.parametrize(("code", "hint"), [(65001, "delegated Exchange.Manage"), (65002, "--bootstrap")])
def test_a_refusal_says_what_to_consent_to(cloud: Cloud, server: Server, code: int, hint: str):
    """65001, nobody consented; 65002, Microsoft's own client may not."""
    admin = signin.admin(cloud, {}, signin.Asked("device-code", cache=False, terminal=True), tenant=TENANT)
    server.replies = [CODE]
    server.token_replies = [entra_error(400, code, "invalid_grant", "The user or administrator has not consented.")]
    with pytest.raises(Forbidden) as caught:
        admin.exchange_token()
    assert caught.value.code == f"AADSTS{code}"
    assert hint in caught.value.hint
    admin.close()


def test_what_cannot_be_encrypted_is_not_kept(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """No library for it, or nothing on this machine that encrypts: memory alone, and that is said with its fix."""
    said: list[str] = []
    asked = signin.Asked("device-code", terminal=True, folder=tmp_path / "sign-ins", tell=said.append)
    monkeypatch.setitem(sys.modules, "msal_extensions", None)
    signin.admin(cloud, {}, asked, tenant=TENANT).close()
    assert "pip install msal-extensions" in said[0]
    assert not (tmp_path / "sign-ins").exists()
    said.clear()
    monkeypatch.undo()
    signin.admin(cloud, {}, signin.Asked("device-code", cache=False, terminal=True, tell=said.append), tenant=TENANT)
    assert said == []


@pytest.mark.parametrize(
    ("fault", "platform", "says"),
    [(ImportError("gi"), "linux", "python3-gi"), (ValueError("Namespace Secret"), "linux", "gir1.2-secret-1"),
     (RuntimeError("no bus"), "linux", "it is locked"), (RuntimeError("x"), "darwin", "(RuntimeError)")],
    ids=["no-gi", "no-libsecret", "no-keyring", "elsewhere"],
)  # fmt: skip
def test_what_is_lacking_for_a_keyring_is_named(fault: Exception, platform: str, says: str):
    """Each as met by hand: what to install, or that a keyring must answer."""
    assert says in people._why_not(fault, platform)


def test_who_signed_in_is_kept_and_no_token(
    cloud: Cloud, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Where tokens can be kept encrypted, a record says whose they are: for its owner alone, without a token."""
    monkeypatch.setattr(people, "cache", lambda: "")
    monkeypatch.setattr("azure.identity._internal.msal_credentials._load_persistent_cache", lambda *_: _memory())
    folder = tmp_path / "sign-ins"
    asked = signin.Asked("device-code", {"graph": OWN, "exchange": OWN}, terminal=True, folder=folder)
    admin = signin.admin(cloud, {}, asked, tenant=TENANT)
    server.replies = [CODE]
    server.token_replies = [issued("Exchange.Manage", server.address)] * 2
    token = admin.exchange_token()
    admin.close()
    [file] = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text()
    assert "ann@contoso.com" in text
    assert not any(part in text for part in token.reveal().split("."))
    again = signin.admin(cloud, {}, asked, tenant=TENANT)
    assert again.exchange_token().reveal() == token.reveal()
    assert len(server.seen) == 1
    assert parse_qs(server.token_requests[1].body.decode())["grant_type"] == ["refresh_token"]
    again.close()


_kept: list[object] = []


def _memory() -> object:
    """In place of the machine's encrypted store: the same object for every run."""
    from msal import TokenCache

    if not _kept:
        _kept.append(TokenCache())
    return _kept[0]


def test_auto_asks_where_nobody_is_logged_in_to_azure_cli(
    cloud: Cloud, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """On a terminal, over SSH: a code; asked for by name, Azure CLI stays what it is."""
    stand_in(tmp_path / "bin", "sys.exit(\"ERROR: Please run 'az login' to setup account.\")")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    said: list[str] = []
    server.replies = [CODE]
    server.token_replies = [issued("AdminApi.AccessAsUser.All")]
    asked = signin.Asked(cache=False, terminal=True, tell=said.append)
    admin = signin.admin(cloud, {"SSH_TTY": "/dev/pts/0"}, asked, tenant=TENANT)
    assert admin.sign_in == "azure-cli"
    assert admin.exchange_token().user_principal_name == "ann@contoso.com"
    assert admin.sign_in == "device-code"
    assert "ABCD1234" in said[0]
    admin.close()
    named = signin.admin(cloud, {}, signin.Asked("azure-cli", terminal=True), tenant=TENANT)
    with pytest.raises(UsageError, match="nobody is logged in"):
        named.exchange_token()
