"""The three probes against servers that say what Exchange says, and against servers that mean harm."""

import base64
import random
import socket
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exosp.clouds import Endpoint
from exosp.errors import UsageError
from exosp.mail import PROBES, Proof, Reading, smtp, xoauth2
from exosp.mail.line import Line, hold
from scripted import DAY, NOW, Peer, Script, Stage, stage

USER = "support@contoso.com"
# As long as a real one, and unlike anything a server says of itself.
TOKEN = ".".join("".join(random.Random(part).choices("ABCDEFGHabcdefgh0123456789-_", k=600)) for part in "hps")
ANSWER = xoauth2.encode(USER, TOKEN)
PROTOCOLS = tuple(PROBES)


@pytest.fixture(scope="module")
def ground() -> Iterator[Stage]:
    with stage() as opened:
        yield opened


@pytest.fixture
def servers(ground: Stage) -> Iterator[Stage]:
    yield ground
    ground.stop()


def login(servers: Stage, protocol: str, script: Script, *, user: str = USER, timeout: float = 20, token=TOKEN):
    """One probe of a server that follows the script: the reading and the server."""
    server = servers.serve(script, tls=protocol != "smtp")
    reading = PROBES[protocol](server.endpoint, user, token, ca=servers.ca, timeout=timeout)
    servers.stop()
    return reading, server


# What Exchange says (github.com/simonrob/email-oauth2-proxy/issues/74 and /297, kisli/vmime/issues/267).

IMAP_CAPABILITY = (
    "* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+"
)
EXAMINED = (
    "* 2 EXISTS",
    "* 0 RECENT",
    "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $MDNSent)",
    "* OK [PERMANENTFLAGS ()] Permanent flags",
    "* OK [UIDVALIDITY 14] UIDVALIDITY value",
    "{tag} OK [READ-ONLY] EXAMINE completed.",
)
EHLO = ("250-LO4P302CA0005.outlook.office365.com Hello [127.0.0.1]", "250-SIZE 157286400", "250-PIPELINING", "250-DSN",
        "250-ENHANCEDSTATUSCODES")  # fmt: skip
EHLO_END = ("250-8BITMIME", "250-BINARYMIME", "250-CHUNKING", "250 SMTPUTF8")
ID = "[LO4P302CA0005.GBRP302.PROD.OUTLOOK.COM 2026-02-02T10:00:00.000Z 08DE8A1B2C3D4E5F]"


def imap(*, greeting="* OK The Microsoft Exchange IMAP4 service is ready. [TABPADQA]", capability=(IMAP_CAPABILITY,
         "{tag} OK CAPABILITY completed."), auth=("{tag} OK AUTHENTICATE completed.",), examine=EXAMINED) -> Script:  # fmt: skip
    def script(peer: Peer) -> None:
        peer.say(greeting)
        while True:
            tag, _, command = peer.hear().partition(" ")
            if command == "CAPABILITY":
                lines = capability
            elif command == "AUTHENTICATE XOAUTH2":
                peer.say("+ ")
                peer.hear()
                lines = auth
            elif command == "EXAMINE INBOX":
                lines = examine
            elif command == "LOGOUT":
                lines = ("* BYE Microsoft Exchange Server IMAP4 server signing off.", "{tag} OK LOGOUT completed.")
            else:
                raise AssertionError(f"unexpected: {command}")
            _say(peer, lines, tag)

    return script


def pop(*, greeting="+OK The Microsoft Exchange POP3 service is ready. [TABPADQA]", capa=("+OK", "TOP", "UIDL",
        "SASL PLAIN XOAUTH2", "USER", "."), begin=("+ ",), auth=("+OK User successfully authenticated.",),
        stat=("+OK 2 1234",)) -> Script:  # fmt: skip
    def script(peer: Peer) -> None:
        peer.say(greeting)
        while True:
            command = peer.hear()
            if command == "CAPA":
                _say(peer, capa)
            elif command == "AUTH XOAUTH2":
                assert not peer.buffer, "the token came before the server asked"
                _say(peer, begin)
                if begin == ("+ ",):
                    peer.hear()
                    _say(peer, auth)
            elif command == "STAT":
                _say(peer, stat)
            elif command == "QUIT":
                _say(peer, ("+OK Microsoft Exchange Server POP3 server signing off.", None))
            else:
                raise AssertionError(f"unexpected: {command}")

    return script


