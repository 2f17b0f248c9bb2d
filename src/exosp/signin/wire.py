"""What passes between us and the sign-in host: watched, counted, and kept from going elsewhere. Decides nothing else.

azure-identity keeps neither status, codes nor Date with its errors; what was received says more than its exceptions do.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

from ..clouds import CLOUDS, Cloud
from ..transport import http_date, is_loopback, retry_after, trusted
from .refusals import Refusal

CONNECT_TIMEOUT = 15  # seconds
READ_TIMEOUT = 60  # seconds

MICROSOFT = frozenset(urlsplit(cloud.login).hostname for cloud in CLOUDS.values())


class Elsewhere(Exception):
    """The metadata of a cloud file's login host named another host to send the secret to."""


@dataclass(frozen=True)
class Helper:
    """A bad answer of a host that helps to sign in and is not the sign-in host: a pipeline's, a machine's own."""

    host: str
    status: int
    text: str


class Wire:
    """Watches one sign-in's requests. ``helpers`` are the addresses, beside the cloud's login host, that the sign-in
    itself must ask: they come from this machine's environment and never from an answer. ``tenant`` is the one asked for."""

    def __init__(
        self,
        cloud: Cloud,
        on_request: Callable[[], None],
        secrets: tuple[str, ...],
        helpers: tuple[str, ...] = (),
        tenant: str = "",
    ) -> None:
        self.cloud = cloud
        self.tenant = tenant
        self.on_request = on_request
        self.requests = 0
        self.date: datetime | None = None
        self.refusal: Refusal | None = None
        self.helper: Helper | None = None
        self._secrets = secrets
        self._helpers = frozenset(urlsplit(address).netloc for address in helpers)
        self._own = urlsplit(cloud.login).hostname not in MICROSOFT

    def forget(self) -> None:
        """Before a token is asked for."""
        self.refusal = self.helper = self.date = None

    def options(self) -> dict[str, Any]:
        """Keywords for any credential of azure-identity. The authority is the host alone: the tenant in it doubles."""
        for name in ("azure", "msal"):  # they log refusals as warnings, which Python prints where nobody listens
            logging.getLogger(name).addHandler(SILENT)
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
        helper = address.netloc in self._helpers
        if self._own and not helper and address.netloc != urlsplit(self.cloud.login).netloc:
            raise Elsewhere(address.netloc)
        if request.http_request.method == "POST" or helper:
            self.requests += 1
            self.on_request()

    def received(self, response: Any) -> None:
        answer = response.http_response
        host = urlsplit(answer.request.url).netloc
        if host not in self._helpers:
            self.date = http_date(answer.headers.get("Date"))
        if answer.status_code < 300 or (answer.status_code < 400 and host not in self._helpers):
            return
        try:
            body = json.loads(answer.text())
        except (ValueError, LookupError):
            body = None
        body = body if isinstance(body, dict) else {}
        if host in self._helpers:
            said = body.get("error_description") or body.get("message") or body.get("error") or ""
            self.helper = Helper(host, answer.status_code, self.scrub(str(said)))
            return
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


SILENT = logging.NullHandler()
