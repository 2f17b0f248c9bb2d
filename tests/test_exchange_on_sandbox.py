"""The Exchange port over each remoting that reaches the embedded tenant by itself: real TLS, WSMan and PSRP, or the admin
API, and the vendor's cmdlets."""

import contextlib
import json
import ssl
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exosp import tenant
from exosp.clouds import Cloud, read_file
from exosp.errors import Forbidden, Missing, NotYetVisible, Unreachable, UsageError
from exosp.exchange import Cmdlet, Item, Online, Remoting, Rows
from exosp.exchange.admin_api import AdminApi
from exosp.exchange.remotings import Opened, choose
from exosp.exchange.spreading import Pieces
from exosp.exchange.winrm import Timeouts, Winrm, target
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options
from exosp.snapshot import Address, Application, EnterpriseApplication, Mailbox, NoMailbox, Snapshot
from exosp.writes import (
    APP_ID,
    ENTRY,
    PRINCIPAL,
    AddMailboxPermission,
    AddRecipientPermission,
    NewServicePrincipal,
    SetClientAccess,
)

pytestmark = pytest.mark.slow  # whole lives of a tenant, or a host that keeps one waiting


SUPPORT, SALES = Address("support@contoso.com"), Address("sales@contoso.com")


@dataclass(frozen=True)
class Token:
    token: str
    expires_on: float


class Place:
    """A running tenant, and what an administrator can do on it with plain HTTP."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.environment = running.environment()
        self.cloud: Cloud = read_file(Path(self.environment["EXOSP_CLOUD"]), any_host=False)
        self._tls = ssl.create_default_context(cafile=str(self.cloud.ca))
        self.connects = 0

    def reset(self, **options: Any) -> None:
        self.running.reset(**({"seed": 1, "faults": "none", "mailboxes": 0, "service_principals": 0} | options))
        self.environment = self.running.environment()
        self.connects = 0

    def token(self, scope: str) -> tuple[str, float]:
        body = urllib.parse.urlencode(
            {
                "grant_type": "client_credentials",
                "client_id": self.environment["AZURE_CLIENT_ID"],
                "client_secret": self.environment["AZURE_CLIENT_SECRET"],
                "scope": scope,
            }
        ).encode()
        address = f"{self.cloud.login}/{self.environment['AZURE_TENANT_ID']}/oauth2/v2.0/token"
        with urllib.request.urlopen(address, body, timeout=10, context=self._tls) as reply:
            found = json.load(reply)
        return found["access_token"], time.time() + found["expires_in"]

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        head = {
            "Authorization": f"Bearer {self.token(self.cloud.graph_scope)[0]}",
            "Content-Type": "application/json",
        }
        request = urllib.request.Request(f"{self.cloud.graph}/v1.0{path}", json.dumps(body).encode(), head)
        with urllib.request.urlopen(request, timeout=10, context=self._tls) as reply:
            found: dict[str, Any] = json.load(reply)
            return found

    def get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(self.environment["EXOSP_SANDBOX"] + path, timeout=10) as reply:
            found: dict[str, Any] = json.load(reply)
            return found

    def set(self, **faults: float) -> None:
        body = json.dumps({name.replace("_", "-"): value for name, value in faults.items()}).encode()
        request = urllib.request.Request(
            self.environment["EXOSP_SANDBOX"] + "/faults", body, {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=10).close()

    def connect(self) -> tuple[Token, str]:
        self.connects += 1
        return Token(*self.token(self.cloud.exchange_scope)), "contoso.onmicrosoft.com"

    def remoting(self, url: str = "", **changes: Any) -> Winrm:
        where = target(url or self.environment["EXOSP_REMOTING"], self.environment, ca=self.cloud.ca)
        return Winrm(where, changes.pop("connect", self.connect), timeouts=Timeouts(connect=5), **changes)

    def by(self, name: str, **changes: Any) -> Opened:
        """A remoting by its name in the table."""
        if name == "winrm":
            return self.remoting(**changes)
        assert name == "admin-api"
        return AdminApi(self.cloud, changes.pop("connect", self.connect), **changes)

    def application(self) -> Snapshot:
        """A registered application with its enterprise application, not known to Exchange."""
        app = self.post("/applications", {"displayName": "Desk"})
        principal = self.post("/servicePrincipals", {"appId": app["appId"]})
        return Snapshot(
            application=Application(app["id"], app["appId"], "Desk", "exosp-desk", "AzureADMyOrg"),
            principal=EnterpriseApplication(principal["id"], app["appId"], "Desk"),
        )


@pytest.fixture(scope="module")
def _running() -> Iterator[Running]:
    with Running(Options(faults="none")) as running:
        yield running


@pytest.fixture
def place(_running: Running) -> Place:
    found = Place(_running)
    found.reset()
    return found


@pytest.fixture(params=["winrm", "admin-api"])
def way(request: pytest.FixtureRequest) -> str:
    """A remoting's name."""
    return str(request.param)


