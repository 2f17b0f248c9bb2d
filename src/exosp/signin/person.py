"""A person's token for Exchange, by a browser on this machine or by a code typed on any other: through msal, with PKCE and a
checked ``state``. Tokens stay in memory; no cache is written.

Sources: the vendor's page on OAuth for IMAP, POP and SMTP (delegated permissions with offline_access);
learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow, /v2-oauth2-device-code. msal lets REQUESTS_CA_BUNDLE
override the certificates that it is given, so it gets a session that does not read the environment.

It waits only as long as a person may take to sign in. Beside a device's question it repeats what the sign-in host puts off
(429, 503), since nobody could: asking again from the start would ask the person again.
"""

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ..aadsts import TO_THE_APPLICATION
from ..browser import Page
from ..clouds import Cloud
from ..errors import CloudError, NotHere, Unreachable
from ..transport import http_date, is_loopback, no_answer, retry_after, trusted
from .identity import Token, claims_of
from .loopback import Loopback
from .refusals import Refusal, refused
from .wire import CONNECT_TIMEOUT, MICROSOFT, READ_TIMEOUT, SILENT

Way = Literal["browser", "device-code"]
SIGN_IN_TIME = 900.0  # seconds: what Entra gives a device code
PUT_OFF = (1.0, 2.0, 4.0, 8.0)  # seconds between tries of one request; more where the host asks for more
LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class Signing:
    """How to sign a person in. ``tell`` says what the person must do, on the terminal's own side; ``open`` opens an address
    in a browser, and answers whether it could."""

    way: Way
    tell: Callable[[str], None]
    open: Callable[[str], bool]
    sleep: Callable[[float], None]
    on_request: Callable[[], None] = lambda: None
    time: float = SIGN_IN_TIME


class Person:
    """Whoever signs in to the application. The first token asks the person; later ones are refreshed."""

    def __init__(
        self, cloud: Cloud, tenant_id: str, client_id: str, permissions: tuple[str, ...], signing: Signing
    ) -> None:
        self._signing = signing
        self._host = urlsplit(cloud.login).netloc
        self._scopes = [f"{cloud.exchange_resource}/{value}" for value in permissions]
        self._asked = f"token for {', '.join(permissions)} as {client_id}"
        self._wire = _Wire()
        self._authority = f"{cloud.login}/{tenant_id}"
        self._own = urlsplit(cloud.login).hostname not in MICROSOFT
        self._client_id = client_id
        self._session = _session(cloud, self._wire, signing, own=self._own)
        self._app: Any = None

    def __repr__(self) -> str:
        return f"Person({self._client_id})"

    def close(self) -> None:
        self._session.close()

    def token(self) -> Token:
        """A new token: the person is asked the first time, and not again while the sign-in can be refreshed. Raises
        CloudError; its ``code`` is the AADSTS code."""
        if self._app is None:
            self._app = self._guarded(self._client)
        accounts = self._app.get_accounts()
        if accounts:
            answer = self._guarded(
                lambda: self._app.acquire_token_silent_with_error(self._scopes, accounts[0], force_refresh=True)
            )
            return self._token(answer or {})
        return self._token(self._by_browser() if self._signing.way == "browser" else self._by_device())

    def _client(self) -> Any:
        import msal

        logging.getLogger("msal").addHandler(SILENT)  # it logs refusals, which Python prints where nobody listens
        return msal.PublicClientApplication(
            self._client_id,
            authority=self._authority,
            http_client=self._session,
            instance_discovery=False if self._own else None,
        )

    # The two ways

    def _by_browser(self) -> Mapping[str, Any]:
        app, came, state = self._app, dict[str, Any](), secrets.token_urlsafe(32)
        with Loopback(state) as page:
            flow = app.initiate_auth_code_flow(  # with a PKCE challenge of its own
                self._scopes, redirect_uri=page.address, state=state, prompt="select_account",
                response_mode="form_post",
            )  # fmt: skip

            def redeem(given: Mapping[str, str]) -> Page:
                came.update(self._guarded(lambda: app.acquire_token_by_auth_code_flow(flow, dict(given))))
                return self._shown(came)

            if not self._signing.open(flow["auth_uri"]):
                self._signing.tell(f"To sign in, open this address in a browser on this machine:\n{flow['auth_uri']}")
            else:
                self._signing.tell(
                    "Sign in with the browser window that has opened. If it ends in an error, press Ctrl-C."
                )
            if not page.wait(redeem, self._signing.time):
                strange = f"; {page.refused} that came were not to it" if page.refused else ""
                raise NotHere(
                    f"nobody signed in within {self._signing.time:.0f} s: no answer came to {page.address}{strange}",
                    service="token", asked=self._asked,
                    hint="begin again; where the browser is on another machine, use --person device-code",
                )  # fmt: skip
        return came

    def _by_device(self) -> Mapping[str, Any]:
        app = self._app
        flow = self._guarded(lambda: app.initiate_device_flow(self._scopes))
        if "user_code" not in flow:
            return dict(flow)
        self._signing.tell(str(flow.get("message") or f"Open {flow['verification_uri']} and enter {flow['user_code']}"))
        lost = 0
        while True:
            flow.pop("latest_attempt_at", None)  # msal would warn by a clock that is not ours
            try:
                answer = self._guarded(lambda: app.acquire_token_by_device_flow(flow, exit_condition=lambda _: True))
            except Unreachable as fault:
                lost += 1
                if not fault.transient or lost > len(PUT_OFF):
                    raise
            else:
                lost = 0
                if answer.get("error") not in ("authorization_pending", "slow_down"):
                    return dict(answer)
            self._signing.sleep(float(flow["interval"]))

    def _shown(self, answer: Mapping[str, Any]) -> Page:
        if "access_token" in answer:
            return Page("Signed in", "exosp has its token, and goes on in your terminal.", "You may close this window.")
        fault = self._fault(answer)
        return Page("Not signed in", fault.what, f"What to do: {fault.hint}" if fault.hint else "")

    # What came

    def _guarded(self, call: Callable[[], Any]) -> Any:
        """msal's own exceptions as our errors. ValueError: its word for an answer that is none."""
        import requests
        from msal.exceptions import MsalError

        self._wire.date = None
        self._wire.refusal = None
        try:
            return call()
        except (requests.RequestException, OSError) as fault:
            lost = no_answer(fault, self._host)
            raise Unreachable(
                lost.what.format(host=self._host) if lost else f"{self._host} gave no usable answer",
                may_have_happened=False, transient=lost.transient if lost else False, service="token",
                asked=self._asked, hint=lost.hint if lost else "check the cloud's login address",
            ) from None  # fmt: skip
        except (MsalError, ValueError):
            if self._wire.refusal is not None:
                raise refused(self._wire.refusal, self._host, self._asked) from None
            raise CloudError(
                f"{self._host} did not answer as Microsoft's sign-in host does", service="token", asked=self._asked,
                hint="check the cloud's login address",
            ) from None  # fmt: skip

    def _token(self, answer: Mapping[str, Any]) -> Token:
        text = answer.get("access_token")
        if not isinstance(text, str):
            raise self._fault(answer)
        obtained = self._wire.date or datetime.now(UTC)
        claims = claims_of(text)
        ends = claims.get("exp")
        if isinstance(ends, int | float):
            expires = datetime.fromtimestamp(ends, UTC)
        else:  # not a JWT: a personal account's
            expires = obtained + timedelta(seconds=float(answer.get("expires_in") or 0))
        return Token(text, MappingProxyType(claims), obtained, expires)

    def _fault(self, answer: Mapping[str, Any]) -> CloudError:
        """Our error for a refusal, whether it came by the browser or from the token endpoint."""
        codes = answer.get("error_codes")
        refusal = self._wire.refusal or Refusal(
            status=400,
            codes=tuple(code for code in codes if isinstance(code, int)) if isinstance(codes, list) else (),
            error=str(answer.get("error", "")),
            text=str(answer.get("error_description", "")),
            request_id=str(answer.get("trace_id", "")),
            legible=True,
        )
        fault = refused(refusal, self._host, self._asked)
        number = fault.code.removeprefix("AADSTS")
        if number.isdecimal() and int(number) in TO_THE_APPLICATION:
            fault.hint = TO_THE_APPLICATION[int(number)]
        fault.at = self._wire.date
        return fault


