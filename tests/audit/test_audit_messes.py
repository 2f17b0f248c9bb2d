"""What the hands of others left in a hundred tenants is what an audit finds there: no more and no less."""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from audited import READER, Audited

from exosp.audit.gathered import Wishes
from exosp.audit.judge import BY_PLAYBOOKS, judge
from exosp.checks import CHECKS
from exosp.finding import Measures
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options

SEEDS = 100
AT_ONCE = 25

Found = set[tuple[str, str, str]]


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running(Options(faults="none")) as found:
        yield found


def mess(running: Running, seed: int) -> tuple[Found, Measures]:
    """A tenant of that seed: what is planted in it, as it says itself, and what that is judged by."""
    running.sandbox._content = {"admin": READER}
    running.reset(seed=seed, faults="none", mailboxes=0, service_principals=0, mess=seed)
    with urllib.request.urlopen(f"{running.environment()['EXOSP_SANDBOX']}/planted", timeout=10) as reply:
        said: dict[str, Any] = json.load(reply)
    planted = {(row["check"], row["subject"].lower(), row["mailbox"].lower()) for row in said["planted"]}
    return planted, Measures(privileged=tuple(said["privileged"]))


def audited(running: Running, measures: Measures) -> Found:
    inventory = Audited(running, wishes=Wishes(evidence=True)).audit()
    assert inventory.coverage.whole
    now = datetime.fromtimestamp(running.sandbox.tenant.clock.now(), UTC)
    result = judge(replace(inventory, at=now), measures)
    assert set(result.not_judged) == BY_PLAYBOOKS
    return {(f.check, f.subject.id.lower(), f.subject.mailbox.lower()) for f in result.findings}


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_what_is_planted_is_what_is_found(first: int, running: Running) -> None:
    """Over a hundred generated tenants, the planted list and the findings are the same set."""
    different = {}
    for seed in range(first, first + AT_ONCE):
        planted, measures = mess(running, seed)
        found = audited(running, measures)
        if found != planted:
            different[seed] = {"missed": sorted(planted - found), "invented": sorted(found - planted)}
    assert different == {}


def test_three_tenants_for_every_run(running: Running) -> None:
    """The same on three of them, so that every run of the core sees it."""
    for seed in (3, 14, 41):
        planted, measures = mess(running, seed)
        assert audited(running, measures) == planted


@pytest.mark.slow
def test_every_check_is_planted_somewhere(running: Running) -> None:
    """All checks but those that compare with playbooks, which no tenant holds."""
    planted = {check for seed in range(SEEDS) for check, _, _ in mess(running, seed)[0]}
    assert planted == {check.name for check in CHECKS} - BY_PLAYBOOKS