def submission(servers: Stage, *, greeting=("220 LO4P302CA0005.outlook.office365.com Microsoft ESMTP MAIL Service ready",),
               ehlo=(*EHLO, "250-STARTTLS", *EHLO_END), start=("220 2.0.0 SMTP server ready",), context=None,
               ehlo_tls=(*EHLO, "250-AUTH LOGIN XOAUTH2", *EHLO_END), begin=("334 ",),
               auth=("235 2.7.0 Authentication successful",), mail=("250 2.1.0 Sender OK",)) -> Script:  # fmt: skip
    def script(peer: Peer) -> None:
        _say(peer, greeting)
        secured = False
        while True:
            command = peer.hear()
            verb = command.split(" ")[0].upper()
            if verb == "EHLO":
                _say(peer, ehlo_tls if secured else ehlo)
            elif verb == "STARTTLS":
                _say(peer, start)
                if start[0].startswith("220"):
                    peer.secure(context or servers.context)
                    secured = True
            elif command == "AUTH XOAUTH2":
                assert not peer.buffer, "the token came before the server asked"
                _say(peer, begin)
                if begin == ("334 ",):
                    peer.hear()
                    _say(peer, auth)
            elif verb == "MAIL":
                _say(peer, mail)
            elif verb == "RSET":
                _say(peer, ("250 2.0.0 Resetting",))
            elif verb == "QUIT":
                _say(peer, ("221 2.0.0 Service closing transmission channel", None))
            else:
                raise AssertionError(f"unexpected: {command}")

    return script


def _say(peer: Peer, lines, tag: str = "") -> None:
    """Say lines; None hangs up, "?" waits for a line of the client's."""
    for line in lines:
        if line is None:
            raise EOFError
        if line == "?":
            peer.server.challenged.append(peer.hear())  # type: ignore[attr-defined]
        else:
            peer.say(line.replace("{tag}", tag))


def script_for(servers: Stage, protocol: str, **parts) -> Script:
    return {"imap": imap, "pop": pop, "smtp": lambda **p: submission(servers, **p)}[protocol](**parts)


# What goes over the wire


def test_imap_opens_the_mailbox_and_no_more(servers):
    """CAPABILITY, AUTHENTICATE in two steps, EXAMINE, LOGOUT: those commands alone; the proof is the server's own OK."""
    reading, server = login(servers, "imap", imap())
    commands = [line.partition(" ")[2] for line in server.lines if line != ANSWER]
    assert commands == ["CAPABILITY", "AUTHENTICATE XOAUTH2", "EXAMINE INBOX", "LOGOUT"]
    assert server.lines[2] == ANSWER
    assert (reading.stage, reading.ok, reading.proof) == ("open", True, "opened")
    assert reading.server == "OK [READ-ONLY] EXAMINE completed."
    assert not reading.unreachable
    assert reading.transcript[0].startswith("* OK The Microsoft Exchange IMAP4 service is ready.")


def test_pop_sends_auth_in_two_lines_and_deletes_nothing(servers):
    """AUTH XOAUTH2 stands alone on its line and the token follows the server's "+"; after STAT comes QUIT, no DELE."""
    reading, server = login(servers, "pop", pop())
    assert server.lines == ["CAPA", "AUTH XOAUTH2", ANSWER, "STAT", "QUIT"]
    assert reading == Reading("open", True, "opened", "+OK 2 1234", reading.transcript, False)


def test_smtp_starts_tls_before_anything_secret_and_takes_the_sender_back(servers):
    """In the clear go EHLO and STARTTLS; under TLS EHLO, AUTH in two steps, MAIL FROM, RSET, QUIT; no RCPT, no DATA."""
    reading, server = login(servers, "smtp", submission(servers))
    clear = b"".join(server.plain).decode().split("\r\n")[:-1]
    assert [line.split(" ")[0].upper() for line in clear] == ["EHLO", "STARTTLS"]
    assert [line.upper() for line in server.lines if line != ANSWER] == [
        "EHLO [127.0.0.1]", "AUTH XOAUTH2", f"MAIL FROM:<{USER}>".upper(), "RSET", "QUIT",
    ]  # fmt: skip
    assert server.lines[2] == ANSWER
    assert reading == Reading("sender", True, "accepted", "250 2.1.0 Sender OK", reading.transcript, False)


def test_smtp_sends_as_another_mailbox_when_told(servers):
    """``sender`` is the envelope's, while the XOAUTH2 user stays the mailbox that logs in."""
    server = servers.serve(submission(servers), tls=False)
    reading = smtp.probe(server.endpoint, USER, TOKEN, ca=servers.ca, sender="sales@contoso.com")
    assert reading.ok
    assert xoauth2.decode(server.lines[2])[0] == USER
    assert "MAIL FROM:<sales@contoso.com>" in server.lines


