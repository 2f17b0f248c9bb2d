"""Whose row, whose error: cmdlets as data, the joining of what comes back, and the Exchange port on a fake remoting."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from exosp import tenant
from exosp.errors import CloudError, Conflict, Forbidden, Missing, NotYetVisible, Throttled, Unreachable
from exosp.exchange import CHUNK, CMDLETS, OURS, Answer, Cmdlet, Item, Online, Rows
from exosp.exchange.errors import Record, meaning
from exosp.exchange.joining import settle
from exosp.snapshot import (
    Address,
    AppId,
    Application,
    ClaimedObjectId,
    EnterpriseApplication,
    ExchangeEntry,
    Mailbox,
    MailboxId,
    NoMailbox,
    Snapshot,
)
from exosp.writes import APP_ID, ENTRY, PRINCIPAL, AddMailboxPermission, AddRecipientPermission, NewServicePrincipal
from exosp.writes import SetClientAccess as SetAccess

DATA = Path(__file__).parent / "data"
KINDS = {"SwitchParameter": "switch", "Boolean": "bool", "MultiValuedProperty": "list"}
NOT_FOUND = "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException"
PRESENT = 'The appropriate access control entry is already present on the object "CN=x" for account "y".'


@dataclass
class Came:
    """What one pipeline brings."""

    rows: Sequence[dict[str, Any]] = ()
    records: Sequence[Record] = ()
    warnings: Sequence[Record] = ()
    broken: CloudError | None = None


@dataclass
class Fake:
    """A remoting whose pipelines are answered by a function."""

    answer: Callable[[Cmdlet, list[str]], Came]
    sent: list[tuple[str, list[str]]] = field(default_factory=list)

    def run(self, cmdlet: Cmdlet, items: Sequence[Item] = ()) -> Iterator[Answer]:
        self.sent.append((str(cmdlet), [item.send for item in items]))
        came = self.answer(cmdlet, self.sent[-1][1])
        return iter(settle(cmdlet, items, came.rows, came.records, came.warnings, came.broken))


def guid(number: int, of: int = 1) -> str:
    return f"{of:08x}-0000-4000-8000-{number:012x}"


def box(number: int, **more: Any) -> dict[str, Any]:
    """A row of Get-Mailbox."""
    address = f"box{number}@contoso.com"
    return {
        "ExternalDirectoryObjectId": guid(number), "Identity": f"Box {number}", "Name": f"Box {number}",
        "Guid": guid(number, 2), "PrimarySmtpAddress": address, "UserPrincipalName": address,
        "EmailAddresses": (f"SMTP:{address}", f"smtp:alias{number}@contoso.com", "SPO:SPO_x@SPO_y"),
        "RecipientTypeDetails": "UserMailbox", "DistinguishedName": f"CN=Box {number},OU=contoso", **more,
    }  # fmt: skip


def mailbox(number: int, **more: Any) -> Mailbox:
    row = box(number, **more)
    online = Online(Fake(lambda cmdlet, sent: Came([row])))
    found = online.mailboxes([Address(row["PrimarySmtpAddress"])])[Address(row["PrimarySmtpAddress"])]
    assert isinstance(found, Mailbox)
    return found


def items(*numbers: int) -> list[Item]:
    return [Item(m.id, m.forms) for m in map(mailbox, numbers)]


def not_found(what: str, item: int | None = None, **more: Any) -> Record:
    text = (
        f"Ex6F9304|{NOT_FOUND}|The operation couldn't be performed because object '{what}' couldn't be found on 'DC1'."
    )
    return Record(text, kinds=NOT_FOUND, item=item, **more)


ADD = Cmdlet("Add-MailboxPermission", {"User": guid(7, 9), "AccessRights": ("FullAccess",)}, over="Identity")
SET = Cmdlet("Set-CASMailbox", {"ImapEnabled": True}, over="Identity")
GET = Cmdlet("Get-MailboxPermission", {"ResultSize": "Unlimited"}, over="Identity")


def granted(number: int, user: str = "someone", **more: Any) -> dict[str, Any]:
    return {"Identity": f"Box {number}", "User": user, "AccessRights": ("FullAccess",), "Deny": False, **more}


def kinds(answers: list[Answer]) -> str:
    return "".join({Rows: "R", tenant.Failed: "F", tenant.Unknown: "U"}[type(answer)] for answer in answers)


# Cmdlets as data


def test_every_cmdlet_and_parameter_is_the_vendors():
    """Each name, type and pipeline parameter that the client can send stands in the vendor's help."""
    tables = [json.loads((DATA / name).read_text())["cmdlets"] for name in ("client-cmdlets.json", "cmdlets.json")]
    help_ = tables[0] | tables[1]
    not_exchanges = {
        "Connect-Exosp",
        "Disconnect-Exosp",
        "Get-ExospCommand",
        "Get-Command",
    }  # a prepared host's own, and PowerShell's
    for name, spec in CMDLETS.items():
        if name in not_exchanges:
            continue
        known = help_[name]["parameters"]
        for parameter, kind in {**spec.parameters, **spec.audit}.items():
            type_ = known[parameter]["type"]
            wanted = KINDS.get(type_, "list" if type_.endswith("[]") else "string")
            assert ("string" if kind == "secret" else kind.removesuffix("-or-null")) == wanted, (name, parameter)
        if spec.over:
            assert known[spec.over]["pipeline"], name
            assert bool(spec.join) is not spec.alone, f"{name}: rows must be joined on something, or asked for alone"


