"""Runs of apply, undo and destroy at one desk, each with its journal in one place."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from desk import Desk
from exosp import destroy, steps, undo
from exosp.converge import Memory, Result, apply, look
from exosp.journal import History, opened
from exosp.plan import Limits
from exosp.sandbox.exchange import Row
from exosp.tenant import Tenant

PREPARED = "20260101T000000Z-"


@dataclass
class Runs:
    """``base``: where journals lie. ``through``: what stands between the runs and the tenant."""

    desk: Desk
    base: Path
    count: int = 0
    through: Callable[[Tenant], Tenant] = lambda tenant: tenant

    @property
    def last(self) -> str:
        return f"{PREPARED}{self.count:08d}"

    def apply(self) -> Result:
        return self._run("apply", lambda history: steps.plan)

    def undo(self, run: str, **limits: Any) -> Result:
        def planner(history: History) -> Any:
            found = history.run(run)
            assert found is not None
            return undo.planner(found)

        return self._run("undo", planner, **limits)

    def destroy(self, **limits: Any) -> Result:
        return self._run("destroy", destroy.planner, **limits)

    def _run(self, command: str, planner: Callable[[History], Any], **limits: Any) -> Result:
        self.count += 1
        with self.desk.session() as session:
            want, patience, tenant = session.want, session.patience, self.through(session.tenant)
            name = want.app.unique_name
            with opened(
                self.base, tenant_id=tenant.tenant_id, application=name, command=command, run=self.last
            ) as kept:
                how = planner(kept.history)
                first = look(want, tenant, patience, Memory(kept.history), how)
                kept.settle(first[0])
                result = apply(
                    want, tenant, patience, first, self.desk.events.append,
                    journal=kept, planner=how, limits=Limits(**limits),
                )  # fmt: skip
                kept.end("failed" if result.failed else "done")
                return result

    def journal(self, run: str = "") -> Path:
        [path] = self.base.rglob(f"{run or self.last}.jsonl")
        return path

    def rewrite(self, change: Callable[[list[dict[str, Any]]], None], run: str = "") -> None:
        """Somebody's hand in a journal."""
        path = self.journal(run)
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        change(lines)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def state(desk: Desk) -> dict[str, Any]:
    """What the tenant holds, without its clock."""
    return {name: value for name, value in desk.state().items() if name not in ("now", "advanced")}


def settings(desk: Desk) -> dict[str, Any]:
    """Grants, switches and consent: what undo is about."""
    found = desk.state()
    rows = [{k: v for k, v in row.items() if k not in ("id", "createdDateTime")} for row in found["appRoleAssignments"]]
    kept = ("mailboxPermissions", "recipientPermissions", "casMailboxes")
    return {
        "roles": sorted(rows, key=json.dumps),
        **{name: sorted(found["exchange"][name], key=json.dumps) for name in kept},
    }


def granted(desk: Desk) -> dict[str, set[str]]:
    """Who but a mailbox's owner may do what, as (address, rights)."""
    exchange = desk.state()["exchange"]
    named = {box["ExternalDirectoryObjectId"]: box["PrimarySmtpAddress"] for box in exchange["casMailboxes"]}
    found: dict[str, set[str]] = {}
    for row in exchange["mailboxPermissions"]:
        if "SELF" not in row["User"]:
            found.setdefault(named.get(row["Identity"], row["Identity"]), set()).update(row["AccessRights"])
    for row in exchange["recipientPermissions"]:
        if "SELF" not in row["Trustee"]:
            found.setdefault(named.get(row["Identity"], row["Identity"]), set()).add("SendAs")
    return found


def switch(desk: Desk, address: str, **settings: bool | None) -> None:
    """Somebody's hand on a mailbox's switches."""
    box = desk.running.sandbox.tenant.exchange.by_address(address)
    assert box is not None
    box.cas.update(settings)


def grant(desk: Desk, address: str, trustee: str, *rights: str) -> None:
    """Somebody's hand on a mailbox's permissions."""
    exchange = desk.running.sandbox.tenant.exchange
    box = exchange.by_address(address)
    assert box is not None
    if rights == ("SendAs",):
        properties = {
            "Identity": box.properties["Identity"], "Trustee": trustee, "AccessControlType": "Allow",
            "AccessRights": ["SendAs"], "IsInherited": False, "InheritanceType": "None", "IsValid": True,
            "ObjectState": "Unchanged", "_trustee": trustee,
        }  # fmt: skip
        box.recipient_permissions.append(Row(properties, 0.0, 0.0))
    else:
        exchange.add_ace(box, trustee, list(rights) or ["FullAccess"])


def entry(desk: Desk) -> str:
    """The object ID under which Exchange holds our application."""
    app_ids = {app["appId"] for app in desk.state()["applications"] if app["uniqueName"] == "exosp-support-desk"}
    [row] = [row for row in desk.state()["exchange"]["servicePrincipals"] if row["AppId"] in app_ids]
    return str(row["ObjectId"])


def mailbox_id(desk: Desk, address: str) -> str:
    [row] = [row for row in desk.state()["exchange"]["casMailboxes"] if row["PrimarySmtpAddress"] == address]
    return str(row["ExternalDirectoryObjectId"])


@dataclass
class Port:
    """One of the tenant's ports, with some of its methods replaced."""

    port: Any
    instead: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        return self.instead.get(name) or getattr(self.port, name)


def with_exchange(**instead: Any) -> Callable[[Tenant], Tenant]:
    return lambda tenant: replace(tenant, exchange=Port(tenant.exchange, instead))  # type: ignore[arg-type]  # by duck
