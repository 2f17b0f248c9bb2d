"""Laws of the playbook reader over any text, any bytes and any valid playbook."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exosp.clouds import CLOUDS
from exosp.errors import Error, PlaybookError
from exosp.playbook import PROTOCOLS, App, Box, Place, Playbook, Reach, SecretCredential, SendAs, parse, read
from exosp.playbook.rules import SECONDS
from exosp.report.errors import error
from exosp.snapshot import Address

HERE = Path("/tmp/exosp-no-such-folder/playbook.yaml")
NOWHERE = Place("", 0, 0)
HOLDERS: tuple[Literal["app", "mailbox"], ...] = ("app", "mailbox")
WHOLE = (Path(__file__).parent.parent / "playbooks/quickstart.yaml").read_text(encoding="utf-8")


def places_hold(text: str, found: PlaybookError) -> None:
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert found.faults
    assert list(found.faults) == sorted(found.faults)
    for fault in found.faults:
        assert 1 <= fault.line <= len(lines)
        assert 1 <= fault.column <= len(lines[fault.line - 1]) + 1
        assert fault.what
    error(found).encode()


def judged(text: str) -> None:
    try:
        parse(text, HERE, {"EXOSP_VAR_A": "x"})
    except PlaybookError as found:
        places_hold(text, found)


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters()))
def test_any_text(text):
    """Whatever the text, the reader answers or names faults that lie in it; nothing else escapes."""
    judged(text)


PIECES = ["exosp", "tenant", "app", "mailboxes", "protocols", "exchange", "address", "credential", "save_to", ": ", ":", "- ", "\n", "\n  ", "\n    ", "[", "]", "{", "}", ",", "'", '"', "&a ", "*a", "!!str ", "|\n", ">", "${EXOSP_VAR_A}", "${", "$${", "1", "no", "~", "2026-01-01", "a@b.example", "imap", "\t", "#", "---\n", "...\n", "%YAML 1.1\n", "<<", "?", "\u2028", "\x85", "\r", "\\ud800", "\\U0011FFFF", "é"]  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_any_text_of_yaml_pieces(text):
    """The same for text that is nearly YAML."""
    judged(text)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_damage_to_a_whole_playbook(data):
    """The same for a playbook with a piece cut out or put in."""
    at = data.draw(st.integers(0, len(WHOLE)))
    end = data.draw(st.integers(at, min(at + 20, len(WHOLE))))
    judged(WHOLE[:at] + data.draw(st.sampled_from(["", *PIECES])) + WHOLE[end:])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes(tmp_path, held):
    """Any file is read or refused by a named error."""
    (tmp_path / "playbook.yaml").write_bytes(held)
    try:
        read(tmp_path / "playbook.yaml", {})
    except Error as found:
        error(found).encode()


LOCAL = st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`|~-]{1,20}(\.[a-z0-9]{1,9})?", fullmatch=True)
DOMAIN = st.from_regex(r"([a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?\.){1,3}[a-z]{2,9}", fullmatch=True)
ADDRESS = st.builds(lambda local, domain: f"{local}@{domain}", LOCAL, DOMAIN)
NAME = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=120).map(
    lambda n: n.replace("${", "$")
)
LISTED = st.lists(st.sampled_from(PROTOCOLS), min_size=1, unique=True)


@st.composite
def playbooks(draw: st.DrawFn) -> Playbook:
    """Any valid playbook, its places left out."""
    protocols = draw(LISTED)
    addresses = draw(st.lists(ADDRESS, min_size=1, max_size=6, unique_by=str.lower))
    boxes = []
    for address in addresses:
        own = draw(st.none() | LISTED)
        used = frozenset(own or protocols)
        sender = draw(st.none() | ADDRESS.filter(lambda a: a not in addresses)) if "smtp" in used else None
        by = draw(st.sampled_from(HOLDERS))
        boxes.append(Box(Address(address), used, SendAs(Address(sender), by, NOWHERE) if sender else None, NOWHERE))
    unit = draw(st.sampled_from("hdw"))
    count = draw(st.integers(1, 730 * 86400 // SECONDS[unit]))
    key = draw(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,98}[a-z0-9])?", fullmatch=True))
    credential = SecretCredential(count * SECONDS[unit], HERE.parent / "a.env", f"{count}{unit}", NOWHERE)
    return Playbook(
        HERE, draw(DOMAIN), draw(st.sampled_from(list(CLOUDS))), App(key, draw(NAME), credential, NOWHERE), tuple(protocols),
        tuple(boxes), Reach(port=draw(st.none() | st.integers(1, 65535)), auth=draw(st.none() | st.just("ntlm"))),
    )  # fmt: skip


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def written(want: Playbook) -> str:
    """A playbook as YAML, by hand: each text in single quotes."""
    lines = [
        "exosp: 1", f"tenant: {quoted(want.tenant)}", f"cloud: {want.cloud}", "app:", f"  key: {quoted(want.app.key)}",
        f"  name: {quoted(want.app.name)}", "  credential:", "    type: secret",
        f"    valid_for: {want.app.credential.shown}", "    save_to: a.env",
        f"protocols: [{', '.join(want.protocols)}]", "mailboxes:",
    ]  # fmt: skip
    for box in want.boxes:
        lines += [f"- address: {quoted(box.address)}", f"  protocols: [{', '.join(sorted(box.protocols))}]"]
        if box.send_as:
            lines.append(f"  send_as: {{from: {quoted(box.send_as.sender)}, by: {box.send_as.by}}}")
    reach = {key: value for key, value in (("port", want.exchange.port), ("auth", want.exchange.auth)) if value}
    return "\n".join([*lines, f"exchange: {{{', '.join(f'{key}: {value}' for key, value in reach.items())}}}", ""])


def without_places(found: Playbook) -> Playbook:
    """For comparison; what is shown of the path becomes what the generator kept there."""
    credential = replace(found.app.credential, place=NOWHERE)
    boxes = tuple(
        replace(box, place=NOWHERE, send_as=replace(box.send_as, place=NOWHERE) if box.send_as else None)
        for box in found.boxes
    )
    app = replace(found.app, credential=credential, place=NOWHERE)
    return replace(found, app=app, boxes=boxes, exchange=replace(found.exchange, place=None))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(playbooks())
def test_a_written_playbook_is_read_back(want):
    """Any valid playbook, written as YAML, is read as what it said."""
    found = without_places(parse(written(want), HERE, {}))
    assert found.app.credential.shown == "a.env"
    shown = replace(want.app.credential, shown="a.env")
    assert found == replace(want, app=replace(want.app, credential=shown))
