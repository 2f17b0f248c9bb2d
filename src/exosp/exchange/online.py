"""Exchange Online's cmdlets as the tenant's Exchange port, on any remoting.

Every read is filtered here: a Get-* may answer an unknown identity with every row or with an error (the vendor's help
and field reports disagree), so no row is believed for its place. What stays unclear in a batch is read again one by
one. Nothing here waits, and no write is repeated. One thread at a time uses an ``Online``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from .. import tenant
from ..errors import CloudError, Conflict, Forbidden, Missing, NotYetVisible, Throttled, Unreachable
from ..snapshot import (
    Address,
    AppId,
    ClientAccess,
    ExchangeEntry,
    Group,
    Holdings,
    Mailbox,
    MailboxId,
    MailboxPermission,
    ManagementRole,
    ManagementScope,
    NoGroup,
    NoMailbox,
    Observed,
    RecipientPermission,
    Snapshot,
    Transport,
)
from ..writes import (
    AddMailboxPermission,
    AddRecipientPermission,
    AssignManagementRole,
    ExchangeWrite,
    NewManagementScope,
    NewServicePrincipal,
    Organizational,
    Ref,
    RemoveMailboxPermission,
    RemoveManagementRole,
    RemoveManagementScope,
    RemoveRecipientPermission,
    RemoveServicePrincipal,
    SetClientAccess,
    SetManagementScope,
    Trustee,
)
from .cmdlets import OURS, Answer, Cmdlet, Item, Remoting, Row, Rows
from .errors import SERVICE
from .joining import present, several, shown, truth
from .records import (
    client_access,
    entry,
    mailbox_or_not,
    management_role,
    management_scope,
    no_mailbox,
    permission,
    recipient_permission,
)
from .records import mailbox as as_mailbox
from .spreading import ALONE, Pieces, Spread
from .trustees import Pair, Trustees, one_trustee

_ALL = {"ResultSize": "Unlimited"}  # the default is 1,000 rows and a warning
_OFFERS = "Get-ExospCommand"  # of a constrained endpoint, whose functions are there whatever the caller's roles


class Online:
    """The Exchange port. ``pieces``: how the remoting takes many items. ``requests`` counts pipelines, or requests of a
    remoting that has none; connecting is the remoting's own affair."""

    def __init__(self, remoting: Remoting, pieces: Pieces = ALONE, commands: tuple[str, ...] = OURS) -> None:
        self._remoting = remoting
        self._commands = commands  # those that a session loads
        self._spread = Spread(remoting, pieces)
        self._trustees = Trustees()
        self._begun = _Begun()
        self.requests = 0

    def close(self) -> None:
        """Let go of the threads. Before the remoting is closed."""
        self._spread.close()

    # What the caller may do

    def commands(self) -> tuple[frozenset[str], frozenset[str] | None]:
        """The cmdlets that the caller's roles hold, and those that were asked about, None for all. A cmdlet that one may
        not run does not exist: the module's own file of them where the remoting has it, else what a session shows.
        Raises CloudError."""
        listed = getattr(self._remoting, "cmdlets", None)
        if listed is not None:
            self.requests += 1
            return frozenset(listed()), None
        # With a wildcard, since an exact name that is not there is an error.
        rows = self._rows(Cmdlet("Get-Command", {"Name": tuple(f"{name}*" for name in (*self._commands, _OFFERS))}))
        held = {shown(row, "Name").lower() for row in rows}
        if _OFFERS.lower() in held:
            held = {shown(row, "Name").lower() for row in self._rows(Cmdlet(_OFFERS))}
        return frozenset(name for name in self._commands if name.lower() in held), frozenset(self._commands)

    def is_dehydrated(self) -> bool:
        """Whether the organization refuses new roles and scopes. Raises CloudError."""
        rows = self._rows(Cmdlet("Get-OrganizationConfig"))
        return any(truth(row, "IsDehydrated") for row in rows)

    # Reads

    def entries(self, app_id: AppId | None = None) -> tuple[ExchangeEntry, ...]:
        """Service principals known to Exchange: one application's, or all."""
        if app_id is None:
            return tuple(entry(row) for row in self._rows(Cmdlet("Get-ServicePrincipal")))
        try:
            rows = self._rows(Cmdlet("Get-ServicePrincipal", {"Identity": app_id}))
        except (Missing, NotYetVisible):
            self._trustees.asked(app_id, ())
            return ()
        except Conflict:  # two entries claim it: both are wanted
            rows = self._rows(Cmdlet("Get-ServicePrincipal"))
        found = tuple(entry(row) for row in rows if shown(row, "AppId").lower() == app_id.lower())
        self._trustees.asked(app_id, found)
        return found

    def mailboxes(self, addresses: Sequence[Address]) -> dict[Address, Mailbox | NoMailbox]:
        """What each address is: a mailbox, or the reason why it is none. One pipeline where all are mailboxes."""
        found: dict[Address, Mailbox | NoMailbox] = {}
        absent: list[Address] = []
        for address, answer in self._by_address(Cmdlet("Get-Mailbox", _ALL, over="Identity"), addresses):
            seen = mailbox_or_not(address, answer)
            if seen is None:
                absent.append(address)
            else:
                found[address] = seen
        found |= self._why_not(absent)
        return {address: found[address] for address in addresses}

    def permissions(self, mailboxes: Sequence[Mailbox]) -> tuple[MailboxPermission, ...]:
        """Their rows. ``user`` is the object ID where a row names an application of ``entries`` in a form that could be
        another one's, and Exchange's own filter says that it is this one's."""
        cmdlet = Cmdlet("Get-MailboxPermission", _ALL, over="Identity")
        found = [permission(mailbox.id, row) for mailbox, rows in self._each(cmdlet, mailboxes) for row in rows]
        named = self._named(cmdlet, "User", mailboxes, [(row.mailbox, row.user) for row in found])
        return tuple(dict.fromkeys(replace(row, user=named[row.mailbox, row.user]) for row in found))

    def recipient_permissions(self, mailboxes: Sequence[Mailbox]) -> tuple[RecipientPermission, ...]:
        """Their SendAs rows; ``trustee`` as ``user`` above."""
        cmdlet = Cmdlet("Get-RecipientPermission", _ALL, over="Identity")
        found = [
            recipient_permission(mailbox.id, row)
            for mailbox, rows in self._each(cmdlet, mailboxes)
            for row in rows
            if "sendas" in {right.lower() for right in several(row, "AccessRights")}
        ]
        named = self._named(cmdlet, "Trustee", mailboxes, [(row.mailbox, row.trustee) for row in found])
        return tuple(dict.fromkeys(replace(row, trustee=named[row.mailbox, row.trustee]) for row in found))

    def holdings(self, entry: ExchangeEntry) -> Holdings:
        """What one entry may do anywhere. Where one mailbox cannot be read, nothing is known for sure."""
        try:
            return self._holdings(entry)
        except (Throttled, Unreachable):
            raise
        except CloudError as fault:
            return Holdings(unread=fault.what)

    def _holdings(self, entry: ExchangeEntry) -> Holdings:
        """Both cmdlets are asked with their own filter; an answer that names more than one trustee, or one that cannot
        be this entry, shows that the filter was not honoured, and is not believed."""
        boxes = [as_mailbox(row) for row in self._rows(Cmdlet("Get-Mailbox", _ALL))]
        boxes = [box for box in boxes if box.id and box.kind != "group"]
        cmdlet = Cmdlet("Get-MailboxPermission", {**_ALL, "User": entry.object_id}, over="Identity")
        rights = [permission(box.id, row) for box, rows in self._each(cmdlet, boxes) for row in rows]
        by_form = {form: box for box in boxes for form in box.forms}
        send_as = []
        for row in self._rows(Cmdlet("Get-RecipientPermission", {**_ALL, "Trustee": entry.object_id})):
            if "sendas" in {right.lower() for right in several(row, "AccessRights")}:
                box = by_form.get(shown(row, "Identity").lower())
                send_as.append(recipient_permission(box.id if box else MailboxId(shown(row, "Identity")), row))
        for named in ({row.user for row in rights}, {row.trustee for row in send_as}):
            if not one_trustee(entry, named):
                return Holdings(unread="Exchange answered with rows of others when asked for this entry's alone")
        mine = entry.object_id.lower()
        held = {row.mailbox for row in rights} | {row.mailbox for row in send_as}
        return Holdings(
            mailboxes=tuple(box for box in boxes if box.id in held),
            permissions=tuple(dict.fromkeys(replace(row, user=mine) for row in rights if not row.inherited)),
            recipient_permissions=tuple(dict.fromkeys(replace(row, trustee=mine) for row in send_as)),
        )

    def client_access(self, mailboxes: Sequence[Mailbox]) -> dict[MailboxId, ClientAccess]:
        cmdlet = Cmdlet("Get-CASMailbox", _ALL, over="Identity")
        found = {}
        for mailbox, rows in self._each(cmdlet, mailboxes):
            if not rows:
                raise Missing(f"Get-CASMailbox shows nothing for {mailbox.address}", service=SERVICE, asked=str(cmdlet))
            found[mailbox.id] = client_access(mailbox, rows[0])
        return found

    def transport(self) -> Transport:
        rows = self._rows(Cmdlet("Get-TransportConfig"))
        off = truth(rows[0], "SmtpClientAuthenticationDisabled") if rows else None
        if off is None:
            raise CloudError(
                "Get-TransportConfig does not show SmtpClientAuthenticationDisabled",
                service=SERVICE, asked="Get-TransportConfig",
                hint="its role View-Only Configuration shows it; Exchange Administrator has that",
            )  # fmt: skip
        return Transport(smtp_auth_disabled=off)

    # RBAC for Applications

    def management_roles(self, entries: Sequence[ExchangeEntry], name: str = "") -> tuple[ManagementRole, ...]:
        """One pipeline an entry; one more where no assignment of theirs bears the name. Rows are filtered here."""
        cmdlet = "Get-ManagementRoleAssignment"
        found = []
        for one in entries:
            rows = map(management_role, self._known_rows(Cmdlet(cmdlet, {"RoleAssignee": one.object_id})))
            found += [role for role in rows if role.of(one)]
        if name and not any(role.name.lower() == name.lower() for role in found):
            rows = map(management_role, self._known_rows(Cmdlet(cmdlet, {"Identity": name})))
            found += [role for role in rows if role.name.lower() == name.lower()]
        return tuple(dict.fromkeys(found))

    def management_scopes(self) -> tuple[ManagementScope, ...]:
        return tuple(management_scope(row) for row in self._known_rows(Cmdlet("Get-ManagementScope")))

    def _known_rows(self, cmdlet: Cmdlet) -> tuple[Row, ...]:
        """The rows; none where Exchange knows nothing of what was asked about."""
        try:
            return self._rows(cmdlet)
        except (Missing, NotYetVisible):
            return ()

    def group(self, address: Address) -> Group | NoGroup:
        """A distribution or security group, else one of Microsoft 365, by its address and by nothing else."""
        for name in ("Get-DistributionGroup", "Get-UnifiedGroup"):
            try:
                rows = self._known_rows(Cmdlet(name, {"Identity": address}))
            except Conflict as fault:
                return NoGroup(address, "ambiguous", fault.what)
            texts_ = ((row, {a.lower() for a in several(row, "EmailAddresses")}) for row in rows)
            wanted = {f"smtp:{address.lower()}", address.lower()}
            mine = [
                r for r, held in texts_ if shown(r, "PrimarySmtpAddress").lower() == address.lower() or held & wanted
            ]
            named = {shown(row, "DistinguishedName") for row in mine}
            if len(named) > 1:
                return NoGroup(address, "ambiguous", f"{len(named)} groups answer to it")
            if named == {""}:
                return NoGroup(address, "unreadable", "its row shows no DistinguishedName")
            if named:
                return Group(address, named.pop())
        return NoGroup(address, "absent")

    def dehydrated(self) -> bool:
        rows = self._rows(Cmdlet("Get-OrganizationConfig"))
        return bool(rows and truth(rows[0], "IsDehydrated"))

    def in_scope(self, entry: ExchangeEntry, role: str, mailboxes: Sequence[Mailbox]) -> dict[MailboxId, bool]:
        """Test-ServicePrincipalAuthorization. Its rows name no mailbox, so each mailbox is asked about alone, several at
        once."""
        cmdlet = Cmdlet("Test-ServicePrincipalAuthorization", {"Identity": entry.object_id}, over="Resource")
        answers = self._ask(cmdlet, [Item(mailbox.id, frozenset()) for mailbox in mailboxes])
        found = {}
        for mailbox, answer in zip(mailboxes, answers, strict=True):
            if isinstance(answer, tenant.Failed) and isinstance(answer.error, Missing | NotYetVisible | Conflict):
                continue
            rows = _rows(answer, cmdlet, mailbox.address)
            said = [truth(row, "InScope") for row in rows if shown(row, "RoleName").lower() == role.lower()]
            if None not in said:
                found[mailbox.id] = any(said)
        return found

    # Writes

    def send(
        self, writes: Sequence[ExchangeWrite], seen: Snapshot
    ) -> Iterator[tuple[ExchangeWrite, tenant.Done | tenant.Failed | tenant.Unknown]]:
        """Send writes in as few pipelines as their parameters allow, one answer each, as they come.

        Raises Throttled or Unreachable only where nothing was sent at all. Later on, what was not sent is Unknown."""
        answered = False
        known = _known(seen)
        for cmdlet, group in _grouped(writes, seen):
            items = [_item(write, known) for write in group] if cmdlet.over else []
            answers = self._run(cmdlet, items)
            if not answered:
                _raise_if_nothing_was_sent(answers)
            for write, answer in zip(group, answers, strict=True):
                answered = True
                yield write, _done(write, answer, seen)

    # Running

    def _run(self, cmdlet: Cmdlet, items: Sequence[Item] = (), *, alone: bool = False) -> list[Answer]:
        self._begun = _Begun()
        before = self._spread.requests
        try:
            return self._spread.run(cmdlet, items, alone=alone)
        finally:
            self.requests += self._spread.requests - before

    def _rows(self, cmdlet: Cmdlet) -> tuple[Row, ...]:
        """All rows of a cmdlet without input. Raises its CloudError."""
        return _rows(self._run(cmdlet)[0], cmdlet)

    def _ask(self, cmdlet: Cmdlet, items: Sequence[Item]) -> list[Answer]:
        """One answer an item. What is unclear within a batch is asked once more, alone. Where some were refused for now and the
        caller asks the same again at once, the others' answers stand: with many pieces, one of them would always be unlucky."""
        if not items:
            return []
        whole = f"{cmdlet} {[item.send for item in items]}"
        found = dict(self._begun.answers) if self._begun.whole == whole else {}
        todo = [n for n in range(len(items)) if n not in found]
        found |= zip(todo, self._run(cmdlet, [items[n] for n in todo]), strict=True)
        unclear = [n for n in todo if isinstance(found[n], tenant.Unknown)]
        if unclear and len(items) > 1:
            found |= zip(unclear, self._run(cmdlet, [items[n] for n in unclear], alone=True), strict=True)
        settled = {n: answer for n, answer in found.items() if not _may_be_asked_again(answer)}
        if len(settled) < len(items):
            self._begun = _Begun(whole, settled)
        return [found[n] for n in range(len(items))]

    def _each(self, cmdlet: Cmdlet, mailboxes: Sequence[Mailbox]) -> Iterator[tuple[Mailbox, tuple[Row, ...]]]:
        """The rows of each mailbox. Raises the first CloudError, naming the mailbox where it is one's own."""
        answers = self._ask(cmdlet, [_as_item(mailbox) for mailbox in mailboxes])
        for mailbox, answer in zip(mailboxes, answers, strict=True):
            yield mailbox, _rows(answer, cmdlet, mailbox.address)

    def _named(
        self, cmdlet: Cmdlet, column: str, mailboxes: Sequence[Mailbox], pairs: Sequence[Pair]
    ) -> dict[Pair, str]:
        """Whom each row names. One more pipeline for each application that an unclear row might name."""
        for question in self._trustees.questions(pairs):
            boxes = [mailbox for mailbox in mailboxes if mailbox.id in question.mailboxes]
            filtered = Cmdlet(cmdlet.name, {**cmdlet.parameters, column: question.object_id}, over=cmdlet.over)
            for mailbox, answer in zip(boxes, self._ask(filtered, list(map(_as_item, boxes))), strict=True):
                if isinstance(answer, Rows):
                    users = {shown(row, column).strip().lower() for row in answer.rows}
                    self._trustees.answered(question, mailbox.id, users)
        return {pair: self._trustees.name(pair) for pair in pairs}

    def _by_address(self, cmdlet: Cmdlet, addresses: Iterable[Address]) -> Iterator[tuple[Address, Answer]]:
        """One answer an address. Raises what concerns every address, such as a missing role or no connection."""
        asked = list(dict.fromkeys(addresses))
        answers = self._ask(cmdlet, [Item(address, frozenset({address.lower()})) for address in asked])
        for address, answer in zip(asked, answers, strict=True):
            if isinstance(answer, tenant.Failed) and isinstance(answer.error, Forbidden | Throttled | Unreachable):
                raise answer.error
            yield address, answer

    def _why_not(self, absent: Sequence[Address]) -> dict[Address, NoMailbox]:
        """Why addresses that Get-Mailbox does not know are no mailboxes. Three more pipelines at most a hundred."""
        reasons: dict[Address, NoMailbox] = {}
        for cmdlet in (
            Cmdlet("Get-Recipient", _ALL, over="Identity"),
            Cmdlet("Get-Mailbox", {**_ALL, "SoftDeletedMailbox": True}, over="Identity"),
            Cmdlet("Get-Mailbox", {**_ALL, "GroupMailbox": True}, over="Identity"),
        ):
            rest = [address for address in absent if address not in reasons]
            if not rest:
                break
            for address, answer in self._by_address(cmdlet, rest):
                reason = no_mailbox(address, cmdlet, answer)
                if reason is not None:
                    reasons[address] = reason
        return {address: reasons.get(address, NoMailbox(address, "absent")) for address in absent}


