"""When what a login needs was last set, as this machine's journals show it. Pure."""

from datetime import datetime

from ..snapshot import MailboxId, Protocol, Snapshot
from .history import History, Item
from .standing import forms_of

_SWITCH: dict[str, Protocol] = {"imap": "imap", "pop": "pop", "smtp_auth_disabled": "smtp"}
When = tuple[datetime, str]  # and the run's id


class Ages:
    """Built once for all logins: a tenant has thousands, and so have the journals writes."""

    def __init__(self, history: History, seen: Snapshot) -> None:
        self._ours = forms_of(seen.principal.object_id, seen) if seen.principal else frozenset[str]()
        self._entry: When | None = None
        self._scope: When | None = None  # of SMTP by RBAC
        self._of_mailbox: dict[tuple[str, Protocol | None], When] = {}
        for run in history.runs:
            for item in run.items:
                if item.at is not None and item.took_place:
                    self._note(item, (item.at, run.id))

    def _note(self, item: Item, when: When) -> None:
        write = item.write
        match write.get("write"):
            case "NewServicePrincipal" if str(write["object_id"]).lower() in self._ours:
                self._entry = max(self._entry or when, when)
            case "AddMailboxPermission" | "RemoveMailboxPermission" if str(write["trustee"]).lower() in self._ours:
                self._keep((write["mailbox"], None), when)
            case "AssignManagementRole" | "NewManagementScope" | "SetManagementScope":
                self._scope = max(self._scope or when, when)
            case "SetClientAccess":
                for name, protocol in _SWITCH.items():
                    if name in write:
                        self._keep((write["mailbox"], protocol), when)

    def _keep(self, key: tuple[str, Protocol | None], when: When) -> None:
        self._of_mailbox[key] = max(self._of_mailbox.get(key, when), when)

    def last_set(self, mailbox: MailboxId | None, protocol: Protocol) -> When | None:
        """The latest time at which a run changed the application's entry, its grant on the mailbox or the protocol's
        switch, and the run's id. None where no journal here knows of any."""
        found = [self._entry, self._scope if protocol == "smtp" else None]
        if mailbox is not None:
            found += [self._of_mailbox.get((mailbox, None)), self._of_mailbox.get((mailbox, protocol))]
        return max((when for when in found if when is not None), default=None)
