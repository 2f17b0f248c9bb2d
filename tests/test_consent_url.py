"""Many tenants: an ISV's application at home, its customer's consent by address, the page on loopback that nobody may talk
into anything, and the Exchange half in the customer's tenant with that tenant's own object ID."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from desk import QUICKSTART, Desk
from exosp import consent
from exosp.clouds import CLOUDS
from exosp.consent import Listener, Page, Told, Waiting
from exosp.errors import CloudError, Forbidden, PlaybookError
from exosp.sandbox.server import Running, clean_environment
from exosp.sandbox.tenant import Options
from person import Person
from runs import Runs

pytestmark = pytest.mark.slow  # whole lives of a tenant


APP = "11111111-2222-3333-4444-555555555555"
ROLES = ("IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp")
HOME = QUICKSTART.read_text(encoding="utf-8").replace(
    "  key: support-desk ", "  audience: multi-tenant\n  key: support-desk "
)


# Addresses


def _parts(url: str) -> tuple[str, str, dict[str, str]]:
    split = urlsplit(url)
    return split.netloc, split.path, {name: values[0] for name, values in parse_qs(split.query).items()}


@pytest.mark.parametrize(("protocols", "scope"), [
    (("imap",), "https://ps.outlook.com/.default"), (("pop",), "https://ps.outlook.com/.default"),
    (("imap", "pop", "smtp"), "https://ps.outlook.com/.default"), (("smtp",), "https://outlook.office365.com/.default"),
])  # fmt: skip
def test_the_address_for_each_protocol(protocols: tuple[str, ...], scope: str) -> None:
    """As the vendor's page has it: one name for IMAP and POP, another for SMTP alone; every value is escaped whole."""
    found = consent.address(CLOUDS["global"], "customer.com", APP, protocols, "http://localhost:81/?a=b", "s&t=1")
    host, path, query = _parts(found.url)
    assert (host, path) == ("login.microsoftonline.com", "/customer.com/v2.0/adminconsent")
    assert query == {"client_id": APP, "redirect_uri": "http://localhost:81/?a=b", "scope": scope, "state": "s&t=1"}


@pytest.mark.parametrize(("cloud", "host", "smtp"), [
    ("global", "login.microsoftonline.com", "https://outlook.office365.com/.default"),
    ("gcc-high", "login.microsoftonline.us", "https://outlook.office365.us/.default"),
    ("dod", "login.microsoftonline.us", "https://outlook-dod.office365.us/.default"),
    ("china", "login.partner.microsoftonline.cn", "https://partner.outlook.cn/.default"),
])  # fmt: skip
def test_the_address_in_each_cloud(cloud: str, host: str, smtp: str) -> None:
    """The cloud's own login host and Exchange."""
    found = consent.addresses(CLOUDS[cloud], "t", APP, ("imap", "smtp"), "http://localhost", "s")
    assert [one.protocols for one in found] == [("imap",), ("smtp",)]
    assert {_parts(one.url)[0] for one in found} == {host}
    assert _parts(found[1].url)[2]["scope"] == smtp


# The page on loopback


