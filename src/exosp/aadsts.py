"""What helps against Entra's refusals, by their codes: the one wording, for errors as they happen and for the diagnosis table.

Where the mail application's own credential is refused, the diagnosis rows say more (``exosp apply`` mends that one).
"""

from collections.abc import Mapping
from types import MappingProxyType

_AGAIN = "sign in anew where one can be given, with a browser or a code, or as an application"
_EXPIRED = "the sign-in has expired: sign in anew (az login, or the browser)"
_CLOUD = "the tenant is in another cloud: name it by cloud in the playbook, or EXOSP_CLOUD"
_TENANT = (
    "is the tenant right, and in this cloud? Check the playbook's tenant and cloud, AZURE_TENANT_ID and EXOSP_CLOUD"
)
_SCOPE = "the scope is wrong for this cloud: check exchange_resource and graph in the cloud file"
_TRANSIENT = "Entra had a passing fault: run the command again in a minute"
_POLICY = (
    "look up the sign-in in Entra's sign-in logs (people; service principals), which name the policy; then have the "
    "application (a policy for workload identities) or the person excluded from it, or sign in from a place it allows"
)

FIXES: Mapping[int, str] = MappingProxyType({
    7000215: "the secret's value is needed, not its Secret ID; a secret made a moment ago can take seconds to be known",
    7000222: "the secret has expired: add another to the application",
    7000216: "a client secret or certificate is needed: set AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH",
    7000218: "a client secret or certificate is needed; a person's client must allow public client flows",
    7000112: "the application is disabled: enable its enterprise application in Entra",
    700016: "is the client id this tenant's? An application made a moment ago can take a minute to be known",
    7000229: "the application has no enterprise application in this tenant: create it",
    700027: "upload the certificate to the application; one added a moment ago can take minutes to be known",
    50012: "upload the certificate to the application; one added a moment ago can take minutes to be known",
    700213: "copy the subject from this message into the federated credential: environment, branch and pull request differ, "
            "and GitHub's newer form has ids in it, repo:OWNER@ID/REPOSITORY@ID:…",
    7002138: "copy the subject from this message into the federated credential: it differs in upper and lower case alone",
    700211: "add a federated credential with this issuer, to the letter, to the application",
    700212: "the token must be meant for api://AzureADTokenExchange: ask its issuer for that audience",
    700024: "the assertion's time is over or has not come: have a new one made, and check the clocks here and of its issuer",
    50013: "the assertion is not signed by a key that its issuer publishes now: check the issuer, or have a new one made",
    50166: "Entra cannot fetch the issuer's keys: its metadata must be reachable from the internet, over https",
    90061: "Entra cannot fetch the issuer's keys: its metadata must be reachable from the internet, over https",
    700023: "the assertion is meant for another tenant or cloud: check AZURE_TENANT_ID and the cloud's name",
    50076: f"a second factor is wanted: {_AGAIN}",
    50079: f"a second factor is wanted: {_AGAIN}",
    70043: _EXPIRED, 700082: _EXPIRED, 50173: _EXPIRED, 50078: _EXPIRED,
    65001: "an administrator must consent to the client's permissions: delegated Exchange.Manage for Exchange; "
           "Application.ReadWrite.All and AppRoleAssignment.ReadWrite.All for Microsoft Graph (exosp preflight --bootstrap)",
    650052: "an administrator must consent to the client's permissions: delegated Exchange.Manage for Exchange; "
            "Application.ReadWrite.All and AppRoleAssignment.ReadWrite.All for Microsoft Graph (exosp preflight --bootstrap)",
    65002: "Microsoft's own client may not ask for this service: use a client of your tenant, --client-id ID; "
           "exosp preflight --bootstrap shows how to make one",
    90002: _TENANT, 900023: _TENANT,
    900382: _CLOUD, 900432: _CLOUD, 90038: _CLOUD,
    500011: "the tenant does not know that service: is it licensed, is the cloud right?",
    50001: "the tenant does not know that service: is it licensed, is the cloud right?",
    70011: _SCOPE, 1002012: _SCOPE, 700022: _SCOPE, 28000: _SCOPE,
    50105: "assign the application to the service, or turn its required assignment off",
    501051: "assign the application to the service, or turn its required assignment off",
    53003: _POLICY, 53005: _POLICY, 530032: _POLICY,
    90099: "the application must be authorized in the customer's tenant before a partner's people can use it: an administrator "
           "there consents to it, or the partner does by the Partner Center's interface",
    50020: "who signs in is of another tenant, and neither a guest here nor an administrator by a delegated (GDAP) "
           "relationship: have the customer accept one that holds Exchange Administrator, and be in its security group",
    50194: "the application's registration does not allow this sign-in: see the text",
    500113: "the application's registration does not allow this sign-in: see the text",
    90055: "too many token requests: wait", 50196: "too many token requests: wait",
    **dict.fromkeys((90006, 90012, 90024, 90033, 90090, 50033), _TRANSIENT),
})  # fmt: skip

# Where a person signs in to the mail application, to prove it: what apply of its playbook mends, and whose turn it is else.
TO_THE_APPLICATION: Mapping[int, str] = MappingProxyType({
    65004: "consent was declined, or the sign-in cancelled: begin again and accept, or ask an administrator to consent",
    65001: "consent is missing: sign in with --person, or have an administrator consent under API permissions",
    90094: "only an administrator may consent in this tenant: Entra, App registrations, the application, API permissions, "
    "Grant admin consent",
    50011: "the application lacks the redirect URI http://localhost: exosp apply registers it",
    500113: "the application lacks the redirect URI http://localhost: exosp apply registers it",
    7000218: "the application does not allow public client flows: exosp apply switches them on",
    50105: "an administrator must assign the person to the enterprise application, or turn its required assignment off",
    50076: "sign in again: a second factor is asked for",
    70020: "the code was not typed in time: begin again",
    700082: "the sign-in is too old to be refreshed: sign in again",
    70008: "the sign-in took too long: begin again",
    54005: "the code of this sign-in was used before: begin again, and ask who could have read it",
    650053: "Exchange Online of this cloud does not know that permission: check the playbook's cloud",
})  # fmt: skip
