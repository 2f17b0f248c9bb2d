"""Applications by mailboxes: who reaches what, by which way. A picture that is a table, so that it can be read without eyes
and printed: blocks of some mailboxes each, with the applications that reach one of them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from ...routes import Route
from . import ways
from .markup import NOTHING, Html, el, joined, many, name
from .subjects import TOP, Application, Subjects

WIDTH = 24  # mailboxes in one block: what an A4 page and a small screen take

Cells = dict[str, dict[str, list[Route]]]  # application's key -> mailbox, lower case -> routes


class Readings:
    """The sentences behind the cells, each once; a cell names them by number."""

    def __init__(self) -> None:
        self.said: dict[str, int] = {}

    def of(self, routes: Iterable[Route]) -> str:
        numbers = (self.said.setdefault(said, len(self.said)) for said in ways.sentences(routes))
        return " ".join(map(str, numbers))


def section(subjects: Subjects, beside: Html) -> tuple[Html, dict[str, Any]]:
    """The section, and what the script says of a cell."""
    cells: Cells = {}
    addresses: dict[str, str] = {}
    holders: dict[str, set[int]] = defaultdict(set)
    reaching = [application for application in subjects.all if application.routes]
    for place, application in enumerate(reaching):
        rows = cells.setdefault(application.key, defaultdict(list))
        for route in application.routes:
            if route.mailbox:
                box = route.mailbox.lower()
                rows[box].append(route)
                addresses.setdefault(box, route.mailbox)
                holders[box].add(place)
    shown = reaching[:TOP]
    widest = sorted(holders, key=lambda box: (-len(holders[box]), box))[:TOP]
    # Mailboxes of the same applications side by side, so that a block has few rows.
    boxes = sorted(widest, key=lambda box: (sorted(holders[box]), box))
    readings = Readings()
    everywhere = [a for a in shown if any(not route.mailbox for route in a.routes)]
    blocks = [boxes[i : i + WIDTH] for i in range(0, len(boxes), WIDTH)]
    if not shown:
        body = el("p", "No application reaches a mailbox.", class_="none")
    else:
        body = joined(
            *(_block(n, blocks, shown, everywhere if n == 0 else [], cells, addresses, subjects, readings)
              for n in range(max(1, len(blocks))))
        )  # fmt: skip
    return (
        el(
            "section",
            el("h2", "Applications and mailboxes"),
            el("p", _lead(reaching, holders, boxes), beside if len(reaching) > TOP or len(holders) > TOP else NOTHING, class_="lead"),
            ways.legend() if shown else NOTHING,
            body,
            id="matrix",
        ),
        {"readings": list(readings.said)},
    )  # fmt: skip


def _lead(reaching: Sequence[Application], holders: dict[str, set[int]], boxes: Sequence[str]) -> str:
    wide = sum(application.everywhere for application in reaching)
    said = f"{many(len(reaching), 'application')} and {many(len(holders), 'mailbox', 'mailboxes')} on which one holds something; "
    said += f"{wide:,} of the applications {'reaches' if wide == 1 else 'reach'} every mailbox. "
    if len(reaching) > TOP or len(holders) > len(boxes):
        said += f"Shown are the first {min(TOP, len(reaching)):,} applications and the {len(boxes):,} mailboxes that most applications reach. "
    return said


def _block(
    n: int, blocks: Sequence[Sequence[str]], shown: Sequence[Application], everywhere: Sequence[Application], cells: Cells,
    addresses: dict[str, str], subjects: Subjects, readings: Readings,
) -> Html:  # fmt: skip
    boxes = blocks[n] if blocks else []
    domains = {box.rpartition("@")[2] for box in boxes}
    common = domains.pop() if len(domains) == 1 else ""
    columns = [
        el("th", el("span", _address(addresses[box], common)), title=addresses[box], scope="col") for box in boxes
    ]
    caption = f"{many(len(boxes), 'mailbox', 'mailboxes')}"
    if len(blocks) > 1:
        caption = f"Mailboxes {n * WIDTH + 1} to {n * WIDTH + len(boxes)}"
    if common:
        caption += f" of {common}"
    rows = [
        _row(a, boxes, cells[a.key], subjects, readings) for a in shown if any(box in cells[a.key] for box in boxes)
    ]
    return el(
        "div",
        el(
            "table",
            el("caption", caption),
            el("thead", el("tr", el("th", "Application", scope="col", class_="corner"), *(columns or [el("th", "Every mailbox", scope="col")]))),
            el("tbody", *(_wide(a, max(1, len(boxes)), subjects, readings) for a in everywhere)) if everywhere else NOTHING,
            el("tbody", *rows) if rows else NOTHING,
        ),
        el("p", class_="reading", hidden=True),
        class_="grid", role="region", tabindex="0", aria_label=f"Applications by mailboxes, {caption}",
    )  # fmt: skip


def _address(address: str, common: str) -> Html:
    local, _, domain = address.rpartition("@")
    if common and domain.lower() == common:
        return joined(name(local), el("i", f"@{domain}", class_="unseen"))
    return name(address)


def head(application: Application, subjects: Subjects) -> Html:
    anchor = subjects.anchor(application.key)
    shown = name(application.name)
    said = el("a", shown, href=f"#{anchor}") if anchor else shown
    return joined(said, *(() if application.resolved else (" ", el("small", "unresolved"))))


def _row(
    application: Application,
    boxes: Sequence[str],
    held: dict[str, list[Route]],
    subjects: Subjects,
    readings: Readings,
) -> Html:
    cells = (
        el("td", ways.chips(held[box]), data_r=readings.of(held[box])) if box in held else Html("<td>") for box in boxes
    )
    return el("tr", el("th", head(application, subjects), scope="row"), *cells)  # fmt: skip


def _wide(application: Application, columns: int, subjects: Subjects, readings: Readings) -> Html:
    """One that reaches every mailbox, or those of a scope: its row is one cell."""
    wide = [route for route in application.routes if not route.mailbox]
    places: dict[Html, list[str]] = defaultdict(list)
    for route in wide:
        places[ways.where([route])].append(route.of)
    said = joined(
        el("span", ways.chips(wide), class_="chips"),
        " ",
        *(
            joined("; " if i else "", where, ": ", ways.commas(map(name, dict.fromkeys(rights))))
            for i, (where, rights) in enumerate(list(places.items())[:8])
        ),
    )
    style = "wide" if application.everywhere else "wide some"
    return el(
        "tr",
        el("th", head(application, subjects), scope="row"),
        el("td", el("span", said, class_="band"), colspan=columns, class_=style, data_r=readings.of(wide)),
    )
