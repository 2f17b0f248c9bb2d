"""What the Exchange census is made of, without a tenant: rows read straight from CLIXML, items on their way at once, and whom
a row names."""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from exosp.census import Held, Listed
from exosp.errors import CloudError, Throttled, Unreachable
from exosp.exchange import clixml
from exosp.exchange.bearers import Bearers
from exosp.exchange.census import Census
from exosp.exchange.cmdlets import CMDLETS, OURS, READS, Answer, Cmdlet, Item, Rows, cut_short
from exosp.exchange.errors import Record
from exosp.exchange.flowing import Flow
from exosp.exchange.psobjects import row_of
from exosp.exchange.sessions import Came, Restarting, Sessions
from exosp.exchange.spreading import Pieces
from exosp.inventory import Entry
from exosp.snapshot import Address, AppId, ClaimedObjectId, MailboxId
from exosp.tenant import Failed

# Rows


def theirs(text: str) -> Any:
    from pypsrp.serializer import Serializer

    return row_of(Serializer().deserialize(text))


def obj(
    inner: str, head: str = '<TN RefId="0"><T>Deserialized.X</T><T>System.Object</T></TN><ToString>x</ToString>'
) -> str:
    return f'<Obj RefId="0">{head}{inner}</Obj>'


LIST = (
    '<Obj N="L" RefId="1"><TN RefId="1"><T>System.Collections.ArrayList</T><T>System.Object</T></TN><LST>{}</LST></Obj>'
)
PLAIN = (
    '<Props><S N="A">b &amp; c</S><Nil N="D" /><B N="E">true</B><B N="F">false</B><I32 N="G">-7</I32><I64 N="H">9999999999</I64></Props>',
    '<Props><G N="A">0F8FAD5B-D9CB-469F-A165-70867728950E</G><DT N="B">2026-01-02T03:04:05Z</DT><Version N="C">1.2</Version></Props>',
    '<Props><S N="A"></S><S N="B" /><S N="C">_x000D__x000A_line _x005F_x0041_ _xD83D__xDE00_ _xyz_ x_x0041</S></Props>',
    f"<Props>{LIST.format('<S>one</S><S>two_x0009_</S><Nil /><I32>3</I32>')}</Props>",
    "<MS>" + LIST.format("") + '<S N="A">added</S></MS><Props><S N="A">own</S><S N="B">c</S></Props>',
    "<MS />",
)
STRANGE = (
    '<Props><Obj N="A" RefId="1"><TN RefId="1"><T>E</T></TN><ToString>On</ToString><I32>1</I32></Obj></Props>',
    '<Props><Ref N="A" RefId="0" /></Props>',
    '<Props><S N="A_x0020_B">c</S></Props>',
    '<Props><S>no name</S></Props>',
    '<Props><I32 N="A">seven</I32></Props>',
    '<Props><S N="A">_xD83D_ alone</S></Props>',
    '<Props><S N="A"><B>x</B></S></Props>',
    "<Props>" + LIST.format('<Obj RefId="2"><S>x</S></Obj>') + "</Props>",
    '<S>a text</S>',
    "<DCT />",
)  # fmt: skip


@pytest.mark.parametrize("inner", PLAIN)
def test_a_plain_row_is_read_as_pypsrp_reads_it(inner):
    """Each kind of value, escapes and surrogates, lists, what is added to an object before what it is made of."""
    text = obj(inner)
    assert clixml.row(text.encode()) == theirs(text)


@pytest.mark.parametrize("inner", STRANGE)
def test_what_is_not_plain_is_left_to_pypsrp(inner):
    assert clixml.row(obj(inner).encode()) is None


@pytest.mark.parametrize("text", ["", "<Obj", "<S>x</S>", '<!DOCTYPE x [<!ENTITY a "b">]><Obj RefId="0"><MS /></Obj>'])
def test_no_object_is_no_row(text):
    assert clixml.row(text.encode()) is None


