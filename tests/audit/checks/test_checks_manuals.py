"""What every check has beside its judgement: a manual that an auditor can go by, its needs, and fixes that can be pasted."""

import json
import re
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import tree_sitter_powershell
from builders import application, entry, mailbox, role, secret, some_id, tenant
from found import findings, row
from hypothesis import given, settings
from test_checks_found import FOUND, NEAR
from test_checks_whole import MEASURES, whole
from test_routes import inventories
from tree_sitter import Language, Node, Parser

from exosp import checks
from exosp.checks import CHECKS, mending
from exosp.checks.tenant_wide_mail_access import role_of
from exosp.finding import Finding, Measures, quoted
from exosp.inventory import Grant, Inventory, MailboxRecord, Section, Wanted
from exosp.permissions import ROLES, TENANT_WIDE
from exosp.snapshot import Address, MailboxId

DATA = Path(__file__).parents[2] / "data"
HELPERS = {"__init__", "mending", "words"}

# What each check cannot do without.
NEEDS: dict[str, set[str]] = {
    "tenant-wide-mail-access": {"enterprise-applications", "role-grants", "access-policies"},
    "rbac-scope-too-wide": {"entries", "management-roles"},
    "can-grant-itself-mail": {"enterprise-applications", "role-grants"},
    "manages-exchange": {"enterprise-applications", "role-grants"},
    "delegated-for-everyone": {"enterprise-applications", "scope-grants"},
    "third-party-access": {"enterprise-applications", "role-grants"},
    "grant-to-privileged-mailbox": {"entries", "mailbox-permissions"},
    "too-many-mailboxes": {"entries", "mailbox-permissions"},
    "full-access-by-inheritance": {"entries", "mailbox-permissions"},
    "send-as-without-need": {"enterprise-applications", "role-grants", "entries", "recipient-permissions", "management-roles"},
    "wrong-object-id": {"entries", "enterprise-applications"},
    "enterprise-application-missing": {"applications", "enterprise-applications"},
    "exchange-entry-orphaned": {"entries", "applications", "enterprise-applications"},
    "entry-duplicated": {"entries"},
    "grant-without-consent": {"enterprise-applications", "role-grants", "entries", "mailbox-permissions", "management-roles"},
    "consent-without-grant": {"enterprise-applications", "role-grants", "entries", "mailbox-permissions", "management-roles"},
    "unresolved-trustee": {"entries", "mailbox-permissions"},
    "smtp-mode-mixed": {"enterprise-applications", "role-grants", "entries", "management-roles"},
    "rbac-scope-missing": {"entries", "management-roles", "management-scopes"},
    "access-policy-without-effect": {"enterprise-applications", "role-grants", "access-policies"},
    "smtp-auth-admits-passwords": {"authentication-policies", "transport"},
    "smtp-auth-tenant-wide": {"transport"},
    "credential-expiring": {"applications", "enterprise-applications"},
    "credential-on-enterprise-application": {"enterprise-applications"},
    "credential-too-long-lived": {"applications", "enterprise-applications"},
    "several-live-secrets": {"applications", "enterprise-applications"},
    "credential-expired": {"applications", "enterprise-applications"},
    "secret-where-certificate-possible": {"applications", "enterprise-applications"},
    "multi-tenant-without-need": {"applications", "role-grants"},
    "owner-disabled": {"applications", "enterprise-applications", "owners"},
    "owner-missing": {"applications", "owners"},
    "unused-access": {"enterprise-applications", "role-grants", "last-use"},
    "disabled-but-granted": {"enterprise-applications", "role-grants"},
    "protocol-off-but-granted": {"enterprise-applications", "role-grants", "entries", "mailbox-permissions", "client-access"},
    "grant-on-soft-deleted-mailbox": {"entries", "mailbox-permissions"},
    "playbook-drift": {"entries", "mailbox-permissions"},
    "not-in-any-playbook": {"applications", "enterprise-applications", "role-grants"},
    "granted-outside-exosp": {"applications", "entries", "mailbox-permissions"},
}  # fmt: skip

PARTS = ("What it means:", "How it is told:", "Why it matters:", "What to do:", "When it is no problem:", "Sources:")

