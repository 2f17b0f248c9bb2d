"""Read a whole tenant by the two census ports. What is read is kept as it comes; what fails is asked again as ``patience``
has it, and then noted as missing, in words, while the rest goes on. Nothing is judged here, and nothing written but the
snapshot.

Order: what Exchange holds for the whole tenant, which is little and says which applications matter; the directory, of which
only those are kept; who may send as whom; then every mailbox, of which only those are kept on which an application, or
somebody unknown, holds something; then what is asked about those alone.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import Literal, TypeVar

from ..census import DirectoryCensus, ExchangeCensus, Held, Listed, ListedKind
from ..errors import CloudError, Forbidden, Throttled, Unreachable
from ..inventory import Event, Inventory, Organization, Principal, Registration, Section
from ..patience import Patience
from ..permissions import reaches_mail
from .file import Keeping
from .gathered import KINDS, Done, Lacking, Owners, Part, Read, Record, SendAs, forms
from .lists import Ahead, Steady, alone, pieces
from .mailboxes import BATCH, SID, Ask, Progress, Reading, Tell

__all__ = ["NEEDS", "Progress", "Tell", "collect"]

T = TypeVar("T")

LOG_DAYS = 90  # what Exchange keeps (learn.microsoft.com/purview/audit-log-retention: administrators' log, 90 days)
_TWENTY = 20  # owners and the like come twenty to a request

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
        self._heard: set[Side] = set()
        self._for_now = False  # something failed that may not fail again
        self.first: CloudError | None = None

    def run(self) -> None:
        """Twice where something failed that may have passed meanwhile: what is read is not read again."""
        self._pass()
        if self._for_now and self._heard:
            for side in self._heard:
                self._silent[side].clear()
            self._pass()

    def _pass(self) -> None:
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
        self._mailboxes()
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
        self._answered(side)
        self._keeping.write(*records, Done(name))

    def _answers(self, side: Side) -> None:
        """Two sections in a row that nobody answered: the third is not asked for."""
        if len(self._silent[side]) > 1:
            raise self._silent[side][-1]

    def _answered(self, side: Side) -> None:
        self._heard.add(side)
        self._silent[side].clear()

    def _failed(self, side: Side, fault: CloudError) -> None:
        self.first = self.first or fault
        self._for_now |= isinstance(fault, Throttled) or (isinstance(fault, Unreachable) and fault.transient)
        if isinstance(fault, Unreachable):
            self._silent[side].append(fault)
        else:
            self._silent[side].clear()

    def _lacks(self, name: Section, fault: CloudError, part: str = "") -> None:
        self._keeping.write(Lacking(name, _in_words(name, fault), part))

    def _all(self, ask: Callable[[], Iterator[T]], keep: Callable[[T], bool] | None = None) -> list[T]:
        """Each once, in the order of the first time."""
        found: dict[T, None] = {}
        rows: Steady[T] = Steady(lambda: map(alone, ask()), self._patience)
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
        self._answered("exchange")
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
        for some in pieces(ids, _TWENTY):
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
                return event.subject in names or bool(SID.fullmatch(event.subject))
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

    def _mailboxes(self) -> None:
        left = [
            kind
            for kind in KINDS
            if not self._had.has("mailboxes", kind)
            or not self._had.has("mailbox-permissions", kind)
            or self._had.has_unread(kind)
        ]
        entries = tuple(self._had.entries)
        with self._lists(left) as ahead:
            for kind in left:
                ask = partial(self._exchange.permissions, kind=kind, entries=entries)
                self._each("mailbox-permissions", kind, kind, ahead, ask)

    def _folders(self) -> None:
        section: Section = "folder-permissions"
        if self._had.has(section) and not self._had.has_unread("folders"):
            return
        entries = tuple(self._had.entries)

        def ask(pages: Iterator[Sequence[Listed]]) -> Iterator[Held]:
            for page in pages:
                yield from self._exchange.folder_permissions(page, entries)

        with self._lists(["user"]) as ahead:
            self._each(section, "user", "folders", ahead, ask)

    @contextmanager
    def _lists(self, kinds: Sequence[ListedKind]) -> Iterator[Ahead]:
        ahead = Ahead(kinds, lambda kind: Steady(lambda: self._exchange.mailboxes(kind), self._patience))
        try:
            yield ahead
        finally:
            ahead.close()

    def _each(
        self,
        section: Section,
        kind: ListedKind,
        part: Part,
        ahead: Ahead,
        ask: Ask,
    ) -> None:
        """Every mailbox of a list, until each is read or was asked for often enough."""
        reading = Reading(section, part, kind, ahead, self._keeping, self._patience, self._tell)
        source, listed, whole = reading.source, ahead.of(kind), part in KINDS
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
        self._for_now |= reading.would_pass
        unlisted = listed.fault or (None if source.ended else refused)
        failed = refused or listed.fault
        if failed is None:
            self._answered("exchange")
        else:
            self._failed("exchange", failed)
        if whole and unlisted is not None:
            self._lacks("mailboxes", unlisted, of)
        elif whole:
            self._keeping.write(Done("mailboxes", of, dict(sorted(listed.kinds.items()))))
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
                for some in pieces([box for box in asked if not self._had.has_read(box, part)], BATCH):
                    self._tell(Progress(name, self._had.count(part), len(boxes)))
                    found = self._patience.transport(self._exchange.client_access, some)
                    shown = [box.id for box in some if box.id in found]
                    if shown:
                        self._keeping.write(*(found[id_] for id_ in shown), Read(part, tuple(shown)))
        except CloudError as fault:
            self._failed("exchange", fault)
            self._lacks(name, fault)
            return
        self._answered("exchange")
        self._keeping.write(Done(name))


def _in_words(section: Section, fault: CloudError) -> str:
    if isinstance(fault, Forbidden):
        return f"{fault.what}; it needs {NEEDS[section]}"
    return f"{fault.what}; {fault.hint}" if fault.hint else fault.what
