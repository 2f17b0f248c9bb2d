"""What becomes of a message after DATA: refusals that pass MAIL FROM, limits, delays, lost answers. Judged by smtplib,
imaplib, poplib and curl, which share no code with the sandbox."""

import email
import imaplib
import poplib
import re
import shutil
import smtplib
from collections.abc import Iterator

import pytest
from doors_fixture import PRINCIPAL_ID, USER, Doors, build_tenant, grant, mailbox, send_as, token, xoauth2

SALES = "sales@contoso.com"
LETTER = f"From: {USER}\r\nTo: {SALES}\r\nSubject: a letter\r\nMessage-ID: <kept@contoso.com>\r\n\r\nHello.\r\n"


@pytest.fixture
def doors() -> Iterator[Doors]:
    with Doors(build_tenant()) as opened:
        yield opened


def smtp(doors: Doors, user: str = USER) -> smtplib.SMTP:
    client = doors.clients.enter_context(smtplib.SMTP("localhost", doors.smtp, timeout=10))
    client.starttls(context=doors.trust())
    client.ehlo()
    assert client.docmd("AUTH", f"XOAUTH2 {xoauth2(user, token(doors.tenant))}")[0] == 235
    return client


def said(client: smtplib.SMTP, text: str = LETTER, *recipients: str, sender: str = USER) -> str:
    """The answer to DATA. MAIL and RCPT must pass."""
    assert client.mail(sender)[0] == 250
    for recipient in recipients or (SALES,):
        assert client.rcpt(recipient)[0] == 250
    code, words = client.data(text)
    return f"{code} {words.decode()}"


def imap(doors: Doors, user: str = SALES) -> list[bytes]:
    """Every message of a mailbox, as imaplib reads it."""
    access = token(doors.tenant)
    client = imaplib.IMAP4_SSL("localhost", doors.imap, ssl_context=doors.trust())
    try:
        client.authenticate("XOAUTH2", lambda _: f"user={user}\x01auth=Bearer {access}\x01\x01".encode())
        client.select("INBOX", readonly=True)
        _, found = client.uid("SEARCH", "ALL")
        uids = found[0].split()
        return [client.uid("FETCH", uid.decode(), "(BODY.PEEK[])")[1][0][1] for uid in uids]
    finally:
        client.shutdown()


def pop(doors: Doors, user: str = SALES) -> list[bytes]:
    client = poplib.POP3_SSL("localhost", doors.pop, context=doors.trust())
    try:
        client._shortcmd("AUTH XOAUTH2")  # type: ignore[attr-defined]  # poplib has no AUTH of its own
        client._shortcmd(xoauth2(user, token(doors.tenant)))  # type: ignore[attr-defined]  # as above
        return [b"\r\n".join(client.retr(n + 1)[1]) for n in range(client.stat()[0])]
    finally:
        client.close()


def test_a_message_is_read_by_whoever_may(doors: Doors) -> None:
    """What smtplib submits, imaplib, poplib and curl read in the recipient's mailbox, header and text; what goes elsewhere
    is accepted, counted and gone."""
    grant(doors.tenant, SALES)
    assert said(smtp(doors), LETTER, SALES, "x@example.org").startswith("250 2.6.0 <kept@contoso.com> ")
    (by_imap,), (by_pop,) = imap(doors), pop(doors)
    for raw in (by_imap, by_pop):
        read = email.message_from_bytes(raw)
        assert (read["Subject"], read["Message-ID"]) == ("a letter", "<kept@contoso.com>")
        assert read.get_payload().strip() == "Hello."
    if (program := shutil.which("curl")) is not None:
        url = f"imaps://localhost:{doors.imap}/INBOX;MAILINDEX=1"
        got = doors.curl(program, url, access_token=token(doors.tenant), user=SALES)
        assert got.stdout == by_imap, got.stderr
    counts = doors.tenant.requests["smtp"]
    assert (counts["message"], counts["recipient here"], counts["recipient elsewhere"]) == (1, 1, 1)


