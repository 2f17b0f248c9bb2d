"""The applications of an audit, numbered as the page numbers them: gravest first, then by how many mailboxes they reach."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...audit.judge import Result
from ...finding import SEVERITIES, Finding
from ...inventory import Credential, Entry, Principal, Registration
from ...routes import Route

TOP = 200  # of any long list


@dataclass(frozen=True)
class Application:
    """What one application is and holds. ``key`` is its appId, lower case, or the trustee that nobody resolves."""

    key: str
    name: str
    resolved: bool = True
    registration: Registration | None = None
    principals: tuple[Principal, ...] = ()
    entries: tuple[Entry, ...] = ()
    routes: tuple[Route, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def worst(self) -> int:
        return max((SEVERITIES.index(finding.severity) for finding in self.findings), default=-1)

    @property
    def mailboxes(self) -> int:
        return len({route.mailbox.lower() for route in self.routes if route.mailbox})

    @property
    def everywhere(self) -> bool:
        """Whether an open route leads to every mailbox, whoever has signed in."""
        return any(
            route.is_open and not route.mailbox and not route.scope and route.by != "delegated permission"
            for route in self.routes
        )

    @property
    def credentials(self) -> tuple[Credential, ...]:
        held = (*((self.registration,) if self.registration else ()), *self.principals)
        return tuple(credential for holder in held for credential in holder.credentials)


@dataclass(frozen=True)
class Subjects:
    """``shown`` are on the page, ``all`` are counted."""

    all: tuple[Application, ...]
    places: Mapping[str, int] = field(default_factory=dict)  # any id of theirs, lower case -> place in ``all``

    @property
    def shown(self) -> tuple[Application, ...]:
        return self.all[:TOP]

    def anchor(self, known: str) -> str:
        """The page's id of an application, "" where it is not on the page."""
        place = self.places.get(known.lower(), TOP)
        return f"app-{place + 1}" if place < TOP else ""


def subjects(result: Result) -> Subjects:
    found = result.inventory
    routes: dict[str, list[Route]] = defaultdict(list)
    trustees: dict[str, str] = {}
    for route in result.routes:
        key = route.app_id.lower() or route.holder.lower()
        routes[key].append(route)
        if not route.app_id:
            trustees[key] = route.holder
    registrations = {r.app_id.lower(): r for r in found.registrations}
    principals: dict[str, list[Principal]] = defaultdict(list)
    for principal in found.principals:
        principals[principal.app_id.lower()].append(principal)
    entries: dict[str, list[Entry]] = defaultdict(list)
    for entry in found.entries:
        entries[entry.app_id.lower()].append(entry)

    keys = dict.fromkeys((*registrations, *principals, *entries, *routes))
    ids = {key: key for key in keys}
    for key, entries_ in entries.items():
        ids.update((entry.object_id.lower(), key) for entry in entries_)
    for key, principals_ in principals.items():
        ids.update((principal.object_id.lower(), key) for principal in principals_)
    ids.update((registration.object_id.lower(), key) for key, registration in registrations.items())
    findings: dict[str, list[Finding]] = defaultdict(list)
    for finding in result.findings:
        holder = ids.get(finding.subject.id.lower())
        if holder is not None and finding.subject.kind != "mailbox":
            findings[holder].append(finding)

    def named(key: str) -> str:
        holders: Sequence[Registration | Principal | Entry] = (
            *([registrations[key]] if key in registrations else []), *principals.get(key, ()), *entries.get(key, ()),
        )  # fmt: skip
        return next((holder.name for holder in holders if holder.name), trustees.get(key, key))

    made = [
        Application(
            key, named(key), key not in trustees, registrations.get(key), tuple(principals.get(key, ())),
            tuple(entries.get(key, ())), tuple(routes.get(key, ())), tuple(findings.get(key, ())),
        )
        for key in keys
    ]  # fmt: skip
    made.sort(key=lambda a: (-a.worst, not a.everywhere, -a.mailboxes, a.name.lower(), a.key))
    place = {application.key: i for i, application in enumerate(made)}
    return Subjects(tuple(made), {known: place[key] for known, key in ids.items()})


def shown_findings(findings: Sequence[Finding]) -> list[tuple[int, Finding]]:
    """Those on the page, in their order and with their place: the first of each check, then the gravest."""
    if len(findings) <= TOP:
        return list(enumerate(findings))
    first: dict[str, int] = {}
    for place, finding in enumerate(findings):
        first.setdefault(finding.check, place)
    kept = set(list(first.values())[:TOP])
    for place in range(len(findings)):
        if len(kept) >= TOP:
            break
        kept.add(place)
    return [(place, findings[place]) for place in sorted(kept)]


def per_check(findings: Sequence[Finding]) -> list[tuple[str, Finding, int]]:
    """Each check that found something, one of what it found, and how much; in the findings' order."""
    counts = Counter(finding.check for finding in findings)
    first: dict[str, Finding] = {}
    for finding in findings:
        first.setdefault(finding.check, finding)
    return [(check, finding, counts[check]) for check, finding in first.items()]
