"""The proof: observe and plan again, look into the application's own token, then log in.

It stands beside ``converge`` rather than in it because it alone needs the application's credential and the mail
protocols. It writes nothing. Both it and ``converge`` use the one diff in ``steps``.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from . import snapshot
from .converge import look_surely
from .diagnosis import Diagnosis, ProbeFacts, diagnose, proves_closed
from .errors import CloudError, Error
from .patience import Patience
from .plan import Plan
from .playbook import Playbook
from .snapshot import EXCHANGE_ONLINE, Address, Mailbox, Snapshot
from .steps.application import ROLE_OF
from .steps.grants import trustee_forms
from .tenant import Tenant

AT_ONCE = 8  # logins in flight; Exchange allows few connections a mailbox, and each mailbox has at most three here

Expect = Literal["accept", "refuse"]


class Token(Protocol):
    """The application's own token."""

    @property
    def claims(self) -> Mapping[str, Any]: ...

    @property
    def expires(self) -> datetime: ...

    @property
    def obtained(self) -> datetime: ...

    def reveal(self) -> str: ...


class Reading(Protocol):
    """How far a login came, and what the server said."""

    @property
    def stage(self) -> str: ...

    @property
    def ok(self) -> bool: ...

    @property
    def proof(self) -> str | None: ...

    @property
    def server(self) -> str: ...

    @property
    def unreachable(self) -> bool: ...


class Logins(Protocol):
    """What the proof needs besides the tenant."""

    def token(self) -> Token:
        """A token from a fresh credential, never a cache. Raises CloudError; Missing where nothing is saved."""
        ...

    def login(self, protocol: snapshot.Protocol, user: str, sender: str, token: Token) -> Reading: ...


@dataclass(frozen=True)
class Probe:
    """A login that must succeed, or be refused. ``user`` is the name given to the server."""

    mailbox: Address
    protocol: snapshot.Protocol
    expect: Expect
    user: str


@dataclass(frozen=True)
class Proof:
    """What came of a probe."""

    probe: Probe
    stage: str
    ok: bool
    proof: Literal["opened", "accepted", "refused", "too-early"] | None
    server: str
    cause: str = ""
    fix: str = ""


@dataclass(frozen=True)
class Verdict:
    """``token_faults``: what is wrong with the application's own token, in words."""

    plan: Plan
    seen: Snapshot
    claims: Mapping[str, Any] = field(default_factory=dict)
    expires: datetime | None = None
    token_faults: tuple[str, ...] = ()
    proofs: tuple[Proof, ...] = ()

    @property
    def converged(self) -> bool:
        return self.plan.empty and not self.plan.refused

    @property
    def proven(self) -> bool:
        beyond = any(drift.access for drift in self.plan.drift)
        return self.converged and not beyond and not self.token_faults and all(proof.ok for proof in self.proofs)


def probes(want: Playbook, seen: Snapshot, negative: Sequence[Address] = ()) -> tuple[Probe, ...]:
    """One login a mailbox and protocol, and one a mailbox that must be refused."""
    wanted = []
    for box in want.boxes:
        mailbox = seen.mailboxes.get(box.address)
        user = mailbox.login if isinstance(mailbox, Mailbox) else box.address
        wanted += [Probe(box.address, p, "accept", user) for p in want.protocols if p in box.protocols]
        wanted += [Probe(box.address, p, "accept", user) for p in ROLE_OF if p in box.protocols - set(want.protocols)]
    first = want.needed()[0]
    return (*wanted, *(Probe(address, first, "refuse", address) for address in negative))


def verify(
    want: Playbook,
    tenant: Tenant,
    logins: Logins,
    patience: Patience,
    *,
    audience: str,
    wait: float = 0.0,
    negative: Sequence[Address] = (),
    tell: Callable[[Proof], None] = lambda proof: None,
) -> Verdict:
    """Observe, check the token, log in. ``audience`` is what an Exchange token must be for; ``wait`` the seconds to go on
    trying where everything is right and it is only too early; ``tell`` hears each proof as it becomes final."""
    seen, plan = look_surely(want, tenant, patience)
    todo = probes(want, seen, negative)
    try:
        token = patience.transport(logins.token)
    except CloudError as fault:
        proofs = tuple(Proof(probe, "token", False, None, "", fault.what, fault.hint) for probe in todo)
        return Verdict(plan, seen, token_faults=(fault.what,), proofs=proofs)
    final: dict[Probe, Proof] = {}

    def log_in(some: Sequence[Probe]) -> None:
        let_in = any(proof.ok for proof in final.values())
        context = _Context(want, seen, plan, token, audience, let_in)
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            for proof in pool.map(lambda probe: context.judge(probe, logins), some):
                final[proof.probe] = proof
                if proof.ok:
                    tell(proof)

    def once() -> bool:
        nonlocal token
        if final:
            token = patience.transport(logins.token)
        log_in([p for p in todo if p.expect == "accept" and (p not in final or not final[p].ok)])
        return not any(proof.proof == "too-early" for proof in final.values())

    patience.propagation(once, wait=wait, until=bool, why="Exchange does not honour it yet")
    # Last: while the application is let in nowhere, a refusal proves nothing.
    log_in([probe for probe in todo if probe.expect == "refuse"])
    proofs = tuple(final[probe] for probe in todo)
    for proof in proofs:
        if not proof.ok:
            tell(proof)
    faults = _token_faults(want, seen, token, audience)
    return Verdict(plan, seen, token.claims, token.expires, faults, proofs)


@dataclass(frozen=True)
class _Context:
    want: Playbook
    seen: Snapshot
    plan: Plan
    token: Token
    audience: str
    let_in: bool  # at least one login that must succeed has

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


def _token_faults(want: Playbook, seen: Snapshot, token: Token, audience: str) -> tuple[str, ...]:
    """What is wrong with the application's own token: audience, roles, and whose object ID it carries."""
    faults = []
    claims = token.claims
    if str(claims.get("aud", "")).rstrip("/") not in (audience, EXCHANGE_ONLINE):
        faults.append(f"its audience is {claims.get('aud')}, not {audience}")
    roles = set(claims.get("roles") or ())
    lacking = [ROLE_OF[p] for p in want.needed() if ROLE_OF[p] not in roles]
    if lacking:
        faults.append(f"it lacks the role {', '.join(lacking)}")
    held = {entry.object_id.lower() for entry in seen.entries}
    oid = str(claims.get("oid", "")).lower()
    if held and oid not in held:
        faults.append(f"its oid is {oid}, and Exchange holds the application under {', '.join(sorted(held))}")
    return tuple(faults)
