"""May this sign-in do what a command will need? Pure: (needs, rights) -> findings, each with what to grant, the least first.

Nothing is fetched here. What could not be read is unknown, and said to be: it is neither there nor missing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from . import needs
from .needs import Need
from .playbook import Playbook
from .snapshot import Address

State = Literal["there", "missing", "eligible", "unknown"]

# Template ids of the directory roles that matter here (learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference).
ROLES = {
    "62e90394-69f5-4237-9190-012177145e10": "Global Administrator",
    "29232cdf-9323-42fd-ade2-1d097af3e4de": "Exchange Administrator",
    "31392ffb-586c-42d1-9346-e59415a2cc4e": "Exchange Recipient Administrator",
    "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3": "Application Administrator",
    "158c047a-c907-4556-b7ef-446551a6b5f7": "Cloud Application Administrator",
    "e8611ab8-c189-46e8-94e1-60213ab1f814": "Privileged Role Administrator",
    "f2ef992c-3afb-46b9-b7cf-a126ee74c451": "Global Reader",
}
# Which of them would bring what is missing, were they active.
_BRINGS = {
    "graph": ("Application Administrator", "Cloud Application Administrator", "Global Administrator"),
    "exchange": ("Exchange Administrator", "Exchange Recipient Administrator", "Global Administrator"),
}


NOT_OWNER = "Application.ReadWrite.OwnedBy is there, and who runs exosp is not an owner of the application"


@dataclass(frozen=True)
class Who:
    """Who runs exosp, as its tokens say. ``name`` is for people; ``object_id`` is the enterprise application's, or the
    person's. ``home``: the tenant that a person is of, where that is a partner's, or a guest's own."""

    sign_in: str
    person: bool
    name: str
    app_id: str
    object_id: str
    tenant_id: str
    home: str = ""


@dataclass(frozen=True)
class Rights:
    """What was found out. None: it could not be read, and ``unread`` has the reason by that name. ``covered``: the cmdlets
    that were asked about, None for all. ``active`` and ``eligible`` are directory roles by name. ``shut``: the way to Exchange's
    cmdlets is named and does not work."""

    who: Who
    graph: frozenset[str] | None = None
    exchange: frozenset[str] | None = None  # permissions in the Exchange token
    cmdlets: frozenset[str] | None = None
    covered: frozenset[str] | None = None
    active: frozenset[str] | None = None
    eligible: frozenset[str] | None = None
    owns: str | None = (
        None  # an application that is there: "" where the caller owns it, else its object ID; None: not asked
    )
    unread: Mapping[str, str] = field(default_factory=dict)
    shut: bool = False


@dataclass(frozen=True)
class Grant:
    """One thing that would do. ``commands`` do it by hand, ``caution`` what else it gives."""

    what: str
    commands: tuple[str, ...] = ()
    caution: str = ""


@dataclass(frozen=True)
class Finding:
    need: Need
    state: State
    why: str = ""  # where it is not there

    @property
    def blocks(self) -> bool:
        """Whether a command that writes must not begin."""
        return self.state in ("missing", "eligible") and not (self.need.others_can or self.need.partial)


@dataclass(frozen=True)
class Condition:
    """Something else of the tenant that decides. ``stops``: it will stop this run, as far as can be told."""

    name: str
    what: str
    stops: bool = False


@dataclass(frozen=True)
class Preflight:
    rights: Rights
    findings: tuple[Finding, ...]
    grants: tuple[Grant, ...]
    conditions: tuple[Condition, ...]

    @property
    def missing(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.state in ("missing", "eligible"))

    @property
    def unknown(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.state == "unknown")

    @property
    def clear(self) -> bool:
        """Everything is there, as far as could be read."""
        return not self.missing and not any(condition.stops for condition in self.conditions)


def judge(
    wanted: Sequence[Need], rights: Rights, want: Playbook | None = None, conditions: Sequence[Condition] = ()
) -> Preflight:
    findings = tuple(_finding(need, rights) for need in wanted)
    missing = [f for f in findings if f.state in ("missing", "eligible")]
    return Preflight(rights, findings, grants(missing, rights, want), (*conditions, *_of_person(wanted, rights)))


