"""The admin API as its other clients know it, judged by plain HTTP requests in the form that public clients send them:
CIPP-API's New-ExoRequest and New-ExoBulkRequest, ScubaGear's EXORestHelper, GreyCorbel's ExoHelper."""

import json
import ssl
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from exosp.sandbox.directory import Entity
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options

AUDIENCE = "https://outlook.office365.com"
MANY = 120  # more occasions than any strike is away


class Api:
    """An administrator's application, and what it can post."""

    def __init__(self, running: Running) -> None:
        self.sandbox = running.sandbox
        self.tenant = running.sandbox.tenant
        self.base = running.sandbox.cloud()["admin_api"]
        trust = ssl.create_default_context(cafile=running.sandbox.cloud()["ca"])
        self.client = httpx.Client(verify=trust, trust_env=False, timeout=20)
        self.administrator = str(uuid.uuid4())
        self.tenant.directory.directory_roles[self.administrator] = {"Exchange Administrator"}

    def token(self, **claims: Any) -> str:
        usual = {
            "aud": AUDIENCE,
            "oid": self.administrator,
            "appid": str(uuid.uuid4()),
            "roles": ["Exchange.ManageAsApp"],
        }
        return self.tenant.signer.mint(usual | claims, claims.pop("lifetime", 3599))

    def headers(self, **changes: str) -> dict[str, str]:
        system = "SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}"
        usual = {
            "Authorization": f"Bearer {self.token()}", "Prefer": "odata.maxpagesize=1000", "X-ResponseFormat": "json",
            "X-AnchorMailbox": f"APP:{system}@{self.tenant.tenant_id}", "client-request-id": str(uuid.uuid4()),
        }  # fmt: skip
        return usual | {name.replace("_", "-"): value for name, value in changes.items()}

    def url(self, what: str = "InvokeCommand", version: str = "beta") -> str:
        return f"{self.base}/adminapi/{version}/{self.tenant.tenant_id}/{what}"

    def post(self, url: str, body: Any, **headers: str) -> httpx.Response:
        return self.client.post(url, json=body, headers=self.headers(**headers))

    def run(self, cmdlet: str, **parameters: Any) -> httpx.Response:
        return self.post(self.url(), invoke(cmdlet, **parameters))

    def batch(
        self, *bodies: Any, prefer: str = "odata.maxpagesize = 1000;odata.continue-on-error", **inner: str
    ) -> Any:
        head = {
            "Prefer": prefer,
            "parameter-based-routing": "true",
            "Accept": "application/json; odata.metadata=minimal",
        }
        requests = [
            {"id": str(n), "method": "POST", "url": self.url(), "headers": head | inner, "body": body}
            for n, body in enumerate(bodies)
        ]
        return self.post(self.url("$batch"), {"requests": requests}, Prefer=prefer)

    def entry(self, name: str = "Mail") -> str:
        """An enterprise application that Exchange knows: its object id."""
        app_id, object_id = str(uuid.uuid4()), str(uuid.uuid4())
        self.tenant.directory.service_principals[object_id] = Entity({"id": object_id, "appId": app_id}, 0.0)
        made = self.run("New-ServicePrincipal", AppId=app_id, ObjectId=object_id, DisplayName=name)
        assert made.status_code == 200, made.text
        return object_id

    def grants(self, trustee: str) -> int:
        return sum(row["_trustee"] == trustee for box in self.tenant.exchange.mailboxes for row in box.permissions)


def invoke(cmdlet: str, **parameters: Any) -> dict[str, Any]:
    return {"CmdletInput": {"CmdletName": cmdlet, "Parameters": parameters}}


def grant(identity: str, user: str) -> dict[str, Any]:
    return invoke("Add-MailboxPermission", Identity=identity, User=user, AccessRights=["FullAccess"], AutoMapping=False)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running(Options(faults="none")) as found:
        yield found


@pytest.fixture
def api(running: Running) -> Iterator[Api]:
    running.reset(seed=1, faults="none", mailboxes=0)
    found = Api(running)
    yield found
    found.client.close()


