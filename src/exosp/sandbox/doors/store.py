"""Messages in a mailbox as the doors see them: numbering, delivery, removal. No protocol and no permission here.

A message is {"uid": int, "raw": bytes} and gains "flags" (a set of str) and "received" (sandbox seconds) when looked at.
Every mailbox is one folder, INBOX: no Sent Items, no subfolders, no quota. A message on its way is in none.
"""

import email.utils
import re
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from ..exchange import Exchange, Mailbox
from ..tenant import Tenant

Message = dict[str, Any]


@dataclass(frozen=True)
class _Coming:
    """A message on its way; ``at`` is when it arrives, in sandbox seconds."""

    at: float
    mailbox: Mailbox
    data: bytes


# By the Exchange it belongs to: a reset makes a new one and so forgets what was on its way.
_coming: WeakKeyDictionary[Exchange, list[_Coming]] = WeakKeyDictionary()


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
        except (ValueError, OverflowError):
            written = None
        message["received"] = written.timestamp() if written else tenant.clock.now()
    return float(message["received"])


def next_uid(mailbox: Mailbox) -> int:
    return max([mailbox.last_uid, *(int(m["uid"]) for m in mailbox.messages)]) + 1


def deliver(tenant: Tenant, mailbox: Mailbox, data: bytes, *, after: float = 0.0) -> None:
    """Put a message last into the mailbox, now or after so many sandbox seconds."""
    if after > 0:
        _coming.setdefault(tenant.exchange, []).append(_Coming(tenant.clock.now() + after, mailbox, data))
        return
    uid = next_uid(mailbox)
    mailbox.messages.append({"uid": uid, "raw": data, "received": tenant.clock.now(), "flags": set()})
    mailbox.last_uid = uid


def present(tenant: Tenant, mailbox: Mailbox) -> list[Message]:
    """The messages that are in the mailbox by now."""
    coming = _coming.get(tenant.exchange, [])
    due = sorted((c for c in coming if c.at <= tenant.clock.now()), key=lambda c: c.at)
    coming[:] = [c for c in coming if c not in due]
    for one in due:
        deliver(tenant, one.mailbox, one.data)
    if any(c.mailbox is mailbox for c in coming):
        tenant.faults.note("delivery-lag")
    return mailbox.messages


def remove(mailbox: Mailbox, uids: set[int]) -> None:
    """Remove messages for good; their uids are not given again."""
    mailbox.last_uid = next_uid(mailbox) - 1
    mailbox.messages[:] = [m for m in mailbox.messages if m["uid"] not in uids]
