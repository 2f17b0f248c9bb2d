"""The ways to sign in, one row each: who it is, what it needs, what chooses it, how azure-identity is asked. Sends nothing.

Variables are azure-identity's own, and those that a pipeline's machine sets. Sources: learn.microsoft.com/python/api/
azure-identity; docs.github.com, OpenID Connect in cloud providers; learn.microsoft.com/azure/devops/pipelines,
Workload identity federation.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from ..errors import UsageError
from ..transport import is_loopback

Who = Literal["application", "person", "whoever is logged in there"]
AUDIENCE = "api://AzureADTokenExchange"  # what Entra wants a federated assertion to be meant for


@dataclass(frozen=True)
class Machine:
    """What a builder is handed: this machine's environment, the tenant, and keywords for the credential."""

    environment: Mapping[str, str]
    tenant: str
    client_id: str
    options: dict[str, Any]

    def first(self, *names: str) -> str:
        """The first of these variables that is set."""
        return next((self.environment[name] for name in names if self.environment.get(name)), "")


Build = Callable[[Machine], Any]


@dataclass(frozen=True)
class Way:
    """``needs``: for each value the variables that can hold it, any one. ``chosen_by``: variables that, all set, choose
    it unasked. ``secrets`` may stand in no message; ``asks`` are the addresses that it must ask beside the login host, or the variables
    that hold them."""

    name: str
    who: Who
    unattended: bool
    needs: tuple[tuple[str, ...], ...]
    chosen_by: tuple[tuple[str, ...], ...]
    build: Build
    secrets: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    takes_tenant: bool = True

    def missing(self, given: Mapping[str, str]) -> list[str]:
        return [" or ".join(names) for names in self.needs if not any(given.get(name) for name in names)]

    def chosen(self, given: Mapping[str, str]) -> bool:
        return any(all(given.get(name) for name in names) for names in self.chosen_by)


def _by_secret(machine: Machine) -> Any:
    from azure.identity import ClientSecretCredential

    secret = machine.environment["AZURE_CLIENT_SECRET"]
    return ClientSecretCredential(machine.tenant, machine.client_id, secret, **machine.options)


def _by_certificate(machine: Machine) -> Any:
    from azure.identity import CertificateCredential

    path = machine.environment["AZURE_CLIENT_CERTIFICATE_PATH"]
    password = machine.environment.get("AZURE_CLIENT_CERTIFICATE_PASSWORD") or None
    where = f"AZURE_CLIENT_CERTIFICATE_PATH={path}"
    try:
        return CertificateCredential(machine.tenant, machine.client_id, path, password=password, **machine.options)
    except OSError as fault:
        raise UsageError(f"cannot read the certificate: {fault.strerror}", where=where) from None
    except (ValueError, TypeError):  # TypeError: cryptography's word for a missing or needless password
        raise UsageError(
            "the certificate cannot be used",
            where=where,
            hint="it must be PEM or PKCS#12 with its RSA private key; "
            "where the key is encrypted, set AZURE_CLIENT_CERTIFICATE_PASSWORD",
        ) from None


def _by_federation(machine: Machine) -> Any:
    """The file that the platform writes, or the token that a GitHub job may ask for: those last minutes, so each
    token request takes a new one."""
    from azure.identity import ClientAssertionCredential, WorkloadIdentityCredential

    path = machine.first("AZURE_FEDERATED_TOKEN_FILE")
    if path:
        return WorkloadIdentityCredential(
            tenant_id=machine.tenant, client_id=machine.client_id, token_file_path=path, **machine.options
        )
    return ClientAssertionCredential(
        machine.tenant, machine.client_id, lambda: _github(machine.environment), **machine.options
    )


class _Stay(urllib.request.HTTPRedirectHandler):
    """The job's token goes to the address it is for, wherever an answer points."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _github(environment: Mapping[str, str]) -> str:
    """A job's OIDC token. The address and the token for it come from the runner."""
    address = environment["ACTIONS_ID_TOKEN_REQUEST_URL"]
    if urlsplit(address).scheme != "https" and not is_loopback(address):
        raise OSError("GitHub answered nothing: ACTIONS_ID_TOKEN_REQUEST_URL is no https address")
    address += f"{'&' if urlsplit(address).query else '?'}audience={quote(AUDIENCE, safe='')}"
    headers = {"Authorization": f"Bearer {environment['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}", "Accept": "application/json"}
    try:
        request = urllib.request.Request(address, headers=headers)  # noqa: S310 - its scheme is looked at above
        with urllib.request.build_opener(_Stay).open(request, timeout=15) as reply:
            return str(json.load(reply)["value"])
    except urllib.error.HTTPError as fault:
        raise OSError(f"GitHub answered {fault.code}") from None
    except (OSError, ValueError, KeyError):
        raise OSError("GitHub answered nothing that could be read") from None


