"""undo: what a run changed is put back, for the playbook's application and mailboxes only, whatever its journal says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from console import Console, at
from desk import QUICKSTART, Desk
from exosp.errors import PlanRefused
from exosp.sandbox import catalog
from exosp.sandbox.directory import EXCHANGE_ONLINE
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options
from runs import Runs, entry, grant, granted, mailbox_id, settings, state, switch

pytestmark = pytest.mark.slow  # whole lives of a tenant


WHOLE = QUICKSTART.read_text(encoding="utf-8")
SALES = "  - {address: sales@contoso.com, protocols: [imap]}\n"
SEND_AS = "  - {address: sales@contoso.com, protocols: [imap, smtp], send_as: {from: support@contoso.com, by: BY}}\n"


@pytest.fixture
def runs(desk: Desk, tmp_path: Path) -> Runs:
    return Runs(desk, tmp_path / "journals")


def said(items: Any) -> str:
    return " | ".join(f"{item.step} {item.target}: {item.what}" for item in items)


# What is put back


def test_what_a_run_changed_is_put_back_and_nothing_it_made_is_deleted(runs: Runs) -> None:
    """Grants, switches (also one that the tenant decided) and consent are as before; application, enterprise application,
    secret, saved file and Exchange's entry stay, and that is said. A second undo finds nothing to do."""
    desk = runs.desk
    before = settings(desk)
    runs.apply()
    made, first, saved = state(desk), runs.last, desk.credential.read_bytes()
    assert settings(desk) != before
    result = runs.undo(first)
    assert settings(desk) == before
    assert not result.failed
    assert result.rest.empty
    for name in ("applications", "servicePrincipals", "deletedApplications"):
        assert state(desk)[name] == made[name]
    assert state(desk)["exchange"]["servicePrincipals"] == made["exchange"]["servicePrincipals"]
    assert desk.credential.read_bytes() == saved
    assert {d.step for d in result.plan.drift} == {"application", "principal", "credential", "exchange"}
    again = runs.undo(first)
    assert again.plan.empty
    assert not again.failed


def test_an_undo_can_be_undone(runs: Runs) -> None:
    """It is a run with a journal of its own; what it took away comes back."""
    runs.apply()
    after = settings(runs.desk)
    runs.undo(runs.last)
    assert settings(runs.desk) != after
    result = runs.undo(runs.last)
    assert not result.failed
    assert settings(runs.desk) == after
    assert runs.desk.look()[1].empty


def test_what_stood_before_the_run_stays(runs: Runs) -> None:
    """Only the second run's mailbox loses its grant when that run is undone."""
    runs.desk.write(WHOLE.replace(SALES, ""))
    runs.apply()
    first = granted(runs.desk)
    runs.desk.write(WHOLE)
    runs.apply()
    assert granted(runs.desk) != first
    runs.undo(runs.last)
    assert granted(runs.desk) == first == {"support@contoso.com": {"FullAccess"}}


@pytest.mark.parametrize("by", ["app", "mailbox"])
def test_send_as_is_put_back(runs: Runs, by: str) -> None:
    """Whoever of the two it was given to; and given again when that is undone."""
    before = settings(runs.desk)
    runs.desk.write(WHOLE.replace(SALES, SEND_AS.replace("BY", by)))
    runs.apply()
    after = settings(runs.desk)
    assert "SendAs" in granted(runs.desk)["support@contoso.com"]
    assert not runs.undo(runs.last).failed
    assert settings(runs.desk) == before
    assert not runs.undo(runs.last).failed
    assert settings(runs.desk) == after


# Only what still stands as the run left it


def test_what_somebody_changed_since_is_left_and_said(runs: Runs) -> None:
    """A switch that was turned again and a grant that was taken by hand stay as they are."""
    desk = runs.desk
    runs.apply()
    switch(desk, "support@contoso.com", SmtpClientAuthenticationDisabled=True)
    box = desk.running.sandbox.tenant.exchange.by_address("sales@contoso.com")
    assert box is not None
    box.permissions[:] = [row for row in box.permissions if "SELF" in row["User"]]
    result = runs.undo(runs.last)
    assert not result.failed
    rows = {row["PrimarySmtpAddress"]: row for row in desk.state()["exchange"]["casMailboxes"]}
    assert rows["support@contoso.com"]["SmtpClientAuthenticationDisabled"] is True
    assert "somebody changed it since" in said(result.plan.drift)
    assert "sales@contoso.com: FullAccess is left as it is: it is not there any more" in said(result.plan.drift)
    assert granted(desk) == {}


