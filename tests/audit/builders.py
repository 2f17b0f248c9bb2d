"""Tenants written by hand, for tests of an audit: a few words an application and a mailbox, and the rest is in order.

    desk = application("Desk", "IMAP.AccessAsApp")
    tenant(desk, mailbox("support@contoso.com", full=[desk]))

Ids are made of names, so that two tests mean the same application by the same name. Whatever stands in no argument gives
no finding: one certificate for half a year, an owner, a use yesterday, and a name that exosp gave.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from exosp.inventory import (
    MICROSOFT_GRAPH,
    AccessPolicy,
    Coverage,
    Credential,
    Entry,
    Grant,
    Inventory,
    LastUse,
    MailboxRecord,
    Organization,
    Owner,
    Principal,
    Registration,
    RoleGrant,
    ScopeGrant,
    Section,
)
from exosp.snapshot import (
    EXCHANGE_ONLINE,
    Address,
    AppId,
    ApplicationObjectId,
    ClaimedObjectId,
    ClientAccess,
    MailboxId,
    MailboxKind,
    ManagementRole,
    ManagementScope,
    PrincipalObjectId,
    ScopedBy,
)

AT = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
TENANT_ID = "11111111-2222-3333-4444-555555555555"
MICROSOFT = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"
LONG_AGO = AT - timedelta(days=400)
ALL_READ = frozenset(get_args(Section))
OFF = Organization(
    smtp_auth_disabled=True, password_smtp=False, security_defaults=True, enforce_app_rbac=False, dehydrated=False
)


def some_id(*of: str) -> str:
    """An id that these words always give."""
    text = "/".join(of).encode("utf-8", "backslashreplace").decode()
    return str(uuid.uuid5(uuid.NAMESPACE_URL, text))


def secret(key: str = "secret", *, days: int = 90, lasts: int = 180) -> Credential:
    """It ends in so many days, and was made to last so many."""
    ends = AT + timedelta(days=days)
    return Credential("secret", some_id("key", key), key, ends - timedelta(days=lasts), ends)


def certificate(key: str = "certificate", *, days: int = 90, lasts: int = 180) -> Credential:
    return replace(secret(key, days=days, lasts=lasts), kind="certificate")


def federated(key: str = "federated") -> Credential:
    return Credential("federated", some_id("key", key), key)


def owner(name: str = "ann@contoso.com", enabled: bool | None = True) -> Owner:
    return Owner(some_id("user", name), name, "user", enabled)


@dataclass(frozen=True)
class Application:
    """One application with all that belongs to it."""

    name: str
    app_id: AppId
    object_id: PrincipalObjectId
    registrations: tuple[Registration, ...] = ()
    principals: tuple[Principal, ...] = ()
    entries: tuple[Entry, ...] = ()
    role_grants: tuple[RoleGrant, ...] = ()
    scope_grants: tuple[ScopeGrant, ...] = ()
    roles: tuple[ManagementRole, ...] = ()
    access_policies: tuple[AccessPolicy, ...] = ()
    last_use: tuple[LastUse, ...] = ()

    @property
    def entry(self) -> str:
        """How grants name it: the identity of its first entry."""
        return self.entries[0].identity


def entry(name: str, app_id: str, object_id: str, identity: str = "") -> Entry:
    forms = frozenset({app_id.lower(), object_id.lower(), (identity or object_id).lower(), name.lower()})
    return Entry(AppId(app_id), ClaimedObjectId(object_id), name, identity or object_id, forms)


def application(
    name: str,
    *consents: str,  # values on Exchange Online
    graph: Sequence[str] = (),  # values on Microsoft Graph
    everyone: Sequence[str] = (),  # delegated, on Exchange Online
    graph_everyone: Sequence[str] = (),
    roles: Sequence[ManagementRole] = (),  # as ``role`` makes them, of nobody: they become this application's
    policies: Sequence[tuple[str, str]] = (),  # right, scope
    registered: bool = True,
    enterprise: bool = True,
    entered: bool = True,
    object_id: str = "",  # of the entry, where it is not the right one
    unique_name: str | None = None,
    used: datetime | None = AT - timedelta(days=1),
    consented: datetime | None = LONG_AGO,
    registration: dict[str, Any] | None = None,  # other fields of the registration
    principal: dict[str, Any] | None = None,
) -> Application:
    app_id, id_ = AppId(some_id("app", name)), PrincipalObjectId(some_id("principal", name))
    made = Registration(
        object_id=ApplicationObjectId(some_id("registration", name)),
        app_id=app_id,
        name=name,
        audience="AzureADMyOrg",
        unique_name="exosp-" + name.lower().replace(" ", "-") if unique_name is None else unique_name,
        credentials=(certificate(f"certificate of {name}"),),
        owners=(owner(),),
        created=LONG_AGO,
    )
    here = Principal(
        object_id=id_, app_id=app_id, name=name, home=TENANT_ID, owners=(owner(),), created=LONG_AGO
    )  # fmt: skip
    held = entry(name, app_id, object_id or id_)
    grants = [RoleGrant(id_, EXCHANGE_ONLINE, value, consented) for value in consents]
    grants += [RoleGrant(id_, MICROSOFT_GRAPH, value, consented) for value in graph]
    scopes = [(EXCHANGE_ONLINE, everyone), (MICROSOFT_GRAPH, graph_everyone)]
    return Application(
        name=name,
        app_id=app_id,
        object_id=id_,
        registrations=(replace(made, **(registration or {})),) if registered else (),
        principals=(replace(here, **(principal or {})),) if enterprise else (),
        entries=(held,) if entered else (),
        role_grants=tuple(grants),
        scope_grants=tuple(ScopeGrant(id_, on, frozenset(values)) for on, values in scopes if values),
        roles=tuple(replace(row, app=frozenset({app_id, id_, name.lower()})) for row in roles),
        access_policies=tuple(AccessPolicy(app_id, right, scope) for right, scope in policies),  # type: ignore[arg-type]
        last_use=(LastUse(app_id, as_application=used),) if used else (),
    )


def role(of: str, by: ScopedBy = "scope", scope: str = "Helpdesk", name: str = "") -> ManagementRole:
    """A management role's assignment, to hand to ``application``."""
    return ManagementRole(name or f"{of}-{scope or by}", of, frozenset(), by, "" if by == "organization" else scope)


