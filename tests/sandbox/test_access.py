"""Who may log in to which mailbox: the judgement alone, without any wire."""

import base64
import dataclasses
from typing import Any

import pytest
from doors_fixture import (
    ALL_ROLES,
    APPLICATION_OBJECT_ID,
    AUDIENCE,
    PRINCIPAL_ID,
    USER,
    build_tenant,
    grant,
    mailbox,
    register,
    send_as,
    token,
    xoauth2,
)

from exosp.sandbox.doors import access
from exosp.sandbox.doors.access import AuthRefused, Gate, NotConnected, Opened, Protocol, Reason
from exosp.sandbox.doors.xoauth2 import decode
from exosp.sandbox.tenant import Tenant

PROTOCOLS: tuple[Protocol, ...] = ("imap", "pop", "smtp")


def judge(tenant: Tenant, protocol: Protocol, user: str = USER, **claims: Any) -> access.Admission:
    return access.admit(tenant, protocol, user, token(tenant, **claims))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_everything_right_opens_the_mailbox(protocol: Protocol) -> None:
    """A token with audience, role and oid, an Exchange entry, FullAccess and the protocol on: open."""
    tenant = build_tenant()
    outcome = judge(tenant, protocol)
    assert isinstance(outcome, Opened)
    assert outcome.mailbox is mailbox(tenant)
    assert outcome.object_id == PRINCIPAL_ID


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "https://graph.microsoft.com"}, Reason.AUDIENCE),
        ({"aud": "https://ps.outlook.com"}, Reason.AUDIENCE),
        ({"aud": "https://outlook.office365.com//"}, Reason.AUDIENCE),
        ({"aud": "https://outlook.office365.com.evil.example"}, Reason.AUDIENCE),
        ({"aud": [AUDIENCE]}, Reason.AUDIENCE),
        ({"roles": []}, Reason.ROLE),
        ({"roles": None}, Reason.ROLE),
        ({"roles": ["full_access_as_app"]}, Reason.ROLE),
        ({"roles": " ".join(ALL_ROLES)}, Reason.ROLE),
        ({"oid": APPLICATION_OBJECT_ID}, Reason.PRINCIPAL),
        ({"oid": None}, Reason.PRINCIPAL),
        ({"appid": APPLICATION_OBJECT_ID}, Reason.PRINCIPAL),
        ({"exp": 1}, Reason.EXPIRED),
        ({"iss": "https://sts.windows.net/other/"}, Reason.TOKEN),
    ],
)
def test_a_token_that_is_not_for_exchange_is_refused_at_auth(
    protocol: Protocol, claims: dict[str, Any], reason: Reason
) -> None:
    """Audience, roles, oid, appid, issuer and time must each hold; every failure is one of AUTH, on every protocol."""
    assert judge(build_tenant(), protocol, **claims) == AuthRefused(reason)


@pytest.mark.parametrize("audience", [AUDIENCE, AUDIENCE + "/", "https://outlook.office.com", "https://outlook.office.com/"])  # fmt: skip
def test_exchange_takes_both_its_names_with_or_without_a_slash(audience: str) -> None:
    """outlook.office365.com and outlook.office.com are the audiences, a trailing slash does not matter."""
    assert isinstance(judge(build_tenant(), "imap", aud=audience), Opened)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_protocol_needs_its_own_role(protocol: Protocol) -> None:
    """One role opens exactly one protocol."""
    tenant = build_tenant()
    for other in PROTOCOLS:
        outcome = judge(tenant, protocol, roles=[access.ROLES[other]])
        assert isinstance(outcome, Opened) is (other == protocol)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_forged_token_is_refused(protocol: Protocol) -> None:
    """A token that another key signed, a cut one, and unsigned ones do not verify."""
    tenant, stranger = build_tenant(), build_tenant(own_key=True)
    stranger.signer.issuer = tenant.signer.issuer
    good = token(tenant)
    head, body, _ = good.split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    for bad in (token(stranger), good[:-9], f"{head}.{body}.", f"{unsigned}.{body}.", "EwBAAl3BAAUFFpUAo7J3Ve0b"):
        assert access.admit(tenant, protocol, USER, bad) == AuthRefused(Reason.TOKEN)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_entry_with_the_applications_own_object_id_lets_nobody_in(protocol: Protocol) -> None:
    """The classic mistake: right AppId, wrong kind of id. Repaired by an entry with the enterprise application's."""
    tenant = build_tenant()
    tenant.exchange.service_principals.clear()
    register(tenant, APPLICATION_OBJECT_ID)
    assert judge(tenant, protocol) == AuthRefused(Reason.PRINCIPAL)
    register(tenant)
    assert isinstance(judge(tenant, protocol), Opened)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_entry_counts_from_its_time_on(protocol: Protocol) -> None:
    """Until the entry takes effect the application is a stranger."""
    tenant = build_tenant()
    tenant.exchange.service_principals.clear()
    register(tenant, effective_at=tenant.clock.now() + 60)
    assert judge(tenant, protocol) == AuthRefused(Reason.PRINCIPAL, "grant-lag")
    tenant.clock.advance(61)
    assert isinstance(judge(tenant, protocol), Opened)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_unknown_user_is_refused_at_auth(protocol: Protocol) -> None:
    """There is nobody to authenticate as."""
    assert judge(build_tenant(), protocol, "nobody@contoso.com") == AuthRefused(Reason.USER)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_without_a_grant_the_gate_is_as_the_rules_say(protocol: Protocol) -> None:
    """No FullAccess: IMAP and POP authenticate and do not connect; SMTP refuses at AUTH."""
    tenant = build_tenant()
    outcome = judge(tenant, protocol, "private@contoso.com")
    if protocol == "smtp":
        assert outcome == AuthRefused(Reason.GRANT)
    else:
        assert isinstance(outcome, NotConnected)
        assert outcome.reason is Reason.GRANT
        assert outcome.mailbox is mailbox(tenant, "private@contoso.com")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_delayed_grant_is_no_grant_until_its_time(protocol: Protocol) -> None:
    """The same outcome as without the row, and then open."""
    tenant = build_tenant()
    before = judge(tenant, protocol, "sales@contoso.com")
    grant(tenant, "sales@contoso.com", effective_at=tenant.clock.now() + 3600)
    delayed = judge(tenant, protocol, "sales@contoso.com")
    assert not isinstance(before, Opened)
    assert not isinstance(delayed, Opened)
    assert (type(delayed), delayed.reason) == (type(before), before.reason)
    assert delayed.waiting
    tenant.clock.advance(3601)
    assert isinstance(judge(tenant, protocol, "sales@contoso.com"), Opened)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_deny_row_wins(protocol: Protocol) -> None:
    """FullAccess granted and denied is denied."""
    tenant = build_tenant()
    grant(tenant, USER, deny=True)
    outcome = judge(tenant, protocol)
    assert not isinstance(outcome, Opened)
    assert outcome.reason is Reason.GRANT


