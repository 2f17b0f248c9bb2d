"""The IMAP door, judged by imaplib, curl and hand-written lines. Texts are Exchange's, at Exchange's moments."""

import base64
import imaplib
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from doors_fixture import (
    APPLICATION_OBJECT_ID,
    USER,
    Doors,
    Wire,
    build_tenant,
    grant,
    mailbox,
    message,
    register,
    token,
    xoauth2,
)

from exosp.sandbox.doors import imap, store, wording
from exosp.sandbox.tenant import Options, Tenant

LETTER = (
    b'From: "O\'Neil, Ann" <ann@example.org>\r\nSender: desk@example.org\r\nTo: support@contoso.com,\r\n'
    b" Bob <bob@example.org>\r\nCc: carol@example.org\r\nSubject: Quarterly\r\n report\r\nMessage-ID: <q1@example.org>\r\n"
    b"In-Reply-To: <q0@example.org>\r\nDate: Tue, 03 Feb 2026 08:30:00 +0100\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="=_b"\r\n\r\npreamble\r\n--=_b\r\n'
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\ngr\xc3\xbc\xc3\x9fe\r\nline two\r\n--=_b\r\n"
    b'Content-Type: application/pdf; name="r.pdf"\r\nContent-Transfer-Encoding: base64\r\n'
    b'Content-Disposition: attachment; filename="r.pdf"\r\n\r\nJVBERi0=\r\n--=_b--\r\n'
)


@pytest.fixture
def doors() -> Iterator[Doors]:
    with Doors() as opened:
        yield opened


def client(doors: Doors) -> imaplib.IMAP4_SSL:
    session = imaplib.IMAP4_SSL("localhost", doors.imap, ssl_context=doors.trust(), timeout=10)
    doors.clients.callback(leave, session)
    return session


def leave(session: imaplib.IMAP4_SSL) -> None:
    with suppress(OSError):  # it has logged out by itself
        session.shutdown()


def logged_in(doors: Doors, user: str = USER, **claims: Any) -> imaplib.IMAP4_SSL:
    session = client(doors)
    response = f"user={user}\x01auth=Bearer {token(doors.tenant, **claims)}\x01\x01"
    session.authenticate("XOAUTH2", lambda challenge: response.encode())
    return session


def greeted(doors: Doors) -> Wire:
    wire = doors.wire(doors.imap, tls=True)
    assert wire.line().startswith("* OK The Microsoft Exchange IMAP4 service is ready. [")
    return wire


def authenticated(doors: Doors, user: str = USER, lifetime: float = 3599) -> Wire:
    wire = greeted(doors)
    assert wire.tagged(f"AUTHENTICATE XOAUTH2 {xoauth2(user, token(doors.tenant, lifetime))}") == ["A OK AUTHENTICATE completed."]  # fmt: skip
    return wire


def selected(doors: Doors, verb: str = "SELECT") -> Wire:
    wire = authenticated(doors)
    wire.tagged(f"{verb} INBOX")
    return wire


# -- clients that share no code with the sandbox ---------------------------------------------------------------------


