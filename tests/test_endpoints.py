"""The three kinds of management host that the client tells apart, and how it connects on each: on an embedded tenant."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from console import Console
from desk import Desk
from exosp.diagnosis.naming import named
from exosp.errors import CloudError, Forbidden, Missing, Unreachable, UsageError
from exosp.exchange import OURS, Cmdlet, Item, Online, Rows
from exosp.exchange.cmdlets import READS
from exosp.exchange.errors import Record
from exosp.exchange.sessions import Came, HostCertificate, Sessions, Tenancy
from exosp.exchange.winrm import Timeouts, Winrm, target
from exosp.tenant import Failed

GET = Cmdlet("Get-TransportConfig")
DOMAIN = "contoso.onmicrosoft.com"
JEA, READY, AUDIT, RAW = "Exosp.JEA", "Exosp.Ready", "Exosp.Audit", "ExchangeManagement"


@dataclass
class Token:
    token: str
    expires_on: float = 9e9


class Place:
    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.connects = 0
        self.minted = ""

    def connect(self) -> tuple[Token, str]:
        self.connects += 1
        tenant = self.desk.running.sandbox.tenant
        principal = tenant.directory.principal(tenant.admin_app_id)
        assert principal is not None
        claims = {"aud": "https://outlook.office365.com", "oid": principal.id, "roles": ["Exchange.ManageAsApp"]}
        self.minted = tenant.signer.mint(claims | {"appid": tenant.admin_app_id})
        return Token(self.minted), DOMAIN

    def remoting(self, more: str = "", **changes: Any) -> Winrm:
        environment = self.desk.running.environment()
        where = target(environment["EXOSP_REMOTING"] + more, environment, ca=self.desk.running.sandbox.ca_path)
        return Winrm(where, changes.pop("connect", self.connect), timeouts=Timeouts(connect=5), **changes)

    def asked(self) -> list[str]:
        return list(self.desk.requests()["remoting"])


@pytest.fixture
def place(desk: Desk) -> Place:
    return Place(desk)


# Which of the three it is


@pytest.mark.parametrize(
    ("configuration", "asked", "connects"),
    [
        ("Microsoft.PowerShell", ["Connect-ExchangeOnline", "Get-TransportConfig", "Disconnect-ExchangeOnline"], 1),
        ("PowerShell.7", ["Connect-ExchangeOnline", "Get-TransportConfig", "Disconnect-ExchangeOnline"], 1),
        (RAW, ["Get-Command", "Connect-ExchangeOnline", "Get-TransportConfig", "Disconnect-ExchangeOnline"], 1),
        (JEA, ["Get-Command", "Connect-Exosp", "Get-TransportConfig", "Disconnect-Exosp"], 1),
        (READY, ["Get-Command", "Get-TransportConfig"], 0),
        (AUDIT, ["Get-Command", "Connect-Exosp", "Get-TransportConfig", "Disconnect-Exosp"], 1),
    ],
)
def test_each_kind_of_host_is_connected_its_way(place, configuration, asked, connects):
    """A plain host is connected by the module, a constrained one by its own Connect-Exosp, a connected one not at all; and
    only what somebody has prepared is asked what it offers. No token is minted where none is needed."""
    with place.remoting(f"&configuration={configuration}") as remoting:
        assert isinstance(next(remoting.run(GET)), Rows)
    assert place.asked() == asked
    assert place.connects == connects


@pytest.mark.parametrize("configuration", ["Microsoft.PowerShell", JEA])
def test_a_constrained_host_gets_the_token_encrypted(place, monkeypatch, configuration):
    """Within TLS, a constrained host's token is encrypted with the session's key; a plain host's is not."""
    bodies: list[bytes] = []
    send = requests.Session.send

    def watched(self: requests.Session, request: requests.PreparedRequest, **rest: Any) -> requests.Response:
        bodies.append(request.body if isinstance(request.body, bytes) else str(request.body).encode())
        return send(self, request, **rest)

    monkeypatch.setattr(requests.Session, "send", watched)
    with place.remoting(f"&configuration={configuration}") as remoting:
        assert isinstance(next(remoting.run(GET)), Rows)
    packed = [base64.b64decode(found) for body in bodies for found in re.findall(rb">([A-Za-z0-9+/=]{40,})<", body)]
    # In pieces, since a fragment may end within it.
    pieces = [place.minted[at : at + 60].encode() for at in range(0, len(place.minted) - 60, 60)]
    shown = any(piece in text for text in (*bodies, *packed) for piece in pieces)
    assert shown is (configuration != JEA)


def test_the_chain_over_a_constrained_host(desk, place):
    """plan, apply, verify, plan again, where only wrappers are visible: applied, proved, and nothing left."""
    way = {"EXOSP_REMOTING": f"{desk.running.environment()['EXOSP_REMOTING']}&configuration={JEA}"}
    assert not desk.apply(**way).failed
    assert desk.verify(negative=("private@contoso.com",)).proven
    assert desk.look()[1].changes == ()
    assert desk.requests()["remoting"]["Connect-Exosp"] >= 1


