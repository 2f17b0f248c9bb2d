"""Hostile names in a tenant in which every check finds something: no fix that is to be copied becomes another command."""

import json
import re
from collections import Counter
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import tree_sitter_powershell
from found import findings
from test_checks_whole import MEASURES, whole
from tree_sitter import Language, Node, Parser

from exosp.inventory import Inventory, MailboxRecord

CORPUS: dict[str, str] = json.loads((Path(__file__).parents[2] / "data" / "hostile_names.json").read_text("utf-8"))
PARSER = Parser(Language(tree_sitter_powershell.language()))

# Fields that hold what somebody may choose. What they are joined by is a GUID and stays.
CHOSEN = frozenset({"name", "address", "login", "trustee", "folder", "scope", "file", "description"})
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def renamed(value: Any, name: str) -> Any:
    """A copy in which every chosen name ends in this one."""
    if isinstance(value, tuple):
        return tuple(renamed(one, name) for one in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changes: dict[str, Any] = {}
    for field in fields(value):
        held = getattr(value, field.name)
        if field.name in CHOSEN and isinstance(held, str) and held and not GUID.fullmatch(held):
            changes[field.name] = held + name
        elif field.name == "mailboxes" and isinstance(held, dict):
            changes[field.name] = {address + name.lower(): protocols for address, protocols in held.items()}
        elif field.name == "forms":
            changes[field.name] = held | {form + name.lower() for form in held}
        else:
            changes[field.name] = renamed(held, name)
    return replace(value, **changes)


def shapes(inventory: Inventory) -> Counter[tuple[str, ...]]:
    """The grammar of each command that a fix consists of, without what stands in quotes; a fault of it is told as such."""
    found: Counter[tuple[str, ...]] = Counter()
    for finding in findings(inventory, MEASURES):
        for fix in finding.fix:
            if fix.shell:
                assert "\n" not in fix.command
                found[(finding.check, *_shape(PARSER.parse(fix.command.encode()).root_node))] += 1
    return found


def _shape(node: Node) -> list[str]:
    own = [f"{node.type}{' MISSING' if node.is_missing else ''}"] if node.is_named or node.is_missing else []
    if node.type in ("command_name", "command_parameter", "variable", "generic_token"):
        own = [f"{node.type} {(node.text or b'').decode()}"]
    return own + [shape for child in node.children for shape in _shape(child)]


def test_names_are_everywhere():
    """What is compared below has the names in it."""
    inventory = renamed(whole(), "; calc")
    assert all(isinstance(row, MailboxRecord) and row.address.endswith("; calc") for row in inventory.mailboxes)
    quoted = sum("; calc'" in fix.command for finding in findings(inventory, MEASURES) for fix in finding.fix)
    assert quoted > 10


@pytest.mark.slow
def test_every_fix_stays_the_command_that_it_is():
    """For each name of the corpus: commands of the same grammar as for a harmless one, and as many; fewer, and no other,
    where the name holds what cannot be seen."""
    mild = shapes(renamed(whole(), "x"))
    assert not [shape for shape in mild if any("ERROR" in part or "MISSING" in part for part in shape)]
    for kind, name in CORPUS.items():
        found = shapes(renamed(whole(), name))
        assert found <= mild, kind
        assert found == mild or not name.isprintable(), kind
