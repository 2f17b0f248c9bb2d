"""How a route is shown: a letter and a colour for what grants it, and a sentence for the rest."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ...routes import By, Door, Route
from .markup import Html, el, joined, name


class Way(NamedTuple):
    letter: str
    style: str
    word: str


WAYS: Final[dict[By, Way]] = {
    "application permission": Way("A", "w-app", "application permission, for every mailbox"),
    "delegated permission": Way("U", "w-user", "delegated permission, as the user who signs in"),
    "management role": Way("R", "w-role", "management role (RBAC for Applications)"),
    "mailbox permission": Way("F", "w-full", "mailbox permission (FullAccess)"),
    "recipient permission": Way("S", "w-send", "recipient permission (SendAs)"),
    "send on behalf": Way("B", "w-behalf", "send on behalf"),
    "folder permission": Way("D", "w-folder", "folder permission"),
}

_DOORS: Final[dict[Door, str]] = {
    "imap": "IMAP", "pop": "POP", "smtp": "SMTP", "graph": "Microsoft Graph", "ews": "EWS", "exchange-admin": "Exchange administration",
}  # fmt: skip


def chip(by: By, is_open: bool) -> Html:
    """A capital where the route is open; a small letter with a broken line round it where something is lacking."""
    way = WAYS[by]
    return el("b", way.letter if is_open else way.letter.lower(), class_=way.style if is_open else f"{way.style} shut")


def chips(routes: Iterable[Route]) -> Html:
    """One for each way, in the legend's order; open where any such route is."""
    best: dict[By, bool] = {}
    for route in routes:
        best[route.by] = best.get(route.by, False) or route.is_open
    return joined(*(chip(by, best[by]) for by in WAYS if by in best))


def sentences(routes: Iterable[Route]) -> list[str]:
    """What they do or would do, by what, and what keeps them from that. Those that differ by the door alone are one."""
    alike: dict[tuple[str, str, str, tuple[str, ...], bool], dict[Door, list[str]]] = {}
    for route in routes:
        key = (route.by, route.of, route.scope, route.lacks, route.protocols_off)
        verbs = alike.setdefault(key, {}).setdefault(route.door, [])
        verb = f"{route.can}s" if route.is_open else route.can
        if verb not in verbs:
            verbs.append(verb)
    return [_sentence(*key, doors) for key, doors in alike.items()]


def _sentence(by: str, of: str, scope: str, lacks: tuple[str, ...], off: bool, doors: dict[Door, list[str]]) -> str:
    does: dict[str, list[str]] = {}
    for door, verbs in doors.items():
        does.setdefault(_and(verbs), []).append(_DOORS[door])
    said = "; ".join(f"{verbs} by {_and(by)}" for verbs, by in does.items())
    said = f"Would {said}" if lacks else said[:1].upper() + said[1:]
    said += f": {of} ({by})" + (f", within {scope}" if scope else "")
    if lacks:
        return f"{said}. Lacks {'; '.join(lacks)}."
    return f"{said}. The protocol is off there." if off else f"{said}."


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def where(routes: Sequence[Route]) -> Html:
    """What routes that name no mailbox lead to."""
    if all(route.by == "delegated permission" for route in routes):
        return el("strong", "the mailbox of whoever signs in")
    open_ended = {route.by for route in routes if not route.scope}
    if open_ended - {"delegated permission", "mailbox permission"}:
        return el("strong", "every mailbox")
    if "mailbox permission" in open_ended:
        return el("strong", "no mailbox yet")
    scopes = list(dict.fromkeys(route.scope for route in routes))
    return joined("within ", commas(map(name, scopes[:5])), " and others" if len(scopes) > 5 else "")


def commas(items: Iterable[Html]) -> Html:
    return joined(*(joined(", " if i else "", item) for i, item in enumerate(items)))


def legend() -> Html:
    rows = [el("li", chip(by, True), el("span", way.word)) for by, way in WAYS.items()]
    shut = el(
        "li",
        chip("mailbox permission", False),
        el("span", "a small letter in a broken line: something is lacking, so it opens nothing yet"),
    )
    return el("ul", *rows, shut, class_="legend")  # fmt: skip
