"""An application may open very many mailboxes

What it means: the application has FullAccess, granted one by one, on more mailboxes than the audit takes for one purpose.

How it is told: FullAccess of its own on more mailboxes than that measure (100 unless told otherwise). Deleted mailboxes count.

Why it matters: each grant was right once, together they are nearly the tenant. Nobody reviews hundreds of grants, and whoever
holds the credential reads them all.

What to do: see which mailboxes it has opened lately and take the others away. A playbook with the mailboxes in it makes that
a list one can read.

When it is no problem: an archive or a help desk that serves all of them. Set it aside with a reason and an end date.

Sources:
- learn.microsoft.com/powershell/module/exchangepowershell/remove-mailboxpermission
- learn.microsoft.com/exchange/permissions-exo/application-rbac
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures, quoted
from ..inventory import Inventory, Section
from . import mending
from .words import about, mailboxes

NEEDS: tuple[Section, ...] = ("entries", "mailbox-permissions")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        held = app.own("FullAccess")
        number = len({row.mailbox.id for row in held})
        if number <= measures.widest:
            continue
        yield Finding(
            check="too-many-mailboxes",
            severity="medium",
            confidence="medium",
            subject=about(app),
            statement=f"{app.name} may open {number} mailboxes, more than {measures.widest}.",
            evidence=(mailboxes(held),),
            fix=(
                mending.exosp(f"exosp audit --app {quoted(app.id)}"),
                mending.say(
                    "Choose the mailboxes that it does not need, and take its FullAccess on each of them back."
                ),
            ),
        )
