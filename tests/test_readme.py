"""README.md says what is so: its commands, transcript, options, exit codes and files are held against the program."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from console import Console
from exosp import clouds, playbook
from exosp.audit import settings
from exosp.checks import CHECKS
from exosp.cli import app
from exosp.sandbox import initial, situations
from exosp.sandbox.cmdlets.endpoints import ENDPOINTS
from exosp.sandbox.tenant import Options, Tenant

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

FIRST = """\
pip install '.[sandbox]' && exosp demo            # the main job, on the embedded tenant
pip install -e '.[sandbox,test]' && pytest        # the tests
"""

EXIT_CODES = """\
| exit | meaning |
|---|---|
| 0 | done, clean, or converged |
| 1 | failed (also: a guard rail refused, an audit that could not read everything: this comes before 4) |
| 2 | bad usage or bad playbook |
| 3 | not yet: plan has changes, verify found drift or a failed probe, too early to tell, or someone else must act (consent) |
| 4 | audit findings at or above `--fail-on` |
"""

TRANSCRIPT = re.compile(r"<!-- transcript: (.+?) -->\n```\n(.*?)```\n<!-- end of transcript -->", re.DOTALL)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> Iterator[tuple[str, Any]]:
    """Every command there is, with the words that call it."""

    def below(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        for name, child in getattr(command, "commands", {}).items():
            if hasattr(child, "commands"):
                yield from below(child, (*words, name))
            else:
                yield " ".join((*words, name)), child

    yield from below(typer.main.get_command(app), ())


def options(command: Any) -> set[str]:
    return {word for parameter in command.params for word in parameter.opts if word.startswith("--")} | {"--help"}


def test_the_two_commands_of_a_newcomer_stand_first() -> None:
    """The first code block, to the letter."""
    assert re.findall(r"^```\w*\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)[0] == FIRST


def test_the_transcript_is_a_real_run(tmp_path: Path) -> None:
    """The command between the markers prints just that; only where exosp is installed, how many requests it took and a
    plan's digest may differ."""
    [(command, printed)] = TRANSCRIPT.findall(README)
    program, *words = command.split()
    assert program == "exosp"
    found = Console(tmp_path).run(*words)
    assert found.code == 0, found.err
    assert alike(found.out) == alike(printed)
    assert len(printed.splitlines()) > 60


def alike(text: str) -> str:
    text = re.sub(r"'?(/|…)\S*/templates/playbook\.yaml'?", "…/templates/playbook.yaml", text)
    text = re.sub(r"\d+ Graph requests and \d+ pipelines", "<n> Graph requests and <n> pipelines", text)
    return re.sub(r"Digest [0-9a-f]{12}\.", "Digest <digest>.", text)


def test_every_command_stands_in_readme_and_no_other() -> None:
    """Both ways: what --help lists, and what README calls exosp with."""
    there = {name for name, _ in commands()}
    table = {re.sub(r" [A-Z-].*", "", row) for row in re.findall(r"^\| `exosp ([^`]+)` \|", README, re.MULTILINE)}
    assert table == there
    called = re.findall(r"(?<![\w/.-])exosp ((?:sandbox )?[a-z-]+)\b", "\n".join(re.findall(r"`+[^`]+`+", README)))
    assert set(called) - there - {"sandbox"} == set()


def test_every_option_that_readme_names_exists() -> None:
    """Somewhere; and one that stands behind a command's name belongs to that command."""
    known = {name: options(command) for name, command in commands()}
    body = README.replace(EXIT_CODES, "")
    assert body != README
    named = set(
        re.findall(r"(?<![\w-])--[a-z][a-z-]*", re.sub(r"^```.*?^```$", "", body, flags=re.MULTILINE | re.DOTALL))
    )
    named -= {"--oauth2-bearer"}
    assert named - set().union(*known.values()) == set()
    for name, option in re.findall(r"`(?:exosp )?((?:sandbox )?[a-z]+) (--[a-z-]+)[^`]*`", body):
        if name in known:
            assert option in known[name], f"{name} {option}"


def test_the_exit_codes_are_the_contract() -> None:
    """To the letter."""
    assert EXIT_CODES in README


