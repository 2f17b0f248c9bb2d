"""The POP3 door, judged by poplib, curl and hand-written lines. Texts are Exchange's, at Exchange's moments."""

import base64
import poplib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from doors_fixture import (
    APPLICATION_OBJECT_ID,
    USER,
    Doors,
    Wire,
    grant,
    mailbox,
    message,
    register,
    token,
    xoauth2,
)

from exosp.sandbox.doors import pop, store, wording
from exosp.sandbox.tenant import Options, Tenant

REFUSED = "-ERR Authentication failure: unknown user name or bad password."


@pytest.fixture
def doors() -> Iterator[Doors]:
    with Doors() as opened:
        yield opened


class Pop(poplib.POP3_SSL):
    """poplib with the vendor's two-step AUTH, which it has no method for."""

    def xoauth2(self, response: str) -> bytes:
        self._shortcmd("AUTH XOAUTH2")  # type: ignore[attr-defined]  # typeshed leaves out what is private
        return self._shortcmd(response)  # type: ignore[attr-defined,no-any-return]


def client(doors: Doors) -> Pop:
    session = Pop("localhost", doors.pop, context=doors.trust(), timeout=10)
    doors.clients.callback(session.close)
    return session


def greeted(doors: Doors) -> Wire:
    wire = doors.wire(doors.pop, tls=True)
    assert wire.line().startswith("+OK The Microsoft Exchange POP3 service is ready. [")
    return wire


def log_in(wire: Wire, doors: Doors, user: str = USER) -> str:
    assert wire.ask("AUTH XOAUTH2") == "+ "
    return wire.ask(xoauth2(user, token(doors.tenant)))


# -- clients that share no code with the sandbox ---------------------------------------------------------------------


def test_poplib_reads_and_removes(doors: Doors) -> None:
    """The standard library's client logs in in two steps, lists, reads, and its deletion happens at QUIT."""
    session = client(doors)
    assert "emulated" in session.getwelcome().decode()
    assert session.capa() == {"TOP": [], "UIDL": [], "SASL": ["PLAIN", "XOAUTH2"], "USER": []}
    assert session.xoauth2(xoauth2(USER, token(doors.tenant))) == b"+OK User successfully authenticated."
    sizes = [len(message("first letter")), len(message("second letter"))]
    assert session.stat() == (2, sum(sizes))
    assert session.list()[1] == [f"1 {sizes[0]}".encode(), f"2 {sizes[1]}".encode()]
    assert session.uidl()[1] == [b"1 7", b"2 9"]
    assert session.uidl(2) == b"+OK 2 9"
    assert b"\r\n".join(session.retr(2)[1]) + b"\r\n" == message("second letter")
    assert session.top(1, 0)[1][-2:] == [b"Date: Mon, 02 Feb 2026 10:00:00 +0000", b""]
    session.dele(1)
    assert session.stat() == (1, sizes[1])
    assert [m["uid"] for m in mailbox(doors.tenant).messages] == [7, 9]
    session.quit()
    assert [m["uid"] for m in mailbox(doors.tenant).messages] == [9]


def test_poplib_sees_the_two_refusals_at_their_two_stages(doors: Doors) -> None:
    """A wrong token fails at AUTH; a missing grant lets AUTH pass and fails at STAT."""
    session = client(doors)
    with pytest.raises(poplib.error_proto, match="Authentication failure: unknown user name or bad password"):
        session.xoauth2(xoauth2(USER, token(doors.tenant, roles=["IMAP.AccessAsApp"])))
    session.xoauth2(xoauth2("private@contoso.com", token(doors.tenant)))
    with pytest.raises(poplib.error_proto, match="-ERR User is authenticated but not connected"):
        session.stat()


def test_curl_lists_and_reads(doors: Doors) -> None:
    """curl --oauth2-bearer lists and reads, and is refused a mailbox that nobody granted."""
    program = shutil.which("curl")
    if program is None:
        pytest.skip("no curl on this machine")
    base, access_token = f"pop3s://localhost:{doors.pop}", token(doors.tenant)
    listed = doors.curl(program, f"{base}/", access_token=access_token)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == [b"1", b"2"], listed.stderr
    read = doors.curl(program, f"{base}/1", access_token=access_token)
    assert read.stdout == message("first letter"), read.stderr
    refused = doors.curl(program, f"{base}/1", access_token=access_token, user="private@contoso.com")
    assert refused.returncode != 0


# -- refusals: text and stage ----------------------------------------------------------------------------------------