def test_texts_of_every_kind_are_read_alike():
    """What the sandbox writes, a hundred rows of hostile texts: the same as pypsrp's."""
    from exosp.sandbox import clixml as writer
    from exosp.sandbox.cmdlets.outcome import Item

    chance = random.Random(5)
    letters = "aé_xX0041<>&\"'\r\n\t\u0085\u2028\ufffe😀 {}"
    for _ in range(100):
        texts = ["".join(chance.choices(letters, k=chance.randrange(12))) for _ in range(4)]
        message = writer.item(Item(("X", "System.Object"), {"A": texts[0], "B": texts[1:], "C": None}, texts[0]))
        assert clixml.row(message) == theirs(message.decode()) == {"A": texts[0], "B": tuple(texts[1:]), "C": None}


def test_a_list_that_was_cut_short_says_so():
    """By its words, or in any language by a warning after a thousand rows."""
    assert cut_short(["By default, only the first 1000 items are returned."], 1000)
    assert cut_short(["There are more results available than are currently displayed."], 5)
    assert cut_short(["Standardmäßig werden nur 1000 Elemente zurückgegeben."], 1000)
    assert not cut_short(["Something else"], 1001)
    assert not cut_short([], 1000)


# Items on their way at once


def numbers(pages: int, size: int, taken: list[int]) -> Iterator[list[int]]:
    for page in range(pages):
        taken.append(page)
        yield list(range(page * size, (page + 1) * size))


@pytest.fixture
def flow() -> Iterator[Flow]:
    found = Flow(Pieces(most=10, least=2, flights=4))
    yield found
    found.close()


def test_each_has_one_answer_and_several_are_under_way(flow):
    together: set[int] = set()
    most: list[int] = []
    lock = threading.Lock()

    def carry(some: list[int]) -> list[int]:
        with lock:
            together.add(threading.get_ident())
            most.append(len(some))
        time.sleep(0.002)
        return [n * 2 for n in some]

    assert sorted(flow.each(numbers(20, 25, []), carry)) == [n * 2 for n in range(500)]
    assert len(together) == 4
    assert max(most) == 10
    assert threading.get_ident() not in together


def test_it_takes_no_more_than_it_can_send(flow):
    """Who takes the answers slowly is not run over: pages stay where they are."""
    taken: list[int] = []
    answers = flow.each(numbers(1000, 10, taken), lambda some: some)
    for _ in range(50):
        next(answers)
    time.sleep(0.05)
    assert len(taken) < 40
    answers.close()


def test_a_fault_ends_it_and_another_begins_afresh(flow):
    def carry(some: list[int]) -> list[int]:
        if 77 in some:
            raise KeyError(77)
        return some

    with pytest.raises(KeyError):
        list(flow.each(numbers(20, 10, []), carry))
    assert len(list(flow.each(numbers(2, 10, []), lambda some: some))) == 20


def test_one_within_another(flow):
    """Asking about some of the answers while the rest is under way."""
    found = [sum(flow.each(iter([[n]]), lambda some: some)) for n in flow.each(numbers(3, 5, []), lambda some: some)]
    assert sorted(found) == list(range(15))


def test_throttled_it_sends_less_and_held_nothing(flow):
    active: list[int] = []
    seen: list[int] = []
    lock = threading.Lock()

    def carry(some: list[int]) -> list[int]:
        with lock:
            active.append(1)
            seen.append(len(active))
        time.sleep(0.002)
        with lock:
            active.pop()
        return some

    began = flow.began()
    flow.throttled(began)
    flow.throttled(began)  # of the same time: it says nothing new
    assert sorted(flow.each(numbers(10, 20, []), carry)) == list(range(200))
    assert max(seen) == 2
    waits = object()
    flow.hold(waits)
    answers = flow.each(numbers(1, 5, []), carry)
    threading.Timer(0.05, flow.release, (waits,)).start()
    began_at = time.monotonic()
    assert sorted(answers) == list(range(5))
    assert time.monotonic() - began_at > 0.04


# Lists in sessions


@dataclass
class Line:
    """A channel: three pages of a list, and ``breaks`` after so many."""

    breaks: int | None = None
    warning: str = ""
    usable: bool = True
    closed: bool = False
    columns: Sequence[str] = ()

    def pipeline(self, cmdlet: Cmdlet, sends: Sequence[str]) -> Came:
        return Came()

    def pages(self, cmdlet: Cmdlet, columns: Sequence[str], came: Came) -> Iterator[list[dict[str, object]]]:
        self.usable, self.columns = False, columns
        for page in range(3):
            if page == self.breaks:
                came.broken = Unreachable("gone", may_have_happened=True, service="remoting")
                return
            yield [{"Name": f"{page}{row}"} for row in "ab"]
        self.usable = True
        if self.warning:
            came.warnings.append(Record(self.warning))

    def close(self) -> None:
        self.closed = True


