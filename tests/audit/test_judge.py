"""Judging: what runs, in which order it is told, what is set aside and what is known."""

import random
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from builders import ALL_READ, AT, application, mailbox, tenant
from results import check, finding

from exosp.audit import judge as judging
from exosp.audit.judge import Ignore, judge
from exosp.checks import CHECKS
from exosp.finding import Measures, Subject
from exosp.inventory import Coverage

MEASURES = Measures()
LATER = date(2026, 12, 31)


def about(name, mailbox="", id_=""):
    return Subject("application", id_ or f"id-of-{name}", name, mailbox)


def said(findings):
    return [(one.check, one.subject.name, one.subject.mailbox, one.detail) for one in findings]


# What runs


def test_a_check_that_lacks_a_section_says_so():
    """And why: what could not be read, what nobody asked for. It is not run, for it would find what is not there."""
    coverage = Coverage(read=ALL_READ - {"owners", "last-use", "entries"}, missing={"last-use": "no licence for it"})
    checks = [
        check("runs", needs=("applications",), found=(finding("runs"),)),
        check("asks", needs=("applications", "owners", "last-use"), found=(finding("asks"),)),
        check("needs-one", needs=("entries",), found=(finding("needs-one"),)),
    ]
    found = judge(tenant(coverage=coverage), MEASURES, checks=checks)
    assert [one.check for one in found.findings] == ["runs"]
    assert found.not_judged == {
        "asks": "owners was not asked for; last-use: no licence for it",
        "needs-one": "entries was not asked for",
    }
    assert found.checks == tuple(checks)


def test_what_compares_with_playbooks_is_not_judged_without_them():
    """Nothing found there is not the same as nothing looked for."""
    checks = [check("playbook-drift"), check("other")]
    assert judge(tenant(), MEASURES, checks=checks).not_judged == {"playbook-drift": "no playbooks were given"}
    assert judge(tenant(wanted=()), MEASURES, checks=checks).not_judged == {}


def test_those_that_compare_with_playbooks_are_checks():
    assert {one.name for one in CHECKS} >= judging.BY_PLAYBOOKS


def test_a_check_that_raises_is_a_bug():
    """A report that left it out would look like a clean tenant."""

    def broken(inventory, measures):
        raise ZeroDivisionError
        yield

    with pytest.raises(ZeroDivisionError):
        judge(tenant(), MEASURES, checks=[check("fine"), replace(check("broken"), find=broken)])


def test_routes_and_the_rest_of_the_result():
    """The routes are of the inventory, and what it was judged by stands beside."""
    desk = application("Desk", "IMAP.AccessAsApp")
    inventory = tenant(desk, mailbox("support@contoso.com", full=[desk]))
    found = judge(inventory, Measures(widest=7), checks=[], version="1.2.3")
    assert [(route.holder, route.mailbox, route.door) for route in found.routes] == [
        ("Desk", "support@contoso.com", "imap")
    ]
    assert (found.inventory, found.measures.widest, found.version, found.worst) == (inventory, 7, "1.2.3", None)


# Order

SORTED = [
    finding("b", "critical", about("z")),
    finding("a", "high", about("ann")),
    finding("a", "high", about("Bob", "a@contoso.com")),
    finding("a", "high", about("Bob", "b@contoso.com")),
    finding("a", "high", about("bob")),
    finding("a", "high", about("bob"), detail="1"),
    finding("a", "high", about("bob", id_="other"), detail="1"),
    finding("b", "high", about("ann")),
    finding("a", "info", about("ann")),
]


@pytest.mark.parametrize("seed", range(5))
def test_gravest_first_then_as_an_auditor_reads(seed):
    """Severity, the order of the checks, the subject's name in any case, mailbox, detail: whatever order they came in."""
    mixed = random.Random(seed).sample(SORTED, len(SORTED))
    checks = [check(name, found=tuple(one for one in mixed if one.check == name)) for name in "ab"]
    found = judge(tenant(), MEASURES, checks=checks)
    assert found.findings == tuple(sorted(SORTED, key=SORTED.index))
    assert [(one.severity, *row) for one, row in zip(found.findings, said(found.findings), strict=True)] == [
        ("critical", "b", "z", "", ""),
        ("high", "a", "ann", "", ""),
        ("high", "a", "Bob", "a@contoso.com", ""),
        ("high", "a", "Bob", "b@contoso.com", ""),
        ("high", "a", "bob", "", ""),
        ("high", "a", "bob", "", "1"),
        ("high", "a", "bob", "", "1"),
        ("high", "b", "ann", "", ""),
        ("info", "a", "ann", "", ""),
    ]
    assert found.worst == "critical"


# Exceptions

DESK = finding("owner-missing", "low", about("Support Desk [EU]", id_="AAAA-1"))
ON_BOX = finding("owner-missing", "low", about("Robot", "Sales@contoso.com"))
CHECK = check("owner-missing", found=(DESK, ON_BOX))


