"""Verified servers that answer out of all order: each step answered well, badly, early, endlessly or not at all."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exosp.mail import line
from hostile.rogue import ANSWER, GOOD, MOST, PROTOCOLS, TOKEN, USER, Play, Rogue, Visit, check
from scripted import Peer

# Pieces of answers, right and wrong, in every protocol's language. %t is the tag that is due.
PIECES = {
    "imap": [
        b"%t OK in\r\n", b"%t NO no\r\n", b"%t BAD bad\r\n", b"%t OK", b"ABCD9 OK done\r\n", b"A1 OK done\r\n", b"%t%t OK x\r\n",
        b"* OK still here\r\n", b"* NO\r\n", b"* BYE gone\r\n", b"* BYE\r\n", b"* PREAUTH you are in\r\n", b"* BAD\r\n", b"*\r\n",
        b"+ \r\n", b"+\r\n", b"+ AAAA\r\n", b"+ !!\r\n", b"* CAPABILITY\r\n", b"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2\r\n",
        b"* CAPABILITY IMAP4rev1 AUTH=PLAIN LOGINDISABLED\r\n", b"* 1 FETCH (BODY {4}\r\n", b"* 1 FETCH (BODY {65536}\r\n",
        b"* 1 FETCH (BODY {99999999999999999999}\r\n", b"* {-1}\r\n", b"* 0 EXISTS\r\n", b"* 99999999999999999999999 EXISTS\r\n",
        b"* OK [UNSEEN\r\n", b"* OK [READ-WRITE] x\r\n", b"* FLAGS (\xff\xfe)\r\n", b"OK\r\n", b" \r\n", b"%t\r\n", b"%t OK \0\r\n",
    ],
    "pop": [
        b"+OK\r\n", b"+OK in\r\n", b"-ERR no\r\n", b"-ERR\r\n", b"+ \r\n", b"+\r\n", b"+ AAAA\r\n", b"+O\r\n", b"+OKAY\r\n", b".\r\n", b"..\r\n",
        b"SASL XOAUTH2\r\n", b"SASL\r\n", b"\r\n", b" \r\n", b"+OK 2 3\r\n", b"+OK 99999999999999999999 1\r\n", b"+OK -1 -1\r\n", b"+OK \xff\r\n",
        b"-ERR \0\r\n", b"+OK", b"- \r\n", b"220 x\r\n",
    ],
    "smtp": [
        b"220 x\r\n", b"250 x\r\n", b"250-x\r\n", b"250\r\n", b"250 AUTH XOAUTH2\r\n", b"250-AUTH=XOAUTH2 XOAUTH2\r\n", b"250 STARTTLS\r\n", b"334 \r\n",
        b"334 AAAA\r\n", b"334 !!\r\n", b"235 in\r\n", b"535 no\r\n", b"535-no\r\n", b"421 gone\r\n", b"-1 x\r\n", b"25\r\n", b"2500 x\r\n", b"999 x\r\n",
        b"000 x\r\n", b"abc x\r\n", b"\r\n", b" \r\n", b"250 \xff\0\r\n", b"250 SIZE 99999999999999999999\r\n", b"\xd9\xa2\xd9\xa5\xd9\xa0 x\r\n", b"250",
    ],
}  # fmt: skip
ENDS = (b"\n", b"\r", b"\0", b"A" * 3000, b"\x1b[2J", b"\xe2\x80\xae")


def answers(protocol: str) -> st.SearchStrategy[dict[str, bytes]]:
    """A dialogue: most steps answered as they should be, some not."""
    bad = st.lists(st.sampled_from([*PIECES[protocol], *ENDS]) | st.binary(max_size=20), max_size=5).map(b"".join)
    return st.fixed_dictionaries({step: st.just(good) | st.just(good) | bad for step, good in GOOD[protocol].items()})


def _interactive(protocol: str, examples: int, *, fixed: bool) -> Callable[..., None]:
    @given(said=answers(protocol))
    @settings(
        max_examples=examples, deadline=None, derandomize=fixed, database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )  # fmt: skip
    def run(rogue: Rogue, said: dict[str, bytes]) -> None:
        reading, visit = rogue.meet(protocol, rogue.dialogue(protocol, said, patience=0.02))
        check(reading, visit)
        # Never unasked, never twice; and no proof from an answer that holds no yes.
        assert visit.under_tls.count(ANSWER.encode()) <= 1
        if "ANSWER" not in visit.steps:
            assert ANSWER.encode() not in visit.under_tls
        proof = {"imap": "EXAMINE", "pop": "STAT", "smtp": "MAIL"}[protocol]
        yes = {"imap": b"OK", "pop": b"+OK", "smtp": b"250"}[protocol]
        assert not reading.ok or any(yes in said[step] for step in [*visit.steps, proof])

    return run


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_out_of_order_gets_a_reading(rogue: Rogue, protocol: str) -> None:
    """Good and bad answers mixed, step by step: a Reading, printable, without the token, with a proof only where it is ok."""
    _interactive(protocol, 25, fixed=True)(rogue)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_out_of_order_gets_a_reading_at_length(rogue: Rogue, protocol: str, record_property) -> None:
    """The same with many more."""
    _interactive(protocol, 300, fixed=False)(rogue)
    record_property("figure", f"{protocol}: 300 dialogues out of order")


# One step answered wrongly, all else well; where the login ends, and whether the server's words decide.
WRONG: Mapping[str, Mapping[str, tuple[dict[str, bytes], str]]] = {
    "imap": {
        "PREAUTH": ({"greeting": b"* PREAUTH you are in\r\n"}, "greeting"),
        "BYE for a greeting": ({"greeting": b"* BYE full\r\n"}, "greeting"),
        "BYE for capabilities": ({"CAPABILITY": b"* BYE gone\r\n"}, "capability"),
        "BYE for a challenge": ({"AUTHENTICATE": b"* BYE gone\r\n"}, "auth"),
        "BYE after the token": ({"ANSWER": b"* BYE gone\r\n"}, "auth"),
        "BYE for the mailbox": ({"EXAMINE": b"* BYE gone\r\n"}, "open"),
        "another's tag": ({"CAPABILITY": b"* CAPABILITY AUTH=XOAUTH2\r\nXXXX1 OK done\r\n"}, "capability"),
        "another's tag for the login": ({"ANSWER": b"XXXX1 OK in\r\n"}, "auth"),
        "no XOAUTH2": ({"CAPABILITY": b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n%t OK done\r\n"}, "capability"),
        "XOAUTH2 in a longer word": ({"CAPABILITY": b"* CAPABILITY IMAP4rev1 AUTH=XOAUTH22\r\n%t OK done\r\n"}, "capability"),
        "capabilities refused": ({"CAPABILITY": b"%t BAD no\r\n"}, "capability"),
        "challenges without end": ({"ANSWER": b"+ \r\n"}, "auth"),
        "a literal of absurd size": ({"EXAMINE": b"* 1 FETCH (BODY {9999999999}\r\n"}, "open"),
        "a literal that does not come": ({"EXAMINE": b"* 1 FETCH (BODY {4000}\r\nabc"}, "open"),
        "yes to nothing": ({"EXAMINE": b"%t NO [NOPERM] no\r\n"}, "open"),
        "no before the token": ({"AUTHENTICATE": b"%t NO AUTHENTICATE failed.\r\n"}, "auth"),
    },
    "pop": {
        "a greeting that is no": ({"greeting": b"-ERR full\r\n"}, "greeting"),
        "a greeting that is a challenge": ({"greeting": b"+ \r\n"}, "greeting"),
        "no XOAUTH2": ({"CAPA": b"+OK\r\nSASL PLAIN\r\n.\r\n"}, "capability"),
        "a list without an end": ({"CAPA": b"+OK\r\nSASL XOAUTH2\r\n"}, "capability"),
        "yes before the token": ({"AUTH": b"+OK in\r\n"}, "auth"),
        "no before the token": ({"AUTH": b"-ERR Protocol error. 14\r\n"}, "auth"),
        "challenges without end": ({"ANSWER": b"+ \r\n"}, "auth"),
        "almost yes": ({"ANSWER": b"+OKAY\r\n"}, "auth"),
        "no numbers": ({"STAT": b"+OK\r\n"}, "open"),
    },
    "smtp": {
        "no XOAUTH2": ({"EHLO+": b"250 AUTH LOGIN\r\n"}, "capability"),
        "XOAUTH2 in a longer word": ({"EHLO+": b"250 AUTH XOAUTH22\r\n"}, "capability"),
        "STARTTLS again and no AUTH": ({"EHLO+": b"250 STARTTLS\r\n"}, "capability"),
        "yes before the token": ({"AUTH": b"235 in\r\n"}, "auth"),
        "gone before the token": ({"AUTH": b"421 gone\r\n"}, "auth"),
        "challenges without end": ({"ANSWER": b"334 \r\n"}, "auth"),
        "another yes": ({"ANSWER": b"250 in\r\n"}, "auth"),
        "a reply of many codes": ({"ANSWER": b"235-in\r\n535 out\r\n"}, "auth"),
        "the sender refused": ({"MAIL": b"550 no\r\n"}, "sender"),
    },
}  # fmt: skip


@pytest.mark.parametrize(("protocol", "what"), [(protocol, what) for protocol in PROTOCOLS for what in WRONG[protocol]])
def test_one_wrong_answer_ends_the_login_there(rogue: Rogue, protocol: str, what: str) -> None:
    """The reading is not ok and its stage is that of the wrong answer; before the challenge no token has gone out."""
    changes, stage = WRONG[protocol][what]
    reading, visit = rogue.meet(protocol, rogue.dialogue(protocol, GOOD[protocol] | changes, patience=0.1))
    check(reading, visit)
    assert (reading.stage, reading.ok) == (stage, False), reading
    if "ANSWER" not in changes and "EXAMINE" not in changes and "STAT" not in changes and "MAIL" not in changes:
        assert ANSWER.encode() not in visit.under_tls


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_answers_given_before_they_are_asked_for_draw_out_no_token(rogue: Rogue, protocol: str) -> None:
    """A server that says its whole part at once, without hearing ours, is no better off: the token waits for a challenge
    that comes after the question, or goes to a server that is verified all the same."""
    whole = b"".join(said.replace(b"%t", b"ABCD1") for said in GOOD[protocol].values())

    def play(peer: Peer, visit: Visit) -> None:
        if protocol != "smtp":
            peer.secure(rogue.context)
        peer.send(whole)
        peer.socket.settimeout(0.1)
        while data := peer.socket.recv(65536):
            (visit.secret if visit.secured else visit.plain).append(data)

    reading, visit = rogue.meet(protocol, play)
    check(reading, visit)
    assert not (reading.ok and protocol != "pop")  # POP has no tags: a verified server may have said so beforehand


# What costs memory, time or both -> the answer, given again and again; at which step.
FLOODS = {
    "a line": b"A" * 65536,
    "lines": b"* 1 EXISTS\r\n" * 4096,
    "empty lines": b"\n" * 65536,
    "replies that go on": b"250-more\r\n" * 4096,
    "challenges": b"+ \r\n334 \r\n" * 4096,
    "literals": b"* 1 FETCH (BODY {65000}\r\n" + b"A" * 65000 + b")\r\n",
    "zeros": b"\0" * 65536,
    "challenges in base64": b"334 "
    + base64.b64encode(b"x" * 45000)
    + b"\r\n+ "
    + base64.b64encode(b"x" * 45000)
    + b"\r\n",
    "parts of the token": (TOKEN[:-1] + " " + ANSWER[:-1] + "\r\n").encode() * 16,
}
_FLOODED = {"imap": ("CAPABILITY", "ANSWER", "EXAMINE"), "pop": ("CAPA", "ANSWER", "STAT"), "smtp": ("EHLO+", "ANSWER", "MAIL")}  # fmt: skip


def flood(rogue: Rogue, protocol: str, step: str, data: bytes) -> Play:
    """A dialogue that is good up to a step and answers that one without end."""

    def send(peer: Peer, said: bytes) -> None:
        peer.send(said)
        while said == data:
            peer.send(data)

    return rogue.dialogue(protocol, {**GOOD[protocol], step: data}, send=send)


Flood = tuple[str, str, str]  # protocol, step, name
_EVERY: list[Flood] = [
    (protocol, step, name) for protocol in PROTOCOLS for step in _FLOODED[protocol] for name in FLOODS
]


def test_no_server_costs_16_mib(rogue: Rogue, record_property: Callable[[str, object], None]) -> None:
    """Probes in a process of their own: neither Python's memory nor the process's grows by 16 MiB in a flood."""
    measure(rogue, [flood for flood in _EVERY if flood[1:] == ("ANSWER", "a line")], record_property)


@pytest.mark.slow
def test_no_server_costs_16_mib_in_any_flood(rogue: Rogue, record_property: Callable[[str, object], None]) -> None:
    """The same for all floods, at each step under TLS."""
    measure(rogue, _EVERY, record_property)


def measure(rogue: Rogue, floods: list[Flood], record_property: Callable[[str, object], None]) -> None:
    """Each flood's probe in one child process, and what it cost there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    place = os.pathsep.join([str(Path(line.__file__).parents[2]), str(Path(__file__).parents[1])])
    child = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("measured.py"))], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, env=environment | {"PYTHONPATH": place},
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None

    def ask(protocol: str, play: Play) -> dict[str, int]:
        rogue._play = play
        order = {"protocol": protocol, "port": rogue.endpoint.port, "ca": str(rogue.ca), "user": USER, "token": TOKEN}
        print(json.dumps(order), file=child.stdin, flush=True)
        assert child.stdout is not None
        came: dict[str, int] = json.loads(child.stdout.readline())
        rogue._visits.get(timeout=30)
        return came

    try:
        for protocol in PROTOCOLS:
            assert ask(protocol, rogue.dialogue(protocol, GOOD[protocol]))["ok"]
        worst = {"traced": 0, "resident": 0}
        for protocol, step, name in floods:
            came = ask(protocol, flood(rogue, protocol, step, FLOODS[name]))
            worst = {kind: max(worst[kind], came[kind]) for kind in worst}
            assert max(came["traced"], came["resident"]) < MOST, (protocol, step, name, came)
    finally:
        child.stdin.close()
        child.wait(30)
        child.stdout.close()
    said = ", ".join(f"{kind} {size / 1024:.0f} KiB" for kind, size in worst.items())
    record_property("figure", f"probes in {len(floods)} floods, at most: {said}")
    assert worst["traced"] > 65536  # it did measure
