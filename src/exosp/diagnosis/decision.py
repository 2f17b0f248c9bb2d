"""Why one login failed: the server's text held against what was read of the tenant. Pure.

It goes from the outside in (network, TLS, what is offered, token, entry in Exchange, mailbox, permission, switch, name)
and stops at the first thing that is wrong and explains the text. Only if all that was read is right, and the text is
one that a mere delay gives too, is it too early to tell; and only while what was granted is young enough for that.
"""

from collections.abc import Iterator

from ..snapshot import Protocol
from . import entra, exchange, graph, mail
from .facts import Diagnosis, Key, ProbeFacts
from .ladder import (
    APPLY,
    CLOSED,
    DEPTH,
    LONGEST_POP_TOKEN,
    OUTSIDE,
    REFUSED,
    RUNGS,
    TIME,
    UNKNOWN,
    VERIFY,
    Right,
    Rung,
    Wrong,
)
from .row import WEIGHTS, Row
from .timing import age

# The whole table, a line a group of services. Within a group the more particular row stands first.
ROWS: tuple[Row, ...] = (
    *mail.ROWS,
    *entra.ROWS,
    *graph.ROWS,
    *exchange.ROWS,
)


def find(text: str, service: str | None = None, stage: str | None = None) -> tuple[Row, ...]:
    """The rows whose symptom is in a text, the strongest first, as far as it is known who said it and at which stage."""
    found = [row for row in ROWS if row.matches(text, service, stage)]
    return tuple(sorted(found, key=lambda row: -WEIGHTS[row.weight]))


def diagnose(facts: ProbeFacts) -> Diagnosis:
    """The likeliest cause of what one login showed, with its evidence and what to do."""
    if facts.ok:
        return Diagnosis("the login works", "", evidence=tuple(_right(facts)))
    row = next(iter(find(facts.server, facts.protocol, facts.stage)), None)
    symptom = row.id if row else ""
    for rung in RUNGS:
        found = rung.look(facts)
        if symptom in rung.explains and isinstance(found, Wrong):
            return _wrong(facts, rung, found, symptom)
    if facts.stage == "capability" and (row is None or row.id.endswith("-not-offered")):
        return _not_offered(facts, row)
    if row is not None and not row.propagation:
        return _certain(facts, row)
    for rung in RUNGS:
        found = rung.look(facts)
        if isinstance(found, Wrong):
            return _wrong(facts, rung, found, symptom, " (Exchange words that otherwise as a rule)")
    if row is None:
        return Diagnosis(
            "the server's words are not in exosp's table, and nothing that was read is wrong",
            f"run {VERIFY} again; if the text stays, look it up: it came at the stage {facts.stage}",
            key="unknown", depth=UNKNOWN, evidence=tuple(_right(facts)),
        )  # fmt: skip
    return _all_right(facts, row)


def _wrong(facts: ProbeFacts, rung: Rung, wrong: Wrong, symptom: str, aside: str = "") -> Diagnosis:
    return Diagnosis(
        wrong.evidence + aside, wrong.fix, too_early=wrong.early, row=symptom, key=wrong.key, depth=DEPTH[rung.name],
        evidence=(*_right(facts, rung), wrong.evidence),
    )  # fmt: skip


def _not_offered(facts: ProbeFacts, row: Row | None) -> Diagnosis:
    """Whatever the server offers, it is not what a login needs; words that came before TLS do not count."""
    wanted = "XOAUTH2" if facts.protocol != "smtp" else "STARTTLS, or no AUTH XOAUTH2 behind it"
    why = row.causes[0] if row else "something in between takes it away, or this is another server"
    return Diagnosis(
        f"the server offers no {wanted}: {why}",
        "check the cloud's addresses and what inspects mail traffic; exosp sends a token only where TLS is verified",
        row=row.id if row else "", key="auth-not-offered", depth=OUTSIDE["capability"], evidence=(facts.server,),
    )  # fmt: skip