AT_AUTH: dict[str, Callable[[Tenant], str]] = {
    "bad signature": lambda t: xoauth2(USER, token(t)[:-8] + "AAAAAAAA"),
    "expired": lambda t: xoauth2(USER, token(t, exp=1)),
    "Graph audience": lambda t: xoauth2(USER, token(t, aud="https://graph.microsoft.com")),
    "ps.outlook.com audience": lambda t: xoauth2(USER, token(t, aud="https://ps.outlook.com")),
    "no role": lambda t: xoauth2(USER, token(t, roles=[])),
    "another protocol's role": lambda t: xoauth2(USER, token(t, roles=["IMAP.AccessAsApp", "SMTP.SendAsApp"])),
    "oid is the application's": lambda t: xoauth2(USER, token(t, oid=APPLICATION_OBJECT_ID)),
    "another application": lambda t: xoauth2(USER, token(t, appid=APPLICATION_OBJECT_ID)),
    "unknown user": lambda t: xoauth2("nobody@contoso.com", token(t)),
    "truncated base64": lambda t: xoauth2(USER, token(t))[:-3],
    "cancelled": lambda t: "*",
    "empty": lambda t: "",
}


@pytest.mark.parametrize("case", AT_AUTH)
def test_refused_at_auth(doors: Doors, case: str) -> None:
    """Whatever is wrong with token or identity is an authentication failure, and a good login may follow."""
    with greeted(doors) as wire:
        assert wire.ask("AUTH XOAUTH2") == "+ "
        assert wire.ask(AT_AUTH[case](doors.tenant)) == REFUSED
        assert log_in(wire, doors) == "+OK User successfully authenticated."


def _wrong_entry(tenant: Tenant) -> None:
    tenant.exchange.service_principals.clear()
    register(tenant, APPLICATION_OBJECT_ID)


def _switched_off(tenant: Tenant) -> None:
    mailbox(tenant).cas["PopEnabled"] = False


@pytest.mark.parametrize("spoil", [_wrong_entry, _switched_off])
def test_a_wrong_entry_and_pop_switched_off_are_refused_at_auth(doors: Doors, spoil: Callable[[Tenant], None]) -> None:
    """FACTS §4a: POP answers both with the authentication failure (IMAP tells a switched-off protocol later)."""
    spoil(doors.tenant)
    with greeted(doors) as wire:
        assert log_in(wire, doors) == REFUSED


def _ungranted(tenant: Tenant) -> None:
    mailbox(tenant).permissions.clear()


def _delayed(tenant: Tenant) -> None:
    mailbox(tenant).permissions.clear()
    grant(tenant, USER, effective_at=tenant.clock.now() + 3600)


def _denied(tenant: Tenant) -> None:
    grant(tenant, USER, deny=True)


def _mail_user(tenant: Tenant) -> None:
    mailbox(tenant).kind = "MailUser"


def _soft_deleted(tenant: Tenant) -> None:
    mailbox(tenant).soft_deleted = True


@pytest.mark.parametrize("spoil", [_ungranted, _delayed, _denied, _mail_user, _soft_deleted])
@pytest.mark.parametrize("command", ["STAT", "LIST", "UIDL", "NOOP"])
def test_authenticated_but_not_connected(doors: Doors, spoil: Callable[[Tenant], None], command: str) -> None:
    """A mailbox that does not open: AUTH passes, every command after it does not."""
    spoil(doors.tenant)
    with greeted(doors) as wire:
        assert log_in(wire, doors) == "+OK User successfully authenticated."
        assert wire.ask(command) == "-ERR User is authenticated but not connected"
        assert wire.ask("RETR 1") == "-ERR User is authenticated but not connected"
        assert wire.ask("QUIT").startswith("+OK ")


def test_a_delayed_grant_opens_when_its_time_has_come(doors: Doors) -> None:
    """The same login that did not connect does so after the lag."""
    _delayed(doors.tenant)
    with greeted(doors) as wire:
        log_in(wire, doors)
        assert wire.ask("STAT") == "-ERR User is authenticated but not connected"
    assert doors.tenant.faults.fired == {"grant-lag": 1}
    doors.tenant.clock.advance(3601)
    with greeted(doors) as wire:
        log_in(wire, doors)
        assert wire.ask("STAT").startswith("+OK 2 ")


def test_auth_on_one_line_ends_the_connection(doors: Doors) -> None:
    """The initial response belongs on its own line; a good token on the same one is a protocol error."""
    with greeted(doors) as wire:
        good = xoauth2(USER, token(doors.tenant))
        assert wire.ask(f"AUTH XOAUTH2 {good}") == "-ERR Protocol error. Connection is closed. 10"
        assert wire.closed()


def test_a_token_over_4096_characters_ends_the_connection(doors: Doors) -> None:
    """A token with many group claims is a protocol error; one just below the limit is not."""
    long = token(doors.tenant, groups=["x" * 3000])
    assert len(long) > pop.LONGEST_TOKEN
    with greeted(doors) as wire:
        assert wire.ask("AUTH XOAUTH2") == "+ "
        assert wire.ask(xoauth2(USER, long)) == "-ERR Protocol error. Connection is closed. 10"
        assert wire.closed()
    short = token(doors.tenant, groups=["x" * 1800])
    assert 2500 < len(short) <= pop.LONGEST_TOKEN
    with greeted(doors) as wire:
        assert wire.ask("AUTH XOAUTH2") == "+ "
        assert wire.ask(xoauth2(USER, short)) == "+OK User successfully authenticated."


