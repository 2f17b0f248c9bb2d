"""What pasted tokens and XOAUTH2 strings say of themselves. Their claims are read here and never the token printed; no
signature is checked.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..diagnosis.causes import Cause

_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{10,}\.(eyJ[A-Za-z0-9_-]{10,})(?:\.[A-Za-z0-9_-]*)?")
_STRING = re.compile(r"dXNlc[jk][A-Za-z0-9+/_-]{8,}={0,2}|bixhPX[A-Za-z0-9+/_-]{8,}={0,2}")
_BROKEN = re.compile(
    r"(?<=[A-Za-z0-9+/_.=-])[ \t]*\\?\r?\n[ \t>|]*(?=[A-Za-z0-9+/_.=-]{16}|[A-Za-z0-9+/_.=-]+[ \t]*$)", re.MULTILINE
)
GRAPH_ID = "00000003-0000-0000-c000-000000000000"
EXCHANGE_ID = "00000002-0000-0ff1-ce00-000000000000"
MAIL_ROLES = ("IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp")
_SHOWN = ("aud", "tid", "appid", "azp", "oid", "idtyp", "roles", "scp", "ver", "upn")
_PLAIN = re.compile(r"[\w .,@:/-]{1,200}")


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a token or string, in words that name no part of it."""

    key: Cause
    words: str


@dataclass(frozen=True)
class Token:
    """What a pasted token says, as far as it helps, and what is wrong with it for a login of an application."""

    claims: dict[str, Any]
    faults: tuple[Fault, ...]
    expires: str = ""


@dataclass
class Strings:
    """The XOAUTH2 strings found: what is wrong with their form."""

    faults: list[Fault] = field(default_factory=list)
    found: int = 0


def joined(text: str) -> str:
    """A text in which nothing that a line's end cut is left cut: for the search of tokens alone."""
    return _BROKEN.sub("", text)


def tokens(text: str, now: datetime) -> Iterator[Token]:
    """Each whole token once, also one inside an XOAUTH2 string or wrapped over lines."""
    seen: set[str] = set()
    for place in (text, joined(text), *(_decoded(found) for found in _STRING.findall(joined(text)))):
        for hit in _JWT.finditer(place):
            if hit[1] in seen:
                continue
            seen.add(hit[1])
            claims = _claims(hit[1])
            if claims is not None and not any(other.startswith(hit[1]) for other in seen if other != hit[1]):
                yield _judged(claims, now)


def strings(text: str) -> Strings:
    """The XOAUTH2 strings of a text, judged by the vendor's form: user=NAME^Aauth=Bearer TOKEN^A^A, in base64."""
    result = Strings()
    for found in dict.fromkeys(_STRING.findall(joined(text))):
        plain = _decoded(found)
        if not plain:
            continue
        result.found += 1
        result.faults += _string_faults(plain)
    return result


def _string_faults(plain: str) -> Iterator[Fault]:
    if plain.startswith("n,a="):
        yield Fault(
            "wrong-mechanism",
            "the string is made for OAUTHBEARER; Exchange takes XOAUTH2: user=NAME, byte 1, auth=Bearer TOKEN",
        )
        return
    if "\x01" not in plain and len(plain) > 20:
        if "^A" in plain or "\\x01" in plain or "\\u0001" in plain or "%x01" in plain:
            yield Fault("xoauth2-malformed", "the XOAUTH2 string holds the letters ^A or \\x01 in place of the byte 1")
        elif "auth=" in plain:
            yield Fault("xoauth2-malformed", "the XOAUTH2 string has no byte 1 between user and auth")
        return
    user, _, rest = plain.partition("\x01")
    if user.removeprefix("user=").strip() == "":
        yield Fault("xoauth2-malformed", "the XOAUTH2 string has no user name after user=")
    if rest.startswith("auth=") and not rest.startswith("auth=Bearer "):
        yield Fault("xoauth2-malformed", "the XOAUTH2 string lacks the word Bearer and a blank before the token")
    if rest.removeprefix("auth=Bearer").strip(" \x01") == "":
        yield Fault("token-malformed", "the XOAUTH2 string holds no token: the token request failed and nobody looked")
    elif len(rest) > 600 and not rest.endswith("\x01\x01"):
        yield Fault("xoauth2-malformed", "the XOAUTH2 string does not end in two bytes 1 (or is cut in the paste)")
    if "\n" in plain.rstrip("\n"):
        yield Fault("xoauth2-malformed", "the XOAUTH2 string holds a line break")


