"""The few of PowerShell's own commands that remoting clients use around a module: they look at the session, no more.

Out-Null, Out-Default and Select-Object -Property may end a pipeline; the engine applies them to its rows.
"""

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from .binding import Parameter, Spec
from .outcome import RUNTIME, Failure, Item, Output
from .session import Call, Cmdlet

MODULE = "ExchangeOnlineManagement"


def _spec(name: str, **types: str) -> Spec:
    parameters = {
        key: Parameter(key, kind, position=place, pipeline=key == "InputObject")
        for place, (key, kind) in enumerate(types.items())
    }
    return Spec(name, parameters)


SPECS: dict[str, Spec] = {
    "Get-Command": _spec("Get-Command", Name="String[]", Module="String[]"),
    "Get-Module": _spec("Get-Module", Name="String[]", ListAvailable="SwitchParameter"),
    "Import-Module": _spec(
        "Import-Module", Name="String[]", Force="SwitchParameter", DisableNameChecking="SwitchParameter"
    ),
    "Out-Null": _spec("Out-Null"),
    "Out-Default": _spec("Out-Default"),
    "Select-Object": _spec("Select-Object", Property="String[]"),
}
SINKS = frozenset({"Out-Null", "Out-Default", "Select-Object"})


def get_command(call: Call, visible: Iterable[str]) -> Iterator[Output]:
    """The commands of this session. An exact name that is not there is an error that does not end the pipeline."""
    patterns = [str(n) for n in call.values.get("Name") or ["*"]]
    modules = [str(m).lower() for m in call.values.get("Module") or ["*"]]
    names = sorted(visible)
    for pattern in patterns:
        found = [n for n in names if fnmatchcase(n.lower(), pattern.lower())]
        if not found and not any(mark in pattern for mark in "*?["):
            yield Failure(
                f"The term '{pattern}' is not recognized as the name of a cmdlet, function, script file, or operable "
                "program. Check the spelling of the name, or if a path was included, verify that the path is correct and "
                "try again.",
                "CommandNotFoundException,Microsoft.PowerShell.Commands.GetCommandCommand",
                types=("System.Management.Automation.CommandNotFoundException", *RUNTIME),
                category="ObjectNotFound",
                target=pattern,
                terminating=False,
            )
        for name in found:
            source = "" if name in SPECS else MODULE
            if any(fnmatchcase(source.lower(), module) for module in modules):
                yield Item(
                    (
                        "System.Management.Automation.CmdletInfo",
                        "System.Management.Automation.CommandInfo",
                        "System.Object",
                    ),
                    {"Name": name, "CommandType": "Cmdlet", "Source": source, "ModuleName": source},
                    name,
                )


def _module(version: str) -> Item:
    return Item(
        ("System.Management.Automation.PSModuleInfo", "System.Object"),
        {"Name": MODULE, "Version": version, "ModuleType": "Script"},
        MODULE,
    )


def get_module(call: Call) -> Iterator[Output]:
    patterns = [str(n).lower() for n in call.values.get("Name") or ["*"]]
    version = call.tenant.options.module
    if version and any(fnmatchcase(MODULE.lower(), pattern) for pattern in patterns):
        yield _module(version)


def import_module(call: Call) -> Iterator[Output]:
    """The module is loaded by itself when one of its cmdlets is called; importing it changes nothing."""
    for name in call.values.get("Name") or ():
        if str(name).lower() != MODULE.lower() or not call.tenant.options.module:
            raise Failure(
                f"The specified module '{name}' was not loaded because no valid module file was found in any module "
                "directory.",
                "Modules_ModuleNotFound",
                types=(
                    "System.IO.FileNotFoundException",
                    "System.IO.IOException",
                    "System.SystemException",
                    "System.Exception",
                ),
                category="ResourceUnavailable",
                target=str(name),
                terminating=False,
            )
    yield from ()


def sink(name: str, values: dict[str, Any]) -> Callable[[Item], Item | None]:
    """What a trailing command makes of one row."""
    if name == "Out-Null":
        return lambda row: None
    wanted = [str(p) for p in values.get("Property") or ()]
    if name == "Out-Default" or not wanted:
        return lambda row: row

    @lru_cache(maxsize=16)
    def columns(keys: tuple[str, ...]) -> dict[str, None]:
        chosen: dict[str, None] = {}
        for pattern in wanted:
            matches = [key for key in keys if fnmatchcase(key.lower(), pattern.lower())]
            chosen |= dict.fromkeys(matches if matches or "*" in pattern else [pattern])
        return chosen

    def select(row: Item) -> Item:
        chosen = {name: row.properties.get(name) for name in columns(tuple(row.properties))}
        types = tuple(f"Selected.{name}" for name in row.type_names[:1])
        return Item(
            (*types, "System.Management.Automation.PSCustomObject", "System.Object"), chosen, None, adapted=False
        )

    return select


CMDLETS = {
    "Get-Module": Cmdlet(get_module, frozenset({"Name", "ListAvailable"})),
    "Import-Module": Cmdlet(import_module, frozenset({"Name", "Force", "DisableNameChecking"})),
}
