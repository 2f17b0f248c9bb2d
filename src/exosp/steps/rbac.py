"""SMTP by RBAC for Applications: a management scope and the role "Application SMTP.SendAsApp" within it, in place of the claim
SMTP.SendAsApp and of mailbox permissions.

The two ways exclude each other: a token with the claim makes Exchange check mailbox permissions whatever the scope holds
(office-developer-exchange-docs, smtp-app-rbac-onboarding.md), and grants are a union (application-rbac article), so one that
is meant to be narrow would not be. There is no such role for IMAP and POP. Of a group only direct members are in scope.
What is ours bears the name that the playbook's key makes; everything else is shown and stays.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from .. import opath
from ..errors import Forbidden
from ..plan import Change, Drift, Refusal
from ..playbook import Playbook, SmtpScope
from ..snapshot import Address, Group, ManagementRole, ManagementScope, NoGroup, Rbac, Snapshot
from ..tenant import Tenant
from ..writes import (
    ENTRY,
    AssignManagementRole,
    ExchangeWrite,
    NewManagementScope,
    RemoveManagementRole,
    RemoveManagementScope,
    SetManagementScope,
    Write,
)
from .application import ROLE_OF, called
from .exchange import of_ours, right

ROLE = "Application SMTP.SendAsApp"
LONGEST = 64  # characters of a scope's or an assignment's name (the cmdlets' help)
MIXED = (
    "a token that carries it makes Exchange check mailbox permissions, whatever the RBAC scope holds, and where it finds them "
    "the scope narrows nothing"
)
WHY_NOT = {
    "absent": ("no group has this address", "check the spelling; name a distribution, mail-enabled security or Microsoft 365 group"),
    "ambiguous": ("several groups answer to this address", "name the group by its primary address"),
    "unreadable": ("the group could not be read", "see the detail; run again when Exchange answers"),
}  # fmt: skip


def name_of(want: Playbook) -> str:
    """What our scope and our assignment are called: made of the key alone, so that every run finds them."""
    name = f"exosp-{want.app.key}-smtp"
    if len(name) <= LONGEST:
        return name
    mark = hashlib.sha256(want.app.key.encode()).hexdigest()[:8]
    return f"{name[: LONGEST - 14]}-{mark}-smtp"


def observe(want: Playbook, tenant: Tenant, seen: Snapshot) -> Snapshot:
    """Read where SMTP is the application's at all: also where it goes by the claim, for a role would widen that. There it is
    one pipeline, and none while Exchange does not know the application: nobody can have given it a role then."""
    if want.delegated or "smtp" not in want.needed():
        return replace(seen, rbac=None)
    exchange, name = tenant.exchange, name_of(want)
    if want.smtp is None:
        try:
            roles = exchange.management_roles(of_ours(seen))
            ours = any(name.lower() in (role.name.lower(), role.scope.lower()) for role in roles)
            return replace(seen, rbac=Rbac(roles, exchange.management_scopes() if ours else ()))
        except Forbidden as fault:
            return replace(seen, rbac=Rbac(unread=fault.what))
    roles, scopes = exchange.management_roles(of_ours(seen), name), exchange.management_scopes()
    group = exchange.group(Address(want.smtp.value)) if want.smtp.kind == "group" else None
    held = Rbac(roles, scopes, group)
    made = _assignment(name, held) is not None and (_scope(name, held) is not None or want.smtp.kind == "admin_unit")
    return replace(seen, rbac=held if made else replace(held, dehydrated=exchange.dehydrated()))


def plan(want: Playbook, seen: Snapshot) -> Iterator[Change | Refusal | Drift]:
    held = seen.rbac
    if held is None:
        return
    if held.unread:
        yield Drift("rbac", called(want, seen), f"whether it has management roles too could not be read: {held.unread}")
        return
    if want.smtp is not None:
        refusals = list(_refusals(want, want.smtp, seen, held))
        yield from refusals or _wanted(want, want.smtp, seen, held)
    yield from _beyond(want, seen, held)


def _refusals(want: Playbook, scope: SmtpScope, seen: Snapshot, held: Rbac) -> Iterator[Refusal]:
    where, name = str(scope.place), name_of(want)
    if claim_held(seen) and not want.prune:
        yield Refusal(
            "rbac", ROLE_OF["smtp"],
            f"the application holds the role {ROLE_OF['smtp']}, and SMTP is to go by RBAC: {MIXED}",
            "take the role away (prune: true in the playbook does, or by hand under API permissions), or write "
            "smtp: {access: claim}", where,
        )  # fmt: skip
    if isinstance(held.group, NoGroup):
        what, hint = WHY_NOT[held.group.reason]
        detail = f" ({held.group.detail})" if held.group.detail else ""
        yield Refusal("rbac", held.group.address, what + detail, hint, where)
        return
    text = wanted_filter(scope, held)
    mine, ours = _assignment(name, held), _scope(name, held)
    if mine is not None and not any(mine.of(entry) for entry in of_ours(seen)):
        yield Refusal(
            "rbac", name, "a management role assignment of this name is another application's",
            f"see Get-ManagementRoleAssignment -Identity {name}; rename it, or take another key", where,
        )  # fmt: skip
    same = [s for s in held.scopes if text is not None and s is not ours and opath.same(s.filter, text)]
    if same and (ours is None or not opath.same(ours.filter, text or "")):
        yield Refusal(
            "rbac", name, f"the management scope {same[0].name!r} has this filter already, and Exchange takes no second one",
            "write the filter in another way (smtp: {filter: …}), or remove that scope if nothing needs it", where,
        )  # fmt: skip
    if held.dehydrated and text is not None and (ours is None or mine is None):
        yield Refusal(
            "rbac", name, "the organization still has its standard settings (IsDehydrated), which takes no scope and no "
            "role assignment",
            "run Enable-OrganizationCustomization once, wait some minutes, and run apply again: it is the whole "
            "organization's, so exosp does not do it", where,
        )  # fmt: skip


def claim_held(seen: Snapshot) -> bool:
    """Whether SMTP.SendAsApp is consented to."""
    if seen.resource is None:
        return False
    role = seen.resource.roles.get(ROLE_OF["smtp"])
    return any(row.role == role and row.resource == seen.resource.object_id for row in seen.assignments)


def wanted_filter(scope: SmtpScope, held: Rbac) -> str | None:
    """The filter that our scope is to have; None where none is needed, or its group is not there."""
    if scope.kind == "filter":
        return scope.value
    if scope.kind == "group" and isinstance(held.group, Group):
        return opath.equals("MemberOfGroup", held.group.dn)
    return None


def _assignment(name: str, held: Rbac) -> ManagementRole | None:
    return next((role for role in held.roles if role.name.lower() == name.lower()), None)


def _scope(name: str, held: Rbac) -> ManagementScope | None:
    return next((scope for scope in held.scopes if scope.name.lower() == name.lower()), None)


def _wanted(want: Playbook, scope: SmtpScope, seen: Snapshot, held: Rbac) -> Iterator[Change]:
    """The one change that brings scope and role to what the playbook says."""
    name, text = name_of(want), wanted_filter(scope, held)
    mine, ours, entry = _assignment(name, held), _scope(name, held), right(seen)
    if mine is not None and (entry is None or not mine.of(entry)):
        mine = None  # of a wrong entry of ours: it goes with that one
    unit = scope.value if scope.kind == "admin_unit" else None
    fits = mine is not None and mine.role.lower() == ROLE.lower() and (
        (mine.by, mine.scope.lower()) == (("unit", unit.lower()) if unit else ("scope", name.lower()))
    )  # fmt: skip
    writes: list[Write] = []
    why = []
    if mine is not None and not fits:
        writes.append(RemoveManagementRole(name, mine.role))
        why.append(f"the assignment {name} gives {mine.role} {_reach(mine)}")
    if text is not None and ours is None:
        writes.append(NewManagementScope(name, text))
        why.append(f"there is no management scope {name}")
    elif text is not None and ours is not None and not opath.same(ours.filter, text):
        writes.append(SetManagementScope(name, text))
        why.append(f"the filter of the scope {name} is another")
    if not fits:
        role = (
            AssignManagementRole(name, ROLE, ENTRY, unit=unit)
            if unit
            else AssignManagementRole(name, ROLE, ENTRY, name)
        )
        writes.append(role)
        why += ["the application has no management role for SMTP"] if mine is None else []
    if text is None and ours is not None:
        writes.append(RemoveManagementScope(name))
        why.append(f"the scope {name} is of no use any more")
    if not writes:
        return
    before = {"role": mine.role, "scope": _reach(mine)} if mine is not None else {}
    before |= {"filter": ours.filter} if ours is not None else {}
    after = {"role": ROLE, "scope": f"within {scope}"} | ({"filter": text} if text is not None else {})
    yield Change(
        "rbac",
        "repair" if before else "grant",
        f"SMTP within {scope}",
        before or None,
        after,
        tuple(writes),
        "; ".join(why),
    )


def _reach(role: ManagementRole) -> str:
    kinds = {"organization": "in the whole organization", "scope": "within the scope", "unit": "within the administrative unit",
             "group": "within the group", "other": "within"}  # fmt: skip
    return f"{kinds[role.by]} {role.scope}".rstrip()


def _beyond(want: Playbook, seen: Snapshot, held: Rbac) -> Iterator[Change | Drift]:
    """Management roles of the application that the playbook does not ask for. With ``prune`` those for SMTP go; roles for
    other protocols are not the playbook's affair."""
    entry, name = right(seen), name_of(want)
    for role in held.roles:
        if entry is None or not role.of(entry) or (want.smtp is not None and role.name.lower() == name.lower()):
            continue
        if role.role.lower() != ROLE.lower():
            yield Drift("rbac", role.name, f"the application has the management role {role.role} {_reach(role)}")
            continue
        beside = "beside the one of the playbook" if want.smtp is not None else f"beside the claim: {_UNION}"
        what = f"the application has {ROLE} {_reach(role)}, {beside}"
        if want.prune:
            writes: tuple[Write, ...] = (RemoveManagementRole(role.name, role.role),)
            if want.smtp is None and role.name.lower() == name.lower() and _scope(name, held) is not None:
                writes = (*writes, RemoveManagementScope(name))  # ours, and of no use without
            yield Change(
                "rbac", "remove", role.name, {"role": role.role, "scope": _reach(role)}, None, writes,
                f"{what}; and prune is on",
            )  # fmt: skip
        else:
            yield Drift("rbac", role.name, what, access=True)


