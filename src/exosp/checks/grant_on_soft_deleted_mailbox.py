"""An application holds something on a deleted mailbox

What it means: the mailbox was deleted and can still be brought back, and its permissions name the application.

How it is told: a grant of its own, not a Deny, on a mailbox that is soft-deleted. It is one finding for the application and
mailbox.

Why it matters: no login opens it now. When the mailbox is restored, or kept for a legal hold and opened by an administrator, the
application is let in again without being asked.

What to do: take the grant away, or leave it if the mailbox is soon gone for good (30 days after its deletion, without a hold).

When it is no problem: the mailbox was deleted with the application's end in mind.

Sources:
- learn.microsoft.com/exchange/recipients-in-exchange-online/delete-or-restore-mailboxes
- learn.microsoft.com/powershell/module/exchangepowershell/remove-mailboxpermission (SoftDeletedMailbox)
"""

from collections.abc import Iterator

from ..apps import Holding, apps
from ..finding import Finding, Measures
from ..inventory import Inventory, Section
from . import mending
from .words import about, listed

NEEDS: tuple[Section, ...] = ("entries", "mailbox-permissions")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        found: dict[str, list[Holding]] = {}
        for row in app.holdings:
            if row.mailbox.kind == "soft-deleted" and not row.grant.inherited:
                found.setdefault(row.mailbox.id, []).append(row)
        for rows in found.values():
            address = rows[0].mailbox.address
            rights = sorted({row.grant.right for row in rows})
            yield Finding(
                check="grant-on-soft-deleted-mailbox",
                severity="low",
                confidence="medium",
                subject=about(app, address),
                statement=f"{app.name} has {' and '.join(rights)} on {address}, which is deleted and can be brought back.",
                evidence=(("rights", listed(rights)), ("mailbox ID", rows[0].mailbox.id)),
                fix=tuple(mending.without(rows)),
            )
