"""What a tenant asks of people: the right password, an account that is not blocked, an assignment, a second factor, and
whose consent counts.

Sources: learn.microsoft.com/entra/identity-platform/reference-error-codes (50034, 50126, 50057, 50105, 50076, 53003, 90094, 90099);
learn.microsoft.com/troubleshoot/entra/entra-id/app-integration/error-code-aadsts50020; learn.microsoft.com/powershell/
partnercenter/exchange-online-gdap-app (a partner's person: a GDAP relationship, and an application consented to beforehand);
MC1163922 (since November 2025 Microsoft's own consent policy leaves mail permissions to administrators).
"""

from ..aadsts import EntraFault
from ..directory import EXCHANGE_ONLINE, Entity, digest
from ..people import User
from ..tenant import Tenant
from .scopes import Asked


def signed_in(tenant: Tenant, name: str, password: str) -> User:
    """The person of that name, where the password is right. Raises EntraFault."""
    user = tenant.directory.people.by_name(name)
    if user is None:
        raise EntraFault(50034)
    if not password or user.password != digest(password):
        raise EntraFault(50126)
    if not user.enabled:
        raise EntraFault(50057)
    return user


def lets_in(tenant: Tenant, user: User, application: Entity, *, proved_twice: bool) -> None:
    """Refuse a person who may not use this application, or not like this."""
    if not user.enabled:
        raise EntraFault(50057)
    client, name = str(application.properties["appId"]), str(application.properties["displayName"])
    if user.home and not tenant.directory.directory_roles.get(user.id):
        directory = tenant.domain.partition(".")[0].title()
        raise EntraFault(50020, user=user.upn, home=user.home, directory=directory, client=client, name=name)
    principal = tenant.directory.principal(client)
    if principal is not None and principal.properties["appRoleAssignmentRequired"]:
        rows = tenant.directory.app_role_assignments.values()
        if not any((r.properties["principalId"], r.properties["resourceId"]) == (user.id, principal.id) for r in rows):
            raise EntraFault(50105, client=client, name=name, resource=client)
    if tenant.faults["person-policy"] == 2:
        tenant.faults.note("person-policy")
        raise EntraFault(53003)
    if tenant.faults["person-policy"] == 1 and not proved_twice:
        tenant.faults.note("person-policy")
        raise EntraFault(50076, resource=EXCHANGE_ONLINE)


def may_come(tenant: Tenant, user: User, application: Entity) -> None:
    """Whether a partner's person may consent by signing in: no, the application must have been authorized before."""
    if user.home:
        client, name = str(application.properties["appId"]), str(application.properties["displayName"])
        raise EntraFault(90099, client=client, name=name, tenant=tenant.tenant_id)


def may_consent(tenant: Tenant, lacking: list[Asked]) -> bool:
    """Whether a person may consent to these alone. The policy is about mail: what else is asked for is the person's."""
    if not tenant.faults["user-consent"]:
        return True
    if not any(item.resource.properties["appId"] == EXCHANGE_ONLINE for item in lacking):
        return True
    tenant.faults.note("user-consent")
    return False