def _finding(need: Need, rights: Rights) -> Finding:
    held, key = _held(need, rights)
    if held is None:
        return Finding(need, "unknown", rights.unread.get(key, "it was not asked"))
    enough = [way for way in need.ways if way <= held]
    if need.of_owner and enough and all(way == needs.OWNED for way in enough):
        if rights.owns:
            return Finding(need, "missing", NOT_OWNER)
        if "owners" in rights.unread:
            return Finding(need, "unknown", rights.unread["owners"])
    if enough:
        return Finding(need, "there")
    if need.service == "exchange" and rights.covered is not None and not need.least <= rights.covered | {needs.MANAGE}:
        return Finding(need, "unknown", "it was not asked about")
    bringing = {*_BRINGS[need.service], *(("Global Reader",) if need.what_for.startswith("reading") else ())}
    brings = sorted(bringing & (rights.eligible or frozenset()) - (rights.active or frozenset()))
    if brings:
        return Finding(need, "eligible", f"{brings[0]} is eligible and not active: activate it in PIM")
    return Finding(need, "missing", rights.unread.get(key, ""))


def _of_person(wanted: Sequence[Need], rights: Rights) -> Iterator[Condition]:
    """A delegated permission lets a person do by the client what their directory roles let them do, and no more."""
    writes = any(need.service == "graph" and needs.READS.person != need.ways for need in wanted)
    if not rights.who.person or rights.active is None or not writes:
        return
    useful = sorted(set(_BRINGS["graph"]) & rights.active)
    ready = sorted(set(_BRINGS["graph"]) & (rights.eligible or frozenset()))
    if useful:
        yield Condition("directory role", f"{useful[0]} is active")
    elif ready:
        yield Condition("directory role", f"{ready[0]} is eligible and not active: activate it in PIM", stops=True)
    elif rights.who.home:
        yield Condition("directory role", "none that is active lets you make applications here: Cloud Application Administrator "
                        "is the least, by the delegated (GDAP) relationship", stops=True)  # fmt: skip
    else:  # defaultuserrolepermissions: allowedToCreateApps
        yield Condition("directory role", "none that is active lets you make applications: Cloud Application Administrator is "
                        "the least, unless the tenant lets its members register applications of their own")  # fmt: skip


def _held(need: Need, rights: Rights) -> tuple[frozenset[str] | None, str]:
    if need.service == "graph":
        return rights.graph, "graph"
    if need.least == {needs.MANAGE}:
        return rights.exchange, "exchange"
    return rights.cmdlets, "cmdlets"


# What to grant: the least first


def grants(missing: Sequence[Finding], rights: Rights, want: Playbook | None) -> tuple[Grant, ...]:
    """For all that is missing together, one service after the other; within one, the least first."""
    graph = [f.need for f in missing if f.need.service == "graph"]
    manage = [f.need for f in missing if f.need.least == {needs.MANAGE}]
    cmdlets = sorted({name for f in missing if f.need.service == "exchange" for name in f.need.least} - {needs.MANAGE})
    found: list[Grant] = []
    found += _graph_grants(graph, rights)
    if manage:
        found.append(Grant(
            f"the application permission {needs.MANAGE} on Office 365 Exchange Online",
            _assign("00000002-0000-0ff1-ce00-000000000000", (needs.MANAGE,), rights.who),
            "by itself it runs no cmdlet: a role group or a directory role decides which",
        ))  # fmt: skip
    if cmdlets:
        found += _exchange_grants(cmdlets, rights, want)
    return tuple(found)


