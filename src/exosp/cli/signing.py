"""What a run without a credential of the application's own has in its place: nowhere to save one, and a person who signs
in where the command line says how."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..clouds import Cloud
from ..errors import NotHere, UsageError
from ..patience import Patience
from ..playbook import Playbook
from ..snapshot import AppId, SavedCredential
from ..steps.application import permissions
from ..tenant import NewSecret
from ..writes import AddSecret
from .screen import Screen

if TYPE_CHECKING:
    from ..signin.person import Person, Way

HOW = "run verify with --person browser, or --person device-code where the browser is on another machine"


class Nowhere:
    """tenant.Vault of an application that has no secret of ours."""

    def check(self) -> None:
        """Nothing is saved, so nothing can be in the way."""

    def state(self, app_id: AppId | None) -> SavedCredential:
        return SavedCredential("absent")

    def save(self, app_id: AppId, tenant_id: str, new: NewSecret, write: AddSecret) -> None:
        raise LookupError("the playbook has no place for a secret")

    def remove(self, app_id: AppId) -> bool:
        return False


def signing_in(way: "Way", want: Playbook) -> "Way":
    """The way that the command line names. Raises UsageError where nobody signs in to this application."""
    if want.delegated:
        return way
    raise UsageError(
        "the playbook's application opens mailboxes by itself: nobody signs in to it",
        where="--person",
        hint="leave --person out, or write access: delegated in the playbook",
    )


def nobody(want: Playbook, cloud: Cloud) -> NotHere:
    """Why there is no token where nobody may be asked, and the credential is not here."""
    if want.delegated:
        return NotHere("people sign in to this application, and nobody was asked to", service="token", hint=HOW)
    if want.app.managed_identity is not None:
        return NotHere(
            "it is a managed identity: Azure gives tokens for it to its workload alone",
            service="token",
            hint=f"log in there by hand, with a token for {cloud.exchange_scope}",
        )
    return NotHere(
        "the application proves itself by a federated credential, which only its workload can use",
        service="token",
        hint="run verify inside that workload, or log in there by hand",
    )


def person(
    want: Playbook,
    way: "Way",
    cloud: Cloud,
    tenant_id: str,
    app_id: AppId,
    screen: Screen,
    patience: Patience,
    on_request: Callable[[], None],
) -> "Person":
    """Whoever will sign in. Nobody is asked yet."""
    import webbrowser

    from ..report.plain import plain
    from ..signin.person import Person, Signing

    def tell(text: str) -> None:
        screen.call("\n".join(plain(line) for line in text.split("\n")))  # the sign-in host's own words are in it

    signing = Signing(way, tell, webbrowser.open, patience.clock.sleep, on_request)
    return Person(cloud, tenant_id, app_id, tuple(permissions(want)), signing)
