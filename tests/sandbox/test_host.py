"""The management host's rules, judged by pypsrp: what each of its session configurations lets a session do."""

from collections.abc import Iterator
from typing import Any

import pytest
from host_fixture import DOMAIN, Host, host, run
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.serializer import TaggedValue

from exosp.sandbox.cmdlets.endpoints import WRAPPERS
from exosp.sandbox.directory import Entity

JEA, READY, AUDIT = "Exosp.JEA", "Exosp.Ready", "Exosp.Audit"
SUPPORT = "support@contoso.com"
SEARCH = {"StartDate": "2026-01-01 00:00:00Z", "EndDate": "2026-01-02 00:00:00Z"}


@pytest.fixture(scope="module")
def here() -> Iterator[Host]:
    with host() as found:
        tenant = found.tenant
        # The provisioning application, which the host's own certificate is of.
        tenant.directory.service_principals["admin"] = Entity({"id": "admin", "appId": tenant.admin_app_id}, 0.0)
        tenant.directory.directory_roles["admin"] = {"Exchange Administrator"}
        yield found


def joined(here: Host, pool: RunspacePool, **parameters: Any) -> Any:
    pool.exchange_keys()
    token = TaggedValue("SS", parameters.pop("token", None) or here.token())
    return run(pool, "Connect-Exosp", **({"Token": token, "Organization": DOMAIN} | parameters))


# The constrained endpoint


def test_a_constrained_session_connects_with_a_secret_string(here):
    """Connect-Exosp takes the token as a SecureString, encrypted on its way; then the wrappers work."""
    with here.pool(JEA, connected=False) as pool:
        assert run(pool, "Get-Mailbox", Identity=SUPPORT).failed
        assert not joined(here, pool).failed
        [row] = run(pool, "Get-Mailbox", Identity=SUPPORT).rows
        assert row["PrimarySmtpAddress"] == SUPPORT
        assert len(run(pool, "Get-Mailbox", [SUPPORT, "sales@contoso.com"]).rows) == 2
        assert not run(pool, "Disconnect-Exosp").failed
        assert run(pool, "Get-Mailbox", Identity=SUPPORT).failed


def test_what_has_a_cmdlet_to_call(here):
    """Get-ExospCommand: nothing before a session is connected, then every wrapper whose cmdlet the caller's roles hold; where
    the host connects, at once."""
    with here.pool(JEA, connected=False) as pool:
        assert run(pool, "Get-ExospCommand").rows == []
        assert not joined(here, pool).failed
        assert {row["Name"] for row in run(pool, "Get-ExospCommand").rows} == set(WRAPPERS)
    with here.pool(READY, connected=False) as pool:
        assert len(run(pool, "Get-ExospCommand").rows) == len(WRAPPERS)


def test_a_plain_text_is_no_secret_string(here):
    """-Token is a SecureString: a text is refused, and not repeated."""
    with here.pool(JEA, connected=False) as pool:
        token = here.token()
        ran = run(pool, "Connect-Exosp", Token=token, Organization=DOMAIN)
        assert ran.failed
        assert token[:40] not in ran.error


@pytest.mark.parametrize(
    "name",
    ["Connect-ExchangeOnline", "Disconnect-ExchangeOnline", "Get-ConnectionInformation", "Get-EXOMailbox", "Get-Module",
     "Import-Module", "Out-Null", "Get-DistributionGroupMember", "Set-Mailbox", "Set-TransportConfig", "Invoke-Expression"],
)  # fmt: skip
def test_nothing_else_is_there(here, name):
    """Whatever is neither a wrapper nor RestrictedRemoteServer's own does not exist, connected or not."""
    with here.pool(JEA, connected=False) as pool:
        assert not joined(here, pool).failed
        ran = run(pool, name)
        assert (ran.failed, ran.error_id) == (True, "CommandNotFoundException")


@pytest.mark.parametrize("configuration", [JEA, READY, "ExchangeManagement"])
def test_no_scripts_and_no_pipelines_of_several(here, configuration):
    """No-language mode: a script is refused, and so is a second command."""
    with here.pool(configuration, connected=False) as pool:
        for text in ("Get-Mailbox", "1"):
            ran = PowerShell(pool)
            ran.add_script(text)
            ran.invoke()
            assert "no-language mode" in str(ran.streams.error[0])
        several = PowerShell(pool)
        several.add_cmdlet("Get-Command").add_cmdlet("Select-Object").add_parameter("Property", ["Name"])
        several.invoke()
        assert several.had_errors