def test_an_international_sender_asks_for_smtputf8(servers):
    """A sender beyond ASCII goes out as UTF-8 with SMTPUTF8 where that is offered, and else is not sent at all."""
    reading, server = login(servers, "smtp", submission(servers), user="büro@contoso.com")
    assert reading.ok
    assert "MAIL FROM:<büro@contoso.com> SMTPUTF8" in server.lines
    bare = (*EHLO, "250 AUTH XOAUTH2")
    reading, server = login(servers, "smtp", submission(servers, ehlo_tls=bare), user="büro@contoso.com")
    assert (reading.stage, reading.ok) == ("sender", False)
    assert b"MAIL" not in server.wire


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_token_is_asked_for_only_once_tls_is_verified(servers, protocol):
    """A token's source is called once, when TLS stands and XOAUTH2 is offered, and not at all before."""
    server = servers.serve(script_for(servers, protocol), tls=protocol != "smtp")
    asked = []

    def source() -> str:
        asked.append((server.secured, b"XOAUTH2" in server.wire))
        return TOKEN

    assert PROBES[protocol](server.endpoint, USER, source, ca=servers.ca).ok
    assert asked == [(True, False)]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_the_tokens_source_raises_passes_through(servers, protocol):
    """No token is no answer of the mail server: the source's own error comes out as it is, and nothing was sent."""

    class NoTokenError(OSError):  # the kind that a network fault is, too
        pass

    def source() -> str:
        raise NoTokenError

    server = servers.serve(script_for(servers, protocol), tls=protocol != "smtp")
    with pytest.raises(NoTokenError):
        PROBES[protocol](server.endpoint, USER, source, ca=servers.ca)
    servers.stop()
    assert b"XOAUTH2" not in server.wire


class Careless:
    """A dialogue that forgets TLS."""

    faults = (OSError,)

    def __init__(self, line: Line) -> None:
        self.line = line

    def reach(self) -> None:
        self.line.connect()

    def prove(self, message: bytes, answer: bytes) -> Proof:
        self.line.sendall(answer)
        return "opened"

    def leave(self) -> None:
        pass

    def decisive(self, said) -> list[str]:
        return []


def test_no_dialogue_can_send_a_token_without_verified_tls(servers):
    """A protocol written without TLS is a bug that shows before the token is even asked for."""
    server = servers.serve(lambda peer: peer.hear(), tls=False)
    line = Line(server.endpoint, servers.ca, 20)
    with pytest.raises(RuntimeError):
        hold(line, Careless(line), USER, _no_token)
    servers.stop()
    assert server.plain == []


# What Exchange refuses, and how

IMAP_NO = "{tag} NO AUTHENTICATE failed."
NOT_CONNECTED = "{tag} BAD User is authenticated but not connected."
ERR_AUTH = "-ERR Authentication failure: unknown user name or bad password."
DISABLED = (
    "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the {}. "
    "Visit https://aka.ms/smtp_auth_disabled for more information. " + ID
)
ERROR = '{"status":"401","schemes":"Bearer","scope":"https://outlook.office365.com/"}'
B64_ERROR = base64.b64encode(ERROR.encode()).decode()

