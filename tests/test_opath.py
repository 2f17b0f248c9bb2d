"""Values in OPATH filters: quoted by rule, whatever they hold, and read back by an independent reading of the rule."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exosp import opath
from exosp.errors import PlaybookError
from exosp.playbook import Playbook, parse
from exosp.sandbox import recipient_filter

HERE = Path("/nowhere/playbook.yaml")
HEAD = """exosp: 1
tenant: contoso.onmicrosoft.com
app: {key: a, name: b, credential: {type: secret, valid_for: 1d, save_to: a.env}}
mailboxes: [support@contoso.com]
"""
VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NAMES = st.sampled_from(["Department", "City", "CustomAttribute7", "MemberOfGroup", "Title"])


def read_literally(text: str) -> list[str]:
    """The quoted values of a filter, character by character, as about_Quoting_Rules has it: within single quotation marks two
    of them are one, everything else is itself, and one alone ends the value."""
    values, at = [], 0
    while at < len(text):
        if text[at] != "'":
            at += 1
            continue
        value, at = "", at + 1
        while True:
            assert at < len(text), "a value is not closed"
            if text[at] != "'":
                value += text[at]
            elif text[at + 1 : at + 2] == "'":
                value += "'"
                at += 1
            else:
                break
            at += 1
        values.append(value)
        at += 1
    return values


@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4))
@example({"Department": "x' -or Alias -like '*"})
@example({"Department": "''", "City": "$(Get-Mailbox)", "Title": "')"})
def test_a_value_stays_one_value(values: dict[str, str]) -> None:
    """However it is made, a value neither ends its literal nor begins another: read literally it is itself, and what is left
    of the filter is ours."""
    text = opath.all_of(values)
    assert read_literally(text) == list(values.values())
    for value in values.values():
        text = text.replace(opath.quoted(value), "?", 1)
    joint = " -and ".join(f"({name} -eq ?)" if len(values) > 1 else f"{name} -eq ?" for name in values)
    assert text == joint


@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4))
def test_exchange_s_own_form_says_the_same(values: dict[str, str]) -> None:
    """A filter that comes back with a parenthesis around every statement is known as the same; with another value it is not."""
    text = opath.all_of(values)
    shown = recipient_filter.stored(recipient_filter.parse(text))
    assert opath.same(text, shown)
    name = next(iter(values))
    assert not opath.same(opath.all_of(values | {name: values[name] + "x"}), shown)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text breaks the reading, and what is the same is the same both ways."""
    with suppress(opath.NoFilter):
        opath.reading(text)
    assert opath.same(text, text)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Alias -eq 'a'", "(alias -EQ 'A')", True),
        ("Alias -eq 'a' -and City -eq 'b'", "((Alias -eq 'a') -and (City -eq 'b'))", True),
        ("(Alias -eq 'a' -and City -eq 'b') -and Title -eq 'c'", "((Alias -eq 'a') -and (City -eq 'b') -and (Title -eq 'c'))", True),
        ("-not(Alias -eq 'a')", "(-not((Alias -eq 'a')))", True),
        ("Alias -eq 'a'", "Alias -like 'a'", False),
        ("Alias -eq 'a' -and City -eq 'b'", "Alias -eq 'a' -or City -eq 'b'", False),
        ("(Alias -eq 'a' -or City -eq 'b') -and Title -eq 'c'", "Alias -eq 'a' -or (City -eq 'b' -and Title -eq 'c')", False),
        ("Alias -eq '$null'", "Alias -eq $null", False),
    ],
)  # fmt: skip
def test_what_is_the_same(one: str, other: str, same: bool) -> None:
    """Case, parentheses and nesting of one operator make no other filter; operator, joint and kind of value do."""
    assert opath.same(one, other) is same


def read(smtp: str, head: str = HEAD, environment: dict[str, str] | None = None) -> Playbook:
    return parse(f"{head}smtp: {smtp}\n", HERE, environment or {})


