"""An application can administer Exchange

What it means: the application has consent to run Exchange's cmdlets by itself.

How it is told: consent to Exchange.ManageAsApp, Exchange.ManageAsAppV2 or Exchange.AdminAPI.ManageAsApp on Office 365 Exchange
Online. The consent works only with a directory role or a role group. Which ones it has is not read, so the confidence is medium.

Why it matters: with a role such as Exchange Administrator it can grant itself, or anybody, any mailbox, read what the
administrators' log is to keep, and switch that log's settings. It is as much worth as an administrator's account.

What to do: see which roles it has. Let it have the least: Global Reader or a role group of a few cmdlets. Keep its credential as
an administrator's.

When it is no problem: the automation that administers Exchange, exosp's own sign-in among it, known and well kept.

Sources:
- learn.microsoft.com/powershell/exchange/app-only-auth-powershell-v2
- learn.microsoft.com/exchange/reference/admin-api-authentication (Exchange.ManageAsAppV2)
- learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures, quoted
from ..inventory import Inventory, Section
from ..permissions import MANAGES_EXCHANGE
from ..snapshot import EXCHANGE_ONLINE
from . import mending
from .words import about, listed

NEEDS: tuple[Section, ...] = ("enterprise-applications", "role-grants")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        values = app.of(EXCHANGE_ONLINE) & MANAGES_EXCHANGE
        if not values:
            continue
        who = quoted(app.principal.object_id) if app.principal is not None else ""
        yield Finding(
            check="manages-exchange",
            severity="high",
            confidence="medium",
            subject=about(app),
            statement=f"{app.name} can administer Exchange, and so grant itself any mailbox, where it has a role for it.",
            evidence=(("consent", listed(values)),),
            fix=(
                *(
                    [mending.powershell(f"Get-MgServicePrincipalMemberOf -ServicePrincipalId {who} -All")]
                    if who
                    else []
                ),
                mending.say("Where it needs no cmdlets, take the consent back:"),
                *mending.revoked(app, EXCHANGE_ONLINE, values),
            ),
        )
