"""An application that is to open mailboxes has no enterprise application

What it means: the application is registered, and Exchange or a playbook knows it, but its enterprise application, the service
principal, is not in this tenant. Consent and tokens hang on that one.

How it is told: the registration has an entry in Exchange or stands in a playbook, and no enterprise application has its appId.

Why it matters: it cannot sign in and cannot be consented to. Its entry in Exchange bears an ID of something that is gone, or
that never was. When the enterprise application is made anew it gets another object ID, and the entry is wrong for good.

What to do: make the enterprise application, consent, and make Exchange's entry anew. ``exosp apply`` does all three. Or remove
the entry, if the application is not needed.

When it is no problem: the application is being taken down, or it only signs people in in other tenants.

Sources:
- learn.microsoft.com/entra/identity-platform/app-objects-and-service-principals
- learn.microsoft.com/graph/api/serviceprincipal-post-serviceprincipals
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures, quoted
from ..inventory import Inventory, Section
from . import mending
from .words import about, listed

NEEDS: tuple[Section, ...] = ("applications", "enterprise-applications")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        if app.registration is None or app.principal is not None or not (app.entries or app.wanted):
            continue
        evidence = [("appId", app.id), ("object ID of the registration", app.registration.object_id)]
        if app.entries:
            evidence.append(("object IDs in Exchange", listed(entry.object_id for entry in app.entries)))
        if app.wanted:
            evidence.append(("playbooks", listed(want.file for want in app.wanted)))
        yield Finding(
            check="enterprise-application-missing",
            severity="high",
            confidence="high",
            subject=about(app),
            statement=f"{app.name} is meant to open mailboxes and has no enterprise application in this tenant.",
            evidence=tuple(evidence),
            fix=(
                *(mending.exosp(f"exosp apply {quoted(want.file)}") for want in app.wanted[:1]),
                *(
                    []
                    if app.wanted
                    else [mending.powershell(f"New-MgServicePrincipal -AppId {quoted(app.id)} -Confirm")]
                ),
                mending.say("Then make its entry in Exchange anew, with the new enterprise application's object ID."),
            ),
        )