class Asked:
    """A listener in a thread, and what its pages were made for."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.listener = Listener("right", self._answer)
        self._thread = threading.Thread(target=self.listener.listen, args=(10.0,), daemon=True)
        self._thread.start()

    def _answer(self, told: Told) -> Page:
        self.told.append(told)
        return Page("Seen", told.description or "given", told.fix if told.error else "")

    def get(self, path: str = "/", host: str = "", **query: str) -> httpx.Response:
        place = self.listener.redirect.replace("localhost", "127.0.0.1")
        with httpx.Client(trust_env=False, timeout=10) as client:
            url = f"{place}{path}" + (f"?{urlencode(query)}" if query else "")
            return client.get(url, headers={"Host": host} if host else {})

    def raw(self, request: bytes) -> bytes:
        port = int(self.listener.redirect.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
            line.sendall(request)
            found = b""
            while part := line.recv(65536):
                found += part
            return found

    def end(self) -> None:
        if self.listener.told is None:
            self.get(state="right", error="x")
        self._thread.join(10)
        self.listener.__exit__()


@pytest.fixture
def asked() -> Iterator[Asked]:
    """A consent that is waited for, its state being ``right``."""
    found = Asked()
    yield found
    found.end()


def test_a_redirect_with_another_state_is_refused(asked: Asked) -> None:
    """Wrong, none, twice, or with nothing said: 400, and nothing is taken; the right one is, after all of these."""
    for query in ({"state": "wrong", "admin_consent": "True"}, {"admin_consent": "True"}, {"state": "right"}):
        assert asked.get(**query).status_code == 400
    assert asked.get("/?state=right&state=right&admin_consent=True").status_code == 400
    assert asked.told == []
    assert asked.listener.refused == 4
    assert asked.get(state="right", admin_consent="True", tenant="t").status_code == 200
    assert asked.told == [Told("t")]


def test_an_error_is_shown_escaped_with_its_fix(asked: Asked) -> None:
    """What the redirect says is text on the page, whatever it holds; the fix is by the code."""
    reply = asked.get(
        state="right", error="access_denied", error_description="AADSTS65004: <script>alert(1)</script>\"'&"
    )
    assert reply.status_code == 200
    assert "<script>" not in reply.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;" in reply.text
    assert "open the address again and accept" in reply.text
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]


def test_a_redirect_counts_once(asked: Asked) -> None:
    """The same redirect again finds nobody: one answer is made, and the first stands."""
    assert asked.get(state="right", admin_consent="True", tenant="t").status_code == 200
    assert asked.listener.take({"state": "right", "error": "access_denied"}) is None
    assert asked.listener.told == Told("t")
    assert len(asked.told) == 1


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//x", "/index.html", "/."]
)
def test_no_other_path_is_served(asked: Asked, path: str) -> None:
    """Whatever else is asked for is 404, with the right state too, and no file is read."""
    request = f"GET {path}?state=right&admin_consent=True HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = asked.raw(request.encode())
    assert b" 404 " in answer.split(b"\r\n")[0]
    assert b"root:" not in answer
    assert asked.told == []


def test_only_this_machines_own_browser(asked: Asked) -> None:
    """It listens on 127.0.0.1 alone; another name that leads here is refused, and so are methods that no browser comes with."""
    assert asked.listener._server.server_address[0] == "127.0.0.1"
    assert asked.get(host="evil.example", state="right", admin_consent="True").status_code == 421
    answer = asked.raw(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
    assert b" 501 " in answer.split(b"\r\n")[0]
    assert asked.told == []


# Only a token is believed


class Tokens:
    """Answers with one set of roles after the other, the last for ever."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), 0

    def __call__(self) -> frozenset[str]:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, Exception):
            raise found
        return frozenset(found)


def test_a_redirect_that_claims_consent_is_not_believed() -> None:
    """admin_consent=True and a token without the role: not consented; with it: consented, without any redirect."""
    waiting = Waiting(Tokens(()), ["IMAP.AccessAsApp"])
    assert waiting.answer(Told("t")).title == "Not in force yet"
    with Listener("s", waiting.answer) as listener:
        listener.take({"state": "s", "admin_consent": "True"})
        assert not waiting.until(listener, 0.0, lambda _: None)
    assert waiting.missing == ("IMAP.AccessAsApp",)
    assert Waiting(Tokens(ROLES), ["IMAP.AccessAsApp"]).already()


def test_a_refusal_ends_the_wait_unless_a_token_says_otherwise() -> None:
    """An error redirect with the right state stops waiting at once; where a token has the roles all the same, that counts."""
    for roles, done in (((), False), (ROLES, True)):
        waiting = Waiting(Tokens(roles), ROLES)
        with Listener("s", waiting.answer) as listener:
            listener.take({"state": "s", "error": "access_denied", "error_description": "AADSTS65004: no"})
            assert waiting.until(listener, 3600.0, lambda _: None) is done


def test_a_wrong_credential_ends_the_wait_and_is_shown() -> None:
    """Waiting is of no use then: the page says so, and the command ends with the error."""
    fault = Forbidden("AADSTS7000215: Invalid client secret", service="token", code="AADSTS7000215", hint="rotate")
    waiting = Waiting(Tokens(fault), ROLES)
    page = waiting.answer(Told("t"))
    assert (page.title, page.hint) == ("Not known", "What to do: rotate")
    with Listener("s", waiting.answer) as listener, pytest.raises(CloudError):
        waiting.until(listener, 5.0, lambda _: None)


