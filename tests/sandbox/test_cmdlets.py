"""The Exchange cmdlets of the management host, judged by pypsrp used raw and by the vendor's table (tests/data/cmdlets.json)."""

import asyncio
import json
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from host_fixture import DOMAIN, Host, Ran, host, invoke, run
from hypothesis import given
from hypothesis import strategies as st
from psrpcore import PSRemotingCrypto
from psrpcore.types import deserialize
from pypsrp.powershell import PowerShell, RunspacePool

from exosp.sandbox import clixml
from exosp.sandbox.cmdlets import TABLE
from exosp.sandbox.cmdlets.binding import COMMON, Thing, bind, bind_input, find, schema, spec
from exosp.sandbox.cmdlets.engine import Command, Engine
from exosp.sandbox.cmdlets.outcome import Failure, Item
from exosp.sandbox.cmdlets.rights import MANAGEMENT_ROLES
from exosp.sandbox.cmdlets.session import Connection, Runspace
from exosp.sandbox.tenant import Options, Tenant

VENDOR = json.loads((Path(__file__).parent.parent / "data" / "cmdlets.json").read_text(encoding="utf-8"))
NOT_FOUND, AMBIGUOUS = "ManagementObjectNotFoundException", "ManagementObjectAmbiguousException"


@pytest.fixture
def here() -> Iterator[Host]:
    with host() as running:
        yield running


@pytest.fixture
def pool(here: Host) -> Iterator[RunspacePool]:
    with here.pool() as opened:
        yield opened


def add(pool: RunspacePool, identity: str, user: str, **more: Any) -> Ran:
    return run(
        pool, "Add-MailboxPermission", **({"Identity": identity, "User": user, "AccessRights": "FullAccess"} | more)
    )


def permissions(pool: RunspacePool, identity: str, **more: Any) -> list[dict[str, Any]]:
    """Explicit entries, without SELF."""
    rows = run(pool, "Get-MailboxPermission", Identity=identity, **more).rows
    return [row for row in rows if not row["IsInherited"] and row["User"] != "NT AUTHORITY\\SELF"]


# Held against the vendor's table


def test_every_emulated_cmdlet_and_parameter_is_the_vendors() -> None:
    """The sandbox emulates no cmdlet and honours no parameter that Exchange Online lacks."""
    for name, cmdlet in TABLE.items():
        entry = VENDOR["cmdlets"][name]
        assert entry["online"], name
        for parameter in cmdlet.parameters:
            assert entry["parameters"][parameter]["online"], f"{name} -{parameter}"


def test_the_sandbox_s_schema_says_what_the_vendor_s_table_says() -> None:
    """Names, types, pipeline input and availability are the same in both, for every emulated cmdlet."""
    assert sorted(schema()) == VENDOR["known"]
    for name, entry in VENDOR["cmdlets"].items():
        held = {
            key: {fact: row[fact] for fact in ("type", "pipeline", "online")}
            for key, row in schema()[name]["parameters"].items()
        }
        assert held == entry["parameters"], name


def test_every_cmdlet_that_a_role_brings_is_the_vendors() -> None:
    """The table of management roles invents no cmdlet."""
    for role, names in MANAGEMENT_ROLES.items():
        assert names <= set(schema()), role


# Before and after Connect-ExchangeOnline


@pytest.mark.parametrize("name", ["Get-Mailbox", "New-ServicePrincipal", "Get-Nonsense"])
def test_a_fresh_session_has_no_exchange_cmdlets(here: Host, name: str) -> None:
    """Before the connection they do not exist, in PowerShell's own words, and the pipeline fails."""
    with here.pool(connected=False) as pool:
        ran = run(pool, name)
        assert ran.failed
        assert ran.error_id == "CommandNotFoundException"
        assert ran.error.startswith(
            f"The term '{name}' is not recognized as the name of a cmdlet, function, script file, or"
        )
        assert (
            run(pool, "Get-EXOMailbox").error
            == "You must call the Connect-ExchangeOnline cmdlet before calling any other cmdlets."
        )
        assert not run(pool, "Get-ConnectionInformation").rows


@pytest.mark.parametrize(
    ("claims", "parameters"),
    [
        ({"aud": "https://graph.microsoft.com"}, {}),
        ({"aud": "https://ps.outlook.com"}, {}),
        ({"aud": ["https://outlook.office365.com"]}, {}),
        ({"roles": []}, {}),
        ({"roles": ["IMAP.AccessAsApp"]}, {}),
        ({"roles": "Exchange.ManageAsApp"}, {}),
        ({"iss": "https://sts.windows.net/another/"}, {}),
        ({}, {"Organization": "fabrikam.onmicrosoft.com"}),
        ({}, {"Organization": "contoso.com"}),
        ({}, {"ExchangeEnvironmentName": "O365China"}),
        ({}, {"AccessToken": "not.a.token"}),
        ({}, {"AccessToken": "System.Security.SecureString"}),
    ],
)
def test_a_token_that_does_not_fit_is_unauthorized(
    here: Host, claims: dict[str, Any], parameters: dict[str, Any]
) -> None:
    """Wrong audience, role, issuer, organization, cloud or form: the module says UnAuthorized and connects nothing."""
    with here.pool(connected=False) as pool:
        ran = here.connect(pool, here.token(**claims), **parameters)
        assert (ran.failed, ran.error, ran.error_id) == (True, "UnAuthorized", "UnAuthorized")
        assert run(pool, "Get-Mailbox").error_id == "CommandNotFoundException"


@pytest.mark.parametrize("audience", ["https://outlook.office365.com/", "https://outlook.office.com"])
def test_exchange_s_audiences_connect(here: Host, audience: str) -> None:
    """Both names of Exchange, with and without the slash; the tenant's id is no organization, its domain in any case is."""
    with here.pool(connected=False) as pool:
        assert here.connect(pool, Organization=here.tenant.tenant_id).error == "UnAuthorized"
        assert not here.connect(pool, here.token(aud=audience), Organization=DOMAIN.upper()).failed
        assert run(pool, "Get-ConnectionInformation").rows[0]["TokenStatus"] == "Active"


