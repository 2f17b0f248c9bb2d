"""From the rows found in a text to answers: the strongest first, within one trace the innermost, what merely follows put
behind its cause. Pure.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..diagnosis.causes import WORDS, Cause
from ..diagnosis.remedies import REMEDIES
from ..diagnosis.row import WEIGHTS, Row
from .clues import Clue, fits
from .tokens import Fault

# Between these, an exception names what it came from: what stands behind them is nearer to the cause.
DEEPER = re.compile(
    r"(?i)(?:^|[\s;(])(?:caused by|nested exception(?: is)?|inner ?exception|\[cause\]|root cause|reason)\s*:|--->|nested exception is"
)
# A line with which a new report begins.
FRESH = re.compile(
    r"^\[?(?:\d{4}[-/]\d\d[-/]\d\d|\d\d:\d\d:\d\d|[A-Z][a-z]{2} +\d+ \d\d:|\d\d/\w+/\d{4}|ERROR|WARN|INFO|DEBUG|FATAL|Traceback|Exception in thread|Unhandled)"
)
FAR = 60  # lines: what stands further apart is looked at by itself


@dataclass(frozen=True)
class Found:
    """One row in a text. ``line`` counts from 1, ``report`` is the line where its trace begins, ``place`` the row's in the
    table, ``said`` may be printed."""

    row: Row
    line: int
    report: int
    depth: int
    place: int
    said: str
    clues: tuple[Clue, ...] = ()

    @property
    def weight(self) -> int:
        return WEIGHTS[self.row.weight]


@dataclass(frozen=True)
class Shown:
    """One cause as it is shown; ``evidence`` is what in the text speaks for it."""

    key: Cause
    words: str
    tell: str
    fix: str
    cmdlet: str
    evidence: str = ""


@dataclass(frozen=True)
class Answer:
    """What one symptom means. ``row`` is None where a pasted token alone shows what is wrong."""

    row: Row | None
    line: int
    said: str
    causes: tuple[Shown, ...]
    follows: tuple[Found, ...] = field(default=())


def ranked(found: Iterable[Found], faults: Sequence[Fault]) -> tuple[Answer, ...]:
    """The answers, first cause first."""
    order = sorted(found, key=lambda one: (-one.weight, one.report, -one.depth, one.line, one.place))
    heads: list[Found] = []
    after: dict[str, list[Found]] = {}
    for one in order:
        head = next((other for other in heads if _same_problem(other, one)), None)
        if head is None:
            heads.append(one)
        elif one.line != head.line and one.weight and not _shares(head.row, one.row):
            after.setdefault(head.row.id, []).append(one)
    return tuple(
        Answer(one.row, one.line, one.said, _causes(one, faults), tuple(after.get(one.row.id, ())[:3])) for one in heads
    )


def _same_problem(head: Found, other: Found) -> bool:
    """Whether a find that is no stronger belongs to one that leads."""
    if _shares(head.row, other.row) or abs(head.line - other.line) <= 2:
        return True
    if other.weight <= 1:  # vague words and echoes: what follows from something said near them
        return other.report == head.report or abs(head.line - other.line) <= FAR or not other.row.where - head.row.where
    return other.report == head.report and other.depth != head.depth


def _shares(one: Row, other: Row) -> bool:
    keys = {because.key for because in one.because}
    return any(because.key in keys for because in other.because) and bool(one.where & other.where)


def _causes(found: Found, faults: Sequence[Fault]) -> tuple[Shown, ...]:
    row = found.row
    alone = len({one.key for one in row.because}) == 1  # else each cause has its own cure
    shown = [
        Shown(
            one.key, one.words, one.remedy.tell,
            row.given_fix if alone and row.given_fix else one.remedy.fix,
            row.given_cmdlet if alone and row.given_cmdlet is not None else one.remedy.cmdlet,
        )
        for one in row.because
    ]  # fmt: skip
    for clue in reversed(found.clues):
        if fits(clue, row):
            shown = _first(shown, clue.key, clue.words)
            shown.sort(key=lambda one: one.key in clue.unlikely)  # sorted at once
    if row.weight in ("vague", "echo") and row.id != "token-invalid-grant":
        for fault in reversed(faults):
            shown = _first(shown, fault.key, fault.words)
    return tuple(shown)


def _first(shown: list[Shown], key: Cause, evidence: str) -> list[Shown]:
    """The causes with this one in front, with what speaks for it."""
    held = next((one for one in shown if one.key == key), None)
    cure = REMEDIES[key]
    words, tell, fix, cmdlet = (
        (held.words, held.tell, held.fix, held.cmdlet) if held else (WORDS[key], cure.tell, cure.fix, cure.cmdlet)
    )
    return [Shown(key, words, tell, fix, cmdlet, evidence), *(one for one in shown if one is not held)]


def by_token(faults: Sequence[Fault]) -> Answer:
    """The answer where nothing but a token shows what is wrong."""
    causes = tuple(
        Shown(fault.key, WORDS[fault.key], REMEDIES[fault.key].tell, REMEDIES[fault.key].fix, REMEDIES[fault.key].cmdlet, fault.words)
        for fault in faults
    )  # fmt: skip
    return Answer(None, 0, "", causes)