def test_imaplib_lists_and_reads_a_mailbox(doors: Doors) -> None:
    """The standard library's client logs in, lists subjects, reads a message, flags it and removes it."""
    session = logged_in(doors)
    assert session.list()[1] == [b'(\\Marked \\HasNoChildren) "/" INBOX']
    assert session.lsub()[1] == [b'(\\Marked \\HasNoChildren) "/" INBOX']
    assert session.namespace()[1] == [b'(("" "/")) NIL NIL']
    assert session.status("INBOX", "(MESSAGES UNSEEN UIDNEXT)")[1] == [b"INBOX (MESSAGES 2 UNSEEN 2 UIDNEXT 10)"]
    assert session.select("INBOX") == ("OK", [b"2"])
    assert session.search(None, "ALL")[1] == [b"1 2"]
    assert session.search(None, "HEADER", "Message-ID", "<second-letter@example.org>")[1] == [b"2"]
    assert session.uid("SEARCH", "SUBJECT", '"FIRST"')[1] == [b"7"]
    kind, data = session.fetch("1:2", "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    assert kind == "OK"
    assert [part[1] for part in data if isinstance(part, tuple)] == [b"Subject: first letter\r\n\r\n", b"Subject: second letter\r\n\r\n"]  # fmt: skip
    assert session.search(None, "UNSEEN")[1] == [b"1 2"]
    read = session.uid("FETCH", "9", "(RFC822)")[1][0]
    assert isinstance(read, tuple)
    assert read[1] == message("second letter")
    assert session.search(None, "UNSEEN")[1] == [b"1"]
    assert session.store("1", "+FLAGS", r"(\Deleted)")[1] == [rb"1 (FLAGS (\Deleted))"]
    assert session.expunge()[1] == [b"1"]
    assert session.unselect()[0] == "OK"
    assert session.logout()[0] == "BYE"
    assert [m["uid"] for m in mailbox(doors.tenant).messages] == [9]


def test_imaplib_sees_the_two_refusals_at_their_two_stages(doors: Doors) -> None:
    """A wrong token fails at AUTHENTICATE; a missing grant lets AUTHENTICATE pass and fails at EXAMINE."""
    with pytest.raises(imaplib.IMAP4.error, match=r"AUTHENTICATE failed\."):
        logged_in(doors, roles=["SMTP.SendAsApp"])
    session = logged_in(doors, "private@contoso.com")
    with pytest.raises(imaplib.IMAP4.error, match=r"EXAMINE command error: BAD \[b'User is authenticated but not connected\.'\]"):  # fmt: skip
        session.select("INBOX", readonly=True)


def test_curl_lists_and_reads(doors: Doors) -> None:
    """curl --oauth2-bearer lists folders and reads a message by its number, its uid and by search."""
    program = shutil.which("curl")
    if program is None:
        pytest.skip("no curl on this machine")
    base, access_token = f"imaps://localhost:{doors.imap}", token(doors.tenant)
    listed = doors.curl(program, f"{base}/", access_token=access_token)
    assert listed.stdout.strip() == b'* LIST (\\Marked \\HasNoChildren) "/" INBOX', listed.stderr
    read = doors.curl(program, f"{base}/INBOX;MAILINDEX=2", access_token=access_token)
    assert read.stdout == message("second letter"), read.stderr
    subject = doors.curl(program, f"{base}/INBOX;UID=7/;SECTION=HEADER.FIELDS%20(SUBJECT)", access_token=access_token)
    assert subject.stdout.strip() == b"Subject: first letter", subject.stderr
    found = doors.curl(program, f"{base}/INBOX?SUBJECT%20first", access_token=access_token)
    assert found.stdout.split() == [b"*", b"SEARCH", b"1"], found.stderr
    refused = doors.curl(program, f"{base}/INBOX", access_token=token(doors.tenant, aud="https://graph.microsoft.com"))
    assert refused.returncode == 67  # CURLE_LOGIN_DENIED


# -- refusals: text and stage ----------------------------------------------------------------------------------------

AT_AUTHENTICATE: dict[str, Callable[[Tenant], str]] = {
    "bad signature": lambda t: xoauth2(USER, token(t)[:-8] + "AAAAAAAA"),
    "no token at all": lambda t: xoauth2(USER, "EwBAAl3B"),
    "expired": lambda t: xoauth2(USER, token(t, exp=1)),
    "Graph audience": lambda t: xoauth2(USER, token(t, aud="https://graph.microsoft.com")),
    "ps.outlook.com audience": lambda t: xoauth2(USER, token(t, aud="https://ps.outlook.com")),
    "no role": lambda t: xoauth2(USER, token(t, roles=[])),
    "another protocol's role": lambda t: xoauth2(USER, token(t, roles=["POP.AccessAsApp", "SMTP.SendAsApp"])),
    "oid is the application's": lambda t: xoauth2(USER, token(t, oid=APPLICATION_OBJECT_ID)),
    "another application": lambda t: xoauth2(USER, token(t, appid=APPLICATION_OBJECT_ID)),
    "unknown user": lambda t: xoauth2("nobody@contoso.com", token(t)),
    "no user": lambda t: base64.b64encode(f"user=\x01auth=Bearer {token(t)}\x01\x01".encode()).decode(),
    "truncated base64": lambda t: xoauth2(USER, token(t))[:-3],
    "not base64": lambda t: "%%%",
    "cancelled": lambda t: "*",
}


@pytest.mark.parametrize("case", AT_AUTHENTICATE)
@pytest.mark.parametrize("initial", [True, False], ids=["SASL-IR", "two lines"])
def test_refused_at_authenticate(doors: Doors, case: str, initial: bool) -> None:
    """Whatever is wrong with token or identity is answered NO AUTHENTICATE failed., and a good login may follow."""
    response = AT_AUTHENTICATE[case](doors.tenant)
    with greeted(doors) as wire:
        if initial:
            assert wire.tagged(f"AUTHENTICATE XOAUTH2 {response}") == ["A NO AUTHENTICATE failed."]
        else:
            assert wire.ask("A AUTHENTICATE XOAUTH2") == "+ "
            assert wire.ask(response) == "A NO AUTHENTICATE failed."
        assert wire.ask("A AUTHENTICATE XOAUTH2") == "+ "
        assert wire.ask(xoauth2(USER, token(doors.tenant))) == "A OK AUTHENTICATE completed."


def test_an_entry_with_the_applications_own_object_id_is_refused_at_authenticate(doors: Doors) -> None:
    """The classic mistake fails at AUTHENTICATE."""
    doors.tenant.exchange.service_principals.clear()
    register(doors.tenant, APPLICATION_OBJECT_ID)
    with greeted(doors) as wire:
        assert wire.tagged(f"AUTHENTICATE XOAUTH2 {xoauth2(USER, token(doors.tenant))}") == [
            "A NO AUTHENTICATE failed."
        ]


def _ungranted(tenant: Tenant) -> None:
    mailbox(tenant).permissions.clear()


def _delayed(tenant: Tenant) -> None:
    mailbox(tenant).permissions.clear()
    grant(tenant, USER, effective_at=tenant.clock.now() + 3600)


def _denied(tenant: Tenant) -> None:
    grant(tenant, USER, deny=True)


def _switched_off(tenant: Tenant) -> None:
    mailbox(tenant).cas["ImapEnabled"] = False


def _mail_user(tenant: Tenant) -> None:
    mailbox(tenant).kind = "MailUser"


def _soft_deleted(tenant: Tenant) -> None:
    mailbox(tenant).soft_deleted = True


@pytest.mark.parametrize("spoil", [_ungranted, _delayed, _denied, _switched_off, _mail_user, _soft_deleted])
@pytest.mark.parametrize("verb", ["SELECT INBOX", 'LIST "" "*"', "NAMESPACE", "NOOP"])
def test_authenticated_but_not_connected(doors: Doors, spoil: Callable[[Tenant], None], verb: str) -> None:
    """A mailbox that does not open: AUTHENTICATE and CAPABILITY pass, the next command is BAD, the one after ends it."""
    spoil(doors.tenant)
    with authenticated(doors) as wire:
        assert wire.tagged("CAPABILITY") == [
            "* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CLIENTACCESSRULES "
            "CLIENTNETWORKPRESENCELOCATION BACKENDAUTHENTICATE CHILDREN IDLE NAMESPACE LITERAL+",
            "A OK CAPABILITY completed.",
        ]
        assert wire.tagged(verb) == ["A BAD User is authenticated but not connected."]
        assert wire.tagged("EXPUNGE") == ["A BAD User is authenticated but not connected."]
        assert wire.line() == "* BYE Connection closed. 14"
        assert wire.closed()


def test_a_delayed_grant_opens_when_its_time_has_come(doors: Doors) -> None:
    """The same login that did not connect does so after the lag; the knob's count shows that it was the reason."""
    _delayed(doors.tenant)
    with authenticated(doors) as wire:
        assert wire.tagged("EXAMINE INBOX") == ["A BAD User is authenticated but not connected."]
    assert doors.tenant.faults.fired == {"grant-lag": 1}
    doors.tenant.clock.advance(3601)
    with authenticated(doors) as wire:
        assert wire.tagged("EXAMINE INBOX")[-1] == "A OK [READ-ONLY] EXAMINE completed."


def test_passwords_are_refused(doors: Doors) -> None:
    """LOGIN and AUTHENTICATE PLAIN: basic authentication is off. Literals are taken on the way."""
    plain = base64.b64encode(f"\0{USER}\0secret".encode()).decode()
    with greeted(doors) as wire:
        assert wire.tagged(f'LOGIN {USER} "secret"') == ["A NO LOGIN failed."]
        assert wire.ask(f"A LOGIN {{{len(USER)}}}") == "+ Ready for additional command text."
        wire.send(f"{USER} {{6+}}\r\nsecret\r\n")
        assert wire.line() == "A NO LOGIN failed."
        assert wire.tagged(f"AUTHENTICATE PLAIN {plain}") == ["A NO AUTHENTICATE failed."]
        assert wire.ask("A AUTHENTICATE PLAIN") == "+ "
        assert wire.ask(plain) == "A NO AUTHENTICATE failed."
        assert wire.tagged("AUTHENTICATE GSSAPI") == ["A NO AUTHENTICATE failed."]


def test_a_session_ends_with_its_token(doors: Doors) -> None:
    """After the token's end the next command is answered by Exchange's BYE and nothing else; IDLE is told at once."""
    wire, idle = authenticated(doors, lifetime=600), authenticated(doors, lifetime=600)
    assert idle.ask("A IDLE").startswith("+ ")
    doors.tenant.clock.advance(601)
    assert wire.tagged("SELECT INBOX") == ["* BYE Session invalidated - AccessTokenExpired"]
    assert idle.line() == "* BYE Session invalidated - AccessTokenExpired"


# -- the texts of FACTS §4a and §13 ----------------------------------------------------------------------------------


def test_capability_before_login_and_the_banner_says_emulated(doors: Doors) -> None:
    """The observed capability line without what comes after login; the greeting and ID carry the word emulated."""
    wire = doors.wire(doors.imap, tls=True)
    banner = wire.line()
    assert banner.startswith("* OK The Microsoft Exchange IMAP4 service is ready. [")
    assert "emulated" in banner
    assert wire.tagged("CAPABILITY") == [
        "* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+",
        "A OK CAPABILITY completed.",
    ]
    identity = wire.tagged('ID ("name" "judge")')
    assert identity[0].startswith('* ID ("name" ')
    assert "emulated" in identity[0]
    assert wire.tagged("LOGOUT") == ["* BYE Microsoft Exchange Server IMAP4 server signing off.", "A OK LOGOUT completed."]  # fmt: skip
    assert wire.closed()


def test_select_and_examine_speak_as_exchange(doors: Doors) -> None:
    """SELECT's untagged lines in Exchange's order and words; EXAMINE takes no changes."""
    wire = authenticated(doors)
    assert wire.tagged("SELECT INBOX") == [
        "* 2 EXISTS",
        "* 0 RECENT",
        r"* FLAGS (\Seen \Answered \Flagged \Deleted \Draft $MDNSent)",
        r"* OK [PERMANENTFLAGS (\Seen \Answered \Flagged \Deleted \Draft $MDNSent)] Permanent flags",
        "* OK [UNSEEN 1] Is the first unseen message",
        "* OK [UIDVALIDITY 14] UIDVALIDITY value",
        "* OK [UIDNEXT 10] The next unique identifier value",
        "A OK [READ-WRITE] SELECT completed.",
    ]
    assert "* OK [PERMANENTFLAGS ()] Permanent flags" in wire.tagged('EXAMINE "inbox"')
    assert wire.tagged(r"STORE 1 +FLAGS (\Seen)") == ["A NO Command received in Invalid state."]
    wire.tagged("FETCH 1 BODY[]")
    assert wire.tagged("SEARCH UNSEEN")[0] == "* SEARCH 1 2"
    assert wire.tagged("SELECT Archive") == ["A NO Archive doesn't exist."]
    assert wire.tagged("FETCH 1 FLAGS") == ["A BAD Command received in Invalid state."]


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("FROBNICATE", "A BAD Command Error. 10"),
        ("UID FROBNICATE 1", "A BAD Command Error. 10"),
        ("FETCH 2 ()", "A BAD Command Argument Error. 11"),
        ("FETCH 1 NONSENSE", "A BAD Command Argument Error. 11"),
        ("FETCH 1 BODY[NONSENSE]", "A BAD Command Argument Error. 11"),
        ("FETCH 3 FLAGS", "A BAD Command Argument Error. 11"),
        ("FETCH 0 FLAGS", "A BAD Command Argument Error. 11"),
        ("FETCH x FLAGS", "A BAD Command Argument Error. 11"),
        ("FETCH 1 (FLAGS", "A BAD Command Argument Error. 11"),
        ("SEARCH NONSENSE", "A BAD Command Argument Error. 11"),
        ("SEARCH", "A BAD Command Argument Error. 11"),
        (r"STORE 1 +FLAGS (\Nonsense)", "A BAD Command Argument Error. 11"),
        ("STATUS INBOX (NONSENSE)", "A BAD Command Argument Error. 11"),
        ('SEARCH SUBJECT "open', "A BAD Command Argument Error. 11"),
        ("SEARCH CHARSET UTF-8 ALL", "A NO [BADCHARSET (US-ASCII)] The specified charset is not supported."),
        ("LOGIN a b", "A BAD Command received in Invalid state."),
        ("APPEND INBOX {500}", "A NO APPEND is not emulated."),
        ("CREATE Archive", "A NO CREATE is not emulated."),
        ("UID MOVE 7 Archive", "A NO [TRYCREATE] Archive doesn't exist."),
        ("COPY 1 Archive", "A NO [TRYCREATE] Archive doesn't exist."),
        ("COPY 3 INBOX", "A BAD Command Argument Error. 11"),
        ("COPY 1", "A BAD Command Argument Error. 11"),
        ("", "* BAD Command Error. 10"),
    ],
)
def test_what_is_not_done_is_refused_by_name(doors: Doors, command: str, answer: str) -> None:
    """Unknown commands, arguments out of place, and commands that are not emulated."""
    with selected(doors) as wire:
        wire.send(f"A {command}\r\n" if command else "\r\n")
        assert wire.line() == answer
        assert wire.tagged("NOOP") == ["A OK NOOP completed."]


