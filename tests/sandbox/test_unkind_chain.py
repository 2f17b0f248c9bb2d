"""Lag between services: what one was told and another has not heard, judged by httpx and pypsrp on a whole sandbox."""

import ssl
from collections.abc import Iterator

import httpx
import pytest
from host_fixture import run
from pypsrp.powershell import RunspacePool
from pypsrp.wsman import WSMan

from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options

pytestmark = pytest.mark.slow  # whole lives of a tenant, or a host that keeps one waiting


GRAPH, EXCHANGE = "https://graph.microsoft.com", "https://outlook.office365.com"


@pytest.fixture
def sandbox() -> Iterator[Running]:
    with Running(Options(faults="none,exchange-sync-lag=600")) as running:
        yield running


def test_exchange_hears_of_an_enterprise_application_late(sandbox: Running) -> None:
    """exchange-sync-lag: an enterprise application that Graph serves is AADServicePrincipalNotFound to Exchange until the
    lag is over; one with the application's own object id stays so for ever."""
    tenant = sandbox.sandbox.tenant
    ports, ca = tenant.ports, str(sandbox.sandbox.ca_path)
    with httpx.Client(verify=ssl.create_default_context(cafile=ca), trust_env=False) as client:

        def token(resource: str) -> str:
            form = {
                "client_id": tenant.admin_app_id,
                "client_secret": tenant.admin_secret,
                "scope": f"{resource}/.default",
            }
            place = f"https://localhost:{ports.login}/{tenant.tenant_id}/oauth2/v2.0/token"
            return str(client.post(place, data=form | {"grant_type": "client_credentials"}).json()["access_token"])

        def post(path: str, body: dict[str, str]) -> dict[str, str]:
            head = {"Authorization": f"Bearer {token(GRAPH)}"}
            reply = client.post(f"https://localhost:{ports.graph}/v1.0{path}", json=body, headers=head)
            assert reply.status_code == 201, reply.text
            found: dict[str, str] = reply.json()
            return found

        app = post("/applications", {"displayName": "Mail"})
        principal = post("/servicePrincipals", {"appId": app["appId"]})
        access = token(EXCHANGE)
    wsman = WSMan("localhost", port=ports.remoting, username=tenant.host_user, password=tenant.host_password,
                  auth="basic", ssl=True, cert_validation=ca, no_proxy=True)  # fmt: skip
    with wsman, RunspacePool(wsman) as pool:
        run(pool, "Connect-ExchangeOnline", AccessToken=access, Organization=tenant.domain, ShowBanner=False)
        early = run(pool, "New-ServicePrincipal", AppId=app["appId"], ObjectId=principal["id"])
        assert "AADServicePrincipalNotFound" in early.error
        assert tenant.faults.fired == {"exchange-sync-lag": 1}
        tenant.clock.advance(601)
        wrong = run(pool, "New-ServicePrincipal", AppId=app["appId"], ObjectId=app["id"])
        assert "AADServicePrincipalNotFound" in wrong.error
        assert run(pool, "New-ServicePrincipal", AppId=app["appId"], ObjectId=principal["id"]).rows
