"""The local remoting: a process with PSRP on its standard streams, its failures, its end, and the chain through it.

The program is the sandbox's stand-in, except where ``EXOSP_TEST_PWSH`` names a real PowerShell 7.
"""

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from console import Console
from desk import Desk
from exosp.errors import CloudError, Forbidden, Missing, Unreachable, UsageError
from exosp.exchange import Cmdlet, Item, Rows
from exosp.exchange import pwsh as pwsh_module
from exosp.exchange.pwsh import Pwsh
from exosp.exchange.sessions import Timeouts
from exosp.sandbox.server import Running
from exosp.tenant import Failed

REAL = os.environ.get("EXOSP_TEST_PWSH", "")  # conftest leaves it where it is
GET = Cmdlet("Get-TransportConfig")
MAILBOXES = Cmdlet("Get-Mailbox", {}, over="Identity")
ENTRIES = Cmdlet("Get-ServicePrincipal")


def items(*addresses: str) -> list[Item]:
    return [Item(address, frozenset()) for address in addresses]


@dataclass
class Token:
    token: str = "eyJ0.the-token-of-this-test.x"
    expires_on: float = field(default_factory=lambda: time.time() + 3600)


@dataclass
class Place:
    """A tenant with its stand-in, and an administrator's token for it."""

    running: Running
    connects: int = 0

    @property
    def program(self) -> Path:
        return self.running.sandbox.pwsh

    def token(self, **claims: Any) -> Token:
        tenant = self.running.sandbox.tenant
        principal = tenant.directory.principal(tenant.admin_app_id)
        assert principal is not None
        usual = {"aud": "https://outlook.office365.com", "oid": principal.id, "appid": tenant.admin_app_id}
        return Token(tenant.signer.mint(usual | {"roles": ["Exchange.ManageAsApp"]} | claims))

    def connect(self) -> tuple[Token, str]:
        self.connects += 1
        return self.token(), "contoso.onmicrosoft.com"

    def remoting(self, **changes: Any) -> Pwsh:
        return Pwsh(
            changes.pop("connect", self.connect),
            program=str(changes.pop("program", self.program)),
            timeouts=Timeouts(operation=10, silence=20),
            **changes,
        )


@pytest.fixture
def place(desk: Desk) -> Place:
    return Place(desk.running)


@pytest.fixture
def remoting(place: Place) -> Iterator[Pwsh]:
    with place.remoting() as opened:
        yield opened


def child(remoting: Pwsh) -> subprocess.Popen[bytes]:
    """The process of the only session."""
    [session] = remoting._all
    found: subprocess.Popen[bytes] = session.channel._process._child  # type: ignore[attr-defined]  # the local channel
    return found


def only_error(remoting: Pwsh, cmdlet: Cmdlet = GET) -> CloudError:
    [answer] = remoting.run(cmdlet)
    assert isinstance(answer, Failed), answer
    return answer.error


# What it does


def test_rows_and_each_items_own_error(place, remoting):
    """Rows come as plain values, and the item that is not there has its own error: one process, one connection."""
    [config] = remoting.run(GET)
    assert isinstance(config, Rows)
    assert isinstance(config.rows[0]["SmtpClientAuthenticationDisabled"], bool)
    found = list(remoting.run(MAILBOXES, items("support@contoso.com", "nobody@contoso.com", "sales@contoso.com")))
    assert [type(answer).__name__ for answer in found] == ["Rows", "Failed", "Rows"]
    assert isinstance(found[1].error, Missing)
    assert isinstance(found[0], Rows)
    for value in found[0].rows[0].values():
        parts = value if isinstance(value, tuple) else (value,)
        assert all(type(part) in (str, int, bool, type(None)) for part in parts), value
    assert place.connects == 1


def test_an_error_says_which_item_it_is_of(remoting):
    """The record of a piped item's error bears the item's number, its class and its target, as over WinRM."""
    list(remoting.run(GET))
    [session] = remoting._all
    came = session.channel.pipeline(MAILBOXES, ["support@contoso.com", "nobody@contoso.com", "sales@contoso.com"])
    [record] = came.records
    assert (record.item, record.terminating) == (2, False)
    assert "ManagementObjectNotFoundException" in record.kinds
    assert "nobody@contoso.com" in record.text


