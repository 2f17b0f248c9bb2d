"""What a text speaks of, so that common words ("connection refused", "access is denied") explain only what they can."""

import re

from ..diagnosis.reading import squeezed
from ..diagnosis.row import Topic

_MICROSOFT = (
    "office365", "outlook.com", "outlook.office", "microsoftonline", "microsoft365", "aadsts", "office 365", "o365", "m365", "hotmail",
    "live.com", "exchangeonline", "exchange online", "smtp.partner.outlook", "graph.microsoft", "windows.net", "microsoft.exchange", "onmicrosoft",
    "ms365", "microsoft_", "sts.windows", "msal", "azure", "entra", "microsoft exchange", "partner.outlook.cn", "davmail", "microsoft graph",
    "exchangelib", "storedrv", "xoauth2", "psrp", "outlook", "microsoftgraph", "winrm", "powershell",
)  # fmt: skip
_WORDS: dict[Topic, tuple[str, ...]] = {
    "mail": (
        "imap", "smtp", "pop3", "mail", "xoauth2", ":993", ":995", ":587", " 993", " 995", " 587", "port 25", "starttls", "fetchmail", "mutt", "sasl", "postfix",
        "getmail", "mbsync", "isync", "thunderbird", "phpmailer", "auth login", "authenticate", "-err", "ehlo", "550 5.", "554 5.", "535 5.", "530 5.", "451 4.", "421 4.", "501 5.", "tenantattribution", "outlook.office365", "smtp.office365",
    ),
    "entra": ("microsoftonline", "aadsts", "msal", "oauth2/v2.0", "azure", "entra", "oauth2/token", "sts.windows.net", "adal", "access_token", "client_id"),
    "graph": ("graph.microsoft", "microsoft.graph", "microsoftgraph", "mggraph", "-mg", "graph api", "msgraph", "graphserviceclient", "odata.error", "serviceprincipal", "approleassign", "azuread"),
    "exchange": (
        "exchange", "get-mailbox", "serviceprincipal", "mailboxpermission", "recipientpermission", "-casmailbox", "adminapi", "invokecommand", "exoscript", "new-managementrole",
        "applicationaccesspolicy", "tmpexo", "write-errormessage", "managementobject", "configuration.tasks", "outlook.office365.com", "ews", "-exo", "transportconfig", "managementscope", "prod.outlook.com",
    ),
    "winrm": ("winrm", "wsman", "ws-management", "5985", "5986", "new-pssession", "enter-pssession", "invoke-command", "remote server", "psremoting", "pypsrp", "pywinrm", "psrp", "jea"),
    "microsoft": _MICROSOFT,
}  # fmt: skip

# Other people's services: where one of these is named, and none of Microsoft's hosts, nothing common explains the text.
_FOREIGN = re.compile(
    r"gmail|google|gimap|yahoo|icloud|zoho|fastmail|gmx\.|web\.de|mailgun|sendgrid|mailersend|amazonaws|amazonses|dovecot|okta|hostgator|"
    r"poczta|interia|mailtrap|ovh|ionos|strato|protonmail|qq\.com|163\.com|126\.com|yandex|mail\.ru|postgres|psql|mysql|mongodb|redis|kafka|elasticsearch|"
    r"rabbitmq|npm err|docker\.io|registry\.npmjs|pypi\.org|github\.com/login|ldap|samba|mariadb|sqlite",
)
_OURS = re.compile(
    r"office365|outlook\.|microsoftonline|prod\.outlook|graph\.microsoft|aadsts|onmicrosoft|office\.com|partner\.outlook|winrm|5985|5986"
)


class Topics:
    """The topics of a text, found as they are asked for. ``foreign``: it speaks of another provider and not of Microsoft."""

    def __init__(self, text: str) -> None:
        self._low = text.lower()
        self._tight = squeezed(text)  # a name that a line's end cuts is still a name
        self._known: dict[Topic, bool] = {}
        self.foreign = _FOREIGN.search(self._low) is not None and _OURS.search(self._low) is None

    def __contains__(self, topic: Topic) -> bool:
        if topic == "outlook":
            return "mail" in self and "microsoft" in self
        if topic not in self._known:
            self._known[topic] = any(
                word in self._low or (len(word) > 4 and squeezed(word) in self._tight) for word in _WORDS.get(topic, ())
            )
        return self._known[topic]

    def near(self, wanted: frozenset[Topic]) -> bool:
        """Whether the text speaks of one of these; nothing asked is always met."""
        return not wanted or (not self.foreign and ("any" in wanted or any(topic in self for topic in wanted)))
