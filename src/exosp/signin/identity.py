"""Who runs exosp, and the application's own token. Both through azure-identity; nothing here stands in a file.

Tokens and secrets leave this module only by ``Token.reveal()`` and inside what ``Admin.graph_credential()`` returns.
It waits for nothing and repeats nothing: azure-core's retries are off, and msal's own pause after an error (it answers
a repeated request from memory) is avoided by starting anew. Nothing heavy is imported before somebody signs in.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from ..clouds import Cloud, meant
from ..errors import CloudError, Forbidden, Unreachable, UsageError
from ..transport import Lost, causes, no_answer
from . import here
from .refusals import CROSS_CLOUD, refused
from .wire import Elsewhere
from .wire import Wire as _Wire

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TENANT = re.compile(r"[A-Za-z0-9.-]+")

# Delegated permissions that let a person's token run Exchange's cmdlets: of a client of one's own, and of the
# ExchangeOnlineManagement module's. Azure CLI's token carries user_impersonation alone, which does not (field reports).
EXCHANGE_SCOPES = frozenset({"Exchange.Manage", "AdminApi.AccessAsUser.All"})


@dataclass(frozen=True, repr=False)
class Token:
    """An access token. ``claims`` are read, not verified: the service they are meant for does that.

    ``obtained`` is the token endpoint's own clock (its Date header), ours where it sends none. ``expires`` is by the
    same clock, so compare the two with each other and never with ours.
    """

    _text: str = field(compare=False)
    claims: Mapping[str, Any]
    obtained: datetime
    expires: datetime

    def __repr__(self) -> str:
        return f"Token(aud={self.claims.get('aud')!r}, expires={self.expires.isoformat()})"

    def reveal(self) -> str:
        """The text, for the one request that carries it."""
        return self._text

    @property
    def of_person(self) -> bool:
        """Delegated permissions stand in ``scp``, an application's own in ``roles``
        (learn.microsoft.com/entra/identity-platform/access-token-claims-reference)."""
        return isinstance(self.claims.get("scp"), str)

    @property
    def permissions(self) -> frozenset[str]:
        """What the token may do at its resource: application permissions, or a person's delegated ones."""
        if self.of_person:
            return frozenset(str(self.claims["scp"]).split())
        roles = self.claims.get("roles")
        return frozenset(map(str, roles)) if isinstance(roles, list) else frozenset()

    @property
    def user_principal_name(self) -> str:
        """Whose token it is; empty for an application's. Connect-ExchangeOnline -AccessToken needs it for a person's."""
        if not self.of_person:
            return ""
        names = (self.claims.get(name) for name in ("upn", "preferred_username", "unique_name"))
        return next((name for name in names if isinstance(name, str) and name), "")

    @property
    def of_partner(self) -> bool:
        """A person whose home is another tenant than the token's: ``idp`` names who signed them in, and stands only where
        that is not the issuer (same page). Connect-ExchangeOnline then needs -DelegatedOrganization."""
        return bool(self.home)

    @property
    def home(self) -> str:
        """The tenant that such a person is of; empty for everybody else."""
        found = _GUID.search(str(self.claims.get("idp", "")))
        if not self.of_person or found is None or found[0].lower() == str(self.claims.get("tid", "")).lower():
            return ""
        return found[0].lower()


def app_token(
    cloud: Cloud,
    tenant_id: str,
    client_id: str,
    client_secret: str,
    *,
    on_request: Callable[[], None] = lambda: None,
) -> Token:
    """A new token for Exchange by client credentials: never one from a cache, since a token keeps the roles of the
    moment it was made. Raises CloudError; its ``code`` is the AADSTS code. ``on_request`` is called before each token
    request."""
    from azure.identity import ClientSecretCredential

    wire = _Wire(cloud, on_request, secrets=(client_secret,), tenant=tenant_id)
    asked = f"token for {cloud.exchange_scope} as {client_id}"
    _check_tenant(tenant_id, "the tenant")
    credential = ClientSecretCredential(tenant_id, client_id, client_secret, **wire.options())
    try:
        return _ask(credential, wire, cloud.exchange_scope, asked)[0]
    finally:
        credential.close()