def test_the_same_rows_as_over_winrm(desk, place, remoting):
    """What one remoting reads, the other reads too, to the letter."""
    from exosp.exchange.winrm import Winrm, target

    environment = desk.running.environment()
    where = target(environment["EXOSP_REMOTING"], environment, ca=desk.running.sandbox.ca_path)
    with Winrm(where, place.connect) as other:
        for cmdlet in (GET, Cmdlet("Get-Mailbox"), Cmdlet("Get-CASMailbox"), ENTRIES):
            assert list(remoting.run(cmdlet)) == list(other.run(cmdlet))


def test_many_rows_come_whole(desk, place):
    """An answer of many fragments is put together, no row lost."""
    desk.running.reset(mailboxes=300)
    with place.remoting() as remoting:
        [answer] = remoting.run(Cmdlet("Get-Mailbox", {"ResultSize": "Unlimited"}))
    assert isinstance(answer, Rows)
    assert len(answer.rows) == 303


def test_a_token_that_ran_out_is_renewed(desk, place, remoting):
    """After the token's end the next run says that nothing was done, and the one after it works with a new one."""
    assert isinstance(next(remoting.run(GET)), Rows)
    desk.running.advance(2 * 3600)
    error = only_error(remoting)
    assert isinstance(error, Unreachable)
    assert not error.may_have_happened
    assert isinstance(next(remoting.run(GET)), Rows)
    assert place.connects == 2