def test_roles_decide_which_cmdlets_there_are(here: Host) -> None:
    """No directory role: refused by name. Recipient administrator: no New-ServicePrincipal. Reader: no writes."""
    stranger, recipient, reader, custom = (str(uuid.uuid4()) for _ in range(4))
    here.tenant.directory.directory_roles |= {
        recipient: {"Exchange Recipient Administrator"},
        reader: {"Global Reader"},
    }
    here.tenant.exchange.role_groups[custom] = {"Role Management"}
    with here.pool(connected=False) as pool:
        refused = here.connect(pool, here.token(stranger))
        assert "isn't supported in this scenario. Please check online documentation" in refused.error
    expected = {
        recipient: {"Add-MailboxPermission": True, "New-ServicePrincipal": False, "Get-Mailbox": True},
        reader: {"Add-MailboxPermission": False, "Get-ServicePrincipal": True, "Get-Mailbox": True},
        custom: {"New-ServicePrincipal": True, "Get-Mailbox": False},
    }
    for object_id, cmdlets in expected.items():
        with here.pool(connected=False) as pool:
            assert not here.connect(pool, here.token(object_id)).failed
            for name, there in cmdlets.items():
                assert bool(run(pool, "Get-Command", Name=name).rows) == there, name
                assert (run(pool, name).error_id != "CommandNotFoundException" if not there else True) == there


def test_command_name_limits_what_is_loaded(here: Host) -> None:
    """-CommandName loads only those, by wildcard; disconnecting unloads them."""
    with here.pool(connected=False) as pool:
        assert not here.connect(pool, CommandName=["Get-Mailbox*"]).failed
        assert run(pool, "Get-Mailbox").rows
        assert run(pool, "Get-User").error_id == "CommandNotFoundException"
        asked = run(pool, "Disconnect-ExchangeOnline")
        assert asked.error_id == "HostFunctionNotImplemented,Disconnect-ExchangeOnline"
        assert not run(pool, "Disconnect-ExchangeOnline", Confirm=False).failed
        assert run(pool, "Get-Mailbox").error_id == "CommandNotFoundException"


def test_an_expired_token_ends_the_connection_until_the_next_connect(here: Host) -> None:
    """The module cannot renew an -AccessToken: cmdlets fail as unauthorized, and a new Connect helps."""
    with here.pool() as pool:
        assert run(pool, "Get-Mailbox").rows
        here.tenant.clock.advance(3600)
        expired = run(pool, "Get-Mailbox")
        assert (expired.failed, expired.error) == (True, "UnAuthorized")
        assert run(pool, "Get-ConnectionInformation").rows[0]["TokenStatus"] == "Expired"
        assert not here.connect(pool).failed
        assert run(pool, "Get-Mailbox").rows


@pytest.mark.parametrize(
    ("name", "parameters", "what"),
    [
        ("Connect-ExchangeOnline", {"Prefix": "x"}, "-Prefix of Connect-ExchangeOnline"),
        ("Connect-ExchangeOnline", {}, "a sign-in without -AccessToken"),
        ("Get-ManagementRole", {}, "the cmdlet Get-ManagementRole"),
        ("Set-TransportConfig", {"SmtpClientAuthenticationDisabled": False}, "the cmdlet Set-TransportConfig"),
        ("Get-EXORecipient", {}, "the cmdlet Get-EXORecipient"),
        ("Get-Mailbox", {"Anr": "x"}, "-Anr of Get-Mailbox"),
        ("Get-Mailbox", {"Filter": "(Alias -eq 'a') -and (Name -eq 'b') -or (Alias -eq 'c')"}, "a filter"),
        ("Get-Mailbox", {"Filter": "Alias -gt 'a'"}, "the filter"),
        (
            "Get-MailboxPermission",
            {"Identity": "support@contoso.com", "Owner": True},
            "-Owner of Get-MailboxPermission",
        ),
    ],
)
def test_what_is_not_emulated_says_so_by_name(
    pool: RunspacePool, name: str, parameters: dict[str, Any], what: str
) -> None:
    """A real cmdlet or parameter that the sandbox lacks is an error that names it, never a pretence."""
    ran = run(pool, name, **parameters)
    assert (ran.failed, ran.error_id) == (True, "NotEmulated")
    assert what in ran.error
    assert "emulated" in ran.error


# Parameter binding


