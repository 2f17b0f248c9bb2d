"""How findings speak of applications, mailboxes and times, so that all of them do so alike. No check."""

from collections.abc import Iterable
from datetime import datetime

from ..apps import App, Holding
from ..finding import Subject
from ..inventory import Credential

MOST = 10  # names that one line of evidence shows


def about(app: App, mailbox: str = "") -> Subject:
    return Subject("application", app.id, app.name, mailbox)


def listed(texts: Iterable[str]) -> str:
    """How many they are, and the first of them."""
    shown = sorted(set(texts), key=lambda text: (text.lower(), text))
    more = f" and {len(shown) - MOST} more" if len(shown) > MOST else ""
    return f"{len(shown)}: {', '.join(shown[:MOST])}{more}"


def mailboxes(held: Iterable[Holding]) -> tuple[str, str]:
    return "mailboxes", listed(row.mailbox.address for row in held)


def several(number: int, thing: str) -> str:
    """1 mailbox, 2 mailboxes."""
    plural = f"{thing}es" if thing.endswith(("x", "s")) else f"{thing}s"
    return f"{number} {thing if number == 1 else plural}"


def boxes(held: Iterable[Holding]) -> str:
    return several(len({row.mailbox.id for row in held}), "mailbox")


def day(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d}" if at else "not known"


def called(credential: Credential) -> str:
    """A credential for people: what it is and what it is named."""
    return f"{credential.kind} {credential.name or credential.key_id}"


def key(credential: Credential) -> tuple[tuple[str, str], ...]:
    return (
        ("credential", called(credential)),
        ("key ID", credential.key_id),
        ("starts", day(credential.starts)),
        ("ends", day(credential.ends)),
    )
