"""The XOAUTH2 client response: base64 of ``user=…^Aauth=Bearer …^A^A``, read strictly.

Source: learn.microsoft.com "Authenticate an IMAP, POP or SMTP connection using OAuth", section SASL XOAUTH2. The page's
own failing POP and SMTP samples carry truncated base64, so that a malformed response is answered as a refused login.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field

_FORM = re.compile(r"user=([^\x00-\x20\x7f]+)\x01auth=Bearer ([A-Za-z0-9._~+/=-]+)\x01\x01")


@dataclass(frozen=True)
class Credentials:
    """Who logs in, and the access token, which no repr shows."""

    user: str
    token: str = field(repr=False)


def decode(response: bytes) -> Credentials | None:
    """The credentials in a client response; None when it is not exactly the documented form."""
    try:
        text = base64.b64decode(response, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    form = _FORM.fullmatch(text)
    return Credentials(form[1], form[2]) if form else None
