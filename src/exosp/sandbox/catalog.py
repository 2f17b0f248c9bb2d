"""The resource principals that every tenant has (Office 365 Exchange Online, Microsoft Graph, and the one for Azure's
own management, for which Azure CLI asks a token before anything else) with their permissions,
and constructors for the applications that a tenant starts with.

Objects made here are long since replicated; what Graph makes later is not. It must not be asked for permission ids by
a client: those are read from the tenant's own resource principal, because clouds differ.

Ids: from ScubaGear's RiskyAppPermissions.json and of the vendor's permission reference. The GCC High ids of the three
mail roles are from ScubaGear commit f16241f5, whose title alone labels them. Exchange.AdminAPI.ManageAsApp exists but its
id is not published, so it is a new one in every tenant.
"""

import random
import secrets
import string
import uuid
from typing import Any, NamedTuple

from .clouds import RoleIds
from .directory import EXCHANGE_ONLINE, MICROSOFT_GRAPH, Directory, Entity, digest, new_id

ROLE_IDS: tuple[RoleIds, ...] = (
    "worldwide",
    "gcc-high",
    "random",
)  # as the knob role-ids counts them; 0: the cloud's own

# The tenant that Microsoft's own applications belong to.
MICROSOFT_SERVICES = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"

# Application permissions: value -> (worldwide id, display name).
EXCHANGE_APP_ROLES: dict[str, tuple[str | None, str]] = {
    "IMAP.AccessAsApp": ("5e5addcd-3e8d-4e90-baf5-964efab2b20a", "IMAP.AccessAsApp"),
    "POP.AccessAsApp": ("cb842b43-da6e-4506-86fe-bb12199c656d", "POP.AccessAsApp"),
    "SMTP.SendAsApp": ("7146a1f0-8703-45b3-9eae-527a64c00995", "Application access for sending emails via SMTP AUTH"),
    "Exchange.ManageAsApp": ("dc50a0fb-09a3-484d-be87-e023b12c6440", "Manage Exchange As Application"),
    "Exchange.ManageAsAppV2": ("ea3d980d-ebc7-4be4-8298-a167e5b8797c", "Manage Exchange As Application V2"),
    "Exchange.AdminAPI.ManageAsApp": (None, "Manage Exchange through the Admin API as application"),
    "full_access_as_app": ("dc890d15-9560-4a4c-9b7f-a736ec74ec40", "Use Exchange Web Services with full access to all mailboxes"),
    "Mail.Read": ("810c84a8-4a9e-49e6-bf7d-12d183f40d01", "Read mail in all mailboxes"),
    "Mail.ReadWrite": ("e2a3a72e-5f79-4c64-b1b1-878b674786c9", "Read and write mail in all mailboxes"),
    "Mail.Send": ("b633e1c5-b582-4048-a93e-9f11b44c7e96", "Send mail as any user"),
    "Calendars.Read": ("798ee544-9d2d-430c-a058-570e29e34338", "Read calendars in all mailboxes"),
    "Calendars.ReadWrite.All": ("ef54d2bf-783f-4e0f-bca1-3210c0444d99", "Read and write calendars in all mailboxes"),
    "Contacts.Read": ("089fe4d0-434a-44c5-8827-41ba8a0b17f5", "Read contacts in all mailboxes"),
    "Contacts.ReadWrite": ("6918b873-d17a-4dc1-b314-35f528134491", "Read and write contacts in all mailboxes"),
    "MailboxSettings.Read": ("40f97065-369a-49f4-947c-6a255697ae91", "Read all user mailbox settings"),
    "MailboxSettings.ReadWrite": ("6931bccd-447a-43d1-b442-00a195474933", "Read and write all user mailbox settings"),
}  # fmt: skip

GCC_HIGH: dict[str, str] = {
    "IMAP.AccessAsApp": "28b54159-e98b-4a00-9d52-10c8c7cbd7f3",
    "POP.AccessAsApp": "de49976f-4890-467b-967d-b3847b062f21",
    "SMTP.SendAsApp": "ce81e10f-fda1-4348-8947-f7fdb6c649ad",
}

