"""The command as people and pipelines use it: the installed program in a process of its own, against one sandbox."""

import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from console import EXOSP, Console, Ran, at, finished, state
from desk import QUICKSTART
from exosp import __version__
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running(Options(faults="none")) as found:
        yield found


@pytest.fixture
def console(running: Running, tmp_path: Path) -> Console:
    """The quickstart and a fresh tenant without faults."""
    return fresh(running, tmp_path)


def fresh(running: Running, folder: Path, **options: Any) -> Console:
    running.reset(**({"seed": 1, "faults": "none", "latency": 0.0} | options))
    console = Console(folder, running.environment())
    console.write()
    return console


def screen(text: str) -> str:
    """A screen without what differs between runs: ids, times, digests, request counts."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", text)
    text = re.sub(r"\b\d{8}T\d{6}Z-[0-9a-f]{8}\b", "<run>", text)
    text = re.sub(r"Digest [0-9a-f]{12}\.", "Digest <digest>.", text)
    return re.sub(r"with \d+ Graph requests and \d+ pipelines", "with <n> Graph requests and <n> pipelines", text)


# From an empty tenant to a proven one


@pytest.fixture(scope="module")
def journey(running: Running, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One user's way through plan, apply and verify; each command's answer by name."""
    console = fresh(running, tmp_path_factory.mktemp("journey"))
    found: dict[str, Any] = {"folder": console.folder}
    before = state(running), at(running, "/requests")
    found["unasked"] = console.run("apply", "playbook.yaml")
    found["unasked_json"] = console.here("apply", "playbook.yaml", "--format", "json", "--no-input")
    found["unasked_sent"] = (state(running), at(running, "/requests")) != before
    found["plan"] = console.run("plan", "playbook.yaml")
    found["plan_json"] = console.here("plan", "playbook.yaml", "--format", "json")
    found["early"] = console.here("verify", "playbook.yaml")
    found["planned_wrote"] = state(running) != before[0]
    found["apply"] = console.run("apply", "playbook.yaml", "--yes")
    held = state(running)
    verify = ("verify", "playbook.yaml", "--negative", "private@contoso.com")
    found |= {"verify": console.run(*verify), "verify_json": console.here(*verify, "--format=json")}
    found["plan_after"] = console.here("plan", "playbook.yaml", "--format", "json")
    found["again"] = console.here("apply", "playbook.yaml", "--yes", "--quiet")
    found["again_wrote"] = state(running) != held
    (console.folder / "support-desk.env").unlink()
    found["lost"] = console.here("plan", "playbook.yaml")
    fresh(running, console.folder)
    found["apply_json"] = console.here("apply", "playbook.yaml", "--yes", "--format", "json")
    return found


SIGNED = "Signed in by secret as Provisioning, cloud sandbox (emulated); may do all of this.\n\n"

PLAN = """\
  + application  create Support Desk Mail
                 signInAudience: AzureADMyOrg; permissions: IMAP.AccessAsApp, POP.AccessAsApp,
                   SMTP.SendAsApp
                 because no application has the unique name exosp-support-desk
  + principal    create Support Desk Mail
                 tags: WindowsAzureActiveDirectoryIntegratedApp
                 because the application has no enterprise application in this tenant
  + consent      IMAP.AccessAsApp
                 resource: Office 365 Exchange Online
                 because IMAP tokens need the role IMAP.AccessAsApp
  + consent      POP.AccessAsApp
                 resource: Office 365 Exchange Online
                 because POP tokens need the role POP.AccessAsApp
  + consent      SMTP.SendAsApp
                 resource: Office 365 Exchange Online
                 because SMTP tokens need the role SMTP.SendAsApp
  + credential   add support-desk.env
                 type: secret; label: exosp-support-desk; valid_for_days: 180; mode: 0600
                 because no live secret of ours exists
  + exchange     create Support Desk Mail
                 ObjectId: the enterprise application's object ID
                 because Exchange does not know the application
  + grants       grant support@contoso.com
                 rights: FullAccess
                 because the application may not open this mailbox
  + grants       grant sales@contoso.com
                 rights: FullAccess
                 because the application may not open this mailbox
  ~ protocols    switch support@contoso.com
                 SmtpClientAuthenticationDisabled: null -> false
                 because SMTP AUTH is off for it; switching it on for this mailbox also admits
                   whoever has its password, as long as the tenant still allows basic authentication
                   for SMTP

10 changes. Digest <digest>.
"""