@pytest.mark.parametrize(
    ("name", "parameters", "error_id"),
    [
        ("Get-Mailbox", {"Identity": "*"}, "ParameterArgumentValidationError"),
        ("Get-Mailbox", {"Identity": SUPPORT, "Filter": "x"}, "NamedParameterNotFound"),
        ("Add-MailboxPermission", {"Identity": SUPPORT, "User": "a@b.c", "AccessRights": ["ChangeOwner"]}, "ParameterArgumentValidationError"),
        ("Add-MailboxPermission", {"Identity": SUPPORT, "Owner": "a@b.c"}, "NamedParameterNotFound"),
        ("Add-RecipientPermission", {"Identity": SUPPORT, "Trustee": "a;b", "AccessRights": ["SendAs"]}, "ParameterArgumentValidationError"),
        ("Set-CASMailbox", {"Identity": SUPPORT, "OWAEnabled": False}, "NamedParameterNotFound"),
        ("New-ServicePrincipal", {"AppId": "x", "ObjectId": "y"}, "ParameterArgumentValidationError"),
        ("Connect-Exosp", {"Organization": "evil.example"}, "ParameterArgumentValidationError"),
        ("Get-MailboxFolderPermission", {"Identity": SUPPORT}, "ParameterArgumentValidationError"),
        ("Get-MailboxFolderPermission", {"Identity": f"{SUPPORT}:\\Inbox\\Private"}, "ParameterArgumentValidationError"),
        ("Search-UnifiedAuditLog", SEARCH, "MissingMandatoryParameter"),
        ("Search-UnifiedAuditLog", SEARCH | {"Operations": ["MailItemsAccessed"]}, "ParameterArgumentValidationError"),
        ("Search-UnifiedAuditLog", SEARCH | {"UserIds": [SUPPORT]}, "NamedParameterNotFound"),
    ],
)  # fmt: skip
def test_wrappers_take_their_own_parameters_and_values(here, name, parameters, error_id):
    """A parameter that the wrapper lacks is not found; a value outside its set or pattern is refused before anything."""
    with here.pool(JEA, connected=False) as pool:
        assert not joined(here, pool).failed
        ran = run(pool, name, **parameters)
        assert ran.failed
        assert ran.error_id.startswith(error_id), ran.error_id


def test_what_changes_anything_is_not_there_for_an_auditor(here):
    """Exosp.Audit shows what reads, and loads no more of Exchange's cmdlets; an administrator's token changes nothing of that."""
    with here.pool(AUDIT, connected=False) as pool:
        assert not joined(here, pool).failed
        shown = {row["Name"] for row in run(pool, "Get-Command", Name=["*-*"]).rows}
        assert {name.partition("-")[0] for name in shown} == {"Connect", "Disconnect", "Get", "Out", "Search", "Select"}
        for name in (
            "Add-MailboxPermission",
            "New-ServicePrincipal",
            "Set-CASMailbox",
            "Test-ServicePrincipalAuthorization",
        ):
            assert run(pool, name, Identity=SUPPORT).error_id == "CommandNotFoundException"
        assert len(run(pool, "Get-MailboxPermission", [SUPPORT], IncludeUnresolvedPermissions=True).rows) >= 1
        assert len(run(pool, "Get-MailboxFolderPermission", Identity=f"{SUPPORT}:\\Inbox").rows) == 2
        assert not run(pool, "Search-UnifiedAuditLog", Operations=["Set-CASMailbox"], **SEARCH).failed
        assert not run(pool, "Get-User", Identity="Nobody; | <b>").failed


def test_input_is_validated_one_by_one(here):
    """A pattern holds for what comes by the pipeline too."""
    with here.pool(JEA, connected=False) as pool:
        assert not joined(here, pool).failed
        assert "does not match" in run(pool, "Get-Mailbox", ["*"]).error


def test_what_it_offers(here):
    """Get-Command shows the wrappers and how to connect, and says of each other name that it is not there."""
    with here.pool(JEA, connected=False) as pool:
        ran = run(pool, "Get-Command", Name=["Connect-Exosp", "Connect-ExchangeOnline", "Get-ServicePrincipal"])
        assert {row["Name"] for row in ran.rows} == {"Connect-Exosp", "Get-ServicePrincipal"}
        assert [error.target_object for error in ran.errors] == ["Connect-ExchangeOnline"]
        assert not ran.failed


def test_a_wrong_token_is_refused_there_too(here):
    """The token's audience decides, however it came."""
    with here.pool(JEA, connected=False) as pool:
        ran = joined(here, pool, token=here.token(aud="https://graph.microsoft.com"))
        assert (ran.failed, ran.error) == (True, "UnAuthorized")


# The endpoint that is connected, and the host's certificate


def test_a_connected_endpoint_needs_no_connect(here):
    """Its host has connected it: the wrappers work at once, and nothing to connect with is there."""
    with here.pool(READY, connected=False) as pool:
        assert len(run(pool, "Get-Mailbox", Identity=SUPPORT).rows) == 1
        assert run(pool, "Connect-Exosp").error_id == "CommandNotFoundException"