def test_other_rights_and_other_trustees_do_not_open() -> None:
    """ReadPermission is not FullAccess, and somebody else's FullAccess is not ours; NT AUTHORITY\\SELF is nobody."""
    tenant = build_tenant()
    grant(tenant, "sales@contoso.com", trustee=APPLICATION_OBJECT_ID)
    grant(tenant, "sales@contoso.com")
    mailbox(tenant, "sales@contoso.com").permissions[-1].properties["AccessRights"] = ["ReadPermission"]
    assert isinstance(judge(tenant, "imap", "sales@contoso.com"), NotConnected)


@pytest.mark.parametrize(
    ("protocol", "setting", "expected"),
    [
        ("imap", {"ImapEnabled": False}, (NotConnected, Reason.PROTOCOL_OFF)),
        ("pop", {"PopEnabled": False}, (AuthRefused, Reason.PROTOCOL_OFF)),
        ("smtp", {"SmtpClientAuthenticationDisabled": True}, (AuthRefused, Reason.SMTP_OFF_MAILBOX)),
    ],
)
def test_a_protocol_switched_off_closes_that_protocol_only(
    protocol: Protocol, setting: dict[str, bool], expected: tuple[type, Reason]
) -> None:
    """Each switch closes its own protocol, at the gate where Exchange says so."""
    tenant = build_tenant()
    mailbox(tenant).cas.update(setting)
    outcome = judge(tenant, protocol)
    assert not isinstance(outcome, Opened)
    assert (type(outcome), outcome.reason) == expected
    for other in set(PROTOCOLS) - {protocol}:
        assert isinstance(judge(tenant, other), Opened)


@pytest.mark.parametrize(
    ("own", "organization", "reason"),
    [
        (None, True, Reason.SMTP_OFF_TENANT), (None, False, None), (False, True, None), (False, False, None),
        (True, True, Reason.SMTP_OFF_MAILBOX), (True, False, Reason.SMTP_OFF_MAILBOX),
    ],
)  # fmt: skip
def test_the_mailboxs_smtp_setting_wins_over_the_organizations(
    own: bool | None, organization: bool, reason: Reason | None
) -> None:
    """Set-CASMailbox overrides Set-TransportConfig; $null leaves it to the organization."""
    tenant = build_tenant()
    mailbox(tenant).cas["SmtpClientAuthenticationDisabled"] = own
    tenant.exchange.transport_config["SmtpClientAuthenticationDisabled"] = organization
    outcome = judge(tenant, "smtp")
    assert outcome == AuthRefused(reason) if reason else isinstance(outcome, Opened)


def test_the_knob_moves_smtps_refusal_behind_auth() -> None:
    """smtp-without-grant=1: AUTH succeeds; a protocol that is off is refused at AUTH all the same."""
    tenant = build_tenant()
    tenant.faults.set("smtp-without-grant", 1)
    assert isinstance(judge(tenant, "smtp", "private@contoso.com"), NotConnected)
    mailbox(tenant, "private@contoso.com").cas["SmtpClientAuthenticationDisabled"] = True
    assert judge(tenant, "smtp", "private@contoso.com") == AuthRefused(Reason.SMTP_OFF_MAILBOX)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("change", "reason"), [({"kind": "MailUser"}, Reason.MAIL_USER), ({"soft_deleted": True}, Reason.SOFT_DELETED)])  # fmt: skip
