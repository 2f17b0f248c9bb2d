"""What the admin API's answers mean: statuses and bodies in, rows and our errors out. Pure; nothing is sent.

Shapes: recorded answers in public repositories, and what other clients read (CIPP-API, ScubaGear, GreyCorbel's ExoHelper).
What a cmdlet said stands within the outer error, its exception's class between bars: ``Ex6F9304|Class|text``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import CloudError, Missing, Throttled, Unreachable
from ..transport import http_date, retry_after
from .cmdlets import Cmdlet, Row
from .errors import EXPIRED, SERVICE, Record, meaning

_TOLD = re.compile(r"(?:Ex[0-9A-Fa-f]{6})?\|([^|\s]*)\|(.*)", re.DOTALL)
_LONGEST = 2000  # characters of a text that stands in an error


@dataclass(frozen=True)
class Reply:
    """One answer, alone or in a $batch. ``body``: JSON, or a text where it was none."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: Any

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    @property
    def redirected(self) -> bool:
        return 300 <= self.status < 400

    @property
    def location(self) -> str:
        return self.headers.get("location", "")

    def responses(self) -> "dict[str, Reply] | None":
        """A $batch's, by id; None where it is none. An id that comes twice has no response of its own."""
        held = self.body.get("responses") if isinstance(self.body, dict) else None
        if not isinstance(held, list):
            return None
        found: dict[str, Reply] = {}
        twice = set()
        for one in held:
            if not isinstance(one, dict) or not isinstance(one.get("status"), int):
                continue
            name = str(one.get("id"))
            if name in found:
                twice.add(name)
            given = one.get("headers")
            headers = {str(k).lower(): str(v) for k, v in given.items()} if isinstance(given, dict) else {}
            found[name] = Reply(one["status"], headers, one.get("body"))
        return {name: reply for name, reply in found.items() if name not in twice}


@dataclass(frozen=True)
class Page:
    """Rows and warnings, and where the next rows are."""

    rows: tuple[Row, ...]
    warnings: tuple[Record, ...]
    link: str

    def with_more(self, more: "Page") -> "Page":
        return Page(self.rows + more.rows, self.warnings + more.warnings, more.link)


def page(reply: Reply) -> Page | None:
    """None where the body is not a page. ``value`` may be null where there are only warnings."""
    body = reply.body
    if reply.status == 204 or (isinstance(body, str) and not body.strip("\0 \t\r\n")):
        return Page((), (), "") if reply.status == 204 else None
    if not isinstance(body, dict) or "error" in body or not {"value", "@odata.context"} & set(body):
        return None
    value = body.get("value")
    rows = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(row, dict) for row in rows):
        return None
    told = body.get("@adminapi.warnings")
    warnings = [str(text) for text in told if text] if isinstance(told, list) else []
    link = body.get("@odata.nextLink")
    return Page(
        tuple({name: _plain(held) for name, held in row.items() if "@" not in name} for row in rows),
        tuple(Record(text) for text in warnings),
        link if isinstance(link, str) else "",
    )


def _plain(value: Any) -> object:
    """A property's value in a row: as PowerShell remoting gives it."""
    if isinstance(value, list):
        return tuple(_plain(part) for part in value)
    if isinstance(value, dict):
        return tuple(_plain(part) for name, part in value.items() if "@" not in name)
    return value


def refused(reply: Reply, cmdlet: Cmdlet | None, asked: str) -> CloudError:
    """Our error for an answer that is none. A 5xx in which no cmdlet says anything leaves open what took place."""
    if reply.status == 429:
        return Throttled("too many requests", after=_after(reply), service=SERVICE, asked=asked)
    record = _record(reply)
    if reply.status == 401:
        record = Record(record.text if record else "the token is not taken", kinds="Unauthorized")
    elif reply.status == 403 and record is None:
        record = _forbidden(reply, cmdlet)
    elif record is None and reply.status in (404, 405, 501):
        return Missing(
            f"no admin API there (HTTP {reply.status}){_said(reply)}", service=SERVICE, asked=asked, status=reply.status,
            hint="check admin_api in the cloud file; Microsoft documents this endpoint nowhere, and may have moved it: "
            "EXOSP_REMOTING=pwsh or a management host (winrm://…) do without it",
        )  # fmt: skip
    if record is None:
        what = f"HTTP {reply.status} and no answer of a cmdlet{_said(reply)}"
        return broken(what, asked, may_have_happened=reply.status >= 500 or reply.good, after=_after(reply))
    error = meaning(record, cmdlet or _ANY).error
    error.status = error.status or reply.status
    return error


def _record(reply: Reply) -> Record | None:
    """What a cmdlet, or the endpoint, said in JSON."""
    error = reply.body.get("error") if isinstance(reply.body, dict) else None
    if not isinstance(error, dict):
        return None
    details = error.get("details")
    first = _object(details[0]) if isinstance(details, list) and details else {}
    inner = _object(error.get("innererror"))
    within = _object(inner.get("internalexception"))
    texts = (first.get("message"), within.get("message"), inner.get("message"), error.get("message"))
    text = next((text for text in texts if isinstance(text, str) and text.strip()), "")
    told = _TOLD.match(text)
    if reply.status >= 500 and not told:
        return None  # the endpoint's own trouble: nobody says that the cmdlet did not run
    code = str(error.get("code", ""))
    kinds = told[1] if told else code
    return Record((told[2] if told else text).strip()[:_LONGEST], kinds=kinds, terminating=True)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _forbidden(reply: Reply, cmdlet: Cmdlet | None) -> Record:
    """403 without JSON: a text that says why, or zero bytes, by which Exchange refuses a cmdlet that the caller's roles do
    not hold (measured)."""
    text = reply.body.strip("\0 \t\r\n") if isinstance(reply.body, str) else ""
    if text and not text.startswith("<") and text.isprintable():
        return Record(text[:_LONGEST], kinds="AccessDenied" if "supported in this scenario" not in text else "")
    return Record(f"{cmdlet.name if cmdlet else 'it'} is not present for the caller", kinds="CommandNotFoundException")


_ANY = Cmdlet("Get-TransportConfig")


def token_refused(asked: str) -> CloudError:
    """Nothing was done: the next request brings a new token."""
    return broken("Exchange no longer takes the token", asked, may_have_happened=False, code=EXPIRED)


def nothing_sent(error: CloudError) -> CloudError:
    """What broke while signing in: no cmdlet of ours was sent."""
    if isinstance(error, Unreachable):
        error.may_have_happened = False
    return error


def broken(
    what: str, asked: str, *, may_have_happened: bool = True, transient: bool = True, after: float | None = None,
    code: str = "",
) -> Unreachable:  # fmt: skip
    return Unreachable(
        what, may_have_happened=may_have_happened, transient=transient, after=after, service=SERVICE, asked=asked, code=code,
        hint="run the command again: what took place is read first and not repeated" if may_have_happened else "",
    )  # fmt: skip


def _after(reply: Reply) -> float | None:
    return retry_after(reply.headers.get("retry-after"), http_date(reply.headers.get("date")))


def _said(reply: Reply) -> str:
    """The first words of an answer that is no JSON error."""
    if isinstance(reply.body, dict):
        error = reply.body.get("error")
        text = str(error.get("message", "")) if isinstance(error, dict) else ""
    else:
        text = reply.body if isinstance(reply.body, str) else ""
    text = " ".join(text.split())
    return f": {text[:200]}" if text and text.isprintable() and not text.startswith("<") else ""
