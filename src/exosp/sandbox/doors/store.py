"""Messages in a mailbox as the doors see them: numbering, delivery, removal. No protocol and no permission here.

A message is {"uid": int, "raw": bytes} and gains "flags" (a set of str) and "received" (sandbox seconds) when looked at.
Every mailbox is one folder, INBOX: no Sent Items, no subfolders, no quota.
"""

import email.utils
import re
from typing import Any

from ..exchange import Mailbox
from ..tenant import Tenant

Message = dict[str, Any]


def raw(message: Message) -> bytes:
    """The message with CRLF line ends, as it goes over the wire."""
    data: bytes = message["raw"]
    return re.sub(rb"\r?\n", b"\r\n", data)


def flags(message: Message) -> set[str]:
    found: set[str] = message.setdefault("flags", set())
    return found


def received(tenant: Tenant, message: Message) -> float:
    """When the message arrived: as recorded, else its Date header, else now."""
    if "received" not in message:
        head = message["raw"].partition(b"\n\n")[0].partition(b"\r\n\r\n")[0]
        date = re.search(rb"(?im)^date:(.*)$", head)
        try:
            written = email.utils.parsedate_to_datetime(date[1].decode("ascii", "replace").strip()) if date else None
        except ValueError:
            written = None
        message["received"] = written.timestamp() if written else tenant.clock.now()
    return float(message["received"])


def next_uid(mailbox: Mailbox) -> int:
    return max([mailbox.last_uid, *(int(m["uid"]) for m in mailbox.messages)]) + 1


def deliver(tenant: Tenant, mailbox: Mailbox, data: bytes) -> None:
    """Put a message last into the mailbox."""
    uid = next_uid(mailbox)
    mailbox.messages.append({"uid": uid, "raw": data, "received": tenant.clock.now(), "flags": set()})
    mailbox.last_uid = uid


def remove(mailbox: Mailbox, uids: set[int]) -> None:
    """Remove messages for good; their uids are not given again."""
    mailbox.last_uid = next_uid(mailbox) - 1
    mailbox.messages[:] = [m for m in mailbox.messages if m["uid"] not in uids]
