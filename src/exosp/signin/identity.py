"""Who runs exosp, and the application's own token. Both through azure-identity; nothing here stands in a file.

Tokens and secrets leave this module only by ``Token.reveal()`` and inside what ``Admin.graph_credential()`` returns.
It waits for nothing and repeats nothing: azure-core's retries are off, and msal's own pause after an error (it answers
a repeated request from memory) is avoided by starting anew. Nothing heavy is imported before somebody signs in.
"""

import base64
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, urlsplit

from ..clouds import CLOUDS, Cloud, meant
from ..errors import CloudError, Unreachable, UsageError
from ..transport import Lost, causes, http_date, is_loopback, no_answer, retry_after, trusted
from .refusals import CROSS_CLOUD, Refusal, refused

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential

CONNECT_TIMEOUT = 15  # seconds
READ_TIMEOUT = 60  # seconds

_MICROSOFT = frozenset(urlsplit(cloud.login).hostname for cloud in CLOUDS.values())
_TENANT = re.compile(r"[A-Za-z0-9.-]+")


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


class Admin:
    """The one who runs exosp. ``requests`` counts token requests. Tokens are held in memory while they last."""

    def __init__(self, cloud: Cloud, tenant: str, client_id: str, wire: "_Wire", build: Callable[[], Any]) -> None:
        self.tenant = tenant  # as it was given: an id, or a domain
        self._cloud = cloud
        self._client_id = client_id
        self._wire = wire
        self._build = build
        self._credential: Any = build()
        self._held: dict[str, Token] = {}

    def __repr__(self) -> str:
        return f"Admin({self._client_id} in {self.tenant})"

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
        """For Connect-ExchangeOnline -AccessToken, and for the admin API. Raises CloudError."""
        return self._token(self._cloud.exchange_scope)[0]

    def graph_credential(self) -> "TokenCredential":
        """What the Graph SDK asks for tokens. Its failures are CloudErrors already."""
        return _GraphCredential(self)

    def renew(self) -> None:
        """Forget the tokens that are held, where a service says that one has expired."""
        self._credential.close()
        self._credential = self._build()

    def close(self) -> None:
        """Close the connections to the sign-in host."""
        self._credential.close()

    def _token(self, scope: str, claims: str | None = None) -> "tuple[Token, AccessToken]":
        asked = f"token for {scope} as {self._client_id}"
        try:
            token, raw = _ask(self._credential, self._wire, scope, asked, claims)
        except CloudError:
            self.renew()  # msal answers a repeat of a refused request from memory for a minute
            raise
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


# Ways to sign in: one row each.


@dataclass(frozen=True)
class _SignIn:
    """``chosen_by`` is the variable whose presence chooses this row; ``needs`` what must be set beside it."""

    chosen_by: str
    needs: tuple[str, ...]
    secrets: tuple[str, ...]  # variables whose values may stand in no message
    build: Callable[[Mapping[str, str], dict[str, Any]], Any]


def _by_secret(environment: Mapping[str, str], options: dict[str, Any]) -> Any:
    from azure.identity import ClientSecretCredential

    return ClientSecretCredential(
        environment["AZURE_TENANT_ID"], environment["AZURE_CLIENT_ID"], environment["AZURE_CLIENT_SECRET"], **options
    )


def _by_certificate(environment: Mapping[str, str], options: dict[str, Any]) -> Any:
    from azure.identity import CertificateCredential

    path = environment["AZURE_CLIENT_CERTIFICATE_PATH"]
    password = environment.get("AZURE_CLIENT_CERTIFICATE_PASSWORD") or None
    where = f"AZURE_CLIENT_CERTIFICATE_PATH={path}"
    try:
        return CertificateCredential(
            environment["AZURE_TENANT_ID"], environment["AZURE_CLIENT_ID"], path, password=password, **options
        )
    except OSError as fault:
        raise UsageError(f"cannot read the certificate: {fault.strerror}", where=where) from None
    except (ValueError, TypeError):  # TypeError: cryptography's word for a missing or needless password
        raise UsageError(
            "the certificate cannot be used",
            where=where,
            hint="it must be PEM or PKCS#12 with its RSA private key; "
            "where the key is encrypted, set AZURE_CLIENT_CERTIFICATE_PASSWORD",
        ) from None


_WHO = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID")
SIGN_INS: tuple[_SignIn, ...] = (  # the order in which azure-identity's own EnvironmentCredential looks
    _SignIn("AZURE_CLIENT_SECRET", _WHO, ("AZURE_CLIENT_SECRET",), _by_secret),
    _SignIn("AZURE_CLIENT_CERTIFICATE_PATH", _WHO, ("AZURE_CLIENT_CERTIFICATE_PASSWORD",), _by_certificate),
)


