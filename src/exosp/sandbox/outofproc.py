"""PowerShell's out-of-process transport, the server's half: what ``pwsh -s`` reads and writes on its standard streams.

One XML element a line. ``Data`` carries PSRP fragments in base64, for the pool (a PSGuid of zeros) or for a pipeline;
``Command`` announces a pipeline, ``Close`` ends one or the pool, ``Signal`` stops one. Each is answered by its Ack. What a
client says at once is worked on at once, in any order: one that does not wait for an Ack before it goes on can be
overtaken by itself, and here it is refused. Sources: PowerShell's own source (OutOfProcTransportManager.cs,
OutOfProcServerMediator.cs: packets, acknowledgements, an empty line or the end of input ends the process with 4000).

It speaks to a stream and knows no process: the stand-in program ``pwsh`` relays its standard streams to a socket of the
file system, which only this user can open. It does not imitate prompts
(Stream='PromptResponse' is read as Default), reconnecting, or what a profile or a console would print.
"""

import asyncio
import base64
import binascii
import contextlib
import shlex
import shutil
import sys
import tempfile
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Awaitable, Callable
from pathlib import Path

from . import psrp
from .cmdlets.engine import Engine
from .shells import SIGNAL, Outbox
from .soap import PWSH, Fault
from .tenant import Tenant

MAX_LINE = 4 * 1024 * 1024
UNHANDLED = 4000  # EXITCODE_UNHANDLED_EXCEPTION
FAREWELL = b"!exit "  # to the relay, not of the protocol: how the process ends
ZERO = uuid.UUID(int=0)
_ROOM = 64 * 1024  # of one element: a fragment in base64, and a little
_CONFIGURATION = f"{PWSH}/PowerShell.7"
_FOR_EVER = 365 * 86400.0

Send = Callable[[str], Awaitable[None]]


class _Refused(Exception):
    """What makes the server write a line to standard error and end."""