APPLIED = """\

  ok       application  create Support Desk Mail
  ok       principal    create Support Desk Mail
  ok       consent      IMAP.AccessAsApp
  ok       consent      POP.AccessAsApp
  ok       consent      SMTP.SendAsApp
  ok       credential   add support-desk.env
  ok       exchange     create Support Desk Mail
  ok       grants       grant support@contoso.com
  ok       grants       grant sales@contoso.com
  ok       protocols    switch support@contoso.com

10 of 10 changes applied, with <n> Graph requests and <n> pipelines.
This was run <run>; exosp undo takes that.
"""

PROVEN = """\
  ok  support@contoso.com  imap  opened     «OK [READ-ONLY] EXAMINE completed.»
  ok  support@contoso.com  pop   opened     «+OK 1 250»
  ok  support@contoso.com  smtp  accepted   «250 2.1.0 Sender OK»
  ok  sales@contoso.com    imap  opened     «OK [READ-ONLY] EXAMINE completed.»
  ok  private@contoso.com  imap  refused    «BAD User is authenticated but not connected.»
      As it must be: this mailbox is not the application's to open.

The tenant is as the playbook says. 5 of 5 logins came out right. The application's token is right
in audience and roles, and its oid is the ObjectId Exchange holds. SMTP accepted the sender; no
message was sent, so delivery is not proven.
"""

HEAD = {"cloud": "sandbox", "tenant": "contoso.onmicrosoft.com", "version": __version__, "emulated": True}
CHANGE = {"step", "verb", "target", "before", "after", "writes", "why"}


def test_apply_that_cannot_ask_sends_nothing(journey: dict[str, Any]) -> None:
    """Off a terminal without --yes: exit 2, the reason, and not one request to any service."""
    assert journey["unasked"].code == 2
    assert journey["unasked"].out == ""
    assert journey["unasked"].err == (
        "error: apply writes, and there is no terminal to ask on; nothing was sent\n"
        "  = help: agree beforehand with --yes\n"
    )
    assert journey["unasked_json"].code == 2
    assert journey["unasked_json"].document == {
        "schema": "exosp/apply/1", "cloud": None, "tenant": "contoso.onmicrosoft.com", "version": __version__,
        "error": {"what": "apply writes, and there is no terminal to ask on; nothing was sent", "where": "",
                  "hint": "agree beforehand with --yes"},
    }  # fmt: skip
    assert not journey["unasked_sent"]


def test_plan_shows_every_change_with_its_reason_and_exits_with_3(journey: dict[str, Any]) -> None:
    """The whole screen, on stdout; nothing on stderr, no colour, nothing written."""
    assert journey["plan"].code == 3
    assert screen(journey["plan"].out) == SIGNED + PLAN
    assert journey["plan"].err == ""
    assert not journey["planned_wrote"]


def test_the_plan_document_has_the_documented_keys(journey: dict[str, Any]) -> None:
    """INTERFACES: changes, refused, drift, digest; nothing else beside the head."""
    found = journey["plan_json"]
    document = found.document
    assert found.code == 3
    assert found.err == ""
    assert document.keys() == {"schema", *HEAD, "changes", "refused", "drift", "digest"}
    assert document["schema"] == "exosp/plan/1"
    assert {name: document[name] for name in HEAD} == HEAD
    assert all(change.keys() == CHANGE for change in document["changes"])
    assert [c["step"] for c in document["changes"]] == [
        line.split()[1] for line in PLAN.splitlines() if line.startswith(("  + ", "  ~ "))
    ]
    assert document["digest"].startswith(re.findall(r"Digest ([0-9a-f]+)", journey["plan"].out)[0])