EXCHANGE_SCOPES: dict[str, str] = {
    "IMAP.AccessAsUser.All": "195adc35-e27b-454b-a7ed-1ecdffa1c09f",
    "POP.AccessAsUser.All": "fb698133-92fa-453e-a9ed-688e10f2e5ac",
    "SMTP.Send": "76faac2a-0f20-42f1-928a-50de5b9dbe52",
    "EWS.AccessAsUser.All": "3b5f3d61-589b-4a3c-a359-5dd4b5ee5bd5",
    "Exchange.Manage": "ab4f2b77-0b06-4fc1-a9de-02113fc2ab7c",
    "Exchange.ManageV2": "44d6b5f2-d42b-4fa7-b999-1c5fcab98e4d",
    "AdminApi.AccessAsUser.All": "c1b5d1a4-3f0e-4a6e-9c64-0d6f5f0a7b11",  # no source has its id
    "user_impersonation": "a5f1a2ce-6f38-4d1b-8d5e-2d2c5a9c2f10",  # nor this one's
}

GRAPH_APP_ROLES: dict[str, tuple[str | None, str]] = {
    "Application.Read.All": ("9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30", "Read all applications"),
    "Application.ReadWrite.All": ("1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9", "Read and write all applications"),
    "Application.ReadWrite.OwnedBy": ("18a4783c-866b-4cc7-a460-3d5e5662c884", "Manage apps that this app creates or owns"),
    "AppRoleAssignment.ReadWrite.All": ("06b708a9-e830-4db3-a914-8e69da51d44f", "Manage app permission grants and app role assignments"),
    "DelegatedPermissionGrant.ReadWrite.All": ("8e8e4742-1d95-4f68-9d56-6ee75648c72a", "Manage all delegated permission grants"),
    "DelegatedPermissionGrant.Read.All": ("81b4724a-58aa-41c1-8a55-84ef97466587", "Read all delegated permission grants"),
    "Directory.Read.All": ("7ab1d382-f21e-4acd-a863-ba3e13f7da61", "Read directory data"),
    "Directory.ReadWrite.All": ("19dbc75e-c2e2-444c-a770-ec69d8559fc7", "Read and write directory data"),
    "Domain.Read.All": ("dbb9058a-0e50-45d7-ae91-66909b5d4664", "Read domains"),
    "Organization.Read.All": ("498476ce-e0fe-48b0-b801-37ba7e2685c6", "Read organization information"),
    "RoleManagement.Read.Directory": ("483bed4a-2ad3-4361-a73b-c83ccdbdc53c", "Read all directory RBAC settings"),
    "RoleManagement.ReadWrite.Directory": ("9e3f62cf-ca93-4989-b6ce-bf83c28f9fe8", "Read and write all directory RBAC settings"),
    "Policy.Read.All": ("246dd0d5-5bd0-4def-940b-0421030a5b68", "Read your organization's policies"),
    "AuditLog.Read.All": ("b0afded3-3588-46d8-8b3d-9842eff778da", "Read all audit log data"),
    "User.Read.All": ("df021288-bdef-4463-88db-98f22de89214", "Read all users' full profiles"),
    "User.ReadWrite.All": ("741f803b-c850-494e-b5df-cde7c675a1ca", "Read and write all users' full profiles"),
    "Group.Read.All": ("5b567255-7703-4780-807c-7be8301ae99b", "Read all groups"),
    "Group.ReadWrite.All": ("62a82d76-70ea-41e2-9197-370581804d09", "Read and write all groups"),
    "Mail.Read": ("810c84a8-4a9e-49e6-bf7d-12d183f40d01", "Read mail in all mailboxes"),
    "Mail.ReadWrite": ("e2a3a72e-5f79-4c64-b1b1-878b674786c9", "Read and write mail in all mailboxes"),
    "Mail.Send": ("b633e1c5-b582-4048-a93e-9f11b44c7e96", "Send mail as any user"),
    "Mail.ReadBasic.All": ("693c5e45-0940-467d-9b8a-1022fb9d42ef", "Read basic mail in all mailboxes"),
    "Mail.ReadBasic": ("6be147d2-ea4f-4b5a-a3fa-3eab6f3c140a", "Read basic mail in all mailboxes"),
    "Mail-Advanced.ReadWrite.All": (None, "Read and write mail in all mailboxes, its sensitive properties too"),
    "MailboxFolder.Read.All": (None, "Read all the users' mailbox folders"),
    "MailboxFolder.ReadWrite.All": (None, "Read and write all the users' mailbox folders"),
    "MailboxItem.Read.All": (None, "Read all users' mailbox items"),
    "MailboxItem.Export.All": (None, "Export all users' mailbox items"),
    "MailboxItem.ImportExport.All": (None, "Allows the app to perform backup and restore for all mailbox items"),
    "MailboxSettings.Read": ("40f97065-369a-49f4-947c-6a255697ae91", "Read all user mailbox settings"),
    "Calendars.Read": ("798ee544-9d2d-430c-a058-570e29e34338", "Read calendars in all mailboxes"),
    "Contacts.Read": ("089fe4d0-434a-44c5-8827-41ba8a0b17f5", "Read contacts in all mailboxes"),
    "Sites.Read.All": ("332a536c-c7ef-4017-ab91-336970924f0d", "Read items in all site collections"),
    "Files.Read.All": ("01d4889c-1287-42c6-ac1f-5d1e02578ef6", "Read files in all site collections"),
}  # fmt: skip

