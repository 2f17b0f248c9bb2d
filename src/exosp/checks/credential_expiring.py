"""A credential is about to expire, and no other takes over

What it means: a secret or certificate ends soon, and the application has none that lasts longer.

How it is told: a live credential of the registration or of the enterprise application ends within the span that the audit goes by
(30 days unless told otherwise), and no live credential of the application is without an end or ends after that span. It is one
finding for each such credential. A managed identity's are left out: Azure renews them.

Why it matters: on that day the application stops (a secret: AADSTS7000222), in the middle of the night as a rule. Whoever mends it in
a hurry makes a secret for years.

What to do: make a new credential, a certificate or a federated one where the application can use it, hand it over, then remove
the old one.

When it is no problem: the application is to end by then.

Sources:
- learn.microsoft.com/graph/api/application-addpassword
- learn.microsoft.com/entra/identity-platform/reference-error-codes (AADSTS7000222)
- learn.microsoft.com/entra/identity-platform/security-best-practices-for-app-registration
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures
from ..inventory import Inventory, Section
from . import mending
from .words import about, called, day, key, several

NEEDS: tuple[Section, ...] = ("applications", "enterprise-applications")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        live = [credential for credential in app.credentials if credential.live(inventory.at)]
        if any(credential.ends is None or credential.ends - inventory.at > measures.expiring for credential in live):
            continue
        for credential in live:
            assert credential.ends is not None
            left = several((credential.ends - inventory.at).days, "day")
            yield Finding(
                check="credential-expiring",
                severity="medium",
                confidence="high",
                subject=about(app),
                statement=f"The {called(credential)} of {app.name} ends on {day(credential.ends)}, and no other takes over.",
                evidence=(*key(credential), ("left", left)),
                fix=(
                    mending.say(
                        "Make a new credential, hand it to the application, and remove this one when it is no longer used."
                    ),
                ),
                detail=credential.key_id,
            )
