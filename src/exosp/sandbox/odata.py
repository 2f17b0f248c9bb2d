"""OData as Microsoft Graph speaks it for directory objects: types held against the vendor's metadata, ``$select``,
``$filter``. Pure: no tenant, no HTTP. What it does not know it refuses by name; it never ignores an option.

Sources: learn.microsoft.com/graph/query-parameters, /graph/aad-advanced-queries, /graph/filter-query-parameter and the
"Supports $filter" notes of the resource pages. Not imitated: $expand, $search, lambda ``all``, arithmetic, functions other than
startsWith and endsWith.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,7})?)?(Z|[+-]\d\d:\d\d)")

# A type the shared table does not carry (learn.microsoft.com/graph/api/resources/domain), cut to what is served.
_DOMAIN = {
    "kind": "EntityType",
    "base": "entity",
    "properties": {
        "authenticationType": {"type": "Edm.String", "nullable": False},
        "isAdminManaged": {"type": "Edm.Boolean", "nullable": False},
        "isDefault": {"type": "Edm.Boolean", "nullable": False},
        "isInitial": {"type": "Edm.Boolean", "nullable": False},
        "isRoot": {"type": "Edm.Boolean", "nullable": False},
        "isVerified": {"type": "Edm.Boolean", "nullable": False},
        "supportedServices": {"type": "Collection(Edm.String)", "nullable": False},
    },
    "navigation": {},
}

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
    "oAuth2PermissionGrant": {
        "clientId": frozenset({"eq"}),
        "consentType": frozenset({"eq"}),
        "principalId": frozenset({"eq"}),
        "resourceId": frozenset({"eq"}),
    },
}


class Refused(Exception):
    """A query or body that Graph refuses: an HTTP status, Graph's code and text."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class NotEmulated(Exception):
    """Something Graph takes and the sandbox does not; the text names it."""


@cache
def types() -> dict[str, Any]:
    """The Graph types by name: kind, base, properties with type and nullability."""
    text = files(__package__).joinpath("schema", "graph-types.json").read_text("utf-8")
    table: dict[str, Any] = json.loads(text)["types"]
    return {"domain": _DOMAIN} | table


@cache
def properties(name: str) -> dict[str, dict[str, Any]]:
    """A type's properties with those it inherits."""
    kind = types()[name]
    inherited = properties(kind["base"]) if kind["base"] else {}
    return {**inherited, **kind["properties"]}


def canonical(name: str, prop: str) -> str | None:
    """The property's own spelling; OData's resolver does not mind case. None: there is no such property."""
    return _spelling(name).get(prop.lower())


@cache
def _spelling(name: str) -> dict[str, str]:
    return {prop.lower(): prop for prop in properties(name)}


# ---- bodies ----


def check(name: str, body: Any, path: str = "") -> dict[str, Any]:
    """A body's own values without type annotations, each known to the type and of its type. Raises Refused or NotEmulated."""
    if not isinstance(body, dict):
        raise _mismatch(path or name)
    known, values = properties(name), {}
    for key, value in body.items():
        # Control information is passed over: a client may send back an object as it was served (OData JSON format 4.01, section 4.6).
        if key.startswith("@odata.") or key.endswith("@odata.type"):
            continue
        if key not in known:
            raise Refused(
                "Request_BadRequest", f"Property '{key}' does not exist as a declared property or extension property."
            )
        values[key] = _checked(known[key]["type"], known[key]["nullable"], value, key)
    return values


def _mismatch(key: str) -> Refused:
    return Refused("Request_BadRequest", f"Property {key} in payload has a value that does not match schema.")


def _checked(kind: str, nullable: bool, value: Any, key: str) -> Any:
    if kind.startswith("Collection("):
        if not isinstance(value, list):
            raise _mismatch(key)
        return [_checked(kind[11:-1], False, item, key) for item in value]
    if value is None:
        if not nullable:
            raise Refused("Request_BadRequest", f"Invalid value specified for property '{key}' of resource.")
        return None
    if kind.startswith("graph."):
        if kind[6:] in types():
            return check(kind[6:], value, key)
        raise NotEmulated(f"property '{key}' of type {kind}")
    if not _PRIMITIVES[kind](value):
        raise _mismatch(key)
    return value


def binary(value: str) -> bytes:
    """Edm.Binary: base64, of either alphabet, with line breaks as a PEM file has them (Azure CLI sends those).
    Raises ValueError."""
    return base64.b64decode("".join(value.split()).translate(_STANDARD), validate=True)


_STANDARD = str.maketrans("-_", "+/")


def _binary(value: Any) -> bool:
    try:
        return isinstance(value, str) and binary(value) is not None
    except (binascii.Error, ValueError):
        return False


def _moment(value: Any) -> bool:
    try:
        return isinstance(value, str) and _DATE.fullmatch(value) is not None and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


_PRIMITIVES: dict[str, Callable[[Any], bool]] = {
    "Edm.String": lambda value: isinstance(value, str),
    "Edm.Boolean": lambda value: isinstance(value, bool),
    "Edm.Int32": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "Edm.Guid": lambda value: isinstance(value, str) and GUID.fullmatch(value) is not None,
    "Edm.DateTimeOffset": _moment,
    "Edm.Duration": lambda value: isinstance(value, str) and value.startswith("P"),
    "Edm.Binary": _binary,
    "Edm.Stream": lambda value: False,
}


# ---- $select ----


def select(name: str, text: str) -> list[str]:
    """The property names of a ``$select``. Raises Refused for one that the type does not have."""
    chosen = []
    for word in (part.strip() for part in text.split(",")):
        found = canonical(name, word)
        if found is None:
            raise Refused(
                "BadRequest",
                f"Parsing OData Select and Expand failed: Could not find a property named '{word}' on type 'microsoft.graph.{name}'.",
            )
        chosen.append(found)
    return chosen


# ---- $filter ----

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


class _Parser:
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
            if not _moment(moment):
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
    parser = _Parser(name, text)
    try:
        keeps = parser.parse()
    except RecursionError:
        raise Refused("BadRequest", "Invalid filter clause: The filter is nested too deeply.") from None
    return Filter(keeps, parser.advanced)
