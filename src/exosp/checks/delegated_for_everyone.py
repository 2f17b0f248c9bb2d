"""An application may use everybody's mail once they sign in to it

What it means: an administrator consented to delegated mail permissions for all people of the tenant. Whoever signs in to the
application gives it their mailbox, and those that they share in, without being asked.

How it is told: a grant of delegated permissions for all people (consentType AllPrincipals) that holds one which reaches mail, by
IMAP, POP, SMTP, EWS, Graph or as an administrator of Exchange. It is one finding for the application.

Why it matters: nobody sees a consent page, so nobody notices. One click on a link is enough for the application to get a token
for that person's mail, and with a refresh token it keeps it for months. If its registration is multi-tenant, or its
redirect address can be taken over, so can the mail.

What to do: take out the scopes that it does not need. Let single people or a group use it: require assignment on the enterprise
application, and consent for those people only.

When it is no problem: a mail client that the whole organization is to use, such as one for phones.

Sources:
- learn.microsoft.com/graph/api/resources/oauth2permissiongrant
- learn.microsoft.com/entra/identity/enterprise-apps/manage-application-permissions
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures, quoted
from ..inventory import MICROSOFT_GRAPH, Inventory, Section
from ..permissions import DELEGATED
from ..snapshot import AppId
from . import mending
from .words import about, listed

NEEDS: tuple[Section, ...] = ("enterprise-applications", "scope-grants")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        found: dict[str, set[str]] = {}
        people = 0
        for row in app.delegated:
            people += row.people
            resource = AppId(row.resource.lower())
            if reaching := row.everyone & DELEGATED.get(resource, frozenset()):
                name = "on Microsoft Graph" if resource == MICROSOFT_GRAPH else "on Office 365 Exchange Online"
                found.setdefault(name, set()).update(reaching)
        if not found:
            continue
        values = sorted(set().union(*found.values()))
        fix = [mending.say("Require assignment, so that only chosen people can sign in to it, or take the grant away:")]
        if app.principal is not None:
            who = quoted(app.principal.object_id)
            fix += [
                mending.powershell(
                    f"Update-MgServicePrincipal -ServicePrincipalId {who} -AppRoleAssignmentRequired -Confirm"
                ),
                mending.powershell(
                    f"Get-MgServicePrincipalOauth2PermissionGrant -ServicePrincipalId {who} -All"
                    " | Where-Object ConsentType -eq 'AllPrincipals' | Format-List"
                ),
            ]
        yield Finding(
            check="delegated-for-everyone",
            severity="medium",
            confidence="high",
            subject=about(app),
            statement=f"{app.name} may use the mail of everybody who signs in to it, by {' and '.join(values)}.",
            evidence=(
                *((name, listed(scopes)) for name, scopes in sorted(found.items())),
                *([("persons who consented by themselves", str(people))] if people else []),
            ),
            fix=tuple(fix),
        )