@pytest.mark.parametrize(
    ("parameters", "error_id", "text"),
    [
        ({"Identity": "support@contoso.com", "Nonsense": 1}, "NamedParameterNotFound", "matches parameter name 'Nonsense'."),
        ({"Identity": "support@contoso.com", "DomainController": "dc"}, "NamedParameterNotFound", "'DomainController'"),
        ({"Identity": "support@contoso.com"}, "MissingMandatoryParameter", "missing mandatory parameters: AccessRights User."),
        ({"User": "x", "AccessRights": "FullAccess"}, "MissingMandatoryParameter", "parameters: Identity."),
        ({"Identity": "", "User": "x", "AccessRights": "FullAccess"},
         "ParameterArgumentValidationErrorEmptyStringNotAllowed", "'Identity' because it is an empty string."),
        ({"Identity": None, "User": "x", "AccessRights": "FullAccess"},
         "ParameterArgumentValidationErrorNullNotAllowed", "'Identity' because it is null."),
        ({"Identity": ["a", "b"], "User": "x", "AccessRights": "FullAccess"}, "CannotConvertArgument", "'System.Object[]'"),
        ({"Identity": "a", "User": "x", "AccessRights": "Everything"}, "ParameterArgumentTransformationError",
         "FullAccess, ExternalAccount, DeleteItem, ReadPermission, ChangePermission, ChangeOwner"),
        ({"Identity": "a", "User": "x", "AccessRights": "Change"}, "ParameterArgumentTransformationError", "name Change to"),
        ({"Identity": "a", "User": "x", "AccessRights": "FullAccess", "AutoMapping": "false"},
         "ParameterArgumentTransformationError", "Boolean parameters accept only Boolean values and numbers"),
        ({"Identity": "a", "User": "x", "AccessRights": "FullAccess", "Confirm": "no"},
         "ParameterArgumentTransformationError", "SwitchParameter"),
        ({"Identity": "a", "User": "x", "user": "y", "AccessRights": "FullAccess"}, "ParameterAlreadyBound", "'User'"),
        ({"Identity": "a", "User": "x", "AccessRights": "FullAccess", "I": "b"}, "AmbiguousParameter", "-InformationAction"),
        ({"Identity": "a", "User": "x", "AccessRights": "FullAccess", "ErrorAction": "Panic"},
         "ParameterArgumentTransformationError", "SilentlyContinue, Stop"),
        ({"Identity": "a", "User": "x", "Owner": "y", "AccessRights": "FullAccess"}, "NotEmulated", "-Owner"),
    ],
)  # fmt: skip
def test_binding_errors_are_powershell_s(
    pool: RunspacePool, parameters: dict[str, Any], error_id: str, text: str
) -> None:
    """Names, types, mandatory ones, doubles: PowerShell's error ids and texts; the pipeline fails and nothing runs."""
    ran = run(pool, "Add-MailboxPermission", **parameters)
    suffix = "" if error_id == "NotEmulated" else ",Add-MailboxPermission"
    assert (ran.failed, ran.error_id) == (True, f"{error_id}{suffix}")
    assert text in ran.error


@pytest.mark.parametrize("name", sorted(VENDOR["cmdlets"]))
def test_the_binder_knows_the_vendor_s_parameters_and_no_others(name: str) -> None:
    """Every online parameter is found in any case; every on-premises one, and an invented one, is not."""
    for parameter, facts in VENDOR["cmdlets"][name]["parameters"].items():
        if facts["online"]:
            assert find(spec(name), parameter.upper())[0].name == parameter
        elif not any(other.startswith(parameter) for other in spec(name).parameters):
            with pytest.raises(Failure, match=parameter):
                find(spec(name), parameter)
    with pytest.raises(Failure, match="Nonsense"):
        find(spec(name), "Nonsense")
    for common, (alias, _) in COMMON.items():
        assert find(spec(name), common)[1]
        assert find(spec(name), alias)[0].name == common


def test_aliases_prefixes_positions_and_switches(pool: RunspacePool) -> None:
    """-cf, an unambiguous beginning, a positional identity and a switch without a value all bind."""
    shell = PowerShell(pool)
    shell.add_cmdlet("add-mailboxpermission").add_argument("support@contoso.com")
    shell.add_parameter("us", "sales@contoso.com").add_parameter("accessr", ["full", "ReadPermission"])
    shell.add_parameter("cf", False).add_parameter("WhatIf")
    assert invoke(shell).rows == []
    assert permissions(pool, "support@contoso.com") == []


def test_pipeline_input_binds_by_value_and_by_property() -> None:
    """A string or a GUID becomes Identity; an object gives its Identity; what has neither is refused, not fatal."""
    emulated = TABLE["Add-MailboxPermission"].parameters
    bound = bind(
        spec("Add-MailboxPermission"),
        [("User", "u"), ("AccessRights", "FullAccess")],
        emulated,
        frozenset({"AccessRights"}),
        piped=True,
    )
    assert bind_input(bound, "a@b.c")["Identity"] == "a@b.c"
    assert bind_input(bound, Thing("text", {"identity": "id", "Other": 1}))["Identity"] == "id"
    assert bind_input(bound, Thing("text"))["Identity"] == "text"
    for item in (None, Thing("text", {"Other": 1})):
        with pytest.raises(Failure) as caught:
            bind_input(bound, item)
        assert (caught.value.error_id, caught.value.terminating) == ("InputObjectNotBound", False)


# Streams


def test_errors_of_single_items_do_not_end_the_pipeline(here: Host, pool: RunspacePool) -> None:
    """Exchange's errors are records with the item's number; the pipeline completes; pypsrp's had_errors stays False."""
    _, object_id = here.registered(pool)
    names = ["support@contoso.com", "nobody@contoso.com", "sales@contoso.com", "none@contoso.com"]
    ran = run(
        pool, "Add-MailboxPermission", input=names, User=object_id, AccessRights=["FullAccess"], AutoMapping=False
    )
    assert (len(ran.rows), ran.failed) == (2, False)
    assert [record.pipeline_iteration_info[0] for record in ran.errors] == [2, 4]
    first = ran.errors[0]
    assert NOT_FOUND in str(first)
    assert "'nobody@contoso.com'" in str(first)
    assert (first.activity, first.reason, first.pipeline_iteration_info) == ("Add-MailboxPermission", NOT_FOUND, [2, 0])
    assert here.tenant.requests["remoting"]["Add-MailboxPermission"] == 1


@pytest.mark.parametrize(
    ("action", "rows", "errors", "failed"),
    [("Continue", 1, 1, False), ("SilentlyContinue", 1, 0, False), ("Stop", 0, 1, True)],
)
def test_error_action(here: Host, pool: RunspacePool, action: str, rows: int, errors: int, failed: bool) -> None:
    """SilentlyContinue drops the record, Stop ends the pipeline with it."""
    _, object_id = here.registered(pool)
    ran = run(
        pool, "Add-MailboxPermission", input=["nobody@contoso.com", "support@contoso.com"],
        User=object_id, AccessRights="FullAccess", ErrorAction=action,
    )  # fmt: skip
    assert (len(ran.rows), len(ran.errors), ran.failed) == (rows, errors, failed)


