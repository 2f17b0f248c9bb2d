"""When what a login needs was last set, as this machine's journals show it. Pure."""

from datetime import datetime

from ..snapshot import MailboxId, Protocol, Snapshot
from .history import History, Item
from .standing import forms_of

_SWITCH = {"imap": "imap", "pop": "pop", "smtp": "smtp_auth_disabled"}


def last_set(
    history: History, seen: Snapshot, mailbox: MailboxId | None, protocol: Protocol
) -> tuple[datetime, str] | None:
    """The latest time at which a run changed the application's entry, its grant on the mailbox or the protocol's switch,
    and the run's id. None where no journal here knows of any."""
    ours = forms_of(seen.principal.object_id, seen) if seen.principal else frozenset()
    found = [
        (item.at, run.id)
        for run in history.runs
        for item in run.items
        if item.at is not None and item.took_place and _bears(item, ours, mailbox, protocol)
    ]
    return max(found, default=None)


def _bears(item: Item, ours: frozenset[str], mailbox: MailboxId | None, protocol: Protocol) -> bool:
    write = item.write
    match write.get("write"):
        case "NewServicePrincipal":
            return str(write["object_id"]).lower() in ours
        case "AddMailboxPermission" | "RemoveMailboxPermission":
            return write["mailbox"] == mailbox and str(write["trustee"]).lower() in ours
        case "SetClientAccess":
            return write["mailbox"] == mailbox and _SWITCH[protocol] in write
        case _:
            return False
