"""Why no token was issued: Entra's code held against the saved credential and the application. Pure."""

from collections.abc import Iterator

from ..snapshot import Secret
from .decision import find
from .facts import Diagnosis, Key, TokenFacts
from .ladder import APPLY, OUTSIDE, TOKEN, VERIFY
from .timing import span

# Seconds in which a new secret or application may be unknown to the token endpoint; reports speak of 4 to 18.
NEW = 600.0

ANOTHER = f"{APPLY} makes another"
REMOVE = f"remove that secret under App registrations, Certificates & secrets, then {ANOTHER}"


def refused(facts: TokenFacts) -> Diagnosis:
    """Why there is no token, with the evidence and what to do."""
    if facts.elsewhere:
        return _found(facts, "credential-elsewhere", facts.what, facts.hint)
    if facts.missing:
        return _missing(facts)
    if facts.unreachable:
        return Diagnosis(
            facts.what, facts.hint, key="service-trouble", depth=OUTSIDE["connect"], evidence=(facts.what,)
        )
    match facts.code:
        case "AADSTS7000215":
            return _secret(facts)
        case "AADSTS700016":
            return _unknown_application(facts)
        case "AADSTS7000222":
            ended = next((s for s in facts.secrets if s.key_id == facts.credential.key_id), None)
            when = f": it ended at {ended.ends:%Y-%m-%d %H:%M} UTC" if ended else ""
            return _found(facts, "secret-expired", f"the saved secret has expired{when}", ANOTHER)
        case "AADSTS7000112":
            seen = " (accountEnabled is false)" if facts.enabled is False else ""
            return _found(
                facts, "app-disabled", f"the application is disabled in this tenant{seen}",
                "somebody switched it off: ask them, then enable it under Enterprise applications, Properties",
            )  # fmt: skip
        case "AADSTS50105" | "AADSTS501051" if facts.roles is False:
            return _found(
                facts, "assignment-required",
                "Exchange Online admits assigned applications only here, and this one holds none of its roles",
                f"{APPLY} consents to them, which assigns it",
            )  # fmt: skip
    row = next(iter(find(f"{facts.code}: {facts.what}", "token")), None)
    if row is None:
        return _found(facts, "unknown", facts.what, facts.hint)
    return _found(facts, row.because[0].key, row.causes[0], row.fix)


def _missing(facts: TokenFacts) -> Diagnosis:
    live = [secret for secret in facts.secrets if secret.ends > facts.now]
    if live:
        named = ", ".join(secret.key_id for secret in live[:3])
        return _found(
            facts, "credential-elsewhere",
            f"nothing is saved here, and the application has a secret that lives ({named}): whoever made it has its text",
            f"run {VERIFY} where that is saved, or put the file back",
        )  # fmt: skip
    return _found(facts, "secret-missing", facts.what, facts.hint)


def _secret(facts: TokenFacts) -> Diagnosis:
    saved = facts.credential
    if saved.is_id:
        return _found(
            facts, "secret-id-for-value",
            "what is saved has the form of a secret's ID, not of its value, which is shown once when it is made",
            f"save the value in its place; if nobody has it, {REMOVE}",
        )  # fmt: skip
    held = next((secret for secret in facts.secrets if secret.key_id == saved.key_id), None)
    if held is not None and (old := (facts.now - held.starts).total_seconds()) < NEW:
        return _found(
            facts, "not-replicated", f"the secret {held.key_id} was made {span(max(0.0, old))} ago, and Entra's token "
            "endpoint does not know it yet", f"wait a minute, then {VERIFY}", early=True, age=max(0.0, old),
        )  # fmt: skip
    if saved.key_id is not None and held is None:
        return _found(
            facts, "secret-wrong", f"the saved secret {saved.key_id} is none of the application's any more; it has "
            + (", ".join(_labels(facts.secrets)) or "none"), ANOTHER,
        )  # fmt: skip
    whose = f": the application still has {held.key_id}, and the text saved is not its" if held else ""
    return _found(
        facts, "secret-wrong", f"the saved secret is not one of the application's{whose}",
        f"put the right value under save_to back, or {REMOVE}",
    )  # fmt: skip


def _labels(secrets: tuple[Secret, ...]) -> Iterator[str]:
    for secret in secrets[:3]:
        yield f"{secret.key_id} ({secret.label})" if secret.label else secret.key_id


def _unknown_application(facts: TokenFacts) -> Diagnosis:
    if not facts.made:
        return _found(facts, "client-id-wrong", "there is no such application in this tenant", APPLY)
    if facts.made_at is not None and (old := (facts.now - facts.made_at).total_seconds()) < NEW:
        return _found(
            facts, "not-replicated", f"the application was made {span(max(0.0, old))} ago, and Entra's token endpoint "
            "does not know it yet", f"wait a minute, then {VERIFY}", early=True, age=max(0.0, old),
        )  # fmt: skip
    return _found(
        facts, "client-id-wrong", "the saved client ID is no application of the tenant that the file names",
        "put the right file under save_to back: tenant and client ID belong together",
    )  # fmt: skip


def _found(
    facts: TokenFacts, key: Key, cause: str, fix: str, *, early: bool = False, age: float | None = None
) -> Diagnosis:
    row = facts.code.lower() if facts.code.startswith("AADSTS") else ""
    said = (facts.what,) if facts.what and facts.what != cause else ()
    return Diagnosis(
        cause, fix, too_early=early, row=row, key=key, depth=TOKEN, evidence=(*said, cause), age=age
    )  # fmt: skip
