"""PowerShell remoting to a PowerShell 7 of this machine: ``pwsh -s``, PSRP over its standard input and output.

psrpcore speaks PSRP; this file carries it: one process a session, packets a line, each acknowledged before the next is
sent (the server works on what it gets in any order). No WinRM, so Linux and macOS too. Only commands and parameters are
sent, never a script; what the process gets of our environment holds none of our secrets, and its arguments hold none.

Sources: PowerShell's own source (OutOfProcTransportManager.cs, OutOfProcServerMediator.cs) and psrpcore's page on
transports. PowerShell prints nothing but packets to its standard output in server mode.
"""

import base64
import contextlib
import logging
import os
import queue
import shutil
import subprocess
import threading
import time
import uuid
import xml.etree.ElementTree as ET
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..errors import CloudError, Missing, Unreachable, UsageError
from .channel import silent
from .cmdlets import OURS, Cmdlet
from .errors import SERVICE, Record
from .psobjects import core_record_of, core_row_of, core_warning_of
from .sessions import Came, Connect, Sessions, Timeouts

# Its records hold whole messages, and with them our access token.
logging.getLogger("psrpcore").setLevel(logging.CRITICAL + 1)

ARGUMENTS = ("-s", "-NoLogo", "-NoProfile")
_INSTALL = "in pwsh: Install-Module ExchangeOnlineManagement -Scope CurrentUser"
_FRAGMENT = 32768
_PAGE = 100  # rows handed out at once
_ZERO = uuid.UUID(int=0)
_LONGEST = 4 * 1024 * 1024  # characters of a packet: a fragment is 32 KB
_FAREWELL = 5.0  # seconds for the process to close its session, and then to end
_CURT = 1.0  # for one that does not work as it should


class Pwsh(Sessions):
    """The local remoting. ``connect`` mints a token and names the organization; ``program`` is looked up in PATH.
    ``exchange_environment`` is the vendor's name of the cloud. ``environment``: what the program's is made from."""

    def __init__(
        self,
        connect: Connect,
        *,
        exchange_environment: str = "O365Default",
        program: str = "pwsh",
        timeouts: Timeouts | None = None,
        environment: Mapping[str, str] | None = None,
        now: Callable[[], float] = time.time,
        commands: Sequence[str] = OURS,
    ) -> None:
        limits = timeouts or Timeouts()
        held = dict(os.environ if environment is None else environment)
        super().__init__(
            lambda: _Channel(program, held, limits),
            connect,
            where=program,
            environment=exchange_environment,
            now=now,
            lacks=_INSTALL,
            commands=commands,
        )


