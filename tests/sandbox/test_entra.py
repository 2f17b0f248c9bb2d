"""The login host, judged by msal, azure-identity and requests typed from the vendor's pages."""

import asyncio
import base64
import re
import time
import uuid
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import jwt
import msal
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CertificateCredential, ClientSecretCredential
from azure.identity.aio import CertificateCredential as AsyncCertificateCredential
from azure.identity.aio import ClientSecretCredential as AsyncClientSecretCredential
from entra_fixture import EXCHANGE, GRAPH, Certificate, World, caller, register_certificate, running, unsigned

from exosp.sandbox import catalog
from exosp.sandbox.directory import digest
from exosp.sandbox.people import User

_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    with running() as world:
        yield world


@pytest.fixture(scope="module")
def certified(shared: World) -> tuple[World, Certificate]:
    certificate = Certificate()
    register_certificate(shared, certificate)
    return shared, certificate


@pytest.fixture
def fresh() -> Iterator[World]:
    with running() as world:
        yield world


def session() -> requests.Session:
    made = requests.Session()
    made.trust_env = False
    return made


# ---- foreign clients ----


def test_msal_signs_in_with_a_secret(shared: World) -> None:
    """msal discovers the endpoints itself and gets a token whose audience and roles are Exchange's."""
    http = session()
    http.verify = shared.ca
    app = msal.ConfidentialClientApplication(
        shared.admin.app_id, client_credential=shared.admin.secret, authority=f"{shared.login}/{shared.tenant.tenant_id}",
        instance_discovery=False, http_client=http,
    )  # fmt: skip
    answer = app.acquire_token_for_client([f"{EXCHANGE}/.default"])
    assert "access_token" in answer, answer
    claims = unsigned(answer["access_token"])
    assert (claims["aud"], claims["roles"]) == (EXCHANGE, ["Exchange.ManageAsApp"])


def test_msal_signs_in_with_a_certificate(certified: tuple[World, Certificate]) -> None:
    """msal's assertion, with thumbprint and private key, is taken once the certificate stands on the application."""
    world, certificate = certified
    http = session()
    http.verify = world.ca
    app = msal.ConfidentialClientApplication(
        world.admin.app_id,
        client_credential={"private_key": certificate.private_pem, "thumbprint": certificate.thumbprint},
        authority=f"{world.login}/{world.tenant.tenant_id}", instance_discovery=False, http_client=http,
    )  # fmt: skip
    assert "access_token" in app.acquire_token_for_client([f"{GRAPH}/.default"])


def test_msal_reports_a_wrong_secret(shared: World) -> None:
    """msal passes on error, number and text of a refusal."""
    http = session()
    http.verify = shared.ca
    app = msal.ConfidentialClientApplication(
        shared.admin.app_id, client_credential="wrong", authority=f"{shared.login}/{shared.tenant.tenant_id}",
        instance_discovery=False, http_client=http,
    )  # fmt: skip
    answer = app.acquire_token_for_client([f"{GRAPH}/.default"])
    assert answer["error"] == "invalid_client"
    assert answer["error_codes"] == [7000215]


def test_azure_identity_sync_signs_in(certified: tuple[World, Certificate]) -> None:
    """azure-identity's secret and certificate credentials get tokens for Exchange and Graph."""
    world, certificate = certified
    options = {"authority": world.login, "disable_instance_discovery": True, "connection_verify": world.ca}
    secret = ClientSecretCredential(world.tenant.tenant_id, world.admin.app_id, world.admin.secret, **options)
    assert unsigned(secret.get_token(f"{EXCHANGE}/.default").token)["aud"] == EXCHANGE
    held = CertificateCredential(
        world.tenant.tenant_id, world.admin.app_id, certificate_data=certificate.pem, **options
    )
    assert unsigned(held.get_token(f"{GRAPH}/.default").token)["appid"] == world.admin.app_id


def test_azure_identity_async_signs_in(certified: tuple[World, Certificate]) -> None:
    """The aio credentials, which sign with PS256 and x5t#S256, get tokens too."""
    world, certificate = certified

    async def run() -> list[str]:
        options = {"authority": world.login, "connection_verify": world.ca}
        names = []
        for credential in (
            AsyncClientSecretCredential(world.tenant.tenant_id, world.admin.app_id, world.admin.secret, **options),
            AsyncCertificateCredential(
                world.tenant.tenant_id, world.admin.app_id, certificate_data=certificate.pem, **options
            ),
        ):
            async with credential:
                names.append(unsigned((await credential.get_token(f"{EXCHANGE}/.default")).token)["aud"])
        return names

    assert asyncio.run(run()) == [EXCHANGE, EXCHANGE]