# The mail scopes have Exchange's names and other ids: people mix the two resources up.
GRAPH_SCOPES: dict[str, str] = {
    "User.Read": "e1fe6dd8-ba31-4d61-89e7-88639da4683d",
    "Mail.Read": "570282fd-fa5c-430d-a7fd-fc8dc98a9dca",
    "Mail.Send": "e383f46e-2787-4529-855e-0e479a3ffac0",
    "IMAP.AccessAsUser.All": "652390e4-393a-48de-9484-05f9b1212954",
    "POP.AccessAsUser.All": "d7b7f2d9-0f45-4ea1-9d42-e50810c06991",
    "SMTP.Send": "258f6531-6087-4cc4-bb90-092c5fb3ed3f",
    "openid": "37f7f235-527c-4136-accd-4a02d197296e",
    "offline_access": "7427e0e9-2fba-42fe-b0c0-848c9e6a8182",
    "Application.ReadWrite.All": "bdfbf15f-ee85-4955-8675-146e8e5296b5",
    "AppRoleAssignment.ReadWrite.All": "84bccea3-f856-4a8a-967b-dbe0a3d53a64",
    "Directory.Read.All": "06da0dbc-49e2-44d2-8312-53f166ab848a",
    "Application.Read.All": "c79f8feb-a9db-4090-85f9-90d820caa0eb",
}

# Microsoft's own clients, in every tenant: what each may have of a resource without anybody's consent. Microsoft Graph's
# command line tools are consented to as any client is. Anything else of Exchange is refused to all of them, AADSTS65002
# (FACTS §13: ids from their modules, permissions from field reports).
PREAUTHORIZED: dict[str, dict[str, tuple[str, ...]]] = {
    "fb78d390-0c51-40cd-8e17-fdbfab77341b": {EXCHANGE_ONLINE: ("AdminApi.AccessAsUser.All",)},
    "04b07795-8ddb-461a-bbee-02f9e1bf7b46": {EXCHANGE_ONLINE: ("user_impersonation",)},
    "14d82eec-204b-4c2f-b7e8-296a70dab67e": {},
}
_MICROSOFT_NAMES = {
    "fb78d390-0c51-40cd-8e17-fdbfab77341b": "Microsoft Exchange REST API Based Powershell",
    "04b07795-8ddb-461a-bbee-02f9e1bf7b46": "Microsoft Azure CLI",
    "14d82eec-204b-4c2f-b7e8-296a70dab67e": "Microsoft Graph Command Line Tools",
}

