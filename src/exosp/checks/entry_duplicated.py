"""Exchange holds an application more than once

What it means: more than one entry for a service principal in Exchange bears the same appId.

How it is told: two or more entries have one appId; it is one finding for the application.

Why it matters: only the entry with the enterprise application's object ID lets the application in. Grants to the others
look the same in a list and open nothing, so that nobody can tell what is granted. Display names become ambiguous, and
a command may grant to the wrong one.

What to do: keep the entry with the enterprise application's object ID. Grant its mailboxes to that one, then remove the others.

When it is no problem: while an entry with a wrong ID is being replaced.

Sources:
- learn.microsoft.com/powershell/module/exchangepowershell/get-serviceprincipal
- learn.microsoft.com/powershell/module/exchangepowershell/new-serviceprincipal
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Fix, Measures
from ..inventory import Inventory, Section
from . import mending
from .words import about, listed

NEEDS: tuple[Section, ...] = ("entries",)


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        if len(app.entries) < 2:
            continue
        right = app.principal.object_id.lower() if app.principal else ""
        others = [entry for entry in app.entries if entry.object_id.lower() != right]
        moved = [row for row in app.holdings if row.entry in others and not row.grant.inherited]
        fix: tuple[Fix, ...]
        if app.principal is None or len(others) == len(app.entries):
            fix = (
                mending.say(
                    "None of them has a known enterprise application's object ID: mend that first, then remove them."
                ),
            )
        elif not others:
            fix = (mending.say("All of them have the right object ID: keep one that mailboxes grant something to."),)
        else:
            fix = (*mending.given(moved, app.principal.object_id), *map(mending.no_entry, others))
        yield Finding(
            check="entry-duplicated",
            severity="low",
            confidence="high",
            subject=about(app),
            statement=f"Exchange holds {app.name} {len(app.entries)} times.",
            evidence=(
                ("object IDs in Exchange", listed(entry.object_id for entry in app.entries)),
                ("object ID of the enterprise application", app.principal.object_id if app.principal else "none"),
            ),
            fix=fix,
        )