def test_azure_identity_names_the_refusal(shared: World) -> None:
    """azure-identity raises ClientAuthenticationError with the AADSTS text."""
    credential = ClientSecretCredential(
        shared.tenant.tenant_id, str(uuid.uuid4()), "wrong", authority=shared.login, disable_instance_discovery=True,
        connection_verify=shared.ca,
    )  # fmt: skip
    with pytest.raises(ClientAuthenticationError, match="AADSTS700016"):
        credential.get_token(f"{GRAPH}/.default")


# ---- tokens ----


def test_the_token_names_the_enterprise_application(shared: World) -> None:
    """oid and sub are the enterprise application's object id; roles, wids, idtyp and tid stand as Entra has them."""
    claims = shared.claims(scope=f"{EXCHANGE}/.default")
    assert claims["oid"] == claims["sub"] == shared.admin.principal_id
    assert claims["appid"] == shared.admin.app_id
    assert claims["tid"] == shared.tenant.tenant_id
    assert claims["idtyp"] == "app"
    assert claims["emulated"] is True
    assert "29232cdf-9323-42fd-ade2-1d097af3e4de" in claims["wids"]


def test_the_token_verifies_against_the_published_keys(shared: World) -> None:
    """A resource that trusts openid-configuration's jwks_uri verifies the signature."""
    token = shared.sign_in().json()["access_token"]
    with shared.client() as client:
        document = client.get(f"{shared.login}/{shared.tenant.tenant_id}/v2.0/.well-known/openid-configuration").json()
        keys = client.get(document["jwks_uri"]).json()["keys"]
    assert document["emulated"] is True
    key = next(row for row in keys if row["kid"] == jwt.get_unverified_header(token)["kid"])
    claims = jwt.decode(token, jwt.PyJWK(key).key, algorithms=["RS256"], audience=GRAPH)
    assert claims["tid"] == shared.tenant.tenant_id


@pytest.mark.parametrize(
    "resource",
    [
        EXCHANGE,
        "https://outlook.office.com",
        "https://ps.outlook.com",
        "00000002-0000-0ff1-ce00-000000000000",
        f"{EXCHANGE}/",
    ],
)
def test_every_name_of_exchange_is_its_audience_as_asked(shared: World, resource: str) -> None:
    """Names of one resource give the same roles, each with the audience that was asked for."""
    claims = shared.claims(scope=f"{resource}/.default")
    assert (claims["aud"], claims["roles"]) == (resource, ["Exchange.ManageAsApp"])


def test_graph_may_be_named_by_its_own_address(shared: World) -> None:
    """A client that asks for the sandbox's Graph by address gets Graph's roles."""
    claims = shared.claims(scope=f"{shared.graph}/.default")
    assert claims["aud"] == shared.graph
    assert "Application.Read.All" in claims["roles"]


def test_no_roles_no_claim(shared: World) -> None:
    """An application without app roles at the resource gets a token without ``roles``."""
    app, _ = catalog.add_application(shared.tenant.directory, "No roles")
    secret = catalog.add_secret(shared.tenant.directory, app, "one")
    claims = shared.claims(client_id=app.properties["appId"], client_secret=secret, scope=f"{EXCHANGE}/.default")
    assert "roles" not in claims


def test_the_secret_may_come_by_http_basic(shared: World) -> None:
    """RFC 6749's client_secret_basic works, by the tenant's domain name too."""
    with shared.client() as client:
        reply = client.post(
            f"{shared.login}/{shared.tenant.domain}/oauth2/v2.0/token",
            data={"grant_type": "client_credentials", "scope": f"{GRAPH}/.default"},
            auth=(shared.admin.app_id, shared.admin.secret),
        )
    assert reply.status_code == 200, reply.text


def test_times_are_the_sandboxs_and_expires_in_is_wall_time() -> None:
    """After an advance iat and the Date header move with sandbox time; a fast clock shortens expires_in."""
    with running(speed=10.0) as world:
        world.tenant.clock.advance(86400)
        reply = world.sign_in()
        claims = unsigned(reply.json()["access_token"])
        assert claims["iat"] - time.time() > 80000
        assert abs(parsedate_to_datetime(reply.headers["Date"]).timestamp() - claims["iat"]) < 60
        assert (claims["exp"] - claims["iat"]) // 10 == reply.json()["expires_in"]


