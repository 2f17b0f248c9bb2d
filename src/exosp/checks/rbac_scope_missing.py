"""A management role of an application names a scope that is not there

What it means: an assignment to an application is bound to a management scope, and no scope of that name exists.

How it is told: the assignment is narrowed by a management scope, and none of the tenant's scopes has its name. It is one finding
for each assignment.

Why it matters: nobody can tell what the application reaches. It may reach nothing and fail; and whoever makes a scope of that
name again decides what it reaches, without touching the assignment.

What to do: make the scope again as it was meant, or assign the role within another one and remove this assignment.

When it is no problem: never for long. The scope may have been renamed while the audit was reading.

Sources:
- learn.microsoft.com/exchange/permissions-exo/application-rbac
- learn.microsoft.com/powershell/module/exchangepowershell/get-managementscope
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures, quoted
from ..inventory import Inventory, Section
from . import mending
from .words import about

NEEDS: tuple[Section, ...] = ("entries", "management-roles", "management-scopes")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    there = {scope.name.lower() for scope in inventory.scopes}
    for app in apps(inventory):
        for row in app.roles:
            if row.by != "scope" or row.scope.lower() in there:
                continue
            yield Finding(
                check="rbac-scope-missing",
                severity="medium",
                confidence="high",
                subject=about(app),
                statement=f"{app.name} holds {row.role} within the scope {row.scope or 'without a name'}, which is not there.",
                evidence=(("management role", row.role), ("assignment", row.name), ("scope", row.scope)),
                fix=(
                    mending.powershell(f"Get-ManagementRoleAssignment -Identity {quoted(row.name)} | Format-List"),
                    mending.say("Make the scope again as it was meant, or remove the assignment:"),
                    mending.no_assignment(row.name),
                ),
                detail=row.name,
            )
