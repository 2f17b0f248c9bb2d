"""``$filter`` as Microsoft Graph takes it for directory objects. Pure. A property or form that Graph does not take is
refused in Graph's words.

Sources: learn.microsoft.com/graph/aad-advanced-queries, /graph/filter-query-parameter and the "Supports $filter" notes of
the resource pages. Not imitated: lambda ``all``, arithmetic, functions other than startsWith and endsWith.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .odata import GUID, Refused, canonical, is_moment, properties

# Properties that $filter takes, and which forms of it: eq also allows ``in``; compare is ge and le; any is the lambda.
# Everything else is answered Request_UnsupportedQuery, as Graph does.
FILTERS: dict[str, dict[str, frozenset[str]]] = {
    "application": {
        "id": frozenset({"eq"}),
        "appId": frozenset({"eq"}),
        "displayName": frozenset({"eq", "compare", "startswith", "endswith"}),
        "description": frozenset({"eq", "compare", "startswith"}),
        "createdDateTime": frozenset({"eq", "compare"}),
        "createdByAppId": frozenset({"eq"}),
        "publisherDomain": frozenset({"eq", "compare", "startswith"}),
        "signInAudience": frozenset({"eq"}),
        "serviceManagementReference": frozenset({"eq", "compare"}),
        "identifierUris": frozenset({"any", "eq", "startswith"}),
        "tags": frozenset({"any", "eq", "startswith", "compare"}),
    },
    "servicePrincipal": {
        "id": frozenset({"eq"}),
        "appId": frozenset({"eq", "startswith"}),
        "displayName": frozenset({"eq", "compare", "startswith", "endswith"}),
        "accountEnabled": frozenset({"eq"}),
        "servicePrincipalType": frozenset({"eq"}),
        "appOwnerOrganizationId": frozenset({"eq", "compare"}),
        "createdByAppId": frozenset({"eq"}),
        "homepage": frozenset({"eq", "startswith"}),
        "alternativeNames": frozenset({"any", "eq", "startswith", "compare"}),
        "servicePrincipalNames": frozenset({"any", "eq", "startswith"}),
        "tags": frozenset({"any", "eq", "startswith", "compare"}),
    },
    "appRoleAssignment": {
        "resourceId": frozenset({"eq"}),
        "principalId": frozenset({"eq"}),
        "principalDisplayName": frozenset({"eq", "startswith"}),
    },
    "servicePrincipalSignInActivity": {"appId": frozenset({"eq"})},
    "oAuth2PermissionGrant": {
        "clientId": frozenset({"eq"}),
        "consentType": frozenset({"eq"}),
        "principalId": frozenset({"eq"}),
        "resourceId": frozenset({"eq"}),
    },
}

Predicate = Callable[[dict[str, Any]], bool]
_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<date>\d{4}-\d\d-\d\d(?:T[0-9:.]+(?:Z|[+-]\d\d:\d\d))?(?![0-9a-fA-F-]))"
    rf"|(?P<guid>{GUID.pattern})|(?P<number>-?\d+)|(?P<word>[A-Za-z_@][\w./@-]*)|(?P<mark>[(),:]))"
)


@dataclass(frozen=True)
class Filter:
    """A parsed ``$filter``: what it keeps, and whether it needs advanced query capabilities (ConsistencyLevel, $count)."""

    keeps: Predicate
    advanced: bool


class Parser:
    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.advanced = False
        self.at = 0
        self.tokens: list[tuple[str, str, int]] = []
        position, text = 0, text.rstrip()
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None or found.lastgroup is None:
                raise self.syntax(position)
            # The last group that matched may be one inside a GUID: take the named one.
            kind = next(key for key, value in found.groupdict().items() if value is not None)
            self.tokens.append((kind, found.group(kind), position))
            position = found.end()

    def syntax(self, position: int | None = None) -> Refused:
        where = (
            position
            if position is not None
            else self.tokens[self.at][2]
            if self.at < len(self.tokens)
            else len(self.text)
        )
        return Refused("BadRequest", f"Invalid filter clause: Syntax error at position {where} in '{self.text}'.")

    def unsupported(self, prop: str) -> Refused:
        resource = self.name[0].upper() + self.name[1:]
        return Refused(
            "Request_UnsupportedQuery",
            f"Unsupported or invalid query filter clause specified for property '{prop}' of resource '{resource}'.",
        )

    def peek(self, value: str) -> bool:
        return (
            self.at < len(self.tokens)
            and self.tokens[self.at][1].lower() == value
            and self.tokens[self.at][0] in ("word", "mark")
        )

    def take(self, kind: str | None = None, value: str | None = None) -> tuple[str, str]:
        if self.at >= len(self.tokens):
            raise self.syntax()
        found, text, _ = self.tokens[self.at]
        if (kind and found != kind) or (value and text.lower() != value):
            raise self.syntax()
        self.at += 1
        return found, text

    def parse(self) -> Predicate:
        keeps = self.either()
        if self.at != len(self.tokens):
            raise self.syntax()
        return keeps

    def either(self) -> Predicate:
        terms = [self.both()]
        while self.peek("or"):
            self.take()
            terms.append(self.both())
        return terms[0] if len(terms) == 1 else lambda row: any(term(row) for term in terms)

    def both(self) -> Predicate:
        terms = [self.term()]
        while self.peek("and"):
            self.take()
            terms.append(self.term())
        return terms[0] if len(terms) == 1 else lambda row: all(term(row) for term in terms)

    def term(self) -> Predicate:
        if self.peek("not"):
            self.take()
            self.advanced = True
            inner = self.term()
            return lambda row: not inner(row)
        if self.peek("("):
            self.take()
            inner = self.either()
            self.take("mark", ")")
            return inner
        if self.peek("startswith") or self.peek("endswith"):
            return self.function()
        _, word = self.take("word")
        if word.lower().endswith("/any"):
            return self.any(word[:-4])
        return self.comparison(self.prop(word), None)

    def prop(self, word: str) -> str:
        found = canonical(self.name, word)
        if found is None:
            if "/" in word and canonical(self.name, word.partition("/")[0]):
                raise self.unsupported(word)
            raise Refused(
                "BadRequest",
                f"Invalid filter clause: Could not find a property named '{word}' on type 'microsoft.graph.{self.name}'.",
            )
        return found

    def allow(self, prop: str, form: str) -> None:
        if form not in FILTERS.get(self.name, {}).get(prop, ()):
            raise self.unsupported(prop)

    def function(self, variable: tuple[str, str] | None = None) -> Predicate:
        _, function = self.take("word")
        self.take("mark", "(")
        _, word = self.take("word")
        self.take("mark", ",")
        _, literal = self.take("string")
        self.take("mark", ")")
        function, wanted = function.lower(), _unquote(literal).lower()
        starts = function == "startswith"
        if function not in ("startswith", "endswith"):
            raise self.syntax()
        if variable and word != variable[0]:
            raise self.unsupported(variable[1])
        prop = variable[1] if variable else self.prop(word)
        self.allow(prop, function)
        self.advanced |= not starts

        def fits(value: Any) -> bool:
            text = value.lower() if isinstance(value, str) else ""
            return text.startswith(wanted) if starts else text.endswith(wanted)

        if variable:
            return lambda row: fits(row["it"])
        if properties(self.name)[prop]["type"].startswith("Collection("):
            raise self.unsupported(prop)
        return lambda row: fits(row.get(prop))

    def any(self, word: str) -> Predicate:
        prop = self.prop(word)
        self.allow(prop, "any")
        self.take("mark", "(")
        _, variable = self.take("word")
        self.take("mark", ":")
        if self.peek("startswith") or self.peek("endswith"):
            inner = self.function((variable, prop))
        else:
            _, name = self.take("word")
            if name != variable:
                raise self.unsupported(prop)
            inner = self.comparison(prop, "it")
        self.take("mark", ")")
        return lambda row: any(inner({"it": value}) for value in row.get(prop) or ())

    def comparison(self, prop: str, key: str | None) -> Predicate:
        kind = properties(self.name)[prop]["type"]
        if kind.startswith("Collection("):
            if key is None:
                raise self.unsupported(prop)
            kind = kind[11:-1]
        where = key or prop
        _, operator = self.take("word")
        operator = operator.lower()
        if operator == "in":
            self.allow(prop, "eq")
            self.take("mark", "(")
            wanted = [self.literal(kind, prop)]
            while self.peek(","):
                self.take()
                wanted.append(self.literal(kind, prop))
            self.take("mark", ")")
            return lambda row: _fold(row.get(where)) in wanted
        if operator not in ("eq", "ne", "ge", "le"):
            raise self.unsupported(prop) if operator in ("gt", "lt", "has") else self.syntax()
        self.allow(prop, "eq" if operator in ("eq", "ne") else "compare")
        self.advanced |= operator == "ne"
        value = self.literal(kind, prop)
        if value is None and operator in ("ge", "le"):
            raise self.unsupported(prop)
        match operator:
            case "eq":
                return lambda row: bool(_fold(row.get(where)) == value)
            case "ne":
                return lambda row: bool(_fold(row.get(where)) != value)
            case "ge":
                return lambda row: row.get(where) is not None and _fold(row.get(where)) >= value
        return lambda row: row.get(where) is not None and _fold(row.get(where)) <= value

    def literal(self, kind: str, prop: str) -> Any:
        found, text = self.take()
        if found == "word" and text == "null":
            return None
        if kind == "Edm.Boolean" and found == "word" and text in ("true", "false"):
            return text == "true"
        if kind == "Edm.String" and found == "string":
            return _unquote(text).lower()
        # Graph takes a GUID bare or quoted.
        if kind == "Edm.Guid" and (found == "guid" or (found == "string" and GUID.fullmatch(_unquote(text)))):
            return text.strip("'").lower()
        if kind == "Edm.DateTimeOffset" and found == "date":
            moment = text if "T" in text else f"{text}T00:00:00Z"
            if not is_moment(moment):
                raise self.syntax()
            return moment.lower()
        if found == "word":
            raise self.syntax()
        raise Refused(
            "Request_BadRequest",
            f"Invalid filter clause: A binary operator with incompatible types was detected for '{prop}'.",
        )


def _unquote(text: str) -> str:
    return text[1:-1].replace("''", "'")


def _fold(value: Any) -> Any:
    """Directory strings compare without case."""
    return value.lower() if isinstance(value, str) else value


def parse_filter(name: str, text: str) -> Filter:
    """A ``$filter`` on a type. Raises Refused in Graph's words for a property or form that it does not take."""
    parser = Parser(name, text)
    try:
        keeps = parser.parse()
    except RecursionError:
        raise Refused("BadRequest", "Invalid filter clause: The filter is nested too deeply.") from None
    return Filter(keeps, parser.advanced)
