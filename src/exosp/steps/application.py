"""The registration: found by its uniqueName or adopted by its appId, asking for the permissions that the protocols need:
roles, or where people sign in delegated permissions, and then a public client with a redirect URI.

What makes it ours is the uniqueName ``exosp-<key>``, or that the playbook names its appId; a display name identifies
nothing. requiredResourceAccess gains our entries and keeps every other one. A deleted application keeps its uniqueName,
so it is restored from the recycle bin and never made a second time. What was adopted keeps all else that it is.
Source: learn.microsoft.com/graph/api/application-upsert, directory-deleteditems-restore; of delegated access the vendor's
page on OAuth for IMAP, POP and SMTP, and learn.microsoft.com/entra/identity-platform/reply-url (http://localhost, any port).
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..errors import Forbidden
from ..plan import Change, Drift, Refusal
from ..playbook import Playbook
from ..snapshot import EXCHANGE_ONLINE, Application, RequiredResource, RoleId, ScopeId, Snapshot
from ..tenant import Tenant
from ..writes import RestoreApplication, UpdateApplication, UpsertApplication

AUDIENCE = "AzureADMyOrg"  # single tenant
SEVERAL = "AzureADMultipleOrgs"  # multi-tenant
PREFIX = "exosp-"  # of every uniqueName that a playbook's key makes

ROLE_OF = {"imap": "IMAP.AccessAsApp", "pop": "POP.AccessAsApp", "smtp": "SMTP.SendAsApp"}
SCOPE_OF = {"imap": "IMAP.AccessAsUser.All", "pop": "POP.AccessAsUser.All", "smtp": "SMTP.Send"}
REDIRECT = "http://localhost"  # for system browsers; the port is the sign-in's own
_TYPE = {"application": "Role", "delegated": "Scope"}  # as requiredResourceAccess calls them
CONSENT = "each person, at the first sign-in; where the tenant leaves that to administrators, one of them for all"


def observe(want: Playbook, tenant: Tenant, seen: Snapshot) -> Snapshot:
    directory, app = tenant.directory, want.app
    seen = replace(seen, resource=directory.resource(EXCHANGE_ONLINE))
    if app.managed_identity is not None or app.registered_in:
        return seen
    found = directory.application_by_app_id(app.id) if app.id else directory.application(app.unique_name)
    if found is not None:
        return replace(seen, application=found, deleted=())
    try:
        deleted = directory.deleted(app_id=app.id) if app.id else directory.deleted(unique_name=app.unique_name)
    except Forbidden:  # it needs Application.Read.All; creating then meets what lies there, and says so
        deleted = ()
    return replace(seen, application=None, deleted=deleted)


def called(want: Playbook, seen: Snapshot) -> str:
    """The application's name for people."""
    held = seen.registration
    identity = seen.principal.name if seen.managed and seen.principal else ""
    return want.app.name or (held.name if held else identity) or want.app.key


def _several(want: Playbook) -> bool:
    return want.app.audience == "multi-tenant"


def audience(want: Playbook) -> str:
    """signInAudience."""
    return SEVERAL if _several(want) else AUDIENCE


def unavailable(want: Playbook, seen: Snapshot) -> bool:
    """Whether the playbook adopts an application that cannot be had; then nothing can be built on it."""
    if want.app.managed_identity is not None or want.app.registered_in:
        return not seen.managed
    return want.app.id is not None and seen.registration is None


def foreign(want: Playbook, seen: Snapshot) -> str:
    """Why the application that the playbook adopts is not its own to change; empty where nothing says so. ``plan`` does
    not refuse for it: that is a guard's, which a flag lifts."""
    app = seen.registration
    if want.app.id is None or app is None or not app.unique_name.startswith(PREFIX):
        return ""
    if app.unique_name == want.app.unique_name:
        return ""
    return f"the application {app.name!r} bears the unique name {app.unique_name}, so another playbook of exosp made it"


