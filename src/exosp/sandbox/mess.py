"""What an administrator's hands leave behind: other applications, wrong object ids, stale entries, switches in any
position. Drawn from one seed; nothing of it is the playbook's own, and nobody who provisions may lose any of it.

Sources of the kinds: office-developer-exchange-docs PR 304 and PR 332 (the application's object id in Exchange), Get-MailboxPermission's help
(-IncludeUnresolvedPermissions: entries of trustees that are gone), and registrations that share a display name.
"""

import random

from . import catalog
from .exchange import Mailbox
from .tenant import Tenant

_NAMES = ("Support Desk Mail", "Ticket Import", "Backup", "Scanner", "CRM Sync", "Archive Reader", "Old Mailer")
_ROLES = ("IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp", "full_access_as_app", "Mail.Read")


def make(tenant: Tenant, seed: int) -> None:
    """Fill a furnished tenant with what others did, long ago and in force."""
    draw = random.Random(f"mess-{seed}")  # noqa: S311 - a seeded emulator, not a secret
    boxes = [box for box in tenant.exchange.mailboxes if box.kind in ("UserMailbox", "SharedMailbox")]
    for name in draw.sample(_NAMES, draw.randint(2, len(_NAMES))):
        _application(tenant, draw, name, boxes)
    for box in boxes:
        if draw.random() < 0.4:
            box.cas["ImapEnabled"] = draw.random() < 0.5
            box.cas["PopEnabled"] = draw.random() < 0.5
        box.cas["SmtpClientAuthenticationDisabled"] = draw.choice([None, None, True, False])
        if draw.random() < 0.3:  # a trustee that is gone: its entry stays, named by its SID alone
            gone = (
                f"S-1-5-21-{draw.getrandbits(31)}-{draw.getrandbits(31)}-{draw.getrandbits(31)}-{draw.getrandbits(20)}"
            )
            tenant.exchange.add_ace(box, gone, ["FullAccess"])
        if draw.random() < 0.3:
            tenant.exchange.add_ace(box, draw.choice(boxes).properties["UserPrincipalName"], ["FullAccess"])
    tenant.exchange.transport_config["SmtpClientAuthenticationDisabled"] = draw.random() < 0.7


def _application(tenant: Tenant, draw: random.Random, name: str, boxes: list[Mailbox]) -> None:
    """An application of somebody else's; perhaps known to Exchange, rightly or not, with some grants."""
    roles = tuple(draw.sample(_ROLES, draw.randint(0, 3)))
    application, principal = catalog.add_application(tenant.directory, name, exchange_roles=roles)
    assert principal is not None
    for number in range(draw.randint(0, 2)):
        catalog.add_secret(tenant.directory, application, f"by hand {number}", draw.choice([1, 180, 730]))
    if draw.random() < 0.3:
        return
    wrong = draw.random() < 0.3
    entry = tenant.exchange.add_service_principal(
        str(application.properties["appId"]), application.id if wrong else principal.id, name, entra=not wrong
    )
    for box in draw.sample(boxes, draw.randint(0, len(boxes))):
        tenant.exchange.add_permission(box, entry)