@dataclass
class Passing:
    token: str = "t"
    expires_on: int = 10_000


def sessions(*lines: Line) -> tuple[Sessions, list[Line]]:
    waiting, opened = list(lines), list[Line]()

    def opens() -> Line:
        opened.append(waiting.pop(0) if waiting else Line())
        return opened[-1]

    found = Sessions(opens, lambda: (Passing(), "x"), where="here", environment="O365Default", now=lambda: 0.0)
    return found, opened


LISTED = Cmdlet("Get-Mailbox", {"ResultSize": "Unlimited"})


def test_lists_share_a_session_unless_they_are_at_the_same_time():
    held, opened = sessions()
    assert [len(page) for page in held.pages(LISTED, ("Name",))] == [2, 2, 2]
    assert [len(page) for page in held.pages(LISTED)] == [2, 2, 2]
    assert len(opened) == 1
    one, other = held.pages(LISTED), held.pages(LISTED)
    next(one), next(other)
    assert len(opened) == 2
    held.close()
    assert all(line.closed for line in opened)


def test_a_list_that_broke_begins_anew_in_another_session():
    held, opened = sessions(Line(breaks=1))
    pages = held.pages(LISTED)
    assert next(pages)[0] == {"Name": "0a"}
    with pytest.raises(Unreachable):
        next(pages)
    assert opened[0].closed
    assert [page[0]["Name"] for page in pages] == ["0a", "1a", "2a"]
    assert next(iter(pages), None) is None
    assert len(opened) == 2


def test_who_leaves_a_list_early_leaves_no_session_behind():
    held, opened = sessions()
    pages = held.pages(LISTED)
    next(pages)
    pages.close()
    assert opened[0].closed


def test_a_list_that_says_it_is_not_whole_is_an_error():
    held, _ = sessions(Line(warning="There are more results available than are currently displayed."))
    with pytest.raises(CloudError, match="more results") as caught:
        list(held.pages(LISTED))
    assert caught.value.code == "CutShort"


def test_an_audit_loads_reads_alone_and_nobody_else_needs_its_own():
    assert all(name.startswith(("Get-", "Search-")) for name in READS)
    assert {"Get-MailboxPermission", "Search-UnifiedAuditLog", "Get-ApplicationAccessPolicy"} <= set(READS)
    assert not {name for name, spec in CMDLETS.items() if spec.audits} & set(OURS)
    assert all(spec.role for spec in CMDLETS.values() if spec.audits)


# A tenant of a few rows, by hand


@dataclass
class Few:
    """A remoting: permission rows by mailbox and user, and whom Get-User knows. ``asked`` is every cmdlet with its items."""

    rows: dict[str, list[str]]
    filtered: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    people: tuple[str, ...] = ()
    orphans: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()  # mailboxes of which questions are not answered
    asked: list[tuple[str, int]] = field(default_factory=list)

    def run(self, cmdlet: Cmdlet, items: Sequence[Item] = ()) -> Iterator[Answer]:
        self.asked.append((str(cmdlet), len(items)))
        for item in items:
            users = self.rows[item.send]
            plain = "IncludeUnresolvedPermissions" in cmdlet.parameters and "User" not in cmdlet.parameters
            if item.send in self.refuses and not plain:
                yield Failed(Throttled("later", service="remoting"))
                continue
            if "User" in cmdlet.parameters:
                users = self.filtered.get((item.send, str(cmdlet.parameters["User"])), [])
            if "IncludeUnresolvedPermissions" not in cmdlet.parameters:
                users = [user for user in users if user not in self.orphans]
            yield Rows(tuple({"Identity": item.send, "User": user, "AccessRights": ("FullAccess",)} for user in users))

    def pages(self, cmdlet: Cmdlet, columns: Sequence[str] = ()) -> Any:
        self.asked.append((str(cmdlet), 0))
        assert cmdlet.name in ("Get-User", "Get-Recipient")
        found = [{"DisplayName": name} for name in self.people]  # everybody: nobody of that name may be there
        return Restarting(lambda: iter([found]))


