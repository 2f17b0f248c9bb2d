"""destroy: all that exosp made goes, nothing else does, and apply makes it anew."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from console import Console, at
from console import state as state_of
from desk import QUICKSTART, Desk
from exosp.errors import CloudError, PlanRefused
from exosp.sandbox import catalog
from exosp.sandbox.directory import Entity
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options
from exosp.sending import Applied, Refused, Skipped
from exosp.snapshot import Holdings
from exosp.tenant import Failed, Tenant, Unknown
from exosp.writes import RemoveMailboxPermission, RemoveRecipientPermission, SetClientAccess
from runs import Port, Runs, entry, grant, granted, mailbox_id, settings, state, switch, with_exchange

pytestmark = pytest.mark.slow  # whole lives of a tenant


WHOLE = QUICKSTART.read_text(encoding="utf-8")
SALES = "  - {address: sales@contoso.com, protocols: [imap]}\n"
SEND_AS = "  - {address: sales@contoso.com, protocols: [imap, smtp], send_as: {from: support@contoso.com, by: BY}}\n"


@pytest.fixture
def runs(desk: Desk, tmp_path: Path) -> Runs:
    return Runs(desk, tmp_path / "journals")


def left(desk: Desk) -> dict[str, Any]:
    """All that is not in the recycle bin."""
    return {name: value for name, value in state(desk).items() if name != "deletedApplications"}


def said(items: Any) -> str:
    return " | ".join(f"{item.step} {item.target}: {item.what}" for item in items)


def ours(desk: Desk) -> Entity:
    held = desk.running.sandbox.tenant.directory.applications.values()
    [app] = [app for app in held if app.properties["uniqueName"] == "exosp-support-desk"]
    return app


# All of it, and nothing else


@pytest.mark.parametrize("mess", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3, 5, 8))])
def test_the_tenant_is_as_before_apply(unkind: Callable[..., Desk], tmp_path: Path, mess: int) -> None:
    """Among others' applications, entries, grants and switches, one of the same display name too: every byte of the
    tenant's state but the recycle bin is as it was, and the credential file is gone. A second destroy has nothing to do,
    and sends nothing."""
    desk = unkind("none", mess=mess, mailboxes=4)
    runs, before = Runs(desk, tmp_path / "journals"), left(desk)
    runs.apply()
    assert left(desk) != before
    assert desk.credential.exists()
    result = runs.destroy()
    assert not result.failed
    assert result.rest.empty
    assert left(desk) == before
    assert not desk.credential.exists()
    assert len(state(desk)["deletedApplications"]) == 1
    whole = state(desk)
    again = runs.destroy()
    assert again.plan.empty
    assert not again.failed
    assert state(desk) == whole


@pytest.mark.parametrize("by", ["app", "mailbox"])
def test_send_as_goes_too(runs: Runs, by: str) -> None:
    """That of the application, and that of one mailbox on another where the journal shows that exosp gave it."""
    before = left(runs.desk)
    runs.desk.write(WHOLE.replace(SALES, SEND_AS.replace("BY", by)))
    runs.apply()
    assert "SendAs" in granted(runs.desk)["support@contoso.com"]
    assert not runs.destroy().failed
    assert left(runs.desk) == before


def test_send_as_of_a_mailbox_that_no_journal_shows_stays(runs: Runs, tmp_path: Path) -> None:
    """Somebody else may have given it."""
    runs.desk.write(WHOLE.replace(SALES, SEND_AS.replace("BY", "mailbox")))
    runs.apply()
    runs.base = tmp_path / "elsewhere"
    assert not runs.destroy().failed
    assert granted(runs.desk) == {"support@contoso.com": {"SendAs"}}


def test_all_that_the_application_was_granted_anywhere_goes(runs: Runs) -> None:
    """Also what others gave it on mailboxes that the playbook does not list; no entry of a trustee who is gone stays."""
    desk = runs.desk
    before = left(desk)
    runs.apply()
    grant(desk, "private@contoso.com", entry(desk), "FullAccess", "ReadPermission")
    grant(desk, "sales@contoso.com", entry(desk), "SendAs")
    result = runs.destroy()
    [change] = [change for change in result.plan.changes if change.step == "exchange"]
    assert len(change.before["grants"]) == 4
    assert left(desk) == before


def test_wrong_entries_of_the_application_go_with_their_grants(unkind: Callable[..., Desk], tmp_path: Path) -> None:
    """Two entries for our appId, one under the wrong object ID: neither stays, nor what they hold."""
    desk = unkind("none,object-id-check=0")
    runs, before = Runs(desk, tmp_path / "journals"), left(desk)
    runs.apply()
    app, exchange = ours(desk), desk.running.sandbox.tenant.exchange
    exchange.add_service_principal(app.properties["appId"], app.id, "Support Desk Mail")
    grant(desk, "private@contoso.com", app.id)
    result = runs.destroy()
    assert len([change for change in result.plan.changes if change.step == "exchange"]) == 2
    assert left(desk) == before


def test_grants_that_cannot_be_read_stop_all_of_it(runs: Runs) -> None:
    """Without its entry nobody finds them again: refused with the way on, and nothing is written."""
    runs.apply()
    before = state(runs.desk)
    runs.through = with_exchange(holdings=lambda entry: Holdings(unread="no such role"))
    result = runs.destroy()
    assert result.failed
    assert result.plan.empty
    assert "no such role" in said(result.plan.refused)
    assert state(runs.desk) == before
    assert runs.desk.credential.exists()


# Secrets and the file


def test_no_secret_of_ours_lies_in_the_recycle_bin(runs: Runs) -> None:
    """Whoever restores the application gets none that lives; one that others added goes with it, and that is said."""
    desk = runs.desk
    runs.apply()
    catalog.add_secret(desk.running.sandbox.tenant.directory, ours(desk), "by hand")
    result = runs.destroy()
    [deleted] = state(desk)["deletedApplications"]
    assert [row["displayName"] for row in deleted["passwordCredentials"]] == ["by hand"]
    [change] = [change for change in result.plan.changes if change.step == "application"]
    assert "1 secret that others added" in change.why


@pytest.mark.parametrize(
    ("content", "word"),
    [("SOMETHING=else\n", "no saved credential"), ("EXOSP_APP_TENANT_ID=a\nEXOSP_APP_CLIENT_ID=11111111-2222-3333-4444-555555555555\nEXOSP_APP_CLIENT_SECRET=s\n", "another application")],
)  # fmt: skip
def test_a_file_that_is_not_ours_stays(runs: Runs, content: str, word: str) -> None:
    """And it is said; all else goes."""
    runs.apply()
    runs.desk.credential.write_text(content)
    result = runs.destroy()
    assert not result.failed
    assert runs.desk.credential.read_text() == content
    assert word in said(result.plan.drift)
    assert runs.desk.applications() == []


def test_a_file_that_holds_more_stays_and_fails(runs: Runs) -> None:
    """What others wrote into it is not ours to delete: the run fails, and says what to do."""
    runs.apply()
    runs.desk.credential.write_text(runs.desk.credential.read_text() + "MORE=1\n")
    result = runs.destroy()
    assert result.failed
    assert "MORE=1" in runs.desk.credential.read_text()
    [fault] = [outcome.error for _, outcome in result.outcomes if isinstance(outcome, Refused)]
    assert "holds more than that, MORE" in fault.what


# Switches


def test_switches_stay_without_a_journal(runs: Runs, tmp_path: Path) -> None:
    """What stood before is not known then; it is said."""
    runs.apply()
    runs.base = tmp_path / "elsewhere"
    result = runs.destroy()
    assert "no journal lies here" in said(result.plan.drift)
    rows = {row["PrimarySmtpAddress"]: row for row in state(runs.desk)["exchange"]["casMailboxes"]}
    assert rows["support@contoso.com"]["SmtpClientAuthenticationDisabled"] is False


def test_switches_that_somebody_turned_since_stay(runs: Runs) -> None:
    """They are theirs."""
    runs.apply()
    switch(runs.desk, "support@contoso.com", SmtpClientAuthenticationDisabled=True)
    runs.destroy()
    rows = {row["PrimarySmtpAddress"]: row for row in state(runs.desk)["exchange"]["casMailboxes"]}
    assert rows["support@contoso.com"]["SmtpClientAuthenticationDisabled"] is True


@pytest.mark.parametrize("again", [True, False])
def test_switches_go_back_to_what_stood_before_the_first_run(runs: Runs, again: bool) -> None:
    """Over an undo, and a second apply or none in between."""
    desk = runs.desk
    switch(desk, "support@contoso.com", ImapEnabled=False, PopEnabled=False, SmtpClientAuthenticationDisabled=True)
    before = left(desk)
    runs.apply()
    runs.undo(runs.last)
    if again:
        runs.apply()
    runs.destroy()
    assert left(desk) == before


def test_a_journal_by_another_hand_reaches_no_other_mailbox(runs: Runs) -> None:
    """Items on a mailbox that the playbook does not list, and a trustee that is another: left, and said."""
    desk = runs.desk
    before = left(desk)
    runs.apply()
    private = mailbox_id(desk, "private@contoso.com")
    switch_ = {"write": "SetClientAccess", "mailbox": private, "address": "private@contoso.com", "imap": True}
    send_as = {
        "write": "AddRecipientPermission", "mailbox": private, "address": "private@contoso.com",
        "trustee": mailbox_id(desk, "sales@contoso.com"),
    }  # fmt: skip
    items = [
        {"step": "protocols", "write": switch_, "before": {"imap": False}},
        {"step": "grants", "write": send_as, "before": {"rights": []}},
    ]
    runs.rewrite(
        lambda lines: lines.extend(
            [{"intent": 90, "items": items}, {"result": 90, "answers": [[0, "done", ""], [1, "done", ""]]}]
        )
    )
    result = runs.destroy()
    assert left(desk) == before
    assert [d.target for d in result.plan.drift] == ["private@contoso.com", "private@contoso.com"]


# What was adopted


@pytest.fixture
def adopted(unkind: Callable[..., Desk], tmp_path: Path) -> tuple[Runs, Entity]:
    """Somebody's application with a role, a secret, Exchange's entry and a grant, that the playbook adopts."""
    crm = {"name": "CRM", "roles": ["IMAP.AccessAsApp"], "exchange": "right", "full_access": ["private@contoso.com"]}
    desk = unkind("none", content={"applications": [crm]})
    tenant = desk.running.sandbox.tenant
    admin = tenant.directory.principal(tenant.admin_app_id)
    assert admin is not None
    [app] = [a for a in tenant.directory.applications.values() if a.properties["displayName"] == "CRM"]
    app.owners.add(admin.id)
    catalog.add_secret(tenant.directory, app, "theirs")
    lines = [line for line in WHOLE.splitlines() if not line.strip().startswith("name:")]
    text = "\n".join(f"  id: {app.properties['appId']}" if line.strip().startswith("key:") else line for line in lines)
    desk.write(text + "\n")
    return Runs(desk, tmp_path / "journals"), app


def test_of_an_adopted_application_only_what_is_ours_goes(adopted: tuple[Runs, Entity]) -> None:
    """Registration, enterprise application, entry, their role, secret and grant stay, and that is said; what it asks for
    stays as apply left it."""
    runs, app = adopted
    desk = runs.desk
    before = left(desk)
    runs.apply()
    asked = app.properties["requiredResourceAccess"]
    assert len(settings(desk)["roles"]) > len(before["appRoleAssignments"])
    result = runs.destroy()
    assert not result.failed
    after = left(desk)
    assert state(desk)["deletedApplications"] == []
    assert app.properties["requiredResourceAccess"] == asked
    held = {row["id"]: row for row in after["applications"]}
    held[app.id]["requiredResourceAccess"] = next(r for r in before["applications"] if r["id"] == app.id)[
        "requiredResourceAccess"
    ]
    assert after == before
    assert not desk.credential.exists()
    for word in (
        "it was adopted, so it stays",
        "no journal shows that exosp granted",
        "no journal shows that exosp consented",
    ):
        assert word in said(result.plan.drift)
    assert runs.destroy().plan.empty


def test_without_journals_an_adopted_application_loses_the_secret_alone(
    adopted: tuple[Runs, Entity], tmp_path: Path
) -> None:
    """Its label shows whose it is; of all else nothing does."""
    runs, _ = adopted
    runs.apply()
    before = settings(runs.desk)
    runs.base = tmp_path / "elsewhere"
    result = runs.destroy()
    assert {change.step for change in result.plan.changes} == {"credential"}
    assert settings(runs.desk) == before


# On the way


def test_what_cannot_be_taken_keeps_what_it_is_found_by(runs: Runs) -> None:
    """One grant that is refused: Exchange's entry, application and file stay, and the next run finishes."""
    desk = runs.desk
    before = left(desk)
    runs.apply()

    def through(tenant: Tenant) -> Tenant:
        def send(writes: Any, seen: Any) -> Any:
            if isinstance(writes[0], RemoveMailboxPermission):
                yield writes[0], Failed(CloudError("not today", service="remoting", asked="Remove-MailboxPermission"))
                writes = writes[1:]
            if writes:
                yield from tenant.exchange.send(writes, seen)

        return replace(tenant, exchange=Port(tenant.exchange, {"send": send}))  # type: ignore[arg-type]  # by duck

    runs.through = through
    result = runs.destroy()
    assert result.failed
    came = {(change.step, change.target): outcome for change, outcome in result.outcomes}
    assert isinstance(came["exchange", "Support Desk Mail"], Refused)
    assert isinstance(came["application", "Support Desk Mail"], Skipped)
    assert isinstance(came["credential", "support-desk.env"], Skipped)
    assert len(desk.applications()) == 1
    assert desk.credential.exists()
    assert entry(desk)
    runs.through = lambda tenant: tenant
    assert not runs.destroy().failed
    assert left(desk) == before
    assert not desk.credential.exists()


