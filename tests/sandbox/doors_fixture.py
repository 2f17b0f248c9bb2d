"""A tenant with its three mail doors on free loopback ports, served from a thread so that blocking clients can judge them."""

import asyncio
import base64
import socket
import ssl
import subprocess
import tempfile
import threading
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from exosp.sandbox.doors import imap, pop, smtp
from exosp.sandbox.exchange import Mailbox, Row
from exosp.sandbox.tenant import Options, Tenant
from exosp.sandbox.tls import Authority

APP_ID = "11111111-1111-1111-1111-111111111111"
APPLICATION_OBJECT_ID = "22222222-2222-2222-2222-222222222222"  # the application's own: the classic mistake
PRINCIPAL_ID = "33333333-3333-3333-3333-333333333333"  # the enterprise application's
USER = "support@contoso.com"
AUDIENCE = "https://outlook.office365.com"
ALL_ROLES = ["IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"]


@cache
def authority() -> Authority:
    """One CA for the whole run: making keys is slow, and a shared one proves nothing less."""
    return Authority()


@cache
def signing_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def message(subject: str, sender: str = "someone@example.org", to: str = USER, body: str = "Hello.") -> bytes:
    return (
        f"From: Some One <{sender}>\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{subject.replace(' ', '-')}@example.org>\r\n"
        f"Date: Mon, 02 Feb 2026 10:00:00 +0000\r\n\r\n{body}\r\n"
    ).encode()


def build_tenant(*, own_key: bool = False, **options: Any) -> Tenant:
    """support@ open to the application on every protocol, sales@ and private@ not; two messages in support@."""
    tenant = Tenant(Options(faults="none", **options))
    if not own_key:
        vars(tenant.signer)["_key"] = signing_key()  # fills its cached property: see authority()
    tenant.exchange.transport_config["SmtpClientAuthenticationDisabled"] = False
    for address in (USER, "sales@contoso.com", "private@contoso.com"):
        tenant.exchange.add_mailbox(address)
    register(tenant)
    grant(tenant, USER)
    support = mailbox(tenant)
    support.messages += [{"uid": 7, "raw": message("first letter")}, {"uid": 9, "raw": message("second letter")}]
    return tenant


def mailbox(tenant: Tenant, address: str = USER) -> Mailbox:
    found = tenant.exchange.by_address(address)
    assert found is not None
    return found


def register(tenant: Tenant, object_id: str = PRINCIPAL_ID, *, effective_at: float = 0.0) -> None:
    row = {"AppId": APP_ID, "ObjectId": object_id, "DisplayName": "Support Desk Mail"}
    tenant.exchange.service_principals.append(Row(row, tenant.clock.now(), effective_at))


def grant(tenant: Tenant, address: str, *, deny: bool = False, effective_at: float = 0.0, trustee: str = PRINCIPAL_ID) -> None:  # fmt: skip
    row = {"AccessRights": ["FullAccess"], "Deny": deny, "User": trustee, "_trustee": trustee, "InheritanceType": "All"}
    mailbox(tenant, address).permissions.append(Row(row, tenant.clock.now(), effective_at))


def send_as(tenant: Tenant, address: str, trustee: str) -> None:
    row = {"AccessRights": ["SendAs"], "Trustee": trustee, "_trustee": trustee, "AccessControlType": "Allow"}
    mailbox(tenant, address).recipient_permissions.append(Row(row, tenant.clock.now()))


def token(tenant: Tenant, lifetime: float = 3599, **claims: Any) -> str:
    usual = {"aud": AUDIENCE, "appid": APP_ID, "oid": PRINCIPAL_ID, "roles": ALL_ROLES}
    return tenant.signer.mint(usual | claims, lifetime)


def xoauth2(user: str, access_token: str) -> str:
    return base64.b64encode(f"user={user}\x01auth=Bearer {access_token}\x01\x01".encode()).decode()


