"""The playbook reader: a whole file to its value, a whole file of faults to its screen, and laws over any text."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from exosp.errors import Fault, PlaybookError, UsageError
from exosp.playbook import (
    PROTOCOLS,
    App,
    Box,
    Place,
    Playbook,
    Reach,
    SecretCredential,
    SendAs,
    parse,
    read,
)
from exosp.playbook.keys import EXAMPLES, LEVELS
from exosp.report.errors import error
from exosp.snapshot import Address

ROOT = Path(__file__).parent.parent
HERE = Path("/tmp/exosp-no-such-folder/playbook.yaml")

WHOLE = """\
exosp: 1
tenant: contoso.onmicrosoft.com
cloud: gcc-high
app:
  key: support-desk
  name: Support Desk Mail
  credential: {type: secret, valid_for: 26w, save_to: keys/support-desk.env}
protocols: [smtp, imap]
mailboxes:
  - support@contoso.com
  - {address: Sales@contoso.com, protocols: [imap]}
  - address: info@contoso.com
    send_as:
      from: news@contoso.com
      by: mailbox
exchange: {remoting: winrm, host: exchange-host, port: 5986, path: /wsman, auth: kerberos, configuration: PowerShell.7}
"""


def place(line: int, column: int) -> Place:
    return Place(str(HERE), line, column)


def faults(text: str, environment: dict[str, str] | None = None, **options: bool) -> tuple[Fault, ...]:
    with pytest.raises(PlaybookError) as caught:
        parse(text, HERE, environment or {}, **options)
    return caught.value.faults


def whats(text: str, environment: dict[str, str] | None = None, **options: bool) -> list[str]:
    return [f"{fault.line}:{fault.column} {fault.what}" for fault in faults(text, environment, **options)]


def changed(old: str, new: str) -> str:
    """WHOLE with one thing changed."""
    assert WHOLE.count(old) == 1, old
    return WHOLE.replace(old, new)


def test_a_whole_playbook():
    """Every key there is, and the value it becomes, with its place."""
    assert parse(WHOLE, HERE, {}) == Playbook(
        path=HERE,
        tenant="contoso.onmicrosoft.com",
        cloud="gcc-high",
        app=App(
            key="support-desk",
            name="Support Desk Mail",
            credential=SecretCredential(26 * 7 * 86400, HERE.parent / "keys/support-desk.env", "keys/support-desk.env", place(7, 55)),
            place=place(4, 1),
        ),
        protocols=("smtp", "imap"),
        boxes=(
            Box(Address("support@contoso.com"), frozenset(["smtp", "imap"]), None, place(10, 5)),
            Box(Address("Sales@contoso.com"), frozenset(["imap"]), None, place(11, 15)),
            Box(
                Address("info@contoso.com"),
                frozenset(["smtp", "imap"]),
                SendAs(Address("news@contoso.com"), "mailbox", place(13, 5)),
                place(12, 14),
            ),
        ),
        exchange=Reach("winrm", "exchange-host", 5986, "/wsman", "kerberos", "PowerShell.7", place(16, 1)),
    )  # fmt: skip


def test_names_made_of_the_key():
    """The identity in Graph and the label of our secrets come from the key alone."""
    app = parse(WHOLE, HERE, {}).app
    assert (app.unique_name, app.secret_label) == ("exosp-support-desk", "exosp-support-desk")


APP_ID = "5e5addcd-3e8d-4e90-baf5-964efab2b20a"


def adopting(head: str) -> str:
    return (
        f"exosp: 1\ntenant: a.example\napp: {{{head}credential: {{type: secret, valid_for: 1h, save_to: a.env}}}}\n"
        "mailboxes: [a@b.example]\n"
    )


def test_an_application_that_is_adopted():
    """An id needs neither key nor name; secrets and journals are then named by the id. A key beside it names them."""
    bare = parse(adopting(f"id: {APP_ID.upper()}, "), HERE, {}).app
    assert (bare.id, bare.key, bare.name) == (APP_ID, APP_ID, "")
    assert bare.secret_label == f"exosp-{APP_ID}"
    named = parse(adopting(f"id: {APP_ID}, key: crm, name: CRM, "), HERE, {}).app
    assert (named.id, named.secret_label, named.name) == (APP_ID, "exosp-crm", "CRM")


def test_an_id_is_an_application_id_and_stands_for_key_and_name():
    """Anything but a GUID is refused; without an id, key and name are both missed."""
    assert whats(adopting("id: support-desk, ")) == ["3:11 `app.id`: `support-desk` is no application id"]
    assert whats(adopting("")) == ["3:1 `app` has no `key`", "3:1 `app` has no `name`"]


def test_what_may_be_left_out():
    """The worldwide cloud, all three protocols, the app's SendAs, and nothing about Exchange."""
    short = parse(
        "exosp: 1\ntenant: 9188040d-6c67-4c5b-b112-36a304b66dad\n"
        "app: {key: a, name: b, credential: {type: secret, valid_for: 1h, save_to: a.env}}\n"
        "mailboxes: [{address: a@b.example, send_as: {from: c@b.example}}]\n",
        HERE, {},
    )  # fmt: skip
    assert (short.cloud, short.protocols, short.exchange) == ("global", ("imap", "pop", "smtp"), Reach())
    assert short.boxes[0].protocols == frozenset(PROTOCOLS)
    assert short.boxes[0].send_as is not None
    assert short.boxes[0].send_as.by == "app"


