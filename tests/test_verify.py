"""verify as its users have it: how long it waits and how often it tries, what it sends, what it leaves out, what it writes."""

import json
import re
import threading
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from console import Console
from desk import Desk
from exosp.clouds import CLOUDS, Endpoint
from exosp.errors import Unreachable
from exosp.letters import Wishes
from exosp.mail import Reading
from exosp.playbook import parse
from exosp.probes import Proof, Sample, chosen
from exosp.report import text
from exosp.snapshot import Address
from exosp.verify import Verdict, case, prove
from planted import Ground

SUPPORT, SALES = "support@contoso.com", "sales@contoso.com"


class Watched:
    """A session, and who asked it what, when: logins in flight, tokens, letters."""

    def __init__(self, session: Any, desk: Desk) -> None:
        self._session, self._desk = session, desk
        self.tokens: list[tuple[float, str]] = []
        self.most, self.most_at_one = 0, 0
        self._now: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def token(self) -> Any:
        found = self._session.token()
        self.tokens.append((self._desk.running.sandbox.tenant.clock.now(), found.claims["uti"]))
        return found

    def login(self, protocol: Any, user: str, sender: str, token: Any) -> Any:
        with self._lock:
            self._now[user] += 1
            self.most = max(self.most, self._now.total())
            self.most_at_one = max(self.most_at_one, self._now[user])
        try:
            time.sleep(0.02)  # long enough for others to come in beside it
            return self._session.login(protocol, user, sender, token)
        finally:
            with self._lock:
                self._now[user] -= 1


def proving(where: "Desk | Ground", watch: type[Watched] = Watched, **how: Any) -> tuple[Verdict, Watched]:
    """The verdict, and what was watched."""
    desk = where if isinstance(where, Desk) else where.desk
    with ExitStack() as stack:
        session = stack.enter_context(where.session()) if isinstance(where, Desk) else where.session
        how = {"surely": False} | how
        found = case(session.want, session.tenant, session.patience, audience=session.cloud.exchange_resource, **how)
        watched = watch(session, desk)
        return prove(found, watched, session.patience, letters=watched), watched


# Waiting


def test_tries_lie_five_minutes_apart_and_more_each_with_a_token_of_its_own(unkind: Callable[..., Desk]) -> None:
    """Failing logins prolong what is waited for; and a token from a cache would keep its old roles."""
    desk = unkind("none,grant-lag=5400")
    desk.apply()
    verdict, watched = proving(desk, wait=4 * 3600.0)
    assert verdict.proven
    times = [at for at, _ in watched.tokens]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert len(pauses) >= 2
    assert min(pauses) >= 299
    assert pauses[:2] == sorted(pauses[:2])
    assert len({token for _, token in watched.tokens}) == len(watched.tokens)
    assert len(watched.tokens) < 10


@pytest.mark.parametrize(("wait", "paused"), [(3600.0, True), (0.0, False)])
def test_a_fresh_grant_is_left_alone_before_the_first_try_where_there_is_time(
    desk: Desk, wait: float, paused: bool
) -> None:
    """With --wait the first login comes five minutes after the grant; without, at once."""
    desk.apply()
    began = desk.running.sandbox.tenant.clock.now()
    verdict, watched = proving(desk, wait=wait)
    assert verdict.proven
    assert (watched.tokens[0][0] - began > 240) is paused


def test_what_no_time_mends_is_not_waited_for(ground: Ground) -> None:
    """One round, whatever the wait."""
    ground.box().cas["ImapEnabled"] = False
    verdict, watched = proving(ground, wait=4 * 3600.0)
    assert [cause.key for cause in verdict.causes] == ["protocol-off"]
    assert len(watched.tokens) == 1


