"""A real Dovecot on free loopback ports: IMAP and POP3 over TLS, submission with STARTTLS, XOAUTH2 alone.

It asks an introspection endpoint about every token and knows its users from a file. It runs as one user without
privileges, also where the tests run as root, and is ended by its process id.
Source of the settings: doc.dovecot.org 2.3, "Open Authentication v2.0", "Submission Server" and the wiki's "Rootless".
"""

import grp
import os
import pwd
import shutil
import signal
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType

from installed import file, program

_CONF = """
protocols = imap pop3 submission
listen = 127.0.0.1
hostname = dovecot.test
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
instance_name = exosp-test
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
mail_location = maildir:{folder}/mail/%u
auth_mechanisms = xoauth2
auth_failure_delay = 0
ssl = required
ssl_cert = <{folder}/server.pem
ssl_key = <{folder}/server.pem
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {imap}
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = 0
  }}
  inet_listener pop3s {{
    port = {pop}
  }}
}}
service submission-login {{
  chroot =
  inet_listener submission {{
    port = {smtp}
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
passdb {{
  driver = passwd-file
  mechanisms = xoauth2
  args = username_format=%u {folder}/users
  default_fields = noauthenticate=y
  result_failure = return-fail
  result_internalfail = return-fail
  result_success = continue
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {folder}/oauth2.conf
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/mail/%u
}}
"""
# An app-only token names no mailbox: both sides of the comparison expand to a constant.
_OAUTH2 = """
introspection_mode = post
introspection_url = {introspect}
tls_ca_cert_file = {folder}/introspection-ca.pem
force_introspection = yes
active_attribute = active
active_value = true
username_attribute = appid
username_format = x
send_auth_headers = yes
"""


class _Relay(socketserver.StreamRequestHandler):
    """What stands behind the submission service: takes any sender, and no message."""

    def handle(self) -> None:
        self.wfile.write(b"220 relay.test ESMTP\r\n")
        for line in self.rfile:
            verb = line[:4].upper().strip()
            self.server.verbs.append(verb.decode())  # type: ignore[attr-defined]  # our own server's list
            if verb == b"QUIT":
                self.wfile.write(b"221 2.0.0 Bye\r\n")
                return
            answers = {b"EHLO": b"250-relay.test\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n", b"MAIL": b"250 2.1.0 Ok\r\n", b"RSET": b"250 2.0.0 Ok\r\n", b"NOOP": b"250 2.0.0 Ok\r\n"}  # fmt: skip
            self.wfile.write(answers.get(verb, b"502 5.5.1 Not here\r\n"))


class _RelayServer(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Relay)
        self.verbs: list[str] = []


class Dovecot:
    """``imap``, ``pop``, ``smtp``: its ports. ``relayed``: the commands that its relay has heard. A context manager."""

    def __init__(self, certificate: Path, introspect: str, introspection_ca: Path, users: list[str]) -> None:
        """``certificate``: a PEM file with key and certificate for localhost."""
        self._binary = program("dovecot")
        for part in ("imap", "pop3", "submission"):
            file(f"/usr/lib/dovecot/{part}-login", f"dovecot-{part}d")
        self._certificate, self._introspect, self._ca, self._users = certificate, introspect, introspection_ca, users
        self._relay = _RelayServer()
        self.relayed = self._relay.verbs
        self._thread = threading.Thread(target=self._relay.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> "Dovecot":
        self._folder = Path(tempfile.mkdtemp(prefix="exosp-dovecot-", dir="/tmp"))  # a short path: sockets lie below it
        account = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        group = grp.getgrgid(account.pw_gid).gr_name
        self.imap, self.pop, self.smtp = _free_ports(3)
        values = {"folder": self._folder, "user": account.pw_name, "group": group, "relay": self._relay.server_address[1],
                  "introspect": self._introspect, "imap": self.imap, "pop": self.pop, "smtp": self.smtp}  # fmt: skip
        for name in ("run", "state", "mail"):
            self._folder.joinpath(name).mkdir()
        self._folder.joinpath("dovecot.conf").write_text(_CONF.format(**values))
        self._folder.joinpath("oauth2.conf").write_text(_OAUTH2.format(**values))
        self._folder.joinpath("users").write_text("".join(f"{user}:\n" for user in self._users))
        shutil.copy(self._certificate, self._folder / "server.pem")
        shutil.copy(self._ca, self._folder / "introspection-ca.pem")
        other: dict[str, object] = {}
        if os.getuid() == 0:
            for path in (self._folder, *self._folder.iterdir()):
                os.chown(path, account.pw_uid, account.pw_gid)
            other = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        self._thread.start()
        self._process = subprocess.Popen(
            [self._binary, "-F", "-c", str(self._folder / "dovecot.conf")], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=self._folder, **other,  # type: ignore[call-overload]  # as above
        )  # fmt: skip
        try:
            for port in (self.imap, self.pop, self.smtp):
                self._await(port)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:  # fmt: skip
        self._end()

    @property
    def log(self) -> str:
        path = self._folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _await(self, port: int) -> None:
        for _ in range(200):
            if self._process.poll() is not None:
                said = self._process.stderr.read() if self._process.stderr else ""
                raise AssertionError(f"dovecot ended: {said}{self.log}")
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
            except ConnectionRefusedError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError(f"dovecot does not listen: {self.log}")

    def _end(self) -> None:
        self._process.send_signal(signal.SIGTERM)  # the master ends its children
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        if self._process.stderr is not None:
            self._process.stderr.close()
        self._relay.shutdown()
        self._relay.server_close()
        self._thread.join(10)
        shutil.rmtree(self._folder, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [listener.getsockname()[1] for listener in held]
    finally:
        for listener in held:
            listener.close()
