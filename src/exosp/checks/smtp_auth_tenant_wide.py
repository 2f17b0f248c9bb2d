"""SMTP AUTH is on for the whole tenant

What it means: every mailbox that does not say otherwise takes SMTP logins, by password or by token.

How it is told: the tenant's transport settings have SmtpClientAuthenticationDisabled set to False.

Why it matters: few mailboxes need it: those of applications and printers. For all others it is a door for stolen passwords and
tokens that no mail program of theirs uses. Microsoft has it off in new tenants.

What to do: switch it on for the mailboxes that need it, then off for the tenant. A mailbox's own setting goes before the tenant's.

When it is no problem: hardly ever; while you find out which mailboxes need it.

Sources:
- learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/authenticated-client-smtp-submission
- learn.microsoft.com/powershell/module/exchangepowershell/set-transportconfig
"""

from collections.abc import Iterator

from ..finding import Finding, Measures, Subject
from ..inventory import Inventory, Section
from . import mending

NEEDS: tuple[Section, ...] = ("transport",)


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    if inventory.organization.smtp_auth_disabled is not False:
        return
    yield Finding(
        check="smtp-auth-tenant-wide",
        severity="medium",
        confidence="high",
        subject=Subject("tenant", "tenant", inventory.tenant or "the tenant"),
        statement="SMTP AUTH is on for every mailbox of the tenant that does not switch it off itself.",
        evidence=(("SmtpClientAuthenticationDisabled of the tenant", "False"),),
        fix=(
            mending.say("For each mailbox that needs SMTP, first:"),
            mending.powershell(
                "Set-CASMailbox -Identity (Read-Host 'mailbox') -SmtpClientAuthenticationDisabled $false"
            ),
            mending.say("Then for the tenant:"),
            mending.powershell("Set-TransportConfig -SmtpClientAuthenticationDisabled $true"),
        ),
    )