def test_verify_before_apply_is_not_yet(journey: dict[str, Any]) -> None:
    """Exit 3, with the plan that is not empty and the credential that is not there."""
    assert journey["early"].code == 3
    assert journey["early"].out.startswith(
        "  NO  the application's token: there is no saved credential to log in with\n"
    )
    assert PLAN.splitlines()[0] in journey["early"].out
    assert "0 of 4 logins came out right." in journey["early"].out


def test_apply_shows_the_plan_then_each_change(journey: dict[str, Any]) -> None:
    """The whole screen; exit 0; a credential file of mode 0600."""
    assert journey["apply"].code == 0
    assert screen(journey["apply"].out) == SIGNED + PLAN + APPLIED
    assert journey["apply"].err == ""
    assert stat.S_IMODE((journey["folder"] / "support-desk.env").stat().st_mode) == 0o600


def test_the_apply_document_has_the_documented_keys(journey: dict[str, Any]) -> None:
    """INTERFACES: the plan's keys, an outcome a change, the requests by service, the run; prose went to stderr."""
    found = journey["apply_json"]
    document = found.document
    assert found.code == 0
    assert document.keys() == {
        "schema", *HEAD, "changes", "refused", "drift", "digest", "converged", "requests", "run"
    }  # fmt: skip
    assert {name: document[name] for name in HEAD} == HEAD
    assert all(change.keys() == CHANGE | {"outcome"} for change in document["changes"])
    assert {change["outcome"] for change in document["changes"]} == {"applied"}
    assert document["requests"].keys() == {"graph", "remoting", "token"}
    assert all(number > 0 for number in document["requests"].values())
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{8}", document["run"])
    assert screen(found.err).startswith(SIGNED + PLAN)
    assert "10 of 10" not in found.err  # the result is the document


def test_after_apply_the_plan_is_empty_and_a_second_apply_writes_nothing(journey: dict[str, Any]) -> None:
    """Exit 0 from both; --quiet says the result alone."""
    assert journey["plan_after"].code == 0
    assert journey["plan_after"].document["changes"] == []
    assert (journey["again"].code, journey["again"].out, journey["again"].err) == (
        0, "The tenant is as the playbook says. Nothing to do.\n", "",
    )  # fmt: skip
    assert not journey["again_wrote"]


def test_verify_shows_a_line_a_login_with_the_servers_words(journey: dict[str, Any]) -> None:
    """The whole screen, in whatever order logins end; the wanted refusal is marked as such."""
    assert journey["verify"].code == 0
    assert journey["verify"].out == PROVEN
    assert journey["verify"].err == ""


def test_the_verify_document_has_the_documented_keys(journey: dict[str, Any]) -> None:
    """INTERFACES: converged, token, probes; what is more is named here."""
    found = journey["verify_json"]
    document = found.document
    assert found.code == 0
    assert document.keys() == {"schema", *HEAD, "converged", "token", "probes"} | {"plan", "causes"}
    assert {name: document[name] for name in HEAD} == HEAD
    assert document["converged"] is True
    assert document["token"].keys() == {"aud", "tid", "appid", "oid", "roles", "expires"} | {"faults"}
    assert document["token"]["aud"] == "https://outlook.office365.com"
    documented = {"mailbox", "protocol", "expect", "stage", "ok", "proof", "server", "cause", "fix"}
    assert all(probe.keys() == documented | {"user", "key", "row", "evidence", "age"} for probe in document["probes"])
    assert [(p["mailbox"], p["protocol"], p["expect"], p["proof"]) for p in document["probes"]] == [
        ("support@contoso.com", "imap", "accept", "opened"),
        ("support@contoso.com", "pop", "accept", "opened"),
        ("support@contoso.com", "smtp", "accept", "accepted"),
        ("sales@contoso.com", "imap", "accept", "opened"),
        ("private@contoso.com", "imap", "refuse", "refused"),
    ]
    assert found.err.startswith(PROVEN.splitlines()[0])


