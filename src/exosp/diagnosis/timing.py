"""Too early, or wrong? How old what a login needs is, and what that means. Pure.

Exchange honours a grant after minutes to 90 minutes by field reports, and after 30 minutes to 2 hours by Microsoft's page
on RBAC for Applications, which adds that failing tries prolong it. So up to PATIENCE it may be mere delay, and
beyond it something else is the matter.
"""

from dataclasses import dataclass
from datetime import datetime

from .facts import Since

PATIENCE = 3 * 3600.0  # seconds: two hours as the page has it, and one for the caches that tries have prolonged


@dataclass(frozen=True)
class Age:
    """``seconds`` None: not known. ``words`` say it, for people."""

    seconds: float | None
    words: str

    @property
    def explains(self) -> bool:
        """Whether mere delay can still be the cause."""
        return self.seconds is None or self.seconds < PATIENCE


def age(since: Since, now: datetime | None) -> Age:
    if now is None:
        return Age(None, "age unknown")
    by = f" ({since.who})" if since.who else ""
    if since.at is not None:
        seconds = max(0.0, (now - since.at).total_seconds())
        return Age(seconds, f"granted {span(seconds)} ago{by}")
    if since.not_before is not None:
        seconds = max(0.0, (now - since.not_before).total_seconds())
        if seconds < PATIENCE:
            return Age(seconds, f"granted at most {span(seconds)} ago{by}")
    return Age(None, "age unknown: no journal here says when it was granted")


def span(seconds: float) -> str:
    """12 minutes, 3 hours, 2 days."""
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * size or (seconds >= size and name != "day"):
            number = int(seconds // size)
            return f"{number} {name}{'' if number == 1 else 's'}"
    return f"{int(seconds)} seconds"
