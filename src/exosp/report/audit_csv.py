"""An audit as CSV (RFC 4180, UTF-8 without a mark at its beginning): a row a finding, or, where asked for, a row a route.

Every cell is in quotes, and none is a formula: a quote stands before = + - @ and their full-width forms where they begin a
cell, blanks before them or not, and where they follow a comma or a semicolon, since a spreadsheet of another language parts
cells there (owasp.org/www-community/attacks/CSV_Injection). Characters that cannot be seen, tabs and line breaks among them,
stand as escapes, so a row is one line. It is for spreadsheets: the JSON document has every name as it is.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence

from ..audit.judge import Result
from .audit_harmless import harmless

FINDINGS = (
    "severity", "confidence", "check", "subject", "kind", "id", "name", "mailbox", "detail", "statement", "evidence", "fix",
    "fingerprint",
)  # fmt: skip
GRANTS = (
    "application", "holder", "resolved", "mailbox", "door", "can", "by", "of", "scope", "open", "lacks", "protocols off",
)  # fmt: skip

_FORMULA = re.compile(r"""((?:^|[,;])[\s"]*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])""")


def render(result: Result) -> str:
    """The findings."""
    rows = (
        (
            one.severity,
            one.confidence,
            one.check,
            str(one.subject),
            one.subject.kind,
            one.subject.id,
            one.subject.name,
            one.subject.mailbox,
            one.detail,
            one.statement,
            "; ".join(f"{name}: {value}" for name, value in one.evidence),
            "; ".join(fix.command for fix in one.fix),
            one.fingerprint,
        )
        for one in result.findings
    )
    return _table(FINDINGS, rows)


def grants(result: Result) -> str:
    """Every route, those of trustees that nobody resolves among them."""
    rows = (
        (
            route.app_id,
            route.holder,
            _yes(bool(route.app_id)),
            route.mailbox or ("" if route.scope else "(every mailbox)"),
            route.door,
            route.can,
            route.by,
            route.of,
            route.scope,
            _yes(route.is_open),
            "; ".join(route.lacks),
            _yes(route.protocols_off),
        )
        for route in result.routes
    )
    return _table(GRANTS, rows)


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    written = io.StringIO(newline="")
    table = csv.writer(written, quoting=csv.QUOTE_ALL)
    table.writerow(columns)
    table.writerows([cell(text) for text in row] for row in rows)
    return written.getvalue()


def cell(text: str) -> str:
    """What no spreadsheet takes for a formula."""
    return _FORMULA.sub(r"\1'", harmless(text))
