"""A check's manual, which is its module's docstring, for people and as a document."""

import inspect
from collections.abc import Sequence
from typing import Any

from ..finding import Check
from .plain import plain


def text(check: Check) -> str:
    """The whole manual below the check's name."""
    body = inspect.cleandoc(check.manual)
    needs = ", ".join(check.needs) or "nothing beyond the inventory"
    return f"{check.name}\n{'=' * len(check.name)}\n{plain_lines(body)}\n\nIt is judged where this was read: {needs}."


def document(check: Check) -> dict[str, Any]:
    return {
        "check": {
            "name": check.name,
            "title": check.title,
            "manual": inspect.cleandoc(check.manual),
            "needs": [*check.needs],
        }
    }


def listing(checks: Sequence[Check]) -> str:
    """Every check with its title, a line each."""
    longest = max((len(check.name) for check in checks), default=0)
    return "\n".join(f"{check.name:<{longest}}  {check.title}" for check in checks)


def listing_document(checks: Sequence[Check]) -> dict[str, Any]:
    return {"checks": [{"name": check.name, "title": check.title, "needs": [*check.needs]} for check in checks]}


def plain_lines(body: str) -> str:
    return "\n".join(plain(line) for line in body.split("\n"))