@pytest.mark.parametrize(
    ("name", "parameters", "over"),
    [
        ("Remove-Mailbox", {}, None),
        ("Get-Mailbox", {"Filter": "x"}, None),
        ("Get-Mailbox", {"SoftDeletedMailbox": "yes"}, None),
        ("Add-MailboxPermission", {"AccessRights": "FullAccess"}, "Identity"),
        ("New-ServicePrincipal", {}, "AppId"),
        ("Get-Mailbox", {"Identity": "x"}, "Identity"),
        ("Set-CASMailbox", {"ImapEnabled": None}, "Identity"),
    ],
)
def test_what_the_table_does_not_know_is_refused(name, parameters, over):
    """An unknown cmdlet, parameter, type or pipeline input is never sent."""
    with pytest.raises((LookupError, TypeError)):
        Cmdlet(name, parameters, over)


def test_a_cmdlet_shows_no_secret():
    """Neither the text nor the repr of a cmdlet holds a token."""
    cmdlet = Cmdlet("Connect-ExchangeOnline", {"AccessToken": "eyJ0", "CommandName": OURS, "ShowBanner": False})
    assert "eyJ0" not in f"{cmdlet} {cmdlet!r} {[cmdlet]}"
    assert "-ShowBanner:$false" in str(cmdlet)
    assert f"-CommandName {OURS[0]},… ({len(OURS)} in all)" in str(cmdlet)


# Joining


def test_rows_are_joined_by_identity_and_not_by_order():
    """Rows in any order go to the mailbox they name; a mailbox without rows keeps none."""
    answers = settle(GET, items(1, 2, 3), [granted(3), granted(1), granted(1, "other")])
    assert [len(a.rows) if isinstance(a, Rows) else -1 for a in answers] == [2, 0, 1]


def test_an_every_row_answer_gives_nobody_a_strangers_row():
    """Where one identity is unknown and Get-* shows every row there is, the others keep their own, it is Unknown."""
    everything = [granted(number) for number in range(1, 40)]
    asked = [*items(1, 2), Item(guid(99), frozenset({"box 99"}))]
    answers = settle(GET, asked, everything)
    assert kinds(answers) == "RRU"
    assert {row["Identity"] for a in answers if isinstance(a, Rows) for row in a.rows} == {"Box 1", "Box 2"}


def test_a_row_that_names_two_mailboxes_is_nobodys():
    """One mailbox named as the other's alias: neither gets the row, both are Unknown, a third is not touched."""
    two = [Item("a", frozenset({"sales", "a@x.com"})), Item("b", frozenset({"b@x.com", "sales"}))]
    answers = settle(GET, [*two, *items(3)], [{"Identity": "Sales"}, granted(3)])
    assert kinds(answers) == "UUR"


def test_a_name_does_not_beat_an_id():
    """A row whose id is another mailbox's is not taken for its name's sake, nor for lack of a match."""
    get = Cmdlet("Get-CASMailbox", {}, over="Identity")
    stranger = {"ExternalDirectoryObjectId": guid(50), "Name": "Box 1", "ImapEnabled": True}
    assert kinds(settle(get, items(1), [stranger])) == "U"


@pytest.mark.parametrize("late", range(11))
def test_an_error_up_to_ten_items_late_is_the_named_ones(late):
    """Batched by ten, an error surfaces while a later item is processed: its text says whose it is."""
    asked = items(*range(1, 21))
    rows = [granted(number) for number in range(1, 21) if number != 4]
    answers = settle(ADD, asked, rows, [not_found(guid(4), item=4 + late)])
    assert kinds(answers) == "RRRF" + "R" * 16


@pytest.mark.parametrize("item", [2, 3, 15, 20])
def test_text_and_number_that_contradict_each_other_blame_nobody(item):
    """The text names the fourth, the number an earlier item or one more than ten later: Unknown, and only who has no row."""
    rows = [granted(number) for number in range(1, 21) if number not in (4, 9)]
    answers = settle(ADD, items(*range(1, 21)), rows, [not_found(guid(4), item=item)])
    assert [n for n, a in enumerate(answers, 1) if isinstance(a, tenant.Unknown)] == [4, 9]
    assert not any(isinstance(answer, tenant.Failed) for answer in answers)


