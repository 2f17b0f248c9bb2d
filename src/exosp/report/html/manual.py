"""The checks' manuals, which are their docstrings: paragraphs, lists, and lines that are indented as they stand."""

import inspect
import re
from collections.abc import Iterable, Mapping

from ...finding import Check
from .markup import Html, el, joined, listed, text

_LABEL = re.compile(r"([A-Z][a-z ]{2,30}:) ?(.*)", re.DOTALL)
_CODE = re.compile(r"``(.+?)``")


def excerpt(check: Check) -> Html:
    """Its title, what it means and why that matters, and the way to the rest."""
    _, _, rest = inspect.cleandoc(check.manual).partition("\n")
    paragraphs = _paragraphs(rest)
    why = [lines for lines in paragraphs[1:] if lines[0].startswith("Why it matters:")]
    return el(
        "div",
        el("p", _inline(f"{check.title}.")),
        *map(_block, [*paragraphs[:1], *why]),
        el("p", el("a", f"The whole manual of {check.name}", href=f"#check-{check.name}")),
        class_="manual",
    )


def section(names: Iterable[str], checks: Mapping[str, Check]) -> Html:
    """The manuals of those checks that the page speaks of."""
    found = [checks[name] for name in sorted(set(names)) if name in checks]
    if not found:
        return Html("")
    return el(
        "section",
        el("h2", "The checks"),
        el("p", "What each check that found something means, and how it tells. ", el("code", "exosp explain CHECK"), " prints the same.", class_="lead"),
        *(
            el("details", el("summary", el("h3", check.name), el("span", _inline(check.title), class_="statement")),
               el("div", *map(_block, _paragraphs(inspect.cleandoc(check.manual).partition("\n")[2])), class_="body manual"),
               id=f"check-{check.name}", class_="card")
            for check in found
        ),
        id="checks",
    )  # fmt: skip


def _paragraphs(said: str) -> list[list[str]]:
    """Runs of lines that are not empty."""
    found: list[list[str]] = [[]]
    for line in said.splitlines():
        if line.strip():
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [lines for lines in found if lines]


def _block(lines: list[str]) -> Html:
    if all(line.startswith("    ") for line in lines):
        return el("pre", el("code", Html("\n".join(text(line[4:]) for line in lines))))
    if lines[0].lstrip().startswith(("- ", "* ")):
        items: list[str] = []
        for line in (line.strip() for line in lines):
            if line.startswith(("- ", "* ")):
                items.append(line[2:])
            else:
                items[-1] += f" {line}"
        return listed(map(_inline, items))
    said, list_ = lines, next((i for i, line in enumerate(lines) if line.lstrip().startswith(("- ", "* "))), len(lines))
    if list_ < len(lines):
        return joined(_block(said[:list_]), _block(said[list_:]))
    if label := _LABEL.fullmatch(whole := " ".join(line.strip() for line in lines)):
        return el("p", el("b", label[1]), " ", _inline(label[2]))
    return el("p", _inline(whole))


def _inline(said: str) -> Html:
    parts = _CODE.split(said)
    return joined(*(el("code", part) if i % 2 else text(part, 10_000) for i, part in enumerate(parts)))
