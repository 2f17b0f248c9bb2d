"""What is looked at when a login fails, from the outside in: one rung a thing. Pure.

A rung says what is wrong with its thing, with the evidence and what to do, or what is right about it, or nothing where
it was not read. ``explains`` are the symptoms (rows of the table) that a wrong thing of this kind can show itself by.
The way to the server stands in ``OUTSIDE``: there the server's words, or ours for its silence, are evidence enough.
Where SMTP goes by RBAC for Applications, the rung ``scope`` stands in place of ``permission``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from ..snapshot import EXCHANGE_ONLINE
from ..steps.application import ROLE_OF, SCOPE_OF
from .facts import Key, ProbeFacts
from .timing import age, span

APPLY = "exosp apply PLAYBOOK"
VERIFY = "exosp verify PLAYBOOK"
LONGEST_POP_TOKEN = 4096  # characters; Exchange's POP front end since July 2025 (MailKit#1948)
CONSENT_SETTLES = 3600.0  # seconds after which a token without a role that is consented to is no mere delay any more


@dataclass(frozen=True)
class Wrong:
    """What is wrong: the evidence, and what to do. ``early``: time alone mends it."""

    key: Key
    evidence: str
    fix: str
    early: bool = False


@dataclass(frozen=True)
class Right:
    """What is right, in words."""

    words: str


Found = Wrong | Right | None


@dataclass(frozen=True)
class Rung:
    """``look`` looks at one thing. ``explains``: ids of the symptoms that it explains where it is wrong."""

    name: str
    look: Callable[[ProbeFacts], Found]
    explains: frozenset[str]


def _same(one: object, other: object) -> bool:
    return str(one).lower() == str(other).lower()


# The token


def _audience(facts: ProbeFacts) -> Found:
    if facts.claims is None:
        return None
    held = str(facts.claims.get("aud", "")).rstrip("/")
    wrong = _is_graph(held) or held == PS_OUTLOOK
    if held in (facts.audience.rstrip("/"), EXCHANGE_ONLINE) and not wrong:
        return Right(f"the token is for {held}")
    named = " (Microsoft Graph)" if _is_graph(held) else ""
    wanted = "Exchange Online's" if held == facts.audience.rstrip("/") else facts.audience
    return Wrong(
        "wrong-audience",
        f"the token's audience is {held or 'empty'}{named}, not {wanted}",
        "ask for a token with the scope https://outlook.office365.com/.default, or your cloud's; check cloud in the "
        "playbook and exchange_resource in the cloud file",
    )


# Entra mints tokens for it, and Exchange's mail protocols refuse them (MailKit#1811).
PS_OUTLOOK = "https://ps.outlook.com"


def _is_graph(audience: str) -> bool:
    return audience.startswith("00000003-0000-0000-c000") or "//graph." in audience or "-graph." in audience


def _tenant(facts: ProbeFacts) -> Found:
    held = (facts.claims or {}).get("tid")
    if held is None or not facts.tenant_id:
        return None
    if _same(held, facts.tenant_id):
        return Right("the token is this tenant's")
    return Wrong(
        "tenant-wrong",
        f"the token is of the tenant {held}, and the playbook's is {facts.tenant_id}",
        "the saved credential names another tenant: put the right file under save_to back",
    )


def _application(facts: ProbeFacts) -> Found:
    if facts.claims is None or facts.app_id is None:
        return None
    if _same(facts.claims.get("appid"), facts.app_id):
        return Right(f"the token is the application's, {facts.app_id}")
    return Wrong(
        "client-id-wrong",
        f"the token is the application {facts.claims.get('appid')}'s, not {facts.app_id}'s",
        "use the credential of the playbook's own application: the file under save_to",
    )


def _principal(facts: ProbeFacts) -> Found:
    oid = (facts.claims or {}).get("oid")
    if oid is None or facts.principal_object_id is None or facts.access == "delegated":
        return None
    if _same(oid, facts.principal_object_id):
        return Right(f"the token's oid is the enterprise application's object ID, {facts.principal_object_id}")
    return Wrong(
        "tenant-wrong",
        f"the token's oid is {oid}, and the enterprise application is {facts.principal_object_id}",
        "check that tenant and credential in the playbook belong together",
    )


def _role(facts: ProbeFacts) -> Found:
    if facts.claims is None or (facts.rbac and facts.protocol == "smtp"):
        return None
    if facts.access == "delegated":
        return _scope(facts)
    roles = [str(role) for role in facts.claims.get("roles") or ()]
    wanted = ROLE_OF[facts.protocol]
    if wanted in roles:
        return Right(f"the token's roles hold {wanted}")
    consented = facts.plan_empty if facts.consented is None else facts.consented
    if consented:  # Entra's token endpoint has not heard of it (terraform-provider-azuread#1811)
        since = age(facts.consent_since, facts.now)
        if since.seconds is None or since.seconds < CONSENT_SETTLES:
            ago = "" if since.seconds is None else f" {span(since.seconds)} ago"
            return Wrong(
                "not-in-effect-yet",
                f"{wanted} is consented to{ago}, and the token, minted just now, does not carry it yet",
                f"wait some minutes, then {VERIFY} takes a new token",
                early=True,
            )
        return Wrong(
            "role-missing",
            f"{wanted} was consented to {span(since.seconds)} ago, and a token minted just now still does not carry it",
            f"take the consent away and give it again: Entra, API permissions; then {VERIFY}",
        )
    others = sorted(role for role in roles if role in ROLE_OF.values())
    aside = "; full_access_as_app is for EWS alone" if "full_access_as_app" in roles else ""
    aside = aside or ("; what it has is for other protocols" if others else "")
    return Wrong(
        "role-missing" if not aside else "wrong-permission",
        f"the token's roles are {', '.join(roles) or 'empty'} and lack {wanted}{aside}",
        f"{APPLY} consents to it; then {VERIFY} takes a new token, for one from before the consent keeps its old roles",
    )


def _scope(facts: ProbeFacts) -> Found:
    """A person's token: scopes in place of roles."""
    held = str((facts.claims or {}).get("scp", "")).split()
    wanted = SCOPE_OF[facts.protocol]
    if wanted in held:
        return Right(f"the token's scopes hold {wanted}")
    return Wrong(
        "consent-missing", f"the token's scopes are {' '.join(held) or 'empty'} and lack {wanted}",
        f"{APPLY} asks for it; then sign in again",
    )  # fmt: skip


