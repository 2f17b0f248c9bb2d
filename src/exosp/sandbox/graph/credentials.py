"""Secrets and certificates of applications and enterprise applications. A secret's value leaves only in the reply that
made it; what is kept is its digest.

Sources: learn.microsoft.com/graph/api/application-addpassword, -removepassword, -update, /resources/keycredential.
"""

import base64
import hashlib
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from .. import odata
from ..catalog import new_secret, password_credential
from ..directory import Entity, digest, new_id
from . import policies
from .wire import Call, Reply, Service, bad_request

_TWO_YEARS = 2 * 365.25 * 86400  # addPassword's default lifetime
_LATEST = 253402300799.0  # 9999-12-31T23:59:59Z, the last moment that Edm.DateTimeOffset can say


def instant(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def create_password(service: Service, holder: Entity, wanted: dict[str, Any]) -> dict[str, Any]:
    """Add a secret; the row returned is the only one with ``secretText``."""
    clock = service.tenant.clock
    for name in ("secretText", "keyId", "hint"):
        if wanted.get(name) is not None:
            raise bad_request(f"Property '{name}' is read-only and cannot be set.")
    start = instant(wanted["startDateTime"]) if wanted.get("startDateTime") else clock.now()
    end = instant(wanted["endDateTime"]) if wanted.get("endDateTime") else start + _TWO_YEARS
    if end <= max(start, service.now()) or end > _LATEST:
        raise bad_request("The end date of the credential must be later than its start date and than the present.")
    policies.check_secret(service.tenant.faults, end - start)
    secret = new_secret()
    row = password_credential(secret, wanted.get("displayName"), clock.iso(start), clock.iso(end))
    holder.properties["passwordCredentials"] = [*holder.properties["passwordCredentials"], row]
    holder.secrets[row["keyId"]] = digest(secret)
    holder.secret_usable_at[row["keyId"]] = service.now() + service.tenant.faults.draw("secret-lag")
    return {**row, "secretText": secret}


def add_password(service: Service, call: Call, holder: Entity) -> Reply:
    body = call.json()
    for name in body:
        if name != "passwordCredential":
            raise bad_request(f"The parameter '{name}' in the request payload is not a valid parameter for the operation 'addPassword'.", "BadRequest")  # fmt: skip
    wanted = odata.check(
        "passwordCredential", {} if body.get("passwordCredential") is None else body["passwordCredential"]
    )
    row = create_password(service, holder, wanted)
    context = {"@odata.context": f"{call.base}/v1.0/$metadata#microsoft.graph.passwordCredential"}
    return Reply(200, context | row)


def remove_password(service: Service, call: Call, holder: Entity) -> Reply:
    body = call.json()
    key_id = body.get("keyId")
    if set(body) != {"keyId"} or not isinstance(key_id, str) or not odata.GUID.fullmatch(key_id):
        raise bad_request("The parameter 'keyId' of the operation 'removePassword' must be a GUID.", "BadRequest")
    kept = [row for row in holder.properties["passwordCredentials"] if row["keyId"] != key_id.lower()]
    if len(kept) == len(holder.properties["passwordCredentials"]):
        raise bad_request(f"No password credential found with keyId {key_id}.")
    holder.properties["passwordCredentials"] = kept
    holder.secrets.pop(key_id.lower(), None)
    holder.secret_usable_at.pop(key_id.lower(), None)
    return Reply()


def replaced_passwords(holder: Entity, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """PATCH may drop secrets, not make them: each entry must be one that stands already."""
    present = {row["keyId"]: row for row in holder.properties["passwordCredentials"]}
    if any(row.get("keyId") not in present for row in rows):
        raise bad_request("New password credentials must be generated with service actions.")
    kept = [present[row["keyId"]] for row in rows]
    for key_id in set(present) - {row["keyId"] for row in kept}:
        holder.secrets.pop(key_id, None)
        holder.secret_usable_at.pop(key_id, None)
    return kept


def replaced_certificates(
    service: Service, holder: Entity, rows: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """The keyCredentials that a write leaves and the certificates behind them; nothing is changed here.

    An entry without ``key`` must be one that stands already (application-update: the whole collection is replaced).
    """
    present = {row["keyId"]: row for row in holder.properties["keyCredentials"]}
    result, certificates = [], {}
    for row in rows:
        known = present.get(row.get("keyId"))
        if row.get("key") is None and known:
            result.append(known)
            certificates[known["keyId"]] = holder.certificates[known["keyId"]]
            continue
        if row.get("type") != "AsymmetricX509Cert" or row.get("usage") != "Verify":
            raise bad_request(
                "Key credential type or usage is invalid: the sandbox takes AsymmetricX509Cert for Verify."
            )
        made, der = _certificate(service, row)
        result.append(made)
        certificates[made["keyId"]] = der
    return result, certificates


def _certificate(service: Service, row: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    try:
        raw = odata.binary(row.get("key") or "")
        pem = raw.lstrip().startswith(b"-----BEGIN")
        certificate = x509.load_pem_x509_certificate(raw) if pem else x509.load_der_x509_certificate(raw)
    except ValueError:
        raise bad_request("Key credential value is not a valid certificate.", "KeyCredentialsInvalidKey") from None
    der, iso = certificate.public_bytes(Encoding.DER), service.tenant.clock.iso
    thumbprint = base64.b64encode(hashlib.sha1(der).digest()).decode()  # noqa: S324 - the name of a certificate, as x5t is
    made = {
        "customKeyIdentifier": row.get("customKeyIdentifier") or thumbprint,
        "displayName": row.get("displayName") or certificate.subject.rfc4514_string(),
        "endDateTime": row.get("endDateTime") or iso(certificate.not_valid_after_utc.timestamp()),
        "key": base64.b64encode(der).decode(), "keyId": (row.get("keyId") or new_id()).lower(),
        "startDateTime": row.get("startDateTime") or iso(certificate.not_valid_before_utc.timestamp()),
        "type": "AsymmetricX509Cert", "usage": "Verify",
    }  # fmt: skip
    return made, der
