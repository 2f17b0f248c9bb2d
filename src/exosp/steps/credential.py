"""The application's client secret and its saved copy. A secret is added only where none of ours can be alive: a live
one whose copy is lost is never answered by adding another. An application that people sign in to, or that proves itself by
a federated credential, gets none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..plan import Change, Drift, Refusal
from ..playbook import Playbook
from ..snapshot import Secret, Snapshot
from ..tenant import Tenant
from ..writes import APPLICATION, AddSecret, RemoveSecret

_LOST = "an earlier run was interrupted after it made a secret, and its journal shows that this was never saved"


def observe(want: Playbook, tenant: Tenant, seen: Snapshot) -> Snapshot:
    if want.app.registered_in and seen.principal is None:  # no token can come before consent
        return seen
    return replace(seen, credential=tenant.vault.state(seen.app_id))


def live(want: Playbook, seen: Snapshot) -> tuple[Secret, ...]:
    """Secrets that bear our label, the id of the run that made them behind it or not, and had not ended when the
    snapshot was taken; also of an application in the recycle bin, which comes back with them."""
    if seen.registration is None:
        return ()
    label = want.app.secret_label
    mine = (s for s in seen.registration.secrets if s.label == label or s.label.startswith(f"{label} "))
    return tuple(s for s in mine if s.ends > seen.at)


def plan(want: Playbook, seen: Snapshot) -> Iterator[Change | Refusal | Drift]:
    wish, saved = want.app.credential, seen.credential
    if wish is None:
        yield from _needless(want, seen)
        return
    if want.app.registered_in:
        if saved.state in ("foreign", "refused"):
            what = f"the saved credential, which {want.app.registered_in} makes, cannot be used here: {saved.why}"
            yield Drift("credential", wish.shown, what)
        return
    orphans = tuple(s for s in live(want, seen) if s.key_id in seen.lost_secrets)
    remove = tuple(RemoveSecret(APPLICATION, s.key_id) for s in orphans)
    alive = tuple(s for s in live(want, seen) if s not in orphans)
    if saved.state == "works":
        if orphans:
            yield Change(
                "credential", "update", wish.shown, {"lost": [s.label for s in orphans]}, {"lost": []}, remove, _LOST
            )
        yield from _several(wish.shown, seen, alive)
        return
    if saved.state == "foreign":
        yield Refusal(
            "credential", wish.shown, saved.why, "move that file away, or name another one under save_to",
            str(wish.place),
        )  # fmt: skip
        return
    if saved.blocked:
        yield Refusal(
            "credential", wish.shown, f"the application is not let in, whatever its secret: {saved.why}", saved.blocked,
            str(wish.place),
        )  # fmt: skip
        return
    if alive and saved.state == "refused" and seen.application is None:
        yield Drift(
            "credential", wish.shown,
            "whether the saved secret still works shows only once its application is back from the recycle bin",
        )  # fmt: skip
        return
    if alive:
        which = "a live secret of ours exists" if len(alive) == 1 else f"{len(alive)} live secrets of ours exist"
        whose = "its saved copy" if len(alive) == 1 else "the saved copy"
        lost = "is not there" if saved.state == "absent" else f"is refused: {saved.why}"
        yield Refusal(
            "credential", wish.shown, f"{which}, {_named(alive)}, and {whose} {lost}",
            f"put {wish.shown} back; or remove {'that secret' if len(alive) == 1 else 'those secrets'} under App "
            "registrations, Certificates & secrets, and run apply again: exosp adds no second one unasked",
            str(wish.place),
        )  # fmt: skip
        return
    days = wish.valid_for / 86400
    if orphans:
        why = f"{_LOST}; it makes place for one that is"
    elif saved.state == "absent":
        why = "no live secret of ours exists"
    else:
        why = "the saved secret no longer works and none of ours is alive"
    yield Change(
        "credential", "add", wish.shown, None if saved.state == "absent" else {"saved": saved.why},
        {"type": "secret", "label": want.app.secret_label, "valid_for_days": round(days, 2), "mode": "0600"},
        (*remove, AddSecret(APPLICATION, want.app.secret_label, wish.valid_for, wish.shown)), why,
    )  # fmt: skip


def _needless(want: Playbook, seen: Snapshot) -> Iterator[Change | Drift]:
    """Secrets of ours that the playbook has no use for any more."""
    alive = live(want, seen)
    if not alive:
        return
    why = "people sign in to it" if want.delegated else "its credential is federated"
    what = f"{len(alive)} live {'secret' if len(alive) == 1 else 'secrets'} of ours, {_named(alive)}, and {why}"
    target = want.app.secret_label
    if want.prune:
        remove = tuple(RemoveSecret(APPLICATION, s.key_id) for s in alive)
        before = {"secrets": [s.label for s in alive]}
        yield Change("credential", "remove", target, before, {"secrets": []}, remove, f"{what}; and prune is on")
    else:
        yield Drift("credential", target, what, access=True)


def _several(shown: str, seen: Snapshot, alive: Sequence[Secret]) -> Iterator[Drift]:
    """Live secrets of ours beside the saved one. None is removed unasked: a copy may be in use elsewhere."""
    used = [s for s in alive if s.key_id == seen.credential.key_id]
    others = [s for s in alive if s not in used]
    if used and others:
        yield Drift(
            "credential", shown,
            f"{len(others)} more live {'secret' if len(others) == 1 else 'secrets'} of ours: {_named(others)}; "
            f"the saved one is {_named(used)}",
        )  # fmt: skip
    elif len(others) > 1:
        yield Drift(
            "credential", shown,
            f"{len(others)} live secrets of ours, {_named(others)}; which one is saved, {shown} does not say",
        )  # fmt: skip


def _named(secrets: Sequence[Secret]) -> str:
    return ", ".join(f"{s.label} (begins {s.hint}…, ends {s.ends:%Y-%m-%d})" for s in secrets)
