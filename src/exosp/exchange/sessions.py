"""PowerShell sessions that are connected to Exchange: what every remoting that speaks PowerShell does alike.

Which way a session connects, its token's renewal, what its failures mean, and the farewell. How the bytes travel is the
channel's affair (``winrm``, ``pwsh``). Nothing here waits or repeats a request: a broken channel becomes each item's
answer, and the next run opens a new session. A session belongs to one thread. A token is shown by no error.
"""

import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from ..errors import CloudError, Missing, Throttled, Unreachable
from ..tenant import Failed
from .cmdlets import OURS, Answer, Cmdlet, Item, Pages, Row, cut_short
from .errors import EXPIRED, SERVICE, SIGN_IN_AGAIN, Record, meaning
from .joining import settle


@dataclass(frozen=True)
class Timeouts:
    """Seconds. ``operation``: how long one wait for output lasts; ``read``, an HTTP read's limit, must be longer.
    ``silence``: how long a running pipeline may show nothing; Exchange ends a cmdlet after 15 minutes itself."""

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


@dataclass(frozen=True)
class Tenancy:
    """Which organization a session is for: its .onmicrosoft.com domain. ``user``: whose token it is, where a person signed
    in. ``delegated``: the token is a partner's, and the organization its customer's."""

    organization: str
    user: str = ""
    delegated: bool = False

    def parameters(self) -> dict[str, object]:
        """What -AccessToken must be accompanied by (Connect-ExchangeOnline's help)."""
        if self.delegated:
            named: dict[str, object] = {"DelegatedOrganization": self.organization}
            return named | ({"UserPrincipalName": self.user} if self.user else {})
        return {"UserPrincipalName": self.user} if self.user else {"Organization": self.organization}


Connect = Callable[[], tuple[Token, str | Tenancy]]


@dataclass(frozen=True)
class HostCertificate:
    """An application's certificate in the host's own store (LocalMachine\\My): no token leaves this machine."""

    app_id: str
    thumbprint: str
    organization: str


@dataclass
class Came:
    """What one pipeline brought before it ended or broke."""

    rows: list[dict[str, object]] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    warnings: list[Record] = field(default_factory=list)
    broken: CloudError | None = None


class Channel(Protocol):
    """One PowerShell session. Opening it raises CloudError; running and closing raise nothing."""

    @property
    def usable(self) -> bool:
        """May another pipeline be sent? No: one is under way, or the channel is broken."""
        ...

    def pipeline(self, cmdlet: Cmdlet, sends: Sequence[str]) -> Came:
        """Run one cmdlet with ``sends`` as its input, to its end or to a broken channel."""
        ...

    def pages(self, cmdlet: Cmdlet, columns: Sequence[str], came: Came) -> Iterator[list[dict[str, object]]]:
        """The rows of one cmdlet without input as they come, cut to ``columns`` where some are named. At its end
        ``came`` holds all but the rows. Who leaves before that leaves a channel that is not usable."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class _Way:
    """How a session gets Exchange's cmdlets. Without ``connect`` it has them already."""

    connect: str = ""
    disconnect: str = ""
    token: str = ""


class Restarting:
    """The pages of a list that cannot be gone on with once it broke: the next one that is asked for begins it anew."""

    def __init__(self, begins: Callable[[], Iterator[Sequence[Row]]]) -> None:
        self._begins = begins
        self._under_way: Iterator[Sequence[Row]] | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Sequence[Row]:
        if self._under_way is None:
            self._under_way = self._begins()
        try:
            return next(self._under_way)
        except CloudError:
            self._under_way = None
            raise

    def close(self) -> None:
        """Leave the list where it is."""
        leave = getattr(self._under_way, "close", None)
        if leave is not None:
            leave()


_PLAIN = _Way("Connect-ExchangeOnline", "Disconnect-ExchangeOnline", "AccessToken")
_CONSTRAINED = _Way("Connect-Exosp", "Disconnect-Exosp", "Token")  # templates/host.ps1
_READY = _Way()
_SIGN = "Get-ServicePrincipal"  # only Exchange Online has it: a session that shows it is connected
# By what Get-Command shows, in this order: a constrained endpoint shows wrappers of our cmdlets as well.
_WAYS: Mapping[str, _Way] = {_CONSTRAINED.connect: _CONSTRAINED, _SIGN: _READY, _PLAIN.connect: _PLAIN}


