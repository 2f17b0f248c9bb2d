"""Each cause that can be planted, alone and in pairs: verify names it, with its evidence, and of two the outer one first.

The states are ``planted``'s, by hand. What verify named is counted in a matrix, printed at the end, with a column for
what no planted state answers to.
"""

from collections import Counter
from itertools import combinations
from typing import Any

import pytest

from planted import PAIRED, RIGHT, STATES, Ground, State, planted

BY_NAME = {state.name: state for state in STATES}
PAIRS = [
    (BY_NAME[one], BY_NAME[other])
    for one, other in combinations(PAIRED, 2)
    if not BY_NAME[one].places & BY_NAME[other].places
]


def named(verdict: Any) -> Any:
    return verdict.causes[0] if verdict.causes else None


@pytest.mark.parametrize("name", RIGHT)
def test_what_only_looks_wrong_is_proven(ground: Ground, name: str) -> None:
    """Near-misses: every login works, and no cause is made up."""
    RIGHT[name](ground)
    verdict = ground.verify()
    assert verdict.causes == ()
    assert all(proof.ok for proof in verdict.proofs)


# In the core suite one or two of each kind; the matrix below has them all again.
EACH = [pytest.param(name, marks=[] if name in PAIRED else [pytest.mark.slow], id=name) for name in BY_NAME]


@pytest.mark.parametrize("name", EACH)
def test_a_planted_cause_is_named_with_its_evidence(ground: Ground, name: str) -> None:
    """Alone: the first cause that verify names is the planted one, in words that tell it from its neighbours, with what to
    do; a cause that waiting mends is too early, and no other is."""
    state = BY_NAME[name]
    with planted(ground, state) as verdict:
        found = named(verdict)
        assert found is not None
        assert state.named_by(found), f"{found.key}: {found.cause}"
        assert found.fix
        [first, *_] = [proof for proof in verdict.proofs if proof.key == found.key]
        assert first.evidence
        assert (first.proof == "too-early") == state.early
        assert not verdict.proven


# Some of the pairs, in the core suite.
FEW = (
    ("a gateway strips STARTTLS", "the secret's ID was saved for its value"),
    ("nobody consented", "the entry bears the application's own object ID"),
    ("the token lists so many groups that POP cuts it", "nobody granted FullAccess"),
    ("nobody granted FullAccess", "IMAP is off for the mailbox"),
    ("SMTP AUTH is off for the tenant", "all is right, and granted 12 minutes ago"),
)


def test_a_few_pairs_at_once(ground: Ground) -> None:
    """The outer one is named first, though the logins that only the inner one keeps out may come before."""
    for outer, inner in FEW:
        with planted(ground, BY_NAME[outer], BY_NAME[inner]) as verdict:
            assert BY_NAME[outer].named_by(named(verdict)), f"{outer} + {inner}: {named(verdict)}"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_of_two_planted_causes_the_outer_one_is_named_first(ground: Ground, record_property: Any) -> None:
    """In pairs: whatever lies further in does not hide what lies further out, and nothing is called unknown."""
    matrix: Counter[tuple[str, str]] = Counter()
    wrong = []
    for state in STATES:
        with planted(ground, state) as verdict:
            matrix[state.name, column(named(verdict), [state])] += 1
    for pair in PAIRS:
        outer, inner = sorted(pair, key=lambda state: state.layer)
        with planted(ground, *pair) as verdict:
            found = named(verdict)
            answers = [s for s in pair if s.layer == outer.layer] if inner.layer == outer.layer else [outer]
            name = column(found, answers)
            as_planted = name in [state.name for state in answers]
            matrix[name if as_planted else outer.name, name] += 1
            if not as_planted:
                wrong.append(f"{outer.name} + {inner.name}: {found and (found.key, found.cause)}")
    record_property("figure", printed(matrix))
    assert not wrong, "\n".join(wrong)


def column(cause: Any, expected: list[State]) -> str:
    """The state that a named cause is, the expected ones first; unknown where it is none."""
    if cause is None:
        return "unknown"
    return next((state.name for state in (*expected, *STATES) if state.named_by(cause)), "unknown")


def printed(matrix: Counter[tuple[str, str]]) -> str:
    """A row a planted cause, the outermost of a pair; a column what verify named; a dot for nought."""
    names = [state.name for state in STATES]
    columns = [*names, "unknown"]
    rows = [f"confusion matrix: {len(names)} causes alone and {len(PAIRS)} pairs; columns by number, the last unknown"]
    rows.append(" " * 62 + "".join(f"{number:>3}" for number in (*range(1, len(names) + 1),)) + "  ?")
    for number, name in enumerate(names, 1):
        cells = "".join(f"{matrix[name, other] or '.':>3}" for other in columns)
        rows.append(f"{number:>3} {name:<58}{cells}")
    right = sum(count for (row, other), count in matrix.items() if row == other)
    unknown = sum(count for (_, other), count in matrix.items() if other == "unknown")
    rows.append(f"{right} of {matrix.total()} named as planted, {unknown} unknown")
    return "\n".join(rows)
