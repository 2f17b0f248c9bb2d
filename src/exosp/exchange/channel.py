"""What a broken channel means: the failures that pypsrp and what lies below it raise, as our errors.

Each says whether a cmdlet may have run. Measured with pypsrp 0.9.1 on loopback. pypsrp raises also what a
peer's answer made it stumble on (ParseError, KeyError, …): an answer that is no PowerShell remoting.
"""

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Protocol

from ..errors import CloudError, Forbidden, Missing, Throttled, Unreachable, UsageError
from .errors import SERVICE


class Host(Protocol):
    """What a failure's text may say of the host."""

    @property
    def configuration(self) -> str: ...

    @property
    def auth(self) -> str: ...

    @property
    def user(self) -> str: ...

    @property
    def path(self) -> str: ...


@dataclass(frozen=True)
class _Case:
    """One failure in its circumstances. ``sent``: a cmdlet of ours was on its way; ``taken``: the host had taken it."""

    host: Host
    asked: str
    sent: bool
    taken: bool

    def lost(self, what: str, hint: str = "") -> Unreachable:
        """No usable answer: the cmdlet ran once or not at all."""
        return Unreachable(what, may_have_happened=self.sent, service=SERVICE, asked=self.asked,
                           hint=hint or "run the command again: what took place is read first and not repeated")  # fmt: skip

    def unsent(self, what: str, hint: str = "", *, transient: bool = True) -> Unreachable:
        """The request never went out, or was turned away whole."""
        return Unreachable(what, may_have_happened=self.taken, transient=transient, service=SERVICE, asked=self.asked,
                           hint=hint or "run the command again")  # fmt: skip


def failure(fault: Exception, host: Host, asked: str, *, sent: bool, taken: bool = False) -> CloudError:
    """Our error for whatever came out of pypsrp. Raises UsageError for what this machine lacks."""
    case = _Case(host, asked, sent, taken)
    error = _failure(case, fault)
    if taken and not isinstance(error, Unreachable):
        return case.lost(error.what, error.hint)
    return error


def _failure(case: _Case, fault: Exception) -> CloudError:
    import requests
    from pypsrp.exceptions import (
        AuthenticationError,
        SerializationError,
        WinRMError,
        WinRMTransportError,
        WSManFaultError,
    )

    match fault:
        case AuthenticationError():
            return _not_admitted(case)
        case WSManFaultError():
            return _wsman_fault(case, fault.code, str(fault.reason or ""))
        case WinRMTransportError():
            return _status(case, fault.code)
        case SerializationError():
            return case.unsent("a value could not be written for PowerShell, or read from it", transient=False)
        case WinRMError() if str(fault).startswith("Received related id"):
            return case.lost("the answer is not to what was asked", "a proxy may have answered in its place")
        case WinRMError():
            return case.lost(str(fault)[:300])
        case requests.RequestException():
            return _network(case, fault)
        case ImportError():
            extra = "credssp" if case.host.auth == "credssp" else "kerberos"
            raise UsageError(
                f"auth={case.host.auth} needs a package that is not installed ({fault.name or fault})",
                hint=f"pip install 'pypsrp[{extra}]', or name another auth=",
            ) from None
        case OSError():  # requests checks its files before it connects
            raise UsageError(f"a certificate file cannot be used: {fault}", where=str(case.host)) from None
        case _ if type(fault).__module__.startswith("spnego"):
            return _not_admitted(case)
        case ET.ParseError():
            return case.lost("the answer is not XML, so no PowerShell remoting", "something else answers on that port")
        case _:
            return case.lost(f"the answer cannot be read as PowerShell remoting ({type(fault).__name__})")


def silent(seconds: int, asked: str) -> Unreachable:
    """A pipeline that shows nothing for longer than Exchange lets a cmdlet run."""
    return Unreachable(
        f"the pipeline showed nothing for {seconds // 60} minutes", may_have_happened=True, service=SERVICE, asked=asked
    )


def _not_admitted(case: _Case) -> Forbidden:
    who = case.host.user or "the caller's own credentials"
    return Forbidden(
        f"the management host does not admit {who} by {case.host.auth}",
        service=SERVICE, asked=case.asked, status=401,
        hint="look at EXOSP_REMOTING_USER and EXOSP_REMOTING_PASSWORD; the account must be in the host's Remote "
        "Management Users, or in the group that the session configuration is for, and the host must allow this auth=",
    )  # fmt: skip


# WSMan and PowerShell fault codes (MS-WSMV; recordings in pypsrp).
_SHELL_GONE = 2150858843
_NO_CONFIGURATION = 2150858811
_TIMED_OUT = 2150858793
_QUOTA = 2150859174
_ACCESS_DENIED = 5