def plan(want: Playbook, seen: Snapshot) -> Iterator[Change | Refusal | Drift]:
    if seen.resource is None:
        yield Refusal(
            "application",
            "Office 365 Exchange Online",
            "this tenant has no enterprise application of Exchange Online, so there is no permission to ask for",
            "the tenant needs a subscription with Exchange Online",
        )
        return
    offered = seen.resource.scopes if want.delegated else seen.resource.roles
    missing = [value for value in permissions(want) if value not in offered]
    if missing:
        kind = "delegated permission" if want.delegated else "application role"
        yield Refusal(
            "application",
            "Office 365 Exchange Online",
            f"Exchange Online offers no {kind} {', '.join(missing)} in this tenant",
            "check that `cloud` and `tenant` in the playbook belong together",
        )
        return
    if want.app.managed_identity is not None or want.app.registered_in:
        return
    if unavailable(want, seen):
        yield _not_here(want, seen)
        return
    app = seen.registration
    required = _with(app.required if app else (), _needed(want, seen), _TYPE[want.access])
    if app is None:
        after: dict[str, Any] = {
            "name": want.app.name, "signInAudience": audience(want), "permissions": sorted(permissions(want)),
        }  # fmt: skip
        if want.delegated:
            after |= {"redirect": REDIRECT, "publicClient": True, "consent": CONSENT}
        redirects = (REDIRECT,) if want.delegated else None
        web = (REDIRECT,) if _several(want) else None
        yield Change(
            "application", "create", want.app.name, None, after,
            (UpsertApplication(want.app.unique_name, want.app.name, audience(want), required, redirects, web),),
            f"no application has the unique name {want.app.unique_name}",
        )  # fmt: skip
        return
    yield from _mended(want, seen, app, required)
    yield from _drift(want, seen, app)


def _not_here(want: Playbook, seen: Snapshot) -> Refusal:
    if seen.principal is not None:
        return Refusal(
            "application", str(want.app.id),
            f"its registration is in another tenant: here is only its enterprise application, {seen.principal.name!r}",
            "only the tenant that registered it can give it a secret and permissions; register one here: leave out "
            "`id`, and give `key` and `name`",
            str(want.app.place),
        )  # fmt: skip
    return Refusal(
        "application", str(want.app.id), "no application with this id is registered in this tenant",
        "`id` is the Application (client) ID, not an object ID; check it under App registrations, All applications",
        str(want.app.place),
    )  # fmt: skip


def _mended(
    want: Playbook, seen: Snapshot, app: Application, required: tuple[RequiredResource, ...]
) -> Iterator[Change]:
    """The one change that brings an application back where it is deleted, and makes it as it is to be."""
    adopted = want.app.id is not None
    differs = []
    if want.app.name and app.name != want.app.name:
        differs.append(f"it is named {app.name!r}")
    if not adopted and app.audience != audience(want):
        whose = "any organization's tenant" if _several(want) else "this tenant alone"
        differs.append(f"its audience is {app.audience}, not {whose}")
    if app.required != required:
        differs.append(f"it does not ask for {_unasked(seen, app, required)}")
    redirects, web = _redirects(want, app, differs), None
    if _several(want) and REDIRECT not in (*app.web, *app.redirects):
        differs.append(f"it has no redirect URI {REDIRECT}, where an administrator's consent ends")
        web = (*app.web, REDIRECT)
    writes: tuple[RestoreApplication | UpdateApplication | UpsertApplication, ...] = ()
    if differs and adopted:
        writes = (UpdateApplication(app.object_id, want.app.name, required, redirects, web),)
    elif differs:
        writes = (UpsertApplication(want.app.unique_name, want.app.name, audience(want), required, redirects, web),)
    target = called(want, seen)
    before: dict[str, Any] = {
        "name": app.name,
        "signInAudience": app.audience,
        "permissions": _asked(seen, app.required),
    }
    after: dict[str, Any] = {
        "name": target,
        "signInAudience": app.audience if adopted else audience(want),
        "permissions": _asked(seen, required),
    }
    if want.delegated:
        before |= {"redirect": REDIRECT in app.redirects, "publicClient": app.public}
        after |= {"redirect": True, "publicClient": True, "consent": CONSENT}
    if seen.application is None:
        first = seen.deleted[0]
        since = f"{first.deleted:%Y-%m-%d %H:%M} UTC" if first.deleted else "a time that Graph does not say"
        why = [f"it lies in the recycle bin since {since}"]
        if first.until:
            why = [f"{why[0]}, until {first.until:%Y-%m-%d %H:%M} UTC, then it is gone for good"]
        if len(seen.deleted) > 1:
            why.append(f"{len(seen.deleted)} of that name lie there; this is the newest, {app.app_id}")
        before = {**before, "deleted": first.deleted.isoformat() if first.deleted else None}
        yield Change(
            "application", "restore", target, before, after, (RestoreApplication(app.object_id), *writes),
            "; ".join([*why, *differs]),
        )  # fmt: skip
    elif differs:
        yield Change("application", "update", target, before, after, writes, "; ".join(differs))


