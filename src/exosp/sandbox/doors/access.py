"""Who may log in to which mailbox, judged from the tenant's state alone: no wire, no clock of its own, no side effect
but that a try by management role keeps what is cached of it alive.

A login has two gates and Exchange answers them at different moments. The first is the token and the identity behind it;
the second is the mailbox. RULES says, for every reason to refuse, at which gate each protocol says so.

A token is an application's, and then its Exchange service principal counts, or a person's, and then the person does: its
own mailbox is open to it, another's with FullAccess (the vendor page, "SASL XOAUTH2 authentication for shared mailboxes":
the user name is the shared mailbox's address).

SMTP has two modes for applications. With the claim SMTP.SendAsApp the mailbox's permissions decide; without it a management
role "Application SMTP.SendAsApp" lets in to the mailboxes of its scope (FACTS §3, ``rbac``). IMAP and POP have the first only.

Not imitated: application access policies, Conditional Access, InheritanceType of a permission, rights that come by a group, licences.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from .. import rbac
from ..exchange import Exchange, Mailbox
from ..tenant import Tenant
from ..tokens import TokenFault
from . import xoauth2

Protocol = Literal["imap", "pop", "smtp"]

# What Exchange takes as itself. Graph is not it (MailKit#1337), nor is https://ps.outlook.com, although Entra mints
# tokens for it (MailKit#1811; FACTS §4a, §10).
ROLES: dict[Protocol, str] = {"imap": "IMAP.AccessAsApp", "pop": "POP.AccessAsApp", "smtp": "SMTP.SendAsApp"}
SCOPES: dict[Protocol, str] = {"imap": "IMAP.AccessAsUser.All", "pop": "POP.AccessAsUser.All", "smtp": "SMTP.Send"}


class Gate(StrEnum):
    """Where Exchange says no."""

    AUTH = "auth"  # the answer to AUTHENTICATE or AUTH
    MAILBOX = "mailbox"  # after a successful one: at the next command, or (SMTP) after DATA


class Reason(StrEnum):
    """Why a login does not reach its mailbox. The client is never told: it sees only Exchange's text."""

    RESPONSE = "malformed XOAUTH2 response"
    TOKEN = "token that does not verify"  # noqa: S105 - a reason, not a secret
    EXPIRED = "token expired or not yet valid"
    AUDIENCE = "token for another resource"
    ROLE = "token without the protocol's app role, or a person's without its delegated permission"
    PRINCIPAL = "no Exchange service principal with the token's appid and oid"
    PERSON = "a person whose account is gone or blocked"
    USER = "no such mailbox in the tenant"
    MAIL_USER = "a MailUser: the mailbox is elsewhere"
    SOFT_DELETED = "mailbox is soft-deleted"
    PROTOCOL_OFF = "protocol switched off for the mailbox"
    SMTP_OFF_MAILBOX = "SMTP AUTH switched off for the mailbox"
    SMTP_OFF_TENANT = "SMTP AUTH switched off for the tenant"
    SCOPE = "mailbox outside the scope of the application's management role"
    GRANT = "no effective FullAccess for the service principal or the person"
    SHARED_NAME = "a person's token under a shared mailbox's name"
    LOGIN_NAME = "an address that is not the mailbox's UPN"


@dataclass(frozen=True)
class Rule:
    reason: Reason
    imap: Gate
    pop: Gate
    smtp: Gate
    source: str


