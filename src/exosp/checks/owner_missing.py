"""Nobody owns an application

What it means: the registration has no owner.

How it is told: the owners of the registration were read, and there are none. Applications of other tenants and managed identities
have no registration here and are not judged.

Why it matters: nobody is asked when its secret ends, when it is not used any more, or when it does what it should not. It stays
with all that it holds.

What to do: name two people who answer for it. An owner may add credentials to it, so choose people, not a crowd.

When it is no problem: applications that are run by a pipeline and answered for elsewhere. An owner can do all that the
application can: some organizations have none on purpose.

Sources:
- learn.microsoft.com/graph/api/application-list-owners
- learn.microsoft.com/entra/identity/enterprise-apps/overview-assign-app-owners
- learn.microsoft.com/entra/identity-platform/security-best-practices-for-app-registration
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures
from ..inventory import Inventory, Section
from . import mending
from .words import about, day

NEEDS: tuple[Section, ...] = ("applications", "owners")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        if app.registration is None or app.registration.owners != ():
            continue
        yield Finding(
            check="owner-missing",
            severity="low",
            confidence="medium",
            subject=about(app),
            statement=f"{app.name} has no owner.",
            evidence=(("created", day(app.registration.created)),),
            fix=(mending.owned(app.registration),),
        )
