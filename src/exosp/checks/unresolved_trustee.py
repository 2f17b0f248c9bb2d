"""A mailbox permission of somebody whom nobody can name

What it means: a mailbox's list of permissions names a trustee, often a bare SID, that is neither a person nor an application
that the directory or Exchange knows.

How it is told: a grant that is no Deny, stands on the mailbox itself, and names neither a recipient nor an entry for a service
principal. It is one finding for the trustee.

Why it matters: most are what is left of deleted accounts and open nothing. But an application whose entry was deleted and made
anew looks the same, and so does one that an audit cannot match. What cannot be named cannot be approved. Exchange
hides such rows unless it is asked for them, so reviews miss them.

What to do: find out who it was. If nobody knows, take the permission away.

When it is no problem: the trustee is an account of another forest or of your own servers that is known to you.

Sources:
- learn.microsoft.com/powershell/module/exchangepowershell/get-mailboxpermission (IncludeUnresolvedPermissions)
- learn.microsoft.com/powershell/module/exchangepowershell/remove-mailboxpermission
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures, Subject
from ..inventory import Inventory, Section
from . import mending
from .words import listed, several

NEEDS: tuple[Section, ...] = ("entries", "mailbox-permissions")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for trustee, rows in apps(inventory).unresolved.items():
        own = [(mailbox, grant) for mailbox, grant in rows if not grant.inherited]
        if not own:
            continue
        rights = {grant.role if grant.right == "other" and grant.role else grant.right for _, grant in own}
        where = several(len({mailbox.id for mailbox, _ in own}), "mailbox")
        yield Finding(
            check="unresolved-trustee",
            severity="low",
            confidence="medium",
            subject=Subject("trustee", trustee, trustee),
            statement=f"{trustee} holds something on {where}, and nobody can name it.",
            evidence=(
                ("rights", listed(rights)),
                ("mailboxes", listed(mailbox.address for mailbox, _ in own)),
            ),
            fix=tuple(mending.taken((mailbox, grant, trustee) for mailbox, grant in own)),
        )
