"""What Exchange's error records mean: a table, a row a symptom. Classes before words: a record's words quote names that
people chose, and a mailbox may be called anything.

Sources: FACTS on cmdlets, on the admin connection and on later findings; the ids before a message (``Ex6F9304|``) vary
and are never matched.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import CloudError, Conflict, Forbidden, Missing, NotYetVisible, Throttled, Unreachable
from .cmdlets import Cmdlet

SERVICE = "remoting"
EXPIRED, UNAUTHORIZED = "Expired", "Unauthorized"
SIGN_IN_AGAIN = frozenset({EXPIRED, UNAUTHORIZED})  # codes of errors that a token which has run out can come as


@dataclass(frozen=True)
class Record:
    """A PowerShell error record, whatever brought it.

    ``text`` is its message; ``kinds`` the class names it bears (exception types, category reason, error id), joined;
    ``about`` the target it names, if any; ``item`` the 1-based number of the input that was being processed, None
    where unknown; ``terminating``: the pipeline ended with it."""

    text: str
    kinds: str = ""
    about: str = ""
    item: int | None = None
    terminating: bool = False


@dataclass(frozen=True)
class Meaning:
    """What a record means. ``whole``: it concerns the pipeline, not one of its items, and nothing took place."""

    error: CloudError
    whole: bool = False


Make = Callable[[str, Cmdlet], CloudError]


def _forbidden(hint: str, code: str = "Forbidden") -> Make:
    return lambda text, cmdlet: Forbidden(text, service=SERVICE, asked=str(cmdlet), code=code, hint=hint)


def _no_such_cmdlet(text: str, cmdlet: Cmdlet) -> CloudError:
    """In a session, a cmdlet exists only for who may run it; Connect- and Disconnect- come with the module."""
    if not cmdlet.spec.role:
        return Missing(
            text, service=SERVICE, asked=str(cmdlet), code="CommandNotFoundException",
            hint="the management host lacks the module: Install-Module ExchangeOnlineManagement -Scope AllUsers there, "
            "or name a session configuration that loads it",
        )  # fmt: skip
    return Forbidden(
        text, service=SERVICE, asked=str(cmdlet), code="CommandNotFoundException",
        hint=f"whoever runs exosp lacks the management role that holds {cmdlet.name}: {cmdlet.spec.role} "
        "(the Entra role Exchange Administrator has it; a role assigned a moment ago takes minutes to an hour)",
    )  # fmt: skip


def _not_found(text: str, cmdlet: Cmdlet) -> CloudError:
    """Missing; but what the cmdlet names by a parameter, or is about to register, was made a moment ago."""
    quoted = text.lower()
    late = cmdlet.name == "New-ServicePrincipal" or (
        not cmdlet.name.startswith("Remove-") and any(len(v) > 7 and v in quoted for v in cmdlet.values())
    )
    kind = NotYetVisible if late else Missing
    return kind(text, service=SERVICE, asked=str(cmdlet), code="ManagementObjectNotFoundException")


def _throttled(text: str, cmdlet: Cmdlet) -> CloudError:
    said = re.search(r"(?:retry|try again|try) ?-?(?:after|in):? (\d+)", text, re.IGNORECASE)
    return Throttled(text, after=float(said[1]) if said else None, service=SERVICE, asked=str(cmdlet))


@dataclass(frozen=True)
class _Row:
    """``kinds`` is looked for in a record's classes, ``words`` in its text without what it quotes."""

    kinds: str
    words: str
    make: Make
    whole: bool = False


_ADMINS = (
    "give the caller Exchange.ManageAsApp (an application) and the Entra role Exchange Administrator (a partner's person: by the "
    "GDAP relationship); new roles take minutes to an hour"
)

