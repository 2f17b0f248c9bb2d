"""No secret and no token leaves its place: not into output, files, process arguments, whatever the format."""

import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from console import Console, finished
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options
from leaks import forms, leaks


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running(Options(faults="none")) as found:
        yield found


def watched(console: Console, *words: str, typed: str | None = None) -> dict[str, str]:
    """Both streams of a command, and the arguments of it and all that it started, for as long as it ran. ``typed`` is its
    standard input."""
    process = console.start(*words, stdin=subprocess.DEVNULL if typed is None else subprocess.PIPE)
    seen: set[str] = set()
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(finished, process, typed)
        while not ended.done():
            seen |= arguments(process.pid)
            time.sleep(0.08)
        found = ended.result()
    assert any("exosp" in line for line in seen), "the command's own arguments were never seen"
    return {"stdout": found.out, "stderr": found.err, "arguments": "\n".join(sorted(seen))}


def arguments(pid: int) -> set[str]:
    """The command lines of a process and of its descendants."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int(folder.name) == pid or f"\nPPid:\t{pid}\n" in (folder / "status").read_text():
                found.add((folder / "cmdline").read_bytes().decode(errors="replace").replace("\0", " "))
        except OSError:  # it has ended
            continue
    return found


def in_play(running: Running, folder: Path) -> list[str]:
    environment = running.environment()
    saved = dict(line.split("=", 1) for line in (folder / "support-desk.env").read_text().splitlines() if "=" in line)
    password = environment["EXOSP_REMOTING_PASSWORD"]
    return [
        environment["AZURE_CLIENT_SECRET"],
        password,
        f"{environment['EXOSP_REMOTING_USER']}:{password}",
        saved["EXOSP_APP_CLIENT_SECRET"].strip("'\""),
    ]


def files(folder: Path) -> dict[str, str]:
    """Everything in a folder but the credential file."""
    return {
        str(path.relative_to(folder)): path.read_bytes().decode(errors="replace")
        for path in folder.rglob("*")
        if path.is_file() and path.name != "support-desk.env"
    }


@pytest.mark.slow
@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_leaves_its_place(form: str, running: Running, tmp_path: Path) -> None:
    """apply and verify, --verbose, with lag so that waits are said: streams, files, home, temporary folder, arguments."""
    running.reset(seed=1, faults="none,secret-lag=1,graph-throttle=1,read-lag=1")
    desk = tmp_path / "desk"
    for folder in (desk, tmp_path / "home", tmp_path / "tmp"):
        folder.mkdir()
    console = Console(desk, running.environment() | {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")})
    console.write()
    texts: dict[str, Any] = {}
    for command, words in (("apply", ("--yes",)), ("verify", ("--negative", "private@contoso.com"))):
        said = watched(console, command, "playbook.yaml", "--verbose", "--format", form, *words)
        assert "opened" in said["stdout"] or command == "apply"
        texts |= {f"{command} {name}": text for name, text in said.items()}
    assert "waiting" in texts["apply stderr"]
    assert leaks(texts | files(tmp_path), in_play(running, desk)) == []


@pytest.mark.parametrize("place", range(4))
def test_the_search_finds_what_it_looks_for(place: int) -> None:
    """A judge that found nothing anywhere would prove nothing: each secret, in each form, at each offset."""
    secret = f"s3cr~t/with+signs and a space {place}"
    for form in forms(secret):
        assert leaks({"text": f"{'x' * place}{form} after"}, [secret]) == ["text: secret 0"]
    import base64

    for before in ("", "a", "ab"):
        text = base64.b64encode(f"{before}{secret}:after".encode()).decode()
        assert leaks({"text": text}, [secret]) == ["text: secret 0"]
    assert leaks({"text": "Authorization: Bearer eyJ0eXAiOiJKV1Qi"}, [secret]) == ["text: a token"]
    assert leaks({"text": "nothing here"}, [secret]) == []
