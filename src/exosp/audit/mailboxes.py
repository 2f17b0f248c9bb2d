"""Every mailbox of a list on its way into the snapshot: asked for, asked for again, kept, counted, or given up."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain

from ..census import Held, Listed, ListedKind
from ..errors import CloudError, Forbidden, Throttled, Unreachable
from ..inventory import Entry, Grant, Section
from ..patience import RETRY_AFTER_CAP, TRANSPORT_TRIES, Patience
from .file import Keeping
from .gathered import KINDS, Kept, Part, Read, forms, named
from .lists import Ahead, pieces

BATCH = 100  # mailboxes that a cut-off audit may have to read again
OFTEN = 2.0  # seconds, ditto
MOST_UNHEARD = 50  # mailboxes in a row that nobody answered for: then nobody is there
TRIES = 3  # for a mailbox whose error no waiting will mend, by what is known of it
SID = re.compile(r"s-1-(5-21|12)-[0-9-]+", re.IGNORECASE)  # of a domain or of Entra

Ask = Callable[[Iterator[Sequence[Listed]]], Iterator[Held]]


@dataclass(frozen=True)
class Progress:
    """Where an audit is: ``done`` of the section, and of how many, None as long as that is not known."""

    section: Section
    done: int = 0
    total: int | None = None


Tell = Callable[[Progress], None]


class Reading:
    """The mailboxes of one list on their way into the snapshot."""

    def __init__(
        self,
        section: Section,
        part: Part,
        kind: ListedKind,
        ahead: Ahead,
        keeping: Keeping,
        patience: Patience,
        tell: Tell,
    ) -> None:
        self.source = _Source(ahead.pages(kind), part, self._is_known, patience)
        self._ahead = ahead
        self._section = section
        self._part = part
        self._keeping = keeping
        self._patience = patience
        self._tell = tell
        self._by_form = _by_form(keeping.gathered.entries)
        self._recipients = keeping.gathered.recipients
        self._again: dict[str, Held] = {}  # what failed and is worth another try
        self._failed: dict[str, Held] = {}  # what is not
        self._tries: dict[str, int] = {}
        self._answered = 0
        self._unheard = 0  # mailboxes in a row
        parts: tuple[Part, ...] = KINDS if part in KINDS else (part,)
        self._before = sum(map(keeping.gathered.count, parts))
        self._elsewhere = sum(keeping.gathered.count(one) for one in KINDS if part in KINDS and not ahead.has(one))
        self._batch: list[Kept] = []
        self._read: dict[str, None] = {}  # not written yet
        self._kinds: dict[str, int] = {}
        self._people = self._inherited = 0
        self._flushed = patience.clock.now()

    def _is_known(self, box: Listed) -> bool:
        """Whether it need not be given out: lists that begin anew show it again."""
        name = named(box, self._part)
        if name in self._read or name in self._again or name in self._failed:
            return True
        return self._keeping.gathered.has_read(box, self._part) and not self._is_late(box)

    def _is_late(self, box: Listed) -> bool:
        """Whether it was read before it was known to matter."""
        if self._part not in KINDS or self._recipients.isdisjoint(forms(box)):
            return False
        return not self._keeping.gathered.has_kept(box, self._part)

    def to_the_end(self, ask: Ask) -> None:
        """Raises CloudError where the cmdlet itself, and not a mailbox, cannot be had."""
        while True:
            before = self._answered
            try:
                self._patience.transport(self._round, ask)
            except (Throttled, Unreachable):
                if self._answered > before:
                    continue  # it goes on, however slowly
                if not self._again:
                    raise
                if not self.source.ended:
                    raise
                self._failed |= self._again
                self._again = {}
            return

    def _round(self, ask: Ask) -> None:
        """Ask for all that is left. Raises what the rest is to wait for."""
        while self._again or not self.source.ended:
            waiting = [held.mailbox for held in self._again.values()]
            self._again = {}
            self.source.give_out(waiting)
            try:
                with _closing(ask(chain(pieces(waiting, BATCH), self.source))) as answers:
                    for held in answers:
                        self._take(held)
            except CloudError as fault:
                for name, box in self.source.take_back():
                    self._again[name] = Held(box, error=fault)
                raise
            for name, box in self.source.take_back():
                self._set_aside(name, Held(box, error=_unanswered(box)))
            waits = [
                h.error
                for h in self._again.values()
                if isinstance(h.error, Throttled | Unreachable) and _passes(h.error)
            ]
            if waits:
                raise max(waits, key=lambda fault: fault.after or 0.0)

    def _take(self, held: Held) -> None:
        name = named(held.mailbox, self._part)
        if held.error is not None:
            self._set_aside(name, held)
        elif name not in self._read:
            self._finish(name, held)
        self.source.answered(name)  # last: until then it is known to be under way

    def _finish(self, name: str, held: Held) -> None:
        self._tries.pop(name, None)
        self._unheard = 0
        behalf = self._on_behalf(held.mailbox)
        grants = (*held.grants, *behalf)
        people = held.people + (len(held.mailbox.on_behalf) - len(behalf) if self._part in KINDS else 0)
        if grants or not self._recipients.isdisjoint(forms(held.mailbox)):
            self._batch.append(Kept(replace(held.mailbox, on_behalf=()), self._part, grants, people))
        self._answered += 1
        if self._keeping.gathered.has_read(held.mailbox, self._part):
            return  # it counts already
        self._read[name] = None
        self._kinds[held.mailbox.kind] = self._kinds.get(held.mailbox.kind, 0) + 1
        self._people += people
        self._inherited += held.inherited
        listed = self._ahead.listed
        total = None if listed is None else listed + self._elsewhere
        self._tell(Progress(self._section, self._before + self._answered, total))
        if len(self._read) >= BATCH or self._patience.clock.now() - self._flushed >= OFTEN:
            self.flush()

    def _set_aside(self, name: str, held: Held) -> None:
        """For another try, or for none."""
        self._tries[name] = self._tries.get(name, 0) + 1
        error = held.error
        passes = isinstance(error, Throttled | Unreachable) and _passes(error) and not error.given_up
        if isinstance(error, Forbidden) or self._tries[name] >= (TRANSPORT_TRIES if passes else TRIES):
            self._failed[name] = held
            return
        self._again[name] = held
        if isinstance(error, Throttled) and not error.given_up:
            self.source.hold(min(error.after or 1.0, RETRY_AFTER_CAP), error.what)
        if isinstance(error, Unreachable):
            self._unheard += 1
            if self._unheard > MOST_UNHEARD:
                error.given_up = True
                raise error

    def _on_behalf(self, mailbox: Listed) -> tuple[Grant, ...]:
        """The applications, and those that nobody resolves, that may send on its behalf, as its own row shows."""
        if self._part not in KINDS:
            return ()
        named_ = ((trustee, self._by_form.get(trustee.strip().lower(), "")) for trustee in mailbox.on_behalf)
        return tuple(Grant("SendOnBehalf", text, entry) for text, entry in named_ if entry or SID.fullmatch(text))

    def without(self) -> None:
        """The rest of the list, of which no permissions can be read: what other sections say of it is kept all the same."""
        for box in chain((box for _, box in self.source.take_back()), (held.mailbox for held in self._again.values()),
                         chain.from_iterable(self.source)):  # fmt: skip
            grants = self._on_behalf(box)
            if grants or not self._recipients.isdisjoint(forms(box)):
                self._batch.append(Kept(replace(box, on_behalf=()), self._part, grants))

    def flush(self) -> None:
        if self._batch or self._read:
            done = Read(self._part, tuple(self._read), dict(sorted(self._kinds.items())), self._people, self._inherited)
            self._keeping.write(*self._batch, done)
        self._batch, self._read, self._kinds = [], {}, {}
        self._people = self._inherited = 0
        self._flushed = self._patience.clock.now()

    @property
    def would_pass(self) -> bool:
        """Whether some mailboxes could not be read for now."""
        errors = [held.error for held in self._failed.values()]
        return any(isinstance(error, Throttled | Unreachable) and _passes(error) for error in errors)

    def unread(self) -> list[Kept]:
        of = "its folders: " if self._part == "folders" else ""
        return [
            Kept(replace(held.mailbox, on_behalf=()), self._part, unread=of + held.error.what)
            for _, held in sorted(self._failed.items())
            if held.error is not None
        ]


class _Source:
    """A list's mailboxes that are still to be read, for whoever reads them. It knows which are under way, and lets none out
    while the service asks to wait."""

    def __init__(
        self, pages: Iterator[Sequence[Listed]], part: Part, is_known: Callable[[Listed], bool], patience: Patience
    ) -> None:
        self._pages = pages
        self._part = part
        self._is_known = is_known
        self._patience = patience
        self._open: dict[str, Listed] = {}
        self._held = 0.0
        self._why = ""
        self.ended = False

    def __iter__(self) -> Iterator[Sequence[Listed]]:
        return self

    def __next__(self) -> Sequence[Listed]:
        left = self._held - self._patience.clock.now()
        if left > 0:
            self._patience.pause(left, self._why)
        page = next(self._pages, None)
        if page is None:
            self.ended = True
            raise StopIteration
        fresh = []
        for box in page:
            name = named(box, self._part)
            if name not in self._open and not self._is_known(box):
                self._open[name] = box
                fresh.append(box)
        return fresh

    def hold(self, seconds: float, why: str) -> None:
        self._why = why
        self._held = max(self._held, self._patience.clock.now() + seconds)

    def give_out(self, boxes: Iterable[Listed]) -> None:
        self._open |= {named(box, self._part): box for box in boxes}

    def answered(self, name: str) -> None:
        self._open.pop(name, None)

    def take_back(self) -> list[tuple[str, Listed]]:
        """What was given out and never answered."""
        rest, self._open = list(self._open.items()), {}
        return rest


def _by_form(entries: Iterable[Entry]) -> dict[str, str]:
    """The identity of the entry that a text names; not of one that is two applications'."""
    bearers: dict[str, list[Entry]] = {}
    for entry in entries:
        for form in entry.forms:
            bearers.setdefault(form, []).append(entry)
    return {form: held[0].identity for form, held in bearers.items() if len({one.app_id.lower() for one in held}) == 1}


@contextmanager
def _closing(answers: Iterator[Held]) -> Iterator[Iterator[Held]]:
    """A generator that is left in its middle ends at once, not when it is forgotten."""
    try:
        yield answers
    finally:
        close = getattr(answers, "close", None)
        if close is not None:
            close()


def _passes(fault: Throttled | Unreachable) -> bool:
    return isinstance(fault, Throttled) or fault.transient


def _unanswered(box: Listed) -> CloudError:
    return CloudError(f"no answer came for {box.address}", service="remoting")
