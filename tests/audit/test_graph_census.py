"""Graph's census against the embedded tenant, which is written from the vendor's pages and shares no code with it. The caller
holds read permissions alone."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from audited import CONTENT, READER, Audited

from exosp.errors import CloudError, Forbidden, Throttled
from exosp.graph.census import DirectoryCensus, once
from exosp.inventory import MICROSOFT_GRAPH, Credential
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options
from exosp.snapshot import EXCHANGE_ONLINE


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running(Options(faults="none"), CONTENT) as running:
        yield running


@pytest.fixture
def tenant(running: Running) -> Iterator[Audited]:
    """As ``CONTENT`` says; ``anew`` makes it another."""
    audited = Audited(running)
    yield audited
    audited.calm()


def anew(running: Running, content: dict[str, Any], **options: Any) -> Audited:
    running.sandbox._content = content
    running.reset(**options)
    running.sandbox._content = CONTENT
    return Audited(running)


@pytest.fixture
def other(running: Running) -> Iterator[Any]:
    yield lambda content, **options: anew(running, content, **options)
    anew(running, CONTENT, service_principals=0)


@pytest.fixture
def census(tenant: Audited) -> Iterator[DirectoryCensus]:
    with tenant.ports() as (directory, _, _):
        yield directory


def by_name(rows: Any) -> dict[str, Any]:
    return {row.name: row for row in rows}


def shape(credentials: tuple[Credential, ...]) -> list[tuple[str, str, int, int]]:
    """Kind, name, and its days from now."""
    now = datetime.now(UTC)

    def days(at: datetime | None) -> int:
        return 0 if at is None else round((at - now) / timedelta(days=1))

    return [(one.kind, one.name, days(one.starts), days(one.ends)) for one in credentials]


def test_registrations_come_with_the_outside_of_their_credentials(census: DirectoryCensus):
    found = by_name(census.registrations())
    assert set(found) == {
        "Provisioning", "CRM", "Graph Reader", "Climber", "People's", "Profile", "Wrong", "Meant",
    }  # fmt: skip
    crm = found["CRM"]
    assert shape(crm.credentials) == [("secret", "by hand", -15, 150), ("certificate", "cert", -10, 90)]
    assert all(one.key_id for one in crm.credentials)
    assert (crm.audience, crm.owners, crm.created is not None) == ("AzureADMyOrg", None, True)
    assert found["Graph Reader"].audience == "AzureADMultipleOrgs"
    assert found["Meant"].unique_name == "exosp-meant"


def test_federated_credentials_come_twenty_to_a_request(census: DirectoryCensus, tenant: Audited):
    rows = list(census.registrations())
    before = tenant.requests()["graph"].get("POST /$batch", 0)
    found = census.federated([row.object_id for row in rows])
    assert tenant.requests()["graph"]["POST /$batch"] == before + 1
    assert set(found) == {row.object_id for row in rows}
    [mine] = [one for row in rows if row.name == "CRM" for one in found[row.object_id]]
    assert (mine.kind, mine.name, mine.ends) == ("federated", "build", None)
    assert sum(len(held) for held in found.values()) == 1


def test_enterprise_applications_and_managed_identities_come(census: DirectoryCensus):
    """Those of Microsoft's services too: who holds what is told by their home."""
    found = by_name(census.principals())
    assert (found["CRM"].kind, found["CRM"].enabled) == ("Application", True)
    assert found["mail-worker"].kind == "ManagedIdentity"
    assert not found["Graph Reader"].enabled
    assert shape(found["CRM"].credentials) == [("secret", "hidden", -5, 20)]
    assert found["CRM"].home != found["Office 365 Exchange Online"].home == "f8cdef31-a31e-4b4a-93e4-5f571e91255a"


def test_consent_comes_by_the_values_of_the_tenants_own_resources(census: DirectoryCensus):
    """All on Exchange; on Graph what reaches mail or can grant itself more."""
    names = {row.object_id: row.name for row in census.principals()}
    found = {(names[row.principal], row.resource, row.value) for row in census.role_grants()}
    assert found == {
        ("CRM", EXCHANGE_ONLINE, "IMAP.AccessAsApp"),
        ("Wrong", EXCHANGE_ONLINE, "POP.AccessAsApp"),
        ("mail-worker", EXCHANGE_ONLINE, "SMTP.SendAsApp"),
        ("Provisioning", EXCHANGE_ONLINE, "Exchange.ManageAsApp"),
        ("Graph Reader", MICROSOFT_GRAPH, "Mail.Read"),
        ("Climber", MICROSOFT_GRAPH, "AppRoleAssignment.ReadWrite.All"),
    }
    assert all(row.created is not None for row in census.role_grants())