def test_the_journal_says_how_old_a_grant_is(unkind: Callable[..., Desk], tmp_path: Path) -> None:
    """Its run is named; without the journal the application's own age is the most that it can be; and where that is
    old, nobody knows."""
    desk = unkind("none,grant-lag=5400")
    console = Console(tmp_path, desk.environment)
    assert console.here("apply", "playbook.yaml", "--yes", "--journal", "kept").code == 0
    [run] = (tmp_path / "kept").glob("*/*/*.jsonl")
    console_verify = ("verify", "playbook.yaml", "--format", "json", "--journal")
    known = console.here(*console_verify, "kept").document["probes"][0]
    assert known["proof"] == "too-early"
    assert re.search(rf"granted \d+ seconds? ago \(run {run.stem}\)", known["cause"])
    assert 0 <= known["age"] < 60
    most = console.here(*console_verify, "none").document["probes"][0]
    assert "granted at most" in most["cause"]
    for app in desk.running.sandbox.tenant.directory.applications.values():
        app.properties["createdDateTime"] = "2025-01-01T00:00:00Z"
    unknown = console.here(*console_verify, "none").document["probes"][0]
    assert "age unknown" in unknown["cause"]
    assert unknown["age"] is None
    assert not (tmp_path / "none").exists()


def test_a_fault_between_two_tries_does_not_end_the_wait(unkind: Callable[..., Desk]) -> None:
    """The token endpoint is not heard once, later the mail servers are not: neither says that waiting is in vain."""

    class Shaky(Watched):
        def token(self) -> Any:
            found = super().token()
            if len(self.tokens) == 2:
                raise Unreachable("not heard", may_have_happened=False, transient=False, service="token")
            return found

        def login(self, *given: Any) -> Any:
            if len(self.tokens) == 3:
                return Reading("connect", False, None, "the connection was refused", (), True)
            return super().login(*given)

    desk = unkind("none,grant-lag=5400")
    desk.apply()
    verdict, watched = proving(desk, Shaky, wait=4 * 3600.0)
    assert verdict.proven
    assert len(watched.tokens) > 3


@pytest.mark.parametrize(("host", "seconds"), [("outlook.office365.com", 300.0), ("localhost", 2.0)])
def test_how_far_tries_lie_apart_is_the_clouds(host: str, seconds: float) -> None:
    """Exchange's cache is prolonged by failing logins; nothing of the kind stands before this machine's own loopback."""
    here = "https://localhost:1"
    cloud = replace(
        CLOUDS["global"], login=here, graph=here, admin_api=here, imap=Endpoint(host, 993),
        pop=Endpoint("localhost", 1), smtp=Endpoint("localhost", 1),
    )  # fmt: skip
    assert cloud.apart == seconds


# Letters


def letters(verdict: Verdict) -> Proof:
    [sent] = [proof for proof in verdict.proofs if proof.probe.protocol == "smtp"]
    return sent


def test_nothing_is_sent_unless_asked_for(ground: Ground) -> None:
    """The mailboxes hold what they held."""
    before = [len(box.messages) for box in ground.tenant.exchange.mailboxes]
    verdict, _ = proving(ground)
    assert [len(box.messages) for box in ground.tenant.exchange.mailboxes] == before
    assert {proof.proof for proof in verdict.proofs} == {"opened", "accepted"}


def test_a_letter_is_sent_to_the_end_and_found_again(ground: Ground) -> None:
    """Delivered: with its Message-ID, in the mailbox named; the newest subjects are shown where asked for."""
    verdict, _ = proving(ground, wishes=Wishes(Address(SALES), 2))
    sent = letters(verdict)
    assert (sent.ok, sent.proof) == (True, "delivered")
    assert sent.message_id.encode() in ground.box(SALES).messages[-1]["raw"]
    listed = {proof.probe.mailbox: proof.subjects for proof in verdict.proofs if proof.probe.protocol == "imap"}
    assert listed[SUPPORT] == ("Welcome to your mailbox",)
    assert len(listed[SALES]) == 2
    assert verdict.proven


