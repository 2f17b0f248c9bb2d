"""Build what a tenant file says of applications: registration, enterprise application, consent, credentials, owners, entries in
Exchange, grants, policies, roles, and when they were last used. ``initial`` documents the keys; ``mess`` writes the same form.

Whatever it makes stood for long: it is replicated and in force, and both audit logs know who made it.
"""

import base64
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from . import catalog, rbac
from .audit_log import CREDENTIALS_CHANGED, Actor, Target, assigned, cmdlet_record
from .directory import EXCHANGE_ONLINE, MICROSOFT_GRAPH, Entity, new_id
from .exchange import Mailbox, Row
from .people import User
from .tenant import Tenant

DAY = 86400.0
KEYS = {
    "name", "app_id", "unique_name", "created", "audience", "registration", "enterprise", "home", "roles", "graph_roles",
    "consented", "credentials", "owners", "delegated", "exchange", "full_access", "grants", "policy", "rbac", "last_used",
    "last_used_by_person",
}  # fmt: skip
ENTRIES = ("right", "application", "stranger", "orphaned", "none")
AUDIENCES = ("AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount")
RIGHTS = ("full_access", "send_as", "send_on_behalf", "folder", "read")
_CREDENTIAL = {"kind", "name", "start", "end", "holder", "issuer", "subject"}
_GRANT = {"mailbox", "right", "deny", "inherited", "folder", "role", "entry"}
_POLICY = {"right", "scope", "description"}
_RBAC = {"role", "scope", "filter", "group", "unit", "name"}
_DELEGATED = {"resource", "scopes", "for"}
_OWNER = {"upn", "enabled", "application"}
_RESOURCES = {"exchange": EXCHANGE_ONLINE, "graph": MICROSOFT_GRAPH}


class Fault(ValueError):
    """What is wrong with a description, in one sentence."""


def several(value: Any) -> list[Any]:
    """One thing or a list of them."""
    return [] if value is None else value if isinstance(value, list) else [value]


def known(where: str, data: Any, keys: set[str]) -> None:
    """Raise Fault for anything but a mapping of these keys."""
    if not isinstance(data, dict):
        raise Fault(f"{where} is a mapping")
    strange = sorted(str(key) for key in set(data) - keys)
    if strange:
        raise Fault(f"{where} knows no {', '.join(strange)}; there are: {', '.join(sorted(keys))}")


def _one_of(where: str, value: Any, words: Iterable[str]) -> None:
    words = tuple(words)
    if value not in words:
        raise Fault(f"{where} is {', '.join(words[:-1])} or {words[-1]}")


def check(item: Any) -> None:
    """Raise Fault for a description that cannot be built, as far as its words tell."""
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise Fault("an application is a mapping with a name")
    where = f"application {item['name']}"
    known(where, item, KEYS)
    for word in several(item.get("exchange", "none")):
        _one_of("exchange", word, ENTRIES)
    _one_of(f"{where}: registration", item.get("registration", "present"), ("present", "deleted", "none"))
    _one_of(f"{where}: enterprise", item.get("enterprise", "enabled"), ("enabled", "disabled", "deleted", "none"))
    _one_of(f"{where}: audience", item.get("audience", AUDIENCES[0]), AUDIENCES)
    for row in item.get("credentials") or []:
        known(f"{where}: a credential", row, _CREDENTIAL)
        _one_of(f"{where}: a credential's kind", row.get("kind", "secret"), ("secret", "certificate", "federated"))
        _one_of(f"{where}: a credential's holder", row.get("holder", "application"), ("application", "enterprise"))
    for row in item.get("grants") or []:
        known(f"{where}: a grant", row, _GRANT)
        for right in several(row.get("right", "full_access")):
            _one_of(f"{where}: a right", right, RIGHTS)
    for row in several(item.get("policy")):
        known(f"{where}: a policy", row, _POLICY)
        _one_of(f"{where}: a policy's right", row.get("right", "RestrictAccess"), ("RestrictAccess", "DenyAccess"))
    for row in item.get("rbac") or []:
        known(f"{where}: a role", row, _RBAC)
        _one_of(f"{where}: a role", row.get("role"), rbac.ROLES)
    for row in item.get("delegated") or []:
        known(f"{where}: a delegated consent", row, _DELEGATED)
        _one_of(f"{where}: a consent's resource", row.get("resource", "graph"), _RESOURCES)
    for row in item.get("owners") or []:
        if not isinstance(row, str):
            known(f"{where}: an owner", row, _OWNER)


@cache
def _certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "by hand")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=3650))
        .not_valid_after(now + timedelta(days=3650)).sign(key, hashes.SHA256())
    )  # fmt: skip
    return made.public_bytes(Encoding.DER)