@pytest.fixture
def remoting(place: Place, way: str) -> Iterator[Remoting]:
    opened = place.by(way)
    yield opened
    opened.close()


@pytest.fixture
def winrm(place: Place) -> Iterator[Winrm]:
    with place.remoting() as opened:
        yield opened


def choose_pieces(way: str) -> Pieces:
    """How the table has its items carried."""
    return choose("winrm://" if way == "winrm" else way).pieces


def send(online: Online, seen: Snapshot, *writes: Any) -> tuple[Snapshot, list[Any]]:
    answers = [answer for _, answer in online.send(writes, seen)]
    for answer in answers:
        if isinstance(answer, tenant.Done) and answer.seen is not None:
            seen = seen.observing(answer.seen)
    return seen, answers


@pytest.mark.parametrize("form", [0, 1, 2])
def test_the_whole_chain(place, way, remoting, form):
    """Resolve, register, grant, switch and read back: what was written is seen, whatever form the row's User has."""
    seen = place.application()
    place.set(permission_user=form)
    online = Online(remoting)
    assert seen.application is not None
    assert online.entries(seen.application.app_id) == ()
    seen = Snapshot(
        application=seen.application, principal=seen.principal, mailboxes=online.mailboxes([SUPPORT, SALES])
    )
    boxes = seen.found([SUPPORT, SALES])
    assert [box.address for box in boxes] == [SUPPORT, SALES]

    seen, answers = send(online, seen, NewServicePrincipal(APP_ID, PRINCIPAL, "Desk"))
    assert [type(answer) for answer in answers] == [tenant.Done]
    assert seen.entry is not None
    seen, answers = send(online, seen, *(AddMailboxPermission(box.id, box.address, ENTRY) for box in boxes))
    assert [type(answer) for answer in answers] == [tenant.Done] * 2
    by_app, by_mailbox = (AddRecipientPermission(boxes[1].id, SALES, who) for who in (ENTRY, boxes[0].id))
    seen, answers = send(online, seen, by_app, by_mailbox)
    assert [type(answer) for answer in answers] == [tenant.Done] * 2
    switch = SetClientAccess(boxes[1].id, SALES, imap=False, smtp_auth_disabled=False)
    seen, answers = send(online, seen, switch)
    assert answers == [tenant.Done()]

    (entry,) = online.entries(seen.application.app_id)  # type: ignore[union-attr]  # asserted above
    ours = [row for row in online.permissions(boxes) if row.user in entry.forms]
    assert {(row.mailbox, tuple(row.rights), row.deny) for row in ours} == {
        (box.id, ("FullAccess",), False) for box in boxes
    }
    trustees = {row.trustee for row in online.recipient_permissions([boxes[1]])}
    assert trustees & entry.forms
    assert trustees & (boxes[0].forms | boxes[0].addresses)
    access = online.client_access(boxes)
    assert (access[boxes[0].id].imap, access[boxes[1].id].imap) == (True, False)
    assert access[boxes[1].id].smtp_auth_disabled is False
    assert isinstance(online.transport().smtp_auth_disabled, bool)
    assert online.requests <= 12 + (2 if form else 0)
    assert place.connects == 1
    counted = place.get("/requests")
    assert bool(counted["remoting"]) == (way == "winrm")
    assert bool(counted["admin-api"]) == (way == "admin-api")


def test_writing_twice_is_done_twice(place, remoting):
    """A grant that stands already is a warning and no row, and Done; a second registration is refused as a Conflict."""
    seen = place.application()
    online = Online(remoting)
    seen = Snapshot(
        application=seen.application, principal=seen.principal, mailboxes=online.mailboxes([SUPPORT, SALES])
    )
    boxes = seen.found([SUPPORT, SALES])
    register = NewServicePrincipal(APP_ID, PRINCIPAL, "Desk")
    seen, _ = send(online, seen, register)
    grants = [AddMailboxPermission(box.id, box.address, ENTRY) for box in boxes]
    seen, _ = send(online, seen, grants[0])
    seen, answers = send(online, seen, *grants)
    assert [type(answer) for answer in answers] == [tenant.Done] * 2
    seen, answers = send(online, seen, register)
    assert type(answers[0].error).__name__ == "Conflict"