class Source(Protocol):
    """One sign-in, made ready: what tokens are asked of."""

    @property
    def name(self) -> str:
        """As ``--sign-in`` has it."""
        ...

    @property
    def shown(self) -> str:
        """Whose it is, as far as that is known before a token is: a client id, or words."""
        ...

    @property
    def takes_tenant(self) -> bool: ...

    @property
    def keeps(self) -> bool:
        """Whether a person would be asked again if it were made anew."""
        ...

    def key(self, scope: str) -> str:
        """Which credential serves a scope: a person can need two clients."""
        ...

    def scopes(self, scope: str) -> tuple[str, ...]:
        """What is asked for where a service's ``.default`` is wanted."""
        ...

    def build(self, key: str) -> Any:
        """A credential of azure-identity. Raises UsageError."""
        ...

    def done(self, key: str, credential: Any) -> None:
        """A token has come from it."""
        ...

    def instead(self) -> "Source | None":
        """Where this sign-in turns out not to be there at all, and nobody asked for it by name: the next."""
        ...


class Admin:
    """The one who runs exosp. ``requests`` counts token requests. Tokens are held in memory while they last."""

    def __init__(self, cloud: Cloud, tenant: str, wire: _Wire, source: Source) -> None:
        self.tenant = tenant  # as it was given: an id, or a domain
        self._cloud = cloud
        self._wire = wire
        self._source = source
        self._credentials: dict[str, Any] = {}
        self._held: dict[str, Token] = {}
        self._credential(source.key(cloud.exchange_scope))  # what is wrong with a certificate is said at once

    def __repr__(self) -> str:
        return f"Admin({self._source.shown} by {self._source.name} in {self.tenant})"

    @property
    def sign_in(self) -> str:
        """How, by the name that ``--sign-in`` takes."""
        return self._source.name

    @property
    def takes_tenant(self) -> bool:
        """Whether it could be led to the tenant; what belongs to a machine signs in to its own."""
        return self._source.takes_tenant

    @property
    def requests(self) -> int:
        return self._wire.requests

    @property
    def on_request(self) -> Callable[[], None]:
        """Called before each token request."""
        return self._wire.on_request

    @on_request.setter
    def on_request(self, hook: Callable[[], None]) -> None:
        self._wire.on_request = hook

    def exchange_token(self) -> Token:
        """For Connect-ExchangeOnline -AccessToken, and for the admin API. Raises CloudError, also where the sign-in can
        reach Microsoft Graph alone."""
        token = self._token(self._cloud.exchange_scope)[0]
        if token.of_person and not EXCHANGE_SCOPES & token.permissions:
            raise Forbidden(
                f"this sign-in ({self._source.name}) cannot reach Exchange: its token carries "
                f"{', '.join(sorted(token.permissions)) or 'no permission'} there",
                service="token",
                asked=f"token for {self._cloud.exchange_scope}",
                hint="sign in with a client of your own tenant, which exosp preflight --bootstrap shows how to make: "
                "--sign-in browser --client-id ID; or as an application",
            )
        return token

    def graph_token(self) -> Token:
        """For looking at what the sign-in may do. Raises CloudError."""
        return self._token(self._cloud.graph_scope)[0]

    def graph_credential(self) -> "TokenCredential":
        """What the Graph SDK asks for tokens. Its failures are CloudErrors already."""
        return _GraphCredential(self)

    def renew(self) -> None:
        """Forget the tokens that are held, where a service says that one has expired. What a person would have to be
        asked for again is kept: it renews itself."""
        if not self._source.keeps:
            self.close()

    def close(self) -> None:
        """Close the connections to the sign-in host."""
        for credential in self._credentials.values():
            credential.close()
        self._credentials.clear()

    def _credential(self, key: str) -> Any:
        if key not in self._credentials:
            self._credentials[key] = self._source.build(key)
        return self._credentials[key]

    def _token(self, scope: str, claims: str | None = None) -> "tuple[Token, AccessToken]":
        key = self._source.key(scope)
        asked = f"token for {scope} as {self._source.shown}"
        credential = self._credential(key)
        try:
            token, raw = _ask(credential, self._wire, self._source.scopes(scope), asked, claims, self._source.name)
        except here.NotHere as fault:
            following = self._source.instead()
            if following is None:
                raise UsageError(fault.what, where=fault.where, hint=fault.hint) from None
            self.close()
            self._source = following
            return self._token(scope, claims)
        except CloudError:
            self.renew()  # msal answers a repeat of a refused request from memory for a minute
            raise
        self._source.done(key, credential)
        held = self._held.get(scope)
        if held is not None and held.reveal() == token.reveal():
            return held, raw  # from memory: it was obtained then, not now
        self._held[scope] = token
        return token, raw


