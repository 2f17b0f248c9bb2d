"""What was meant to be: the playbooks of a folder, as far as an audit compares them with the tenant."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from .. import playbook
from ..errors import UsageError
from ..inventory import Wanted
from ..playbook import Playbook
from ..snapshot import AppId

SUFFIXES = (".yaml", ".yml")


def gather(
    folder: Path, environment: Mapping[str, str], tenants: Collection[str]
) -> tuple[tuple[Wanted, ...], tuple[str, ...]]:
    """The playbooks for a tenant of these names (its id, its domains; lower case), and the files that were left out: another
    tenant's, and YAML that is no playbook. Folders below are looked into. Raises UsageError and PlaybookError."""
    if not folder.is_dir():
        raise UsageError("there is no such folder", where=f"--playbooks {folder}", hint="name a folder of playbooks")
    found, others = [], []
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()):
        shown = path.relative_to(folder).as_posix()
        if not _begins(path):
            others.append(f"{shown} (no playbook)")
            continue
        want = playbook.read(path, environment, allow_outside=True)  # nothing is saved here
        if want.tenant.lower() in tenants:
            found.append(wanted(want, shown))
        else:
            others.append(f"{shown} ({want.tenant})")
    return tuple(found), tuple(others)


def _begins(path: Path) -> bool:
    """Whether a file says that it is a playbook."""
    try:
        with path.open("rb") as file:
            return re.search(rb"(?m)^(\xef\xbb\xbf)?[\"']?exosp[\"']?[ \t]*:", file.read(playbook.LARGEST)) is not None
    except OSError:
        return True  # reading it says why it cannot be read


def wanted(want: Playbook, file: str) -> Wanted:
    """One playbook. Where people sign in to the application, it is to open no mailbox by itself."""
    ids = {text for text in (want.app.id, want.app.managed_identity) if text}
    boxes = () if want.delegated else want.boxes
    return Wanted(
        file=file,
        key=want.app.key,
        app_ids=frozenset(AppId(text.lower()) for text in ids),
        unique_name="" if want.app.made_elsewhere else want.app.unique_name,
        mailboxes={box.address.lower(): frozenset(box.protocols) for box in boxes},
        send_as=frozenset(
            box.send_as.sender.lower() for box in boxes if box.send_as is not None and box.send_as.by == "app"
        ),
        smtp_by_rbac=want.smtp is not None,
        multi_tenant=want.app.audience == "multi-tenant",
    )
