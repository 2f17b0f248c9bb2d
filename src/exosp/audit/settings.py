"""What an audit goes by, from a file: whose mailboxes are privileged, limits, and the exceptions that somebody answers for.

::

    exosp-audit: 1
    privileged: [ceo@contoso.com, "*@board.contoso.com"]
    expiring: 30d                # a credential that ends sooner is a finding
    longest: 52w                 # that any secret or certificate may live
    unused: 90d                  # since when access counts as unused
    widest: 100                  # mailboxes that one application may open
    ignore:
      - check: multi-tenant-without-need
        subject: "Helpdesk *"    # an id, a name or an address
        reason: sold to customers, INC-4711
        until: 2027-03-31

Every key but the first may be left out. ``${…}`` is not replaced: what is set aside must be readable in the file itself.
All that is wrong is told at once, each with line and column. A baseline is read here too: an earlier report, JSON or SARIF.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, ClassVar

from ..checks import CHECKS
from ..errors import Fault, PlaybookError, UsageError
from ..finding import Measures
from ..playbook import rules, yaml_nodes
from ..playbook.keys import NEEDED, OPTIONAL, Keys, Text, is_empty, quoted
from ..playbook.rules import Refused
from ..playbook.yaml_nodes import Node, Scalar, Sequence
from .judge import Ignore

CALLED = "the audit's settings"
LARGEST = 1024 * 1024  # bytes; some ten thousand exceptions
NAMES = tuple(check.name for check in CHECKS)
SPANS = ("expiring", "longest", "unused")
LONGEST = timedelta(days=3650)
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
FINGERPRINT = "exosp/v1"  # under which a SARIF report has a finding's fingerprint


@dataclass(frozen=True)
class Settings:
    measures: Measures = field(default_factory=Measures)
    ignores: tuple[Ignore, ...] = ()


def read(path: Path, checks: Collection[str] = NAMES) -> Settings:
    """The settings in a file. Raises UsageError where it cannot be read, PlaybookError with all of its faults."""
    return parse(_text(path), path, checks)


def parse(text: str, path: Path, checks: Collection[str] = NAMES) -> Settings:
    """The settings in a text. ``path`` names it in messages. ``checks``: the names of those there are."""
    faults: list[Fault] = []
    source = yaml_nodes.Source(text)
    root = yaml_nodes.read(source, faults)
    found = Settings()
    if root is None or is_empty(root):
        if not faults:
            faults.append(Fault(1, 1, f"{CALLED} are empty", "they begin with `exosp-audit: 1`"))
    else:
        found = _Reader(source, path, {}, faults, allow_outside=False).settings(root, tuple(checks))
    if faults:
        raise PlaybookError(str(path), list(dict.fromkeys(map(_quotes, faults))), CALLED)
    return found


def _quotes(fault: Fault) -> Fault:
    """What begins with * is an alias to YAML, and to whoever wrote it here a pattern."""
    return (
        replace(fault, hint='what begins with * stands in quotes: "*@board.contoso.com"')
        if " alias" in fault.what
        else fault
    )


class _Reader(Keys):
    """Reads one file of settings."""

    levels: ClassVar[Mapping[str, Mapping[str, bool]]] = {
        "": {
            "exosp-audit": NEEDED, "privileged": OPTIONAL, **dict.fromkeys(SPANS, OPTIONAL), "widest": OPTIONAL, "ignore": OPTIONAL,
        },
        "ignore": {"check": NEEDED, "subject": NEEDED, "reason": NEEDED, "until": NEEDED},
    }  # fmt: skip
    examples: ClassVar[Mapping[str, str]] = {
        "exosp-audit": "exosp-audit: 1",
        "privileged": "privileged: [ceo@contoso.com]",
        "expiring": "expiring: 30d",
        "longest": "longest: 52w",
        "unused": "unused: 90d",
        "widest": "widest: 100",
        "ignore": "ignore: [{check: …, subject: …, reason: …, until: 2027-03-31}]",
        "ignore.check": "check: multi-tenant-without-need",
        "ignore.subject": "subject: Support Desk Mail",
        "ignore.reason": "reason: sold to customers, INC-4711",
        "ignore.until": "until: 2027-03-31",
    }

    def settings(self, root: Node, checks: tuple[str, ...]) -> Settings:
        start = 0 if isinstance(root, yaml_nodes.Mapping) else root.start
        keys = self.keys("", "the file", root, start)
        if keys is None:
            return Settings()
        if "exosp-audit" in keys:
            self._number("exosp-audit", *keys["exosp-audit"], only=1)
        spans = {name: self._span(name, *keys[name]) for name in SPANS if name in keys}
        held: dict[str, Any] = {name: span for name, span in spans.items() if span is not None}
        if "privileged" in keys:
            held["privileged"] = self._privileged(*keys["privileged"])
        if "widest" in keys and (widest := self._number("widest", *keys["widest"])) is not None:
            held["widest"] = widest
        ignores = self._ignores(*keys["ignore"], checks) if "ignore" in keys else ()
        return Settings(replace(Measures(), **held), ignores)

    # Nothing is replaced

    def _replaced(self, node: Scalar) -> Text:
        return Text(node.text, node.text, node.start, replaced=False)

    # Limits

    def _number(self, field: str, key: Scalar, node: Node, only: int | None = None) -> int | None:
        filled = self.filled(field, key, node)
        if filled is None:
            return None
        if isinstance(filled, Scalar) and filled.kind == "number" and re.fullmatch(r"0|[1-9][0-9]{0,8}", filled.text):
            number = int(filled.text)
            if only is None or number == only:
                return number
            self.fault(filled.start, f"`{field}`: {number} is no version that this exosp reads", self.examples[field])
            return None
        if isinstance(filled, Scalar):
            self.fault(filled.start, f"`{field}`: {quoted(filled.text)} is no whole number", self.examples[field])
        else:
            self.wrong(field, filled, "a whole number", self.examples[field])
        return None

    def _span(self, field: str, key: Scalar, node: Node) -> timedelta | None:
        if isinstance(node, Scalar) and node.kind == "number":
            self.fault(node.start, f"`{field}`: {quoted(node.text)} has no unit", f"say it: {self.examples[field]}")
            return None
        return self.checked(field, self.text(field, node, key), _span)

    def _privileged(self, key: Scalar, node: Node) -> tuple[str, ...]:
        found = (
            self.checked("privileged", self.text("privileged", item), _address) for item in self._list("privileged", key, node)
        )  # fmt: skip
        return tuple(address for address in found if address is not None)

    def _list(self, field: str, key: Scalar, node: Node) -> tuple[Node, ...]:
        filled = self.filled(field, key, node)
        if isinstance(filled, Sequence):
            return filled.items
        if filled is not None:
            self.wrong(field, filled, "a list", self.examples[field])
        return ()

    # Exceptions

    def _ignores(self, key: Scalar, node: Node, checks: tuple[str, ...]) -> tuple[Ignore, ...]:
        found = (self._ignore(item, checks) for item in self._list("ignore", key, node))
        return tuple(ignore for ignore in found if ignore is not None)

    def _ignore(self, node: Node, checks: tuple[str, ...]) -> Ignore | None:
        keys = self.keys("ignore", "an entry of `ignore`", node, node.start)
        if keys is None:
            return None
        check = self.optional(keys, "check", self.one_of(checks, "check"), field="ignore.check")
        subject = self.optional(keys, "subject", str, field="ignore.subject")
        reason = self.optional(keys, "reason", str, field="ignore.reason")
        until = self._until(*keys["until"]) if "until" in keys else None
        if check is None or subject is None or reason is None or until is None:
            return None
        return Ignore(check, subject, reason, until, f"{self.path}:{self.source.where(node.start)[0]}")

    def _until(self, key: Scalar, node: Node) -> date | None:
        """YAML may take it for a date or for text; it is its last day either way."""
        field = "ignore.until"
        if isinstance(node, Scalar) and node.kind == "date":
            node = replace(node, kind="text")
        elif isinstance(node, Scalar) and node.kind == "number":
            self.fault(node.start, f"`{field}`: {quoted(node.text)} is no day", self.examples[field])
            return None
        return self.checked(field, self.text(field, node, key), _day)

    def meant(self, value: str, known: "tuple[str, ...] | Mapping[str, Any]") -> str:
        near = rules.nearest(value, known)
        return f"did you mean `{near}`?" if near else "`exosp explain --checks` names them all"


def _span(value: str) -> timedelta:
    found = rules.DURATION.fullmatch(value)
    if not found:
        raise Refused("is no length of time", "hours, days or weeks: 12h, 30d, 52w")
    span = timedelta(seconds=int(found[1]) * rules.SECONDS[found[2]])
    if not timedelta() < span <= LONGEST:
        raise Refused(f"must be more than nothing, and {LONGEST.days}d at most")
    return span


def _address(value: str) -> str:
    if "@" not in value and "*" not in value:
        raise Refused("is no address and can match none", 'such as ceo@contoso.com or "*@board.contoso.com"')
    return value.lower()


def _day(value: str) -> date:
    try:
        if DAY.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass  # 2027-02-30
    raise Refused("is no day", "year, month and day: 2027-03-31")


# A baseline


def known(path: Path) -> frozenset[str]:
    """The fingerprints of what an earlier report found: of its findings, and of those that it knew itself. What it had set
    aside is not known: an exception that ends brings it back. Raises UsageError."""
    text = _text(path, f"the baseline {path.name}", largest=None)
    try:
        held = json.loads(text)
        found = _of_sarif(held) if "runs" in held else _of_document(held)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        found = None
    if found is None or not all(isinstance(fingerprint, str) for fingerprint in found):
        raise UsageError(
            "this is no report of an audit", where=str(path), hint="a baseline is what --format json or sarif wrote"
        )
    return frozenset(found)


def _of_document(held: Any) -> list[Any] | None:
    if held["schema"] != "exosp/audit/1" or "asked" in held:  # of one application or mailbox alone
        return None
    return [finding["fingerprint"] for finding in (*held["findings"], *held.get("known", ()))]


def _of_sarif(held: Any) -> list[Any] | None:
    runs = [run for run in held["runs"] if run["tool"]["driver"]["name"] == "exosp"]
    if not runs:
        return None
    found = [
        result["partialFingerprints"][FINGERPRINT]
        for run in runs
        for result in run["results"]
        if not result.get("suppressions")
    ]
    return found + [fingerprint for run in runs for fingerprint in run.get("properties", {}).get("known", ())]


# Files


def _text(path: Path, called: str = CALLED, largest: int | None = LARGEST) -> str:
    where = str(path)
    try:
        if not path.is_file():
            why = (
                "it is a folder"
                if path.is_dir()
                else "it is no regular file"
                if path.exists()
                else "there is no such file"
            )
            raise UsageError(f"cannot read {called}: {why}", where=where)
        with path.open("rb") as file:
            held = file.read() if largest is None else file.read(largest + 1)
    except OSError as fault:
        raise UsageError(f"cannot read {called}: {fault.strerror}", where=where) from None
    except ValueError:  # a NUL in the path
        raise UsageError(f"cannot read {called}: no file can have that name", where=where) from None
    if largest is not None and len(held) > largest:
        raise PlaybookError(where, [Fault(0, 0, f"the file is larger than {largest} bytes")], CALLED)
    try:
        return held.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"cannot read {called}: it is not UTF-8 text", where=where, hint="save it as UTF-8") from None
