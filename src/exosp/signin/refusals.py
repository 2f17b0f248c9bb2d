"""What Entra's refusals of a token are: which kind of error, by code. Reads answers, sends nothing.

Codes: learn.microsoft.com, identity platform, reference-error-codes, and field reports.
"""

import re
from dataclasses import dataclass
from typing import Any

from ..aadsts import FIXES
from ..errors import CloudError, Forbidden, Missing, Throttled, Unreachable


@dataclass(frozen=True)
class Refusal:
    """An answer of 400 or more. ``codes`` are Entra's error_codes, the field its documentation says to branch on."""

    status: int
    codes: tuple[int, ...] = ()
    error: str = ""
    text: str = ""
    request_id: str = ""
    after: float | None = None
    legible: bool = False


# Not a plain CloudError: what kind of error a code is. What helps stands in ``aadsts.FIXES``.
_KINDS: tuple[tuple[type[CloudError], tuple[int, ...]], ...] = (
    (Forbidden, (
        7000215, 7000222, 7000216, 7000218, 7000112, 700027, 50012, 700213, 7002138, 700211, 700212, 700024, 50013, 700023,
        50076, 50079, 70043, 700082, 50173, 50078, 65001, 650052, 65002, 900382, 900432, 90038, 50105, 501051, 53003, 53005,
        530032, 50020, 90099,
    )),
    (Missing, (700016, 7000229, 90002, 900023, 500011, 50001)),
    (Throttled, (90055, 50196)),
    (Unreachable, (50166, 90061, 90006, 90012, 90024, 90033, 90090, 50033)),
)  # fmt: skip
# The application itself is shut out: no other secret helps, and no waiting.
BLOCKED = frozenset({"AADSTS7000112", "AADSTS53003", "AADSTS53005", "AADSTS530032"})
# What the tenant of another cloud brings, among other things.
CROSS_CLOUD = frozenset({"AADSTS90002", "AADSTS90038", "AADSTS900382", "AADSTS900432", "AADSTS500011"})

_KIND = {code: kind for kind, codes in _KINDS for code in codes}


def refused(refusal: Refusal, host: str, asked: str) -> CloudError:
    found = re.search(r"AADSTS(\d+)", refusal.text)
    codes = refusal.codes or ((int(found[1]),) if found else ())
    known = next((code for code in codes if code in FIXES), None)
    code = f"AADSTS{codes[0]}" if codes else refusal.error
    what = (
        refusal.text.splitlines()[0].split(" Trace ID:")[0].strip() if refusal.text else f"{host} refused the sign-in"
    )
    look_up = f"see https://login.microsoftonline.com/error?code={codes[0]}" if codes else ""
    hint = look_up if known is None else FIXES[known]
    kind: type[Any] = CloudError if known is None else _KIND.get(known, CloudError)
    rest = {"service": "token", "asked": asked, "code": code, "request_id": refusal.request_id}
    if refusal.status == 429 or kind is Throttled:
        return Throttled(what, after=refusal.after, hint=hint, **rest)
    if refusal.status >= 500 or kind is Unreachable or not refusal.legible:
        if not refusal.text:
            what = f"{host} answered {refusal.status} and no reason"
        return Unreachable(
            what, may_have_happened=False, transient=refusal.status >= 500 or kind is Unreachable,
            after=refusal.after, status=refusal.status, hint=hint or "is this the sign-in host, or something before it?", **rest,
        )  # fmt: skip
    error: CloudError = kind(what, status=refusal.status, hint=hint, **rest)
    return error
