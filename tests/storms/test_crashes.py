"""The crash law: killed at any write, on either side of it, the same command ends where it would have ended anyway.

The command is a process of its own, and the writes are counted in a run that nothing interrupts, so a new write is
covered as soon as there is one.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hands
import pytest
from crash import KILLED, Kept, Kill, Watch, Zygote
from shape import LABEL, State, differences, normal

from console import Console, Ran, state
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options, Tenant

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

Grant = tuple[str, str]  # a mailbox, and a right to it


APPLY = ("apply", "playbook.yaml")


@dataclass(frozen=True)
class Case:
    """A tenant before the command, and what an uninterrupted run is known to send at least. ``words``: the command, where
    {run} is the first run of ``begin``; ``secret``: what becomes of the secret; ``only``: what the writes begin with at
    which it is killed, since other cases have the rest. ``journals``: the command goes by one and is nothing without;
    ``forgets``: the part of Exchange's state in which it then leaves what it cannot know."""

    name: str
    begin: Callable[["Bench"], None]
    unlisted: frozenset[Grant]
    sends: tuple[str, ...]
    words: tuple[str, ...] = APPLY
    secret: str = "saved"
    only: tuple[str, ...] = ("",)
    journals: bool = False
    forgets: str = ""


def quickstart(bench: "Bench") -> None:
    """An empty tenant."""


def mistaken(bench: "Bench") -> None:
    """The quickstart as it was applied once, then Exchange's entry made anew with the application's own object ID: it holds
    what the playbook lists, and more. Its secret is gone from the application, so that one is made in the same run."""
    assert bench.run(APPLY).code == 0
    tenant = bench.tenant
    hands.wrong_entry(tenant, "private@contoso.com", send_as="sales@contoso.com")
    app = hands.application(tenant)
    assert app is not None
    app.properties["passwordCredentials"] = []
    app.secrets.clear()
    bench.credential.unlink()
    shutil.rmtree(bench.journals)


RBAC = """\
exosp: 1
tenant: contoso.onmicrosoft.com
app: {key: support-desk, name: Support Desk Mail, credential: {type: secret, valid_for: 180d, save_to: support-desk.env}}
protocols: [imap, smtp]
smtp: {access: rbac, filter: "Alias -eq 'support'"}
mailboxes: [support@contoso.com]
exchange: {remoting: winrm}
"""


def narrow(bench: "Bench") -> None:
    """IMAP alone is set up, and SMTP by RBAC for Applications is to come."""
    bench.console.write(RBAC.replace("[imap, smtp]", "[imap]").replace("smtp: {", "# smtp: {"))
    assert bench.run(APPLY).code == 0
    bench.console.write(RBAC)
    shutil.rmtree(bench.journals)


def scoped(bench: "Bench") -> None:
    """SMTP by RBAC for Applications, set up in one run."""
    bench.console.write(RBAC)
    assert bench.run(APPLY).code == 0


def elsewhere(bench: "Bench") -> None:
    """The same, with another filter to come."""
    scoped(bench)
    bench.console.write(RBAC.replace("'support'", "'sales'"))
    shutil.rmtree(bench.journals)


ROLES = ("remoting New-Management", "remoting Set-Management", "remoting Remove-Management")
CASES = (
    Case("quickstart", quickstart, frozenset(), (
        "graph PATCH /applications(uniqueName='{uniqueName}')", "graph POST /applications/{id}/addPassword",
        "remoting New-ServicePrincipal", "remoting Add-MailboxPermission", "remoting Set-CASMailbox",
    )),
    Case("repair", mistaken, frozenset({("private@contoso.com", "FullAccess"), ("sales@contoso.com", "SendAs")}), (
        "graph POST /applications/{id}/addPassword", "remoting Remove-MailboxPermission",
        "remoting Remove-RecipientPermission", "remoting Remove-ServicePrincipal", "remoting New-ServicePrincipal",
        "remoting Add-MailboxPermission", "remoting Add-RecipientPermission",
    )),
    Case("smtp by rbac", narrow, frozenset(), ("remoting New-ManagementScope", "remoting New-ManagementRoleAssignment"), only=ROLES),
    Case("another filter", elsewhere, frozenset(), ("remoting Set-ManagementScope",)),
    Case("undo", scoped, frozenset(), (
        "remoting Set-CASMailbox", "remoting Remove-MailboxPermission", "remoting Remove-ManagementRoleAssignment",
        "remoting Remove-ManagementScope", "graph DELETE /servicePrincipals/{id}/appRoleAssignments/{assignment}",
    ), ("undo", "{run}", "playbook.yaml"), journals=True),
    Case("destroy", scoped, frozenset(), (
        "remoting Remove-ManagementRoleAssignment", "remoting Remove-ManagementScope", "remoting Remove-ServicePrincipal",
        "graph DELETE /applications/{id}",
    ), ("destroy", "playbook.yaml"), secret="none", forgets="casMailboxes"),
)  # fmt: skip


