"""The snapshot file: what is written is what is read, a file that was cut off anywhere is gone on with, and whatever is wrong
with one is said with its line."""

import errno
import hashlib
import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import AT, application, federated, mailbox, role, secret, tenant
from fakes import Desk, canonical, empty, head, throttled
from hypothesis import given, settings
from hypothesis import strategies as st

from exosp.audit import file
from exosp.audit.file import LINES, SCHEMA, kept, read
from exosp.audit.gathered import Done, Kept, Lacking, Read, Wishes
from exosp.audit.packing import Misfit, packed, unpacked
from exosp.errors import CloudError, Error, Forbidden, UsageError
from exosp.inventory import AccessPolicy, Entry, Event, Grant, LastUse, Organization, Registration
from exosp.snapshot import AppId, RequiredResource

DESK = application(
    "Desk", "IMAP.AccessAsApp", graph=["Mail.Read"], everyone=["SMTP.Send"], roles=[role("Application Mail.Read")],
    policies=[("restrict", "helpdesk@contoso.com")],
    registration={"credentials": (secret(), federated()),
                  "required": (RequiredResource(AppId("00000002-0000-0ff1-ce00-000000000000"), (("id", "Role"),)),)},
)  # fmt: skip
READER = application("Reader", graph=["Mail.Read"], entered=False)
BOXES = (
    mailbox("support@contoso.com", full=[DESK], send_as=[DESK], people=4),
    mailbox("sales@contoso.com", send_as=[DESK], kind="shared"),
    mailbox("left@contoso.com", unresolved=["S-1-5-21-1-2-3-1105"], kind="soft-deleted"),
    mailbox("team@contoso.com", full=[DESK], kind="group"),
    mailbox("inbox@contoso.com", grants=[Grant("Folder", DESK.object_id, DESK.entry, folder="Inbox", role="Reviewer")]),
    *(empty(number) for number in range(7)),
)
EVENTS = (
    Event(AT, "ann@contoso.com", "Consent to application", DESK.object_id, "entra", "IMAP.AccessAsApp"),
    Event(AT, "ann@contoso.com", "New-ServicePrincipal", DESK.object_id, "exchange"),
)
TENANT = tenant(DESK, READER, *BOXES, events=EVENTS)
ALL = Wishes(folders=True, evidence=True)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def desk() -> Desk:
    return Desk(TENANT, ALL)


def lines(place: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in place.read_text(encoding="utf-8").splitlines()]


def test_what_is_collected_is_what_is_read(desk: Desk, place: Path):
    """And what is collected without a file."""
    found = desk.kept(place)
    assert found == read(place)
    assert canonical(found) == canonical(read(place)) == canonical(Desk(TENANT, ALL).collect())
    assert found.mailboxes
    assert found.events


def test_every_kind_of_line_is_in_use_and_in_the_manual(desk: Desk, place: Path):
    """The docstring is what a reader of the file goes by."""
    desk.exchange.broken = {BOXES[0].id: CloudError("it is gone", service="fake")}
    desk.directory.trouble.strike = lambda what: _refuse(what, "last-use")
    desk.kept(place)
    desk.kept(place)
    kinds = {kind for line in lines(place)[1:] for kind in line}
    assert kinds == {*LINES, "end"} - {"last-use"}
    manual = file.__doc__ or ""
    assert {kind for kind in (*LINES, "end") if f"{kind} " in manual or f"{kind}," in manual or f"{kind}\n" in manual} == {*LINES, "end"}  # fmt: skip
    assert SCHEMA in manual


def _refuse(what: str, name: str) -> None:
    if what == name:
        raise Forbidden("Insufficient privileges", service="fake")


def test_it_is_its_owners_alone(desk: Desk, place: Path):
    before = os.umask(0)
    try:
        desk.kept(place)
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


def test_a_file_that_all_could_read_is_its_owners_alone_from_then_on(place: Path):
    with kept(place, head()):
        pass
    place.chmod(0o644)
    with kept(place, head()):
        assert stat.S_IMODE(place.stat().st_mode) == 0o600


def test_it_has_no_place_for_a_secret():
    """Of a credential its outside alone: no field of any record could hold more."""
    names = {field.name for kind in _records(*LINES.values()) for field in fields(kind)}
    assert not {name for name in names if "secret" in name or ("password" in name and name != "password_smtp")}


