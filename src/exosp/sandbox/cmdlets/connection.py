"""Connect-ExchangeOnline and its companions: the ExchangeOnlineManagement module as an unattended session sees it.

Sources: the cmdlets' help; FACTS §4d, §6, §7, §13. The token is minted elsewhere and comes as -AccessToken <String>; its
audience, Exchange.ManageAsApp and a directory role or role group decide. A person's token takes -UserPrincipalName, and
-DelegatedOrganization where the organization is a partner's customer (learn.microsoft.com/powershell/partnercenter/
exchange-online-gdap-app: with a token of the customer's tenant). -AppId and -CertificateThumbprint take a certificate
of the host's store. It imitates no interactive sign-in, and no token of the partner's own tenant, which connects there
whatever -DelegatedOrganization says (office-docs-powershell#10378).
"""

import fnmatch
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from ..tenant import Tenant
from ..tokens import TokenFault
from . import rights
from .binding import Spec
from .outcome import Failure, Item, Output, no_language, not_emulated
from .session import Call, Cmdlet, Connection, Runspace

DEFAULT_ENVIRONMENT = "O365Default"  # of the module, where none is named: Connect-ExchangeOnline's help
ROLE = "Exchange.ManageAsApp"
# Honoured, or without effect on a session that prints nothing.
CONNECT = frozenset({
    "AccessToken", "Organization", "DelegatedOrganization", "UserPrincipalName", "AppId", "CertificateThumbprint", "CommandName", "ExchangeEnvironmentName", "ShowBanner", "ShowProgress", "DisableWAM",
    "SkipLoadingFormatData", "SkipLoadingCmdletHelp", "LoadCmdletHelp", "BypassMailboxAnchoring", "PageSize",
    "TrackPerformance", "UseMultithreading", "EnableErrorReporting", "EXOModuleBasePath", "LogDirectoryPath", "LogLevel",
})  # fmt: skip


def unauthorized() -> Failure:
    """What the module prints for every token that the service refuses (field reports; it names no reason).

    That a wrong organization or environment reads the same is an assumption: no source shows those texts.
    """
    return Failure(
        "UnAuthorized",
        "UnAuthorized",
        types=("System.UnauthorizedAccessException", "System.SystemException", "System.Exception"),
        category="OperationStopped",
    )


def connect(call: Call) -> Iterator[Output]:
    tenant = call.tenant
    token, organization = call.text("AccessToken"), call.text("Organization")
    user, delegated = call.text("UserPrincipalName"), call.text("DelegatedOrganization")
    _no_scripts(call)
    if token is None and call.text("CertificateThumbprint"):
        return _by_certificate(call)
    if token is None:
        raise not_emulated("a sign-in without -AccessToken: this host has no window and no user")
    if organization is None and user is None and delegated is None:
        raise Failure(
            "AccessToken must be used with one of the parameters Organization, DelegatedOrganization, UserPrincipalName.",
            "InsufficientParameters",
            types=("System.ArgumentException", "System.SystemException", "System.Exception"),
            category="InvalidArgument",
        )
    try:
        claims = tenant.signer.verify(token)
    except TokenFault:
        raise unauthorized() from None
    audience = claims.get("aud")
    if not isinstance(audience, str) or audience.removesuffix("/") not in tenant.shape.audiences:
        raise unauthorized()
    # The primary .onmicrosoft.com domain, never the tenant's id (Connect-ExchangeOnline's help).
    if any(named is not None and named.lower() != tenant.domain.lower() for named in (organization, delegated)):
        raise unauthorized()
    if (call.values.get("ExchangeEnvironmentName") or DEFAULT_ENVIRONMENT) != tenant.shape.environment:
        raise unauthorized()
    if "scp" in claims:
        return _as_person(call, claims, user, delegated)
    if organization is None and delegated is None:  # an application's token is no person's
        raise unauthorized()
    roles = claims.get("roles")
    if not isinstance(roles, list) or ROLE not in roles:
        raise unauthorized()
    return _joined(call, str(claims.get("oid", "")), str(claims.get("appid", "")), float(claims["exp"]))


def _as_person(call: Call, claims: dict[str, Any], user: str | None, delegated: str | None) -> Iterator[Output]:
    """By a person's token: -UserPrincipalName says whose it is (Connect-ExchangeOnline's help), and what it may do is the
    person's. The delegated permissions are the module's own, or Exchange.Manage (FACTS §13). A partner's names the customer
    and need not name the person (the vendor's sample)."""
    scopes = str(claims.get("scp", "")).split()
    name = str(claims.get("upn") or claims.get("unique_name") or "").lower()
    if "idp" in claims and delegated is None:
        raise unauthorized()
    if (user or "").lower() != name and not (user is None and "idp" in claims):
        raise unauthorized()
    if not {"AdminApi.AccessAsUser.All", "Exchange.Manage"}.intersection(scopes):
        raise unauthorized()
    return _joined(call, str(claims.get("oid", "")), str(claims.get("appid", "")), float(claims["exp"]), name)


def _no_scripts(call: Call) -> None:
    """The module writes its proxies as scripts. Behind a wrapper they run, since the wrapper's own module is at full language."""
    endpoint = call.runspace.endpoint
    if endpoint.scripts or endpoint.wrapped or not call.tenant.faults["raw-endpoint"]:
        return
    call.tenant.faults.note("raw-endpoint")
    raise no_language()


_FOR_GOOD = 3650 * 86400.0