class _GraphCredential:
    """azure-core's TokenCredential, with our errors. ``enable_cae``, which the Graph SDK asks for, is not passed on: it
    makes tokens last a day. A claims challenge is answered all the same."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    def get_token(self, *scopes: str, claims: str | None = None, **_: Any) -> "AccessToken":
        (scope,) = scopes
        return self._admin._token(scope, claims)[1]


def _check_tenant(tenant: str, name: str) -> None:
    if not _TENANT.fullmatch(tenant):
        raise UsageError(
            f"{name} is no tenant: {tenant!r}", hint="a tenant is an id (a GUID) or one of its domains, contoso.com"
        )


def _ask(
    credential: Any, wire: _Wire, scope: str | tuple[str, ...], asked: str, claims: str | None = None, sign_in: str = ""
) -> "tuple[Token, AccessToken]":
    from azure.core.exceptions import AzureError

    wire.forget()
    options = {"claims": claims} if claims else {}
    try:
        raw = credential.get_token(*((scope,) if isinstance(scope, str) else scope), **options)
    except (AzureError, ValueError, OSError) as fault:
        raise _why(fault, wire, asked, sign_in) from None
    obtained = wire.date or datetime.now(UTC)
    claimed = claims_of(raw.token)
    ends = claimed.get("exp")
    if isinstance(ends, int | float):
        expires = datetime.fromtimestamp(ends, UTC)
    else:  # not a JWT: the lifetime, which azure-identity has added to our clock
        expires = obtained + timedelta(seconds=raw.expires_on - datetime.now(UTC).timestamp())
    return Token(raw.token, MappingProxyType(claimed), obtained, expires), raw


def claims_of(text: str) -> dict[str, Any]:
    """What a JWT says, unverified; nothing where it is none."""
    parts = text.split(".")
    if len(parts) != 3:
        return {}
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


_UNKNOWN_ANSWER = Lost(
    "{host} did not answer as Microsoft's sign-in host does", "check the cloud's login address", False, False
)


def _why(fault: BaseException, wire: _Wire, asked: str, sign_in: str = "") -> Exception:
    """Our error for what azure-identity raised. What was received says more than the exception does."""
    host = urlsplit(wire.cloud.login).netloc
    refusal = wire.refusal or here.passed_on(fault)
    if refusal is not None:
        error = refused(refusal, host, asked)
        likely = meant(wire.cloud, wire.tenant, refusal.text) if error.code in CROSS_CLOUD else ()
        if likely:
            error.cause = "cloud-wrong"
            error.hint = f"this tenant is of the cloud {' or '.join(likely)}: name it as `cloud` in the playbook, or by EXOSP_CLOUD"
        error.at = wire.date
        return error
    elsewhere = next((cause for cause in causes(fault) if isinstance(cause, Elsewhere)), None)
    if elsewhere is not None:
        return CloudError(
            f"{host} names another host for token requests ({elsewhere}); the secret was not sent",
            service="token",
            asked=asked,
            hint="correct the cloud file's login address",
        )
    local = here.why(sign_in, fault, wire.helper, asked)
    if local is not None:
        return local
    lost = no_answer(fault, host) or _UNKNOWN_ANSWER
    return Unreachable(
        lost.what.format(host=host),
        may_have_happened=False,
        transient=lost.transient,
        service="token",
        asked=asked,
        hint=lost.hint,
    )
