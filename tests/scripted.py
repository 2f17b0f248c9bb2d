"""Mail servers that say exactly what a test tells them to, over real TLS on a free loopback port.

A script is a function of one Peer: it says lines, hears lines, starts TLS, or walks away. What the client sent is kept
as it came, apart for before and after TLS.
"""

import contextlib
import datetime
import ipaddress
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from exosp.clouds import Endpoint

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class Authority:
    """A CA of our own, and server certificates by it. ``ca`` is the file to trust."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"a test's CA in {folder.name}")])
        self.ca = folder / "ca.pem"
        builder = _certificate(self.name, self.name, self.key.public_key(), NOW + DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.ca.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def server(self, name: str = "localhost", *, until: datetime.datetime = NOW + DAY) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names: list[x509.GeneralName] = [x509.DNSName(name)]
        if name == "localhost":
            names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        builder = _certificate(subject, self.name, key.public_key(), until)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        path = self.folder / f"{name}-{until:%Y%m%d%H}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, until: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 3 * DAY)
        .not_valid_after(until)
    )


class Peer:
    """The client, as the script sees it."""

    def __init__(self, opened: socket.socket, server: "Scripted") -> None:
        self.socket = opened
        self.server = server
        self.buffer = b""

    def say(self, *lines: str | bytes) -> None:
        self.socket.sendall(b"".join((line.encode() if isinstance(line, str) else line) + b"\r\n" for line in lines))

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hear(self) -> str:
        """The client's next line without its end; EOFError once it is gone."""
        while b"\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            (self.server.secret if self.server.secured else self.server.plain).append(data)
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r").decode()

    def secure(self, context: ssl.SSLContext) -> None:
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.buffer = b""
        self.server.secured = True


Script = Callable[[Peer], None]


class Scripted:
    """One listening server. ``plain`` and ``secret``: the client's bytes before and after TLS; ``count``: connections."""

    def __init__(self, script: Script, context: ssl.SSLContext | None, host: str = "127.0.0.1") -> None:
        self.script, self.context = script, context
        self.plain: list[bytes] = []
        self.secret: list[bytes] = []
        self.secured = False
        self.count = 0
        self.surprises: list[BaseException] = []
        self.listener = socket.create_server((host, 0))
        self.endpoint = Endpoint("localhost", self.listener.getsockname()[1])
        self.thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def wire(self) -> bytes:
        return b"".join(self.secret)

    @property
    def lines(self) -> list[str]:
        return self.wire.decode().split("\r\n")[:-1]

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                opened, _ = self.listener.accept()
                self.count += 1
                self._talk(opened)

    def _talk(self, opened: socket.socket) -> None:
        opened.settimeout(20)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or each answer waits 40 ms
        peer = Peer(opened, self)
        try:
            if self.context is not None:
                peer.secure(self.context)
            self.script(peer)
        except (OSError, EOFError):
            pass  # a client that leaves is not this test's matter
        except BaseException as fault:
            self.surprises.append(fault)
        finally:
            peer.socket.close()

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(20)
        assert not self.surprises, self.surprises


class Stage:
    """What a test needs: certificates, and servers that are stopped when it ends."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.context = self.authority.server()
        self.ca = self.authority.ca
        self._running: list[Scripted] = []

    def serve(self, script: Script, *, tls: bool = True, context: ssl.SSLContext | None = None) -> Scripted:
        server = Scripted(script, (context or self.context) if tls else None)
        server.thread.start()
        self._running.append(server)
        return server

    def stop(self) -> None:
        while self._running:
            self._running.pop().stop()


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="exosp-scripted-") as folder:
        opened = Stage(Path(folder))
        try:
            yield opened
        finally:
            opened.stop()
