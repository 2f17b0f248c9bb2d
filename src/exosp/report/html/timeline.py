"""When credentials end: one line each on one axis of time, those that end first on top."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

from ...audit.judge import Result
from ...inventory import Credential
from . import matrix
from .markup import NOTHING, Html, el, joined, many, name
from .subjects import TOP, Application, Subjects

BEFORE, AFTER = timedelta(days=183), timedelta(days=731)  # what the axis spans, around the time of the audit

State = Literal["expired", "expiring", "long", "live"]
_WORDS: dict[State, str] = {
    "expired": "expired", "expiring": "ends soon", "long": "lives too long", "live": "live",
}  # fmt: skip


def section(result: Result, subjects: Subjects, beside: Html) -> Html:
    at = result.inventory.at
    ending = [(a, c) for a in subjects.all for c in a.credentials if c.ends is not None]
    endless = sum(c.ends is None for a in subjects.all for c in a.credentials)
    if not ending:
        said = (
            "No secret or certificate was seen."
            if result.inventory.has("applications")
            else "Applications were not read."
        )
        return el("section", el("h2", "When credentials end"), el("p", said, class_="none"), id="credentials")
    ending.sort(key=lambda pair: (pair[1].ends or at, pair[0].name.lower(), pair[1].key_id))
    shown = _nearest(ending, at)
    counts = dict.fromkeys(_WORDS, 0)
    for _, credential in ending:
        counts[_state(credential, result)] += 1
    lead = f"{many(len(ending), 'credential')}: "
    lead += ", ".join(f"{count:,} {_WORDS[state]}" for state, count in counts.items() if count) + ". "
    if endless:
        lead += f"{endless:,} more {'has' if endless == 1 else 'have'} no end (federated). "
    cut = len(ending) > len(shown)
    if cut:
        lead += f"Shown are the {len(shown):,} that end nearest to the day of the audit. "
    return el(
        "section",
        el("h2", "When credentials end"),
        el("p", lead, beside if cut else NOTHING, class_="lead"),
        el("svg", el("defs", *_patterns()), width=0, height=0, aria_hidden="true", focusable="false", class_="defs"),
        el(
            "table",
            el("caption", "Credentials by the day on which they end"),
            el("thead", el("tr", *(el("th", word, scope="col") for word in ("Application", "Credential", "Ends")),
                           el("th", el("span", "From … to", class_="unseen"), _axis(at), scope="col", class_="axis"))),
            el("tbody", *(_row(application, credential, result, subjects) for application, credential in shown)),
            class_="timeline",
        ),
        id="credentials",
    )  # fmt: skip


def _nearest(ending: list[tuple[Application, Credential]], at: datetime) -> list[tuple[Application, Credential]]:
    """Those that live come before the long dead."""
    if len(ending) <= TOP:
        return ending
    live = [pair for pair in ending if pair[1].ends is not None and pair[1].ends > at]
    dead = [pair for pair in ending if pair[1].ends is not None and pair[1].ends <= at]
    kept = live[: max(TOP - len(dead), TOP // 2)]
    return dead[-(TOP - len(kept)) :] + kept if len(kept) < TOP else kept


def _state(credential: Credential, result: Result) -> State:
    at, measures = result.inventory.at, result.measures
    assert credential.ends is not None
    if credential.ends <= at:
        return "expired"
    if credential.ends <= at + measures.expiring:
        return "expiring"
    if credential.starts is not None and credential.ends - credential.starts > measures.longest:
        return "long"
    return "live"


def _place(moment: datetime, at: datetime) -> float:
    """In percent of the axis."""
    share = (moment - (at - BEFORE)) / (BEFORE + AFTER)
    return round(max(0.0, min(1.0, share)) * 100, 2)


def _row(application: Application, credential: Credential, result: Result, subjects: Subjects) -> Html:
    at = result.inventory.at
    assert credential.ends is not None
    state = _state(credential, result)
    days = (credential.ends - at).days
    when = f"in {many(days, 'day')}" if days >= 0 else f"{many(-days, 'day')} ago"
    begin, end = _place(credential.starts or credential.ends, at), _place(credential.ends, at)
    today = _place(at, at)
    bar = el(
        "svg",
        el("line", x1=f"{today}%", x2=f"{today}%", y1=0, y2="100%", class_="today"),
        el("rect", x=f"{begin}%", width=f"{max(end - begin, 0.6):.2f}%", y=5, height=12, rx=2, class_=f"bar {state}"),
        el("rect", x=f"{max(end - 0.6, 0):.2f}%", width="0.6%", y=2, height=18, class_=f"end {state}"),
        width="100%", height=22, aria_hidden="true", focusable="false",
    )  # fmt: skip
    return el(
        "tr",
        el("th", matrix.head(application, subjects), scope="row"),
        el("td", f"{credential.kind} ", name(credential.name or credential.key_id)),
        el("td", el("span", f"{credential.ends.astimezone(UTC):%Y-%m-%d}", class_="date"), " ",
           el("span", f"{_WORDS[state]}, {when}", class_=f"state {state}")),
        el("td", bar, class_="axis"),
    )  # fmt: skip


def _axis(at: datetime) -> Html:
    """A mark at the first of each quarter, a word where there is room for it."""
    return el(
        "svg",
        *(
            joined(
                el("line", x1=f"{x}%", x2=f"{x}%", y1=18, y2=24, class_="tick"),
                el("text", said, x=f"{x}%", y=13, text_anchor="middle", class_="minor" if minor else None) if 4 < x < 96 else NOTHING,
            )
            for x, said, minor in _quarters(at)
        ),
        el("line", x1=f"{_place(at, at)}%", x2=f"{_place(at, at)}%", y1=16, y2=24, class_="today"),
        width="100%", height=24, aria_hidden="true", focusable="false",
    )  # fmt: skip


def _quarters(at: datetime) -> Iterator[tuple[float, str, bool]]:
    first, last = at - BEFORE, at + AFTER
    for year in range(first.year, last.year + 1):
        for month in (1, 4, 7, 10):
            moment = datetime(year, month, 1, tzinfo=UTC)
            if first <= moment <= last:
                yield _place(moment, at), str(year) if month == 1 else f"{moment:%b}", month != 1


def _patterns() -> Iterator[Html]:
    """So that colour is not alone in telling them apart: stripes one way, the other way, and dots."""
    for state, shape in (
        ("expired", el("path", d="M0 6L6 0", class_="ink")),
        ("expiring", el("path", d="M0 0L6 6", class_="ink")),
        ("long", el("circle", cx=3, cy=3, r=1, class_="dot")),
    ):
        ground = el("rect", width=6, height=6, class_="ground")
        yield el(
            "pattern", ground, shape, id=f"p-{state}", class_=state, width=6, height=6, patternUnits="userSpaceOnUse"
        )
