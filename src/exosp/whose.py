"""Whose the IDs are that stand in Exchange where the application's should: so that a mistake is named, not only seen."""

import re
from collections.abc import Iterator

from .errors import CloudError
from .judging import holders
from .snapshot import Mailbox, Snapshot
from .steps.exchange import wrong
from .steps.grants import trustee_forms
from .tenant import Directory

MOST = 5  # look-ups, one request each
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def whose(seen: Snapshot, directory: Directory) -> dict[str, str]:
    """What the IDs of wrong entries and of others' FullAccess belong to, by the ID in lower case. Asks only about IDs that
    the snapshot itself does not explain; a refusal leaves one unnamed."""
    found = _known(seen)
    asked = 0
    for strange in _strange(seen):
        if strange in found or not _GUID.fullmatch(strange) or asked >= MOST:
            continue
        asked += 1
        try:
            other = directory.principal_by_object_id(strange)
        except CloudError:
            continue
        if other is not None:
            same = seen.principal is not None and other.name == seen.principal.name
            of = "another application of the same name" if same else "another enterprise application"
            found[strange] = f"{of}, {other.name}"
    return found


def _known(seen: Snapshot) -> dict[str, str]:
    found = {seen.tenant_id.lower(): "the tenant's own ID"}
    if seen.resource is not None:
        found[seen.resource.object_id.lower()] = "the object ID of Exchange Online's own enterprise application"
    for secret in seen.application.secrets if seen.application else ():
        found[secret.key_id.lower()] = "the ID of one of the application's secrets"
    if seen.application is not None:
        found[seen.application.object_id.lower()] = "the application's own object ID (the one on App registrations)"
        found[seen.application.app_id.lower()] = "the application's appId"
    for box in seen.mailboxes.values():
        if isinstance(box, Mailbox):
            found[box.id.lower()] = f"the object ID of {box.address}"
    return found


def _strange(seen: Snapshot) -> Iterator[str]:
    for entry in wrong(seen):
        yield entry.object_id.lower()
    ours = trustee_forms(seen)
    granted = {row.mailbox for row in seen.permissions if row.user in ours}
    for row in holders([row for row in seen.permissions if row.mailbox not in granted], ours):
        yield row.user
