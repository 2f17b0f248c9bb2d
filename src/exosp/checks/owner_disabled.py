"""An owner of an application is disabled

What it means: somebody who owns the registration or the enterprise application has an account that is switched off, as those
who left have.

How it is told: an owner whose account is known to be disabled. One whose state cannot be seen is not judged. It is one finding
for each such owner.

Why it matters: they still own it: an account that is switched on again, or taken over, may add a secret to the application and
read all its mailboxes. And nobody else may know that they were the one to ask.

What to do: name another owner, then remove this one.

When it is no problem: somebody on long leave, who comes back.

Sources:
- learn.microsoft.com/graph/api/application-delete-owners
- learn.microsoft.com/entra/identity/enterprise-apps/overview-assign-app-owners
"""

from collections.abc import Iterator

from ..apps import App, apps
from ..finding import Finding, Fix, Measures, quoted
from ..inventory import Inventory, Owner, Section
from . import mending
from .words import about

NEEDS: tuple[Section, ...] = ("applications", "enterprise-applications", "owners")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        named: dict[str, Owner] = {}
        for thing in (app.registration, app.principal):
            for owner in (thing.owners or ()) if thing is not None else ():
                if owner.enabled is False:
                    named.setdefault(owner.id, owner)
        for _, owner in sorted(named.items()):
            of, fix = _where(app, owner)
            yield Finding(
                check="owner-disabled",
                severity="medium",
                confidence="high",
                subject=about(app),
                statement=f"{owner.name or owner.id}, who owns {app.name}, is disabled.",
                evidence=(("owner", f"{owner.name} ({owner.id})"), ("owns", " and ".join(of))),
                fix=(mending.say("Name another owner first. Then:"), *fix),
                detail=owner.id,
            )


def _where(app: App, owner: Owner) -> tuple[list[str], list[Fix]]:
    """What this owner owns, and how that ends."""
    of, fix = [], []
    id_ = quoted(owner.id)
    if app.registration is not None and any(row.id == owner.id for row in app.registration.owners or ()):
        of.append("the registration")
        which = quoted(app.registration.object_id)
        fix.append(
            mending.powershell(
                f"Remove-MgApplicationOwnerDirectoryObjectByRef -ApplicationId {which} -DirectoryObjectId {id_} -Confirm"
            )
        )
    if app.principal is not None and any(row.id == owner.id for row in app.principal.owners or ()):
        of.append("the enterprise application")
        which = quoted(app.principal.object_id)
        fix.append(
            mending.powershell(
                f"Remove-MgServicePrincipalOwnerDirectoryObjectByRef -ServicePrincipalId {which} -DirectoryObjectId {id_} -Confirm"
            )
        )
    return of, fix
