"""The tenant's signing key: mints access tokens as Entra does and verifies them as its resources do.

Times inside tokens are sandbox time. Every token says ``emulated``. Tokens are version 1.0 as Exchange Online and
Graph ask for (claims ``appid``, ``oid``, ``tid``, ``roles``; learn.microsoft.com/entra/identity-platform/access-token-claims-reference).
"""

import base64
import uuid
from functools import cached_property
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from .clock import Clock

_KEPT = 64  # verified tokens


class TokenFault(Exception):
    """A token that a resource refuses; ``reason`` is one word: malformed, signature, issuer, expired, notyet."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _b64(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


class Signer:
    """One RSA key, made when the first token is."""

    def __init__(self, clock: Clock, tenant_id: str, service: str = "https://sts.windows.net") -> None:
        self._clock = clock
        self.tenant_id = tenant_id
        self._service = service
        self.issuer = f"{service}/{tenant_id}/"
        self._signed: dict[str, dict[str, Any]] = {}  # tokens whose signature was verified of late

    def at(self, clock: Clock) -> "Signer":
        """The same key by another clock."""
        other = Signer(clock, self.tenant_id, self._service)
        other.__dict__ |= {name: self.__dict__[name] for name in ("_key", "key_id") if name in self.__dict__}
        return other

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @cached_property
    def key_id(self) -> str:
        return base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()

    def jwks(self) -> dict[str, Any]:
        """The public half, as ``/discovery/v2.0/keys`` serves it."""
        numbers = self._key.public_key().public_numbers()
        return {
            "keys": [
                {"kty": "RSA", "use": "sig", "kid": self.key_id, "x5t": self.key_id, "n": _b64(numbers.n), "e": _b64(numbers.e)}
            ]
        }  # fmt: skip

    def mint(self, claims: dict[str, Any], lifetime: float = 3599) -> str:
        """A signed token; ``claims`` add to, and win over, the usual ones. ``lifetime`` is in seconds."""
        now = int(self._clock.now())
        usual = {
            "iss": self.issuer, "iat": now, "nbf": now, "exp": now + int(lifetime), "tid": self.tenant_id,
            "uti": base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode(), "ver": "1.0", "emulated": True,
        }  # fmt: skip
        return jwt.encode(
            usual | claims, self._key, algorithm="RS256", headers={"kid": self.key_id, "x5t": self.key_id}
        )

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a token this tenant signed and whose time has come and not passed. The audience is the
        resource's own affair. Raises TokenFault."""
        claims = dict(self._signed.get(token) or self._decoded(token))
        now = self._clock.now()
        if claims.get("iss") != self.issuer:
            raise TokenFault("issuer")
        if now >= float(claims.get("exp", 0)):
            raise TokenFault("expired")
        if now + 300 < float(claims.get("nbf", 0)):
            raise TokenFault("notyet")
        return claims

    def _decoded(self, token: str) -> dict[str, Any]:
        """A token that this key signed. Raises TokenFault."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token, self._key.public_key(), algorithms=["RS256"],
                options={"verify_exp": False, "verify_nbf": False, "verify_aud": False, "verify_iat": False},
            )  # fmt: skip
        except jwt.InvalidSignatureError:
            raise TokenFault("signature") from None
        except jwt.InvalidTokenError:
            raise TokenFault("malformed") from None
        if len(self._signed) >= _KEPT:
            self._signed.clear()
        self._signed[token] = claims
        return claims
