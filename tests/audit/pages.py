"""Audits to be shown as a page, written by hand: a middling tenant with something of everything, and a huge one."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

from exosp.audit.judge import Ignore, Ignored, Result
from exosp.finding import SEVERITIES, Finding, Fix, Severity, Subject, quoted
from exosp.inventory import (
    NEEDED,
    Coverage,
    Credential,
    Entry,
    Inventory,
    LastUse,
    MailboxRecord,
    Owner,
    Principal,
    Registration,
    Wanted,
)
from exosp.routes import By, Door, Route
from exosp.snapshot import (
    Address,
    AppId,
    ApplicationObjectId,
    ClaimedObjectId,
    MailboxId,
    PrincipalObjectId,
)

AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
TENANT_ID = "6c1f0f5e-8d1b-4a62-9d57-1e1f8a2f9c01"


def some_id(n: int) -> str:
    return f"{n:08x}-0000-4000-8000-{n * 7919:012x}"


def certificate(name: str, since: int, until: int, kind: str = "secret") -> Credential:
    """Days from the day of the audit."""
    starts, ends = AT + timedelta(days=since), AT + timedelta(days=until)
    return Credential("secret" if kind == "secret" else "certificate", f"key-{name}-{until}", name, starts, ends)


def registration(n: int, name: str, *credentials: Credential, owners: tuple[Owner, ...] = ()) -> Registration:
    return Registration(
        ApplicationObjectId(some_id(n + 1000)), AppId(some_id(n)), name, "AzureADMyOrg", f"exosp-{n}", credentials,
        owners or (Owner("o1", "ann.lee@contoso.com", "user", True),), created=AT - timedelta(days=300 + n),
    )  # fmt: skip


def principal(n: int, name: str, enabled: bool = True, home: str = TENANT_ID) -> Principal:
    return Principal(PrincipalObjectId(some_id(n + 2000)), AppId(some_id(n)), name, enabled, home=home)


def entry(n: int, name: str, wrong: bool = False) -> Entry:
    return Entry(AppId(some_id(n)), ClaimedObjectId(some_id(n + (1000 if wrong else 2000))), name, f"entry-{n}")


def route(
    n: int, box: str, door: Door = "imap", by: By = "mailbox permission", of: str = "FullAccess", *lacks: str, scope: str = ""
) -> Route:  # fmt: skip
    can = "send" if door == "smtp" or by == "recipient permission" else "read" if door == "graph" else "open"
    return Route(AppId(some_id(n)), NAMES.get(n, f"Application {n}"), box, door, can, by, of, scope, lacks)  # type: ignore[arg-type]


NAMES = {
    1: "Support Desk Mail", 2: "Invoice Reader", 3: "Legacy CRM Connector", 4: "Newsletter Sender", 5: "Backup365 (Fabrikam)",
    6: "HR Onboarding", 7: "Ticket Archive", 8: "Mail Signature Service", 9: "Warehouse Alerts", 10: "Contract Intake",
}  # fmt: skip
BOXES = [
    f"{local}@contoso.com"
    for local in (
        "support", "sales", "billing", "invoices", "orders", "returns", "press", "jobs", "hr", "legal", "contracts", "ceo.office",
        "newsletter", "events", "warehouse", "alerts", "archive-2019", "archive-2020", "helpdesk", "facilities", "travel", "it",
    )
]  # fmt: skip


def _routes() -> Iterator[Route]:
    def boxes(n: int, first: int, last: int, *doors: Door) -> Iterator[Route]:
        for box in BOXES[first:last]:
            for door in doors:
                yield route(n, box, door)

    yield route(5, "", "ews", "application permission", "full_access_as_app")
    yield route(5, "", "graph", "application permission", "Mail.ReadWrite")
    yield route(8, "", "graph", "application permission", "Mail.Send", "a mailbox that its access policy admits")
    yield route(6, "", "imap", "delegated permission", "IMAP.AccessAsUser.All")
    yield route(10, "", "graph", "management role", "Application Mail.Read", scope="Contracts and legal")
    yield from boxes(1, 0, 6, "imap", "smtp")
    for box in BOXES[:2]:
        yield route(1, box, "smtp", "recipient permission", "SendAs")
    yield from boxes(2, 2, 5, "imap")
    for box in BOXES[0:9]:
        yield route(
            3, box, "imap", "mailbox permission", "FullAccess", "the entry's object ID is the registration's own"
        )
    yield from boxes(4, 12, 14, "smtp")
    yield route(4, BOXES[12], "smtp", "recipient permission", "SendAs")
    yield route(4, BOXES[13], "smtp", "send on behalf", "SendOnBehalf")
    yield from boxes(7, 16, 22, "pop")
    yield route(7, BOXES[18], "imap", "folder permission", "Reviewer on Inbox")
    yield route(9, BOXES[15], "smtp", "management role", "Application SMTP.SendAsApp", scope="Warehouse")
    yield route(9, BOXES[14], "smtp", "mailbox permission", "FullAccess", "consent to SMTP.SendAsApp")
    yield Route(AppId(""), "S-1-5-21-2304-88123-1001", BOXES[11], "imap", "open", "mailbox permission", "FullAccess",
                lacks=("nobody resolves the trustee",))  # fmt: skip


def finding(
    check: str, severity: Severity, n: int, statement: str, *fix: Fix, evidence: tuple[tuple[str, str], ...] = (), box: str = "",
    detail: str = "",
) -> Finding:  # fmt: skip
    subject = Subject("application", some_id(n), NAMES.get(n, f"Application {n}"), box)
    return Finding(check, severity, "high", subject, statement, evidence, fix, detail)


def _findings() -> tuple[Finding, ...]:
    return (
        finding("tenant-wide-mail-access", "critical", 5, "It can read and send as every mailbox of the tenant.",
                Fix(f"New-ApplicationAccessPolicy -AppId {quoted(some_id(5))} -PolicyScopeGroupId 'mail-apps@contoso.com' -AccessRight RestrictAccess -Description 'Backup365'", "powershell"),
                Fix("Better: ask the vendor for RBAC for Applications with a scope."),
                evidence=(("Permissions", "full_access_as_app, Mail.ReadWrite"), ("Access policies", "none"))),
        finding("wrong-object-id", "high", 3, "Exchange holds it under the registration's object ID, so no login of its opens a mailbox.",
                Fix(f"Remove-ServicePrincipal -Identity {quoted(some_id(1003))}", "powershell"),
                Fix(f"New-ServicePrincipal -AppId {quoted(some_id(3))} -ObjectId {quoted(some_id(2003))} -DisplayName {quoted(NAMES[3])}", "powershell"),
                Fix("exosp repair --app 'Legacy CRM Connector'", "exosp"),
                evidence=(("Exchange has", some_id(1003)), ("The enterprise application's", some_id(2003)), ("It is", "the registration's own"))),
        finding("grant-to-privileged-mailbox", "high", 2, "It holds FullAccess on a mailbox that is on the list of privileged ones.",
                Fix(f"Remove-MailboxPermission -Identity 'ceo.office@contoso.com' -User {quoted(some_id(2002))} -AccessRights FullAccess -Confirm:$false", "powershell"),
                evidence=(("Right", "FullAccess"), ("Matches", "ceo*@*")), box="ceo.office@contoso.com"),
        finding("smtp-mode-mixed", "high", 9, "It holds the claim SMTP.SendAsApp and a management role for SMTP at once.",
                Fix("Take one of the two away."), evidence=(("Claim", "SMTP.SendAsApp"), ("Role", "Application SMTP.SendAsApp"))),
        finding("delegated-for-everyone", "medium", 6, "Everyone of the tenant has consented, by an administrator, to what it may do as them.",
                Fix(f"DELETE /v1.0/oauth2PermissionGrants/{some_id(99)}", "graph"), evidence=(("Scopes", "IMAP.AccessAsUser.All"),)),
        finding("third-party-access", "medium", 5, "Somebody else registers it and holds its credential.", evidence=(("Registered in", some_id(77)),)),
        finding("credential-expiring", "medium", 1, "Its only live secret ends in 12 days.",
                Fix("exosp rotate playbook.yaml", "exosp"), evidence=(("Key", "key-desk-12"), ("Ends", "2026-12-03")), detail="key-desk-12"),
        finding("credential-too-long-lived", "medium", 7, "A secret lives for 730 days.", evidence=(("Days", "730"),), detail="key-archive"),
        finding("send-as-without-need", "medium", 4, "It may send as newsletter@contoso.com, and no permission of its sends.", evidence=(("Mailboxes", "1"),)),
        finding("consent-without-grant", "low", 10, "It has consent to IMAP, and no mailbox grants it anything.", evidence=(("Consent", "IMAP.AccessAsApp"),)),
        finding("credential-expired", "low", 3, "A secret ended 40 days ago and is still there.", detail="key-crm", evidence=(("Ended", "2026-10-12"),)),
        finding("owner-missing", "low", 7, "Nobody owns it.", evidence=(("Owners", "none"),)),
        Finding("unresolved-trustee", "low", "medium", Subject("trustee", "S-1-5-21-2304-88123-1001", "S-1-5-21-2304-88123-1001"),
                "Somebody whom nobody resolves holds FullAccess on 1 mailbox.", (("Mailboxes", "ceo.office@contoso.com"),)),
        finding("granted-outside-exosp", "info", 7, "Its grants were not made by exosp.", evidence=(("Mailboxes", "6"),)),
    )  # fmt: skip


COVERAGE = Coverage(
    frozenset({*NEEDED, "owners", "organization", "security-defaults", "last-use"}),
    {"directory-log": "not offered by this licence (Entra ID P1)"},
    {"user": 812, "shared": 96, "group": 41, "soft-deleted": 7},
    people=2311,
    inherited=9560,
)


def middling(coverage: Coverage = COVERAGE, emulated: bool = False) -> Result:
    """Ten applications, 22 mailboxes that they reach, 14 findings, two of them set aside."""
    findings = _findings()
    credentials = {
        1: (certificate("desk", -170, 12),), 2: (certificate("invoice cert", -60, 305, "certificate"),),
        3: (certificate("crm", -405, -40), certificate("crm 2", -40, 140)), 4: (certificate("news", -20, 160),),
        6: (certificate("hr", -300, 65, "certificate"),), 7: (certificate("archive", -90, 640),),
        8: (Credential("federated", "k8", "github"),), 9: (certificate("alerts", -180, 3),), 10: (certificate("intake", -2, 88),),
    }  # fmt: skip
    registrations = tuple(registration(n, name, *credentials.get(n, ())) for n, name in NAMES.items() if n != 5)
    principals = tuple(principal(n, name, n != 7, some_id(77) if n == 5 else TENANT_ID) for n, name in NAMES.items())
    entries = tuple(entry(n, name, n == 3) for n, name in NAMES.items() if n in (1, 2, 3, 4, 7, 9, 10))
    inventory = Inventory(
        "contoso.onmicrosoft.com", TENANT_ID, "global", "auditor@contoso.com", AT, emulated, coverage, registrations, principals,
        entries=entries, last_use=(LastUse(AppId(some_id(1)), AT - timedelta(days=1)),),
        mailboxes=(MailboxRecord(MailboxId("m1"), Address("broken@contoso.com"), "Broken", "user", unread="Ex6F9304: the mailbox is being moved"),)
        if coverage.unread else (),
        wanted=(Wanted("support-desk.yaml", "1", frozenset({AppId(some_id(1))}), "exosp-1"),),
    )  # fmt: skip
    until = date(2027, 3, 31)
    ignored = tuple(
        Ignored(finding(check, "medium", n, said), Ignore(check, NAMES[n], reason, until, f"audit.yaml:{line}"))
        for check, n, said, reason, line in (
            ("multi-tenant-without-need", 8, "Every tenant may use it.", "The vendor's product; contract 4711", 12),
            (
                "secret-where-certificate-possible",
                4,
                "It signs in with a secret.",
                "Moves to a certificate with release 9",
                16,
            ),
        )
    )
    lapsed = (
        Ignore("owner-missing", "Old App", "No owner until the move is done", date(2026, 6, 30), "audit.yaml:20"),
    )
    return Result(
        inventory, tuple(_routes()), findings, ignored, (), {"unused-access": "last-use"}, lapsed, version="0.1.0"
    )  # fmt: skip


CHECKS = ("owner-missing", "wrong-object-id", "credential-expired", "unused-access", "send-as-without-need", "rare")


def huge(findings: int = 10_000, grants: int = 5_000, applications: int = 400) -> Result:
    """Many of everything; one rare finding stands last of all."""
    names = {n: f"Application number {n} of a large tenant" for n in range(applications)}
    made: list[Finding] = []
    for i in range(findings - 1):
        n, severity = i % applications, SEVERITIES[4 - i * 5 // findings]
        made.append(
            Finding(CHECKS[i % 5], severity, "high", Subject("application", some_id(n), names[n], f"box{i}@contoso.com"),
                    f"Statement {i} of many, about what is wrong here and why that matters.",
                    (("Evidence", f"value {i}"), ("More", "x" * 60)),
                    (Fix(f"Remove-MailboxPermission -Identity 'box{i}@contoso.com' -User {quoted(some_id(n))}", "powershell"),))
        )  # fmt: skip
    made.append(Finding("rare", "info", "low", Subject("tenant", "tenant", "contoso"), "The last of all."))
    routes = tuple(
        route(i % applications, f"mailbox{(i * 7) % 2500}@contoso.com", "imap" if i % 3 else "smtp")
        for i in range(grants)
    )
    inventory = Inventory(
        "contoso.onmicrosoft.com", TENANT_ID, at=AT, coverage=COVERAGE,
        registrations=tuple(registration(n, name, certificate(f"s{n}", -100, n - 30)) for n, name in names.items()),
        principals=tuple(principal(n, name) for n, name in names.items()),
    )  # fmt: skip
    return Result(inventory, routes, tuple(made), version="0.1.0")


def hostile(names: Sequence[str]) -> Result:
    """Every text that a tenant, an operator or a playbook writes is one of these."""
    findings, routes, registrations, principals, ignored = [], [], [], [], []
    for n, text in enumerate(names, 1):
        subject = Subject("application", some_id(n), text, text)
        made = Finding(text if n % 2 else "owner-missing", "high", "high", subject, text, ((text, text),),
                       (Fix(f"Do-It -Name {quoted(text)}", "powershell"), Fix(text), Fix(text, "exosp")), text)  # fmt: skip
        findings.append(made)
        ignored.append(Ignored(made, Ignore(text, text, text, date(2027, 1, 1), text)))
        routes += [
            Route(AppId(some_id(n)), text, text, "imap", "open", "mailbox permission", text, text, (text,)),
            Route(AppId(some_id(n)), text, "", "graph", "read", "application permission", text, text),
            Route(AppId(""), f"{text}{n}", text, "imap", "open", "mailbox permission", "FullAccess"),
        ]
        registrations.append(
            Registration(ApplicationObjectId(text), AppId(some_id(n)), text, text, text,
                         (Credential("secret", text, text, AT - timedelta(days=1), AT + timedelta(days=n)),),
                         (Owner(text, text, "user", False),))
        )  # fmt: skip
        principals.append(Principal(PrincipalObjectId(text), AppId(some_id(n)), text, False, text, text))
    whole = "".join(names)
    inventory = Inventory(
        whole, whole, whole, whole, AT, True, Coverage(missing=dict.fromkeys(NEEDED, whole), mailboxes={whole: 1}, unread=1),
        tuple(registrations), tuple(principals),
        mailboxes=tuple(MailboxRecord(MailboxId(t), Address(t), t, "user", unread=t) for t in names),
        wanted=tuple(Wanted(t, t, frozenset({AppId(some_id(n))})) for n, t in enumerate(names, 1)),
    )  # fmt: skip
    return Result(
        inventory, tuple(routes), tuple(findings), tuple(ignored), tuple(findings), {whole: whole}, (), version=whole
    )
