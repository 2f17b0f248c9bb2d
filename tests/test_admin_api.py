"""The admin-api remoting against a hand-written server that plays answers as they were recorded or as others read them:
what is sent, what each answer becomes, and where the token goes."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from exosp.clouds import CLOUDS, Cloud
from exosp.errors import CloudError, Conflict, Forbidden, Missing, Throttled, Unreachable, UsageError
from exosp.exchange import Cmdlet, Item, Rows
from exosp.exchange.admin_api import AdminApi
from exosp.exchange.cmdlets import Answer
from exosp.exchange.sessions import Tenancy
from exosp.tenant import Failed, Unknown
from loopback import CLAIMS, TENANT, Authority, Reply, Server, jwt

GET = Cmdlet("Get-TransportConfig")
SYSTEM = f"APP:SystemMailbox{{bb558c35-97f1-4cb9-8ff7-d53741dc928c}}@{TENANT}"
ADD = Cmdlet(
    "Add-MailboxPermission", {"User": "u", "AccessRights": ("FullAccess",), "AutoMapping": False}, over="Identity"
)
BOXES = [Item(f"box-{n}", frozenset({f"box{n}@contoso.com"}), f"box{n}@contoso.com") for n in range(23)]


@dataclass(frozen=True)
class Token:
    token: str
    expires_on: int


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "admin-api")


@pytest.fixture
def server(authority: Authority) -> Iterator[Server]:
    found = Server(authority.issue())
    yield found
    found.close()


@dataclass
class Desk:
    server: Server
    api: AdminApi
    tokens: list[str]

    def run(self, cmdlet: Cmdlet = GET, items: list[Item] | None = None) -> list[Answer]:
        return list(self.api.run(cmdlet, items or []))

    def error(self, cmdlet: Cmdlet = GET, items: list[Item] | None = None) -> CloudError:
        answer = self.run(cmdlet, items)[0]
        assert isinstance(answer, Failed), answer
        shown = f"{answer.error} {answer.error.where} {answer.error.hint}"
        assert not any(token in shown for token in self.tokens)
        return answer.error


@pytest.fixture
def make(server: Server, authority: Authority) -> Iterator[Callable[..., Desk]]:
    made: list[AdminApi] = []

    def build(ca: Path | None = None, tenancy: Any = "contoso.onmicrosoft.com", **claims: Any) -> Desk:
        tokens: list[str] = []

        def connect() -> tuple[Token, Any]:
            tokens.append(jwt(CLAIMS | {"n": len(tokens)} | claims))
            return Token(tokens[-1], int(time.time()) + 3600), tenancy

        made.append(AdminApi(cloud(server, ca or authority.path), connect))
        return Desk(server, made[-1], tokens)

    yield build
    for api in made:
        api.close()


@pytest.fixture
def desk(make: Callable[..., Desk]) -> Desk:
    return make()


def cloud(server: Server, ca: Path) -> Cloud:
    return replace(CLOUDS["global"], admin_api=server.address, ca=ca)


def rows(*found: dict[str, Any], **more: Any) -> dict[str, Any]:
    context = "https://outlook.office365.com/adminapi/beta/x/$metadata#Collection(Exchange.GenericHashTable)"
    return {"@odata.context": context, "@adminapi.warnings": [], "value": list(found)} | more


def told(text: str, code: str = "NotFound") -> dict[str, Any]:
    """An error as it was recorded in August 2023."""
    thrown = "Microsoft.Exchange.Management.PSDirectInvoke.DirectInvokeCmdletExecutionException"
    inner = {"message": f"Exception of type '{thrown}' was thrown.", "type": thrown, "stacktrace": "   at …"}
    return {
        "error": {
            "code": code, "message": "Error executing cmdlet", "details": [{"code": "Client", "target": "", "message": text}],
            "innererror": {"message": "Error executing cmdlet", "type": "ODataServiceException", "internalexception": inner},
        }
    }  # fmt: skip


NOT_FOUND = (
    "Ex6F9304|Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException|The operation couldn't be performed "
    "because object 'box-1' couldn't be found on 'YQBPR01A12DC007.CANPR01A012.PROD.OUTLOOK.COM'."
)


# What is sent


def test_one_cmdlet_is_one_post(desk: Desk) -> None:
    """The address with the token's tenant, the body, and the headers that lead it to the tenant's servers."""
    desk.server.replies = [Reply(body=rows({"SmtpClientAuthenticationDisabled": True}))]
    [answer] = desk.run()
    assert answer == Rows(({"SmtpClientAuthenticationDisabled": True},))
    [seen] = desk.server.seen
    assert (seen.method, seen.raw) == ("POST", f"/adminapi/beta/{TENANT}/InvokeCommand")
    assert seen.json == {"CmdletInput": {"CmdletName": "Get-TransportConfig", "Parameters": {}}}
    assert seen.headers["authorization"] == f"Bearer {desk.tokens[0]}"
    assert seen.headers["x-anchormailbox"] == SYSTEM
    assert seen.headers["prefer"] == "odata.maxpagesize=1000"
    assert seen.headers["x-responseformat"] == "json"


def test_values_are_json(desk: Desk) -> None:
    """Several values as an array, switches as truths, $null as null; the mailbox's own server by one of its addresses."""
    desk.server.replies = [Reply(body=rows()), Reply(body=rows())]
    desk.run(ADD, BOXES[:1])
    cas = Cmdlet("Set-CASMailbox", {"ImapEnabled": True, "SmtpClientAuthenticationDisabled": None}, over="Identity")
    desk.run(cas, BOXES[1:2])
    first, second = (seen.json["CmdletInput"]["Parameters"] for seen in desk.server.seen)
    assert first == {"User": "u", "AccessRights": ["FullAccess"], "AutoMapping": False, "Identity": "box-0"}
    assert second == {"ImapEnabled": True, "SmtpClientAuthenticationDisabled": None, "Identity": "box-1"}
    assert desk.server.seen[1].headers["x-anchormailbox"] == "UPN:box1@contoso.com"


