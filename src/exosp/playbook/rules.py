"""What a text in a playbook may be, a rule a function: text in, value out, or Refused. Pure.

A rule never repeats the text: it may have come from a variable. Sources stand beside the limits.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Container, Iterable

from .. import opath
from ..snapshot import AppId

DURATION = re.compile(r"([0-9]{1,6})([hdw])")
SECONDS = {"h": 3600, "d": 86400, "w": 7 * 86400}
SHORTEST, LONGEST = SECONDS["h"], 730 * SECONDS["d"]  # two years are what the portal offers at most

KEY = re.compile(r"[a-z0-9]([a-z0-9-]{0,98}[a-z0-9])?")  # Graph's uniqueName and the secret's label are made of it
FILTER_LENGTH = 5000  # a bound of our own: no page names one
NAME_LENGTH = 120  # Graph takes 256 characters as a displayName

LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"  # RFC 1035 §2.3.1, RFC 1123 §2.1
DOMAIN = re.compile(rf"({LABEL}\.)+{LABEL}")
HOST = re.compile(rf"({LABEL}\.)*{LABEL}")
GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
LOCAL = re.compile(rf"{ATOM}(\.{ATOM})*")  # RFC 5321 §4.1.2, without quoted forms: Exchange's aliases have none
ADDRESS_LENGTH, LOCAL_LENGTH, DOMAIN_LENGTH = 254, 64, 253  # RFC 5321 §4.5.3.1

AUTHS = ("basic", "certificate", "credssp", "kerberos", "negotiate", "ntlm")  # pypsrp's
REMOTINGS = ("winrm", "pwsh", "admin-api")
CREDENTIALS = ("secret", "federated")
SMTP_ACCESS = ("claim", "rbac")
ACCESS = ("application", "delegated")
AUDIENCES = ("single-tenant", "multi-tenant")
JOINERS = "\u200c\u200d"  # ordinary letters of Persian and Hindi names, though Unicode counts them as format characters


class Refused(Exception):
    """``what`` goes on a sentence that begins with the text."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def text(value: str) -> str:
    """What every text must be, wherever it stands."""
    if not value:
        raise Refused("is empty")
    bad = next((char for char in value if _unprintable(char)), None)
    if bad is not None:
        raise Refused(f"holds the character U+{ord(bad):04X}, which cannot be seen")
    if value != value.strip():
        raise Refused("begins or ends with white space")
    return value


def key(value: str) -> str:
    if not KEY.fullmatch(value):
        raise Refused(
            "must be 1 to 100 of a-z, 0-9 and -, and begin and end with a letter or digit", "such as support-desk"
        )
    return value


def app_id(value: str) -> AppId:
    if not GUID.fullmatch(value):
        raise Refused(
            "is no application id",
            "the Application (client) ID that App registrations shows: 8-4-4-4-12 digits a-f, 0-9",
        )
    return AppId(value.lower())


def managed_identity(value: str) -> str:
    if not GUID.fullmatch(value):
        raise Refused(
            "is no managed identity's id",
            "the client ID or the object (principal) ID that the workload's Identity page shows: 8-4-4-4-12 digits a-f, 0-9",
        )
    return value.lower()


def recipient_filter(value: str) -> str:
    """An OPATH filter as the playbook writes it: single quotation marks, nothing to expand."""
    if '"' in value:
        raise Refused("holds a double quotation mark", "values stand in single ones: Department -eq 'Sales'")
    try:
        opath.reading(value)
    except opath.NoFilter as fault:
        raise Refused(
            str(fault), "such as Department -eq 'Sales'; a quotation mark within a value is written twice"
        ) from None
    if len(value) > FILTER_LENGTH:
        raise Refused(f"has {len(value)} characters, and {FILTER_LENGTH} are the most")
    return value


def admin_unit(value: str) -> str:
    """Its object ID: Exchange shows no other form back, so a name could not be compared."""
    if not GUID.fullmatch(value):
        raise Refused("is no administrative unit's id", "its object ID, as Entra's Admin units shows it")
    return value.lower()


