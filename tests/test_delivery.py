"""The letter that is really sent, the search that finds it again, and the list of subjects: against the sandbox's doors,
written apart from the same pages, and against servers that say what a test tells them to."""

import email
import email.policy
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exosp import mail
from exosp.clouds import Endpoint
from exosp.errors import UsageError
from exosp.mail import PROBES, letter
from exosp.mail.imap_reading import MOST_LISTED
from exosp.mail.letter import Letter, compose
from sandbox import doors_fixture as fixture
from sandbox.doors_fixture import Doors, mailbox
from scripted import Peer, Script, Stage, stage

USER, SALES = fixture.USER, "sales@contoso.com"
NOW = datetime(2026, 2, 2, 10, 0, tzinfo=UTC)
TOKEN = "".join(random.Random("a token").choices("ABCDEFGHabcdefgh0123456789-_", k=900))


@pytest.fixture
def doors() -> Iterator[Doors]:
    with Doors() as opened:
        fixture.grant(opened.tenant, SALES)
        yield opened


def written(to: str = SALES, sender: str = USER) -> Letter:
    return compose(sender, to, run="20260202T100000Z-00ff00ff", now=NOW)


def send(doors: Doors, what: Letter, user: str = USER) -> mail.Sent:
    token = fixture.token(doors.tenant)
    return mail.send(Endpoint("localhost", doors.smtp), user, token, what, ca=doors.ca, timeout=20)


def find(doors: Doors, message_id: str, user: str = SALES) -> mail.Reading:
    token = fixture.token(doors.tenant)
    return mail.find(Endpoint("localhost", doors.imap), user, token, message_id, ca=doors.ca, timeout=20)


def newest(doors: Doors, count: int, user: str = USER) -> mail.Listing:
    token = fixture.token(doors.tenant)
    return mail.newest(Endpoint("localhost", doors.imap), user, token, count, ca=doors.ca, timeout=20)


def put(doors: Doors, *messages: bytes, user: str = USER) -> None:
    box = mailbox(doors.tenant, user)
    box.messages += [{"uid": uid, "raw": raw} for uid, raw in enumerate(messages, 100)]


# Sending, and finding again


def test_a_letter_is_accepted_and_found_again(doors):
    """Proof "accepted" at the stage "data" with the server's final reply; then "delivered", known by its Message-ID. What
    lies there is one small plain message that names its run and asks nobody for an answer."""
    what = written()
    sent = send(doors, what)
    assert (sent.stage, sent.ok, sent.proof, sent.message_id) == ("data", True, "accepted", what.message_id)
    assert sent.server.startswith("250 2.6.0 <exosp-")
    found = find(doors, what.message_id)
    assert (found.stage, found.ok, found.proof) == ("search", True, "delivered")
    assert found.server == f"found by SEARCH: Message-ID: {what.message_id}"
    (held,) = mailbox(doors.tenant, SALES).messages
    assert "\\Seen" not in held["flags"]
    read = email.message_from_bytes(held["raw"], policy=email.policy.default)
    assert {name: str(read[name]) for name in ("From", "To", "Auto-Submitted", "Date")} == {
        "From": USER, "To": SALES, "Auto-Submitted": "auto-generated", "Date": "Mon, 02 Feb 2026 10:00:00 +0000",
    }  # fmt: skip
    assert read.get_content_type() == "text/plain"
    assert "20260202T100000Z-00ff00ff" in read["Subject"]
    assert "20260202T100000Z-00ff00ff" in read.get_content()
    assert what.message_id.endswith("@contoso.com>")
    assert len(held["raw"]) < 2000
    assert doors.tenant.requests["smtp"]["DATA"] == 1


def test_two_letters_are_never_alike():
    """Each has a Message-ID of its own, and is not taken for another."""
    one, other = written(), written()
    assert one.message_id != other.message_id
    headers = {"message-id": one.message_id, "subject": f"x {letter.mark(one.message_id)}"}
    assert letter.knows(one.message_id, headers)
    assert not letter.knows(other.message_id, headers)


