"""Judge an inventory: run the checks, set aside what is ignored or known, and say which checks could not run. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from ..checks import CHECKS
from ..finding import SEVERITIES, Check, Finding, Measures, Severity
from ..inventory import Inventory
from ..routes import Route


@dataclass(frozen=True)
class Ignore:
    """An exception that somebody answers for. ``subject``: an id, a name or an address, with * and ? as in file names.
    ``until``: its last day."""

    check: str
    subject: str
    reason: str
    until: date
    where: str = ""  # file:line


@dataclass(frozen=True)
class Ignored:
    finding: Finding
    by: Ignore


@dataclass(frozen=True)
class Result:
    """What an audit comes to. ``findings``: gravest first. ``known``: those that the baseline has. ``not_judged``: check ->
    which sections it lacks. ``lapsed``: exceptions whose last day is over, or that set nothing aside."""

    inventory: Inventory
    routes: tuple[Route, ...]
    findings: tuple[Finding, ...]
    ignored: tuple[Ignored, ...] = ()
    known: tuple[Finding, ...] = ()
    not_judged: Mapping[str, str] = field(default_factory=dict)
    lapsed: tuple[Ignore, ...] = ()
    measures: Measures = field(default_factory=Measures)
    version: str = ""

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
    """``baseline``: fingerprints of findings that are known already."""
    raise NotImplementedError
