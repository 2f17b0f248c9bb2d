"""An application has several live secrets

What it means: two or more client secrets of the application are valid at the same time.

How it is told: two or more live secrets on the registration and the enterprise application together. It is one finding for the
application.

Why it matters: each is a key to the same mailboxes, and the second is rarely known to those who keep the first. A secret that
was added quietly is how an intruder stays: the application goes on working and nobody notices.

What to do: find out by the sign-in logs which one is used, and remove the others.

When it is no problem: for the days in which one replaces another.

Sources:
- learn.microsoft.com/graph/api/application-removepassword
- learn.microsoft.com/entra/identity-platform/security-best-practices-for-app-registration
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures
from ..inventory import Inventory, Section
from . import mending
from .words import about, called, day, listed

NEEDS: tuple[Section, ...] = ("applications", "enterprise-applications")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        secrets = [row for row in app.credentials if row.kind == "secret" and row.live(inventory.at)]
        if len(secrets) < 2:
            continue
        yield Finding(
            check="several-live-secrets",
            severity="low",
            confidence="high",
            subject=about(app),
            statement=f"{app.name} has {len(secrets)} secrets that are valid at the same time.",
            evidence=(("secrets", listed(f"{called(row)} ({row.key_id}), until {day(row.ends)}" for row in secrets)),),
            fix=(
                mending.say("Find out by the sign-in logs which one is used, and remove the others, one at a time:"),
                *mending.some_key(app, secrets),
            ),
        )
