"""A person signs in: in a browser, or by a code typed elsewhere. On a terminal only.

One sign-in of a person does not serve both services unless the tenant has a client of its own for it: Microsoft's own
clients hold permissions for one of them each (field reports; ids from their modules). So each audience has its client.
"""

import os
import secrets as random
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from ..clouds import Cloud
from .wire import Wire

GRAPH_CLIENT = "14d82eec-204b-4c2f-b7e8-296a70dab67e"  # Microsoft Graph Command Line Tools
EXCHANGE_CLIENT = "fb78d390-0c51-40cd-8e17-fdbfab77341b"  # Microsoft Exchange REST API Based Powershell
# What Microsoft's own client for Graph must be asked for by name: it has no fixed list in a tenant. The least with which
# an application is made and consented to (permission tables of application-upsert, serviceprincipal-post-approleassignedto).
GRAPH_SCOPES = ("Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All")
CACHE = "exosp"


@dataclass
class Person:
    """identity.Source for ``browser`` and ``device-code``. ``clients``: the ids for graph and exchange; ``tell`` says
    what the person must do; ``folder`` keeps who signed in (no secret), where tokens are kept at all."""

    name: str
    cloud: Cloud
    tenant: str
    clients: Mapping[str, str]
    wire: Wire
    tell: Callable[[str], None]
    folder: Path | None
    keeps: bool = True
    takes_tenant: bool = True
    _records: dict[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        return f"a person, by {self.name}"

    def key(self, scope: str) -> str:
        return self.clients["graph" if scope == self.cloud.graph_scope else "exchange"]

    def scopes(self, scope: str) -> tuple[str, ...]:
        if scope == self.cloud.graph_scope and self.clients["graph"] == GRAPH_CLIENT:
            return tuple(f"{self.cloud.graph}/{name}" for name in GRAPH_SCOPES)
        return (scope,)

    def build(self, key: str) -> Any:
        from azure.identity import DeviceCodeCredential, InteractiveBrowserCredential

        kept: dict[str, Any] = {}
        if self.folder is not None:
            from azure.identity import TokenCachePersistenceOptions

            kept["cache_persistence_options"] = TokenCachePersistenceOptions(
                name=CACHE, allow_unencrypted_storage=False
            )
            if (record := self._record(key)) is not None:
                kept["authentication_record"] = record
        options = {**self.wire.options(), **kept, "tenant_id": self.tenant, "client_id": key}
        if "authentication_record" in kept:
            del options["authority"]  # the record's is the same
        if self.name == "device-code":
            return DeviceCodeCredential(prompt_callback=self._prompt, **options)
        return InteractiveBrowserCredential(**options)

    def done(self, key: str, credential: Any) -> None:
        """Keep who signed in, so that the next run finds the tokens in the cache."""
        record = getattr(credential, "_auth_record", None)  # authenticate() returns it, and always asks
        if self.folder is None or record is None or self._records.get(key) is record:
            return
        self._records[key] = record
        with suppress(OSError):  # then the next run asks again
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            name = self.folder / f".{random.token_hex(8)}.tmp"
            with os.fdopen(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(record.serialize())
            name.replace(self._place(key))

    def instead(self) -> None:
        return None

    def _prompt(self, address: str, code: str, _: Any) -> None:
        client = {GRAPH_CLIENT: " for Microsoft Graph", EXCHANGE_CLIENT: " for Exchange"}
        shown = next((client.get(key, "") for key in self.clients.values() if len(set(self.clients.values())) > 1), "")
        self.tell(f"Sign in{shown}: open {address} and enter the code {code}")

    def _place(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / quote(f"{self.cloud.name}-{self.tenant}-{key}.json", safe="")

    def _record(self, key: str) -> Any:
        from azure.identity import AuthenticationRecord

        try:
            found = AuthenticationRecord.deserialize(self._place(key).read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError):
            return None
        host = urlsplit(self.cloud.login).netloc
        if (found.authority, found.client_id) != (host, key):
            return None
        # The address is the cloud's, whatever the file says; azure-identity takes a host with a port for a scheme.
        return AuthenticationRecord(found.tenant_id, key, self.cloud.login, found.home_account_id, found.username)


def cache() -> str:
    """Why tokens cannot be kept on this machine's disk; empty where they can: encrypted, or not at all."""
    try:
        from msal_extensions import build_encrypted_persistence  # type: ignore[import-untyped]  # it ships no types
    except ImportError:
        return "msal-extensions is not installed; pip install msal-extensions"
    import tempfile

    try:
        with tempfile.TemporaryDirectory() as folder:
            build_encrypted_persistence(str(Path(folder, "probe")))
    except Exception as fault:  # its errors share no class
        return _why_not(fault, sys.platform)
    return ""


def _why_not(fault: Exception, platform: str) -> str:
    """What is lacking for encrypted storage: tried with a real keyring, without one, and without a session bus."""
    if platform != "linux":
        return f"this machine has nothing that encrypts them ({type(fault).__name__})"
    if isinstance(fault, ImportError | ValueError):  # no gi; or gi without libsecret
        return "libsecret is not there for Python: on Debian python3-gi and gir1.2-secret-1, elsewhere pip install PyGObject"
    return "no keyring answers on this session's bus, or it is locked (gnome-keyring, KWallet)"