def test_every_playbook_in_readme_can_be_read(tmp_path: Path) -> None:
    """Also the template and the quickstart that ship with it."""
    found = [block for block in blocks("yaml") if block.startswith("exosp:")]
    assert found
    shipped = [*(ROOT / "playbooks").glob("*.yaml"), *(ROOT / "templates").glob("*.yaml")]
    assert len(shipped) >= 2
    for text in (*found, *(path.read_text(encoding="utf-8") for path in shipped)):
        assert playbook.parse(text, tmp_path / "playbook.yaml", {}).boxes


def test_the_template_s_comments_are_playbook_too(tmp_path: Path) -> None:
    """With every comment that holds a key made real, it still reads."""
    text = (ROOT / "templates" / "playbook.yaml").read_text(encoding="utf-8")
    whole = re.sub(r"^(  )# (?=- |host:|auth:)", r"\1", text, flags=re.MULTILINE)
    assert whole.count("# -") < text.count("# -")
    found = playbook.parse(whole, tmp_path / "playbook.yaml", {})
    assert len(found.boxes) == 3
    assert found.exchange.host == "mgmt.contoso.com"


def test_the_tenant_file_in_readme_is_one() -> None:
    """Every key the sandbox knows, and no other."""
    [text] = [block for block in blocks("yaml") if not block.startswith("exosp")]
    found = initial.parse(text)
    assert {"smtp_auth_disabled", "admin", "mailboxes", "applications", "users"} < set(found)
    initial.furnish(Tenant(Options(faults="none")), found)  # and what it says can be
    assert set(found["admin"]) == set(initial.ADMIN)
    assert set(found["mailboxes"][1]) == initial._MAILBOX
    assert set(found["applications"][0]) == situations.KEYS
    assert set(found["users"][0]) == initial._USER - {"home"}  # a partner's person has it


def test_the_audit_settings_in_readme_are_some(tmp_path: Path) -> None:
    """They are taken as they stand."""
    [text] = [block for block in blocks("yaml") if block.startswith("exosp-audit:")]
    found = settings.parse(text, tmp_path / "settings.yaml")
    assert (len(found.ignores), found.measures.privileged) == (1, ("ceo@contoso.com", "*@board.contoso.com"))


def test_the_cloud_file_in_readme_is_one(tmp_path: Path) -> None:
    """It is taken as it stands: all its hosts are loopback."""
    [text] = [block for block in blocks("json") if "exosp/cloud/1" in block]
    path = tmp_path / "cloud.json"
    path.write_text(text)
    assert clouds.find(str(path)).name == json.loads(text)["name"]


def test_every_environment_variable_in_readme_is_read_somewhere() -> None:
    """And each that the program names for people stands in README."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    for name in ("test_pwsh.py", "interop/test_azure_cli.py"):  # two are for the tests
        source += (ROOT / "tests" / name).read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:EXOSP|AZURE)_[A-Z_]+[A-Z]\b", README)) - {"EXOSP_VAR_NAME"}
    missing = {name for name in named if name not in source}
    assert missing == set()


def test_the_configurations_in_readme_are_the_hosts() -> None:
    """Those that the emulated host serves, and those that one is told to name."""
    [listed] = re.findall(r"The host serves the configurations (.*)\.", README)
    assert set(re.findall(r"`([\w.]+)`", listed)) == set(ENDPOINTS)
    assert {"Exosp.JEA", "Exosp.Audit"} <= set(re.findall(r"configuration=(Exosp\.\w+)", README)) <= set(ENDPOINTS)
    assert "[switch] $ReadOnly" in (ROOT / "templates" / "host.ps1").read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform != "linux", reason="the path of the shell is what is tested nowhere else")
def test_links_and_paths_in_readme_exist() -> None:
    """Every path of this repository that README names."""
    for name in re.findall(r"`((?:templates|playbooks|\.ci|src|tests)/[\w./-]+)`", README):
        assert (ROOT / name).exists(), name


def test_the_number_of_checks_in_readme_is_right() -> None:
    """A check that is added is counted."""
    assert f"by {len(CHECKS)} checks" in README