def test_delegated_consent_is_one_row_for_each_application_and_resource(census: DirectoryCensus):
    """What reaches mail; people are counted."""
    names = {row.object_id: row.name for row in census.principals()}
    found = {
        (names[row.principal], row.resource): (set(row.everyone), set(row.some), row.people)
        for row in census.scope_grants()
    }
    assert found == {
        ("People's", MICROSOFT_GRAPH): ({"Mail.Read"}, {"Mail.Send"}, 2),
        ("People's", EXCHANGE_ONLINE): (set(), {"IMAP.AccessAsUser.All"}, 1),
    }


def test_owners_are_people_and_applications(census: DirectoryCensus):
    """And whether they may still sign in."""
    crm = by_name(census.registrations())["CRM"]
    [held] = census.owners("applications", [crm.object_id]).values()
    assert {(one.name, one.kind, one.enabled) for one in held} == {
        ("alex@contoso.com", "user", True),
        ("gone-away@contoso.com", "user", False),
        ("Provisioning", "application", True),
    }
    principals = by_name(census.principals())
    assert census.owners("servicePrincipals", [principals["Climber"].object_id]).keys() == {
        principals["Climber"].object_id
    }


def test_one_that_is_gone_is_left_out(census: DirectoryCensus):
    """And so is one whose id is none: it becomes no other address."""
    crm = by_name(census.registrations())["CRM"]
    nobody = "11111111-1111-1111-1111-111111111111"
    found = census.owners("applications", [nobody, crm.object_id, f"{crm.object_id}/owners?$top=5#", "x'"])
    assert set(found) == {crm.object_id}


def test_people_who_cannot_be_read_are_ids(other: Any):
    """An owner who cannot be seen is an owner, and nobody knows whether he may sign in."""
    rights = READER | {"graph_roles": ["Application.Read.All"]}
    with other(CONTENT | {"admin": rights}).ports() as (census, _, _):
        crm = by_name(census.registrations())["CRM"]
        [held] = census.owners("applications", [crm.object_id]).values()
    people = [one for one in held if one.kind == "user"]
    assert len(people) == 2
    assert all(one.name == one.id and one.enabled is None for one in people)


def test_security_defaults(census: DirectoryCensus, other: Any):
    assert census.security_defaults() is False
    with other(CONTENT | {"security_defaults": True}).ports() as (again, _, _):
        assert again.security_defaults() is True


def test_last_use_is_by_the_kind_of_sign_in(census: DirectoryCensus):
    apps = {row.app_id: row.name for row in census.registrations()}
    found = {apps[row.app_id]: row for row in census.last_use() if row.app_id in apps}
    used = found["CRM"].as_application
    assert used is not None
    assert abs((datetime.now(UTC) - used) / timedelta(days=1) - 3) < 0.1
    assert found["CRM"].as_person is None


def test_where_a_licence_or_a_cloud_has_no_sign_in_activity_the_error_says_so(other: Any):
    with other(CONTENT | {"licence": "free"}).ports() as (census, _, _), pytest.raises(CloudError) as found:
        list(census.last_use())
    assert "Entra ID P1 or P2, which this tenant does not have" in found.value.what
    assert not isinstance(found.value, Forbidden)


def test_another_cloud_has_none():
    with Running(Options(faults="none", cloud="gcc-high"), {"admin": READER}) as running:
        with Audited(running).ports() as (census, _, _), pytest.raises(CloudError) as found:
            list(census.last_use())
    assert "this cloud does not offer sign-in activity" in found.value.what