class StandIns:
    """The listener of a tenant's stand-ins, and the program ``pwsh`` that it lays in ``folder``/bin. The folder must be its
    owner's alone. All stand-ins of a tenant share how many cmdlets run at once."""

    def __init__(self, tenant: Tenant, folder: Path) -> None:
        self._tenant = tenant
        self._exchange: object = None
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._path = folder / "pwsh.sock"
        self._elsewhere: Path | None = None
        if len(str(self._path)) > 100:  # what an address of the kind can hold
            self._elsewhere = Path(tempfile.mkdtemp(prefix="exosp-", dir="/tmp"))
            self._path = self._elsewhere / "pwsh.sock"
        program = folder / "bin" / "pwsh"
        program.parent.mkdir()
        relay = Path(__file__).with_name("pwsh.py")
        words = " ".join(shlex.quote(str(word)) for word in (sys.executable, "-I", relay, self._path))
        program.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
        program.chmod(0o700)

    async def listen(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self._path, limit=MAX_LINE)

    def close(self) -> None:
        """Stop listening, and hang up: every stand-in ends."""
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        if self._elsewhere is not None:
            shutil.rmtree(self._elsewhere, ignore_errors=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._exchange is not self._tenant.exchange:  # the tenant was reset
            self._exchange, self._engine = self._tenant.exchange, Engine(self._tenant)
        server = _Server(self._tenant, self._engine, writer)
        self._writers.add(writer)
        try:
            await server.run(reader)
        except asyncio.CancelledError:
            pass  # the sandbox stops: no report from Python 3.11's stream callback
        finally:
            self._writers.discard(writer)
            server.close()
            writer.close()


class _Server:
    """One process: one session and its pipelines."""

    def __init__(self, tenant: Tenant, engine: Engine, writer: asyncio.StreamWriter) -> None:
        self._tenant = tenant
        self._engine = engine
        self._writer = writer
        self._shell: psrp.PowerShellShell | None = None
        self._awaited: set[uuid.UUID] = set()
        self._pumps: dict[uuid.UUID, asyncio.Task[None]] = {}
        self._actions: dict[str, Callable[[uuid.UUID, ET.Element], Awaitable[None]]] = {
            "Data": self._data,
            "Command": self._command,
            "Close": self._close,
            "Signal": self._signal,
        }

    async def run(self, reader: asyncio.StreamReader) -> None:
        said = ""
        try:
            while line := (await reader.readline()).strip():
                if self._tenant.options.latency > 0:
                    await asyncio.sleep(self._tenant.options.latency)
                await self._one(line)
            said = "Unknown element received."  # an empty line, or the end of input: PowerShell says it so
        except _Refused as refused:
            said = str(refused)
        except (ConnectionError, asyncio.LimitOverrunError, ValueError):
            said = "The input cannot be read."
        await self._farewell(said)

    async def _farewell(self, said: str) -> None:
        """The process ends; its input ends with it."""
        with contextlib.suppress(ConnectionError):
            self._writer.write(FAREWELL + f"{UNHANDLED} {said}\n".encode())
            await self._writer.drain()

    async def _one(self, line: bytes) -> None:
        try:
            if b"<!" in line:
                raise ValueError
            element = ET.fromstring(line.decode())  # noqa: S314  no declarations: refused above
            subject = uuid.UUID(element.attrib["PSGuid"])
        except (ET.ParseError, UnicodeDecodeError, KeyError, ValueError):
            raise _Refused(f"Unknown node in a packet: {line[:40]!r}") from None
        action = self._actions.get(element.tag)
        wanted = {"PSGuid", "Stream"} if element.tag == "Data" else {"PSGuid"}
        if action is None or set(element.attrib) != wanted:
            raise _Refused(f"Unknown element received: {element.tag[:40]}")
        await action(subject, element)

    async def _data(self, subject: uuid.UUID, element: ET.Element) -> None:
        try:
            data = base64.b64decode(element.text or "", validate=True)
        except binascii.Error:
            raise _Refused("Data is not base64.") from None
        try:
            if self._shell is None:
                self._shell = psrp.PowerShellShell(str(uuid.uuid4()), _CONFIGURATION, "", self._engine, data, psrp.CORE)
                self._pump(ZERO, self._shell.outbox(""))
            elif subject == ZERO:
                self._shell.send("", "stdin", data, end=False)
            else:
                with contextlib.suppress(Fault):  # closed meanwhile: acknowledged all the same
                    self._shell.outbox(str(subject))
                    self._shell.send(str(subject), "stdin", data, end=False)
        except Fault as fault:
            raise _Refused(f"There is an error processing data: {fault}") from None
        await self._ack("Data", subject)

    async def _command(self, subject: uuid.UUID, element: ET.Element) -> None:
        if self._shell is None or not self._shell.opened:
            raise _Refused("A command before the session is open.")
        if self._tenant.faults.strikes("pwsh-ends-before"):
            raise _Refused("Unhandled exception.")
        try:
            self._shell.begin(subject)
        except Fault as fault:
            raise _Refused(str(fault)) from None
        self._pump(subject, self._shell.outbox(str(subject)))
        await self._ack("Command", subject)

    async def _close(self, subject: uuid.UUID, element: ET.Element) -> None:
        if self._shell is not None and subject == ZERO:
            self._shell.close()
            self._shell = None
            self._cancel()
        elif self._shell is not None:
            with contextlib.suppress(Fault):
                self._shell.signal(str(subject), SIGNAL + "terminate")
            pump = self._pumps.pop(subject, None)
            if pump is not None:
                await asyncio.wait([pump])
        await self._ack("Close", subject)

    async def _signal(self, subject: uuid.UUID, element: ET.Element) -> None:
        if subject == ZERO:
            raise _Refused("A signal is for a command.")
        if self._shell is not None:
            with contextlib.suppress(Fault):
                self._shell.signal(str(subject), SIGNAL + "ctrl_c")
        await self._ack("Signal", subject)

    async def _ack(self, kind: str, subject: uuid.UUID) -> None:
        await self._say(f"<{kind}Ack PSGuid='{subject}' />")

    def _pump(self, subject: uuid.UUID, outbox: Outbox) -> None:
        self._pumps[subject] = asyncio.get_running_loop().create_task(self._pour(subject, outbox))

    async def _pour(self, subject: uuid.UUID, outbox: Outbox) -> None:
        """All that a pipeline, or the pool, has to say, as it comes."""
        ends = subject != ZERO and self._tenant.faults.strikes("pwsh-ends-after")
        with contextlib.suppress(Fault, ConnectionError):
            while True:
                batch = await outbox.take(_FOR_EVER, _ROOM)
                if ends and batch.exit_code is not None:
                    await self._farewell("Unhandled exception.")
                for _, data in () if ends else batch.streams:
                    text = base64.b64encode(data).decode()
                    await self._say(f"<Data Stream='Default' PSGuid='{subject}'>{text}</Data>")
                if batch.exit_code is not None:
                    return

    async def _say(self, line: str) -> None:
        self._writer.write(line.encode() + b"\n")
        await self._writer.drain()

    def _cancel(self) -> None:
        for pump in self._pumps.values():
            pump.cancel()
        self._pumps.clear()

    def close(self) -> None:
        self._cancel()
        if self._shell is not None:
            self._shell.close()
            self._shell = None