@dataclass(frozen=True)
class _Begun:
    """What the read before this one has answered already. Any other read or write ends it."""

    whole: str = ""
    answers: Mapping[int, Answer] = field(default_factory=dict)


def _may_be_asked_again(answer: Answer) -> bool:
    if isinstance(answer, tenant.Failed):
        return isinstance(answer.error, Throttled | Unreachable | NotYetVisible)
    return isinstance(answer, tenant.Unknown)


def _rows(answer: Answer, cmdlet: Cmdlet, whose: str = "") -> tuple[Row, ...]:
    match answer:
        case Rows(rows):
            return rows
        case tenant.Failed(error):
            raise error
        case tenant.Unknown(why):
            name = f" for {whose}" if whose else ""
            raise CloudError(
                f"{cmdlet.name}{name}: nothing that is surely its own came back ({why})",
                service=SERVICE, asked=str(cmdlet), hint="run the command again",
            )  # fmt: skip
        case _:
            assert_never(answer)


# Writes into cmdlets


def _cmdlet(write: ExchangeWrite, seen: Snapshot) -> Cmdlet:
    """One write's cmdlet, without the mailbox: equal ones share a pipeline. New-ServicePrincipal takes no input."""
    match write:
        case NewServicePrincipal(app_id, object_id, name):
            parameters: dict[str, object] = {
                "AppId": app_id.value(seen), "ObjectId": object_id.value(seen), "DisplayName": name,
            }  # fmt: skip
            return Cmdlet("New-ServicePrincipal", parameters)
        case RemoveServicePrincipal(identity):
            return Cmdlet("Remove-ServicePrincipal", {"Identity": identity, "Confirm": False})
        case AddMailboxPermission(trustee=trustee, rights=rights):
            parameters = {"User": _who(trustee, seen), "AccessRights": rights, "AutoMapping": False}
            return Cmdlet("Add-MailboxPermission", parameters, over="Identity")
        case RemoveMailboxPermission(trustee=trustee, rights=rights):
            parameters = {"User": _who(trustee, seen), "AccessRights": rights, "Confirm": False}
            return Cmdlet("Remove-MailboxPermission", parameters, over="Identity")
        case AddRecipientPermission(trustee=trustee) | RemoveRecipientPermission(trustee=trustee):
            # Without -Confirm:$false it stops to ask (vendor's help).
            parameters = {"Trustee": _who(trustee, seen), "AccessRights": ("SendAs",), "Confirm": False}
            name = "Add" if isinstance(write, AddRecipientPermission) else "Remove"
            return Cmdlet(f"{name}-RecipientPermission", parameters, over="Identity")
        case SetClientAccess(imap=imap, pop=pop, smtp_auth_disabled=smtp, smtp_auth_inherited=inherited):
            switches = {"ImapEnabled": imap, "PopEnabled": pop, "SmtpClientAuthenticationDisabled": smtp}
            parameters = {name: value for name, value in switches.items() if value is not None}
            if inherited:
                parameters["SmtpClientAuthenticationDisabled"] = None
            return Cmdlet("Set-CASMailbox", parameters, over="Identity")
        case NewManagementScope(name, text):
            return Cmdlet("New-ManagementScope", {"Name": name, "RecipientRestrictionFilter": text})
        case SetManagementScope(name, text):
            return Cmdlet("Set-ManagementScope", {"Identity": name, "RecipientRestrictionFilter": text})
        case RemoveManagementScope(name):
            return Cmdlet("Remove-ManagementScope", {"Identity": name, "Confirm": False})
        case AssignManagementRole(name, role, app, scope, unit):
            parameters = {"Name": name, "Role": role, "App": app.value(seen)}
            parameters |= {"CustomResourceScope": scope} if scope else {"RecipientAdministrativeUnitScope": unit}
            return Cmdlet("New-ManagementRoleAssignment", parameters)
        case RemoveManagementRole(name):
            return Cmdlet("Remove-ManagementRoleAssignment", {"Identity": name, "Confirm": False})
        case _:
            assert_never(write)


