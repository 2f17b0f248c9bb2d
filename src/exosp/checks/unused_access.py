"""An application that nobody uses holds access to mail

What it means: the application holds something by which mail can be reached, and has not got a token by itself for long.

How it is told: Entra's sign-in activity shows no sign-in as an application, or one longer ago than the audit allows (90 days
unless told otherwise), and its newest consent and its creation are longer ago than that too. Where none of these has a date it
counts as old. Tokens for people who sign in to it do not count. One without an enterprise application cannot sign in at all,
and other checks name it.

Why it matters: what nobody uses nobody watches. Its credential still works.

What to do: switch its sign-in off and wait for a month. If nobody misses it, take the access back and delete it.

When it is no problem: it runs once a year. Entra's activity report does not cover every cloud and every licence.

Sources:
- learn.microsoft.com/graph/api/resources/serviceprincipalsigninactivity?view=graph-rest-beta
- learn.microsoft.com/entra/identity/monitoring-health/recommendation-remove-unused-apps
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures
from ..inventory import Inventory, Section
from . import mending
from .words import about, day, several

NEEDS: tuple[Section, ...] = ("enterprise-applications", "role-grants", "last-use")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        if not app.holds or app.principal is None:  # what the directory does not have cannot sign in
            continue
        used = max((use.as_application for use in app.uses if use.as_application is not None), default=None)
        made = [thing.created for thing in (app.registration, app.principal) if thing is not None]
        begun = max((at for at in (*made, *(row.created for row in app.consents)) if at is not None), default=None)
        if any(at is not None and inventory.at - at <= measures.unused for at in (used, begun)):
            continue
        yield Finding(
            check="unused-access",
            severity="low",
            confidence="medium",
            subject=about(app),
            statement=f"{app.name} holds access to mail and has not signed in for {several(measures.unused.days, 'day')} or more.",
            evidence=(
                ("last sign-in as an application", day(used) if used else "none that Entra knows of"),
                ("newest consent or creation", day(begun)),
            ),
            fix=(
                *([mending.disabled(app.principal)] if app.principal.enabled else []),
                mending.say("If nobody misses it within a month, take its grants and consents back and delete it."),
            ),
        )
