"""OPATH recipient filters as New-ManagementScope takes them: text in, a tree out, and whether a recipient fits it.

Sources: learn.microsoft.com/powershell/exchange/recipient-filters ("the whole filter in double quotation marks, values in
single ones, a hyphen before every operator", -and -or -not, -eq -ne -lt -gt -le -ge -like -notlike); the page on address lists
(Exchange stores each statement in parentheses); recipientfilter-properties (MemberOfGroup takes a distinguished name).
That a quotation mark within a value is written twice is PowerShell's own rule for strings.
Not imitated: properties that no recipient here has, variables other than $true, $false and $null, and dates.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

# Filterable properties (recipientfilter-properties, filter-properties), as far as recipients here have them.
PROPERTIES = {
    name.lower(): name
    for name in (
        "Alias", "City", "Company", "CountryOrRegion", "Department", "DisplayName", "DistinguishedName", "EmailAddresses",
        "ExchangeGuid", "ExternalDirectoryObjectId", "Guid", "HiddenFromAddressListsEnabled", "MemberOfGroup", "Name",
        "Office", "PrimarySmtpAddress", "RecipientType", "RecipientTypeDetails", "StateOrProvince", "Title",
        "UserPrincipalName", "WindowsEmailAddress", *(f"CustomAttribute{number}" for number in range(1, 16)),
    )
}  # fmt: skip
_COMPARING = ("eq", "ne", "lt", "gt", "le", "ge", "like", "notlike")
_TOKEN = re.compile(
    r"\s*(?:(?P<open>\()|(?P<close>\))|-(?P<operator>[A-Za-z]+)|'(?P<single>(?:[^']|'')*)'|\"(?P<double>[^\"]*)\""
    r"|\$(?P<constant>[A-Za-z]\w*)|(?P<word>[A-Za-z]\w*)|(?P<bang>!))"
)


class FilterFault(ValueError):
    """Exchange's words for a filter that it does not take."""


@dataclass(frozen=True)
class Statement:
    """One comparison. ``value`` None is $null."""

    name: str
    operator: str
    value: str | bool | None


@dataclass(frozen=True)
class Joined:
    """Others, joined by "and" or "or", or one of them negated by "not"."""

    operator: str
    parts: "tuple[Node, ...]"


Node = Statement | Joined
Held = Mapping[str, Iterable[str]]


def _syntax(text: str, at: int) -> FilterFault:
    return FilterFault(
        "Invalid filter syntax. For a description of the filter parameter syntax see the command help.\r\n"
        f'"{text}" at position {at + 1}.'
    )


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._found: list[tuple[str, str, int]] = []
        while text[self._at :].strip():
            match = _TOKEN.match(text, self._at)
            if match is None:
                raise _syntax(text, self._at)
            kind = str(match.lastgroup)
            self._found.append((kind, match[kind], self._at))
            self._at = match.end()
        self._next = 0

    def whole(self) -> Node:
        if not self._found:
            raise _syntax(self._text, 0)
        found = self._any()
        if self._next < len(self._found):
            raise _syntax(self._text, self._found[self._next][2])
        return found

    def _peek(self) -> tuple[str, str]:
        kind, value, _ = self._found[self._next] if self._next < len(self._found) else ("end", "", 0)
        return kind, value.lower() if kind == "operator" else value

    def _take(self, *kinds: str) -> tuple[str, str]:
        found = self._peek()
        if found[0] not in kinds:
            at = self._found[self._next][2] if self._next < len(self._found) else len(self._text)
            raise _syntax(self._text, at)
        self._next += 1
        return found

    def _any(self) -> Node:
        return self._joined("or", lambda: self._joined("and", self._one))

    def _joined(self, operator: str, part: Callable[[], Node]) -> Node:
        parts = [part()]
        while self._peek() == ("operator", operator):
            self._next += 1
            parts.append(part())
        return parts[0] if len(parts) == 1 else Joined(operator, tuple(parts))

    def _one(self) -> Node:
        if self._peek()[0] == "open":
            self._next += 1
            found = self._any()
            self._take("close")
            return found
        if self._peek() == ("operator", "not") or self._peek()[0] == "bang":
            self._next += 1
            return Joined("not", (self._one(),))
        _, word = self._take("word")
        name = PROPERTIES.get(word.lower())
        if name is None:
            raise FilterFault(
                f"'{word}' isn't a recognized filterable property. For a complete list of filterable properties, see the "
                "command help."
            )
        operator = self._take("operator")[1]
        if operator not in _COMPARING or (name == "MemberOfGroup" and operator not in ("eq", "ne")):
            raise _syntax(self._text, self._found[self._next - 1][2])
        kind, value = self._take("single", "double", "constant")
        if kind != "constant":
            return Statement(name, operator, value.replace("''", "'") if kind == "single" else value)
        constants: dict[str, bool | None] = {"true": True, "false": False, "null": None}
        if value.lower() not in constants:
            raise _syntax(self._text, self._found[self._next - 1][2])
        return Statement(name, operator, constants[value.lower()])


def parse(text: str) -> Node:
    """A filter's tree. Raises FilterFault."""
    return _Parser(text).whole()


def stored(node: Node) -> str:
    """A filter as Exchange shows it back: every statement in parentheses of its own."""
    if isinstance(node, Statement):
        shown = (
            {True: "$true", False: "$false", None: "$null"}.get(node.value) if not isinstance(node.value, str) else None
        )
        value = shown or "'" + str(node.value).replace("'", "''") + "'"
        return f"({node.name} -{node.operator} {value})"
    if node.operator == "not":
        return f"(-not{stored(node.parts[0])})"
    return "(" + f" -{node.operator} ".join(stored(part) for part in node.parts) + ")"


def fits(node: Node, held: Held) -> bool:
    """Does a recipient with these values fit? Comparisons pay no regard to case."""
    if isinstance(node, Joined):
        results = (fits(part, held) for part in node.parts)
        if node.operator == "not":
            return not next(iter(results))
        return all(results) if node.operator == "and" else any(results)
    values = [str(value).lower() for value in held.get(node.name, ()) if str(value) != ""]
    if node.value is None:
        return bool(values) == (node.operator == "ne")
    wanted = str(node.value).lower()
    match node.operator:
        case "eq":
            return wanted in values
        case "ne":
            return wanted not in values
        case "like" | "notlike":
            pattern = re.sub(r"[\[\]?]", lambda found: f"[{found.group()}]", wanted)
            return any(fnmatchcase(value, pattern) for value in values) == (node.operator == "like")
        case "lt" | "le":
            return any(value < wanted or (node.operator == "le" and value == wanted) for value in values)
        case _:
            return any(value > wanted or (node.operator == "ge" and value == wanted) for value in values)
