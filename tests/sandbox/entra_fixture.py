"""A tenant with its login host and its Graph on free loopback ports, served from a thread so that blocking clients can judge them."""

import asyncio
import base64
import dataclasses
import hashlib
import json
import ssl
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from exosp.sandbox import catalog, entra, graph
from exosp.sandbox.tenant import Options, Ports, Tenant
from exosp.sandbox.tls import Authority

EXCHANGE = "https://outlook.office365.com"
GRAPH = "https://graph.microsoft.com"
LEAST = ["Application.ReadWrite.OwnedBy", "AppRoleAssignment.ReadWrite.All", "Application.Read.All"]

_authority: list[Authority] = []


@dataclasses.dataclass
class World:
    """One tenant, where its hosts listen, what to trust, and an application that may provision."""

    tenant: Tenant
    login: str
    graph: str
    ca: str
    admin: catalog.Credentials

    def client(self) -> httpx.Client:
        return httpx.Client(verify=ssl.create_default_context(cafile=self.ca), trust_env=False, timeout=20)

    def sign_in(self, **form: str) -> httpx.Response:
        """One request at the token endpoint, typed from the vendor's page; ``form`` adds to and replaces."""
        fields = {
            "client_id": self.admin.app_id, "client_secret": self.admin.secret,
            "scope": f"{self.tenant.shape.graph}/.default", "grant_type": "client_credentials",
        } | form  # fmt: skip
        tenant = fields.pop("tenant", self.tenant.tenant_id)
        with self.client() as client:
            return client.post(f"{self.login}/{tenant}/oauth2/v2.0/token", data={k: v for k, v in fields.items() if v})

    def claims(self, **form: str) -> dict[str, Any]:
        reply = self.sign_in(**form)
        assert reply.status_code == 200, reply.text
        return unsigned(reply.json()["access_token"])


def unsigned(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def caller(world: World, *roles: str) -> "Api":
    """Graph as seen by a new application that has these roles and no more."""
    app, principal = catalog.add_application(world.tenant.directory, f"Caller {uuid.uuid4()}", graph_roles=roles)
    assert principal is not None
    secret = catalog.add_secret(world.tenant.directory, app, "test")
    return Api(world, world.sign_in(client_id=app.properties["appId"], client_secret=secret).json()["access_token"])


@dataclasses.dataclass
class Api:
    """Requests typed by hand, with a token."""

    world: World
    token: str

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        head = {"Authorization": f"Bearer {self.token}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        url = path if path.startswith("https:") else f"{self.world.graph}/v1.0{path}"
        with self.world.client() as client:
            return client.request(method, url, headers=head, **({"json": body} if body is not None else {}))

    def made(self, path: str, body: Any) -> dict[str, Any]:
        reply = self("POST", path, body)
        assert reply.status_code == 201, reply.text
        document: dict[str, Any] = reply.json()
        return document


def error(reply: httpx.Response) -> tuple[int, str, str]:
    body = reply.json()["error"]
    return reply.status_code, body["code"], body["message"]


@contextmanager
def running(faults: str = "none", graph_roles: list[str] | None = None, **options: Any) -> Iterator[World]:
    tenant = Tenant(Options(faults=faults, **options))
    catalog.install(tenant.directory)
    admin = catalog.add_admin(
        tenant.directory, graph_roles or LEAST, ["Exchange.ManageAsApp"], ["Exchange Administrator"]
    )
    tenant.admin_app_id = admin.app_id
    if not _authority:
        _authority.append(Authority())
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runners: list[web.AppRunner] = []

    async def start(app: web.Application) -> int:
        runner = web.AppRunner(app)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=_authority[0].context)
        await site.start()
        return int(runner.addresses[0][1])

    async def stop() -> None:
        for runner in runners:
            await runner.cleanup()
        for _ in range(5):  # what a closed connection still has to say to the loop, before the loop is closed
            await asyncio.sleep(0)

    try:
        ports = [
            asyncio.run_coroutine_threadsafe(start(app), loop).result(20)
            for app in (entra.build(tenant), graph.build(tenant))
        ]
        tenant.ports = Ports(login=ports[0], graph=ports[1])
        with tempfile.TemporaryDirectory() as folder:
            ca = Path(folder, "ca.pem")
            ca.write_bytes(_authority[0].ca_pem)
            yield World(tenant, f"https://localhost:{ports[0]}", f"https://localhost:{ports[1]}", str(ca), admin)
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


class Certificate:
    """A self-signed certificate with its key, as a client holds it."""

    def __init__(self, days: int = 90) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "judge")])
        now = datetime.now(UTC)
        self.certificate = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=days)).sign(self.key, hashes.SHA256())
        )  # fmt: skip
        self.der = self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def private_pem(self) -> str:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    @property
    def pem(self) -> bytes:
        return self.private_pem.encode() + self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def thumbprint(self) -> str:
        return hashlib.sha1(self.der).hexdigest()

    def credential(self) -> dict[str, Any]:
        """The keyCredential that registers it (keyCredential resource page)."""
        return {
            "type": "AsymmetricX509Cert",
            "usage": "Verify",
            "key": base64.b64encode(self.der).decode(),
            "displayName": "CN=judge",
        }

    def assertion(self, audience: str, client: str, algorithm: str = "RS256", **claims: Any) -> str:
        """A client assertion as the certificate-credentials page has it."""
        digest = (hashlib.sha256 if algorithm == "PS256" else hashlib.sha1)(self.der).digest()
        name = "x5t#S256" if algorithm == "PS256" else "x5t"
        now = time.time()
        body = {
            "aud": audience,
            "iss": client,
            "sub": client,
            "jti": str(uuid.uuid4()),
            "nbf": int(now),
            "exp": now + 600.5,
        } | claims
        body = {k: v for k, v in body.items() if v is not None}
        head = {name: base64.urlsafe_b64encode(digest).rstrip(b"=").decode()}
        return jwt.encode(body, self.key, algorithm=algorithm, headers=head)


def register_certificate(world: World, certificate: Certificate) -> None:
    """Put a certificate on the admin's application, through Graph."""
    api = caller(world, "Application.ReadWrite.All")
    path = f"/applications(appId='{world.admin.app_id}')"
    reply = api("PATCH", path, {"keyCredentials": [certificate.credential()]})
    assert reply.status_code == 204, reply.text


def schema() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path(__file__).parents[1].joinpath("data", "graph-types.json").read_text())
    return document
