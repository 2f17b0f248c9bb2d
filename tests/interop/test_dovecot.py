"""Our probes against a mail server that is not ours: Dovecot, which asks the sandbox about every token.

Dovecot judges what no server of our own can: whether a probe's XOAUTH2, its TLS and its commands are the protocol's.
The tokens are the sandbox tenant's, the answers about them its introspection endpoint's.
"""

import re
import smtplib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dovecot import Dovecot

from exosp.clouds import Endpoint
from exosp.mail import PROBES, Reading, xoauth2
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options
from scripted import Authority

pytestmark = pytest.mark.slow

USER, STRANGER = "support@contoso.com", "nobody@contoso.com"
ROLES = {"imap": "IMAP.AccessAsApp", "pop": "POP.AccessAsApp", "smtp": "SMTP.SendAsApp"}
TENANT = {
    "mailboxes": [USER],
    "applications": [{"name": "Mail", "roles": [*ROLES.values()], "exchange": "right", "full_access": [USER]}],
}

OPENED = {
    "imap": ("open", "opened", r"OK \[READ-ONLY\] Examine completed \([\d. +]+ secs\)\."),
    "pop": ("open", "opened", r"\+OK 0 0"),
    "smtp": ("sender", "accepted", r"250 2\.1\.0 Ok"),
}
# RFC 7628's error challenge, which our probes answer with an empty line, then the refusal itself.
_ERROR = r'\{"status":"(?:invalid_token|401)","schemes":"bearer","scope":"mail"\}'
REFUSED = {
    "imap": rf"\+ {_ERROR} / NO \[AUTHENTICATIONFAILED\] Authentication failed\.",
    "pop": rf"\+ {_ERROR} / -ERR \[AUTH\] Authentication failed\.",
    "smtp": rf"334 {_ERROR} / 535 5\.7\.8 Authentication failed\.",
}


class Post:
    """The tenant, its tokens, and the Dovecot that asks about them."""

    def __init__(self, running: Running, dovecot: Dovecot, ca: Path) -> None:
        self.running, self.dovecot, self.ca = running, dovecot, ca
        self.tenant = running.sandbox.tenant
        self.app_id = next(a.properties["appId"] for a in self.tenant.directory.applications.values() if a.properties["displayName"] == "Mail")  # fmt: skip

    def token(self, **claims: Any) -> str:
        principal = self.tenant.directory.principal(self.app_id)
        assert principal is not None
        usual = {"aud": "https://outlook.office365.com", "appid": self.app_id, "oid": principal.id, "sub": principal.id, "roles": [*ROLES.values()]}  # fmt: skip
        return self.tenant.signer.mint(usual | claims)

    def login(self, protocol: str, token: str, user: str = USER) -> Reading:
        endpoint = Endpoint("localhost", getattr(self.dovecot, protocol))
        return PROBES[protocol](endpoint, user, token, ca=self.ca, timeout=20)

    def asked(self) -> int:
        return self.tenant.requests["token"]["introspect"]


@pytest.fixture(scope="module")
def post(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Post]:
    folder = tmp_path_factory.mktemp("dovecot")
    authority = Authority(folder)
    authority.server()
    certificate = next(folder.glob("localhost-*.pem"))
    with Running(Options(faults="none"), TENANT) as running:
        sandbox = running.sandbox
        introspect = f"https://localhost:{sandbox.tenant.ports.login}/introspect"
        with Dovecot(certificate, introspect, sandbox.ca_path, [USER]) as dovecot:
            yield Post(running, dovecot, authority.ca)


def opened(protocol: str, reading: Reading) -> None:
    stage, proof, words = OPENED[protocol]
    assert (reading.stage, reading.ok, reading.proof, reading.unreachable) == (stage, True, proof, False), reading
    assert re.fullmatch(words, reading.server), reading.server


def refused(protocol: str, reading: Reading) -> None:
    assert (reading.stage, reading.ok, reading.proof, reading.unreachable) == ("auth", False, None, False), reading
    assert re.fullmatch(REFUSED[protocol], reading.server), reading.server


