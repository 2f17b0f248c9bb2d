"""What every part of the login host works with: the request's form and origin, times in texts, and the answer to what is
not emulated."""

import base64
from datetime import UTC, datetime
from urllib.parse import unquote_plus

from aiohttp import web


def not_emulated(what: str) -> web.Response:
    text = f"The sandbox's login host does not emulate {what}"
    return web.json_response({"error": "not_emulated", "error_description": text}, status=501)


def origin(request: web.Request) -> str:
    return f"https://{request.host}"


async def read_form(request: web.Request) -> dict[str, str]:
    """The form's fields; a body that is no form has none."""
    try:
        return {key: str(value) for key, value in (await request.post()).items()}
    except (ValueError, LookupError):
        return {}


def basic_credentials(header: str) -> tuple[str, str]:
    """Client id and secret of HTTP Basic, each form-encoded (RFC 6749 section 2.3.1)."""
    kind, _, rest = header.partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return unquote_plus(user), unquote_plus(password)


def instant(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def stamp(at: float) -> str:
    at = min(max(at, 0.0), 4e9) if at == at else 0.0  # a client may have written any number
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.0000000Z")
