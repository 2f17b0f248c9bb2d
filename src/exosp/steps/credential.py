"""The application's client secret and its saved copy. A secret is added only where none of ours can be alive: a live
one whose copy is lost is never answered by adding another.
"""

from collections.abc import Iterator
from dataclasses import replace

from ..plan import Change, Drift, Refusal
from ..playbook import Playbook
from ..snapshot import Secret, Snapshot
from ..tenant import Tenant
from ..writes import APPLICATION, AddSecret, RemoveSecret

_LOST = "an earlier run was interrupted after it made a secret, and its journal shows that this was never saved"


def observe(want: Playbook, tenant: Tenant, seen: Snapshot) -> Snapshot:
    app = seen.application
    return replace(seen, credential=tenant.vault.state(app.app_id if app else None))


def live(want: Playbook, seen: Snapshot) -> tuple[Secret, ...]:
    """Secrets that bear our label, the id of the run that made them behind it or not, and had not ended when the
    snapshot was taken."""
    if seen.application is None:
        return ()
    label = want.app.secret_label
    mine = (s for s in seen.application.secrets if s.label == label or s.label.startswith(f"{label} "))
    return tuple(s for s in mine if s.ends > seen.at)


def plan(want: Playbook, seen: Snapshot) -> Iterator[Change | Refusal | Drift]:
    wish, saved = want.app.credential, seen.credential
    orphans = tuple(s for s in live(want, seen) if s.key_id in seen.lost_secrets)
    remove = tuple(RemoveSecret(APPLICATION, s.key_id) for s in orphans)
    if saved.state == "works":
        if orphans:
            yield Change(
                "credential", "update", wish.shown, {"lost": [s.label for s in orphans]}, {"lost": []}, remove, _LOST
            )
        return
    if saved.state == "foreign":
        yield Refusal(
            "credential", wish.shown, saved.why, "move that file away, or name another one under save_to",
            str(wish.place),
        )  # fmt: skip
        return
    alive = tuple(s for s in live(want, seen) if s not in orphans)
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
        (*remove, AddSecret(APPLICATION, want.app.secret_label, wish.valid_for, wish.shown)),
        f"{_LOST}; it makes place for one that is" if orphans else "no live secret of ours exists" if saved.state == "absent" else "the saved secret no longer works and none of ours is alive",
    )  # fmt: skip
