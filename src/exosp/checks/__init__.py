"""The checks, one a file, in the order in which an auditor reads them. A check is added here and nowhere else.

A check's ``NEEDS`` are the sections without which it would say what is not so, or nothing at all. What only adds to what it
finds is not among them: an audit that could not read Exchange still tells what Entra alone shows.
"""

from types import ModuleType

from ..finding import Check
from . import (
    access_policy_without_effect,
    can_grant_itself_mail,
    consent_without_grant,
    credential_expired,
    credential_expiring,
    credential_on_enterprise_application,
    credential_too_long_lived,
    delegated_for_everyone,
    disabled_but_granted,
    enterprise_application_missing,
    entry_duplicated,
    exchange_entry_orphaned,
    full_access_by_inheritance,
    grant_on_soft_deleted_mailbox,
    grant_to_privileged_mailbox,
    grant_without_consent,
    granted_outside_exosp,
    manages_exchange,
    multi_tenant_without_need,
    not_in_any_playbook,
    owner_disabled,
    owner_missing,
    playbook_drift,
    protocol_off_but_granted,
    rbac_scope_missing,
    rbac_scope_too_wide,
    secret_where_certificate_possible,
    send_as_without_need,
    several_live_secrets,
    smtp_auth_admits_passwords,
    smtp_auth_tenant_wide,
    smtp_mode_mixed,
    tenant_wide_mail_access,
    third_party_access,
    too_many_mailboxes,
    unresolved_trustee,
    unused_access,
    wrong_object_id,
)

_MODULES: tuple[ModuleType, ...] = (
    # who reaches everything
    tenant_wide_mail_access,
    rbac_scope_too_wide,
    can_grant_itself_mail,
    manages_exchange,
    delegated_for_everyone,
    third_party_access,
    # who reaches what needs care, or too much
    grant_to_privileged_mailbox,
    too_many_mailboxes,
    full_access_by_inheritance,
    send_as_without_need,
    # what is not as it should be between Entra and Exchange
    wrong_object_id,
    enterprise_application_missing,
    exchange_entry_orphaned,
    entry_duplicated,
    grant_without_consent,
    consent_without_grant,
    unresolved_trustee,
    smtp_mode_mixed,
    rbac_scope_missing,
    access_policy_without_effect,
    # the tenant's own settings
    smtp_auth_admits_passwords,
    smtp_auth_tenant_wide,
    # what lets an application sign in, and who answers for it
    credential_expiring,
    credential_on_enterprise_application,
    credential_too_long_lived,
    several_live_secrets,
    credential_expired,
    secret_where_certificate_possible,
    multi_tenant_without_need,
    owner_disabled,
    owner_missing,
    # what is not needed any more
    unused_access,
    disabled_but_granted,
    protocol_off_but_granted,
    grant_on_soft_deleted_mailbox,
    # what was meant to be
    playbook_drift,
    not_in_any_playbook,
    granted_outside_exosp,
)


def _check(module: ModuleType) -> Check:
    return Check(module.__name__.rpartition(".")[2].replace("_", "-"), module.__doc__ or "", module.NEEDS, module.find)


CHECKS: tuple[Check, ...] = tuple(map(_check, _MODULES))
