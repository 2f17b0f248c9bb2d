"""Every Exchange cmdlet that the sandbox emulates, in one table. What the vendor's table knows and this one does not
answers NotEmulated by name."""

from . import (
    audit_search,
    connection,
    folders,
    groups,
    mailboxes,
    management_roles,
    management_scopes,
    permissions,
    policies,
    principals,
)
from .session import Cmdlet

TABLE: dict[str, Cmdlet] = {
    **connection.CMDLETS,
    **principals.CMDLETS,
    **mailboxes.CMDLETS,
    **permissions.CMDLETS,
    **groups.CMDLETS,
    **management_scopes.CMDLETS,
    **management_roles.CMDLETS,
    **folders.CMDLETS,
    **policies.CMDLETS,
    **audit_search.CMDLETS,
}