class _Channel:
    """One process with one runspace pool: see ``sessions.Channel``."""

    def __init__(self, program: str, environment: Mapping[str, str], timeouts: Timeouts) -> None:
        core = _psrpcore()
        self._program = program
        self._timeouts = timeouts
        self._whole = False
        self._closed = False
        self._process = _Process(program, environment)
        try:
            self._pool = core.ClientRunspacePool()
            self._pool.open()
            self._send(time.monotonic() + timeouts.operation)
            self._until(self._is_open, timeouts.operation)
            self._whole = True
        except BaseException as fault:
            self._closed = True
            self._process.end(_CURT)
            if isinstance(fault, Exception):
                raise self._failure(fault, "open a session", sent=False) from None
            raise

    @property
    def usable(self) -> bool:
        return self._whole and not self._closed and self._process.runs

    def pipeline(self, cmdlet: Cmdlet, sends: Sequence[str]) -> Came:
        came = Came()
        held = [row for rows in self._run(cmdlet, sends, (), came) for row in rows]
        came.rows = held + came.rows  # what a broken one had not handed out
        return came

    def pages(self, cmdlet: Cmdlet, columns: Sequence[str], came: Came) -> Iterator[list[dict[str, object]]]:
        return self._run(cmdlet, (), columns, came)

    def _run(
        self, cmdlet: Cmdlet, sends: Sequence[str], columns: Sequence[str], came: Came
    ) -> Iterator[list[dict[str, object]]]:
        """The rows by about a hundred; the rest of it in ``came``, rows only of one that broke."""
        asked = f"{cmdlet} in {self._program}"
        taken = False
        self._whole = False
        try:
            core = _psrpcore()
            told = core.types.RemoteStreamOptions
            shell = core.ClientPowerShell(
                self._pool,
                no_input=not sends,
                remote_stream_options=told.AddInvocationInfoToErrorRecord | told.AddInvocationInfoToWarningRecord,
            )
            shell.add_command(cmdlet.name)
            for name, value in cmdlet.parameters.items():
                shell.add_parameter(name, list(value) if isinstance(value, tuple) else value)
            if columns:
                shell.add_command("Select-Object")
                shell.add_parameter("Property", list(columns))
            until = time.monotonic() + self._timeouts.silence
            self._tell("Command", shell.pipeline_id, until)
            shell.start()
            taken = True
            self._send(until)
            for item in sends:
                shell.send(item)
            if sends:
                shell.send_eof()
            self._send(until)
            ended = False
            while not ended:
                ended = self._step(lambda event: self._take(event, shell.pipeline_id, came), self._timeouts.silence)
                if ended or len(came.rows) >= _PAGE:
                    rows, came.rows = came.rows, []
                    yield rows
            self._whole = True
            self._tell("Close", shell.pipeline_id, time.monotonic() + self._timeouts.operation)
        except Exception as fault:  # psrpcore meets what it cannot read with whatever it stumbles on
            if not self._whole:
                came.broken = self._failure(fault, asked, sent=taken)
            self._whole = False  # not freed, the pipeline would hold the only runspace

    def _take(self, event: Any, pipeline: uuid.UUID, came: Came) -> bool:
        """Keep what an event brings; True with the one that ends the pipeline."""
        core = _psrpcore()
        if event.pipeline_id != pipeline:
            return False
        match event:
            case core.PipelineOutputEvent():
                row = core_row_of(event.data)
                if row is not None:
                    came.rows.append(row)
            case core.ErrorRecordEvent():
                came.records.append(core_record_of(event.record, terminating=False))
            case core.WarningRecordEvent():
                came.warnings.append(core_warning_of(event.record))
            case core.PipelineStateEvent():
                states = core.types.PSInvocationState
                if event.state in (states.Failed, states.Stopped):
                    came.records.append(
                        Record("the pipeline failed without saying why", terminating=True)
                        if event.reason is None
                        else core_record_of(event.reason, terminating=True)
                    )
                return event.state in (states.Completed, states.Failed, states.Stopped)
        return False

    def _is_open(self, event: Any) -> bool:
        core = _psrpcore()
        states = core.types.RunspacePoolState
        if not isinstance(event, core.RunspacePoolStateEvent):
            return False
        if event.state in (states.Broken, states.Closed):
            raise EOFError
        return bool(event.state == states.Opened)

    # The wire

    def _send(self, until: float) -> None:
        """All that psrpcore has to say, each packet once the one before it is acknowledged."""
        while (payload := self._pool.data_to_send(_FRAGMENT)) is not None:
            subject = payload.pipeline_id or _ZERO
            text = base64.b64encode(payload.data).decode()
            self._process.write(f"<Data Stream='Default' PSGuid='{subject}'>{text}</Data>\n")
            self._acknowledged("Data", subject, until)

    def _tell(self, kind: str, subject: uuid.UUID, until: float) -> None:
        self._process.write(f"<{kind} PSGuid='{subject}' />\n")
        self._acknowledged(kind, subject, until)

    def _acknowledged(self, kind: str, subject: uuid.UUID, until: float) -> None:
        """Read on until that packet's acknowledgement; what comes before it waits in psrpcore's buffer."""
        while True:
            found, about = self._read(until)
            if found == f"{kind}Ack" and about == subject:
                return

    def _until(self, done: Callable[[Any], bool], silence: float) -> None:
        """Read until an event says that it is done. Raises TimeoutError after so many seconds without a word."""
        while not self._step(done, silence):
            pass

    def _step(self, done: Callable[[Any], bool], silence: float) -> bool:
        """Look at what has come; where no event of it says that it is done, read another packet."""
        while (event := self._pool.next_event()) is not None:
            if done(event):
                return True
        self._read(time.monotonic() + silence)
        return False

    def _read(self, until: float) -> tuple[str, uuid.UUID]:
        """The next packet, its data given to psrpcore."""
        core = _psrpcore()
        line = self._process.line(until)
        if "<!" in line:
            raise ValueError("a declaration")
        element = ET.fromstring(line)  # noqa: S314  no declarations, refused above; and it is a program of our own
        subject = uuid.UUID(element.attrib["PSGuid"])
        if element.tag == "Data":
            data = base64.b64decode(element.text or "", validate=True)
            about = None if subject == _ZERO else subject
            self._pool.receive_data(core.PSRPPayload(data, core.StreamType.default, about))
        return element.tag, subject

    def _failure(self, fault: Exception, asked: str, *, sent: bool) -> CloudError:
        """Our error for what broke. ``sent``: the process had taken the cmdlet."""
        if isinstance(fault, CloudError):
            return fault
        said = self._process.said()
        if isinstance(fault, TimeoutError):
            if sent:
                return silent(self._timeouts.silence, asked)
            what = f"{self._program} did not answer"
        elif isinstance(fault, EOFError | OSError):
            what = f"{self._program} ended{self._process.ended()}"
        else:
            what = f"{self._program} answers no PowerShell remoting ({type(fault).__name__})"
        return Unreachable(
            what + (f": {said}" if said else ""),
            may_have_happened=sent,
            service=SERVICE,
            asked=asked,
            hint="run the command again: what took place is read first and not repeated"
            if sent
            else "try it by hand: pwsh -NoLogo -NoProfile -Command $PSVersionTable shows whether PowerShell 7 starts",
        )

    def close(self) -> None:
        """Close the session where it answers, and end the process in any case."""
        if self._closed:
            return
        self._closed = True
        if self._whole and self._process.runs:
            with contextlib.suppress(Exception):
                self._tell("Close", _ZERO, time.monotonic() + _FAREWELL)
        self._process.end(_FAREWELL if self._whole else _CURT)


