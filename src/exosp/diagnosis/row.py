"""What one row of the diagnosis table holds."""

import re
from dataclasses import dataclass
from typing import Literal

Service = Literal["imap", "pop", "smtp", "token", "graph", "remoting", "admin-api"]

# A: Microsoft's documentation or source. B: two independent sources. C: one report.
# K: the field's knowledge, confirmed by no source at hand. ?: sources contradict each other.
Certainty = Literal["A", "B", "C", "K", "?"]


@dataclass(frozen=True)
class Row:
    """One symptom, its causes with the likeliest first, and what to do.

    ``where`` are the services that say it, ``stage`` the stage of a login, None for any. ``example`` is the text as it
    was seen. ``fix`` speaks of exosp's commands, ``cmdlet`` does it by hand (capitals stand for your own values, empty
    where no cmdlet helps). ``propagation``: the text also comes while a right change is still spreading.
    """

    id: str
    where: frozenset[Service]
    stage: str | None
    pattern: re.Pattern[str]
    example: str
    causes: tuple[str, ...]
    fix: str
    cmdlet: str
    source: str
    certainty: Certainty
    propagation: bool = False

    def matches(self, text: str, service: str | None = None, stage: str | None = None) -> bool:
        """Whether this symptom is in a text, as far as it is known who said it and when."""
        if service is not None and service not in self.where:
            return False
        if stage is not None and self.stage is not None and stage != self.stage:
            return False
        return self.pattern.search(text) is not None


def said(words: str) -> re.Pattern[str]:
    """A pattern, in whatever case."""
    return re.compile(words, re.IGNORECASE)


IMAP: frozenset[Service] = frozenset(("imap",))
POP: frozenset[Service] = frozenset(("pop",))
SMTP: frozenset[Service] = frozenset(("smtp",))
MAIL: frozenset[Service] = IMAP | POP | SMTP
TOKEN: frozenset[Service] = frozenset(("token",))
GRAPH: frozenset[Service] = frozenset(("graph",))
REMOTING: frozenset[Service] = frozenset(("remoting",))
EXCHANGE: frozenset[Service] = frozenset(("remoting", "admin-api"))
