"""The proof: observe and plan again, look into the application's own token, then log in.

It stands beside ``converge`` rather than in it because it alone needs the application's credential and the mail
protocols. It writes nothing to the tenant; a message is sent only where it is asked for. Both it and ``converge`` use the
one diff in ``steps``.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import BoundedSemaphore
from typing import Any

from .converge import NO_HISTORY, Memory, look, look_surely
from .diagnosis import TOKEN
from .errors import CloudError, Throttled, Unreachable
from .journal import History
from .judging import Judge, Known, no_token
from .letters import NO_WISHES, Wishes, send_and_read
from .patience import Patience
from .plan import Plan
from .playbook import Playbook
from .probes import Letters, Logins, Probe, Proof, Sample, Token, chosen, probes
from .snapshot import EXCHANGE_ONLINE, Address, Mailbox, MailboxId, NoMailbox, Protocol, Snapshot
from .steps import rbac
from .steps.application import ROLE_OF, permissions
from .steps.exchange import right
from .tenant import Exchange, Tenant
from .whose import whose

AT_ONCE = 8  # logins in flight, unless told otherwise
AT_ONE_MAILBOX = 3  # Exchange's limit of connections that send as one mailbox (432 4.3.2, aka.ms/concurrent_sending)
APART = 300.0  # seconds between tries: failing ones can prolong what is waited for (application-rbac article)
WORTH_A_PAUSE = 60.0  # seconds: where tries may lie closer together, nothing is prolonged by them

Tell = Callable[[Proof], None]


@dataclass(frozen=True)
class Cause:
    """Something that keeps logins from working, and how many it keeps."""

    key: str
    depth: int
    cause: str
    fix: str
    logins: int


@dataclass(frozen=True)
class Verdict:
    """``token_faults``: what is wrong with the application's own token, in words. ``sample``: the mailboxes that were
    probed, of how many, and the seed of the choice; None where it was all of them."""

    plan: Plan
    seen: Snapshot
    claims: Mapping[str, Any] = field(default_factory=dict)
    expires: datetime | None = None
    token_faults: tuple[str, ...] = ()
    proofs: tuple[Proof, ...] = ()
    sample: tuple[int, int, int] | None = None

    @property
    def converged(self) -> bool:
        return self.plan.empty and not self.plan.refused

    @property
    def proven(self) -> bool:
        beyond = any(drift.access for drift in self.plan.drift)
        return self.converged and not beyond and not self.token_faults and all(proof.ok for proof in self.proofs)

    @property
    def causes(self) -> tuple[Cause, ...]:
        """What keeps logins from working, the outermost first: what lies further in may only follow from it."""
        failed = [proof for proof in self.proofs if not proof.ok and proof.probe.expect == "accept"]
        count = Counter(proof.key for proof in failed)
        first: dict[str, Cause] = {}
        for proof in sorted(failed, key=lambda proof: proof.depth):
            held = Cause(proof.key, proof.depth, proof.cause, proof.fix, count[proof.key])
            first.setdefault(proof.key, held)
        return tuple(first.values())


@dataclass(frozen=True)
class Case:
    """What was read before the first login, and the logins to come. ``apart``: seconds to leave between two tries."""

    known: Known
    todo: tuple[Probe, ...]
    sample: tuple[int, int, int] | None = None
    wait: float = 0.0
    apart: float = APART
    in_flight: int = AT_ONCE
    wishes: Wishes = NO_WISHES


def verify(
    want: Playbook,
    tenant: Tenant,
    logins: Logins,
    patience: Patience,
    *,
    audience: str,
    wait: float = 0.0,
    negative: Sequence[Address] = (),
    history: History = NO_HISTORY,
    apart: float = APART,
    tell: Tell = lambda proof: None,
) -> Verdict:
    """Observe, then prove: see ``case`` and ``prove``."""
    found = case(
        want, tenant, patience, audience=audience, wait=wait, negative=negative, history=history, apart=apart
    )  # fmt: skip
    return prove(found, logins, patience, tell=tell)


def case(
    want: Playbook,
    tenant: Tenant,
    patience: Patience,
    *,
    audience: str,
    wait: float = 0.0,
    negative: Sequence[Address] = (),
    history: History = NO_HISTORY,
    sample: Sample | None = None,
    in_flight: int = AT_ONCE,
    apart: float = APART,
    wishes: Wishes = NO_WISHES,
    surely: bool = True,
) -> Case:
    """Observe. ``audience`` is what an Exchange token must be for; ``wait`` the seconds to go on trying where everything
    is right and it is only too early. Not ``surely``: one look is believed, as where nothing flaps."""
    seen, plan = (look_surely if surely else look)(want, tenant, patience, Memory(history))
    reading = patience.reading(tenant.exchange)
    strangers = reading.mailboxes(tuple(negative)) if negative else {}
    there = [box for box in strangers.values() if isinstance(box, Mailbox)]
    switches = reading.client_access(there) if there else {}
    ids = whose(seen, patience.reading(tenant.directory))
    boxes = chosen(want, sample)
    some = (len(boxes), len(want.boxes), sample.seed) if sample and len(boxes) < len(want.boxes) else None
    todo = probes(want, seen, negative, sample)
    known = Known(
        want, seen, plan, audience, history, ids, strangers, switches, _in_scope(want, seen, todo, strangers, reading)
    )
    return Case(known, todo, some, wait, apart, max(1, in_flight), wishes)


def _in_scope(
    want: Playbook, seen: Snapshot, todo: Sequence[Probe], strangers: Mapping[Address, Mailbox | NoMailbox],
    exchange: Exchange,
) -> dict[MailboxId, bool]:  # fmt: skip
    """Which mailboxes that SMTP is tried for by RBAC are in the role's scope: asked before the first login, as a failing one
    keeps what is cached alive, and whatever that is."""
    entry = right(seen)
    if want.smtp is None or entry is None:
        return {}
    asked = [probe for probe in todo if probe.protocol == "smtp"]
    boxes = seen.found(probe.mailbox for probe in asked if probe.expect == "accept")
    closed = (strangers.get(probe.mailbox) for probe in asked if probe.expect == "refuse")
    boxes += [box for box in closed if isinstance(box, Mailbox)]
    return exchange.in_scope(entry, rbac.ROLE, boxes) if boxes else {}


def prove(
    case: Case,
    logins: Logins,
    patience: Patience,
    *,
    letters: Letters | None = None,
    tell: Tell = lambda proof: None,
    tried: Callable[[Probe], None] = lambda probe: None,
) -> Verdict:
    """Check the token, log in. ``tell`` hears each proof as it becomes final, ``tried`` each probe once, as soon as there
    is an answer to it."""
    return _Proving(case, logins, patience, letters, tell, tried).run()


class _Proving:
    """One proof, from the first token to the last login."""

    def __init__(
        self, case: Case, logins: Logins, patience: Patience, letters: Letters | None, tell: Tell,
        tried: Callable[[Probe], None],
    ) -> None:  # fmt: skip
        self.case, self.logins, self.patience, self.letters, self.tell = case, logins, patience, letters, tell
        self.final: dict[Probe, Proof] = {}
        self.token: Token | None = None
        self._tried, self._heard, self._early = tried, set[Probe](), set[Probe]()
        self._ways: dict[Protocol, Any] = {}
        self._doors: dict[str, BoundedSemaphore] = defaultdict(lambda: BoundedSemaphore(AT_ONE_MAILBOX))

    def run(self) -> Verdict:
        case = self.case
        self._let_settle()
        self.patience.propagation(
            self._once, wait=case.wait, until=bool, why="Exchange does not honour it yet", first=case.apart
        )
        # Last: while the application is let in nowhere, a refusal proves nothing.
        self._log_in([probe for probe in case.todo if probe.expect == "refuse"])
        if self.letters is not None and self.token is not None:
            made = send_and_read(case.known, case.wishes, self.letters, self.token, self.final, self.patience)
            self.final |= made
        proofs = tuple(self.final[probe] for probe in case.todo)
        for proof in proofs:
            untried = proof.stage == "token"  # for all of them the verdict says why, once
            if not untried and (not proof.ok or case.wishes.bear(proof.probe)):
                self.tell(proof)
        claims, expires = (self.token.claims, self.token.expires) if self.token else ({}, None)
        faults = (
            _token_faults(case.known, self.token)
            if self.token
            else tuple({p.cause: 0 for p in proofs if p.stage == "token" and p.probe.expect == "accept"})
        )
        return Verdict(case.known.plan, case.known.seen, claims, expires, faults, proofs, case.sample)

    def _let_settle(self) -> None:
        """With ``wait``, leave a fresh grant alone for as long as tries must lie apart: a try that fails prolongs what is
        waited for."""
        case = self.case
        times = [since.at or since.not_before for since in map(case.known.since, case.todo)]
        newest = max((at for at in times if at is not None), default=None)
        if not case.wait or newest is None or case.apart < WORTH_A_PAUSE:
            return
        young = case.apart - (datetime.now(UTC) - newest).total_seconds()
        if 0 < young <= case.apart:
            self.patience.pause(min(young, case.wait), "what was granted a moment ago is left to settle")

    def _once(self) -> bool:
        """One round; whether nothing is too early any more."""
        open_ = [p for p in self.case.todo if p.expect == "accept" and (p not in self.final or not self.final[p].ok)]
        try:
            self.token = self.patience.transport(self.logins.token)
        except CloudError as fault:
            if self._early and isinstance(fault, Throttled | Unreachable):
                return False  # a passing fault between two tries says nothing new
            self.token = None
            self._without_token(fault)
        else:
            self._log_in(open_)
        self._early |= {probe for probe, proof in self.final.items() if proof.proof == "too-early"}
        return not any(self._may_still_come(self.final[probe]) for probe in self._early)

    def _may_still_come(self, proof: Proof) -> bool:
        """Whether a login that was too early once still is, or could not be tried for a fault on the way there."""
        return not proof.ok and (proof.proof == "too-early" or proof.depth < TOKEN)

    def _without_token(self, fault: CloudError) -> None:
        """The way to each server is looked at all the same: what is wrong there lies further out."""
        for probe in self.case.todo:
            if probe.protocol not in self._ways:
                self._ways[probe.protocol] = self.logins.reach(probe.protocol)
            self._keep(no_token(self.case.known, probe, self._ways[probe.protocol], fault))

    def _log_in(self, some: Sequence[Probe]) -> None:
        token = self.token
        if not some or token is None:
            return
        judge = Judge(self.case.known, token, any(proof.ok for proof in self.final.values()))
        doors = {probe.mailbox: self._doors[probe.mailbox.lower()] for probe in some}

        def one(probe: Probe) -> Proof:
            with doors[probe.mailbox]:
                return judge.judge(probe, self.logins)

        pool = ThreadPoolExecutor(max_workers=self.case.in_flight)
        try:
            for proof in pool.map(one, some):
                self._keep(proof)
        finally:
            pool.shutdown(cancel_futures=True)  # who interrupts does not wait for thousands of logins

    def _keep(self, proof: Proof) -> None:
        self.final[proof.probe] = proof
        if proof.probe not in self._heard:
            self._heard.add(proof.probe)
            self._tried(proof.probe)
        if proof.ok and not self.case.wishes.bear(proof.probe):
            self.tell(proof)


def _token_faults(known: Known, token: Token) -> tuple[str, ...]:
    """What is wrong with the token: audience; roles, or a person's scopes; and of the application's own, whose object ID it
    carries."""
    faults = []
    want, seen, claims = known.want, known.seen, token.claims
    if str(claims.get("aud", "")).rstrip("/") not in (known.audience, EXCHANGE_ONLINE):
        faults.append(f"its audience is {claims.get('aud')}, not {known.audience}")
    if want.delegated:
        held_ = str(claims.get("scp", "")).split()
        lacking = [value for value in permissions(want) if value not in held_]
        if lacking:
            faults.append(f"it lacks the permission {', '.join(lacking)}")
        return tuple(faults)
    roles = set(claims.get("roles") or ())
    lacking = [ROLE_OF[p] for p in want.claimed() if ROLE_OF[p] not in roles]
    if want.smtp is not None and ROLE_OF["smtp"] in roles:
        faults.append(f"it carries {ROLE_OF['smtp']}, and SMTP is to go by RBAC: {rbac.MIXED}")
    if lacking:
        faults.append(f"it lacks the role {', '.join(lacking)}")
    held = {entry.object_id.lower() for entry in seen.entries}
    oid = str(claims.get("oid", "")).lower()
    if held and oid not in held:
        faults.append(f"its oid is {oid}, and Exchange holds the application under {', '.join(sorted(held))}")
    return tuple(faults)