@pytest.mark.parametrize("outcome", ["failed", "lost"])
def test_what_did_not_happen_is_not_undone(runs: Runs, outcome: str) -> None:
    """A grant that the journal shows to have failed is somebody else's where it stands."""
    runs.apply()

    def fail(lines: list[dict[str, Any]]) -> None:
        for line in lines:
            if "result" in line:
                line["answers"] = [[index, outcome, ""] for index, _, _ in line["answers"]]

    before = settings(runs.desk)
    runs.rewrite(fail)
    assert runs.undo(runs.last).plan.empty
    assert settings(runs.desk) == before


def test_what_nobody_heard_of_is_judged_by_the_tenant(runs: Runs) -> None:
    """A journal that ends before its results: what stands as the run would have left it goes back."""
    before = settings(runs.desk)
    runs.apply()
    runs.rewrite(
        lambda lines: lines.__setitem__(slice(None), [x for x in lines if "result" not in x and "end" not in x])
    )
    assert not runs.undo(runs.last).failed
    assert settings(runs.desk) == before


# Pruning and repairs


def test_a_pruned_grant_comes_back_only_to_a_mailbox_of_the_playbook(runs: Runs) -> None:
    """Refused with the way to it as long as the playbook does not list the mailbox, given back when it does."""
    desk = runs.desk
    runs.apply()
    grant(desk, "private@contoso.com", entry(desk))
    extra = granted(desk)
    desk.write(WHOLE + "prune: true\n")
    runs.apply()
    pruned = runs.last
    assert "private@contoso.com" not in granted(desk)
    result = runs.undo(pruned)
    assert result.failed
    assert "private@contoso.com" not in granted(desk)
    [refusal] = result.plan.refused
    assert (refusal.step, refusal.target) == ("grants", "private@contoso.com")
    assert "add it to the playbook" in refusal.hint
    desk.write(WHOLE.replace(SALES, SALES + "  - {address: private@contoso.com, protocols: [imap]}\n"))
    assert not runs.undo(pruned).failed
    assert granted(desk) == extra


def test_a_pruned_role_comes_back_only_if_a_protocol_needs_it(runs: Runs) -> None:
    """POP's does; full_access_as_app, which opens every mailbox, does not, whatever the journal shows."""
    desk = runs.desk
    imap = WHOLE.replace("protocols: [imap, pop, smtp]", "protocols: [imap]")
    desk.write(imap)
    runs.apply()
    directory = desk.running.sandbox.tenant.directory
    seen, _ = desk.look()
    assert seen.application is not None
    mine = directory.principal(seen.application.app_id)
    assert mine is not None
    for value in ("POP.AccessAsApp", "full_access_as_app"):
        catalog.assign(directory, mine, EXCHANGE_ONLINE, value)
    desk.write(imap + "prune: true\n")
    runs.apply()
    assert len(desk.look()[0].assignments) == 1
    result = runs.undo(runs.last)
    assert [r.target for r in result.plan.refused] == ["full_access_as_app"]
    seen, _ = desk.look()
    assert seen.resource is not None
    names = {role: value for value, role in seen.resource.roles.items()}
    assert {names[row.role] for row in seen.assignments} == {"IMAP.AccessAsApp", "POP.AccessAsApp"}


def test_a_repair_stays(unkind: Callable[..., Desk], tmp_path: Path) -> None:
    """The wrong entry is not made again, and what the repair moved to the right one is not taken from it."""
    ours = {"name": "Support Desk Mail", "unique_name": "exosp-support-desk", "exchange": "application"}
    content = {"applications": [{**ours, "full_access": ["support@contoso.com", "private@contoso.com"]}]}
    desk = unkind("none,object-id-check=0", content=content)
    tenant = desk.running.sandbox.tenant
    admin = tenant.directory.principal(tenant.admin_app_id)
    assert admin is not None
    for app in tenant.directory.applications.values():
        app.owners.add(admin.id)
    runs = Runs(desk, tmp_path / "journals")
    runs.apply()
    assert set(granted(desk)) == {"support@contoso.com", "private@contoso.com", "sales@contoso.com"}
    right = entry(desk)
    result = runs.undo(runs.last)
    assert not result.failed
    assert set(granted(desk)) == {"support@contoso.com", "private@contoso.com"}
    assert entry(desk) == right
    assert "with the 2 grants that it moved" in said(result.plan.drift)


# A journal is anybody's word


def _intent(*items: dict[str, Any]) -> list[dict[str, Any]]:
    answers = [[index, "done", ""] for index in range(len(items))]
    whole = [{"step": "grants", "before": {"rights": []}, **item} for item in items]
    return [{"intent": 900, "at": "", "items": whole}, {"result": 900, "at": "", "answers": answers}]


