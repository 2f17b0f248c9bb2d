"""The commands of fixes. No check. Every value of a tenant goes through ``quoted``, and each command takes away or changes
what its finding is about and nothing else; it asks before it does, as PowerShell's own cmdlets do.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from ..apps import App, Holding
from ..finding import Fix, quoted
from ..inventory import Credential, Entry, Grant, MailboxRecord, Principal, Registration
from ..snapshot import AppId

# ``quoted`` leaves out what cannot be seen, and what is left may be somebody else's name.
UNSEEN = "Take it back by hand: its name holds characters that cannot be seen, and a command could mean another one."
MOST = 5  # commands of one kind; what is beyond them is said in a sentence


def say(sentence: str) -> Fix:
    return Fix(sentence)


def powershell(command: str) -> Fix:
    return Fix(command, "powershell")


def exosp(command: str) -> Fix:
    return Fix(command, "exosp")


# Grants


def without(held: Iterable[Holding]) -> Iterator[Fix]:
    """These grants taken back, one command each."""
    yield from taken((row.mailbox, row.grant, row.entry.object_id) for row in held)


def taken(rows: Iterable[tuple[MailboxRecord, Grant, str]]) -> Iterator[Fix]:
    each = {
        (mailbox.id, grant.right, grant.role, grant.folder, who): (mailbox, grant, who) for mailbox, grant, who in rows
    }
    for mailbox, grant, who in islice(each.values(), MOST):
        named = (mailbox.address, grant.folder, grant.role, who)
        yield powershell(_taken(mailbox, grant, who)) if all(map(str.isprintable, named)) else say(UNSEEN)
    yield from _others(len(each))


def _others(number: int) -> Iterator[Fix]:
    if number > MOST:
        yield say(f"Do the same for the other {number - MOST}; exosp audit --format json names them all.")


def _taken(mailbox: MailboxRecord, grant: Grant, trustee: str) -> str:
    deleted = mailbox.kind == "soft-deleted"
    where = quoted(mailbox.id if deleted else mailbox.address)
    who = quoted(trustee)
    switch = " -SoftDeletedMailbox" if deleted else " -GroupMailbox" if mailbox.kind == "group" else ""
    match grant.right:
        case "SendAs":
            return f"Remove-RecipientPermission -Identity {where} -Trustee {who} -AccessRights SendAs"
        case "SendOnBehalf":
            return f"Set-Mailbox -Identity {where} -GrantSendOnBehalfTo @{{Remove={who}}}"
        case "Folder":
            folder = quoted(f"{mailbox.address}:\\{grant.folder.lstrip(chr(92))}")
            return f"Remove-MailboxFolderPermission -Identity {folder} -User {who}"
        case _:
            right = grant.role if grant.right == "other" and grant.role else grant.right
            shown = right if right.isalpha() else quoted(right)
            return f"Remove-MailboxPermission -Identity {where} -User {who} -AccessRights {shown}{switch}"


def given(held: Sequence[Holding], trustee: str) -> Iterator[Fix]:
    """The same rights for another entry."""
    wanted = {(row.mailbox.id, row.grant.right): row for row in held if row.grant.right in ("FullAccess", "SendAs")}
    for row in islice(wanted.values(), MOST):
        where, who = quoted(row.mailbox.address), quoted(trustee)
        if row.grant.right == "SendAs":
            yield powershell(f"Add-RecipientPermission -Identity {where} -Trustee {who} -AccessRights SendAs")
        else:
            switch = "-GroupMailbox" if row.mailbox.kind == "group" else "-AutoMapping $false"
            yield powershell(f"Add-MailboxPermission -Identity {where} -User {who} -AccessRights FullAccess {switch}")
    yield from _others(len(wanted))


def shown(mailbox: str) -> Fix:
    return powershell(f"Get-MailboxPermission -Identity {quoted(mailbox)}")


# Entries


def no_entry(entry: Entry) -> Fix:
    return powershell(f"Remove-ServicePrincipal -Identity {quoted(entry.object_id)}")


def new_entry(principal: Principal) -> Fix:
    return powershell(
        f"New-ServicePrincipal -AppId {quoted(principal.app_id)} -ObjectId {quoted(principal.object_id)}"
        f" -DisplayName {quoted(principal.name)}"
    )


# Consent


def revoked(app: App, resource: AppId, values: Iterable[str]) -> Iterator[Fix]:
    """Consent to these application permissions taken back."""
    values = sorted(values)
    if app.principal is None:
        if values:
            yield say(f"Take its consent to {' and '.join(values)} back in the Microsoft Entra admin center.")
        return
    who = quoted(app.principal.object_id)
    for value in values:
        yield powershell(
            f"$api = Get-MgServicePrincipalByAppId -AppId {quoted(resource)}; "
            f"$role = ($api.AppRoles | Where-Object {{ $_.Value -eq {quoted(value)} -and $_.AllowedMemberTypes -contains 'Application' }}).Id; "
            f"Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId {who} -All | "
            "Where-Object { $_.ResourceId -eq $api.Id -and $_.AppRoleId -eq $role } | "
            f"ForEach-Object {{ Remove-MgServicePrincipalAppRoleAssignment -ServicePrincipalId {who} -AppRoleAssignmentId $_.Id -Confirm }}"
        )  # fmt: skip


def disabled(principal: Principal) -> Fix:
    """Nobody signs in as it any more, and all it holds stays as it is."""
    return powershell(
        f"Update-MgServicePrincipal -ServicePrincipalId {quoted(principal.object_id)} -AccountEnabled:$false -Confirm"
    )


# Credentials


def no_key(app: App, credential: Credential) -> Fix:
    """One credential taken away. A certificate cannot be removed alone by a command without proof of another one."""
    key_id = quoted(credential.key_id)
    if credential.kind == "secret":
        if app.registration is not None and credential in app.registration.credentials:
            whose = f"Remove-MgApplicationPassword -ApplicationId {quoted(app.registration.object_id)}"
        elif app.principal is not None:
            whose = f"Remove-MgServicePrincipalPassword -ServicePrincipalId {quoted(app.principal.object_id)}"
        else:
            return say("Remove it in the Microsoft Entra admin center.")
        return powershell(f"{whose} -KeyId {key_id} -Confirm")
    return say(f"Remove the certificate with the key ID {credential.key_id} in the Microsoft Entra admin center.")


def some_key(app: App, secrets: Iterable[Credential]) -> Iterator[Fix]:
    """One of these secrets taken away, which whoever pastes it chooses: all of them at once would stop the application."""
    held = tuple(secrets)
    made, here = app.registration, app.principal
    if made is not None and any(secret in made.credentials for secret in held):
        yield powershell(
            f"Remove-MgApplicationPassword -ApplicationId {quoted(made.object_id)} -KeyId (Read-Host 'key ID') -Confirm"
        )
    if here is not None and any(secret in here.credentials for secret in held):
        yield powershell(
            f"Remove-MgServicePrincipalPassword -ServicePrincipalId {quoted(here.object_id)} -KeyId (Read-Host 'key ID') -Confirm"
        )


def owned(registration: Registration) -> Fix:
    return say(
        "Name two people who answer for it, in the Microsoft Entra admin center under App registrations, Owners"
        f" (object ID {registration.object_id})."
    )


# Management roles


def scoped(app: App, roles: Iterable[str]) -> Iterator[Fix]:
    """These management roles within a scope of a group's direct members."""
    scope = quoted(f"Mailboxes of {app.id}")
    yield say("Choose the group whose direct members are the mailboxes that it needs, and name it below.")
    right = app.principal.object_id.lower() if app.principal is not None else ""
    if app.principal is not None and all(entry.object_id.lower() != right for entry in app.entries):
        yield new_entry(app.principal)
    yield powershell(
        f"New-ManagementScope -Name {scope} -RecipientRestrictionFilter"
        " \"MemberOfGroup -eq '$((Get-Group -Identity (Read-Host 'group')).DistinguishedName)'\""
    )
    for role in roles:
        yield powershell(
            f"New-ManagementRoleAssignment -Role {quoted(role)} -App {quoted(app.id)} -CustomResourceScope {scope}"
        )


def no_assignment(name: str) -> Fix:
    return (
        powershell(f"Remove-ManagementRoleAssignment -Identity {quoted(name)}") if name.isprintable() else say(UNSEEN)
    )
