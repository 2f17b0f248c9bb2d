"""A text as the rows read it: unescaped, and squeezed to its letters and digits, so that no wrapping, quoting or
escaping hides a phrase. Pure; keeps the lines countable, so that a find can say where it stands.
"""

import html
import re
from bisect import bisect_right
from functools import cached_property, lru_cache
from itertools import accumulate
from urllib.parse import unquote

BREAK = "\u2028"  # an escaped line break: no line of the text ends there, and a secret may go on behind it
_ESCAPED_CHAR = re.compile(r"\\+u([0-9a-fA-F]{4})")
_ESCAPED_BREAK = re.compile(r"\\+[nrt](?![a-z]{2,}\\)")  # not inside C:\new\reports\today
_URL_ESCAPE = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_PRINTABLE = re.compile(r"=([0-9A-F]{2})")
_TAG = re.compile(r"</?[a-zA-Z][^<>\n]{0,300}>")
_NO_TAG = re.compile(r"</?[\w.+-]+@|<init>|<module>|<stdin>|<string>|<[\w.]+>[bd]__")
_REPLY = re.compile(
    r"(?m)^([ \t>|]*(?:[\w.:<\[\]() /-]{0,80}?[<\[ :]\s?)?)([245]\d\d)-((?:\d\.\d{1,3}\.\d{1,3} )?)(.*)$"
)
_QUOTE = re.compile(r"(?m)^(?:[ \t]*[>|])+ ?")
_NOISE = re.compile(r"[\W_]+")
_CODE = re.compile(r"AADSTS\W{0,4}(\d{1,8})", re.IGNORECASE)
_CODE_LIST = re.compile(r"(?:error[_ ]?codes?|error\?code=)\W{0,6}((?:\d{5,8}(?!\d)\W{0,3})+)", re.IGNORECASE)
_RUN_ON = re.compile(r"[\n\u2028][ \t>|]*")


def squeezed(words: str) -> str:
    """The letters and digits of a text, in lower case."""
    return _NOISE.sub("", words.lower())


class Reading:
    """One text. ``plain`` has the escapes undone, ``tight`` is squeezed, ``codes`` are Entra's, where they first stand."""

    def __init__(self, raw: str) -> None:
        self.raw = raw

    @cached_property
    def plain(self) -> str:
        text = self.raw.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
        if "=3D" in text or "=\n" in text:  # quoted-printable
            text = _PRINTABLE.sub(lambda found: chr(int(found[1], 16)), text).replace("=\n", "\n")
        if "\\" in text:
            text = _ESCAPED_CHAR.sub(lambda found: _one_line(chr(int(found[1], 16))), text)
            text = _ESCAPED_BREAK.sub(lambda found: " " if found[0][-1] == "t" else BREAK, text)
        if "%" in text:
            text = _URL_ESCAPE.sub(lambda found: _one_line(unquote(found[0])), text)
        if "&" in text:
            text = _entities(text)
        if "<" in text and ">" in text:
            text = _TAG.sub(lambda found: found[0] if _NO_TAG.match(found[0]) else " ", text)
        return _replies(text)

    @cached_property
    def _parts(self) -> list[str]:
        return [squeezed(line) for line in self.plain.split("\n")]

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(len(part) for part in self._parts))

    @cached_property
    def tight(self) -> str:
        return "".join(self._parts)

    @cached_property
    def flat(self) -> str:
        """One line, quote marks gone."""
        return " ".join(_QUOTE.sub("", self.plain).split())

    def line_of(self, offset: int) -> int:
        """The line, counted from 0, of a place in ``tight``."""
        return bisect_right(self._ends, offset)

    def column_of(self, offset: int) -> int:
        line = self.line_of(offset)
        return offset - (self._ends[line - 1] if line else 0)

    def start_of(self, line: int, word: str) -> tuple[int, int]:
        """Where a word stands in a line, or the line's beginning."""
        begins = self._ends[line - 1] if line else 0
        at = self.tight.find(word, begins)
        at = at if 0 <= at < self._ends[line] else begins
        return at, at + len(word)

    @cached_property
    def codes(self) -> dict[int, tuple[int, ...]]:
        """Entra's codes and the lines they stand in. A code that a line's end cuts is also read with what follows."""
        found: dict[int, list[int]] = {}
        if "aadsts" in self.tight:
            for place in _CODE.finditer(self.plain):
                line = self.plain.count("\n", 0, place.start())
                for code in _grown(place[1], self.plain[place.end() : place.end() + 60]):
                    found.setdefault(code, []).append(line)
            if "AADSTS" not in self.plain.upper():  # the letters themselves are wrapped
                for place in re.finditer(r"aadsts(\d{5,8})", self.tight):
                    found.setdefault(int(place[1]), []).append(self.line_of(place.start()))
        for place in _CODE_LIST.finditer(self.plain):
            line = self.plain.count("\n", 0, place.start())
            for number in re.findall(r"\d+", place[1]):
                found.setdefault(int(number), []).append(line)
        return {code: tuple(lines) for code, lines in found.items()}


def _grown(digits: str, rest: str) -> list[int]:
    """A code, and before it what it is if a line's end cuts it."""
    codes = [int(digits)] if len(digits) > 3 else []
    while (cut := _RUN_ON.match(rest)) and (more := re.match(r"\d+", rest[cut.end() :])) and len(digits + more[0]) <= 8:
        digits, rest = digits + more[0], rest[cut.end() + more.end() :]
        codes.insert(0, int(digits))
    return codes


def _one_line(text: str) -> str:
    return text.replace("\r\n", BREAK).replace("\n", BREAK).replace("\r", BREAK)


def _entities(text: str) -> str:
    return "\n".join(_one_line(html.unescape(line)) if "&" in line else line for line in text.split("\n"))


def _replies(text: str) -> str:
    """SMTP replies of several lines as one: the code is said once, and what follows it joined. Lines stay countable."""
    if not _REPLY.search(text):
        return text
    lines = text.split("\n")
    open_code = ""
    for number, line in enumerate(lines):
        found = _REPLY.match(line)
        if open_code and (
            again := re.match(rf"[ \t>|]*(?:.{{0,90}}?[<\[ :])??{open_code}[- ]((?:\d\.\d{{1,3}}\.\d{{1,3}}) )?", line)
        ):
            lines[number] = line[again.end() :]
            if line[again.end() - 1 :][:1] == "" or f"{open_code} " in line[: again.end()]:
                open_code = ""
            continue
        open_code = found[2] if found else ""
    return "\n".join(lines)


@lru_cache(maxsize=64)
def read(text: str) -> Reading:
    """A short text, read once."""
    return Reading(text)
