"""Which application can open, or send as, which mailbox, and by which route. Pure: an inventory in, routes out.

A route is a whole chain: consent, entry, grant, switches. One that lacks a link is a route all the same, and says what it
lacks: that is how near it is to being open.

- IMAP, POP and SMTP by a mailbox permission: consent to the protocol's permission, an entry in Exchange with the enterprise
  application's object ID, FullAccess for that entry, the protocol on. Where an application has consent to none of them, its
  FullAccess shows at all three doors; where it has FullAccess nowhere, its consent shows once.
- SMTP by a management role: the entry, the role, and no consent to SMTP.SendAsApp, which would bring back the check of mailbox
  permissions (learn.microsoft.com/exchange/client-developer/legacy-protocols/smtp-app-rbac-onboarding).
- Graph and EWS by an application permission, which access policies narrow, and by management roles, which they do not: the
  two add up (learn.microsoft.com/exchange/permissions-exo/application-rbac).
- SendAs and send on behalf: a name to send under, for who can submit by SMTP at all.
- What was not read is no link that is missing: it is said to be unread, and the route is not open.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from .apps import App, Apps, Holding, apps
from .inventory import MICROSOFT_GRAPH, Grant, Inventory, MailboxRecord
from .permissions import DELEGATED, GRANTS_ITSELF, MANAGES_EXCHANGE, PROTOCOLS, ROLES, SCOPES, TENANT_WIDE
from .snapshot import EXCHANGE_ONLINE, AppId, ManagementRole, Protocol

Door = Literal["imap", "pop", "smtp", "graph", "ews", "exchange-admin"]
By = Literal[
    "mailbox permission", "recipient permission", "folder permission", "send on behalf", "management role",
    "application permission", "delegated permission",
]  # fmt: skip

_CONSENT = {protocol: value for value, protocol in PROTOCOLS.items()}
_DOORS: tuple[Protocol, ...] = ("imap", "pop", "smtp")
_ORDER = {door: place for place, door in enumerate(get_args(Door))}
_CLOSED_KINDS = {
    "soft-deleted": "a mailbox that is not deleted",
    "group": "a mailbox that a login can open: this is a group's",
    "mail-user": "a mailbox in Exchange Online: this one is elsewhere",
}
_ENTRY = "an entry in Exchange with the enterprise application's object ID"
_NOT_DENIED = "no Deny in its way"
_LOGIN = "a mailbox through which it can submit by SMTP"
_UNKNOWN = "a trustee that somebody resolves"


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
    """Every route of every application, each once, ordered by application and mailbox. Unresolved trustees come last."""
    known = apps(inventory)
    for app in known:
        yield from sorted(set(_One(inventory, app).routes()), key=_place)  # two assignments of one role are one route
    yield from sorted(set(_unresolved(known)), key=_place)


def _place(route: Route) -> tuple[str, str, int, str, str, str, str, tuple[str, ...]]:
    door = _ORDER[route.door]
    return (route.holder if not route.app_id else "", route.mailbox.lower(), door, route.can, route.by, route.of, route.scope, route.lacks)  # fmt: skip


class _One:
    """The routes of one application."""

    def __init__(self, inventory: Inventory, app: App) -> None:
        self._inventory, self._app = inventory, app
        self._present = tuple(self._presence())
        self._scopes = {scope.name.lower() for scope in inventory.scopes}

    def routes(self) -> Iterator[Route]:
        logins = list(self._by_mailbox_permission())
        roles = list(self._by_role())
        yield from logins
        yield from roles
        yield from self._by_administration()
        yield from self._by_name(any(route.door == "smtp" and route.is_open for route in (*logins, *roles)))
        yield from self._by_folder()
        yield from self._by_application_permission()
        yield from self._delegated()

    # The links

    def _presence(self) -> Iterator[str]:
        """Without these no token of it is issued here."""
        principal = self._app.principal
        if principal is None:
            unread = not self._inventory.has("enterprise-applications")
            yield "its enterprise application, which was not read" if unread else "an enterprise application"
        elif not principal.enabled:
            yield "leave to sign in: its enterprise application is disabled"

    def _consent(self, value: str) -> Iterator[str]:
        if value not in self._app.of(EXCHANGE_ONLINE):
            unread = "" if self._inventory.has("role-grants") else ", which was not read"
            yield f"consent to {value}{unread}"

    def _entry(self, object_id: str) -> Iterator[str]:
        principal = self._app.principal
        if principal is not None and object_id.lower() != principal.object_id.lower():
            yield _ENTRY

    def _entered(self) -> Iterator[str]:
        """For what is granted to the application and not to one entry of it."""
        principal = self._app.principal
        if principal is not None and not any(
            entry.object_id.lower() == principal.object_id.lower() for entry in self._app.entries
        ):
            unread = not self._inventory.has("entries")
            yield "its entry in Exchange, which was not read" if unread else _ENTRY

    def _assigned(self, role: ManagementRole) -> Iterator[str]:
        """What an assignment of a management role needs beside itself."""
        yield from self._present
        yield from self._entered()
        known = self._inventory.has("management-scopes")
        if role.by == "scope" and known and role.scope.lower() not in self._scopes:
            yield f"the management scope {role.scope}, which is not there"

    def _switch(self, mailbox: MailboxRecord, door: Protocol) -> str:
        """What is off there; "" where it is on, or was not read."""
        access = mailbox.access
        if access is None:
            return ""
        if door == "smtp":
            off = access.smtp_auth_disabled
            off = self._inventory.organization.smtp_auth_disabled if off is None else off
            return "SMTP AUTH on" if off else ""
        return "" if (access.imap if door == "imap" else access.pop) else f"{door.upper()} on"

    # The doors

    def _by_mailbox_permission(self) -> Iterator[Route]:
        app = self._app
        doors = [door for door in _DOORS if door in app.protocols]
        held = [held for held in app.holdings if held.grant.right == "FullAccess"]
        for mailbox, rows in _by_mailbox(held):
            for door in doors or _DOORS:
                yield self._login(mailbox, rows, door)
        if not held:
            for door in doors:
                if door == "smtp" and app.smtp_roles:
                    continue  # that one's route says what is wrong
                lacks = (*self._present, *self._entered(), "FullAccess on a mailbox")
                yield self._route(
                    "", door, "send" if door == "smtp" else "open", "mailbox permission", "FullAccess", lacks
                )

    def _login(self, mailbox: MailboxRecord, rows: Sequence[Holding], door: Protocol) -> Route:
        common = [*self._present, *self._consent(_CONSENT[door])]
        if mailbox.kind in _CLOSED_KINDS:
            common.append(_CLOSED_KINDS[mailbox.kind])
        off = self._switch(mailbox, door)
        switch = [off] if off else []
        ways = ((*common, *self._grant(row), *switch) for row in rows)  # of two entries the nearer one counts
        can: Literal["send", "open"] = "send" if door == "smtp" else "open"
        return self._route(
            mailbox.address, door, can, "mailbox permission", "FullAccess", min(ways, key=len), off=bool(off)
        )

    def _grant(self, row: Holding) -> Iterator[str]:
        yield from self._entry(row.entry.object_id)
        if row.denied:
            yield _NOT_DENIED

    def _by_role(self) -> Iterator[Route]:
        for role in self._app.application_roles:
            reaches = next((ROLES[name] for name in ROLES if name.lower() == role.role.lower()), ())
            for door, can in reaches:
                lacks = list(self._assigned(role))
                scope = _scope(role)
                if door == "smtp":
                    if "smtp" in self._app.protocols:
                        lacks.append("a token without SMTP.SendAsApp: its consent asks for a mailbox permission again")
                    if self._inventory.organization.smtp_auth_disabled:
                        scope = f"{scope or 'every mailbox'}, where SMTP AUTH is on for the mailbox itself"
                yield self._route("", door, can, "management role", role.role, tuple(lacks), scope)

    def _by_administration(self) -> Iterator[Route]:
        """An administrator's management role that is assigned to the application itself, and works with consent alone."""
        for role in self._app.roles:
            name = role.role.lower()
            if role in self._app.application_roles or name.startswith("view-only"):
                continue
            lacks = list(self._assigned(role))
            if not self._app.of(EXCHANGE_ONLINE) & MANAGES_EXCHANGE:
                lacks += self._consent("Exchange.ManageAsApp")
            yield self._route("", "exchange-admin", "manage", "management role", role.role, tuple(lacks), _scope(role))

    def _by_name(self, submits: bool) -> Iterator[Route]:
        """SendAs and send on behalf."""
        app = self._app
        for right, by in (("SendAs", "recipient permission"), ("SendOnBehalf", "send on behalf")):
            held = [held for held in app.holdings if held.grant.right == right]
            for mailbox, rows in _by_mailbox(held):
                common = [*self._present]
                if not app.smtp_roles:
                    common += self._consent("SMTP.SendAsApp")
                if not submits:
                    common.append(_LOGIN)
                if mailbox.kind == "soft-deleted":
                    common.append(_CLOSED_KINDS["soft-deleted"])
                lacks = min(((*common, *self._grant(row)) for row in rows), key=len)
                yield self._route(mailbox.address, "smtp", "send", by, right, lacks)  # type: ignore[arg-type]

    def _by_folder(self) -> Iterator[Route]:
        """No login of an application is known to open a folder on its permission alone."""
        for held in self._app.holdings:
            grant = held.grant
            if grant.right == "Folder":
                of = f"{grant.role or 'a permission'} on {grant.folder or 'a folder'}"
                lacks = (*self._present, *self._grant(held), "FullAccess, or a permission that reaches the mailbox")
                yield self._route(held.mailbox.address, "ews", "read", "folder permission", of, lacks)

    def _by_application_permission(self) -> Iterator[Route]:
        app = self._app
        scope = _narrowed(app)
        for resource, table in TENANT_WIDE.items():
            for value in sorted(app.of(resource) & set(table)):
                for can in table[value]:
                    door: Door = "graph" if resource == MICROSOFT_GRAPH else "ews"
                    yield self._route("", door, can, "application permission", value, self._present, scope)
        for value in sorted(app.of(EXCHANGE_ONLINE) & MANAGES_EXCHANGE):
            yield self._route(
                "", "exchange-admin", "manage", "application permission", value, self._present,
                "where its role in Exchange reaches",
            )  # fmt: skip
        for value in sorted(app.of(MICROSOFT_GRAPH) & GRANTS_ITSELF):
            lacks = (*self._present, "one more step, which it can take itself")
            yield self._route("", "graph", "manage", "application permission", value, lacks)

    def _delegated(self) -> Iterator[Route]:
        for row in self._app.delegated:
            resource = AppId(row.resource.lower())
            for value in sorted(row.everyone & DELEGATED.get(resource, frozenset())):
                door, can = SCOPES.get(value, ("", "read"))
                scope = "what the person who is signed in can open"
                yield self._route(
                    "", door or ("graph" if resource == MICROSOFT_GRAPH else "ews"), can, "delegated permission", value,
                    self._present, scope,
                )  # fmt: skip

    def _route(
        self,
        mailbox: str,
        door: Door,
        can: Literal["open", "read", "send", "manage"],
        by: By,
        of: str,
        lacks: tuple[str, ...],
        scope: str = "",
        *,
        off: bool = False,
    ) -> Route:
        return Route(self._app.id, self._app.name, mailbox, door, can, by, of, scope, lacks, off)


