"""verify --send-to and --list on the sandbox: a message that really goes and is found again, and nothing without the wish."""

from collections.abc import Iterator
from typing import Any

import pytest

from desk import QUICKSTART, Desk
from exosp.letters import Wishes
from exosp.probes import Proof
from exosp.sandbox.faults import Faults
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options
from exosp.snapshot import Address
from exosp.verify import case, prove

SUPPORT = Address("support@contoso.com")


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The quickstart, applied once; a sandbox of its own, that no other test resets."""
    folder = tmp_path_factory.mktemp("letters")
    (folder / "playbook.yaml").write_text(QUICKSTART.read_text(encoding="utf-8"), encoding="utf-8")
    with Running(Options(faults="none")) as running:
        desk = Desk(folder, running, remoting="admin-api")
        desk.apply()
        yield desk


@pytest.fixture
def desk(applied: Desk) -> Desk:
    """No faults, and nothing asked yet."""
    tenant = applied.running.sandbox.tenant
    tenant.faults = Faults("none")
    tenant.requests["smtp"].clear()
    return applied


def proved(desk: Desk, **wishes: Any) -> dict[tuple[str, str], Proof]:
    """verify's proofs by mailbox and protocol."""
    with desk.session() as session:
        known = case(
            session.want, session.tenant, session.patience, audience=session.cloud.exchange_resource,
            wishes=Wishes(**wishes),
        )  # fmt: skip
        verdict = prove(known, session, session.patience, letters=session)
    return {(proof.probe.mailbox, proof.probe.protocol): proof for proof in verdict.proofs}


def fault(desk: Desk, **knobs: float) -> None:
    for name, value in knobs.items():
        desk.running.sandbox.tenant.faults.set(name.replace("_", "-"), value)


def smtp(desk: Desk, to: str = SUPPORT) -> Proof:
    return proved(desk, send_to=Address(to))[SUPPORT, "smtp"]


def sent(desk: Desk) -> int:
    return desk.requests()["smtp"].get("DATA", 0)


def held(desk: Desk) -> list[bytes]:
    box = desk.running.sandbox.tenant.exchange.by_address(SUPPORT)
    assert box is not None
    return [message["raw"] for message in box.messages]


def test_without_the_wish_nothing_is_sent(desk: Desk) -> None:
    """Every login is proven, no recipient is named, and no mailbox has a message more."""
    before = len(held(desk))
    proofs = proved(desk)
    assert all(proof.ok for proof in proofs.values())
    assert proofs[SUPPORT, "smtp"].proof == "accepted"
    assert not {"RCPT", "DATA", "message"} & set(desk.requests()["smtp"])
    assert len(held(desk)) == before


@pytest.mark.parametrize("faults", [{}, {"delivery_lag": 60, "message_id": 1}], ids=["at once", "later, renamed"])
def test_a_message_is_delivered_and_subjects_are_shown(desk: Desk, faults: dict[str, float]) -> None:
    """One message goes, is waited for, found and proven delivered, whatever id the server gives it; --list shows what was
    there, and the mailbox's flags are as before."""
    fault(desk, **faults)
    proofs = proved(desk, send_to=SUPPORT, listing=3)
    proof = proofs[SUPPORT, "smtp"]
    assert (proof.stage, proof.ok, proof.proof) == ("data", True, "delivered")
    assert sent(desk) == 1
    assert proof.message_id.encode() in held(desk)[-1]
    assert "Welcome to your mailbox" in proofs[SUPPORT, "imap"].subjects


def test_elsewhere_a_message_is_accepted_and_no_more(desk: Desk) -> None:
    """An address that is not in the playbook cannot be looked into: the server's 250 is the proof."""
    proof = smtp(desk, "someone@example.org")
    assert (proof.stage, proof.ok, proof.proof) == ("data", True, "accepted")
    assert proof.server.startswith("250 2.6.0 <exosp-")
    assert desk.requests()["smtp"]["recipient elsewhere"] == 1


def test_what_is_refused_after_data_is_said_with_the_servers_words(desk: Desk) -> None:
    """A login that passes MAIL FROM and whose message does not go is no proof."""
    fault(desk, mailbox_full=1)
    proof = smtp(desk)
    assert (proof.stage, proof.ok, proof.proof, proof.message_id) == ("data", False, None, "")
    assert proof.server.startswith("554 5.2.2 mailbox full")
    assert proof.cause
    assert proof.fix


@pytest.mark.parametrize(("knob", "arrived"), [("submission-lost-reply", True), ("submission-drop", False)])
def test_where_the_answer_is_lost_the_mailbox_tells_and_nothing_goes_twice(
    desk: Desk, knob: str, arrived: bool
) -> None:
    """Found in the mailbox, it is delivered; not found, verify says that it does not know. Either way one message went."""
    fault(desk, **{knob: 1})
    for turn in range(1, 8):
        before = len(held(desk))
        proof = smtp(desk)
        assert sent(desk) == turn
        if not proof.server.startswith("250 "):
            break
    assert proof.ok is arrived
    assert len(held(desk)) == before + arrived
    if arrived:
        assert (proof.stage, proof.proof) == ("data", "delivered")
    else:
        assert (proof.proof, proof.key) == (None, "unknown")
        assert (
            f"the server's answer to the message {proof.message_id} was lost: it may have been sent, or not"
            == proof.cause
        )
