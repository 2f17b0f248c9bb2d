"""An audit as SARIF 2.1.0 (docs.oasis-open.org/sarif/sarif/v2.1.0): a rule a check, a result a finding, exceptions as
suppressions with their reason. What a baseline knows is no result; its fingerprints stand in the run's properties.

A tenant has no files, so a result's place is a logical one. A path that stands for it is beside it, below ``tenant/``: GitHub
takes no upload in which a result has none (docs.github.com, SARIF support for code scanning).
In messages braces are doubled, since a single one begins a placeholder (3.11.5), and no bracket is followed by a parenthesis
at once, since that makes a link (3.11.6).
"""

import hashlib
import inspect
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from ..audit.judge import Ignore, Result
from ..audit.settings import FINGERPRINT
from ..finding import SEVERITIES, Check, Finding, Severity
from .audit_harmless import harmless
from .audit_json import counts, coverage, digest, document, exception, idle, moment, written
from .audit_summary import also_missing, unread

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LONGEST = 200  # characters of a place's name

LEVEL: dict[Severity, str] = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "info": "note"}
# What GitHub sorts by: above 9 critical, from 7 high, from 4 medium, below low.
SECURITY: dict[Severity, str] = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "2.0"}


def render(result: Result) -> str:
    return written(log(result))


def log(result: Result) -> dict[str, Any]:
    """The whole log, one run."""
    inventory = result.inventory
    names = [check.name for check in result.checks]
    found = [*result.findings, *(one.finding for one in result.ignored)]
    names += dict.fromkeys(one.check for one in found if one.check not in names)
    place = {name: number for number, name in enumerate(names)}
    known = {check.name: check for check in result.checks}
    whole = document(result)
    run = {
        "tool": {
            "driver": {
                "name": "exosp",
                "semanticVersion": result.version or "0.0.0",
                "rules": [_rule(name, known.get(name), found) for name in names],
            }
        },
        "automationDetails": {"id": f"exosp/audit/{harmless(inventory.tenant or inventory.tenant_id, LONGEST)}/"},
        "invocations": [_invocation(result)],
        "results": [
            *(_result(one, place) for one in result.findings),
            *(_result(one.finding, place, one.by) for one in result.ignored),
        ],
        "properties": {
            "tenant": inventory.tenant,
            "tenantId": inventory.tenant_id,
            "cloud": inventory.cloud,
            "operator": inventory.operator,
            "time": moment(inventory.at),
            **({"emulated": True} if inventory.emulated else {}),
            "coverage": coverage(result),
            "counts": counts(result),
            "known": [one.fingerprint for one in result.known],
            "sha256": digest(whole),  # of the JSON report
        },
        "columnKind": "unicodeCodePoints",
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(name: str, check: Check | None, found: list[Finding]) -> dict[str, Any]:
    """A check and its manual. How grave and how sure it is, is what its findings are; without any it says nothing of that."""
    rule: dict[str, Any] = {"id": name, "name": "".join(word.capitalize() for word in name.split("-"))}
    if check is not None:
        manual = inspect.cleandoc(check.manual)
        rule["shortDescription"] = {"text": _message(check.title)}
        rule["fullDescription"] = {
            "text": _message(" ".join(manual.split("\n\n")[min(1, manual.count("\n\n"))].split()))
        }
        rule["help"] = {"text": _doubled(manual), "markdown": _doubled(manual)}
    mine = [one for one in found if one.check == name]
    properties: dict[str, Any] = {"tags": ["security", "exchange-online"]}
    if mine:
        worst = max((one.severity for one in mine), key=SEVERITIES.index)
        rule["defaultConfiguration"] = {"level": LEVEL[worst]}
        properties["precision"] = mine[0].confidence
        if worst in SECURITY:
            properties["security-severity"] = SECURITY[worst]
    return rule | {"properties": properties}


def _result(one: Finding, place: dict[str, int], by: Ignore | None = None) -> dict[str, Any]:
    about = one.subject
    return {
        "ruleId": one.check,
        "ruleIndex": place[one.check],
        "level": LEVEL[one.severity],
        "kind": "fail",
        "message": {"text": _message(one.statement or one.check)},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": _path(one)}, "region": {"startLine": 1}},
                "logicalLocations": [
                    {
                        "name": harmless(about.name, LONGEST),
                        "fullyQualifiedName": harmless(
                            "/".join(filter(None, (about.kind, about.id, about.mailbox))), 2 * LONGEST
                        ),
                        "kind": about.kind,
                    }
                ],
            }
        ],
        "partialFingerprints": {FINGERPRINT: one.fingerprint, "primaryLocationLineHash": one.fingerprint},
        "suppressions": [] if by is None else [_suppression(by)],
        "properties": {
            "severity": one.severity,
            **({"security-severity": SECURITY[one.severity]} if one.severity in SECURITY else {}),
            "confidence": one.confidence,
            "subject": str(about),
            "about": {"kind": about.kind, "id": about.id, "name": about.name, "mailbox": about.mailbox},
            "detail": one.detail,
            "evidence": [{"name": name, "value": value} for name, value in one.evidence],
            "fix": [{"command": fix.command, "shell": fix.shell} for fix in one.fix],
        },
    }