class _Process:
    """The program with its streams: lines of it in a queue, its last words kept, and no zombie after ``end``."""

    def __init__(self, program: str, environment: Mapping[str, str]) -> None:
        path = shutil.which(program, path=environment.get("PATH"))
        if path is None:
            raise Missing(
                f"there is no program {program!r}",
                service=SERVICE,
                asked="start a local PowerShell",
                hint="install PowerShell 7 (https://aka.ms/powershell), then " + _INSTALL,
            )
        try:
            self._child = subprocess.Popen(  # noqa: S603  a fixed list, no shell
                [path, *ARGUMENTS],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_without_ours(environment),
                start_new_session=True,  # the terminal's interrupt is for us: we end it
            )
        except OSError as fault:
            raise UsageError(f"{path} cannot be started: {fault.strerror}", where=str(path)) from None
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._words: deque[str] = deque(maxlen=3)
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._out, self._err)]
        for reader in self._readers:
            reader.start()

    @property
    def runs(self) -> bool:
        return self._child.poll() is None

    def write(self, line: str) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(line.encode())
        self._child.stdin.flush()

    def line(self, until: float) -> str:
        """The next line. Raises TimeoutError at ``until``, of the monotonic clock; EOFError where no more can come."""
        while True:
            try:
                found = self._lines.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise TimeoutError from None
            if found is None:
                self._lines.put(None)
                raise EOFError
            if text := found.decode().strip().removeprefix("\ufeff"):
                return text

    def said(self) -> str:
        """Its last words on standard error. It never saw a secret in its environment; a token it was given by PSRP is no
        text that PowerShell prints there."""
        return " ".join(self._words)[:300]

    def ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(1)
        code = self._child.returncode
        return "" if code is None else f" (killed by signal {-code})" if code < 0 else f" (exit code {code})"

    def end(self, patience: float) -> None:
        """The end of its input ends it; one that stays longer than so many seconds is killed. Its streams are closed and its status is taken."""
        child = self._child
        with contextlib.suppress(OSError):
            if child.stdin is not None:
                child.stdin.close()
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        for reader in self._readers:
            reader.join(_FAREWELL)
        for stream in (child.stdout, child.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _out(self) -> None:
        assert self._child.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            while line := self._child.stdout.readline(_LONGEST):
                self._lines.put(line)
        self._lines.put(None)

    def _err(self) -> None:
        assert self._child.stderr is not None
        with contextlib.suppress(OSError, ValueError):
            while line := self._child.stderr.readline(4096):
                if text := line.decode(errors="replace").strip():
                    self._words.append(text)


def _without_ours(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for the program: without what signs us in, and without what is ours."""
    return {name: value for name, value in environment.items() if not name.upper().startswith(("AZURE_", "EXOSP_"))}


def _psrpcore() -> Any:
    """psrpcore, imported when it is used. Raises UsageError where it is not installed."""
    try:
        import psrpcore
        import psrpcore.types
    except ImportError:
        raise UsageError(
            "the remoting pwsh needs a package that is not installed (psrpcore)", hint="pip install 'exosp[pwsh]'"
        ) from None
    return psrpcore
