"""IMAP's grammar as far as clients use it: words, quoted strings, literals and lists in; strings out (RFC 3501 §9)."""

import re
from dataclasses import dataclass


class Malformed(Exception):
    """Not IMAP, or an argument of the wrong kind."""


@dataclass(frozen=True)
class Text:
    """A quoted string or literal; an atom is a plain str."""

    data: bytes

    def __str__(self) -> str:
        return self.data.decode("utf-8", "replace")


Word = str | Text
Argument = Word | list["Argument"]

LITERAL = re.compile(rb"\{(\d+)(\+?)\}\Z")
_DEEPEST = 20
_NEVER = re.compile(r"[\x00\r\n]")  # in no line, quoted or not (RFC 3501 §9: CHAR, TEXT-CHAR)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # in no atom


def size(form: re.Match[bytes]) -> int:
    """How many bytes a LITERAL announces; past ten digits any number that is too many."""
    return int(form[1]) if len(form[1]) <= 10 else 10**10


def parse(chunks: list[bytes | Text]) -> list[Argument]:
    """The arguments of a command. ``chunks`` are its lines with literals between them, ``{n}`` already cut off."""
    stack: list[list[Argument]] = [[]]
    for chunk in chunks:
        if isinstance(chunk, Text):
            stack[-1].append(chunk)
        else:
            _scan(chunk.decode("utf-8", "replace"), stack)
    if len(stack) != 1:
        raise Malformed
    return stack[0]


def _scan(line: str, stack: list[list[Argument]]) -> None:
    if _NEVER.search(line):
        raise Malformed
    at = 0
    while at < len(line):
        match line[at]:
            case " ":
                at += 1
            case "(":
                if len(stack) > _DEEPEST:
                    raise Malformed
                stack.append([])
                at += 1
            case ")":
                if len(stack) == 1:
                    raise Malformed
                done = stack.pop()
                stack[-1].append(done)
                at += 1
            case '"':
                text, at = _quoted(line, at + 1)
                stack[-1].append(Text(text.encode()))
            case _:
                end = _atom_end(line, at)
                stack[-1].append(line[at:end])
                at = end


def _quoted(line: str, at: int) -> tuple[str, int]:
    found = ""
    while at < len(line):
        if line[at] == '"':
            return found, at + 1
        if line[at] == "\\":
            at += 1
        found += line[at : at + 1]
        at += 1
    raise Malformed


def _atom_end(line: str, at: int) -> int:
    """An atom ends at a blank or bracket, except inside ``BODY[HEADER.FIELDS (FROM TO)]``."""
    inside, start = False, at
    while at < len(line):
        character = line[at]
        if character == "[":
            inside = True
        elif character == "]":
            inside = False
        elif not inside and character in ' ()"':
            break
        at += 1
    if inside or _CONTROL.search(line, start, at):
        raise Malformed
    return at


def word(argument: Argument) -> str:
    """An atom or string as text."""
    if isinstance(argument, list):
        raise Malformed
    return str(argument)


def names_inbox(pattern: str) -> bool:
    """Does a LIST pattern mean INBOX, the one folder? Its name has no hierarchy, so both wildcards are the same."""
    pieces = re.split(r"[*%]+", pattern.upper())
    if sum(map(len, pieces)) > len("INBOX"):
        return False
    return re.fullmatch(".*".join(map(re.escape, pieces)), "INBOX") is not None


def numbers(text: str, largest: int) -> list[range]:
    """A sequence set as ranges; ``*`` is ``largest``. Numbers are not checked against what exists."""
    found = []
    for part in text.split(","):
        low, colon, high = part.partition(":")
        ends = sorted(_number(end, largest) for end in ([low, high] if colon else [low]))
        found.append(range(ends[0], ends[-1] + 1))
    return found


def _number(text: str, largest: int) -> int:
    if text == "*":
        return largest
    if not re.fullmatch(r"[1-9]\d{0,9}", text, re.ASCII):
        raise Malformed
    return int(text)


def string(value: str | bytes | None) -> bytes:
    """NIL, a quoted string, or a literal where quoting is not allowed."""
    if value is None:
        return b"NIL"
    data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    if len(data) < 1000 and all(0x20 <= byte < 0x7F for byte in data):
        return b'"' + data.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return literal(data)


def literal(data: bytes) -> bytes:
    return b"{%d}\r\n" % len(data) + data


def listed(*items: bytes) -> bytes:
    return b"(" + b" ".join(items) + b")"
