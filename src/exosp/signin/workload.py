"""A token for a managed identity, where this very machine is its workload. Azure gives it to nobody else, and there is no
secret to read.

Source: learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token, and app-service/overview-
managed-identity (IDENTITY_ENDPOINT, IDENTITY_HEADER). Nothing is asked of the network to find out: App Service, Functions and
Container Apps say it by environment variables, an Azure virtual machine by the asset tag of its chassis.
"""

import os
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from ..clouds import Cloud
from ..errors import NotHere
from .identity import Token, claims_of

CHASSIS = Path("/sys/class/dmi/id/chassis_asset_tag")
AZURE = "7783-7084-3265-9085-8269-3286-77"  # every Azure virtual machine's (cloud-init, DataSourceAzure)


def here() -> bool:
    """Whether this machine is a workload that Azure could give tokens to."""
    if os.environ.get("IDENTITY_ENDPOINT") and os.environ.get("IDENTITY_HEADER"):
        return True
    try:
        return CHASSIS.read_text(encoding="ascii", errors="replace").strip() == AZURE
    except OSError:
        return False


def token(cloud: Cloud, client_id: str) -> Token:
    """A token for Exchange as the managed identity with this client ID. Raises NotHere where this workload has it not."""
    from azure.core.exceptions import AzureError
    from azure.identity import ManagedIdentityCredential

    credential = ManagedIdentityCredential(client_id=client_id, retry_total=0, connection_timeout=5, read_timeout=10)
    try:
        raw = credential.get_token(cloud.exchange_scope)
    except (AzureError, ValueError):
        raise NotHere(
            f"this workload gets no token for the managed identity {client_id}",
            service="token",
            hint="assign the identity to this workload (Azure, Identity), or run verify on the one that has it",
        ) from None
    finally:
        credential.close()
    claims = claims_of(raw.token)
    now = datetime.now(UTC)
    return Token(raw.token, MappingProxyType(claims), now, datetime.fromtimestamp(raw.expires_on, UTC))