# The tenant's Azure Resource Manager: tokens for it are minted, the service itself is not emulated
# (learn.microsoft.com/troubleshoot/entra/entra-id/governance/verify-first-party-apps-sign-in).
AZURE_MANAGEMENT = "797f4846-ba00-4fd7-ba43-dac1f8f63013"
AZURE_MANAGEMENT_NAMES = ("https://management.core.windows.net/", "https://management.azure.com/")
AZURE_MANAGEMENT_SCOPES: dict[str, str] = {"user_impersonation": "41094075-9dad-400e-a0bd-54e686782033"}


class Credentials(NamedTuple):
    """What a client needs to be an application; ``principal_id`` is the enterprise application's object id."""

    app_id: str
    secret: str
    principal_id: str

    def __repr__(self) -> str:
        return f"Credentials(app_id={self.app_id!r}, secret=<hidden>, principal_id={self.principal_id!r})"


def new_secret() -> str:
    """A secret value in Entra's shape: three characters, digit, ``Q~``, then 34 more."""
    alphabet = string.ascii_letters + string.digits + "._-~"
    head = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(3))
    return f"{head}8Q~" + "".join(secrets.choice(alphabet) for _ in range(34))


def application_properties(directory: Directory, display_name: str, app_id: str, created: str) -> dict[str, Any]:
    """An application as Graph serves a new one (learn.microsoft.com/graph/api/application-post-applications)."""
    return {
        "id": new_id(), "deletedDateTime": None, "appId": app_id, "applicationTemplateId": None,
        "disabledByMicrosoftStatus": None, "createdByAppId": None, "createdDateTime": created, "displayName": display_name,
        "description": None, "groupMembershipClaims": None, "identifierUris": [], "isDeviceOnlyAuthSupported": None,
        "isFallbackPublicClient": None, "nativeAuthenticationApisEnabled": None, "notes": None,
        "publisherDomain": directory.domain, "serviceManagementReference": None, "signInAudience": "AzureADMyOrg",
        "tags": [], "tokenEncryptionKeyId": None, "uniqueName": None, "samlMetadataUrl": None, "defaultRedirectUri": None,
        "certification": None, "optionalClaims": None, "requestSignatureVerification": None, "addIns": [],
        "api": {"acceptMappedClaims": None, "knownClientApplications": [], "requestedAccessTokenVersion": None,
                "oauth2PermissionScopes": [], "preAuthorizedApplications": []},
        "appRoles": [],
        "info": {"logoUrl": None, "marketingUrl": None, "privacyStatementUrl": None, "supportUrl": None, "termsOfServiceUrl": None},
        "keyCredentials": [], "parentalControlSettings": {"countriesBlockedForMinors": [], "legalAgeGroupRule": "Allow"},
        "passwordCredentials": [], "publicClient": {"redirectUris": []}, "requiredResourceAccess": [],
        "servicePrincipalLockConfiguration": None, "spa": {"redirectUris": []}, "verifiedPublisher": None,
        "web": {"homePageUrl": None, "logoutUrl": None, "redirectUris": [], "redirectUriSettings": [],
                "implicitGrantSettings": {"enableAccessTokenIssuance": False, "enableIdTokenIssuance": False}},
    }  # fmt: skip


# Lists are shared between objects: they are replaced when written, never changed in place.
_PRINCIPAL: dict[str, Any] = {
    "deletedDateTime": None, "accountEnabled": True, "alternativeNames": [], "appDescription": None, "applicationTemplateId": None,
    "appRoleAssignmentRequired": False, "createdByAppId": None, "description": None, "disabledByMicrosoftStatus": None, "homepage": None, "loginUrl": None,
    "logoutUrl": None, "notes": None, "notificationEmailAddresses": [], "preferredSingleSignOnMode": None,
    "preferredTokenSigningKeyThumbprint": None, "replyUrls": [], "servicePrincipalType": "Application",
    "signInAudience": "AzureADMyOrg", "tags": [], "tokenEncryptionKeyId": None, "samlSingleSignOnSettings": None,
    "addIns": [], "appRoles": [], "info": None, "keyCredentials": [], "oauth2PermissionScopes": [], "passwordCredentials": [],
    "resourceSpecificApplicationPermissions": [], "verifiedPublisher": None,
}  # fmt: skip


