"""The management host's listener: WS-Management over HTTPS with Basic authentication, and the shells behind it.

Sources: MS-WSMV, DSP0226, recordings of real servers in jborean93/pypsrp, measurements with pypsrp 0.9.1.
It does not imitate: other authentication, message encryption, enumeration of shells, connecting from another client,
idle time-outs, plug-ins. Each is refused by name.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from xml.sax.saxutils import escape

from aiohttp import web

from . import hangup, psrp, soap, winrs
from .cmdlets.endpoints import ENDPOINTS
from .cmdlets.engine import Engine
from .shells import Shell
from .soap import RSP, Fault, Request
from .tenant import Tenant

POWERSHELL = "http://schemas.microsoft.com/powershell/"
CMD = f"{RSP}/cmd"
CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer/"
MAX_SHELLS = 30  # MaxShellsPerUser's default
MAX_OPERATIONS = 1500  # MaxConcurrentOperationsPerUser's default
REALM = 'Basic realm="WSMAN"'
_KEPT_REPLIES = 4096
_KEPT_BYTES = 32 * 1024 * 1024
_CONTENT_TYPE = "application/soap+xml"

Reply = tuple[int, bytes]


def build(tenant: Tenant, paths: Sequence[str] = ("/wsman",)) -> web.Application:
    """The application that serves POST on these paths. It answers only over TLS."""
    host = _Host(tenant)
    known = {path.rstrip("/").lower() for path in paths}

    async def serve(request: web.Request) -> web.StreamResponse:
        if request.path.rstrip("/").lower() not in known:
            return web.Response(status=404)
        if request.method != "POST":
            return web.Response(status=405, headers={"Allow": "POST"})
        if request.transport is None or request.transport.get_extra_info("ssl_object") is None:
            # AllowUnencrypted is off: Basic is not even offered without TLS.
            return web.Response(status=401, text="This host takes Basic authentication only over TLS.")
        body = await request.read()
        anonymous = request.headers.get("WSMANIDENTIFY", "").lower() == "unauthenticated"
        if not anonymous and not _authenticated(tenant, request.headers.get("Authorization", "")):
            return web.Response(status=401, headers={"WWW-Authenticate": REALM})
        trouble = "" if anonymous else host.trouble(body)
        if trouble in _INSTEAD:
            return _INSTEAD[trouble](tenant, request)
        status, answer = await host.answer(body, only_identify=anonymous)
        response = web.Response(status=status, body=answer, content_type=_CONTENT_TYPE, charset="UTF-8")
        if trouble == "remoting-drop-after":
            return hangup.silent(request)
        return await hangup.halfway(request, response) if trouble == "remoting-truncated" else response

    async def stop(app: web.Application) -> None:
        host.close()

    app = web.Application(client_max_size=soap.MAX_ENVELOPE * 4)
    app.router.add_route("*", "/{path:.*}", serve)
    app.on_shutdown.append(stop)
    return app


def _throttled(tenant: Tenant, request: web.Request) -> web.Response:
    return web.Response(status=429, text="Too many requests.", headers={"Retry-After": tenant.faults.retry_after()})


_PAGE = "<html><head><title>Sign in</title></head><body><p>Welcome<br>This page is emulated.</body></html>"

# Troubles that keep a request from the host, and what answers in its place.
_INSTEAD: dict[str, Callable[[Tenant, web.Request], web.Response]] = {
    "remoting-throttle": _throttled,
    "remoting-throttle-bare": lambda tenant, request: web.Response(status=429, text="Too many requests."),
    "remoting-drop-before": lambda tenant, request: hangup.silent(request),
    "remoting-html": lambda tenant, request: web.Response(text=_PAGE, content_type="text/html"),
}
_CARRYING = (
    f"{TRANSFER}Create<".encode(),
    f"{RSP}/Command<".encode(),
    f"{RSP}/Send<".encode(),
    f"{RSP}/Receive<".encode(),
)


def _authenticated(tenant: Tenant, header: str) -> bool:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        user, _, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return False
    account = user.rpartition("\\")[2].lower()  # HOST\user is the same local account
    named = hmac.compare_digest(account.encode(), tenant.host_user.lower().encode())
    return hmac.compare_digest(password.encode(), tenant.host_password.encode()) and named


class _Host:
    """Shells by id, and the answers to the requests of late: the same request again joins or gets the same answer."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._replies: OrderedDict[tuple[str, str], asyncio.Task[Reply]] = OrderedDict()
        self._kept = 0
        self._actions: dict[str, Callable[[Request], Awaitable[str]]] = {
            f"{TRANSFER}Create": self._create,
            f"{TRANSFER}Delete": self._delete,
            f"{TRANSFER}Get": self._get,
            f"{RSP}/Command": self._command,
            f"{RSP}/Send": self._send,
            f"{RSP}/Receive": self._receive,
            f"{RSP}/Signal": self._signal,
            f"{RSP}/Disconnect": self._disconnect,
            f"{RSP}/Reconnect": self._reconnect,
        }
        self._begin()

    def _begin(self) -> None:
        self._exchange = self._tenant.exchange
        self._engine = Engine(self._tenant)
        self._shells: dict[str, Shell] = {}

    def close(self) -> None:
        for shell in self._shells.values():
            shell.cut.set()
            shell.close()
        self._shells.clear()

    def trouble(self, body: bytes) -> str:
        """The knob that strikes this request on its way, or nothing. Requests that clean up are let be."""
        faults = self._tenant.faults
        if not any(action in body for action in _CARRYING):
            return ""
        for name in _INSTEAD:
            if faults.strikes(name):
                return name
        output = f"{RSP}/Receive<".encode() in body and b"CommandId=" in body
        for name in ("remoting-drop-after", "remoting-truncated") if output else ():
            if faults.strikes(name):
                return name
        return ""

    async def answer(self, body: bytes, *, only_identify: bool) -> Reply:
        """HTTP status and envelope for one request."""
        if self._tenant.exchange is not self._exchange:  # the tenant was reset: its sessions are gone
            self.close()
            self._begin()
        if self._tenant.options.latency > 0:
            await asyncio.sleep(self._tenant.options.latency)
        try:
            if len(body) > soap.MAX_ENVELOPE:
                raise Fault("too-large", f"The limit is {soap.MAX_ENVELOPE} bytes.")
            request = soap.parse(body)
            if request.action == "Identify":
                return 200, soap.identify()
            if only_identify:
                raise Fault("unsupported", "Only Identify is answered without authentication.")
        except Fault as refusal:
            return 500, soap.fault(refusal)
        key = (request.message_id, hashlib.sha256(body).hexdigest())
        task = self._replies.get(key)
        if task is None:
            task = self._replies[key] = asyncio.get_running_loop().create_task(self._handle(request))
            task.add_done_callback(self._keep)
        # A client that hangs up must not end the work: its repetition of the request fetches the answer.
        return await asyncio.shield(task)

    def _keep(self, done: "asyncio.Task[Reply]") -> None:
        if not done.cancelled() and done.exception() is None:
            self._kept += len(done.result()[1])
        if len(self._replies) <= _KEPT_REPLIES and self._kept <= _KEPT_BYTES:
            return
        for key, task in list(self._replies.items())[: _KEPT_REPLIES // 4]:
            if task.done() and task is not done:
                del self._replies[key]
                if not task.cancelled() and task.exception() is None:
                    self._kept -= len(task.result()[1])

    async def _handle(self, request: Request) -> Reply:
        try:
            action = self._actions.get(request.action)
            if action is None:
                raise Fault("unsupported", f"The action {request.action} is not served here.")
            return 200, soap.reply(request, await action(request))
        except Fault as refusal:
            refusal.relates_to = request.message_id
            return 500, soap.fault(refusal)

    # Actions

    async def _create(self, request: Request) -> str:
        body = request.part("Shell")
        if len(self._shells) >= MAX_SHELLS:
            raise Fault("max-shells")
        shell_id = body.get("ShellId", "") or str(uuid.uuid4()).upper()
        try:
            uuid.UUID(shell_id)
        except ValueError:
            raise Fault("bad-parameter", "A ShellId is a GUID.") from None
        if shell_id.upper() in self._shells:
            raise Fault("exists", "A shell of that id is open.")
        uri = request.resource_uri
        shell: Shell
        if uri == CMD:
            shell = winrs.CmdShell(shell_id, uri, request.session_id)
        elif uri.startswith(POWERSHELL) and uri.removeprefix(POWERSHELL) in ENDPOINTS:
            creation = _decoded(body.findtext(f"{{{soap.PWSH}}}creationXml"))
            shell = pool = psrp.PowerShellShell(shell_id, uri, request.session_id, self._engine, creation)
            if not pool.opened:
                raise Fault("bad-parameter", "creationXml opens no runspace pool.")
        elif uri.startswith(POWERSHELL):
            raise Fault(
                "no-resource",
                f"Cannot find the {uri.removeprefix(POWERSHELL)[:80]} session configuration; there are: "
                f"{', '.join(ENDPOINTS)}.",
            )
        else:
            raise Fault("no-resource", f"No shell of the kind {uri[:120]!r}.")
        self._shells[shell_id.upper()] = shell
        return (
            "<x:ResourceCreated><a:Address>https://localhost/wsman</a:Address><a:ReferenceParameters>"
            f'<w:ResourceURI>{escape(uri)}</w:ResourceURI><w:SelectorSet><w:Selector Name="ShellId">{shell_id}'
            "</w:Selector></w:SelectorSet></a:ReferenceParameters></x:ResourceCreated>" + self._described(shell)
        )

    async def _delete(self, request: Request) -> str:
        shell = self._shell(request, connected=False)
        del self._shells[shell.id.upper()]
        shell.cut.set()
        shell.close()
        return ""

    async def _get(self, request: Request) -> str:
        if request.resource_uri == CONFIG:
            return (
                f'<cfg:Config xmlns:cfg="{soap.CFG}"><cfg:MaxEnvelopeSizekb>{soap.MAX_ENVELOPE // 1024}'
                "</cfg:MaxEnvelopeSizekb><cfg:MaxTimeoutms>60000</cfg:MaxTimeoutms></cfg:Config>"
            )
        if request.resource_uri != RSP:
            raise Fault("no-resource", f"Nothing to get at {request.resource_uri[:120]!r}.")
        return self._described(self._shell(replace(request, session_id=""), connected=False))

    async def _command(self, request: Request) -> str:
        shell, line = self._shell(request), request.part("CommandLine")
        self._vanish(shell)
        if sum(other.operations() for other in self._shells.values()) >= MAX_OPERATIONS:
            raise Fault("max-operations")
        if self._tenant.faults.strikes("remoting-busy"):
            raise Fault("max-operations")
        arguments = [element.text or "" for element in line.iterfind(f"{{{RSP}}}Arguments")]
        command_id = shell.command(line.get("CommandId", ""), line.findtext(f"{{{RSP}}}Command") or "", arguments)
        return f"<rsp:CommandResponse><rsp:CommandId>{escape(command_id)}</rsp:CommandId></rsp:CommandResponse>"

    async def _send(self, request: Request) -> str:
        shell, body = self._shell(request), request.part("Send")
        streams = body.findall(f"{{{RSP}}}Stream")
        if not streams:
            raise Fault("schema", "A Send has a Stream.")
        for stream in streams:
            end = stream.get("End", "").lower() in ("true", "1")
            shell.send(stream.get("CommandId", ""), stream.get("Name", ""), _decoded(stream.text), end)
        return "<rsp:SendResponse/>"

    async def _receive(self, request: Request) -> str:
        shell, desired = self._shell(request), request.part("Receive").find(f"{{{RSP}}}DesiredStream")
        if desired is None:
            raise Fault("schema", "A Receive has a DesiredStream.")
        strange = sorted(set((desired.text or "").split()) - set(shell.output_streams))
        if strange:
            raise Fault("no-stream", f"There is no {strange[0][:40]!r}.")
        command_id = desired.get("CommandId", "")
        if command_id:
            self._vanish(shell)
        # The shell may be disconnected or deleted while the poll waits.
        take = asyncio.ensure_future(shell.outbox(command_id).take(request.timeout, request.envelope - soap.HEAD))
        cut = asyncio.ensure_future(shell.cut.wait())
        try:
            await asyncio.wait({take, cut}, return_when=asyncio.FIRST_COMPLETED)
            if not take.done():
                raise Fault("disconnected" if shell.id.upper() in self._shells else "no-shell")
            return take.result().xml(command_id)
        finally:
            take.cancel()
            cut.cancel()

    async def _signal(self, request: Request) -> str:
        shell, body = self._shell(request), request.part("Signal")
        shell.signal(body.get("CommandId", ""), (body.findtext(f"{{{RSP}}}Code") or "").strip())
        return "<rsp:SignalResponse/>"

    async def _disconnect(self, request: Request) -> str:
        shell = self._shell(request)
        if not shell.may_disconnect:
            raise Fault("no-disconnect")
        shell.connected = False
        shell.cut.set()
        return "<rsp:DisconnectResponse/>"

    async def _reconnect(self, request: Request) -> str:
        shell = self._shell(request, connected=False)
        shell.connected = True
        shell.cut.clear()
        return "<rsp:ReconnectResponse/>"

    # What they share

    def _shell(self, request: Request, *, connected: bool = True) -> Shell:
        """The shell that a request selects. Raises Fault."""
        shell_id = request.selectors.get("ShellId")
        if shell_id is None:
            raise Fault("no-selector", "ShellId is needed.")
        shell = self._shells.get(shell_id.upper())
        if shell is None or request.resource_uri not in (shell.resource_uri, RSP):
            raise Fault("no-shell")
        if request.session_id and shell.session_id and request.session_id.lower() != shell.session_id.lower():
            raise Fault("other-session")
        if connected and not shell.connected:
            raise Fault("disconnected")
        return shell

    def _vanish(self, shell: Shell) -> None:
        """Lose the shell, if it is its turn: what runs in it ends where it is. Raises Fault then."""
        if self._tenant.faults.strikes("shell-vanished"):
            del self._shells[shell.id.upper()]
            shell.cut.set()
            shell.close()
            raise Fault("no-shell")

    def _described(self, shell: Shell) -> str:
        state = "Connected" if shell.connected else "Disconnected"
        return (
            f"<rsp:Shell><rsp:ShellId>{shell.id}</rsp:ShellId><rsp:ResourceUri>{escape(shell.resource_uri)}</rsp:ResourceUri>"
            f"<rsp:Owner>{escape(self._tenant.host_user)}</rsp:Owner><rsp:ClientIP>127.0.0.1</rsp:ClientIP>"
            "<rsp:IdleTimeOut>PT7200.000S</rsp:IdleTimeOut>"
            f"<rsp:InputStreams>{' '.join(shell.input_streams)}</rsp:InputStreams>"
            f"<rsp:OutputStreams>{' '.join(shell.output_streams)}</rsp:OutputStreams><rsp:Locale>en-US</rsp:Locale>"
            f"<rsp:DataLocale>en-US</rsp:DataLocale><rsp:State>{state}</rsp:State></rsp:Shell>"
        )


def _decoded(text: str | None) -> bytes:
    """Base64 content. Raises Fault."""
    try:
        return base64.b64decode("".join((text or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise Fault("bad-parameter", "The content is not base64.") from None
