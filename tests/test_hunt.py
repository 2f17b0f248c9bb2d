"""The secret hunt: after every command, failing ones too, no trace of a secret or token in anything that it leaves."""

import base64
import json
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from console import Console
from exosp.cli import app
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options
from hunter import all_that_is_issued, hunt
from test_secrets import files, watched

SECRET = 'aB3~xY.z-09_QwErTyUiOp+/=&%é"\\ end'
TENANT = "none,secret-lag=1,read-lag=1,graph-throttle=1,remoting-drop-before=1"
WRONG_SECRET = "w4X8Q~this-is-not-the-secret-of-anybody"

# What is run, in this order; RUN is the last run's id. Between them others' hands do what makes the next one necessary.
SCRIPT: tuple[tuple[str, ...], ...] = (
    ("preflight", "playbook.yaml"),
    ("plan", "playbook.yaml", "--out", "saved.json"),
    ("apply", "playbook.yaml", "--yes", "--plan", "saved.json"),
    ("verify", "playbook.yaml", "--negative", "private@contoso.com", "--send-to", "sales@contoso.com", "--list", "1"),
    ("explain", "-"),  # of a log in which all that is secret stands, as programs log it
    ("consent-url", "playbook.yaml", "--tenant", "contoso.onmicrosoft.com"),
    (
        "audit",
        "--tenant",
        "contoso.onmicrosoft.com",
        "--evidence",
        "--folders",
        "--snapshot",
        "audit.jsonl",
        "-o",
        "report.html",
        "-o",
        "report.sarif",
        "-o",
        "report.xml",
        "-o",
        "report.md",
    ),
    ("MISTAKE",),
    ("apply", "playbook.yaml", "--yes"),
    ("WIDEN",),
    ("apply", "playbook.yaml", "--yes"),
    ("undo", "RUN", "playbook.yaml", "--yes"),
    ("NARROW",),
    ("verify", "playbook.yaml"),
    ("LOSE",),
    ("apply", "playbook.yaml", "--yes"),
    ("destroy", "playbook.yaml", "--yes"),
    ("WRONG",),
    ("plan", "playbook.yaml"),
)
OWN_TENANT = {"demo", "sandbox"}  # they make their tenant themselves
NO_TENANT = {"template"}  # it prints a file that ships, and is given no secret


class Stage:
    """Folders, a tenant, and the hands that work between the commands."""

    def __init__(self, folder: Path, running: Running) -> None:
        self.folder, self.running = folder, running
        for name in ("desk", "home", "tmp", "journals"):
            (folder / name).mkdir()
        own = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}
        self.console = Console(folder / "desk", running.environment() | own)
        self.console.write()

    def run(self) -> str:
        """The last run's id."""
        journals = self.folder.glob("journals/*/*/*.jsonl")
        return max(journals, key=lambda path: path.stat().st_mtime_ns).stem

    def hand(self, what: str) -> None:
        playbook, tenant = self.console.folder / "playbook.yaml", self.running.sandbox.tenant
        match what:
            case "MISTAKE":  # Exchange's entry made by hand with the application's own object ID
                [entry] = tenant.exchange.service_principals
                [ours] = [a for a in tenant.directory.applications.values() if a.properties["uniqueName"]]
                tenant.exchange.service_principals.remove(entry)
                wrong = tenant.exchange.add_service_principal(entry["AppId"], ours.id, "Support Desk Mail")
                for address in ("support@contoso.com", "private@contoso.com"):
                    mailbox = tenant.exchange.by_address(address)
                    assert mailbox is not None
                    tenant.exchange.add_permission(mailbox, wrong)
            case "WIDEN":
                playbook.write_text(playbook.read_text().replace("protocols: [imap]}", "protocols: [imap, smtp]}"))
            case "NARROW":
                playbook.write_text(playbook.read_text().replace("protocols: [imap, smtp]}", "protocols: [imap]}"))
            case "LOSE":  # the file with the one copy of the secret's text
                (self.console.folder / "support-desk.env").unlink()
            case "WRONG":
                self.console.environment["AZURE_CLIENT_SECRET"] = WRONG_SECRET
            case _:
                raise AssertionError(what)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running(Options(faults=TENANT)) as found:
        yield found


def commands() -> set[str]:
    named = {command.name for command in app.registered_commands} | {group.name for group in app.registered_groups}
    return {name for name in named if name}


