"""Whose row is this, and whose error? Pure: what came back from one pipeline in, one answer an item out.

Output rows carry no input item, and the module's proxies may batch input by ten and surface an error while a later item
is being processed (FACTS, later findings). Therefore nothing rests on order:

- A row is joined on an identity that was read beforehand. One that matches two items is nobody's, and both are Unknown.
- A row that matches no item is somebody else's: a Get-* given an unknown identity may return every row there is.
  Items without any row are then Unknown, unless rows show everything they are joined by (``Spec.shared``).
- An error is an item's where its text names that item and no other, and the iteration number, if there is one, is the
  item's or up to ten later. Where the text names none, only if the number points at the one item in that window
  without a row. A text that names a parameter's value (a trustee, who may be an item too) names nobody.
- As many identical errors that name nobody as items left without a row: each has one.
- An item with both a row and an error is Unknown. After an error that is nobody's, so is every item without a row.
- A pipeline that ended early leaves every item without a row Unknown, or with the error of the broken channel.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..errors import CloudError
from ..tenant import Failed, Unknown
from .cmdlets import Answer, Cmdlet, Item, Row, Rows
from .errors import Record, meaning

LATE = 10  # items that the module's proxies send together

_GUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")


def settle(
    cmdlet: Cmdlet,
    items: Sequence[Item],
    rows: Iterable[Row],
    records: Sequence[Record] = (),
    warnings: Sequence[Record] = (),
    broken: CloudError | None = None,
) -> list[Answer]:
    """One answer an item, in order; one in all where there are no items. ``broken``: why nothing more came."""
    if not items:
        return [_alone(cmdlet, tuple(rows), records, warnings, broken)]
    return _Join(cmdlet, items, rows).answers(records, warnings, broken)


def _alone(
    cmdlet: Cmdlet,
    rows: tuple[Row, ...],
    records: Sequence[Record],
    warnings: Sequence[Record],
    broken: CloudError | None,
) -> Answer:
    """A pipeline without input: all that came back is its own."""
    if records:
        return Failed(meaning(records[0], cmdlet).error)
    if broken is not None:
        return Failed(broken)
    return Rows(rows, tuple(warning.text for warning in warnings))


class _Join:
    """The state of one settlement: which rows are whose, and what taints whom."""

    def __init__(self, cmdlet: Cmdlet, items: Sequence[Item], rows: Iterable[Row]) -> None:
        self.cmdlet = cmdlet
        self.items = items
        self.known = [item.known_as | {item.send.lower()} for item in items]
        self.rows: list[list[Row]] = [[] for _ in items]
        self.why: dict[int, str] = {}  # Unknown, and why
        self.strays = 0
        self.by_form: dict[str, list[int]] = {}
        for index, forms in enumerate(self.known):
            for form in forms:
                self.by_form.setdefault(form, []).append(index)
        for row in rows:
            self._place(row)
        self.bare = {index for index, found in enumerate(self.rows) if not found}

    def _place(self, row: Row) -> None:
        found = self._matches(row)
        if not found:
            self.strays += 1
        elif len(found) == 1 or self.cmdlet.spec.shared:
            for index in found:
                self.rows[index].append(row)
        else:
            for index in found:
                self.why[index] = "a row came back that names more than one of the mailboxes asked for"

    def _matches(self, row: Row) -> set[int]:
        for group in self.cmdlet.spec.join:
            shown = {text for name in group for text in texts(row, name)}
            if shown:
                return {index for text in shown for index in self.by_form.get(text, ())}
        return set()

    def answers(self, records: Sequence[Record], warnings: Sequence[Record], broken: CloudError | None) -> list[Answer]:
        meanings = [meaning(record, self.cmdlet) for record in records]
        whole = next((m.error for m in meanings if m.whole), None)
        if whole is not None:
            return [self._rows(i, ()) if self.rows[i] and i not in self.why else Failed(whole) for i in self._all()]
        failed, left = self._attribute([(record, m.error) for record, m in zip(records, meanings, strict=True)])
        told = self._warned(warnings)
        ended = next((m.error for r, m in zip(records, meanings, strict=True) if r.terminating), None)
        for index in failed.keys() - self.bare:
            self.why[index] = f"it shows both a row and an error: {failed[index].what}"
        for index in self.bare - failed.keys():
            if left:
                self.why[index] = f"an error came back that names no one mailbox: {left[0].what}"
            elif ended is not None:
                self.why[index] = f"the pipeline ended before its turn: {ended.what}"
            elif self.strays and not self.cmdlet.spec.shared:
                self.why[index] = "only rows of other mailboxes came back"
        return [self._answer(index, failed.get(index), told.get(index, ()), broken) for index in self._all()]

    def _answer(self, index: int, error: CloudError | None, told: tuple[str, ...], broken: CloudError | None) -> Answer:
        if index in self.why:
            return Unknown(f"{self.items[index].send}: {self.why[index]}")
        if error is not None:
            return Failed(error)
        if broken is not None and not self.rows[index]:
            return Failed(broken)
        return self._rows(index, told)

    def _rows(self, index: int, told: tuple[str, ...]) -> Rows:
        return Rows(tuple(self.rows[index]), told)

    def _all(self) -> range:
        return range(len(self.items))

    # Whose error

    def _attribute(self, errors: Sequence[tuple[Record, CloudError]]) -> tuple[dict[int, CloudError], list[CloudError]]:
        """Errors by item, and those that are nobody's."""
        owned: dict[int, CloudError] = {}
        left: list[tuple[Record, CloudError]] = []
        for record, error in errors:
            index = self._owner(record)
            if index is None or index in owned:
                left.append((record, error))
            else:
                owned[index] = error
        waiting = sorted(self.bare - owned.keys() - self.why.keys())
        if self._one_each(left, waiting):
            owned.update(zip(waiting, (error for _, error in left), strict=True))
            left = []
        return owned, [error for _, error in left]

    def _one_each(self, left: Sequence[tuple[Record, CloudError]], waiting: Sequence[int]) -> bool:
        """Whether errors that name nobody are as many as the items without a row, and alike, and none came too early or
        too late for its item."""
        if self._shows_nothing() or len(left) != len(waiting) or len({(type(e), e.what) for _, e in left}) != 1:
            return False
        return all(
            not self._named(record) and (record.item is None or index <= record.item - 1 <= index + LATE)
            for (record, _), index in zip(left, waiting, strict=True)
        )

    def _shows_nothing(self) -> bool:
        """Whether success leaves no row, so that a missing row says nothing."""
        return self.cmdlet.name.startswith(("Set-", "Remove-"))

    def _owner(self, record: Record) -> int | None:
        if len(self.items) == 1:
            return 0
        window = set(self._all())
        if record.item is not None:
            last = record.item - 1
            window = {index for index in window if last - LATE <= index <= last}
        named = self._named(record)
        if named:
            close = named & window
            if len(close) > 1:
                close &= self.bare
            return close.pop() if len(close) == 1 else None
        if self._shows_nothing() or record.item is None:
            return None
        last = record.item - 1
        return last if window & self.bare == {last} else None

    def _named(self, record: Record) -> set[int]:
        """The items that a text names: a form in quotation marks, or one that is unmistakable (an address, a GUID)."""
        text = f"{record.text} \n'{record.about}'".lower()
        values = self.cmdlet.values()
        found = {
            index
            for form, indexes in self.by_form.items()
            if form and form not in values and _names(text, form)
            for index in indexes
        }
        return {index for index in found if not self.known[index] & values}

    def _warned(self, warnings: Sequence[Record]) -> dict[int, tuple[str, ...]]:
        """Warnings by item. Where as many of one sort are nobody's as items show no row, each has one."""
        told: dict[int, tuple[str, ...]] = {}
        loose: list[str] = []
        for warning in warnings:
            index = self._owner(warning)
            if index is None:
                loose.append(warning.text)
            else:
                told[index] = (*told.get(index, ()), warning.text)
        waiting = sorted(self.bare - told.keys())
        sorts = Counter(present(text) for text in loose)
        if waiting and sorts[True] == len(waiting):
            for index, text in zip(waiting, filter(present, loose), strict=True):
                told[index] = (text,)
        return told