_TABLE: tuple[_Row, ...] = (
    _Row("CommandNotFoundException", r"is not recognized as (the |a )?name of a cmdlet|^\S+ is not present\b",
         _no_such_cmdlet, whole=True),
    # The admin API's word for it is the second (measured).
    _Row("NamedParameterNotFound|AmbiguousParameterSetException", r"parameter cannot be found that matches parameter name",
         _forbidden("the caller's management roles hold the cmdlet without this parameter: Exchange Administrator "
                    "has all of them", "NamedParameterNotFound"), whole=True),
    _Row("AADServicePrincipalNotFound", r"No ServicePrincipal with Object Id",
         lambda text, cmdlet: NotYetVisible(text, service=SERVICE, asked=str(cmdlet),
                                            code="AADServicePrincipalNotFound")),
    _Row("ManagementObjectAmbiguousException", r"matches multiple entries|isn't unique",
         lambda text, cmdlet: Conflict(text, service=SERVICE, asked=str(cmdlet),
                                       code="ManagementObjectAmbiguousException",
                                       hint="name the mailbox by its primary address")),
    _Row("ADObjectAlreadyExists|ObjectAlreadyExists|DuplicateException", r"already exist",
         lambda text, cmdlet: Conflict(text, service=SERVICE, asked=str(cmdlet), code="AlreadyExists")),
    _Row("Dehydrated", r"isn't currently allowed in your organization",
         lambda text, cmdlet: CloudError(text, service=SERVICE, asked=str(cmdlet), code="Dehydrated",
                                         hint="run Enable-OrganizationCustomization once, then wait some minutes")),
    _Row("", r"has the same values",
         lambda text, cmdlet: CloudError(text, service=SERVICE, asked=str(cmdlet), code="SameScope",
                                         hint="Exchange takes no second scope with the same filter: write the filter in "
                                         "another way, or remove that scope")),
    _Row("ParsingException", r"invalid filter syntax|isn't a recognized filterable property",
         lambda text, cmdlet: CloudError(text, service=SERVICE, asked=str(cmdlet), code="InvalidFilter",
                                         hint="correct `filter` under smtp in the playbook")),
    _Row("", r"isn't supported in this scenario",
         _forbidden("the application that runs exosp has Exchange.ManageAsApp but no supported Entra role: assign "
                    "Exchange Administrator to it; that takes minutes to an hour to reach Exchange"), whole=True),
    _Row("TokenExpired", r"\b(token|session)\b.{0,60}\bexpired|expired .{0,20}\btoken",
         _forbidden("sign in again: the token's lifetime is over, or a clock is wrong", EXPIRED), whole=True),
    _Row("Throttl|ServerBusy|OverBudget|TooManyRequests", r"throttl|server is busy|too many (requests|concurrent)|\b429\b",
         _throttled),
    _Row("ManagementObjectNotFoundException|RecipientNotFound",
         r"couldn't be found|wasn't found|could not be found|specified mailbox doesn't exist", _not_found),
    _Row("OperationRequiresScope|ScopeException|OutOfScope", r"isn't within (your|a valid|the scope)",
         _forbidden("the caller's role assignment has a narrower scope than this mailbox: widen its recipient scope")),
    _Row("AccessDenied|AuthorizationException|SecurityAccessDenied",
         r"access is denied|access denied|insufficient access rights|is not allowed to call", _forbidden(_ADMINS)),
    _Row("Unauthorized", r"\bunauthorized\b", _forbidden(_ADMINS, UNAUTHORIZED), whole=True),
    # Another domain controller is taken: the same cmdlet works a moment later (michevnew/PowerShell#9).
    _Row("TimeoutException|TransientException|ServerUnavailable|ADServerSettingsChanged", r"change in the current set of domain controllers|timed out|transient|service unavailable|\b50[234]\b",
         lambda text, cmdlet: Unreachable(text, may_have_happened=True, service=SERVICE, asked=str(cmdlet))),
)  # fmt: skip


def meaning(record: Record, cmdlet: Cmdlet) -> Meaning:
    """What a record means; a plain CloudError with the record's own class where the table has no row for it."""
    text = record.text.strip() or record.kinds or "an error without a text"
    by_kind = (row for row in _TABLE if row.kinds and re.search(row.kinds, record.kinds, re.IGNORECASE))
    words = _unquoted(f"{record.text}")
    by_words = (row for row in _TABLE if re.search(row.words, words, re.IGNORECASE))
    row = next(by_kind, None) or next(by_words, None)
    if row is None:
        code = record.kinds.split(",")[0].split("|")[0].split()[0] if record.kinds.strip() else ""
        return Meaning(CloudError(text, service=SERVICE, asked=str(cmdlet), code=code))
    return Meaning(row.make(text, cmdlet), row.whole)


def _unquoted(text: str) -> str:
    """A message without what stands in quotation marks, apostrophes within words left alone."""
    return re.sub(r"(?<!\w)'.*?'(?!\w)|\"[^\"]*\"|“[^”]*”", "'…'", text)
