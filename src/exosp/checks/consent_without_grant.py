"""Consent to a mail protocol, and no mailbox that it opens

What it means: an administrator consented to IMAP.AccessAsApp, POP.AccessAsApp or SMTP.SendAsApp, and no mailbox grants the
application FullAccess. The consent alone opens nothing.

How it is told: consent to one of the three on Office 365 Exchange Online, and no FullAccess of its own on any mailbox. Where
SMTP.SendAsApp is the only one, a management role "Application SMTP.SendAsApp" counts as a grant too. Where some mailboxes
could not be read it is said with low confidence.

Why it matters: it is half a door. Whoever may set permissions on one mailbox can open that one to the application without
anybody consenting again. Or somebody believes that the application works, and it does not.

What to do: grant the mailboxes that it is for, or take the consent back.

When it is no problem: the application is being set up, or mailboxes are granted to it by a group that is not read here.

Sources:
- learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth
- learn.microsoft.com/entra/identity/enterprise-apps/manage-application-permissions
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures
from ..inventory import Inventory, Section
from ..permissions import PROTOCOLS
from ..snapshot import EXCHANGE_ONLINE
from . import mending
from .words import about, listed

NEEDS: tuple[Section, ...] = (
    "enterprise-applications",
    "role-grants",
    "entries",
    "mailbox-permissions",
    "management-roles",
)


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    unread = inventory.coverage.unread
    for app in apps(inventory):
        if not app.protocols or app.own("FullAccess") or (app.protocols == {"smtp"} and app.smtp_roles):
            continue
        values = sorted(app.of(EXCHANGE_ONLINE) & set(PROTOCOLS))
        yield Finding(
            check="consent-without-grant",
            severity="low",
            confidence="low" if unread else "medium",
            subject=about(app),
            statement=f"{app.name} has consent to {' and '.join(values)}, and no mailbox grants it FullAccess.",
            evidence=(
                ("consent", listed(values)),
                *([("mailboxes that could not be read", str(unread))] if unread else []),
            ),
            fix=tuple(mending.revoked(app, EXCHANGE_ONLINE, values)),
        )