def test_a_refused_literal_is_not_taken_for_commands(doors: Doors) -> None:
    """LITERAL+: what APPEND sends unasked is read past, not carried out."""
    with selected(doors) as wire:
        text = "B LOGOUT\r\n"
        wire.send(f"A APPEND INBOX {{{len(text)}+}}\r\n{text}\r\n")
        assert wire.line() == "A NO APPEND is not emulated."
        assert wire.tagged("NOOP") == ["A OK NOOP completed."]


def test_nothing_but_the_first_commands_before_login(doors: Doors) -> None:
    """A folder cannot be opened without a login."""
    with greeted(doors) as wire:
        assert wire.tagged("SELECT INBOX") == ["A BAD Command received in Invalid state."]


# -- messages --------------------------------------------------------------------------------------------------------


def test_a_message_is_told_as_rfc_3501_says(doors: Doors) -> None:
    """ENVELOPE, BODYSTRUCTURE, sizes, dates, parts and partial reads of a mail with an attachment."""
    mailbox(doors.tenant).messages[:] = [{"uid": 3, "raw": LETTER}]
    session = logged_in(doors)
    session.select("INBOX")

    def fetch(item: str) -> bytes:
        data = session.fetch("1", f"({item})")[1]
        first = data[0]
        return first[1] if isinstance(first, tuple) else first or b""

    assert fetch("ENVELOPE") == (
        b'1 (ENVELOPE ("Tue, 03 Feb 2026 08:30:00 +0100" "Quarterly report" (("O\'Neil, Ann" NIL "ann" "example.org")) '
        b'((NIL NIL "desk" "example.org")) (("O\'Neil, Ann" NIL "ann" "example.org")) '
        b'((NIL NIL "support" "contoso.com")("Bob" NIL "bob" "example.org")) ((NIL NIL "carol" "example.org")) NIL '
        b'"<q0@example.org>" "<q1@example.org>"))'
    )
    assert fetch("BODYSTRUCTURE") == (
        b'1 (BODYSTRUCTURE (("text" "plain" ("charset" "utf-8") NIL NIL "8bit" 17 2 NIL NIL NIL NIL)'
        b'("application" "pdf" ("name" "r.pdf") NIL NIL "base64" 8 NIL ("attachment" ("filename" "r.pdf")) NIL NIL) '
        b'"mixed" ("boundary" "=_b") NIL NIL NIL))'
    )
    assert fetch("RFC822.SIZE") == f"1 (RFC822.SIZE {len(LETTER)})".encode()
    assert fetch("INTERNALDATE") == b'1 (INTERNALDATE "03-Feb-2026 07:30:00 +0000")'
    assert fetch("BODY.PEEK[]") == LETTER
    assert fetch("BODY.PEEK[]<5.10>") == LETTER[5:15]
    assert fetch("BODY.PEEK[HEADER]") + fetch("BODY.PEEK[TEXT]") == LETTER
    assert fetch("BODY.PEEK[1]") == "grüße\r\nline two".encode()
    assert fetch("BODY.PEEK[2]") == b"JVBERi0="
    assert (
        fetch("BODY.PEEK[1.MIME]")
        == b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    )
    assert fetch("BODY.PEEK[3]") == b"1 (BODY[3] NIL)"
    assert fetch("BODY.PEEK[HEADER.FIELDS (TO)]") == b"To: support@contoso.com,\r\n Bob <bob@example.org>\r\n\r\n"
    assert fetch("FLAGS") == b"1 (FLAGS ())"
    assert fetch("BODY[1]") == "grüße\r\nline two".encode()
    assert fetch("FLAGS") == rb"1 (FLAGS (\Seen))"


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\r\n", b"no header at all", b"\r\nonly a body\r\n", b"Subject: x\n\nbare line feeds\n",
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\nno part\r\n', b"Content-Type: multipart/mixed\r\n\r\n--\r\n",
        b"Subject: =?utf-8?q?gr=C3=BC?=\r\nFrom: \xff\xfe <>\r\nTo: (((\r\nDate: never\r\n\r\n\x00\xff\r\n",
        b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner body\r\n",
        b"Content-Type: ;;;=\r\nContent-Disposition: ;\r\n\r\nx",
    ],
)  # fmt: skip
def test_odd_messages_are_served_all_the_same(doors: Doors, raw: bytes) -> None:
    """Whatever lies in a mailbox, every item is answered and the session goes on."""
    mailbox(doors.tenant).messages[:] = [{"uid": 1, "raw": raw}]
    session = logged_in(doors)
    session.select("INBOX")
    for item in ("ALL", "FULL", "BODYSTRUCTURE", "BODY[]", "BODY[TEXT]", "BODY[HEADER]", "BODY[1]", "BODY[1.1.1]",
                 "BODY[1.HEADER]", "RFC822.HEADER", "BODY[HEADER.FIELDS.NOT (DATE)]"):  # fmt: skip
        assert session.fetch("1", item)[0] == "OK"
    assert session.search(None, "OR", "SENTSINCE", "1-Jan-2026", "BODY", '"x"')[0] == "OK"
    assert session.noop()[0] == "OK"


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ("ALL", "1 2"), ("SUBJECT second", "2"), ('FROM "some one"', "1 2"), ("NOT SUBJECT second", "1"),
        ("OR SUBJECT first SUBJECT second", "1 2"), ("(SUBJECT first UNSEEN)", "1"), ("UID 8:*", "2"), ("UID 100", ""),
        ("UID 100:*", "2"), ("1:* SEEN", ""), ("SINCE 1-Jan-2026", "1 2"), ("SENTBEFORE 2-Feb-2026", ""),
        ("SENTON 2-Feb-2026", "1 2"), ("LARGER 10", "1 2"), ("SMALLER 10", ""), ("BODY hello", "1 2"),
        ("HEADER X-Nothing x", ""), ("CHARSET US-ASCII ALL", "1 2"),
    ],
)  # fmt: skip
def test_search(doors: Doors, keys: str, found: str) -> None:
    with selected(doors) as wire:
        assert wire.tagged(f"SEARCH {keys}") == [f"* SEARCH {found}".rstrip(), "A OK SEARCH completed."]


