"""What happens to a plan's changes and to the proofs, line by line as it happens."""

from collections.abc import Callable

from ..probes import Proof
from ..report import text
from ..sending import Event, Finished, Refused, Started
from .screen import Screen


def changes(screen: Screen) -> Callable[[Event], None]:
    """A change in the moving line while it is made, and in a line of its own when it is done. What failed is said with
    --quiet too."""

    def tell(event: Event) -> None:
        match event:
            case Started(change):
                screen.working(text.doing(change))
            case Finished(change, outcome):
                screen.working(text.doing(change), done=1)
                said = text.outcome(change, outcome, screen.width)
                (screen.say if isinstance(outcome, Refused) else screen.tell)(said)

    return tell


def proofs(screen: Screen, longest: int) -> Callable[[Proof], None]:
    """A login as its proof becomes final. ``longest`` is the length of the longest address, for the columns."""
    causes: set[tuple[str, str]] = set()

    def tell(proof: Proof) -> None:
        cause = (proof.cause, proof.fix)
        said = text.proof(proof, screen.width, longest, explained=cause in causes)
        if any(cause):
            causes.add(cause)
        (screen.tell if proof.ok else screen.say)(said)

    return tell
