"""What Entra holds: applications, enterprise applications, app role assignments, delegated grants, people, credentials.
State and look-ups only; ``graph`` and ``entra`` write it, ``exchange`` reads it. Properties are kept in Graph's own names, as Graph serves them.
"""

import hashlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .audit_log import Actor, Target, directory_record
from .clock import Clock
from .clouds import GLOBAL, Shape
from .faults import Faults
from .people import People

EXCHANGE_ONLINE = "00000002-0000-0ff1-ce00-000000000000"
MICROSOFT_GRAPH = "00000003-0000-0000-c000-000000000000"


def new_id() -> str:
    return str(uuid.uuid4())


def digest(secret: str) -> str:
    """How the sandbox keeps a secret value: never itself."""
    return hashlib.sha256(secret.encode()).hexdigest()


def verified_domains(initial: str, mail: Iterable[str]) -> list[str]:
    """The tenant's domains, lower case, the initial one first. A mailbox has addresses of verified domains only, so its
    mailboxes tell them (learn.microsoft.com/exchange/mail-flow-best-practices/manage-accepted-domains)."""
    others = {name.lower() for name in mail}
    return [initial.lower(), *sorted(others - {initial.lower(), ""})]


@dataclass
class Entity:
    """One directory object. ``properties`` is what Graph serves; the rest is the emulator's own knowledge.

    ``readable_at``, ``listed_at`` and ``usable_at`` are sandbox times: when reads by id see it, when filtered lists
    and alternate-key look-ups see it, when other objects may refer to it.
    """

    properties: dict[str, Any]
    created: float
    readable_at: float = 0.0
    listed_at: float = 0.0
    usable_at: float = 0.0
    synced_at: float = 0.0  # when Exchange has heard of it
    flap: float = 0.0  # sandbox seconds for which reads flap once it was seen
    seen_at: float | None = None  # when a read first saw it, where reads flap
    owners: set[str] = field(default_factory=set)
    secrets: dict[str, str] = field(default_factory=dict)  # keyId -> digest
    secret_usable_at: dict[str, float] = field(default_factory=dict)  # keyId -> sandbox time
    certificates: dict[str, bytes] = field(default_factory=dict)  # keyId -> DER
    federated: dict[str, dict[str, Any]] = field(default_factory=dict)  # id -> federatedIdentityCredential

    @property
    def id(self) -> str:
        return str(self.properties["id"])


class Directory:
    """Objects by id. ``directory_roles`` holds Entra roles by principal id ("Exchange Administrator", …)."""

    def __init__(self, clock: Clock, faults: Faults, tenant_id: str, domain: str, shape: Shape = GLOBAL) -> None:
        self.clock = clock
        self.faults = faults
        self.tenant_id = tenant_id
        self.domain = domain
        self.shape = shape
        self.applications: dict[str, Entity] = {}
        self.deleted_applications: dict[str, Entity] = {}
        self.foreign: dict[
            str, Entity
        ] = {}  # applications of other tenants that are for several, by appId: no Graph shows them
        self.service_principals: dict[str, Entity] = {}
        self.deleted_service_principals: dict[str, Entity] = {}
        self.app_role_assignments: dict[str, Entity] = {}
        self.permission_grants: dict[str, Entity] = {}  # oauth2PermissionGrants
        self.people = People()
        self.directory_roles: dict[str, set[str]] = {}
        self.eligible_roles: dict[str, set[str]] = {}  # to be activated in PIM
        self.security_defaults = False
        self.licence = "p1"  # Entra ID's; free: no sign-in activity, seven days of audits
        self.audits: list[dict[str, Any]] = []  # directoryAudits, oldest first
        self.audits_show: dict[str, float] = {}  # by id: the sandbox time from which a record shows
        # appId -> sandbox times of the last sign-ins, for itself and for a person; None: never
        self.last_used: dict[str, tuple[float | None, float | None]] = {}

    def note(self, activity: str, operation: str, actor: Actor, *targets: Target, at: float | None = None) -> None:
        """One more record of the directory's audit log. What is done now shows when the audit-log-lag is over."""
        record = directory_record(activity, operation, actor, targets, self.clock.now() if at is None else at)
        self.audits.append(record)
        if at is None:
            self.audits_show[record["id"]] = self.clock.now() + self.faults.draw("audit-log-lag")

    def signed_in(self, app_id: str, *, person: bool = False) -> None:
        """An application got a token, for itself or for a person. The real report shows it a day or more later."""
        own, persons = self.last_used.get(app_id, (None, None))
        now = self.clock.now()
        self.last_used[app_id] = (own, now) if person else (now, persons)

    def actor(self, object_id: str) -> Actor:
        """Whoever has that object id, as the logs name it."""
        person = self.people.users.get(object_id)
        if person is not None:
            return Actor(person.id, person.name, upn=person.upn)
        entity = self.service_principals.get(object_id)
        if entity is None:
            return Actor(object_id, "")
        return Actor(object_id, str(entity.properties.get("displayName")), app_id=str(entity.properties["appId"]))

    def application(self, app_id: str) -> Entity | None:
        """The application by appId, replicated or not."""
        return next((a for a in self.applications.values() if a.properties["appId"] == app_id), None)

    def principal(self, app_id: str) -> Entity | None:
        """The enterprise application by appId, replicated or not."""
        return next((p for p in self.service_principals.values() if p.properties["appId"] == app_id), None)

    def roles(self, principal_id: str, resource_app_id: str, at: float) -> list[str]:
        """The app role values that a token minted at ``at`` carries, after the consent lag of each assignment."""
        resource = self.principal(resource_app_id)
        if resource is None:
            return []
        names = {role["id"]: role["value"] for role in resource.properties["appRoles"]}
        return sorted(
            names[row.properties["appRoleId"]]
            for row in self.app_role_assignments.values()
            if row.properties["principalId"] == principal_id
            and row.properties["resourceId"] == resource.id
            and row.properties["appRoleId"] in names
            and row.usable_at <= at
        )

    def consented(self, app_id: str, resource_id: str, user_id: str | None) -> set[str]:
        """The delegated permissions on a resource that an application has for a person: everybody's and the person's own
        (learn.microsoft.com/graph/api/resources/oauth2permissiongrant)."""
        client = self.principal(app_id)
        return {
            value
            for row in self.permission_grants.values()
            if client is not None
            and row.properties["clientId"] == client.id
            and row.properties["resourceId"] == resource_id
            and row.properties["principalId"] in (None, user_id)
            for value in str(row.properties["scope"]).split()
        }
