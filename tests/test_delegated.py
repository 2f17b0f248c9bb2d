"""``access: delegated``: a public client is made, a person signs in, and the person's token opens what the person may."""

import threading
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from socket import create_connection
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from console import Console
from desk import Desk, SandboxClock
from exosp.browser import Page
from exosp.cli.options import Format
from exosp.cli.screen import Screen
from exosp.cli.wiring import Session, read
from exosp.errors import CloudError, PlaybookError, UsageError
from exosp.sandbox import catalog
from exosp.sending import Applied
from exosp.signin.loopback import Loopback
from exosp.verify import Verdict, verify
from person import Person
from runs import Runs

pytestmark = pytest.mark.slow  # whole lives of a tenant


ROOT = Path(__file__).resolve().parents[1]
SCOPES = ["IMAP.AccessAsUser.All", "POP.AccessAsUser.All", "SMTP.Send"]
PASSWORD = "alex-has-a-word"
CONTENT: dict[str, Any] = {
    "mailboxes": [
        "alex@contoso.com", "private@contoso.com",
        {"address": "desk@contoso.com", "kind": "SharedMailbox"}, {"address": "shop@contoso.com", "kind": "SharedMailbox"},
    ],
    "users": [
        {"upn": "alex@contoso.com", "password": PASSWORD, "full_access": ["desk@contoso.com"], "send_as": ["desk@contoso.com"]},
    ],
}  # fmt: skip
PLAYBOOK = """exosp: 1
tenant: contoso.onmicrosoft.com
access: delegated
app: {key: mail-reader, name: Mail Reader}
protocols: [imap, pop, smtp]
mailboxes:
  - alex@contoso.com
  - {address: desk@contoso.com, protocols: [imap, pop]}
"""
APPLICATION = PLAYBOOK.replace("access: delegated\n", "").replace(
    "name: Mail Reader}", "name: Mail Reader, credential: {type: secret, valid_for: 180d, save_to: support-desk.env}}"
)


@pytest.fixture
def place(unkind: Callable[..., Desk]) -> Desk:
    """The playbook on a tenant with people."""
    desk = unkind("none", content=CONTENT)
    desk.write(PLAYBOOK)
    return desk


def somebody(desk: Desk, **changes: Any) -> Person:
    return Person(
        str(desk.running.sandbox.ca_path), **({"upn": "alex@contoso.com", "password": PASSWORD} | changes)
    )  # fmt: skip


@contextmanager
def session(desk: Desk, way: str | None, tell: Callable[[str], None] = lambda text: None) -> Iterator[Session]:
    screen = Screen(Format.text, quiet=True)
    screen.call = tell  # type: ignore[method-assign]  # what a person reads on the terminal
    made = Session(
        read(desk.playbook, allow_outside=False), screen, environment=desk.running.environment(),
        clock=SandboxClock(desk.running), deadline=3600.0, person=way,
    )  # fmt: skip
    with made:
        yield made


def prove(desk: Desk, way: str | None, tell: Callable[[str], None] = lambda text: None, wait: float = 0.0) -> Verdict:
    with session(desk, way, tell) as held:
        return verify(
            held.want, held.tenant, held, held.patience, audience=held.cloud.exchange_resource, wait=wait, apart=2.0
        )  # fmt: skip


def types_the_code(person: Person) -> Callable[[str], None]:
    """Somebody who reads the terminal and goes where it says."""

    def tell(text: str) -> None:
        words = text.split()
        person.code = words[words.index("code") + 1]
        person.visit(next(word for word in words if word.startswith("https://")))

    return tell


# ---- what is made ----