def test_each_thread_has_a_process_of_its_own(place):
    """Two threads, two processes, both ended by close."""
    import threading

    with place.remoting() as remoting:
        threads = [threading.Thread(target=lambda: list(remoting.run(GET))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        pids = {session.channel._process._child.pid for session in remoting._all}  # type: ignore[attr-defined]
        assert len(pids) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


# Its process


def test_nothing_secret_in_arguments_or_environment(place, monkeypatch):
    """Neither the token, nor what signs us in, nor anything of ours stands in the process's arguments or environment."""
    secrets = {
        "AZURE_CLIENT_SECRET": "s3cret-one",
        "EXOSP_REMOTING_PASSWORD": "s3cret-two",
        "azure_password": "s3cret-three",
    }
    token = place.token()
    environment = dict(os.environ) | secrets | {"HARMLESS": "yes"}
    with place.remoting(connect=lambda: (token, "contoso.onmicrosoft.com"), environment=environment) as remoting:
        list(remoting.run(GET))
        home = Path(f"/proc/{child(remoting).pid}")
        shown = (home / "cmdline").read_bytes() + (home / "environ").read_bytes()
    assert b"HARMLESS=yes" in shown
    for text in (*secrets, *secrets.values(), token.token):
        assert text.encode() not in shown
    assert pwsh_module.ARGUMENTS == ("-s", "-NoLogo", "-NoProfile")


def test_close_leaves_no_process_and_says_goodbye(desk, place):
    """Close disconnects, ends the process and takes its status: no zombie, and closing twice is nothing."""
    remoting = place.remoting()
    list(remoting.run(GET))
    process = child(remoting)
    remoting.close()
    remoting.close()
    assert process.returncode is not None
    assert not Path(f"/proc/{process.pid}").exists()
    assert desk.requests()["remoting"]["Disconnect-ExchangeOnline"] == 1


def test_a_process_that_dies_in_the_middle(desk, place, remoting):
    """Killed after the cmdlet took place: it may have happened; the next run has a new process and finds what was done."""
    tenant = desk.running.sandbox.tenant
    list(remoting.run(GET))
    first = child(remoting)
    app = tenant.directory.principal(tenant.admin_app_id)
    tenant.watch = lambda moment, write: first.kill() if moment == "after" else None
    try:
        make = Cmdlet("New-ServicePrincipal", {"AppId": tenant.admin_app_id, "ObjectId": app.id, "DisplayName": "Desk"})
        error = only_error(remoting, make)
    finally:
        tenant.watch = None
    assert isinstance(error, Unreachable)
    assert (error.may_have_happened, error.transient) == (True, True)
    assert "killed by signal 9" in error.what
    assert first.returncode == -9
    [answer] = remoting.run(ENTRIES)
    assert isinstance(answer, Rows)
    assert [row["AppId"] for row in answer.rows] == [tenant.admin_app_id]
    assert child(remoting).pid != first.pid


def test_a_process_that_died_between_two_runs(remoting):
    """Found dead, it has taken nothing: nothing happened, and the next run has a new one."""
    list(remoting.run(GET))
    child(remoting).kill()
    child(remoting).wait()
    error = only_error(remoting)
    assert isinstance(error, Unreachable)
    assert not error.may_have_happened
    assert isinstance(next(remoting.run(GET)), Rows)


def test_a_pipeline_that_shows_nothing_is_given_up(desk, place):
    """A cmdlet that runs longer than allowed without a word: given up, it may have happened, and the process is ended."""
    desk.running.reset(cmdlet_time=3)
    quick = Timeouts(operation=10, silence=1)
    try:
        with Pwsh(place.connect, program=str(place.program), timeouts=quick) as remoting:
            error = only_error(remoting)
    finally:
        desk.running.reset(cmdlet_time=0)
    assert isinstance(error, Unreachable)
    assert "showed nothing" in error.what


# Programs that are no PowerShell


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], Path]:
    def make(body: str) -> Path:
        path = tmp_path / "pwsh"
        path.write_text(f"#!{sys.executable} -I\nimport sys, os, time\n{body}\n", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return make


def never() -> tuple[Any, str]:
    raise AssertionError("no token may be minted before a session is open")


# what it does: what the error says
STRANGERS = {
    "sys.stderr.write('I am broken\\n'); sys.exit(3)": ("exit code 3", "I am broken"),
    "print('Welcome to a shell', flush=True); time.sleep(30)": ("no PowerShell remoting", ""),
    "print('<Data/>', flush=True); time.sleep(30)": ("no PowerShell remoting", ""),
    "print('<!DOCTYPE a>', flush=True); time.sleep(30)": ("no PowerShell remoting", ""),
    "sys.stdout.buffer.write(b'\\xff\\xfe\\n'); sys.stdout.flush(); time.sleep(30)": ("no PowerShell remoting", ""),
    "time.sleep(30)": ("did not answer", ""),
    "os.close(0); os.close(1); os._exit(0)": ("ended", ""),
}


@pytest.mark.parametrize("body", STRANGERS)
def test_a_program_that_is_no_powershell(program, body, monkeypatch):
    """Whatever the program does, the error names what it did and its last words, nothing was sent and no token minted;
    and the process is gone."""
    monkeypatch.setattr(pwsh_module, "_CURT", 0.1)
    path = program(body)
    with Pwsh(never, program=str(path), timeouts=Timeouts(operation=1, silence=1)) as remoting:
        error = only_error(remoting)
    assert isinstance(error, Unreachable)
    assert not error.may_have_happened
    for part in STRANGERS[body]:
        assert part in error.what
    assert "pwsh" in error.hint
    assert not any(str(path) in text for text in processes())


def processes() -> Iterator[str]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue


def test_no_program():
    """PowerShell is missing: said so, with where to get it and the module."""
    with Pwsh(never, environment={"PATH": "/nowhere"}) as remoting:
        error = only_error(remoting)
    assert isinstance(error, Missing)
    assert "'pwsh'" in error.what
    assert "Install-Module ExchangeOnlineManagement -Scope CurrentUser" in error.hint


def test_a_program_that_cannot_be_started(tmp_path):
    """A file that is no program is the caller's affair."""
    path = tmp_path / "pwsh"
    path.write_bytes(b"\x7fELFnonsense")
    path.chmod(0o700)
    with Pwsh(never, program=str(path)) as remoting, pytest.raises(UsageError, match="cannot be started"):
        list(remoting.run(GET))


def test_without_its_package(monkeypatch):
    """psrpcore is an extra: where it is missing, the error says what to install."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "psrpcore"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psrpcore", None)
    with Pwsh(never) as remoting, pytest.raises(UsageError) as caught:
        list(remoting.run(GET))
    assert caught.value.hint == "pip install 'exosp[pwsh]'"


def test_nothing_heavy_at_import():
    """Importing the remoting, and making one, loads no psrpcore."""
    code = (
        "import sys; from exosp.exchange.pwsh import Pwsh; Pwsh(lambda: None).close();"
        "print([m for m in ('psrpcore', 'pypsrp', 'cryptography') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# The module


@pytest.mark.parametrize(
    ("module", "kind", "says", "hint"),
    [
        ("", Missing, "Connect-ExchangeOnline", "Install-Module ExchangeOnlineManagement -Scope CurrentUser"),
        ("2.0.5", Missing, "too old", "Update-Module ExchangeOnlineManagement"),
    ],
)
def test_the_module_is_missing_or_too_old(desk, place, module, kind, says, hint):
    """Each is named, with the line that helps."""
    desk.running.reset(module=module)
    try:
        with place.remoting() as remoting:
            error = only_error(remoting)
    finally:
        desk.running.reset(module="3.9.2")
    assert type(error) is kind
    assert says in error.what
    assert hint in error.hint


def test_a_refused_token_shows_nowhere(place, caplog):
    """A token that Exchange refuses stands in no error and no log record."""
    caplog.set_level("DEBUG")
    token = place.token(aud="https://graph.microsoft.com")
    with place.remoting(connect=lambda: (token, "contoso.onmicrosoft.com")) as remoting:
        error = only_error(remoting)
    assert isinstance(error, Forbidden)
    said = f"{error} {error.where} {error.hint} {caplog.text}"
    assert token.token[:30] not in said


# The chain


@pytest.fixture
def local(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk, its commands over pwsh."""
    plain = type(desk).session
    named = {"EXOSP_REMOTING": "pwsh", "PATH": str(desk.running.sandbox.pwsh.parent)}
    monkeypatch.setattr(type(desk), "session", lambda self, **changes: plain(self, **(named | changes)))
    return desk


def test_the_chain(local):
    """plan, apply, verify and plan again over pwsh: applied, proved by real logins, nothing left; not one WSMan request."""
    first = local.look()[1]
    assert first.changes
    assert not local.apply().failed
    verdict = local.verify(negative=("private@contoso.com",))
    assert verdict.proven
    assert len(verdict.proofs) > 2
    assert local.look()[1].changes == ()
    assert local.requests()["remoting"]["New-ServicePrincipal"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_its_bad_days(local, seed):
    """Processes that end before a pipeline and after it, on a tenant as unkind as ever: the chain converges all the same,
    and nothing is registered or granted twice."""
    local.running.reset(faults="default,pwsh-ends-before=2,pwsh-ends-after=3", seed=seed)
    try:
        assert not local.apply().failed
        assert local.look()[1].changes == ()
        fired = local.running.sandbox.tenant.faults.fired
        assert fired["pwsh-ends-before"] + fired["pwsh-ends-after"] > 0
        assert len(local.state()["exchange"]["servicePrincipals"]) == 1
    finally:
        local.running.reset(faults="none")


def test_sandbox_run_gives_its_command_the_stand_in(tmp_path):
    """In what ``exosp sandbox run`` runs, pwsh is the emulated one: EXOSP_REMOTING=pwsh needs nothing else."""
    ran = Console(tmp_path).run("sandbox", "run", "--faults", "none", "--", "sh", "-c", "pwsh; command -v pwsh")
    assert ran.code == 0
    assert "exosp-sandbox-" in ran.out
    assert "emulated" in ran.err


# PowerShell itself, where there is one


def test_the_program_answers_in_server_mode(place, record_property):
    """EXOSP_TEST_PWSH's program, else the stand-in, opens a session, answers Get-Command with a row and a missing name with
    an error, takes piped input, and ends. Nothing is asked to connect."""
    program = REAL or str(place.program)
    channel = pwsh_module._Channel(program, dict(os.environ), Timeouts(operation=60, silence=120))
    try:
        for _ in range(2):  # the pool's one runspace is free again
            came = channel.pipeline(Cmdlet("Get-Command", {"Name": ("Get-Command", "No-SuchCommand")}), [])
            assert came.broken is None
            assert [row["Name"] for row in came.rows] == ["Get-Command"]
            [record] = came.records
            assert "No-SuchCommand" in record.text
            assert "CommandNotFoundException" in record.kinds
            assert not record.terminating
        came = channel.pipeline(Cmdlet("Get-ServicePrincipal"), [])
        assert [record.terminating for record in came.records] == [True]
        assert channel.usable
    finally:
        channel.close()
    assert channel._process._child.returncode is not None
    record_property("figure", f"pwsh: tested with {REAL or 'the stand-in; PowerShell itself was not met'}")
