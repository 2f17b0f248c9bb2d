"""Exchange Online read for a whole tenant, over any remoting: the port ``census.ExchangeCensus``.

Mailboxes come in by pages and what is held on them goes out as it is read, many requests under way at once; neither is ever
whole in memory. Rows are joined by identities that were read beforehand; what stays unclear in a batch is read again alone.
A Get-* may answer an unknown identity with every row: no row is believed for its place.

Nothing here waits. ``repeat`` is handed in (``patience``'s transport): it is given each read, and may send it again; what is
not answered even so is said of each mailbox. While one waits because the service said so, nothing new is sent.
"""

import contextlib
import json
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, Self, TypeVar

from .. import tenant
from ..census import Held, Listed, ListedKind
from ..errors import CloudError, Conflict, Forbidden, Missing, NotYetVisible, Throttled, Unreachable
from ..inventory import AccessPolicy, Entry, Event, Grant, Organization, Right
from ..snapshot import Address, AppId, ClientAccess, MailboxId, ManagementRole, ManagementScope
from . import records
from .bearers import Bearer, Bearers
from .cmdlets import Answer, Cmdlet, Item, Pages, Paging, Row, Rows
from .errors import SERVICE, UNAUTHORIZED
from .flowing import Flow
from .joining import several, shown, truth
from .spreading import ALONE, Pieces

T = TypeVar("T")

_ALL = {"ResultSize": "Unlimited"}  # the default is 1,000 rows and a warning
# A mailbox has hundreds of properties: these are read.
_COLUMNS = (
    "ExternalDirectoryObjectId", "PrimarySmtpAddress", "DisplayName", "RecipientTypeDetails", "Identity", "UserPrincipalName",
    "GrantSendOnBehalfTo", "Guid",
)  # fmt: skip
_SWITCHES: dict[ListedKind, dict[str, object]] = {
    "user": {}, "soft-deleted": {"SoftDeletedMailbox": True}, "group": {"GroupMailbox": True},
}  # fmt: skip
_RIGHTS: dict[str, Right] = {"fullaccess": "FullAccess", "sendas": "SendAs", "readpermission": "ReadPermission"}
# Those that a client opens by itself. Other languages' mailboxes have them under other names, and then none is there.
FOLDERS = (
    "\\",
    "\\Inbox",
    "\\Sent Items",
    "\\Drafts",
    "\\Deleted Items",
    "\\Calendar",
    "\\Contacts",
    "\\Tasks",
    "\\Notes",
)
_BUILT_IN = frozenset({"default", "anonymous"})  # what everybody has on a folder
_POLICY: dict[str, Any] = {"restrictaccess": "restrict", "denyaccess": "deny"}
# What changes who may open what (the audit log names an operation by its cmdlet).
OPERATIONS = (
    "Add-MailboxPermission", "Remove-MailboxPermission", "Add-RecipientPermission", "Remove-RecipientPermission",
    "Add-MailboxFolderPermission", "Set-MailboxFolderPermission", "Remove-MailboxFolderPermission", "New-ServicePrincipal",
    "Remove-ServicePrincipal", "Set-ServicePrincipal", "New-ApplicationAccessPolicy", "Remove-ApplicationAccessPolicy",
    "New-ManagementRoleAssignment", "Remove-ManagementRoleAssignment", "New-ManagementScope", "Set-ManagementScope",
    "Remove-ManagementScope", "Set-CASMailbox", "Set-TransportConfig",
)  # fmt: skip
_NOT_TO_BE_HAD = frozenset(
    {"CommandNotFoundException", "NamedParameterNotFound", UNAUTHORIZED}
)  # the cmdlet, for anybody
_SESSIONS = 3  # of the log's, at most
_LOGGED = 5000  # rows of the log at once, the most it gives


class Repeat(Protocol):
    """Calls, and calls again where that can help. Raises what the last call raised."""

    def __call__(self, call: Callable[[], T], /) -> T: ...


def once(call: Callable[[], T], /) -> T:
    return call()