REFUSALS = [
    # protocol, what the server says there, stage, the text that decides
    ("imap", {"auth": (IMAP_NO,)}, "auth", "NO AUTHENTICATE failed."),
    (
        "imap",
        {"auth": ('{tag} NO AUTHENTICATE failed. Error="AuthFailed:LogonDenied-BasicAuthBlocked"',)},
        "auth",
        'NO AUTHENTICATE failed. Error="AuthFailed:LogonDenied-BasicAuthBlocked"',
    ),
    ("imap", {"auth": (f"+ {B64_ERROR}", "?", IMAP_NO)}, "auth", f"+ {ERROR} / NO AUTHENTICATE failed."),
    ("imap", {"auth": ("{tag} BAD Command Argument Error. 11",)}, "auth", "BAD Command Argument Error. 11"),
    ("imap", {"examine": (NOT_CONNECTED,)}, "open", "BAD User is authenticated but not connected."),
    (
        "imap",
        {"examine": (NOT_CONNECTED, "* BYE Connection closed. 14", None)},
        "open",
        "BAD User is authenticated but not connected.",
    ),
    ("imap", {"examine": ("* BYE Session invalidated - AccessTokenExpired", None)}, "open", "* BYE Session invalidated - AccessTokenExpired"),
    ("imap", {"examine": ("{tag} NO [UNAVAILABLE] Server Unavailable. 15",)}, "open", "NO [UNAVAILABLE] Server Unavailable. 15"),
    ("imap", {"greeting": "* BYE Connection is closed. 13"}, "greeting", "* BYE Connection is closed. 13"),
    ("imap", {"greeting": "* PREAUTH welcome, whoever you are"}, "greeting", "* PREAUTH welcome, whoever you are"),
    (
        "imap",
        {"capability": ("* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN", "{tag} OK CAPABILITY completed.")},
        "capability",
        "* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN / OK CAPABILITY completed.",
    ),
    ("pop", {"auth": (ERR_AUTH,)}, "auth", ERR_AUTH),
    ("pop", {"auth": (f"+ {B64_ERROR}", "?", ERR_AUTH)}, "auth", f"+ {ERROR} / {ERR_AUTH}"),
    ("pop", {"begin": ("-ERR Protocol error. Connection is closed. 10", None)}, "auth", "-ERR Protocol error. Connection is closed. 10"),
    ("pop", {"begin": ("+OK you are in",)}, "auth", "+OK you are in"),
    ("pop", {"auth": ("-ERR Protocol error. Connection is closed. 10", None)}, "auth", "-ERR Protocol error. Connection is closed. 10"),
    ("pop", {"stat": ("-ERR User is authenticated but not connected.",)}, "open", "-ERR User is authenticated but not connected."),
    ("pop", {"stat": ("+OK plenty",)}, "open", "+OK plenty"),
    ("pop", {"greeting": "-ERR The service is busy"}, "greeting", "-ERR The service is busy"),
    ("pop", {"capa": ("+OK", "TOP", "SASL PLAIN", ".")}, "capability", "+OK / TOP / SASL PLAIN"),
    ("smtp", {"auth": (f"535 5.7.3 Authentication unsuccessful {ID}",)}, "auth", f"535 5.7.3 Authentication unsuccessful {ID}"),
    ("smtp", {"auth": (DISABLED.format("Tenant"),)}, "auth", DISABLED.format("Tenant")),
    ("smtp", {"begin": (DISABLED.format("Mailbox"),)}, "auth", DISABLED.format("Mailbox")),
    ("smtp", {"auth": ("535-5.7.1 first", "535 5.7.1 second")}, "auth", "535-5.7.1 first / 535 5.7.1 second"),
    ("smtp", {"auth": (f"334 {B64_ERROR}", "?", "535 5.7.3 no")}, "auth", f"334 {ERROR} / 535 5.7.3 no"),
    ("smtp", {"begin": ("504 5.7.4 Unrecognized authentication type",)}, "auth", "504 5.7.4 Unrecognized authentication type"),
    ("smtp", {"auth": ("421 4.3.2 Service not available", None)}, "auth", "421 4.3.2 Service not available"),
    ("smtp", {"auth": ("432 4.3.2 Concurrent connections limit exceeded.",)}, "auth", "432 4.3.2 Concurrent connections limit exceeded."),
    ("smtp", {"mail": ("530 5.7.57 Client not authenticated to send mail.",)}, "sender", "530 5.7.57 Client not authenticated to send mail."),
    (
        "smtp",
        {"mail": ("550 5.7.60 SMTP; Client does not have permissions to send as this sender",)},
        "sender",
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
    ),
    ("smtp", {"mail": ("451 4.7.0 Temporary server error. Please try again later. PRX4",)}, "sender", "451 4.7.0 Temporary server error. Please try again later. PRX4"),
    ("smtp", {"greeting": ("554 5.3.2 no service here",)}, "greeting", "554 5.3.2 no service here"),
    ("smtp", {"ehlo": ("502 5.5.1 not here",)}, "capability", "502 5.5.1 not here"),
    ("smtp", {"start": ("454 4.7.0 TLS not available due to temporary reason",)}, "tls", "454 4.7.0 TLS not available due to temporary reason"),
    ("smtp", {"ehlo_tls": ("250-hello", "250 AUTH LOGIN")}, "capability", "250-hello / 250 AUTH LOGIN"),
]  # fmt: skip


@pytest.mark.parametrize(("protocol", "parts", "where", "text"), REFUSALS)
def test_a_refusal_is_read_at_its_stage_in_the_servers_words(servers, protocol, parts, where, text):
    """Each of Exchange's answers gives a Reading with the stage where it came and the text that decides, never an
    exception; a server that answers is not unreachable; an error challenge is decoded and takes an empty line."""
    script = script_for(servers, protocol, **parts)
    server = servers.serve(script, tls=protocol != "smtp")
    server.challenged = []
    reading = PROBES[protocol](server.endpoint, USER, TOKEN, ca=servers.ca, timeout=20)
    servers.stop()
    assert reading == Reading(where, False, None, text, reading.transcript, False)
    assert server.challenged in ([], [""])
    if where in ("greeting", "capability", "tls"):
        assert ANSWER.encode() not in server.wire