# InvokeCommand


@pytest.mark.parametrize("named", ["id", "domain"])
@pytest.mark.parametrize("version", ["beta", "v1.0"])
def test_a_row_comes_with_its_types(api: Api, version: str, named: str) -> None:
    """A mailbox with a context, no warnings, annotated lists and GUIDs, null where there is nothing."""
    url = api.url(version=version)
    if named == "domain":
        url = url.replace(api.tenant.tenant_id, api.tenant.domain)
    reply = api.post(url, invoke("get-mailbox", Identity="support@contoso.com"))
    body = reply.json()
    [row] = body["value"]
    assert reply.status_code == 200
    assert body["@odata.context"].endswith("$metadata#Collection(Exchange.GenericHashTable)")
    assert body["@adminapi.warnings"] == []
    assert "@odata.nextLink" not in body
    assert row["PrimarySmtpAddress"] == "support@contoso.com"
    assert row["EmailAddresses@odata.type"] == "#Collection(String)"
    assert isinstance(row["EmailAddresses"], list)
    assert row["IsMailboxEnabled"] is True
    cas = api.run("Get-CASMailbox", Identity="support@contoso.com").json()["value"][0]
    assert cas["SmtpClientAuthenticationDisabled"] is None


def test_select_shows_what_was_asked_for(api: Api) -> None:
    """$select cuts rows; a property that no row has is refused by name."""
    reply = api.post(
        api.url() + "?$select=PrimarySmtpAddress,Name", invoke("Get-Mailbox", Identity="sales@contoso.com")
    )
    assert set(reply.json()["value"][0]) == {"PrimarySmtpAddress", "Name"}
    reply = api.post(api.url() + "?$select=Nonsense", invoke("Get-Mailbox", Identity="sales@contoso.com"))
    assert (reply.status_code, "Nonsense" in reply.text) == (400, True)


def test_what_parameters_are(api: Api) -> None:
    """Arrays for several values, booleans for switches and $null for a switch that the organization decides."""
    object_id = api.entry()
    assert api.post(api.url(), grant("support@contoso.com", object_id)).json()["value"][0]["AccessRights"] == [
        "FullAccess"
    ]
    assert api.run("Remove-MailboxPermission", Identity="support@contoso.com", User=object_id, AccessRights=["FullAccess"],
                   Confirm=False).status_code == 200  # fmt: skip
    assert api.grants(object_id) == 0
    for value in (True, None):
        url, body = (
            api.url(),
            invoke("Set-CASMailbox", Identity="sales@contoso.com", SmtpClientAuthenticationDisabled=value),
        )
        reply = api.post(url, body, X_AnchorMailbox="UPN:sales@contoso.com")
        assert (reply.status_code, reply.json()["value"]) == (200, [])
        box = api.tenant.exchange.by_address("sales@contoso.com")
        assert box is not None
        assert box.cas["SmtpClientAuthenticationDisabled"] is value


def test_a_grant_that_stands_is_a_warning(api: Api) -> None:
    """It comes in @adminapi.warnings, and there is no value."""
    object_id = api.entry()
    api.post(api.url(), grant("support@contoso.com", object_id))
    body = api.post(api.url(), grant("support@contoso.com", object_id)).json()
    assert body["value"] is None
    assert "access control entry is already present" in body["@adminapi.warnings"][0]


def test_pages_are_read_by_posting_the_same_again(api: Api) -> None:
    """The nextLink takes the same body and no other, runs nothing again, and loses no row. Without a wish in Prefer a page
    has one row. admin-api-page caps the wish."""
    for number in range(7):
        api.tenant.exchange.add_mailbox(f"box{number}@contoso.com")
    body = invoke("Get-Mailbox", ResultSize="Unlimited")
    for cap, prefer, pages in ((1000, "odata.maxpagesize=1000", [10]), (1000, "odata.maxpagesize=4", [4, 4, 2]),
                               (3, "odata.maxpagesize=1000", [3, 3, 3, 1]), (1000, "", [1] * 10)):  # fmt: skip
        api.tenant.faults.set("admin-api-page", cap)
        before = api.tenant.requests["admin-api"]["Get-Mailbox"]
        link, sizes, names = api.url(), [], set()
        while link:
            page = api.post(link, body, Prefer=prefer).json()
            sizes.append(len(page["value"]))
            names |= {row["Name"] for row in page["value"]}
            last, link = link, page.get("@odata.nextLink")
        assert (sizes, len(names)) == (pages, 10)
        assert api.tenant.requests["admin-api"]["Get-Mailbox"] == before + 1
    assert api.post(last, invoke("Get-Mailbox")).status_code == 400
    assert api.client.get(last, headers=api.headers()).status_code == 405