def test_people_are_not_in_it(place: Path):
    """Who may send on a mailbox's behalf stands in its own row: applications alone are kept."""
    grants = [Grant("SendOnBehalf", "Bob Smith"), Grant("SendOnBehalf", DESK.object_id)]
    [box] = Desk(tenant(DESK, mailbox("boss@contoso.com", grants=grants))).kept(place).mailboxes
    assert box.people == 1
    assert "Bob" not in place.read_text(encoding="utf-8")


def _records(*kinds: Any) -> set[Any]:
    """These record types, and those of their fields."""
    import typing

    found: set[Any] = set()
    waiting = list(kinds)
    while waiting:
        kind = waiting.pop()
        waiting += typing.get_args(kind)
        if is_dataclass(kind) and kind not in found:
            found.add(kind)
            waiting += typing.get_type_hints(kind).values()
    return found


# Cut off


@pytest.mark.parametrize("every", [1500, pytest.param(97, marks=pytest.mark.slow)])
def test_a_file_that_is_cut_off_anywhere_is_gone_on_with(desk: Desk, place: Path, every: int):
    """In a line, before and after its end: the same inventory comes of it."""
    whole = canonical(desk.kept(place))
    text = place.read_bytes()
    ends = [n for n, byte in enumerate(text) if byte == 10]
    cuts = sorted(
        {*range(0, len(text), every), *ends[:: 1 + every // 300], *(n + 1 for n in ends[:: 1 + every // 300])}
    )
    for cut in cuts[: -1 if cuts[-1] == len(text) else None]:
        place.write_bytes(text[:cut])
        again = Desk(TENANT, ALL)
        assert canonical(again.kept(place)) == whole, cut
        assert canonical(read(place)) == whole, cut
        place.unlink()
    assert len(cuts) > 20


@pytest.mark.parametrize("at", [1, 4, 7, 12])
def test_an_exception_half_way_leaves_what_was_read(desk: Desk, place: Path, at: int):
    """The mailboxes that were read are not asked for again, nor is a section that was done."""
    whole = Desk(TENANT, ALL).collect()

    def strike(what: str) -> None:
        if what == "one-permission" and len(desk.exchange.read) == at:
            raise KeyboardInterrupt

    desk.exchange.trouble.strike = strike
    with pytest.raises(KeyboardInterrupt):
        desk.kept(place)
    half = read(place)
    assert half.coverage.interrupted
    assert not half.coverage.whole
    assert not half.has("mailbox-permissions")
    assert half.coverage.missing["mailbox-permissions"] == "the audit was cut off before it was read"
    assert half.coverage.read | set(half.coverage.missing) == ALL.sections
    assert sum(half.coverage.mailboxes.values()) == at - 1
    again = Desk(TENANT, ALL)
    assert canonical(again.kept(place)) == canonical(whole)
    assert sorted(again.exchange.read + desk.exchange.read[: at - 1]) == sorted(box.id for box in BOXES)
    asked = again.exchange.trouble.asked + again.directory.trouble.asked
    assert not asked.keys() & {"entries", "role-grants", "applications", "owners", "recipient-permissions"}


def test_a_process_that_is_killed_leaves_what_was_read(place: Path):
    """SIGKILL, in the middle of the mailboxes: no handler, no flush."""
    program = (
        "import sys, time; sys.path[:0] = sys.argv[2:]\n"
        "from pathlib import Path\n"
        "import test_file as t\n"
        "desk = t.many(slow=0.003)\n"
        "desk.kept(Path(sys.argv[1]))\n"
    )
    here = Path(__file__).parent
    started = subprocess.Popen(
        [sys.executable, "-c", program, str(place), str(here), str(here.parent)], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    )  # fmt: skip
    try:
        while started.poll() is None and not (place.exists() and place.read_bytes().count(b'{"read"') >= 2):
            time.sleep(0.02)
        assert started.poll() is None
    finally:
        started.kill()
        started.wait(30)
    before = {id_ for line in lines(place)[1:] for id_ in line.get("read", {}).get("ids", ())}
    again = many()
    assert canonical(again.kept(place)) == canonical(many().collect())
    assert len(before) >= 200
    assert not before & set(again.exchange.read)
    assert len(again.exchange.read) + len(before) == len(again.has.mailboxes)


def many(slow: float = 0.0) -> Desk:
    """Six hundred mailboxes, every seventh of which the application opens."""
    boxes = (mailbox(f"m{n}@contoso.com", full=[DESK] if n % 7 == 0 else [], people=n % 3) for n in range(600))
    desk = Desk(tenant(DESK, *boxes))
    if slow:
        desk.exchange.trouble.strike = lambda what: time.sleep(slow)
    return desk


def test_little_is_lost_however_slow_it_is(place: Path):
    """A mailbox that was read stands in the file some seconds later, though a batch is not full yet."""
    desk = Desk(tenant(*(empty(number) for number in range(20))))
    seen = []

    def strike(what: str) -> None:
        desk.clock.sleep(1.0)
        if place.exists():
            seen.append(sum(len(line.get("read", {}).get("ids", ())) for line in lines(place)[1:]))

    desk.exchange.trouble.strike = strike
    desk.kept(place)
    behind = [number - stood for number, stood in enumerate(seen[-20:])]
    assert max(behind) <= 4


def test_who_went_on_with_it_stands_beside_who_began(desk: Desk, place: Path):
    desk.exchange.trouble.strike = lambda what: _refuse(what, "client-access")
    desk.kept(place)
    found = Desk(TENANT, ALL).kept(place, operator="second@contoso.com", at=AT + timedelta(days=1))
    assert found.operator == "auditor@contoso.com, second@contoso.com"
    assert found.at == AT


def test_one_that_ended_and_is_not_whole_is_gone_on_with(place: Path):
    """After what was missing was granted: that alone is read."""
    desk = Desk(TENANT)
    desk.exchange.trouble.strike = lambda what: _refuse(what, "client-access")
    half = desk.kept(place)
    assert not half.coverage.whole
    assert not half.coverage.interrupted
    again = Desk(TENANT)
    assert canonical(again.kept(place)) == canonical(Desk(TENANT).collect())
    assert set(again.exchange.trouble.asked) == {"client-access"}
    assert not again.directory.trouble.asked


def test_a_mailbox_that_was_not_read_is_asked_for_again(place: Path):
    """Alone, of all in its list."""
    desk = Desk(TENANT)
    desk.exchange.broken = {BOXES[1].id: CloudError("it is gone", service="fake")}
    assert desk.kept(place).coverage.unread == 1
    again = Desk(TENANT)
    assert canonical(again.kept(place)) == canonical(Desk(TENANT).collect())
    assert again.exchange.read == [BOXES[1].id]


def test_two_audits_do_not_write_one_file(place: Path):
    with kept(place, head()), pytest.raises(Error, match="another audit writes"), kept(place, head()):
        pass


def test_a_full_disk_is_an_error_that_says_so(place: Path, monkeypatch: pytest.MonkeyPatch):
    """And no missing section: what is read and not kept is lost."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    desk = Desk(TENANT)

    def strike(what: str) -> None:
        if what == "role-grants":
            monkeypatch.setattr(file.os, "write", full)

    desk.directory.trouble.strike = strike
    with pytest.raises(Error, match="cannot be written: No space left"):
        desk.kept(place)
    monkeypatch.undo()
    assert canonical(Desk(TENANT).kept(place)) == canonical(Desk(TENANT).collect())


# What is wrong with a file


@pytest.fixture
def whole(desk: Desk, place: Path) -> Path:
    desk.kept(place)
    return place


def refused(call: Callable[[], object]) -> UsageError:
    with pytest.raises(UsageError) as found:
        call()
    assert found.value.hint
    return found.value


def both(place: Path, **others: Any) -> tuple[UsageError, UsageError]:
    """What reading says, and what going on says."""

    def go_on() -> None:
        with kept(place, head(asked=ALL, **others)):
            pass

    return refused(lambda: read(place)), refused(go_on)


def test_a_sum_that_is_another_is_said_at_the_last_line(whole: Path):
    text = whole.read_text(encoding="utf-8").replace("support@contoso.com", "suppert@contoso.com")
    whole.write_text(text, encoding="utf-8")
    for fault in both(whole):
        assert fault.what == "the snapshot is not what was written: its SHA-256 is another"
        assert fault.where == f"{whole}:{text.count(chr(10))}"


def test_a_line_that_is_taken_out_is_known_by_the_sum(whole: Path):
    text = whole.read_bytes().split(b"\n")
    del text[7]
    whole.write_bytes(b"\n".join(text))
    assert {fault.what for fault in both(whole)} == {"the snapshot is not what was written: its SHA-256 is another"}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"{", "this line is no JSON"),
        (b"[" * 100_000, "this line is no JSON"),
        (b"[1]", "this line is no object with one key"),
        (b'{"entry":{},"done":{}}', "this line is no object with one key"),
        (b'{"strange":{}}', "lines of the kind 'strange' are unknown"),
        (b'{"done":{"section":"entries","by":"me"}}', "done: the field 'by' is unknown"),
        (b'{"done":{}}', "done: the field 'section' is missing"),
        (b'{"done":[]}', "done is no object"),
        (b'{"done":{"section":"all"}}', "done.section is 'all', and none of applications, "),
        (b'{"last-use":{"app_id":7}}', "last-use.app_id is no text"),
        (b'{"last-use":{"app_id":"a","as_person":"today"}}', "last-use.as_person is no time"),
        (b'{"last-use":{"app_id":"a","as_person":"2026-01-01T00:00:00"}}', "last-use.as_person is a time without its zone"),
        (b'{"read":{"part":"user","ids":"a"}}', "read.ids is no list"),
        (b'{"read":{"part":"user","ids":[],"people":true}}', "read.people is no whole number"),
    ],
)  # fmt: skip
def test_a_line_that_is_none_is_an_error_with_its_number(whole: Path, line: bytes, what: str):
    text = whole.read_bytes().split(b"\n")
    text[3:3] = [line]
    whole.write_bytes(b"\n".join(text))
    for fault in both(whole):
        assert fault.what.startswith(what)
        assert fault.where == f"{whole}:4"


def test_what_stands_after_the_end_is_an_error(whole: Path):
    with whole.open("ab") as out:
        out.write(b'{"done":{"section":"entries"}}\n')
    for fault in both(whole):
        assert fault.what == "a line stands after the end"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"{}\n", "this is no snapshot of exosp's"),
        (b"hello\n", "this is no snapshot of exosp's"),
        (b"\x89PNG\r\n\x1a\n", "this is no snapshot of exosp's"),
        (b'["schema"]\n', "this is no snapshot of exosp's"),
        (b'{"schema":"exosp/plan/1"}\n', "this is no snapshot of exosp's"),
        (b'{"schema":"exosp/snapshot/2","head":{}}\n', "this snapshot's format is exosp/snapshot/2, and this exosp reads exosp/snapshot/1"),
        (b'{"schema":"exosp/snapshot/1","head":{}}\n', "head: the field 'tenant' is missing"),
        (b'{"schema":"exosp/snapshot/1","head":{},"more":1}\n', "the field 'more' is unknown"),
        (b'{"schema":"exosp/snapshot/1"}\n', "head is no object"),
    ],
)  # fmt: skip
def test_a_foreign_file_is_an_error_and_stays_as_it_is(place: Path, text: bytes, what: str):
    place.write_bytes(text)
    for fault in both(place):
        assert fault.what == what
        assert fault.where == f"{place}:1"
    assert place.read_bytes() == text


def test_another_tenants_snapshot_is_not_gone_on_with(place: Path):
    with kept(place, head()):
        pass
    before = place.read_bytes()
    for others in ({"tenant_id": "other"}, {"cloud": "gcc-high"}, {"emulated": True}):
        with pytest.raises(UsageError, match=r"of another tenant: contoso.onmicrosoft.com \(global\)"), kept(place, head(**others)):  # fmt: skip
            pass
    with pytest.raises(UsageError, match="with other wishes"), kept(place, head(asked=ALL)):
        pass
    assert place.read_bytes() == before


def test_a_whole_one_is_not_written_over(whole: Path):
    before = whole.read_bytes()
    with pytest.raises(UsageError, match="is whole already") as found, kept(whole, head(asked=ALL)):
        pass
    assert "--from" in found.value.hint
    assert whole.read_bytes() == before


def test_links_folders_and_devices_are_refused(tmp_path: Path, whole: Path):
    link = tmp_path / "link"
    link.symlink_to(whole)
    for place in (link, tmp_path, Path("/dev/null"), tmp_path / "no" / "folder"):
        with pytest.raises(UsageError, match="cannot be kept there"), kept(place, head()):
            pass
    with pytest.raises(UsageError, match="cannot be read"):
        read(tmp_path / "nothing")


def test_an_empty_one_is_begun_anew(desk: Desk, place: Path):
    place.write_bytes(b"")
    assert refused_by_reading(place).what == "this snapshot is empty: its audit was cut off at once"
    assert desk.kept(place) == read(place)


def refused_by_reading(place: Path) -> UsageError:
    with pytest.raises(UsageError) as found:
        read(place)
    return found.value


def test_a_field_that_an_older_exosp_did_not_write_takes_its_default(whole: Path):
    """As long as the sum is right, which is over what stands there."""
    out = []
    for line in lines(whole)[:-1]:
        line.get("mailbox", {}).pop("people", None)
        out.append(json.dumps(line) + "\n")
    text = "".join(out).encode()
    whole.write_bytes(text + json.dumps({"end": {"sha256": hashlib.sha256(text).hexdigest()}}).encode() + b"\n")
    assert {box.people for box in read(whole).mailboxes} == {0}


# Records


@pytest.mark.parametrize(
    "record",
    [
        *DESK.registrations, *DESK.principals, *DESK.entries, *DESK.role_grants, *DESK.scope_grants, *DESK.roles,
        *DESK.access_policies, *EVENTS, *(box.access for box in BOXES[:1] if box.access),
        LastUse(DESK.app_id), Organization(True, False, None, True), AccessPolicy(DESK.app_id, "deny", "x"),
        Done("mailboxes", "user", {"user": 3}), Lacking("owners", "why"), Read("folders", ("a", "b"), {}, 3, 4),
        Entry(DESK.app_id, DESK.entries[0].object_id, "\u202egpj.exe \x1b[2J \ud800", "i", frozenset({"b", "a"})),
    ],
    ids=lambda record: type(record).__name__,
)  # fmt: skip
def test_a_record_comes_back_as_it_was(record: Any):
    """By JSON, whatever its texts hold."""
    assert unpacked(type(record), json.loads(json.dumps(packed(record)))) == record


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(("id", "app_id", "object_id", "name", "audience", "credentials", "owners")), inner), max_leaves=8))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_whatever_stands_in_a_line_is_a_record_or_a_misfit(value: Any):
    """No other error comes of it."""
    for kind in (Registration, Kept, Done):
        try:
            assert isinstance(unpacked(kind, value), kind)
        except Misfit:
            continue


def test_the_same_comes_of_mailboxes_in_any_order(place: Path):
    """They are answered as they are answered."""
    many().kept(place)
    found = read(place)
    first, *rest = lines(place)[:-1]
    groups: list[list[Any]] = [[]]
    for line in rest:
        groups[-1].append(line)
        if not {"read", "done", "missing"}.isdisjoint(line):
            groups.append([])
    boxes = [number for number, group in enumerate(groups) if group and group[-1].get("read", {}).get("part") == "user"]
    assert len(boxes) == 6
    for number, group in zip(boxes, [groups[n] for n in reversed(boxes)], strict=True):
        groups[number] = group
    text = "".join(json.dumps(line) + "\n" for line in [first, *(line for group in groups for line in group)]).encode()
    place.write_bytes(text + json.dumps({"end": {"sha256": hashlib.sha256(text).hexdigest()}}).encode() + b"\n")
    assert canonical(read(place)) == canonical(found)


@pytest.mark.parametrize("section", ["role-grants", "recipient-permissions", "entries", "management-roles"])
def test_what_goes_by_a_section_that_is_granted_later_is_read_anew(place: Path, section: str):
    """Applications that matter by it alone were not kept, nor mailboxes."""
    desk = Desk(TENANT, ALL)
    desk.exchange.trouble.strike = desk.directory.trouble.strike = lambda what: _refuse(what, section)
    assert section in desk.kept(place).coverage.missing
    again = Desk(TENANT, ALL)
    assert canonical(again.kept(place)) == canonical(Desk(TENANT, ALL).collect())
    assert canonical(read(place)) == canonical(Desk(TENANT, ALL).collect())


def test_a_throttled_audit_writes_the_same_records(place: Path, tmp_path: Path):
    desk = Desk(TENANT, ALL)
    desk.kept(place)
    left = [throttled()] * 5

    def strike(what: str) -> None:
        if left and what in ("one-permission", "mailboxes", "role-grants"):
            raise left.pop()

    other = Desk(TENANT, ALL)
    other.exchange.trouble.strike = other.directory.trouble.strike = strike
    other.kept(tmp_path / "other")
    assert records(place) == records(tmp_path / "other")
    assert left == []


def records(place: Path) -> list[str]:
    """Without the lines that say how far it was: their number goes by how it went."""
    return sorted(json.dumps(line, sort_keys=True) for line in lines(place)[1:] if not {"read", "end"} & set(line))


def test_a_part_of_it_may_be_read_alone(place: Path):
    """Without keeping in memory which mailboxes are done."""
    many().kept(place)
    assert read(place) == many().collect()
    assert replace(read(place), mailboxes=()).coverage.mailboxes == {"user": 600}