def name(value: str) -> str:
    if len(value) > NAME_LENGTH:
        raise Refused(f"has {len(value)} characters, and {NAME_LENGTH} are the most")
    return value


def tenant(value: str) -> str:
    if value.lower() in ("common", "organizations", "consumers"):
        raise Refused("is no tenant of its own", "name the tenant: contoso.onmicrosoft.com, or its id")
    if not (GUID.fullmatch(value) or (DOMAIN.fullmatch(value) and len(value) <= DOMAIN_LENGTH)):
        raise Refused("is neither a domain nor a tenant's id", "such as contoso.onmicrosoft.com")
    return value


def valid_for(value: str) -> int:
    """Seconds."""
    found = DURATION.fullmatch(value)
    if not found:
        raise Refused("is no length of time", "hours, days or weeks: 12h, 180d, 26w")
    seconds = int(found[1]) * SECONDS[found[2]]
    if not SHORTEST <= seconds <= LONGEST:
        raise Refused("must be from 1h to 730d", "the tenant's own policy may allow less")
    return seconds


def address(value: str) -> str:
    """A mail address as Exchange Online has them: ASCII, its local part without quotes."""
    local, at, domain = value.rpartition("@")
    if not at:
        raise Refused("is no mail address: it has no @", "such as support@contoso.com")
    if "<" in value and value.endswith(">"):
        raise Refused("is no mail address alone", "write only what stands between < and >")
    if not value.isascii():
        raise Refused("is no mail address: it has characters beyond ASCII", "write the domain in its xn-- form")
    if not DOMAIN.fullmatch(domain) or len(domain) > DOMAIN_LENGTH:
        raise Refused("is no mail address: what follows the @ is no domain", "such as support@contoso.com")
    if not LOCAL.fullmatch(local) or len(local) > LOCAL_LENGTH or len(value) > ADDRESS_LENGTH:
        raise Refused("is no mail address: what precedes the @ cannot stand there", "such as support@contoso.com")
    return value


def host(value: str) -> str:
    """A host name or IP address; IPv6 in brackets."""
    if "://" in value:
        raise Refused("is an address with a scheme", "write the host's name alone, and port and path beside it")
    try:
        found = ipaddress.IPv6Address(value.removeprefix("[").removesuffix("]"))
    except ValueError:
        found = None
    if found is not None and found.scope_id is None:
        return f"[{found.compressed}]"
    if ":" in value:
        raise Refused("holds a colon", "write the host's name alone, and port: beside it")
    if not HOST.fullmatch(value) or len(value) > DOMAIN_LENGTH:
        raise Refused("is no host name", "such as exchange-host.contoso.com")
    return value


def url_path(value: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~/-]*", value):
        raise Refused("must be a path of letters, digits and . _ ~ - / that begins with /", "such as /wsman")
    return value


def configuration(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", value):
        raise Refused("is no name of a session configuration", "such as Microsoft.PowerShell or PowerShell.7")
    return value


def thumbprint(value: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{40}", value):
        raise Refused(
            "is not 40 hexadecimal digits",
            "certutil -store My on the host shows it; write it in quotes, without blanks",
        )
    return value.upper()


def nearest(word: str, known: Iterable[str], taken: Container[str] = ()) -> str | None:
    """The known word that this one is most likely meant to be; of two equally near, one that is not ``taken``."""
    from difflib import SequenceMatcher  # only when something is wrong already

    cutoff = 0.5 if len(word) <= 4 else 0.6  # in a short word one slip is half of it
    near = ((SequenceMatcher(None, word.lower(), other).ratio(), other not in taken, other) for other in known)
    best = max(near, default=(0.0, False, ""))
    return best[2] if best[0] >= cutoff else None


def _unprintable(char: str) -> bool:
    return char not in JOINERS and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
