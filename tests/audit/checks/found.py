"""What all checks find on a tenant, as rows that a test can write down."""

from typing import NamedTuple

from builders import some_id

from exosp.checks import CHECKS
from exosp.finding import Finding, Measures
from exosp.inventory import Inventory


class Row(NamedTuple):
    """What tells one finding from another, and how grave it is."""

    check: str
    severity: str
    confidence: str
    kind: str
    id: str
    mailbox: str = ""
    detail: str = ""


def of(name: str, check: str, severity: str, confidence: str, mailbox: str = "", detail: str = "") -> Row:
    """A finding about the application of this name."""
    return Row(check, severity, confidence, "application", some_id("app", name), mailbox, detail)


def findings(inventory: Inventory, measures: Measures | None = None) -> list[Finding]:
    return [finding for check in CHECKS for finding in check.find(inventory, measures or Measures())]


def row(finding: Finding) -> Row:
    on = finding.subject
    return Row(finding.check, finding.severity, finding.confidence, on.kind, on.id, on.mailbox, finding.detail)


def rows(inventory: Inventory, measures: Measures | None = None) -> list[Row]:
    return sorted(map(row, findings(inventory, measures)))
