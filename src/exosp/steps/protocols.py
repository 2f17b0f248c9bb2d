"""The protocol switches of each mailbox that needs one on. Per mailbox, never tenant-wide: a mailbox's own setting of
SMTP AUTH wins over the tenant's (learn.microsoft.com, Set-CASMailbox).
"""

from collections.abc import Iterator
from dataclasses import replace

from ..plan import Change, Drift, Refusal
from ..playbook import Playbook
from ..snapshot import Mailbox, Snapshot
from ..tenant import Tenant
from ..writes import SetClientAccess

ALSO_LETS_IN = (
    "SMTP AUTH is off for it; switching it on for this mailbox also admits whoever has its password, "
    "as long as the tenant still allows basic authentication for SMTP"
)


def observe(want: Playbook, tenant: Tenant, seen: Snapshot) -> Snapshot:
    boxes = seen.found(box.address for box in want.boxes)
    seen = replace(seen, client_access=tenant.exchange.client_access(boxes) if boxes else {})
    if any("smtp" in box.protocols for box in want.boxes):
        seen = replace(seen, transport=tenant.exchange.transport())
    return seen


def plan(want: Playbook, seen: Snapshot) -> Iterator[Change | Refusal | Drift]:
    for box in want.boxes:
        mailbox = seen.mailboxes.get(box.address)
        if not isinstance(mailbox, Mailbox) or mailbox.id not in seen.client_access:
            continue
        access = seen.client_access[mailbox.id]
        tenant_off = seen.transport is not None and seen.transport.smtp_auth_disabled
        imap = True if "imap" in box.protocols and not access.imap else None
        pop = True if "pop" in box.protocols and not access.pop else None
        smtp_off = access.smtp_auth_disabled or (access.smtp_auth_disabled is None and tenant_off)
        smtp = False if "smtp" in box.protocols and smtp_off else None
        if imap is None and pop is None and smtp is None:
            continue
        before: dict[str, bool | None] = {}
        after: dict[str, bool | None] = {}
        why = []
        if imap:
            before["ImapEnabled"], after["ImapEnabled"] = False, True
            why.append("IMAP is off for it")
        if pop:
            before["PopEnabled"], after["PopEnabled"] = False, True
            why.append("POP is off for it")
        if smtp is False:
            before["SmtpClientAuthenticationDisabled"] = access.smtp_auth_disabled
            after["SmtpClientAuthenticationDisabled"] = False
            why.append(ALSO_LETS_IN)
        yield Change(
            "protocols", "switch", mailbox.address, before, after,
            (SetClientAccess(mailbox.id, mailbox.address, imap, pop, smtp),), "; ".join(why),
        )  # fmt: skip
