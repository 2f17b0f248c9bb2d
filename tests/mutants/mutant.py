"""A break: one replacement in one file of exosp, and the test that must notice it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """``file`` below src/exosp, ``old`` once in it, and the test that must turn red."""

    name: str
    file: str
    old: str
    new: str
    test: str
