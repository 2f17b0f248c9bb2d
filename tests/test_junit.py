"""The JUnit document: what a pipeline reads of a verify. Judged by expat and by the structure that readers agree on."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exosp.plan import Change, Drift, Plan
from exosp.probes import Probe, Proof
from exosp.report import junit
from exosp.snapshot import Address, Snapshot
from exosp.verify import Verdict

AT = datetime(2026, 2, 2, 11, 0, 5, tzinfo=UTC)
SUPPORT, SALES, PRIVATE = (Address(f"{name}@contoso.com") for name in ("support", "sales", "private"))

OPENED = Proof(Probe(SUPPORT, "imap", "accept", SUPPORT), "open", True, "opened", "OK [READ-ONLY] EXAMINE completed.")
CLOSED = Proof(
    Probe(PRIVATE, "imap", "refuse", PRIVATE), "open", True, "refused", "BAD User is authenticated but not connected."
)
FAILED = Proof(
    Probe(SALES, "smtp", "accept", "sales@contoso.onmicrosoft.com"), "auth", False, None,
    "535 5.7.3 Authentication unsuccessful [X]", "no FullAccess on sales@contoso.com", "exosp apply", key="no-grant",
    evidence=("Get-MailboxPermission has no row of ours",),
)  # fmt: skip
EARLY = replace(
    OPENED, ok=False, proof="too-early", server="BAD User is authenticated but not connected.", cause="too early"
)
ELSEWHERE = replace(
    OPENED, ok=False, proof="not-provable-here", server="", cause="the credential works elsewhere only", stage="token"
)

# Elements, their children and attributes: what junit-10.xsd of the Jenkins xUnit plugin and Surefire's schema both take
# (Surefire has no testsuites; its root is one testsuite). True: required by one of them.
STRUCTURE: Mapping[str, tuple[set[str], dict[str, bool]]] = {
    "testsuites": ({"testsuite"}, {"name": False, "time": False, "tests": False, "failures": False, "errors": False}),
    "testsuite": ({"properties", "testcase", "system-out", "system-err"},
                  {"name": True, "tests": True, "failures": True, "errors": True, "skipped": True, "time": False, "timestamp": False}),
    "properties": ({"property"}, {}),
    "property": (set(), {"name": True, "value": True}),
    "testcase": ({"skipped", "error", "failure", "system-out", "system-err"}, {"name": True, "time": True, "classname": False}),
    "failure": (set(), {"type": True, "message": False}),
    "system-out": (set(), {}),
}  # fmt: skip
NUMBERS = {"tests", "failures", "errors", "skipped", "time"}


def verdict(*proofs: Proof, changes: tuple[Change, ...] = (), drift: tuple[Drift, ...] = (), faults: tuple[str, ...] = ()) -> Verdict:  # fmt: skip
    return Verdict(Plan(("t", "a"), changes, drift=drift), Snapshot(), token_faults=faults, proofs=proofs)


def document(found: Verdict, **changes: Any) -> str:
    given = {"cloud": None, "tenant": "contoso.onmicrosoft.com", "version": "1.2.3", "at": AT} | changes
    return junit.verify(found, **given)


def checked(written: str) -> ET.Element:
    """The document, read by expat and held against the structure."""
    root = ET.fromstring(written.encode())
    assert root.tag == "testsuites"
    for element in root.iter():
        children, attributes = STRUCTURE[element.tag]
        assert {child.tag for child in element} <= children, element.tag
        assert set(element.attrib) <= set(attributes), element.tag
        assert {name for name, needed in attributes.items() if needed} <= set(element.attrib), element.tag
        assert all(re.fullmatch(r"\d+", element.attrib[name]) for name in NUMBERS & set(element.attrib))
    for suite in root.iter("testsuite"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.attrib["timestamp"])
        assert int(suite.attrib["tests"]) == len(list(suite.iter("testcase")))
        assert int(suite.attrib["failures"]) == len(list(suite.iter("failure")))
        assert len({(c.get("classname"), c.get("name")) for c in suite.iter("testcase")}) == int(suite.attrib["tests"])
    return root


def failures(root: ET.Element) -> dict[str, str | None]:
    """The type of each failure by its case's name."""
    return {
        case.attrib["name"]: case[0].get("type") for case in root.iter("testcase") if case.find("failure") is not None
    }