def test_a_letter_to_a_mailbox_that_is_not_ours_is_accepted_and_no_more(ground: Ground) -> None:
    """Nobody may look for it there."""
    sent = letters(proving(ground, wishes=Wishes(Address("private@contoso.com")))[0])
    assert (sent.ok, sent.proof) == (True, "accepted")
    assert sent.message_id


def test_a_letter_that_does_not_arrive_is_not_proven(ground: Ground) -> None:
    """It was taken, and within two minutes it is not there: said, with where to look."""

    class Lost(Watched):
        def find_message(self, user: str, message_id: str, token: Any) -> Reading:
            return Reading("search", False, None, "", (), False)

    verdict, _ = proving(ground, watch=Lost, wishes=Wishes(Address(SALES)))
    sent = letters(verdict)
    assert (sent.ok, sent.proof, sent.key) == (False, None, "not-delivered")
    assert "quarantine" in sent.fix
    assert not verdict.proven


# What must be refused, what cannot be tried


@pytest.mark.parametrize(
    ("address", "proves"), [("private@contoso.com", True), ("privat@contoso.com", False), (SALES, False)]
)
def test_a_refusal_proves_something_only_where_there_is_a_mailbox(ground: Ground, address: str, proves: bool) -> None:
    """A misspelt --negative is refused as well, and would be a proof for the wrong reason; an open one is a failure."""
    verdict, _ = proving(ground, negative=(Address(address),))
    [negative] = [proof for proof in verdict.proofs if proof.probe.expect == "refuse"]
    assert negative.ok is proves
    assert verdict.proven is proves
    assert proves or "no mailbox has this address" in negative.cause or "open to it" in negative.cause


def test_a_refusal_where_the_protocol_is_off_says_nothing_of_rights(ground: Ground) -> None:
    """IMAP answers the same for both: the switch is looked at."""
    ground.box("private@contoso.com").cas["ImapEnabled"] = False
    verdict, _ = proving(ground, negative=(Address("private@contoso.com"),))
    [negative] = [proof for proof in verdict.proofs if proof.probe.expect == "refuse"]
    assert not negative.ok
    assert "IMAP is off for that mailbox" in negative.cause
    assert not verdict.proven


def test_a_credential_that_is_elsewhere_is_not_provable_here_and_never_passed(ground: Ground) -> None:
    """Every login says so, the screen too; no login is counted as good."""
    ground.desk.credential.unlink()
    verdict, _ = proving(ground)
    assert {(proof.proof, proof.stage, proof.ok) for proof in verdict.proofs} == {("not-provable-here", "token", False)}
    assert not verdict.proven
    assert "not provable here" in text.proof(verdict.proofs[0])
    assert "whoever made it has its text" in text.verdict(verdict)
    said = " ".join(text.verdict(verdict).split())
    assert "0 of 4 logins came out right." in said
    assert "so from here nothing is proven" in said


# Many mailboxes

MANY = """\
exosp: 1
tenant: contoso.onmicrosoft.com
app: {key: support-desk, name: Support Desk Mail, credential: {type: secret, valid_for: 180d, save_to: support-desk.env}}
protocols: [imap]
mailboxes:
"""


