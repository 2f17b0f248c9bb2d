"""Signing in: azure-identity against a hand-written sign-in host that plays Entra's documented replies."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, quote, quote_plus

import pytest

from exosp import signin
from exosp.clouds import CLOUDS, Cloud
from exosp.errors import CloudError, Error, Forbidden, Missing, Throttled, Unreachable, UsageError
from exosp.signin import identity
from loopback import CLIENT, SECRET, TENANT, Authority, Reply, Server, jwt

AT = datetime(2035, 1, 2, 3, 4, 5, tzinfo=UTC)  # loopback.DATE
ENVIRONMENT = {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": CLIENT, "AZURE_CLIENT_SECRET": SECRET}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "right")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "stranger")


@pytest.fixture
def server(authority: Authority) -> Iterator[Server]:
    server = Server(authority.issue())
    yield server
    server.close()


def cloud_at(address: str, ca: Path | None) -> Cloud:
    return replace(CLOUDS["global"], name="loopback", login=address, graph=address, ca=ca)


@pytest.fixture
def cloud(server: Server, authority: Authority) -> Cloud:
    return cloud_at(server.address, authority.path)


def ask(cloud: Cloud) -> signin.Token:
    return signin.app_token(cloud, TENANT, CLIENT, SECRET)


def all_text(fault: BaseException) -> str:
    """All that a person or a log could see of an error."""
    parts = [str(fault), repr(fault), *map(str, fault.args)]
    if isinstance(fault, Error):
        parts += [fault.what, fault.where, fault.hint]
    return "\n".join(parts)


def assert_secret_not_in(text: str) -> None:
    for form in (SECRET, quote(SECRET, safe=""), quote_plus(SECRET), json.dumps(SECRET)[1:-1]):
        assert form not in text


def entra_error(status: int, code: int, error: str, text: str, **headers: str) -> Reply:
    """Entra's error reply as the vendor's page shows it."""
    trace = "0000aaaa-11bb-cccc-dd22-eeeeee333333"
    body = {
        "error": error,
        "error_description": f"AADSTS{code}: {text} Trace ID: {trace} Correlation ID: aaaa0000-bb11-2222-33cc-444444dddddd "
        "Timestamp: 2035-01-02 03:04:05Z",
        "error_codes": [code],
        "timestamp": "2035-01-02 03:04:05Z",
        "trace_id": trace,
        "correlation_id": "aaaa0000-bb11-2222-33cc-444444dddddd",
    }
    return Reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


# Tokens


def test_app_token_reads_claims_and_judges_time_by_the_endpoints_clock(cloud: Cloud, server: Server):
    """Claims are read; ``obtained`` is the endpoint's Date and ``expires`` the token's, whatever our clock says."""
    token = ask(cloud)
    assert token.claims["roles"] == ["IMAP.AccessAsApp"]
    assert token.claims["aud"] == "https://outlook.office365.com"
    assert token.claims["oid"] == "11112222-bbbb-3333-cccc-4444dddd5555"
    assert token.obtained == AT
    assert token.expires - token.obtained == timedelta(hours=1)
    sent = parse_qs(server.token_requests[0].body.decode())
    assert sent["grant_type"] == ["client_credentials"]
    assert sent["scope"] == ["https://outlook.office365.com/.default"]
    assert sent["client_secret"] == [SECRET]


def test_a_token_does_not_show_itself(cloud: Cloud):
    """Neither repr nor str nor a traceback's f-string shows a token; reveal does."""
    token = ask(cloud)
    assert token.reveal().count(".") == 2
    for shown in (repr(token), str(token), f"{token}", repr([token])):
        assert token.reveal() not in shown
        assert token.reveal().split(".")[1] not in shown


def test_app_token_never_comes_from_a_cache(cloud: Cloud, server: Server):
    """Two calls make two token requests, and each is announced: a token keeps the roles it was made with."""
    announced: list[int] = []
    for _ in range(2):
        signin.app_token(cloud, TENANT, CLIENT, SECRET, on_request=lambda: announced.append(1))
    assert len(server.token_requests) == len(announced) == 2


