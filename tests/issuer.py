"""An OpenID Connect issuer of tests: metadata, keys, assertions that are really signed. And the hosts of pipelines and
machines that hand such tokens out. They share no code with the sandbox, which must believe none of it unseen."""

import base64
import json
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

AUDIENCE = "api://AzureADTokenExchange"
Answer = tuple[int, Any]


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Host:
    """A tiny HTTP host: ``answer`` is given (method, path, query, headers, body) and answers (status, JSON)."""

    def __init__(
        self, answer: Callable[[str, str, dict[str, str], Any, bytes], Answer], certificate: Path | None = None
    ):
        owner = self
        self.seen: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def reply(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                owner.seen.append(f"{self.command} {parts.path}")
                status, found = answer(self.command, parts.path, query, self.headers, body)
                data = json.dumps(found).encode()
                self.send_response_only(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = reply  # noqa: N815  # http.server's names

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"{'https' if certificate else 'http'}://localhost:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Issuer:
    """Signs what it is asked to. ``host`` serves its metadata and keys."""

    def __init__(self, certificate: Path) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._kid = uuid.uuid4().hex
        self.host = Host(self._answer, certificate)

    @property
    def name(self) -> str:
        return self.host.address

    def _answer(self, method: str, path: str, query: dict[str, str], headers: Any, body: bytes) -> Answer:
        if path == "/.well-known/openid-configuration":
            return 200, {"issuer": self.name, "jwks_uri": f"{self.name}/keys"}
        numbers = self._key.public_key().public_numbers()
        n, e = numbers.n.to_bytes(256, "big"), numbers.e.to_bytes(3, "big")
        return 200, {
            "keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self._kid, "n": _b64(n), "e": _b64(e)}]
        }

    def sign(self, subject: str, *, key: Any = None, lifetime: float = 300, ago: float = 0, **claims: Any) -> str:
        """An assertion. ``key`` signs instead of the issuer's own; ``ago`` is for how long it has been there."""
        now = time.time() - ago
        held = {
            "iss": self.name, "sub": subject, "aud": AUDIENCE, "jti": uuid.uuid4().hex,
            "iat": int(now), "nbf": int(now), "exp": int(now + lifetime), **claims,
        }  # fmt: skip
        head = {"alg": "RS256", "typ": "JWT", "kid": self._kid}
        text = ".".join(_b64(json.dumps(part).encode()) for part in (head, held))
        signed = (key or self._key).sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{text}.{_b64(signed)}"


@contextmanager
def serving(answer: Callable[[str, str, dict[str, str], Any, bytes], Answer]) -> Iterator[Host]:
    """A plain host for the length of a test."""
    host = Host(answer)
    try:
        yield host
    finally:
        host.close()
