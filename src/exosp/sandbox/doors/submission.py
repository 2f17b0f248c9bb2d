"""What a submitted message is: its envelope, its senders, what it is refused for, and how it reaches mailboxes of the
tenant. Never the network: what goes elsewhere is accepted, counted and forgotten.

Sources: RFC 5321 §4.1.2 (paths and parameters), RFC 1870, RFC 6152, RFC 6531, RFC 3461; for the limits
learn.microsoft.com/exchange/troubleshoot/send-emails/smtp-submission-improvements; for texts ``wording``.
A refused message is not counted towards a limit: no source says.
"""

import email
import email.policy
import email.utils
import re
import uuid
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from ..exchange import Exchange, Mailbox
from ..tenant import Tenant
from . import access, store, wording

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
class Answer:
    """The answer to a message; without ``text`` there is none. ``close``: the server hangs up."""

    text: str
    close: bool = False


# What each mailbox, by its Guid, has submitted: when, in sandbox seconds, and to how many.
_submitted: WeakKeyDictionary[Exchange, dict[str, list[tuple[float, int]]]] = WeakKeyDictionary()


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
    invalid = "501 5.1.7 Invalid address" if keyword == "FROM" else "501 5.1.3 Invalid address"
    form = re.fullmatch(rf"(?i:{keyword}):\s*<([^<>]*)>((?:\s+\S+)*)\s*", argument)
    if form is None:
        return "501 5.5.4 Invalid arguments"
    address = form[1].strip()
    if not (null and not address) and not _ADDRESS.fullmatch(address):
        return invalid
    size = 0
    for parameter in form[2].split():
        name, _, value = parameter.partition("=")
        if name.upper() not in known:
            return "501 5.5.4 Unrecognized parameter"
        if name.upper() == "SIZE":
            if not (value.isascii() and value.isdecimal()) or len(value) > 20:
                return "501 5.5.4 Invalid arguments"
            size = int(value)
        if name.upper() == "BODY" and value.upper() not in {"7BIT", "8BITMIME"}:  # BINARYMIME is not offered
            return "501 5.5.4 Invalid arguments"
    return Path(address, size)


