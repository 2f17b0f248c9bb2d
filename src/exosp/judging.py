"""What one login means: its reading held against what was read of the tenant. It logs in through a port and writes
nothing; the decision itself is ``diagnosis``'s."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from .diagnosis import Diagnosis, ProbeFacts, Since, TokenFacts, diagnose, proves_closed, refused
from .errors import CloudError, Error, Missing, NotHere, Throttled, Unreachable
from .journal import Ages, History
from .plan import Plan
from .playbook import Playbook
from .probes import Logins, Probe, Proof, ProofKind, Reading, Token
from .snapshot import Address, ClientAccess, Mailbox, MailboxId, MailboxPermission, NoMailbox, Snapshot
from .steps.application import ROLE_OF
from .steps.grants import WHY_NOT, trustee_forms

SMTP_CLAIM = ROLE_OF["smtp"]
_OWN = "nt authority\\"  # every mailbox's own entries, and the service's


@dataclass(frozen=True)
class Known:
    """All that a login is judged by. ``ids``: what other ids that stand in Exchange belong to, in lower case;
    ``strangers``: the mailboxes that must be refused, as they were read, and their ``switches``."""

    want: Playbook
    seen: Snapshot
    plan: Plan
    audience: str
    history: History = field(default_factory=History)
    ids: Mapping[str, str] = field(default_factory=dict)
    strangers: Mapping[Address, Mailbox | NoMailbox] = field(default_factory=dict)
    switches: Mapping[MailboxId, ClientAccess] = field(default_factory=dict)
    in_scope: Mapping[MailboxId, bool] = field(default_factory=dict)  # of those that SMTP by RBAC is tried for

    # Each made once for all logins: a tenant has thousands of mailboxes.

    @cached_property
    def _ages(self) -> Ages:
        return Ages(self.history, self.seen)

    @cached_property
    def ours(self) -> frozenset[str]:
        """How rows name the application."""
        return trustee_forms(self.seen)

    @cached_property
    def _rows(self) -> Mapping[MailboxId, list[MailboxPermission]]:
        found: dict[MailboxId, list[MailboxPermission]] = {}
        for row in self.seen.permissions:
            found.setdefault(row.mailbox, []).append(row)
        return found

    @cached_property
    def _open(self) -> tuple[bool, frozenset[str]]:
        found = [(c.step, c.target) for c in self.plan.changes] + [(r.step, r.target) for r in self.plan.refused]
        own = ("grants", "protocols")
        return any(step not in own for step, _ in found), frozenset(target for step, target in found if step in own)

    def rows(self, mailbox: Mailbox | None) -> list[MailboxPermission]:
        return self._rows.get(mailbox.id, []) if mailbox else []

    def settled(self, mailbox: Mailbox | None) -> bool:
        """Whether the plan has nothing left for the application as a whole, nor for this mailbox."""
        whole, boxes = self._open
        return not whole and (mailbox.address if mailbox else "") not in boxes

    def since(self, probe: Probe) -> Since:
        """When what this login needs was last set: by the journals here; else not before the application was made."""
        mailbox = self.seen.mailboxes.get(probe.mailbox)
        known = mailbox.id if isinstance(mailbox, Mailbox) else None
        last = self._ages.last_set(known, probe.protocol)
        if last is not None:
            return Since(at=last[0], who=f"run {last[1]}")
        made = self.seen.application.created if self.seen.application else None
        return Since(not_before=made, who="the application was made then") if made else Since()

    def consented(self, probe: Probe) -> tuple[bool | None, Since]:
        """Whether the role that this login needs is assigned, and since when."""
        resource = self.seen.resource
        role = resource.roles.get(ROLE_OF[probe.protocol]) if resource else None
        if resource is None or role is None:
            return None, Since()
        for row in self.seen.assignments:
            if row.resource == resource.object_id and row.role == role:
                return True, Since(at=row.created)
        return False, Since()


# Without a token


def no_token(known: Known, probe: Probe, way: Reading, fault: CloudError) -> Proof:
    """What keeps a login from being tried: the way to its server, which lies further out, or the token."""
    found = token_refused(known, fault)
    if probe.expect == "refuse":
        cause = "not tried without a token: that proves nothing about this mailbox"
        return Proof(probe, "token", False, None, "", cause, "mend the token first")
    if not way.ok:
        facts = _facts(known, probe, way, None, None)
        return _failed(probe, way.stage, way.server, diagnose(facts))
    proof: ProofKind | None = "not-provable-here" if found.key == "credential-elsewhere" else None
    return _failed(probe, "token", fault.what if fault.code else "", found, proof)


def token_refused(known: Known, fault: CloudError) -> Diagnosis:
    """Why there is no token."""
    seen = known.seen
    resource = seen.resource.object_id if seen.resource else None
    return refused(
        TokenFacts(
            code=fault.code,
            what=fault.what,
            hint=fault.hint,
            now=fault.at or datetime.now(UTC),
            credential=seen.credential,
            secrets=seen.application.secrets if seen.application else (),
            missing=isinstance(fault, Missing) and not fault.code,
            elsewhere=isinstance(fault, NotHere),
            unreachable=isinstance(fault, Unreachable | Throttled),
            enabled=seen.principal.enabled if seen.principal else None,
            roles=any(row.resource == resource for row in seen.assignments) if resource else None,
            made=seen.application is not None,
            made_at=seen.application.created if seen.application else None,
        )
    )


# With one


@dataclass(frozen=True)
class Judge:
    """``let_in``: at least one login that must succeed has, so a refusal proves something."""

    known: Known
    token: Token
    let_in: bool

    def judge(self, probe: Probe, logins: Logins) -> Proof:
        """One login, and what it means."""
        try:
            reading = logins.login(probe.protocol, probe.user, probe.sender or probe.mailbox, self.token)
        except Error as fault:
            return Proof(probe, "connect", False, None, "", fault.what, fault.hint, "unknown")
        if probe.expect == "refuse":
            return self._refusal(probe, reading)
        return self.proof(probe, reading)

    def proof(self, probe: Probe, reading: Reading, send_as: bool | None = None) -> Proof:
        """What a reading of a login that must succeed means. ``send_as``: a right to send as the probe's sender stands."""
        if reading.ok:
            proof: ProofKind = "accepted" if probe.protocol == "smtp" else "opened"
            return Proof(probe, reading.stage, True, proof, reading.server)
        found = diagnose(_facts(self.known, probe, reading, self.token, send_as))
        return _failed(probe, reading.stage, reading.server, found, "too-early" if found.too_early else None)

    def _is_off(self, probe: Probe, stranger: Mailbox) -> bool:
        access, transport = self.known.switches.get(stranger.id), self.known.seen.transport
        if access is None:
            return False
        if probe.protocol != "smtp":
            return not (access.imap if probe.protocol == "imap" else access.pop)
        own = access.smtp_auth_disabled
        return bool(transport and transport.smtp_auth_disabled) if own is None else own

    def _refusal(self, probe: Probe, reading: Reading) -> Proof:
        server, stage = reading.server, reading.stage
        if reading.ok:
            cause = "a mailbox that must be closed to the application is open to it"
            fix = f"Get-MailboxPermission -Identity {probe.mailbox} shows who granted what; remove what is too much"
            return Proof(probe, stage, False, None, server, cause, fix, "open-to-it")
        stranger = self.known.strangers.get(probe.mailbox)
        if isinstance(stranger, NoMailbox):
            cause = f"refused, but {WHY_NOT[stranger.reason][0]}: that proves nothing"
            return Proof(probe, stage, False, None, server, cause, "name a mailbox that there is", "no-mailbox")
        inside = self.known.in_scope.get(stranger.id) if isinstance(stranger, Mailbox) else None
        if inside:
            cause = "a mailbox that must be closed is in the scope of the application's role for SMTP, whatever this login says"
            fix = "take it out of the group, or narrow the filter or unit under smtp in the playbook"
            return Proof(probe, stage, False, None, server, cause, fix, "open-to-it")
        if inside is False and not reading.unreachable and self.let_in and SMTP_CLAIM not in _roles(self.token):
            return Proof(probe, stage, True, "refused", server)
        if isinstance(stranger, Mailbox) and self._is_off(probe, stranger):
            cause = f"refused, but {probe.protocol.upper()} is off for that mailbox: that says nothing of rights on it"
            return Proof(probe, stage, False, None, server, cause, "name a mailbox where it is on", "protocol-off")
        if reading.unreachable or not proves_closed(probe.protocol, stage, server):
            cause = "no login, but the answer does not speak of access to the mailbox: it proves nothing"
            return Proof(probe, stage, False, None, server, cause, "look at the answer, then try again", "unknown")
        if not self.let_in:
            cause = "refused, but the application is let in nowhere: that proves nothing about this mailbox"
            return Proof(probe, stage, False, None, server, cause, "mend the logins above first", "unknown")
        return Proof(probe, stage, True, "refused", server)


