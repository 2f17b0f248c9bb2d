"""What Exchange Online holds: its service principals, mailboxes, permissions, client access and transport settings.
State and look-ups only; the cmdlets write it, the mail doors read it. Rows are kept in Exchange's own property names.
"""

import random
import uuid
from dataclasses import dataclass, field
from typing import Any

from .clock import Clock
from .faults import Faults
from .rbac import GROUP_KINDS, Group, Hold, Unit

RECIPIENT_TYPES = {"MailUser": "MailUser", "GroupMailbox": "MailUniversalDistributionGroup"}  # others: UserMailbox


@dataclass
class Row:
    """One Exchange object as a cmdlet returns it; ``effective_at`` is the sandbox time from which logins honour it."""

    properties: dict[str, Any]
    created: float
    effective_at: float = 0.0

    def __getitem__(self, name: str) -> Any:
        return self.properties[name]


@dataclass
class Mailbox:
    """A recipient with its settings and grants. ``properties`` is Get-Mailbox's row, ``cas`` Get-CASMailbox's.

    ``permissions`` are Get-MailboxPermission rows with an extra key ``_trustee``: the ObjectId of the service principal
    or the UPN of the person that the row stands for, whatever ``User`` shows; the SID alone once that trustee is gone.
    ``recipient_permissions`` likewise.
    A service principal's row has the extra keys ``_sid`` and ``_entra`` (Entra held it when the row was made).
    ``kind``: UserMailbox, SharedMailbox, GroupMailbox, MailUser; ``soft_deleted`` ones answer only to -SoftDeletedMailbox.
    ``former``: switches that logins are still judged by, each until a sandbox time.
    ``messages``: newest last, each {"uid": int, "raw": bytes}.
    """

    properties: dict[str, Any]
    cas: dict[str, Any]
    kind: str = "UserMailbox"
    soft_deleted: bool = False
    permissions: list[Row] = field(default_factory=list)
    recipient_permissions: list[Row] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    former: dict[str, tuple[Any, float]] = field(default_factory=dict)
    last_uid: int = 0  # the highest uid ever given or expunged; none is used again (RFC 3501 §2.3.1.1)

    def names(self) -> set[str]:
        """Everything that -Identity takes for it, lower case."""
        p = self.properties
        forms = {p["Name"], p["Alias"], p["DisplayName"], p["Identity"], p["Guid"], p["ExternalDirectoryObjectId"],
                 p["DistinguishedName"], p["UserPrincipalName"], p["PrimarySmtpAddress"], p["ExchangeGuid"],
                 *(a.partition(":")[2] for a in p["EmailAddresses"] if a.lower().startswith("smtp:"))}  # fmt: skip
        return {form.lower() for form in forms if form}

    def addresses(self) -> set[str]:
        """What a mail client may log in as or send from: primary address, aliases and UPN, lower case."""
        p = self.properties
        return {p["PrimarySmtpAddress"].lower(), p["UserPrincipalName"].lower(),
                *(a.partition(":")[2].lower() for a in p["EmailAddresses"] if a.lower().startswith("smtp:"))}  # fmt: skip