def ignoring(subject, until=LATER, name="owner-missing", at=AT, checks=(CHECK,)):
    ignore = Ignore(name, subject, "because", until, "audit.yaml:3")
    return judge(tenant(at=at), MEASURES, checks=checks, ignores=[ignore]), ignore


@pytest.mark.parametrize("subject", ["aaaa-1", "SUPPORT desk [eu]", "support*", "*[EU]", "Support Desk ?EU?", "AAAA-?"])
def test_an_exception_sets_aside_what_it_names(subject):
    """By id or name, in any case, with * and ?; brackets stand for themselves. It goes to those set aside, with its reason."""
    found, ignore = ignoring(subject)
    assert found.findings == (ON_BOX,)
    assert [(one.finding, one.by) for one in found.ignored] == [(DESK, ignore)]
    assert found.lapsed == ()


def test_an_exception_may_name_the_mailbox():
    found, _ = ignoring("SALES@*")
    assert found.findings == (DESK,)


@pytest.mark.parametrize("subject", ["Support Desk [A-Z]*", "upport*", "support", "", "id", "AAAA"])
def test_an_exception_sets_nothing_else_aside(subject):
    """A part of a name is not the name; and it is told that the exception does nothing."""
    found, ignore = ignoring(subject)
    assert found.findings == (ON_BOX, DESK)
    assert found.lapsed == (ignore,)


def test_an_exception_is_one_check_s():
    found, ignore = ignoring("*", name="owner-disabled", checks=(CHECK, check("owner-disabled")))
    assert (len(found.findings), found.lapsed) == (2, (ignore,))


@pytest.mark.parametrize(
    ("until", "aside"),
    [(date(2026, 10, 31), 0), (date(2026, 11, 1), 2), (date(2026, 11, 2), 2)],
)
def test_an_exception_ends(until, aside):
    """Its last day is still its own; after that it is told, and not applied."""
    found, ignore = ignoring("*", until)
    assert (len(found.ignored), len(found.findings), found.lapsed) == (aside, 2 - aside, () if aside else (ignore,))


def test_days_are_utc_s():
    """Whatever zone the time of reading was written in."""
    late = datetime.fromisoformat("2026-11-01T23:30:00-05:00")
    found, _ = ignoring("*", date(2026, 11, 1), at=late)
    assert (late.astimezone(UTC).day, found.ignored) == (2, ())


def test_of_a_check_that_did_not_run_no_exception_is_idle():
    """Nobody knows what it would have set aside."""
    found, _ = ignoring("*", checks=[check("owner-missing", needs=("owners",))])
    assert found.lapsed == (Ignore("owner-missing", "*", "because", LATER, "audit.yaml:3"),)
    unread = judge(
        tenant(coverage=Coverage()), MEASURES, checks=[check("owner-missing", needs=("owners",))],
        ignores=[Ignore("owner-missing", "*", "because", LATER)],
    )  # fmt: skip
    assert (unread.not_judged, unread.lapsed) == ({"owner-missing": "owners was not asked for"}, ())


def test_the_first_exception_that_is_not_over_counts():
    over, first, second = (
        Ignore("owner-missing", "*", reason, until) for reason, until in (("over", date(2026, 1, 1)), ("one", LATER), ("two", LATER))
    )  # fmt: skip
    found = judge(tenant(), MEASURES, checks=[CHECK], ignores=[over, first, second])
    assert {one.by.reason for one in found.ignored} == {"one"}
    assert found.lapsed == (over, second)


# A baseline


def test_a_baseline_leaves_what_is_new():
    """What is known is told apart, by its fingerprint: another name or severity is the same thing, another subject is not."""
    renamed = replace(
        DESK, subject=replace(DESK.subject, name="Help Desk"), severity="high", statement="Otherwise said."
    )
    found = judge(
        tenant(), MEASURES, checks=[check("owner-missing", found=(renamed, ON_BOX))], baseline={DESK.fingerprint}
    )
    assert (found.findings, found.known) == ((ON_BOX,), (renamed,))
    assert found.worst == "low"


def test_what_is_set_aside_is_not_known():
    """An exception that ends brings it back, whatever a baseline holds."""
    ignore = Ignore("owner-missing", "Support*", "because", LATER)
    found = judge(tenant(), MEASURES, checks=[CHECK], ignores=[ignore], baseline={DESK.fingerprint, ON_BOX.fingerprint})
    assert ([one.finding for one in found.ignored], found.known, found.findings) == ([DESK], (ON_BOX,), ())


def test_a_fingerprint_is_of_what_stays():
    """Check, subject and detail; not the mailbox's case, nor how it is said. Half a surrogate pair has one too."""
    assert (
        finding(subject=about("x", "A@b.c")).fingerprint == finding(subject=about("y", "a@B.C", "ID-of-x")).fingerprint
    )
    others = [finding(), finding("other"), finding(detail="1"), finding(subject=about("\ud800")), finding(subject=about("x", "a@b.c"))]  # fmt: skip
    assert len({one.fingerprint for one in others}) == len(others)