def test_passwords_are_a_logon_failure(doors: Doors) -> None:
    """USER and PASS, and AUTH PLAIN: "Logon failure" answers a password, "Authentication failure" a token."""
    with greeted(doors) as wire:
        assert wire.ask(f"USER {USER}") == "+OK"
        assert wire.ask("PASS secret") == "-ERR Logon failure: unknown user name or bad password."
        assert wire.ask("AUTH PLAIN") == "+ "
        response = base64.b64encode(f"\0{USER}\0secret".encode()).decode()
        assert wire.ask(response) == "-ERR Logon failure: unknown user name or bad password."


# -- the session -----------------------------------------------------------------------------------------------------


def test_what_is_offered_and_what_is_no_command(doors: Doors) -> None:
    """CAPA and a bare AUTH list; commands out of place, unknown ones and numbers out of range are refused."""
    with greeted(doors) as wire:
        wire.send("CAPA\r\n")
        assert wire.until(".") == ["+OK", "TOP", "UIDL", "SASL PLAIN XOAUTH2", "USER", "."]
        wire.send("AUTH\r\n")
        assert wire.until(".") == ["+OK", "PLAIN", "XOAUTH2", "."]
        assert wire.ask("STAT") == "-ERR Command is not valid in this state."
        assert wire.ask("STLS").startswith("-ERR Protocol error.")
        log_in(wire, doors)
        assert wire.ask("AUTH XOAUTH2") == "-ERR Command is not valid in this state."
        for command in ("RETR 3", "RETR 0", "RETR x", "RETR", "DELE 99999999999999999999", "LIST 3", "TOP 3 1"):
            assert wire.ask(command) == "-ERR The specified message is out of range."
        assert wire.ask("TOP 1").startswith("-ERR ")


def test_rset_and_a_lost_connection_keep_messages(doors: Doors) -> None:
    """Only QUIT deletes: RSET takes marks back, and a cut connection forgets them."""
    with greeted(doors) as wire:
        log_in(wire, doors)
        assert wire.ask("DELE 1") == "+OK"
        assert wire.ask("DELE 1") == "-ERR The specified message is out of range."
        assert wire.ask("RSET") == "+OK"
        assert wire.ask("STAT").startswith("+OK 2 ")
        wire.ask("DELE 2")
    with greeted(doors) as wire:
        log_in(wire, doors)
        assert wire.ask("STAT").startswith("+OK 2 ")


def test_a_message_that_comes_during_a_session_is_not_in_it(doors: Doors) -> None:
    """Numbers are fixed at login, and a deletion removes the message that was meant."""
    with greeted(doors) as wire:
        log_in(wire, doors)
        store.deliver(doors.tenant, mailbox(doors.tenant), message("third letter"))
        store.remove(mailbox(doors.tenant), {7})
        assert wire.ask("STAT").startswith("+OK 2 ")
        wire.ask("DELE 2")
        wire.ask("QUIT")
    assert [m["uid"] for m in mailbox(doors.tenant).messages] == [10]


@pytest.mark.parametrize(
    "raw", [b".\r\n..\r\n.dots\r\n", b"Subject: x\r\n\r\n.\r\nend", b"Subject: x\n\nbare\n.\n", b""]
)
def test_dots_and_line_ends_survive(doors: Doors, raw: bytes) -> None:
    """A line of one dot within a message does not end it; line ends become CRLF."""
    mailbox(doors.tenant).messages[:] = [{"uid": 1, "raw": raw}]
    session = client(doors)
    session.xoauth2(xoauth2(USER, token(doors.tenant)))
    lines = session.retr(1)[1]
    assert b"\r\n".join(lines) == raw.replace(b"\r\n", b"\n").removesuffix(b"\n").replace(b"\n", b"\r\n")
    assert session.noop() == b"+OK"