def test_the_whole_document():
    """One case a login, and two for settings and token; a failure carries the server's text, cause, evidence and fix."""
    assert (
        document(verdict(OPENED, FAILED, CLOSED))
        == """\
<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="exosp verify" tests="5" failures="1" errors="0" time="0">
  <testsuite name="exosp verify contoso.onmicrosoft.com" tests="5" failures="1" errors="0" skipped="0" time="0" timestamp="2026-02-02T11:00:05">
    <properties>
      <property name="tenant" value="contoso.onmicrosoft.com" />
      <property name="cloud" value="" />
      <property name="version" value="1.2.3" />
    </properties>
    <testcase classname="exosp.verify.tenant" name="the tenant is as the playbook says" time="0" />
    <testcase classname="exosp.verify.token" name="the application's token is right" time="0" />
    <testcase classname="exosp.verify.imap" name="imap opens support@contoso.com" time="0">
      <system-out>stage: open
proof: opened
server: OK [READ-ONLY] EXAMINE completed.</system-out>
    </testcase>
    <testcase classname="exosp.verify.smtp" name="smtp takes mail of sales@contoso.com" time="0">
      <failure type="no-grant" message="no FullAccess on sales@contoso.com">stage: auth
user name: sales@contoso.onmicrosoft.com
server: 535 5.7.3 Authentication unsuccessful [X]
cause: no FullAccess on sales@contoso.com
evidence: Get-MailboxPermission has no row of ours
fix: exosp apply</failure>
    </testcase>
    <testcase classname="exosp.verify.imap" name="imap is refused at private@contoso.com" time="0">
      <system-out>stage: open
proof: refused
server: BAD User is authenticated but not connected.</system-out>
    </testcase>
  </testsuite>
</testsuites>
"""
    )
    checked(document(verdict(OPENED, FAILED, CLOSED)))


@pytest.mark.parametrize(("proof", "kind"), [(EARLY, "too-early"), (ELSEWHERE, "not-provable-here"), (FAILED, "no-grant"), (replace(FAILED, key=""), "failed")])  # fmt: skip
def test_what_is_not_proven_is_a_failure_of_its_kind(proof, kind):
    """Neither passed nor skipped, whatever the reason."""
    root = checked(document(verdict(proof)))
    assert list(failures(root).values()) == [kind]
    assert root.find(".//skipped") is None


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (verdict(OPENED, drift=(Drift("grants", "x@contoso.com", "it may open this too", access=True),)), "drift"),
        (verdict(OPENED, faults=("its audience is https://graph.microsoft.com",)), "token"),
    ],
)
def test_logins_alone_do_not_make_it_green(found, kind):
    """Access beyond the playbook or a wrong token fails a case of its own, where every login is right. What turns the exit
    code turns the document, and the other way round."""
    assert not found.proven
    assert list(failures(checked(document(found))).values()) == [kind]
    assert verdict(OPENED).proven
    assert failures(checked(document(verdict(OPENED)))) == {}


def test_drift_that_gives_no_access_is_no_failure():
    """What verify passes, the document passes."""
    found = verdict(OPENED, drift=(Drift("application", "x", "another name"),))
    assert found.proven
    assert failures(checked(document(found))) == {}


HOSTILE = "</failure>]]><x a='1'>&amp; \x00\x08\x0b\x1b[2J\ud800\ufffe\u202e\r\n\"<!--"


def test_hostile_text_stays_text():
    """Markup, an end of CDATA, control characters and half surrogates of a server come out as harmless text."""
    proof = replace(
        FAILED, server=HOSTILE, cause=HOSTILE, fix=HOSTILE, evidence=(HOSTILE,), subjects=(HOSTILE,), key=HOSTILE
    )
    root = checked(document(verdict(proof), tenant=HOSTILE, version=HOSTILE))
    [failure] = root.iter("failure")
    assert failure.text is not None
    assert (
        "server: </failure>]]><x a='1'>&amp; \\x00\\x08\\x0b\\x1b[2J\\ud800\\ufffe\\u202e\\r\\n\"<!--" in failure.text
    )
    assert root.find(".//x") is None


@given(st.text(st.characters(), max_size=80))
@settings(max_examples=300, deadline=None)
def test_any_text_makes_a_document(text):
    """Whatever a server says: well-formed, of the same structure, and nothing lost but what cannot be seen."""
    root = checked(document(verdict(replace(FAILED, server=text, cause=text))))
    [failure] = root.iter("failure")
    assert failure.get("type") == "no-grant"