def _who(trustee: Trustee, seen: Snapshot) -> str:
    return trustee.value(seen) if isinstance(trustee, Ref) else trustee


def _grouped(writes: Sequence[ExchangeWrite], seen: Snapshot) -> Iterator[tuple[Cmdlet, list[ExchangeWrite]]]:
    """Writes by what they have in common, in their order; those that take no input stand alone."""
    groups: dict[str, tuple[Cmdlet, list[ExchangeWrite]]] = {}
    for number, write in enumerate(writes):
        cmdlet = _cmdlet(write, seen)
        key = str(cmdlet) if cmdlet.over else f"{number}"
        groups.setdefault(key, (cmdlet, []))[1].append(write)
    yield from groups.values()


def _known(seen: Snapshot) -> dict[MailboxId, Mailbox]:
    """Every mailbox that was read, by its id."""
    held = [box for holdings in seen.holdings.values() for box in holdings.mailboxes]
    return {box.id: box for box in (*held, *seen.mailboxes.values()) if isinstance(box, Mailbox)}


def _item(write: ExchangeWrite, known: dict[MailboxId, Mailbox]) -> Item:
    assert not isinstance(write, Organizational)
    if write.mailbox in known:
        return _as_item(known[write.mailbox])
    return Item(write.mailbox, frozenset({write.mailbox.lower(), write.address.lower()}), write.address)