def test_a_public_client_is_made_and_nothing_more(place: Desk) -> None:
    """Redirect URI, public client flows, delegated permissions by this tenant's ids; an enterprise application; no role,
    no secret, no entry in Exchange, no permission on a mailbox, no consent in anybody's name."""
    result = place.apply()
    assert [type(outcome) for _, outcome in result.outcomes] == [Applied] * len(result.plan.changes)
    assert result.rest.empty
    state = place.state()
    [app] = place.applications()
    assert app["publicClient"]["redirectUris"] == ["http://localhost"]
    assert app["isFallbackPublicClient"] is True
    assert app["passwordCredentials"] == []
    exchange = next(p for p in state["servicePrincipals"] if p["displayName"] == "Office 365 Exchange Online")
    names = {scope["id"]: scope["value"] for scope in exchange["oauth2PermissionScopes"]}
    [asked] = app["requiredResourceAccess"]
    assert [(names[a["id"]], a["type"]) for a in asked["resourceAccess"]] == [(scope, "Scope") for scope in SCOPES]
    assert state["exchange"]["servicePrincipals"] == []
    assert state["oauth2PermissionGrants"] == []
    granted = [row for row in state["exchange"]["mailboxPermissions"] if not row["User"].startswith("NT AUTHORITY")]
    assert [row["User"] for row in granted] == ["alex@contoso.com"]
    [principal] = [p for p in state["servicePrincipals"] if p["appId"] == app["appId"]]
    assert not any(row["principalId"] == principal["id"] for row in state["appRoleAssignments"])
    assert not list(place.folder.glob("*.env"))


@pytest.mark.slow
def test_planning_again_finds_nothing_and_ids_are_looked_up(unkind: Callable[..., Desk]) -> None:
    """The law, with random permission ids and lag."""
    desk = unkind("default,role-ids=2", content=CONTENT)
    desk.write(PLAYBOOK)
    desk.apply()
    assert desk.look()[1].empty
    assert desk.apply().plan.empty


def test_what_others_registered_stays(place: Desk) -> None:
    """Other redirect URIs and permissions are kept, and a switch that somebody turned off is turned on again."""
    place.apply()
    directory = place.running.sandbox.tenant.directory
    [app] = [a for a in directory.applications.values() if a.properties["uniqueName"] == "exosp-mail-reader"]
    other = {"resourceAppId": "00000003-0000-0000-c000-000000000000", "resourceAccess": [{"id": "e1fe6dd8-ba31-4d61-89e7-88639da4683d", "type": "Scope"}]}  # fmt: skip
    app.properties |= {
        "publicClient": {"redirectUris": ["myapp://auth"]}, "isFallbackPublicClient": None,
        "requiredResourceAccess": [other],
    }  # fmt: skip
    [change] = place.look()[1].changes
    assert "http://localhost" in change.why
    assert "public client flows" in change.why
    place.apply()
    assert app.properties["publicClient"]["redirectUris"] == ["myapp://auth", "http://localhost"]
    assert app.properties["isFallbackPublicClient"] is True
    assert app.properties["requiredResourceAccess"][0] == other


@pytest.mark.slow
def test_from_application_to_delegated_what_is_too_much_is_shown_and_taken_with_prune(place: Desk) -> None:
    """Roles, grants and the secret of the former way are drift that grants access; prune takes them."""
    place.write(APPLICATION)
    place.apply()
    place.write(PLAYBOOK)
    _, plan = place.look()
    assert {drift.step for drift in plan.drift if drift.access} == {"consent", "credential", "grants"}
    place.apply()
    assert not place.look()[1].changes
    place.write(PLAYBOOK + "prune: true\n")
    place.apply()
    state = place.state()
    [app] = place.applications()
    assert app["passwordCredentials"] == []
    principal = next(p for p in state["servicePrincipals"] if p["appId"] == app["appId"])
    assert not any(row["principalId"] == principal["id"] for row in state["appRoleAssignments"])
    users = {row["User"] for row in state["exchange"]["mailboxPermissions"]}
    assert principal["id"] not in users
    assert not any(drift.access for drift in place.look()[1].drift)


# ---- the proof ----


