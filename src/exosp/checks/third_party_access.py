"""Somebody else's application can reach mail here

What it means: the application is registered in another tenant. Its enterprise application here holds access to mail, and its
credential is kept by whoever runs that other tenant.

How it is told: the application holds something by which mail can be reached, and its home (appOwnerOrganizationId) is neither
this tenant nor one of Microsoft's own.

Why it matters: its maker can read the mail without anybody of this organization doing anything, and so can whoever breaks into
the maker. Its secrets cannot be seen or ended from here; only the access can.

What to do: ask who bought it and whether it is still used. Keep its access as narrow as it gets: single mailboxes or a scope.
If nobody knows it, switch its sign-in off, see who complains, and remove it.

When it is no problem: a product that is known, under contract, and reaches no more than it needs. Set it aside with a reason
and an end date.

Sources:
- learn.microsoft.com/graph/api/resources/serviceprincipal (appOwnerOrganizationId)
- learn.microsoft.com/troubleshoot/entra/entra-id/governance/verify-first-party-apps-sign-in
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures
from ..inventory import Inventory, Section
from ..permissions import PROTOCOLS
from ..snapshot import EXCHANGE_ONLINE
from . import mending
from .words import about, boxes, listed

NEEDS: tuple[Section, ...] = ("enterprise-applications", "role-grants")

MICROSOFT = ("f8cdef31-a31e-4b4a-93e4-5f571e91255a", "72f988bf-86f1-41af-91ab-2d7cd011db47")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    ours = (inventory.tenant_id.lower(), *MICROSOFT)
    for app in apps(inventory):
        home = app.principal.home.lower() if app.principal is not None else ""
        if app.principal is None or not home or not inventory.tenant_id or home in ours or not app.holds:
            continue
        consents = {*app.tenant_wide, *(app.of(EXCHANGE_ONLINE) & set(PROTOCOLS))}
        yield Finding(
            check="third-party-access",
            severity="medium",
            confidence="high",
            subject=about(app),
            statement=f"{app.name} can reach mail here, and its credential is held in another tenant.",
            evidence=(
                ("registered in tenant", app.principal.home),
                *([("consent", listed(consents))] if consents else []),
                *([("grants", boxes(app.holdings))] if app.holdings else []),
                *(
                    [("management roles", listed(row.role for row in app.application_roles))]
                    if app.application_roles
                    else []
                ),
            ),
            fix=(
                mending.say("Ask who needs it. If nobody does, switch its sign-in off:"),
                mending.disabled(app.principal),
            ),
        )