def test_a_refused_plan_exits_with_1(journey: dict[str, Any]) -> None:
    """A live secret whose copy is lost: what, where in the playbook, what to do."""
    assert journey["lost"].code == 1
    said = " ".join(journey["lost"].out.split())
    assert "! credential refused: support-desk.env: a live secret of ours exists" in said
    assert re.search(r"--> playbook\.yaml:\d+:\d+ = help: put support-desk\.env back", said)
    assert "0 changes, 1 refused." in said


# Other ends


def test_too_early_is_told_apart_and_verbose_says_every_wait(running: Running, tmp_path: Path) -> None:
    """A secret that takes a second is waited for, with the reason; logins that Exchange does not honour yet end in 3."""
    console = fresh(running, tmp_path, faults="none,secret-lag=1,grant-lag=3600")
    applied = console.here("apply", "playbook.yaml", "--yes", "--verbose")
    assert applied.code == 0
    assert re.search(
        r"^  waiting [\d.]+ s: the token endpoint does not take the new secret yet$", applied.err, re.MULTILINE
    )
    early = console.here("verify", "playbook.yaml", "--quiet")
    assert early.code == 3
    assert len(re.findall(r"^  NO  \S+ +(?:imap|pop|smtp) +too early", early.out, re.MULTILINE)) == 4
    assert early.out.count("= help:") < 4  # a cause is explained once
    assert "Exchange does not honour it yet: that can take up to two hours" in " ".join(early.out.split())


def test_somebody_else_must_consent_is_exit_3_with_the_link(running: Running, tmp_path: Path) -> None:
    """Also with --quiet; the document has the link too."""
    console = fresh(running, tmp_path)
    at(
        running,
        "/reset",
        {"tenant": {"admin": {"graph_roles": ["Application.ReadWrite.OwnedBy", "Application.Read.All"]}}},
    )
    found = console.here("apply", "playbook.yaml", "--yes", "--quiet", "--format", "json")
    assert found.code == 3
    assert [c["outcome"] for c in found.document["changes"]].count("waiting-for-somebody") == 3
    assert found.document["consent"].startswith("https://entra.microsoft.com/#view/")
    assert found.document["consent"] in found.err


def test_a_large_plan_is_counted_in_text_and_whole_in_json(running: Running, tmp_path: Path) -> None:
    """Of one step's changes the first twenty are shown and the rest counted; the document lists them all."""
    console = fresh(running, tmp_path, mailboxes=30)
    boxes = "".join(f"  - {{address: box{number:05d}@contoso.com, protocols: [imap]}}\n" for number in range(30))
    console.write(QUICKSTART.read_text(encoding="utf-8").replace("  - support@", boxes + "  - support@"))
    shown = console.here("plan", "playbook.yaml")
    assert shown.out.count("+ grants ") == 20
    assert "    grants       … and 12 more (all of them with --format json)\n" in shown.out
    assert "\n40 changes. Digest " in shown.out
    assert len(console.here("plan", "playbook.yaml", "--format", "json").document["changes"]) == 40
    running.reset(mailboxes=0)


@pytest.mark.parametrize("width", [60, pytest.param(80, marks=pytest.mark.slow)])
def test_prose_keeps_to_the_width_of_the_terminal(running: Running, tmp_path: Path, width: int) -> None:
    """No line of a plan or a refusal is longer than a narrow terminal, but for a word that is."""
    console = fresh(running, tmp_path)
    console.write(
        QUICKSTART.read_text(encoding="utf-8").replace("  - support@", "  - nobody@contoso.com\n  - support@")
    )
    found = console.on_terminal("plan", "playbook.yaml", "--no-color", COLUMNS=str(width))
    assert found.code == 1
    prose = re.sub(r"[^\n]*\x1b[^\n]*\n?|\r", "", found.out).splitlines()
    assert len(prose) > 30
    assert [line for line in prose if len(line) > width and "WindowsAzureActiveDirectory" not in line] == []


# On a terminal