def test_registering_too_early(place, remoting):
    """An enterprise application that Exchange does not know yet is NotYetVisible, and later it is there."""
    place.set(exchange_sync_lag=60)
    seen = place.application()
    online = Online(remoting)
    seen, answers = send(online, seen, NewServicePrincipal(APP_ID, PRINCIPAL, "Desk"))
    assert isinstance(answers[0], tenant.Failed)
    assert isinstance(answers[0].error, NotYetVisible)
    place.running.advance(120)
    seen, answers = send(online, seen, NewServicePrincipal(APP_ID, PRINCIPAL, "Desk"))
    assert [type(answer) for answer in answers] == [tenant.Done]


@pytest.mark.parametrize("unknown", [0, 1])
def test_unknown_addresses_among_many(place, way, unknown):
    """Among many mailboxes, addresses nobody has are absent and the others found, whichever way Get-* answers them; by
    several threads, in pages of three."""
    place.reset(mailboxes=150)
    place.set(unknown_identity=unknown, admin_api_page=3)
    opened = place.by(way)
    with contextlib.closing(opened), contextlib.closing(Online(opened, choose_pieces(way))) as online:
        rows = opened.run(Cmdlet("Get-Mailbox", {"ResultSize": "Unlimited"}))
        (everything,) = rows
        assert isinstance(everything, Rows)
        addresses = [Address(str(row["PrimarySmtpAddress"])) for row in everything.rows]
        wanted = [*addresses[:120], Address("nobody@contoso.com"), Address("someone@contoso.com")]
        found = online.mailboxes(wanted)
        assert [type(found[address]) for address in wanted] == [Mailbox] * 120 + [NoMailbox] * 2
        boxes = [box for box in found.values() if isinstance(box, Mailbox)]
        assert {row.mailbox for row in online.permissions(boxes)} == {box.id for box in boxes}
        assert set(online.client_access(boxes)) == {box.id for box in boxes}


def test_every_item_has_its_own_error(place, remoting):
    """Unknown mailboxes among known ones: each refusal is the unknown one's, and the grants of the others take place."""
    seen = place.application()
    online = Online(remoting)
    seen = Snapshot(
        application=seen.application, principal=seen.principal, mailboxes=online.mailboxes([SUPPORT, SALES])
    )
    boxes = seen.found([SUPPORT, SALES])
    seen, _ = send(online, seen, NewServicePrincipal(APP_ID, PRINCIPAL, "Desk"))
    missing = "00000000-0000-4000-8000-00000000dead"
    cmdlet = Cmdlet(
        "Add-MailboxPermission",
        {"User": str(seen.principal.object_id), "AccessRights": ("FullAccess",), "AutoMapping": False},  # type: ignore[union-attr]
        over="Identity",
    )
    items = [Item(boxes[0].id, boxes[0].forms), Item(missing, frozenset()), Item(boxes[1].id, boxes[1].forms)]
    one, two, three = remoting.run(cmdlet, items)
    assert isinstance(one, Rows)
    assert isinstance(two, tenant.Failed)
    assert isinstance(two.error, Missing)
    assert isinstance(three, Rows)


# The session


def test_wrong_password_mints_no_token(place):
    """A host that does not admit us is Forbidden, and no token was asked for."""
    place.environment = place.environment | {"EXOSP_REMOTING_PASSWORD": "wrong"}
    with place.remoting() as opened:
        (answer,) = opened.run(Cmdlet("Get-TransportConfig"))
    assert isinstance(answer, tenant.Failed)
    assert isinstance(answer.error, Forbidden)
    assert "EXOSP_REMOTING_USER" in answer.error.hint
    assert place.connects == 0


def test_unknown_configuration(place):
    """A session configuration that does not exist is named."""
    with place.remoting(place.environment["EXOSP_REMOTING"] + "&configuration=No.Such") as opened:
        (answer,) = opened.run(Cmdlet("Get-TransportConfig"))
    assert isinstance(answer, tenant.Failed)
    assert isinstance(answer.error, Missing)
    assert "No.Such" in answer.error.what
    assert place.connects == 0


def test_a_token_exchange_does_not_take(place, way):
    """A refused token is an error of connecting, without the token in it; nothing was sent after it."""

    def connect() -> tuple[Token, str]:
        return Token(place.token(place.cloud.graph_scope)[0], time.time() + 3600), "contoso.onmicrosoft.com"

    with contextlib.closing(place.by(way, connect=connect)) as opened:
        (answer,) = opened.run(Cmdlet("Get-TransportConfig"))
    assert isinstance(answer, tenant.Failed)
    assert isinstance(answer.error, Forbidden)
    assert "eyJ" not in f"{answer.error} {answer.error.where} {answer.error.hint}"
    assert "Get-TransportConfig" not in str(place.get("/requests"))


