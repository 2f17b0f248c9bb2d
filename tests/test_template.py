"""The templates and the command that prints them; above all the PowerShell that prepares a management host."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

from console import Console
from exosp.cli.template import TEMPLATES
from exosp.exchange.census import FOLDERS, OPERATIONS
from exosp.exchange.cmdlets import CMDLETS, OURS, READS
from exosp.sandbox.cmdlets.endpoints import _CONNECT as CONNECT
from exosp.sandbox.cmdlets.endpoints import ENDPOINTS, OWN, WRAPPERS, visible, wrapper

ROOT = Path(__file__).resolve().parents[1]
HOST = (ROOT / "templates" / "host.ps1").read_text(encoding="utf-8")
_INNER = {"Hide-Inner", "Connect-Inner", "Connect-First", "Invoke-Inner"}
_OWN = {"Connect-Exosp", "Disconnect-Exosp", "Get-ExospCommand"}


def parsed(text: str) -> Node:
    return Parser(Language(tree_sitter_powershell.language())).parse(text.encode()).root_node


def faults(node: Node) -> list[str]:
    """Where the parser lost its way."""
    own = [f"{node.start_point}: {node.text!r:.80}"] if node.type == "ERROR" or node.is_missing else []
    return own + [fault for child in node.children for fault in faults(child)]


def part(name: str) -> str:
    """One of the texts that the script writes into a module."""
    [text] = re.findall(rf"\${name} = @'\n(.*?)\n'@", HOST, re.DOTALL)
    return text


READING, CHANGING = part("Reading"), part("Changing")
WHOLE = f"{READING}\n{CHANGING}"


@dataclass(frozen=True)
class Taken:
    """A parameter of a function: its type, what its text must look like ("" where nothing is said), and what it demands."""

    type: str
    pattern: str = ""
    longest: int = 0
    mandatory: bool = False
    piped: bool = False

    def takes(self, text: str) -> bool:
        fits = re.search(self.pattern, text, re.IGNORECASE) is not None
        return fits and (not self.longest or 1 <= len(text) <= self.longest)


def nodes(node: Node, kind: str) -> list[Node]:
    own = [node] if node.type == kind else []
    return own + [found for child in node.children for found in nodes(child, kind)]


def functions(text: str = WHOLE) -> dict[str, dict[str, Taken]]:
    """The functions of a module, and the parameters of each."""
    return {
        spelled(function.named_children[0]): {
            spelled(parameter.children[-1]).removeprefix("$"): taken(spelled(parameter))
            for parameter in nodes(function, "script_parameter")
        }
        for function in nodes(parsed(text), "function_statement")
    }


def spelled(node: Node) -> str:
    assert node.text is not None
    return node.text.decode()


def taken(text: str) -> Taken:
    pattern = "".join(re.findall(r"ValidatePattern\('(.*?)'\)", text))
    members = "".join(re.findall(r"(?s)ValidateSet\((.*?)\)", text))
    if members:
        pattern = "^(" + "|".join(map(re.escape, re.findall(r"'(.*?)'", members))) + ")$"
    lengths = re.findall(r"ValidateLength\(1, (\d+)\)", text)
    return Taken(
        re.findall(r"\[([\w.]+(?:\[\w*\])?)\] *$", text.rpartition("$")[0])[0],
        pattern,
        int("".join(lengths) or 0),
        "Mandatory = $true" in text,
        "ValueFromPipeline = $true" in text,
    )


SCRIPTS = functions()


# The command


def test_it_lists_and_prints(tmp_path):
    """Without a name the list, with one the file to the letter; nothing is written; an unknown one is a usage error."""
    console = Console(tmp_path)
    listed = console.here("template")
    assert listed.code == 0
    assert [line.split()[0] for line in listed.out.splitlines()] == list(TEMPLATES)
    for name, (file, _) in TEMPLATES.items():
        printed = console.here("template", name)
        assert (printed.code, printed.err) == (0, "")
        if not file:  # made of a table: test_clouds
            continue
        assert printed.out == (ROOT / "templates" / file).read_text(encoding="utf-8")
    unknown = console.here("template", "magic")
    assert unknown.code == 2
    assert "playbook, cloud, host" in unknown.err
    assert list(tmp_path.iterdir()) == []


def test_every_template_is_named():
    """A file in templates/ that no name prints would be found by nobody."""
    assert {file for file, _ in TEMPLATES.values() if file} == {path.name for path in (ROOT / "templates").iterdir()}


# The host's script


@pytest.mark.parametrize("text", [HOST, READING, CHANGING, WHOLE], ids=["script", "reading", "changing", "whole"])
def test_its_syntax(text):
    """A PowerShell grammar that is not ours reads it without a fault, and the module that it writes too."""
    assert faults(parsed(text)) == []


def test_the_parser_sees_faults():
    """The same grammar notices a brace and a quote that are missing: the test above can fail."""
    assert faults(parsed(HOST.replace("Set-StrictMode -Version 2.0\n", "if ($true) {\n", 1)))
    assert faults(parsed(CHANGING.replace("[string] $DisplayName\n    )", "[string] $DisplayName\n", 1)))


def test_each_cmdlet_of_ours_has_its_wrapper():
    """Every cmdlet that exosp runs, with every parameter that it or its audit may give it, has a wrapper; so has connecting."""
    found = SCRIPTS
    for name in (*OURS, *READS, *_OWN):
        given = CMDLETS[name]
        assert {*given.parameters, *given.audit} <= found[name].keys(), name
        if given.over and not given.alone:  # alone: a parameter of each pipeline, no input
            assert found[name][given.over].piped, name
            assert re.search(rf"(?ms)^function {name} .*?^    process {{ Invoke-Inner", WHOLE), name


def test_the_sandboxs_endpoint_is_the_scripts():
    """What the emulated endpoint offers is what the script makes, function by function, parameter by parameter."""
    emulated = {name: set(parameters) for name, parameters in WRAPPERS.items()}
    emulated |= {name: set() for name in _OWN} | {"Connect-Exosp": set(CONNECT)}
    assert {name: set(parameters) for name, parameters in SCRIPTS.items() if name not in _INNER} == emulated
    assert set(OWN) == _OWN


def test_the_sandboxs_endpoint_takes_what_the_scripts_takes():
    """Value by value: what the one refuses, the other refuses too."""
    for name, parameters in WRAPPERS.items():
        for parameter, pattern in parameters.items():
            of_script = SCRIPTS[name][parameter]
            for text in SAMPLES:
                emulated = re.fullmatch(pattern, text, re.DOTALL | re.IGNORECASE) is not None
                assert emulated == of_script.takes(text), (name, parameter, text, pattern, of_script)


# By parameter, what a caller may think of; a group says what tells its members apart.
SAMPLES = (
    "support@contoso.com", "11111111-1111-4111-8111-111111111111", "Support", "O'Neil", "a" * 64, "a" * 65, "a" * 320, "a" * 321,
    "a" * 5000, "*", "sup*", "a;b", "a|b", "<script>", '"x"', "`x`", "$(x)",
    "1", "1000", "5000", "50000", "1234567", "12345678", "Unlimited", "-1", "unlimited rows",
    "FullAccess", "ReadPermission", "SendAs", "ChangeOwner", "Full Access", "FullAccess,SendAs",
    "Application SMTP.SendAsApp", "Application Mail.Read", "ServicePrincipal", "Service Principal",
    "support@contoso.com:\\Inbox", "support@contoso.com:\\", "support@contoso.com:\\Sent Items", "a*b@contoso.com:\\Inbox",
    "support@contoso.com:\\Inbox\\Secret", "support@contoso.com", "a;b:\\Inbox", ":\\Inbox", "support@contoso.com:\\In*",
    "2026-11-21 21:30:00Z", "2026-11-21", "11/21/2026", "now",
    *OPERATIONS, "MailItemsAccessed", "FileAccessed", "Add-MailboxPermission,MailItemsAccessed",
    "exosp-11111111-1111-4111-8111-111111111111", "exosp-", "another", "ReturnLargeSet", "ReturnNextPreviewPage",
)  # fmt: skip


def test_the_sandboxs_endpoint_demands_what_the_scripts_demands():
    """Its mandatory parameters too; and the log is never asked without saying what for."""
    for name in WRAPPERS:
        demanded = {parameter for parameter, what in SCRIPTS[name].items() if what.mandatory}
        assert demanded in [set(needed) for needed in wrapper(name).mandatory.values()], name
    assert SCRIPTS["Search-UnifiedAuditLog"]["Operations"].mandatory


def test_the_log_is_asked_about_what_an_audit_asks():
    """The script's list of operations is the program's: of one more, an audit with evidence would be refused."""
    operations = SCRIPTS["Search-UnifiedAuditLog"]["Operations"]
    assert all(map(operations.takes, OPERATIONS))
    assert operations.pattern.count("|") == len(OPERATIONS) - 1
    assert all(SCRIPTS["Get-MailboxFolderPermission"]["Identity"].takes(f"a@b.c:{name}") for name in FOLDERS)


def test_an_auditors_endpoint_only_reads():
    """With -ReadOnly the module holds the reading functions alone, and so does the emulated endpoint; whatever an audit
    runs is there."""
    reading = functions(READING).keys() - _INNER - OWN.keys()
    assert reading == set(READS)
    assert all(name.startswith(("Get-", "Search-")) for name in reading)
    assert not re.search(r"Invoke-Inner '(?!Get'|Search')", READING)
    assert "$Wrappers = if ($ReadOnly) { $Reading } else {" in HOST
    audit, whole = ENDPOINTS["Exosp.Audit"], ENDPOINTS["Exosp.JEA"]
    assert visible(audit) & WRAPPERS.keys() == reading
    assert visible(whole) - visible(audit) == functions(CHANGING).keys()


def test_every_text_a_caller_gives_is_checked():
    """Each parameter of a wrapper that takes a text has a pattern, a set or a length; a secret has its own type."""
    for name, parameters in SCRIPTS.items():
        for parameter, what in parameters.items():
            checked = what.pattern or what.longest
            assert checked or not what.type.startswith("string") or name in _INNER, (name, parameter)
    assert SCRIPTS["Connect-Exosp"]["Token"].type == "securestring"


@pytest.mark.parametrize(("text", "list_of"), [(READING, "Reads"), (CHANGING, "Writes")])
def test_what_connects_calls_for_our_cmdlets(text, list_of):
    """The module is asked for the wrapped cmdlets, no more and no fewer; with -ReadOnly, for those that read."""
    [listed] = re.findall(rf"(?s)\$script:{list_of} = ('.*?')\n(?!    ')", text)
    assert set(re.findall(r"'([\w-]+)'", listed)) == functions(text).keys() - _INNER - OWN.keys()
    assert "-CommandName ($script:Reads + $script:Writes)" in READING
    assert "$script:Writes = @()" in READING


def test_it_never_weakens_the_host():
    """No unencrypted traffic, no Basic, no TrustedHosts, no execution policy, nobody in Administrators."""
    code = re.sub(r"(?m)#.*$", "", re.sub(r"(?s)<#.*?#>", "", HOST))
    for weak in (
        "Basic",
        "TrustedHosts",
        "Set-ExecutionPolicy",
        "Administrators",
        "AllowUnencrypted -Value $true",
        "Remote Management Users",
        "Invoke-Expression",
    ):
        assert weak not in code, weak
    assert "AllowUnencrypted -Value $false" in code
    assert "-RemoteAddress $AllowFrom" in code