def _roles(token: Token) -> list[str]:
    return [str(role) for role in token.claims.get("roles") or ()]


def _failed(probe: Probe, stage: str, server: str, found: Diagnosis, proof: ProofKind | None = None) -> Proof:
    if proof is None and found.too_early:
        proof = "too-early"
    return Proof(
        probe, stage, False, proof, server, found.cause, found.fix, found.key, found.depth, found.evidence, found.row,
        found.age,
    )  # fmt: skip


def _facts(known: Known, probe: Probe, reading: Reading, token: Token | None, send_as: bool | None) -> ProbeFacts:
    seen = known.seen
    mailbox = seen.mailboxes.get(probe.mailbox)
    box = mailbox if isinstance(mailbox, Mailbox) else None
    access = seen.client_access.get(box.id) if box else None
    rows = known.rows(box)
    delegated = known.want.delegated
    ours = person_forms(seen, token) if delegated else known.ours
    mine = [row for row in rows if row.user in ours]
    granted: bool | None = any(_full(row) and not row.deny for row in mine)
    if box is None or not (delegated or seen.entries):  # without an entry nothing can be granted
        granted = None
    elif delegated and box.id.lower() in ours:
        granted = True  # one's own
    by_rbac = known.want.smtp is not None and probe.protocol == "smtp"
    switched: bool | None = None
    if access is not None and probe.protocol != "smtp":
        switched = access.imap if probe.protocol == "imap" else access.pop
    right = seen.principal.object_id.lower() if seen.principal else ""
    held = sorted((entry.object_id for entry in seen.entries), key=lambda id_: id_.lower() != right)
    consented, consent_since = known.consented(probe)
    return ProbeFacts(
        protocol=probe.protocol,
        stage=reading.stage,
        ok=reading.ok,
        server=reading.server,
        claims=token.claims if token else None,
        now=token.obtained if token else None,
        audience=known.audience,
        entry_object_id=held[0] if held else None,
        principal_object_id=seen.principal.object_id if seen.principal else None,
        application_object_id=seen.application.object_id if seen.application else None,
        granted=granted,
        switched_on=switched,
        smtp_auth_disabled_mailbox=access.smtp_auth_disabled if access else None,
        smtp_auth_disabled_tenant=seen.transport.smtp_auth_disabled if seen.transport else None,
        upn=box.upn if box else None,
        address=box.address if box else probe.mailbox,
        plan_empty=known.settled(box),
        app_id=seen.application.app_id if seen.application else None,
        login=probe.user,
        tenant_id=seen.tenant_id,
        token_length=len(token.reveal()) if token else 0,
        ids=known.ids,
        consented=consented,
        rbac=by_rbac,
        in_scope=known.in_scope.get(box.id) if box and by_rbac else None,
        scope=str(known.want.smtp or ""),
        denied=any(row.deny for row in mine),
        rights=frozenset(right for row in mine if not row.deny for right in row.rights if not _full(row)),
        holders=tuple(_called(row.user, known.ids) for row in holders(rows, ours)),
        no_mailbox=_why_none(mailbox),
        no_mailbox_fix=WHY_NOT[mailbox.reason][1] if isinstance(mailbox, NoMailbox) else "",
        sender=probe.sender,
        send_as=send_as,
        since=known.since(probe),
        consent_since=consent_since,
        access=known.want.access,
    )