def _drift(want: Playbook, seen: Snapshot, app: Application) -> Iterator[Drift]:
    target = called(want, seen)
    if want.app.id is not None and app.audience != audience(want):
        whose = "any organization's tenant" if _several(want) else "this tenant alone"
        yield Drift("application", target, f"its audience is {app.audience}, not {whose}; it was adopted so")
    assert seen.resource is not None
    consented = {row.role for row in seen.assignments if row.resource == seen.resource.object_id}
    names = {role: value for value, role in seen.resource.roles.items()}
    needed = set() if want.delegated else set(_needed(want, seen))
    for role in _held(app.required, "Role") - needed:
        if role not in consented:  # else consent has it
            shown = names.get(RoleId(role), role)
            yield Drift("application", target, f"it asks for {shown}, which no protocol of the playbook needs")
    if want.delegated:
        called_ = {id_: value for value, id_ in seen.resource.scopes.items()}
        for scope in _held(app.required, "Scope") - set(_needed(want, seen)):
            shown = called_.get(ScopeId(scope), scope)
            yield Drift("application", target, f"it asks for {shown}, which no protocol of the playbook needs")


def _redirects(want: Playbook, app: Application, differs: list[str]) -> tuple[str, ...] | None:
    """The redirect URIs to stand, others' among them; None where they are right or nobody's affair. What is not right is
    added to ``differs``."""
    if not want.delegated:
        return None
    found = []
    if REDIRECT not in app.redirects:
        found.append(f"it has no redirect URI {REDIRECT}, where a browser's sign-in ends")
    if not app.public:
        found.append("it does not allow public client flows, which a device code needs")
    differs += found
    return tuple(dict.fromkeys((*app.redirects, REDIRECT))) if found else None


def permissions(want: Playbook) -> list[str]:
    """What the protocols need of Exchange Online, by value: roles, or where people sign in delegated permissions."""
    values = SCOPE_OF if want.delegated else ROLE_OF
    return [values[protocol] for protocol in want.claimed()]


def _needed(want: Playbook, seen: Snapshot) -> tuple[str, ...]:
    """Their ids in this tenant."""
    assert seen.resource is not None
    offered: Mapping[str, str] = seen.resource.scopes if want.delegated else seen.resource.roles
    return tuple(offered[value] for value in permissions(want))


def _held(required: tuple[RequiredResource, ...], kind: str) -> set[str]:
    """The permissions of that kind on Exchange Online that are asked for, by id."""
    return {
        id_ for entry in required if entry.resource == EXCHANGE_ONLINE for id_, type_ in entry.access if type_ == kind
    }


def _asked(seen: Snapshot, required: tuple[RequiredResource, ...]) -> list[str]:
    """By name; permissions of other resources are not shown, as they stay."""
    assert seen.resource is not None
    roles = {id_.lower() for id_ in _held(required, "Role")}
    scopes = {id_.lower() for id_ in _held(required, "Scope")}
    asked = [value for value, role in seen.resource.roles.items() if role.lower() in roles]
    return sorted([*asked, *(value for value, scope in seen.resource.scopes.items() if scope.lower() in scopes)])


def _unasked(seen: Snapshot, app: Application, required: tuple[RequiredResource, ...]) -> str:
    """The roles that are missing from requiredResourceAccess, and which of them were consented to all the same."""
    assert seen.resource is not None
    consented = {row.role for row in seen.assignments if row.resource == seen.resource.object_id}
    shown = []
    for value in sorted(set(_asked(seen, required)) - set(_asked(seen, app.required))):
        shown.append(f"{value} (consented to already)" if seen.resource.roles.get(value) in consented else value)
    return ", ".join(shown)


def _with(required: tuple[RequiredResource, ...], ids: tuple[str, ...], kind: str) -> tuple[RequiredResource, ...]:
    """``required`` with these permissions on Exchange Online added; order and every other entry stay."""
    if not ids:
        return required
    ours = next((entry for entry in required if entry.resource == EXCHANGE_ONLINE), None)
    if ours is None:
        return (*required, RequiredResource(EXCHANGE_ONLINE, tuple((id_, kind) for id_ in ids)))
    have = {(id_.lower(), type_) for id_, type_ in ours.access}
    gained = tuple((id_, kind) for id_ in ids if (id_.lower(), kind) not in have)
    grown = RequiredResource(ours.resource, (*ours.access, *gained))
    return tuple(grown if entry is ours else entry for entry in required)
