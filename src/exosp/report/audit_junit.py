"""An audit as JUnit XML: one test case a check, and one for whether all was read. A check with findings is a failure, one that
could not judge is skipped; findings that are set aside or known are said and fail nothing.

Form: the elements and attributes that jenkinsci/xunit-plugin's junit-10.xsd and Maven Surefire's schema both know.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from datetime import UTC

from ..audit.judge import Result
from ..finding import SEVERITIES, Finding
from .audit_harmless import count, harmless, unspoken
from .audit_json import digest, document, moment
from .audit_summary import unread

READ = "everything was read"


def render(result: Result) -> str:
    """The whole document."""
    inventory = result.inventory
    suite = ET.Element("testsuite")
    properties = ET.SubElement(suite, "properties")
    said = {
        "tenant": inventory.tenant,
        "tenant id": inventory.tenant_id,
        "cloud": inventory.cloud,
        "operator": inventory.operator,
        "time": moment(inventory.at) or "",
        "version": result.version,
        "sha256 of the JSON report": digest(document(result)),
    }
    for name, value in (said | ({"emulated": "true"} if inventory.emulated else {})).items():
        ET.SubElement(properties, "property", {"name": name, "value": harmless(value)})
    _whole(suite, result)
    titles = {check.name: check.title for check in result.checks}
    for name in titles | dict.fromkeys(one.check for one in result.findings if one.check not in titles):
        _check(suite, result, name, titles.get(name, name))
    counts = {
        "tests": str(len(suite.findall("testcase"))),
        "failures": str(len(suite.findall(".//failure"))),
        "errors": "0",
    }
    skipped = str(len(suite.findall(".//skipped")))
    stamp = {"timestamp": f"{inventory.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"} if moment(inventory.at) else {}
    suite.attrib = {"name": f"exosp audit {harmless(inventory.tenant)}", **counts, "skipped": skipped, "time": "0", **stamp}  # fmt: skip
    root = ET.Element("testsuites", {"name": "exosp audit", **counts, "time": "0"})
    root.append(suite)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _case(suite: ET.Element, group: str, name: str) -> ET.Element:
    return ET.SubElement(
        suite, "testcase", {"classname": f"exosp.audit.{harmless(group)}", "name": harmless(name), "time": "0"}
    )


def _whole(suite: ET.Element, result: Result) -> None:
    """A pipeline must not turn green on a tenant that was read in part."""
    case = _case(suite, "coverage", READ)
    if reasons := list(unread(result)):
        failure = ET.SubElement(case, "failure", {"type": "coverage", "message": harmless(reasons[0])})
        failure.text = _lines(f"not read: {why}" for why in reasons)


def _check(suite: ET.Element, result: Result, name: str, title: str) -> None:
    case = _case(suite, name, title)
    if name in result.not_judged:
        ET.SubElement(case, "skipped", {"message": harmless(result.not_judged[name])})
        return
    found = [one for one in result.findings if one.check == name]
    if found:
        worst = max((one.severity for one in found), key=SEVERITIES.index)
        said = f"{count(len(found), 'finding')}: {found[0].subject}" + (" and others" if len(found) > 1 else "")
        failure = ET.SubElement(case, "failure", {"type": worst, "message": harmless(said)})
        failure.text = _lines(_told(found))
    aside = [f"set aside: {one.finding.subject}: {one.by.reason} (until {one.by.until})" for one in result.ignored if one.finding.check == name]  # fmt: skip
    aside += [f"known: {one.subject}: {one.statement}" for one in result.known if one.check == name]
    if aside:
        ET.SubElement(case, "system-out").text = _lines(aside)


def _told(found: Sequence[Finding]) -> Iterator[str]:
    for one in found:
        yield f"{one.severity}: {one.subject}: {one.statement}"
        yield from (f"  {name}: {value}" for name, value in one.evidence)
        yield from (f"  fix: {fix.command}" for fix in one.fix)
        yield f"  fingerprint: {one.fingerprint}"


def _lines(said: Iterator[str] | Sequence[str]) -> str:
    return unspoken("\n".join(harmless(line) for line in said))
