"""Everything that can go wrong and that a user can act on.

::

    Error                     what, where, hint
    ├── UsageError            the command line or the environment; exit 2
    ├── PlaybookError         a playbook's faults, all at once, each with line and column; exit 2
    ├── PlanRefused           a guard rail; the numbers and the flag that lifts it
    ├── CloudError            a service said no: service, status, code, request id, what was asked
    │   ├── Forbidden         names the missing permission
    │   ├── Missing           the thing is not there
    │   ├── NotHere           the credential works elsewhere only, where it was meant for
    │   ├── NotYetVisible     made, but not replicated: wait and ask again
    │   ├── Conflict          it is there already, or differently
    │   ├── Throttled         come back after so many seconds
    │   └── Unreachable       no answer; ``may_have_happened`` says whether a write can have taken place
    ├── DidNotSettle          waited as long as allowed; what was seen, how often
    └── NotConverged          applied all of it, and the plan is still not empty

Errors never print and never exit: ``exosp.cli`` catches Error once. Anything else that escapes is a bug and says so.
No secret or token may stand in any of them.
"""

from dataclasses import dataclass
from datetime import datetime


class Error(Exception):
    """``what`` happened, ``where`` (a file and line, a service and request), and ``hint``: what to do."""

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint


class UsageError(Error):
    """Wrong options, environment or terminal."""


@dataclass(frozen=True, order=True)
class Fault:
    """One thing wrong in a playbook. ``line`` and ``column`` count from 1; 0 means the whole file."""

    line: int
    column: int
    what: str
    hint: str = ""


class PlaybookError(Error):
    """All that is wrong with a playbook, or with another file that people write (``called``), in the order of its lines."""

    def __init__(self, path: str, faults: "list[Fault]", called: str = "the playbook") -> None:
        self.path = path
        self.faults = tuple(sorted(faults))
        count = f"{len(faults)} fault{'s' if len(faults) != 1 else ''}"
        super().__init__(f"{count} in {called}", where=path)


class PlanRefused(Error):
    """A guard rail stopped a plan before its first write."""


class CloudError(Error):
    """A service's refusal. ``service`` is token, graph, remoting, imap, …; ``asked`` is the request in words."""

    def __init__(
        self,
        what: str,
        *,
        service: str,
        asked: str = "",
        status: int | None = None,
        code: str = "",
        request_id: str = "",
        hint: str = "",
    ) -> None:
        where = f"{service}: {asked}" if asked else service
        if request_id:
            where += f" (request id {request_id})"
        super().__init__(what, where=where, hint=hint)
        self.service = service
        self.asked = asked
        self.status = status
        self.code = code
        self.request_id = request_id
        self.cause = ""  # the diagnosis table's key of it, where whoever asked knows more than the answer says
        self.at: datetime | None = None  # the service's own time at its answer, where it is known
        self.given_up = False  # patience asked again as often as it does: nobody else need try


class Forbidden(CloudError):
    """The caller may not. ``hint`` names the permission that is missing."""


class Missing(CloudError):
    """The thing asked for does not exist, and nothing says that it is about to."""


class NotHere(CloudError):
    """The application's credential cannot be used on this machine: it is federated with a workload elsewhere, or its key
    lies on another machine. That says nothing of whether it works there."""


class NotYetVisible(CloudError):
    """The thing asked for was made a moment ago and has not replicated."""


class Conflict(CloudError):
    """The thing exists already."""


class Throttled(CloudError):
    """Refused for now; nothing happened. ``after`` is the wall seconds the service asks for, None if it does not say."""

    def __init__(self, what: str, *, after: float | None = None, service: str, asked: str = "", **rest: str) -> None:
        super().__init__(what, service=service, asked=asked, status=429, **rest)
        self.after = after


class Unreachable(CloudError):
    """No usable answer. ``may_have_happened``: a write may have taken place, so look before repeating it.
    ``transient``: asking again can help; it cannot where a certificate is not trusted or a name does not exist.
    ``after`` is the wall seconds the service asks to wait, None if it does not say."""

    def __init__(
        self,
        what: str,
        *,
        may_have_happened: bool,
        transient: bool = True,
        after: float | None = None,
        service: str,
        asked: str = "",
        status: int | None = None,
        code: str = "",
        request_id: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(what, service=service, asked=asked, status=status, code=code, request_id=request_id, hint=hint)
        self.may_have_happened = may_have_happened
        self.transient = transient
        self.after = after


class DidNotSettle(Error):
    """What was waited for did not come within the run's deadline."""


class NotConverged(Error):
    """Every write was accepted, and the tenant is still not as the playbook says."""
