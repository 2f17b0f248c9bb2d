"""Symptom, cause, fix: one table of what the services say and what it means, and the decision for one login.

``find`` looks a text up; ``diagnose`` weighs it against what was read of the tenant; ``refused`` does so for a token that
was not issued; ``proves_closed`` says whether a refusal shows that a mailbox is closed. All are pure: they fetch nothing.
The rows stand a file a group of services, in the vendor's and the field's words, each with its source and how sure it is.
"""

from .decision import ROWS, diagnose, find, proves_closed
from .facts import Diagnosis, Key, ProbeFacts, Since, TokenFacts
from .issuing import refused
from .ladder import DEPTH, OUTSIDE, RUNGS, TOKEN
from .row import Row

__all__ = [
    "DEPTH", "OUTSIDE", "ROWS", "RUNGS", "TOKEN", "Diagnosis", "Key", "ProbeFacts", "Row", "Since", "TokenFacts", "diagnose", "find",
    "proves_closed", "refused",
]  # fmt: skip
