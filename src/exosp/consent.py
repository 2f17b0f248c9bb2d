"""An administrator's consent in another tenant to a multi-tenant application: the address that asks for it, and the page on
this machine's own loopback where the administrator's browser ends.

The redirect is never believed: whoever knows the page's address could send one. It says at most why consent was not given;
that it was is what ``roles`` in a token of that tenant say. Whoever calls brings those.

Sources: the vendor's page on OAuth for IMAP, POP and SMTP (addresses and their scopes);
learn.microsoft.com/entra/identity-platform/v2-admin-consent (parameters, answers).
"""

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.server import HTTPServer
from urllib.parse import parse_qs, quote, urlencode

from .browser import Page, Visit
from .clouds import Cloud
from .errors import Error

REDIRECT = "http://localhost"  # as it is registered; the port of a loopback address is the caller's own
LONGEST = 8 * 1024  # characters of a redirect's query
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 20.0  # seconds between two tokens
GRACE = 5.0  # seconds that a browser has to come, where a token showed consent before it did

# What the redirect's error means. The codes stand in error_description (reference-error-codes; public reports).
_FIXES: tuple[tuple[str, str], ...] = (
    ("AADSTS65004", "the administrator pressed Cancel: open the address again and accept"),
    ("AADSTS90094", "whoever signed in may not consent for everybody: a Privileged Role Administrator or Global "
                    "Administrator of that tenant must"),
    ("AADSTS500011", "that tenant has no Exchange Online, or this cloud does not know the name asked for: try the address for "
                     "SMTP, which names the same service"),
    ("AADSTS650052", "that tenant has no subscription of Exchange Online"),
    ("AADSTS500113", "register http://localhost as a redirect address of the application: apply of its own playbook does"),
    ("AADSTS50011", "register the redirect address with the application: apply of its own playbook does, for http://localhost"),
    ("AADSTS700016", "the application is single-tenant, or of another cloud: write audience: multi-tenant, and apply"),
    ("access_denied", "the administrator refused, or may not consent: open the address again, as an administrator, and accept"),
    ("consent_required", "the administrator did not accept: open the address again and accept"),
)  # fmt: skip


@dataclass(frozen=True)
class Address:
    """Where an administrator consents, and for which protocols the vendor's page has this scope."""

    protocols: tuple[str, ...]
    scope: str
    url: str


def address(
    cloud: Cloud, tenant: str, app_id: str, protocols: Iterable[str], redirect: str, state: str = ""
) -> Address:
    """One address for all of ``protocols``: whoever uses IMAP or POP takes theirs, as SMTP's is for SMTP alone. ``state``
    empty: none, for an address that nobody waits for."""
    asked = tuple(protocols)
    scope = cloud.consent_scope(asked)
    query = urlencode(
        {"client_id": app_id, "redirect_uri": redirect, "scope": scope} | ({"state": state} if state else {}),
        quote_via=quote,
        safe="",
    )
    return Address(asked, scope, f"{cloud.login}/{quote(tenant, safe='')}/v2.0/adminconsent?{query}")


def addresses(
    cloud: Cloud, tenant: str, app_id: str, protocols: Iterable[str], redirect: str, state: str
) -> tuple[Address, ...]:
    """The right address for each protocol, those that share one together."""
    asked = tuple(protocols)
    found = (tuple(p for p in asked if p != "smtp"), tuple(p for p in asked if p == "smtp"))
    some = [protocols for protocols in found if protocols] or [
        ()
    ]  # none: SMTP goes by RBAC, and consent brings the principal
    return tuple(address(cloud, tenant, app_id, one, redirect, state) for one in some)


def new_state() -> str:
    """What ties a redirect to the question that was asked."""
    return secrets.token_urlsafe(24)


def fix(error: str, description: str) -> str:
    """What to do about an error that a redirect brought."""
    told = f"{error} {description}"
    return next((text for sign, text in _FIXES if sign in told), "ask an administrator of that tenant to try again")


@dataclass(frozen=True)
class Told:
    """What a redirect said. ``error`` empty: that consent was given, which is not believed."""

    tenant: str = ""
    error: str = ""
    description: str = ""

    @property
    def fix(self) -> str:
        return fix(self.error, self.description)


