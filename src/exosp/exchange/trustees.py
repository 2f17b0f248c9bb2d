"""Whom a permission row names. Pure.

What a row shows for a service principal is not documented (FACTS, not confirmed). A form that is one entry's alone needs
no question. A display name may be two applications', and a SID says nothing where the entry shows none: for these the
same read, filtered by Exchange for our object ID, tells. Where it does not, the row stays as it is, and nothing is
guessed: a grant is then made, or missed aloud, rather than believed.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..snapshot import AppId, ClaimedObjectId, ExchangeEntry, MailboxId

Pair = tuple[MailboxId, str]  # a mailbox and the user a row shows, lower case

_SID = re.compile(r"s-1-5-21-[0-9-]+")


def one_trustee(entry: ExchangeEntry, named: set[str]) -> bool:
    """Whether all these users, lower case, of rows filtered for an entry, can be that entry."""
    if len(named) > 1:
        return False
    return all(user in entry.forms or user == entry.name.lower() or _SID.fullmatch(user) for user in named)


@dataclass(frozen=True)
class Question:
    """Which rows of these mailboxes are this application's?"""

    object_id: ClaimedObjectId
    mailboxes: frozenset[MailboxId]
    unclear: frozenset[Pair]


class Trustees:
    """What is known of the applications that were asked for. A SID belongs to one principal for good, so what was learnt
    of it holds; a display name is asked about each time."""

    def __init__(self) -> None:
        self._entries: dict[ClaimedObjectId, ExchangeEntry] = {}
        self._sids: dict[tuple[ClaimedObjectId, str], bool] = {}
        self._ours: dict[Pair, ClaimedObjectId] = {}

    def asked(self, app_id: AppId, entries: Iterable[ExchangeEntry]) -> None:
        """``entries``: all that this application has now."""
        others = {id_: entry for id_, entry in self._entries.items() if entry.app_id.lower() != app_id.lower()}
        self._entries = others | {entry.object_id: entry for entry in entries}

    def questions(self, pairs: Sequence[Pair]) -> Iterator[Question]:
        """What must be asked before these rows can be named."""
        self._ours.clear()
        for entry in self._entries.values():
            unclear = frozenset(pair for pair in pairs if self._is_unclear(entry, pair[1]))
            if unclear:
                yield Question(entry.object_id, frozenset(mailbox for mailbox, _ in unclear), unclear)

    def answered(self, question: Question, mailbox: MailboxId, users: set[str]) -> None:
        """``users``: who is named by the filtered rows of one mailbox. More than one means that the filter was not
        honoured, as a Get-* may do with what it does not know: every mailbox has a row of its owner."""
        if len(users) > 1:
            return
        for pair in question.unclear:
            if pair[0] != mailbox:
                continue
            ours = pair[1] in users
            if ours:
                self._ours[pair] = question.object_id
            if _SID.fullmatch(pair[1]):
                self._sids[question.object_id, pair[1]] = ours

    def name(self, pair: Pair) -> str:
        """The object ID, lower case, where the row is an application's for sure; else what the row shows."""
        found = self._ours.get(pair)
        if found is None:
            found = next((entry for entry in self._entries if self._sids.get((entry, pair[1]))), None)
        return pair[1] if found is None else found.lower()

    def _is_unclear(self, entry: ExchangeEntry, user: str) -> bool:
        if user in entry.forms:
            return False
        if _SID.fullmatch(user):
            return (entry.object_id, user) not in self._sids
        return user == entry.name.lower()
