"""The help is part of the product: plain words, no option without them, one line a command."""

import re
from pathlib import Path
from typing import Any

import pytest

from console import Console
from test_readme import commands

COMMANDS = dict(commands())

WHOLE = """\
Usage: exosp [OPTIONS] COMMAND [ARGS]...

  Give one application access to chosen Exchange Online mailboxes over IMAP,
  POP3 and SMTP, and prove it.

Options:
  --version             Print the version.
  --install-completion  Install completion for the current shell.
  --show-completion     Show completion for the current shell, to copy it or
                        customize the installation.
  -h, --help            Show this message and exit.

Commands:
  demo         The main job, from nothing to proof, on an emulated tenant.
  preflight    Say what you may do, and what is missing.
  plan         Show what apply would change. Writes nothing.
  apply        Make the tenant as the playbook says.
  verify       Prove it with real logins. Writes nothing.
  audit        Say who can open which mailbox, in the whole tenant.
  explain      What a pasted failure means, and what to do.
  consent-url  Where another tenant's administrator consents.
  undo         Put back what a run changed.
  destroy      Remove all that exosp made, nothing else.
  template     Print a file to start from.
  sandbox      An emulated tenant for other programs.
"""


def test_the_whole_help_is_this_screen(tmp_path: Path) -> None:
    """As a screen of 80 columns; exit 0, nothing on stderr."""
    found = Console(tmp_path).run("--help")
    assert (found.code, found.err) == (0, "")
    assert found.out == WHOLE


def test_without_a_word_it_shows_the_help_and_exits_with_2(tmp_path: Path) -> None:
    """On stderr: nobody asked for it."""
    found = Console(tmp_path).here()
    assert found.code == 2
    assert found.out == ""
    assert "Commands:" in found.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is_for(name: str) -> None:
    """A sentence for each, and none that tells of types instead of meanings."""
    for parameter in COMMANDS[name].params:
        said: Any = parameter.help
        assert said, f"{name} {parameter.name}"
        assert said.endswith("."), f"{name} {parameter.name}: {said}"
        assert re.match(r"[A-Z]|text for people", said), f"{name} {parameter.name}: {said}"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_plain(name: str, tmp_path: Path) -> None:
    """No markup, no escape codes, lines of at most 80 columns."""
    found = Console(tmp_path).here(*name.split(), "--help", COLUMNS="80")
    assert found.code == 0
    assert found.out.startswith("Usage: ")
    assert not re.search(r"\x1b|\[/?(bold|dim|italic|red|green|cyan|b|i)\]|\*\*|``", found.out)
    assert max(len(line) for line in found.out.splitlines()) <= 80


def test_the_lists_of_commands_cut_nothing(tmp_path: Path) -> None:
    """No line of a list ends in three dots."""
    for words in ((), ("sandbox",)):
        listed = Console(tmp_path).here(*words, "--help").out.partition("Commands:")[2]
        assert listed.strip()
        assert "..." not in listed


@pytest.mark.parametrize("word", ["utility", "simply", "please note", "leverage", "seamless", "robust", "e.g."])
def test_no_filler(word: str, tmp_path: Path) -> None:
    """Help uses plain words."""
    texts = [Console(tmp_path).here(*name.split(), "--help").out for name in COMMANDS]
    assert not any(word in text.lower() for text in texts)
