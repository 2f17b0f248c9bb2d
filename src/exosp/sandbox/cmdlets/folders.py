"""Permissions on a mailbox's folders. Sources: Get-MailboxFolderPermission's help; what it prints on the pages that show it
(Default and Anonymous stand in every folder; a trustee who is gone shows as NT: and a SID).

Folders are those that a mailbox starts with, under their English names: a mailbox of another language is not imitated. Nothing
here is written but by a tenant file.
"""

from collections.abc import Iterator

from ..exchange import Mailbox
from . import lookup
from .outcome import Item, Output
from .session import Call, Cmdlet, exchange_error

TYPES = ("Deserialized.Microsoft.Exchange.Management.StoreTasks.MailboxFolderPermission", "System.Object")
FOLDERS = (
    "Inbox", "Sent Items", "Drafts", "Deleted Items", "Calendar", "Contacts", "Tasks", "Notes", "Outbox", "Junk Email",
    "Journal", "Archive", "Conversation History",
)  # fmt: skip
ROOT = "Top of Information Store"


def _place(call: Call) -> tuple[Mailbox, str]:
    """The mailbox and the folder that ``mailbox:\\folder`` names; without a folder the root. Raises Failure."""
    identity = str(call.values["Identity"])
    name, colon, path = identity.rpartition(":")
    name, path = (name, path) if colon else (identity, "")
    group = bool(call.values.get("GroupMailbox"))
    mailbox = lookup.one(call, name, lambda m: lookup.is_mailbox(m, group=group))
    wanted = path.strip("\\").lower()
    folder = next((known for known in (*FOLDERS, *mailbox.folders) if known.lower() == wanted), None)
    if not wanted or wanted == ROOT.lower():
        return mailbox, ROOT
    if folder is None:
        raise exchange_error(
            call, lookup.NOT_FOUND, f"The operation couldn't be performed because '{identity}' couldn't be found.", "ExC1F2A3"
        )  # fmt: skip
    return mailbox, folder


def _item(folder: str, user: str, rights: list[str]) -> Item:
    properties = {
        "FolderName": folder, "User": user, "AccessRights": rights, "SharingPermissionFlags": None, "Identity": user,
        "IsValid": True, "ObjectState": "New",
    }  # fmt: skip
    return Item(TYPES, properties, user)


def get(call: Call) -> Iterator[Output]:
    mailbox, folder = _place(call)
    names = lookup.Names(call.tenant)
    names.ready()
    rows = [
        ("Default", ["AvailabilityOnly" if folder == "Calendar" else "None"]),
        ("Anonymous", ["None"]),
    ]
    for row in mailbox.folders.get(folder, []):
        shown = names.shown(row["_trustee"])
        rows.append((shown if shown is not None else f"NT:{names.sid(row['_trustee'])}", list(row["AccessRights"])))
    wanted = call.text("User")
    if wanted is not None and wanted.lower() not in ("default", "anonymous"):
        wanted = names.shown(lookup.trustee(call, wanted))
    rows = [row for row in rows if wanted is None or row[0].lower() == wanted.lower()]
    return lookup.limited((_item(folder, user, rights) for user, rights in rows), call)


CMDLETS = {
    "Get-MailboxFolderPermission": Cmdlet(get, frozenset({"Identity", "User", "GroupMailbox", "ResultSize"})),
}
