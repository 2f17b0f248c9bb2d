"""Bad input through the command: a clear error with where, what and what to do; the right exit code; nothing written;
no traceback; no secret of those in play, in any encoding."""

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from console import Console, Ran, at, state
from desk import QUICKSTART
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options
from exosp.sandbox.tls import Authority
from leaks import leaks

WRONG_SECRET, WRONG_PASSWORD = "zQ8~wrong-secret/of+an admin", "zQ8~wrong-password/of+a host"


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running(Options(faults="none")) as found:
        yield found


@dataclass(frozen=True)
class Bad:
    """``changes`` to the environment (a function: of the sandbox and a folder), ``swap`` in the playbook, what must be
    said, in this order, and the exit code."""

    said: tuple[str, ...]
    code: int
    changes: dict[str, str | None] | Callable[[Running, Path], dict[str, str | None]] = field(default_factory=dict)
    swap: tuple[str, str] = ("", "")
    words: tuple[str, ...] = ("apply", "playbook.yaml", "--yes")
    folder: Callable[[Path], Any] = lambda folder: None


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def cloud(**changes: str) -> Callable[[Running, Path], dict[str, str | None]]:
    """A cloud file that differs from the sandbox's own."""

    def variables(running: Running, folder: Path) -> dict[str, str | None]:
        path = folder / "cloud.json"
        path.write_text(json.dumps(running.sandbox.cloud() | changes))
        return {"EXOSP_CLOUD": str(path)}

    return variables


def another_authority(running: Running, folder: Path) -> dict[str, str | None]:
    (folder / "ca.pem").write_bytes(Authority().ca_pem)
    return cloud(ca=str(folder / "ca.pem"))(running, folder)


def graph_gone(running: Running, folder: Path) -> dict[str, str | None]:
    """Graph under a name that the token endpoint knows, so that it is Graph that does not answer."""
    running.sandbox.tenant.ports.__dict__["graph"] = port = closed_port()
    return cloud(graph=f"https://localhost:{port}")(running, folder)


SAVE_TO = "save_to: support-desk.env"

TABLE = {
    "wrong admin secret": Bad(
        ("AADSTS7000215", "--> token:", "= help: the secret's value is needed"), 1, {"AZURE_CLIENT_SECRET": WRONG_SECRET}
    ),
    "not signed in": Bad(
        ("exosp is not signed in", "AZURE_CLIENT_SECRET", "--> environment", "= help: set"), 2, {"AZURE_CLIENT_SECRET": None}
    ),
    "token endpoint unreachable": Bad(
        ("refuses connections", "--> token:", "= help: is it running"), 1, cloud(login="https://localhost:1")
    ),
    "Graph unreachable": Bad(("refuses connections", "--> graph:", "= help: is it running"), 1, graph_gone),
    "management host unreachable": Bad(
        ("connection refused", "--> remoting: open a session on localhost:1", "= help: is WinRM's HTTPS listener on?"), 1,
        {"EXOSP_REMOTING": "winrm://localhost:1/wsman?auth=basic"},
    ),
    "another certificate authority": Bad(
        ("is not trusted", "--> token:", "= help:", "authority trusted"), 1, another_authority
    ),
    "the authority's file is gone": Bad(
        ("cannot read the cloud's certificates", "--> /nowhere/ca.pem", "= help:"), 2, cloud(ca="/nowhere/ca.pem")
    ),
    "wrong remoting password": Bad(
        ("does not admit exosp", "--> remoting:", "status 401", "= help: look at EXOSP_REMOTING_USER"), 1,
        {"EXOSP_REMOTING_PASSWORD": WRONG_PASSWORD},
    ),
    "no remoting": Bad(
        ("nothing says where Exchange's cmdlets run", "--> playbook.yaml:13:", "= help: set EXOSP_REMOTING"), 2,
        {"EXOSP_REMOTING": None},
    ),
    "no remoting password": Bad(("auth=basic needs", "= help: set EXOSP_REMOTING_PASSWORD"), 2, {"EXOSP_REMOTING_PASSWORD": None}),
    "a remoting address of another kind": Bad(
        ("does not begin with winrm://", "--> EXOSP_REMOTING", "= help: its form is"), 2, {"EXOSP_REMOTING": "https://localhost"}
    ),
    "unknown cloud": Bad(("no cloud 'mars'", "= help: there are: global"), 2, {"EXOSP_CLOUD": "mars"}),
    "a cloud file with another host": Bad(
        ("names hosts that are not loopback: graph.example.org", "--> ", "cloud.json", "= help:", "--cloud-file"), 2,
        cloud(graph="https://graph.example.org"),
    ),
    "another tenant": Bad(
        ("the playbook's tenant contoso.onmicrosoft.com is", "11111111-2222-3333-4444-555555555555", "--> playbook.yaml", "= help: sign in"),
        2, {"AZURE_TENANT_ID": "11111111-2222-3333-4444-555555555555"},
    ),
    "a tenant that is not there": Bad(
        ("AADSTS90002", "--> token:", "= help: is the tenant right"), 1, swap=("contoso.onmicrosoft", "fabrikam.onmicrosoft")
    ),
    "save_to in a folder that is not there": Bad(
        ("the credential cannot be saved: its folder does not exist", "keys/support-desk.env", "= help: mkdir"), 2,
        swap=(SAVE_TO, "save_to: keys/support-desk.env"),
    ),
    "save_to in a folder that takes no file": Bad(
        ("the credential cannot be saved", "--> ", "= help:"), 2,
        swap=(SAVE_TO, "save_to: keys/support-desk.env"),
        folder=lambda folder: (folder / "keys").symlink_to("/proc/self"), words=("apply", "playbook.yaml", "--yes", "--allow-outside"),
    ),
    "save_to outside": Bad(
        ("leads out of the playbook's folder", "--> playbook.yaml:8:", "= help: --allow-outside"), 2,
        swap=(SAVE_TO, "save_to: ../support-desk.env"),
    ),
    "a playbook with two faults": Bad(
        ("`smtpp` is no protocol", "--> playbook.yaml:9:24", "unknown key `mailboxs`", "--> playbook.yaml:10:1", "did you mean `mailboxes`", "2 faults in the playbook"), 2,
        swap=("mailboxes:   ", "mailboxs:   "), folder=lambda folder: None,
    ),
}  # fmt: skip