def test_limits(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless line, silence, guessing and one connection too many each end with a line, not with a hang."""
    with greeted(doors) as wire:
        wire.send("x" * (pop.LIMITS.line + 1000) + "\r\n")
        assert wire.line() == "-ERR Protocol error. Connection is closed. 10"
    with greeted(doors) as wire:
        answers = [wire.ask("FROBNICATE") for _ in range(pop.LIMITS.failures)]
        assert set(answers) == {"-ERR Protocol error. 14"}
        assert wire.line().startswith("-ERR Connection is closed.")
        assert wire.closed()
    monkeypatch.setattr(pop, "LIMITS", replace(pop.LIMITS, idle=0.2))
    with greeted(doors) as wire:
        assert wire.line().startswith("-ERR Connection is closed.")
    monkeypatch.setattr(pop, "LIMITS", replace(pop.LIMITS, connections=0))
    with doors.wire(doors.pop, tls=True) as wire:
        assert wire.line().startswith("-ERR Connection is closed.")


def test_a_reset_ends_old_sessions(doors: Doors) -> None:
    """A login from before the reset sees nothing of the new tenant, and deletes nothing."""
    with greeted(doors) as wire:
        log_in(wire, doors)
        wire.ask("DELE 1")
        doors.tenant.reset(Options(faults="none"))
        assert wire.ask("QUIT").startswith("-ERR Connection is closed.")


def test_requests_are_counted_by_verb(doors: Doors) -> None:
    """Known verbs under their names, everything else under OTHER; a SASL response is no command."""
    with greeted(doors) as wire:
        log_in(wire, doors)
        for command in ("stat", "FROBNICATE", "QUIT"):
            wire.ask(command)
    assert doors.tenant.requests["pop"] == {"AUTH": 1, "STAT": 1, "OTHER": 1, "QUIT": 1}


FACTS_TEXTS = {  # FACTS.md §4a and §13, column "exact text"
    "-ERR Authentication failure: unknown user name or bad password.": wording.POP_AUTH_REFUSED,
    "-ERR Protocol error. Connection is closed. 10": wording.POP_PROTOCOL_ERROR,
    "-ERR User is authenticated but not connected": wording.POP_NOT_CONNECTED,
    "-ERR Logon failure: unknown user name or bad password.": wording.POP_LOGON_REFUSED,
}


@pytest.mark.parametrize("text", FACTS_TEXTS)
def test_the_texts_are_exchanges(text: str) -> None:
    """The table of texts this door emits, as they stand in the field's records; each is seen on the wire above."""
    assert FACTS_TEXTS[text] == text


# What other people's clients say besides, with the whole answer: RFC 1939, RFC 2449.
ODDITIES = [
    ("stat", ["+OK 2 {all}"]),
    ("LIST", ["+OK", "1 {1}", "2 {2}", "."]),
    ("LIST 2", ["+OK 2 {2}"]),
    ("LIST 02", ["+OK 2 {2}"]),
    ("LIST 3", ["-ERR The specified message is out of range."]),
    ("LIST x", ["-ERR The specified message is out of range."]),
    ("UIDL", ["+OK", "1 7", "2 9", "."]),
    ("UIDL 1", ["+OK 1 7"]),
    ("UIDL -1", ["-ERR The specified message is out of range."]),
    ("RETR", ["-ERR The specified message is out of range."]),
    ("TOP 1", ["-ERR Protocol error. 14"]),
    ("TOP 9 0", ["-ERR The specified message is out of range."]),
    ("NOOP", ["+OK"]),
    ("XTND XLST", ["-ERR Protocol error. 14"]),
    ("STLS", ["-ERR Protocol error. 14"]),
    ("APOP x y", ["-ERR Protocol error. 14"]),
    ("AUTH XOAUTH2", ["-ERR Command is not valid in this state."]),
    ("CAPA", ["+OK", "TOP", "UIDL", "SASL PLAIN XOAUTH2", "USER", "."]),
]


def opened(doors: Doors) -> Wire:
    wire = greeted(doors)
    assert log_in(wire, doors).startswith("+OK")
    return wire


@pytest.mark.parametrize(("command", "answer"), ODDITIES)
def test_what_clients_say_besides(doors: Doors, command: str, answer: list[str]) -> None:
    """Forms of commands that the capabilities allow, and those of servers that offer more."""
    sizes = [len(message("first letter")), len(message("second letter"))]
    with opened(doors) as wire:
        wire.send(f"{command}\r\n")
        told = [wire.line() for _ in answer]
        assert told == [line.replace("{all}", str(sum(sizes))).replace("{1}", str(sizes[0])).replace("{2}", str(sizes[1])) for line in answer]  # fmt: skip
        assert wire.ask("NOOP") == "+OK"


def test_top_gives_the_header_and_so_many_lines(doors: Doors) -> None:
    """TOP n 0 is the header and its empty line; beyond the body it is all of it."""
    head, body = message("first letter").split(b"\r\n\r\n")
    with opened(doors) as wire:
        for count, wanted in (("0", head + b"\r\n\r\n"), ("1", head + b"\r\n\r\n" + body), ("99999999999999999999", head + b"\r\n\r\n" + body)):  # fmt: skip
            wire.send(f"TOP 1 {count}\r\n")
            assert wire.line() == "+OK"
            assert wire.until(".")[:-1] == wanted.decode().split("\r\n")[:-1]