def test_warnings_print_and_can_be_silenced_or_fatal(pool: RunspacePool) -> None:
    """A duplicate grant warns; the record prints as its text; -WarningAction is obeyed."""
    assert add(pool, "support@contoso.com", "sales@contoso.com").rows
    again = add(pool, "support@contoso.com", "sales@contoso.com")
    assert (again.rows, again.errors, again.failed) == ([], [], False)
    assert again.warnings[0].startswith('The appropriate access control entry is already present on the object "CN=')
    shell = PowerShell(pool)
    shell.add_cmdlet("Add-MailboxPermission").add_parameters(
        {"User": "sales@contoso.com", "AccessRights": "FullAccess"}
    )
    invoke(shell, ["private@contoso.com", "support@contoso.com"])
    (record,) = shell.streams.warning
    assert (record.pipeline_iteration_info, record.command_name) == ([2, 0], "Add-MailboxPermission")
    assert add(pool, "support@contoso.com", "sales@contoso.com", WarningAction="SilentlyContinue").warnings == []
    assert add(pool, "support@contoso.com", "sales@contoso.com", WarningAction="Stop").failed


def test_errors_that_repeat_strange_input_still_arrive(pool: RunspacePool) -> None:
    """Control characters, markup, astral characters and escapes in an identity come back as they went."""
    for strange in ("a\x00b", "<&>\"'", "\x1f\x7f\x85", "_x0041_", "snow☃ 😀", "line\r\nbreak"):
        ran = run(pool, "Get-Mailbox", Identity=strange)
        assert strange in ran.errors[0].exception.adapted_properties["Message"], ran.error


NO_LANGUAGE = "The syntax is not supported by this runspace. This can occur if the runspace is in no-language mode."


def test_no_language_mode(here: Host) -> None:
    """In such a runspace a script or a pipeline of commands is refused in its own words; one command runs."""
    with here.pool("ExchangeManagement") as pool:
        script, piped = PowerShell(pool), PowerShell(pool)
        script.add_script("Get-Mailbox")
        piped.add_cmdlet("Get-Mailbox").add_cmdlet("Out-Null")
        assert [invoke(shell).error for shell in (script, piped)] == [NO_LANGUAGE, NO_LANGUAGE]
        assert len(run(pool, "Get-Mailbox").rows) == 3


def test_full_language_runs_no_scripts_but_shapes_rows(pool: RunspacePool) -> None:
    """A script is not emulated and says so; Select-Object -Property and Out-Null may end a pipeline; Where-Object may not."""
    script, select, null, where = (PowerShell(pool) for _ in range(4))
    script.add_script("1 + 1")
    assert "scripts" in invoke(script).error
    select.add_cmdlet("Get-Mailbox").add_cmdlet("Select-Object").add_parameter(
        "Property", ["primarysmtpaddress", "Gone"]
    )
    assert {"PrimarySmtpAddress": "sales@contoso.com", "Gone": None} in invoke(select).rows
    null.add_cmdlet("Get-Mailbox").add_cmdlet("Out-Null")
    assert invoke(null).rows == []
    where.add_cmdlet("Get-Mailbox").add_cmdlet("Where-Object")
    assert "a pipeline into Where-Object" in invoke(where).error


def test_a_batch_of_statements_goes_on_after_a_terminating_error(pool: RunspacePool) -> None:
    """In a batch a terminating error is a record and the next statement runs; -ErrorAction Stop ends the batch."""
    for action, rows in (("Continue", 3), ("Stop", 0)):
        shell = PowerShell(pool)
        shell.add_cmdlet("Get-Mailbox").add_parameters({"Identity": "nobody", "ErrorAction": action}).add_statement()
        shell.add_cmdlet("No-SuchThing").add_statement()
        shell.add_cmdlet("Get-Mailbox")
        ran = invoke(shell)
        assert (len(ran.rows), ran.failed) == (rows, action == "Stop")


def test_the_session_s_own_commands(here: Host) -> None:
    """Get-Module, Import-Module and Get-Command answer for what is there; another module is not."""
    with here.pool(connected=False) as pool:
        assert run(pool, "Get-Module", Name="Exchange*", ListAvailable=True).rows[0]["Version"] == "3.9.2"
        assert not run(pool, "Import-Module", Name="ExchangeOnlineManagement").errors
        assert "'Az' was not loaded" in run(pool, "Import-Module", Name="Az").error
        names = {row["Name"] for row in run(pool, "Get-Command", Module="ExchangeOnlineManagement").rows}
        assert {"Connect-ExchangeOnline", "Get-EXOMailbox"} <= names
        assert "Get-Mailbox" not in names
        missing = run(pool, "Get-Command", Name="New-ServicePrincipal")
        assert (missing.rows, missing.failed) == ([], False)
        assert "is not recognized" in missing.error


# Service principals


def test_new_service_principal(here: Host, pool: RunspacePool) -> None:
    """The enterprise application's pair is entered and shown as the vendor shows it; again is "already exist"."""
    app_id, object_id = here.enterprise_application()
    made = run(pool, "New-ServicePrincipal", AppId=app_id, ObjectId=object_id, DisplayName="Mail").rows[0]
    assert (made["AppId"], made["ObjectId"], made["DisplayName"]) == (app_id, object_id, "Mail")
    assert (made["RecipientTypeDetails"], isinstance(made["Guid"], uuid.UUID)) == ("ServicePrinciple", True)
    assert not any(name.startswith("_") for name in made)
    again = run(pool, "New-ServicePrincipal", AppId=app_id, ObjectId=object_id)
    assert (again.rows, again.failed) == ([], False)
    assert "already exist" in again.error
    for identity in (app_id, object_id.upper(), made["Name"], made["DistinguishedName"], str(made["Guid"])):
        assert run(pool, "Get-ServicePrincipal", Identity=identity).rows == [made]
    assert NOT_FOUND in run(pool, "Get-ServicePrincipal", Identity="Mail").error
    assert run(pool, "Get-User", Identity=object_id).errors


