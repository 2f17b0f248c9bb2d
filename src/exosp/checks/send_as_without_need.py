"""An application may send as a mailbox and has no way to send

What it means: the application has SendAs, the right to put a mailbox's address under its mail, and neither a consent nor a
management role by which it could send mail at all.

How it is told: SendAs of its own on at least one mailbox; no consent to SMTP.SendAsApp, Mail.Send or full_access_as_app; and no
management role that sends (Application SMTP.SendAsApp, Mail.Send, Mail Full Access, Exchange Full Access, EWS.AccessAsApp). It
is one finding for the application.

Why it matters: it is not used and was likely never needed: many guides grant SendAs beside FullAccess by habit. One consent
later the application sends as these mailboxes.

What to do: take SendAs away. An application that only reads mail does not need it, and one that sends as the mailbox it signs
in to needs FullAccess alone.

When it is no problem: consent to send is about to be given.

Sources:
- learn.microsoft.com/powershell/module/exchangepowershell/remove-recipientpermission
- learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth
- learn.microsoft.com/exchange/permissions-exo/application-rbac
"""

from collections.abc import Iterator

from ..apps import App, apps
from ..finding import Finding, Measures
from ..inventory import Inventory, Section
from ..permissions import ROLES
from . import mending
from .words import about, boxes, mailboxes

NEEDS: tuple[Section, ...] = (
    "enterprise-applications", "role-grants", "entries", "recipient-permissions", "management-roles",
)  # fmt: skip

SENDING = frozenset({"SMTP.SendAsApp", "Mail.Send", "full_access_as_app"})
_ROLES = frozenset(name.lower() for name, reaches in ROLES.items() if any(can == "send" for _, can in reaches))


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        held = app.own("SendAs")
        if not held or _sends(app):
            continue
        yield Finding(
            check="send-as-without-need",
            severity="medium",
            confidence="high",
            subject=about(app),
            statement=f"{app.name} may send as {boxes(held)} and has no permission by which it could send.",
            evidence=(mailboxes(held),),
            fix=tuple(mending.without(held)),
        )


def _sends(app: App) -> bool:
    return any(values & SENDING for values in app.values.values()) or any(
        role.role.lower() in _ROLES for role in app.roles
    )
