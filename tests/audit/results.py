"""Results written by hand, for tests of a report's formats."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from builders import ALL_READ, AT, application, mailbox, some_id, tenant

from exosp.audit.judge import Ignore, Ignored, Result
from exosp.finding import Check, Finding, Fix, Measures, Severity, Subject, quoted
from exosp.inventory import Coverage, Event, LastUse
from exosp.routes import routes
from exosp.snapshot import AppId

DESK = application("Support Desk Mail", "IMAP.AccessAsApp")
ROBOT = application("Backup Robot", graph=["Mail.Read"])
WIDE = "tenant-wide-mail-access"

MANUAL = """Tenant-wide access to mail.

It reaches every mailbox: {braces} and [links](https://example.com) are text here.

What to do: narrow it.
"""


def check(
    name: str, manual: str = "A title.\n\nWhat it means.\n", needs: Any = (), found: tuple[Finding, ...] = ()
) -> Check:
    return Check(name, manual, needs, lambda inventory, measures: iter(found))


def finding(
    name: str = WIDE, severity: Severity = "critical", subject: Subject | None = None, **others: Any
) -> Finding:
    about = Subject("application", ROBOT.app_id, ROBOT.name) if subject is None else subject
    return replace(
        Finding(
            name, severity, "high", about, "It can read every mailbox.", (("permission", "Mail.Read"),),
            (Fix(f"exosp audit --app {quoted(about.id)}", "exosp"), Fix("Ask its owner.")),
        ),
        **others,
    )  # fmt: skip


CHECKS = (
    check(WIDE, MANUAL),
    check("owner-missing", needs=("owners",)),
    check("not-in-any-playbook"),
    check("unresolved-trustee"),
)
SET_ASIDE = Ignore("owner-missing", "Support *", "INC-4711: handed over in spring", date(2026, 12, 31), "audit.yaml:4")
OVER = Ignore("unused-access", "Old *", "migration", date(2026, 10, 31), "audit.yaml:8")
ON_SALES = Subject("application", DESK.app_id, DESK.name, "sales@contoso.com")


def result(**others: Any) -> Result:
    """A whole audit: two applications, a trustee that nobody resolves, and one of everything that a report tells."""
    inventory = tenant(
        DESK, ROBOT, mailbox("support@contoso.com", full=[DESK]), mailbox("sales@contoso.com", full=[DESK], imap=False),
        mailbox("old@contoso.com", unresolved=["S-1-5-21-1-2-3-4"]),
        coverage=Coverage(read=ALL_READ - {"last-use"}, missing={"last-use": "no licence for it"}, mailboxes={"user": 1200, "shared": 34}, people=567, inherited=8901),
        events=(Event(AT - timedelta(days=2), "ann@contoso.com", "Consent to application", ROBOT.object_id, "entra", "Mail.Read"),),
    )  # fmt: skip
    given: dict[str, Any] = {
        "inventory": inventory,
        "routes": tuple(routes(inventory)),
        "findings": (
            finding(),
            finding("unresolved-trustee", "low", Subject("trustee", "S-1-5-21-1-2-3-4", "S-1-5-21-1-2-3-4"), statement="Nobody resolves it.", evidence=(("mailboxes", "old@contoso.com"),), fix=()),
        ),
        "ignored": (Ignored(finding("owner-missing", "low", Subject("application", DESK.app_id, DESK.name)), SET_ASIDE),),
        "known": (finding("owner-missing", "low"),),
        "not_judged": {"not-in-any-playbook": "no playbooks were given"},
        "lapsed": (OVER,),
        "measures": Measures(privileged=("ceo@contoso.com",)),
        "version": "1.2.3",
        "checks": CHECKS,
    }  # fmt: skip
    return Result(**given | others)


def unread(**others: Any) -> Result:
    """An audit that is not whole."""
    inventory = result().inventory
    boxes = (*inventory.mailboxes, mailbox("hr@contoso.com", unread="Exchange answered 503"))
    boxes += (mailbox("it@contoso.com", unread="Exchange answered 504"),)
    coverage = replace(
        inventory.coverage, unread=3, read=ALL_READ - {"transport"}, missing={"transport": "not allowed"}
    )
    return result(inventory=replace(inventory, mailboxes=boxes, coverage=coverage), **others)


__all__ = ["AT", "CHECKS", "DESK", "ON_SALES", "OVER", "ROBOT", "SET_ASIDE", "WIDE", "AppId", "LastUse", "check", "finding", "result", "some_id", "unread"]  # fmt: skip
