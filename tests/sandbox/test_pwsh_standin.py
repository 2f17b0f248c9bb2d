"""The stand-in for ``pwsh -s``, judged by pypsrp, by packets written by hand, and as a process."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from host_fixture import Ran, invoke
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.serializer import TaggedValue
from stdio_judge import ZERO, Connection, Process

from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options

DOMAIN = "contoso.onmicrosoft.com"
SUPPORT = "support@contoso.com"


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running(Options(faults="none")) as running:
        yield running


@pytest.fixture
def program(running: Running) -> Path:
    running.reset()
    return running.sandbox.pwsh


def token(running: Running, **claims: Any) -> str:
    tenant = running.sandbox.tenant
    principal = tenant.directory.principal(tenant.admin_app_id)
    assert principal is not None
    usual = {"aud": "https://outlook.office365.com", "oid": principal.id, "appid": tenant.admin_app_id}
    return tenant.signer.mint(usual | {"roles": ["Exchange.ManageAsApp"]} | claims)


@contextmanager
def opened(process: Process) -> Iterator[RunspacePool]:
    pool = RunspacePool(Connection(process))  # type: ignore[arg-type]  # stands in for WSMan
    pool.open()
    yield pool
    pool.close()


def run(pool: RunspacePool, name: str, input: list[Any] | None = None, **parameters: Any) -> Ran:  # noqa: A002 - pypsrp's word
    shell = PowerShell(pool)
    shell.add_cmdlet(name)
    shell.add_parameters(parameters)
    return invoke(shell, input)


def test_a_session_by_pypsrp(program, running):
    """pypsrp opens a pool, connects, pipes input, gets rows and each item's error, and closes: its own PSRP, no psrpcore.
    The session says that it is PowerShell 7 and emulated."""
    with Process(program) as process:
        with opened(process) as pool:
            said = pool.application_private_data.data
            assert (said["PSVersionTable"]["PSEdition"], said["exosp"]) == ("Core", "emulated")
            assert run(pool, "Get-Mailbox", Identity=SUPPORT).failed  # not connected: there is no such cmdlet
            assert not run(
                pool, "Connect-ExchangeOnline", AccessToken=token(running), Organization=DOMAIN, ShowBanner=False
            ).failed
            ran = run(pool, "Get-Mailbox", ["support@contoso.com", "nobody@contoso.com", "sales@contoso.com"])
            assert [row["PrimarySmtpAddress"] for row in ran.rows] == ["support@contoso.com", "sales@contoso.com"]
            [error] = ran.errors
            assert "nobody@contoso.com" in str(error)
        assert process.heard[-1].strip() == f"<CloseAck PSGuid='{ZERO}' />"
        code, words = process.end()
        assert (code, words.strip()) == (4000 & 0xFF, "Unknown element received.")


def test_a_large_answer_comes_in_fragments(running):
    """A message longer than a fragment comes in several packets, none longer than a fragment."""
    running.reset(mailboxes=60)
    with Process(running.sandbox.pwsh) as process, opened(process) as pool:
        run(pool, "Connect-ExchangeOnline", AccessToken=token(running), Organization=DOMAIN)
        assert len(run(pool, "Get-Mailbox").rows) > 60
        longest = max(len(line) for line in process.heard)
        assert longest < 32768 * 4 / 3 + 200
    running.reset(mailboxes=0)


def test_a_secret_string_crosses_encrypted(program):
    """The session key is exchanged over this transport too."""
    with Process(program) as process, opened(process) as pool:
        pool.exchange_keys()
        ran = run(pool, "Connect-ExchangeOnline", AccessToken=TaggedValue("SS", "x" * 20), Organization=DOMAIN)
        assert (ran.failed, ran.error) == (True, "UnAuthorized")  # converted to its type's name


def test_every_process_is_a_session_of_its_own(program, running):
    """What one process has connected is not connected in another."""
    with Process(program) as one, Process(program) as other, opened(one) as first, opened(other) as second:
        assert not run(first, "Connect-ExchangeOnline", AccessToken=token(running), Organization=DOMAIN).failed
        assert not run(first, "Get-Mailbox", Identity=SUPPORT).failed
        assert run(second, "Get-Mailbox", Identity=SUPPORT).failed


@pytest.mark.parametrize(
    "line",
    [
        "hello",
        "<Data Stream='Default'>AAAA</Data>",
        f"<Data Stream='Default' PSGuid='{ZERO}'>***</Data>",
        f"<Data Stream='Default' PSGuid='{ZERO}'>AAAA</Data><!-- -->",
        "<Command PSGuid='11111111-1111-1111-1111-111111111111' />",
        f"<Prompt PSGuid='{ZERO}' />",
        f"<Signal PSGuid='{ZERO}' />",
        f"<DataAck PSGuid='{ZERO}' />",
        "<Data Stream='Default' PSGuid='x'>AAAA</Data>",
        f"<!DOCTYPE a [<!ENTITY b 'c'>]><Data Stream='Default' PSGuid='{ZERO}'>&b;</Data>",
        "",
    ],
)
def test_what_is_no_packet_ends_the_process(program, line):
    """PowerShell's server ends with 4000 and a line on standard error; so does the stand-in, whatever the nonsense."""
    with Process(program) as process:
        process.say(line)
        process.child.wait(5)  # at once, though its input goes on
        code, words = process.end()
        assert code == 4000 & 0xFF
        assert words.strip()


