"""The playbooks and templates that ship with exosp: inside the package when installed from a wheel, beside ``src`` in an
editable install (where the build's force-include is absent)."""

from pathlib import Path

from .errors import UsageError

_PACKAGE = Path(__file__).resolve().parent


def path(folder: str, name: str) -> Path:
    """A shipped file: ``path("playbooks", "quickstart.yaml")``."""
    for root in (_PACKAGE, _PACKAGE.parent.parent):
        found = root / folder / name
        if found.is_file():
            return found
    raise UsageError(f"{folder}/{name} is missing from this installation", hint="install exosp again")