@pytest.mark.parametrize("check", [1, 0])
def test_object_id_check(here: Host, pool: RunspacePool, check: int) -> None:
    """The application's own object id, or another app's, is AADServicePrincipalNotFound; with the knob at 0 it is accepted."""
    here.tenant.faults.set("object-id-check", check)
    app_id, _ = here.enterprise_application()
    _, other = here.enterprise_application()
    for wrong, app in ((str(uuid.uuid4()), app_id), (other, str(uuid.uuid4()))):
        ran = run(pool, "New-ServicePrincipal", AppId=app, ObjectId=wrong)
        if check:
            assert f"AADServicePrincipalNotFound. No ServicePrincipal with Object Id '{wrong}'" in ran.error
        else:
            assert ran.rows[0]["ObjectId"] == wrong


def test_exchange_hears_late_of_a_new_enterprise_application(here: Host, pool: RunspacePool) -> None:
    """Until it is synced, the right pair is refused too; then it is taken, and logins honour it a grant-lag later."""
    here.tenant.faults.set("grant-lag", 100)
    now = here.tenant.clock.now()
    app_id, object_id = here.enterprise_application(synced_at=now + 50)
    assert "AADServicePrincipalNotFound" in run(pool, "New-ServicePrincipal", AppId=app_id, ObjectId=object_id).error
    here.tenant.clock.advance(60)
    assert run(pool, "New-ServicePrincipal", AppId=app_id, ObjectId=object_id).rows
    row = here.tenant.exchange.service_principal(app_id)
    assert row is not None
    assert now + 60 + 50 <= row.effective_at <= here.tenant.clock.now() + 100


def test_set_and_remove_service_principal(here: Host, pool: RunspacePool) -> None:
    """Only the name changes; removing needs -Confirm:$false; -WhatIf removes nothing."""
    app_id, object_id = here.registered(pool)
    run(pool, "Set-ServicePrincipal", Identity=app_id, DisplayName="New name")
    assert run(pool, "Get-ServicePrincipal", Identity=app_id).rows[0]["DisplayName"] == "New name"
    asked = run(pool, "Remove-ServicePrincipal", Identity=object_id)
    assert (asked.failed, asked.error_id) == (True, "HostFunctionNotImplemented,Remove-ServicePrincipal")
    assert not run(pool, "Remove-ServicePrincipal", Identity=object_id, WhatIf=True).errors
    assert len(run(pool, "Get-ServicePrincipal").rows) == 1
    assert not run(pool, "Remove-ServicePrincipal", Identity=object_id, Confirm=False).errors
    assert run(pool, "Get-ServicePrincipal").rows == []


def test_what_entra_deletes_exchange_loses(here: Host, pool: RunspacePool) -> None:
    """Deleting the enterprise application removes the entry; its grant is then an orphan, shown as a bare SID if asked for."""
    _, object_id = here.registered(pool)
    add(pool, "support@contoso.com", object_id)
    del here.tenant.directory.service_principals[object_id]
    assert run(pool, "Get-ServicePrincipal").rows == []
    assert permissions(pool, "support@contoso.com") == []
    (orphan,) = permissions(pool, "support@contoso.com", IncludeUnresolvedPermissions=True)
    assert orphan["User"] == orphan["UserSid"]
    gone = run(
        pool,
        "Remove-MailboxPermission",
        Identity="support@contoso.com",
        User=orphan["UserSid"],
        AccessRights="FullAccess",
        Confirm=False,
    )
    assert (gone.errors, gone.warnings) == ([], [])
    assert permissions(pool, "support@contoso.com", IncludeUnresolvedPermissions=True) == []


@pytest.mark.parametrize("knob", [1, 0])
def test_an_unknown_identity_is_an_error_or_every_row(here: Host, pool: RunspacePool, knob: int) -> None:
    """The trap of the help page: with the knob at 0 a Get-* answers an unknown identity with all there is."""
    here.registered(pool)
    here.registered(pool, "Other")
    here.tenant.faults.set("unknown-identity", knob)
    for name, count in (
        ("Get-ServicePrincipal", 2), ("Get-Mailbox", 3), ("Get-CASMailbox", 3), ("Get-Recipient", 3), ("Get-User", 3),
        ("Get-MailboxPermission", 12), ("Get-RecipientPermission", 3), ("Get-EXOMailbox", 3),
    ):  # fmt: skip
        ran = run(pool, name, Identity="nobody@contoso.com")
        if knob:
            assert NOT_FOUND in ran.error, name
            assert not ran.rows
        else:
            assert (len(ran.rows), ran.errors) == (count, []), name
    assert add(pool, "nobody@contoso.com", "sales@contoso.com").errors, "a write never takes another object"


def test_no_identity_means_all(here: Host, pool: RunspacePool) -> None:
    """$null and the empty string are no identity (FACTS §2)."""
    here.registered(pool)
    for nothing in ({}, {"Identity": None}, {"Identity": ""}):
        assert len(run(pool, "Get-ServicePrincipal", **nothing).rows) == 1
        assert len(run(pool, "Get-RecipientPermission", **nothing).rows) == 3


# Mailboxes


