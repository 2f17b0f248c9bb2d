"""OData alone: filters against a plain reading of what they mean, and bodies against the vendor's metadata."""

import base64
import contextlib
from typing import Any

import pytest
from entra_fixture import schema
from hypothesis import given
from hypothesis import strategies as st

from exosp.sandbox import odata
from exosp.sandbox.odata_filter import parse_filter

TEXTS = st.text("ab'Ä (),:/", max_size=6)
NAMES = ["displayName", "appId", "description"]
ROWS = st.fixed_dictionaries(
    {"displayName": TEXTS, "appId": TEXTS, "description": st.none() | TEXTS, "tags": st.lists(TEXTS, max_size=3)}
)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@st.composite
def clauses(draw: st.DrawFn, depth: int = 3) -> tuple[str, Any]:
    """A filter's text together with what it means, said in Python."""
    kind = draw(
        st.sampled_from(["eq", "ne", "in", "starts", "any", "and", "or", "not"] if depth else ["eq", "starts", "any"])
    )
    name, value = draw(st.sampled_from(NAMES)), draw(TEXTS)
    if kind in ("and", "or"):
        (left, first), (right, second) = draw(clauses(depth - 1)), draw(clauses(depth - 1))
        if kind == "and":
            return f"({left}) and ({right})", lambda row: first(row) and second(row)
        return f"({left}) or ({right})", lambda row: first(row) or second(row)
    if kind == "not":
        inner, meaning = draw(clauses(depth - 1))
        return f"not ({inner})", lambda row: not meaning(row)
    if kind == "starts":
        return (
            f"startswith(displayName,{quoted(value)})",
            lambda row: row["displayName"].lower().startswith(value.lower()),
        )
    if kind == "any":
        return f"tags/any(t:t eq {quoted(value)})", lambda row: value.lower() in [tag.lower() for tag in row["tags"]]
    if kind == "in":
        others = draw(st.lists(TEXTS, min_size=1, max_size=3))
        return (
            f"{name} in ({','.join(map(quoted, others))})",
            lambda row: row[name] is not None and row[name].lower() in [other.lower() for other in others],
        )
    if kind == "ne":
        return f"{name} ne {quoted(value)}", lambda row: row[name] is None or row[name].lower() != value.lower()
    return f"{name} eq {quoted(value)}", lambda row: row[name] is not None and row[name].lower() == value.lower()


@given(clauses(), st.lists(ROWS, max_size=4))
def test_a_filter_keeps_what_it_says(clause: tuple[str, Any], rows: list[dict[str, Any]]) -> None:
    """Any nesting of and, or, not, eq, ne, in, startsWith and any keeps exactly the rows that it describes."""
    text, meaning = clause
    keeps = parse_filter("application", text).keeps
    assert [keeps(row) for row in rows] == [bool(meaning(row)) for row in rows]


@given(st.text(max_size=40) | st.text("displayName eqandornot()',:/x17 ", max_size=60))
def test_any_text_is_a_filter_or_is_refused(text: str) -> None:
    """No text makes the parser fail in another way than Graph's refusal."""
    with contextlib.suppress(odata.Refused):
        assert parse_filter("application", text).keeps({"displayName": "x"}) in (True, False)


def test_deep_nesting_is_refused() -> None:
    """Thousands of brackets are a refusal, not a crash."""
    with pytest.raises(odata.Refused):
        parse_filter("application", "(" * 20000 + "appId eq 'x'" + ")" * 20000)


_VALUES: dict[str, tuple[Any, Any]] = {
    "Edm.String": ("x", 1),
    "Edm.Boolean": (True, "true"),
    "Edm.Int32": (1, True),
    "Edm.Guid": ("99999999-9999-4999-8999-999999999999", "9999"),
    "Edm.DateTimeOffset": ("2026-01-31T09:30:00Z", "2026-13-31T09:30:00Z"),
    "Edm.Binary": (base64.b64encode(b"x").decode(), "?"),
}


@pytest.mark.parametrize("name", ["application", "servicePrincipal", "appRoleAssignment", "passwordCredential", "keyCredential", "apiApplication", "resourceAccess"])  # fmt: skip
def test_each_property_takes_its_type_and_no_other(name: str) -> None:
    """Every primitive property of the vendor's metadata, alone and in a collection, takes a value of its type only."""
    tried = 0
    for prop, kind in schema()["types"][name]["properties"].items():
        plain = kind["type"].removeprefix("Collection(").removesuffix(")")
        if plain not in _VALUES:
            continue
        good, bad = ([value] if plain != kind["type"] else value for value in _VALUES[plain])
        assert odata.check(name, {prop: good}) == {prop: good}
        with pytest.raises(odata.Refused, match=prop):
            odata.check(name, {prop: bad})
        if not kind["nullable"]:
            with pytest.raises(odata.Refused, match=prop):
                odata.check(name, {prop: None})
        tried += 1
    assert tried


def test_annotations_go_and_unknown_types_are_named() -> None:
    """Type annotations of SDKs are dropped at every depth; a value of a type the table lacks is named, an empty one taken."""
    body = {"@odata.type": "#microsoft.graph.application", "tags@odata.type": "#Collection(String)", "tags": [], "web": {"@odata.type": "x", "homePageUrl": None}}  # fmt: skip
    assert odata.check("application", body) == {"tags": [], "web": {"homePageUrl": None}}
    assert odata.check("application", {"addIns": []}) == {"addIns": []}
    with pytest.raises(odata.NotEmulated, match="addIn"):
        odata.check("application", {"addIns": [{"type": "x"}]})
