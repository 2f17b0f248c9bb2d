"""The management host's listener, judged by pypsrp used raw, by pywinrm, and by SOAP written by hand."""

import asyncio
import base64
import re
import socket
import ssl
import threading
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import winrm.exceptions
from host_fixture import DOMAIN, Host, host, invoke, run
from pypsrp.complex_objects import RunspacePoolState
from pypsrp.exceptions import AuthenticationError, WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.serializer import TaggedValue
from winrm.protocol import Protocol

RSP = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
CMD = f"{RSP}/cmd"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
NS = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "rsp": RSP,
    "f": "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault",
}
TIMED_OUT, GONE, NO_RESOURCE = "2150858793", "2150858843", "2150858811"


@pytest.fixture
def here() -> Iterator[Host]:
    with host() as running:
        yield running


def envelope(
    action: str, body: str = "", resource: str = CMD, shell: str = "", header: str = "", message_id: str = ""
) -> str:
    """One request as the specification writes it, with its own prefixes."""
    selector = f'<w:SelectorSet><w:Selector Name="ShellId">{shell}</w:Selector></w:SelectorSet>' if shell else ""
    names = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NS.items())
    return (
        f'<s:Envelope {names}><s:Header><a:Action s:mustUnderstand="true">{action}</a:Action>'
        f"<a:MessageID>{message_id or f'uuid:{uuid.uuid4()}'}</a:MessageID><w:ResourceURI>{resource}</w:ResourceURI>"
        f"{selector}{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )


def open_cmd(here: Host) -> str:
    reply = here.post(
        envelope(f"{TRANSFER}/Create", "<rsp:Shell><rsp:OutputStreams>stdout stderr</rsp:OutputStreams></rsp:Shell>")
    )
    assert reply.status_code == 200, reply.text
    found = ET.fromstring(reply.content).find(".//w:Selector[@Name='ShellId']", NS)
    assert found is not None
    return str(found.text)


def receive(command_id: str = "", stream: str = "stdout stderr") -> str:
    name = f' CommandId="{command_id}"' if command_id else ""
    return f"<rsp:Receive><rsp:DesiredStream{name}>{stream}</rsp:DesiredStream></rsp:Receive>"


def fault_code(reply: requests.Response) -> str:
    assert reply.status_code == 500, reply.text
    found = ET.fromstring(reply.content).find(".//f:WSManFault", NS)
    assert found is not None, reply.text
    return found.attrib["Code"]


# Authentication and transport


@pytest.mark.parametrize("wrong", [{"password": "wrong"}, {"username": "somebody"}])
def test_wrong_credentials_are_401_with_the_realm(here: Host, wrong: dict[str, str]) -> None:
    """pypsrp sees an authentication error, and the challenge offers Basic for WSMAN."""
    with pytest.raises(AuthenticationError):
        RunspacePool(here.wsman(**wrong)).open()
    reply = here.post(envelope(f"{TRANSFER}/Get"), auth=("x", "y"))
    assert (reply.status_code, reply.headers["WWW-Authenticate"]) == (401, 'Basic realm="WSMAN"')


@pytest.mark.parametrize("header", ["", "Basic", "Basic !!!", "Bearer abc", "Negotiate abc", "Basic " + "A" * 5000])
def test_odd_authorization_headers_are_401(here: Host, header: str) -> None:
    """Whatever stands in Authorization, only the account's Basic credentials open the door."""
    reply = here.post(envelope(f"{TRANSFER}/Get"), auth=None, headers={"Authorization": header})
    assert reply.status_code == 401


def test_the_account_may_carry_its_host_and_any_case(here: Host) -> None:
    r"""HOST\user is the same local account, and Windows account names have no case."""
    user = f"HOST\\{here.tenant.host_user.upper()}"
    assert (
        here.post(envelope(f"{TRANSFER}/Get", resource=RSP), auth=(user, here.tenant.host_password)).status_code == 500
    )


def test_plain_http_offers_no_basic(here: Host) -> None:
    """Without TLS the password is of no use: the answer is 401 and offers no Basic."""
    with requests.Session() as session:
        session.trust_env = False
        reply = session.post(
            f"http://localhost:{here.plain_port}/wsman",
            data=envelope(f"{TRANSFER}/Get"),
            auth=(here.tenant.host_user, here.tenant.host_password),
            timeout=10,
        )
    assert reply.status_code == 401
    assert "WWW-Authenticate" not in reply.headers


def test_a_client_that_does_not_trust_the_ca_gets_no_further(here: Host) -> None:
    """The certificate is the sandbox's own: a client with the system's trust refuses it."""
    with pytest.raises(requests.exceptions.SSLError):
        RunspacePool(here.wsman(cert_validation=True)).open()


def test_other_paths_and_methods(here: Host) -> None:
    """Exchange's own path on a plain WinRM listener is 404 (FACTS §13); the listener takes POST only."""
    assert here.post(envelope(f"{TRANSFER}/Get"), path="/powershell/").status_code == 404
    with requests.Session() as session:
        session.trust_env = False
        assert session.get(here.url, verify=str(here.ca), timeout=10).status_code == 405
    assert here.post(envelope(f"{TRANSFER}/Get"), path="/WSMan/").status_code == 500


def test_identify_answers_without_a_password_only_where_it_is_asked_so(here: Host) -> None:
    """WSMANIDENTIFY: unauthenticated opens Identify and nothing else; the answer says that it is emulated."""
    ask = (
        f'<s:Envelope xmlns:s="{NS["s"]}" xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd">'
        "<s:Header/><s:Body><i:Identify/></s:Body></s:Envelope>"
    )
    marked = {"WSMANIDENTIFY": "unauthenticated"}
    assert here.post(ask, auth=None).status_code == 401
    answer = here.post(ask, auth=None, headers=marked)
    assert answer.status_code == 200
    assert "emulated" in answer.text
    assert fault_code(here.post(envelope(f"{TRANSFER}/Create"), auth=None, headers=marked)) == "2150858818"


# SOAP


def test_replies_and_faults_relate_to_their_request(here: Host) -> None:
    """RelatesTo is exactly the MessageID, in a reply, a fault, and a fault about the header itself."""
    for body, message_id in (
        (envelope(f"{TRANSFER}/Create", "<rsp:Shell/>", message_id="uuid:ONE"), "uuid:ONE"),
        (envelope(f"{RSP}/Receive", receive("X"), shell="nobody", message_id="uuid:two"), "uuid:two"),
        (envelope(f"{TRANSFER}/Get", header='<w:Odd s:mustUnderstand="1"/>', message_id="three"), "three"),
    ):
        assert ET.fromstring(here.post(body).content).findtext(".//a:RelatesTo", namespaces=NS) == message_id


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "2150858819"),
        ("<not closed", "2150858819"),
        ('<!DOCTYPE s [<!ENTITY a "aa">]><s>&a;</s>', "2150858819"),
        ('<!DOCTYPE s SYSTEM "file:///etc/passwd"><s/>', "2150858819"),
        ('<?xml version="1.0" encoding="no-such"?><s/>', "2150858819"),
        ("<Envelope/>", "2150858817"),
        (f'<s:Envelope xmlns:s="{NS["s"]}"><s:Body/></s:Envelope>', "2150858817"),
        (f'<s:Envelope xmlns:s="{NS["s"]}"><s:Header/><s:Body/></s:Envelope>', "2150858817"),
        (envelope("urn:unknown"), "2150858818"),
        (envelope("http://schemas.xmlsoap.org/ws/2004/09/enumeration/Enumerate"), "2150858818"),
        (envelope("http://schemas.xmlsoap.org/ws/2004/09/enumeration/Pull"), "2150858818"),
        (envelope(f"{RSP}/Connect"), "2150858818"),
        (envelope(f"{TRANSFER}/Get", header='<w:Odd s:mustUnderstand="true"/>'), "2150858818"),
        (envelope(f"{TRANSFER}/Get", header="<w:OperationTimeout>soon</w:OperationTimeout>"), "2150858881"),
        (envelope(f"{TRANSFER}/Get", header="<w:MaxEnvelopeSize>100</w:MaxEnvelopeSize>"), "2150858878"),
        (envelope(f"{TRANSFER}/Get", header="<w:MaxEnvelopeSize>many</w:MaxEnvelopeSize>"), "2150858817"),
        (envelope(f"{TRANSFER}/Get", resource="urn:x"), NO_RESOURCE),
        (envelope(f"{TRANSFER}/Create", "<rsp:Shell/>", resource="urn:x"), NO_RESOURCE),
        (envelope(f"{TRANSFER}/Create", "<rsp:Other/>"), "2150858817"),
        (envelope(f"{TRANSFER}/Create", '<rsp:Shell ShellId="x"/>'), "87"),
        (envelope(f"{TRANSFER}/Delete"), "2150858842"),
        (envelope(f"{RSP}/Receive", receive("X"), shell=str(uuid.uuid4())), GONE),
        (envelope(f"{TRANSFER}/Get", "x" * 600_000), "2150858825"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_a_fault_of_its_own(here: Host, body: str, code: str) -> None:
    """Every malformed or unserved request is an HTTP 500 with the code of wsmerror.h; nothing crashes the host."""
    assert fault_code(here.post(body)) == code
    assert open_cmd(here)


def test_the_same_message_again_gets_the_same_answer(here: Host) -> None:
    """A repeated request is answered from the first one's result; the same MessageID with another body is another request."""
    first = envelope(f"{TRANSFER}/Create", "<rsp:Shell/>", message_id="uuid:SAME")
    answers = {here.post(first).text for _ in range(3)}
    assert len(answers) == 1
    other = here.post(
        envelope(f"{TRANSFER}/Create", "<rsp:Shell><rsp:Name>b</rsp:Name></rsp:Shell>", message_id="uuid:SAME")
    )
    assert other.text not in answers


def test_a_repeated_receive_joins_the_waiting_one() -> None:
    """The same Receive, sent again while the first still waits, gets the same output: none of it is lost."""
    with host(cmdlet_time=0.4) as here, RunspacePool(here.wsman()) as pool:
        shell = PowerShell(pool)
        shell.add_cmdlet("Get-Module")
        shell.begin_invoke()
        again = envelope(
            f"{RSP}/Receive",
            receive(shell._command_id, "stdout"),
            pool.shell.resource_uri,
            pool.shell.id,
            message_id="uuid:R",
        )
        texts: list[str] = []
        threads = [threading.Thread(target=lambda: texts.append(here.post(again).text)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(texts) == 2
        assert texts[0] == texts[1]
        assert "CommandState/Done" in texts[0]


def test_a_client_that_hangs_up_fetches_its_answer_by_asking_again() -> None:
    """A lost reply to a Receive is not lost output: the work goes on, and the repetition brings it."""
    with host(cmdlet_time=0.3) as here, RunspacePool(here.wsman()) as pool:
        shell = PowerShell(pool)
        shell.add_cmdlet("Get-Module")
        shell.begin_invoke()
        ask = envelope(
            f"{RSP}/Receive", receive(shell._command_id, "stdout"), pool.shell.resource_uri, pool.shell.id
        ).encode()
        account = base64.b64encode(f"{here.tenant.host_user}:{here.tenant.host_password}".encode()).decode()
        head = f"POST /wsman HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {account}\r\nContent-Length: {len(ask)}\r\n\r\n"
        context = ssl.create_default_context(cafile=str(here.ca))
        with context.wrap_socket(
            socket.create_connection(("localhost", here.port)), server_hostname="localhost"
        ) as raw:
            raw.sendall(head.encode() + ask)
        assert "CommandState/Done" in here.post(ask).text


# Shells of cmd, by pywinrm


@pytest.fixture
def cmd(here: Host) -> Iterator[Protocol]:
    protocol = Protocol(
        here.url, transport="basic", username=here.tenant.host_user, password=here.tenant.host_password,
        ca_trust_path=str(here.ca), operation_timeout_sec=2, read_timeout_sec=6, proxy=None,
    )  # fmt: skip
    yield protocol
    protocol.transport.close_session()


def test_pywinrm_runs_hostname(cmd: Protocol) -> None:
    """Open, run, fetch, clean up, close: the whole life of a command."""
    shell = cmd.open_shell()
    command = cmd.run_command(shell, "hostname")
    assert cmd.get_command_output(shell, command) == (b"exosp-sandbox\r\n", b"", 0)
    cmd.cleanup_command(shell, command)
    cmd.close_shell(shell, close_session=False)


def test_pywinrm_is_told_what_is_not_emulated(cmd: Protocol) -> None:
    """A program the host does not run ends with 9009 and says why; it is never pretended."""
    shell = cmd.open_shell()
    out, err, code = cmd.get_command_output(shell, cmd.run_command(shell, "powershell", ["-Version"]))
    assert (out, code) == (b"", 9009)
    assert b"emulated" in err


def test_pywinrm_meets_gone_shells_and_commands(cmd: Protocol) -> None:
    """After Terminate a command is gone, after Delete the shell is: code 2150858843 for both."""
    shell = cmd.open_shell()
    command = cmd.run_command(shell, "hostname")
    cmd.cleanup_command(shell, command)
    for call in (lambda: cmd.get_command_output(shell, command), lambda: cmd.send_command_input(shell, command, "x")):
        with pytest.raises(winrm.exceptions.WSManFaultError) as caught:
            call()
        assert str(caught.value.wsman_fault_code) == GONE
    cmd.close_shell(shell, close_session=False)
    with pytest.raises(winrm.exceptions.WSManFaultError) as caught:
        cmd.run_command(shell, "hostname")
    assert str(caught.value.wsman_fault_code) == GONE


def test_a_receive_after_done_finds_no_command(here: Host) -> None:
    """Done is said once: a client that lost it must not poll for ever."""
    shell = open_cmd(here)
    started = here.post(
        envelope(
            f"{RSP}/Command", "<rsp:CommandLine><rsp:Command>hostname</rsp:Command></rsp:CommandLine>", shell=shell
        )
    )
    command = ET.fromstring(started.content).findtext(".//rsp:CommandId", namespaces=NS)
    assert command
    assert "CommandState/Done" in here.post(envelope(f"{RSP}/Receive", receive(command), shell=shell)).text
    assert fault_code(here.post(envelope(f"{RSP}/Receive", receive(command), shell=shell))) == GONE
    assert fault_code(here.post(envelope(f"{RSP}/Disconnect", shell=shell))) == "2150859205"
    assert fault_code(here.post(envelope(f"{RSP}/Receive", receive(command, "video"), shell=shell))) == "2150859149"


def test_the_thirty_first_shell_is_refused(here: Host) -> None:
    """MaxShellsPerUser: deleting one makes room."""
    shells = [open_cmd(here) for _ in range(30)]
    refused = here.post(envelope(f"{TRANSFER}/Create", "<rsp:Shell/>"))
    assert fault_code(refused) == "2150859173"
    assert here.post(envelope(f"{TRANSFER}/Delete", shell=shells[0])).status_code == 200
    assert open_cmd(here)


def test_commands_that_are_never_terminated_use_up_the_quota(here: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """MaxConcurrentOperationsPerUser counts what was not terminated: a client that leaks pipelines is refused (2150859174)."""
    monkeypatch.setattr("exosp.sandbox.wsman.MAX_OPERATIONS", 2)
    shell = open_cmd(here)
    ask = "<rsp:CommandLine><rsp:Command>hostname</rsp:Command></rsp:CommandLine>"
    first = here.post(envelope(f"{RSP}/Command", ask, shell=shell))
    here.post(envelope(f"{RSP}/Command", ask, shell=shell))
    assert fault_code(here.post(envelope(f"{RSP}/Command", ask, shell=shell))) == "2150859174"
    command = ET.fromstring(first.content).findtext(".//rsp:CommandId", namespaces=NS)
    terminate = f'<rsp:Signal CommandId="{command}"><rsp:Code>{RSP}/signal/Terminate</rsp:Code></rsp:Signal>'
    assert here.post(envelope(f"{RSP}/Signal", terminate, shell=shell)).status_code == 200
    assert here.post(envelope(f"{RSP}/Command", ask, shell=shell)).status_code == 200


def test_each_request_is_charged_its_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three requests wait three latencies; a refused password waits none."""
    waits: list[float] = []
    sleep = asyncio.sleep

    async def counted(seconds: float, *more: Any) -> Any:
        waits.append(seconds)
        return await sleep(0, *more)

    with host(latency=0.987) as here:
        monkeypatch.setattr("exosp.sandbox.wsman.asyncio.sleep", counted)
        for auth in (("wrong", "wrong"), *[(here.tenant.host_user, here.tenant.host_password)] * 3):
            here.post(envelope(f"{TRANSFER}/Get"), auth=auth)
        monkeypatch.undo()
    assert waits.count(0.987) == 3


# Runspace pools, by pypsrp


def test_a_pool_opens_in_several_receives_and_says_what_it_is(here: Host) -> None:
    """The opening messages come over two Receives, as from a real server; the private data says emulated."""
    connection = here.wsman()
    seen: list[str] = []
    send = connection.transport.send
    connection.transport.send = lambda message, **more: (seen.append(message.decode()), send(message, **more))[1]
    with RunspacePool(connection) as pool:
        assert pool.state == RunspacePoolState.OPENED
        assert pool.application_private_data.data["exosp"] == "emulated"
    actions = [found.group(1) for message in seen if (found := re.search(r"/(\w+)</wsa:Action>", message))]
    assert actions == ["Create", "Receive", "Receive", "Delete"]


@pytest.mark.parametrize("configuration", ["Microsoft.PowerShell", "PowerShell.7", "ExchangeManagement"])
def test_known_configurations(here: Host, configuration: str) -> None:
    """Each session configuration of the host opens."""
    with here.pool(configuration, connected=False) as pool:
        assert run(pool, "Get-Command", Name="Connect-ExchangeOnline").rows[0]["Name"] == "Connect-ExchangeOnline"


def test_an_unknown_configuration_names_those_there_are(here: Host) -> None:
    """Code 2150858811, and the text helps."""
    with pytest.raises(WSManFaultError, match="ExchangeManagement") as caught:
        RunspacePool(here.wsman(), configuration_name="Microsoft.Exchange").open()
    assert str(caught.value.code) == NO_RESOURCE


def test_output_never_exceeds_the_envelope_that_the_client_takes(here: Host) -> None:
    """With the smallest MaxEnvelopeSize every reply stays below it, and all rows still arrive."""
    for number in range(60):
        here.tenant.exchange.add_mailbox(f"box{number}@contoso.com", display_name="x" * (100 + number * 200))
    connection = here.wsman(max_envelope_size=8192)
    sizes: list[int] = []
    send = connection.transport.send

    def measured(message: bytes, **more: Any) -> Any:
        answer = send(message, **more)
        sizes.append(len(answer))
        return answer

    connection.transport.send = measured
    with RunspacePool(connection) as pool:
        here.connect(pool)
        assert len(run(pool, "Get-Mailbox").rows) == 63
    assert max(sizes) <= 8192
    assert len(sizes) > 20


def test_a_receive_waits_its_operation_timeout_and_then_times_out(here: Host) -> None:
    """No output within OperationTimeout is code 2150858793; the pool lives on."""
    with here.pool(connected=False) as pool:
        timeout = "<w:OperationTimeout>PT0.050S</w:OperationTimeout>"
        reply = here.post(
            envelope(f"{RSP}/Receive", receive(stream="stdout"), pool.shell.resource_uri, pool.shell.id, timeout)
        )
        assert fault_code(reply) == TIMED_OUT
        assert run(pool, "Get-Module").rows


def test_pypsrp_polls_through_operation_timeouts() -> None:
    """A cmdlet that outlasts OperationTimeout still delivers: the client's polls time out and go on."""
    with host(cmdlet_time=1.3) as here, RunspacePool(here.wsman(operation_timeout=1)) as pool:
        assert run(pool, "Get-Module").rows[0]["Name"] == "ExchangeOnlineManagement"


def test_shell_state_disconnect_and_reconnect(here: Host) -> None:
    """A disconnected pool refuses work (2150859204) and goes on after Reconnect with what it had."""
    with here.pool() as pool:
        assert pool.is_alive()
        pool.disconnect()
        pool.state = RunspacePoolState.OPENED  # as a client that has not noticed
        with pytest.raises(WSManFaultError) as caught:
            run(pool, "Get-Module")
        assert caught.value.code == 2150859204
        pool.state = RunspacePoolState.DISCONNECTED
        pool.connect()
        assert len(run(pool, "Get-ConnectionInformation").rows) == 1


def test_another_client_session_may_not_use_a_shell(here: Host) -> None:
    """The SessionId that made a shell is the one that may use it: code 2150859206."""
    with here.pool(connected=False) as pool:
        header = f'<p:SessionId xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd">uuid:{uuid.uuid4()}</p:SessionId>'
        body = envelope(f"{RSP}/Receive", receive(stream="stdout"), pool.shell.resource_uri, pool.shell.id, header)
        assert fault_code(here.post(body)) == "2150859206"


def test_a_reset_of_the_tenant_ends_every_session(here: Host) -> None:
    """Shells of the old tenant are gone; the client opens a new pool with the same account."""
    with here.pool() as pool:
        here.tenant.reset(here.tenant.options)
        with pytest.raises(WSManFaultError) as caught:
            run(pool, "Get-Mailbox")
        assert str(caught.value.code) == GONE
        pool.state = RunspacePoolState.CLOSED
    with here.pool(connected=False) as pool:
        assert run(pool, "Get-Module").rows


@pytest.mark.parametrize("content", ["", "AAAA", base64.b64encode(bytes(300)).decode(), "no base64!"])
def test_bytes_that_are_no_psrp_are_a_fault(here: Host, content: str) -> None:
    """Broken fragments, to a new pool and to an open one, are refused and the host goes on."""
    resource = "http://schemas.microsoft.com/powershell/Microsoft.PowerShell"
    creation = f'<creationXml xmlns="http://schemas.microsoft.com/powershell">{content}</creationXml>'
    assert fault_code(here.post(envelope(f"{TRANSFER}/Create", f"<rsp:Shell>{creation}</rsp:Shell>", resource))) == "87"
    with here.pool(connected=False) as pool:
        line = f'<rsp:CommandLine CommandId="{uuid.uuid4()}"><rsp:Command/><rsp:Arguments>{content}</rsp:Arguments></rsp:CommandLine>'
        reply = here.post(envelope(f"{RSP}/Command", line, resource, pool.shell.id))
        assert reply.status_code == 200 if not content else fault_code(reply) == "87"


def test_clixml_with_entities_is_refused(here: Host) -> None:
    """A document type declaration inside a PSRP message never reaches a parser that would expand it."""
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><Obj RefId="0"><MS><S N="protocolversion">&a;</S></MS></Obj>'
    message = b"\x02\0\0\0\x02\0\x01\0" + uuid.uuid4().bytes_le + bytes(16) + bomb
    fragment = (1).to_bytes(8, "big") + bytes(8) + b"\x03" + len(message).to_bytes(4, "big") + message
    creation = f'<creationXml xmlns="http://schemas.microsoft.com/powershell">{base64.b64encode(fragment).decode()}</creationXml>'
    reply = here.post(
        envelope(
            f"{TRANSFER}/Create",
            f"<rsp:Shell>{creation}</rsp:Shell>",
            "http://schemas.microsoft.com/powershell/Microsoft.PowerShell",
        )
    )
    assert fault_code(reply) == "87"
    assert "PSRPCoreError" in reply.text


def test_a_pipeline_can_be_stopped_and_the_pool_goes_on() -> None:
    """ctrl_c ends a running pipeline; the runspace is free for the next one."""
    with host(cmdlet_time=0.2) as here, here.pool() as pool:
        shell = PowerShell(pool)
        shell.add_cmdlet("Add-MailboxPermission").add_parameters(
            {"User": "sales@contoso.com", "AccessRights": "FullAccess"}
        )
        shell.begin_invoke(["support@contoso.com"] * 1000)
        shell.stop()
        assert run(pool, "Get-ConnectionInformation").rows
    assert here.tenant.requests["remoting"]["Add-MailboxPermission"] == 1


def test_input_may_come_in_many_sends(here: Host) -> None:
    """Objects that arrive one Send after another are processed in order, each with its number."""
    with here.pool() as pool:
        _, object_id = here.registered(pool)
        shell = PowerShell(pool)
        shell.add_cmdlet("Add-MailboxPermission").add_parameters({"User": object_id, "AccessRights": "FullAccess"})
        names = iter(["support@contoso.com", "nobody@contoso.com", "sales@contoso.com"])
        ran = invoke(shell, (name for name in names))
        assert len(ran.rows) == 2
        assert [record.pipeline_iteration_info[0] for record in ran.errors] == [2]


def test_a_secure_string_is_decrypted_and_then_of_no_use_as_a_token(here: Host) -> None:
    """The key exchange works; -AccessToken is a String, so a SecureString becomes its type's name and is refused."""
    with here.pool(connected=False) as pool:
        pool.exchange_keys()
        refused = here.connect(pool, TaggedValue("SS", here.token()))
        assert (refused.failed, refused.error) == (True, "UnAuthorized")
        assert not here.connect(pool).failed


def test_two_runspaces_of_a_pool_share_no_connection() -> None:
    """Connect-ExchangeOnline loads its cmdlets into one runspace; while that is busy, the pool's other one lacks them."""
    with host(cmdlet_time=0.3) as here, RunspacePool(here.wsman(), max_runspaces=2) as pool:
        assert not here.connect(pool).failed
        busy = PowerShell(pool)
        busy.add_cmdlet("Get-User")
        busy.begin_invoke()
        assert pool.get_available_runspaces() == 1
        assert run(pool, "Get-User").error_id == "CommandNotFoundException"
        busy.end_invoke()
        busy.close()
        assert len(busy.output) == 3


def test_a_pipeline_waits_for_the_pool_s_only_runspace() -> None:
    """Two pipelines on a pool of one runspace run one after the other, and both end."""
    with host(cmdlet_time=0.2) as here, here.pool() as pool:
        shells = [PowerShell(pool) for _ in range(2)]
        for shell in shells:
            shell.add_cmdlet("Get-Mailbox")
            shell.begin_invoke()
        assert pool.get_available_runspaces() == 0
        for shell in shells:
            shell.end_invoke()
            shell.close()
        assert [len(shell.output) for shell in shells] == [3, 3]


def test_no_secret_stands_in_what_the_host_answers(here: Host) -> None:
    """Neither the account's password nor the token comes back in any reply."""
    token = here.token()
    connection = here.wsman()
    answers: list[bytes] = []
    send = connection.transport.send

    def kept(message: bytes, **more: Any) -> Any:
        answers.append(send(message, **more))
        return answers[-1]

    connection.transport.send = kept
    with RunspacePool(connection) as pool:
        here.connect(pool, token)
        here.connect(pool, token + "x")
        run(pool, "Get-ConnectionInformation")
        run(pool, "Connect-ExchangeOnline", AccessToken=token, Organization=DOMAIN, Nonsense=token)
    for form in (token.encode(), base64.b64encode(token.encode())[8:-8], here.tenant.host_password.encode()):
        assert form not in b"".join(answers)
        assert form not in b"".join(
            base64.b64decode(part) for answer in answers for part in re.findall(rb"<rsp:Stream[^>]*>([^<]*)<", answer)
        )
