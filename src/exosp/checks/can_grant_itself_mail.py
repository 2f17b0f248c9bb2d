"""An application can give itself access to mail

What it means: the application holds a permission of Microsoft Graph with which it can consent to any other permission for itself,
or take over an application that has one.

How it is told: consent, as an application, to AppRoleAssignment.ReadWrite.All, Application.ReadWrite.All, Directory.ReadWrite.All or
RoleManagement.ReadWrite.Directory on Microsoft Graph.

Why it matters: AppRoleAssignment.ReadWrite.All lets it consent to Mail.ReadWrite for itself. RoleManagement.ReadWrite.Directory lets
it become Global Administrator. Application.ReadWrite.All lets it put a secret of its own on an application that reads mail.
Directory.ReadWrite.All lets it consent to delegated permissions for all people. It is worth as much as a Global
Administrator, or nearly, without a person behind it.

What to do: give it less: Application.ReadWrite.OwnedBy manages its own applications only; reading needs no write. Keep its
credential as a Global Administrator's.

When it is no problem: the one provisioning application that a few people answer for and watch.

Sources:
- learn.microsoft.com/graph/permissions-reference
- learn.microsoft.com/graph/api/serviceprincipal-post-approleassignments
- learn.microsoft.com/graph/api/oauth2permissiongrant-post
- learn.microsoft.com/graph/api/rbacapplication-post-roleassignments
- learn.microsoft.com/graph/api/application-addpassword
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures
from ..inventory import MICROSOFT_GRAPH, Inventory, Section
from ..permissions import GRANTS_ITSELF
from . import mending
from .words import about, listed

NEEDS: tuple[Section, ...] = ("enterprise-applications", "role-grants")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        values = app.of(MICROSOFT_GRAPH) & GRANTS_ITSELF
        if not values:
            continue
        yield Finding(
            check="can-grant-itself-mail",
            severity="high",
            confidence="high",
            subject=about(app),
            statement=f"{app.name} can give itself access to every mailbox by {' and '.join(sorted(values))}.",
            evidence=(("consent on Microsoft Graph", listed(values)),),
            fix=(
                mending.say("Consent to what it really needs first. Then:"),
                *mending.revoked(app, MICROSOFT_GRAPH, values),
            ),
        )