def scope(name: str = "Helpdesk", of: str = "CustomAttribute1 -eq 'Helpdesk'") -> ManagementScope:
    return ManagementScope(name, of)


def switches(
    address: str, *, imap: bool = True, pop: bool = True, smtp_auth_disabled: bool | None = False
) -> ClientAccess:
    return ClientAccess(MailboxId(some_id("mailbox", address)), imap, pop, smtp_auth_disabled)


def mailbox(
    address: str,
    *,
    full: Iterable[Application] = (),
    send_as: Iterable[Application] = (),
    on_behalf: Iterable[Application] = (),
    inherited: Iterable[Application] = (),  # FullAccess from above
    denied: Iterable[Application] = (),  # FullAccess, Deny
    unresolved: Sequence[str] = (),  # trustees with FullAccess that nobody resolves
    grants: Sequence[Grant] = (),
    kind: MailboxKind = "user",
    imap: bool = True,
    pop: bool = True,
    smtp_auth_disabled: bool | None = False,
    **others: Any,
) -> MailboxRecord:
    rows = [
        *(Grant("FullAccess", app.object_id, app.entry) for app in full),
        *(Grant("SendAs", app.object_id, app.entry) for app in send_as),
        *(Grant("SendOnBehalf", app.object_id, app.entry) for app in on_behalf),
        *(Grant("FullAccess", app.object_id, app.entry, inherited=True) for app in inherited),
        *(Grant("FullAccess", app.object_id, app.entry, deny=True) for app in denied),
        *(Grant("FullAccess", trustee) for trustee in unresolved),
        *grants,
    ]
    return MailboxRecord(
        id=MailboxId(some_id("mailbox", address)),
        address=Address(address),
        name=address.partition("@")[0],
        kind=kind,
        login=address,
        grants=tuple(rows),
        access=switches(address, imap=imap, pop=pop, smtp_auth_disabled=smtp_auth_disabled),
        **others,
    )


_PARTS = tuple(part.name for part in fields(Application) if part.name not in ("name", "app_id", "object_id"))


def tenant(*things: Application | MailboxRecord | ManagementScope, **others: Any) -> Inventory:
    """An inventory of which all was read. ``others``: its other fields; those that are tuples are added to."""
    apps = [thing for thing in things if isinstance(thing, Application)]
    whole: dict[str, Any] = {name: tuple(row for app in apps for row in getattr(app, name)) for name in _PARTS}
    whole["mailboxes"] = tuple(thing for thing in things if isinstance(thing, MailboxRecord))
    whole["scopes"] = (scope(), *(thing for thing in things if isinstance(thing, ManagementScope)))
    for name, value in others.items():
        whole[name] = (*whole[name], *value) if name in whole else value
    plain = {"coverage": Coverage(read=ALL_READ), "organization": OFF, "operator": "auditor@contoso.com"} | whole
    return Inventory(**{"tenant": "contoso.onmicrosoft.com", "tenant_id": TENANT_ID, "at": AT} | plain)
