"""One connection to a mail server: a socket, TLS, one deadline, and a memory of what the server said.

The standard library's clients speak through a Line instead of a socket. So certificates are checked in one place,
a slow or endless server meets one deadline and one limit, and a server's text is cleaned before anyone sees it.
It knows no protocol. It raises nothing but OSError for what a network or server does.
"""

import base64
import io
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING, Any, Protocol

from ..clouds import Endpoint
from ..errors import UsageError
from . import Proof, Reading, Stage, TokenSource, xoauth2

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

MOST_BYTES = 65536  # a whole login takes some two thousand
MOST_SHOWN = 1000  # characters kept of one line
MOST_DECIDING = 20  # lines shown as the server's judgement
GOODBYE = 2.0  # seconds to wait for the answer to LOGOUT or QUIT

# What the standard library's parsers raise for bytes that make no sense; each dialogue adds its client's own.
Faults = tuple[type[Exception], ...]
SENSELESS: Faults = (OSError, EOFError, ValueError, LookupError)

# A judgement that stands though the connection was lost behind it; a challenge or an answer's beginning is none.
_JUDGES = re.compile(r"\* (?:BYE|NO|BAD|PREAUTH)\b|(?:NO|BAD)\b|-ERR\b|(?!334)\d{3}(?: |\Z)")
_CHALLENGE = re.compile(r"(334|\+) ([A-Za-z0-9+/]{4,}={0,2})")
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)  # str.lower may change a text's length
_RUN = re.compile(r"[A-Za-z0-9+/=_.~-]{16,}")


