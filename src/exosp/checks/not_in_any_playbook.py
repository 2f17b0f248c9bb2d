"""An application reaches mail and stands in no playbook

What it means: playbooks were given to the audit, and none of them names this application, which holds something by which mail can
be reached.

How it is told: it holds a consent to a mail permission, a grant on a mailbox or a management role for applications; and no playbook
names its appId, or the uniqueName that exosp gave it. Without playbooks it is not judged.

Why it matters: the playbooks are what was meant to be. What is not in them nobody decided, or nobody wrote down.

What to do: write a playbook for it, or take its access back.

When it is no problem: products of other makers that are looked after elsewhere. Set them aside with a reason and an end date.

Sources:
- learn.microsoft.com/entra/identity/enterprise-apps/manage-application-permissions
- learn.microsoft.com/exchange/permissions-exo/application-rbac
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures
from ..inventory import MICROSOFT_GRAPH, Inventory, Section
from ..snapshot import EXCHANGE_ONLINE
from . import mending
from .words import about, boxes, listed

NEEDS: tuple[Section, ...] = ("applications", "enterprise-applications", "role-grants")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    if inventory.wanted is None:
        return
    for app in apps(inventory):
        if app.wanted or not app.holds:
            continue
        consents = app.of(EXCHANGE_ONLINE) | app.of(MICROSOFT_GRAPH)
        yield Finding(
            check="not-in-any-playbook",
            severity="low",
            confidence="high",
            subject=about(app),
            statement=f"{app.name} reaches mail and stands in none of the playbooks.",
            evidence=(
                *([("consent", listed(consents))] if consents else []),
                *([("grants", boxes(app.holdings))] if app.holdings else []),
                *(
                    [("management roles", listed(row.role for row in app.application_roles))]
                    if app.application_roles
                    else []
                ),
                ("playbooks", str(len(inventory.wanted))),
            ),
            fix=(mending.say(f"Write a playbook for it, with id: {app.id} under app, or take its access back."),),
        )
