"""The WinRM remoting's address, and what each failure of a management host becomes: against small TLS servers."""

import contextlib
import datetime
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from exosp.errors import CloudError, Forbidden, Missing, Throttled, Unreachable, UsageError
from exosp.exchange import Cmdlet, Item, winrm
from exosp.exchange.channel import failure
from exosp.exchange.errors import Record
from exosp.exchange.sessions import Came
from exosp.exchange.winrm import Target, Timeouts, Winrm, _wsman, target
from exosp.tenant import Failed

PASSWORD = "s3cret-of-the-host"
ADMIN = {"EXOSP_REMOTING_USER": "admin", "EXOSP_REMOTING_PASSWORD": PASSWORD}
GET = Cmdlet("Get-TransportConfig")
QUICK = Timeouts(connect=5, operation=1, read=2, silence=2)


# The address


def test_the_whole_address():
    """Every part of an address is taken over; the credentials come from the environment and show in no repr."""
    found = target("winrm://Host.contoso.com:5987/ps?auth=NTLM&configuration=Exo.Admins", ADMIN, ca=Path("/ca.pem"))
    assert found == Target("host.contoso.com", 5987, "ps", "ntlm", "Exo.Admins", "admin", PASSWORD, Path("/ca.pem"))
    assert PASSWORD not in repr(found)


def test_the_defaults():
    """A bare host is WinRM over HTTPS with the default configuration, negotiating with what the machine holds."""
    assert target("winrm://host", {}) == Target("host", 5986, "wsman", "negotiate", "Microsoft.PowerShell")
    assert target("winrm://[::1]:5/?auth=kerberos", {}).host == "::1"


@pytest.mark.parametrize(
    ("url", "environment", "says"),
    [
        ("https://host/wsman", {}, "winrm://"),
        ("winrm:///wsman", {}, "no host"),
        ("winrm://host:99999/", {}, "cannot be read"),
        ("winrm://host:0/", {}, "port"),
        ("winrm://ho st/", {}, "no such thing"),
        ("winrm://u:hunter2@host/", {}, "user name"),
        ("winrm://host/?auth=basic", {}, "password"),
        ("winrm://host/?auth=ntlm", {"EXOSP_REMOTING_USER": "u"}, "password"),
        ("winrm://host/?auth=magic", ADMIN, "magic"),
        ("winrm://host/?ssl=false", ADMIN, "ssl"),
        ("winrm://host/?verify", ADMIN, "cannot be read"),
        ("winrm://host/?configuration=a/b", ADMIN, "a/b"),
        ("winrm://host/?configuration=", ADMIN, "configuration"),
        ("winrm://host/#x", ADMIN, "fragment"),
        ("winrm://host/", {"EXOSP_REMOTING_PASSWORD": "p"}, "without"),
        ("winrm://host/?auth=certificate", ADMIN, "certificate"),
        ("winrm://host/?auth=certificate&certificate=/no/a.pem&key=/no/b.pem", ADMIN, "no file"),
        ("winrm://host/?auth=basic&key=/no/b.pem", ADMIN, "certificate alone"),
    ],
)
def test_a_wrong_address_is_refused_with_what_to_do(url, environment, says):
    """Anything wrong with an address is a UsageError that says what, where and how it should be, and no secret."""
    with pytest.raises(UsageError) as fault:
        target(url, environment)
    assert says in fault.value.what
    assert fault.value.hint or fault.value.where
    assert "hunter2" not in f"{fault.value} {fault.value.hint} {fault.value.where}"


def test_there_is_no_way_around_verification():
    """No key of an address, and no field of a target, turns TLS or its verification off."""
    for key in ("ssl", "tls", "verify", "insecure", "cert_validation", "scheme", "ca"):
        with pytest.raises(UsageError):
            target(f"winrm://host/?{key}=false", ADMIN)
    assert _wsman(Target("localhost", auth="basic", user="u", password="p"), QUICK).transport.session.verify


# Failures, each from a real server