class Line:
    """``stage`` is how far the login has come. ``fault`` says why there is no answer; empty while there may be one.
    ``most`` is how many bytes a server may send in all."""

    def __init__(self, endpoint: Endpoint, ca: Path | None, timeout: float, most: int = MOST_BYTES) -> None:
        self.endpoint = endpoint
        self.stage: Stage = "connect"
        self.fault = ""
        self.verified = False
        self._context = _trust(ca)
        self.most = most
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._socket: socket.socket | None = None
        self._received = 0
        self._heard: list[str] = []
        self.whole = True  # the last line heard has its end
        self._mark = 0
        self._secrets: tuple[str, ...] = ()

    def at(self, stage: Stage) -> None:
        """The login has come this far; what the server said before no longer decides."""
        self.stage = stage
        self._mark = len(self._heard)

    def hide(self, *secrets: str) -> None:
        """Let nothing the server says repeat these, whole or in parts of 16 characters or more."""
        self._secrets = tuple(secret.lower() for secret in secrets)

    def hurry(self, seconds: float) -> None:
        """Bring the deadline forward."""
        self._deadline = min(self._deadline, time.monotonic() + seconds)

    def shown(self, text: str, most: int = MOST_SHOWN) -> str:
        """Foreign text made fit to be seen: one line, no control characters, nothing that repeats the token."""
        return self._hidden(_visible(" ".join(text.split())))[:most]

    @property
    def said(self) -> list[str]:
        """What the server has said in this stage."""
        return self._heard[self._mark :]

    @property
    def transcript(self) -> tuple[str, ...]:
        return tuple(self._heard)

    # opening

    def connect(self) -> None:
        host, port = self.endpoint.host.strip("[]"), self.endpoint.port
        try:
            places = _resolve(host, port, self._left())
        except TimeoutError:
            raise self._lost(f"no host named {host} was found within {self._timeout:g} s") from None
        except (OSError, UnicodeError):
            raise self._lost(f"no host named {host} was found") from None
        why = f"{host} has no address"
        for number, (family, kind, number_of_protocol, _, address) in enumerate(places):
            candidate = socket.socket(family, kind, number_of_protocol)
            try:
                candidate.settimeout(self._left() / (len(places) - number))
                candidate.connect(address)
                # Without it each login costs 40 ms: the clients write in small pieces.
                candidate.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as fault:
                candidate.close()
                why = self._why(fault)
            else:
                self._socket = candidate
                return
        raise self._lost(why)

    def secure(self) -> None:
        """TLS 1.2 or newer; the certificate and its host name must verify."""
        plain = self._open_socket()
        plain.settimeout(self._left())
        try:
            self._socket = self._context.wrap_socket(plain, server_hostname=self.endpoint.host.strip("[]"))
        except ssl.SSLCertVerificationError as fault:
            raise self._lost(f"the server's certificate is not trusted: {fault.verify_message}") from None
        except ssl.SSLError as fault:
            raise self._lost(f"TLS failed: {(fault.reason or 'no reason given').replace('_', ' ').lower()}") from None
        except OSError as fault:
            raise self._lost(f"TLS failed: {self._why(fault)}") from None
        except ValueError:
            raise self._lost("TLS failed: the host's name cannot be checked") from None
        self.verified = True

    # what the standard library's clients ask of a socket

    def makefile(self, mode: str = "rb") -> "Reader":
        """A reader with an empty buffer: what came before STARTTLS is forgotten, as RFC 3207 asks."""
        return Reader(_Source(self), self._hear)

    def sendall(self, data: "ReadableBuffer") -> None:
        opened = self._open_socket()
        rest = memoryview(data)
        while rest:  # not sendall: under TLS that gives each of its pieces the whole time again
            opened.settimeout(self._left())
            try:
                rest = rest[opened.send(rest) :]
            except OSError as fault:
                raise self._lost(self._why(fault)) from None

    def shutdown(self, how: int = socket.SHUT_RDWR) -> None:
        if self._socket is not None:
            self._socket.shutdown(how)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def receive_into(self, buffer: "WriteableBuffer") -> int:
        opened = self._open_socket()
        opened.settimeout(self._left())
        try:
            count = opened.recv_into(buffer)
        except OSError as fault:
            raise self._lost(self._why(fault)) from None
        self._received += count
        if self._received > self.most:
            raise self._lost(f"the server sent more than {self.most} bytes")
        if not count:
            self._lost("the server closed the connection")
        return count

    # words

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise self._lost("the connection is closed")
        return self._socket

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            self._lost(self._why(TimeoutError()))
            raise TimeoutError(self.fault)
        return left

    def _lost(self, why: str) -> ConnectionError:
        self.fault = self.fault or why
        return ConnectionError(why)

    def _why(self, fault: OSError) -> str:
        match fault:
            case TimeoutError():
                return f"no answer within {self._timeout:g} s"
            case ConnectionRefusedError():
                return "the connection was refused"
            case ConnectionResetError() | BrokenPipeError() | ssl.SSLEOFError():
                return "the server broke the connection off"
            case ssl.SSLError():
                return f"TLS failed: {(fault.reason or 'no reason given').replace('_', ' ').lower()}"
        return fault.strerror or type(fault).__name__

    def _hear(self, data: bytes) -> None:
        if not data:
            return
        self.whole = data.endswith(b"\n")
        text = _visible(data.decode("utf-8", "replace").rstrip("\r\n"))
        self._heard.append(self._hidden(_readable(text))[:MOST_SHOWN])

    def _hidden(self, text: str) -> str:
        for secret in self._secrets:
            text = _without(text, secret)
        return _RUN.sub(self._hide_run, text) if self._secrets else text

    def _hide_run(self, found: re.Match[str]) -> str:
        run = found[0].lower()
        parts = (run[start : start + 16] for start in range(len(run) - 15))
        return "<token>" if any(part in secret for part in parts for secret in self._secrets) else found[0]


class _Source(io.RawIOBase):
    """A Line's bytes, for a buffered reader."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        return self._line.receive_into(buffer)


class Reader(io.BufferedReader):
    """Tells the Line each line that a client reads."""

    def __init__(self, source: _Source, hear: Callable[[bytes], None]) -> None:
        super().__init__(source)
        self._hear = hear

    def readline(self, size: int | None = -1, /) -> bytes:
        data = super().readline(-1 if size is None else size)
        self._hear(data)
        if data and not data.endswith(b"\n") and not (size and 0 < size <= len(data)):
            raise EOFError  # broken off within a line: half an answer is none
        return data


class Dialogue(Protocol):
    """One protocol's part of a probe. ``faults`` is all that its client raises for what a server says."""

    faults: Faults

    def reach(self) -> None:
        """Come to where a token may be sent: TLS verified, XOAUTH2 offered."""
        ...

    def prove(self, message: bytes, answer: bytes) -> Proof:
        """Log in and go one command further. ``answer`` is ``message`` in base64."""
        ...

    def leave(self) -> None:
        """Say goodbye."""
        ...

    def decisive(self, said: Sequence[str]) -> list[str]:
        """Those of a stage's lines that carry the server's judgement."""
        ...