def _suppression(by: Ignore) -> dict[str, Any]:
    return {
        "kind": "external",
        "status": "accepted",
        "justification": _message(f"{by.reason} (until {by.until.isoformat()})"),
        "properties": exception(by),
    }


def _invocation(result: Result) -> dict[str, Any]:
    """Whether all was read; what was not, and what could not be judged, as notifications."""
    whole = result.inventory.coverage.whole
    at = moment(result.inventory.at)
    said = [_note("not-read", "error", why) for why in unread(result)]
    said += [_note("not-had", "note", why) for why in also_missing(result)]
    said += [_note("not-judged", "note", f"{check}: {why}", check) for check, why in result.not_judged.items()]
    return {
        "executionSuccessful": whole,
        **({} if whole else {"exitCode": 1, "exitCodeDescription": "not all could be read"}),
        **({"endTimeUtc": at} if at else {}),
        **({"account": harmless(result.inventory.operator, LONGEST)} if result.inventory.operator else {}),
        "toolExecutionNotifications": said,
        "toolConfigurationNotifications": [*_idle(result)],
    }


def _idle(result: Result) -> Iterator[dict[str, Any]]:
    for one in result.lapsed:
        why = f"{one.where + ': ' if one.where else ''}{one.check}, {one.subject}: {idle(one, result)}"
        yield _note("exception-does-nothing", "warning", why)


def _note(name: str, level: str, text: str, rule: str = "") -> dict[str, Any]:
    about = {"associatedRule": {"id": rule}} if rule else {}
    return {"descriptor": {"id": name}, "level": level, "message": {"text": _message(text)}, **about}


def _message(text: str) -> str:
    return _doubled(harmless(text)).replace("](", "] (")


def _doubled(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _path(one: Finding) -> str:
    """A playbook is a file; whatever else stands for itself, below ``tenant/``."""
    about = one.subject
    if about.kind == "playbook":
        return "/".join(_segment(part) for part in about.id.replace("\\", "/").split("/") if part not in ("", "."))
    return "/".join(_segment(part) for part in ("tenant", about.kind, about.id or about.name, about.mailbox) if part)


def _segment(text: str) -> str:
    """One part of a path. ``..`` leads nowhere; of a long one the beginning and a hash of the whole are left."""
    shown = harmless(text)
    if len(shown) > LONGEST:
        shown = f"{shown[:LONGEST]}~{hashlib.sha256(shown.encode()).hexdigest()[:12]}"
    return quote(shown, safe="@") if shown.strip(".") else "%2E" * len(shown)
