"""What a person reads: the plan, what became of each change, the proof. Foreign text is made harmless by ``plain``."""

import json
from typing import Any

from ..converge import Applied, Outcome, Refused, Result, Skipped
from ..plan import Change, Plan
from ..verify import Proof, Verdict
from .plain import plain

SHOWN = 20  # changes of one step in full; the rest are counted, and stand in the JSON document

SIGN = {"create": "+", "add": "+", "grant": "+", "consent": "+", "update": "~", "switch": "~"}


def plan(found: Plan) -> str:
    """The whole plan, a change a line with its reason below."""
    lines = []
    if found.empty and not found.refused:
        return "The tenant is as the playbook says. Nothing to do."
    by_step: dict[str, list[Change]] = {}
    for change in found.changes:
        by_step.setdefault(change.step, []).append(change)
    for changes in by_step.values():
        for change in changes[:SHOWN]:
            lines += [
                f"  {SIGN[change.verb]} {_title(change)}",
                f"      {plain(_values(change))}",
                f"      because {plain(change.why)}",
            ]
        if len(changes) > SHOWN:
            lines.append(f"    … and {len(changes) - SHOWN} more of {changes[0].step} (all of them with --format json)")
    for refusal in found.refused:
        lines.append(f"  ! {refusal.step}: {plain(refusal.target)}: {plain(refusal.what)}")
        if refusal.where:
            lines.append(f"      --> {plain(refusal.where)}")
        lines.append(f"      = help: {plain(refusal.hint)}")
    lines += [f"  ? {drift.step}: {plain(drift.target)}: {plain(drift.what)}" for drift in found.drift]
    total = f"{len(found.changes)} change{'s' if len(found.changes) != 1 else ''}"
    if found.refused:
        total += f", {len(found.refused)} refused"
    return "\n".join([*lines, "", f"{total}. Digest {found.digest[:12]}."])


def _title(change: Change) -> str:
    verb = "" if change.verb == change.step else f"{change.verb} "
    return f"{change.step}: {verb}{plain(change.target)}"


def _values(change: Change) -> str:
    after = _plain_value(change.after)
    return after if change.before is None else f"{_plain_value(change.before)} -> {after}"


def _plain_value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_plain_value(held)}" for name, held in value.items())
    if isinstance(value, list):
        return ", ".join(_plain_value(held) for held in value)
    return value if isinstance(value, str) else json.dumps(value)


def outcome(change: Change, came: Outcome) -> str:
    """One line as a change is done, two where something must be said."""
    match came:
        case Applied(found):
            return f"  ok       {_title(change)}" + (" (it was there: an earlier answer was lost)" if found else "")
        case Skipped(reason, True):
            return f"  waiting  {_title(change)}\n           {plain(reason)}"
        case Skipped(reason, _):
            return f"  skipped  {_title(change)}: {plain(reason)}"
        case Refused(error):
            lines = [f"  failed   {_title(change)}: {plain(error.what)}"]
            if error.where:
                lines.append(f"             --> {plain(error.where)}")
            if error.hint:
                lines.append(f"             = help: {plain(error.hint)}")
            return "\n".join(lines)


def applied(result: Result) -> str:
    """How an apply ended, in one line."""
    done = sum(isinstance(o, Applied) for _, o in result.outcomes)
    parts = [f"{done} of {len(result.plan.changes)} changes applied"]
    failed = sum(isinstance(o, Refused) for _, o in result.outcomes)
    if failed:
        parts.append(f"{failed} failed")
    if result.rest.refused:
        parts.append(f"{len(result.rest.refused)} refused")
    asked = ", ".join(f"{n} {name}" for name, n in result.requests.items())
    return f"{', '.join(parts)} ({asked} requests)."


def proof(found: Proof) -> str:
    """One line a login, with the server's own words; the cause and the fix below where it is not as it should be."""
    wanted = "must be refused" if found.probe.expect == "refuse" else ""
    came = {"opened": "opened", "accepted": "accepted", "refused": "refused", "too-early": "too early"}.get(
        found.proof or "", f"failed at {found.stage}"
    )
    line = f"  {'ok ' if found.ok else 'NO '} {found.probe.protocol:4} {plain(found.probe.mailbox)}: {came}"
    if wanted:
        line += ", as it must be" if found.ok else f", but it {wanted}"
    if found.server:
        line += f"  «{plain(found.server)}»"
    if found.cause:
        line += f"\n         {plain(found.cause)}"
    if found.fix:
        line += f"\n         = help: {plain(found.fix)}"
    return line


def verdict(found: Verdict) -> str:
    """What the proof amounts to."""
    lines = [f"  NO  token: {plain(fault)}" for fault in found.token_faults]
    if not found.converged:
        lines.append("The tenant is not as the playbook says:")
        lines.append(plan(found.plan))
    good = sum(proof.ok for proof in found.proofs)
    lines.append(f"{good} of {len(found.proofs)} logins are as they must be.")
    if any(p.proof == "too-early" for p in found.proofs):
        lines.append("Everything is set right, and Exchange does not honour it yet: that can take up to two hours.")
    if any(p.proof == "accepted" for p in found.proofs):
        lines.append("SMTP accepted the sender; nothing was sent, so delivery is not proven.")
    return "\n".join(lines)


def consent(link: str) -> str:
    """What the one who may not consent hands to the one who may."""
    return (
        "Somebody else must consent: a Privileged Role Administrator, Cloud Application Administrator or Application\n"
        f"Administrator opens this page and chooses Grant admin consent. Then run apply again.\n  {link}"
    )
