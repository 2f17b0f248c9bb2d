"""Who may open which mailbox: FullAccess for the application, and SendAs where the playbook asks for it. Where people sign
in they hold rights of their own, which are read, so that a refusal can be explained, and never written.

AutoMapping is off: it means nothing for a service principal. Whose SendAs counts is disputed (Microsoft's page: the
application's; Notifuse#250: the mailbox that signs in), so the playbook says: ``send_as: {from, by: app|mailbox}``.
"""

from collections.abc import Iterator
from dataclasses import replace

from ..errors import Fault, PlaybookError
from ..plan import Change, Drift, Refusal
from ..playbook import Box, Playbook
from ..snapshot import Address, Mailbox, MailboxId, NoMailbox, Snapshot
from ..tenant import Tenant
from ..writes import (
    ENTRY,
    AddMailboxPermission,
    AddRecipientPermission,
    RemoveMailboxPermission,
    RemoveRecipientPermission,
)
from .exchange import NOTHING, listed, regranted, right

WHY_NOT = {
    "absent": ("no mailbox has this address", "check the spelling; a new mailbox can take some minutes to show"),
    "ambiguous": ("several recipients answer to this address", "name the mailbox by its primary address"),
    "mail-user": (
        "it is only a mail user: its mailbox is on premises or elsewhere",
        "Exchange Online cannot grant access to it; migrate the mailbox or drop it from the playbook",
    ),
    "soft-deleted": ("the mailbox is soft-deleted", "restore it, or drop it from the playbook"),
    "group": (
        "it is a Microsoft 365 group's mailbox",
        "IMAP, POP and SMTP logins do not open group mailboxes; use a shared mailbox",
    ),
    "unreadable": ("it could not be read", "see the detail; run again when Exchange answers"),
}


def observe(want: Playbook, tenant: Tenant, seen: Snapshot) -> Snapshot:
    asked = dict.fromkeys(box.address for box in want.boxes)
    asked |= dict.fromkeys(box.send_as.sender for box in want.boxes if box.send_as)
    seen = replace(seen, mailboxes=tenant.exchange.mailboxes(tuple(asked)))
    if seen.entries or want.delegated:
        boxes = seen.found(box.address for box in want.boxes)
        seen = replace(seen, permissions=tenant.exchange.permissions(boxes) if boxes else ())
    wishes = [box.send_as for box in want.boxes if box.send_as is not None]
    senders = seen.found(wish.sender for wish in wishes if seen.entries or wish.by == "mailbox")
    if senders:
        seen = replace(seen, recipient_permissions=tenant.exchange.recipient_permissions(senders))
    return seen


def trustee_forms(seen: Snapshot) -> frozenset[str]:
    """Every text by which a permission row may name our application, lower case."""
    forms: set[str] = set()
    if seen.principal is not None:
        forms.add(seen.principal.object_id.lower())
        entry = right(seen)
        if entry is not None:
            forms |= entry.forms
    return frozenset(forms)


def plan(want: Playbook, seen: Snapshot) -> Iterator[Change | Refusal | Drift]:
    _refuse_aliases(want, seen)
    ours = trustee_forms(seen)
    carried = regranted(want, seen)  # by the repair of Exchange's entry
    opened = {w.mailbox for w in carried if isinstance(w, AddMailboxPermission) and "FullAccess" in w.rights}
    sends = {w.mailbox for w in carried if isinstance(w, AddRecipientPermission)}
    for box in want.boxes:
        mailbox = seen.mailboxes.get(box.address)
        if not isinstance(mailbox, Mailbox):
            yield _refusal(box, mailbox, box.address)
            continue
        if want.delegated:
            continue
        rows = [row for row in seen.permissions if row.mailbox == mailbox.id and row.user in ours]
        if any(row.deny for row in rows):
            yield Refusal(
                "grants", mailbox.address, "a deny entry for the application stands on this mailbox, and deny wins",
                "find out who set it; Remove-MailboxPermission -Deny removes it", str(box.place),
            )  # fmt: skip
        elif (
            want.opens(box)
            and mailbox.id not in opened
            and not any("fullaccess" in {right.lower() for right in row.rights} for row in rows)
        ):
            before = sorted({right for row in rows for right in row.rights})
            yield Change(
                "grants", "grant", mailbox.address, {"rights": before} if before else None,
                {"rights": ["FullAccess"], "login": mailbox.login},
                (AddMailboxPermission(mailbox.id, mailbox.address, ENTRY),),
                "the application may not open this mailbox",
            )  # fmt: skip
        if box.send_as is not None:
            yield from _send_as(box, mailbox, seen, ours, sends)
    yield from _beyond(want, seen)


