"""Many logins at once against one after the other, in one run. The ratio and the memory are judged; seconds never are.

The server's delay is 250 ms a login, between the token and the answer to it, whatever the protocol: the least that it can
be, and the hardest on us, since with every answer delayed a login would wait longer and cost no more. Server, ours and
the baseline are processes of their own on the same machine; each login of either side is a connection of its own, with
TLS 1.2 or newer verified against a CA file, the same commands, and no resumption.
"""

import imaplib
import json
import poplib
import smtplib
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import pytest

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]

DELAY = 0.25
LOGINS = 2000
MAILBOXES = 667  # times three protocols
IN_FLIGHT = 64
BASELINE = 100
RATIO = 40
MEMORY = 120  # MiB
HERE = Path(__file__).parent
TOKEN = f"user=box00000@contoso.com\x01auth=Bearer {'t' * 1400}\x01\x01"


@contextmanager
def server(folder: Path) -> Iterator[tuple[dict[str, int], Callable[[], dict[str, int]]]]:
    """The slow server's ports, and a way to end it that tells what it has answered."""
    command = [sys.executable, str(HERE / "slow_mail.py"), str(DELAY), str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(HERE.parent)}
    ) as child:
        assert child.stdout is not None
        ports = dict(zip(("imap", "pop", "smtp"), map(int, child.stdout.readline().split()), strict=True))

        def end() -> dict[str, int]:
            found: dict[str, int] = json.loads(child.communicate(timeout=30)[0])
            return found

        try:
            yield ports, end
        finally:
            child.kill()


# The baseline: the standard library's clients as anybody would use them, and the dialogue of our probes.


def by_imap(port: int, context: ssl.SSLContext) -> None:
    client = imaplib.IMAP4_SSL("localhost", port, ssl_context=context)
    client.authenticate("XOAUTH2", lambda _: TOKEN.encode())
    assert client.select("INBOX", readonly=True)[0] == "OK"
    client.logout()


def by_pop(port: int, context: ssl.SSLContext) -> None:
    import base64

    client = poplib.POP3_SSL("localhost", port, context=context)
    client.capa()
    client._shortcmd("AUTH XOAUTH2")  # type: ignore[attr-defined]  # poplib has no AUTH of its own
    client._shortcmd(base64.b64encode(TOKEN.encode()).decode())  # type: ignore[attr-defined]  # as above
    assert client.stat() == (2, 1234)
    client.quit()


def by_smtp(port: int, context: ssl.SSLContext) -> None:
    with smtplib.SMTP("localhost", port, local_hostname="[127.0.0.1]") as client:
        client.starttls(context=context)
        client.ehlo()
        assert client.auth("XOAUTH2", lambda _=None: TOKEN, initial_response_ok=False)[0] == 235
        assert client.mail("box00000@contoso.com")[0] == 250
        client.rset()


def one_after_the_other(ports: dict[str, int], ca: Path) -> float:
    """Seconds of one login, over all three protocols in turn."""
    context = ssl.create_default_context(cafile=str(ca))
    ways = cycle((("imap", by_imap), ("pop", by_pop), ("smtp", by_smtp)))
    begun = time.monotonic()
    for protocol, log_in in islice(ways, BASELINE):
        log_in(ports[protocol], context)
    return (time.monotonic() - begun) / BASELINE


def cloud_file(folder: Path, ports: dict[str, int]) -> Path:
    """A cloud whose mail servers are the slow ones. Nothing else of it is asked."""
    nowhere = "https://localhost:1"
    written = folder / "cloud.json"
    written.write_text(
        json.dumps(
            {
                "schema": "exosp/cloud/1", "name": "sandbox", "login": nowhere, "graph": nowhere,
                "exchange_resource": "https://outlook.office365.com", "admin_api": nowhere,
                **{protocol: f"localhost:{port}" for protocol, port in ports.items()},
                "exchange_environment": "O365Default", "ca": str(folder / "ca.pem"),
            }
        )
    )  # fmt: skip
    return written


def test_two_thousand_logins(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """2,000 logins over three protocols, 64 in flight: at least 40 times a loop with the standard library (measured on 100
    and scaled), in at most 120 MiB."""
    with server(tmp_path) as (ports, end):
        alone = one_after_the_other(ports, tmp_path / "ca.pem")
        command = [
            sys.executable,
            str(HERE / "many_logins.py"),
            str(cloud_file(tmp_path, ports)),
            str(MAILBOXES),
            str(IN_FLIGHT),
        ]
        ran = subprocess.run(command, check=True, capture_output=True, text=True)
        answered = end()
    ours = json.loads(ran.stdout)
    assert (ours["ok"], ours["wrong"]) == (ours["logins"], "")
    assert ours["logins"] == 3 * MAILBOXES >= LOGINS
    # The server saw them all, with a connection and a token each, and that many at once.
    assert sum(answered[p] for p in ports) == ours["logins"] + BASELINE
    assert IN_FLIGHT / 2 < answered["most"] <= IN_FLIGHT
    ratio = alone * ours["logins"] / ours["seconds"]
    record_property(
        "figure",
        f"{ours['logins']} logins, {IN_FLIGHT} in flight, 250 ms each: {ours['seconds']:.1f} s, {ratio:.0f} x one after the other "
        f"({1000 * alone:.0f} ms each); {1000 * ours['cpu'] / ours['logins']:.1f} ms of CPU a login, {ours['peak']:.0f} MiB at most "
        f"({ours['before']:.0f} before the first)",
    )
    assert ratio >= RATIO
    assert ours["peak"] <= MEMORY
