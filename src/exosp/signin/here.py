"""What goes wrong on this machine, before the sign-in host is asked or beside it: a table, a row a symptom. Sends nothing.

The texts are azure-identity's own messages and those of the hosts that help to sign in.
"""

import re
from dataclasses import dataclass
from typing import Literal

from ..errors import Error, Forbidden, Unreachable
from ..transport import causes
from .refusals import Refusal
from .wire import Helper


class NotHere(Error):
    """The sign-in is not to be had on this machine: nothing is installed, or nobody is logged in."""


@dataclass(frozen=True)
class _Row:
    """``sign_in``: one of its names; ``text`` is searched in the exception's message, what the helping host said and
    its status, as ``[404] …``. ``kind``: absent tries the next sign-in, where none was asked for by name."""

    sign_in: str
    text: str
    kind: Literal["absent", "refused", "unreachable"]
    what: str
    hint: str


_AZ = "azure-cli"
_MI = "managed-identity"
_ADO = "azure-pipelines"
_WI = "workload-identity"
_ROWS = (
    _Row(_AZ, "not found on path", "absent", "Azure CLI is not installed: there is no `az` on PATH",
         "install it, or choose another sign-in with --sign-in"),
    _Row(_AZ, "az login' to set up|az login", "absent", "nobody is logged in to Azure CLI",
         "az login --tenant TENANT --allow-no-subscriptions"),
    _Row(_AZ, "Tenant shouldn't be specified", "refused", "Azure CLI is logged in as this machine's managed identity",
         "use --sign-in managed-identity"),
    _Row(_AZ, "doesn't support claims challenges", "refused", "Microsoft asks Azure CLI to sign in again (a claims challenge)",
         "az logout, then az login --tenant TENANT; a Conditional Access policy may ask for this each time"),
    _Row(_AZ, "Failed to invoke|Failed to execute", "unreachable", "Azure CLI did not answer",
         "run az account get-access-token by hand and see what it says"),
    _Row(_AZ, "Unexpected output", "refused", "Azure CLI answered with something that is no token",
         "run az account get-access-token by hand and see what it says; az upgrade"),
    _Row(_MI, r"\[400\]|No identity has been assigned|Identity not found|invalid_request", "refused",
         "this machine has no such managed identity",
         "assign one to it; for one of several, or a user-assigned one, set AZURE_CLIENT_ID to its client ID"),
    _Row(_MI, r"\[429\]|\[5\d\d\]|\[410\]|\[404\]", "unreachable", "the managed identity endpoint is busy or not ready",
         "ask again in a minute"),
    _Row(_MI, "unavailable|No managed identity endpoint|not found in environment|no response", "refused",
         "no managed identity endpoint answers here",
         "managed identities exist on Azure's own machines and services alone; elsewhere use workload-identity"),
    _Row(_ADO, r"\[401\]|\[403\]|\[30\d\]", "refused", "Azure Pipelines does not accept the job's access token",
         "map it in the step: env: SYSTEM_ACCESSTOKEN: $(System.AccessToken)"),
    _Row(_ADO, r"\[404\]|\[400\]|\[500\]", "refused", "Azure Pipelines knows no such service connection, or the job may not use it",
         "set AZURESUBSCRIPTION_SERVICE_CONNECTION_ID to the resourceId in the connection's address, and permit the pipeline to use it"),
    _Row(_ADO, "OIDC token", "refused", "Azure Pipelines gave no token for the service connection",
         "the connection must use workload identity federation"),
    _Row(_WI, "No such file|cannot find the file", "refused", "the file of the federated token is not there",
         "AZURE_FEDERATED_TOKEN_FILE names it; the platform, or a step before, must write it"),
    _Row(_WI, "Permission denied", "refused", "the file of the federated token may not be read",
         "AZURE_FEDERATED_TOKEN_FILE names it; let exosp's user read it"),
    _Row(_WI, "GitHub answered", "refused", "GitHub gave the job no token",
         "the workflow needs permissions: id-token: write; a pull request from a fork never has it"),
    _Row("browser", "open a browser", "refused", "no browser opened", "use --sign-in device-code"),
    _Row("browser", "start an HTTP server", "refused", "no port from 8400 to 8999 is free for the browser's answer",
         "use --sign-in device-code"),
    _Row("browser", "Timed out", "refused", "nobody signed in within five minutes", "run the command again"),
    _Row("device-code", "Timed out|expired_token|code_expired", "refused", "nobody signed in before the code expired",
         "run the command again"),
    _Row("", "authorization_declined|access_denied", "refused", "the sign-in was declined", "run the command again"),
)  # fmt: skip


def why(sign_in: str, fault: BaseException, helper: Helper | None, asked: str) -> Error | None:
    """Our error, or None where nothing here explains it."""
    said = f"[{helper.status}] {helper.text}" if helper else ""
    text = "\n".join([said, *(str(cause) for cause in causes(fault))])
    for row in _ROWS:
        if row.sign_in not in ("", sign_in) or not re.search(row.text, text, re.IGNORECASE):
            continue
        what = f"{row.what}: {helper.host} said {said}".rstrip() if helper else row.what
        if row.kind == "absent":
            return NotHere(what, where=f"--sign-in {sign_in}", hint=row.hint)
        if row.kind == "unreachable":
            return Unreachable(what, may_have_happened=False, service="token", asked=asked, hint=row.hint)
        return Forbidden(what, service="token", asked=asked, hint=row.hint, code=sign_in)
    return None


def passed_on(fault: BaseException) -> Refusal | None:
    """Entra's own refusal, where another program (Azure CLI) or msal passes its words on."""
    for cause in causes(fault):
        found = re.search(r"AADSTS(\d+):[^\n]*", str(cause))
        if found:
            text = found[0].split(" Trace ID:")[0].strip()
            return Refusal(status=400, codes=(int(found[1]),), error="", text=text, legible=True)
    return None