def _beyond(want: Playbook, seen: Snapshot) -> Iterator[Change | Drift]:
    """Access that the application has and the playbook does not list: shown, and taken away only with ``prune``."""
    entry = right(seen)
    if entry is None:
        return
    held = seen.holdings.get(entry.identity, NOTHING)
    if held.unread:
        yield Drift("grants", entry.name, f"what else it may open could not be read: {held.unread}")
        return
    boxes, senders = listed(want, seen)
    for row in held.permissions:
        more = tuple(sorted(text for text in row.rights if row.mailbox not in boxes or text.lower() != "fullaccess"))
        if row.deny or not more:
            continue
        address, what = (
            held.address(row.mailbox),
            f"{', '.join(more)} for the application, which the playbook does not list",
        )
        if want.prune:
            yield Change(
                "grants", "remove", address, {"rights": sorted(row.rights)}, {"rights": sorted(row.rights - set(more))},
                (RemoveMailboxPermission(row.mailbox, address, ENTRY, more),), f"{what}; and prune is on",
            )  # fmt: skip
        else:
            yield Drift("grants", address, what, access=True)
    for sender in held.recipient_permissions:
        if sender.deny or sender.mailbox in senders:
            continue
        address, what = held.address(sender.mailbox), "SendAs for the application, which the playbook does not list"
        if want.prune:
            yield Change(
                "grants", "remove", f"{address} (SendAs by the application)", {"rights": ["SendAs"]}, {"rights": []},
                (RemoveRecipientPermission(sender.mailbox, address, ENTRY),), f"{what}; and prune is on",
            )  # fmt: skip
        else:
            yield Drift("grants", address, what, access=True)


def _send_as(
    box: Box, mailbox: Mailbox, seen: Snapshot, ours: frozenset[str], carried: set[MailboxId]
) -> Iterator[Change | Refusal]:
    wish = box.send_as
    assert wish is not None
    sender = seen.mailboxes.get(wish.sender)
    if not isinstance(sender, Mailbox):
        yield _refusal(box, sender, wish.sender)
        return
    forms = ours if wish.by == "app" else mailbox.forms | mailbox.addresses
    rows = [row for row in seen.recipient_permissions if row.mailbox == sender.id and row.trustee in forms]
    if any(row.deny for row in rows):
        yield Refusal(
            "grants", sender.address, "a deny entry for SendAs stands on this mailbox, and deny wins",
            "find out who set it; Remove-RecipientPermission -Deny removes it", str(wish.place),
        )  # fmt: skip
    elif not rows and not (wish.by == "app" and sender.id in carried):
        by = "the application" if wish.by == "app" else mailbox.address
        trustee = ENTRY if wish.by == "app" else mailbox.id
        yield Change(
            "grants", "grant", f"{sender.address} (SendAs by {by})", None, {"rights": ["SendAs"], "trustee": by},
            (AddRecipientPermission(sender.id, sender.address, trustee, "" if wish.by == "app" else mailbox.address),),
            f"{mailbox.address} sends as {sender.address}",
        )  # fmt: skip


def _refusal(box: Box, found: NoMailbox | None, address: Address) -> Refusal:
    what, hint = WHY_NOT[found.reason if found else "absent"]
    detail = f" ({found.detail})" if found and found.detail else ""
    return Refusal("grants", address, what + detail, hint, str(box.place))


def _refuse_aliases(want: Playbook, seen: Snapshot) -> None:
    """Two addresses of one mailbox are a mistake that only the tenant can show."""
    first: dict[MailboxId, Box] = {}
    faults = []
    for box in want.boxes:
        mailbox = seen.mailboxes.get(box.address)
        if isinstance(mailbox, Mailbox):
            other = first.setdefault(mailbox.id, box)
            if other is not box:
                faults.append(
                    Fault(
                        box.place.line, box.place.column,
                        f"{box.address} is the same mailbox as {other.address} on line {other.place.line}",
                        f"keep one of them; the mailbox's primary address is {mailbox.address}",
                    )
                )  # fmt: skip
    if faults:
        raise PlaybookError(str(want.path), faults)
