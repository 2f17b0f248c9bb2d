"""The page on this machine's own loopback where a browser's sign-in ends (RFC 8252 §7.3). It answers one question: what
came back for this sign-in? It logs nothing, and keeps what came only until it is handed over.

The answer must come as a form (response_mode=form_post, which the vendor's page recommends for http://localhost), so that
no code stands in an address or in a browser's history; and with the ``state`` that was sent, else it is somebody else's.
"""

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from ..errors import Error

LARGEST = 64 * 1024  # bytes of a form; a code has some two thousand
PATIENCE = 10.0  # seconds for a browser to say what it has to

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>exosp: {title}</title>
<style>body{{font:16px sans-serif;max-width:36em;margin:4em auto;padding:0 1em}}</style></head>
<body><h1>{title}</h1><p>{text}</p><p>{hint}</p></body></html>
"""
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Shown:
    """What the browser's last page says."""

    title: str
    text: str
    hint: str = ""


Answer = Callable[[Mapping[str, str]], Shown]


class Loopback:
    """Listens on 127.0.0.1 from the start. ``refused``: how many answers came that were not to our question."""

    def __init__(self, state: str) -> None:
        self.refused = 0
        self._state = state
        # A thread a connection: browsers open idle ones ahead, which must not keep the answer waiting.
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._lock = threading.Lock()
        self._told = threading.Event()  # the browser has its page
        self._answer: Answer | None = None
        self._done = False
        self._raised: Exception | None = None

    @property
    def address(self) -> str:
        """The redirect URI: localhost by name, since that is what is registered; its port is not looked at."""
        return f"http://localhost:{self._server.server_port}"

    def __enter__(self) -> "Loopback":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    def wait(self, answer: Answer, seconds: float) -> bool:
        """Serve until the answer has come, and was given to ``answer``, whose page the browser gets; False where none came
        in time. What ``answer`` raises is raised; an Error is shown too."""
        self._answer = answer
        ends = time.monotonic() + seconds
        self._server.timeout = 0.1
        while not self._told.is_set():
            if time.monotonic() >= ends and not self._done:
                return False
            self._server.handle_request()
        if self._raised is not None:
            raise self._raised
        return True

    def take(self, given: Mapping[str, str]) -> Shown | None:
        """A form that came. None where it is no answer to our question."""
        told = given.get("state", "")
        with self._lock:
            if self._done or not secrets.compare_digest(told.encode(), self._state.encode()):
                self.refused += 1
                return None
            if not (given.get("code") or given.get("error")):
                self.refused += 1
                return None
            self._done = True
        assert self._answer is not None
        try:
            return self._answer(given)
        except Error as fault:  # the server would print it; the browser is told, and the waiting one hears of it
            self._raised = fault
            return Shown("Not signed in", fault.what, f"What to do: {fault.hint}" if fault.hint else "")
        except Exception as bug:  # raised where somebody waits; a thread's end would be heard by nobody
            self._raised = bug
            return Shown("Not signed in", "exosp met a fault of its own.", "Your terminal says which.")

    def shown(self) -> None:
        """The browser has the page of its answer, or is gone."""
        self._told.set()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # nobody waits for a connection that stays open

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that leaves in the middle is no news; nothing is printed."""


def _handler(owner: Loopback) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE  # of its connection
        server_version, sys_version = "exosp", ""

        def do_POST(self) -> None:
            if self._host() not in ("localhost", "127.0.0.1"):  # another name that was made to lead here
                self._say(421, Shown("Not here", "This address is for this machine's own browser."))
                return
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) > LARGEST:
                self._say(400, Shown("Not understood", "That is no answer of a sign-in."))
                return
            try:
                form = parse_qs(self.rfile.read(int(length)).decode("ascii"), keep_blank_values=True, max_num_fields=40)
            except (ValueError, OSError):
                form = {}
            shown = owner.take({name: values[0] for name, values in form.items() if len(values) == 1})
            if shown is None:
                text = "This answer is not to the sign-in that exosp began, so it was not used."
                self._say(400, Shown("Refused", text, "Go back to the window of that sign-in, or begin anew."))
            else:
                try:
                    self._say(200, shown)
                finally:
                    owner.shown()

        def do_GET(self) -> None:
            text = "exosp waits here for the answer of a sign-in, which comes as a form."
            self._say(404, Shown("Nothing to see", text))

        def _host(self) -> str:
            return self.headers.get("Host", "").partition(":")[0].lower()

        def _say(self, status: int, shown: Shown) -> None:
            parts = {name: escape(getattr(shown, name)) for name in ("title", "text", "hint")}
            body = _PAGE.format(**parts).encode()
            self.send_response(status)
            for name, value in _HEADERS.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's own name
            """A request line may hold what came back: nothing is logged."""

    return Handler