def test_needed_protocols():
    """Those that a mailbox uses, in one order however they are written; one that none uses is not needed."""
    assert parse(WHOLE, HERE, {}).needed() == ("imap", "smtp")
    only = changed("  - support@contoso.com\n", "").replace("    send_as:\n      from: news@contoso.com\n      by: mailbox\n", "    protocols: [pop]\n")  # fmt: skip
    assert parse(only, HERE, {}).needed() == ("imap", "pop")


def test_the_quickstart():
    """The shipped playbook is the one of the interface."""
    found = read(ROOT / "playbooks/quickstart.yaml", {})
    assert replace(found, path=HERE, app=replace(found.app, place=place(1, 1))).app.credential.save_to == (
        ROOT / "playbooks/support-desk.env"
    )
    assert (found.tenant, found.cloud, found.app.key, found.app.name) == (
        "contoso.onmicrosoft.com", "global", "support-desk", "Support Desk Mail",
    )  # fmt: skip
    assert found.app.credential.valid_for == 180 * 86400
    assert found.protocols == PROTOCOLS
    assert [(box.address, sorted(box.protocols), box.send_as) for box in found.boxes] == [
        ("support@contoso.com", ["imap", "pop", "smtp"], None),
        ("sales@contoso.com", ["imap"], None),
    ]
    assert found.exchange.remoting == "winrm"


# Faults

BAD = """\
exosp: 2
tenat: contoso
cloud: gcc
colour: red
app:
  key: Support_Desk
  name: no
  credential: {type: secrt, valid_for: 180, save_to: ../x.env}
  save_to: x.env
protocols: [imap, pop3, smtp, smtp]
mailboxes:
  - bob
  - support@contoso.com
  - {address: SUPPORT@contoso.com, protocols: [imap], send_as: {from: "${EXOSP_VAR_FORM}", bu: apps}}
  - "${HOME}"
  - sales@contoso.com: {protocols: [imap]}
  -
  - *everyone
exchange: {remoting: soap, host: "https://x", port: 99999, path: wsman, auth: kerbros}
exchange: {}
"""