# All that a fix may run. None of these takes away more than what it names.
COMMANDS = {
    # Exchange
    "Add-MailboxPermission", "Add-RecipientPermission", "Get-ApplicationAccessPolicy", "Get-Group", "Get-MailboxPermission",
    "Get-ManagementRoleAssignment", "New-ApplicationAccessPolicy", "New-AuthenticationPolicy", "New-ManagementRoleAssignment",
    "New-ManagementScope", "New-ServicePrincipal", "Remove-MailboxFolderPermission", "Remove-MailboxPermission",
    "Remove-ManagementRoleAssignment", "Remove-RecipientPermission", "Remove-ServicePrincipal", "Set-CASMailbox", "Set-Mailbox",
    "Set-OrganizationConfig", "Set-TransportConfig", "Set-User",
    # Microsoft Graph
    "Get-MgServicePrincipalAppRoleAssignment", "Get-MgServicePrincipalByAppId",
    "Get-MgServicePrincipalMemberOf", "Get-MgServicePrincipalOauth2PermissionGrant", "New-MgServicePrincipal",
    "Remove-MgApplicationOwnerDirectoryObjectByRef", "Remove-MgApplicationPassword", "Remove-MgServicePrincipalAppRoleAssignment",
    "Remove-MgServicePrincipalOwnerDirectoryObjectByRef", "Remove-MgServicePrincipalPassword", "Update-MgApplication",
    "Update-MgServicePrincipal",
    # PowerShell
    "ForEach-Object", "Format-List", "Read-Host", "Where-Object",
}  # fmt: skip


