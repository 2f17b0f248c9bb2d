"""An application reaches the mail of every mailbox in the tenant

What it means: an administrator consented to a permission that is not bound to a mailbox: full_access_as_app on Exchange, or one
of the Mail and mailbox permissions of Microsoft Graph, as an application. Nobody has to grant a mailbox for it.

How it is told: consent to such an application permission, on Microsoft Graph or on Office 365 Exchange Online, and no
application access policy with RestrictAccess names the application. A policy with DenyAccess leaves all other mailboxes
open and does not count; nor does a management role's scope, because what Entra grants and what Exchange grants add up.

Why it matters: whoever holds its secret reads or sends as everybody, the management and the personnel office too, without a
person's sign-in, multi-factor authentication or a trace in a mailbox's permissions. Lists of mailbox permissions do not show it.

What to do: give it the same right by RBAC for Applications within a scope, then take Entra's consent back. Where that cannot
be done soon, an application access policy narrows the consent for the time being; Microsoft asks not to make new ones, and
wants those that are there moved to RBAC. If it only needs IMAP, POP or SMTP, use their own permissions and grant single mailboxes.

When it is no problem: backup, archiving or security products that must reach every mailbox, that somebody answers for, and
whose credential is well kept. Set it aside with a reason and an end date.

Sources:
- learn.microsoft.com/graph/permissions-reference
- learn.microsoft.com/exchange/permissions-exo/application-rbac
- learn.microsoft.com/powershell/module/exchangepowershell/new-applicationaccesspolicy
"""

from collections.abc import Iterator

from ..apps import App, apps
from ..finding import Finding, Fix, Measures, quoted
from ..inventory import MICROSOFT_GRAPH, Inventory, Section
from ..permissions import ROLES, TENANT_WIDE
from ..snapshot import EXCHANGE_ONLINE, AppId
from . import mending
from .words import about, listed

NEEDS: tuple[Section, ...] = ("enterprise-applications", "role-grants", "access-policies")


def role_of(value: str) -> str:
    """The management role that gives the same as a permission: most bear its name, some without ".All"."""
    if value == "full_access_as_app":
        return "Application EWS.AccessAsApp"
    named = f"Application {value}"
    return named if named in ROLES else named.removesuffix(".All")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        if not app.tenant_wide or app.restricted:
            continue
        values = {
            resource: sorted(app.of(resource) & set(TENANT_WIDE[resource]))
            for resource in (EXCHANGE_ONLINE, MICROSOFT_GRAPH)
        }
        policies = [policy.scope for policy in app.policies]
        yield Finding(
            check="tenant-wide-mail-access",
            severity="critical",
            confidence="high",
            subject=about(app),
            statement=f"{app.name} reaches the mail of every mailbox in the tenant by {' and '.join(app.tenant_wide)}.",
            evidence=(
                *(
                    [("on Office 365 Exchange Online", listed(values[EXCHANGE_ONLINE]))]
                    if values[EXCHANGE_ONLINE]
                    else []
                ),
                *([("on Microsoft Graph", listed(values[MICROSOFT_GRAPH]))] if values[MICROSOFT_GRAPH] else []),
                ("access policies that restrict it", "none"),
                *([("access policies that deny", listed(policies))] if policies else []),
            ),
            fix=tuple(_fix(app, values)),
        )


def _fix(app: App, values: dict[AppId, list[str]]) -> Iterator[Fix]:
    """The same right within a scope, and no consent beside it; or a policy."""
    yield from mending.scoped(app, sorted({role_of(value) for held in values.values() for value in held}))
    yield mending.say("Then take the consent back, for the two add up. So too where it needs none of this:")
    for resource, held in values.items():
        yield from mending.revoked(app, resource, held)
    yield mending.say("Until that is done, a policy narrows the consent to the mailboxes of a group:")
    yield mending.powershell(
        f"New-ApplicationAccessPolicy -AppId {quoted(app.id)} -AccessRight RestrictAccess -PolicyScopeGroupId (Read-Host 'group')"
    )
