"""Servers that mean harm where more than a login is asked for: sending a letter, finding it, listing subjects."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exosp.mail import Listing, Reading, Sent
from exosp.mail.imap_reading import find, newest
from exosp.mail.letter import compose
from exosp.mail.smtp import send
from hostile.rogue import ANSWER, GOOD, TOKEN, USER, Rogue, Visit, check
from hostile.test_bad_answers import ENDS, PIECES

LETTER = compose(USER, "desk@contoso.com", run="r1", now=datetime(2026, 2, 2, tzinfo=UTC))
ID = LETTER.message_id.encode()


def _headers(*lines: bytes) -> bytes:
    block = b"\r\n".join(lines) + b"\r\n\r\n"
    return b"* 2 FETCH (UID 9 BODY[HEADER.FIELDS (X)] {%d}\r\n%b)\r\n%%t OK done\r\n" % (len(block), block)


SENDING: Mapping[str, bytes] = {
    **GOOD["smtp"],
    "RCPT": b"250 taken\r\n",
    "DATA": b"354 go on\r\n",
    "MESSAGE": b"250 queued\r\n",
}
READING: Mapping[str, bytes] = {
    **GOOD["imap"],
    "UID": b"* SEARCH 9\r\n" + _headers(b"Message-ID: " + ID, b"Subject: x"),
    "FETCH": _headers(b"Subject: hello", b"From: a@b", b"Date: Mon, 2 Feb 2026 10:00:00 +0000", b"Message-ID: " + ID),
}
CALLS: Mapping[str, tuple[Mapping[str, bytes], Callable[..., Reading]]] = {
    "send": (SENDING, lambda endpoint, ca: send(endpoint, USER, TOKEN, LETTER, ca=ca, timeout=20)),
    "find": (READING, lambda endpoint, ca: find(endpoint, USER, TOKEN, LETTER.message_id, ca=ca, timeout=20)),
    "newest": (READING, lambda endpoint, ca: newest(endpoint, USER, TOKEN, 5, ca=ca, timeout=20)),
}
MAIL = [
    b"Subject: ", b"=?utf-8?b?AAAA?=", b"=?x\0?q?a?=", b"=?unicode_escape?q?\\ud800?=", b"=?idna?q?xn--a?=", b"=?hex?b?!!?=", b"=?utf-8?b?A?=", b"=?utf-7?q?+AGE-?=",
    b"Date: Mon, 02 Feb 2026 10:00:00 +99999999999999999999\r\n", b"Date: 99 Xxx 0000 99:99:99\r\n", b"From: \x1b[2J\xff\r\n", b" folded\r\n", b"\r\n\r\n", TOKEN.encode()[:200],
    b"Message-ID: " + ID + b"\r\n", b"* SEARCH 9 9 9\r\n", b"* SEARCH 99999999999999999999 x -1\r\n", b"* SEARCH\r\n", b"* 5 EXISTS\r\n", b"* 9999999999 EXISTS\r\n",
    _headers(b"Subject: " + b"A" * 5000), _headers(b"Subject: =?utf-8?q?=00=1b=e2=80=ae?="), b"* 1 FETCH (UID 1 BODY[HEADER.FIELDS (X)] NIL)\r\n", b"* 1 FETCH (BODY {7}\r\nab", b"%t OK done\r\n",
    b"354 more\r\n", b"250 \r\n", b"550 5.7.1 no\r\n",
]  # fmt: skip


def answers(good: Mapping[str, bytes], protocol: str) -> st.SearchStrategy[dict[str, bytes]]:
    late = {"UID", "FETCH", "EXAMINE", "RCPT", "DATA", "MESSAGE", "MAIL"}
    bad = st.lists(st.sampled_from([*PIECES[protocol], *ENDS, *MAIL]) | st.binary(max_size=12), max_size=6).map(
        b"".join
    )
    return st.fixed_dictionaries({step: (st.just(said) | bad) if step in late else st.just(said) for step, said in good.items()})  # fmt: skip


def _judge(name: str, came: Reading, visit: Visit) -> None:
    check(came, visit)
    assert visit.under_tls.count(ANSWER.encode()) <= 1
    assert visit.steps.count("DATA") <= 1
    if isinstance(came, Sent):
        assert came.message_id in ("", LETTER.message_id)
        assert bool(came.message_id) or not came.ok
        # Handed over whole and no answer heard: it may be there, and is never called unsent.
        assert came.message_id or "MESSAGE" not in visit.steps or re.match(r"[45]\d\d", came.server), came
    if isinstance(came, Listing):
        assert all(text.isprintable() and len(text) <= 200 for heading in came.headings for text in (heading.subject, heading.sender))  # fmt: skip
        assert len(came.headings) <= 5
    if name == "find" and came.ok:
        assert came.proof == "delivered"


def _run(name: str, examples: int, *, fixed: bool, rogue: Rogue) -> None:
    good, call = CALLS[name]
    protocol = "smtp" if name == "send" else "imap"

    @given(said=answers(good, protocol))
    @settings(max_examples=examples, deadline=None, derandomize=fixed, database=None, suppress_health_check=list(HealthCheck))  # fmt: skip
    def run(said: dict[str, bytes]) -> None:
        came, visit = rogue.receive(rogue.dialogue(protocol, said, patience=0.02), call)
        _judge(name, came, visit)

    run()


@pytest.mark.parametrize("name", CALLS)
def test_the_good_dialogue_is_one(rogue: Rogue, name: str) -> None:
    """What the rest is bent from: it succeeds, so that a refusal below means something."""
    good, call = CALLS[name]
    came, visit = rogue.receive(rogue.dialogue("smtp" if name == "send" else "imap", good), call)
    check(came, visit)
    assert came.ok, came


@pytest.mark.parametrize("name", CALLS)
def test_a_mailbox_that_lies_gets_a_reading(rogue: Rogue, name: str) -> None:
    """Whatever stands in headers, searches and answers to a letter: one reading, printable, and no letter sent twice."""
    _run(name, 20, fixed=True, rogue=rogue)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CALLS)
def test_a_mailbox_that_lies_gets_a_reading_at_length(rogue: Rogue, name: str, record_property) -> None:
    """The same, further."""
    _run(name, 250, fixed=False, rogue=rogue)
    record_property("figure", f"{name}: 250 mailboxes that lie")
