"""An application that may not sign in still holds access to mail

What it means: the enterprise application is disabled, so nobody gets a token for it, and what it holds is still there.

How it is told: accountEnabled of the enterprise application is False, and the application holds a consent, a grant on a mailbox
or a management role by which mail can be reached.

Why it matters: one switch gives it all back, and who sets that switch may not know what it opens. Applications are often
disabled in an incident, and then forgotten.

What to do: if it is to stay off, take its grants and consents back. If not, find out why it was disabled before it is enabled.

When it is no problem: it was disabled a short time ago, to see who misses it.

Sources:
- learn.microsoft.com/entra/identity/enterprise-apps/disable-user-sign-in-portal
- learn.microsoft.com/graph/api/resources/serviceprincipal (accountEnabled)
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures
from ..inventory import MICROSOFT_GRAPH, Inventory, Section
from ..permissions import PROTOCOLS, TENANT_WIDE
from ..snapshot import EXCHANGE_ONLINE
from . import mending
from .words import about, boxes, listed

NEEDS: tuple[Section, ...] = ("enterprise-applications", "role-grants")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        if app.principal is None or app.principal.enabled or not app.holds:
            continue
        exchange = app.of(EXCHANGE_ONLINE) & {*PROTOCOLS, *TENANT_WIDE[EXCHANGE_ONLINE]}
        graph = app.of(MICROSOFT_GRAPH) & set(TENANT_WIDE[MICROSOFT_GRAPH])
        own = [row for row in app.holdings if not row.grant.inherited]
        yield Finding(
            check="disabled-but-granted",
            severity="low",
            confidence="high",
            subject=about(app),
            statement=f"{app.name} may not sign in, and what it holds is still there.",
            evidence=(
                *([("consent", listed(exchange | graph))] if exchange | graph else []),
                *([("grants", boxes(app.holdings))] if app.holdings else []),
                *(
                    [("management roles", listed(row.role for row in app.application_roles))]
                    if app.application_roles
                    else []
                ),
            ),
            fix=(
                *mending.without(own),
                *mending.revoked(app, EXCHANGE_ONLINE, exchange),
                *mending.revoked(app, MICROSOFT_GRAPH, graph),
                *(mending.no_assignment(row.name) for row in app.application_roles),
            ),
        )