# ---- refusals ----


def described(world: World, **form: str) -> tuple[int, str, int]:
    reply = world.sign_in(**form)
    body = reply.json()
    code = body["error_codes"][0]
    assert set(body) == {
        "error",
        "error_description",
        "error_codes",
        "timestamp",
        "trace_id",
        "correlation_id",
        "error_uri",
    }
    assert re.fullmatch(
        rf"AADSTS{code}: .+ Trace ID: [0-9a-f-]{{36}} Correlation ID: [0-9a-f-]{{36}} Timestamp: \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\dZ",
        body["error_description"],
        re.DOTALL,
    )
    assert "emulated" in str(reply.headers)
    return reply.status_code, body["error"], code


NOBODY = "99999999-9999-4999-8999-999999999999"


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"client_secret": "wrong"}, (401, "invalid_client", 7000215)),
        ({"client_secret": ""}, (401, "invalid_client", 7000216)),
        ({"client_id": NOBODY}, (400, "unauthorized_client", 700016)),
        ({"client_id": ""}, (400, "invalid_request", 900144)),
        ({"grant_type": ""}, (400, "invalid_request", 900144)),
        ({"grant_type": "bogus"}, (400, "unsupported_grant_type", 70003)),
        ({"grant_type": "password"}, (400, "invalid_request", 900144)),
        ({"grant_type": "password", "username": "nobody@contoso.com", "password": "x"}, (400, "invalid_grant", 50034)),
        ({"grant_type": "authorization_code"}, (400, "invalid_request", 900144)),
        ({"grant_type": "authorization_code", "code": "abc"}, (400, "invalid_grant", 9002313)),
        ({"grant_type": "refresh_token", "refresh_token": "abc"}, (400, "invalid_grant", 9002313)),
        ({"scope": ""}, (400, "invalid_request", 900144)),
        ({"scope": f"{EXCHANGE}/IMAP.AccessAsApp"}, (400, "invalid_scope", 1002012)),
        ({"scope": f"{EXCHANGE}/.default {GRAPH}/.default"}, (400, "invalid_scope", 700022)),
        ({"scope": "/.default"}, (400, "invalid_scope", 70011)),
        ({"scope": "https://nobody.example/.default"}, (400, "invalid_resource", 500011)),
        ({"scope": "https://localhost/.default"}, (400, "invalid_resource", 500011)),
        ({"tenant": NOBODY}, (400, "invalid_request", 90002)),
        ({"tenant": "fabrikam.onmicrosoft.com"}, (400, "invalid_request", 90002)),
        ({"tenant": "contoso"}, (400, "invalid_request", 900023)),
        ({"tenant": "common"}, (400, "invalid_request", 50059)),
        ({"tenant": "organizations"}, (400, "invalid_request", 50059)),
    ],
    ids=lambda value: str(value) if isinstance(value, tuple) else "",
)
def test_each_wrong_request_has_its_number(shared: World, form: dict[str, str], expected: tuple[int, str, int]) -> None:
    """A wrong field of a token request is refused with Entra's status, error and number, in Entra's document."""
    assert described(shared, **form) == expected


def test_the_secrets_id_is_not_its_value(shared: World) -> None:
    """Pasting the secret's id instead of its value is 7000215."""
    application = shared.tenant.directory.application(shared.admin.app_id)
    assert application is not None
    assert described(shared, client_secret=application.properties["passwordCredentials"][0]["keyId"])[2] == 7000215


def test_an_application_without_principal_is_named(fresh: World) -> None:
    """An application with a good secret and no enterprise application is 7000229, not 700016."""
    app, _ = catalog.add_application(fresh.tenant.directory, "Lonely", principal=False)
    secret = catalog.add_secret(fresh.tenant.directory, app, "one")
    assert described(fresh, client_id=app.properties["appId"], client_secret=secret)[2] == 7000229


def test_a_disabled_principal_is_refused(fresh: World) -> None:
    """accountEnabled false on the enterprise application is 7000112."""
    fresh.tenant.directory.service_principals[fresh.admin.principal_id].properties["accountEnabled"] = False
    assert described(fresh)[1:] == ("unauthorized_client", 7000112)


def test_a_secret_expires_in_sandbox_time(fresh: World) -> None:
    """Past its end the right secret is 7000222, the wrong one still 7000215."""
    fresh.tenant.clock.advance(200 * 86400)
    assert described(fresh)[2] == 7000222
    assert described(fresh, client_secret="wrong")[2] == 7000215


