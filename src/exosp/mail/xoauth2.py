"""SASL XOAUTH2: a user and a token as one text. No I/O; no error here repeats a token.

Source: learn.microsoft.com, "Authenticate an IMAP, POP or SMTP connection using OAuth", section SASL XOAUTH2.
"""

import base64
import binascii
import re

from ..errors import UsageError

# RFC 6750, section 2.1, says what a bearer token is made of; any visible ASCII is let through, since the form below
# needs only that nothing ends a field or a line.
_TOKEN = re.compile(r"[\x21-\x7e]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MESSAGE = re.compile(r"user=([^\x01]+)\x01auth=Bearer ([^\x01]+)\x01\x01", re.DOTALL)


def check_user(user: str) -> None:
    """Raise UsageError unless ``user`` can stand in an XOAUTH2 text."""
    if not user or _CONTROL.search(user):
        raise UsageError(
            f"the user name {user!r} cannot be sent", hint="it is the mailbox's address, without control characters"
        )
    try:
        user.encode()
    except UnicodeEncodeError:
        raise UsageError(f"the user name {user!r} is not valid text") from None


def message(user: str, token: str) -> bytes:
    """The text before base64. Raises UsageError for a user or token that would break out of its field."""
    check_user(user)
    if not _TOKEN.fullmatch(token):
        raise UsageError("the access token is empty or holds characters that no token has (a space, a line's end, …)")
    return b"user=%b\x01auth=Bearer %b\x01\x01" % (user.encode(), token.encode("ascii"))


def encode(user: str, token: str) -> str:
    """The base64 text, on one line, that answers the server's challenge."""
    return base64.b64encode(message(user, token)).decode("ascii")


def decode(text: str) -> tuple[str, str]:
    """User and token of a base64 text, held to the exact form. Raises UsageError, which repeats neither."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        raise UsageError("this is not base64", hint="one line, padded with = to a multiple of four") from None
    if base64.b64encode(raw).decode("ascii") != text:
        raise UsageError("this is not canonical base64", hint="its last character has bits that encode nothing")
    try:
        found = _MESSAGE.fullmatch(raw.decode())
    except UnicodeDecodeError:
        found = None
    if found is None:
        raise UsageError("this is no XOAUTH2 text", hint="its form is user=NAME^Aauth=Bearer TOKEN^A^A (^A is 0x01)")
    user, token = found.groups()
    message(user, token)  # the same refusals as for sending
    return user, token
