"""Mailbox permissions and recipient permissions. Sources: the cmdlets' help; FACTS §2, §5; michev.info 4012.

A new grant shows at once; logins honour it when its grant-lag is over. A duplicate is a warning, never an error.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from ..exchange import Mailbox, Row
from . import lookup
from .outcome import Failure, Item, Output, Warn, transformation
from .session import Call, Cmdlet, exchange_error

ACE = ("Deserialized.Microsoft.Exchange.Management.RecipientTasks.MailboxAcePresentationObject", "System.Object")
RECIPIENT = ("Deserialized.Microsoft.Exchange.Management.RecipientTasks.RecipientPermission", "System.Object")
MOST_ACES = 500  # Add-MailboxPermission's help: "maximum of 500 entries"
SELF = "NT AUTHORITY\\SELF"
_SHOWN = (
    "Identity",
    "User",
    "AccessRights",
    "IsInherited",
    "Deny",
    "InheritanceType",
    "UserSid",
    "IsValid",
    "ObjectState",
)
# What every mailbox inherits from its database: User, rights, Deny, SID.
INHERITED = (
    ("NT AUTHORITY\\SYSTEM", ("FullAccess",), False, "S-1-5-18"),
    ("NT AUTHORITY\\NETWORK SERVICE", ("ReadPermission",), False, "S-1-5-20"),
    ("EURPR10A001\\Domain Admins", ("FullAccess",), True, "S-1-5-21-1111111111-2222222222-3333333333-512"),
)


def _ace(row: Row, user: str) -> Item:
    properties = {name: row.properties[name] for name in _SHOWN} | {"User": user}
    properties["AccessRights"] = list(properties["AccessRights"])
    return Item(ACE, properties, properties["Identity"])


def _aces(mailbox: Mailbox, names: lookup.Names, wanted: str | None, unresolved: bool) -> Iterator[Item]:
    if mailbox.granted:
        names.ready()  # which may leave rows of whoever is gone as bare SIDs
    for row in mailbox.permissions:
        trustee = row["_trustee"]
        if wanted is not None and trustee.lower() != wanted.lower():
            continue
        user = names.shown(trustee) if trustee else row["User"]
        if user is None and unresolved:
            user = names.sid(trustee)  # an orphan shows as a bare SID, and only if asked for
        if user is not None:
            yield _ace(row, user)
    if wanted is None:
        identity = mailbox.identity
        for user, rights, deny, sid in INHERITED:
            yield Item(
                ACE,
                {"Identity": identity, "User": user, "AccessRights": list(rights), "IsInherited": True, "Deny": deny,
                 "InheritanceType": "All", "UserSid": sid, "IsValid": True, "ObjectState": "Unchanged"},
                identity,
            )  # fmt: skip


def _trustee_filter(call: Call, parameter: str) -> str | None:
    """Whom -User or -Trustee narrows the answer to; None: nobody. Raises Failure."""
    given = call.text(parameter)
    if given is None:
        return None
    try:
        return lookup.trustee(call, given)
    except Failure as failure:
        if lookup.NOT_FOUND in failure.types and lookup.unknown_returns_all(call):
            return None
        raise


def get_mailbox_permission(call: Call) -> Iterator[Output]:
    group = bool(call.values.get("GroupMailbox"))
    found = lookup.some(
        call,
        lambda m: lookup.is_mailbox(m, group=group),
        identity=call.text("Identity"),
        soft_deleted=bool(call.values.get("SoftDeletedMailbox")),
    )
    wanted, names = _trustee_filter(call, "User"), lookup.Names(call.tenant)
    unresolved = bool(call.values.get("IncludeUnresolvedPermissions"))
    return lookup.limited((row for m in found for row in _aces(m, names, wanted, unresolved)), call)


def _account(call: Call, mailbox: Mailbox, trustee: str) -> str:
    return f'on the object "{mailbox.properties["DistinguishedName"]}" for account "{trustee}"'


def add_mailbox_permission(call: Call) -> Iterator[Output]:
    group = bool(call.values.get("GroupMailbox"))
    mailbox = lookup.one(call, call.values["Identity"], lambda m: lookup.is_mailbox(m, group=group))
    trustee = lookup.trustee(call, call.values["User"])
    rights, deny = list(dict.fromkeys(call.values["AccessRights"])), bool(call.values.get("Deny"))
    inheritance = call.values.get("InheritanceType") or "All"
    if not call.confirm(
        f"Adding mailbox permission '{', '.join(rights)}' {_account(call, mailbox, trustee)}.", high=False
    ):
        return
    standing = _standing(mailbox.permissions, trustee, Deny=deny, InheritanceType=inheritance)
    if standing is not None and set(rights) <= set(standing["AccessRights"]):
        yield Warn(f"The appropriate access control entry is already present {_account(call, mailbox, trustee)}.")
        return
    if standing is None and len(mailbox.permissions) >= MOST_ACES:
        raise exchange_error(
            call,
            "Microsoft.Exchange.Configuration.Tasks.TaskInvalidOperationException",
            f"The mailbox '{mailbox.properties['Identity']}' has the maximum number of {MOST_ACES} permission entries.",
            "ExC4A7D1",
        )
    at = call.tenant.clock.now() + call.tenant.faults.draw("grant-lag")
    if standing is not None:
        if "FullAccess" not in standing["AccessRights"]:
            standing.effective_at = at
        standing.properties["AccessRights"] = [*dict.fromkeys([*standing["AccessRights"], *rights])]
        row = standing
    else:
        row = call.exchange.add_ace(mailbox, trustee, rights, deny=deny, inheritance=inheritance, effective_at=at)
    yield _ace(row, lookup.Names(call.tenant).shown(trustee) or trustee)


def remove_mailbox_permission(call: Call) -> Iterator[Output]:
    deleted = bool(call.values.get("SoftDeletedMailbox"))
    group = bool(call.values.get("GroupMailbox"))
    mailbox = lookup.one(
        call, call.values["Identity"], lambda m: lookup.is_mailbox(m, group=group), soft_deleted=deleted
    )
    trustee = _trustee_or_sid(call, call.values["User"], mailbox.permissions)
    rights = set(call.values["AccessRights"])
    if not call.confirm(
        f"Removing mailbox permission '{', '.join(sorted(rights))}' {_account(call, mailbox, trustee)}.", high=True
    ):
        return
    deny = bool(call.values.get("Deny"))
    standing = [r for r in _of(mailbox.permissions, trustee, Deny=deny) if rights & set(r["AccessRights"])]
    if not standing:
        yield Warn(
            f"Can't remove the access control entry {_account(call, mailbox, trustee)} because the ACE isn't present."
        )
    for row in standing:
        row.properties["AccessRights"] = [right for right in row["AccessRights"] if right not in rights]
        if not row["AccessRights"]:
            mailbox.permissions.remove(row)


def _trustee_or_sid(call: Call, given: str, rows: Iterable[Row]) -> str:
    """Like any trustee; an orphan by its SID too, which is all that is left of it."""
    orphan = next((r["_trustee"] for r in rows if r["_trustee"] and call.exchange.sid(r["_trustee"]) == given), None)
    return str(orphan) if orphan else lookup.trustee(call, given)


def _of(rows: Iterable[Row], trustee: str, **properties: Any) -> Iterator[Row]:
    for row in rows:
        if row["_trustee"].lower() == trustee.lower() and all(row[name] == value for name, value in properties.items()):
            yield row


def _standing(rows: Iterable[Row], trustee: str, **properties: Any) -> Row | None:
    return next(_of(rows, trustee, **properties), None)


def _send_as(call: Call) -> None:
    """SendAs is the only right there is (Add-RecipientPermission's help). Raises Failure."""
    for right in call.values.get("AccessRights") or ():
        if str(right).lower() != "sendas":
            raise transformation(
                "AccessRights",
                f'Cannot convert value "{right}" to type "Microsoft.Exchange.Management.RecipientTasks.'
                f'RecipientAccessRight". Error: "Unable to match the identifier name {right} to a valid enumerator name. '
                'Specify one of the following enumerator names and try again:\r\nSendAs"',
            )


def _recipient_item(mailbox: Mailbox, trustee: str, control: str, inherited: bool = False) -> Item:
    identity = mailbox.properties["Identity"]
    return Item(
        RECIPIENT,
        {"Identity": identity, "Trustee": trustee, "AccessControlType": control, "AccessRights": ["SendAs"],
         "IsInherited": inherited, "InheritanceType": "None", "IsValid": True, "ObjectState": "Unchanged"},
        identity,
    )  # fmt: skip


def get_recipient_permission(call: Call) -> Iterator[Output]:
    """Without -Identity: of every recipient. Orphans are not shown."""
    _send_as(call)
    wanted, names = _trustee_filter(call, "Trustee"), lookup.Names(call.tenant, "permission-trustee")
    identity = call.text("Identity")
    # One trustee holds something on few of many: the others are passed over unopened.
    every = wanted is None or identity is not None
    found = lookup.some(call, lambda m: every or m.sent_as, identity=identity)

    def rows() -> Iterator[Output]:
        for mailbox in found:
            if wanted is None:
                yield _recipient_item(mailbox, SELF, "Allow")
            if mailbox.sent_as:
                names.ready()
            for row in mailbox.recipient_permissions:
                if wanted is None or row["_trustee"].lower() == wanted.lower():
                    shown = names.shown(row["_trustee"])
                    if shown is not None:
                        yield _recipient_item(mailbox, shown, row["AccessControlType"], row["IsInherited"])

    return lookup.limited(rows(), call)


def add_recipient_permission(call: Call) -> Iterator[Output]:
    """Asks for confirmation unless told not to: "This cmdlet has a built-in pause, so use -Confirm:$false"."""
    _send_as(call)
    mailbox = lookup.one(call, call.values["Identity"])
    trustee = lookup.trustee(call, call.values["Trustee"])
    if not call.confirm(f"Adding recipient permission 'SendAs' {_account(call, mailbox, trustee)}.", high=True):
        return
    if _standing(mailbox.recipient_permissions, trustee, AccessControlType="Allow") is not None:
        yield Warn(f"The appropriate access control entry is already present {_account(call, mailbox, trustee)}.")
        return
    now = call.tenant.clock.now()
    properties = {
        "Identity": mailbox.properties["Identity"], "Trustee": trustee, "AccessControlType": "Allow",
        "AccessRights": ["SendAs"], "IsInherited": False, "InheritanceType": "None", "IsValid": True,
        "ObjectState": "Unchanged", "_trustee": trustee,
    }  # fmt: skip
    mailbox.recipient_permissions.append(Row(properties, now, now + call.tenant.faults.draw("grant-lag")))
    yield _recipient_item(mailbox, lookup.Names(call.tenant, "permission-trustee").shown(trustee) or trustee, "Allow")


def remove_recipient_permission(call: Call) -> Iterator[Output]:
    _send_as(call)
    mailbox = lookup.one(call, call.values["Identity"])
    trustee = _trustee_or_sid(call, call.values["Trustee"], mailbox.recipient_permissions)
    if not call.confirm(f"Removing recipient permission 'SendAs' {_account(call, mailbox, trustee)}.", high=True):
        return
    control = "Deny" if call.values.get("Deny") else "Allow"
    standing = _standing(mailbox.recipient_permissions, trustee, AccessControlType=control)
    if standing is None:
        yield Warn(
            f"Can't remove the access control entry {_account(call, mailbox, trustee)} because the ACE isn't present."
        )
        return
    mailbox.recipient_permissions.remove(standing)


_WRITE = frozenset({"Identity", "AccessRights", "Confirm", "WhatIf"})
_ONE_SET = frozenset({"AccessRights"})

CMDLETS = {
    "Add-MailboxPermission": Cmdlet(
        add_mailbox_permission, _WRITE | {"User", "AutoMapping", "Deny", "GroupMailbox", "InheritanceType"}, _ONE_SET
    ),
    "Get-MailboxPermission": Cmdlet(
        get_mailbox_permission,
        frozenset(
            {"Identity", "User", "ResultSize", "GroupMailbox", "SoftDeletedMailbox", "IncludeUnresolvedPermissions"}
        ),
        _ONE_SET,
    ),
    "Remove-MailboxPermission": Cmdlet(
        remove_mailbox_permission, _WRITE | {"User", "Deny", "GroupMailbox", "SoftDeletedMailbox"}, _ONE_SET
    ),
    "Add-RecipientPermission": Cmdlet(add_recipient_permission, _WRITE | {"Trustee"}),
    "Get-RecipientPermission": Cmdlet(
        get_recipient_permission, frozenset({"Identity", "AccessRights", "Trustee", "ResultSize"})
    ),
    "Remove-RecipientPermission": Cmdlet(remove_recipient_permission, _WRITE | {"Trustee", "Deny"}),
}
