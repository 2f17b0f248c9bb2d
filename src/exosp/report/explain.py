"""What a pasted failure means, for people and as a document. Foreign text stands only in excerpts that are redacted."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from ..diagnosis.row import Row
from ..explaining import Explanation
from ..explaining.answers import Answer, Found, Shown
from ..explaining.tokens import Token
from .plain import plain

WIDTH = 100
LOOK_UP = "https://login.microsoftonline.com/error?code="
SURE = {
    "A": "the vendor's own words", "B": "several independent sources", "C": "one report",
    "K": "common knowledge, no source at hand", "?": "sources contradict each other",
}  # fmt: skip
_LABEL = 9  # columns of the words on the left


def text(found: Explanation, width: int = WIDTH) -> str:
    """The whole answer: the first problem first, each with its causes in order."""
    blocks = [_answer(number, answer, width) for number, answer in enumerate(found.answers, 1)]
    blocks += [_token(token, width) for token in found.tokens]
    if not found.answers:
        blocks.insert(0, _unknown(found, width))
    return "\n\n".join(blocks)


def _answer(number: int, answer: Answer, width: int) -> str:
    row = answer.row
    if row is None:
        lines = ["The pasted token shows what is wrong."]
    else:
        lines = [f"{number}. {row.id}, line {answer.line}"]
        lines += _labelled("said", answer.said, width)
    for place, cause in enumerate(answer.causes):
        lines += _cause(place, cause, width)
    for other in answer.follows:
        lines += _labelled("then", f"line {other.line}, {other.row.id}: {other.said}", width)
    if row is not None:
        if row.propagation:
            lines += _labelled("note", "a right change that is still on its way gives this text too", width)
        lines += _labelled("source", f"{row.source} ({SURE[row.certainty]})", width)
    return "\n".join(lines)


def _cause(place: int, cause: Shown, width: int) -> Iterator[str]:
    yield from _labelled("cause" if place == 0 else "or", cause.words, width)
    if cause.evidence:
        yield from _labelled("seen", cause.evidence, width, deeper=place > 0)
    yield from _labelled("check", cause.tell, width, deeper=place > 0)
    yield from _labelled("fix", cause.fix, width, deeper=place > 0)
    if cause.cmdlet and place == 0:
        yield from _labelled("by hand", cause.cmdlet, width)


def _labelled(label: str, said: str, width: int, *, deeper: bool = False) -> list[str]:
    """Lines below a word on the left. ``deeper``: the word stands in the text's own column."""
    left = f"  {label:<{_LABEL}}" if not deeper else f"  {'':<{_LABEL}}{label}: "
    body = textwrap.wrap(plain(said), max(width - len(left), 30), break_long_words=False, break_on_hyphens=False) or [
        ""
    ]
    margin = " " * (len(left) if not deeper else 2 + _LABEL + 2)
    return [left + body[0], *(margin + line for line in body[1:])]


def _token(token: Token, width: int) -> str:
    lines = ["A token in the text says of itself (it is not shown, and not checked):"]
    lines += [
        line
        for name, value in token.claims.items()
        for line in _labelled(name, ", ".join(value) if isinstance(value, list) else str(value), width)
    ]
    if token.expires:
        lines += _labelled("expires", token.expires, width)
    for fault in token.faults:
        lines += _labelled("wrong", fault.words, width)
    return "\n".join(lines)


def _unknown(found: Explanation, width: int) -> str:
    if found.tokens and not found.unlisted:
        return "Nothing in this text is in exosp's table, and what the token says of itself is as a login needs it."
    lines = ["Unknown: nothing in this text is in exosp's table."]
    for code in found.unlisted:
        lines += _labelled("look up", f"AADSTS{code} is Entra's code: {LOOK_UP}{code}", width)
    if found.nearest:
        lines += ["The nearest that it knows, by their words:"]
        for row in found.nearest:
            lines += _labelled("", f"{row.id}: {row.example}", width)
    return "\n".join(lines)


def listing(rows: Sequence[Row], width: int = WIDTH) -> str:
    """Each row on a few lines: its id, the text it knows, its first cause."""
    lines: list[str] = []
    for row in rows:
        lines += [
            f"{row.id}  ({', '.join(sorted(row.where))})",
            *_labelled("says", row.example, width),
            *_labelled("cause", row.causes[0], width),
        ]
    return "\n".join([*lines, "", f"{len(rows)} rows"])


# The documents


def document(found: Explanation) -> dict[str, Any]:
    """``recognised`` false: nothing is in the table; then ``nearest`` names rows whose words are near."""
    return {
        "recognised": found.recognised,
        "lines": found.lines,
        "answers": [_answer_json(answer) for answer in found.answers],
        "tokens": [
            {"claims": token.claims, "expires": token.expires, "faults": [{"cause": fault.key, "words": fault.words} for fault in token.faults]}
            for token in found.tokens
        ],
        "unlisted": [f"AADSTS{code}" for code in found.unlisted],
        "nearest": [{"row": row.id, "example": row.example} for row in found.nearest],
    }  # fmt: skip


def _answer_json(answer: Answer) -> dict[str, Any]:
    row = answer.row
    first = answer.causes[0]
    return {
        "row": row.id if row else None,
        "where": sorted(row.where) if row else [],
        "line": answer.line,
        "said": answer.said,
        "cause": first.key,
        "words": first.words,
        "fix": first.fix,
        "cmdlet": first.cmdlet,
        "causes": [
            {"cause": one.key, "words": one.words, "tell": one.tell, "fix": one.fix, "cmdlet": one.cmdlet, "evidence": one.evidence}
            for one in answer.causes
        ],
        "follows": [_follow_json(other) for other in answer.follows],
        "propagation": row.propagation if row else False,
        "source": row.source if row else "the token's own claims",
        "certainty": row.certainty if row else "A",
    }  # fmt: skip


def _follow_json(other: Found) -> dict[str, Any]:
    return {"row": other.row.id, "line": other.line, "said": other.said}


def listing_document(rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "rows": [
            {
                "row": row.id, "where": sorted(row.where), "example": row.example, "source": row.source, "certainty": row.certainty,
                "causes": [
                    {"cause": one.key, "words": one.words, "tell": one.remedy.tell, "fix": one.remedy.fix, "cmdlet": one.remedy.cmdlet}
                    for one in row.because
                ],
                "fix": row.fix, "cmdlet": row.cmdlet, "propagation": row.propagation,
            }
            for row in rows
        ]
    }  # fmt: skip