def test_pop_without_capa_goes_on_to_auth(servers):
    """CAPA is optional (RFC 2449): a server without it is not refused for that."""
    assert login(servers, "pop", pop(capa=("-ERR unknown command",)))[0].ok


@pytest.mark.parametrize(("protocol", "begin"), [("imap", "+ "), ("pop", "+ "), ("smtp", "334 ")])
def test_a_server_that_asks_forever_is_left(servers, protocol, begin):
    """Challenge after challenge is no login: the probe ends by itself, with the token sent once."""

    def asking(peer: Peer) -> None:
        while True:
            peer.say(begin)
            peer.hear()

    def script(peer: Peer) -> None:
        def say(line: str) -> None:
            peer.say(line)

        if protocol == "imap":
            say("* OK ready")
            tag = peer.hear().split(" ")[0]
            peer.say(IMAP_CAPABILITY, f"{tag} OK done")
            peer.hear()
        elif protocol == "pop":
            say("+OK ready")
            peer.hear()
            say("-ERR")
            peer.hear()
        else:
            say("220 ready")
            peer.hear()
            peer.say("250-hello", "250 STARTTLS")
            peer.hear()
            say("220")
            peer.secure(servers.context)
            peer.hear()
            peer.say("250-hello", "250 AUTH XOAUTH2")
            peer.hear()
        asking(peer)

    reading, server = login(servers, protocol, script)
    assert (reading.stage, reading.ok) == ("auth", False)
    assert server.wire.count(ANSWER.encode()) == 1


# Networks and servers that mean harm


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return held.getsockname()[1]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nobody_listening_is_a_reading(servers, protocol):
    """A refused connection is stage connect, unreachable, in words; the token's source is never called."""
    reading = PROBES[protocol](Endpoint("127.0.0.1", _closed_port()), USER, _no_token, ca=servers.ca)
    assert reading == Reading("connect", False, None, "the connection was refused", (), True)


def _no_token() -> str:
    raise AssertionError("the token was asked for")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 300])
def test_an_unknown_or_impossible_host_is_a_reading(servers, host):
    """A name that does not resolve, or cannot be one, is stage connect and says so."""
    reading = PROBES["imap"](Endpoint(host, 993), USER, _no_token, ca=servers.ca)
    assert (reading.stage, reading.unreachable) == ("connect", True)
    assert reading.server == f"no host named {host} was found"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("fault", "words"),
    [("name", "Hostname mismatch"), ("expired", "expired"), ("authority", "unable to get local issuer certificate")],
)
def test_a_certificate_that_does_not_verify_gets_no_token(servers, tmp_path, protocol, fault, words):
    """Wrong host name, past its time, from another CA: stage tls, unreachable, the reason in words, no token asked for."""
    context = {
        "name": lambda: servers.authority.server("mail.example.org"),
        "expired": lambda: servers.authority.server(until=NOW - DAY),
        "authority": lambda: None,
    }[fault]()
    trusted = servers.ca
    if fault == "authority":
        (tmp_path / "other").mkdir()
        trusted = type(servers)(tmp_path / "other").ca
    script = script_for(servers, protocol, **({"context": context} if protocol == "smtp" else {}))
    server = servers.serve(script, tls=protocol != "smtp", context=context)
    reading = PROBES[protocol](server.endpoint, USER, _no_token, ca=trusted)
    servers.stop()
    assert (reading.stage, reading.ok, reading.unreachable) == ("tls", False, True)
    assert reading.server.startswith("the server's certificate is not trusted: ")
    assert words in reading.server
    assert server.secret == []


def test_starttls_stripped_gets_no_token(servers):
    """Without STARTTLS there is no AUTH, though the server offers it in the clear."""
    stripped = (*EHLO, "250-AUTH LOGIN XOAUTH2", *EHLO_END)
    reading, server = login(servers, "smtp", submission(servers, ehlo=stripped), token=_no_token)
    assert (reading.stage, reading.ok, reading.unreachable) == ("capability", False, False)
    assert "STARTTLS" not in reading.server
    assert b"AUTH" not in b"".join(server.plain)


def test_auth_offered_before_tls_is_not_believed_after_it(servers):
    """What EHLO said in the clear is forgotten: AUTH must be offered again under TLS (RFC 3207)."""
    script = submission(servers, ehlo=(*EHLO, "250-AUTH XOAUTH2", "250 STARTTLS"), ehlo_tls=("250 hello",))
    reading, server = login(servers, "smtp", script, token=_no_token)
    assert (reading.stage, reading.server) == ("capability", "250 hello")
    assert b"AUTH" not in server.wire