def test_the_hosts_certificate(here):
    """-AppId and -CertificateThumbprint of the host's store connect without a token; each wrong one is refused."""
    tenant = here.tenant
    right = {"AppId": tenant.admin_app_id, "CertificateThumbprint": tenant.host_thumbprint, "Organization": DOMAIN}
    with here.pool(connected=False) as pool:
        assert not run(pool, "Connect-ExchangeOnline", **right).failed
        assert not run(pool, "Get-Mailbox", Identity=SUPPORT).failed
    for wrong in (
        {"CertificateThumbprint": "0" * 40},
        {"AppId": here.administrator},
        {"Organization": "other.onmicrosoft.com"},
    ):
        with here.pool(connected=False) as pool:
            assert run(pool, "Connect-ExchangeOnline", **(right | wrong)).failed
            assert run(pool, "Get-Mailbox", Identity=SUPPORT).failed


@pytest.mark.parametrize(
    ("form", "says"), [(1, "Invalid provider type specified."), (2, "Keyset does not exist")], ids=["cng", "unreadable"]
)
def test_a_key_of_the_hosts_certificate_that_cannot_be_used(here, form, says):
    """host-key: a CNG key, and one that the account may not read."""
    tenant = here.tenant
    tenant.faults.set("host-key", form)
    right = {"AppId": tenant.admin_app_id, "CertificateThumbprint": tenant.host_thumbprint, "Organization": DOMAIN}
    with here.pool(connected=False) as pool:
        ran = run(pool, "Connect-ExchangeOnline", **right)
        assert (ran.failed, ran.error) == (True, says)


def test_a_raw_endpoint_may_not_connect(here):
    """raw-endpoint: what shows the module's cmdlets as they are cannot connect; behind wrappers, and at full language, one
    connects as ever."""
    here.tenant.faults.set("raw-endpoint", 1)
    with here.pool("ExchangeManagement", connected=False) as pool:
        ran = here.connect(pool)
        assert (ran.failed, ran.error_id) == (True, "ScriptsNotAllowed")
    with here.pool(JEA, connected=False) as pool:
        assert not joined(here, pool).failed
    with here.pool(connected=False) as pool:
        assert not here.connect(pool).failed


# Whose token


def test_a_persons_token(here):
    """It needs -UserPrincipalName, the same as in the token, and a delegated permission on Exchange."""
    tenant = here.tenant
    tenant.directory.directory_roles["person"] = {"Exchange Administrator"}
    usual = {"roles": None, "oid": "person", "scp": "AdminApi.AccessAsUser.All", "upn": "admin@contoso.com"}
    cases: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
        ({}, {"UserPrincipalName": "admin@contoso.com"}, True),
        ({}, {"UserPrincipalName": "ADMIN@contoso.com", "DelegatedOrganization": DOMAIN}, True),
        ({}, {"Organization": DOMAIN}, False),
        ({}, {"UserPrincipalName": "other@contoso.com"}, False),
        ({}, {"UserPrincipalName": "admin@contoso.com", "DelegatedOrganization": "x.onmicrosoft.com"}, False),
        ({"scp": "user_impersonation"}, {"UserPrincipalName": "admin@contoso.com"}, False),
    ]
    for claims, parameters, works in cases:
        with here.pool(connected=False) as pool:
            ran = run(pool, "Connect-ExchangeOnline", AccessToken=here.token(**(usual | claims)), **parameters)
            assert ran.failed is not works, (claims, parameters)


def test_an_applications_token_is_no_persons(here):
    """An application's token with -UserPrincipalName alone is refused."""
    with here.pool(connected=False) as pool:
        ran = run(pool, "Connect-ExchangeOnline", AccessToken=here.token(), UserPrincipalName="admin@contoso.com")
        assert (ran.failed, ran.error) == (True, "UnAuthorized")


# The module


def test_a_host_without_the_module():
    """Nothing of it is there: not to connect, not to list, not to import."""
    with host(module="") as here, here.pool(connected=False) as pool:
        assert here.connect(pool).error_id == "CommandNotFoundException"
        assert run(pool, "Get-Module", Name="Exchange*", ListAvailable=True).rows == []
        assert "no valid module file" in run(pool, "Import-Module", Name="ExchangeOnlineManagement").error
        assert run(pool, "Get-EXOMailbox", Identity=SUPPORT).failed


@pytest.mark.parametrize(
    ("version", "parameter", "there"),
    [("3.0.0", "AccessToken", False), ("3.1.0", "AccessToken", True), ("3.7.1", "DisableWAM", False), ("3.7.2", "DisableWAM", True)],
)  # fmt: skip
def test_a_parameter_is_as_old_as_the_help_says(version, parameter, there):
    """Connect-ExchangeOnline has a parameter from the version on that its help names."""
    with host(module=version) as here, here.pool(connected=False) as pool:
        [module] = run(pool, "Get-Module", Name="ExchangeOnlineManagement", ListAvailable=True).rows
        assert module["Version"] == version
        more = {"DisableWAM": True} if parameter == "DisableWAM" else {}
        ran = here.connect(pool, **more)
        assert ran.failed is not there
        if not there:
            assert (ran.error_id.split(",")[0], parameter in ran.error) == ("NamedParameterNotFound", True)