def principal_properties(app_id: str, display_name: str, owner_organization: str) -> dict[str, Any]:
    """An enterprise application as Graph serves a new one (learn.microsoft.com/graph/api/serviceprincipal-post-serviceprincipals)."""
    return _PRINCIPAL | {
        "id": new_id(), "appId": app_id, "displayName": display_name, "appDisplayName": display_name,
        "appOwnerOrganizationId": owner_organization, "servicePrincipalNames": [app_id],
    }  # fmt: skip


def assignment_properties(principal: Entity, resource: Entity, role_id: str, created: str) -> dict[str, Any]:
    """An app role assignment; its id is not a GUID."""
    return {
        "id": secrets.token_urlsafe(32), "deletedDateTime": None, "appRoleId": role_id, "createdDateTime": created,
        "principalDisplayName": principal.properties["displayName"], "principalId": principal.id,
        "principalType": "ServicePrincipal", "resourceDisplayName": resource.properties["displayName"],
        "resourceId": resource.id,
    }  # fmt: skip


def password_credential(secret: str, display_name: str | None, start: str, end: str) -> dict[str, Any]:
    """A passwordCredential as it is kept: with its hint, without its value."""
    return {
        "customKeyIdentifier": None, "displayName": display_name, "endDateTime": end, "hint": secret[:3],
        "keyId": new_id(), "secretText": None, "startDateTime": start,
    }  # fmt: skip


def _app_roles(table: dict[str, tuple[str | None, str]], role_ids: RoleIds) -> list[dict[str, Any]]:
    def identifier(value: str, worldwide: str | None) -> str:
        if role_ids == "random" or worldwide is None:
            return new_id()
        return GCC_HIGH.get(value, worldwide) if role_ids == "gcc-high" else worldwide

    return [
        {
            "allowedMemberTypes": ["Application"], "description": f"{name}, without a signed-in user.", "displayName": name,
            "id": identifier(value, worldwide), "isEnabled": True, "origin": "Application", "value": value,
        }
        for value, (worldwide, name) in table.items()
    ]  # fmt: skip


def _scopes(table: dict[str, str], role_ids: RoleIds) -> list[dict[str, Any]]:
    return [
        {
            "adminConsentDescription": f"Allows {value} on behalf of the signed-in user.", "adminConsentDisplayName": value,
            "id": new_id() if role_ids == "random" else identifier, "isEnabled": True, "origin": "Application", "type": "User",
            "userConsentDescription": None, "userConsentDisplayName": None, "value": value,
        }
        for value, identifier in table.items()
    ]  # fmt: skip


def install(directory: Directory, role_ids: RoleIds | None = None) -> None:
    """Give the tenant its resource principals, with object ids of its own. Default: as the knob ``role-ids`` says,
    and where it is 0 the tenant's cloud."""
    shape, number = directory.shape, min(int(directory.faults["role-ids"]), len(ROLE_IDS) - 1)
    kind: RoleIds = role_ids or (ROLE_IDS[number] if number else shape.role_ids)
    for app_id, name, names, roles, scopes in (
        (EXCHANGE_ONLINE, "Office 365 Exchange Online", shape.exchange_names, EXCHANGE_APP_ROLES, EXCHANGE_SCOPES),
        (MICROSOFT_GRAPH, "Microsoft Graph", shape.graph_names, GRAPH_APP_ROLES, GRAPH_SCOPES),
        (AZURE_MANAGEMENT, "Windows Azure Service Management API", AZURE_MANAGEMENT_NAMES, {}, AZURE_MANAGEMENT_SCOPES),
    ):
        properties = principal_properties(app_id, name, MICROSOFT_SERVICES) | {
            "signInAudience": "AzureADMultipleOrgs", "servicePrincipalNames": [app_id, *names],
            "appRoles": _app_roles(roles, kind), "oauth2PermissionScopes": _scopes(scopes, kind),
            "appRoleAssignmentRequired": app_id == EXCHANGE_ONLINE and bool(directory.faults["assignment-required"]),
        }  # fmt: skip
        directory.service_principals[properties["id"]] = Entity(properties, directory.clock.now())
    for client, name in _MICROSOFT_NAMES.items():
        add_foreign(directory, {"app_id": client, "name": name, "public": True, "home": MICROSOFT_SERVICES})