def test_apply_asks_on_a_terminal_and_no_writes_nothing(running: Running, console: Console) -> None:
    """The question comes after the plan; n ends with 1 and the tenant as it was. Colour and progress are there."""
    before = state(running)
    found = console.on_terminal("apply", "playbook.yaml", keys=(("Apply to contoso.onmicrosoft.com? [y/N]", "n\n"),))
    assert found.code == 1
    assert "nothing was written" in found.out
    assert found.out.index("10 changes.") < found.out.index("Apply to") < found.out.index("nothing was written")
    assert "\x1b[32m+\x1b[0m application" in found.out
    assert "reading the tenant" in found.out
    assert state(running) == before


def test_no_input_makes_a_terminal_behave_as_none(running: Running, console: Console) -> None:
    """Exit 2 at once."""
    found = console.on_terminal("apply", "playbook.yaml", "--no-input")
    assert found.code == 2
    assert "there is no terminal to ask on" in found.out
    assert at(running, "/requests")["graph"] == {}


@pytest.mark.parametrize(
    ("words", "changes", "coloured"),
    [((), {}, True), (("--no-color",), {}, False), ((), {"NO_COLOR": "1"}, False), ((), {"TERM": "dumb"}, False)],
)
def test_no_colour_where_none_is_wanted(
    console: Console, words: tuple[str, ...], changes: dict[str, str], coloured: bool
) -> None:
    """On a terminal there is colour; --no-color, NO_COLOR and a terminal that knows none leave no colour code."""
    found = console.on_terminal("plan", "nope.yaml", *words, **changes)
    assert found.code == 2
    assert "cannot read the playbook" in found.out
    colours = {code for code in re.findall(r"\x1b\[([\d;]*)m", found.out) if set(code.split(";")) - {"", "0", "1", "2"}}
    assert bool(colours) is coloured


def test_results_go_where_stdout_goes_while_progress_moves_on_the_terminal(tmp_path: Path) -> None:
    """exosp demo > out.txt: every line in the file, without colour; the moving line on the terminal alone."""
    console = Console(tmp_path)
    found = console.on_terminal("-c", f'"{EXOSP}" demo --faults none > out.txt', program="/bin/bash")
    assert found.code == 0
    said = (tmp_path / "out.txt").read_text(encoding="utf-8")
    assert screen(said).count(PLAN + "\nAPPLY") == 1
    assert APPLIED.splitlines()[1] in said
    assert PROVEN in said
    assert "\x1b" not in said
    assert "10/10" in found.out
    assert "PLAN" not in found.out


# Signals


def test_an_interrupted_apply_says_so_and_goes_on_the_next_time(running: Running, tmp_path: Path) -> None:
    """SIGINT after the first write: 130, no traceback; the same command then ends with one application."""
    console = fresh(running, tmp_path, latency=0.05)
    process = console.start("apply", "playbook.yaml", "--yes", "--format", "json")
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("  ok       application"):
            break
    process.send_signal(signal.SIGINT)
    found = finished(process)
    assert found.code == 130
    assert found.document["error"]["what"] == "interrupted"
    assert "the same command goes on from there" in found.err
    assert "Traceback" not in found.all
    running.sandbox.tenant.options.__dict__["latency"] = 0.0
    assert console.here("apply", "playbook.yaml", "--yes").code == 0
    assert [app["displayName"] for app in state(running)["applications"]].count("Support Desk Mail") == 1


# Commands with a tenant of their own


