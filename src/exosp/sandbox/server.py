"""Start every service of a tenant on loopback, and tell clients how to reach it.

``Sandbox`` lives in an event loop; ``Running`` gives it a thread of its own for callers who have none.
"""

import asyncio
import json
import logging
import os
import ssl
import tempfile
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from aiohttp import web

from . import admin_api, entra, graph, initial, management, outofproc, wsman
from .clouds import GLOBAL
from .doors import imap, pop, smtp
from .tenant import Options, Ports, Tenant
from .tls import Authority

HOST = "127.0.0.1"
_LOG = logging.getLogger("exosp.sandbox")
# A client that leaves in the middle of a request is no error of ours; whatever else a handler raises is reported.
_LOG.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], ConnectionError)))
TLS_FAREWELL = 0.05  # seconds for a client to answer the end of TLS
Door = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Sandbox:
    """One tenant with its listeners. ``listen``: the first of eight fixed ports, 0 for free ones."""

    def __init__(self, options: Options, content: dict[str, Any] | None = None, listen: int = 0) -> None:
        self.tenant = Tenant(initial.settled(options, content))
        initial.furnish(self.tenant, content)
        self._content = content
        self._listen = listen
        self._authority = Authority()
        self._runners: list[web.AppRunner] = []
        self._servers: list[asyncio.Server] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._stand_ins: outofproc.StandIns | None = None

    async def start(self) -> None:
        """Listen. Raises OSError where a fixed port is taken."""
        tls, tenant = self._authority.context, self.tenant
        try:
            tenant.ports = Ports(
                login=await self._web(entra.build(tenant), 0, tls),
                graph=await self._web(graph.build(tenant), 1, tls),
                remoting=await self._web(wsman.build(tenant), 2, tls),
                imap=await self._door(lambda r, w: imap.serve(tenant, r, w), 3, tls),
                pop=await self._door(lambda r, w: pop.serve(tenant, r, w), 4, tls),
                smtp=await self._door(lambda r, w: smtp.serve(tenant, tls, r, w), 5, None),
                management=await self._web(management.build(tenant, self._content), 6, None),
                admin_api=await self._web(admin_api.build(tenant), 7, tls),
            )
        except OSError:
            await self.stop()
            raise
        # Only files that hold no secret: the CA's certificate and the addresses.
        self._folder = tempfile.TemporaryDirectory(prefix="exosp-sandbox-")
        self.ca_path.write_bytes(self._authority.ca_pem)
        self.cloud_path.write_text(json.dumps(self.cloud(), indent=2), encoding="utf-8")
        self._stand_ins = outofproc.StandIns(tenant, Path(self._folder.name))
        await self._stand_ins.listen()

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        for runner in self._runners:
            await runner.cleanup()
        if self._servers:
            await asyncio.sleep(2 * TLS_FAREWELL)  # a connection whose client says no goodbye ends by itself
        if self._stand_ins is not None:
            self._stand_ins.close()
            await asyncio.sleep(0)  # for their connections to end
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    async def _web(self, app: web.Application, offset: int, tls: ssl.SSLContext | None) -> int:
        runner = web.AppRunner(app, access_log=None, logger=_LOG, shutdown_timeout=0.5)
        await runner.setup()
        self._runners.append(runner)
        assert runner.server is not None
        return await self._serve(runner.server, offset, tls)

    async def _door(self, serve: Door, offset: int, tls: ssl.SSLContext | None) -> int:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(asyncio.CancelledError):  # the sandbox stops: no report from Python 3.11's stream callback
                await serve(reader, writer)

        def protocol() -> asyncio.StreamReaderProtocol:
            return asyncio.StreamReaderProtocol(asyncio.StreamReader(), connected)

        return await self._serve(protocol, offset, tls)

    async def _serve(
        self, protocol: Callable[[], asyncio.BaseProtocol], offset: int, tls: ssl.SSLContext | None
    ) -> int:
        loop = asyncio.get_running_loop()
        port = self._listen + offset if self._listen else 0
        farewell = TLS_FAREWELL if tls else None
        server = await loop.create_server(protocol, HOST, port, ssl=tls, ssl_shutdown_timeout=farewell)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    @property
    def ca_path(self) -> Path:
        assert self._folder is not None, "not started"
        return Path(self._folder.name, "ca.pem")

    @property
    def cloud_path(self) -> Path:
        assert self._folder is not None, "not started"
        return Path(self._folder.name, "cloud.json")

    @property
    def pwsh(self) -> Path:
        """The stand-in for PowerShell's program; its folder can stand in PATH."""
        assert self._folder is not None, "not started"
        return Path(self._folder.name, "bin", "pwsh")

    def cloud(self) -> dict[str, str]:
        """The cloud file, schema exosp/cloud/1."""
        ports = self.tenant.ports
        return {
            "schema": "exosp/cloud/1",
            "name": "sandbox" if self.tenant.shape is GLOBAL else f"sandbox-{self.tenant.shape.name}",
            "login": f"https://localhost:{ports.login}",
            "graph": f"https://localhost:{ports.graph}",
            "exchange_resource": self.tenant.shape.exchange_resource,
            "admin_api": f"https://localhost:{ports.admin_api}",
            "imap": f"localhost:{ports.imap}",
            "pop": f"localhost:{ports.pop}",
            "smtp": f"localhost:{ports.smtp}",
            "exchange_environment": self.tenant.shape.environment,
            "ca": str(self.ca_path),
        }

    def environment(self) -> dict[str, str]:
        """The variables that point a client at this tenant, the provisioning application's own among them."""
        ports = self.tenant.ports
        return {
            "EXOSP_CLOUD": str(self.cloud_path),
            "EXOSP_REMOTING": f"winrm://localhost:{ports.remoting}/wsman?auth=basic",
            "EXOSP_REMOTING_USER": self.tenant.host_user,
            "EXOSP_REMOTING_PASSWORD": self.tenant.host_password,
            "EXOSP_SANDBOX": f"http://{HOST}:{ports.management}",
            "EXOSP_SANDBOX_USER": self.tenant.person,
            "EXOSP_SANDBOX_USER_PASSWORD": self.tenant.person_password,
            "AZURE_TENANT_ID": self.tenant.tenant_id,
            "AZURE_CLIENT_ID": self.tenant.admin_app_id,
            "AZURE_CLIENT_SECRET": self.tenant.admin_secret,
        }


