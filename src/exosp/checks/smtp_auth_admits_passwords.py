"""SMTP takes passwords

What it means: SMTP AUTH is on, for the tenant or for a mailbox on which an application holds something, and nothing stops a login
with a user name and password there.

How it is told: the default authentication policy allows basic authentication for SMTP (AllowBasicAuthSmtp), or there is none;
security defaults are not known to be on; and SMTP AUTH is on for the tenant (one finding for the tenant) or by a mailbox's own
setting (one finding for each mailbox of this audit). Policies of single users and conditional access are not read, so
the confidence is medium.

Why it matters: a password that was guessed or stolen sends mail without multi-factor authentication. An application that uses
tokens does not need passwords to be allowed beside it. Microsoft switches them off by default from the end of 2026.

What to do: block passwords for SMTP by an authentication policy. It is about passwords alone, and tokens should go on working;
but the vendor's page on SMTP AUTH says that clients cannot use it any more. Try it on one mailbox first (``exosp verify``).

When it is no problem: devices that know nothing but passwords, each with a mailbox of its own, until they are replaced.

Sources:
- learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/disable-basic-authentication-in-exchange-online
- learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/authenticated-client-smtp-submission
- techcommunity.microsoft.com/blog/exchange/updated-exchange-online-smtp-auth-basic-authentication-deprecation-timeline/4489835
"""

from collections.abc import Iterator

from ..finding import Finding, Measures, Subject, quoted
from ..inventory import Inventory, Section
from . import mending

NEEDS: tuple[Section, ...] = ("authentication-policies", "transport")

POLICY = "'No passwords for SMTP'"  # a new authentication policy allows no passwords


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    organization = inventory.organization
    if organization.password_smtp is not True or organization.security_defaults is True:
        return
    defaults = "not known" if organization.security_defaults is None else "off"
    evidence = (("passwords for SMTP by the default policy", "allowed"), ("security defaults", defaults))
    if organization.smtp_auth_disabled is False:
        yield Finding(
            check="smtp-auth-admits-passwords",
            severity="high",
            confidence="medium",
            subject=Subject("tenant", "tenant", inventory.tenant or "the tenant"),
            statement="SMTP is on for the whole tenant and takes passwords.",
            evidence=(*evidence, ("SmtpClientAuthenticationDisabled of the tenant", "False")),
            fix=(
                mending.say(
                    "If the tenant has a default authentication policy, switch AllowBasicAuthSmtp off in it. If not:"
                ),
                mending.powershell(f"New-AuthenticationPolicy -Name {POLICY}"),
                mending.powershell(f"Set-OrganizationConfig -DefaultAuthenticationPolicy {POLICY}"),
            ),
        )
    for mailbox in sorted(inventory.mailboxes, key=lambda box: (box.address.lower(), box.id)):
        if mailbox.access is not None and mailbox.access.smtp_auth_disabled is False:
            yield Finding(
                check="smtp-auth-admits-passwords",
                severity="high",
                confidence="medium",
                subject=Subject("mailbox", mailbox.id, mailbox.address),
                statement=f"SMTP is on for {mailbox.address} and takes passwords.",
                evidence=(*evidence, ("SmtpClientAuthenticationDisabled of the mailbox", "False")),
                fix=(
                    mending.powershell(f"New-AuthenticationPolicy -Name {POLICY}"),
                    mending.powershell(f"Set-User -Identity {quoted(mailbox.address)} -AuthenticationPolicy {POLICY}"),
                    mending.say("Or, where nothing sends by it:"),
                    mending.powershell(
                        f"Set-CASMailbox -Identity {quoted(mailbox.address)} -SmtpClientAuthenticationDisabled $true"
                    ),
                ),
            )
