"""One apply of a playbook by the commands' own parts, its cost on standard output: argument the playbook, the tenant in the
environment. A process of its own, so that two of them share no interpreter."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exosp.cli.options import Format
from exosp.cli.screen import Screen
from exosp.cli.wiring import Session, read
from exosp.converge import apply, look
from exosp.exchange.cmdlets import Cmdlet, Item
from exosp.exchange.spreading import Spread

_run = Spread.run
items = 0


def counted(held: Spread, cmdlet: Cmdlet, some: Sequence[Item] = (), **how: Any) -> Any:
    global items
    items += max(1, len(some))
    return _run(held, cmdlet, some, **how)


def main() -> None:
    Spread.run = counted  # type: ignore[method-assign]  # the process is this script's own
    want = read(Path(sys.argv[1]), allow_outside=False)
    began = time.monotonic()
    with Session(want, Screen(Format.text, quiet=True)) as session:
        first = look(want, session.tenant, session.patience)
        result = apply(want, session.tenant, session.patience, first, lambda event: None)
        took = time.monotonic() - began
        cost = {
            "took": took, "items": items, "remoting": session.exchange.requests, "graph": session.graph.requests,
            "token": session.tokens, "done": result.rest.empty and not result.failed,
        }  # fmt: skip
    print(json.dumps(cost))


main()