class Running:
    """A sandbox in a thread: ``with Running(Options()) as sandbox: …``."""

    def __init__(self, options: Options, content: dict[str, Any] | None = None, listen: int = 0) -> None:
        self.sandbox = Sandbox(options, content, listen)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="exosp-sandbox", daemon=True)

    def __enter__(self) -> "Running":
        self._thread.start()
        try:
            self._wait(self.sandbox.start())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wait(self.sandbox.stop())
        self._end()

    def advance(self, seconds: float) -> None:
        """Let sandbox time pass."""
        self.sandbox.tenant.clock.advance(seconds)

    def environment(self) -> dict[str, str]:
        return self.sandbox.environment()

    def reset(self, **changes: Any) -> None:
        """Start the tenant anew, with some options changed; listeners and clients' variables stay."""

        async def again() -> None:
            tenant = self.sandbox.tenant
            tenant.reset(replace(tenant.options, **changes))
            initial.furnish(tenant, self.sandbox._content)

        self._wait(again())

    def _wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def clean_environment(extra: dict[str, str]) -> dict[str, str]:
    """This process's environment with ``extra`` set and nothing that would lead a client astray: other AZURE_* and
    EXOSP_* variables, and proxies for loopback."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AZURE_", "EXOSP_")) or k.startswith("EXOSP_VAR_")}
    hosts = "localhost,127.0.0.1"
    return kept | {"NO_PROXY": hosts, "no_proxy": hosts} | extra