def test_every_file_is_a_check_and_every_check_is_listed():
    folder = Path(checks.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - HELPERS
    assert {name.replace("_", "-") for name in files} == {check.name for check in CHECKS}
    assert len({check.name for check in CHECKS}) == len(CHECKS) == 38


def test_needs():
    assert {check.name: set(check.needs) for check in CHECKS} == NEEDS
    assert {section for check in CHECKS for section in check.needs} <= set(get_args(Section))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_manual(check):
    """A title, then the same six parts in the same order; sources that anybody can open."""
    title, empty, body = check.manual.split("\n", 2)
    assert check.title == title
    assert len(title) <= 72
    assert not title.endswith(".")
    assert empty == ""
    places = [body.index(f"{part}") for part in PARTS]
    assert places == sorted(places)
    assert places[0] == 0
    for part, following in zip(PARTS, (*PARTS[1:], None), strict=True):
        said = body.partition(part)[2].partition(following)[0] if following else body.partition(part)[2]
        assert len(said.split()) >= (1 if part == "Sources:" else 5), part
    sources = [line for line in body.partition("Sources:")[2].split("\n") if line.strip()]
    assert sources
    assert all(
        re.match(r"- (learn|techcommunity)\.microsoft\.com/\S+|- attack\.mitre\.org/\S+", line) for line in sources
    )
    assert not re.search(r"FACTS|TODO", check.manual)
    assert max(map(len, check.manual.split("\n"))) <= 140


def test_a_check_says_its_own_name():
    for check in CHECKS:
        module = sys.modules[f"exosp.checks.{check.name.replace('-', '_')}"]
        assert f'check="{check.name}"' in Path(module.__file__ or "").read_text(encoding="utf-8")


def all_findings() -> list[Finding]:
    """Of all tenants that the tests of checks have."""
    cases = [(inventory, measures) for found in FOUND.values() for inventory, measures, _ in found]
    return [row for inventory, measures in [*cases, (whole(), MEASURES)] for row in findings(inventory, measures)]


def test_what_a_finding_says():
    """One sentence; evidence by name and value; something to do about it."""
    for finding in all_findings():
        assert re.fullmatch(r"[^\n]+\.", finding.statement), finding.statement
        assert not re.search(r"\. [A-Z]", finding.statement), finding.statement
        assert finding.evidence or finding.check == "owner-missing", finding.check
        assert all(name and value for name, value in finding.evidence), finding
        assert finding.fix, finding.check
        assert all(fix.shell or re.search(r"[.:]$", fix.command) for fix in finding.fix), finding.fix
        assert finding.subject.id


# Fixes


def parsed(text: str) -> Node:
    return Parser(Language(tree_sitter_powershell.language())).parse(text.encode()).root_node


def commands(node: Node) -> list[str]:
    """The names of all commands in a script, in order."""
    found = [(node.text or b"").decode()] if node.type == "command_name" else []
    return found + [name for child in node.children for name in commands(child)]


def scripts(found: list[Finding]) -> list[str]:
    return sorted({fix.command for finding in found for fix in finding.fix if fix.shell == "powershell"})


def test_fixes_are_commands_that_can_be_pasted():
    everything = scripts(all_findings())
    assert len(everything) > 60
    for text in everything:
        root = parsed(text)
        assert not root.has_error, text
        assert "\n" not in text
        assert set(commands(root)) <= COMMANDS, text
        assert commands(root), text


def test_every_command_that_may_be_run_is_run_by_some_fix():
    """Otherwise the list would allow what nobody looked at."""
    used = {
        name for text in scripts([*all_findings(), *findings(hostile(PLAIN), MOST)]) for name in commands(parsed(text))
    }
    assert used == COMMANDS


def test_fixes_of_exosp_are_its_commands():
    used = {fix.command.split()[1] for finding in all_findings() for fix in finding.fix if fix.shell == "exosp"}
    assert used <= {"plan", "apply", "audit", "verify"}
    assert used


def test_a_fix_removes_one_grant_with_its_trustee():
    """Never all of a mailbox's permissions, nor all of an application's."""
    for text in scripts(all_findings()):
        if text.startswith("Remove-MailboxPermission"):
            assert re.fullmatch(
                r"Remove-MailboxPermission -Identity '[^']+' -User '[^']+' -AccessRights \w+( -SoftDeletedMailbox)?",
                text,
            )
        if text.startswith("Remove-RecipientPermission"):
            assert re.fullmatch(
                r"Remove-RecipientPermission -Identity '[^']+' -Trustee '[^']+' -AccessRights SendAs", text
            )
        assert "-Confirm:$false" not in text


def test_every_parameter_is_one_of_its_cmdlets():
    """As far as the vendor's table goes, which has most of the cmdlets of Exchange that fixes name."""
    table = json.loads((DATA / "cmdlets.json").read_text(encoding="utf-8"))["cmdlets"]
    seen = set()
    for text in scripts(all_findings()):
        for name, said in re.findall(
            r"\b([A-Z][a-z]+-[A-Z]\w+)((?: -\w+(?::?[ ]?(?:'[^']*'|\$\w+|\([^)]*\)|\"[^\"]*\"|\w+))?)*)", text
        ):
            if name in table:
                seen.add(name)
                given = set(re.findall(r" -([A-Z]\w+)", re.sub("'[^']*'|\"[^\"]*\"", "''", said)))
                assert given <= set(table[name]["parameters"]), text
    assert len(seen) >= 12


@pytest.mark.parametrize("value", sorted({value for table in TENANT_WIDE.values() for value in table}))
def test_every_tenant_wide_permission_has_a_management_role(value: str):
    """By which the same can be had within a scope."""
    assert role_of(value) in ROLES


def test_a_fix_never_removes_all_secrets_at_once():
    """Whoever pastes all of it would stop the application."""
    desk = application("Desk", "IMAP.AccessAsApp", registration={"credentials": (secret("one"), secret("two"))})
    (finding,) = (row for row in findings(tenant(desk)) if row.check == "several-live-secrets")
    assert [fix.command for fix in finding.fix if fix.shell] == [
        f"Remove-MgApplicationPassword -ApplicationId '{some_id('registration', 'Desk')}' -KeyId (Read-Host 'key ID') -Confirm"
    ]


def test_the_fix_of_the_classic_mistake():
    """The wrong entry goes, the right one comes, and its mailboxes are granted again, in this order."""
    desk = application("Desk", "IMAP.AccessAsApp", object_id="99999999-0000-0000-0000-000000000001")
    (finding,) = findings(tenant(desk, mailbox("support@contoso.com", full=[desk])))
    assert [fix.command for fix in finding.fix] == [
        "Remove-ServicePrincipal -Identity '99999999-0000-0000-0000-000000000001'",
        f"New-ServicePrincipal -AppId '{desk.app_id}' -ObjectId '{desk.object_id}' -DisplayName 'Desk'",
        f"Add-MailboxPermission -Identity 'support@contoso.com' -User '{desk.object_id}' -AccessRights FullAccess -AutoMapping $false",
    ]


# Names that would be commands


PLAIN = "plain"
HOSTILE = (
    "it's", "'; Remove-Mailbox -Identity 'x' #", "\u2019; Remove-Mailbox x; \u2018", "\u201a \u201b \u201c \u201d", "$(Remove-Mailbox x)",
    "`'; Remove-Mailbox x", '" + (Remove-Mailbox x) + "', "x\nRemove-Mailbox x", "x\r\n; Remove-Mailbox x", "-Confirm:$false",
    "@{Remove='x'}; Remove-Mailbox x", "a | Remove-Mailbox", "\u202ereversed", "<# Remove-Mailbox #>", "&& calc",
)  # fmt: skip
CORPUS = DATA / "hostile_names.json"

MOST = Measures(privileged=("*",), widest=0)


def hostile(name: str) -> Inventory:
    """A tenant in which everything that can bear a name bears this one, and every check that shows a name has a say."""
    desk = application(
        f"desk {name}", "IMAP.AccessAsApp", "Exchange.ManageAsApp", graph=["Mail.Read", "Application.ReadWrite.All"],
        graph_everyone=["Mail.Read"], policies=[("deny", name)], used=None,
        roles=[role("Application Mail.Read", "organization", name=name), role(name, scope=name, name=f"{name} lost")],
        registration={"credentials": (secret(name), secret(f"{name} two")), "owners": (), "audience": "AzureADMultipleOrgs"},
        principal={"enabled": False, "credentials": (secret("on principal"),), "home": name},
    )  # fmt: skip
    mute = application(f"mute {name}", object_id=f"{name}")
    gone = application(f"gone {name}", registered=False, enterprise=False)
    off = application(f"off {name}", "SMTP.SendAsApp", roles=[role("Application SMTP.SendAsApp", name=f"{name} smtp")])
    address = f"{name}@contoso.com"
    other = Grant("other", name, role=name)
    folder = Grant("Folder", desk.object_id, desk.entry, folder=f"\\{name}", role="Reviewer")
    return tenant(
        desk, mute, gone, off,
        mailbox(address, full=[desk, mute, gone], send_as=[mute], on_behalf=[gone], unresolved=[name], grants=[other], imap=False),
        mailbox(f"group {address}", full=[desk, mute], kind="group"),
        mailbox(f"gone {address}", on_behalf=[desk], grants=[folder], kind="soft-deleted"),
        entries=(entry(name, desk.app_id, name, f"second {name}"),),
        wanted=(Wanted(f"{name}.yaml", name, drift=(name,)),),
    )  # fmt: skip


def test_a_quoted_text_is_one_argument():
    """All five characters that PowerShell takes for a single quote are doubled, and nothing else is changed but what
    cannot be printed."""
    assert quoted("it's") == "'it''s'"
    assert quoted("\u2018a\u2019b\u201ac\u201b") == "'\u2018\u2018a\u2019\u2019b\u201a\u201ac\u201b\u201b'"
    assert quoted('$(x) `"\u201c') == "'$(x) `\"\u201c'"
    assert quoted("a\nb\x1b\u202ec\0") == "'abc'"


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_becomes_part_of_a_command(name: str):
    """The same commands in the same order as with a plain name, and the parser sees nothing else in them. Where a name holds
    what cannot be seen, some give way to sentences, and none is added."""
    plain = findings(hostile(PLAIN), MOST)
    found = findings(hostile(name), MOST)
    if name.isprintable():
        shape = [(row.check, [fix.shell for fix in row.fix]) for row in found]
        assert sorted(shape) == sorted((row.check, [fix.shell for fix in row.fix]) for row in plain)
    for text in scripts(found):
        root = parsed(text)
        assert not root.has_error, text
        assert set(commands(root)) <= COMMANDS, text
        assert all(character.isprintable() for character in text)
    given_, wanted = (Counter(c for text in scripts(rows) for c in commands(parsed(text))) for rows in (found, plain))
    assert given_ <= wanted
    assert given_ == wanted or not name.isprintable()


def test_no_name_of_the_corpus_does_either():
    """With fewer comparisons, for there are many."""
    for name in json.loads(CORPUS.read_text(encoding="utf-8")).values():
        found = findings(hostile(name), MOST)
        assert len({finding.fingerprint for finding in found}) > 10
        for text in scripts(found):
            values = re.sub(
                "'(?:[^'\u2018\u2019\u201a\u201b]|'')*'", "''", re.sub("([\u2018\u2019\u201a\u201b])\\1", "", text)
            )
            assert not re.search("['\u2018\u2019\u201a\u201b]", values.replace("''", "")), text
            assert set(re.findall(r"\b[A-Z][a-z]+-[A-Z]\w+", values)) <= COMMANDS, text
            assert all(character.isprintable() for character in text)


# What was not read


OF_MAILBOXES = {"mailbox-permissions", "recipient-permissions", "client-access"}  # none of them is read without a list


def blanked(inventory: Inventory, section: str) -> Inventory:
    """The same tenant, of which this section was not read."""

    def without(right: str) -> Inventory:
        rows = (
            replace(box, grants=tuple(row for row in box.grants if row.right != right)) for box in inventory.mailboxes
        )
        return replace(inventory, mailboxes=tuple(rows))

    organization = inventory.organization
    whole = {
        "applications": lambda: replace(inventory, registrations=()),
        "enterprise-applications": lambda: replace(inventory, principals=()),
        "role-grants": lambda: replace(inventory, role_grants=()),
        "scope-grants": lambda: replace(inventory, scope_grants=()),
        "owners": lambda: replace(
            inventory,
            registrations=tuple(replace(row, owners=None) for row in inventory.registrations),
            principals=tuple(replace(row, owners=None) for row in inventory.principals),
        ),
        "last-use": lambda: replace(inventory, last_use=()),
        "security-defaults": lambda: replace(inventory, organization=replace(organization, security_defaults=None)),
        "entries": lambda: replace(inventory, entries=()),
        "mailboxes": lambda: replace(inventory, mailboxes=()),
        "mailbox-permissions": lambda: without("FullAccess"),
        "recipient-permissions": lambda: without("SendAs"),
        "client-access": lambda: replace(
            inventory, mailboxes=tuple(replace(box, access=None) for box in inventory.mailboxes)
        ),
        "transport": lambda: replace(inventory, organization=replace(organization, smtp_auth_disabled=None)),
        "authentication-policies": lambda: replace(inventory, organization=replace(organization, password_smtp=None)),
        "access-policies": lambda: replace(inventory, access_policies=()),
        "management-roles": lambda: replace(inventory, roles=()),
        "management-scopes": lambda: replace(inventory, scopes=()),
    }
    read = inventory.coverage.read - {section}
    return replace(whole.get(section, lambda: inventory)(), coverage=replace(inventory.coverage, read=read))  # type: ignore[arg-type]


@pytest.mark.parametrize("section", sorted(get_args(Section)))
def test_what_was_not_read_makes_no_finding(section: str):
    """A check that can do without a section finds no more where that one was not read."""
    for inventory in (whole(), *(case[0] for cases in (*FOUND.values(), *NEAR.values()) for case in cases)):
        less = blanked(inventory, section)
        gone = {section} | (OF_MAILBOXES if section == "mailboxes" else set())
        for check in CHECKS:
            if not gone & set(check.needs):
                before = {row(finding) for finding in check.find(inventory, MEASURES)}
                after = {row(finding) for finding in check.find(less, MEASURES)}
                invented = {
                    r for r in after - before if r.check != "smtp-auth-admits-passwords"
                }  # it says that it is not sure
                assert not invented, (check.name, section)


@settings(max_examples=30, deadline=None)
@given(inventories())
def test_whatever_a_tenant_holds_is_judged(inventory: Inventory):
    """No check fails on it, and none finds the same thing twice."""
    found = findings(inventory, MEASURES)
    assert len({finding.fingerprint for finding in found}) == len(found)
    assert all(finding.subject.id and finding.fix for finding in found)


def test_no_command_means_another_one_by_a_name_that_is_not_seen_whole():
    """Without its zero-width space, Admins could be somebody else's: then there is a sentence and no command."""
    box = MailboxRecord(
        MailboxId("10000000-0000-4000-8000-000000000001"), Address("desk@contoso.com"), "Desk", "shared"
    )
    for name, command in (("Admins", True), ("Admins\u200b", False), ("Admins\u202e", False), ("Admins\u00a0", False)):
        for fix in (*mending.taken([(box, Grant("FullAccess", name), name)]), mending.no_assignment(name)):
            assert (fix.shell == "powershell") is command
            assert command or fix.command == mending.UNSEEN