def _graph_grants(wanted: Sequence[Need], rights: Rights) -> list[Grant]:
    who, held = rights.who, rights.graph or frozenset()
    found: list[Grant] = []
    for need in dict.fromkeys(wanted):
        lacking = sorted(need.least - held)
        if not lacking:  # OwnedBy without owning
            found += [
                Grant("ownership of the application", _own(rights)),
                Grant("or, for every application, Application.ReadWrite.All on Microsoft Graph",
                      _assign(_MICROSOFT_GRAPH, ("Application.ReadWrite.All",), who)),
            ]  # fmt: skip
            continue
        kind = "delegated permission" if who.person else "application permission"
        tier_0 = needs.TIER_0 in lacking
        caution = ""
        if tier_0:
            caution = f"{needs.TIER_0} is tier 0: whoever holds it can give itself any permission in the tenant"
            found.append(Grant(
                "leave consent to somebody else: apply does the rest and prints the page where they consent",
            ))  # fmt: skip
            found.append(Grant(
                "or a custom directory role with microsoft.directory/servicePrincipals/managePermissionGrantsForAll."
                "POLICY, where POLICY is an app consent policy that allows Exchange's mail roles alone",
                _consent_policy(),
            ))  # fmt: skip
        commands = () if who.person else _assign(_MICROSOFT_GRAPH, tuple(lacking), who)
        lead = "or " if tier_0 else ""
        found.append(Grant(f"{lead}the {kind} {' and '.join(lacking)} on Microsoft Graph", commands, caution))
        if "Application.ReadWrite.OwnedBy" in need.least:
            found.append(Grant(
                "more than that, Application.ReadWrite.All, only for an application that somebody else made and this one "
                "is not an owner of",
            ))  # fmt: skip
        if who.person:
            found.append(Grant("and the directory role Cloud Application Administrator, active, for who signs in"))
    return list(dict.fromkeys(found))


def _own(rights: Rights) -> tuple[str, ...]:
    at = "https://graph.microsoft.com/v1.0/directoryObjects/"
    return (
        "Connect-MgGraph -Scopes Application.ReadWrite.All",
        f"New-MgApplicationOwnerByRef -ApplicationId {rights.owns} "
        f"-BodyParameter @{{ '@odata.id' = '{at}{rights.who.object_id}' }}",
    )


_MICROSOFT_GRAPH = "00000003-0000-0000-c000-000000000000"


def _assign(resource: str, values: Sequence[str], who: Who) -> tuple[str, ...]:
    """Graph PowerShell, by somebody who may consent. Ids of roles are looked up: clouds differ."""
    return (
        "Connect-MgGraph -Scopes AppRoleAssignment.ReadWrite.All, Application.Read.All",
        f"$resource = Get-MgServicePrincipal -Filter \"appId eq '{resource}'\"",
        *(line for value in values for line in (
            f"$role = $resource.AppRoles | Where-Object {{ $_.Value -eq '{value}' -and $_.AllowedMemberTypes -contains 'Application' }}",
            f"New-MgServicePrincipalAppRoleAssignment -ServicePrincipalId {who.object_id or 'OBJECT-ID'} "
            f"-PrincipalId {who.object_id or 'OBJECT-ID'} -ResourceId $resource.Id -AppRoleId $role.Id",
        )),
    )  # fmt: skip


def _consent_policy() -> tuple[str, ...]:
    return (
        "Connect-MgGraph -Scopes Policy.ReadWrite.PermissionGrant, RoleManagement.ReadWrite.Directory, Application.Read.All",
        "$exchange = Get-MgServicePrincipal -Filter \"appId eq '00000002-0000-0ff1-ce00-000000000000'\"",
        "$mail = $exchange.AppRoles | Where-Object { $_.Value -in 'IMAP.AccessAsApp', 'POP.AccessAsApp', 'SMTP.SendAsApp' }",
        "New-MgPolicyPermissionGrantPolicy -Id exosp-mail -DisplayName 'exosp: mail roles' -Description 'IMAP, POP, SMTP'",
        "New-MgPolicyPermissionGrantPolicyInclude -PermissionGrantPolicyId exosp-mail -PermissionType application "
        "-ResourceApplication $exchange.AppId -Permissions $mail.Id",
    )


ROLE_GROUP = "exosp"