def test_words_slipped_in_before_tls_are_forgotten(servers):
    """Replies injected in the clear behind the answer to STARTTLS do not count as said under TLS."""

    def script(peer: Peer) -> None:
        peer.say("220 ready")
        peer.hear()
        peer.say("250-hello", "250 STARTTLS")
        peer.hear()
        # One packet: the answer, then a forged EHLO and a forged success.
        peer.send(b"220 go on\r\n250 AUTH XOAUTH2\r\n334 \r\n235 in\r\n250 sent\r\n")
        peer.secure(servers.context)
        peer.hear()
        peer.say("250 hello")
        peer.hear()

    reading, _ = login(servers, "smtp", script, token=_no_token)
    assert (reading.stage, reading.ok, reading.server) == ("capability", False, "250 hello")


@pytest.mark.parametrize("protocol", ["imap", "pop"])
def test_plain_text_where_tls_should_be_is_a_tls_failure(servers, protocol):
    """A server that speaks in the clear on a TLS port is stage tls."""
    server = servers.serve(lambda peer: peer.say("* OK no TLS here"), tls=False)
    reading = PROBES[protocol](server.endpoint, USER, _no_token, ca=servers.ca)
    assert (reading.stage, reading.unreachable) == ("tls", True)
    assert reading.server.startswith("TLS failed: ")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")  # the old versions are the point
def test_old_tls_is_refused(servers):
    """A server that knows nothing newer than TLS 1.1 is stage tls."""
    import ssl

    old = servers.authority.server()
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    server = servers.serve(lambda peer: None, context=old)
    reading = PROBES["imap"](server.endpoint, USER, _no_token, ca=servers.ca)
    assert (reading.stage, reading.ok) == ("tls", False)


def first_then(servers: Stage, protocol: str, where: str, then: Script) -> Script:
    """A proper server up to ``where`` (greeting, capability, auth or open), where ``then`` takes over."""

    def script(peer: Peer) -> None:
        takes = {"greeting": 0, "capability": 1, "auth": 2, "open": 3}[where]
        if takes > 0 or protocol == "smtp":
            _begin(servers, peer, protocol, takes)
        then(peer)

    return script


def _begin(servers: Stage, peer: Peer, protocol: str, takes: int) -> None:
    if protocol == "imap":
        peer.say("* OK ready")
        tag = peer.hear().split(" ")[0]
        if takes >= 2:
            peer.say(IMAP_CAPABILITY, f"{tag} OK done")
            tag = peer.hear().split(" ")[0]
            peer.say("+ ")
            peer.hear()
        if takes == 3:
            peer.say(f"{tag} OK AUTHENTICATE completed.")
            peer.hear()
    elif protocol == "pop":
        peer.say("+OK ready")
        peer.hear()
        if takes >= 2:
            peer.say("+OK", "SASL XOAUTH2", ".")
            peer.hear()
            peer.say("+ ")
            peer.hear()
        if takes == 3:
            peer.say("+OK User successfully authenticated.")
            peer.hear()
    elif takes:
        peer.say("220 ready")
        peer.hear()
        peer.say("250-hello", "250 STARTTLS")
        peer.hear()
        peer.say("220 go on")
        peer.secure(servers.context)
        peer.hear()
        if takes >= 2:
            peer.say("250-hello", "250 AUTH XOAUTH2")
            peer.hear()
            peer.say("334 ")
            peer.hear()
        if takes == 3:
            peer.say("235 2.7.0 Authentication successful")
            peer.hear()


PLACES = ["greeting", "capability", "auth", "open"]


def _stage(protocol: str, place: str) -> str:
    return "sender" if (protocol, place) == ("smtp", "open") else place


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("place", PLACES)
def test_a_server_that_hangs_up_is_unreachable_at_that_stage(servers, protocol, place):
    """Closing without a word, at any stage, is told apart from a refusal."""
    reading, _ = login(servers, protocol, first_then(servers, protocol, place, lambda peer: None))
    assert (reading.stage, reading.ok, reading.unreachable) == (_stage(protocol, place), False, True)
    assert reading.server in ("the server closed the connection", "the server broke the connection off")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("place", PLACES)
def test_a_silent_server_meets_the_deadline(servers, protocol, place):
    """No answer is a reading that says for how long; nothing waits longer than the probe may."""
    script = first_then(servers, protocol, place, lambda peer: peer.hear())
    reading, _ = login(servers, protocol, script, timeout=0.4)
    assert (reading.stage, reading.unreachable) == (_stage(protocol, place), True)
    assert reading.server == "no answer within 0.4 s"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("place", PLACES)
