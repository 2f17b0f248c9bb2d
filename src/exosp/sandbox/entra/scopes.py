"""What a person's client asks for: a ``scope`` read, the consent that stands behind it, and the consent that is given.

Sources: learn.microsoft.com/entra/identity-platform/scopes-oidc (OpenID Connect scopes, ``.default``, incremental consent),
/v2-oauth2-auth-code-flow; AADSTS28000: Earlybyte/aad_oauth#328; AADSTS650053: python-o365#551; that a scope without a
resource is Microsoft Graph's: office-developer-exchange-docs#87.
"""

from dataclasses import dataclass

from ..aadsts import EntraFault
from ..audit_log import Target
from ..catalog import PREAUTHORIZED, principal_properties
from ..directory import EXCHANGE_ONLINE, MICROSOFT_GRAPH, Directory, Entity, new_id
from ..people import User
from ..tenant import Tenant

OPENID = frozenset({"openid", "profile", "email", "offline_access"})
_DEFAULT = ".default"


@dataclass(frozen=True)
class Asked:
    """Delegated permissions of one resource. ``audience`` is its name as it was asked for."""

    audience: str
    resource: Entity
    values: tuple[str, ...]

    @property
    def texts(self) -> list[str]:
        """As an answer's ``scope`` names them."""
        return [f"{self.audience}/{value}" for value in self.values]


def openid(scope: str) -> frozenset[str]:
    return OPENID & set(scope.split())


def asked(tenant: Tenant, scope: str, client: str) -> list[Asked]:
    """Every resource that a scope names, in its order. Raises EntraFault for what no resource offers."""
    found: dict[str, tuple[str, Entity, dict[str, None]]] = {}
    for word in scope.split():
        if word in OPENID:
            continue
        audience, resource, value = _resolve(tenant, word, scope)
        _preauthorized(client, resource)
        offered = {row["value"] for row in resource.properties["oauth2PermissionScopes"] if row["isEnabled"]}
        wanted = found.setdefault(resource.id, (audience, resource, {}))[2]
        if value == _DEFAULT:
            wanted |= dict.fromkeys(sorted(offered & _configured(tenant.directory, client, resource)))
        elif value in offered:
            wanted[value] = None
        else:
            name = _name(tenant.directory, client)
            raise EntraFault(650053, name=name, scope=value, resource=str(resource.properties["appId"]))
    return [Asked(audience, resource, tuple(values)) for audience, resource, values in found.values()]


def one(tenant: Tenant, scope: str, client: str) -> Asked:
    """The one resource that a token is for: Graph's sign-in where a scope names none."""
    wanted = asked(tenant, scope, client)
    if len(wanted) > 1:
        raise EntraFault(28000, scope=scope)
    if wanted:
        return wanted[0]
    graph = tenant.directory.principal(MICROSOFT_GRAPH)
    assert graph is not None
    return Asked(MICROSOFT_GRAPH, graph, ())


def _resolve(tenant: Tenant, word: str, scope: str) -> tuple[str, Entity, str]:
    """Audience, resource principal and permission of one word of a scope."""
    audience, _, value = word.rpartition("/")
    directory = tenant.directory
    graph = directory.principal(MICROSOFT_GRAPH)
    if not audience and graph is not None:
        return tenant.shape.graph, graph, value
    plain = audience.lower().rstrip("/")
    if graph is not None and plain == f"https://localhost:{tenant.ports.graph}":
        return audience, graph, value
    for entity in directory.service_principals.values():
        if any(plain == str(name).lower().rstrip("/") for name in entity.properties["servicePrincipalNames"]):
            return audience.rstrip("/"), entity, value
    if "://" not in audience:
        raise EntraFault(70011, scope=scope)
    raise EntraFault(500011, resource=audience)


def _configured(directory: Directory, client: str, resource: Entity) -> set[str]:
    """The delegated permissions that the registration lists for a resource, and those consented to already."""
    application = registration(directory, client)
    names = {row["id"]: row["value"] for row in resource.properties["oauth2PermissionScopes"]}
    listed = {
        names[access["id"]]
        for entry in (application.properties["requiredResourceAccess"] if application else ())
        if entry["resourceAppId"] == resource.properties["appId"]
        for access in entry["resourceAccess"]
        if access["type"] == "Scope" and access["id"] in names
    }
    return listed | held(directory, client, resource, None)


def registration(directory: Directory, client: str) -> Entity | None:
    """Of this tenant, or of another where it is for several."""
    return directory.application(client) or directory.foreign.get(client)


def held(directory: Directory, client: str, resource: Entity, user_id: str | None) -> set[str]:
    """The delegated permissions that need no more consent: given, or Microsoft's own."""
    own = PREAUTHORIZED.get(client, {}).get(str(resource.properties["appId"]), ())
    return directory.consented(client, resource.id, user_id) | set(own)


def _preauthorized(client: str, resource: Entity) -> None:
    """One of Microsoft's clients asks for Exchange only what it is preauthorized for."""
    number = str(resource.properties["appId"])
    if client in PREAUTHORIZED and number == EXCHANGE_ONLINE and number not in PREAUTHORIZED[client]:
        raise EntraFault(65002, client=client, resource=number)


def _name(directory: Directory, client: str) -> str:
    application = registration(directory, client)
    return str(application.properties["displayName"]) if application else client


# Consent


def lacking(directory: Directory, client: str, user: User, wanted: list[Asked]) -> list[Asked]:
    """What neither the person nor an administrator has consented to."""
    rest = []
    for item in wanted:
        there = held(directory, client, item.resource, user.id)
        values = tuple(value for value in item.values if value not in there)
        if values:
            rest.append(Asked(item.audience, item.resource, values))
    return rest


def consent(directory: Directory, client: str, user: User | None, wanted: list[Asked]) -> None:
    """The grant that a consent leaves behind: a person's own, or where ``user`` is None everybody's. The enterprise
    application is made where the tenant has none (how-applications-are-added: consent creates it)."""
    principal = directory.principal(client)
    if principal is None:
        properties = principal_properties(client, _name(directory, client), directory.tenant_id)
        principal = Entity(properties, directory.clock.now())
        directory.service_principals[principal.id] = principal
    owner = user.id if user else None
    for item in wanted:
        row = next(
            (
                row
                for row in directory.permission_grants.values()
                if (row.properties["clientId"], row.properties["resourceId"], row.properties["principalId"])
                == (principal.id, item.resource.id, owner)
            ),
            None,
        )
        if row is None:
            row = Entity(
                {
                    "id": new_id(), "clientId": principal.id, "consentType": "Principal" if user else "AllPrincipals",
                    "principalId": owner, "resourceId": item.resource.id, "scope": "",
                },
                directory.clock.now(),
            )  # fmt: skip
            directory.permission_grants[row.id] = row
        before = row.properties["scope"].split()
        row.properties["scope"] = " ".join(dict.fromkeys([*before, *item.values]))
        if user is not None:
            directory.note(
                "Add delegated permission grant", "Assign", directory.actor(user.id),
                *(Target(p.id, str(p.properties["displayName"]), "ServicePrincipal") for p in (item.resource, principal)),
            )  # fmt: skip