def fault(smtp: str, head: str = HEAD, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(PlaybookError) as caught:
        read(smtp, head, environment)
    return "; ".join(f"{found.what} = {found.hint}" for found in caught.value.faults)


@given(VALUES)
def test_a_variable_s_value_is_quoted(value: str) -> None:
    """What comes from a variable stands quoted in the filter, or is refused as a text; it never says anything."""
    try:
        found = read("{access: rbac, filter: {Department: '${EXOSP_VAR_TEAM}'}}", environment={"EXOSP_VAR_TEAM": value})
    except PlaybookError:
        assert value != value.strip() or not value or any(not char.isprintable() for char in value)
        return
    assert found.smtp is not None
    assert read_literally(found.smtp.value) == [value]


def test_a_variable_in_a_filter_s_text_is_refused() -> None:
    """There nobody could tell a value from an operator."""
    text = "{access: rbac, filter: \"Department -eq '${EXOSP_VAR_TEAM}'\"}"
    assert "could say more" in fault(text, environment={"EXOSP_VAR_TEAM": "a' -or Alias -like '*"})


@pytest.mark.parametrize(
    ("smtp", "says"),
    [
        ("{access: rbac}", "exactly one of `scope`, `filter` and `admin_unit`: none"),
        ("{access: rbac, scope: a@b.example, admin_unit: x}", "`scope` and `admin_unit`"),
        ("{access: claim, scope: a@b.example}", "knows no scope"),
        ("{access: both, scope: a@b.example}", "is no access for SMTP"),
        ("{scope: a@b.example}", "has no `access`"),
        ("{access: rbac, scope: Senders}", "is no mail address"),
        ("{access: rbac, admin_unit: Branch}", "is no administrative unit's id"),
        ("{access: rbac, filter: \"Alias -eq 'O'Brien'\"}", "is no filter"),
        ("{access: rbac, filter: 'Alias -eq \"a\"'}", "double quotation mark"),
        ("{access: rbac, filter: \"Alias -eq $name\"}", "is no filter"),
        ("{access: rbac, filter: \"Alias -eq 'a' -and City -eq 'b' -or City -eq 'c'\"}", "mixes -and and -or"),
        ("{access: rbac, filter: {Alias -like: x}}", "is no recipient property"),
        ("{access: rbac, filter: {}}", "is empty"),
        ("{access: rbac, filter: \"" + "(" * 60 + "Alias -eq 'a'" + ")" * 60 + "\"}", "nested too deep"),
    ],
)  # fmt: skip
def test_what_smtp_may_not_say(smtp: str, says: str) -> None:
    """Each mistake is named at its place, before anything is asked of the tenant."""
    assert says in fault(smtp)


def test_rbac_is_an_application_s_and_smtp_s() -> None:
    """With people who sign in, or where no mailbox uses SMTP, it is refused."""
    delegated = HEAD.replace(", credential: {type: secret, valid_for: 1d, save_to: a.env}", "") + "access: delegated\n"
    assert "people sign in" in fault("{access: rbac, scope: a@b.example}", delegated)
    assert "no mailbox uses it" in fault("{access: rbac, scope: a@b.example}", HEAD + "protocols: [imap]\n")
    assert read("{access: claim}").smtp is None


IDENTITY = "4d819ce9-9257-44d7-af20-68a49e6697f4"


@pytest.mark.parametrize(
    ("app", "says"),
    [
        ("{managed_identity: mail-worker}", "is no managed identity's id"),
        (f"{{managed_identity: {IDENTITY}, id: {IDENTITY}}}", "two applications"),
        (f"{{managed_identity: {IDENTITY}, credential: {{type: federated}}}}", "has no `credential`"),
    ],
)
def test_what_a_managed_identity_may_not_have(app: str, says: str) -> None:
    """A name, another id and a credential are refused; alone it needs neither key nor name nor credential."""
    lines = [line for line in HEAD.splitlines() if not line.startswith("app:")]
    with pytest.raises(PlaybookError) as caught:
        parse("\n".join([*lines, f"app: {app}"]), HERE, {})
    assert any(says in found.what for found in caught.value.faults)
    whole = "\n".join([*lines, f"app: {{managed_identity: {IDENTITY.upper()}}}"])
    found = parse(whole, HERE, {}).app
    assert (found.managed_identity, found.key, found.credential) == (IDENTITY, IDENTITY, None)
    with pytest.raises(PlaybookError) as caught:
        parse(f"{whole}\naccess: delegated", HERE, {})
    assert "nobody signs in" in caught.value.faults[0].what
