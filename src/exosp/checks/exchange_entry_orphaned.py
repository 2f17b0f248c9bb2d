"""Exchange holds an application that the directory does not have

What it means: there is an entry for a service principal in Exchange, and neither an application nor an enterprise application
stands behind it. The application was deleted, or the entry was made with an ID that was never one.

How it is told: no registration and no enterprise application has the entry's appId, and no enterprise application has its
object ID.

Why it matters: nobody can sign in by it today. But its grants stay on the mailboxes and hide among those that count. A
deleted enterprise application can be restored for 30 days, with its object ID, and then has what the entry holds. To restore
the registration alone does not bring it back.

What to do: look at what it holds, take that away, then remove the entry.

When it is no problem: shortly after an application was deleted. Exchange removes its entry by itself, and the role assignments
with it; one that stays was missed.

Sources:
- learn.microsoft.com/exchange/permissions-exo/application-rbac
- learn.microsoft.com/powershell/module/exchangepowershell/remove-serviceprincipal
- learn.microsoft.com/entra/architecture/recover-from-deletions
- learn.microsoft.com/graph/api/directory-deleteditems-restore
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures, Subject
from ..inventory import Inventory, Section
from . import mending
from .words import boxes

NEEDS: tuple[Section, ...] = ("entries", "applications", "enterprise-applications")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    known = apps(inventory)
    for app in known:
        if app.registration is not None or app.principal is not None:
            continue
        for entry in app.entries:
            if entry.object_id.lower() in known.object_ids:
                continue
            held = [row for row in app.holdings if row.entry.identity == entry.identity and not row.grant.inherited]
            yield Finding(
                check="exchange-entry-orphaned",
                severity="medium",
                confidence="high",
                subject=Subject("entry", entry.object_id, entry.name or entry.object_id),
                statement=f"Exchange holds {entry.name or entry.object_id}, and the directory has no such application.",
                evidence=(
                    ("appId", entry.app_id),
                    ("object ID in Exchange", entry.object_id),
                    ("grants to this entry", boxes(held)),
                ),
                fix=(*mending.without(held), mending.no_entry(entry)),
                detail=entry.app_id,
            )
