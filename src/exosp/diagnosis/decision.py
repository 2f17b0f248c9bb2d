"""Why one login failed: the server's text held against what was read of the tenant. Pure.

It goes from the outside in (network, token, entry in Exchange, protocol, permission, name) and stops at the first thing
that is wrong and explains the text. Only if all that was read is right, and the text is one that a mere delay gives
too, is it too early to tell.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..snapshot import (
    EXCHANGE_ONLINE,
    AppId,
    ApplicationObjectId,
    ClaimedObjectId,
    PrincipalObjectId,
    Protocol,
)
from ..steps.application import ROLE_OF
from . import entra, exchange, graph, mail
from .row import Row

# The whole table, a line a group of services. Within a group the more particular row stands first.
ROWS: tuple[Row, ...] = (
    *mail.ROWS,
    *entra.ROWS,
    *graph.ROWS,
    *exchange.ROWS,
)

APPLY = "exosp apply PLAYBOOK"
VERIFY = "exosp verify PLAYBOOK"


def find(text: str, service: str | None = None, stage: str | None = None) -> tuple[Row, ...]:
    """The rows whose symptom is in a text, best first, as far as it is known who said it and at which stage."""
    return tuple(row for row in ROWS if row.matches(text, service, stage))


@dataclass(frozen=True)
class ProbeFacts:
    """One login, and what was read of the tenant. None means: not read. Never holds a token, only its ``claims``.

    ``now`` is the service's time. ``audience`` is what an Exchange token must be for. ``entry_object_id`` is what
    Exchange's entry for the application carries, None where there is no entry. ``granted``: the application has
    FullAccess on the mailbox. ``switched_on`` is for IMAP and POP. ``login`` is the user name given to the server, empty
    if it is ``address``."""

    protocol: Protocol
    stage: str
    ok: bool
    server: str
    claims: Mapping[str, Any] | None
    now: datetime | None
    audience: str
    entry_object_id: ClaimedObjectId | None
    principal_object_id: PrincipalObjectId | None
    application_object_id: ApplicationObjectId | None
    granted: bool | None
    switched_on: bool | None
    smtp_auth_disabled_mailbox: bool | None  # None also means: as the tenant has it
    smtp_auth_disabled_tenant: bool | None
    upn: str | None
    address: str
    plan_empty: bool
    app_id: AppId | None = None
    login: str = ""

    @property
    def open(self) -> bool | None:
        """Whether the protocol is on for the mailbox; for SMTP the mailbox's own setting wins over the tenant's."""
        if self.protocol != "smtp":
            return self.switched_on
        own = self.smtp_auth_disabled_mailbox
        off = self.smtp_auth_disabled_tenant if own is None else own
        return None if off is None else not off


@dataclass(frozen=True)
class Diagnosis:
    """``row`` is the id of the symptom's row, empty if the table has none."""

    cause: str
    fix: str
    too_early: bool = False
    row: str = ""


@dataclass(frozen=True)
class _Wrong:
    """Something found wrong: the evidence, and what to do."""

    evidence: str
    fix: str
    early: bool = False  # time alone mends it


_Look = Callable[[ProbeFacts], "_Wrong | None"]


@dataclass(frozen=True)
class _Rung:
    """One thing to look at, and the symptoms it explains."""

    look: _Look
    explains: frozenset[str] = field(default_factory=frozenset)


def _same(one: object, other: object) -> bool:
    return str(one).lower() == str(other).lower()


def _expired(facts: ProbeFacts) -> _Wrong | None:
    ends = (facts.claims or {}).get("exp")
    if facts.now is None or not isinstance(ends, int | float) or facts.now.timestamp() < ends:
        return None
    at = datetime.fromtimestamp(ends, UTC)
    return _Wrong(f"the token expired at {at:%Y-%m-%d %H:%M:%S} UTC", f"{VERIFY} takes a fresh one")