class Census:
    """The port. ``pieces``: how the remoting takes many items. ``requests``: pipelines, pages and batches that were sent."""

    def __init__(self, remoting: Paging, pieces: Pieces = ALONE, repeat: Repeat = once) -> None:
        self._remoting = remoting
        self._flow = Flow(pieces)
        self._repeat = repeat
        self._counting = threading.Lock()
        self._asking = threading.Lock()
        self._bearers = Bearers(())
        self._of: tuple[Entry, ...] = ()
        self.requests = 0

    def close(self) -> None:
        """Let go of the threads. Before the remoting is closed."""
        self._flow.close()

    # Lists

    def entries(self) -> tuple[Entry, ...]:
        return tuple(dict.fromkeys(map(_entry, self._rows(Cmdlet("Get-ServicePrincipal")))))

    def mailboxes(self, kind: ListedKind) -> Iterator[Sequence[Listed]]:
        """After a CloudError the next page may be asked for again."""
        pages = self._remoting.pages(Cmdlet("Get-Mailbox", {**_ALL, **_SWITCHES[kind]}), _COLUMNS)
        return _Mailboxes(kind, pages, self._next)

    def send_as(self, entry: Entry) -> Iterator[tuple[str, Grant]]:
        """Exchange's filter is believed where all rows name one trustee who can be this entry. An unknown trustee may be
        answered with every row: then only a form of the entry's counts."""
        own: set[str] = set()  # who is named, until it is more than one
        held: dict[str, Grant] = {}
        sure = entry.forms
        try:
            for rows in self._pages(Cmdlet("Get-RecipientPermission", {**_ALL, "Trustee": entry.object_id})):
                for row in rows:
                    text = shown(row, "Trustee").strip()
                    if len(own) < 2:
                        own.add(text.lower())
                    rights = {right.lower() for right in several(row, "AccessRights")}
                    if "sendas" in rights and (text.lower() in sure or (len(own) == 1 and _can_be(entry, text))):
                        deny = shown(row, "AccessControlType").lower() == "deny" or truth(row, "Deny") or False
                        held[shown(row, "Identity").lower() + "\0" + text + str(deny)] = Grant(
                            "SendAs",
                            text,
                            entry=entry.identity,
                            deny=deny,
                            inherited=truth(row, "IsInherited") or False,
                        )
        except (Missing, NotYetVisible):
            return
        for key, grant in held.items():
            if grant.trustee.lower() in sure or len(own) == 1:
                yield key.partition("\0")[0], grant

    def organization(self) -> Organization:
        """What the caller may not see is None, but for the transport settings, whose error is raised."""
        transport = self._rows(Cmdlet("Get-TransportConfig"))
        settings = self._may_see(Cmdlet("Get-OrganizationConfig"))
        policies = self._may_see(Cmdlet("Get-AuthenticationPolicy"))
        row: Row = settings[0] if settings else {}
        return Organization(
            smtp_auth_disabled=truth(transport[0], "SmtpClientAuthenticationDisabled") if transport else None,
            password_smtp=None if settings is None or policies is None else _password_smtp(row, policies),
            enforce_app_rbac=truth(row, "EnforceExoAppRbacPermissions"),
            dehydrated=truth(row, "IsDehydrated"),
        )

    def access_policies(self) -> tuple[AccessPolicy, ...]:
        found = []
        for row in self._known(Cmdlet("Get-ApplicationAccessPolicy")):
            right = _POLICY.get(shown(row, "AccessRight").lower())
            scope = next(
                (text for name in ("ScopeName", "ScopeIdentity", "ScopeIdentityRaw") if (text := shown(row, name))), ""
            )
            for app in several(row, "AppId"):
                if right:
                    found.append(AccessPolicy(AppId(app), right, scope, shown(row, "Description")))
        return tuple(dict.fromkeys(found))

    def management_roles(self) -> tuple[ManagementRole, ...]:
        """Of all assignments those to applications: of an application role, or to a service principal."""
        rows = self._rows(Cmdlet("Get-ManagementRoleAssignment"))
        return tuple(dict.fromkeys(records.management_role(row) for row in rows if _is_an_applications(row)))

    def management_scopes(self) -> tuple[ManagementScope, ...]:
        return tuple(dict.fromkeys(map(records.management_scope, self._known(Cmdlet("Get-ManagementScope")))))

    def events(self, since: float) -> Iterator[Event]:
        """The unified audit log, which holds what the administrators' log does. It hands out a session's rows in turns, and
        a turn whose answer was lost is gone: what is missing at the end is looked for in another session."""
        begins, ends = (
            f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%SZ}" for at in (since, datetime.now(UTC).timestamp())
        )
        seen: set[str] = set()
        total = 0
        for _ in range(_SESSIONS):
            cmdlet = Cmdlet("Search-UnifiedAuditLog", {
                "StartDate": begins, "EndDate": ends, "Operations": OPERATIONS, "SessionId": f"exosp-{uuid.uuid4()}",
                "SessionCommand": "ReturnLargeSet", "ResultSize": str(_LOGGED),
            })  # fmt: skip
            while rows := self._rows(cmdlet):
                for row in rows:
                    total = max(total, _number(row, "ResultCount"))
                    name = shown(row, "Identity") or shown(row, "AuditData")
                    if name not in seen:
                        seen.add(name)
                        event = _event(row)
                        if event is not None:
                            yield event
            if len(seen) >= total:
                return
        raise CloudError(
            f"the audit log holds {total} rows and showed {len(seen)} of them", service=SERVICE, code="CutShort",
            asked="Search-UnifiedAuditLog",
        )  # fmt: skip

    # Mailboxes

    def permissions(
        self, mailboxes: Iterator[Sequence[Listed]], kind: ListedKind, entries: Sequence[Entry]
    ) -> Iterator[Held]:
        """Grants that show in rows: who may send on a mailbox's behalf stands in ``Listed``. A mailbox's own (SELF) is none.
        Raises CloudError where the caller lacks the cmdlet."""
        cmdlet = Cmdlet(
            "Get-MailboxPermission", {**_ALL, "IncludeUnresolvedPermissions": True, **_SWITCHES[kind]}, over="Identity"
        )
        bearers = self._known_bearers(entries)
        return self._flow.each(mailboxes, lambda some: self._permissions(cmdlet, some, bearers))

    def folder_permissions(self, mailboxes: Sequence[Listed], entries: Sequence[Entry]) -> Iterator[Held]:
        bearers = self._known_bearers(entries)
        return self._flow.each(iter([mailboxes]), lambda some: [self._folders(box, bearers) for box in some])

    def client_access(self, mailboxes: Sequence[Listed]) -> dict[MailboxId, ClientAccess]:
        """One that has none, as a group's mailbox, is left out. Raises what keeps one from being read."""
        cmdlet = Cmdlet("Get-CASMailbox", _ALL, over="Identity")

        def read(some: list[Listed]) -> list[ClientAccess]:
            found = []
            for box, answer in zip(some, self._ask(cmdlet, some), strict=True):
                match answer:
                    case Rows(rows):
                        found += [_client_access(box, row) for row in rows[:1]]
                    case tenant.Failed(Missing() | NotYetVisible()):
                        pass
                    case _:
                        raise _error(answer, cmdlet, box)
            return found

        return {access.mailbox: access for access in self._flow.each(iter([mailboxes]), read)}

    def _known_bearers(self, entries: Sequence[Entry]) -> Bearers:
        """What was learnt of these entries' SIDs and names serves again."""
        if tuple(entries) != self._of:
            self._of, self._bearers = tuple(entries), Bearers(entries)
        return self._bearers

    def _permissions(self, cmdlet: Cmdlet, some: list[Listed], bearers: Bearers) -> list[Held]:
        answers = self._ask(cmdlet, some)
        for n, answer in enumerate(answers):
            if isinstance(answer, Rows) and not answer.rows and len(some) > 1:
                # Each mailbox shows its owner at least. One that went is answered with every row, and those are the others'.
                [answers[n]] = self._ask(cmdlet, [some[n]])
        for answer in answers:
            if isinstance(answer, tenant.Failed) and answer.error.code in _NOT_TO_BE_HAD:
                raise answer.error
        rows = {
            n: list(dict.fromkeys(map(_Ace, answer.rows)))
            for n, answer in enumerate(answers)
            if isinstance(answer, Rows)
        }
        unclear: dict[int, CloudError] = {}
        try:
            self._learn(cmdlet, bearers, [(some[n], ace) for n, aces in rows.items() for ace in aces])
        except CloudError as fault:
            unclear = {n: fault for n, aces in rows.items() if any(_is_open(bearers, ace) for ace in aces)}
        clear = [(some[n], ace) for n, aces in rows.items() if n not in unclear for ace in aces]
        named, refused = self._by_row(cmdlet, bearers, clear)
        unclear |= {n: refused[some[n].identity] for n in rows if some[n].identity in refused}
        held = []
        for n, box in enumerate(some):
            if n in rows and n not in unclear:
                held.append(_held(box, rows[n], bearers, named))
            else:
                held.append(Held(box, error=unclear.get(n) or _error(answers[n], cmdlet, box)))
        return held

    def _folders(self, box: Listed, bearers: Bearers) -> Held:
        grants: list[Grant] = []
        people = 0
        for folder in FOLDERS:
            cmdlet = Cmdlet("Get-MailboxFolderPermission", {**_ALL, "Identity": f"{box.address or box.id}:{folder}"})
            try:
                rows = self._rows(cmdlet)
            except (Missing, NotYetVisible):
                continue
            except CloudError as fault:
                return Held(box, error=fault)
            for text, roles in dict.fromkeys(
                (shown(row, "User").strip(), several(row, "AccessRights")) for row in rows
            ):
                if text.lower() in _BUILT_IN:
                    continue
                try:
                    bearer = self._on_folder(cmdlet, bearers, text.removeprefix("NT:"))  # so a SID is shown there
                except CloudError as fault:
                    return Held(box, error=fault)
                if bearer.kind == "somebody":
                    people += 1
                elif bearer.kind != "self":
                    grants += [
                        Grant("Folder", text, entry=bearer.entry, folder=folder, role=role) for role in sorted(roles)
                    ]
        return Held(box, tuple(grants), people)

    # Whom rows name

    def _on_folder(self, cmdlet: Cmdlet, bearers: Bearers, text: str) -> Bearer:
        """A folder's rows show display names."""
        bearer = bearers.judge(text)
        if bearer.kind == "which-name":
            with self._asking:
                for name in bearers.unnamed([text.lower()]):
                    bearers.name_is(name, borne=self._is_borne(name))
            bearer = bearers.judge(text)
        if bearer.kind == "which-row":
            for entry in bearers.bearing(text):
                rows = self._known(Cmdlet(cmdlet.name, {**cmdlet.parameters, "User": entry.object_id}))
                if {shown(row, "User").strip().lower() for row in rows} - _BUILT_IN == {text.lower()}:
                    return Bearer("entry", entry.identity)
        return Bearer("somebody") if bearer.kind == "which-row" else bearer

    def _learn(self, cmdlet: Cmdlet, bearers: Bearers, rows: Sequence[tuple[Listed, "_Ace"]]) -> None:
        """Ask about each SID and each display name that is new, once. Raises CloudError."""
        sids: dict[str, Listed] = {}
        names: set[str] = set()
        for box, ace in rows:
            match bearers.judge(ace.user, ace.sid).kind:
                case "which-sid":
                    sids.setdefault(ace.user.lower(), box)
                case "which-name":
                    names.add(ace.user.lower())
        if not sids and not names:
            return
        with self._asking:
            for name in bearers.unnamed(names):
                bearers.name_is(name, borne=self._is_borne(name))
            self._learn_sids(cmdlet, bearers, {sid: sids[sid] for sid in bearers.unasked(sids)})

    def _learn_sids(self, cmdlet: Cmdlet, bearers: Bearers, sids: dict[str, Listed]) -> None:
        """An orphan shows only where unresolved entries are asked for. One that shows without is somebody's: each application
        of which no SID is known is asked about by Exchange's own filter."""
        if not sids:
            return
        plain = {name: value for name, value in cmdlet.parameters.items() if name != "IncludeUnresolvedPermissions"}
        living = self._showing(Cmdlet(cmdlet.name, plain, over=cmdlet.over), sids)
        for entry in bearers.without_sid() if living else ():
            filtered = Cmdlet(cmdlet.name, {**plain, "User": entry.object_id}, over=cmdlet.over)
            for sid in self._showing(filtered, living, alone=True):
                bearers.sid_is(sid, entry)
                living.pop(sid)
            if not living:
                break
        for sid in bearers.unasked(sids):
            bearers.sid_is_nobodys(sid)

    def _showing(self, cmdlet: Cmdlet, sids: dict[str, Listed], *, alone: bool = False) -> dict[str, Listed]:
        """Those SIDs that still show on their mailbox; ``alone``: and nobody else does, as an honoured filter has it."""
        boxes = list({box.identity: box for box in sids.values()}.values())
        answers = dict(zip((box.identity for box in boxes), self._ask(cmdlet, boxes), strict=True))
        found = {}
        for sid, box in sids.items():
            answer = answers[box.identity]
            match answer:
                case Rows(rows):
                    users = {shown(row, "User").strip().lower() for row in rows}
                    if sid in users and (not alone or len(users) == 1):
                        found[sid] = box
                case tenant.Failed(Missing() | NotYetVisible()):
                    pass
                case _:  # it says nothing, and nothing is concluded
                    raise _error(answer, cmdlet, box)
        return found

    def _is_borne(self, name: str) -> bool:
        """Whether a person or a group bears a name. Whoever is shown must bear it: an unknown one may show everybody."""
        for cmdlet in (
            Cmdlet("Get-User", {**_ALL, "Identity": name}),
            Cmdlet("Get-Recipient", {**_ALL, "Identity": name}),
        ):
            try:
                for rows in self._pages(cmdlet):
                    if any(name in (shown(row, "DisplayName").lower(), shown(row, "Name").lower()) for row in rows):
                        return True
            except (Missing, NotYetVisible):
                continue
            except Conflict:  # several do
                return True
        return False

    def _by_row(
        self, cmdlet: Cmdlet, bearers: Bearers, rows: Sequence[tuple[Listed, "_Ace"]]
    ) -> tuple[dict[tuple[str, str], Bearer], dict[str, CloudError]]:
        """Rows with a display name that others bear too: Exchange's own filter says on which mailbox it is whose. And those
        mailboxes of which it says nothing."""
        wanted: dict[str, tuple[Entry, dict[str, Listed]]] = {}
        for box, ace in rows:
            if bearers.judge(ace.user, ace.sid).kind == "which-row":
                for entry in bearers.bearing(ace.user):
                    wanted.setdefault(entry.object_id, (entry, {}))[1][box.identity] = box
        found: dict[tuple[str, str], Bearer] = {}
        refused: dict[str, CloudError] = {}
        for entry, boxes in wanted.values():
            filtered = Cmdlet(cmdlet.name, {**cmdlet.parameters, "User": entry.object_id}, over=cmdlet.over)
            for box, answer in zip(boxes.values(), self._ask(filtered, list(boxes.values())), strict=True):
                match answer:
                    case Rows(shows):
                        if {shown(row, "User").strip().lower() for row in shows} == {entry.name.lower()}:
                            found[box.identity, entry.name.lower()] = Bearer("entry", entry.identity)
                    case tenant.Failed(Missing() | NotYetVisible()):
                        pass  # Exchange knows no such trustee
                    case _:
                        refused[box.identity] = _error(answer, filtered, box)
        return found, refused

    # Asking

    def _ask(self, cmdlet: Cmdlet, some: Sequence[Listed]) -> list[Answer]:
        """One answer a mailbox. What can be mended by asking again is asked again; what is unclear is asked about alone."""
        items = list(map(_item, some))
        answers: list[Answer] = [tenant.Unknown("it was not asked")] * len(items)
        left = list(range(len(items)))

        def ask() -> None:
            nonlocal left
            self._flow.release(waits)
            began = self._flow.began()
            came = list(self._remoting.run(cmdlet, [items[n] for n in left]))
            self._count()
            for n, answer in zip(left, came, strict=True):
                answers[n] = answer
            left = [n for n in left if _mends(answers[n])]
            errors = [answer.error for n in left if isinstance(answer := answers[n], tenant.Failed)]
            if any(isinstance(error, Throttled) for error in errors):
                self._flow.throttled(began)
                self._flow.hold(waits)
            else:
                self._flow.went_well()
            if errors:
                raise max(errors, key=_wait)

        waits = object()
        try:
            with contextlib.suppress(Throttled, Unreachable):  # each of those that are left has its own
                self._repeat(ask)
        finally:
            self._flow.release(waits)
        if len(items) > 1:
            for n, answer in enumerate(answers):
                if isinstance(answer, tenant.Unknown):
                    [answers[n]] = self._ask(cmdlet, [some[n]])
        return answers

    def _pages(self, cmdlet: Cmdlet) -> Iterator[Sequence[Row]]:
        """Raises CloudError once repeating does not help either."""
        pages = self._remoting.pages(cmdlet)
        try:
            while (rows := self._next(pages)) is not None:
                yield rows
        finally:
            pages.close()

    def _next(self, pages: Pages) -> Sequence[Row] | None:
        def fetch() -> Sequence[Row] | None:
            self._count()
            return next(pages, None)

        return self._repeat(fetch)

    def _rows(self, cmdlet: Cmdlet) -> list[Row]:
        """All rows of a short list."""

        def read() -> list[Row]:
            pages = self._remoting.pages(cmdlet)
            self._count()
            try:
                return [row for rows in pages for row in rows]
            finally:
                pages.close()

        return self._repeat(read)

    def _known(self, cmdlet: Cmdlet) -> list[Row]:
        """The rows; none where Exchange finds nothing."""
        try:
            return self._rows(cmdlet)
        except (Missing, NotYetVisible):
            return []

    def _may_see(self, cmdlet: Cmdlet) -> list[Row] | None:
        try:
            return self._rows(cmdlet)
        except (Forbidden, Missing):
            return None

    def _count(self) -> None:
        with self._counting:
            self.requests += 1


