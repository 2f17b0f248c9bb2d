"""PowerShell remoting over WinRM: a Windows management host runs the cmdlets, reached through pypsrp.

The host loads ExchangeOnlineManagement and connects with an access token that exosp passes to it over TLS. TLS is always
on and always verified. Only commands and parameters are sent, never a script. Nothing here waits or repeats a request:
a broken channel becomes each item's answer, and the next run opens a new session.

A session (WSMan and runspace pool; ``sessions`` connects it to Exchange) belongs to one thread: pypsrp's pools mix up
their references when threads share one (measured: 63 of 96 calls on a shared pool failed).
"""

import contextlib
import logging
import ssl
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from . import clixml
from .channel import failure, silent
from .cmdlets import OURS, Cmdlet
from .errors import Record
from .psobjects import record_of, row_of, warning_of
from .sessions import Came, Connect, HostCertificate, Sessions, Tenancy, Timeouts, Token
from .target import Target, target

__all__ = ["Connect", "Target", "Tenancy", "Timeouts", "Token", "Winrm", "target"]

# Its records hold whole messages, and with them our access token; its warnings are what we answer as errors.
logging.getLogger("pypsrp").setLevel(logging.CRITICAL + 1)

# Windows' own session configurations: nobody has prepared them, so they need no look at what they offer.
_PLAIN = frozenset({"microsoft.powershell", "microsoft.powershell32", "powershell.7"})
_INSTALL = (
    "the management host lacks the module: Install-Module ExchangeOnlineManagement -Scope AllUsers there, "
    "or name a session configuration that loads it with configuration= in EXOSP_REMOTING"
)


class Winrm(Sessions):
    """The WinRM remoting. ``connect`` mints a token and names the organization; it is called only once the host's
    certificate was verified and the host has admitted us, and not at all where the target names a certificate of the
    host's: ``organization`` is needed then. ``exchange_environment`` is the vendor's name of the cloud."""

    def __init__(
        self,
        target: Target,
        connect: Connect,
        *,
        organization: str = "",
        exchange_environment: str = "O365Default",
        timeouts: Timeouts | None = None,
        now: Callable[[], float] = time.time,
        commands: Sequence[str] = OURS,
    ) -> None:
        limits = timeouts or Timeouts()
        certificate = HostCertificate(target.app, target.thumbprint, organization) if target.thumbprint else None
        super().__init__(
            lambda: _Channel(target, limits),
            connect,
            where=str(target),
            environment=exchange_environment,
            now=now,
            lacks=_INSTALL,
            asks=target.configuration.lower() not in _PLAIN,
            certificate=certificate,
            commands=commands,
        )


class _Channel:
    """One WSMan connection and one runspace pool: see ``sessions.Channel``."""

    def __init__(self, target: Target, timeouts: Timeouts) -> None:
        self._whole = True  # no pipeline is under way, and the channel is not broken
        self._deaf = False  # the host has left a request without an answer
        self._target = target
        self._timeouts = timeouts
        self._pool: Any = None
        self._wsman: Any = None
        try:
            self._open()
        except Exception as fault:  # pypsrp lets through whatever a peer's answer made it stumble on
            self._deaf = _is_timeout(fault)
            self.close()
            raise failure(fault, target, f"open a session on {target}", sent=False) from None

    def _open(self) -> None:
        from pypsrp.powershell import RunspacePool

        self._wsman = _wsman(self._target, self._timeouts)
        self._pool = RunspacePool(self._wsman, configuration_name=self._target.configuration)
        _read_rows_fast(self._pool)
        self._pool.open()

    def pipeline(self, cmdlet: Cmdlet, sends: Sequence[str]) -> Came:
        """Run one cmdlet with ``sends`` as its input, to its end or to a broken channel."""
        came = Came()
        for rows in self._run(cmdlet, sends, (), came):
            came.rows += rows
        return came

    def pages(self, cmdlet: Cmdlet, columns: Sequence[str], came: Came) -> Iterator[list[dict[str, object]]]:
        return self._run(cmdlet, (), columns, came)

    def _run(
        self, cmdlet: Cmdlet, sends: Sequence[str], columns: Sequence[str], came: Came
    ) -> Iterator[list[dict[str, object]]]:
        """What each Receive brings; the rest in ``came`` at the end."""
        from pypsrp.complex_objects import PSInvocationState
        from pypsrp.powershell import PowerShell

        shell = PowerShell(self._pool)
        shell.add_cmdlet(cmdlet.name)
        for name, value in cmdlet.parameters.items():
            if cmdlet.spec.kind(name) != "secure":
                shell.add_parameter(name, list(value) if isinstance(value, tuple) else value)
        asked = f"{cmdlet} on {self._target}"
        self._whole = False
        try:
            self._add_secure(shell, cmdlet)
            if columns:
                shell.add_cmdlet("Select-Object").add_parameter("Property", list(columns))
            shell.begin_invoke(cast(Any, list(sends)) or None)
            quiet = 0
            while shell.state == PSInvocationState.RUNNING:
                before = _received(shell)
                shell.poll_invoke()
                quiet = quiet + 1 if _received(shell) == before else 0
                if quiet * self._timeouts.operation >= self._timeouts.silence:
                    came.broken = silent(self._timeouts.silence, asked)
                    break
                rows = [row for row in map(row_of, shell.output) if row is not None]
                shell.output.clear()
                yield rows
            else:
                self._whole = True
        except Exception as fault:  # pypsrp lets through whatever a peer's answer made it stumble on
            self._deaf = _is_timeout(fault)
            taken = shell.state != PSInvocationState.NOT_STARTED
            came.broken = failure(fault, self._target, asked, sent=True, taken=taken)
        ended = shell.state == PSInvocationState.FAILED
        last = len(shell.streams.error) - 1
        came.records += [record_of(e, terminating=ended and i == last) for i, e in enumerate(shell.streams.error)]
        came.warnings += [warning_of(warning) for warning in shell.streams.warning]
        if came.broken is None:
            with contextlib.suppress(Exception):  # the answer is in hand; a pipeline that is not freed is not its fault
                shell.close()
        if ended and not came.records:
            came.records.append(Record("the pipeline failed without saying why", terminating=True))

    def _add_secure(self, shell: Any, cmdlet: Cmdlet) -> None:
        """Parameters that are SecureStrings: encrypted with a key that the two ends agree on first."""
        from pypsrp.serializer import TaggedValue

        secure = [name for name in cmdlet.parameters if cmdlet.spec.kind(name) == "secure"]
        if secure:
            self._pool.exchange_keys()
        for name in secure:
            shell.add_parameter(name, TaggedValue("SS", cmdlet.parameters[name]))

    @property
    def usable(self) -> bool:
        return self._whole and self._pool is not None and self._open_still() and not self._deaf

    def close(self) -> None:
        """Close the pool, as far as that goes; a host that does not answer is asked for nothing."""
        if self._pool is not None and self._open_still() and not self._deaf:
            with contextlib.suppress(Exception):
                self._pool.close()
        self._pool = None
        if self._wsman is not None:
            with contextlib.suppress(Exception):
                self._wsman.close()

    def _open_still(self) -> bool:
        from pypsrp.complex_objects import RunspacePoolState

        return bool(self._pool.state == RunspacePoolState.OPENED or self._pool.shell.opened)