def test_news_reaches_other_sessions_and_idle(doors: Doors) -> None:
    """A message that comes shows in IDLE; one that another session expunges is told as EXPUNGE, never during FETCH."""
    monitor, worker = selected(doors), selected(doors)
    assert monitor.ask("A IDLE") == "+ IDLE accepted, awaiting DONE command."
    store.deliver(doors.tenant, mailbox(doors.tenant), message("third letter"))
    assert monitor.line() == "* 3 EXISTS"
    assert monitor.ask("DONE") == "A OK IDLE completed."
    worker.tagged("NOOP")
    worker.tagged(r"UID STORE 7 +FLAGS.SILENT (\Deleted)")
    assert worker.tagged("UID EXPUNGE 7:9") == ["* 1 EXPUNGE", "A OK EXPUNGE completed."]
    assert monitor.tagged("FETCH 2 UID") == ["* 2 FETCH (UID 9)", "A OK FETCH completed."]
    assert monitor.tagged("NOOP") == ["* 1 EXPUNGE", "A OK NOOP completed."]
    assert monitor.tagged("FETCH 1 UID") == ["* 1 FETCH (UID 9)", "A OK FETCH completed."]


def test_uids_are_never_given_again(doors: Doors) -> None:
    """After the last message is expunged the next one gets a new uid."""
    wire = selected(doors)
    wire.tagged(r"STORE 1:* +FLAGS.SILENT (\Deleted)")
    assert wire.tagged("CLOSE") == ["A OK CLOSE completed."]
    assert mailbox(doors.tenant).messages == []
    store.deliver(doors.tenant, mailbox(doors.tenant), message("new"))
    assert [m["uid"] for m in mailbox(doors.tenant).messages] == [10]


