"""A person's sign-in against a hand-written sign-in host that plays Entra's documented replies, and its failures."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from exosp.clouds import CLOUDS, Cloud
from exosp.errors import CloudError, Error, Throttled, Unreachable
from exosp.signin.person import PUT_OFF, Person, Signing
from loopback import CLIENT, TENANT, Authority, Reply, Server

IMAP = "IMAP.AccessAsUser.All"
FLOW = {
    "user_code": "ABCDEFGHJ", "device_code": "the-device-code", "verification_uri": "https://localhost/devicelogin",
    "expires_in": 900, "interval": 5, "message": "open the page and enter the code ABCDEFGHJ",
}  # fmt: skip
PENDING = {"error": "authorization_pending", "error_description": "AADSTS70016: pending.", "error_codes": [70016]}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "right")


class Host(Server):
    """Its metadata name the address where a device asks for a code."""

    def _metadata(self) -> Reply:
        found = super()._metadata()
        base = f"{self.address}/{TENANT}/oauth2/v2.0"
        found.body["device_authorization_endpoint"] = f"{base}/devicecode"  # type: ignore[index]  # it is a dict
        return found


@pytest.fixture
def server(authority: Authority) -> Iterator[Host]:
    server = Host(authority.issue())
    yield server
    server.close()


@pytest.fixture
def cloud(server: Host, authority: Authority) -> Cloud:
    return replace(CLOUDS["global"], name="loopback", login=server.address, graph=server.address, ca=authority.path)


class Desk:
    """What a person reads, how long was slept, how many requests were counted."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.slept: list[float] = []
        self.requests = 0

    def person(self, cloud: Cloud) -> Person:
        def count() -> None:
            self.requests += 1

        signing = Signing("device-code", self.said.append, lambda url: False, self.slept.append, count)
        return Person(cloud, TENANT, CLIENT, (IMAP,), signing)


def refusal(code: int, error: str, text: str, status: int = 400, **headers: str) -> Reply:
    body = {"error": error, "error_description": f"AADSTS{code}: {text} Trace ID: t", "error_codes": [code]}
    return Reply(status, body, headers)


def ask(cloud: Cloud, desk: Desk | None = None) -> Any:
    person = (desk or Desk()).person(cloud)
    try:
        return person.token()
    finally:
        person.close()


def test_a_device_code_is_shown_polled_and_redeemed(cloud: Cloud, server: Host) -> None:
    """Scopes of Exchange with offline_access, the page's own message, the interval between polls, the endpoint's clock."""
    server.replies = [Reply(body=FLOW)]
    server.token_replies = [Reply(400, PENDING), Reply(drop=True)]  # and once no answer at all
    server.claims = {"scp": IMAP, "upn": "alex@contoso.com"}
    desk = Desk()
    token = ask(cloud, desk)
    assert desk.said == [FLOW["message"]]
    assert desk.slept == [5.0, 5.0]
    assert (token.claims["upn"], token.obtained) == ("alex@contoso.com", datetime(2035, 1, 2, 3, 4, 5, tzinfo=UTC))
    [asked] = server.seen
    form = asked.body.decode()
    assert "https%3A%2F%2Foutlook.office365.com%2FIMAP.AccessAsUser.All" in form
    assert "offline_access" in form
    assert "client_secret" not in form
    assert desk.requests == 4
    assert token.reveal() not in repr(token)


REFUSALS = [
    (7000218, "invalid_client", "public client flows"), (65004, "authorization_declined", "declined"),
    (70020, "expired_token", "not typed in time"), (65001, "invalid_grant", "consent is missing"),
    (50105, "invalid_grant", "assign the person"), (50076, "invalid_grant", "second factor"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "error", "hint"), REFUSALS)
def test_refusals_say_what_to_do(cloud: Cloud, server: Host, code: int, error: str, hint: str) -> None:
    """By number, and for somebody who signs in rather than for an application's secret."""
    server.replies = [Reply(body=FLOW)]
    server.token_replies = [refusal(code, error, "No.")]
    with pytest.raises(CloudError) as caught:
        ask(cloud)
    assert caught.value.code == f"AADSTS{code}"
    assert hint in caught.value.hint
    assert caught.value.at == datetime(2035, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_host_that_gives_no_code(cloud: Cloud, server: Host) -> None:
    """A refusal at the first step; nobody is told to go anywhere."""
    server.replies = [refusal(700016, "unauthorized_client", "Application was not found.")]
    desk = Desk()
    with pytest.raises(CloudError) as caught:
        ask(cloud, desk)
    assert caught.value.code == "AADSTS700016"
    assert desk.said == []


def test_what_is_put_off_is_asked_again_and_not_for_ever(cloud: Cloud, server: Host) -> None:
    """429 and 503: the host's own pause where it names one; after the last try its refusal is ours."""
    server.replies = [Reply(body=FLOW)]
    busy = refusal(90055, "temporarily_unavailable", "Too many.", 429, **{"Retry-After": "17"})
    server.token_replies = [busy, refusal(90033, "temporarily_unavailable", "Transient.", 503)]
    desk = Desk()
    assert ask(cloud, desk)
    assert desk.slept == [17.0, 2.0]
    server.replies = [Reply(body=FLOW)]
    server.token_replies = [busy] * (len(PUT_OFF) + 1)
    with pytest.raises(Throttled):
        ask(cloud)


def test_variables_of_other_programs_change_nothing(
    cloud: Cloud, server: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE, which msal would prefer to what it is given, and a proxy before loopback."""
    (tmp_path / "other.pem").write_text("", encoding="utf-8")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(tmp_path / "other.pem"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    server.replies = [Reply(body=FLOW)]
    assert ask(cloud)


def test_no_answer_is_said_to_be_none(cloud: Cloud, server: Host, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A port that refuses; a certificate that is not trusted; a page that is no sign-in host's."""
    with pytest.raises(Unreachable, match="refuses connections"):
        ask(replace(cloud, login="https://localhost:9"))
    stranger = Authority(tmp_path_factory.mktemp("ca"), "stranger")
    with pytest.raises(Unreachable, match="not trusted"):
        ask(replace(cloud, ca=stranger.path))
    server.metadata = lambda: Reply(200, "<html>Welcome to the hotel</html>", {"Content-Type": "text/html"})
    with pytest.raises(Error, match="did not answer as Microsoft's sign-in host does"):
        ask(cloud)


def test_a_login_host_of_ones_own_leads_nowhere_else(cloud: Cloud, server: Host, authority: Authority) -> None:
    """Metadata that name another host: nothing goes there."""
    other = Host(authority.issue())
    try:
        server.metadata = other.metadata
        with pytest.raises(CloudError, match="names another host"):
            ask(cloud)
        assert other.seen == []
        assert other.token_requests == []
    finally:
        other.close()


def test_nothing_is_printed_or_logged(
    cloud: Cloud, server: Host, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither by msal nor by us, where nobody listens; and nowhere the device code or a token."""
    server.replies = [Reply(body=FLOW)]
    server.token_replies = [Reply(400, PENDING), refusal(65004, "authorization_declined", "No.")]
    with caplog.at_level(logging.WARNING), pytest.raises(CloudError) as caught:
        ask(cloud)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    assert "the-device-code" not in caplog.text + str(caught.value)