class _Mailboxes:
    """The pages of one list of mailboxes. One that comes twice, as where a list began anew, is handed out once."""

    def __init__(self, kind: ListedKind, pages: Pages, fetch: Callable[[Pages], Sequence[Row] | None]) -> None:
        self._kind: ListedKind = kind
        self._pages = pages
        self._fetch = fetch
        self._seen: set[str] = set()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Sequence[Listed]:
        while (rows := self._fetch(self._pages)) is not None:
            page = []
            for row in rows:
                found = _listed(row, self._kind)
                name = found.guid or found.id or found.identity
                if name not in self._seen:
                    self._seen.add(name)
                    page.append(found)
            if page:
                return page
        raise StopIteration

    def close(self) -> None:
        """Leave the list where it is."""
        self._pages.close()


class _Ace:
    """One row of Get-MailboxPermission. Two that say the same are one: an answer may hold a row twice."""

    __slots__ = ("deny", "inherited", "key", "rights", "sid", "user")

    def __init__(self, row: Row) -> None:
        self.user = shown(row, "User").strip()
        self.sid = shown(row, "UserSid").strip()
        self.rights = tuple(sorted(several(row, "AccessRights")))
        self.deny = truth(row, "Deny") or False
        self.inherited = truth(row, "IsInherited") or False
        self.key = (self.user, self.sid, self.rights, self.deny, self.inherited)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Ace) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def _is_open(bearers: Bearers, ace: _Ace) -> bool:
    return bearers.judge(ace.user, ace.sid).kind in ("which-sid", "which-name")


