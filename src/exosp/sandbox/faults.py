"""Every way in which the sandbox is unkind, as one named knob each, with its meaning and its source.

A knob is a number. Durations are sandbox seconds and are drawn per object between half and the whole of the knob, so that
two objects made together do not become visible together. Counts say how many times a thing happens in a tenant's life; a
count of 0.4 happens once in four lives of ten. Which request is hit is drawn from the seed too. Sizes say how large a
thing is that every client meets. Choices pick a form.

Each knob draws from a generator of its own, seeded with its name: what one knob draws moves no other's, so that two
requests that race each other change a life as little as can be.
Tenant policies and sources that disagree are choices, and off or the newer form in ``default``: they are a tenant's
configuration, no faults.
"""

import random
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Knob:
    name: str
    kind: Literal["seconds", "count", "size", "choice"]
    none: float
    default: float
    slow: float
    meaning: str
    source: str
    spread: int = 6  # of a count: the most occasions that lie between two strikes
    needs: str = ""  # what a client must do to meet it, where a provisioning client need not do it


_ADMIN_API = "the admin-api remoting"
_PWSH = "the pwsh remoting"

KNOBS: tuple[Knob, ...] = (
    Knob("read-lag", "seconds", 0, 2, 60,
         "a new application, service principal or assignment answers 404 Request_ResourceNotFound to reads by id",
         "msgraph-sdk-dotnet#3108"),
    Knob("list-lag", "seconds", 0, 3, 300,
         "filtered lists and look-ups by appId or uniqueName do not show a new object yet",
         "terraform-provider-azuread: consistency waits"),
    Knob("backing-application-lag", "seconds", 0, 2, 60,
         "POST /servicePrincipals for a new application answers 400 NoBackingApplicationObject",
         "vault-plugin-secrets-azure#8"),
    Knob("backing-application-form", "choice", 0, 0.4, 0.4,
         "the share of those answers that come in the other form: 403 Authorization_RequestDenied to a caller with "
         "Application.ReadWrite.All, 400 to one with Application.ReadWrite.OwnedBy alone, who gets the 403 otherwise",
         "terraform-provider-azuread#611; manicminer/hamilton#109"),
    Knob("read-flap", "seconds", 0, 3, 60,
         "for so long after a new object was first seen, four reads in ten, by id or in a list, do not see it again",
         "msgraph-sdk-dotnet#3108; terraform-provider-azuread waits for several good reads in a row"),
    Knob("assignment-lag", "seconds", 0, 3, 300,
         "appRoleAssignedTo answers 400 'Not a valid reference update.' for a new service principal",
         "msgraph-bicep-types#193"),
    Knob("secret-lag", "seconds", 0, 6, 120,
         "a new secret answers AADSTS7000215 at the token endpoint",
         "microsoft-graph-docs-contrib#1921: 4 to 18 s"),
    Knob("consent-lag", "seconds", 0, 10, 300,
         "a token minted this soon after an app role assignment does not carry the role",
         "terraform-provider-azuread#1811"),
    Knob("exchange-sync-lag", "seconds", 0, 20, 600,
         "Exchange does not know a new enterprise application: New-ServicePrincipal raises AADServicePrincipalNotFound",
         "field reports to August 2026"),
    Knob("grant-lag", "seconds", 0, 8, 5400,
         "a new mailbox permission shows in Get-MailboxPermission, a new entry in Get-ServicePrincipal, but logins do not honour it",
         "application-rbac article: 30 minutes to 2 hours; field reports: minutes to 90 minutes"),
    Knob("protocol-switch-lag", "seconds", 0, 12, 3600,
         "a switch set by Set-CASMailbox shows at once but logins are judged by the former one",
         "field practice: minutes to an hour"),
    Knob("rbac-cache", "seconds", 0, 8, 7200,
         "logins go by what an application's management roles were before a change: a quarter of it where nobody logs in, and "
         "every try prolongs that, up to the whole",
         "application-rbac article: 30 minutes for an idle application to 2 hours for an active one", needs="a login by a management role"),
    Knob("audit-log-lag", "seconds", 0, 5, 5400,
         "a write does not show in directoryAudits or in Search-UnifiedAuditLog yet",
         "Search-UnifiedAuditLog's help: 60 to 90 minutes; entra/identity/monitoring-health/reference-reports-latencies",
         needs="a reader of the audit logs"),
    Knob("page-size", "size", 100, 3, 3,
         "objects in a page of a Graph list",
         "Graph paging: a server may return fewer than $top"),
    Knob("graph-throttle", "count", 0, 1, 3,
         "Graph requests answered 429 with Retry-After instead of being served",
         "learn.microsoft.com/graph/throttling"),
    Knob("retry-after", "size", 1, 1, 5,
         "the wall seconds named by Retry-After",
         "learn.microsoft.com/graph/throttling"),
    Knob("graph-lost-reply", "count", 0, 1, 3,
         "Graph writes that happen and are then answered 504",
         "terraform-provider-azuread and azure-sdk reports of writes that took place"),
    Knob("graph-throttle-bare", "count", 0, 0.4, 2,
         "Graph requests answered 429 without Retry-After",
         "learn.microsoft.com/graph/throttling: back off exponentially where the header is missing", 12),
    Knob("graph-unavailable", "count", 0, 0.4, 2,
         "Graph requests answered 503 with Retry-After instead of being served",
         "learn.microsoft.com/graph/errors", 12),
    Knob("graph-lost-503", "count", 0, 0.4, 2,
         "Graph writes that happen and are then answered 503 without Retry-After",
         "terraform-provider-azuread and azure-sdk reports of writes that took place"),
    Knob("graph-drop", "count", 0, 0.4, 2,
         "Graph requests that are served and whose connection is closed without an answer",
         "what any network does; httpx: RemoteProtocolError", 12),
    Knob("graph-truncated", "count", 0, 0.4, 2,
         "Graph answers that end in their middle",
         "what any network does; httpx: RemoteProtocolError, incomplete body", 12),
    Knob("batch-throttle", "count", 0, 1, 3,
         "items of a $batch answered 429 with Retry-After while the others are served",
         "learn.microsoft.com/graph/throttling: throttling and batching", 10, needs="a $batch"),
    Knob("token-throttle", "count", 0, 0.4, 2,
         "token requests answered 429 with Retry-After, AADSTS90055",
         "learn.microsoft.com/entra/identity-platform/reference-error-codes"),
    Knob("token-throttle-bare", "count", 0, 0.4, 2,
         "token requests answered 429 without Retry-After, AADSTS90055",
         "learn.microsoft.com/entra/identity-platform/reference-error-codes names the code and no header", 9),
    Knob("token-unavailable", "count", 0, 0.4, 2,
         "token requests answered 503, AADSTS90033",
         "learn.microsoft.com/entra/identity-platform/reference-error-codes"),
    Knob("remoting-throttle", "count", 0, 0.4, 2,
         "remoting requests answered HTTP 429 with Retry-After by what stands before the host",
         "Exchange Online throttles with 429 and Retry-After (cisagov/ScubaGear, EXORestHelper)", 60),
    Knob("remoting-throttle-bare", "count", 0, 0.4, 2,
         "remoting requests answered HTTP 429 without Retry-After",
         "as remoting-throttle", 60),
    Knob("remoting-busy", "count", 0, 0.4, 2,
         "pipelines refused by WSMan fault 2150859174: the user's quota of operations is used up",
         "MS-WSMV; wsmerror.h ERROR_WSMAN_QUOTA_MAX_OPERATIONS", 24),
    Knob("remoting-drop-before", "count", 0, 0.4, 2,
         "remoting requests whose connection is closed before the host has read them",
         "what any network does; pypsrp: requests ConnectionError", 60),
    Knob("remoting-drop-after", "count", 0, 0.4, 2,
         "pipelines that run, and whose connection is closed instead of their output being sent",
         "what any network does; pypsrp: requests ConnectionError", 24),
    Knob("remoting-truncated", "count", 0, 0.4, 2,
         "pipelines that run, and whose output's envelope ends in its middle",
         "what any network does; pypsrp: ChunkedEncodingError", 24),
    Knob("remoting-html", "count", 0, 0.4, 2,
         "remoting requests answered 200 with a page of HTML by what stands before the host",
         "proxies and load balancers; pypsrp: ParseError", 60),
    Knob("shell-vanished", "count", 0, 0.4, 2,
         "shells that are gone, with whatever ran in them: WSMan fault 2150858843",
         "MS-WSMV; recordings of real servers in jborean93/pypsrp", 48),
    Knob("pwsh-ends-before", "count", 0, 0.4, 2,
         "local PowerShell processes that end when they are told of a pipeline, which does not run",
         "what any process may do; PowerShell's server mode ends with 4000 after an error of its own", 24, needs=_PWSH),
    Knob("pwsh-ends-after", "count", 0, 0.4, 2,
         "local PowerShell processes that end when a pipeline has run, before any of its output",
         "as pwsh-ends-before", 24, needs=_PWSH),
    Knob("admin-api-throttle", "count", 0, 0.4, 2,
         "admin API requests answered 429 with Retry-After instead of being served",
         "Exchange Online throttles with 429 and Retry-After (cisagov/ScubaGear, EXORestHelper)", 24, needs=_ADMIN_API),
    Knob("admin-api-throttle-bare", "count", 0, 0.4, 2,
         "admin API requests answered 429 without Retry-After",
         "GreyCorbel's ExoHelper waits by its own count, since none is named", 24, needs=_ADMIN_API),
    Knob("admin-api-item-throttle", "count", 0, 0.7, 3,
         "items of an admin API $batch answered 429 with Retry-After while the others are served",
         "KelvinTegelaar/CIPP-API, New-ExoBulkRequest reads each response's own error", 40, needs=_ADMIN_API),
    Knob("admin-api-unavailable", "count", 0, 0.4, 2,
         "admin API requests answered 503 with Retry-After instead of being served",
         "cisagov/ScubaGear, EXORestHelper repeats 500 and 503", 24, needs=_ADMIN_API),
    Knob("admin-api-lost-503", "count", 0, 0.4, 2,
         "admin API requests that are carried out and then answered 503 without Retry-After",
         "what stands before a service answers for it; cisagov/ScubaGear, EXORestHelper repeats 503", 24, needs=_ADMIN_API),
    Knob("admin-api-lost-500", "count", 0, 0.4, 2,
         "admin API requests that are carried out and then answered 500 with a page that is no JSON",
         "what stands before a service answers for it; cisagov/ScubaGear, EXORestHelper repeats 500", 24, needs=_ADMIN_API),
    Knob("admin-api-drop", "count", 0, 0.4, 2,
         "admin API requests that are carried out and whose connection is closed without an answer",
         "what any network does; httpx: RemoteProtocolError", 24, needs=_ADMIN_API),
    Knob("admin-api-truncated", "count", 0, 0.4, 2,
         "admin API answers that end in their middle",
         "what any network does; httpx: RemoteProtocolError, incomplete body", 24, needs=_ADMIN_API),
    Knob("admin-api-lost-item", "count", 0, 0.7, 3,
         "items of an admin API $batch that are carried out and have no response among the others",
         "OData JSON batch 4.01: responses are matched by id alone, in any order", 40, needs=_ADMIN_API),
    Knob("admin-api-page", "size", 1000, 3, 3,
         "rows in a page of the admin API, whatever larger number Prefer asks for; one row where it asks for none",
         "odata.maxpagesize is a wish; rknightion/graph2otel: one row and a nextLink without it", needs=_ADMIN_API),
    Knob("admin-api-region", "choice", 0, 0, 0,
         "EXOModuleFile: 0 answers, 1 redirects to the tenant's region, here another path of the same host",
         "cisagov/ScubaGear, EXORestHelper: some tenants are redirected", needs=_ADMIN_API),
    Knob("admin-api-anchor", "choice", 1, 1, 1,
         "1: Set-CASMailbox under an X-AnchorMailbox that is not its mailbox ends in CmdletProxyNotAvailableException",
         "KelvinTegelaar/CIPP-API, New-ExoRequest: anchored to the target's home server", needs=_ADMIN_API),
    Knob("admin-api-v1", "choice", 0, 0, 0,
         "InvokeCommand under v1.0: 0 is served as under beta, 1 is answered 405",
         "CIPP-API's -ApiVersion against a measurement of September 2026: sources disagree", needs=_ADMIN_API),
    Knob("item-transient", "count", 0, 0.7, 3,
         "items that Exchange refuses for a moment: ADServerSettingsChangedException, nothing done",
         "michevnew/PowerShell#9", 40),
    Knob("late-errors", "size", 0, 10, 10,
         "an error of an input item comes while up to so many later items are processed, under the later item's number",
         "the module's proxies send input in tens (module source)"),
    Knob("object-id-check", "choice", 1, 1, 1,
         "1: New-ServicePrincipal refuses an ObjectId that is no enterprise application; 0: it accepts anything and only logins fail",
         "application-rbac article 2025-11-25 against michev.info 4027: sources disagree"),
    Knob("unknown-identity", "choice", 1, 1, 1,
         "1: Get-* with an unknown identity raises ManagementObjectNotFoundException; 0: it returns every row",
         "cmdlet help against field reports: sources disagree"),
    Knob("permission-user", "choice", 0, 0, 0,
         "what Get-MailboxPermission's User shows for a service principal: 0 ObjectId, 1 display name, 2 SID",
         "not confirmed by any source"),
    Knob("permission-trustee", "choice", 0, 0, 0,
         "what Get-RecipientPermission's Trustee shows for a service principal: 0 ObjectId, 1 display name, 2 SID",
         "not confirmed by any source"),
    Knob("smtp-without-grant", "choice", 0, 0, 0,
         "SMTP for an app without FullAccess: 0 AUTH answers 535 5.7.3; 1 AUTH succeeds and only DATA answers 430 4.2.0 STOREDRV",
         "Microsoft's page against a report of 2026: sources disagree"),
    Knob("smtp-claim-and-rbac", "choice", 0, 0, 0,
         "SMTP for an app whose token carries SMTP.SendAsApp and that has a management role for it: 0 the mailbox's permissions "
         "decide alone, 1 either lets it in",
         "smtp-app-rbac-onboarding: the claim triggers a check of mailbox permissions; application-rbac: grants are a union"),
    Knob("send-as-trustee", "choice", 0, 0, 0,
         "whose SendAs lets a message carry another mailbox's address: 0 the app's or the login mailbox's, 1 the login mailbox's only, 2 the app's only",
         "vendor page's note of 2024-08-30 against notifuse#250: sources disagree"),
    Knob("smtp-shared-name", "choice", 0, 0, 0,
         "SMTP with a person's token and a shared mailbox as the user name: 0 AUTH answers 535 5.7.3 whatever the person "
         "holds, 1 FullAccess admits",
         "nextcloud/mail#13668, email-oauth2-proxy#426, MailKit#1770 against the vendor page: sources disagree"),
    Knob("send-as-form", "choice", 0, 0, 0,
         "how a message with another mailbox's address is refused after DATA: 0 554 5.2.252 SendAsDenied, 1 550 5.7.60, "
         "2 554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException",
         "gophish#2900; swiftmailer#1030, PHPMailer#1231; fusionauth-issues#220, MailKit#1176: all three are on record"),
    Knob("mailbox-full", "choice", 0, 0, 0,
         "1: the sender's mailbox is full, so its messages are refused after DATA: 554 5.2.2 mailbox full",
         "learn.microsoft.com/exchange/troubleshoot/send-emails/smtp-submission-improvements"),
    Knob("submission-rate", "size", 30, 30, 30,
         "messages that one mailbox may submit in a minute",
         "learn.microsoft.com/exchange/troubleshoot/send-emails/smtp-submission-improvements: 30 a minute"),
    Knob("submission-rate-form", "choice", 0, 0, 0,
         "a message beyond the rate: 0 is accepted and delivered in a later minute, 1 answers 421 4.4.2 and hangs up",
         "smtp-submission-improvements, OfficeDocs-Support#1150 against field reports of 421 4.4.2: sources disagree"),
    Knob("recipients-a-day", "size", 10000, 10000, 10000,
         "recipients that one mailbox may submit to in a day; beyond, DATA answers 554 5.2.0 SubmissionQuotaExceededException",
         "learn.microsoft.com/exchange/troubleshoot/send-emails/smtp-submission-improvements"),
    Knob("message-id", "choice", 0, 1, 1,
         "the Message-ID of a submitted message: 0 is kept, 1 gives way to the server's own, which the answer to DATA names, "
         "and stands as X-Microsoft-Original-Message-ID",
         "git-send-email --outlook-id-fix, msmtp#190, chatmail/core#1006 against older transcripts: sources disagree"),
    Knob("delivery-lag", "seconds", 0, 4, 120,
         "an accepted message is not in its mailbox yet",
         "RFC 5321 §2.3.11: accepted is not delivered; Exchange queues every message (its answer says so)",
         needs="a message"),
    Knob("submission-lost-reply", "count", 0, 0.4, 2,
         "messages that are delivered and whose connection is closed instead of the answer to DATA",
         "RFC 1047; what any network does", needs="a message"),
    Knob("submission-drop", "count", 0, 0.4, 2,
         "messages that are thrown away and whose connection is closed instead of the answer to DATA",
         "RFC 1047; what any network does", needs="a message"),
    Knob("login-name", "choice", 0, 0, 0,
         "which name opens a mailbox: 0 any of its addresses; 1 the UPN only, another is 'authenticated but not connected'",
         "a single field report against field practice: sources disagree"),
    Knob("restored-principal", "choice", 0, 0, 0,
         "restoring an application from the recycle bin: 0 brings back the application alone, 1 its enterprise application too",
         "learn.microsoft.com/graph/api/directory-deleteditems-restore against entra/identity/enterprise-apps/restore-application: "
         "pages differ"),
    Knob("policy-no-secrets", "choice", 0, 0, 0,
         "1: the tenant's app management policy forbids new secrets, CredentialTypeNotAllowedAsPerAppPolicy",
         "learn.microsoft.com/graph/api/resources/tenantappmanagementpolicy"),
    Knob("policy-secret-days", "choice", 0, 0, 0,
         "the days that the policy lets a new secret last, CredentialInvalidLifetimeAsPerAppPolicy beyond; 0: any",
         "learn.microsoft.com/graph/api/resources/tenantappmanagementpolicy; CIPP-API#1970"),
    Knob("conditional-access-block", "choice", 0, 0, 0,
         "a policy for workload identities blocks, AADSTS53003: 1 every application but the provisioning one, 2 that one too",
         "learn.microsoft.com/entra/identity/conditional-access/workload-identity"),
    Knob("person-policy", "choice", 0, 0, 0,
         "what a Conditional Access policy asks of people: 0 nothing, 1 a second factor (AADSTS50076 where no page is), "
         "2 blocks them, AADSTS53003",
         "learn.microsoft.com/entra/identity-platform/reference-error-codes"),
    Knob("user-consent", "choice", 0, 0, 0,
         "1: only an administrator may consent to mail permissions, AADSTS90094",
         "MC1163922: Microsoft's own consent policy since November 2025; a tenant may have another"),
    Knob("device-slow-down", "choice", 0, 0, 0,
         "a device code polled before its interval is over: 0 authorization_pending, 1 slow_down",
         "v2-oauth2-device-code names no slow_down, RFC 8628 §3.5 does: sources disagree"),
    Knob("principal-disabled", "choice", 0, 0, 0,
         "1: new enterprise applications come with accountEnabled false and are refused with AADSTS7000112",
         "learn.microsoft.com/entra/identity-platform/reference-error-codes"),
    Knob("assignment-required", "choice", 0, 0, 0,
         "Exchange Online takes assigned applications only; one without a role is refused with 1: AADSTS501051, "
         "2: AADSTS50105; read when the tenant is made",
         "learn.microsoft.com/entra/identity-platform/reference-error-codes"),
    Knob("dehydrated", "choice", 0, 0, 0,
         "1: IsDehydrated; new scopes and role assignments are refused until Enable-OrganizationCustomization has run",
         "learn.microsoft.com/powershell/module/exchangepowershell/enable-organizationcustomization"),
    Knob("other-cloud", "choice", 0, 0, 0,
         "a token asked for in a tenant whose initial domain is another cloud's: 0 AADSTS90002, 1 AADSTS90038, 2 AADSTS900382",
         "azure-powershell#22647; tieto/sipe#182; webprofusion/certify#553: all three are on record"),
    Knob("host-key", "choice", 0, 0, 0,
         "the private key of the certificate in the management host's store: 0 a CSP's, which the account may read; 1 a CNG "
         "key: \"Invalid provider type specified.\"; 2 one that it may not read: \"Keyset does not exist\"",
         "learn.microsoft.com/powershell/exchange/app-only-auth-powershell-v2 (no CNG); office-docs-powershell#10728; 1's text is "
         ".NET's own for such keys"),
    Knob("raw-endpoint", "choice", 0, 0, 0,
         "Connect-ExchangeOnline in a no-language endpoint that shows it as it is: 0 it connects, 1 refused as a script: the "
         "module writes its cmdlets as scripts while it connects",
         "FACTS §7 (practitioners; no report has the text); the text is PowerShell's own, PowerShell/JEA#20"),
    Knob("upsert-refused", "choice", 0, 0, 0,
         "PATCH /applications(uniqueName='…') with Prefer: create-if-missing: 0 refused in national clouds, 400 BadRequest; "
         "1 served everywhere; 2 refused everywhere; 3 the same, as 404 Request_ResourceNotFound",
         "learn.microsoft.com/graph/api/application-upsert: its Chinese edition against the English; no source has the refusal's form"),
    Knob("role-ids", "choice", 0, 0, 0,
         "the app role ids of Exchange and Graph: 0 the cloud's own, 1 GCC High, 2 random; read when the tenant is made",
         "ScubaGear f16241f5: clouds differ"),
)  # fmt: skip

