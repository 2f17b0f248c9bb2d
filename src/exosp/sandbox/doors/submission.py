"""What a submitted message is: its envelope, its senders, and how it reaches mailboxes of the tenant. Never the network.

Sources: RFC 5321 §4.1.2 (paths and parameters), RFC 1870, RFC 6152, RFC 6531, RFC 3461.
"""

import email
import email.policy
import email.utils
import re
import uuid
from dataclasses import dataclass, field

from ..tenant import Tenant
from . import store, wording

ADVERTISED_SIZE = 157286400
# Parameters that belong to extensions which EHLO offers.
_MAIL_PARAMETERS = frozenset({"SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH"})
_RCPT_PARAMETERS = frozenset({"NOTIFY", "ORCPT"})
_ADDRESS = re.compile(r"[^\s@<>\x00-\x1f]+@[^\s@<>\x00-\x1f]+")


@dataclass
class Envelope:
    sender: str
    recipients: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Path:
    """An address from MAIL or RCPT; empty for the null sender. ``size`` is what the client announced, in bytes."""

    address: str
    size: int = 0


def mail_from(argument: str) -> Path | str:
    """The path of ``FROM:<…> [parameters]``, or the refusal."""
    return _path(argument, "FROM", _MAIL_PARAMETERS, null=True)


def rcpt_to(argument: str) -> Path | str:
    return _path(argument, "TO", _RCPT_PARAMETERS, null=False)


def _path(argument: str, keyword: str, known: frozenset[str], *, null: bool) -> Path | str:
    form = re.fullmatch(rf"(?i:{keyword}):\s*<([^<>]*)>((?:\s+\S+)*)\s*", argument)
    if form is None:
        return "501 5.5.4 Invalid arguments"
    address = form[1].strip()
    if not (null and not address) and not _ADDRESS.fullmatch(address):
        return "501 5.1.7 Invalid address"
    size = 0
    for parameter in form[2].split():
        name, _, value = parameter.partition("=")
        if name.upper() not in known:
            return "501 5.5.4 Unrecognized parameter"
        if name.upper() == "SIZE":
            if not (value.isascii() and value.isdecimal()) or len(value) > 20:
                return "501 5.5.4 Invalid arguments"
            size = int(value)
    return Path(address, size)


def senders(envelope: Envelope, data: bytes) -> list[str]:
    """Every address the message claims to come from: the envelope's and the From header's."""
    headers = email.message_from_bytes(data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", policy=email.policy.compat32)
    written = email.utils.getaddresses([str(value) for value in headers.get_all("From", [])])
    found = [envelope.sender, *(address for _, address in written)]
    return list(dict.fromkeys(address for address in found if address))


def submit(tenant: Tenant, envelope: Envelope, data: bytes, *, helo: str, peer: str) -> str:
    """Deliver to the recipients that have a mailbox here; the reply. Other recipients are accepted and get nothing."""
    headers = email.message_from_bytes(data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", policy=email.policy.compat32)
    message_id = " ".join(str(headers.get("Message-ID", "")).split())
    added = [_received(tenant, helo, peer)]
    if not message_id:
        message_id = f"<{uuid.uuid4()}@{wording.back_end(tenant)}>"
        added.append(f"Message-ID: {message_id}")
    if "Date" not in headers:
        added.append(f"Date: {wording.date(tenant)}")
    whole = "".join(line + "\r\n" for line in added).encode() + data
    targets = {}
    for recipient in envelope.recipients:
        mailbox = tenant.exchange.by_address(recipient)
        if mailbox is not None and mailbox.kind != "MailUser":
            targets[mailbox.properties["Guid"]] = mailbox
    for mailbox in targets.values():
        store.deliver(tenant, mailbox, whole)
    return wording.SMTP_QUEUED.format(
        message_id=message_id[:400],
        internal=uuid.uuid4().int >> 80,
        backend=wording.back_end(tenant),
        size=len(whole),
        rate=len(whole) / 102.4,
    )


def _received(tenant: Tenant, helo: str, peer: str) -> str:
    safe = "".join(c for c in helo if c.isascii() and c.isprintable())
    return (
        f"Received: from {safe} ({peer}) by {wording.back_end(tenant)} (emulated)\r\n"
        f" with ESMTPSA id {uuid.uuid4().hex[:16].upper()}; {wording.date(tenant)}"
    )
