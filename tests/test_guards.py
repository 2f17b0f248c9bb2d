"""Guard rails: what no run does unasked, with the numbers it says and the flag that allows it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from console import Console, at, state
from desk import Desk
from exosp.cli.asking import somebody_is_there
from exosp.errors import PlanRefused
from exosp.plan import Change, Limits, Plan, guard, removals
from exosp.sandbox.exchange import Row
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options
from exosp.snapshot import (
    Address,
    ClaimedObjectId,
    Holdings,
    MailboxId,
    MailboxPermission,
    RecipientPermission,
    Snapshot,
)
from exosp.writes import (
    ENTRY,
    PRINCIPAL,
    AddMailboxPermission,
    AddRecipientPermission,
    RemoveAssignment,
    RemoveMailboxPermission,
    RemoveRecipientPermission,
    Write,
)

pytestmark = pytest.mark.slow  # whole lives of a tenant


OLD = ClaimedObjectId("old")


def box(number: int) -> tuple[MailboxId, Address]:
    return MailboxId(f"m{number}"), Address(f"box{number}@contoso.com")


def change(*writes: Write) -> Change:
    return Change("grants", "remove", "x", None, None, writes, "because")


def plan(*changes: Change) -> Plan:
    return Plan(("contoso.onmicrosoft.com", "exosp-x"), changes)


def taking(number: int) -> Plan:
    return plan(*(change(RemoveMailboxPermission(*box(n), ENTRY)) for n in range(number)))


def standing(number: int, *, send_as: int = 0, denied: int = 0) -> Snapshot:
    rights = frozenset({"FullAccess"})
    rows = tuple(MailboxPermission(box(n)[0], "ours", rights) for n in range(number - send_as))
    deny = tuple(MailboxPermission(box(n)[0], "ours", rights, deny=True) for n in range(denied))
    sends = tuple(RecipientPermission(box(n)[0], "ours") for n in range(send_as))
    return Snapshot(holdings={"entry": Holdings(permissions=(*rows, *deny), recipient_permissions=sends)})


@pytest.mark.parametrize(
    ("gone", "of", "passes"),
    [
        (10, 100, True), (11, 100, False),  # more than 10, whatever the share
        (3, 10, True), (4, 10, False),  # more than 30 % of ten
        (9, 9, True), (1, 1, True),  # where fewer than ten stand, the share says nothing
        (6, 20, True), (7, 20, False), (4, 11, False), (3, 11, True),
    ],
)  # fmt: skip
def test_so_many_grants_are_taken_unasked_and_no_more(gone: int, of: int, passes: bool) -> None:
    """At most 10, and at most 30 % where 10 or more stand; beyond it the numbers are said, and the flag that allows it."""
    if passes:
        guard(taking(gone), standing(of), Limits())
        return
    with pytest.raises(PlanRefused) as caught:
        guard(taking(gone), standing(of), Limits())
    assert caught.value.what.startswith(f"{gone} grants would be taken away, of {of} ")
    assert caught.value.hint.endswith(f"--allow-removals {gone}")
    guard(taking(gone), standing(of), Limits(removals=gone))
    with pytest.raises(PlanRefused):
        guard(taking(gone), standing(of), Limits(removals=gone - 1))


def test_what_was_taken_earlier_in_the_run_counts() -> None:
    """Two rounds of one run together stay within the rails."""
    guard(taking(6), standing(100), Limits(), earlier=4)
    with pytest.raises(PlanRefused, match=r"^11 grants would be taken away, of 105 "):
        guard(taking(6), standing(100), Limits(), earlier=5)


def test_send_as_counts_and_a_deny_entry_does_not() -> None:
    """A grant is what lets the application in: SendAs too, a deny entry never."""
    sends = plan(*(change(RemoveRecipientPermission(*box(n), ENTRY)) for n in range(4)))
    with pytest.raises(PlanRefused, match=r"^4 grants would be taken away, of 10 "):
        guard(sends, standing(10, send_as=4), Limits())
    guard(sends, standing(9, send_as=4, denied=30), Limits())


def test_what_the_same_change_gives_again_is_not_taken() -> None:
    """A repair takes every grant from the wrong entry and gives it to the right one: none is removed. In another change,
    or of another kind, it is."""
    boxes = [box(n) for n in range(50)]
    away = [RemoveMailboxPermission(*held, OLD) for held in boxes]
    back = [AddMailboxPermission(*held, ENTRY) for held in boxes]
    assert removals(plan(change(*away, *back))) == 0
    assert removals(plan(change(*away, *back[:-2]))) == 2
    assert removals(plan(change(*away), change(*back))) == 50
    sends = [AddRecipientPermission(*held, ENTRY) for held in boxes]
    assert removals(plan(change(*away, *sends))) == 50


def test_another_playbooks_application_is_not_changed_unasked() -> None:
    """Where the application is not ours, no Graph write passes without the flag; grants in Exchange are ours all the same."""
    graph = plan(change(RemoveAssignment(PRINCIPAL, "a", "IMAP.AccessAsApp")))
    with pytest.raises(PlanRefused, match="is not this playbook's: it is theirs") as caught:
        guard(graph, Snapshot(), Limits(), foreign="it is theirs")
    assert "--allow-foreign" in caught.value.hint
    guard(graph, Snapshot(), Limits(foreign=True), foreign="it is theirs")
    guard(taking(2), Snapshot(), Limits(), foreign="it is theirs")


# On the command line


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running(Options(faults="none")) as found:
        yield found


@pytest.fixture
def console(running: Running, tmp_path: Path) -> Console:
    running.reset(seed=1, faults="none", mailboxes=0)
    found = Console(tmp_path, running.environment())
    found.write()
    return found


def somebody_says(monkeypatch: pytest.MonkeyPatch, yes: bool | None) -> list[str]:
    """Somebody is there and gives this answer; None: nobody may be asked. What they are asked."""
    asked: list[str] = []

    def confirm(question: str, **_: object) -> bool:
        asked.append(question)
        return bool(yes)

    monkeypatch.setattr("exosp.cli.asking.somebody_is_there", lambda **_: True)
    monkeypatch.setattr("typer.confirm", confirm)
    return asked


def test_the_rails_come_before_the_question(
    running: Running, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is asked to agree to what is refused anyway; nothing is sent, and the flag is named."""
    boxes = [f"box{number:05d}@contoso.com" for number in range(12)]
    running.sandbox._content = {
        "applications": [
            {
                "name": "Support Desk Mail",
                "unique_name": "exosp-support-desk",
                "exchange": "right",
                "full_access": boxes,
            }
        ]
    }
    running.reset(seed=1, faults="none", mailboxes=12)
    running.sandbox._content = None
    before, asked = state(running), somebody_says(monkeypatch, True)
    found = console.here("destroy", "playbook.yaml")
    assert found.code == 1
    assert "--allow-removals 12" in " ".join(found.err.split())
    assert asked == []
    assert state(running) == before