def _held(box: Listed, aces: Iterable[_Ace], bearers: Bearers, named: dict[tuple[str, str], Bearer]) -> Held:
    """Applications and those whom nobody resolves are kept, people and what comes from above are counted."""
    grants: list[Grant] = []
    people = inherited = 0
    for ace in aces:
        bearer = bearers.judge(ace.user, ace.sid)
        if bearer.kind == "which-row":
            bearer = named.get((box.identity, ace.user.lower()), Bearer("somebody"))
        if bearer.kind == "self":
            continue
        if bearer.kind != "entry" and ace.inherited:
            inherited += 1
        elif bearer.kind == "somebody":
            people += 1
        else:
            grants += _grants(ace, bearer.entry)
    return Held(box, tuple(dict.fromkeys(grants)), people, inherited)


def _grants(ace: _Ace, entry: str) -> Iterator[Grant]:
    for name in ace.rights:
        right = _RIGHTS.get(name.lower(), "other")
        yield Grant(
            right, ace.user, entry=entry, sid=ace.sid, deny=ace.deny, inherited=ace.inherited,
            role=name if right == "other" else "",
        )  # fmt: skip


def _entry(row: Row) -> Entry:
    found = records.entry(row)
    return Entry(found.app_id, found.object_id, found.name, found.identity, found.forms)


