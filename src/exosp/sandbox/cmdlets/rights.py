"""Which cmdlets an identity has: Entra roles and role groups -> management roles -> cmdlets.

Sources: "App-only authentication in Exchange Online" (office-docs-powershell, app-only-auth-powershell-v2.md) for the
Entra roles that may connect; "Permissions in Exchange Online" for which role group each stands for; FACTS §6 for
New-ServicePrincipal needing Role Management (michev.info 4027). The entries of a role are background knowledge, held to
the cmdlets of the vendor's table; a live tenant answers them with Get-ManagementRoleEntry.
It imitates no scopes, no delegation and no delay of a new role.
"""

_RECIPIENT_READS = frozenset({
    "Get-Mailbox", "Get-Recipient", "Get-User", "Get-CASMailbox", "Get-MailboxPermission", "Get-RecipientPermission",
    "Get-DistributionGroup", "Get-DistributionGroupMember", "Get-UnifiedGroup", "Get-UnifiedGroupLinks",
    "Get-MailboxFolderPermission", "Get-AcceptedDomain",
})  # fmt: skip
_CONFIGURATION_READS = frozenset({
    "Get-OrganizationConfig", "Get-TransportConfig", "Get-AcceptedDomain", "Get-ServicePrincipal", "Get-ManagementScope",
    "Get-ManagementRole", "Get-ManagementRoleEntry", "Get-ManagementRoleAssignment", "Get-RoleGroupMember",
    "Get-ApplicationAccessPolicy", "Get-AuthenticationPolicy",
})  # fmt: skip

MANAGEMENT_ROLES: dict[str, frozenset[str]] = {
    "View-Only Recipients": _RECIPIENT_READS,
    "View-Only Configuration": _CONFIGURATION_READS,
    "Mail Recipients": _RECIPIENT_READS | {
        "Set-CASMailbox", "Add-MailboxPermission", "Remove-MailboxPermission", "Add-RecipientPermission",
        "Remove-RecipientPermission",
    },
    "Role Management": frozenset({
        "New-ServicePrincipal", "Get-ServicePrincipal", "Set-ServicePrincipal", "Remove-ServicePrincipal",
        "New-ManagementScope", "Get-ManagementScope", "Set-ManagementScope", "Remove-ManagementScope",
        "New-ManagementRoleAssignment", "Get-ManagementRoleAssignment", "Remove-ManagementRoleAssignment",
        "Get-ManagementRole", "Get-ManagementRoleEntry", "New-RoleGroup", "Add-RoleGroupMember", "Get-RoleGroupMember",
        "Test-ServicePrincipalAuthorization",
    }),
    "Organization Configuration": frozenset({
        "Get-OrganizationConfig", "Enable-OrganizationCustomization", "Get-ApplicationAccessPolicy",
        "New-ApplicationAccessPolicy", "Test-ApplicationAccessPolicy", "Get-AuthenticationPolicy", "Get-AcceptedDomain",
    }),
    "Organization Transport Settings": frozenset({"Get-TransportConfig", "Set-TransportConfig"}),
    "Audit Logs": frozenset({"Search-UnifiedAuditLog"}),
    "View-Only Audit Logs": frozenset({"Search-UnifiedAuditLog"}),
}  # fmt: skip

_VIEW_ONLY = frozenset({"View-Only Recipients", "View-Only Configuration"})
ROLE_GROUPS: dict[str, frozenset[str]] = {
    "Organization Management": frozenset(MANAGEMENT_ROLES),
    "Recipient Management": frozenset({"Mail Recipients"}),
    "View-Only Organization Management": _VIEW_ONLY,
    "Help Desk": frozenset({"View-Only Recipients"}),
    "Security Reader": frozenset({"View-Only Configuration"}),
}

# The Entra roles that app-only authentication supports, by the role group that each stands for.
ENTRA_ROLES: dict[str, str] = {
    "Global Administrator": "Organization Management",
    "Exchange Administrator": "Organization Management",
    "Exchange Recipient Administrator": "Recipient Management",
    "Global Reader": "View-Only Organization Management",
    "Compliance Administrator": "Security Reader",
    "Security Administrator": "View-Only Organization Management",
    "Security Reader": "Security Reader",
    "Helpdesk Administrator": "Help Desk",
}


def cmdlets(entra_roles: set[str], role_groups: set[str]) -> frozenset[str]:
    """What an identity may run. A custom role group is named by the management role that it holds. Empty: it may not
    even connect."""
    groups = {ENTRA_ROLES[role] for role in entra_roles if role in ENTRA_ROLES} | role_groups
    roles = {role for group in groups for role in ROLE_GROUPS.get(group, frozenset({group}))}
    return frozenset(name for role in roles for name in MANAGEMENT_ROLES.get(role, ()))
