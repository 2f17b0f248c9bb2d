"""What one part of an audit costs, on standard output; the tenant is in the environment. Arguments: ``census``, every mailbox's
permissions; ``one-by-one N``, Get-MailboxPermission for N mailboxes, one after another; or ``whole``, the command ``exosp audit``.
A process of its own, so that its memory and its time are the auditor's alone."""

import contextlib
import json
import os
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from exosp import clouds, signin
from exosp.exchange import remotings
from exosp.exchange.census import Census
from exosp.exchange.cmdlets import READS, Answer, Cmdlet, Item, Rows
from exosp.exchange.sessions import Tenancy

DOMAIN = "contoso.onmicrosoft.com"


class Counting:
    """A remoting whose pipelines and their items are counted."""

    def __init__(self, remoting: remotings.Opened) -> None:
        self.pages = remoting.pages
        self._run = remoting.run
        self._lock = threading.Lock()
        self.pipelines = self.items = 0

    def run(self, cmdlet: Cmdlet, items: Sequence[Item] = ()) -> Iterator[Answer]:
        with self._lock:
            self.pipelines += 1
            self.items += len(items)
        return self._run(cmdlet, items)


class Passing:
    def __init__(self, token: str, expires_on: int) -> None:
        self.token, self.expires_on = token, expires_on


def opened() -> tuple[remotings.Row, remotings.Opened]:
    cloud = clouds.find(os.environ["EXOSP_CLOUD"])
    admin = signin.admin(cloud, os.environ)
    lock = threading.Lock()

    def connect() -> tuple[Any, Tenancy]:
        with lock:
            return Passing(admin.exchange_token().reveal(), int(time.time()) + 3600), Tenancy(DOMAIN)

    address = os.environ["EXOSP_REMOTING"]
    row = remotings.choose(address)
    return row, row.opens(address, remotings.Setting(cloud, os.environ, connect, connect, DOMAIN, READS))


def census() -> dict[str, object]:
    row, remoting = opened()
    counting = Counting(remoting)
    one = Census(counting, row.pieces)
    began = time.monotonic()
    entries = one.entries()
    found: Counter[str] = Counter()
    for held in one.permissions(one.mailboxes("user"), "user", entries):
        found["mailboxes"] += 1
        found["failed"] += held.error is not None
        found["rows"] += len(held.grants) + held.people + held.inherited
        found["granted"] += len(held.grants)
    took = time.monotonic() - began
    one.close()
    remoting.close()
    return {"took": took, "items": counting.items, "pipelines": counting.pipelines, **found}


def one_by_one(count: int) -> dict[str, object]:
    """As a script does it that has its list already: the first one, which opens the session, is not counted."""
    _, remoting = opened()
    [answer] = remoting.run(Cmdlet("Get-Mailbox", {"ResultSize": str(count)}))
    assert isinstance(answer, Rows)
    began = time.monotonic()
    for row in answer.rows:
        [answer] = remoting.run(Cmdlet("Get-MailboxPermission", {"Identity": str(row["ExternalDirectoryObjectId"])}))
        assert isinstance(answer, Rows)
        assert answer.rows
    took = time.monotonic() - began
    remoting.close()
    return {"took": took, "items": count}


def whole() -> dict[str, object]:
    """What the command says it read; its exit code is not looked at, since the sandbox's administrator may not see all of
    Graph."""
    from exosp.cli import main

    sys.argv = ["exosp", "audit", "--format", "json", "--quiet"]
    began = time.monotonic()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as printed:
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            main()
        printed.seek(0)
        coverage = json.load(printed)["coverage"]
    return {
        "took": time.monotonic() - began, "read": sum(coverage["mailboxes"].values()), "unread": coverage["unread"]
    }  # fmt: skip


said = {"census": census, "whole": whole}[sys.argv[1]]() if len(sys.argv) == 2 else one_by_one(int(sys.argv[2]))
used = resource.getrusage(resource.RUSAGE_SELF)
# Not ru_maxrss, which begins with what its parent had.
[most] = [
    line for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines() if line.startswith("VmHWM")
]
said |= {"cpu": used.ru_utime + used.ru_stime, "peak": int(most.split()[1]) * 1024}
print(json.dumps(said))
