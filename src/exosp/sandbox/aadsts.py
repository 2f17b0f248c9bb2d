"""The login host's refusals by AADSTS number, in Entra's own words. Data only: when each is said is entra's affair.

Sources: learn.microsoft.com/entra/identity-platform/reference-error-codes and public threads that quote replies whole:
9002313 azure-docs#63819, microsoft-authentication-library-for-android#558; 50126 azure-docs#55028; 50034 Microsoft365DSC#801.
"""

# code -> (OAuth error, HTTP status, text). Texts: reference-error-codes and public reports that quote replies whole.
ERRORS: dict[int, tuple[str, int, str]] = {
    700016: ("unauthorized_client", 400, "Application with identifier '{client}' was not found in the directory '{directory}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant."),
    700038: ("invalid_request", 400, "{client} is not a valid application identifier."),
    7000215: ("invalid_client", 401, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client}'."),
    7000222: ("invalid_client", 401, "The provided client secret keys for app '{client}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds."),
    7000216: ("invalid_client", 401, "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type."),
    7000218: ("invalid_client", 401, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."),
    7000112: ("unauthorized_client", 400, "Application '{client}'({name}) is disabled."),
    7000229: ("invalid_client", 401, "The client application {client} is missing service principal in the tenant {tenant}. See instructions here: https://go.microsoft.com/fwlink/?linkid=2225119"),
    90002: ("invalid_request", 400, "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant."),
    900023: ("invalid_request", 400, "Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid external domain."),
    50059: ("invalid_request", 400, "No tenant-identifying information found in either the request or implied by any provided credentials."),
    50034: ("invalid_grant", 400, "The user account {{EUII Hidden}} does not exist in the {directory} directory. To sign into this application, the account must be added to the directory."),
    50126: ("invalid_grant", 400, "Error validating credentials due to invalid username or password."),
    9002313: ("invalid_grant", 400, "Invalid request. Request is malformed or invalid."),
    50049: ("invalid_instance", 400, "Unknown or invalid instance."),
    900144: ("invalid_request", 400, "The request body must contain the following parameter: '{parameter}'."),
    70003: ("unsupported_grant_type", 400, "The app requested an unsupported grant type '{grant}'."),
    70011: ("invalid_scope", 400, "The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid."),
    1002012: ("invalid_scope", 400, "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."),
    700022: ("invalid_scope", 400, "The provided value for the input parameter 'scope' is not valid because it contains more than one resource. Scope {scope} is not valid."),
    500011: ("invalid_resource", 400, "The resource principal named {resource} was not found in the tenant named {directory}. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant."),
    501051: ("invalid_grant", 400, "Application '{client}'({name}) is not assigned to a role for the application '{resource}'."),
    50105: ("invalid_grant", 400, "Your administrator has configured the application {name} ('{client}') to block users unless they are specifically granted ('assigned') access to the application. The signed in application '{client}' is blocked because it is not assigned to a role for the application '{resource}'."),
    53003: ("invalid_grant", 400, "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance."),
    90033: ("temporarily_unavailable", 503, "A transient error has occurred. Please try again."),
    90055: ("temporarily_unavailable", 429, "There are too many incoming requests. Please try again later."),
    50027: ("invalid_request", 401, "JWT token is invalid or malformed."),
    700021: ("invalid_client", 401, "Client assertion application identifier doesn't match 'client_id' parameter. Review the documentation at https://docs.microsoft.com/azure/active-directory/develop/active-directory-certificate-credentials ."),
    700023: ("invalid_client", 401, "Client assertion audience claim does not match Realm issuer. Review the documentation at https://docs.microsoft.com/azure/active-directory/develop/active-directory-certificate-credentials ."),
    700024: ("invalid_client", 401, "Client assertion is not within its valid time range. Current time: {now}, assertion valid from {start}, expiry time of assertion {end}. Review the documentation at https://docs.microsoft.com/azure/active-directory/develop/active-directory-certificate-credentials ."),
    700027: ("invalid_client", 401, "The certificate with identifier used to sign the client assertion is {problem} on application. [Reason - {reason}, Thumbprint of key used by client: '{thumbprint}', Please visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured keys for app Id '{client}'.]"),
    50012: ("invalid_client", 401, "Client assertion contains an invalid signature. [Reason - The provided signature value did not match the expected signature value., Thumbprint of key used by client: '{thumbprint}']"),
    700211: ("invalid_client", 401, "No matching federated identity record found for presented assertion issuer '{issuer}'. Please check your federated identity credential Subject, Audience and Issuer against the presented assertion. https://learn.microsoft.com/entra/workload-id/workload-identity-federation"),
    700212: ("invalid_client", 401, "No matching federated identity record found for presented assertion audience '{audience}'. Check your federated identity credential Subject, Audience and Issuer against the presented assertion. https://learn.microsoft.com/entra/workload-id/workload-identity-federation"),
    700213: ("invalid_client", 401, "No matching federated identity record found for presented assertion subject '{subject}'. Check your federated identity credential Subject, Audience and Issuer against the presented assertion. https://learn.microsoft.com/entra/workload-id/workload-identity-federation"),
    7002138: ("invalid_client", 401, "No matching federated identity record found for presented assertion subject '{subject}'. The subject matches with case-insensitive comparison, but not with case-sensitive comparison. Check your federated identity credential Subject, Audience and Issuer against the presented assertion. See documentation at: https://learn.microsoft.com/entra/workload-id/workload-identity-federation."),
    50013: ("invalid_client", 401, "Assertion failed signature validation. [Reason - The key was not found.]"),
    50166: ("invalid_request", 400, "Request to External OIDC endpoint failed."),
}  # fmt: skip


class EntraFault(Exception):
    """A refusal by its AADSTS number; ``details`` fill the text's braces."""

    says_when = True  # where it is about too many requests: with Retry-After

    def __init__(self, code: int, **details: str) -> None:
        super().__init__(str(code))
        self.code = code
        self.details = details


class BareFault(EntraFault):
    """The same, without Retry-After."""

    says_when = False