class Application:
    """One application as it was built. ``principal`` and ``registration`` are there even where the directory has them no more."""

    def __init__(self, tenant: Tenant, item: dict[str, Any], *, kind: str = "Application") -> None:
        self.tenant, self.item = tenant, item
        self.directory, self.exchange = tenant.directory, tenant.exchange
        self.now = tenant.clock.now()
        self.created = self.now - float(item.get("created", 20)) * DAY
        self.app_id = str(item.get("app_id") or new_id()).lower()
        self.words = [word for word in several(item.get("exchange", "none")) if word != "none"]
        gone = "none" if "orphaned" in self.words or kind != "Application" else "present"
        self.registered = item.get("registration", gone)
        self.enterprise = item.get("enterprise", "none" if "orphaned" in self.words else "enabled")
        self.registration, self.principal = self._objects(kind)
        self.entries: list[Row] = []
        admin = next(
            (user for user in self.directory.people.users.values() if user.upn == f"admin@{tenant.domain}"), None
        )
        self.admin = Actor(admin.id, admin.name, admin.upn) if admin else Actor("", "Admin", f"admin@{tenant.domain}")
        self._consents()
        self._credentials()
        self._owners()
        self._entries()
        self._grants()
        self._policies()
        self._roles()
        self._used()

    def _log(self, activity: str, operation: str, *targets: Target, at: float) -> None:
        self.directory.note(activity, operation, self.admin, *targets, at=at)

    def _cmdlet(self, operation: str, target: str, at: float, **parameters: Any) -> None:
        tenant = self.tenant
        self.exchange.admin_log.append(
            cmdlet_record(operation, target, parameters, self.admin.upn, tenant.tenant_id, tenant.domain, self.exchange.server_name, at)
        )  # fmt: skip

    def _objects(self, kind: str) -> tuple[Entity, Entity]:
        """Both objects, and in the directory those that the description leaves there."""
        item, directory, iso = self.item, self.directory, self.tenant.clock.iso(self.created)
        audience = item.get("audience", AUDIENCES[0])
        application = Entity(catalog.application_properties(directory, item["name"], self.app_id, iso), self.now)
        application.properties |= {"uniqueName": item.get("unique_name"), "signInAudience": audience}
        home = item.get("home") or directory.tenant_id
        principal = Entity(catalog.principal_properties(self.app_id, item["name"], home), self.now)
        principal.properties |= {"tags": ["WindowsAzureActiveDirectoryIntegratedApp"], "signInAudience": audience}
        principal.properties["accountEnabled"] = self.enterprise != "disabled"
        principal.created = self.created
        if kind == "ManagedIdentity":
            principal.properties |= {
                "servicePrincipalType": kind, "appOwnerOrganizationId": None, "tags": [], "alternativeNames":
                ["isExplicit=True", f"/subscriptions/{new_id()}/resourcegroups/mail/providers/"
                 f"Microsoft.ManagedIdentity/userAssignedIdentities/{item['name']}"],
            }  # fmt: skip
        if self.registered == "present":
            directory.applications[application.id] = application
        elif self.registered == "deleted":
            application.properties["deletedDateTime"] = self.tenant.clock.iso()
            directory.deleted_applications[application.id] = application
        if self.enterprise in ("enabled", "disabled"):
            directory.service_principals[principal.id] = principal
        elif self.enterprise == "deleted":
            principal.properties["deletedDateTime"] = self.tenant.clock.iso()
            directory.deleted_service_principals[principal.id] = principal
        return application, principal

    def _consents(self) -> None:
        item, at = self.item, self.now - float(self.item.get("consented", self.item.get("created", 20))) * DAY
        self._log("Add application", "Add", Target(self.registration.id, item["name"], "Application"), at=self.created)
        self._log(
            "Add service principal", "Add", Target(self.principal.id, item["name"], "ServicePrincipal"), at=self.created
        )
        held = self.principal.id in self.directory.service_principals
        for resource, values in ((EXCHANGE_ONLINE, item.get("roles")), (MICROSOFT_GRAPH, item.get("graph_roles"))):
            for value in values or () if held else ():
                row = catalog.assign(self.directory, self.principal, resource, value)
                row.properties["createdDateTime"] = self.tenant.clock.iso(at)
                self._log(
                    "Add app role assignment to service principal", "Assign", *assigned(row, value, self.app_id), at=at
                )
        for row in item.get("delegated") or () if held else ():
            self._delegated(row)

    def _delegated(self, row: dict[str, Any]) -> None:
        resource = self.directory.principal(_RESOURCES[row.get("resource", "graph")])
        assert resource is not None
        whom = row.get("for", "everyone")
        for upn in several(whom):
            person = None if upn == "everyone" else self.person(str(upn)).id
            properties = {
                "id": new_id(), "clientId": self.principal.id, "consentType": "AllPrincipals" if person is None else "Principal",
                "principalId": person, "resourceId": resource.id, "scope": " ".join(several(row.get("scopes"))),
            }  # fmt: skip
            entity = Entity(properties, self.now)
            self.directory.permission_grants[entity.id] = entity
            self._log("Add delegated permission grant", "Assign", Target(resource.id, resource.properties["displayName"], "ServicePrincipal"),
                      Target(self.principal.id, self.item["name"], "ServicePrincipal"), at=self.created)  # fmt: skip

    def _credentials(self) -> None:
        iso = self.tenant.clock.iso
        for row in self.item.get("credentials") or []:
            kind, name = row.get("kind", "secret"), row.get("name") or f"{row.get('kind', 'secret')} by hand"
            start, end = (self.now + float(row.get(key, value)) * DAY for key, value in (("start", -15), ("end", 150)))
            holder = self.principal if row.get("holder") == "enterprise" else self.registration
            if kind == "secret":
                secret = catalog.password_credential(catalog.new_secret(), name, iso(start), iso(end))
                holder.properties["passwordCredentials"] = [*holder.properties["passwordCredentials"], secret]
                holder.secret_usable_at[secret["keyId"]] = 0.0
            elif kind == "certificate":
                key = new_id()
                thumbprint = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()  # noqa: S324 - a name
                made = {
                    "customKeyIdentifier": thumbprint, "displayName": name, "endDateTime": iso(end),
                    "key": base64.b64encode(_certificate()).decode(), "keyId": key, "startDateTime": iso(start),
                    "type": "AsymmetricX509Cert", "usage": "Verify",
                }  # fmt: skip
                holder.properties["keyCredentials"] = [*holder.properties["keyCredentials"], made]
                holder.certificates[key] = _certificate()
            else:
                key = new_id()
                holder.federated[key] = {
                    "id": key, "name": name, "issuer": row.get("issuer") or "https://token.actions.githubusercontent.com",
                    "subject": row.get("subject") or "repo:contoso/mail:ref:refs/heads/main",
                    "audiences": ["api://AzureADTokenExchange"], "description": None,
                }  # fmt: skip
            of = "Application" if holder is self.registration else "ServicePrincipal"
            self._log(CREDENTIALS_CHANGED if of == "Application" else "Add service principal credentials",
                      "Update", Target(holder.id, self.item["name"], of), at=max(start, self.created))  # fmt: skip

    def person(self, upn: str, *, enabled: bool | None = None) -> User:
        """The account of that name, made where there is none."""
        people = self.directory.people
        found = people.by_name(upn)
        if found is None:
            password = next((user.password for user in people.users.values()), "")
            found = User(new_id(), upn, upn.partition("@")[0].title(), password)
            people.users[found.id] = found
        if enabled is not None:
            found.enabled = enabled
        return found

    def _owners(self) -> None:
        for row in self.item.get("owners") or []:
            told: dict[str, Any] = {"upn": row} if isinstance(row, str) else row
            if told.get("application"):
                owner = next(
                    (p.id for p in self.directory.service_principals.values() if p.properties["displayName"] == told["application"]), ""
                )  # fmt: skip
                if not owner:
                    raise Fault(
                        f"application {self.item['name']}: no application {told['application']} that could own it"
                    )
            else:
                owner = self.person(str(told.get("upn")), enabled=told.get("enabled")).id
            (self.registration if self.registered != "none" else self.principal).owners.add(owner)

    def _entries(self) -> None:
        for word in self.words:
            ids = {"right": self.principal.id, "application": self.registration.id}
            object_id = ids.get(word) or new_id()
            known = object_id in self.directory.service_principals
            row = self.exchange.add_service_principal(self.app_id, object_id, self.item["name"], entra=known)
            row.created = self.created
            self.entries.append(row)
            self._cmdlet("New-ServicePrincipal", row["Identity"], self.created, AppId=self.app_id, ObjectId=object_id)

    def mailbox(self, address: str) -> Mailbox:
        """A live mailbox of that address, else a soft-deleted one. Raises Fault."""
        wanted = address.lower()
        found = self.exchange.by_address(address) or next(
            (m for m in self.exchange.mailboxes if m.soft_deleted and wanted in m.addresses()), None
        )
        if found is None:
            raise Fault(f"application {self.item['name']}: no mailbox {address}")
        return found

    def _grants(self) -> None:
        rows = [*(self.item.get("grants") or [])]
        if self.entries:
            rows += [{"mailbox": address} for address in self.item.get("full_access") or []]
        for row in rows:
            if not self.entries:
                raise Fault(f"application {self.item['name']}: what Exchange does not know can be granted nothing")
            entry = self.entries[int(row.get("entry", 0))]
            for right in several(row.get("right", "full_access")):
                self._grant(self.mailbox(str(row["mailbox"])), entry, right, row)

    def _grant(self, box: Mailbox, entry: Row, right: str, row: dict[str, Any]) -> None:
        trustee, identity = str(entry["ObjectId"]), str(box.properties["Identity"])
        deny, inherited = bool(row.get("deny")), bool(row.get("inherited"))
        match right:
            case "full_access" | "read":
                named = "FullAccess" if right == "full_access" else "ReadPermission"
                self.exchange.add_ace(box, trustee, [named], deny=deny, inherited=inherited)
                if not inherited:
                    self._cmdlet(
                        "Add-MailboxPermission",
                        identity,
                        self.created,
                        Identity=identity,
                        User=trustee,
                        AccessRights=named,
                    )
            case "send_as":
                made = self.exchange.add_send_as(box, trustee)
                made.properties |= {"AccessControlType": "Deny" if deny else "Allow", "IsInherited": inherited}
                self._cmdlet(
                    "Add-RecipientPermission",
                    identity,
                    self.created,
                    Identity=identity,
                    Trustee=trustee,
                    AccessRights="SendAs",
                )
            case "send_on_behalf":
                box.properties["GrantSendOnBehalfTo"] = [*box.properties["GrantSendOnBehalfTo"], str(entry["Name"])]
            case _:
                folder, role = str(row.get("folder", "Inbox")), str(row.get("role", "Reviewer"))
                held = Row({"AccessRights": [role], "_trustee": trustee}, self.created)
                box.folders[folder] = [*box.folders.get(folder, []), held]

    def _policies(self) -> None:
        for row in several(self.item.get("policy")):
            address = str(row.get("scope", "")).lower()
            found = [
                g.properties for g in self.exchange.groups if g.properties["PrimarySmtpAddress"].lower() == address
            ]
            scope = found[0] if found else self.mailbox(address).properties
            self.exchange.add_access_policy(
                self.app_id, row.get("right", "RestrictAccess"), scope, str(row.get("description", ""))
            )

    def _roles(self) -> None:
        for row in self.item.get("rbac") or []:
            if not self.entries:
                raise Fault(f"application {self.item['name']}: what Exchange does not know has no roles")
            name = str(row.get("name") or f"{row['role']}-{self.item['name']}")[:64]
            made = self.exchange.assignment(name, row["role"], self.exchange.assignee(self.entries[0]))
            narrowed: dict[str, Any] = {"_scope": ""}
            if row.get("scope"):
                scope = str(row["scope"])
                if row.get("filter") and self.exchange.scope(scope) is None:
                    self.exchange.add_scope(scope, str(row["filter"]))
                narrowed = {"RecipientWriteScope": "CustomRecipientScope", "CustomRecipientWriteScope": scope,
                            "CustomResourceScope": scope, "_scope": scope}  # fmt: skip
            elif row.get("group"):
                group = next(
                    (g.properties for g in self.exchange.groups if str(row["group"]).lower() in g.names()), None
                )
                if group is None:
                    raise Fault(f"application {self.item['name']}: no group {row['group']}")
                shown = f"{group['Name']}_{group['ExternalDirectoryObjectId']}"
                narrowed = {"RecipientWriteScope": "Group", "CustomRecipientWriteScope": shown, "CustomResourceScope": shown,
                            "_scope": group["DistinguishedName"]}  # fmt: skip
            elif row.get("unit"):
                wanted = str(row["unit"]).lower()
                unit = next((u for u in self.exchange.units if wanted in (u.id.lower(), u.name.lower())), None)
                if unit is None:
                    raise Fault(f"application {self.item['name']}: no administrative unit {row['unit']}")
                narrowed = {"RecipientWriteScope": "AdministrativeUnit", "CustomRecipientWriteScope": unit.id,
                            "CustomResourceScope": unit.id, "RecipientAdministrativeUnitScope": unit.id, "_scope": unit.id}  # fmt: skip
            self.exchange.management_role_assignments.append(Row(made | narrowed, self.created))

    def _used(self) -> None:
        times = [self.item.get(key) for key in ("last_used", "last_used_by_person")]
        if any(days is not None for days in times):
            own, person = (None if days is None else self.now - float(days) * DAY for days in times)
            self.directory.last_used[self.app_id] = (own, person)