def test_what_a_token_fails_with_is_each_answer(place, way):
    """A CloudError of signing in is the answer, with nothing sent; a UsageError is raised."""

    def unreachable() -> tuple[Token, str]:
        raise Unreachable("no token endpoint", may_have_happened=True, service="token")

    def wrong() -> tuple[Token, str]:
        raise UsageError("no such tenant")

    with contextlib.closing(place.by(way, connect=unreachable)) as opened:
        answers = list(opened.run(Cmdlet("Get-Mailbox", {}, over="Identity"), [Item("a", frozenset())] * 2))
    assert [a.error.may_have_happened for a in answers] == [False, False]  # type: ignore[union-attr]
    with contextlib.closing(place.by(way, connect=wrong)) as opened, pytest.raises(UsageError):
        list(opened.run(Cmdlet("Get-TransportConfig")))


def test_a_vanished_session_is_opened_again(place, winrm):
    """A shell that is gone: the cmdlet on its way did not run and says so; the next run opens and connects anew."""
    (first,) = winrm.run(Cmdlet("Get-TransportConfig"))
    assert isinstance(first, Rows)
    winrm._mine.session.channel._pool.shell.close()  # as a host that reaps idle shells does
    (gone,) = winrm.run(Cmdlet("Get-TransportConfig"))
    assert isinstance(gone, tenant.Failed)
    assert isinstance(gone.error, Unreachable)
    assert (gone.error.may_have_happened, gone.error.transient) == (False, True)
    (again,) = winrm.run(Cmdlet("Get-TransportConfig"))
    assert isinstance(again, Rows)
    assert place.connects == 2


def test_a_token_near_its_end_is_renewed_before_the_next_pipeline(place, way):
    """Once a token's lifetime is nearly over, the next run opens a new session with a fresh one, and none before."""
    clock = [time.time()]
    with contextlib.closing(place.by(way, now=lambda: clock[0])) as opened:
        for _ in range(3):
            (answer,) = opened.run(Cmdlet("Get-TransportConfig"))
            assert isinstance(answer, Rows)
        assert place.connects == 1
        clock[0] += 2 * 3600
        (answer,) = opened.run(Cmdlet("Get-TransportConfig"))
        assert isinstance(answer, Rows)
    assert place.connects == 2


def test_a_token_that_ran_out_is_renewed_by_the_next_run(place, remoting):
    """Where Exchange says first that the token has run out, nothing happened, and the next run signs in again."""
    (first,) = remoting.run(Cmdlet("Get-TransportConfig"))
    assert isinstance(first, Rows)
    place.running.advance(48 * 3600)
    (late,) = remoting.run(Cmdlet("Get-TransportConfig"))
    assert isinstance(late, tenant.Failed)
    assert isinstance(late.error, Unreachable)
    assert not late.error.may_have_happened
    (again,) = remoting.run(Cmdlet("Get-TransportConfig"))
    assert isinstance(again, Rows)


def test_closing_disconnects_and_may_be_repeated(place):
    """close() disconnects each session once, and closing again does nothing."""
    opened = place.remoting()
    list(opened.run(Cmdlet("Get-TransportConfig")))
    opened.close()
    opened.close()
    assert "Disconnect-ExchangeOnline" in str(place.get("/requests"))
    (again,) = opened.run(Cmdlet("Get-TransportConfig"))
    assert isinstance(again, Rows)
    opened.close()


def test_threads_have_sessions_of_their_own(place):
    """Four threads at once: each has its own session, every answer is right, and closing closes all."""
    from concurrent.futures import ThreadPoolExecutor

    with place.remoting() as opened:
        (everything,) = opened.run(Cmdlet("Get-Mailbox", {"ResultSize": "Unlimited"}))
        assert isinstance(everything, Rows)

        def many(_: int) -> list[str]:
            online = Online(opened)
            return [str(online.mailboxes([SUPPORT, SALES])) for _ in range(5)]

        with ThreadPoolExecutor(4) as pool:
            found = [text for texts in pool.map(many, range(4)) for text in texts]
        assert len(found) == 20
        assert all(SUPPORT in text and "NoMailbox" not in text for text in found)
        sessions = len(opened._all)
    assert 2 <= sessions <= 5
    assert place.connects == sessions
