"""From pasted text to answers: what the diagnosis table, the clues beside an error and the pasted tokens say of it. Pure.

A text is read in blocks with an overlap, so that a log of any size needs the memory of one block; each row is kept where
it first stands.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from ..diagnosis.decision import ROWS
from ..diagnosis.naming import told
from ..diagnosis.reading import Reading
from ..diagnosis.row import Row
from ..redaction import redact
from .answers import DEEPER, FRESH, Answer, Found, by_token, ranked
from .clues import Clue, fits, speak
from .nearest import nearest
from .tokens import Fault, Token, strings, tokens
from .topics import Topics

BLOCK = 1 << 17  # characters
OVERLAP = 60  # lines that are read again with the next block: nothing is cut between two
PLACE = {row.id: place for place, row in enumerate(ROWS)}
KNOWN_CODES = frozenset(row.code for row in ROWS)
_QUOTED = re.compile(r"^(?:[ \t]*[>|])+ ?")
AROUND = 40  # lines beside a find that tell what it speaks of and what is secret
SMALL = 20_000  # characters: so much is looked at as a whole
MOST_TOKENS = 5
LONG = 8_000  # characters of a line that are looked at, before and after a find
MOST_LINES = 8  # of a wrapped text in an excerpt
MOST_SHOWN = 220  # characters of an excerpt


@dataclass(frozen=True)
class Explanation:
    """``nearest`` only where nothing was recognised; ``unlisted`` are Entra's codes that the table does not have."""

    answers: tuple[Answer, ...]
    tokens: tuple[Token, ...]
    nearest: tuple[Row, ...]
    unlisted: tuple[int, ...]
    lines: int

    @property
    def recognised(self) -> bool:
        return bool(self.answers)


def explain(text: Iterable[str], now: datetime | None = None) -> Explanation:
    """What pieces of text, read one after the other, mean together. ``now`` judges a token's times."""
    reader = _Reader(now or datetime.now(UTC))
    for first, block in _blocks(text):
        reader.read(first, block)
    return reader.result()


def _blocks(pieces: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Blocks of whole lines with the number of the first, counted from 0; each begins with the last lines of the one before."""
    held, first, fresh = "", 0, False
    for piece in pieces:
        held, fresh = held + piece, fresh or bool(piece)
        while len(held) >= BLOCK:
            cut = held.rfind("\n", BLOCK // 2, BLOCK) + 1 or BLOCK
            yield first, held[:cut]
            kept = "\n".join(held[:cut].split("\n")[-OVERLAP - 1 :])[-BLOCK // 8 :]
            first += held.count("\n", 0, cut) - kept.count("\n")
            held, fresh = kept + held[cut:], len(held) > cut
    if fresh or not first:
        yield first, held


class _Reader:
    def __init__(self, now: datetime) -> None:
        self._now = now
        self._found: dict[str, Found] = {}
        self._tokens: list[Token] = []
        self._faults: list[Fault] = []
        self._codes: dict[int, None] = {}
        self._start = ""
        self._lines = 0

    def read(self, first: int, block: str) -> None:
        if len(self._start) < SMALL:
            self._start += block[:SMALL]
        reading = Reading(block)
        self._lines = first + block.count("\n") + 1
        self._secrets(block)
        whole = Topics(reading.plain) if len(block) <= SMALL else None
        lines = reading.plain.split("\n")
        hits: list[tuple[Row, tuple[int, int]]] = []
        for row in ROWS:
            if row.id in self._found or row.stage == "capability":
                continue
            place = row.found(reading)
            if place is None:
                continue
            line = min(reading.line_of(place[0]), len(lines) - 1)
            topics = whole or Topics("\n".join(lines[max(line - AROUND, 0) : line + AROUND]))
            if topics.near(row.near):
                hits.append((row, place))
        self._codes |= dict.fromkeys(
            code for code in reading.codes if code not in KNOWN_CODES and f"aadsts{code}" in reading.tight
        )
        for row, place in hits:
            self._keep(row, place, reading, lines, first)

    def _keep(self, row: Row, place: tuple[int, int], reading: Reading, lines: list[str], first: int) -> None:
        line = min(reading.line_of(place[0]), len(lines) - 1)
        last = min(max(reading.line_of(max(place[1] - 1, place[0])), line), line + MOST_LINES, len(lines) - 1)
        begins = _raw(lines[line], reading.column_of(place[0]))
        top = max(line - AROUND, 0)
        around, begins = _cropped(lines[top : line + AROUND], line - top, begins)
        begin = next((at for at in range(line, top, -1) if FRESH.match(lines[at])), top)
        before = "\n".join((*around[begin - top : line - top], around[line - top][:begins]))
        near = Reading("\n".join(around))
        clues = speak(near, frozenset((row.id,))).get(row.id, [])
        if (key := told(row, near.flat)) is not None:
            clues = [Clue(key, "", "the message itself says so"), *clues]
        self._found[row.id] = Found(
            row, first + line + 1, first + begin, len(DEEPER.findall(before)), PLACE[row.id], _excerpt(around, line - top, last - top, begins),
            tuple(clue for clue in clues if fits(clue, row)),
        )  # fmt: skip

    def _secrets(self, block: str) -> None:
        if len(self._tokens) < MOST_TOKENS and any(sign in block for sign in ("eyJ", "dXNlc", "ZXlK")):
            for token in islice(tokens(block, self._now), MOST_TOKENS):
                if token not in self._tokens:
                    self._tokens.append(token)
                    self._faults += (fault for fault in token.faults if fault not in self._faults)
        if len(self._faults) < MOST_TOKENS and ("dXNlc" in block or "bixhPX" in block):
            self._faults += (fault for fault in strings(block).faults if fault not in self._faults)

    def result(self) -> Explanation:
        faults = sorted(self._faults, key=lambda fault: fault.key == "token-expired")
        answers = ranked(self._found.values(), faults)
        if not answers and faults:
            answers = (by_token(faults),)
        return Explanation(
            answers,
            tuple(self._tokens[:MOST_TOKENS]),
            () if answers else nearest(redact(self._start)),
            tuple(self._codes)[:5] if not any(answer.row is not None and answer.row.code for answer in answers) else (),
            self._lines,
        )


def _cropped(around: list[str], line: int, begins: int) -> tuple[list[str], int]:
    """Lines of a length that can be looked at, and where the find begins in its own. What is cut off before it goes up to
    a blank: nothing of a secret stays without its beginning."""
    cut = max(begins - LONG, 0)
    blank = around[line].find(" ", cut, begins) if cut else 0
    start = begins if blank < 0 else blank
    cropped = [part[:LONG] for part in around]
    cropped[line] = around[line][start : begins + LONG]
    return cropped, begins - start


def _raw(line: str, column: int) -> int:
    """Where the letter or digit of this number stands in a line."""
    seen = 0
    for at, char in enumerate(line):
        if char.isalnum():
            if seen == column:
                return at
            seen += 1
    return len(line)


def _excerpt(around: list[str], line: int, last: int, begins: int) -> str:
    """The lines that speak, with some words before and after; nothing secret in them."""
    cleaned = redact("\n".join(around)).split("\n")
    shown = " ".join(" ".join(_QUOTED.sub("", part) for part in cleaned[line : last + 1]).split())
    if len(shown) <= MOST_SHOWN:
        return shown
    at = max(shown.find(" ".join(around[line][begins : begins + 16].split())) - 60, 0)
    cut = shown[at : at + MOST_SHOWN]
    return ("… " + cut.partition(" ")[2] if at else cut).rpartition(" ")[0] + " …"