def test_a_number_alone_is_believed_only_with_the_rows_behind_it():
    """A text that names nobody: the number counts if one item alone shows no row within its reach, else nobody is blamed."""
    said = Record("The specified mailbox doesn't exist.", kinds=NOT_FOUND, item=3)
    assert kinds(settle(ADD, items(1, 2, 3, 4), [granted(1), granted(2), granted(4)], [said])) == "RRFR"
    assert kinds(settle(ADD, items(1, 2, 3, 4), [granted(1), granted(4)], [said])) == "RUUR"
    assert kinds(settle(ADD, items(1, 2, 3, 4), [granted(1), granted(2), granted(3)], [said])) == "RRRU"


def test_a_cmdlet_that_shows_nothing_blames_by_name_alone():
    """Set-CASMailbox shows no row: a number alone makes everyone Unknown, a name with its number one Failed."""
    nameless = Record("It did not work.", item=2)
    assert kinds(settle(SET, items(1, 2, 3), [], [nameless])) == "UUU"
    assert kinds(settle(SET, items(1, 2, 3), [], [not_found(guid(2), item=2)])) == "RFR"


def test_the_trustee_is_not_taken_for_a_mailbox():
    """An error that names the trustee, itself a mailbox of the same pipeline, is not the trustee's."""
    cmdlet = Cmdlet("Add-RecipientPermission", {"Trustee": guid(1), "AccessRights": ("SendAs",)}, over="Identity")
    rows = [{"Identity": "Box 1", "Trustee": "x"}, {"Identity": "Box 3", "Trustee": "x"}]
    answers = settle(cmdlet, items(1, 2, 3), rows, [not_found(guid(1), item=2)])
    assert kinds(answers) == "RFR"
    for name in (guid(1), "box1@contoso.com", "Box 1"):
        answers = settle(cmdlet, items(1, 2, 3), [], [not_found(name, item=2)])
        assert kinds(answers) == "UUU"


def test_as_many_identical_errors_as_items_left():
    """A trustee that has not replicated fails each item in the same words: each has one, and it is worth waiting."""
    trustee = guid(7, 9)
    records = [not_found(trustee, item=None) for _ in range(2)]
    answers = settle(ADD, items(1, 2, 3), [granted(2)], records)
    assert kinds(answers) == "FRF"
    assert all(isinstance(a.error, NotYetVisible) for a in answers if isinstance(a, tenant.Failed))


def test_a_row_and_an_error_contradict_each_other():
    """An item that shows both a row and an error of its own is Unknown."""
    assert kinds(settle(ADD, items(1, 2), [granted(1), granted(2)], [not_found(guid(1), item=1)])) == "UR"


def test_a_terminating_error_leaves_the_rest_unknown():
    """What comes after a terminating error was never tried: Unknown, not done and not failed."""
    ended = not_found(guid(2), item=None, terminating=True)
    assert kinds(settle(ADD, items(1, 2, 3), [granted(1)], [ended])) == "RFU"
    assert kinds(settle(SET, items(1, 2, 3), [], [ended])) == "UFU"


def test_a_broken_channel_keeps_what_came():
    """Rows that came before a drop count; the rest carries the channel's error."""
    drop = Unreachable("gone", may_have_happened=True, service="remoting")
    answers = settle(ADD, items(1, 2), [granted(2)], broken=drop)
    assert kinds(answers) == "FR"
    assert answers[0] == tenant.Failed(drop)


@pytest.mark.parametrize(
    "name",
    ["couldn't be found", "it is not recognized as the name of a cmdlet", "already exists", "429", "token has expired",
     "', 'box1@contoso.com'", "access is denied", "box1@contoso.com", "CommandNotFoundException", "_x0027_"],
)  # fmt: skip
def test_hostile_names_change_nothing(name):
    """A mailbox named like an error, or like another mailbox's address, moves no error and changes no meaning."""
    asked = [*items(1, 2), Item(guid(3), frozenset({name.lower(), "box3@contoso.com"}))]
    record = Record(f"The object '{name}' is odd.", kinds="OddException", item=3)
    answers = settle(ADD, asked, [granted(1), granted(2)], [record])
    assert kinds(answers)[:2] == "RR"
    failed = [a.error for a in answers if isinstance(a, tenant.Failed)]
    assert all(type(error) is CloudError for error in failed)


def test_a_common_word_for_a_name_takes_no_error():
    """A mailbox named by a word that errors are made of is not named by them: only in quotation marks it would be."""
    asked = [Item(guid(1), frozenset({"object", "operation", "dc"})), *items(2, 3)]
    assert kinds(settle(SET, asked, [], [not_found(guid(3), item=3)])) == "RRF"
    assert kinds(settle(SET, asked, [], [not_found("Object", item=3)])) == "FRR"


