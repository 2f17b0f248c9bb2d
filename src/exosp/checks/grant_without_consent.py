"""FullAccess for an application that has no consent to a mail protocol

What it means: mailboxes grant the application FullAccess, and no administrator consented to IMAP.AccessAsApp, POP.AccessAsApp
or SMTP.SendAsApp for it.

How it is told: FullAccess of its own on at least one mailbox, no consent to any of the three on Office 365 Exchange Online, and
no management role "Application SMTP.SendAsApp". It is one finding for the application.

Why it matters: nothing opens today. One consent, which is given in another place and often by other people, opens all of these
mailboxes at once, and nobody is asked about the mailboxes again. Often it is what was left when consent was taken back.

What to do: take the FullAccess back. If the application is to work, consent to the protocol that it uses.

When it is no problem: between granting the mailboxes and the administrator's consent.

Sources:
- learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth
- learn.microsoft.com/powershell/module/exchangepowershell/remove-mailboxpermission
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures
from ..inventory import Inventory, Section
from . import mending
from .words import about, boxes, mailboxes

NEEDS: tuple[Section, ...] = (
    "enterprise-applications",
    "role-grants",
    "entries",
    "mailbox-permissions",
    "management-roles",
)


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        held = app.own("FullAccess")
        if not held or app.protocols or app.smtp_roles:
            continue
        yield Finding(
            check="grant-without-consent",
            severity="medium",
            confidence="high",
            subject=about(app),
            statement=f"{app.name} has FullAccess on {boxes(held)} and no consent to IMAP, POP or SMTP.",
            evidence=(mailboxes(held),),
            fix=tuple(mending.without(held)),
        )