def test_mailbox_kinds_are_found_by_the_cmdlets_that_find_them(here: Host, pool: RunspacePool) -> None:
    """MailUser, group mailbox and soft-deleted mailbox each answer only where Exchange lets them."""
    exchange = here.tenant.exchange
    exchange.add_mailbox("onprem@contoso.com", kind="MailUser")
    exchange.add_mailbox("team@contoso.com", kind="GroupMailbox")
    exchange.add_mailbox("shared@contoso.com", kind="SharedMailbox")
    exchange.add_mailbox("gone@contoso.com", soft_deleted=True)
    found = {
        "onprem@contoso.com": {"Get-Mailbox": 0, "Get-Recipient": 1, "Get-User": 1, "Get-CASMailbox": 0},
        "team@contoso.com": {"Get-Mailbox": 0, "Get-Recipient": 1, "Get-User": 0, "Get-CASMailbox": 0},
        "shared@contoso.com": {"Get-Mailbox": 1, "Get-Recipient": 1, "Get-User": 1, "Get-CASMailbox": 1},
        "gone@contoso.com": {"Get-Mailbox": 0, "Get-Recipient": 0, "Get-User": 0, "Get-CASMailbox": 0},
    }
    for identity, expected in found.items():
        assert {name: len(run(pool, name, Identity=identity).rows) for name in expected} == expected, identity
    assert (
        run(pool, "Get-Mailbox", Identity="team@contoso.com", GroupMailbox=True).rows[0]["RecipientTypeDetails"]
        == "GroupMailbox"
    )
    assert len(run(pool, "Get-Mailbox", SoftDeletedMailbox=True).rows) == 1
    assert len(run(pool, "Get-Mailbox").rows) == 4
    assert len(run(pool, "Get-Mailbox", RecipientTypeDetails=["SharedMailbox"]).rows) == 1
    for identity in ("onprem@contoso.com", "team@contoso.com", "gone@contoso.com"):
        assert NOT_FOUND in add(pool, identity, "sales@contoso.com").error
    assert add(pool, "team@contoso.com", "sales@contoso.com", GroupMailbox=True).rows
    assert run(pool, "Get-Recipient", Identity="onprem@contoso.com").rows[0]["RecipientType"] == "MailUser"


def test_identities_by_every_name_and_ambiguous_ones(here: Host, pool: RunspacePool) -> None:
    """Address, alias, UPN, GUID, DN and name find the mailbox; a display name that two share is ambiguous."""
    made = here.tenant.exchange.add_mailbox(
        "desk@contoso.com", upn="d1@contoso.onmicrosoft.com", aliases=("help@contoso.com",), display_name="Desk"
    )
    here.tenant.exchange.add_mailbox("desk2@contoso.com", display_name="Desk")
    p = made.properties
    for name in (
        "DESK@contoso.com",
        "help@contoso.com",
        p["UserPrincipalName"],
        p["Guid"],
        p["DistinguishedName"],
        p["Name"],
    ):
        (row,) = run(pool, "Get-Mailbox", Identity=name).rows
        assert row["PrimarySmtpAddress"] == "desk@contoso.com"
    assert AMBIGUOUS in run(pool, "Get-Mailbox", Identity="Desk").error
    assert AMBIGUOUS in add(pool, "support@contoso.com", "Desk").error
    assert str(row["ExchangeGuid"]) == p["ExchangeGuid"]
    assert here.tenant.exchange.by_address("HELP@contoso.com") is made
    assert here.tenant.exchange.by_address(p["Guid"]) is None, "a mail client's user name is an address"
    assert row["EmailAddresses"] == ["SMTP:desk@contoso.com", "smtp:help@contoso.com"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("PrimarySmtpAddress -eq 'support@contoso.com'", ["support"]),
        (
            "(EmailAddresses -eq 'smtp:sales@contoso.com') -or (EmailAddresses -eq 'support@contoso.com')",
            ["sales", "support"],
        ),
        ("Alias -like 's*' -and Alias -ne 'sales'", ["support"]),
        ("IsMailboxEnabled -eq $true", ["private", "sales", "support"]),
        ("Alias -eq 'it''s'", []),
    ],
)
def test_filters(pool: RunspacePool, text: str, found: list[str]) -> None:
    """The small part of OPATH that is emulated finds what it says."""
    assert sorted(row["Alias"] for row in run(pool, "Get-Mailbox", Filter=text).rows) == found


def test_a_filter_on_an_unknown_property_is_refused(pool: RunspacePool) -> None:
    """Exchange names the property; no row comes."""
    ran = run(pool, "Get-Mailbox", Filter="Nonsense -eq 'x'")
    assert (ran.rows, "'Nonsense' isn't a recognized filterable property" in ran.error) == ([], True)


def test_result_size(here: Host, pool: RunspacePool) -> None:
    """A thousand rows by default, with a warning that there are more; Unlimited gives all; 2 gives two and warns."""
    for number in range(1000):
        here.tenant.exchange.add_mailbox(f"box{number}@contoso.com")
    default = run(pool, "Get-Mailbox")
    assert (len(default.rows), len(default.warnings)) == (1000, 1)
    assert "only the first 1000 items are returned" in default.warnings[0]
    everything = run(pool, "Get-CASMailbox", ResultSize="Unlimited")
    assert (len(everything.rows), everything.warnings) == (1003, [])
    two = run(pool, "Get-Recipient", ResultSize=2)
    assert (len(two.rows), "There are more results available" in two.warnings[0]) == (2, True)
    assert run(pool, "Get-Mailbox", ResultSize="lots").error_id == "ParameterArgumentTransformationError,Get-Mailbox"