def add_secret(directory: Directory, holder: Entity, display_name: str, valid_days: float = 180) -> str:
    """Give an application a secret that works at once, and return its value."""
    secret, now = new_secret(), directory.clock.now()
    row = password_credential(
        secret, display_name, directory.clock.iso(), directory.clock.iso(now + valid_days * 86400)
    )
    holder.properties["passwordCredentials"] = [*holder.properties["passwordCredentials"], row]
    holder.secrets[row["keyId"]] = digest(secret)
    holder.secret_usable_at[row["keyId"]] = 0.0
    return secret


def assign(directory: Directory, principal: Entity, resource_app_id: str, value: str) -> Entity:
    """An app role assignment by the role's value, in force at once. KeyError names a role the resource does not have."""
    resource = directory.principal(resource_app_id)
    if resource is None:
        raise KeyError(f"no resource {resource_app_id} in the tenant")
    role = next((role["id"] for role in resource.properties["appRoles"] if role["value"] == value), None)
    if role is None:
        raise KeyError(f"{resource.properties['displayName']} has no app role {value!r}")
    row = Entity(assignment_properties(principal, resource, role, directory.clock.iso()), directory.clock.now())
    directory.app_role_assignments[row.id] = row
    return row


def add_application(
    directory: Directory,
    display_name: str,
    *,
    unique_name: str | None = None,
    app_id: str | None = None,
    principal: bool = True,
    exchange_roles: tuple[str, ...] = (),
    graph_roles: tuple[str, ...] = (),
    tags: tuple[str, ...] = ("WindowsAzureActiveDirectoryIntegratedApp",),
) -> tuple[Entity, Entity | None]:
    """An application and, unless told otherwise, its enterprise application with these app roles: all replicated."""
    number, now = app_id or new_id(), directory.clock.now()
    application = Entity(application_properties(directory, display_name, number, directory.clock.iso()), now)
    application.properties["uniqueName"] = unique_name
    directory.applications[application.id] = application
    if not principal:
        return application, None
    entity = Entity(principal_properties(number, display_name, directory.tenant_id) | {"tags": list(tags)}, now)
    directory.service_principals[entity.id] = entity
    for value in exchange_roles:
        assign(directory, entity, EXCHANGE_ONLINE, value)
    for value in graph_roles:
        assign(directory, entity, MICROSOFT_GRAPH, value)
    return application, entity


def add_managed_identity(directory: Directory, name: str) -> Entity:
    """The service principal of an Azure workload's managed identity: no application stands behind it
    (learn.microsoft.com/entra/identity/managed-identities-azure-resources/overview)."""
    properties = principal_properties(new_id(), name, directory.tenant_id) | {
        "servicePrincipalType": "ManagedIdentity", "appOwnerOrganizationId": None,
        "alternativeNames": ["isExplicit=True", f"/subscriptions/{new_id()}/resourcegroups/mail/providers/"
                             f"Microsoft.ManagedIdentity/userAssignedIdentities/{name}"],
    }  # fmt: skip
    entity = Entity(properties, directory.clock.now())
    directory.service_principals[entity.id] = entity
    return entity


def add_foreign(directory: Directory, item: dict[str, Any]) -> Entity:
    """An application that another tenant registered for several, as a tenant file describes it; KeyError names a permission
    that the resource does not have."""
    number, now = str(item["app_id"]).lower(), directory.clock.now()
    properties = application_properties(directory, item.get("name") or "Foreign", number, directory.clock.iso())
    properties |= {
        "signInAudience": "AzureADMultipleOrgs", "_home": item.get("home") or new_id(),
        "requiredResourceAccess": [
            _access(directory, EXCHANGE_ONLINE, item.get("roles") or [], item.get("scopes") or []),
            _access(directory, MICROSOFT_GRAPH, item.get("graph_roles") or [], item.get("graph_scopes") or []),
        ],
        "isFallbackPublicClient": bool(item.get("public")),
    }  # fmt: skip
    kind = "publicClient" if item.get("public") else "web"
    properties[kind] = properties[kind] | {"redirectUris": list(item.get("redirects") or ["http://localhost"])}
    entity = Entity(properties, now)
    row = password_credential("...", "at home", directory.clock.iso(), directory.clock.iso(now + 180 * 86400))
    properties["passwordCredentials"] = [row]
    entity.secrets[row["keyId"]] = str(item.get("secret_sha256") or "").lower()
    entity.secret_usable_at[row["keyId"]] = 0.0
    directory.foreign[number] = entity
    if item.get("consented"):
        principal = _consented(directory, number, properties)
        directory.directory_roles[principal.id] = set(item.get("directory_roles") or ())
    return entity