SCREEN = """\
error: `exosp`: `2` is no version that this exosp reads
  --> bad.yaml:1:8
  = help: write exosp: 1

error: unknown key `tenat`
  --> bad.yaml:2:1
  = help: did you mean `tenant`?

error: `tenant`: `contoso` is neither a domain nor a tenant's id
  --> bad.yaml:2:8
  = help: such as contoso.onmicrosoft.com

error: `cloud`: `gcc` is no cloud
  --> bad.yaml:3:8
  = help: tenants of GCC (not High) use `global`

error: unknown key `colour`
  --> bad.yaml:4:1
  = help: did you mean `cloud`? That stands on line 3 already

error: `app.key`: `Support_Desk` must be 1 to 100 of a-z, 0-9 and -, and begin and end with a letter
       or digit
  --> bad.yaml:6:8
  = help: such as support-desk

error: `app.name`: YAML takes `no` for a truth value, not text
  --> bad.yaml:7:9
  = help: put it in quotes: "no"

error: `app.credential.type`: `secrt` is no type of credential
  --> bad.yaml:8:22
  = help: did you mean `secret`?

error: `app.credential.valid_for`: YAML takes `180` for a number, not text
  --> bad.yaml:8:40
  = help: say the unit: 12h, 180d, 26w

error: `app.credential.save_to`: `../x.env` leads out of the playbook's folder
  --> bad.yaml:8:54
  = help: --allow-outside lifts this

error: unknown key `save_to`
  --> bad.yaml:9:3
  = help: `save_to` belongs under `app.credential`

error: `pop3` is no protocol
  --> bad.yaml:10:19
  = help: did you mean `pop`?

error: `smtp` is listed twice
  --> bad.yaml:10:31
  = help: keep one

error: `bob` is no mail address: it has no @
  --> bad.yaml:12:5
  = help: such as support@contoso.com

error: `SUPPORT@contoso.com` is listed twice: lines 13 and 14
  --> bad.yaml:14:15
  = help: keep one

error: `send_as` needs smtp, which is not among this mailbox's protocols
  --> bad.yaml:14:55

error: `${EXOSP_VAR_FORM}` is not set
  --> bad.yaml:14:72
  = help: did you mean ${EXOSP_VAR_FROM}?

error: unknown key `bu`
  --> bad.yaml:14:92
  = help: did you mean `by`?

error: `mailboxes.send_as.by`: `apps` is no holder of SendAs
  --> bad.yaml:14:96
  = help: did you mean `app`?

error: `${HOME}`: only variables named EXOSP_VAR_… can be read
  --> bad.yaml:15:6
  = help: set one with that prefix and use it instead; $${ stands for ${ itself

error: a mailbox has no `address`
  --> bad.yaml:16:5
  = help: add address: support@contoso.com

error: unknown key `sales@contoso.com`
  --> bad.yaml:16:5
  = help: write {address: sales@contoso.com, …}

error: an entry of `mailboxes` is empty
  --> bad.yaml:17:4
  = help: write an address, or drop the dash

error: `*everyone` is an alias, and aliases are not read
  --> bad.yaml:18:5
  = help: write the value out

error: `exchange.remoting`: `soap` is no remoting
  --> bad.yaml:19:22
  = help: there is winrm, pwsh, admin-api

error: `exchange.host`: `https://x` is an address with a scheme
  --> bad.yaml:19:34
  = help: write the host's name alone, and port and path beside it

error: `exchange.port`: `99999` is no port
  --> bad.yaml:19:53
  = help: a plain number from 1 to 65535

error: `exchange.path`: `wsman` must be a path of letters, digits and . _ ~ - / that begins with /
  --> bad.yaml:19:66
  = help: such as /wsman

error: `exchange.auth`: `kerbros` is no way to authenticate
  --> bad.yaml:19:79
  = help: did you mean `kerberos`?

error: the key `exchange` stands twice: lines 19 and 20
  --> bad.yaml:20:1
  = help: keep one

30 faults in the playbook bad.yaml"""