WRITES: dict[str, tuple[Callable[[Desk], dict[str, Any]], str]] = {
    "a grant on another mailbox": (
        lambda desk: {
            "write": "RemoveMailboxPermission", "mailbox": mailbox_id(desk, "private@contoso.com"),
            "address": "support@contoso.com", "trustee": entry(desk), "rights": ["FullAccess"],
        },
        "the playbook does not list this mailbox",
    ),
    "a grant to another": (
        lambda desk: {
            "write": "RemoveMailboxPermission", "mailbox": mailbox_id(desk, "support@contoso.com"),
            "address": "support@contoso.com", "trustee": mailbox_id(desk, "private@contoso.com"), "rights": ["FullAccess"],
        },
        "which is not this application's",
    ),
    "SendAs to a mailbox of nobody's": (
        lambda desk: {
            "write": "RemoveRecipientPermission", "mailbox": mailbox_id(desk, "support@contoso.com"),
            "address": "support@contoso.com", "trustee": mailbox_id(desk, "private@contoso.com"),
        },
        "which is not this application's",
    ),
    "SendAs on what nobody sends as": (
        lambda desk: {
            "write": "RemoveRecipientPermission", "mailbox": mailbox_id(desk, "private@contoso.com"),
            "address": "private@contoso.com", "trustee": entry(desk),
        },
        "the playbook does not list this mailbox",
    ),
    "a right that is none": (
        lambda desk: {
            "write": "RemoveMailboxPermission", "mailbox": mailbox_id(desk, "support@contoso.com"),
            "address": "", "trustee": entry(desk), "rights": ["FullAccess", "-Confirm"],
        },
        "no form that exosp writes",
    ),
    "another mailbox's switches": (
        lambda desk: {
            "write": "SetClientAccess", "mailbox": mailbox_id(desk, "private@contoso.com"), "address": "x", "imap": True,
        },
        "the playbook does not list this mailbox",
    ),
    "a role of another": (
        lambda desk: {
            "write": "RemoveAssignment", "principal": mailbox_id(desk, "private@contoso.com"), "assignment": "x",
            "role_value": "IMAP.AccessAsApp",
        },
        "which is not this application",
    ),
    "a role that opens everything": (
        lambda desk: {
            "write": "RemoveAssignment", "principal": entry(desk), "assignment": "x", "role_value": "full_access_as_app",
        },
        "no protocol of a playbook needs this role",
    ),
    "a write of no kind": (lambda desk: {"write": "Invoke-Expression", "mailbox": "x"}, "no form that exosp writes"),
    "a write that is a list": (lambda desk: [1, 2], "no form that exosp writes"),  # type: ignore[dict-item,return-value]  # that is the point
    "texts that are none": (
        lambda desk: {"write": "AddMailboxPermission", "mailbox": ["x"], "trustee": {}, "rights": "FullAccess"},
        "no form that exosp writes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRITES)
def test_what_the_playbook_could_not_have_asked_for_is_named_and_not_done(runs: Runs, kind: str) -> None:
    """One item more in a journal, by somebody's hand: refused with its reason, and the tenant is as without it."""
    before = settings(runs.desk)
    runs.apply()
    make, reason = WRITES[kind]
    item: dict[str, Any] = {"write": make(runs.desk)}
    if kind == "another mailbox's switches":
        item["before"] = {"imap": False}
    runs.rewrite(lambda lines: lines.extend(_intent(item)))
    result = runs.undo(runs.last)
    assert result.failed
    assert reason in said(result.plan.refused)
    assert len(result.plan.refused) == 1
    assert settings(runs.desk) == before


def test_deleting_is_never_read_from_a_journal(runs: Runs) -> None:
    """Kinds of writes that make or delete are counted as what stays, and nothing comes of them."""
    runs.apply()
    kinds = ("DeleteApplication", "RemoveServicePrincipal", "AddSecret", "RestoreApplication", "RemoveSecret")
    extra = [{"write": {"write": kind, "label": "x", "key_id": "x", "identity": entry(runs.desk)}} for kind in kinds]
    runs.rewrite(lambda lines: lines.__setitem__(slice(1, None), _intent(*extra)))
    before = state(runs.desk)
    result = runs.undo(runs.last)
    assert result.plan.empty
    assert state(runs.desk) == before


@pytest.mark.parametrize(
    "more",
    [
        b"\x00\xff\xfe\x80" * 1000, b"[" * 100_000, b'{"intent": 1e999, "items": [{}]}', b'"journal"', b"17",
        b'{"result": 1, "answers": [[{}, "done", ""], [0, "who knows", 7]]}', b'{"owes": [{"mailbox": {}, "address": 1}]}',
        b'{"intent": 903, "items": [{"step": 4, "write": {"write": {}}, "before": 5}]}', b'{"x": "' + b"y" * 5_000_000 + b'"}',
    ],
    ids=["binary", "nested", "infinite", "text", "number", "answers", "owes", "items", "huge"],
)  # fmt: skip
def test_a_line_that_is_none_changes_nothing(runs: Runs, more: bytes) -> None:
    """Whatever stands between a journal's lines, the rest is put back; no error but a named one."""
    before = settings(runs.desk)
    runs.apply()
    path = runs.journal()
    first, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(first + b"\n" + more + b"\n" + rest + more)
    runs.undo(runs.last)
    assert settings(runs.desk) == before


# Guard rails


def test_more_grants_than_the_rails_allow_are_not_taken_unasked(unkind: Callable[..., Desk], tmp_path: Path) -> None:
    """Twelve of them: refused with both numbers and the flag, nothing sent; allowed with it."""
    desk = unkind("none", mailboxes=12)
    boxes = "".join(f"  - {{address: box{n:05d}@contoso.com, protocols: [imap]}}\n" for n in range(12))
    desk.write(WHOLE.replace("  - support@contoso.com\n" + SALES, boxes))
    runs = Runs(desk, tmp_path / "journals")
    runs.apply()
    first, before = runs.last, settings(desk)
    assert len(granted(desk)) == 12
    with pytest.raises(PlanRefused, match="12 grants would be taken away, of 12 ") as caught:
        runs.undo(first)
    assert "--allow-removals 12" in caught.value.hint
    assert settings(desk) == before
    assert not runs.undo(first, removals=12).failed
    assert granted(desk) == {}


# The command


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A console on which apply ran once, and that run's id."""
    folder = tmp_path_factory.mktemp("used") / "desk"
    folder.mkdir()
    with Running(Options(faults="none")) as running:
        console = Console(folder, running.environment())
        console.write()
        run = console.here("apply", "playbook.yaml", "--yes", "--format", "json").document["run"]
        yield console, running, run


def test_an_unknown_run_is_bad_usage_and_the_runs_there_are_are_listed(used: Any) -> None:
    """Exit 2, with id, command, when and how each ended; also without any run. A path is no run's id."""
    console, _, run = used
    for words in (["nope"], ["playbook.yaml"], ["../" + run], [f"./{run}"], ["x" * 5000], [run + "\x00"]):
        if "\x00" in words[0] and words[0] != "":
            words = [run + " "]
        found = console.here("undo", *words, "--yes")
        assert found.code == 2, words
        plain = " ".join(found.err.split())
        assert f"{run} (apply, {run[:4]}-{run[4:6]}-{run[6:8]} {run[9:11]}:{run[11:13]} UTC, done)" in plain, words


def test_without_a_playbook_it_says_that_one_is_needed(used: Any, tmp_path: Path) -> None:
    """Where the folder has no playbook.yaml: exit 2, and nothing of the tenant is asked."""
    console, running, run = used
    before = at(running, "/requests")
    found = Console(tmp_path, console.environment).here("undo", run, "--yes")
    assert found.code == 2
    assert "the playbook is needed" in found.err
    assert at(running, "/requests") == before


def test_off_a_terminal_it_needs_a_yes(used: Any) -> None:
    """Exit 2, nothing asked of the tenant."""
    console, running, run = used
    before = at(running, "/requests")
    found = console.here("undo", run)
    assert found.code == 2
    assert "--yes" in found.err
    assert at(running, "/requests") == before


def test_a_no_writes_nothing(used: Any) -> None:
    """On a terminal it asks, with the run and the tenant."""
    console, running, run = used
    before = at(running, "/state")["exchange"]
    found = console.on_terminal("undo", run, keys=(("[y/N]", "n\n"),))
    assert found.code == 1
    assert f"Put back in contoso.onmicrosoft.com what run {run} changed?" in found.out
    assert at(running, "/state")["exchange"] == before


def test_both_orders_and_the_document(used: Any) -> None:
    """PLAYBOOK before RUN too; one document with the plan, each outcome, this run's id and that of the one undone. Put
    back once, the second time there is nothing to do: exit 0 both times, and no failure is a refusal of a wrong order."""
    console, _, run = used
    first = console.here("undo", "playbook.yaml", run, "--yes", "--format", "json")
    assert first.code == 0, first.err
    document = first.document
    assert document["schema"] == "exosp/undo/1"
    assert document["undone"] == run
    assert document["run"] not in ("", run)
    assert document["converged"] is True
    assert {c["outcome"] for c in document["changes"]} == {"applied"}
    assert {c["step"] for c in document["changes"]} == {"protocols", "grants", "consent"}
    second = console.here("undo", run, "playbook.yaml", "--yes")
    assert second.code == 0
    assert "Nothing stands any more as run" in second.out
    third = console.here("undo", document["run"], "--yes", "--quiet")
    assert third.code == 0, third.err
    assert json.loads(console.here("plan", "playbook.yaml", "--format", "json").out)["changes"] == []