def test_a_letter_whose_id_the_server_replaced_is_found_all_the_same(doors):
    """Where the server puts an id of its own, the letter is known by the old one and by its subject."""
    doors.tenant.faults.set("message-id", 1)
    sent = send(doors, what := written())
    assert sent.ok
    assert what.message_id not in sent.server
    found = find(doors, what.message_id)
    assert found.proof == "delivered"
    assert what.message_id not in found.server
    assert ".prod.outlook.com>" in found.server


def test_a_letter_on_its_way_is_not_found_yet(doors):
    """Accepted is not delivered: until it arrives the search says so, and is no failure to log in."""
    doors.tenant.faults.set("delivery-lag", 60)
    what = written()
    assert send(doors, what).ok
    found = find(doors, what.message_id)
    assert (found.stage, found.ok, found.proof, found.unreachable) == ("search", False, None, False)
    assert found.server == f"no message {what.message_id} in the mailbox"
    doors.tenant.clock.advance(61)
    assert find(doors, what.message_id).proof == "delivered"


def test_probes_send_nothing(doors):
    """Every probe of every protocol, and a search and a list: no RCPT, no DATA, no message."""
    for protocol, probe in PROBES.items():
        endpoint = Endpoint("localhost", getattr(doors, protocol))
        assert probe(endpoint, USER, fixture.token(doors.tenant), ca=doors.ca, sender=USER).ok
    find(doors, written().message_id)
    newest(doors, 5)
    assert not {"RCPT", "DATA", "message"} & set(doors.tenant.requests["smtp"])


