"""What Microsoft Graph's refusals mean: a table, a row a symptom. Reads answers, sends nothing.

Texts are Graph's own, as seen in the threads named beside them; Graph gives most of these one code, Request_BadRequest,
so the text decides.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import CloudError, Conflict, Forbidden, Missing, NotYetVisible, Throttled, Unreachable
from ..transport import http_date, no_answer, retry_after
from ..writes import (
    AddSecret,
    AssignRole,
    CreatePrincipal,
    DeleteApplication,
    GraphWrite,
    RemoveAssignment,
    RemoveSecret,
    RestoreApplication,
    TagPrincipal,
    UpdateApplication,
    UpsertApplication,
)

# The least that each write needs, as application permissions (the permission tables of the pages for each method).
NEEDS: dict[type[GraphWrite] | None, str] = {
    UpsertApplication: "Application.ReadWrite.OwnedBy (Application.ReadWrite.All for an application of another's)",
    UpdateApplication: "Application.ReadWrite.All (Application.ReadWrite.OwnedBy for one that the caller owns)",
    CreatePrincipal: "Application.ReadWrite.OwnedBy (Application.ReadWrite.All for an application of another's)",
    TagPrincipal: "Application.ReadWrite.OwnedBy (Application.ReadWrite.All for an application of another's)",
    AssignRole: "AppRoleAssignment.ReadWrite.All and Application.Read.All",
    AddSecret: "Application.ReadWrite.OwnedBy (Application.ReadWrite.All for an application of another's)",
    RemoveAssignment: "AppRoleAssignment.ReadWrite.All and Application.Read.All",
    DeleteApplication: "Application.ReadWrite.OwnedBy (Application.ReadWrite.All for an application of another's)",
    RestoreApplication: "Application.ReadWrite.OwnedBy (Application.ReadWrite.All for an application of another's)",
    RemoveSecret: "Application.ReadWrite.OwnedBy (Application.ReadWrite.All for an application of another's)",
    None: "Application.Read.All",
}


@dataclass(frozen=True)
class Asked:
    """One request. ``write`` is None for a read; ``request_id`` is ours until the service names its own."""

    words: str
    host: str
    write: type[GraphWrite] | None
    listing: bool
    request_id: str


class KeyRefused(CloudError):
    """This cloud does not address applications by uniqueName. For graph alone: it then goes another way."""


class NotThere(Missing):
    """A read of one object found none. For graph alone: it answers None."""


@dataclass(frozen=True)
class _Row:
    """The first row that fits decides. ``writes``: empty for any request; ``text`` is searched in codes and message."""

    status: tuple[int, ...]
    text: str
    kind: type[CloudError]
    hint: str = ""
    writes: tuple[type[GraphWrite], ...] = ()


_LAG = "replication has no promised time"
_PERMIT = "the one who runs exosp needs on Microsoft Graph: {needs}; after consenting, wait for a new token"
_ROWS: tuple[_Row, ...] = (
    # there already
    _Row((400, 409), "Permission being assigned already exists", Conflict),
    _Row((400, 409), "EntitlementGrant entry already exists", Conflict),  # msgraph-bicep-types#161
    _Row((400, 409), "is already in use|Request_MultipleObjectsWithSameKeyValue", Conflict),  # CIPP#1142
    _Row((400, 409), "Another object with the same value", Conflict,  # msgraph-bicep-types#137
         "a deleted application keeps its uniqueName for 30 days: restore it, or delete it for good, under Deleted "
         "applications in App registrations"),
    # not there yet
    _Row((400, 403, 404), "NoBackingApplicationObject|does not reference a valid application object", NotYetVisible, _LAG),
    # The same lag as a refusal (vault-plugin-secrets-azure#49). It stays where the caller holds only
    # Application.ReadWrite.OwnedBy and does not own the application (microsoft-graph-docs#16138).
    _Row((403,), "backing application of the service principal being created must", NotYetVisible,
         f"{_LAG}; if it stays, the one who runs exosp does not own the application", (CreatePrincipal,)),
    _Row((400, 404), "Not a valid reference update", NotYetVisible, _LAG),  # msgraph-bicep-types#193
    # Also what a role of another cloud gets; but roles are looked up on the very resource they are assigned on.
    _Row((400, 404), "Permission being assigned was not found", NotYetVisible, _LAG, (AssignRole,)),
    # The other reading is a removal that races its addPassword: who removes has read the secret, so it is gone.
    _Row((400, 404), "No password credential found|No credentials found to be removed", Missing,
         "it is removed already", (RemoveSecret,)),
    # policies
    _Row((400, 403), "CredentialInvalidLifetimeAsPerAppPolicy|Credential lifetime exceeds", Forbidden,
         "the tenant's application management policy caps how long a secret lasts: shorten valid_for", (AddSecret,)),
    _Row((400, 403), "CredentialTypeNotAllowedAsPerAppPolicy|Credential type not allowed", Forbidden,
         "the tenant's application management policy forbids secrets: use a certificate, or ask for an exemption"),
    # uniqueName as a key; Graph's words for an address it does not know, and OData's own codes for "not here"
    _Row((400, 404), "Resource not found for the segment|alternate key|key segment|UnsupportedQuery", KeyRefused),
    _Row((405, 501), "", KeyRefused),
    # by status
    # Nothing was done, and the client signs in anew: ask again.
    _Row((401,), "token is expired|token has expired", Throttled),
    _Row((401,), "", Forbidden, "the token was not accepted: is the application that runs exosp enabled, the cloud right?"),
    _Row((403,), "", Forbidden, _PERMIT),
    # Who removes has read the thing, so it is gone.
    _Row((404,), "", Missing, "it is gone already", (DeleteApplication, RemoveAssignment)),
    _Row((404,), "", Missing, "it is in the recycle bin no more", (RestoreApplication,)),
    _Row((404,), "", NotYetVisible, _LAG),
    # Two writes to one object at once; Graph asks for a repeat.
    _Row((409,), "Directory_ConcurrencyViolation|ConcurrencyViolation", Throttled),
    _Row((409,), "", Conflict),
)  # fmt: skip


def accept(status: int, headers: Mapping[str, str], content: bytes, asked: Asked) -> dict[str, Any] | None:
    """The JSON of a good answer, None where there is none. Raises CloudError for every other."""
    body = _object(content)
    if 200 <= status < 300:
        if content.strip() and body is None:
            raise illegible(asked, "is not JSON", status, headers)
        return body
    raise _refusal(status, headers, body, asked)


def illegible(
    asked: Asked, how: str, status: int | None = None, headers: Mapping[str, str] | None = None
) -> Unreachable:
    """A good status on something that Graph does not send: cut short, or from something that stands before it."""
    return Unreachable(
        f"the answer of {asked.host} {how}",
        may_have_happened=asked.write is not None,
        service="graph",
        asked=asked.words,
        status=status,
        request_id=(headers or {}).get("request-id") or asked.request_id,
        hint="try again; if it stays, something between here and Microsoft Graph changes answers",
    )


def lost(fault: BaseException, asked: Asked) -> Unreachable:
    """No answer at all. Raises ``fault`` again where it is not about the network: that is a bug."""
    why = no_answer(fault, asked.host)
    if why is None:
        raise fault
    return Unreachable(
        why.what.format(host=asked.host),
        may_have_happened=asked.write is not None and why.sent,
        transient=why.transient,
        service="graph",
        asked=asked.words,
        request_id=asked.request_id,
        hint=why.hint,
    )


def _object(content: bytes) -> dict[str, Any] | None:
    try:
        body = json.loads(content)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _refusal(status: int, headers: Mapping[str, str], body: dict[str, Any] | None, asked: Asked) -> CloudError:
    found = (body or {}).get("error")
    error: dict[str, Any] = found if isinstance(found, dict) else {}
    inner = error.get("innerError")
    inner = inner if isinstance(inner, dict) else {}
    code = str(error.get("code") or "")
    what = str(error.get("message") or "") or code
    rest = {
        "service": "graph",
        "asked": asked.words,
        "code": code,
        "request_id": str(headers.get("request-id") or inner.get("request-id") or asked.request_id),
    }
    after = retry_after(headers.get("Retry-After"), http_date(headers.get("Date")))
    if status == 429:
        return Throttled(what or f"{asked.host} asks to wait", after=after, **rest)
    if (status >= 500 and status != 501) or status == 408:
        return Unreachable(
            what or f"{asked.host} answered {status}", may_have_happened=asked.write is not None, transient=True,
            status=status, after=after, hint="try again", **rest,
        )  # fmt: skip
    if not error and status != 401:
        to = f" and points to {headers['Location']}" if "Location" in headers else ""
        return Unreachable(
            f"{asked.host} answered {status}{to}, which is not Microsoft Graph's way", may_have_happened=False,
            transient=False, after=None, status=status, hint="is the cloud's graph address right? A proxy may stand between", **rest,
        )  # fmt: skip
    return _classify(status, error, what or f"{asked.host} answered {status}", after, asked, rest)


def _classify(
    status: int, error: dict[str, Any], what: str, after: float | None, asked: Asked, rest: dict[str, str]
) -> CloudError:
    text = json.dumps(error)  # codes, message, details and inner errors, wherever the cloud put them
    for row in _ROWS:
        if status not in row.status or (row.writes and asked.write not in row.writes):
            continue
        if not re.search(row.text, text, re.IGNORECASE):
            continue
        if row.kind is KeyRefused and not _by_unique_name(asked):
            continue
        kind = row.kind
        if kind is NotYetVisible and asked.write is None and not asked.listing:
            kind = NotThere
        hint = row.hint.format(needs=NEEDS[asked.write])
        if kind is Throttled:
            return Throttled(what, after=after, hint=hint, **rest)
        return kind(what, status=status, hint=hint, **rest)
    return CloudError(what, status=status, **rest)


def _by_unique_name(asked: Asked) -> bool:
    return "(uniqueName=" in asked.words
