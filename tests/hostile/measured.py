"""Probes in a process of their own, each told on standard input, with what it cost in memory on standard output.

``traced``: the peak of Python's own memory during one probe. ``resident``: the process's peak during it, above what it
held before. Both in bytes. The kernel's peak is set back before each (proc(5), clear_refs).
"""

import json
import sys
import tracemalloc
from pathlib import Path

from exosp.clouds import Endpoint
from exosp.mail import PROBES


def status(name: str) -> int:
    """VmRSS or VmHWM, in bytes."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition(f"{name}:")[2].split()[0]) * 1024


def main() -> None:
    tracemalloc.start()
    for line in sys.stdin:
        order = json.loads(line)
        Path("/proc/self/clear_refs").write_text("5")
        before = status("VmRSS")
        tracemalloc.reset_peak()
        held = tracemalloc.get_traced_memory()[0]
        reading = PROBES[order["protocol"]](
            Endpoint("localhost", order["port"]), order["user"], order["token"], ca=Path(order["ca"]), timeout=20
        )
        traced = tracemalloc.get_traced_memory()[1] - held
        print(json.dumps({"ok": reading.ok, "traced": traced, "resident": status("VmHWM") - before}), flush=True)


main()