def test_a_screen_of_faults(tmp_path, monkeypatch):
    """All that is wrong with a file stands on one screen, in the order of its lines, each with what to do."""
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text(BAD)
    with pytest.raises(PlaybookError) as caught:
        read(Path("bad.yaml"), {"EXOSP_VAR_FROM": "x@contoso.com", "HOME": "/root"})
    assert error(caught.value) == SCREEN


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1 the playbook is empty"),
        ("# nothing\n\n", "1:1 the playbook is empty"),
        ("---\n", "1:1 the playbook is empty"),
        ("~", "1:1 the playbook is empty"),
        ("- a\n", "1:1 the playbook must be a mapping of keys, and a list stands here"),
        ("hello\n", "1:1 the playbook must be a mapping of keys, and a single value stands here"),
        ("a: 1\n\tb: 2\n", "2:1 not YAML: a tab cannot indent"),
        ("a: [1\n\n", "1:6 not YAML: expected ',' or ']', but got '<stream end>' (while parsing a flow sequence)"),
        ("a: 'b\n", "1:6 not YAML: found unexpected end of stream (while scanning a quoted scalar)"),
        ("a: b: c\n", "1:5 not YAML: mapping values are not allowed here"),
        ("a: \x00", "1:4 not YAML: the character U+0000 is not allowed"),
        ("a: 1\r\nb: \x1b\r\n", "2:4 not YAML: the character U+001B is not allowed"),
        ('a: "\\U0011FFFF"', "1:7 not YAML: a number here is too large for what it stands for"),
        ('a: "\\UFFFFFFFF"', "1:7 not YAML: a number here is too large for what it stands for"),
        ("%YAML 1." + "9" * 5000 + "\n--- a\n", "1:9 not YAML: a number here is too large for what it stands for"),
        ("{a: ${EXOSP_VAR_A}}", "1:6 not YAML: braces inside braces"),
        ("[" * 100_000, "1:14 lists and mappings stand more than 12 deep here"),
        ("{a: " * 1000, "1:50 lists and mappings stand more than 12 deep here"),
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
def test_not_a_playbook_at_all(text, expected):
    """Where there is no mapping of keys to read, there is one fault, and it has a place."""
    assert whats(text) == [expected]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("exosp: 1", 'exosp: "1"', "1:8 `exosp`: `1` is no version that this exosp reads"),
        ("exosp: 1", "exosp: [1]", "1:8 `exosp` must be the number 1"),
        ("exosp: 1", "exosp:", "1:1 `exosp` is empty"),
        ("exosp: 1\n", "", "1:1 the playbook has no `exosp`"),
        ("tenant: contoso.onmicrosoft.com\n", "", "1:1 the playbook has no `tenant`"),
        ("contoso.onmicrosoft.com", "common", "2:9 `tenant`: `common` is no tenant of its own"),
        ("contoso.onmicrosoft.com", "a_b.example", "2:9 `tenant`: `a_b.example` is neither a domain nor a tenant's id"),
        ("contoso.onmicrosoft.com", "2026-01-01", "2:9 `tenant`: YAML takes `2026-01-01` for a date, not text"),
        ("contoso.onmicrosoft.com", "'  a.example'", "2:9 `tenant`: `  a.example` begins or ends with white space"),
        ("contoso.onmicrosoft.com", '""', "2:9 `tenant`: `` is empty"),
        ("gcc-high", "gcchigh", "3:8 `cloud`: `gcchigh` is no cloud"),
        ("gcc-high", "Global", "3:8 `cloud`: `Global` is no cloud"),
        ("cloud: gcc-high", "cloud:", "3:1 `cloud` is empty"),
        ("support-desk\n", "-desk\n", "5:8 `app.key`: `-desk` must be 1 to 100 of a-z, 0-9 and -, and begin and end with a letter or digit"),
        ("support-desk\n", f"{'k' * 101}\n", f"5:8 `app.key`: `{'k' * 59}…` must be 1 to 100 of a-z, 0-9 and -, and begin and end with a letter or digit"),
        ("support-desk\n", "2024\n", "5:8 `app.key`: YAML takes `2024` for a number, not text"),
        ("Support Desk Mail", f"{'n' * 121}", f"6:9 `app.name`: `{'n' * 59}…` has 121 characters, and 120 are the most"),
        ("Support Desk Mail", '"a\\nb"', "6:9 `app.name`: `a\nb` holds the character U+000A, which cannot be seen"),
        ("Support Desk Mail", '"a\\u202Eb"', "6:9 `app.name`: `a\u202eb` holds the character U+202E, which cannot be seen"),
        ("Support Desk Mail", '"a\\uD800b"', "6:9 half a surrogate pair stands here, which is no character"),
        ("Support Desk Mail", "[a]", "6:9 `app.name` must be text, and a list stands here"),
        ("Support Desk Mail", "{a: b}", "6:9 `app.name` must be text, and a mapping stands here"),
        ("Support Desk Mail", "!!str a", "6:9 `tag:yaml.org,2002:str` is a tag, and tags are not read"),
        ("Support Desk Mail", "&a b", None),
        ("type: secret", "type: certificate", "7:22 `app.credential.type`: `certificate` is no type of credential"),
        ("type: secret, ", "", "7:3 `app.credential` has no `type`"),
        ("26w", "6 months", "7:41 `app.credential.valid_for`: `6 months` is no length of time"),
        ("26w", "1y", "7:41 `app.credential.valid_for`: `1y` is no length of time"),
        ("26w", "0d", "7:41 `app.credential.valid_for`: `0d` must be from 1h to 730d"),
        ("26w", "731d", "7:41 `app.credential.valid_for`: `731d` must be from 1h to 730d"),
        ("26w", "1:30", "7:41 `app.credential.valid_for`: YAML takes `1:30` for a number, not text"),
        ("[smtp, imap]", "[]", "8:12 `protocols` names no protocol"),
        ("[smtp, imap]", "imap", "8:12 `protocols` must be a list of protocols, and a single value stands here"),
        ("[smtp, imap]", "[smtp, IMAP]", "8:19 `IMAP` is no protocol"),
        ("  - support@contoso.com", "  - sales@contoso.com", "11:15 `Sales@contoso.com` is listed twice: lines 10 and 11"),
        ("  - support@contoso.com", "  - <<: {address: a@b.example}", "10:5 `<<` merges mappings, and merges are not read"),
        ("  - support@contoso.com", "  - ? [a]\n    : b", "10:7 a key must be a word"),
        ("  - support@contoso.com", "  - [a@b.example]", "10:5 `mailboxes` must be text, and a list stands here"),
        ("  - support@contoso.com", "  - Bob <bob@contoso.com>", "10:5 `Bob <bob@contoso.com>` is no mail address alone"),
        ("  - support@contoso.com", "  - bob@contoso", "10:5 `bob@contoso` is no mail address: what follows the @ is no domain"),
        ("  - support@contoso.com", "  - a..b@contoso.com", "10:5 `a..b@contoso.com` is no mail address: what precedes the @ cannot stand there"),
        ("  - support@contoso.com", "  - a b@contoso.com", "10:5 `a b@contoso.com` is no mail address: what precedes the @ cannot stand there"),
        ("  - support@contoso.com", f"  - {'l' * 65}@contoso.com", f"10:5 `{'l' * 59}…` is no mail address: what precedes the @ cannot stand there"),
        ("  - support@contoso.com", "  - büro@contoso.com", "10:5 `büro@contoso.com` is no mail address: it has characters beyond ASCII"),
        ("news@contoso.com", "INFO@contoso.com", "14:13 a mailbox needs no right to send as itself"),
        ("info@contoso.com\n    send_as:\n      from: news", "INFO@contoso.com\n    send_as:\n      from: info", "14:13 a mailbox needs no right to send as itself"),
        ("by: mailbox", "by: user", "15:11 `mailboxes.send_as.by`: `user` is no holder of SendAs"),
        ("winrm", "ews", "16:22 `exchange.remoting`: `ews` is no remoting"),
        ("5986", "0x10", "16:56 `exchange.port`: `0x10` is no port"),
        ("5986", "yes", "16:56 `exchange.port`: YAML takes `yes` for a truth value, not text"),
        ("exchange-host", '"host:5986"', "16:35 `exchange.host`: `host:5986` holds a colon"),
        ("/wsman", '"/wsman?auth=basic"', "16:68 `exchange.path`: `/wsman?auth=basic` must be a path of letters, digits and . _ ~ - / that begins with /"),
        ("PowerShell.7", "a&b", "16:107 `exchange.configuration`: `a&b` is no name of a session configuration"),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_one_thing_wrong(old, new, expected):
    """One thing wrong is one fault, at its place; an anchor that nothing refers to is none."""
    text = changed(old, new)
    if expected is None:
        parse(text, HERE, {})
    else:
        assert whats(text) == [expected]