def hold(line: Line, dialogue: Dialogue, user: str, token: TokenSource) -> Reading:
    """One login from connecting to goodbye. Only the token's source and unusable input raise."""
    try:
        try:
            dialogue.reach()
        except dialogue.faults:
            return _failed(line, dialogue)
        if not line.verified:
            raise RuntimeError("a token was about to be sent without verified TLS")
        bearer = token if isinstance(token, str) else token()
        answer = xoauth2.encode(user, bearer)
        line.hide(bearer, answer)
        try:
            proof = dialogue.prove(xoauth2.message(user, bearer), answer.encode("ascii"))
        except dialogue.faults:
            return _failed(line, dialogue)
        return Reading(line.stage, True, proof, _joined(dialogue.decisive(line.said)), line.transcript, False)
    finally:
        if not line.fault:
            line.hurry(GOODBYE)
            with suppress(*dialogue.faults):
                dialogue.leave()
        line.close()


def _failed(line: Line, dialogue: Dialogue) -> Reading:
    decisive = dialogue.decisive(line.said)
    if decisive and (not line.fault or (line.whole and _JUDGES.match(decisive[-1]))):
        return Reading(line.stage, False, None, _joined(decisive), line.transcript, False)
    parts = [text for text in line.said[-3:] if text.strip() not in ("", "+", "334")]  # a bare challenge says nothing
    if line.fault:
        parts.append(f"({line.fault})" if parts else line.fault)
    server = _joined(parts) or "no usable answer"
    return Reading(line.stage, False, None, server, line.transcript, bool(line.fault))


def _resolve(host: str, port: int, seconds: float) -> list[Any]:
    """A host's addresses. The resolver knows no time limit, and one that is not answered keeps a caller for minutes: it
    is asked in a thread that is left behind. Raises TimeoutError, OSError, UnicodeError."""
    found: list[list[Any] | Exception] = []

    def ask() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as fault:
            found.append(fault)

    asking = threading.Thread(target=ask, name="resolver", daemon=True)
    asking.start()
    asking.join(seconds)
    if not found:
        raise TimeoutError
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


def _joined(lines: Sequence[str]) -> str:
    return " / ".join(lines[-MOST_DECIDING:])


def _without(text: str, secret: str) -> str:
    """Text with each occurrence of a lower-case secret blotted out, whatever its case. Not a pattern: one of two thousand
    characters takes longer to compile than a login."""
    lower, parts, at = text.translate(_LOWER), [], 0
    while (start := lower.find(secret, at)) >= 0:
        parts += [text[at:start], "<token>"]
        at = start + len(secret)
    return "".join((*parts, text[at:]))


def _visible(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char.isprintable() else " " if char == "\t" else "\ufffd" for char in text)


def _readable(text: str) -> str:
    """A challenge in base64, decoded if text lies inside."""
    found = _CHALLENGE.fullmatch(text)
    if found is None:
        return text
    try:
        inside = base64.b64decode(found[2], validate=True).decode()
    except ValueError:
        return text
    return f"{found[1]} {_visible(inside)}"


def _trust(ca: Path | None) -> ssl.SSLContext:
    if ca is None:
        return _context(None, 0, 0)
    try:
        held = ca.stat()
        return _context(str(ca), held.st_mtime_ns, held.st_size)
    except OSError as fault:  # ssl.SSLError is one
        raise UsageError(
            f"cannot use the file of trusted certificates: {fault.strerror or 'it is not PEM'}", where=str(ca)
        ) from None


# Loading the system's certificates takes as long as a login; a file that changes is read again.
@lru_cache(maxsize=8)
def _context(ca: str | None, _changed: int, _size: int) -> ssl.SSLContext:
    # Not create_default_context: it obeys SSLKEYLOGFILE, and a key log gives the token away.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False  # a name stands in subjectAltName (RFC 9525 §2)
    if ca is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cafile=ca)
    return context
