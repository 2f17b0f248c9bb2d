"""A management role of an application has no scope

What it means: RBAC for Applications gives the application a role on mail, calendars or SMTP, and the assignment is for the whole
organization.

How it is told: an assignment to an application of a role whose name begins with "Application ", without a scope, group or
administrative unit. It is one finding for each assignment.

Why it matters: it is the same as consent to every mailbox, in a place where fewer people look. Access policies do not narrow it.

What to do: make a scope of the mailboxes that it needs, assign the role within it, then remove the wide assignment. What was
changed counts after half an hour to two hours.

When it is no problem: backup, archiving or security products that must reach every mailbox and that somebody answers for.

Sources:
- learn.microsoft.com/exchange/permissions-exo/application-rbac
- learn.microsoft.com/powershell/module/exchangepowershell/new-managementroleassignment
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures
from ..inventory import Inventory, Section
from . import mending
from .words import about

NEEDS: tuple[Section, ...] = ("entries", "management-roles")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        for row in app.application_roles:
            if row.by != "organization":
                continue
            yield Finding(
                check="rbac-scope-too-wide",
                severity="high",
                confidence="high",
                subject=about(app),
                statement=f"{app.name} holds {row.role} on every mailbox of the tenant.",
                evidence=(("management role", row.role), ("assignment", row.name), ("scope", "the whole organization")),
                fix=(
                    *mending.scoped(app, [row.role]),
                    mending.say("Only then take the wide assignment away:"),
                    mending.no_assignment(row.name),
                ),
                detail=row.name,
            )
