"""The audit's settings: what they say, and everything that is wrong with them, each with its place. And baselines."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from results import OVER, SET_ASIDE, check, finding, result

from exosp.audit.judge import Ignore
from exosp.audit.settings import NAMES, Settings, known, parse, read
from exosp.checks import CHECKS
from exosp.errors import Fault, PlaybookError, UsageError
from exosp.finding import Measures, Subject
from exosp.report.audit import FORMATS
from exosp.report.errors import error

FILE = Path("audit.yaml")
THERE = ("multi-tenant-without-need", "owner-missing", "unused-access")

WHOLE = """\
exosp-audit: 1
privileged: [CEO@contoso.com, "*@board.contoso.com"]
expiring: 14d
longest: 26w
unused: 12h
widest: 0
ignore:
  - check: multi-tenant-without-need
    subject: "Helpdesk *"
    reason: sold to customers, INC-4711
    until: 2027-03-31
  - {check: owner-missing, subject: b8ebd514-2bc9-56e4-84f5-a8f065160df7, reason: "${EXOSP_VAR_X} stays", until: "2027-01-01"}
"""


def faults(text: str) -> list[tuple[int, int, str, str]]:
    with pytest.raises(PlaybookError) as caught:
        parse(text, FILE, THERE)
    return [(fault.line, fault.column, fault.what, fault.hint) for fault in caught.value.faults]


def test_a_whole_file():
    """Addresses are kept in lower case; a variable is not replaced; each exception knows its line."""
    assert parse(WHOLE, FILE, THERE) == Settings(
        Measures(
            privileged=("ceo@contoso.com", "*@board.contoso.com"),
            expiring=timedelta(days=14),
            longest=timedelta(weeks=26),
            unused=timedelta(hours=12),
            widest=0,
        ),
        (
            Ignore(
                "multi-tenant-without-need", "Helpdesk *", "sold to customers, INC-4711", date(2027, 3, 31), "audit.yaml:8"
            ),
            Ignore(
                "owner-missing", "b8ebd514-2bc9-56e4-84f5-a8f065160df7", "${EXOSP_VAR_X} stays", date(2027, 1, 1),
                "audit.yaml:12",
            ),
        ),
    )  # fmt: skip


def test_what_is_left_out_is_as_without_a_file():
    assert parse("exosp-audit: 1\n", FILE, THERE) == Settings() == Settings(Measures(), ())


def test_all_that_is_wrong_at_once():
    """Each with its line and column, and what was meant, as far as that can be guessed."""
    assert faults("""\
exosp-audit: 2
privilegd: [ceo]
expiring: 30
longest: 4000d
unused: soon
widest: many
ignores:
  - check: owner-mising
    subject: ""
    reason: ""
    until: tomorrow
  - {check: owner-missing, subject: x, reason: y, until: 2027-02-30, untill: 2027-01-01}
  - owner-missing