def test_off_a_terminal_nothing_is_sent_without_a_yes(running: Running, console: Console) -> None:
    """Exit 2, and not one request."""
    found = console.here("apply", "playbook.yaml")
    assert found.code == 2
    assert "--yes" in found.err
    assert at(running, "/requests")["graph"] == {}


def test_a_no_is_no_yes(running: Running, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """The question has the tenant, and nothing is written."""
    before, asked = state(running), somebody_says(monkeypatch, False)
    found = console.here("apply", "playbook.yaml")
    assert found.code == 1
    assert "the answer was no" in found.err
    assert [question.strip() for question in asked] == ["Apply to contoso.onmicrosoft.com?"]
    assert state(running) == before


def test_no_input_means_that_nobody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the terminal is."""

    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("sys.stderr", Terminal())
    assert somebody_is_there(no_input=False)
    assert not somebody_is_there(no_input=True)


def test_a_deny_entry_for_send_as_is_named_and_not_granted_over(desk: Desk) -> None:
    """Deny wins in Exchange: refused by name, and nothing is planned beside it."""
    desk.write(
        desk.playbook.read_text().replace(
            "protocols: [imap]}", "protocols: [imap, smtp], send_as: {from: support@contoso.com, by: app}}"
        )
    )
    desk.apply()
    exchange = desk.running.sandbox.tenant.exchange
    [entry], box = exchange.service_principals, exchange.by_address("support@contoso.com")
    assert box is not None
    properties = {
        "Identity": box.properties["Identity"], "Trustee": entry["ObjectId"], "AccessControlType": "Deny",
        "AccessRights": ["SendAs"], "IsInherited": False, "InheritanceType": "None", "IsValid": True,
        "ObjectState": "Unchanged", "_trustee": entry["ObjectId"],
    }  # fmt: skip
    box.recipient_permissions[:] = [Row(properties, 0.0, 0.0)]
    plan = desk.look()[1]
    assert [(r.step, r.target) for r in plan.refused] == [("grants", "support@contoso.com")]
    assert "deny entry for SendAs" in plan.refused[0].what
    assert plan.empty


def test_a_deny_entry_makes_no_room() -> None:
    """Deny entries are no grants that stand, so they do not raise the share that may be taken."""
    with pytest.raises(PlanRefused, match=r"^4 grants would be taken away, of 10 "):
        guard(taking(4), standing(10, denied=30), Limits())


def test_the_digest_is_of_what_is_sent() -> None:
    """Two plans that look the same and send something else have two digests."""
    one, two = (plan(change(RemoveMailboxPermission(*box(number), ENTRY))) for number in (1, 2))
    assert one.digest != two.digest
    assert one.digest == plan(*one.changes).digest


def test_an_application_is_known_by_its_unique_name(unkind: Callable[..., Desk]) -> None:
    """Whatever it is called by now: none is made beside it."""
    desk = unkind("none", content={"applications": [{"name": "Renamed", "unique_name": "exosp-support-desk"}]})
    plan = desk.look()[1]
    assert [change.verb for change in plan.changes if change.step == "application"] in ([], ["update"])
