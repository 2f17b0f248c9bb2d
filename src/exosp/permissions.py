"""Which permissions reach mail, and which let their holder give itself more: the tables that an audit goes by.

Ids are never used: a value is looked up in the tenant's own resource (FACTS §1). Sources:
- learn.microsoft.com/graph/permissions-reference
- learn.microsoft.com/exchange/permissions-exo/application-rbac
- learn.microsoft.com/exchange/reference/admin-api-authentication
- learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth
"""

from typing import Literal

from .inventory import MICROSOFT_GRAPH
from .snapshot import EXCHANGE_ONLINE, AppId

Can = Literal["read", "send", "manage"]

# Application permissions that a mailbox must still grant: without FullAccess there (SMTP: or a management role) they open nothing.
PROTOCOLS: dict[str, Literal["imap", "pop", "smtp"]] = {
    "IMAP.AccessAsApp": "imap",
    "POP.AccessAsApp": "pop",
    "SMTP.SendAsApp": "smtp",
}

# Application permissions that reach every mailbox, unless an application access policy narrows them: value -> what with.
TENANT_WIDE: dict[AppId, dict[str, tuple[Can, ...]]] = {
    EXCHANGE_ONLINE: {
        "full_access_as_app": ("read", "send", "manage"),
        "Mail.Read": ("read",),
        "Mail.ReadWrite": ("read", "manage"),
        "Mail.Send": ("send",),
    },
    MICROSOFT_GRAPH: {
        "Mail.Read": ("read",),
        "Mail.ReadBasic": ("read",),
        "Mail.ReadBasic.All": ("read",),
        "Mail.ReadWrite": ("read", "manage"),
        "Mail.Send": ("send",),
        "Mail-Advanced.ReadWrite.All": ("read", "manage"),
        "MailboxFolder.Read.All": ("read",),
        "MailboxFolder.ReadWrite.All": ("read", "manage"),
        "MailboxItem.Read.All": ("read",),
        "MailboxItem.Export.All": ("read",),
        "MailboxItem.ImportExport.All": ("read", "manage"),
    },
}

# With one of these and an Exchange role, an application can grant itself any mailbox.
MANAGES_EXCHANGE = frozenset({"Exchange.ManageAsApp", "Exchange.ManageAsAppV2", "Exchange.AdminAPI.ManageAsApp"})

# With one of these, of Microsoft Graph, an application can consent to any of the above for itself.
GRANTS_ITSELF = frozenset(
    {
        "AppRoleAssignment.ReadWrite.All",
        "Application.ReadWrite.All",
        "Directory.ReadWrite.All",
        "RoleManagement.ReadWrite.Directory",
    }
)

# Delegated permissions that reach mail.
DELEGATED: dict[AppId, frozenset[str]] = {
    EXCHANGE_ONLINE: frozenset(
        {
            "IMAP.AccessAsUser.All", "POP.AccessAsUser.All", "SMTP.Send", "EWS.AccessAsUser.All", "Mail.Read", "Mail.ReadWrite",
            "Mail.Send", "Mail.ReadWrite.All", "full_access_as_user", "Exchange.Manage", "Exchange.ManageV2",
        }
    ),
    MICROSOFT_GRAPH: frozenset(
        {
            "IMAP.AccessAsUser.All", "POP.AccessAsUser.All", "SMTP.Send", "EWS.AccessAsUser.All", "Mail.Read", "Mail.ReadBasic",
            "Mail.ReadWrite", "Mail.Send", "Mail.Read.Shared", "Mail.ReadBasic.Shared", "Mail.ReadWrite.Shared", "Mail.Send.Shared",
            "MailboxFolder.Read", "MailboxFolder.ReadWrite", "MailboxItem.Read", "MailboxItem.Export",
            "MailboxItem.ImportExport", "Mail-Advanced.ReadWrite.Shared",
        }
    ),
}  # fmt: skip

# Management roles of RBAC for Applications that reach mail -> through what, and what with. The others are about calendars,
# contacts and settings.
ROLES: dict[str, tuple[tuple[Literal["graph", "ews", "smtp"], Can], ...]] = {
    "Application Mail.Read": (("graph", "read"),),
    "Application Mail.ReadBasic": (("graph", "read"),),
    "Application Mail.ReadWrite": (("graph", "read"), ("graph", "manage")),
    "Application Mail.Send": (("graph", "send"),),
    "Application Mail-Advanced.ReadWrite.All": (("graph", "read"), ("graph", "manage")),
    "Application MailboxFolder.Read": (("graph", "read"),),
    "Application MailboxFolder.ReadWrite": (("graph", "read"), ("graph", "manage")),
    "Application MailboxItem.Read": (("graph", "read"),),
    "Application MailboxItem.ReadWrite": (("graph", "read"), ("graph", "manage")),
    "Application MailboxItem.Export": (("graph", "read"),),
    "Application MailboxItem.ImportExport": (("graph", "read"), ("graph", "manage")),
    "Application Mail Full Access": (("graph", "read"), ("graph", "manage"), ("graph", "send")),
    "Application Exchange Full Access": (("graph", "read"), ("graph", "manage"), ("graph", "send")),
    "Application EWS.AccessAsApp": (("ews", "read"), ("ews", "manage"), ("ews", "send")),
    "Application SMTP.SendAsApp": (("smtp", "send"),),
}

# Through what a delegated permission reaches mail, and what with; those that are not here read, by their resource's own API.
SCOPES: dict[
    str, tuple[Literal["imap", "pop", "smtp", "graph", "ews", "exchange-admin", ""], Can | Literal["open"]]
] = {
    "IMAP.AccessAsUser.All": ("imap", "open"),
    "POP.AccessAsUser.All": ("pop", "open"),
    "SMTP.Send": ("smtp", "send"),
    "EWS.AccessAsUser.All": ("ews", "open"),
    "full_access_as_user": ("ews", "open"),
    "Exchange.Manage": ("exchange-admin", "manage"),
    "Exchange.ManageV2": ("exchange-admin", "manage"),
    "Mail.Send": ("", "send"),
    "Mail.Send.Shared": ("", "send"),
    "Mail.ReadWrite": ("", "manage"),
    "Mail.ReadWrite.All": ("", "manage"),
    "Mail.ReadWrite.Shared": ("", "manage"),
    "MailboxFolder.ReadWrite": ("", "manage"),
    "MailboxItem.ImportExport": ("", "manage"),
    "Mail-Advanced.ReadWrite.Shared": ("", "manage"),
}

# The management role behind SMTP.SendAsApp without a claim; it stands beside the others that begin with "Application ".
SMTP_ROLE = "Application SMTP.SendAsApp"
APPLICATION_ROLES = "Application "


def reaches_mail(resource: AppId, value: str) -> bool:
    """Whether an application permission matters to an audit."""
    if value in TENANT_WIDE.get(resource, {}):
        return True
    if resource == EXCHANGE_ONLINE:
        return value in PROTOCOLS or value in MANAGES_EXCHANGE
    return resource == MICROSOFT_GRAPH and value in GRANTS_ITSELF