@pytest.mark.parametrize(
    ("text", "class_", "error", "says"),
    [
        ("The term 'Add-MailboxPermission' is not recognized as the name of a cmdlet, function, script file, or operable "
         "program.", "CommandNotFoundException", Forbidden, "Mail Recipients"),
        ("The term 'x' is not recognized as a name of a cmdlet", "", Forbidden, "Mail Recipients"),
        ("The role assigned to application x isn't supported in this scenario.", "", Forbidden, "Exchange Administrator"),
        ("No ServicePrincipal with Object Id 'x' is registered", "AADServicePrincipalNotFound", NotYetVisible, ""),
        ("The operation couldn't be performed because 'x' matches multiple entries.",
         "ManagementObjectAmbiguousException", Conflict, "primary address"),
        ("The object x already exists.", "", Conflict, ""),
        ("This operation isn't currently allowed in your organization.", "", CloudError, "Enable-OrganizationCustomization"),
        ("UnAuthorized", "", Forbidden, "ManageAsApp"),
        ("The access token has expired.", "", Forbidden, "sign in again"),
        ("The server is busy, retry after 17 seconds", "", Throttled, ""),
        ("The specified mailbox doesn't exist.", NOT_FOUND, Missing, ""),
        ("Something nobody knows", "StrangeException,Microsoft.Exchange", CloudError, ""),
    ],
)  # fmt: skip
def test_what_error_records_mean(text, class_, error, says):
    """Each symptom of the table becomes its error, with a hint that says what to do."""
    found = meaning(Record(text, kinds=class_), ADD).error
    assert type(found) is error
    assert says in found.hint
    assert found.service == "remoting"
    assert "Add-MailboxPermission" in found.where
    if isinstance(found, Throttled):
        assert found.after == 17


def test_a_missing_cmdlet_concerns_the_whole_pipeline():
    """A cmdlet the caller may not run fails every item, with one error."""
    record = Record("The term is not recognized", kinds="CommandNotFoundException", terminating=True)
    answers = settle(ADD, items(1, 2), [], [record])
    assert kinds(answers) == "FF"


# The port: reads

APP = "aaaaaaaa-0000-4000-8000-000000000001"


def principal(number: int, app: str) -> dict[str, Any]:
    return {"AppId": app.upper(), "ObjectId": guid(number, 9), "DisplayName": f"App {number}", "Identity": guid(number, 8),
            "Name": guid(number, 8), "Guid": guid(number, 7), "Sid": f"S-1-5-{number}"}  # fmt: skip


@pytest.mark.parametrize("answer", ["every row", "error", "its own"])
def test_entries_are_filtered_here(answer):
    """Whether an unknown AppId is answered with every row or with an error, only its own entries are believed."""
    everything = [principal(number, guid(number, 5)) for number in range(2, 6)]
    came = {
        "every row": Came(everything),
        "error": Came(records=[not_found(APP)]),
        "its own": Came([*everything, principal(1, APP)]),
    }[answer]
    found = Online(Fake(lambda cmdlet, sent: came)).entries(APP)
    assert [entry.object_id for entry in found] == ([guid(1, 9)] if answer == "its own" else [])
    if found:
        row = principal(1, APP)
        del row["DisplayName"]  # others may bear it
        assert found[0].forms == {str(value).lower() for value in row.values()}


def tenant_of(*rows: dict[str, Any], lenient: bool, also: dict[str, Came] | None = None) -> Fake:
    """Get-Mailbox over these rows; an unknown identity shows every row, or an error."""

    def answer(cmdlet: Cmdlet, sent: list[str]) -> Came:
        key = cmdlet.name + "".join(f" -{n}" for n in cmdlet.parameters if n.endswith("Mailbox"))
        if also and key in also:
            return also[key]
        if key != "Get-Mailbox":
            return Came(records=[not_found(one, item=n) for n, one in enumerate(sent, 1)])
        shown, records = [], []
        for number, one in enumerate(sent, 1):
            mine = [r for r in rows if any(one.lower() in str(a).lower().split(":") for a in r["EmailAddresses"])]
            shown += mine or (rows if lenient else [])
            records += [] if mine or lenient else [not_found(one, item=number)]
        return Came(shown, records)

    return Fake(answer)


