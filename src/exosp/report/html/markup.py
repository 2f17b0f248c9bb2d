"""HTML as values: a text is escaped unless it is Html, and nothing but ``el`` and its like makes Html. So no name of a tenant
becomes markup, whoever forgets what."""

import json
import re
from collections.abc import Iterable
from html import escape
from typing import Any, Final

from ..plain import plain

LONGEST = 600  # characters of one foreign text: what is longer stands in the JSON

_ID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|S-1-[0-9-]+")
# What a pipeline's runner takes for a command where a page goes through its log: ::error::, ##[error].
_COMMAND: Final = re.compile(r":(?=:)|#(?=#\w*\[)")
_VOID: Final = frozenset({"br", "input", "link", "meta", "col"})


class Html(str):
    """Markup, safe as it is."""

    __slots__ = ()


NOTHING = Html("")


def text(value: str, longest: int = LONGEST) -> Html:
    """A foreign text as one line: what cannot be seen as its escape, so that no bidi control turns what stands around it."""
    shown = value if len(value) <= longest else f"{value[:longest]}…"
    return Html(_COMMAND.sub(lambda mark: f"&#{ord(mark[0])};", escape(plain(shown))))


def el(tag: str, /, *children: str, **attributes: str | int | bool | None) -> Html:
    """An element. Attributes: ``class_`` is class, an underscore within is a hyphen, False and None are left out."""
    said = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{text(str(value), 10_000)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in _VOID:
        return Html(f"<{tag}{said}>")
    return Html(f"<{tag}{said}>{joined(*children)}</{tag}>")


def joined(*children: str) -> Html:
    return Html("".join(child if isinstance(child, Html) else text(child) for child in children))


def name(value: str) -> Html:
    """A tenant's name: a name that is written from right to left turns nothing around it."""
    return el("bdi", value)


def value_of(value: str) -> Html:
    """What was read: an id in a type that tells its characters apart."""
    return el("code", value) if _ID.fullmatch(value) else name(value)


def listed(items: Iterable[str], **attributes: str | int | bool | None) -> Html:
    return el("ul", *(el("li", item) for item in items), **attributes)


def terms(pairs: Iterable[tuple[str, str]], **attributes: str | int | bool | None) -> Html:
    """A description list; a term without a value is left out."""
    return el("dl", *(el("div", el("dt", term), el("dd", value)) for term, value in pairs if value), **attributes)


def table(
    caption: str, head: Iterable[str], rows: Iterable[Iterable[str]], **attributes: str | int | bool | None
) -> Html:
    """A table whose rows are named by their first cell. On a narrow screen each cell stands below its column's name."""
    named = list(head)
    body = (
        el("tr", *(el("td" if i else "th", cell, scope=None if i else "row", data_label=named[i])
                   for i, cell in enumerate(row)))
        for row in rows
    )  # fmt: skip
    return el(
        "table",
        el("caption", caption),
        el("thead", el("tr", *(el("th", column, scope="col") for column in named))),
        el("tbody", *body),
        **attributes,
    )


def data(value: Any, **attributes: str) -> Html:
    """JSON that no script element can be left from, and that no parser of HTML takes for anything else."""
    said = json.dumps(value, separators=(",", ":"))  # ASCII alone
    for character in "<>&#":
        said = said.replace(character, f"\\u{ord(character):04x}")
    return el("script", Html(said), type="application/json", **attributes)


def many(number: int, one: str, more: str = "") -> str:
    return f"{number:,} {one if number == 1 else more or one + 's'}"