# -- the connection --------------------------------------------------------------------------------------------------


def test_a_long_token_passes_and_an_endless_line_does_not(doors: Doors) -> None:
    """12,000 characters of token are fine; a line beyond the limit ends the connection."""
    with greeted(doors) as wire:
        long = token(doors.tenant, groups=["x" * 9000])
        assert len(long) > 12000
        assert wire.tagged(f"AUTHENTICATE XOAUTH2 {xoauth2(USER, long)}") == ["A OK AUTHENTICATE completed."]
        wire.send("A NOOP " + "x" * (imap.LIMITS.line + 1000) + "\r\n")
        assert wire.line() == "* BYE Connection closed. 14"
    with greeted(doors) as wire:
        assert wire.tagged("LOGIN {9999999}") == ["A BAD Command Argument Error. 11"]
        wire.send("A LOGIN {9999999+}\r\n")
        assert wire.line() == "* BYE Connection closed. 14"


def test_a_bare_line_feed_ends_no_line(doors: Doors) -> None:
    """Only CRLF ends a command."""
    with greeted(doors) as wire:
        wire.send("A NOOP\nB NOOP\r\n")
        assert wire.line().startswith("A BAD ")


def test_commands_may_be_sent_ahead(doors: Doors) -> None:
    """Three commands in one write get three answers."""
    with selected(doors) as wire:
        wire.send("A NOOP\r\nB NOOP\r\nC LOGOUT\r\n")
        assert [wire.line(), wire.line()] == ["A OK NOOP completed.", "B OK NOOP completed."]
        assert wire.until("C ")[-1] == "C OK LOGOUT completed."


