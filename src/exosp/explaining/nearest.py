"""The rows nearest to a text that none explains: those whose example shares its rarer words. Pure."""

import math
import re
from collections import Counter
from functools import lru_cache

from ..diagnosis.decision import ROWS
from ..diagnosis.row import Row

_WORD = re.compile(r"[a-z]{3,}|\d\.\d\.\d+|\d{3,}")
_ENOUGH = 0.34  # of an example's weight; below it a row has nothing to do with the text
_COMMON = frozenset(
    [
        "the",
        "and",
        "for",
        "not",
        "was",
        "with",
        "this",
        "that",
        "from",
        "error",
        "failed",
        "exception",
        "has",
        "been",
        "are",
        "you",
        "your",
        "could",
        "can",
        "which",
    ]
)


@lru_cache(maxsize=1)
def _rarity() -> dict[str, float]:
    counts = Counter(word for row in ROWS for word in _words(row.example))
    return {word: math.log(len(ROWS) / count) for word, count in counts.items()}


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower())) - _COMMON


def nearest(text: str, most: int = 3) -> tuple[Row, ...]:
    """At most ``most`` rows, the nearest first; none where nothing is near."""
    held, rarity = _words(text), _rarity()
    scored: list[tuple[float, int, Row]] = []
    for place, row in enumerate(ROWS):
        wanted = _words(row.example)
        whole = sum(rarity[word] for word in wanted)
        share = sum(rarity[word] for word in wanted & held) / whole if whole else 0
        if share >= _ENOUGH and len(wanted & held) >= 2:
            scored.append((-share, place, row))
    return tuple(row for _, _, row in sorted(scored)[:most])