@pytest.mark.parametrize("configuration", ["Microsoft.PowerShell", JEA, AUDIT, READY])
def test_what_the_callers_roles_hold(place, configuration):
    """A constrained endpoint shows its functions to everybody: what they can do is as little as on a plain host."""
    tenant = place.desk.running.sandbox.tenant
    principal = tenant.directory.principal(tenant.admin_app_id)
    assert principal is not None
    tenant.directory.directory_roles[principal.id] = {"Helpdesk Administrator"}
    with place.remoting(f"&configuration={configuration}", commands=READS) as remoting:
        held, covered = Online(remoting, commands=READS).commands()
    assert {"Get-Mailbox", "Get-MailboxPermission", "Get-User"} <= held
    assert not held & {"Get-ServicePrincipal", "Get-TransportConfig", "Search-UnifiedAuditLog"}
    assert covered == set(READS)


def test_nothing_is_written_over_an_auditors_host(desk, place):
    """apply stops before its first write, Entra's included, and names what the endpoint does not offer."""
    address = f"{desk.running.environment()['EXOSP_REMOTING']}&configuration={AUDIT}"
    ran = Console(desk.folder, desk.running.environment() | {"EXOSP_REMOTING": address}).here(
        "apply", "playbook.yaml", "--yes"
    )
    assert ran.code == 1
    assert "nothing was written" in ran.err
    for name in ("Add-MailboxPermission", "New-ServicePrincipal", "Set-CASMailbox"):
        assert name in ran.err
    assert not [name for name in desk.requests()["graph"] if name.startswith(("PATCH", "PUT", "DELETE"))]
    assert desk.state()["exchange"]["servicePrincipals"] == []


# The host's certificate


def test_the_hosts_certificate_connects_without_a_token(desk, place):
    """app= and thumbprint= in the address: the host connects with its own certificate, and no token is minted."""
    tenant = desk.running.sandbox.tenant
    more = f"&app={tenant.admin_app_id}&thumbprint={tenant.host_thumbprint.lower()}"
    with place.remoting(more, organization=DOMAIN) as remoting:
        assert isinstance(next(remoting.run(GET)), Rows)
        desk.running.advance(5 * 3600)
        assert isinstance(next(remoting.run(GET)), Rows)  # the module renews its token itself
    assert place.connects == 0


def test_a_certificate_that_is_not_there(desk, place):
    """The host has no such certificate: said so, with where to look."""
    more = f"&app={desk.running.sandbox.tenant.admin_app_id}&thumbprint={'0' * 40}"
    with place.remoting(more, organization=DOMAIN) as remoting:
        [answer] = remoting.run(GET)
    assert isinstance(answer, Failed)
    why = named(answer.error)
    assert why is not None
    assert "Cert:" in why.fix


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("&app=11111111-1111-1111-1111-111111111111", "go together"),
        (f"&thumbprint={'A' * 40}", "go together"),
        (f"&app=nobody&thumbprint={'A' * 40}", "no client id"),
        ("&app=11111111-1111-1111-1111-111111111111&thumbprint=abc", "40 hexadecimal"),
    ],
)
def test_a_wrong_certificate_in_the_address(place, more, says):
    """Half a pair, or what is none, is refused before anything is opened."""
    with pytest.raises(UsageError) as caught:
        place.remoting(more)
    assert says in caught.value.what
    assert caught.value.where == "EXOSP_REMOTING"


# What hosts lack


@pytest.mark.parametrize("configuration", ["Microsoft.PowerShell", JEA])
@pytest.mark.parametrize(
    ("module", "says", "hint"),
    [("", "Connect-ExchangeOnline", "Install-Module"), ("2.0.5", "too old", "Update-Module")],
)
def test_the_module_is_missing_or_too_old(desk, place, configuration, module, says, hint):
    """Each is a Missing that says so, on a plain host and behind wrappers, with the line that helps."""
    desk.running.reset(module=module)
    try:
        with place.remoting(f"&configuration={configuration}") as remoting:
            [answer] = remoting.run(GET)
    finally:
        desk.running.reset(module="3.9.2")
    assert isinstance(answer, Failed)
    assert isinstance(answer.error, Missing)
    assert says in answer.error.what
    assert hint in answer.error.hint


# Without a host: what is sent, and what comes of what hosts say


class Told:
    """A channel that remembers what it was told, and answers from a script."""

    usable = True

    def __init__(self, *answers: Came) -> None:
        self.told: list[Cmdlet] = []
        self._answers = iter(answers)

    def pipeline(self, cmdlet: Cmdlet, sends: Sequence[str]) -> Came:
        self.told.append(cmdlet)
        return next(self._answers, Came())

    def close(self) -> None:
        pass


def sessions(channel: Told, tenancy: Any = DOMAIN, **changes: Any) -> Sessions:
    usual = {"where": "host:5986", "environment": "O365Default", "now": lambda: 0.0, "lacks": "install it"}
    return Sessions(lambda: channel, lambda: (Token("eyJ0.secret", 3600), tenancy), **(usual | changes))