def test_errors_have_two_levels(api: Api) -> None:
    """404 and what the cmdlet said, its class between bars; nothing of that in the outer message."""
    reply = api.run("Add-MailboxPermission", Identity="nobody@contoso.com", User="x", AccessRights=["FullAccess"])
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["message"]) == (404, "NotFound", "Error executing cmdlet")
    prefix, kind, text = error["details"][0]["message"].split("|")
    assert prefix.startswith("Ex")
    assert kind == "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException"
    assert "nobody@contoso.com" in text
    assert "DirectInvokeCmdletExecutionException" in error["innererror"]["internalexception"]["message"]


def test_an_error_of_exchanges_own_is_a_500_that_says_so(api: Api) -> None:
    """What stands already is refused with the status that other services keep for their own bugs."""
    object_id = api.entry()
    app_id = api.tenant.directory.service_principals[object_id].properties["appId"]
    reply = api.run("New-ServicePrincipal", AppId=app_id, ObjectId=object_id)
    assert reply.status_code == 500
    assert "already exist" in reply.json()["error"]["details"][0]["message"]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"Identity": "support@contoso.com", "NoSuch": 1}, "AmbiguousParameterSetException"),
        (
            {"Identity": "support@contoso.com", "User": "x", "AccessRights": ["Everything"]},
            "FullAccess, ExternalAccount",
        ),
        (
            {"Identity": "support@contoso.com", "User": "x", "AccessRights": ["FullAccess"], "AutoMapping": "no"},
            "Boolean",
        ),
    ],
)
def test_parameters_that_do_not_fit(api: Api, parameters: dict[str, Any], said: str) -> None:
    """400: a parameter nobody has, a member that is none (those there are, are listed), a value of another type."""
    reply = api.run("Add-MailboxPermission", **parameters)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "BadRequest")
    assert said in reply.json()["error"]["details"][0]["message"]


def test_members_are_known_by_their_beginnings(api: Api) -> None:
    """FullA means FullAccess."""
    reply = api.run("Add-MailboxPermission", Identity="support@contoso.com", User=api.entry(), AccessRights=["FullA"])
    assert reply.json()["value"][0]["AccessRights"] == ["FullAccess"]


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b"{}", b'{"CmdletInput": {"CmdletName": ""}}', b'{"CmdletInput": {"CmdletName": "Get-Mailbox", "Params": {}}}',
        b'{"CmdletInput": {"CmdletName": "Get-Mailbox", "Parameters": {"Identity": {"add": "x"}}}}', b"\xff\xfe", b"[" * 5000,
    ],
)  # fmt: skip
def test_bodies_that_are_none(api: Api, body: bytes) -> None:
    """400, and nothing runs."""
    reply = api.client.post(api.url(), content=body, headers=api.headers(Content_Type="application/json"))
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "BadRequest")


# Who may


def test_who_is_let_in(api: Api) -> None:
    """401 without Exchange.ManageAsApp, for another audience, tenant or time; 403 that is no JSON without a directory role."""
    body, url = invoke("Get-Mailbox"), api.url()

    def status(url: str = url, **claims: Any) -> int:
        return api.post(url, body, Authorization=f"Bearer {api.token(**claims)}").status_code

    assert api.client.post(url, json=body).status_code == 401
    assert api.post(url, body, Authorization="Bearer nonsense").status_code == 401
    assert status(roles=[]) == 401
    assert status(aud="https://graph.microsoft.com") == 401
    assert status(exp=1) == 401
    assert status(url.replace(api.tenant.tenant_id, str(uuid.uuid4()))) == 401
    assert status() == 200
    reply = api.post(url, body, Authorization=f"Bearer {api.token(oid=str(uuid.uuid4()))}")
    assert (reply.status_code, "isn't supported in this scenario" in reply.text) == (403, True)
    with pytest.raises(ValueError, match="Expecting value"):
        reply.json()