def many(count: int) -> str:
    boxes = [f"  - box{number:05d}@contoso.com" for number in range(count)]
    boxes[count // 2] = f"  - {{address: box{count // 2:05d}@contoso.com, protocols: [pop]}}"
    boxes[-1] = f"  - {{address: box{count - 1:05d}@contoso.com, protocols: [imap, pop, smtp]}}"
    return MANY + "\n".join(boxes) + "\nexchange: {remoting: winrm}\n"


@pytest.mark.parametrize("seed", range(20))
def test_a_sample_covers_every_protocol_and_can_be_repeated(seed: int) -> None:
    """So many mailboxes, more only where a protocol would be missed; the seed makes the same choice again."""
    want = parse(many(500), Path("/p/playbook.yaml"), {})
    for count in (1, 2, 3, 20):
        some = chosen(want, Sample(count, seed))
        assert count <= len(some) <= max(count, 3)
        assert {protocol for box in some for protocol in box.protocols} == {"imap", "pop", "smtp"}
        assert some == chosen(want, Sample(count, seed))
        assert list(some) == [box for box in want.boxes if box in some]


def test_samples_of_other_seeds_are_others() -> None:
    """By chance, not always the first ones."""
    want = parse(many(500), Path("/p/playbook.yaml"), {})
    assert len({chosen(want, Sample(5, seed)) for seed in range(10)}) == 10


def test_a_sample_says_what_it_leaves_unproven(unkind: Callable[..., Desk]) -> None:
    """n of m, with the seed, on the screen and in the document; a sample of all is none."""
    desk = unkind("none", mailboxes=6)
    desk.write(many(6))
    console = Console(desk.folder, desk.environment)
    assert console.here("apply", "playbook.yaml", "--yes").code == 0
    shown = console.here("verify", "playbook.yaml", "--sample", "3", "--seed", "7")
    assert shown.code == 0
    said = " ".join(shown.out.split())
    assert "3 of 6 mailboxes were probed (--seed 7); of the other 3 nothing is proven." in said
    assert "--seed 7 repeats the choice" in shown.err
    document = console.here("verify", "playbook.yaml", "--sample", "3", "--seed", "7", "--format", "json").document
    assert document["sample"] == {"probed": 3, "of": 6, "seed": 7}
    assert len({probe["mailbox"] for probe in document["probes"]}) == 3
    every = console.here("verify", "playbook.yaml", "--sample", "6", "--format", "json").document
    assert "sample" not in every


@pytest.mark.parametrize("in_flight", [1, 4])
def test_no_more_logins_are_in_flight_than_allowed(unkind: Callable[..., Desk], in_flight: int) -> None:
    """And never more than three to one mailbox, whatever is allowed in all."""
    desk = unkind("none", mailboxes=8)
    desk.write(many(8))
    desk.apply()
    verdict, watched = proving(desk, in_flight=in_flight)
    assert verdict.proven
    assert watched.most == in_flight
    assert watched.most_at_one <= 3


def test_who_interrupts_does_not_wait_for_the_logins_to_come(unkind: Callable[..., Desk]) -> None:
    """Those that are under way end, the others are not begun."""
    desk = unkind("none", mailboxes=30)
    desk.write(many(30))
    desk.apply()

    class Interrupted(Watched):
        begun = 0

        def login(self, *given: Any) -> Any:
            type(self).begun += 1
            if self.begun == 2:
                raise KeyboardInterrupt
            return super().login(*given)

    with pytest.raises(KeyboardInterrupt):
        proving(desk, Interrupted, in_flight=2)
    assert Interrupted.begun < 15


# Files


def test_the_result_goes_to_files_by_their_ends(desk: Desk) -> None:
    """JUnit and the document, whole, beside the screen; the same verdict in each."""
    console = Console(desk.folder, desk.environment)
    assert console.here("apply", "playbook.yaml", "--yes").code == 0
    found = console.here("verify", "playbook.yaml", "-o", "out.xml", "--output", "out.json")
    assert found.code == 0
    document = json.loads((desk.folder / "out.json").read_text())
    assert document["schema"] == "exosp/verify/1"
    assert len(document["probes"]) == 4
    cases = ET.parse(desk.folder / "out.xml").getroot().iter("testcase")
    assert len(list(cases)) == 6
    assert [path.name for path in desk.folder.iterdir() if path.name.endswith(".tmp")] == []


@pytest.mark.parametrize("name", ["out.txt", "nowhere/out.xml"])
def test_a_file_that_cannot_be_written_is_said_before_anything_is_asked(desk: Desk, name: str) -> None:
    """Exit 2, and no request."""
    console = Console(desk.folder, desk.environment)
    before = desk.requests()
    found = console.here("verify", "playbook.yaml", "-o", name)
    assert found.code == 2
    assert "--output" in found.err
    assert desk.requests() == before