@pytest.mark.parametrize("lenient", [True, False])
def test_mailboxes_are_found_by_address(lenient):
    """Primary, alias, other case: one mailbox; an address nobody has is absent, under both documented behaviours."""
    fake = tenant_of(box(1), box(2, RecipientTypeDetails="SharedMailbox"), lenient=lenient)
    asked = [Address(a) for a in ("BOX1@contoso.com", "alias1@contoso.com", "box2@contoso.com", "nobody@contoso.com")]
    found = Online(fake).mailboxes(asked)
    assert list(found) == asked
    one, alias, two, nobody = found.values()
    assert isinstance(one, Mailbox)
    assert isinstance(two, Mailbox)
    assert one == alias
    assert (one.id, one.kind, two.kind) == (guid(1), "user", "shared")
    assert one.addresses == {"box1@contoso.com", "alias1@contoso.com"}
    assert nobody == NoMailbox(Address("nobody@contoso.com"), "absent")


def test_one_pipeline_where_all_are_mailboxes():
    """Resolving any number of addresses up to a chunk costs one pipeline, and one more a chunk."""
    rows = [box(number) for number in range(CHUNK + 1)]
    online = Online(tenant_of(*rows, lenient=True))
    online.mailboxes([Address(row["PrimarySmtpAddress"]) for row in rows[:CHUNK]])
    assert online.requests == 1
    online.mailboxes([Address(row["PrimarySmtpAddress"]) for row in rows])
    assert online.requests == 3


@pytest.mark.parametrize(
    ("also", "reason"),
    [
        ({"Get-Recipient": Came([{"PrimarySmtpAddress": "x@contoso.com", "RecipientTypeDetails": "MailUser"}])}, "mail-user"),
        ({"Get-Recipient": Came([{"EmailAddresses": ("SMTP:x@contoso.com",), "RecipientTypeDetails": "GroupMailbox"}])},
         "group"),
        ({"Get-Mailbox -SoftDeletedMailbox": Came([box(9, PrimarySmtpAddress="x@contoso.com")])}, "soft-deleted"),
        ({"Get-Mailbox -GroupMailbox": Came([box(9, PrimarySmtpAddress="x@contoso.com")])}, "group"),
        ({"Get-Recipient": Came([{"PrimarySmtpAddress": "x@contoso.com", "RecipientTypeDetails": "MailContact"}])}, "absent"),
        ({"Get-Mailbox": Came([box(1, PrimarySmtpAddress="x@contoso.com"), box(2, PrimarySmtpAddress="X@contoso.com")])},
         "ambiguous"),
        ({"Get-Mailbox": Came(records=[Record("more than one", kinds="ManagementObjectAmbiguousException")])}, "ambiguous"),
        ({"Get-Mailbox": Came([box(1, PrimarySmtpAddress="x@contoso.com", ExternalDirectoryObjectId="")])}, "unreadable"),
        ({"Get-Mailbox": Came(records=[Record("odd", kinds="OddException")])}, "unreadable"),
    ],
)  # fmt: skip
def test_every_address_that_is_no_mailbox_has_its_reason(also, reason):
    """Mail user, group, soft-deleted, ambiguous, unreadable, absent: told apart, whatever else Get-* shows."""
    online = Online(tenant_of(box(1), box(2), lenient=True, also=also))
    found = online.mailboxes([Address("x@contoso.com")])[Address("x@contoso.com")]
    assert isinstance(found, NoMailbox)
    assert found.reason == reason


def test_a_mailbox_named_like_an_address_is_not_that_address():
    """Only addresses identify: a mailbox whose name is somebody's address is not found by it."""
    hostile = box(1, Name="support@contoso.com", Identity="support@contoso.com", DisplayName="support@contoso.com")
    online = Online(tenant_of(box(2), lenient=True, also={"Get-Mailbox": Came([hostile])}))
    assert isinstance(online.mailboxes([Address("support@contoso.com")])[Address("support@contoso.com")], NoMailbox)


@pytest.mark.parametrize("form", ["ObjectId", "AppId", "Identity", "Name", "Guid", "Sid"])
def test_a_permission_row_may_name_the_application_in_any_form(form):
    """Whichever form a row's User has, in whatever case, it is among the entry's forms, and costs no further read."""
    row = principal(1, APP)
    rows = [granted(1, "NT AUTHORITY\\SELF"), granted(1, str(row[form]).upper())]
    online = Online(Fake(lambda cmdlet, sent: Came([row] if cmdlet.name == "Get-ServicePrincipal" else rows)))
    (entry,) = online.entries(APP)
    (_, mine) = online.permissions([mailbox(1)])
    assert mine.user in entry.forms
    assert mine.rights == {"FullAccess"}
    assert mine.mailbox == guid(1)
    assert online.requests == 2


