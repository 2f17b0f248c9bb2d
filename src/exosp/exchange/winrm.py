"""PowerShell remoting over WinRM: a Windows management host runs the cmdlets, reached through pypsrp.

The host loads ExchangeOnlineManagement and connects with an access token that exosp passes to it over TLS. TLS is always
on and always verified. Only commands and parameters are sent, never a script. Nothing here waits or repeats a request:
a broken channel becomes each item's answer, and the next run opens a new session.

A session (WSMan, runspace pool and the connection to Exchange) belongs to one thread: pypsrp's pools mix up their
references when threads share one (measured: 63 of 96 calls on a shared pool failed).
"""

import contextlib
import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from ..errors import CloudError, Unreachable
from ..tenant import Failed
from .channel import failure, silent
from .cmdlets import OURS, Answer, Cmdlet, Item
from .errors import EXPIRED, SERVICE, SIGN_IN_AGAIN, Record, meaning
from .joining import settle
from .psobjects import record_of, row_of, warning_of
from .target import Target, target

__all__ = ["Connect", "Target", "Timeouts", "Token", "Winrm", "target"]

# Its records hold whole messages, and with them our access token; its warnings are what we answer as errors.
logging.getLogger("pypsrp").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True)
class Timeouts:
    """Seconds. ``operation``: how long the host may hold a request open; ``read`` must be longer. ``silence``: how long
    a running pipeline may show nothing; Exchange ends a cmdlet after 15 minutes itself."""

    connect: int = 15
    operation: int = 60
    read: int = 75
    silence: int = 17 * 60


class Token(Protocol):
    """An access token for Exchange; azure-core's AccessToken is one. ``expires_on`` is in wall seconds since 1970."""

    @property
    def token(self) -> str: ...

    @property
    def expires_on(self) -> int: ...


Connect = Callable[[], tuple[Token, str]]


