"""Two hundred lives of one tenant, each unkind in another way: all end in the same state, and every fault had its day."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hands
import pytest
from shape import State, differences, normal

from console import at
from desk import QUICKSTART, Desk
from exosp.converge import Refused
from exosp.errors import Error
from exosp.sandbox import tenant as sandbox
from exosp.sandbox.faults import KNOBS
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SEEDS = range(1, int(os.environ.get("STORM_SEEDS", "200")) + 1)
LIVES = 10  # in which each fault must have shown itself, or the storm says nothing of it
SILENT = {"retry-after"}  # has no event of its own: how long a Retry-After is
# What a life here does that not every client does; what else a knob ``needs``, no life does.
MET = ("the admin-api remoting", "a login by a management role")
STRIKE = [
    k.name
    for k in KNOBS
    if k.kind in ("seconds", "count", "size")
    and k.default != k.none
    and (not k.needs or k.needs in MET)
    and k.name not in SILENT
]

WHOLE = QUICKSTART.read_text(encoding="utf-8")
SMALL = WHOLE.replace("protocols: [imap, pop, smtp]", "protocols: [imap]")
ROLE = f"{WHOLE}smtp: {{access: rbac, filter: \"Alias -eq 'support'\"}}\n"
assert SMALL != WHOLE


def mistaken(tenant: sandbox.Tenant) -> None:
    hands.wrong_entry(tenant, "private@contoso.com", send_as="support@contoso.com")


def consented(tenant: sandbox.Tenant) -> None:
    hands.consents(tenant, "Mail.Read", "Mail.Send", "full_access_as_app")


@dataclass(frozen=True)
class Life:
    """What a playbook is applied to at last, and what others' hands did to the tenant before."""

    text: str = WHOLE
    act: Callable[[sandbox.Tenant], None] | None = None


# Each fourth begins with a smaller playbook and goes on after others' hands: what a new secret hides by its own delay (consent,
# Exchange's sync) shows where there is one already, and pages where there is more than our own. Four send by a management role.
PLAIN = Life()
LIFE = (
    Life(ROLE), PLAIN, Life(ROLE), Life(act=mistaken), PLAIN, Life(ROLE), PLAIN, Life(act=hands.delete_principal), PLAIN, Life(ROLE), PLAIN,
    Life(act=consented),
)  # fmt: skip
WAYS = ("", "admin-api")  # the management host and the REST endpoint take turns


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running(Options(faults="default")) as found:
        yield found


def live(running: Running, folder: Path, seed: int) -> tuple[State, dict[str, int], list[str]]:
    """One tenant from its beginning: its normal state at the end, the faults that showed themselves, what went wrong."""
    at(running, "/reset", {"seed": seed})
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    desk, life, wrong = Desk(folder, running, remoting=WAYS[seed // len(LIFE) % 2]), LIFE[seed % len(LIFE)], []
    try:
        if life.act is not None:
            desk.write(SMALL)
            wrong += applied(desk)
            life.act(running.sandbox.tenant)
        desk.write(life.text)
        wrong += applied(desk)
        verdict = desk.verify(negative=() if life.act is mistaken else ("private@contoso.com",))
        wrong += [f"planned: {c.verb} {c.target}: {c.why}" for c in verdict.plan.changes]
        wrong += [f"refused: {r.target}: {r.what}" for r in verdict.plan.refused]
        wrong += [f"{p.probe.mailbox} {p.probe.protocol}: {p.proof} {p.cause}" for p in verdict.proofs if not p.ok]
        wrong += list(verdict.token_faults)
        beyond = [
            drift for drift in verdict.plan.drift if drift.access
        ]  # what hands granted besides stays, and is said
        wrong += [] if verdict.proven or (life.act is not None and beyond) else ["not proven"]
    except Error as fault:
        wrong.append(f"{type(fault).__name__}: {fault.what}")
    faults: dict[str, dict[str, Any]] = at(running, "/faults")
    return normal(desk.state()), {name: held["fired"] for name, held in faults.items() if held["fired"]}, wrong


def applied(desk: Desk) -> list[str]:
    """Apply; what was refused or is still to be made."""
    result = desk.apply()
    wrong = [f"{c.verb} {c.target}: {o.error.what}" for c, o in result.outcomes if isinstance(o, Refused)]
    return wrong + [f"still to be made: {c.verb} {c.target}: {c.why}" for c in result.rest.changes]


def test_every_life_ends_the_same(
    running: Running, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """apply and verify under default faults, 200 seeds in one process: whatever struck, the state is that of a tenant
    without faults, and the logins work. Each fault that default turns on struck in at least ten lives."""
    running.reset(faults="none")
    wanted = []
    for number in range(len(LIFE)):
        state, _, wrong = live(running, tmp_path / "kind", number)
        assert wrong == [], number
        wanted.append(state)
    running.reset(faults="default")
    failures: dict[int, list[str]] = {}
    lives: Counter[str] = Counter()
    for seed in SEEDS:
        state, fired, wrong = live(running, tmp_path / "desk", seed)
        lives.update(fired.keys())
        if said := wrong + differences(state, wanted[seed % len(LIFE)]):
            failures[seed] = said
            print(f"seed {seed}: {said}", flush=True)
    for name in STRIKE:
        record_property("figure", f"storm: {name} struck in {lives[name]} of {len(SEEDS)} lives")
    assert failures == {}
    assert [f"{name}: {lives[name]}" for name in STRIKE if lives[name] < LIVES] == []
