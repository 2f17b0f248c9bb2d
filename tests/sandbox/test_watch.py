"""What a test may hear of the sandbox's writes: each one just before it happens and just after, per item."""

from entra_fixture import caller, running
from host_fixture import host, run


def test_graph_writes_are_told_before_and_after_they_happen() -> None:
    """An application is not there at "before" and there at "after"; reads and refused writes have no "after"."""
    with running() as world:
        api = caller(world, "Application.ReadWrite.All")
        seen: list[tuple[str, str, bool]] = []

        def watch(moment: str, write: str) -> None:
            names = {row.properties["displayName"] for row in world.tenant.directory.applications.values()}
            seen.append((moment, write, "Mail" in names))

        world.tenant.watch = watch
        made = api.made("/applications", {"displayName": "Mail"})
        api("GET", "/applications")
        assert seen == [("before", "graph POST /applications", False), ("after", "graph POST /applications", True)]
        seen.clear()
        assert api("POST", "/applications", {}).status_code == 400
        item = {"id": "1", "method": "POST", "url": f"/applications/{made['id']}/addPassword", "body": {}}
        item["headers"] = {"Content-Type": "application/json"}
        reply = api("POST", "/$batch", {"requests": [item]})
        assert reply.json()["responses"][0]["status"] == 200
        name = "graph batch POST /applications/{id}/addPassword"
        assert [row[:2] for row in seen] == [("before", "graph POST /applications"), ("before", name), ("after", name)]


def test_cmdlets_that_write_are_told_once_an_item() -> None:
    """Add-MailboxPermission over three input items is told before each and after those that were carried out; a Get-* never."""
    with host() as served, served.pool() as pool:
        _, object_id = served.registered(pool)
        seen: list[tuple[str, str, int]] = []

        def watch(moment: str, write: str) -> None:
            grants = sum(
                row["_trustee"] == object_id for box in served.tenant.exchange.mailboxes for row in box.permissions
            )
            seen.append((moment, write, grants))

        served.tenant.watch = watch
        run(pool, "Get-ServicePrincipal")
        boxes = ["support@contoso.com", "nobody@contoso.com", "sales@contoso.com"]
        run(pool, "Add-MailboxPermission", boxes, User=object_id, AccessRights="FullAccess")
        add = "remoting Add-MailboxPermission"
        assert seen == [
            ("before", add, 0),
            ("after", add, 1),
            ("before", add, 1),
            ("before", add, 1),
            ("after", add, 2),
        ]
