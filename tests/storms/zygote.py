"""A process that forks one child a command: the command itself, from its ``main`` to its exit code. What a child had to
import, this process imports too, so that the next child need not. It speaks lines: an order as JSON in, the child's pid
out, its exit code (below zero: the signal) out.
"""

import importlib
import json
import os
import sys
import threading
from typing import Any


def child(order: dict[str, Any], learnt: int) -> None:
    """Become the command. Never returns."""
    from exosp.cli import main

    code = 70
    try:
        files = (os.open(os.devnull, os.O_RDONLY), *(_new(order[name]) for name in ("out", "err")))
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.environ.clear()
        os.environ.update(order["env"])
        os.chdir(order["cwd"])
        sys.argv = ["exosp", *order["words"]]
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os.write(learnt, "\n".join(sys.modules).encode())
        os._exit(code)


def _new(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)


def serve() -> None:
    import exosp.cli  # noqa: F401

    with os.fdopen(os.dup(0), "r") as orders, os.fdopen(os.dup(1), "w") as answers:
        for line in orders:
            assert threading.active_count() == 1, "a fork keeps no thread but its own"
            learnt, telling = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(learnt)
                child(json.loads(line), telling)
            os.close(telling)
            print(pid, file=answers, flush=True)
            with os.fdopen(learnt) as names:
                found = names.read().split("\n")
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            for name in found:
                if name and name not in sys.modules:
                    try:
                        importlib.import_module(name)
                    except ImportError:  # it was put there under another name
                        continue
            print(code, file=answers, flush=True)


if __name__ == "__main__":
    serve()