@dataclass
class Bench:
    """A tenant without faults, a desk, and commands that can be killed."""

    running: Running
    zygote: Zygote
    watch: Watch
    console: Console

    @property
    def tenant(self) -> Tenant:
        return self.running.sandbox.tenant

    @property
    def journals(self) -> Path:
        return self.console.folder / "journals"

    @property
    def credential(self) -> Path:
        return self.console.folder / "support-desk.env"

    def run(self, words: tuple[str, ...], at: Kill | None = None) -> Ran:
        with self.watch.until(at):
            ran = self.zygote.run(self.console, *words, "--yes", "--journal", "journals", "--timeout", "30s")
            self.wait_for_the_service()
        return ran

    def wait_for_the_service(self) -> None:
        """What was sent is carried out whether or not the sender lives."""
        seen, still = -1, 0
        while still < 3:
            still = still + 1 if self.watch.count == seen else 0
            seen = self.watch.count
            time.sleep(0.005)

    def state(self) -> State:
        return state(self.running)

    def grants(self) -> set[Grant]:
        """What an entry of ours that is there holds, right or wrong."""
        ours = {row["ObjectId"] for row in hands.entries(self.tenant)}
        return {
            (box.properties["PrimarySmtpAddress"], right)
            for box in self.tenant.exchange.mailboxes
            for row in (*box.permissions, *box.recipient_permissions)
            for right in row["AccessRights"]
            if row["_trustee"] in ours
        }

    def secret(self) -> str:
        """Of the live secrets that bear our label: "none", "saved", "lost" where its text is in no file, "several"."""
        app = hands.application(self.tenant)
        rows = app.properties["passwordCredentials"] if app else []
        mine = [row["keyId"] for row in rows if str(row["displayName"]).startswith(LABEL)]
        assert len(mine) == len(rows)
        if len(mine) != 1:
            return "several" if mine else "none"
        assert app is not None
        if not self.credential.exists():
            return "lost"
        lines = dict(line.split("=", 1) for line in self.credential.read_text().splitlines() if "=" in line)
        text = lines["EXOSP_APP_CLIENT_SECRET"].strip("'\"")
        return "saved" if app.secrets[mine[0]] == hashlib.sha256(text.encode()).hexdigest() else "lost"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("crashes") / "desk"
    zygote = Zygote()
    try:
        with Running(Options(faults="none")) as running:
            yield Bench(running, zygote, Watch(running.sandbox.tenant, zygote), Console(folder, running.environment()))
    finally:
        zygote.close()


@dataclass(frozen=True)
class Ready:
    """The tenant before the command; the command; what it sends; and where it leads when nothing interrupts it."""

    start: Kept
    words: tuple[str, ...]
    sent: list[str]
    wanted: State

    def kills(self, case: Case) -> list[Kill]:
        """Both sides of every write that the case is about."""
        numbers = [number for number, write in enumerate(self.sent, 1) if write.startswith(case.only)]
        return [Kill(side, number) for number in numbers for side in ("before", "after")]