def _listed(row: Row, kind: ListedKind) -> Listed:
    details = shown(row, "RecipientTypeDetails").lower()
    return Listed(
        id=MailboxId(shown(row, "ExternalDirectoryObjectId") or shown(row, "Guid")),
        address=Address(shown(row, "PrimarySmtpAddress")),
        name=shown(row, "DisplayName"),
        kind="soft-deleted" if kind == "soft-deleted" else records.KINDS.get(details, "other"),
        identity=shown(row, "Identity") or shown(row, "Guid"),
        login=shown(row, "UserPrincipalName"),
        on_behalf=tuple(sorted(several(row, "GrantSendOnBehalfTo"))),
        guid=shown(row, "Guid"),
    )


def _item(box: Listed) -> Item:
    """A soft-deleted mailbox is named by its GUID: its address, and in a restored account its id, may be another's."""
    gone = box.kind == "soft-deleted"
    names = (box.identity, box.guid) if gone else (box.identity, box.guid, box.id, box.address, box.login)
    anchor = "" if gone else box.login or box.address
    return Item(
        (box.guid if gone else box.id) or box.identity, frozenset(name.lower() for name in names if name), anchor
    )


def _can_be(entry: Entry, trustee: str) -> bool:
    text = trustee.lower()
    return text in entry.forms or text == entry.name.lower() or text.startswith("s-1-5-21-")


