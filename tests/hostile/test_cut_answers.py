"""A good login, broken off after every single byte that the server sends."""

import ssl
import time
from collections.abc import Callable, Mapping

import pytest

from hostile.rogue import ANSWER, GOOD, GOODBYE, PROTOCOLS, Rogue, Visit, check, reset
from scripted import Peer

# What Exchange says (vendor page's samples; email-oauth2-proxy#74, vmime#267, MailKit#1770).
EXCHANGE: Mapping[str, Mapping[str, bytes]] = {
    "imap": GOOD["imap"] | {
        "greeting": b"* OK The Microsoft Exchange IMAP4 service is ready. [TABPADQAUAAxADIAMwBDAEEAMAAwADAANQA=]\r\n",
        "CAPABILITY": b"* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+\r\n%t OK CAPABILITY completed.\r\n",
        "ANSWER": b"%t OK AUTHENTICATE completed.\r\n",
        "EXAMINE": b"* 2 EXISTS\r\n* 0 RECENT\r\n* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $MDNSent)\r\n"
                   b"* OK [PERMANENTFLAGS ()] Permanent flags\r\n* OK [UIDVALIDITY 14] UIDVALIDITY value\r\n%t OK [READ-ONLY] EXAMINE completed.\r\n",
    },
    "pop": GOOD["pop"] | {
        "greeting": b"+OK The Microsoft Exchange POP3 service is ready. [TABPADQAUAAxADIAMwBDAEEAMAAwADAANQA=]\r\n",
        "CAPA": b"+OK\r\nTOP\r\nUIDL\r\nSASL PLAIN XOAUTH2\r\nUSER\r\n.\r\n",
        "ANSWER": b"+OK User successfully authenticated.\r\n",
    },
    "smtp": GOOD["smtp"] | {
        "greeting": b"220 LO4P123CA0005.outlook.office365.com Microsoft ESMTP MAIL Service ready at Mon, 2 Feb 2026 10:00:00 +0000\r\n",
        "EHLO": b"250-LO4P123CA0005.outlook.office365.com Hello [127.0.0.1]\r\n250-SIZE 157286400\r\n250-PIPELINING\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n250-STARTTLS\r\n250-8BITMIME\r\n250-BINARYMIME\r\n250-CHUNKING\r\n250 SMTPUTF8\r\n",
        "STARTTLS": b"220 2.0.0 SMTP server ready\r\n",
        "EHLO+": b"250-LO4P123CA0005.outlook.office365.com Hello [127.0.0.1]\r\n250-SIZE 157286400\r\n250-PIPELINING\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n250-AUTH LOGIN XOAUTH2\r\n250-8BITMIME\r\n250-BINARYMIME\r\n250-CHUNKING\r\n250 SMTPUTF8\r\n",
        "ANSWER": b"235 2.7.0 Authentication successful\r\n",
        "MAIL": b"250 2.1.0 Sender OK\r\n",
    },
}  # fmt: skip


class Cut:
    """Lets so many bytes through, over a whole connection, and ends it in a given way."""

    def __init__(self, after: int, end: Callable[[Peer], None]) -> None:
        self.left, self._end = after, end

    def __call__(self, peer: Peer, data: bytes) -> None:
        part = data[: self.left]
        self.left -= len(part)
        if part:
            peer.send(part)
        if not self.left:
            self._end(peer)


def leave(peer: Peer) -> None:
    raise EOFError


def goodbye(peer: Peer) -> None:
    """End TLS as it should be ended."""
    if isinstance(peer.socket, ssl.SSLSocket):
        peer.socket.settimeout(0.01)
        peer.socket.unwrap()
    raise EOFError


ENDS = (leave, goodbye, reset)


def size(protocol: str, answers: Mapping[str, bytes], *, whole: bool) -> int:
    """Bytes that the server sends, to the end or up to the proof. A tag has five."""
    return sum(len(said.replace(b"%t", b"ABCD1")) for step, said in answers.items() if whole or step not in GOODBYE)


def cut(rogue: Rogue, protocol: str, answers: Mapping[str, bytes]) -> int:
    """One login for each place to cut at; how many there were."""
    proven = size(protocol, answers, whole=False)
    whole = size(protocol, answers, whole=True)
    for after in range(1, whole + 1):
        cutter = Cut(after, ENDS[after % len(ENDS)])
        reading, visit = rogue.meet(protocol, rogue.dialogue(protocol, answers, send=cutter))
        check(reading, visit)
        _judge(reading.ok, reading.unreachable, after, proven, visit)
    return whole


def _judge(ok: bool, unreachable: bool, after: int, proven: int, visit: Visit) -> None:
    if after < proven - 2:
        assert not ok, f"a login was proven by {after} of {proven} bytes"
    if after > proven:
        assert ok, f"{after} of {proven} bytes are a whole login"
    assert not (ok and unreachable)
    # The token goes out in answer to a challenge, once, whole.
    assert visit.under_tls.count(ANSWER.encode()) == ("ANSWER" in visit.steps)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_login_cut_anywhere_is_a_failed_reading(rogue: Rogue, protocol: str, record_property) -> None:
    """At every byte of the shortest good dialogue: no proof before the last line, no exception, no token out of turn."""
    tried = cut(rogue, protocol, GOOD[protocol])
    record_property("figure", f"{protocol}: a login of {tried} bytes cut at each of them")


@pytest.mark.slow
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_exchanges_own_dialogue_cut_anywhere_is_a_failed_reading(rogue: Rogue, protocol: str, record_property) -> None:
    """The same in Exchange's words."""
    tried = cut(rogue, protocol, EXCHANGE[protocol])
    record_property("figure", f"{protocol}: Exchange's login of {tried} bytes cut at each of them")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_login_that_stops_anywhere_meets_the_deadline(rogue: Rogue, protocol: str) -> None:
    """Silence after some bytes, in each answer's first, middle and last: the reading names the time that it was given."""
    answers, start = GOOD[protocol], 0
    for step, said in answers.items():
        if step in GOODBYE:
            continue
        length = len(said.replace(b"%t", b"ABCD1"))
        after = start + length // 2
        start += length
        reading, visit = rogue.meet(protocol, rogue.dialogue(protocol, answers, send=Cut(after, _hold)), timeout=0.3)
        check(reading, visit)
        assert not reading.ok
        assert reading.unreachable
        assert "no answer within 0.3 s" in reading.server


def _hold(peer: Peer) -> None:
    peer.socket.settimeout(10)
    peer.hear()
    raise EOFError


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_login_that_drips_meets_the_deadline(rogue: Rogue, protocol: str) -> None:
    """A byte now and then does not renew the time, which is the whole probe's."""

    def drip(peer: Peer, data: bytes) -> None:
        for byte in data * 4:
            time.sleep(0.02)
            peer.send(bytes([byte]))
        raise EOFError

    answers = {**GOOD[protocol], "greeting": b"x" * 10}
    reading, visit = rogue.meet(protocol, rogue.dialogue(protocol, answers, send=drip), timeout=0.5)
    check(reading, visit)
    assert (reading.stage, reading.unreachable) == ("greeting", True)
    assert reading.server == "no answer within 0.5 s"
