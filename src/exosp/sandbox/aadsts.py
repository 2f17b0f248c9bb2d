"""The login host's refusals by AADSTS number, in Entra's own words. Data only: when each is said is entra's affair.

Sources: learn.microsoft.com/entra/identity-platform/reference-error-codes and public threads that quote replies whole:
90038 tieto/sipe#182; 900382 webprofusion/certify#553; 9002313 azure-docs#63819, microsoft-authentication-library-for-android#558; 50126 azure-docs#55028; 50034 Microsoft365DSC#801.
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
    90038: ("invalid_request", 400, "Tenant '{tenant}' request is being redirected to the National Cloud '{instance}'."),
    900382: ("invalid_request", 400, "Confidential Client is not supported in Cross Cloud request."),
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
    50011: ("invalid_request", 400, "The redirect URI '{uri}' specified in the request does not match the redirect URIs configured for the application '{client}'. Make sure the redirect URI sent in the request matches one added to your application in the Azure portal. Navigate to https://aka.ms/redirectUriMismatchError to learn more about how to troubleshoot this error."),
    500112: ("invalid_client", 400, "The reply address '{given}' does not match the reply address '{asked}' provided when requesting Authorization code."),
    500113: ("invalid_request", 400, "No reply address is registered for the application."),
    50057: ("invalid_grant", 400, "The user account is disabled."),
    50058: ("login_required", 400, "A silent sign-in request was sent but no user is signed in."),
    50076: ("invalid_grant", 400, "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access '{resource}'."),
    50089: ("invalid_request", 400, "Authentication failed due to flow token expired."),
    50148: ("invalid_grant", 400, "The code_verifier does not match the code_challenge supplied in the authorization request for PKCE."),
    501481: ("invalid_grant", 400, "The Code_Verifier does not match the code_challenge supplied in the authorization request."),
    50149: ("invalid_request", 400, "Invalid Code_Challenge_method parameter."),
    501491: ("invalid_request", 400, "Invalid size of Code_Challenge parameter."),
    50194: ("invalid_request", 400, "Application '{client}'({name}) is not configured as a multi-tenant application. Usage of the /common endpoint is not supported for such applications created after '10/15/2018'. Use a tenant-specific endpoint or configure the application to be multi-tenant."),
    54005: ("invalid_grant", 400, "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token."),
    50020: ("invalid_grant", 400, "User account '{user}' from identity provider 'https://sts.windows.net/{home}/' does not exist in tenant '{directory}' and cannot access the application '{client}'({name}) in that tenant. The account needs to be added as an external user in the tenant first. Sign out and sign in again with a different Azure Active Directory user account."),
    65001: ("invalid_grant", 400, "The user or administrator has not consented to use the application with ID '{client}' named '{name}'. Send an interactive authorization request for this user and resource."),
    65004: ("access_denied", 400, "User declined to consent to access the app."),
    650053: ("invalid_client", 400, "The application '{name}' asked for scope '{scope}' that doesn't exist on the resource '{resource}'. Contact the app vendor."),
    28000: ("invalid_request", 400, "Provided value for the input parameter scope is not valid because it contains more than one resource. Scope {scope} is not valid."),
    70000: ("invalid_grant", 400, "The provided value for the input parameter '{parameter}' is not valid."),
    70005: ("unsupported_response_type", 400, "The response_type '{kind}' is not supported."),
    70007: ("invalid_request", 400, "'{mode}' is not a supported value of 'response_mode' when requesting a token."),
    70008: ("invalid_grant", 400, "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource."),
    700082: ("invalid_grant", 400, "The refresh token has expired due to inactivity. The token was issued on {issued} and was inactive for {idle}."),
    70016: ("authorization_pending", 400, "OAuth 2.0 device flow error. Authorization is pending. Continue polling."),
    70018: ("invalid_request", 400, "Invalid verification code. Authorization is not approved."),
    70019: ("invalid_request", 400, "Verification code expired."),
    70020: ("expired_token", 400, "The provided value for the input parameter 'device_code' is not valid. This device code has expired."),
    700025: ("invalid_client", 401, "Client is public so neither 'client_assertion' nor 'client_secret' should be presented."),
    90013: ("invalid_request", 400, "Invalid input received from the user."),
    90023: ("invalid_request", 400, "{what}"),
    65002: ("invalid_client", 400, "Consent between first party application '{client}' and first party resource '{resource}' must be configured via preauthorization - applications owned and operated by Microsoft must get approval from the API owner before requesting tokens for that API."),
    90099: ("invalid_grant", 400, "The application '{client}' ({name}) has not been authorized in the tenant '{tenant}'. Applications must be authorized to access the customer tenant before partner delegated administrators can use them."),
    90094: ("access_denied", 400, "An administrator of {directory} has set a policy that prevents you from granting the application the permissions it is requesting. Contact an administrator of {directory}, who can grant permissions to this application on your behalf."),
    90119: ("invalid_request", 400, "The user code is null or empty."),
    90120: ("invalid_request", 400, "The request was already authorized or declined."),
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

    error = ""  # the OAuth error, where it is another one than the number's usual

    def __init__(self, code: int, **details: str) -> None:
        super().__init__(str(code))
        self.code = code
        self.details = details

    def named(self, error: str) -> "EntraFault":
        """The same under another OAuth error: some pages name an error and no number of its own."""
        self.error = error
        return self


class BareFault(EntraFault):
    """The same, without Retry-After."""

    says_when = False
