"""An application signs in with a secret

What it means: the application has a client secret that is valid now. A secret is a password: whoever reads it, has it.

How it is told: at least one live secret on the registration or on the enterprise application. It is one finding for the
application.

Why it matters: a secret travels: it is typed, mailed, put into settings and logs. A certificate's private key stays where it was
made, and a federated credential or a managed identity has nothing to steal at all. IMAP, POP and SMTP take a token, however
it was obtained, so a mail application can use any of them.

What to do: give the application a federated credential where it runs in a cloud or pipeline that can issue tokens, a managed
identity where it runs in Azure, else a certificate. Then remove the secret.

When it is no problem: the product that uses it can do nothing else, and keeps the secret well.

Sources:
- learn.microsoft.com/entra/identity-platform/security-best-practices-for-app-registration
- learn.microsoft.com/entra/workload-id/workload-identity-federation
"""

from collections.abc import Iterator

from ..apps import apps
from ..finding import Finding, Measures
from ..inventory import Inventory, Section
from . import mending
from .words import about, called, listed, several

NEEDS: tuple[Section, ...] = ("applications", "enterprise-applications")


def find(inventory: Inventory, measures: Measures) -> Iterator[Finding]:
    for app in apps(inventory):
        secrets = [row for row in app.credentials if row.kind == "secret" and row.live(inventory.at)]
        if not secrets:
            continue
        yield Finding(
            check="secret-where-certificate-possible",
            severity="low",
            confidence="high",
            subject=about(app),
            statement=f"{app.name} has {several(len(secrets), 'live secret')}, where a certificate or a federated credential would do.",
            evidence=(("secrets", listed(f"{called(row)} ({row.key_id})" for row in secrets)),),
            fix=(
                mending.say("Let it sign in with a certificate, a federated credential or a managed identity. Then:"),
                *(mending.no_key(app, row) for row in secrets),
            ),
        )