@pytest.mark.parametrize("scope", ["AdminApi.AccessAsUser.All", "Exchange.Manage", "IMAP.AccessAsUser.All"])
def test_a_person_is_let_in_by_a_delegated_permission(api: Api, scope: str) -> None:
    """What a person may do is the person's own roles; a permission for something else is refused."""
    token = api.token(scp=f"openid {scope}", roles=None, upn="admin@contoso.com")
    reply = api.post(api.url(), invoke("Get-TransportConfig"), Authorization=f"Bearer {token}")
    assert reply.status_code == (401 if scope.startswith("IMAP") else 200)


@pytest.mark.parametrize(
    "name", ["New-ServicePrincipal", "No-SuchCmdlet", "Get-Command", "Connect-ExchangeOnline", "Get-EXOMailbox"]
)
def test_a_cmdlet_that_is_not_the_callers_is_zero_bytes(api: Api, name: str) -> None:
    """403 with zero bytes that say they are gzip, for a role that lacks it as for a name that nobody has."""
    api.tenant.directory.directory_roles[api.administrator] = {"Exchange Recipient Administrator"}
    with api.client.stream("POST", api.url(), json=invoke(name), headers=api.headers()) as reply:
        assert (reply.status_code, reply.headers["Content-Encoding"]) == (403, "gzip")
        assert set(b"".join(reply.iter_raw())) == {0}
    assert api.run("Get-Mailbox").status_code == 200


# $batch


def test_a_batch_answers_by_id(api: Api) -> None:
    """Ten at once in any order; an error is one item's own; eleven are refused whole."""
    object_id = api.entry()
    names = ["support@contoso.com", "nobody@contoso.com", "sales@contoso.com"]
    reply = api.batch(*(grant(name, object_id) for name in names))
    assert reply.status_code == 200
    found = {item["id"]: item for item in reply.json()["responses"]}
    assert {number: item["status"] for number, item in found.items()} == {"0": 200, "1": 404, "2": 200}
    assert found["0"]["body"]["value"][0]["AccessRights"] == ["FullAccess"]
    assert "nobody@contoso.com" in found["1"]["body"]["error"]["details"][0]["message"]
    assert api.grants(object_id) == 2
    assert api.batch(*[invoke("Get-TransportConfig")] * 10).status_code == 200
    assert api.batch(*[invoke("Get-TransportConfig")] * 11).status_code == 400
    orders = {
        tuple(item["id"] for item in api.batch(*[invoke("Get-TransportConfig")] * 4).json()["responses"])
        for _ in range(9)
    }
    assert len(orders) > 1


def test_a_batch_stops_at_an_error_unless_it_was_asked_to_go_on(api: Api) -> None:
    """Without odata.continue-on-error nothing after an error is run, and nothing answered."""
    object_id = api.entry()
    reply = api.batch(
        grant("nobody@contoso.com", object_id), grant("sales@contoso.com", object_id), prefer="odata.maxpagesize=1000"
    )
    assert [item["id"] for item in reply.json()["responses"]] == ["0"]
    assert api.grants(object_id) == 0


def test_pages_of_a_batch_are_read_by_batching_their_links(api: Api) -> None:
    """An item's nextLink goes into the next $batch, with the same body."""
    api.tenant.faults.set("admin-api-page", 2)
    body = invoke("Get-Mailbox")
    first = api.batch(body).json()["responses"][0]["body"]
    again = {
        "id": "0",
        "method": "POST",
        "url": first["@odata.nextLink"],
        "body": body,
        "headers": {"Prefer": "odata.maxpagesize=9"},
    }
    second = api.post(api.url("$batch"), {"requests": [again]}).json()["responses"][0]["body"]
    assert [len(page["value"]) for page in (first, second)] == [2, 1]


