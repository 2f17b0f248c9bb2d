"""Which tenant a domain is: from the sign-in host's public metadata. Nobody is signed in for it."""

import re

from ..clouds import Cloud
from ..errors import CloudError, Missing, Unreachable
from ..transport import is_loopback, no_answer, trusted

_ISSUER = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def tenant_id(cloud: Cloud, tenant: str) -> str:
    """The tenant's id, lower case. Raises CloudError, Missing where no tenant of this cloud has such a name."""
    import ssl

    import httpx

    address = f"{cloud.login}/{tenant}/v2.0/.well-known/openid-configuration"
    asked = f"GET /{tenant}/v2.0/.well-known/openid-configuration"
    try:
        with httpx.Client(
            verify=ssl.create_default_context(cafile=trusted(cloud)), trust_env=not is_loopback(cloud.login), timeout=15
        ) as client:
            reply = client.get(address)
    except httpx.HTTPError as fault:
        lost = no_answer(fault, cloud.login)
        raise Unreachable(
            lost.what.format(host=cloud.login) if lost else f"{cloud.login} did not answer", may_have_happened=False,
            transient=lost.transient if lost else True, service="token", asked=asked, hint=lost.hint if lost else "",
        ) from None  # fmt: skip
    found = _ISSUER.search(reply.text.partition('"issuer"')[2].partition(",")[0]) if reply.is_success else None
    if found is None:
        kind = Missing if reply.status_code == 400 else CloudError
        raise kind(
            f"no tenant {tenant} in this cloud", service="token", asked=asked, status=reply.status_code,
            code="AADSTS90002" if "AADSTS90002" in reply.text else "",
            hint="is the tenant right, and in this cloud? Check the playbook's tenant and the cloud's name",
        )  # fmt: skip
    return found[0].lower()
