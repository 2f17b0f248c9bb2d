"""An application may open a mailbox by a protocol that is off there

What it means: the application has consent to a protocol and FullAccess on the mailbox, and the mailbox has that protocol switched
off. The login fails.

How it is told: FullAccess of its own; consent to IMAP.AccessAsApp, POP.AccessAsApp or SMTP.SendAsApp; and that protocol is off for
the mailbox. For SMTP the mailbox's own setting counts, else the tenant's. It is one finding for the application and mailbox,
and names the protocols.

Why it matters: either somebody waits for an application that cannot work, or the grant is left over. Whoever switches the
protocol on, for another reason, opens the mailbox to the application too.

What to do: take the FullAccess back, or switch the protocol on for this mailbox.

When it is no problem: the application has consent to several protocols and uses another one here.

Sources:
- learn.microsoft.com/powershell/module/exchangepowershell/set-casmailbox
- learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/authenticated-client-smtp-submission
"""

from collections.abc import Iterator

from ..apps import Holding, apps
from ..finding import Finding, Measures
from ..inventory import Inventory, MailboxRecord, Section
from ..snapshot import Protocol
from . import mending
from .words import about

NEEDS: tuple[Section, ...] = (
    "enterprise-applications",
    "role-grants",
    "entries",
    "mailbox-permissions",
    "client-access",
)


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    tenant = inventory.organization.smtp_auth_disabled
    for app in apps(inventory):
        if not app.protocols:
            continue
        found: dict[str, list[Holding]] = {}
        for row in app.own("FullAccess"):
            found.setdefault(row.mailbox.id, []).append(row)
        for rows in found.values():
            mailbox = rows[0].mailbox
            off = sorted(app.protocols & _off(mailbox, tenant))
            if not off:
                continue
            names = " and ".join(name.upper() for name in off)
            yield Finding(
                check="protocol-off-but-granted",
                severity="low",
                confidence="medium",
                subject=about(app, mailbox.address),
                statement=f"{app.name} may open {mailbox.address} by {names}, which is off there.",
                evidence=(("protocols that are off", names),),
                fix=tuple(mending.without(rows)),
            )


def _off(mailbox: MailboxRecord, tenant: bool | None) -> set[Protocol]:
    access = mailbox.access
    if access is None:
        return set()
    own = access.smtp_auth_disabled
    smtp_off = tenant if own is None else own
    switches: tuple[tuple[Protocol, bool], ...] = (
        ("imap", not access.imap),
        ("pop", not access.pop),
        ("smtp", smtp_off is True),
    )
    return {protocol for protocol, off in switches if off}
