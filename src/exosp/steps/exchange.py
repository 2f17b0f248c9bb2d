"""Exchange's own record of the application: New-ServicePrincipal with the enterprise application's object ID.

An entry with any other object ID makes every login fail and says so nowhere else
(office-developer-exchange-docs PR 304, PR 332; Set-ServicePrincipal cannot change it). It is replaced as one change:
what it was granted is taken from it while Exchange still knows the name, it goes, the right one comes and is granted
the same again. Without the grants known for sure, nothing of it is done.
"""

from collections.abc import Iterator
from dataclasses import replace

from ..plan import Change, Drift, Refusal
from ..playbook import Playbook
from ..snapshot import ExchangeEntry, Holdings, MailboxId, Snapshot
from ..tenant import Tenant
from ..writes import (
    APP_ID,
    ENTRY,
    PRINCIPAL,
    AddMailboxPermission,
    AddRecipientPermission,
    ExchangeWrite,
    NewServicePrincipal,
    RemoveMailboxPermission,
    RemoveRecipientPermission,
    RemoveServicePrincipal,
)

NOTHING = Holdings(unread="it was not asked")


def observe(want: Playbook, tenant: Tenant, seen: Snapshot) -> Snapshot:
    if seen.application is None:
        return replace(seen, entries=(), holdings={})
    entries = tenant.exchange.entries(seen.application.app_id)
    return replace(
        seen, entries=entries, holdings={entry.identity: tenant.exchange.holdings(entry) for entry in entries}
    )


def plan(want: Playbook, seen: Snapshot) -> Iterator[Change | Refusal | Drift]:
    entries = of_ours(seen)
    if not entries:
        yield Change(
            "exchange", "create", want.app.name, None, {"ObjectId": "the enterprise application's object ID"},
            (NewServicePrincipal(APP_ID, PRINCIPAL, want.app.name),), "Exchange does not know the application",
        )  # fmt: skip
        return
    bad = wrong(seen)
    if not bad:
        return
    refusals = [refusal for entry in bad for refusal in _refusals(entry, seen)]
    if refusals:
        yield from refusals
        return
    news = () if len(bad) < len(entries) else (NewServicePrincipal(APP_ID, PRINCIPAL, want.app.name),)
    away = tuple(write for entry in bad for write in _taken(entry, seen))
    gone = tuple(RemoveServicePrincipal(entry.identity, entry.object_id) for entry in bad)
    again = regranted(want, seen)
    yield Change(
        "exchange", "repair", want.app.name,
        {"ObjectId": [entry.object_id for entry in bad], "grants": sorted(_shown(write) for write in away)},
        {"ObjectId": "the enterprise application's object ID", "grants": sorted(_shown(write) for write in again)},
        (*away, *gone, *news, *again), "; ".join(_named(entry, seen) for entry in bad),
    )  # fmt: skip


def of_ours(seen: Snapshot) -> list[ExchangeEntry]:
    """Every entry that bears the application's appId."""
    app = seen.application
    return [entry for entry in seen.entries if app is not None and entry.app_id.lower() == app.app_id.lower()]


def right(seen: Snapshot) -> ExchangeEntry | None:
    """The entry that logins go by. None where there is no enterprise application, whatever Exchange holds."""
    mine = seen.principal
    held = (entry for entry in of_ours(seen) if mine is not None and entry.object_id.lower() == mine.object_id.lower())
    return next(held, None)


def wrong(seen: Snapshot) -> list[ExchangeEntry]:
    """The entries that no login goes by."""
    good = right(seen)
    return [entry for entry in of_ours(seen) if entry is not good]


