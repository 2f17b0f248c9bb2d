"""The session configurations of a management host: what a session there may do, and what it may not.

- Windows' own (Microsoft.PowerShell, PowerShell.7): full language, the module, nothing prepared.
- ExchangeManagement: no-language mode, with the module's cmdlets as they are.
- Exosp.JEA: constrained. Visible are wrapper functions of the same names, with fixed parameters and values, and
  Connect-Exosp -Token <SecureString>, which alone can connect. RestrictedRemoteServer's own commands apart, nothing else is
  there: not the module, not Connect-ExchangeOnline.
- Exosp.Ready: the same wrappers, in a session that the host has connected itself with a certificate of its own.

They are what exosp's template for a host makes (``exosp template host``; a test holds the two together).
Sources: about_Session_Configuration_Files and the JEA articles (RestrictedRemoteServer, VisibleFunctions, ValidateSet);
FACTS §7 for why wrappers: the module's proxies are made while connecting and cannot be exposed raw.
It does not imitate: the language inside a wrapper's module, role definitions by group, virtual accounts, transcripts.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .binding import Bound, Parameter, SecureString, Spec, bind, spec
from .connection import CONNECT, connect, of_version
from .outcome import BINDING, Failure
from .session import PLAIN, Call, Cmdlet, Endpoint

_ADDRESS = r'[^*;|<>"`]{1,320}'  # an address, a GUID or a name; no wildcard
_NAME = r'[^*;|<>"`]{1,64}'
_SMTP = "Application SMTP.SendAsApp"
_GUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_DOMAIN = r"[A-Za-z0-9-]+\.(onmicrosoft\.com|onmicrosoft\.us|partner\.onmschina\.cn)"
_MOMENT = r"[0-9TZ: .+-]{8,35}"
ANY = r".*"

# Wrapper -> parameter -> the values it takes, as a pattern that holds each of them whole.
WRAPPERS: Mapping[str, Mapping[str, str]] = {
    "Get-ServicePrincipal": {"Identity": _GUID},
    "New-ServicePrincipal": {"AppId": _GUID, "ObjectId": _GUID, "DisplayName": r".{1,256}"},
    "Remove-ServicePrincipal": {"Identity": _GUID, "Confirm": ANY},
    "Get-Mailbox": {"Identity": _ADDRESS, "ResultSize": ANY, "SoftDeletedMailbox": ANY, "GroupMailbox": ANY},
    "Get-Recipient": {"Identity": _ADDRESS, "ResultSize": ANY},
    "Get-MailboxPermission": {
        "Identity": _ADDRESS, "ResultSize": ANY, "User": _ADDRESS, "IncludeUnresolvedPermissions": ANY,
        "SoftDeletedMailbox": ANY, "GroupMailbox": ANY,
    },
    "Add-MailboxPermission": {"Identity": _ADDRESS, "User": _ADDRESS, "AccessRights": "FullAccess|ReadPermission", "AutoMapping": ANY},
    "Remove-MailboxPermission": {"Identity": _ADDRESS, "User": _ADDRESS, "AccessRights": r"\w+", "Confirm": ANY},
    "Get-RecipientPermission": {"Identity": _ADDRESS, "ResultSize": ANY, "Trustee": _ADDRESS},
    "Add-RecipientPermission": {"Identity": _ADDRESS, "Trustee": _ADDRESS, "AccessRights": "SendAs", "Confirm": ANY},
    "Remove-RecipientPermission": {"Identity": _ADDRESS, "Trustee": _ADDRESS, "AccessRights": "SendAs", "Confirm": ANY},
    "Get-CASMailbox": {"Identity": _ADDRESS, "ResultSize": ANY},
    "Set-CASMailbox": {"Identity": _ADDRESS, "ImapEnabled": ANY, "PopEnabled": ANY, "SmtpClientAuthenticationDisabled": ANY},
    "Get-TransportConfig": {},
    "Get-OrganizationConfig": {},
    "Get-DistributionGroup": {"Identity": _ADDRESS, "ResultSize": ANY},
    "Get-UnifiedGroup": {"Identity": _ADDRESS, "ResultSize": ANY},
    "Get-ManagementScope": {"Identity": _NAME},
    "New-ManagementScope": {"Name": _NAME, "RecipientRestrictionFilter": r".{1,4096}"},
    "Set-ManagementScope": {"Identity": _NAME, "RecipientRestrictionFilter": r".{1,4096}"},
    "Remove-ManagementScope": {"Identity": _NAME, "Confirm": ANY},
    "Get-ManagementRoleAssignment": {"Identity": _ADDRESS, "RoleAssignee": _ADDRESS, "Role": _SMTP},
    "New-ManagementRoleAssignment": {
        "Name": _NAME, "Role": _SMTP, "App": _GUID, "CustomResourceScope": _NAME,
        "RecipientAdministrativeUnitScope": _ADDRESS, "RecipientGroupScope": _ADDRESS,
    },
    "Remove-ManagementRoleAssignment": {"Identity": _ADDRESS, "Confirm": ANY},
    "Test-ServicePrincipalAuthorization": {"Identity": _GUID, "Resource": _ADDRESS},
    "Get-User": {"Identity": _ADDRESS, "ResultSize": ANY},
    "Get-MailboxFolderPermission": {"Identity": r'[^*;|<>"`]{1,512}', "ResultSize": ANY, "User": _ADDRESS},
    "Get-AuthenticationPolicy": {},
    "Get-ApplicationAccessPolicy": {},
    "Search-UnifiedAuditLog": {
        "StartDate": _MOMENT, "EndDate": _MOMENT, "Operations": r"[A-Za-z-]{1,64}", "SessionId": r"[A-Za-z0-9-]{1,64}",
        "SessionCommand": "ReturnLargeSet", "ResultSize": r"\d{1,4}",
    },
}  # fmt: skip
# RestrictedRemoteServer's commands that this sandbox knows.
_RESTRICTED = frozenset({"Get-Command", "Out-Default", "Select-Object"})


ENDPOINTS: Mapping[str, Endpoint] = {
    endpoint.name: endpoint
    for endpoint in (
        PLAIN,
        replace(PLAIN, name="PowerShell.7"),
        Endpoint("ExchangeManagement", scripts=False),
        Endpoint("Exosp.JEA", scripts=False, wrapped=True),
        Endpoint("Exosp.Ready", scripts=False, wrapped=True, connected=True),
    )
}


def _own(name: str, types: Mapping[str, str]) -> Spec:
    return Spec(name, {key: Parameter(key, kind) for key, kind in types.items()})


def _connect_exosp(call: Call) -> Any:
    """The token, out of its SecureString, and the wrappers' cmdlets: all that Connect-ExchangeOnline is given."""
    token = call.values.get("Token")
    if not isinstance(token, SecureString):
        raise Failure(
            "Cannot process argument transformation on parameter 'Token'. Cannot convert the value of type "
            '"System.String" to type "System.Security.SecureString".',
            "ParameterArgumentTransformationError",
            types=("System.Management.Automation.ParameterBindingArgumentTransformationException", *BINDING),
            category="InvalidData",
        )
    rest = {name: value for name, value in call.values.items() if name != "Token"}
    inner = rest | {"AccessToken": token.reveal(), "CommandName": list(WRAPPERS)}
    known = of_version(spec("Connect-ExchangeOnline"), call.tenant.options.module)
    return connect(replace(call, values=bind(known, list(inner.items()), CONNECT).values))