def test_many_items_go_by_ten(desk: Desk) -> None:
    """$batch of ten, ten and three; ids that answer in any order; one token; nothing stops at an error."""

    def answer(first: int, count: int) -> Reply:
        found = [{"id": str(n), "status": 200, "body": rows({"Identity": f"box-{first + n}"})} for n in range(count)]
        return Reply(body={"responses": found[::-1]})

    desk.server.replies = [answer(0, 10), answer(10, 10), answer(20, 3)]
    answers = desk.run(ADD, BOXES)
    assert [answer.rows[0]["Identity"] for answer in answers if isinstance(answer, Rows)] == [box.send for box in BOXES]
    assert len(desk.tokens) == 1
    assert [len(seen.json["requests"]) for seen in desk.server.seen] == [10, 10, 3]
    inner = desk.server.seen[0].json["requests"][4]
    assert desk.server.seen[0].raw == f"/adminapi/beta/{TENANT}/$batch"
    assert "odata.continue-on-error" in desk.server.seen[0].headers["prefer"]
    assert inner["url"] == f"{desk.server.address}/adminapi/beta/{TENANT}/InvokeCommand"
    assert inner["headers"]["X-AnchorMailbox"] == "UPN:box4@contoso.com"
    assert "Authorization" not in inner["headers"]


def test_a_persons_token_leads_to_the_person(make: Callable[..., Desk]) -> None:
    """Who signed in anchors; a partner is led by the customer's system mailbox, in the tenant that the token is of."""
    for tenancy, anchor in (
        (Tenancy("contoso.onmicrosoft.com", user="admin@contoso.com"), "UPN:admin@contoso.com"),
        (Tenancy("contoso.onmicrosoft.com", user="me@partner.example", delegated=True), SYSTEM),
    ):
        desk = make(tenancy=tenancy)
        desk.server.replies = [Reply(body=rows())]
        desk.run()
        assert desk.server.seen[-1].headers["x-anchormailbox"] == anchor


def test_an_anchor_can_break_no_header(desk: Desk) -> None:
    """What is no header's text leads by the system mailbox instead."""
    desk.server.replies = [Reply(body=rows())] * 2
    for bad in ("a@contoso.com\r\nX-Evil: 1", "ä@contoso.com"):
        desk.run(ADD, [Item("x", frozenset(), bad)])
        assert desk.server.seen[-1].headers["x-anchormailbox"] == SYSTEM
        assert "x-evil" not in desk.server.seen[-1].headers


# What comes back