def test_set_cas_mailbox(here: Host, pool: RunspacePool) -> None:
    """Settings change without output; $null gives SMTP AUTH back to the organization; nothing to change is a warning."""
    assert run(pool, "Get-TransportConfig").rows[0]["SmtpClientAuthenticationDisabled"] is True
    assert (
        run(
            pool,
            "Set-CASMailbox",
            Identity="support@contoso.com",
            SmtpClientAuthenticationDisabled=False,
            PopEnabled=False,
        ).rows
        == []
    )
    (row,) = run(pool, "Get-CASMailbox", Identity="support@contoso.com").rows
    assert (row["SmtpClientAuthenticationDisabled"], row["PopEnabled"], row["ImapEnabled"]) == (False, False, True)
    again = run(pool, "Set-CASMailbox", Identity="support@contoso.com", PopEnabled=False)
    assert "no settings of" in again.warnings[0]
    run(pool, "Set-CASMailbox", Identity="support@contoso.com", SmtpClientAuthenticationDisabled=None)
    assert here.tenant.exchange.mailboxes[0].cas["SmtpClientAuthenticationDisabled"] is None
    refused = run(pool, "Set-CASMailbox", Identity="support@contoso.com", ImapEnabled=None)
    assert "'ImapEnabled' because it is null" in refused.error
    run(pool, "Set-CASMailbox", Identity="support@contoso.com", ImapEnabled=False, WhatIf=True)
    assert here.tenant.exchange.mailboxes[0].cas["ImapEnabled"] is True


def test_organization_and_domains(pool: RunspacePool) -> None:
    """The organization's settings and its domains, the first one marked."""
    assert run(pool, "Get-OrganizationConfig").rows[0]["IsDehydrated"] is False
    rows = {row["DomainName"]: row["InitialDomain"] for row in run(pool, "Get-AcceptedDomain").rows}
    assert rows == {DOMAIN: True, "contoso.com": False}


# Permissions


def test_a_grant_shows_at_once_and_holds_later(here: Host, pool: RunspacePool) -> None:
    """The row is there; logins honour it after the grant-lag; the trustee is kept as the ObjectId whatever is shown."""
    here.tenant.faults.set("grant-lag", 100)
    app_id, object_id = here.registered(pool)
    before = here.tenant.clock.now()
    made = add(pool, "support@contoso.com", app_id, AutoMapping=False).rows[0]
    (row,) = permissions(pool, "support@contoso.com")
    assert row == made
    assert (row["AccessRights"], row["Deny"], row["InheritanceType"], row["User"]) == (
        ["FullAccess"],
        False,
        "All",
        object_id,
    )
    held = here.tenant.exchange.mailboxes[0].permissions[-1]
    assert held["_trustee"] == object_id
    assert before + 50 <= held.effective_at <= here.tenant.clock.now() + 100


def test_every_mailbox_has_self_and_inherited_rows(pool: RunspacePool) -> None:
    """NT AUTHORITY\\SELF is always there, and so are inherited ones, one of them a Deny."""
    rows = run(pool, "Get-MailboxPermission", Identity="support@contoso.com").rows
    assert rows[0]["User"] == "NT AUTHORITY\\SELF"
    assert {(row["IsInherited"], row["Deny"]) for row in rows} == {(False, False), (True, False), (True, True)}


@pytest.mark.parametrize("form", [0, 1, 2])
def test_permission_user_shows_the_trustee_by_the_knob(here: Host, pool: RunspacePool, form: int) -> None:
    """No source shows what User is for a service principal: object id, display name or SID, in reads and in the reply."""
    here.tenant.faults.set("permission-user", form)
    _, object_id = here.registered(pool, "Mail app")
    made = add(pool, "support@contoso.com", "Mail app").rows[0]
    (row,) = permissions(pool, "support@contoso.com", User=object_id)
    expected = (object_id, "Mail app", row["UserSid"])[form]
    assert (row["User"], made["User"]) == (expected, expected)
    assert row["UserSid"].startswith("S-1-5-21-")
    assert permissions(pool, "support@contoso.com", User="sales@contoso.com") == []


def test_trustees_by_every_name_and_unknown_or_ambiguous_ones(here: Host, pool: RunspacePool) -> None:
    """ObjectId, AppId, Identity and DisplayName of a service principal; a person's address; two of one name are refused."""
    app_id, object_id = here.registered(pool, "Twin")
    entry = run(pool, "Get-ServicePrincipal", Identity=app_id).rows[0]
    for name in (object_id, app_id, entry["Identity"], "twin"):
        assert add(pool, "support@contoso.com", name).errors == []
    assert len(permissions(pool, "support@contoso.com")) == 1
    here.registered(pool, "Twin")
    assert AMBIGUOUS in add(pool, "support@contoso.com", "Twin").error
    unknown = add(pool, "support@contoso.com", str(uuid.uuid4()))
    assert NOT_FOUND in unknown.error
    assert add(pool, "sales@contoso.com", "private@contoso.com").rows[0]["User"] == "private@contoso.com"


def test_rights_add_up_and_are_taken_away(pool: RunspacePool) -> None:
    """Another right joins the entry; removing needs -Confirm:$false; removing what is not there is a warning."""
    add(pool, "support@contoso.com", "sales@contoso.com")
    add(pool, "support@contoso.com", "sales@contoso.com", AccessRights=["ReadPermission", "FullAccess"])
    (row,) = permissions(pool, "support@contoso.com")
    assert row["AccessRights"] == ["FullAccess", "ReadPermission"]
    add(pool, "support@contoso.com", "sales@contoso.com", Deny=True)
    assert [r["Deny"] for r in permissions(pool, "support@contoso.com")] == [False, True]
    take = {"Identity": "support@contoso.com", "User": "sales@contoso.com", "AccessRights": "FullAccess"}
    asked = run(pool, "Remove-MailboxPermission", **take)
    assert (asked.failed, asked.error_id) == (True, "HostFunctionNotImplemented,Remove-MailboxPermission")
    assert not run(pool, "Remove-MailboxPermission", Confirm=False, **take).warnings
    assert [r["AccessRights"] for r in permissions(pool, "support@contoso.com")] == [["ReadPermission"], ["FullAccess"]]
    assert "isn't present" in run(pool, "Remove-MailboxPermission", Confirm=False, **take).warnings[0]


