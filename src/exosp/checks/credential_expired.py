"""A credential of an application has expired

What it means: a secret, certificate or other credential stands on the application and its end is over.

How it is told: a credential of the registration or of the enterprise application that ended at or before the time of the audit.
It is one finding for each credential. A managed identity's are left out: Azure renews them.

Why it matters: if it is the one in use, the application has stopped: a secret is refused with AADSTS7000222. If it is not,
it hides in a list those that do count, and nobody knows any more which secret is used where.

What to do: if something still uses it, make a new one first. Then remove the old one.

When it is no problem: it lets nobody in. It is only untidy.

Sources:
- learn.microsoft.com/graph/api/application-removepassword
- learn.microsoft.com/entra/identity-platform/reference-error-codes (AADSTS7000222)
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures
from ..inventory import Inventory, Section
from . import mending
from .words import about, called, day, key

NEEDS: tuple[Section, ...] = ("applications", "enterprise-applications")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        for credential in app.credentials:
            if credential.ends is None or credential.ends > inventory.at:
                continue
            yield Finding(
                check="credential-expired",
                severity="low",
                confidence="high",
                subject=about(app),
                statement=f"The {called(credential)} of {app.name} expired on {day(credential.ends)}.",
                evidence=key(credential),
                fix=(mending.no_key(app, credential),),
                detail=credential.key_id,
            )