def test_rows_are_as_other_remotings_give_them(desk: Desk) -> None:
    """Annotations are no properties; lists are tuples; null is None; a row that is a single object counts."""
    shown = {
        "EmailAddresses@odata.type": "#Collection(String)", "EmailAddresses": ["SMTP:a@b.c"], "Guid@data.type": "System.Guid",
        "Guid": "ae0627d4-b741-4f5e-bbc8-afde04ef72d2", "Off": False, "Nothing": None,
    }  # fmt: skip
    desk.server.replies = [Reply(body=rows() | {"value": shown})]
    [answer] = desk.run()
    assert answer == Rows((
        {"EmailAddresses": ("SMTP:a@b.c",), "Guid": "ae0627d4-b741-4f5e-bbc8-afde04ef72d2", "Off": False, "Nothing": None},
    ))  # fmt: skip


def test_pages_are_read_to_their_end(desk: Desk) -> None:
    """The same body goes to each nextLink; all rows are one answer."""
    link = f"{desk.server.address}/adminapi/beta/{TENANT}/InvokeCommand?$skiptoken=abc"
    desk.server.replies = [
        Reply(body=rows({"A": 1}) | {"@odata.nextLink": link}), Reply(body=rows({"A": 2}) | {"@odata.nextLink": link + "d"}),
        Reply(body=rows({"A": 3})),
    ]  # fmt: skip
    assert desk.run() == [Rows(({"A": 1}, {"A": 2}, {"A": 3}))]
    assert [seen.json for seen in desk.server.seen[1:]] == [desk.server.seen[0].json] * 2


@pytest.mark.parametrize(
    "link", ["https://evil.example/x", "http://localhost/x", "https://localhost:1/x", "//evil.example/x", "same"]
)
def test_a_next_page_elsewhere_is_not_asked_for(desk: Desk, link: str) -> None:
    """Another host, port or scheme, and a link that comes again: no rows, an error, and no token sent there."""
    here = f"{desk.server.address}/next"
    link = here if link == "same" else link
    desk.server.replies = [Reply(body=rows({"A": 1}) | {"@odata.nextLink": link}) for _ in range(3)]
    assert isinstance(desk.error(), Unreachable)
    assert len(desk.server.seen) == (2 if link == here else 1)


def test_no_token_goes_to_another_port_of_the_host(desk: Desk, authority: Authority) -> None:
    """A server beside the cloud's, trusted too, is not asked for a next page."""
    other = Server(authority.issue())
    other.replies = [Reply(body=rows({"A": 2}))]
    desk.server.replies = [Reply(body=rows({"A": 1}) | {"@odata.nextLink": f"{other.address}/x"})]
    assert isinstance(desk.error(), Unreachable)
    other.close()
    assert other.seen == []


def test_a_warning_without_rows(desk: Desk) -> None:
    """value is null, and the warning is the item's."""
    warning = "The appropriate access control entry is already present on the object"
    desk.server.replies = [Reply(body=rows() | {"value": None, "@adminapi.warnings": [warning]})]
    assert desk.run(ADD, BOXES[:1]) == [Rows((), (warning,))]


def test_an_item_has_its_own_error_and_no_other(desk: Desk) -> None:
    """An error within a $batch concerns its item; a response that is missing, or comes twice, leaves its item unknown."""
    good, twice = ({"status": 200, "headers": {}, "body": rows({"Identity": f"box-{n}"})} for n in (0, 4))
    desk.server.replies = [
        Reply(body={"responses": [
            {"id": "4", **twice}, {"id": "4", **twice}, {"id": "1", "status": 404, "body": told(NOT_FOUND)}, {"id": "0", **good},
            {"id": "3", "status": 429, "headers": {"Retry-After": "7"}, "body": {"error": {"code": "x", "message": "slow"}}},
        ]})
    ]  # fmt: skip
    answers = desk.run(ADD, BOXES[:5])
    assert [type(answer) for answer in answers] == [Rows, Failed, Unknown, Failed, Unknown]
    missing, slow = (answer.error for answer in answers if isinstance(answer, Failed))
    assert isinstance(missing, Missing)
    assert missing.what.startswith("The operation couldn't")
    assert isinstance(slow, Throttled)
    assert slow.after == 7


def test_rows_of_others_are_not_believed(desk: Desk) -> None:
    """A Get-* that answers an unknown identity with every row: the item has none of them."""
    desk.server.replies = [Reply(body=rows({"Identity": "box-7"}, {"Identity": "box-8"}))]
    [answer] = desk.run(Cmdlet("Get-MailboxPermission", over="Identity"), BOXES[:1])
    assert isinstance(answer, Unknown)


