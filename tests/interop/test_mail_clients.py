"""The sandbox's mail doors, judged by mail programs that people run: msmtp, mpop, mutt or neomutt, curl.

Each logs in to a mailbox that the application was granted and is refused at one that it was not. What each does in full
is other tests' affair. A program that is not installed skips its tests by name.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options

pytestmark = pytest.mark.slow

GRANTED, OTHER = "support@contoso.com", "private@contoso.com"
TENANT = {
    "smtp_auth_disabled": False,
    "mailboxes": [GRANTED, OTHER],
    "applications": [
        {"name": "Mail", "roles": ["IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"], "exchange": "right", "full_access": [GRANTED]}
    ],
}  # fmt: skip


class Desk:
    """A tenant, a token for its mail application in a file, and a folder for the programs' own files."""

    def __init__(self, running: Running, folder: Path) -> None:
        self.tenant = running.sandbox.tenant
        self.ca = running.sandbox.ca_path
        self.folder = folder
        application = next(a for a in self.tenant.directory.applications.values() if a.properties["displayName"] == "Mail")  # fmt: skip
        app_id = application.properties["appId"]
        principal = self.tenant.directory.principal(app_id)
        assert principal is not None
        self.token = self.tenant.signer.mint(
            {"aud": "https://outlook.office365.com", "appid": app_id, "oid": principal.id, "roles": TENANT["applications"][0]["roles"]}  # type: ignore[index]  # a literal just above
        )  # fmt: skip
        folder.joinpath("token").write_text(self.token + "\n")

    def write(self, name: str, *lines: str) -> Path:
        """A configuration file, readable by its owner alone: the programs insist on that."""
        path = self.folder / name
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o600)
        return path

    def run(self, *command: str, text: str = "") -> "subprocess.CompletedProcess[str]":
        environment = {"HOME": str(self.folder), "PATH": "/usr/bin:/bin", "TERM": "xterm", "LC_ALL": "C.UTF-8"}
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=15, check=False, env=environment, cwd=self.folder)  # fmt: skip

    def messages(self, address: str) -> int:
        mailbox = self.tenant.exchange.by_address(address)
        assert mailbox is not None
        return len(mailbox.messages)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Running(Options(faults="none"), TENANT) as running:
        yield Desk(running, tmp_path)


def program(*names: str) -> str:
    """The first of these that is installed; else the test is skipped."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    return found or pytest.skip(f"{' or '.join(names)} is not installed")


LETTER = "From: support@contoso.com\nTo: private@contoso.com\nSubject: interop\n\n.a line that starts with a dot\n"


def test_msmtp_submits_as_the_granted_mailbox_only(desk: Desk) -> None:
    """msmtp delivers a message from the granted mailbox; at the other it reports Exchange's 535 and sends nothing."""
    msmtp = program("msmtp")

    def send(user: str) -> "subprocess.CompletedProcess[str]":
        rc = desk.write(
            "msmtprc", "account x", "host localhost", f"port {desk.tenant.ports.smtp}", f"from {user}", f"user {user}",
            "auth xoauth2", "passwordeval cat token", "tls on", "tls_starttls on", f"tls_trust_file {desk.ca}",
        )  # fmt: skip
        return desk.run(msmtp, "-C", str(rc), "-a", "x", OTHER, text=LETTER.replace(GRANTED, user))

    before = desk.messages(OTHER)
    sent = send(GRANTED)
    assert sent.returncode == 0, sent.stderr
    assert desk.messages(OTHER) == before + 1
    refused = send(OTHER)
    assert refused.returncode != 0
    assert "535 5.7.3 Authentication unsuccessful" in refused.stderr
    assert desk.messages(OTHER) == before + 1


