"""An application has SMTP by consent and by a management role at once

What it means: the application has consent to SMTP.SendAsApp, and the management role "Application SMTP.SendAsApp" too. These are
two ways to the same thing that do not go together.

How it is told: consent to SMTP.SendAsApp on Office 365 Exchange Online and at least one assignment of that role.

Why it matters: with the consent every token carries the permission, and Exchange then asks for FullAccess on the mailbox, as if
there were no role. Mailboxes that only the role's scope lets in are refused with 535 5.7.3, and the scope that was meant
to limit the application does not say what it can reach.

What to do: for the role, take the consent back. For the consent, take the role away and grant FullAccess mailbox by mailbox.

When it is no problem: for the hours in which one way replaces the other.

Sources:
- learn.microsoft.com/exchange/client-developer/legacy-protocols/smtp-app-rbac-onboarding
- learn.microsoft.com/exchange/permissions-exo/application-rbac
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures
from ..inventory import Inventory, Section
from ..snapshot import EXCHANGE_ONLINE
from . import mending
from .words import about, listed

NEEDS: tuple[Section, ...] = ("enterprise-applications", "role-grants", "entries", "management-roles")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        if "smtp" not in app.protocols or not app.smtp_roles:
            continue
        yield Finding(
            check="smtp-mode-mixed",
            severity="high",
            confidence="high",
            subject=about(app),
            statement=f"{app.name} has SMTP both by consent to SMTP.SendAsApp and by a management role.",
            evidence=(
                ("consent", "SMTP.SendAsApp"),
                ("management role assignments", listed(row.name for row in app.smtp_roles)),
            ),
            fix=(
                mending.say("To keep the management role and its scope:"),
                *mending.revoked(app, EXCHANGE_ONLINE, ["SMTP.SendAsApp"]),
                mending.say("Or to keep the consent, with FullAccess on each mailbox:"),
                *(mending.no_assignment(row.name) for row in app.smtp_roles),
            ),
        )
