"""A hand-written HTTPS server for tests of the client: it plays the replies it is given, in order, and remembers what
it was asked. It knows nothing of Entra or Graph; the replies are the vendor's documented ones."""

import base64
import datetime
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

TENANT = "84841066-274d-4ec0-a5c1-276be684bdd3"
CLIENT = "00001111-aaaa-2222-bbbb-3333cccc4444"
SECRET = "x~8Q+/pa ss&w%rd'\"é"
DATE = "Tue, 02 Jan 2035 03:04:05 GMT"  # the server's clock, far from ours


class Authority:
    """A certificate authority of this test run."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._sign(self._name, self._key.public_key(), None)
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(self, subject: x509.Name, public: Any, host: str | None) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        )
        if host is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def issue(self, host: str = "localhost", *, rsa_key: bool = False) -> Path:
        """A PEM file with a certificate for ``host`` and its key."""
        key = rsa.generate_private_key(65537, 2048) if rsa_key else ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        certificate = self._sign(subject, key.public_key(), host)
        path = self._folder / f"{host}-{certificate.serial_number}.pem"
        path.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return path


@dataclass(frozen=True)
class Reply:
    """``cut``: announce the whole body, send all but the last bytes. ``drop``: close without a word."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    drop: bool = False
    wait: threading.Event | None = None

    def bytes(self) -> bytes:
        if self.body is None:
            return b""
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Seen:
    method: str
    raw: str  # the request target as it came
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return unquote(self.raw.partition("?")[0])

    @property
    def query(self) -> str:
        return unquote(self.raw.partition("?")[2])

    @property
    def parameters(self) -> dict[str, str]:
        """The query's parameters, each decoded once, by itself."""
        pairs = (part.partition("=") for part in self.raw.partition("?")[2].split("&"))
        return {unquote(name): unquote(value) for name, _, value in pairs}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """``replies`` are played in order to all that is asked outside the sign-in addresses, ``token_replies`` to token
    requests; when the latter run out, a good token is issued."""

    def __init__(self, certificate: Path) -> None:
        self.seen: list[Seen] = []
        self.replies: list[Reply] = []
        self.token_replies: list[Reply] = []
        self.metadata: Callable[[], Reply] = self._metadata
        self.token_requests: list[Seen] = []
        self.metadata_requests = 0
        self.claims: dict[str, Any] = {}
        self.left = threading.Event()  # somebody who asked for more than a token has hung up
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_all(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                request = Seen(
                    self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, self.rfile.read(length)
                )
                self._answer(owner._reply_to(request))

            do_GET = do_POST = do_PATCH = do_DELETE = handle_all  # noqa: N815  # http.server's names

            def _answer(self, reply: Reply) -> None:
                if reply.wait is not None:
                    reply.wait.wait(30)
                if reply.drop:
                    self.close_connection = True
                    return
                body = reply.bytes()
                self.send_response_only(reply.status)
                headers = {"Date": DATE, "Content-Type": "application/json", **reply.headers}
                if reply.status != 204:
                    headers["Content-Length"] = str(len(body))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body[:-20] if reply.cut else body)
                if reply.cut:
                    self.close_connection = True

            def finish(self) -> None:
                super().finish()
                if owner.seen:
                    owner.left.set()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client may leave at any time
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        self.address = f"https://localhost:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _reply_to(self, request: Seen) -> Reply:
        if request.raw.endswith("/.well-known/openid-configuration"):
            self.metadata_requests += 1
            return self.metadata()
        if request.raw.endswith("/oauth2/v2.0/token"):
            self.token_requests.append(request)
            if self.token_replies:
                return self.token_replies.pop(0)
            return Reply(
                body={"token_type": "Bearer", "expires_in": 3599, "access_token": jwt({**CLAIMS, **self.claims})}
            )
        self.seen.append(request)
        return self.replies.pop(0) if self.replies else Reply(599, "nothing left to play")

    def _metadata(self) -> Reply:
        base = f"{self.address}/{TENANT}"
        return Reply(
            body={
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
            }
        )


CLAIMS = {
    "aud": "https://outlook.office365.com",
    "tid": TENANT,
    "appid": CLIENT,
    "oid": "11112222-bbbb-3333-cccc-4444dddd5555",
    "roles": ["IMAP.AccessAsApp"],
    "nbf": 2051319845,
    "exp": 2051323445,  # an hour after DATE
}


def jwt(claims: dict[str, Any]) -> str:
    def part(data: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256', 'typ': 'JWT'})}.{part(claims)}.c2lnbmF0dXJl"