def test_a_tenant_without_exchange_has_no_such_resource(fresh: World) -> None:
    """Without the Exchange resource principal a token for it is 500011."""
    directory = fresh.tenant.directory
    exchange = directory.principal("00000002-0000-0ff1-ce00-000000000000")
    assert exchange is not None
    del directory.service_principals[exchange.id]
    assert described(fresh, scope=f"{EXCHANGE}/.default")[2] == 500011


def assertion_code(world: World, assertion: str, **form: str) -> int | None:
    reply = world.sign_in(client_secret="", client_assertion=assertion, client_assertion_type=_BEARER, **form)
    return None if reply.status_code == 200 else reply.json()["error_codes"][0]


def test_a_good_assertion_is_taken_for_each_audience(certified: tuple[World, Certificate]) -> None:
    """RS256 with x5t and PS256 with x5t#S256, for the token endpoint by tenant id, by domain, and the v2.0 issuer."""
    world, certificate = certified
    for algorithm in ("RS256", "PS256"):
        for place in (f"{world.tenant.tenant_id}/oauth2/v2.0/token", f"{world.tenant.domain}/oauth2/v2.0/token", f"{world.tenant.tenant_id}/v2.0"):  # fmt: skip
            good = certificate.assertion(f"{world.login}/{place}", world.admin.app_id, algorithm)
            assert assertion_code(world, good) is None


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"aud": "https://login.microsoftonline.com/x/oauth2/v2.0/token"}, 700023),
        ({"sub": NOBODY}, 700021),
        ({"iss": "https://token.actions.githubusercontent.com"}, 700211),
        ({"exp": 1_600_000_000}, 700024),
        ({"nbf": 2_600_000_000, "exp": 2_600_000_600}, 700024),
        ({"jti": None}, 50027),
        ({"exp": None}, 50027),
    ],
)
def test_each_claim_of_an_assertion_is_checked(
    certified: tuple[World, Certificate], claims: dict[str, object], code: int
) -> None:
    """aud, sub, iss, exp, nbf and jti each have their own refusal."""
    world, certificate = certified
    place = f"{world.login}/{world.tenant.tenant_id}/oauth2/v2.0/token"
    audience = str(claims.get("aud", place))
    rest = {key: value for key, value in claims.items() if key != "aud"}
    assert assertion_code(world, certificate.assertion(audience, world.admin.app_id, **rest)) == code


def test_an_unregistered_certificate_and_a_forged_signature_differ(certified: tuple[World, Certificate]) -> None:
    """A certificate that is not on the application is 700027; its thumbprint over another key is 50012; noise is 50027."""
    world, certificate = certified
    place = f"{world.login}/{world.tenant.tenant_id}/oauth2/v2.0/token"
    stranger = Certificate()
    assert assertion_code(world, stranger.assertion(place, world.admin.app_id)) == 700027
    stranger.der = certificate.der
    assert assertion_code(world, stranger.assertion(place, world.admin.app_id)) == 50012
    assert assertion_code(world, "no.jwt.atall") == 50027
    unsigned_one = jwt.encode({"iss": world.admin.app_id, "sub": world.admin.app_id, "aud": place, "jti": "1", "exp": time.time() + 60}, None, "none")  # fmt: skip
    assert assertion_code(world, unsigned_one) == 700027


def test_an_expired_certificate_is_refused() -> None:
    """A registered certificate past its end is 700027 with the reason."""
    with running() as world:
        certificate = Certificate(days=2)
        register_certificate(world, certificate)
        world.tenant.clock.advance(3 * 86400)
        place = f"{world.login}/{world.tenant.tenant_id}/oauth2/v2.0/token"
        reply = world.sign_in(
            client_secret="",
            client_assertion=certificate.assertion(place, world.admin.app_id),
            client_assertion_type=_BEARER,
        )
        assert "The key used is expired." in reply.json()["error_description"]


# ---- lag ----


def test_a_new_secret_lags() -> None:
    """Under secret-lag a secret from addPassword is 7000215 until its time has come; the knob is noted as fired."""
    with running("none,secret-lag=600") as world:
        api = caller(world, "Application.ReadWrite.All")
        made = api("POST", f"/applications(appId='{world.admin.app_id}')/addPassword", {}).json()
        assert described(world, client_secret=made["secretText"])[2] == 7000215
        assert world.tenant.faults.fired["secret-lag"] == 1
        world.tenant.clock.advance(601)
        assert world.sign_in(client_secret=made["secretText"]).status_code == 200