def test_the_acknowledgements(program):
    """A Close of what is not there, and data for it, are acknowledged; a Command is, and then its Signal and its Close."""
    somebody = str(uuid.uuid4())
    with Process(program) as process:
        with opened(process):
            process.say(f"<Data Stream='Default' PSGuid='{somebody}'>AAAA</Data>")
            assert (process.hear().tag, process.heard[-1].count(somebody)) == ("DataAck", 1)
            for kind in ("Command", "Signal", "Close", "Close"):
                process.say(f"<{kind} PSGuid='{somebody}' />")
                while (answer := process.hear()).tag == "Data":
                    pass
                assert (answer.tag, answer.attrib) == (f"{kind}Ack", {"PSGuid": somebody})


@pytest.mark.parametrize("arguments", [("-NoLogo",), ("-s", "-Command", "1"), ("-s", "-File", "x.ps1")])
def test_only_server_mode_is_there(program, arguments):
    """Any other way of starting it is refused by name, and nothing is run."""
    with Process(program, *arguments) as process:
        code, words = process.end()
        assert code == 64
        assert "emulated" in words


def test_only_its_owner_can_reach_it(running):
    """The socket lies in a folder that is its owner's alone, and so does the program."""
    folder = running.sandbox.pwsh.parent.parent
    assert folder.stat().st_mode & 0o077 == 0
    assert running.sandbox.pwsh.stat().st_mode & 0o077 == 0
    assert os.access(running.sandbox.pwsh, os.X_OK)


def test_a_sandbox_that_has_ended_ends_the_program():
    """A stand-in whose sandbox stops says so and ends; one that is started afterwards does too."""
    with Running(Options(faults="none")) as running:
        program = running.sandbox.pwsh.read_text(encoding="utf-8")
        process = Process(running.sandbox.pwsh)
        process.say(f"<Signal PSGuid='{uuid.uuid4()}' />")
        assert process.hear().tag == "SignalAck"
    with process:
        code, _ = process.end()
        assert code != 0
    assert "pwsh.py" in program


@pytest.mark.parametrize("name", ["pwsh-ends-before", "pwsh-ends-after"])
def test_a_process_ends_in_the_middle(running, name):
    """The process is gone where a pipeline was to be taken, or where its output was to come; another one serves. Only
    after pwsh-ends-after has the pipeline run."""
    running.reset(faults=f"none,{name}=1", seed=1)
    tenant = running.sandbox.tenant
    try:
        ended = 0
        for _ in range(60):
            with Process(running.sandbox.pwsh) as process:
                try:
                    with opened(process) as pool:
                        for _ in range(12):
                            run(pool, "Get-Module", Name="ExchangeOnlineManagement")
                except EOFError:
                    ended += 1
                    assert process.child.wait(5) == 4000 & 0xFF
                    asked = tenant.requests["remoting"]["Get-Module"]
            if ended:
                break
        assert (ended, tenant.faults.fired[name]) == (1, 1)
        before = sum(line.startswith("<CommandAck") for line in process.heard)
        assert asked % 12 == before % 12, "what was taken ran"
        with Process(running.sandbox.pwsh) as process, opened(process) as pool:
            assert len(run(pool, "Get-Module", Name="ExchangeOnlineManagement").rows) == 1
    finally:
        running.reset(faults="none")
