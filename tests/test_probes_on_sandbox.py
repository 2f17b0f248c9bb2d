"""The probes and the diagnosis against the sandbox's doors: written apart, from the same vendor's pages."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from exosp.clouds import Endpoint
from exosp.diagnosis import ProbeFacts, diagnose, proves_closed
from exosp.mail import PROBES, Reading
from sandbox import doors_fixture as fixture
from sandbox.doors_fixture import Doors

PROTOCOLS = tuple(PROBES)


@pytest.fixture
def doors() -> Iterator[Doors]:
    with Doors() as opened:
        yield opened


def login(doors: Doors, protocol: str, *, user: str = fixture.USER, **claims: Any) -> Reading:
    endpoint = Endpoint("localhost", getattr(doors, protocol))
    return PROBES[protocol](endpoint, user, lambda: fixture.token(doors.tenant, **claims), ca=doors.ca, timeout=20)


def facts(doors: Doors, protocol: str, reading: Reading, **changes: Any) -> ProbeFacts:
    """What verify would know of a tenant where all is right, but for ``changes``."""
    right = {
        "protocol": protocol,
        "stage": reading.stage,
        "ok": reading.ok,
        "server": reading.server,
        "claims": {"aud": fixture.AUDIENCE, "appid": fixture.APP_ID, "oid": fixture.PRINCIPAL_ID, "roles": fixture.ALL_ROLES},
        "now": None,
        "audience": fixture.AUDIENCE,
        "entry_object_id": fixture.PRINCIPAL_ID,
        "principal_object_id": fixture.PRINCIPAL_ID,
        "application_object_id": fixture.APPLICATION_OBJECT_ID,
        "granted": True,
        "switched_on": True,
        "smtp_auth_disabled_mailbox": None,
        "smtp_auth_disabled_tenant": False,
        "upn": fixture.USER,
        "address": fixture.USER,
        "plan_empty": True,
    }  # fmt: skip
    return ProbeFacts(**(right | changes))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_granted_mailbox_opens(doors, protocol):
    """With everything in place each protocol proves access one command past AUTH, in the sandbox's words."""
    reading = login(doors, protocol)
    assert reading.ok, reading
    assert (reading.stage, reading.proof) == (("sender", "accepted") if protocol == "smtp" else ("open", "opened"))
    assert doors.open_sessions() == 0 or doors.failures == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_mailbox_nobody_granted_is_refused(doors, protocol):
    """private@ is refused, and the refusal speaks of access, so it proves the mailbox closed."""
    reading = login(doors, protocol, user="private@contoso.com")
    assert not reading.ok
    assert not reading.unreachable
    assert proves_closed(protocol, reading.stage, reading.server), reading.server
    found = diagnose(facts(doors, protocol, reading, granted=False, address="private@contoso.com", plan_empty=False))
    assert "no FullAccess on private@contoso.com" in found.cause


def _claims(**changes: Any) -> Callable[[Doors], dict[str, Any]]:
    return lambda doors: changes


def _own_object_id(doors: Doors) -> dict[str, Any]:
    doors.tenant.exchange.service_principals.clear()
    fixture.register(doors.tenant, fixture.APPLICATION_OBJECT_ID)
    return {}


def _no_entry(doors: Doors) -> dict[str, Any]:
    doors.tenant.exchange.service_principals.clear()
    return {}


BROKEN = {
    # what is done to the tenant or the token; what verify would then have read; what it must say
    "Graph's audience": (
        _claims(aud="https://graph.microsoft.com"),
        lambda right: {"claims": right.claims | {"aud": "https://graph.microsoft.com"}},
        "audience is https://graph.microsoft.com",
    ),
    "no role": (
        _claims(roles=[]),
        lambda right: {"claims": right.claims | {"roles": []}, "plan_empty": False},
        "roles are empty",
    ),
    "own object ID": (
        _own_object_id,
        lambda right: {"entry_object_id": fixture.APPLICATION_OBJECT_ID, "plan_empty": False},
        "the application's own object ID",
    ),
    "no entry": (
        _no_entry,
        lambda right: {"entry_object_id": None, "plan_empty": False},
        "Exchange has no entry for the application",
    ),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", BROKEN)
def test_each_mistake_is_refused_at_auth_and_named(doors, protocol, kind):
    """Audience, role, object ID, missing entry: each fails at AUTH in words the table knows, and is told by its evidence."""
    breaks, read, cause = BROKEN[kind]
    reading = login(doors, protocol, **breaks(doors))
    assert (reading.stage, reading.ok, reading.unreachable) == ("auth", False, False)
    right = facts(doors, protocol, reading)
    found = diagnose(facts(doors, protocol, reading, **read(right)))
    assert found.row
    assert cause in found.cause
    assert not found.too_early


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_expired_token_is_refused(doors, protocol):
    """A token past its time fails at AUTH, in words that the table knows."""
    endpoint = Endpoint("localhost", getattr(doors, protocol))
    old = fixture.token(doors.tenant, lifetime=-10)
    reading = PROBES[protocol](endpoint, fixture.USER, old, ca=doors.ca, timeout=20)
    assert (reading.stage, reading.ok) == ("auth", False)
    assert diagnose(facts(doors, protocol, reading)).row


@pytest.mark.parametrize("protocol", ["imap", "pop"])
def test_a_protocol_that_is_off_is_named(doors, protocol):
    """IMAP or POP off for the mailbox: refused, and the switch is the cause."""
    name = {"imap": "ImapEnabled", "pop": "PopEnabled"}[protocol]
    fixture.mailbox(doors.tenant).cas[name] = False
    reading = login(doors, protocol)
    assert not reading.ok
    found = diagnose(facts(doors, protocol, reading, switched_on=False, plan_empty=False))
    assert found.row
    assert f"({name} is False)" in found.cause


@pytest.mark.parametrize("whose", ["mailbox", "tenant"])
def test_smtp_auth_that_is_off_is_named(doors, whose):
    """SMTP AUTH off for the mailbox or the tenant: refused at AUTH in words that say which."""
    name = "SmtpClientAuthenticationDisabled"
    if whose == "mailbox":
        fixture.mailbox(doors.tenant).cas[name] = True
        read = {"smtp_auth_disabled_mailbox": True}
    else:
        doors.tenant.exchange.transport_config[name] = True
        read = {"smtp_auth_disabled_tenant": True}
    reading = login(doors, "smtp")
    assert (reading.stage, reading.ok) == ("auth", False)
    found = diagnose(facts(doors, "smtp", reading, plan_empty=False, **read))
    assert found.row == f"smtp-off-{whose}"
    assert {"mailbox": f"SMTP AUTH is off for {fixture.USER} itself", "tenant": "SMTP AUTH is off for the tenant"}[
        whose
    ] in found.cause


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_grant_still_on_its_way_is_too_early(doors, protocol):
    """While a right grant has no effect yet, all that can be read is right: too early, and after the delay it opens."""
    support = fixture.mailbox(doors.tenant)
    support.permissions.clear()
    fixture.grant(doors.tenant, fixture.USER, effective_at=doors.tenant.clock.now() + 3600)
    reading = login(doors, protocol)
    assert not reading.ok
    assert diagnose(facts(doors, protocol, reading)).too_early
    doors.tenant.clock.advance(3601)
    assert login(doors, protocol).ok