@pytest.mark.parametrize(
    "change",
    [
        {"method": "GET"},
        {"url": "https://evil.example/adminapi/beta/x/InvokeCommand"},
        {"url": "/graph"},
        {"dependsOn": ["1"]},
        {"id": 3},
    ],
)
def test_a_batch_takes_nothing_else(api: Api, change: dict[str, Any]) -> None:
    """Another method, host, route or an option it does not know: refused, in the item or for the whole, and nothing runs."""
    item = {"id": "0", "method": "POST", "url": api.url(), "headers": {}, "body": invoke("Get-Mailbox")} | change
    reply = api.post(api.url("$batch"), {"requests": [item]})
    status = reply.json()["responses"][0]["status"] if reply.status_code == 200 else reply.status_code
    assert status in (400, 501)
    assert api.tenant.requests["admin-api"]["Get-Mailbox"] == 0


# EXOModuleFile


def test_the_module_file_lists_what_the_caller_has(api: Api) -> None:
    """A list joined by commas; a lesser role has fewer."""

    def listed() -> set[str]:
        reply = api.client.get(
            api.url("EXOModuleFile", "v1.0") + "?Version=3.9.2", headers=api.headers(CommandName="*")
        )
        return set(reply.json()["value"][0]["exportedCmdlets"].split(","))

    assert {"New-ServicePrincipal", "Add-MailboxPermission"} <= listed()
    api.tenant.directory.directory_roles[api.administrator] = {"Exchange Recipient Administrator"}
    assert "New-ServicePrincipal" not in listed()
    assert "Add-MailboxPermission" in listed()


def test_the_module_file_may_be_elsewhere(api: Api) -> None:
    """admin-api-region: 302 to the tenant's region, where it is served, as is InvokeCommand."""
    api.tenant.faults.set("admin-api-region", 1)
    reply = api.client.get(api.url("EXOModuleFile", "v1.0"), headers=api.headers())
    assert reply.status_code == 302
    place = reply.headers["Location"]
    assert place.startswith(api.base)
    assert "exportedCmdlets" in api.client.get(place, headers=api.headers()).text
    there = place.partition("/AdminApi")[0].partition("/adminapi")[0]
    assert api.post(api.url().replace(api.base, there), invoke("Get-TransportConfig")).status_code == 200


def test_an_unknown_route_names_itself(api: Api) -> None:
    """501 with the method and the path, emulated."""
    reply = api.client.get(f"{api.base}/adminapi/v2.0/{api.tenant.tenant_id}/Mailbox", headers=api.headers())
    assert reply.status_code == 501
    assert "GET /adminapi/v2.0/" in reply.text
    assert "emulated" in reply.text


# Bad days


@pytest.mark.parametrize("knob", ["admin-api-throttle", "admin-api-throttle-bare", "admin-api-unavailable"])
def test_refused_for_the_moment(api: Api, knob: str) -> None:
    """429 or 503, with Retry-After but for one: the cmdlet did not run."""
    object_id = api.entry()
    api.tenant.faults.set(knob, 1)
    for _ in range(MANY):
        before = api.grants(object_id)
        name = f"box{before}@contoso.com"
        api.tenant.exchange.add_mailbox(name)
        reply = api.post(api.url(), grant(name, object_id))
        if reply.status_code != 200:
            break
    assert reply.status_code == (503 if knob == "admin-api-unavailable" else 429)
    assert ("Retry-After" in reply.headers) == (knob != "admin-api-throttle-bare")
    assert api.grants(object_id) == before