@pytest.mark.parametrize("kind", [SetClientAccess, RemoveRecipientPermission, RemoveMailboxPermission])
def test_what_nothing_came_back_for_is_read_again_and_repeated(runs: Runs, kind: type) -> None:
    """An unclear answer to a write that did not take place: it is not taken for done, and all of it goes in one run."""
    desk, unclear = runs.desk, 0
    before = left(desk)
    desk.write(WHOLE.replace(SALES, SEND_AS.replace("BY", "mailbox")))
    runs.apply()

    def through(tenant: Tenant) -> Tenant:
        def send(writes: Any, seen: Any) -> Any:
            nonlocal unclear
            if unclear == 0 and isinstance(writes[0], kind):
                unclear += 1
                yield from ((write, Unknown("nothing came back")) for write in writes)
            else:
                yield from tenant.exchange.send(writes, seen)

        return replace(tenant, exchange=Port(tenant.exchange, {"send": send}))  # type: ignore[arg-type]  # by duck

    runs.through = through
    result = runs.destroy()
    assert unclear == 1
    assert not result.failed
    assert {type(outcome) for _, outcome in result.outcomes} == {Applied}
    assert left(desk) == before
    assert desk.clock.slept < 600


class Killed(BaseException):
    """As the end of the process at this point."""