def _wsman_fault(case: _Case, code: object, reason: str) -> CloudError:
    match code:
        case int() if code == _SHELL_GONE:
            # Faulted before the host took the command: it did not run.
            return case.unsent("the session is gone: it idled too long, or the host was restarted")
        case int() if code == _NO_CONFIGURATION:
            return Missing(
                f"there is no session configuration {case.host.configuration}",
                service=SERVICE, asked=case.asked, code=str(code),
                hint="Get-PSSessionConfiguration on the host lists them; name one with configuration= in EXOSP_REMOTING",
            )  # fmt: skip
        case int() if code == _QUOTA:
            return Throttled("the host's quota of shells is used up", service=SERVICE, asked=case.asked,
                             code=str(code), hint="close idle sessions on the host")  # fmt: skip
        case int() if code == _ACCESS_DENIED:
            return _not_admitted(case)
        case int() if code == _TIMED_OUT:
            return case.lost("the host took too long to answer")
        case int():
            return case.lost(f"the host refused the request (WSMan fault {code}): {reason[:300]}")
        case _:
            return case.lost("the answer is a page, not PowerShell remoting", "a proxy may have answered in its place")


def _status(case: _Case, status: int) -> CloudError:
    """An HTTP status whose body is no WSMan fault."""
    if status == 429:
        return Throttled("too many requests", service=SERVICE, asked=case.asked)
    if status in (425, 503):
        return case.unsent(f"turned away for now (HTTP {status})")
    if status == 403:
        return _not_admitted(case)
    if status in (404, 405):
        return Missing(
            f"no PowerShell remoting at /{case.host.path} (HTTP {status})",
            service=SERVICE, asked=case.asked, status=status,
            hint="a management host has it at /wsman on port 5986; winrm quickconfig -transport:https switches it on",
        )  # fmt: skip
    return case.lost(f"HTTP {status} and no PowerShell remoting")


def _network(case: _Case, fault: Exception) -> Unreachable:
    """What requests raises. SSLError first: it is a ConnectionError too."""
    import requests
    from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

    text = str(fault)
    inner = fault.args[0] if fault.args else None
    reason = getattr(inner, "reason", inner)
    if isinstance(fault, requests.exceptions.SSLError):
        return _tls(case, text)
    if isinstance(fault, requests.TooManyRedirects):
        return case.unsent("it redirects elsewhere, which is never followed", "name the host itself", transient=False)
    if isinstance(fault, requests.exceptions.ProxyError):
        return case.unsent("the proxy of this machine refused", "see HTTPS_PROXY and NO_PROXY")
    if isinstance(reason, NameResolutionError):
        return case.unsent("no such host", "check the name in EXOSP_REMOTING", transient=False)
    if isinstance(reason, NewConnectionError):  # urllib3 has it as a ConnectTimeoutError too
        return case.unsent("connection refused", "is WinRM's HTTPS listener on? winrm enumerate winrm/config/listener")
    if isinstance(fault, requests.ConnectTimeout) or isinstance(reason, ConnectTimeoutError):
        return case.unsent("no answer while connecting", "is the port open from here?")
    if isinstance(fault, requests.ReadTimeout):
        return case.lost("no answer in time")
    if isinstance(fault, requests.exceptions.InvalidURL | requests.exceptions.InvalidHeader):
        return case.unsent(text[:300], "check EXOSP_REMOTING", transient=False)
    return case.lost("the connection broke before the answer was whole")


def _tls(case: _Case, text: str) -> Unreachable:
    if "EOF" in text:  # closed by the peer, which can also be in the middle of an answer
        return case.lost("the connection was closed within TLS")
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text:
        return case.unsent("it does not speak TLS on that port", "5985 is plain HTTP; 5986 is HTTPS", transient=False)
    if "CERTIFICATE_VERIFY_FAILED" not in text and "match" not in text:
        said = re.search(r"\[([A-Z0-9]+: ?[A-Z0-9_]+)\]", text)
        what = "the TLS handshake failed" + (f" ({said[1]})" if said else "")
        return case.unsent(what, "the host must offer TLS 1.2 or newer; a CA file must hold PEM certificates",
                           transient=False)  # fmt: skip
    why = text.rpartition("CERTIFICATE_VERIFY_FAILED]")[2].strip(" )'\"").removeprefix("certificate verify failed: ")
    return case.unsent(
        f"its certificate is not trusted: {why.split(' (_ssl')[0] or 'it does not match the name'}",
        "have a certificate with the host's name issued by a CA that this machine trusts, or name your CA's file in "
        "SSL_CERT_FILE (in a cloud file: ca)",
        transient=False,
    )