def test_an_opaque_token_lives_as_long_as_the_endpoint_says(cloud: Cloud, server: Server):
    """A token that is no JWT has no claims; its lifetime counts from the endpoint's Date."""
    server.token_replies = [Reply(body={"token_type": "Bearer", "expires_in": 600, "access_token": "opaque"})]
    token = ask(cloud)
    assert token.claims == {}
    assert timedelta(seconds=590) < token.expires - AT <= timedelta(seconds=600)


def test_admin_holds_tokens_in_memory_and_counts_requests(cloud: Cloud, server: Server):
    """One token request serves until the token ends, and its Date stays its own; another scope is another request."""
    announced: list[int] = []
    admin = signin.admin(cloud, ENVIRONMENT)
    admin.on_request = lambda: announced.append(1)
    server.claims = {"exp": 4102444800}
    first, second = admin.exchange_token(), admin.exchange_token()
    assert first.reveal() == second.reveal()
    assert first.obtained == second.obtained == AT
    assert admin.requests == len(server.token_requests) == 1
    assert admin.graph_credential().get_token(cloud.graph_scope).token
    assert admin.requests == len(server.token_requests) == len(announced) == 2
    assert parse_qs(server.token_requests[1].body.decode())["scope"] == [cloud.graph_scope]
    assert admin.tenant == TENANT
    assert SECRET not in repr(admin)


def test_admin_signs_in_with_a_certificate(cloud: Cloud, server: Server, authority: Authority):
    """AZURE_CLIENT_CERTIFICATE_PATH signs an assertion; no secret is sent."""
    environment = {**ENVIRONMENT, "AZURE_CLIENT_CERTIFICATE_PATH": str(authority.issue("admin", rsa_key=True))}
    del environment["AZURE_CLIENT_SECRET"]
    assert signin.admin(cloud, environment).exchange_token().claims["appid"] == CLIENT
    sent = parse_qs(server.token_requests[0].body.decode())
    assert sent["client_assertion_type"] == ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    assert sent["client_assertion"][0].count(".") == 2
    assert "client_secret" not in sent


# The environment