@pytest.mark.slow
@pytest.mark.parametrize("side", ["before", "after"])
def test_wherever_it_stops_the_next_run_finishes(runs: Runs, side: str) -> None:
    """Ended at each of its writes in turn, just before it or after it took place unheard: the file never goes before
    the secret that it holds, and in the end the tenant is as before apply."""
    desk = runs.desk
    runs.desk.write(WHOLE.replace(SALES, SEND_AS.replace("BY", "mailbox")))
    before, number, stopped = left(desk), 0, True
    while stopped:
        number += 1
        runs.through = lambda tenant: tenant
        runs.apply()
        assert desk.look()[1].empty
        count = 0

        def one(do: Callable[[], Any], at: int = number) -> Any:
            nonlocal count
            count += 1
            if count == at and side == "before":
                raise Killed
            found = do()
            if count == at:
                raise Killed
            return found

        def through(tenant: Tenant, one: Any = one) -> Tenant:
            return Tenant(
                tenant.tenant_id,
                Port(tenant.directory, {"send": lambda *a: one(lambda: tenant.directory.send(*a))}),  # type: ignore[arg-type]  # by duck
                Port(tenant.exchange, {"send": lambda *a: iter(one(lambda: list(tenant.exchange.send(*a))))}),  # type: ignore[arg-type]
                Port(tenant.vault, {"remove": lambda *a: one(lambda: tenant.vault.remove(*a))}),  # type: ignore[arg-type]
            )

        runs.through, stopped = through, True
        with suppress(Killed):
            runs.destroy()
            stopped = False
        if not desk.credential.exists():
            assert desk.applications() == []
        runs.through = lambda tenant: tenant
        assert not runs.destroy().failed
        assert left(desk) == before, f"{side} write {number}"
        assert not desk.credential.exists(), f"{side} write {number}"
    assert number > 7


