"""Which resource a scope is about."""

from ..aadsts import EntraFault
from ..directory import MICROSOFT_GRAPH, Entity
from ..tenant import Tenant


def app_resource(tenant: Tenant, scope: str) -> tuple[str, Entity]:
    """The audience as asked for and the resource principal that a scope names."""
    words = scope.split()
    if len(words) > 1 and len({word.rpartition("/")[0] for word in words}) > 1:
        raise EntraFault(700022, scope=scope)
    if not all(word.endswith("/.default") for word in words):
        raise EntraFault(1002012, scope=scope)
    audience = words[0].removesuffix("/.default")
    if not audience:
        raise EntraFault(70011, scope=scope)
    directory, plain = tenant.directory, audience.lower().rstrip("/")
    # The sandbox's Graph has an address of its own; a client may take that for the resource's name.
    if plain == f"https://localhost:{tenant.ports.graph}":
        graph = directory.principal(MICROSOFT_GRAPH)
        if graph:
            return audience, graph
    for entity in directory.service_principals.values():
        if any(plain == str(name).lower().rstrip("/") for name in entity.properties["servicePrincipalNames"]):
            return audience, entity
    raise EntraFault(500011, resource=audience)
