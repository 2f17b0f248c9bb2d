"""The SMTP door, judged by smtplib, curl and hand-written lines. Texts are Exchange's, at Exchange's moments."""

import base64
import re
import shutil
import smtplib
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest
from doors_fixture import (
    APPLICATION_OBJECT_ID,
    PRINCIPAL_ID,
    USER,
    Doors,
    Wire,
    grant,
    mailbox,
    message,
    register,
    send_as,
    token,
    xoauth2,
)

from exosp.sandbox.doors import smtp, wording
from exosp.sandbox.tenant import Options, Tenant

STAMP = r"\[[A-Z0-9]+\.emulated\.prod\.outlook\.com \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z 08D[0-9A-F]{13}\]"
REFUSED = re.compile(r"535 5\.7\.3 Authentication unsuccessful " + STAMP)


@pytest.fixture
def doors() -> Iterator[Doors]:
    with Doors() as opened:
        yield opened


def greeted(doors: Doors) -> Wire:
    wire = doors.wire(doors.smtp, tls=False)
    assert " Microsoft ESMTP MAIL Service ready at " in wire.line()
    return wire


def secured(doors: Doors) -> Wire:
    wire = greeted(doors)
    wire.reply("EHLO judge.example")
    assert wire.reply("STARTTLS") == ["220 2.0.0 SMTP server ready"]
    wire.secure(doors.trust())
    wire.reply("EHLO judge.example")
    return wire


def authenticated(doors: Doors, user: str = USER) -> Wire:
    wire = secured(doors)
    assert wire.ask(f"AUTH XOAUTH2 {xoauth2(user, token(doors.tenant))}") == "235 2.7.0 Authentication successful"
    return wire


