"""Whom a permission row of a whole tenant names: an application, somebody, or nobody that is left. Pure; what cannot be told
by the row alone is said to be asked about.

What a row shows for a service principal is not documented (FACTS, not confirmed): its object ID, its appId, its identity,
name, GUID, DN, display name or SID. A form that is one application's alone needs no question. A display name is asked about
once: it is the application's where no person and no group bears it, else each row of it is asked about. So is a SID, once.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..inventory import Entry

SELF = "nt authority\\self"  # the mailbox's owner: no grant
_SID = re.compile(r"s-1-\d+(-\d+)+")
_SOMEBODYS = re.compile(r"s-1-(5-21|12)-[0-9-]+")  # of a domain or of Entra; others are built in
_GUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")

Kind = Literal["entry", "somebody", "nobody", "self", "which-sid", "which-name", "which-row"]


@dataclass(frozen=True)
class Bearer:
    """``which-sid`` and ``which-name``: ask once, then judge again. ``which-row``: this row must be asked about by itself."""

    kind: Kind
    entry: str = ""  # the entry's identity


_SELF, _SOMEBODY, _NOBODY = Bearer("self"), Bearer("somebody"), Bearer("nobody")
_WHICH_SID, _WHICH_NAME, _WHICH_ROW = Bearer("which-sid"), Bearer("which-name"), Bearer("which-row")


class Bearers:
    """What is known of the trustees of one tenant. A SID belongs to one principal for good."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries: Sequence[Entry] = sorted(entries, key=lambda entry: entry.identity)
        self._by_form: dict[str, Bearer] = {}
        self._by_name: dict[str, list[Entry]] = {}
        self._sids: dict[str, Bearer] = {}
        self._names: dict[str, bool] = {}  # display name -> whether somebody bears it too
        apps: dict[str, set[str]] = {}
        for entry in self.entries:
            bearer = Bearer("entry", entry.identity)
            for form in entry.forms:
                apps.setdefault(form, set()).add(entry.app_id.lower())
                self._by_form.setdefault(form, bearer)
            if entry.name:
                self._by_name.setdefault(entry.name.lower(), []).append(entry)
        for form, whose in apps.items():
            if len(whose) > 1:  # two applications': no form to go by
                del self._by_form[form]

    def judge(self, shown: str, sid: str = "") -> Bearer:
        """``shown``: the trustee as its row shows it; ``sid``: the row's column of SIDs."""
        text, sid = shown.strip().lower(), sid.strip().lower()
        if text == SELF:
            return _SELF
        found = self._by_form.get(text) or self._by_form.get(sid)
        if found is not None:
            if _SOMEBODYS.fullmatch(sid):
                self._sids.setdefault(sid, found)
            return found
        known = self._sids.get(sid)
        if known is not None and known.kind == "entry":
            return known
        if _SID.fullmatch(text):
            return self._sids.get(text, _WHICH_SID) if _SOMEBODYS.fullmatch(text) else _SOMEBODY
        if text in self._by_name:
            return self._named(text)
        return _NOBODY if _GUID.fullmatch(text) or not text else _SOMEBODY

    def _named(self, text: str) -> Bearer:
        borne = self._names.get(text)
        if borne is None:
            return _WHICH_NAME
        mine = self._by_name[text]
        if borne or len({entry.app_id.lower() for entry in mine}) > 1:
            return _WHICH_ROW
        return Bearer("entry", mine[0].identity)

    # What was asked

    def unasked(self, sids: Iterable[str]) -> list[str]:
        return [sid for sid in sids if sid not in self._sids]

    def unnamed(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name not in self._names]

    def without_sid(self) -> list[Entry]:
        """Entries of which no SID is known."""
        known = {bearer.entry for bearer in self._sids.values()}
        return [entry for entry in self.entries if entry.identity not in known]

    def sid_is(self, sid: str, entry: Entry) -> None:
        self._sids[sid] = Bearer("entry", entry.identity)

    def sid_is_nobodys(self, sid: str) -> None:
        """Nobody's whom Exchange resolves, and no application's."""
        self._sids[sid] = _NOBODY

    def name_is(self, name: str, *, borne: bool) -> None:
        self._names[name] = borne

    def bearing(self, name: str) -> list[Entry]:
        return self._by_name.get(name.strip().lower(), [])
