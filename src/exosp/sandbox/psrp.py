"""A PowerShell shell of the management host: one runspace pool, its pipelines, their output in fragments.

psrpcore speaks MS-PSRP; this module routes: fragments in, events to pipelines, messages to each command's own queue.
Host calls are never issued: a client without a host would never answer. It knows no SOAP and no Exchange.
It does not imitate: nested pipelines, command metadata, event queues, connecting from another client.
"""

import asyncio
import base64
import binascii
import logging
import struct
import uuid
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from psrpcore import (
    CreatePipelineEvent,
    EndOfPipelineInputEvent,
    GetAvailableRunspacesEvent,
    GetCommandMetadataEvent,
    PipelineInputEvent,
    PSRPCoreError,
    PSRPPayload,
    ResetRunspaceStateEvent,
    ServerPipeline,
    ServerRunspacePool,
    SetMaxRunspacesEvent,
    SetMinRunspacesEvent,
    StreamType,
)
from psrpcore.types import (
    PipelineState,
    PSInvocationState,
    PSRPMessageType,
    PSVersion,
    RemoteStreamOptions,
    RunspacePoolState,
)

from . import clixml, records
from .cmdlets.endpoints import ENDPOINTS
from .cmdlets.engine import Command, Engine
from .cmdlets.outcome import Failure, Item, not_emulated
from .cmdlets.session import Runspace
from .shells import SIGNAL, Outbox, Shell
from .soap import Fault

_log = logging.getLogger(__name__)
# psrpcore logs every message it reads, and a message may carry a token.
logging.getLogger("psrpcore").setLevel(logging.INFO)

FRAGMENT = 32768  # a real server's fragment
MOST_RUNSPACES = 64
_HEADER = struct.Struct(">QQBI")  # object id, fragment id, start and end, length
_MESSAGE = struct.Struct("<iI16s16s")  # destination, type, pool, pipeline


class Fragments(Outbox):
    """PSRP messages, cut to fragments when they are fetched. A fragment is never cut again."""

    def __init__(self, objects: "_Numbers", held: int | None = None) -> None:
        super().__init__(held)
        self._objects = objects
        self._waiting: deque[tuple[int, int, bytes]] = deque()

    def put(self, message: bytes) -> None:
        self._waiting.append((self._objects.next(), 0, message))
        self._wake.set()

    def _ready(self) -> bool:
        return bool(self._waiting)

    def _next(self, room: int, *, first: bool) -> tuple[str, bytes] | None:
        number, part, data = self._waiting[0]
        size = min(FRAGMENT, room - _HEADER.size)
        if size < 1024 and len(data) > size and not first:
            return None
        self._waiting.popleft()
        piece, rest = data[:size], data[size:]
        if rest:
            self._waiting.appendleft((number, part + 1, rest))
        flags = (0 if part else 1) | (0 if rest else 2)
        return "stdout", _HEADER.pack(number, part, flags, len(piece)) + piece


class _Numbers:
    """Object ids of one pool's messages, from 1."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        self._last += 1
        return self._last


class _Pool(ServerRunspacePool):
    """psrpcore's pool, which reads no document type declaration: CLIXML has none, and entities could be bombs."""

    def _process_message(self, message: Any) -> Any:
        if b"<!" in message.data or b"\x00" in message.data:
            raise PSRPCoreError("CLIXML is UTF-8 without declarations")
        return super()._process_message(message)


class _Running:
    """One pipeline from its Command to its Terminate."""

    def __init__(self, pipeline: Any, objects: _Numbers) -> None:
        self.pipeline = pipeline
        self.outbox = Fragments(objects)
        self.inbox: asyncio.Queue[tuple[bool, Any]] = asyncio.Queue()
        self.task: asyncio.Task[None] | None = None

    async def items(self) -> AsyncIterator[Any]:
        """The input objects, as they arrive."""
        while True:
            more, value = await self.inbox.get()
            if not more:
                return
            yield records.plain(value)


class _Writer:
    """The sink of one pipeline: rows straight to CLIXML, records through psrpcore."""

    def __init__(self, shell: "PowerShellShell", running: _Running, command: str, options: int) -> None:
        self._shell = shell
        self._running = running
        self._command = command
        self._errors = bool(options & int(RemoteStreamOptions.AddInvocationInfoToErrorRecord))
        self._warnings = bool(options & int(RemoteStreamOptions.AddInvocationInfoToWarningRecord))

    def output(self, row: Item) -> None:
        self._running.outbox.put(self._shell.message(PSRPMessageType.PipelineOutput, self._running, clixml.item(row)))

    def warning(self, text: str, item: int) -> None:
        record = records.warning(text, self._command, item, extended=self._warnings)
        self._running.pipeline.prepare_message(record, message_type=PSRPMessageType.WarningRecord)
        self._shell.flush()

    def error(self, failure: Failure, item: int) -> None:
        record = records.error(failure, item, extended=self._errors)
        self._running.pipeline.prepare_message(record, message_type=PSRPMessageType.ErrorRecord)
        self._shell.flush()