def test_every_command_is_hunted() -> None:
    """A command that comes later comes with its line in the script."""
    assert commands() - OWN_TENANT - NO_TENANT == {words[0] for words in SCRIPT if len(words) > 1}


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("form", ["text", "json"])
def test_nothing_that_a_command_leaves_holds_a_secret(
    form: str, running: Running, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Each command of the tool, --verbose, in a tenant with some faults: streams, saved plan, journals, home, temporary
    folder, and the arguments of every process that it starts. In play: each secret and token that the tenant issued, what
    the provisioning application and the remoting host are known by, and a wrong secret that was refused."""
    running.reset(seed=1, faults=TENANT)
    stage, texts = Stage(tmp_path, running), {}
    with all_that_is_issued() as secrets:
        for number, (command, *words) in enumerate(SCRIPT):
            if not words:
                stage.hand(command)
                continue
            words = [stage.run() if word == "RUN" else word for word in words]
            given = (command, *words, "--format", form)
            given += () if command == "explain" else ("--verbose",)
            given += () if command in ("audit", "explain", "consent-url") else ("--journal", str(tmp_path / "journals"))
            said = watched(stage.console, *given, typed=logged(secrets) if command == "explain" else None)
            texts |= {f"{number} {command} {name}": text for name, text in said.items()}
        texts |= files(tmp_path)
    environment = running.environment()
    password = environment["EXOSP_REMOTING_PASSWORD"]
    known = [
        environment["AZURE_CLIENT_SECRET"],
        password,
        f"{environment['EXOSP_REMOTING_USER']}:{password}",
        WRONG_SECRET,
    ]
    assert any("waiting" in text for text in texts.values())
    assert any(name.startswith("journals") and "AddSecret" in text for name, text in texts.items())
    assert len(secrets) > 20, "the tenant issued next to nothing"
    assert any("repair" in text for text in texts.values())
    assert any("7000215" in text for text in texts.values())
    assert not [a for a in running.sandbox.tenant.directory.applications.values() if a.properties["uniqueName"]]
    found = hunt(texts, [*known, *secrets])
    size = sum(len(text) for text in texts.values())
    record_property(
        "figure",
        f"hunt ({form}): {len(known) + len(secrets)} secrets and tokens, {len(texts)} texts, {size} characters",
    )
    assert found == []


def logged(secrets: list[str]) -> str:
    """What careless programs write down on a bad day."""
    lines = ["INFO sign-in failed: AADSTS7000215: Invalid client secret provided."]
    for secret in secrets:
        if secret.count(".") == 2:
            lines += [f"DEBUG > Authorization: Bearer {secret}", f'{{"access_token": "{secret}"}}']
            lines += [
                f"C: A01 AUTHENTICATE XOAUTH2 {_base64(f'user=support@contoso.com{chr(1)}auth=Bearer {secret}{chr(1) * 2}')}"
            ]
        else:
            lines += [
                f"client_id=support&client_secret={urllib.parse.quote(secret, safe='')}",
                f'"secretText": "{secret}"',
            ]
    return "\n".join([*lines, "S: A01 NO AUTHENTICATE failed.", ""])


PLANTED = {
    "whole": str,
    "a run of twelve": lambda text: f"hint: {text[9:21]}",
    "in JSON": lambda text: json.dumps({"detail": text}),
    "in an address": lambda text: f"https://host/?next={urllib.parse.quote(text, safe='')}&x=1",
    "in a form": lambda text: urllib.parse.urlencode({"client_secret": text}),
    "as XOAUTH2": lambda text: _base64(f"user=support@contoso.com\1auth=Bearer {text}\1\1"),
    "as Basic": lambda text: _base64(f"exosp:{text}"),
    "as Basic of a longer name": lambda text: _base64(f"exosp2:{text}"),
    "as a PowerShell command": lambda text: base64.b64encode(f"Connect -Token {text}".encode("utf-16-le")).decode(),
    "in base64 for addresses": lambda text: base64.urlsafe_b64encode(f"a{text}".encode()).decode(),
    "as hex of UTF-16": lambda text: text.encode("utf-16-le").hex(),
}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("way", PLANTED)
def test_the_hunter_finds_what_is_planted(way: str) -> None:
    """A hunter that never found anything would prove nothing: one secret, planted in each encoding, amid other text."""
    planted = PLANTED[way](SECRET)
    assert hunt(
        {"clean": "Nothing to do. " * 40, "log": f"before {planted} after"}, ["other-secret-of-all", SECRET]
    ) == ["log: secret 1"]


def test_the_hunter_knows_a_token_by_its_beginning() -> None:
    """Also one that no tenant of ours issued, plain and in base64."""
    token = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.e30.c2ln"
    for text in (token, _base64(token)):
        assert hunt({"log": f"Authorization: {text}"}, []) == ["log: a token"]


def test_the_hunter_hears_of_every_secret_and_token(running: Running, tmp_path: Path) -> None:
    """What one apply saved is among what was issued, and so is a token that it signed in with."""
    running.reset(seed=1, faults="none")
    console = Console(tmp_path, running.environment())
    console.write()
    with all_that_is_issued() as issued:
        assert console.here("apply", "playbook.yaml", "--yes").code == 0
    saved = (tmp_path / "support-desk.env").read_text()
    assert any(secret in saved for secret in issued)
    assert any(secret.count(".") == 2 and secret.startswith("eyJ") for secret in issued)
