"""The page on this machine's own loopback where a browser's sign-in ends (RFC 8252 §7.3). It answers one question: what
came back for this sign-in? It logs nothing, and keeps what came only until it is handed over.

The answer must come as a form (response_mode=form_post, which the vendor's page recommends for http://localhost), so that
no code stands in an address or in a browser's history; and with the ``state`` that was sent, else it is somebody else's.
"""

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from ..browser import Page, Visit
from ..errors import Error

LARGEST = 64 * 1024  # bytes of a form; a code has some two thousand

Answer = Callable[[Mapping[str, str]], Page]


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

    def take(self, given: Mapping[str, str]) -> Page | None:
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
            return Page("Not signed in", fault.what, f"What to do: {fault.hint}" if fault.hint else "")
        except Exception as bug:  # raised where somebody waits; a thread's end would be heard by nobody
            self._raised = bug
            return Page("Not signed in", "exosp met a fault of its own.", "Your terminal says which.")

    def shown(self) -> None:
        """The browser has the page of its answer, or is gone."""
        self._told.set()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # nobody waits for a connection that stays open

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that leaves in the middle is no news; nothing is printed."""


def _handler(owner: Loopback) -> type[Visit]:
    class Handler(Visit):
        def do_POST(self) -> None:  # noqa: N802 - http.server's own name
            if not self.is_ours():
                return
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) > LARGEST:
                self.say(400, Page("Not understood", "That is no answer of a sign-in."))
                return
            try:
                form = parse_qs(self.rfile.read(int(length)).decode("ascii"), keep_blank_values=True, max_num_fields=40)
            except (ValueError, OSError):
                form = {}
            page = owner.take({name: values[0] for name, values in form.items() if len(values) == 1})
            if page is None:
                text = "This answer is not to the sign-in that exosp began, so it was not used."
                self.say(400, Page("Refused", text, "Go back to the window of that sign-in, or begin anew."))
            else:
                try:
                    self.say(200, page)
                finally:
                    owner.shown()

        def do_GET(self) -> None:  # noqa: N802 - http.server's own name
            text = "exosp waits here for the answer of a sign-in, which comes as a form."
            self.say(404, Page("Nothing to see", text))

    return Handler
