"""Search-UnifiedAuditLog, over what cmdlets changed. Sources: its help (100 rows unless told, 5,000 at most; ReturnLargeSet hands out
a session's rows in turns, unsorted); the management activity API's schema for AuditData. Search-AdminAuditLog is none of
Exchange Online's any more: its help leaves the cloud out, and so does the table.

Not imitated: records of anything but cmdlets, -Formatted's other names, previews.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from .outcome import Failure, Item, Output, not_emulated, transformation
from .session import Call, Cmdlet, exchange_error

TYPES = ("Deserialized.Microsoft.Exchange.Management.ActivitySearch.AuditRecord", "System.Object")
_MOST = 5000
_KEPT = 180 * 86400.0  # days of a standard licence
_FORMS = ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M", "%m/%d/%Y")


def _moment(call: Call, name: str) -> float:
    """A date as administrators type it; one without a zone is UTC. Raises Failure."""
    text = str(call.values[name]).strip()
    found: datetime | None = None
    try:
        found = datetime.fromisoformat(text.replace(" Z", "Z"))
    except ValueError:
        for form in _FORMS:
            try:
                found = datetime.strptime(text, form)  # noqa: DTZ007 - its zone follows
                break
            except ValueError:
                continue
    if found is None:
        raise transformation(
            name,
            f'Cannot convert value "{text}" to type "Microsoft.Exchange.ExchangeSystem.ExDateTime". Error: "String was not '
            'recognized as a valid DateTime."',
        )
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _refused(call: Call, text: str) -> Failure:
    return exchange_error(
        call, "Microsoft.Exchange.Management.ActivitySearch.UnifiedAuditLogSearchException", text, "Ex4E1B77"
    )


def _wanted(call: Call) -> list[dict[str, Any]]:
    begins, ends = _moment(call, "StartDate"), _moment(call, "EndDate")
    if begins > ends:
        raise _refused(call, "The start date you specified is later than the end date.")
    since = max(begins, call.tenant.clock.now() - _KEPT)
    chosen = {
        key: {str(one).lower() for one in call.values.get(name) or ()}
        for key, name in (("Operation", "Operations"), ("UserId", "UserIds"), ("ObjectId", "ObjectIds"))
    }
    kind, text = call.text("RecordType"), (call.text("FreeText") or "").lower()
    if kind is not None and kind.lower() != "exchangeadmin":
        return []
    shows, now = call.exchange.log_shows, call.tenant.clock.now()
    shown = [row for row in call.exchange.admin_log if shows.get(row["Id"], 0.0) <= now]
    if len(shown) < len(call.exchange.admin_log):
        call.tenant.faults.note("audit-log-lag")
    return [
        row
        for row in shown
        if since <= _at(row) <= ends
        and all(not values or str(row[key]).lower() in values for key, values in chosen.items())
        and (not text or text in json.dumps(row).lower())
    ]


def _at(row: dict[str, Any]) -> float:
    return datetime.fromisoformat(f"{row['CreationTime']}+00:00").timestamp()


def search(call: Call) -> Iterator[Output]:
    size = call.values.get("ResultSize")
    size = 100 if size is None else int(size)
    if not 1 <= size <= _MOST:
        raise _refused(call, f"ResultSize must be between 1 and {_MOST}.")
    session, command = call.text("SessionId"), (call.text("SessionCommand") or "").lower()
    if command not in ("", "returnlargeset", "returnnextpreviewpage"):
        raise not_emulated(f"-SessionCommand {command}")
    turns = call.exchange.audit_sessions
    if session is not None and session in turns:
        rows, start = turns[session]
    else:
        rows, start = _wanted(call), 0
        rows.sort(key=_at, reverse=True)
    if session is not None:
        turns[session] = rows, start + size
    for number, row in enumerate(rows[start : start + size], start + 1):
        properties = {
            "RecordType": "ExchangeAdmin", "CreationDate": row["CreationTime"], "UserIds": row["UserId"],
            "Operations": row["Operation"], "AuditData": json.dumps(row), "ResultIndex": number, "ResultCount": len(rows),
            "Identity": row["Id"], "IsValid": True, "ObjectState": "Unchanged",
        }  # fmt: skip
        yield Item(TYPES, properties, row["Id"])


CMDLETS = {
    "Search-UnifiedAuditLog": Cmdlet(
        search,
        frozenset({
            "StartDate", "EndDate", "Operations", "UserIds", "ObjectIds", "RecordType", "FreeText", "ResultSize", "SessionId",
            "SessionCommand", "HighCompleteness",
        }),
    ),
}  # fmt: skip
