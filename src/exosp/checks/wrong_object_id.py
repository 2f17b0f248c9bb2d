"""Exchange holds an application under a wrong object ID

What it means: an application has two object IDs. The one on App registrations is its registration's, the one on Enterprise
applications its service principal's. Exchange's entry for the application must bear the second. This entry bears another ID.

How it is told: the directory has an enterprise application with the entry's appId, and its object ID is not the entry's. The
evidence says whether the entry bears the registration's own object ID, which is the usual mistake.

Why it matters: whatever is granted to such an entry opens nothing. Logins end with ``AUTHENTICATE failed`` or ``535 5.7.3``,
and people then grant more and more to an application that needed one right entry. If the ID is that of another
application, that one is let in by grants that were meant for this one.

What to do: an entry's ID cannot be changed. Remove the entry, make it anew with the right ID, and grant the mailboxes again.
``exosp apply`` does it for an application of a playbook and carries its grants over.

When it is no problem: never while the entry is wanted. An entry that nobody needs can be removed without a new one.

Sources:
- learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth
- learn.microsoft.com/powershell/module/exchangepowershell/new-serviceprincipal
- learn.microsoft.com/powershell/module/exchangepowershell/set-serviceprincipal
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures, Subject
from ..inventory import Inventory, Section
from . import mending
from .words import boxes

NEEDS: tuple[Section, ...] = ("entries", "enterprise-applications")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        if app.principal is None:
            continue
        right = app.principal.object_id
        there = any(entry.object_id.lower() == right.lower() for entry in app.entries)
        for entry in app.entries:
            if entry.object_id.lower() == right.lower():
                continue
            held = [row for row in app.holdings if row.entry.identity == entry.identity and not row.grant.inherited]
            own = app.registration is not None and entry.object_id.lower() == app.registration.object_id.lower()
            whose = "the registration's own object ID" if own else "not an ID of this application"
            yield Finding(
                check="wrong-object-id",
                severity="high",
                confidence="high",
                subject=Subject("entry", entry.object_id, entry.name or app.name),
                statement=f"Exchange holds {app.name} under an object ID that is not its enterprise application's.",
                evidence=(
                    ("appId", app.id),
                    ("object ID in Exchange", entry.object_id),
                    ("object ID of the enterprise application", right),
                    ("the ID in Exchange is", whose),
                    ("grants to this entry", boxes(held)),
                ),
                fix=(
                    mending.no_entry(entry),
                    *([] if there else [mending.new_entry(app.principal)]),
                    *mending.given(held, right),
                ),
                detail=entry.app_id,
            )