@dataclass
class _Session:
    channel: Channel
    farewell: Cmdlet | None = None
    has_worked: bool = False
    renew_at: float = float("inf")

    def close(self) -> None:
        """Disconnect from Exchange and close; what is broken is not asked to disconnect."""
        if self.farewell is not None and self.channel.usable:
            with contextlib.suppress(Exception):
                self.channel.pipeline(self.farewell, [])
        self.channel.close()


class Sessions:
    """``Remoting.run`` over sessions that ``opens`` makes, one a thread. ``where``: the host, as its errors name it.

    ``connect`` mints a token and names the organization; it is called only once a session is open. ``certificate`` stands
    in for it. ``commands``: the cmdlets that a session loads. ``asks``: the endpoint is of somebody's making, and what it offers is looked at first. ``environment`` is the
    vendor's name of the cloud. ``lacks``: what to do where the module is not there."""

    def __init__(
        self,
        opens: Callable[[], Channel],
        connect: Connect,
        *,
        where: str,
        environment: str,
        now: Callable[[], float],
        lacks: str = "",
        asks: bool = False,
        certificate: HostCertificate | None = None,
        commands: Sequence[str] = OURS,
    ) -> None:
        self._opens = opens
        self._connect = connect
        self._where = where
        self._environment = environment
        self._now = now
        self._lacks = lacks
        self._asks = asks
        self._certificate = certificate
        self._commands = tuple(commands)
        self._mine = threading.local()
        self._all: list[_Session] = []
        self._listing: list[_Session] = []  # idle ones that no thread owns: a list may outlast its thread's other runs
        self._lock = threading.Lock()

    def run(self, cmdlet: Cmdlet, items: Sequence[Item] = ()) -> Iterator[Answer]:
        """See ``Remoting.run``. An Error that is no CloudError (wrong usage) is raised."""
        return iter(self._run(cmdlet, items))

    def _one_by_one(self, cmdlet: Cmdlet, items: Sequence[Item]) -> list[Answer]:
        """A pipeline each. After one that the channel or the service did not take, the rest have the same answer."""
        answers: list[Answer] = []
        for item in items:
            answers += self._run(cmdlet.about(item), [])
            if isinstance(answers[-1], Failed) and isinstance(answers[-1].error, Throttled | Unreachable):
                break
        return answers + answers[-1:] * (len(items) - len(answers))

    def _run(self, cmdlet: Cmdlet, items: Sequence[Item]) -> list[Answer]:
        if items and cmdlet.spec.alone:
            return self._one_by_one(cmdlet, items)
        try:
            session = self._session()
        except CloudError as fault:
            return [Failed(_nothing_sent(fault))] * max(1, len(items))
        came = session.channel.pipeline(cmdlet, [item.send for item in items])
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

    def pages(self, cmdlet: Cmdlet, columns: Sequence[str] = ()) -> Pages:
        """See ``Paging.pages``. A list has a session of its own while it lasts."""
        return Restarting(lambda: self._pages(cmdlet, () if self._asks else columns))

    def _pages(self, cmdlet: Cmdlet, columns: Sequence[str]) -> Iterator[list[dict[str, object]]]:
        try:
            session = self._for_a_list()
        except CloudError as fault:
            raise _nothing_sent(fault) from None
        came, count = Came(), 0
        try:
            for rows in session.channel.pages(cmdlet, columns, came):
                if rows:
                    count += len(rows)
                    yield rows
            self._look_at_the_end(session, cmdlet, came, count)
        finally:
            if session.channel.usable:
                with self._lock:
                    self._listing.append(session)
            else:
                self._drop(session)

    def _look_at_the_end(self, session: _Session, cmdlet: Cmdlet, came: Came, rows: int) -> None:
        """Raise what kept a list from being whole."""
        [answer] = settle(cmdlet, [], (), came.records, came.warnings, came.broken)
        if isinstance(answer, Failed):
            if not _refused_sign_in(answer) or not session.has_worked:
                raise answer.error
            self._drop(session)
            raise _later(cmdlet, 1).error
        session.has_worked = True
        cut = cut_short([record.text for record in came.warnings], rows)
        if cut:
            raise CloudError(cut, service=SERVICE, asked=str(cmdlet), code="CutShort")

    def _for_a_list(self) -> _Session:
        """An idle session, or a new one. Raises CloudError where nothing was sent."""
        while True:
            with self._lock:
                session = self._listing.pop() if self._listing else None
            if session is None:
                return self._opened()
            if self._now() < session.renew_at:
                return session
            self._drop(session)

    def close(self) -> None:
        """Disconnect and close every session. Call it when no thread runs cmdlets any more. It raises nothing: an error
        that brought the caller here must not be masked."""
        with self._lock:
            sessions, self._all, self._listing = self._all, [], []
        for session in sessions:
            session.close()
        self._mine = threading.local()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _session(self) -> _Session:
        """This thread's session, opened and connected. Raises CloudError where nothing was sent."""
        session: _Session | None = getattr(self._mine, "session", None)
        if session is not None and self._now() >= session.renew_at:
            self._forget(session)
            session = None
        if session is None:
            session = self._mine.session = self._opened()
        return session

    def _opened(self) -> _Session:
        session = _Session(self._opens())
        try:
            self._offer_cmdlets(session)
        except BaseException:  # also an interrupt: a session that nobody holds would stay open on the host
            session.close()
            raise
        with self._lock:
            self._all.append(session)
        return session

    def _forget(self, session: _Session) -> None:
        self._mine.session = None
        self._drop(session)

    def _drop(self, session: _Session) -> None:
        session.close()
        with self._lock, contextlib.suppress(ValueError):
            self._all.remove(session)

    # Connecting

    def _offer_cmdlets(self, session: _Session) -> None:
        """See to it that the session has Exchange's cmdlets."""
        way = self._way(session.channel) if self._asks else _PLAIN
        if not way.connect:
            return
        started = self._now()
        secret, lifetime = "", float("inf")
        if self._certificate is not None and way is _PLAIN:
            parameters = self._by_certificate(self._certificate)
        else:
            token, tenancy = self._connect()
            secret, lifetime = token.token, max(0.0, token.expires_on - started)
            parameters = {way.token: secret}
            if not isinstance(tenancy, Tenancy):
                tenancy = Tenancy(tenancy)
            parameters |= tenancy.parameters()
        if way is _PLAIN:
            parameters |= {
                "CommandName": self._commands,
                "ShowBanner": False,
                "SkipLoadingFormatData": True,  # the vendor's advice for sessions without a console
            }
        if self._environment != "O365Default":
            parameters["ExchangeEnvironmentName"] = self._environment
        cmdlet = Cmdlet(way.connect, parameters)
        came = session.channel.pipeline(cmdlet, [])
        if came.records:
            raise _without(secret, self._refused(came.records[0], cmdlet))
        if came.broken is not None:
            raise came.broken
        session.farewell = Cmdlet(way.disconnect, {"Confirm": False} if way is _PLAIN else {})
        session.renew_at = started + max(lifetime - 300.0, lifetime * 0.75)

    def _by_certificate(self, certificate: HostCertificate) -> dict[str, object]:
        return {
            "AppId": certificate.app_id,
            "CertificateThumbprint": certificate.thumbprint,
            "Organization": certificate.organization,
        }

    def _way(self, channel: Channel) -> _Way:
        """What the endpoint offers. One that has no Get-Command is taken for a plain one."""
        ask = Cmdlet("Get-Command", {"Name": tuple(_WAYS)})
        came = channel.pipeline(ask, [])
        if came.broken is not None:
            raise came.broken
        shown = {str(row.get("Name", "")).lower() for row in came.rows}
        for name, way in _WAYS.items():
            if name.lower() in shown:
                return way
        if any(
            _ABSENT.search(f"{record.kinds} {record.text}") and "Get-Command" in record.text for record in came.records
        ):
            return _PLAIN
        ended = next((record for record in came.records if record.terminating), None)
        if ended is not None:
            raise self._refused(ended, ask)
        raise Missing(
            f"{self._where} offers neither Exchange's cmdlets nor a way to connect to it",
            service=SERVICE,
            asked=str(ask),
            hint=self._lacks,
        )

    def _refused(self, record: Record, cmdlet: Cmdlet) -> CloudError:
        """Why the session could not connect. What it comes from stands in the diagnosis table, and is said where errors are."""
        error = meaning(record, cmdlet).error
        if error.code == "CommandNotFoundException" and self._lacks:
            error.hint = self._lacks if "Connect-" in record.text else ""
        if error.code == "NamedParameterNotFound":
            return Missing(
                f"ExchangeOnlineManagement at {self._where} is too old: {error.what}",
                service=SERVICE,
                asked=str(cmdlet),
                code="NamedParameterNotFound",
                hint="Update-Module ExchangeOnlineManagement there: -AccessToken needs 3.1.0 or newer",
            )
        return error


_ABSENT = re.compile(r"CommandNotFoundException|is not recognized", re.IGNORECASE)


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
