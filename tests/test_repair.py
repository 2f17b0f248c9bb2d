"""What others' hands did wrong to our application: found, named, and mended or refused; no grant is lost on the way."""

from typing import Any

from desk import Desk
from exosp import tenant
from exosp.snapshot import Application, Snapshot
from exosp.writes import (
    APPLICATION,
    ENTRY,
    PRINCIPAL,
    AddRecipientPermission,
    DeleteApplication,
    ExchangeWrite,
    RemoveAssignment,
    RemoveMailboxPermission,
    RemoveRecipientPermission,
    RemoveServicePrincipal,
    RestoreApplication,
)


def send(session: Any, seen: Snapshot, *writes: ExchangeWrite) -> list[type]:
    return [type(answer) for _, answer in session.exchange.send(writes, seen)]


def granted(desk: Desk) -> list[dict[str, Any]]:
    """Mailbox permissions that somebody but the mailbox itself holds."""
    return [row for row in desk.state()["exchange"]["mailboxPermissions"] if row["User"] != "NT AUTHORITY\\SELF"]


# The writes that take away


def test_what_was_granted_can_be_taken_back(desk: Desk) -> None:
    """Each removal in Exchange is Done, is Done again where nothing is left, and leaves the tenant without the thing."""
    desk.apply()
    seen, _ = desk.look()
    boxes = seen.found(seen.mailboxes)
    rights = [RemoveMailboxPermission(box.id, box.address, ENTRY) for box in boxes]
    entry = RemoveServicePrincipal(seen.entries[0].identity, seen.entries[0].object_id)
    with desk.session() as session:
        send_as = AddRecipientPermission(boxes[0].id, boxes[0].address, ENTRY)
        assert send(session, seen, send_as) == [tenant.Done]
        away = RemoveRecipientPermission(boxes[0].id, boxes[0].address, ENTRY)
        for _ in range(2):
            assert send(session, seen, *rights, away) == [tenant.Done] * 3
            assert granted(desk) == []
            assert all("SELF" in row["Trustee"] for row in desk.state()["exchange"]["recipientPermissions"])
        for _ in range(2):
            assert send(session, seen, entry) == [tenant.Done]
            assert desk.state()["exchange"]["servicePrincipals"] == []


def test_a_right_of_somebody_who_is_gone_is_refused_and_not_waited_for(desk: Desk) -> None:
    """A trustee that no longer resolves does not come back: Missing, never NotYetVisible."""
    desk.apply()
    seen, _ = desk.look()
    box = seen.found(seen.mailboxes)[0]
    with desk.session() as session:
        send(session, seen, RemoveServicePrincipal(seen.entries[0].identity, seen.entries[0].object_id))
        [(_, answer)] = session.exchange.send([RemoveMailboxPermission(box.id, box.address, ENTRY)], seen)
    assert isinstance(answer, tenant.Failed)
    assert type(answer.error).__name__ == "Missing"


def test_an_application_goes_into_the_recycle_bin_and_comes_back(desk: Desk) -> None:
    """One assignment taken back, the application deleted and restored: the same ids, and what it asked for."""
    desk.apply()
    seen, _ = desk.look()
    assert seen.application is not None
    with desk.session() as session:
        row = seen.assignments[0]
        session.graph.send(RemoveAssignment(PRINCIPAL, row.id, "IMAP.AccessAsApp"), seen)
        assert len(session.graph.assignments(row.principal)) == 2
        session.graph.send(DeleteApplication(APPLICATION), seen)
        assert session.graph.application(seen.application.unique_name) is None
        back = session.graph.send(RestoreApplication(seen.application.object_id), seen)
    assert isinstance(back, Application)
    assert back == seen.application