@pytest.mark.parametrize(
    ("written", "expected"),
    [("10.0.0.1", "10.0.0.1"), ("localhost", "localhost"), ('"::1"', "[::1]"), ('"[fe80:0::1]"', "[fe80::1]")],
)
def test_hosts(written, expected):
    """Names and addresses; IPv6 comes out in brackets, as URLs have it."""
    assert parse(changed("host: exchange-host", f"host: {written}"), HERE, {}).exchange.host == expected


@pytest.mark.parametrize("missing", ["", "[]", "~"])
def test_no_mailbox(missing):
    """An empty list of mailboxes, however written, is one fault."""
    text = WHOLE.partition("mailboxes:")[0] + f"mailboxes: {missing}\n"
    assert [fault.what for fault in faults(text)] == ["`mailboxes` names no mailbox"]


def test_two_documents():
    """A second document is refused where it begins, and the first is judged all the same."""
    assert whats(WHOLE.replace("gcc-high", "moon") + "---\nexosp: 1\n") == [
        "3:8 `cloud`: `moon` is no cloud",
        "17:1 a second document begins here",
    ]


def test_a_bomb_of_aliases():
    """Aliases are refused as they are met: nine lines that stand for a billion values cost nothing."""
    lines = ["a: &a [x]"] + [
        f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    found = [what for what in whats("\n".join(lines)) if "is an alias" in what]
    assert len(found) == 80


ALONE = {
    "smtp": (("scope", "filter", "admin_unit"),),
    "app": (("id", "managed_identity"),),
}  # one of each group at most


@pytest.mark.parametrize("name", [f"{level}.{key}".removeprefix(".") for level, keys in LEVELS.items() for key in keys])
def test_every_typo_is_named_with_its_key(name):
    """Each key with a letter missing, doubled, replaced or swapped is an unknown key whose hint is the right one, and is
    no second fault of a missing key."""
    level, _, key = name.rpartition(".")
    typos = {key[:at] + key[at + 1 :] for at in range(len(key))} if len(key) > 3 else set()
    typos |= {key[:at] + key[at] + key[at:] for at in range(len(key))}
    typos |= {key[:at] + "x" + key[at + 1 :] for at in range(len(key))}
    typos |= {key[:at] + key[at + 1] + key[at] + key[at + 2 :] for at in range(len(key) - 1)}
    lines = {
        "": {"exosp": "1", "tenant": "a.example", "cloud": "global", "app": "{key: a, name: b, credential: {type: secret, valid_for: 1d, save_to: a.env}}",
             "protocols": "[smtp]", "mailboxes": "[a@b.example]", "exchange": "{host: a}", "prune": "true", "access": "application",
             "smtp": "{access: rbac, scope: c@b.example}"},
        "smtp": {"access": "rbac", "scope": "c@b.example", "filter": "{Alias: a}", "admin_unit": "5e5addcd-3e8d-4e90-baf5-964efab2b20a"},
        "app": {"id": "5e5addcd-3e8d-4e90-baf5-964efab2b20a", "managed_identity": "5e5addcd-3e8d-4e90-baf5-964efab2b20a", "key": "a", "name": "b", "credential": "{type: secret, valid_for: 1d, save_to: a.env}",
                "audience": "multi-tenant", "registered_in": "b.example"},
        "app.credential": {"type": "secret", "valid_for": "1d", "save_to": "a.env"},
        "mailboxes": {"address": "a@b.example", "protocols": "[smtp]", "send_as": "{from: c@b.example}"},
        "mailboxes.send_as": {"from": "c@b.example", "by": "app"},
        "exchange": {"remoting": "winrm", "host": "a", "port": "1", "path": "/a", "auth": "basic", "configuration": "a",
                     "app": "5e5addcd-3e8d-4e90-baf5-964efab2b20a", "thumbprint": "a" * 40},
    }  # fmt: skip
    assert {level: set(keys) for level, keys in lines.items()} == {level: set(keys) for level, keys in LEVELS.items()}

    def build(at: str, typo: str) -> str:
        values = dict(lines[at])
        for group in ALONE.get(at, ()):
            kept = key if at == level and key in group else group[0]
            values = {k: v for k, v in values.items() if k not in group or k == kept}
        if "managed_identity" in values:
            del values["credential"]
        if at == "app" and (level, key) == (at, "registered_in"):  # beside it little else can stand
            del values["audience"]
            values["credential"] = "{type: secret, save_to: a.env}"
        elif at == "app":
            del values["registered_in"]
        for inner, wrap in (
            ("app.credential", "{}"),
            ("app", "{}"),
            ("mailboxes.send_as", "{}"),
            ("mailboxes", "[{}]"),
            ("smtp", "{}"),
            ("exchange", "{}"),
        ):
            above, _, own = inner.rpartition(".")
            if above == at and (level == inner or level.startswith(f"{inner}.")):
                values[own] = wrap.replace("{}", "{" + build(inner, typo).replace("\n", ", ") + "}")
        return "\n".join(f"{typo if at == level and k == key else k}: {v}" for k, v in values.items())

    for typo in typos - set(LEVELS[level]):
        (fault,) = faults(build("", typo))
        assert (fault.what, fault.hint) == (f"unknown key `{typo}`", f"did you mean `{key}`?"), typo


def test_every_needed_key_has_an_example():
    """A missing key's hint shows what to add."""
    for level, keys in LEVELS.items():
        for key, needed in keys.items():
            if needed:
                assert EXAMPLES[f"{level}.{key}".removeprefix(".")].startswith(f"{key}: ")


def test_a_misspelt_key_hides_nothing():
    """What stands below a misspelt key is judged too."""
    assert whats(changed("mailboxes:", "mailboxs:").replace("support@contoso.com", "bob")) == [
        "9:1 unknown key `mailboxs`",
        "10:5 `bob` is no mail address: it has no @",
    ]


# Variables


def test_variables_are_replaced_in_values():
    """Anywhere in a value, several in one, once, and as text."""
    text = changed("Support Desk Mail", '"${EXOSP_VAR_A} and ${EXOSP_VAR_a_1}"').replace("5986", '"${EXOSP_VAR_PORT}"')
    found = parse(text, HERE, {"EXOSP_VAR_A": "no: [1]", "EXOSP_VAR_a_1": "${EXOSP_VAR_A}", "EXOSP_VAR_PORT": "443"})
    assert found.app.name == "no: [1] and ${EXOSP_VAR_A}"
    assert found.exchange.port == 443


def test_what_is_no_variable():
    """Two dollars before a brace stand for one; any other dollar is itself."""
    text = changed("Support Desk Mail", "$${EXOSP_VAR_A} $$ $5 $EXOSP_VAR_A")
    assert parse(text, HERE, {"EXOSP_VAR_A": "x"}).app.name == "${EXOSP_VAR_A} $$ $5 $EXOSP_VAR_A"


def test_the_path_is_shown_as_written():
    """The value of a variable is in the path, not in what is shown of it."""
    text = changed("keys/support-desk.env", '"${EXOSP_VAR_DIR}/a.env"')
    credential = parse(text, HERE, {"EXOSP_VAR_DIR": "hunter2"}).app.credential
    assert credential.save_to == HERE.parent / "hunter2/a.env"
    assert credential.shown == "${EXOSP_VAR_DIR}/a.env"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("${EXOSP_VAR_B}", "`${EXOSP_VAR_B}` is not set"),
        ("${PATH}", "`${PATH}`: only variables named EXOSP_VAR_… can be read"),
        ("${exosp_var_a}", "`${exosp_var_a}`: only variables named EXOSP_VAR_… can be read"),
        ("${EXOSP_VAR_}", "`${EXOSP_VAR_}`: only variables named EXOSP_VAR_… can be read"),
        ("${EXOSP_VAR_A:-x}", "`${EXOSP_VAR_A:-x}`: only variables named EXOSP_VAR_… can be read"),
        ("${}", "`${}`: only variables named EXOSP_VAR_… can be read"),
        ("${ EXOSP_VAR_A }", "`${ EXOSP_VAR_A }`: only variables named EXOSP_VAR_… can be read"),
        ("a${EXOSP_VAR_A", "`${` opens a variable that no `}` closes"),
    ],
)
def test_what_cannot_be_replaced(written, expected):
    """Another variable, one that is not set, and half of one are faults where they stand."""
    text = changed("Support Desk Mail", f'"x {written}"')
    column = 9 + 1 + len("x ") + written.index("${")
    assert whats(text, {"EXOSP_VAR_A": "x", "PATH": "y", "exosp_var_a": "z"}) == [f"6:{column} {expected}"]


