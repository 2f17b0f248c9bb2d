"""Output rows as CLIXML (MS-PSRP §2.2.5), written straight to text: thousands of rows must not cost seconds.

Everything that is no row goes through psrpcore. Escapes follow MS-PSRP §2.2.5.3.2: characters XML cannot carry, and an
underscore that would read as an escape, become _xHHHH_.
"""

import re
import uuid
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from xml.sax.saxutils import escape

from .cmdlets.outcome import Item

_SPECIAL = re.compile("_(?=[xX])|[\u0000-\u001f\u007f-\u009f\ud800-\udfff\ufffe\uffff\U00010000-\U0010ffff]")
_PLAIN = re.compile("[ -%'-;=?-^`-~]*")  # printable, and neither an escape's first character nor XML's
_LIST = "<T>System.Collections.ArrayList</T><T>System.Object</T>"


def _escaped(match: "re.Match[str]") -> str:
    units = match.group().encode("utf-16-be", "surrogatepass")
    return "".join(f"_x{units[i]:02X}{units[i + 1]:02X}_" for i in range(0, len(units), 2))


def escaped(value: str) -> str:
    """A string with nothing that XML cannot carry; not yet XML's own escapes."""
    return _SPECIAL.sub(_escaped, value)


def text(value: str) -> str:
    """A string as the content of an S element."""
    return value if _PLAIN.fullmatch(value) else escape(escaped(value))


@lru_cache(maxsize=1024)
def _named(key: str) -> str:
    return f' N="{text(key)}"'


@lru_cache(maxsize=64)
def _types(names: tuple[str, ...]) -> str:
    return "".join(f"<T>{text(name)}</T>" for name in names)


def _simple(value: Any, name: str) -> str | None:
    match value:
        case None:
            return f"<Nil{name} />"
        case bool():
            return f"<B{name}>{str(value).lower()}</B>"
        case int():
            tag = "I32" if -(2**31) <= value < 2**31 else "I64"
            return f"<{tag}{name}>{value}</{tag}>"
        case uuid.UUID():
            return f"<G{name}>{value}</G>"
        case str():
            return f"<S{name}>{text(value)}</S>"
    return None


def _properties(properties: dict[str, Any], references: Iterator[int]) -> Iterator[str]:
    lists = 0
    for key, value in properties.items():
        name = _named(key)
        simple = _simple(value, name)
        if simple is not None:
            yield simple
            continue
        members = [_simple(member, "") for member in value]
        assert None not in members, f"{key}: a row's list holds simple values"
        # The type names of the first list serve the others (MS-PSRP §2.2.5.2.3).
        kind = '<TNRef RefId="1" />' if lists else f'<TN RefId="1">{_LIST}</TN>'
        lists += 1
        yield f'<Obj{name} RefId="{next(references)}">{kind}<LST>{"".join(m or "" for m in members)}</LST></Obj>'


def item(row: Item) -> bytes:
    """One output object."""
    references = iter(range(1, 1_000_000))
    types = _types(tuple(row.type_names))
    shown = "" if row.text is None else f"<ToString>{text(row.text)}</ToString>"
    bag = "Props" if row.adapted else "MS"
    properties = "".join(_properties(row.properties, references))
    return f'<Obj RefId="0"><TN RefId="0">{types}</TN>{shown}<{bag}>{properties}</{bag}></Obj>'.encode()