ZEROS = Reply(403, "\0" * 48, {"Content-Encoding": "gzip"})
NO_ROLE = "The role assigned to application x isn't supported in this scenario. Please check online documentation"


@pytest.mark.parametrize(
    ("reply", "kind", "says", "hint"),
    [
        (ZEROS, Forbidden, "New-ServicePrincipal is not present", "Role Management"),
        (Reply(403, NO_ROLE), Forbidden, "isn't supported in this scenario", "Exchange Administrator"),
        (Reply(403, "<html>denied</html>"), Forbidden, "not present", "Role Management"),
        (Reply(401), Forbidden, "token is not taken", "Exchange.ManageAsApp"),
        (Reply(400, told("|X.AmbiguousParameterSetException|Parameter set cannot be resolved.", "BadRequest")),
         Forbidden, "Parameter set", "without this parameter"),
        (Reply(500, told("Ex9DB6D3|Microsoft.Exchange.Data.Directory.ADObjectAlreadyExistsException|It already exists.")),
         Conflict, "already exists", ""),
        (Reply(429), Throttled, "too many", ""),
        (Reply(404, "<html>"), Missing, "no admin API there", "pwsh"),
        (Reply(501, {"error": {"code": "NotImplemented", "message": "not here"}}), CloudError, "not here", ""),
    ],
)  # fmt: skip
def test_what_answers_become(desk: Desk, reply: Reply, kind: type[CloudError], says: str, hint: str) -> None:
    """The kind of error that other remotings give, with what to do; a body that says it is gzip and is none."""
    desk.server.replies = [reply]
    error = desk.error(Cmdlet("New-ServicePrincipal", {"AppId": "a", "ObjectId": "o"}))
    assert isinstance(error, kind)
    assert says in error.what
    assert hint in error.hint
    assert not isinstance(error, Unreachable)


@pytest.mark.parametrize(
    ("reply", "happened"),
    [
        (Reply(503, "unavailable", {"Retry-After": "5"}), True),
        (Reply(500, "<html>Server Error</html>"), True),
        (Reply(502), True),
        (Reply(500, {"error": {"code": "InternalServerError", "message": "An error has occurred."}}), True),
        (Reply(200, "<html>sign in</html>"), True),
        (Reply(200, ["x"]), True),
        (Reply(200, {"value": ["x"]}), True),
        (Reply(body=rows({"A": "long enough to cut"}), cut=True), True),
        (Reply(drop=True), True),
        (Reply(302, headers={"Location": "https://evil.example/"}), False),
        (Reply(408, "timeout"), False),
    ],
)
def test_what_leaves_open_whether_it_was_done(desk: Desk, reply: Reply, happened: bool) -> None:
    """Where no cmdlet answers, a write may have happened; a redirect is not followed, and did nothing."""
    desk.server.replies = [reply]
    error = desk.error(ADD, BOXES[:1])
    assert isinstance(error, Unreachable)
    assert error.may_have_happened is happened
    assert error.after == (5 if reply.status == 503 else None)
    desk.server.replies = [reply]
    answers = desk.run(ADD, BOXES[:3])
    assert len(answers) == 3
    assert all(
        isinstance(a, Failed) and isinstance(a.error, Unreachable) and a.error.may_have_happened is happened
        for a in answers
    )


def test_nobody_answers(make: Callable[..., Desk], tmp_path: Path) -> None:
    """An unknown authority, or nobody there: nothing was sent. A file of authorities that is none is wrong usage."""
    desk = make(ca=Authority(tmp_path, "another").path)
    error = desk.error()
    assert isinstance(error, Unreachable)
    assert (error.may_have_happened, error.transient) == (False, False)
    assert "not trusted" in error.what
    assert desk.server.seen == []
    with pytest.raises(UsageError):
        make(ca=tmp_path / "nowhere.pem").run()
    gone = make()
    gone.server.close()
    error = gone.error()
    assert isinstance(error, Unreachable)
    assert error.may_have_happened is False


# The token


def test_a_token_that_worked_and_is_refused_is_renewed_by_the_next_run(desk: Desk) -> None:
    """401 after an answer: nothing happened, nothing is repeated, and the next run brings another token."""
    desk.server.replies = [Reply(body=rows()), Reply(401), Reply(body=rows())]
    desk.run()
    error = desk.error(ADD, BOXES[:2])
    assert isinstance(error, Unreachable)
    assert error.may_have_happened is False
    assert isinstance(desk.run()[0], Rows)
    sent = [seen.headers["authorization"] for seen in desk.server.seen]
    assert sent == [f"Bearer {desk.tokens[0]}"] * 2 + [f"Bearer {desk.tokens[1]}"]