_A, _M = Gate.AUTH, Gate.MAILBOX
RULES: dict[Reason, Rule] = {
    rule.reason: rule
    for rule in (
        Rule(Reason.RESPONSE, _A, _A, _A, "FACTS §0: the vendor page's failing samples; §4a broken base64"),
        Rule(Reason.TOKEN, _A, _A, _A, "FACTS §4a; vendor page, samples"),
        Rule(Reason.EXPIRED, _A, _A, _A, "FACTS §4a: expired token"),
        Rule(Reason.AUDIENCE, _A, _A, _A, "FACTS §4a; MailKit#1337 (Graph), MailKit#1811 (ps.outlook.com)"),
        Rule(Reason.ROLE, _A, _A, _A, "FACTS §4a: app role missing from roles"),
        Rule(Reason.PRINCIPAL, _A, _A, _A, "FACTS §2 and §4a: the application's own object id 'will cause an authentication failure'"),
        Rule(Reason.PERSON, _A, _A, _A, "no source: as any other token that is good for nobody"),
        Rule(Reason.USER, _A, _A, _A, "FACTS §4a: wrong user; §13 NoADRecipient"),
        Rule(Reason.MAIL_USER, _M, _M, _A, "no source: a recipient that is known but has no mailbox to connect to"),
        Rule(Reason.SOFT_DELETED, _M, _M, _A, "no source: as MailUser"),
        Rule(Reason.PROTOCOL_OFF, _M, _A, _A, "FACTS §4a: ImapEnabled off is 'not connected', PopEnabled off is 'Authentication failure'"),
        Rule(Reason.SMTP_OFF_MAILBOX, _A, _A, _A, "FACTS §2 Set-CASMailbox, §4a 535 5.7.139; email-oauth2-proxy#193"),
        Rule(Reason.SMTP_OFF_TENANT, _A, _A, _A, "FACTS §2 Set-TransportConfig, §4a 535 5.7.139"),
        Rule(Reason.SCOPE, _A, _A, _A, "SMTP only: no source for its form; FACTS §4a: no RBAC role is 535 5.7.3"),
        Rule(Reason.GRANT, _M, _M, _A, "FACTS §4a, §13; email-oauth2-proxy#74; SMTP: knob smtp-without-grant"),
        Rule(Reason.SHARED_NAME, _A, _A, _A, "SMTP only: nextcloud/mail#13668, MailKit#1770; knob smtp-shared-name"),
        Rule(Reason.LOGIN_NAME, _M, _M, _A, "FACTS §4a: 'UPN ≠ SMTP address', one report; knob login-name"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Identity:
    """Whom a token stands for: a service principal of Exchange by its ObjectId, or a person by its object id and UPN."""

    object_id: str
    upn: str = ""
    grants: tuple[rbac.Grant, ...] | None = None  # what management roles let in to; None: mailbox permissions decide

    @property
    def trustees(self) -> set[str]:
        """What a permission's row may know it by, lower case."""
        return {self.object_id.lower(), self.upn.lower()} - {""}

    def owns(self, mailbox: Mailbox) -> bool:
        return bool(self.upn) and mailbox.properties["ExternalDirectoryObjectId"].lower() == self.object_id.lower()


@dataclass(frozen=True)
class Opened:
    """The mailbox is open to this service principal or person until the token expires (sandbox time)."""

    mailbox: Mailbox
    object_id: str
    expires: float
    upn: str = ""  # of a person


@dataclass(frozen=True)
class AuthRefused:
    """Exchange refuses at AUTHENTICATE or AUTH."""

    reason: Reason
    waiting: str = ""  # the knob that holds back what is set right already


@dataclass(frozen=True)
class NotConnected:
    """Exchange lets the client authenticate and refuses what comes next. ``mailbox`` is what it did not open."""

    reason: Reason
    mailbox: Mailbox
    object_id: str
    expires: float
    waiting: str = ""


Admission = Opened | AuthRefused | NotConnected


def log_in(tenant: Tenant, protocol: Protocol, response: bytes) -> Admission:
    """The judgement on an XOAUTH2 response as it came over the wire."""
    credentials = xoauth2.decode(response)
    if credentials is None:
        return AuthRefused(Reason.RESPONSE)
    return admit(tenant, protocol, credentials.user, credentials.token)


def admit(tenant: Tenant, protocol: Protocol, user: str, token: str) -> Admission:
    """May whoever holds ``token`` open ``user``'s mailbox over ``protocol`` at this instant?"""
    try:
        claims = tenant.signer.verify(token)
    except TokenFault as fault:
        return AuthRefused(Reason.EXPIRED if fault.reason in {"expired", "notyet"} else Reason.TOKEN)
    identity = _identity(tenant, protocol, claims, tenant.clock.now())
    if isinstance(identity, Reason):
        lags = not isinstance(_identity(tenant, protocol, claims, float("inf")), Reason)
        cached = identity is Reason.ROLE and protocol == "smtp" and _by_role(rbac.grants(tenant.exchange, _oid(claims)))
        return AuthRefused(identity, "grant-lag" if lags else "rbac-cache" if cached else "")
    mailbox = _recipient(tenant.exchange, user)
    if mailbox is None:
        return AuthRefused(Reason.USER)
    expires = float(claims["exp"])
    if tenant.faults["login-name"] == 1 and user.lower() != mailbox.properties["UserPrincipalName"].lower():
        if getattr(RULES[Reason.LOGIN_NAME], protocol) is Gate.AUTH:
            return AuthRefused(Reason.LOGIN_NAME)
        return NotConnected(Reason.LOGIN_NAME, mailbox, identity.object_id, expires)
    reason, waiting = _closed(tenant, protocol, mailbox, identity)
    if reason is None:
        return Opened(mailbox, identity.object_id, expires, identity.upn)
    gate: Gate = getattr(RULES[reason], protocol)
    if reason is Reason.GRANT and protocol == "smtp" and tenant.faults["smtp-without-grant"] == 1:
        gate = Gate.MAILBOX
    if gate is Gate.AUTH:
        return AuthRefused(reason, waiting)
    return NotConnected(reason, mailbox, identity.object_id, expires, waiting)


def _identity(tenant: Tenant, protocol: Protocol, claims: dict[str, Any], at: float) -> Identity | Reason:
    """The Exchange service principal or the person that the claims stand for at that sandbox time, or why there is none."""
    audience = claims.get("aud")
    if not isinstance(audience, str) or audience.removesuffix("/") not in tenant.shape.audiences:
        return Reason.AUDIENCE
    if "scp" in claims:
        return _person(tenant, protocol, claims)
    roles = claims.get("roles")
    app_id, object_id = str(claims.get("appid", "")).lower(), _oid(claims)
    # Both must match: an entry made with the application's own object id has the right AppId only.
    entered = any(
        row["AppId"].lower() == app_id and row["ObjectId"].lower() == object_id and row.effective_at <= at
        for row in tenant.exchange.service_principals
    )
    if isinstance(roles, list) and ROLES[protocol] in roles:
        return Identity(object_id) if entered else Reason.PRINCIPAL
    if protocol == "smtp" and entered:
        grants = _by_role(rbac.honoured(tenant, object_id))
        if grants:
            return Identity(object_id, grants=grants)
    return Reason.ROLE


def _oid(claims: dict[str, Any]) -> str:
    return str(claims.get("oid", "")).lower()


def _by_role(grants: tuple[rbac.Grant, ...]) -> tuple[rbac.Grant, ...]:
    """Those that SMTP asks for."""
    return tuple(grant for grant in grants if grant.role == rbac.SMTP)


def _scoped(tenant: Tenant, mailbox: Mailbox, grants: tuple[rbac.Grant, ...]) -> bool:
    return any(rbac.covers(tenant.exchange, grant, mailbox) for grant in grants)


def _person(tenant: Tenant, protocol: Protocol, claims: dict[str, Any]) -> Identity | Reason:
    """Whose token it is; what the application may is of no account here (vendor page: delegated permissions)."""
    if SCOPES[protocol] not in str(claims["scp"]).split():
        return Reason.ROLE
    user = tenant.directory.people.users.get(str(claims.get("oid", "")))
    return Identity(user.id, user.upn) if user is not None and user.enabled else Reason.PERSON


def _recipient(exchange: Exchange, user: str) -> Mailbox | None:
    """The live recipient of that address, else a soft-deleted one."""
    live = exchange.by_address(user)
    if live is not None:
        return live
    wanted = user.lower()
    return next((m for m in exchange.mailboxes if m.soft_deleted and wanted in m.addresses()), None)


def _closed(tenant: Tenant, protocol: Protocol, mailbox: Mailbox, identity: Identity) -> tuple[Reason | None, str]:
    """Why the mailbox does not open, if it does not; and the knob that holds it back where only time is missing."""
    if mailbox.soft_deleted:
        return Reason.SOFT_DELETED, ""
    if mailbox.kind == "MailUser":
        return Reason.MAIL_USER, ""
    off = switched_off(tenant.exchange, protocol, mailbox)
    if off is not None:
        switch = {"imap": "ImapEnabled", "pop": "PopEnabled", "smtp": "SmtpClientAuthenticationDisabled"}[protocol]
        lags = mailbox.cas[switch] is not tenant.exchange.honoured(mailbox, switch)
        return off, "protocol-switch-lag" if lags else ""
    if identity.owns(mailbox):
        return None, ""
    if identity.grants is not None:
        if _scoped(tenant, mailbox, identity.grants):
            return None, ""
        now = _by_role(rbac.grants(tenant.exchange, identity.object_id))
        return Reason.SCOPE, "rbac-cache" if _scoped(tenant, mailbox, now) else ""
    if protocol == "smtp" and identity.upn:
        if not tenant.faults["smtp-shared-name"]:
            return Reason.SHARED_NAME, ""
        tenant.faults.note("smtp-shared-name")
    if holds(mailbox.permissions, "FullAccess", identity.trustees, tenant.clock.now()):
        return None, ""
    if protocol == "smtp" and tenant.faults["smtp-claim-and-rbac"]:
        tenant.faults.note("smtp-claim-and-rbac")
        if _scoped(tenant, mailbox, _by_role(rbac.honoured(tenant, identity.object_id))):
            return None, ""
    granted = holds(mailbox.permissions, "FullAccess", identity.trustees, float("inf"))
    return Reason.GRANT, "grant-lag" if granted else ""


def switched_off(exchange: Exchange, protocol: Protocol, mailbox: Mailbox) -> Reason | None:
    """Why this protocol is off for the mailbox, where it is."""
    if protocol != "smtp":
        name = {"imap": "ImapEnabled", "pop": "PopEnabled"}[protocol]
        return None if exchange.honoured(mailbox, name) else Reason.PROTOCOL_OFF
    # The mailbox's own value wins; $null leaves it to the organization (FACTS §2, Set-CASMailbox).
    own = exchange.honoured(mailbox, "SmtpClientAuthenticationDisabled")
    if own is not None:
        return Reason.SMTP_OFF_MAILBOX if own else None
    return Reason.SMTP_OFF_TENANT if exchange.transport_config["SmtpClientAuthenticationDisabled"] else None


def holds(rows: list[Any], right: str, trustees: set[str], at: float) -> bool:
    """Does one of the trustees (ObjectIds or UPNs, lower case) hold the right at that sandbox time? A Deny row wins.

    Mailbox permissions say Deny, recipient permissions say AccessControlType Deny; SendAs rows may carry either.
    """
    mine = [
        row
        for row in rows
        if str(row.properties.get("_trustee", "")).lower() in trustees
        and right in row.properties["AccessRights"]
        and row.effective_at <= at
    ]
    if any(row.properties.get("Deny") or row.properties.get("AccessControlType") == "Deny" for row in mine):
        return False
    return bool(mine)


def may_send_as(tenant: Tenant, opened: Opened, address: str) -> bool:
    """May a message submitted through the opened mailbox carry this sender?

    Its own addresses, always. Another's needs SendAs on the other mailbox; whose SendAs counts is the knob
    send-as-trustee, because sources disagree (vendor page's note of 2024-08-30; notifuse#250; FACTS §4a). A person who has
    opened another's mailbox needs SendAs for that one's address too: FullAccess is not SendAs (Add-MailboxPermission).
    """
    person = Identity(opened.object_id, opened.upn) if opened.upn else None
    if address.lower() in opened.mailbox.addresses() and (person is None or person.owns(opened.mailbox)):
        return True
    target = tenant.exchange.by_address(address)
    if target is None:
        return False
    if person is not None:
        return holds(target.recipient_permissions, "SendAs", person.trustees, tenant.clock.now())
    app = {opened.object_id}
    sender = {*opened.mailbox.addresses(), opened.mailbox.properties["ExternalDirectoryObjectId"].lower()}
    trustees = {1: sender, 2: app}.get(int(tenant.faults["send-as-trustee"]), app | sender)
    return holds(target.recipient_permissions, "SendAs", trustees, tenant.clock.now())
