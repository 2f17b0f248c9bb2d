"""YAML text into a small tree whose every value knows where it stands, and all that is wrong with the YAML itself.

Nothing is constructed from what a file says. What a playbook has no use for is refused by name, not followed: aliases
(a few lines of them can mean gigabytes), merge keys, tags, several documents, a key twice. It knows no playbook key.

PyYAML takes some 20 ms to import, so this module is imported when a file is read and not before.
"""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from ..errors import Fault

DEPTH = 12  # levels of lists and mappings; a playbook has five

Kind = Literal["text", "number", "truth", "date", "empty"]

KINDS: dict[str, Kind] = {
    "tag:yaml.org,2002:int": "number",
    "tag:yaml.org,2002:float": "number",
    "tag:yaml.org,2002:bool": "truth",
    "tag:yaml.org,2002:timestamp": "date",
    "tag:yaml.org,2002:null": "empty",
}
"""What YAML 1.1 takes a value without quotes for; anything else is text."""


@dataclass(frozen=True)
class Scalar:
    """One value. ``start`` and ``end`` are offsets into the text; ``kind`` is what YAML takes it for."""

    text: str
    kind: Kind
    start: int
    end: int


@dataclass(frozen=True)
class Mapping:
    """Keys are unique; the first of several stays. ``whole``: every key could be read."""

    pairs: "tuple[tuple[Scalar, Node], ...]"
    start: int
    whole: bool


@dataclass(frozen=True)
class Sequence:
    items: "tuple[Node, ...]"
    start: int


@dataclass(frozen=True)
class Unread:
    """Something whose fault is told already: readers pass over it."""

    start: int


Node = Scalar | Mapping | Sequence | Unread


class Source:
    """A file's text, with its line breaks made uniform, and where in it an offset lies."""

    def __init__(self, text: str) -> None:
        self.text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        self._starts = [0, *(at + 1 for at, char in enumerate(self.text) if char == "\n")]
        self._end = len(self.text.rstrip("\n"))

    def where(self, offset: int) -> tuple[int, int]:
        """Line and column, from 1. The end of the text is the end of its last line that holds something."""
        offset = max(0, offset if offset < len(self.text) else self._end)
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def fault(self, offset: int, what: str, hint: str = "") -> Fault:
        return Fault(*self.where(offset), what, hint)


def read(source: Source, faults: list[Fault]) -> Node | None:
    """The tree, None where there is nothing to read. What is wrong is added to ``faults``."""
    return _Builder(source, faults).document()


class _Stop(Exception):
    """The rest of the text cannot be read; the fault is told."""


class _Builder:
    """From PyYAML's events, so that an alias is met as an alias and depth is ours to bound."""

    def __init__(self, source: Source, faults: list[Fault]) -> None:
        self.source = source
        self.faults = faults

    def document(self) -> Node | None:
        try:
            self.loader: Any = yaml.SafeLoader(self.source.text)  # its methods have no annotations
            return self._document()
        except _Stop:
            pass
        except yaml.reader.ReaderError as fault:
            # PyYAML declares ``position`` and ``character`` loosely: for text they are an offset and a code point.
            position, code = int(fault.position), int(fault.character)
            self._fault(position, f"not YAML: the character U+{code:04X} is not allowed")
        except yaml.MarkedYAMLError as fault:
            mark = fault.problem_mark or fault.context_mark
            position = mark.index if mark else 0
            self._fault(position, *self._explain(fault, position))
        except (ValueError, OverflowError):  # chr() and int() inside PyYAML, on escapes and directives
            self._fault(self.loader.get_mark().index, "not YAML: a number here is too large for what it stands for")
        return None

    def _fault(self, offset: int, what: str, hint: str = "") -> None:
        self.faults.append(self.source.fault(offset, what, hint))

    def _explain(self, fault: yaml.MarkedYAMLError, position: int) -> tuple[str, str]:
        text = self.source.text
        problem = fault.problem or "it cannot be read"
        if text[position : position + 1] == "\t" and "cannot start any token" in problem:
            return "not YAML: a tab cannot indent", "use spaces"
        if text[max(0, position - 1) : position + 1] == "${":
            return "not YAML: braces inside braces", 'inside { } and [ ] put it in quotes: "${EXOSP_VAR_…}"'
        return f"not YAML: {problem}" + (f" ({fault.context})" if fault.context else ""), ""

    def _document(self) -> Node | None:
        self._next()  # the stream's start
        if isinstance(self._next(), yaml.StreamEndEvent):
            return None
        node = self._node(self._next(), 0)
        self._next()  # the document's end
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            self._fault(_start(after), "a second document begins here", "a playbook is one document")
        return node

    def _next(self) -> yaml.Event:
        event: yaml.Event = self.loader.get_event()
        return event

    def _node(self, event: yaml.Event, depth: int) -> Node:
        start = _start(event)
        if isinstance(event, yaml.AliasEvent):
            self._fault(start, f"`*{event.anchor}` is an alias, and aliases are not read", "write the value out")
            return Unread(start)
        if depth > DEPTH:
            self._fault(start, f"lists and mappings stand more than {DEPTH} deep here")
            raise _Stop
        tag = getattr(event, "tag", None)
        node = self._collected(event, start, depth)
        if tag is not None:
            self._fault(start, f"`{_short(tag)}` is a tag, and tags are not read", "text is text when it is in quotes")
            return Unread(start)
        return node

    def _collected(self, event: yaml.Event, start: int, depth: int) -> Node:
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(event := self._next(), yaml.SequenceEndEvent):
                items.append(self._node(event, depth + 1))
            return Sequence(tuple(items), start)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(start, depth)
        assert isinstance(event, yaml.ScalarEvent), event
        return self._scalar(event)

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        start, end = _start(event), event.end_mark.index if event.end_mark else 0
        if any(0xD800 <= ord(char) < 0xE000 for char in event.value):
            self._fault(start, "half a surrogate pair stands here, which is no character")
            return Unread(start)
        tag = self.loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        return Scalar(event.value, KINDS.get(tag, "text"), start, end)

    def _mapping(self, start: int, depth: int) -> Mapping:
        held: dict[str, tuple[Scalar, Node]] = {}
        whole = True
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(self._next(), depth + 1)
            if isinstance(key, Scalar) and key.text != "<<":
                self._keep(held, key, value)
                continue
            whole = False
            if isinstance(key, Scalar):
                self._fault(key.start, "`<<` merges mappings, and merges are not read", "write the keys out")
            elif not isinstance(key, Unread):
                self._fault(key.start, "a key must be a word", "a value with braces needs quotes")
        return Mapping(tuple(held.values()), start, whole)

    def _keep(self, held: dict[str, tuple[Scalar, Node]], key: Scalar, value: Node) -> None:
        if key.text in held:
            first = self.source.where(held[key.text][0].start)[0]
            line = self.source.where(key.start)[0]
            self._fault(key.start, f"the key `{_short(key.text)}` stands twice: lines {first} and {line}", "keep one")
        else:
            held[key.text] = (key, value)


def _start(event: yaml.Event) -> int:
    return event.start_mark.index if event.start_mark else 0


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"
