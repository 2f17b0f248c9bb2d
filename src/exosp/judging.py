"""What one login means: its reading held against what was read of the tenant. It logs in through a port and writes
nothing; the decision itself is ``diagnosis``'s."""

from dataclasses import dataclass
from typing import Literal

from .diagnosis import Diagnosis, ProbeFacts, diagnose, proves_closed
from .errors import Error
from .plan import Plan
from .playbook import Playbook
from .probes import Logins, Probe, Proof, Reading, Token
from .snapshot import Mailbox, Snapshot
from .steps.grants import trustee_forms


@dataclass(frozen=True)
class Judge:
    """``let_in``: at least one login that must succeed has, so a refusal proves something."""

    want: Playbook
    seen: Snapshot
    plan: Plan
    token: Token
    audience: str
    let_in: bool

    def judge(self, probe: Probe, logins: Logins) -> Proof:
        """One login, and what it means."""
        mailbox = self.seen.mailboxes.get(probe.mailbox)
        sender = mailbox.address if isinstance(mailbox, Mailbox) else probe.mailbox
        try:
            reading = logins.login(probe.protocol, probe.user, sender, self.token)
        except Error as fault:
            return Proof(probe, "connect", False, None, "", fault.what, fault.hint)
        if probe.expect == "refuse":
            return self._refusal(probe, reading)
        if reading.ok:
            proof: Literal["opened", "accepted"] = "accepted" if probe.protocol == "smtp" else "opened"
            return Proof(probe, reading.stage, True, proof, reading.server)
        found = self._why(probe, reading)
        return Proof(
            probe,
            reading.stage,
            False,
            "too-early" if found.too_early else None,
            reading.server,
            found.cause,
            found.fix,
        )

    def _refusal(self, probe: Probe, reading: Reading) -> Proof:
        if reading.ok:
            cause = "a mailbox that must be closed to the application is open to it"
            fix = f"Get-MailboxPermission -Identity {probe.mailbox} shows who granted what; remove what is too much"
            return Proof(probe, reading.stage, False, None, reading.server, cause, fix)
        if reading.unreachable or not proves_closed(probe.protocol, reading.stage, reading.server):
            cause = "no login, but the answer does not speak of access to the mailbox: it proves nothing"
            return Proof(probe, reading.stage, False, None, reading.server, cause, "look at the answer, then try again")
        if not self.let_in:
            cause = "refused, but the application is let in nowhere: that proves nothing about this mailbox"
            return Proof(probe, reading.stage, False, None, reading.server, cause, "mend the logins above first")
        return Proof(probe, reading.stage, True, "refused", reading.server)

    def _why(self, probe: Probe, reading: Reading) -> Diagnosis:
        seen = self.seen
        mailbox = seen.mailboxes.get(probe.mailbox)
        known = mailbox if isinstance(mailbox, Mailbox) else None
        access = seen.client_access.get(known.id) if known else None
        ours = trustee_forms(seen)
        granted = known is not None and any(
            row.mailbox == known.id and row.user in ours and not row.deny for row in seen.permissions
        )
        switched: bool | None = None
        if access is not None and probe.protocol != "smtp":
            switched = access.imap if probe.protocol == "imap" else access.pop
        mine = seen.principal.object_id.lower() if seen.principal else ""
        held = sorted((entry.object_id for entry in seen.entries), key=lambda id_: id_.lower() != mine)
        return diagnose(
            ProbeFacts(
                protocol=probe.protocol,
                stage=reading.stage,
                ok=reading.ok,
                server=reading.server,
                claims=self.token.claims,
                now=self.token.obtained,
                audience=self.audience,
                entry_object_id=held[0] if held else None,
                principal_object_id=seen.principal.object_id if seen.principal else None,
                application_object_id=seen.application.object_id if seen.application else None,
                granted=granted,
                switched_on=switched,
                smtp_auth_disabled_mailbox=access.smtp_auth_disabled if access else None,
                smtp_auth_disabled_tenant=seen.transport.smtp_auth_disabled if seen.transport else None,
                upn=known.upn if known else None,
                address=known.address if known else probe.mailbox,
                plan_empty=not self._unsettled(known),
                app_id=seen.application.app_id if seen.application else None,
                login=probe.user,
            )
        )

    def _unsettled(self, mailbox: Mailbox | None) -> bool:
        """Whether the plan still has something for the application as a whole, or for this mailbox."""
        own = ("grants", "protocols")
        address = mailbox.address if mailbox else ""
        open_ = [(c.step, c.target) for c in self.plan.changes] + [(r.step, r.target) for r in self.plan.refused]
        return any(step not in own or target == address for step, target in open_)
