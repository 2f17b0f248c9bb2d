"""Mail on the user's wish: one message a mailbox sent to the end and looked for again, and the newest subjects.

Without a wish nothing is sent and nothing is read. It only builds on logins that worked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .errors import Error
from .judging import Judge, Known
from .patience import Patience
from .probes import Letters, Probe, Proof, Reading, Sent, Token
from .snapshot import Address, Mailbox
from .steps.grants import trustee_forms

ARRIVAL = 120.0  # seconds in which a message to a mailbox of the same tenant arrives, as a rule within ten


@dataclass(frozen=True)
class Wishes:
    """``send_to``: where each mailbox with SMTP sends one message; ``listing``: how many subjects IMAP shows."""

    send_to: Address | None = None
    listing: int = 0

    def bear(self, probe: Probe) -> bool:
        """Whether more is to come for this login."""
        if probe.expect == "refuse":
            return False
        return (probe.protocol == "smtp" and self.send_to is not None) or (
            probe.protocol == "imap" and self.listing > 0
        )


NO_WISHES = Wishes()


def send_and_read(
    known: Known, wishes: Wishes, letters: Letters, token: Token, proofs: Mapping[Probe, Proof], patience: Patience
) -> dict[Probe, Proof]:
    """The proofs that become others by it."""
    found = {}
    for probe, proof in proofs.items():
        if not proof.ok or not wishes.bear(probe):
            continue
        if probe.protocol == "imap":
            found[probe] = _listed(proof, wishes.listing, letters, token)
        elif wishes.send_to is not None:
            found[probe] = _Letter(known, letters, token, patience).sent(proof, wishes.send_to)
    return found


def _listed(proof: Proof, count: int, letters: Letters, token: Token) -> Proof:
    try:
        seen = letters.subjects(proof.probe.user, count, token)
    except Error as fault:
        return replace(proof, ok=False, proof=None, cause=fault.what, fix=fault.hint, key="unknown")
    if not seen.ok:
        cause = "the mailbox opened a moment ago, and reading it did not work"
        fix = "run exosp verify PLAYBOOK again"
        return replace(
            proof, ok=False, proof=None, stage=seen.stage, server=seen.server, cause=cause, fix=fix, key="unknown"
        )
    return replace(proof, subjects=seen.subjects)


@dataclass(frozen=True)
class _Letter:
    known: Known
    letters: Letters
    token: Token
    patience: Patience

    def sent(self, proof: Proof, to: Address) -> Proof:
        probe = replace(proof.probe, sender=_sender(self.known, proof.probe))
        try:
            sent = self.letters.deliver(probe.user, probe.sender, to, self.token)
        except Error as fault:
            return replace(proof, ok=False, proof=None, cause=fault.what, fix=fault.hint, key="unknown")
        judged = Judge(self.known, self.token, True).proof(probe, sent, _may(self.known, probe))
        judged = replace(judged, probe=proof.probe, message_id=sent.message_id)
        if sent.ok:
            return self._found(judged, sent, to)
        return self._unclear(judged, sent, to) if sent.message_id else judged

    def _found(self, proof: Proof, sent: Sent, to: Address) -> Proof:
        """What was taken must have arrived, where that mailbox is one that IMAP opens here."""
        seen = self._look(sent, to)
        if seen is None:
            return replace(proof, stage=sent.stage)
        return replace(proof, proof="delivered") if seen.ok else _lost(proof, seen, to)

    def _unclear(self, proof: Proof, sent: Sent, to: Address) -> Proof:
        """The answer was lost: only the mailbox tells whether the message went. It is not sent again."""
        seen = self._look(sent, to)
        if seen is not None and seen.ok:
            return Proof(proof.probe, sent.stage, True, "delivered", sent.server, message_id=sent.message_id)
        cause = f"the server's answer to the message {sent.message_id} was lost: it may have been sent, or not"
        fix = f"look for it in {to}; exosp does not send it again"
        return replace(proof, ok=False, proof=None, cause=cause, fix=fix, key="unknown")

    def _look(self, sent: Sent, to: Address) -> Reading | None:
        """Wait for the message to arrive in a mailbox that IMAP opens here; None where it is none of these."""
        reader = _reader(self.known, to)
        if reader is None:
            return None
        return self.patience.arrival(
            lambda: self.letters.find_message(reader, sent.message_id, self.token),
            until=lambda reading: reading.ok or reading.stage != "search", within=ARRIVAL,
            why="the message has not arrived yet",
        )  # fmt: skip


def _lost(proof: Proof, seen: Reading, to: Address) -> Proof:
    if seen.stage == "search":
        cause = f"the server took the message {proof.message_id}, and within {ARRIVAL:.0f} s it is not in {to}"
        fix = (
            f"look for it in the other folders of {to}, in quarantine and in the message trace; mail rules may move it"
        )
        return replace(proof, ok=False, proof=None, stage="search", cause=cause, fix=fix, key="not-delivered")
    cause = f"the message was sent, and {to} could not be looked into"
    return replace(
        proof, ok=False, proof=None, stage=seen.stage, server=seen.server, cause=cause, fix="see its IMAP login",
        key="not-delivered",
    )  # fmt: skip


def _sender(known: Known, probe: Probe) -> str:
    """Whose address the message bears: what ``send_as`` says, else the mailbox's own."""
    wish = next((box.send_as for box in known.want.boxes if box.address == probe.mailbox and box.send_as), None)
    return str(wish.sender) if wish else probe.sender


def _may(known: Known, probe: Probe) -> bool | None:
    """Whether a SendAs stands that lets this login use its sender's address; None where that is its own."""
    seen = known.seen
    mine = seen.mailboxes.get(probe.mailbox)
    other = seen.mailboxes.get(Address(probe.sender))
    if isinstance(mine, Mailbox) and probe.sender.lower() in mine.addresses:
        return None
    if not isinstance(other, Mailbox) or not isinstance(mine, Mailbox):
        return False
    forms = trustee_forms(seen) | mine.forms | mine.addresses
    return any(row.mailbox == other.id and row.trustee in forms and not row.deny for row in seen.recipient_permissions)


def _reader(known: Known, to: Address) -> str | None:
    """The user name that opens a mailbox of the playbook's by IMAP."""
    for box in known.want.boxes:
        mailbox = known.seen.mailboxes.get(box.address)
        if isinstance(mailbox, Mailbox) and to.lower() in mailbox.addresses and "imap" in box.protocols:
            return mailbox.login
    return None
