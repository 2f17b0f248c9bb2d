"""The tenant is not as a playbook says

What it means: between a playbook and the tenant there is a difference: something that its plan would change, a mailbox that is not
granted, or one that is granted and not in it.

How it is told: the playbook was planned and its plan is not empty. Or its application is there and lacks FullAccess of its own on
one of its mailboxes that uses IMAP or POP, or SMTP by consent; or holds FullAccess or SendAs on a mailbox that is not in it.
A mailbox that could not be read is not said to lack anything. It is one finding for the playbook.

Why it matters: somebody changed something by hand, or an apply did not end. Too little, and the application fails. Too much, and
it opens what nobody wrote down.

What to do: look at the plan. Apply it, or put into the playbook what was decided since.

When it is no problem: the playbook was changed a moment ago and is about to be applied.

Sources:
- learn.microsoft.com/powershell/module/exchangepowershell/get-mailboxpermission
- learn.microsoft.com/powershell/module/exchangepowershell/get-recipientpermission
"""

from collections.abc import Iterator

from ..apps import App, apps
from ..finding import Finding, Measures, Subject, quoted
from ..inventory import Inventory, Section, Wanted
from . import mending
from .words import listed

NEEDS: tuple[Section, ...] = ("entries", "mailbox-permissions")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    of: dict[str, list[App]] = {}
    for app in apps(inventory):
        for want in app.wanted:
            of.setdefault(want.file, []).append(app)
    unread = {box.address.lower() for box in inventory.mailboxes if box.unread}
    for want in sorted(inventory.wanted or (), key=lambda want: want.file):
        lacking, more = _grants(want, of.get(want.file, []), unread)
        if not (want.drift or lacking or more):
            continue
        yield Finding(
            check="playbook-drift",
            severity="medium",
            confidence="high",
            subject=Subject("playbook", want.file, want.file),
            statement=f"The tenant is not as {want.file} says.",
            evidence=(
                *([("its plan would change", listed(want.drift))] if want.drift else []),
                *([("mailboxes without FullAccess", listed(lacking))] if lacking else []),
                *([("mailboxes that are granted and not in it", listed(more))] if more else []),
            ),
            fix=(
                mending.exosp(f"exosp plan {quoted(want.file)}"),
                mending.exosp(f"exosp apply {quoted(want.file)}"),
            ),
        )


def _grants(want: Wanted, here: list[App], unread: set[str]) -> tuple[set[str], set[str]]:
    """Which mailboxes lack FullAccess, and which hold more than the playbook says."""
    lacking: set[str] = set()
    more: set[str] = set()
    for app in here:
        opened = {row.mailbox.address.lower() for row in app.own("FullAccess") if row.mailbox.kind != "soft-deleted"}
        needed = {address for address, protocols in want.mailboxes.items() if _opens(want, protocols)}
        lacking |= needed - opened - unread
        named = {*want.mailboxes, *want.send_as}
        more |= {row.mailbox.address.lower() for row in app.own("FullAccess", "SendAs")} - named
    return lacking, more


def _opens(want: Wanted, protocols: frozenset[str]) -> bool:
    """Whether these need FullAccess: not SMTP by a management role."""
    return bool(protocols - {"smtp"} if want.smtp_by_rbac else protocols)
