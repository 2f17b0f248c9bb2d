"""exosp as its users run it: the installed command, in a process of its own, with its own folder and environment."""

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import sysconfig
import time
import urllib.request
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from desk import QUICKSTART
from exosp.sandbox.server import Running

EXOSP = str(Path(sysconfig.get_path("scripts"), "exosp"))
ENOUGH = 90  # seconds, for a command that hangs

# Makes the terminal on its input its own, as a shell does, and becomes the command.
_TAKE_TERMINAL = (
    "import fcntl,os,sys,termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


@dataclass(frozen=True)
class Ran:
    """What became of a command."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout: anything beside it is an error."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def all(self) -> str:
        return self.out + self.err


@dataclass
class Console:
    """A folder with ``playbook.yaml``, and the variables that lead to a tenant."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, text: str = "") -> None:
        (self.folder / "playbook.yaml").write_text(text or QUICKSTART.read_text(encoding="utf-8"), encoding="utf-8")

    def variables(self, changes: dict[str, str | None]) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "EXOSP_"))}
        for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
            clean.pop(name, None)
        journals = {"XDG_STATE_HOME": str(self.folder.with_name(f"{self.folder.name}-state"))}
        found = {**clean, **journals, **self.environment, **changes}
        return {name: value for name, value in found.items() if value is not None}

    def start(self, *words: str, stdin: Any = subprocess.DEVNULL, **changes: str | None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [EXOSP, *words], cwd=self.folder, env=self.variables(changes), text=True,
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *words: str, given: str | None = None, **changes: str | None) -> Ran:
        """Off a terminal. A variable given as None is not set."""
        process = self.start(*words, stdin=subprocess.DEVNULL if given is None else subprocess.PIPE, **changes)
        return finished(process, given)

    def here(self, *words: str, **changes: str | None) -> Ran:
        """In this process, off a terminal: the same function that the installed command calls, without its start."""
        from exosp.cli import main

        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
        before, code = Path.cwd(), 0
        with pytest.MonkeyPatch.context() as patch, Path(os.devnull).open() as nothing:
            patch.setattr(sys, "argv", ["exosp", *words])
            patch.setattr(os, "environ", self.variables(changes))
            patch.setattr(sys, "stdin", nothing)
            os.chdir(self.folder)
            try:
                with redirect_stdout(out), redirect_stderr(err):
                    main()
            except SystemExit as end:
                code = int(end.code or 0)
            finally:
                os.chdir(before)
                for number, handler in handlers.items():
                    if signal.getsignal(number) is not handler:
                        signal.signal(number, handler)
        said = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]  # a BytesIO
        return Ran(code, *said)

    def on_terminal(
        self, *words: str, keys: tuple[tuple[str, str], ...] = (), program: str = EXOSP, **changes: str | None
    ) -> Ran:
        """On a terminal of its own, 100 columns wide; ``keys`` are (what is on the screen, what is typed then). Both
        streams are in ``out``."""
        ours, theirs = pty.openpty()
        variables = self.variables({"TERM": "xterm-256color", "COLUMNS": "100", **changes})
        process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, program, *words], cwd=self.folder, env=variables,
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        seen, waiting, ends = "", list(keys), time.monotonic() + ENOUGH
        try:
            while time.monotonic() < ends:
                if not select.select([ours], [], [], 1.0)[0]:
                    continue
                try:
                    more = os.read(ours, 65536)
                except OSError:  # the other end is closed
                    break
                if not more:
                    break
                seen += more.decode(errors="replace")
                if waiting and waiting[0][0] in seen:
                    os.write(ours, waiting.pop(0)[1].encode())
            return Ran(process.wait(timeout=ENOUGH), seen.replace("\r\n", "\n"), "")
        finally:
            process.kill()
            process.wait()
            os.close(ours)


def finished(process: subprocess.Popen[str], given: str | None = None) -> Ran:
    try:
        out, err = process.communicate(given, timeout=ENOUGH)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"{process.args} hangs\n{out}\n{err}") from None
    return Ran(process.returncode, out, err)


def at(running: Running, path: str, content: Any = None) -> dict[str, Any]:
    """The management address: GET, or POST where there is content."""
    data = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(running.environment()["EXOSP_SANDBOX"] + path, data=data)
    with urllib.request.urlopen(request, timeout=10) as reply:
        found: dict[str, Any] = json.load(reply)
        return found


def state(running: Running) -> dict[str, Any]:
    """What the tenant holds, without its clock."""
    return {name: value for name, value in at(running, "/state").items() if name not in ("now", "advanced")}