def test_at_most_five_hundred_entries(here: Host, pool: RunspacePool) -> None:
    """The 501st is refused; a right for a trustee who has an entry is not one more."""
    box = here.tenant.exchange.mailboxes[0]
    add(pool, "support@contoso.com", "sales@contoso.com")
    while len(box.permissions) < 500:
        here.tenant.exchange.add_ace(box, str(uuid.uuid4()), ["FullAccess"])
    assert "500" in add(pool, "support@contoso.com", "private@contoso.com").error
    assert add(pool, "support@contoso.com", "sales@contoso.com", AccessRights="ReadPermission").rows


def test_recipient_permissions(here: Host, pool: RunspacePool) -> None:
    """SendAs asks for confirmation unless told not to; the column is Trustee; a duplicate warns; it can be removed."""
    here.tenant.faults.set("grant-lag", 100)
    _, object_id = here.registered(pool)
    grant = {"Identity": "support@contoso.com", "Trustee": object_id, "AccessRights": "SendAs"}
    asked = run(pool, "Add-RecipientPermission", **grant)
    assert (asked.failed, asked.error_id) == (True, "HostFunctionNotImplemented,Add-RecipientPermission")
    assert "does not support user interaction" in asked.error
    assert here.tenant.exchange.mailboxes[0].recipient_permissions == []
    made = run(pool, "Add-RecipientPermission", Confirm=False, **grant).rows[0]
    assert (made["Trustee"], made["AccessControlType"], made["AccessRights"]) == (object_id, "Allow", ["SendAs"])
    assert here.tenant.exchange.mailboxes[0].recipient_permissions[0].effective_at > here.tenant.clock.now()
    assert "already present" in run(pool, "Add-RecipientPermission", Confirm=False, **grant).warnings[0]
    rows = run(pool, "Get-RecipientPermission", Identity="support@contoso.com").rows
    assert [row["Trustee"] for row in rows] == ["NT AUTHORITY\\SELF", object_id]
    assert run(pool, "Get-RecipientPermission", Trustee=object_id).rows == [made]
    wrong = run(pool, "Add-RecipientPermission", Confirm=False, **(grant | {"AccessRights": "FullAccess"}))
    assert "SendAs" in wrong.error
    assert run(pool, "Remove-RecipientPermission", **grant).failed
    assert not run(pool, "Remove-RecipientPermission", Confirm=False, **grant).warnings
    assert "isn't present" in run(pool, "Remove-RecipientPermission", Confirm=False, **grant).warnings[0]


# Costs


def test_one_identity_runs_so_many_at_once_and_each_item_is_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two at once allowed, six pipelines of one identity never run three items together; another's do not count."""
    tenant = Tenant(Options(faults="none", cmdlet_time=0.5, cmdlets_at_once=2))
    tenant.exchange.add_mailbox("support@contoso.com")
    running: dict[str, int] = {"now": 0, "most": 0, "items": 0}
    sleep = asyncio.sleep

    async def slow(seconds: float) -> None:
        if seconds:
            running["now"] += 1
            running["items"] += 1
            running["most"] = max(running["most"], running["now"])
            await sleep(0.001)
            running["now"] -= 1

    class Nowhere:
        def output(self, row: Item) -> None: ...
        def warning(self, text: str, item: int) -> None: ...
        def error(self, failure: Failure, item: int) -> None:
            raise AssertionError(failure.message)

    async def items() -> Any:
        for _ in range(3):
            yield "support@contoso.com"

    async def pipelines(identities: list[str]) -> None:
        engine = Engine(tenant)
        cmdlets = frozenset({"Get-Mailbox"})
        spaces = [Runspace([Connection("c", 1, who, "app", DOMAIN, 1e12, cmdlets, cmdlets)]) for who in identities]
        runs = (
            engine.run(space, [[Command("Get-Mailbox")]], items(), Nowhere(), full_language=True) for space in spaces
        )
        await asyncio.gather(*runs)

    monkeypatch.setattr("exosp.sandbox.cmdlets.engine.asyncio.sleep", slow)
    asyncio.run(pipelines(["one"] * 6))
    assert (running["most"], running["items"]) == (2, 18)
    running["most"] = 0
    asyncio.run(pipelines(["one", "one", "one", "two", "two"]))
    assert running["most"] == 4
    assert tenant.requests["remoting"]["Get-Mailbox"] == 11


def test_a_thousand_piped_grants_in_one_pipeline(here: Host, pool: RunspacePool) -> None:
    """A thousand items, a hundred of them failing, give 900 rows and 100 attributed errors for one counted pipeline."""
    for number in range(1000):
        if number % 10:
            here.tenant.exchange.add_mailbox(f"box{number}@contoso.com")
    _, object_id = here.registered(pool)
    names = [f"box{number}@contoso.com" for number in range(1000)]
    ran = run(pool, "Add-MailboxPermission", input=names, User=object_id, AccessRights="FullAccess")
    assert len(ran.rows) == 900
    assert [record.pipeline_iteration_info[0] for record in ran.errors] == list(range(1, 1001, 10))
    assert here.tenant.requests["remoting"]["Add-MailboxPermission"] == 1


# Rows on the wire


values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.uuids(), st.text(), st.lists(st.text(), max_size=4)
)


@given(st.dictionaries(st.text(st.characters(categories=["L", "N"]), min_size=1), values, max_size=6), st.text())
def test_rows_read_back_as_they_were_written(properties: dict[str, Any], text: str) -> None:
    """psrpcore, which shares no code with the writer, reads every row back: names, types and each character."""
    written = clixml.item(Item(("Some.Type", "System.Object"), properties, text))
    read = deserialize(ET.fromstring(written), PSRemotingCrypto())
    assert read.PSObject.type_names == ["Deserialized.Some.Type", "Deserialized.System.Object"]
    back = {prop.name: prop.get_value(read) for prop in read.PSObject.adapted_properties}
    assert back == properties
    assert {key: isinstance(value, bool) for key, value in back.items()} == {
        k: isinstance(v, bool) for k, v in properties.items()
    }