def test_each_use_has_its_own_place():
    """The same unset variable twice is told twice."""
    assert whats(changed("Support Desk Mail", "${EXOSP_VAR_A}, ${EXOSP_VAR_A}")) == [
        "6:9 `${EXOSP_VAR_A}` is not set",
        "6:25 `${EXOSP_VAR_A}` is not set",
    ]


def test_keys_are_never_replaced():
    """A variable as a key is an unknown key."""
    assert faults(changed("cloud: gcc-high", '"${EXOSP_VAR_A}": global'), {"EXOSP_VAR_A": "cloud"}) == (
        Fault(3, 1, "unknown key `${EXOSP_VAR_A}`", "variables are replaced in values only"),
    )


@pytest.mark.parametrize(
    "value", ["imapx-hunter2", "smtpp", "", "\udcff-hunter2", "a\n-hunter2", "/hunter2", "support@hunter2..x"]
)
def test_no_value_of_a_variable_is_told(value):
    """Whatever is wrong with a variable's value, no message and no hint shows it."""
    quoted = '"${EXOSP_VAR_X}"'
    text = f"""\
exosp: {quoted}
tenant: {quoted}
cloud: {quoted}
app: {{key: {quoted}, name: {quoted}, credential: {{type: {quoted}, valid_for: {quoted}, save_to: {quoted}}}}}
protocols: [{quoted}]
mailboxes: [{quoted}, {{address: {quoted}, protocols: [{quoted}], send_as: {{from: {quoted}, by: {quoted}}}}}]
exchange: {{remoting: {quoted}, host: {quoted}, port: {quoted}, path: {quoted}, auth: {quoted}, configuration: {quoted}}}
"""
    with pytest.raises(PlaybookError) as caught:
        parse(text, HERE, {"EXOSP_VAR_X": value})
    assert len(caught.value.faults) >= 12
    assert "hunter2" not in error(caught.value) + repr(caught.value.faults)
    assert not any(fault.hint.startswith("did you mean") for fault in caught.value.faults)