@pytest.mark.parametrize("missing", ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"])
def test_what_is_missing_is_named(cloud: Cloud, missing: str):
    """Each variable that is missing or empty is named, and the hint says what to set."""
    for environment in ({**ENVIRONMENT, missing: ""}, {k: v for k, v in ENVIRONMENT.items() if k != missing}):
        with pytest.raises(UsageError) as caught:
            signin.admin(cloud, environment)
        assert missing in caught.value.what
        assert "AZURE_CLIENT_CERTIFICATE_PATH" in caught.value.hint
        assert not [name for name in ENVIRONMENT if name != missing and name in caught.value.what]


@pytest.mark.parametrize("tenant", ["contoso/../x", "a b", "https://login", "ü"])
def test_a_tenant_that_is_none_is_refused_before_anything_is_sent(cloud: Cloud, server: Server, tenant: str):
    """It would stand in an address."""
    with pytest.raises(UsageError, match="AZURE_TENANT_ID"):
        signin.admin(cloud, {**ENVIRONMENT, "AZURE_TENANT_ID": tenant})
    with pytest.raises(UsageError, match="no tenant"):
        signin.app_token(cloud, tenant, CLIENT, SECRET)
    assert server.metadata_requests == 0


def test_unusable_certificates_are_usage_errors(cloud: Cloud, authority: Authority, tmp_path: Path):
    """Absent, not a certificate, without its key, with a key of the wrong kind: each is said, none is a traceback."""
    garbage, folder = tmp_path / "garbage.pem", tmp_path
    garbage.write_text("-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n")
    for path in (tmp_path / "absent.pem", garbage, authority.path, authority.issue("admin"), folder):
        environment = {**ENVIRONMENT, "AZURE_CLIENT_SECRET": "", "AZURE_CLIENT_CERTIFICATE_PATH": str(path)}
        with pytest.raises(UsageError) as caught:
            signin.admin(cloud, environment)
        assert str(path) in caught.value.where


def test_a_missing_certificate_file_of_the_cloud_is_a_usage_error(cloud: Cloud, tmp_path: Path):
    """The cloud's ``ca`` is named when it cannot be read: never is it passed over."""
    with pytest.raises(UsageError) as caught:
        ask(replace(cloud, ca=tmp_path / "gone.pem"))
    assert str(tmp_path / "gone.pem") in caught.value.where


# Refusals


@pytest.mark.parametrize(
    ("code", "status", "error", "text", "kind", "hint"),
    [
        (7000215, 401, "invalid_client", "Invalid client secret provided. Ensure the secret being sent in the request is "
         "the client secret value, not the client secret ID, for a secret added to app 'x'.", Forbidden, "Secret ID"),
        (7000222, 401, "invalid_client", "The provided client secret keys for app 'x' are expired.", Forbidden, "expired"),
        (700016, 400, "unauthorized_client", "Application with identifier 'x' was not found in the directory 'Contoso'.",
         Missing, "client id"),
        (700027, 401, "invalid_client", "The certificate with identifier used to sign the client assertion is not "
         "registered on application.", Forbidden, "certificate"),
        (7000112, 401, "unauthorized_client", "Application 'x'(y) is disabled.", Forbidden, "enable"),
        (7000229, 401, "unauthorized_client", "The client application x is missing service principal in the tenant y.",
         Missing, "enterprise application"),
        (90002, 400, "invalid_request", "Tenant 'x' not found.", Missing, "tenant"),
        (900023, 400, "invalid_request", "Specified tenant identifier 'x' is neither a valid DNS name, nor a valid "
         "external domain.", Missing, "tenant"),
        (500011, 400, "invalid_resource", "The resource principal named x was not found in the tenant named y.",
         Missing, "licensed"),
        (53003, 400, "invalid_grant", "Access has been blocked by Conditional Access policies.", Forbidden, "policy"),
        (65001, 400, "invalid_grant", "The user or administrator has not consented to use the application.",
         Forbidden, "consent"),
        (1002012, 400, "invalid_scope", "The provided value for scope x is not valid.", CloudError, "scope"),
        (90033, 503, "temporarily_unavailable", "A transient error has occurred.", Unreachable, "again"),
        (90055, 400, "invalid_request", "TenantThrottlingError - There are too many incoming requests.", Throttled, ""),
        (123456789, 400, "invalid_request", "Something new.", CloudError, "error?code=123456789"),
    ],
)  # fmt: skip
def test_each_refusal_of_entra_has_its_error(
    cloud: Cloud, server: Server, code: int, status: int, error: str, text: str, kind: type[CloudError], hint: str
):
    """The AADSTS code decides; it, Entra's words and the trace id are kept; exactly one token request is sent."""
    server.token_replies = [entra_error(status, code, error, text)]
    with pytest.raises(CloudError) as caught:
        ask(cloud)
    fault = caught.value
    assert type(fault) is kind
    assert fault.code == f"AADSTS{code}"
    assert fault.what == f"AADSTS{code}: {text}"
    assert hint in fault.hint
    assert fault.request_id == "0000aaaa-11bb-cccc-dd22-eeeeee333333"
    assert fault.request_id in fault.where
    assert fault.service == "token"
    assert len(server.token_requests) == 1


def test_a_wrong_tenant_is_refused_at_the_metadata_already(cloud: Cloud, server: Server):
    """msal asks for the metadata first; its refusal is classified as a token's is, and the secret is not sent."""
    server.metadata = lambda: entra_error(400, 90002, "invalid_tenant", "Tenant 'x' not found.")
    with pytest.raises(Missing) as caught:
        ask(cloud)
    assert caught.value.code == "AADSTS90002"
    assert server.token_requests == []


def test_no_error_repeats_the_secret(cloud: Cloud, server: Server):
    """Even where a server says back what it was sent, in any encoding; chained exceptions are not shown either."""
    for form in (SECRET, quote(SECRET, safe=""), quote_plus(SECRET)):
        server.token_replies = [entra_error(401, 7000215, "invalid_client", f"You sent {form}.")]
        with pytest.raises(Forbidden) as caught:
            ask(cloud)
        assert_secret_not_in(all_text(caught.value))
        assert "You sent ***." in caught.value.what
        assert caught.value.__suppress_context__


def test_after_a_refusal_the_endpoint_is_asked_again(cloud: Cloud, server: Server):
    """msal would answer a repeat from memory for a minute; a secret that became known in between must work."""
    admin = signin.admin(cloud, ENVIRONMENT)
    server.token_replies = [entra_error(400, 7000215, "invalid_client", "Invalid client secret provided.")] * 2
    for _ in range(2):
        with pytest.raises(Forbidden):
            admin.exchange_token()
    assert admin.exchange_token().reveal()
    assert admin.requests == len(server.token_requests) == 3


def test_throttling_is_told_with_its_seconds_and_not_repeated(cloud: Cloud, server: Server):
    """429: Retry-After in seconds or as a date; azure-core's own retries are off."""
    admin = signin.admin(cloud, ENVIRONMENT)
    for text, seconds in (("7", 7.0), ("Tue, 02 Jan 2035 03:04:35 GMT", 30.0)):
        server.token_replies = [entra_error(429, 90055, "temporarily_unavailable", "Too many.", Retry_After=text)]
        with pytest.raises(Throttled) as caught:
            admin.exchange_token()
        assert caught.value.after == seconds
    assert len(server.token_requests) == 2


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_gateway_page_is_unreachable_and_transient(cloud: Cloud, server: Server, status: int):
    """HTML in place of an answer; one request, nothing can have happened."""
    server.token_replies = [Reply(status, "<html>Bad gateway</html>", {"Content-Type": "text/html"})]
    with pytest.raises(Unreachable) as caught:
        ask(cloud)
    assert (caught.value.status, caught.value.transient, caught.value.may_have_happened) == (status, True, False)
    assert len(server.token_requests) == 1


# No answer


def test_an_untrusted_certificate_is_said_to_be_one(server: Server, stranger: Authority):
    """The hint speaks of trust; waiting would not help; nothing was sent."""
    with pytest.raises(Unreachable) as caught:
        ask(cloud_at(server.address, stranger.path))
    assert "not trusted" in caught.value.what
    assert "ca" in caught.value.hint
    assert (caught.value.transient, caught.value.may_have_happened) == (False, False)
    assert server.metadata_requests == 0


def test_another_hosts_certificate_is_said_to_be_one(authority: Authority):
    """A certificate that is trusted, but not for this name."""
    server = Server(authority.issue("elsewhere.example"))
    try:
        with pytest.raises(Unreachable, match="another host's") as caught:
            ask(cloud_at(server.address, authority.path))
        assert not caught.value.transient
    finally:
        server.close()


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_environments_bundle_does_not_replace_the_clouds(
    cloud: Cloud,
    server: Server,
    authority: Authority,
    stranger: Authority,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
):
    """msal alone lets these variables override what it is told to verify with; azure-identity's transport does not,
    neither to distrust the right server nor to trust the wrong one."""
    monkeypatch.setenv(variable, str(stranger.path))
    assert ask(cloud).reveal()
    monkeypatch.setenv(variable, str(authority.path))
    with pytest.raises(Unreachable, match="not trusted"):
        ask(cloud_at(server.address, stranger.path))


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_no_proxy_stands_before_this_machine(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, variable: str):
    """A proxy in the environment gets no loopback traffic."""
    monkeypatch.setenv(variable, f"http://127.0.0.1:{unused_port()}")
    assert ask(cloud).reveal()


def test_an_address_where_nobody_listens(authority: Authority):
    """Connection refused: may pass, nothing happened, the address is named."""
    port = unused_port()
    with pytest.raises(Unreachable, match=f"localhost:{port} refuses connections") as caught:
        ask(cloud_at(f"https://localhost:{port}", authority.path))
    assert (caught.value.transient, caught.value.may_have_happened) == (True, False)


def test_a_name_that_nobody_has(authority: Authority, monkeypatch: pytest.MonkeyPatch):
    """A name that does not resolve is no passing trouble."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Unreachable, match=r"no host is known by the name login\.invalid") as caught:
        ask(cloud_at("https://login.invalid", authority.path))
    assert not caught.value.transient


@pytest.mark.parametrize(
    "reply", [Reply(drop=True), Reply(body={"access_token": "x" * 200}, cut=True)], ids=["drop", "cut"]
)
def test_a_broken_answer_is_unreachable(cloud: Cloud, server: Server, reply: Reply):
    """Dropped before or within the body: ask again."""
    server.token_replies = [reply]
    with pytest.raises(Unreachable, match="broke the connection off") as caught:
        ask(cloud)
    assert caught.value.transient


@pytest.mark.parametrize("body", ["<html>Sign in to the hotel's network</html>", "{}", "[]"])
def test_a_host_that_is_no_sign_in_host(cloud: Cloud, server: Server, body: str):
    """A good status on something else, as captive portals answer."""
    kind = "text/html" if body.startswith("<") else "application/json"
    server.metadata = lambda: Reply(200, body, {"Content-Type": kind})
    with pytest.raises(Unreachable, match="did not answer as Microsoft's sign-in host") as caught:
        ask(cloud)
    assert not caught.value.transient
    assert server.token_requests == []


def test_the_secret_goes_to_the_login_host_only(cloud: Cloud, server: Server, authority: Authority):
    """Metadata that names another host is refused before the secret is sent there."""
    other = Server(authority.issue())
    try:
        server.metadata = other.metadata
        with pytest.raises(CloudError, match="names another host") as caught:
            ask(cloud)
        assert f"localhost:{other.port}" in caught.value.what
        assert other.token_requests == other.seen == []
    finally:
        other.close()


# Manners


def test_importing_costs_nothing_heavy():
    """Both modules can be imported for a command's help without the libraries they stand on."""
    script = "import exosp.signin, exosp.graph, sys; print([m for m in sys.modules if m.split('.')[0] in " \
        "('azure', 'msal', 'requests', 'httpx', 'msgraph', 'kiota_http', 'cryptography')])"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_refusal_is_not_also_logged_on_the_terminal(cloud: Cloud, server: Server):
    """azure-identity logs refusals as warnings; without a listener Python would print them beside our own error."""
    server.token_replies = [entra_error(401, 7000215, "invalid_client", "Invalid client secret provided.")]
    script = (
        "import dataclasses, os, pathlib\n"
        "from exosp import clouds, errors, signin\n"
        "cloud = dataclasses.replace(clouds.CLOUDS['global'], login=os.environ['LOGIN'], ca=pathlib.Path(os.environ['CA']))\n"
        "try:\n    signin.admin(cloud, os.environ).exchange_token()\n"
        "except errors.Forbidden as fault:\n    print(fault.code)\n"
    )
    environment = {**os.environ, **ENVIRONMENT, "LOGIN": cloud.login, "CA": str(cloud.ca)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("AADSTS7000215\n", "")


def test_microsofts_own_hosts_are_looked_up_the_usual_way():
    """Instance discovery is off for hosts that are not Microsoft's, and for those only."""
    for cloud in CLOUDS.values():
        wire = identity._Wire(cloud, lambda: None, ())
        assert wire.options()["disable_instance_discovery"] is False
        assert wire.options()["use_env_settings"] is True
    wire = identity._Wire(cloud_at("https://localhost:1", None), lambda: None, ())
    assert wire.options()["disable_instance_discovery"] is True


def test_claims_of_strange_tokens_are_empty():
    """What cannot be read as a JWT has no claims, and never raises."""
    for text in ("", "a.b", "a.b.c", "a.!!!.c", f"a.{'W10'}.c", "é.é.é"):
        assert identity.claims_of(text) == {}
    assert identity.claims_of(jwt({"aud": "x"})) == {"aud": "x"}


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_what_stands_before_the_endpoint_throttles(cloud: Cloud, server: Server):
    """A 429 or 503 without any code of Entra's: both are asked again, as late as they say."""
    admin = signin.admin(cloud, ENVIRONMENT)
    for status, kind in ((429, Throttled), (503, Unreachable)):
        server.token_replies = [Reply(status, "<html>Later</html>", {"Content-Type": "text/html", "Retry-After": "9"})]
        with pytest.raises(kind) as caught:
            admin.exchange_token()
        assert caught.value.after == 9.0


def test_a_transient_code_is_asked_again_whatever_its_status(cloud: Cloud, server: Server):
    """Entra's code says that it is transient, also where the HTTP status does not."""
    server.token_replies = [entra_error(400, 90033, "temporarily_unavailable", "A transient error has occurred.")]
    with pytest.raises(Unreachable) as caught:
        ask(cloud)
    assert caught.value.transient
