"""Judge an inventory: run the checks, set aside what is ignored or known, and say which checks could not run. Pure.

A check that raises is a bug: nothing here catches it, for a report that left one out would look like a clean tenant.
"""

import fnmatch
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from ..checks import CHECKS
from ..finding import SEVERITIES, Check, Finding, Measures, Severity, Subject
from ..inventory import Inventory
from ..routes import Route, routes

# They compare with playbooks. Without any they say nothing, and that is not the same as finding nothing.
BY_PLAYBOOKS = frozenset({"not-in-any-playbook", "playbook-drift"})


@dataclass(frozen=True)
class Ignore:
    """An exception that somebody answers for. ``subject``: an id, a name or an address, with * and ? as in file names, in any
    case. ``until``: its last day, in UTC."""

    check: str
    subject: str
    reason: str
    until: date
    where: str = ""  # file:line

    def over(self, at: datetime) -> bool:
        """Whether its last day had passed when the tenant was read."""
        return self.until < at.astimezone(UTC).date()


@dataclass(frozen=True)
class Ignored:
    finding: Finding
    by: Ignore


@dataclass(frozen=True)
class Result:
    """What an audit comes to. ``findings``: gravest first. ``known``: those that the baseline has. ``not_judged``: check ->
    which sections it lacks, and why. ``lapsed``: exceptions whose last day is over, or that set nothing aside.
    ``checks``: all that were asked for."""

    inventory: Inventory
    routes: tuple[Route, ...]
    findings: tuple[Finding, ...]
    ignored: tuple[Ignored, ...] = ()
    known: tuple[Finding, ...] = ()
    not_judged: Mapping[str, str] = field(default_factory=dict)
    lapsed: tuple[Ignore, ...] = ()
    measures: Measures = field(default_factory=Measures)
    version: str = ""
    checks: tuple[Check, ...] = ()

    @property
    def worst(self) -> Severity | None:
        return max((finding.severity for finding in self.findings), key=SEVERITIES.index, default=None)


def judge(
    inventory: Inventory,
    measures: Measures,
    *,
    checks: Sequence[Check] = CHECKS,
    ignores: Sequence[Ignore] = (),
    baseline: Collection[str] = (),
    version: str = "",
) -> Result:
    """``baseline``: fingerprints of findings that are known already. What an exception sets aside is set aside, known or not."""
    unjudged = {check.name: why for check in checks if (why := _lacks(check, inventory))}
    found = [finding for check in checks if check.name not in unjudged for finding in check.find(inventory, measures)]
    found.sort(key=_order(checks))
    live = [(ignore, _pattern(ignore.subject)) for ignore in ignores if not ignore.over(inventory.at)]
    new, known, ignored = [], [], []
    for finding in found:
        by = next((i for i, subject in live if i.check == finding.check and _names(subject, finding.subject)), None)
        if by is not None:
            ignored.append(Ignored(finding, by))
        elif finding.fingerprint in baseline:
            known.append(finding)
        else:
            new.append(finding)
    return Result(
        inventory=inventory,
        routes=tuple(routes(inventory)),
        findings=tuple(new),
        ignored=tuple(ignored),
        known=tuple(known),
        not_judged=unjudged,
        lapsed=tuple(_idle(ignores, ignored, unjudged, inventory.at)),
        measures=measures,
        version=version,
        checks=tuple(checks),
    )


def _lacks(check: Check, inventory: Inventory) -> str:
    """Why a check cannot say anything, nothing where it can."""
    missing = inventory.coverage.missing
    reasons = [
        f"{section}: {missing[section]}" if section in missing else f"{section} was not asked for"
        for section in check.needs
        if not inventory.has(section)
    ]
    if check.name in BY_PLAYBOOKS and inventory.wanted is None:
        reasons.append("no playbooks were given")
    return "; ".join(reasons)


def _order(checks: Sequence[Check]) -> Callable[[Finding], tuple[int | str, ...]]:
    """Gravest first, then as an auditor reads the checks; the same findings always stand in the same order."""
    place = {check.name: number for number, check in enumerate(checks)}

    def key(finding: Finding) -> tuple[int | str, ...]:
        subject = finding.subject
        return (
            -SEVERITIES.index(finding.severity),
            place.get(finding.check, len(place)),
            subject.name.casefold(),
            subject.name,
            subject.mailbox,
            finding.detail,
            subject.id,
            finding.statement,
        )

    return key


def _pattern(subject: str) -> re.Pattern[str]:
    """Brackets stand for themselves: names have them, and nobody means a set of characters."""
    return re.compile(fnmatch.translate(subject.casefold().replace("[", "[[]")))


def _names(pattern: re.Pattern[str], subject: Subject) -> bool:
    return any(pattern.match(text.casefold()) for text in (subject.id, subject.name, subject.mailbox) if text)


def _idle(
    ignores: Sequence[Ignore], used: Sequence[Ignored], unjudged: Mapping[str, str], at: datetime
) -> Iterator[Ignore]:
    """Exceptions that do nothing: over, or with nothing to set aside. Of a check that did not run nothing is known."""
    busy = {one.by for one in used}
    return (i for i in ignores if i.over(at) or (i not in busy and i.check not in unjudged))