def test_apply_after_destroy_brings_it_back(runs: Runs) -> None:
    """One application, one secret that lives, working logins; and destroy takes all of it again."""
    desk = runs.desk
    before = left(desk)
    runs.apply()
    app_id = ours(desk).properties["appId"]
    runs.destroy()
    result = runs.apply()
    assert not result.failed
    assert desk.look()[1].empty
    assert ours(desk).properties["appId"] == app_id
    assert len(ours(desk).properties["passwordCredentials"]) == 1
    assert state(desk)["deletedApplications"] == []
    assert desk.verify().proven
    assert not runs.destroy().failed
    assert left(desk) == before


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_destroy_ends_the_same_on_an_unkind_tenant(unkind: Callable[..., Desk], tmp_path: Path, seed: int) -> None:
    """With the sandbox's default faults."""
    desk = unkind("default", seed=seed, mess=seed)
    runs, before = Runs(desk, tmp_path / "journals"), left(desk)
    runs.apply()
    assert not runs.destroy().failed
    assert left(desk) == before
    assert not desk.credential.exists()


def test_more_grants_than_the_rails_allow_are_not_taken_unasked(unkind: Callable[..., Desk], tmp_path: Path) -> None:
    """Ten that stand, all to go: refused with both numbers and the flag, and nothing is sent; allowed with it."""
    desk = unkind("none", mailboxes=10)
    boxes = "".join(f"  - {{address: box{n:05d}@contoso.com, protocols: [imap]}}\n" for n in range(10))
    desk.write(WHOLE.replace("  - support@contoso.com\n" + SALES, boxes))
    runs = Runs(desk, tmp_path / "journals")
    runs.apply()
    before = state(desk)
    with pytest.raises(PlanRefused, match="10 grants would be taken away, of 10 ") as caught:
        runs.destroy()
    assert "--allow-removals 10" in caught.value.hint
    assert state(desk) == before
    assert not runs.destroy(removals=10).failed
    assert granted(desk) == {}