def _by_mailbox(held: Sequence[Holding]) -> Iterator[tuple[MailboxRecord, list[Holding]]]:
    found: dict[str, tuple[MailboxRecord, list[Holding]]] = {}
    for row in held:
        found.setdefault(row.mailbox.id, (row.mailbox, []))[1].append(row)
    return iter(found.values())


def _narrowed(app: App) -> str:
    """What access policies leave of every mailbox."""
    only = [policy.scope for policy in app.policies if policy.right == "restrict"]
    never = [policy.scope for policy in app.policies if policy.right == "deny"]
    said = " or ".join(only)
    if never:
        said = f"{said or 'every mailbox'}, but not {' or '.join(never)}"
    return said


def _scope(role: ManagementRole) -> str:
    """What a management role reaches, "" for all."""
    match role.by:
        case "organization":
            return ""
        case "scope":
            return f"management scope {role.scope}"
        case "unit":
            return f"administrative unit {role.scope}"
        case "group":
            return f"group {role.scope}"
        case "other":
            return role.scope or "a scope of another kind"


def _unresolved(known: Apps) -> Iterator[Route]:
    for trustee, rows in known.unresolved.items():
        for mailbox, grant in rows:
            found = _claimed(grant)
            if found is not None:
                door, can, by, of = found
                yield Route(AppId(""), trustee, mailbox.address, door, can, by, of, lacks=(_UNKNOWN,))


def _claimed(grant: Grant) -> tuple[Door, Literal["open", "read", "send"], By, str] | None:
    """The door that a grant would be for."""
    match grant.right:
        case "FullAccess":
            return "imap", "open", "mailbox permission", "FullAccess"
        case "SendAs":
            return "smtp", "send", "recipient permission", "SendAs"
        case "SendOnBehalf":
            return "smtp", "send", "send on behalf", "SendOnBehalf"
        case "Folder":
            return "ews", "read", "folder permission", f"{grant.role or 'a permission'} on {grant.folder or 'a folder'}"
        case _:
            return None
