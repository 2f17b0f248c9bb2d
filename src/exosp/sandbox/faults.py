"""Every way in which the sandbox is unkind, as one named knob each, with its meaning and its source.

A knob is a number. Durations are sandbox seconds and are drawn per object between half and the whole of the knob,
from the tenant's own seeded generator, so that two objects made together do not become visible together.
Counts say how many times a thing happens in a tenant's life. Which request is hit is drawn from the seed too.
"""

import random
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Knob:
    name: str
    kind: Literal["seconds", "count", "choice"]
    none: float
    default: float
    slow: float
    meaning: str
    source: str


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
    Knob("assignment-lag", "seconds", 0, 3, 300,
         "appRoleAssignedTo answers 400 'Not a valid reference update.' for a new service principal",
         "msgraph-bicep-types#193"),
    Knob("secret-lag", "seconds", 0, 6, 120,
         "a new secret answers AADSTS7000215 at the token endpoint",
         "microsoft-graph-docs-contrib#1921: 4 to 18 s"),
    Knob("consent-lag", "seconds", 0, 2, 60,
         "a token minted this soon after an app role assignment does not carry the role",
         "terraform-provider-azuread#1811"),
    Knob("exchange-sync-lag", "seconds", 0, 4, 600,
         "Exchange does not know a new enterprise application: New-ServicePrincipal raises AADServicePrincipalNotFound",
         "field reports to August 2026"),
    Knob("grant-lag", "seconds", 0, 8, 5400,
         "a new mailbox permission shows in Get-MailboxPermission but logins do not honour it",
         "application-rbac article: 30 minutes to 2 hours; field reports: minutes to 90 minutes"),
    Knob("page-size", "count", 100, 3, 3,
         "objects in a page of a Graph list",
         "Graph paging: a server may return fewer than $top"),
    Knob("graph-throttle", "count", 0, 1, 3,
         "Graph requests answered 429 with Retry-After instead of being served",
         "learn.microsoft.com/graph/throttling"),
    Knob("retry-after", "count", 1, 1, 5,
         "the wall seconds named by Retry-After",
         "learn.microsoft.com/graph/throttling"),
    Knob("graph-lost-reply", "count", 0, 1, 3,
         "Graph writes that happen and are then answered 504",
         "terraform-provider-azuread and azure-sdk reports of writes that took place"),
    Knob("object-id-check", "choice", 1, 1, 1,
         "1: New-ServicePrincipal refuses an ObjectId that is no enterprise application; 0: it accepts anything and only logins fail",
         "application-rbac article 2025-11-25 against michev.info 4027: sources disagree"),
    Knob("unknown-identity", "choice", 1, 1, 1,
         "1: Get-* with an unknown identity raises ManagementObjectNotFoundException; 0: it returns every row",
         "cmdlet help against field reports: sources disagree"),
    Knob("permission-user", "choice", 0, 0, 0,
         "what Get-MailboxPermission's User shows for a service principal: 0 ObjectId, 1 display name, 2 SID",
         "not confirmed by any source"),
    Knob("smtp-without-grant", "choice", 0, 0, 0,
         "SMTP for an app without FullAccess: 0 AUTH answers 535 5.7.3; 1 AUTH succeeds and only DATA answers 430 4.2.0 STOREDRV",
         "Microsoft's page against a report of 2026: sources disagree"),
    Knob("send-as-trustee", "choice", 0, 0, 0,
         "whose SendAs lets a message carry another mailbox's address: 0 the app's or the login mailbox's, 1 the login mailbox's only, 2 the app's only",
         "vendor page's note of 2024-08-30 against notifuse#250: sources disagree"),
    Knob("role-ids", "choice", 0, 0, 0,
         "the app role ids of Exchange and Graph: 0 worldwide, 1 GCC High, 2 random; read when the tenant is made",
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
        self._random = random.Random(f"faults-{seed}")  # noqa: S311 - a seeded emulator, not a secret
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

    def draw(self, name: str) -> float:
        """A delay in sandbox seconds for one new object, between half and the whole of the knob."""
        limit = self._values[name]
        return limit * self._random.uniform(0.5, 1.0) if limit else 0.0

    def strikes(self, name: str, spread: int = 6) -> bool:
        """Is it this occasion's turn? The knob says how often in a tenant's life; the seed says which occasions.

        Occasions are counted per knob; ``spread`` is how many occasions lie between two strikes at the most.
        """
        if name not in self._pending:
            turns, turn = [], 0
            for _ in range(int(self._values[name])):
                turn += self._random.randint(1, spread)
                turns.append(turn)
            self._pending[name] = turns
        turns = self._pending[name]
        if not turns:
            return False
        turns[:] = [turn - 1 for turn in turns]
        if turns[0] > 0:
            return False
        turns.pop(0)
        self.note(name)
        return True

    def note(self, name: str) -> None:
        """Count that a knob has shown itself."""
        self.fired[name] = self.fired.get(name, 0) + 1

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
                "fired": self.fired.get(knob.name, 0),
            }
            for knob in KNOBS
        }
