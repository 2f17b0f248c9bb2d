"""What stands where a write is about to change something, and whether what an earlier one made is there now. Pure."""

from typing import Any

from .. import opath
from ..snapshot import Snapshot
from ..steps.grants import trustee_forms
from ..writes import (
    AddMailboxPermission,
    AddRecipientPermission,
    AddSecret,
    AssignManagementRole,
    NewManagementScope,
    NewServicePrincipal,
    Ref,
    RemoveMailboxPermission,
    RemoveManagementRole,
    RemoveManagementScope,
    RemoveRecipientPermission,
    RemoveServicePrincipal,
    SetClientAccess,
    SetManagementScope,
    TagPrincipal,
    UpdateApplication,
    UpsertApplication,
    Write,
)
from .history import Item


def stands(item: Item, seen: Snapshot) -> bool | None:
    """Whether what a write makes is there now; None where the snapshot does not say."""
    write = item.write
    match write.get("write"):
        case "UpsertApplication" | "RestoreApplication":
            return seen.application is not None
        case "CreatePrincipal":
            return seen.principal is not None
        case "AssignRole":
            return any(row.role == write["role"] for row in seen.assignments)
        case "NewServicePrincipal":
            return any(e.object_id.lower() == str(write["object_id"]).lower() for e in seen.entries)
        case "AddMailboxPermission" | "AddRecipientPermission" as kind:
            held = _held(kind, write["mailbox"], write["trustee"], seen)
            return None if held is None else bool(held)
        case "RemoveMailboxPermission" | "RemoveRecipientPermission" as kind:
            held = _held(kind, write["mailbox"], write["trustee"], seen)
            return None if held is None else not held
        case "NewManagementScope" | "SetManagementScope" | "RemoveManagementScope" as kind:
            held_ = _scope_filter(write["name"], seen)
            if seen.rbac is None:
                return None
            if kind == "RemoveManagementScope":
                return held_ is None
            return held_ is not None and opath.same(held_, str(write["filter"]))
        case "AssignManagementRole" | "RemoveManagementRole" as kind:
            return None if seen.rbac is None else _role_held(write["name"], seen) == (kind == "AssignManagementRole")
        case "SetClientAccess":
            access = seen.client_access.get(write["mailbox"])
            wanted = {name: write[name] for name in SWITCHES if name in write}
            wanted |= {"smtp_auth_disabled": None} if write.get("smtp_auth_inherited") else {}
            return None if access is None else all(getattr(access, n) == value for n, value in wanted.items())
        case _:
            return None


def _scope_filter(name: str, seen: Snapshot) -> str | None:
    scopes = seen.rbac.scopes if seen.rbac is not None else ()
    return next((scope.filter for scope in scopes if scope.name.lower() == name.lower()), None)


def _role_held(name: str, seen: Snapshot) -> bool:
    return seen.rbac is not None and any(role.name.lower() == name.lower() for role in seen.rbac.roles)


SWITCHES = ("imap", "pop", "smtp_auth_disabled")


def _held(kind: str, mailbox: str, trustee: str, seen: Snapshot) -> list[str] | None:
    """The rights that a trustee has on a mailbox, None where the mailbox was not read."""
    if not any(getattr(box, "id", None) == mailbox for box in seen.mailboxes.values()):
        return None
    forms = forms_of(trustee, seen)
    if "Mailbox" in kind:
        rows = [r for r in seen.permissions if r.mailbox == mailbox and r.user in forms and not r.deny]
        return sorted({right for row in rows for right in row.rights})
    return ["SendAs"] * any(
        r.mailbox == mailbox and r.trustee in forms and not r.deny for r in seen.recipient_permissions
    )


def forms_of(trustee: str, seen: Snapshot) -> frozenset[str]:
    """Every text by which a row may name a trustee, lower case."""
    low = trustee.lower()
    ours = trustee_forms(seen)
    if low in ours:
        return ours
    for box in seen.mailboxes.values():
        if getattr(box, "id", "").lower() == low:
            return frozenset({low}) | getattr(box, "forms", frozenset()) | getattr(box, "addresses", frozenset())
    return frozenset({low})


def before(write: Write, seen: Snapshot) -> Any:
    """What stands where a write is about to change something, as plain data."""
    match write:
        case UpsertApplication() | UpdateApplication():
            app = seen.application
            client = (
                {} if write.redirects is None or app is None else {"redirects": [*app.redirects], "public": app.public}
            )
            return app and client | {
                "name": app.name,
                "audience": app.audience,
                "required": [
                    {"resourceAppId": r.resource, "access": [list(a) for a in r.access]} for r in app.required
                ],
            }
        case TagPrincipal():
            return seen.principal and {"tags": list(seen.principal.tags)}
        case AddSecret():
            return {"secrets": [s.key_id for s in seen.application.secrets] if seen.application else []}
        case NewServicePrincipal() | RemoveServicePrincipal():
            return {"entries": [{"identity": e.identity, "object_id": e.object_id} for e in seen.entries]}
        case (
            AddMailboxPermission(mailbox=mailbox, trustee=trustee)
            | RemoveMailboxPermission(mailbox=mailbox, trustee=trustee)
            | AddRecipientPermission(mailbox=mailbox, trustee=trustee)
            | RemoveRecipientPermission(mailbox=mailbox, trustee=trustee)
        ):
            who = trustee.known(seen) if isinstance(trustee, Ref) else trustee
            return {"rights": _held(type(write).__name__, mailbox, str(who), seen) or []}
        case NewManagementScope(name) | SetManagementScope(name) | RemoveManagementScope(name):
            return {"filter": _scope_filter(name, seen)}
        case AssignManagementRole(name) | RemoveManagementRole(name):
            return {"assigned": _role_held(name, seen)}
        case SetClientAccess(mailbox=mailbox):
            access = seen.client_access.get(mailbox)
            named = [name for name in SWITCHES if getattr(write, name) is not None]
            named += ["smtp_auth_disabled"] if write.smtp_auth_inherited else []
            return access and {name: getattr(access, name) for name in named}
        case _:
            return None