@pytest.mark.parametrize("shows", ["App 1", "S-1-5-21-1-2-3-4"])
@pytest.mark.parametrize("filter_", ["honoured", "ignored", "refused"])
@pytest.mark.parametrize("mine", [True, False])
def test_a_form_that_may_be_anothers_is_confirmed_by_exchange(shows, filter_, mine):
    """A display name or an unknown SID is ours only where Exchange's own filter says so: a namesake's grant is not ours,
    and a filter that is not honoured proves nothing."""
    row = principal(1, APP)
    del row["Sid"]
    rows = [granted(1, "NT AUTHORITY\\SELF"), granted(1, shows)]

    def answer(cmdlet: Cmdlet, sent: list[str]) -> Came:
        if cmdlet.name == "Get-ServicePrincipal":
            return Came([row])
        if "User" not in cmdlet.parameters or filter_ == "ignored":
            return Came(rows)
        assert cmdlet.parameters["User"] == row["ObjectId"]
        if filter_ == "refused":
            return Came(records=[not_found(str(row["ObjectId"]))])
        return Came(rows[1:] if mine else [])

    online = Online(Fake(answer))
    (entry,) = online.entries(APP)
    (_, found) = online.permissions([mailbox(1)])
    assert (found.user in entry.forms) == (mine and filter_ == "honoured")
    before = online.requests
    online.permissions([mailbox(1)])
    learnt = shows.startswith("S-") and filter_ == "honoured"
    assert online.requests - before == (1 if learnt else 2)


@pytest.mark.parametrize(
    "rights", [("FullAccess", "ReadPermission"), "FullAccess, ReadPermission", "{FullAccess, ReadPermission}",
               ("FullAccess, ReadPermission",)],
)  # fmt: skip
def test_rights_in_every_form(rights):
    """AccessRights as an array, as one text or as a formatted one read alike; Deny and IsInherited are kept."""
    rows = [granted(1, AccessRights=rights) | {"Deny": "True", "IsInherited": True}]
    (row,) = Online(Fake(lambda cmdlet, sent: Came(rows))).permissions([mailbox(1)])
    assert (row.rights, row.deny, row.inherited) == ({"FullAccess", "ReadPermission"}, True, True)


def test_what_is_unclear_in_a_batch_is_read_alone():
    """Two mailboxes that one row could mean are read one by one, and each gets its own."""
    boxes = [mailbox(1, Alias="sales"), mailbox(2, Name="sales", Identity="sales"), mailbox(3)]

    def answer(cmdlet: Cmdlet, sent: list[str]) -> Came:
        names = {guid(1): "Box 1", guid(2): "sales", guid(3): "Box 3"}
        return Came([{"Identity": names[one], "User": one, "AccessRights": "FullAccess"} for one in sent])

    online = Online(Fake(answer))
    assert [(row.mailbox, row.user) for row in online.permissions(boxes)] == [(guid(n), guid(n)) for n in (1, 2, 3)]
    assert online.requests == 3


def test_what_stays_unclear_is_an_error_that_names_the_mailbox():
    """A mailbox whose rows cannot be told from all others stops the read, by name, rather than show it without grants."""
    everything = [granted(number) for number in range(10, 20)]
    with pytest.raises(CloudError, match=r"box1@contoso\.com"):
        Online(Fake(lambda cmdlet, sent: Came(everything))).permissions([mailbox(1)])


def test_client_access_and_transport():
    """Switches are read as they are; SMTP AUTH that follows the tenant is None; a mailbox without a row is an error."""
    rows = [
        {"ExternalDirectoryObjectId": guid(1), "ImapEnabled": True, "PopEnabled": False,
         "SmtpClientAuthenticationDisabled": None},
        {"PrimarySmtpAddress": "box2@contoso.com", "ImapEnabled": "False", "PopEnabled": "True",
         "SmtpClientAuthenticationDisabled": True},
    ]  # fmt: skip
    found = Online(Fake(lambda cmdlet, sent: Came(rows))).client_access([mailbox(1), mailbox(2)])
    one, two = found[MailboxId(guid(1))], found[MailboxId(guid(2))]
    assert (one.imap, one.pop, one.smtp_auth_disabled) == (True, False, None)
    assert (two.imap, two.pop, two.smtp_auth_disabled) == (False, True, True)
    with pytest.raises(Missing, match="box3"):
        Online(Fake(lambda cmdlet, sent: Came())).client_access([mailbox(3)])
    on = Came([{"SmtpClientAuthenticationDisabled": True}])
    assert Online(Fake(lambda cmdlet, sent: on)).transport().smtp_auth_disabled is True
    with pytest.raises(CloudError, match="SmtpClientAuthenticationDisabled"):
        Online(Fake(lambda cmdlet, sent: Came([{}]))).transport()


def test_recipient_permissions_are_send_as_alone():
    """Only SendAs rows count, allow and deny."""
    rows = [
        {"Identity": "Box 1", "Trustee": "App 1", "AccessRights": ("SendAs",), "AccessControlType": "Allow"},
        {"Identity": "Box 1", "Trustee": "Other", "AccessRights": ("SendAs",), "AccessControlType": "Deny"},
        {"Identity": "Box 1", "Trustee": "Third", "AccessRights": ("ReadProperty",), "AccessControlType": "Allow"},
    ]
    found = Online(Fake(lambda cmdlet, sent: Came(rows))).recipient_permissions([mailbox(1)])
    assert [(row.trustee, row.deny) for row in found] == [("app 1", False), ("other", True)]


