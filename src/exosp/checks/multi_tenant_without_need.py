"""An application that opens mailboxes here is open to other tenants

What it means: the registration is multi-tenant: administrators of any other tenant can let it in, and its enterprise application
there uses the same credential as here.

How it is told: signInAudience is AzureADMultipleOrgs or AzureADandPersonalMicrosoftAccount, the application holds something by
which mail can be reached in this tenant, and no playbook says that it is meant to be multi-tenant.

Why it matters: an application of this organization for this organization's mailboxes needs no other tenant. With delegated
permissions, people of other tenants can sign in to it; code that only looks at whether a token is valid takes them for ours.

What to do: make it single-tenant. Where it serves other tenants on purpose, say ``audience: multi-tenant`` in its playbook.

When it is no problem: products that are offered to other tenants.

Sources:
- learn.microsoft.com/entra/identity-platform/single-and-multi-tenant-apps
- learn.microsoft.com/graph/api/resources/application (signInAudience)
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures, quoted
from ..inventory import Inventory, Section
from . import mending
from .words import about

NEEDS: tuple[Section, ...] = ("applications", "role-grants")

AUDIENCES = ("AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        made = app.registration
        if made is None or made.audience not in AUDIENCES or not app.holds:
            continue
        if any(want.multi_tenant for want in app.wanted):
            continue
        yield Finding(
            check="multi-tenant-without-need",
            severity="medium",
            confidence="medium",
            subject=about(app),
            statement=f"{app.name} holds access to mail here, and other tenants can let it in too.",
            evidence=(("signInAudience", made.audience),),
            fix=(
                mending.powershell(
                    f"Update-MgApplication -ApplicationId {quoted(made.object_id)} -SignInAudience AzureADMyOrg -Confirm"
                ),
            ),
        )