def _times(facts: ProbeFacts) -> Found:
    claims = facts.claims or {}
    ends, begins = claims.get("exp"), claims.get("nbf")
    if facts.now is None or not isinstance(ends, int | float):
        return None
    now = facts.now.timestamp()
    if now >= ends:
        at = datetime.fromtimestamp(ends, UTC)
        return Wrong("token-expired", f"the token expired at {at:%Y-%m-%d %H:%M:%S} UTC", f"{VERIFY} takes a fresh one")
    if (
        isinstance(begins, int | float) and now + 300 < begins
    ):  # five minutes of clock skew are allowed (RFC 7519, 4.1.5)
        at = datetime.fromtimestamp(begins, UTC)
        return Wrong(
            "clock-wrong", f"the token is not valid before {at:%Y-%m-%d %H:%M:%S} UTC, and it is {facts.now:%H:%M:%S}",
            f"{VERIFY} takes a fresh one; if that is so again, a clock is wrong",
        )  # fmt: skip
    return Right(f"the token is valid until {datetime.fromtimestamp(ends, UTC):%Y-%m-%d %H:%M:%S} UTC")


def _length(facts: ProbeFacts) -> Found:
    if facts.protocol != "pop" or not facts.token_length:
        return None
    if facts.token_length <= LONGEST_POP_TOKEN:
        return Right(f"the token has {facts.token_length:,} characters, and POP takes {LONGEST_POP_TOKEN:,}")
    groups = "; it lists groups" if (facts.claims or {}).get("groups") else ""
    return Wrong(
        "token-too-long",
        f"the token has {facts.token_length:,} characters, and Exchange's POP takes {LONGEST_POP_TOKEN:,}{groups}",
        "shorten the token: take the groups claim out of the application's token configuration",
    )


# Exchange's entry for the application


