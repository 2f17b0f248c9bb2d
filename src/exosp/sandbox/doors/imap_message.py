"""What IMAP tells of a message: ENVELOPE, BODYSTRUCTURE and BODY[…] sections (RFC 3501 §6.4.5, §7.4.2).

The whole message, HEADER and TEXT are the stored bytes. Parts come from the standard library's parser; a part's header
and body are rebuilt from what it kept, and for ordinary mail that is byte for byte.
"""

import email
import email.parser
import email.policy
import email.utils
import re
from email.message import Message
from functools import cached_property

from .imap_syntax import Malformed, listed, string

_SECTION = re.compile(r"(?:([1-9]\d{0,4}(?:\.[1-9]\d{0,4})*)(?:\.|\Z))?(.*)")
_FIELDS = re.compile(r"HEADER\.FIELDS(\.NOT)? \(([^()]*)\)", re.IGNORECASE)


_DEEPEST = 50  # parts within parts
_MOST_PARTED = 200  # parts that hold parts, or say so


class View:
    """One message with CRLF line ends, parsed once."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    @cached_property
    def parsed(self) -> Message:
        """Parts within parts beyond what any mail holds are left as text: the parser's time and stack grow with them."""
        written = self.raw.lower()
        if written.count(b"multipart/") + written.count(b"message/rfc822") <= _MOST_PARTED:
            whole = email.message_from_bytes(self.raw, policy=email.policy.compat32)
            if _depth(whole) <= _DEEPEST:
                return whole
        return email.parser.BytesHeaderParser(policy=email.policy.compat32).parsebytes(self.raw)

    def envelope(self) -> bytes:
        return _envelope(self.parsed)

    def structure(self, *, extended: bool) -> bytes:
        return _structure(self.parsed, extended)

    def header(self, name: str) -> list[str]:
        return [_unfolded(value) for value in self.parsed.get_all(name, [])]

    def section(self, name: str) -> bytes | None:
        """The bytes of BODY[name]; None for a part that does not exist. Raises Malformed for no section at all."""
        form = _SECTION.fullmatch(name)
        if form is None:
            raise Malformed
        path, what = form[1], form[2].upper()
        if path is None:
            return _text_section(self.raw, what, form[2])
        part = _part(self.parsed, [int(n) for n in path.split(".")])
        if part is None:
            return None
        if what == "":
            return _body(part)
        if what == "MIME":
            return _head(part)
        if part.get_content_type() != "message/rfc822":
            return None
        return _text_section(_body(part), what, form[2])


def _text_section(raw: bytes, what: str, written: str) -> bytes:
    if what == "":
        return raw
    head, gap, body = (b"", b"\r\n", raw[2:]) if raw.startswith(b"\r\n") else raw.partition(b"\r\n\r\n")
    if what == "TEXT":
        return body
    header = head + (b"\r\n\r\n" if gap else b"") if head else gap
    if what == "HEADER":
        return header
    fields = _FIELDS.fullmatch(written)
    if fields is None:
        raise Malformed
    wanted = {name.strip('"').lower() for name in fields[2].split()}
    if not wanted:
        raise Malformed
    blocks = re.findall(rb"(?m)^[^ \t\r\n][^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", header)
    kept = [b for b in blocks if (b.partition(b":")[0].strip().decode("ascii", "replace").lower() in wanted) != bool(fields[1])]  # fmt: skip
    return b"".join(kept) + b"\r\n"


def _depth(message: Message) -> int:
    """How deep parts lie within parts."""
    depth, level = 0, [message]
    while level := [child for part in level for child in _children(part)]:
        depth += 1
    return depth