@pytest.mark.parametrize("knob", ["admin-api-lost-503", "admin-api-lost-500", "admin-api-drop", "admin-api-truncated"])
def test_done_and_answered_as_if_not(api: Api, knob: str) -> None:
    """503, a page with 500, a closed connection, half an answer: the cmdlet ran."""
    object_id = api.entry()
    api.tenant.faults.set(knob, 1)
    wrong = ""
    for _ in range(MANY):
        before = api.grants(object_id)
        name = f"box{before}@contoso.com"
        api.tenant.exchange.add_mailbox(name)
        try:
            reply = api.post(api.url(), grant(name, object_id))
            wrong = "" if reply.status_code == 200 else str(reply.status_code)
        except httpx.RemoteProtocolError:
            wrong = "broken"
        if wrong:
            break
    assert wrong == {"admin-api-lost-503": "503", "admin-api-lost-500": "500"}.get(knob, "broken")
    assert api.grants(object_id) == before + 1


@pytest.mark.parametrize("knob", ["admin-api-item-throttle", "admin-api-lost-item"])
def test_one_item_of_a_batch_fares_worse(api: Api, knob: str) -> None:
    """429 with Retry-After and nothing done, or done and no response: the others have theirs."""
    object_id = api.entry()
    api.tenant.faults.set(knob, 1)
    for _ in range(MANY):
        before = api.grants(object_id)
        names = [f"box{before + n}@contoso.com" for n in range(4)]
        for name in names:
            api.tenant.exchange.add_mailbox(name)
        found = api.batch(*(grant(name, object_id) for name in names)).json()["responses"]
        good = [item for item in found if item["status"] == 200]
        if len(good) < 4:
            break
    assert len(good) == 3
    if knob == "admin-api-lost-item":
        assert len(found) == 3
        assert api.grants(object_id) == before + 4
    else:
        [bad] = [item for item in found if item["status"] == 429]
        assert int(bad["headers"]["Retry-After"]) >= 1
        assert api.grants(object_id) == before + 3


def test_a_mailbox_is_set_on_its_own_server(api: Api) -> None:
    """admin-api-anchor: Set-CASMailbox under the system mailbox's anchor needs a proxy; under the mailbox's own, by any of
    its names, it does not, nor do the cmdlets for permissions."""
    api.tenant.faults.set("admin-api-anchor", 1)
    body = invoke("Set-CASMailbox", Identity="sales@contoso.com", ImapEnabled=False)
    reply = api.post(api.url(), body)
    assert reply.status_code == 500
    assert "CmdletProxyNotAvailableException" in reply.json()["error"]["details"][0]["message"]
    assert api.post(api.url(), body, X_AnchorMailbox="support@contoso.com").status_code == 500
    for anchor in ("UPN:sales@contoso.com", "sales@contoso.com"):
        assert api.post(api.url(), body, X_AnchorMailbox=anchor).status_code == 200
    assert api.post(api.url(), grant("sales@contoso.com", api.entry())).status_code == 200
    api.tenant.faults.set("admin-api-anchor", 0)
    assert api.post(api.url(), body).status_code == 200


def test_v1_may_not_be_served(api: Api) -> None:
    """admin-api-v1: InvokeCommand under v1.0 is answered 405, as somebody measured."""
    api.tenant.faults.set("admin-api-v1", 1)
    assert api.post(api.url(version="v1.0"), invoke("Get-Mailbox")).status_code == 405
    assert api.run("Get-Mailbox").status_code == 200


# What it costs


def test_it_is_counted_and_charged_by_the_cmdlet(running: Running, api: Api) -> None:
    """/requests says what ran, by cmdlet and as admin-api; each item of a $batch is one, and takes the cmdlet's time."""
    api.batch(*[invoke("Get-TransportConfig")] * 3)
    api.run("Get-Mailbox")
    management = f"http://127.0.0.1:{running.sandbox.tenant.ports.management}/requests"
    counted = json.loads(httpx.get(management, trust_env=False).text)
    assert counted["admin-api"] == {"$batch": 1, "Get-TransportConfig": 3, "Get-Mailbox": 1}
    assert counted["remoting"] == {}
    running.reset(cmdlet_time=0.03)
    again = Api(running)
    took = again.batch(*[invoke("Get-TransportConfig")] * 5).elapsed.total_seconds()
    again.client.close()
    assert took >= 5 * 0.03