class Doors:
    """The three doors of a tenant. A context manager."""

    def __init__(self, tenant: Tenant | None = None) -> None:
        self.tenant = tenant or build_tenant()
        self.authority = authority()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self.failures: list[BaseException] = []
        self.clients = ExitStack()  # what clients leave open is closed before the doors are

    def __enter__(self) -> "Doors":
        self._thread.start()
        self.imap, self.pop, self.smtp = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self._folder = tempfile.TemporaryDirectory(prefix="exosp-doors-")
        self.ca = Path(self._folder.name, "ca.pem")
        self.ca.write_bytes(self.authority.ca_pem)
        return self

    def __exit__(self, *exception: object) -> None:
        self.clients.close()
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self._folder.cleanup()
        assert not self.failures, self.failures

    async def _listen(self) -> tuple[int, int, int]:
        async def serve_imap(r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
            await self._watch(imap.serve(self.tenant, r, w))

        async def serve_pop(r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
            await self._watch(pop.serve(self.tenant, r, w))

        async def serve_smtp(r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
            await self._watch(smtp.serve(self.tenant, self.authority.context, r, w))

        tls = self.authority.context
        self._servers = [
            await asyncio.start_server(serve_imap, "127.0.0.1", 0, ssl=tls),
            await asyncio.start_server(serve_pop, "127.0.0.1", 0, ssl=tls),
            await asyncio.start_server(serve_smtp, "127.0.0.1", 0),
        ]
        ports = [server.sockets[0].getsockname()[1] for server in self._servers]
        return ports[0], ports[1], ports[2]

    async def _watch(self, served: Any) -> None:
        """Keep what a door raises: a door must end by itself or by cancellation, never by an exception."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await served
        except asyncio.CancelledError:
            pass  # the server stops; Python 3.11's stream callback would log a cancelled task as an error
        except Exception as error:
            self.failures.append(error)
        finally:
            self._tasks.discard(task)

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        assert not self._tasks

    def open_sessions(self) -> int:
        return len(self._tasks)

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca))

    def wire(self, port: int, *, tls: bool) -> "Wire":
        return self.clients.enter_context(Wire(port, self.trust() if tls else None))

    def curl(self, curl: str, url: str, *arguments: str, access_token: str, user: str = USER) -> "subprocess.CompletedProcess[bytes]":  # fmt: skip
        command = [curl, "-sS", "--max-time", "20", "--cacert", str(self.ca), "--oauth2-bearer", access_token,
                   "-u", f"{user}:", url, *arguments]  # fmt: skip
        return subprocess.run(command, capture_output=True, timeout=30, check=False)


class Wire:
    """A socket that speaks lines: for what no client library would send."""

    def __init__(self, port: int, context: ssl.SSLContext | None) -> None:
        self.raw = socket.create_connection(("127.0.0.1", port), 10)
        self.socket: socket.socket = context.wrap_socket(self.raw, server_hostname="localhost") if context else self.raw
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *exception: object) -> None:
        self.file.close()
        self.socket.close()

    def send(self, data: str | bytes) -> None:
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def line(self) -> str:
        """The next line without its end; empty once the server has closed."""
        return self.file.readline().decode().rstrip("\r\n")

    def ask(self, line: str) -> str:
        """Send a line, return the first line of the answer."""
        self.send(line + "\r\n")
        return self.line()

    def tagged(self, line: str) -> list[str]:
        """An IMAP command under tag A; all lines of the answer up to the tagged one or the end."""
        self.send(f"A {line}\r\n")
        return self.until("A ")

    def until(self, prefix: str) -> list[str]:
        found = []
        while raw := self.file.readline():
            found.append(raw.decode("utf-8", "replace").rstrip("\r\n"))
            if found[-1].startswith(prefix):
                break
        return found

    def reply(self, line: str) -> list[str]:
        """An SMTP command and all lines of its reply."""
        self.send(line + "\r\n")
        return self.smtp()

    def smtp(self) -> list[str]:
        found = [self.line()]
        while found[-1][3:4] == "-":
            found.append(self.line())
        return found

    def secure(self, context: ssl.SSLContext) -> None:
        self.file.close()
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.file = self.socket.makefile("rb")

    def closed(self) -> bool:
        return self.file.readline() == b""
