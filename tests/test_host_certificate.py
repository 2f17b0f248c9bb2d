"""A management host that connects to Exchange with a certificate of its own: named in the playbook or in EXOSP_REMOTING, and no
token for Exchange is asked for then."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from console import Console
from desk import Desk
from exosp import playbook
from exosp.cli.wiring import _remoting
from exosp.errors import PlaybookError
from exosp.sending import Applied
from exosp.signin import Admin

APP, PRINT = "11111111-2222-3333-4444-555555555555", "0123456789abcdef0123456789ABCDEF01234567"


def with_exchange(desk: Desk, text: str) -> str:
    whole = desk.playbook.read_text(encoding="utf-8")
    return whole[: whole.index("exchange:")] + f"exchange: {text}\n"


def read(desk: Desk, text: str) -> playbook.Playbook:
    desk.write(with_exchange(desk, text))
    return playbook.read(desk.playbook, {}, allow_outside=False)


def test_the_playbook_names_it(desk: Desk):
    """app and thumbprint beside the host, in the form that the address has them."""
    want = read(desk, f"{{host: mgmt.contoso.com, auth: kerberos, app: {APP}, thumbprint: '{PRINT}'}}")
    address = _remoting(want, {})
    assert dict(parse_qsl(urlsplit(address).query)) == {"auth": "kerberos", "app": APP, "thumbprint": PRINT.upper()}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{{host: a, app: {APP}}}", "`exchange.app` goes with `thumbprint`"),
        (f"{{host: a, thumbprint: '{PRINT}'}}", "`exchange.thumbprint` goes with `app`"),
        (f"{{host: a, app: {APP}, thumbprint: 'AB CD'}}", "40 hexadecimal digits"),
        (f"{{host: a, app: me, thumbprint: '{PRINT}'}}", "`exchange.app`"),
    ],
    ids=["app-alone", "thumbprint-alone", "no-thumbprint", "no-app-id"],
)
def test_half_a_pair_and_what_is_none_are_refused(desk: Desk, text: str, says: str):
    with pytest.raises(PlaybookError) as caught:
        read(desk, text)
    [fault] = caught.value.faults
    assert says in fault.what
    assert fault.line > 1


def test_no_token_for_exchange_is_asked_for(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """preflight, plan and apply: the host connects, and what needs the tenant's id has it from Graph's token."""
    tenant = desk.running.sandbox.tenant
    place = urlsplit(desk.running.environment()["EXOSP_REMOTING"])
    auth = dict(parse_qsl(place.query))["auth"]
    more = f"auth: {auth}, app: {tenant.admin_app_id}, thumbprint: '{tenant.host_thumbprint}'"
    desk.write(with_exchange(desk, f"{{host: localhost, port: {place.port}, path: {place.path}, {more}}}"))

    def asked(admin: Admin) -> None:
        raise AssertionError("a token for Exchange was asked for")

    monkeypatch.setattr(Admin, "exchange_token", asked)
    given = {name: value for name, value in desk.running.environment().items() if name != "EXOSP_REMOTING"}
    console = Console(desk.folder, given)
    ready = console.here("preflight", "playbook.yaml", "--format", "json")
    assert ready.code == 0, ready.err
    assert "own" in ready.document["rights"]["unread"]["exchange"]
    assert not [need for need in ready.document["needs"] if "Exchange.ManageAsApp" in need["right"]]
    planned = console.here("plan", "playbook.yaml")
    assert planned.code == 3, planned.err
    desk.remoting = ""
    result = desk.apply(EXOSP_REMOTING="")
    assert [type(outcome) for _, outcome in result.outcomes] == [Applied] * len(result.plan.changes)
    assert desk.requests()["remoting"]["Connect-ExchangeOnline"] >= 1