_UNION = "either lets in without the other"


def removals(want: Playbook, seen: Snapshot) -> Iterator[Change | Drift]:
    """The end of what bears our name: the assignment, then its scope. What others hang on it keeps it."""
    held, name = seen.rbac, name_of(want)
    if held is None:
        return
    mine, ours = _assignment(name, held), _scope(name, held)
    writes: list[Write] = []
    others = [
        role.name
        for role in held.roles
        if role is not mine and role.by == "scope" and role.scope.lower() == name.lower()
    ]
    if mine is not None and not any(mine.of(entry) for entry in of_ours(seen)):
        yield Drift("rbac", name, "the management role assignment of this name is another application's: it stays")
        others.append(name)
    elif mine is not None:
        writes.append(RemoveManagementRole(name, mine.role))
    if ours is not None and others:
        yield Drift("rbac", name, f"the management scope stays: {', '.join(others[:3])} goes by it")
    elif ours is not None:
        writes.append(RemoveManagementScope(name))
    if writes:
        before = ({"role": mine.role} if mine is not None else {}) | (
            {"filter": ours.filter} if ours is not None else {}
        )
        yield Change(
            "rbac", "remove", name, before, None, tuple(writes), "it bears the name that the playbook's key makes"
        )


def modes(want: Playbook) -> tuple[tuple[str, str], ...]:
    """How each protocol lets the application in, where they differ."""
    if want.smtp is None:
        return ()
    claim = "by the claim {}, and FullAccess on each mailbox"
    by_rbac = f"by RBAC for Applications, {ROLE} within {want.smtp}: no claim, no mailbox permission"
    return tuple((p, by_rbac if p == "smtp" else claim.format(ROLE_OF[p])) for p in want.needed())


def after(write: ExchangeWrite, seen: Snapshot) -> Snapshot:
    """The snapshot once a write of this step has taken place."""
    held = seen.rbac
    if held is None:
        return seen
    match write:
        case NewManagementScope(name, text) | SetManagementScope(name, text):
            rest = tuple(scope for scope in held.scopes if scope.name.lower() != name.lower())
            held = replace(held, scopes=(*rest, ManagementScope(name, text)))
        case RemoveManagementScope(name):
            held = replace(held, scopes=tuple(scope for scope in held.scopes if scope.name.lower() != name.lower()))
        case AssignManagementRole(name, role, app, scope, unit):
            made = ManagementRole(
                name, role, frozenset({app.value(seen).lower()}), "unit" if unit else "scope", unit or scope or ""
            )  # fmt: skip
            held = replace(held, roles=(*_without(held, name), made))
        case RemoveManagementRole(name):
            held = replace(held, roles=_without(held, name))
        case _:
            return seen
    return replace(seen, rbac=held)


def _without(held: Rbac, name: str) -> tuple[ManagementRole, ...]:
    return tuple(role for role in held.roles if role.name.lower() != name.lower())
