"""The keys a playbook can have, and how any of them is read: every fault is noted and the reading goes on.

A misspelt key is read as the one it is most likely meant to be, so that what stands below it is judged too.
What a key means is ``reader``'s.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from ..errors import Fault
from . import rules
from .rules import Refused
from .values import Place
from .yaml_nodes import Mapping as Keyed
from .yaml_nodes import Node, Scalar, Sequence, Source, Unread

T = TypeVar("T")

NEEDED, OPTIONAL = True, False

LEVELS: dict[str, dict[str, bool]] = {
    "": {
        "exosp": NEEDED, "tenant": NEEDED, "cloud": OPTIONAL, "access": OPTIONAL, "app": NEEDED, "protocols": OPTIONAL,
        "smtp": OPTIONAL, "mailboxes": NEEDED, "exchange": OPTIONAL, "prune": OPTIONAL,
    },
    "smtp": {"access": NEEDED, "scope": OPTIONAL, "filter": OPTIONAL, "admin_unit": OPTIONAL},
    "app": {
        "id": OPTIONAL, "managed_identity": OPTIONAL, "key": NEEDED, "name": NEEDED, "credential": OPTIONAL,
        "audience": OPTIONAL, "registered_in": OPTIONAL,
    },
    "app.credential": {"type": NEEDED, "valid_for": NEEDED, "save_to": NEEDED},
    "mailboxes": {"address": NEEDED, "protocols": OPTIONAL, "send_as": OPTIONAL},
    "mailboxes.send_as": {"from": NEEDED, "by": OPTIONAL},
    "exchange": {
        "remoting": OPTIONAL, "host": OPTIONAL, "port": OPTIONAL, "path": OPTIONAL, "auth": OPTIONAL,
        "configuration": OPTIONAL, "app": OPTIONAL, "thumbprint": OPTIONAL,
    },
}  # fmt: skip
"""Every key there is, by the mapping it stands in."""

STANDS_FOR = {"app.key": ("id", "managed_identity"), "app.name": ("id", "managed_identity")}
"""Needed keys that may be left out where one of these stands in their mapping."""

EXAMPLES = {
    "exosp": "exosp: 1",
    "tenant": "tenant: contoso.onmicrosoft.com",
    "app": "app: {key: support-desk, name: Support Desk Mail, credential: …}",
    "mailboxes": "mailboxes: [support@contoso.com]",
    "smtp": "smtp: {access: rbac, scope: senders@contoso.com}",
    "smtp.access": "access: rbac",
    "app.key": "key: support-desk",
    "app.name": "name: Support Desk Mail",
    "app.credential": "credential: {type: secret, valid_for: 180d, save_to: support-desk.env}",
    "app.credential.type": "type: secret",
    "app.credential.valid_for": "valid_for: 180d",
    "app.credential.save_to": "save_to: support-desk.env",
    "mailboxes.address": "address: support@contoso.com",
    "mailboxes.send_as.from": "from: info@contoso.com",
}

READ_AS = {
    "number": "a number",
    "truth": "a truth value",
    "date": "a date",
}  # what YAML 1.1 makes of no, 07 and 2026-01-01

VARIABLE = re.compile(r"\$\$\{|\$\{([^${}]*)\}|\$\{")
READABLE = re.compile(r"EXOSP_VAR_[A-Za-z0-9_]+")


@dataclass(frozen=True)
class Text:
    """A value as text. ``shown`` is as written: it is all that messages may use."""

    value: str
    shown: str
    start: int
    replaced: bool  # a variable's value is in it


class Keys:
    """Reads the keys of one playbook; ``faults`` grows. Another file that people write has other ``levels`` and ``examples``."""

    levels: ClassVar[Mapping[str, Mapping[str, bool]]] = LEVELS
    examples: ClassVar[Mapping[str, str]] = EXAMPLES

    def __init__(
        self,
        source: Source,
        path: Path,
        environment: Mapping[str, str],
        faults: list[Fault],
        *,
        allow_outside: bool,
    ) -> None:
        self.source = source
        self.path = path
        self.environment = environment
        self.faults = faults
        self.allow_outside = allow_outside

    def keys(
        self, level: str, called: str, node: Node | None, start: int, spare: frozenset[str] = frozenset()
    ) -> dict[str, tuple[Scalar, Node]] | None:
        """A mapping's keys, all of them known. What is unknown or missing is a fault. ``spare``: needed elsewhere, not here."""
        if not isinstance(node, Keyed):
            if node is not None:
                self.wrong(called, node, "a mapping of keys", self.examples.get(level, ""), in_quotes=False)
            return None
        known = self.levels[level]
        found = {key.text: (key, value) for key, value in node.pairs if key.text in known}
        for key, value in node.pairs:
            if key.text not in known:
                meant = rules.nearest(key.text, known, found)
                self.fault(key.start, f"unknown key {quoted(key.text)}", self._key_hint(level, key.text, meant, found))
                if meant is not None:
                    found.setdefault(meant, (key, value))
        for name, needed in known.items():
            if (
                needed
                and name not in spare
                and name not in found
                and node.whole
                and not any(other in found for other in STANDS_FOR.get(f"{level}.{name}", ()))
            ):
                example = self.examples[f"{level}.{name}".removeprefix(".")]
                self.fault(start, f"{called} has no `{name}`", f"add {example}")
        return found

    def _key_hint(self, level: str, key: str, meant: str | None, found: Mapping[str, tuple[Scalar, Node]]) -> str:
        if level == "mailboxes" and "@" in key:
            return f"write {{address: {short(key)}, …}}"
        if "${" in key:
            return "variables are replaced in values only"
        if meant is not None and meant in found:
            return f"did you mean `{meant}`? That stands on line {self.source.where(found[meant][0].start)[0]} already"
        if meant is not None:
            return f"did you mean `{meant}`?"
        elsewhere = next((other for other, names in self.levels.items() if key in names), None)
        if elsewhere is not None:
            return f"`{key}` belongs under `{elsewhere}`" if elsewhere else f"`{key}` belongs at the top"
        return f"the keys here are {', '.join(self.levels[level])}"

    def optional(
        self, keys: Mapping[str, tuple[Scalar, Node]], name: str, rule: Callable[[str], T], *, field: str
    ) -> T | None:
        """A text value by its rule; None where it is absent or at fault."""
        if name not in keys:
            return None
        key, node = keys[name]
        return self.checked(field, self.text(field or name, node, key), rule)

    def checked(self, field: str, held: Text | None, rule: Callable[[str], T]) -> T | None:
        if held is None:
            return None
        try:
            return rule(rules.text(held.value))
        except Refused as fault:
            about = f"`{field}`: " if field else ""
            hint = "" if held.replaced and fault.hint.startswith("did you mean") else fault.hint
            self.fault(held.start, f"{about}{quoted(held.shown)} {fault.what}", hint)
            return None

    def one_of(self, known: tuple[str, ...], called: str) -> Callable[[str], str]:
        def rule(value: str) -> str:
            if value not in known:
                raise Refused(f"is no {called}", self.meant(value, known))
            return value

        return rule

    def meant(self, value: str, known: "tuple[str, ...] | Mapping[str, Any]") -> str:
        meant = rules.nearest(value, known)
        return f"did you mean `{meant}`?" if meant else f"there is {', '.join(known)}"

    def filled(self, field: str, key: Scalar, node: Node) -> Node | None:
        """The node, or None and a fault at its key where nothing stands there."""
        if not is_empty(node):
            return node
        self.fault(key.start, f"`{field}` is empty", self.examples.get(field, ""))
        return None

    def text(self, field: str, node: Node, key: Scalar | None = None) -> Text | None:
        if is_empty(node):
            self.fault(key.start if key else node.start, f"`{field}` is empty", self.examples.get(field, ""))
            return None
        if not isinstance(node, Scalar):
            self.wrong(field, node, "text", self.examples.get(field, ""))
            return None
        if node.kind == "text":
            return self._replaced(node)
        hint = f'put it in quotes: "{node.text}"'
        if field == "app.credential.valid_for":
            hint = "say the unit: 12h, 180d, 26w"
        self.fault(node.start, f"`{field}`: YAML takes {quoted(node.text)} for {READ_AS[node.kind]}, not text", hint)
        return None

    def _replaced(self, node: Scalar) -> Text | None:
        """A value with its variables replaced."""
        before, at = len(self.faults), node.start

        def value_of(found: re.Match[str]) -> str:
            nonlocal at
            written = found[0]
            here = max(self.source.text.find(written, at, node.end), node.start)
            at = here + len(written)
            if written == "$${":
                return "${"
            return self._variable(found[1], written, here)

        value = VARIABLE.sub(value_of, node.text)
        if len(self.faults) > before:
            return None
        return Text(value, node.text, node.start, replaced=value != node.text)

    def _variable(self, name: str | None, written: str, at: int) -> str:
        if name is None:
            self.fault(at, "`${` opens a variable that no `}` closes", "write $${ where ${ itself is meant")
        elif not READABLE.fullmatch(name):
            hint = "set one with that prefix and use it instead; $${ stands for ${ itself"
            self.fault(at, f"{quoted(written)}: only variables named EXOSP_VAR_… can be read", hint)
        elif name not in self.environment:
            meant = rules.nearest(name.lower(), [n.lower() for n in self.environment if n.startswith("EXOSP_VAR_")])
            near = next((n for n in self.environment if n.lower() == meant), "") if meant else ""
            self.fault(
                at, f"{quoted(written)} is not set", f"did you mean ${{{near}}}?" if near else f"export {name}=…"
            )
        else:
            return self.environment[name]
        return ""

    def wrong(self, field: str, node: Node, wanted: str, hint: str, *, in_quotes: bool = True) -> None:
        if isinstance(node, Unread):
            return
        called = f"`{field}`" if in_quotes else field
        shape = {Keyed: "a mapping", Sequence: "a list", Scalar: "a single value"}[type(node)]
        self.fault(node.start, f"{called} must be {wanted}, and {shape} stands here", hint)

    def place(self, offset: int) -> Place:
        return Place(str(self.path), *self.source.where(offset))

    def fault(self, offset: int, what: str, hint: str = "") -> None:
        self.faults.append(self.source.fault(offset, what, hint))


def is_empty(node: Node) -> bool:
    return isinstance(node, Scalar) and node.kind == "empty"


def short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


def quoted(text: str) -> str:
    return f"`{short(text)}`"
