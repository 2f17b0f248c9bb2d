"""SOAP as WS-Management speaks it: read a request's envelope, write a reply's or a fault's. It knows no shells.

Codes and texts: MS-WSMV §2.2.4 and §3.1.4, wsmerror.h, and recordings of real servers in jborean93/pypsrp (tests).
Documents with a DTD are refused, so there are no entities to expand (SOAP 1.2 §5 forbids one).
"""

import re
import uuid
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

S = "http://www.w3.org/2003/05/soap-envelope"
A = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
W = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
P = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"
X = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
RSP = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
PWSH = "http://schemas.microsoft.com/powershell"
CFG = "http://schemas.microsoft.com/wbem/wsman/1/config"
FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
IDENTITY = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
ANONYMOUS = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"

MAX_ENVELOPE = 500 * 1024  # MaxEnvelopeSizekb's default since Windows Server 2012
MIN_ENVELOPE = 8192  # DSP0226 R13.1-1
DEFAULT_TIMEOUT = 60.0  # MaxTimeoutms' default
HEAD = 2048  # what an envelope weighs beside its streams, generously

# Headers that may say mustUnderstand (DSP0226 §6, MS-WSMV §2.2.4).
UNDERSTOOD = {
    f"{{{A}}}{name}" for name in ("Action", "To", "MessageID", "ReplyTo", "FaultTo", "From", "RelatesTo")
} | {
    f"{{{W}}}{name}" for name in ("ResourceURI", "MaxEnvelopeSize", "OperationTimeout", "SelectorSet", "OptionSet", "Locale")
} | {
    f"{{{P}}}{name}" for name in ("DataLocale", "SessionId", "OperationID", "SequenceId", "ActivityId", "CompressionType")
}  # fmt: skip

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$")


@dataclass(frozen=True)
class Kind:
    """One row of wsmerror.h: the code that clients branch on, SOAP's own codes, the text."""

    code: int
    subcode: str
    text: str
    detail: str = ""
    sender: bool = True


KINDS: dict[str, Kind] = {
    "invalid-xml": Kind(2150858819, "w:SchemaValidationError",
        "The WS-Management service cannot process the request because the XML is invalid."),
    "schema": Kind(2150858817, "w:SchemaValidationError",
        "The SOAP XML in the message does not match the corresponding XML schema definition. Change the XML and retry."),
    "unsupported": Kind(2150858818, "w:UnsupportedFeature",
        "The WS-Management service does not support the specified feature."),
    "too-large": Kind(2150858825, "w:EncodingLimit",
        "The size of the request exceeded the configured envelope size quota."),
    "envelope-too-small": Kind(2150858878, "w:EncodingLimit",
        "The WS-Management service cannot process the request because the envelope size in the request is too small.",
        "MinimumEnvelopeLimit"),
    "timeout-header": Kind(2150858881, "w:InvalidParameter",
        "The WS-Management service cannot process the request because the timeout header is not valid."),
    "timed-out": Kind(2150858793, "w:TimedOut",
        "The WS-Management service cannot complete the operation within the time specified in OperationTimeout.  ",
        sender=False),
    "no-resource": Kind(2150858811, "a:DestinationUnreachable",
        "The WS-Management service cannot process the request. The resource URI is missing, or it has an incorrect "
        "format, or it names no resource of this computer.", "InvalidResourceURI"),
    "no-shell": Kind(2150858843, "w:InvalidSelectors",
        "The WS-Management service cannot process the request because the request contained invalid selectors for the "
        "resource. ", "UnexpectedSelectors"),
    "no-command": Kind(2150858843, "w:InvalidSelectors",
        "The Windows Remote Shell received a request to perform an operation on a command identifier that does not "
        "exist. Either the command has completed execution or the client specified an invalid command identifier. ",
        "UnexpectedSelectors"),
    "no-selector": Kind(2150858842, "w:InvalidSelectors",
        "The WS-Management service cannot process the request because the request did not contain all required "
        "selectors for the resource.", "InsufficientSelectors"),
    "exists": Kind(2150858803, "w:AlreadyExists",
        "The WS-Management service cannot create the resource because it already exists."),
    "max-shells": Kind(2150859173, "w:QuotaLimit",
        "The WS-Management service cannot process the request. This user is allowed a maximum number of 30 concurrent "
        "shells, which has been exceeded. Close existing shells or raise the quota for this user."),
    "max-operations": Kind(2150859174, "w:QuotaLimit",
        "The WS-Management service cannot process the request. This user is allowed a maximum number of 1500 concurrent "
        "operations, which has been exceeded. Close existing operations for this user, or raise the quota for this user."),
    "disconnected": Kind(2150859204, "w:InvalidSelectors",
        "The WS-Management service cannot process the request because the shell is disconnected."),
    "no-disconnect": Kind(2150859205, "w:UnsupportedFeature",
        "The WS-Management service cannot process the request because this shell does not support the disconnect "
        "operation."),
    "other-session": Kind(2150859206, "w:AccessDenied",
        "The WS-Management service cannot process the request because the shell belongs to another client session."),
    "bad-stream": Kind(2150859147, "w:InvalidParameter",
        "The WS-Management service cannot process the request because the input stream is not one of the shell's."),
    "no-stream": Kind(2150859149, "w:InvalidParameter",
        "The WS-Management service cannot process the request because the desired stream is not one of the shell's."),
    "bad-parameter": Kind(87, "w:InvalidParameter", "The parameter is incorrect. ", "InvalidValue"),
}  # fmt: skip


