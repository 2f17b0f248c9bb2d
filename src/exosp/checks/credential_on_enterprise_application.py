"""A credential stands on the enterprise application, where nobody looks

What it means: the service principal itself has a secret or certificate that is valid now, beside those of the registration. It
lets its holder sign in as the application in this tenant.

How it is told: a live secret or certificate on the enterprise application, of type Application; managed identities have such
ones by design and are left out. It is one finding for the application.

Why it matters: these do not show on App registrations under Certificates & secrets, so reviews miss them. They can be added to
applications of other tenants too, which lets an intruder sign in as a trusted product.

What to do: ask who added it. Remove it, unless single sign-on by SAML signs with it.

When it is no problem: the certificate signs SAML tokens: an enterprise application with single sign-on has one, made by Entra.

Sources:
- learn.microsoft.com/graph/api/serviceprincipal-removepassword
- learn.microsoft.com/entra/identity/enterprise-apps/tutorial-manage-certificates-for-federated-single-sign-on
- attack.mitre.org/techniques/T1098/001/
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures, quoted
from ..inventory import Inventory, Section
from . import mending
from .words import about, called, day, listed, several

NEEDS: tuple[Section, ...] = ("enterprise-applications",)


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        if app.principal is None or app.principal.kind != "Application":
            continue
        live = [row for row in app.principal.credentials if row.kind != "federated" and row.live(inventory.at)]
        if not live:
            continue
        who = quoted(app.principal.object_id)
        yield Finding(
            check="credential-on-enterprise-application",
            severity="medium",
            confidence="high",
            subject=about(app),
            statement=f"The enterprise application of {app.name} has {several(len(live), 'credential')} of its own.",
            evidence=(("credentials", listed(f"{called(row)} ({row.key_id}), until {day(row.ends)}" for row in live)),),
            fix=tuple(
                mending.powershell(
                    f"Remove-MgServicePrincipalPassword -ServicePrincipalId {who} -KeyId {quoted(row.key_id)} -Confirm"
                )
                if row.kind == "secret"
                else mending.say(f"Remove the certificate with the key ID {row.key_id}, unless single sign-on uses it.")
                for row in sorted(live, key=lambda row: row.key_id)
            ),
        )