REFUSED: dict[str, tuple[dict[str, float], Callable[[], Letter], str]] = {
    "no FullAccess": ({"smtp-without-grant": 1}, written, "430 4.2.0 STOREDRV; mailbox logon failure; "),
    "another's address": ({}, lambda: written(sender="private@contoso.com"), "554 5.2.252 SendAsDenied; "),
    "another's address, second form": ({"send-as-form": 1}, lambda: written(sender="private@contoso.com"),
                                       "550 5.7.60 SMTP; Client does not have permissions to send as this sender"),
    "another's address, third form": ({"send-as-form": 2}, lambda: written(sender="private@contoso.com"),
                                      "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException"),
    "mailbox full": ({"mailbox-full": 1}, written, "554 5.2.2 mailbox full; "),
    "quota": ({"recipients-a-day": 0}, written, "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceeded"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_passes_mail_from_and_fails_at_data(doors, case):
    """The probe that sends nothing passes; the letter is refused at the stage "data" in the server's own words, is not in
    any mailbox, and has no id to look for."""
    knobs, make, said = REFUSED[case]
    for name, value in knobs.items():
        doors.tenant.faults.set(name, value)
    if case == "no FullAccess":
        mailbox(doors.tenant).permissions.clear()
    what = make()
    endpoint = Endpoint("localhost", doors.smtp)
    assert PROBES["smtp"](endpoint, USER, fixture.token(doors.tenant), ca=doors.ca, sender=what.sender).ok
    sent = send(doors, what)
    assert (sent.stage, sent.ok, sent.proof, sent.unreachable, sent.message_id) == ("data", False, None, False, "")
    assert sent.server.startswith(said)
    assert mailbox(doors.tenant, SALES).messages == []
    assert doors.tenant.requests["smtp"]["DATA"] == 1


@pytest.mark.parametrize(("knob", "arrived"), [("submission-lost-reply", True), ("submission-drop", False)])
def test_a_lost_answer_is_neither_yes_nor_no(doors, knob, arrived):
    """Where the answer to the message is lost, the letter is not sent again; its id says what to look for, and only the
    mailbox tells what came of it."""
    doors.tenant.faults.set(knob, 1)
    for _ in range(8):
        before = doors.tenant.requests["smtp"]["DATA"]
        sent = send(doors, what := written())
        assert doors.tenant.requests["smtp"]["DATA"] == before + 1
        if not sent.ok:
            break
    assert (sent.stage, sent.proof, sent.unreachable, sent.message_id) == ("data", None, True, what.message_id)
    assert sent.server == "the server closed the connection"
    assert find(doors, what.message_id).ok is arrived


def test_a_letter_beyond_ascii_goes_out_in_utf_8(doors):
    """Addresses with other letters are written as they are and announced by SMTPUTF8."""
    what = written("büro@contoso.com")
    doors.tenant.exchange.add_mailbox("büro@contoso.com")
    assert send(doors, what).ok
    (held,) = mailbox(doors.tenant, "büro@contoso.com").messages
    assert "\r\nTo: büro@contoso.com\r\n".encode() in b"\r\n" + held["raw"]


def test_dots_are_stuffed(doors):
    """A line that begins with a dot, and one that is a dot, arrive as they were written."""
    what = written()
    body = b"\r\n.\r\n..x\r\n.y\r\n"
    assert send(doors, Letter(what.sender, what.recipient, what.message_id, what.data + body)).ok
    (held,) = mailbox(doors.tenant, SALES).messages
    assert held["raw"].endswith(body)


# What a letter may be written to

BAD_ADDRESSES = [
    "", "nobody", "@contoso.com", "a@", "a@b@c", "a b@contoso.com", "a@contoso.com\r\nBcc: x@example.org", "a@b\n", "a\r@b",
    "a@contoso.com, b@contoso.com", "<a@contoso.com>", '"a b"@contoso.com', "a@contoso.com> SIZE=1", "a\x00@b.c", "a@b\u2028c",
    "x" * 65 + "@contoso.com", "a\u202e@contoso.com", "a;b@contoso.com", "a@[127.0.0.1]",
]  # fmt: skip


@pytest.mark.parametrize("address", BAD_ADDRESSES)
def test_an_address_that_would_break_out_is_refused(address):
    """Nothing that ends a field or a command, and nothing that needs quoting, comes into a letter, on either side."""
    for sender, recipient in ((address, SALES), (USER, address)):
        with pytest.raises(UsageError, match="no address that mail can be sent to or from"):
            compose(sender, recipient, run="r", now=NOW)


HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress",
           "Content-Type", "Content-Transfer-Encoding", "MIME-Version"]  # fmt: skip


@given(st.text(max_size=30), st.text(max_size=30))
@settings(max_examples=300, deadline=None)
def test_no_address_adds_a_header(name, domain):
    """Whatever is taken for an address gives the same ten headers, one recipient, and CRLF line ends alone."""
    address = f"{name}@{domain}"
    try:
        what = compose(USER, address, run="r", now=NOW)
    except UsageError:
        return
    read = email.message_from_bytes(what.data, policy=email.policy.SMTPUTF8)
    assert list(read.keys()) == HEADERS
    assert [one.addr_spec for one in read["To"].addresses] == [address] or not address.isascii()
    assert b"\n" not in what.data.replace(b"\r\n", b"")


# Subjects


def headed(subject: bytes, sender: bytes = b"Some One <someone@example.org>", date: bytes = b"Mon, 02 Feb 2026 10:00:00 +0000") -> bytes:  # fmt: skip
    return b"From: " + sender + b"\r\nSubject: " + subject + b"\r\nDate: " + date + b"\r\n\r\nSecret text.\r\n"


def test_the_newest_subjects_come_first_and_stay_unread(doors):
    """So many as asked for, newest first, with sender and date; no flag changes and no text is read."""
    put(doors, *(headed(b"number %d" % n) for n in range(5)))
    found = newest(doors, 3)
    assert found.subjects == ("number 4", "number 3", "number 2")
    assert (found.stage, found.ok, found.proof, found.total) == ("list", True, "opened", 7)
    assert found.headings[0].sender == "Some One <someone@example.org>"
    assert found.headings[0].date == NOW
    assert newest(doors, 100).subjects[-2:] == ("second letter", "first letter")
    assert all("\\Seen" not in m.get("flags", set()) for m in mailbox(doors.tenant).messages)
    assert set(doors.tenant.requests["imap"]) == {"CAPABILITY", "AUTHENTICATE", "EXAMINE", "FETCH", "LOGOUT"}


def test_an_empty_mailbox_has_no_subjects(doors):
    """No message is no failure."""
    mailbox(doors.tenant).messages.clear()
    found = newest(doors, 10)
    assert (found.ok, found.total, found.subjects) == (True, 0, ())


def test_a_refused_login_lists_nothing(doors):
    """The reading is a probe's: where, and the server's words."""
    found = newest(doors, 3, "private@contoso.com")
    assert (found.stage, found.ok, found.headings) == ("open", False, ())
    assert found.server == "BAD User is authenticated but not connected."


@pytest.mark.parametrize("count", [0, -1, MOST_LISTED + 1])
def test_a_list_has_its_bounds(doors, count):
    """Between 1 and 100; else nobody logs in."""
    with pytest.raises(UsageError, match="messages cannot be listed"):
        newest(doors, count)
    assert "AUTHENTICATE" not in doors.tenant.requests["imap"]


SUBJECTS = {
    b"=?utf-8?B?R3LDvMOfZQ==?=": "Grüße",
    b"=?iso-8859-1?Q?Gr=FC=DFe?= and =?utf-8?Q?more?=": "Grüße and more",
    "Grüße in the raw".encode(): "Grüße in the raw",
    b"bytes \xff\xfe of no text": "bytes \ufffd\ufffd of no text",
    b"=?no-such-charset?B?R3LDvMOfZQ==?=": "=?no-such-charset?B?R3LDvMOfZQ==?=",
    b"=?utf-8?B?R?=": "=?utf-8?B?R?=",
    b"folded\r\n over\r\n\tlines": "folded over lines",
    b"=?utf-8?Q?a=1B[2Jb=07=E2=80=AEc?=": "a\ufffd[2Jb\ufffd\ufffdc",
    b"=?utf-8?Q?two=0D=0ABcc:_x?=": "two Bcc: x",
    b"x" * 5000: "x" * 200,
    b"": "",
}


@pytest.mark.parametrize("raw", SUBJECTS)
def test_subjects_are_decoded_and_harmless(doors, raw):
    """Encoded words are read, what is none stays as it came; nothing moves the cursor, and nothing is longer than a line."""
    put(doors, headed(raw, b"=?utf-8?B?G1sybQ==?= <a@b>", b"some day"))
    (found,) = newest(doors, 1).headings
    assert found.subject == SUBJECTS[raw]
    assert found.sender == "\ufffd[2m <a@b>"
    assert found.date is None


def test_a_letter_that_search_does_not_find_is_looked_for(doors, monkeypatch):
    """Where the server's index knows nothing of it, the newest messages' own headers tell."""
    from exosp.sandbox.doors import imap_folder

    what = written()
    assert send(doors, what).ok
    monkeypatch.setattr(imap_folder.Folder, "search", lambda self, arguments, by_uid: [])
    found = find(doors, what.message_id)
    assert found.proof == "delivered"
    assert found.server == f"found by the newest messages: Message-ID: {what.message_id}"


# Servers that say what a test tells them to


@pytest.fixture(scope="module")
def ground() -> Iterator[Stage]:
    with stage() as opened:
        yield opened


@pytest.fixture
def servers(ground: Stage) -> Iterator[Stage]:
    yield ground
    ground.stop()


def imap(answers: dict[str, bytes], exists: int = 2) -> Script:
    """A server whose login works; ``answers`` by command, ``{tag}`` in them, hung up where there is none."""

    def script(peer: Peer) -> None:
        peer.say("* OK ready")
        while True:
            tag, _, command = peer.hear().partition(" ")
            known = {
                "CAPABILITY": b"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2\r\n{tag} OK done\r\n",
                "EXAMINE": b"* %d EXISTS\r\n{tag} OK [READ-ONLY] EXAMINE completed.\r\n" % exists,
                "LOGOUT": b"* BYE\r\n{tag} OK done\r\n",
            } | answers
            verb = command.removeprefix("UID ").split(" ")[0]
            if verb == "AUTHENTICATE":
                peer.say("+ ")
                peer.hear()
                known["AUTHENTICATE"] = b"{tag} OK done\r\n"
            if verb not in known:
                raise EOFError
            peer.send(known[verb].replace(b"{tag}", tag.encode()))

    return script


def smtp(servers: Stage, answers: dict[str, tuple[str | None, ...]]) -> Script:
    """A server whose login works; ``answers`` by command, and by "." for the message's end; None hangs up."""

    def script(peer: Peer) -> None:
        peer.say("220 ready")
        secured = False
        while True:
            verb = peer.hear().split(" ")[0].upper()
            known: dict[str, tuple[str | None, ...]] = {
                "EHLO": ("250-localhost", "250 AUTH XOAUTH2" if secured else "250 STARTTLS"), "STARTTLS": ("220 go",),
                "AUTH": ("334 ",), "MAIL": ("250 ok",), "RCPT": ("250 ok",), "DATA": ("354 go",), "RSET": ("250 ok",),
                "QUIT": ("221 bye", None),
            }  # fmt: skip
            said = (known | answers)[verb]
            say(peer, said)
            if verb == "STARTTLS":
                peer.secure(servers.context)
                secured = True
            elif verb == "AUTH":
                peer.hear()
                peer.say("235 ok")
            elif verb == "DATA" and said[0] == "354 go":
                while peer.hear() != ".":
                    pass
                say(peer, answers.get(".", ("250 taken",)))

    return script


def say(peer: Peer, lines: tuple[str | None, ...]) -> None:
    for line in lines:
        if line is None:
            raise EOFError
        peer.say(line)


ENDS: dict[str, tuple[dict[str, tuple[str | None, ...]], str, bool, bool, str]] = {
    # answers; stage, taken, may have gone, the server's words
    "taken": ({}, "data", True, True, "250 taken"),
    "taken, forwarded": ({"RCPT": ("251 will forward",)}, "data", True, True, "250 taken"),
    "taken in several lines": ({".": ("250-one", "250 two")}, "data", True, True, "250-one / 250 two"),
    "recipient refused": ({"RCPT": ("550 5.1.10 not found",)}, "recipient", False, False, "550 5.1.10 not found"),
    "DATA refused": ({"DATA": ("503 5.5.2 no",)}, "data", False, False, "503 5.5.2 no"),
    "gone before the message": ({"DATA": (None,)}, "data", False, False, "the server closed the connection"),
    "refused for now": ({".": ("430 4.2.0 later",)}, "data", False, False, "430 4.2.0 later"),
    "refused and gone": ({".": ("421 4.4.2 too many", None)}, "data", False, False, "421 4.4.2 too many"),
    "refused for good": ({".": ("554-5.2.0 a", "554 5.2.0 b")}, "data", False, False, "554-5.2.0 a / 554 5.2.0 b"),
    "gone without a word": ({".": (None,)}, "data", False, True, "the server closed the connection"),
    "half an answer": ({".": ("250-taken", None)}, "data", False, True, "250-taken / (the server closed the connection)"),
    "no answer to that": ({".": ("354 again",)}, "data", False, True, "354 again"),
    "nonsense": ({".": ("hello",)}, "data", False, True, "hello"),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDS)
def test_how_a_letter_may_end(servers, case):
    """Taken, refused, or unknown: unknown alone keeps an id though it is no success. The letter goes out once."""
    answers, stage_reached, taken, gone, said = ENDS[case]
    what = written()
    server = servers.serve(smtp(servers, answers), tls=False)
    sent = mail.send(server.endpoint, USER, TOKEN, what, ca=servers.ca, timeout=5)
    servers.stop()
    assert (sent.stage, sent.ok, sent.message_id) == (stage_reached, taken, what.message_id if gone else "")
    assert sent.server == said
    assert server.lines.count("DATA") + server.lines.count("data") == ("RCPT" not in answers or taken)


def fetched(*blocks: bytes) -> bytes:
    return b"".join(
        b"* %d FETCH (UID %d BODY[HEADER.FIELDS (SUBJECT)] {%d}\r\n%b)\r\n" % (n, n, len(block), block)
        for n, block in enumerate(blocks, 1)
    ) + b"{tag} OK FETCH completed.\r\n"  # fmt: skip


def asked(servers: Stage, script: Script, verb: Callable[..., Any], *what: Any) -> Any:
    server = servers.serve(script)
    reading = verb(server.endpoint, USER, TOKEN, *what, ca=servers.ca, timeout=5)
    servers.stop()
    return reading


def test_a_hit_that_is_another_message_proves_nothing(servers):
    """A server that finds anything at all does not make a letter delivered: the message's own header must say so."""
    what = written()
    other = b"Message-ID: <x@example.org>\r\nSubject: something else\r\n\r\n"
    lies = {"SEARCH": b"* SEARCH 7 9\r\n{tag} OK done\r\n", "FETCH": fetched(other, other)}
    found = asked(servers, imap(lies), mail.find, what.message_id)
    assert (found.stage, found.ok, found.proof) == ("search", False, None)
    own = fetched(other, f"Message-ID: {what.message_id}\r\n\r\n".encode())
    assert asked(servers, imap(lies | {"FETCH": own}), mail.find, what.message_id).proof == "delivered"


@pytest.mark.parametrize("verb", ["SEARCH", "FETCH"])
@pytest.mark.parametrize(
    "answer", [b"{tag} NO not now\r\n", b"{tag} BAD Command Error. 10\r\n", b"* BYE Connection closed. 14\r\n"]
)
def test_a_refused_search_is_said(servers, verb, answer):
    """The server's own words, at the stage "search"; not a message that is missing."""
    rest = {"SEARCH": b"* SEARCH 7\r\n{tag} OK done\r\n", "FETCH": fetched(b"\r\n")}
    found = asked(servers, imap(rest | {verb: answer}), mail.find, written().message_id)
    assert (found.stage, found.ok) == ("search", False)
    assert found.server == answer.decode().strip().removeprefix("{tag} ")


def test_a_server_that_plays_the_token_back_does_not_get_it_shown(servers):
    """The token, whole or in parts, in a subject or a sender, is blotted out."""
    block = b"Subject: " + TOKEN.encode() + b"\r\nFrom: " + TOKEN[100:160].encode() + b"\r\n\r\n"
    found = asked(servers, imap({"FETCH": fetched(block)}, 1), mail.newest, 1)
    assert found.subjects == ("<token>",)
    assert found.headings[0].sender == "<token>"


def test_an_endless_list_meets_its_limit(servers):
    """More than a list can hold is not read to its end, nor kept."""
    flood = b"".join(
        b"* %d FETCH (BODY[HEADER.FIELDS (SUBJECT)] {60000}\r\n%b)\r\n" % (n, b"x" * 60000) for n in range(1, 40)
    )
    found = asked(servers, imap({"FETCH": flood}), mail.newest, 100)
    assert (found.stage, found.ok, found.unreachable, found.headings) == ("list", False, True, ())
    assert "the server sent more than 1048576 bytes" in found.server


PIECES = st.one_of(
    st.sampled_from([b"* 1 FETCH (", b"UID 1 ", b"BODY[HEADER.FIELDS (SUBJECT)] ", b"{5}\r\n", b"{99999999}\r\n", b"{-1}\r\n", b")\r\n",
                     b"* SEARCH ", b"1 2 99999999999999999999\r\n", b"NIL", b"{tag} OK done\r\n", b"{tag} NO\r\n", b"* BYE\r\n", b"\x00", b"Subject: =?",
                     b"* 3 EXISTS\r\n", b"* 99999999999 EXISTS\r\n", b"+ \r\n", b"(" * 50]),
    st.binary(max_size=20),
)  # fmt: skip


@given(search=st.lists(PIECES, max_size=8), fetch=st.lists(PIECES, max_size=12))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_a_server_says_ends_in_a_traceback(servers, search, fetch):
    """Whatever answers SEARCH and FETCH: a reading comes back, within its deadline, and never a proof of delivery."""
    answers = {
        "SEARCH": b"".join(search) + b"\r\n{tag} OK done\r\n",
        "FETCH": b"".join(fetch) + b"\r\n{tag} OK done\r\n",
    }
    found = asked(servers, imap(answers), mail.find, written().message_id)
    assert found.proof is None
    listed = asked(servers, imap(answers), mail.newest, 3)
    assert all(len(heading.subject) <= 200 and heading.subject.isprintable() for heading in listed.headings)


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_no_header_ends_in_a_traceback(raw):
    """Decoding whatever stands in a header gives text."""
    from exosp.mail import imap_reading

    fields = imap_reading._fields(b"Subject: " + raw + b"\r\nDate: " + raw + b"\r\n\r\n")
    assert isinstance(imap_reading._decoded(fields.get("subject", raw)), str)
    imap_reading._date(raw)
