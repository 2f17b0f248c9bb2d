"""Connect-ExchangeOnline and its companions: the ExchangeOnlineManagement module as an unattended session sees it.

Sources: the cmdlets' help; FACTS §4d, §6, §7, §13. The token is minted elsewhere and comes as -AccessToken <String>; its
audience, Exchange.ManageAsApp and a directory role or role group decide. It imitates no interactive sign-in, no
certificate of the host's and no user's token: it says so where one is asked for.
"""

import fnmatch
import uuid
from collections.abc import Iterator

from ..tokens import TokenFault
from . import rights
from .outcome import Failure, Item, Output, not_emulated
from .session import Call, Cmdlet, Connection

DEFAULT_ENVIRONMENT = "O365Default"  # of the module, where none is named: Connect-ExchangeOnline's help
ROLE = "Exchange.ManageAsApp"
# Honoured, or without effect on a session that prints nothing.
CONNECT = frozenset({
    "AccessToken", "Organization", "CommandName", "ExchangeEnvironmentName", "ShowBanner", "ShowProgress", "DisableWAM",
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
    if token is None:
        raise not_emulated("a sign-in without -AccessToken: this host has no window, no user and no certificate")
    if organization is None:
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
    if "scp" in claims:
        raise not_emulated("a user's token: -AccessToken takes an application's")
    # The primary .onmicrosoft.com domain, never the tenant's id (Connect-ExchangeOnline's help).
    if organization.lower() != tenant.domain.lower():
        raise unauthorized()
    if (call.values.get("ExchangeEnvironmentName") or DEFAULT_ENVIRONMENT) != tenant.shape.environment:
        raise unauthorized()
    roles = claims.get("roles")
    if not isinstance(roles, list) or ROLE not in roles:
        raise unauthorized()
    object_id, app_id = str(claims.get("oid", "")), str(claims.get("appid", ""))
    allowed = rights.cmdlets(
        tenant.directory.directory_roles.get(object_id, set()), tenant.exchange.role_groups.get(object_id, set())
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
            organization,
            float(claims["exp"]),
            allowed,
            loaded,
        )
    )
    yield from ()


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