def test_a_token_keeps_the_roles_of_its_minting() -> None:
    """Under consent-lag a token minted just after an assignment lacks the role; one minted later has it."""
    with running(
        "none,consent-lag=600", graph_roles=["Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All"]
    ) as world:
        directory = world.tenant.directory
        exchange = directory.principal("00000002-0000-0ff1-ce00-000000000000")
        assert exchange is not None
        role = next(row["id"] for row in exchange.properties["appRoles"] if row["value"] == "IMAP.AccessAsApp")
        token = world.sign_in().json()["access_token"]
        with world.client() as client:
            made = client.post(
                f"{world.graph}/v1.0/servicePrincipals/{exchange.id}/appRoleAssignedTo",
                headers={"Authorization": f"Bearer {token}"},
                json={"principalId": world.admin.principal_id, "resourceId": exchange.id, "appRoleId": role},
            )
        assert made.status_code == 201, made.text
        assert "IMAP.AccessAsApp" not in world.claims(scope=f"{EXCHANGE}/.default")["roles"]
        world.tenant.clock.advance(601)
        assert "IMAP.AccessAsApp" in world.claims(scope=f"{EXCHANGE}/.default")["roles"]


# ---- discovery, introspection, the rest ----


def test_discovery_documents(shared: World) -> None:
    """openid-configuration stands in both places and for the shared authorities; instance discovery names this host."""
    with shared.client() as client:
        for path in (f"{shared.tenant.tenant_id}/v2.0", shared.tenant.domain, "common/v2.0", "organizations/v2.0"):
            document = client.get(f"{shared.login}/{path}/.well-known/openid-configuration").json()
            assert document["token_endpoint"].startswith(shared.login)
        refused = client.get(f"{shared.login}/{NOBODY}/v2.0/.well-known/openid-configuration")
        assert refused.json()["error_codes"] == [90002]
        found = client.get(
            f"{shared.login}/common/discovery/instance",
            params={
                "api-version": "1.1",
                "authorization_endpoint": f"{shared.login}/{shared.tenant.tenant_id}/oauth2/v2.0/authorize",
            },
        ).json()
        assert shared.tenant.tenant_id in found["tenant_discovery_endpoint"]
        assert found["metadata"][0]["aliases"] == [shared.login.removeprefix("https://")]


def test_an_unknown_route_is_named(shared: World) -> None:
    """What the login host does not emulate is answered 501 with its name."""
    with shared.client() as client:
        reply = client.get(f"{shared.login}/{shared.tenant.tenant_id}/saml2")
    assert reply.status_code == 501
    assert "saml2" in reply.json()["error_description"]


@pytest.mark.parametrize(
    "resource", ["https://ps.outlook.com", "Office365Exchange", EXCHANGE, "https://outlook.office.com"]
)
def test_introspection_takes_the_audiences_that_the_doors_take(fresh: World, resource: str) -> None:
    """Tokens for Exchange are minted under many names, and its doors take two of them: so does what stands in for them."""
    token = fresh.sign_in(scope=f"{resource}/.default").json()["access_token"]
    with fresh.client() as client:
        told = client.post(f"{fresh.login}/introspect", data={"token": token}).json()
    assert told["active"] is (resource in (EXCHANGE, "https://outlook.office.com"))


def test_introspection_checks_audience_time_and_the_protocols_role(fresh: World) -> None:
    """A mail server learns that a token is for Exchange, whose it is, and whether it carries the protocol's role."""
    app, principal = catalog.add_application(fresh.tenant.directory, "Mail", exchange_roles=("IMAP.AccessAsApp",))
    assert principal is not None
    secret = catalog.add_secret(fresh.tenant.directory, app, "one")
    who = {"client_id": str(app.properties["appId"]), "client_secret": secret}
    mail = fresh.sign_in(**who, scope=f"{EXCHANGE}/.default").json()["access_token"]
    other = fresh.sign_in(**who, scope=f"{GRAPH}/.default").json()["access_token"]

    def ask(token: str, service: str = "") -> dict[str, object]:
        headers = {"X-Dovecot-Auth-Service": service} if service else {}
        with fresh.client() as client:
            answer: dict[str, object] = client.post(
                f"{fresh.login}/introspect", data={"token": token}, headers=headers
            ).json()
        return answer

    good = ask(mail, "imap")
    assert good["active"] is True
    assert (good["appid"], good["oid"], good["roles"]) == (who["client_id"], principal.id, ["IMAP.AccessAsApp"])
    assert ask(mail)["active"] is True
    assert ask(mail, "pop3") == ask(mail, "submission") == ask(mail, "sieve") == {"active": False}
    assert ask(other, "imap") == ask("rubbish") == {"active": False}
    fresh.tenant.clock.advance(4000)
    assert ask(mail, "imap") == {"active": False}