colour: red
""") == [
        (1, 14, "`exosp-audit`: 2 is no version that this exosp reads", "exosp-audit: 1"),
        (2, 1, "unknown key `privilegd`", "did you mean `privileged`?"),
        (2, 13, "`privileged`: `ceo` is no address and can match none", 'such as ceo@contoso.com or "*@board.contoso.com"'),
        (3, 11, "`expiring`: `30` has no unit", "say it: expiring: 30d"),
        (4, 10, "`longest`: `4000d` must be more than nothing, and 3650d at most", ""),
        (5, 9, "`unused`: `soon` is no length of time", "hours, days or weeks: 12h, 30d, 52w"),
        (6, 9, "`widest`: `many` is no whole number", "widest: 100"),
        (7, 1, "unknown key `ignores`", "did you mean `ignore`?"),
        (8, 12, "`ignore.check`: `owner-mising` is no check", "did you mean `owner-missing`?"),
        (9, 14, "`ignore.subject`: `` is empty", ""),
        (10, 13, "`ignore.reason`: `` is empty", ""),
        (11, 12, "`ignore.until`: `tomorrow` is no day", "year, month and day: 2027-03-31"),
        (12, 58, "`ignore.until`: `2027-02-30` is no day", "year, month and day: 2027-03-31"),
        (12, 70, "unknown key `untill`", "did you mean `until`? That stands on line 12 already"),
        (13, 5, "an entry of `ignore` must be a mapping of keys, and a single value stands here", "ignore: [{check: …, subject: …, reason: …, until: 2027-03-31}]"),
        (14, 1, "unknown key `colour`", "the keys here are exosp-audit, privileged, expiring, longest, unused, widest, ignore"),
    ]  # fmt: skip


@pytest.mark.parametrize("key", ["check", "subject", "reason", "until"])
def test_an_exception_has_all_four(key):
    """Above all a reason and an end: nobody answers for one that has neither."""
    held = {"check": "owner-missing", "subject": "x", "reason": "y", "until": "2027-01-01"}
    rest = ", ".join(f"{name}: {value}" for name, value in held.items() if name != key)
    [(line, column, what, hint)] = faults(f"exosp-audit: 1\nignore:\n  - {{{rest}}}\n")
    assert (line, column, what) == (3, 5, f"an entry of `ignore` has no `{key}`")
    assert hint.startswith(f"add {key}: ")


@pytest.mark.parametrize(
    "reason", ["", "~", "null", '""', "' '", '"\\u200b"', '"a\\nb"', "[]", "{}", "12", "2027-01-01"]
)
def test_a_reason_is_words(reason):
    [(line, *_)] = faults(f"exosp-audit: 1\nignore:\n  - check: owner-missing\n    subject: x\n    until: 2027-01-01\n    reason: {reason}\n")  # fmt: skip
    assert line == 6


@pytest.mark.parametrize(
    "until",
    [
        "",
        "20270101",
        "2027-1-1",
        "2027-02-30",
        "2027-01-01T00:00:00Z",
        "01.01.2027",
        "2027-W01-1",
        "never",
        "[2027-01-01]",
        "' 2027-01-01'",
    ],
)
def test_an_end_is_a_day(until):
    [(line, *_)] = faults(f"exosp-audit: 1\nignore:\n  - check: owner-missing\n    subject: x\n    reason: y\n    until: {until}\n")  # fmt: skip
    assert line == 6


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "the audit's settings are empty"),
        ("# nothing\n", "the audit's settings are empty"),
        ("[]", "the file must be a mapping of keys, and a list stands here"),
        ("privileged: [a@b.c]", "the file has no `exosp-audit`"),
        ("exosp-audit: one", "`exosp-audit`: `one` is no whole number"),
        ("exosp-audit: 1\nexpiring: 0d", "`expiring`: `0d` must be more than nothing, and 3650d at most"),
        ("exosp-audit: 1\nwidest: -1", "`widest`: `-1` is no whole number"),
        ("exosp-audit: 1\nwidest: 010", "`widest`: `010` is no whole number"),
        ("exosp-audit: 1\nwidest: [1]", "`widest` must be a whole number, and a list stands here"),
        ("exosp-audit: 1\nprivileged: a@b.c", "`privileged` must be a list, and a single value stands here"),
        ("exosp-audit: 1\nignore: {check: x}", "`ignore` must be a list, and a mapping stands here"),
    ],
)
def test_other_faults(text, what):
    assert [fault[2] for fault in faults(text)] == [what]


@pytest.mark.parametrize("pattern", ["*@b.c", "*x", "* "])
def test_a_pattern_needs_quotes(pattern):
    """YAML takes it for an alias, and the hint says what to do about that."""
    for text in (f"exosp-audit: 1\nprivileged: [{pattern}]", f"exosp-audit: 1\nignore:\n  - subject: {pattern}"):
        assert any(hint.startswith("what begins with * stands in quotes") for *_, hint in faults(text))


def test_how_it_is_shown():
    """As a playbook's faults are, under its own name."""
    with pytest.raises(PlaybookError) as caught:
        parse("exosp-audit: 1\nwidst: 3\nunused: 90", FILE, THERE)
    assert (
        error(caught.value)
        == """\
error: unknown key `widst`
  --> audit.yaml:2:1
  = help: did you mean `widest`?

error: `unused`: `90` has no unit
  --> audit.yaml:3:9
  = help: say it: unused: 90d

2 faults in the audit's settings audit.yaml"""
    )


