"""Whether who runs exosp may do what a plan holds: looked up before it is shown, and in the way before its first write."""

from typing import TYPE_CHECKING

from ..errors import PlanRefused

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ..needs import Need
    from ..plan import Plan
    from ..playbook import Playbook
    from ..preflight import Preflight
    from ..snapshot import Snapshot
    from .wiring import Session


def looked_up(session: "Session", want: "Playbook", seen: "Snapshot", found: "Plan") -> "Preflight":
    """For the writes of one plan. Exchange is asked only where the plan holds writes of its. Raises CloudError where a
    service cannot be reached."""
    from .. import needs, preflight
    from .rights import Reader

    reader = Reader(session.admin, session.graph, session.exchange, session.patience, by_host=session.by_host)
    token = session.admin.graph_token()
    wanted = needs.of("apply", want, found, person=token.of_person, by_host=session.by_host)
    asks = any(type(write) in needs.EXCHANGE for change in found.changes for write in change.writes)
    held = reader.rights(cmdlets=asks, roles=False)
    if app := touched(seen, wanted, token.permissions):
        held = reader.with_owner(held, app)
    if not asks:  # what it reads was read a moment ago
        wanted = tuple(need for need in wanted if need.service == "graph")
    return preflight.judge(wanted, held, want)


def touched(seen: "Snapshot", wanted: "Sequence[Need]", held: "Collection[str]") -> str:
    """The object ID of an application that is there and is to be written to, where it matters whose it is."""
    app = seen.registration
    if app is None or "Application.ReadWrite.All" in held or not any(need.of_owner for need in wanted):
        return ""
    return app.object_id


def must_be_allowed(found: "Preflight", playbook: str, command: str) -> None:
    """Raise PlanRefused where a write would surely be refused. What others can do does not stop it, nor what could not be
    read."""
    lacking = [finding for finding in found.findings if finding.blocks]
    stopping = [condition for condition in found.conditions if condition.stops]
    me = found.rights.who.name or found.rights.who.app_id
    if not lacking and not stopping:
        return
    if not lacking:
        raise PlanRefused(
            f"nothing was written: {me} may not do this: {'; '.join(each.what for each in stopping)}",
            where=", ".join(each.name for each in stopping),
            hint=f"exosp preflight {playbook} says more",
        )
    rights = sorted({" and ".join(sorted(finding.need.least)) for finding in lacking})
    least = next((grant for grant in found.grants if not grant.what.startswith("leave consent")), None)
    how = f"exosp preflight {playbook} --for {command if command == 'destroy' else 'apply'} says what to grant"
    raise PlanRefused(
        f"nothing was written: who runs exosp ({me}) lacks {', '.join(rights)}",
        where="; ".join(finding.need.what_for for finding in lacking),
        hint=f"{how}; the least: {least.what}" if least else how,
    )