def test_a_server_that_repeats_the_token_does_not_have_it_shown(desk: Desk) -> None:
    """No error shows it."""
    desk.server.replies = [Reply(body=rows())]
    desk.run()
    desk.server.replies = [Reply(400, {"error": {"code": "x", "message": f"bad: {desk.tokens[0]}"}})]
    assert "bad: ..." in desk.error().what


def test_the_module_file_says_which_cmdlets_there_are(desk: Desk) -> None:
    """As CIPP-API asks for it."""
    desk.server.replies = [Reply(body={"value": [{"exportedCmdlets": "Get-Mailbox,New-ServicePrincipal"}]})]
    assert desk.api.cmdlets() == {"Get-Mailbox", "New-ServicePrincipal"}
    [seen] = desk.server.seen
    assert (seen.method, seen.path) == ("GET", f"/AdminApi/v1.0/{TENANT}/EXOModuleFile")
    assert seen.headers["commandname"] == "*"


@pytest.mark.parametrize(
    ("location", "follows"),
    [
        ("/eur01b/AdminApi/v1.0/x/EXOModuleFile", True),
        ("https://evil.example/x", False),
        ("https://notlocalhost/x", False),
        ("https://localhost:1/x", False),
        ("http://localhost/x", False),
        ("https://user@eur01b.localhost/x", False),
    ],
)
def test_the_module_file_may_be_in_a_region_of_the_same_cloud(desk: Desk, location: str, follows: bool) -> None:
    """A redirect below the cloud's own host is followed once, with the token; any other is not."""
    desk.server.replies = [
        Reply(302, headers={"Location": location}),
        Reply(body={"value": {"exportedCmdlets": "Get-Mailbox"}}),
    ]
    if follows:
        assert desk.api.cmdlets() == {"Get-Mailbox"}
        return
    with pytest.raises(Unreachable):
        desk.api.cmdlets()
    assert len(desk.server.seen) == 1


def test_where_the_token_may_go() -> None:
    """The cloud's host and what is below it, over TLS, on the public port; never a look-alike."""
    api = AdminApi(CLOUDS["global"], lambda: pytest.fail("nobody signs in"))
    assert api._below("https://outlook.office365.com/x") == "https://outlook.office365.com/x"
    assert api._below("https://eurprd07.outlook.office365.com:446/x") == "https://eurprd07.outlook.office365.com/x"
    for place in ("https://outlook.office365.com.evil.example/", "https://evil-outlook.office365.com/", "https://office365.com/",
                  "http://a.outlook.office365.com/", "https://outlook.office365.com@evil.example/", "https:///x", ""):  # fmt: skip
        assert api._below(place) is None, place


def test_a_cmdlet_that_is_redirected_to_a_region_goes_there_next(make: Callable[..., Desk]) -> None:
    """Not followed: nothing happened; the next request's address is the region's, and its token goes there only."""
    desk = make()
    desk.server.replies = [
        Reply(302, headers={"Location": "https://eur01b.localhost:446/adminapi/beta/x/InvokeCommand"})
    ]
    error = desk.error(ADD, BOXES[:1])
    assert isinstance(error, Unreachable)
    assert (error.may_have_happened, error.transient) == (False, True)
    assert desk.api._base == "https://eur01b.localhost"


def test_what_is_no_json_of_ours_is_never_a_traceback(desk: Desk) -> None:
    """Whatever is played, there is one answer an item."""
    bodies: list[Any] = [
        None, "", "[[[", "null", "{}", {"value": 1}, {"value": [[]]}, {"responses": 3}, {"responses": [1, {"id": []}]},
        {"error": 1}, {"error": {"details": "x"}}, {"error": {"details": [1]}}, {"error": {"innererror": []}}, "[" * 9000,
    ]  # fmt: skip
    for status in (200, 204, 207, 400, 403, 404, 418, 429, 500):
        for body in bodies:
            desk.server.replies = [Reply(status, body)]
            assert len(desk.run(ADD, BOXES[:1])) == 1
            desk.server.replies = [Reply(status, body)]
            assert len(desk.run(ADD, BOXES[:2])) == 2
    assert json.dumps(desk.tokens)