# The command


def test_the_command_asks_says_until_when_and_has_nothing_to_do_twice(tmp_path: Path) -> None:
    """The question has the tenant and the counts, and a no writes nothing; off a terminal it needs --yes; the document
    says until when the application can be restored: 30 days from its deletion."""
    folder = tmp_path / "desk"
    folder.mkdir()
    with Running(Options(faults="none")) as running:
        console = Console(folder, running.environment())
        console.write()
        assert console.here("apply", "playbook.yaml", "--yes").code == 0
        before = state_of(running)
        assert console.here("destroy", "playbook.yaml").code == 2
        found = console.on_terminal("destroy", "playbook.yaml", keys=(("[y/N]", "n\n"),))
        assert found.code == 1
        asked = " ".join(found.out.split())
        assert (
            "Destroy in contoso.onmicrosoft.com: 2 grants, 1 Exchange entry, 1 mailbox's switches, 1 secret, "
            "1 application, 1 file?" in asked
        )
        assert state_of(running) == before
        done = console.here("destroy", "playbook.yaml", "--yes", "--format", "json")
        assert done.code == 0, done.err
        document = done.document
        assert document["schema"] == "exosp/destroy/1"
        assert document["converged"] is True
        assert {change["outcome"] for change in document["changes"]} == {"applied"}
        [deleted] = at(running, "/state")["deletedApplications"]
        until = datetime.fromisoformat(document["recycle_bin_until"])
        assert until == datetime.fromisoformat(deleted["deletedDateTime"].replace("Z", "+00:00")) + timedelta(days=30)
        again = console.here("destroy", "playbook.yaml", "--yes")
        assert again.code == 0
        assert "Nothing that exosp made is there." in again.out
        assert f"{until:%Y-%m-%d %H:%M} UTC" in " ".join(again.out.split())
        assert sorted(path.name for path in folder.iterdir()) == ["playbook.yaml"]
        refused = console.here("apply", "playbook.yaml", "--yes")
        assert refused.code == 0, refused.all