def test_an_unknown_recipient_of_the_tenant_comes_back_as_a_report(doors: Doors) -> None:
    """RCPT and DATA are accepted all the same; the sender finds a report of non-delivery, 550 5.1.10, and no loop begins."""
    assert said(smtp(doors), LETTER, "nobody@contoso.com").startswith("250 2.6.0 ")
    report = email.message_from_bytes(imap(doors, USER)[-1])
    assert report.get_content_type() == "multipart/report"
    assert [part.get_content_type() for part in report.get_payload()] == [
        "text/plain", "message/delivery-status", "text/rfc822-headers",
    ]  # fmt: skip
    assert "550 5.1.10 RESOLVER.ADR.RecipientNotFound" in report.get_payload()[0].get_payload()
    assert "Final-recipient: RFC822;nobody@contoso.com" in report.as_string()
    assert "Message-ID: <kept@contoso.com>" in report.as_string()
    assert report["Auto-Submitted"] == "auto-replied"


FORMS = {
    0: f"554 5.2.252 SendAsDenied; {USER} not allowed to send as {SALES}; STOREDRV.Submission.Exception:SendAsDeniedException.",
    1: "550 5.7.60 SMTP; Client does not have permissions to send as this sender [",
    2: "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message ",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", ["envelope", "header"])
def test_another_sender_is_refused_in_three_forms(doors: Doors, form: int, where: str) -> None:
    """send-as-form: MAIL and RCPT pass, DATA does not, whether envelope or From is another's; with SendAs both pass."""
    doors.tenant.faults.set("send-as-form", form)
    sender, text = (SALES, LETTER) if where == "envelope" else (USER, LETTER.replace(f"From: {USER}", f"From: {SALES}"))
    client = smtp(doors)
    assert said(client, text, sender=sender).startswith(FORMS[form])
    assert mailbox(doors.tenant, SALES).messages == []
    send_as(doors.tenant, SALES, PRINCIPAL_ID)
    assert said(client, text, sender=sender).startswith("250 ")


def test_a_full_mailbox_sends_nothing(doors: Doors) -> None:
    """mailbox-full: 554 5.2.2 after DATA, in the vendor's words; logins are as before."""
    doors.tenant.faults.set("mailbox-full", 1)
    assert said(smtp(doors)).startswith(
        "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded"
    )
    assert mailbox(doors.tenant, SALES).messages == []


def test_recipients_a_day_have_a_limit(doors: Doors) -> None:
    """recipients-a-day: the message that would go beyond is refused, 554 5.2.0 SubmissionQuotaExceededException; a day
    later it goes. Another mailbox has a limit of its own."""
    doors.tenant.faults.set("recipients-a-day", 3)
    grant(doors.tenant, SALES)
    client = smtp(doors)
    assert said(client, LETTER, SALES, "x@example.org").startswith("250 ")
    over = said(client, LETTER, SALES, "x@example.org")
    assert over.startswith("554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException")
    assert said(client, LETTER, SALES).startswith("250 ")
    assert said(smtp(doors, SALES), LETTER.replace(USER, SALES), USER, sender=SALES).startswith("250 ")
    doors.tenant.clock.advance(2000)  # within the token's life
    assert said(client).startswith("554 5.2.0 ")
    doors.tenant.clock.advance(86400)
    assert said(smtp(doors), LETTER, SALES, "x@example.org").startswith("250 ")


def test_more_than_the_rate_is_carried_over(doors: Doors) -> None:
    """submission-rate, submission-rate-form=0: what is beyond the rate is accepted and arrives in a later minute."""
    doors.tenant.faults.set("submission-rate", 2)
    grant(doors.tenant, SALES)
    client = smtp(doors)
    for _ in range(5):
        assert said(client).startswith("250 ")
    assert len(imap(doors)) == len(pop(doors)) == 2
    doors.tenant.clock.advance(61)
    assert len(imap(doors)) == 4
    doors.tenant.clock.advance(61)
    assert len(imap(doors)) == 5
    assert said(client).startswith("250 ")
    assert len(imap(doors)) == 6


def test_more_than_the_rate_may_be_refused(doors: Doors) -> None:
    """submission-rate, submission-rate-form=1: 421 4.4.2, the connection ends, and a minute later the next one passes."""
    doors.tenant.faults.set("submission-rate", 2)
    doors.tenant.faults.set("submission-rate-form", 1)
    client = smtp(doors)
    assert [said(client)[:4] for _ in range(2)] == ["250 ", "250 "]
    assert said(client) == "421 4.4.2 Message submission rate for this client has exceeded the configured limit"
    with pytest.raises(smtplib.SMTPServerDisconnected):
        client.noop()
    doors.tenant.clock.advance(61)
    assert said(smtp(doors)).startswith("250 ")
    assert len(mailbox(doors.tenant, SALES).messages) == 3


def test_the_server_may_put_its_own_message_id(doors: Doors) -> None:
    """message-id=1: the stored message has the id that the answer names, once, and the sender's own beside it."""
    doors.tenant.faults.set("message-id", 1)
    grant(doors.tenant, SALES)
    answer = said(smtp(doors))
    named = re.fullmatch(r"250 2\.0\.0 OK (<[0-9A-F]{32}@\S+\.prod\.outlook\.com>) \[Hostname=\S+\]", answer)
    assert named is not None
    (raw,) = imap(doors)
    read = email.message_from_bytes(raw)
    assert read.get_all("Message-ID") == [named[1]]
    assert read["X-Microsoft-Original-Message-ID"] == "<kept@contoso.com>"


def test_what_is_accepted_arrives_later(doors: Doors) -> None:
    """delivery-lag: neither IMAP nor POP shows an accepted message before its time, and both do after it."""
    doors.tenant.faults.set("delivery-lag", 100)
    grant(doors.tenant, SALES)
    assert said(smtp(doors)).startswith("250 ")
    assert imap(doors) == pop(doors) == []
    assert doors.tenant.faults.fired["delivery-lag"]
    doors.tenant.clock.advance(49)
    assert imap(doors) == []
    doors.tenant.clock.advance(52)
    assert len(imap(doors)) == len(pop(doors)) == 1


def test_a_reset_forgets_what_was_on_its_way(doors: Doors) -> None:
    """A message of the old tenant does not arrive in the new one."""
    doors.tenant.faults.set("delivery-lag", 100)
    client = smtp(doors)
    said(client)
    client.close()
    doors.tenant.reset(doors.tenant.options)
    doors.tenant.exchange.add_mailbox(SALES)
    doors.tenant.exchange.add_mailbox(USER)
    doors.tenant.clock.advance(200)
    assert mailbox(doors.tenant, SALES).messages == []


@pytest.mark.parametrize(("knob", "arrived"), [("submission-lost-reply", 1), ("submission-drop", 0)])
def test_the_answer_to_data_may_be_lost(doors: Doors, knob: str, arrived: int) -> None:
    """submission-lost-reply, submission-drop: the client sees the same thing, a closed connection; only the mailbox tells."""
    doors.tenant.faults.set(knob, 1)
    answers = []
    for _ in range(8):
        client = smtp(doors)
        before = len(mailbox(doors.tenant, SALES).messages)
        try:
            answers.append(said(client)[:4])
        except smtplib.SMTPServerDisconnected:
            answers.append("lost")
            assert len(mailbox(doors.tenant, SALES).messages) - before == arrived
    assert answers.count("lost") == 1
    assert set(answers) == {"250 ", "lost"}


def test_an_address_that_is_none_is_refused_at_once(doors: Doors) -> None:
    """501 5.1.3 for a recipient, 501 5.1.7 for a sender."""
    client = smtp(doors)
    assert client.docmd("MAIL", "FROM:<no one>") == (501, b"5.1.7 Invalid address")
    client.mail(USER)
    assert client.docmd("RCPT", "TO:<no one>") == (501, b"5.1.3 Invalid address")
