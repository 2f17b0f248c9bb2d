"""The forms that an audit's report can take, a line each: what a file's name ends in, and what makes the text of a result.

Nothing of a form is imported before it is asked for.
"""

from collections.abc import Callable
from importlib import import_module

from ..audit.judge import Result

Render = Callable[[Result], str]


def _made_by(module: str, function: str = "render") -> Render:
    def render(result: Result) -> str:
        text: str = getattr(import_module(f".{module}", __package__), function)(result)
        return text

    return render


FORMATS: dict[str, tuple[tuple[str, ...], Render]] = {
    "text": ((".txt",), _made_by("audit_text")),
    "json": ((".json",), _made_by("audit_json")),
    "csv": ((".csv",), _made_by("audit_csv")),
    "csv-grants": ((".grants.csv",), _made_by("audit_csv", "grants")),
    "markdown": ((".md", ".markdown"), _made_by("audit_markdown")),
    "sarif": ((".sarif", ".sarif.json"), _made_by("audit_sarif")),
    "junit": ((".xml",), _made_by("audit_junit")),
    "html": ((".html", ".htm"), _made_by("audit_html")),
}


def form_of(name: str) -> str | None:
    """The form that a file's name says: the one with the longest end that it has."""
    ends = [
        (len(end), form) for form, (suffixes, _) in FORMATS.items() for end in suffixes if name.lower().endswith(end)
    ]
    return max(ends)[1] if ends else None