def make_certificate(folder: Path, host: str = "localhost") -> tuple[Path, Path]:
    """A self-signed certificate of one name and its key; it is its own CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(exist_ok=True)
    pem = folder / "certificate.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = folder / "key.pem"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )  # fmt: skip
    return pem, private


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


class Server:
    """Answers each request on loopback with the same bytes; None drops the connection."""

    def __init__(self, answer: bytes | None, certificate: tuple[Path, Path] | None, silent: bool = False) -> None:
        self.requests: list[bytes] = []
        self._answer = answer
        self._silent = silent
        self._context = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*certificate)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), connection:
                connection.settimeout(5)
                if self._context is None:
                    connection.recv(100)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                    continue
                with self._context.wrap_socket(connection, server_side=True) as channel:
                    self._one(channel)

    def _one(self, channel: ssl.SSLSocket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += channel.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += channel.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        if self._silent:
            self._over.wait(10)
        elif self._answer is not None:
            channel.sendall(self._answer)

    def close(self) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


def http(status: str, body: bytes, type_: str = "text/html", more: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {type_}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    return head.encode() + more + b"\r\n" + body


def fault(code: int, text: str = "refused") -> bytes:
    """A WSMan fault, as DSP0226 and MS-WSMV have it."""
    body = (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body><s:Fault><s:Code>'
        "<s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text>x</s:Text></s:Reason><s:Detail>"
        f'<f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="{code}" Machine="h">'
        f"<f:Message>{text}</f:Message></f:WSManFault></s:Detail></s:Fault></s:Body></s:Envelope>"
    )
    return http("500 Internal Server Error", body.encode(), "application/soap+xml;charset=UTF-8")


PAGE = b"<html><body><p>Hello</p></body></html>"
BROKEN_PAGE = b"<html><br>Hello"


@pytest.fixture
def serve(certificate) -> Iterator[Callable[..., Server]]:
    running: list[Server] = []

    def make(answer: bytes | None, tls: bool = True, silent: bool = False) -> Server:
        running.append(Server(answer, certificate if tls else None, silent))
        return running[-1]

    yield make
    for server in running:
        server.close()


def host(port: int, ca: Path | None, **more: str) -> Target:
    return Target("localhost", port, auth="basic", user="admin", password=PASSWORD, ca=ca, **more)


class Connects:
    """Counts how often a token was asked for."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self):
        self.times += 1
        raise AssertionError("no token may be minted for a host that was not reached")


def only_error(where: Target, connects: Connects, timeouts: Timeouts = QUICK) -> CloudError:
    with Winrm(where, connects, timeouts=timeouts) as remoting:
        answers = list(remoting.run(GET))
        several = list(remoting.run(Cmdlet("Get-Mailbox", {}, over="Identity"), [Item("a", frozenset())] * 3))
    assert len(answers) == 1
    assert len(several) == 3
    (answer,) = answers
    assert isinstance(answer, Failed)
    return answer.error


# name: answer, error, and whether a cmdlet on its way may have run
FAILURES: dict[str, tuple[bytes | None, type[CloudError], bool | None]] = {
    "dropped": (None, Unreachable, True),
    "truncated": (b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 999\r\n\r\n<s:", Unreachable, True),
    "not HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n", Unreachable, True),
    "401": (http("401 Unauthorized", b"", more=b'WWW-Authenticate: Basic realm="WSMAN"\r\n'), Forbidden, None),
    "403": (http("403 Forbidden", BROKEN_PAGE), Forbidden, None),
    "404": (http("404 Not Found", BROKEN_PAGE), Missing, None),
    "429": (http("429 Too Many Requests", b""), Throttled, None),
    "503": (http("503 Service Unavailable", b""), Unreachable, False),
    "500": (http("500 Internal Server Error", BROKEN_PAGE), Unreachable, True),
    "500 with a page": (http("500 Internal Server Error", PAGE), Unreachable, True),
    "200 with a page": (http("200 OK", PAGE), Unreachable, True),
    "200 with a broken page": (http("200 OK", BROKEN_PAGE), Unreachable, True),
    "200 with nothing": (http("200 OK", b""), Unreachable, True),
    "redirect": (http("307 Temporary Redirect", b"", more=b"Location: https://localhost:1/\r\n"), Unreachable, False),
    "shell gone": (fault(2150858843), Unreachable, False),
    "unknown configuration": (fault(2150858811), Missing, None),
    "quota": (fault(2150859174), Throttled, None),
    "access denied": (fault(5, "Access is denied."), Forbidden, None),
    "operation timeout": (fault(2150858793), Unreachable, True),
    "another fault": (fault(2150858770, "cannot complete"), Unreachable, True),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failures_while_opening(name, serve, certificate):
    """Each failure before a session is open becomes its error: with a hint or a reason, nothing sent, no token minted."""
    answer, kind, _ = FAILURES[name]
    connects = Connects()
    error = only_error(host(serve(answer).port, certificate[0]), connects)
    assert type(error) is kind
    assert connects.times == 0
    assert PASSWORD not in f"{error} {error.where} {error.hint}"
    assert error.service == "remoting"
    if isinstance(error, Unreachable):
        assert not error.may_have_happened
    if kind is Forbidden:
        assert "EXOSP_REMOTING_USER" in error.hint
    if name == "unknown configuration":
        assert "Microsoft.PowerShell" in error.what


@pytest.mark.parametrize("name", FAILURES)
def test_failures_of_a_cmdlet_on_its_way(name, serve, certificate):
    """The same failures once a cmdlet was sent say whether it may have run; and once the host had taken it, it may."""
    answer, kind, may = FAILURES[name]
    where = host(serve(answer).port, certificate[0])
    with pytest.raises(Exception) as caught:  # noqa: PT011  pypsrp raises what it stumbles on: that is the point
        _wsman(where, QUICK).command("http://schemas.microsoft.com/powershell/x", None)
    error = failure(caught.value, where, "Add-MailboxPermission", sent=True)
    assert type(error) is kind
    assert getattr(error, "may_have_happened", None) is may
    taken = failure(caught.value, where, "Add-MailboxPermission", sent=True, taken=True)
    assert isinstance(taken, Unreachable)
    assert taken.may_have_happened


def test_no_answer_in_time(serve, certificate):
    """A host that holds a request without a word is given up after the read timeout, and asked for nothing more."""
    server = serve(None, silent=True)
    where = host(server.port, certificate[0])
    with Winrm(where, Connects(), timeouts=Timeouts(connect=5, operation=1, read=1)) as remoting:
        (answer,) = remoting.run(GET)
    assert isinstance(answer, Failed)
    assert isinstance(answer.error, Unreachable)
    assert "in time" in answer.error.what
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["503", "429", "500", "dropped", "401"])
def test_nothing_is_repeated_here(name, serve, certificate):
    """Whatever the failure, one run is one request: repeating is for the caller to decide."""
    server = serve(FAILURES[name][0])
    with Winrm(host(server.port, certificate[0]), Connects(), timeouts=QUICK) as remoting:
        list(remoting.run(GET))
    assert len(server.requests) == 1