class Exchange:
    def __init__(self, clock: Clock, faults: Faults, domain: str, seed: int) -> None:
        self.clock = clock
        self.faults = faults
        self.domain = domain
        self.random = random.Random(f"exchange-{seed}")  # noqa: S311 - a seeded emulator, not a secret
        self.service_principals: list[Row] = []
        self.mailboxes: list[Mailbox] = []
        # Tenants made after January 2020 have SMTP AUTH off (FACTS §2, Set-TransportConfig).
        self.transport_config: dict[str, Any] = {
            "Identity": "Transport Settings",
            "SmtpClientAuthenticationDisabled": True,
        }
        self.organization_config: dict[str, Any] = {
            "Identity": domain, "Name": domain, "IsDehydrated": False, "EnforceExoAppRbacPermissions": False,
        }  # fmt: skip
        self.customized = False  # Enable-OrganizationCustomization has run
        self.groups: list[Group] = []
        self.units: list[Unit] = []
        self.management_scopes: list[Row] = []
        # Rows of Get-ManagementRoleAssignment, of applications alone, with the extra key ``_scope``: what narrows it.
        self.management_role_assignments: list[Row] = []
        self.rbac_holds: dict[str, Hold] = {}  # by ObjectId, lower case
        # Admin rights: principal object id -> role groups ("Organization Management", "Recipient Management", …).
        self.role_groups: dict[str, set[str]] = {}
        parts = "-".join(str(self.random.getrandbits(31)) for _ in range(3))
        self._domain_sid = f"S-1-5-21-{parts}"
        self._gone: dict[str, int] = {}  # how many entries of an ObjectId were removed
        self._index: dict[str, list[Mailbox]] = {}
        self._indexed = 0
        server = f"{self.random.choice('ABCDE')}M{self.random.randint(0, 9)}PR{self.random.randint(10, 99)}MB{self.random.randint(1000, 9999)}"
        self.server_name = server  # as in the texts' "[AM0PR10MB1234.EURPRD10.PROD.OUTLOOK.COM …]"

    def recipients(self, identity: str, *, soft_deleted: bool = False) -> list[Mailbox]:
        """Every recipient that answers to a name that -Identity takes; more than one means that it is ambiguous."""
        return [m for m in self._named(identity.lower()) if m.soft_deleted == soft_deleted]

    def mailbox(self, identity: str) -> Mailbox | None:
        """A live recipient by any name that -Identity takes."""
        return next(iter(self.recipients(identity)), None)

    def switch(self, mailbox: Mailbox, changes: dict[str, Any]) -> None:
        """Set client access switches: shown at once, honoured when the protocol-switch-lag is over."""
        now = self.clock.now()
        for name, value in changes.items():
            lag = self.faults.draw("protocol-switch-lag")
            mailbox.former[name] = (self.honoured(mailbox, name), now + lag)
            mailbox.cas[name] = value

    def honoured(self, mailbox: Mailbox, name: str) -> Any:
        """A switch as logins are judged by it at this moment."""
        value, until = mailbox.former.get(name, (None, 0.0))
        return value if until > self.clock.now() else mailbox.cas[name]

    def by_address(self, address: str) -> Mailbox | None:
        """A live mailbox by an address a mail client may give."""
        wanted = address.lower()
        return next((m for m in self._named(wanted) if not m.soft_deleted and wanted in m.addresses()), None)

    def _named(self, name: str) -> list[Mailbox]:
        """Every recipient of that name, lower case. Names are those it had when it was added: no cmdlet changes them."""
        if self._indexed > len(self.mailboxes):
            self._index, self._indexed = {}, 0
        for mailbox in self.mailboxes[self._indexed :]:
            for form in mailbox.names():
                self._index.setdefault(form, []).append(mailbox)
        self._indexed = len(self.mailboxes)
        return self._index.get(name, [])

    def service_principal(self, app_id: str) -> Row | None:
        return next((row for row in self.service_principals if row["AppId"].lower() == app_id.lower()), None)

    def sid(self, principal: str) -> str:
        """The security identifier of a principal by its ObjectId or UPN: the same one as long as it is there."""
        if principal.upper().startswith("S-1-5-"):
            return principal  # of somebody who is gone
        name = principal.lower()
        number = uuid.uuid5(uuid.NAMESPACE_URL, f"{name}#{self._gone[name]}" if name in self._gone else name).int
        return f"{self._domain_sid}-{1000 + number % 100_000_000}"

    def add_service_principal(
        self, app_id: str, object_id: str, display_name: str, *, effective_at: float = 0.0, entra: bool = False
    ) -> Row:
        """Enter a service principal; its pair of ids is not checked here. ``entra``: Entra holds that object id, so
        that the entry goes when Entra's object goes (application-rbac article)."""
        # Name and Identity are ids of Exchange's own; no source shows that they repeat the ObjectId.
        name = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        properties = {
            "DisplayName": display_name, "AppId": app_id, "ObjectId": object_id, "Identity": name, "Id": name,
            "Name": name, "Guid": str(uuid.UUID(int=self.random.getrandbits(128), version=4)),
            "DistinguishedName": self._dn(name), "RecipientType": "User",
            "RecipientTypeDetails": "ServicePrinciple",  # [sic] michev.info 4027
            "IsValid": True, "ObjectState": "Unchanged", "_sid": self.sid(object_id), "_entra": entra,
        }  # fmt: skip
        row = Row(properties, self.clock.now(), effective_at)
        self.service_principals.append(row)
        return row

    def remove_service_principal(self, row: Row) -> None:
        """Its permissions stay behind as bare SIDs: an entry made anew, even with the same ObjectId, is somebody else to
        them, as access control is by SID (learn.microsoft.com/windows/win32/secauthz/security-identifiers; FACTS §2, orphans)."""
        self.service_principals.remove(row)
        name = str(row["ObjectId"]).lower()
        # Its role assignments go with it, scopes stay (application-rbac FAQ).
        self.management_role_assignments = [
            held for held in self.management_role_assignments if str(held["App"]).lower() != name
        ]
        if any(str(other["ObjectId"]).lower() == name for other in self.service_principals):
            return
        for mailbox in self.mailboxes:
            for permission in (*mailbox.permissions, *mailbox.recipient_permissions):
                if permission["_trustee"].lower() == name:
                    column = "User" if "User" in permission.properties else "Trustee"
                    permission.properties.update({"_trustee": row["_sid"], column: row["_sid"]})
        self._gone[name] = self._gone.get(name, 0) + 1

    def add_permission(self, mailbox: Mailbox, principal: Row, *rights: str, effective_at: float = 0.0) -> Row:
        """Let a service principal into a mailbox: FullAccess, unless other rights are named."""
        return self.add_ace(
            mailbox, str(principal["ObjectId"]), list(rights) or ["FullAccess"], effective_at=effective_at
        )

    def add_ace(
        self,
        mailbox: Mailbox,
        trustee: str,
        rights: list[str],
        *,
        deny: bool = False,
        inheritance: str = "All",
        effective_at: float = 0.0,
    ) -> Row:
        """One entry of Get-MailboxPermission. ``User`` is shown by the cmdlet, which knows the knob for it."""
        properties = {
            "Identity": mailbox.properties["Identity"], "User": trustee, "AccessRights": rights, "Deny": deny,
            "InheritanceType": inheritance, "IsInherited": False, "IsValid": True, "ObjectState": "Unchanged",
            "UserSid": self.sid(trustee), "_trustee": trustee,
        }  # fmt: skip
        row = Row(properties, self.clock.now(), effective_at)
        mailbox.permissions.append(row)
        return row

    def add_send_as(self, mailbox: Mailbox, trustee: str, *, effective_at: float = 0.0) -> Row:
        """One entry of Get-RecipientPermission; of a person by the UPN, of a service principal by the ObjectId."""
        properties = {
            "Identity": mailbox.properties["Identity"], "Trustee": trustee, "AccessControlType": "Allow",
            "AccessRights": ["SendAs"], "IsInherited": False, "InheritanceType": "None", "IsValid": True,
            "ObjectState": "Unchanged", "_trustee": trustee,
        }  # fmt: skip
        row = Row(properties, self.clock.now(), effective_at)
        mailbox.recipient_permissions.append(row)
        return row

    def scope(self, identity: str) -> Row | None:
        """A management scope by its name."""
        wanted = identity.lower()
        return next((row for row in self.management_scopes if str(row["Name"]).lower() == wanted), None)

    def dehydrated(self) -> bool:
        """Whether the organization still has its standard settings, which cannot be changed."""
        return not self.customized and bool(self.organization_config["IsDehydrated"] or self.faults["dehydrated"])

    def add_group(self, address: str, name: str, members: list[str], kind: str = "DistributionGroup") -> Group:
        """Create a group of mailboxes and other groups, by their addresses."""
        guid, object_id = (str(uuid.UUID(int=self.random.getrandbits(128), version=4)) for _ in range(2))
        properties: dict[str, Any] = {
            "Name": name, "Alias": address.partition("@")[0], "DisplayName": name, "Identity": name, "Id": name, "Guid": guid,
            "ExchangeGuid": "00000000-0000-0000-0000-000000000000", "ExternalDirectoryObjectId": object_id, "DistinguishedName": self._dn(name.replace(",", "\\,")),
            "PrimarySmtpAddress": address, "EmailAddresses": [f"SMTP:{address}"], "GroupType": "Universal",
            "UserPrincipalName": "", "WindowsEmailAddress": address, "IsMailboxEnabled": False, "GrantSendOnBehalfTo": [],
            "RecipientType": "MailUniversalSecurityGroup" if kind == "SecurityGroup" else "MailUniversalDistributionGroup",
            "RecipientTypeDetails": GROUP_KINDS[kind], "OrganizationalUnit": f"eurpr10a001.prod.outlook.com/{self.domain}",
            "HiddenFromAddressListsEnabled": False, "ObjectState": "Unchanged", "IsValid": True,
        }  # fmt: skip
        self.groups.append(Group(properties, {member.lower() for member in members}))
        return self.groups[-1]

    def _dn(self, name: str) -> str:
        return f"CN={name},OU={self.domain},OU=Microsoft Exchange Hosted Organizations,DC=EURPR10A001,DC=PROD,DC=OUTLOOK,DC=COM"

    def add_mailbox(
        self,
        address: str,
        *,
        kind: str = "UserMailbox",
        upn: str | None = None,
        aliases: tuple[str, ...] = (),
        display_name: str | None = None,
        soft_deleted: bool = False,
        attributes: dict[str, str] | None = None,
        **cas: Any,
    ) -> Mailbox:
        """Create a recipient. ``cas`` overrides Get-CASMailbox properties (ImapEnabled, PopEnabled, …); ``attributes`` are
        what scopes may filter by (Department, CustomAttribute1, …)."""
        local = address.partition("@")[0]
        # Since 2020s Exchange Online names new mailboxes by their directory object id (Name, hence Identity).
        object_id = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        guid = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        properties = {
            "Name": object_id, "Alias": local, "DisplayName": display_name or local.title(), "Identity": object_id,
            "Guid": guid, "ExchangeGuid": str(uuid.UUID(int=self.random.getrandbits(128), version=4)),
            "ExternalDirectoryObjectId": object_id, "DistinguishedName": self._dn(object_id), "UserPrincipalName": upn or address,
            "PrimarySmtpAddress": address, "WindowsEmailAddress": address,
            "EmailAddresses": [f"SMTP:{address}", *(f"smtp:{alias}" for alias in aliases)],
            "RecipientType": RECIPIENT_TYPES.get(kind, "UserMailbox"), "RecipientTypeDetails": kind,
            "IsMailboxEnabled": kind != "MailUser", "OrganizationalUnit": f"eurpr10a001.prod.outlook.com/{self.domain}",
            "GrantSendOnBehalfTo": [], "HiddenFromAddressListsEnabled": False, "ObjectState": "Unchanged", "IsValid": True,
        }  # fmt: skip
        settings = {
            "Identity": object_id, "Name": object_id, "DisplayName": properties["DisplayName"], "Guid": guid,
            "PrimarySmtpAddress": address, "ExternalDirectoryObjectId": object_id, "ImapEnabled": True, "PopEnabled": True,
            "SmtpClientAuthenticationDisabled": None, "OWAEnabled": True, "MAPIEnabled": True, "EwsEnabled": True,
            "ActiveSyncEnabled": True,
        } | cas  # fmt: skip
        mailbox = Mailbox(properties | (attributes or {}), settings, kind, soft_deleted)
        own = {
            "Identity": object_id, "User": "NT AUTHORITY\\SELF", "AccessRights": ["FullAccess", "ReadPermission"], "Deny": False,
            "InheritanceType": "All", "IsInherited": False, "IsValid": True, "ObjectState": "Unchanged",
            "UserSid": "S-1-5-10", "_trustee": "",
        }  # fmt: skip
        mailbox.permissions.append(Row(own, self.clock.now()))
        self.mailboxes.append(mailbox)
        return mailbox