def prepared(bench: Bench, case: Case, place: Path) -> Ready:
    bench.running.reset(seed=1, faults="none", mailboxes=0, service_principals=0, mess=None)
    shutil.rmtree(bench.console.folder, ignore_errors=True)
    bench.console.folder.mkdir()
    bench.console.write()
    case.begin(bench)
    start = Kept.of(bench.tenant, bench.console.folder, place)
    runs = sorted(path.stem for path in bench.journals.rglob("*.jsonl"))
    words = tuple(word.format(run=runs[0] if runs else "") for word in case.words)
    ran = bench.run(words)
    assert ran.code == 0, ran.all
    sent = list(bench.watch.writes)
    assert set(case.sends) <= set(sent), sent
    assert bench.secret() == case.secret
    assert case.unlisted <= bench.grants()
    return Ready(start, words, sent, normal(bench.state()))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_killed_anywhere_the_same_command_ends_the_same(
    bench: Bench, case: Case, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """With its journal: one application, one enterprise application, one entry, the same grants, listed or not, and one
    secret, which is the saved one."""
    ready = prepared(bench, case, tmp_path / "start")
    failures = {}
    for kill in ready.kills(case):
        ready.start.restore(bench.tenant, bench.console.folder)
        died = bench.run(ready.words, kill)
        again = bench.run(ready.words)
        wrong = differences(normal(bench.state()), ready.wanted)
        wrong += [f"it died with {died.code}: {died.all}"] if died.code != KILLED else []
        wrong += [f"the next run ended with {again.code}: {again.all}"] if again.code else []
        wrong += [f"the secret: {bench.secret()}"] if bench.secret() != case.secret else []
        if wrong:
            failures[f"{kill} ({ready.sent[kill.number - 1]})"] = wrong
    kills = ready.kills(case)
    record_property(
        "figure", f"crashes: {case.name}, {len(kills)} kills at {len(kills) // 2} of {len(ready.sent)} writes"
    )
    assert failures == {}, listed(failures)


@pytest.mark.parametrize("case", [case for case in CASES if not case.journals], ids=lambda case: case.name)
def test_killed_anywhere_and_the_journal_lost_the_playbook_is_still_reached(
    bench: Bench, case: Case, tmp_path: Path
) -> None:
    """Without its journal: the same, but that grants which the playbook does not list are lost where the kill fell after
    their removal, which is said; and that a secret which nobody saved is refused and not answered with another."""
    ready = prepared(bench, case, tmp_path / "start")
    failures = {}
    for kill in ready.kills(case):
        ready.start.restore(bench.tenant, bench.console.folder)
        died = bench.run(ready.words, kill)
        taken, secret = case.unlisted - bench.grants(), bench.secret()
        shutil.rmtree(bench.journals, ignore_errors=True)
        again = bench.run(ready.words)
        lost = case.unlisted - bench.grants()
        wrong = differences(bar(normal(bench.state()), case.forgets), bar(without(ready.wanted, lost), case.forgets))
        known = normal(bench.state()) == ready.wanted
        wrong += [] if known or not case.forgets or "no journal lies here" in again.all else [f"not said: {again.all}"]
        wrong += [f"it died with {died.code}: {died.all}"] if died.code != KILLED else []
        wrong += [f"lost, though it stood: {sorted(lost - taken)}"] if lost - taken else []
        wrong += [f"lost, and not said: {sorted(lost)}: {again.all}"] if lost and not said(again.all) else []
        if secret == "lost" and case.secret == "saved":
            wrong += [] if again.code == 1 and "live secret of ours" in again.all else [f"{again.code}: {again.all}"]
            wrong += [f"the secret: {bench.secret()}"] if bench.secret() != "lost" else []
        else:
            wrong += [f"the next run ended with {again.code}: {again.all}"] if again.code else []
            wrong += [f"the secret: {bench.secret()}"] if bench.secret() != case.secret else []
        if wrong:
            failures[f"{kill} ({ready.sent[kill.number - 1]})"] = wrong
    assert failures == {}, listed(failures)


def test_an_undo_whose_journal_is_lost_writes_nothing(bench: Bench, tmp_path: Path) -> None:
    """Killed in its middle, its journal deleted: there is no such run, and what is there stays as it is; apply ends it."""
    [case] = [case for case in CASES if case.journals]
    ready = prepared(bench, case, tmp_path / "start")
    ready.start.restore(bench.tenant, bench.console.folder)
    whole = normal(bench.state())
    bench.run(ready.words, ready.kills(case)[2])
    shutil.rmtree(bench.journals)
    held = bench.state()
    again = bench.run(ready.words)
    assert again.code == 2
    assert "there is no run" in again.err
    assert bench.state() == held
    assert bench.run(APPLY).code == 0
    assert differences(normal(bench.state()), whole) == []


def said(text: str) -> bool:
    """Whether a run speaks of grants that only a journal would have known."""
    return "journal" in text and "grant" in text


def without(wanted: State, lost: frozenset[Grant] | set[Grant]) -> State:
    """A normal state without what an entry of ours held besides the playbook."""
    exchange: dict[str, Any] = dict(wanted["exchange"])
    for part in ("mailboxPermissions", "recipientPermissions"):
        exchange[part] = [
            row
            for row in exchange[part]
            if not (
                row.get("User", row.get("Trustee")) == f"enterprise application of {LABEL}"
                and {(row["Identity"], right) for right in row["AccessRights"]} <= lost
            )
        ]
    return {**wanted, "exchange": exchange}


def bar(state: State, part: str) -> State:
    """A normal state without a part of Exchange's."""
    return {**state, "exchange": {name: rows for name, rows in state["exchange"].items() if name != part}}


def listed(failures: dict[str, list[str]]) -> str:
    return "\n".join(f"{kill}: {text}" for kill, wrong in failures.items() for text in wrong)