def present(warning: str) -> bool:
    """Whether a warning says that the permission stands already. Over every remoting this is a warning, no error."""
    return "access control entry is already present" in warning.lower()


def texts(row: Row, name: str) -> Iterator[str]:
    """The texts of one property, lower case; of addresses with a prefix only SMTP's, without it."""
    value = row.get(name)
    for part in value if isinstance(value, tuple | list) else (value,):
        text = "" if part is None else str(part).strip().lower()
        prefix, colon, rest = text.partition(":")
        if colon and name == "EmailAddresses":
            text = rest if prefix == "smtp" else ""
        if text:
            yield text


def _names(text: str, form: str) -> bool:
    if any(f"{open_}{form}{shut}" in text for open_, shut in ("''", '""', "“”")):
        return True
    if "@" not in form and not _GUID.fullmatch(form):
        return False
    return re.search(rf"(?<![\w.@+-]){re.escape(form)}(?![\w@-]|\.\w)", text) is not None


def shown(row: Row, name: str, instead: str = "") -> str:
    """One property as a text."""
    value = row.get(name)
    return instead if value is None else str(value)


def several(row: Mapping[str, object], name: str) -> frozenset[str]:
    """A property of many values, which may come as a list, as one text or as several in one text."""
    value = row.get(name)
    parts = value if isinstance(value, tuple | list) else (value,)
    return frozenset(
        text.strip(" {}") for part in parts if part is not None for text in str(part).split(",") if text.strip(" {}")
    )


def truth(row: Row, name: str) -> bool | None:
    """A switch as a row shows it, None where it shows none."""
    value = row.get(name)
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(str(value).strip().lower())