def _certain(facts: ProbeFacts, row: Row) -> Diagnosis:
    """The server's words, or ours for its silence, that one cause alone gives."""
    if row.id == "pop-protocol-error" and not facts.token_length:
        return Diagnosis(
            "exosp sends AUTH in two lines, so what is left is the token: more than "
            f"{LONGEST_POP_TOKEN:,} characters break POP",
            "shorten the token: take the groups claim out of the application's token configuration",
            row=row.id, key="token-too-long", depth=DEPTH["length"], evidence=tuple(_right(facts)),
        )  # fmt: skip
    key: Key = row.because[0].key
    if key == "certificate-untrusted" and "expired" in facts.server:
        key = "certificate-out-of-date"
    depth = OUTSIDE.get(facts.stage, TIME)
    if key == "name-not-resolved":
        depth = 0
    return Diagnosis(
        row.causes[0], _fix(row), row=row.id, key=key, depth=depth, evidence=(*_right(facts), facts.server)
    )  # fmt: skip


def _all_right(facts: ProbeFacts, row: Row) -> Diagnosis:
    """Nothing that was read is wrong, and the words are those of many causes."""
    evidence = tuple(_right(facts))
    if not facts.plan_empty:
        return Diagnosis(
            "the tenant is not as the playbook says", f"{APPLY}, then {VERIFY}", row=row.id, key="unknown",
            depth=UNKNOWN, evidence=evidence,
        )  # fmt: skip
    if unread := ", ".join(_unread(facts)):
        return Diagnosis(
            f"perhaps {row.causes[0]}; not read: {unread}", _fix(row), row=row.id, key="unknown", depth=UNKNOWN,
            evidence=evidence,
        )  # fmt: skip
    old = age(facts.since, facts.now)
    other = _other_name(facts)
    if old.explains:
        return Diagnosis(
            f"everything that was read is right, {old.words}: Exchange may take up to 2 hours, and this text also comes "
            "while a change is on its way",
            f"wait, then {VERIFY}; leave five minutes between tries, since a failing login can prolong it{other}",
            too_early=True, row=row.id, key="not-in-effect-yet", depth=TIME, evidence=evidence, age=old.seconds,
        )  # fmt: skip
    return Diagnosis(
        f"everything that was read is right, {old.words}: no longer too early, and unexplained",
        "look up the login in Entra's sign-in logs, Service principal sign-ins, and for authentication and access policies; "
        f"if nothing shows there, ask Microsoft's support, with what verify --format json says as evidence{other}",
        row=row.id, key="unexplained", depth=UNKNOWN, evidence=evidence, age=old.seconds,
    )  # fmt: skip


def _other_name(facts: ProbeFacts) -> str:
    """The name that was not tried, where a mailbox has two: reports differ on which one counts."""
    if not facts.upn or facts.upn.lower() == facts.address.lower():
        return ""
    return f"; its UPN and address differ, and the login gave {facts.login}: reports differ on which one Exchange takes"


def _right(facts: ProbeFacts, until: Rung | None = None) -> Iterator[str]:
    """What was found right on the way to a rung, from the outside in."""
    if facts.stage not in OUTSIDE:
        yield "the server was reached, its certificate verified, and it offers XOAUTH2"
    for rung in RUNGS:
        if rung is until:
            return
        found = rung.look(facts)
        if isinstance(found, Right):
            yield found.words


def proves_closed(protocol: Protocol, stage: str, server: str) -> bool:
    """Whether a refusal speaks of access to the mailbox. One for a busy server or a switch that is off does not."""
    row = next(iter(find(server, protocol, stage)), None)
    return row is not None and row.id in REFUSED | CLOSED | {"app-access-policy"}


def _fix(row: Row) -> str:
    return f"{row.fix}; by hand: {row.cmdlet}" if row.cmdlet else row.fix


def _unread(facts: ProbeFacts) -> Iterator[str]:
    if facts.claims is None:
        yield "the token's claims"
    if facts.open is None:
        yield "whether the protocol is on"
    if facts.rbac and facts.in_scope is None:
        yield "whether the mailbox is in the RBAC scope"
    if facts.granted is None and not facts.rbac:
        yield "the mailbox's permissions"