def _password_smtp(settings: Row, policies: Sequence[Row]) -> bool | None:
    """Whether the default authentication policy lets SMTP AUTH take passwords; without a policy it does."""
    name = shown(settings, "DefaultAuthenticationPolicy").strip().lower()
    if not name:
        return True
    for row in policies:
        if name in {shown(row, column).lower() for column in ("Name", "Identity", "Id", "Guid", "DistinguishedName")}:
            return truth(row, "AllowBasicAuthSmtp")
    return None


def _is_an_applications(row: Row) -> bool:
    if shown(row, "RoleAssigneeType").lower() == "serviceprincipal" or shown(row, "App"):
        return True
    return not shown(row, "RoleAssigneeType") and shown(row, "Role").lower().startswith("application ")


def _client_access(box: Listed, row: Row) -> ClientAccess:
    imap, pop = truth(row, "ImapEnabled"), truth(row, "PopEnabled")
    if imap is None or pop is None:
        raise CloudError(
            f"Get-CASMailbox does not show whether IMAP and POP are on for {box.address}",
            service=SERVICE, asked="Get-CASMailbox",
        )  # fmt: skip
    return ClientAccess(box.id, imap, pop, truth(row, "SmtpClientAuthenticationDisabled"))


def _number(row: Row, name: str) -> int:
    text = shown(row, name)
    return int(text) if text.isdecimal() else 0