def test_token_requests_are_counted(fresh: World) -> None:
    """Each token request is counted by its grant type."""
    fresh.sign_in()
    fresh.sign_in(client_secret="wrong")
    assert fresh.tenant.requests["token"] == {"client_credentials": 2}


def test_no_reply_repeats_a_secret(shared: World) -> None:
    """A refused secret or assertion never comes back in the reply."""
    reply = shared.sign_in(client_secret="s3cr3t-that-is-wrong")
    assert "s3cr3t" not in reply.text
    basic = base64.b64encode(f"{shared.admin.app_id}:s3cr3t-that-is-wrong".encode()).decode()
    with shared.client() as client:
        raw = client.post(
            f"{shared.login}/{shared.tenant.tenant_id}/oauth2/v2.0/token",
            data={"grant_type": "client_credentials", "scope": f"{GRAPH}/.default"}, headers={"Authorization": f"Basic {basic}"},
        )  # fmt: skip
    assert "s3cr3t" not in raw.text
    assert raw.headers["WWW-Authenticate"].startswith("Basic")


def test_a_persons_password_is_wrong(fresh: World) -> None:
    """A person of the tenant gets no token for another password: 50126 (azure-docs#55028)."""
    fresh.tenant.directory.people.users["1"] = User("1", "support@contoso.com", "Support", digest("right"))
    form = {"grant_type": "password", "username": "Support@contoso.com", "password": "x"}
    assert described(fresh, **form) == (400, "invalid_grant", 50126)


@pytest.mark.parametrize(
    "grant", ["urn:ietf:params:oauth:grant-type:saml2-bearer", "urn:ietf:params:oauth:grant-type:jwt-bearer"]
)
def test_a_grant_that_entra_knows_and_the_sandbox_does_not_is_named(shared: World, grant: str) -> None:
    """Entra takes SAML assertions and on-behalf-of; the sandbox says that it is the one that does not."""
    reply = shared.sign_in(grant_type=grant)
    assert reply.status_code == 501
    assert grant in reply.json()["error_description"]


def test_every_verified_domain_names_the_tenant(fresh: World) -> None:
    """A token endpoint may be named by any domain that the tenant's mailboxes have, in any case; by no other."""
    assert described(fresh, tenant="contoso.com")[2] == 90002
    fresh.tenant.exchange.add_mailbox("support@contoso.com")
    assert fresh.sign_in(tenant="Contoso.COM").status_code == 200
    assert described(fresh, tenant="fabrikam.com")[2] == 90002


def test_version_1_metadata_names_the_issuer_of_the_tokens(shared: World) -> None:
    """Access tokens here are of version 1.0: the document without v2.0 in its path is the one that validates them."""
    claims = jwt.decode(shared.sign_in().json()["access_token"], options={"verify_signature": False})
    with shared.client() as client:
        document = client.get(f"{shared.login}/{shared.tenant.tenant_id}/.well-known/openid-configuration").json()
        common = client.get(f"{shared.login}/common/.well-known/openid-configuration").json()
        keys = client.get(document["jwks_uri"]).json()
    assert document["issuer"] == claims["iss"]
    assert document["token_endpoint"].endswith("/oauth2/token")
    assert common["issuer"] == "https://sts.windows.net/{tenantid}/"
    assert keys["keys"]


def test_instance_discovery_knows_no_other_host(shared: World) -> None:
    """An authority that is not this host is no instance of the cloud: 50049."""
    with shared.client() as client:
        reply = client.get(f"{shared.login}/common/discovery/instance", params={"authorization_endpoint": "https://login.example/common/oauth2/v2.0/authorize"})  # fmt: skip
    assert (reply.status_code, reply.json()["error"], reply.json()["error_codes"]) == (400, "invalid_instance", [50049])


def test_a_token_for_azures_own_management(shared: World) -> None:
    """Azure CLI asks for one before anything else, so every tenant has that resource."""
    assert shared.sign_in(scope="https://management.core.windows.net//.default").status_code == 200
