"""The page on this machine's own loopback where a browser ends, after a sign-in or a consent (RFC 8252 §7.3): how it looks, whom
it is for. What came back with the browser is its owner's affair. It logs nothing, since a request may hold that."""

from dataclasses import dataclass
from html import escape
from http.server import BaseHTTPRequestHandler
from typing import Any

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
class Page:
    """What the browser shows last."""

    title: str
    text: str
    hint: str = ""


class Visit(BaseHTTPRequestHandler):
    """One request of a browser."""

    timeout = PATIENCE  # of its connection
    server_version, sys_version = "exosp", ""

    def is_ours(self) -> bool:
        """Whether it is this machine's own browser: another name may have been made to lead here. Where it is not, it is told."""
        if self.headers.get("Host", "").partition(":")[0].lower() in ("localhost", "127.0.0.1"):
            return True
        self.say(421, Page("Not here", "This address is for this machine's own browser."))
        return False

    def say(self, status: int, page: Page) -> None:
        parts = {name: escape(getattr(page, name)) for name in ("title", "text", "hint")}
        body = _PAGE.format(**parts).encode()
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's own name
        """Nothing is logged."""