def senders(envelope: Envelope, data: bytes) -> list[str]:
    """Every address the message claims to come from: the envelope's and the From header's."""
    headers = email.message_from_bytes(data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", policy=email.policy.compat32)
    written = email.utils.getaddresses([str(value) for value in headers.get_all("From", [])])
    found = [envelope.sender, *(address for _, address in written)]
    return list(dict.fromkeys(address for address in found if address))


def submit(
    tenant: Tenant, admission: access.Opened, envelope: Envelope, data: bytes, *, helo: str, peer: str
) -> Answer:
    """What becomes of a message at the end of DATA, and the answer to it."""
    backend = wording.back_end(tenant)
    sender = admission.mailbox
    for address in senders(envelope, data):
        if not access.may_send_as(tenant, admission, address):
            tenant.faults.note("send-as-form")
            user = sender.properties["PrimarySmtpAddress"]
            forms = {1: wording.SMTP_NOT_THIS_SENDER, 2: wording.SMTP_SEND_AS_DENIED_OLDER}
            form = forms.get(int(tenant.faults["send-as-form"]), wording.SMTP_SEND_AS_DENIED)
            return Answer(form.format(user=user, sender=address, backend=backend))
    if tenant.faults["mailbox-full"] == 1:
        tenant.faults.note("mailbox-full")
        return Answer(wording.SMTP_MAILBOX_FULL.format(backend=backend))
    now = tenant.clock.now()
    earlier = _submitted.setdefault(tenant.exchange, {}).setdefault(sender.properties["Guid"], [])
    earlier[:] = [(at, count) for at, count in earlier if at > now - 86400]
    if sum(count for _, count in earlier) + len(envelope.recipients) > tenant.faults["recipients-a-day"]:
        tenant.faults.note("recipients-a-day")
        return Answer(wording.SMTP_DAILY_QUOTA.format(backend=backend))
    rate = max(1, int(tenant.faults["submission-rate"]))
    late = sum(at > now - 60 for at, _ in earlier) // rate  # whole minutes that this one is carried over
    if late:
        tenant.faults.note("submission-rate")
        if tenant.faults["submission-rate-form"] == 1:
            tenant.faults.note("submission-rate-form")
            return Answer(wording.SMTP_RATE, close=True)
    if tenant.faults.strikes("submission-drop"):
        return Answer("", close=True)
    earlier.append((now, len(envelope.recipients)))
    text = _accept(tenant, sender, envelope, data, helo=helo, peer=peer, late=60.0 * late)
    return Answer("", close=True) if tenant.faults.strikes("submission-lost-reply") else Answer(text)


def _accept(tenant: Tenant, sender: Mailbox, envelope: Envelope, data: bytes, *, helo: str, peer: str, late: float) -> str:  # fmt: skip
    """Deliver to the recipients that have a mailbox here; the reply. One that the tenant's own domains do not know comes
    back to the sender as a report; all others get nothing."""
    whole, message_id = _stamped(tenant, data, helo=helo, peer=peer)
    targets: dict[str, Mailbox] = {}
    own = set(tenant.exchange.domains())
    tenant.count("smtp", "message")
    for recipient in envelope.recipients:
        mailbox = tenant.exchange.by_address(recipient)
        if mailbox is not None and mailbox.kind != "MailUser":
            targets[mailbox.properties["Guid"]] = mailbox
            tenant.count("smtp", "recipient here")
        elif mailbox is None and recipient.lower().partition("@")[2] in own:
            store.deliver(tenant, sender, _report(tenant, recipient, whole), after=tenant.faults.draw("delivery-lag"))
            tenant.count("smtp", "recipient unknown")
        else:
            tenant.count("smtp", "recipient elsewhere")
    for mailbox in targets.values():
        store.deliver(tenant, mailbox, whole, after=late + tenant.faults.draw("delivery-lag"))
    form = wording.SMTP_QUEUED_RENAMED if tenant.faults["message-id"] == 1 else wording.SMTP_QUEUED
    return form.format(
        message_id=message_id[:400],
        internal=uuid.uuid4().int >> 80,
        backend=wording.back_end(tenant),
        size=len(whole),
        rate=len(whole) / 102.4,
    )


def _stamped(tenant: Tenant, data: bytes, *, helo: str, peer: str) -> tuple[bytes, str]:
    """The message as it is stored, and its Message-ID."""
    headers = email.message_from_bytes(data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", policy=email.policy.compat32)
    message_id = " ".join(str(headers.get("Message-ID", "")).split())
    added = [_received(tenant, helo, peer)]
    if message_id and tenant.faults["message-id"] == 1:
        tenant.faults.note("message-id")
        data = re.sub(
            rb"(?im)\A(.*?)^message-id:", rb"\1X-Microsoft-Original-Message-ID:", data, count=1, flags=re.DOTALL
        )
        message_id = ""
    if not message_id:
        message_id = f"<{uuid.uuid4().hex.upper()}@{wording.back_end(tenant)}>"
        added.append(f"Message-ID: {message_id}")
    if "Date" not in headers:
        added.append(f"Date: {wording.date(tenant)}")
    return "".join(line + "\r\n" for line in added).encode() + data, message_id


def _report(tenant: Tenant, recipient: str, whole: bytes) -> bytes:
    """A report of non-delivery (RFC 3464), in Exchange's form 550 5.1.10
    (learn.microsoft.com/exchange/troubleshoot/email-delivery/recipientnotfound-ndr). The headers it returns are all of
    the message that it holds."""
    code = "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"
    back_end, boundary = wording.back_end(tenant), uuid.uuid4().hex
    lines = [
        f"From: postmaster@{tenant.domain}", f"Date: {wording.date(tenant)}", "Subject: Undeliverable (emulated)",
        f"Message-ID: <{uuid.uuid4()}@{back_end}>", "Auto-Submitted: auto-replied", "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status; boundary="{boundary}"', "",
        f"--{boundary}", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit", "",
        f"Your message to {recipient} couldn't be delivered.", f"Remote Server returned '{code}'", "",
        f"--{boundary}", "Content-Type: message/delivery-status", "", f"Reporting-MTA: dns;{back_end}", "",
        f"Final-recipient: RFC822;{recipient}", "Action: failed", "Status: 5.1.10",
        f"Diagnostic-code: smtp;{code}", "", f"--{boundary}", "Content-Type: text/rfc822-headers", "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode() + whole.partition(b"\r\n\r\n")[0] + f"\r\n\r\n--{boundary}--\r\n".encode()


def _received(tenant: Tenant, helo: str, peer: str) -> str:
    safe = "".join(c for c in helo if c.isascii() and c.isprintable())
    return (
        f"Received: from {safe} ({peer}) by {wording.back_end(tenant)} (emulated)\r\n"
        f" with ESMTPSA id {uuid.uuid4().hex[:16].upper()}; {wording.date(tenant)}"
    )
