"""A selected folder: numbers and uids as one client knows them, and the answers to FETCH, STORE and SEARCH as lines.

No wire and no state of the session here. Every mailbox has the one folder INBOX.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ..exchange import Mailbox
from ..tenant import Tenant
from . import store
from .imap_message import View
from .imap_search import Candidate, compile_keys
from .imap_syntax import Argument, Malformed, literal, numbers, string, word

UIDVALIDITY = 14  # as Exchange mailboxes show it (rainloop-webmail#686, MailKit#1446)
FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$MDNSent")

_MOST_ITEMS = 100  # of one FETCH

_MACROS = {
    "ALL": ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"],
    "FAST": ["FLAGS", "INTERNALDATE", "RFC822.SIZE"],
    "FULL": ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"],
}
_BODY = re.compile(r"(BODY(?:\.PEEK)?)\[(.*)\](?:<(\d{1,10})\.(\d{1,10})>)?", re.IGNORECASE)
# Older names of sections: which one, and whether reading it marks the message as seen.
_RFC822 = {"RFC822": ("", True), "RFC822.HEADER": ("HEADER", False), "RFC822.TEXT": ("TEXT", True)}
_ITEMS = frozenset({"UID", "FLAGS", "RFC822.SIZE", "INTERNALDATE", "ENVELOPE", "BODY", "BODYSTRUCTURE", *_RFC822})


@dataclass(frozen=True)
class Change:
    """A STORE: which messages, how (``+``, ``-`` or replace), which flags."""

    chosen: list[tuple[int, store.Message]]
    sign: str
    flags: set[str]
    silent: bool


class Folder:
    """INBOX of an open mailbox. ``uids`` stand in the order of the numbers that the client knows."""

    def __init__(self, tenant: Tenant, mailbox: Mailbox, *, read_only: bool) -> None:
        self._tenant = tenant
        self._mailbox = mailbox
        self.read_only = read_only
        self.uids = sorted(self._messages())

    def _messages(self) -> dict[int, store.Message]:
        return {m["uid"]: m for m in store.present(self._tenant, self._mailbox)}

    def status(self) -> dict[str, int]:
        """STATUS items and their values."""
        messages = self._messages()
        return {
            "MESSAGES": len(messages), "RECENT": 0, "UIDNEXT": store.next_uid(self._mailbox), "UIDVALIDITY": UIDVALIDITY,
            "UNSEEN": sum("\\Seen" not in store.flags(m) for m in messages.values()),
        }  # fmt: skip

    def introduction(self) -> list[str]:
        """What SELECT and EXAMINE tell of the folder, in Exchange's order and words (rainloop-webmail#686)."""
        messages = self._messages()
        unseen = [n for n, uid in enumerate(self.uids, 1) if "\\Seen" not in store.flags(messages[uid])]
        return [
            f"* {len(self.uids)} EXISTS", "* 0 RECENT", f"* FLAGS ({' '.join(FLAGS)})",
            f"* OK [PERMANENTFLAGS ({'' if self.read_only else ' '.join(FLAGS)})] Permanent flags",
            *([f"* OK [UNSEEN {unseen[0]}] Is the first unseen message"] if unseen else []),
            f"* OK [UIDVALIDITY {UIDVALIDITY}] UIDVALIDITY value",
            f"* OK [UIDNEXT {store.next_uid(self._mailbox)}] The next unique identifier value",
        ]  # fmt: skip

    def news(self, *, expunged: bool) -> list[str]:
        """What came and, where it may be said, what went since the client was last told."""
        present, lines = self._messages(), []
        if expunged:
            for number in range(len(self.uids), 0, -1):
                if self.uids[number - 1] not in present:
                    lines.append(f"* {number} EXPUNGE")
                    del self.uids[number - 1]
        fresh = sorted(set(present) - set(self.uids))
        if fresh:
            self.uids += fresh
            lines.append(f"* {len(self.uids)} EXISTS")
        return lines

    def remove_deleted(self, uids: str | None) -> None:
        """Expunge what is marked \\Deleted, of these uids only where given. Raises Malformed."""
        ranges = numbers(uids, self._largest(by_uid=True)) if uids is not None else None
        marked = {uid for uid, m in self._messages().items() if "\\Deleted" in store.flags(m)}
        store.remove(self._mailbox, {u for u in marked if ranges is None or any(u in r for r in ranges)})

    def _largest(self, *, by_uid: bool) -> int:
        return (self.uids[-1] if by_uid else len(self.uids)) if self.uids else 0

    def chosen(self, argument: Argument, *, by_uid: bool) -> list[tuple[int, store.Message]]:
        """The messages of a sequence set that still exist, with their numbers. A number beyond the folder is malformed;
        an unknown uid is none (RFC 3501 §6.4.8)."""
        ranges = numbers(word(argument), self._largest(by_uid=by_uid))
        if not by_uid and any(r.start < 1 or r.stop - 1 > len(self.uids) for r in ranges):
            raise Malformed
        present = self._messages()
        return [
            (number, present[uid])
            for number, uid in enumerate(self.uids, 1)
            if uid in present and any((uid if by_uid else number) in r for r in ranges)
        ]

    def copy(self, chosen: list[tuple[int, store.Message]]) -> dict[int, int]:
        """Copy messages into this folder, flags and date with them (RFC 3501 §6.4.7): the new uid of each."""
        uids = {}
        for _, message in chosen:
            store.deliver(self._tenant, self._mailbox, message["raw"])
            copied = self._mailbox.messages[-1]
            copied["received"] = store.received(self._tenant, message)
            copied["flags"] = set(store.flags(message))
            uids[message["uid"]] = copied["uid"]
        return uids

    def remove(self, uids: set[int]) -> None:
        """Remove messages, marked or not."""
        store.remove(self._mailbox, uids)

    def search(self, arguments: list[Argument], *, by_uid: bool) -> list[int]:
        """Numbers or uids of the messages that match. Raises Malformed."""
        test = compile_keys(arguments, self._largest(by_uid=False), self._largest(by_uid=True))
        present, found = self._messages(), []
        for number, uid in enumerate(self.uids, 1):
            if uid in present:
                message = present[uid]
                marks = frozenset(flag.lower() for flag in store.flags(message))
                received = store.received(self._tenant, message)
                if test(Candidate(number, uid, marks, received, View(store.raw(message)))):
                    found.append(uid if by_uid else number)
        return found

    def read_change(self, arguments: list[Argument], *, by_uid: bool) -> Change:
        """What a STORE asks for. Raises Malformed."""
        if len(arguments) < 3:
            raise Malformed
        item, _, silent = word(arguments[1]).upper().partition(".")
        if item not in {"FLAGS", "+FLAGS", "-FLAGS"} or silent not in {"", "SILENT"}:
            raise Malformed
        first = arguments[2]
        known = {flag.lower(): flag for flag in FLAGS}
        written = [word(flag).lower() for flag in (first if isinstance(first, list) else arguments[2:])]
        if not set(written) <= known.keys():
            raise Malformed
        return Change(self.chosen(arguments[0], by_uid=by_uid), item[0], {known[w] for w in written}, bool(silent))

    def change(self, change: Change, *, by_uid: bool) -> Iterator[str]:
        """Change the flags, message by message, each with its line."""
        for number, message in change.chosen:
            held = store.flags(message)
            match change.sign:
                case "+":
                    message["flags"] = held | change.flags
                case "-":
                    message["flags"] = held - change.flags
                case _:
                    message["flags"] = set(change.flags)
            if not change.silent:
                uid = f" UID {message['uid']}" if by_uid else ""
                yield f"* {number} FETCH (FLAGS ({_flags(message)}){uid})"

    def fetch(self, arguments: list[Argument], *, by_uid: bool) -> Iterator[bytes]:
        """One line (with its literals) a message. Raises Malformed before the first."""
        names = _names(arguments, by_uid=by_uid)
        for number, message in self.chosen(arguments[0], by_uid=by_uid):
            view = View(store.raw(message))
            newly_seen = not self.read_only and "\\Seen" not in store.flags(message) and any(map(_marks_seen, names))
            if newly_seen:
                store.flags(message).add("\\Seen")
            items = [self._item(name, message, view) for name in names]
            if newly_seen and not any(name.upper() == "FLAGS" for name in names):
                items.append(f"FLAGS ({_flags(message)})".encode())
            yield b"* %d FETCH (" % number + b" ".join(items) + b")"

    def _item(self, name: str, message: store.Message, view: View) -> bytes:
        section = _BODY.fullmatch(name)
        if section is not None:
            return _section(view, section)
        upper = name.upper()
        if upper in _RFC822:
            return upper.encode() + b" " + literal(view.section(_RFC822[upper][0]) or b"")
        match upper:
            case "UID":
                return f"UID {message['uid']}".encode()
            case "FLAGS":
                return f"FLAGS ({_flags(message)})".encode()
            case "RFC822.SIZE":
                return f"RFC822.SIZE {len(view.raw)}".encode()
            case "INTERNALDATE":
                return b"INTERNALDATE " + string(_date(store.received(self._tenant, message)))
            case "ENVELOPE":
                return b"ENVELOPE " + view.envelope()
            case _:  # BODY or BODYSTRUCTURE: _names has let nothing else through
                return upper.encode() + b" " + view.structure(extended=upper == "BODYSTRUCTURE")


