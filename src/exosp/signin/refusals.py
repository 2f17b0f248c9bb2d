"""What Entra's refusals of a token mean: a table, a row a code. Reads answers, sends nothing.

Codes: learn.microsoft.com, identity platform, reference-error-codes; those marked * are from field reports.
"""

import re
from dataclasses import dataclass

from ..errors import CloudError, Forbidden, Missing, Throttled, Unreachable


@dataclass(frozen=True)
class Refusal:
    """An answer of 400 or more. ``codes`` are Entra's error_codes, the field its documentation says to branch on."""

    status: int
    codes: tuple[int, ...] = ()
    error: str = ""
    text: str = ""
    request_id: str = ""
    after: float | None = None
    legible: bool = False


@dataclass(frozen=True)
class _Row:
    codes: tuple[int, ...]
    kind: type[CloudError]
    hint: str


_ROWS = (
    _Row((7000215,), Forbidden,
         "the secret's value is needed, not its Secret ID; a secret made a moment ago can take seconds to be known"),
    _Row((7000222,), Forbidden, "the secret has expired: add another to the application"),
    _Row((7000216, 7000218), Forbidden, "a client secret or certificate is needed"),
    _Row((7000112,), Forbidden, "the application is disabled: enable its enterprise application in Entra"),
    _Row((700016,), Missing,
         "is the client id this tenant's? An application made a moment ago can take a minute to be known"),
    _Row((7000229,), Missing, "the application has no enterprise application in this tenant: create it"),
    _Row((700027, 50012), Forbidden,
         "upload the certificate to the application; one added a moment ago can take minutes to be known"),
    _Row((700213,), Forbidden,  # *
         "copy the subject from this message into the federated credential: environment, branch and pull request differ, and "
         "GitHub's newer form has ids in it, repo:OWNER@ID/REPOSITORY@ID:…"),
    _Row((7002138,), Forbidden,  # *
         "copy the subject from this message into the federated credential: it differs in upper and lower case alone"),
    _Row((700211,), Forbidden, "add a federated credential with this issuer, to the letter, to the application"),  # *
    _Row((700212,), Forbidden, "the token must be meant for api://AzureADTokenExchange: ask its issuer for that audience"),  # *
    _Row((700024,), Forbidden,
         "the assertion's time is over or has not come: have a new one made, and check the clocks here and of its issuer"),
    _Row((50013,), Forbidden, "the assertion is not signed by a key that its issuer publishes now"),
    _Row((50166, 90061), Unreachable,  # *
         "Entra cannot fetch the issuer's keys: its metadata must be reachable from the internet, over https"),
    _Row((700023,), Forbidden, "the assertion is meant for another tenant or cloud: check AZURE_TENANT_ID and the cloud's name"),
    _Row((50076, 50079), Forbidden,
         "a second factor is wanted: sign in anew where one can be given, with a browser or a code, or as an application"),
    _Row((70043, 700082, 50173, 50078), Forbidden, "the sign-in has expired: sign in anew (az login, or the browser)"),
    _Row((65002,), Forbidden,
         "Microsoft's own client may not ask for this service: use a client of your tenant, --client-id ID; "
         "exosp preflight --bootstrap shows how to make one"),
    _Row((90002, 900023), Missing, "is the tenant right, and in this cloud? Check AZURE_TENANT_ID and the cloud's name"),
    _Row((900382, 900432, 90038), Forbidden, "the tenant is in another cloud: name it by EXOSP_CLOUD or the playbook"),
    _Row((500011, 50001), Missing, "the tenant does not know that service: is it licensed, is the cloud right?"),
    _Row((70011, 1002012, 700022, 28000), CloudError, "the scope is wrong for this cloud: check exchange_resource and graph"),
    _Row((65001, 650052), Forbidden,
         "an administrator must consent to the client's permissions: delegated Exchange.Manage for Exchange; "
         "Application.ReadWrite.All and AppRoleAssignment.ReadWrite.All for Microsoft Graph (exosp preflight --bootstrap)"),
    _Row((50105, 501051), Forbidden, "assign the application to the service, or turn its required assignment off"),
    _Row((53003, 53005, 530032), Forbidden, "a Conditional Access or security policy blocks it: ask who keeps those"),
    _Row((50194, 500113), CloudError, "the application's registration does not allow this sign-in: see the text"),  # *
    _Row((90055, 50196), Throttled, "too many token requests: wait"),
    _Row((90006, 90012, 90024, 90033, 90090, 50033), Unreachable, "transient: ask again"),
)  # fmt: skip
# The application itself is shut out: no other secret helps, and no waiting.
BLOCKED = frozenset({"AADSTS7000112", "AADSTS53003", "AADSTS53005", "AADSTS530032"})
# What the tenant of another cloud brings, among other things.
CROSS_CLOUD = frozenset({"AADSTS90002", "AADSTS90038", "AADSTS900382", "AADSTS900432", "AADSTS500011"})

_BY_CODE = {code: row for row in _ROWS for code in row.codes}


def refused(refusal: Refusal, host: str, asked: str) -> CloudError:
    found = re.search(r"AADSTS(\d+)", refusal.text)
    codes = refusal.codes or ((int(found[1]),) if found else ())
    row = next((_BY_CODE[code] for code in codes if code in _BY_CODE), None)
    code = f"AADSTS{codes[0]}" if codes else refusal.error
    what = (
        refusal.text.splitlines()[0].split(" Trace ID:")[0].strip() if refusal.text else f"{host} refused the sign-in"
    )
    hint = row.hint if row else (f"see https://login.microsoftonline.com/error?code={codes[0]}" if codes else "")
    kind = row.kind if row else CloudError
    rest = {"service": "token", "asked": asked, "code": code, "request_id": refusal.request_id}
    if refusal.status == 429 or kind is Throttled:
        return Throttled(what, after=refusal.after, hint=hint, **rest)
    if refusal.status >= 500 or kind is Unreachable or not refusal.legible:
        if not refusal.text:
            what = f"{host} answered {refusal.status} and no reason"
        return Unreachable(
            what, may_have_happened=False, transient=refusal.status >= 500 or kind is Unreachable,
            after=refusal.after, status=refusal.status, hint=hint or "is this the sign-in host, or something before it?", **rest,
        )  # fmt: skip
    return kind(what, status=refusal.status, hint=hint, **rest)