def _entry(facts: ProbeFacts) -> Found:
    if facts.access == "delegated":
        return None
    held, right = facts.entry_object_id, facts.principal_object_id
    if right is None:
        return Wrong("app-not-in-tenant", "the application has no enterprise application in this tenant", APPLY)
    add = f"New-ServicePrincipal -AppId {facts.app_id or 'APPLICATION-ID'} -ObjectId {right}"
    if held is None:
        return Wrong("no-exchange-entry", "Exchange has no entry for the application", f"{APPLY}; by hand: {add}")
    if _same(held, right):
        return Right(f"Exchange holds the application under {right}")
    if facts.application_object_id is not None and _same(held, facts.application_object_id):
        whose = "the application's own object ID (the one on App registrations)"
    elif facts.app_id is not None and _same(held, facts.app_id):
        whose = "the application's appId (client ID) in place of an object ID"
    else:
        whose = facts.ids.get(held.lower(), "an ID that nothing of this application bears")
    return Wrong(
        "wrong-object-id",
        f"Exchange holds the application under {held}, {whose}; it needs the enterprise application's, {right}",
        f"{APPLY} replaces it; by hand: Remove-ServicePrincipal -Identity {held}, then {add}",
    )


# The mailbox


def _mailbox(facts: ProbeFacts) -> Found:
    if not facts.no_mailbox:
        return None
    return Wrong(
        "no-mailbox",
        f"{facts.address}: {facts.no_mailbox}",
        facts.no_mailbox_fix or "correct the address in the playbook, or make the mailbox",
    )


def _scoped(facts: ProbeFacts) -> Found:
    """By Test-ServicePrincipalAuthorization, which goes by no cache (its help): what it says and a login denies is on its
    way."""
    if not facts.rbac:
        return None
    claim = ROLE_OF["smtp"]
    if claim in [str(role) for role in (facts.claims or {}).get("roles") or ()]:
        return Wrong(
            "rbac-with-claim",
            f"the token carries {claim}, so Exchange checks mailbox permissions in place of the RBAC scope",
            f"take {claim} away: prune: true in the playbook, then {APPLY}; by hand under API permissions",
        )
    if facts.in_scope is None:
        return None
    if facts.in_scope:
        return Right(f"{facts.address} is in the scope of the application's role for SMTP, {facts.scope}")
    return Wrong(
        "rbac-scope",
        f"{facts.address} is not in the scope of the application's role for SMTP, {facts.scope}",
        "put the mailbox itself into the group, since members of member groups do not count, or correct the filter or unit "
        f"under smtp in the playbook; if apply has not run yet, {APPLY}",
    )


def _permission(facts: ProbeFacts) -> Found:
    if facts.rbac:
        return None
    person = str((facts.claims or {}).get("upn", "")) if facts.access == "delegated" else ""
    who = person or "the application"
    user = person or facts.principal_object_id or "ENTERPRISE-APPLICATION-OBJECT-ID"
    if facts.denied:
        return Wrong(
            "no-mailbox-permission",
            f"a deny entry names {who} on {facts.address}, and deny wins",
            f"find out who set it; by hand: Remove-MailboxPermission -Identity {facts.address} -User {user} "
            "-AccessRights FullAccess -Deny",
        )
    if facts.granted is None:
        return None
    if facts.granted:
        own = person and _same(person, facts.upn)
        return Right(f"{facts.address} is {who}'s own" if own else f"{who} has FullAccess on {facts.address}")
    instead = f", only {', '.join(sorted(facts.rights))}" if facts.rights else ""
    instead += f"; FullAccess there is held by {', '.join(facts.holders[:3])}" if facts.holders else ""
    how = "exosp gives people no rights" if person else APPLY
    return Wrong(
        "no-mailbox-permission",
        f"{who} has no FullAccess on {facts.address}{instead}",
        f"{how}; by hand: Add-MailboxPermission -Identity {facts.address} -User {user} "
        "-AccessRights FullAccess -AutoMapping $false",
    )


# The switches


def _switch(facts: ProbeFacts) -> Found:
    if facts.open is None:
        return None
    called = {"imap": "IMAP", "pop": "POP", "smtp": "SMTP AUTH"}[facts.protocol]
    if facts.open:
        return Right(f"{called} is on for {facts.address}")
    by = f"{APPLY}; by hand: Set-CASMailbox -Identity {facts.address}"
    if facts.protocol != "smtp":
        name = {"imap": "ImapEnabled", "pop": "PopEnabled"}[facts.protocol]
        return Wrong("protocol-off", f"{called} is off for {facts.address} ({name} is False)", f"{by} -{name} $true")
    own = bool(facts.smtp_auth_disabled_mailbox)
    whose = f"{facts.address} itself" if own else f"the tenant, and {facts.address} follows it"
    return Wrong(
        "smtp-auth-off-mailbox" if own else "smtp-auth-off-tenant",
        f"SMTP AUTH is off for {whose} (SmtpClientAuthenticationDisabled is True)",
        f"{by} -SmtpClientAuthenticationDisabled $false",
    )