def boxes(*names: str) -> list[Listed]:
    return [Listed(MailboxId(name), Address(f"{name}@contoso.com"), name, "user", name) for name in names]


def answered(few: Few, entries: Sequence[Entry], *names: str) -> list[Held]:
    one = Census(few, Pieces(most=10, least=10, flights=1))
    found = list(one.permissions(iter([boxes(name) for name in names]), "user", entries))
    one.close()
    assert len(found) == len(names)
    return found


def read(few: Few, entries: Sequence[Entry], *names: str) -> dict[str, tuple[list[str], int]]:
    """By mailbox: whose grants, and how many people."""
    found = answered(few, entries, *names)
    assert [held.error for held in found] == [None] * len(names)
    return {held.mailbox.identity: ([grant.entry for grant in held.grants], held.people) for held in found}


def test_a_name_that_a_person_bears_is_asked_about_row_by_row():
    """Robin the application on one mailbox, Robin the person on another: Exchange's own filter tells."""
    robin = entry("Robin", "robin-app", "app-9")
    few = Few({"a": ["Robin"], "b": ["Robin"]}, {("a", "object-robin-app"): ["Robin"]}, people=("Pat", "Robin"))
    assert read(few, [robin], "a", "b") == {"a": (["robin-app"], 0), "b": ([], 1)}


def test_a_name_that_nobody_else_bears_is_asked_about_once():
    lone = entry("Lone App", "lone", "app-3")
    few = Few({name: ["Lone App"] for name in "abcdef"}, people=("Pat",))
    assert read(few, [lone], *"abcdef") == dict.fromkeys("abcdef", (["lone"], 0))
    assert len([text for text, _ in few.asked if text.startswith("Get-User")]) == 1
    assert not [text for text, _ in few.asked if " -User " in text]


def test_a_sid_is_asked_about_once():
    """An orphan is told by its not showing where unresolved ones are not asked for; another by each application's filter."""
    lone, crm = entry("Lone App", "lone", "app-3"), entry("Other", "crm3", "app-8")
    gone, alive = "S-1-5-21-4-4-4-4", "S-1-5-21-5-5-5-5"
    few = Few(
        {"a": [gone], "b": [alive], "c": [gone], "d": [alive]},
        {("b", "object-lone"): [alive], ("b", "object-crm3"): ["NT AUTHORITY\\SELF", alive]},  # not honoured
        orphans=(gone,),
    )
    expected = {"a": ([""], 0), "b": (["lone"], 0), "c": ([""], 0), "d": (["lone"], 0)}
    assert read(few, [lone, crm], *"abcd") == expected
    # In one request or two, as the pieces came: each SID once, and by each application's filter the one that is no orphan.
    asked = [(" -User " in text, count) for text, count in few.asked if "IncludeUnresolved" not in text]
    assert sum(count for filtered, count in asked if not filtered) == 2
    assert [count for filtered, count in asked if filtered] == [1, 1]


def test_nothing_is_concluded_from_no_answer():
    """A question about a SID, or about a name that others bear, was refused: those mailboxes are not read, no other."""
    robin = entry("Robin", "robin-app", "app-9")
    few = Few({"a": ["S-1-5-21-4-4-4-4"], "b": ["pat@contoso.com"]}, refuses=("a",))
    assert {held.mailbox.identity: type(held.error).__name__ for held in answered(few, [robin], "a", "b")} == {
        "a": "Throttled", "b": "NoneType"}  # fmt: skip
    few = Few({"a": ["Robin"], "b": ["Robin"]}, {("b", "object-robin-app"): ["Robin"]}, ("Robin",), refuses=("a",))
    assert {held.mailbox.identity: type(held.error).__name__ for held in answered(few, [robin], "a", "b")} == {
        "a": "Throttled", "b": "NoneType"}  # fmt: skip


