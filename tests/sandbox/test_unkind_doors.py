"""How late and how differently the mail doors honour what was set, judged by imaplib, poplib and smtplib."""

import base64
import imaplib
import poplib
import smtplib
from collections.abc import Iterator

import pytest
from doors_fixture import USER, Doors, build_tenant, grant, mailbox, register, token, xoauth2

from exosp.sandbox.exchange import Row

ALIAS = "desk@contoso.com"


@pytest.fixture
def doors() -> Iterator[Doors]:
    with Doors(build_tenant()) as opened:
        yield opened


def imap(doors: Doors, user: str = USER) -> str:
    """How far imaplib comes: "opened", or what it was told."""
    access = token(doors.tenant)
    client = imaplib.IMAP4_SSL("localhost", doors.imap, ssl_context=doors.trust())
    try:
        client.authenticate("XOAUTH2", lambda _: f"user={user}\x01auth=Bearer {access}\x01\x01".encode())
        client.select("INBOX")
    except imaplib.IMAP4.error as fault:
        return str(fault)
    finally:
        client.shutdown()
    return "opened"


def pop(doors: Doors, user: str = USER) -> str:
    client = poplib.POP3_SSL("localhost", doors.pop, context=doors.trust())
    try:
        client._shortcmd("AUTH XOAUTH2")  # type: ignore[attr-defined]  # poplib has no AUTH of its own
        client._shortcmd(xoauth2(user, token(doors.tenant)))  # type: ignore[attr-defined]  # as above
        client.stat()
    except poplib.error_proto as fault:
        return str(fault)
    finally:
        client.close()
    return "opened"


def smtp(doors: Doors, user: str = USER) -> str:
    with smtplib.SMTP("localhost", doors.smtp) as client:
        client.starttls(context=doors.trust())
        client.ehlo()
        code, text = client.docmd("AUTH", f"XOAUTH2 {xoauth2(user, token(doors.tenant))}")
        if code != 235:
            return f"{code} {text.decode()}"
        try:
            client.sendmail(user, [USER], "Subject: x\r\n\r\nx")
        except smtplib.SMTPResponseException as fault:
            return f"{fault.smtp_code} {fault.smtp_error!r}"
    return "opened"


def test_a_grant_is_honoured_late(doors: Doors) -> None:
    """grant-lag on a permission: "not connected" for IMAP and POP, 535 5.7.3 for SMTP, then all open."""
    box = mailbox(doors.tenant)
    box.permissions.clear()
    grant(doors.tenant, USER, effective_at=doors.tenant.clock.now() + 5400)
    assert "authenticated but not connected" in imap(doors)
    assert "authenticated but not connected" in pop(doors)
    assert "535 5.7.3" in smtp(doors)
    assert doors.tenant.faults.fired["grant-lag"] == 3
    doors.tenant.clock.advance(5401)
    assert (imap(doors), pop(doors), smtp(doors)) == ("opened",) * 3


def test_an_entry_is_honoured_late(doors: Doors) -> None:
    """grant-lag on Exchange's entry: the application is a stranger to all three, refused at AUTH."""
    doors.tenant.exchange.service_principals.clear()
    register(doors.tenant, effective_at=doors.tenant.clock.now() + 600)
    assert "AUTHENTICATE failed" in imap(doors)
    assert "Authentication failure" in pop(doors)
    assert "535 5.7.3" in smtp(doors)
    assert doors.tenant.faults.fired["grant-lag"] == 3
    doors.tenant.clock.advance(601)
    assert (imap(doors), pop(doors), smtp(doors)) == ("opened",) * 3


def test_the_other_form_of_a_missing_grant_comes_after_the_message(doors: Doors) -> None:
    """smtp-without-grant=1: AUTH succeeds, and the message is answered 430 4.2.0 STOREDRV."""
    doors.tenant.faults.set("smtp-without-grant", 1)
    mailbox(doors.tenant).permissions.clear()
    assert "430" in (said := smtp(doors))
    assert "STOREDRV" in said
    assert doors.tenant.faults.fired["smtp-without-grant"] == 1


