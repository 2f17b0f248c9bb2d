"""How ``exosp sandbox`` serves: in the foreground until a signal, or around one command."""

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
from .screen import Screen, Stopped

PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def _sandbox(options: dict[str, Any], tenant: Path | None, listen: int) -> Running:
    try:
        content = None if tenant is None else initial.parse(tenant.read_text(encoding="utf-8"))
        return Running(Options(**options), content, listen)
    except OSError as fault:
        raise UsageError(f"cannot read the tenant file: {fault.strerror}", where=str(tenant)) from None
    except UnicodeDecodeError:
        raise UsageError("the tenant file is not UTF-8", where=str(tenant)) from None
    except initial.TenantFileFault as fault:
        raise UsageError(f"the tenant file is wrong: {fault}", where=str(tenant)) from None
    except UnknownFault as fault:
        raise UsageError(str(fault), where="--faults") from None


def _listening(running: Running, listen: int) -> Running:
    try:
        return running.__enter__()
    except OSError as fault:
        raise UsageError(
            f"cannot listen on the ports {listen} to {listen + 7}: {fault.strerror}",
            where="--listen",
            hint="choose another first port, or 0 for free ones",
        ) from None


def up(options: dict[str, Any], tenant: Path | None, listen: int, screen: Screen) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP, which is how it is meant to end."""
    try:
        running = _listening(_sandbox(options, tenant, listen), listen)
        try:
            screen.tenant = running.sandbox.tenant.domain
            if screen.json:
                screen.document(_document(running), one_line=True)
            else:
                screen.say(_text(running))
            while True:
                signal.pause()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # it is ending
            running.__exit__(None, None, None)
    except KeyboardInterrupt:
        return


def run(options: dict[str, Any], tenant: Path | None, listen: int, command: list[str]) -> int:
    """The command's own exit code; 128 and the signal's number where one ended it."""
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, frame: FrameType | None) -> None:
        if child is None:
            raise Stopped(number)
        if number not in (signal.SIGINT, signal.SIGQUIT) or not _has_terminal():  # a terminal's keys reach it anyway
            child.send_signal(number)

    running = _listening(_sandbox(options, tenant, listen), listen)
    try:
        for number in PASSED_ON:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, pass_on)
        try:
            child = subprocess.Popen(command, env=_variables(running))  # noqa: S603 - the user's own command
        except OSError as fault:
            raise UsageError(
                f"cannot run {command[0]}: {fault.strerror}", where="sandbox run", hint="nothing was run"
            ) from None
        code = child.wait()
        return code if code >= 0 else 128 - code
    finally:
        running.__exit__(None, None, None)


def _variables(running: Running) -> dict[str, str]:
    """The command's environment. In its PATH ``pwsh`` is the emulated one: a real one would take the tenant's token to
    Exchange Online."""
    found = clean_environment(running.environment())
    return found | {"PATH": os.pathsep.join([str(running.sandbox.pwsh.parent), found.get("PATH", os.defpath)])}


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal, whose keys signal the child as well."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _document(running: Running) -> dict[str, Any]:
    return {
        "cloud": running.sandbox.cloud()["name"],
        "emulated": True,
        "environment": running.environment(),
        "endpoints": running.sandbox.cloud(),
        "pid": os.getpid(),
    }


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
        "Look into it, move its time, turn its knobs, start it anew:",
        *(f"  curl {environment['EXOSP_SANDBOX']}{path}" for path in ("/state", "/requests", "/faults")),
        f"  curl {environment['EXOSP_SANDBOX']}/advance -d '{{\"seconds\": 3600}}'",
        f"  curl {environment['EXOSP_SANDBOX']}/reset -d '{{\"seed\": 1}}'",
    ]
    return "\n".join(lines)
