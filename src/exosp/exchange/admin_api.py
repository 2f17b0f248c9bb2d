"""The admin API: the REST endpoint behind the ExchangeOnlineManagement module, for whoever has no PowerShell at hand.

Microsoft documents it nowhere; its form is what the module and other public clients send (CIPP-API's New-ExoRequest and
New-ExoBulkRequest, ScubaGear's EXORestHelper). One InvokeCommand runs one cmdlet; ten go in a ``$batch`` and are matched
by id. Nothing here waits or repeats a request. The token goes to the cloud's own host alone, or to a region's below it.

Threads may share one ``AdminApi``; how many requests are under way at once is ``spreading``'s affair.
"""

import base64
import json
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass
from uuid import uuid4

from ..clouds import Cloud
from ..errors import CloudError, Unreachable, UsageError
from ..tenant import Failed, Unknown
from ..transport import is_loopback, no_answer, trusted
from .cmdlets import Answer, Cmdlet, Item, Pages, Row, cut_short
from .errors import SERVICE
from .joining import settle
from .rest_answers import Page, Reply, broken, nothing_sent, page, refused, token_refused
from .sessions import Connect, Tenancy, Token

if TYPE_CHECKING:
    import httpx

MOST = 10  # requests of a $batch, all clients' number
PAGE = 1000  # rows asked for at once, the module's own number
LARGEST = 256 * 1024 * 1024  # bytes of one answer
MODULE = "3.9.2"  # the module whose cmdlets EXOModuleFile is asked for
# The mailbox by which Exchange finds a tenant's servers where no user's mailbox does (CIPP-API, ScubaGear).
_SYSTEM = "SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}"


@dataclass(frozen=True)
class Limits:
    """Seconds. ``read``: how long an answer may take; Exchange ends a cmdlet after 15 minutes itself."""

    connect: float = 15
    read: float = 17 * 60


@dataclass(frozen=True)
class _Signed:
    """Who asks: the token, until when by our clock it is used, and what goes with it in each request."""

    token: Token
    until: float
    tenant: str  # in the address: the id, or a domain
    anchor: str


