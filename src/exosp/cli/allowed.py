"""Whether who runs exosp may do what a plan holds: looked up before it is shown, and in the way before its first write."""

from typing import TYPE_CHECKING

from ..errors import PlanRefused

if TYPE_CHECKING:
    from ..plan import Plan
    from ..playbook import Playbook
    from ..preflight import Preflight
    from .wiring import Session


def looked_up(session: "Session", want: "Playbook", found: "Plan") -> "Preflight":
    """For the writes of one plan. Exchange is asked only where the plan holds writes of its. Raises CloudError where a
    service cannot be reached."""
    from .. import needs, preflight
    from .rights import Reader

    reader = Reader(session.admin, session.graph, session.exchange, session.patience)
    person = session.admin.graph_token().of_person
    wanted = needs.of("apply", want, found, person=person)
    writes = {type(write) for change in found.changes for write in change.writes}
    asks = any(kind in needs.EXCHANGE for kind in writes)
    seen = preflight.judge(wanted, reader.rights(cmdlets=asks, roles=False), want)
    if not asks:  # what it reads was read a moment ago
        seen = preflight.judge([need for need in wanted if need.service == "graph"], seen.rights, want)
    return seen


def must_be_allowed(seen: "Preflight", playbook: str, command: str) -> None:
    """Raise PlanRefused where a write would surely be refused. What others can do does not stop it, nor what could not be
    read."""
    lacking = [finding for finding in seen.findings if finding.blocks]
    if not lacking:
        return
    rights = sorted({" and ".join(sorted(finding.need.least)) for finding in lacking})
    least = next((grant for grant in seen.grants if not grant.what.startswith("leave consent")), None)
    how = f"exosp preflight {playbook} --for {command if command == 'destroy' else 'apply'} says what to grant"
    raise PlanRefused(
        f"nothing was written: who runs exosp ({seen.rights.who.name or seen.rights.who.app_id}) lacks {', '.join(rights)}",
        where="; ".join(finding.need.what_for for finding in lacking),
        hint=f"{how}; the least: {least.what}" if least else how,
    )