def test_a_receive_that_times_out_is_not_sent_again(serve, certificate):
    """pypsrp would repeat a Receive five times, with pauses: it is asked once."""
    server = serve(None, silent=True)
    quick = Timeouts(connect=5, operation=1, read=1)
    with pytest.raises(Exception) as caught:  # noqa: PT011  requests' ReadTimeout, which is not imported here
        _wsman(host(server.port, certificate[0]), quick).receive("http://schemas.microsoft.com/powershell/x", None)
    assert "Timeout" in type(caught.value).__name__
    assert len(server.requests) == 1


def test_a_connection_that_fails_is_not_tried_twice():
    """pypsrp's own retries are off: also where the connection itself fails, which no server can count."""
    adapter = _wsman(host(1, None), QUICK).transport.session.get_adapter("https://localhost:1/")
    assert adapter.max_retries.total == 0


def test_a_host_that_repeats_the_token_does_not_leak_it(monkeypatch):
    """An error of connecting that quotes the token is shown without it."""

    class Quoting(winrm._Channel):
        def _open(self) -> None:
            pass

        def pipeline(self, cmdlet, sends):
            return Came([], [Record(f"no: {cmdlet.parameters['AccessToken']} is not valid")], [])

    class Token:
        token, expires_on = "eyJ0.secret", 0

    monkeypatch.setattr(winrm, "_Channel", Quoting)
    (answer,) = Winrm(host(1, None), lambda: (Token(), "contoso.onmicrosoft.com")).run(GET)
    assert isinstance(answer, Failed)
    assert "is not valid" in answer.error.what
    assert "eyJ0" not in f"{answer.error} {answer.error!r} {answer.error.what} {answer.error.where}"