def _name(facts: ProbeFacts) -> Found:
    login = facts.login or facts.address
    if not facts.login or not facts.upn:
        return None
    if _same(login, facts.upn):
        other = "" if _same(facts.upn, facts.address) else f"; its primary address is {facts.address}"
        return Right(f"the user name {login} is the mailbox's UPN{other}")
    return Wrong(
        "wrong-user-name",
        f"the user name {login} is not the mailbox's UPN, {facts.upn}",
        f"log in as {facts.upn}, or make the UPN the primary address",
    )


def _sending(facts: ProbeFacts) -> Found:
    if facts.send_as is None:
        return None
    if facts.send_as:
        return Right(f"there is a SendAs on {facts.sender}")
    return Wrong(
        "send-as-missing",
        f"{facts.login or facts.address} sends as {facts.sender}, and neither it nor the application has SendAs there",
        f"name it under send_as in the playbook, then {APPLY}; by hand: Add-RecipientPermission -Identity {facts.sender} "
        f"-Trustee {facts.address} -AccessRights SendAs -Confirm:$false",
    )


def _own_name(facts: ProbeFacts) -> Found:
    """SMTP under a shared mailbox's name with a person's token: Microsoft's page has it like IMAP and POP, reports see it
    refused whatever the person holds (nextcloud/mail#13668, email-oauth2-proxy#426)."""
    person = (facts.claims or {}).get("upn")
    if facts.access != "delegated" or facts.protocol != "smtp" or person is None or facts.upn is None:
        return None
    if _same(person, facts.upn):
        return None  # the rung of permissions says so
    return Wrong(
        "wrong-user-name",
        f"{facts.address} is not {person}'s own mailbox, and Exchange takes a person's token for SMTP under the own name "
        "only, by all reports but Microsoft's page",
        f"log in to SMTP as {person} and send from {facts.address}, which needs SendAs there; and leave smtp out for it in "
        "the playbook",
    )


# Symptoms that several things share, by the rows' ids.
REFUSED = frozenset(("imap-auth-failed", "imap-oauth-refused", "pop-auth-failed", "smtp-auth-failed"))
CLOSED = frozenset(("not-connected", "imap-closed-14", "imap-no-recipient", "smtp-mailbox-logon"))
OFF = frozenset(("smtp-off-tenant", "smtp-off-mailbox"))
SENDER = frozenset(("smtp-send-as-denied", "smtp-not-the-sender"))

# From the outside in.
RUNGS: tuple[Rung, ...] = (
    Rung("application", _application, REFUSED),  # whose token it is, before what it says
    Rung("audience", _audience, REFUSED),
    Rung("tenant", _tenant, REFUSED),
    Rung("principal", _principal, REFUSED),
    Rung("role", _role, REFUSED),
    Rung("times", _times, REFUSED | {"imap-session-expired"}),
    Rung("length", _length, frozenset(("pop-protocol-error", "pop-auth-failed"))),
    Rung("entry", _entry, REFUSED),
    Rung("mailbox", _mailbox, REFUSED | CLOSED),
    Rung("scope", _scoped, frozenset(("smtp-auth-failed",))),
    Rung("permission", _permission, CLOSED | {"smtp-auth-failed"}),
    Rung("switch", _switch, CLOSED | OFF | {"pop-auth-failed", "smtp-auth-failed"}),
    Rung("own-name", _own_name, frozenset(("smtp-auth-failed",))),
    Rung("name", _name, CLOSED | REFUSED),
    Rung("sending", _sending, SENDER),  # Exchange asks for it last, at the end of a message
)

# What lies before the rungs, by the stage at which a login stopped; the token is asked for behind the last of them.
OUTSIDE: dict[str, int] = {"connect": 1, "tls": 2, "greeting": 3, "capability": 3}
TOKEN = 4
DEPTH: dict[str, int] = {rung.name: TOKEN + 1 + number for number, rung in enumerate(RUNGS)}
TIME = TOKEN + 1 + len(RUNGS)  # all is right, and it may be too early
UNKNOWN = TIME + 1
