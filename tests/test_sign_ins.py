"""Each sign-in that can run unattended, against the sandbox: azure-identity's own requests, and what the two services
say to the tokens. The issuers, pipelines and machines are the test's own; Entra's part is the sandbox's."""

import os
import stat
import sys
import textwrap
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from desk import Desk
from exosp import clouds, signin
from exosp.clouds import Cloud
from exosp.errors import CloudError, Forbidden, Missing, UsageError
from exosp.graph import Graph
from exosp.sandbox import catalog
from exosp.snapshot import EXCHANGE_ONLINE
from issuer import AUDIENCE, Host, Issuer, serving
from loopback import Authority

pytestmark = pytest.mark.slow  # whole lives of a tenant, or a host that keeps one waiting


SUBJECT = "repo:contoso/mail:environment:production"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "issuer")


@pytest.fixture(scope="module")
def issuer(authority: Authority) -> Iterator[Issuer]:
    found = Issuer(authority.issue())
    yield found
    found.host.close()


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox trusts the issuer's authority, as Entra trusts public ones."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))


def cloud(desk: Desk) -> Cloud:
    return clouds.find(desk.running.environment()["EXOSP_CLOUD"])


def named(desk: Desk, **more: str) -> dict[str, str]:
    """The provisioning application's names, and none of its secrets."""
    given = desk.running.environment()
    return {name: given[name] for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID")} | more


def federate(desk: Desk, issuer: Issuer, subject: str = SUBJECT, audience: str = AUDIENCE) -> None:
    """Let the issuer speak for the provisioning application: by Graph, as an administrator would."""
    tenant = desk.running.sandbox.tenant
    application = tenant.directory.application(tenant.admin_app_id)
    principal = tenant.directory.principal(tenant.admin_app_id)
    assert application is not None
    assert principal is not None
    application.owners.add(principal.id)
    body = {"name": "ci", "issuer": issuer.name, "subject": subject, "audiences": [audience]}
    application.federated["ci"] = {"id": "ci", "description": None, **body}


def works(desk: Desk, environment: dict[str, str], how: str = "auto", **asked: Any) -> signin.Admin:
    """Both services take the tokens; the admin, for what else a test wants to know."""
    admin = signin.admin(cloud(desk), environment, signin.Asked(how, **asked))
    try:
        token = admin.exchange_token()
        assert token.claims["appid"] == desk.running.sandbox.tenant.admin_app_id
        assert token.claims["aud"] == "https://outlook.office365.com"
        assert token.user_principal_name == ""
        with Graph(cloud(desk), admin) as graph:
            assert graph.resource(EXCHANGE_ONLINE) is not None
    finally:
        admin.close()
    return admin


def refused(desk: Desk, environment: dict[str, str], how: str = "auto") -> CloudError | UsageError:
    admin = signin.admin(cloud(desk), environment, signin.Asked(how))
    try:
        with pytest.raises((CloudError, UsageError)) as caught:
            admin.exchange_token()
    finally:
        admin.close()
    return caught.value


# An application that holds its own proof


def test_by_secret(desk: Desk):
    """AZURE_CLIENT_SECRET chooses it."""
    admin = works(desk, desk.running.environment())
    assert admin.sign_in == "secret"
    assert admin.requests == 2


def test_by_certificate(desk: Desk, authority: Authority):
    """The certificate's public half stands with the application; the file signs."""
    path = authority.issue("provisioning", rsa_key=True)
    tenant = desk.running.sandbox.tenant
    application = tenant.directory.application(tenant.admin_app_id)
    assert application is not None
    certify(application, path)
    admin = works(desk, named(desk, AZURE_CLIENT_CERTIFICATE_PATH=str(path)))
    assert admin.sign_in == "certificate"


def certify(application: Any, path: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    der = x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)
    row = {
        "keyId": "k1", "startDateTime": "2020-01-01T00:00:00Z", "endDateTime": "2099-01-01T00:00:00Z",
        "type": "AsymmetricX509Cert", "usage": "Verify",
    }  # fmt: skip
    application.properties["keyCredentials"] = [row]
    application.certificates["k1"] = der


# Workload identity: another issuer's signature in place of a secret


def test_by_workload_identity(desk: Desk, issuer: Issuer, trusted: None, tmp_path: Path):
    """A really signed assertion from a file; the sandbox fetched the issuer's keys to believe it."""
    federate(desk, issuer)
    file = tmp_path / "token"
    file.write_text(issuer.sign(SUBJECT))
    issuer.host.seen.clear()
    admin = works(desk, named(desk, AZURE_FEDERATED_TOKEN_FILE=str(file)))
    assert admin.sign_in == "workload-identity"
    assert "GET /keys" in issuer.host.seen


def test_by_github_s_own_endpoint(desk: Desk, issuer: Issuer, trusted: None):
    """In a GitHub job the runner's address is asked, with the runner's token, for Entra's audience."""
    federate(desk, issuer)

    def answer(method: str, path: str, query: dict[str, str], headers: Any, body: bytes) -> tuple[int, Any]:
        if headers["Authorization"] != "Bearer runner" or query != {"v": "1", "audience": AUDIENCE}:
            return 400, {}
        return 200, {"value": issuer.sign(SUBJECT)}

    with serving(answer) as runner:
        asked = {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{runner.address}/token?v=1",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "runner",
        }
        assert works(desk, named(desk, **asked)).sign_in == "workload-identity"
        fault = refused(desk, named(desk, **{**asked, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "none"}))
    assert "id-token: write" in fault.hint


IMMUTABLE = "repo:contoso@1234/mail@5678:environment:production"


@pytest.mark.parametrize(
    ("assertion", "code", "hint"),
    [
        (lambda i: i.sign(SUBJECT, ago=4000), "AADSTS700024", "clock"),
        (lambda i: i.sign(SUBJECT, ago=-4000), "AADSTS700024", "clock"),
        (lambda i: i.sign(SUBJECT, aud="https://github.com/contoso"), "AADSTS700212", AUDIENCE),
        (lambda i: i.sign(IMMUTABLE), "AADSTS700213", "@"),
        (lambda i: i.sign("repo:contoso/mail:ref:refs/heads/main"), "AADSTS700213", "subject"),
        (lambda i: i.sign(SUBJECT.replace("production", "Production")), "AADSTS7002138", "case"),
        (lambda i: i.sign(SUBJECT, iss="https://localhost:1"), "AADSTS700211", "issuer"),
        (lambda i: i.sign(SUBJECT, key=_stranger()), "AADSTS50013", "issuer"),
    ],
    ids=["expired", "clock-ahead", "audience", "immutable-subject", "branch", "case", "issuer", "signature"],
)
def test_a_federated_assertion_that_does_not_fit_has_a_named_cause(
    desk: Desk, issuer: Issuer, trusted: None, tmp_path: Path, assertion: Callable[[Issuer], str], code: str, hint: str
):
    """Issuer, subject to the letter, audience, signature and time: each refusal is Entra's code, and says what to do."""
    federate(desk, issuer)
    file = tmp_path / "token"
    file.write_text(assertion(issuer))
    fault = refused(desk, named(desk, AZURE_FEDERATED_TOKEN_FILE=str(file)))
    assert isinstance(fault, Forbidden)
    assert fault.code == code
    assert hint in fault.hint


def _stranger() -> Any:
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def test_an_issuer_whose_keys_cannot_be_fetched_is_not_believed(desk: Desk, issuer: Issuer, tmp_path: Path):
    """Its certificate is not trusted here (no ``trusted``): AADSTS50166, and no token."""
    federate(desk, issuer)
    file = tmp_path / "token"
    file.write_text(issuer.sign(SUBJECT))
    fault = refused(desk, named(desk, AZURE_FEDERATED_TOKEN_FILE=str(file)))
    assert isinstance(fault, CloudError)
    assert fault.code == "AADSTS50166"


def test_a_token_file_that_is_not_there_is_named(desk: Desk, tmp_path: Path):
    """No traceback; the variable is in the hint."""
    fault = refused(desk, named(desk, AZURE_FEDERATED_TOKEN_FILE=str(tmp_path / "gone")))
    assert "not there" in fault.what
    assert "AZURE_FEDERATED_TOKEN_FILE" in fault.hint


# Azure Pipelines


def pipeline(desk: Desk, host: Host, **more: str) -> dict[str, str]:
    given = desk.running.environment()
    return {
        "AZURESUBSCRIPTION_TENANT_ID": given["AZURE_TENANT_ID"],
        "AZURESUBSCRIPTION_CLIENT_ID": given["AZURE_CLIENT_ID"],
        "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": "11111111-2222-3333-4444-555555555555",
        "SYSTEM_OIDCREQUESTURI": f"{host.address}/oidc",
        "SYSTEM_ACCESSTOKEN": "job-token",
        **more,
    }


def test_by_azure_pipelines(desk: Desk, issuer: Issuer, trusted: None, monkeypatch: pytest.MonkeyPatch):
    """The service connection's variables choose it; the job's token is sent to the pipeline's host alone."""
    federate(desk, issuer, "sc://contoso/mail/exosp")

    def answer(method: str, path: str, query: dict[str, str], headers: Any, body: bytes) -> tuple[int, Any]:
        if headers["Authorization"] != "Bearer job-token":
            return 401, {"message": "TF400813: not authorized, job-token2"}
        if query["serviceConnectionId"] != "11111111-2222-3333-4444-555555555555":
            return 404, {"message": "no such service connection"}
        return 200, {"oidcToken": issuer.sign("sc://contoso/mail/exosp")}

    with serving(answer) as host:
        monkeypatch.setenv("SYSTEM_OIDCREQUESTURI", f"{host.address}/oidc")  # azure-identity reads it by itself
        assert works(desk, pipeline(desk, host)).sign_in == "azure-pipelines"
        assert host.seen[0] == "POST /oidc"
        fault = refused(desk, pipeline(desk, host, SYSTEM_ACCESSTOKEN="job-token2"))
        assert "System.AccessToken" in fault.hint
        assert "job-token2" not in fault.what
        fault = refused(desk, pipeline(desk, host, AZURESUBSCRIPTION_SERVICE_CONNECTION_ID="other"))
        assert "resourceId" in fault.hint
        with pytest.raises(UsageError, match="SYSTEM_ACCESSTOKEN"):
            signin.admin(cloud(desk), pipeline(desk, host, SYSTEM_ACCESSTOKEN=""))


# A machine's own identity


def machine(desk: Desk, resources: list[str]) -> Callable[..., tuple[int, Any]]:
    """A local endpoint that has the sandbox mint the token, as Azure's has Entra."""

    def answer(method: str, path: str, query: dict[str, str], headers: Any, body: bytes) -> tuple[int, Any]:
        if headers.get("X-IDENTITY-HEADER", "secret") != "secret":
            return 401, {"error": "unauthorized"}
        if "X-IDENTITY-HEADER" not in headers and headers.get("Metadata") != "true":
            return 400, {"error": "invalid_request", "error_description": "Required metadata header not specified"}
        if query.get("client_id", "") == "none":
            return 400, {"error": "invalid_request", "error_description": "Identity not found"}
        resources.append(query["resource"])
        found = mint(desk, query["resource"])
        lives = str(found["expires_in"])
        return 200, {"access_token": found["access_token"], "expires_in": lives, "resource": query["resource"],
                     "expires_on": "4102444800", "token_type": "Bearer"}  # fmt: skip

    return answer


def mint(desk: Desk, resource: str) -> dict[str, Any]:
    """One token of the provisioning application, by its secret, from the sandbox's own token endpoint."""
    import json
    import ssl

    given = desk.running.environment()
    form = {
        "grant_type": "client_credentials", "client_id": given["AZURE_CLIENT_ID"],
        "client_secret": given["AZURE_CLIENT_SECRET"], "scope": f"{resource}/.default",
    }  # fmt: skip
    address = f"{cloud(desk).login}/{given['AZURE_TENANT_ID']}/oauth2/v2.0/token"
    context = ssl.create_default_context(cafile=str(cloud(desk).ca))
    data = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(address, data=data, context=context, timeout=20) as reply:
        found: dict[str, Any] = json.load(reply)
        return found


def test_by_managed_identity_of_an_app_service(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """IDENTITY_ENDPOINT and IDENTITY_HEADER choose it; no secret of the application is on the machine."""
    resources: list[str] = []
    with serving(machine(desk, resources)) as host:
        given = {"IDENTITY_ENDPOINT": f"{host.address}/msi/token", "IDENTITY_HEADER": "secret"}
        for name, value in given.items():
            monkeypatch.setenv(name, value)  # azure-identity reads them by itself
        assert works(desk, given).sign_in == "managed-identity"
        assert resources == ["https://outlook.office365.com", cloud(desk).graph]


def test_by_managed_identity_of_a_machine(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """IMDS, asked for by name since it has no variable of its own; a client id that is not assigned is said."""
    with serving(machine(desk, [])) as host:
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", host.address)
        given = {"AZURE_POD_IDENTITY_AUTHORITY_HOST": host.address}
        works(desk, given, "managed-identity")
        fault = refused(desk, {**given, "AZURE_CLIENT_ID": "none"}, "managed-identity")
        assert "managed identity" in fault.what
        assert "AZURE_CLIENT_ID" in fault.hint


def test_a_machine_without_an_identity_is_not_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """Nobody listens: said at once, with what to do instead."""
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")
    given = {"AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://127.0.0.1:9"}
    fault = refused(desk, given, "managed-identity")
    assert "no managed identity endpoint" in fault.what


def test_a_machine_s_identity_of_another_tenant_is_refused_before_anything_is_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    """It cannot be led to a tenant, so whose it is must be looked up; a domain that is nobody's is said to be that."""
    with serving(machine(desk, [])) as host:
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", host.address)
        given = {"AZURE_CLIENT_SECRET": "", "AZURE_CLIENT_ID": "", "AZURE_TENANT_ID": ""}
        given["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = host.address
        with desk.session(**given) as session:
            assert session.tenant.tenant_id == desk.running.sandbox.tenant.tenant_id
        desk.write(desk.playbook.read_text().replace("contoso.onmicrosoft.com", "fabrikam.onmicrosoft.com"))
        with pytest.raises(Missing, match="no tenant fabrikam"), desk.session(**given):
            pass


# Azure CLI


def stand_in(folder: Path, body: str) -> None:
    """An ``az`` on PATH."""
    folder.mkdir(exist_ok=True)
    program = folder / "az"
    program.write_text(f"#!{sys.executable}\nimport json, sys\n{textwrap.dedent(body)}")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_by_azure_cli(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``az account get-access-token`` for each service, in the tenant; chosen where nothing else is set."""
    tokens = {name: mint(desk, name) for name in ("https://outlook.office365.com", cloud(desk).graph)}
    stand_in(tmp_path / "bin", f"""
        words = sys.argv[1:]
        assert words[:4] == ["account", "get-access-token", "--output", "json"]
        assert words[words.index("--tenant") + 1] == {desk.running.sandbox.tenant.domain!r}
        found = {tokens!r}[words[words.index("--resource") + 1]]
        print(json.dumps({{"accessToken": found["access_token"], "expires_on": 4102444800}}))
    """)  # fmt: skip
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    environment = {"AZURE_TENANT_ID": desk.running.sandbox.tenant.domain}
    assert works(desk, environment).sign_in == "azure-cli"


@pytest.mark.parametrize(
    ("body", "what", "hint"),
    [
        ("sys.exit(\"ERROR: Please run 'az login' to setup account.\")", "nobody is logged in", "az login --tenant"),
        ("sys.exit(\"ERROR: AADSTS50076: Due to a configuration change you must use multi-factor authentication. Trace "
         "ID: 1\\nInteractive authentication is needed. Please run: az login\")", "AADSTS50076", "second factor"),
        ("sys.exit(\"ERROR: AADSTS53003: Access has been blocked by Conditional Access policies.\")", "AADSTS53003", "policy"),
        ("sys.exit(\"ERROR: AADSTS90002: Tenant 'fabrikam' not found.\")", "AADSTS90002", "tenant"),
        ("print('{}')", "no token", "az upgrade"),
    ],
    ids=["not-logged-in", "second-factor", "blocked", "wrong-tenant", "no-token"],
)  # fmt: skip
def test_what_azure_cli_says_is_understood(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, what: str, hint: str
):
    """Not logged in, a second factor wanted, blocked, the wrong tenant: a named cause, and Entra's code where there is."""
    stand_in(tmp_path / "bin", body)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    fault = refused(desk, {"AZURE_TENANT_ID": "contoso.onmicrosoft.com"}, "azure-cli")
    assert what in fault.what
    assert hint in fault.hint


def test_azure_cli_that_is_not_installed_is_said_to_be(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Asked for by name."""
    monkeypatch.setenv("PATH", str(tmp_path))
    fault = refused(desk, {"AZURE_TENANT_ID": "contoso.onmicrosoft.com"}, "azure-cli")
    assert "not installed" in fault.what


def test_azure_cli_s_own_client_cannot_reach_exchange_and_that_is_said(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A person's token there carries user_impersonation alone: said before a cmdlet is sent."""
    import base64
    import json

    claims = base64.urlsafe_b64encode(
        json.dumps({"aud": "https://outlook.office365.com", "scp": "user_impersonation", "upn": "ann@contoso.com"}).encode()
    ).decode().rstrip("=")  # fmt: skip
    stand_in(tmp_path / "bin", f"print(json.dumps({{'accessToken': 'e30.{claims}.x', 'expires_on': 4102444800}}))")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    fault = refused(desk, {"AZURE_TENANT_ID": "contoso.onmicrosoft.com"}, "azure-cli")
    assert "user_impersonation" in fault.what
    assert "--bootstrap" in fault.hint


# Which it is


def test_an_application_without_a_proof_is_not_replaced_by_who_is_logged_in(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """AZURE_CLIENT_ID says who was meant: Azure CLI's person is not taken instead."""
    stand_in(tmp_path / "bin", "print('{}')")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    with pytest.raises(UsageError, match="AZURE_CLIENT_SECRET"):
        signin.admin(cloud(desk), named(desk))


@pytest.mark.parametrize("how", ["browser", "device-code"])
def test_nobody_is_asked_off_a_terminal(desk: Desk, how: str):
    """Refused before anything is sent, with what to do there."""
    with pytest.raises(UsageError, match="no terminal"):
        signin.admin(cloud(desk), {"AZURE_TENANT_ID": "contoso.onmicrosoft.com"}, signin.Asked(how))
    with pytest.raises(UsageError, match="AZURE_CLIENT_SECRET"):
        signin.admin(cloud(desk), {"PATH": ""})


def test_an_unknown_sign_in_and_a_wrong_client_id_are_said(desk: Desk):
    """With what there is."""
    with pytest.raises(UsageError, match="no sign-in 'password'") as caught:
        signin.admin(cloud(desk), {}, signin.Asked("password"))
    assert "device-code" in caught.value.hint
    one = "00001111-aaaa-2222-bbbb-3333cccc4444"
    assert signin.clients([one]) == {"graph": one, "exchange": one}
    assert signin.clients([f"exchange={one}"]) == {"exchange": one}
    for wrong in ("me", f"mail={one}"):
        with pytest.raises(UsageError, match="no client id"):
            signin.clients([wrong])


def test_a_policy_that_blocks_an_application_is_named(desk: Desk):
    """AADSTS53003 for the one who runs exosp."""
    tenant = desk.running.sandbox.tenant
    application, _ = catalog.add_application(tenant.directory, "Blocked", exchange_roles=("Exchange.ManageAsApp",))
    secret = catalog.add_secret(tenant.directory, application, "s")
    tenant.faults.set("conditional-access-block", 1)
    given = named(desk, AZURE_CLIENT_ID=str(application.properties["appId"]), AZURE_CLIENT_SECRET=secret)
    fault = refused(desk, given)
    assert isinstance(fault, Forbidden)
    assert fault.code == "AADSTS53003"
    assert "policy" in fault.hint