@pytest.mark.parametrize(
    ("tenancy", "sent"),
    [
        (DOMAIN, {"Organization": DOMAIN}),
        (Tenancy(DOMAIN), {"Organization": DOMAIN}),
        (Tenancy(DOMAIN, user="a@b.c"), {"UserPrincipalName": "a@b.c"}),
        (
            Tenancy(DOMAIN, user="a@b.c", delegated=True),
            {"DelegatedOrganization": DOMAIN, "UserPrincipalName": "a@b.c"},
        ),
        (Tenancy(DOMAIN, delegated=True), {"DelegatedOrganization": DOMAIN}),
    ],
)
def test_what_goes_with_the_token(tenancy, sent):
    """An application's organization, a person's name, a partner's customer: each as the module wants it; and only our
    cmdlets are asked for, with no banner and no format files."""
    channel = Told()
    list(sessions(channel, tenancy).run(GET))
    connect = channel.told[0]
    assert connect.parameters == {
        "AccessToken": "eyJ0.secret", "CommandName": OURS, "ShowBanner": False, "SkipLoadingFormatData": True, **sent
    }  # fmt: skip
    assert "eyJ0" not in f"{connect} {connect!r}"


def test_a_cloud_of_its_own_is_named():
    """-ExchangeEnvironmentName goes where the cloud is not the default, by certificate too."""
    for changes in ({}, {"certificate": HostCertificate("app", "T" * 40, DOMAIN)}):
        channel = Told()
        list(sessions(channel, environment="O365China", **changes).run(GET))
        assert channel.told[0].parameters["ExchangeEnvironmentName"] == "O365China"
        assert ("AccessToken" in channel.told[0].parameters) is not bool(changes)


CAUSES = {
    "Keyset does not exist": ("key-unreadable", "Manage Private Keys"),
    "Invalid provider type specified.": ("key-cng", "CSP"),
    "The certificate with thumbprint AB could not be found": ("key-unreadable", "Cert:"),
    "The syntax is not supported by this runspace. This can occur if the runspace is in no-language mode.": (
        "no-language",
        "wrapper",
    ),
    "Could not load file or assembly 'System.IdentityModel.Tokens.Jwt, Version=6.22.1.0'": ("module-clash", "only"),
    "The term 'Update-ModuleManifest' is not recognized as the name of a cmdlet": ("module-missing", "PowerShellGet"),
}


@pytest.mark.parametrize("text", CAUSES)
def test_what_a_host_says_while_it_connects(text):
    """Each known complaint of a host has what helps against it; nothing of ours was sent."""
    channel = Told(Came(records=[Record(text, terminating=True)]))
    [answer] = sessions(channel).run(GET)
    assert isinstance(answer, Failed)
    why = named(answer.error)
    assert why is not None
    assert why.key == CAUSES[text][0]
    assert CAUSES[text][1] in why.fix
    assert [cmdlet.name for cmdlet in channel.told] == ["Connect-ExchangeOnline"]


def names(*shown: str) -> Came:
    return Came(rows=[{"Name": name} for name in shown])


@pytest.mark.parametrize(
    ("came", "then"),
    [
        (names("Connect-Exosp", "Get-ServicePrincipal"), "Connect-Exosp"),
        (names("Get-ServicePrincipal", "Connect-ExchangeOnline"), "Get-TransportConfig"),
        (names("connect-exchangeonline"), "Connect-ExchangeOnline"),
        (Came(records=[Record("The term 'Get-Command' is not recognized", "CommandNotFoundException", terminating=True)]), "Connect-ExchangeOnline"),
    ],
)  # fmt: skip
def test_what_is_offered_decides(came, then):
    """Wrappers with Connect-Exosp, cmdlets that are there, the module alone, or an endpoint that cannot be asked."""
    channel = Told(came)
    list(sessions(channel, asks=True).run(GET))
    assert channel.told[1].name == then


def test_an_endpoint_that_refuses_to_say():
    """What ends Get-Command with an error of its own is told as that error."""
    came = Came(records=[Record("Access is denied.", "UnauthorizedAccessException", terminating=True)])
    [answer] = sessions(Told(came), asks=True).run(GET)
    assert isinstance(answer, Failed)
    assert isinstance(answer.error, Forbidden)
    assert "denied" in answer.error.what


def test_an_endpoint_that_offers_nothing():
    """Neither the cmdlets nor a way to connect: said so, and no token is minted."""
    [answer] = sessions(Told(names()), asks=True, certificate=None).run(GET)
    assert isinstance(answer, Failed)
    assert isinstance(answer.error, Missing)
    assert "offers neither" in answer.error.what


@pytest.mark.parametrize(
    "error", [Unreachable("gone", may_have_happened=True, service="remoting"), Forbidden("no", service="remoting")]
)
def test_a_channel_that_breaks_while_asking(error: CloudError):
    """What breaks before a session is connected is every item's answer, and nothing of ours was done."""
    answers = list(
        sessions(Told(Came(broken=error)), asks=True).run(
            Cmdlet("Get-Mailbox", {}, over="Identity"), [Item("a", frozenset())] * 2
        )
    )
    assert [type(answer) for answer in answers] == [Failed, Failed]
    assert not getattr(answers[0].error, "may_have_happened", False)