PRESETS = ("none", "default", "slow")
_BY_NAME = {knob.name: knob for knob in KNOBS}


class UnknownFault(ValueError):
    """A knob or preset that does not exist; the message lists those that do."""


class Faults:
    """The knobs' present values and the draws made from them."""

    def __init__(self, preset: str = "default", seed: int = 0) -> None:
        self._values = {knob.name: float(getattr(knob, preset)) for knob in KNOBS}
        self._seed = seed
        self._generators: dict[str, random.Random] = {}
        self.fired: dict[str, int] = {}
        self._pending: dict[str, list[int]] = {}

    @classmethod
    def parse(cls, text: str, seed: int = 0) -> "Faults":
        """``none``, ``default``, ``slow``, ``NAME=VALUE``, or several joined by commas; the preset first."""
        parts = [part.strip() for part in text.split(",") if part.strip()]
        preset = "default"
        if parts and "=" not in parts[0]:
            preset = parts.pop(0)
            if preset not in PRESETS:
                raise UnknownFault(f"no preset {preset!r}; there are: {', '.join(PRESETS)}")
        faults = cls(preset, seed)
        for part in parts:
            name, _, value = part.partition("=")
            faults.set(name.strip(), value.strip())
        return faults

    def set(self, name: str, value: object) -> None:
        if name not in _BY_NAME:
            raise UnknownFault(f"no fault {name!r}; there are: {', '.join(_BY_NAME)}")
        try:
            number = float(str(value))
        except ValueError:
            raise UnknownFault(f"fault {name} takes a number, not {value!r}") from None
        if not 0 <= number < 1e9:
            raise UnknownFault(f"fault {name} takes a number from 0, not {value!r}")
        self._values[name] = number
        self._pending.pop(name, None)

    def __getitem__(self, name: str) -> float:
        return self._values[name]

    def generator(self, name: str) -> random.Random:
        """A knob's own source of chance."""
        if name not in self._generators:
            self._generators[name] = random.Random(f"{name}-{self._seed}")  # noqa: S311 - a seeded emulator, no secret
        return self._generators[name]

    def draw(self, name: str) -> float:
        """A delay in sandbox seconds for one new object, between half and the whole of the knob."""
        limit = self._values[name]
        return limit * self.generator(name).uniform(0.5, 1.0) if limit else 0.0

    def chance(self, name: str, share: float | None = None) -> bool:
        """One toss: yes in ``share`` of all cases; the knob's value where none is given. Notes nothing."""
        share = self._values[name] if share is None else share
        return share > 0 and self.generator(name).random() < share

    def strikes(self, name: str) -> bool:
        """Is it this occasion's turn? The knob says how often in a tenant's life; the seed says which occasions."""
        if name not in self._pending:
            self._pending[name] = self._turns(name)
        turns = self._pending[name]
        if not turns:
            return False
        turns[:] = [turn - 1 for turn in turns]
        if turns[0] > 0:
            return False
        turns.pop(0)
        self.note(name)
        return True

    def _turns(self, name: str) -> list[int]:
        """The occasions at which a count strikes, in order, counted from 1."""
        times = int(self._values[name])
        times += self.chance(name, self._values[name] - times)
        turns, turn = [], 0
        for _ in range(times):
            turn += self.generator(name).randint(1, _BY_NAME[name].spread)
            turns.append(turn)
        return turns

    def note(self, name: str) -> None:
        """Count that a knob has shown itself."""
        self.fired[name] = self.fired.get(name, 0) + 1

    def retry_after(self) -> str:
        """The Retry-After header of a refusal, in wall seconds."""
        self.note("retry-after")
        return str(max(1, int(self["retry-after"])))

    def describe(self) -> dict[str, dict[str, object]]:
        """Each knob with its value, meaning, source and how often it has fired, as ``GET /faults`` serves it."""
        return {
            knob.name: {
                "value": self._values[knob.name],
                "kind": knob.kind,
                "none": knob.none,
                "default": knob.default,
                "slow": knob.slow,
                "meaning": knob.meaning,
                "source": knob.source,
                "needs": knob.needs,
                "fired": self.fired.get(knob.name, 0),
            }
            for knob in KNOBS
        }
