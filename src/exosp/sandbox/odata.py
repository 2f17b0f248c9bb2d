"""OData as Microsoft Graph speaks it for directory objects: types held against the vendor's metadata, and ``$select``.
``$filter`` stands in ``odata_filter``. Pure: no tenant, no HTTP. What it does not know it refuses by name; it never ignores
an option.

Source: learn.microsoft.com/graph/query-parameters. Not imitated: $search; $expand is the routes'.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable
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

# Of the beta endpoint (learn.microsoft.com/graph/api/resources/serviceprincipalsigninactivity).
_SIGN_INS = {
    "kind": "EntityType",
    "base": "entity",
    "properties": {
        "appId": {"type": "Edm.String", "nullable": True},
        "applicationAuthenticationClientSignInActivity": {"type": "graph.signInActivity", "nullable": True},
        "applicationAuthenticationResourceSignInActivity": {"type": "graph.signInActivity", "nullable": True},
        "delegatedClientSignInActivity": {"type": "graph.signInActivity", "nullable": True},
        "delegatedResourceSignInActivity": {"type": "graph.signInActivity", "nullable": True},
        "lastSignInActivity": {"type": "graph.signInActivity", "nullable": True},
    },
    "navigation": {},
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
    return {"domain": _DOMAIN, "servicePrincipalSignInActivity": _SIGN_INS} | table


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


def is_moment(value: Any) -> bool:
    try:
        return isinstance(value, str) and _DATE.fullmatch(value) is not None and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


_PRIMITIVES: dict[str, Callable[[Any], bool]] = {
    "Edm.String": lambda value: isinstance(value, str),
    "Edm.Boolean": lambda value: isinstance(value, bool),
    "Edm.Int32": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "Edm.Guid": lambda value: isinstance(value, str) and GUID.fullmatch(value) is not None,
    "Edm.DateTimeOffset": is_moment,
    "Edm.Duration": lambda value: isinstance(value, str) and value.startswith("P"),
    "Edm.Binary": _binary,
    "Edm.Stream": lambda value: False,
}


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
