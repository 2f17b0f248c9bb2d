"""The proof: observe and plan again, look into the application's own token, then log in.

It stands beside ``converge`` rather than in it because it alone needs the application's credential and the mail
protocols. It writes nothing. Both it and ``converge`` use the one diff in ``steps``.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .converge import look_surely
from .errors import CloudError
from .judging import Judge
from .patience import Patience
from .plan import Plan
from .playbook import Playbook
from .probes import Logins, Probe, Proof, Token, probes
from .snapshot import EXCHANGE_ONLINE, Address, Snapshot
from .steps.application import ROLE_OF
from .tenant import Tenant

AT_ONCE = 8  # logins in flight; Exchange allows few connections a mailbox, and each mailbox has at most three here


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
        judge = Judge(want, seen, plan, token, audience, let_in)
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            for proof in pool.map(lambda probe: judge.judge(probe, logins), some):
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