def _event(row: Row) -> Event | None:
    """A row of the log: its substance is JSON in AuditData."""
    try:
        said = json.loads(shown(row, "AuditData"))
        at = datetime.fromisoformat(str(said["CreationTime"]).replace("Z", "+00:00"))
    except (ValueError, KeyError, TypeError):
        return None
    held = said.get("Parameters")
    given = {
        str(part.get("Name")): str(part.get("Value"))
        for part in (held if isinstance(held, list) else ())
        if isinstance(part, dict)
    }
    who = next((given[name] for name in ("User", "Trustee", "App", "AppId", "ObjectId") if given.get(name)), "")
    target = given.get("Identity") or str(said.get("ObjectId", ""))
    return Event(
        at=at if at.tzinfo else at.replace(tzinfo=UTC),
        who=str(said.get("UserId", "")),
        change=str(said.get("Operation", "")),
        subject=(who or target).lower(),
        log="exchange",
        detail=target,
    )


def _mends(answer: Answer) -> bool:
    """Whether asking once more can help."""
    if not isinstance(answer, tenant.Failed):
        return False
    return isinstance(answer.error, Throttled) or (isinstance(answer.error, Unreachable) and answer.error.transient)


def _wait(error: CloudError) -> float:
    """The longest wait that was asked for counts, and being throttled more than not being heard."""
    if isinstance(error, Throttled):
        return (error.after or 0.0) + 1.0
    return getattr(error, "after", None) or 0.0


def _error(answer: Answer, cmdlet: Cmdlet, box: Listed) -> CloudError:
    if isinstance(answer, tenant.Failed):
        return answer.error
    why = answer.why if isinstance(answer, tenant.Unknown) else "no row came back"
    return CloudError(
        f"{cmdlet.name} for {box.address}: nothing that is surely its own came back ({why})",
        service=SERVICE,
        asked=str(cmdlet),
    )