def test_a_dripping_server_meets_the_same_deadline(servers, protocol, place):
    """A byte now and then does not renew the deadline: it is the whole probe's."""
    import time

    def drip(peer: Peer) -> None:
        while True:
            peer.send(b"2")
            time.sleep(0.02)

    reading, _ = login(servers, protocol, first_then(servers, protocol, place, drip), timeout=0.4)
    assert (reading.stage, reading.ok, reading.unreachable) == (_stage(protocol, place), False, True)
    assert reading.server == "no answer within 0.4 s"


ENDLESS = {
    "one line": b"A" * 4096,
    "many lines": b"* 1 EXISTS\r\n250-more\r\n",
    "empty lines": b"\r\n" * 500,
    "continuations": b"535-still not done\r\n" * 50,
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ENDLESS)
def test_an_endless_server_is_left(servers, protocol, place, kind):
    """A line or an answer without an end is cut off by a limit: a reading of modest size, no exception, no hang."""

    def flood(peer: Peer) -> None:
        while True:
            peer.send(ENDLESS[kind])

    reading, _ = login(servers, protocol, first_then(servers, protocol, place, flood))
    assert (reading.stage, reading.ok) == (_stage(protocol, place), False)
    assert len(reading.server) < 21000
    assert sum(map(len, reading.transcript)) < 70000


def test_a_giant_literal_is_not_made_room_for(servers):
    """IMAP can announce a size before the bytes: more than any answer holds is refused unread."""
    reading, _ = login(servers, "imap", imap(examine=("* 1 FETCH (BODY {9999999999}",)))
    assert (reading.stage, reading.ok, reading.unreachable) == ("open", False, False)
    assert reading.server == "* 1 FETCH (BODY {9999999999}"


GARBAGE = [
    b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n",
    b"\x00\x01\x02\xff\xfe\r\n",
    b"\x1b]0;owned\x07\x1b[2J\xe2\x80\xae gnp.exe\r\n",
    b"\r\n\r\n\r\n",
    b"* CAPABILITY \xff\xfe\r\n",
    b"25\r\nOK\r\n*\r\n",
    b"+ 2 3\r\n334 2 3\r\n",
    b"+ !!!not base64!!!\r\n334 !!!\r\n",
    b"999999999999999999999999 9\r\n",
    b"* " + b"9" * 5000 + b" EXISTS\r\n",
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_read_and_shown_harmless(servers, protocol, place, garbage):
    """Bytes of no protocol give a failed reading at that stage; no control or direction character reaches a terminal."""
    reading, _ = login(servers, protocol, first_then(servers, protocol, place, lambda peer: peer.send(garbage)))
    assert not reading.ok
    assert reading.stage == _stage(protocol, place)
    assert reading.server
    assert reading.server.isprintable()
    assert all(line.isprintable() for line in reading.transcript)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(
    place=st.sampled_from(PLACES),
    chunks=st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from([b"* OK ", b"* BYE ", b"+ ", b"+OK ", b"-ERR ", b"250-", b"250 ", b"334 ", b"{5}", b"(", b"]",
                             b"\r\n", b"\n", b"\r", b"AUTH=XOAUTH2", b"CAPABILITY", b"* 1 ", b"EXISTS"]),
        ),
        max_size=12,
    ),
)  # fmt: skip
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_make_a_probe_raise(servers, protocol, place, chunks):
    """Whatever a server sends, at whatever stage, the probe answers with a Reading that did not come from nowhere."""
    reading, _ = login(
        servers, protocol, first_then(servers, protocol, place, lambda peer: peer.send(b"".join(chunks)))
    )
    assert isinstance(reading, Reading)
    assert reading.ok == (reading.proof is not None)
    assert reading.ok or reading.server


# The token stays inside


def _leaks(shown: str) -> bool:
    """Whether any 16 characters of the token or its base64 form stand in a text, in either case."""
    shown = shown.lower()
    return any(secret[i : i + 16].lower() in shown for secret in (TOKEN, ANSWER) for i in range(len(secret) - 15))


ECHOES = {
    "the token": TOKEN,
    "its base64 form": ANSWER,
    "a part of it": "x" + TOKEN[700:760] + "y",
    "a sentence": f"token {TOKEN[:300]} is bad",
    "in capitals": TOKEN.upper(),
    "in quotes": f'"{ANSWER[100:200]}"',
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", ECHOES)
@pytest.mark.parametrize("place", ["auth", "open"])
def test_a_server_that_echoes_the_token_does_not_get_it_shown(servers, capfd, protocol, kind, place):
    """Neither the reading, nor its repr, nor anything printed, nor the message of an error repeats the token."""
    echo = ECHOES[kind]
    refusal = {"imap": "{tag} NO " + echo, "pop": "-ERR " + echo, "smtp": "535 " + echo}[protocol]
    stages = {("imap", "open"): "examine", ("pop", "open"): "stat", ("smtp", "open"): "mail"}
    reading, _ = login(
        servers, protocol, script_for(servers, protocol, **{stages.get((protocol, place), "auth"): (refusal,)})
    )
    assert not reading.ok
    assert "<token>" in reading.server
    assert not _leaks(repr(reading))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("protocol", "begin"), [("imap", "+ "), ("pop", "+ "), ("smtp", "334 ")])
