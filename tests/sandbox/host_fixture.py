"""A management host of its own for each test: a tenant, an HTTPS listener on a free port, and clients for it."""

import asyncio
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from exosp.sandbox import wsman
from exosp.sandbox.directory import Entity
from exosp.sandbox.tenant import Options, Tenant
from exosp.sandbox.tls import Authority

AUDIENCE = "https://outlook.office365.com"
DOMAIN = "contoso.onmicrosoft.com"
# Made once: keys are slow to make, and shared ones prove nothing less.
_AUTHORITY = Authority()
_SIGNING_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Ran:
    """What one pipeline gave: rows as dicts, warnings and errors as pypsrp has them."""

    rows: list[dict[str, Any]]
    raw: list[Any]
    warnings: list[str]
    errors: list[Any]
    failed: bool

    @property
    def error(self) -> str:
        assert self.errors, f"no error; rows: {self.rows}"
        return str(self.errors[0])

    @property
    def error_id(self) -> str:
        return str(self.errors[0].fq_error)


class Host:
    """The host of one tenant. ``administrator`` is an application that may do everything."""

    def __init__(self, tenant: Tenant, port: int, ca: Path, plain_port: int) -> None:
        self.tenant = tenant
        self.port = port
        self.plain_port = plain_port
        self.ca = ca
        self.clients: list[WSMan] = []
        self.administrator = str(uuid.uuid4())
        tenant.directory.directory_roles[self.administrator] = {"Exchange Administrator"}

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/wsman"

    def wsman(self, **changes: Any) -> WSMan:
        options = {"port": self.port, "username": self.tenant.host_user, "password": self.tenant.host_password}
        options |= {"auth": "basic", "ssl": True, "cert_validation": str(self.ca), "no_proxy": True}
        self.clients.append(WSMan("localhost", **(options | changes)))
        return self.clients[-1]

    @contextmanager
    def pool(
        self, configuration: str = "Microsoft.PowerShell", connected: bool = True, **changes: Any
    ) -> Iterator[RunspacePool]:
        with RunspacePool(self.wsman(**changes), configuration_name=configuration) as pool:
            if connected:
                connection = self.connect(pool)
                assert not connection.failed, connection.error
            yield pool

    def token(self, object_id: str | None = None, lifetime: float = 3599, **claims: Any) -> str:
        usual = {
            "aud": AUDIENCE,
            "oid": object_id or self.administrator,
            "appid": "7b2b7c1e-0000-4000-8000-000000000001",
        }
        return self.tenant.signer.mint(usual | {"roles": ["Exchange.ManageAsApp"]} | claims, lifetime)

    def connect(self, pool: RunspacePool, token: Any = None, **parameters: Any) -> Ran:
        usual = {"AccessToken": token or self.token(), "Organization": DOMAIN, "ShowBanner": False}
        return run(pool, "Connect-ExchangeOnline", **(usual | parameters))

    def post(self, body: str | bytes, path: str = "/wsman", **changes: Any) -> requests.Response:
        options = {"auth": (self.tenant.host_user, self.tenant.host_password), "verify": str(self.ca), "timeout": 30}
        headers = {"Content-Type": "application/soap+xml;charset=UTF-8"} | changes.pop("headers", {})
        with requests.Session() as session:
            session.trust_env = False
            return session.post(
                f"https://localhost:{self.port}{path}", data=body, headers=headers, **(options | changes)
            )

    def enterprise_application(self, synced_at: float = 0.0) -> tuple[str, str]:
        """A new one in Entra: its appId and object id."""
        app_id, object_id = str(uuid.uuid4()), str(uuid.uuid4())
        self.tenant.directory.service_principals[object_id] = Entity(
            {"id": object_id, "appId": app_id}, 0.0, synced_at=synced_at
        )
        return app_id, object_id

    def registered(self, pool: RunspacePool, name: str = "Mail") -> tuple[str, str]:
        """The same, and entered in Exchange."""
        app_id, object_id = self.enterprise_application()
        made = run(pool, "New-ServicePrincipal", AppId=app_id, ObjectId=object_id, DisplayName=name)
        assert len(made.rows) == 1, made.errors
        return app_id, object_id


def run(pool: RunspacePool, name: str, input: list[Any] | None = None, **parameters: Any) -> Ran:  # noqa: A002 - pypsrp's word
    """One cmdlet through pypsrp: add_cmdlet and add_parameter, as a client does."""
    shell = PowerShell(pool)
    shell.add_cmdlet(name)
    shell.add_parameters(parameters)
    return invoke(shell, input)


def invoke(shell: PowerShell, input: Any = None) -> Ran:  # noqa: A002 - pypsrp's word
    shell.invoke(input)
    shell.close()
    rows = [{**row.adapted_properties, **row.extended_properties} for row in shell.output]
    warnings = [str(record) for record in shell.streams.warning]
    return Ran(rows, list(shell.output), warnings, list(shell.streams.error), shell.had_errors)


@contextmanager
def host(**options: Any) -> Iterator[Host]:
    """A host without faults unless they are named, and with three mailboxes."""
    tenant = Tenant(Options(**({"faults": "none"} | options)))
    vars(tenant.signer)["_key"] = _SIGNING_KEY  # fills its cached property
    for name in ("support", "sales", "private"):
        tenant.exchange.add_mailbox(f"{name}@contoso.com")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def wait(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(20)

    async def listen() -> tuple[web.AppRunner, int, int]:
        runner = web.AppRunner(wsman.build(tenant), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=_AUTHORITY.context).start()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner, runner.addresses[0][1], runner.addresses[1][1]

    async def end(runner: web.AppRunner) -> None:
        # A client that met a fault may keep its connection: cut them all, or their sockets outlive the loop.
        for connection in runner.server.connections if runner.server is not None else []:
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(0.02)
        await runner.cleanup()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await asyncio.sleep(0.01)  # transports close in the loop's next turns

    runner, port, plain = wait(listen())
    try:
        with tempfile.TemporaryDirectory() as folder:
            ca = Path(folder, "ca.pem")
            ca.write_bytes(_AUTHORITY.ca_pem)
            served = Host(tenant, port, ca, plain)
            try:
                yield served
            finally:
                for client in served.clients:
                    client.close()
    finally:
        wait(end(runner))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