def _disconnect_exosp(call: Call) -> Any:
    call.runspace.connections.clear()
    return iter(())


_CONNECT = {
    "Token": "SecureString", "Organization": "String", "DelegatedOrganization": "String", "UserPrincipalName": "String",
    "ExchangeEnvironmentName": "String",
}  # fmt: skip
OWN: Mapping[str, tuple[Spec, Cmdlet]] = {
    "Connect-Exosp": (
        _own("Connect-Exosp", _CONNECT),
        Cmdlet(_connect_exosp, frozenset(_CONNECT), module=True),
    ),
    "Disconnect-Exosp": (_own("Disconnect-Exosp", {}), Cmdlet(_disconnect_exosp, frozenset(), module=True)),
}
_OWN_PATTERNS: Mapping[str, Mapping[str, str]] = {
    "Connect-Exosp": {
        "Organization": _DOMAIN,
        "DelegatedOrganization": _DOMAIN,
        "UserPrincipalName": _ADDRESS,
        "ExchangeEnvironmentName": r"O365\w+",
    },
}


def visible(endpoint: Endpoint) -> frozenset[str]:
    """The commands of a constrained endpoint."""
    own = frozenset() if endpoint.connected else frozenset(OWN)
    return _RESTRICTED | frozenset(WRAPPERS) | own


def wrapper(name: str) -> Spec:
    """A cmdlet as its wrapper shows it: with those parameters alone."""
    whole, kept = spec(name), WRAPPERS[name]
    mandatory = {key: tuple(p for p in needed if p in kept) for key, needed in whole.mandatory.items()}
    return Spec(name, {key: p for key, p in whole.parameters.items() if key in kept}, mandatory)


def check(bound: Bound, values: Mapping[str, Any]) -> None:
    """ValidateSet and ValidatePattern of a wrapper's parameters. Raises Failure."""
    patterns = WRAPPERS.get(bound.spec.name) or _OWN_PATTERNS.get(bound.spec.name, {})
    for name, value in values.items():
        pattern = patterns.get(name, ANY)
        for one in value if isinstance(value, list) else [value]:
            if not re.fullmatch(pattern, "" if one is None else str(one), re.DOTALL | re.IGNORECASE):
                raise Failure(
                    f"Cannot validate argument on parameter '{name}'. The argument \"{one}\" does not match the "
                    f'"{pattern}" pattern. Supply an argument that matches "{pattern}" and try the command again.',
                    "ParameterArgumentValidationError",
                    types=("System.Management.Automation.ParameterBindingValidationException", *BINDING),
                    category="InvalidData",
                )