def _audience(facts: ProbeFacts) -> _Wrong | None:
    if facts.claims is None:
        return None
    held = str(facts.claims.get("aud", "")).rstrip("/")
    if held in (facts.audience.rstrip("/"), EXCHANGE_ONLINE):
        return None
    named = " (Microsoft Graph)" if "graph" in held or held.startswith("00000003-0000-0000-c000") else ""
    return _Wrong(
        f"the token's audience is {held or 'empty'}{named}, not {facts.audience}",
        f"ask for a token with the scope {facts.audience.rstrip('/')}/.default; check cloud in the playbook",
    )


def _role(facts: ProbeFacts) -> _Wrong | None:
    if facts.claims is None:
        return None
    roles = [str(role) for role in facts.claims.get("roles") or ()]
    wanted = ROLE_OF[facts.protocol]
    if wanted in roles:
        return None
    if (
        facts.plan_empty
    ):  # the consent stands: Entra's token endpoint has not heard of it (terraform-provider-azuread#1811)
        return _Wrong(
            f"{wanted} is consented to, and the token, minted just now, does not carry it yet",
            f"wait some minutes, then {VERIFY} takes a new token",
            early=True,
        )
    aside = "; full_access_as_app is for EWS alone" if "full_access_as_app" in roles else ""
    return _Wrong(
        f"the token's roles are {', '.join(roles) or 'empty'} and lack {wanted}{aside}",
        f"{APPLY} consents to it; then {VERIFY} takes a new token, for one from before the consent keeps its old roles",
    )


def _application(facts: ProbeFacts) -> _Wrong | None:
    if facts.claims is None or facts.app_id is None or _same(facts.claims.get("appid"), facts.app_id):
        return None
    return _Wrong(
        f"the token is the application {facts.claims.get('appid')}'s, not {facts.app_id}'s",
        "use the credential of the playbook's own application: the file under save_to",
    )


def _entry(facts: ProbeFacts) -> _Wrong | None:
    held, right = facts.entry_object_id, facts.principal_object_id
    if right is None:
        return _Wrong("the application has no enterprise application in this tenant", APPLY)
    add = f"New-ServicePrincipal -AppId {facts.app_id or 'APPLICATION-ID'} -ObjectId {right}"
    if held is None:
        return _Wrong("Exchange has no entry for the application", f"{APPLY}; by hand: {add}")
    if _same(held, right):
        return None
    mend = f"{APPLY} replaces it; by hand: Remove-ServicePrincipal -Identity {held}, then {add}"
    if facts.application_object_id is not None and _same(held, facts.application_object_id):
        return _Wrong(
            f"Exchange holds the application under the application's own object ID {held}; "
            f"it needs the enterprise application's, {right}",
            mend,
        )
    return _Wrong(f"Exchange holds the application under {held}, and its enterprise application is {right}", mend)


def _principal(facts: ProbeFacts) -> _Wrong | None:
    oid = (facts.claims or {}).get("oid")
    if oid is None or facts.principal_object_id is None or _same(oid, facts.principal_object_id):
        return None
    return _Wrong(
        f"the token's oid is {oid}, and the enterprise application is {facts.principal_object_id}",
        "check that tenant and credential in the playbook belong together",
    )


def _switch(facts: ProbeFacts) -> _Wrong | None:
    if facts.open is not False:
        return None
    by = f"{APPLY}; by hand: Set-CASMailbox -Identity {facts.address}"
    match facts.protocol:
        case "imap":
            return _Wrong("IMAP is off for the mailbox (ImapEnabled is False)", f"{by} -ImapEnabled $true")
        case "pop":
            return _Wrong("POP is off for the mailbox (PopEnabled is False)", f"{by} -PopEnabled $true")
        case "smtp":
            whose = "the mailbox" if facts.smtp_auth_disabled_mailbox else "the tenant, and the mailbox follows it"
            return _Wrong(
                f"SMTP AUTH is off for {whose} (SmtpClientAuthenticationDisabled is True)",
                f"{by} -SmtpClientAuthenticationDisabled $false",
            )


def _permission(facts: ProbeFacts) -> _Wrong | None:
    if facts.granted is not False:
        return None
    user = facts.principal_object_id or "ENTERPRISE-APPLICATION-OBJECT-ID"
    return _Wrong(
        f"the application has no FullAccess on {facts.address}",
        f"{APPLY}; by hand: Add-MailboxPermission -Identity {facts.address} -User {user} "
        "-AccessRights FullAccess -AutoMapping $false",
    )


