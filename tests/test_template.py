"""The templates and the command that prints them; above all the PowerShell that prepares a management host."""

import re
from pathlib import Path

import pytest
import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

from console import Console
from exosp.cli.template import TEMPLATES
from exosp.exchange.cmdlets import CMDLETS, OURS, READS
from exosp.sandbox.cmdlets.endpoints import _CONNECT as CONNECT
from exosp.sandbox.cmdlets.endpoints import OWN, WRAPPERS

ROOT = Path(__file__).resolve().parents[1]
HOST = (ROOT / "templates" / "host.ps1").read_text(encoding="utf-8")
_INNER = {"Hide-Inner", "Connect-Inner", "Invoke-Inner"}


def parsed(text: str) -> Node:
    return Parser(Language(tree_sitter_powershell.language())).parse(text.encode()).root_node


def faults(node: Node) -> list[str]:
    """Where the parser lost its way."""
    own = [f"{node.start_point}: {node.text!r:.80}"] if node.type == "ERROR" or node.is_missing else []
    return own + [fault for child in node.children for fault in faults(child)]


def wrappers() -> str:
    [text] = re.findall(r"\$Wrappers = @'\n(.*?)\n'@", HOST, re.DOTALL)
    return text


def functions() -> dict[str, set[str]]:
    """The functions of the module that the script writes, and the parameters of each."""
    found = {}
    for part in re.split(r"(?m)^function ", wrappers())[1:]:
        parameters, _, _ = (
            part.partition("\n    process") if "\n    process" in part else part.partition("\n    Invoke-Inner ")
        )
        found[part.split()[0]] = set(re.findall(r"\] \$(\w+)", parameters))
    return found


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
        assert printed.out == (ROOT / "templates" / file).read_text(encoding="utf-8")
    unknown = console.here("template", "magic")
    assert unknown.code == 2
    assert "playbook, host" in unknown.err
    assert list(tmp_path.iterdir()) == []


def test_every_template_is_named():
    """A file in templates/ that no name prints would be found by nobody."""
    assert {file for file, _ in TEMPLATES.values()} == {path.name for path in (ROOT / "templates").iterdir()}


# The host's script


@pytest.mark.parametrize("text", [HOST, wrappers()], ids=["script", "wrappers"])
def test_its_syntax(text):
    """A PowerShell grammar that is not ours reads it without a fault, and the module that it writes too."""
    assert faults(parsed(text)) == []


def test_the_parser_sees_faults():
    """The same grammar notices a brace and a quote that are missing: the test above can fail."""
    assert faults(parsed(HOST.replace("Set-StrictMode -Version 2.0\n", "if ($true) {\n", 1)))
    assert faults(parsed(wrappers().replace("[string] $DisplayName\n    )", "[string] $DisplayName\n", 1)))


def test_each_cmdlet_of_ours_has_its_wrapper():
    """Every cmdlet that exosp runs, with every parameter that it may give it, has a wrapper; so has connecting."""
    found = functions()
    for name in (*OURS, *READS, "Connect-Exosp", "Disconnect-Exosp"):
        assert {*CMDLETS[name].parameters, *CMDLETS[name].audit} <= found[name], name
        over = CMDLETS[name].over
        if over:
            [body] = re.findall(rf"(?ms)^function {name} .*?^}}", wrappers())
            assert re.search(rf"ValueFromPipeline = \$true.*\${over}\b", body), name


def test_the_sandboxs_endpoint_is_the_scripts():
    """What the emulated endpoint offers is what the script makes, function by function, parameter by parameter."""
    emulated = {name: set(parameters) for name, parameters in WRAPPERS.items()}
    emulated |= {"Connect-Exosp": set(CONNECT), "Disconnect-Exosp": set()}
    assert {name: parameters for name, parameters in functions().items() if name not in _INNER} == emulated
    assert set(OWN) == {"Connect-Exosp", "Disconnect-Exosp"}


def test_every_text_a_caller_gives_is_checked():
    """Each parameter of a wrapper that takes a text has a pattern, a set or a length; a secret has its own type."""
    for line in wrappers().splitlines():
        for parameter in re.findall(r"\[string(?:\[\])?\] \$\w+", line):
            before = line.partition(parameter)[0]
            inner = "[string] $Verb" in line
            assert inner or "Validate" in before or parameter in _NEXT_LINE, line


# Parameters whose check stands on the line before.
_NEXT_LINE = {
    f"[string] ${name}"
    for name in ("Organization", "DelegatedOrganization", "UserPrincipalName", "ExchangeEnvironmentName")
}


def test_what_connects_calls_for_our_cmdlets():
    """The module is asked for the wrapped cmdlets, no more and no fewer."""
    [listed] = re.findall(r"(?s)\$names = (.*?)\n    Connect-ExchangeOnline", wrappers())
    assert set(re.findall(r"'([\w-]+)'", listed)) == set(WRAPPERS)


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