def _by_pipeline(machine: Machine) -> Any:
    from azure.identity import AzurePipelinesCredential

    return AzurePipelinesCredential(
        tenant_id=machine.tenant,
        client_id=machine.client_id,
        service_connection_id=machine.first("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID", "AZURE_SERVICE_CONNECTION_ID"),
        system_access_token=machine.environment["SYSTEM_ACCESSTOKEN"],
        **machine.options,
    )


def _by_machine(machine: Machine) -> Any:
    """The machine's own identity, or a user-assigned one. An endpoint that nobody serves must not hold us up."""
    from azure.identity import ManagedIdentityCredential

    options = {k: v for k, v in machine.options.items() if k not in ("authority", "disable_instance_discovery")}
    options["connection_timeout"] = 2
    return ManagedIdentityCredential(client_id=machine.client_id or None, **options)


def _by_cli(machine: Machine) -> Any:
    from azure.identity import AzureCliCredential

    return AzureCliCredential(tenant_id=machine.tenant, process_timeout=60)


def _by_person(machine: Machine) -> Any:
    raise NotImplementedError  # people are asked by ``people``: they need a terminal, a cache and two clients


_CLIENT = ("AZURE_CLIENT_ID",)
_TENANT = ("AZURE_TENANT_ID",)
_CONNECTION = ("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID", "AZURE_SERVICE_CONNECTION_ID")
_GITHUB = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
IMDS = "http://169.254.169.254"

# In the order in which ``auto`` looks: a secret that somebody has set was meant, what a machine offers comes after.
WAYS: tuple[Way, ...] = (
    Way("secret", "application", True, (_TENANT, _CLIENT, ("AZURE_CLIENT_SECRET",)), (("AZURE_CLIENT_SECRET",),),
        _by_secret, secrets=("AZURE_CLIENT_SECRET",)),
    Way("certificate", "application", True, (_TENANT, _CLIENT, ("AZURE_CLIENT_CERTIFICATE_PATH",)),
        (("AZURE_CLIENT_CERTIFICATE_PATH",),), _by_certificate, secrets=("AZURE_CLIENT_CERTIFICATE_PASSWORD",)),
    Way("workload-identity", "application", True,
        (_TENANT, _CLIENT, ("AZURE_FEDERATED_TOKEN_FILE", "ACTIONS_ID_TOKEN_REQUEST_URL")),
        (("AZURE_FEDERATED_TOKEN_FILE",), ("AZURE_CLIENT_ID", *_GITHUB)), _by_federation,
        secrets=("ACTIONS_ID_TOKEN_REQUEST_TOKEN",)),
    Way("azure-pipelines", "application", True,
        ((*_TENANT, "AZURESUBSCRIPTION_TENANT_ID"), (*_CLIENT, "AZURESUBSCRIPTION_CLIENT_ID"), _CONNECTION,
         ("SYSTEM_ACCESSTOKEN",), ("SYSTEM_OIDCREQUESTURI",)),
        tuple(("SYSTEM_OIDCREQUESTURI", name) for name in _CONNECTION), _by_pipeline,
        secrets=("SYSTEM_ACCESSTOKEN",), asks=("SYSTEM_OIDCREQUESTURI",)),
    Way("managed-identity", "application", True, (),
        tuple((name,) for name in ("IDENTITY_ENDPOINT", "MSI_ENDPOINT", "AZURE_POD_IDENTITY_AUTHORITY_HOST")),
        _by_machine, secrets=("IDENTITY_HEADER", "MSI_SECRET"),
        asks=("IDENTITY_ENDPOINT", "MSI_ENDPOINT", "AZURE_POD_IDENTITY_AUTHORITY_HOST", IMDS), takes_tenant=False),
    Way("azure-cli", "whoever is logged in there", True, (), (), _by_cli),
    Way("browser", "person", False, (), (), _by_person),
    Way("device-code", "person", False, (), (), _by_person),
)  # fmt: skip
BY_NAME = {way.name: way for way in WAYS}


def installed(program: str) -> bool:
    """Whether a program stands on PATH."""
    from shutil import which

    return which(program) is not None


def has_browser(environment: Mapping[str, str]) -> bool:
    """Whether a browser can be opened in front of who sits here: not over SSH, not without a display."""
    import sys

    if environment.get("SSH_CONNECTION") or environment.get("SSH_TTY"):
        return False
    return sys.platform in ("darwin", "win32") or bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))