def test_mpop_fetches_the_granted_mailbox_only(desk: Desk) -> None:
    """mpop retrieves the granted mailbox's mail; the other it may sign in to and not read."""
    mpop = program("mpop")

    def fetch(user: str) -> "subprocess.CompletedProcess[str]":
        rc = desk.write(
            "mpoprc", "account x", "host localhost", f"port {desk.tenant.ports.pop}", f"user {user}", "auth xoauth2",
            "passwordeval cat token", "tls on", "tls_starttls off", f"tls_trust_file {desk.ca}", "keep on",
            f"delivery mbox {desk.folder}/mbox-{user}", f"uidls_file {desk.folder}/uidls-{user}",
        )  # fmt: skip
        return desk.run(mpop, "-C", str(rc), "x")

    got = fetch(GRANTED)
    assert got.returncode == 0, got.stderr
    assert "Welcome to your mailbox" in desk.folder.joinpath(f"mbox-{GRANTED}").read_text()
    refused = fetch(OTHER)
    assert refused.returncode != 0
    assert "User is authenticated but not connected" in refused.stderr
    assert not desk.folder.joinpath(f"mbox-{OTHER}").exists()


@pytest.mark.parametrize("name", ["mutt", "neomutt"])
def test_mutt_lists_the_granted_mailbox_only(desk: Desk, name: str) -> None:
    """mutt opens INBOX and lists its message; where there is no permission it signs in all the same and lists nothing."""
    mutt, script = program(name), program("script")

    def screen(user: str) -> str:
        port = desk.tenant.ports.imap
        rc = desk.write(
            "muttrc", f'set imap_user="{user}"', 'set imap_authenticators="xoauth2"', f'set folder="imaps://localhost:{port}/"',
            f'set spoolfile="imaps://localhost:{port}/INBOX"', 'set imap_oauth_refresh_command="cat token"',
            f'set certificate_file="{desk.ca}"', f'set ssl_ca_certificates_file="{desk.ca}"', "set quit=yes", "set sleep_time=0",
        )  # fmt: skip
        # It wants a terminal: script gives it one.
        return desk.run(script, "-qec", f"{mutt} -n -F {rc} -e 'push <exit>'", "/dev/null").stdout

    counted = desk.tenant.requests["imap"]
    assert "Welcome to your mailbox" in screen(GRANTED)
    assert (counted["AUTHENTICATE"], counted["FETCH"] > 0) == (1, True)
    fetched = counted["FETCH"]
    assert "Welcome to your mailbox" not in screen(OTHER)
    assert (counted["AUTHENTICATE"], counted["FETCH"]) == (2, fetched)


@pytest.mark.parametrize("protocol", ["imaps", "pop3s", "smtp"])
def test_curl_reaches_the_granted_mailbox_only(desk: Desk, protocol: str) -> None:
    """curl signs in with a bearer token on each protocol: it succeeds at the granted mailbox, and at no other."""
    curl = program("curl")
    letter = desk.write("letter", *LETTER.splitlines())
    ports = desk.tenant.ports
    place = {
        "imaps": [f"imaps://localhost:{ports.imap}/INBOX;MAILINDEX=1"],
        "pop3s": [f"pop3s://localhost:{ports.pop}/1"],
        "smtp": [f"smtp://localhost:{ports.smtp}/", "--ssl-reqd", "--mail-rcpt", OTHER, "-T", str(letter), "--crlf"],
    }[protocol]

    def ask(user: str) -> "subprocess.CompletedProcess[str]":
        sender = ["--mail-from", user] if protocol == "smtp" else []
        config = desk.write("curlrc", f'oauth2-bearer = "{desk.token}"')  # not on the command line: it is a secret
        return desk.run(curl, "-sS", "-m", "10", "--cacert", str(desk.ca), "-K", str(config), "-u", f"{user}:", *place, *sender)  # fmt: skip

    good = ask(GRANTED)
    assert good.returncode == 0, good.stderr
    if protocol != "smtp":
        assert "Welcome to your mailbox" in good.stdout
    assert ask(OTHER).returncode != 0