def _is_timeout(fault: Exception) -> bool:
    import requests

    return isinstance(fault, requests.Timeout)


def _received(shell: Any) -> int:
    return len(shell.output) + sum(len(stream) for stream in vars(shell.streams).values())


_FRAGMENT = struct.Struct(">QQBI")  # object id, fragment id, start and end, length (MS-PSRP §2.2.4)
_MESSAGE = struct.Struct("<II16s16s")  # destination, type, pool, pipeline (MS-PSRP §2.2.1)
_OUTPUT = 0x00041004  # PIPELINE_OUTPUT
_BOM = b"\xef\xbb\xbf"


@dataclass
class _Output:
    """A row in the place of pypsrp's message, as ``poll_invoke`` takes it apart."""

    data: Any
    message_type: int = _OUTPUT


def _read_rows_fast(pool: Any) -> None:
    """Have rows that stand whole in one fragment, as nearly all do, read by ``clixml``. What that does not take, and every
    other message, stays pypsrp's; so does all of it where pypsrp is built in another way."""
    fragmenter: Any = getattr(pool, "_fragmenter", None)
    theirs = getattr(fragmenter, "defragment", None)
    if theirs is None:
        return

    def defragment(data: bytes) -> list[Any]:
        messages: list[Any] = []
        place, theirs_from = 0, 0  # what lies before ``theirs_from`` is read
        while place + _FRAGMENT.size <= len(data):
            _, number, flags, length = _FRAGMENT.unpack_from(data, place)
            begins, ends = place + _FRAGMENT.size, place + _FRAGMENT.size + length
            if number == 0 and flags & 3 == 3 and length > _MESSAGE.size and ends <= len(data):
                found = None
                if _MESSAGE.unpack_from(data, begins)[1] == _OUTPUT:
                    found = clixml.row(data[begins + _MESSAGE.size : ends].removeprefix(_BOM))
                if found is not None:
                    if theirs_from < place:
                        messages += theirs(data[theirs_from:place])
                    messages.append(_Output(_Output(found)))
                    theirs_from = ends
            place = ends
        if theirs_from < len(data):
            messages += theirs(data[theirs_from:])
        return messages

    fragmenter.defragment = defragment


def _trusted(target: Target) -> str | bool:
    """The file of certificates to trust: the target's own, else the system's (SSL_CERT_FILE names another), else what
    requests brings along. Never False."""
    return str(target.ca) if target.ca else ssl.get_default_verify_paths().cafile or True


def _wsman(target: Target, timeouts: Timeouts) -> Any:
    """A connection that repeats nothing and follows no redirect."""
    from pypsrp.wsman import WSMan, WSManAction

    class Once(WSMan):
        def receive(self, resource_uri: str, resource: Any, *rest: Any, **named: Any) -> Any:
            """As WSMan's, which would send a Receive that timed out five times more."""
            return self.invoke(WSManAction.RECEIVE, resource_uri, resource, *rest, **named).find(
                "{http://www.w3.org/2003/05/soap-envelope}Body"
            )

    wsman = Once(
        target.host,
        port=target.port,
        path=target.path,
        ssl=True,
        auth=target.auth,
        username=target.user or None,
        password=target.password or None,
        cert_validation=cast(Any, _trusted(target)),  # a path too, whatever its annotation says
        connection_timeout=timeouts.connect,
        operation_timeout=timeouts.operation,
        read_timeout=timeouts.read,
        reconnection_retries=0,
        no_proxy=target.is_loopback,
        certificate_pem=str(target.certificate) if target.certificate else None,
        certificate_key_pem=str(target.key) if target.key else None,
    )
    # A redirect would carry the request, and with it our token, to where nobody verified anything.
    wsman.transport.session = wsman.transport._build_session()
    wsman.transport.session.max_redirects = 0
    return wsman
