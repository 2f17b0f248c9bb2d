"""People of the tenant and their sign-ins that are under way: state only, ``entra`` acts on it.

Passwords, codes and refresh tokens are kept as digests, never themselves.
Source: learn.microsoft.com/graph/api/resources/user (object id, userPrincipalName, accountEnabled).
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass
class User:
    """A person's account. ``id`` is its object id: a mailbox's ExternalDirectoryObjectId where it owns one. ``home``: the
    tenant that it is of, where that is a partner's and not this one."""

    id: str
    upn: str
    name: str
    password: str = field(repr=False)
    enabled: bool = True
    home: str = ""
    puid: str = field(default_factory=lambda: f"1003{secrets.token_hex(6).upper()}")

    @property
    def trustees(self) -> set[str]:
        """What a permission's row may know the person by, lower case."""
        return {self.id.lower(), self.upn.lower()}


@dataclass(frozen=True)
class Request:
    """What a client asked a person's browser to bring back, or a device to wait for."""

    client: str  # appId, lower case
    scope: str
    redirect_uri: str = ""
    response_mode: str = "query"
    state: str | None = None
    nonce: str | None = None
    challenge: str = ""
    method: str = ""
    prompt: str = ""
    login_hint: str = ""
    device: str = ""  # the digest of the device code that the sign-in is for


@dataclass
class Pending:
    """A sign-in page that is open in somebody's browser."""

    request: Request
    expires: float
    user: str = ""  # object id, once the password was right
    proved_twice: bool = False  # the second factor
    consented: bool = False


@dataclass
class Code:
    """An authorization code, by its digest."""

    request: Request
    user: str
    expires: float
    proved_twice: bool = False
    redeemed: bool = False


@dataclass
class Refresh:
    """A refresh token, by its digest. ``scope`` is what the sign-in asked for."""

    client: str
    user: str
    scope: str
    issued: float
    expires: float
    public: bool = True
    proved_twice: bool = False


@dataclass
class Device:
    """A device code, by its digest."""

    client: str
    scope: str
    user_code: str
    expires: float
    came: Literal["pending", "approved", "declined", "redeemed"] = "pending"
    user: str = ""
    proved_twice: bool = False
    polled: float = -1e9


class Users(dict[str, User]):
    """Accounts by object id. ``beyond`` makes those of numbered mailboxes, by id or UPN, once somebody asks for them."""

    beyond: Callable[[str], User | None] | None = None

    def find(self, name: str) -> User | None:
        """The account of that object id, or of a numbered mailbox by its UPN too."""
        held = dict.get(self, name)
        if held is None and self.beyond is not None:
            held = self.beyond(name)
            if held is not None:
                held = self.setdefault(held.id, held)
        return held

    def get(self, name: str, default: Any = None) -> Any:
        return self.find(name) or default

    def __missing__(self, name: str) -> User:
        held = self.find(name)
        if held is None:
            raise KeyError(name)
        return held

    def __contains__(self, name: object) -> bool:
        return self.find(str(name)) is not None


@dataclass
class People:
    """``sessions``: whose browser a cookie's digest is, and whether the second factor was shown."""

    users: Users = field(default_factory=Users)
    pending: dict[str, Pending] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    refreshes: dict[str, Refresh] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)
    sessions: dict[str, tuple[str, bool]] = field(default_factory=dict)

    def by_name(self, upn: str) -> User | None:
        wanted = upn.strip().lower()
        named = (user for user in self.users.values() if user.upn.lower() == wanted)
        return next(named, None) or self.users.find(wanted)

    def shown(self) -> list[dict[str, Any]]:
        """As Graph shows people; no password."""
        return [
            {"id": u.id, "userPrincipalName": u.upn, "displayName": u.name, "accountEnabled": u.enabled}
            for u in self.users.values()
            if not u.home
        ]
