"""Mailboxes as Exchange holds them. One that a tenant file names holds its own values. One of ``--mailboxes`` is a number: what it
has follows from that, is made for whoever looks, and is kept from the first write on, so that a hundred thousand cost little.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

RECIPIENT_TYPES = {"MailUser": "MailUser", "GroupMailbox": "MailUniversalDistributionGroup"}  # others: UserMailbox
SELF = "NT AUTHORITY\\SELF"


@dataclass
class Row:
    """One Exchange object as a cmdlet returns it; ``effective_at`` is the sandbox time from which logins honour it."""

    properties: dict[str, Any]
    created: float
    effective_at: float = 0.0

    def __getitem__(self, name: str) -> Any:
        return self.properties[name]


def _keeping(method: Callable[..., Any]) -> Callable[..., Any]:
    def write(self: Any, *given: Any, **named: Any) -> Any:
        if self.box is not None:
            setattr(self.box, f"_{self.part}", self)
            self.box = None
        return method(self, *given, **named)

    return write


class _Fields(dict[str, Any]):
    """A mailbox's properties, made for a look. The first write makes them the mailbox's own."""

    __slots__ = ("box", "part")
    box: "Mailbox | None"
    part: str


class _Rows(list[Any]):
    """The same of a list."""

    __slots__ = ("box", "part")
    box: "Mailbox | None"
    part: str


for _name in ("__setitem__", "__delitem__", "__ior__", "update", "pop", "popitem", "setdefault", "clear"):
    setattr(_Fields, _name, _keeping(getattr(dict, _name)))
for _name in (
    "__setitem__",
    "__delitem__",
    "__iadd__",
    "append",
    "extend",
    "insert",
    "remove",
    "pop",
    "clear",
    "sort",
    "reverse",
):
    setattr(_Rows, _name, _keeping(getattr(list, _name)))


def _part(name: str) -> Any:
    slot = f"_{name}"

    def get(self: "Mailbox") -> Any:
        held = getattr(self, slot)
        return held if held is not None else self.crowd.part(self, name)  # type: ignore[union-attr]  # one without a crowd holds all

    def put(self: "Mailbox", value: Any) -> None:
        setattr(self, slot, value)

    return property(get, put)


class Mailbox:
    """A recipient with its settings and grants. ``properties`` is Get-Mailbox's row, ``cas`` Get-CASMailbox's.

    ``permissions`` are Get-MailboxPermission rows with an extra key ``_trustee``: the ObjectId of the service principal
    or the UPN of the person that the row stands for, whatever ``User`` shows; the SID alone once that trustee is gone.
    ``recipient_permissions`` likewise. ``folders``: what somebody holds on a folder, by its name in English.
    ``kind``: UserMailbox, SharedMailbox, GroupMailbox, MailUser; ``soft_deleted`` ones answer only to -SoftDeletedMailbox.
    ``former``: switches that logins are still judged by, each until a sandbox time.
    ``messages``: newest last, each {"uid": int, "raw": bytes}.
    """

    __slots__ = (
        "_cas", "_folders", "_former", "_messages", "_permissions", "_properties", "_recipient_permissions", "crowd",
        "kind", "last_uid", "number", "soft_deleted",
    )  # fmt: skip

    def __init__(
        self,
        properties: dict[str, Any] | None,
        cas: dict[str, Any] | None,
        kind: str = "UserMailbox",
        soft_deleted: bool = False,
        *,
        crowd: "Crowd | None" = None,
        number: int = -1,
    ) -> None:
        self.kind = kind
        self.soft_deleted = soft_deleted
        self.last_uid = 0  # the highest uid ever given or expunged; none is used again (RFC 3501 §2.3.1.1)
        self.crowd = crowd
        self.number = number
        self._properties = properties
        self._cas = cas
        made = crowd is None
        self._permissions: list[Row] | None = [] if made else None
        self._recipient_permissions: list[Row] | None = [] if made else None
        self._messages: list[dict[str, Any]] | None = [] if made else None
        self._former: dict[str, tuple[Any, float]] | None = {} if made else None
        self._folders: dict[str, list[Row]] | None = {} if made else None

    properties: dict[str, Any] = _part("properties")
    cas: dict[str, Any] = _part("cas")
    permissions: list[Row] = _part("permissions")
    recipient_permissions: list[Row] = _part("recipient_permissions")
    messages: list[dict[str, Any]] = _part("messages")
    former: dict[str, tuple[Any, float]] = _part("former")
    folders: dict[str, list[Row]] = _part("folders")

    @property
    def identity(self) -> str:
        """What rows name it by."""
        if self._properties is None and self.crowd is not None:
            return self.crowd.identity(self.number)
        return str(self.properties["Identity"])

    @property
    def sent_as(self) -> bool:
        """Whether anybody holds a recipient permission on it."""
        return bool(self._recipient_permissions)

    @property
    def granted(self) -> bool:
        """Whether any grant was ever written on it."""
        return self._permissions is not None or self._recipient_permissions is not None

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


def row_of_self(identity: str, created: float) -> Row:
    """What every mailbox's owner holds on it."""
    return Row(
        {
            "Identity": identity, "User": SELF, "AccessRights": ["FullAccess", "ReadPermission"], "Deny": False,
            "InheritanceType": "All", "IsInherited": False, "IsValid": True, "ObjectState": "Unchanged",
            "UserSid": "S-1-5-10", "_trustee": "",
        },
        created,
    )  # fmt: skip


def welcome(address: str, guid: str) -> dict[str, Any]:
    """The first message of a mailbox."""
    text = (
        f"From: Contoso IT <it@contoso.com>\r\nTo: {address}\r\nSubject: Welcome to your mailbox\r\n"
        f"Message-ID: <welcome-{guid}@contoso.com>\r\nDate: Mon, 05 Jan 2026 09:00:00 +0000\r\n\r\n"
        "This mailbox lives in an emulated tenant.\r\n"
    )
    return {"uid": 1, "raw": text.encode()}