def test_the_names_are_those_of_the_checks():
    assert tuple(one.name for one in CHECKS) == NAMES


@given(st.text(st.sampled_from("exosp-audit: 1\nignore:{}[]*&!${},'\"#|>~ 0x\t\u2028")) | st.text())
@settings(max_examples=150, deadline=None)
def test_any_text_is_settings_or_has_faults(text):
    try:
        parse(text, FILE, THERE)
        found: tuple[Fault, ...] = ()
    except PlaybookError as caught:
        found = caught.faults
    assert all(fault.line > 0 and fault.what for fault in found)


def test_files_that_cannot_be_read(tmp_path):
    folder, missing, binary, large = (tmp_path / name for name in ("folder", "missing", "binary", "large"))
    folder.mkdir()
    binary.write_bytes(b"exosp-audit: 1\n\xff")
    large.write_bytes(b"#" * (1024 * 1024 + 1))
    for path, words in ((folder, "it is a folder"), (missing, "there is no such file"), (binary, "not UTF-8")):
        with pytest.raises(UsageError, match=words):
            read(path)
    with pytest.raises(PlaybookError):
        read(large)
    (tmp_path / "audit.yaml").write_text("exosp-audit: 1\nwidest: 7\n")
    assert read(tmp_path / "audit.yaml").measures.widest == 7


# Baselines

NEW = finding("unresolved-trustee", "low", Subject("trustee", "S-1-5-21", "S-1-5-21"))


@pytest.mark.parametrize("form", ["json", "sarif"])
def test_a_report_is_a_baseline(form, tmp_path):
    """What it found and what it knew itself is known; what it had set aside is not."""
    report = tmp_path / f"report.{form}"
    seen = result(findings=(NEW,))
    report.write_text(FORMATS[form][1](seen), encoding="utf-8")
    assert known(report) == {NEW.fingerprint, seen.known[0].fingerprint}
    assert seen.ignored[0].finding.fingerprint not in known(report)
    assert (SET_ASIDE.check, OVER.check) == ("owner-missing", "unused-access")


def test_a_report_without_findings_is_a_baseline(tmp_path):
    for form in ("json", "sarif"):
        (tmp_path / form).write_text(FORMATS[form][1](result(findings=(), ignored=(), known=(), checks=(check("x"),))))
        assert known(tmp_path / form) == frozenset()


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "null", "3", '"x"', "{}", '{"schema": "exosp/plan/1", "findings": []}', '{"schema": "exosp/audit/1"}',
        '{"schema": "exosp/audit/1", "findings": [{}]}', '{"schema": "exosp/audit/1", "findings": [{"fingerprint": 3}]}',
        '{"runs": []}', '{"runs": [{}]}', '{"runs": 3}', json.dumps({"runs": [{"tool": {"driver": {"name": "other"}}, "results": []}]}),
        json.dumps({"runs": [{"tool": {"driver": {"name": "exosp"}}, "results": [{}]}]}), "[" * 5000, "not JSON",
    ],
)  # fmt: skip
def test_what_is_no_report_is_no_baseline(text, tmp_path):
    """Silently knowing nothing would report all as new; knowing all would report nothing."""
    path = tmp_path / "baseline.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="this is no report of an audit"):
        known(path)


def test_a_view_of_one_application_is_no_baseline(tmp_path):
    """It is a document of the audit, and knows nothing of the others' findings."""
    path = tmp_path / "view.json"
    path.write_text(json.dumps({"schema": "exosp/audit/1", "asked": {"application": "Desk"}, "findings": []}))
    with pytest.raises(UsageError, match="no report of an audit"):
        known(path)
