"""An application may open, or send as, a mailbox that needs special care

What it means: an application has FullAccess or SendAs on one of the mailboxes that you named as privileged: the management, the
personnel office, a mailbox that resets passwords or receives them.

How it is told: FullAccess or SendAs of its own, not a Deny, on a mailbox whose address matches one of the patterns for privileged
mailboxes. Patterns are compared without regard to capitals; * stands for any text and ? for one character. Without
patterns nothing is found.

Why it matters: such mailboxes hold what opens everything else: contracts, salaries, links that reset passwords. Mail that is
sent as a manager is believed.

What to do: ask whose need it is. If there is none, take the grant away. If there is, let the application have this mailbox alone.

When it is no problem: the need is known and written down. Set it aside with a reason and an end date.

Sources:
- learn.microsoft.com/powershell/module/exchangepowershell/add-mailboxpermission
- learn.microsoft.com/powershell/module/exchangepowershell/add-recipientpermission
"""

import re
from collections.abc import Iterator
from fnmatch import translate

from ..apps import Holding, apps
from ..finding import Finding, Measures
from ..inventory import Inventory, Section
from . import mending
from .words import about, listed

NEEDS: tuple[Section, ...] = ("entries", "mailbox-permissions")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    if not measures.privileged:
        return
    privileged = re.compile("|".join(translate(pattern.lower()) for pattern in measures.privileged))
    for app in apps(inventory):
        found: dict[str, list[Holding]] = {}
        for row in app.own("FullAccess", "SendAs"):
            if privileged.match(row.mailbox.address.lower()):
                found.setdefault(row.mailbox.id, []).append(row)
        for rows in found.values():
            rights = sorted({row.grant.right for row in rows})
            address = rows[0].mailbox.address
            yield Finding(
                check="grant-to-privileged-mailbox",
                severity="high",
                confidence="high",
                subject=about(app, address),
                statement=f"{app.name} has {' and '.join(rights)} on {address}, which is named as privileged.",
                evidence=(("rights", listed(rights)), ("mailbox", rows[0].mailbox.name or address)),
                fix=tuple(mending.without(rows)),
            )