def submit(wire: Wire, data: bytes, sender: str = USER, *recipients: str) -> str:
    assert wire.ask(f"MAIL FROM:<{sender}>") == "250 2.1.0 Sender OK"
    for recipient in recipients or ("sales@contoso.com",):
        assert wire.ask(f"RCPT TO:<{recipient}>") == "250 2.1.5 Recipient OK"
    assert wire.ask("DATA") == "354 Start mail input; end with <CRLF>.<CRLF>"
    wire.send(data.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    return wire.line()


def inbox(tenant: Tenant, address: str) -> list[bytes]:
    return [m["raw"] for m in mailbox(tenant, address).messages]


def until(true: Callable[[], bool]) -> None:
    """Give the server's thread time to notice."""
    for _ in range(250):
        if true():
            return
        time.sleep(0.02)
    raise AssertionError("it never became true")


# -- clients that share no code with the sandbox ---------------------------------------------------------------------


def test_smtplib_submits_and_the_recipient_has_it(doors: Doors) -> None:
    """The standard library's client: STARTTLS, XOAUTH2, a message with non-ASCII text; it lies in sales@'s mailbox."""
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = USER, "sales@contoso.com, out@example.org", "Grüße"
    letter["Message-ID"] = "<kept@contoso.com>"
    letter.set_content("Hello,\n.\n..dots\nend\n")
    with smtplib.SMTP("localhost", doors.smtp, timeout=10) as session:
        session.starttls(context=doors.trust())
        session.ehlo()
        assert session.esmtp_features["auth"].split() == ["LOGIN", "XOAUTH2"]
        response = f"user={USER}\x01auth=Bearer {token(doors.tenant)}\x01\x01"
        assert session.auth("XOAUTH2", lambda challenge=None: response) == (235, b"2.7.0 Authentication successful")
        assert session.send_message(letter) == {}
    (delivered,) = inbox(doors.tenant, "sales@contoso.com")
    assert delivered.startswith(b"Received: from ")
    assert b"(emulated)" in delivered.partition(b"\r\n\r\n")[0]
    assert b"\r\nMessage-ID: <kept@contoso.com>\r\n" in delivered
    assert delivered.endswith(b"\r\n\r\nHello,\r\n.\r\n..dots\r\nend\r\n")


@pytest.mark.parametrize("initial", [True, False], ids=["one step", "two steps"])
def test_smtplib_sees_a_refused_login(doors: Doors, initial: bool) -> None:
    """Without FullAccess AUTH itself is refused, with the text, the server, the time and an id."""
    with smtplib.SMTP("localhost", doors.smtp, timeout=10) as session:
        session.starttls(context=doors.trust())
        response = f"user=private@contoso.com\x01auth=Bearer {token(doors.tenant)}\x01\x01"
        session.ehlo()
        with pytest.raises(smtplib.SMTPAuthenticationError) as refusal:
            session.auth("XOAUTH2", lambda challenge=None: response, initial_response_ok=initial)
    text = refusal.value.smtp_error
    assert isinstance(text, bytes)
    assert REFUSED.fullmatch(f"{refusal.value.smtp_code} {text.decode()}")


@pytest.mark.parametrize("initial", [[], ["--sasl-ir"]], ids=["two steps", "one step"])
def test_curl_submits(doors: Doors, tmp_path: Path, initial: list[str]) -> None:
    """curl --oauth2-bearer submits a message and is refused one that nobody granted."""
    program = shutil.which("curl")
    if program is None:
        pytest.skip("no curl on this machine")
    file = tmp_path / "letter"
    file.write_bytes(message("by curl", USER, "sales@contoso.com"))
    arguments = [
        "--ssl-reqd",
        *initial,
        "--mail-from",
        USER,
        "--mail-rcpt",
        "sales@contoso.com",
        "--upload-file",
        str(file),
    ]
    url, access_token = f"smtp://localhost:{doors.smtp}", token(doors.tenant)
    sent = doors.curl(program, url, *arguments, access_token=access_token)
    assert sent.returncode == 0, sent.stderr
    assert [b"Subject: by curl" in raw for raw in inbox(doors.tenant, "sales@contoso.com")] == [True]
    refused = doors.curl(program, url, *arguments, access_token=access_token, user="private@contoso.com")
    assert refused.returncode == 67  # CURLE_LOGIN_DENIED


# -- refusals: text and stage ----------------------------------------------------------------------------------------

AT_AUTH: dict[str, Callable[[Tenant], str]] = {
    "bad signature": lambda t: xoauth2(USER, token(t)[:-8] + "AAAAAAAA"),
    "expired": lambda t: xoauth2(USER, token(t, exp=1)),
    "Graph audience": lambda t: xoauth2(USER, token(t, aud="https://graph.microsoft.com")),
    "ps.outlook.com audience": lambda t: xoauth2(USER, token(t, aud="https://ps.outlook.com")),
    "no role": lambda t: xoauth2(USER, token(t, roles=[])),
    "another protocol's role": lambda t: xoauth2(USER, token(t, roles=["IMAP.AccessAsApp", "POP.AccessAsApp"])),
    "oid is the application's": lambda t: xoauth2(USER, token(t, oid=APPLICATION_OBJECT_ID)),
    "another application": lambda t: xoauth2(USER, token(t, appid=APPLICATION_OBJECT_ID)),
    "unknown user": lambda t: xoauth2("nobody@contoso.com", token(t)),
    "truncated base64": lambda t: xoauth2(USER, token(t))[:-3],
}


@pytest.mark.parametrize("case", AT_AUTH)
@pytest.mark.parametrize("initial", [True, False], ids=["one step", "two steps"])
def test_refused_at_auth(doors: Doors, case: str, initial: bool) -> None:
    """Whatever is wrong with token or identity is 535 5.7.3; no mail is taken after it; a good login may follow."""
    response = AT_AUTH[case](doors.tenant)
    with secured(doors) as wire:
        if initial:
            answer = wire.ask(f"AUTH XOAUTH2 {response}")
        else:
            assert wire.ask("AUTH XOAUTH2") == "334 "
            answer = wire.ask(response)
        assert REFUSED.fullmatch(answer)
        assert re.fullmatch(
            r"530 5\.7\.57 Client not authenticated to send mail\. " + STAMP, wire.ask(f"MAIL FROM:<{USER}>")
        )
        assert wire.ask(f"AUTH XOAUTH2 {xoauth2(USER, token(doors.tenant))}").startswith("235 ")


def _wrong_entry(tenant: Tenant) -> None:
    tenant.exchange.service_principals.clear()
    register(tenant, APPLICATION_OBJECT_ID)


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


@pytest.mark.parametrize("spoil", [_wrong_entry, _ungranted, _delayed, _denied, _mail_user, _soft_deleted])
def test_a_mailbox_that_does_not_open_is_refused_at_auth(doors: Doors, spoil: Callable[[Tenant], None]) -> None:
    """The vendor page's form: without access to the mailbox AUTH answers 535 5.7.3."""
    spoil(doors.tenant)
    with secured(doors) as wire:
        assert REFUSED.fullmatch(wire.ask(f"AUTH XOAUTH2 {xoauth2(USER, token(doors.tenant))}"))


@pytest.mark.parametrize("spoil", [_ungranted, _delayed, _denied])
def test_the_other_form_refuses_the_message(doors: Doors, spoil: Callable[[Tenant], None]) -> None:
    """smtp-without-grant=1: AUTH and MAIL pass, the message is answered 430 4.2.0 STOREDRV and reaches nobody."""
    spoil(doors.tenant)
    doors.tenant.faults.set("smtp-without-grant", 1)
    with authenticated(doors) as wire:
        answer = submit(wire, message("lost", USER))
        assert answer.startswith(
            "430 4.2.0 STOREDRV; mailbox logon failure; STOREDRV.Submission.Exception:ConnectionFailedTransientException."
            "MapiExceptionLogonFailed; Failed to process message due to a transient exception with message "
            "[BeginDiagnosticData]Cannot open mailbox. Server = "
        )
        assert "emulated" in answer
    assert inbox(doors.tenant, "sales@contoso.com") == []
    assert doors.tenant.faults.fired["smtp-without-grant"] == 1


@pytest.mark.parametrize(("own", "organization", "where"), [(None, True, "Tenant"), (True, False, "Mailbox"), (True, True, "Mailbox")])  # fmt: skip
def test_smtp_auth_switched_off(doors: Doors, own: bool | None, organization: bool, where: str) -> None:
    """535 5.7.139 names the tenant or the mailbox, also to OAuth; the mailbox's own permission overrides the tenant's."""
    mailbox(doors.tenant).cas["SmtpClientAuthenticationDisabled"] = own
    doors.tenant.exchange.transport_config["SmtpClientAuthenticationDisabled"] = organization
    with secured(doors) as wire:
        answer = wire.ask(f"AUTH XOAUTH2 {xoauth2(USER, token(doors.tenant))}")
        assert re.fullmatch(
            rf"535 5\.7\.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the {where}\. "
            rf"Visit https://aka\.ms/smtp_auth_disabled for more information\. {STAMP}",
            answer,
        )
        mailbox(doors.tenant).cas["SmtpClientAuthenticationDisabled"] = False
        assert wire.ask(f"AUTH XOAUTH2 {xoauth2(USER, token(doors.tenant))}").startswith("235 ")


def test_a_delayed_grant_opens_when_its_time_has_come(doors: Doors) -> None:
    """The same login that was refused passes after the lag."""
    _delayed(doors.tenant)
    with secured(doors) as wire:
        assert REFUSED.fullmatch(wire.ask(f"AUTH XOAUTH2 {xoauth2(USER, token(doors.tenant))}"))
    assert doors.tenant.faults.fired == {"grant-lag": 1}
    doors.tenant.clock.advance(3601)
    authenticated(doors)


def test_passwords_are_refused(doors: Doors) -> None:
    """AUTH LOGIN is offered and answered 535 5.7.139 basic authentication is disabled; AUTH PLAIN is no type at all."""
    expected = re.compile(r"535 5\.7\.139 Authentication unsuccessful, basic authentication is disabled\. " + STAMP)
    user, password = base64.b64encode(USER.encode()).decode(), base64.b64encode(b"secret").decode()
    with secured(doors) as wire:
        assert wire.ask("AUTH LOGIN") == "334 VXNlcm5hbWU6"
        assert wire.ask(user) == "334 UGFzc3dvcmQ6"
        assert expected.fullmatch(wire.ask(password))
        assert wire.ask(f"AUTH LOGIN {user}") == "334 UGFzc3dvcmQ6"
        assert expected.fullmatch(wire.ask(password))
        assert re.fullmatch(r"504 5\.7\.4 Unrecognized authentication type " + STAMP, wire.ask("AUTH PLAIN AGEAYg=="))
        assert wire.ask("AUTH").startswith("504 5.7.4 ")


def test_before_starttls_nothing_can_be_done(doors: Doors) -> None:
    """No AUTH is offered and none is taken; mail is not either."""
    with greeted(doors) as wire:
        first, *offers = wire.reply("EHLO judge.example")
        assert re.fullmatch(r"250-\S+emulated\S+ Hello \[127\.0\.0\.1\]", first)
        assert [offer[4:] for offer in offers] == [
            "SIZE 157286400", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES", "STARTTLS", "8BITMIME", "SMTPUTF8",
        ]  # fmt: skip
        assert re.fullmatch(
            r"504 5\.7\.4 Unrecognized authentication type " + STAMP,
            wire.ask(f"AUTH XOAUTH2 {xoauth2(USER, token(doors.tenant))}"),
        )
        assert wire.ask(f"MAIL FROM:<{USER}>").startswith("530 5.7.57 Client not authenticated to send mail.")


def test_after_starttls_auth_is_offered_and_all_before_is_forgotten(doors: Doors) -> None:
    """The capability list under TLS; EHLO must be said again; STARTTLS is not to be had twice."""
    wire = greeted(doors)
    wire.reply("EHLO judge.example")
    wire.reply("STARTTLS")
    wire.secure(doors.trust())
    assert wire.ask(f"MAIL FROM:<{USER}>") == "503 5.5.2 Send hello first"
    assert [offer[4:] for offer in wire.reply("EHLO judge.example")[1:]] == [
        "SIZE 157286400", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES", "AUTH LOGIN XOAUTH2", "8BITMIME", "SMTPUTF8",
    ]  # fmt: skip
    assert wire.ask("STARTTLS").startswith("503 ")


def test_what_is_sent_ahead_of_starttls_is_dropped(doors: Doors) -> None:
    """Commands slipped in behind STARTTLS in the clear are never carried out (RFC 3207 §6)."""
    with greeted(doors) as wire:
        wire.send("EHLO judge.example\r\nSTARTTLS\r\nNOOP\r\nRSET\r\n")
        wire.smtp()
        assert wire.line() == "220 2.0.0 SMTP server ready"
        wire.secure(doors.trust())
        assert wire.ask("HELP").startswith("214-")
        wire.line()
        assert wire.ask("QUIT").startswith("221 ")
    assert doors.tenant.requests["smtp"] == {"EHLO": 1, "STARTTLS": 1, "HELP": 1, "QUIT": 1}


# -- sender ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("envelope", "header"), [("sales@contoso.com", USER), (USER, "sales@contoso.com"), (USER, "x@example.org")])  # fmt: skip
def test_another_sender_without_send_as_is_refused_after_data(doors: Doors, envelope: str, header: str) -> None:
    """554 5.2.252 SendAsDenied names both, whichever of envelope and From differs; the message reaches nobody."""
    other = header if envelope == USER else envelope
    with authenticated(doors) as wire:
        answer = submit(wire, message("as another", header), envelope)
        assert answer.startswith(
            f"554 5.2.252 SendAsDenied; {USER} not allowed to send as {other}; "
            "STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; "
        )
        assert submit(wire, message("as oneself", USER)).startswith("250 2.6.0 ")
    assert len(inbox(doors.tenant, "sales@contoso.com")) == 1


@pytest.mark.parametrize(("knob", "trustee", "allowed"), [(0, PRINCIPAL_ID, True), (1, PRINCIPAL_ID, False), (1, USER, True)])  # fmt: skip
def test_send_as_lets_another_sender_pass(doors: Doors, knob: int, trustee: str, allowed: bool) -> None:
    """With SendAs the message goes; whose SendAs counts is a knob."""
    doors.tenant.faults.set("send-as-trustee", knob)
    send_as(doors.tenant, "sales@contoso.com", trustee)
    with authenticated(doors) as wire:
        answer = submit(wire, message("as sales", "sales@contoso.com"))
        assert answer.startswith("250 2.6.0 " if allowed else "554 5.2.252 SendAsDenied; ")


def test_ones_own_alias_and_the_null_sender_pass(doors: Doors) -> None:
    """An address of the same mailbox is oneself."""
    mailbox(doors.tenant).properties["EmailAddresses"].append("smtp:help@contoso.com")
    with authenticated(doors) as wire:
        assert submit(wire, message("as help", "help@contoso.com")).startswith("250 2.6.0 ")
        assert submit(wire, message("bounce", USER), "").startswith("250 2.6.0 ")


# -- messages --------------------------------------------------------------------------------------------------------


def test_a_message_reaches_mailboxes_of_the_tenant_once_and_nobody_else(doors: Doors) -> None:
    """Two addresses of one mailbox get one copy; a MailUser and a stranger are accepted and get nothing."""
    doors.tenant.exchange.add_mailbox("onprem@contoso.com", kind="MailUser")
    box = mailbox(doors.tenant, "sales@contoso.com")
    box.properties["EmailAddresses"].append("smtp:shop@contoso.com")
    doors.tenant.exchange.mailboxes.remove(box)  # names are those it had when it was added
    doors.tenant.exchange.by_address("shop@contoso.com")
    doors.tenant.exchange.mailboxes.append(box)
    with authenticated(doors) as wire:
        recipients = ("sales@contoso.com", "shop@contoso.com", "onprem@contoso.com", "x@example.org", USER)
        answer = submit(wire, b"Subject: bare\r\n\r\nNo id, no date.\r\n", USER, *recipients)
    form = re.fullmatch(
        r"250 2\.6\.0 (<\S+@\S+>) \[InternalId=\d+, Hostname=\S+emulated\S+\] (\d+) bytes in \S+, \S+ KB/sec Queued mail for delivery",
        answer,
    )
    assert form is not None
    (delivered,) = inbox(doors.tenant, "sales@contoso.com")
    assert f"\r\nMessage-ID: {form[1]}\r\nDate: ".encode() in delivered
    assert len(delivered) == int(form[2])
    assert mailbox(doors.tenant, "onprem@contoso.com").messages == []
    assert [m["uid"] for m in mailbox(doors.tenant).messages] == [7, 9, 10]


def test_only_a_lone_dot_between_crlf_ends_a_message(doors: Doors) -> None:
    """A dot between bare line feeds is text: no second message can be smuggled in."""
    with authenticated(doors) as wire:
        data = message("smuggler", USER) + b"a\n.\nMAIL FROM:<x@example.org>\n.\r\nstill text\r\n"
        wire.ask(f"MAIL FROM:<{USER}>")
        wire.ask("RCPT TO:<sales@contoso.com>")
        wire.ask("DATA")
        wire.send(data + b".\r\n")
        assert wire.line().startswith("250 2.6.0 ")
        assert wire.ask("NOOP") == "250 2.0.0 OK"
    (delivered,) = inbox(doors.tenant, "sales@contoso.com")
    assert delivered.endswith(b"a\n.\nMAIL FROM:<x@example.org>\n.\r\nstill text\r\n")


def test_a_message_that_is_too_large_is_refused_and_the_session_goes_on(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """552 at MAIL where SIZE tells it, and after DATA where it does not."""
    monkeypatch.setattr(smtp, "MAX_MESSAGE", 1000)
    with authenticated(doors) as wire:
        assert wire.ask(f"MAIL FROM:<{USER}> SIZE=1001") == "552 5.3.4 Message size exceeds fixed maximum message size"
        assert submit(wire, b"x\r\n" * 400) == "552 5.3.4 Message size exceeds fixed maximum message size"
        assert submit(wire, b"x\r\n" * 300).startswith("250 2.6.0 ")
        wire.ask(f"MAIL FROM:<{USER}>")
        wire.ask("RCPT TO:<sales@contoso.com>")
        wire.ask("DATA")
        wire.send(b"x" * 70000 + b"\r\n.\r\n")
        assert wire.line() == "552 5.3.4 Message size exceeds fixed maximum message size"
    assert len(inbox(doors.tenant, "sales@contoso.com")) == 1


def test_three_connections_send_for_a_mailbox_at_once_and_no_fourth(doors: Doors) -> None:
    """432 4.3.2 to the fourth that is in a transaction; when another one ends it may send."""
    busy = [authenticated(doors) for _ in range(smtp.MAX_SENDING)]
    for wire in busy:
        assert wire.ask(f"MAIL FROM:<{USER}>") == "250 2.1.0 Sender OK"
    fourth = authenticated(doors)
    assert re.fullmatch(
        r"432 4\.3\.2 Concurrent connections limit exceeded\. Visit https://aka\.ms/concurrent_sending for more "
        r"information\. \[Hostname=\S+\]",
        submit(fourth, message("one too many", USER)),
    )
    grant(doors.tenant, "sales@contoso.com")
    other = authenticated(doors, "sales@contoso.com")
    assert submit(other, message("another mailbox", "sales@contoso.com"), "sales@contoso.com").startswith("250 ")
    busy[0].ask("RSET")
    assert submit(fourth, message("now", USER)).startswith("250 2.6.0 ")
    busy[0].ask(f"MAIL FROM:<{USER}>")
    assert submit(fourth, message("again too many", USER)).startswith("432 4.3.2 ")
    before = doors.open_sessions()
    busy[0].socket.shutdown(socket.SHUT_RDWR)
    until(lambda: doors.open_sessions() < before)
    assert submit(fourth, message("and now", USER)).startswith("250 2.6.0 ")


@pytest.mark.parametrize(
    ("before", "command", "answer"),
    [
        ([], "FROBNICATE", r"500 5\.3\.3 Unrecognized command 'unknown' " + STAMP),
        ([], "EHLO", r"501 5\.5\.4 Invalid domain name"),
        ([], "BDAT 10 LAST", r"500 5\.3\.3 Unrecognized command 'unknown' " + STAMP),
        ([], "RCPT TO:<x@example.org>", r"503 5\.5\.2 Need mail command"),
        ([], "DATA", r"503 5\.5\.2 Need mail command"),
        ([], "MAIL FROM:no-brackets@contoso.com", r"501 5\.5\.4 Invalid arguments"),
        ([], "MAIL FROM:<not an address>", r"501 5\.1\.7 Invalid address"),
        ([], f"MAIL FROM:<{USER}> NONSENSE=1", r"501 5\.5\.4 Unrecognized parameter"),
        ([], f"MAIL FROM:<{USER}> SIZE=many", r"501 5\.5\.4 Invalid arguments"),
        ([], f"mail from: <{USER}> BODY=8BITMIME SIZE=10 RET=HDRS", r"250 2\.1\.0 Sender OK"),
        ([], f"MAIL FROM:<{USER}> BODY=BINARYMIME", r"501 5\.5\.4 Invalid arguments"),
        ([], f"MAIL FROM:<{USER}> BODY=7bit SMTPUTF8 AUTH=<>", r"250 2\.1\.0 Sender OK"),
        ([], f"MAIL FROM:<{USER}> SIZE=200000000", r"552 5\.3\.4 Message size exceeds fixed maximum message size"),
        ([], "NOOP and more", r"250 2\.0\.0 OK"),
        ([], "EXPN list", r"500 5\.3\.3 Unrecognized command 'unknown' " + STAMP),
        ([f"MAIL FROM:<{USER}>"], f"MAIL FROM:<{USER}>", r"503 5\.5\.2 Sender already specified"),
        ([f"MAIL FROM:<{USER}>"], "DATA", r"503 5\.5\.2 Need rcpt command"),
        ([f"MAIL FROM:<{USER}>"], "RCPT TO:<>", r"501 5\.1\.3 Invalid address"),
        ([f"MAIL FROM:<{USER}>"], "RCPT TO:<a@b.c> NOTIFY=NEVER", r"250 2\.1\.5 Recipient OK"),
        ([f"MAIL FROM:<{USER}>", "RSET"], "RCPT TO:<a@b.c>", r"503 5\.5\.2 Need mail command"),
        ([f"MAIL FROM:<{USER}>", "EHLO again"], "RCPT TO:<a@b.c>", r"250-.*|503 5\.5\.2 Need mail command"),
        ([], "AUTH XOAUTH2 x", r"503 5\.5\.2 Bad sequence of commands"),
        ([], "VRFY sales", r"252 2\.1\.5 Cannot VRFY user"),
        ([], "NOOP", r"250 2\.0\.0 OK"),
        ([], "RSET", r"250 2\.0\.0 Resetting"),
        ([], "HELO judge.example", r"250 \S+ Hello \[127\.0\.0\.1\]"),
        ([], "QUIT", r"221 2\.0\.0 Service closing transmission channel"),
    ],
)
def test_commands_and_their_order(doors: Doors, before: list[str], command: str, answer: str) -> None:
    """Each command in and out of its place, after a login."""
    with authenticated(doors) as wire:
        for earlier in before:
            wire.reply(earlier)
        assert re.fullmatch(answer, wire.ask(command))


def test_the_banner_names_an_emulated_server(doors: Doors) -> None:
    """Exchange's banner, with the word emulated in the server's name and sandbox time behind it."""
    with doors.wire(doors.smtp, tls=False) as wire:
        form = re.fullmatch(r"220 (\S+) Microsoft ESMTP MAIL Service ready at (.+)", wire.line())
        assert form is not None
        assert "emulated" in form[1]
        assert form[2].endswith(" +0000")


def test_limits(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guessing, endless lines, silence and one connection too many each end with a reply, not with a hang."""
    with greeted(doors) as wire:
        answers = {wire.ask("FROBNICATE")[:9] for _ in range(smtp.LIMITS.failures)}
        assert answers == {"500 5.3.3"}
        assert wire.line() == "421 4.7.0 Too many errors on this connection, closing transmission channel"
        assert wire.closed()
    with greeted(doors) as wire:
        wire.send("x" * (smtp.LIMITS.line + 1000) + "\r\n")
        assert wire.line().startswith("500 ")
    monkeypatch.setattr(smtp, "LIMITS", replace(smtp.LIMITS, idle=0.2))
    with greeted(doors) as wire:
        assert wire.line() == "421 4.4.1 Connection timed out"
    monkeypatch.setattr(smtp, "LIMITS", replace(smtp.LIMITS, connections=0))
    with doors.wire(doors.smtp, tls=False) as wire:
        assert wire.line().startswith("421 4.3.2 The maximum number of concurrent connections has exceeded a limit")


def test_sessions_end_when_the_client_vanishes(doors: Doors) -> None:
    """A client that cuts the connection anywhere, also within the TLS handshake, leaves no task behind."""
    for sent in ("", "EHLO x\r\nSTARTTLS\r\n", "EHLO x\r\nSTARTTLS\r\nnot TLS at all, not TLS at all\r\n", "EH"):
        wire = greeted(doors)
        wire.send(sent)
        time.sleep(0.05)
        wire.socket.shutdown(socket.SHUT_RDWR)
    wire = authenticated(doors)
    wire.ask(f"MAIL FROM:<{USER}>")
    wire.ask("RCPT TO:<sales@contoso.com>")
    wire.ask("DATA")
    wire.send("half a mess")
    wire.socket.close()
    wire.file.close()
    until(lambda: not doors.open_sessions())
    assert inbox(doors.tenant, "sales@contoso.com") == []


def test_a_reset_ends_old_sessions(doors: Doors) -> None:
    """A login from before the reset sends nothing in the new tenant."""
    with authenticated(doors) as wire:
        doors.tenant.reset(Options(faults="none"))
        assert wire.ask(f"MAIL FROM:<{USER}>") == "421 4.3.2 Service not available"


def test_requests_are_counted_by_verb(doors: Doors) -> None:
    """Known verbs under their names, everything else under OTHER; SASL responses and message text are no commands. Accepted
    messages and their recipients are counted too."""
    with authenticated(doors) as wire:
        submit(wire, message("counted", USER))
        wire.ask("FROBNICATE")
    assert doors.tenant.requests["smtp"] == {
        "EHLO": 2, "STARTTLS": 1, "AUTH": 1, "MAIL": 1, "RCPT": 1, "DATA": 1, "OTHER": 1,
        "message": 1, "recipient here": 1,
    }  # fmt: skip


FACTS_TEXTS = {  # FACTS.md §4a and §13, column "exact text", up to where the server's own data begin
    "535 5.7.3 Authentication unsuccessful ": wording.SMTP_AUTH_REFUSED,
    "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the ": wording.SMTP_OFF,
    "535 5.7.139 Authentication unsuccessful, basic authentication is disabled. ": wording.SMTP_BASIC,
    "530 5.7.57 Client not authenticated to send mail.": wording.SMTP_NOT_AUTHENTICATED,
    "504 5.7.4 Unrecognized authentication type": wording.SMTP_MECHANISM,
    "430 4.2.0 STOREDRV; mailbox logon failure; STOREDRV.Submission.Exception:ConnectionFailedTransientException."
    "MapiExceptionLogonFailed; Failed to process message due to a transient exception with message "
    "[BeginDiagnosticData]Cannot open mailbox. Server = ": wording.SMTP_LOGON_FAILURE,
    "554 5.2.252 SendAsDenied; ": wording.SMTP_SEND_AS_DENIED,
    "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending": wording.SMTP_CONCURRENCY,
}  # fmt: skip


@pytest.mark.parametrize("text", FACTS_TEXTS)
def test_the_texts_are_exchanges(text: str) -> None:
    """The table of texts this door emits, as they stand in the field's records; each is seen on the wire above."""
    assert FACTS_TEXTS[text].startswith(text)


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "LOGIN"])
def test_an_asterisk_cancels_auth(doors: Doors, mechanism: str) -> None:
    """A client may call AUTH off with an asterisk: 501 (RFC 4954 section 4), and a good login may follow."""
    with secured(doors) as wire:
        assert wire.ask(f"AUTH {mechanism}").startswith("334 ")
        assert wire.ask("*").startswith("501 5.7.0 ")
        assert wire.ask(f"AUTH XOAUTH2 {xoauth2(USER, token(doors.tenant))}").startswith("235 ")


def test_a_password_where_smtp_auth_is_off_is_told_so(doors: Doors) -> None:
    """With SMTP AUTH off for the tenant AUTH LOGIN is refused for that reason, not for the password (nodemailer#1484)."""
    doors.tenant.exchange.transport_config["SmtpClientAuthenticationDisabled"] = True
    with secured(doors) as wire:
        assert wire.ask("AUTH LOGIN").startswith("334 ")
        wire.ask(base64.b64encode(USER.encode()).decode())
        assert "SmtpClientAuthentication is disabled for the Tenant." in wire.ask("c2VjcmV0")


def test_a_whole_message_may_be_sent_ahead(doors: Doors) -> None:
    """PIPELINING is offered (RFC 2920): a transaction in one packet, then one whose sender is refused, nothing of which
    is taken for anything else; eight-bit bytes arrive as they were sent."""
    letter = message("ahead", USER).replace(b"Hello.", "Grüße.".encode("latin-1"))
    with authenticated(doors) as wire:
        wire.send(
            f"RSET\r\nMAIL FROM:<{USER}> BODY=8BITMIME\r\nRCPT TO:<sales@contoso.com>\r\nDATA\r\n".encode()
            + letter
            + b".\r\nNOOP\r\n"
        )
        assert [wire.line()[:3] for _ in range(6)] == ["250", "250", "250", "354", "250", "250"]
        wire.send(f"MAIL FROM:<{USER}> BODY=x\r\nRCPT TO:<sales@contoso.com>\r\nDATA\r\nNOOP\r\n")
        assert [wire.line()[:3] for _ in range(4)] == ["501", "503", "503", "250"]
    (raw,) = inbox(doors.tenant, "sales@contoso.com")
    assert raw.endswith(letter)
