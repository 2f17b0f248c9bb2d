"""A search for secrets in texts, whole and in every encoding they may have been given on the way."""

import base64
import json
import urllib.parse
from collections.abc import Iterable


def forms(secret: str) -> set[str]:
    """A secret as it is, escaped for an address or for JSON, in UTF-16 as hex, and in base64 at each offset."""
    found = {secret, urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret), json.dumps(secret)[1:-1]}
    found.add(secret.encode("utf-16-le").hex())
    for text in (secret.encode(), secret.encode("utf-16-le")):
        for shift in range(3):
            whole = base64.b64encode(b"\0" * shift + text).decode()
            middle = whole[4 if shift else 0 : len(whole) // 4 * 4 - 4]  # what no neighbour can change
            found |= {middle, middle.replace("+", "-").replace("/", "_")}
    return found


TOKENS = ("eyJ0eX", "eyJhbG", "eyJraW", "eyJ4NX", "ZXlKM", "ZXlKh")  # how a JWT begins, and the same in base64


def leaks(texts: dict[str, str], secrets: Iterable[str]) -> list[str]:
    """Where a secret or a token stands, by the name of its text; the secret itself is not repeated."""
    found = [
        f"{name}: secret {number}"
        for number, secret in enumerate(secrets)
        for name, text in texts.items()
        if any(form in text for form in forms(secret))
    ]
    return found + [f"{name}: a token" for name, text in texts.items() if any(token in text for token in TOKENS)]
