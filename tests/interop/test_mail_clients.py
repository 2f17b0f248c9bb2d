"""The sandbox's mail doors, judged by mail programs that people run.

Each logs in to a mailbox that the application was granted and is refused at one that it was not. What each does in full
is other tests' affair. A program that is not installed skips its tests by name.
"""

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from installed import program

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


# curl's own exit codes (curl(1)): 67, the login was denied; 8, an answer of the server's was none that it wanted.
CURL_REFUSED = {"imaps": 67, "pop3s": 8, "smtp": 67}


@pytest.mark.parametrize("protocol", CURL_REFUSED)
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
    before = desk.messages(OTHER)
    refused = ask(OTHER)
    assert (refused.returncode, refused.stdout) == (CURL_REFUSED[protocol], ""), refused.stderr
    assert desk.messages(OTHER) == before


OPENSSL = {
    "imap": (["-connect", "localhost:{imap}"], "a AUTHENTICATE XOAUTH2 {answer}\nb SELECT INBOX\nc LOGOUT\n"),
    "pop": (["-connect", "localhost:{pop}"], "CAPA\nAUTH XOAUTH2\n{answer}\nSTAT\nQUIT\n"),
    "smtp": (["-connect", "localhost:{smtp}", "-starttls", "smtp"], "EHLO me\nAUTH XOAUTH2\n{answer}\nMAIL FROM:<{user}>\nQUIT\n"),
}  # fmt: skip
# What a person reads: at the granted mailbox, and at the other.
READ = {
    "imap": (["a OK AUTHENTICATE completed.", "b OK [READ-WRITE] SELECT completed."], ["a OK AUTHENTICATE completed.", "b BAD User is authenticated but not connected."]),
    "pop": (["+OK User successfully authenticated.", "+OK 1 "], ["+OK User successfully authenticated.", "-ERR User is authenticated but not connected"]),
    "smtp": (["235 2.7.0 Authentication successful", "250 2.1.0 Sender OK"], ["535 5.7.3 Authentication unsuccessful", "530 5.7.57 Client not authenticated to send mail."]),
}  # fmt: skip


@pytest.mark.parametrize("protocol", OPENSSL)
def test_openssl_and_a_person_reach_the_granted_mailbox_only(desk: Desk, protocol: str) -> None:
    """The dialogue typed in by hand, all of it at once, on each protocol."""
    openssl = program("openssl")
    where, typed = OPENSSL[protocol]
    ports = vars(desk.tenant.ports)

    def talk(user: str) -> str:
        answer = base64.b64encode(f"user={user}\1auth=Bearer {desk.token}\1\1".encode()).decode()
        place = [word.format(**ports) for word in where]
        return desk.run(openssl, "s_client", "-quiet", "-crlf", "-verify_return_error", "-verify_hostname", "localhost",
                        "-CAfile", str(desk.ca), *place, text=typed.format(answer=answer, user=user)).stdout  # fmt: skip

    for user, words in zip((GRANTED, OTHER), READ[protocol], strict=True):
        said = talk(user)
        at = [said.find(word) for word in words]
        assert -1 not in at, said
        assert at == sorted(at)


def test_getmail_fetches_the_granted_mailbox_only(desk: Desk) -> None:
    """getmail retrieves over IMAP what it was granted and nothing else."""
    getmail = program("getmail")

    def fetch(user: str) -> "subprocess.CompletedProcess[str]":
        rc = desk.write(
            f"getmailrc-{user}", "[retriever]", "type = SimpleIMAPSSLRetriever", "server = localhost", f"port = {desk.tenant.ports.imap}",
            f"username = {user}", "use_xoauth2 = true", 'password_command = ("/bin/cat", "token")', f"ca_certs = {desk.ca}",
            # A command of its own, since getmail writes no mailbox as root.
            "[destination]", "type = MDA_external", "path = /usr/bin/tee", f'arguments = ("{desk.folder}/getmail-{user}",)',
            "allow_root_commands = true", "[options]", "delete = false",
        )  # fmt: skip
        return desk.run(getmail, "--getmaildir", str(desk.folder), "--rcfile", str(rc))

    got = fetch(GRANTED)
    assert got.returncode == 0, got.stderr
    assert "Welcome to your mailbox" in (desk.folder / f"getmail-{GRANTED}").read_text()
    refused = fetch(OTHER)
    assert refused.returncode != 0
    assert "User is authenticated but not connected" in refused.stdout + refused.stderr
    assert not (desk.folder / f"getmail-{OTHER}").exists()


def test_offlineimap_copies_the_granted_mailbox_only(desk: Desk) -> None:
    """offlineimap3 lists folders, copies INBOX to a Maildir, and copies nothing where there is no permission."""
    offlineimap = program("offlineimap")

    def copy(user: str) -> "subprocess.CompletedProcess[str]":
        rc = desk.write(
            "offlineimaprc", "[general]", "accounts = x", f"metadata = {desk.folder}/meta-{user}", "socktimeout = 5", "[Account x]",
            "localrepository = here", "remoterepository = there", "[Repository here]", "type = Maildir",
            f"localfolders = {desk.folder}/copy-{user}", "[Repository there]", "type = IMAP", "remotehost = localhost",
            f"remoteport = {desk.tenant.ports.imap}", f"remoteuser = {user}", "auth_mechanisms = XOAUTH2",
            "oauth2_access_token_eval = open('token').read().strip()", "oauth2_request_url = https://localhost:1/", f"sslcacertfile = {desk.ca}", "readonly = True",
        )  # fmt: skip
        return desk.run(offlineimap, "-o", "-u", "basic", "-c", str(rc))

    got = copy(GRANTED)
    assert got.returncode == 0, got.stdout + got.stderr
    letters = [path for path in (desk.folder / f"copy-{GRANTED}").rglob("*") if path.parent.name in ("new", "cur")]
    assert ["Welcome to your mailbox" in path.read_text() for path in letters] == [True]
    refused = copy(OTHER)
    assert refused.returncode != 0
    assert "User is authenticated but not connected" in refused.stdout + refused.stderr


def test_s_nail_submits_as_the_granted_mailbox_only(desk: Desk) -> None:
    """s-nail delivers a message from the granted mailbox; at the other it is refused and delivers nothing."""
    snail = program("s-nail")

    def send(user: str) -> "subprocess.CompletedProcess[str]":
        place = f"smtp://{quote(user, safe='')}:{quote(desk.token, safe='')}@localhost:{desk.tenant.ports.smtp}"
        rc = desk.write(
            "snailrc", "set v15-compat", f"set mta={place}", "set smtp-auth=oauthbearer", "set smtp-use-starttls", f"set tls-ca-file={desk.ca}", "set tls-ca-no-defaults",
            "set tls-verify=strict", f"set from={user}", "set sendwait",
        )  # fmt: skip
        return desk.run("/usr/bin/env", f"MAILRC={rc}", snail, "-:u", "-s", "interop", OTHER, text="hello\n")

    before = desk.messages(OTHER)
    sent = send(GRANTED)
    assert sent.returncode == 0, sent.stderr
    assert desk.messages(OTHER) == before + 1
    refused = send(OTHER)
    assert refused.returncode != 0
    assert "535 5.7.3 Authentication unsuccessful" in refused.stderr
    assert desk.messages(OTHER) == before + 1