def test_refused(certificate):
    """A closed port is Unreachable, nothing happened, and may be tried again."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    error = only_error(host(port, certificate[0]), Connects())
    assert isinstance(error, Unreachable)
    assert "refused" in error.what
    assert (error.may_have_happened, error.transient) == (False, True)


def test_no_such_host(certificate):
    """A name that does not exist is Unreachable for good."""
    where = Target("host.invalid", auth="basic", user="u", password="p", ca=certificate[0])
    error = only_error(where, Connects())
    assert isinstance(error, Unreachable)
    assert (error.may_have_happened, error.transient) == (False, False)


def test_untrusted_certificate(serve, tmp_path):
    """A certificate of an unknown CA is refused before a byte of ours is sent, for good, with what to do."""
    server = serve(http("200 OK", PAGE))
    other, _ = make_certificate(tmp_path / "other")
    error = only_error(host(server.port, other), Connects())
    assert isinstance(error, Unreachable)
    assert "not trusted" in error.what
    assert (error.may_have_happened, error.transient) == (False, False)
    assert "SSL_CERT_FILE" in error.hint
    assert server.requests == []


def test_a_certificate_for_another_name(tmp_path):
    """A trusted certificate that names another host is refused before a byte of ours is sent."""
    pair = make_certificate(tmp_path, "other.contoso.com")
    server = Server(http("200 OK", PAGE), pair)
    try:
        error = only_error(host(server.port, pair[0]), Connects())
    finally:
        server.close()
    assert isinstance(error, Unreachable)
    assert "not trusted" in error.what
    assert "localhost" in error.what
    assert not error.transient
    assert server.requests == []


def test_plain_http(serve, certificate):
    """A port without TLS is named as such; nothing is sent in clear."""
    error = only_error(host(serve(None, tls=False).port, certificate[0]), Connects())
    assert isinstance(error, Unreachable)
    assert "TLS" in error.what
    assert not error.transient


def test_a_ca_file_that_is_not_there(tmp_path):
    """A missing CA file is the caller's affair: UsageError, not a failed host."""
    with Winrm(host(1, tmp_path / "none.pem"), Connects()) as remoting, pytest.raises(UsageError, match="certificate"):
        list(remoting.run(GET))


def test_a_redirect_is_never_followed(serve, certificate):
    """A host that redirects gets no second request, and nobody else gets one."""
    other = serve(http("200 OK", PAGE))
    more = f"Location: https://localhost:{other.port}/wsman\r\n".encode()
    first = serve(http("307 Temporary Redirect", b"", more=more))
    only_error(host(first.port, certificate[0]), Connects())
    assert other.requests == []


def test_loopback_is_reached_directly(serve, certificate, monkeypatch):
    """A proxy of the environment does not stand between us and this machine."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    server = serve(http("503 Service Unavailable", b""))
    error = only_error(host(server.port, certificate[0]), Connects())
    assert "503" in error.what
    assert server.requests


def test_nothing_is_logged(serve, certificate, caplog):
    """pypsrp's records hold whole messages, tokens with them: none is emitted, whatever the root logger's level."""
    caplog.set_level(logging.DEBUG)
    only_error(host(serve(None).port, certificate[0]), Connects())
    assert [record for record in caplog.records if record.name.startswith("pypsrp")] == []


def test_nothing_heavy_at_import():
    """Importing the remoting, and reading an address, loads neither pypsrp nor requests."""
    import subprocess
    import sys

    code = (
        "import sys, exosp.exchange.winrm as w; w.Winrm(w.target('winrm://host', {}), lambda: None).close();"
        "print([m for m in ('pypsrp', 'requests', 'cryptography') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


AGAIN = {"dropped", "truncated", "500", "200 with a page", "503", "shell gone", "operation timeout"}


@pytest.mark.parametrize("name", sorted(AGAIN))
def test_what_may_be_asked_again(name, serve, certificate):
    """A channel that broke, and a host that turns requests away for now: another try can help."""
    where = host(serve(FAILURES[name][0]).port, certificate[0])
    with pytest.raises(Exception) as caught:  # noqa: PT011  as above
        _wsman(where, QUICK).command("http://schemas.microsoft.com/powershell/x", None)
    error = failure(caught.value, where, "Get-Mailbox", sent=True)
    assert isinstance(error, Unreachable)
    assert error.transient


def test_a_host_that_does_not_connect_may_be_asked_again(certificate):
    """Nobody listens, or nobody answers in time: nothing was sent, and another try can help. A name that nobody has
    stays so."""
    where = host(5986, certificate[0])
    refused = urllib3.exceptions.NewConnectionError(None, "refused")
    unknown = urllib3.exceptions.NameResolutionError("localhost", None, socket.gaierror("no such host"))
    for fault, transient in (
        (requests.ConnectionError(urllib3.exceptions.MaxRetryError(None, "/", refused)), True),
        (requests.ConnectTimeout("slow"), True),
        (requests.ConnectionError(urllib3.exceptions.MaxRetryError(None, "/", unknown)), False),
    ):
        error = failure(fault, where, "Get-Mailbox", sent=True)
        assert isinstance(error, Unreachable)
        assert (error.may_have_happened, error.transient) == (False, transient)