def test_the_log_is_asked_by_what_it_is_about(census: DirectoryCensus):
    """Who consented to what, and nothing of others."""
    crm = by_name(census.principals())["CRM"]
    found = list(census.events([crm.object_id]))
    assert {row.subject for row in found} == {crm.object_id}
    [consent] = [row for row in found if row.change.startswith("Add app role assignment")]
    assert (consent.detail, consent.log) == ("IMAP.AccessAsApp", "entra")
    assert consent.who == "admin@contoso.onmicrosoft.com"
    assert list(census.events(["' or id ne '"])) == []


@pytest.mark.parametrize(
    ("without", "ask"),
    [
        ("AuditLog.Read.All", lambda census: list(census.events(["a"]))),
        ("Policy.Read.All", lambda census: census.security_defaults()),
        ("Directory.Read.All", lambda census: list(census.events(["a"]))),
    ],
)
def test_a_missing_permission_is_forbidden(other: Any, without: str, ask: Any):
    rights = READER | {"graph_roles": [role for role in READER["graph_roles"] if role != without]}
    with other(CONTENT | {"admin": rights}).ports() as (census, _, _), pytest.raises(Forbidden):
        ask(census)


def test_lists_come_in_pages_as_large_as_graph_gives(other: Any):
    """2,000 enterprise applications and more: three requests."""
    audited = other(CONTENT, service_principals=2000)
    audited.storm(0, "none,page-size=5000")  # it gives as many as are asked for, and it gives 999 where more are
    with audited.ports() as (census, _, _):
        before = audited.requests()["graph"].get("GET /servicePrincipals", 0)
        found = list(census.principals())
        assert audited.requests()["graph"]["GET /servicePrincipals"] - before == 3
    assert len(found) == len({row.object_id for row in found}) > 2000


def test_a_page_alone_is_asked_again(tenant: Audited):
    """Throttled in the middle of a list: no page comes twice."""
    tenant.storm(3, "none,page-size=2,graph-throttle=4,graph-drop=1,graph-truncated=1")
    with tenant.ports() as (census, _, _):
        before = tenant.requests()["graph"].get("GET /servicePrincipals", 0)
        found = [row.object_id for row in census.principals()]
        asked = tenant.requests()["graph"]["GET /servicePrincipals"] - before
    assert len(found) == len(set(found))
    assert asked <= -(-len(found) // 2) + 6
    assert tenant.running.sandbox.tenant.faults


def test_of_a_batch_only_what_was_throttled_is_asked_again(tenant: Audited):
    with tenant.ports() as (census, _, _):
        ids = [row.object_id for row in census.registrations()]
        tenant.storm(5, "none,batch-throttle=5")
        count = lambda: tenant.requests()["graph"].get("batch GET /applications/{id}/owners", 0)  # noqa: E731
        before = count()
        assert set(census.owners("applications", ids)) == set(ids)
        struck = count() - before - len(ids)
    assert 1 <= struck <= 5


def test_without_anybody_who_repeats_a_throttled_batch_is_an_error(tenant: Audited):
    """Nobody is left out for having been throttled."""
    with tenant.ports() as (census, _, _):
        ids = [row.object_id for row in census.registrations()]
        alone = DirectoryCensus(census._graph, once)
        tenant.storm(5, "none,batch-throttle=5")
        with pytest.raises(Throttled):
            alone.owners("applications", ids)


def test_a_tenant_without_exchange_has_no_consents_on_it(tenant: Audited):
    """Its directory is read all the same."""
    directory = tenant.running.sandbox.tenant.directory
    gone = directory.principal(EXCHANGE_ONLINE)
    assert gone is not None
    with tenant.ports() as (census, _, _):
        del directory.service_principals[gone.id]
        try:
            assert {row.resource for row in census.role_grants()} == {MICROSOFT_GRAPH}
            assert {row.resource for row in census.scope_grants()} == {MICROSOFT_GRAPH}
        finally:
            directory.service_principals[gone.id] = gone


def test_people_and_groups_hold_no_application_permission(tenant: Audited):
    """They too may be assigned to a resource: that lets them see it, and reaches no mail."""
    directory = tenant.running.sandbox.tenant.directory
    with tenant.ports() as (census, _, _):
        before = list(census.role_grants())
        row = next(iter(directory.app_role_assignments.values()))
        kept = row.properties["principalType"]
        row.properties["principalType"] = "User"
        try:
            after = list(census.role_grants())
        finally:
            row.properties["principalType"] = kept
    assert len(after) == len(before) - 1
