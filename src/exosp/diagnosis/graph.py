"""Symptoms of Microsoft Graph while an application is made ready. Half of them are only replication."""

from .row import GRAPH, Row, said

AGAIN = "exosp waits and repeats it; if it gave up, run exosp apply PLAYBOOK again"
CONSENT = "New-MgServicePrincipalAppRoleAssignedTo -ServicePrincipalId RESOURCE-OBJECT-ID -PrincipalId ENTERPRISE-APPLICATION-OBJECT-ID -ResourceId RESOURCE-OBJECT-ID -AppRoleId ROLE-ID"

ROWS: tuple[Row, ...] = (
    Row(
        "graph-no-backing-application", GRAPH, None,
        said("does not reference a valid application object|NoBackingApplicationObject|backing application of the service principal"),
        "The appId '11111111-1111-1111-1111-111111111111' of the service principal does not reference a valid application object.",
        ("the application was made a moment ago and is not everywhere yet", "the application ID is wrong"),
        AGAIN, "", "hashicorp/terraform-provider-azuread service_principal_resource.go; github.com/hashicorp/vault-plugin-secrets-azure/issues/8",
        "B", propagation=True,
    ),
    Row(
        "graph-not-visible", GRAPH, None, said("does not exist or one of its queried reference-property objects are not present"),
        "Resource '11111111-1111-1111-1111-111111111111' does not exist or one of its queried reference-property objects are not present.",
        ("the object was made a moment ago and is not everywhere yet", "the object ID is wrong, or the other page's"),
        AGAIN, "", "github.com/microsoftgraph/msgraph-sdk-dotnet/issues/3108", "B", propagation=True,
    ),
    Row(
        "graph-invalid-reference", GRAPH, None, said("Not a valid reference update"), "Not a valid reference update.",
        ("the enterprise application is new and not yet known to role assignments",),
        AGAIN, "", "hashicorp/terraform-provider-azuread app_role_assignment_resource.go; github.com/microsoftgraph/msgraph-bicep-types/issues/193",
        "B", propagation=True,
    ),
    Row(
        "graph-role-not-found", GRAPH, None, said("Permission being assigned was not found on application"),
        "Permission being assigned was not found on application '22222222-2222-2222-2222-222222222222'",
        ("the role's ID is another cloud's: they differ", "the resource is not everywhere yet"),
        "check cloud in the playbook; exosp looks role IDs up in the tenant", "", "public provisioning tools", "B", propagation=True,
    ),
    Row(
        "graph-role-there", GRAPH, None, said("Permission being assigned already exists|EntitlementGrant entry already exists"),
        "Permission being assigned already exists on the object",
        ("the role was assigned already: nothing is wrong",),
        "none: exosp counts it as done", "", "github.com/microsoftgraph/msgraph-bicep-types/issues/161", "B",
    ),
    Row(
        "graph-forbidden", GRAPH, None, said("Insufficient privileges to complete the operation|Authorization_RequestDenied"),
        "Insufficient privileges to complete the operation.",
        (
            "the one who runs exosp lacks a permission: Application.ReadWrite.OwnedBy to register; AppRoleAssignment.ReadWrite.All and Application.Read.All to consent",
            "the permission was granted after the token was issued",
        ),
        "grant it, then run exosp again with a new sign-in; or let someone who may consent open the link that exosp apply prints",
        CONSENT, "learn.microsoft.com, Grant an appRoleAssignment to a service principal", "B", propagation=True,
    ),
    Row(
        "graph-principal-there", GRAPH, None, said("service principal name .* is already in use|Request_MultipleObjectsWithSameKeyValue"),
        "The service principal cannot be created, updated, or restored because the service principal name 11111111-1111-1111-1111-111111111111 is already in use.",
        ("the enterprise application is there already",),
        "run exosp apply PLAYBOOK again: it takes the one that is there", "", "github.com/KelvinTegelaar/CIPP/issues/1142", "B",
    ),
    Row(
        "graph-unique-name-taken", GRAPH, None, said("Another object with the same value"),
        "Another object with the same value for property uniqueName already exists.",
        ("an application of this key was deleted within 30 days and keeps its name",),
        "restore it, or delete it for good under App registrations, Deleted applications; then exosp apply PLAYBOOK",
        "Restore-MgDirectoryDeletedItem -DirectoryObjectId APPLICATION-OBJECT-ID",
        "github.com/microsoftgraph/msgraph-bicep-types/issues/137", "B",
    ),
    Row(
        "graph-lifetime-policy", GRAPH, None,
        said("CredentialInvalidLifetimeAsPerAppPolicy|Credential lifetime exceeds the max value allowed"),
        "Credential lifetime exceeds the max value allowed as per assigned policy",
        ("the tenant's app management policy caps how long a secret may live",),
        "shorten app.credential.valid_for in the playbook, or have the policy changed",
        "Get-MgPolicyDefaultAppManagementPolicy", "github.com/KelvinTegelaar/CIPP-API/issues/1970", "B",
    ),
    Row(
        "graph-secrets-forbidden", GRAPH, None, said("CredentialTypeNotAllowedAsPerAppPolicy"),
        "CredentialTypeNotAllowedAsPerAppPolicy: Credential type not allowed as per assigned policy",
        ("the tenant's app management policy forbids client secrets",),
        "have the policy changed, or this application exempted",
        "Get-MgPolicyDefaultAppManagementPolicy", "learn.microsoft.com, Application management policies", "K",
    ),
)  # fmt: skip
