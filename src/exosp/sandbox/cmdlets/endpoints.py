"""The session configurations of a management host: what a session there may do, and what it may not.

- Windows' own (Microsoft.PowerShell, PowerShell.7): full language, the module, nothing prepared.
- ExchangeManagement: no-language mode, with the module's cmdlets as they are.
- Exosp.JEA: constrained. Visible are wrapper functions of the same names, with fixed parameters and values, and
  Connect-Exosp -Token <SecureString>, which alone can connect. The wrappers are visible whatever the caller's roles;
  Get-ExospCommand says which of them have a cmdlet to call. RestrictedRemoteServer's own commands apart, nothing else is
  there: not the module, not Connect-ExchangeOnline.
- Exosp.Audit: the same, with those wrappers alone that read: the others are not there at all.
- Exosp.Ready: the wrappers of Exosp.JEA, in a session that the host has connected itself with a certificate of its own.

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
from .outcome import BINDING, Failure, Item
from .session import PLAIN, Call, Cmdlet, Endpoint

_ADDRESS = r'[^*;|<>"`]{1,320}'  # an address, a GUID or a name; no wildcard
_NAME = r'[^*;|<>"`]{1,64}'
_SMTP = "Application SMTP.SendAsApp"
_GUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_DOMAIN = r"[A-Za-z0-9-]+\.(onmicrosoft\.com|onmicrosoft\.us|partner\.onmschina\.cn)"
_SIZE = r"(\d{1,7}|Unlimited)?"  # Unlimited is bound as nothing
_MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"
_NAMED = r".{1,320}"  # what people are called, which may hold anything
ANY = r".*"
# What an audit asks the log about, and nothing else.
_OPERATIONS = (
    "Add-MailboxPermission", "Remove-MailboxPermission", "Add-RecipientPermission", "Remove-RecipientPermission",
    "Add-MailboxFolderPermission", "Set-MailboxFolderPermission", "Remove-MailboxFolderPermission", "New-ServicePrincipal",
    "Remove-ServicePrincipal", "Set-ServicePrincipal", "New-ApplicationAccessPolicy", "Remove-ApplicationAccessPolicy",
    "New-ManagementRoleAssignment", "Remove-ManagementRoleAssignment", "New-ManagementScope", "Set-ManagementScope",
    "Remove-ManagementScope", "Set-CASMailbox", "Set-TransportConfig",
)  # fmt: skip

# Wrapper -> parameter -> the values it takes, as a pattern that holds each of them whole.
WRAPPERS: Mapping[str, Mapping[str, str]] = {
    "Get-ServicePrincipal": {"Identity": _GUID},
    "New-ServicePrincipal": {"AppId": _GUID, "ObjectId": _GUID, "DisplayName": r".{1,256}"},
    "Remove-ServicePrincipal": {"Identity": _GUID, "Confirm": ANY},
    "Get-Mailbox": {"Identity": _ADDRESS, "ResultSize": _SIZE, "SoftDeletedMailbox": ANY, "GroupMailbox": ANY},
    "Get-Recipient": {"Identity": _NAMED, "ResultSize": _SIZE},
    "Get-MailboxPermission": {
        "Identity": _ADDRESS, "ResultSize": _SIZE, "User": _ADDRESS, "IncludeUnresolvedPermissions": ANY, "SoftDeletedMailbox": ANY,
        "GroupMailbox": ANY,
    },
    "Add-MailboxPermission": {"Identity": _ADDRESS, "User": _ADDRESS, "AccessRights": "FullAccess|ReadPermission", "AutoMapping": ANY},
    "Remove-MailboxPermission": {"Identity": _ADDRESS, "User": _ADDRESS, "AccessRights": r"\w+", "Confirm": ANY},
    "Get-RecipientPermission": {"Identity": _ADDRESS, "ResultSize": _SIZE, "Trustee": _ADDRESS},
    "Add-RecipientPermission": {"Identity": _ADDRESS, "Trustee": _ADDRESS, "AccessRights": "SendAs", "Confirm": ANY},
    "Remove-RecipientPermission": {"Identity": _ADDRESS, "Trustee": _ADDRESS, "AccessRights": "SendAs", "Confirm": ANY},
    "Get-CASMailbox": {"Identity": _ADDRESS, "ResultSize": _SIZE},
    "Set-CASMailbox": {"Identity": _ADDRESS, "ImapEnabled": ANY, "PopEnabled": ANY, "SmtpClientAuthenticationDisabled": ANY},
    "Get-TransportConfig": {},
    "Get-OrganizationConfig": {},
    "Get-DistributionGroup": {"Identity": _ADDRESS, "ResultSize": _SIZE},
    "Get-UnifiedGroup": {"Identity": _ADDRESS, "ResultSize": _SIZE},
    "Get-ManagementScope": {"Identity": _NAME},
    "New-ManagementScope": {"Name": _NAME, "RecipientRestrictionFilter": r".{1,4096}"},
    "Set-ManagementScope": {"Identity": _NAME, "RecipientRestrictionFilter": r".{1,4096}"},
    "Remove-ManagementScope": {"Identity": _NAME, "Confirm": ANY},
    "Get-ManagementRoleAssignment": {"Identity": _ADDRESS, "RoleAssignee": _ADDRESS, "Role": _SMTP, "RoleAssigneeType": r"[A-Za-z]{1,40}"},
    "New-ManagementRoleAssignment": {
        "Name": _NAME, "Role": _SMTP, "App": _GUID, "CustomResourceScope": _NAME,
        "RecipientAdministrativeUnitScope": _ADDRESS, "RecipientGroupScope": _ADDRESS,
    },
    "Remove-ManagementRoleAssignment": {"Identity": _ADDRESS, "Confirm": ANY},
    "Test-ServicePrincipalAuthorization": {"Identity": _GUID, "Resource": _ADDRESS},
    # An audit's own
    "Get-User": {"Identity": _NAMED, "ResultSize": _SIZE},
    "Get-MailboxFolderPermission": {"Identity": r'[^;<>"\\]{1,320}:\\[\w ]{0,64}', "ResultSize": _SIZE, "User": _ADDRESS},
    "Get-AuthenticationPolicy": {},
    "Get-ApplicationAccessPolicy": {},
    "Search-UnifiedAuditLog": {
        "StartDate": _MOMENT, "EndDate": _MOMENT, "Operations": "|".join(_OPERATIONS), "SessionId": r"exosp-[0-9a-f-]{36}",
        "SessionCommand": "ReturnLargeSet", "ResultSize": r"\d{1,4}",
    },
}  # fmt: skip
# What a wrapper demands although the cmdlet does not: without -Operations the log shows what everybody does.
_DEMANDED: Mapping[str, tuple[str, ...]] = {
    "Search-UnifiedAuditLog": ("Operations",),
    "Set-ManagementScope": ("RecipientRestrictionFilter",),
}
_READING = ("Get-", "Search-")
# RestrictedRemoteServer's commands that this sandbox knows.
_RESTRICTED = frozenset({"Get-Command", "Out-Default", "Select-Object"})


ENDPOINTS: Mapping[str, Endpoint] = {
    endpoint.name: endpoint
    for endpoint in (
        PLAIN,
        replace(PLAIN, name="PowerShell.7"),
        Endpoint("ExchangeManagement", scripts=False),
        Endpoint("Exosp.JEA", scripts=False, wrapped=True),
        Endpoint("Exosp.Audit", scripts=False, wrapped=True, reads=True),
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
    inner = rest | {"AccessToken": token.reveal(), "CommandName": sorted(wrappers(call.runspace.endpoint))}
    known = of_version(spec("Connect-ExchangeOnline"), call.tenant.options.module)
    return connect(replace(call, values=bind(known, list(inner.items()), CONNECT).values))


def _offers(call: Call) -> Any:
    """The wrappers that have something to call."""
    for name in WRAPPERS:
        if name in wrappers(call.runspace.endpoint) and call.runspace.connection(name) is not None:
            yield Item(("System.Management.Automation.PSCustomObject", "System.Object"), {"Name": name}, name)


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
    "Get-ExospCommand": (_own("Get-ExospCommand", {}), Cmdlet(_offers, frozenset(), module=True)),
}
_OWN_PATTERNS: Mapping[str, Mapping[str, str]] = {
    "Connect-Exosp": {
        "Organization": _DOMAIN,
        "DelegatedOrganization": _DOMAIN,
        "UserPrincipalName": _ADDRESS,
        "ExchangeEnvironmentName": r"O365\w+",
    },
}


def wrappers(endpoint: Endpoint) -> frozenset[str]:
    """The wrappers of a constrained endpoint."""
    return frozenset(name for name in WRAPPERS if not endpoint.reads or name.startswith(_READING))


def visible(endpoint: Endpoint) -> frozenset[str]:
    """The commands of a constrained endpoint."""
    own = frozenset(OWN) - ({"Connect-Exosp", "Disconnect-Exosp"} if endpoint.connected else set())
    return _RESTRICTED | wrappers(endpoint) | own


def wrapper(name: str) -> Spec:
    """A cmdlet as its wrapper shows it: with those parameters alone."""
    whole, kept = spec(name), WRAPPERS[name]
    more = _DEMANDED.get(name, ())
    mandatory = {key: (*(p for p in needed if p in kept), *more) for key, needed in whole.mandatory.items()}
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
