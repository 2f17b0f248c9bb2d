"""What a person and a pipeline read of a preflight."""

from collections.abc import Iterator, Sequence
from typing import Any

from ..preflight import Condition, Finding, Preflight, Who
from .plain import plain
from .text import WIDTH, wrapped

_MARK = {"there": "ok", "missing": "NO", "eligible": "~", "unknown": "?"}
_SERVICE = {"graph": "Microsoft Graph", "exchange": "Exchange"}


def who(found: Who, cloud: str, *, emulated: bool) -> str:
    """Who am I, in which tenant and cloud."""
    kind = "person" if found.person else "application"
    name = plain(found.name) or found.app_id or "?"
    where = f"{cloud}{' (emulated)' if emulated else ''}"
    ends = "" if found.person else f", app ID {found.app_id or '?'}, object ID {found.object_id or '?'}"
    ends += f", of the tenant {found.home}" if found.home else ""
    return f"{name}, {kind} by {found.sign_in}{ends}; tenant {found.tenant_id or '?'}, cloud {where}"


def line(found: Preflight, cloud: str, *, emulated: bool) -> str:
    """One short line, for the head of a plan."""
    name = plain(found.rights.who.name) or found.rights.who.app_id or "?"
    where = f"{cloud}{' (emulated)' if emulated else ''}"
    lacking = sorted({right for finding in found.missing for right in finding.need.least - _held(found)})
    if not lacking:
        unsure = " as far as could be read" if found.unknown else ""
        rights = f"may do all of this{unsure}"
    else:
        shown = ", ".join(lacking[:3]) + (f" and {len(lacking) - 3} more" if len(lacking) > 3 else "")
        rights = f"lacks {shown}: exosp preflight says what to grant"
    return f"Signed in by {found.rights.who.sign_in} as {name}, cloud {where}; {rights}."


def text(found: Preflight, command: str, cloud: str, *, emulated: bool, width: int = WIDTH) -> str:
    lines = [wrapped(who(found.rights.who, cloud, emulated=emulated), width), ""]
    lines += [f"For {command}:", *_findings(found.findings, width)]
    if found.rights.active or found.rights.eligible:
        roles = [
            *sorted(found.rights.active or ()),
            *(f"{role} (eligible)" for role in sorted(found.rights.eligible or ())),
        ]
        lines += ["", wrapped(f"Directory roles: {', '.join(roles)}", width)]
    if found.conditions:
        lines += ["", "The tenant's own rules:", *(_condition(condition, width) for condition in found.conditions)]
    if found.grants:
        lines += ["", "What to grant, the least first:"]
        for grant in found.grants:
            lines.append(f"  - {wrapped(grant.what, width, 4)[4:]}")
            lines += [wrapped(f"caution: {grant.caution}", width, 4, 2)] if grant.caution else []
            lines += [f"      {plain(line)}" for line in grant.commands]
    return "\n".join([*lines, "", _end(found)])


def _together(findings: Sequence[Finding]) -> Iterator[tuple[Finding, list[str]]]:
    """Findings that differ in the right alone, with all of their rights."""
    found: dict[tuple[object, ...], tuple[Finding, list[str]]] = {}
    for finding in findings:
        need = finding.need
        key = (need.service, need.what_for, finding.state, finding.why)
        found.setdefault(key, (finding, []))[1].append(" and ".join(sorted(need.least)))
    yield from found.values()


def _findings(findings: Sequence[Finding], width: int) -> Iterator[str]:
    reasons: set[str] = set()
    for finding, rights in _together(findings):
        need = finding.need
        said = f"{_SERVICE[need.service]:15}  {', '.join(rights)}: {need.what_for}"
        lines = [f"  {_MARK[finding.state]:2}  {said}"]
        if len(lines[0]) > width:
            lines = [f"  {_MARK[finding.state]:2}  {wrapped(said, width, 6, 17)[6:]}"]
        if finding.why:
            lines.append(wrapped("for the same reason" if finding.why in reasons else finding.why, width, 6))
            reasons.add(finding.why)
        if finding.state == "missing" and need.others_can:
            lines.append(wrapped("apply goes on without it, and says who must consent", width, 6))
        if finding.state == "missing" and need.partial:
            lines.append(wrapped("audit goes on without it, and says what it did not see", width, 6))
        yield "\n".join(lines)


def _condition(condition: Condition, width: int) -> str:
    mark = "NO" if condition.stops else "?" if condition.what.startswith("could not be read") else "- "
    return f"  {mark:2}  {wrapped(f'{condition.name}: {condition.what}', width, 6)[6:]}"


def _end(found: Preflight) -> str:
    if found.missing:
        return f"{len(found.missing)} of {len(found.findings)} rights are missing."
    if found.rights.shut:
        return f"{len(found.unknown)} could not be told: the way to Exchange's cmdlets does not work."
    if not found.clear:
        return "All rights are there, and a rule of the tenant's will stop it."
    if found.unknown:
        return f"Nothing is known to be missing; {len(found.unknown)} could not be told."
    return "All rights are there."


def _held(found: Preflight) -> frozenset[str]:
    rights = found.rights
    return (rights.graph or frozenset()) | (rights.exchange or frozenset()) | (rights.cmdlets or frozenset())


def document(found: Preflight, command: str) -> dict[str, Any]:
    """``exosp/preflight/1``."""
    rights, me = found.rights, found.rights.who
    return {
        "for": command,
        "who": {
            "kind": "person" if me.person else "application", "sign_in": me.sign_in, "name": me.name, "appid": me.app_id,
            "oid": me.object_id, "tid": me.tenant_id, **({"home": me.home} if me.home else {}),
        },
        "rights": {
            "graph": _list(rights.graph), "exchange": _list(rights.exchange), "cmdlets": _list(rights.cmdlets),
            "active": _list(rights.active), "eligible": _list(rights.eligible), "unread": dict(rights.unread),
        },
        "needs": [
            {
                "service": f.need.service, "right": sorted(f.need.least), "any_of": [sorted(way) for way in f.need.ways],
                "for": f.need.what_for, "state": f.state, "blocks": f.blocks, **({"why": f.why} if f.why else {}),
            }
            for f in found.findings
        ],
        "conditions": [{"name": c.name, "what": c.what, "stops": c.stops} for c in found.conditions],
        "grants": [{"what": g.what, "commands": list(g.commands), "caution": g.caution} for g in found.grants],
        "complete": found.clear and not found.rights.shut,
    }  # fmt: skip


def _list(held: frozenset[str] | None) -> list[str] | None:
    return None if held is None else sorted(held)