class Background:
    """Answers of commands that need nothing of the module's sandbox, each run when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._calls: dict[str, Callable[[Console], Any]] = {}
        self._found: dict[str, Any] = {}

    def begin(self, name: str, call: Callable[[Console], Any]) -> None:
        self._calls[name] = call

    def __getitem__(self, name: str) -> Any:
        if name not in self._found:
            self._found[name] = self._calls[name](self._console(name))
        return self._found[name]

    def _console(self, name: str) -> Console:
        folder = self._folder / name
        (folder / "tmp").mkdir(parents=True)
        return Console(folder, {"TMPDIR": str(folder / "tmp"), "HOME": str(folder / "home")})

    def left(self, name: str) -> list[str]:
        """What a command left in its folders."""
        folder = self._folder / name
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name != "tmp")


SIGNALLED = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
print("ready", flush=True)
time.sleep(60)
"""
LOOK = """
import json, os, sys, urllib.request
given = sys.stdin.read()
with urllib.request.urlopen(os.environ["EXOSP_SANDBOX"] + "/state") as reply:
    boxes = [box["PrimarySmtpAddress"] for box in json.load(reply)["exchange"]["casMailboxes"]]
print(given, sorted(n for n in os.environ if n.startswith(("EXOSP_", "AZURE_"))), boxes, sep="|", end="")
sys.exit(7)
"""
WITHOUT_EXTRA = """
import importlib.machinery as machinery, sys
real = machinery.PathFinder.find_spec
gone = ("aiohttp", "psrpcore")
machinery.PathFinder.find_spec = lambda name, *more: None if name.partition(".")[0] in gone else real(name, *more)
from exosp.cli import main
for words in (["demo"], ["sandbox", "up"], ["sandbox", "run", "--", "true"]):
    sys.argv = ["exosp", *words]
    try:
        main()
    except SystemExit as end:
        print(end.code, flush=True)
"""


@pytest.fixture(scope="module")
def background(tmp_path_factory: pytest.TempPathFactory) -> Background:
    found = Background(tmp_path_factory.mktemp("background"))
    found.begin("demo", lambda c: c.run("demo"))
    found.begin("demo_json", lambda c: c.run("demo", "--format", "json", "--faults", "none"))
    found.begin("demo_interrupted", _interrupted_demo)
    found.begin("run", lambda c: c.run(
        "sandbox", "run", "--faults", "none", "--mailboxes", "2", "--", sys.executable, "-c", LOOK,
        given="input", AZURE_USERNAME="astray", EXOSP_APP_CLIENT_ID="astray", EXOSP_VAR_KEPT="1",
    ))  # fmt: skip
    found.begin("run_signalled", _signalled_run)
    found.begin("up", lambda c: _up(c, signal.SIGTERM))
    found.begin("up_json", lambda c: _up(c, signal.SIGINT, "--format", "json"))
    found.begin("without", _without_extra)
    return found


def _interrupted_demo(console: Console) -> Ran:
    process = console.start("demo")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("  ok       application"):
            break
    process.send_signal(signal.SIGINT)
    return finished(process)


def _signalled_run(console: Console) -> Ran:
    process = console.start("sandbox", "run", "--", sys.executable, "-c", SIGNALLED)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    return finished(process)


def _up(console: Console, ending: signal.Signals, *words: str) -> tuple[Ran, bool]:
    """What it said, and whether it served then."""
    process = console.start("sandbox", "up", "--faults", "none", *words)
    assert process.stdout is not None
    said = ""
    while not re.search(r"/reset -d|\n", said) if words else "/reset -d" not in said:
        said += process.stdout.readline()
    port = int(re.findall(r"http://127\.0\.0\.1:(\d+)", said)[0])
    with socket.create_connection(("127.0.0.1", port), timeout=10):
        served = True
    process.send_signal(ending)
    ended = finished(process)
    return Ran(ended.code, said + ended.out, ended.err), served


def _without_extra(console: Console) -> Ran:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRA], cwd=console.folder, env=console.variables({}),
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False,
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr)


def test_demo_ends_in_the_proof_and_what_next(background: Background) -> None:
    """With the default faults: the plan, each change, the proof, the refusal, the clock's move, what next; nothing is
    left behind."""
    found = background["demo"]
    assert found.code == 0, found.all
    headings = [line.split()[0] for line in found.out.splitlines() if re.match(r"[A-Z]{4}", line)]
    assert headings == ["PLAN", "APPLY", "VERIFY", "WHAT"]
    assert sorted(set(PROVEN.splitlines()) - set(found.out.splitlines())) == []  # in whatever order they became final
    moved = re.search(r"clock was moved (\d+) seconds", found.out)
    assert moved
    assert int(moved[1]) > 0
    assert "can take up to two hours" in " ".join(found.out.split())
    assert found.err == ""
    assert "\x1b" not in found.out
    assert background.left("demo") == []


