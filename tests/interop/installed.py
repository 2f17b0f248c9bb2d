"""Programs of other people's that judge us: found, or the test that needs them is skipped by name.

Where INTEROP is "required", as .ci/run sets it, they must be there: a check that is skipped there would look like one that passed.
"""

import os
import shutil
from pathlib import Path

import pytest

_PLACES = "/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:/usr/local/sbin"


def program(*names: str) -> str:
    """The path of the first of these that is installed."""
    found = next((path for name in names if (path := shutil.which(name, path=_PLACES))), None)
    return found or _missing(" or ".join(names))


def file(path: str, package: str) -> str:
    """The path itself, if ``package`` has put that file there."""
    return path if Path(path).exists() else _missing(package)


def _missing(what: str) -> str:
    said = f"{what} is not installed"
    if os.environ.get("INTEROP") == "required":
        pytest.fail(said)
    pytest.skip(said)
