"""An application has FullAccess that no mailbox granted

What it means: the application's FullAccess on a mailbox comes from above, from a database or the whole organization, and was not
set on the mailbox.

How it is told: a row of FullAccess for an entry of the application that is marked as inherited and is no Deny. It is one finding
for the application.

Why it matters: it holds for mailboxes that are made later too, and it cannot be taken back on the mailbox. Reviews that look
at what was set on each mailbox do not see it.

What to do: find out where it comes from and remove it there. In Exchange Online that is Microsoft's part: open a support case.
In the meantime a Deny on a mailbox overrules it.

When it is no problem: hardly ever for an application that you registered. Exchange's own accounts have such rows; they are not
counted here.

Sources:
- learn.microsoft.com/powershell/module/exchangepowershell/get-mailboxpermission
- learn.microsoft.com/powershell/module/exchangepowershell/add-mailboxpermission
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures
from ..inventory import Inventory, Section
from . import mending
from .words import about, boxes, mailboxes

NEEDS: tuple[Section, ...] = ("entries", "mailbox-permissions")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        held = [row for row in app.holdings if row.grant.right == "FullAccess" and row.grant.inherited]
        if not held:
            continue
        yield Finding(
            check="full-access-by-inheritance",
            severity="medium",
            confidence="medium",
            subject=about(app),
            statement=f"{app.name} has FullAccess on {boxes(held)} that comes from above.",
            evidence=(mailboxes(held),),
            fix=(
                mending.shown(held[0].mailbox.address),
                mending.say("Remove it where it is set, not on the mailbox: there it cannot be removed."),
            ),
        )