class AdminApi:
    """The admin-api remoting. ``connect`` mints a token and names the organization: once, and again when that one has run
    out."""

    def __init__(
        self, cloud: Cloud, connect: Connect, *, limits: Limits | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._cloud = cloud
        self._base = cloud.admin_api
        self._connect = connect
        self._limits = limits or Limits()
        self._now = now
        self._lock = threading.Lock()
        self._signed: _Signed | None = None
        self._has_worked = False
        self._client: httpx.Client | None = None

    # Remoting

    def run(self, cmdlet: Cmdlet, items: Sequence[Item] = ()) -> Iterator[Answer]:
        """See ``Remoting.run``. An Error that is no CloudError (wrong usage) is raised."""
        return iter(self._run(cmdlet, items))

    def _run(self, cmdlet: Cmdlet, items: Sequence[Item]) -> list[Answer]:
        try:
            signed = self._sign_in()
        except CloudError as fault:
            return [Failed(nothing_sent(fault))] * max(1, len(items))
        if len(items) < 2:
            item = items[0] if items else None
            return [self._answer(cmdlet, item, self._one(signed, cmdlet, item), signed)]
        answers: list[Answer] = []
        for start in range(0, len(items), MOST):
            answers += self._batch(signed, cmdlet, items[start : start + MOST])
        return answers

    def pages(self, cmdlet: Cmdlet, columns: Sequence[str] = ()) -> Pages:
        """See ``Paging.pages``. What broke is gone on with at the page where it broke."""
        return _Following(self, cmdlet, columns)

    def page(self, cmdlet: Cmdlet, link: str, columns: Sequence[str]) -> Page:
        """One page of a list: the first where ``link`` is "". Raises CloudError."""
        asked = self._asked(cmdlet)
        try:
            signed = self._sign_in()
        except CloudError as lost:
            raise nothing_sent(lost) from None
        if link and not self._is_here(link):
            raise broken("its next page lies elsewhere", asked, transient=False)
        chosen = f"?$select={','.join(columns)}" if columns else ""
        headers = {
            "Content-Type": "application/json",
            "Prefer": f"odata.maxpagesize={PAGE}",
            **_named(cmdlet, None, signed),
        }
        url = link or self._invoke(signed) + chosen
        reply = self._send("POST", url, signed, headers, _body(cmdlet, None), asked)
        if isinstance(reply, CloudError):
            raise reply
        fault = self._refusal(reply, cmdlet, signed)
        found = None if fault else page(reply)
        if found is None:
            raise fault or broken("its answer is not that of the admin API", asked)
        self._has_worked = True
        return found

    def close(self) -> None:
        """Close the connections. It raises nothing; another run opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def __enter__(self) -> "AdminApi":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cmdlets(self) -> frozenset[str]:
        """The cmdlets that the caller's roles hold: what the module itself asks when it connects. Raises CloudError."""
        signed = self._sign_in()
        asked = "EXOModuleFile"
        url = f"{self._base}/AdminApi/v1.0/{signed.tenant}/EXOModuleFile?Version={MODULE}"
        reply = self._get(url, signed, asked)
        if reply.redirected:
            place = self._below(urljoin(url, reply.location))
            if place is None:
                raise broken(f"it redirects to {urlsplit(reply.location).hostname}, which is no host of this cloud",
                             asked, may_have_happened=False, transient=False)  # fmt: skip
            reply = self._get(place, signed, asked)
        if reply.status != 200 or not isinstance(reply.body, dict):
            raise refused(reply, None, asked)
        held = reply.body.get("value")
        rows = held if isinstance(held, list) else [held]
        texts = [str(row.get("exportedCmdlets", "")) for row in rows if isinstance(row, dict)]
        return frozenset(name.strip() for text in texts for name in text.split(",") if name.strip())

    def _get(self, url: str, signed: _Signed, asked: str) -> Reply:
        headers = {"CommandName": "*", "X-AnchorMailbox": signed.anchor}
        reply = self._send("GET", url, signed, headers, None, asked)
        if isinstance(reply, CloudError):
            raise reply
        return reply

    # Signing in

    def _sign_in(self) -> _Signed:
        """The token in use, a new one where there is none or its time is nearly over. Raises CloudError."""
        with self._lock:
            if self._signed is None or self._now() >= self._signed.until:
                started = self._now()
                token, tenancy = self._connect()
                tenancy = tenancy if isinstance(tenancy, Tenancy) else Tenancy(tenancy)
                lifetime = max(0.0, token.expires_on - started)
                tenant = _tenant_of(token.token) or tenancy.organization
                person = tenancy.user and not tenancy.delegated
                anchor = f"UPN:{tenancy.user}" if person else f"APP:{_SYSTEM}@{tenant}"
                self._signed = _Signed(token, started + max(lifetime - 300.0, lifetime * 0.75), tenant, anchor)
            return self._signed

    def _forget(self, signed: _Signed) -> None:
        """That token is not taken: the next run mints another."""
        with self._lock:
            if self._signed is signed:
                self._signed = None

    # Requests

    def _one(self, signed: _Signed, cmdlet: Cmdlet, item: Item | None) -> Reply | CloudError:
        headers = {
            "Content-Type": "application/json",
            "Prefer": f"odata.maxpagesize={PAGE}",
            **_named(cmdlet, item, signed),
        }
        return self._send("POST", self._invoke(signed), signed, headers, _body(cmdlet, item), self._asked(cmdlet))

    def _batch(self, signed: _Signed, cmdlet: Cmdlet, items: Sequence[Item]) -> list[Answer]:
        """Up to ten items in one request. The id of each is its place."""
        prefer = f"odata.maxpagesize = {PAGE};odata.continue-on-error"
        requests = [
            {
                "id": str(number),
                "method": "POST",
                "url": self._invoke(signed),
                "headers": {"Content-Type": "application/json", "Prefer": prefer, **_named(cmdlet, item, signed)},
                "body": _body(cmdlet, item),
            }
            for number, item in enumerate(items)
        ]
        headers = {"Content-Type": "application/json", "Prefer": prefer, "X-AnchorMailbox": signed.anchor}
        url, asked = f"{self._base}/adminapi/beta/{signed.tenant}/$batch", self._asked(cmdlet)
        reply = self._send("POST", url, signed, headers, {"requests": requests}, asked)
        if isinstance(reply, CloudError) or reply.status != 200:
            failed = self._answer(cmdlet, None, reply, signed)
            return [failed] * len(items)
        found = reply.responses()
        if found is None:
            return [Failed(broken("its answer to a $batch cannot be read", asked))] * len(items)
        return [
            self._answer(cmdlet, item, found[str(number)], signed)
            if str(number) in found
            else Unknown(f"{item.send}: there is no response for it among those of its $batch")
            for number, item in enumerate(items)
        ]

    def _answer(self, cmdlet: Cmdlet, item: Item | None, reply: Reply | CloudError, signed: _Signed) -> Answer:
        """What one item's reply comes to; without an item, the whole request's."""
        if isinstance(reply, CloudError):
            return Failed(reply)
        fault = self._refusal(reply, cmdlet, signed)
        if fault is not None:
            return Failed(fault)
        whole = self._pages(cmdlet, item, reply, signed)
        if isinstance(whole, CloudError):
            return Failed(whole)
        self._has_worked = True
        named = [item] if item is not None and not cmdlet.spec.alone else []
        [answer] = settle(cmdlet, named, whole.rows, (), whole.warnings)
        return answer

    def _refusal(self, reply: Reply, cmdlet: Cmdlet, signed: _Signed) -> CloudError | None:
        """Our error for an answer that is none."""
        asked = self._asked(cmdlet)
        if reply.redirected:
            return self._moved(reply, asked)
        if reply.status == 401 and self._has_worked:
            self._forget(signed)
            return token_refused(asked)
        return None if reply.good else refused(reply, cmdlet, asked)

    def _pages(self, cmdlet: Cmdlet, item: Item | None, reply: Reply, signed: _Signed) -> Page | CloudError:
        """All rows: each further page is asked for by the same body again. Without all of them there are none."""
        asked = self._asked(cmdlet)
        whole = page(reply)
        link = whole.link if whole else ""
        headers = {
            "Content-Type": "application/json",
            "Prefer": f"odata.maxpagesize={PAGE}",
            **_named(cmdlet, item, signed),
        }
        seen: set[str] = set()
        while whole is not None and link:
            if link in seen or not self._is_here(link):
                return broken("its next page lies elsewhere", asked, transient=False)
            seen.add(link)
            further = self._send("POST", link, signed, headers, _body(cmdlet, item), asked)
            if isinstance(further, CloudError):
                return further
            if not further.good:
                return refused(further, cmdlet, asked)
            more = page(further)
            whole = whole.with_more(more) if more else None
            link = more.link if more else ""
        return whole or broken("its answer is not that of the admin API", asked)

    def _send(
        self, method: str, url: str, signed: _Signed, headers: Mapping[str, str], body: object, asked: str
    ) -> Reply | CloudError:
        """One request, to the cloud's own host. Why there is no answer is returned, not raised."""
        own = {
            "Authorization": f"Bearer {signed.token.token}",
            "Accept": "application/json; odata.metadata=minimal",
            "Accept-Encoding": "gzip",
            "X-ResponseFormat": "json",
            "client-request-id": str(uuid4()),
        }
        content = None if body is None else json.dumps(body).encode()
        client = self._open()
        try:
            with client.stream(method, url, headers={**own, **headers}, content=content) as answer:
                text = _inflated(_read(answer), answer.headers)
                # No error may show the token, should a server repeat what it was sent.
                text = text.replace(signed.token.token.encode() or b"\0\0", b"...")
                return Reply(answer.status_code, dict(answer.headers), _parsed(text))
        except Exception as fault:  # httpx, httpcore, ssl and the system each have their own
            lost = no_answer(fault, self._host)
            if lost is None:
                return broken(f"{self._host} gave an answer that cannot be read ({type(fault).__name__})", asked)
            return Unreachable(
                lost.what.format(host=self._host), may_have_happened=lost.sent, transient=lost.transient,
                service=SERVICE, asked=asked, hint=lost.hint,
            )  # fmt: skip

    def _open(self) -> "httpx.Client":
        """The connections, made when they are first needed. A proxy from the environment never stands before loopback."""
        import httpx

        with self._lock:
            if self._client is None:
                authorities = trusted(self._cloud)
                try:
                    context = ssl.create_default_context(cafile=authorities)
                except OSError as fault:  # ssl's errors are some
                    raise UsageError(
                        f"the certificates to trust cannot be read: {fault}", where=str(authorities)
                    ) from None
                direct = is_loopback(self._base) or bool(proxy_bypass(self._host))
                proxy = None if direct else getproxies().get("https")
                limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
                self._client = httpx.Client(
                    transport=httpx.HTTPTransport(verify=context, proxy=proxy, limits=limits, retries=0),
                    timeout=httpx.Timeout(self._limits.read, connect=self._limits.connect),
                    follow_redirects=False,
                    trust_env=False,
                )
            return self._client

    # Places

    @property
    def _host(self) -> str:
        return urlsplit(self._base).hostname or ""

    def _invoke(self, signed: _Signed) -> str:
        return f"{self._base}/adminapi/beta/{signed.tenant}/InvokeCommand"

    def _asked(self, cmdlet: Cmdlet) -> str:
        return f"{cmdlet} by the admin API"

    def _is_here(self, url: str) -> bool:
        """Whether an address lies where we ask."""
        return _origin(url) == _origin(self._base)

    def _below(self, url: str) -> str | None:
        """The address, where the token may go: over TLS, the cloud's host itself or a region's below it. A region's backend
        names a port that is not open to the public."""
        place, home = urlsplit(url), urlsplit(self._cloud.admin_api)
        host = (place.hostname or "").lower()
        if place.scheme != "https" or place.username is not None:
            return None
        if host == home.hostname:
            return url if self._is_here(url) else None
        if not host.endswith(f".{home.hostname}"):
            return None
        return place._replace(netloc=host).geturl()

    def _moved(self, reply: Reply, asked: str) -> CloudError:
        """A redirect of a cmdlet is not followed. Where it leads to a region of this cloud, the next request goes there."""
        place = self._below(urljoin(self._base, reply.location))
        if place is None or self._is_here(place):
            return broken(
                "it redirects elsewhere, which is never followed", asked, may_have_happened=False, transient=False
            )
        self._base = f"https://{urlsplit(place).netloc}"
        return broken(f"it redirects to {urlsplit(place).hostname}", asked, may_have_happened=False)


class _Following:
    """A list along its links. A page that failed is asked for again by the next ``next``."""

    def __init__(self, api: AdminApi, cmdlet: Cmdlet, columns: Sequence[str]) -> None:
        self._api, self._cmdlet, self._columns = api, cmdlet, columns
        self._link = ""
        self._count = 0
        self._ended = False
        self._seen: set[str] = set()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Sequence[Row]:
        if self._ended:
            raise StopIteration
        asked = f"{self._cmdlet} by the admin API"
        found = self._api.page(self._cmdlet, self._link, self._columns)
        self._count += len(found.rows)
        cut = cut_short([record.text for record in found.warnings], self._count)
        if cut:
            raise CloudError(cut, service=SERVICE, asked=asked, code="CutShort")
        if found.link in self._seen:
            raise broken("its next page is one that was read", asked, transient=False)
        self._link, self._ended = found.link, not found.link
        self._seen.add(found.link)
        return found.rows

    def close(self) -> None:
        self._ended = True


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or 443


def _named(cmdlet: Cmdlet, item: Item | None, signed: _Signed) -> dict[str, str]:
    """What leads a request to the right server: some cmdlets run only on that of the mailbox they are about (CIPP-API)."""
    anchor = f"UPN:{item.anchor}" if item is not None and _is_header(item.anchor) else signed.anchor
    return {"X-AnchorMailbox": anchor, "X-CmdletName": cmdlet.name}


def _is_header(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable()


def _body(cmdlet: Cmdlet, item: Item | None) -> dict[str, object]:
    parameters = dict(cmdlet.parameters)
    if item is not None:
        assert cmdlet.over is not None, "only what takes input has items"
        parameters[cmdlet.over] = item.send
    return {"CmdletInput": {"CmdletName": cmdlet.name, "Parameters": parameters}}


def _read(answer: "httpx.Response") -> bytes:
    """The bytes as they came: an error may call itself gzip and be none (measured), on which httpx would stumble."""
    parts, size = [], 0
    for part in answer.iter_raw():
        parts.append(part)
        size += len(part)
        if size > LARGEST:
            raise ValueError("too large")
    return b"".join(parts)


def _inflated(raw: bytes, headers: "httpx.Headers") -> bytes:
    if headers.get("Content-Encoding", "").lower() == "gzip" and raw[:2] == b"\x1f\x8b":
        inflating = zlib.decompressobj(wbits=31)
        raw = inflating.decompress(raw, LARGEST)
        if not inflating.eof:
            raise ValueError("incomplete, or too large")
    return raw


def _parsed(raw: bytes) -> Any:
    """The body: JSON where it is some, else its text."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return raw.decode(errors="replace")


def _tenant_of(token: str) -> str:
    """The tenant that a token was issued in, read and not verified; "" where it does not say."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        found = claims.get("tid", "") if isinstance(claims, dict) else ""
    except (IndexError, ValueError):
        return ""
    return found if isinstance(found, str) and all(c.isalnum() or c in ".-" for c in found) else ""