def person_forms(seen: Snapshot, token: Token | None) -> frozenset[str]:
    """Every text by which a permission row may name the person whose token it is, lower case."""
    claims = token.claims if token else {}
    forms = {str(claims[name]).lower() for name in ("oid", "upn", "unique_name") if claims.get(name)}
    for box in seen.mailboxes.values():
        if isinstance(box, Mailbox) and box.id.lower() in forms:
            forms |= box.forms | box.addresses
    return frozenset(forms)


def holders(rows: list[MailboxPermission], ours: frozenset[str]) -> list[MailboxPermission]:
    """Who else has FullAccess."""
    return [
        row for row in rows if _full(row) and not row.deny and row.user not in ours and not row.user.startswith(_OWN)
    ]


def _called(user: str, ids: Mapping[str, str]) -> str:
    return f"{ids[user]} ({user})" if user in ids else user


def _full(row: MailboxPermission) -> bool:
    return "fullaccess" in {right.lower() for right in row.rights}


def _why_none(mailbox: Mailbox | NoMailbox | None) -> str:
    if not isinstance(mailbox, NoMailbox) or mailbox.reason == "unreadable":  # that says nothing of the mailbox
        return ""
    return WHY_NOT[mailbox.reason][0] + (f" ({mailbox.detail})" if mailbox.detail else "")
