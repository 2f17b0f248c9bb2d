"""Rows into the snapshot's records. Pure; what a row does not show is said, never assumed."""

from collections.abc import Iterable
from typing import assert_never

from .. import tenant
from ..errors import CloudError, Conflict, Missing, NotYetVisible
from ..snapshot import (
    Address,
    AppId,
    ClaimedObjectId,
    ClientAccess,
    ExchangeEntry,
    Mailbox,
    MailboxId,
    MailboxKind,
    MailboxPermission,
    ManagementRole,
    ManagementScope,
    NoMailbox,
    RecipientPermission,
    ScopedBy,
)
from .cmdlets import Answer, Cmdlet, Row, Rows
from .errors import SERVICE
from .joining import several, shown, texts, truth

# Every property that names one service principal alone and that a permission row may show; which one it does is not
# documented. Its display name, which others may bear, and a SID that the entry does not show are ``trustees``' affair.
_ENTRY_FORMS = (
    "ObjectId", "ServiceId", "AppId", "Identity", "Id", "Name", "Guid", "ExchangeObjectId", "DistinguishedName", "Sid",
)  # fmt: skip
# Every property by which a row may name a mailbox. Not its display name: no cmdlet takes that for an identity alone.
_MAILBOX_FORMS = (
    "ExternalDirectoryObjectId", "Identity", "Id", "Name", "Guid", "ExchangeGuid", "ExchangeObjectId", "Alias",
    "DistinguishedName", "LegacyExchangeDN", "SamAccountName", "PrimarySmtpAddress", "UserPrincipalName",
    "WindowsLiveID", "EmailAddresses",
)  # fmt: skip
_ADDRESSES = ("PrimarySmtpAddress", "EmailAddresses", "UserPrincipalName")

KINDS: dict[str, MailboxKind] = {"usermailbox": "user", "sharedmailbox": "shared", "groupmailbox": "group"}
_MAIL_USERS = frozenset({"mailuser", "guestmailuser", "remoteusermailbox", "remotesharedmailbox"})


def entry(row: Row) -> ExchangeEntry:
    return ExchangeEntry(
        app_id=AppId(shown(row, "AppId")),
        object_id=ClaimedObjectId(shown(row, "ObjectId") or shown(row, "ServiceId")),
        name=shown(row, "DisplayName") or shown(row, "Name"),
        identity=shown(row, "Identity") or shown(row, "Id") or shown(row, "ObjectId"),
        forms=_forms(row, _ENTRY_FORMS),
    )


def _forms(row: Row, names: Iterable[str]) -> frozenset[str]:
    return frozenset(text for name in names for text in texts(row, name))


def mailbox_or_not(address: Address, answer: Answer) -> Mailbox | NoMailbox | None:
    """None where Get-Mailbox knows nothing of the address."""
    match answer:
        case Rows(rows):
            found = {box.id.lower(): box for box in map(mailbox, rows)}
            if len(found) > 1:
                names = ", ".join(sorted(box.address for box in found.values()))
                return NoMailbox(address, "ambiguous", f"it belongs to {names}")
            one = next(iter(found.values()), None)
            if one is not None and not one.id:
                return NoMailbox(address, "unreadable", "its row shows no ExternalDirectoryObjectId")
            if one is not None and one.kind == "group":
                return NoMailbox(address, "group")
            return one
        case tenant.Failed(Missing() | NotYetVisible()):
            return None
        case tenant.Failed(Conflict() as error):
            return NoMailbox(address, "ambiguous", error.what)
        case tenant.Failed(error):
            return NoMailbox(address, "unreadable", error.what)
        case tenant.Unknown(why):
            return NoMailbox(address, "unreadable", why)
        case _:
            assert_never(answer)


def mailbox(row: Row) -> Mailbox:
    kind = shown(row, "RecipientTypeDetails").lower()
    return Mailbox(
        id=MailboxId(shown(row, "ExternalDirectoryObjectId")),
        address=Address(shown(row, "PrimarySmtpAddress")),
        upn=shown(row, "UserPrincipalName"),
        kind=KINDS.get(kind, "other"),
        addresses=_forms(row, _ADDRESSES),
        forms=_forms(row, _MAILBOX_FORMS),
    )


def no_mailbox(address: Address, cmdlet: Cmdlet, answer: Answer) -> NoMailbox | None:
    """What one of the further reads says of an address, None where it says nothing."""
    if isinstance(answer, tenant.Unknown):
        return NoMailbox(address, "unreadable", answer.why)
    if isinstance(answer, tenant.Failed):
        if isinstance(answer.error, Missing | NotYetVisible):
            return None
        ambiguous = isinstance(answer.error, Conflict)
        return NoMailbox(address, "ambiguous" if ambiguous else "unreadable", answer.error.what)
    if not answer.rows:
        return None
    if "SoftDeletedMailbox" in cmdlet.parameters:
        return NoMailbox(address, "soft-deleted")
    kind = shown(answer.rows[0], "RecipientTypeDetails")
    if "GroupMailbox" in cmdlet.parameters or kind.lower() == "groupmailbox":
        return NoMailbox(address, "group")
    if kind.lower() in _MAIL_USERS:
        return NoMailbox(address, "mail-user", kind)
    if kind.lower().endswith("mailbox"):
        return NoMailbox(address, "unreadable", f"Get-Recipient shows a {kind}, and Get-Mailbox does not show it")
    return NoMailbox(address, "absent", f"it is a {kind}" if kind else "")


def permission(box: MailboxId, row: Row) -> MailboxPermission:
    return MailboxPermission(
        mailbox=box,
        user=shown(row, "User").strip().lower(),
        rights=several(row, "AccessRights"),
        deny=truth(row, "Deny") or False,
        inherited=truth(row, "IsInherited") or False,
    )


def recipient_permission(box: MailboxId, row: Row) -> RecipientPermission:
    deny = shown(row, "AccessControlType").lower() == "deny" or truth(row, "Deny") or False
    return RecipientPermission(box, shown(row, "Trustee").strip().lower(), deny)


def client_access(box: Mailbox, row: Row) -> ClientAccess:
    imap, pop = truth(row, "ImapEnabled"), truth(row, "PopEnabled")
    if imap is None or pop is None:
        raise CloudError(
            f"Get-CASMailbox does not show whether IMAP and POP are on for {box.address}",
            service=SERVICE, asked="Get-CASMailbox",
        )  # fmt: skip
    return ClientAccess(box.id, imap, pop, truth(row, "SmtpClientAuthenticationDisabled"))


_SCOPED: dict[str, ScopedBy] = {
    "organization": "organization", "customrecipientscope": "scope", "administrativeunit": "unit", "group": "group",
}  # fmt: skip


def management_role(row: Row) -> ManagementRole:
    """A management role assignment. What narrows it shows in one of several columns, by its kind and by who tells."""
    by = _SCOPED.get(shown(row, "RecipientWriteScope").lower(), "other")
    first = ["RecipientAdministrativeUnitScope"] if by == "unit" else []
    columns = [*first, "CustomResourceScope", "CustomRecipientWriteScope"]
    return ManagementRole(
        name=shown(row, "Name") or shown(row, "Identity"),
        role=shown(row, "Role"),
        app=_forms(row, ("App", "RoleAssignee")),
        by=by,
        scope=next((text for name in columns if (text := shown(row, name))), ""),
    )


def management_scope(row: Row) -> ManagementScope:
    return ManagementScope(shown(row, "Name"), shown(row, "RecipientFilter"))