def _as_item(mailbox: Mailbox) -> Item:
    return Item(mailbox.id, mailbox.forms | mailbox.addresses, mailbox.upn or mailbox.address)


def _raise_if_nothing_was_sent(answers: Sequence[Answer]) -> None:
    """Several pieces of one cmdlet may each have an error of its own. The longest wait that was asked for counts."""
    errors = [answer.error for answer in answers if isinstance(answer, tenant.Failed)]
    unsent = [e for e in errors if isinstance(e, Throttled) or (isinstance(e, Unreachable) and not e.may_have_happened)]
    if len(unsent) == len(answers):
        raise max(unsent, key=lambda error: error.after or 0.0)


_SHOWS_NOTHING = (
    SetClientAccess, RemoveServicePrincipal, RemoveMailboxPermission, RemoveRecipientPermission, SetManagementScope,
    RemoveManagementScope, RemoveManagementRole,
)  # fmt: skip
_GOING = (RemoveServicePrincipal, RemoveManagementScope, RemoveManagementRole)


def _done(write: ExchangeWrite, answer: Answer, seen: Snapshot) -> tenant.Done | tenant.Failed | tenant.Unknown:
    match answer:
        case tenant.Failed(Unreachable() as error):
            return tenant.Unknown(error.what)
        case tenant.Failed(Missing()) if isinstance(write, _GOING):
            return tenant.Done()  # gone already
        case tenant.Failed() | tenant.Unknown():
            return answer
        case Rows(rows, warnings):
            if isinstance(write, _SHOWS_NOTHING):
                return tenant.Done()  # a warning that an entry is not there says the same
            if rows:
                return tenant.Done(_made(write, rows[0], seen))
            if any(present(warning) for warning in warnings):
                return tenant.Done()
            return tenant.Unknown("neither a row nor a warning came back")
        case _:
            assert_never(answer)


def _made(write: ExchangeWrite, row: Row, seen: Snapshot) -> Observed | None:
    """What a reply's row shows of a write; a grant's is its trustee's, however the row names that one."""
    match write:
        case NewServicePrincipal():
            return entry(row)
        case AddMailboxPermission(trustee=trustee):
            return replace(permission(write.mailbox, row), user=_who(trustee, seen).lower())
        case AddRecipientPermission(trustee=trustee):
            return replace(recipient_permission(write.mailbox, row), trustee=_who(trustee, seen).lower())
        case _:
            return None
