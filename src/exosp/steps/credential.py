"""The application's client secret and its saved copy. A secret is added only where none of ours can be alive: a live
one whose copy is lost is never answered by adding another.
"""

from collections.abc import Iterator
from dataclasses import replace

from ..plan import Change, Drift, Refusal
from ..playbook import Playbook
from ..snapshot import Secret, Snapshot
from ..tenant import Tenant
from ..writes import APPLICATION, AddSecret


def observe(want: Playbook, tenant: Tenant, seen: Snapshot) -> Snapshot:
    app = seen.application
    return replace(seen, credential=tenant.vault.state(app.app_id if app else None))


def live(want: Playbook, seen: Snapshot) -> tuple[Secret, ...]:
    """Secrets that bear our label and had not ended when the snapshot was taken."""
    if seen.application is None:
        return ()
    return tuple(s for s in seen.application.secrets if s.label == want.app.secret_label and s.ends > seen.at)


def plan(want: Playbook, seen: Snapshot) -> Iterator[Change | Refusal | Drift]:
    wish, saved = want.app.credential, seen.credential
    if saved.state == "works":
        return
    if saved.state == "foreign":
        yield Refusal(
            "credential", wish.shown, saved.why, "move that file away, or name another one under save_to",
            str(wish.place),
        )  # fmt: skip
        return
    alive = live(want, seen)
    if alive:
        ends = ", ".join(f"{s.label} (begins {s.hint}…, ends {s.ends:%Y-%m-%d})" for s in alive)
        lost = "is not there" if saved.state == "absent" else f"is refused: {saved.why}"
        yield Refusal(
            "credential", wish.shown, f"a live secret of ours exists, {ends}, and its saved copy {lost}",
            f"put {wish.shown} back; or remove that secret under App registrations, Certificates & secrets, "
            "and run apply again: exosp adds no second one unasked",
            str(wish.place),
        )  # fmt: skip
        return
    days = wish.valid_for / 86400
    yield Change(
        "credential", "add", wish.shown, None if saved.state == "absent" else {"saved": saved.why},
        {"type": "secret", "label": want.app.secret_label, "valid_for_days": round(days, 2), "mode": "0600"},
        (AddSecret(APPLICATION, want.app.secret_label, wish.valid_for, wish.shown),),
        "no live secret of ours exists" if saved.state == "absent" else "the saved secret no longer works and none of ours is alive",
    )  # fmt: skip
