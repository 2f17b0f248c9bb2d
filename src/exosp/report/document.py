"""The JSON documents, one function a command; their shapes are the contract with pipelines."""

from typing import Any

from ..clouds import Cloud
from ..converge import Result
from ..diagnosis.naming import named
from ..errors import CloudError, Error, PlaybookError
from ..plan import Plan, change_json
from ..probes import Proof
from ..sending import Applied, Outcome, Refused, Skipped
from ..snapshot import Snapshot
from ..verify import Verdict


def head(command: str, cloud: Cloud | None, tenant: str | None, version: str) -> dict[str, Any]:
    """What every document begins with; ``emulated`` only where it is true. ``cloud`` and ``tenant`` are null where an
    error came before they were known."""
    found: dict[str, Any] = {
        "schema": f"exosp/{command}/1",
        "cloud": cloud.name if cloud else None,
        "tenant": tenant,
        "version": version,
    }
    if cloud is not None and cloud.emulated:
        found["emulated"] = True
    return found


def plan(found: Plan, seen: Snapshot) -> dict[str, Any]:
    return found.as_json(seen)


def apply(result: Result, run: str, tokens: int, consent: str) -> dict[str, Any]:
    shown = result.plan.as_json(result.seen)
    came = {change.key: outcome for change, outcome in result.outcomes}
    planned = {change.key: change for change in result.plan.changes}
    later = {change.key: change for change, _ in result.outcomes}  # found on the way
    shown["changes"] = [
        {**change_json(change, result.seen), **_outcome(came.get(key))} for key, change in (planned | later).items()
    ]
    shown["refused"] = result.rest.as_json(result.seen)["refused"]
    shown["converged"] = result.rest.empty and not result.rest.refused
    shown["requests"] = {**result.requests, "token": tokens}
    shown["run"] = run
    if consent:
        shown["consent"] = consent
    return shown


def _outcome(outcome: Outcome | None) -> dict[str, Any]:
    match outcome:
        case Applied(found):
            return {"outcome": "applied", **({"found": True} if found else {})}
        case Skipped(reason, others_turn):
            return {"outcome": "waiting-for-somebody" if others_turn else "skipped", "reason": reason}
        case Refused(error):
            return {"outcome": "failed", "error": fault(error)}
        case None:
            return {"outcome": "not-reached"}


def fault(error: Error) -> dict[str, Any]:
    found: dict[str, Any] = {"what": error.what, "where": error.where, "hint": error.hint}
    if isinstance(error, CloudError) and (why := named(error)) is not None:
        found |= {"key": why.key, "cause": why.cause, "fix": why.fix, "row": why.row}
    if isinstance(error, PlaybookError):
        found["faults"] = [{"line": f.line, "column": f.column, "what": f.what, "hint": f.hint} for f in error.faults]
    return found


def verify(verdict: Verdict) -> dict[str, Any]:
    claims = verdict.claims
    return {
        "converged": verdict.converged,
        "plan": verdict.plan.as_json(verdict.seen),
        "token": {
            **{name: claims.get(name) for name in ("aud", "tid", "appid", "oid", "roles")},
            **{name: claims[name] for name in ("scp", "upn") if name in claims},  # a person's
            "expires": verdict.expires.isoformat() if verdict.expires else None,
            "faults": list(verdict.token_faults),
        },
        "causes": [{"key": c.key, "cause": c.cause, "fix": c.fix, "logins": c.logins} for c in verdict.causes],
        **({"sample": dict(zip(("probed", "of", "seed"), verdict.sample, strict=True))} if verdict.sample else {}),
        "probes": [_proof(proof) for proof in verdict.proofs],
    }


def _proof(proof: Proof) -> dict[str, Any]:
    return {
        "mailbox": proof.probe.mailbox,
        "protocol": proof.probe.protocol,
        "expect": proof.probe.expect,
        "user": proof.probe.user,
        "stage": proof.stage,
        "ok": proof.ok,
        "proof": proof.proof,
        "server": proof.server,
        "cause": proof.cause,
        "fix": proof.fix,
        "key": proof.key,
        "row": proof.row,
        "evidence": list(proof.evidence),
        "age": None if proof.age is None else round(proof.age),
        **({"message_id": proof.message_id} if proof.message_id else {}),
        **({"subjects": list(proof.subjects)} if proof.subjects else {}),
    }