class Listener:
    """Listens on 127.0.0.1 from the start, takes one redirect with the right ``state``, and no other. ``refused``: how many
    it did not take. ``answer`` makes the page for what was told; it is called once."""

    def __init__(self, state: str, answer: Callable[[Told], Page], port: int = 0) -> None:
        self.refused = 0
        self.told: Told | None = None
        self._state, self._answer = state, answer
        self._server = HTTPServer(("127.0.0.1", port), _handler(self))

    @property
    def redirect(self) -> str:
        """localhost by name, since that is what is registered."""
        return f"{REDIRECT}:{self._server.server_port}"

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    def listen(self, seconds: float) -> bool:
        """Serve for so long, or until the redirect has come; whether it has."""
        ends = time.monotonic() + seconds
        while self.told is None and (left := ends - time.monotonic()) > 0:
            self._server.timeout = min(left, 1.0)
            self._server.handle_request()
        return self.told is not None

    def take(self, given: Mapping[str, str]) -> Page | None:
        """A redirect's parameters. None where it is no answer to our question, or a second one."""
        matches = secrets.compare_digest(given.get("state", "").encode(), self._state.encode())
        agreed = given.get("admin_consent", "").lower() == "true"
        if self.told is not None or not matches or not (agreed or given.get("error")):
            self.refused += 1
            return None
        self.told = Told(given.get("tenant", ""), given.get("error", ""), given.get("error_description", ""))
        return self._answer(self.told)


def _handler(owner: Listener) -> type[Visit]:
    class Handler(Visit):
        def do_GET(self) -> None:  # noqa: N802 - http.server's own name
            if not self.is_ours():
                return
            path, _, query = self.path.partition("?")
            if path != "/":
                self.say(
                    404, Page("Nothing here", "exosp waits here for the end of one consent, and for nothing else.")
                )
                return
            page = owner.take(_parameters(query))
            if page is None:
                text = (
                    "This is not the answer to the consent that exosp asked for, or not the first, so it was not used."
                )
                self.say(400, Page("Refused", text, "Open the address that exosp printed last."))
            else:
                self.say(200, page)

    return Handler


def _parameters(query: str) -> dict[str, str]:
    """Those that stand there once; a parameter given twice is none."""
    if len(query) > LONGEST:
        return {}
    try:
        found = parse_qs(query, keep_blank_values=True, max_num_fields=20, encoding="utf-8", errors="strict")
    except ValueError:
        return {}
    return {name: values[0] for name, values in found.items() if len(values) == 1}


# Waiting

Roles = Callable[[], frozenset[str]]
"""The ``roles`` of a new token of the application in that tenant; nothing where it has no enterprise application there yet.
Raises Error where waiting is of no use."""


class Waiting:
    """Goes on until a token carries every role of ``needed``: that alone is believed. A redirect hastens it, and one with an
    error ends it, unless a token says otherwise."""

    def __init__(self, roles: Roles, needed: Iterable[str]) -> None:
        self.held: frozenset[str] = frozenset()
        self._roles, self._needed = roles, frozenset(needed)
        self._raised: Error | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(sorted(self._needed - self.held))

    def answer(self, told: Told) -> Page:
        """The page for a redirect, written after a look at a token. It cannot raise: the server would print it."""
        try:
            self.held = self._roles()
        except Error as fault:
            self._raised = fault
            return Page("Not known", fault.what, f"What to do: {fault.hint}" if fault.hint else "")
        if not self.missing:
            return Page("Consent is in force", "A token of this tenant carries every role. You may close this window.")
        if told.error:
            what = told.description or told.error
            return Page("Consent was not given", what, f"What to do: {told.fix}")
        return Page(
            "Not in force yet",
            "Microsoft says that consent was given. exosp believes only a token, and goes on asking for one.",
            "You may close this window; the terminal says when it is done.",
        )

    def already(self) -> bool:
        """Whether a token carries every role now: then nobody need be asked."""
        self.held = self._roles()
        return not self.missing

    def until(self, listener: Listener, seconds: float, tell: Callable[[str], None]) -> bool:
        """Whether every role has come within ``seconds``. ``tell`` hears what is waited for."""
        ends, pause = time.monotonic() + seconds, FIRST_PAUSE
        while True:
            if listener.told is None or self.missing:
                self.held = self._roles()
            if not self.missing:
                listener.listen(GRACE)  # the browser is on its way here, and is to find somebody
                return True
            left = ends - time.monotonic()
            if left <= 0 or (listener.told is not None and listener.told.error):
                return False
            tell(f"waiting for {', '.join(self.missing)} in a token")
            if listener.told is not None:
                time.sleep(min(pause, left))
            elif listener.listen(min(pause, left)):
                pause = FIRST_PAUSE
            if self._raised is not None:
                raise self._raised
            pause = min(pause * 1.5, LONGEST_PAUSE)