def _children(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [child for child in payload if isinstance(child, Message)] if isinstance(payload, list) else []


def _part(message: Message, path: list[int]) -> Message | None:
    """The part of that number. A message that is not multipart has one part, its body."""
    current, whole = message, True
    for number in path:
        if not whole and current.get_content_type() == "message/rfc822" and _children(current):
            current, whole = _children(current)[0], True
        children = _children(current) if current.get_content_maintype() == "multipart" else []
        if children and number <= len(children):
            current, whole = children[number - 1], False
        elif not children and whole and number == 1:
            whole = False
        else:
            return None
    return current


def _head(part: Message) -> bytes:
    lines = [f"{name}: {str(value).lstrip()}\r\n" for name, value in part.raw_items()]
    return "".join(lines).encode("utf-8", "surrogateescape") + b"\r\n"


def _body(part: Message) -> bytes:
    children = _children(part)
    if children:
        if part.get_content_type() == "message/rfc822":
            return _head(children[0]) + _body(children[0])
        boundary = part.get_boundary("").encode("utf-8", "surrogateescape")
        pieces = [b"--" + boundary + b"\r\n" + _head(child) + _body(child) + b"\r\n" for child in children]
        return b"".join(pieces) + b"--" + boundary + b"--\r\n"
    payload = part.get_payload()
    return payload.encode("utf-8", "surrogateescape") if isinstance(payload, str) else b""


def _unfolded(value: object) -> str:
    return re.sub(r"\r?\n(?=[ \t])", "", str(value)).replace("\r", "").replace("\n", "").strip()


def _envelope(message: Message) -> bytes:
    def text(name: str) -> bytes:
        value = message.get(name)
        return string(None if value is None else _unfolded(value))

    def people(*names: str) -> bytes:
        """Of the first of these headers that names anybody."""
        for name in names:
            found = email.utils.getaddresses([_unfolded(value) for value in message.get_all(name, [])])
            if any(address for _, address in found):
                return b"(" + b"".join(_address(display, address) for display, address in found if address) + b")"
        return b"NIL"

    return listed(
        text("Date"), text("Subject"), people("From"), people("Sender", "From"), people("Reply-To", "From"),
        people("To"), people("Cc"), people("Bcc"), text("In-Reply-To"), text("Message-ID"),
    )  # fmt: skip


def _address(display: str, address: str) -> bytes:
    local, _, host = address.rpartition("@")
    return listed(string(display or None), b"NIL", string(local or host), string(host if local else ""))


def _parameters(pairs: list[tuple[str, str]]) -> bytes:
    if not pairs:
        return b"NIL"
    return listed(*(string(text) for name, value in pairs for text in (name, email.utils.unquote(str(value)))))


def _pairs(part: Message, header: str) -> list[tuple[str, str]]:
    found = part.get_params(failobj=[], header=header, unquote=True)
    return [(str(name), email.utils.collapse_rfc2231_value(value)) for name, value in found[1:] if name]


def _structure(part: Message, extended: bool) -> bytes:
    children = _children(part)
    if part.get_content_maintype() == "multipart" and children:
        items = [b"".join(_structure(child, extended) for child in children), string(part.get_content_subtype())]
        if extended:
            items += [_parameters(_pairs(part, "content-type")), _disposition(part), b"NIL", b"NIL"]
        return listed(*items)
    body = _body(part)
    kind, subtype = part.get_content_maintype(), part.get_content_subtype()
    if kind == "multipart":  # declared so, and nothing in it
        kind, subtype = "text", "plain"
    parameters = _pairs(part, "content-type") if "content-type" in part else [("charset", "us-ascii")]
    items = [
        string(kind), string(subtype), _parameters(parameters), string(_plain(part, "content-id")),
        string(_plain(part, "content-description")), string(_plain(part, "content-transfer-encoding") or "7bit"),
        b"%d" % len(body),
    ]  # fmt: skip
    if kind == "message" and subtype == "rfc822" and children:
        items += [_envelope(children[0]), _structure(children[0], extended), b"%d" % body.count(b"\r\n")]
    elif kind == "text":
        items.append(b"%d" % (body.count(b"\r\n") + bool(body and not body.endswith(b"\r\n"))))
    if extended:
        items += [b"NIL", _disposition(part), b"NIL", b"NIL"]
    return listed(*items)


def _plain(part: Message, header: str) -> str | None:
    value = part.get(header)
    return None if value is None else _unfolded(value)


def _disposition(part: Message) -> bytes:
    value = part.get_content_disposition()
    return b"NIL" if value is None else listed(string(value), _parameters(_pairs(part, "content-disposition")))