def _access(directory: Directory, app_id: str, roles: list[str], scopes: list[str]) -> dict[str, Any]:
    resource = directory.principal(app_id)
    assert resource is not None
    ids = {role["value"]: role["id"] for role in resource.properties["appRoles"]}
    numbers = {scope["value"]: scope["id"] for scope in resource.properties["oauth2PermissionScopes"]}
    access = [{"id": ids[value], "type": "Role"} for value in roles]
    access += [{"id": numbers[value], "type": "Scope"} for value in scopes]
    return {"resourceAppId": app_id, "resourceAccess": access}


def _consented(directory: Directory, number: str, properties: dict[str, Any]) -> Entity:
    """What an administrator of this tenant, or a partner's by the Partner Center's interface, has consented to for everybody."""
    principal = Entity(
        principal_properties(number, str(properties["displayName"]), str(properties["_home"])), directory.clock.now()
    )
    directory.service_principals[principal.id] = principal
    for entry in properties["requiredResourceAccess"]:
        resource = directory.principal(entry["resourceAppId"])
        assert resource is not None
        kinds = ("oauth2PermissionScopes", "appRoles")
        names = {row["id"]: row["value"] for kind in kinds for row in resource.properties[kind]}
        values = [names[one["id"]] for one in entry["resourceAccess"] if one["type"] == "Scope"]
        for one in entry["resourceAccess"]:
            if one["type"] == "Role":
                assign(directory, principal, entry["resourceAppId"], names[one["id"]])
        if values:
            row = Entity(
                {
                    "id": new_id(), "clientId": principal.id, "consentType": "AllPrincipals", "principalId": None,
                    "resourceId": resource.id, "scope": " ".join(values),
                },
                directory.clock.now(),
            )  # fmt: skip
            directory.permission_grants[row.id] = row
    return principal


def add_admin(
    directory: Directory, graph_roles: list[str], exchange_roles: list[str], directory_roles: list[str]
) -> Credentials:
    """The application that provisions: its app roles and Entra roles, with a secret that works at once."""
    application, principal = add_application(
        directory, "Provisioning", exchange_roles=tuple(exchange_roles), graph_roles=tuple(graph_roles)
    )
    assert principal is not None
    directory.directory_roles[principal.id] = set(directory_roles)
    secret = add_secret(directory, application, "provisioning")
    return Credentials(str(application.properties["appId"]), secret, principal.id)


_FIRST = ("Contoso", "Fabrikam", "Northwind", "Litware", "Adventure", "Tailspin", "Woodgrove", "Proseware")
_SECOND = (
    "Payroll",
    "Backup",
    "CRM",
    "Tickets",
    "Reports",
    "Archive",
    "Signatures",
    "Calendar Sync",
    "Scanner",
    "Intranet",
)


def add_service_principals(directory: Directory, count: int, seed: int = 0) -> None:
    """So many more enterprise applications of other tenants, with names from the seed and no application here."""
    draw = random.Random(f"principals-{seed}")  # noqa: S311 - a seeded emulator, not a secret
    owners = [str(uuid.UUID(int=draw.getrandbits(128), version=4)) for _ in range(20)]
    now = directory.clock.now()
    for number in range(count):
        name = f"{draw.choice(_FIRST)} {draw.choice(_SECOND)} {number:04d}"
        properties = principal_properties(new_id(), name, draw.choice(owners))
        directory.service_principals[properties["id"]] = Entity(properties, now)