def regranted(want: Playbook, seen: Snapshot) -> tuple[AddMailboxPermission | AddRecipientPermission, ...]:
    """What the repair grants to the right entry, since a wrong one held it. With ``prune`` only what the playbook lists.
    Nothing where the repair is refused."""
    bad = wrong(seen)
    if any(refusal for entry in bad for refusal in _refusals(entry, seen)):
        return ()
    good = right(seen)
    own = seen.holdings.get(good.identity, NOTHING) if good else NOTHING
    open_to = {(row.mailbox, text.lower()) for row in own.permissions if not row.deny for text in row.rights}
    sends = {row.mailbox for row in own.recipient_permissions if not row.deny}
    boxes, senders = listed(want, seen)
    found: dict[AddMailboxPermission | AddRecipientPermission, None] = {}
    for write in (write for entry in bad for write in _taken(entry, seen)):
        if isinstance(write, RemoveMailboxPermission):
            rights = tuple(text for text in write.rights if (write.mailbox, text.lower()) not in open_to)
            if want.prune:
                rights = tuple(text for text in rights if text.lower() == "fullaccess" and write.mailbox in boxes)
            if rights:
                found[AddMailboxPermission(write.mailbox, write.address, ENTRY, rights)] = None
        elif write.mailbox not in sends and (not want.prune or write.mailbox in senders):
            found[AddRecipientPermission(write.mailbox, write.address, ENTRY)] = None
    return tuple(sorted(found, key=lambda write: isinstance(write, AddRecipientPermission)))


def listed(want: Playbook, seen: Snapshot) -> tuple[set[MailboxId], set[MailboxId]]:
    """The mailboxes that the application is to open, and those that it is to send as."""
    boxes = {box.id for box in seen.found(box.address for box in want.boxes)}
    senders = {box.send_as.sender for box in want.boxes if box.send_as and box.send_as.by == "app"}
    return boxes, {box.id for box in seen.found(senders)}


def removals(entry: ExchangeEntry, seen: Snapshot) -> tuple[ExchangeWrite, ...]:
    """All that takes an entry out of Exchange with what it was granted, in order."""
    return (*_taken(entry, seen), RemoveServicePrincipal(entry.identity, entry.object_id))


def _taken(entry: ExchangeEntry, seen: Snapshot) -> Iterator[RemoveMailboxPermission | RemoveRecipientPermission]:
    held = seen.holdings.get(entry.identity, NOTHING)
    for row in held.permissions:
        if not row.deny:
            rights = tuple(sorted(row.rights))
            yield RemoveMailboxPermission(row.mailbox, held.address(row.mailbox), entry.object_id, rights)
    for sender in held.recipient_permissions:
        if not sender.deny:
            yield RemoveRecipientPermission(sender.mailbox, held.address(sender.mailbox), entry.object_id)


def _refusals(entry: ExchangeEntry, seen: Snapshot) -> Iterator[Refusal]:
    held = seen.holdings.get(entry.identity, NOTHING)
    if held.unread:
        yield Refusal(
            "exchange", entry.name, f"{_named(entry, seen)}; what it was granted could not be read: {held.unread}",
            f"note its grants, then Remove-ServicePrincipal -Identity {entry.identity}, and run apply again",
        )  # fmt: skip
    denied = [held.address(row.mailbox) for row in (*held.permissions, *held.recipient_permissions) if row.deny]
    if denied:
        yield Refusal(
            "exchange", entry.name, f"{_named(entry, seen)}; and a deny entry names it on {', '.join(sorted(denied))}",
            "deny entries are somebody's decision and are not carried over: remove or set them anew by hand, and run "
            "apply again",
        )  # fmt: skip


def _named(entry: ExchangeEntry, seen: Snapshot) -> str:
    """What is wrong with an entry, for what it is."""
    app, mine = seen.application, seen.principal
    if right(seen) is not None:
        kind = "a second time, under "
    elif mine is None:
        kind = "though it has no enterprise application here, under "
    else:
        kind = "under "
    if app is not None and entry.object_id.lower() == app.object_id.lower():
        kind += "the application's own object ID (the one on App registrations)"
    else:
        kind += "an object ID that is not its enterprise application's"
    return f"Exchange holds this application {kind}, {entry.object_id}: every login with it fails"


def _shown(write: ExchangeWrite) -> str:
    match write:
        case AddMailboxPermission() | RemoveMailboxPermission():
            return f"{', '.join(write.rights)} on {write.address}"
        case AddRecipientPermission() | RemoveRecipientPermission():
            return f"SendAs on {write.address}"
        case _:
            return type(write).__name__