@dataclass
class _Wire:
    """What the last answer said beside what msal passes on."""

    date: datetime | None = None
    refusal: Refusal | None = None

    def received(self, response: Any, *_: Any, **__: Any) -> None:
        self.date = http_date(response.headers.get("Date"))
        if response.status_code < 400:
            return
        try:
            body = response.json()
        except ValueError:
            body = None
        body = body if isinstance(body, dict) else {}
        codes = body.get("error_codes")
        found = Refusal(
            status=response.status_code,
            codes=tuple(code for code in codes if isinstance(code, int)) if isinstance(codes, list) else (),
            error=str(body.get("error", "")),
            text=str(body.get("error_description", "")),
            request_id=str(body.get("trace_id") or response.headers.get("x-ms-request-id") or ""),
            legible="error" in body,
        )
        self.refusal = replace(found, after=retry_after(response.headers.get("Retry-After"), self.date))


def _session(cloud: Cloud, wire: _Wire, signing: Signing, *, own: bool) -> Any:
    """A requests session that trusts what the cloud says and reads nothing of the environment but proxies, and those
    never for this machine. With a login host of one's own nothing is sent to another."""
    import requests

    login = urlsplit(cloud.login)

    class Session(requests.Session):
        def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
            if own and urlsplit(str(url)).netloc != login.netloc:
                raise CloudError(
                    f"{login.netloc} names another host for sign-in ({urlsplit(str(url)).netloc}); nothing was sent there",
                    service="token", asked="sign-in of a person", hint="correct the cloud file's login address",
                )  # fmt: skip
            options.setdefault("timeout", (CONNECT_TIMEOUT, READ_TIMEOUT))
            for pause in (*PUT_OFF, None):
                if str(method).upper() == "POST":
                    signing.on_request()
                response = super().request(method, url, *args, **options)
                if pause is None or response.status_code not in (429, 503):
                    break
                asked = wire.refusal.after if wire.refusal else None
                signing.sleep(min(max(pause, asked or 0.0), LONGEST_PAUSE))
            return response

    session = Session()
    session.trust_env = False
    session.verify = trusted(cloud) or True
    if not is_loopback(cloud.login) and not proxy_bypass(login.hostname or ""):
        session.proxies.update(getproxies())
    session.hooks["response"].append(wire.received)
    return session
