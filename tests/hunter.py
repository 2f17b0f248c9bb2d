"""The hunt for secrets: any run of twelve characters of one, in any encoding that leaks.py knows, in any text."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

from exosp.sandbox import catalog
from exosp.sandbox.graph import credentials
from exosp.sandbox.tokens import Signer
from leaks import TOKENS, forms

RUN = 12


def runs(secret: str) -> set[str]:
    """Every run of twelve characters of a secret as it is and in each of its encodings. Raises where it has none."""
    found = {form[start : start + RUN] for form in forms(secret) for start in range(len(form) - RUN + 1)}
    assert len(secret) >= RUN, "a secret that short cannot be told from other text"
    return found


def hunt(texts: dict[str, str], secrets: Iterable[str]) -> list[str]:
    """Where a run of a secret stands, or how tokens begin: by the text's name and the secret's number, not the secret."""
    wanted: dict[str, int] = {}
    for number, secret in enumerate(secrets):
        wanted |= dict.fromkeys(runs(secret), number)
    found = []
    for name, text in texts.items():
        there = {wanted[run] for start in range(len(text) - RUN + 1) if (run := text[start : start + RUN]) in wanted}
        found += [f"{name}: secret {number}" for number in sorted(there)]
        found += [f"{name}: a token"] if any(token in text for token in TOKENS) else []
    return found


@contextmanager
def all_that_is_issued() -> Iterator[list[str]]:
    """Every secret and every token that sandboxes in this process make meanwhile."""
    made: list[str] = []
    secret, mint = catalog.new_secret, Signer.mint

    def new_secret() -> str:
        made.append(secret())
        return made[-1]

    def new_token(self: Signer, claims: dict[str, object], lifetime: float = 3599) -> str:
        made.append(mint(self, claims, lifetime))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "new_secret", new_secret)
        patch.setattr(credentials, "new_secret", new_secret)
        patch.setattr(Signer, "mint", new_token)
        yield made