# Two tenants


@dataclass
class Two:
    """The ISV's desk, and the customer's, whose tenant knows the ISV's application as one of another tenant."""

    home: Desk
    customer: Desk
    app: dict[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        place = {"PYTHONPATH": os.environ.get("PYTHONPATH", ""), "XDG_STATE_HOME": str(self.customer.folder)}
        return clean_environment(self.customer.running.environment()) | place

    def start(self, *words: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "exosp", "consent-url", *words]
        return subprocess.Popen(
            command, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        with self.start(*words) as process:
            out, err = process.communicate(timeout=60)
            return subprocess.CompletedProcess(words, process.returncode, out, err)

    def administrator(self, *, consents: bool = True, upn: str = "") -> Person:
        tenant = self.customer.running.sandbox.tenant
        name = upn or f"admin@{tenant.domain}"
        return Person(str(self.customer.running.sandbox.ca_path), name, tenant.person_password, consents=consents)


@pytest.fixture(scope="module")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with Running(Options(faults="none", seed=1)) as running:
        home = Desk(tmp_path_factory.mktemp("home"), running)
        home.write(HOME)
        assert not home.apply().failed
        yield home


@pytest.fixture
def two(_homes: Desk, tmp_path: Path) -> Iterator[Two]:
    """Two tenants that share one application."""
    [app] = _homes.applications()
    [secret] = app["passwordCredentials"]
    content = {"foreign_applications": [{
        "app_id": app["appId"], "name": app["displayName"], "roles": list(ROLES), "secret_sha256": secret["sha256"],
        "redirects": app["web"]["redirectUris"], "home": _homes.running.sandbox.tenant.tenant_id,
    }]}  # fmt: skip
    with Running(Options(faults="none", seed=2), content) as running:
        customer = Desk(tmp_path, running)
        (tmp_path / "isv.env").write_bytes(_homes.credential.read_bytes())
        (tmp_path / "isv.env").chmod(0o600)
        customer.write(
            "exosp: 1\ntenant: contoso.onmicrosoft.com\n"
            f"app:\n  id: {app['appId']}\n  registered_in: isv.onmicrosoft.com\n"
            "  credential: {type: secret, save_to: isv.env}\n"
            "protocols: [imap, pop, smtp]\nmailboxes: [support@contoso.com, {address: sales@contoso.com, protocols: [imap]}]\n"
        )
        yield Two(_homes, customer, app)


def test_a_multi_tenant_application_is_made(two: Two) -> None:
    """signInAudience, and a redirect address for the end of consent, which is none of a public client's; planning again is
    empty, and the tenant is proven like any other."""
    assert two.app["signInAudience"] == "AzureADMultipleOrgs"
    assert two.app["web"]["redirectUris"] == ["http://localhost"]
    assert two.app["isFallbackPublicClient"] is None
    assert two.home.look()[1].empty
    assert two.home.verify().proven


def test_the_address_is_printed_for_each_protocol(two: Two) -> None:
    """As a document, with nothing asked of any service; as text, with both addresses whole."""
    done = two.run(str(two.home.playbook), "--tenant", "customer.onmicrosoft.com", "--format", "json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "exosp/consent-url/1"
    assert (document["tenant"], document["cloud"]) == ("customer.onmicrosoft.com", "sandbox")
    assert document["client_id"] == two.app["appId"]
    found = {tuple(one["protocols"]): one for one in document["addresses"]}
    assert found[("imap", "pop")]["scope"] == "https://ps.outlook.com/.default"
    assert found[("smtp",)]["scope"] == "https://outlook.office365.com/.default"
    for one in found.values():
        assert _parts(one["url"])[2]["state"] == document["state"]
    text = two.run(str(two.home.playbook), "--tenant", "customer.onmicrosoft.com").stdout
    assert len([line for line in text.splitlines() if line.strip().startswith("https://")]) == 2
    one = two.run(str(two.home.playbook), "--tenant", "c.onmicrosoft.com", "--protocol", "smtp", "--format", "json")
    assert json.loads(one.stdout)["scope"] == "https://outlook.office365.com/.default"


@pytest.mark.parametrize(("words", "says"), [
    ((), "which tenant?"), (("--tenant", "common"), "no tenant of its own"), (("--tenant", "a/b"), "neither a domain"),
    (("--tenant", "c.com", "--protocol", "ews"), "no mailbox"),
    (("--tenant", "c.com", "--wait", "--redirect-uri", "https://x"), "leads elsewhere"),
])  # fmt: skip
def test_bad_usage(two: Two, words: tuple[str, ...], says: str) -> None:
    """Exit code 2, and what to write instead."""
    done = two.run(str(two.home.playbook), *words)
    assert done.returncode == 2
    assert says in done.stderr


def test_an_application_of_one_tenant_has_no_address(two: Two, tmp_path: Path) -> None:
    """Without audience: multi-tenant the address would end in an error page, so none is printed."""
    (tmp_path / "alone.yaml").write_text(QUICKSTART.read_text(encoding="utf-8"), encoding="utf-8")
    done = two.run(str(tmp_path / "alone.yaml"), "--tenant", "c.com")
    assert done.returncode == 2
    assert "audience: multi-tenant" in done.stderr


def _waiting(two: Two, *words: str) -> "tuple[subprocess.Popen[str], str]":
    """consent-url --wait under way, and the address that it printed."""
    process = two.start(str(two.customer.playbook), "--wait", "--format", "json", *words)
    assert process.stderr is not None
    for line in process.stderr:
        if line.strip().startswith("https://"):
            return process, line.strip()
    raise AssertionError(process.communicate())


def test_consent_then_the_exchange_half_in_the_customers_tenant(two: Two) -> None:
    """Before consent plan asks for it, with the address; --wait ends when a token has the roles; then plan, apply and verify
    give the customer's mailboxes to the customer's own object ID, and make no application there."""
    seen, before = two.customer.look()
    assert seen.application is None
    assert not before.changes
    assert "consent comes first" in before.refused[0].what
    assert f"/v2.0/adminconsent?client_id={two.app['appId']}" in before.refused[0].hint
    assert before.refused[0].others_turn
    process, url = _waiting(two)
    page = two.administrator().visit(url)
    out, err = process.communicate(timeout=60)
    assert "Consent is in force" in page.text, page.text
    assert process.returncode == 0, err
    assert json.loads(out)["waited"] == {"consented": True, "roles": sorted(ROLES), "missing": []}
    result = two.customer.apply()
    assert not result.failed
    assert {change.step for change in result.plan.changes} <= {"exchange", "grants", "protocols"}
    state = two.customer.state()
    assert [app["displayName"] for app in state["applications"]] == ["Provisioning"]
    [principal] = [row for row in state["servicePrincipals"] if row["appId"] == two.app["appId"]]
    [entry] = state["exchange"]["servicePrincipals"]
    assert entry["ObjectId"] == principal["id"]
    at_home = [row["id"] for row in two.home.state()["servicePrincipals"] if row["appId"] == two.app["appId"]]
    assert principal["id"] not in at_home
    verdict = two.customer.verify(negative=("private@contoso.com",))
    assert verdict.proven
    assert verdict.claims["oid"] == principal["id"]
    assert verdict.claims["tid"] == two.customer.running.sandbox.tenant.tenant_id
    assert two.customer.look()[1].empty


def test_destroy_in_the_customers_tenant_leaves_what_is_not_ours(two: Two, tmp_path: Path) -> None:
    """The Exchange entry and its grants go; the enterprise application and its roles are the administrator's consent, the
    saved credential is the other playbook's, and all stay."""
    process, url = _waiting(two)
    two.administrator().visit(url)
    process.communicate(timeout=60)
    runs = Runs(two.customer, tmp_path / "journals")
    assert not runs.apply().failed
    held = len(two.customer.state()["appRoleAssignments"])
    assert not runs.destroy(removals=100).failed
    state = two.customer.state()
    assert state["exchange"]["servicePrincipals"] == []
    assert [row for row in state["servicePrincipals"] if row["appId"] == two.app["appId"]]
    assert len(state["appRoleAssignments"]) == held
    assert (tmp_path / "isv.env").exists()


def test_the_customers_tenant_under_default_faults(two: Two) -> None:
    """With lag, lost replies and small pages after consent, apply and verify arrive where they do without."""
    running = two.customer.running
    running.reset(faults="default", seed=3)
    administrator = two.administrator()
    done = two.run(str(two.customer.playbook), "--format", "json")
    administrator.visit(json.loads(done.stdout)["url"])
    running.advance(60)
    assert not two.customer.apply().failed
    assert two.customer.verify().proven


def test_consent_that_is_in_force_asks_nobody(two: Two) -> None:
    """A second run finds the roles in its first token: no address, exit code 0."""
    process, url = _waiting(two)
    two.administrator().visit(url)
    process.communicate(timeout=60)
    again = two.run(str(two.customer.playbook), "--wait", "--format", "json")
    assert again.returncode == 0
    assert "https://" not in again.stderr
    assert json.loads(again.stdout)["waited"]["consented"]


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_before_consent_it_is_somebody_elses_turn(two: Two, command: str) -> None:
    """Exit code 3, the address whole at the end of a line, and nothing written: no application, no Exchange entry."""
    words = [
        sys.executable,
        "-m",
        "exosp",
        command,
        str(two.customer.playbook),
        *(["--yes"] if command == "apply" else []),
    ]
    done = subprocess.run(
        words, env=two.environment, capture_output=True, text=True, timeout=120, cwd=two.customer.folder
    )
    assert done.returncode == 3, done.stdout + done.stderr
    [url] = {line.strip() for line in done.stdout.splitlines() if line.strip().startswith("https://")}
    assert _parts(url)[2]["scope"] == "https://ps.outlook.com/.default"
    state = two.customer.state()
    assert len(state["applications"]) == 1
    assert state["exchange"]["servicePrincipals"] == []


def test_an_administrator_who_cancels(two: Two) -> None:
    """The page says what came and what to do; the command ends with 3, and names both."""
    process, url = _waiting(two)
    page = two.administrator(consents=False).visit(url)
    out, _ = process.communicate(timeout=60)
    assert "Consent was not given" in page.text
    assert "open the address again and accept" in page.text
    assert process.returncode == 3
    waited = json.loads(out)["waited"]
    assert (waited["consented"], waited["error"]) == (False, "access_denied")
    assert waited["fix"]
    assert not [row for row in two.customer.state()["servicePrincipals"] if row["appId"] == two.app["appId"]]


def test_who_is_no_administrator_cannot_consent(two: Two) -> None:
    """A person without a role is refused by the tenant (AADSTS90094), and the fix names who can."""
    process, url = _waiting(two)
    two.administrator(upn="support@contoso.com").visit(url)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "Administrator of that tenant must" in json.loads(out)["waited"]["fix"]


def test_time_runs_out(two: Two) -> None:
    """Nobody comes: exit code 3 after --timeout, and what is missing."""
    done = two.run(str(two.customer.playbook), "--wait", "--timeout", "1s", "--format", "json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["waited"]["missing"] == sorted(ROLES)


@pytest.mark.parametrize(("app", "says"), [
    ("{registered_in: isv.com, key: a, name: A, credential: {type: secret, save_to: a.env}}", "needs `id`"),
    (f"{{id: {APP}, registered_in: isv.com, credential: {{type: secret, valid_for: 1d, save_to: a.env}}}}", "`valid_for` says nothing"),
    (f"{{id: {APP}, registered_in: isv.com, audience: multi-tenant, credential: {{type: secret, save_to: a.env}}}}", "cannot stand beside"),
    ("{key: a, name: A, audience: everyone, credential: {type: secret, valid_for: 1d, save_to: a.env}}", "is no audience"),
])  # fmt: skip
def test_faults_of_the_playbook(app: str, says: str, tmp_path: Path) -> None:
    """What cannot stand together is said at its line."""
    from exosp import playbook

    text = f"exosp: 1\ntenant: contoso.onmicrosoft.com\napp: {app}\nmailboxes: [a@b.com]\n"
    with pytest.raises(PlaybookError) as caught:
        playbook.parse(text, tmp_path / "p.yaml", {})
    assert any(says in fault.what for fault in caught.value.faults)