def test_a_switch_is_honoured_late(doors: Doors) -> None:
    """protocol-switch-lag: Get-CASMailbox shows the new value at once, logins are judged by the former one for a while;
    turning off is as late as turning on."""
    doors.tenant.faults.set("protocol-switch-lag", 3600)
    box, exchange = mailbox(doors.tenant), doors.tenant.exchange
    exchange.switch(box, {"ImapEnabled": False, "PopEnabled": False, "SmtpClientAuthenticationDisabled": True})
    assert (box.cas["ImapEnabled"], box.cas["SmtpClientAuthenticationDisabled"]) == (False, True)
    assert (imap(doors), pop(doors), smtp(doors)) == ("opened",) * 3
    doors.tenant.clock.advance(3601)
    assert "authenticated but not connected" in imap(doors)
    assert "Authentication failure" in pop(doors)
    assert "SmtpClientAuthentication is disabled for the Mailbox" in smtp(doors)
    assert "protocol-switch-lag" not in doors.tenant.faults.fired
    exchange.switch(box, {"ImapEnabled": True, "PopEnabled": True, "SmtpClientAuthenticationDisabled": False})
    assert "opened" not in (imap(doors), pop(doors), smtp(doors))
    assert doors.tenant.faults.fired["protocol-switch-lag"] == 3
    doors.tenant.clock.advance(3601)
    assert (imap(doors), pop(doors), smtp(doors)) == ("opened",) * 3


def test_which_name_opens_a_mailbox(doors: Doors) -> None:
    """login-name: with 0 an alias opens the mailbox as the UPN does; with 1 the UPN alone, another is "not connected"."""
    box = mailbox(doors.tenant)
    box.properties["EmailAddresses"].append(f"smtp:{ALIAS}")
    doors.tenant.exchange.mailboxes.remove(box)  # names are those it had when it was added
    doors.tenant.exchange.by_address(ALIAS)
    doors.tenant.exchange.mailboxes.append(box)
    assert (imap(doors, ALIAS), pop(doors, ALIAS), smtp(doors, ALIAS)) == ("opened",) * 3
    doors.tenant.faults.set("login-name", 1)
    assert "authenticated but not connected" in imap(doors, ALIAS)
    assert "authenticated but not connected" in pop(doors, ALIAS)
    assert "535 5.7.3" in smtp(doors, ALIAS)
    assert (imap(doors), pop(doors), smtp(doors)) == ("opened",) * 3


@pytest.mark.parametrize(
    ("knob", "holder", "allowed"), [(1, "app", False), (1, "box", True), (2, "app", True), (2, "box", False)]
)
def test_whose_send_as_counts(doors: Doors, knob: int, holder: str, allowed: bool) -> None:
    """send-as-trustee: SendAs of the login mailbox, or of the application, lets another sender pass; not the other one's."""
    doors.tenant.faults.set("send-as-trustee", knob)
    trustee = {"app": doors.tenant.exchange.service_principals[0]["ObjectId"], "box": USER}[holder]
    row = {"AccessRights": ["SendAs"], "Trustee": trustee, "_trustee": trustee, "AccessControlType": "Allow"}
    mailbox(doors.tenant, "sales@contoso.com").recipient_permissions.append(Row(row, 0.0))
    with smtplib.SMTP("localhost", doors.smtp) as client:
        client.starttls(context=doors.trust())
        client.ehlo()
        said = base64.b64decode(xoauth2(USER, token(doors.tenant)))
        assert client.docmd("AUTH", f"XOAUTH2 {base64.b64encode(said).decode()}")[0] == 235
        if allowed:
            client.sendmail("sales@contoso.com", [USER], "From: sales@contoso.com\r\nSubject: x\r\n\r\nx")
            return
        with pytest.raises(smtplib.SMTPResponseException) as caught:
            client.sendmail("sales@contoso.com", [USER], "From: sales@contoso.com\r\nSubject: x\r\n\r\nx")
        assert b"SendAsDenied" in caught.value.smtp_error
