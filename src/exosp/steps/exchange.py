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
from ..snapshot import ExchangeEntry, Holdings, MailboxId, Owed, Snapshot
from ..tenant import Tenant
from ..writes import (
    APP_ID,
    ENTRY,
    IDENTITY,
    PRINCIPAL,
    AddMailboxPermission,
    AddRecipientPermission,
    ExchangeWrite,
    NewServicePrincipal,
    RemoveMailboxPermission,
    RemoveRecipientPermission,
    RemoveServicePrincipal,
)
from .application import called

NOTHING = Holdings(unread="it was not asked")
SEND_AS = "SendAs"


def observe(want: Playbook, tenant: Tenant, seen: Snapshot) -> Snapshot:
    """Holdings of an entry that the snapshot has already are not read again: it takes the whole tenant's mailboxes."""
    app_id = seen.app_id
    if app_id is None:
        return replace(seen, entries=(), holdings={})
    entries = tenant.exchange.entries(app_id)
    known = {identity: held for identity, held in seen.holdings.items() if not held.unread}
    held = {entry.identity: known.get(entry.identity) or tenant.exchange.holdings(entry) for entry in entries}
    return replace(seen, entries=entries, holdings=held)


def plan(want: Playbook, seen: Snapshot) -> Iterator[Change | Refusal | Drift]:
    bad, name = wrong(seen), called(want, seen)
    if want.delegated:  # no login goes by an entry: people hold their own rights
        for entry in of_ours(seen):
            yield Drift(
                "exchange", name, f"Exchange knows the application, under {entry.object_id}; people sign in without"
            )
        return
    refusals = [refusal for entry in bad for refusal in _refusals(entry, seen)]
    if refusals:
        yield from refusals
        return
    app_id = IDENTITY if seen.managed else APP_ID
    news = () if right(seen) else (NewServicePrincipal(app_id, PRINCIPAL, name),)
    again = regranted(want, seen)
    if not bad and not again:
        if news:
            yield Change(
                "exchange", "create", name, None, {"ObjectId": "the enterprise application's object ID"},
                news, "Exchange does not know the application",
            )  # fmt: skip
        return
    away = tuple(dict.fromkeys(write for entry in bad for write in _taken(entry, seen)))
    gone = tuple(RemoveServicePrincipal(entry.identity, entry.object_id) for entry in bad)
    why = [_named(entry, seen) for entry in bad]
    if not bad:
        why = ["a repair was interrupted after it took grants away that are not known to have been given back"]
        why += ["Exchange does not know the application"] if news else []
    yield Change(
        "exchange", "repair", name,
        {"ObjectId": [entry.object_id for entry in bad], "grants": sorted(_shown(write) for write in away)},
        {"ObjectId": "the enterprise application's object ID", "granted again": sorted(_shown(write) for write in again)},
        (*away, *gone, *news, *again), "; ".join(why),
    )  # fmt: skip


def of_ours(seen: Snapshot) -> list[ExchangeEntry]:
    """Every entry that bears the application's appId."""
    app_id = seen.app_id
    return [entry for entry in seen.entries if app_id is not None and entry.app_id.lower() == app_id.lower()]


def right(seen: Snapshot) -> ExchangeEntry | None:
    """The entry that logins go by. None where there is no enterprise application, whatever Exchange holds."""
    return next((entry for entry in of_ours(seen) if _is_right(entry, seen)), None)


def wrong(seen: Snapshot) -> list[ExchangeEntry]:
    """The entries that no login goes by."""
    return [entry for entry in of_ours(seen) if not _is_right(entry, seen)]


def _is_right(entry: ExchangeEntry, seen: Snapshot) -> bool:
    return seen.principal is not None and entry.object_id.lower() == seen.principal.object_id.lower()


def regranted(want: Playbook, seen: Snapshot) -> tuple[AddMailboxPermission | AddRecipientPermission, ...]:
    """What the repair grants to the right entry: what wrong ones hold and what an interrupted repair owes, without what
    the right one has. With ``prune`` only what the playbook lists. Nothing where the repair is refused."""
    bad = [] if want.delegated else wrong(seen)
    if want.delegated or any(refusal for entry in bad for refusal in _refusals(entry, seen)):
        return ()
    good = right(seen)
    own = seen.holdings.get(good.identity, NOTHING) if good else NOTHING
    has = {(row.mailbox, text.lower()) for row in own.permissions if not row.deny for text in row.rights}
    has |= {(row.mailbox, SEND_AS.lower()) for row in own.recipient_permissions if not row.deny}
    boxes, senders = listed(want, seen)
    asked = {(box, "fullaccess") for box in boxes} | {(box, SEND_AS.lower()) for box in senders}
    found: dict[tuple[MailboxId, str], Owed] = {}
    for claim in (*(_claim(write) for entry in bad for write in _taken(entry, seen)), *seen.owed):
        for text in claim.rights:
            key = (claim.mailbox, text.lower())
            if key not in has and (key in asked or not want.prune):
                found.setdefault(key, replace(claim, rights=(text,)))
    rights: dict[MailboxId, Owed] = {}
    sends = []
    for (mailbox, text), claim in found.items():
        if text == SEND_AS.lower():
            sends.append(AddRecipientPermission(mailbox, claim.address, ENTRY))
        else:
            held = rights.get(mailbox, replace(claim, rights=()))
            rights[mailbox] = replace(held, rights=(*held.rights, *claim.rights))
    adds = (
        AddMailboxPermission(box, claim.address, ENTRY, tuple(sorted(claim.rights))) for box, claim in rights.items()
    )
    return (*adds, *sends)


def listed(want: Playbook, seen: Snapshot) -> tuple[set[MailboxId], set[MailboxId]]:
    """The mailboxes that the application is to open, and those that it is to send as: none where people sign in."""
    if want.delegated:
        return set(), set()
    boxes = {box.id for box in seen.found(box.address for box in want.boxes if want.opens(box))}
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


def _claim(write: RemoveMailboxPermission | RemoveRecipientPermission) -> Owed:
    rights = write.rights if isinstance(write, RemoveMailboxPermission) else (SEND_AS,)
    return Owed(write.mailbox, write.address, rights)


def _refusals(entry: ExchangeEntry, seen: Snapshot) -> Iterator[Refusal]:
    held = seen.holdings.get(entry.identity, NOTHING)
    if held.unread:
        yield Refusal(
            "exchange", entry.name, f"{_named(entry, seen)}; what it was granted could not be read: {held.unread}",
            f"by hand: note what Get-Mailbox -ResultSize Unlimited | Get-MailboxPermission -User {entry.object_id} and "
            f"Get-RecipientPermission -Trustee {entry.object_id} -ResultSize Unlimited show, then "
            f"Remove-ServicePrincipal -Identity {entry.identity}, run apply again, and grant the rest anew",
        )  # fmt: skip
    denied = [held.address(row.mailbox) for row in held.permissions if row.deny]
    denied += [held.address(sender.mailbox) for sender in held.recipient_permissions if sender.deny]
    if denied:
        yield Refusal(
            "exchange", entry.name, f"{_named(entry, seen)}; and a deny entry names it on {', '.join(sorted(denied))}",
            "deny entries are somebody's decision and are not carried over: remove or set them anew by hand, and run "
            "apply again",
        )  # fmt: skip


def _named(entry: ExchangeEntry, seen: Snapshot) -> str:
    """What is wrong with an entry, for what it is."""
    app, mine = seen.registration, seen.principal
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
