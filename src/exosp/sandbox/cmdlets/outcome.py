"""What a cmdlet gives back, as plain data: rows, warnings, errors. How they travel is the remoting's affair.

Shapes of errors: PowerShell's own from its source (ParameterBinderBase, InternalHostUserInterface); Exchange Online's as
the module's proxies report them, with an error id and the exception's class before the text (FACTS §2, §8).
"""

from dataclasses import dataclass
from typing import Any

RUNTIME = ("System.Management.Automation.RuntimeException", "System.SystemException", "System.Exception")
BINDING = ("System.Management.Automation.ParameterBindingException", *RUNTIME)


@dataclass(frozen=True)
class Item:
    """One object of the output. Values: None, bool, int, str, UUID, or a list of str."""

    type_names: tuple[str, ...]
    properties: dict[str, Any]
    text: str | None = None  # ToString()
    adapted: bool = True  # properties of the object itself, not notes added to it


@dataclass(frozen=True)
class Warn:
    """One line of the warning stream."""

    text: str


class Failure(Exception):
    """An error record. A terminating one ends the pipeline; another is reported, and the next item is processed.

    ``category`` is a name of System.Management.Automation.ErrorCategory, ``types`` the exception's .NET types.
    """

    def __init__(
        self,
        message: str,
        error_id: str,
        *,
        types: tuple[str, ...] = ("System.Exception",),
        category: str = "NotSpecified",
        target: str | None = None,
        terminating: bool = True,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.error_id = error_id
        self.types = types
        self.category = category
        self.target = target
        self.terminating = terminating
        self.activity = ""  # the cmdlet's name, known to whoever runs it


# A Failure among the output is an error that is reported while the cmdlet goes on.
Output = Item | Warn | Failure


def binding(message: str, error_id: str, *, category: str = "InvalidArgument", terminating: bool = True) -> Failure:
    """An error of PowerShell's parameter binder."""
    return Failure(message, error_id, types=BINDING, category=category, terminating=terminating)


def transformation(parameter: str, reason: str) -> Failure:
    """A value that does not convert to the parameter's type."""
    kind = "System.Management.Automation.ParameterBindingArgumentTransformationException"
    return Failure(
        f"Cannot process argument transformation on parameter '{parameter}'. {reason}",
        "ParameterArgumentTransformationError",
        types=(kind, *BINDING),
        category="InvalidData",
    )


def command_not_found(name: str) -> Failure:
    """A cmdlet that is not there, or that the caller may not run: PowerShell does not tell the two apart."""
    return Failure(
        f"The term '{name}' is not recognized as the name of a cmdlet, function, script file, or operable program. "
        "Check the spelling of the name, or if a path was included, verify that the path is correct and try again.",
        "CommandNotFoundException",
        types=("System.Management.Automation.CommandNotFoundException", *RUNTIME),
        category="ObjectNotFound",
        target=name,
    )


def not_emulated(what: str) -> Failure:
    """Something real that this sandbox does not have: it says so instead of pretending."""
    return Failure(
        f"The exosp sandbox (emulated) does not emulate {what}.",
        "NotEmulated",
        types=("System.NotImplementedException", "System.SystemException", "System.Exception"),
        category="NotImplemented",
    )


def no_language() -> Failure:
    """KB5001779; jborean93/pypsrp#103."""
    return Failure(
        "The syntax is not supported by this runspace. This can occur if the runspace is in no-language mode.",
        "ScriptsNotAllowed",
        types=RUNTIME,
        category="ParserError",
    )


def no_user_interaction(question: str) -> Failure:
    """A cmdlet asks for confirmation and nobody can be asked: PowerShell's HostFunctionPromptNotImplemented."""
    return Failure(
        "A command that prompts the user failed because the host program or the command type does not support user "
        "interaction. The host was attempting to request confirmation with the following message: "
        f"Are you sure you want to perform this action?\r\n{question}",
        "HostFunctionNotImplemented",
        types=("System.Management.Automation.Host.HostException", *RUNTIME),
        category="NotImplemented",
    )
