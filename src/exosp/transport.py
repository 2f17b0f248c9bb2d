"""What signin and graph share about HTTP: whom to trust, whether a proxy may stand between, why no answer came.

Sends nothing. requests and httpx hide the same exceptions of the standard library, so one table serves both.
"""

import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .clouds import Cloud
from .errors import UsageError


def trusted(cloud: Cloud) -> str | None:
    """The file of certificates to trust: the cloud's own, else the system's (SSL_CERT_FILE names another), else None.

    Raises UsageError where the cloud's file cannot be read.
    """
    if cloud.ca is None:
        return ssl.get_default_verify_paths().cafile
    try:
        with Path(cloud.ca).open("rb"):
            return str(cloud.ca)
    except OSError as fault:
        raise UsageError(
            f"cannot read the cloud's certificates: {fault.strerror}",
            where=str(cloud.ca),
            hint="is the sandbox that wrote this cloud file still running?" if cloud.emulated else "",
        ) from None


def is_loopback(address: str) -> bool:
    """Whether an address names this machine. No proxy from the environment may stand before such a one."""
    host = urlsplit(address).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def http_date(text: str | None) -> datetime | None:
    """An HTTP Date header as a time in UTC."""
    try:
        return parsedate_to_datetime(text).astimezone(UTC) if text else None
    except ValueError:
        return None


def retry_after(text: str | None, now: datetime | None) -> float | None:
    """A Retry-After header in seconds: a number, or a date that is held against the same answer's Date."""
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        then = http_date(text)
        return max(0.0, (then - now).total_seconds()) if then and now else None


# Why there is no answer at all, a row a cause; the first that fits.


@dataclass(frozen=True)
class Lost:
    """Why there is no answer. ``sent``: whether the request may have been received."""

    what: str  # {host} is filled in
    hint: str
    transient: bool
    sent: bool


_TRUST = (
    "if {host} is right, have its certificate's authority trusted: "
    "the system's certificates, SSL_CERT_FILE, or the cloud file's ca"
)
_BROKEN = Lost("{host} broke the connection off", "try again", True, True)
_SLOW = Lost("{host} took too long to answer", "try again", True, True)
# Names of exception classes or their bases, a part of the text, what it means. The first row that fits any exception in
# the chain decides. What is raised only once a connection stands comes first: TLS says nothing new there.
_LOST: tuple[tuple[tuple[str, ...], str, Lost], ...] = (
    (("ProxyError",), "", Lost("the proxy before {host} does not work", "check HTTPS_PROXY and NO_PROXY", False, False)),
    (("ReadTimeout", "ReadTimeoutError", "WriteTimeout"), "", _SLOW),
    (("ReadError", "WriteError", "CloseError", "RemoteProtocolError", "LocalProtocolError"), "", _BROKEN),  # httpx
    (("SSLCertVerificationError", "CertificateError"), "match|mismatch",
     Lost("the certificate of {host} is another host's", "check the address; a proxy may stand between", False, False)),
    (("SSLCertVerificationError",), "expired|not yet valid",
     Lost("the certificate of {host} is not valid now", "check the date of this machine and of the certificate",
          False, False)),
    (("SSLCertVerificationError", "CertificateError"), "",
     Lost("the certificate of {host} is not trusted", _TRUST, False, False)),
    (("gaierror", "NameResolutionError"), "",
     Lost("no host is known by the name {host}", "check the cloud's name, the network and its DNS", False, False)),
    (("ConnectionRefusedError",), "",
     Lost("{host} refuses connections", "is it running, and is the port right?", True, False)),
    (("ConnectTimeout", "ConnectTimeoutError", "PoolTimeout"), "",
     Lost("{host} took too long to accept a connection", "check the network, a firewall, HTTPS_PROXY", True, False)),
    (("SSLEOFError", "SSLZeroReturnError"), "", _BROKEN),
    (("SSLError",), "",
     Lost("no TLS with {host}", "is it an https address? A proxy may stand between", False, False)),
    (("ConnectError", "NewConnectionError"), "", Lost("{host} cannot be reached", "check the network", True, False)),
    (("RemoteDisconnected", "ConnectionResetError", "BrokenPipeError", "IncompleteRead", "IncompleteReadError",
      "ProtocolError"), "", _BROKEN),  # requests, and the system
    (("TimeoutError",), "", _SLOW),
    (("DecodingError", "DecodeError"), "", Lost("the answer of {host} cannot be decoded", "try again", True, True)),
)  # fmt: skip


def no_answer(fault: BaseException, host: str) -> Lost | None:
    """Why no answer came, by the exceptions behind ``fault``; None where none of them is about the network."""
    chain = list(causes(fault))
    for names, text, lost in _LOST:
        for cause in chain:
            known = {kind.__name__ for kind in type(cause).__mro__}
            if known.intersection(names) and re.search(text, str(cause), re.IGNORECASE):
                return Lost(lost.what, lost.hint.format(host=host), lost.transient, lost.sent)
    return None


def causes(fault: BaseException) -> Iterator[BaseException]:
    """``fault`` and every exception it stands on, however its library keeps them."""
    waiting: list[Any] = [fault]
    seen: set[int] = set()
    while waiting:
        cause = waiting.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
        waiting += [getattr(cause, "inner_exception", None), *getattr(cause, "exceptions", ())]
