"""What Exchange Online holds: its service principals, mailboxes, permissions, client access and transport settings.
State and look-ups only; the cmdlets write it, the mail doors read it. Rows are kept in Exchange's own property names.
"""

import random
import uuid
from typing import Any

from .clock import Clock
from .faults import Faults
from .mailbox import Crowd as Crowd
from .mailbox import Mailbox as Mailbox
from .mailbox import Row as Row
from .mailbox import distinguished, row_of_client_access, row_of_mailbox, row_of_self
from .rbac import GROUP_KINDS, Group, Hold, Unit


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
            "DefaultAuthenticationPolicy": None,
        }  # fmt: skip
        self.authentication_policies: list[Row] = []
        self.access_policies: list[Row] = []  # Get-ApplicationAccessPolicy's rows
        self.admin_log: list[
            dict[str, Any]
        ] = []  # what the unified audit log's AuditData says of cmdlets, oldest first
        self.log_shows: dict[str, float] = {}  # by a record's Id: the sandbox time from which it shows
        self.audit_sessions: dict[str, tuple[list[dict[str, Any]], int]] = {}  # SessionId -> its rows, and where it is
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
        self.crowd = Crowd(random.Random(f"crowd-{seed}"), domain, clock.now())  # noqa: S311 - the same
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
        if self._indexed < len(self.mailboxes):
            for mailbox in self.mailboxes[self._indexed :]:
                for form in mailbox.names() if mailbox.crowd is None else ():
                    self._index.setdefault(form, []).append(mailbox)
            self._indexed = len(self.mailboxes)
        found, one = self._index.get(name, []), self.crowd.find(name) if self.crowd.boxes else None
        return found if one is None else [*found, one]

    def domains(self) -> list[str]:
        """The domains of every recipient's addresses, lower case, in the order of the recipients."""
        found: dict[str, None] = {}
        for mailbox in self.mailboxes:
            if mailbox.crowd is None:
                found |= {address.rpartition("@")[2]: None for address in sorted(mailbox.addresses())}
        if self.crowd.boxes:
            found[self.crowd.mail_domain] = None
        return [name for name in found if name]

    def add_crowd(self, count: int) -> list[Mailbox]:
        """So many more mailboxes, numbered."""
        made = self.crowd.add(count)
        self.mailboxes += made
        return made

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
        name = self.new_guid()
        properties = {
            "DisplayName": display_name, "AppId": app_id, "ObjectId": object_id, "Identity": name, "Id": name,
            "Name": name, "Guid": self.new_guid(),
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
            for permission in (*mailbox.permissions, *mailbox.recipient_permissions) if mailbox.granted else ():
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
        inherited: bool = False,
        effective_at: float = 0.0,
    ) -> Row:
        """One entry of Get-MailboxPermission. ``User`` is shown by the cmdlet, which knows the knob for it."""
        properties = {
            "Identity": mailbox.properties["Identity"], "User": trustee, "AccessRights": rights, "Deny": deny,
            "InheritanceType": inheritance, "IsInherited": inherited, "IsValid": True, "ObjectState": "Unchanged",
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

    def add_access_policy(self, app_id: str, right: str, scope: dict[str, Any], description: str = "") -> Row:
        """An application access policy on a group or a mailbox, whose row ``scope`` is. Its identity is the tenant's, the
        application's and the scope's (Get-ApplicationAccessPolicy's output in field reports)."""
        sid = self.sid(str(scope["ExternalDirectoryObjectId"]))
        identity = f"{self.domain}\\{app_id}:{sid};{self.new_guid()}"
        properties = {
            "ScopeName": scope["Name"], "ScopeIdentity": scope["Identity"], "Identity": identity, "AppId": app_id,
            "ScopeIdentityRaw": f"{sid};{scope['Guid']}", "Description": description, "AccessRight": right,
            "ShardType": "All", "IsValid": True, "ObjectState": "Unchanged",
        }  # fmt: skip
        self.access_policies.append(Row(properties, self.clock.now()))
        return self.access_policies[-1]

    def add_authentication_policy(self, name: str, *, smtp: bool, default: bool = False) -> Row:
        """An authentication policy. ``smtp``: whether it lets SMTP AUTH take passwords; the others' switches are off, as
        in a new one (New-AuthenticationPolicy's help)."""
        others = ("ActiveSync", "Autodiscover", "Imap", "Mapi", "OfflineAddressBook", "OutlookService", "Pop", "Powershell",
                  "ReportingWebServices", "Rpc", "WebServices")  # fmt: skip
        properties = {
            "Name": name, "Identity": name, "Id": name, "Guid": self.new_guid(),
            "DistinguishedName": f"CN={name},CN=Auth Policies,CN=Configuration,CN={self.domain}",
            "AllowBasicAuthSmtp": smtp, **{f"AllowBasicAuth{one}": False for one in others},
            "IsValid": True, "ObjectState": "Unchanged",
        }  # fmt: skip
        if default:
            self.organization_config["DefaultAuthenticationPolicy"] = name
        self.authentication_policies.append(Row(properties, self.clock.now()))
        return self.authentication_policies[-1]

    def assignment(self, name: str, role: str, assignee: dict[str, Any]) -> dict[str, Any]:
        """A row of Get-ManagementRoleAssignment over the whole organization."""
        return {
            "Name": name, "Identity": name, "Id": name, "Role": role, "AssignmentMethod": "Direct", "AssignmentChain": "",
            "RoleAssignmentDelegationType": "Regular", "Enabled": True, "RecipientReadScope": "Organization",
            "RecipientWriteScope": "Organization", "CustomRecipientWriteScope": "", "CustomResourceScope": "",
            "RecipientAdministrativeUnitScope": "", "ConfigReadScope": "None", "ConfigWriteScope": "None", "App": "",
            "DistinguishedName": f"CN={name},CN=Role Assignments,CN=RBAC,CN=Configuration,CN={self.domain}",
            "IsValid": True, "ObjectState": "Unchanged",
        } | assignee  # fmt: skip

    def assignee(self, app: Row) -> dict[str, Any]:
        """The columns that name an application as the one who holds a role."""
        shown = app["DisplayName"] or app["Identity"]
        return {
            "App": app["ObjectId"], "RoleAssignee": app["Identity"], "RoleAssigneeName": shown,
            "RoleAssigneeType": "ServicePrincipal", "EffectiveUserName": shown, "Guid": self.new_guid(),
        }  # fmt: skip

    def add_scope(self, name: str, recipient_filter: str) -> Row:
        """A management scope; the filter is kept as given."""
        properties = {
            "Name": name, "Identity": name, "Id": name, "RecipientRoot": None, "RecipientFilter": recipient_filter, "ServerFilter": "",
            "DatabaseFilter": "", "ScopeRestrictionType": "RecipientScope", "Exclusive": False,
            "DistinguishedName": f"CN={name},CN=Scopes,CN=RBAC,CN=Configuration,CN={self.domain}",
            "Guid": self.new_guid(), "IsValid": True, "ObjectState": "Unchanged",
        }  # fmt: skip
        self.management_scopes.append(Row(properties, self.clock.now()))
        return self.management_scopes[-1]

    def scope(self, identity: str) -> Row | None:
        """A management scope by its name."""
        wanted = identity.lower()
        return next((row for row in self.management_scopes if str(row["Name"]).lower() == wanted), None)

    def dehydrated(self) -> bool:
        """Whether the organization still has its standard settings, which cannot be changed."""
        return not self.customized and bool(self.organization_config["IsDehydrated"] or self.faults["dehydrated"])

    def add_group(self, address: str, name: str, members: list[str], kind: str = "DistributionGroup") -> Group:
        """Create a group of mailboxes and other groups, by their addresses."""
        guid, object_id = (self.new_guid() for _ in range(2))
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
        return distinguished(name, self.domain)

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
        # Drawn in this order; the first is the directory's, the last the store's.
        ids = (self.new_guid(), self.new_guid(), self.new_guid())
        shown = display_name or address.partition("@")[0].title()
        properties = row_of_mailbox(ids, address, shown, kind, self.domain, upn=upn, aliases=aliases)
        settings = row_of_client_access(ids, address, shown) | cas
        mailbox = Mailbox(properties | (attributes or {}), settings, kind, soft_deleted)
        mailbox.permissions.append(row_of_self(ids[0], self.clock.now()))
        self.mailboxes.append(mailbox)
        return mailbox

    def new_guid(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))
