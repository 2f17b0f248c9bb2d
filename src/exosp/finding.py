"""What a check finds: one judgement, whom it is about, how bad and how sure it is, what shows it, and what mends it."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from .inventory import Inventory, Section

Severity = Literal["info", "low", "medium", "high", "critical"]
Confidence = Literal["low", "medium", "high"]

SEVERITIES: tuple[Severity, ...] = ("info", "low", "medium", "high", "critical")  # in rising order


@dataclass(frozen=True)
class Subject:
    """Whom a finding is about. ``id`` stays the same as long as the thing does, and is what a baseline and an ``ignore``
    know it by: an appId, an object ID, a mailbox's id, or "tenant". ``mailbox``: the address, where it is about one
    application on one mailbox."""

    kind: Literal["application", "enterprise-application", "entry", "mailbox", "trustee", "playbook", "tenant"]
    id: str
    name: str
    mailbox: str = ""

    def __str__(self) -> str:
        on = f" on {self.mailbox}" if self.mailbox else ""
        return (f"{self.name} ({self.id})" if self.id and self.id != self.name else self.name) + on


@dataclass(frozen=True)
class Fix:
    """One thing to do. ``shell``: what the command is for, "" where ``command`` is a sentence and no command."""

    command: str
    shell: Literal["powershell", "exosp", "graph", ""] = ""


@dataclass(frozen=True)
class Finding:
    """``statement``: one sentence. ``evidence``: what was read that shows it, name and value. ``fix``: in order; commands are
    built by ``quoted`` alone, so that no name of a tenant can become part of a command."""

    check: str
    severity: Severity
    confidence: Confidence
    subject: Subject
    statement: str
    evidence: tuple[tuple[str, str], ...] = ()
    fix: tuple[Fix, ...] = ()
    detail: str = ""  # tells two findings of one check on one subject apart: a key's id, a scope's name

    @property
    def fingerprint(self) -> str:
        """The same as long as the check finds the same thing about the same subject."""
        parts = (self.check, self.subject.kind, self.subject.id.lower(), self.subject.mailbox.lower(), self.detail)
        said = "\0".join(parts).encode("utf-8", "surrogatepass")  # a trustee's name may hold half a pair
        return hashlib.sha256(said).hexdigest()[:32]


@dataclass(frozen=True)
class Measures:
    """What the checks go by. ``privileged``: addresses, lower case, with * and ? as in file names."""

    privileged: tuple[str, ...] = ()
    expiring: timedelta = timedelta(days=30)
    longest: timedelta = timedelta(days=366)
    unused: timedelta = timedelta(days=90)
    widest: int = 100  # mailboxes that one application may open before a scope is called too wide


@dataclass(frozen=True)
class Check:
    """One judgement. Its module's docstring is its manual: the first line its title. ``needs``: the sections without which
    it says nothing, its module's ``NEEDS``."""

    name: str
    manual: str
    needs: tuple[Section, ...]
    find: Callable[[Inventory, Measures], Iterator[Finding]] = field(repr=False)

    @property
    def title(self) -> str:
        return self.manual.strip().partition("\n")[0].rstrip(".")


def quoted(text: str) -> str:
    """A text as one PowerShell argument: within single quotes every character but the quotes stands for itself, and
    PowerShell takes the typographic ones for quotes too (about_Quoting_Rules). Control characters have no place in one."""
    shown = "".join(c for c in text if c.isprintable())
    return "'" + "".join(c * 2 if c in "'\u2018\u2019\u201a\u201b" else c for c in shown) + "'"