def admin(
    cloud: Cloud,
    environment: Mapping[str, str],
    *,
    on_request: Callable[[], None] = lambda: None,
) -> Admin:
    """Who runs exosp, by azure-identity's own variables. ``on_request`` is called before each token request. Nothing is
    sent yet.

    Raises UsageError naming what is missing and what to set.
    """
    given = {name: value for name, value in environment.items() if name.startswith("AZURE_") and value}
    row = next((row for row in SIGN_INS if row.chosen_by in given), None)
    missing = [name for name in (row.needs if row else _WHO) if name not in given]
    if row is None:
        missing.append(" or ".join(row.chosen_by for row in SIGN_INS))
    if row is None or missing:
        raise UsageError(
            f"exosp is not signed in: {', '.join(missing)} not set",
            where="environment",
            hint="set AZURE_TENANT_ID and AZURE_CLIENT_ID, and AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH, of "
            "the application that runs exosp (not of the one it makes)",
        )
    _check_tenant(given["AZURE_TENANT_ID"], "AZURE_TENANT_ID")
    hidden = tuple(given[name] for name in row.secrets if name in given)
    wire = _Wire(cloud, on_request, secrets=hidden, tenant=given["AZURE_TENANT_ID"])
    build = row.build
    return Admin(cloud, given["AZURE_TENANT_ID"], given["AZURE_CLIENT_ID"], wire, lambda: build(given, wire.options()))


def _check_tenant(tenant: str, name: str) -> None:
    if not _TENANT.fullmatch(tenant):
        raise UsageError(
            f"{name} is no tenant: {tenant!r}", hint="a tenant is an id (a GUID) or one of its domains, contoso.com"
        )


# What passes between us and the sign-in host


class _Elsewhere(Exception):
    """The metadata of a cloud file's login host named another host to send the secret to."""


class _Wire:
    """Watches one credential's requests. azure-identity keeps neither status, codes nor Date with its errors."""

    def __init__(
        self, cloud: Cloud, on_request: Callable[[], None], secrets: tuple[str, ...], tenant: str = ""
    ) -> None:
        self.cloud = cloud
        self.tenant = tenant
        self.on_request = on_request
        self.requests = 0
        self.date: datetime | None = None
        self.refusal: Refusal | None = None
        self._secrets = secrets
        self._own = urlsplit(cloud.login).hostname not in _MICROSOFT

    def options(self) -> dict[str, Any]:
        """Keywords for any credential of azure-identity. The authority is the host alone: the tenant in it doubles."""
        for name in ("azure", "msal"):  # they log refusals as warnings, which Python prints where nobody listens
            logging.getLogger(name).addHandler(_SILENT)
        return {
            "authority": self.cloud.login,
            "disable_instance_discovery": self._own,
            "connection_verify": trusted(self.cloud) or True,
            "connection_timeout": CONNECT_TIMEOUT,
            "read_timeout": READ_TIMEOUT,
            "retry_total": 0,
            "use_env_settings": not is_loopback(self.cloud.login),
            "raw_request_hook": self.sending,
            "raw_response_hook": self.received,
        }

    def sending(self, request: Any) -> None:
        self.refusal = None
        address = urlsplit(request.http_request.url)
        if self._own and address.netloc != urlsplit(self.cloud.login).netloc:
            raise _Elsewhere(address.netloc)
        if request.http_request.method == "POST":
            self.requests += 1
            self.on_request()

    def received(self, response: Any) -> None:
        answer = response.http_response
        self.date = http_date(answer.headers.get("Date"))
        if answer.status_code < 400:
            return
        try:
            body = json.loads(answer.text())
        except (ValueError, LookupError):
            body = None
        body = body if isinstance(body, dict) else {}
        codes = body.get("error_codes")
        self.refusal = Refusal(
            status=answer.status_code,
            codes=tuple(code for code in codes if isinstance(code, int)) if isinstance(codes, list) else (),
            error=str(body.get("error", "")),
            text=self.scrub(str(body.get("error_description", ""))),
            request_id=str(body.get("trace_id") or answer.headers.get("x-ms-request-id") or ""),
            after=retry_after(answer.headers.get("Retry-After"), self.date),
            legible="error" in body,
        )

    def scrub(self, text: str) -> str:
        """``text`` without our secrets, should a server repeat what it was sent."""
        for secret in self._secrets:
            for form in {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}:
                text = text.replace(form, "***")
        return text


_SILENT = logging.NullHandler()


def _ask(
    credential: Any, wire: _Wire, scope: str, asked: str, claims: str | None = None
) -> "tuple[Token, AccessToken]":
    from azure.core.exceptions import AzureError

    wire.refusal = None
    wire.date = None
    options = {"claims": claims} if claims else {}
    try:
        raw = credential.get_token(scope, **options)
    except (AzureError, ValueError) as fault:
        raise _why(fault, wire, asked) from None
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


def _why(fault: BaseException, wire: _Wire, asked: str) -> CloudError:
    """Our error for what azure-identity raised. What was received says more than the exception does."""
    host = urlsplit(wire.cloud.login).netloc
    refusal = wire.refusal
    if refusal is None:
        elsewhere = next((cause for cause in causes(fault) if isinstance(cause, _Elsewhere)), None)
        if elsewhere is not None:
            return CloudError(
                f"{host} names another host for token requests ({elsewhere}); the secret was not sent",
                service="token",
                asked=asked,
                hint="correct the cloud file's login address",
            )
        lost = no_answer(fault, host) or _UNKNOWN_ANSWER
        return Unreachable(
            lost.what.format(host=host),
            may_have_happened=False,
            transient=lost.transient,
            service="token",
            asked=asked,
            hint=lost.hint,
        )
    error = refused(refusal, host, asked)
    likely = meant(wire.cloud, wire.tenant, refusal.text) if error.code in CROSS_CLOUD else ()
    if likely:
        error.hint = (
            f"this tenant is of the cloud {' or '.join(likely)}: name it as `cloud` in the playbook, or by EXOSP_CLOUD"
        )
    error.at = wire.date
    return error
