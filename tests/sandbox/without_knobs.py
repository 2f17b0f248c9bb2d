"""Runs tests, each with one knob disabled, in this one process. Arguments: knob=path::test, one a knob. One line of JSON
a knob goes to standard output: how many of its tests failed, passed, and were not run for an error outside of them."""

import contextlib
import io
import json
import sys
from collections import Counter

import pytest

from exosp.sandbox import faults

_set = faults.Faults.set


class Without:
    """One knob stays as in ``none``, whatever a test sets; and what became of the tests."""

    def __init__(self, name: str) -> None:
        self.knob = next(knob for knob in faults.KNOBS if knob.name == name)
        self.came: Counter[str] = Counter()

    def set(self, held: faults.Faults, name: str, value: object) -> None:
        _set(held, name, self.knob.none if name == self.knob.name else value)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome == "failed":
            self.came[report.outcome if report.when == "call" else "error"] += 1


def main() -> None:
    for argument in sys.argv[1:]:
        name, _, test = argument.partition("=")
        without = Without(name)
        faults.Faults.set = lambda held, key, value, by=without: by.set(held, key, value)  # type: ignore[method-assign]  # the process is this script's own
        with contextlib.redirect_stdout(io.StringIO()) as said:
            pytest.main(["-q", "-p", "no:cacheprovider", "-n", "0", "-m", "", test], plugins=[without])
        print(json.dumps({"knob": name, **without.came, "said": said.getvalue()[-600:]}), flush=True)


if __name__ == "__main__":
    main()