def test_too_many_failures_end_the_connection(doors: Doors) -> None:
    """Guessing does not go on for ever."""
    with greeted(doors) as wire:
        for _ in range(imap.LIMITS.failures):
            assert wire.tagged("LOGIN a b") == ["A NO LOGIN failed."]
        assert wire.line() == "* BYE Connection closed. 14"
        assert wire.closed()


def test_an_idle_connection_is_closed(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that says nothing is said goodbye."""
    monkeypatch.setattr(imap, "LIMITS", replace(imap.LIMITS, idle=0.2))
    with greeted(doors) as wire:
        assert wire.line() == "* BYE Connection closed. 14"


def test_connections_are_limited(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than allowed is turned away; when one leaves there is room."""
    monkeypatch.setattr(imap, "LIMITS", replace(imap.LIMITS, connections=1))
    with greeted(doors) as first:
        with doors.wire(doors.imap, tls=True) as second:
            assert second.line() == "* BYE Connection closed. 14"
        first.tagged("LOGOUT")
        assert first.closed()
    until_empty(doors)
    greeted(doors)


def until_empty(doors: Doors) -> None:
    for _ in range(200):
        if not doors.open_sessions():
            return
        time.sleep(0.02)
    raise AssertionError("sessions are left over")


def test_sessions_end_when_the_client_vanishes(doors: Doors) -> None:
    """A client that cuts the connection anywhere leaves no task behind."""
    for sent in ("", "A AUTHENTICATE XOAUTH2\r\n", "A LOGIN {5}\r\n", "A LOG"):
        wire = greeted(doors)
        wire.send(sent)
        wire.socket.shutdown(socket.SHUT_RDWR)
    until_empty(doors)


def test_a_reset_ends_old_sessions(doors: Doors) -> None:
    """A login from before the reset sees nothing of the new tenant."""
    wire = selected(doors)
    doors.tenant.reset(Options(faults="none"))
    assert wire.tagged("FETCH 1 BODY[]") == ["* BYE Connection closed. 14"]


def test_requests_are_counted_by_verb() -> None:
    """Known verbs under their names, everything else under OTHER; latency is charged to each."""
    with Doors(build_tenant(latency=0.001)) as doors:
        with selected(doors) as wire:
            wire.tagged("fetch 1 FLAGS")
            wire.tagged("FROBNICATE")
            wire.tagged("UID FETCH 7 FLAGS")
        assert doors.tenant.requests["imap"] == {"AUTHENTICATE": 1, "SELECT": 1, "FETCH": 1, "OTHER": 1, "UID": 1}


FACTS_TEXTS = {  # FACTS.md §4a and §13, column "exact text"
    "NO AUTHENTICATE failed.": wording.IMAP_AUTH_REFUSED,
    "OK AUTHENTICATE completed.": wording.IMAP_AUTH_DONE,
    "BAD User is authenticated but not connected.": wording.IMAP_NOT_CONNECTED,
    "* BYE Connection closed. 14": wording.IMAP_CLOSED,
    "* BYE Session invalidated - AccessTokenExpired": wording.IMAP_TOKEN_EXPIRED,
}


@pytest.mark.parametrize("text", FACTS_TEXTS)
def test_the_texts_are_exchanges(text: str) -> None:
    """The table of texts this door emits, as they stand in the field's records; each is seen on the wire above."""
    assert FACTS_TEXTS[text] == text


def test_messages_are_copied_and_moved_within_inbox(doors: Doors) -> None:
    """MOVE and UIDPLUS are offered, so they are done: new uids are told, and what was moved is gone (RFC 4315, RFC 6851)."""
    with selected(doors) as wire:
        wire.tagged(r"STORE 1 +FLAGS (\Flagged)")
        assert wire.tagged("COPY 1 INBOX") == ["* 3 EXISTS", "A OK [COPYUID 14 7 10] COPY completed."]
        assert wire.tagged("UID FETCH 10 (FLAGS RFC822.SIZE)")[0].startswith(r"* 3 FETCH (UID 10 FLAGS (\Flagged) ")
        assert wire.tagged("UID MOVE 7,9 INBOX") == [
            "* OK [COPYUID 14 7,9 11,12] MOVE", "* 2 EXPUNGE", "* 1 EXPUNGE", "* 3 EXISTS", "A OK MOVE completed.",
        ]  # fmt: skip
        assert wire.tagged("UID SEARCH ALL")[0] == "* SEARCH 10 11 12"
        assert wire.tagged("UID COPY 999 INBOX") == ["A OK COPY completed."]
        wire.tagged("EXAMINE INBOX")
        assert wire.tagged("MOVE 1 INBOX") == ["A NO Command received in Invalid state."]


# What other people's clients say besides, and how it must be answered: command, last line, and one line before it.
ODDITIES = [
    ('LIST "" "%"', "A OK LIST completed.", r'* LIST (\Marked \HasNoChildren) "/" INBOX'),
    ('LIST "" ""', "A OK LIST completed.", r'* LIST (\Noselect \HasChildren) "/" ""'),
    ('LIST "INB" "OX"', "A OK LIST completed.", r'* LIST (\Marked \HasNoChildren) "/" INBOX'),
    ('LIST "" inbox', "A OK LIST completed.", r'* LIST (\Marked \HasNoChildren) "/" INBOX'),
    ('LIST "" {1+}\r\n*', "A OK LIST completed.", r'* LIST (\Marked \HasNoChildren) "/" INBOX'),
    ('LSUB "" "*"', "A OK LSUB completed.", r'* LSUB (\Marked \HasNoChildren) "/" INBOX'),
    ('LIST "" "Sent*"', "A OK LIST completed.", ""),
    ("NAMESPACE", "A OK NAMESPACE completed.", '* NAMESPACE (("" "/")) NIL NIL'),
    ("ID NIL", "A OK ID completed", '* ID ("name" "Microsoft.Exchange.Imap4.Imap4Server" "version" "15.20" "environment" "emulated")'),
    ('id ("name" "x" "version" NIL)', "A OK ID completed", '* ID ("name" "Microsoft.Exchange.Imap4.Imap4Server" "version" "15.20" "environment" "emulated")'),
    ("STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN RECENT)", "A OK STATUS completed.", "* STATUS INBOX (MESSAGES 2 UIDNEXT 10 UIDVALIDITY 14 UNSEEN 2 RECENT 0)"),
    ('status "inbox" (messages)', "A OK STATUS completed.", "* STATUS INBOX (MESSAGES 2)"),
    ("UID FETCH 1:* (FLAGS)", "A OK FETCH completed.", "* 2 FETCH (UID 9 FLAGS ())"),
    ("UID FETCH 8:* UID", "A OK FETCH completed.", "* 2 FETCH (UID 9)"),
    ("UID FETCH *:99 FAST", "A OK FETCH completed.", "* 2 FETCH (UID 9 FLAGS () "),
    ("UID FETCH 1000 (FLAGS)", "A OK FETCH completed.", ""),
    ("FETCH 2,1 (UID)", "A OK FETCH completed.", "* 2 FETCH (UID 9)"),
    ("FETCH 1:2 (UID UID UID)", "A OK FETCH completed.", "* 2 FETCH (UID 9)"),
    ("UID SEARCH UID 8:*", "A OK SEARCH completed.", "* SEARCH 9"),
    ("UID SEARCH CHARSET US-ASCII ALL", "A OK SEARCH completed.", "* SEARCH 7 9"),
    ("SEARCH OR SUBJECT first SUBJECT {6+}\r\nsecond", "A OK SEARCH completed.", "* SEARCH 1 2"),
    ("SEARCH (NOT (SEEN DELETED)) 1", "A OK SEARCH completed.", "* SEARCH 1"),
    ("SELECT INBOX (CONDSTORE)", "A BAD Command Argument Error. 11", ""),
    ("ENABLE CONDSTORE", "A BAD Command Error. 10", ""),
    ("STARTTLS", "A BAD Command Error. 10", ""),
    ("CHECK", "A OK CHECK completed.", ""),
    ("SUBSCRIBE INBOX", "A OK SUBSCRIBE completed.", ""),
    ("noop", "A OK NOOP completed.", ""),
]  # fmt: skip


@pytest.mark.parametrize(("command", "last", "before"), ODDITIES)
def test_what_clients_say_besides(doors: Doors, command: str, last: str, before: str) -> None:
    """Forms that RFC 3501 and the offered extensions allow, in either case, with literals unasked."""
    with selected(doors) as wire:
        *told, final = wire.tagged(command)
        assert final == last
        assert told[-1].startswith(before) if before else told == []
