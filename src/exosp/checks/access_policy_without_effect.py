"""An application access policy narrows nothing

What it means: there is an application access policy for the application, and the application has no consent to a permission that
such a policy narrows.

How it is told: a policy, restricting or denying, names the application's appId, and there is no consent to a mail permission of
Microsoft Graph or of Exchange that reaches every mailbox. It is one finding for the application.

Why it matters: it looks like protection. A policy does not narrow IMAP, POP and SMTP: there FullAccess on each mailbox decides,
and for SMTP a management role's scope. Who counts on the policy does not look at the mailboxes.

What to do: if the policy was meant for IMAP, POP or SMTP, look at the mailboxes that grant the application something. Remove the
policy if nothing needs it.

When it is no problem: it was made before the consent, on purpose, or it narrows calendars or contacts, which are not read here.

Sources:
- learn.microsoft.com/powershell/module/exchangepowershell/new-applicationaccesspolicy
- learn.microsoft.com/exchange/permissions-exo/application-rbac
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures, quoted
from ..inventory import Inventory, Section
from . import mending
from .words import about, boxes, listed

NEEDS: tuple[Section, ...] = ("enterprise-applications", "role-grants", "access-policies")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        if not app.policies or app.tenant_wide:
            continue
        held = app.own("FullAccess")
        yield Finding(
            check="access-policy-without-effect",
            severity="low",
            confidence="medium",
            subject=about(app),
            statement=f"An access policy names {app.name}, which has no consent that such a policy narrows.",
            evidence=(
                ("policies", listed(f"{policy.right} {policy.scope}" for policy in app.policies)),
                ("FullAccess, which it does not narrow", boxes(held)),
            ),
            fix=(
                mending.powershell(f"Get-ApplicationAccessPolicy | Where-Object AppId -eq {quoted(app.id)}"),
                mending.say("Remove each that nothing needs with Remove-ApplicationAccessPolicy -Identity."),
            ),
        )