class Winrm:
    """The WinRM remoting. ``connect`` mints a token and names the organization's .onmicrosoft.com domain; it is called
    only once the host's certificate was verified and the host has admitted us. ``exchange_environment`` is the vendor's
    name of the cloud, where it is not the default."""

    def __init__(
        self,
        target: Target,
        connect: Connect,
        *,
        exchange_environment: str = "O365Default",
        timeouts: Timeouts | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._target = target
        self._connect = connect
        self._environment = exchange_environment
        self._timeouts = timeouts or Timeouts()
        self._now = now
        self._mine = threading.local()
        self._all: list[_Session] = []
        self._lock = threading.Lock()

    def run(self, cmdlet: Cmdlet, items: Sequence[Item] = ()) -> Iterator[Answer]:
        """See ``Remoting.run``. An Error that is no CloudError (wrong usage) is raised."""
        return iter(self._run(cmdlet, items))

    def _run(self, cmdlet: Cmdlet, items: Sequence[Item]) -> list[Answer]:
        try:
            session = self._session()
        except CloudError as fault:
            return [Failed(_nothing_sent(fault))] * max(1, len(items))
        came = session.pipeline(cmdlet, [item.send for item in items])
        answers = settle(cmdlet, items, came.rows, came.records, came.warnings, came.broken)
        if came.broken is not None:
            self._forget(session)
        elif not any(map(_refused_sign_in, answers)):
            session.has_worked = True
        elif session.has_worked:
            # Its token has run out, as far as one can tell: the next run signs in again. A session that never worked is
            # refused for good.
            self._forget(session)
            answers = [_later(cmdlet, len(items)) if _refused_sign_in(answer) else answer for answer in answers]
        return answers

    def close(self) -> None:
        """Disconnect and close every session. Call it when no thread runs cmdlets any more. It raises nothing: an error
        that brought the caller here must not be masked."""
        with self._lock:
            sessions, self._all = self._all, []
        for session in sessions:
            session.close()
        self._mine = threading.local()

    def __enter__(self) -> "Winrm":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _session(self) -> "_Session":
        """This thread's session, opened and connected. Raises CloudError where nothing was sent."""
        session: _Session | None = getattr(self._mine, "session", None)
        if session is not None and self._now() >= session.renew_at:
            self._forget(session)
            session = None
        if session is None:
            session = _Session(self._target, self._timeouts)
            try:
                self._offer_cmdlets(session)
            except BaseException:  # also an interrupt: a session that nobody holds would stay open on the host
                session.close()
                raise
            self._mine.session = session
            with self._lock:
                self._all.append(session)
        return session

    def _offer_cmdlets(self, session: "_Session") -> None:
        """Connect the session to Exchange. An endpoint whose session has the cmdlets already, such as a constrained one
        that connects by itself, would be recognised here."""
        started = self._now()
        token, organization = self._connect()
        parameters: dict[str, object] = {
            "AccessToken": token.token,
            "Organization": organization,
            "CommandName": OURS,
            "ShowBanner": False,
            "SkipLoadingFormatData": True,  # the vendor's advice for sessions without a console
        }
        if self._environment != "O365Default":
            parameters["ExchangeEnvironmentName"] = self._environment
        cmdlet = Cmdlet("Connect-ExchangeOnline", parameters)
        came = session.pipeline(cmdlet, [])
        if came.records:
            raise _without(token.token, meaning(came.records[0], cmdlet).error)
        if came.broken is not None:
            raise came.broken
        session.connected = True
        lifetime = max(0.0, token.expires_on - started)
        session.renew_at = started + max(lifetime - 300.0, lifetime * 0.75)

    def _forget(self, session: "_Session") -> None:
        session.close()
        self._mine.session = None
        with self._lock, contextlib.suppress(ValueError):
            self._all.remove(session)


def _refused_sign_in(answer: Answer) -> bool:
    return isinstance(answer, Failed) and answer.error.code in SIGN_IN_AGAIN


def _later(cmdlet: Cmdlet, items: int) -> Failed:
    """To be asked again in a new session. One item was refused before anything was done; of many some may be done."""
    error = Unreachable(
        "Exchange no longer takes the session's token",
        may_have_happened=items > 1,
        service=SERVICE,
        asked=str(cmdlet),
        code=EXPIRED,
    )
    return Failed(error)


def _without(secret: str, error: CloudError) -> CloudError:
    """The error, its text without the token should the host have repeated it."""
    if secret and secret in error.what:
        error.what = error.what.replace(secret, "…")
        error.args = (error.what,)
    return error


def _nothing_sent(error: CloudError) -> CloudError:
    """What broke while signing in or connecting: no cmdlet of ours was sent, whatever became of the rest."""
    if isinstance(error, Unreachable):
        error.may_have_happened = False
    return error


@dataclass
class _Came:
    """What one pipeline brought before it ended or broke."""

    rows: list[dict[str, object]]
    records: list[Record]
    warnings: list[Record]
    broken: CloudError | None = None


class _Session:
    """One WSMan connection and one runspace pool. Opening raises CloudError; running and closing raise nothing."""

    def __init__(self, target: Target, timeouts: Timeouts) -> None:
        self.connected = False
        self.has_worked = False
        self.renew_at = float("inf")
        self._usable = True  # no pipeline is under way, and the channel is whole
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
        self._pool.open()

    def pipeline(self, cmdlet: Cmdlet, sends: Sequence[str]) -> _Came:
        """Run one cmdlet with ``sends`` as its input, to its end or to a broken channel."""
        from pypsrp.complex_objects import PSInvocationState
        from pypsrp.powershell import PowerShell

        shell = PowerShell(self._pool)
        shell.add_cmdlet(cmdlet.name)
        for name, value in cmdlet.parameters.items():
            shell.add_parameter(name, list(value) if isinstance(value, tuple) else value)
        asked = f"{cmdlet} on {self._target}"
        broken: CloudError | None = None
        self._usable = False
        try:
            shell.begin_invoke(cast(Any, list(sends)) or None)
            if self._poll(shell):
                self._usable = True
            else:
                broken = silent(self._timeouts.silence, asked)
        except Exception as fault:  # as above
            self._deaf = _is_timeout(fault)
            taken = shell.state != PSInvocationState.NOT_STARTED
            broken = failure(fault, self._target, asked, sent=True, taken=taken)
        ended = shell.state == PSInvocationState.FAILED
        last = len(shell.streams.error) - 1
        came = _Came(
            rows=[row for row in map(row_of, shell.output) if row is not None],
            records=[record_of(e, terminating=ended and i == last) for i, e in enumerate(shell.streams.error)],
            warnings=[warning_of(warning) for warning in shell.streams.warning],
            broken=broken,
        )
        if broken is None:
            with contextlib.suppress(Exception):  # the answer is in hand; a pipeline that is not freed is not its fault
                shell.close()
        if ended and not came.records:
            came.records.append(Record("the pipeline failed without saying why", terminating=True))
        return came

    def _poll(self, shell: Any) -> bool:
        """Receive until the pipeline has ended; False where it shows nothing for too long. Each poll lasts at most
        ``operation`` seconds, for which the host holds it open."""
        from pypsrp.complex_objects import PSInvocationState

        quiet = 0
        while shell.state == PSInvocationState.RUNNING:
            before = _received(shell)
            shell.poll_invoke()
            quiet = quiet + 1 if _received(shell) == before else 0
            if quiet * self._timeouts.operation >= self._timeouts.silence:
                return False
        return True

    def close(self) -> None:
        """Disconnect from Exchange and close the pool, as far as that goes; what is broken is not asked to disconnect,
        and a host that does not answer is asked for nothing."""
        if self._pool is not None and self._open_still() and not self._deaf:
            if self.connected and self._usable:
                self.connected = False
                with contextlib.suppress(Exception):
                    self.pipeline(Cmdlet("Disconnect-ExchangeOnline", {"Confirm": False}), [])
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