def _names(arguments: list[Argument], *, by_uid: bool) -> list[str]:
    """The data items that a FETCH asks for, every one known."""
    if len(arguments) != 2:
        raise Malformed
    asked = arguments[1]
    if isinstance(asked, list):
        names = [word(item) for item in asked]
    else:
        names = _MACROS.get(word(asked).upper(), [word(asked)])
    names = list(dict.fromkeys(names))  # asked for twice, told once: or one line asks for all memory
    if not 1 <= len(names) <= _MOST_ITEMS:  # none: Command Argument Error. 11 (ImapEngine#109)
        raise Malformed
    for name in names:
        section = _BODY.fullmatch(name)
        if section is not None:
            View(b"\r\n").section(section[2])
        elif name.upper() not in _ITEMS:
            raise Malformed
    return names if not by_uid or any(name.upper() == "UID" for name in names) else ["UID", *names]


def _marks_seen(name: str) -> bool:
    section = _BODY.fullmatch(name)
    return section[1].upper() == "BODY" if section is not None else _RFC822.get(name.upper(), ("", False))[1]


def _section(view: View, form: re.Match[str]) -> bytes:
    data = view.section(form[2])
    name = f"BODY[{form[2].upper()}]"
    if form[3] is not None:
        name += f"<{form[3]}>"
        data = None if data is None else data[int(form[3]) :][: int(form[4])]
    return name.encode() + b" " + (b"NIL" if data is None else literal(data))


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _date(at: float) -> str:
    """date-time (RFC 3501 §9), in English whatever the locale."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment.day:02}-{_MONTHS[moment.month - 1]}-{moment:%Y %H:%M:%S} +0000"


def _flags(message: store.Message) -> str:
    held = store.flags(message)
    return " ".join(flag for flag in FLAGS if flag in held)