def test_a_recipient_without_a_live_mailbox_does_not_open(
    protocol: Protocol, change: dict[str, object], reason: Reason
) -> None:
    """A MailUser's mailbox is elsewhere and a soft-deleted one is gone, whatever was granted."""
    tenant = build_tenant()
    box = mailbox(tenant)
    for name, value in change.items():
        setattr(box, name, value)
    outcome = judge(tenant, protocol)
    assert not isinstance(outcome, Opened)
    assert outcome.reason is reason
    assert isinstance(outcome, AuthRefused) is (protocol == "smtp")


def test_a_shared_mailbox_and_an_alias_open_as_any_other() -> None:
    """App-only tokens need no licence and no person; an alias leads to the one mailbox."""
    tenant = build_tenant()
    shared = tenant.exchange.add_mailbox("team@contoso.com", kind="SharedMailbox", aliases=("crew@contoso.com",))
    grant(tenant, "team@contoso.com")
    for address in ("team@contoso.com", "CREW@contoso.com"):
        outcome = judge(tenant, "imap", address)
        assert isinstance(outcome, Opened)
        assert outcome.mailbox is shared


def test_every_reason_has_a_rule_with_a_source() -> None:
    """No reason to refuse without a gate on each protocol and a word on where that is from."""
    assert set(access.RULES) == set(Reason)
    assert all(rule.source for rule in access.RULES.values())
    assert all(isinstance(getattr(rule, p), Gate) for rule in access.RULES.values() for p in PROTOCOLS)


@pytest.mark.parametrize(
    ("knob", "trustee", "allowed"),
    [
        (0, PRINCIPAL_ID, True), (0, USER, True), (1, PRINCIPAL_ID, False), (1, USER, True),
        (2, PRINCIPAL_ID, True), (2, USER, False), (0, "private@contoso.com", False),
    ],
)  # fmt: skip
def test_whose_send_as_counts_is_a_knob(knob: int, trustee: str, allowed: bool) -> None:
    """Sources disagree on the trustee: the app, the mailbox that logs in, or either."""
    tenant = build_tenant()
    tenant.faults.set("send-as-trustee", knob)
    opened = judge(tenant, "smtp")
    assert isinstance(opened, Opened)
    assert not access.may_send_as(tenant, opened, "sales@contoso.com")
    send_as(tenant, "sales@contoso.com", trustee)
    assert access.may_send_as(tenant, opened, "sales@contoso.com") is allowed
    assert access.may_send_as(tenant, opened, USER.upper())
    assert not access.may_send_as(tenant, opened, "stranger@example.org")


def test_the_vendors_sample_decodes() -> None:
    """The page's own base64 (test@contoso.onmicrosoft.com) is read."""
    sample = "dXNlcj10ZXN0QGNvbnRvc28ub25taWNyb3NvZnQuY29tAWF1dGg9QmVhcmVyIEV3QkFBbDNCQUFVRkZwVUFvN0ozVmUwYmpMQldaV0NjbFJDM0VvQUEBAQ=="
    credentials = decode(sample.encode())
    assert credentials is not None
    assert dataclasses.astuple(credentials) == (
        "test@contoso.onmicrosoft.com",
        "EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA",
    )
    assert credentials.token not in repr(credentials)


@pytest.mark.parametrize(
    "response",
    [
        b"", b"*", b"!!!!", base64.b64encode(b"user=a@b.c\x01auth=Bearer t\x01"), base64.b64encode(b"user=\x01auth=Bearer t\x01\x01"),
        base64.b64encode(b"user=a@b.c\x01auth=Bearer \x01\x01"), base64.b64encode(b"user=a@b.c^Aauth=Bearer t^A^A"),
        base64.b64encode(b"user=a@b.c\x01auth=t\x01\x01"), base64.b64encode(b"user=a@b.c\x01auth=Bearer t\x01\x01 "),
        base64.b64encode(b"user=\xff\x01auth=Bearer t\x01\x01"), base64.b64encode(b"user=a@b.c\x01auth=Bearer t\x01\x01")[:-1],
        base64.b64encode(b"n,a=a@b.c,\x01auth=Bearer t\x01\x01"),
        b"!" + base64.b64encode(b"user=a@b.c\x01auth=Bearer t\x01\x01"),
    ],
)  # fmt: skip
def test_a_malformed_response_is_a_refused_login(response: bytes) -> None:
    """Nothing but user=…^Aauth=Bearer …^A^A in whole base64 is taken."""
    assert decode(response) is None
    assert access.log_in(build_tenant(), "pop", response) == AuthRefused(Reason.RESPONSE)


def test_a_well_formed_response_goes_to_the_judgement() -> None:
    tenant = build_tenant()
    assert isinstance(access.log_in(tenant, "pop", xoauth2(USER, token(tenant)).encode()), Opened)
