"""Which application can open, or send as, which mailbox, and by which route. Pure: an inventory in, routes out.

A route is a whole chain: consent, entry, grant, switches. One that lacks a link is a route all the same, and says what it
lacks: that is how near it is to being open.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .inventory import Inventory
from .snapshot import AppId

Door = Literal["imap", "pop", "smtp", "graph", "ews", "exchange-admin"]
By = Literal[
    "mailbox permission", "recipient permission", "folder permission", "send on behalf", "management role",
    "application permission", "delegated permission",
]  # fmt: skip


@dataclass(frozen=True)
class Route:
    """``app_id`` "" and ``holder`` as the row shows it: a trustee that nobody resolves. ``mailbox`` "": every mailbox, or those
    that ``scope`` names. ``can``: "open", "read", "send", "manage". ``by``: what grants it; ``of``: its name (a permission's
    value, a right, a role). ``lacks``: what is missing before it works, nothing where it is open."""

    app_id: AppId
    holder: str
    mailbox: str
    door: Door
    can: Literal["open", "read", "send", "manage"]
    by: By
    of: str
    scope: str = ""
    lacks: tuple[str, ...] = ()
    protocols_off: bool = False

    @property
    def is_open(self) -> bool:
        return not self.lacks


def routes(inventory: Inventory) -> Iterator[Route]:
    """Every route of every application, ordered by application and mailbox."""
    raise NotImplementedError