@pytest.mark.parametrize("protocol", PROBES)
def test_a_good_token_opens_the_mailbox(post: Post, protocol: str) -> None:
    """A token for Exchange with the protocol's role: the proof is Dovecot's own answer one command past AUTH."""
    before = post.asked()
    opened(protocol, post.login(protocol, post.token()))
    assert post.asked() == before + 1
    if protocol == "smtp":
        assert "MAIL" in post.dovecot.relayed
        assert not {"RCPT", "DATA"} & {*post.dovecot.relayed}


@pytest.mark.parametrize("protocol", PROBES)
def test_a_token_for_another_resource_is_refused(post: Post, protocol: str) -> None:
    """The audience is Microsoft Graph."""
    refused(protocol, post.login(protocol, post.token(aud="https://graph.microsoft.com")))


@pytest.mark.parametrize("protocol", PROBES)
def test_each_protocol_needs_its_own_role(post: Post, protocol: str) -> None:
    """The same token opens the two protocols whose roles it has and is refused on the third, by Dovecot's name for it."""
    token = post.token(roles=[role for name, role in ROLES.items() if name != protocol])
    refused(protocol, post.login(protocol, token))
    for other in PROBES:
        if other != protocol:
            opened(other, post.login(other, token))


@pytest.mark.parametrize("protocol", PROBES)
def test_a_persons_token_opens_by_its_delegated_permission(post: Post, protocol: str) -> None:
    """A token without roles and with the protocol's own scope is taken; with another protocol's it is refused."""
    scopes = {"imap": "IMAP.AccessAsUser.All", "pop": "POP.AccessAsUser.All", "smtp": "SMTP.Send"}
    others = [scope for name, scope in scopes.items() if name != protocol]
    opened(protocol, post.login(protocol, post.token(roles=[], scp=f"openid {scopes[protocol]}")))
    refused(protocol, post.login(protocol, post.token(roles=[], scp=" ".join(others))))


@pytest.mark.parametrize("protocol", PROBES)
def test_an_expired_token_is_refused(post: Post, protocol: str) -> None:
    """The same token that opens the mailbox is refused an hour later."""
    token = post.token()
    opened(protocol, post.login(protocol, token))
    post.running.advance(3700)
    refused(protocol, post.login(protocol, token))


@pytest.mark.parametrize("protocol", PROBES)
def test_an_unknown_user_is_refused(post: Post, protocol: str) -> None:
    """A good token and a mailbox that is not there: refused before anybody asks about the token."""
    before = post.asked()
    reading = post.login(protocol, post.token(), STRANGER)
    assert post.asked() == before
    refused(protocol, reading)


@pytest.mark.parametrize("protocol", PROBES)
def test_a_token_that_nobody_signed_is_refused(post: Post, protocol: str) -> None:
    """Its last character changed: not active."""
    token = post.token()
    refused(protocol, post.login(protocol, token[:-8] + ("AAAAAAAA" if not token.endswith("AAAAAAAA") else "BBBBBBBB")))


def _submission(post: Post) -> smtplib.SMTP:
    client = smtplib.SMTP("localhost", post.dovecot.smtp, timeout=20)
    client.starttls(context=ssl.create_default_context(cafile=str(post.ca)))
    client.ehlo()
    return client


def test_why_smtp_auth_goes_in_two_steps(post: Post) -> None:
    """One step with a whole token is over Dovecot's line and refused unread; two steps with the same token are taken."""
    answer = xoauth2.encode(USER, post.token())
    before = post.asked()
    with _submission(post) as client:
        code, said = client.docmd("AUTH", f"XOAUTH2 {answer}")
        assert (code, said) == (500, b"5.5.2 Line too long")
    assert post.asked() == before
    with _submission(post) as client:
        assert client.docmd("AUTH", "XOAUTH2") == (334, b"")
        assert client.docmd(answer)[0] == 235
    assert post.asked() == before + 1


def test_dovecot_has_nothing_to_complain_of(post: Post) -> None:
    """Its log holds no error or panic."""
    for protocol in PROBES:
        post.login(protocol, post.token())
    assert not re.search(r"(?i)\b(?:error|fatal|panic)\b", post.dovecot.log), post.dovecot.log