def _decoded(found: str) -> str:
    body = found.rstrip("=").replace("-", "+").replace("_", "/")
    body = body[: len(body) - (len(body) % 4 == 1)]
    try:
        return base64.b64decode(body + "=" * (-len(body) % 4)).decode("latin-1")
    except (binascii.Error, ValueError):
        return ""


def _claims(part: str) -> dict[str, Any] | None:
    text = _decoded(part)
    try:
        found = json.loads(text.encode("latin-1").decode("utf-8", "replace"))
    except ValueError:
        return None
    return found if isinstance(found, dict) and ("aud" in found or "iss" in found) else None


def _judged(claims: dict[str, Any], now: datetime) -> Token:
    shown = {name: _shown(claims[name]) for name in _SHOWN if name in claims}
    return Token(shown, tuple(_faults(claims, now)), _time(claims.get("exp")))


def _shown(value: Any) -> Any:
    """A claim as it may be printed: names and ids, nothing long."""
    if isinstance(value, list):
        return [_shown(one) for one in value[:20]]
    text = str(value)[:200]
    return text if _PLAIN.fullmatch(text) else ""


def _time(seconds: Any) -> str:
    try:
        return f"{datetime.fromtimestamp(float(seconds), UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (TypeError, ValueError, OverflowError, OSError):
        return ""


def _faults(claims: dict[str, Any], now: datetime) -> Iterator[Fault]:
    aud = str(claims.get("aud", "")).rstrip("/")
    roles = [str(role) for role in claims.get("roles") or () if isinstance(claims.get("roles"), list)]
    if GRAPH_ID in aud or "graph." in aud:
        yield Fault(
            "wrong-audience",
            "the pasted token is for Microsoft Graph; IMAP, POP and SMTP need one for https://outlook.office365.com",
        )
    elif "ps.outlook.com" in aud:
        yield Fault(
            "wrong-audience",
            "the pasted token is for https://ps.outlook.com; IMAP, POP and SMTP need one for https://outlook.office365.com",
        )
    elif aud and EXCHANGE_ID not in aud and "outlook" not in aud:
        named = (
            " (an ID token's audience is the client itself)"
            if aud == claims.get("appid") or "nonce" in claims or "preferred_username" in claims
            else ""
        )
        yield Fault(
            "wrong-audience",
            f"the pasted token's audience is not Exchange{named}; ask for the scope https://outlook.office365.com/.default",
        )
    else:
        yield from _rights(claims, roles)
    ends = claims.get("exp")
    if isinstance(ends, int | float) and ends < now.timestamp():
        yield Fault(
            "token-expired",
            f"the pasted token ended at {_time(ends)}: take a fresh one (harmless if the paste is older)",
        )


def _rights(claims: dict[str, Any], roles: list[str]) -> Iterator[Fault]:
    if "scp" in claims:
        if claims.get("idtyp") != "app" and not any(word in str(claims["scp"]) for word in ("IMAP.", "POP.", "SMTP.")):
            yield Fault(
                "scope-wrong",
                "the pasted token is a person's and its scp lacks IMAP.AccessAsUser.All, POP.AccessAsUser.All and SMTP.Send",
            )
        return
    if not any(role in roles for role in MAIL_ROLES):
        if "full_access_as_app" in roles:
            yield Fault(
                "wrong-permission",
                "the pasted token's roles hold full_access_as_app, which is for EWS alone, and no IMAP.AccessAsApp, POP.AccessAsApp or SMTP.SendAsApp",
            )
        elif roles:
            yield Fault(
                "role-missing",
                "the pasted token's roles hold neither IMAP.AccessAsApp nor POP.AccessAsApp nor SMTP.SendAsApp",
            )
        else:
            yield Fault(
                "role-missing",
                "the pasted token has no roles at all: nobody consented to an application permission, or only to delegated ones",
            )