# $PSVersionTable by edition, as SESSION's private data shows it (FACTS §7: the module on PowerShell 7 wants 7.4 or newer).
DESKTOP = {"PSVersion": PSVersion("5.1.0.0"), "PSEdition": "Desktop", "WSManStackVersion": PSVersion("3.0")}
CORE = {"PSVersion": PSVersion("7.6.0.0"), "PSEdition": "Core", "WSManStackVersion": PSVersion("3.0")}


class PowerShellShell(Shell):
    """One runspace pool. ``creation``: the bytes that open it; more may follow by ``send``, and ``opened`` says so.
    Raises Fault for what is no PSRP."""

    input_streams = ("stdin", "pr")
    may_disconnect = True

    def __init__(
        self,
        shell_id: str,
        resource_uri: str,
        session_id: str,
        engine: Engine,
        creation: bytes,
        versions: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(shell_id, resource_uri, session_id)
        self._engine = engine
        self._endpoint = ENDPOINTS[resource_uri.rpartition("/")[2]]
        self._objects = _Numbers()
        # A real server spreads the opening over two or three Receives.
        self._outbox = Fragments(self._objects, held=2)
        self._running: dict[str, _Running] = {}
        self._idle: list[Runspace] = []
        self._made = 0
        self._returned = asyncio.Event()
        self._pool = _Pool(application_private_data={"PSVersionTable": versions or DESKTOP, "exosp": "emulated"})
        self._feed(creation)

    @property
    def opened(self) -> bool:
        return bool(self._pool.state == RunspacePoolState.Opened)

    # What the SOAP layer asks

    def command(self, command_id: str, command: str, arguments: list[str]) -> str:
        try:
            pipeline_id = uuid.UUID(command_id)
            data = base64.b64decode("".join(arguments), validate=True)
        except (ValueError, binascii.Error):
            raise Fault("bad-parameter", "A PowerShell command has a GUID and a fragment in base64.") from None
        self.begin(pipeline_id)
        try:
            self._feed(data)
        except Fault:
            self._forget(command_id.upper(), self._find(command_id))
            raise
        return command_id

    def begin(self, pipeline_id: uuid.UUID) -> None:
        """A pipeline of that id, whose messages are still to come. Raises Fault."""
        key = str(pipeline_id).upper()
        if key in self._running:
            raise Fault("exists", "A pipeline of that id runs.")
        self._running[key] = _Running(ServerPipeline(self._pool, pipeline_id), self._objects)

    def send(self, command_id: str, stream: str, data: bytes, end: bool) -> None:
        if command_id:
            self._find(command_id)
        if stream not in self.input_streams:
            raise Fault("bad-stream", f"There are: {', '.join(self.input_streams)}.")
        self._feed(data)

    def outbox(self, command_id: str) -> Outbox:
        return self._find(command_id).outbox if command_id else self._outbox

    def signal(self, command_id: str, code: str) -> None:
        running = self._find(command_id)
        terminate = code.lower() == f"{SIGNAL}terminate"
        if not terminate and not code.lower().endswith("ctrl_c"):
            raise Fault("bad-parameter", f"No signal {code[:80]!r}.")
        if running.task is not None and not running.task.done():
            running.task.cancel()
        if terminate:
            self._forget(command_id.upper(), running)

    def operations(self) -> int:
        return len(self._running)

    def close(self) -> None:
        for key, running in list(self._running.items()):
            if running.task is not None:
                running.task.cancel()
            self._forget(key, running)

    # Inside

    def _find(self, command_id: str) -> _Running:
        running = self._running.get(command_id.upper())
        if running is None:
            raise Fault("no-command")
        return running

    def _forget(self, key: str, running: _Running) -> None:
        self._running.pop(key, None)
        self._pool.pipeline_table.pop(running.pipeline.pipeline_id, None)
        running.outbox.finish()

    def _feed(self, data: bytes) -> None:
        """Take fragments, act on every message they complete. Raises Fault for what is no PSRP."""
        try:
            self._pool.receive_data(PSRPPayload(data, StreamType.default, None))
            while (event := self._pool.next_event()) is not None:
                self._act(event)
        except Fault:
            raise
        except Exception as wrong:  # psrpcore meets corrupt CLIXML with KeyError, UnboundLocalError and others
            raise Fault("bad-parameter", f"No PSRP fragment that can be read ({type(wrong).__name__}).") from None
        self.flush()

    def _act(self, event: Any) -> None:
        key = str(event.pipeline_id).upper()
        match event:
            case CreatePipelineEvent() | GetCommandMetadataEvent():
                running = self._find(key)
                if running.task is not None:
                    raise Fault("exists", "A pipeline of that id runs.")
                running.task = asyncio.get_running_loop().create_task(self._run(running, event))
                running.task.add_done_callback(lambda _: running.outbox.finish())
            case PipelineInputEvent():
                self._find(key).inbox.put_nowait((True, event.data))
            case EndOfPipelineInputEvent():
                self._find(key).inbox.put_nowait((False, None))
            case GetAvailableRunspacesEvent():
                self._pool.runspace_availability_response(event.ci, len(self._idle) + self._most() - self._made)
            case SetMaxRunspacesEvent() | SetMinRunspacesEvent():
                self._pool.runspace_availability_response(event.ci, 0 < event.count <= MOST_RUNSPACES)
                self._returned.set()
            case ResetRunspaceStateEvent():
                self._pool.runspace_availability_response(event.ci, True)

    def _most(self) -> int:
        return max(1, min(int(self._pool.max_runspaces), MOST_RUNSPACES))

    async def _borrow(self) -> Runspace:
        """A free runspace, the one last used first; a new one while the pool may grow; else wait."""
        while not self._idle and self._made >= self._most():
            self._returned.clear()
            await self._returned.wait()
        if self._idle:
            return self._idle.pop()
        self._made += 1
        return Runspace(endpoint=self._endpoint)

    async def _run(self, running: _Running, event: Any) -> None:
        runspace = None
        failure: Failure | None = None
        stopped = False
        running.pipeline.state = PSInvocationState.Running
        try:
            runspace = await self._borrow()
            await self._execute(runspace, running, event)
        except asyncio.CancelledError:
            stopped = True
        except Failure as refused:
            failure = refused
        except Exception:  # a bug of the emulator's: the client must hear of it, not wait for ever
            _log.exception("the sandbox failed in a pipeline")
            failure = Failure("The exosp sandbox (emulated) failed: this is a bug of its own.", "SandboxBug")
        finally:
            if runspace is not None:
                self._idle.append(runspace)
                self._returned.set()
        if stopped:
            running.pipeline.stop()
        elif failure is not None:
            record = records.error(failure)
            running.pipeline.prepare_message(
                PipelineState(PipelineState=int(PSInvocationState.Failed), ExceptionAsErrorRecord=record)
            )
            running.pipeline.state = PSInvocationState.Failed
        else:
            running.pipeline.complete()
        self.flush()
        running.outbox.finish()

    async def _execute(self, runspace: Runspace, running: _Running, event: Any) -> None:
        if isinstance(event, GetCommandMetadataEvent):
            raise not_emulated("command metadata; ask Get-Command")
        pipeline = event.pipeline
        if pipeline.is_nested:
            raise not_emulated("nested pipelines")
        statements: list[list[Command]] = [[]]
        for command in pipeline.commands:
            parameters = tuple((n if n is None else str(n), records.plain(v)) for n, v in command.parameters)
            statements[-1].append(Command(str(command.command_text), parameters, bool(command.is_script)))
            if command.end_of_statement:
                statements.append([])
        statements = [statement for statement in statements if statement]
        writer = _Writer(self, running, statements[0][0].name, int(pipeline.remote_stream_options))
        items = None if pipeline.no_input else running.items()
        await self._engine.run(runspace, statements, items, writer, full_language=self._endpoint.scripts)

    def message(self, kind: PSRPMessageType, running: _Running, data: bytes) -> bytes:
        """One message to the client (MS-PSRP §2.2.1)."""
        pool, pipeline = self._pool.runspace_pool_id, running.pipeline.pipeline_id
        return _MESSAGE.pack(1, int(kind), pool.bytes_le, pipeline.bytes_le) + data

    def flush(self) -> None:
        """Move what psrpcore has to say into the queue of the command that it is for."""
        while (payload := self._pool.data_to_send()) is not None:
            running = self._running.get(str(payload.pipeline_id).upper())
            box = self._outbox if payload.pipeline_id is None else running.outbox if running is not None else None
            data, place = payload.data, 0
            while place < len(data):
                length = _HEADER.unpack_from(data, place)[3]
                place += _HEADER.size
                if box is not None:
                    box.put(data[place : place + length])
                place += length