def test_a_challenge_that_hides_the_token_in_base64_is_cleaned_after_decoding(servers, protocol, begin):
    """A base64 challenge is decoded for people; what it then repeats of the token is hidden."""
    challenge = begin + base64.b64encode(f"you sent {TOKEN[:500]}".encode()).decode()
    server = servers.serve(script_for(servers, protocol, auth=(challenge, "?", None)), tls=protocol != "smtp")
    server.challenged = []
    reading = PROBES[protocol](server.endpoint, USER, TOKEN, ca=servers.ca)
    assert any("you sent <token>" in line for line in reading.transcript)
    assert not _leaks(repr(reading))


_audited: list[str] = []
_listening = False


def _hook(event: str, arguments: tuple) -> None:
    if _listening and event.split(".")[0] in ("imaplib", "poplib", "smtplib"):
        _audited.append(repr(arguments[1:]))


sys.addaudithook(_hook)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_audit_hook_sees_the_token(servers, protocol):
    """The standard library tells audit hooks what its clients send; the line with the token goes past that."""
    global _listening
    _audited.clear()
    _listening = True
    try:
        assert login(servers, protocol, script_for(servers, protocol))[0].ok
    finally:
        _listening = False
    assert not _leaks("".join(_audited))


# What a user can get wrong


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("user", ["", "a@b\r\nDELE 1", "a@b\x01auth=Bearer x", "a@b\x00"])
def test_a_user_that_breaks_out_is_refused_before_connecting(servers, protocol, user):
    """A user name with a line's end or a field's end never reaches a server."""
    server = servers.serve(script_for(servers, protocol), tls=protocol != "smtp")
    with pytest.raises(UsageError):
        PROBES[protocol](server.endpoint, user, _no_token, ca=servers.ca)
    servers.stop()
    assert server.count == 0


@pytest.mark.parametrize("sender", ["", "a@b>\r\nRCPT TO:<c@d", "a b@c", "<a@b>", "nobody", "a@b\u2028c"])
def test_a_sender_that_breaks_out_is_refused_before_connecting(servers, sender):
    """An envelope sender that is no single address never reaches a server."""
    server = servers.serve(submission(servers), tls=False)
    with pytest.raises(UsageError):
        smtp.probe(server.endpoint, USER, _no_token, ca=servers.ca, sender=sender)
    servers.stop()
    assert server.count == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_token_that_is_none_is_refused_unsent(servers, protocol):
    """A token with a line's end is a usage error that does not repeat it, and no part of it is sent."""
    server = servers.serve(script_for(servers, protocol), tls=protocol != "smtp")
    with pytest.raises(UsageError) as refused:
        PROBES[protocol](server.endpoint, USER, "eyJ0eXAi\r\nQUIT", ca=servers.ca)
    servers.stop()
    assert "eyJ0eXAi" not in f"{refused.value}"
    assert b"eyJ0eXAi" not in server.wire
    assert b"XOAUTH2" not in server.wire


def test_a_ca_file_that_cannot_be_used_is_a_usage_error(servers, tmp_path):
    """Absent or not PEM: the file is named, and nothing falls back to the system's certificates."""
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    for path in (tmp_path / "absent.pem", broken):
        with pytest.raises(UsageError) as refused:
            PROBES["imap"](Endpoint("127.0.0.1", 1), USER, TOKEN, ca=path)
        assert refused.value.where == str(path)


def test_a_ca_file_that_changes_is_read_again(servers, tmp_path):
    """Trust follows the file: replacing the CA takes trust away from servers of the old one."""
    held = tmp_path / "ca.pem"
    held.write_bytes(servers.ca.read_bytes())
    assert PROBES["pop"](servers.serve(pop()).endpoint, USER, TOKEN, ca=held).ok
    (tmp_path / "other").mkdir()
    held.write_bytes(type(servers)(tmp_path / "other").ca.read_bytes() + b"\n")
    assert PROBES["pop"](servers.serve(pop()).endpoint, USER, _no_token, ca=held).stage == "tls"
