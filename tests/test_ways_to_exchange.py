"""The choice among remotings, and the whole chain over the admin API on the embedded tenant: its laws and its bad days.
test_chain has more of it; tests/storms/test_every_way has every command by every way, and its crashes."""

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from desk import Desk
from exosp.errors import UsageError
from exosp.exchange.remotings import REMOTINGS, choose, nothing_set
from exosp.exchange.spreading import Pieces
from exosp.playbook import rules
from exosp.sending import Applied, Refused
from runs import state
from storms.shape import differences, normal

pytestmark = pytest.mark.slow  # whole lives of a tenant


# The choice


def test_the_table_and_the_playbook_know_the_same() -> None:
    """Each remoting has one row, and a playbook may name each."""
    assert sorted(row.name for row in REMOTINGS) == sorted(rules.REMOTINGS) == ["admin-api", "pwsh", "winrm"]


def test_an_address_is_for_one_row() -> None:
    """A winrm address, or a name; anything else is refused with the names there are."""
    assert choose("winrm://host/wsman").name == "winrm"
    assert choose("Admin-API").pieces == Pieces(most=10, least=10)
    assert choose("pwsh").name == "pwsh"
    for wrong, says in (
        ("adminapi", "no remoting 'adminapi'"),
        ("", "no remoting ''"),
        ("winrm", "winrm needs a host"),
    ):
        with pytest.raises(UsageError) as fault:
            choose(wrong)
        assert says in fault.value.what
        assert "winrm://HOST" in fault.value.hint


@pytest.mark.parametrize("module", [True, False])
def test_with_nothing_set_it_says_what_there_is_here(module: bool, tmp_path: Path) -> None:
    """Every row, what to write for it, and what can be seen of it: the program in PATH, the module where it is looked for,
    and that Microsoft documents the admin API nowhere."""
    program = tmp_path / "bin" / "pwsh"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 9\n")
    program.chmod(0o755)
    if module:
        (tmp_path / ".local/share/powershell/Modules/ExchangeOnlineManagement/3.9.2").mkdir(parents=True)
    environment = {"PATH": str(program.parent), "HOME": str(tmp_path)}
    error = nothing_set(environment, "playbook.yaml:1:1")
    for row in REMOTINGS:
        assert row.form in error.hint
    assert f"{program}, {'with' if module else 'and no'} ExchangeOnlineManagement" in error.hint
    assert "undocumented by Microsoft" in error.hint
    assert "no pwsh in PATH" in nothing_set({"PATH": str(tmp_path)}, "").hint


@pytest.mark.parametrize(
    ("variable", "playbook", "comes"),
    [
        ("", "{remoting: admin-api}", "AdminApi"),
        ("admin-api", "{remoting: winrm, host: mgmt.contoso.com, auth: kerberos}", "AdminApi"),
        ("", "{remoting: winrm, host: mgmt.contoso.com, auth: kerberos}", "Winrm"),
        ("", "{host: mgmt.contoso.com, auth: kerberos}", "Winrm"),
        ("", "{remoting: pwsh}", "Pwsh"),
        ("", "{remoting: winrm}", "nothing says where"),
        ("", "{remoting: admin-api, host: mgmt.contoso.com}", "host goes with remoting: winrm"),
    ],
)
def test_the_environment_comes_before_the_playbook(desk: Desk, variable: str, playbook: str, comes: str) -> None:
    """And either names a remoting; what fits no remoting is refused."""
    text = desk.playbook.read_text()
    before = text[: text.index("exchange:")] if "exchange:" in text else text + "\n"
    desk.write(f"{before}exchange: {playbook}\n")
    if comes[0].isupper():
        session = desk.session(EXOSP_REMOTING=variable)
        assert type(session.remoting).__name__ == comes
        session._close()
        return
    with pytest.raises(UsageError) as fault:
        desk.session(EXOSP_REMOTING=variable)
    assert comes in fault.value.what
    assert "playbook.yaml" in fault.value.where


