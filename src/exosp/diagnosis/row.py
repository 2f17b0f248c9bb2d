"""What one row of the diagnosis table holds, and how a row is found in a text. The keys of causes stand in ``causes``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Literal

from .causes import WORDS, Cause
from .reading import Reading, read, squeezed
from .remedies import REMEDIES, Remedy

Service = Literal["imap", "pop", "smtp", "token", "graph", "remoting", "admin-api"]

# A: Microsoft's documentation or source. B: two independent sources. C: one report.
# K: the field's knowledge, confirmed by no source at hand. ?: sources contradict each other.
Certainty = Literal["A", "B", "C", "K", "?"]

# How much a symptom says. code: the service's own code or a text that means one thing. text: few causes.
# vague: a refusal that many causes share. echo: what a client adds, or what follows from something earlier.
Weight = Literal["code", "text", "vague", "echo"]
WEIGHTS: Mapping[Weight, int] = {"code": 3, "text": 2, "vague": 1, "echo": 0}

# What a text must speak of for a row with common words to count: else "connection refused" would explain a database.
# outlook: of mail and of Microsoft. any: of nobody else's service.
Topic = Literal["mail", "entra", "graph", "exchange", "winrm", "microsoft", "outlook", "any"]

GAP = "…"  # in a phrase: up to so many letters and digits of any kind
GAP_LENGTH = 160


@dataclass(frozen=True)
class Because:
    """One cause of a symptom: its key, and the words that fit this symptom."""

    key: Cause
    words: str

    @property
    def remedy(self) -> Remedy:
        return REMEDIES[self.key]


@dataclass(frozen=True)
class Row:
    """One symptom, its causes with the likeliest first, and what to do.

    ``where`` are the services that say it, ``stage`` the stage of a login, None for any. ``says`` are phrases of which
    one must stand in the text: only letters and digits count, ``…`` leaves something out. ``code`` is Entra's.
    ``regex`` is for what phrases cannot say; it reads the text in one line,
    and only where one of ``hints``, squeezed, stands in it: a search costs a hundred times what a look costs. ``example`` is the text as it was seen.
    ``fix`` speaks of exosp's commands, ``cmdlet`` does it by hand (capitals stand for your own values, empty where no
    cmdlet helps). ``propagation``: the text also comes while a right change is still spreading. ``near``: what else the
    text must speak of, if it is not known who said it.
    """

    id: str
    where: frozenset[Service]
    stage: str | None
    example: str
    because: tuple[Because, ...]
    source: str
    certainty: Certainty
    says: tuple[str, ...] = ()
    code: int = 0
    regex: str = ""
    hints: tuple[str, ...] = ()
    weight: Weight = "text"
    propagation: bool = False
    near: frozenset[Topic] = field(default_factory=frozenset)
    given_fix: str = ""
    given_cmdlet: str | None = None

    @property
    def causes(self) -> tuple[str, ...]:
        """In words, the likeliest first."""
        return tuple(one.words for one in self.because)

    @property
    def fix(self) -> str:
        return self.given_fix or self.because[0].remedy.fix

    @property
    def cmdlet(self) -> str:
        return self.because[0].remedy.cmdlet if self.given_cmdlet is None else self.given_cmdlet

    @cached_property
    def phrases(self) -> tuple[tuple[str, ...], ...]:
        """Each phrase squeezed, in the pieces between its gaps."""
        return tuple(tuple(squeezed(piece) for piece in phrase.split(GAP)) for phrase in self.says)

    def matches(self, text: str, service: str | None = None, stage: str | None = None) -> bool:
        """Whether this symptom is in a text, as far as it is known who said it and when."""
        if service is not None and service not in self.where:
            return False
        if stage is not None and self.stage is not None and stage != self.stage:
            return False
        return self.found(read(text)) is not None

    def found(self, reading: Reading) -> tuple[int, int] | None:
        """Where in ``reading.tight`` this symptom first stands, from and to; for a code or regex only about where."""
        if self.code and reading.codes:  # an exact code wins over words
            lines = reading.codes.get(self.code)
            return reading.start_of(lines[0], "aadsts") if lines else None
        for pieces in self.phrases:
            if place := _stands(pieces, reading.tight):
                return place
        if (
            self.regex
            and any(hint in reading.tight for hint in self.hints)
            and (hit := _compiled(self.regex).search(reading.flat))
        ):
            at = reading.tight.find(squeezed(hit[0])[:40])
            return (max(at, 0), max(at, 0) + len(squeezed(hit[0])))
        return None


def _stands(pieces: tuple[str, ...], tight: str) -> tuple[int, int] | None:
    start = tight.find(pieces[0])
    if start < 0 or len(pieces) == 1:
        return None if start < 0 else (start, start + len(pieces[0]))
    if any(piece not in tight for piece in pieces[1:]):
        return None
    hit = _compiled(f".{{0,{GAP_LENGTH}}}?".join(pieces)).search(tight, start)
    return hit.span() if hit else None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def because(*causes: Cause | tuple[Cause, str]) -> tuple[Because, ...]:
    """Causes, each in its own words or, given as a pair, in the row's."""
    return tuple(Because(one, WORDS[one]) if isinstance(one, str) else Because(*one) for one in causes)


IMAP: frozenset[Service] = frozenset(("imap",))
POP: frozenset[Service] = frozenset(("pop",))
SMTP: frozenset[Service] = frozenset(("smtp",))
MAIL: frozenset[Service] = IMAP | POP | SMTP
TOKEN: frozenset[Service] = frozenset(("token",))
GRAPH: frozenset[Service] = frozenset(("graph",))
REMOTING: frozenset[Service] = frozenset(("remoting",))
EXCHANGE: frozenset[Service] = frozenset(("remoting", "admin-api"))
