"""JUnit XML of a verify, as Jenkins, GitLab and Surefire's readers take it: one test case a login, and two for what the
logins stand on, the tenant's settings and the application's token.

What is not proven is a failure, never a pass and never skipped: a pipeline must not turn green on "too early" or on a
login that cannot be tried from where it runs; the failure's type says which it is. Foreign text is made harmless by
``plain``, which leaves nothing that XML 1.0 forbids.
Form: the elements and attributes that jenkinsci/xunit-plugin's junit-10.xsd and Maven Surefire's schema both know.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ..clouds import Cloud
from ..probes import Proof
from ..verify import Verdict
from . import text
from .plain import plain

WIDTH = 10_000  # one line a change


@dataclass(frozen=True)
class _Case:
    """``kind`` is the failure's type, empty where there is none; ``lines`` what is said of it."""

    group: str
    name: str
    kind: str = ""
    message: str = ""
    lines: tuple[str, ...] = ()


def verify(found: Verdict, *, cloud: Cloud | None, tenant: str, version: str, at: datetime) -> str:
    """The whole document. ``at`` is when it was made, with a time zone."""
    cases = [_settings(found), _token(found), *map(_login, found.proofs)]
    counts = {"tests": str(len(cases)), "failures": str(sum(bool(c.kind) for c in cases)), "errors": "0"}
    root = ET.Element("testsuites", {"name": "exosp verify", **counts, "time": "0"})
    suite = ET.SubElement(
        root,
        "testsuite",
        {
            "name": f"exosp verify {plain(tenant)}",
            **counts,
            "skipped": "0",
            "time": "0",
            "timestamp": f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}",
        },
    )
    properties = ET.SubElement(suite, "properties")
    said = {"tenant": tenant, "cloud": cloud.name if cloud else "", "version": version}
    if cloud is not None and cloud.emulated:
        said["emulated"] = "true"
    for name, value in said.items():
        ET.SubElement(properties, "property", {"name": name, "value": plain(value)})
    for case in cases:
        _write(suite, case)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _write(suite: ET.Element, case: _Case) -> None:
    described = {"classname": f"exosp.verify.{case.group}", "name": plain(case.name), "time": "0"}
    element = ET.SubElement(suite, "testcase", described)
    body = "\n".join(plain(line) for line in case.lines)
    if case.kind:
        failure = ET.SubElement(element, "failure", {"type": plain(case.kind), "message": plain(case.message)})
        failure.text = body
    elif body:
        ET.SubElement(element, "system-out").text = body


def _settings(found: Verdict) -> _Case:
    name = "the tenant is as the playbook says"
    beyond = any(drift.access for drift in found.plan.drift)
    if found.converged and not beyond:
        return _Case("tenant", name)
    said = "access that the playbook does not say" if found.converged else "the tenant is not as the playbook says"
    return _Case("tenant", name, "drift", said, tuple(text.plan(found.plan, WIDTH).splitlines()))


def _token(found: Verdict) -> _Case:
    name = "the application's token is right"
    if not found.token_faults:
        return _Case("token", name)
    return _Case("token", name, "token", found.token_faults[0], found.token_faults)


def _login(proof: Proof) -> _Case:
    probe = proof.probe
    name = f"{probe.protocol} {'opens' if probe.expect == 'accept' else 'is refused at'} {probe.mailbox}"
    if probe.protocol == "smtp" and probe.expect == "accept":
        name = f"smtp takes mail of {probe.mailbox}"
    lines = tuple(_said(proof))
    if proof.ok:
        return _Case(probe.protocol, name, lines=lines)
    kind = proof.proof or proof.key or "failed"
    return _Case(probe.protocol, name, kind, proof.cause or f"failed at {proof.stage}", lines)


def _said(proof: Proof) -> Iterator[str]:
    yield f"stage: {proof.stage}"
    if proof.proof:
        yield f"proof: {proof.proof}"
    if proof.probe.user != proof.probe.mailbox:
        yield f"user name: {proof.probe.user}"
    if proof.server:
        yield f"server: {proof.server}"
    if proof.cause:
        yield f"cause: {proof.cause}"
    for found in () if proof.ok else proof.evidence:  # of thousands that are right, nobody reads why
        yield f"evidence: {found}"
    if proof.fix:
        yield f"fix: {proof.fix}"
    if proof.message_id:
        yield f"message: {proof.message_id}"
    for subject in proof.subjects:
        yield f"subject: {subject}"