def test_many_sessions_take_one_token(desk: Desk) -> None:
    """Eight threads that connect share a token; who connects again has it renewed, once for all who then do."""

    def connect(times: int) -> set[str]:
        found: set[str] = set()
        gate = threading.Barrier(8)

        def one() -> None:
            for _ in range(times):
                token, tenancy = session._connect()
                found.add(token.token)
                gate.wait(10)
                assert tenancy.organization == "contoso.onmicrosoft.com"

        threads = [threading.Thread(target=one) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    session = desk.session()
    assert len(connect(1)) == 1
    assert session.tokens == 1
    assert len(connect(2)) == 2
    assert session.tokens == 2
    session._close()


# The chain over the admin API


@pytest.fixture
def by_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every desk's commands over the admin API."""
    plain = Desk.session
    monkeypatch.setattr(
        Desk, "session", lambda self, **changes: plain(self, **({"EXOSP_REMOTING": "admin-api"} | changes))
    )


@pytest.mark.usefixtures("by_rest")
def test_the_chain(desk: Desk) -> None:
    """plan, apply, verify, plan again: applied, proved by logins, nothing left to do; not one request to a management
    host; and the tenant holds what the same playbook makes of it over winrm."""
    first = desk.look()[1]
    assert first.changes
    result = desk.apply()
    assert [type(outcome) for _, outcome in result.outcomes] == [Applied] * len(first.changes)
    assert desk.verify(negative=("private@contoso.com",)).proven
    before = desk.requests()["admin-api"]
    again = desk.apply()
    assert again.plan.empty
    asked = Counter(desk.requests()["admin-api"]) - Counter(before)
    assert not [name for name in asked if name.partition("-")[0] not in ("Get", "$batch")]
    assert desk.requests()["remoting"] == {}
    mine = normal(state(desk))
    desk.running.reset(seed=1)
    desk.credential.unlink()
    desk.apply(EXOSP_REMOTING=desk.running.environment()["EXOSP_REMOTING"])  # winrm
    assert desk.requests()["admin-api"] == {}
    assert differences(normal(state(desk)), mine) == []


def live(unkind: Callable[..., Desk], seed: int) -> dict[str, int]:
    """One life under default faults, over the admin API: what struck."""
    desk = unkind("default", seed)
    desk.credential.unlink(missing_ok=True)
    result = desk.apply()
    assert [(c.target, o.error.what) for c, o in result.outcomes if isinstance(o, Refused)] == [], seed
    assert result.rest.empty, seed
    desk.running.advance(
        60
    )  # Graph's reads flap for a while after a write: what verify makes of that is not the point here
    assert desk.verify(negative=("private@contoso.com",)).proven, seed
    [app] = desk.applications()
    assert len(app["passwordCredentials"]) == 1, seed
    return dict(desk.running.sandbox.tenant.faults.fired)


@pytest.mark.usefixtures("by_rest")
@pytest.mark.parametrize("seed", [5, 6])
def test_its_bad_days_are_waited_out(unkind: Callable[..., Desk], seed: int) -> None:
    """Throttled whole and by item, answers and single responses lost after the write, small pages: the same end."""
    assert sum(name.startswith("admin-api-") for name in live(unkind, seed)) >= 4


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", ["winrm", "admin-api"])
def test_many_mailboxes_by_many_threads_on_a_bad_day(unkind: Callable[..., Desk], way: str) -> None:
    """Sixty mailboxes under the slow faults, in pieces that go at once: every grant stands, once, and nothing
    is left to do."""
    desk = unkind("slow,grant-lag=0,protocol-switch-lag=0", 2, mailboxes=60)
    desk.deadline = 4 * 3600.0
    text = desk.playbook.read_text()
    boxes = "".join(f"  - box{number:05}@contoso.com\n" for number in range(60))
    desk.write(text[: text.index("mailboxes:")] + "mailboxes:\n" + boxes)
    result = desk.apply(EXOSP_REMOTING=way if way == "admin-api" else desk.running.environment()["EXOSP_REMOTING"])
    assert [(c.target, o.error.what) for c, o in result.outcomes if isinstance(o, Refused)] == []
    assert result.rest.empty
    ours = [row for row in desk.state()["exchange"]["mailboxPermissions"] if "SELF" not in row["User"]]
    assert len(ours) == len({row["Identity"] for row in ours}) == 60
    fired = desk.running.sandbox.tenant.faults.fired
    assert sum(name.startswith("admin-api" if way == "admin-api" else "remoting") for name in fired) >= 5
