"""An audit as one JSON document, ``exosp/audit/1``: every finding, every route, and what was read. Every name is in it as the
tenant has it; characters that cannot be seen are written as JSON's escapes, so that the file is fit for a terminal too.

``sha256`` is of the rest of the document, as UTF-8: keys in order, no blanks, ASCII alone. To check it::

    python3 -c 'import hashlib, json, sys; d = json.load(sys.stdin); was = d.pop("sha256"); print(hashlib.sha256(json.dumps(
    d, sort_keys=True, separators=(",", ":")).encode()).hexdigest() == was)' < report.json
"""

import hashlib
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from ..audit.judge import Ignore, Result
from ..finding import SEVERITIES, Finding
from ..inventory import NEEDED, Coverage, Event, Section
from ..routes import Route
from .audit_harmless import ANYWHERE
from .plain import plain

SCHEMA = "exosp/audit/1"
_NOT_ASCII = re.compile(r"[^ -~\n]")


def render(result: Result) -> str:
    return written(document(result))


def written(content: Any) -> str:
    """A document as text, with a last line break."""
    text = _NOT_ASCII.sub(_seen, json.dumps(content, indent=2, ensure_ascii=False))
    return ANYWHERE.sub(r"\\u0023", text) + "\n"


def _seen(found: re.Match[str]) -> str:
    char = found[0]
    return char if plain(char) == char else json.dumps(char)[1:-1]


def digest(content: dict[str, Any]) -> str:
    """The SHA-256 of a document without its own."""
    rest = {key: value for key, value in content.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def document(result: Result) -> dict[str, Any]:
    inventory = result.inventory
    found = head(result) | {
        "coverage": coverage(result),
        "counts": counts(result),
        "measures": {
            "privileged": [*result.measures.privileged],
            "expiring": span(result.measures.expiring),
            "longest": span(result.measures.longest),
            "unused": span(result.measures.unused),
            "widest": result.measures.widest,
        },
        "findings": [finding(one) for one in result.findings],
        "ignored": [finding(one.finding) | {"ignored": exception(one.by)} for one in result.ignored],
        "known": [finding(one) for one in result.known],
        "notJudged": dict(result.not_judged),
        "lapsed": [exception(one) | {"why": idle(one, result)} for one in result.lapsed],
        "grants": [grant(route) for route in result.routes],
        "events": [event(one) for one in sorted(inventory.events, key=_when)],
        "lastUse": [
            {"application": use.app_id, "asApplication": moment(use.as_application), "asPerson": moment(use.as_person)}
            for use in sorted(inventory.last_use, key=lambda use: use.app_id)
        ],
    }
    return found | {"sha256": digest(found)}


def head(result: Result) -> dict[str, Any]:
    """What every document of an audit begins with."""
    inventory = result.inventory
    return {
        "schema": SCHEMA,
        "cloud": inventory.cloud,
        "tenant": inventory.tenant,
        "version": result.version,
        **({"emulated": True} if inventory.emulated else {}),
        "tenantId": inventory.tenant_id,
        "operator": inventory.operator,
        "time": moment(inventory.at),
    }


def coverage(result: Result) -> dict[str, Any]:
    """``missing``: section -> why it was not read; ``needed``: those without which an audit is not whole."""
    seen: Coverage = result.inventory.coverage
    sections = get_args(Section)
    return {
        "whole": seen.whole,
        "interrupted": seen.interrupted,
        "needed": [*NEEDED],
        "read": [name for name in sections if name in seen.read],
        "missing": {name: seen.missing[name] for name in sections if name in seen.missing},
        "notAskedFor": [name for name in sections if name not in seen.read and name not in seen.missing],
        "mailboxes": dict(sorted(seen.mailboxes.items())),
        "unread": seen.unread,
        "unreadMailboxes": dict(sorted((box.address, box.unread) for box in result.inventory.mailboxes if box.unread)),
        "people": seen.people,
        "inherited": seen.inherited,
    }


def counts(result: Result) -> dict[str, int]:
    """How many findings of each severity, gravest first."""
    found = Counter(one.severity for one in result.findings)
    return {severity: found[severity] for severity in reversed(SEVERITIES)}


def finding(one: Finding) -> dict[str, Any]:
    about = one.subject
    return {
        "check": one.check,
        "severity": one.severity,
        "confidence": one.confidence,
        "subject": str(about),
        "statement": one.statement,
        "evidence": [{"name": name, "value": value} for name, value in one.evidence],
        "fix": [{"command": fix.command, "shell": fix.shell} for fix in one.fix],
        "about": {"kind": about.kind, "id": about.id, "name": about.name, "mailbox": about.mailbox},
        "detail": one.detail,
        "fingerprint": one.fingerprint,
    }


def exception(ignore: Ignore) -> dict[str, str]:
    return {
        "check": ignore.check,
        "subject": ignore.subject,
        "reason": ignore.reason,
        "until": ignore.until.isoformat(),
        "where": ignore.where,
    }


def idle(ignore: Ignore, result: Result) -> str:
    """Why an exception does nothing."""
    return "its last day is over" if ignore.over(result.inventory.at) else "it sets nothing aside"


def grant(route: Route) -> dict[str, Any]:
    """``mailbox`` null: every mailbox, or those of ``scope``. ``application`` null: nobody resolves the holder."""
    return {
        "application": route.app_id or None,
        "holder": route.holder,
        "resolved": bool(route.app_id),
        "mailbox": route.mailbox or None,
        "door": route.door,
        "can": route.can,
        "by": route.by,
        "of": route.of,
        "scope": route.scope,
        "open": route.is_open,
        "lacks": [*route.lacks],
        "protocolsOff": route.protocols_off,
    }


def event(one: Event) -> dict[str, Any]:
    return {
        "time": moment(one.at),
        "who": one.who,
        "change": one.change,
        "subject": one.subject,
        "log": one.log,
        "detail": one.detail,
    }


def _when(one: Event) -> tuple[datetime, str, str, str, str, str]:
    """Whatever order they came in, they stand in the same."""
    return (one.at, one.subject, one.change, one.who, one.log, one.detail)


def moment(at: datetime | None) -> str | None:
    """None for a time that is not known."""
    if at is None or at.year == 1:
        return None
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def span(length: timedelta) -> str:
    """As a settings file writes it."""
    hours = int(length.total_seconds()) // 3600
    return f"{hours}h" if hours % 24 else f"{hours // 24}d"