@dataclass
class Shows(Few):
    """One that answers every list with the same rows."""

    listed: tuple[tuple[str, str], ...] = ()

    def pages(self, cmdlet: Cmdlet, columns: Sequence[str] = ()) -> Any:
        rows = [{"Identity": box, "Trustee": who, "AccessRights": ("SendAs",)} for box, who in self.listed]
        return Restarting(lambda: iter([[row] for row in rows]))


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ((("A", "Robin"), ("b", "ROBIN")), ["a", "b"]),  # the filter was honoured
        ((("a", "Robin"), ("b", "pat@contoso.com")), []),  # it was not: Robin may be anybody
        ((("a", "pat@contoso.com"), ("b", "pat@contoso.com")), []),
        ((("a", "pat@contoso.com"), ("b", "robin-app"), ("c", "Robin")), ["b"]),
        ((("a", "S-1-5-21-1-1-1-1"),), ["a"]),
        ((("a", "NT AUTHORITY\\SELF"), ("b", "NT AUTHORITY\\SELF")), []),
    ],
)
def test_who_may_send_as(listed, found):
    """Rows are believed by their form, or where the filter shows one trustee alone who can be the one asked for."""
    robin = entry("Robin", "robin-app", "app-9")
    one = Census(Shows({}, listed=listed))
    assert [recipient for recipient, _ in one.send_as(robin)] == found


# Whom a row names


def entry(name: str, identity: str, app: str, *more: str) -> Entry:
    forms = frozenset({identity, app, f"object-{identity}", *more})
    return Entry(AppId(app), ClaimedObjectId(f"object-{identity}"), name, identity, forms)


CRM = entry("CRM", "crm", "app-1", "s-1-5-21-9-9-9-9")
AGAIN = entry("CRM", "crm2", "app-1")
DESK = entry("Desk", "desk", "app-2")
SID = "S-1-5-21-1-1-1-1"


@pytest.mark.parametrize(
    ("shown", "sid", "kind", "whose"),
    [
        ("NT AUTHORITY\\SELF", "S-1-5-10", "self", ""),
        ("OBJECT-desk", "", "entry", "desk"),
        ("app-2", "", "entry", "desk"),
        ("app-1", "", "entry", "crm"),  # two entries of one application: the first
        ("S-1-5-21-9-9-9-9", "", "entry", "crm"),
        ("somebody shown otherwise", "S-1-5-21-9-9-9-9", "entry", "crm"),
        (SID, SID, "which-sid", ""),
        ("S-1-5-18", "S-1-5-18", "somebody", ""),
        ("desk", "", "entry", "desk"),
        ("DESK ", "", "entry", "desk"),
        ("CRM", "", "entry", "crm"),
        ("pat@contoso.com", SID, "somebody", ""),
        ("0f8fad5b-d9cb-469f-a165-70867728950e", "", "nobody", ""),
        ("", "", "nobody", ""),
    ],
)  # fmt: skip
def test_whom_a_row_names(shown, sid, kind, whose):
    found = Bearers((DESK, AGAIN, CRM)).judge(shown, sid)
    assert (found.kind, found.entry) == (kind, whose)


def test_names_and_sids_are_asked_about_once():
    lone = entry("Lone App", "lone", "app-3")
    bearers = Bearers((lone, CRM))
    assert bearers.judge("lone app").kind == "which-name"
    assert bearers.unnamed(["lone app"]) == ["lone app"]
    bearers.name_is("lone app", borne=False)
    assert bearers.judge("Lone App").entry == "lone"
    assert bearers.unnamed(["lone app"]) == []
    bearers.name_is("lone app", borne=True)
    assert bearers.judge("Lone App").kind == "which-row"
    assert bearers.unasked([SID.lower()]) == [SID.lower()]
    assert [one.identity for one in bearers.without_sid()] == ["crm", "lone"]
    bearers.sid_is(SID.lower(), lone)
    assert bearers.judge(SID).entry == "lone"
    assert [one.identity for one in bearers.without_sid()] == ["crm"]
    bearers.sid_is_nobodys("s-1-5-21-2-2-2-2")
    assert bearers.judge("S-1-5-21-2-2-2-2").kind == "nobody"


def test_a_row_that_names_an_application_teaches_its_sid():
    bearers = Bearers((DESK,))
    assert bearers.judge("object-desk", SID).entry == "desk"
    assert bearers.judge(SID).entry == "desk"


def test_a_form_that_two_applications_share_is_nobodys_proof():
    bearers = Bearers((entry("A", "a", "app-a", "same"), entry("B", "b", "app-b", "same")))
    assert bearers.judge("same").kind == "somebody"
