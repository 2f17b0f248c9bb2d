"""The management host's address: ``winrm://host:port/path?auth=…&configuration=…``, its credentials from the environment."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ..errors import UsageError

AUTHS = ("basic", "certificate", "credssp", "kerberos", "negotiate", "ntlm")
_WITH_PASSWORD = ("basic", "credssp", "ntlm")  # the others can use what the caller's machine holds
_FORM = "winrm://host[:port]/path?auth=negotiate&configuration=Microsoft.PowerShell"
_USER, _PASSWORD = "EXOSP_REMOTING_USER", "EXOSP_REMOTING_PASSWORD"
_KEYS = ("auth", "configuration", "certificate", "key", "app", "thumbprint")


@dataclass(frozen=True)
class Target:
    """Where and how to reach the management host. ``ca``: a file of trusted certificates, None for the installed ones.
    ``certificate`` and ``key``: PEM files, for auth=certificate alone. ``app`` and ``thumbprint``: the application, and its
    certificate in the host's own store, by which the host connects to Exchange; then no token goes there."""

    host: str
    port: int = 5986
    path: str = "wsman"
    auth: str = "negotiate"
    configuration: str = "Microsoft.PowerShell"
    user: str = ""
    password: str = field(default="", repr=False)
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    app: str = ""
    thumbprint: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"


def target(url: str, environment: Mapping[str, str], *, ca: Path | None = None) -> Target:
    """A remoting address with its credentials from the environment. Raises UsageError saying what is wrong.

    The address itself is not repeated in an error where it may hold a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise _wrong("the remoting address cannot be read") from None
    if parts.scheme != "winrm":
        raise _wrong("the remoting address does not begin with winrm://")
    if parts.username is not None or parts.password is not None:
        raise _wrong("the remoting address holds a user name", f"set {_USER} and {_PASSWORD} instead")
    if not parts.hostname or any(c.isspace() for c in parts.hostname) or port == 0:
        raise _wrong(
            "the remoting address names no host" if not parts.hostname else "its host or port is no such thing"
        )
    if parts.fragment:
        raise _wrong("the remoting address has a fragment (#…)")
    unknown = sorted(set(options) - set(_KEYS))
    if unknown:
        raise _wrong(f"unknown in the remoting address: {', '.join(unknown)}", f"there are {', '.join(_KEYS)}")
    auth = options.get("auth", "negotiate").lower()
    if auth not in AUTHS:
        raise _wrong(f"unknown authentication {auth!r}", f"there are {', '.join(AUTHS)}")
    configuration = options.get("configuration", "Microsoft.PowerShell")
    if not configuration or not all(c.isalnum() or c in "._-" for c in configuration):
        raise _wrong(f"{configuration!r} is no name of a session configuration")
    return Target(
        host=parts.hostname,
        port=port or 5986,
        path=unquote(parts.path).strip("/") or "wsman",
        auth=auth,
        configuration=configuration,
        ca=ca,
        **_host_certificate(options),
        **_credentials(auth, options, environment),
    )


def _host_certificate(options: Mapping[str, str]) -> dict[str, Any]:
    """The application and the thumbprint of its certificate on the host, where the address names them."""
    app, thumbprint = options.get("app", ""), options.get("thumbprint", "").replace(" ", "").upper()
    if bool(app) != bool(thumbprint):
        raise _wrong("app= and thumbprint= go together", "app=<client id>&thumbprint=<of its certificate on the host>")
    if app and not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", app):
        raise _wrong(f"app={app!r} is no client id")
    if thumbprint and not re.fullmatch(r"[0-9A-F]{40}", thumbprint):
        raise _wrong("thumbprint= is not 40 hexadecimal digits", "certutil -store My on the host shows it")
    return {"app": app, "thumbprint": thumbprint}


def _credentials(auth: str, options: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, Any]:
    user, password = environment.get(_USER, ""), environment.get(_PASSWORD, "")
    named = {name: Path(options[name]) for name in ("certificate", "key") if options.get(name)}
    if auth == "certificate":
        if len(named) < 2:
            raise _wrong("auth=certificate needs a certificate and its key", "add certificate=/file.pem&key=/file.pem")
        for name, path in named.items():
            if not path.is_file():
                raise UsageError(f"the {name} of the remoting address is no file", where=str(path))
        return dict(named)
    if named:
        raise _wrong("certificate and key go with auth=certificate alone")
    if auth in _WITH_PASSWORD and not (user and password):
        missing = _PASSWORD if user else _USER
        raise UsageError(f"auth={auth} needs a user name and a password", hint=f"set {missing}")
    if bool(user) != bool(password) and auth != "kerberos":
        raise UsageError("a user name without a password, or the other way round", hint=f"set {_USER} and {_PASSWORD}")
    return {"user": user, "password": password}


def _wrong(what: str, hint: str = "") -> UsageError:
    return UsageError(what, where="EXOSP_REMOTING", hint=hint or f"its form is {_FORM}")
