"""Somebody at a browser, for tests: follows redirects, reads pages as HTML, fills in their forms, presses their buttons."""

import ssl
import threading
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx


@dataclass
class Form:
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(held.get("action", "")))
        elif tag == "input" and self.forms and held.get("name"):
            self.forms[-1].fields[held["name"]] = held.get("value", "")
        elif tag == "button" and self.forms and held.get("value"):
            self.forms[-1].buttons.append(held["value"])

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@dataclass
class Page:
    """What is on the screen. ``url``: where it came from; a redirect URI's page has what was sent there in ``sent``."""

    url: str
    status: int
    text: str
    forms: list[Form]
    sent: dict[str, str] = field(default_factory=dict)


class Person:
    """``consents``: presses Accept; otherwise Cancel. A session is kept in cookies, as browsers do."""

    def __init__(self, ca: str, upn: str, password: str, *, consents: bool = True, code: str = "") -> None:
        self.upn, self.password, self.consents, self.code = upn, password, consents, code
        self.pages: list[Page] = []
        self._client = httpx.Client(verify=ssl.create_default_context(cafile=ca), trust_env=False, timeout=20)

    def visit(self, url: str) -> Page:
        """Go there and do what the pages ask, until there is nothing more to press. The last page."""
        page = self._read(self._client.get(url))
        for _ in range(12):
            step = self._press(page)
            if step is None:
                return page
            page = step
        raise AssertionError("the pages lead in a circle")

    def later(self, url: str) -> bool:
        """Visit in a thread, as a browser that was opened does; True, as ``webbrowser.open`` answers."""
        threading.Thread(target=self.visit, args=(url,), daemon=True).start()
        return True

    def __del__(self) -> None:
        self._client.close()

    def _press(self, page: Page) -> Page | None:
        if not page.forms:
            return None
        form = page.forms[0]
        fields, seen = dict(form.fields), [other for other in self.pages[:-1] if other.url == page.url]
        if "passwd" in fields:
            if any("passwd" in held.fields for other in seen for held in other.forms):
                return None  # again: what was typed is wrong
            fields |= {"login": self.upn, "passwd": self.password, "action": "signin"}
        elif "otc" in fields:
            if seen:
                return None
            fields |= {"otc": self.code, "action": "next"}
        elif form.buttons:
            wanted = "accept" if self.consents else "cancel"
            wanted = "approve" if "approve" in form.buttons else wanted
            if wanted not in form.buttons:
                return None  # only a way back is left
            fields["action"] = wanted
        action = urljoin(page.url, form.action)
        try:
            return self._read(self._client.post(action, data=fields), fields)
        except httpx.ConnectError:
            if not action.startswith("http:"):
                raise
            return self._keep(Page(action, 0, "", [], fields))  # nobody listens there

    def _read(self, reply: httpx.Response, sent: dict[str, str] | None = None) -> Page:
        if reply.status_code in (302, 303):
            place = urljoin(str(reply.url), reply.headers["Location"])
            parts = urlsplit(place)
            given = dict(httpx.QueryParams(parts.query or parts.fragment))
            if parts.hostname not in ("localhost", "127.0.0.1"):
                return self._keep(Page(place, 0, "", [], given))
            if parts.scheme == "http":  # the application's own address
                try:
                    return self._read(self._client.get(place), given)
                except httpx.ConnectError:
                    return self._keep(Page(place, 0, "", [], given))
            return self._read(self._client.get(place))
        reader = _Reader()
        reader.feed(reply.text)
        return self._keep(Page(str(reply.url), reply.status_code, " ".join(reader.text), reader.forms, sent or {}))

    def _keep(self, page: Page) -> Page:
        self.pages.append(page)
        return page
