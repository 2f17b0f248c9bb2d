"""A credential of an application lives too long

What it means: a secret or certificate that is valid now was made to last longer than the audit allows.

How it is told: a live secret or certificate of the registration or of the enterprise application, of which the end lies further
from the start than that measure (366 days unless told otherwise). It is one finding for each. One whose start or end is not known
is not judged; federated credentials have none.

Why it matters: it works for years wherever it was copied to: a mail, a ticket, a former colleague's laptop. Nobody practises
replacing it, so when it must be replaced nobody can.

What to do: make one that lasts half a year or less, hand it over, and remove this one. The tenant's default app management
policy can forbid adding long ones; those that are there go on working.

When it is no problem: a certificate whose key cannot leave its hardware, with a renewal that is practised.

Sources:
- learn.microsoft.com/entra/identity-platform/security-best-practices-for-app-registration
- learn.microsoft.com/graph/api/resources/applicationauthenticationmethodpolicy
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures
from ..inventory import Inventory, Section
from . import mending
from .words import about, called, key, several

NEEDS: tuple[Section, ...] = ("applications", "enterprise-applications")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        for credential in app.credentials:
            if credential.kind == "federated" or not credential.live(inventory.at):
                continue
            if credential.starts is None or credential.ends is None:
                continue
            lasts = credential.ends - credential.starts
            if lasts <= measures.longest:
                continue
            yield Finding(
                check="credential-too-long-lived",
                severity="medium",
                confidence="high",
                subject=about(app),
                statement=f"The {called(credential)} of {app.name} was made to last {several(lasts.days, 'day')}.",
                evidence=(*key(credential), ("longest allowed", several(measures.longest.days, "day"))),
                fix=(
                    mending.say("Make a shorter one and hand it to the application first. Then:"),
                    mending.no_key(app, credential),
                ),
                detail=credential.key_id,
            )