# Where the credential goes


def save_to(folder: Path, written: str, **options: bool) -> Path | str:
    """The resolved path, or what is wrong with it."""
    playbook = folder / "playbook.yaml"
    playbook.write_text(changed("keys/support-desk.env", f'"{written}"'))
    try:
        return read(playbook, {}, **options).app.credential.save_to
    except PlaybookError as fault:
        (only,) = fault.faults
        return only.what.partition(f"`{written}` ")[2]


def test_where_the_credential_may_go(tmp_path):
    """Below the playbook's folder, wherever symbolic links lead; a flag lifts that. Never a folder, a link or the
    playbook."""
    folder, outside = tmp_path / "in", tmp_path / "out"
    for made in (folder / "sub", outside):
        made.mkdir(parents=True)
    (folder / "leads-out").symlink_to(outside)
    (folder / "leads-in").symlink_to(folder / "sub")
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "file-link").symlink_to(folder / "sub/x.env")
    (folder / "link-to-me.yaml").symlink_to("playbook.yaml")
    (folder / "playbook.yaml").touch()
    (folder / "same.env").hardlink_to(folder / "playbook.yaml")
    out = "leads out of the playbook's folder"
    expected: dict[str, Path | str] = {
        "a.env": folder / "a.env",
        "sub/../b.env": folder / "b.env",
        "leads-in/c.env": folder / "sub/c.env",
        "no/such/folder/d.env": folder / "no/such/folder/d.env",
        "../in/e.env": folder / "e.env",
        "../f.env": out,
        "leads-out/g.env": out,
        "..": out,
        f"{outside}/h.env": "is an absolute path",
        f"{folder}/i.env": "is an absolute path",
        "sub": "is a folder",
        "sub/": "is a folder",
        "sub/.": "is a folder",
        ".": "is a folder",
        "leads-in/..": "is a folder",
        "new/": "is a folder",
        "file-link": "is a symbolic link",
        "link-to-me.yaml": "is a symbolic link",
        "playbook.yaml": "is the playbook itself",
        "sub/../playbook.yaml": "is the playbook itself",
        "same.env": "is the playbook itself",
        "~/a.env": "begins with ~, which is not replaced",
        "loop/a.env": "cannot be a path: no such path can exist",
        "x" * 300: "cannot be a path: File name too long",
    }  # fmt: skip
    assert {written: save_to(folder, written) for written in expected if len(written) < 60} == {
        written: found for written, found in expected.items() if len(written) < 60
    }
    (fault,) = faults_of_long_name(folder)
    assert fault.what.endswith("cannot be a path: File name too long")
    lifted = {
        "../f.env": tmp_path / "f.env",
        "leads-out/g.env": outside / "g.env",
        f"{outside}/h.env": outside / "h.env",
    }
    assert {written: save_to(folder, written, allow_outside=True) for written in lifted} == lifted
    assert save_to(folder, "..", allow_outside=True) == "is a folder"


