"""How ``exosp sandbox`` serves: in the foreground until a signal, or around one command."""

import json
import os
import shlex
import signal
import subprocess
from pathlib import Path
from types import FrameType
from typing import Any

from ..errors import UsageError
from ..sandbox import initial
from ..sandbox.faults import UnknownFault
from ..sandbox.server import Running, clean_environment
from ..sandbox.tenant import Options


def _sandbox(options: dict[str, Any], tenant: Path | None, listen: int) -> Running:
    try:
        content = None if tenant is None else initial.parse(tenant.read_text(encoding="utf-8"))
        return Running(Options(**options), content, listen)
    except OSError as fault:
        raise UsageError(f"cannot read the tenant file: {fault.strerror}", where=str(tenant)) from None
    except UnicodeDecodeError:
        raise UsageError("the tenant file is not UTF-8", where=str(tenant)) from None
    except initial.TenantFileFault as fault:
        raise UsageError(str(fault), where=str(tenant)) from None
    except UnknownFault as fault:
        raise UsageError(str(fault), where="--faults") from None


def _listening(running: Running, listen: int) -> Running:
    try:
        return running.__enter__()
    except OSError as fault:
        raise UsageError(
            f"cannot listen: {fault.strerror}", where=f"--listen {listen}", hint="choose another first port, or 0"
        ) from None


class _Stop(Exception):
    pass


def _stop(number: int, frame: FrameType | None) -> None:
    raise _Stop


def up(options: dict[str, Any], tenant: Path | None, listen: int, *, as_json: bool) -> None:
    running = _listening(_sandbox(options, tenant, listen), listen)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        print(_json(running) if as_json else _text(running), flush=True)
        while True:
            signal.pause()
    except _Stop:
        pass
    finally:
        running.__exit__(None, None, None)


def run(options: dict[str, Any], tenant: Path | None, listen: int, command: list[str]) -> int:
    """The command's own exit code; 128 and the signal's number where one ended it."""
    running = _listening(_sandbox(options, tenant, listen), listen)
    try:
        try:
            child = subprocess.Popen(command, env=clean_environment(running.environment()))  # noqa: S603 - the user's own command
        except OSError as fault:
            raise UsageError(f"cannot run {command[0]}: {fault.strerror}", where="-- COMMAND") from None
        # What a terminal sends to us it sends to the child too; what is sent to us alone is passed on.
        signal.signal(signal.SIGTERM, lambda number, frame: child.send_signal(number))
        signal.signal(signal.SIGINT, lambda number, frame: None)
        code = child.wait()
        return code if code >= 0 else 128 - code
    finally:
        running.__exit__(None, None, None)


def _json(running: Running) -> str:
    content = {
        "schema": "exosp/sandbox/1",
        "emulated": True,
        "tenant": running.sandbox.tenant.domain,
        "environment": running.environment(),
        "cloud": running.sandbox.cloud(),
        "pid": os.getpid(),
    }
    return json.dumps(content)


def _text(running: Running) -> str:
    environment = running.environment()
    lines = [
        f"An emulated tenant, {running.sandbox.tenant.domain}, listens on this machine until you press Ctrl-C.",
        "Its secrets are worthless outside it, and nothing is kept.",
        "",
        "bash:",
        *(f"  export {name}={shlex.quote(value)}" for name, value in environment.items()),
        "",
        "PowerShell:",
        *(f"  $env:{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in environment.items()),
        "",
        f"State and knobs: {environment['EXOSP_SANDBOX']}/state, /requests, /faults, /advance, /reset",
    ]
    return "\n".join(lines)