# The port: writes


def seen(*boxes: Mailbox) -> Snapshot:
    application = Application("ffffffff-0000-4000-8000-000000000009", APP, "App", "exosp-app", "AzureADMyOrg")
    entry = ExchangeEntry(APP, guid(1, 9), "App", "App", frozenset())
    return Snapshot(
        application=application,
        principal=EnterpriseApplication(guid(1, 9), APP, "App"),
        entries=(entry,),
        mailboxes={box.address: box for box in boxes},
    )


def test_new_service_principal_sends_the_enterprise_applications_id():
    """The cmdlet gets the principal's object ID and never the application's own; its row becomes the entry."""
    fake = Fake(lambda cmdlet, sent: Came([principal(1, APP)]))
    write = NewServicePrincipal(APP_ID, PRINCIPAL, "App")
    ((_, answer),) = Online(fake).send([write], seen())
    assert fake.sent == [(f"New-ServicePrincipal -AppId {APP} -ObjectId {guid(1, 9)} -DisplayName App", [])]
    assert isinstance(answer, tenant.Done)
    assert isinstance(answer.seen, ExchangeEntry)


def test_writes_are_grouped_by_all_but_the_mailbox():
    """Equal switches share a pipeline, unequal ones do not; a mailbox is sent as its ExternalDirectoryObjectId."""
    boxes = [mailbox(number) for number in (1, 2, 3)]
    writes = [
        SetAccess(boxes[0].id, boxes[0].address, imap=True),
        SetAccess(boxes[1].id, boxes[1].address, smtp_auth_disabled=False),
        SetAccess(boxes[2].id, boxes[2].address, imap=True),
    ]
    fake = Fake(lambda cmdlet, sent: Came())
    answers = dict(Online(fake).send(writes, seen(*boxes)))
    assert fake.sent == [
        ("Set-CASMailbox -ImapEnabled $true", [guid(1), guid(3)]),
        ("Set-CASMailbox -SmtpClientAuthenticationDisabled $false", [guid(2)]),
    ]
    assert all(answers[write] == tenant.Done() for write in writes)


def test_add_recipient_permission_does_not_stop_to_ask():
    """Add-RecipientPermission has a built-in pause: it is always sent with -Confirm:$false."""
    one = mailbox(1)
    fake = Fake(lambda cmdlet, sent: Came([{"Identity": "Box 1", "Trustee": "App", "AccessRights": "SendAs"}]))
    writes = [AddRecipientPermission(one.id, one.address, trustee) for trustee in (ENTRY, MailboxId(guid(2)))]
    answers = list(Online(fake).send(writes, seen(one)))
    assert [text for text, _ in fake.sent] == [
        f"Add-RecipientPermission -Trustee {who} -AccessRights SendAs -Confirm:$false" for who in (guid(1, 9), guid(2))
    ]
    assert all(isinstance(answer, tenant.Done) for _, answer in answers)


def test_already_present_is_done():
    """A grant that stands already comes back as a warning and no row: done. Neither row nor warning: Unknown."""
    boxes = [mailbox(number) for number in (1, 2)]
    writes = [AddMailboxPermission(box.id, box.address, ENTRY) for box in boxes]
    warned = [Record(PRESENT), Record(PRESENT)]
    answers = [a for _, a in Online(Fake(lambda cmdlet, sent: Came(warnings=warned))).send(writes, seen(*boxes))]
    assert answers == [tenant.Done(), tenant.Done()]
    answers = [
        a for _, a in Online(Fake(lambda c, s: Came([granted(1)], warnings=warned[:1]))).send(writes, seen(*boxes))
    ]
    assert [type(a) for a in answers] == [tenant.Done, tenant.Done]
    answers = [a for _, a in Online(Fake(lambda c, s: Came(warnings=warned[:1]))).send(writes, seen(*boxes))]
    assert [type(a) for a in answers] == [tenant.Unknown, tenant.Unknown]


def test_a_lost_write_is_unknown_and_an_unsent_one_is_raised():
    """A channel that broke midway leaves writes Unknown; one that never opened raises, since nothing was sent."""
    one = mailbox(1)
    write = AddMailboxPermission(one.id, one.address, ENTRY)
    lost = Unreachable("dropped", may_have_happened=True, service="remoting")
    ((_, answer),) = Online(Fake(lambda cmdlet, sent: Came(broken=lost))).send([write], seen(one))
    assert answer == tenant.Unknown("dropped")
    unsent = Unreachable("refused", may_have_happened=False, service="remoting")
    with pytest.raises(Unreachable, match="refused"):
        list(Online(Fake(lambda cmdlet, sent: Came(broken=unsent))).send([write], seen(one)))