def _exchange_grants(cmdlets: Sequence[str], rights: Rights, want: Playbook | None) -> list[Grant]:
    who = rights.who
    if all(name in needs.VIEW_ROLE for name in cmdlets) and not _writing(cmdlets):
        return _view_only(cmdlets, who)
    recipients = any(needs.CMDLET_ROLE.get(name) == "Mail Recipients" for name in cmdlets)
    scope = _scope(want) if recipients else ""
    least = Grant(
        f"a role group of Exchange with {', '.join(cmdlets)} alone"
        + (", and write access to the playbook's mailboxes alone" if scope else ""),
        role_group(cmdlets, who, scope),
        ("a management scope limits what is written, not what is read; " if scope else "")
        + "Get-ManagementRole -Cmdlet NAME shows which role of yours holds a cmdlet",
    )
    roles = {needs.CMDLET_ROLE.get(name, "") for name in cmdlets}
    wider = (
        [Grant("or, wider, the directory role Exchange Recipient Administrator")]
        if roles <= {"Mail Recipients"}
        else []
    )
    last = Grant(
        "or, wider still, the directory role Exchange Administrator",
        caution="it manages all of Exchange Online; it takes minutes to an hour to be honoured",
    )
    return [least, *wider, last]


def _writing(cmdlets: Sequence[str]) -> bool:
    return any(name.partition("-")[0] not in ("Get", "Search", "Test") for name in cmdlets)


def _view_only(cmdlets: Sequence[str], who: Who) -> list[Grant]:
    """Where nothing is written: roles that could not."""
    roles = sorted({needs.VIEW_ROLE[name] for name in cmdlets})
    named = ",".join(f'"{role}"' for role in roles)
    least = Grant(
        f"a role group of Exchange with {', '.join(roles)}: they read, and write nothing",
        (
            f'New-RoleGroup -Name "{ROLE_GROUP} reading" -Roles {named}',
            *_member(f"{ROLE_GROUP} reading", who),
        ),
        "Get-ManagementRole -Cmdlet NAME shows which role of yours holds a cmdlet",
    )
    log = "; it does not read the audit log" if "Search-UnifiedAuditLog" in cmdlets else ""
    return [least, Grant("or, wider, the directory role Global Reader",
                         caution=f"it reads all of Microsoft 365's settings, and writes none{log}")]  # fmt: skip


def role_group(cmdlets: Sequence[str], who: Who, scope: str = "") -> tuple[str, ...]:
    """Exchange PowerShell, by somebody of Organization Management. Source: the help of New-ManagementRole (-EnabledCmdlets
    copies these from the parent and no others), New-ManagementScope, New-RoleGroup, Add-RoleGroupMember."""
    by_role: dict[str, list[str]] = {}
    for name in cmdlets:
        by_role.setdefault(needs.CMDLET_ROLE.get(name, "View-Only Configuration"), []).append(name)
    lines = [
        f'New-ManagementRole -Name "{ROLE_GROUP} {role}" -Parent "{role}" -EnabledCmdlets {",".join(held)}'
        for role, held in sorted(by_role.items())
    ]
    if scope:
        lines.append(f'New-ManagementScope -Name "{ROLE_GROUP} mailboxes" -RecipientRestrictionFilter "{scope}"')
    written = f' -CustomRecipientWriteScope "{ROLE_GROUP} mailboxes"' if scope else ""
    roles = ",".join(f'"{ROLE_GROUP} {role}"' for role in sorted(by_role))
    lines.append(f'New-RoleGroup -Name "{ROLE_GROUP}" -Roles {roles}{written}')
    return (*lines, *_member(ROLE_GROUP, who))


def _member(group: str, who: Who) -> tuple[str, ...]:
    if who.person:
        return (f'Add-RoleGroupMember -Identity "{group}" -Member {literal(who.name or "USER")}',)
    app, principal = who.app_id or "APP-ID", who.object_id or "OBJECT-ID"
    return (
        f"New-ServicePrincipal -AppId {app} -ObjectId {principal} -DisplayName {literal(who.name or 'exosp')}",
        f'Add-RoleGroupMember -Identity "{group}" -Member {principal}',
    )


_MANY = 40  # mailboxes in a filter; a longer one is a group's affair