def test_demo_as_one_document(background: Background) -> None:
    """{plan, apply, verify} with the keys of each, and the prose on stderr."""
    found = background["demo_json"]
    document = found.document
    assert found.code == 0
    assert document.keys() == {"schema", *HEAD, "plan", "apply", "verify"} | {"clock_moved_seconds"}
    assert document["schema"] == "exosp/demo/1"
    assert {name: document[name] for name in HEAD} == HEAD
    assert document["plan"].keys() == {"changes", "refused", "drift", "digest"}
    assert {change["outcome"] for change in document["apply"]["changes"]} == {"applied"}
    assert [probe["ok"] for probe in document["verify"]["probes"]] == [True] * 5
    assert screen(found.err).count(PLAN + "\nAPPLY") == 1
    assert background.left("demo_json") == []


@pytest.mark.parametrize("words", [("demo",), ("sandbox", "up"), ("sandbox", "run", "--", "true")])
def test_an_unknown_fault_lists_those_there_are(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Exit 2, where it was said, and every knob by name."""
    at_end = words.index("--") if "--" in words else len(words)
    found = Console(tmp_path).here(*words[:at_end], "--faults", "none,graph-throtle=1", *words[at_end:])
    assert found.code == 2
    said = " ".join(found.err.split())
    assert said.startswith("error: no fault 'graph-throtle'; there are: read-lag, list-lag,")
    assert "graph-throttle" in said
    assert "--> --faults" in said


def test_an_interrupted_demo_leaves_nothing(background: Background) -> None:
    """SIGINT: 130, one sentence, no traceback, no temporary folder."""
    found = background["demo_interrupted"]
    assert found.code == 130
    assert found.err == ("error: interrupted\n  = help: the emulated tenant is gone, and nothing is left behind\n")
    assert background.left("demo_interrupted") == []


def test_sandbox_run_is_the_commands_own_input_output_and_exit_code(background: Background) -> None:
    """stdin reaches it, stdout is its alone; exactly the documented variables are set, foreign ones taken away."""
    found = background["run"]
    assert found.code == 7
    given, names, boxes = found.out.split("|")
    assert given == "input"
    assert eval(names) == [
        "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID", "EXOSP_CLOUD", "EXOSP_REMOTING",
        "EXOSP_REMOTING_PASSWORD", "EXOSP_REMOTING_USER", "EXOSP_SANDBOX", "EXOSP_SANDBOX_USER",
        "EXOSP_SANDBOX_USER_PASSWORD", "EXOSP_VAR_KEPT",
    ]  # fmt: skip
    assert len(eval(boxes)) == 5
    assert found.err == ""
    assert background.left("run") == []


def test_sandbox_run_of_a_missing_command(tmp_path: Path) -> None:
    """Exit 2 and its name."""
    found = Console(tmp_path).here("sandbox", "run", "--", "no-such-command")
    assert (found.code, found.out) == (2, "")
    assert found.err.startswith("error: cannot run no-such-command: No such file or directory\n")


def test_sandbox_run_passes_signals_on(background: Background) -> None:
    """SIGTERM reaches the command, whose own exit code comes back."""
    assert background["run_signalled"].code == 9
    assert background["run_signalled"].err == ""
    assert background.left("run_signalled") == []


def test_sandbox_up_says_how_to_reach_it_and_ends_with_0(background: Background) -> None:
    """The variables for bash and PowerShell; SIGTERM is how it is meant to end, and nothing stays."""
    found, served = background["up"]
    assert served
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    in_bash = {line.split()[1].partition("=")[0] for line in lines if line.startswith("  export ")}
    in_powershell = {line.split()[0].removeprefix("$env:") for line in lines if line.startswith("  $env:")}
    assert in_bash == in_powershell == {
        "EXOSP_CLOUD", "EXOSP_REMOTING", "EXOSP_REMOTING_USER", "EXOSP_REMOTING_PASSWORD", "EXOSP_SANDBOX",
        "EXOSP_SANDBOX_USER", "EXOSP_SANDBOX_USER_PASSWORD", "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET",
    }  # fmt: skip
    assert background.left("up") == []


@pytest.mark.slow  # the text, and by it the signals and the end, is in the core
def test_sandbox_up_as_json_is_one_line(background: Background) -> None:
    """Who reads it has no end of file to wait for. SIGINT ends it with 0 too."""
    found, _ = background["up_json"]
    assert (found.code, found.err) == (0, "")
    assert found.out.count("\n") == 1
    document = found.document
    assert document.keys() == {"schema", *HEAD, "environment", "endpoints", "pid"}
    assert document["schema"] == "exosp/sandbox/1"
    assert document["environment"]["EXOSP_CLOUD"].endswith("cloud.json")
    assert background.left("up_json") == []


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """Exit 2, and the ports that were free are free again."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        first = taken.getsockname()[1] - 2
        found = Console(tmp_path).here("sandbox", "up", "--listen", str(first))
    assert found.code == 2
    assert found.err.startswith(f"error: cannot listen on the ports {first} to {first + 7}: ")
    assert "= help: choose another first port, or 0 for free ones" in found.err
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", first))


def test_a_tenant_file_that_is_wrong(tmp_path: Path) -> None:
    """Missing, or with a key nobody knows: exit 2, the file and the reason; with --format json one document."""
    console = Console(tmp_path)
    missing = console.here("sandbox", "up", "--tenant", "nope.yaml", "--format", "json")
    assert missing.code == 2
    assert missing.err == "error: cannot read the tenant file: No such file or directory\n  --> nope.yaml\n"
    assert missing.document["error"]["where"] == "nope.yaml"
    (tmp_path / "tenant.yaml").write_text("mailboxes: [support@contoso.com]\nteams: [staff]\n")
    wrong = console.here("sandbox", "up", "--tenant", "tenant.yaml")
    assert wrong.code == 2
    assert "knows no teams" in wrong.err
    assert "--> tenant.yaml" in wrong.err


def test_a_module_version_that_is_none(tmp_path: Path) -> None:
    """Exit 2, with what to write."""
    for wrong in ("newest", "3", "3.x", "1.2.3.4.5"):
        found = Console(tmp_path).here("sandbox", "run", "--module", wrong, "--", "true")
        assert found.code == 2
        assert "write 3.0.0, or none" in found.err


def test_without_the_extra_it_says_what_to_install(background: Background) -> None:
    """demo, sandbox up and sandbox run: exit 2, what is missing, and the command that brings it."""
    found = background["without"]
    assert found.out == "2\n" * 3, found.err
    assert found.err == 3 * (
        "error: the sandbox needs aiohttp, psrpcore, which this installation lacks\n"
        "  = help: pip install 'exosp[sandbox]', or pip install '.[sandbox]' in a clone\n"
    )


# The command line itself


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("plann",), "No such command 'plann'"),
        (("plan",), "Missing argument 'PLAYBOOK'"),
        (("plan", "--nope", "playbook.yaml"), "No such option"),
        (("plan", "--timeout", "soon", "playbook.yaml"), "'soon' is no duration"),
        (("verify", "--negative", "nobody", "playbook.yaml"), "is no mail address"),
        (("verify", "--negative", "sales@contoso.com", "playbook.yaml"), "is in the playbook"),
        (("plan", "nope.yaml"), "there is no such file"),
    ],
)
def test_bad_usage_is_exit_2_with_one_document(words: tuple[str, ...], what: str, tmp_path: Path) -> None:
    """Said on stderr, and with --format json as one document on stdout too. No service is asked."""
    console = Console(tmp_path)
    console.write()
    found = console.here(*words, "--format", "json")
    assert found.code == 2
    assert what in found.document["error"]["what"]
    assert found.document["schema"].startswith("exosp/")
    assert found.err.startswith("error: ")


def test_a_reader_that_goes_away_is_no_bug(journey: dict[str, Any], running: Running, tmp_path: Path) -> None:
    """exosp plan | head -1: no traceback."""
    console = fresh(running, tmp_path)
    done = subprocess.run(
        ["bash", "-c", f'"{EXOSP}" plan playbook.yaml | head -1'],
        cwd=console.folder, env=console.variables({}), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == SIGNED.splitlines()[0] + "\n"
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