def faults_of_long_name(folder: Path) -> tuple[Fault, ...]:
    (folder / "playbook.yaml").write_text(changed("keys/support-desk.env", "x" * 300))
    with pytest.raises(PlaybookError) as caught:
        read(folder / "playbook.yaml", {})
    return caught.value.faults


# Files


def unreadable(path: Path) -> tuple[str, str]:
    with pytest.raises(UsageError) as caught:
        read(path, {})
    assert caught.value.where == str(path)
    return caught.value.what, caught.value.hint


def test_files_that_cannot_be_read(tmp_path):
    """No file, a folder, a pipe, an impossible name: each says which, and which playbooks there are."""
    (tmp_path / "quickstart.yaml").write_text(WHOLE)
    os.mkfifo(tmp_path / "pipe")
    here = "there is: quickstart.yaml"
    assert unreadable(tmp_path / "quickstrat.yaml") == ("cannot read the playbook: there is no such file", here)
    assert unreadable(tmp_path) == ("cannot read the playbook: it is a folder", here)
    assert unreadable(tmp_path / "pipe") == ("cannot read the playbook: it is no regular file", here)
    assert unreadable(tmp_path / "no/p.yaml") == ("cannot read the playbook: there is no such file", "")
    assert unreadable(Path("a\0b"))[0] == "cannot read the playbook: there is no such file"
    assert unreadable(tmp_path / ("x" * 300))[0] == "cannot read the playbook: File name too long"


def test_bytes_that_are_no_text(tmp_path):
    """The first byte that is not UTF-8 has its line and column; UTF-16 is such a file."""
    path = tmp_path / "playbook.yaml"
    for held, place_ in ((b"exosp: 1\r\nname: f\xfcr\n", (2, 8)), (WHOLE.encode("utf-16"), (1, 1))):
        path.write_bytes(held)
        with pytest.raises(PlaybookError) as caught:
            read(path, {})
        assert [(f.line, f.column, f.what) for f in caught.value.faults] == [
            (*place_, "the playbook is not UTF-8 text")
        ]


def test_a_file_that_is_too_large(tmp_path):
    """It is refused before it is parsed, as a whole."""
    (tmp_path / "playbook.yaml").write_bytes(b"[" * (1024 * 1024 + 1))
    with pytest.raises(PlaybookError) as caught:
        read(tmp_path / "playbook.yaml", {})
    assert caught.value.faults == (Fault(0, 0, "the playbook is larger than 1048576 bytes", "split it"),)


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_and_a_byte_order_mark(tmp_path, end):
    """Files from Windows and old Macs are read alike, places included."""
    (tmp_path / "playbook.yaml").write_bytes(b"\xef\xbb\xbf" + WHOLE.replace("\n", end).encode())
    found = read(tmp_path / "playbook.yaml", {})
    assert [(box.place.line, box.place.column) for box in found.boxes] == [(10, 5), (11, 15), (12, 14)]


def test_importing_the_reader_is_cheap():
    """PyYAML and difflib are not loaded before a file is read."""
    script = "import sys, exosp.playbook; print([m for m in ('yaml', 'difflib') if m in sys.modules])"
    came = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert came.stdout == "[]\n"