def row_of_mailbox(
    ids: tuple[str, str, str], address: str, display_name: str, kind: str, domain: str, *, upn: str | None = None, aliases: tuple[str, ...] = (),
) -> dict[str, Any]:  # fmt: skip
    """Get-Mailbox's row. ``ids``: of the directory, of Exchange, of the store."""
    object_id, guid, store = ids
    # Since 2020s Exchange Online names new mailboxes by their directory object id (Name, hence Identity).
    return {
        "Name": object_id, "Alias": address.partition("@")[0], "DisplayName": display_name, "Identity": object_id,
        "Guid": guid, "ExchangeGuid": store, "ExternalDirectoryObjectId": object_id,
        "DistinguishedName": distinguished(object_id, domain), "UserPrincipalName": upn or address,
        "PrimarySmtpAddress": address, "WindowsEmailAddress": address,
        "EmailAddresses": [f"SMTP:{address}", *(f"smtp:{alias}" for alias in aliases)],
        "RecipientType": RECIPIENT_TYPES.get(kind, "UserMailbox"), "RecipientTypeDetails": kind,
        "IsMailboxEnabled": kind != "MailUser", "OrganizationalUnit": f"eurpr10a001.prod.outlook.com/{domain}",
        "GrantSendOnBehalfTo": [], "HiddenFromAddressListsEnabled": False, "ObjectState": "Unchanged", "IsValid": True,
    }  # fmt: skip


def row_of_client_access(ids: tuple[str, str, str], address: str, display_name: str) -> dict[str, Any]:
    """Get-CASMailbox's row, as it is for a new mailbox."""
    return {
        "Identity": ids[0], "Name": ids[0], "DisplayName": display_name, "Guid": ids[1],
        "PrimarySmtpAddress": address, "ExternalDirectoryObjectId": ids[0], "ImapEnabled": True, "PopEnabled": True,
        "SmtpClientAuthenticationDisabled": None, "OWAEnabled": True, "MAPIEnabled": True, "EwsEnabled": True,
        "ActiveSyncEnabled": True,
    }  # fmt: skip


def distinguished(name: str, domain: str) -> str:
    return f"CN={name},OU={domain},OU=Microsoft Exchange Hosted Organizations,DC=EURPR10A001,DC=PROD,DC=OUTLOOK,DC=COM"


_SPACE = 1 << 120


@dataclass
class Crowd:
    """The mailboxes box00000@contoso.com and on. Their ids look drawn and follow from the number, both ways."""

    random: Random
    domain: str
    created: float
    boxes: list[Mailbox] = field(default_factory=list)
    mail_domain: str = "contoso.com"

    def __post_init__(self) -> None:
        draw = self.random
        self._keys = [(draw.getrandbits(120) | 1, draw.getrandbits(120)) for _ in range(3)]
        self._inverse = [pow(factor, -1, _SPACE) for factor, _ in self._keys]
        self._named = re.compile(rf"box(\d{{5,}})(?:@{re.escape(self.mail_domain)})?")

    def add(self, count: int) -> list[Mailbox]:
        first = len(self.boxes)
        made = [Mailbox(None, None, crowd=self, number=number) for number in range(first, first + count)]
        self.boxes += made
        return made

    def _guid(self, which: int, number: int) -> str:
        factor, shift = self._keys[which]
        text = f"{(factor * number + shift) % _SPACE:030x}"
        return f"{text[:8]}-{text[8:12]}-4{text[12:15]}-a{text[15:18]}-{text[18:]}"

    def identity(self, number: int) -> str:
        return self._guid(0, number)

    def find(self, name: str) -> Mailbox | None:
        """The mailbox of that name, address, id or distinguished name, lower case."""
        found = self._named.fullmatch(name)
        if found is not None:
            number = int(found[1])
            fits = number < len(self.boxes) and found[1] == f"{number:05d}"
            return self.boxes[number] if fits else None
        if name.startswith("cn="):
            text = name[3:].partition(",")[0]
            box = self.find(text)
            return box if box is not None and distinguished(text, self.domain).lower() == name else None
        if len(name) != 36 or name[14] != "4" or name[19] != "a":
            return None
        digits = f"{name[:8]}{name[9:13]}{name[15:18]}{name[20:23]}{name[24:]}"
        try:
            value = int(digits, 16)
        except ValueError:
            return None
        for (_, shift), inverse in zip(self._keys, self._inverse, strict=True):
            number = ((value - shift) * inverse) % _SPACE
            if number < len(self.boxes):
                return self.boxes[number]
        return None

    def part(self, box: Mailbox, name: str) -> Any:
        """One part of a mailbox that nobody has written yet."""
        number = box.number
        made: Any
        match name:
            case "permissions":
                made = _Rows([row_of_self(self._guid(0, number), self.created)])
            case "recipient_permissions":
                made = _Rows()
            case "former" | "folders":
                made = _Fields()
            case "messages":  # whoever opens the mailbox holds on to them and writes in them: kept at once
                box._messages = [welcome(self.address(number), self._guid(1, number))]
                return box._messages
            case _:
                ids = (self._guid(0, number), self._guid(1, number), self._guid(2, number))
                shown = f"Box{number:05d}"
                if name == "cas":
                    made = _Fields(row_of_client_access(ids, self.address(number), shown))
                else:
                    made = _Fields(row_of_mailbox(ids, self.address(number), shown, box.kind, self.domain))
        made.box, made.part = box, name
        return cast(Any, made)

    def address(self, number: int) -> str:
        return f"box{number:05d}@{self.mail_domain}"