class Fault(Exception):
    """A refusal that goes back as a SOAP fault; ``kind`` names a row of KINDS, ``what`` adds to its text."""

    relates_to = ""  # the request's MessageID, where it could be read

    def __init__(self, kind: str, what: str = "") -> None:
        super().__init__(f"{KINDS[kind].text} {what}".strip())
        self.kind = KINDS[kind]


class _NoDoctype(ET.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise Fault("invalid-xml", "A document type declaration is not allowed.")


@dataclass(frozen=True)
class Request:
    """One request. ``timeout`` in seconds, ``envelope`` in bytes: what the client can take in one reply."""

    action: str
    message_id: str
    resource_uri: str = ""
    session_id: str = ""
    timeout: float = DEFAULT_TIMEOUT
    envelope: int = MAX_ENVELOPE
    selectors: dict[str, str] = field(default_factory=dict)
    body: ET.Element | None = None

    def part(self, name: str) -> ET.Element:
        """The body's one element, which must be of that name in the shell's namespace. Raises Fault."""
        if self.body is None or self.body.tag != f"{{{RSP}}}{name}":
            raise Fault("schema", f"The body of this action is a {name}.")
        return self.body


def parse(data: bytes) -> Request:
    """Raises Fault for anything but one well-formed SOAP 1.2 envelope with the headers of its action."""
    try:
        root = ET.fromstring(data, ET.XMLParser(target=_NoDoctype()))  # noqa: S314 - no DTD passes the builder
    except (ET.ParseError, ValueError, LookupError):  # LookupError: an encoding that does not exist
        raise Fault("invalid-xml") from None
    header, body = root.find(f"{{{S}}}Header"), root.find(f"{{{S}}}Body")
    if root.tag != f"{{{S}}}Envelope" or body is None:
        raise Fault("schema", "A request is a SOAP 1.2 envelope with a body.")
    content = next(iter(body), None)
    if content is not None and content.tag == f"{{{IDENTITY}}}Identify":
        return Request("Identify", "", body=content)
    if header is None:
        raise Fault("schema", "The envelope has no header.")
    try:
        return _request(header, content)
    except Fault as refusal:
        refusal.relates_to = (header.findtext(f"{{{A}}}MessageID") or "").strip()
        raise


def _request(header: ET.Element, content: ET.Element | None) -> Request:
    for element in header:
        if element.get(f"{{{S}}}mustUnderstand") in ("true", "1") and element.tag not in UNDERSTOOD:
            raise Fault("unsupported", f"The header {element.tag} is not understood.")

    def text(namespace: str, name: str) -> str:
        return (header.findtext(f"{{{namespace}}}{name}") or "").strip()

    action, message_id = text(A, "Action"), text(A, "MessageID")
    if not action or not message_id:
        raise Fault("schema", "The headers Action and MessageID are required.")
    selectors = {
        element.get("Name", ""): (element.text or "").strip()
        for element in header.iterfind(f"{{{W}}}SelectorSet/{{{W}}}Selector")
    }
    return Request(
        action,
        message_id,
        text(W, "ResourceURI"),
        text(P, "SessionId"),
        _seconds(text(W, "OperationTimeout")),
        _size(text(W, "MaxEnvelopeSize")),
        selectors,
        content,
    )


def _seconds(text: str) -> float:
    if not text:
        return DEFAULT_TIMEOUT
    match = _DURATION.match(text)
    if match is None or text in ("P", "PT"):
        raise Fault("timeout-header", f"{text[:40]!r} is no duration.")
    days, hours, minutes, seconds = (float(group or 0) for group in match.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + seconds


def _size(text: str) -> int:
    if not text:
        return MAX_ENVELOPE
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise Fault("schema", "MaxEnvelopeSize is a number of bytes.")
    if int(text) < MIN_ENVELOPE:
        raise Fault("envelope-too-small", f"At least {MIN_ENVELOPE} bytes are needed.")
    return min(int(text), MAX_ENVELOPE)


def reply(request: Request, body: str) -> bytes:
    """The envelope that answers a request; ``body`` is XML in the prefixes declared here."""
    return _envelope(f"{request.action}Response", request.message_id, body)


def fault(refusal: Fault) -> bytes:
    """The envelope of a refusal."""
    kind = refusal.kind
    text = escape(str(refusal))
    detail = (
        f"<w:FaultDetail>http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/{kind.detail}</w:FaultDetail>"
        if kind.detail
        else ""
    )
    body = (
        f"<s:Fault><s:Code><s:Value>s:{'Sender' if kind.sender else 'Receiver'}</s:Value>"
        f"<s:Subcode><s:Value>{kind.subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en-US">{text}</s:Text></s:Reason>'
        f'<s:Detail>{detail}<f:WSManFault xmlns:f="{FAULT}" Code="{kind.code}" Machine="localhost">'
        f"<f:Message>{text}</f:Message></f:WSManFault></s:Detail></s:Fault>"
    )
    return _envelope("http://schemas.dmtf.org/wbem/wsman/1/wsman/fault", refusal.relates_to, body)


def identify() -> bytes:
    """What Identify answers (DSP0226 §11); it says that this host is emulated."""
    return (
        f'<s:Envelope xmlns:s="{S}" xmlns:wsmid="{IDENTITY}"><s:Header/><s:Body><wsmid:IdentifyResponse>'
        f"<wsmid:ProtocolVersion>{W}</wsmid:ProtocolVersion><wsmid:ProductVendor>exosp sandbox (emulated)"
        "</wsmid:ProductVendor><wsmid:ProductVersion>OS: 0.0.0 SP: 0.0 Stack: 3.0</wsmid:ProductVersion>"
        "</wsmid:IdentifyResponse></s:Body></s:Envelope>"
    ).encode()


def attribute(text: str) -> str:
    """Text as a quoted attribute value."""
    return quoteattr(text)


def _envelope(action: str, relates_to: str, body: str) -> bytes:
    related = f"<a:RelatesTo>{escape(relates_to)}</a:RelatesTo>" if relates_to else ""
    return (
        f'<s:Envelope xml:lang="en-US" xmlns:s="{S}" xmlns:a="{A}" xmlns:x="{X}" xmlns:w="{W}" xmlns:p="{P}" xmlns:rsp="{RSP}">'
        f"<s:Header><a:Action>{escape(action)}</a:Action><a:MessageID>uuid:{str(uuid.uuid4()).upper()}</a:MessageID>"
        f"<a:To>{ANONYMOUS}</a:To>{related}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()
