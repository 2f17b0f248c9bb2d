"""A process that runs tests on code with one break in it. It speaks lines of JSON: an order in, what came of it out.

Each order is carried out by a child that is forked: with the libraries that earlier children needed, and with nothing
of exosp, so that what the child imports is the broken code. The file itself is not touched.
"""

import contextlib
import importlib
import importlib.util
import io
import json
import os
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = (
    "-x", "-q", "-p", "no:cacheprovider", "-n", "0", "-m", "",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",  # plugins that an earlier child imported: their asserts stay plain
)  # fmt: skip


class Break(MetaPathFinder):
    """Imports one module of exosp with ``old`` replaced by ``new``."""

    def __init__(self, file: str, old: str, new: str) -> None:
        self._path = str(ROOT / "src" / "exosp" / file)
        parts = ("exosp", *Path(file).with_suffix("").parts)
        self._name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        self._old, self._new = old, new

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self._name:
            return None
        return importlib.util.spec_from_file_location(name, self._path, loader=self._loader(name))

    def _loader(self, name: str) -> SourceFileLoader:
        text = Path(self._path).read_text(encoding="utf-8").replace(self._old, self._new)

        class Loader(SourceFileLoader):
            def get_code(self, fullname: str) -> CodeType:
                return self.source_to_code(text.encode(), self.path)  # never from a cache

        return Loader(name, self._path)


class Came:
    """What became of the tests."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome == "failed":
            self.counted[report.outcome if report.when == "call" else "error"] += 1


def child(order: dict[str, Any], telling: int) -> None:
    """Run the tests, say what came of them, end. Never returns."""
    came, said, place = Came(), io.StringIO(), ""
    try:
        if order["file"]:
            sys.meta_path.insert(0, Break(order["file"], order["old"], order["new"]))
        os.chdir(ROOT)
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            pytest.main([*OPTIONS, *order["tests"]], plugins=[came])
        place = str(sys.modules["exosp"].__file__)
    except BaseException as fault:  # what a break can do to the run itself
        said.write(repr(fault))
    finally:
        libraries = [name for name, module in sys.modules.items() if _is_library(module)]
        answer = {**came.counted, "said": said.getvalue()[-3000:], "place": place, "libraries": libraries}
        with os.fdopen(telling, "w") as line:
            json.dump(answer, line)
        os._exit(0)


def _is_library(module: ModuleType | None) -> bool:
    place = getattr(getattr(module, "__spec__", None), "origin", None)
    return bool(place) and not str(place).startswith(str(ROOT)) and "exosp" not in str(getattr(module, "__name__", ""))


def learn(names: Sequence[str]) -> None:
    """Import what a child had to, so that the next need not."""
    warnings.simplefilter("ignore")
    for name in names:
        if name not in sys.modules:
            with contextlib.suppress(Exception):  # not every module can stand alone
                importlib.import_module(name)


def serve() -> None:
    with os.fdopen(os.dup(0), "r") as orders, os.fdopen(os.dup(1), "w") as answers:
        for line in orders:
            assert threading.active_count() == 1, "a fork keeps no thread but its own"
            assert not [name for name in sys.modules if name.partition(".")[0] == "exosp"]
            learnt, telling = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(learnt)
                child(json.loads(line), telling)
            os.close(telling)
            with os.fdopen(learnt) as held:
                text = held.read()
            _, status = os.waitpid(pid, 0)
            answer = json.loads(text) if text else {"said": f"it ended with {status}", "libraries": []}
            learn(answer.pop("libraries"))
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve()
