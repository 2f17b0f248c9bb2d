"""What goes wrong while exosp signs in or reaches Exchange has a named cause and its fix, where it happens: in the command's
own words, on the embedded tenant. And what was printed is found by explain."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from console import Console, Ran
from desk import Desk
from exosp.aadsts import FIXES
from exosp.diagnosis import ROWS
from exosp.diagnosis.naming import named
from exosp.errors import CloudError, Throttled, Unreachable
from issuer import Issuer
from loopback import Authority
from test_sign_ins import IMMUTABLE, SUBJECT, federate

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "issuer")


@pytest.fixture(scope="module")
def issuer(authority: Authority) -> Iterator[Issuer]:
    found = Issuer(authority.issue())
    yield found
    found.host.close()


@pytest.fixture
def place(desk: Desk, authority: Authority, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> "Place":
    monkeypatch.setenv(
        "SSL_CERT_FILE", str(authority.path)
    )  # the sandbox trusts the issuer, as Entra trusts public ones
    federate(desk, issuer)
    return Place(desk, issuer, Console(desk.folder, desk.running.environment()))


@dataclass
class Place:
    desk: Desk
    issuer: Issuer
    console: Console

    def run(self, *words: str, **changes: str | None) -> Ran:
        return self.console.here(*words, **changes)

    def by(self, **assertion: Any) -> dict[str, str | None]:
        """Signed in by workload identity, with this assertion."""
        file = self.desk.folder / "assertion"
        file.write_text(self.issuer.sign(assertion.pop("subject", SUBJECT), **assertion))
        return {"AZURE_CLIENT_SECRET": None, "AZURE_FEDERATED_TOKEN_FILE": str(file)}

    def at(self, more: str = "", **options: Any) -> dict[str, str | None]:
        """By the management host, with this in its address; and the tenant made anew with these options."""
        if options:
            self.desk.running.reset(**options)
        return {"EXOSP_REMOTING": self.desk.running.environment()["EXOSP_REMOTING"] + more}

    def knob(self, name: str, value: int, more: str = "") -> dict[str, str | None]:
        self.desk.running.sandbox.tenant.faults.set(name, value)
        return self.at(more) if more else {}

    @property
    def certificate(self) -> str:
        tenant = self.desk.running.sandbox.tenant
        return f"&app={tenant.admin_app_id}&thumbprint={tenant.host_thumbprint}"


# What is made wrong: the cause's name, what its fix says.
CAUSES: dict[str, tuple[Any, str, str]] = {
    "expired assertion": (lambda p: p.by(ago=4000), "assertion-expired", "have a new one made"),
    "clock skew": (lambda p: p.by(ago=-4000), "clock-wrong", "check the clocks"),
    "wrong audience": (lambda p: p.by(aud="https://github.com/contoso"), "federated-audience", "api://AzureADTokenExchange"),
    "GitHub's immutable subject": (lambda p: p.by(subject=IMMUTABLE), "github-immutable-subject", "repo:OWNER@ID/REPOSITORY@ID"),
    "Conditional Access block": (lambda p: p.knob("conditional-access-block", 2), "conditional-access", "sign-in logs"),
    "host without the module": (lambda p: p.at(module=""), "module-missing", "Install-Module ExchangeOnlineManagement"),
    "module too old": (lambda p: p.at(module="2.0.5"), "module-old", "Update-Module ExchangeOnlineManagement"),
    "NoLanguage": (lambda p: p.knob("raw-endpoint", 1, "&configuration=ExchangeManagement"), "no-language", "exosp template host"),
    "CNG certificate": (lambda p: p.knob("host-key", 1, p.certificate), "key-cng", "CSP provider"),
}  # fmt: skip


@pytest.fixture
def _module(desk: Desk) -> Iterator[None]:
    yield
    desk.running.reset(module="3.9.2")


@pytest.mark.usefixtures("_module")
@pytest.mark.parametrize("which", CAUSES)
def test_each_has_a_named_cause_with_its_fix_where_it_happens(place: Place, which: str):
    """plan ends with 1 and says name, words and fix; as a document too; and explain, given what plan printed, finds it."""
    make, key, fix = CAUSES[which]
    changes = make(place)
    ran = place.run("plan", "playbook.yaml", **changes)
    said = " ".join(ran.err.split())
    assert (ran.code, ran.out) == (1, "")
    assert f"= cause: {key}: " in said
    assert fix in said.partition("= help: ")[2]
    fault = place.run("plan", "playbook.yaml", "--format=json", **changes).document["error"]
    assert fault["key"] == key
    assert fix in fault["fix"]
    [row] = [row for row in ROWS if row.id == fault["row"]]
    assert key in {because.key for because in row.because}
    explained = place.run("explain", "--format=json", ran.err)
    assert explained.code == 0
    first = explained.document["answers"][0]
    assert (first["row"], first["cause"]) == (row.id, key), first


@pytest.mark.usefixtures("_module")
@pytest.mark.parametrize("which", CAUSES)
def test_preflight_names_it_beside_what_it_could_not_read(place: Place, which: str):
    """Where nobody is signed in, there is nothing more to say; else it goes on, and cause and fix stand where it could not look.
    Nothing of it is said to be missing, and nothing is advised to grant."""
    make, key, fix = CAUSES[which]
    ran = place.run("preflight", "playbook.yaml", **make(place))
    said = " ".join(ran.all.split())
    assert ran.code == 1
    assert f"cause: {key}: " in said
    assert fix in said
    assert "What to grant" not in said
    assert " NO " not in said


@pytest.mark.parametrize("command", [["apply", "--yes"], ["verify"], ["destroy", "--yes"]], ids=lambda words: words[0])
def test_every_command_names_it(place: Place, command: list[str]):
    """Whatever the command, the same error has the same cause and fix."""
    ran = place.run(command[0], "playbook.yaml", *command[1:], **place.by(ago=4000))
    said = " ".join(ran.err.split())
    assert ran.code == 1
    assert "= cause: assertion-expired: " in said
    assert "have a new one made" in said.partition("= help: ")[2]


def test_one_wording(record_property: Any):
    """What errors of exosp's own sign-in advise, the table advises: but for the codes whose rows speak of the mail
    application's own credential, which apply mends, or of a pasted sign-in of any program."""
    rows = {row.code: row for row in ROWS if row.code}
    other = {code for code, fix in FIXES.items() if code in rows and rows[code].fix != fix}
    assert other <= OF_OTHERS, sorted(other - OF_OTHERS)
    assert set(FIXES) - set(rows) <= {90061}
    record_property("figure", f"one wording: {len(FIXES) - len(other)} of {len(FIXES)} codes")