def test_a_browser_signs_the_person_in(place: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """apply, then verify by the browser: every login works, with the user name of the mailbox, also of the shared one; the
    browser is told so, and no code stands in an address."""
    place.apply()
    person = somebody(place)
    monkeypatch.setattr(webbrowser, "open", person.later)
    verdict = prove(place, "browser")
    assert [(p.probe.user, p.probe.protocol, p.proof) for p in verdict.proofs] == [
        ("alex@contoso.com", "imap", "opened"), ("alex@contoso.com", "pop", "opened"), ("alex@contoso.com", "smtp", "accepted"),
        ("desk@contoso.com", "imap", "opened"), ("desk@contoso.com", "pop", "opened"),
    ]  # fmt: skip
    assert verdict.proven
    assert verdict.claims["scp"].split() == SCOPES
    assert person.pages[-1].url.startswith("http://localhost:")
    assert "Signed in" in person.pages[-1].text
    assert not any("code=" in page.url for page in person.pages)


@pytest.mark.timeout(30)  # seconds; who waits longer waits for what never comes
def test_a_device_code_signs_the_person_in(place: Desk) -> None:
    """The same with a code that is typed on another machine; the code's message is all that is said."""
    place.apply()
    said: list[str] = []
    types = types_the_code(somebody(place))
    verdict = prove(place, "device-code", lambda text: (said.append(text), types(text))[1])
    assert verdict.proven
    assert len(said) == 1
    assert "devicelogin" in said[0]


@pytest.mark.slow
def test_the_shipped_playbook_works(place: Desk, unkind: Callable[..., Desk]) -> None:
    """playbooks/delegated.yaml on the default tenant, by the person that the sandbox names."""
    desk = unkind("default")
    desk.write((ROOT / "playbooks" / "delegated.yaml").read_text(encoding="utf-8"))
    desk.apply()
    environment = desk.running.environment()
    person = somebody(desk, upn=environment["EXOSP_SANDBOX_USER"], password=environment["EXOSP_SANDBOX_USER_PASSWORD"])
    assert prove(desk, "device-code", types_the_code(person), wait=3600.0).proven


def test_a_later_token_is_refreshed_and_nobody_is_asked_again(place: Desk) -> None:
    """verify --wait takes a new token each round."""
    place.apply()
    asked: list[str] = []
    types = types_the_code(somebody(place))
    with session(place, "device-code", lambda text: (asked.append(text), types(text))[1]) as held:
        first, second = held.token(), held.token()
        assert first.reveal() != second.reveal()
        place.running.advance(7200)
        assert held.token().obtained > first.expires
    assert len(asked) == 1
    assert place.requests()["token"]["refresh_token"] == 2


@pytest.mark.parametrize("way", ["browser", "device-code"])
def test_a_sign_in_host_that_puts_off_asks_nobody_twice(
    place: Desk, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:  # fmt: skip
    """429 with and without Retry-After and 503 at the token endpoint: waited out within the one sign-in."""
    place.apply()
    faults = place.running.sandbox.tenant.faults
    person, asked = somebody(place), list[str]()
    types = types_the_code(person)

    def tell(text: str) -> None:
        asked.append(text)
        for name in ("token-throttle", "token-throttle-bare", "token-unavailable"):
            faults.set(name, 1)
        if way == "device-code":
            types(text)

    monkeypatch.setattr(webbrowser, "open", person.later)
    with session(place, way, tell) as held:
        for _ in range(8):
            held.token()
    fired = faults.fired
    assert {name: fired.get(name) for name in ("token-throttle", "token-throttle-bare", "token-unavailable")} == {
        "token-throttle": 1, "token-throttle-bare": 1, "token-unavailable": 1,
    }  # fmt: skip
    assert len(asked) == 1


def test_without_a_person_nothing_is_proven_and_nobody_is_asked(place: Desk) -> None:
    """Unattended, each login is not-provable-here, with what to do; never passed."""
    place.apply()
    verdict = prove(place, None, lambda text: pytest.fail(text))
    assert verdict.converged
    assert not verdict.proven
    assert {proof.proof for proof in verdict.proofs} == {"not-provable-here"}
    assert all("--person" in proof.fix for proof in verdict.proofs)


def test_a_federated_credential_is_not_proven_here(place: Desk) -> None:
    """``credential: {type: federated}``: roles and grants as ever, no secret; its logins are not-provable-here."""
    text = APPLICATION.replace("{type: secret, valid_for: 180d, save_to: support-desk.env}", "{type: federated}")
    place.write(text)
    place.apply()
    [app] = place.applications()
    assert app["passwordCredentials"] == []
    assert len(place.state()["exchange"]["servicePrincipals"]) == 1
    verdict = prove(place, None)
    assert verdict.converged
    assert {proof.proof for proof in verdict.proofs} == {"not-provable-here"}
    assert "federated" in verdict.proofs[0].cause


# ---- refusals ----


def test_a_person_without_full_access(place: Desk) -> None:
    """What is missing is named, for the person and not for the application."""
    place.write(PLAYBOOK.replace("desk@contoso.com", "shop@contoso.com"))
    place.apply()
    verdict = prove(place, "device-code", types_the_code(somebody(place)))
    failed = [proof for proof in verdict.proofs if not proof.ok]
    assert {(p.probe.mailbox, p.key) for p in failed} == {("shop@contoso.com", "no-mailbox-permission")}
    assert "alex@contoso.com has no FullAccess on shop@contoso.com" in failed[0].cause
    assert "-User alex@contoso.com" in failed[0].fix


def test_the_persons_own_rights_count(place: Desk) -> None:
    """FullAccess of the person, by whatever form a row names it: so a protocol that is off is found behind it."""
    place.apply()
    shared = place.running.sandbox.tenant.exchange.by_address("desk@contoso.com")
    assert shared is not None
    shared.cas["ImapEnabled"] = False
    verdict = prove(place, "device-code", types_the_code(somebody(place)))
    assert {(p.probe.mailbox, p.probe.protocol, p.key) for p in verdict.proofs if not p.ok} == {
        ("desk@contoso.com", "imap", "protocol-off")
    }


@pytest.mark.slow
def test_destroy_takes_the_public_client_away(place: Desk, tmp_path: Path) -> None:
    """The application goes, and what apply switched is as it was; people's rights stay. Undo leaves the application."""
    runs, before = Runs(place, tmp_path / "journals"), place.state()["exchange"]
    runs.apply()
    assert not runs.undo(runs.last).failed
    assert place.state()["exchange"] == before
    assert len(place.applications()) == 1
    runs.apply()
    result = runs.destroy()
    assert not result.failed
    assert result.rest.empty
    assert place.applications() == []
    assert place.state()["exchange"] == before
    assert runs.destroy().plan.empty


def test_an_adopted_application_becomes_a_public_client(place: Desk) -> None:
    """What was registered by hand gains what it lacks, by its id; its name and audience stay."""
    tenant = place.running.sandbox.tenant
    app, _ = catalog.add_application(tenant.directory, "By Hand")
    place.write(PLAYBOOK.replace("{key: mail-reader, name: Mail Reader}", f"{{id: {app.properties['appId']}}}"))
    admin = tenant.directory.principal(tenant.admin_app_id)
    assert admin is not None
    app.owners.add(admin.id)
    place.apply()
    assert app.properties["publicClient"]["redirectUris"] == ["http://localhost"]
    assert app.properties["displayName"] == "By Hand"
    assert place.look()[1].empty
    assert prove(place, "device-code", types_the_code(somebody(place))).proven


def test_smtp_under_a_shared_mailboxs_name_is_explained(place: Desk) -> None:
    """As the reports have it AUTH is refused and the cause is named; as Microsoft's page has it it works."""
    place.write(PLAYBOOK.replace("[imap, pop]}", "[smtp]}"))
    place.apply()
    [failed] = [p for p in prove(place, "device-code", types_the_code(somebody(place))).proofs if not p.ok]
    assert (failed.probe.mailbox, failed.probe.protocol, failed.key) == ("desk@contoso.com", "smtp", "wrong-user-name")
    place.running.sandbox.tenant.faults.set("smtp-shared-name", 1)
    assert prove(place, "device-code", types_the_code(somebody(place))).proven


@pytest.mark.parametrize("way", ["browser", "device-code"])
def test_a_declined_consent(place: Desk, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """The browser's page and verify say what to do; no login is tried."""
    place.apply()
    person = somebody(place, consents=False)
    monkeypatch.setattr(webbrowser, "open", person.later)
    verdict = prove(place, way, types_the_code(person) if way == "device-code" else lambda text: None)
    assert not verdict.proven
    assert {proof.stage for proof in verdict.proofs} == {"token"}
    assert {proof.key for proof in verdict.proofs} == {"consent-missing"}
    if way == "browser":
        assert "Not signed in" in person.pages[-1].text
        assert "declined" in person.pages[-1].text
    assert "AUTHENTICATE" not in place.requests()["imap"]  # the way there is looked at without a token


def test_an_administrators_consent_is_asked_for_by_name(place: Desk) -> None:
    """Where people may not consent themselves, who may and where."""
    place.apply()
    place.running.sandbox.tenant.faults.set("user-consent", 1)
    with session(place, "device-code", types_the_code(somebody(place, consents=False))) as held:
        with pytest.raises(CloudError) as caught:
            held.token()
    assert "administrator" in caught.value.hint


class Meddler:
    """Somebody between the sign-in page and exosp: the browser's last step is done by hand."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.said: list[tuple[int, str]] = []
        self.thread: threading.Thread | None = None

    def open(self, url: str) -> bool:
        def meddle() -> None:
            with suppress(OSError, httpx.HTTPError):  # exosp listens no longer
                self.run(url)

        self.thread = threading.Thread(target=meddle, daemon=True)
        self.thread.start()
        return True

    def run(self, url: str) -> None:
        raise NotImplementedError

    def code(self, url: str, **changes: str) -> dict[str, str]:
        """The answer to another sign-in at the same redirect URI, where it comes in an address and so is not taken."""
        given = dict(parse_qsl(urlsplit(url).query)) | {"response_mode": "query"} | changes
        return self.person.visit(url.partition("?")[0] + "?" + urlencode(given)).sent

    def post(self, url: str, form: dict[str, str], **headers: str) -> None:
        place = urlsplit(dict(parse_qsl(urlsplit(url).query))["redirect_uri"])
        connection = HTTPConnection("127.0.0.1", place.port or 0, timeout=10)
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Host": f"localhost:{place.port}"}
        connection.request("POST", "/", urlencode(form), kind | headers)
        reply = connection.getresponse()
        self.said.append((reply.status, reply.read().decode()))
        connection.close()


def test_an_answer_with_another_state_is_refused(place: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A code that comes with another state, none, or by another host's name is not used; the right one that comes after it
    is."""

    class Forger(Meddler):
        def run(self, url: str) -> None:
            stolen = self.code(url, state="somebody-elses")
            self.post(url, {"code": stolen["code"], "state": "somebody-elses"})
            self.post(url, {"code": stolen["code"]})
            state = dict(parse_qsl(urlsplit(url).query))["state"]
            self.post(url, {"code": "x", "state": state}, Host="evil.example")
            self.person.visit(url)

    place.apply()
    forger = Forger(somebody(place))
    monkeypatch.setattr(webbrowser, "open", forger.open)
    with session(place, "browser") as held:
        assert held.token().claims["upn"] == "alex@contoso.com"
    assert [status for status, _ in forger.said] == [400, 400, 421]
    assert all("code" not in text.lower().split("<h1>")[1] for _, text in forger.said)
    assert place.requests()["token"]["authorization_code"] == 1


def test_a_replayed_code_is_refused(place: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A code of another sign-in, sent with the right state: its verifier is not ours, so the thief gains nothing, and the
    person is told."""

    class Thief(Meddler):
        def run(self, url: str) -> None:
            state = dict(parse_qsl(urlsplit(url).query))["state"]
            stolen = self.code(url, code_challenge="E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
            self.post(url, {"code": stolen["code"], "state": state})

    place.apply()
    thief = Thief(somebody(place))
    monkeypatch.setattr(webbrowser, "open", thief.open)
    with session(place, "browser") as held, pytest.raises(CloudError) as caught:
        held.token()
    assert caught.value.code == "AADSTS501481"
    assert thief.thread is not None
    thief.thread.join(10)
    [(status, text)] = thief.said
    assert status == 200
    assert "Not signed in" in text


def test_nobody_comes_in_time() -> None:
    """The wait ends, also while somebody holds a connection open and says nothing."""
    with Loopback("state") as page, create_connection(("127.0.0.1", urlsplit(page.address).port or 0)):
        assert page.wait(lambda given: Page("", ""), 0.01) is False


def test_idle_connections_keep_no_answer_waiting() -> None:
    """Browsers open connections ahead and leave them idle: the answer comes by another one, at once."""
    came: list[dict[str, str]] = []

    def answer(given: Mapping[str, str]) -> Page:
        came.append(dict(given))
        return Page("Done", "<b>", "")

    with Loopback("state") as page:
        port = urlsplit(page.address).port or 0
        idle = [create_connection(("127.0.0.1", port)) for _ in range(3)]
        pages: list[str] = []

        def send() -> None:
            form = {"state": "state", "code": "c"}
            pages.append(httpx.post(f"http://127.0.0.1:{port}/", data=form, trust_env=False).text)

        browser = threading.Thread(target=send, daemon=True)
        browser.start()
        assert page.wait(answer, 5.0)  # an idle connection is given ten seconds
        browser.join(5)
        for held in idle:
            held.close()
    assert came == [{"state": "state", "code": "c"}]
    assert "&lt;b&gt;" in pages[0]


def test_before_apply_there_is_nothing_to_sign_in_to(place: Desk) -> None:
    """Named, and nobody is asked."""
    verdict = prove(place, "device-code", lambda text: pytest.fail(text))
    assert not verdict.proven
    assert "no application" in verdict.proofs[0].cause


def test_tokens_and_codes_stand_nowhere(place: Desk) -> None:
    """Neither in what is said, nor in a verdict, nor in an error, nor in a file."""
    place.apply()
    said: list[str] = []
    types = types_the_code(somebody(place))
    before = set(place.folder.rglob("*"))
    with session(place, "device-code", lambda text: (said.append(text), types(text))[1]) as held:
        token = held.token()
        secrets = [token.reveal(), *(item["secret"] for item in held._person._app.token_cache._cache.get("RefreshToken", {}).values())]  # fmt: skip
        assert len(secrets) == 2
        shown = " ".join([*said, repr(token), repr(held._person), repr(place.state())])
        for secret in secrets:
            assert secret not in shown
    assert set(place.folder.rglob("*")) == before


# ---- the playbook ----

WRONG = [
    (PLAYBOOK.replace("delegated", "delegatd"), "is no kind of access"),
    (APPLICATION.replace("tenant:", "access: delegated\ntenant:"), "which has no credential"),
    (PLAYBOOK.replace("access: delegated\n", ""), "`app` has no `credential`"),
    (PLAYBOOK.replace("protocols: [imap, pop]}", "send_as: {from: shop@contoso.com}}"), "people hold their own rights"),
    (APPLICATION.replace("type: secret", "type: federated"), "a federated credential has no `valid_for`"),
]


@pytest.mark.parametrize(("text", "what"), WRONG, ids=range(len(WRONG)))
def test_what_does_not_go_together(place: Desk, text: str, what: str) -> None:
    """Each is a fault with its line."""
    place.write(text)
    with pytest.raises(PlaybookError) as caught:
        read(place.playbook, allow_outside=False)
    assert any(what in fault.what for fault in caught.value.faults)


def test_a_person_for_an_application_that_opens_mailboxes_by_itself(place: Desk) -> None:
    """--person is refused where nobody signs in."""
    from exosp.cli.signing import signing_in

    place.write(APPLICATION)
    with pytest.raises(UsageError, match="nobody signs in"):
        signing_in("browser", read(place.playbook, allow_outside=False))


def test_the_command_asks_where_it_is_told_to(place: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """exosp verify off a terminal: exit 3 and nobody asked; with --person exit 0, one document on stdout with the person's
    scopes, and what the person must do on stderr even with --quiet; exit 2 where nobody signs in."""
    place.apply()
    console = Console(place.folder, place.running.environment())
    monkeypatch.setattr(webbrowser, "open", lambda url: pytest.fail("a browser was opened"))
    alone = console.here("verify", "playbook.yaml", "--format", "json")
    assert alone.code == 3
    assert {probe["proof"] for probe in alone.document["probes"]} == {"not-provable-here"}
    monkeypatch.setattr(webbrowser, "open", somebody(place).later)
    found = console.here("verify", "playbook.yaml", "--person", "browser", "--format", "json", "--quiet")
    assert found.code == 0, found.all
    token = found.document["token"]
    assert (token["scp"].split(), token["upn"], token["roles"]) == (SCOPES, "alex@contoso.com", None)
    assert found.err == "Sign in with the browser window that has opened. If it ends in an error, press Ctrl-C.\n"
    assert console.here("verify", "playbook.yaml", "--person", "carrier-pigeon").code == 2
    place.write(APPLICATION)
    refused = console.here("verify", "playbook.yaml", "--person", "browser")
    assert refused.code == 2
    assert "access: delegated" in refused.err


def test_where_no_browser_opens_the_address_is_said(place: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds no secret: a state and a challenge."""
    place.apply()
    person, said = somebody(place), list[str]()
    monkeypatch.setattr(webbrowser, "open", lambda url: False)

    def tell(text: str) -> None:
        said.append(text)
        person.later(text.split()[-1])

    with session(place, "browser", tell) as held:
        assert held.token().claims["upn"] == "alex@contoso.com"
    assert said[0].startswith("To sign in, open this address")