def test_what_was_answered_is_not_lost_to_a_later_failure():
    """A connection that goes away between two pipelines leaves the first one's answers and makes the rest Unknown."""
    boxes = [mailbox(1), mailbox(2)]
    writes = [SetAccess(boxes[0].id, boxes[0].address, imap=True), SetAccess(boxes[1].id, boxes[1].address, pop=True)]
    unsent = Unreachable("refused", may_have_happened=False, service="remoting")
    came = iter([Came(), Came(broken=unsent)])
    answers = [a for _, a in Online(Fake(lambda cmdlet, sent: next(came))).send(writes, seen(*boxes))]
    assert answers == [tenant.Done(), tenant.Unknown("refused")]


# What is asked again


@pytest.mark.parametrize(
    ("text", "class_"),
    [
        ("The operation couldn't be performed due to a change in the current set of domain controllers. Please retry.",
         "Microsoft.Exchange.Data.Directory.ADServerSettingsChangedException"),
        ("The request timed out.", "System.TimeoutException"),
        ("Service unavailable (503)", ""),
    ],
)  # fmt: skip
def test_an_error_of_the_moment_may_have_left_something(text, class_):
    """What another moment mends: read, then asked again."""
    error = meaning(Record(text, kinds=class_), ADD).error
    assert isinstance(error, Unreachable)
    assert (error.may_have_happened, error.transient) == (True, True)


def test_what_is_about_to_be_registered_is_late_and_not_missing():
    """New-ServicePrincipal names what was made a moment ago: not found means not yet, for others it means not there."""
    record = Record("The object couldn't be found.", kinds=NOT_FOUND)
    assert type(meaning(record, Cmdlet("New-ServicePrincipal", {"AppId": guid(1)})).error) is NotYetVisible
    assert type(meaning(record, Cmdlet("Get-Mailbox", {"Identity": guid(1)})).error) is Missing


@pytest.mark.parametrize("error", [Throttled("busy", service="remoting"),
                                   Unreachable("gone", may_have_happened=False, service="remoting")],
                         ids=["throttled", "unreachable"])  # fmt: skip
def test_holdings_that_got_no_answer_are_asked_for_again(error):
    """Raised for patience to repeat; only a refusal makes them unknown."""
    entry = ExchangeEntry(AppId(guid(1)), ClaimedObjectId(guid(2)), "Desk", "Desk", frozenset())
    with pytest.raises(type(error)):
        Online(Fake(lambda cmdlet, sent: Came(broken=error))).holdings(entry)
    refused = Forbidden("you may not", service="remoting")
    assert Online(Fake(lambda cmdlet, sent: Came(broken=refused))).holdings(entry).unread == "you may not"


@pytest.mark.parametrize("error", [Throttled("busy", service="remoting"),
                                   Unreachable("gone", may_have_happened=False, service="remoting")],
                         ids=["throttled", "unreachable"])  # fmt: skip
def test_addresses_that_got_no_answer_are_asked_for_again(error):
    """Raised for patience to repeat, and never taken for an address without a mailbox."""
    with pytest.raises(type(error)):
        Online(Fake(lambda cmdlet, sent: Came(broken=error))).mailboxes([Address("a@contoso.com")])


class Busy:
    """A remoting that takes one item a request and refuses some of them for now, the first time."""

    def __init__(self, *refused: str) -> None:
        self.refused, self.asked = set(refused), list[str]()

    def run(self, cmdlet, items=()):
        for item in items or (None,):
            self.asked.append(item.send if item else cmdlet.name)
            if item and item.send in self.refused:
                self.refused.discard(item.send)
                yield tenant.Failed(Throttled("busy", service="remoting"))
            else:
                yield Rows(({"PrimarySmtpAddress": item.send, "ExternalDirectoryObjectId": guid(7)},) if item else ())


def test_of_a_read_that_is_repeated_only_what_was_refused_is_asked_again():
    """With many pieces one would always be unlucky. Where anything else was asked in between, all of it is."""
    busy = Busy("b@contoso.com")
    online, boxes = Online(busy), [Address(f"{name}@contoso.com") for name in "abc"]
    with pytest.raises(Throttled):
        online.mailboxes(boxes)
    assert set(online.mailboxes(boxes)) == set(boxes)
    assert busy.asked == [*boxes, "b@contoso.com"]
    online.mailboxes(boxes)
    assert busy.asked == [*boxes, "b@contoso.com", *boxes]
    busy.refused, busy.asked = {"c@contoso.com"}, []
    with pytest.raises(Throttled):
        online.mailboxes(boxes)
    online.entries()
    online.mailboxes(boxes)
    assert busy.asked == [*boxes, "Get-ServicePrincipal", *boxes]