def _scope(want: Playbook | None) -> str:
    """A recipient filter of the playbook's mailboxes, empty where there are too many to list."""
    if want is None or not 0 < len(want.boxes) <= _MANY:
        return ""
    named = [*(box.address for box in want.boxes), *(box.send_as.sender for box in want.boxes if box.send_as)]
    return " -or ".join(f"PrimarySmtpAddress -eq '{_quoted(address)}'" for address in dict.fromkeys(named))


def _quoted(address: Address) -> str:
    """Inside single quotes inside double ones: PowerShell's own escapes. It takes typographic quotes for quotes."""
    return re.sub('([`$"\u201c\u201d\u201e])', r"`\1", address.replace("'", "''"))


def literal(text: str) -> str:
    """One PowerShell string that is nothing but this text: names come from the tenant, and commands are pasted."""
    kept = "".join(char for char in text if char.isprintable())
    return "'" + re.sub("(['\u2018\u2019\u201a\u201b])", r"\1\1", kept) + "'"


# What else decides


def app_management(body: Mapping[str, Any], want: Playbook | None) -> Condition:
    """/policies/defaultAppManagementPolicy. Only rules that are on, and of secrets."""
    name = "application management policy"
    rules = (body.get("applicationRestrictions") or {}).get("passwordCredentials") or []
    live = [rule for rule in rules if isinstance(rule, dict) and rule.get("state", "enabled") == "enabled"]
    if not body.get("isEnabled") or not live:
        return Condition(name, "none limits secrets")
    if any(rule.get("restrictionType") == "passwordAddition" for rule in live):
        return Condition(name, "it forbids new secrets: ask for an exemption, or use a certificate", stops=True)
    lifetimes = [rule.get("maxLifetime") for rule in live if rule.get("restrictionType") == "passwordLifetime"]
    for text in lifetimes:
        longest = _duration(str(text))
        if longest is not None:
            credential = want.app.credential if want is not None else None
            over = credential is not None and credential.valid_for > longest.total_seconds()
            days = f"{longest.days} days" if longest.days else f"{longest.total_seconds() / 3600:g} hours"
            hint = ": shorten valid_for in the playbook" if over else ""
            return Condition(name, f"secrets last {days} at most{hint}", stops=over)
    return Condition(name, "it limits secrets in a way that exosp does not know")


def _duration(text: str) -> timedelta | None:
    """ISO 8601, as the policy has it: days, hours, minutes."""
    found = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?", text)
    if found is None or not any(found.groups()):
        return None
    days, hours, minutes = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes)


def security_defaults(body: Mapping[str, Any], who: Who) -> Condition:
    """/policies/identitySecurityDefaultsEnforcementPolicy."""
    if not body.get("isEnabled"):
        return Condition("security defaults", "off")
    ends = "who signs in gives a second factor" if who.person else "they concern people, not this application"
    return Condition("security defaults", f"on; {ends}")


def conditional_access(rows: Sequence[Mapping[str, Any]], who: Who) -> Condition:
    """/identity/conditionalAccess/policies: those for workload identities that include this application, by name."""
    name = "Conditional Access for workload identities"
    if who.person:
        return Condition(name, "it concerns applications, and a person is signed in")
    found = []
    for row in rows:
        clients = ((row.get("conditions") or {}).get("clientApplications")) or {}
        included = clients.get("includeServicePrincipals") or []
        excluded = clients.get("excludeServicePrincipals") or []
        applies = who.object_id in included or "ServicePrincipalsInMyTenant" in included
        if row.get("state") == "enabled" and applies and who.object_id not in excluded:
            found.append(str(row.get("displayName", row.get("id", ""))))
    if not found:
        return Condition(name, "no policy includes this application")
    return Condition(name, f"this application is subject to: {', '.join(sorted(found))}; from a place that they do not "
                     "allow tokens are refused (AADSTS53003)")  # fmt: skip


def dehydrated(state: bool) -> Condition:
    """Get-OrganizationConfig's IsDehydrated."""
    if not state:
        return Condition("organization", "customization is enabled")
    return Condition("organization", "it is dehydrated: new roles, role groups and scopes are refused until "
                     "Enable-OrganizationCustomization has run")  # fmt: skip


def unread(name: str, why: str) -> Condition:
    return Condition(name, f"could not be read: {why}")