def _by_certificate(call: Call) -> Iterator[Output]:
    """By a certificate in the host's store. The module renews the token by itself."""
    tenant, app_id = call.tenant, call.text("AppId") or ""
    _no_scripts(call)
    if call.text("CertificateThumbprint") != tenant.host_thumbprint:
        raise Failure(
            "The certificate with the given thumbprint was not found in the certificate store.",  # the wording is assumed
            "CertificateNotFound",
            types=("System.Exception",),
            category="OperationStopped",
        )
    if key := int(tenant.faults["host-key"]):
        tenant.faults.note("host-key")
        raise Failure(
            "Invalid provider type specified." if key == 1 else "Keyset does not exist",
            "System.Security.Cryptography.CryptographicException",
            types=("System.Security.Cryptography.CryptographicException", "System.SystemException", "System.Exception"),
            category="OperationStopped",
        )
    principal = tenant.directory.principal(tenant.admin_app_id)
    if app_id.lower() != tenant.admin_app_id.lower() or principal is None:
        raise unauthorized()
    if (call.text("Organization") or "").lower() != tenant.domain.lower():
        raise unauthorized()
    return _joined(call, principal.id, app_id, tenant.clock.now() + _FOR_GOOD)


def connect_by_host(tenant: Tenant, runspace: Runspace, cmdlets: Iterable[str]) -> None:
    """What an endpoint's own start-up does: it connects with the host's certificate. Raises Failure."""
    values = {
        "AppId": tenant.admin_app_id,
        "CertificateThumbprint": tenant.host_thumbprint,
        "Organization": tenant.domain,
        "CommandName": list(cmdlets),
    }
    for _ in _by_certificate(Call("Connect-ExchangeOnline", tenant, runspace, values)):
        pass


# The first version of the module whose Connect-ExchangeOnline has them (the parameters' help).
_SINCE = {"AccessToken": (3, 1, 0), "DisableWAM": (3, 7, 2), "EXOModuleBasePath": (3, 9, 1)}


def of_version(cmdlet: Spec, version: str) -> Spec:
    """A cmdlet as that version of the module has it."""
    has = tuple(int(part) for part in version.split(".") if part.isdigit())
    young = {name for name in cmdlet.parameters if _SINCE.get(name, has) > has}
    if cmdlet.name != "Connect-ExchangeOnline" or not young:
        return cmdlet
    return replace(cmdlet, parameters={n: p for n, p in cmdlet.parameters.items() if n not in young})


def _joined(call: Call, object_id: str, app_id: str, expires: float, person: str = "") -> Iterator[Output]:
    """The connection of an identity, with the cmdlets that its roles hold. ``person``: whose it is, where it is no
    application's. Raises Failure where they hold none."""
    tenant = call.tenant
    allowed = rights.cmdlets(
        tenant.directory.directory_roles.get(object_id, set()), tenant.exchange.role_groups.get(object_id, set())
    )
    if not allowed and person:
        raise Failure(
            f'The user "{person}" isn\'t assigned to any management roles.',  # office-docs-powershell#6271
            "CmdletAccessDeniedException",
            category="OperationStopped",
        )
    if not allowed:
        raise Failure(
            f"The role assigned to application {app_id} isn't supported in this scenario. Please check online "
            "documentation for assigning correct Directory Roles to Azure AD Application for EXO App-Only Authentication.",
            "CmdletAccessDeniedException",
            category="OperationStopped",
        )
    wanted = call.values.get("CommandName") or ["*"]
    loaded = frozenset(n for n in allowed if any(fnmatch.fnmatch(n.lower(), str(w).lower()) for w in wanted))
    call.runspace.opened += 1
    call.runspace.connections.append(
        Connection(
            str(uuid.uuid4()),
            call.runspace.opened,
            object_id,
            app_id,
            tenant.domain,
            expires,
            allowed,
            loaded,
        )
    )
    return iter(())


def disconnect(call: Call) -> Iterator[Output]:
    named = call.values.get("ConnectionId")
    if not call.confirm(
        "Running this cmdlet clears all active sessions created using Connect-ExchangeOnline or Connect-IPPSSession.",
        high=True,
    ):
        return
    connections = call.runspace.connections
    for connection in [c for c in connections if named is None or c.id in named]:
        connections.remove(connection)
    yield from ()


def information(call: Call) -> Iterator[Output]:
    named, now = call.values.get("ConnectionId"), call.tenant.clock.now()
    for c in call.runspace.connections:
        if named is not None and c.id not in named:
            continue
        yield Item(
            ("Microsoft.Exchange.Management.ExoPowershellSnapin.ConnectionInformation", "System.Object"),
            {
                "ConnectionId": uuid.UUID(c.id), "State": "Connected", "Id": c.number, "Name": f"ExchangeOnline_{c.number}",
                "UserPrincipalName": None, "ConnectionUri": call.tenant.shape.exchange_resource, "AppId": c.app_id,
                "Organization": c.organization, "DelegatedOrganization": None, "TenantID": call.tenant.tenant_id,
                "TokenExpiryTimeUTC": call.tenant.clock.iso(c.expires),
                "TokenStatus": "Active" if now < c.expires else "Expired",
                "CertificateAuthentication": False, "ModulePrefix": None, "PageSize": 1000,
                "ConnectionUsedForInbuiltCmdlets": True, "IsEopSession": False,
            },
        )  # fmt: skip


CMDLETS = {
    "Connect-ExchangeOnline": Cmdlet(connect, CONNECT, module=True),
    "Disconnect-ExchangeOnline": Cmdlet(disconnect, frozenset({"ConnectionId", "Confirm", "WhatIf"}), module=True),
    "Get-ConnectionInformation": Cmdlet(information, frozenset({"ConnectionId"}), module=True),
}
