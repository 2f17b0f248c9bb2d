"""Read a whole tenant by the two census ports. What is read is kept as it comes; what fails is asked again as ``patience``
has it, and then noted as missing, in words, while the rest goes on. Nothing is judged here, and nothing written but the
snapshot.

Order: what Exchange holds for the whole tenant, which is little and says which applications matter; the directory, of which
only those are kept; who may send as whom; then every mailbox, of which only those are kept on which an application, or
somebody unknown, holds something; then what is asked about those alone.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import chain, islice
from typing import Generic, Literal, TypeVar

from ..census import DirectoryCensus, ExchangeCensus, Held, Listed, ListedKind
from ..errors import CloudError, Forbidden, Throttled, Unreachable
from ..inventory import Event, Grant, Inventory, Organization, Principal, Registration, Section
from ..patience import RETRY_AFTER_CAP, TRANSPORT_TRIES, Patience
from ..permissions import reaches_mail
from .file import Keeping
from .gathered import KINDS, Done, Kept, Lacking, Owners, Part, Read, Record, SendAs, forms, named

T = TypeVar("T")

BATCH = 100  # mailboxes that a cut-off audit may have to read again
OFTEN = 2.0  # seconds, ditto
MOST_UNHEARD = 50  # mailboxes in a row that nobody answered for: then nobody is there
TRIES = 3  # for a mailbox whose error no waiting will mend, by what is known of it
LOG_DAYS = 90  # what Exchange keeps (learn.microsoft.com/purview/audit-log-retention: administrators' log, 90 days)
_TWENTY = 20  # owners and the like come twenty to a request
_SID = re.compile(r"s-1-5-21-[0-9-]+", re.IGNORECASE)

_VIEW = "the management role {} in Exchange: the Entra role Global Reader, or the role group View-Only Organization Management, has it"
_GRAPH = "{} on Microsoft Graph, with consent; a token minted before does not have it"
# What each section needs at least: the permission tables of the pages for each method; for Exchange, the roles that the
# vendor's tables give for its cmdlets.
NEEDS: dict[Section, str] = {
    "applications": _GRAPH.format("Application.Read.All"),
    "enterprise-applications": _GRAPH.format("Application.Read.All"),
    "role-grants": _GRAPH.format("Application.Read.All"),
    "scope-grants": _GRAPH.format("Directory.Read.All"),
    "owners": _GRAPH.format("Application.Read.All"),
    "last-use": _GRAPH.format("AuditLog.Read.All"),
    "directory-log": _GRAPH.format("AuditLog.Read.All and Directory.Read.All"),
    "security-defaults": _GRAPH.format("Policy.Read.All"),
    "entries": _VIEW.format("View-Only Configuration"),
    "mailboxes": _VIEW.format("View-Only Recipients"),
    "mailbox-permissions": _VIEW.format("View-Only Recipients"),
    "recipient-permissions": _VIEW.format("View-Only Recipients"),
    "client-access": _VIEW.format("View-Only Recipients"),
    "folder-permissions": _VIEW.format("View-Only Recipients"),
    "transport": _VIEW.format("View-Only Configuration"),
    "organization": _VIEW.format("View-Only Configuration"),
    "authentication-policies": _VIEW.format("View-Only Configuration"),
    "access-policies": _VIEW.format("View-Only Configuration"),
    "management-roles": _VIEW.format("View-Only Configuration"),
    "management-scopes": _VIEW.format("View-Only Configuration"),
    "exchange-log": "the management role View-Only Audit Logs in Exchange: no view-only group has it, the role groups Compliance "
    "Management and Organization Management do",
}

Side = Literal["graph", "exchange"]


@dataclass(frozen=True)
class Progress:
    """Where an audit is: ``done`` of the section, and of how many, None as long as that is not known."""

    section: Section
    done: int = 0
    total: int | None = None


Tell = Callable[[Progress], None]


def collect(
    directory: DirectoryCensus,
    exchange: ExchangeCensus,
    patience: Patience,
    keeping: Keeping,
    tell: Tell = lambda progress: None,
) -> Inventory:
    """What ``keeping`` was made for, as far as it does not hold it already. Interrupted, it holds what was read until then.

    Raises CloudError only where nothing at all can be read."""
    reading = _Collecting(directory, exchange, patience, keeping, tell)
    reading.run()
    inventory = keeping.gathered.inventory()
    if not inventory.coverage.read and reading.first is not None:
        raise reading.first
    keeping.end()
    return inventory


class _Collecting:
    def __init__(
        self, directory: DirectoryCensus, exchange: ExchangeCensus, patience: Patience, keeping: Keeping, tell: Tell
    ) -> None:
        self._directory = directory
        self._exchange = exchange
        self._patience = patience
        self._keeping = keeping
        self._had = keeping.gathered
        self._wishes = keeping.gathered.head.asked
        self._tell = tell
        self._silent: dict[Side, list[CloudError]] = {"graph": [], "exchange": []}
        self.first: CloudError | None = None

    def run(self) -> None:
        self._section("exchange", "entries", lambda: self._patience.transport(self._exchange.entries))
        self._section("exchange", "management-roles", lambda: self._patience.transport(self._exchange.management_roles))
        self._section(
            "exchange", "management-scopes", lambda: self._patience.transport(self._exchange.management_scopes)
        )
        self._section("exchange", "access-policies", lambda: self._patience.transport(self._exchange.access_policies))
        self._organization()
        self._section("graph", "role-grants", self._role_grants)
        self._section("graph", "scope-grants", lambda: self._all(self._directory.scope_grants))
        self._section("graph", "enterprise-applications", self._principals)
        self._section("graph", "applications", self._registrations)
        self._section("graph", "owners", self._owners)
        self._section("graph", "security-defaults", self._security_defaults)
        self._section("exchange", "recipient-permissions", self._send_as)
        for kind in KINDS:
            self._mailboxes(kind)
        if self._wishes.folders:
            self._folders()
        self._client_access()
        if self._wishes.evidence:
            self._section("graph", "last-use", self._last_use)
            self._section("graph", "directory-log", self._directory_log)
            self._section("exchange", "exchange-log", self._exchange_log)

    # Sections that are read whole

    def _section(self, side: Side, name: Section, read: Callable[[], Iterable[Record]]) -> None:
        if self._had.has(name):
            return
        self._tell(Progress(name))
        try:
            self._answers(side)
            records = tuple(read())
        except CloudError as fault:
            self._failed(side, fault)
            self._lacks(name, fault)
            return
        self._silent[side].clear()
        self._keeping.write(*records, Done(name))

    def _answers(self, side: Side) -> None:
        """Two sections in a row that nobody answered: the third is not asked for."""
        if len(self._silent[side]) > 1:
            raise self._silent[side][-1]

    def _failed(self, side: Side, fault: CloudError) -> None:
        self.first = self.first or fault
        if isinstance(fault, Unreachable):
            self._silent[side].append(fault)
        else:
            self._silent[side].clear()

    def _lacks(self, name: Section, fault: CloudError, part: str = "") -> None:
        self._keeping.write(Lacking(name, _in_words(name, fault), part))

    def _all(self, ask: Callable[[], Iterator[T]], keep: Callable[[T], bool] | None = None) -> list[T]:
        """Each once, in the order of the first time."""
        found: dict[T, None] = {}
        rows: _Steady[T] = _Steady(lambda: map(_alone, ask()), self._patience)
        for one in chain.from_iterable(rows):
            if keep is None or keep(one):
                found[one] = None
        return list(found)

    def _organization(self) -> None:
        parts: tuple[Section, ...] = ("transport", "authentication-policies", "organization")
        if all(map(self._had.has, parts)):
            return
        self._tell(Progress("organization"))
        try:
            self._answers("exchange")
            found = self._patience.transport(self._exchange.organization)
        except CloudError as fault:
            self._failed("exchange", fault)
            for part in parts:
                self._lacks(part, fault)
            return
        self._silent["exchange"].clear()
        shown: dict[Section, object] = {
            "transport": found.smtp_auth_disabled,
            "authentication-policies": found.password_smtp,
            "organization": found.dehydrated if found.enforce_app_rbac is None else found.enforce_app_rbac,
        }
        self._keeping.write(
            found,
            *(
                Done(part) if shown[part] is not None else Lacking(part, f"Exchange does not show it; it needs {NEEDS[part]}")
                for part in parts
            ),
        )  # fmt: skip

    # The directory

    def _role_grants(self) -> Iterable[Record]:
        rows = self._all(self._directory.role_grants)
        entries = {entry.object_id.lower() for entry in self._had.entries}
        matter = {row.principal for row in rows if reaches_mail(row.resource, row.value)}
        return (row for row in rows if row.principal in matter or row.principal.lower() in entries)

    def _wanted(self) -> set[str]:
        """The ids, lower case, of the applications that matter by what Exchange holds or a playbook says."""
        had = self._had
        entries = (text for entry in had.entries for text in (entry.app_id, entry.object_id))
        roles = (text for role in had.roles for text in role.app)
        rest = chain((policy.app_id for policy in had.policies), self._wishes.app_ids)
        return {text.lower() for text in chain(entries, roles, rest)}

    def _principals(self) -> Iterable[Record]:
        wanted = self._wanted()
        granted = {row.principal for row in self._had.role_grants} | {row.principal for row in self._had.scope_grants}
        return self._all(
            self._directory.principals,
            lambda one: one.object_id in granted or bool({one.app_id.lower(), one.object_id.lower()} & wanted),
        )

    def _registrations(self) -> Iterable[Record]:
        wanted = self._wanted() | {one.app_id.lower() for one in self._had.principals.values()}

        def matters(one: Registration) -> bool:
            mine = {one.app_id.lower(), one.object_id.lower()}
            return bool(mine & wanted) or one.unique_name in self._wishes.unique_names

        found = self._all(self._directory.registrations, matters)
        federated = self._by_twenty(self._directory.federated, [one.object_id for one in found])
        for one in found:
            yield replace(one, credentials=(*one.credentials, *federated.get(one.object_id, ())))
        yield from self._late_principals(found)

    def _late_principals(self, found: Sequence[Registration]) -> list[Principal]:
        """Those of applications that a playbook names by their unique name, and that nothing else brought up."""
        known = {one.app_id.lower() for one in self._had.principals.values()}
        late = {one.app_id.lower() for one in found if one.unique_name in self._wishes.unique_names} - known
        return self._all(self._directory.principals, lambda one: one.app_id.lower() in late) if late else []

    def _owners(self) -> Iterable[Record]:
        if not self._had.has("applications") and not self._had.has("enterprise-applications"):
            raise CloudError("no applications were read", service="graph")
        owners = self._directory.owners
        registered = sorted(self._had.registrations)
        found = self._by_twenty(lambda ids: owners("applications", ids), registered)
        entered = sorted(self._had.principals)
        found |= self._by_twenty(lambda ids: owners("servicePrincipals", ids), entered)
        return [Owners(of, tuple(sorted(held, key=lambda owner: owner.id))) for of, held in sorted(found.items())]

    def _by_twenty(self, ask: Callable[[Sequence[str]], dict[str, T]], ids: Sequence[str]) -> dict[str, T]:
        found: dict[str, T] = {}
        for some in _pieces(ids, _TWENTY):
            found |= self._patience.transport(ask, some)
        return found

    def _security_defaults(self) -> Iterable[Record]:
        return [Organization(security_defaults=self._patience.transport(self._directory.security_defaults))]

    def _last_use(self) -> Iterable[Record]:
        kept = {one.app_id.lower() for one in self._had.principals.values()}
        kept |= {one.app_id.lower() for one in self._had.registrations.values()}
        return self._all(self._directory.last_use, lambda one: one.app_id.lower() in kept)

    def _directory_log(self) -> Iterable[Record]:
        ids = sorted({*self._had.principals, *self._had.registrations})
        return self._all(lambda: self._directory.events(ids)) if ids else []

    def _exchange_log(self) -> Iterable[Record]:
        """Grants to applications and to whom nobody resolves; switches of mailboxes that are kept; whatever else is logged
        is of the whole tenant, or of an application."""
        names = {
            form for entry in self._had.entries for form in entry.forms | {entry.app_id.lower(), entry.name.lower()}
        }
        boxes = {form for kind in KINDS for box in self._had.mailboxes(kind) for form in forms(box)}

        def concerns(event: Event) -> bool:
            if "Permission" in event.change:
                return event.subject in names or bool(_SID.fullmatch(event.subject))
            return event.change != "Set-CASMailbox" or event.subject in boxes

        since = (self._had.head.at - timedelta(days=LOG_DAYS)).timestamp()
        return self._all(lambda: self._exchange.events(since), concerns)

    # Exchange

    def _send_as(self) -> Iterable[Record]:
        self._needs_entries()
        entries = sorted(self._had.entries, key=lambda entry: entry.identity)
        for number, entry in enumerate(entries):
            self._tell(Progress("recipient-permissions", number, len(entries)))
            for recipient, grant in self._all(lambda entry=entry: self._exchange.send_as(entry)):  # type: ignore[misc]  # mypy cannot infer a lambda with a default
                yield SendAs(recipient.lower(), grant)

    def _needs_entries(self) -> None:
        if not self._had.has("entries"):
            raise CloudError(
                "the service principals in Exchange were not read, and without them nobody tells applications from people",
                service="remoting",
            )

    def _mailboxes(self, kind: ListedKind) -> None:
        listed: Section = "mailboxes"
        read: Section = "mailbox-permissions"
        if self._had.has(listed, kind) and self._had.has(read, kind) and not self._had.has_unread(kind):
            return
        entries = tuple(self._had.entries)
        self._each(read, kind, kind, lambda pages: self._exchange.permissions(pages, kind, entries))

    def _folders(self) -> None:
        section: Section = "folder-permissions"
        if self._had.has(section) and not self._had.has_unread("folders"):
            return
        entries = tuple(self._had.entries)

        def ask(pages: Iterator[Sequence[Listed]]) -> Iterator[Held]:
            for page in pages:
                yield from self._exchange.folder_permissions(page, entries)

        self._each(section, "user", "folders", ask)

    def _each(
        self,
        section: Section,
        kind: ListedKind,
        part: Part,
        ask: Callable[[Iterator[Sequence[Listed]]], Iterator[Held]],
    ) -> None:
        """Every mailbox of a list, until each is read or was asked for often enough."""
        pages: _Steady[Listed] = _Steady(lambda: self._exchange.mailboxes(kind), self._patience)
        reading = _Reading(section, part, pages, self._keeping, self._patience, self._tell)
        source, whole = reading.source, part in KINDS
        of = part if whole else ""  # what the section's own part is called
        self._tell(Progress(section))
        refused: CloudError | None = None
        try:
            self._answers("exchange")
            self._needs_entries()
            reading.to_the_end(ask)
        except CloudError as fault:
            refused = fault
            if whole and isinstance(fault, Forbidden):
                reading.without()
        finally:
            reading.flush()  # whatever ends it
        unlisted = source.fault or (None if source.ended else refused)
        failed = refused or source.fault
        if failed is None:
            self._silent["exchange"].clear()
        else:
            self._failed("exchange", failed)
        if whole and unlisted is not None:
            self._lacks("mailboxes", unlisted, of)
        elif whole:
            self._keeping.write(Done("mailboxes", of, dict(sorted(source.kinds.items()))))
        if failed is not None:
            self._keeping.write(*reading.unread(), Lacking(section, _in_words(section, failed), of))
        else:
            self._keeping.write(*reading.unread(), Done(section, of))

    def _client_access(self) -> None:
        name: Section = "client-access"
        part: Part = "client-access"
        boxes = sorted((box for box in self._had.mailboxes("user") if box.id), key=lambda box: box.id)
        left = [box for box in boxes if not self._had.has_read(box, part)]
        if self._had.has(name) and not left:
            return
        try:
            self._answers("exchange")
            if not boxes and not any(self._had.has("mailboxes", kind) for kind in KINDS):
                raise CloudError("no mailboxes were read", service="remoting")
            for asked in (left, left):  # those that an answer leaves out are asked for once more
                for some in _pieces([box for box in asked if not self._had.has_read(box, part)], BATCH):
                    self._tell(Progress(name, self._had.count(part), len(boxes)))
                    found = self._patience.transport(self._exchange.client_access, some)
                    shown = [box.id for box in some if box.id in found]
                    if shown:
                        self._keeping.write(*(found[id_] for id_ in shown), Read(part, tuple(shown)))
        except CloudError as fault:
            self._failed("exchange", fault)
            self._lacks(name, fault)
            return
        self._silent["exchange"].clear()
        self._keeping.write(Done(name))


class _Reading:
    """The mailboxes of one list on their way into the snapshot."""

    def __init__(
        self,
        section: Section,
        part: Part,
        pages: "_Steady[Listed]",
        keeping: Keeping,
        patience: Patience,
        tell: Tell,
    ) -> None:
        self.source = _Source(pages, part, self._is_known, patience)
        self._section = section
        self._part = part
        self._keeping = keeping
        self._patience = patience
        self._tell = tell
        self._by_form = {form: entry.identity for entry in keeping.gathered.entries for form in entry.forms}
        self._recipients = keeping.gathered.recipients
        self._again: dict[str, Held] = {}  # what failed and is worth another try
        self._failed: dict[str, Held] = {}  # what is not
        self._tries: dict[str, int] = {}
        self._answered = 0
        self._unheard = 0  # mailboxes in a row
        self._before = keeping.gathered.count(part)
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
        return self._keeping.gathered.has_read(box, self._part)

    def to_the_end(self, ask: Callable[[Iterator[Sequence[Listed]]], Iterator[Held]]) -> None:
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

    def _round(self, ask: Callable[[Iterator[Sequence[Listed]]], Iterator[Held]]) -> None:
        """Ask for all that is left. Raises what the rest is to wait for."""
        while self._again or not self.source.ended:
            waiting = [held.mailbox for held in self._again.values()]
            self._again = {}
            self.source.give_out(waiting)
            try:
                with _closing(ask(chain(_pieces(waiting, BATCH), self.source))) as answers:
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
        elif name not in self._read and not self._keeping.gathered.has_read(held.mailbox, self._part):
            self._finish(name, held)
        self.source.answered(name)  # last: until then it is known to be under way

    def _finish(self, name: str, held: Held) -> None:
        self._tries.pop(name, None)
        self._unheard = 0
        if held.grants or not self._recipients.isdisjoint(forms(held.mailbox)):
            self._batch.append(Kept(replace(held.mailbox, on_behalf=()), self._part, held.grants, held.people))
        self._read[name] = None
        self._kinds[held.mailbox.kind] = self._kinds.get(held.mailbox.kind, 0) + 1
        self._people += held.people
        self._inherited += held.inherited
        self._answered += 1
        self._tell(Progress(self._section, self._before + self._answered, self.source.total))
        if len(self._read) >= BATCH or self._patience.clock.now() - self._flushed >= OFTEN:
            self.flush()

    def _set_aside(self, name: str, held: Held) -> None:
        """For another try, or for none."""
        self._tries[name] = self._tries.get(name, 0) + 1
        error = held.error
        passes = isinstance(error, Throttled | Unreachable) and _passes(error)
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
        named_ = ((trustee, self._by_form.get(trustee.lower(), "")) for trustee in mailbox.on_behalf)
        return tuple(Grant("SendOnBehalf", text, entry) for text, entry in named_ if entry or _SID.fullmatch(text))

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

    def unread(self) -> list[Kept]:
        of = "its folders: " if self._part == "folders" else ""
        return [
            Kept(replace(held.mailbox, on_behalf=()), self._part, unread=of + held.error.what)
            for _, held in sorted(self._failed.items())
            if held.error is not None
        ]


@dataclass
class _Source:
    """A list's mailboxes that are still to be read, for whoever reads them, from any thread. It knows which are under way,
    and lets none out while the service asks to wait."""

    pages: "_Steady[Listed]"
    part: Part
    is_known: Callable[[Listed], bool]
    patience: Patience
    kinds: dict[str, int] = field(default_factory=dict)
    fault: CloudError | None = None  # that ended the list
    ended: bool = False
    _listed: int = 0
    _passes: int = 0
    _open: dict[str, Listed] = field(default_factory=dict)
    _held: float = 0.0
    _why: str = ""

    def __iter__(self) -> Iterator[Sequence[Listed]]:
        return self

    def __next__(self) -> Sequence[Listed]:
        while not self.ended:
            left = self._held - self.patience.clock.now()
            if left > 0:
                self.patience.pause(left, self._why)
            try:
                page = next(self.pages)
            except StopIteration:
                self.ended = True
                break
            except CloudError as fault:
                self.fault, self.ended = fault, True
                break
            if self._passes != self.pages.passes:  # it began anew
                self._passes, self._listed, self.kinds = self.pages.passes, 0, {}
            return self._fresh(page)
        raise StopIteration

    def _fresh(self, page: Sequence[Listed]) -> list[Listed]:
        fresh = []
        for box in page:
            self.kinds[box.kind] = self.kinds.get(box.kind, 0) + 1
            name = named(box, self.part)
            if name not in self._open and not self.is_known(box):
                self._open[name] = box
                fresh.append(box)
        self._listed += len(page)
        return fresh

    @property
    def total(self) -> int | None:
        """How many the list has, once it is known."""
        return self._listed if self.ended and self.fault is None else None

    def hold(self, seconds: float, why: str) -> None:
        self._why = why
        self._held = max(self._held, self.patience.clock.now() + seconds)

    def give_out(self, boxes: Iterable[Listed]) -> None:
        self._open |= {named(box, self.part): box for box in boxes}

    def answered(self, name: str) -> None:
        self._open.pop(name, None)

    def take_back(self) -> list[tuple[str, Listed]]:
        """What was given out and never answered."""
        rest, self._open = list(self._open.items()), {}
        return rest


@contextmanager
def _closing(answers: Iterator[Held]) -> Iterator[Iterator[Held]]:
    """A generator that is left in its middle ends at once, not when it is forgotten."""
    try:
        yield answers
    finally:
        close = getattr(answers, "close", None)
        if close is not None:
            close()


class _Steady(Generic[T]):
    """Pages to their end, whatever breaks on the way. An iterator that can go on after an error goes on; one that ends with
    what it raised, as a generator does, begins anew: ``passes`` counts that, and pages come again."""

    def __init__(self, ask: Callable[[], Iterator[Sequence[T]]], patience: Patience) -> None:
        self._ask = ask
        self._patience = patience
        self._rows: Iterator[Sequence[T]] | None = None
        self._broke = False
        self._at = self._furthest = 0
        self._vain = 0  # errors since it came further than ever before
        self._fault: CloudError | None = None
        self.passes = 0

    def __iter__(self) -> Iterator[Sequence[T]]:
        return self

    def __next__(self) -> Sequence[T]:
        page = self._patience.transport(self._step)
        if page is None:
            if self._fault is not None:
                raise self._fault
            raise StopIteration
        return page

    def _step(self) -> Sequence[T] | None:
        try:
            if self._rows is None:
                self._rows = iter(self._ask())
            page = next(self._rows, None)
            if page is None and self._broke:
                self._broke, self._at = False, 0
                self.passes += 1
                self._rows = iter(self._ask())
                page = next(self._rows, None)
        except (Throttled, Unreachable) as fault:
            self._broke = True
            self._vain = 0 if self._at > self._furthest else self._vain + 1
            self._furthest = max(self._furthest, self._at)
            if self._vain < TRANSPORT_TRIES:
                raise
            self._fault = fault
            return None
        if page is not None:
            self._broke = False
            self._at += len(page)
        return page


def _alone(one: T) -> Sequence[T]:
    return (one,)


def _pieces(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def _passes(fault: Throttled | Unreachable) -> bool:
    return isinstance(fault, Throttled) or fault.transient


def _unanswered(box: Listed) -> CloudError:
    return CloudError(f"no answer came for {box.address}", service="remoting")


def _in_words(section: Section, fault: CloudError) -> str:
    if isinstance(fault, Forbidden):
        return f"{fault.what}; it needs {NEEDS[section]}"
    return f"{fault.what}; {fault.hint}" if fault.hint else fault.what
