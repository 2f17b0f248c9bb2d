"""The one message that exosp sends, and only where somebody asked for it: small, plain, and known again. Pure.

It names itself and its run, asks nobody for an answer (RFC 3834), and carries a mark of its own in the subject besides
its Message-ID: Microsoft's submission servers may put an id of theirs in place of the sender's and keep the first one
as X-Microsoft-Original-Message-ID (git-send-email, option --outlook-id-fix; chatmail/core#1006).
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8

from ..errors import UsageError

# RFC 5321's Dot-string and Domain, and letters beyond ASCII (RFC 6531). What would need quoting is not written to.
_ATOM = r"[^\s@<>()\[\],;:\\\".\x00-\x20\x7f]+"
_LABEL = r"(?:[A-Za-z0-9-]|[^\s\x00-\x7f])+"
_ADDRESS = re.compile(rf"(?=[^@]{{1,64}}@.{{1,255}}\Z){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")
_ID = re.compile(r"<exosp-([0-9a-f]{32})@[A-Za-z0-9.-]{1,255}>")
ORIGINAL = "X-Microsoft-Original-Message-ID"

TEXT = """\
exosp sent this message to prove that an application may send mail as
{sender}.

Nobody needs to read it or to answer it, and it may be deleted.

Run: {run}
"""


@dataclass(frozen=True)
class Letter:
    """One message. ``data`` has CRLF line ends."""

    sender: str
    recipient: str
    message_id: str
    data: bytes

    @property
    def international(self) -> bool:
        """Whether its addresses need SMTPUTF8 (RFC 6531)."""
        return not (self.sender.isascii() and self.recipient.isascii())


def compose(sender: str, recipient: str, *, run: str, now: datetime) -> Letter:
    """A new message. ``run`` names the run in subject and text. Raises UsageError for an address that cannot be written."""
    for address in (sender, recipient):
        check_address(address)
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,60}", run):
        raise ValueError("a run's name is letters, digits and hyphens")
    fresh = uuid.uuid4().hex
    message_id = f"<exosp-{fresh}@{_ascii_domain(sender)}>"
    mail = EmailMessage(SMTP if (sender + recipient).isascii() else SMTPUTF8)
    mail["From"], mail["To"] = _written(sender), _written(recipient)
    mail["Subject"] = f"exosp verify: proof of sending {fresh} (run {run})"
    mail["Date"] = now
    mail["Message-ID"] = message_id
    mail["Auto-Submitted"] = "auto-generated"
    # Exchange's own word for the same (MS-OXCMAIL); reports of non-delivery are still wanted.
    mail["X-Auto-Response-Suppress"] = "OOF, AutoReply, RN, NRN"
    mail.set_content(TEXT.format(sender=sender, run=run))
    return Letter(sender, recipient, message_id, mail.as_bytes())


def mark(message_id: str) -> str:
    """What stands in the subject of the letter with this id, and in no other message. Raises ValueError for an id that
    ``compose`` does not make."""
    found = _ID.fullmatch(message_id)
    if found is None:
        raise ValueError("that is no id of a letter")
    return found[1]


def knows(message_id: str, headers: Mapping[str, str]) -> bool:
    """Whether these headers (by lower-case name) are those of the letter with this id, whatever id it bears by now."""
    written = {headers.get(name, "").strip() for name in ("message-id", ORIGINAL.lower())}
    return message_id in written or mark(message_id) in headers.get("subject", "")


def check_address(address: str) -> None:
    """Raise UsageError unless the address can stand in a header and in an envelope."""
    if not _ADDRESS.fullmatch(address) or not address.isprintable():
        raise UsageError(f"{address!r} is no address that mail can be sent to or from", hint="write it as name@domain")


def _written(address: str) -> Address:
    name, _, domain = address.rpartition("@")
    return Address(username=name, domain=domain)


def _ascii_domain(address: str) -> str:
    domain = address.rpartition("@")[2]
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return "exosp.invalid"  # RFC 2606: surely nobody's