OF_OTHERS = frozenset({
    7000215, 7000222, 7000216, 7000218, 7000229, 700016, 700027, 50012, 50013, 90002, 900023, 900382, 900432, 90038, 500011, 50001,
    70011, 1002012, 700022, 28000, 53005, 50194, 500113, 90055, 50196, 90006, 90012, 90024, 90033, 90090, 50033,
})  # fmt: skip


def test_what_is_said_already_is_not_named_again():
    """exosp's own words for a host that is silent or busy, and words that the table does not know or that mean many things."""
    assert named(Unreachable("connection refused", may_have_happened=False, service="remoting")) is None
    assert named(Throttled("too many requests", service="graph")) is None
    assert named(CloudError("the dog ate it", service="token", code="AADSTS999999")) is None


def test_the_error_s_own_advice_comes_first():
    """It knows what was asked; without any, the table's fix stands there with what does it by hand."""
    said = CloudError("Keyset does not exist", service="remoting")
    assert (found := named(said)) is not None
    assert "Manage Private Keys" in found.fix
    said.hint = "ask Ann"
    assert (found := named(said)) is not None
    assert found.fix == "ask Ann"


def test_a_write_that_is_refused_names_its_cause_too(desk: Desk):
    """apply goes on with the rest; its line for the write, and the document, have cause and fix."""
    desk.running.sandbox.tenant.faults.set("policy-no-secrets", 1)
    ran = Console(desk.folder, desk.running.environment()).here("apply", "playbook.yaml", "--yes", "--format=json")
    faults = [change["error"] for change in json.loads(ran.out)["changes"] if change.get("outcome") == "failed"]
    assert [fault["key"] for fault in faults] == ["credential-policy"]
    assert "policy" in faults[0]["fix"]
    assert "= cause: credential-policy: " in ran.err
