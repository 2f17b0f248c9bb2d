"""RBAC for Applications: groups, administrative units, scopes, and what an application's management roles let it reach.
State and judgement only; the cmdlets write it, the SMTP door reads it.

Sources: learn.microsoft.com/exchange/permissions-exo/application-rbac (roles, scopes, "only direct members", union with Entra's
grants, a cache of 30 minutes for an idle application to 2 hours for an active one); office-developer-exchange-docs
smtp-app-rbac-onboarding.md, 2025-10-17 (no claim, no mailbox permission). FACTS §3, §5.
Not imitated: roles for other protocols than SMTP let nobody in here (Graph and EWS are not there); -RecipientRoot; exclusive
scopes, which do not restrict applications.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import recipient_filter

if TYPE_CHECKING:
    from .exchange import Exchange, Mailbox
    from .tenant import Tenant

SMTP = "Application SMTP.SendAsApp"
# Role -> what Test-ServicePrincipalAuthorization shows as GrantedPermissions. Names: the article's table of supported roles.
ROLES: dict[str, str] = {
    f"Application {value}": value
    for value in (
        "Mail.Read", "Mail.ReadBasic", "Mail.ReadWrite", "Mail.Send", "MailboxSettings.Read", "MailboxSettings.ReadWrite",
        "Calendars.Read", "Calendars.ReadWrite", "Contacts.Read", "Contacts.ReadWrite", "MailboxFolder.Read",
        "MailboxFolder.ReadWrite", "MailboxItem.Read", "MailboxItem.ReadWrite", "MailboxItem.Export",
        "MailboxItem.ImportExport", "Mail Full Access", "Exchange Full Access", "EWS.AccessAsApp", "SMTP.SendAsApp",
        "MailboxConfigItem.Read", "MailboxConfigItem.ReadWrite", "MailTips.ReadBasic.All", "Mail-Advanced.ReadWrite.All",
    )
}  # fmt: skip
GROUP_KINDS = {
    "DistributionGroup": "MailUniversalDistributionGroup",
    "SecurityGroup": "MailUniversalSecurityGroup",
    "Microsoft365Group": "GroupMailbox",
}
IDLE = 0.25  # of the knob rbac-cache: 30 minutes of the 2 hours


@dataclass
class Group:
    """A recipient that has members: addresses of mailboxes and of other groups, lower case. ``properties`` is its row."""

    properties: dict[str, Any]
    members: set[str] = field(default_factory=set)

    def names(self) -> set[str]:
        """All that -Identity takes for it, lower case."""
        named = ("Name", "Alias", "DisplayName", "Identity", "Guid", "ExternalDirectoryObjectId", "DistinguishedName",
                 "PrimarySmtpAddress")  # fmt: skip
        return {str(self.properties[name]).lower() for name in named}

    def holds(self, mailbox: "Mailbox") -> bool:
        """Is the mailbox a direct member? Members of member groups are not."""
        return bool(self.members & mailbox.addresses())


@dataclass(frozen=True)
class Unit:
    """An administrative unit of Entra's and its members' addresses, lower case."""

    id: str
    name: str
    members: frozenset[str]


@dataclass(frozen=True)
class Grant:
    """One role of an application. ``kind`` is RecipientWriteScope's word; ``scope`` a filter, a group's distinguished name or
    a unit's id."""

    role: str
    kind: str
    scope: str = ""


@dataclass
class Hold:
    """What logins are still judged by after a change: sandbox times."""

    grants: tuple[Grant, ...]
    until: float
    latest: float


def grants(exchange: "Exchange", object_id: str) -> tuple[Grant, ...]:
    """What the application's assignments say at this moment."""
    found = []
    for row in exchange.management_role_assignments:
        if str(row["App"]).lower() != object_id.lower() or not row["Enabled"]:
            continue
        scope = str(row["_scope"])
        if row["RecipientWriteScope"] == "CustomRecipientScope":
            held = exchange.scope(scope)
            scope = str(held["RecipientFilter"]) if held is not None else ""
        found.append(Grant(str(row["Role"]), str(row["RecipientWriteScope"]), scope))
    return tuple(found)


def covers(exchange: "Exchange", grant: Grant, mailbox: "Mailbox") -> bool:
    """Is the mailbox in the grant's scope?"""
    match grant.kind:
        case "Organization":
            return True
        case "CustomRecipientScope":
            return bool(grant.scope) and recipient_filter.fits(
                recipient_filter.parse(grant.scope), _held(exchange, mailbox)
            )
        case "Group":
            return any(
                str(group.properties["DistinguishedName"]) == grant.scope and group.holds(mailbox)
                for group in exchange.groups
            )
        case _:
            return any(unit.id == grant.scope and unit.members & mailbox.addresses() for unit in exchange.units)


def _held(exchange: "Exchange", mailbox: "Mailbox") -> dict[str, list[str]]:
    """A mailbox's values, by filterable property."""
    held: dict[str, list[str]] = {}
    for name, value in mailbox.properties.items():
        held[name] = [str(one) for one in value] if isinstance(value, list) else [str(value)]
    held["EmailAddresses"] += [address.partition(":")[2] for address in held["EmailAddresses"]]
    held["MemberOfGroup"] = [str(g.properties["DistinguishedName"]) for g in exchange.groups if g.holds(mailbox)]
    return held


def changing(tenant: "Tenant", object_id: str) -> None:
    """To be called before an application's assignments or their scopes change: logins go on by what was, for a time."""
    knob = tenant.faults["rbac-cache"]
    if not knob:
        return
    exchange, now = tenant.exchange, tenant.clock.now()
    standing = exchange.rbac_holds.get(object_id.lower())
    former = standing.grants if standing and now < standing.until else grants(exchange, object_id)
    exchange.rbac_holds[object_id.lower()] = Hold(former, now + knob * IDLE, now + knob)


def honoured(tenant: "Tenant", object_id: str) -> tuple[Grant, ...]:
    """What a login is judged by. Asking keeps what is cached alive, to the knob's whole length (the article: "30 minutes
    … 2 hours depending on the app's usage")."""
    hold, now = tenant.exchange.rbac_holds.get(object_id.lower()), tenant.clock.now()
    if hold is None or now >= hold.until:
        return grants(tenant.exchange, object_id)
    tenant.faults.note("rbac-cache")
    hold.until = min(hold.latest, now + tenant.faults["rbac-cache"] * IDLE)
    return hold.grants