def _name(facts: ProbeFacts) -> _Wrong | None:
    login = facts.login or facts.address
    if not facts.login or not facts.upn or _same(login, facts.upn):
        return None
    return _Wrong(
        f"the user name {login} is not the mailbox's UPN, {facts.upn}",
        f"log in as {facts.upn}, or make the UPN the primary address",
    )


def _two_lines(facts: ProbeFacts) -> _Wrong | None:
    return _Wrong(
        "exosp sends AUTH in two lines, so what is left is the token: more than 4,096 characters break POP",
        "shorten the token: take the groups claim out of the application's token configuration",
    )


_REFUSED = frozenset(("imap-auth-failed", "imap-oauth-refused", "pop-auth-failed", "smtp-auth-failed"))
_CLOSED = frozenset(("not-connected", "imap-closed-14", "imap-no-recipient", "smtp-mailbox-logon"))
_OFF = frozenset(("smtp-off-tenant", "smtp-off-mailbox"))

# From the outside in.
_RUNGS = (
    _Rung(_expired, _REFUSED | {"imap-session-expired"}),
    _Rung(_audience, _REFUSED),
    _Rung(_role, _REFUSED),
    _Rung(_application, _REFUSED),
    _Rung(_entry, _REFUSED),
    _Rung(_principal, _REFUSED),
    _Rung(_switch, _CLOSED | _OFF | {"pop-auth-failed", "smtp-auth-failed"}),
    _Rung(_permission, _CLOSED | {"pop-auth-failed", "smtp-auth-failed"}),
    _Rung(_name, _CLOSED | _REFUSED),
)
_CERTAIN = (_Rung(_two_lines, frozenset(("pop-protocol-error",))),)


def diagnose(facts: ProbeFacts) -> Diagnosis:
    """The likeliest cause of what one login showed, with its evidence and what to do."""
    if facts.ok:
        return Diagnosis("the login works", "")
    row = next(iter(find(facts.server, facts.protocol, facts.stage)), None)
    symptom = row.id if row else ""
    for rung in (*_RUNGS, *_CERTAIN):
        if symptom in rung.explains and (wrong := rung.look(facts)):
            return Diagnosis(wrong.evidence, wrong.fix, too_early=wrong.early, row=symptom)
    if row is not None and not row.propagation:
        return Diagnosis(row.causes[0], _fix(row), row=symptom)
    for rung in _RUNGS:
        if wrong := rung.look(facts):
            return Diagnosis(f"{wrong.evidence} (Exchange words that otherwise as a rule)", wrong.fix, row=symptom)
    if row is None:
        return Diagnosis(
            "the server's words are not in exosp's table, and nothing that was read is wrong",
            f"run {VERIFY} again; if the text stays, look it up: it came at the stage {facts.stage}",
        )
    if not facts.plan_empty:
        return Diagnosis("the tenant is not as the playbook says", f"{APPLY}, then {VERIFY}", row=symptom)
    if unread := ", ".join(_unread(facts)):
        return Diagnosis(f"perhaps {row.causes[0]}; not read: {unread}", _fix(row), row=symptom)
    return Diagnosis(
        "everything that was read is right, and this text also comes while a change is on its way: "
        "Exchange may take up to 2 hours",
        f"wait, then {VERIFY}; leave five minutes between tries, since a failing login can prolong it",
        too_early=True,
        row=symptom,
    )


def proves_closed(protocol: Protocol, stage: str, server: str) -> bool:
    """Whether a refusal speaks of access to the mailbox. One for a busy server or a switch that is off does not."""
    row = next(iter(find(server, protocol, stage)), None)
    return row is not None and row.id in _REFUSED | _CLOSED | {"app-access-policy"}


def _fix(row: Row) -> str:
    return f"{row.fix}; by hand: {row.cmdlet}" if row.cmdlet else row.fix


def _unread(facts: ProbeFacts) -> Iterator[str]:
    if facts.claims is None:
        yield "the token's claims"
    if facts.open is None:
        yield "whether the protocol is on"
    if facts.granted is None:
        yield "the mailbox's permissions"
