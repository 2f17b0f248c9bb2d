"""Graph's JSON into our records. Properties that Graph always sends raise KeyError or ValueError where they are missing:
what lacks them is no answer of Graph's.
"""

from datetime import datetime
from types import MappingProxyType
from typing import Any

from ..snapshot import (
    AppId,
    Application,
    ApplicationObjectId,
    DeletedApplication,
    EnterpriseApplication,
    KeyId,
    PrincipalObjectId,
    RequiredResource,
    Resource,
    RoleAssignment,
    RoleId,
    ScopeId,
    Secret,
)


def _when(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) and text else None


def text(body: dict[str, Any], name: str) -> str:
    value = body[name]
    if not isinstance(value, str) or not value:
        raise ValueError(name)
    return value


def application(body: dict[str, Any]) -> Application:
    return Application(
        object_id=ApplicationObjectId(text(body, "id")),
        app_id=AppId(text(body, "appId")),
        name=body.get("displayName") or "",
        unique_name=body.get("uniqueName") or "",
        audience=body.get("signInAudience") or "",
        required=tuple(
            RequiredResource(
                AppId(text(entry, "resourceAppId")),
                tuple((text(access, "id"), text(access, "type")) for access in entry["resourceAccess"]),
            )
            for entry in body.get("requiredResourceAccess") or ()
        ),
        secrets=tuple(secret(entry) for entry in body.get("passwordCredentials") or ()),
        redirects=tuple((body.get("publicClient") or {}).get("redirectUris") or ()),
        public=body.get("isFallbackPublicClient") is True,
        web=tuple((body.get("web") or {}).get("redirectUris") or ()),
        created=_when(body.get("createdDateTime")),
    )


def deleted(body: dict[str, Any]) -> DeletedApplication:
    since = body.get("deletedDateTime")
    return DeletedApplication(application(body), datetime.fromisoformat(since) if since else None)


def secret(body: dict[str, Any]) -> Secret:
    return Secret(
        key_id=KeyId(text(body, "keyId")),
        label=body.get("displayName") or "",
        hint=body.get("hint") or "",
        starts=datetime.fromisoformat(text(body, "startDateTime")),
        ends=datetime.fromisoformat(text(body, "endDateTime")),
    )


def principal(body: dict[str, Any]) -> EnterpriseApplication:
    return EnterpriseApplication(
        object_id=PrincipalObjectId(text(body, "id")),
        app_id=AppId(text(body, "appId")),
        name=body.get("displayName") or "",
        tags=tuple(body.get("tags") or ()),
        enabled=body.get("accountEnabled") is not False,
        kind=body.get("servicePrincipalType") or "Application",
    )


def resource(body: dict[str, Any]) -> Resource:
    roles = {
        text(role, "value"): RoleId(text(role, "id"))
        for role in body["appRoles"]
        if role.get("isEnabled") and "Application" in role.get("allowedMemberTypes", ()) and role.get("value")
    }
    scopes = {
        text(scope, "value"): ScopeId(text(scope, "id"))
        for scope in body.get("oauth2PermissionScopes") or ()
        if scope.get("isEnabled") and scope.get("value")
    }
    return Resource(PrincipalObjectId(text(body, "id")), MappingProxyType(roles), MappingProxyType(scopes))


def assignment(body: dict[str, Any]) -> RoleAssignment:
    return RoleAssignment(
        id=text(body, "id"),
        principal=PrincipalObjectId(text(body, "principalId")),
        resource=PrincipalObjectId(text(body, "resourceId")),
        role=RoleId(text(body, "appRoleId")),
        created=_when(body.get("createdDateTime")),
    )