def secrets_in_play(running: Running) -> list[str]:
    """Every secret that a command could give away; a password also as HTTP's basic authentication joins it."""
    environment = running.environment()
    passwords = [environment["EXOSP_REMOTING_PASSWORD"], WRONG_PASSWORD]
    pairs = [f"{environment['EXOSP_REMOTING_USER']}:{password}" for password in passwords]
    return [environment["AZURE_CLIENT_SECRET"], WRONG_SECRET, *passwords, *pairs]


def play(name: str, running: Running, folder: Path) -> Ran:
    bad = TABLE[name]
    text = QUICKSTART.read_text(encoding="utf-8")
    if name == "a playbook with two faults":
        text = text.replace("protocols: [imap, pop, smtp]", "protocols: [imap, pop, smtpp]")
    console = Console(folder, running.environment())
    console.write(text.replace(*bad.swap) if bad.swap[0] else text)
    bad.folder(folder)
    changes = bad.changes(running, folder) if callable(bad.changes) else bad.changes
    return console.here(*bad.words, "--format", "json", **changes)


@pytest.mark.parametrize("name", TABLE)
def test_bad_input_is_said_clearly_and_writes_nothing(
    name: str, running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code, what, where and help; one document too; the tenant and the folder as they were."""
    # Pauses between tries are patience's own affair: here they would only take time.
    monkeypatch.setattr("exosp.patience.WallClock.sleep", lambda clock, seconds: None)
    running.reset(seed=1)
    graph = running.sandbox.tenant.ports.graph
    before = state(running)
    try:
        found = play(name, running, tmp_path)
    finally:
        running.sandbox.tenant.ports.__dict__["graph"] = graph
    assert found.code == TABLE[name].code, found.all
    said, place = " ".join(found.err.split()), 0
    for words in TABLE[name].said:
        assert words in said[place:], f"{words!r} is not said, or not in its place:\n{found.err}"
        place = said.index(words, place)
    assert found.err.lstrip().startswith(("error: ", "Signed in by "))
    assert found.document["error"]["what"]
    assert "Traceback" not in found.all
    assert "bug in exosp" not in found.all
    assert state(running) == before
    assert not list(tmp_path.rglob("*.env"))
    assert leaks({"out": found.out, "err": found.err}, secrets_in_play(running)) == []


ROLES = {
    "no Graph permission at all": ({"graph_roles": []}, ("Insufficient privileges", "--> graph: GET", "Application.Read.All")),
    "no Exchange permission": (
        {"exchange_roles": []}, ("--> remoting: Connect-ExchangeOnline", "= help: give the caller Exchange.ManageAsApp"),
    ),
    "no directory role": (
        {"directory_roles": []}, ("The role assigned to application", "--> remoting:", "= help: give the caller"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROLES)
def test_a_missing_permission_is_named(name: str, running: Running, tmp_path: Path) -> None:
    """Exit 1: what came back, of which request, and which permission is missing. Nothing is written."""
    rights, parts = ROLES[name]
    at(running, "/reset", {"tenant": {"admin": rights}})
    before = state(running)
    console = Console(tmp_path, running.environment())
    console.write()
    found = console.here("apply", "playbook.yaml", "--yes")
    assert found.code == 1
    said, place = " ".join(found.err.split()), 0
    for words in parts:
        assert words in said[place:], found.err
        place = said.index(words, place)
    assert "Traceback" not in found.all
    assert state(running) == before
    assert leaks({"out": found.out, "err": found.err}, secrets_in_play(running)) == []


def test_reading_without_writing_is_said_before_the_first_write(running: Running, tmp_path: Path) -> None:
    """Application.Read.All alone: the permission is named with what to do, and nothing is written at all."""
    at(running, "/reset", {"tenant": {"admin": {"graph_roles": ["Application.Read.All"]}}})
    console = Console(tmp_path, running.environment())
    console.write()
    found = console.here("apply", "playbook.yaml", "--yes", "--format", "json")
    assert found.code == 1
    error = found.document["error"]
    assert "nothing was written" in error["what"]
    assert "Application.ReadWrite.OwnedBy" in error["what"]
    assert "exosp preflight playbook.yaml --for apply" in error["hint"]
    assert [app["displayName"] for app in state(running)["applications"]] == ["Provisioning"]


def test_a_mailbox_that_is_not_there_is_named_and_the_others_are_done(running: Running, tmp_path: Path) -> None:
    """Exit 1, its line in the playbook, and the others' logins work."""
    running.reset(seed=1)
    console = Console(tmp_path, running.environment() | {"EXOSP_REMOTING": "admin-api"})
    console.write(
        QUICKSTART.read_text(encoding="utf-8").replace("  - support@", "  - nobody@contoso.com\n  - support@")
    )
    found = console.here("apply", "playbook.yaml", "--yes")
    assert found.code == 1
    said = " ".join(found.out.split())
    assert "! grants refused: nobody@contoso.com:" in said
    assert "--> playbook.yaml:11:" in said
    assert "10 of 10 changes applied, 1 refused" in said
    proven = console.here("verify", "playbook.yaml", "--format", "json")
    assert proven.code == 3
    assert {p["mailbox"]: p["ok"] for p in proven.document["probes"]} == {
        "nobody@contoso.com": False, "support@contoso.com": True, "sales@contoso.com": True,
    }  # fmt: skip


def test_a_mail_server_that_does_not_answer_is_no_refusal(running: Running, tmp_path: Path) -> None:
    """verify says that it was not reached, exits with 3, and the other protocols are tried all the same."""
    running.reset(seed=1)
    console = Console(tmp_path, running.environment() | {"EXOSP_REMOTING": "admin-api"})
    console.write()
    assert console.here("apply", "playbook.yaml", "--yes", "--quiet").code == 0
    found = console.here(
        "verify", "playbook.yaml", "--negative", "private@contoso.com", "--format", "json",
        **cloud(imap="localhost:1")(running, tmp_path),
    )  # fmt: skip
    assert found.code == 3
    probes = {(p["mailbox"], p["protocol"]): p for p in found.document["probes"]}
    assert probes["support@contoso.com", "pop"]["ok"]
    assert probes["support@contoso.com", "imap"]["stage"] == "connect"
    assert not probes["private@contoso.com", "imap"]["ok"]  # not reached is not refused
    assert all(probe["cause"] for probe in probes.values() if not probe["ok"])
