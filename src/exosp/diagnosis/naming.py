"""The named cause of an error that a service gave: the table's words, for where the error is shown. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime

from ..errors import CloudError, NotHere, Throttled, Unreachable
from .causes import Cause
from .decision import find
from .row import WEIGHTS, Row

_TIMES = re.compile(
    r"Current time: (\S+?),? assertion valid from (\S+?),? expiry time of assertion (\S+?)[.,]?(?:\s|$)", re.IGNORECASE
)
_OF_A_TENANT = re.compile(r"identity provider '?https://sts\.windows\.net/")
_WITH_IDS = re.compile(r"repo:[^\s'/@]+@\d+/[^\s'@:]+@\d+")


@dataclass(frozen=True)
class Named:
    """``key`` is the cause's stable name, ``cause`` its words, ``row`` the table's row, ``fix`` what to do."""

    row: str
    key: Cause
    cause: str
    fix: str


def named(error: CloudError) -> Named | None:
    """The likeliest cause, with what to do: the error's own advice where it has some, since it knows what was asked. None
    where the table does not know the words, or only such as many things could mean."""
    if isinstance(error, NotHere | Throttled) or (isinstance(error, Unreachable) and not error.code):
        return None  # exosp's own words, which say it already
    text = error.what  # the service's own words say more than the code that they were sorted under
    row = next(iter(find(text, error.service) or find(f"{error.code}: {text}", error.service)), None)
    if row is None or WEIGHTS[row.weight] < WEIGHTS["text"]:
        return None
    key = error.cause or told(row, text)
    because = next((one for one in row.because if one.key == key), row.because[0])
    fix = f"{row.fix}: {row.cmdlet}" if row.cmdlet and row.cmdlet not in row.fix else row.fix
    return Named(row.id, because.key, because.words, error.hint or fix)


def told(row: Row, text: str) -> Cause | None:
    """Which of a row's causes the message itself decides, by the times or the name that it quotes."""
    if row.code == 700024 and (times := _TIMES.search(text)):
        try:
            now, begins, ends = (datetime.fromisoformat(time) for time in times.groups())
        except ValueError:
            return None
        return "clock-wrong" if now < begins else "assertion-expired" if now >= ends else None
    if row.code == 50020 and _OF_A_TENANT.search(text):
        return "partner-relation"
    if row.code == 700213 and _WITH_IDS.search(text):
        return "github-immutable-subject"
    return None
