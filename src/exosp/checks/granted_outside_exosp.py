"""Mailboxes were granted to an application without exosp

What it means: an application of this tenant has FullAccess or SendAs on mailboxes, and it was neither made by exosp nor does a
playbook name it.

How it is told: FullAccess or SendAs of its own on at least one mailbox; its registration is here; its uniqueName does not begin with
``exosp-``; and no playbook given to the audit names it. It is one finding for the application.

Why it matters: for these grants there is no playbook, no plan, no journal and no proof by a login. That is no fault. It says
where to look when all mail access is to be written down.

What to do: write a playbook that names the application by its appId and lists the mailboxes; exosp then adopts it.

When it is no problem: nobody said that all access must go by exosp.

Sources:
- learn.microsoft.com/graph/api/application-upsert (uniqueName)
- learn.microsoft.com/powershell/module/exchangepowershell/add-mailboxpermission
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures
from ..inventory import Inventory, Section
from . import mending
from .words import about, boxes, mailboxes

NEEDS: tuple[Section, ...] = ("applications", "entries", "mailbox-permissions")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        held = app.own("FullAccess", "SendAs")
        if not held or app.registration is None or app.wanted or app.registration.unique_name.startswith("exosp-"):
            continue
        yield Finding(
            check="granted-outside-exosp",
            severity="info",
            confidence="medium",
            subject=about(app),
            statement=f"{app.name} was given {boxes(held)} by other means than exosp.",
            evidence=(mailboxes(held), ("uniqueName", app.registration.unique_name or "none")),
            fix=(
                mending.say(
                    f"To let exosp look after it, write a playbook with id: {app.id} under app, and these mailboxes."
                ),
            ),
        )
